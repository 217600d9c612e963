/* What is written: functions against their table, and forms of SELECT that only one engine knows or reads otherwise. */
#include "refine/lint_parts.h"

#include "base/json.h"
#include "refine/model_token.h"

#include <string.h>

/* ── functions ── */

/* WHOLE: right inside of a cast to an integer; WINDOW: with OVER (... ORDER BY); FROM: as TRIM(BOTH ... FROM ...) */
enum where { ANYWHERE, WHOLE, WINDOW, FROM };

struct function_row {
	const char *name, *types;
	enum where where;
	enum lint_rule_id rule; /* what is said where it does not fit */
};
static const struct function_row functions[] = {
#define FUNCTION(name, types, where, rule) { name, types, where, LINT_##rule },
#define PACK(name, parameters, text, kind, types, rule) { name, types, ANYWHERE, LINT_##rule },
#include "refine/pack.def"
#include "refine/lint_function.def"
#undef PACK
#undef FUNCTION
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

struct str lint_constant(const struct lint *l, uint32_t n, bool *is_text)
{
	uint32_t value = lint_is(&l->syntax, n, "CONSTANT") ? lint_part(&l->syntax, n, "value", 0) : LINT_NONE;
	if (value == LINT_NONE)
		return STR_NONE;
	*is_text = l->syntax.v[value].text_is_string;
	struct str text = l->syntax.v[value].text;
	if (*is_text && !json_unescape(text, l->a, &text))
		return STR_NONE;
	return text;
}

/* Letters, digits, classes, groups and counts: what both dialects read alike. No backslash, whose meaning in a literal
 * differs; no dot and no dollar, which take line ends differently; nothing that begins with (? */
static bool pattern_is_common(struct str p)
{
	size_t class = 0; /* behind its [, or 0 */
	for (size_t i = 0; i < p.n; i++) {
		char c = p.p[i];
		bool class_mark = c == '[' && (class > 0 || i + 1 == p.n || p.p[i + 1] == '[' || p.p[i + 1] == ':');
		if (class == 0 && c == '[')
			class = i + 1 + (i + 1 < p.n && p.p[i + 1] == '^');
		else if (class > 0 && c == ']' && i > class)
			class = 0;
		if (c == '\\' || c == '.' || c == '$' || c == '&' || (unsigned char)c >= 0x80 || class_mark)
			return false;
		if ((c == '(' || c == '*' || c == '+' || c == '?' || c == '}') && i + 1 < p.n && (p.p[i + 1] == '?' || p.p[i + 1] == '+'))
			return false;
	}
	return p.n > 0;
}

/* Parts of a date that both count alike, and cut at alike. */
static bool unit_is_common(struct str unit, bool cut)
{
	static const char *const units[] = { "year", "quarter", "month", "week", "day", "hour", "minute" };
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (str_eq_nocase(unit, str_from(units[i])))
			return true;
	return str_eq_nocase(unit, cut ? STR("second") : STR("doy"));
}

/* Letters of a format that strftime has as well, with marks between them. */
static bool format_is_common(struct str f)
{
	static const char *const parts[] = { "yyyy", "MM", "dd", "HH", "mm", "ss", "-", "/", ":", ".", " ", "_" };
	size_t at = 0;
	while (at < f.n) {
		size_t i = 0;
		while (i < sizeof parts / sizeof parts[0] && !str_starts(str_sub(f, at, f.n), str_from(parts[i])))
			i++;
		if (i == sizeof parts / sizeof parts[0])
			return false;
		char letter = parts[i][0];
		at += strlen(parts[i]);
		if (letter >= 'A' && at < f.n && f.p[at] == letter) /* one more letter means something else */
			return false;
	}
	return f.n > 0;
}

static bool is_weekday(struct str text)
{
	static const char *const days[] = { "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" };
	for (size_t i = 0; i < sizeof days / sizeof days[0]; i++)
		for (size_t n = 2; n <= 3; n++)
			if (str_eq_nocase(text, str_sub(str_from(days[i]), 0, n)) || str_eq_nocase(text, str_from(days[i])))
				return true;
	return false;
}

/* 'aa' and 'abxab' do. */
static bool text_overlaps_itself(struct str s)
{
	for (size_t n = 1; n < s.n; n++)
		if (memcmp(s.p, s.p + s.n - n, n) == 0)
			return true;
	return false;
}

/* See lint_function.def. */
static bool constant_fits(const struct lint *l, uint32_t n, struct str want)
{
	bool is_text = false;
	struct str text = lint_constant(l, n, &is_text);
	uint64_t number = 0;
	if (want.n < 2)
		return lint_is(&l->syntax, n, "CONSTANT") || lint_is(&l->syntax, n, "CAST");
	char kind = want.p[1];
	if (kind == 'u' || kind == 'v')
		return is_text && unit_is_common(text, kind == 'v');
	if (kind == 'f' || kind == 'w')
		return is_text && (kind == 'f' ? format_is_common(text) : is_weekday(text));
	if (kind == 'b')
		return !is_text && str_eq_z(text, "256");
	if (kind == 's' || kind == 'r' || kind == 'p')
		return is_text && text.n > 0 && (kind != 'r' || pattern_is_common(text)) && (kind != 'p' || !text_overlaps_itself(text));
	if (kind == 'h') {
		uint32_t value = lint_is(&l->syntax, n, "CONSTANT") ? lint_part(&l->syntax, n, "value", 0) : LINT_NONE;
		struct lint_type t = lint_type_of(&l->syntax, lint_part(&l->syntax, value, "type", 0));
		return value != LINT_NONE && t.letter == 'm' &&
		       ((t.scale == 1 && str_eq_z(text, "5")) || (t.scale == 2 && (str_eq_z(text, "25") || str_eq_z(text, "75"))));
	}
	if (kind == 'i' && lint_is(&l->syntax, n, "FUNCTION") && str_eq_z(l->syntax.v[n].name, "-"))
		n = lint_part(&l->syntax, n, "children", 0), text = lint_constant(l, n, &is_text);
	if (kind == 'i' && text.n > 1 && text.p[0] == '-')
		text = str_sub(text, 1, text.n);
	return !is_text && str_to_u64(text, &number) && number < 1000000 && (kind != '1' || number >= 1);
}

static bool letter_fits(char want, char got)
{
	switch (want) {
	case 'n': return strchr("imf?0", got) != NULL;
	case 'e': return strchr("im?0", got) != NULL;
	case 'x': return strchr("imfsdtb?0", got) != NULL;
	case 'o': return strchr("imsdtb?0", got) != NULL; /* without doubles: -0.0 and NaN have no one order */
	case 'y': return strchr("dt?0", got) != NULL;
	case 'p': return strchr("simdb?0", got) != NULL;
	default: return got == want || got == '?' || got == '0';
	}
}

static bool types_fit(const struct lint *l, uint32_t function, const char *types, const struct lint_type *given)
{
	struct str rest = str_from(types), want = STR_NONE;
	uint32_t n = 0, i = function + 1, end = l->syntax.v[function].end;
	bool repeats = false;
	for (; i < end; i = l->syntax.v[i].end) {
		if (!str_eq_z(l->syntax.v[i].key, "children"))
			continue;
		if (!repeats && !str_cut(&rest, ' ', &want))
			return false;
		repeats = repeats || str_ends(want, STR("*"));
		if (want.p[0] == '#' ? !constant_fits(l, i, want) : n < LINT_ARGUMENTS && !letter_fits(want.p[0], given[n].letter))
			return false;
		n++;
	}
	return repeats || rest.n == 0;
}

/* Never zero, or NULL. */
static bool divisor_is_safe(const struct lint *l, uint32_t n)
{
	const struct lint_tree *t = &l->syntax;
	bool is_text = false;
	uint64_t zero = 1;
	for (int steps = 0; steps < 64; steps++) {
		if (lint_is(t, n, "CAST")) {
			n = lint_part(t, n, "child", 0);
			continue;
		}
		if (lint_is(t, n, "CONSTANT")) {
			struct str text = lint_constant(l, n, &is_text);
			return !is_text && !(str_to_u64(text, &zero) && zero == 0);
		}
		if (!lint_is(t, n, "FUNCTION"))
			return false;
		uint32_t x = lint_part(t, n, "children", 0), y = lint_part(t, n, "children", 1);
		if (str_eq_nocase(t->v[n].name, STR("nullif")))
			return lint_is(t, y, "CONSTANT") && str_to_u64(lint_constant(l, y, &is_text), &zero) && zero == 0;
		if (str_eq_z(t->v[n].name, "*")) { /* one of them by itself, the other in the next step */
			bool first = lint_is(t, x, "CONSTANT");
			if (!divisor_is_safe(l, first ? x : y) && (first || lint_is(t, y, "CONSTANT")))
				return false;
			n = first ? y : x;
			continue;
		}
		if (str_eq_z(t->v[n].name, "-") && y == LINT_NONE) {
			n = x;
			continue;
		}
		return false;
	}
	return false;
}

static uint64_t near(const struct lint_tree *t, uint32_t n)
{
	for (uint32_t i = n; i < t->v[n].end; i++)
		if (t->v[i].at != LINT_NOWHERE)
			return t->v[i].at;
	return LINT_NOWHERE;
}

static bool in_whole_cast(const struct lint *l, uint32_t n)
{
	uint32_t up = l->syntax.v[n].parent;
	return lint_is(&l->syntax, up, "CAST") &&
	       lint_type_of(&l->syntax, lint_part(&l->syntax, up, "cast_type", 0)).letter == 'i';
}

static bool row_fits(const struct lint *l, const struct function_row *r, uint32_t n, const struct lint_type *given)
{
	bool over = lint_is(&l->syntax, n, "WINDOW");
	if (r->types == NULL || !types_fit(l, n, r->types, given))
		return false;
	if (r->where == WINDOW)
		return over && lint_part(&l->syntax, n, "orders", 0) != LINT_NONE;
	if (r->where == FROM) { /* the letters stand in front of the text */
		uint64_t text = near(&l->syntax, lint_part(&l->syntax, n, "children", 0));
		return text != LINT_NOWHERE && near(&l->syntax, lint_part(&l->syntax, n, "children", 1)) < text;
	}
	return r->where == ANYWHERE || in_whole_cast(l, n);
}

/* Rounded at a place beyond its digits everything is 0 in DuckDB, NULL as well. */
static bool round_is_within(const struct lint *l, uint32_t n, struct lint_type given)
{
	bool is_text = false;
	uint64_t digits = 0;
	uint32_t place = lint_part(&l->syntax, n, "children", 1);
	struct str text = place == LINT_NONE ? STR_NONE : lint_constant(l, place, &is_text);
	if (text.n < 2 || text.p[0] != '-')
		return true;
	return str_to_u64(str_sub(text, 1, text.n), &digits) && digits < (given.letter == 'm' ? given.width - given.scale : 10);
}

/* One of them is BIGINT on both sides, whatever the other is. */
static bool has_bigint(const struct lint *l, uint32_t n, const struct lint_type *given)
{
	bool big = false;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t child = lint_part(&l->syntax, n, "children", i);
		big = big || (lint_is(&l->syntax, child, "CAST") &&
			      str_eq_z(l->syntax.v[lint_part(&l->syntax, child, "cast_type", 0)].id, "BIGINT"));
		if (str_eq_z(given[i].id, "HUGEINT"))
			return false;
	}
	return big;
}

static void letters_put(struct buf *b, const struct lint_type *given, uint32_t n)
{
	for (uint32_t i = 0; i < n && i < LINT_ARGUMENTS; i++)
		buf_addf(b, "%s%.*s", i > 0 ? ", " : "", STR_ARG(given[i].id));
}

static void function_refuse(struct lint *l, uint32_t n, const struct function_row *r, const struct lint_type *given)
{
	const struct lint_node *f = &l->syntax.v[n];
	struct buf b = BUF_INIT(4096);
	letters_put(&b, given, lint_count(&l->syntax, n, "children"));
	bool types = b.n > 0 && given[0].id.n > 0;
	lint_add(l, r ? r->rule : LINT_P1, f->at, "%.*s%s%.*s%s", STR_ARG(f->name), types ? " of (" : "", STR_ARG(buf_str(&b)),
		 types ? ")" : "");
	buf_free(&b);
}

static void function_judge(struct lint *l, uint32_t n)
{
	const struct lint_node *f = &l->syntax.v[n];
	struct lint_type given[LINT_ARGUMENTS], first[2] = { { .letter = '?' }, { .letter = '?' } };
	for (size_t turn = 0; turn < 16 && lint_arguments(l, n, turn, given); turn++) {
		const struct function_row *last = NULL;
		bool fits = false;
		for (size_t i = 0; i < N_FUNCTIONS && !fits; i++)
			if (str_eq_nocase(f->name, str_from(functions[i].name))) {
				last = &functions[i];
				fits = row_fits(l, last, n, given);
			}
		if (!fits) {
			function_refuse(l, n, last, given);
			return;
		}
		if (turn == 0)
			memcpy(first, given, sizeof first);
	}
	if ((str_eq_z(f->name, "/") || str_eq_z(f->name, "%") || str_eq_nocase(f->name, STR("mod")) ||
	     str_eq_nocase(f->name, STR("pmod"))) &&
	    !divisor_is_safe(l, lint_part(&l->syntax, n, "children", 1)))
		lint_add(l, f->name.p[0] == '/' ? LINT_N3 : LINT_N4, f->at, "what is divided by may be 0");
	if (str_eq_nocase(f->name, STR("round")) && !round_is_within(l, n, first[0]))
		lint_add(l, LINT_P1, f->at, "round beyond the digits");
	if ((str_eq_nocase(f->name, STR("try_add")) || str_eq_nocase(f->name, STR("try_subtract")) ||
	     str_eq_nocase(f->name, STR("try_multiply"))) && !has_bigint(l, n, first))
		lint_add(l, LINT_N5, f->at, "%.*s without a BIGINT", STR_ARG(f->name));
	if (str_eq_z(f->name, "quantile_cont") && lint_arguments(l, n, 0, given) && given[0].letter != 'i' && given[0].letter != '?')
		function_refuse(l, n, &(struct function_row){ .rule = LINT_A6 }, given);
	if (f->distinct && lint_count(&l->syntax, n, "children") > 1)
		lint_add(l, LINT_A11, f->at, "DISTINCT over several columns");
}

bool lint_is_interval(struct str f)
{
	static const char *const names[] = { "to_years", "to_months", "to_weeks", "to_days", "to_hours", "to_minutes", "to_seconds" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq_z(f, names[i]))
			return true;
	return false;
}

/* Constants only. */
static bool interval_is_plain(const struct lint *l, uint32_t n)
{
	for (uint32_t i = n; i < l->syntax.v[n].end; i++)
		if (l->syntax.v[i].kind.n > 0 && !lint_is(&l->syntax, i, "CONSTANT") && !lint_is(&l->syntax, i, "CAST") &&
		    !lint_is(&l->syntax, i, "FUNCTION"))
			return false;
	return true;
}

/* A pattern in which a backslash would escape something on the other side. */
static void like_judge(struct lint *l, uint32_t n)
{
	bool is_text = false;
	struct str text = lint_constant(l, lint_part(&l->syntax, n, "children", 1), &is_text);
	if (!is_text || str_find_char(text, '\\') < text.n)
		lint_add(l, LINT_S6, l->syntax.v[n].at, "LIKE without ESCAPE");
}

static void window_judge(struct lint *l, uint32_t n)
{
	const struct lint_node *w = &l->syntax.v[n];
	bool odd = str_ends(w->start, STR("_GROUPS")) || str_ends(w->end_bound, STR("_GROUPS")) ||
		   (str_starts(w->start, STR("EXPR_")) && str_ends(w->start, STR("_RANGE"))) ||
		   (str_starts(w->end_bound, STR("EXPR_")) && str_ends(w->end_bound, STR("_RANGE")));
	if (w->ignore_nulls)
		lint_add(l, LINT_A3, w->at, "IGNORE NULLS");
	if (w->distinct)
		lint_add(l, LINT_P2, w->at, "DISTINCT in a window");
	if (odd || (w->exclude.n > 0 && !str_eq_z(w->exclude, "NO_OTHER")))
		lint_add(l, LINT_P2, w->at, "this frame of a window");
}

/* ── forms ── */

static void cast_judge(struct lint *l, uint32_t n)
{
	static const char *const good[] = { "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL", "DOUBLE",
					    "VARCHAR", "DATE",	  "TIMESTAMP" };
	struct str id = l->syntax.v[lint_part(&l->syntax, n, "cast_type", 0)].id;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (str_eq_z(id, good[i]))
			return;
	bool number = lint_type_of(&l->syntax, lint_part(&l->syntax, n, "cast_type", 0)).letter == 'i' || str_eq_z(id, "FLOAT") ||
		      str_eq_z(id, "UHUGEINT");
	bool time = str_starts(id, STR("TIME"));
	bool interval = str_eq_z(id, "INTERVAL");
	lint_add(l, number ? LINT_N28 : time ? LINT_D1 : interval ? LINT_P2 : LINT_X3, l->syntax.v[n].at, "the type %.*s",
		 STR_ARG(id));
}

static void constant_judge(struct lint *l, uint32_t n)
{
	bool is_text = false;
	struct str text = lint_constant(l, n, &is_text);
	if (is_text && str_find_char(text, '\\') < text.n)
		lint_add(l, LINT_S11, l->syntax.v[n].at, "a backslash in a literal");
	/* Beyond BIGINT Spark compares with it before it looks for NULL. */
	struct lint_type type = lint_type_of(&l->syntax, lint_part(&l->syntax, lint_part(&l->syntax, n, "value", 0), "type", 0));
	if (str_eq_z(type.id, "HUGEINT") || (type.letter == 'm' && type.width - type.scale > 18))
		lint_add(l, LINT_N28, l->syntax.v[n].at, "a constant beyond BIGINT");
}

static void operator_judge(struct lint *l, uint32_t n)
{
	static const char *const good[] = { "OPERATOR_COALESCE", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "OPERATOR_NOT",
					    "COMPARE_IN", "COMPARE_NOT_IN" };
	const struct lint_node *o = &l->syntax.v[n];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (str_eq_z(o->type, good[i]))
			return;
	bool element = str_starts(o->type, STR("ARRAY_"));
	lint_add(l, element ? LINT_X1 : str_starts(o->type, STR("STRUCT_")) ? LINT_X3 : LINT_P2, near(&l->syntax, n), "%.*s",
		 STR_ARG(o->type));
}

static void query_judge(struct lint *l, uint32_t n)
{
	const struct lint_tree *t = &l->syntax;
	bool limit = false, order = false;
	uint32_t qualify = lint_part(t, n, "qualify", 0), modifier;
	if (qualify != LINT_NONE)
		lint_add(l, LINT_X7, near(t, qualify), "QUALIFY");
	for (uint32_t i = 0; (modifier = lint_part(t, n, "modifiers", i)) != LINT_NONE; i++) {
		struct str type = t->v[modifier].type;
		limit = limit || str_eq_z(type, "LIMIT_MODIFIER");
		order = order || str_eq_z(type, "ORDER_MODIFIER");
		if (str_eq_z(type, "LIMIT_PERCENT_MODIFIER"))
			lint_add(l, LINT_P2, near(t, modifier), "LIMIT in percent");
		if (str_eq_z(type, "DISTINCT_MODIFIER") && lint_part(t, modifier, "distinct_on_targets", 0) != LINT_NONE)
			lint_add(l, LINT_P2, near(t, modifier), "DISTINCT ON");
	}
	if (limit && !order)
		lint_add(l, LINT_A15, near(t, n), "LIMIT without ORDER BY");
	if (str_eq_z(t->v[n].setop, "UNION_BY_NAME"))
		lint_add(l, LINT_P2, near(t, n), "UNION BY NAME");
	if (str_eq_z(t->v[n].type, "RECURSIVE_CTE_NODE"))
		lint_add(l, LINT_X14, near(t, n), "a recursive WITH");
}

static void table_judge(struct lint *l, uint32_t n)
{
	const struct lint_node *r = &l->syntax.v[n];
	if (str_eq_z(r->type, "PIVOT"))
		lint_add(l, LINT_P2, near(&l->syntax, n), "PIVOT or UNPIVOT");
	if (!str_eq_z(r->type, "JOIN"))
		return;
	bool kind = str_eq_z(r->join_type, "INNER") || str_eq_z(r->join_type, "LEFT") || str_eq_z(r->join_type, "RIGHT") ||
		    str_eq_z(r->join_type, "FULL") || str_eq_z(r->join_type, "SEMI") || str_eq_z(r->join_type, "ANTI") ||
		    r->join_type.n == 0;
	bool way = str_eq_z(r->ref_type, "REGULAR") || str_eq_z(r->ref_type, "CROSS") || r->ref_type.n == 0;
	if (!kind || !way)
		lint_add(l, LINT_X8, near(&l->syntax, n), "%.*s %.*s JOIN", STR_ARG(r->ref_type), STR_ARG(r->join_type));
}

static void expression_judge(struct lint *l, uint32_t n)
{
	const struct lint_node *x = &l->syntax.v[n];
	static const char *const good[] = { "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CASE", "BETWEEN", "SUBQUERY" };
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (str_eq_z(x->kind, good[i]))
			return;
	if (str_eq_z(x->kind, "FUNCTION") || str_eq_z(x->kind, "WINDOW")) {
		function_judge(l, n);
		if (str_eq_z(x->name, "~~") || str_eq_z(x->name, "!~~"))
			like_judge(l, n);
		if (str_eq_z(x->kind, "WINDOW"))
			window_judge(l, n);
	} else if (str_eq_z(x->kind, "CAST")) {
		cast_judge(l, n);
	} else if (str_eq_z(x->kind, "CONSTANT")) {
		constant_judge(l, n);
	} else if (str_eq_z(x->kind, "OPERATOR")) {
		operator_judge(l, n);
	} else if (str_eq_z(x->kind, "STAR")) {
		if (x->has_star_change || x->columns)
			lint_add(l, LINT_X9, x->at, "a star with changes");
	} else {
		lint_add(l, str_eq_z(x->kind, "LAMBDA") ? LINT_X4 : str_eq_z(x->kind, "COLLATE") ? LINT_S14 : LINT_P2,
			 near(&l->syntax, n), "%.*s", STR_ARG(x->kind));
	}
}

void lint_syntax(struct lint *l)
{
	const struct lint_tree *t = &l->syntax;
	for (uint32_t i = 0; i < t->n;) {
		const struct lint_node *n = &t->v[i];
		if (str_eq_z(n->kind, "FUNCTION") && lint_is_interval(n->name)) {
			if (!interval_is_plain(l, i))
				lint_add(l, LINT_P2, n->at, "an interval that is computed");
			i = n->end;
			continue;
		}
		if (n->kind.n > 0)
			expression_judge(l, i);
		else if (str_ends(n->type, STR("_NODE")))
			query_judge(l, i);
		else
			table_judge(l, i);
		i++;
	}
}

/* ── functions of the plan whose place in the text is not known ── */

static bool letters_fit(const struct lint_tree *t, uint32_t n, const char *types)
{
	struct str rest = str_from(types), want = STR_NONE;
	bool repeats = false;
	for (uint32_t i = n + 1; i < t->v[n].end; i = t->v[i].end) {
		if (!str_eq_z(t->v[i].key, "children"))
			continue;
		if (!repeats && !str_cut(&rest, ' ', &want))
			return false;
		repeats = repeats || str_ends(want, STR("*"));
		uint32_t inner = i;
		while (lint_is(t, inner, "BOUND_CAST") && lint_part(t, inner, "child", 0) != LINT_NONE)
			inner = lint_part(t, inner, "child", 0);
		if (want.p[0] != '#' && !letter_fits(want.p[0], lint_expression_type(t, i).letter) &&
		    !letter_fits(want.p[0], lint_expression_type(t, inner).letter))
			return false;
	}
	return true;
}

void lint_unseen(struct lint *l)
{
	const struct lint_tree *t = &l->plan;
	for (uint32_t i = 0; l->typed && i < t->n; i++) {
		const struct lint_node *f = &t->v[i];
		bool function = lint_is(t, i, "BOUND_FUNCTION") || lint_is(t, i, "BOUND_AGGREGATE") || lint_is(t, i, "BOUND_WINDOW");
		const struct function_row *last = NULL;
		bool fits = false;
		if (!function || l->seen[i] || lint_is_macro(f->at) || lint_is_interval(f->name))
			continue;
		for (size_t k = 0; k < N_FUNCTIONS && !fits; k++)
			if (functions[k].types && str_eq_nocase(f->name, str_from(functions[k].name))) {
				last = &functions[k];
				fits = letters_fit(t, i, last->types);
			}
		for (size_t k = 0; last && k < l->found.n; k++) /* most likely a copy of what was said */
			fits = fits || str_eq_z(l->found.v[k].rule, lint_rules[last->rule].number);
		if (last && !fits)
			lint_add(l, last->rule, f->at, "%.*s of %.*s, somewhere", STR_ARG(f->name),
				 STR_ARG(lint_expression_type(t, lint_part(t, i, "children", 0)).id));
	}
}

/* ── what the tree does not tell ── */

void lint_tokens(struct lint *l)
{
	static const char *const bare[] = { "DECIMAL", "NUMERIC", "DEC" };
	static const char *const names[] = { "VARCHAR", "TEXT", "BPCHAR", "INT1", "INT2", "INT4", "INT8", "INT16", "INT32", "INT64",
					     "LOGICAL", "BYTES", "DATETIME", "FLOAT4", "FLOAT8", "SIGNED" };
	struct tokens tokens = { .sql = l->sql };
	struct token t, before = { 0 };
	bool open = false; /* a type may stand here: behind AS or :: */
	while (token_next(&tokens, &t)) {
		bool close = t.kind == TOKEN_MARK && t.text.p[0] == ')';
		if (t.kind == TOKEN_OPERATOR && str_starts(t.text, STR("::")))
			lint_add(l, LINT_X11, t.at, "value::type");
		for (size_t i = 0; open && i < sizeof bare / sizeof bare[0]; i++)
			if (close && str_eq_nocase(before.text, str_from(bare[i])))
				lint_add(l, LINT_N18, before.at, "%.*s without its digits", STR_ARG(before.text));
		for (size_t i = 0; open && i < sizeof names / sizeof names[0]; i++)
			if (close && str_eq_nocase(before.text, str_from(names[i])))
				lint_add(l, LINT_N27, before.at, "the type %.*s", STR_ARG(before.text));
		open = before.kind == TOKEN_WORD && str_eq_nocase(before.text, STR("AS")) && t.kind == TOKEN_WORD;
		before = t;
	}
}
