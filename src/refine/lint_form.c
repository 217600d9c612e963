/* Forms that both engines read, and read otherwise: what binds first, totals of no rows, names that nobody gave. */
#include "refine/lint_parts.h"

#include "refine/lint_relation.h"
#include "refine/model_token.h"

#include <string.h>

/* ── what binds first ── */

/* Spark's order, the highest first: * / %, then + - ||, &, |, comparisons, and LIKE, IN and BETWEEN at the end. 0: something else. */
static unsigned level(const struct lint_tree *t, uint32_t n)
{
	static const struct {
		const char *name;
		unsigned level;
	} levels[] = { { "*", 7 }, { "/", 7 }, { "%", 7 }, { "+", 6 }, { "-", 6 }, { "||", 6 }, { "&", 5 }, { "|", 4 },
		       { "~~", 2 }, { "!~~", 2 }, { "like_escape", 2 }, { "not_like_escape", 2 } };
	if (lint_is(t, n, "COMPARISON"))
		return 3;
	if (lint_is(t, n, "BETWEEN") || str_eq_z(t->v[n].type, "COMPARE_IN") || str_eq_z(t->v[n].type, "COMPARE_NOT_IN") ||
	    (lint_is(t, n, "SUBQUERY") && str_eq_z(t->v[n].subquery, "ANY")))
		return 2;
	if (!lint_is(t, n, "FUNCTION") || lint_count(t, n, "children") < 2)
		return 0;
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (str_eq_z(t->v[n].name, levels[i].name))
			return levels[i].level;
	return 0;
}

struct bracket {
	uint64_t at;
	size_t other; /* of its pair */
	char mark;    /* ( or ), 0: another token */
};
struct brackets {
	struct bracket *v;
	size_t n, cap;
};

static void brackets_read(struct lint *l, struct brackets *out)
{
	struct tokens tokens = { .sql = l->sql };
	struct token t;
	size_t *open = arena_array(l->a, size_t, l->sql.n + 1), n = 0;
	while (token_next(&tokens, &t)) {
		char mark = t.kind == TOKEN_MARK && (t.text.p[0] == '(' || t.text.p[0] == ')') ? t.text.p[0] : '\0';
		*arena_push(l->a, *out) = (struct bracket){ .at = t.at, .mark = mark };
		if (mark == '(') {
			open[n++] = out->n - 1;
		} else if (mark == ')' && n > 0) {
			out->v[out->n - 1].other = open[--n];
			out->v[open[n]].other = out->n - 1;
		}
	}
}

/* The last token that begins there or before it. */
static size_t token_at(const struct brackets *b, uint64_t at)
{
	size_t low = 0, high = b->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (b->v[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? low - 1 : 0;
}

/* Is the operand, whose operator stands at `inner`, in brackets of its own beside the operator at `outer`? */
static bool is_bracketed(const struct brackets *b, uint64_t outer, uint64_t inner)
{
	size_t i = token_at(b, outer), k = inner > outer ? i + 1 : i - 1;
	if (b->n == 0 || (inner < outer && i == 0) || k >= b->n || b->v[k].mark != (inner > outer ? '(' : ')'))
		return false;
	uint64_t other = b->v[b->v[k].other].at;
	return inner > outer ? other > inner : other < inner;
}

static void binding_judge(struct lint *l, uint32_t n, const struct brackets *b)
{
	const struct lint_tree *t = &l->syntax;
	unsigned outer = level(t, n);
	if (outer < 3 || t->v[n].at == LINT_NOWHERE)
		return;
	for (uint32_t i = n + 1; i < t->v[n].end; i = t->v[i].end) {
		unsigned inner = level(t, i);
		bool right = t->v[i].at > t->v[n].at, fits = right ? inner > outer : inner >= outer;
		if (inner == 0 || fits || t->v[i].at == LINT_NOWHERE || is_bracketed(b, t->v[n].at, t->v[i].at))
			continue;
		lint_add(l, LINT_X16, t->v[n].at, "%s beside %s without brackets", right ? "what follows" : "what stands before it",
			 outer == 3 ? "a comparison" : arena_format(l->a, "%.*s", STR_ARG(t->v[n].name)).p);
		return;
	}
}

/* ── totals ── */

static bool is_zero(struct lint *l, uint32_t n)
{
	bool is_text = false;
	return n != LINT_NONE && str_eq_z(lint_constant(l, n, &is_text), "0") && !is_text;
}

/* HAVING COUNT(*) > 0, and what else is asked for. */
static bool has_rows(struct lint *l, uint32_t having)
{
	const struct lint_tree *t = &l->syntax;
	for (uint32_t i = having; having != LINT_NONE && i < t->v[having].end;) {
		if (str_eq_z(t->v[i].type, "CONJUNCTION_AND")) {
			i++;
			continue;
		}
		uint32_t count = lint_part(t, i, "left", 0);
		if (str_eq_z(t->v[i].type, "COMPARE_GREATERTHAN") && count != LINT_NONE && str_eq_z(t->v[count].name, "count_star") &&
		    lint_part(t, count, "filter", 0) == LINT_NONE && is_zero(l, lint_part(t, i, "right", 0)))
			return true;
		i = t->v[i].end;
	}
	return false;
}

/* GROUP BY ALL over what is no column: each row by itself here, one group on Spark. */
static void constants_judge(struct lint *l, uint32_t select)
{
	const struct lint_tree *t = &l->syntax;
	for (uint32_t i = select + 1; i < t->v[select].end; i = t->v[i].end) {
		bool column = !str_eq_z(t->v[i].key, "select_list") || lint_has_aggregate(t, i);
		for (uint32_t k = i; k < t->v[i].end && !column; k++) {
			while (k < t->v[i].end && lint_is(t, k, "SUBQUERY"))
				k = t->v[k].end;
			column = k < t->v[i].end && (lint_is(t, k, "COLUMN_REF") || lint_is(t, k, "STAR"));
		}
		if (!column)
			lint_add(l, LINT_P2, t->v[i].at, "GROUP BY ALL beside what is no column");
	}
}

/* ── VALUES ── */

static bool is_default_name(struct str name)
{
	if (name.n < 4 || !str_eq_nocase(str_sub(name, 0, 3), STR("col")))
		return false;
	for (size_t i = 3; i < name.n; i++)
		if (name.p[i] < '0' || name.p[i] > '9')
			return false;
	return true;
}

static bool is_given(const struct lint_tree *t, struct str name)
{
	for (size_t i = 0; i < t->words.n; i++)
		if (str_eq_nocase(t->words.v[i].text, name) && !str_eq_z(t->words.v[i].key, "using_columns"))
			return true;
	return false;
}

static void names_judge(struct lint *l)
{
	const struct lint_tree *t = &l->syntax;
	bool values = false;
	for (uint32_t i = 0; i < t->n; i++)
		values = values || (t->v[i].kind.n == 0 && str_eq_z(t->v[i].type, "EXPRESSION_LIST"));
	for (uint32_t i = 0; values && i < t->n; i++)
		if (lint_is(t, i, "COLUMN_REF") && is_default_name(t->v[i].column) && !is_given(t, t->v[i].column))
			lint_add(l, LINT_X17, t->v[i].at, "%.*s", STR_ARG(t->v[i].column));
}

void lint_forms(struct lint *l)
{
	const struct lint_tree *t = &l->syntax;
	struct brackets b = { 0 };
	brackets_read(l, &b);
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->v[i].kind.n > 0) {
			binding_judge(l, i, &b);
			continue;
		}
		if (str_eq_z(t->v[i].aggregates, "FORCE_AGGREGATES"))
			constants_judge(l, i);
		if (!t->v[i].has_total || has_rows(l, lint_part(t, i, "having", 0)))
			continue;
		uint32_t group = lint_part(t, i, "group_expressions", 0);
		lint_add(l, LINT_A18, group == LINT_NONE ? LINT_NOWHERE : t->v[group].at, "ROLLUP, CUBE or GROUPING SETS with ()");
	}
	names_judge(l);
}
