#include "unit.h"

#include "base/calendar.h"
#include "time_table.h"

static int64_t instant(const char *text)
{
	int64_t us = 0;

	if (!us_from_rfc3339(str_from(text), &us, NULL))
		fail_msg("no instant: %s", text);
	return us;
}

static const struct zone *zone_of(const char *name, struct arena *a)
{
	const struct zone *z = NULL;
	struct err e = ERR_INIT;

	if (!zone_load(str_from(name), a, &z, &e))
		fail_msg("%s", e.message);
	return z;
}

/* ── judged by Python's zoneinfo ── */

static void steps_as_judged(void **state)
{
	struct arena a = ARENA_INIT;
	struct table t = table_open("step.tsv", &a);
	const struct zone *z = NULL;

	(void)state;
	while (table_next(&t)) {
		z = table_zone(&t, z, &a);
		struct step s = { .zone = z };
		assert_true(step_parse(t.fields[1], &s.unit, &s.count));
		int64_t at = table_i64(&t, 2), from = table_i64(&t, 3), to = table_i64(&t, 4);
		int64_t floor_us = step_floor(&s, at * US_PER_SECOND);
		int64_t next_us = step_next(&s, floor_us);
		if (floor_us != from * US_PER_SECOND || next_us != to * US_PER_SECOND)
			fail_msg("line %zu: %.*s %.*s at %jd: %jd to %jd, not %jd to %jd", t.line, STR_ARG(t.fields[0]),
				 STR_ARG(t.fields[1]), (intmax_t)at, (intmax_t)(floor_us / US_PER_SECOND),
				 (intmax_t)(next_us / US_PER_SECOND), (intmax_t)from, (intmax_t)to);
	}
	assert_true(t.line > 500);
	arena_free(&a);
}

/* ── known by hand ── */

static void steps_known_by_hand(void **state)
{
	static const struct {
		const char *zone, *step, *at, *from, *to;
	} cases[] = {
		/* in UTC, whatever the zone */
		{ "Asia/Kolkata", "1h", "2013-01-01T05:29:59.999999Z", "2013-01-01T05:00:00Z", "2013-01-01T06:00:00Z" },
		{ "UTC", "15m", "1969-12-31T23:59:59Z", "1969-12-31T23:45:00Z", "1970-01-01T00:00:00Z" },
		{ "UTC", "6h", "1969-12-31T18:00:00Z", "1969-12-31T18:00:00Z", "1970-01-01T00:00:00Z" },
		{ "UTC", "7h", "1970-01-02T00:00:00Z", "1970-01-01T21:00:00Z", "1970-01-02T04:00:00Z" },
		/* days of 24, 23 and 25 hours */
		{ "America/New_York", "1d", "2013-01-01T05:00:00Z", "2013-01-01T05:00:00Z", "2013-01-02T05:00:00Z" },
		{ "America/New_York", "1d", "2013-01-01T04:59:59.999999Z", "2012-12-31T05:00:00Z",
		  "2013-01-01T05:00:00Z" },
		{ "America/New_York", "1d", "2013-03-10T12:00:00Z", "2013-03-10T05:00:00Z", "2013-03-11T04:00:00Z" },
		{ "America/New_York", "1d", "2013-11-03T06:30:00Z", "2013-11-03T04:00:00Z", "2013-11-04T05:00:00Z" },
		/* no midnight: the day begins at 01:00 */
		{ "America/Sao_Paulo", "1d", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z" },
		{ "America/Sao_Paulo", "1d", "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z" },
		{ "Asia/Beirut", "1d", "2022-03-26T22:00:00Z", "2022-03-26T22:00:00Z", "2022-03-27T21:00:00Z" },
		/* midnight twice: the first; back from midnight to 23:00: a day of 25 hours */
		{ "America/Havana", "1d", "2013-11-03T05:00:00Z", "2013-11-03T04:00:00Z", "2013-11-04T05:00:00Z" },
		{ "America/Sao_Paulo", "1d", "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z" },
		/* back from 00:01 to 23:01: the new day has begun, and goes on */
		{ "America/St_Johns", "1d", "2010-11-07T02:30:30Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z" },
		{ "America/St_Johns", "1d", "2010-11-07T03:00:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z" },
		/* 30 December did not happen */
		{ "Pacific/Apia", "1d", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z" },
		{ "Pacific/Apia", "1d", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z" },
		/* counted from the origin, both ways */
		{ "UTC", "2d", "1970-01-02T23:00:00Z", "1970-01-01T00:00:00Z", "1970-01-03T00:00:00Z" },
		{ "UTC", "2d", "1969-12-31T00:00:00Z", "1969-12-30T00:00:00Z", "1970-01-01T00:00:00Z" },
		{ "UTC", "2d", "1969-12-29T23:59:59Z", "1969-12-28T00:00:00Z", "1969-12-30T00:00:00Z" },
		{ "UTC", "1w", "1970-01-04T23:59:59Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z" },
		{ "UTC", "1w", "2024-02-29T00:00:00Z", "2024-02-26T00:00:00Z", "2024-03-04T00:00:00Z" },
		{ "UTC", "2w", "1970-01-18T12:00:00Z", "1970-01-05T00:00:00Z", "1970-01-19T00:00:00Z" },
		{ "UTC", "2w", "1970-01-01T00:00:00Z", "1969-12-22T00:00:00Z", "1970-01-05T00:00:00Z" },
		{ "UTC", "1M", "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z" },
		{ "UTC", "3M", "2024-06-30T23:59:59Z", "2024-04-01T00:00:00Z", "2024-07-01T00:00:00Z" },
		{ "UTC", "3M", "1969-12-31T23:59:59Z", "1969-10-01T00:00:00Z", "1970-01-01T00:00:00Z" },
		{ "UTC", "5M", "1969-12-31T23:59:59Z", "1969-08-01T00:00:00Z", "1970-01-01T00:00:00Z" },
		{ "UTC", "12M", "1900-03-01T00:00:00Z", "1900-01-01T00:00:00Z", "1901-01-01T00:00:00Z" },
		{ "Europe/Berlin", "1M", "2013-03-31T22:30:00Z", "2013-03-31T22:00:00Z", "2013-04-30T22:00:00Z" },
		{ "Europe/Berlin", "1w", "2013-03-31T21:59:59Z", "2013-03-24T23:00:00Z", "2013-03-31T22:00:00Z" },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct step s = { .zone = zone_of(cases[i].zone, &a) };
		assert_true(step_parse(str_from(cases[i].step), &s.unit, &s.count));
		int64_t from_us = step_floor(&s, instant(cases[i].at));
		assert_text(us_to_rfc3339(from_us, &a), cases[i].from);
		assert_text(us_to_rfc3339(step_next(&s, from_us), &a), cases[i].to);
	}
	arena_free(&a);
}

static void hours_need_no_zone(void **state)
{
	struct step s = { STEP_HOUR, 1, NULL };

	(void)state;
	assert_int_equal(step_floor(&s, -1), INT64_C(-3600) * US_PER_SECOND);
	assert_int_equal(step_next(&s, INT64_C(-3600) * US_PER_SECOND), 0);
}

/* ── what holds everywhere ── */

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void steps_tile_time(void **state)
{
	static const char *const zones[] = {
		"UTC", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "America/Havana", "Asia/Beirut",
		"Asia/Gaza", "Africa/Casablanca", "Africa/Monrovia", "Australia/Lord_Howe", "Pacific/Apia",
		"Pacific/Kwajalein",
		"Asia/Manila", "America/Juneau", "Antarctica/Troll", "Europe/Dublin", "Asia/Tehran", "Pacific/Kiritimati",
		"America/Scoresbysund", "Europe/Amsterdam",
	};
	static const uint32_t counts[] = { 1, 2, 3, 7, 10, 365, STEP_COUNT_MAX };
	struct arena a = ARENA_INIT;
	uint64_t seed = 42;

	(void)state;
	for (size_t i = 0; i < COUNT(zones); i++) {
		const struct zone *z = zone_of(zones[i], &a);
		for (size_t round = 0; round < 1500; round++) {
			struct step s = { (enum step_unit)(random_next(&seed) % 5), 1, z };
			s.count = counts[random_next(&seed) % COUNT(counts)];
			int64_t at_s = (int64_t)(random_next(&seed) % 20000000000) - 10000000000;
			int64_t at = at_s * US_PER_SECOND + (int64_t)(random_next(&seed) % US_PER_SECOND);
			int64_t from = step_floor(&s, at), to = step_next(&s, from);
			if (from > at || to <= at || step_floor(&s, from) != from || step_floor(&s, to) != to ||
			    step_floor(&s, to - 1) != from || step_next(&s, at) != to || step_next(&s, from - 1) != from)
				fail_msg("%s, unit %d, count %u, at %jd: %jd to %jd", zones[i], (int)s.unit, s.count,
					 (intmax_t)at, (intmax_t)from, (intmax_t)to);
		}
	}
	arena_free(&a);
}

/* A chain of days is as long as the calendar says, but for days that a zone left out. */
static void chains_miss_no_day(void **state)
{
	static const struct {
		const char *zone;
		int days; /* from 1960-01-01 to 2030-01-01: 25568 on the calendar */
	} cases[] = {
		{ "UTC", 25568 }, { "America/New_York", 25568 }, { "America/Sao_Paulo", 25568 },
		{ "America/St_Johns", 25568 }, { "Asia/Beirut", 25568 }, { "Pacific/Apia", 25567 },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct step s = { STEP_DAY, 1, zone_of(cases[i].zone, &a) };
		int64_t us = zone_us_from_civil(s.zone, civil_from_us(instant("1960-01-01T00:00:00Z")));
		int64_t end = zone_us_from_civil(s.zone, civil_from_us(instant("2030-01-01T00:00:00Z")));
		int days = 0;
		for (; us < end; us = step_next(&s, us), days++)
			assert_int_equal(step_floor(&s, us), us);
		assert_int_equal(us, end);
		if (days != cases[i].days)
			fail_msg("%s: %d days", cases[i].zone, days);
	}
	arena_free(&a);
}

/* ── texts ── */

static void step_texts(void **state)
{
	static const struct {
		const char *text;
		int unit; /* -1: refused */
		uint32_t count;
	} cases[] = {
		{ "15m", STEP_MINUTE, 15 }, { "6h", STEP_HOUR, 6 }, { "1d", STEP_DAY, 1 }, { "1w", STEP_WEEK, 1 },
		{ "1M", STEP_MONTH, 1 }, { "100000M", STEP_MONTH, 100000 }, { "100001M", -1, 0 }, { "", -1, 0 },
		{ "d", -1, 0 }, { "1", -1, 0 }, { "0d", -1, 0 }, { "01d", -1, 0 }, { "-1d", -1, 0 }, { "+1d", -1, 0 },
		{ "1D", -1, 0 }, { "1 d", -1, 0 }, { " 1d", -1, 0 }, { "1d ", -1, 0 }, { "1.5d", -1, 0 }, { "1s", -1, 0 },
		{ "1y", -1, 0 }, { "1dd", -1, 0 }, { "18446744073709551617d", -1, 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum step_unit unit = STEP_MINUTE;
		uint32_t count = 0;
		bool ok = step_parse(str_from(cases[i].text), &unit, &count);
		if (ok != (cases[i].unit >= 0) || (ok && ((int)unit != cases[i].unit || count != cases[i].count)))
			fail_msg("\"%s\": %d, %d, %u", cases[i].text, ok, (int)unit, count);
	}
	enum step_unit unit;
	uint32_t count;
	assert_false(step_parse(STR_NONE, &unit, &count));
	assert_false(step_parse((struct str){ "1d\0", 3 }, &unit, &count));
}

static void duration_texts(void **state)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: refused */
	} cases[] = {
		{ "30s", 30000000 }, { "500ms", 500000 }, { "24h", 86400000000 }, { "3d", 259200000000 },
		{ "15m", 900000000 }, { "1w", 604800000000 }, { "0", 0 }, { "0s", 0 }, { "007s", 7000000 },
		{ "36525d", 3155760000000000 }, { "36526d", -1 }, { "3155760000000ms", 3155760000000000 },
		{ "3155760000001ms", -1 }, { "", -1 }, { "s", -1 }, { "ms", -1 }, { "1", -1 }, { "00", -1 }, { "-1s", -1 },
		{ "1.5s", -1 }, { "1 s", -1 }, { "1S", -1 }, { "1M", -1 }, { "1h30m", -1 }, { "1us", -1 },
		{ "99999999999999999999s", -1 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t us = -1;
		bool ok = duration_parse(str_from(cases[i].text), &us);
		if (ok != (cases[i].us >= 0) || us != cases[i].us)
			fail_msg("\"%s\": %d, %jd", cases[i].text, ok, (intmax_t)us);
	}
	int64_t us;
	assert_false(duration_parse(STR_NONE, &us));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_as_judged),
		cmocka_unit_test(steps_known_by_hand),
		cmocka_unit_test(hours_need_no_zone),
		cmocka_unit_test(steps_tile_time),
		cmocka_unit_test(chains_miss_no_day),
		cmocka_unit_test(step_texts),
		cmocka_unit_test(duration_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
