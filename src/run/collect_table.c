#include "driver/store_each.h"
#include "driver/store_view.h"
#include "format/delta_history.h"
#include "run/collect_parts.h"

#include <inttypes.h>

/* What the versions of a table name. */
struct named {
	struct str_map ever, kept; /* paths */
};

/* The oldest version that is kept. A clock that was set back makes no version older than its successor. */
static size_t oldest_kept(const struct collect *c, const struct table_history *h)
{
	size_t least = h->n > c->o->keep_versions ? h->n - (size_t)c->o->keep_versions : 0, oldest = h->n - 1;
	int64_t newest_us = INT64_MIN;
	for (size_t v = 0; v + 1 < h->n; v++) {
		int64_t until = h->v[v + 1].time_us; /* it was the newest version until then */
		newest_us = until > newest_us ? until : newest_us;
		if (newest_us >= c->now_us - c->o->keep_us) {
			oldest = v;
			break;
		}
	}
	return oldest < least ? oldest : least;
}

static void find_names(const struct table_history *h, size_t oldest, struct named *out, struct arena *a)
{
	struct str_map gone = { 0 }; /* removed by the oldest kept version or before it */
	for (size_t v = 0; v <= oldest; v++)
		for (size_t i = 0; i < h->v[v].n; i++)
			if (!h->v[v].v[i].is_add)
				str_map_add(&gone, h->v[v].v[i].path, 0, a);
	for (size_t v = 0; v < h->n; v++)
		for (size_t i = 0; i < h->v[v].n; i++) {
			struct str path = h->v[v].v[i].path;
			str_map_add(&out->ever, path, 0, a);
			if (v > oldest || str_map_get(&gone, path) == SIZE_MAX)
				str_map_add(&out->kept, path, 0, a);
		}
}

static void keep_tag(struct collect *c, struct kept_tag t)
{
	t.table = arena_copy(&c->arena, t.table);
	t.window = arena_copy(&c->arena, t.window);
	c->kept = arena_push_grow(&c->arena, c->kept, c->n_kept, &c->cap_kept, sizeof *c->kept);
	c->kept[c->n_kept++] = t;
}

static void keep_tags(struct collect *c, struct str table, const struct table_snapshot *t, const struct table_history *h,
		      const struct named *names)
{
	for (size_t v = 0; v < h->n; v++)
		for (size_t i = 0; i < h->v[v].n; i++) {
			const struct table_name *n = &h->v[v].v[i];
			for (size_t k = 0; n->is_add && k < n->n_tags && str_map_get(&names->kept, n->path) != SIZE_MAX; k++) {
				const struct table_window *now = table_find_window(t, n->tags[k].window);
				keep_tag(c, (struct kept_tag){ table, n->tags[k].window, n->tags[k].generation, n->tags[k].content,
							       now && now->generation == n->tags[k].generation });
			}
		}
}

/* *moved: a version has appeared that was not looked at, so nothing may be removed on this knowledge. That is asked before each file,
 * or where files go many at a time, before each such round. */
static bool remove_files(struct collect *c, struct str table_key, int64_t version, const struct collect_batch *all, bool *moved,
			 struct err *e)
{
	size_t at_once = store_can_list_all(c->project->store) ? STORE_AT_ONCE : 1;
	bool ok = true;
	for (size_t i = 0; ok && i < all->n; i += at_once) {
		struct collect_batch some = { .v = all->v + i, .n = all->n - i < at_once ? all->n - i : at_once };
		if (c->o->remove && !table_has_version(c->project->store, table_key, version + 1, moved, e))
			return false;
		if (*moved)
			return true;
		ok = collect_batch(c, &some, e);
	}
	return ok;
}

static int64_t newest_change(const struct store_item *folder, const struct store_listing *files)
{
	int64_t newest = folder->changed_us;
	for (size_t i = 0; i < files->n; i++)
		if (files->v[i].changed_us > newest)
			newest = files->v[i].changed_us;
	return newest;
}

/* What of one folder may go; *all: nothing stays in it. */
static void find_gone(const struct collect *c, struct str table_key, const struct named *names, const struct store_item *folder,
		      const struct store_listing *files, struct collect_batch *out, bool *all, struct arena *a)
{
	bool old = newest_change(folder, files) < c->now_us - (int64_t)COLLECT_WEEK_S * US_PER_SECOND;
	size_t before = out->n;
	for (size_t i = 0; i < files->n; i++) {
		struct str path = arena_format(a, "data/%.*s/%.*s", STR_ARG(folder->name), STR_ARG(files->v[i].name));
		bool ever = str_map_get(&names->ever, path) != SIZE_MAX;
		if (files->v[i].is_folder || str_map_get(&names->kept, path) != SIZE_MAX || (!ever && !old))
			continue;
		*arena_push(a, *out) = (struct collect_item){
			arena_format(a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(path)), files->v[i].size_bytes,
			ever ? GARBAGE_FILE : GARBAGE_STAGED,
			ever ? "no version that is kept names it" : "no version ever named it, and nobody has written there for a week" };
	}
	size_t n = out->n - before;
	*all = n == files->n && (n > 0 || old);
}

static bool collect_folder(struct collect *c, struct str table_key, int64_t version, const struct named *names,
			   const struct store_item *folder, bool *moved, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing files;
	struct collect_batch gone = { 0 };
	struct str key = arena_format(&a, "%.*s/data/%.*s", STR_ARG(table_key), STR_ARG(folder->name));
	bool all = false, ok = store_list(c->project->store, key, &a, &files, e);
	if (ok)
		find_gone(c, table_key, names, folder, &files, &gone, &all, &a);
	ok = ok && remove_files(c, table_key, version, &gone, moved, e);
	/* A folder is made for one job and never used again. */
	if (ok && !*moved && c->o->remove && all)
		ok = store_remove_folder(c->project->store, key, e);
	arena_free(&a);
	return ok;
}

/* Where each would be a request: all folders by one listing, and their files together. */
static bool collect_far_folders(struct collect *c, struct str table_key, int64_t version, const struct named *names, bool *moved,
				struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing folders, files;
	struct collect_batch gone = { 0 };
	struct store *view = store_open_view(c->project->store, table_key, STR_NONE);
	struct str data = arena_format(&a, "%.*s/data", STR_ARG(table_key));
	bool all, ok = store_list(view, data, &a, &folders, e);
	for (size_t i = 0; ok && i < folders.n; i++) {
		if (!folders.v[i].is_folder)
			continue;
		ok = store_list(view, arena_format(&a, "%.*s/%.*s", STR_ARG(data), STR_ARG(folders.v[i].name)), &a, &files, e);
		if (ok)
			find_gone(c, table_key, names, &folders.v[i], &files, &gone, &all, &a);
	}
	store_close(view);
	ok = ok && remove_files(c, table_key, version, &gone, moved, e);
	arena_free(&a);
	return ok;
}

static bool collect_folders(struct collect *c, struct str table_key, int64_t version, const struct named *names, bool *moved,
			    struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing folders;
	if (store_can_list_all(c->project->store))
		return collect_far_folders(c, table_key, version, names, moved, e);
	bool ok = store_list(c->project->store, arena_format(&a, "%.*s/data", STR_ARG(table_key)), &a, &folders, e);
	for (size_t i = 0; ok && !*moved && i < folders.n; i++)
		if (folders.v[i].is_folder)
			ok = !collect_stopped(c, e) && collect_folder(c, table_key, version, names, &folders.v[i], moved, e);
	arena_free(&a);
	return ok;
}

static bool collect_states(struct collect *c, struct str table_key, int64_t oldest, int64_t version, bool *moved, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing states = { 0 };
	struct collect_batch gone = { 0 };
	bool ok = table_states_behind(c->project->store, table_key, oldest, &a, &states, e);
	for (size_t i = 0; ok && i < states.n; i++)
		*arena_push(&a, gone) = (struct collect_item){ states.v[i].name, states.v[i].size_bytes, GARBAGE_STATE,
			"newer ones fold the same log, and no version that is kept is read from it" };
	ok = ok && remove_files(c, table_key, version, &gone, moved, e);
	arena_free(&a);
	return ok;
}

static bool collect_once(struct collect *c, enum lake_zone zone, struct str table, struct str key, bool *moved, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct table_snapshot t;
	struct table_history h;
	struct named names = { 0 };
	size_t oldest = 0;
	*moved = false;
	bool ok = project_table_load(c->project, key, &a, &t, &why);
	const char *cut = ok ? collect_is_cut(c, zone, table, &t, &a) : NULL;
	if (cut)
		ok = err_set(&why, ERR_DAMAGE, "%s", cut);
	if (!ok || !table_history_load(c->project->ahead ? c->project->ahead : c->project->store, key, t.version, &a, &h, &why)) {
		bool damaged = why.code == ERR_DAMAGE;
		if (damaged) {
			collect_left(c, key, why.message, true);
			keep_tag(c, (struct kept_tag){ .table = table });
		} else {
			*e = why;
		}
		arena_free(&a);
		return damaged;
	}
	if (t.version >= 0) {
		oldest = oldest_kept(c, &h);
		find_names(&h, oldest, &names, &a);
		keep_tags(c, table, &t, &h, &names);
	}
	ok = collect_folders(c, key, t.version, &names, moved, e);
	if (ok && !*moved && t.version >= 0)
		ok = collect_states(c, key, (int64_t)oldest, t.version, moved, e);
	arena_free(&a);
	return ok;
}

bool collect_table(struct collect *c, enum lake_zone zone, struct str table, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str key = key_table(zone, c->project->pipeline->name, table, &a);
	bool moved = true, ok = true;
	for (int tries = 0; ok && moved && tries < 100; tries++) {
		if (tries > 0)
			project_ahead_end(c->project, true); /* what was read ahead is not the newest any more */
		ok = collect_once(c, zone, table, key, &moved, e);
	}
	if (ok && moved)
		collect_left(c, key, "it was published again and again meanwhile", false);
	arena_free(&a);
	return ok;
}
