/* The fixed notations of time: RFC 3339, the compact names of windows, HTTP dates. */
#include "base/calendar.h"
#include "base/check.h"
#include "base/time_digits.h"

#include <string.h>

char *digits_write(char *to, uint32_t v, unsigned n)
{
	for (unsigned i = n; i > 0; i--) {
		to[i - 1] = (char)('0' + v % 10);
		v /= 10;
	}
	CHECK(v == 0);
	return to + n;
}

size_t fraction_read(const char *p, const char *end, size_t digits_max, uint32_t *us, bool *more)
{
	const char *from = p;
	uint32_t v = 0;
	size_t n;

	*more = false;
	for (n = 0; p < end && n < digits_max; p++, n++) {
		uint32_t digit = digit_value(*p);
		if (digit > 9)
			break;
		if (n < 6)
			v = v * 10 + digit;
		else if (digit)
			*more = true;
	}
	for (size_t i = (size_t)(p - from); i < 6; i++)
		v *= 10;
	*us = v;
	return n;
}

/* ── writing ── */

enum { YEAR_DIGITS_MAX = 6, TEXT_SIZE_MAX = 48 };

/* Years that four digits cannot show get a sign, as in ISO 8601. */
static char *year_write(char *to, int32_t year)
{
	if (year >= 0 && year <= 9999)
		return digits_write(to, (uint32_t)year, 4);
	*to++ = year < 0 ? '-' : '+';
	return digits_write(to, (uint32_t)(year < 0 ? -year : year), YEAR_DIGITS_MAX);
}

struct str us_to_rfc3339(int64_t us, struct arena *a)
{
	struct civil c = civil_from_us(us);
	char text[TEXT_SIZE_MAX], *to = year_write(text, c.year);

	*to++ = '-';
	to = digits_write(to, c.month, 2);
	*to++ = '-';
	to = digits_write(to, c.day, 2);
	*to++ = 'T';
	to = digits_write(to, c.hour, 2);
	*to++ = ':';
	to = digits_write(to, c.minute, 2);
	*to++ = ':';
	to = digits_write(to, c.second, 2);
	if (c.us) {
		*to++ = '.';
		to = digits_write(to, c.us, 6);
	}
	*to++ = 'Z';
	return arena_copy(a, (struct str){ text, (size_t)(to - text) });
}

struct str us_to_compact(int64_t us, struct arena *a)
{
	struct civil c = civil_from_us(us);
	char text[TEXT_SIZE_MAX], *to = year_write(text, c.year);

	to = digits_write(to, c.month, 2);
	to = digits_write(to, c.day, 2);
	*to++ = 'T';
	to = digits_write(to, c.hour, 2);
	to = digits_write(to, c.minute, 2);
	to = digits_write(to, c.second, 2);
	*to++ = 'Z';
	return arena_copy(a, (struct str){ text, (size_t)(to - text) });
}

/* ── reading ── */

bool us_from_compact(struct str text, int64_t *us)
{
	const char *p = text.p;

	if (text.n != 16 || p[8] != 'T' || p[15] != 'Z')
		return false;
	uint32_t year = digits_4(p), month = digits_2(p + 4), day = digits_2(p + 6);
	uint32_t hour = digits_2(p + 9), minute = digits_2(p + 11), second = digits_2(p + 13);
	if (!civil_is_sound(year, month, day, hour, minute, second))
		return false;
	*us = us_from_civil(civil_of(year, month, day, hour, minute, second, 0));
	return true;
}

bool days_from_text(struct str text, int32_t *days)
{
	const char *p = text.p;

	if (text.n != 10 || p[4] != '-' || p[7] != '-')
		return false;
	uint32_t year = digits_4(p), month = digits_2(p + 5), day = digits_2(p + 8);
	if (!civil_is_sound(year, month, day, 0, 0, 0))
		return false;
	*days = days_from_civil((int32_t)year, month, day);
	return true;
}

/* "Z", "z", "+hh:mm", "-hh:mm", and nothing after it. */
static bool rfc3339_offset_read(const char *p, const char *end, int64_t *offset_s)
{
	*offset_s = 0;
	if (end - p == 1)
		return *p == 'Z' || *p == 'z';
	if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':')
		return false;
	uint32_t hours = digits_2(p + 1), minutes = digits_2(p + 4);
	if (hours > 23 || minutes > 59)
		return false;
	int64_t s = hours * 3600 + minutes * 60;
	*offset_s = *p == '-' ? -s : s;
	return true;
}

bool us_from_rfc3339(struct str text, int64_t *us, bool *more_digits)
{
	const char *p = text.p;
	uint32_t part_us = 0;
	bool more = false;
	int64_t offset_s;

	if (text.n < 20 || p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != 't' && p[10] != ' ') ||
	    p[13] != ':' || p[16] != ':')
		return false;
	uint32_t year = digits_4(p), month = digits_2(p + 5), day = digits_2(p + 8);
	uint32_t hour = digits_2(p + 11), minute = digits_2(p + 14), second = digits_2(p + 17);
	if (!civil_is_sound(year, month, day, hour, minute, second))
		return false;
	const char *end = p + text.n;
	p += 19;
	if (*p == '.') {
		size_t n = fraction_read(p + 1, end, text.n, &part_us, &more);
		if (n == 0 || (more && !more_digits))
			return false;
		p += 1 + n;
	}
	if (!rfc3339_offset_read(p, end, &offset_s))
		return false;
	int64_t s = days_from_civil((int32_t)year, month, day) * INT64_C(86400) + hour * 3600 + minute * 60 + second;
	int64_t v = (s - offset_s) * US_PER_SECOND + part_us;
	if (v < TEXT_US_MIN || v > TEXT_US_MAX)
		return false;
	*us = v;
	if (more_digits)
		*more_digits = more;
	return true;
}

/* ── HTTP dates ── */

static const char day_names[][10] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };

static bool day_name_is_one(const char *p, size_t n, bool whole)
{
	for (size_t i = 0; i < sizeof day_names / sizeof *day_names; i++) {
		size_t wanted = whole ? strlen(day_names[i]) : 3;
		if (n == wanted && memcmp(p, day_names[i], n) == 0)
			return true;
	}
	return false;
}

/* 0 for a name that is none */
static uint32_t month_number(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (uint32_t i = 0; i < 12; i++)
		if (memcmp(p, names + (size_t)i * 3, 3) == 0)
			return i + 1;
	return 0;
}

/* "08:49:37" at `clock`; second 60 counts as the one after 59. */
static bool http_date_join(uint32_t year, uint32_t month, uint32_t day, const char *clock, int64_t *us)
{
	uint32_t hour = digits_2(clock), minute = digits_2(clock + 3), second = digits_2(clock + 6);
	bool leap = second == 60;

	if (leap)
		second = 59;
	if (clock[2] != ':' || clock[5] != ':' || !civil_is_sound(year, month, day, hour, minute, second))
		return false;
	*us = us_from_civil(civil_of(year, month, day, hour, minute, second, 0)) + (leap ? US_PER_SECOND : 0);
	return true;
}

/* "06-Nov-94 08:49:37 GMT", after the day's name. The latest such year that lies at most 50 years after now. */
static bool rfc850_read(const char *p, int64_t now_us, int64_t *us)
{
	uint32_t day = digits_2(p), month = month_number(p + 3), year_of_century = digits_2(p + 7);
	struct civil limit = civil_from_us(now_us);

	if (p[2] != '-' || p[6] != '-' || p[9] != ' ' || memcmp(p + 18, " GMT", 4) != 0 || year_of_century > 99)
		return false;
	limit.year += 50;
	if (limit.month == 2 && limit.day == 29)
		limit.day = 28;
	if (limit.year < 200 || limit.year > 9999)
		return false;
	int64_t limit_us = us_from_civil(limit);
	uint32_t year = (uint32_t)limit.year / 100 * 100 + year_of_century;
	/* 29 February may exist in one century and not in the other: a year without it is passed over. */
	for (int tries = 0; tries < 3; tries++, year -= 100)
		if (year <= 9999 && http_date_join(year, month, day, p + 10, us) && *us <= limit_us)
			return true;
	return false;
}

bool us_from_http_date_at(struct str text, int64_t now_us, int64_t *us)
{
	const char *p = text.p;
	size_t comma = str_find_char(text, ',');
	int64_t v;

	if (text.n == 29 && comma == 3) { /* Sun, 06 Nov 1994 08:49:37 GMT */
		if (!day_name_is_one(p, 3, false) || p[4] != ' ' || p[7] != ' ' || p[11] != ' ' || p[16] != ' ' ||
		    memcmp(p + 25, " GMT", 4) != 0 ||
		    !http_date_join(digits_4(p + 12), month_number(p + 8), digits_2(p + 5), p + 17, &v))
			return false;
	} else if (comma < text.n) { /* Sunday, 06-Nov-94 08:49:37 GMT */
		if (text.n != comma + 24 || !day_name_is_one(p, comma, true) || p[comma + 1] != ' ' ||
		    !rfc850_read(p + comma + 2, now_us, &v))
			return false;
	} else { /* Sun Nov  6 08:49:37 1994 */
		if (text.n != 24 || !day_name_is_one(p, 3, false) || p[3] != ' ' || p[7] != ' ' || p[10] != ' ' ||
		    p[19] != ' ')
			return false;
		uint32_t day = p[8] == ' ' ? digit_value(p[9]) : digits_2(p + 8);
		if (!http_date_join(digits_4(p + 20), month_number(p + 4), day, p + 11, &v))
			return false;
	}
	*us = v;
	return true;
}

bool us_from_http_date(struct str text, int64_t *us)
{
	static const int64_t end_of_2019_us = INT64_C(1577836799999999);

	return us_from_http_date_at(text, end_of_2019_us, us);
}
