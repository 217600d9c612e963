/* The inside of a zone, and the readers of its two notations: TZif files (RFC 8536, RFC 9636) and the POSIX TZ string
 * in their footer. For zone.c and its tests; all others use calendar.h.
 *
 * A zone is one ascending list of spans of constant offset. The footer's rule is written out into it for a little
 * more than 400 years: then the Gregorian calendar repeats itself to the weekday, so instants behind the list are
 * moved back by whole cycles and the list answers for all time. */
#ifndef SLUICE_BASE_TZIF_H
#define SLUICE_BASE_TZIF_H

#include "base/calendar.h"

enum {
	TZIF_SIZE_MAX = 256 << 10, /* the largest real ones have 4 KiB */
	TZ_RULE_TEXT_MAX = 255,
	TZ_OFFSET_MAX_S = 26 * 3600, /* RFC 8536 3.2, both ways */
};
#define TZ_CYCLE_S (INT64_C(146097) * S_PER_DAY)

struct tz_span {
	int64_t from_s;   /* spans[0]: INT64_MIN */
	int32_t offset_s; /* east of UTC */
};

struct zone {
	struct str name;
	const struct tz_span *spans;
	size_t span_n;        /* at least 1 */
	bool cycles;          /* the list repeats itself from cycle_from_s on, every TZ_CYCLE_S */
	bool cycles_back;     /* and before it: the file has nothing but a rule */
	int64_t cycle_from_s;
};

enum tz_day_kind { TZ_DAY_JULIAN, TZ_DAY_ZERO, TZ_DAY_WEEKDAY }; /* Jn, n, Mm.w.d */

struct tz_change {
	enum tz_day_kind kind;
	int32_t day; /* 1..365, 0..365, or 0 (Sunday)..6 */
	uint8_t month, week;
	int32_t time_s; /* from that day's midnight, -167 h to 167 h and the minutes of the hour */
};

struct tz_rule {
	int32_t standard_s, daylight_s; /* east of UTC */
	bool has_daylight;
	struct tz_change start, end; /* of daylight time; start counts in standard, end in daylight time */
};

/* These give NULL, or what is wrong. */
const char *tz_rule_parse(struct str text, struct tz_rule *rule);
const char *tzif_parse(struct str bytes, struct arena *a, struct zone *z); /* all but the name */

/* The instants at which daylight time starts and ends in this year, in seconds; has_daylight only. */
int64_t tz_rule_start_s(const struct tz_rule *rule, int32_t year);
int64_t tz_rule_end_s(const struct tz_rule *rule, int32_t year);

#endif
