#include "run/repair.h"

#include "format/ledger.h"
#include "run/raw.h"

#include <inttypes.h>
#include <string.h>

enum { NAME_DIGITS = 20 };

/* ── what has to be done ── */

struct gather {
	struct project *project;
	struct arena *arena;
	struct repair *out;
	const struct verify_options *ask;
};

static struct repair_table *table_row(struct gather *g, const struct finding *f)
{
	struct repair *r = g->out;
	for (size_t i = 0; i < r->n_tables; i++)
		if (r->tables[i].zone == f->zone && str_eq(r->tables[i].name, f->name))
			return &r->tables[i];
	r->tables = arena_push_grow(g->arena, r->tables, r->n_tables, &r->cap_tables, sizeof *r->tables);
	r->tables[r->n_tables] = (struct repair_table){ .zone = f->zone, .name = arena_copy(g->arena, f->name),
							.versions_left = INT64_MAX };
	return &r->tables[r->n_tables++];
}

static void add_loss(struct gather *g, const struct finding *f)
{
	struct repair *r = g->out;
	struct repair_loss *l = NULL;
	for (size_t i = 0; i < r->n_losses; i++)
		if (r->losses[i].generation == f->generation && str_eq(r->losses[i].resource, f->name) &&
		    str_eq(r->losses[i].window, f->window))
			l = &r->losses[i];
	if (l == NULL) {
		r->losses = arena_push_grow(g->arena, r->losses, r->n_losses, &r->cap_losses, sizeof *r->losses);
		l = &r->losses[r->n_losses++];
		*l = (struct repair_loss){ .resource = arena_copy(g->arena, f->name), .window = arena_copy(g->arena, f->window),
					   .generation = f->generation };
		l->first = arena_format(g->arena, "%.*s: %.*s", STR_ARG(f->where), STR_ARG(f->what));
	}
	l->objects++;
	l->pages += f->pages;
	l->records += f->records;
}

static void add_other(struct gather *g, const struct finding *f)
{
	struct repair *r = g->out;
	r->others = arena_push_grow(g->arena, r->others, r->n_others, &r->cap_others, sizeof *r->others);
	r->others[r->n_others] = *f;
	r->others[r->n_others].where = arena_copy(g->arena, f->where);
	r->others[r->n_others].what = arena_copy(g->arena, f->what);
	r->others[r->n_others++].todo = arena_copy(g->arena, f->todo);
}

static void on_finding(void *user, const struct finding *f)
{
	struct gather *g = user;
	struct repair_table *t;
	switch (f->kind) {
	case FINDING_RAW:
		add_loss(g, f);
		break;
	case FINDING_FILE:
		t = table_row(g, f);
		t->files++;
		str_map_add(&g->out->run.damaged, arena_copy(g->arena, f->where), 0, g->arena);
		break;
	case FINDING_LOG:
		t = table_row(g, f);
		t->log = true;
		if (f->version >= 0 && f->version < t->versions_left)
			t->versions_left = f->version;
		break;
	case FINDING_STATE:
		g->out->states = arena_push_grow(g->arena, g->out->states, g->out->n_states, &g->out->cap_states,
						 sizeof *g->out->states);
		g->out->states[g->out->n_states++] = arena_copy(g->arena, f->where);
		break;
	case FINDING_GRID:
	case FINDING_ORIGIN:
	case FINDING_RECORD:
		add_other(g, f);
		break;
	}
}

static void on_progress(void *user, uint64_t done, uint64_t total, struct str at)
{
	struct gather *g = user;
	if (g->ask->progress)
		g->ask->progress(g->ask->user, done, total, at);
}

/* Who still has the rows of what is lost. */
static bool fill_loss(struct gather *g, struct repair_loss *l, struct err *e)
{
	struct project *j = g->project;
	struct err why = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct table_snapshot t;
	struct window w;
	if (window_from_name(l->window, &w))
		l->refetch = arena_format(g->arena, "run --only %.*s --from %.*s --to %.*s --refetch", STR_ARG(l->resource),
					  STR_ARG(us_to_rfc3339(w.from_us, &a)), STR_ARG(us_to_rfc3339(w.to_us, &a)));
	bool ok = table_load(j->store, project_table_key(j, ZONE_PREPARE, l->resource, &a), -1, &a, &t, &why);
	const struct table_window *tag = ok ? table_find_window(&t, l->window) : NULL;
	if (tag && tag->generation == l->generation) {
		struct row_hash ignored;
		l->in_table = table_window_total(&t, l->window, &l->rows, &ignored);
	}
	arena_free(&a);
	if (!ok && why.code != ERR_DAMAGE)
		*e = why;
	return ok || why.code == ERR_DAMAGE;
}

/* A child table comes with its parent. */
static struct str made_by(const struct project *j, enum lake_zone zone, struct str table)
{
	size_t cut = str_find(table, STR("__"));
	for (size_t i = 0; zone == ZONE_REFINE && i < j->models.n; i++)
		if (str_eq(j->models.v[i].name, table))
			return table;
	if (zone == ZONE_REFINE)
		return STR_NONE;
	for (size_t n = table.n;; n = cut) {
		const struct resource *r = pipeline_resource(j->pipeline, str_sub(table, 0, n));
		if (r && j->contracts[r - j->pipeline->resources])
			return r->name;
		if (n == cut || cut == table.n)
			return STR_NONE;
	}
}

static bool has_name(struct str list, struct str name)
{
	return list.n > 0 && only_has(list, name);
}

static bool finish_plan(struct gather *g, struct err *e)
{
	struct project *j = g->project;
	struct repair *r = g->out;
	r->run.renewed = arena_array(g->arena, bool, r->n_tables + 1);
	for (size_t i = 0; i < r->n_tables; i++) {
		struct repair_table *t = &r->tables[i];
		struct str key = project_table_key(j, t->zone, t->name, g->arena);
		int64_t good = 0;
		t->by = made_by(j, t->zone, t->name);
		if (t->by.n > 0 && !has_name(r->only, t->by))
			r->only = arena_format(g->arena, "%.*s%s%.*s", STR_ARG(r->only), r->only.n ? "," : "", STR_ARG(t->by));
		if (!t->log)
			continue;
		if (!table_good_versions(j->store, key, &good, e))
			return false;
		t->versions_left = good < t->versions_left ? good : t->versions_left;
		str_map_add(&r->run.renew, key, i, g->arena);
	}
	for (size_t i = 0; i < r->n_losses; i++)
		if (!fill_loss(g, &r->losses[i], e))
			return false;
	return true;
}

bool repair_plan(struct project *j, const struct verify_options *o, struct arena *a, struct repair *out, struct err *e)
{
	struct verify_counts n;
	struct gather g = { .project = j, .arena = a, .out = out, .ask = o };
	struct verify_options all = *o;
	memset(out, 0, sizeof *out);
	all.fast = false;
	all.budget_us = 0;
	all.finding = on_finding;
	all.progress = on_progress;
	all.user = &g;
	return verify_lake(j, &all, &n, e) && finish_plan(&g, e);
}

/* ── logs ── */

/* Of a log file, a checkpoint or a folded state: all are named by their version first. */
static bool version_of(struct str name, struct str *rest, uint64_t *n)
{
	*rest = str_sub(name, NAME_DIGITS, SIZE_MAX);
	return name.n > NAME_DIGITS && str_to_u64(str_sub(name, 0, NAME_DIGITS), n);
}

static bool keep_copy(struct project *j, struct str table, struct str key, struct str name, struct str run_id, struct arena *a,
		      struct err *e)
{
	struct str text, copy = arena_format(a, "%.*s/damaged/%.*s/%.*s", STR_ARG(table), STR_ARG(run_id), STR_ARG(name));
	bool ours = false;
	return store_get(j->store, key, DELTA_COMMIT_MAX_BYTES, a, &text, e) &&
	       store_create_checked(j->store, copy, text, &ours, a, e) &&
	       (ours || err_set(e, ERR_STORAGE, "%.*s is there with other bytes: %.*s stays", STR_ARG(copy), STR_ARG(key)));
}

/* The names below `folder` from that version on, the newest first. Versions of the log are copied before they go; a state says
 * nothing that they do not. */
static bool cut_folder(struct project *j, struct str table, const char *folder, bool copied, int64_t from, struct str run_id,
		       struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list;
	struct str base = arena_format(&a, "%.*s/%s", STR_ARG(table), folder);
	bool ok = store_list_names(j->store, base, &a, &list, e);
	for (size_t i = list.n; ok && i-- > 0;) {
		uint64_t n = 0;
		struct arena each = ARENA_INIT;
		struct str rest;
		if (version_of(list.v[i].name, &rest, &n) && n >= (uint64_t)from) {
			struct str key = arena_format(&each, "%.*s/%.*s", STR_ARG(base), STR_ARG(list.v[i].name));
			ok = (!copied || !str_eq_z(rest, ".json") || keep_copy(j, table, key, list.v[i].name, run_id, &each, e)) &&
			     store_remove(j->store, key, e);
		}
		arena_free(&each);
	}
	arena_free(&a);
	return ok;
}

/* From the newest one down, each copied before it goes: whatever interrupts this, the rest is a log to be repaired. A
 * checkpoint of a version that went would be another program's way into a history that is none any more; what leads to it goes
 * before it. */
static bool cut_log(struct project *j, const struct repair_table *t, struct str run_id, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str table = project_table_key(j, t->zone, t->name, &a);
	struct str hint = arena_format(&a, "%.*s/_delta_log/_last_checkpoint", STR_ARG(table));
	bool ok = cut_folder(j, table, "state", false, t->versions_left, run_id, e) && store_remove(j->store, hint, e) &&
		  cut_folder(j, table, "_delta_log", true, t->versions_left, run_id, e);
	arena_free(&a);
	return ok || err_wrap(e, "the log of %s.%.*s", lake_zone_name(t->zone), STR_ARG(t->name));
}

bool repair_run(struct project *j, struct repair *r, const struct run_options *o, struct arena *a, struct run_result *out,
		struct err *e)
{
	struct run_options options = *o;
	if (options.request.run_id.n == 0)
		options.request.run_id = run_id_new(j->clock, a);
	for (size_t i = 0; i < r->n_tables; i++)
		if (r->tables[i].log && r->tables[i].by.n > 0 && !cut_log(j, &r->tables[i], options.request.run_id, e))
			return false;
	for (size_t i = 0; i < r->n_states; i++)
		if (!store_remove(j->store, r->states[i], e))
			return false;
	if (r->only.n == 0) {
		memset(out, 0, sizeof *out);
		return true;
	}
	options.request.prepare = options.request.refine = true;
	options.request.stale = options.request.every_window = true;
	options.request.only = r->only;
	options.keep_going = true;
	options.repair = &r->run;
	return run_pipeline(j, &options, a, out, e);
}
