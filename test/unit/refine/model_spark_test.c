/* A model's text for Spark: which names are rewritten, and what stays byte for byte; its files and its keys. */
#include "refine_case.h"

#include "refine/model_spark.h"

static const struct {
	const char *sql, *want;
} TEXTS[] = {
	{ "SELECT * FROM prepare.flights", "SELECT * FROM sluice_prepare_flights AS flights" },
	{ "SELECT * FROM prepare.flights f", "SELECT * FROM sluice_prepare_flights f" },
	{ "SELECT * FROM prepare.flights AS f", "SELECT * FROM sluice_prepare_flights AS f" },
	{ "SELECT * FROM prepare.flights \"f\"", "SELECT * FROM sluice_prepare_flights \"f\"" },
	{ "SELECT flights.a, prepare.flights.b FROM prepare.flights WHERE prepare.flights.c",
	  "SELECT flights.a, flights.b FROM sluice_prepare_flights AS flights WHERE flights.c" },
	{ "SELECT * FROM Prepare.\"flights\" JOIN refine.flights USING (a)",
	  "SELECT * FROM sluice_prepare_flights AS \"flights\" JOIN sluice_refine_flights AS flights USING (a)" },
	{ "SELECT * FROM (SELECT 1 FROM prepare . flights) x, refine.flights",
	  "SELECT * FROM (SELECT 1 FROM sluice_prepare_flights AS flights) x, sluice_refine_flights AS flights" },
	/* Texts, comments, and names that nobody gave stay. */
	{ "SELECT 'prepare.flights' -- prepare.flights\n, /* prepare.flights */ 1 FROM refine.flights",
	  "SELECT 'prepare.flights' -- prepare.flights\n, /* prepare.flights */ 1 FROM sluice_refine_flights AS flights" },
	{ "SELECT prepare.flightsx, x.prepare.flights FROM prepare.other", "SELECT prepare.flightsx, x.prepare.flights FROM prepare.other" },
	{ "SELECT $$prepare.flights$$", "SELECT $$prepare.flights$$" },
	{ "WITH flights AS (SELECT * FROM prepare.flights) SELECT * FROM flights",
	  "WITH flights AS (SELECT * FROM sluice_prepare_flights AS flights) SELECT * FROM flights" },
	{ "", "" },
};

static void test_texts(void **state)
{
	struct arena a = ARENA_INIT;
	const struct job_input in[] = { { .schema = STR("prepare"), .table = STR("flights") },
					{ .schema = STR("refine"), .table = STR("flights") } };
	(void)state;
	for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
		struct str got = sql_for_spark(str_from(TEXTS[i].sql), false, in, 2, &a);
		assert_string_equal(arena_zero_terminated(&a, got), TEXTS[i].want);
	}
	struct str own = sql_for_spark(STR("SELECT 'it\\'s prepare.flights', 'a' FROM prepare.flights"), true, in, 2, &a);
	assert_string_equal(arena_zero_terminated(&a, own), "SELECT 'it\\'s prepare.flights', 'a' FROM sluice_prepare_flights AS flights");
	arena_free(&a);
}

/* What DuckDB means by texts and comments. */
static void test_literals(void **state)
{
	static const struct {
		const char *sql, *want;
	} cases[] = {
		{ "SELECT 'it''s', '''', '', '''a''''b''', s = 'x''' || ''", "SELECT 'it\\'s', '\\'', '', '\\'a\\'\\'b\\'', s = 'x\\'' || ''" },
		{ "SELECT \"a\"\"b\" -- it''s\n/* it''s */ FROM t", "SELECT \"a\"\"b\" -- it''s\n/* it''s */ FROM t" },
		{ "SELECT 1 -- C:\\\nWHERE x -- \\ a\\b\\\\\n, 'a\\b'", "SELECT 1 -- C:\nWHERE x -- \\ a\\b\n, 'a\\b'" },
		{ "SELECT 'a\nb' -- end \\", "SELECT 'a\nb' -- end \\" },
	};
	struct arena a = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(arena_zero_terminated(&a, sql_texts_for_spark(str_from(cases[i].sql), &a)), cases[i].want);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_texts), cmocka_unit_test(test_literals) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
