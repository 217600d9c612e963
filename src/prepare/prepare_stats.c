#include "prepare/prepare_stats.h"

#include "base/check.h"
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void stats_begin(struct stats *s, const struct batch_shape *shape, size_t n_columns)
{
	memset(s, 0, sizeof *s);
	s->shape = shape;
	s->n = n_columns < STATS_COLUMNS ? n_columns : STATS_COLUMNS;
}

/* ── gathering ── */

/* For all columns of numbers: one tight loop, NULLs apart. */
#define EACH_VALID(c, rows, body)                                                                   \
	for (size_t word = 0; word * 64 < (rows); word++)                                           \
		for (uint64_t left = (c)->valid[word]; left != 0; left &= left - 1) {               \
			size_t i = word * 64 + (size_t)__builtin_ctzll(left);                       \
			body;                                                                       \
		}

#define BOUNDS(member, type, field)                                             \
	do {                                                                    \
		type low = k->any ? (type)k->min.field : c->member[first];      \
		type high = k->any ? (type)k->max.field : c->member[first];     \
		EACH_VALID(c, rows, {                                           \
			type x = c->member[i];                                  \
			low = x < low ? x : low;                                \
			high = x > high ? x : high;                             \
		})                                                              \
		k->min.field = low;                                             \
		k->max.field = high;                                            \
	} while (0)

static size_t first_valid(const struct batch_column *c, size_t rows)
{
	EACH_VALID(c, rows, return i)
	return rows;
}

static struct str text_prefix(struct str s)
{
	size_t chars = 0, i = 0;

	if (s.n <= STATS_TEXT_CHARS)
		return s;
	for (; i < s.n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80 && chars++ == STATS_TEXT_CHARS)
			break;
	return (struct str){ s.p, i };
}

static void text_set(struct stats_text *t, struct str prefix, bool cut)
{
	CHECK(prefix.n <= sizeof t->bytes);
	if (prefix.n > 0)
		memcpy(t->bytes, prefix.p, prefix.n);
	t->n = (uint8_t)prefix.n;
	t->cut = cut;
}

static void text_bounds(struct column_stats *k, const struct batch_column *c, size_t rows)
{
	struct str last = STR_NONE;

	EACH_VALID(c, rows, {
		struct str s = c->s[i];
		struct str prefix;
		int order;

		/* Between the bounds by its first byte, or the same as the value before: most texts are done here. */
		if (k->any && s.n > 0 && k->min_text.n > 0 && k->max_text.n > 0 &&
		    (unsigned char)s.p[0] > (unsigned char)k->min_text.bytes[0] &&
		    (unsigned char)s.p[0] < (unsigned char)k->max_text.bytes[0])
			continue;
		if (k->any && s.n == last.n && s.n > 0 && memcmp(s.p, last.p, s.n) == 0)
			continue;
		last = s;
		prefix = text_prefix(s);
		if (!k->any || str_cmp(prefix, (struct str){ k->min_text.bytes, k->min_text.n }) < 0)
			text_set(&k->min_text, prefix, prefix.n < s.n);
		order = k->any ? str_cmp(prefix, (struct str){ k->max_text.bytes, k->max_text.n }) : 1;
		if (order > 0)
			text_set(&k->max_text, prefix, prefix.n < s.n);
		else if (order == 0 && prefix.n < s.n)
			k->max_text.cut = true;
		k->any = true;
	})
}

static void double_bounds(struct column_stats *k, const struct batch_column *c, size_t rows)
{
	EACH_VALID(c, rows, {
		double x = c->f64[i];
		if (isnan(x)) {
			k->nan = true;
			continue;
		}
		k->min.f64 = k->any && k->min.f64 <= x ? k->min.f64 : x;
		k->max.f64 = k->any && k->max.f64 >= x ? k->max.f64 : x;
		k->any = true;
	})
}

static void column_add(struct column_stats *k, const struct batch_column *c, size_t rows)
{
	size_t first = first_valid(c, rows), n = 0;

	for (size_t word = 0; word * 64 < rows; word++)
		n += (size_t)__builtin_popcountll(c->valid[word]);
	k->nulls += rows - n;
	if (n == 0)
		return;
	switch (c->type) {
	case TYPE_STRING:
		text_bounds(k, c, rows);
		return;
	case TYPE_DOUBLE:
		double_bounds(k, c, rows);
		return;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		BOUNDS(i64, int64_t, i64);
		break;
	case TYPE_DECIMAL:
		BOUNDS(i128, int128, i128);
		break;
	case TYPE_DATE:
		BOUNDS(i32, int32_t, i64);
		break;
	default:
		return;
	}
	k->any = true;
}

void stats_add(struct stats *s, const struct batch *b)
{
	s->rows += b->n_rows;
	for (size_t i = 0; i < s->n; i++)
		column_add(&s->columns[i], &b->columns[i], b->n_rows);
}

/* ── telling ── */

/* Down for the smallest, up for the largest: readers that know milliseconds only must not skip a file for a part of one. */
static struct str instant_text(int64_t us, bool up, struct arena *a)
{
	int64_t ms = floor_div(us, 1000) + (up && floor_rest(us, 1000) != 0);
	struct civil c = civil_from_us(ms * 1000);

	return arena_format(a, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", c.year, c.month, c.day, c.hour, c.minute, c.second,
			    c.us / 1000);
}

static struct str date_text(int64_t days, struct arena *a)
{
	struct civil c = civil_from_us(days * US_PER_DAY);

	return arena_format(a, "%04d-%02u-%02u", c.year, c.month, c.day);
}

static struct str text_bound(const struct stats_text *t, bool beyond, struct arena *a)
{
	static const struct str last_code_point = { "\xf4\x8f\xbf\xbf", 4 };
	char *p = arena_alloc(a, t->n + last_code_point.n);

	memcpy(p, t->bytes, t->n);
	memcpy(p + t->n, last_code_point.p, last_code_point.n);
	return (struct str){ p, t->n + (beyond ? last_code_point.n : 0) };
}

static void bound_put(struct json_out *o, const struct batch_shape *s, const struct column_stats *k, bool up, struct arena *a)
{
	union scalar v = up ? k->max : k->min;
	const struct stats_text *t = up ? &k->max_text : &k->min_text;

	json_put_key(o, s->name);
	switch (s->type) {
	case TYPE_STRING: /* a cut maximum is followed by the last code point, so that no value is beyond it */
		json_put_str(o, NULL, text_bound(t, up && t->cut, a));
		break;
	case TYPE_INTEGER:
		json_put_i64(o, NULL, v.i64);
		break;
	case TYPE_DECIMAL:
		json_put_raw(o, NULL, decimal_to_text(v.i128, s->scale, a));
		break;
	case TYPE_DOUBLE: /* the zeros are equal to all readers, but not the same */
		json_put_raw(o, NULL, v.f64 == 0 ? (up ? STR("0.0") : STR("-0.0")) : double_to_text(v.f64, a));
		break;
	case TYPE_DATE:
		json_put_str(o, NULL, date_text(v.i64, a));
		break;
	default:
		json_put_str(o, NULL, instant_text(v.i64, up, a));
		break;
	}
}

static void bounds_put(struct json_out *o, const char *key, const struct stats *s, bool up, struct arena *a)
{
	json_begin_object(o, key);
	for (size_t i = 0; i < s->n; i++)
		if (s->columns[i].any && !s->columns[i].nan)
			bound_put(o, &s->shape[i], &s->columns[i], up, a);
	json_end_object(o);
}

struct str stats_json(const struct stats *s, struct arena *a)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json_out o = JSON_OUT(&b);

	json_begin_object(&o, NULL);
	json_put_u64(&o, "numRecords", s->rows);
	bounds_put(&o, "minValues", s, false, a);
	bounds_put(&o, "maxValues", s, true, a);
	json_begin_object(&o, "nullCount");
	for (size_t i = 0; i < s->n; i++) {
		json_put_key(&o, s->shape[i].name);
		json_put_u64(&o, NULL, s->columns[i].nulls);
	}
	json_end_object(&o);
	json_end_object(&o);
	return buf_take(&b, a);
}
