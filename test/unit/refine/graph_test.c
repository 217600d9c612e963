/* Which tables a SELECT reads, asked of the engine itself: test/case/refine/graph.txt. */
#include "refine_case.h"

#include "refine/graph.h"

static void case_run(struct case_block c)
{
	struct arena a = ARENA_INIT;
	struct buf sql = BUF_INIT(1 << 16), got = BUF_INIT(1 << 16);
	struct str rest = c.body, line, want = STR_NONE, names[] = { STR("t") };
	bool good = false;

	while (str_cut(&rest, '\n', &line)) {
		if (str_starts(line, STR("->")) || str_starts(line, STR("!!"))) {
			good = line.p[0] == '-';
			want = str_trim(str_sub(line, 2, line.n));
			break;
		}
		buf_add(&sql, line);
		buf_add_char(&sql, '\n');
	}
	struct str text = buf_str(&sql);
	struct engine_job job = { .kind = ENGINE_GRAPH, .memory_bytes = 128 << 20, .sql = &text, .sql_names = names,
				  .n_sql = 1 };
	struct engine_result r;
	struct err e = ERR_INIT;
	bool ok = graph_run(&job, &a, &r, &e);
	if (ok != good)
		fail_msg("%.*s: %s", STR_ARG(c.name), ok ? "it was taken" : e.message);
	if (!ok) {
		assert_int_equal(e.code, ERR_CONFIG);
		if (!str_contains(str_from(e.message), want))
			fail_msg("%.*s: \"%s\" where \"%.*s\" was expected", STR_ARG(c.name), e.message, STR_ARG(want));
	} else {
		assert_int_equal(r.n_graph, 1);
		assert_text(r.graph[0].name, "t");
		for (size_t i = 0; i < r.graph[0].n_tables; i++) {
			buf_add_z(&got, i > 0 ? " " : "");
			buf_add(&got, r.graph[0].tables[i]);
		}
		if (!str_eq(buf_str(&got), want))
			fail_msg("%.*s: \"%.*s\" where \"%.*s\" was expected", STR_ARG(c.name), STR_ARG(buf_str(&got)),
				 STR_ARG(want));
	}
	buf_free(&sql);
	buf_free(&got);
	arena_free(&a);
}

static void test_cases(void **state)
{
	struct arena a = ARENA_INIT;
	struct case_file f = case_open(TEST_DATA "/refine/graph.txt", &a);
	struct case_block c;
	size_t n = 0;

	(void)state;
	for (; case_next(&f, &c); n++)
		case_run(c);
	assert_true(n > 30);
	arena_free(&a);
}

static void test_several(void **state)
{
	struct arena a = ARENA_INIT;
	struct str sql[] = { STR("SELECT 1 FROM prepare.a"), STR("SELECT 1"), STR("SELECT 1 FROM prepare.b, prepare.a") };
	struct str names[] = { STR("x"), STR("y"), STR("z") };
	struct engine_job job = { .kind = ENGINE_GRAPH, .memory_bytes = 128 << 20, .sql = sql, .sql_names = names,
				  .n_sql = 3 };
	struct engine_result r;

	(void)state;
	OK(graph_run(&job, &a, &r, e));
	assert_int_equal(r.n_graph, 3);
	assert_true(str_starts(r.engine, STR("DuckDB v")));
	assert_text(r.graph[2].name, "z");
	assert_int_equal(r.graph[1].n_tables, 0);
	assert_text(r.graph[2].tables[0], "prepare.a");
	assert_text(r.graph[2].tables[1], "prepare.b");
	sql[1] = STR("SELEC 1");
	struct err e = ERR_INIT;
	assert_false(graph_run(&job, &a, &r, &e));
	assert_true(str_starts(str_from(e.message), STR("model y: ")));
	arena_free(&a);
}

/* Types come from the inputs; a table that is not among them is no reason to say nothing of the others. */
static void test_lint(void **state)
{
	struct arena a = ARENA_INIT;
	struct table_column column = { .name = STR("x"), .type = TYPE_DOUBLE };
	struct job_input in = { .schema = STR("prepare"), .table = STR("a"), .columns = { .v = &column, .n = 1 } };
	struct str sql[] = { STR("SELECT CAST(x AS BIGINT) AS y FROM prepare.a"), STR("SELECT x FROM prepare.nobody"),
			     STR("SELECT x FROM prepare.a LIMIT 1") };
	struct str names[] = { STR("y"), STR("z"), STR("w") };
	struct engine_job job = { .kind = ENGINE_GRAPH, .memory_bytes = 128 << 20, .sql = sql, .sql_names = names, .n_sql = 3,
				  .inputs = &in, .n_inputs = 1 };
	struct engine_result r;

	(void)state;
	OK(graph_run(&job, &a, &r, e));
	assert_int_equal(r.graph[0].n_findings, 1);
	assert_text(r.graph[0].findings[0].rule, "N6");
	assert_int_equal(r.graph[0].findings[0].at, 7);
	assert_int_equal(r.graph[1].n_findings, 0);
	assert_text(r.graph[2].findings[0].rule, "A15");
	arena_free(&a);
}

/* A tree that is not as it should be must not hurt. */
static void test_bad_trees(void **state)
{
	static const char *const trees[] = {
		"", "[", "{", "{\"type\":\"BASE_TABLE\"", "{\"type\":\"BASE_TABLE\"}}", "nul",
	};
	struct arena a = ARENA_INIT;
	struct graph_reads reads;

	(void)state;
	for (size_t i = 0; i < COUNT(trees); i++) {
		struct err e = ERR_INIT;
		assert_false(graph_from_tree(STR("t"), STR("x"), str_from(trees[i]), &a, &reads, &e));
		assert_int_equal(e.code, ERR_ENGINE);
	}
	OK(graph_from_tree(STR("t"), STR("x"), STR("[[{\"type\":\"BASE_TABLE\",\"table_name\":\"\\ud800\"}],1]"), &a, &reads,
			   e));
	assert_int_equal(reads.n_tables, 1);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_bad_trees),
		cmocka_unit_test(test_lint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
