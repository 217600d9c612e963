#include "base/calendar.h"
#include "base/file.h"
#include "base/tzif.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ZONE_NAME_MAX = 127, ZONE_PATH_MAX = 4096 };

static const struct tz_span utc_span = { INT64_MIN, 0 };
static const struct zone utc = { .name = { "UTC", 3 }, .spans = &utc_span, .span_n = 1 };

/* A name becomes part of a path: letters, digits, '_', '+', '-' in parts between single slashes. Points do not occur
 * in names of zones, so neither "." nor ".." can. "localtime" is whatever this machine is set to: no name at all. */
static bool zone_name_is_sound(struct str name)
{
	if (name.n == 0 || name.n > ZONE_NAME_MAX || str_eq(name, STR("localtime")))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (c == '/' ? i == 0 || i + 1 == name.n || name.p[i - 1] == '/'
			     : !letter && c != '_' && c != '+' && c != '-')
			return false;
	}
	return true;
}

/* How the text of a refused name may be shown: it can hold anything. */
static struct str zone_name_shown(struct str name, char shown[static 64])
{
	size_t n = name.n < 63 ? name.n : 63;

	for (size_t i = 0; i < n; i++)
		shown[i] = name.p[i] >= ' ' && name.p[i] <= '~' ? name.p[i] : '?';
	return (struct str){ shown, n };
}

enum found { FOUND, FOUND_NOTHING, FOUND_ERROR };

static enum found zone_read(const char *folder, struct str name, struct arena *a, struct zone *z, struct err *e)
{
	char path[ZONE_PATH_MAX];
	struct err read_error = ERR_INIT;
	struct str bytes;

	int n = snprintf(path, sizeof path, "%s/%.*s", folder, STR_ARG(name));
	if (n < 0 || (size_t)n >= sizeof path) {
		err_set(e, ERR_CONFIG, "zone \"%.*s\": the path of the zone folder is too long", STR_ARG(name));
		return FOUND_ERROR;
	}
	if (!file_read(path, TZIF_SIZE_MAX, a, &bytes, &read_error)) {
		/* "America" is a folder, "America/New_York/City" would be in a file: both are unknown, not broken. */
		if (read_error.code == ERR_MISSING || read_error.sys_errno == EISDIR ||
		    read_error.sys_errno == ENOTDIR)
			return FOUND_NOTHING;
		if (read_error.code == ERR_TOO_LARGE)
			err_set(e, ERR_CONFIG, "zone \"%.*s\": %s is not a zone file: it is too large",
				STR_ARG(name), path);
		else {
			*e = read_error;
			err_wrap(e, "zone \"%.*s\"", STR_ARG(name));
		}
		return FOUND_ERROR;
	}
	const char *why = tzif_parse(bytes, a, z);
	if (why) {
		err_set(e, ERR_CONFIG, "zone \"%.*s\": %s is not a usable zone file: %s", STR_ARG(name), path, why);
		return FOUND_ERROR;
	}
	return FOUND;
}

bool zone_load(struct str name, struct arena *a, const struct zone **out, struct err *e)
{
	const char *folders[] = { getenv("SLUICE_ZONEINFO"), "/usr/share/zoneinfo" };
	char shown[64];

	if (str_eq(name, STR("UTC"))) {
		*out = &utc;
		return true;
	}
	if (!zone_name_is_sound(name)) {
		err_set(e, ERR_CONFIG, "zone \"%.*s\": this is no name of a zone",
			STR_ARG(zone_name_shown(name, shown)));
		return err_hint(e, "zones have the names of the IANA database, for instance Europe/Berlin or UTC");
	}
	struct zone *z = arena_new(a, struct zone);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		if (!folders[i] || !*folders[i])
			continue;
		switch (zone_read(folders[i], name, a, z, e)) {
		case FOUND:
			z->name = arena_copy(a, name);
			*out = z;
			return true;
		case FOUND_ERROR:
			return false;
		case FOUND_NOTHING:
			break;
		}
	}
	err_set(e, ERR_CONFIG, "zone \"%.*s\": unknown; there is no such file in %s%s%s", STR_ARG(name),
		folders[0] && *folders[0] ? folders[0] : "", folders[0] && *folders[0] ? " or " : "", folders[1]);
	return err_hint(e, "zones have the names of the IANA database, for instance Europe/Berlin or UTC; "
			   "their files come with the package tzdata");
}

struct str zone_name(const struct zone *z)
{
	return z->name;
}

/* What to take off an instant to bring it into the part of the list that repeats itself. */
static int64_t zone_cycle_shift_s(const struct zone *z, int64_t s)
{
	if (!z->cycles || (s < z->cycle_from_s && !z->cycles_back))
		return 0;
	return floor_div(s - z->cycle_from_s, TZ_CYCLE_S) * TZ_CYCLE_S;
}

static size_t zone_find_span(const struct zone *z, int64_t s)
{
	size_t low = 0, high = z->span_n; /* spans[low].from_s <= s < spans[high].from_s */

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (z->spans[middle].from_s <= s)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int32_t zone_offset_at_s(const struct zone *z, int64_t s)
{
	return z->spans[zone_find_span(z, s - zone_cycle_shift_s(z, s))].offset_s;
}

int32_t zone_offset_s(const struct zone *z, int64_t us)
{
	return zone_offset_at_s(z, floor_div(us, US_PER_SECOND));
}

/* The first instant at which the wall clock shows this time or a later one: that is the first of two, and the jump for
 * one that is skipped; and it never goes back while local_us goes on, on which steps rely. *span is where it lies, and
 * *shift_s what to take off to get there. */
static int64_t zone_find_local(const struct zone *z, int64_t local_s, size_t *span, int64_t *cycle_shift_s, bool *skipped)
{
	int64_t earliest_s = local_s - TZ_OFFSET_MAX_S;
	int64_t shift_s = zone_cycle_shift_s(z, earliest_s);
	size_t i = zone_find_span(z, earliest_s - shift_s);

	for (;; i++) {
		int64_t s = local_s - shift_s - z->spans[i].offset_s;
		*skipped = s < z->spans[i].from_s;
		if (*skipped)
			s = z->spans[i].from_s;
		if (i + 1 == z->span_n || s < z->spans[i + 1].from_s) {
			*span = i;
			*cycle_shift_s = shift_s;
			return s + shift_s;
		}
	}
}

int64_t zone_us_from_civil(const struct zone *z, struct civil local)
{
	size_t span;
	int64_t shift_s;
	bool skipped;
	int64_t s = zone_find_local(z, s_from_civil(local), &span, &shift_s, &skipped);
	return s * US_PER_SECOND + (skipped ? 0 : local.us);
}

enum wall_time zone_wall_time(const struct zone *z, struct civil local)
{
	size_t i;
	int64_t local_s = s_from_civil(local), shift_s;
	bool skipped;
	zone_find_local(z, local_s, &i, &shift_s, &skipped);
	if (skipped)
		return WALL_NEVER;
	local_s -= shift_s;
	/* Again in a later span, of those that begin before the most western clock has passed it. */
	while (++i < z->span_n && z->spans[i].from_s <= local_s + TZ_OFFSET_MAX_S) {
		int64_t s = local_s - z->spans[i].offset_s;
		if (s >= z->spans[i].from_s && (i + 1 == z->span_n || s < z->spans[i + 1].from_s))
			return WALL_TWICE;
	}
	return WALL_ONCE;
}

struct civil zone_civil_from_us(const struct zone *z, int64_t us)
{
	int64_t s = floor_div(us, US_PER_SECOND);
	return civil_from_s(s + zone_offset_at_s(z, s), (uint32_t)floor_rest(us, US_PER_SECOND));
}
