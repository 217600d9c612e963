#include "format/row_hash.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the encoding below copies values as they lie in memory");

enum { NAME_MAX_BYTES = 512, TEXTS_COLLECTED = 4096, PREFIX_COPIED = 32 };

struct hashed_column {
	size_t column;     /* in the batch */
	enum column_type type;
	uint8_t prefix[2 + NAME_MAX_BYTES + 2]; /* length, name, tag; for decimals the scale too */
	size_t prefix_n;
};

struct row_hasher {
	size_t n;
	struct hashed_column *columns;
	/* All prefixes, fixed values and lengths, and TEXTS_COLLECTED bytes of texts, for two rows. */
	uint8_t *row, *other;
};

static uint8_t tag_of(enum column_type t)
{
	static const uint8_t tags[TYPE_COUNT] = {
		[TYPE_STRING] = 's', [TYPE_BOOLEAN] = 'b', [TYPE_INTEGER] = 'i', [TYPE_DECIMAL] = 'n',
		[TYPE_DOUBLE] = 'f', [TYPE_DATE] = 'd', [TYPE_TIMESTAMP] = 't', [TYPE_JSON] = 'j',
	};
	CHECK((size_t)t < TYPE_COUNT && tags[t] != 0);
	return tags[t];
}

struct row_hasher *row_hasher_new(const struct contract *c, const size_t *columns, struct arena *a)
{
	struct row_hasher *r = arena_new(a, struct row_hasher);
	r->n = c->n_columns;
	r->columns = arena_array(a, struct hashed_column, c->n_columns + 1);
	size_t row_max = TEXTS_COLLECTED + PREFIX_COPIED;
	for (size_t i = 0; i < c->n_columns; i++) {
		const struct column *from = &c->columns[c->by_name[i]];
		struct hashed_column *h = &r->columns[i];
		CHECK(from->name.n <= NAME_MAX_BYTES);
		h->column = columns[c->by_name[i]];
		h->type = from->type;
		h->prefix[0] = (uint8_t)(from->name.n & 0xff);
		h->prefix[1] = (uint8_t)(from->name.n >> 8);
		memcpy(h->prefix + 2, from->name.p, from->name.n);
		h->prefix_n = 2 + from->name.n;
		h->prefix[h->prefix_n++] = tag_of(from->type);
		if (from->type == TYPE_DECIMAL)
			h->prefix[h->prefix_n++] = (uint8_t)from->scale;
		row_max += h->prefix_n + 16;
	}
	r->row = arena_alloc(a, row_max);
	r->other = arena_alloc(a, row_max);
	return r;
}

static uint64_t double_bits(double v)
{
	uint64_t bits;
	if (isnan(v))
		return UINT64_C(0x7ff8000000000000);
	memcpy(&bits, &v, sizeof bits);
	return bits;
}

/* Most prefixes are short: a copy of a constant size, of which only prefix_n bytes count, is faster than one that fits.
 * Rows have the room for it. */
static inline uint8_t *put_prefix(uint8_t *p, const struct hashed_column *h)
{
	if (h->prefix_n <= PREFIX_COPIED)
		memcpy(p, h->prefix, PREFIX_COPIED);
	else
		memcpy(p, h->prefix, h->prefix_n);
	return p + h->prefix_n;
}

/* The value of a column that has a fixed size, behind its prefix. */
static inline uint8_t *put_fixed(uint8_t *p, enum column_type t, const struct batch_column *c, size_t row)
{
	switch (t) {
	case TYPE_BOOLEAN:
		*p = c->b[row] != 0;
		return p + 1;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		memcpy(p, &c->i64[row], 8);
		return p + 8;
	case TYPE_DECIMAL:
		memcpy(p, &c->i128[row], 16);
		return p + 16;
	case TYPE_DATE:
		memcpy(p, &c->i32[row], 4);
		return p + 4;
	default: {
		CHECK(t == TYPE_DOUBLE);
		uint64_t bits = double_bits(c->f64[row]);
		memcpy(p, &bits, 8);
		return p + 8;
	}
	}
}

static uint128 row_hash_one(struct row_hasher *r, const struct batch *b, size_t row)
{
	struct sha256_state s;
	uint8_t *p = r->row;
	size_t texts_left = TEXTS_COLLECTED;
	sha256_begin(&s);
	for (size_t i = 0; i < r->n; i++) {
		const struct hashed_column *h = &r->columns[i];
		const struct batch_column *c = &b->columns[h->column];
		if (!batch_is_valid(c, row))
			continue;
		p = put_prefix(p, h);
		if (h->type != TYPE_STRING && h->type != TYPE_JSON) {
			p = put_fixed(p, h->type, c, row);
			continue;
		}
		struct str text = c->s[row];
		CHECK(text.n <= UINT32_MAX);
		uint32_t n = (uint32_t)text.n;
		memcpy(p, &n, 4);
		p += 4;
		/* Texts are collected as long as there is room, so that most rows are hashed in one go. */
		if (text.n <= texts_left) {
			if (text.n > 0)
				memcpy(p, text.p, text.n);
			p += text.n;
			texts_left -= text.n;
			continue;
		}
		sha256_add(&s, r->row, (size_t)(p - r->row));
		sha256_add_str(&s, text);
		p = r->row;
	}
	sha256_add(&s, r->row, (size_t)(p - r->row));
	struct sha256 full = sha256_end(&s);
	uint128 h;
	memcpy(&h, full.b, sizeof h);
	return h;
}

/* The whole row in one place, or an empty view where its texts are too long for that. */
static struct str row_encode(const struct row_hasher *r, const struct batch *b, size_t row, uint8_t *place)
{
	size_t room = TEXTS_COLLECTED;
	uint8_t *p = place;
	for (size_t i = 0; i < r->n; i++) {
		const struct hashed_column *h = &r->columns[i];
		const struct batch_column *c = &b->columns[h->column];
		if (!batch_is_valid(c, row))
			continue;
		p = put_prefix(p, h);
		if (h->type != TYPE_STRING && h->type != TYPE_JSON) {
			p = put_fixed(p, h->type, c, row);
			continue;
		}
		struct str text = c->s[row];
		if (text.n > room)
			return STR_NONE;
		uint32_t n = (uint32_t)text.n;
		memcpy(p, &n, 4);
		bytes_copy((char *)p + 4, text.p, n);
		p += 4 + n;
		room -= n;
	}
	return (struct str){ (const char *)place, (size_t)(p - place) };
}

static uint128 row_hash_two(struct row_hasher *r, const struct batch *b, size_t row)
{
	struct str x = row_encode(r, b, row, r->row), y = row_encode(r, b, row + 1, r->other);
	struct sha256 full[2];
	uint128 first, second;
	if (!x.p || !y.p)
		return row_hash_one(r, b, row) + row_hash_one(r, b, row + 1);
	sha256_pair(x, y, full);
	memcpy(&first, full[0].b, sizeof first);
	memcpy(&second, full[1].b, sizeof second);
	return first + second;
}

void row_hash_add(struct row_hash *h, struct row_hasher *r, const struct batch *b, size_t from, size_t to)
{
	size_t row = from;
	CHECK(from <= to && to <= b->n_rows);
	for (; row + 1 < to; row += 2)
		h->sum += row_hash_two(r, b, row);
	if (row < to)
		h->sum += row_hash_one(r, b, row);
	h->rows += to - from;
}

void row_hash_merge(struct row_hash *h, const struct row_hash *other)
{
	h->sum += other->sum;
	h->rows += other->rows;
}

bool row_hash_eq(const struct row_hash *a, const struct row_hash *b)
{
	return a->sum == b->sum && a->rows == b->rows;
}

void row_hash_hex(const struct row_hash *h, char out[33])
{
	for (int i = 0; i < 32; i++)
		out[i] = "0123456789abcdef"[(unsigned)(h->sum >> (124 - 4 * i)) & 15];
	out[32] = '\0';
}

bool row_hash_from_hex(struct str hex, uint64_t rows, struct row_hash *out)
{
	uint128 sum = 0;
	if (hex.n != 32)
		return false;
	for (size_t i = 0; i < 32; i++) {
		char c = hex.p[i];
		unsigned v = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
		if (v == 16)
			return false;
		sum = sum << 4 | v;
	}
	*out = (struct row_hash){ sum, rows };
	return true;
}
