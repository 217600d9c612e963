/* The canonical form: what of a contract changes rows, as one line of JSON, and back.
 *
 *   {"sluice_contract":1,"name":"t","columns":[{"name":"a","path":"a","type":"decimal","precision":4,"scale":2,
 *    "required":true,"key":1,"formats":["%Y"],"zone":"UTC","inexact":"count","null":["NA"],
 *    "rules":[{"kind":"minimum","action":"warn","bound":"-1.50","exclusive":true}]}],
 *    "rules":[{"kind":"record","action":"quarantine"}],"sort":["-a"],"window_column":"b"}
 *
 * A child table is the same inside of `children`, with `array`, the path of its array, behind its name.
 *
 * Members with a default value are left out. Reading writes it again and compares: what differs was not ours. */
#include "base/check.h"
#include "base/json.h"
#include "contract/contract_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CANONICAL_MAX = 16 << 20, FORM = 1 };

/* ── writing ── */

static void texts_put(struct json_out *o, const char *key, const struct str *v, size_t n)
{
	if (n == 0)
		return;
	json_begin_array(o, key);
	for (size_t i = 0; i < n; i++)
		json_put_str(o, NULL, v[i]);
	json_end_array(o);
}

static void rule_put(struct json_out *o, const struct contract *c, const struct rule *r, struct arena *a)
{
	const struct column *column = r->column == SIZE_MAX ? NULL : &c->columns[r->column];
	json_begin_object(o, NULL);
	json_put_z(o, "kind", rule_kind_name(r->kind));
	json_put_z(o, "action", rule_action_name(r->action));
	if (r->kind == RULE_MINIMUM || r->kind == RULE_MAXIMUM)
		json_put_str(o, "bound", scalar_to_text(column, r->bound, a));
	if (r->exclusive)
		json_put_bool(o, "exclusive", true);
	if (r->kind == RULE_MIN_LENGTH || r->kind == RULE_MAX_LENGTH)
		json_put_u64(o, "length", r->length);
	if (r->kind == RULE_PATTERN)
		json_put_str(o, "pattern", r->pattern);
	texts_put(o, "accepted", r->accepted, r->n_accepted);
	json_end_object(o);
}

static void rules_put(struct json_out *o, const struct contract *c, size_t column, struct arena *a)
{
	json_begin_array(o, "rules");
	for (size_t i = 0; i < c->n_rules; i++)
		if (c->rules[i].column == column)
			rule_put(o, c, &c->rules[i], a);
	json_end_array(o);
}

static void column_put(struct json_out *o, const struct contract *c, size_t index, struct arena *a)
{
	const struct column *v = &c->columns[index];
	json_begin_object(o, NULL);
	json_put_str(o, "name", v->name);
	json_put_str(o, "path", v->path);
	json_put_z(o, "type", column_type_name(v->type));
	if (v->type == TYPE_DECIMAL) {
		json_put_u64(o, "precision", v->precision);
		json_put_u64(o, "scale", v->scale);
	}
	if (v->required)
		json_put_bool(o, "required", true);
	if (v->key_position)
		json_put_u64(o, "key", v->key_position);
	texts_put(o, "formats", v->formats, v->n_formats);
	if (v->zone)
		json_put_str(o, "zone", zone_name(v->zone));
	if (v->inexact == INEXACT_COUNT)
		json_put_z(o, "inexact", "count");
	texts_put(o, "null", v->null_texts, v->n_null_texts);
	rules_put(o, c, index, a);
	json_end_object(o);
}

static void canonical_write(struct contract *c, struct arena *a)
{
	struct arena scratch = ARENA_INIT;
	struct buf b = BUF_INIT(CANONICAL_MAX);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_u64(&o, "sluice_contract", FORM);
	json_put_str(&o, "name", c->name);
	if (c->none)
		json_put_bool(&o, "none", true);
	if (contract_is_child(c))
		json_put_str(&o, "array", c->array_path);
	json_begin_array(&o, "columns");
	for (size_t i = 0; i < c->n_columns; i++)
		column_put(&o, c, i, &scratch);
	json_end_array(&o);
	rules_put(&o, c, SIZE_MAX, &scratch);
	if (c->n_sort > 0) {
		json_begin_array(&o, "sort");
		for (size_t i = 0; i < c->n_sort; i++)
			json_put_str(&o, NULL,
				     arena_format(&scratch, "%s%.*s", c->sort_descending[i] ? "-" : "",
						  STR_ARG(c->columns[c->sort[i]].name)));
		json_end_array(&o);
	}
	if (c->window_column != SIZE_MAX)
		json_put_str(&o, "window_column", c->columns[c->window_column].name);
	if (c->n_children > 0) {
		json_begin_array(&o, "children");
		for (size_t i = 0; i < c->n_children; i++)
			json_put_raw(&o, NULL, c->children[i]->canonical);
		json_end_array(&o);
	}
	json_end_object(&o);
	CHECK(!b.overflow); /* the file had at most 1 MiB */
	c->canonical = arena_copy(a, buf_str(&b));
	c->meaning = sha256_of(c->canonical);
	buf_free(&b);
	arena_free(&scratch);
}

static int rule_cmp(const void *x, const void *y)
{
	const struct rule *a = x, *b = y;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return (a->kind > b->kind) - (a->kind < b->kind);
}

struct named {
	struct str name;
	size_t index;
};

static int named_cmp(const void *x, const void *y)
{
	return str_cmp(((const struct named *)x)->name, ((const struct named *)y)->name);
}

void contract_finish(struct contract *c, struct rule_list *rules, struct arena *a)
{
	c->rules = rules->v;
	c->n_rules = rules->n;
	qsort(c->rules, c->n_rules, sizeof *c->rules, rule_cmp);
	for (size_t i = 0; i < c->n_rules; i++) {
		struct rule *r = &c->rules[i];
		const char *kind = rule_kind_name(r->kind);
		r->id = r->column != SIZE_MAX ?
				arena_format(a, "%.*s.%s", STR_ARG(c->columns[r->column].name), kind) :
				str_from(r->kind == RULE_UNIQUE ? "primary_key.unique" : kind);
	}
	if (c->n_columns > 0) {
		struct named *names = arena_array(a, struct named, c->n_columns);
		c->by_name = arena_array(a, size_t, c->n_columns);
		for (size_t i = 0; i < c->n_columns; i++)
			names[i] = (struct named){ c->columns[i].name, i };
		qsort(names, c->n_columns, sizeof *names, named_cmp);
		for (size_t i = 0; i < c->n_columns; i++)
			c->by_name[i] = names[i].index;
	}
	canonical_write(c, a);
}

/* ── reading ── */

struct reader {
	struct arena *a;
	struct contract *c;
	struct rule_list rules;
	struct err *e;
};

static bool damaged(struct reader *r, const char *what)
{
	return err_set(r->e, ERR_DAMAGE, "canonical contract: %s is not as we write it", what);
}

static bool texts_get(struct reader *r, const struct json_node *owner, const char *key, struct str **out, size_t *n)
{
	const struct json_node *list = json_get(owner, key);
	if (!list)
		return true;
	if (list->type != JSON_ARRAY || list->n_children == 0)
		return damaged(r, key);
	*out = arena_array(r->a, struct str, list->n_children);
	for (const struct json_node *i = list->child; i; i = i->next) {
		if (i->type != JSON_STRING)
			return damaged(r, key);
		(*out)[(*n)++] = arena_copy(r->a, i->text);
	}
	return true;
}

static bool accepted_get(struct reader *r, const struct json_node *n, const struct column *c, struct rule *rule)
{
	if (!texts_get(r, n, "accepted", &rule->accepted, &rule->n_accepted) || rule->n_accepted == 0)
		return damaged(r, "accepted");
	rule->accepted_values = arena_array(r->a, union scalar, rule->n_accepted);
	for (size_t i = 0; i < rule->n_accepted; i++)
		if (!scalar_from_text(c, rule->accepted[i], r->a, &rule->accepted_values[i]))
			return damaged(r, "accepted");
	return accepted_sort(rule, c, r->a) || damaged(r, "accepted");
}

static bool rule_get(struct reader *r, const struct json_node *n, size_t column)
{
	struct rule rule = { .column = column, .kind = RULE_COUNT };
	const struct column *c = column == SIZE_MAX ? NULL : &r->c->columns[column];
	struct str kind, action, bound;
	if (!json_need_str(n, "kind", &kind, r->e) || !json_need_str(n, "action", &action, r->e))
		return false;
	for (enum rule_kind k = 0; k < RULE_COUNT; k++)
		if (str_eq_z(kind, rule_kind_name(k)))
			rule.kind = k;
	enum rule_action act = ACTION_WARN;
	while (act <= ACTION_FAIL && !str_eq_z(action, rule_action_name(act)))
		act++;
	bool whole = rule.kind == RULE_RECORD || rule.kind == RULE_UNIQUE;
	if (rule.kind == RULE_COUNT || act > ACTION_FAIL || whole != (c == NULL))
		return damaged(r, "rule");
	rule.action = act;
	rule.exclusive = json_bool_or(n, "exclusive", false);
	if (rule.kind == RULE_MINIMUM || rule.kind == RULE_MAXIMUM) {
		if (!json_need_str(n, "bound", &bound, r->e))
			return false;
		if (!scalar_from_text(c, bound, r->a, &rule.bound))
			return damaged(r, "bound");
	} else if (rule.kind == RULE_MIN_LENGTH || rule.kind == RULE_MAX_LENGTH) {
		if (!json_need_u64(n, "length", &rule.length, r->e))
			return false;
	} else if (rule.kind == RULE_PATTERN) {
		char message[256];
		if (!json_need_str(n, "pattern", &rule.pattern, r->e))
			return false;
		rule.pattern = arena_copy(r->a, rule.pattern);
		if (rule.pattern.n > PATTERN_MAX_BYTES || !rule_compile(&rule, message, sizeof message))
			return damaged(r, "pattern");
	} else if (rule.kind == RULE_ACCEPTED && !accepted_get(r, n, c, &rule)) {
		return false;
	}
	*arena_push(r->a, r->rules) = rule;
	return true;
}

static bool rules_get(struct reader *r, const struct json_node *owner, size_t column)
{
	const struct json_node *list;
	if (!json_need(owner, "rules", JSON_ARRAY, &list, r->e))
		return false;
	for (const struct json_node *n = list->child; n; n = n->next) {
		if (r->rules.n >= RULES_MAX)
			return damaged(r, "number of rules");
		if (!rule_get(r, n, column))
			return false;
	}
	return true;
}

static bool column_get(struct reader *r, const struct json_node *n, size_t index)
{
	struct column *c = &r->c->columns[index];
	struct str type, inexact = json_str_or(n, "inexact", STR_NONE), zone = json_str_or(n, "zone", STR_NONE);
	if (!json_need_str(n, "name", &c->name, r->e) || !json_need_str(n, "path", &c->path, r->e) ||
	    !json_need_str(n, "type", &type, r->e))
		return false;
	c->name = arena_copy(r->a, c->name);
	c->path = arena_copy(r->a, c->path);
	while (c->type < TYPE_COUNT && !str_eq_z(type, column_type_name(c->type)))
		c->type++;
	int64_t precision = json_i64_or(n, "precision", 0), scale = json_i64_or(n, "scale", 0);
	if (c->type == TYPE_COUNT || precision < 0 || precision > 38 || scale < 0 || scale > precision ||
	    (c->type == TYPE_DECIMAL) != (precision > 0))
		return damaged(r, "type");
	c->precision = (unsigned)precision;
	c->scale = (unsigned)scale;
	c->required = json_bool_or(n, "required", false);
	int64_t key = json_i64_or(n, "key", 0);
	if (key < 0 || key > COLUMNS_MAX)
		return damaged(r, "key");
	c->key_position = (size_t)key;
	c->inexact = str_eq_z(inexact, "count") ? INEXACT_COUNT : INEXACT_QUARANTINE;
	if (zone.n > 0 && !zone_load(zone, r->a, &c->zone, r->e))
		return false;
	return texts_get(r, n, "formats", &c->formats, &c->n_formats) &&
	       texts_get(r, n, "null", &c->null_texts, &c->n_null_texts) && rules_get(r, n, index);
}

static size_t column_find(const struct contract *c, struct str name)
{
	size_t i = 0;
	while (i < c->n_columns && !str_eq(c->columns[i].name, name))
		i++;
	return i;
}

static bool order_get(struct reader *r, const struct json_node *root)
{
	struct contract *c = r->c;
	struct str *words = NULL, window = json_str_or(root, "window_column", STR_NONE);
	size_t n = 0;
	if (!texts_get(r, root, "sort", &words, &n))
		return false;
	if (n > 0) {
		c->sort = arena_array(r->a, size_t, n);
		c->sort_descending = arena_array(r->a, bool, n);
	}
	for (size_t i = 0; i < n; i++) {
		c->sort_descending[i] = str_starts(words[i], STR("-"));
		c->sort[i] = column_find(c, str_sub(words[i], c->sort_descending[i], words[i].n));
		if (c->sort[i] == c->n_columns)
			return damaged(r, "sort");
	}
	c->n_sort = n;
	if (window.n > 0) {
		c->window_column = column_find(c, window);
		if (c->window_column == c->n_columns)
			return damaged(r, "window_column");
	}
	return true;
}

static bool key_get(struct reader *r)
{
	struct contract *c = r->c;
	size_t n = 0;
	for (size_t i = 0; i < c->n_columns; i++)
		n += c->columns[i].key_position > 0;
	if (n == 0)
		return true;
	c->key = arena_array(r->a, size_t, n);
	memset(c->key, 0xff, n * sizeof *c->key);
	for (size_t i = 0; i < c->n_columns; i++) {
		size_t position = c->columns[i].key_position;
		if (position == 0)
			continue;
		if (position > n || c->key[position - 1] != SIZE_MAX)
			return damaged(r, "key");
		c->key[position - 1] = i;
	}
	c->n_key = n;
	return true;
}

/* One table; those of its arrays were read before. */
static bool table_get(struct str json, const struct json_node *root, struct contract *c, struct arena *a, struct err *e)
{
	const struct json_node *columns;
	struct reader r = { .a = a, .c = c, .e = e };
	int64_t form = json_i64_or(root, "sluice_contract", 0);
	if (form != FORM)
		return damaged(&r, "sluice_contract");
	if (!json_need_str(root, "name", &c->name, e) || !json_need(root, "columns", JSON_ARRAY, &columns, e))
		return false;
	c->file = "";
	c->name = arena_copy(a, c->name);
	c->array_path = arena_copy(a, json_str_or(root, "array", STR_NONE));
	c->none = json_bool_or(root, "none", false);
	c->window_column = SIZE_MAX;
	c->budget_percent = 5;
	if (columns->n_children > COLUMNS_MAX)
		return damaged(&r, "number of columns");
	c->n_columns = columns->n_children;
	if (c->n_columns > 0)
		c->columns = arena_array(a, struct column, c->n_columns);
	size_t i = 0;
	for (const struct json_node *n = columns->child; n; n = n->next)
		if (!column_get(&r, n, i++))
			return false;
	if (!rules_get(&r, root, SIZE_MAX) || !order_get(&r, root) || !key_get(&r))
		return false;
	contract_finish(c, &r.rules, a);
	return str_eq(c->canonical, json) || damaged(&r, "the text");
}

static bool children_get(const struct json_node *root, struct contract *c, struct arena *a, struct err *e)
{
	struct reader r = { .a = a, .c = c, .e = e };
	const struct json_node *list = json_get(root, "children");
	if (!list)
		return true;
	if (list->type != JSON_ARRAY || list->n_children == 0 || list->n_children > CHILDREN_MAX)
		return damaged(&r, "children");
	c->children = arena_array(a, struct contract *, list->n_children);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct contract *child = arena_new(a, struct contract);
		if (!table_get(n->raw, n, child, a, e))
			return false;
		if (!contract_is_child(child) || child->n_key > 0 || child->window_column != SIZE_MAX)
			return damaged(&r, "a child table");
		c->children[c->n_children++] = child;
	}
	return true;
}

bool contract_from_canonical(struct str json, struct arena *a, struct contract **out, struct err *e)
{
	struct json_node *root;
	struct contract *c = arena_new(a, struct contract);
	struct reader r = { .a = a, .c = c, .e = e };
	if (json.n > CANONICAL_MAX || !json_parse(json, a, &root, e))
		return json.n > CANONICAL_MAX ? damaged(&r, "size") :
						err_set(e, ERR_DAMAGE, "canonical contract: not valid JSON");
	*out = c;
	return children_get(root, c, a, e) && table_get(json, root, c, a, e) &&
	       (!contract_is_child(c) || damaged(&r, "array"));
}
