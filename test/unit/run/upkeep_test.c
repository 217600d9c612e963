/* What runs do behind their commits: states and checkpoints, of which none can fail a run. */
#include "trips.h"

#include "run/collect.h"

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

/* ── old states go ── */

struct gone {
	struct world *w;
	struct str keys; /* of states, a space between two */
};

static void take_item(void *user, const struct garbage *g)
{
	struct gone *x = user;
	if (g->class == GARBAGE_STATE)
		x->keys = arena_format(&x->w->a, "%.*s%s%.*s", STR_ARG(x->keys), x->keys.n ? " " : "", STR_ARG(g->key));
}

static void take_left(void *user, struct str key, struct str why, bool damaged)
{
	(void)user;
	(void)damaged;
	fail_msg("%.*s: %.*s", STR_ARG(key), STR_ARG(why));
}

static struct str collect(struct world *w, uint64_t keep_versions, bool remove)
{
	struct gone gone = { .w = w };
	struct collect_counts counts = { 0 };
	struct collect_options o = { .remove = remove, .keep_versions = keep_versions, .run_id = STR("gc"), .item = take_item,
				     .left = take_left, .user = &gone, .only = STR("trips") };
	OK(collect_lake(&w->project, &o, &counts, e));
	return gone.keys;
}

#define STATE(zone, n) #zone "/test/trips/state/000000000000000000" #n ".json"

static void test_old_states_are_collected(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	day(&w, 1);
	for (int version = 20; version <= 100; version += 20) {
		fill_both(&w, version - 1);
		day(&w, version);
	}
	w.clock.wall_us += 30 * US_PER_DAY;
	world_open_project(&w);
	struct table_snapshot before = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(before.version, 100);
	assert_text(collect(&w, 90, false), ""); /* the oldest kept is read from the first */
	assert_text(collect(&w, 50, false), STATE(prepare, 20) " " STATE(quarantine, 20)); /* 51: from 40 */
	assert_text(collect(&w, 1, false), STATE(prepare, 20) " " STATE(prepare, 40) " " STATE(quarantine, 20) " " STATE(quarantine, 40));
	assert_true(has(&w, STATE(prepare, 20)));
	assert_text(collect(&w, 50, true), STATE(prepare, 20) " " STATE(quarantine, 20));
	assert_false(has(&w, STATE(prepare, 20)));
	assert_true(has(&w, STATE(prepare, 40)));
	assert_text(collect(&w, 1, true), STATE(prepare, 40) " " STATE(quarantine, 40));
	assert_text(collect(&w, 1, true), "");
	struct table_snapshot after = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_true(after.version == 100 && sha256_eq(after.last_hash, before.last_hash) && after.bad_state.n == 0);
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_and_checkpoints),
		cmocka_unit_test(test_old_states_are_collected),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
