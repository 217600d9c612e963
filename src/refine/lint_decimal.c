/* Digits of decimals as Spark counts them. DuckDB's own types do not say it: a product is as wide as its factors together there,
 * but never wider than 18 digits if they are not, while Spark counts one digit more and drops digits behind the point beyond 38. */
#include "refine/lint_parts.h"

#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 38, SCALE_KEPT = 6, PASSES_MAX = 200 };

struct digits {
	uint32_t whole, scale;
	bool there;
};
struct decimals {
	struct lint *l;
	struct digits *v;     /* of each node of the plan */
	uint32_t *name;       /* of each node: the number of its name and type */
	struct digits *named; /* the most of what has this name and type */
	struct digits typed[DIGITS_MAX + 1][DIGITS_MAX + 1]; /* the most of what has this type */
	bool more;
};

static void most(struct digits *of, struct digits x)
{
	of->whole = x.whole > of->whole ? x.whole : of->whole;
	of->scale = x.scale > of->scale ? x.scale : of->scale;
	of->there = of->there || x.there;
}

static struct digits bounded(struct digits x, bool *loses)
{
	uint32_t least = x.scale < SCALE_KEPT ? x.scale : SCALE_KEPT, left = x.whole >= DIGITS_MAX ? 0 : DIGITS_MAX - x.whole;
	*loses = false;
	if (x.whole + x.scale <= DIGITS_MAX)
		return x;
	left = left > least ? left : least;
	*loses = left < x.scale;
	x.scale = left < x.scale ? left : x.scale;
	x.whole = DIGITS_MAX - x.scale;
	return x;
}

static struct digits calculated(struct str op, struct digits x, struct digits y, bool *loses)
{
	struct digits out = { .there = true, .scale = x.scale > y.scale ? x.scale : y.scale, .whole = x.whole > y.whole ? x.whole : y.whole };
	if (str_eq_z(op, "*")) {
		out.scale = x.scale + y.scale;
		out.whole = x.whole + y.whole;
	}
	out.whole += !str_eq_z(op, "%");
	return bounded(out, loses);
}

static struct digits integer_digits(const struct lint_tree *t, uint32_t n, struct lint_type type)
{
	uint32_t value = lint_is(t, n, "BOUND_CONSTANT") ? lint_part(t, n, "value", 0) : LINT_NONE;
	struct digits out = { .there = true, .whole = 20 };
	if (value != LINT_NONE && t->v[value].text.n > 0 && t->v[value].text.n <= out.whole)
		out.whole = (uint32_t)t->v[value].text.n;
	else if (str_eq_z(type.id, "INTEGER"))
		out.whole = 10;
	return out;
}

static bool is_arithmetic(const struct lint_tree *t, uint32_t n)
{
	static const char *const ops[] = { "+", "-", "*", "%" };
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		if (lint_is(t, n, "BOUND_FUNCTION") && str_eq_z(t->v[n].name, ops[i]))
			return lint_count(t, n, "children") == 2;
	return false;
}

/* What stands around an operand and leaves it as it is. */
static struct digits operand(const struct decimals *d, uint32_t n)
{
	const struct lint_tree *t = &d->l->plan;
	struct lint_type type = lint_expression_type(t, n);
	if (lint_is(t, n, "BOUND_CAST") && type.letter == 'm' && !d->v[n].there)
		n = lint_part(t, n, "child", 0), type = lint_expression_type(t, n);
	return type.letter == 'i' ? integer_digits(t, n, type) : n == LINT_NONE ? (struct digits){ 0 } : d->v[n];
}

static bool arithmetic_digits(const struct decimals *d, uint32_t n, struct digits out[3], bool *loses)
{
	const struct lint_tree *t = &d->l->plan;
	for (uint32_t i = 0; i < 2; i++) {
		out[i] = operand(d, lint_part(t, n, "children", i));
		if (!out[i].there)
			return false;
	}
	out[2] = calculated(t->v[n].name, out[0], out[1], loses);
	return true;
}

/* Of CASE, COALESCE, MIN and what else gives one of its parts, the most of these. */
static struct digits parts_digits(const struct decimals *d, uint32_t n)
{
	const struct lint_tree *t = &d->l->plan;
	struct digits out = { 0 };
	for (uint32_t i = n + 1; i < t->v[n].end;) {
		bool condition = str_eq_z(t->v[i].key, "when_expr") || str_eq_z(t->v[i].key, "partitions") || str_eq_z(t->v[i].key, "orders") ||
				 str_eq_z(t->v[i].key, "filter");
		if (!condition && t->v[i].kind.n == 0) {
			i++;
			continue;
		}
		struct digits part = condition ? (struct digits){ 0 } : operand(d, i);
		if (part.there)
			most(&out, part);
		i = t->v[i].end;
	}
	return out;
}

static bool is_rounding(struct str f)
{
	return str_eq_z(f, "round") || str_eq_z(f, "floor") || str_eq_z(f, "ceil") || str_eq_z(f, "ceiling");
}

static struct digits expression_digits(struct decimals *d, uint32_t n, struct lint_type type)
{
	const struct lint_tree *t = &d->l->plan;
	struct digits own = { .there = true, .whole = type.width - type.scale, .scale = type.scale }, out[3];
	bool loses;
	/* A cast to the type that it has leaves its place and nothing else. */
	if (lint_is(t, n, "BOUND_CONSTANT") || lint_cast_is_written(d->l, n))
		return own;
	if (lint_is(t, n, "BOUND_REF") || lint_is(t, n, "BOUND_COLUMN_REF")) {
		/* Where it comes from the plan says by a name; a column that was given another one may be any of its type. */
		const struct digits *named = &d->named[d->name[n]], *typed = &d->typed[type.width][type.scale];
		return named->there ? *named : typed->there ? *typed : own;
	}
	if (is_arithmetic(t, n))
		return arithmetic_digits(d, n, out, &loses) ? out[2] : (struct digits){ 0 };
	out[0] = parts_digits(d, n);
	if (!out[0].there)
		return own;
	if (is_rounding(t->v[n].name)) {
		out[0].whole++;
		out[0].scale = type.scale;
	}
	if ((lint_is(t, n, "BOUND_AGGREGATE") || lint_is(t, n, "BOUND_WINDOW")) && str_eq_nocase(t->v[n].name, STR("sum")))
		out[0].whole += 10;
	if (out[0].whole + out[0].scale > DIGITS_MAX)
		out[0].whole = DIGITS_MAX - out[0].scale;
	return out[0];
}

static void node_judge(struct decimals *d, uint32_t n)
{
	struct lint_type type = lint_expression_type(&d->l->plan, n);
	if (d->l->plan.v[n].kind.n == 0 || type.letter != 'm' || type.width > DIGITS_MAX || type.scale > type.width)
		return;
	struct digits now = expression_digits(d, n, type), *before = &d->v[n];
	if (!now.there)
		return;
	d->more = d->more || !before->there || now.whole != before->whole || now.scale != before->scale;
	*before = now;
	if (lint_is(&d->l->plan, n, "BOUND_REF"))
		return;
	if (d->l->plan.v[n].alias.n > 0)
		most(&d->named[d->name[n]], now);
	most(&d->typed[type.width][type.scale], now);
}

static int name_cmp(const void *x, const void *y, void *tree)
{
	const struct lint_tree *t = tree;
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	struct lint_type of_a = lint_expression_type(t, a), of_b = lint_expression_type(t, b);
	int order = str_cmp(t->v[a].alias, t->v[b].alias);
	if (order != 0)
		return order;
	if (of_a.width != of_b.width)
		return of_a.width < of_b.width ? -1 : 1;
	return (of_a.scale > of_b.scale) - (of_a.scale < of_b.scale);
}

static void names_number(struct decimals *d)
{
	struct lint_tree *t = &d->l->plan;
	uint32_t *list = arena_array(d->l->a, uint32_t, t->n + 1), n = 0, number = 0;
	d->name = arena_array(d->l->a, uint32_t, t->n + 1);
	for (uint32_t i = 0; i < t->n; i++)
		if (t->v[i].kind.n > 0 && lint_expression_type(t, i).letter == 'm')
			list[n++] = i;
	if (n > 1)
		qsort_r(list, n, sizeof *list, name_cmp, t);
	for (uint32_t i = 0; i < n; i++) {
		number += i > 0 && name_cmp(&list[i - 1], &list[i], t) != 0;
		d->name[list[i]] = number;
	}
	d->named = arena_array(d->l->a, struct digits, number + 1);
}

void lint_decimals(struct lint *l)
{
	const struct lint_tree *t = &l->plan;
	struct decimals *d = arena_new(l->a, struct decimals);
	d->l = l;
	d->v = arena_array(l->a, struct digits, t->n + 1);
	d->more = true;
	names_number(d);
	for (int pass = 0; d->more && pass < PASSES_MAX; pass++) {
		d->more = false;
		for (uint32_t i = (uint32_t)t->n; i-- > 0;)
			node_judge(d, i);
	}
	for (uint32_t i = 0; i < t->n; i++) {
		struct digits x[3];
		bool loses = false;
		if (!is_arithmetic(t, i) || lint_expression_type(t, i).letter != 'm' || lint_is_macro(t->v[i].at) ||
		    !arithmetic_digits(d, i, x, &loses) || !loses)
			continue;
		lint_add(l, LINT_N17, t->v[i].at, "DECIMAL(%u,%u) %.*s DECIMAL(%u,%u), as Spark counts digits", x[0].whole + x[0].scale,
			 x[0].scale, STR_ARG(t->v[i].name), x[1].whole + x[1].scale, x[1].scale);
	}
}
