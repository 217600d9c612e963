/* relationships, at a property or at the table. Evaluated after both tables are prepared (rule 24). */
#include "contract/contract_internal.h"

static const char *const relation_known[] = { "type", "from", "to", "customProperties", NULL };
static const char *const relation_ignored[] = { "id", "description", NULL };
static const char *const relation_customs[] = { "sluice.action", NULL };

/* "table.column", or "schema/table/properties/column". */
static bool reference_read(struct loader *l, struct yaml_node *n, struct str *table, struct str *column)
{
	struct str text;
	if (n->type == YAML_LIST) {
		problem_at(l->p, n, "relate one column to one column", "relationships of several columns are not checked yet");
		return false;
	}
	if (!yaml_str(n, &text, l->p))
		return false;
	struct str rest = text, first, second, third;
	if (str_starts(text, STR("schema/")) && str_cut(&rest, '/', &first) && str_cut(&rest, '/', table) &&
	    str_cut(&rest, '/', &second) && str_eq_z(second, "properties") && str_cut(&rest, '/', column) &&
	    !str_cut(&rest, '/', &third))
		return true;
	rest = text;
	if (!str_contains(text, STR("/")) && str_cut(&rest, '.', table) && str_cut(&rest, '.', column) &&
	    !str_cut(&rest, '.', &third) && table->n > 0 && column->n > 0)
		return true;
	problem_at(l->p, n, "table.column", "`%.*s` names no column of a table", STR_ARG(text));
	return false;
}

static void relationship_load(struct loader *l, struct yaml_node *n, struct str column)
{
	struct relationship r = { .action = ACTION_WARN, .line = n->line, .line_column = n->column };
	struct yaml_node *type = yaml_get(n, "type"), *from = yaml_get(n, "from"), *to = yaml_get(n, "to");
	struct yaml_node *action = custom_get(n, "sluice.action");
	contract_keys_check(n, relation_known, relation_ignored, NULL, l->p);
	custom_check(n, relation_customs, l->p);
	struct str word, from_table;
	if (type && yaml_str(type, &word, l->p) && !str_eq_z(word, "foreignKey"))
		problem_at(l->p, type, "foreignKey", "unknown type of relationship `%.*s`", STR_ARG(word));
	if (action && action_read(action, &r.action, l->p) && r.action == ACTION_QUARANTINE)
		problem_at(l->p, action, "warn or fail", "a relationship is checked when both tables are there: too late "
							 "for quarantine");
	if (column.n > 0) {
		r.column = column;
		if (from)
			problem_at_key(l->p, from, "remove it", "`from` is the property itself");
	} else if (!from) {
		problem_at(l->p, n, "from: table.column", "a relationship of the table needs `from`");
		return;
	} else {
		if (!reference_read(l, from, &from_table, &r.column))
			return;
		if (!str_eq(from_table, l->c->name))
			problem_at(l->p, from, NULL, "`from` must name a column of this table, `%.*s`",
				   STR_ARG(l->c->name));
		size_t i = 0;
		while (i < l->columns.n && !str_eq(l->columns.v[i].name, r.column))
			i++;
		if (i == l->columns.n)
			problem_at(l->p, from, NULL, "unknown column `%.*s`", STR_ARG(r.column));
	}
	if (!to) {
		problem_at(l->p, n, "to: table.column", "a relationship needs `to`");
		return;
	}
	if (!reference_read(l, to, &r.to_table, &r.to_column))
		return;
	r.column = arena_copy(l->a, r.column);
	r.to_table = arena_copy(l->a, r.to_table);
	r.to_column = arena_copy(l->a, r.to_column);
	*arena_push(l->a, l->relationships) = r;
}

void relationships_load(struct loader *l, struct yaml_node *list, struct str column)
{
	if (yaml_is_null(list))
		return;
	if (list->type != YAML_LIST) {
		problem_at(l->p, list, NULL, "relationships must be a list");
		return;
	}
	for (struct yaml_node *n = list->child; n; n = n->next) {
		if (n->type != YAML_MAP)
			problem_at(l->p, n, "to: table.column", "a relationship must be a map");
		else
			relationship_load(l, n, column);
	}
}
