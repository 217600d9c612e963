#include "prepare/row_sorter.h"

#include "base/check.h"
#include "prepare/record.h"
#include "prepare/row_pack.h"

#include <math.h>
#include <string.h>

enum {
	ROW_BITS = 11,            /* of a row in its batch */
	KEY_TEXT_BYTES = 12,      /* of a text in a key */
	KEY_LENGTH_BITS = 4,
	INSERTION_ROWS = 12,
	ROW_BYTES_MIN = 64,       /* packed and with its places in the arrays: where nothing is known yet */
	PACKS_MAX = (1 << (32 - ROW_BITS)) - 1,
};
_Static_assert(BATCH_ROWS == 1 << ROW_BITS, "a row is told by batch and row in one number");

struct range { /* rows of one window: up to the next range */
	size_t group, first;
};

struct row_sorter {
	const struct contract *contract;
	const struct batch_shape *shape;
	size_t n_columns, page_column, off_column;
	struct batch *batch; /* being filled; it counts from its first take, and is packed then */
	bool open;
	struct {
		struct row_pack **v;
		size_t n, cap;
	} packs;
	size_t bytes, max_bytes; /* of them; with the arrays below */
	struct arena texts[2], *pack_arena; /* of packs: of these windows, of those before, whose texts may be in use */
	struct {
		struct range *v;
		size_t n, cap;
	} ranges;
	size_t cap;              /* of the arrays below */
	uint32_t *rows, *sorted; /* batch << ROW_BITS | row: as they came, in order */
	size_t n, emitted;
	bool *all_valid, *none_valid; /* [column] */
	/* of the range at hand */
	uint128 *keys, *spare;
	uint64_t *codes; /* in the place of spare, for as long as keys are made */
	unsigned left; /* bits of the key that are free */
	bool exact;    /* keys tell everything: equal ones are in the order of their coming */
	struct arena arena;
};

/* ── taking ── */

struct row_sorter *row_sorter_new(const struct contract *c, const struct batch_shape *shape, size_t n_columns,
				  size_t max_bytes, struct arena *a)
{
	struct row_sorter *s = arena_new(a, struct row_sorter);

	s->contract = c;
	s->shape = shape;
	s->n_columns = n_columns;
	s->max_bytes = max_bytes;
	s->page_column = c->n_columns + META_PAGE;
	s->off_column = c->n_columns + META_OFF;
	s->batch = batch_new(shape, n_columns, a);
	s->pack_arena = &s->texts[0];
	s->all_valid = arena_array(a, bool, n_columns);
	s->none_valid = arena_array(a, bool, n_columns);
	return s;
}

void row_sorter_free(struct row_sorter *s)
{
	mem_free(s->rows);
	mem_free(s->sorted);
	mem_free(s->keys);
	mem_free(s->spare);
	arena_free(&s->texts[0]);
	arena_free(&s->texts[1]);
	arena_free(&s->arena);
}

void row_sorter_begin(struct row_sorter *s)
{
	s->pack_arena = &s->texts[s->pack_arena == &s->texts[0]];
	arena_reset(s->pack_arena);
	s->packs.n = 0;
	s->bytes = 0;
	s->ranges.n = 0;
	s->n = s->emitted = 0;
	s->open = false;
}

size_t row_sorter_bytes(const struct row_sorter *s)
{
	return s->bytes + s->n * (2 * sizeof s->keys[0] + 2 * sizeof s->rows[0]);
}

size_t row_sorter_row_bytes(const struct row_sorter *s)
{
	size_t bytes = s->n == 0 ? 0 : row_sorter_bytes(s) / s->n;

	return bytes < ROW_BYTES_MIN ? ROW_BYTES_MIN : bytes;
}

struct batch *row_sorter_room(struct row_sorter *s)
{
	if (row_sorter_bytes(s) > s->max_bytes || s->packs.n == PACKS_MAX)
		return NULL;
	s->open = true;
	batch_clear(s->batch);
	return s->batch;
}

void row_sorter_take(struct row_sorter *s, size_t group, size_t first)
{
	size_t n;

	if (s->open) {
		struct row_pack *p = row_pack_new(s->batch, s->n_columns, s->pack_arena);
		s->open = false;
		*arena_push(&s->arena, s->packs) = p;
		s->bytes += p->bytes;
		s->n += p->n_rows;
	}
	n = s->packs.v[s->packs.n - 1]->n_rows;
	CHECK(first <= n);
	if (s->ranges.n == 0 || s->ranges.v[s->ranges.n - 1].group != group)
		*arena_push(&s->arena, s->ranges) = (struct range){ group, s->n - n + first };
}

size_t row_sorter_rows(const struct row_sorter *s)
{
	return s->n;
}

/* ── keys ── */

static const struct pack_column *cell(const struct row_sorter *s, uint32_t row, size_t column)
{
	return &s->packs.v[row >> ROW_BITS]->columns[column];
}

#define AT(row) ((row) & (BATCH_ROWS - 1))
#define SIGN (UINT64_C(1) << 63)

static unsigned bits_for(uint64_t max)
{
	return max == 0 ? 0 : 64 - (unsigned)__builtin_clzll(max);
}

/* A number whose order is that of the doubles; the zeros are one, NaN is the largest. */
static uint64_t double_code(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof x);
	if (isnan(x))
		return UINT64_MAX;
	if (x == 0)
		return SIGN;
	return bits & SIGN ? ~bits : bits | SIGN;
}

/* Above or below each other as the values are. */
static uint128 decimal_code(int128 x)
{
	return (uint128)x ^ (uint128)1 << 127;
}

static uint64_t code_of(const struct pack_column *c, size_t i)
{
	uint64_t v = (uint64_t)pack_number(c, i);

	return c->type == TYPE_DOUBLE ? double_code(v) : v ^ SIGN;
}

/* Makes room for `bits` more; fewer where the key is full, and then it is a prefix. */
static unsigned key_grow(struct row_sorter *s, unsigned bits)
{
	if (bits > s->left) {
		bits = s->left;
		s->exact = false;
	}
	s->left -= bits;
	return bits;
}

static void numbers_append(struct row_sorter *s, const uint32_t *rows, size_t n, size_t column, bool descending)
{
	uint64_t min = UINT64_MAX, max = 0;
	unsigned wanted, bits;
	bool nulls = false;

	for (size_t i = 0; i < n; i++) {
		const struct pack_column *c = cell(s, rows[i], column);
		if (!pack_is_valid(c, AT(rows[i]))) {
			nulls = true;
			continue;
		}
		uint64_t code = s->codes[i] = code_of(c, AT(rows[i]));
		min = code < min ? code : min;
		max = code > max ? code : max;
	}
	if (min > max)
		return; /* NULLs only */
	/* NULL is 0 and a value is above it, before all of it is turned around. */
	wanted = bits_for(max - min) + nulls;
	bits = key_grow(s, wanted);
	for (size_t i = 0; i < n; i++) {
		bool valid = !nulls || pack_is_valid(cell(s, rows[i], column), AT(rows[i]));
		uint128 v = valid ? (uint128)(s->codes[i] - min) | (uint128)nulls << (wanted - nulls) : 0;
		v = descending ? (((uint128)1 << wanted) - 1) ^ v : v;
		s->keys[i] = s->keys[i] << bits | v >> (wanted - bits);
	}
}

/* The upper bits of what decimals differ by: all of them unless they differ by more than 63 bits. */
static void decimals_append(struct row_sorter *s, const uint32_t *rows, size_t n, size_t column, bool descending)
{
	uint128 min = ~(uint128)0, max = 0, mask;
	unsigned wanted, bits, shift = 0;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		const struct pack_column *c = cell(s, rows[i], column);
		if (!pack_is_valid(c, AT(rows[i])))
			continue;
		uint128 code = decimal_code(pack_decimal(c, AT(rows[i])));
		min = code < min ? code : min;
		max = code > max ? code : max;
		any = true;
	}
	if (!any)
		return;
	while ((max - min) >> shift > INT64_MAX)
		shift++;
	wanted = bits_for((uint64_t)((max - min) >> shift)) + 1; /* one for NULL */
	bits = key_grow(s, wanted);
	mask = ((uint128)1 << wanted) - 1;
	for (size_t i = 0; i < n; i++) {
		const struct pack_column *c = cell(s, rows[i], column);
		uint128 v = 0;
		if (pack_is_valid(c, AT(rows[i])))
			v = (decimal_code(pack_decimal(c, AT(rows[i]))) - min) >> shift | (uint128)1 << (wanted - 1);
		v = descending ? mask ^ v : v;
		s->keys[i] = s->keys[i] << bits | v >> (wanted - bits);
	}
	if (shift > 0)
		s->exact = false;
}

static void texts_append(struct row_sorter *s, const uint32_t *rows, size_t n, size_t column, bool descending)
{
	size_t longest = 0, bytes;
	unsigned bits;
	uint128 mask;
	bool whole;

	for (size_t i = 0; i < n; i++) {
		const struct pack_column *c = cell(s, rows[i], column);
		size_t length = pack_is_valid(c, AT(rows[i])) ? pack_text(c, AT(rows[i])).n : 0;
		longest = length > longest ? length : longest;
	}
	bytes = longest < KEY_TEXT_BYTES ? longest : KEY_TEXT_BYTES;
	while (bytes * 8 + KEY_LENGTH_BITS + 1 > s->left && bytes > 0)
		bytes--;
	whole = bytes == longest;
	bits = (unsigned)bytes * 8 + KEY_LENGTH_BITS + 1;
	if (bits > s->left) {
		s->exact = false;
		return;
	}
	s->left -= bits;
	mask = ((uint128)1 << bits) - 1;
	for (size_t i = 0; i < n; i++) {
		const struct pack_column *c = cell(s, rows[i], column);
		uint128 v = 0;
		if (pack_is_valid(c, AT(rows[i]))) {
			struct str t = pack_text(c, AT(rows[i]));
			v = 1;
			for (size_t k = 0; k < bytes; k++)
				v = v << 8 | (k < t.n ? (unsigned char)t.p[k] : 0);
			/* Behind equal bytes and zeros the length decides, since zeros may be of the text. */
			v = v << KEY_LENGTH_BITS | (whole ? t.n : 0);
		}
		v = descending ? mask ^ v : v;
		s->keys[i] = s->keys[i] << bits | v;
	}
	s->exact = s->exact && whole;
}

static void keys_make(struct row_sorter *s, const uint32_t *rows, size_t n, unsigned index_bits)
{
	const struct contract *c = s->contract;

	s->left = 128 - index_bits;
	s->exact = true;
	memset(s->keys, 0, n * sizeof s->keys[0]);
	for (size_t i = 0; i < c->n_sort && s->exact; i++) {
		size_t column = c->sort[i];
		switch (s->shape[column].type) {
		case TYPE_STRING:
		case TYPE_JSON:
			texts_append(s, rows, n, column, c->sort_descending[i]);
			break;
		case TYPE_DECIMAL:
			decimals_append(s, rows, n, column, c->sort_descending[i]);
			break;
		default:
			numbers_append(s, rows, n, column, c->sort_descending[i]);
			break;
		}
	}
	for (size_t i = 0; i < n; i++)
		s->keys[i] = s->keys[i] << index_bits | i;
}

/* ── order ── */

static int order_of(uint128 a, uint128 b)
{
	return (a > b) - (a < b);
}

static int cells_compare(const struct pack_column *x, size_t i, const struct pack_column *y, size_t k)
{
	bool has = pack_is_valid(x, i);

	if (has != pack_is_valid(y, k))
		return has ? 1 : -1;
	if (!has)
		return 0;
	if (x->type == TYPE_STRING || x->type == TYPE_JSON)
		return str_cmp(pack_text(x, i), pack_text(y, k));
	if (x->type == TYPE_DECIMAL)
		return order_of(decimal_code(pack_decimal(x, i)), decimal_code(pack_decimal(y, k)));
	return order_of(code_of(x, i), code_of(y, k));
}

/* All of the order, for rows whose keys do not tell. */
static bool row_before(const struct row_sorter *s, uint32_t a, uint32_t b)
{
	const struct contract *c = s->contract;
	int order = 0;

	for (size_t i = 0; i < c->n_sort && order == 0; i++) {
		order = cells_compare(cell(s, a, c->sort[i]), AT(a), cell(s, b, c->sort[i]), AT(b));
		order = c->sort_descending[i] ? -order : order;
	}
	if (order == 0)
		order = cells_compare(cell(s, a, s->page_column), AT(a), cell(s, b, s->page_column), AT(b));
	if (order == 0)
		order = cells_compare(cell(s, a, s->off_column), AT(a), cell(s, b, s->off_column), AT(b));
	return order < 0;
}

/* Runs of a few by insertion, then merged from one array into the other and back. `before` is known when it is compiled. */
#define MERGE_SORT(name, type, before)                                                                    \
	static void name(const struct row_sorter *s, type *v, type *spare, size_t n)                      \
	{                                                                                                 \
		(void)s;                                                                                  \
		for (size_t at = 0; at < n; at += INSERTION_ROWS) {                                       \
			size_t end = n - at < INSERTION_ROWS ? n : at + INSERTION_ROWS;                   \
			for (size_t i = at + 1; i < end; i++) {                                           \
				type x = v[i];                                                            \
				size_t k = i;                                                             \
				for (; k > at && before(x, v[k - 1]); k--)                                \
					v[k] = v[k - 1];                                                  \
				v[k] = x;                                                                 \
			}                                                                                 \
		}                                                                                         \
		type *from = v, *to = spare;                                                              \
		for (size_t run = INSERTION_ROWS; run < n; run *= 2) {                                    \
			for (size_t at = 0; at < n; at += 2 * run) {                                      \
				size_t a = at, mid = n - at < run ? n : at + run;                         \
				size_t b = mid, end = n - mid < run ? n : mid + run;                      \
				if (mid == end || !before(from[mid], from[mid - 1])) {                    \
					memcpy(to + at, from + at, (end - at) * sizeof v[0]);             \
					continue;                                                         \
				}                                                                         \
				for (size_t i = at; i < end; i++)                                         \
					to[i] = b == end || (a < mid && !before(from[b], from[a]))        \
							? from[a++] : from[b++];                          \
			}                                                                                 \
			type *other = from;                                                               \
			from = to;                                                                        \
			to = other;                                                                       \
		}                                                                                         \
		if (from != v)                                                                            \
			memcpy(v, from, n * sizeof v[0]);                                                 \
	}

#define KEY_BEFORE(a, b) ((a) < (b))
#define ROW_BEFORE(a, b) row_before(s, (a), (b))
MERGE_SORT(sort_keys, uint128, KEY_BEFORE)
MERGE_SORT(sort_rows, uint32_t, ROW_BEFORE)

/* Pages and offsets go upwards as the rows come. It is so in all ledgers; where not, they are compared. */
static bool came_in_order(const struct row_sorter *s, const uint32_t *rows, size_t n)
{
	int64_t last_page = INT64_MIN, last_off = INT64_MIN;

	for (size_t i = 0; i < n; i++) {
		int64_t page = pack_number(cell(s, rows[i], s->page_column), AT(rows[i]));
		int64_t off = pack_number(cell(s, rows[i], s->off_column), AT(rows[i]));
		if (page < last_page || (page == last_page && off < last_off))
			return false;
		last_page = page;
		last_off = off;
	}
	return true;
}

static void range_sort(struct row_sorter *s, size_t first, size_t n)
{
	const uint32_t *rows = s->rows + first;
	uint32_t *sorted = s->sorted + first;
	unsigned index_bits = n < 2 ? 1 : bits_for(n - 1);
	uint128 index_mask = ((uint128)1 << index_bits) - 1;
	bool in_order = true;

	keys_make(s, rows, n, index_bits);
	for (size_t i = 1; i < n && in_order; i++)
		in_order = s->keys[i - 1] < s->keys[i];
	if (!in_order)
		sort_keys(s, s->keys, s->spare, n);
	for (size_t i = 0; i < n; i++)
		sorted[i] = rows[(size_t)(s->keys[i] & index_mask)];
	if (s->exact && came_in_order(s, rows, n))
		return;
	for (size_t at = 0, end; at < n; at = end) {
		for (end = at + 1; end < n && s->keys[end] >> index_bits == s->keys[at] >> index_bits; end++)
			;
		if (end > at + 1)
			sort_rows(s, sorted + at, (uint32_t *)s->codes, end - at);
	}
}

static void *array_new(void *old, size_t n, size_t size)
{
	mem_free(old);
	return mem_alloc(mem_size(n, size));
}

static void arrays_grow(struct row_sorter *s)
{
	if (s->n <= s->cap)
		return;
	s->cap = (s->n + BATCH_ROWS) / BATCH_ROWS * BATCH_ROWS;
	s->rows = array_new(s->rows, s->cap, sizeof s->rows[0]);
	s->sorted = array_new(s->sorted, s->cap, sizeof s->sorted[0]);
	s->keys = array_new(s->keys, s->cap, sizeof s->keys[0]);
	s->spare = array_new(s->spare, s->cap, sizeof s->spare[0]);
	s->codes = (uint64_t *)s->spare;
}

void row_sorter_sort(struct row_sorter *s)
{
	size_t n = 0;

	if (s->n == 0)
		return;
	arrays_grow(s);
	for (size_t k = 0; k < s->packs.n; k++)
		for (size_t i = 0; i < s->packs.v[k]->n_rows; i++)
			s->rows[n++] = (uint32_t)(k << ROW_BITS | i);
	CHECK(n == s->n);
	for (size_t i = 0; i < s->ranges.n; i++) {
		size_t end = i + 1 < s->ranges.n ? s->ranges.v[i + 1].first : s->n;
		range_sort(s, s->ranges.v[i].first, end - s->ranges.v[i].first);
	}
	for (size_t i = 0; i < s->n_columns; i++) {
		size_t valid = 0;
		for (size_t k = 0; k < s->packs.n; k++)
			valid += s->packs.v[k]->columns[i].n_valid;
		s->all_valid[i] = valid == s->n;
		s->none_valid[i] = valid == 0;
	}
}

/* ── giving ── */

/* Rows of one pack follow one another mostly: what its column is like is asked once for all of them. */
#define GATHER(member, type, value)                                                                       \
	do {                                                                                              \
		for (size_t i = 0; i < n; i++)                                                            \
			to->member[at + i] = (type)(value);                                               \
	} while (0)
#define GATHER_NUMBERS(member, type)                                                                      \
	do {                                                                                              \
		switch (c->width) {                                                                       \
		case PACK_EQUAL:                                                                          \
			GATHER(member, type, c->base);                                                    \
			return;                                                                           \
		case 1:                                                                                   \
			GATHER(member, type, c->base + c->w1[AT(rows[i])]);                               \
			return;                                                                           \
		case 2:                                                                                   \
			GATHER(member, type, c->base + c->w2[AT(rows[i])]);                               \
			return;                                                                           \
		case 4:                                                                                   \
			GATHER(member, type, c->base + c->w4[AT(rows[i])]);                               \
			return;                                                                           \
		default:                                                                                  \
			GATHER(member, type, c->w8[AT(rows[i])]);                                         \
			return;                                                                           \
		}                                                                                         \
	} while (0)

/* Values of `n` rows of one pack; what comes out for NULLs means nothing. */
static void values_gather(const struct pack_column *c, struct batch_column *to, size_t at, const uint32_t *rows, size_t n)
{
	if (c->n_valid == 0)
		return;
	switch (to->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		for (size_t i = 0; i < n; i++)
			to->s[at + i] = pack_text(c, AT(rows[i]));
		return;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
	case TYPE_DOUBLE: /* its bits: one member of the union stands for both */
		GATHER_NUMBERS(i64, int64_t);
	case TYPE_DECIMAL:
		GATHER(i128, int128, pack_decimal(c, AT(rows[i])));
		return;
	case TYPE_DATE:
		GATHER_NUMBERS(i32, int32_t);
	default:
		CHECK(to->type == TYPE_BOOLEAN);
		GATHER_NUMBERS(b, uint8_t);
	}
}

static void valid_set(struct batch_column *to, size_t from, size_t end)
{
	for (; from < end && from % 64 > 0; from++)
		batch_set_valid(to, from);
	for (; end - from >= 64; from += 64)
		to->valid[from / 64] = UINT64_MAX;
	for (; from < end; from++)
		batch_set_valid(to, from);
}

static void column_gather(const struct row_sorter *s, size_t column, struct batch_column *to, size_t at,
			  const uint32_t *rows, size_t n)
{
	if (s->all_valid[column])
		valid_set(to, at, at + n);
	else
		for (size_t i = 0; i < n; i++)
			if (pack_is_valid(cell(s, rows[i], column), AT(rows[i])))
				batch_set_valid(to, at + i);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && rows[end] >> ROW_BITS == rows[i] >> ROW_BITS; end++)
			;
		values_gather(cell(s, rows[i], column), to, at + i, rows + i, end - i);
	}
}

size_t row_sorter_emit(struct row_sorter *s, struct batch *out)
{
	size_t n = s->n - s->emitted, room = BATCH_ROWS - out->n_rows;

	n = n < room ? n : room;
	for (size_t i = 0; n > 0 && i < s->n_columns; i++)
		if (!s->none_valid[i])
			column_gather(s, i, &out->columns[i], out->n_rows, s->sorted + s->emitted, n);
	out->n_rows += n;
	s->emitted += n;
	return n;
}
