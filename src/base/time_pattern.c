/* Time by pattern, strftime's letters: how an API writes its instants, and how it wants to be asked. */
#include "base/calendar.h"
#include "base/time_digits.h"

enum field { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, FRACTION, OFFSET, FIELD_COUNT };

static bool field_of_letter(char letter, enum field *field)
{
	static const char letters[FIELD_COUNT] = { 'Y', 'm', 'd', 'H', 'M', 'S', 'f', 'z' };

	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		if (letters[i] == letter) {
			*field = (enum field)i;
			return true;
		}
	}
	return false;
}

bool pattern_check(struct str pattern, bool *has_offset)
{
	unsigned seen = 0;
	enum field field;

	for (size_t i = 0; i < pattern.n; i++) {
		if (pattern.p[i] != '%')
			continue;
		if (++i == pattern.n)
			return false;
		if (pattern.p[i] == '%')
			continue;
		if (!field_of_letter(pattern.p[i], &field) || seen & 1u << field)
			return false;
		seen |= 1u << field;
	}
	*has_offset = seen & 1u << OFFSET;
	return (seen & 1u << YEAR) && (seen & 1u << MONTH) && (seen & 1u << DAY);
}

/* "Z", "+hhmm" or "+hh:mm" at p; gives its length, 0 if there is none. */
static size_t offset_read(const char *p, size_t n, int64_t *offset_s)
{
	*offset_s = 0;
	if (n >= 1 && (*p == 'Z' || *p == 'z'))
		return 1;
	if (n < 5 || (*p != '+' && *p != '-'))
		return 0;
	size_t colon = p[3] == ':';
	if (n < 5 + colon)
		return 0;
	uint32_t hours = digits_2(p + 1), minutes = digits_2(p + 3 + colon);
	if (hours > 23 || minutes > 59)
		return 0;
	int64_t s = hours * 3600 + minutes * 60;
	*offset_s = *p == '-' ? -s : s;
	return 5 + colon;
}

struct reading {
	uint32_t v[FIELD_COUNT]; /* of FRACTION: microseconds */
	int64_t offset_s;
	bool more;
};

static size_t field_read(enum field field, const char *p, size_t n, struct reading *r)
{
	size_t wanted = field == YEAR ? 4 : 2;

	if (field == FRACTION)
		return fraction_read(p, p + n, 9, &r->v[FRACTION], &r->more);
	if (field == OFFSET)
		return offset_read(p, n, &r->offset_s);
	if (n < wanted)
		return 0;
	r->v[field] = field == YEAR ? digits_4(p) : digits_2(p);
	return wanted; /* what are no digits is out of range, which is found at the end */
}

bool us_from_pattern(struct str text, struct str pattern, const struct zone *zone, int64_t *us, bool *more_digits,
		     enum wall_time *wall)
{
	struct reading r = { 0 };
	bool has_offset;
	size_t at = 0;
	int64_t v;

	if (text.n == 0 || !pattern_check(pattern, &has_offset) || (!has_offset && !zone))
		return false;
	for (size_t i = 0; i < pattern.n; i++) {
		enum field field;
		size_t n;
		if (pattern.p[i] != '%' || pattern.p[++i] == '%') {
			if (at == text.n || text.p[at] != pattern.p[i])
				return false;
			at++;
			continue;
		}
		if (!field_of_letter(pattern.p[i], &field) ||
		    (n = field_read(field, text.p + at, text.n - at, &r)) == 0)
			return false;
		at += n;
	}
	if (at != text.n || (r.more && !more_digits) ||
	    !civil_is_sound(r.v[YEAR], r.v[MONTH], r.v[DAY], r.v[HOUR], r.v[MINUTE], r.v[SECOND]))
		return false;
	struct civil c = civil_of(r.v[YEAR], r.v[MONTH], r.v[DAY], r.v[HOUR], r.v[MINUTE], r.v[SECOND], r.v[FRACTION]);
	v = has_offset ? us_from_civil(c) - r.offset_s * US_PER_SECOND : zone_us_from_civil(zone, c);
	if (v < TEXT_US_MIN || v > TEXT_US_MAX)
		return false;
	*us = v;
	if (more_digits)
		*more_digits = r.more;
	if (wall)
		*wall = has_offset ? WALL_ONCE : zone_wall_time(zone, c);
	return true;
}

static char *offset_write(char *to, int32_t offset_s)
{
	if (offset_s == 0) {
		*to++ = 'Z';
		return to;
	}
	uint32_t s = (uint32_t)(offset_s < 0 ? -offset_s : offset_s);
	*to++ = offset_s < 0 ? '-' : '+';
	to = digits_write(to, s / 3600, 2);
	*to++ = ':';
	return digits_write(to, s / 60 % 60, 2);
}

bool us_to_pattern(int64_t us, struct str pattern, const struct zone *zone, struct arena *a, struct str *out)
{
	enum { FIELD_SIZE_MAX = 6 };
	int32_t offset_s = zone ? zone_offset_s(zone, us) : 0;
	struct civil c = zone ? zone_civil_from_us(zone, us) : civil_from_us(us);

	if (c.year < 0 || c.year > 9999)
		return false;
	const uint32_t v[] = { (uint32_t)c.year, c.month, c.day, c.hour, c.minute, c.second, c.us };
	char *text = arena_alloc(a, mem_size(pattern.n + 1, FIELD_SIZE_MAX)), *to = text;
	for (size_t i = 0; i < pattern.n; i++) {
		enum field field;
		if (pattern.p[i] != '%') {
			*to++ = pattern.p[i];
			continue;
		}
		if (++i == pattern.n)
			return false;
		if (pattern.p[i] == '%')
			*to++ = '%';
		else if (!field_of_letter(pattern.p[i], &field))
			return false;
		else if (field == OFFSET && offset_s % 60 != 0)
			return false;
		else if (field == OFFSET)
			to = offset_write(to, offset_s);
		else
			to = digits_write(to, v[field], field == YEAR ? 4 : field == FRACTION ? 6 : 2);
	}
	*out = (struct str){ text, (size_t)(to - text) };
	return true;
}
