#include "contract/stats.h"

#include "base/check.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Enough of a text to cut it after STATS_TEXT code points, and to see that it is longer. */
enum { TEXT_BYTES = 4 * (STATS_TEXT + 1), STATS_JSON_MAX = 1 << 20 };

struct bound { /* of texts: the beginning, whole code points */
	union scalar v;
	char text[TEXT_BYTES];
	size_t text_n;
};

struct column_stats {
	struct batch_shape shape;
	uint64_t nulls;
	bool any, nan;
	struct bound min, max;
};

struct file_stats {
	size_t n;
	uint64_t rows;
	struct column_stats *columns;
};

struct file_stats *file_stats_new(const struct batch_shape *shape, size_t n_columns, struct arena *a)
{
	struct file_stats *s = arena_new(a, struct file_stats);
	s->n = n_columns < STATS_COLUMNS ? n_columns : STATS_COLUMNS;
	s->columns = arena_array(a, struct column_stats, s->n + 1);
	for (size_t i = 0; i < s->n; i++) {
		s->columns[i].shape = shape[i];
		s->columns[i].shape.name = arena_copy(a, shape[i].name);
	}
	return s;
}

void file_stats_clear(struct file_stats *s)
{
	s->rows = 0;
	for (size_t i = 0; i < s->n; i++)
		s->columns[i] = (struct column_stats){ .shape = s->columns[i].shape };
}

/* ── collecting ── */

/* The first TEXT_BYTES bytes decide: two texts that agree in them agree in every code point that is kept. */
static struct str text_head(struct str s)
{
	size_t n = s.n;
	if (n > TEXT_BYTES) {
		n = TEXT_BYTES;
		while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--;
	}
	return str_sub(s, 0, n);
}

static void bound_text(struct bound *b, struct str head)
{
	memcpy(b->text, head.n > 0 ? head.p : "", head.n);
	b->text_n = head.n;
}

static void add_text(struct column_stats *c, struct str s)
{
	struct str head = text_head(s);
	if (!c->any || str_cmp(head, (struct str){ c->min.text, c->min.text_n }) < 0)
		bound_text(&c->min, head);
	if (!c->any || str_cmp(head, (struct str){ c->max.text, c->max.text_n }) > 0)
		bound_text(&c->max, head);
	c->any = true;
}

#define ADD_VALUE(c, member, x)                          \
	do {                                             \
		if (!(c)->any || (x) < (c)->min.v.member) \
			(c)->min.v.member = (x);          \
		if (!(c)->any || (x) > (c)->max.v.member) \
			(c)->max.v.member = (x);          \
		(c)->any = true;                          \
	} while (0)

static void add_row(struct column_stats *c, const struct batch_column *from, size_t row)
{
	switch (c->shape.type) {
	case TYPE_STRING:
		add_text(c, from->s[row]);
		break;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		ADD_VALUE(c, i64, from->i64[row]);
		break;
	case TYPE_DATE:
		ADD_VALUE(c, i64, from->i32[row]);
		break;
	case TYPE_DECIMAL:
		ADD_VALUE(c, i128, from->i128[row]);
		break;
	case TYPE_DOUBLE:
		if (isnan(from->f64[row]))
			c->nan = true;
		else
			ADD_VALUE(c, f64, from->f64[row]);
		break;
	case TYPE_BOOLEAN:
	case TYPE_JSON:
	case TYPE_COUNT:
		break;
	}
}

void file_stats_add(struct file_stats *s, const struct batch *b, size_t from, size_t to)
{
	CHECK(from <= to && to <= b->n_rows && b->n_columns >= s->n);
	s->rows += to - from;
	for (size_t i = 0; i < s->n; i++) {
		struct column_stats *c = &s->columns[i];
		const struct batch_column *column = &b->columns[i];
		for (size_t row = from; row < to; row++)
			if (batch_is_valid(column, row))
				add_row(c, column, row);
			else
				c->nulls++;
	}
}

/* ── writing ── */

/* False: there is no such text. */
static bool instant_text(int64_t us, bool up, struct str *out, struct arena *a)
{
	int64_t ms = floor_div(us, 1000) + (up && floor_rest(us, 1000) > 0);
	if (ms < INT64_C(-62167219200000) || ms > INT64_C(253402300799999))
		return false;
	struct civil t = civil_from_us(ms * 1000);
	*out = arena_format(a, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", t.year, t.month, t.day, t.hour, t.minute, t.second,
			    t.us / 1000);
	return true;
}

static bool date_text(int64_t days, struct str *out, struct arena *a)
{
	if (days < -719528 || days > 2932896)
		return false;
	struct civil t = civil_from_us(days * US_PER_DAY);
	*out = arena_format(a, "%04d-%02u-%02u", t.year, t.month, t.day);
	return true;
}

/* For the maximum the place of the cut must be a code point that can be made greater. */
static bool cut_text(const struct bound *b, bool up, struct str *out, struct arena *a)
{
	static const char greatest[] = "\xf4\x8f\xbf\xbf";
	struct str rest = { b->text, b->text_n };
	size_t count = 0;
	while (rest.n > 0 && (count < STATS_TEXT || (up && str_starts(rest, STR("\xf4\x8f\xbf\xbf"))))) {
		size_t n = str_utf8_char(rest);
		rest = str_sub(rest, n > 0 ? n : 1, rest.n);
		count++;
	}
	struct str head = { b->text, b->text_n - rest.n };
	if (rest.n == 0 && b->text_n + 3 >= TEXT_BYTES && up)
		return false; /* all U+10FFFF, and perhaps more behind it */
	*out = rest.n > 0 && up ? arena_format(a, "%.*s%s", STR_ARG(head), greatest) : arena_copy(a, head);
	return true;
}

static void bound_put(struct json_out *o, const struct column_stats *c, const struct bound *b, bool up, struct arena *a)
{
	struct str text;
	json_put_key(o, c->shape.name);
	switch (c->shape.type) {
	case TYPE_STRING:
		if (cut_text(b, up, &text, a))
			json_put_str(o, NULL, text);
		else
			json_put_null(o, NULL);
		break;
	case TYPE_TIMESTAMP:
		CHECK(instant_text(b->v.i64, up, &text, a));
		json_put_str(o, NULL, text);
		break;
	case TYPE_DATE:
		CHECK(date_text(b->v.i64, &text, a));
		json_put_str(o, NULL, text);
		break;
	case TYPE_DECIMAL:
		json_put_raw(o, NULL, decimal_to_text(b->v.i128, c->shape.scale, a));
		break;
	case TYPE_DOUBLE:
		json_put_raw(o, NULL, double_to_text(b->v.f64, a));
		break;
	default:
		json_put_i64(o, NULL, b->v.i64);
	}
}

static bool has_bounds(const struct column_stats *c, struct arena *a)
{
	struct str text;
	switch (c->shape.type) {
	case TYPE_DOUBLE:
		return c->any && !c->nan && !isinf(c->min.v.f64) && !isinf(c->max.v.f64);
	case TYPE_TIMESTAMP:
		return c->any && instant_text(c->min.v.i64, false, &text, a) && instant_text(c->max.v.i64, true, &text, a);
	case TYPE_DATE:
		return c->any && date_text(c->min.v.i64, &text, a) && date_text(c->max.v.i64, &text, a);
	case TYPE_STRING:
		return c->any && cut_text(&c->max, true, &text, a);
	default:
		return c->any;
	}
}

struct str file_stats_json(const struct file_stats *s, struct arena *a)
{
	struct buf b = BUF_INIT(STATS_JSON_MAX);
	struct json_out o = JSON_OUT(&b);

	json_begin_object(&o, NULL);
	json_put_u64(&o, "numRecords", s->rows);
	for (int up = 0; up < 2; up++) {
		json_begin_object(&o, up ? "maxValues" : "minValues");
		for (size_t i = 0; i < s->n; i++) {
			const struct column_stats *c = &s->columns[i];
			if (has_bounds(c, a))
				bound_put(&o, c, up ? &c->max : &c->min, up, a);
		}
		json_end_object(&o);
	}
	json_begin_object(&o, "nullCount");
	for (size_t i = 0; i < s->n; i++) {
		json_put_key(&o, s->columns[i].shape.name);
		json_put_u64(&o, NULL, s->columns[i].nulls);
	}
	json_end_object(&o);
	json_end_object(&o);
	return buf_take(&b, a);
}
