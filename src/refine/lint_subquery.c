/* Subqueries that Spark answers otherwise: IN whose NULL is looked at, and aggregates whose row it forgets. */
#include "refine/lint_parts.h"
#include "refine/lint_relation.h"

#include <string.h>

/* ── IN as a value ── */

/* Between it and WHERE, HAVING, ON, FILTER or WHEN there is nothing but AND, OR and NOT, so that NULL is as good as false; or, below a NOT,
 * Spark looks for it. */
static bool only_truth_counts(const struct lint_tree *t, uint32_t in)
{
	for (uint32_t n = in; n != LINT_NONE; n = t->v[n].parent) {
		static const char *const ends[] = { "where_clause", "having", "condition", "filter", "when_expr" };
		for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
			if (str_eq_z(t->v[n].key, ends[i]))
				return true;
		uint32_t up = t->v[n].parent;
		if (!lint_is(t, up, "CONJUNCTION") && !(lint_is(t, up, "OPERATOR") && str_eq_z(t->v[up].type, "OPERATOR_NOT")))
			return false;
	}
	return false;
}

/* ── aggregates without GROUP BY, which always give a row ── */

static bool resolves(const struct lint_relations *r, const struct lint_scope *s, uint32_t column)
{
	if (s->open || lint_column_find(r, s, column) != LINT_NONE)
		return true;
	for (size_t i = 0; i < s->n_items; i++)
		if (r->t->v[column].qualifier.n == 0 && str_eq_nocase(s->items[i].name, r->t->v[column].column))
			return true;
	return false;
}

/* Of a table that is only looked into. */
static bool in_half_join(const struct lint_tree *t, uint32_t column, uint32_t select)
{
	for (uint32_t n = column; n != LINT_NONE && n > select; n = t->v[n].parent) {
		const struct lint_node *join = &t->v[t->v[n].parent];
		if (str_eq_z(t->v[n].key, "condition") && (str_eq_z(join->join_type, "SEMI") || str_eq_z(join->join_type, "ANTI")))
			return true;
	}
	return false;
}

/* Does it name a column of a query around it, other than of `beside`? */
static bool is_correlated(const struct lint_relations *r, uint32_t select, const struct lint_scope *beside)
{
	const struct lint_tree *t = r->t;
	for (uint32_t i = select; i < t->v[select].end; i++) {
		bool found = !lint_is(t, i, "COLUMN_REF") || in_half_join(t, i, select);
		for (uint32_t up = i; !found && up != LINT_NONE && up >= select; up = t->v[up].parent)
			found = r->scopes[up] && resolves(r, r->scopes[up], i);
		if (!found && !(beside && resolves(r, beside, i)))
			return true;
	}
	return false;
}

/* The nearest SELECT around it. */
static const struct lint_scope *scope_around(const struct lint_relations *r, uint32_t node)
{
	for (uint32_t n = r->t->v[node].parent; n != LINT_NONE; n = r->t->v[n].parent)
		if (r->scopes[n])
			return r->scopes[n];
	return NULL;
}

static void row_judge(struct lint *l, const struct lint_relations *r, uint32_t select)
{
	const struct lint_tree *t = r->t;
	uint32_t up = t->v[select].parent;
	while (up != LINT_NONE && !str_eq_z(t->v[up].type, "SUBQUERY"))
		up = r->scopes[up] ? LINT_NONE : t->v[up].parent;
	if (up == LINT_NONE)
		return;
	bool expression = lint_is(t, up, "SUBQUERY"), scalar = expression && str_eq_z(t->v[up].subquery, "SCALAR");
	if (scalar || !is_correlated(r, select, expression ? NULL : scope_around(r, select)))
		return;
	lint_add(l, LINT_A20, t->v[up].at != LINT_NOWHERE ? t->v[up].at : t->v[select].at, "an aggregate without GROUP BY");
}

void lint_subqueries(struct lint *l, const struct lint_relations *r)
{
	const struct lint_tree *t = r->t;
	for (uint32_t i = 0; i < t->n; i++) {
		bool in = lint_is(t, i, "SUBQUERY") && str_eq_z(t->v[i].subquery, "ANY");
		if (in && !only_truth_counts(t, i))
			lint_add(l, LINT_A19, t->v[i].at, "IN");
		if (r->scopes[i] && r->scopes[i]->identity == LINT_ONE)
			row_judge(l, r, i);
	}
}
