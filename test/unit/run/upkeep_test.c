/* What runs do behind their commits: states and checkpoints, of which none can fail a run. */
#include "trips.h"


static void day(struct world *w, int version)
{
	world_answers(w, "/trips?day=2024-01-01", arena_format(&w->a, "{\"id\":11,\"place\":\"a\",\"n\":%d}", version).p);
	w->options.request.refetch = true;
	w->options.request.only = STR("trips");
	trips_days(w, "2024-01-01", "2024-01-02");
	world_run_ok(w);
}

/* Versions that change nothing, up to `version`, so that the next run makes the one behind it. */
static void fill(struct world *w, enum lake_zone zone, int64_t version)
{
	struct table_snapshot t = world_snapshot(w, zone, "trips");
	struct str key = project_table_key(&w->project, zone, STR("trips"), &w->a);
	struct sha256 previous = t.last_hash;
	for (int64_t v = t.version + 1; v <= version; v++) {
		enum table_outcome outcome;
		struct table_commit c = { .version = v, .operation = STR("nothing"), .run_id = STR("r"), .previous = previous,
					  .nonce = arena_format(&w->a, "%032d", (int)v), .time_us = t.last_commit_us };
		previous = sha256_of(table_commit_encode(&c, &w->a));
		OK(table_commit_write(w->project.store, key, &c, &w->a, &outcome, e));
		assert_int_equal(outcome, TABLE_COMMITTED);
	}
}

static void fill_both(struct world *w, int64_t version)
{
	fill(w, ZONE_PREPARE, version);
	fill(w, ZONE_QUARANTINE, version);
}

static bool has(struct world *w, const char *key)
{
	uint64_t size = 0;
	struct err e = ERR_INIT;
	return store_size(w->project.store, str_from(key), &size, &e) && size > 0;
}

#define LOG "prepare/test/trips/_delta_log/"

static struct str file_sql(struct world *w, const char *key, struct str sql)
{
	struct lake_query q = { 0 };
	struct batch_shape *shape = NULL;
	size_t n = 0;
	struct text_of_rows t = { &w->a, STR_NONE };
	const char *file = arena_format(&w->a, "%.*s/%s", STR_ARG(w->lake), key).p;
	OK(lake_query_open_files(&w->project, &file, 1, &w->a, &q, e));
	OK(lake_query_run(&q, sql, &w->a, &shape, &n, take_text, &t, e));
	lake_query_close(&q);
	return t.text;
}

static void test_states_and_checkpoints(void **state)
{
	struct world w;
	struct str hint;
	(void)state;
	trips_begin(&w);
	/* Things in the way, of the other table: nothing of it can be written, and the run is fine. */
	world_file(&w, "lake/quarantine/test/trips/_delta_log/_last_checkpoint/x", "a folder");
	world_file(&w, "lake/quarantine/test/trips/state", "a file");
	day(&w, 1);
	fill_both(&w, 19);
	day(&w, 2);
	assert_true(has(&w, "prepare/test/trips/state/00000000000000000020.json"));
	fill_both(&w, 38);
	w.clock.wall_us += 8 * US_PER_DAY;
	day(&w, 3);
	day(&w, 4);
	fill_both(&w, 49);
	day(&w, 5);
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, 50);
	assert_true(has(&w, "prepare/test/trips/state/00000000000000000040.json"));
	assert_false(has(&w, "prepare/test/trips/state/00000000000000000039.json"));
	assert_true(has(&w, LOG "00000000000000000050.checkpoint.parquet"));
	assert_int_equal(world_snapshot(&w, ZONE_QUARANTINE, "trips").version, 50);
	OK(store_get(w.project.store, STR(LOG "_last_checkpoint"), 1000, &w.a, &hint, e));
	assert_true(str_starts(hint, STR("{\"version\":50,\"size\":")));
	/* Files that were removed in the last week stand in the checkpoint: those of the last three runs. */
	struct str sql = arena_format(&w.a, "SELECT string_agg(CAST(n AS VARCHAR), ' ') FROM (SELECT unnest([count(\"add\"), "
				      "count(remove), count(\"metaData\"), count(protocol), count(txn)]) AS n FROM "
				      "read_parquet('%.*s/" LOG "00000000000000000050.checkpoint.parquet'))", STR_ARG(w.lake));
	assert_text(file_sql(&w, LOG "00000000000000000050.checkpoint.parquet", sql), "1 3 1 1 0");
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_and_checkpoints),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
