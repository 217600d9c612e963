#include "driver/store_ahead.h"
#include "driver/store_each.h"
#include "format/delta_history.h"
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

bool collect_batch(struct collect *c, const struct collect_batch *b, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str *keys = arena_array(&a, struct str, b->n + 1);
	bool *gone = arena_array(&a, bool, b->n + 1);
	for (size_t i = 0; i < b->n; i++)
		keys[i] = b->v[i].key;
	bool ok = !collect_stopped(c, e) &&
		  (!c->o->remove || store_remove_each(c->project->store, keys, b->n, gone, c->o->stop, e));
	for (size_t i = 0; i < b->n; i++)
		if (c->o->remove ? gone[i] : ok)
			collect_found(c, b->v[i].class, b->v[i].key, 1, b->v[i].size_bytes, b->v[i].reason);
	arena_free(&a);
	return ok || (collect_stopped(c, e), false);
}

struct tables {
	struct collect_table_name {
		enum lake_zone zone;
		struct str name, key;
	} *v;
	size_t n, cap;
};

static bool list_tables(struct collect *c, struct tables *out, struct arena *a, struct err *e)
{
	static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
	struct project *j = c->project;
	bool ok = true;
	for (size_t z = 0; ok && z < sizeof zones / sizeof *zones; z++) {
		struct store_listing list;
		struct str folder = arena_format(a, "%s/%.*s", lake_zone_name(zones[z]), STR_ARG(j->pipeline->name));
		ok = store_list(j->store, folder, a, &list, e);
		for (size_t i = 0; ok && i < list.n; i++)
			if (list.v[i].is_folder && name_ok(list.v[i].name) && is_asked(c, list.v[i].name))
				*arena_push(a, *out) = (struct collect_table_name){ zones[z], list.v[i].name,
					key_table(zones[z], j->pipeline->name, list.v[i].name, a) };
	}
	return ok;
}

static bool ask_log(void *user, size_t i, struct store *s)
{
	const struct tables *all = user;
	struct arena a = ARENA_INIT;
	struct table_snapshot t;
	struct table_history h;
	struct err e = ERR_INIT;
	bool ok = table_load(s, all->v[i].key, -1, &a, &t, &e) && table_history_load(s, all->v[i].key, t.version, &a, &h, &e);
	arena_free(&a);
	return ok;
}

static bool collect_tables(struct collect *c, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct tables all = { 0 };
	struct project *j = c->project;
	bool ok = list_tables(c, &all, &a, e), begun = ok && project_ahead_begin(j);
	if (begun)
		store_ahead_ask(j->ahead, all.n, ask_log, &all);
	for (size_t i = 0; ok && i < all.n; i++)
		ok = collect_table(c, all.v[i].zone, all.v[i].name, e);
	project_ahead_end(j, begun);
	arena_free(&a);
	return ok;
}

static void ignore_item(void *user, const struct garbage *g)
{
	(void)user, (void)g;
}

static void ignore_left(void *user, struct str key, struct str why, bool damaged)
{
	(void)user, (void)key, (void)why, (void)damaged;
}

/* Is there anything in it to be removed, or told? */
static bool is_of_interest(struct collect *c, struct str resource, struct str window, bool *is, struct err *e)
{
	struct collect_counts n = { 0 };
	struct collect_options o = *c->o;
	struct collect look = *c;
	o.remove = false;
	o.item = ignore_item;
	o.left = ignore_left;
	look.o = &o;
	look.n = &n;
	if (!collect_window(&look, resource, window, e))
		return false;
	*is = n.left > 0;
	for (size_t i = 0; i < GARBAGE_CLASSES; i++)
		*is = *is || n.of[i].objects > 0;
	return true;
}

struct places {
	struct collect_place {
		struct str resource, window;
	} *v;
	size_t n, cap;
};

static bool collect_places(struct collect *c, const struct places *all, struct err *e)
{
	bool ok = true;
	for (size_t i = 0; ok && i < all->n; i++)
		ok = !collect_stopped(c, e) && collect_window(c, all->v[i].resource, all->v[i].window, e);
	return ok;
}

static bool raw_places(struct collect *c, struct str resource, struct places *out, struct arena *a, struct err *e)
{
	struct project *j = c->project;
	struct raw_windows w;
	struct str key = key_resource(j->pipeline->name, resource, a);
	bool ok = raw_windows(c->raw, key, a, &w, e) && raw_look_ahead(j, key, &w, WINDOW_AHEAD_ALL, e);
	for (size_t i = 0; ok && i < w.n; i++) {
		bool is = true;
		ok = !collect_stopped(c, e) && (!j->raw_view || !c->o->remove || is_of_interest(c, resource, w.v[i].name, &is, e));
		if (ok && is)
			*arena_push(a, *out) = (struct collect_place){ resource, w.v[i].name };
	}
	return ok;
}

/* Where each question is a request, all windows are looked at in a view first, and those where there is nothing to do are left
 * out. What is removed is found again, without the view and by its rules: claim, then list, then remove. */
static bool collect_raw(struct collect *c, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list;
	struct project *j = c->project;
	struct places places = { 0 };
	bool begun = project_view_begin(j, true);
	c->raw = project_raw(j);
	bool ok = store_list(c->raw, key_raw_pipeline(j->pipeline->name, &a), &a, &list, e);
	struct str *keys = arena_array(&a, struct str, list.n + 1);
	size_t n = 0;
	for (size_t i = 0; ok && i < list.n; i++)
		if (list.v[i].is_folder && name_ok(list.v[i].name) && only_has(c->o->only, list.v[i].name))
			keys[n++] = key_resource(j->pipeline->name, list.v[i].name, &a);
	raw_list_ahead(j, keys, n);
	for (size_t i = 0; ok && i < list.n; i++)
		if (list.v[i].is_folder && name_ok(list.v[i].name) && only_has(c->o->only, list.v[i].name))
			ok = raw_places(c, list.v[i].name, &places, &a, e);
	if (!c->o->remove) /* nothing changes, so the view is as good */
		ok = ok && collect_places(c, &places, e);
	project_view_end(j, begun);
	c->raw = project_raw(j);
	if (c->o->remove)
		ok = ok && collect_places(c, &places, e);
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
	struct collect c = { .project = j, .raw = project_raw_now(j), .o = o, .n = out, .now_us = j->clock->wall_us(j->clock) };
	CHECK(o->keep_versions > 0 && o->keep_us >= 0);
	memset(out, 0, sizeof *out);
	/* Tables first: what their kept versions name decides what Raw has to keep. */
	bool ok = collect_records(&c, e) && collect_tables(&c, e) && collect_raw(&c, e) && collect_temporary(&c, e);
	arena_free(&c.arena);
	return ok;
}
