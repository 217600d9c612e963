#include "base/calendar.h"
#include "base/check.h"

enum { MONDAY_DAYS = 4 }; /* 1970-01-05, from which weeks count */

/* 0 for steps that count local days or months */
static int64_t step_fixed_us(const struct step *s)
{
	CHECK(s->count >= 1 && s->count <= STEP_COUNT_MAX);
	switch (s->unit) {
	case STEP_MINUTE:
		return s->count * INT64_C(60) * US_PER_SECOND;
	case STEP_HOUR:
		return s->count * INT64_C(3600) * US_PER_SECOND;
	case STEP_DAY:
	case STEP_WEEK:
	case STEP_MONTH:
		break;
	}
	CHECK(s->zone != NULL);
	return 0;
}

static int64_t fixed_start(int64_t fixed_us, int64_t number)
{
	int64_t us;

	CHECK(!__builtin_mul_overflow(fixed_us, number, &us));
	return us;
}

static int64_t step_days(const struct step *s)
{
	return s->unit == STEP_WEEK ? s->count * INT64_C(7) : s->count;
}

/* Start of the step with this number; 0 is the one at the origin. */
static int64_t step_start(const struct step *s, int64_t number)
{
	struct civil c;

	if (s->unit == STEP_MONTH) {
		int64_t months = number * s->count;
		int64_t year = 1970 + floor_div(months, 12);
		c = (struct civil){ .year = (int32_t)year, .month = (uint8_t)(floor_rest(months, 12) + 1), .day = 1 };
	} else {
		int64_t days = number * step_days(s) + (s->unit == STEP_WEEK ? MONDAY_DAYS : 0);
		c = civil_from_s(days * S_PER_DAY, 0);
	}
	return zone_us_from_civil(s->zone, c);
}

/* The last step that starts at or before this instant. The local date is a good guess, but where a clock was set back
 * across midnight it is behind, and of a day that was left out start and end are the same instant. */
static int64_t step_number(const struct step *s, int64_t us)
{
	struct civil c = zone_civil_from_us(s->zone, us);
	int64_t number;

	if (s->unit == STEP_MONTH)
		number = floor_div((c.year - INT64_C(1970)) * 12 + c.month - 1, s->count);
	else
		number = floor_div(days_from_civil(c.year, c.month, c.day) - (s->unit == STEP_WEEK ? MONDAY_DAYS : 0),
				   step_days(s));
	while (step_start(s, number) > us)
		number--;
	while (step_start(s, number + 1) <= us)
		number++;
	return number;
}

int64_t step_floor(const struct step *s, int64_t us)
{
	int64_t fixed_us = step_fixed_us(s);

	return fixed_us ? fixed_start(fixed_us, floor_div(us, fixed_us)) : step_start(s, step_number(s, us));
}

int64_t step_next(const struct step *s, int64_t start_us)
{
	int64_t fixed_us = step_fixed_us(s);

	return fixed_us ? fixed_start(fixed_us, floor_div(start_us, fixed_us) + 1)
			: step_start(s, step_number(s, start_us) + 1);
}

bool step_parse(struct str text, enum step_unit *unit, uint32_t *count)
{
	static const char letters[] = { 'm', 'h', 'd', 'w', 'M' };
	static const enum step_unit units[] = { STEP_MINUTE, STEP_HOUR, STEP_DAY, STEP_WEEK, STEP_MONTH };
	uint64_t n;

	if (text.n < 2 || text.p[0] == '0' || !str_to_u64(str_sub(text, 0, text.n - 1), &n) || n > STEP_COUNT_MAX)
		return false;
	for (size_t i = 0; i < sizeof letters; i++) {
		if (text.p[text.n - 1] == letters[i]) {
			*unit = units[i];
			*count = (uint32_t)n;
			return true;
		}
	}
	return false;
}

bool duration_parse(struct str text, int64_t *us)
{
	static const struct {
		struct str suffix;
		int64_t us;
	} units[] = {
		{ { "ms", 2 }, 1000 },
		{ { "s", 1 }, US_PER_SECOND },
		{ { "m", 1 }, INT64_C(60) * US_PER_SECOND },
		{ { "h", 1 }, INT64_C(3600) * US_PER_SECOND },
		{ { "d", 1 }, US_PER_DAY },
		{ { "w", 1 }, 7 * US_PER_DAY },
	};
	static const int64_t max_us = 36525 * US_PER_DAY;
	uint64_t n;

	if (str_eq(text, STR("0"))) {
		*us = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		struct str suffix = units[i].suffix;
		if (!str_ends(text, suffix) || !str_to_u64(str_sub(text, 0, text.n - suffix.n), &n))
			continue;
		if (n > (uint64_t)(max_us / units[i].us))
			return false;
		*us = (int64_t)n * units[i].us;
		return true;
	}
	return false;
}
