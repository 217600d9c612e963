/* How runs end: fetches that fail, shrink or are stopped, tables and models that cannot be made, words that help. */
#include "trips.h"

static void assert_note(const struct run_table *t, const char *note)
{
	assert_non_null(t);
	assert_text(t->note, note);
}

/* ── rule 30 ── */

static void test_all_windows_or_none(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	world_refuses(&w, "/trips?day=2024-01-02");
	trips_days(&w, "2024-01-01", "2024-01-05");
	world_run_fails(&w, ERR_HTTP_STATUS, "404");
	assert_int_equal(w.r.n_failures, 1);
	assert_int_equal(w.r.failures[0].status, 404);
	assert_text(w.r.failures[0].body, "gone");
	assert_note(world_table(&w, ZONE_PREPARE, "trips"), "not published: 1 of 4 wanted windows not sealed");
	assert_true(world_table(&w, ZONE_PREPARE, "places")->changed); /* whatever happens to others */
	assert_note(world_table(&w, ZONE_REFINE, "by_place"), "not made: a table that it reads was not published");
	assert_note(world_table(&w, ZONE_REFINE, "a_busiest"), "not made: a table that it reads was not published");
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, -1);
	/* prepare alone says what is missing, and how to get it */
	world_stages(&w, false, true, false);
	trips_days(&w, "2024-01-01", "2024-01-05");
	world_run_fails(&w, ERR_MISSING, "prepare trips: 1 of 4 wanted windows not sealed");
	assert_true(str_contains(str_from(w.err.hint), STR("--keep-going")));
	/* the others, on demand; the exit status stays */
	w.options.keep_going = true;
	trips_days(&w, "2024-01-01", "2024-01-05");
	world_run_fails(&w, ERR_HTTP_STATUS, "404");
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 31:5 32:6 41:7 42:8");
	assert_true(world_table(&w, ZONE_REFINE, "a_busiest")->changed);
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":3}");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_int_equal(world_requests(&w), 1);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 31:5 32:6 41:7 42:8");
	world_end(&w);
}

/* A window that was asked for again and not answered is not what the run wanted, though an older truth is there. */
static void test_a_failed_refetch_publishes_nothing(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":50}");
	world_refuses(&w, "/trips?day=2024-01-02");
	w.options.request.refetch = true;
	trips_days(&w, "2024-01-01", "2024-01-03");
	world_run_fails(&w, ERR_HTTP_STATUS, "404");
	assert_note(world_table(&w, ZONE_PREPARE, "trips"), "not published: 1 of 2 wanted windows not sealed");
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4");
	/* what is sealed is true, and prepare wants no more than that */
	world_stages(&w, false, true, false);
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_text(world_sql(&w, TRIPS_SQL), "11:50 21:3 22:4");
	world_end(&w);
}

/* Windows that are not over are not waited for; one that the server's clock calls unfinished neither. */
static void test_early_windows_wait(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_answers_with(&w, "/trips?day=2024-01-02", "Date: Tue, 02 Jan 2024 23:59:59 GMT\r\n",
			   "{\"id\":21,\"place\":\"a\",\"n\":0}");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2");
	assert_true(str_contains(world_report(&w), STR("1 not over yet by the server's clock")));
	world_answers_with(&w, "/trips?day=2024-01-02", "Date: Wed, 03 Jan 2024 00:00:01 GMT\r\n",
			   "{\"id\":21,\"place\":\"a\",\"n\":3},{\"id\":22,\"place\":\"b\",\"n\":4}");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4");
	world_at(&w, "2024-01-03T12:00:00Z");
	trips_run_days(&w, "2024-01-01", "2024-01-06");
	assert_int_equal(world_requests(&w), 0);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4");
	world_end(&w);
}

/* ── far fewer rows than before ── */

static void test_a_shrunk_window_waits_for_a_word(void **state)
{
	static const char count[] = "SELECT CAST(count(*) AS VARCHAR) FROM prepare.trips";
	struct world w;
	struct ledger l;
	(void)state;
	trips_begin(&w);
	world_answers(&w, "/trips?day=2024-01-01", trips_many(&w, 120));
	trips_run_days(&w, "2024-01-01", "2024-01-02");
	world_answers(&w, "/trips?day=2024-01-01", trips_many(&w, 50));
	w.options.request.refetch = true;
	trips_days(&w, "2024-01-01", "2024-01-02");
	world_run_fails(&w, ERR_SHRUNK, "50 against 120");
	assert_true(str_contains(str_from(w.err.hint), STR("sluice accept trips 20240101T000000Z_20240102T000000Z")));
	assert_text(world_sql(&w, count), "120");
	trips_days(&w, "2024-01-01", "2024-01-02"); /* said again until somebody decides */
	world_run_fails(&w, ERR_SHRUNK, "waits for your word");
	assert_int_equal(world_requests(&w), 0);
	assert_text(world_resource(&w, "trips")->note, "1 of 1 window waits for `sluice accept`");
	OK(ledger_open(w.project.store, w.project.clock, STR("raw/test/trips/20240101T000000Z_20240102T000000Z/g2"),
		       STR("accept"), &w.a, &l, e));
	OK(ledger_accept(&l, STR("looks right"), e));
	trips_run_days(&w, "2024-01-01", "2024-01-02");
	assert_text(world_sql(&w, count), "50");
	world_end(&w);
}

/* The first snapshot of another day is compared with the one before; there is no truth of its own yet. */
static void test_a_shrunk_snapshot(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_file(&w, "contracts/places.yaml", CONTRACT_HEAD("places") "    properties:\n"
		   "      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}\n");
	world_answers(&w, "/places", trips_many(&w, 120));
	w.options.request.only = STR("places");
	trips_run_days(&w, "2024-01-01", "2024-01-02");
	world_answers(&w, "/places", trips_many(&w, 3));
	w.options.request.only = STR("places");
	trips_days(&w, "2024-01-01", "2024-01-03");
	world_run_fails(&w, ERR_SHRUNK, "3 against 120");
	assert_text(world_sql(&w, "SELECT CAST(count(*) AS VARCHAR) FROM prepare.places"), "120");
	world_end(&w);
}

/* ── models ── */

static void test_models_that_cannot_be_made(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	world_stages(&w, false, false, true);
	trips_days(&w, "2024-01-01", "2024-01-05");
	world_run_fails(&w, ERR_MISSING, "refine by_place: it reads prepare.places, which is not there yet");
	assert_note(world_table(&w, ZONE_REFINE, "by_place"), "failed");
	assert_note(world_table(&w, ZONE_REFINE, "a_busiest"), "not made: a table that it reads was not published");
	/* a rule of its own that breaks: nothing is published, and what reads it is left alone */
	world_file(&w, "contracts/by_place.yaml",
		   CONTRACT_HEAD("by_place") "    customProperties: [{property: sluice.action, value: fail}]\n"
		   "    properties:\n"
		   "      - {name: place, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n"
		   "      - {name: name, logicalType: string}\n"
		   "      - {name: trips, logicalType: integer, logicalTypeOptions: {maximum: 5}}\n");
	trips_days(&w, "2024-01-01", "2024-01-05");
	world_run_fails(&w, ERR_CONTRACT, "refine by_place");
	assert_int_equal(world_snapshot(&w, ZONE_REFINE, "by_place").version, -1);
	assert_note(world_table(&w, ZONE_REFINE, "a_busiest"), "not made: a table that it reads was not published");
	assert_true(world_table(&w, ZONE_PREPARE, "trips")->changed);
	world_file(&w, "contracts/by_place.yaml", by_place_contract);
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_text(world_sql(&w, "SELECT place FROM refine.a_busiest"), "a");
	world_end(&w);
}

static void test_models_run_when_stale_only(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	world_file(&w, "contracts/names.yaml",
		   CONTRACT_HEAD("names") "    properties:\n"
		   "      - {name: name, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n");
	world_file(&w, "models/names.sql", "SELECT name FROM prepare.places\n");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	struct str names = world_files(&w, "/refine/test/names"), busiest = world_files(&w, "/refine/test/a_busiest/data");
	/* an input changes where the model does not look: made again, the same rows, the same files */
	world_answers(&w, "/trips?day=2024-01-04", "{\"id\":41,\"place\":\"a\",\"n\":70},{\"id\":42,\"place\":\"a\",\"n\":80}");
	w.options.request.refetch = true;
	trips_run_days(&w, "2024-01-04", "2024-01-05");
	assert_note(world_table(&w, ZONE_REFINE, "by_place"), "its inputs changed, its rows did not");
	assert_note(world_table(&w, ZONE_REFINE, "names"), "nothing to do: nothing that it reads changed");
	assert_true(str_eq(names, world_files(&w, "/refine/test/names")));
	struct table_snapshot t = world_snapshot(&w, ZONE_REFINE, "by_place");
	assert_int_equal(t.version, 1);
	assert_int_equal(t.n_files, 1);
	/* other white space and comments mean nothing; other words do */
	world_file(&w, "models/a_busiest.sql", "-- those with three\nSELECT place\nFROM refine.by_place WHERE trips>=3\n");
	struct str all = world_files(&w, "");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_true(w.r.nothing_to_do);
	assert_true(str_eq(all, world_files(&w, "")));
	world_file(&w, "models/a_busiest.sql", "SELECT place FROM refine.by_place WHERE trips >= 2\n");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_text(world_sql(&w, "SELECT place FROM refine.a_busiest ORDER BY 1"), "a b");
	assert_false(world_table(&w, ZONE_REFINE, "by_place")->changed);
	assert_false(str_eq(busiest, world_files(&w, "/refine/test/a_busiest/data")));
	/* only one model, by name */
	world_file(&w, "models/by_place.sql",
		   "SELECT t.place, p.name, COUNT(*) + 1 AS trips FROM prepare.trips t LEFT JOIN prepare.places p "
		   "ON p.id = t.place GROUP BY t.place, p.name\n");
	w.options.request.only = STR("a_busiest");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_true(w.r.nothing_to_do); /* what it reads is stale, but was not asked for */
	assert_int_equal(w.r.n_tables, 1);
	world_end(&w);
}

/* ── relationships ── */

static const struct run_table *trips_of(struct world *w)
{
	return world_table(w, ZONE_PREPARE, "trips");
}

static void test_relationships(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_answers(&w, "/trips?day=2024-01-02",
		      "{\"id\":11,\"place\":\"nowhere\",\"n\":3},{\"id\":22,\"place\":\"gone\",\"n\":4},{\"id\":23,\"place\":\"a\",\"n\":4}");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_int_equal(trips_of(&w)->n_relationships, 2);
	assert_text(trips_of(&w)->relationships[0].rule, "place -> places.id");
	assert_int_equal(trips_of(&w)->relationships[0].rows, 2);
	assert_text(trips_of(&w)->relationships[1].rule, "keys in several windows");
	assert_int_equal(trips_of(&w)->relationships[1].rows, 1);
	assert_true(str_contains(world_report(&w), STR("warning: 2 rows without a partner")));
	/* the other side changes: counted again, though no trip did */
	world_answers(&w, "/places", "{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"gone\"}");
	trips_run_days(&w, "2024-01-01", "2024-01-04");
	w.options.request.refetch = true;
	w.options.request.only = STR("trips,places");
	trips_run_days(&w, "2024-01-01", "2024-01-04");
	world_answers(&w, "/places", "{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"gone\"},{\"id\":\"nowhere\"}");
	w.options.request.refetch = true;
	trips_run_days(&w, "2024-01-01", "2024-01-04");
	assert_false(trips_of(&w)->changed);
	assert_int_equal(trips_of(&w)->n_relationships, 1);
	assert_int_equal(trips_of(&w)->relationships[0].rows, 0);
	/* as a rule that fails; it is no part of the window key, so nothing is prepared again */
	char *text = arena_zero_terminated(&w.a, str_from(trips_contract));
	memcpy(strstr(text, "value: warn"), "value: fail", 11);
	world_file(&w, "contracts/trips.yaml", text);
	world_answers(&w, "/places", "{\"id\":\"a\"},{\"id\":\"b\"}");
	w.options.request.refetch = true;
	trips_days(&w, "2024-01-01", "2024-01-04");
	world_run_fails(&w, ERR_CONTRACT, "trips: 2 rows break place -> places.id");
	assert_false(trips_of(&w)->changed);
	assert_true(str_contains(world_report(&w), STR("BROKEN: 2 rows without a partner")));
	/* it stays broken, and models that read the table wait, until it is mended */
	trips_models(&w);
	trips_days(&w, "2024-01-01", "2024-01-04");
	world_run_fails(&w, ERR_CONTRACT, "trips: 2 rows break place -> places.id");
	assert_note(world_table(&w, ZONE_REFINE, "by_place"), "not made: a table that it reads was not published");
	world_answers(&w, "/places", "{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"gone\"},{\"id\":\"nowhere\"}");
	w.options.request.refetch = true;
	w.options.request.only = STR("places,trips,by_place");
	trips_run_days(&w, "2024-01-01", "2024-01-04");
	assert_true(world_table(&w, ZONE_REFINE, "by_place")->changed);
	world_end(&w);
}

/* ── before anything begins ── */

static void test_a_missing_secret(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	char *text = arena_zero_terminated(&w.a, arena_format(&w.a, "%s", trips_pipeline));
	char *at = strstr(text, "retry: {attempts: 1}");
	struct str with = arena_format(&w.a, "%.*sauth: {bearer: {secret: 'env:SLUICE_TEST_NOT_SET'}}%s", (int)(at - text), text,
				       at + strlen("retry: {attempts: 1}"));
	world_file(&w, "pipeline.yaml", arena_zero_terminated(&w.a, with));
	unsetenv("SLUICE_TEST_NOT_SET");
	trips_days(&w, "2024-01-01", "2024-01-05");
	world_run_fails(&w, ERR_SECRET, "SLUICE_TEST_NOT_SET");
	assert_int_equal(world_requests(&w), 0);
	assert_int_equal(w.r.n_tables, 0); /* nothing that would bury the message */
	assert_text(world_files(&w, "/raw"), "");
	setenv("SLUICE_TEST_NOT_SET", "abcdefgh-secret", 1);
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	unsetenv("SLUICE_TEST_NOT_SET");
	trips_run_days(&w, "2024-01-01", "2024-01-05"); /* nothing to fetch, so nobody asks for it */
	assert_true(w.r.nothing_to_do);
	world_end(&w);
}

static void test_no_contract(void **state)
{
	struct world w;
	(void)state;
	world_begin(&w, trips_pipeline);
	world_answers(&w, "/trips?*", "{\"id\":1}");
	world_answers(&w, "/places", "{\"id\":\"a\"}");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_int_equal(w.r.n_tables, 0);
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_true(w.r.nothing_to_do);
	assert_text(world_resource(&w, "trips")->note,
		    "nothing to do: 2 windows are sealed; there is no contract, so nothing is prepared");
	trips_models(&w);
	trips_days(&w, "2024-01-01", "2024-01-03");
	world_run_fails(&w, ERR_MISSING, "refine by_place: it reads prepare.places, which is not there yet");
	assert_true(str_contains(str_from(err_hint_text(&w.err)), STR("sluice contract draft places")));
	world_end(&w);
}

static void test_lakes_that_cannot_be(void **state)
{
	static const struct {
		const char *lake;
		bool create;
		enum err_code code;
		const char *part;
	} cases[] = {
		{ "ftp://bucket/lake", true, ERR_USAGE, "a lake is a folder, or s3://bucket/prefix" },
		{ "pipeline.yaml/lake", true, ERR_USAGE, "pipeline.yaml/lake" },
		{ "pipeline.yaml", true, ERR_USAGE, "pipeline.yaml" },
		{ "nothing/there", false, ERR_MISSING, "nothing/there" },
	};
	struct world w;
	(void)state;
	trips_begin(&w);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = ERR_INIT;
		struct problems p = PROBLEMS_INIT(&w.a);
		struct project_options o = { .create_lake = cases[i].create };
		struct project j;
		o.pipeline_file = arena_zero_terminated(&w.a, arena_format(&w.a, "%s/pipeline.yaml", w.root));
		o.lake = i == 0 ? str_from(cases[i].lake) : arena_format(&w.a, "%s/%s", w.root, cases[i].lake);
		assert_true(project_load(&o, &w.a, &j, &p));
		assert_false(project_open_lake(&j, &o, &e));
		if (e.code != cases[i].code || !str_contains(str_from(e.message), str_from(cases[i].part)))
			fail_msg("%s: %s: %s", cases[i].lake, err_name(e.code), e.message);
		project_close(&j);
	}
	world_end(&w);
}

/* What stands where the lake was, and what is said of it. */
static void test_lakes_that_went_away(void **state)
{
	static const struct {
		const char *command, *said;
	} cases[] = { { "true", NULL },
		      { "rm -rf lake && mkdir other", "its folder is gone" },
		      { "rm -rf lake && mkdir -p other/lake && mv other/lake lake", "another folder stands in its place now" },
		      { "rm -rf lake && ln -s lake lake", "its folder cannot be looked at" } };
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;
		struct err e = ERR_INIT;
		trips_begin(&w);
		world_open_project(&w);
		struct str line = arena_format(&w.a, "cd %s && mkdir -p keep && %s", w.root, cases[i].command);
		assert_int_equal(system(arena_zero_terminated(&w.a, line)), 0);
		if (project_lake_there(&w.project, &e) != (cases[i].said == NULL))
			fail_msg("%s: %s", cases[i].command, e.message);
		if (cases[i].said && (e.code != ERR_STORAGE || !str_contains(str_from(e.message), str_from(cases[i].said))))
			fail_msg("%s: %s", cases[i].command, e.message);
		world_end(&w);
	}
}

static void test_a_signal(void **state)
{
	static const volatile int stop = 15;
	struct world w;
	(void)state;
	trips_begin(&w);
	w.options.stop = &stop;
	trips_days(&w, "2024-01-01", "2024-01-05");
	world_run_fails(&w, ERR_SIGTERM, "stopped by a signal");
	assert_int_equal(w.r.n_tables, 0);
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4 31:5 32:6 41:7 42:8");
	world_end(&w);
}

/* A contract that is broken beyond its budget: nothing of the table is published, the record says why. */
static void test_over_the_budget(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	char *text = arena_zero_terminated(&w.a, str_from(trips_contract));
	memcpy(strstr(text, "value: 100"), "value: 010", 10);
	memcpy(strstr(text, "value: 010"), "value: 10 ", 10);
	world_file(&w, "contracts/trips.yaml", text);
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":101},{\"id\":12,\"place\":\"b\",\"n\":2}");
	trips_days(&w, "2024-01-01", "2024-01-03");
	world_run_fails(&w, ERR_CONTRACT, "trips");
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, -1);
	assert_int_equal(world_snapshot(&w, ZONE_QUARANTINE, "trips").version, -1);
	struct str record = run_record_json(&w.r, &w.a);
	assert_true(str_contains(record, STR("\"exit_status\":4")));
	world_end(&w);
}

/* Each part of a run has a record of its own, and the ledger names the run. */
static void test_a_deadline_and_going_on(void **state)
{
	struct world w;
	struct str text;
	(void)state;
	trips_begin(&w);
	w.options.in_parts = true;
	w.options.request.run_id = STR("r1");
	w.options.deadline_us = w.clock.monotonic_us = 1000;
	trips_days(&w, "2024-01-01", "2024-01-03");
	world_run_fails(&w, ERR_BUDGET, "deadline");
	assert_text(w.r.run_id, "r1");
	assert_int_equal(world_requests(&w), 0);
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, -1);
	for (unsigned part = 2; part <= 3; part++) {
		w.options.in_parts = true;
		w.options.request.run_id = STR("r1");
		trips_days(&w, "2024-01-01", "2024-01-03");
		world_run_ok(&w);
		assert_text(w.r.run_id, part == 2 ? "r1.2" : "r1.3");
		assert_int_equal(w.r.nothing_to_do, part == 3);
	}
	OK(store_get(w.project.store, STR("runs/test/r1.2/record.json"), 1 << 20, &w.a, &text, e));
	assert_true(str_contains(text, STR("\"run\":\"r1.2\"")));
	OK(store_get(w.project.store, STR("raw/test/trips/20240101T000000Z_20240102T000000Z/g1/ledger/00000000000000000000.json"), 1 << 20, &w.a,
		     &text, e));
	assert_true(str_contains(text, STR("\"r1\"")));
	assert_true(run_id_ok(STR("nightly_2024-01-01")) && !run_id_ok(STR("a.b")) && !run_id_ok(STR("")) && !run_id_ok(STR("graph")));
	assert_text(run_id_whole(STR("r1.17")), "r1");
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_windows_or_none),
		cmocka_unit_test(test_a_failed_refetch_publishes_nothing),
		cmocka_unit_test(test_early_windows_wait),
		cmocka_unit_test(test_a_shrunk_window_waits_for_a_word),
		cmocka_unit_test(test_a_shrunk_snapshot),
		cmocka_unit_test(test_models_that_cannot_be_made),
		cmocka_unit_test(test_models_run_when_stale_only),
		cmocka_unit_test(test_relationships),
		cmocka_unit_test(test_a_missing_secret),
		cmocka_unit_test(test_no_contract),
		cmocka_unit_test(test_lakes_that_cannot_be),
		cmocka_unit_test(test_lakes_that_went_away),
		cmocka_unit_test(test_a_signal),
		cmocka_unit_test(test_a_deadline_and_going_on),
		cmocka_unit_test(test_over_the_budget),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
