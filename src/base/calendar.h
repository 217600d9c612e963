/* Days, zones and steps. Proleptic Gregorian calendar; instants are int64 microseconds since 1970-01-01T00:00:00Z
 * ("us"), days are int32 since 1970-01-01. No leap seconds, as in POSIX.
 *
 * Zones come from TZif files (RFC 8536) read by our own reader, versions 1 to 4, with the POSIX footer for years
 * behind the table: libc would turn an unknown zone into UTC without a word. Searched in $SLUICE_ZONEINFO, then
 * /usr/share/zoneinfo; "UTC" needs no file. */
#ifndef SLUICE_BASE_CALENDAR_H
#define SLUICE_BASE_CALENDAR_H

#include "base/err.h"
#include "base/mem.h"

enum { US_PER_SECOND = 1000000, S_PER_DAY = 86400 };
#define US_PER_DAY INT64_C(86400000000)
/* Years that can be counted in int64 microseconds with room to spare: those beyond are our own mistake. */
enum { CIVIL_YEAR_MAX = 290000 };

struct civil {
	int32_t year;
	uint8_t month, day; /* from 1 */
	uint8_t hour, minute, second;
	uint32_t us;
};

int32_t days_from_civil(int32_t year, unsigned month, unsigned day);
struct civil civil_from_us(int64_t us); /* in UTC */
int64_t us_from_civil(struct civil c);  /* fields must be in range */
unsigned days_in_month(int32_t year, unsigned month);
/* The same in whole seconds, which leave room for offsets at both ends of the range. */
struct civil civil_from_s(int64_t s, uint32_t us);
int64_t s_from_civil(struct civil c); /* c.us is left out */

/* Rounded down, also below zero, and what is left then, 0 to b - 1; b > 0. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static inline int64_t floor_rest(int64_t a, int64_t b)
{
	int64_t rest = a % b;
	return rest < 0 ? rest + b : rest;
}

struct zone; /* immutable once loaded; safe to share between threads */
bool zone_load(struct str name, struct arena *a, const struct zone **out, struct err *e); /* ERR_CONFIG if unknown */
struct str zone_name(const struct zone *z);
int32_t zone_offset_s(const struct zone *z, int64_t us); /* seconds east of UTC at this instant */
/* Wall clock to instant. A time that occurs twice gives the first; one that is skipped gives the instant of the jump. */
int64_t zone_us_from_civil(const struct zone *z, struct civil local);
/* How often the wall clock shows this time; for NEVER and TWICE the function above says which instant it gives. */
enum wall_time { WALL_ONCE, WALL_TWICE, WALL_NEVER };
enum wall_time zone_wall_time(const struct zone *z, struct civil local);
struct civil zone_civil_from_us(const struct zone *z, int64_t us);

/* ── steps: the widths of windows ── */

enum step_unit { STEP_MINUTE, STEP_HOUR, STEP_DAY, STEP_WEEK, STEP_MONTH };
struct step {
	enum step_unit unit;
	uint32_t count; /* 1.. ; "6h" is {STEP_HOUR, 6} */
	const struct zone *zone; /* counts for day, week, month; shorter steps run in UTC */
};
enum { STEP_COUNT_MAX = 100000 };
/* "15m" "6h" "1d" "1w" "1M": what `every`, `lookback`, `settle` accept. No leading zeros; 1..STEP_COUNT_MAX. */
bool step_parse(struct str text, enum step_unit *unit, uint32_t *count);
/* The grid's origin is 1970-01-01 local midnight (weeks: Monday 1970-01-05); it extends both ways. Steps are intervals
 * of instants: each begins when the wall clock first reaches its midnight, so that a clock set back across midnight
 * does not reopen the day before, and a day that a zone left out (Pacific/Apia 2011-12-30) is no step.
 * step_floor(us) <= us < step_next(step_floor(us)), always. */
int64_t step_floor(const struct step *s, int64_t us); /* start of the step that contains us */
int64_t step_next(const struct step *s, int64_t start_us);  /* start of the following step; start_us on the grid */
/* Durations such as "30s", "500ms", "15m", "24h", "3d", "1w" (a day is 24 hours here) in microseconds; "0" needs no
 * unit. No sign, no fraction; up to 100 years. */
bool duration_parse(struct str text, int64_t *us);

/* ── texts ── */

struct str us_to_rfc3339(int64_t us, struct arena *a);  /* 2013-01-01T05:00:00Z, with .ffffff only when not zero */
struct str us_to_compact(int64_t us, struct arena *a);  /* 20130101T050000Z; a part of a second is left out */
bool us_from_compact(struct str text, int64_t *us);
/* RFC 3339 date-time with Z or an offset ("T", "t" or one space between; seconds required; any number of digits of
 * fraction, of which those beyond the sixth must be zero or *more_digits is set). A NULL more_digits refuses them.
 * Instants outside the years 0000 to 9999 are refused, and so is second 60: no instant here can stand for it. */
bool us_from_rfc3339(struct str text, int64_t *us, bool *more_digits);
bool days_from_text(struct str text, int32_t *days); /* YYYY-MM-DD, a day that exists */
/* HTTP date, RFC 9110 5.6.7: the three forms. Second 60 is read as the second after it. The day's name must be one, but
 * may be the wrong one. Two-digit years: a date more than 50 years after now_us is in the century before; the short
 * form, for callers without a clock, reads 70..99 as 19xx and 00..69 as 20xx. */
bool us_from_http_date_at(struct str text, int64_t now_us, int64_t *us);
bool us_from_http_date(struct str text, int64_t *us);
/* strftime-like reading by pattern: %Y %m %d %H %M %S %f (1-9 digits) %z (+hh:mm, +hhmm, Z) %% and literal bytes.
 * Without %z the wall clock is read in `zone` (NULL: refused). Year, month and day are compulsory, the time of day is
 * midnight where not given, and no letter stands twice: pattern_check() tells ahead whether a pattern can be read.
 * *wall (may be NULL) says whether the wall clock shows that time at all; with an offset it is WALL_ONCE. */
bool pattern_check(struct str pattern, bool *has_offset);
bool us_from_pattern(struct str text, struct str pattern, const struct zone *zone, int64_t *us, bool *more_digits,
		     enum wall_time *wall);
/* Writing: the same letters, any of them; %f is six digits; %z is +hh:mm, and Z for no offset. In the zone given (NULL is
 * UTC). False for an unknown letter, years outside 0000 to 9999, and %z of an offset with seconds. */
bool us_to_pattern(int64_t us, struct str pattern, const struct zone *zone, struct arena *a, struct str *out);

#endif
