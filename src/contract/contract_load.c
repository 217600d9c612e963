/* An ODCS 3.1 file into a contract: the document and its table. Properties, rules and relationships have files of
 * their own. */
#include "base/file.h"
#include "config/pipeline.h"
#include "contract/contract_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const document_known[] = { "apiVersion", "kind",	  "id",		   "name",
					      "version",    "status", "schema",		   "customProperties",
					      NULL };
static const char *const document_ignored[] = { "tenant",
						"tags",
						"servers",
						"dataProduct",
						"description",
						"domain",
						"support",
						"price",
						"team",
						"roles",
						"slaDefaultElement",
						"slaProperties",
						"authoritativeDefinitions",
						"contractCreatedTs",
						NULL };
static const char *const document_customs[] = { "sluice.draft", NULL };
static const char *const schema_known[] = { "name",	     "logicalType", "properties", "relationships",
					    "quality",	     "customProperties", "description", NULL };
static const char *const schema_ignored[] = { "id",
					      "physicalName",
					      "physicalType",
					      "businessName",
					      "authoritativeDefinitions",
					      "tags",
					      "dataGranularityDescription",
					      NULL };
static const char *const schema_customs[] = { "sluice.sort",	       "sluice.window_column", "sluice.budget_percent",
					      "sluice.budget_rows",    "sluice.action",	       "sluice.draft",
					      NULL };

static size_t find_column(const struct loader *l, struct str name)
{
	for (size_t i = 0; i < l->columns.n; i++)
		if (str_eq(l->columns.v[i].name, name))
			return i;
	return SIZE_MAX;
}

static void unknown_column(struct loader *l, const struct yaml_node *n, struct str name)
{
	const char *best = NULL;
	size_t best_distance = 4;
	for (size_t i = 0; i < l->columns.n; i++) {
		size_t d = str_distance(name, l->columns.v[i].name);
		if (d < best_distance) {
			best_distance = d;
			best = arena_format(l->a, "did you mean `%.*s`?", STR_ARG(l->columns.v[i].name)).p;
		}
	}
	problem_at(l->p, n, best, "unknown column `%.*s`", STR_ARG(name));
}

/* ── the whole table ── */

static void key_collect(struct loader *l)
{
	struct contract *c = l->c;
	size_t n = 0;
	for (size_t i = 0; i < l->columns.n; i++)
		n += l->columns.v[i].key_position > 0;
	if (n == 0)
		return;
	c->key = arena_array(l->a, size_t, n);
	memset(c->key, 0xff, n * sizeof *c->key);
	for (size_t i = 0; i < l->columns.n; i++) {
		struct column *k = &l->columns.v[i];
		if (k->key_position == 0)
			continue;
		const struct yaml_node *at = l->sources.v[i].node;
		if (k->key_position > n)
			problem_at(l->p, at, NULL, "primaryKeyPosition %zu of `%.*s`, but the key has %zu columns",
				   k->key_position, STR_ARG(k->name), n);
		else if (c->key[k->key_position - 1] != SIZE_MAX)
			problem_at(l->p, at, "give each column of the key its own primaryKeyPosition, from 1",
				   "`%.*s` and `%.*s` have the same place in the primary key",
				   STR_ARG(l->columns.v[c->key[k->key_position - 1]].name), STR_ARG(k->name));
		else
			c->key[k->key_position - 1] = i;
	}
	c->n_key = n;
	for (size_t i = 0; i < n; i++)
		if (c->key[i] == SIZE_MAX)
			c->n_key = 0; /* a problem was added above */
}

static void unique_check(struct loader *l)
{
	for (size_t i = 0; i < l->columns.n; i++) {
		const struct column_source *s = &l->sources.v[i];
		if (s->unique && !(l->c->n_key == 1 && l->c->key[0] == i))
			problem_at_key(l->p, s->unique_node, "make it the primary key, or check it in a model",
				       "`%.*s` cannot be checked for being unique: only the primary key is",
				       STR_ARG(l->columns.v[i].name));
	}
}

/* "a" or "-a" for descending; a list of them. */
static void sort_load(struct loader *l, struct yaml_node *n)
{
	struct contract *c = l->c;
	struct str *words;
	size_t count;
	if (!n || !texts_read(n, COLUMNS_MAX, l->a, &words, &count, l->p))
		return;
	c->sort = arena_array(l->a, size_t, count);
	c->sort_descending = arena_array(l->a, bool, count);
	const struct yaml_node *item = n->type == YAML_LIST ? n->child : n;
	for (size_t i = 0; i < count; i++, item = item->next) {
		bool descending = str_starts(words[i], STR("-"));
		struct str name = str_sub(words[i], descending, words[i].n);
		size_t column = find_column(l, name);
		if (column == SIZE_MAX) {
			unknown_column(l, item, name);
			continue;
		}
		enum column_type t = l->columns.v[column].type;
		if (t == TYPE_DOUBLE || t == TYPE_JSON)
			problem_at(l->p, item, NULL, "a table cannot be sorted by `%.*s`, which is a %s", STR_ARG(name),
				   column_type_name(t));
		for (size_t k = 0; k < c->n_sort; k++)
			if (c->sort[k] == column)
				problem_at(l->p, item, NULL, "`%.*s` stands twice in sluice.sort", STR_ARG(name));
		c->sort[c->n_sort] = column;
		c->sort_descending[c->n_sort++] = descending;
	}
}

static void window_load(struct loader *l, struct yaml_node *n)
{
	struct str name;
	if (!n || !yaml_str(n, &name, l->p))
		return;
	size_t column = find_column(l, name);
	if (column == SIZE_MAX) {
		unknown_column(l, n, name);
		return;
	}
	enum column_type t = l->columns.v[column].type;
	if (t != TYPE_TIMESTAMP) {
		problem_at(l->p, n, "name a timestamp column", "the window column must be an instant, `%.*s` is a %s",
			   STR_ARG(name), column_type_name(t));
		return;
	}
	l->c->window_column = column;
	enum rule_action action = l->action == ACTION_FAIL ? ACTION_FAIL : ACTION_QUARANTINE;
	*arena_push(l->a, l->rules) = (struct rule){ .kind = RULE_WINDOW, .column = column, .action = action };
}

static void budget_load(struct loader *l, struct yaml_node *schema)
{
	struct yaml_node *percent = custom_get(schema, "sluice.budget_percent");
	struct yaml_node *rows = custom_get(schema, "sluice.budget_rows");
	const struct column percent_column = { .type = TYPE_DOUBLE };
	union scalar v;
	if (percent) {
		if (percent->type != YAML_SCALAR || percent->quoted ||
		    !scalar_from_text(&percent_column, percent->text, l->a, &v) || !(v.f64 >= 0 && v.f64 <= 100))
			problem_at(l->p, percent, "5", "sluice.budget_percent is a number from 0 to 100");
		else
			l->c->budget_percent = v.f64;
	}
	if (rows)
		yaml_u64(rows, 0, INT64_MAX, &l->c->budget_rows, l->p);
}

struct placed { /* a column or a child table */
	struct str name, path;
	const struct yaml_node *node;
};

static struct placed placed_at(const struct loader *l, size_t i)
{
	if (i < l->columns.n)
		return (struct placed){ l->columns.v[i].name, l->columns.v[i].path, l->sources.v[i].node };
	const struct child_source *s = &l->children.v[i - l->columns.n];
	return (struct placed){ s->name, s->path, s->node };
}

/* Whether one path leads through the other: "a" and "a.b". */
static void paths_check(struct loader *l)
{
	for (size_t i = 0; i < l->columns.n + l->children.n; i++)
		for (size_t k = 0; k < i; k++) {
			struct placed one = placed_at(l, k), other = placed_at(l, i);
			struct str x = one.path, y = other.path;
			struct str shorter = x.n < y.n ? x : y, longer = x.n < y.n ? y : x;
			bool same = str_eq(x, y);
			bool inside = !same && str_starts(longer, shorter) && longer.p[shorter.n] == '.' &&
				      (shorter.n == 0 || shorter.p[shorter.n - 1] != '\\');
			if (same || inside)
				problem_at(l->p, other.node, "give one of them another sluice.path",
					   same ? "columns `%.*s` and `%.*s` have the same path" :
						  "the paths of columns `%.*s` and `%.*s` lie inside each other",
					   STR_ARG(one.name), STR_ARG(other.name));
		}
}

static void finish(struct loader *l)
{
	struct contract *c = l->c;
	*arena_push(l->a, l->rules) =
		(struct rule){ .kind = RULE_RECORD,
			       .column = SIZE_MAX,
			       .action = l->action == ACTION_FAIL ? ACTION_FAIL : ACTION_QUARANTINE };
	if (c->n_key > 0)
		*arena_push(l->a, l->rules) =
			(struct rule){ .kind = RULE_UNIQUE, .column = SIZE_MAX, .action = ACTION_FAIL };
	c->columns = l->columns.v;
	c->n_columns = l->columns.n;
	c->relationships = l->relationships.v;
	c->n_relationships = l->relationships.n;
	contract_finish(c, &l->rules, l->a);
}

static struct contract *contract_new(struct arena *a)
{
	struct contract *c = arena_new(a, struct contract);
	c->window_column = SIZE_MAX;
	c->budget_percent = 5;
	return c;
}

/* ── child tables ── */

static const char *const items_known[] = { "logicalType", "properties", "description", NULL };
static const char *const items_ignored[] = { "id",   "name",	    "physicalType",	      "physicalName",
					     "tags", "businessName", "authoritativeDefinitions", "examples",
					     NULL };

/* The budget is the parent's unless the array says otherwise. */
static void child_load(struct loader *parent, const struct child_source *s)
{
	struct loader l = { .a = parent->a, .p = parent->p, .c = contract_new(parent->a), .action = parent->action,
			    .is_child = true, .errors = parent->errors };
	struct yaml_node *items = yaml_get(s->node, "items"), *properties = yaml_get(items, "properties");
	struct yaml_node *action = custom_get(s->node, "sluice.action");
	l.c->file = parent->c->file;
	l.c->name = arena_format(l.a, "%.*s__%.*s", STR_ARG(parent->c->name), STR_ARG(s->name));
	l.c->array_path = s->path;
	l.c->budget_percent = parent->c->budget_percent;
	l.c->budget_rows = parent->c->budget_rows;
	contract_keys_check(items, items_known, items_ignored, NULL, l.p);
	if (name_ok(parent->c->name) && !name_ok(l.c->name))
		problem_at(l.p, s->node, "names are at most 63 bytes; sluice.path says where the value stands in the record",
			   "`%.*s` cannot be the name of a table", STR_ARG(l.c->name));
	if (action)
		action_read(action, &l.action, l.p);
	if (yaml_is_null(properties) || properties->type != YAML_LIST || properties->n_children == 0)
		problem_at(l.p, items, "properties: [{name: id, logicalType: integer}]",
			   "items that are objects need a list of properties");
	else
		properties_load(&l, properties);
	unique_check(&l);
	paths_check(&l);
	sort_load(&l, custom_get(s->node, "sluice.sort"));
	budget_load(&l, s->node);
	if (l.rules.n + 2 > RULES_MAX)
		problem_at(l.p, s->node, NULL, "more than %d rules", RULES_MAX);
	if (l.p->n_errors > l.errors)
		return;
	finish(&l);
	parent->c->children[parent->c->n_children++] = l.c;
}

static void children_load(struct loader *l)
{
	if (l->children.n == 0)
		return;
	l->c->children = arena_array(l->a, struct contract *, l->children.n);
	for (size_t i = 0; i < l->children.n; i++)
		child_load(l, &l->children.v[i]);
}

static void schema_load(struct loader *l, struct yaml_node *schema)
{
	struct yaml_node *name = yaml_get(schema, "name"), *properties = yaml_get(schema, "properties");
	struct yaml_node *logical = yaml_get(schema, "logicalType"), *action = custom_get(schema, "sluice.action");
	struct yaml_node *draft = custom_get(schema, "sluice.draft"), *relations = yaml_get(schema, "relationships");
	contract_keys_check(schema, schema_known, schema_ignored, NULL, l->p);
	custom_check(schema, schema_customs, l->p);
	if (name) {
		l->c->name_line = name->line;
		l->c->name_column = name->column;
	}
	if (!name)
		problem_at(l->p, schema, "name: flights", "the table has no name");
	else if (yaml_str(name, &l->c->name, l->p) && !name_ok(l->c->name))
		problem_at(l->p, name, "names are [a-z][a-z0-9_]*, at most 63 bytes", "`%.*s` cannot be the name of a table",
			   STR_ARG(l->c->name));
	if (logical && !str_eq_z(logical->text, "object"))
		problem_at(l->p, logical, "object", "a table is an object");
	if (action)
		action_read(action, &l->action, l->p);
	if (draft)
		yaml_bool(draft, &l->c->draft, l->p);
	if (yaml_is_null(properties) || properties->type != YAML_LIST || properties->n_children == 0)
		problem_at(l->p, properties ? properties : schema, "properties: [{name: id, logicalType: integer}]",
			   "the table needs a list of properties");
	else
		properties_load(l, properties);
	key_collect(l);
	unique_check(l);
	paths_check(l);
	sort_load(l, custom_get(schema, "sluice.sort"));
	window_load(l, custom_get(schema, "sluice.window_column"));
	budget_load(l, schema);
	relationships_load(l, relations, STR_NONE);
	table_quality_load(l, yaml_get(schema, "quality"));
	children_load(l);
}

static void document_load(struct loader *l, struct yaml_node *root)
{
	struct yaml_node *version = yaml_get(root, "apiVersion"), *kind = yaml_get(root, "kind");
	struct yaml_node *schema = yaml_get(root, "schema"), *draft = custom_get(root, "sluice.draft");
	static const struct {
		const char *key, *advice;
	} needed[] = {
		{ "apiVersion", "apiVersion: v3.1.0" },
		{ "kind", "kind: DataContract" },
		{ "id", "id: shop-orders    a name of the contract that no other one has" },
		{ "version", "version: 1.0.0    of this contract" },
		{ "status", "status: active    one of proposed, draft, active, deprecated, retired" },
		{ "schema", "schema: [{name: orders, properties: [...]}]" },
	};
	contract_keys_check(root, document_known, document_ignored, NULL, l->p);
	custom_check(root, document_customs, l->p);
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (yaml_is_null(yaml_get(root, needed[i].key)))
			problem_file(l->p, root->file, root->line, root->column, needed[i].advice, "`%s` is missing",
				     needed[i].key);
	if (version && !str_eq_z(version->text, "v3.1.0"))
		problem_at(l->p, version, "apiVersion: v3.1.0", "only ODCS v3.1.0 is read");
	if (kind && !str_eq_z(kind->text, "DataContract"))
		problem_at(l->p, kind, "kind: DataContract", "this is no data contract");
	if (yaml_get(root, "id"))
		yaml_str(yaml_get(root, "id"), &l->c->id, l->p);
	if (yaml_get(root, "version"))
		yaml_str(yaml_get(root, "version"), &l->c->version, l->p);
	if (draft)
		yaml_bool(draft, &l->c->draft, l->p);
	if (yaml_is_null(schema))
		return;
	if (schema->type != YAML_LIST || schema->n_children != 1 || schema->child->type != YAML_MAP)
		problem_at(l->p, schema, "write one file per table", "schema must be a list of one table");
	else
		schema_load(l, schema->child);
}

static bool load_tree(const char *file, struct yaml_node *root, struct arena *a, struct contract **out,
		      struct problems *p)
{
	size_t errors = p->n_errors;
	struct loader l = { .a = a, .p = p, .c = contract_new(a), .action = ACTION_QUARANTINE, .errors = errors };
	l.c->file = arena_zero_terminated(a, str_from(file));
	if (!root || root->type != YAML_MAP)
		problem_file(p, file, 1, 1, "see `sluice contract draft`", "the file is no ODCS document");
	else
		document_load(&l, root);
	if (l.rules.n + 2 > RULES_MAX)
		problem_file(p, file, 0, 0, NULL, "more than %d rules", RULES_MAX);
	if (p->n_errors > errors)
		return false;
	l.c->id = arena_copy(a, l.c->id);
	l.c->name = arena_copy(a, l.c->name);
	l.c->version = arena_copy(a, l.c->version);
	finish(&l);
	*out = l.c;
	return true;
}

bool contract_parse(const char *file, struct str text, struct arena *a, struct contract **out, struct problems *p)
{
	struct yaml_node *root = NULL;
	return yaml_parse(file, text, a, &root, p) && load_tree(file, root, a, out, p);
}

bool contract_load(const char *path, struct arena *a, struct contract **out, struct problems *p)
{
	struct yaml_node *root = NULL;
	return yaml_load(path, a, &root, p) && load_tree(path, root, a, out, p);
}

bool contract_find(struct str folder, struct str table, struct arena *a, struct contract **out, struct problems *p)
{
	struct str path = arena_format(a, "%.*s/contracts/%.*s.yaml", STR_ARG(folder), STR_ARG(table));
	*out = NULL;
	struct err e = ERR_INIT;
	bool there;
	if (!file_look(path.p, &there, &e)) {
		problem_unread(p, path.p, NULL, &e);
		return false;
	}
	if (!there)
		return true;
	struct contract *c;
	if (!contract_load(path.p, a, &c, p))
		return false;
	if (!str_eq(c->name, table)) {
		problem_file(p, path.p, c->name_line, c->name_column, "name the file and schema[].name after the table",
			     "the contract is of table `%.*s`, its file is named after `%.*s`", STR_ARG(c->name),
			     STR_ARG(table));
		return false;
	}
	*out = c;
	return true;
}

struct contract *contract_none(struct str table, struct arena *a)
{
	struct loader l = { .a = a, .c = contract_new(a), .action = ACTION_QUARANTINE };
	l.c->file = "";
	l.c->name = arena_copy(a, table);
	l.c->none = true;
	finish(&l);
	return l.c;
}
