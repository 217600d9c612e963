/* logicalTypeOptions, quality and sluice.accepted: the rules of a column. */
#include "base/check.h"
#include "contract/contract_internal.h"

#include <stdlib.h>

static const char *const option_known[] = { "minimum",	 "maximum",   "exclusiveMinimum", "exclusiveMaximum",
					    "minLength", "maxLength", "pattern",	  "format",
					    "timezone",	 NULL };
static const struct refused_key option_refused[] = {
	{ "multipleOf", "remove it, or check it in a model" },
	{ "defaultTimezone", "use customProperties: {property: sluice.zone, value: ...} with sluice.formats" },
	{ "minItems", "remove it: arrays are kept as json" },
	{ "maxItems", "remove it: arrays are kept as json" },
	{ "uniqueItems", "remove it: arrays are kept as json" },
	{ "minProperties", "remove it: name the properties instead" },
	{ "maxProperties", "remove it: name the properties instead" },
	{ "required", "put `required: true` on the properties of the object" },
	{ NULL, NULL },
};

struct context { /* of one column's rules */
	struct loader *l;
	struct column *c;
	size_t column;
	struct actions actions;
	bool *unique;
	struct yaml_node **unique_node;
};

static bool is_mild(enum rule_kind kind)
{
	return kind != RULE_TYPE && kind != RULE_KEY && kind != RULE_RECORD && kind != RULE_WINDOW;
}

/* "min_length" is also written as ODCS writes it. */
static bool kind_is(struct str word, enum rule_kind kind)
{
	return str_eq_z(word, rule_kind_name(kind)) || (kind == RULE_MIN_LENGTH && str_eq_z(word, "minLength")) ||
	       (kind == RULE_MAX_LENGTH && str_eq_z(word, "maxLength"));
}

static enum rule_action action_for(struct context *x, enum rule_kind kind)
{
	enum rule_action action = x->actions.otherwise;
	if (x->actions.map)
		for (struct yaml_node *n = x->actions.map->child; n; n = n->next) {
			enum rule_action own = ACTION_WARN;
			struct problems silent = PROBLEMS_INIT(x->l->a);
			if (kind_is(n->key, kind) && action_read(n, &own, &silent))
				return own;
		}
	return action == ACTION_WARN && !is_mild(kind) ? ACTION_QUARANTINE : action;
}

static struct rule *rule_add(struct context *x, enum rule_kind kind)
{
	struct rule *r = arena_push(x->l->a, x->l->rules);
	*r = (struct rule){ .kind = kind, .column = x->column, .action = action_for(x, kind) };
	return r;
}

/* ── bounds ── */

static void bound_load(struct context *x, struct yaml_node *options, enum rule_kind kind, const char *inclusive,
		       const char *exclusive)
{
	struct yaml_node *in = yaml_get(options, inclusive), *ex = yaml_get(options, exclusive);
	struct problems *p = x->l->p;
	struct yaml_node *n = in ? in : ex;
	if (!n)
		return;
	if (in && ex) {
		problem_at(p, ex, "keep one of the two", "%s and %s at once", inclusive, exclusive);
		return;
	}
	enum column_type t = x->c->type;
	if (t == TYPE_STRING || t == TYPE_BOOLEAN || t == TYPE_JSON) {
		problem_at_key(p, n, NULL, "a %s column has no %.*s", column_type_name(t), STR_ARG(n->key));
		return;
	}
	union scalar bound;
	struct str text;
	if (!yaml_str(n, &text, p))
		return;
	bool is_number = t == TYPE_INTEGER || t == TYPE_DECIMAL || t == TYPE_DOUBLE;
	if ((is_number && n->quoted) || !scalar_from_text(x->c, text, x->l->a, &bound)) {
		const char *advice = t == TYPE_DATE	 ? "a day such as 2013-01-31" :
				     t == TYPE_TIMESTAMP ? "an instant such as 2013-01-31T00:00:00Z" :
				     t == TYPE_INTEGER	 ? "a whole number of 64 bits, without quotes" :
				     t == TYPE_DECIMAL ? "a number with no more digits than the column has, without quotes" :
							 "a number, without quotes";
		problem_at(p, n, advice, "`%.*s` is no bound for type %s", STR_ARG(text), column_type_name(t));
		return;
	}
	struct rule *r = rule_add(x, kind);
	r->bound = bound;
	r->exclusive = n == ex;
}

static void length_load(struct context *x, struct yaml_node *options, enum rule_kind kind, const char *key)
{
	struct yaml_node *n = yaml_get(options, key);
	uint64_t length;
	if (!n)
		return;
	if (x->c->type != TYPE_STRING)
		problem_at_key(x->l->p, n, NULL, "%s belongs to strings only", key);
	else if (yaml_u64(n, 0, UINT32_MAX, &length, x->l->p))
		rule_add(x, kind)->length = length;
}

static const struct rule *rule_of(const struct context *x, enum rule_kind kind)
{
	for (size_t i = x->l->rules.n; i > 0 && x->l->rules.v[i - 1].column == x->column; i--)
		if (x->l->rules.v[i - 1].kind == kind)
			return &x->l->rules.v[i - 1];
	return NULL;
}

/* Bounds that no value can meet are a mistake of the file: the data would pay for it, row by row. */
static void bounds_check(struct context *x, const struct yaml_node *options)
{
	const struct rule *low = rule_of(x, RULE_MINIMUM), *high = rule_of(x, RULE_MAXIMUM);
	const struct rule *shortest = rule_of(x, RULE_MIN_LENGTH), *longest = rule_of(x, RULE_MAX_LENGTH);
	int order = low && high ? scalar_cmp(x->c->type, low->bound, high->bound) : -1;
	if (order > 0 || (order == 0 && (low->exclusive || high->exclusive)))
		problem_at(x->l->p, options, NULL, "no value lies between this minimum and this maximum");
	if (shortest && longest && shortest->length > longest->length)
		problem_at(x->l->p, options, NULL, "minLength is greater than maxLength");
}

static void pattern_load(struct context *x, struct yaml_node *n)
{
	struct str text;
	char message[256];
	if (!n || !yaml_str(n, &text, x->l->p))
		return;
	if (x->c->type != TYPE_STRING) {
		problem_at_key(x->l->p, n, NULL, "pattern belongs to strings only");
		return;
	}
	struct rule r = { .pattern = text };
	if (text.n > PATTERN_MAX_BYTES)
		problem_at(x->l->p, n, NULL, "a pattern of more than %d bytes", PATTERN_MAX_BYTES);
	else if (!rule_compile(&r, message, sizeof message))
		problem_at(x->l->p, n, NULL, "the pattern is not valid: %s", message);
	else {
		struct rule *added = rule_add(x, RULE_PATTERN);
		added->pattern = arena_copy(x->l->a, text);
		added->compiled = r.compiled;
	}
}

static void format_check(struct context *x, struct yaml_node *n)
{
	struct str word;
	if (!n || !yaml_str(n, &word, x->l->p))
		return;
	static const struct {
		enum column_type type;
		const char *format; /* what sluice does anyway */
	} fine[] = { { TYPE_INTEGER, "i64" },
		     { TYPE_DOUBLE, "f64" },
		     { TYPE_DATE, "yyyy-MM-dd" },
		     { TYPE_TIMESTAMP, "yyyy-MM-dd'T'HH:mm:ssXXX" } };
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
		if (x->c->type == fine[i].type && str_eq_z(word, fine[i].format))
			return;
	const char *advice = x->c->type == TYPE_STRING	? "write a pattern" :
			     x->c->type == TYPE_INTEGER ? "i64, or minimum and maximum" :
			     x->c->type == TYPE_DATE || x->c->type == TYPE_TIMESTAMP ?
							  "use customProperties: {property: sluice.formats, value: [...]}" :
							  "remove it";
	problem_at(x->l->p, n, advice, "format `%.*s` could change a verdict and is not understood by sluice",
		   STR_ARG(word));
}

static void options_load(struct context *x, struct yaml_node *options)
{
	struct problems *p = x->l->p;
	if (yaml_is_null(options))
		return;
	if (options->type != YAML_MAP) {
		problem_at(p, options, NULL, "logicalTypeOptions must be a map");
		return;
	}
	contract_keys_check(options, option_known, NULL, option_refused, p);
	bound_load(x, options, RULE_MINIMUM, "minimum", "exclusiveMinimum");
	bound_load(x, options, RULE_MAXIMUM, "maximum", "exclusiveMaximum");
	length_load(x, options, RULE_MIN_LENGTH, "minLength");
	length_load(x, options, RULE_MAX_LENGTH, "maxLength");
	bounds_check(x, options);
	pattern_load(x, yaml_get(options, "pattern"));
	format_check(x, yaml_get(options, "format"));
	struct yaml_node *zone = yaml_get(options, "timezone");
	bool has_zone = true;
	if (zone && yaml_bool(zone, &has_zone, p) && !has_zone)
		problem_at(p, zone, "use sluice.zone with sluice.formats, or keep it as string",
			   "a timestamp is an instant: wall clock without a zone is none");
}

/* ── accepted values ── */

struct accepted_pair {
	struct str text;
	union scalar value;
	enum column_type type;
};

static int pair_cmp(const void *x, const void *y)
{
	const struct accepted_pair *a = x, *b = y;
	return scalar_cmp(a->type, a->value, b->value);
}

bool accepted_sort(struct rule *r, const struct column *c, struct arena *a)
{
	struct accepted_pair *pairs = arena_array(a, struct accepted_pair, r->n_accepted);
	for (size_t i = 0; i < r->n_accepted; i++)
		pairs[i] = (struct accepted_pair){ scalar_to_text(c, r->accepted_values[i], a), r->accepted_values[i],
						   c->type };
	qsort(pairs, r->n_accepted, sizeof *pairs, pair_cmp);
	for (size_t i = 0; i < r->n_accepted; i++) {
		r->accepted[i] = pairs[i].text;
		r->accepted_values[i] = pairs[i].value;
		if (i > 0 && scalar_cmp(c->type, pairs[i - 1].value, pairs[i].value) == 0)
			return false;
	}
	return true;
}

static bool has_rule(struct context *x, enum rule_kind kind)
{
	for (size_t i = 0; i < x->l->rules.n; i++)
		if (x->l->rules.v[i].column == x->column && x->l->rules.v[i].kind == kind)
			return true;
	return false;
}

static void accepted_load(struct context *x, struct yaml_node *n)
{
	struct loader *l = x->l;
	struct rule r = { 0 };
	if (!n || !texts_read(n, ACCEPTED_MAX, l->a, &r.accepted, &r.n_accepted, l->p))
		return;
	if (has_rule(x, RULE_ACCEPTED)) {
		problem_at(l->p, n, "keep one list", "accepted values are declared twice");
		return;
	}
	if (x->c->type == TYPE_JSON) {
		problem_at(l->p, n, NULL, "a json column has no accepted values");
		return;
	}
	r.accepted_values = arena_array(l->a, union scalar, r.n_accepted);
	bool ok = true;
	struct yaml_node *item = n->type == YAML_LIST ? n->child : n;
	for (size_t i = 0; i < r.n_accepted; i++, item = item->next)
		if (!scalar_from_text(x->c, r.accepted[i], l->a, &r.accepted_values[i])) {
			problem_at(l->p, item, NULL, "`%.*s` is no %s", STR_ARG(r.accepted[i]),
				   column_type_name(x->c->type));
			ok = false;
		}
	if (!ok)
		return;
	if (!accepted_sort(&r, x->c, l->a)) {
		problem_at(l->p, n, "remove the repetition", "an accepted value stands twice in the list");
		return;
	}
	struct rule *added = rule_add(x, RULE_ACCEPTED);
	added->accepted = r.accepted;
	added->accepted_values = r.accepted_values;
	added->n_accepted = r.n_accepted;
}

/* ── quality ── */

static const char *const quality_known[] = { "type", "metric", "arguments", "mustBe", "customProperties", "unit", NULL };
static const char *const quality_ignored[] = { "id",	    "name",	"description", "dimension",
					       "method",    "severity", "tags",	       "authoritativeDefinitions",
					       "scheduler", "schedule", "businessImpact", NULL };
static const struct refused_key quality_refused[] = {
	{ "rule", "use metric" },
	{ "query", "SQL checks are not run: write a model" },
	{ "engine", "checks of other engines are not run" },
	{ "implementation", "checks of other engines are not run" },
	{ "validValues", "put it under `arguments`" },
	{ "mustNotBe", "mustBe: 0, and a budget (sluice.budget_percent)" },
	{ "mustBeGreaterThan", "mustBe: 0, and a budget (sluice.budget_percent)" },
	{ "mustBeGreaterOrEqualTo", "mustBe: 0, and a budget (sluice.budget_percent)" },
	{ "mustBeLessThan", "mustBe: 0, and a budget (sluice.budget_percent)" },
	{ "mustBeLessOrEqualTo", "mustBe: 0, and a budget (sluice.budget_percent)" },
	{ "mustBeBetween", "mustBe: 0, and a budget (sluice.budget_percent)" },
	{ "mustNotBeBetween", "mustBe: 0, and a budget (sluice.budget_percent)" },
	{ NULL, NULL },
};
static const char *const quality_customs[] = { "sluice.action", NULL };

/* The metric's name; false: documentary, or problems were added. */
static bool quality_metric(struct loader *l, struct yaml_node *q, struct str *metric)
{
	struct yaml_node *type = yaml_get(q, "type"), *metric_node = yaml_get(q, "metric");
	struct yaml_node *must_be = yaml_get(q, "mustBe");
	struct str word = STR("library");
	if (q->type != YAML_MAP) {
		problem_at(l->p, q, NULL, "a quality check must be a map");
		return false;
	}
	if (type && !yaml_str(type, &word, l->p))
		return false;
	if (str_eq_z(word, "text"))
		return false; /* for people */
	if (!str_eq_z(word, "library")) {
		problem_at(l->p, type, "use `type: library`, or a model", "quality checks of type `%.*s` are not run by sluice",
			   STR_ARG(word));
		return false;
	}
	contract_keys_check(q, quality_known, quality_ignored, quality_refused, l->p);
	custom_check(q, quality_customs, l->p);
	if (!metric_node) {
		problem_at(l->p, q, "metric: invalidValues", "a quality check needs a metric");
		return false;
	}
	if (!yaml_str(metric_node, metric, l->p))
		return false;
	if (must_be && must_be->type == YAML_SCALAR && str_eq_z(must_be->text, "0"))
		return true;
	bool other = false; /* operator: refused by its key */
	for (const struct yaml_node *n = q->child; n; n = n->next)
		other |= str_starts(n->key, STR("must")) && n != must_be;
	if (must_be || !other)
		problem_at(l->p, must_be ? must_be : q, "mustBe: 0, and a budget (sluice.budget_percent)",
			   must_be ? "only `mustBe: 0` is checked" : "the quality check has no `mustBe`");
	return false;
}

static void invalid_values_load(struct context *x, struct yaml_node *q)
{
	static const char *const known[] = { "validValues", "pattern", NULL };
	struct yaml_node *arguments = yaml_get(q, "arguments");
	if (yaml_is_null(arguments) || arguments->type != YAML_MAP || arguments->n_children == 0) {
		problem_at(x->l->p, q, "arguments: {validValues: [a, b]}", "invalidValues needs arguments");
		return;
	}
	contract_keys_check(arguments, known, NULL, NULL, x->l->p);
	accepted_load(x, yaml_get(arguments, "validValues"));
	struct yaml_node *pattern = yaml_get(arguments, "pattern");
	if (pattern && has_rule(x, RULE_PATTERN))
		problem_at(x->l->p, pattern, "keep one", "a pattern is declared twice");
	else
		pattern_load(x, pattern);
}

static void quality_load(struct context *x, struct yaml_node *list)
{
	if (yaml_is_null(list))
		return;
	if (list->type != YAML_LIST) {
		problem_at(x->l->p, list, NULL, "quality must be a list");
		return;
	}
	for (struct yaml_node *q = list->child; q; q = q->next) {
		struct str metric;
		if (!quality_metric(x->l, q, &metric))
			continue;
		struct actions before = x->actions;
		struct yaml_node *action = custom_get(q, "sluice.action");
		if (action && action_read(action, &x->actions.otherwise, x->l->p))
			x->actions.map = NULL;
		if (str_eq_z(metric, "invalidValues")) {
			invalid_values_load(x, q);
		} else if (str_eq_z(metric, "nullValues")) {
			if (!x->c->required)
				rule_add(x, RULE_REQUIRED);
			x->c->required = true;
		} else if (str_eq_z(metric, "duplicateValues")) {
			*x->unique = true;
			*x->unique_node = q;
		} else {
			problem_at(x->l->p, yaml_get(q, "metric"), "nullValues, invalidValues and duplicateValues are",
				   "metric `%.*s` is not checked by sluice", STR_ARG(metric));
		}
		x->actions = before;
	}
}

static void actions_check(struct context *x)
{
	if (!x->actions.map)
		return;
	if (x->actions.map->type != YAML_MAP) {
		problem_at(x->l->p, x->actions.map, "{minimum: warn}", "sluice.actions must be a map of rules and actions");
		x->actions.map = NULL;
		return;
	}
	for (struct yaml_node *n = x->actions.map->child; n; n = n->next) {
		enum rule_action action = ACTION_QUARANTINE;
		enum rule_kind kind = 0;
		action_read(n, &action, x->l->p);
		while (kind < RULE_COUNT && !(kind_is(n->key, kind) && has_rule(x, kind)))
			kind++;
		if (kind == RULE_COUNT)
			problem_at_key(x->l->p, n, NULL, "column `%.*s` has no rule `%.*s`", STR_ARG(x->c->name),
				       STR_ARG(n->key));
		else if (action == ACTION_WARN && !is_mild(kind))
			problem_at(x->l->p, n, "quarantine or fail", "rule `%s` cannot only warn: the row has no value to keep",
				   rule_kind_name(kind));
	}
}

void rules_load(struct loader *l, struct yaml_node *property, size_t column)
{
	struct column_source *source = &l->sources.v[column];
	struct context x = { .l = l,
			     .c = &l->columns.v[column],
			     .column = column,
			     .unique = &source->unique,
			     .unique_node = &source->unique_node,
			     .actions = { .otherwise = l->action, .map = custom_get(property, "sluice.actions") } };
	struct yaml_node *action = custom_get(property, "sluice.action"), *unique = yaml_get(property, "unique");
	if (action)
		action_read(action, &x.actions.otherwise, l->p);
	if (x.actions.map && x.actions.map->type != YAML_MAP)
		actions_check(&x);
	rule_add(&x, RULE_TYPE);
	if (x.c->key_position)
		rule_add(&x, RULE_KEY);
	else if (x.c->required)
		rule_add(&x, RULE_REQUIRED);
	if (unique) {
		yaml_bool(unique, &source->unique, l->p);
		source->unique_node = unique;
	}
	options_load(&x, yaml_get(property, "logicalTypeOptions"));
	accepted_load(&x, custom_get(property, "sluice.accepted"));
	quality_load(&x, yaml_get(property, "quality"));
	actions_check(&x);
}

/* schema[].quality: only what the primary key already promises. */
void table_quality_load(struct loader *l, struct yaml_node *list)
{
	if (yaml_is_null(list))
		return;
	if (list->type != YAML_LIST) {
		problem_at(l->p, list, NULL, "quality must be a list");
		return;
	}
	for (struct yaml_node *q = list->child; q; q = q->next) {
		struct str metric;
		struct str *columns;
		size_t n = 0, matched = 0;
		if (!quality_metric(l, q, &metric))
			continue;
		struct yaml_node *properties = yaml_get(yaml_get(q, "arguments"), "properties");
		if (!str_eq_z(metric, "duplicateValues") || !properties) {
			problem_at(l->p, q, "duplicateValues with arguments: {properties: [...]} naming the primary key is",
				   "this check of the whole table is not done by sluice");
			continue;
		}
		if (!texts_read(properties, COLUMNS_MAX, l->a, &columns, &n, l->p))
			continue;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < l->c->n_key; k++)
				matched += str_eq(columns[i], l->columns.v[l->c->key[k]].name);
		if (matched != n || n != l->c->n_key)
			problem_at(l->p, properties, "make these columns the primary key, or check it in a model",
				   "only the primary key is checked for duplicates");
	}
}
