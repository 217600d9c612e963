#include "run/repair.h"

#include "base/log.h"
#include "format/ledger.h"
#include "format/process.h"
#include "run/raw.h"
#include "run/twin.h"

#include <inttypes.h>
#include <string.h>

enum { NAME_DIGITS = 20, VERSIONS_MAX = 1000000 /* a name that says more is none of ours */ };

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
							.versions_left = INT64_MAX, .seen = -1,
							.first = arena_format(g->arena, "%.*s: %.*s", STR_ARG(f->where),
									      STR_ARG(f->what)) };
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
		t->seen = f->version > t->seen ? f->version : t->seen;
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

/* Of a log file, a checkpoint or a folded state: all are named by their version first. */
static bool version_of(struct str name, struct str *rest, uint64_t *n)
{
	*rest = str_sub(name, NAME_DIGITS, SIZE_MAX);
	return name.n > NAME_DIGITS && str_to_u64(str_sub(name, 0, NAME_DIGITS), n);
}

static bool is_bad_file(const struct gather *g, struct str table_key, const struct table_file *f, struct arena *a)
{
	return str_map_get(&g->out->run.damaged, arena_format(a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(f->path))) != SIZE_MAX;
}

static bool is_made_of(const struct table_window *w, const struct repair_loss *l)
{
	return (str_eq(w->name, l->window) && w->generation == l->generation) ||
	       (str_eq(w->row_window, l->window) && w->row_generation == l->generation);
}

/* What the table has of it, and its content, which the ledger itself may no longer tell. */
static bool look_in_table(struct gather *g, struct repair_loss *l, struct sha256 *content, bool *known, struct arena *a,
			  struct err *e)
{
	struct project *j = g->project;
	struct err why = ERR_INIT;
	struct table_snapshot t;
	struct str key = project_table_key(j, ZONE_PREPARE, l->resource, a);
	if (!project_table_load(j, key, a, &t, &why)) {
		l->table_unknown = why.code == ERR_DAMAGE;
		if (!l->table_unknown)
			*e = why;
		return l->table_unknown;
	}
	const struct table_window *tag = table_find_window(&t, l->window);
	l->made_of = tag ? tag->generation : 0;
	for (size_t i = 0; i < t.n_files; i++)
		for (size_t k = 0; k < t.files[i].n_windows; k++) {
			const struct table_window *w = &t.files[i].windows[k];
			if (!is_made_of(w, l))
				continue;
			l->in_table = *known = true;
			*content = w->content;
			*(is_bad_file(g, key, &t.files[i], a) ? &l->bad_rows : &l->rows) += w->rows;
		}
	return true;
}

/* The fetch that the window is made of by now, unless that one is damaged, too. */
static unsigned later_fetch(struct gather *g, const struct repair_loss *l, struct str window_key, struct arena *a)
{
	struct window_generations w;
	struct err ignored = ERR_INIT; /* a ledger that cannot be read is a loss of its own */
	if (!window_generations_read(g->project->store, g->project->clock, window_key, a, &w, &ignored) || w.promoted <= l->generation)
		return 0;
	for (size_t i = 0; i < g->out->n_losses; i++) {
		const struct repair_loss *other = &g->out->losses[i];
		if (other->generation == w.promoted && str_eq(other->resource, l->resource) && str_eq(other->window, l->window))
			return 0;
	}
	return w.promoted;
}

/* Who still has what was lost, or has taken its place. */
static bool fill_loss(struct gather *g, struct repair_loss *l, struct err *e)
{
	struct project *j = g->project;
	struct err why = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct sha256 content;
	struct twin twin;
	struct ledger ledger;
	struct window w;
	bool known = false, found = false;
	if (window_from_name(l->window, &w))
		l->refetch = arena_format(g->arena, "run --only %.*s --from %.*s --to %.*s --refetch", STR_ARG(l->resource),
					  STR_ARG(us_to_rfc3339(w.from_us, &a)), STR_ARG(us_to_rfc3339(w.to_us, &a)));
	struct str key = key_window(key_resource(j->pipeline->name, l->resource, &a), l->window, &a);
	bool ok = look_in_table(g, l, &content, &known, &a, e);
	l->later = later_fetch(g, l, key, &a);
	if (ok && !known && ledger_open(j->store, j->clock, key_generation(key, l->generation, &a), STR_NONE, &a, &ledger, &why)) {
		known = ledger.status == GENERATION_SEALED;
		content = ledger.seal.digest;
	}
	if (ok && known && twin_of(j, l->resource, l->window, l->generation, content, &a, &twin, &found, &why) && found) {
		l->same_window = arena_copy(g->arena, twin.window);
		l->same_generation = twin.generation;
	}
	arena_free(&a);
	return ok;
}

/* ── what cannot be made again ── */

static bool is_needed(const struct repair_loss *l)
{
	return l->same_window.n == 0 && l->later == 0;
}

static struct repair_loss *loss_of(const struct repair *r, struct str resource, const struct table_window *w)
{
	for (size_t i = 0; i < r->n_losses; i++)
		if (is_needed(&r->losses[i]) && str_eq(r->losses[i].resource, resource) &&
		    str_eq(r->losses[i].window, w->name) && r->losses[i].generation == w->generation)
			return &r->losses[i];
	return NULL;
}

static void block(struct gather *g, struct repair_table *t, const struct repair_loss *l)
{
	t->blocked = arena_format(g->arena, "window %.*s, generation %u, is lost in Raw", STR_ARG(l->window), l->generation);
}

/* Files of the main table that share a window with what must be written again go the same way. */
static void block_by_files(struct gather *g, struct repair_table *t, const struct table_snapshot *of, struct str key,
			   const struct table_snapshot *main, struct arena *a)
{
	struct str_map needed = { 0 };
	bool grew = true;
	for (size_t i = 0; i < of->n_files; i++)
		for (size_t k = 0; is_bad_file(g, key, &of->files[i], a) && k < of->files[i].n_windows; k++)
			str_map_add(&needed, of->files[i].windows[k].name, 0, a);
	while (grew) {
		grew = false;
		for (size_t i = 0; i < main->n_files; i++) {
			const struct table_file *f = &main->files[i];
			bool holds = false;
			for (size_t k = 0; k < f->n_windows; k++)
				holds = holds || str_map_get(&needed, f->windows[k].name) != SIZE_MAX;
			for (size_t k = 0; holds && k < f->n_windows; k++) {
				const struct repair_loss *l = loss_of(g->out, t->by, &f->windows[k]);
				grew = str_map_add(&needed, f->windows[k].name, 0, a) || grew;
				if (l)
					block(g, t, l);
			}
		}
	}
}

/* A log is cut only if all that stood behind the cut can come from Raw: its rows may be the only ones left. */
static bool block_by_log(struct gather *g, struct repair_table *t, struct str key, struct arena *a, struct err *e)
{
	struct table_snapshot left = { .version = -1 };
	struct err why = ERR_INIT;
	if (t->versions_left > 0 && !table_load(g->project->store, key, t->versions_left - 1, a, &left, &why) &&
	    why.code != ERR_DAMAGE) {
		*e = why;
		return false;
	}
	if (why.code != ERR_NONE)
		left = (struct table_snapshot){ .version = -1 };
	for (size_t i = 0; i < g->out->n_losses; i++) {
		const struct repair_loss *l = &g->out->losses[i];
		const struct table_window *w = left.version < 0 ? NULL : table_find_window(&left, l->window);
		if (is_needed(l) && str_eq(l->resource, t->by) && !(w && w->generation == l->generation))
			block(g, t, l);
	}
	return true;
}

static bool find_blocked(struct gather *g, struct repair_table *t, struct err *e)
{
	struct project *j = g->project;
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct table_snapshot main, of;
	struct str key = project_table_key(j, t->zone, t->name, &a);
	bool ok = true;
	if (t->log)
		ok = block_by_log(g, t, key, &a, e);
	else if (project_table_load(j, project_table_key(j, ZONE_PREPARE, t->by, &a), &a, &main, &why) &&
		 project_table_load(j, key, &a, &of, &why))
		block_by_files(g, t, &of, key, &main, &a);
	else if (why.code != ERR_DAMAGE) {
		*e = why;
		ok = false;
	}
	arena_free(&a);
	return ok;
}

/* The tables of a resource are made in one go. */
static void spread_blocked(struct repair *r)
{
	for (size_t i = 0; i < r->n_tables; i++)
		for (size_t k = 0; k < r->n_tables && r->tables[i].blocked.n == 0; k++)
			if (str_eq(r->tables[i].by, r->tables[k].by) && r->tables[k].zone != ZONE_REFINE &&
			    r->tables[i].zone != ZONE_REFINE)
				r->tables[i].blocked = r->tables[k].blocked;
}

/* A run refuses a log that is damaged, so it cannot be what asks again. */
static void advise(struct gather *g)
{
	struct repair *r = g->out;
	for (size_t i = 0; i < r->n_losses; i++)
		for (size_t k = 0; k < r->n_tables && !r->losses[i].then_repair; k++) {
			struct repair_loss *l = &r->losses[i];
			const struct repair_table *t = &r->tables[k];
			if (!t->log || t->zone == ZONE_REFINE || !str_eq(t->by, l->resource) || l->refetch.n == 0)
				continue;
			l->then_repair = true;
			l->refetch = arena_format(g->arena, "ingest%.*s", STR_ARG(str_sub(l->refetch, strlen("run"), SIZE_MAX)));
		}
}

static const struct repair_table *blocked_input(const struct gather *g, const struct model *m)
{
	const struct repair *r = g->out;
	for (size_t i = 0; i < m->n_reads; i++)
		for (size_t k = 0; k < r->n_tables; k++) {
			const struct repair_table *t = &r->tables[k];
			struct str zone = str_from(lake_zone_name(t->zone)), rest = m->reads[i];
			if (t->blocked.n > 0 && str_starts(rest, zone) && rest.n == zone.n + 1 + t->name.n &&
			    str_ends(rest, t->name) && rest.p[zone.n] == '.')
				return t;
		}
	return NULL;
}

/* What reads a table that stays damaged stays as it is, too. */
static void block_models(struct gather *g)
{
	struct project *j = g->project;
	bool grew = true;
	while (grew) {
		grew = false;
		for (size_t i = 0; i < g->out->n_tables; i++) {
			struct repair_table *t = &g->out->tables[i];
			for (size_t k = 0; k < j->models.n && t->zone == ZONE_REFINE && t->blocked.n == 0; k++) {
				const struct repair_table *in = str_eq(j->models.v[k].name, t->by) ? blocked_input(g, &j->models.v[k]) : NULL;
				if (in == NULL)
					continue;
				t->blocked = arena_format(g->arena, "it reads %s.%.*s", lake_zone_name(in->zone), STR_ARG(in->name));
				grew = true;
			}
		}
	}
}

/* The highest number that a log of this table ever had, as far as anything tells: its own (*newest), those that were cut off
 * before, or (in t->seen already) what the record of a run says. */
static bool find_seen(struct gather *g, struct repair_table *t, struct str key, int64_t *newest, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing runs, names;
	struct str cut = arena_format(&a, "%.*s/damaged", STR_ARG(key));
	bool ok = store_list(g->project->store, cut, &a, &runs, e);
	for (size_t i = 0; ok && i <= runs.n; i++) {
		struct str folder = i < runs.n ? arena_format(&a, "%.*s/%.*s", STR_ARG(cut), STR_ARG(runs.v[i].name))
					       : arena_format(&a, "%.*s/_delta_log", STR_ARG(key));
		ok = store_list_names(g->project->store, folder, &a, &names, e);
		for (size_t k = 0; ok && k < names.n; k++) {
			uint64_t n = 0;
			struct str rest;
			if (!version_of(names.v[k].name, &rest, &n) || !str_eq_z(rest, ".json") || n >= VERSIONS_MAX)
				continue;
			if ((int64_t)n > t->seen)
				t->seen = (int64_t)n;
			if (i == runs.n)
				*newest = (int64_t)n;
		}
	}
	arena_free(&a);
	return ok;
}

/* Under which number and id it goes on. Those of a repair that was cut off, unless what that one made is damaged since. */
static bool find_mark(struct gather *g, struct repair_table *t, struct str key, bool *renewed, struct err *e)
{
	struct store *s = g->project->store;
	struct table_cut old;
	int64_t newest = -1;
	if (!find_seen(g, t, key, &newest, e) || !table_cut_find(s, key, g->arena, &old, &t->resumed, e))
		return false;
	bool nothing_to_cut = t->resumed && newest < t->versions_left;
	t->mark = (struct table_cut){ .seen = t->seen > 0 ? t->seen : 0 };
	if (t->resumed && old.id.n > 0 && (nothing_to_cut || old.seen >= t->seen)) {
		struct table_snapshot now;
		t->mark = old;
		if (nothing_to_cut && !table_load(s, key, -1, g->arena, &now, e))
			return false;
		*renewed = nothing_to_cut && now.version > old.seen && str_eq(now.id, old.id);
	} else {
		t->mark.id = process_uuid(g->arena);
		if (t->resumed && old.seen >= t->mark.seen)
			t->mark.seen = old.seen + 1; /* its own cannot be read */
	}
	t->seen = t->mark.seen;
	return true;
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
	struct problems ignored = PROBLEMS_INIT(g->arena);
	struct err unlinked = ERR_INIT;
	r->run.renewed = arena_array(g->arena, bool, r->n_tables + 1);
	r->run.seen = arena_array(g->arena, int64_t, r->n_tables + 1);
	r->run.id = arena_array(g->arena, struct str, r->n_tables + 1);
	if (r->n_tables > 0 && !project_link(j, &ignored, &unlinked))
		log_warn("what the models read is not known: %s", unlinked.message); /* the run will say so, too */
	for (size_t i = 0; i < r->n_losses; i++)
		if (!fill_loss(g, &r->losses[i], e))
			return false;
	for (size_t i = 0; i < r->n_tables; i++) {
		struct repair_table *t = &r->tables[i];
		struct str key = project_table_key(j, t->zone, t->name, g->arena);
		int64_t good = 0;
		t->by = made_by(j, t->zone, t->name);
		if (t->log && !table_good_versions(j->store, key, &good, e))
			return false;
		t->versions_left = good < t->versions_left ? good : t->versions_left;
		if (t->by.n > 0 && t->zone != ZONE_REFINE && !find_blocked(g, t, e))
			return false;
	}
	spread_blocked(r);
	block_models(g);
	advise(g);
	for (size_t i = 0; i < r->n_tables; i++) {
		struct repair_table *t = &r->tables[i];
		struct str key = project_table_key(j, t->zone, t->name, g->arena);
		if (t->by.n == 0 || t->blocked.n > 0)
			continue;
		if (!has_name(r->only, t->by))
			r->only = arena_format(g->arena, "%.*s%s%.*s", STR_ARG(r->only), r->only.n ? "," : "", STR_ARG(t->by));
		if (!t->log)
			continue;
		if (!find_mark(g, t, key, &r->run.renewed[i], e))
			return false;
		r->run.seen[i] = t->mark.seen;
		r->run.id[i] = t->mark.id;
		str_map_add(&r->run.renew, key, i, g->arena);
	}
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

/* From the newest one down, each copied before it goes, and behind a mark: whatever interrupts this, the rest is a log to be
 * repaired. A
 * checkpoint of a version that went would be another program's way into a history that is none any more; what leads to it goes
 * before it. */
static bool cut_log(struct project *j, const struct repair_table *t, struct str run_id, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str table = project_table_key(j, t->zone, t->name, &a);
	struct str hint = arena_format(&a, "%.*s/_delta_log/_last_checkpoint", STR_ARG(table));
	struct table_cut mark = t->mark;
	if (mark.run_id.n == 0)
		mark.run_id = run_id;
	bool ok = table_cut_write(j->store, table, &mark, &a, e) &&
		  cut_folder(j, table, "state", false, t->versions_left, run_id, e) && store_remove(j->store, hint, e) &&
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
		if (r->tables[i].log && r->tables[i].by.n > 0 && r->tables[i].blocked.n == 0 &&
		    !cut_log(j, &r->tables[i], options.request.run_id, e))
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
	j->repairing = true;
	bool ok = run_pipeline(j, &options, a, out, e);
	j->repairing = false;
	return ok;
}
