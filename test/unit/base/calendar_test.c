#include "unit.h"

#include "base/calendar.h"

static void days_of_known_dates(void **state)
{
	static const struct {
		int32_t year;
		unsigned month, day;
		int32_t days;
	} cases[] = {
		{ 1970, 1, 1, 0 },        { 1969, 12, 31, -1 },     { 1970, 1, 5, 4 },        { 2000, 2, 29, 11016 },
		{ 2000, 3, 1, 11017 },    { 1900, 2, 28, -25509 },  { 1900, 3, 1, -25508 },   { 2013, 1, 1, 15706 },
		{ 0, 1, 1, -719528 },     { 0, 2, 29, -719469 },    { 0, 3, 1, -719468 },     { -1, 12, 31, -719529 },
		{ 9999, 12, 31, 2932896 }, { 1, 1, 1, -719162 },    { 2038, 1, 19, 24855 },   { 2400, 2, 29, 157113 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(days_from_civil(cases[i].year, cases[i].month, cases[i].day), cases[i].days);
		struct civil c = civil_from_us(cases[i].days * US_PER_DAY);
		assert_int_equal(c.year, cases[i].year);
		assert_int_equal(c.month, cases[i].month);
		assert_int_equal(c.day, cases[i].day);
	}
}

static void every_day_follows_the_one_before(void **state)
{
	(void)state;
	for (int32_t year = -801; year <= 2801; year++) {
		unsigned sum = 0;
		for (unsigned month = 1; month <= 12; month++) {
			for (unsigned day = 1; day <= days_in_month(year, month); day++, sum++) {
				int32_t days = days_from_civil(year, month, day);
				struct civil c = civil_from_us((days + 1) * US_PER_DAY - 1);
				if (c.year != year || c.month != month || c.day != day ||
				    days != days_from_civil(year, 1, 1) + (int32_t)sum)
					fail_msg("%d-%u-%u", year, month, day);
			}
		}
		assert_int_equal(days_from_civil(year + 1, 1, 1), days_from_civil(year, 1, 1) + (int32_t)sum);
	}
}

static void lengths_of_february(void **state)
{
	(void)state;
	assert_int_equal(days_in_month(1900, 2), 28);
	assert_int_equal(days_in_month(2000, 2), 29);
	assert_int_equal(days_in_month(2023, 2), 28);
	assert_int_equal(days_in_month(2024, 2), 29);
	assert_int_equal(days_in_month(-4, 2), 29);
	assert_int_equal(days_in_month(2024, 12), 31);
}

static void instants_go_there_and_back(void **state)
{
	static const int64_t cases[] = {
		0, -1, 1, 999999, -999999, -1000000, 1357016400000000, -62135596800000000, 253402300799999999,
		-62167219200000001, INT64_C(9000000000000000000), INT64_C(-9000000000000000000),
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(us_from_civil(civil_from_us(cases[i])), cases[i]);

	struct civil c = civil_from_us(-1);
	assert_int_equal(c.year, 1969);
	assert_int_equal(c.hour, 23);
	assert_int_equal(c.minute, 59);
	assert_int_equal(c.second, 59);
	assert_int_equal(c.us, 999999);
	/* The ends of the range can be shown, too. */
	assert_int_equal(civil_from_us(INT64_MAX).year, 294247);
	assert_int_equal(civil_from_us(INT64_MIN).year, -290308);
}

static void division_rounds_down(void **state)
{
	(void)state;
	assert_int_equal(floor_div(7, 2), 3);
	assert_int_equal(floor_div(-7, 2), -4);
	assert_int_equal(floor_div(-8, 2), -4);
	assert_int_equal(floor_div(0, 2), 0);
	assert_int_equal(floor_div(INT64_MIN, 1), INT64_MIN);
	assert_int_equal(floor_div(INT64_MIN, INT64_MAX), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days_of_known_dates),
		cmocka_unit_test(every_day_follows_the_one_before),
		cmocka_unit_test(lengths_of_february),
		cmocka_unit_test(instants_go_there_and_back),
		cmocka_unit_test(division_rounds_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
