#include "unit.h"

#include "base/buf.h"
#include "base/tzif.h"
#include "time_table.h"

#include <sys/stat.h>

/* ── building files ── */

struct file_spec {
	char version;
	const char *footer; /* NULL: none */
	uint32_t transition_n, type_n;
	int64_t at_s[4];
	uint8_t type[4];
	int32_t offset_s[3];
};

static void put(struct buf *b, uint64_t v, size_t n)
{
	for (size_t i = n; i > 0; i--)
		assert_true(buf_add_char(b, (char)(v >> (8 * (i - 1)) & 0xff)));
}

static void put_part(struct buf *b, const struct file_spec *f, size_t time_size)
{
	assert_true(buf_add_z(b, "TZif"));
	assert_true(buf_add_char(b, f->version));
	put(b, 0, 8), put(b, 0, 7);
	put(b, 0, 4), put(b, 0, 4), put(b, 0, 4);
	put(b, f->transition_n, 4);
	put(b, f->type_n, 4);
	put(b, 4, 4);
	for (size_t i = 0; i < f->transition_n; i++)
		put(b, (uint64_t)f->at_s[i], time_size);
	for (size_t i = 0; i < f->transition_n; i++)
		put(b, f->type[i], 1);
	for (size_t i = 0; i < f->type_n; i++)
		put(b, (uint32_t)f->offset_s[i], 4), put(b, 0, 2);
	put(b, 0x4c4d5400, 4);
}

static struct buf file_build(const struct file_spec *f)
{
	struct buf b = BUF_INIT(1 << 20);

	put_part(&b, f, 4);
	if (f->version)
		put_part(&b, f, 8);
	if (f->footer)
		buf_addf(&b, "\n%s\n", f->footer);
	return b;
}

static const char *rule_zone(const char *rule, struct arena *a, struct zone *z)
{
	struct file_spec f = { .version = '3', .footer = rule, .type_n = 1 };
	struct buf b = file_build(&f);
	const char *why = tzif_parse(buf_str(&b), a, z);
	buf_free(&b);
	return why;
}

/* ── judged by Python's zoneinfo ── */

static void offsets_as_judged(void **state)
{
	struct arena a = ARENA_INIT;
	struct table t = table_open("zone_offset.tsv", &a);
	const struct zone *z = NULL;

	(void)state;
	while (table_next(&t)) {
		z = table_zone(&t, z, &a);
		int64_t s = table_i64(&t, 1), wanted = table_i64(&t, 2);
		if (zone_offset_s(z, s * US_PER_SECOND) != wanted)
			fail_msg("line %zu: %.*s at %jd: %d, not %jd", t.line, STR_ARG(t.fields[0]), (intmax_t)s,
				 zone_offset_s(z, s * US_PER_SECOND), (intmax_t)wanted);
		struct civil c = zone_civil_from_us(z, s * US_PER_SECOND + 5);
		assert_int_equal(us_from_civil(c), (s + wanted) * US_PER_SECOND + 5);
	}
	assert_true(t.line > 500);
	arena_free(&a);
}

/* Counted the slow way: every offset that the zone ever has, tried at the instant it would mean. */
enum { OFFSETS_MAX = 64 };

static size_t zone_offsets(const struct zone *z, int32_t offsets[static OFFSETS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < z->span_n; i++) {
		size_t k = 0;
		while (k < n && offsets[k] != z->spans[i].offset_s)
			k++;
		assert_true(k < OFFSETS_MAX);
		offsets[k] = z->spans[i].offset_s;
		n += k == n;
	}
	return n;
}

static enum wall_time wall_time_counted(const struct zone *z, const int32_t *offsets, size_t n_offsets, int64_t local_s)
{
	size_t n = 0;
	for (size_t i = 0; i < n_offsets; i++)
		n += zone_offset_s(z, (local_s - offsets[i]) * US_PER_SECOND) == offsets[i];
	return n == 0 ? WALL_NEVER : n == 1 ? WALL_ONCE : WALL_TWICE;
}

/* Around every change that the zone has, and one cycle later. */
static void wall_times_check(const struct zone *z, size_t counted[static 3])
{
	static const int64_t around_s[] = { -86400, -3600, -1800, -1, 0, 1, 1800, 3600, 86400, TZ_CYCLE_S + 1800 };
	int32_t offsets[OFFSETS_MAX];
	size_t n = zone_offsets(z, offsets);
	for (size_t i = 1; i < z->span_n; i++)
		for (size_t k = 0; k < 2 * COUNT(around_s); k++) {
			int64_t s = z->spans[i].from_s + z->spans[i - k % 2].offset_s + around_s[k / 2];
			enum wall_time times = zone_wall_time(z, civil_from_s(s, 0));
			if (times != wall_time_counted(z, offsets, n, s))
				fail_msg("%.*s, wall clock %jd: not %d", STR_ARG(z->name), (intmax_t)s, times);
			counted[times]++;
		}
}

static void wall_clocks_as_judged(void **state)
{
	size_t counted[3] = { 0 };
	struct arena a = ARENA_INIT;
	struct table t = table_open("zone_local.tsv", &a);
	const struct zone *z = NULL;

	(void)state;
	while (table_next(&t)) {
		const struct zone *before = z;
		z = table_zone(&t, z, &a);
		if (z != before)
			wall_times_check(z, counted);
		int64_t local_s = table_i64(&t, 1), wanted_s = table_i64(&t, 2);
		int64_t us = zone_us_from_civil(z, civil_from_s(local_s, 0));
		if (us != wanted_s * US_PER_SECOND)
			fail_msg("line %zu: %.*s, wall clock %jd: %jd, not %jd", t.line, STR_ARG(t.fields[0]),
				 (intmax_t)local_s, (intmax_t)(us / US_PER_SECOND), (intmax_t)wanted_s);
	}
	assert_true(counted[WALL_ONCE] > 100 && counted[WALL_TWICE] > 100 && counted[WALL_NEVER] > 100);
	assert_true(t.line > 100);
	arena_free(&a);
}

static void rules_as_judged(void **state)
{
	struct arena a = ARENA_INIT;
	struct table t = table_open("zone_rule.tsv", &a);
	struct zone z = { 0 };

	(void)state;
	while (table_next(&t)) {
		if (!str_eq(z.name, t.fields[0])) {
			const char *why = rule_zone(arena_zero_terminated(&a, t.fields[0]), &a, &z);
			if (why)
				fail_msg("%.*s: %s", STR_ARG(t.fields[0]), why);
			z.name = t.fields[0];
		}
		int64_t s = table_i64(&t, 1), wanted = table_i64(&t, 2);
		if (zone_offset_s(&z, s * US_PER_SECOND) != wanted)
			fail_msg("line %zu: %.*s at %jd: %d, not %jd", t.line, STR_ARG(t.fields[0]), (intmax_t)s,
				 zone_offset_s(&z, s * US_PER_SECOND), (intmax_t)wanted);
	}
	assert_true(t.line > 500);
	arena_free(&a);
}

/* ── known by hand ── */

static void special_wall_clocks(void **state)
{
	static const struct {
		const char *zone, *local, *instant;
	} cases[] = {
		{ "UTC", "2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z" },
		/* skipped: the jump */
		{ "America/New_York", "2013-03-10T02:30:00.5Z", "2013-03-10T07:00:00Z" },
		{ "America/New_York", "2013-03-10T02:00:00Z", "2013-03-10T07:00:00Z" },
		{ "America/New_York", "2013-03-10T03:00:00.5Z", "2013-03-10T07:00:00.500000Z" },
		{ "America/Sao_Paulo", "2018-11-04T00:00:00Z", "2018-11-04T03:00:00Z" },
		{ "Asia/Beirut", "2022-03-27T00:00:00Z", "2022-03-26T22:00:00Z" },
		{ "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z" },
		/* twice: the first */
		{ "America/New_York", "2013-11-03T01:30:00Z", "2013-11-03T05:30:00Z" },
		{ "America/Havana", "2013-11-03T00:00:00Z", "2013-11-03T04:00:00Z" },
		{ "America/Sao_Paulo", "2018-02-17T23:30:00Z", "2018-02-18T01:30:00Z" },
		/* the clock shows 24:00 only as the 23:00 it jumps back to */
		{ "America/Sao_Paulo", "2018-02-18T00:00:00Z", "2018-02-18T03:00:00Z" },
		/* by the footer, and cycles later */
		{ "Europe/Berlin", "2400-07-01T00:00:00Z", "2400-06-30T22:00:00Z" },
		{ "Europe/Berlin", "9999-01-01T00:00:00Z", "9998-12-31T23:00:00Z" },
	};
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct zone *z;
		int64_t local_us;
		if (!zone_load(str_from(cases[i].zone), &a, &z, &e))
			fail_msg("%s", e.message);
		assert_true(us_from_rfc3339(str_from(cases[i].local), &local_us, NULL));
		struct str got = us_to_rfc3339(zone_us_from_civil(z, civil_from_us(local_us)), &a);
		assert_string_equal(got.p, cases[i].instant);
	}
	arena_free(&a);
}

static void rules_known_by_hand(void **state)
{
	static const struct {
		const char *rule;
		int64_t s;
		int32_t offset_s;
	} cases[] = {
		/* daylight time all the year (RFC 8536 3.3.1): also at the very turn of the year */
		{ "EST5EDT,0/0,J365/25", 1704085200, -4 * 3600 },
		{ "EST5EDT,0/0,J365/25", 1704085199, -4 * 3600 },
		{ "EST5EDT,0/0,J365/25", 1720000000, -4 * 3600 },
		{ "XXX3EDT4,0/0,J365/23", 1704078000, -4 * 3600 },
		/* J60 is 1 March in leap years too, 59 is 29 February there: 2024-02-29T00:00Z, 2024-03-01T00:00Z */
		{ "AAA0BBB,J60/0,J300/0", 1709164800 + 86399, 0 },
		{ "AAA0BBB,J60/0,J300/0", 1709164800 + 86400, 3600 },
		{ "AAA0BBB,59/0,J300/0", 1709164800 - 1, 0 },
		{ "AAA0BBB,59/0,J300/0", 1709164800, 3600 },
		/* the longest hours: a week less an hour away; 2024-03-10T00:00Z is the second Sunday */
		{ "AAA0BBB,M3.2.0/-167,M11.1.0/167", 1710028800 - 167 * 3600 - 1, 0 },
		{ "AAA0BBB,M3.2.0/-167,M11.1.0/167", 1710028800 - 167 * 3600, 3600 },
		/* 2024-11-03T00:00 + 167 h, less the hour of daylight time */
		{ "AAA0BBB,M3.2.0/-167,M11.1.0/167", 1730592000 + 166 * 3600 - 1, 3600 },
		{ "AAA0BBB,M3.2.0/-167,M11.1.0/167", 1730592000 + 166 * 3600, 0 },
		{ "<+0530>-5:30", 0, 19800 },
		{ "<-12>+12:00:00", INT64_C(-9000000000000), -43200 },
		{ "AAA24:59:59", 0, -89999 },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct zone z;
		const char *why = rule_zone(cases[i].rule, &a, &z);
		if (why)
			fail_msg("%s: %s", cases[i].rule, why);
		if (zone_offset_s(&z, cases[i].s * US_PER_SECOND) != cases[i].offset_s)
			fail_msg("%s at %jd: %d", cases[i].rule, (intmax_t)cases[i].s,
				 zone_offset_s(&z, cases[i].s * US_PER_SECOND));
	}
	arena_free(&a);
}

static void bad_rules_are_refused(void **state)
{
	static const char *const cases[] = {
		"CET", "-1", "CE-1", "<CET-1", "<>-1", "<+3>-3", "C3T-1", "CET-", "CET-25", "CET-1:60", "CET-1:00:60",
		"CET-1CEST", "CET-1CEST,", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,", "CET-1CEST,M3.5.0,M10.5.0/",
		"CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0",
		"CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5,M10.5.0",
		"CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,M3.5.0,M10.5.0/-168", "CET-1CEST,J0,J366",
		"CET-1CEST,J1,J366", "CET-1CEST,0,366", "CET-1CEST,M3.5.0,M10.5.0x", "CET-1CEST,M3.5.0,M10.5.0,",
		"CET-1 CEST,M3.5.0,M10.5.0", " CET-1", "CET-99999999999999999999", "CET--1", "CET-1<CEST,M3.5.0,M10.5.0",
		"CET-1\nCEST",
	};
	struct arena a = ARENA_INIT;
	struct zone z;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (!rule_zone(cases[i], &a, &z))
			fail_msg("accepted: %s", cases[i]);
	char long_rule[400];
	memset(long_rule, 'A', sizeof long_rule);
	memcpy(long_rule + 390, "0", 2);
	assert_non_null(rule_zone(long_rule, &a, &z));
	arena_free(&a);
}

/* ── files ── */

static void small_files(void **state)
{
	static const struct {
		struct file_spec file;
		int64_t s;
		int32_t offset_s; /* -1: refused */
	} cases[] = {
#define V1 .version = 0, .type_n = 2, .transition_n = 2, .at_s = { 100, 200 }, .type = { 1, 0 }, .offset_s = { 60, 120 }
		{ { V1 }, 99, 60 },
		{ { V1 }, 100, 120 },
		{ { V1 }, 199, 120 },
		{ { V1 }, INT64_C(9000000000000), 60 },
#undef V1
#define SOME(v, rule) \
	.version = v, .footer = rule, .type_n = 2, .transition_n = 1, .at_s = { 100 }, .type = { 1 }, .offset_s = { 60, 0 }
		{ { SOME('2', "") }, INT64_C(9000000000000), 0 },
		{ { SOME('4', "UTC0") }, 99, 60 },
		{ { SOME('4', "UTC0") }, 100, 0 },
		{ { SOME('3', "UTC0AAA,M3.5.0,M10.5.0") }, 1720000000, 3600 },
		{ { SOME('3', "UTC0AAA,M3.5.0,M10.5.0") }, 99, 60 },
		{ { SOME('3', NULL) }, 0, -1 },
		{ { SOME('5', "UTC0") }, 0, -1 },
		{ { SOME('1', "UTC0") }, 0, -1 },
		{ { SOME('3', "UTC0\nUTC0") }, 0, -1 },
#undef SOME
		/* the Big Bang, as old files begin with, then only a rule */
		{ { .version = '2', .footer = "AAA0BBB,M3.5.0,M10.5.0", .type_n = 1, .transition_n = 1,
		    .at_s = { -(INT64_C(1) << 59) } }, -INT64_C(3000000000) + 86400 * 200, 3600 },
		{ { .version = '2', .footer = "", .type_n = 0 }, 0, -1 },
		{ { .version = '2', .footer = "", .type_n = 1, .offset_s = { 93601 } }, 0, -1 },
		{ { .version = '2', .footer = "", .type_n = 1, .offset_s = { INT32_MIN } }, 0, -1 },
		{ { .version = '2', .footer = "", .type_n = 1, .transition_n = 2, .at_s = { 5, 5 } }, 0, -1 },
		{ { .version = '2', .footer = "", .type_n = 1, .transition_n = 2, .at_s = { 5, 4 } }, 0, -1 },
		{ { .version = '2', .footer = "", .type_n = 1, .transition_n = 1, .type = { 1 } }, 0, -1 },
		{ { .version = '2', .footer = "", .type_n = 1, .transition_n = 1, .at_s = { INT64_MAX } }, 0, -1 },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct zone z;
		struct buf b = file_build(&cases[i].file);
		const char *why = tzif_parse(buf_str(&b), &a, &z);
		if ((why != NULL) != (cases[i].offset_s == -1))
			fail_msg("case %zu: %s", i, why ? why : "accepted");
		if (!why && zone_offset_s(&z, cases[i].s * US_PER_SECOND) != cases[i].offset_s)
			fail_msg("case %zu: %d", i, zone_offset_s(&z, cases[i].s * US_PER_SECOND));
		buf_free(&b);
	}
	arena_free(&a);
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Cut short anywhere it is refused; with damaged bytes it is refused or gives some zone that keeps its promises. */
static void damaged_files(void **state)
{
	struct arena a = ARENA_INIT, scratch = ARENA_INIT;
	struct err e = ERR_INIT;
	struct str good;
	struct zone z;
	uint64_t seed = 88172645463325252u;

	(void)state;
	if (!file_read("/usr/share/zoneinfo/America/New_York", 1 << 20, &a, &good, &e))
		fail_msg("%s", e.message);
	assert_null(tzif_parse(good, &scratch, &z));
	for (size_t n = 0; n < good.n; n++) {
		char *exact = mem_alloc(n + 1); /* of its own, so that a read past the end is seen */
		memcpy(exact, good.p, n);
		if (!tzif_parse((struct str){ exact, n }, &scratch, &z))
			fail_msg("accepted %zu of %zu bytes", n, good.n);
		mem_free(exact);
	}
	char *damaged = mem_alloc(good.n);
	for (size_t round = 0, accepted = 0; round < 4000 || accepted < 100; round++) {
		memcpy(damaged, good.p, good.n);
		for (uint64_t i = random_next(&seed) % 4; i < 4; i++)
			damaged[random_next(&seed) % (round % 2 ? good.n : 160)] = (char)random_next(&seed);
		arena_reset(&scratch);
		if (tzif_parse((struct str){ damaged, good.n }, &scratch, &z))
			continue;
		accepted++;
		for (int i = 0; i < 20; i++) {
			int64_t us = (int64_t)(random_next(&seed) % 200000000000) * US_PER_SECOND - 100000000000000000;
			struct step day = { STEP_DAY, 1, &z };
			int64_t first = zone_us_from_civil(&z, zone_civil_from_us(&z, us));
			assert_true(first <= us);
			assert_true(step_floor(&day, us) <= us && step_next(&day, step_floor(&day, us)) > us);
		}
	}
	mem_free(damaged);
	arena_free(&scratch);
	arena_free(&a);
}

static void bad_headers_are_refused(void **state)
{
	struct file_spec f = { .version = '2', .footer = "UTC0", .type_n = 1 };
	struct arena a = ARENA_INIT;
	struct zone z;
	static const struct {
		size_t at; /* in the second header */
		uint32_t value;
	} cases[] = {
		{ 20, 2 }, { 24, 2 }, { 28, 1 }, { 28, UINT32_MAX }, { 32, UINT32_MAX }, { 36, UINT32_MAX }, { 36, 257 },
		{ 40, 0 }, { 40, UINT32_MAX }, { 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = file_build(&f);
		size_t second = 44 + 6 + 4;
		assert_memory_equal(b.p + second, "TZif2", 5);
		for (size_t k = 0; k < 4; k++)
			b.p[second + cases[i].at + k] = (char)(cases[i].value >> (24 - 8 * k) & 0xff);
		if (!tzif_parse(buf_str(&b), &a, &z))
			fail_msg("case %zu accepted", i);
		buf_free(&b);
	}
	struct buf b = file_build(&f);
	assert_true(buf_add_char(&b, 'x'));
	assert_non_null(tzif_parse(buf_str(&b), &a, &z));
	buf_free(&b);
	assert_non_null(tzif_parse(STR_NONE, &a, &z));
	arena_free(&a);
}

/* ── names and folders ── */

static void bad_names_are_config_errors(void **state)
{
	static const struct {
		const char *name, *says;
	} cases[] = {
		{ "", "no name of a zone" },
		{ "../etc/passwd", "no name of a zone" },
		{ "Europe/../Europe/Berlin", "no name of a zone" },
		{ "./Europe/Berlin", "no name of a zone" },
		{ "/usr/share/zoneinfo/Europe/Berlin", "no name of a zone" },
		{ "Europe//Berlin", "no name of a zone" },
		{ "Europe/Berlin/", "no name of a zone" },
		{ "Europe/Ber lin", "no name of a zone" },
		{ "Europe/Berlin\n", "no name of a zone" },
		{ "Europe\\Berlin", "no name of a zone" },
		{ ":Europe/Berlin", "no name of a zone" },
		{ "tzdata.zi", "no name of a zone" },
		{ "localtime", "no name of a zone" },
		{ "Europe/B\xc3\xa9rlin", "\"Europe/B??rlin\"" },
		{ "Europe/Atlantis", "unknown" },
		{ "Europe", "unknown" },
		{ "Europe/Berlin/Mitte", "unknown" },
		{ "utc0", "unknown" },
		{ "leapseconds", "not a usable zone file" },
		{ "right/Europe/Berlin", "leap seconds" },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct zone *z;
		struct err e = ERR_INIT;
		if (zone_load(str_from(cases[i].name), &a, &z, &e))
			fail_msg("accepted: %s", cases[i].name);
		assert_int_equal(e.code, ERR_CONFIG);
		/* Not every installation has the files behind the last two. */
		if (!strstr(e.message, cases[i].says) && !(i >= 18 && strstr(e.message, "unknown")))
			fail_msg("%s: %s", cases[i].name, e.message);
	}
	struct err e = ERR_INIT;
	const struct zone *z;
	char name[200];
	memset(name, 'a', sizeof name);
	assert_false(zone_load((struct str){ name, sizeof name }, &a, &z, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	e = ERR_INIT;
	assert_false(zone_load((struct str){ "UTC\0", 4 }, &a, &z, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	arena_free(&a);
}

static void folder_of_the_environment_comes_first(void **state)
{
	struct file_spec f = { .version = '2', .footer = "<+03>-3", .type_n = 1 };
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	const struct zone *z;
	char *folder, path[4096];

	(void)state;
	assert_true(file_make_scratch(NULL, &a, &folder, &e));
	(void)snprintf(path, sizeof path, "%s/Europe", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/Europe/Berlin", folder);
	struct buf b = file_build(&f);
	assert_true(file_write(path, buf_str(&b), &e));
	assert_int_equal(setenv("SLUICE_ZONEINFO", folder, 1), 0);

	assert_true(zone_load(STR("Europe/Berlin"), &a, &z, &e));
	assert_int_equal(zone_offset_s(z, 0), 10800);
	assert_true(str_eq_z(zone_name(z), "Europe/Berlin"));
	assert_true(zone_load(STR("Europe/Paris"), &a, &z, &e)); /* not there: the system's */
	assert_int_equal(zone_offset_s(z, 0), 3600);
	assert_true(zone_load(STR("UTC"), &a, &z, &e));
	assert_int_equal(zone_offset_s(z, 0), 0);

	/* A damaged file is an error, not a reason to look further; so is one that is too large. */
	b.p[b.n - 2] = '\n';
	assert_true(file_write(path, buf_str(&b), &e));
	assert_false(zone_load(STR("Europe/Berlin"), &a, &z, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	buf_free(&b);
	char *large = mem_alloc(TZIF_SIZE_MAX + 1);
	assert_true(file_write(path, (struct str){ large, TZIF_SIZE_MAX + 1 }, &e));
	e = ERR_INIT;
	assert_false(zone_load(STR("Europe/Berlin"), &a, &z, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	assert_non_null(strstr(e.message, "too large"));
	mem_free(large);

	assert_int_equal(unsetenv("SLUICE_ZONEINFO"), 0);
	e = ERR_INIT;
	assert_true(file_remove_tree(folder, &e));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_as_judged),
		cmocka_unit_test(wall_clocks_as_judged),
		cmocka_unit_test(rules_as_judged),
		cmocka_unit_test(special_wall_clocks),
		cmocka_unit_test(rules_known_by_hand),
		cmocka_unit_test(bad_rules_are_refused),
		cmocka_unit_test(small_files),
		cmocka_unit_test(damaged_files),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(bad_names_are_config_errors),
		cmocka_unit_test(folder_of_the_environment_comes_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
