/* What a plan wants of a lake: intervals, look-back, windows asked for again. No engine is needed. */
#include "lake_world.h"

static const char pipeline[] =
	"pipeline: test\n"
	"lake: ./lake\n"
	"schedule: {cron: '0 5 * * *', window: 1d}\n"
	"source: {url: 'https://api.example', retry: {attempts: 1}}\n"
	"resources:\n"
	"  trips:\n"
	"    path: /trips\n"
	"    kind: window\n"
	"    window: {every: 1d, zone: America/New_York, lookback: 2d}\n"
	"    query: {day: '{window.from:date}'}\n"
	"    records: data\n"
	"  hours:\n"
	"    path: /hours\n"
	"    kind: window\n"
	"    window: {every: 6h, settle: 2h}\n"
	"    query: {from: '{window.from:datetime}'}\n"
	"    records: data\n"
	"  places: {path: /places, kind: snapshot, records: data}\n";

static void begin(struct world *w)
{
	world_begin(w, pipeline);
	world_answers(w, "/trips?*", "{\"id\":1}");
	world_answers(w, "/hours?*", "{\"id\":1}");
	world_answers(w, "/places*", "{\"id\":1}");
}

static struct plan plan_of(struct world *w, const struct plan_request *q)
{
	struct plan p;
	struct plan_request r = *q;
	r.ingest = r.prepare = r.refine = true;
	r.now_us = w->clock.wall_us;
	world_open_project(w);
	OK(plan_make(&w->project, &r, &w->a, &p, e));
	return p;
}

static const struct plan_resource *resource_of(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->n_resources; i++)
		if (str_eq_z(p->resources[i].resource->name, name))
			return &p->resources[i];
	fail_msg("no resource %s", name);
	return NULL;
}

/* "fetch fetch sealed": what is to be done with each window, in order. */
static struct str actions(const struct plan_resource *r, struct arena *a)
{
	struct str text = STR_NONE;
	for (size_t i = 0; i < r->n_windows; i++)
		text = arena_format(a, "%.*s%s%s", STR_ARG(text), i ? " " : "", window_action_name(r->windows[i].action));
	return text;
}

/* ── intervals ── */

static const struct interval_case {
	const char *now, *from, *to, *resource;
	size_t n;
	const char *first, *last, *actions;
} interval_cases[] = {
	{ "2024-01-10T06:00:00Z", NULL, NULL, "trips", 3, "20240107T050000Z_20240108T050000Z",
	  "20240109T050000Z_20240110T050000Z", "fetch fetch fetch" },
	{ "2024-01-10T06:00:00Z", NULL, NULL, "places", 1, "20240109T000000Z_20240110T000000Z",
	  "20240109T000000Z_20240110T000000Z", "fetch" },
	{ "2024-01-10T06:00:00Z", NULL, NULL, "hours", 1, "20240109T180000Z_20240110T000000Z",
	  "20240109T180000Z_20240110T000000Z", "fetch" },
	/* over, but not for `settle` yet; the very instant does not count as later */
	{ "2024-01-10T08:00:00Z", NULL, NULL, "hours", 1, "20240109T180000Z_20240110T000000Z",
	  "20240109T180000Z_20240110T000000Z", "fetch" },
	{ "2024-01-10T08:00:00.000001Z", NULL, NULL, "hours", 1, "20240110T000000Z_20240110T060000Z",
	  "20240110T000000Z_20240110T060000Z", "fetch" },
	{ "2024-01-10T05:00:00Z", NULL, NULL, "trips", 3, "20240106T050000Z_20240107T050000Z",
	  "20240108T050000Z_20240109T050000Z", "fetch fetch fetch" },
	/* a bare date is midnight where the resource lives */
	{ "2024-01-10T06:00:00Z", "2024-01-01", "2024-01-04", "trips", 3, "20240101T050000Z_20240102T050000Z",
	  "20240103T050000Z_20240104T050000Z", "fetch fetch fetch" },
	{ "2024-01-10T06:00:00Z", "2024-01-01", "2024-01-02", "hours", 4, "20240101T000000Z_20240101T060000Z",
	  "20240101T180000Z_20240102T000000Z", "fetch fetch fetch fetch" },
	{ "2024-01-10T06:00:00Z", "2024-01-01", "2024-01-04", "places", 1, "20240103T000000Z_20240104T000000Z",
	  "20240103T000000Z_20240104T000000Z", "fetch" },
	/* an instant is an instant: windows whose end lies in (from, to] */
	{ "2024-01-10T06:00:00Z", "2024-01-01T05:00:00Z", "2024-01-02T05:00:00Z", "trips", 1,
	  "20240101T050000Z_20240102T050000Z", "20240101T050000Z_20240102T050000Z", "fetch" },
	{ "2024-01-10T06:00:00Z", "2024-01-01T05:00:01Z", "2024-01-02T04:59:59Z", "trips", 0, "", "", "" },
	{ "2024-01-10T06:00:00Z", "2024-01-01T00:00:00-05:00", "2024-01-02T05:00:00+00:00", "trips", 1,
	  "20240101T050000Z_20240102T050000Z", "20240101T050000Z_20240102T050000Z", "fetch" },
	/* without --to: until now; beyond now: not over yet */
	{ "2024-01-10T06:00:00Z", "2024-01-09", NULL, "trips", 1, "20240109T050000Z_20240110T050000Z",
	  "20240109T050000Z_20240110T050000Z", "fetch" },
	{ "2024-01-10T06:00:00Z", "2024-01-09", "2024-01-12", "trips", 3, "20240109T050000Z_20240110T050000Z",
	  "20240111T050000Z_20240112T050000Z", "fetch not-final not-final" },
	{ "2024-01-10T06:00:00Z", "2024-01-09", "2024-01-12", "places", 1, "20240109T000000Z_20240110T000000Z",
	  "20240109T000000Z_20240110T000000Z", "fetch" },
	{ "2024-01-10T07:00:00Z", "2024-01-09T23:00:00Z", "2024-01-10T07:00:00Z", "hours", 2,
	  "20240109T180000Z_20240110T000000Z", "20240110T000000Z_20240110T060000Z", "fetch not-final" },
	/* days of 23 and 25 hours */
	{ "2024-12-01T00:00:00Z", "2024-03-10", "2024-03-11", "trips", 1, "20240310T050000Z_20240311T040000Z",
	  "20240310T050000Z_20240311T040000Z", "fetch" },
	{ "2024-12-01T00:00:00Z", "2024-11-03", "2024-11-04", "trips", 1, "20241103T040000Z_20241104T050000Z",
	  "20241103T040000Z_20241104T050000Z", "fetch" },
};

static void test_intervals(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(interval_cases); i++) {
		const struct interval_case *c = &interval_cases[i];
		struct world w;
		struct plan_request q = { .has_from = c->from, .has_to = c->to, .from = str_from(c->from), .to = str_from(c->to) };
		begin(&w);
		world_at(&w, c->now);
		struct plan p = plan_of(&w, &q);
		const struct plan_resource *r = resource_of(&p, c->resource);
		if (r->n_windows != c->n)
			fail_msg("case %zu: %zu windows", i, r->n_windows);
		if (c->n > 0) {
			assert_text(r->windows[0].name, c->first);
			assert_text(r->windows[c->n - 1].name, c->last);
		}
		assert_text(actions(r, &w.a), c->actions);
		world_end(&w);
	}
}

static const struct bad_case {
	const char *from, *to, *only, *message;
} bad_cases[] = {
	{ NULL, "2024-01-02", "", "--to needs --from" },
	{ "yesterday", NULL, "", "--from yesterday: a date" },
	{ "2024-02-30", NULL, "", "--from 2024-02-30: a date" },
	{ "2024-01-01", "2024-01-01T25:00:00Z", "", "--to 2024-01-01T25:00:00Z" },
	{ "2024-01-02", "2024-01-01", "", "--to is not later than --from" },
	{ "2024-01-02", "2024-01-02", "", "--to is not later than --from" },
	{ "2024-02-02", NULL, "", "--to is not later than --from" }, /* and to is now */
	{ "1900-01-01", NULL, "", "hours" },                          /* more windows than anybody means */
	{ NULL, NULL, "trips,trip", "--only trip:" },
};

static void test_bad_requests(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_open_project(&w);
	for (size_t i = 0; i < COUNT(bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		struct plan_request q = { .has_from = c->from, .has_to = c->to, .from = str_from(c->from), .to = str_from(c->to),
					  .only = str_from(c->only), .ingest = true, .now_us = w.clock.wall_us };
		struct plan p;
		struct err e = ERR_INIT;
		assert_false(plan_make(&w.project, &q, &w.a, &p, &e));
		assert_int_equal(e.code, ERR_USAGE);
		if (!str_contains(str_from(e.message), str_from(c->message)))
			fail_msg("case %zu: %s", i, e.message);
	}
	world_end(&w);
}

/* ── asked again ── */

static void run_ingest_only(struct world *w, const char *only, const char *refetch)
{
	world_stages(w, true, false, false);
	w->options.request.only = str_from(only);
	w->options.request.refetch = refetch != NULL;
	w->options.request.refetch_name = str_from(refetch);
	world_run_ok(w);
}

static void test_lookback_asks_once_per_interval(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 3); /* never fetched: not a look-back */
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 0);
	assert_true(w.r.nothing_to_do);
	assert_text(world_resource(&w, "trips")->note,
		    "nothing to do: 3 windows are sealed; there is no contract, so nothing is prepared");
	world_at(&w, "2024-01-11T06:00:00Z");
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 3);
	assert_text(world_resource(&w, "trips")->windows[0].reason, "lookback");
	assert_int_equal(world_resource(&w, "trips")->windows[0].promoted, 2);
	assert_int_equal(world_resource(&w, "trips")->windows[2].promoted, 1);
	world_at(&w, "2024-01-11T23:00:00Z"); /* the same interval, later that day */
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 0);
	world_interval(&w, "2024-01-01", "2024-01-11"); /* an explicit interval looks at nothing twice */
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 6);
	world_end(&w);
}

static void test_refetch_once_per_name(void **state)
{
	static const struct {
		const char *name;
		unsigned requests;
	} runs[] = { { "a", 3 }, { "a", 0 }, { "b", 3 }, { "a", 0 }, { "b", 0 }, { NULL, 0 }, { "", 3 }, { "", 3 } };
	struct world w;
	(void)state;
	begin(&w);
	run_ingest_only(&w, "trips", NULL);
	for (size_t i = 0; i < COUNT(runs); i++) {
		run_ingest_only(&w, "trips", runs[i].name); /* "": the run's own name, another one each time */
		if (world_requests(&w) != runs[i].requests)
			fail_msg("run %zu: %u requests", i, world_requests(&w));
	}
	world_end(&w);
}

/* A fetch that the API made impossible was given up: its name has asked for nothing (rule 7). */
static void test_abandoned_is_asked_again(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_file(&w, "pipeline.yaml",
		   "pipeline: test\nlake: ./lake\nschedule: {cron: '0 5 * * *', window: 1d}\n"
		   "source: {url: 'https://api.example', retry: {attempts: 1}}\n"
		   "resources:\n  trips:\n    path: /trips\n    kind: window\n    window: {every: 1d, lookback: 1d}\n"
		   "    query: {day: '{window.from:date}'}\n    records: data\n    total: total\n");
	world_answers_with(&w, "/trips?*", "", "{\"id\":1}],\"total\":1,\"x\":[");
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 2);
	world_at(&w, "2024-01-11T06:00:00Z");
	world_answers_with(&w, "/trips?day=2024-01-09*", "", "{\"id\":1}],\"total\":7,\"x\":[");
	world_stages(&w, true, false, false);
	world_run_fails(&w, ERR_TOTAL, "declares 7 records and gave 1");
	assert_int_equal(world_requests(&w), 2);
	world_stages(&w, true, false, false);
	world_answers_with(&w, "/trips?day=2024-01-09*", "", "{\"id\":1},{\"id\":2}],\"total\":2,\"x\":[");
	world_run_ok(&w);
	assert_int_equal(world_requests(&w), 1);
	assert_int_equal(world_resource(&w, "trips")->windows[0].promoted, 3);
	world_stages(&w, true, false, false);
	world_run_ok(&w);
	assert_int_equal(world_requests(&w), 0);
	world_end(&w);
}

/* Rule 4 by the Date of the first answer: the window stays wanted. */
static void test_early_by_the_servers_clock(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_answers_with(&w, "/trips?day=2024-01-09", "Date: Wed, 10 Jan 2024 04:59:59 GMT\r\n", "{\"id\":1}");
	world_interval(&w, "2024-01-08", NULL);
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(w.r.resources[0].early, 1);
	assert_text(actions(world_resource(&w, "trips"), &w.a), "sealed not-final");
	world_interval(&w, "2024-01-08", NULL);
	world_stages(&w, true, false, false);
	struct plan p = plan_of(&w, &w.options.request);
	assert_text(actions(resource_of(&p, "trips"), &w.a), "sealed refetch");
	assert_text(resource_of(&p, "trips")->windows[1].reason, "early");
	assert_false(resource_of(&p, "trips")->windows[1].known);
	world_answers_with(&w, "/trips?day=2024-01-09", "Date: Wed, 10 Jan 2024 05:00:01 GMT\r\n", "{\"id\":1},{\"id\":2}");
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 1);
	assert_int_equal(world_resource(&w, "trips")->windows[1].records, 2);
	world_interval(&w, "2024-01-08", NULL);
	run_ingest_only(&w, "trips", NULL);
	assert_int_equal(world_requests(&w), 0);
	world_end(&w);
}

/* ── snapshots ── */

static void test_newest_snapshot_counts(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_interval(&w, "2024-01-01", "2024-01-06");
	run_ingest_only(&w, "places", NULL);
	assert_int_equal(world_requests(&w), 1);
	assert_text(world_resource(&w, "places")->windows[0].name, "20240105T000000Z_20240106T000000Z");
	world_interval(&w, "2024-01-01", "2024-01-03"); /* older than what is there: not fetched */
	run_ingest_only(&w, "places", NULL);
	assert_int_equal(world_requests(&w), 0);
	assert_text(world_resource(&w, "places")->windows[0].name, "20240105T000000Z_20240106T000000Z");
	/* a newer one that was begun and never sealed is none */
	world_refuses(&w, "/places*");
	world_interval(&w, "2024-01-07", "2024-01-09");
	world_stages(&w, true, false, false);
	w.options.request.only = STR("places");
	world_run_fails(&w, ERR_HTTP_STATUS, "404");
	world_answers(&w, "/places*", "{\"id\":1}");
	world_interval(&w, "2024-01-06", "2024-01-07");
	run_ingest_only(&w, "places", NULL);
	assert_int_equal(world_requests(&w), 1);
	assert_text(world_resource(&w, "places")->windows[0].name, "20240106T000000Z_20240107T000000Z");
	world_end(&w);
}

/* ── the grid ── */

static void test_another_step_is_refused(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	run_ingest_only(&w, "hours", NULL);
	char *text = arena_zero_terminated(&w.a, STR(pipeline));
	memcpy(strstr(text, "every: 6h"), "every: 8h", 9);
	world_file(&w, "pipeline.yaml", text);
	world_run_fails(&w, ERR_CONFIG, "hours");
	assert_false(w.began);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_lookback_asks_once_per_interval),
		cmocka_unit_test(test_refetch_once_per_name),
		cmocka_unit_test(test_abandoned_is_asked_again),
		cmocka_unit_test(test_early_by_the_servers_clock),
		cmocka_unit_test(test_newest_snapshot_counts),
		cmocka_unit_test(test_another_step_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
