#include "run/collect_parts.h"
#include "run/raw.h"
#include "run/verify.h"

#include "base/check.h"

#include <signal.h>
#include <string.h>

const char *garbage_class_name(enum garbage_class c)
{
	static const char *const names[] = { "segment", "generation", "file", "staged", "state", "temporary" };
	CHECK((size_t)c < sizeof names / sizeof *names);
	return names[c];
}

bool collect_is_of(struct str table, struct str resource)
{
	return str_starts(table, resource) &&
	       (table.n == resource.n || str_starts(str_sub(table, resource.n, table.n), STR("__")));
}

/* A resource that is asked for brings its child tables along. */
static bool is_asked(const struct collect *c, struct str table)
{
	struct str rest = c->o->only, part;
	bool asked = only_has(c->o->only, table);
	while (!asked && str_cut(&rest, ',', &part))
		asked = collect_is_of(table, part);
	return asked;
}

void collect_found(struct collect *c, enum garbage_class class, struct str key, uint64_t objects, uint64_t bytes,
		   const char *reason)
{
	struct garbage g = { .class = class, .key = key, .reason = str_from(reason), .objects = objects, .bytes = bytes };
	c->n->of[class].objects += objects;
	c->n->of[class].bytes += bytes;
	c->o->item(c->o->user, &g);
}

void collect_left(struct collect *c, struct str key, const char *why, bool damaged)
{
	c->n->left++;
	c->n->damaged += damaged;
	c->o->left(c->o->user, key, str_from(why), damaged);
}

bool collect_stopped(const struct collect *c, struct err *e)
{
	if (c->o->stop == NULL || *c->o->stop == 0)
		return false;
	err_set(e, *c->o->stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
	err_hint(e, "what was removed was garbage; run the same command again for the rest");
	return true;
}

static bool collect_tables(struct collect *c, struct err *e)
{
	static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
	bool ok = true;
	for (size_t z = 0; ok && z < sizeof zones / sizeof *zones; z++) {
		struct arena a = ARENA_INIT;
		struct store_listing list;
		struct str folder = arena_format(&a, "%s/%.*s", lake_zone_name(zones[z]), STR_ARG(c->project->pipeline->name));
		ok = store_list(c->project->store, folder, &a, &list, e);
		for (size_t i = 0; ok && i < list.n; i++)
			if (list.v[i].is_folder && name_ok(list.v[i].name) && is_asked(c, list.v[i].name))
				ok = collect_table(c, zones[z], list.v[i].name, e);
		arena_free(&a);
	}
	return ok;
}

static bool collect_raw(struct collect *c, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list;
	struct project *j = c->project;
	bool ok = store_list(j->store, key_raw_pipeline(j->pipeline->name, &a), &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++) {
		struct raw_windows w;
		if (!list.v[i].is_folder || !name_ok(list.v[i].name) || !only_has(c->o->only, list.v[i].name))
			continue;
		ok = raw_windows(j->store, key_resource(j->pipeline->name, list.v[i].name, &a), &a, &w, e);
		for (size_t k = 0; ok && k < w.n; k++)
			ok = !collect_stopped(c, e) && collect_window(c, list.v[i].name, w.v[k].name, e);
	}
	arena_free(&a);
	return ok;
}

static bool collect_temporary(struct collect *c, struct err *e)
{
	uint64_t n = 0, bytes = 0;
	int64_t before = c->now_us - (int64_t)COLLECT_WEEK_S * US_PER_SECOND;
	if (!store_sweep(c->project->store, before, c->o->remove, &n, &bytes, e))
		return false;
	if (n > 0)
		collect_found(c, GARBAGE_TEMPORARY, STR(".tmp"), n, bytes, "nobody has written to them for a week");
	return true;
}

bool collect_lake(struct project *j, const struct collect_options *o, struct collect_counts *out, struct err *e)
{
	struct collect c = { .project = j, .o = o, .n = out, .now_us = j->clock->wall_us(j->clock) };
	CHECK(o->keep_versions > 0 && o->keep_us >= 0);
	memset(out, 0, sizeof *out);
	/* Tables first: what their kept versions name decides what Raw has to keep. */
	bool ok = collect_records(&c, e) && collect_tables(&c, e) && collect_raw(&c, e) && collect_temporary(&c, e);
	arena_free(&c.arena);
	return ok;
}
