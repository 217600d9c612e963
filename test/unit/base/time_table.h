/* The tables of test/case/time, which tools/time_cases.py writes: lines of fields between tabs. $TIME_CASES names another
 * folder, for instance one with a large set. */
#ifndef SLUICE_TEST_TIME_TABLE_H
#define SLUICE_TEST_TIME_TABLE_H

#include "unit.h"

#include "base/calendar.h"
#include "base/file.h"

#include <stdlib.h>

enum { TABLE_FIELDS_MAX = 8 };

struct table {
	struct str rest;
	struct str fields[TABLE_FIELDS_MAX];
	size_t field_n, line;
};

static inline struct table table_open(const char *name, struct arena *a)
{
	struct table t = { 0 };
	struct err e = ERR_INIT;
	char path[4096];
	const char *folder = getenv("TIME_CASES");

	(void)snprintf(path, sizeof path, "%s/%s", folder ? folder : TEST_DATA "/time", name);
	if (!file_read(path, (size_t)1 << 30, a, &t.rest, &e))
		fail_msg("%s", e.message);
	return t;
}

static inline bool table_next(struct table *t)
{
	struct str line;

	if (t->rest.n == 0 || !str_cut(&t->rest, '\n', &line))
		return false;
	t->line++;
	for (t->field_n = 0; line.n > 0 && t->field_n < TABLE_FIELDS_MAX; t->field_n++)
		str_cut(&line, '\t', &t->fields[t->field_n]);
	return true;
}

static inline int64_t table_i64(const struct table *t, size_t field)
{
	int64_t v = 0;

	if (field >= t->field_n || !str_to_i64(t->fields[field], &v))
		fail_msg("line %zu: field %zu is no number", t->line, field);
	return v;
}

/* The zone in the first field; lines of one zone follow each other. */
static inline const struct zone *table_zone(const struct table *t, const struct zone *before, struct arena *a)
{
	struct err e = ERR_INIT;

	if (!before || !str_eq(zone_name(before), t->fields[0]))
		if (!zone_load(t->fields[0], a, &before, &e))
			fail_msg("%s", e.message);
	return before;
}

#endif
