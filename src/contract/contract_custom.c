/* customProperties and the three kinds of keys: understood, documentary, refused. */
#include "contract/contract_internal.h"

static const char *const custom_keys[] = { "id", "property", "value", "description", NULL };

struct yaml_node *custom_get(const struct yaml_node *owner, const char *name)
{
	const struct yaml_node *list = yaml_get(owner, "customProperties");
	if (!list || list->type != YAML_LIST)
		return NULL;
	for (struct yaml_node *item = list->child; item; item = item->next) {
		const struct yaml_node *property = yaml_get(item, "property");
		if (property && property->type == YAML_SCALAR && str_eq_z(property->text, name))
			return yaml_get(item, "value");
	}
	return NULL;
}

static bool in_list(struct str word, const char *const *list)
{
	for (; list && *list; list++)
		if (str_eq_z(word, *list))
			return true;
	return false;
}

static const char *nearest(struct str word, const char *const *list)
{
	const char *best = NULL;
	size_t best_distance = 4;
	for (; list && *list; list++) {
		size_t d = str_distance(word, str_from(*list));
		if (d < best_distance) {
			best_distance = d;
			best = *list;
		}
	}
	return best;
}

static const char *advice_nearest(struct str word, const char *const *list, struct arena *a)
{
	const char *near = nearest(word, list);
	return near ? arena_format(a, "did you mean `%s`?", near).p : NULL;
}

static void custom_check_item(const struct yaml_node *list, const struct yaml_node *item, const char *const *known,
			      struct problems *p)
{
	yaml_known_keys(item, custom_keys, p);
	const struct yaml_node *property = yaml_get(item, "property");
	const struct yaml_node *value = yaml_get(item, "value");
	struct str name;
	if (!property || !value) {
		problem_at(p, item, "{property: sluice.path, value: a.b}", "a custom property needs %s",
			   property ? "`value`" : "`property`");
		return;
	}
	if (!yaml_str(property, &name, p) || !str_starts(name, STR("sluice.")))
		return; /* another tool's */
	if (!in_list(name, known)) {
		problem_at(p, property, advice_nearest(name, known, p->arena), "unknown custom property `%.*s` here",
			   STR_ARG(name));
		return;
	}
	for (const struct yaml_node *other = list->child; other != item; other = other->next) {
		const struct yaml_node *o = yaml_get(other, "property");
		if (o && o->type == YAML_SCALAR && str_eq(o->text, name))
			problem_at(p, property, NULL, "custom property `%.*s` stands here twice, first in line %u",
				   STR_ARG(name), o->line);
	}
}

void custom_check(const struct yaml_node *owner, const char *const *known, struct problems *p)
{
	const struct yaml_node *list = yaml_get(owner, "customProperties");
	if (yaml_is_null(list))
		return;
	if (list->type != YAML_LIST) {
		problem_at(p, list, "- {property: sluice.path, value: a.b}", "customProperties must be a list");
		return;
	}
	for (const struct yaml_node *item = list->child; item; item = item->next) {
		if (item->type != YAML_MAP)
			problem_at(p, item, NULL, "a custom property must be a map of `property` and `value`");
		else
			custom_check_item(list, item, known, p);
	}
}

static const char *refused_advice(struct str key, const struct refused_key *refused)
{
	for (; refused && refused->key; refused++)
		if (str_eq_z(key, refused->key))
			return refused->advice;
	return NULL;
}

void contract_keys_check(const struct yaml_node *map, const char *const *known, const char *const *ignored,
		const struct refused_key *refused, struct problems *p)
{
	for (const struct yaml_node *n = map->child; n; n = n->next) {
		if (in_list(n->key, known) || in_list(n->key, ignored))
			continue;
		const char *advice = refused_advice(n->key, refused);
		if (advice)
			problem_at_key(p, n, advice, "`%.*s` could change a verdict and is not understood by sluice",
				       STR_ARG(n->key));
		else
			problem_at_key(p, n, advice_nearest(n->key, known, p->arena), "unknown key `%.*s`",
				       STR_ARG(n->key));
	}
}

bool action_read(const struct yaml_node *n, enum rule_action *out, struct problems *p)
{
	struct str word;
	if (!yaml_str(n, &word, p))
		return false;
	for (enum rule_action a = ACTION_WARN; a <= ACTION_FAIL; a++)
		if (str_eq_z(word, rule_action_name(a))) {
			*out = a;
			return true;
		}
	problem_at(p, n, "one of warn, quarantine, fail", "unknown action `%.*s`", STR_ARG(word));
	return false;
}

bool texts_read(const struct yaml_node *n, size_t max, struct arena *a, struct str **out, size_t *n_out,
		struct problems *p)
{
	size_t count = n->type == YAML_LIST ? n->n_children : 1;
	if (n->type == YAML_MAP || count == 0 || count > max) {
		problem_at(p, n, NULL, "a list of 1 to %zu values is expected", max);
		return false;
	}
	struct str *v = arena_array(a, struct str, count);
	bool ok = true;
	size_t i = 0;
	for (const struct yaml_node *item = n->type == YAML_LIST ? n->child : n; i < count; item = item->next, i++) {
		if (item->type != YAML_SCALAR || (!item->quoted && yaml_is_null(item))) {
			problem_at(p, item, "write texts in quotes", "a single value is expected");
			ok = false;
			continue;
		}
		v[i] = arena_copy(a, item->text);
		if (n->type != YAML_LIST)
			break;
	}
	*out = v;
	*n_out = count;
	return ok;
}
