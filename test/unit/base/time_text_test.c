#include "unit.h"

#include "base/calendar.h"

static int64_t instant(const char *text)
{
	int64_t us = 0;

	if (!us_from_rfc3339(str_from(text), &us, NULL))
		fail_msg("no instant: %s", text);
	return us;
}

static void rfc3339_is_read(void **state)
{
	static const struct {
		const char *text, *same; /* NULL: refused */
		bool more;
	} cases[] = {
		{ "2013-01-01T05:00:00Z", "2013-01-01T05:00:00Z", false },
		{ "2013-01-01t05:00:00z", "2013-01-01T05:00:00Z", false },
		{ "2013-01-01 05:00:00Z", "2013-01-01T05:00:00Z", false },
		{ "2013-01-01T05:00:00+00:00", "2013-01-01T05:00:00Z", false },
		{ "2013-01-01T05:00:00-00:00", "2013-01-01T05:00:00Z", false },
		{ "2013-01-01T05:00:00-05:00", "2013-01-01T10:00:00Z", false },
		{ "2013-01-01T05:00:00+05:45", "2012-12-31T23:15:00Z", false },
		{ "2013-01-01T05:00:00.1Z", "2013-01-01T05:00:00.100000Z", false },
		{ "2013-01-01T05:00:00.000001Z", "2013-01-01T05:00:00.000001Z", false },
		{ "2013-01-01T05:00:00.123456000+01:00", "2013-01-01T04:00:00.123456Z", false },
		{ "2013-01-01T05:00:00.1234567Z", "2013-01-01T05:00:00.123456Z", true },
		{ "2013-01-01T05:00:00.0000000000000000000000000000000000000001Z", "2013-01-01T05:00:00Z", true },
		{ "2013-01-01T05:00:00.0000000000000000000000000000000000000000Z", "2013-01-01T05:00:00Z", false },
		{ "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", false },
		{ "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", false },
		{ "0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z", false },
		{ "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z", false },
		{ "2023-02-29T00:00:00Z", NULL, false },
		{ "2013-00-01T00:00:00Z", NULL, false },
		{ "2013-13-01T00:00:00Z", NULL, false },
		{ "2013-01-00T00:00:00Z", NULL, false },
		{ "2013-04-31T00:00:00Z", NULL, false },
		{ "2013-01-01T24:00:00Z", NULL, false },
		{ "2013-01-01T00:60:00Z", NULL, false },
		{ "2016-12-31T23:59:60Z", NULL, false },
		{ "0000-01-01T00:00:00+00:01", NULL, false },
		{ "9999-12-31T23:59:59-00:01", NULL, false },
		{ "2013-01-01T05:00:00", NULL, false },
		{ "2013-01-01T05:00:00.Z", NULL, false },
		{ "2013-01-01T05:00:00,5Z", NULL, false },
		{ "2013-01-01T05:00:00.5", NULL, false },
		{ "2013-01-01T05:00:00+0500", NULL, false },
		{ "2013-01-01T05:00:00+05", NULL, false },
		{ "2013-01-01T05:00:00+24:00", NULL, false },
		{ "2013-01-01T05:00:00+05:60", NULL, false },
		{ "2013-01-01T05:00:00Z ", NULL, false },
		{ " 2013-01-01T05:00:00Z", NULL, false },
		{ "2013-01-01T05:00Z", NULL, false },
		{ "2013-01-01  05:00:00Z", NULL, false },
		{ "2013-01-01", NULL, false },
		{ "20130101T050000Z", NULL, false },
		{ "+2013-01-01T05:00:00Z", NULL, false },
		{ "2013-01-01T05:00:0/Z", NULL, false },
		{ "2013-01-01T05:00:0:Z", NULL, false },
		{ "2013-01-01T-5:00:00Z", NULL, false },
		{ "2013-01-01T05:00:00ZZ", NULL, false },
		{ "NA", NULL, false },
		{ "", NULL, false },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t us = 77, strict_us = 77;
		bool more = !cases[i].more;
		bool ok = us_from_rfc3339(str_from(cases[i].text), &us, &more);
		if (ok != (cases[i].same != NULL))
			fail_msg("\"%s\": %d", cases[i].text, ok);
		if (!ok) {
			assert_int_equal(us, 77);
			continue;
		}
		assert_text(us_to_rfc3339(us, &a), cases[i].same);
		assert_int_equal(more, cases[i].more);
		assert_int_equal(us_from_rfc3339(str_from(cases[i].text), &strict_us, NULL), !more);
	}
	int64_t us;
	assert_false(us_from_rfc3339(STR_NONE, &us, NULL));
	assert_int_equal(instant("2013-01-01T05:00:00Z"), 1357016400000000);
	arena_free(&a);
}

/* Each byte of a good text replaced by each other byte: accepted only where the result means something. */
static void rfc3339_with_one_byte_wrong(void **state)
{
	static const char good[] = "2013-01-01T05:00:00.25+01:00";
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof good - 1; i++) {
		for (int c = 0; c < 256; c++) {
			char text[sizeof good];
			int64_t us;
			bool digit = c >= '0' && c <= '9';
			memcpy(text, good, sizeof good);
			text[i] = (char)c;
			bool ok = us_from_rfc3339((struct str){ text, sizeof good - 1 }, &us, NULL);
			bool other_spelling = (i == 10 && (c == 't' || c == ' ')) || (i == 22 && c == '-');
			bool was_digit = good[i] >= '0' && good[i] <= '9';
			if (ok && c != good[i] && !other_spelling && !(digit && was_digit))
				fail_msg("accepted: %s", text);
			if (!ok && c == good[i])
				fail_msg("refused: %s", text);
		}
	}
	arena_free(&a);
}

static void compact_names(void **state)
{
	static const char *const bad[] = {
		"", "20130101T050000", "20130101T050000z", "20130101t050000Z", "20130101 050000Z", "20130229T000000Z",
		"20130101T240000Z", "20130101T006000Z", "20130101T000060Z", "2013010AT050000Z", "20130101T050000Z ",
		"20131301T050000Z", "20130100T050000Z", "-2013101T050000Z",
	};
	struct arena a = ARENA_INIT;
	int64_t us;

	(void)state;
	assert_text(us_to_compact(instant("2013-01-01T05:00:00Z"), &a), "20130101T050000Z");
	assert_text(us_to_compact(instant("1969-12-31T23:59:59.999999Z"), &a), "19691231T235959Z");
	assert_true(us_from_compact(STR("20130101T050000Z"), &us));
	assert_int_equal(us, instant("2013-01-01T05:00:00Z"));
	assert_true(us_from_compact(STR("00000229T235959Z"), &us));
	assert_int_equal(us, instant("0000-02-29T23:59:59Z"));
	for (size_t i = 0; i < COUNT(bad); i++)
		if (us_from_compact(str_from(bad[i]), &us))
			fail_msg("accepted: %s", bad[i]);
	/* Beyond four digits nothing reads them, but they can be shown. */
	assert_text(us_to_rfc3339(instant("9999-12-31T23:59:59Z") + US_PER_SECOND, &a), "+010000-01-01T00:00:00Z");
	assert_text(us_to_rfc3339(instant("0000-01-01T00:00:00Z") - US_PER_SECOND, &a), "-000001-12-31T23:59:59Z");
	assert_text(us_to_rfc3339(INT64_MIN, &a), "-290308-12-21T19:59:05.224192Z");
	assert_text(us_to_rfc3339(INT64_MAX, &a), "+294247-01-10T04:00:54.775807Z");
	assert_text(us_to_compact(INT64_MAX, &a), "+2942470110T040054Z");
	arena_free(&a);
}

static void days(void **state)
{
	static const char *const bad[] = { "", "2013-1-1", "2013-02-29", "2013-00-01", "2013-13-01", "2013-01-32",
					   "20130101", "2013/01/01", "2013-01-01T", " 2013-01-01", "2O13-01-01", "-013-01-01" };
	int32_t v;

	(void)state;
	assert_true(days_from_text(STR("1970-01-01"), &v));
	assert_int_equal(v, 0);
	assert_true(days_from_text(STR("2024-02-29"), &v));
	assert_int_equal(v, 19782);
	assert_true(days_from_text(STR("0000-01-01"), &v));
	assert_int_equal(v, -719528);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (days_from_text(str_from(bad[i]), &v))
			fail_msg("accepted: %s", bad[i]);
}

static void http_dates(void **state)
{
	static const struct {
		const char *text, *same; /* NULL: refused */
	} cases[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z" },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z" },
		{ "Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z" },
		{ "Wed Nov 16 08:49:37 1994", "1994-11-16T08:49:37Z" },
		{ "Wednesday, 01-Jan-70 00:00:00 GMT", "1970-01-01T00:00:00Z" },
		{ "Saturday, 01-Jan-00 00:00:00 GMT", "2000-01-01T00:00:00Z" },
		{ "Tuesday, 31-Dec-69 23:59:59 GMT", "2069-12-31T23:59:59Z" },
		{ "Mon, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z" }, /* it was a Sunday */
		{ "Sat, 31 Dec 2016 23:59:60 GMT", "2017-01-01T00:00:00Z" },
		{ "Thu, 29 Feb 2024 12:00:00 GMT", "2024-02-29T12:00:00Z" },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z" },
		{ "Wed, 29 Feb 2023 12:00:00 GMT", NULL },
		{ "Sun, 06 Nov 1994 24:00:00 GMT", NULL },
		{ "Sun, 06 Nov 1994 08:49:61 GMT", NULL },
		{ "Sun, 06 Nov 1994 08:49:37 UTC", NULL },
		{ "Sun, 06 Nov 1994 08:49:37 gmt", NULL },
		{ "Sun, 06 Nov 1994 08:49:37", NULL },
		{ "Sun, 6 Nov 1994 08:49:37 GMT", NULL },
		{ "Sun, 06 nov 1994 08:49:37 GMT", NULL },
		{ "Sun, 06 ovD 1994 08:49:37 GMT", NULL },
		{ "Xyz, 06 Nov 1994 08:49:37 GMT", NULL },
		{ "Sun, 06-Nov-1994 08:49:37 GMT", NULL },
		{ "Sun, 06-Nov-94 08:49:37 GMT", NULL },
		{ "Sunday, 06-Nov-1994 08:49:37 GMT", NULL },
		{ "Sunday, 31-Feb-94 08:49:37 GMT", NULL },
		{ "Sunday, 06-Nov-9x 08:49:37 GMT", NULL },
		{ "Sun Nov 006 08:49:37 1994", NULL },
		{ "Sun Nov 6  08:49:37 1994", NULL },
		{ "Sun Nov  0 08:49:37 1994", NULL },
		{ "Sun, 06 Nov 1994 08:49:37 GMT ", NULL },
		{ "120", NULL },
		{ ",", NULL },
		{ "", NULL },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t us = 77;
		bool ok = us_from_http_date(str_from(cases[i].text), &us);
		if (ok != (cases[i].same != NULL))
			fail_msg("\"%s\": %d", cases[i].text, ok);
		if (ok)
			assert_text(us_to_rfc3339(us, &a), cases[i].same);
		else
			assert_int_equal(us, 77);
	}
	arena_free(&a);
}

static void two_digit_years(void **state)
{
	static const struct {
		const char *now, *text, *same; /* NULL: refused */
	} cases[] = {
		{ "2024-05-01T00:00:00Z", "Tuesday, 01-May-74 00:00:00 GMT", "2074-05-01T00:00:00Z" },
		{ "2024-05-01T00:00:00Z", "Wednesday, 01-May-74 00:00:01 GMT", "1974-05-01T00:00:01Z" },
		{ "2024-05-01T00:00:00Z", "Friday, 01-May-20 00:00:00 GMT", "2020-05-01T00:00:00Z" },
		{ "2049-12-31T00:00:00Z", "Friday, 01-Jan-99 00:00:00 GMT", "2099-01-01T00:00:00Z" },
		{ "2055-06-01T00:00:00Z", "Friday, 01-Jan-04 00:00:00 GMT", "2104-01-01T00:00:00Z" },
		{ "2055-06-01T00:00:00Z", "Friday, 01-Jan-06 00:00:00 GMT", "2006-01-01T00:00:00Z" },
		/* 2100 has no such day, 2000 has */
		{ "2055-06-01T00:00:00Z", "Tuesday, 29-Feb-00 00:00:00 GMT", "2000-02-29T00:00:00Z" },
		{ "2024-02-29T00:00:00Z", "Wednesday, 28-Feb-74 00:00:00 GMT", "2074-02-28T00:00:00Z" },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t us;
		assert_true(us_from_http_date_at(str_from(cases[i].text), instant(cases[i].now), &us));
		assert_text(us_to_rfc3339(us, &a), cases[i].same);
	}
	int64_t us;
	assert_false(us_from_http_date_at(STR("Sunday, 06-Nov-94 08:49:37 GMT"), INT64_MIN, &us));
	assert_false(us_from_http_date_at(STR("Sunday, 06-Nov-94 08:49:37 GMT"), INT64_MAX, &us));
	arena_free(&a);
}

static void patterns_are_read(void **state)
{
	static const struct {
		const char *pattern, *zone, *text, *same; /* NULL: refused */
	} cases[] = {
		{ "%Y-%m-%d", "UTC", "2013-01-31", "2013-01-31T00:00:00Z" },
		{ "%d.%m.%Y %H:%M", "Europe/Berlin", "31.01.2013 12:30", "2013-01-31T11:30:00Z" },
		{ "%Y%m%d%H%M%S", "America/New_York", "20130701000000", "2013-07-01T04:00:00Z" },
		{ "%Y%m%d%H%M%S%f", "UTC", "20130701000000123", "2013-07-01T00:00:00.123000Z" },
		{ "%Y-%m-%dT%H:%M:%S%z", NULL, "2013-07-01T00:00:00+0200", "2013-06-30T22:00:00Z" },
		{ "%Y-%m-%dT%H:%M:%S%z", "Europe/Berlin", "2013-07-01T00:00:00-02:00", "2013-07-01T02:00:00Z" },
		{ "%Y-%m-%dT%H:%M:%S%z", NULL, "2013-07-01T00:00:00Z", "2013-07-01T00:00:00Z" },
		{ "%z%Y-%m-%d", NULL, "+01002013-07-01", "2013-06-30T23:00:00Z" },
		{ "%Y-%m-%d%%", "UTC", "2013-07-01%", "2013-07-01T00:00:00Z" },
		{ "%Y-%m-%d %H:%M:%S.%fX", "UTC", "2013-07-01 00:00:00.000001000X", "2013-07-01T00:00:00.000001Z" },
		{ "%Y-%m-%d %H:%M", "America/New_York", "2013-03-10 02:30", "2013-03-10T07:00:00Z" },
		{ "%Y-%m-%d %H:%M", "America/New_York", "2013-11-03 01:30", "2013-11-03T05:30:00Z" },
		{ "%Y-%m-%d", NULL, "2013-01-31", NULL },
		{ "%Y-%m-%d", "UTC", "2013-02-29", NULL },
		{ "%Y-%m-%d", "UTC", "2013-1-31", NULL },
		{ "%Y-%m-%d", "UTC", "2013-01-31 ", NULL },
		{ "%Y-%m-%d ", "UTC", "2013-01-31", NULL },
		{ "%Y-%m-%d", "UTC", "2013-01-3", NULL },
		{ "%Y-%m-%d", "UTC", "2013-01-3x", NULL },
		{ "%Y-%m-%d", "UTC", "", NULL },
		{ "%Y-%m-%d %f", "UTC", "2013-01-31 ", NULL },
		{ "%Y-%m-%d %f", "UTC", "2013-01-31 1234567890", NULL },
		{ "%Y-%m-%d %f", "UTC", "2013-01-31 1234567", NULL }, /* digits below the microsecond, not asked for */
		{ "%Y-%m-%d%z", "UTC", "2013-01-31", NULL },
		{ "%Y-%m-%d%z", "UTC", "2013-01-31+01", NULL },
		{ "%Y-%m-%d%z", "UTC", "2013-01-31+01:0", NULL },
		{ "%Y-%m-%d%z", "UTC", "2013-01-31+24:00", NULL },
		{ "%Y-%m-%d%z", "UTC", "0000-01-01+01:00", NULL },
		{ "%Y-%m-%d %H", "UTC", "2013-01-31 24", NULL },
		{ "%Y-%m", "UTC", "2013-01", NULL },
		{ "%Y-%m-%d %q", "UTC", "2013-01-31 q", NULL },
		{ "%Y-%m-%d%", "UTC", "2013-01-31%", NULL },
		{ "%Y-%m-%d%d", "UTC", "2013-01-3131", NULL },
		{ "", "UTC", "", NULL },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct zone *z = NULL;
		struct err e = ERR_INIT;
		int64_t us;
		if (cases[i].zone && !zone_load(str_from(cases[i].zone), &a, &z, &e))
			fail_msg("%s", e.message);
		bool ok = us_from_pattern(str_from(cases[i].text), str_from(cases[i].pattern), z, &us, NULL, NULL);
		if (ok != (cases[i].same != NULL))
			fail_msg("\"%s\" as \"%s\": %d", cases[i].text, cases[i].pattern, ok);
		if (ok)
			assert_text(us_to_rfc3339(us, &a), cases[i].same);
	}
	int64_t us;
	bool more = false;
	assert_true(us_from_pattern(STR("2013-01-31 123456789"), STR("%Y-%m-%d %f"), NULL, &us, &more, NULL) == false);
	assert_true(us_from_pattern(STR("2013-01-31Z 123456789"), STR("%Y-%m-%d%z %f"), NULL, &us, &more, NULL));
	assert_true(more);
	assert_text(us_to_rfc3339(us, &a), "2013-01-31T00:00:00.123456Z");
	arena_free(&a);
}

static void patterns_are_checked(void **state)
{
	static const struct {
		const char *pattern;
		bool ok, has_offset;
	} cases[] = {
		{ "%Y-%m-%d", true, false },     { "%Y%m%d%z", true, true },     { "%m/%d/%Y 100%%", true, false },
		{ "%Y-%m", false, false },       { "%Y-%m-%d %Y", false, false }, { "%Y-%m-%d %", false, false },
		{ "%Y-%m-%d %s", false, false }, { "", false, false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool has_offset = false;
		assert_int_equal(pattern_check(str_from(cases[i].pattern), &has_offset), cases[i].ok);
		if (cases[i].ok)
			assert_int_equal(has_offset, cases[i].has_offset);
	}
}

static void patterns_are_written(void **state)
{
	static const struct {
		const char *at, *pattern, *zone, *text; /* NULL: refused */
	} cases[] = {
		{ "2013-01-01T05:00:00Z", "%Y-%m-%d", NULL, "2013-01-01" },
		{ "2013-01-01T04:00:00Z", "%Y-%m-%d", "America/New_York", "2012-12-31" },
		{ "2013-01-01T05:06:07.00008Z", "%d.%m.%Y %H:%M:%S.%f 100%%", NULL, "01.01.2013 05:06:07.000080 100%" },
		{ "2013-07-01T00:00:00Z", "%Y-%m-%dT%H:%M:%S%z", NULL, "2013-07-01T00:00:00Z" },
		{ "2013-07-01T00:00:00Z", "%Y-%m-%dT%H:%M:%S%z", "Asia/Kathmandu", "2013-07-01T05:45:00+05:45" },
		{ "2013-07-01T00:00:00Z", "%Y-%m-%dT%H:%M:%S%z", "America/St_Johns", "2013-06-30T21:30:00-02:30" },
		{ "2013-07-01T00:00:00Z", "%z%z%z", "Asia/Kathmandu", "+05:45+05:45+05:45" },
		{ "1800-01-01T00:00:00Z", "%Y-%m-%d%z", "Europe/Berlin", NULL }, /* +00:53:28 */
		{ "2013-07-01T00:00:00Z", "", NULL, "" },
		{ "2013-07-01T00:00:00Z", "%", NULL, NULL },
		{ "2013-07-01T00:00:00Z", "%y", NULL, NULL },
		{ "9999-12-31T23:00:00Z", "%Y", "Europe/Berlin", NULL },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct zone *z = NULL;
		struct err e = ERR_INIT;
		struct str text;
		if (cases[i].zone && !zone_load(str_from(cases[i].zone), &a, &z, &e))
			fail_msg("%s", e.message);
		bool ok = us_to_pattern(instant(cases[i].at), str_from(cases[i].pattern), z, &a, &text);
		if (ok != (cases[i].text != NULL))
			fail_msg("%s as \"%s\": %d", cases[i].at, cases[i].pattern, ok);
		if (ok)
			assert_text(text, cases[i].text);
	}
	arena_free(&a);
}

static void texts_go_there_and_back(void **state)
{
	struct arena a = ARENA_INIT, zones = ARENA_INIT;
	struct err e = ERR_INIT;
	const struct zone *z;
	uint64_t seed = 7;

	(void)state;
	if (!zone_load(STR("Pacific/Chatham"), &zones, &z, &e))
		fail_msg("%s", e.message);
	for (size_t round = 0; round < 20000; round++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		int64_t us = (int64_t)(seed >> 8) % INT64_C(315000000000000000) - INT64_C(62000000000000000), back;
		struct str text;
		if (round % 2)
			us -= us % US_PER_SECOND;
		assert_true(us_from_rfc3339(us_to_rfc3339(us, &a), &back, NULL));
		assert_int_equal(back, us);
		int64_t whole = floor_div(us, US_PER_SECOND) * US_PER_SECOND;
		assert_true(us_from_compact(us_to_compact(us, &a), &back));
		assert_int_equal(back, whole);
		if (us > 0) { /* offsets of the past may have seconds, which %z cannot show */
			assert_true(us_to_pattern(us, STR("%Y%m%d %H%M%S,%f %z"), z, &a, &text));
			assert_true(us_from_pattern(text, STR("%Y%m%d %H%M%S,%f %z"), NULL, &back, NULL, NULL));
			assert_int_equal(back, us);
		}
		arena_reset(&a);
	}
	arena_free(&zones);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3339_is_read),
		cmocka_unit_test(rfc3339_with_one_byte_wrong),
		cmocka_unit_test(compact_names),
		cmocka_unit_test(days),
		cmocka_unit_test(http_dates),
		cmocka_unit_test(two_digit_years),
		cmocka_unit_test(patterns_are_read),
		cmocka_unit_test(patterns_are_checked),
		cmocka_unit_test(patterns_are_written),
		cmocka_unit_test(texts_go_there_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
