#include "driver/store_ahead.h"
#include "driver/store_view.h"
#include "run/twin.h"
#include "run/verify_parts.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

bool only_has(struct str only, struct str name)
{
	struct str rest = only, part;
	if (only.n == 0)
		return true;
	while (str_cut(&rest, ',', &part))
		if (str_eq(part, name))
			return true;
	return false;
}

/* ── findings ── */

static struct str window_interval(struct str name, struct arena *a)
{
	struct window w;
	if (!window_from_name(name, &w))
		return STR_NONE;
	return arena_format(a, " --from %.*s --to %.*s", STR_ARG(us_to_rfc3339(w.from_us, a)), STR_ARG(us_to_rfc3339(w.to_us, a)));
}

/* `of`: the resource or model that the finding belongs to; a child table belongs to its resource. */
static struct str what_to_do(const struct finding *f, struct str of, struct arena *a)
{
	switch (f->kind) {
	case FINDING_GRID:
		return STR("put the object back from a copy; nothing can be fetched or planned without it");
	case FINDING_RAW:
		if (f->same > 0)
			return arena_format(a, "nothing: generation %u has the same content, and no table needs this one; "
					    "`sluice gc --only %.*s --generations --yes` removes what is left of it", f->same,
					    STR_ARG(f->name));
		return arena_format(a, "`sluice repair %.*s` says what is lost; "
				    "`sluice run --only %.*s%.*s --refetch` asks for it again", STR_ARG(f->name), STR_ARG(f->name),
				    STR_ARG(window_interval(f->window, a)));
	case FINDING_LOG:
	case FINDING_FILE:
		return arena_format(a, "`sluice repair %.*s` makes it again", STR_ARG(of));
	case FINDING_ORIGIN:
		return arena_format(a, "find out which of the two was changed: `sluice raw ls %.*s %.*s` shows what Raw has",
				    STR_ARG(of), STR_ARG(f->window));
	case FINDING_STATE:
		return arena_format(a, "`sluice repair %.*s` removes it: the table is whole without it", STR_ARG(of));
	case FINDING_RECORD:
		break;
	}
	return STR("it is history only: nothing is read from it again");
}

/* Looked for only where something is wrong: it reads that fetch. */
static void find_same(struct verify *v)
{
	struct arena a = ARENA_INIT;
	struct err ignored = ERR_INIT;
	struct twin twin;
	bool found = false;
	unsigned newest = 0;
	struct finding *f = &v->about;
	if (f->kind != FINDING_RAW || !v->has_content || v->same_known)
		return;
	v->same_known = true;
	if (twin_newest(v->project, f->name, f->window, &a, &newest, &ignored) &&
	    twin_in_window(v->project, f->name, f->window, f->generation + 1, newest, v->content, &a, &twin, &found, &ignored) &&
	    found)
		f->same = twin.generation;
	arena_free(&a);
}

void verify_found(struct verify *v, struct str where, const char *format, ...)
{
	struct arena a = ARENA_INIT;
	find_same(v);
	struct finding f = v->about;
	va_list args;
	va_start(args, format);
	f.what = arena_vformat(&a, format, args);
	va_end(args);
	f.where = where;
	f.todo = what_to_do(&f, f.zone == ZONE_REFINE ? f.name : project_table_resource(v->project, f.name), &a);
	v->n->findings++;
	v->o->finding(v->o->user, &f);
	arena_free(&a);
}

void verify_trouble(struct verify *v, struct str where, const struct err *why)
{
	if (v->trouble.code != ERR_NONE)
		return;
	v->trouble = *why;
	err_wrap(&v->trouble, "not all could be looked at: %.*s", STR_ARG(where));
}

void verify_engine_failed(struct verify *v, struct str where, const struct err *why)
{
	if (v->n->not_read.n > 0 || (v->o->stop && *v->o->stop))
		return;
	v->n->not_read = arena_copy(v->project->arena, str_from(why->message));
	if (why->code != ERR_ENGINE)
		verify_trouble(v, where, why);
}

void verify_unread(struct verify *v, struct str where, const struct err *why)
{
	int n = why->sys_errno;
	/* A service that refuses, or cannot be reached, says nothing of its objects; a disk that says no more does. */
	bool disk = project_has_paths(v->project) && (project_raw_now(v->project)->abilities & STORE_CAN_PATH);
	bool of_object = (n == 0 && disk) || n == EIO || n == ELOOP || n == ENOTDIR || n == EISDIR || n == ENOENT;
	bool asked = why->code != ERR_MEMORY && why->code != ERR_CREDENTIALS && why->code != ERR_CONFIG && why->code != ERR_SIGINT &&
		     why->code != ERR_SIGTERM;
	if (asked && (why->code != ERR_STORAGE || of_object)) {
		verify_found(v, where, "%s", why->message);
	} else {
		verify_trouble(v, where, why);
	}
}

void verify_missing(struct verify *v, struct str where, const char *missing, const struct err *why)
{
	if (why->code == ERR_MISSING)
		verify_found(v, where, "%s", missing);
	else
		verify_unread(v, where, why);
}

bool verify_late(const struct verify *v)
{
	struct clock *c = v->project->clock;
	return v->deadline_us != 0 && c->monotonic_us(c) >= v->deadline_us;
}

bool verify_stopped(const struct verify *v, struct err *e)
{
	if (v->o->stop == NULL || *v->o->stop == 0)
		return false;
	err_set(e, *v->o->stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal before everything was read");
	err_hint(e, "nothing was changed");
	return true;
}

/* ── what there is to look at ── */

struct unit {
	struct str resource, window;  /* of Raw; or */
	size_t table, file;           /* a file of a table */
};
struct units {
	struct unit *v;
	size_t n, cap;
};

static bool list_folders(struct verify *v, struct store *s, struct str folder, struct store_listing *out, struct err *e)
{
	struct store_listing all;
	if (!store_list(s, folder, &v->arena, &all, e))
		return false;
	*out = (struct store_listing){ 0 };
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].is_folder && name_ok(all.v[i].name) &&
		    (only_has(v->o->only, all.v[i].name) ||
		     only_has(v->o->only, project_table_resource(v->project, all.v[i].name))))
			*arena_push(&v->arena, *out) = all.v[i];
	return true;
}

/* All that there is of this pipeline, also what its file no longer names. */
static bool list_raw(struct verify *v, struct units *u, struct err *e)
{
	struct store_listing list;
	struct str pipeline = v->project->pipeline->name;
	if (!list_folders(v, project_raw(v->project), key_raw_pipeline(pipeline, &v->arena), &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		struct raw_windows windows;
		if (verify_stopped(v, e) ||
		    !raw_windows(project_raw(v->project), key_resource(pipeline, list.v[i].name, &v->arena), &v->arena, &windows, e))
			return false;
		verify_grid(v, list.v[i].name, &windows);
		for (size_t k = 0; k < windows.n; k++)
			*arena_push(&v->arena, *u) = (struct unit){ .resource = list.v[i].name, .window = windows.v[k].name };
	}
	return true;
}

static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
enum { ZONES = sizeof zones / sizeof *zones };

static struct str zone_key(const struct verify *v, enum lake_zone z, struct arena *a)
{
	return arena_format(a, "%s/%.*s", lake_zone_name(z), STR_ARG(v->project->pipeline->name));
}

struct logs {
	struct str *keys; /* of tables */
	size_t n;
};

static bool ask_log(void *user, size_t i, struct store *s)
{
	const struct logs *l = user;
	struct err ignored = ERR_INIT; /* who looks at it will see it, too */
	verify_ask_log(s, l->keys[i], &ignored);
	return true;
}

/* All logs are read at once, where each of their pieces is a request. */
static struct store *logs_ahead(struct verify *v, const struct store_listing lists[ZONES])
{
	struct logs l = { 0 };
	struct store *s = v->project->store;
	if (!store_can_list_all(s))
		return NULL;
	l.keys = arena_array(&v->arena, struct str, lists[0].n + lists[1].n + lists[2].n + 1);
	for (size_t z = 0; z < ZONES; z++)
		for (size_t i = 0; i < lists[z].n; i++)
			l.keys[l.n++] = key_table(zones[z], v->project->pipeline->name, lists[z].v[i].name, &v->arena);
	struct store *ahead = store_open_ahead(s);
	store_ahead_ask(ahead, l.n, ask_log, &l);
	return ahead;
}

static bool list_tables(struct verify *v, struct units *u, struct err *e)
{
	struct store_listing lists[ZONES];
	bool ok = true;
	for (size_t z = 0; ok && z < ZONES; z++)
		ok = list_folders(v, v->project->store, zone_key(v, zones[z], &v->arena), &lists[z], e);
	struct store *ahead = ok ? logs_ahead(v, lists) : NULL;
	v->logs = ahead ? ahead : v->project->store;
	for (size_t z = 0; ok && z < ZONES; z++)
		for (size_t i = 0; ok && i < lists[z].n; i++) {
			ok = !verify_stopped(v, e);
			if (!ok || !verify_log(v, zones[z], lists[z].v[i].name))
				continue;
			for (size_t k = 0; k < v->tables.v[v->tables.n - 1].t.n_files; k++)
				*arena_push(&v->arena, *u) = (struct unit){ .table = v->tables.n - 1, .file = k };
		}
	store_close(ahead);
	v->logs = v->project->store;
	return ok;
}

/* The sizes of all files of tables, by listings. One that is not in them is asked for by its name. */
static void list_sizes(struct verify *v)
{
	struct str *keys = arena_array(&v->arena, struct str, v->tables.n + 1);
	struct err ignored = ERR_INIT;
	for (size_t z = 0; z < ZONES && store_can_list_all(v->project->store); z++) {
		size_t n = 0;
		for (size_t i = 0; i < v->tables.n; i++)
			if (v->tables.v[i].zone == zones[z])
				keys[n++] = v->tables.v[i].key;
		v->sizes[zones[z]] = store_open_view(v->project->store, zone_key(v, zones[z], &v->arena), STR("_delta_log"));
		store_view_list(v->sizes[zones[z]], keys, n, &ignored);
	}
}

static struct str unit_name(const struct verify *v, const struct unit *u, struct arena *a)
{
	const struct verify_table *t = u->window.n > 0 ? NULL : &v->tables.v[u->table];
	return t ? arena_format(a, "%.*s/%.*s", STR_ARG(t->key), STR_ARG(t->t.files[u->file].path))
		 : arena_format(a, "%.*s %.*s", STR_ARG(u->resource), STR_ARG(u->window));
}

static bool look_at(struct verify *v, const struct unit *u, bool *done, struct err *e)
{
	*done = true;
	if (u->window.n > 0)
		return verify_window(v, u->resource, u->window, done, e);
	verify_file(v, &v->tables.v[u->table], &v->tables.v[u->table].t.files[u->file]);
	return !verify_stopped(v, e);
}

static bool look_ahead(struct verify *v, const struct units *u, struct err *e)
{
	struct arena a = ARENA_INIT;
	bool ok = true;
	struct str *keys = arena_array(&v->arena, struct str, u->n + 1);
	size_t n = 0;
	for (size_t i = 0; i < u->n; i++) /* one after the other by resource */
		if (u->v[i].window.n > 0 && (i == 0 || !str_eq(u->v[i].resource, u->v[i - 1].resource)))
			keys[n++] = key_resource(v->project->pipeline->name, u->v[i].resource, &v->arena);
	raw_list_ahead(v->project, keys, n);
	for (size_t i = 0; ok && v->project->raw_view && i < u->n; i++, arena_reset(&a)) {
		struct str resource = key_resource(v->project->pipeline->name, u->v[i].resource, &a);
		if (u->v[i].window.n > 0)
			ok = window_look_ahead(v->project->raw_view, key_window(resource, u->v[i].window, &a), WINDOW_AHEAD_ALL, e);
	}
	arena_free(&a);
	return ok;
}

static bool look_at_all(struct verify *v, const struct units *u, struct err *e)
{
	struct arena each = ARENA_INIT;
	size_t first = v->deadline_us != 0 && u->n > 0 ? (size_t)(v->o->seed % u->n) : 0;
	bool ok = true;
	if (v->deadline_us != 0 && u->n > 0)
		v->n->began_at = unit_name(v, &u->v[first], v->project->arena);
	for (size_t i = 0; ok && i < u->n; i++) {
		const struct unit *at = &u->v[(first + i) % u->n];
		bool done = false;
		arena_reset(&each);
		ok = !verify_stopped(v, e) && (verify_late(v) || look_at(v, at, &done, e));
		if (!done && at->window.n > 0)
			v->n->windows_left++;
		else if (!done)
			v->n->files_left++;
		if (ok && done && v->o->progress)
			v->o->progress(v->o->user, i + 1, u->n, unit_name(v, at, &each));
	}
	arena_free(&each);
	return ok;
}

bool verify_lake(struct project *j, const struct verify_options *o, struct verify_counts *out, struct err *e)
{
	struct units units = { 0 };
	struct verify v = { .project = j, .o = o, .n = out, .segment = BUF_INIT((size_t)SEGMENT_READ_MAX + 1),
			    .limits = raw_limits() };
	memset(out, 0, sizeof *out);
	if (o->fast)
		out->not_read = STR("--fast");
	if (o->budget_us > 0)
		v.deadline_us = j->clock->monotonic_us(j->clock) + o->budget_us;
	bool ok = list_raw(&v, &units, e) && list_tables(&v, &units, e) && verify_records(&v, e);
	bool begun = ok && project_view_begin(j, true);
	if (ok)
		list_sizes(&v);
	ok = ok && look_ahead(&v, &units, e) && look_at_all(&v, &units, e);
	if (ok && v.trouble.code != ERR_NONE && out->findings == 0) { /* damage weighs more, and was told */
		*e = v.trouble;
		ok = false;
	}
	project_view_end(j, begun);
	for (size_t z = 0; z < ZONES; z++)
		store_close(v.sizes[zones[z]]);
	verify_engine_close(&v);
	raw_record_free(&v.record);
	buf_free(&v.segment);
	arena_free(&v.engine_arena);
	arena_free(&v.arena);
	return ok;
}
