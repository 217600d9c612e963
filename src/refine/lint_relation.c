#include "refine/lint_relation.h"

#include <string.h>

enum { KEYS_MAX = 8 };

static void key_add(struct lint_relation *rel, const struct lint_set *columns, bool whole, struct arena *a)
{
	if (rel->keys == NULL)
		rel->keys = arena_array(a, struct lint_key, KEYS_MAX);
	if (rel->n_keys < KEYS_MAX && columns->n < LINT_KEY_COLUMNS)
		rel->keys[rel->n_keys++] = (struct lint_key){ *columns, whole };
}

static void key_add_all(struct lint_relation *rel, bool whole, struct arena *a)
{
	struct lint_set all = { .v = arena_array(a, uint32_t, rel->n + 1) };
	if (rel->open || rel->n == 0 || rel->n >= LINT_COLUMNS_MAX)
		return;
	for (; all.n < rel->n; all.n++)
		all.v[all.n] = (uint32_t)all.n;
	if (rel->keys == NULL)
		rel->keys = arena_array(a, struct lint_key, KEYS_MAX);
	if (rel->n_keys < KEYS_MAX)
		rel->keys[rel->n_keys++] = (struct lint_key){ all, whole };
}

/* ── what a SELECT gives ── */

static uint32_t item_like(const struct lint_relations *r, const struct lint_scope *s, uint32_t node)
{
	uint32_t column = lint_column_find(r, s, node);
	for (size_t i = 0; i < s->n_items; i++)
		if ((column != LINT_NONE && s->items[i].column == column) ||
		    (s->items[i].node != LINT_NONE && lint_alike(r->t, s->items[i].node, node)))
			return (uint32_t)i;
	return LINT_NONE;
}

/* The item that tells this column. */
static uint32_t item_telling(const struct lint_relations *r, const struct lint_scope *s, uint32_t column)
{
	bool *known = arena_array(r->a, bool, s->n_columns + 1);
	for (size_t i = 0; i < s->n_items; i++)
		if (s->items[i].column == column)
			return (uint32_t)i;
	for (size_t i = 0; i < s->n_items; i++) {
		if (s->items[i].column == LINT_NONE)
			continue;
		memset(known, 0, s->n_columns * sizeof *known);
		known[s->items[i].column] = true;
		lint_closure(s, known, NULL);
		if (known[column])
			return (uint32_t)i;
	}
	return LINT_NONE;
}

/* One key of each leaf, and from the last (or the first) on left out what the others tell; as items. */
static void rows_key(struct lint_relations *r, const struct lint_scope *s, struct lint_relation *rel, size_t choice, bool back)
{
	struct lint_set key = lint_set_new(r->a), items = lint_set_new(r->a);
	bool *known = arena_array(r->a, bool, s->n_columns + 1), whole = false, out[LINT_KEY_COLUMNS] = { false };
	for (size_t i = 0; i < s->n_leaves; i++) {
		const struct lint_relation *leaf = s->leaves[i].rel;
		if (leaf->n_keys == 0)
			return;
		const struct lint_key *k = &leaf->keys[choice < leaf->n_keys ? choice : leaf->n_keys - 1];
		whole = whole || k->whole;
		for (size_t c = 0; c < k->columns.n; c++)
			lint_set_add(&key, s->leaves[i].first + k->columns.v[c]);
	}
	if (key.n >= LINT_KEY_COLUMNS)
		return;
	for (size_t turn = 0; turn < key.n; turn++) {
		size_t try = back ? key.n - 1 - turn : turn;
		memset(known, 0, s->n_columns * sizeof *known);
		for (size_t c = 0; c < key.n; c++)
			known[key.v[c]] = known[key.v[c]] || (c != try && !out[c]);
		out[try] = lint_closure(s, known, NULL);
	}
	for (size_t c = 0; c < key.n; c++) {
		uint32_t item = out[c] ? LINT_NONE : item_telling(r, s, key.v[c]);
		if (!out[c] && item == LINT_NONE)
			return;
		if (!out[c])
			lint_set_add(&items, item);
	}
	key_add(rel, &items, whole, r->a);
}

static void groups_key(struct lint_relations *r, const struct lint_scope *s, struct lint_relation *rel)
{
	struct lint_set items = lint_set_new(r->a);
	bool *known = arena_array(r->a, bool, s->n_columns + 1);
	bool *out = arena_array(r->a, bool, s->n_groups + 1);
	for (size_t g = s->n_groups; g-- > 0;) { /* what the others tell is not needed */
		memset(known, 0, s->n_columns * sizeof *known);
		for (size_t k = 0; k < s->n_groups; k++) {
			uint32_t column = k == g || out[k] ? LINT_NONE : lint_column_find(r, s, s->groups[k]);
			if (column != LINT_NONE)
				known[column] = true;
		}
		lint_closure(s, known, NULL);
		out[g] = lint_is_known(r, s, s->groups[g], known);
	}
	for (size_t g = 0; g < s->n_groups; g++) {
		uint32_t item = out[g] ? LINT_NONE : item_like(r, s, s->groups[g]);
		if (!out[g] && item == LINT_NONE)
			return;
		if (!out[g])
			lint_set_add(&items, item);
	}
	key_add(rel, &items, false, r->a);
}

/* ROW_NUMBER() numbers the rows of a part: together they are a key. */
static void numbers_key(struct lint_relations *r, const struct lint_scope *s, struct lint_relation *rel)
{
	const struct lint_tree *t = r->t;
	for (size_t i = 0; i < s->n_items; i++) {
		uint32_t node = s->items[i].node, part;
		struct lint_set items = lint_set_new(r->a);
		bool ok = node != LINT_NONE && str_eq_z(t->v[node].type, "WINDOW_ROW_NUMBER");
		for (uint32_t p = 0; ok && (part = lint_part(t, node, "partitions", p)) != LINT_NONE; p++) {
			uint32_t column = lint_column_find(r, s, part);
			uint32_t item = column != LINT_NONE ? item_telling(r, s, column) : item_like(r, s, part);
			ok = item != LINT_NONE;
			if (ok)
				lint_set_add(&items, item);
		}
		if (ok) {
			lint_set_add(&items, (uint32_t)i);
			key_add(rel, &items, false, r->a);
		}
	}
}

static bool limit_is_one(const struct lint_tree *t, uint32_t modifier)
{
	uint32_t limit = lint_part(t, modifier, "limit", 0), value = LINT_NONE;
	if (lint_is(t, limit, "CONSTANT"))
		value = lint_part(t, limit, "value", 0);
	return value != LINT_NONE && str_eq_z(t->v[value].text, "1");
}

static void modifiers_read(struct lint_relations *r, uint32_t query, struct lint_relation *rel, bool *distinct)
{
	const struct lint_tree *t = r->t;
	struct lint_set none = lint_set_new(r->a);
	uint32_t m;
	for (uint32_t i = 0; (m = lint_part(t, query, "modifiers", i)) != LINT_NONE; i++) {
		if (str_eq_z(t->v[m].type, "LIMIT_MODIFIER") && limit_is_one(t, m))
			key_add(rel, &none, false, r->a);
		if (str_eq_z(t->v[m].type, "DISTINCT_MODIFIER"))
			*distinct = true;
	}
}

static void select_make(struct lint_relations *r, uint32_t node, struct lint_relation *rel)
{
	struct lint_scope *s = r->scopes[node] = arena_new(r->a, struct lint_scope);
	struct lint_set none = lint_set_new(r->a);
	lint_scope_read(r, s, node);
	rel->open = s->open && s->n_items > 0 && lint_is(r->t, lint_part(r->t, node, "select_list", 0), "STAR");
	rel->names = arena_array(r->a, struct str, s->n_items + 1);
	for (size_t i = 0; i < s->n_items; i++)
		rel->names[rel->n++] = s->items[i].name;
	modifiers_read(r, node, rel, &s->distinct);
	if (s->identity == LINT_ONE)
		key_add(rel, &none, false, r->a);
	if (s->identity == LINT_GROUPS)
		groups_key(r, s, rel);
	for (size_t choice = 0; s->identity == LINT_ROWS && choice < 2; choice++) {
		rows_key(r, s, rel, choice, true);
		rows_key(r, s, rel, choice, false);
	}
	numbers_key(r, s, rel);
	key_add_all(rel, !s->distinct, r->a);
}

/* ── what stands behind FROM ── */

/* The same with other names for its first columns: t(a, b). */
static void renamed(struct lint_relations *r, struct lint_relation *rel, const struct lint_relation *of, uint32_t node, const char *key)
{
	size_t i = 0;
	*rel = *of;
	rel->names = arena_array(r->a, struct str, of->n + 1);
	if (of->n > 0)
		memcpy(rel->names, of->names, of->n * sizeof *of->names);
	for (uint32_t w = lint_word(r->t, node, key, LINT_NONE); w != LINT_NONE && i < rel->n; w = lint_word(r->t, node, key, w))
		rel->names[i++] = r->t->words.v[w].text;
}

static void table_make(struct lint_relations *r, uint32_t node, struct lint_relation *rel)
{
	static const char *const address[] = { "_window", "_page", "_off" };
	const struct lint_node *n = &r->t->v[node];
	const struct job_input *in = NULL;
	for (size_t i = 0; i < r->n_tables && in == NULL; i++)
		if (str_eq_nocase(r->tables[i].schema, n->schema) && str_eq_nocase(r->tables[i].table, n->table))
			in = &r->tables[i];
	rel->open = in == NULL;
	if (in == NULL)
		return;
	rel->names = arena_array(r->a, struct str, in->columns.n + 1);
	for (; rel->n < in->columns.n; rel->n++)
		rel->names[rel->n] = in->columns.v[rel->n].name;
	struct lint_set key = lint_set_new(r->a), place = lint_set_new(r->a);
	for (size_t i = 0; i < rel->n; i++) {
		for (size_t k = 0; k < in->n_key; k++)
			if (str_eq_nocase(in->key[k], rel->names[i]))
				lint_set_add(&key, (uint32_t)i);
		for (size_t k = 0; k < 3; k++)
			if (str_eq_z(rel->names[i], address[k]))
				lint_set_add(&place, (uint32_t)i);
	}
	if (in->n_key > 0 && key.n == in->n_key)
		key_add(rel, &key, false, r->a);
	if (place.n == 3)
		key_add(rel, &place, false, r->a);
	key_add_all(rel, true, r->a);
}

/* VALUES */
static void list_make(struct lint_relations *r, uint32_t node, struct lint_relation *rel)
{
	size_t rows = 0, all = 0;
	for (uint32_t i = node + 1; i < r->t->v[node].end; i = r->t->v[i].end)
		if (str_eq_z(r->t->v[i].key, "values")) {
			all++;
			rows += r->t->v[i].place == 0;
		}
	rel->n = rows > 0 && all / rows < LINT_COLUMNS_MAX ? all / rows : 0;
	rel->open = rel->n == 0;
	rel->names = arena_array(r->a, struct str, rel->n + 1);
	for (size_t i = 0; i < rel->n; i++)
		rel->names[i] = arena_format(r->a, "col%zu", i);
	struct lint_set none = lint_set_new(r->a);
	if (rows == 1)
		key_add(rel, &none, false, r->a);
	key_add_all(rel, true, r->a);
}

static void sets_make(struct lint_relations *r, uint32_t node, struct lint_relation *rel)
{
	const struct lint_node *n = &r->t->v[node];
	uint32_t left = lint_part(r->t, node, "left", 0);
	const struct lint_relation *first = left == LINT_NONE ? NULL : r->by_node[left];
	bool distinct = !n->setop_all;
	rel->open = first == NULL || first->open || str_eq_z(n->setop, "UNION_BY_NAME");
	rel->names = first ? first->names : NULL;
	rel->n = first ? first->n : 0;
	modifiers_read(r, node, rel, &distinct);
	if (first && (str_eq_z(n->setop, "EXCEPT") || str_eq_z(n->setop, "INTERSECT")))
		for (size_t i = 0; i < first->n_keys; i++)
			key_add(rel, &first->keys[i].columns, first->keys[i].whole, r->a);
	key_add_all(rel, !distinct, r->a);
}

/* ── all of them, each behind those that it is made of ── */

/* The entry of a WITH that a name without a schema means: of a query around it, and where that is another entry of the same
 * WITH, of one before it. */
static uint32_t with_find(const struct lint_tree *t, uint32_t table)
{
	uint32_t entry = LINT_NONE, child = table, map;
	for (uint32_t n = t->v[table].parent; n != LINT_NONE; child = n, n = t->v[n].parent) {
		if (str_eq_z(t->v[child].key, "map") && str_eq_z(t->v[n].key, "cte_map")) {
			entry = child;
			continue;
		}
		map = lint_part(t, n, "cte_map", 0);
		if (map == LINT_NONE)
			continue;
		uint32_t found = LINT_NONE;
		for (uint32_t i = map + 1; i < t->v[map].end; i = t->v[i].end)
			if ((child != map || i < entry) && str_eq_nocase(t->v[i].entry, t->v[table].table))
				found = i;
		if (found != LINT_NONE)
			return found;
	}
	return LINT_NONE;
}

static uint32_t query_below(const struct lint_tree *t, uint32_t node, const char *key)
{
	return lint_part(t, lint_part(t, node, key, 0), "node", 0);
}

/* What has to be there before `node`: the turn-th. */
static uint32_t need(const struct lint_tree *t, uint32_t node, size_t turn)
{
	const struct lint_node *n = &t->v[node];
	if (str_eq_z(n->type, "SELECT_NODE"))
		return turn == 0 ? lint_part(t, node, "from_table", 0) : LINT_NONE;
	if (str_eq_z(n->type, "JOIN") || str_eq_z(n->type, "SET_OPERATION_NODE"))
		return turn == 0 ? lint_part(t, node, "left", 0) : turn == 1 ? lint_part(t, node, "right", 0) : LINT_NONE;
	if (str_eq_z(n->type, "SUBQUERY"))
		return turn == 0 ? query_below(t, node, "subquery") : LINT_NONE;
	uint32_t with = str_eq_z(n->type, "BASE_TABLE") && n->schema.n == 0 && turn == 0 ? with_find(t, node) : LINT_NONE;
	return with == LINT_NONE ? LINT_NONE : query_below(t, lint_part(t, with, "value", 0), "query");
}

static void relation_make(struct lint_relations *r, uint32_t node)
{
	const struct lint_tree *t = r->t;
	const struct lint_node *n = &t->v[node];
	struct lint_relation *rel = arena_new(r->a, struct lint_relation), *made = rel;
	uint32_t below = need(t, node, 0);
	const struct lint_relation *inner = below == LINT_NONE ? NULL : r->by_node[below];
	struct lint_set none = lint_set_new(r->a);
	if (str_eq_z(n->type, "SELECT_NODE")) {
		select_make(r, node, rel);
	} else if (str_eq_z(n->type, "SET_OPERATION_NODE")) {
		sets_make(r, node, rel);
	} else if (str_eq_z(n->type, "BASE_TABLE") && below != LINT_NONE && inner) {
		renamed(r, rel, inner, lint_part(t, with_find(t, node), "value", 0), "aliases");
	} else if (str_eq_z(n->type, "BASE_TABLE")) {
		table_make(r, node, rel);
	} else if (str_eq_z(n->type, "SUBQUERY") && inner) {
		*rel = *inner;
	} else if (str_eq_z(n->type, "EXPRESSION_LIST")) {
		list_make(r, node, rel);
	} else if (str_eq_z(n->type, "EMPTY")) {
		key_add(rel, &none, false, r->a);
	} else {
		rel->open = true;
	}
	if (n->kind.n == 0 && !str_ends(n->type, STR("_NODE"))) {
		made = arena_new(r->a, struct lint_relation);
		renamed(r, made, rel, node, "column_name_alias");
	}
	r->by_node[node] = made;
}

void lint_relations_make(struct lint_relations *r)
{
	const struct lint_tree *t = r->t;
	uint32_t *stack = arena_array(r->a, uint32_t, t->n + 1);
	bool *open = arena_array(r->a, bool, t->n + 1);
	r->by_node = arena_array(r->a, struct lint_relation *, t->n + 1);
	r->scopes = arena_array(r->a, struct lint_scope *, t->n + 1);
	for (uint32_t i = 0; i < t->n; i++) {
		size_t n = 0;
		if (str_ends(t->v[i].type, STR("_NODE")) && t->v[i].kind.n == 0 && !r->by_node[i])
			stack[n++] = i;
		while (n > 0) {
			uint32_t node = stack[n - 1], missing = LINT_NONE;
			open[node] = true;
			for (size_t turn = 0; turn < 2 && missing == LINT_NONE; turn++) {
				uint32_t before = need(t, node, turn);
				if (before != LINT_NONE && !r->by_node[before] && !open[before]) /* a WITH that reads itself ends here */
					missing = before;
			}
			if (missing != LINT_NONE && n < t->n) {
				stack[n++] = missing;
				continue;
			}
			relation_make(r, node);
			n--;
		}
	}
}
