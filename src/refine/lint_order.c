/* Orders that leave ties: where it depends on which row comes first, the order must hold a key of the rows. */
#include "refine/lint_parts.h"
#include "refine/lint_relation.h"

#include <string.h>

/* Whose answers depend on it. rank() and its kind give all that tie the same; so do aggregates over a frame that ends with
 * its peers (RANGE). */
static bool window_depends(const struct lint_node *w)
{
	static const char *const types[] = { "WINDOW_ROW_NUMBER", "WINDOW_NTILE", "WINDOW_LAG", "WINDOW_LEAD", "WINDOW_FIRST_VALUE",
					     "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE" };
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (str_eq_z(w->type, types[i]))
			return true;
	return str_eq_z(w->type, "WINDOW_AGGREGATE") && (str_ends(w->start, STR("_ROWS")) || str_ends(w->end_bound, STR("_ROWS")));
}

/* The first value of rows that tie is the same if it is among what they are ordered by. */
static bool value_is_alike(const struct lint_relations *r, const struct lint_scope *s, uint32_t window, const bool *known)
{
	const struct lint_node *w = &r->t->v[window];
	bool value = str_eq_z(w->type, "WINDOW_FIRST_VALUE") || str_eq_z(w->type, "WINDOW_LAST_VALUE") || str_eq_z(w->type, "WINDOW_NTH_VALUE");
	uint32_t child = lint_part(r->t, window, "children", 0);
	return value && child != LINT_NONE && !str_ends(w->start, STR("_ROWS")) && !str_ends(w->end_bound, STR("_ROWS")) &&
	       lint_is_known(r, s, child, known);
}

struct order { /* what is ordered by */
	uint32_t *v;
	size_t n, cap;
	bool *known; /* columns of the scope */
};

static void order_add(const struct lint_relations *r, const struct lint_scope *s, struct order *o, uint32_t node)
{
	*arena_push(r->a, *o) = node;
	uint32_t column = lint_column_find(r, s, node);
	if (column != LINT_NONE)
		o->known[column] = true;
}

static bool order_has(const struct lint_relations *r, const struct order *o, uint32_t node)
{
	for (size_t i = 0; i < o->n; i++)
		if (lint_alike(r->t, o->v[i], node))
			return true;
	return false;
}

/* Does the order tell the rows of the SELECT apart? If not: what would be needed. */
static bool order_is_total(const struct lint_relations *r, const struct lint_scope *s, struct order *o, struct buf *lack)
{
	const struct lint_leaf *missing = NULL;
	bool all = lint_closure(s, o->known, &missing);
	if (s->identity == LINT_ONE || (s->identity == LINT_ROWS && all))
		return true;
	for (size_t g = 0; s->identity == LINT_GROUPS; g++) {
		if (g == s->n_groups)
			return true;
		if (order_has(r, o, s->groups[g]) || lint_is_known(r, s, s->groups[g], o->known))
			continue;
		const struct lint_node *n = &r->t->v[s->groups[g]];
		if (lint_is(r->t, s->groups[g], "COLUMN_REF"))
			buf_addf(lack, ": it lacks %.*s of the GROUP BY", STR_ARG(n->column));
		else
			buf_add_z(lack, ": it lacks what stands behind GROUP BY");
		return false;
	}
	if (s->identity != LINT_ROWS || missing == NULL)
		return false;
	const struct lint_key *k = missing->rel->n_keys > 0 ? &missing->rel->keys[0] : NULL;
	if (k == NULL || (k->whole && k->columns.n > 4)) {
		buf_addf(lack, ": no key of %.*s is known", STR_ARG(missing->name));
		return false;
	}
	buf_addf(lack, ": of %.*s%s it lacks", STR_ARG(missing->name), k->whole ? "" : "'s key");
	for (size_t i = 0, n = 0; i < k->columns.n; i++) {
		if (o->known[missing->first + k->columns.v[i]])
			continue;
		struct str name = missing->rel->names[k->columns.v[i]];
		buf_addf(lack, "%s %.*s", n++ > 0 ? "," : "", STR_ARG(name));
	}
	return false;
}

static void window_judge(struct lint *l, const struct lint_relations *r, uint32_t window, struct buf *lack)
{
	const struct lint_tree *t = &l->syntax;
	const struct lint_node *w = &t->v[window];
	const struct lint_scope *s = NULL;
	struct order o = { 0 };
	if (!window_depends(w) || lint_part(t, window, "orders", 0) == LINT_NONE) /* without an order: A2 */
		return;
	for (uint32_t n = w->parent; n != LINT_NONE && s == NULL; n = t->v[n].parent)
		s = r->scopes[n];
	if (s == NULL)
		return;
	o.known = arena_array(l->a, bool, s->n_columns + 1);
	for (uint32_t i = window + 1; i < w->end; i = t->v[i].end) {
		if (str_eq_z(t->v[i].key, "partitions"))
			order_add(r, s, &o, i);
		else if (str_eq_z(t->v[i].key, "orders") && lint_part(t, i, "expression", 0) != LINT_NONE)
			order_add(r, s, &o, lint_part(t, i, "expression", 0));
	}
	buf_clear(lack);
	if (!order_is_total(r, s, &o, lack) && !value_is_alike(r, s, window, o.known))
		lint_add(l, LINT_A16, w->at, "the order of %.*s() may leave ties%.*s", STR_ARG(w->name), STR_ARG(buf_str(lack)));
}

/* ── LIMIT ── */

/* The item that ORDER BY means: by its number or its name. */
static const struct lint_item *item_meant(const struct lint_tree *t, const struct lint_scope *s, uint32_t node)
{
	uint64_t number = 0;
	uint32_t value = lint_is(t, node, "CONSTANT") ? lint_part(t, node, "value", 0) : LINT_NONE;
	if (value != LINT_NONE && str_to_u64(t->v[value].text, &number) && number >= 1 && number <= s->n_items)
		return &s->items[number - 1];
	if (lint_is(t, node, "COLUMN_REF") && t->v[node].qualifier.n == 0)
		for (size_t i = 0; i < s->n_items; i++)
			if (str_eq_nocase(s->items[i].name, t->v[node].column))
				return &s->items[i];
	return NULL;
}

static bool items_are_told(const struct lint_relations *r, const struct lint_scope *s, const struct order *o)
{
	for (size_t i = 0; i < s->n_items; i++) {
		const struct lint_item *item = &s->items[i];
		if (item->column != LINT_NONE ? !o->known[item->column] :
						!order_has(r, o, item->node) && !lint_is_known(r, s, item->node, o->known))
			return false;
	}
	return s->n_items > 0 && !s->open;
}

/* A name within the expression is a column and what another item is called. */
static bool has_two_meanings(const struct lint_relations *r, const struct lint_scope *s, uint32_t node)
{
	const struct lint_tree *t = r->t;
	for (uint32_t i = node; i < t->v[node].end; i++)
		for (size_t k = 0; lint_is(t, i, "COLUMN_REF") && t->v[i].qualifier.n == 0 && k < s->n_items; k++) {
			const struct lint_item *item = &s->items[k];
			uint32_t column = lint_column_find(r, s, i);
			if (item->node != LINT_NONE && t->v[item->node].alias.n > 0 && str_eq_nocase(item->name, t->v[i].column) &&
			    (column != LINT_NONE || s->open) && item->column != column)
				return true;
		}
	return false;
}

static bool select_limit_ok(struct lint *l, const struct lint_relations *r, uint32_t query, uint32_t order, struct buf *lack)
{
	const struct lint_tree *t = &l->syntax;
	const struct lint_scope *s = r->scopes[query];
	struct order o = { .known = arena_array(l->a, bool, s->n_columns + 1) };
	for (uint32_t i = order + 1; i < t->v[order].end; i = t->v[i].end) {
		uint32_t by = lint_part(t, i, "expression", 0);
		if (by == LINT_NONE)
			continue;
		const struct lint_item *item = item_meant(t, s, by);
		if (lint_is(t, by, "STAR"))
			return true;
		if (item == NULL && has_two_meanings(r, s, by))
			lint_add(l, LINT_X18, t->v[by].at, "an order by what is made of a name that the SELECT gives, too");
		if (item && item->column != LINT_NONE)
			o.known[item->column] = true;
		order_add(r, s, &o, item && item->node != LINT_NONE ? item->node : by);
	}
	bool total = !s->distinct && order_is_total(r, s, &o, lack);
	lint_closure(s, o.known, NULL);
	return total || items_are_told(r, s, &o);
}

/* Behind a UNION there are only its columns. */
static bool set_limit_ok(const struct lint *l, const struct lint_relations *r, uint32_t query, uint32_t order)
{
	const struct lint_tree *t = &l->syntax;
	const struct lint_relation *rel = r->by_node[query];
	bool *known = arena_array(l->a, bool, rel->n + 1);
	for (uint32_t i = order + 1; i < t->v[order].end; i = t->v[i].end) {
		uint32_t by = lint_part(t, i, "expression", 0), value;
		uint64_t number = 0;
		if (by == LINT_NONE)
			continue;
		if (lint_is(t, by, "STAR"))
			return true;
		value = lint_is(t, by, "CONSTANT") ? lint_part(t, by, "value", 0) : LINT_NONE;
		if (value != LINT_NONE && str_to_u64(t->v[value].text, &number) && number >= 1 && number <= rel->n)
			known[number - 1] = true;
		for (size_t c = 0; c < rel->n && lint_is(t, by, "COLUMN_REF"); c++)
			known[c] = known[c] || str_eq_nocase(rel->names[c], t->v[by].column);
	}
	for (size_t k = 0; k < rel->n_keys; k++) {
		size_t i = 0;
		while (i < rel->keys[k].columns.n && known[rel->keys[k].columns.v[i]])
			i++;
		if (i == rel->keys[k].columns.n && i > 0)
			return true;
	}
	return false;
}

static void limit_judge(struct lint *l, const struct lint_relations *r, uint32_t query, struct buf *lack)
{
	const struct lint_tree *t = &l->syntax;
	uint32_t limit = LINT_NONE, order = LINT_NONE, m;
	for (uint32_t i = 0; (m = lint_part(t, query, "modifiers", i)) != LINT_NONE; i++) {
		if (str_eq_z(t->v[m].type, "LIMIT_MODIFIER"))
			limit = m;
		else if (str_eq_z(t->v[m].type, "ORDER_MODIFIER"))
			order = m;
	}
	if (limit == LINT_NONE || order == LINT_NONE) /* without an order: A15 */
		return;
	buf_clear(lack);
	if (r->scopes[query] ? select_limit_ok(l, r, query, order, lack) : set_limit_ok(l, r, query, order))
		return;
	uint64_t at = LINT_NOWHERE;
	for (uint32_t i = order; i < t->v[order].end && at == LINT_NOWHERE; i++)
		at = t->v[i].at;
	lint_add(l, LINT_A17, at, "the order in front of a LIMIT may leave ties%.*s", STR_ARG(buf_str(lack)));
}

void lint_orders(struct lint *l, const struct job_input *tables, size_t n_tables)
{
	const struct lint_tree *t = &l->syntax;
	struct lint_relations r = { .a = l->a, .t = t, .tables = tables, .n_tables = n_tables };
	struct buf lack = BUF_INIT(64 << 10);
	lint_relations_make(&r);
	lint_subqueries(l, &r);
	for (uint32_t i = 0; i < t->n; i++) {
		if (lint_is(t, i, "WINDOW"))
			window_judge(l, &r, i, &lack);
		else if (t->v[i].kind.n == 0 && (str_eq_z(t->v[i].type, "SELECT_NODE") || str_eq_z(t->v[i].type, "SET_OPERATION_NODE")))
			limit_judge(l, &r, i, &lack);
	}
	buf_free(&lack);
}
