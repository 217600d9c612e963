#include "contract/compare.h"

#include "base/check.h"

struct comparison {
	const struct contract *old, *new;
	struct arena *a;
	struct changes out;
	size_t *old_of; /* [new column]: the old one of the same name or renamed; SIZE_MAX */
	size_t *new_of; /* [old column] */
};

const char *change_kind_name(enum change_kind k)
{
	static const char *const names[CHANGE_KIND_COUNT] = {
		"column_added", "column_dropped", "column_renamed", "column_type", "column_reading",
		"column_order", "key",		"sort",		  "window_column",  "table_name",  "rule_added",
		"rule_removed", "rule_widened",	  "rule_tightened", "rule_changed", "rule_action",
		"child_added",	"child_dropped",
	};
	CHECK(k < CHANGE_KIND_COUNT);
	return names[k];
}

static void add(struct comparison *x, enum change_kind kind, enum change_effect effect, struct str subject,
		struct str text)
{
	*arena_push(x->a, x->out) = (struct change){ kind, effect, subject, text };
	x->out.rebuild |= effect == CHANGE_REBUILDS;
}

static bool texts_eq(const struct str *x, size_t n_x, const struct str *y, size_t n_y)
{
	if (n_x != n_y)
		return false;
	for (size_t i = 0; i < n_x; i++)
		if (!str_eq(x[i], y[i]))
			return false;
	return true;
}

static bool type_eq(const struct column *x, const struct column *y)
{
	return x->type == y->type && x->precision == y->precision && x->scale == y->scale;
}

static struct str type_text(struct comparison *x, const struct column *c)
{
	if (c->type == TYPE_DECIMAL)
		return arena_format(x->a, "decimal(%u,%u)", c->precision, c->scale);
	return str_from(column_type_name(c->type));
}

/* ── columns ── */

static void columns_match(struct comparison *x)
{
	const struct contract *old = x->old, *new = x->new;
	x->old_of = arena_array(x->a, size_t, new->n_columns + 1);
	x->new_of = arena_array(x->a, size_t, old->n_columns + 1);
	for (size_t i = 0; i < old->n_columns; i++)
		x->new_of[i] = contract_column(new, old->columns[i].name);
	for (size_t i = 0; i < new->n_columns; i++)
		x->old_of[i] = contract_column(old, new->columns[i].name);
	for (size_t i = 0; i < new->n_columns; i++)
		for (size_t k = 0; k < old->n_columns && x->old_of[i] == SIZE_MAX; k++)
			if (x->new_of[k] == SIZE_MAX && str_eq(old->columns[k].path, new->columns[i].path) &&
			    type_eq(&old->columns[k], &new->columns[i])) {
				x->old_of[i] = k;
				x->new_of[k] = i;
				add(x, CHANGE_COLUMN_RENAMED, CHANGE_REBUILDS, new->columns[i].name,
				    arena_format(x->a, "column `%.*s` was renamed to `%.*s`",
						 STR_ARG(old->columns[k].name), STR_ARG(new->columns[i].name)));
			}
}

static bool zone_eq(const struct zone *x, const struct zone *y)
{
	return (!x && !y) || (x && y && str_eq(zone_name(x), zone_name(y)));
}

static void column_compare(struct comparison *x, const struct column *old, const struct column *new)
{
	struct str name = new->name;
	if (!type_eq(old, new))
		add(x, CHANGE_COLUMN_TYPE, CHANGE_REBUILDS, name,
		    arena_format(x->a, "column `%.*s` changed from %.*s to %.*s", STR_ARG(name),
				 STR_ARG(type_text(x, old)), STR_ARG(type_text(x, new))));
	if (!str_eq(old->path, new->path) || !zone_eq(old->zone, new->zone) || old->inexact != new->inexact ||
	    !texts_eq(old->formats, old->n_formats, new->formats, new->n_formats) ||
	    !texts_eq(old->null_texts, old->n_null_texts, new->null_texts, new->n_null_texts))
		add(x, CHANGE_COLUMN_READING, CHANGE_KEEPS, name,
		    arena_format(x->a, "column `%.*s` is read in another way", STR_ARG(name)));
}

static void columns_compare(struct comparison *x)
{
	for (size_t i = 0; i < x->old->n_columns; i++)
		if (x->new_of[i] == SIZE_MAX)
			add(x, CHANGE_COLUMN_DROPPED, CHANGE_REBUILDS, x->old->columns[i].name,
			    arena_format(x->a, "column `%.*s` was dropped", STR_ARG(x->old->columns[i].name)));
	for (size_t i = 0; i < x->new->n_columns; i++) {
		const struct column *c = &x->new->columns[i];
		if (x->old_of[i] != SIZE_MAX)
			column_compare(x, &x->old->columns[x->old_of[i]], c);
		else
			add(x, CHANGE_COLUMN_ADDED, c->required ? CHANGE_REBUILDS : CHANGE_KEEPS, c->name,
			    arena_format(x->a, "%s column `%.*s` was added", c->required ? "required" : "nullable",
					 STR_ARG(c->name)));
	}
}

static bool key_eq(const struct comparison *x)
{
	if (x->old->n_key != x->new->n_key)
		return false;
	for (size_t i = 0; i < x->new->n_key; i++)
		if (x->old_of[x->new->key[i]] != x->old->key[i])
			return false;
	return true;
}

static bool sort_eq(const struct comparison *x)
{
	if (x->old->n_sort != x->new->n_sort)
		return false;
	for (size_t i = 0; i < x->new->n_sort; i++)
		if (x->old_of[x->new->sort[i]] != x->old->sort[i] ||
		    x->old->sort_descending[i] != x->new->sort_descending[i])
			return false;
	return true;
}

static void table_compare(struct comparison *x)
{
	const struct contract *old = x->old, *new = x->new;
	size_t window = new->window_column == SIZE_MAX ? SIZE_MAX : x->old_of[new->window_column];
	if (!str_eq(old->name, new->name))
		add(x, CHANGE_TABLE_NAME, CHANGE_REBUILDS, new->name,
		    arena_format(x->a, "table `%.*s` is now called `%.*s`", STR_ARG(old->name), STR_ARG(new->name)));
	if (!key_eq(x))
		add(x, CHANGE_KEY, CHANGE_REBUILDS, new->name, STR("the primary key changed"));
	if (!sort_eq(x))
		add(x, CHANGE_SORT, CHANGE_KEEPS, new->name, STR("the sort order changed"));
	if (window != old->window_column || (window == SIZE_MAX && new->window_column != SIZE_MAX))
		add(x, CHANGE_WINDOW_COLUMN, CHANGE_KEEPS, new->name, STR("the window column changed"));
}

/* ── rules ── */

/* > 0: wider, < 0: tighter, 0: equal. */
static int bound_widening(enum column_type t, const struct rule *old, const struct rule *new)
{
	int order = scalar_cmp(t, new->bound, old->bound);
	if (new->kind == RULE_MINIMUM)
		order = -order;
	return order != 0 ? order : (int)old->exclusive - (int)new->exclusive;
}

static int length_widening(const struct rule *old, const struct rule *new)
{
	int order = (new->length > old->length) - (new->length < old->length);
	return new->kind == RULE_MIN_LENGTH ? -order : order;
}

static size_t accepted_common(enum column_type t, const struct rule *old, const struct rule *new)
{
	size_t i = 0, k = 0, n = 0;
	while (i < old->n_accepted && k < new->n_accepted) { /* both rise */
		int order = scalar_cmp(t, old->accepted_values[i], new->accepted_values[k]);
		n += order == 0;
		i += order <= 0;
		k += order >= 0;
	}
	return n;
}

static enum change_kind rule_change(enum column_type t, const struct rule *old, const struct rule *new)
{
	int wider = 0;
	switch (new->kind) {
	case RULE_MINIMUM:
	case RULE_MAXIMUM:
		wider = bound_widening(t, old, new);
		break;
	case RULE_MIN_LENGTH:
	case RULE_MAX_LENGTH:
		wider = length_widening(old, new);
		break;
	case RULE_PATTERN:
		return str_eq(old->pattern, new->pattern) ? CHANGE_KIND_COUNT : CHANGE_RULE_CHANGED;
	case RULE_ACCEPTED: {
		size_t common = accepted_common(t, old, new);
		if (common == old->n_accepted)
			wider = new->n_accepted > common;
		else if (common == new->n_accepted)
			wider = -1;
		else
			return CHANGE_RULE_CHANGED;
		break;
	}
	default:
		break;
	}
	return wider > 0 ? CHANGE_RULE_WIDENED : wider < 0 ? CHANGE_RULE_TIGHTENED : CHANGE_KIND_COUNT;
}

static void rule_compare(struct comparison *x, const struct rule *old, const struct rule *new)
{
	bool of_column = new->column != SIZE_MAX;
	const struct column *c = of_column ? &x->new->columns[new->column] : NULL;
	if (!of_column || type_eq(c, &x->old->columns[old->column])) {
		enum change_kind kind = rule_change(of_column ? c->type : TYPE_JSON, old, new);
		if (kind != CHANGE_KIND_COUNT)
			add(x, kind, CHANGE_KEEPS, new->id,
			    arena_format(x->a, "rule %.*s was %s", STR_ARG(new->id),
					 kind == CHANGE_RULE_WIDENED   ? "widened" :
					 kind == CHANGE_RULE_TIGHTENED ? "tightened" :
									 "changed"));
	}
	if (old->action != new->action)
		add(x, CHANGE_RULE_ACTION, CHANGE_KEEPS, new->id,
		    arena_format(x->a, "rule %.*s: %s instead of %s", STR_ARG(new->id), rule_action_name(new->action),
				 rule_action_name(old->action)));
}

static bool is_implied(enum rule_kind k) /* comes and goes with a column, the key or the window column */
{
	return k == RULE_TYPE || k == RULE_KEY || k == RULE_WINDOW || k == RULE_UNIQUE || k == RULE_RECORD;
}

static void rules_compare(struct comparison *x)
{
	for (size_t i = 0; i < x->new->n_rules; i++) {
		const struct rule *r = &x->new->rules[i];
		size_t column = r->column == SIZE_MAX ? SIZE_MAX : x->old_of[r->column];
		if (r->column != SIZE_MAX && column == SIZE_MAX)
			continue;
		size_t old = contract_rule(x->old, r->kind, column);
		if (old != SIZE_MAX)
			rule_compare(x, &x->old->rules[old], r);
		else if (!is_implied(r->kind))
			add(x, CHANGE_RULE_ADDED, CHANGE_KEEPS, r->id,
			    arena_format(x->a, "rule %.*s was added", STR_ARG(r->id)));
	}
	for (size_t i = 0; i < x->old->n_rules; i++) {
		const struct rule *r = &x->old->rules[i];
		size_t column = r->column == SIZE_MAX ? SIZE_MAX : x->new_of[r->column];
		if ((r->column != SIZE_MAX && column == SIZE_MAX) || is_implied(r->kind))
			continue;
		if (contract_rule(x->new, r->kind, column) == SIZE_MAX)
			add(x, CHANGE_RULE_REMOVED, CHANGE_KEEPS, r->id,
			    arena_format(x->a, "rule %.*s was removed", STR_ARG(r->id)));
	}
}

static void tables_compare(struct comparison *x)
{
	const struct contract *new = x->new;
	size_t before = 0;
	columns_match(x);
	columns_compare(x);
	table_compare(x);
	rules_compare(x);
	for (size_t i = 0; i < new->n_columns; i++) {
		if (x->old_of[i] == SIZE_MAX)
			continue;
		if (x->old_of[i] < before) {
			add(x, CHANGE_COLUMN_ORDER, CHANGE_KEEPS, new->name, STR("the columns have another order"));
			break;
		}
		before = x->old_of[i];
	}
}

static const struct contract *child_find(const struct contract *c, struct str name)
{
	for (size_t i = 0; i < c->n_children; i++)
		if (str_eq(c->children[i]->name, name))
			return c->children[i];
	return NULL;
}

static void children_compare(struct comparison *x)
{
	for (size_t i = 0; i < x->old->n_children; i++) {
		struct str name = x->old->children[i]->name;
		if (!child_find(x->new, name))
			add(x, CHANGE_CHILD_DROPPED, CHANGE_KEEPS, name,
			    arena_format(x->a, "child table `%.*s` was dropped", STR_ARG(name)));
	}
	for (size_t i = 0; i < x->new->n_children; i++) {
		const struct contract *new = x->new->children[i], *old = child_find(x->old, new->name);
		struct comparison y = { .old = old, .new = new, .a = x->a, .out = x->out };
		if (!old) {
			add(x, CHANGE_CHILD_ADDED, CHANGE_KEEPS, new->name,
			    arena_format(x->a, "child table `%.*s` was added", STR_ARG(new->name)));
			continue;
		}
		if (!str_eq(old->array_path, new->array_path))
			add(&y, CHANGE_COLUMN_READING, CHANGE_KEEPS, new->name,
			    arena_format(x->a, "child table `%.*s` is read from another place", STR_ARG(new->name)));
		if (!sha256_eq(old->meaning, new->meaning))
			tables_compare(&y);
		x->out = y.out;
	}
}

struct changes contract_compare(const struct contract *old, const struct contract *new, struct arena *a)
{
	struct comparison x = { .old = old, .new = new, .a = a };
	if (sha256_eq(old->meaning, new->meaning))
		return x.out;
	tables_compare(&x);
	children_compare(&x);
	return x.out;
}
