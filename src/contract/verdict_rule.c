/* Each rule is a plain loop over a column: 64 values are compared without a branch into one flag, and only where that
 * is set the bits are made. Values of NULLs are compared too (they are some number) and masked afterwards; texts are
 * looked at only where there are any. */
#include "contract/verdict_rule.h"

#include "base/check.h"

#include <string.h>

/* Enough for any honest pattern on a text of some kilobytes; about a millisecond for one that runs away. */
enum { MATCH_LIMIT = 1000000, DEPTH_LIMIT = 10000, HEAP_LIMIT_KIB = 8192, STACK_MIN = 32 << 10, STACK_MAX = 1 << 20 };

#define FAIL_BITS(values, fails)                                                      \
	for (size_t w = 0; w < e->words; w++) {                                       \
		uint64_t bits = 0;                                                    \
		unsigned any = 0;                                                     \
		for (size_t i = w * 64; i < w * 64 + 64; i++)                         \
			any |= (unsigned)(fails((values)[i]));                        \
		if (any)                                                              \
			for (size_t i = 0; i < 64; i++)                               \
				bits |= (uint64_t)(fails((values)[w * 64 + i])) << i; \
		out->w[w] = bits & e->column->valid[w];                               \
	}

/* Written as "not inside", so that NaN, which no bound holds, fails. */
#define BELOW(x) (!((x) >= limit))
#define BELOW_OR_AT(x) (!((x) > limit))
#define ABOVE(x) (!((x) <= limit))
#define ABOVE_OR_AT(x) (!((x) < limit))

#define DEFINE_BOUND(name, type)                                                                   \
	static void name(const struct evaluation *e, const type *values, type limit, struct rows *out) \
	{                                                                                          \
		bool low = e->rule->kind == RULE_MINIMUM;                                          \
		if (low && !e->rule->exclusive)                                                    \
			FAIL_BITS(values, BELOW)                                                   \
		else if (low)                                                                      \
			FAIL_BITS(values, BELOW_OR_AT)                                             \
		else if (!e->rule->exclusive)                                                      \
			FAIL_BITS(values, ABOVE)                                                   \
		else                                                                               \
			FAIL_BITS(values, ABOVE_OR_AT)                                             \
	}

DEFINE_BOUND(bound_i64, int64_t)
DEFINE_BOUND(bound_i32, int32_t)
DEFINE_BOUND(bound_i128, int128)
DEFINE_BOUND(bound_f64, double)

static void bound_evaluate(const struct evaluation *e, struct rows *out)
{
	const struct batch_column *c = e->column;
	switch (c->type) {
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		bound_i64(e, c->i64, e->rule->bound.i64, out);
		return;
	case TYPE_DATE:
		bound_i32(e, c->i32, (int32_t)e->rule->bound.i64, out);
		return;
	case TYPE_DECIMAL:
		bound_i128(e, c->i128, e->rule->bound.i128, out);
		return;
	case TYPE_DOUBLE:
		bound_f64(e, c->f64, e->rule->bound.f64, out);
		return;
	default:
		CHECK(c->type == TYPE_DOUBLE); /* contract_rule.c lets no other type have a bound */
	}
}

static void window_evaluate(const struct evaluation *e, struct rows *out)
{
	const int64_t *values = e->column->i64;
	int64_t from = e->from_us, to = e->to_us;
#define OUTSIDE(x) ((x) < from || ((x) >= to && to != INT64_MAX))
	FAIL_BITS(values, OUTSIDE)
#undef OUTSIDE
}

/* ── what looks at each value ── */

static size_t code_points(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static bool length_fails(const struct rule *r, struct str s)
{
	if (r->kind == RULE_MIN_LENGTH)
		return s.n / 4 < r->length && code_points(s) < r->length;
	return s.n > r->length && code_points(s) > r->length;
}

static bool text_in(const struct rule *r, struct str s)
{
	size_t low = 0, high = r->n_accepted;
	if (r->n_accepted <= 8) {
		for (size_t i = 0; i < high; i++)
			if (r->accepted_values[i].s.n == s.n && str_eq(r->accepted_values[i].s, s))
				return true;
		return false;
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(r->accepted_values[middle].s, s);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool scalar_in(const struct rule *r, enum column_type t, union scalar v)
{
	size_t low = 0, high = r->n_accepted;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = scalar_cmp(t, r->accepted_values[middle], v);
		if (order == 0)
			return t != TYPE_DOUBLE || v.f64 == r->accepted_values[middle].f64; /* NaN is in no order */
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool accepted_fails(const struct evaluation *e, size_t row)
{
	const struct batch_column *c = e->column;
	union scalar v = { 0 };
	switch (c->type) {
	case TYPE_STRING:
		return !text_in(e->rule, c->s[row]);
	case TYPE_DECIMAL:
		v.i128 = c->i128[row];
		break;
	case TYPE_DOUBLE:
		v.f64 = c->f64[row];
		break;
	case TYPE_DATE:
		v.i64 = c->i32[row];
		break;
	case TYPE_BOOLEAN:
		v.i64 = c->b[row];
		break;
	default:
		v.i64 = c->i64[row];
	}
	return !scalar_in(e->rule, c->type, v);
}

void matcher_init(struct pattern_matcher *m)
{
	m->context = pcre2_match_context_create(NULL);
	m->data = pcre2_match_data_create(1, NULL);
	m->stack = pcre2_jit_stack_create(STACK_MIN, STACK_MAX, NULL);
	if (!m->context || !m->data || !m->stack)
		mem_exhausted(STACK_MAX);
	pcre2_set_match_limit(m->context, MATCH_LIMIT);
	pcre2_set_depth_limit(m->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(m->context, HEAP_LIMIT_KIB);
	pcre2_jit_stack_assign(m->context, NULL, m->stack);
}

void matcher_free(struct pattern_matcher *m)
{
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
	*m = (struct pattern_matcher){ 0 };
}

static bool pattern_fails(const struct evaluation *e, size_t row)
{
	struct str s = e->column->s[row];
	/* Texts in batches are UTF-8 already: the JSON scanner and the engine's reader see to it. */
	int n = pcre2_match(e->rule->compiled, (PCRE2_SPTR)(s.p ? s.p : ""), s.n, 0, PCRE2_NO_UTF_CHECK,
			    e->matcher->data, e->matcher->context);
	if (n >= 0)
		return false;
	if (n != PCRE2_ERROR_NOMATCH)
		e->limit_hit(e->context, e->rule_index, row);
	return true;
}

static bool value_fails(const struct evaluation *e, size_t row)
{
	switch (e->rule->kind) {
	case RULE_MIN_LENGTH:
	case RULE_MAX_LENGTH:
		return length_fails(e->rule, e->column->s[row]);
	case RULE_PATTERN:
		return pattern_fails(e, row);
	default:
		return accepted_fails(e, row);
	}
}

void rule_evaluate(struct evaluation *e, struct rows *out)
{
	switch (e->rule->kind) {
	case RULE_MINIMUM:
	case RULE_MAXIMUM:
		bound_evaluate(e, out);
		return;
	case RULE_WINDOW:
		window_evaluate(e, out);
		return;
	default:
		break;
	}
	for (size_t w = 0; w < e->words; w++) {
		uint64_t left = e->column->valid[w], bits = 0;
		if (w + 1 == e->words)
			left &= e->last_word;
		while (left) {
			size_t i = (size_t)__builtin_ctzll(left);
			left &= left - 1;
			bits |= (uint64_t)value_fails(e, w * 64 + i) << i;
		}
		out->w[w] = bits;
	}
}
