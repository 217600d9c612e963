/* One SELECT: its tables, what follows from what there, its list and its groups. */
#include "refine/lint_relation.h"

#include <string.h>

enum { LEAVES_MAX = 64, EDGES_MAX = 1024 };

/* ── sets of columns ── */

void lint_set_add(struct lint_set *s, uint32_t column)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == column)
			return;
	if (s->n < LINT_KEY_COLUMNS)
		s->v[s->n++] = column;
}

struct lint_set lint_set_new(struct arena *a)
{
	return (struct lint_set){ .v = arena_array(a, uint32_t, LINT_KEY_COLUMNS) };
}

static bool set_is_in(const struct lint_set *s, const bool *known, uint32_t first)
{
	for (size_t i = 0; i < s->n; i++)
		if (!known[first + s->v[i]])
			return false;
	return true;
}

/* ── what follows from what ── */

bool lint_closure(const struct lint_scope *s, bool *known, const struct lint_leaf **missing)
{
	bool done[LEAVES_MAX] = { false };
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < s->edges.n; i++) {
			const struct lint_edge *e = &s->edges.v[i];
			if (!known[e->to] && set_is_in(&e->from, known, 0))
				more = known[e->to] = true;
		}
		for (size_t i = 0; i < s->n_leaves; i++)
			for (size_t k = 0; !done[i] && k < s->leaves[i].rel->n_keys; k++) {
				const struct lint_leaf *leaf = &s->leaves[i];
				if (!set_is_in(&leaf->rel->keys[k].columns, known, leaf->first))
					continue;
				more = done[i] = true;
				memset(known + leaf->first, true, leaf->rel->n * sizeof *known);
			}
	}
	for (size_t i = 0; i < s->n_leaves; i++)
		if (!done[i]) {
			if (missing)
				*missing = &s->leaves[i];
			return false;
		}
	return true;
}

uint32_t lint_column_find(const struct lint_relations *r, const struct lint_scope *s, uint32_t node)
{
	const struct lint_node *n = &r->t->v[node];
	if (!lint_is(r->t, node, "COLUMN_REF"))
		return LINT_NONE;
	for (size_t i = 0; i < s->n_columns; i++)
		if (str_eq_nocase(s->columns[i].name, n->column) &&
		    (n->qualifier.n == 0 || str_eq_nocase(s->columns[i].qualifier, n->qualifier)))
			return (uint32_t)i;
	return LINT_NONE;
}

bool lint_is_aggregate(struct str f)
{
	static const char *const names[] = { "count", "count_star", "count_if", "sum", "min", "max", "bool_and", "bool_or",
					     "quantile_cont", "quantile_disc", "quantile", "median", "avg", "mean", "any_value",
					     "first", "last", "max_by", "min_by", "arg_max", "arg_min", "mode", "stddev",
					     "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop", "string_agg",
					     "array_agg", "list", "corr", "fsum", "favg", "approx_count_distinct" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq_nocase(f, str_from(names[i])))
			return true;
	return false;
}

bool lint_has_aggregate(const struct lint_tree *t, uint32_t node)
{
	for (uint32_t i = node; i < t->v[node].end; i++) {
		while (i < t->v[node].end && lint_is(t, i, "SUBQUERY"))
			i = t->v[i].end;
		if (i < t->v[node].end && lint_is(t, i, "FUNCTION") && lint_is_aggregate(t->v[i].name))
			return true;
	}
	return false;
}

bool lint_is_known(const struct lint_relations *r, const struct lint_scope *s, uint32_t node, const bool *known)
{
	const struct lint_tree *t = r->t;
	for (uint32_t i = node; i < t->v[node].end; i++) {
		if (lint_is(t, i, "WINDOW") || lint_is(t, i, "SUBQUERY") || lint_is(t, i, "STAR") ||
		    (lint_is(t, i, "FUNCTION") && lint_is_aggregate(t->v[i].name)))
			return false;
		uint32_t column = lint_column_find(r, s, i);
		if (!lint_is(t, i, "COLUMN_REF"))
			continue;
		for (size_t k = 0; column == LINT_NONE && k < s->n_items; k++)
			if (str_eq_nocase(s->items[k].name, t->v[i].column)) /* another item, by its name */
				return false;
		if (column == LINT_NONE ? s->open : !known[column])
			return false;
	}
	return true;
}

/* ── FROM ── */

static void leaf_add(struct lint_relations *r, struct lint_scope *s, uint32_t node)
{
	const struct lint_node *n = &r->t->v[node];
	const struct lint_relation *rel = r->by_node[node];
	struct str name = n->alias.n > 0 ? n->alias : n->table;
	if (s->n_leaves >= LEAVES_MAX || s->n_columns + rel->n > LINT_COLUMNS_MAX) {
		s->identity = LINT_UNKNOWN;
		s->open = true;
		return;
	}
	s->leaves[s->n_leaves] = (struct lint_leaf){ rel, (uint32_t)s->n_columns, name };
	struct lint_column *columns = arena_array(r->a, struct lint_column, s->n_columns + rel->n + 1);
	if (s->n_columns > 0)
		memcpy(columns, s->columns, s->n_columns * sizeof *columns);
	s->columns = columns;
	for (size_t i = 0; i < rel->n; i++)
		s->columns[s->n_columns++] = (struct lint_column){ name, rel->names[i], (uint32_t)s->n_leaves, false };
	s->open = s->open || rel->open;
	s->n_leaves++;
}

static bool is_join(const struct lint_tree *t, uint32_t node)
{
	return node != LINT_NONE && str_eq_z(t->v[node].type, "JOIN") && t->v[node].kind.n == 0;
}

/* Joins inside of joins, from left to right; those are kept whose ON is to be read. */
static size_t joins_open(struct lint_relations *r, struct lint_scope *s, uint32_t from, uint32_t *joins)
{
	uint32_t stack[2 * LEAVES_MAX + 2];
	size_t n = 0, n_joins = 0;
	stack[n++] = from;
	while (n > 0) {
		uint32_t node = stack[--n];
		const struct lint_node *j = &r->t->v[node];
		if (!is_join(r->t, node)) {
			leaf_add(r, s, node);
			continue;
		}
		uint32_t left = lint_part(r->t, node, "left", 0), right = lint_part(r->t, node, "right", 0);
		bool half = str_eq_z(j->join_type, "SEMI") || str_eq_z(j->join_type, "ANTI");
		if (n + 2 > sizeof stack / sizeof stack[0] || n_joins >= LEAVES_MAX || left == LINT_NONE || right == LINT_NONE) {
			s->identity = LINT_UNKNOWN;
			s->open = true;
			return n_joins;
		}
		if (!half) {
			joins[n_joins++] = node;
			stack[n++] = right;
		}
		stack[n++] = left;
	}
	return n_joins;
}

struct side { /* of FROM: where an equality may tell a column */
	const uint32_t *leaf_nodes;
	uint32_t select, condition;
	uint32_t part; /* of an outer join, what may be missing; LINT_NONE: anywhere */
};

/* The columns that stand below this part of FROM. */
static bool is_below(const struct lint_relations *r, const struct lint_scope *s, uint32_t column, const uint32_t *leaf_nodes,
		     uint32_t part)
{
	uint32_t node = leaf_nodes[s->columns[column].leaf];
	return node >= part && node < r->t->v[part].end;
}

/* Is it what an item of the SELECT list is called? */
static bool is_alias(const struct lint_tree *t, uint32_t select, struct str name)
{
	for (uint32_t i = select + 1; i < t->v[select].end; i = t->v[i].end)
		if (str_eq_z(t->v[i].key, "select_list") && t->v[i].alias.n > 0 && str_eq_nocase(t->v[i].alias, name))
			return true;
	return false;
}

/* What an expression is made of; columns below `part` are left out. */
static bool from_set(const struct lint_relations *r, const struct lint_scope *s, uint32_t node, const struct side *side, bool others,
		     struct lint_set *out)
{
	const struct lint_tree *t = r->t;
	for (uint32_t i = node; i < t->v[node].end; i++) {
		if (lint_is(t, i, "SUBQUERY") || lint_is(t, i, "WINDOW"))
			return false;
		if (!lint_is(t, i, "COLUMN_REF"))
			continue;
		uint32_t column = lint_column_find(r, s, i);
		if (column == LINT_NONE && (s->open || is_alias(t, side->select, t->v[i].column)))
			return false;
		if (column == LINT_NONE) /* of a query around this one, so fixed here */
			continue;
		if (!others || !is_below(r, s, column, side->leaf_nodes, side->part))
			lint_set_add(out, column);
	}
	return out->n < LINT_KEY_COLUMNS;
}

static void edge_add(struct lint_relations *r, struct lint_scope *s, uint32_t to, uint32_t from, const struct side *side)
{
	uint32_t column = lint_column_find(r, s, to);
	struct lint_set set = lint_set_new(r->a);
	if (column == LINT_NONE || (side->part != LINT_NONE && !is_below(r, s, column, side->leaf_nodes, side->part)))
		return;
	/* Whether a row was found at all depends on all that the condition says of the other side. */
	if (side->part != LINT_NONE && !from_set(r, s, side->condition, side, true, &set))
		return;
	if (s->edges.n < EDGES_MAX && from_set(r, s, from, side, false, &set))
		*arena_push(r->a, s->edges) = (struct lint_edge){ set, column };
}

/* Equalities that hold for each row: those below nothing but AND. */
static void condition_read(struct lint_relations *r, struct lint_scope *s, uint32_t condition, const struct side *side)
{
	const struct lint_tree *t = r->t;
	if (condition == LINT_NONE)
		return;
	for (uint32_t i = condition; i < t->v[condition].end;) {
		const struct lint_node *n = &t->v[i];
		bool equal = str_eq_z(n->type, "COMPARE_EQUAL") || str_eq_z(n->type, "COMPARE_NOT_DISTINCT_FROM");
		if (str_eq_z(n->type, "CONJUNCTION_AND")) {
			i++;
			continue;
		}
		uint32_t left = lint_part(t, i, "left", 0), right = lint_part(t, i, "right", 0);
		if (lint_is(t, i, "COMPARISON") && equal && left != LINT_NONE && right != LINT_NONE) {
			edge_add(r, s, left, right, side);
			edge_add(r, s, right, left, side);
		}
		i = n->end;
	}
}

static void using_read(struct lint_relations *r, struct lint_scope *s, uint32_t join, const uint32_t *leaf_nodes, bool to_left,
		       bool to_right)
{
	const struct lint_tree *t = r->t;
	uint32_t left = lint_part(t, join, "left", 0), right = lint_part(t, join, "right", 0);
	for (uint32_t w = lint_word(t, join, "using_columns", LINT_NONE); w != LINT_NONE; w = lint_word(t, join, "using_columns", w)) {
		uint32_t x = LINT_NONE, y = LINT_NONE;
		for (uint32_t i = (uint32_t)s->n_columns; i-- > 0;) {
			if (!str_eq_nocase(s->columns[i].name, t->words.v[w].text))
				continue;
			if (is_below(r, s, i, leaf_nodes, left))
				x = i;
			else if (is_below(r, s, i, leaf_nodes, right))
				y = i;
		}
		if (x == LINT_NONE || y == LINT_NONE)
			continue;
		struct lint_set of_x = lint_set_new(r->a), of_y = lint_set_new(r->a);
		lint_set_add(&of_x, x);
		lint_set_add(&of_y, y);
		s->columns[y].hidden = true;
		if (to_right)
			*arena_push(r->a, s->edges) = (struct lint_edge){ of_x, y };
		if (to_left)
			*arena_push(r->a, s->edges) = (struct lint_edge){ of_y, x };
	}
}

static void from_read(struct lint_relations *r, struct lint_scope *s, uint32_t select)
{
	const struct lint_tree *t = r->t;
	uint32_t from = lint_part(t, select, "from_table", 0), joins[LEAVES_MAX], leaf_nodes[LEAVES_MAX];
	size_t n_joins = 0, n = 0;
	s->leaves = arena_array(r->a, struct lint_leaf, LEAVES_MAX);
	if (from == LINT_NONE)
		return;
	n_joins = joins_open(r, s, from, joins);
	for (uint32_t i = from; i < t->v[from].end && n < s->n_leaves; i++) /* in the same order */
		if (r->by_node[i] == s->leaves[n].rel && t->v[i].kind.n == 0)
			leaf_nodes[n++] = i;
	if (n < s->n_leaves) {
		s->identity = LINT_UNKNOWN;
		return;
	}
	for (size_t i = 0; i < n_joins; i++) {
		struct str type = t->v[joins[i]].join_type;
		bool left = str_eq_z(type, "LEFT"), right = str_eq_z(type, "RIGHT"), inner = str_eq_z(type, "INNER");
		struct side side = { leaf_nodes, select, lint_part(t, joins[i], "condition", 0), left ? lint_part(t, joins[i], "right", 0) :
						 right ? lint_part(t, joins[i], "left", 0) : LINT_NONE };
		using_read(r, s, joins[i], leaf_nodes, right || inner, left || inner);
		if (left || right || inner)
			condition_read(r, s, side.condition, &side);
	}
	uint32_t where = lint_part(t, select, "where_clause", 0);
	condition_read(r, s, where, &(struct side){ leaf_nodes, select, where, LINT_NONE });
}

/* ── the list of a SELECT, and its groups ── */

static void items_read(struct lint_relations *r, struct lint_scope *s, uint32_t select)
{
	const struct lint_tree *t = r->t;
	size_t cap = 0;
	for (uint32_t i = select + 1; i < t->v[select].end; i = t->v[i].end)
		if (str_eq_z(t->v[i].key, "select_list"))
			cap += lint_is(t, i, "STAR") ? s->n_columns + 1 : 1;
	cap = cap < LINT_COLUMNS_MAX ? cap : LINT_COLUMNS_MAX;
	s->items = arena_array(r->a, struct lint_item, cap + 1);
	for (uint32_t i = select + 1; i < t->v[select].end && s->n_items < cap; i = t->v[i].end) {
		const struct lint_node *n = &t->v[i];
		if (!str_eq_z(n->key, "select_list"))
			continue;
		if (!lint_is(t, i, "STAR")) {
			struct str name = n->alias.n > 0 ? n->alias : lint_is(t, i, "COLUMN_REF") ? n->column : STR_NONE;
			s->items[s->n_items++] = (struct lint_item){ name, i, lint_column_find(r, s, i) };
			continue;
		}
		s->open = s->open || n->has_star_change || n->columns;
		for (uint32_t c = 0; c < s->n_columns && s->n_items < cap; c++)
			if (n->qualifier.n > 0 ? str_eq_nocase(s->columns[c].qualifier, n->qualifier) : !s->columns[c].hidden)
				s->items[s->n_items++] = (struct lint_item){ s->columns[c].name, LINT_NONE, c };
	}
}

/* What a number or another name stands for behind GROUP BY. */
static uint32_t group_of(const struct lint_relations *r, const struct lint_scope *s, uint32_t node)
{
	const struct lint_tree *t = r->t;
	uint64_t number = 0;
	uint32_t value = lint_is(t, node, "CONSTANT") ? lint_part(t, node, "value", 0) : LINT_NONE;
	if (value != LINT_NONE && str_to_u64(t->v[value].text, &number) && number >= 1 && number <= s->n_items &&
	    s->items[number - 1].node != LINT_NONE)
		return s->items[number - 1].node;
	if (lint_is(t, node, "COLUMN_REF") && lint_column_find(r, s, node) == LINT_NONE)
		for (size_t i = 0; i < s->n_items; i++)
			if (s->items[i].node != LINT_NONE && str_eq_nocase(s->items[i].name, t->v[node].column))
				return s->items[i].node;
	return node;
}

static void groups_read(struct lint_relations *r, struct lint_scope *s, uint32_t select)
{
	const struct lint_tree *t = r->t;
	bool all = str_eq_z(t->v[select].aggregates, "FORCE_AGGREGATES"), aggregate = false;
	size_t n = lint_count(t, select, "group_expressions");
	for (size_t i = 0; i < s->n_items; i++)
		aggregate = aggregate || (s->items[i].node != LINT_NONE && lint_has_aggregate(t, s->items[i].node));
	uint32_t having = lint_part(t, select, "having", 0);
	aggregate = aggregate || (having != LINT_NONE && lint_has_aggregate(t, having));
	if (n == 0 && !all) {
		s->identity = aggregate ? LINT_ONE : LINT_ROWS;
		return;
	}
	s->identity = t->v[select].n_group_sets > 1 ? LINT_UNKNOWN : LINT_GROUPS;
	s->groups = arena_array(r->a, uint32_t, n + s->n_items + 1);
	for (uint32_t i = select + 1; i < t->v[select].end; i = t->v[i].end)
		if (str_eq_z(t->v[i].key, "group_expressions"))
			s->groups[s->n_groups++] = group_of(r, s, i);
	for (size_t i = 0; all && i < s->n_items; i++) {
		if (s->items[i].node == LINT_NONE)
			s->identity = LINT_UNKNOWN;
		else if (!lint_has_aggregate(t, s->items[i].node))
			s->groups[s->n_groups++] = s->items[i].node;
	}
}

void lint_scope_read(struct lint_relations *r, struct lint_scope *s, uint32_t select)
{
	from_read(r, s, select);
	bool unknown = s->identity == LINT_UNKNOWN;
	items_read(r, s, select);
	groups_read(r, s, select);
	if (unknown)
		s->identity = LINT_UNKNOWN;
}
