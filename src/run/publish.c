#include "run/publish.h"

#include "run/plan_window.h"

#include "base/check.h"
#include "format/process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BUILD_TRIES = 5 };

/* ── which windows a job holds ── */

struct todo {
	struct job_window *v; /* in time order once sorted */
	size_t n, cap;
	struct str_map names; /* which windows are in it */
};

static bool todo_has(const struct todo *t, struct str name)
{
	return str_map_get(&t->names, name) != SIZE_MAX;
}

static void todo_add(struct todo *t, struct job_window w, struct arena *a)
{
	CHECK(str_map_add(&t->names, w.name, 0, a));
	*arena_push(a, *t) = w;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct job_window *)a)->name, ((const struct job_window *)b)->name);
}

static bool file_holds(const struct table_file *f, struct todo *t, bool only_with_rows)
{
	for (size_t k = 0; k < f->n_windows; k++)
		if ((!only_with_rows || f->windows[k].rows > 0) && todo_has(t, f->windows[k].name))
			return true;
	return false;
}

static bool add_kept(struct plan_resource *p, const struct table_window *w, struct todo *t, struct arena *a)
{
	if (todo_has(t, w->name))
		return false;
	const struct table_window *main = table_find_window(&p->table, w->name);
	w = main ? main : w; /* the books of the main table count what was read */
	struct job_window kept = {
		.name = w->name,
		.generation = w->generation,
		.content = w->content,
		.seal = w->seal,
		.key = window_key(p->resource, w->name, w->content, p->contract),
		.records = w->read,
	};
	todo_add(t, kept, a);
	return true;
}

/* Windows that share a file with one that is replaced are written again with it. A window without rows in a file of the
 * quarantine is only a tag there and stays where it is. */
static void close_over_files(struct plan_resource *p, struct todo *t, struct arena *a)
{
	bool grew = true;
	while (grew) {
		grew = false;
		for (size_t i = 0; i < p->table.n_files; i++) {
			const struct table_file *f = &p->table.files[i];
			if (!file_holds(f, t, false))
				continue;
			for (size_t k = 0; k < f->n_windows; k++)
				grew = add_kept(p, &f->windows[k], t, a) || grew;
		}
		for (size_t i = 0; i < p->quarantine.n_files; i++) {
			const struct table_file *f = &p->quarantine.files[i];
			if (!file_holds(f, t, true))
				continue;
			for (size_t k = 0; k < f->n_windows; k++)
				if (f->windows[k].rows > 0)
					grew = add_kept(p, &f->windows[k], t, a) || grew;
		}
	}
}

/* ── what leaves a table, and what only changes its tags ── */

struct edit {
	struct {
		struct table_file *v;
		size_t n, cap;
	} remove, retag;
	struct {
		struct table_window *v;
		size_t n, cap;
	} carried; /* tags without rows of removed files: they move to a new one */
};

static struct table_file without_windows(const struct table_file *f, struct todo *t, struct arena *a)
{
	struct table_file kept = *f;
	kept.windows = arena_array(a, struct table_window, f->n_windows + 1);
	kept.n_windows = 0;
	kept.same_data = true;
	for (size_t k = 0; k < f->n_windows; k++)
		if (!todo_has(t, f->windows[k].name))
			kept.windows[kept.n_windows++] = f->windows[k];
	return kept;
}

static void edit_table(const struct table_snapshot *table, struct todo *t, bool replace_all, struct edit *out,
		       struct arena *a)
{
	for (size_t i = 0; i < table->n_files; i++) {
		const struct table_file *f = &table->files[i];
		if (replace_all || file_holds(f, t, true) || (f->rows == 0 && file_holds(f, t, false) &&
							      without_windows(f, t, a).n_windows == 0)) {
			*arena_push(a, out->remove) = *f;
			for (size_t k = 0; !replace_all && k < f->n_windows; k++)
				if (!todo_has(t, f->windows[k].name))
					*arena_push(a, out->carried) = f->windows[k];
		} else if (file_holds(f, t, false)) {
			*arena_push(a, out->retag) = without_windows(f, t, a);
		}
	}
}

static int tag_by_name(const void *a, const void *b)
{
	return str_cmp(((const struct table_window *)a)->name, ((const struct table_window *)b)->name);
}

static struct table_file *all_adds(struct table_file *made, size_t n_made, const struct edit *x, size_t *n, struct arena *a)
{
	struct table_file *adds = arena_array(a, struct table_file, n_made + x->retag.n + 1);
	*n = 0;
	for (size_t i = 0; i < x->retag.n; i++)
		adds[(*n)++] = x->retag.v[i];
	for (size_t i = 0; i < n_made; i++)
		adds[(*n)++] = made[i];
	if (x->carried.n > 0) {
		CHECK(n_made > 0);
		struct table_file *last = &adds[*n - 1];
		struct table_window *all = arena_array(a, struct table_window, last->n_windows + x->carried.n);
		memcpy(all, last->windows, last->n_windows * sizeof *all);
		memcpy(all + last->n_windows, x->carried.v, x->carried.n * sizeof *all);
		last->windows = all;
		last->n_windows += x->carried.n;
		qsort(all, last->n_windows, sizeof *all, tag_by_name); /* names sort in time */
	}
	return adds;
}

/* ── the engine's part ── */

static struct sha256 job_key(const struct todo *t)
{
	struct sha256_state s;
	sha256_begin(&s);
	for (size_t i = 0; i < t->n; i++)
		sha256_add(&s, t->v[i].key.b, sizeof t->v[i].key.b);
	return sha256_end(&s);
}

static bool call_engine(struct publish *u, const struct plan_resource *p, const struct todo *t, struct sha256 key,
			struct engine_result *r, struct arena *a, struct err *e)
{
	struct project *j = u->project;
	const struct resource *res = p->resource;
	struct str main = project_table_key(j, ZONE_PREPARE, res->name, a);
	struct str aside = project_table_key(j, ZONE_QUARANTINE, res->name, a);
	struct engine_job job = {
		.kind = ENGINE_PREPARE,
		.run_id = u->run_id,
		.pipeline = j->pipeline->name,
		.table = res->name,
		.lake = str_from(j->lake_path),
		.threads = u->threads,
		.memory_bytes = j->pipeline->memory_bytes,
		.file_rows = j->pipeline->file_rows,
		.contract = p->contract->canonical,
		.records = res->records,
		.budget_percent = p->contract->budget_percent,
		.budget_rows = p->contract->budget_rows,
		.windows = t->v,
		.n_windows = t->n,
		.max_body_bytes = res->source->limits.decoded_bytes,
		.max_ratio = res->source->limits.decoded_ratio,
		.json_depth = res->source->limits.json_depth,
	};
	struct engine_call call = { .job = &job, .progress = u->progress, .user = u->user, .stop = u->options->stop };
	if (!publish_folder(u, main, key, a, &job.output, e) ||
	    !publish_folder(u, aside, key, a, &job.quarantine_output, e))
		return false;
	bool ok = engine_call(&call, a, r, e);
	if (call.peak_rss_bytes > u->peak_rss_bytes)
		u->peak_rss_bytes = call.peak_rss_bytes;
	return ok && publish_settle(u, main, r->files, r->n_files, a, e) &&
	       publish_settle(u, aside, r->quarantine_files, r->n_quarantine_files, a, e);
}

static bool books_balance(const struct engine_result *r, const struct todo *t, struct err *e)
{
	const struct loss_report *l = &r->loss;
	uint64_t wanted = 0, rows = 0;
	for (size_t i = 0; i < t->n; i++)
		wanted += t->v[i].records;
	for (size_t i = 0; i < r->n_files; i++)
		rows += r->files[i].rows;
	if (l->read != wanted || l->published != rows || l->read != l->published + l->quarantined + l->duplicates)
		return err_set(e, ERR_ENGINE,
			       "the books do not balance: sealed %" PRIu64 " records, read %" PRIu64 ", published %" PRIu64
			       " (in files %" PRIu64 "), quarantined %" PRIu64 ", duplicates %" PRIu64,
			       wanted, l->read, l->published, rows, l->quarantined, l->duplicates);
	return true;
}

/* ── windows whose content came again: only their tags change (rule 31) ── */

struct same {
	struct str main, aside; /* the names it has in the two tables; a run may have ended between their commits */
	const struct plan_window *now;
};

/* The window's tag; of a snapshot's table the only one, whatever it is called. */
static const struct table_window *tag_of(const struct plan_resource *p, const struct table_snapshot *t, struct str name)
{
	if (p->resource->kind == KIND_WINDOW)
		return table_find_window(t, name);
	return t->by_name.n == 1 ? t->windows[0] : NULL;
}

static bool is_same_content(const struct plan_resource *p, const struct plan_window *w, struct same *out)
{
	const struct table_window *main = tag_of(p, &p->table, w->name), *aside = tag_of(p, &p->quarantine, w->name);
	if (main == NULL || aside == NULL || !sha256_eq(main->key, w->key) || !sha256_eq(aside->key, w->key))
		return false;
	*out = (struct same){ main->name, aside->name, w };
	return true;
}

struct same_list {
	struct same *v;
	size_t n, cap;
};

static struct table_file *retag(const struct table_snapshot *t, const struct same_list *same, bool aside, size_t *n,
				struct arena *a)
{
	struct table_file *files = arena_array(a, struct table_file, t->n_files + 1);
	struct str_map names = { 0 };
	*n = 0;
	for (size_t m = 0; m < same->n; m++)
		CHECK(str_map_add(&names, aside ? same->v[m].aside : same->v[m].main, m, a));
	for (size_t i = 0; i < t->n_files; i++) {
		struct table_file f = t->files[i];
		bool changed = false;
		f.windows = arena_array(a, struct table_window, f.n_windows + 1);
		memcpy(f.windows, t->files[i].windows, f.n_windows * sizeof *f.windows);
		for (size_t k = 0; k < f.n_windows; k++) {
			size_t m = str_map_get(&names, f.windows[k].name);
			const struct plan_window *now = m == SIZE_MAX ? NULL : same->v[m].now;
			struct table_window *w = &f.windows[k];
			if (now == NULL || (str_eq(w->name, now->name) && w->generation == now->promoted))
				continue;
			w->name = now->name;
			w->generation = now->promoted;
			w->seal = now->seal;
			changed = true;
		}
		f.same_data = true;
		if (changed)
			files[(*n)++] = f;
	}
	return files;
}

static bool commit_tags(struct publish *u, struct plan_resource *p, const struct same_list *same, bool *again,
			struct arena *a, struct err *e)
{
	struct table_schema main = publish_schema(p->contract, true, a), aside = publish_quarantine_schema(a);
	struct commit_ask ask = {
		.zone = ZONE_QUARANTINE,
		.table = p->resource->name,
		.operation = STR("sluice tags"),
		.schema = &aside,
		.contract_meaning = p->quarantine.contract_meaning,
	};
	ask.add = retag(&p->quarantine, same, true, &ask.n_add, a);
	if (ask.n_add > 0 && !publish_commit(u, &ask, &p->quarantine, again, a, e))
		return false;
	if (*again)
		return true;
	ask.zone = ZONE_PREPARE;
	ask.schema = &main;
	ask.contract_meaning = p->table.contract_meaning;
	ask.add = retag(&p->table, same, false, &ask.n_add, a);
	return ask.n_add == 0 || publish_commit(u, &ask, &p->table, again, a, e);
}

/* ── a table ── */

static bool types_fit(const struct plan_resource *p, const struct table_schema *schema, const struct todo *t, struct err *e)
{
	size_t tagged = 0, covered = 0;
	if (p->resource->kind == KIND_SNAPSHOT)
		return true; /* nothing of the old table stays */
	for (size_t i = 0; i < p->table.n_files; i++)
		for (size_t k = 0; k < p->table.files[i].n_windows; k++) {
			tagged++;
			covered += todo_has(t, p->table.files[i].windows[k].name);
		}
	for (size_t i = 0; i < p->table.schema.n && covered < tagged; i++) {
		const struct table_column *old = &p->table.schema.v[i], *now = NULL;
		for (size_t k = 0; k < schema->n; k++)
			if (str_eq(schema->v[k].name, old->name))
				now = &schema->v[k];
		if (now && now->type == old->type && now->precision == old->precision && now->scale == old->scale)
			continue;
		err_set(e, ERR_CONTRACT, "%.*s: the contract %s column %.*s, which rewrites the whole table",
			STR_ARG(p->resource->name), now ? "changes the type of" : "drops or renames", STR_ARG(old->name));
		return err_hint(e, "rewrite it in one commit: sluice run --stale");
	}
	return true;
}

static struct str meaning_hex(const struct contract *c, struct arena *a)
{
	return sha256_hex_str(c->meaning, a);
}

static bool commit_both(struct publish *u, struct plan_resource *p, struct todo *t, struct engine_result *r, bool *again,
			struct arena *a, struct err *e)
{
	bool snapshot = p->resource->kind == KIND_SNAPSHOT;
	struct table_schema main = publish_schema(p->contract, true, a), aside = publish_quarantine_schema(a);
	struct edit x = { 0 }, y = { 0 };
	struct commit_ask ask = {
		.zone = ZONE_QUARANTINE,
		.table = p->resource->name,
		.operation = STR("sluice quarantine"),
		.description = STR("rows that break their contract, and why"),
		.schema = &aside,
		.contract_meaning = meaning_hex(p->contract, a),
		.job_key = job_key(t),
		.whole = snapshot,
	};
	edit_table(&p->quarantine, t, snapshot, &x, a);
	ask.add = all_adds(r->quarantine_files, r->n_quarantine_files, &x, &ask.n_add, a);
	ask.remove = x.remove.v;
	ask.n_remove = x.remove.n;
	if (!publish_commit(u, &ask, &p->quarantine, again, a, e))
		return false;
	if (*again)
		return true;
	edit_table(&p->table, t, snapshot, &y, a);
	ask.zone = ZONE_PREPARE;
	ask.operation = STR("sluice prepare");
	ask.description = STR_NONE;
	ask.schema = &main;
	ask.add = all_adds(r->files, r->n_files, &y, &ask.n_add, a);
	ask.remove = y.remove.v;
	ask.n_remove = y.remove.n;
	return publish_commit(u, &ask, &p->table, again, a, e);
}

/* Rule 32, last sentence: between our two commits another run may have published its own quarantine. */
static bool tags_agree(struct publish *u, struct plan_resource *p, const struct todo *t, struct arena *a, struct err *e)
{
	struct str key = project_table_key(u->project, ZONE_QUARANTINE, p->resource->name, a);
	if (!table_load(u->project->store, key, -1, a, &p->quarantine, e))
		return false;
	for (size_t i = 0; i < t->n; i++) {
		const struct table_window *w = table_find_window(&p->quarantine, t->v[i].name);
		if (w == NULL || !sha256_eq(w->key, t->v[i].key))
			return err_set(e, ERR_FENCED, "%.*s: another run changed window %.*s of its quarantine",
				       STR_ARG(p->resource->name), STR_ARG(t->v[i].name));
	}
	return true;
}

static bool build(struct publish *u, struct plan_resource *p, struct todo *t, struct run_table *out, bool *again,
		  struct arena *a, struct err *e)
{
	struct engine_result r;
	struct table_schema schema = publish_schema(p->contract, true, a);
	if (p->resource->kind == KIND_WINDOW)
		close_over_files(p, t, a);
	qsort(t->v, t->n, sizeof *t->v, by_name);
	if (!types_fit(p, &schema, t, e) || !publish_origins(u, p->resource, t->v, t->n, a, e) ||
	    !call_engine(u, p, t, job_key(t), &r, a, e) || !books_balance(&r, t, e))
		return false;
	if (!commit_both(u, p, t, &r, again, a, e))
		return false;
	out->loss = r.loss;
	out->rows_written = r.loss.published;
	return *again || tags_agree(u, p, t, a, e);
}

void publish_totals(const struct table_snapshot *t, struct run_table *out)
{
	out->version = t->version;
	out->left = (struct table_left){ t->version, t->id, t->last_hash };
	out->files = t->n_files;
	out->rows = out->size_bytes = 0;
	out->row_hash = ROW_HASH_INIT;
	for (size_t i = 0; i < t->n_files; i++) {
		out->rows += t->files[i].rows;
		out->size_bytes += t->files[i].size_bytes;
		for (size_t k = 0; k < t->files[i].n_windows; k++)
			row_hash_merge(&out->row_hash, &t->files[i].windows[k].hash);
	}
}

/* Rule 10: an older snapshot never replaces a newer one, which another run may have published since the plan. Nor do older
 * tags replace newer ones of the same content. */
static bool is_overtaken(const struct plan_resource *p, const struct plan_window *w)
{
	struct same found;
	bool newer = is_same_content(p, w, &found) && tag_of(p, &p->table, w->name)->generation > w->promoted &&
		     str_eq(found.main, w->name);
	for (size_t i = 0; i < p->table.n_files && p->resource->kind == KIND_SNAPSHOT; i++)
		for (size_t k = 0; k < p->table.files[i].n_windows; k++)
			newer = newer || str_cmp(p->table.files[i].windows[k].name, w->name) > 0;
	return newer;
}

/* Rule 32 on tables that are newer than the plan: what was read before them may be older than what they hold. */
static bool nothing_newer(const struct plan_resource *p, struct err *e)
{
	for (size_t i = 0; i < p->n_windows; i++) {
		const struct plan_window *w = &p->windows[i];
		const struct table_window *main = table_find_window(&p->table, w->name);
		const struct table_window *aside = table_find_window(&p->quarantine, w->name);
		bool newer = (main && main->generation > w->promoted) || (aside && aside->generation > w->promoted);
		if (w->known && newer && !is_overtaken(p, w))
			return err_set(e, ERR_FENCED, "another run published a newer fetch of window %.*s", STR_ARG(w->name));
	}
	return true;
}

/* Sorts the plan's windows into those that need the engine and those whose tags say it all. */
static void split_windows(struct plan_resource *p, struct todo *t, struct same_list *same, struct arena *a)
{
	for (size_t i = 0; i < p->n_windows; i++) {
		struct plan_window *w = &p->windows[i];
		struct same found;
		if (!w->known || plan_window_prepared(p, w) || is_overtaken(p, w))
			continue;
		if (is_same_content(p, w, &found))
			*arena_push(a, *same) = found;
		else
			todo_add(t, (struct job_window){ .name = w->name, .generation = w->promoted, .content = w->content,
						 .seal = w->seal, .key = w->key, .records = w->records }, a);
	}
}

/* The windows of files that are to be replaced, as their tags know them: that is what has to be made again. */
static void add_damaged(struct publish *u, struct plan_resource *p, struct todo *t, struct arena *a)
{
	const struct table_snapshot *tables[] = { &p->table, &p->quarantine };
	const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE };
	for (size_t z = 0; z < 2 && u->options->repair; z++) {
		struct str key = project_table_key(u->project, zones[z], p->resource->name, a);
		for (size_t i = 0; i < tables[z]->n_files; i++)
			for (size_t k = 0; publish_is_damaged(u, key, &tables[z]->files[i]) && k < tables[z]->files[i].n_windows; k++)
				add_kept(p, &tables[z]->files[i].windows[k], t, a);
	}
}

static bool renew_both(struct publish *u, struct plan_resource *p, bool *again, struct arena *a, struct err *e)
{
	struct table_schema main = publish_schema(p->contract, true, a), aside = publish_quarantine_schema(a);
	return publish_renew(u, ZONE_QUARANTINE, p->resource->name, &aside, &p->quarantine, again, a, e) &&
	       publish_renew(u, ZONE_PREPARE, p->resource->name, &main, &p->table, again, a, e);
}

static bool reload(struct publish *u, struct plan_resource *p, struct arena *a, struct err *e)
{
	struct project *j = u->project;
	struct store *s = j->store;
	return table_load(s, project_table_key(j, ZONE_PREPARE, p->resource->name, a), -1, a, &p->table, e) &&
	       table_load(s, project_table_key(j, ZONE_QUARANTINE, p->resource->name, a), -1, a, &p->quarantine, e);
}

bool publish_resource(struct publish *u, struct plan_resource *p, struct run_table *out, struct arena *a, struct err *e)
{
	out->zone = ZONE_PREPARE;
	out->name = p->resource->name;
	out->note = STR("nothing to do");
	for (int tries = 0; tries < BUILD_TRIES; tries++) {
		struct todo todo = { 0 };
		struct same_list same = { 0 };
		bool again = false;
		split_windows(p, &todo, &same, a);
		add_damaged(u, p, &todo, a);
		if (same.n > 0) {
			if (!commit_tags(u, p, &same, &again, a, e) || (!again && todo.n > 0 && !nothing_newer(p, e)))
				return err_wrap(e, "prepare %.*s", STR_ARG(out->name));
			out->note = arena_format(a, "%zu windows came again with the same content: only their tags change",
						 same.n);
		}
		if (todo.n > 0 && !again) {
			out->note = arena_format(a, "%zu windows", todo.n);
			if (!build(u, p, &todo, out, &again, a, e))
				return err_wrap(e, "prepare %.*s", STR_ARG(out->name));
			out->changed = true;
		}
		if (!again && !renew_both(u, p, &again, a, e))
			return err_wrap(e, "prepare %.*s", STR_ARG(out->name));
		if (!again) {
			const struct table_snapshot *aside = &p->quarantine;
			publish_totals(&p->table, out);
			out->quarantine = (struct table_left){ aside->version, aside->id, aside->last_hash };
			return true;
		}
		out->changed = false;
		out->rows_written = 0;
		out->loss = (struct loss_report){ 0 };
		out->note = STR("nothing to do: another run published it");
		if (!reload(u, p, a, e) || !nothing_newer(p, e))
			return err_wrap(e, "prepare %.*s", STR_ARG(out->name));
	}
	return err_set(e, ERR_FENCED, "prepare %.*s: other runs changed the same files %d times", STR_ARG(out->name),
		       BUILD_TRIES);
}
