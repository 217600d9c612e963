#include "run/compact.h"

#include "base/check.h"
#include "run/input_check.h"
#include "run/publish.h"
#include "run/upkeep.h"

#include <signal.h>
#include <string.h>

enum { BUILD_TRIES = 5 };

struct compaction {
	struct publish u;
	const struct compact_options *o;
	const struct resource *resource;
	struct str table; /* of it: its own, or a child's */
	int64_t now_us;
	struct run_result result; /* what its record says */
	size_t cap_tables;
	struct arena arena;       /* of the result */
};

/* No run without --refetch asks for it any more. */
static bool is_closed(void *user, struct str name)
{
	const struct compaction *c = user;
	const struct resource *r = c->resource;
	struct window w;
	if (!window_from_name(name, &w))
		return false;
	int64_t margin = r->lookback_us > 0 ? w.to_us - w.from_us : 0; /* today's run may be still to come */
	return w.to_us + r->settle_us + r->lookback_us + margin <= c->now_us;
}

/* ── the engine's part ── */

static struct sha256 job_key(const struct compact_choice *c)
{
	struct sha256_state s;
	sha256_begin(&s);
	sha256_add_str(&s, STR("sluice-compact/1"));
	for (size_t i = 0; i < c->n_targets; i++)
		for (size_t k = 0; k < c->targets[i].n_windows; k++)
			sha256_add(&s, c->targets[i].windows[k].key.b, SHA256_SIZE);
	return sha256_end(&s);
}

static bool call_engine(struct compaction *c, enum lake_zone zone, struct str key, const struct table_snapshot *t,
			const struct compact_choice *choice, struct engine_result *r, struct arena *a, struct err *e)
{
	struct project *j = c->u.project;
	struct engine_job job = {
		.kind = ENGINE_COMPACT,
		.run_id = c->u.run_id,
		.table = c->table,
		.threads = 1,
		.quarantine = zone == ZONE_QUARANTINE,
		.columns = t->schema,
		.merges = arena_array(a, struct job_merge, choice->n_targets + 1),
		.n_merges = choice->n_targets,
	};
	if (!project_job(j, &job, e))
		return false;
	for (size_t i = 0; i < choice->n_targets; i++) {
		const struct compact_target *x = &choice->targets[i];
		struct job_merge *m = &job.merges[i];
		*m = (struct job_merge){ .windows = x->windows, .n_windows = x->n_windows, .n_files = x->n_from,
					 .files = arena_array(a, struct str, x->n_from + 1) };
		for (size_t k = 0; k < x->n_from; k++)
			m->files[k] = project_job_file(j, &job, key, x->from[k], a);
	}
	struct engine_call call = { .job = &job, .stop = c->o->stop };
	if (!publish_folder(&c->u, key, job_key(choice), a, &job.output, e) || !engine_call(&call, a, r, e) ||
	    !publish_settle(&c->u, key, r->files, r->n_files, a, e))
		return false;
	return r->n_files == choice->n_targets ||
	       err_set(e, ERR_ENGINE, "%zu files were made where %zu were asked for", r->n_files, choice->n_targets);
}

/* What the engine gave back is what it was asked for: the same windows, with the same rows. */
static bool files_fit(const struct compact_choice *choice, const struct engine_result *r, struct err *e)
{
	for (size_t i = 0; i < r->n_files; i++) {
		const struct compact_target *x = &choice->targets[i];
		const struct table_file *f = &r->files[i];
		uint64_t rows = 0;
		bool same = f->n_windows == x->n_windows;
		for (size_t k = 0; same && k < f->n_windows; k++) {
			rows += x->windows[k].rows;
			same = str_eq(f->windows[k].name, x->windows[k].name) && f->windows[k].rows == x->windows[k].rows &&
			       row_hash_eq(&f->windows[k].hash, &x->windows[k].hash);
		}
		if (!same || f->rows != rows)
			return err_set(e, ERR_ENGINE, "file %zu has other windows than it was asked for", i + 1);
	}
	return true;
}

/* ── a table ── */

static bool merge_files(struct compaction *c, enum lake_zone zone, struct table_snapshot *t, const struct compact_choice *choice,
			bool *again, struct arena *a, struct err *e)
{
	struct str key = project_table_key(c->u.project, zone, c->table, a);
	struct table_file *remove = arena_array(a, struct table_file, choice->n_remove + 1);
	struct table_snapshot inputs = { .version = t->version, .files = remove, .n_files = choice->n_remove };
	struct engine_result r;
	for (size_t i = 0; i < choice->n_remove; i++) {
		remove[i] = *choice->remove[i];
		remove[i].same_data = true;
	}
	/* Row hashes cover neither addresses nor `_extra`: what is damaged there would be copied, and stand behind a good SHA-256. */
	if (!input_check(c->u.project, key, &inputs, NULL, e) || !call_engine(c, zone, key, t, choice, &r, a, e) ||
	    !files_fit(choice, &r, e))
		return false;
	for (size_t i = 0; i < r.n_files; i++) {
		r.files[i].windows = choice->targets[i].windows; /* the tags as they were */
		r.files[i].same_data = true;
	}
	struct table_schema schema = t->schema;
	struct commit_ask ask = {
		.zone = zone,
		.table = c->table,
		.operation = STR("sluice compact"),
		.description = t->description,
		.contract_meaning = t->contract_meaning,
		.schema = &schema,
		.job_key = job_key(choice),
		.add = r.files,
		.n_add = r.n_files,
		.remove = remove,
		.n_remove = choice->n_remove,
		.moves = true,
	};
	return publish_commit(&c->u, &ask, t, again, a, e);
}

static void report(const struct compaction *c, enum lake_zone zone, const struct table_snapshot *t,
		   const struct compact_choice *choice, size_t before, struct compact_report *r)
{
	*r = (struct compact_report){ .zone = zone, .name = c->table, .version = t->version, .files_before = before,
				      .files_after = before - choice->n_remove + choice->n_targets,
				      .merged = choice->n_remove, .made = choice->n_targets };
	for (size_t i = 0; i < choice->n_remove; i++)
		r->rows += choice->remove[i]->rows;
}

/* Of the quarantine's layout, `main` as it will be: in a dry run that is not committed. */
static struct table_snapshot as_if(const struct table_snapshot *t, const struct compact_choice *choice, struct arena *a)
{
	struct table_snapshot out = { .version = t->version };
	struct str_map gone = { 0 };
	for (size_t i = 0; i < choice->n_remove; i++)
		str_map_add(&gone, choice->remove[i]->path, i, a);
	out.files = arena_array(a, struct table_file, t->n_files + choice->n_targets + 1);
	out.windows = t->windows;
	out.by_name = t->by_name;
	for (size_t i = 0; i < t->n_files; i++)
		if (str_map_get(&gone, t->files[i].path) == SIZE_MAX)
			out.files[out.n_files++] = t->files[i];
	for (size_t i = 0; i < choice->n_targets; i++)
		out.files[out.n_files++] = (struct table_file){ .path = arena_format(a, "new %zu", i),
								.windows = choice->targets[i].windows,
								.n_windows = choice->targets[i].n_windows };
	return out;
}

/* The newest version of a log is named by no other: the record of the run that left it vouches for it, also where that run
 * was a compaction. A table and its quarantine stand in one row. */
static void note_left(struct compaction *c, enum lake_zone zone, const struct table_snapshot *t)
{
	struct run_result *r = &c->result;
	struct table_left left = { t->version, arena_copy(&c->arena, t->id), t->last_hash };
	bool parent = !str_eq(c->table, c->resource->name);
	if (zone == ZONE_QUARANTINE && r->n_tables > 0 && str_eq(r->tables[r->n_tables - 1].name, c->table)) {
		r->tables[r->n_tables - 1].quarantine = left;
		return;
	}
	r->tables = arena_push_grow(&c->arena, r->tables, r->n_tables, &c->cap_tables, sizeof *r->tables);
	struct run_table *x = &r->tables[r->n_tables++];
	*x = (struct run_table){ .zone = zone, .name = arena_copy(&c->arena, c->table), .note = STR("compacted"),
				 .parent = parent ? c->resource->name : STR_NONE };
	publish_totals(t, x);
	x->left = left;
}

/* `main`: the table that decides on the files: of a quarantine the one it belongs to, of a child table the resource's own;
 * of that NULL. On success *t is the table as it is, or would be, now. */
static bool compact_table(struct compaction *c, enum lake_zone zone, const struct table_snapshot *main,
			  struct table_snapshot *t, struct arena *a, struct err *e)
{
	struct project *j = c->u.project;
	struct str key = project_table_key(j, zone, c->table, a);
	for (int tries = 0; tries < BUILD_TRIES; tries++) {
		struct compact_choice choice;
		struct compact_report r;
		bool again = false;
		if (!project_table_load(j, key, a, t, e))
			return false;
		if (t->version < 0)
			return true;
		int64_t before = t->version;
		if (main && zone == ZONE_PREPARE)
			compact_choose_child(t, main, is_closed, c, a, &choice);
		else if (main)
			compact_choose_quarantine(t, main, is_closed, c, a, &choice);
		else
			compact_choose(t, j->pipeline->file_rows, is_closed, c, a, &choice);
		report(c, zone, t, &choice, t->n_files, &r);
		if (choice.n_targets > 0 && c->o->dry_run)
			*t = as_if(t, &choice, a);
		else if (choice.n_targets > 0 && !merge_files(c, zone, t, &choice, &again, a, e))
			return err_wrap(e, "compact %s.%.*s", lake_zone_name(zone), STR_ARG(c->table));
		if (again)
			continue;
		r.version = t->version;
		if (!c->o->dry_run)
			upkeep_table(&c->u, zone, c->resource->name, before, t->version);
		if (!c->o->dry_run && t->version > before)
			note_left(c, zone, t);
		c->o->tell(c->o->user, &r);
		return true;
	}
	return err_set(e, ERR_FENCED, "compact %.*s: other runs changed the same files %d times", STR_ARG(c->table),
		       BUILD_TRIES);
}

/* Also of one that failed half-way: its first commits stand. */
static bool put_record(struct compaction *c, const struct err *why, struct err *e)
{
	struct project *j = c->u.project;
	struct run_result *r = &c->result;
	bool ours = false;
	r->run_id = c->u.run_id;
	r->command = STR("compact");
	r->plan.environment = j->pipeline->environment;
	r->err = *why;
	r->took_us = j->clock->wall_us(j->clock) - c->now_us;
	r->started_us = c->now_us;
	struct str key = arena_format(&c->arena, "%.*s/record.json", STR_ARG(key_run(j->pipeline->name, c->u.run_id, &c->arena)));
	return store_create_checked(j->store, key, run_record_json(r, &c->arena), &ours, &c->arena, e) ||
	       err_wrap(e, "the record of the compaction could not be kept");
}

static bool is_wanted(const struct compact_options *o, struct str name)
{
	bool wanted = o->n_only == 0;
	for (size_t i = 0; i < o->n_only; i++)
		wanted = wanted || str_eq(o->only[i], name);
	return wanted;
}

/* The tables of a resource, each with its quarantine; the main one first, since its files decide. */
static bool compact_resource(struct compaction *c, const struct contract *contract, struct arena *a, struct err *e)
{
	struct table_snapshot main, child, aside;
	c->table = c->resource->name;
	if (!compact_table(c, ZONE_PREPARE, NULL, &main, a, e) ||
	    (main.version >= 0 && !compact_table(c, ZONE_QUARANTINE, &main, &aside, a, e)))
		return false;
	for (size_t i = 1; contract && main.version >= 0 && i <= contract->n_children; i++) {
		c->table = contract_table(contract, i)->name;
		if (!compact_table(c, ZONE_PREPARE, &main, &child, a, e) ||
		    (child.version >= 0 && !compact_table(c, ZONE_QUARANTINE, &child, &aside, a, e)))
			return false;
	}
	return true;
}

static bool compact_all(struct compaction *c, struct err *e)
{
	struct project *j = c->u.project;
	bool ok = true;
	for (size_t i = 0; ok && i < j->pipeline->n_resources; i++) {
		struct arena each = ARENA_INIT;
		c->resource = &j->pipeline->resources[i];
		if (c->resource->kind != KIND_WINDOW || !is_wanted(c->o, c->resource->name))
			continue;
		ok = compact_resource(c, j->contracts[i], &each, e);
		arena_free(&each);
		if (ok && c->o->stop && *c->o->stop != 0)
			ok = err_set(e, *c->o->stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
	}
	return ok;
}

bool compact_lake(struct project *j, const struct compact_options *o, struct arena *a, struct err *e)
{
	struct run_options options = { .stop = o->stop };
	struct err ignored = ERR_INIT;
	struct compaction c = { .u = { .project = j, .options = &options, .run_id = run_id_new(j->clock, a), .threads = 1 },
				.o = o, .now_us = j->clock->wall_us(j->clock) };
	bool ok = compact_all(&c, e);
	if (c.result.n_tables > 0)
		ok = put_record(&c, e, ok ? e : &ignored) && ok;
	arena_free(&c.arena);
	return ok;
}
