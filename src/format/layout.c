#include "format/layout.h"

#include "base/check.h"

#include <inttypes.h>

const char *lake_zone_name(enum lake_zone z)
{
	static const char *const names[] = { "prepare", "quarantine", "refine" };
	CHECK((size_t)z < sizeof names / sizeof *names);
	return names[z];
}

struct str key_raw_pipeline(struct str pipeline, struct arena *a)
{
	return arena_format(a, "raw/%.*s", STR_ARG(pipeline));
}

struct str key_resource(struct str pipeline, struct str resource, struct arena *a)
{
	return arena_format(a, "raw/%.*s/%.*s", STR_ARG(pipeline), STR_ARG(resource));
}

struct str key_grid(struct str pipeline, struct str resource, unsigned n, struct arena *a)
{
	return arena_format(a, "raw/%.*s/%.*s/grid/%u.json", STR_ARG(pipeline), STR_ARG(resource), n);
}

struct str key_window(struct str resource_key, struct str window, struct arena *a)
{
	return arena_format(a, "%.*s/%.*s", STR_ARG(resource_key), STR_ARG(window));
}

struct str key_generation(struct str window_key, unsigned generation, struct arena *a)
{
	CHECK(generation > 0);
	return arena_format(a, "%.*s/g%u", STR_ARG(window_key), generation);
}

struct str key_ledger(struct str generation_key, struct arena *a)
{
	return arena_format(a, "%.*s/ledger", STR_ARG(generation_key));
}

struct str key_entry(struct str generation_key, uint64_t n, struct arena *a)
{
	return arena_format(a, "%.*s/ledger/%020" PRIu64 ".json", STR_ARG(generation_key), n);
}

struct str key_segment(struct str generation_key, struct str name, struct arena *a)
{
	return arena_format(a, "%.*s/segments/%.*s", STR_ARG(generation_key), STR_ARG(name));
}

struct str key_table(enum lake_zone z, struct str pipeline, struct str table, struct arena *a)
{
	return arena_format(a, "%s/%.*s/%.*s", lake_zone_name(z), STR_ARG(pipeline), STR_ARG(table));
}

struct str key_run(struct str pipeline, struct str run_id, struct arena *a)
{
	return arena_format(a, "runs/%.*s/%.*s", STR_ARG(pipeline), STR_ARG(run_id));
}

bool generation_from_name(struct str name, unsigned *generation)
{
	uint64_t v = 0;
	if (!str_starts(name, STR("g")) || !str_to_u64(str_sub(name, 1, name.n - 1), &v))
		return false;
	if (v == 0 || v > 1000000 || name.p[1] == '0')
		return false;
	*generation = (unsigned)v;
	return true;
}
