#include "refine/lint.h"

#include "base/json.h"
#include "refine/lint_parts.h"
#include "refine/model.h"
#include "refine/model_token.h"
#include "refine/pack.h"

#include <stdlib.h>

const struct lint_rule lint_rules[LINT_RULES] = {
#define RULE(id, title, why, example, duckdb, spark, rewrite) { #id, title, why, example, duckdb, spark, rewrite },
#include "refine/lint.def"
#undef RULE
};

enum { FINDINGS_MAX = 200, WHAT_MAX_BYTES = 300 };

const struct lint_rule *lint_rule_find(struct str number)
{
	for (size_t i = 0; i < LINT_RULES; i++)
		if (str_eq_nocase(number, str_from(lint_rules[i].number)))
			return &lint_rules[i];
	return NULL;
}

void lint_add(struct lint *l, enum lint_rule_id rule, uint64_t at, const char *format, ...)
{
	struct buf b = BUF_INIT(1 << 20);
	va_list args;
	bool left = rule != LINT_P3 && (l->leave.all || l->leave.rule[rule]);
	l->was_left = l->was_left || left;
	if (left || l->found.n >= FINDINGS_MAX)
		return;
	va_start(args, format);
	buf_vaddf(&b, format, args);
	va_end(args);
	*arena_push(l->a, l->found) = (struct lint_finding){ .rule = str_from(lint_rules[rule].number),
							     .at = at < l->sql.n ? at : LINT_NOWHERE,
							     .what = arena_copy(l->a, str_sub(buf_str(&b), 0, WHAT_MAX_BYTES)) };
	buf_free(&b);
}

/* ── what the model says of itself, in its first lines ── */

static void leave_list(struct lint *l, struct str list, size_t at)
{
	struct str word;
	while (str_cut(&list, ',', &word)) {
		const struct lint_rule *r = lint_rule_find(str_trim(word));
		if (r && r - lint_rules != LINT_P3)
			l->leave.rule[r - lint_rules] = true;
		else
			lint_add(l, LINT_P3, at, "there is no rule `%.*s`", STR_ARG(str_trim(word)));
	}
}

static void leave_read(struct lint *l)
{
	struct str rest = l->sql, line;
	for (size_t at = 0; str_cut(&rest, '\n', &line); at += line.n + 1) {
		struct str text = str_trim(line);
		if (!str_starts(text, STR("--")) && text.n > 0)
			return;
		text = str_trim(str_sub(text, 2, text.n));
		if (!str_starts(text, STR("sluice:")))
			continue;
		text = str_trim(str_sub(text, 7, text.n));
		if (str_eq_z(text, "duckdb-only"))
			l->leave.all = true;
		else if (str_starts(text, STR("allow ")))
			leave_list(l, str_sub(text, 6, text.n), at);
		else
			lint_add(l, LINT_P3, at, "`%.*s` says nothing to it", STR_ARG(text));
	}
}

/* ── a model ── */

static int finding_cmp(const void *x, const void *y)
{
	const struct lint_finding *a = x, *b = y;
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	int order = str_cmp(a->rule, b->rule);
	return order ? order : str_cmp(a->what, b->what);
}

/* The same place and rule once: a WITH that is read twice stands twice in the plan. */
static void findings_keep(struct lint *l)
{
	size_t n = 0;
	if (l->found.n > 1)
		qsort(l->found.v, l->found.n, sizeof *l->found.v, finding_cmp);
	for (size_t i = 0; i < l->found.n; i++) {
		const struct lint_finding *f = &l->found.v[i], *before = n > 0 ? &l->found.v[n - 1] : NULL;
		if (!(before && before->at == f->at && str_eq(before->rule, f->rule)))
			l->found.v[n++] = *f;
	}
	l->found.n = n;
}

static bool error_take(struct err *e, const struct err *why)
{
	*e = *why;
	return false;
}

static bool take_nothing(void *user, const struct batch *b, struct err *e)
{
	(void)user;
	(void)b;
	(void)e;
	return true;
}

/* A SELECT that can be bound has types; if its plan cannot be read all the same, that must not look like a pass. */
static void plan_missed(struct lint *l, struct engine_connection *c, const struct err *why)
{
	struct buf ask = BUF_INIT(MODEL_MAX_BYTES + 1024);
	struct batch_shape *shape;
	struct err ignored = ERR_INIT;
	size_t n;
	buf_add_z(&ask, "SELECT * FROM (\n");
	buf_add(&ask, sql_body(l->sql));
	buf_add_z(&ask, "\n) AS q LIMIT 0");
	if (!ask.overflow && engine_query(c, buf_str(&ask), l->a, &shape, &n, take_nothing, NULL, &ignored))
		lint_add(l, LINT_P4, LINT_NOWHERE, "%s", why->message);
	buf_free(&ask);
}

bool lint_model(struct engine_connection *c, struct str sql, const struct job_input *tables, size_t n_tables, struct arena *a,
		struct graph_reads *out, struct err *e)
{
	struct lint l = { .a = a, .sql = sql };
	struct str json;
	struct err why = ERR_INIT;

	out->findings = NULL;
	out->n_findings = 0;
	out->any_order = false;
	if (!engine_parse_select(c, sql, a, &json, &why))
		return why.code == ERR_CONFIG || error_take(e, &why);
	if (!lint_tree_read(json, a, &l.syntax, e))
		return false;
	leave_read(&l);
	if (engine_plan_select(c, sql, a, &json, &why)) {
		l.typed = true;
		if (!lint_tree_read(json, a, &l.plan, e))
			return false;
		lint_index(&l);
	} else if (why.code != ERR_CONFIG) {
		return error_take(e, &why);
	} else {
		plan_missed(&l, c, &why);
	}
	lint_tokens(&l);
	lint_syntax(&l);
	lint_unseen(&l);
	lint_orders(&l, tables, n_tables);
	lint_casts(&l);
	lint_decimals(&l);
	lint_forms(&l);
	findings_keep(&l);
	out->findings = l.found.v;
	out->n_findings = l.found.n;
	out->any_order = l.typed && l.found.n == 0 && !l.was_left;
	return true;
}

void lint_problems(const struct graph_reads *found, const char *file, struct str sql, struct problems *p)
{
	for (size_t i = 0; i < found->n_findings; i++) {
		const struct lint_finding *f = &found->findings[i];
		const struct lint_rule *r = lint_rule_find(f->rule);
		unsigned line = 0, column = 0;
		if (r == NULL) /* of another version's list */
			continue;
		if (f->at < sql.n)
			sql_position(sql, (size_t)f->at, &line, &column);
		problem_file(p, file, line, column, arena_format(p->arena, "%s (more: `sluice explain %s`)", r->rewrite, r->number).p,
			     "rule %s, %s: %.*s: %s", r->number, r->title, STR_ARG(f->what), r->why);
	}
}

/* ── in words ── */

void lint_explain(const struct lint_rule *r, struct buf *b)
{
	buf_addf(b, "Rule %s: %s\n\n%s.\n", r->number, r->title, r->why);
	if (r->example)
		buf_addf(b, "\n  SELECT %s\n    DuckDB  %s\n    Spark   %s\n", r->example, r->duckdb, r->spark);
	buf_addf(b, "\nInstead: %s\n", r->rewrite);
}

void lint_explain_json(const struct lint_rule *r, struct buf *b)
{
	struct json_out o = JSON_OUT(b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "rule", r->number);
	json_put_z(&o, "title", r->title);
	json_put_z(&o, "why", r->why);
	json_put_z(&o, "example", r->example);
	json_put_z(&o, "duckdb", r->duckdb);
	json_put_z(&o, "spark", r->spark);
	json_put_z(&o, "rewrite", r->rewrite);
	json_end_object(&o);
}

/* A cell of a table in Markdown: the bar would end it. */
static void cell_put(struct buf *b, const char *text, bool code)
{
	buf_add_z(b, code ? " `" : " ");
	for (const char *c = text; *c; c++) {
		if (*c == '|')
			buf_add_char(b, '\\');
		buf_add_char(b, *c);
	}
	buf_add_z(b, code ? "` |" : " |");
}

static void functions_put(struct buf *b)
{
	static const struct {
		const char *name, *types;
		int where;
	} rows[] = {
		{ "", "", 0 },
#define ANYWHERE 0
#define WHOLE 1
#define WINDOW 2
#define FROM 3
#define FUNCTION(name, types, where, rule) { name, types, where },
#define PACK(name, parameters, text, kind, types, rule) { name, types, ANYWHERE },
#include "refine/lint_function.def"
#include "refine/pack.def"
#undef PACK
#undef FUNCTION
	};
	static const char *const where[] = { "", "inside a CAST to an integer", "with OVER (... ORDER BY ...)", "as TRIM(BOTH ... FROM ...), LEADING or TRAILING" };
	pack_page(b);
	buf_add_z(b, "\n## Functions and operators\n\n"
		     "Arguments: `i` integer, `m` decimal, `f` double, `n` any number, `e` integer or decimal; `s` text; `d` date,\n"
		     "`t` timestamp, `y` either, `v` an interval such as INTERVAL '1' DAY; `b` boolean; `x` any plain value, `o` any but\n"
		     "a double, `p` any that `||` makes a text of; `*` repeats. Written down in the model: `#0` a whole number from 0,\n"
		     "`#1` from 1, `#i` of either sign, `#s` a text that is not empty (`#p`: nor begins as it ends, like 'aa'), `#r` a pattern (rule S9), `#h` 0.5, 0.25 or 0.75,\n"
		     "`#u` year, quarter, month, week, day, hour, minute or doy, `#v` these with second for doy, `#b` 256, `#f` a format of\n"
		     "yyyy, MM, dd, HH, mm, ss and the marks - / : . _ and blank, `#w` a day of the week, `#` any constant.\n"
		     "Names are those of the parser: `~~` is LIKE, `like_escape` LIKE with ESCAPE, `count_star` COUNT(*), `date_part`\n"
		     "EXTRACT, `quantile_cont` percentile_cont WITHIN GROUP (ORDER BY an integer).\n\n"
		     "| function | arguments | where |\n| --- | --- | --- |\n");
	for (size_t i = 1; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].types == NULL)
			continue;
		buf_add_char(b, '|');
		cell_put(b, rows[i].name, true);
		if (rows[i].types[0])
			cell_put(b, rows[i].types, true);
		else
			buf_add_z(b, " |");
		buf_addf(b, " %s |\n", where[rows[i].where]);
	}
}

void lint_page(struct buf *b)
{
	buf_add_z(b, "## Rules\n\nThe column `SELECT` is an example, with what each engine answers.\n\n");
	buf_add_z(b, "| rule | about | why | `SELECT` | DuckDB | Spark | instead |\n| --- | --- | --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < LINT_RULES; i++) {
		const struct lint_rule *r = &lint_rules[i];
		buf_addf(b, "| %s |", r->number);
		cell_put(b, r->title, false);
		cell_put(b, r->why, false);
		if (r->example) {
			cell_put(b, r->example, true);
			cell_put(b, r->duckdb, r->duckdb[0] != '\0');
			cell_put(b, r->spark, r->spark[0] != '\0');
		} else {
			buf_add_z(b, " | | |");
		}
		cell_put(b, r->rewrite, false);
		buf_add_char(b, '\n');
	}
	functions_put(b);
}
