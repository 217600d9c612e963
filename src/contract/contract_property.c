/* schema[].properties: columns, nested objects flattened to a__b. */
#include "config/pipeline.h"
#include "contract/contract_internal.h"

enum { NEST_MAX = 32, FORMATS_MAX = 16, NULL_TEXTS_MAX = 64 };

static const char *const property_known[] = { "name",		    "logicalType", "logicalTypeOptions", "required",
					      "primaryKey",	    "properties",  "primaryKeyPosition", "unique",
					      "customProperties",   "quality",	   "relationships",	 "description",
					      "items",		    NULL };
static const char *const property_ignored[] = { "id",
						"physicalType",
						"physicalName",
						"businessName",
						"authoritativeDefinitions",
						"tags",
						"classification",
						"transformSourceObjects",
						"transformLogic",
						"transformDescription",
						"examples",
						"criticalDataElement",
						NULL };
static const struct refused_key property_refused[] = {
	{ "partitioned", "remove it: sluice's tables are not partitioned" },
	{ "partitionKeyPosition", "remove it: sluice's tables are not partitioned" },
	{ "encryptedName", "remove it: sluice does not encrypt columns" },
	{ NULL, NULL },
};
static const char *const column_customs[] = { "sluice.type",	"sluice.precision", "sluice.scale",   "sluice.path",
					      "sluice.action",	"sluice.actions",   "sluice.null",    "sluice.zone",
					      "sluice.formats", "sluice.inexact",   "sluice.accepted", NULL };
static const char *const object_customs[] = { "sluice.path", NULL };
static const char *const json_customs[] = { "sluice.path", "sluice.as", NULL };
static const char *const child_customs[] = { "sluice.path",	      "sluice.as",	    "sluice.action", "sluice.sort",
					     "sluice.budget_percent", "sluice.budget_rows", NULL };

/* ── types ── */

static bool decimal_load(struct loader *l, struct yaml_node *n, struct column *c)
{
	struct yaml_node *precision = custom_get(n, "sluice.precision");
	struct yaml_node *scale = custom_get(n, "sluice.scale");
	uint64_t p = 0, s = 0;
	if (!precision || !scale) {
		problem_at(l->p, n, "customProperties: {property: sluice.precision, value: 10}, "
				    "{property: sluice.scale, value: 2}",
			   "column `%.*s` is a decimal and needs %s", STR_ARG(c->name),
			   precision ? "sluice.scale" : "sluice.precision");
		return false;
	}
	if (!yaml_u64(precision, 1, 38, &p, l->p) || !yaml_u64(scale, 0, p, &s, l->p))
		return false;
	c->precision = (unsigned)p;
	c->scale = (unsigned)s;
	return true;
}

static bool number_load(struct loader *l, struct yaml_node *n, struct column *c)
{
	struct yaml_node *type = custom_get(n, "sluice.type");
	bool has_digits = custom_get(n, "sluice.precision") || custom_get(n, "sluice.scale");
	struct str word = has_digits ? STR("decimal") : STR_NONE;
	if (type && !yaml_str(type, &word, l->p))
		return false;
	if (str_eq_z(word, "decimal")) {
		c->type = TYPE_DECIMAL;
		return decimal_load(l, n, c);
	}
	if (str_eq_z(word, "double")) {
		c->type = TYPE_DOUBLE;
		if (has_digits)
			problem_at(l->p, type, "remove sluice.precision and sluice.scale, or make it a decimal",
				   "a double has no precision and scale");
		return !has_digits;
	}
	if (type) {
		problem_at(l->p, type, "one of decimal, double", "a number cannot be stored as `%.*s`", STR_ARG(word));
		return false;
	}
	problem_at(l->p, n, "say sluice.precision and sluice.scale (an exact decimal), or sluice.type: double",
		   "column `%.*s` is a number, but of which kind?", STR_ARG(c->name));
	return false;
}

static bool type_load(struct loader *l, struct yaml_node *n, struct column *c)
{
	static const struct {
		const char *name;
		enum column_type type;
	} types[] = { { "string", TYPE_STRING },   { "boolean", TYPE_BOOLEAN },	    { "integer", TYPE_INTEGER },
		      { "number", TYPE_DECIMAL },  { "date", TYPE_DATE },	    { "timestamp", TYPE_TIMESTAMP },
		      { "array", TYPE_JSON },	   { "object", TYPE_JSON } };
	struct yaml_node *logical = yaml_get(n, "logicalType");
	struct str word;
	if (!logical) {
		problem_at(l->p, n, "logicalType: string, boolean, integer, number, date, timestamp, object or array",
			   "column `%.*s` has no logicalType", STR_ARG(c->name));
		return false;
	}
	if (!yaml_str(logical, &word, l->p))
		return false;
	size_t i = 0;
	while (i < sizeof types / sizeof *types && !str_eq_z(word, types[i].name))
		i++;
	if (i == sizeof types / sizeof *types) {
		bool time = str_eq_z(word, "time");
		problem_at(l->p, logical,
			   time ? "a time of day is kept as string, with a pattern" :
				  "one of string, boolean, integer, number, date, timestamp, object, array",
			   "unknown logicalType `%.*s`", STR_ARG(word));
		return false;
	}
	c->type = types[i].type;
	if (str_eq_z(word, "number"))
		return number_load(l, n, c);
	struct yaml_node *type = custom_get(n, "sluice.type");
	if (type && (!yaml_str(type, &word, l->p) || !str_eq_z(word, column_type_name(c->type)))) {
		problem_at(l->p, type, "sluice.type says how a number is stored: decimal or double",
			   "sluice.type does not fit logicalType %s", types[i].name);
		return false;
	}
	static const char *const digits[] = { "sluice.precision", "sluice.scale" };
	for (size_t d = 0; d < 2; d++)
		if (custom_get(n, digits[d]))
			problem_at(l->p, custom_get(n, digits[d]), "use logicalType: number for a decimal",
				   "%s belongs to numbers only", digits[d]);
	return true;
}

/* ── how texts become values ── */

static bool pattern_letters_ok(struct str pattern, bool *has_zone)
{
	*has_zone = false;
	for (size_t i = 0; i < pattern.n; i++) {
		if (pattern.p[i] != '%')
			continue;
		if (++i == pattern.n || !str_contains(STR("YmdHMSfz%"), str_sub(pattern, i, 1)))
			return false;
		*has_zone |= pattern.p[i] == 'z';
	}
	return pattern.n > 0;
}

static void formats_load(struct loader *l, struct yaml_node *n, struct column *c)
{
	struct yaml_node *formats = custom_get(n, "sluice.formats"), *zone = custom_get(n, "sluice.zone");
	if (zone) {
		struct str name;
		struct err e = ERR_INIT;
		if (yaml_str(zone, &name, l->p) && !zone_load(name, l->a, &c->zone, &e))
			problem_at(l->p, zone, "a name of the IANA time zones, such as America/New_York", "%s", e.message);
		if (c->type != TYPE_TIMESTAMP)
			problem_at(l->p, zone, NULL, "sluice.zone belongs to timestamps only");
		else if (!formats)
			problem_at(l->p, zone, "add sluice.formats, or remove the zone: RFC 3339 has its own offset",
				   "sluice.zone without sluice.formats has no meaning");
	}
	if (!formats)
		return;
	if (c->type != TYPE_TIMESTAMP && c->type != TYPE_DATE) {
		problem_at(l->p, formats, NULL, "sluice.formats belongs to dates and timestamps only");
		return;
	}
	if (!texts_read(formats, FORMATS_MAX, l->a, &c->formats, &c->n_formats, l->p))
		return;
	for (size_t i = 0; i < c->n_formats; i++) {
		struct str f = c->formats[i];
		bool has_zone;
		if (str_eq_z(f, "epoch_s") || str_eq_z(f, "epoch_ms")) {
			if (c->type == TYPE_DATE)
				problem_at(l->p, formats, "make it a timestamp", "a date cannot be read from `%.*s`",
					   STR_ARG(f));
		} else if (!pattern_letters_ok(f, &has_zone)) {
			problem_at(l->p, formats, "letters: %Y %m %d %H %M %S %f %z %%; or epoch_s, epoch_ms",
				   "`%.*s` is no format", STR_ARG(f));
		} else if (c->type == TYPE_TIMESTAMP && !has_zone && !zone) {
			problem_at(l->p, formats,
				   "add %z to it, or sluice.zone (sluice.zone: UTC), or keep the column as string",
				   "`%.*s` is a wall clock without a zone, not an instant", STR_ARG(f));
		}
	}
}

static void reading_load(struct loader *l, struct yaml_node *n, struct column *c)
{
	formats_load(l, n, c);
	struct yaml_node *nulls = custom_get(n, "sluice.null"), *inexact = custom_get(n, "sluice.inexact");
	if (nulls)
		texts_read(nulls, NULL_TEXTS_MAX, l->a, &c->null_texts, &c->n_null_texts, l->p);
	struct str word;
	if (!inexact || !yaml_str(inexact, &word, l->p))
		return;
	if (str_eq_z(word, "count"))
		c->inexact = INEXACT_COUNT;
	else if (!str_eq_z(word, "quarantine"))
		problem_at(l->p, inexact, "one of count, quarantine", "unknown sluice.inexact `%.*s`", STR_ARG(word));
	if (c->type != TYPE_DOUBLE && c->type != TYPE_DECIMAL && c->type != TYPE_TIMESTAMP)
		problem_at(l->p, inexact, NULL, "sluice.inexact belongs to double, decimal and timestamp only");
}

/* ── name, path, key ── */

static struct str path_default(struct str name, struct arena *a)
{
	char *p = arena_zero_terminated(a, name);
	size_t n = 0;
	for (size_t i = 0; i < name.n; i++) {
		bool separator = i > 0 && i + 2 < name.n && name.p[i] == '_' && name.p[i + 1] == '_';
		p[n++] = separator ? '.' : name.p[i];
		i += separator;
	}
	return (struct str){ p, n };
}

struct place { /* where a property stands: names and paths of the objects around it */
	struct yaml_node *item;
	struct str name, path;
};

static bool name_load(struct loader *l, const struct place *where, struct yaml_node *n, struct str *name,
		      struct str *path)
{
	struct yaml_node *name_node = yaml_get(n, "name"), *path_node = custom_get(n, "sluice.path");
	struct str own, own_path;
	if (!name_node) {
		problem_at(l->p, n, NULL, "a property needs a name");
		return false;
	}
	if (!yaml_str(name_node, &own, l->p))
		return false;
	*name = where->name.n ? arena_format(l->a, "%.*s__%.*s", STR_ARG(where->name), STR_ARG(own)) :
				arena_copy(l->a, own);
	if (!name_ok(*name)) {
		problem_at(l->p, name_node,
			   "names are [a-z][a-z0-9_]*, at most 63 bytes; sluice.path says where the value stands in the record",
			   "`%.*s` cannot be the name of a column", STR_ARG(*name));
		return false;
	}
	own_path = path_default(own, l->a);
	if (path_node && (!yaml_str(path_node, &own_path, l->p) || own_path.n == 0 || own_path.n > 1024)) {
		problem_at(l->p, path_node, "keys joined by '.', a dot in a key as '\\.'", "this is no path");
		return false;
	}
	*path = where->path.n ? arena_format(l->a, "%.*s.%.*s", STR_ARG(where->path), STR_ARG(own_path)) :
				arena_copy(l->a, own_path);
	return true;
}

static void key_load(struct loader *l, struct yaml_node *n, struct column *c)
{
	struct yaml_node *required = yaml_get(n, "required"), *primary = yaml_get(n, "primaryKey");
	struct yaml_node *position = yaml_get(n, "primaryKeyPosition");
	bool is_key = false;
	if (required)
		yaml_bool(required, &c->required, l->p);
	if (primary)
		yaml_bool(primary, &is_key, l->p);
	if (position && !is_key && !str_eq_z(position->text, "-1"))
		problem_at(l->p, position, "add primaryKey: true", "primaryKeyPosition without primaryKey");
	if (!is_key)
		return;
	uint64_t value = 1;
	if (position && !yaml_u64(position, 1, COLUMNS_MAX, &value, l->p))
		return;
	if (c->type == TYPE_DOUBLE || c->type == TYPE_JSON)
		problem_at(l->p, primary, "use a decimal, an integer or a string",
			   "a %s column cannot be part of the primary key", column_type_name(c->type));
	if (l->is_child)
		problem_at(l->p, primary, "remove it; a model can find elements that are there twice",
			   "rows of a child table have no primary key: `_window`, `_page`, `_parent_off`, `_idx` tell them apart");
	if (required && !c->required && required->type == YAML_SCALAR && str_eq_z(required->text, "false"))
		problem_at(l->p, required, "remove it", "a column of the primary key is always required");
	c->required = true;
	c->key_position = (size_t)value;
}

/* ── one property ── */

static void column_load(struct loader *l, struct yaml_node *n, struct str name, struct str path)
{
	struct column c = { .name = name, .path = path };
	custom_check(n, custom_get(n, "sluice.as") ? json_customs : column_customs, l->p);
	for (size_t i = 0; i < l->columns.n; i++)
		if (str_eq(l->columns.v[i].name, name)) {
			problem_at(l->p, n, NULL, "column `%.*s` is declared twice, first in line %u", STR_ARG(name),
				   l->sources.v[i].node->line);
			return;
		}
	if (l->columns.n >= COLUMNS_MAX) {
		problem_at(l->p, n, NULL, "more than %d columns", COLUMNS_MAX);
		return;
	}
	if (!type_load(l, n, &c)) {
		c.type = TYPE_JSON; /* a stand-in, so that the rest is checked too; no rule is read for it */
		*arena_push(l->a, l->columns) = c;
		*arena_push(l->a, l->sources) = (struct column_source){ .node = n };
		return;
	}
	key_load(l, n, &c);
	reading_load(l, n, &c);
	struct yaml_node *description = yaml_get(n, "description");
	if (description && description->type == YAML_SCALAR)
		c.description = arena_copy(l->a, description->text);
	*arena_push(l->a, l->columns) = c;
	*arena_push(l->a, l->sources) = (struct column_source){ .node = n };
	rules_load(l, n, l->columns.n - 1);
	struct yaml_node *relationships = yaml_get(n, "relationships");
	if (!yaml_is_null(relationships))
		relationships_load(l, relationships, name);
}

/* Keys of a column, at a property that is none. */
static void no_column_check(struct loader *l, struct yaml_node *n, const char *advice, const char *what)
{
	static const char *const not_here[] = { "required", "unique", "primaryKey", "primaryKeyPosition",
						"quality",  "relationships", "logicalTypeOptions" };
	for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++) {
		struct yaml_node *k = yaml_get(n, not_here[i]);
		if (!yaml_is_null(k) && !str_eq_z(k->text, "false"))
			problem_at_key(l->p, k, advice, "`%s` of %s", not_here[i], what);
	}
}

static void object_check(struct loader *l, struct yaml_node *n)
{
	custom_check(n, object_customs, l->p);
	if (!yaml_is_null(yaml_get(n, "items")))
		problem_at_key(l->p, yaml_get(n, "items"), NULL, "only a property with logicalType array has items");
	no_column_check(l, n, "put it on the object's own properties: they become the columns",
			"an object that is flattened");
}

/* ── arrays of objects ── */

/* `sluice.as: json` keeps an array whose items are described as one json column. */
static bool array_as_json(struct loader *l, struct yaml_node *n)
{
	struct yaml_node *as = custom_get(n, "sluice.as");
	struct str word;
	if (!as || !yaml_str(as, &word, l->p) || str_eq_z(word, "table"))
		return false;
	if (!str_eq_z(word, "json"))
		problem_at(l->p, as, "one of table, json", "unknown sluice.as `%.*s`", STR_ARG(word));
	return true;
}

static void child_note(struct loader *l, struct yaml_node *n, struct str name, struct str path)
{
	custom_check(n, child_customs, l->p);
	no_column_check(l, n, "put it on the properties of the items: they become the columns of the child table",
			"an array whose items become a child table");
	for (size_t i = 0; i < l->children.n; i++)
		if (str_eq(l->children.v[i].name, name)) {
			problem_at(l->p, n, NULL, "`%.*s` is declared twice, first in line %u", STR_ARG(name),
				   l->children.v[i].node->line);
			return;
		}
	if (l->children.n >= CHILDREN_MAX)
		problem_at(l->p, n, "keep some of them as one column with sluice.as: json", "more than %d child tables",
			   CHILDREN_MAX);
	else
		*arena_push(l->a, l->children) = (struct child_source){ n, name, path };
}

/* True: the property has items, and what is to be said of them was said or noted. */
static bool items_load(struct loader *l, struct yaml_node *n, struct str name, struct str path)
{
	struct yaml_node *items = yaml_get(n, "items"), *logical = yaml_get(n, "logicalType");
	if (yaml_is_null(items))
		return false;
	if (!logical || logical->type != YAML_SCALAR || !str_eq_z(logical->text, "array")) {
		problem_at_key(l->p, items, NULL, "only a property with logicalType array has items");
		return true;
	}
	if (array_as_json(l, n))
		return false;
	struct yaml_node *type = yaml_get(items, "logicalType");
	if (items->type != YAML_MAP || !type || type->type != YAML_SCALAR || !str_eq_z(type->text, "object"))
		problem_at_key(l->p, items, "remove it, or write customProperties: [{property: sluice.as, value: json}]: such "
			       "an array is kept as json and its items are not checked",
			       "items of `%.*s` that are no objects", STR_ARG(name));
	else if (l->is_child)
		problem_at_key(l->p, items, "remove it, or write customProperties: [{property: sluice.as, value: json}]",
			       "`%.*s` is an array inside an array: it is kept as json and its items are not checked",
			       STR_ARG(name));
	else
		child_note(l, n, name, path);
	return true;
}

void properties_load(struct loader *l, struct yaml_node *list)
{
	struct place stack[NEST_MAX] = { { .item = list->child } };
	size_t depth = 1;
	while (depth > 0) {
		struct place *top = &stack[depth - 1];
		struct yaml_node *n = top->item;
		if (!n) {
			depth--;
			continue;
		}
		top->item = n->next;
		if (n->type != YAML_MAP) {
			problem_at(l->p, n, NULL, "a property must be a map with `name` and `logicalType`");
			continue;
		}
		contract_keys_check(n, property_known, property_ignored, property_refused, l->p);
		struct str name, path;
		if (!name_load(l, top, n, &name, &path))
			continue;
		struct yaml_node *inner = yaml_get(n, "properties"), *logical = yaml_get(n, "logicalType");
		if (yaml_is_null(inner) && items_load(l, n, name, path))
			continue;
		if (yaml_is_null(inner)) {
			column_load(l, n, name, path);
		} else if (!logical || logical->type != YAML_SCALAR || !str_eq_z(logical->text, "object")) {
			problem_at_key(l->p, inner, NULL, "only a property with logicalType object has properties");
		} else if (inner->type != YAML_LIST) {
			problem_at(l->p, inner, NULL, "properties must be a list");
		} else if (depth == NEST_MAX) {
			problem_at(l->p, inner, NULL, "objects nested more than %d levels deep", NEST_MAX);
		} else {
			object_check(l, n);
			stack[depth++] = (struct place){ inner->child, name, path };
		}
	}
}
