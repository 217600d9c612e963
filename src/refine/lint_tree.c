#include "refine/lint_tree.h"

#include "base/json.h"

struct level {
	uint32_t node; /* the object, or the one around an array */
	bool object;
	struct str key; /* of an array */
	uint32_t n_items;
};

static void number_set(struct lint_node *n, struct str key, struct str value)
{
	uint64_t number;
	if (str_eq_z(key, "value"))
		n->text = value;
	if (!str_to_u64(value, &number))
		return;
	if (str_eq_z(key, "query_location"))
		n->at = number;
	else if (str_eq_z(key, "width") && number < 1000)
		n->width = (uint32_t)number;
	else if (str_eq_z(key, "scale") && number < 1000)
		n->scale = (uint32_t)number;
}

static void text_set(struct lint_node *n, struct str key, struct str value)
{
	static const struct {
		const char *key;
		size_t offset;
	} texts[] = {
		{ "class", offsetof(struct lint_node, kind) },       { "expression_class", offsetof(struct lint_node, kind) },
		{ "type", offsetof(struct lint_node, type) },        { "function_name", offsetof(struct lint_node, name) },
		{ "name", offsetof(struct lint_node, name) },        { "alias", offsetof(struct lint_node, alias) },
		{ "id", offsetof(struct lint_node, id) },            { "null_order", offsetof(struct lint_node, null_order) },
		{ "start", offsetof(struct lint_node, start) },      { "end", offsetof(struct lint_node, end_bound) },
		{ "exclude_clause", offsetof(struct lint_node, exclude) },
		{ "ref_type", offsetof(struct lint_node, ref_type) }, { "join_type", offsetof(struct lint_node, join_type) },
		{ "setop_type", offsetof(struct lint_node, setop) },  { "value", offsetof(struct lint_node, text) },
		{ "schema_name", offsetof(struct lint_node, schema) }, { "table_name", offsetof(struct lint_node, table) },
		{ "relation_name", offsetof(struct lint_node, qualifier) }, { "key", offsetof(struct lint_node, entry) },
		{ "aggregate_handling", offsetof(struct lint_node, aggregates) },
		{ "subquery_type", offsetof(struct lint_node, subquery) },
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (str_eq_z(key, texts[i].key))
			*(struct str *)(void *)((char *)n + texts[i].offset) = value;
	n->text_is_string = n->text_is_string || str_eq_z(key, "value");
}

static void flag_set(struct lint_node *n, struct str key, bool value)
{
	static const struct {
		const char *key;
		size_t offset;
	} flags[] = {
		{ "distinct", offsetof(struct lint_node, distinct) },         { "try_cast", offsetof(struct lint_node, try_cast) },
		{ "ignore_nulls", offsetof(struct lint_node, ignore_nulls) }, { "is_operator", offsetof(struct lint_node, is_operator) },
		{ "is_null", offsetof(struct lint_node, is_null) },           { "columns", offsetof(struct lint_node, columns) },
		{ "setop_all", offsetof(struct lint_node, setop_all) },
	};
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (str_eq_z(key, flags[i].key))
			*((bool *)(void *)((char *)n + flags[i].offset)) = value;
	if (str_eq_z(key, "value")) {
		n->text = value ? STR("true") : STR("false");
		n->text_is_string = false;
	}
}

static bool is_star_change(struct str key)
{
	return str_eq_z(key, "exclude_list") || str_eq_z(key, "qualified_exclude_list") || str_eq_z(key, "replace_list") ||
	       str_eq_z(key, "rename_list");
}

static bool is_names(struct str key)
{
	return str_eq_z(key, "using_columns") || str_eq_z(key, "column_name_alias") || str_eq_z(key, "aliases");
}

/* A value in an array of plain values. */
static void item_set(struct lint_tree *t, struct arena *a, uint32_t node, struct str key, enum json_event ev, struct str value)
{
	struct lint_node *n = &t->v[node];
	if (str_eq_z(key, "column_names") && ev == JSON_STRING) {
		n->qualifier = n->column;
		n->column = value;
	} else if (is_star_change(key)) {
		n->has_star_change = true;
	} else if (is_names(key) && ev == JSON_STRING && t->words.n < LINT_NONE) {
		uint32_t added = (uint32_t)t->words.n;
		*arena_push(a, t->words) = (struct lint_word){ .key = key, .text = value, .next = LINT_NONE };
		if (n->first_word == LINT_NONE)
			n->first_word = added;
		else
			t->words.v[n->last_word].next = added;
		n->last_word = added;
	}
}

static uint32_t node_add(struct lint_tree *t, struct arena *a, struct level *top, struct str key)
{
	if (top->node != LINT_NONE && is_star_change(key))
		t->v[top->node].has_star_change = true;
	*arena_push(a, *t) = (struct lint_node){ .parent = top->node, .key = key, .at = LINT_NOWHERE,
						 .first_word = LINT_NONE, .place = top->object ? 0 : top->n_items++ };
	return (uint32_t)(t->n - 1);
}

bool lint_tree_read(struct str json, struct arena *a, struct lint_tree *t, struct err *e)
{
	struct level *levels = arena_array(a, struct level, JSON_DEPTH_MAX + 1);
	struct json_scan s;
	enum json_event ev;
	struct str key = STR_NONE;
	size_t depth = 0;

	*t = (struct lint_tree){ 0 };
	levels[0] = (struct level){ .node = LINT_NONE };
	json_open(&s, json, JSON_DEPTH_MAX);
	while ((ev = json_next(&s)) > JSON_DONE) {
		struct level *top = &levels[depth];
		struct str own = top->object ? key : top->key;
		struct lint_node *n = top->node == LINT_NONE ? NULL : &t->v[top->node];
		if (ev == JSON_KEY) {
			key = s.value;
		} else if (ev == JSON_OBJECT) {
			if (t->n >= LINT_NONE - 1)
				return err_set(e, ERR_ENGINE, "its syntax tree is too large");
			uint32_t added = node_add(t, a, top, own);
			levels[++depth] = (struct level){ .node = added, .object = true };
		} else if (ev == JSON_ARRAY) {
			if (n && !top->object && str_eq_z(own, "group_sets"))
				n->n_group_sets++;
			levels[++depth] = (struct level){ .node = top->node, .key = own };
		} else if (ev == JSON_OBJECT_END) {
			n->end = (uint32_t)t->n;
			depth--;
		} else if (ev == JSON_ARRAY_END) {
			depth--;
			if (n && str_eq_z(top->key, "group_sets") && !levels[depth].object && top->n_items == 0)
				n->has_total = true;
		} else if (n && !top->object) {
			top->n_items++;
			item_set(t, a, top->node, own, ev, s.value);
		} else if (n && ev == JSON_STRING) {
			text_set(n, own, s.value);
		} else if (n && ev == JSON_NUMBER) {
			number_set(n, own, s.value);
		} else if (n && ev != JSON_NULL) {
			flag_set(n, own, ev == JSON_TRUE);
		}
	}
	if (ev == JSON_BAD)
		return err_set(e, ERR_ENGINE, "its syntax tree cannot be read: %s at byte %zu", s.fault, s.fault_at);
	return true;
}

uint32_t lint_part(const struct lint_tree *t, uint32_t node, const char *key, uint32_t place)
{
	if (node == LINT_NONE)
		return LINT_NONE;
	for (uint32_t i = node + 1; i < t->v[node].end; i = t->v[i].end)
		if (t->v[i].place == place && str_eq_z(t->v[i].key, key))
			return i;
	return LINT_NONE;
}

uint32_t lint_count(const struct lint_tree *t, uint32_t node, const char *key)
{
	uint32_t n = 0;
	for (uint32_t i = node + 1; node != LINT_NONE && i < t->v[node].end; i = t->v[i].end)
		n += str_eq_z(t->v[i].key, key);
	return n;
}

uint32_t lint_word(const struct lint_tree *t, uint32_t node, const char *key, uint32_t word)
{
	uint32_t i = node == LINT_NONE ? LINT_NONE : word == LINT_NONE ? t->v[node].first_word : t->words.v[word].next;
	while (i != LINT_NONE && !str_eq_z(t->words.v[i].key, key))
		i = t->words.v[i].next;
	return i;
}

bool lint_alike(const struct lint_tree *t, uint32_t x, uint32_t y)
{
	uint32_t n = t->v[x].end - x;
	if (n != t->v[y].end - y)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct lint_node *a = &t->v[x + i], *b = &t->v[y + i];
		bool same = str_eq(a->kind, b->kind) && str_eq(a->type, b->type) && str_eq_nocase(a->name, b->name) &&
			    str_eq_nocase(a->column, b->column) && str_eq_nocase(a->qualifier, b->qualifier) &&
			    str_eq(a->text, b->text) && str_eq(a->id, b->id) && str_eq(a->table, b->table) &&
			    a->width == b->width && a->scale == b->scale && a->is_null == b->is_null && a->distinct == b->distinct &&
			    a->try_cast == b->try_cast && a->end - i - x == b->end - i - y;
		if (!same)
			return false;
	}
	return true;
}
