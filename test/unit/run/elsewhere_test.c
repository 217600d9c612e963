/* What lies outside the interval: fetched or accepted since, never prepared, not accepted yet; what a plan wants of it, what
 * it costs to know, and how people hear of it. */
#include "format/ledger.h"
#include "trips.h"

#define DAY(d, next) "202401" d "T000000Z_202401" next "T000000Z"

static void assert_report(struct world *w, const char *part, bool there)
{
	if (str_contains(world_report(w), str_from(part)) != there)
		fail_msg("\"%s\" in:\n%.*s", part, STR_ARG(world_report(w)));
}

/* Without --from: the last closed window alone. */
static void run_plain(struct world *w)
{
	w->options.request.only = STR("trips");
	world_run_ok(w);
}

static void ingest_again(struct world *w, const char *from, const char *to)
{
	world_stages(w, true, false, false);
	w->options.request.refetch = true;
	w->options.request.only = STR("trips");
	trips_run_days(w, from, to);
}

static struct plan plan_now(struct world *w, bool stale, const char *from, const char *to)
{
	struct plan p;
	struct plan_request q = { .has_from = from != NULL, .has_to = to != NULL, .from = str_from(from), .to = str_from(to),
				  .stale = stale, .ingest = true, .prepare = true, .refine = true, .now_us = w->clock.wall_us };
	world_open_project(w);
	OK(plan_make(&w->project, &q, &w->a, &p, e));
	return p;
}

/* Days 1 to 4, and the 5th, the last closed window, prepared. */
static void begin(struct world *w)
{
	trips_begin(w);
	world_at(w, "2024-01-06T06:00:00Z");
	world_answers(w, "/trips?day=2024-01-05", "{\"id\":51,\"place\":\"a\",\"n\":9}");
	trips_run_days(w, "2024-01-01", "2024-01-06");
}

/* ── fetched again elsewhere ── */

static const char new_day2[] = "{\"id\":21,\"place\":\"a\",\"n\":33},{\"id\":22,\"place\":\"b\",\"n\":4}";

static void test_the_next_run_prepares_a_refetch(void **state)
{
	struct world w;
	(void)state;
	for (int stale = 0; stale < 2; stale++) {
		begin(&w);
		world_answers(&w, "/trips?day=2024-01-02", new_day2);
		ingest_again(&w, "2024-01-02", "2024-01-03");
		struct plan p = plan_now(&w, stale, NULL, NULL);
		assert_true(p.anything);
		assert_int_equal(p.resources[0].n_windows, 2);
		assert_int_equal(p.resources[0].n_prepare, 1);
		assert_int_equal(p.resources[0].n_fetch, 0);
		assert_text(p.resources[0].note, "0 of 2 windows to fetch, 1 to prepare");
		w.options.request.stale = stale;
		run_plain(&w);
		assert_int_equal(world_requests(&w), 0);
		assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:33 22:4 31:5 32:6 41:7 42:8 51:9");
		w.options.request.stale = stale;
		run_plain(&w);
		assert_true(w.r.nothing_to_do);
		assert_int_equal(world_resource(&w, "trips")->n_stale_elsewhere, 0);
		world_end(&w);
	}
}

/* Also where the bytes came again as they were: the tags name what Raw calls the truth. */
static void test_a_refetch_with_the_same_content(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	ingest_again(&w, "2024-01-02", "2024-01-03");
	run_plain(&w);
	assert_int_equal(w.r.peak_rss_engine_bytes, 0);
	struct table_snapshot t = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(table_find_window(&t, STR(DAY("02", "03")))->generation, 2);
	run_plain(&w);
	assert_true(w.r.nothing_to_do);
	world_end(&w);
}

/* An interval that was named is all that is touched; the rest is told. So with --refetch: it is not asked for. */
static void test_a_named_interval_reports_only(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_answers(&w, "/trips?day=2024-01-02", new_day2);
	ingest_again(&w, "2024-01-02", "2024-01-03");
	w.options.request.only = STR("trips");
	trips_run_days(&w, "2024-01-04", "2024-01-06");
	assert_int_equal(world_resource(&w, "trips")->n_windows, 2);
	assert_int_equal(world_resource(&w, "trips")->n_stale_elsewhere, 1);
	assert_report(&w, "trips: outside this interval 1 window is stale: `sluice run --stale`", true);
	assert_true(str_contains(run_record_json(&w.r, &w.a), STR("\"stale_elsewhere\":1,\"unprepared_elsewhere\":0")));
	w.options.request.refetch = true;
	run_plain(&w);
	assert_int_equal(world_requests(&w), 1);
	assert_int_equal(world_resource(&w, "trips")->n_stale_elsewhere, 1);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4 31:5 32:6 41:7 42:8 51:9");
	w.options.request.stale = true;
	trips_run_days(&w, "2024-01-04", "2024-01-06");
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:33 22:4 31:5 32:6 41:7 42:8 51:9");
	assert_report(&w, "outside this interval", false);
	world_end(&w);
}

/* ── candidates ── */

struct counting {
	struct store store;
	struct store *inner;
	unsigned ledgers;
};

static bool pass_get(struct store *s, struct str key, uint64_t offset, uint64_t max, struct arena *a, struct str *out,
		     struct err *e)
{
	struct counting *c = (struct counting *)s;
	return c->inner->ops->get(c->inner, key, offset, max, a, out, e);
}

static bool count_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct counting *c = (struct counting *)s;
	c->ledgers += str_contains(folder, STR("/ledger"));
	return c->inner->ops->list(c->inner, folder, a, out, e);
}

/* How many ledgers a plan looks at; each costs a listing. */
static unsigned ledgers_of_a_plan(struct world *w)
{
	struct plan p;
	struct plan_request q = { .ingest = true, .prepare = true, .refine = true, .now_us = w->clock.wall_us };
	world_open_project(w);
	struct counting c = { .inner = w->project.store };
	struct store_ops ops = *c.inner->ops;
	ops.get = pass_get;
	ops.list = ops.list_names = count_list;
	c.store = *c.inner;
	c.store.ops = &ops;
	w->project.store = &c.store;
	OK(plan_make(&w->project, &q, &w->a, &p, e));
	w->project.store = c.inner;
	return c.ledgers;
}

static void test_a_candidate_elsewhere_waits(void **state)
{
	static const char count[] = "SELECT CAST(count(*) AS VARCHAR) FROM prepare.trips";
	struct world w;
	struct ledger l;
	(void)state;
	trips_begin(&w);
	world_at(&w, "2024-01-06T06:00:00Z");
	world_answers(&w, "/trips?day=2024-01-05", "{\"id\":51,\"place\":\"a\",\"n\":9}");
	world_answers(&w, "/trips?day=2024-01-02", trips_many(&w, 120));
	trips_run_days(&w, "2024-01-01", "2024-01-06");
	assert_text(world_sql(&w, count), "127");
	unsigned before = ledgers_of_a_plan(&w);
	world_answers(&w, "/trips?day=2024-01-02", trips_many(&w, 50));
	w.options.request.refetch = true;
	w.options.request.only = STR("trips");
	trips_days(&w, "2024-01-02", "2024-01-03");
	world_run_fails(&w, ERR_SHRUNK, "50 against 120");
	assert_int_equal(w.r.resources[0].candidates, 1);
	assert_true(ledgers_of_a_plan(&w) <= before + 1);
	for (int stale = 0; stale < 2; stale++) {
		struct plan p = plan_now(&w, stale, NULL, NULL);
		assert_int_equal(p.resources[0].n_prepare, 0);
		assert_int_equal(p.resources[0].n_windows, 1);
		assert_int_equal(p.resources[0].n_stale_elsewhere, 0);
	}
	/* waiting is no "nothing to do", and the record counts it */
	trips_days(&w, "2024-01-02", "2024-01-03");
	w.options.request.only = STR("trips");
	world_run_fails(&w, ERR_SHRUNK, "waits for your word");
	assert_int_equal(w.r.resources[0].candidates, 1);
	assert_false(w.r.nothing_to_do);
	OK(ledger_open(w.project.store, w.project.clock, STR("raw/test/trips/" DAY("02", "03") "/g2"), STR("accept"), &w.a, &l,
		       e));
	OK(ledger_accept(&l, STR("looks right"), e));
	run_plain(&w); /* as the help of accept has it */
	assert_text(world_sql(&w, count), "57");
	assert_int_equal(ledgers_of_a_plan(&w), before);
	world_end(&w);
}

/* ── sealed and never prepared ── */

static const char trips_strict[] =
	CONTRACT_HEAD("trips")
	"    properties:\n"
	"      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}\n"
	"      - {name: place, logicalType: string, required: true}\n"
	TRIPS_N;

static void test_a_window_left_behind_is_told(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_file(&w, "contracts/trips.yaml", trips_strict);
	w.options.request.stale = true;
	run_plain(&w);
	world_at(&w, "2024-01-07T06:00:00Z");
	world_answers(&w, "/trips?day=2024-01-06", "{\"id\":61,\"place\":\"a\",\"n\":1000}");
	w.options.request.only = STR("trips");
	world_run_fails(&w, ERR_CONTRACT, "1 of 1 records would be set aside");
	assert_true(str_contains(str_from(err_hint_text(&w.err)), STR("`sluice run --stale`")));
	assert_false(str_contains(str_from(err_hint_text(&w.err)), STR("--quarantine")));
	const struct run_table *t = world_table(&w, ZONE_PREPARE, "trips"); /* the version before still stands */
	assert_int_equal(t->rows, 9);
	assert_int_equal(t->version, world_snapshot(&w, ZONE_PREPARE, "trips").version);
	assert_true(t->files > 0 && t->size_bytes > 0);
	world_at(&w, "2024-01-08T06:00:00Z");
	world_answers(&w, "/trips?day=2024-01-07", "{\"id\":71,\"place\":\"a\",\"n\":1}");
	run_plain(&w);
	assert_int_equal(world_resource(&w, "trips")->n_unprepared_elsewhere, 1);
	assert_report(&w, "trips: outside this interval 1 window is sealed and not prepared: `sluice run --stale`", true);
	world_answers(&w, "/trips?day=2024-01-06", "{\"id\":61,\"place\":\"a\",\"n\":10}");
	ingest_again(&w, "2024-01-06", "2024-01-07");
	run_plain(&w); /* still told: no table has had it */
	assert_int_equal(world_resource(&w, "trips")->n_unprepared_elsewhere, 1);
	w.options.request.stale = true;
	run_plain(&w);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4 31:5 32:6 41:7 42:8 51:9 61:10 71:1");
	assert_report(&w, "outside this interval", false);
	world_end(&w);
}

/* A window that is taken in and breaks the contract is told on each run; what the interval wants goes its way. */
static void test_what_is_taken_in_holds_nothing_up(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_file(&w, "contracts/trips.yaml", trips_strict);
	w.options.request.stale = true;
	run_plain(&w);
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":1000}");
	ingest_again(&w, "2024-01-02", "2024-01-03");
	world_at(&w, "2024-01-07T06:00:00Z");
	world_answers(&w, "/trips?day=2024-01-06", "{\"id\":61,\"place\":\"a\",\"n\":10}");
	for (int again = 0; again < 2; again++) {
		w.options.request.only = STR("trips");
		world_run_fails(&w, ERR_CONTRACT, "windows outside the interval");
		assert_true(str_contains(str_from(err_hint_text(&w.err)), STR("`sluice run --stale`")));
		assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4 31:5 32:6 41:7 42:8 51:9 61:10");
		assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->err.code, ERR_NONE);
		assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->changed, !again);
		assert_false(w.r.nothing_to_do);
		assert_report(&w, "trips: outside this interval 1 window is stale: `sluice run --stale`", true);
	}
	world_file(&w, "contracts/trips.yaml", trips_contract);
	w.options.request.stale = true;
	run_plain(&w);
	assert_int_equal(world_resource(&w, "trips")->n_stale_elsewhere, 0);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 31:5 32:6 41:7 42:8 51:9 61:10");
	world_end(&w);
}

/* What was begun elsewhere and never sealed is not prepared because there is nothing to prepare. */
static void test_an_unsealed_window_elsewhere(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_at(&w, "2024-01-09T06:00:00Z");
	world_refuses(&w, "/trips?day=2024-01-06");
	w.options.request.only = STR("trips");
	trips_days(&w, "2024-01-06", "2024-01-07");
	world_run_fails(&w, ERR_HTTP_STATUS, "404");
	world_answers(&w, "/trips?day=2024-01-08", "{\"id\":81,\"place\":\"a\",\"n\":1}");
	run_plain(&w);
	assert_int_equal(world_resource(&w, "trips")->n_unprepared_elsewhere, 0);
	assert_report(&w, "outside this interval", false);
	world_end(&w);
}

/* ── prepare --stale: what is there, whatever the newest closed window says ── */

static void prepare_stale(struct world *w)
{
	world_stages(w, false, true, false);
	w->options.request.stale = true;
	world_run_ok(w);
}

static void test_prepare_stale_takes_what_is_there(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_at(&w, "2024-01-08T06:00:00Z"); /* two days nobody fetched */
	prepare_stale(&w);
	assert_true(w.r.nothing_to_do);
	world_file(&w, "contracts/trips.yaml", TRIPS_COLUMNS(TRIPS_N "      - {name: tip, logicalType: integer}\n"));
	world_file(&w, "contracts/places.yaml", CONTRACT_HEAD("places") "    properties:\n"
		   "      - {name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n");
	prepare_stale(&w);
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->rows_written, 9);
	assert_int_equal(world_table(&w, ZONE_PREPARE, "places")->rows_written, 2);
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "places").schema.n,
			 world_snapshot(&w, ZONE_PREPARE, "trips").schema.n - 3);
	/* without --stale, or with an interval, what is wanted and not there is missed as before */
	world_stages(&w, false, true, false);
	world_run_fails(&w, ERR_MISSING, "1 of 1 wanted window not sealed");
	world_stages(&w, false, true, false);
	w.options.request.stale = true;
	trips_days(&w, "2024-01-05", "2024-01-08");
	world_run_fails(&w, ERR_MISSING, "wanted windows not sealed");
	world_end(&w);
}

/* ── words ── */

static void test_words(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	struct plan p = plan_now(&w, false, "2024-01-01", "2024-01-05");
	for (size_t i = 0; i < p.n_models; i++)
		assert_text(p.models[i].reason, "never made");
	trips_run_days(&w, "2024-01-01", "2024-01-05");
	assert_true(str_contains(run_record_json(&w.r, &w.a), STR("\"command\":\"run\"")));
	/* not asked for is not asked for, whatever is there */
	w.options.request.only = STR("trips");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_text(world_resource(&w, "places")->note, "not asked for (--only)");
	/* a day again: why more was read than it has */
	world_answers(&w, "/trips?day=2024-01-02", new_day2);
	w.options.request.refetch = true;
	w.options.request.only = STR("trips");
	trips_run_days(&w, "2024-01-02", "2024-01-03");
	assert_int_equal(world_table(&w, ZONE_PREPARE, "trips")->loss.read, 8);
	assert_report(&w, "1 window, and 3 more that share its files", true);
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"b\",\"n\":6}");
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"b\",\"n\":6}");
	w.options.request.refetch = true;
	w.options.request.only = STR("trips");
	trips_run_days(&w, "2024-01-01", "2024-01-03");
	assert_report(&w, "2 windows, and 2 more that share their files", true);
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"b\",\"n\":7}");
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"b\",\"n\":7}");
	world_answers(&w, "/trips?day=2024-01-03", "{\"id\":31,\"place\":\"b\",\"n\":7}");
	w.options.request.refetch = true;
	w.options.request.only = STR("trips");
	trips_run_days(&w, "2024-01-01", "2024-01-04");
	assert_report(&w, "3 windows, and 1 more that shares their files", true);
	assert_text(plan_now(&w, false, "2024-01-02", "2024-01-03").resources[0].note, "nothing to do: 1 window is sealed and prepared");
	/* asked for in another way: the advice names the resource */
	world_file(&w, "pipeline.yaml", trips_pipeline);
	char *text = arena_zero_terminated(&w.a, str_from(trips_pipeline));
	memcpy(strstr(text, "{day: '{w"), "{dax: '{w", 9);
	world_file(&w, "pipeline.yaml", text);
	p = plan_now(&w, false, "2024-01-01", "2024-01-05");
	assert_true(str_contains(p.resources[0].note, STR("`sluice run --only trips --refetch` asks again")));
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_next_run_prepares_a_refetch),
		cmocka_unit_test(test_a_refetch_with_the_same_content),
		cmocka_unit_test(test_a_named_interval_reports_only),
		cmocka_unit_test(test_a_candidate_elsewhere_waits),
		cmocka_unit_test(test_a_window_left_behind_is_told),
		cmocka_unit_test(test_what_is_taken_in_holds_nothing_up),
		cmocka_unit_test(test_an_unsealed_window_elsewhere),
		cmocka_unit_test(test_prepare_stale_takes_what_is_there),
		cmocka_unit_test(test_words),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
