#include "world.h"

#include "base/calendar.h"
#include "format/grid.h"

#define RESOURCE STR("raw/flights/flights")

struct world {
	struct arena a;
	struct store *s;
	struct err e;
};

static struct step step_of(struct world *w, const char *every, const char *zone)
{
	struct step s = { 0 };
	assert_true(step_parse(str_from(every), &s.unit, &s.count));
	assert_done(zone_load(str_from(zone), &w->a, &s.zone, &w->e), &w->e);
	return s;
}

static int64_t instant(const char *text)
{
	int64_t us = 0;
	bool more = false;
	if (!us_from_rfc3339(str_from(text), &us, &more))
		fail_msg("%s is no instant", text);
	return us;
}

static void world_open(struct world *w)
{
	*w = (struct world){ .s = memory_store() };
}

static void world_close(struct world *w)
{
	store_close(w->s);
	arena_free(&w->a);
}

static const char *list(struct world *w, const struct grid *g, const char *from, const char *to)
{
	struct window_list windows;
	struct buf b = BUF_INIT(10000);
	assert_done(grid_windows(g, instant(from), instant(to), 100, &w->a, &windows, &w->e), &w->e);
	for (size_t i = 0; i < windows.n; i++) {
		if (i == 0)
			buf_add(&b, us_to_compact(windows.v[i].from_us, &w->a));
		else
			assert_int_equal(windows.v[i].from_us, windows.v[i - 1].to_us);
		buf_addf(&b, " %.*s", STR_ARG(us_to_compact(windows.v[i].to_us, &w->a)));
	}
	const char *text = arena_zero_terminated(&w->a, buf_str(&b));
	buf_free(&b);
	return text;
}

/* Start of the first window, then the end of each: those whose end lies in (from, to]. */
static const struct {
	const char *every, *zone, *from, *to, *want;
} cases[] = {
	{ "1d", "UTC", "2013-01-01T00:00:00Z", "2013-01-03T00:00:00Z", "20130101T000000Z 20130102T000000Z 20130103T000000Z" },
	{ "1d", "UTC", "2013-01-01T00:00:01Z", "2013-01-02T23:59:59Z", "20130101T000000Z 20130102T000000Z" },
	{ "1d", "UTC", "2013-01-01T00:00:00Z", "2013-01-01T23:59:59Z", "" },
	{ "1d", "UTC", "2013-01-01T00:00:00Z", "2013-01-01T00:00:00Z", "" },
	{ "1d", "UTC", "2013-01-02T00:00:00Z", "2013-01-01T00:00:00Z", "" },
	/* 23 and 25 hours */
	{ "1d", "America/New_York", "2013-03-09T05:00:00Z", "2013-03-11T04:00:00Z",
	  "20130309T050000Z 20130310T050000Z 20130311T040000Z" },
	{ "1d", "America/New_York", "2013-11-02T04:00:00Z", "2013-11-04T05:00:00Z",
	  "20131102T040000Z 20131103T040000Z 20131104T050000Z" },
	{ "1w", "UTC", "2013-01-01T00:00:00Z", "2013-01-14T00:00:00Z", "20121231T000000Z 20130107T000000Z 20130114T000000Z" },
	{ "1w", "Europe/Berlin", "2013-03-25T00:00:00Z", "2013-04-01T00:00:00Z", "20130324T230000Z 20130331T220000Z" },
	{ "1M", "America/New_York", "2013-01-01T05:00:00Z", "2013-04-01T04:00:00Z",
	  "20130101T050000Z 20130201T050000Z 20130301T050000Z 20130401T040000Z" },
	{ "3M", "UTC", "2012-12-31T23:59:59Z", "2013-04-01T00:00:00Z", "20121001T000000Z 20130101T000000Z 20130401T000000Z" },
	{ "6h", "America/New_York", "2013-03-10T00:00:00Z", "2013-03-10T12:00:00Z",
	  "20130310T000000Z 20130310T060000Z 20130310T120000Z" },
	{ "15m", "UTC", "1969-12-31T23:40:00Z", "1970-01-01T00:00:00Z", "19691231T233000Z 19691231T234500Z 19700101T000000Z" },
	{ "1d", "UTC", "1900-02-28T00:00:00Z", "1900-03-02T00:00:00Z", "19000228T000000Z 19000301T000000Z 19000302T000000Z" },
};

static void windows_of_an_interval(void **unused)
{
	(void)unused;
	struct world w;
	world_open(&w);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct step s = step_of(&w, cases[i].every, cases[i].zone);
		struct grid g;
		bool missing;
		assert_done(grid_load(w.s, RESOURCE, &s, &w.a, &g, &missing, &w.e), &w.e);
		assert_true(missing);
		assert_string_equal(list(&w, &g, cases[i].from, cases[i].to), cases[i].want);
	}
	struct step day = step_of(&w, "1d", "UTC");
	struct grid g;
	bool missing;
	struct window_list windows;
	assert_true(grid_load(w.s, RESOURCE, &day, &w.a, &g, &missing, &w.e));
	assert_true(grid_windows(&g, 0, 100 * US_PER_DAY, 100, &w.a, &windows, &w.e));
	assert_int_equal(windows.n, 100);
	assert_false(grid_windows(&g, 0, 101 * US_PER_DAY, 100, &w.a, &windows, &w.e));
	assert_code(&w.e, ERR_USAGE);
	world_close(&w);
}

/* Each window is named by the run that asks for its end: intervals that touch share none and leave none out. */
static void intervals_that_touch(void **unused)
{
	(void)unused;
	struct world w;
	world_open(&w);
	struct step s = step_of(&w, "1d", "America/New_York");
	struct grid g;
	bool missing;
	assert_true(grid_load(w.s, RESOURCE, &s, &w.a, &g, &missing, &w.e));
	int64_t start = instant("2013-01-01T00:00:00Z"), at = start, last = 0;
	size_t n = 0;
	for (int64_t hours = 1; at < start + 365 * US_PER_DAY; hours = hours * 7 % 53 + 1) {
		struct window_list windows;
		int64_t to = at + hours * INT64_C(3600000000);
		assert_true(grid_windows(&g, at, to, 100, &w.a, &windows, &w.e));
		for (size_t i = 0; i < windows.n; i++) {
			assert_true(n == 0 || windows.v[i].from_us == last);
			assert_true(windows.v[i].to_us > at && windows.v[i].to_us <= to);
			last = windows.v[i].to_us;
			n++;
		}
		at = to;
	}
	assert_true(n >= 364);
	world_close(&w);
}

static void fixed_once(void **unused)
{
	(void)unused;
	struct world w;
	world_open(&w);
	struct step day = step_of(&w, "1d", "America/New_York"), week = step_of(&w, "1w", "America/New_York"),
		    utc = step_of(&w, "1d", "UTC"), none = day;
	none.zone = NULL;
	struct grid g;
	bool missing;
	for (uint64_t fault = 0; fault < 2; fault++) {
		store_memory_fail(w.s, fault, STORE_FAULT_LOST_ANSWER);
		assert_done(grid_fix(w.s, RESOURCE, &day, &w.a, &w.e), &w.e);
		assert_frozen(object_of(w.s, STR("raw/flights/flights/grid/0.json"), &w.a), case_file("grid.json", &w.a));
		assert_done(grid_fix(w.s, RESOURCE, &day, &w.a, &w.e), &w.e); /* the same again: somebody was first */
		assert_done(store_remove(w.s, STR("raw/flights/flights/grid/0.json"), &w.e), &w.e);
	}
	assert_true(grid_fix(w.s, RESOURCE, &day, &w.a, &w.e));
	assert_false(grid_fix(w.s, RESOURCE, &week, &w.a, &w.e));
	assert_code(&w.e, ERR_FENCED);
	assert_true(grid_load(w.s, RESOURCE, &week, &w.a, &g, &missing, &w.e));
	assert_false(missing);
	assert_int_equal(g.n_parts, 1);
	assert_string_equal(list(&w, &g, "2013-01-01T05:00:00Z", "2013-01-02T05:00:00Z"),
			    "20130101T050000Z 20130102T050000Z");
	assert_true(grid_agrees(&g, &day, STR("flights"), &w.e));
	const struct step others[] = { week, utc, none, step_of(&w, "2d", "America/New_York") };
	for (size_t i = 0; i < COUNT(others); i++) {
		struct err e = ERR_INIT;
		assert_false(grid_agrees(&g, &others[i], STR("flights"), &e));
		assert_code(&e, ERR_CONFIG);
		assert_non_null(strstr(e.message, "windows of 1d in America/New_York"));
	}
	world_close(&w);
}

#define PART(n, since, every, zone)                                                                            \
	"{\"format\":\"sluice-grid/1\",\"n\":" n ",\"since\":" since ",\"origin\":\"1970-01-01\",\"every\":\"" every \
	"\",\"zone\":\"" zone "\"}\n"

/* Another step from an instant on: the windows before it are cut there. */
static void parts(void **unused)
{
	(void)unused;
	struct world w;
	world_open(&w);
	object_put(w.s, STR("raw/flights/flights/grid/0.json"), STR(PART("0", "null", "1M", "UTC")));
	object_put(w.s, STR("raw/flights/flights/grid/1.json"), STR(PART("1", "\"2013-02-10T00:00:00Z\"", "1d", "UTC")));
	struct step day = step_of(&w, "1d", "UTC"), month = step_of(&w, "1M", "UTC");
	struct grid g;
	bool missing;
	assert_done(grid_load(w.s, RESOURCE, &day, &w.a, &g, &missing, &w.e), &w.e);
	assert_int_equal(g.n_parts, 2);
	assert_string_equal(list(&w, &g, "2013-01-01T00:00:00Z", "2013-02-12T00:00:00Z"),
			    "20130101T000000Z 20130201T000000Z 20130210T000000Z 20130211T000000Z 20130212T000000Z");
	assert_true(grid_agrees(&g, &day, STR("flights"), &w.e));
	assert_false(grid_agrees(&g, &month, STR("flights"), &w.e));
	world_close(&w);
}

static void damaged_grids(void **unused)
{
	(void)unused;
	static const struct {
		const char *first, *second;
		enum err_code want;
	} damages[] = {
		{ "", NULL, ERR_DAMAGE },
		{ "{}", NULL, ERR_DAMAGE },
		{ PART("1", "null", "1d", "UTC"), NULL, ERR_DAMAGE },
		{ PART("0", "\"2013-02-10T00:00:00Z\"", "1d", "UTC"), NULL, ERR_DAMAGE },
		{ PART("0", "null", "1y", "UTC"), NULL, ERR_DAMAGE },
		{ PART("0", "null", "1w", "UTC"), NULL, ERR_DAMAGE }, /* weeks begin on a Monday */
		{ PART("0", "null", "1d", "Mars/Olympus"), NULL, ERR_DAMAGE },
		{ PART("0", "null", "1d", "Europe/Berl\\u0001n"), NULL, ERR_DAMAGE },
		{ PART("0", "null", "1d", "UTC"), PART("1", "null", "1d", "UTC"), ERR_DAMAGE },
		{ PART("0", "null", "1d", "UTC"), PART("1", "\"yesterday\"", "1d", "UTC"), ERR_DAMAGE },
	};
	for (size_t i = 0; i < COUNT(damages); i++) {
		struct world w;
		world_open(&w);
		struct step day = step_of(&w, "1d", "UTC");
		struct grid g;
		bool missing;
		object_put(w.s, STR("raw/flights/flights/grid/0.json"), str_from(damages[i].first));
		if (damages[i].second)
			object_put(w.s, STR("raw/flights/flights/grid/1.json"), str_from(damages[i].second));
		if (grid_load(w.s, RESOURCE, &day, &w.a, &g, &missing, &w.e))
			fail_msg("damage %zu was taken", i);
		assert_code(&w.e, damages[i].want);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_of_an_interval), cmocka_unit_test(intervals_that_touch), cmocka_unit_test(fixed_once),
		cmocka_unit_test(parts),		  cmocka_unit_test(damaged_grids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
