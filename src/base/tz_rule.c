/* POSIX TZ strings, as they stand in the footer of TZif files: "CET-1CEST,M3.5.0,M10.5.0/3". */
#include "base/tzif.h"

struct cursor {
	const char *p, *end;
};

static bool cursor_take(struct cursor *c, char wanted)
{
	if (c->p == c->end || *c->p != wanted)
		return false;
	c->p++;
	return true;
}

static bool char_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool char_is_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* At least one digit, a value of at most max (under 1000). */
static bool cursor_number(struct cursor *c, int32_t max, int32_t *out)
{
	int32_t v = 0;

	if (c->p == c->end || !char_is_digit(*c->p))
		return false;
	for (; c->p < c->end && char_is_digit(*c->p); c->p++) {
		v = v * 10 + (*c->p - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

static bool cursor_name(struct cursor *c)
{
	bool quoted = cursor_take(c, '<');
	const char *from = c->p;

	while (c->p < c->end && (char_is_alpha(*c->p) ||
	                         (quoted && (char_is_digit(*c->p) || *c->p == '+' || *c->p == '-'))))
		c->p++;
	return c->p - from >= 3 && (!quoted || cursor_take(c, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool cursor_time(struct cursor *c, int32_t hour_max, int32_t *out_s)
{
	bool negative = cursor_take(c, '-');
	int32_t hours, minutes = 0, seconds = 0;

	if (!negative)
		(void)cursor_take(c, '+');
	if (!cursor_number(c, hour_max, &hours))
		return false;
	if (cursor_take(c, ':')) {
		if (!cursor_number(c, 59, &minutes))
			return false;
		if (cursor_take(c, ':') && !cursor_number(c, 59, &seconds))
			return false;
	}
	int32_t s = hours * 3600 + minutes * 60 + seconds;
	*out_s = negative ? -s : s;
	return true;
}

static bool cursor_change(struct cursor *c, struct tz_change *change)
{
	int32_t month, week;

	change->time_s = 2 * 3600;
	if (cursor_take(c, 'M')) {
		change->kind = TZ_DAY_WEEKDAY;
		if (!cursor_number(c, 12, &month) || month < 1 || !cursor_take(c, '.') ||
		    !cursor_number(c, 5, &week) || week < 1 || !cursor_take(c, '.') ||
		    !cursor_number(c, 6, &change->day))
			return false;
		change->month = (uint8_t)month;
		change->week = (uint8_t)week;
	} else if (cursor_take(c, 'J')) {
		change->kind = TZ_DAY_JULIAN;
		if (!cursor_number(c, 365, &change->day) || change->day < 1)
			return false;
	} else {
		change->kind = TZ_DAY_ZERO;
		if (!cursor_number(c, 365, &change->day))
			return false;
	}
	return !cursor_take(c, '/') || cursor_time(c, 167, &change->time_s);
}

const char *tz_rule_parse(struct str text, struct tz_rule *rule)
{
	struct cursor c;
	int32_t west_s;

	*rule = (struct tz_rule){ 0 };
	if (text.n > TZ_RULE_TEXT_MAX)
		return "the rule in the footer is too long";
	if (text.n == 0)
		return "the rule in the footer is empty";
	c = (struct cursor){ text.p, text.p + text.n };
	if (!cursor_name(&c))
		return "the rule in the footer has no name for standard time";
	if (!cursor_time(&c, 24, &west_s))
		return "the rule in the footer has no offset";
	rule->standard_s = rule->daylight_s = -west_s;
	if (c.p == c.end)
		return NULL;

	rule->has_daylight = true;
	if (!cursor_name(&c))
		return "the rule in the footer has a bad name for daylight time";
	rule->daylight_s = rule->standard_s + 3600;
	if (c.p < c.end && *c.p != ',') {
		if (!cursor_time(&c, 24, &west_s))
			return "the rule in the footer has a bad offset for daylight time";
		rule->daylight_s = -west_s;
	}
	if (!cursor_take(&c, ',') || !cursor_change(&c, &rule->start) ||
	    !cursor_take(&c, ',') || !cursor_change(&c, &rule->end))
		return "the rule in the footer does not say well when daylight time starts and ends";
	return c.p == c.end ? NULL : "something follows the rule in the footer";
}

static int64_t change_days(const struct tz_change *change, int32_t year)
{
	int32_t new_year = days_from_civil(year, 1, 1);

	switch (change->kind) {
	case TZ_DAY_JULIAN: /* 29 February is never counted: day 60 is always 1 March */
		return new_year + change->day - 1 + (change->day >= 60 && days_in_month(year, 2) == 29);
	case TZ_DAY_ZERO:
		return new_year + change->day;
	case TZ_DAY_WEEKDAY:
		break;
	}
	int32_t first = days_from_civil(year, change->month, 1);
	int32_t first_weekday = (int32_t)floor_rest(first + 4, 7); /* 1970-01-01 was a Thursday */
	int32_t day = (change->day - first_weekday + 7) % 7 + 7 * (change->week - 1);
	while (day >= (int32_t)days_in_month(year, change->month)) /* week 5 is the last one */
		day -= 7;
	return first + day;
}

int64_t tz_rule_start_s(const struct tz_rule *rule, int32_t year)
{
	return change_days(&rule->start, year) * S_PER_DAY + rule->start.time_s - rule->standard_s;
}

int64_t tz_rule_end_s(const struct tz_rule *rule, int32_t year)
{
	return change_days(&rule->end, year) * S_PER_DAY + rule->end.time_s - rule->daylight_s;
}
