/* Whole runs: what is fetched, published, made again and left alone, and how a run ends. */
#include "run/missed.h"
#include "trips.h"

static void refetch_day(struct world *w, const char *from, const char *to)
{
	w->options.request.refetch = true;
	w->options.request.only = STR("trips");
	trips_run_days(w, from, to);
}

static void assert_note(const struct run_table *t, const char *part)
{
	assert_non_null(t);
	if (!str_contains(t->note, str_from(part)))
		fail_msg("%.*s: %.*s", STR_ARG(t->name), STR_ARG(t->note));
}

/* ── the whole way, and nothing to do ── */

static void test_the_whole_way_and_again(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_int_equal(world_requests(&w), 5);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4 31:5 32:6 41:7 42:8");
	assert_text(world_sql(&w, "SELECT place || ':' || name || ':' || trips FROM refine.by_place ORDER BY 1"), "a:Aa:6 b:Bb:2");
	assert_text(world_sql(&w, "SELECT place FROM refine.a_busiest"), "a");
	assert_int_equal(w.r.n_tables, 4);
	assert_text(w.r.tables[2].name, "by_place"); /* before the one that reads it */
	assert_text(w.r.tables[3].name, "a_busiest");
	const struct run_table *t = world_table(&w, ZONE_PREPARE, "trips");
	assert_true(t->changed);
	assert_int_equal(t->loss.read, 8);
	assert_int_equal(t->rows, 8);
	assert_int_equal(t->version, 0);
	struct str before = world_files(&w, "");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_int_equal(world_requests(&w), 0);
	assert_true(w.r.nothing_to_do);
	assert_int_equal(w.r.peak_rss_engine_bytes, 0); /* no engine either */
	for (size_t i = 0; i < w.r.n_tables; i++)
		assert_false(w.r.tables[i].changed);
	assert_note(world_table(&w, ZONE_PREPARE, "trips"), "nothing to do");
	assert_note(world_table(&w, ZONE_REFINE, "a_busiest"), "nothing that it reads changed");
	assert_true(str_eq(before, world_files(&w, "")));
	world_end(&w);
}

struct counting {
	struct store store;
	struct store *inner;
	unsigned ledgers, gets, lists;
};

static bool count_get(struct store *s, struct str key, uint64_t offset, uint64_t max, struct arena *a, struct str *out,
		      struct err *e)
{
	struct counting *c = (struct counting *)s;
	c->gets++;
	c->ledgers += str_contains(key, STR("/ledger/"));
	return c->inner->ops->get(c->inner, key, offset, max, a, out, e);
}

static bool count_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct counting *c = (struct counting *)s;
	c->lists++;
	c->ledgers += str_contains(folder, STR("/ledger"));
	return c->inner->ops->list(c->inner, folder, a, out, e);
}

/* A plan of what is prepared reads no ledger but the first entry of each resource's newest window (was it asked for as the
 * pipeline file says now?): a listing per window, the grids and the logs of the tables. */
static void test_what_a_plan_costs(void **state)
{
	struct world w;
	struct plan p;
	(void)state;
	trips_begin(&w);
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	world_open_project(&w);
	struct counting c = { .inner = w.project.store };
	struct store_ops ops = *c.inner->ops;
	ops.get = count_get;
	ops.list = ops.list_names = count_list;
	c.store = *c.inner;
	c.store.ops = &ops;
	w.project.store = &c.store;
	struct plan_request q = { .has_from = true, .from = STR("2024-01-01"), .has_to = true, .to = STR("2024-01-05"),
				  .ingest = true, .prepare = true, .refine = true, .now_us = w.clock.wall_us };
	OK(plan_make(&w.project, &q, &w.a, &p, e));
	w.project.store = c.inner;
	assert_false(p.anything);
	assert_int_equal(c.ledgers, 2);
	assert_int_equal(c.gets, 2 * 2 + 4 + 2); /* two grids and whether they go on, version 0 of four tables, two entries */
	assert_in_range(c.lists, 1, 5 + 2 + 2 + 4); /* windows, resources, grids, logs */
	world_end(&w);
}

/* ── what is written again ── */

static struct str paths(const struct table_snapshot *t, struct arena *a)
{
	struct str text = STR_NONE;
	for (size_t i = 0; i < t->n_files; i++)
		text = arena_format(a, "%.*s%.*s\n", STR_ARG(text), STR_ARG(t->files[i].path));
	return text;
}

static void test_a_day_again_rewrites_only_its_file(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	w.file_rows = 4;
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	struct table_snapshot old = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(old.n_files, 2);
	struct str aside = world_files(&w, "/quarantine/test/trips/data");
	world_answers(&w, "/trips?day=2024-01-02",
		      "{\"id\":21,\"place\":\"a\",\"n\":33},{\"id\":22,\"place\":\"b\",\"n\":4},{\"id\":23,\"place\":\"b\",\"n\":9}");
	refetch_day(&w, "2024-01-02", "2024-01-03");
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:33 22:4 23:9 31:5 32:6 41:7 42:8");
	struct table_snapshot now = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(now.version, 1);
	assert_true(str_contains(paths(&now, &w.a), old.files[1].path)); /* days 3 and 4 stayed where they were */
	assert_false(str_contains(paths(&now, &w.a), old.files[0].path));
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->rows_written, 5); /* day 1 moved with it */
	assert_int_equal(table_find_window(&now, STR("20240102T000000Z_20240103T000000Z"))->generation, 2);
	assert_int_equal(table_find_window(&now, STR("20240101T000000Z_20240102T000000Z"))->generation, 1);
	assert_true(str_starts(world_files(&w, "/quarantine/test/trips/data"), str_sub(aside, 0, 40)));
	assert_text(world_sql(&w, "SELECT DISTINCT CAST(_gen AS VARCHAR) FROM prepare.trips WHERE id IN (21,22,23)"), "2");
	world_end(&w);
}

/* Killed after the folder of a new generation was made and before its claim: it is not there yet, so the next run opens it as
 * if it were the first to think of it, and one name still asks only once. */
static void test_a_folder_is_no_generation(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	world_folder(&w, "raw/test/trips/20240101T000000Z_20240102T000000Z/g2/ledger");
	world_folder(&w, "raw/test/trips/20240103T000000Z_20240104T000000Z/g1/ledger");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_int_equal(world_requests(&w), 0); /* nobody asks for g2 */
	for (int turn = 0; turn < 2; turn++) {
		w.options.request.refetch = true;
		w.options.request.refetch_name = STR("again");
		trips_run_days(&w, "2024-01-01", "2024-01-04");
		/* three days, of which one is new, and a new snapshot; then nothing: these were fetched under that name */
		assert_int_equal(world_requests(&w), turn == 0 ? 4 : 0);
	}
	struct table_snapshot t = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(table_find_window(&t, STR("20240101T000000Z_20240102T000000Z"))->generation, 2);
	assert_int_equal(table_find_window(&t, STR("20240103T000000Z_20240104T000000Z"))->generation, 1);
	world_end(&w);
}

/* How many records a data change in the newest version names. */
static bool data_changes(struct world *w, const char *table)
{
	struct str key, text;
	struct table_snapshot t = world_snapshot(w, ZONE_PREPARE, table);
	key = arena_format(&w->a, "prepare/test/%s/_delta_log/%020d.json", table, (int)t.version);
	OK(store_get(w->project.store, key, 1 << 20, &w->a, &text, e));
	return str_contains(text, STR("\"dataChange\":true"));
}

static void test_same_content_changes_tags_only(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	struct str data = world_files(&w, "/prepare/test/trips/data"), refined = world_files(&w, "/refine");
	w.options.request.refetch = true;
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_int_equal(world_requests(&w), 5);
	assert_true(str_eq(data, world_files(&w, "/prepare/test/trips/data")));
	assert_true(str_eq(refined, world_files(&w, "/refine")));
	assert_false(world_table(&w, ZONE_PREPARE, "trips")->changed);
	assert_note(world_table(&w, ZONE_PREPARE, "trips"), "4 windows came again with the same content");
	assert_false(data_changes(&w, "trips"));
	struct table_snapshot t = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(t.version, 1);
	assert_int_equal(t.windows[0]->generation, 2);
	struct str all = world_files(&w, "");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_true(w.r.nothing_to_do);
	assert_true(str_eq(all, world_files(&w, "")));
	world_end(&w);
}

static void test_quarantine_comes_and_goes(void **state)
{
	static const char aside[] = "SELECT _window[7:8] || ':' || json_extract_string(_raw, '$.id') FROM quarantine.trips ORDER BY 1";
	struct world w;
	(void)state;
	trips_begin(&w);
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":101},{\"id\":12,\"place\":\"b\",\"n\":2}");
	world_answers(&w, "/trips?day=2024-01-03", "{\"id\":31,\"place\":\"a\",\"n\":5},{\"id\":32,\"place\":\"a\",\"n\":999}");
	w.file_rows = 2; /* one file a day in the table */
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_text(world_sql(&w, aside), "01:11 03:32");
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->loss.quarantined, 2);
	struct table_snapshot q = world_snapshot(&w, ZONE_QUARANTINE, "trips");
	/* a day that has nothing there: only its tag moves */
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":3},{\"id\":22,\"place\":\"b\",\"n\":44}");
	refetch_day(&w, "2024-01-02", "2024-01-03");
	struct table_snapshot now = world_snapshot(&w, ZONE_QUARANTINE, "trips");
	assert_true(str_contains(paths(&now, &w.a), q.files[0].path));
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->rows_written, 2);
	assert_int_equal(table_find_window(&now, STR("20240102T000000Z_20240103T000000Z"))->generation, 2);
	/* the bad one mended: its row leaves the quarantine, the other day's stays */
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":100},{\"id\":12,\"place\":\"b\",\"n\":2}");
	refetch_day(&w, "2024-01-01", "2024-01-02");
	assert_text(world_sql(&w, aside), "03:32");
	assert_text(world_sql(&w, TRIPS_SQL), "11:100 12:2 21:3 22:44 31:5 41:7 42:8");
	/* a good one broken */
	world_answers(&w, "/trips?day=2024-01-04", "{\"id\":41,\"place\":\"a\",\"n\":700},{\"place\":\"a\",\"n\":8}");
	refetch_day(&w, "2024-01-04", "2024-01-05");
	assert_text(world_sql(&w, "SELECT CAST(count(*) AS VARCHAR) FROM quarantine.trips"), "3");
	now = world_snapshot(&w, ZONE_QUARANTINE, "trips");
	for (size_t i = 0; i < now.n_files; i++) /* tags in time order, each window once */
		for (size_t k = 1; k < now.files[i].n_windows; k++)
			assert_true(str_cmp(now.files[i].windows[k - 1].name, now.files[i].windows[k].name) < 0);
	assert_int_equal(now.by_name.n, 4);
	struct str all = world_files(&w, "");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_true(str_eq(all, world_files(&w, "")));
	world_end(&w);
}

/* A whole table of nothing: the windows are done all the same. */
static void test_windows_without_rows(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	for (int day = 1; day <= 4; day++)
		world_answers(&w, arena_format(&w.a, "/trips?day=2024-01-%02d", day).p, "");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->rows, 0);
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_true(w.r.nothing_to_do);
	world_answers(&w, "/trips?day=2024-01-03", "{\"id\":31,\"place\":\"a\",\"n\":5}");
	refetch_day(&w, "2024-01-03", "2024-01-04");
	assert_text(world_sql(&w, TRIPS_SQL), "31:5");
	world_answers(&w, "/trips?day=2024-01-03", "");
	w.options.request.refetch = true;
	trips_run_days(&w, "2024-01-03", "2024-01-04");
	assert_text(world_sql(&w, TRIPS_SQL), "");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_true(w.r.nothing_to_do);
	world_end(&w);
}

static struct missed missed_of_trips(struct world *w)
{
	static const char *const there[] = { "2024-01-01", "2024-01-02", "2024-01-05", "2024-01-07" };
	struct plan_request q = { .ingest = true, .prepare = true, .now_us = w->clock.wall_us, .run_id = STR("x") };
	struct window sealed[COUNT(there)];
	struct plan p;
	struct missed m;
	world_open_project(w);
	OK(plan_make(&w->project, &q, &w->a, &p, e));
	for (size_t i = 0; i < COUNT(there); i++) {
		int64_t us = 0;
		assert_true(us_from_rfc3339(arena_format(&w->a, "%sT00:00:00Z", there[i]), &us, NULL));
		sealed[i] = (struct window){ us, us + US_PER_DAY };
	}
	for (size_t i = 0; i < p.n_resources; i++)
		if (str_eq_z(p.resources[i].resource->name, "trips"))
			OK(missed_windows(&w->project, &p.resources[i], sealed, COUNT(there), q.now_us, &w->a, &m, e));
	return m;
}

static void test_missed_windows_are_ranges(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_at(&w, "2024-01-10T06:00:00Z");
	struct missed m = missed_of_trips(&w);
	assert_int_equal(m.n, 3);
	assert_text(m.v[0].from, "2024-01-03");
	assert_text(m.v[0].to, "2024-01-05");
	assert_int_equal(m.v[0].n, 2);
	assert_text(m.v[1].from, "2024-01-06");
	assert_text(m.v[1].to, "2024-01-07");
	assert_text(m.v[2].from, "2024-01-08");
	assert_text(m.v[2].to, "2024-01-09"); /* the day before today is what the next run asks for */
	assert_int_equal(m.windows, 4);
	world_end(&w);
}

/* ── snapshots ── */

/* A clock that was ahead gives a snapshot a window that is not over: it is said, and how to get a new one. */
static void test_a_snapshot_of_the_future(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_at(&w, "2030-01-10T06:00:00Z");
	w.options.request.only = STR("places");
	world_run_ok(&w);
	world_at(&w, "2024-01-10T06:00:00Z");
	world_answers(&w, "/places", "{\"id\":\"n\",\"name\":\"New\"}");
	w.options.request.only = STR("places");
	world_run_ok(&w);
	assert_int_equal(world_requests(&w), 0);
	assert_true(str_contains(world_resource(&w, "places")->note, STR("while the clock was ahead (for 2030-01-09T00:00:00Z)")));
	assert_true(str_contains(world_resource(&w, "places")->note, STR("`sluice run --only places --refetch` asks for it again")));
	w.options.request.only = STR("places");
	w.options.request.refetch = true;
	world_run_ok(&w);
	assert_int_equal(world_requests(&w), 1);
	assert_text(world_sql(&w, "SELECT id FROM prepare.places"), "n");
	world_end(&w);
}

static void test_snapshots_replace_each_other(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	w.options.request.only = STR("places");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	struct str data = world_files(&w, "/prepare/test/places/data");
	/* the next day, the same: the table now is of that day, and no file changed */
	w.options.request.only = STR("places");
	trips_run_days(&w, "2024-01-01", "2024-01-04");
	assert_int_equal(world_requests(&w), 1);
	assert_true(str_eq(data, world_files(&w, "/prepare/test/places/data")));
	assert_false(data_changes(&w, "places"));
	struct table_snapshot t = world_snapshot(&w, ZONE_PREPARE, "places");
	assert_int_equal(t.by_name.n, 1);
	assert_text(t.windows[0]->name, "20240103T000000Z_20240104T000000Z");
	/* another content replaces all of it */
	world_answers(&w, "/places", "{\"id\":\"c\",\"name\":\"Cc\"}");
	w.options.request.only = STR("places");
	trips_run_days(&w, "2024-01-01", "2024-01-06");
	assert_text(world_sql(&w, "SELECT id FROM prepare.places"), "c");
	t = world_snapshot(&w, ZONE_PREPARE, "places");
	assert_int_equal(t.by_name.n, 1);
	/* an older one never does */
	world_answers(&w, "/places", "{\"id\":\"old\",\"name\":\"Oo\"}");
	w.options.request.only = STR("places");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_int_equal(world_requests(&w), 0);
	assert_text(world_sql(&w, "SELECT id FROM prepare.places"), "c");
	assert_true(str_contains(world_resource(&w, "places")->note, STR("newer snapshot")));
	/* another type, with the next snapshot: nothing of the old table stays, so it needs no word of yours */
	world_file(&w, "contracts/places.yaml",
		   CONTRACT_HEAD("places") "    properties:\n"
		   "      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}\n");
	world_answers(&w, "/places", "{\"id\":5}");
	w.options.request.only = STR("places");
	trips_run_days(&w, "2024-01-01", "2024-01-08");
	assert_text(world_sql(&w, "SELECT CAST(id + 1 AS VARCHAR) FROM prepare.places"), "6");
	world_end(&w);
}

/* ── contracts change ── */

static struct row_hash hash_of(struct world *w, const char *window)
{
	struct table_snapshot t = world_snapshot(w, ZONE_PREPARE, "trips");
	struct row_hash h;
	uint64_t rows = 0;
	assert_true(table_window_total(&t, str_from(window), &rows, &h));
	return h;
}

static void test_another_contract_makes_windows_stale(void **state)
{
	static const char *const day1 = "20240101T000000Z_20240102T000000Z", *const day4 = "20240104T000000Z_20240105T000000Z";
	struct world w;
	(void)state;
	trips_begin(&w);
	world_answers(&w, "/trips?day=2024-01-04", "{\"id\":41,\"place\":\"a\",\"n\":7,\"tip\":3},{\"id\":42,\"place\":\"a\",\"n\":8}");
	w.file_rows = 2;
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	struct row_hash h1 = hash_of(&w, day1), h4 = hash_of(&w, day4);
	world_file(&w, "contracts/trips.yaml", TRIPS_COLUMNS(TRIPS_N "      - {name: tip, logicalType: integer}\n"));
	trips_run_days(&w, "2024-01-04", "2024-01-05"); /* one day again, the others are reported */
	assert_int_equal(world_requests(&w), 0);
	assert_int_equal(world_resource(&w, "trips")->n_stale_elsewhere, 3);
	assert_true(world_resource(&w, "trips")->contract_changed);
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->rows_written, 2);
	assert_text(world_sql(&w, "SELECT id || ':' || coalesce(CAST(tip AS VARCHAR), '-') FROM prepare.trips ORDER BY id"),
		    "11:- 12:- 21:- 22:- 31:- 32:- 41:3 42:-");
	struct row_hash now = hash_of(&w, day4);
	assert_false(row_hash_eq(&h4, &now));
	w.options.request.stale = true;
	trips_run_days(&w, "2024-01-04", "2024-01-05");
	assert_int_equal(world_requests(&w), 0);
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->rows_written, 6);
	now = hash_of(&w, day1);
	assert_true(row_hash_eq(&h1, &now)); /* a column that a row lacks is not part of its hash */
	w.options.request.stale = true;
	trips_run_days(&w, "2024-01-04", "2024-01-05");
	assert_true(w.r.nothing_to_do);
	assert_int_equal(world_resource(&w, "trips")->n_stale_elsewhere, 0);
	world_end(&w);
}

static void test_another_type_needs_stale(void **state)
{
	static const char *const contracts[] = {
		TRIPS_COLUMNS("      - {name: n, logicalType: string}\n"),
		TRIPS_COLUMNS("      - {name: m, logicalType: integer, customProperties: [{property: sluice.path, value: n}]}\n"),
	};
	struct world w;
	(void)state;
	trips_begin(&w);
	w.file_rows = 2;
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	world_answers(&w, "/trips?day=2024-01-05", "{\"id\":51,\"place\":\"a\",\"n\":1}");
	for (size_t i = 0; i < COUNT(contracts); i++) {
		struct str before = world_files(&w, "/prepare/test/trips/_delta_log");
		world_file(&w, "contracts/trips.yaml", contracts[i]);
		trips_days(&w, "2024-01-04", "2024-01-05");
		world_run_fails(&w, ERR_CONTRACT, i == 0 ? "changes the type of column n" : "drops or renames column n");
		assert_true(str_contains(str_from(w.err.hint), STR("sluice run --stale")));
		assert_true(str_eq(before, world_files(&w, "/prepare/test/trips/_delta_log")));
		w.options.request.stale = true;
		if (i == 0) { /* texts are not numbers: all rows go aside, which the budget of this contract allows */
			trips_run_days(&w, "2024-01-04", "2024-01-05");
			assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->loss.quarantined, 8);
		} else {
			trips_run_days(&w, "2024-01-04", "2024-01-05");
			assert_text(world_sql(&w, "SELECT CAST(sum(m) AS VARCHAR) FROM prepare.trips"), "36");
		}
	}
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_whole_way_and_again),
		cmocka_unit_test(test_what_a_plan_costs),
		cmocka_unit_test(test_a_day_again_rewrites_only_its_file),
		cmocka_unit_test(test_a_folder_is_no_generation),
		cmocka_unit_test(test_same_content_changes_tags_only),
		cmocka_unit_test(test_quarantine_comes_and_goes),
		cmocka_unit_test(test_windows_without_rows),
		cmocka_unit_test(test_missed_windows_are_ranges),
		cmocka_unit_test(test_a_snapshot_of_the_future),
		cmocka_unit_test(test_snapshots_replace_each_other),
		cmocka_unit_test(test_another_contract_makes_windows_stale),
		cmocka_unit_test(test_another_type_needs_stale),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
