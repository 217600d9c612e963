/* Types, rule kinds and actions by name; single values as text. */
#include "base/check.h"
#include "base/json.h"
#include "contract/contract_internal.h"

#include <string.h>

const char *column_type_name(enum column_type t)
{
	static const char *const names[TYPE_COUNT] = { "string", "boolean", "integer",   "decimal",
						       "double", "date",    "timestamp", "json" };
	CHECK(t < TYPE_COUNT);
	return names[t];
}

const char *rule_kind_name(enum rule_kind k)
{
	static const char *const names[RULE_COUNT] = { "type",       "required", "minimum",  "maximum",
						       "min_length", "max_length", "pattern", "accepted",
						       "key",        "window",   "record",   "unique" };
	CHECK(k < RULE_COUNT);
	return names[k];
}

const char *rule_action_name(enum rule_action a)
{
	static const char *const names[] = { "warn", "quarantine", "fail" };
	CHECK(a <= ACTION_FAIL);
	return names[a];
}

static bool is_json_number(struct str text)
{
	const char *fault;
	size_t at;
	if (text.n == 0 || text.n > 4096 || !(text.p[0] == '-' || (text.p[0] >= '0' && text.p[0] <= '9')))
		return false;
	return text.p[text.n - 1] >= '0' && text.p[text.n - 1] <= '9' && json_valid(text, 1, &fault, &at);
}

static bool timestamp_from_text(struct str text, int64_t *us)
{
	bool more_digits = false;
	return us_from_rfc3339(text, us, &more_digits) && !more_digits;
}

bool scalar_from_text(const struct column *c, struct str text, struct arena *a, union scalar *out)
{
	int32_t days;
	*out = (union scalar){ 0 };
	switch (c->type) {
	case TYPE_STRING:
		out->s = arena_copy(a, text);
		return str_is_utf8(text);
	case TYPE_BOOLEAN:
		out->i64 = str_eq_z(text, "true");
		return out->i64 || str_eq_z(text, "false");
	case TYPE_INTEGER:
		return is_json_number(text) && number_to_i64(text, &out->i64) == NUMBER_OK;
	case TYPE_DECIMAL:
		return is_json_number(text) &&
		       number_to_decimal(text, c->precision, c->scale, &out->i128) == NUMBER_OK;
	case TYPE_DOUBLE:
		if (!is_json_number(text))
			return false;
		enum number_verdict v = number_to_double(text, &out->f64);
		return v == NUMBER_OK || v == NUMBER_INEXACT; /* a bound is the nearest double, as in any language */
	case TYPE_DATE:
		if (!days_from_text(text, &days))
			return false;
		out->i64 = days;
		return true;
	case TYPE_TIMESTAMP:
		return timestamp_from_text(text, &out->i64);
	case TYPE_JSON:
	case TYPE_COUNT:
		break;
	}
	return false;
}

struct str scalar_to_text(const struct column *c, union scalar v, struct arena *a)
{
	switch (c->type) {
	case TYPE_BOOLEAN:
		return v.i64 ? STR("true") : STR("false");
	case TYPE_INTEGER:
		return arena_format(a, "%lld", (long long)v.i64);
	case TYPE_DECIMAL:
		return decimal_to_text(v.i128, c->scale, a);
	case TYPE_DOUBLE:
		return double_to_text(v.f64, a);
	case TYPE_DATE: {
		struct civil d = civil_from_us(v.i64 * US_PER_DAY);
		return arena_format(a, "%04d-%02u-%02u", d.year, d.month, d.day);
	}
	case TYPE_TIMESTAMP:
		return us_to_rfc3339(v.i64, a);
	case TYPE_STRING:
	case TYPE_JSON:
	case TYPE_COUNT:
		break;
	}
	return v.s;
}

int scalar_cmp(enum column_type t, union scalar x, union scalar y)
{
	switch (t) {
	case TYPE_DECIMAL:
		return (x.i128 > y.i128) - (x.i128 < y.i128);
	case TYPE_DOUBLE:
		return (x.f64 > y.f64) - (x.f64 < y.f64);
	case TYPE_STRING:
	case TYPE_JSON:
		return str_cmp(x.s, y.s);
	default:
		return (x.i64 > y.i64) - (x.i64 < y.i64);
	}
}

size_t contract_column(const struct contract *c, struct str name)
{
	size_t low = 0, high = c->n_columns;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(c->columns[c->by_name[middle]].name, name);
		if (order == 0)
			return c->by_name[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return SIZE_MAX;
}

size_t contract_rule(const struct contract *c, enum rule_kind kind, size_t column)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (c->rules[i].kind == kind && c->rules[i].column == column)
			return i;
	return SIZE_MAX;
}
