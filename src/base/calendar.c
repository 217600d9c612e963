#include "base/calendar.h"

#include "base/check.h"

/* Days and dates by eras of 400 years, within which the calendar repeats itself, and years that begin in March, so
 * that the leap day is the last one: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
enum { DAYS_PER_ERA = 146097, YEARS_PER_ERA = 400, DAYS_TO_MARCH_0000 = 719468 };

static bool year_is_leap(int32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

unsigned days_in_month(int32_t year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	CHECK(month >= 1 && month <= 12);
	return month == 2 && year_is_leap(year) ? 29 : days[month - 1];
}

int32_t days_from_civil(int32_t year, unsigned month, unsigned day)
{
	CHECK(year >= -CIVIL_YEAR_MAX && year <= CIVIL_YEAR_MAX);
	CHECK(day >= 1 && day <= days_in_month(year, month));
	int32_t y = month <= 2 ? year - 1 : year;
	int32_t era = (int32_t)floor_div(y, YEARS_PER_ERA);
	int32_t year_of_era = y - era * YEARS_PER_ERA;
	int32_t month_from_march = ((int32_t)month + 9) % 12;
	int32_t day_of_year = (153 * month_from_march + 2) / 5 + (int32_t)day - 1;
	int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * DAYS_PER_ERA + day_of_era - DAYS_TO_MARCH_0000;
}

struct civil civil_from_s(int64_t s, uint32_t us)
{
	int64_t days = floor_div(s, S_PER_DAY);
	uint32_t in_day = (uint32_t)floor_rest(s, S_PER_DAY);
	int64_t from_march = days + DAYS_TO_MARCH_0000;
	int64_t era = floor_div(from_march, DAYS_PER_ERA);
	uint32_t day_of_era = (uint32_t)floor_rest(from_march, DAYS_PER_ERA);
	uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint32_t month_from_march = (5 * day_of_year + 2) / 153;
	uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	int64_t year = era * YEARS_PER_ERA + year_of_era + (month <= 2);

	CHECK(year >= INT32_MIN && year <= INT32_MAX);
	return (struct civil){
		.year = (int32_t)year,
		.month = (uint8_t)month,
		.day = (uint8_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
		.hour = (uint8_t)(in_day / 3600),
		.minute = (uint8_t)(in_day / 60 % 60),
		.second = (uint8_t)(in_day % 60),
		.us = us,
	};
}

int64_t s_from_civil(struct civil c)
{
	CHECK(c.hour <= 23 && c.minute <= 59 && c.second <= 59 && c.us < US_PER_SECOND);
	int64_t days = days_from_civil(c.year, c.month, c.day);
	return days * S_PER_DAY + c.hour * 3600 + c.minute * 60 + c.second;
}

struct civil civil_from_us(int64_t us)
{
	return civil_from_s(floor_div(us, US_PER_SECOND), (uint32_t)floor_rest(us, US_PER_SECOND));
}

int64_t us_from_civil(struct civil c)
{
	return s_from_civil(c) * US_PER_SECOND + c.us;
}
