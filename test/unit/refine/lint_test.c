/* The lint over a corpus: test/case/refine/lint_same.txt has what models may write (test/e2e/test_lint_spark.py asks both
 * engines), lint_refused.txt what they may not, with the rule. */
#include "refine_case.h"

#include "refine/lint.h"
#include "refine/lint_tree.h"
#include "refine/pack.h"
#include "refine/view.h"

#include <stdlib.h>
#include <string.h>

struct bench {
	struct arena a;
	struct engine *engine;
	struct engine_connection *c;
	struct job_input edges;
};

static struct bench bench_open(void)
{
	static struct table_column columns[] = {
		{ .name = { "k", sizeof("k") - 1 }, .type = TYPE_INTEGER },  { .name = { "i", sizeof("i") - 1 }, .type = TYPE_INTEGER },
		{ .name = { "j", sizeof("j") - 1 }, .type = TYPE_INTEGER },  { .name = { "d", sizeof("d") - 1 }, .type = TYPE_DOUBLE },
		{ .name = { "e", sizeof("e") - 1 }, .type = TYPE_DOUBLE },
		{ .name = { "m", sizeof("m") - 1 }, .type = TYPE_DECIMAL, .precision = 10, .scale = 2 },
		{ .name = { "n", sizeof("n") - 1 }, .type = TYPE_DECIMAL, .precision = 18, .scale = 6 },
		{ .name = { "w", sizeof("w") - 1 }, .type = TYPE_DECIMAL, .precision = 38, .scale = 10 },
		{ .name = { "s", sizeof("s") - 1 }, .type = TYPE_STRING },   { .name = { "t", sizeof("t") - 1 }, .type = TYPE_STRING },
		{ .name = { "dt", sizeof("dt") - 1 }, .type = TYPE_DATE },    { .name = { "du", sizeof("du") - 1 }, .type = TYPE_DATE },
		{ .name = { "ts", sizeof("ts") - 1 }, .type = TYPE_TIMESTAMP }, { .name = { "tu", sizeof("tu") - 1 }, .type = TYPE_TIMESTAMP },
		{ .name = { "b", sizeof("b") - 1 }, .type = TYPE_BOOLEAN },
	};
	static struct str key[] = { { "k", 1 } };
	struct job_input in = { .schema = STR("prepare"), .table = STR("edges"), .key = key, .n_key = 1,
				.columns = { .v = columns, .n = sizeof columns / sizeof columns[0] } };
	struct engine_options o = { .memory_bytes = 128 << 20 };
	struct bench b = { .a = ARENA_INIT, .edges = in };
	OK(engine_open(&o, &b.engine, e) && engine_connect(b.engine, &b.c, e) && pack_load(b.c, PACK_LINT, e) && views_create(b.c, &in, 1, &b.a, e));
	return b;
}

static void bench_close(struct bench *b)
{
	engine_disconnect(b->c);
	engine_close(b->engine);
	arena_free(&b->a);
}

/* A line is an expression over the table of edges, or a whole SELECT. */
static struct str text_of(struct bench *b, struct str line)
{
	if (str_starts(line, STR("SELECT ")) || str_starts(line, STR("WITH ")))
		return line;
	return arena_format(&b->a, "SELECT k, %.*s AS x FROM prepare.edges", STR_ARG(line));
}

static struct graph_reads lint(struct bench *b, struct str sql)
{
	struct graph_reads out = { 0 };
	OK(lint_model(b->c, sql, &b->edges, 1, &b->a, &out, e));
	return out;
}

static bool has_rule(const struct graph_reads *r, struct str rule)
{
	for (size_t i = 0; i < r->n_findings; i++)
		if (str_eq(r->findings[i].rule, rule))
			return true;
	return false;
}

static bool next_line(struct str *rest, struct str *line)
{
	while (str_cut(rest, '\n', line))
		if (line->n > 0 && line->p[0] != '#')
			return true;
	return false;
}

static struct str case_file_read(struct bench *b, const char *name)
{
	struct str text;
	OK(file_read(arena_format(&b->a, TEST_DATA "/refine/%s", name).p, 1 << 20, &b->a, &text, e));
	return text;
}

/* Everything that may be written binds, and passes. */
static void test_same(void **state)
{
	struct bench b = bench_open();
	struct str rest = case_file_read(&b, "lint_same.txt"), line, json;
	size_t n = 0, bad = 0;

	(void)state;
	for (; next_line(&rest, &line); n++) {
		struct str sql = text_of(&b, line);
		struct err e = ERR_INIT;
		struct graph_reads r = lint(&b, sql);
		if (!engine_plan_select(b.c, sql, &b.a, &json, &e)) {
			print_message("%.*s: %s\n", STR_ARG(line), e.message);
			bad++;
		}
		for (size_t i = 0; i < r.n_findings; i++, bad++)
			print_message("%.*s: %.*s: %.*s\n", STR_ARG(line), STR_ARG(r.findings[i].rule), STR_ARG(r.findings[i].what));
	}
	assert_int_equal(bad, 0);
	assert_true(n > 200);
	bench_close(&b);
}

static void test_refused(void **state)
{
	struct bench b = bench_open();
	struct str rest = case_file_read(&b, "lint_refused.txt"), line;
	bool seen[LINT_RULES] = { false };
	size_t bad = 0;

	(void)state;
	while (next_line(&rest, &line)) {
		struct str rule, sql = line;
		str_cut(&sql, ' ', &rule);
		struct graph_reads r = lint(&b, text_of(&b, str_trim(sql)));
		const struct lint_rule *known = lint_rule_find(rule);
		assert_non_null(known);
		seen[known - lint_rules] = true;
		if (has_rule(&r, rule))
			continue;
		print_message("%.*s: not refused; %zu other findings\n", STR_ARG(line), r.n_findings);
		bad++;
	}
	for (size_t i = 0; i < LINT_RULES; i++)
		if (!seen[i] && i != LINT_P3 && i != LINT_P4) { /* these have tests of their own */
			print_message("%s has no case\n", lint_rules[i].number);
			bad++;
		}
	assert_int_equal(bad, 0);
	bench_close(&b);
}

/* What a row shows is what it refuses. */
static void test_examples(void **state)
{
	struct bench b = bench_open();
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < LINT_RULES; i++) {
		if (lint_rules[i].example == NULL)
			continue;
		struct graph_reads r = lint(&b, arena_format(&b.a, "SELECT %s", lint_rules[i].example));
		if (!has_rule(&r, str_from(lint_rules[i].number))) {
			print_message("%s: its example passes\n", lint_rules[i].number);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
	bench_close(&b);
}

/* What may be called was tried: each function has a line that both engines were asked. */
static void test_every_function(void **state)
{
	static const struct {
		const char *name, *types;
	} functions[] = {
#define FUNCTION(name, types, where, rule) { name, types },
#define PACK(name, parameters, text, kind, types, rule) { name, types },
#include "refine/lint_function.def"
#include "refine/pack.def"
#undef PACK
#undef FUNCTION
	};
	struct bench b = bench_open();
	struct str rest = case_file_read(&b, "lint_same.txt"), line, json;
	bool seen[COUNT(functions)] = { false };
	size_t bad = 0;

	(void)state;
	while (next_line(&rest, &line)) {
		struct lint_tree t;
		OK(engine_parse_select(b.c, text_of(&b, line), &b.a, &json, e) && lint_tree_read(json, &b.a, &t, e));
		for (size_t i = 0; i < t.n; i++)
			for (size_t k = 0; k < COUNT(functions) && t.v[i].name.n > 0; k++)
				seen[k] = seen[k] || str_eq_nocase(t.v[i].name, str_from(functions[k].name));
	}
	for (size_t k = 0; k < COUNT(functions); k++)
		if (functions[k].types && !seen[k]) {
			print_message("%s has no line\n", functions[k].name);
			bad++;
		}
	assert_int_equal(bad, 0);
	bench_close(&b);
}

static void test_places(void **state)
{
	struct bench b = bench_open();
	struct graph_reads r = lint(&b, STR("SELECT\n  i,\n  CAST(m AS BIGINT) AS x,\n  sum(i) OVER (ORDER BY k) AS y\n"
					    "FROM prepare.edges WHERE d > 0.5 AND s = 1"));
	struct problems p = PROBLEMS_INIT(&b.a);

	(void)state;
	lint_problems(&r, "models/x.sql", STR("SELECT\n  i,\n  CAST(m AS BIGINT) AS x,\n"), &p);
	assert_int_equal(r.n_findings, 2);
	assert_text(r.findings[0].rule, "N6");
	assert_int_equal(p.v[0].line, 3);
	assert_int_equal(p.v[0].column, 3);
	assert_text(r.findings[1].rule, "N29");
	/* Twice in the plan, once in the text. */
	r = lint(&b, STR("WITH c AS (SELECT CAST(m AS BIGINT) AS x FROM prepare.edges) SELECT a.x, b.x AS y FROM c a JOIN c b ON a.x = b.x"));
	assert_int_equal(r.n_findings, 1);
	bench_close(&b);
}

static void test_comments(void **state)
{
	static const struct {
		const char *sql, *rules;
		bool any_order; /* threads may share it: nothing was found, and nothing was to be left out */
	} cases[] = {
		{ "SELECT i, CAST(sum(m) AS DECIMAL(38,2)) AS x FROM prepare.edges GROUP BY i", "", true },
		{ "-- sluice: allow N20\nSELECT sum(d) AS x FROM prepare.edges", "", false },
		{ "-- sluice: allow N20\nSELECT i FROM prepare.edges", "", true },
		{ "-- sluice: duckdb-only\nSELECT any_value(i) AS x FROM prepare.edges", "", false },
		{ "-- sluice: duckdb-only\nSELECT CAST(m AS BIGINT) AS x FROM prepare.edges", "", false },
		{ "-- What it is.\n\n--  sluice: allow n6 , N9\nSELECT CAST(m AS BIGINT) AS x, round(d, 2) AS y FROM prepare.edges", "", false },
		{ "-- sluice: allow N9\nSELECT CAST(m AS BIGINT) AS x FROM prepare.edges", "N6", false },
		{ "-- sluice: allow N999\nSELECT i FROM prepare.edges", "P3", false },
		{ "-- sluice: allow P3\n-- sluice: nothing\nSELECT i FROM prepare.edges", "P3", false },
		{ "-- sluice: nothing\n-- sluice: duckdb-only\nSELECT i FROM prepare.edges", "P3", false },
		{ "SELECT CAST(m AS BIGINT) AS x\n-- sluice: duckdb-only\nFROM prepare.edges", "N6", false },
		{ "SELECT nonsense", "", false },
		{ "SELEC", "", false },
	};
	struct bench b = bench_open();

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct graph_reads r = lint(&b, str_from(cases[i].sql));
		struct str first = r.n_findings > 0 ? r.findings[0].rule : STR_NONE;
		if (!str_eq_z(first, cases[i].rules))
			fail_msg("%s: \"%.*s\" where \"%s\" was expected", cases[i].sql, STR_ARG(first), cases[i].rules);
		if (r.any_order != cases[i].any_order)
			fail_msg("%s: threads may %sshare it", cases[i].sql, r.any_order ? "" : "not ");
	}
	bench_close(&b);
}

/* Many operators, deep trees, long lists: none of them makes it slow or hurts it. */
static void test_large(void **state)
{
	struct bench b = bench_open();
	struct buf sql = BUF_INIT(1 << 20);

	(void)state;
	buf_add_z(&sql, "SELECT i");
	for (int i = 0; i < 150; i++)
		buf_add_z(&sql, " + 1");
	for (int i = 0; i < 3000; i++)
		buf_addf(&sql, ", CASE WHEN i = %d THEN j END AS c%d", i, i);
	buf_add_z(&sql, " FROM prepare.edges WHERE i IN (0");
	for (int i = 0; i < 3000; i++)
		buf_addf(&sql, ", %d", i);
	buf_add_z(&sql, ")");
	assert_int_equal(lint(&b, buf_str(&sql)).n_findings, 0);
	/* What is allowed does not use up the list of what is not. */
	buf_clear(&sql);
	buf_add_z(&sql, "-- sluice: allow N30\nSELECT i");
	for (int i = 0; i < 300; i++)
		buf_addf(&sql, ", ln(%d) AS c%d", i, i);
	buf_add_z(&sql, ", CAST(d AS BIGINT) AS x FROM prepare.edges");
	struct graph_reads r = lint(&b, buf_str(&sql));
	assert_int_equal(r.n_findings, 1);
	assert_text(r.findings[0].rule, "N6");
	/* A plan that is too deep to be read is told, not taken for a pass. */
	buf_clear(&sql);
	buf_add_z(&sql, "SELECT x FROM (SELECT i AS x FROM prepare.edges) AS q");
	for (int i = 0; i < 270; i++) {
		struct str inner = arena_copy(&b.a, buf_str(&sql));
		buf_clear(&sql);
		buf_addf(&sql, "SELECT x FROM (%.*s) AS q%d WHERE x > %d", STR_ARG(inner), i, i);
	}
	r = lint(&b, buf_str(&sql));
	for (size_t i = 0; i < r.n_findings; i++)
		print_message("%.*s %.*s\n", STR_ARG(r.findings[i].rule), STR_ARG(r.findings[i].what));
	assert_true(has_rule(&r, STR("P4")));
	buf_free(&sql);
	bench_close(&b);
}

/* Long lists of what keys are looked for in. */
static void test_large_orders(void **state)
{
	struct bench b = bench_open();
	struct buf sql = BUF_INIT(1 << 20);

	(void)state;
	buf_add_z(&sql, "SELECT k");
	for (int i = 0; i < 1500; i++)
		buf_addf(&sql, ", row_number() OVER (PARTITION BY b ORDER BY i + %d, k) AS c%d", i, i);
	buf_add_z(&sql, " FROM prepare.edges WHERE i = j");
	for (int i = 0; i < 3000; i++)
		buf_addf(&sql, " AND i = j + %d", i);
	assert_int_equal(lint(&b, buf_str(&sql)).n_findings, 0);
	buf_clear(&sql);
	buf_add_z(&sql, "WITH c0 AS (SELECT k, i FROM prepare.edges)");
	for (int i = 1; i < 100; i++)
		buf_addf(&sql, ", c%d AS (SELECT k, max(i) AS i FROM c%d GROUP BY k)", i, i - 1);
	buf_add_z(&sql, " SELECT k, row_number() OVER (ORDER BY i, k) AS n FROM c99");
	struct graph_reads r = lint(&b, buf_str(&sql));
	assert_false(has_rule(&r, STR("A16")));
	/* More tables than are followed: nothing is shown, so nothing is let through. */
	buf_clear(&sql);
	buf_add_z(&sql, "SELECT a.k, row_number() OVER (ORDER BY a.k) AS n FROM prepare.edges a");
	for (int i = 0; i < 80; i++)
		buf_addf(&sql, " JOIN prepare.edges b%d ON b%d.k = a.k", i, i);
	r = lint(&b, buf_str(&sql));
	assert_true(has_rule(&r, STR("A16")));
	buf_free(&sql);
	bench_close(&b);
}

/* docs/sql.md carries the tables word for word; `sluice explain` prints them. */
static void test_page(void **state)
{
	struct arena a = ARENA_INIT;
	struct buf page = BUF_INIT(1 << 20);
	struct str docs, all, line;

	(void)state;
	lint_page(&page);
	assert_false(page.overflow);
	OK(file_read(TEST_DATA "/../../docs/sql.md", 1 << 20, &a, &docs, e));
	all = buf_str(&page);
	while (str_cut(&all, '\n', &line))
		if (!str_contains(docs, line))
			fail_msg("docs/sql.md lacks %.*s", STR_ARG(line));
	assert_true(str_contains(docs, buf_str(&page)));
	buf_free(&page);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),   cmocka_unit_test(test_refused),	cmocka_unit_test(test_examples),
		cmocka_unit_test(test_places), cmocka_unit_test(test_comments), cmocka_unit_test(test_large), cmocka_unit_test(test_large_orders),
		cmocka_unit_test(test_page),   cmocka_unit_test(test_every_function),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
