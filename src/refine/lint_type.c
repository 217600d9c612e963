/* Casts, written or not, and the types of arguments. A cast that nobody wrote has the position of what it casts; one
 * that stands in the text has a node of its own in the syntax tree, at its own position. */
#include "refine/lint_parts.h"

#include "refine/pack.h"

#include <stdlib.h>
#include <string.h>

struct lint_type lint_type_of(const struct lint_tree *t, uint32_t type)
{
	static const struct {
		const char *id;
		char letter;
	} letters[] = {
		{ "TINYINT", 'i' },  { "SMALLINT", 'i' },  { "INTEGER", 'i' },	 { "BIGINT", 'i' },  { "HUGEINT", 'i' },
		{ "UTINYINT", 'i' }, { "USMALLINT", 'i' }, { "UINTEGER", 'i' },	 { "UBIGINT", 'i' }, { "INTEGER_LITERAL", 'i' },
		{ "DECIMAL", 'm' },  { "FLOAT", 'f' },	   { "DOUBLE", 'f' },	 { "VARCHAR", 's' }, { "STRING_LITERAL", 's' },
		{ "DATE", 'd' },     { "TIMESTAMP", 't' }, { "BOOLEAN", 'b' },	 { "NULL", '0' },    { "INTERVAL", 'v' },
		{ "TIMESTAMP WITH TIME ZONE", 't' },
	};
	struct lint_type out = { .letter = 'z' };
	if (type == LINT_NONE)
		return (struct lint_type){ .letter = '?' };
	out.id = t->v[type].id;
	uint32_t info = lint_part(t, type, "type_info", 0);
	if (info != LINT_NONE) {
		out.width = t->v[info].width;
		out.scale = t->v[info].scale;
	}
	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
		if (str_eq_z(out.id, letters[i].id))
			out.letter = letters[i].letter;
	return out;
}

struct lint_type lint_expression_type(const struct lint_tree *t, uint32_t n)
{
	uint32_t type = lint_part(t, n, "return_type", 0);
	if (n == LINT_NONE)
		return (struct lint_type){ .letter = '?' };
	if (type == LINT_NONE)
		type = lint_part(t, lint_part(t, n, "value", 0), "type", 0);
	if (type == LINT_NONE && (lint_is(t, n, "BOUND_COMPARISON") || lint_is(t, n, "BOUND_CONJUNCTION") ||
				  lint_is(t, n, "BOUND_BETWEEN")))
		return (struct lint_type){ .letter = 'b', .id = STR("BOOLEAN") };
	return lint_type_of(t, type);
}

/* ── which expression of the plan is this one ── */

static int place_cmp(const void *x, const void *y, void *tree)
{
	const struct lint_tree *t = tree;
	uint64_t a = t->v[*(const uint32_t *)x].at, b = t->v[*(const uint32_t *)y].at;
	uint32_t i = *(const uint32_t *)x, k = *(const uint32_t *)y;
	return a != b ? (a > b) - (a < b) : (i > k) - (i < k);
}

/* What a name or a number behind GROUP BY stands for has its place in the plan, and none of its own. */
static void groups_move(struct lint *l, uint32_t select)
{
	struct lint_tree *t = &l->syntax;
	for (uint32_t g = select + 1; g < t->v[select].end; g = t->v[g].end) {
		uint64_t number = 0;
		uint32_t value = lint_is(t, g, "CONSTANT") ? lint_part(t, g, "value", 0) : LINT_NONE, item = LINT_NONE;
		if (!str_eq_z(t->v[g].key, "group_expressions"))
			continue;
		if (value != LINT_NONE && str_to_u64(t->v[value].text, &number) && number >= 1 && number < t->n)
			item = lint_part(t, select, "select_list", (uint32_t)number - 1);
		for (uint32_t i = select + 1; lint_is(t, g, "COLUMN_REF") && i < t->v[select].end && item == LINT_NONE; i = t->v[i].end)
			if (str_eq_z(t->v[i].key, "select_list") && t->v[i].alias.n > 0 && str_eq_nocase(t->v[i].alias, t->v[g].column))
				item = i;
		if (item != LINT_NONE)
			l->moved[item] = t->v[g].at;
	}
}

static bool is_name(const struct lint_tree *t, uint32_t n)
{
	return lint_is(t, n, "COLUMN_REF") || (lint_is(t, n, "CONSTANT") && str_eq_z(t->v[n].key, "group_expressions"));
}

void lint_index(struct lint *l)
{
	struct lint_tree *t = &l->plan;
	l->by_place = arena_array(l->a, uint32_t, t->n + 1);
	l->groups = arena_array(l->a, uint32_t, t->n + 1);
	for (uint32_t i = 0; i < t->n; i++) {
		if (lint_is(t, i, "BOUND_AGGREGATE") || lint_is(t, i, "BOUND_WINDOW"))
			l->groups[l->n_groups++] = i;
		else if (t->v[i].kind.n > 0 && t->v[i].at < l->sql.n)
			l->by_place[l->n_by_place++] = i;
	}
	if (l->n_by_place > 1)
		qsort_r(l->by_place, l->n_by_place, sizeof *l->by_place, place_cmp, t);
	l->written = arena_array(l->a, uint32_t, l->syntax.n + 1);
	l->names = arena_array(l->a, uint32_t, l->syntax.n + 1);
	l->seen = arena_array(l->a, bool, t->n + 1);
	l->moved = arena_array(l->a, uint64_t, l->syntax.n + 1);
	for (uint32_t i = 0; i <= l->syntax.n; i++)
		l->moved[i] = LINT_NOWHERE;
	for (uint32_t i = 0; i < l->syntax.n; i++) {
		if (lint_is(&l->syntax, i, "CAST"))
			l->written[l->n_written++] = i;
		if (is_name(&l->syntax, i))
			l->names[l->n_names++] = i;
		if (str_eq_z(l->syntax.v[i].type, "SELECT_NODE"))
			groups_move(l, i);
	}
	if (l->n_written > 1)
		qsort_r(l->written, l->n_written, sizeof *l->written, place_cmp, &l->syntax);
	if (l->n_names > 1)
		qsort_r(l->names, l->n_names, sizeof *l->names, place_cmp, &l->syntax);
}

/* The first of the list, which is in order, that stands there or behind it. */
static size_t place_find(const struct lint_tree *t, const uint32_t *list, size_t n, uint64_t at)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (t->v[list[middle]].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The turn-th function of the plan at this place. */
static uint32_t function_at(const struct lint *l, uint64_t at, size_t turn)
{
	size_t low = place_find(&l->plan, l->by_place, l->n_by_place, at);
	for (; low < l->n_by_place && l->plan.v[l->by_place[low]].at == at; low++)
		if (lint_is(&l->plan, l->by_place[low], "BOUND_FUNCTION") && turn-- == 0)
			return l->by_place[low];
	return LINT_NONE;
}

/* The turn-th place where the macro that is called here was put in: the row() of its arguments. */
static uint32_t macro_at(const struct lint *l, uint64_t at, size_t turn)
{
	const struct lint_tree *t = &l->plan;
	uint32_t behind = 0;
	for (size_t low = place_find(t, l->by_place, l->n_by_place, at); low < l->n_by_place; low++) {
		uint32_t n = l->by_place[low];
		if (t->v[n].at != at)
			break;
		for (uint32_t i = n > behind ? n : behind; i < t->v[n].end; i++)
			if (lint_is(t, i, "BOUND_FUNCTION") && str_eq_z(t->v[i].name, "row") && lint_is_macro(t->v[i].at)) {
				behind = t->v[n].end;
				if (turn-- == 0)
					return i;
				break;
			}
	}
	return LINT_NONE;
}

bool lint_is_macro(uint64_t at)
{
	return at >= PACK_FLOOR && at != LINT_NOWHERE;
}

/* The casts around an argument that nobody wrote taken off. */
static uint32_t without_casts(const struct lint *l, uint32_t n, uint32_t written)
{
	const struct lint_tree *t = &l->plan;
	bool is_cast = lint_is(&l->syntax, written, "CAST");
	while (lint_is(t, n, "BOUND_CAST")) {
		uint32_t child = lint_part(t, n, "child", 0);
		if (is_cast && !(lint_is(t, child, "BOUND_CAST") && t->v[child].at == t->v[n].at))
			break;
		n = child;
	}
	return n;
}

static bool same_argument(const struct lint *l, uint32_t written, uint32_t bound)
{
	uint32_t inner = without_casts(l, bound, written);
	if (inner == LINT_NONE || written == LINT_NONE)
		return inner == written;
	if (lint_is(&l->syntax, written, "COLUMN_REF"))
		return str_eq_nocase(l->syntax.v[written].column, l->plan.v[inner].alias);
	return l->plan.v[inner].at == LINT_NOWHERE || l->plan.v[inner].at == l->syntax.v[written].at;
}

static uint32_t group_like(const struct lint *l, uint32_t function, bool any_argument, size_t turn)
{
	const struct lint_node *f = &l->syntax.v[function];
	bool window = str_eq_z(f->kind, "WINDOW"), named = !window || str_eq_z(f->type, "WINDOW_AGGREGATE");
	uint32_t written = lint_part(&l->syntax, function, "children", 0);
	uint32_t orders = lint_part(&l->syntax, lint_part(&l->syntax, function, "order_bys", 0), "orders", 0);
	if (!window && orders != LINT_NONE) /* percentile_cont(0.5) WITHIN GROUP (ORDER BY x): x is what comes first there */
		written = lint_part(&l->syntax, orders, "expression", 0);
	for (size_t i = 0; i < l->n_groups; i++) {
		const struct lint_node *g = &l->plan.v[l->groups[i]];
		if (str_eq_z(g->kind, "BOUND_WINDOW") != window || (named ? !str_eq_nocase(g->name, f->name) : !str_eq(g->type, f->type)))
			continue;
		bool same = any_argument || same_argument(l, written, lint_part(&l->plan, l->groups[i], "children", 0));
		if (same && turn-- == 0)
			return l->groups[i];
	}
	return LINT_NONE;
}

bool lint_arguments(const struct lint *l, uint32_t function, size_t turn, struct lint_type out[LINT_ARGUMENTS])
{
	const struct lint_node *f = &l->syntax.v[function];
	uint32_t bound = LINT_NONE;
	for (size_t i = 0; i < LINT_ARGUMENTS; i++)
		out[i] = (struct lint_type){ .letter = '?' };
	bool macro = pack_has(f->name), cast = lint_is(&l->syntax, f->parent, "CAST");
	/* A cast to the type that it has gives it its place; so does GROUP BY. */
	const uint64_t places[] = { f->at, l->typed ? l->moved[function] : LINT_NOWHERE, cast ? l->syntax.v[f->parent].at : LINT_NOWHERE,
				    l->typed && cast ? l->moved[f->parent] : LINT_NOWHERE };
	for (size_t i = 0; l->typed && i < 4 && bound == LINT_NONE; i++) {
		if (places[i] == LINT_NOWHERE)
			continue;
		if (macro)
			bound = macro_at(l, places[i], turn);
		else if (str_eq_z(f->kind, "FUNCTION"))
			bound = function_at(l, places[i], turn);
		if (i > 0 && !macro && bound != LINT_NONE && !str_eq_nocase(l->plan.v[bound].name, f->name))
			bound = LINT_NONE;
	}
	if (bound == LINT_NONE && !macro) {
		/* An argument may have another name in the plan: then it may be any of them. */
		bool renamed = group_like(l, function, false, 0) == LINT_NONE;
		bound = group_like(l, function, renamed, turn);
	}
	if (bound == LINT_NONE)
		return turn == 0;
	l->seen[bound] = true;
	uint32_t written = function + 1;
	for (uint32_t i = bound + 1, n = 0; i < l->plan.v[bound].end && n < LINT_ARGUMENTS; i = l->plan.v[i].end) {
		if (!str_eq_z(l->plan.v[i].key, "children"))
			continue;
		while (written < f->end && !str_eq_z(l->syntax.v[written].key, "children"))
			written = l->syntax.v[written].end;
		bool there = written < f->end;
		out[n++] = lint_expression_type(&l->plan, without_casts(l, i, there ? written : LINT_NONE));
		written = there ? l->syntax.v[written].end : written;
	}
	return true;
}

/* ── casts ── */

/* A name that stands for a cast has its place. */
static bool is_explicit_by_name(const struct lint *l, uint64_t at, struct lint_type to)
{
	const struct lint_tree *t = &l->syntax;
	size_t i = place_find(t, l->names, l->n_names, at);
	if (i == l->n_names || t->v[l->names[i]].at != at)
		return false;
	const struct lint_node *name = &t->v[l->names[i]];
	for (size_t w = 0; w < l->n_written; w++) {
		uint32_t cast = l->written[w];
		bool named = name->column.n > 0 && str_eq_nocase(t->v[cast].alias, name->column);
		if ((named || l->moved[cast] == at) && str_eq(t->v[lint_part(t, cast, "cast_type", 0)].id, to.id))
			return true;
	}
	return false;
}

static bool is_explicit(const struct lint *l, uint32_t cast, struct lint_type to)
{
	uint64_t at = l->plan.v[cast].at;
	size_t i = place_find(&l->syntax, l->written, l->n_written, at);
	for (; i < l->n_written && l->syntax.v[l->written[i]].at == at; i++)
		if (str_eq(l->syntax.v[lint_part(&l->syntax, l->written[i], "cast_type", 0)].id, to.id))
			return true;
	return is_explicit_by_name(l, at, to);
}

bool lint_cast_is_written(const struct lint *l, uint32_t cast)
{
	return l->plan.v[cast].at < l->sql.n && is_explicit(l, cast, lint_expression_type(&l->plan, cast));
}

static bool in_interval(const struct lint_tree *t, uint32_t n)
{
	for (uint32_t i = t->v[n].parent; i != LINT_NONE && t->v[i].kind.n > 0; i = t->v[i].parent)
		if (str_eq_z(t->v[i].kind, "BOUND_FUNCTION") && lint_is_interval(t->v[i].name))
			return true;
	return false;
}

/* floor(x), ceil(x) and round(x) are whole numbers. */
static bool is_whole(const struct lint_tree *t, uint32_t n)
{
	static const char *const names[] = { "floor", "ceil", "ceiling" };
	if (!lint_is(t, n, "BOUND_FUNCTION"))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq_z(t->v[n].name, names[i]))
			return true;
	return str_eq_z(t->v[n].name, "round") && lint_count(t, n, "children") == 1;
}

static bool shape_is(struct str text, const char *shape)
{
	size_t n = strlen(shape);
	if (text.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (shape[i] == '9' ? text.p[i] < '0' || text.p[i] > '9' : text.p[i] != shape[i])
			return false;
	return true;
}

/* A constant text that both read alike as this type. */
static bool literal_is_plain(struct str text, char to)
{
	static const char *const times[] = { "9999-99-99 99:99:99", "9999-99-99T99:99:99", "9999-99-99 99:99:99.999999",
					     "9999-99-99T99:99:99.999999", "9999-99-99T99:99:99Z",
					     "9999-99-99T99:99:99.999999Z" };
	size_t i = text.n > 1 && text.p[0] == '-', digits = 0;
	if (to == 'd' || (to == 't' && shape_is(text, "9999-99-99")))
		return shape_is(text, "9999-99-99");
	if (to == 't') {
		for (size_t k = 0; k < sizeof times / sizeof times[0]; k++)
			if (shape_is(text, times[k]))
				return true;
		return false;
	}
	if (to == 'b')
		return str_eq_z(text, "t") || str_eq_z(text, "f") || str_eq_z(text, "true") || str_eq_z(text, "false");
	for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
		digits++;
	return to == 'i' && digits > 0 && i == text.n;
}

static bool number_letter(char c)
{
	return c == 'i' || c == 'm' || c == 'f';
}

/* The rule that speaks against the cast; LINT_RULES: none. */
static enum lint_rule_id cast_rule(const struct lint_tree *t, uint32_t child, struct lint_type from, struct lint_type to,
				   bool written)
{
	bool constant = lint_is(t, child, "BOUND_CONSTANT");
	struct str text = constant ? t->v[lint_part(t, child, "value", 0)].text : STR_NONE;
	if (from.letter == '0' || from.letter == '?' || to.letter == '?' || str_eq(from.id, to.id))
		return from.letter == 'm' && !written && to.scale < from.scale ? LINT_N17 : LINT_RULES;
	if (from.letter == 'z' || to.letter == 'z')
		return LINT_X3;
	if (from.letter == 's')
		return constant && literal_is_plain(text, to.letter) ? LINT_RULES :
		       to.letter == 'd' ? LINT_D13 : to.letter == 't' ? LINT_D2 : !written || to.letter == 'b' ? LINT_N29 :
		       to.letter == 'v' ? LINT_P2 : LINT_N7;
	if (to.letter == 's') {
		bool plain = from.letter == 'i' || from.letter == 'm' || from.letter == 'd' || from.letter == 'b';
		if (from.letter == 'm' && from.width == from.scale)
			return LINT_S20;
		return from.letter == 'f' ? LINT_S15 : from.letter == 't' || !plain ? LINT_D16 : !written ? LINT_X15 : LINT_RULES;
	}
	if (to.letter == 'i' && (from.letter == 'f' || (from.letter == 'm' && from.scale > 0)))
		return is_whole(t, child) ? LINT_RULES : LINT_N6;
	if (to.letter == 'm' && from.letter == 'f')
		return LINT_N12;
	if (to.letter == 'f' && from.letter == 'm')
		return from.width > 15 ? LINT_N31 : LINT_RULES;
	if ((number_letter(from.letter) && number_letter(to.letter)) || (from.letter == 'd' && to.letter == 't') ||
	    (from.letter == 't' && (to.letter == 't' || (to.letter == 'd' && written))))
		return LINT_RULES;
	if (written && ((from.letter == 'b' && to.letter == 'i') || (from.letter == 'i' && to.letter == 'b')))
		return LINT_RULES;
	return LINT_N29;
}

static uint64_t place_of(const struct lint_tree *t, uint32_t n)
{
	for (uint32_t i = n; i < t->v[n].end; i++)
		if (t->v[i].kind.n > 0 && t->v[i].at != LINT_NOWHERE)
			return t->v[i].at;
	return LINT_NOWHERE;
}

/* || and concat_ws make texts of their arguments, and that alone is what they say. */
static bool under_join(const struct lint_tree *t, uint32_t cast)
{
	uint32_t up = t->v[cast].parent;
	return lint_is(t, up, "BOUND_FUNCTION") &&
	       (str_eq_z(t->v[up].name, "||") || str_eq_z(t->v[up].name, "concat_ws") || str_eq_z(t->v[up].name, "concat"));
}

void lint_casts(struct lint *l)
{
	const struct lint_tree *t = &l->plan;
	for (uint32_t i = 0; i < t->n; i++) {
		if (!lint_is(t, i, "BOUND_CAST") || in_interval(t, i) || lint_is_macro(t->v[i].at))
			continue;
		uint32_t child = lint_part(t, i, "child", 0);
		struct lint_type from = lint_expression_type(t, child), to = lint_expression_type(t, i);
		bool written = lint_cast_is_written(l, i);
		enum lint_rule_id rule = cast_rule(t, child, from, to, written || under_join(t, i));
		if (rule != LINT_RULES)
			lint_add(l, rule, place_of(t, i), "%.*s becomes %.*s%s", STR_ARG(from.id), STR_ARG(to.id),
				 written ? "" : " without a CAST");
	}
}
