#include "prepare/record_value.h"

#include "base/check.h"

#include <string.h>

static const char why_fraction[] = "digits beyond the scale";
static const char why_fraction_integer[] = "digits below the unit";
static const char why_range[] = "out of range";
static const char why_inexact[] = "a double cannot hold this value exactly";
static const char why_surrogate[] = "a lone surrogate escape stands for no character";
static const char why_digits[] = "digits beyond the microsecond";
static const char why_string[] = "a string is expected";
static const char why_number[] = "a number is expected";
static const char why_boolean[] = "true or false is expected";
static const char why_date[] = "no such date in the expected form";
static const char why_timestamp[] = "no such instant in the expected form";
static const char why_wall_time[] = "the clocks of the column's zone never show this time: they are put forward over it";

static enum value_verdict bad(const char *reason, const char **why)
{
	*why = reason;
	return VALUE_BAD;
}

/* ── numbers ── */

enum shorten { SHORTEN_HALF_UP /* away from zero */, SHORTEN_DOWN /* towards the past */ };

/* For a text that number_to_decimal() found to have digits other than 0 beyond the scale. */
static bool decimal_shorten(struct str text, unsigned precision, unsigned scale, enum shorten how, int128 *out)
{
	bool negative = text.n > 0 && text.p[0] == '-', round_up = false;
	size_t mark = 0, point;
	int64_t exponent = 0, weight;
	uint128 v = 0, limit = 1;
	struct str digits = str_sub(text, negative ? 1 : 0, text.n);

	while (mark < digits.n && (digits.p[mark] | 0x20) != 'e')
		mark++;
	if (mark < digits.n) {
		struct str e = str_sub(digits, mark + 1, digits.n);
		bool minus = e.n > 0 && e.p[0] == '-';
		for (size_t i = minus || (e.n > 0 && e.p[0] == '+') ? 1 : 0; i < e.n; i++)
			if (exponent < INT64_C(1) << 50)
				exponent = exponent * 10 + (e.p[i] - '0');
		exponent = minus ? -exponent : exponent;
	}
	digits.n = mark;
	point = str_find_char(digits, '.');
	for (unsigned i = 0; i < precision; i++)
		limit *= 10;
	weight = (int64_t)point - 1 + exponent; /* power of ten of the digit at hand */
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] == '.')
			continue;
		if (weight >= -(int64_t)scale)
			v = v * 10 + (unsigned)(digits.p[i] - '0');
		else if (weight == -(int64_t)scale - 1)
			round_up = digits.p[i] >= '5';
		if (v >= limit)
			return false;
		weight--;
	}
	v += how == SHORTEN_HALF_UP ? round_up : negative;
	*out = negative ? -(int128)v : (int128)v;
	return v < limit;
}

static enum value_verdict decimal_read(const struct column *c, struct str text, int128 *out, const char **why)
{
	switch (number_to_decimal(text, c->precision, c->scale, out)) {
	case NUMBER_OK:
		return VALUE_OK;
	case NUMBER_FRACTION:
		if (c->inexact != INEXACT_COUNT)
			return bad(why_fraction, why);
		return decimal_shorten(text, c->precision, c->scale, SHORTEN_HALF_UP, out) ? VALUE_INEXACT : bad(why_range, why);
	default:
		return bad(why_range, why);
	}
}

static enum value_verdict integer_read(struct str text, int64_t *out, const char **why)
{
	switch (number_to_i64(text, out)) {
	case NUMBER_OK:
		return VALUE_OK;
	case NUMBER_FRACTION:
		return bad(why_fraction_integer, why);
	default:
		return bad(why_range, why);
	}
}

static enum value_verdict double_read(const struct column *c, struct str text, double *out, const char **why)
{
	switch (number_to_double(text, out)) {
	case NUMBER_OK:
		return VALUE_OK;
	case NUMBER_INEXACT:
		return c->inexact == INEXACT_COUNT ? VALUE_INEXACT : bad(why_inexact, why);
	default:
		return bad(why_range, why);
	}
}

/* ── days and instants ── */

static enum value_verdict cut_allowed(const struct column *c, bool more_digits, const char **why)
{
	if (!more_digits)
		return VALUE_OK;
	return c->inexact == INEXACT_COUNT ? VALUE_INEXACT : bad(why_digits, why);
}

/* A time that the clocks show twice is the first of the two, and counted; one that they never show is no instant. */
static enum value_verdict wall_allowed(enum wall_time wall, enum value_verdict v, const char **why)
{
	if (wall == WALL_NEVER && v != VALUE_BAD)
		return bad(why_wall_time, why);
	return wall == WALL_TWICE && v == VALUE_OK ? VALUE_INEXACT : v;
}

static bool us_is_sound(int64_t us)
{
	static const int64_t min = INT64_C(-62167219200000000), max = INT64_C(253402300799999999); /* years 0 to 9999 */
	return us >= min && us <= max;
}

static enum value_verdict epoch_read(const struct column *c, struct str text, unsigned scale, int64_t *us,
				     const char **why)
{
	bool more = false;
	int128 v;

	switch (number_to_decimal(text, 38, scale, &v)) {
	case NUMBER_OK:
		break;
	case NUMBER_FRACTION:
		more = true;
		if (decimal_shorten(text, 38, scale, SHORTEN_DOWN, &v))
			break;
		return bad(why_range, why);
	default:
		return bad(why_range, why);
	}
	if (v < INT64_MIN || v > INT64_MAX || !us_is_sound((int64_t)v))
		return bad(why_range, why);
	*us = (int64_t)v;
	return cut_allowed(c, more, why);
}

static enum value_verdict timestamp_from_number(const struct column *c, struct str text, int64_t *us, const char **why)
{
	for (size_t i = 0; i < c->n_formats; i++) {
		if (str_eq_z(c->formats[i], "epoch_s"))
			return epoch_read(c, text, 6, us, why);
		if (str_eq_z(c->formats[i], "epoch_ms"))
			return epoch_read(c, text, 3, us, why);
	}
	return bad(why_string, why);
}

static enum value_verdict timestamp_from_string(const struct column *c, struct str text, int64_t *us, const char **why)
{
	enum wall_time wall = WALL_ONCE;
	bool more = false;

	if (c->n_formats == 0)
		return us_from_rfc3339(text, us, &more) ? cut_allowed(c, more, why) : bad(why_timestamp, why);
	for (size_t i = 0; i < c->n_formats; i++) {
		if (str_starts(c->formats[i], STR("epoch_")))
			continue;
		if (us_from_pattern(text, c->formats[i], c->zone, us, &more, &wall) && us_is_sound(*us))
			return wall_allowed(wall, cut_allowed(c, more, why), why);
	}
	return bad(why_timestamp, why);
}

static enum value_verdict date_from_string(const struct column *c, const struct zone *utc, struct str text, int32_t *days,
					   const char **why)
{
	bool more = false;
	int64_t us;

	if (c->n_formats == 0)
		return days_from_text(text, days) ? VALUE_OK : bad(why_date, why);
	for (size_t i = 0; i < c->n_formats; i++) {
		if (!us_from_pattern(text, c->formats[i], utc, &us, &more, NULL) || !us_is_sound(us))
			continue;
		if (more || floor_rest(us, US_PER_DAY) != 0)
			return bad("a date with a time of day", why);
		*days = (int32_t)floor_div(us, US_PER_DAY);
		return VALUE_OK;
	}
	return bad(why_date, why);
}

/* ── by the kind of JSON value ── */

static bool is_null_text(const struct column *c, struct str text)
{
	for (size_t i = 0; i < c->n_null_texts; i++)
		if (str_eq(text, c->null_texts[i]))
			return true;
	return false;
}

static enum value_verdict read_string(const struct column *c, const struct zone *utc, const struct value *v,
				      struct batch_column *out, size_t row, struct arena *a, const char **why)
{
	struct str text = v->text;

	if (v->escaped && !json_unescape(v->text, a, &text)) {
		if (c->type != TYPE_JSON)
			return bad(why_surrogate, why);
		text = STR_NONE;
	} else if (c->n_null_texts > 0 && is_null_text(c, text)) {
		return VALUE_NULL;
	}
	switch (c->type) {
	case TYPE_STRING:
		out->s[row] = text;
		return VALUE_OK;
	case TYPE_JSON:
		out->s[row] = v->raw;
		return VALUE_OK;
	case TYPE_TIMESTAMP:
		return timestamp_from_string(c, text, &out->i64[row], why);
	case TYPE_DATE:
		return date_from_string(c, utc, text, &out->i32[row], why);
	case TYPE_BOOLEAN:
		return bad(why_boolean, why);
	default:
		return bad(why_number, why);
	}
}

static enum value_verdict read_number(const struct column *c, const struct value *v, struct batch_column *out, size_t row,
				      const char **why)
{
	switch (c->type) {
	case TYPE_INTEGER:
		return integer_read(v->text, &out->i64[row], why);
	case TYPE_DECIMAL:
		return decimal_read(c, v->text, &out->i128[row], why);
	case TYPE_DOUBLE:
		return double_read(c, v->text, &out->f64[row], why);
	case TYPE_TIMESTAMP:
		return timestamp_from_number(c, v->text, &out->i64[row], why);
	case TYPE_JSON:
		out->s[row] = v->raw;
		return VALUE_OK;
	case TYPE_BOOLEAN:
		return bad(why_boolean, why);
	default:
		return bad(why_string, why);
	}
}

static enum value_verdict read_other(const struct column *c, const struct value *v, struct batch_column *out, size_t row,
				     const char **why)
{
	static const char *const expected[TYPE_COUNT] = {
		[TYPE_STRING] = why_string,   [TYPE_BOOLEAN] = why_boolean, [TYPE_INTEGER] = why_number,
		[TYPE_DECIMAL] = why_number,  [TYPE_DOUBLE] = why_number,   [TYPE_DATE] = why_string,
		[TYPE_TIMESTAMP] = why_string,
	};

	if (c->type == TYPE_JSON) {
		out->s[row] = v->raw;
		return VALUE_OK;
	}
	if (c->type == TYPE_BOOLEAN && (v->event == JSON_TRUE || v->event == JSON_FALSE)) {
		out->b[row] = v->event == JSON_TRUE;
		return VALUE_OK;
	}
	CHECK(c->type < TYPE_COUNT);
	return bad(expected[c->type], why);
}

enum value_verdict value_read(const struct column *c, const struct zone *utc, const struct value *v,
			      struct batch_column *out, size_t row, struct arena *a, const char **why)
{
	*why = NULL;
	switch (v->event) {
	case JSON_NULL:
		return VALUE_NULL;
	case JSON_STRING:
		return read_string(c, utc, v, out, row, a, why);
	case JSON_NUMBER:
		return read_number(c, v, out, row, why);
	default:
		return read_other(c, v, out, row, why);
	}
}
