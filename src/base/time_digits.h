/* Reading fixed fields of digits, for time_text.c and time_pattern.c. Every value is checked by its caller against
 * what the field may hold; DIGITS_BAD is above all of that. */
#ifndef SLUICE_BASE_TIME_DIGITS_H
#define SLUICE_BASE_TIME_DIGITS_H

#include "base/calendar.h"

#define DIGITS_BAD UINT32_C(100000)
/* What has a form of four digits for its year: 0000-01-01T00:00:00Z to the last microsecond of 9999. */
#define TEXT_US_MIN (INT64_C(-62167219200) * US_PER_SECOND)
#define TEXT_US_MAX (INT64_C(253402300800) * US_PER_SECOND - 1)

static inline uint32_t digit_value(char c)
{
	uint32_t v = (uint32_t)(unsigned char)c - '0';
	return v <= 9 ? v : DIGITS_BAD;
}

static inline uint32_t digits_2(const char *p)
{
	return digit_value(p[0]) * 10 + digit_value(p[1]);
}

static inline uint32_t digits_4(const char *p)
{
	return digits_2(p) * 100 + digits_2(p + 2);
}

/* Puts date and time together if all fields are in range (year: any four digits). */
static inline bool civil_is_sound(uint32_t year, uint32_t month, uint32_t day, uint32_t hour, uint32_t minute,
				  uint32_t second)
{
	return year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
	       (day <= 28 || day <= days_in_month((int32_t)year, month)) && hour <= 23 && minute <= 59 && second <= 59;
}

static inline struct civil civil_of(uint32_t year, uint32_t month, uint32_t day, uint32_t hour, uint32_t minute,
				    uint32_t second, uint32_t us)
{
	return (struct civil){ (int32_t)year, (uint8_t)month, (uint8_t)day, (uint8_t)hour, (uint8_t)minute,
			       (uint8_t)second, us };
}

/* Digits of a fraction of a second from p on, at most digits_max; gives how many. What is below a microsecond is cut
 * off, and *more set if it is not zero. */
size_t fraction_read(const char *p, const char *end, size_t digits_max, uint32_t *us, bool *more);
/* Writes exactly n digits of v, with zeros in front. */
char *digits_write(char *to, uint32_t v, unsigned n);

#endif
