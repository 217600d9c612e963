#include "run/publish_parts.h"

#include "run/plan_window.h"

#include "base/check.h"
#include "format/process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BUILD_TRIES = 5 };

/* ── the engine's part ── */

static struct sha256 job_key(const struct todo *t)
{
	struct sha256_state s;
	sha256_begin(&s);
	for (size_t i = 0; i < t->n; i++)
		sha256_add(&s, t->v[i].key.b, sizeof t->v[i].key.b);
	return sha256_end(&s);
}

static void name_tables(const struct plan_resource *p, struct engine_job *job, struct arena *a)
{
	job->n_children = p->n_tables - 1;
	job->children = arena_array(a, struct job_table, p->n_tables);
	for (size_t i = 0; i < p->n_tables; i++) {
		const struct plan_table *t = &p->tables[i];
		if (i > 0) {
			job->children[i - 1] = (struct job_table){ .name = t->name, .budget_percent = t->contract->budget_percent,
								   .budget_rows = t->contract->budget_rows };
			continue;
		}
		job->budget_percent = t->contract->budget_percent;
		job->budget_rows = t->contract->budget_rows;
	}
}

static bool make_folders(struct publish *u, const struct plan_resource *p, struct sha256 key, struct engine_job *job,
			 struct arena *a, struct err *e)
{
	for (size_t i = 0; i < p->n_tables; i++) {
		struct str name = p->tables[i].name;
		struct str *to = i > 0 ? &job->children[i - 1].output : &job->output;
		struct str *aside = i > 0 ? &job->children[i - 1].quarantine_output : &job->quarantine_output;
		if (!publish_folder(u, project_table_key(u->project, ZONE_PREPARE, name, a), key, a, to, e) ||
		    !publish_folder(u, project_table_key(u->project, ZONE_QUARANTINE, name, a), key, a, aside, e))
			return false;
	}
	return true;
}

/* With its folders, by an engine of ours or of somebody else. */
static bool carry_out(struct publish *u, const struct plan_resource *p, struct sha256 key, struct engine_job *job,
		      struct engine_result *r, struct arena *a, struct err *e)
{
	struct engine_exchange *x = u->options->exchange;
	struct store *s = u->project->store;
	if (x && x->way == EXCHANGE_TAKE)
		return exchange_take(x, job, a, r, e);
	if (x && !exchange_is_new(x, s, ZONE_PREPARE, job, a, e))
		return false;
	if (!make_folders(u, p, key, job, a, e))
		return false;
	if (x)
		return exchange_write(x, s, ZONE_PREPARE, job, a, e);
	CHECK(!p->engine.spark || u->spark); /* else another engine would do it, and nobody would know */
	struct engine_call call = { .job = job, .spark = p->engine.spark ? u->spark : NULL, .progress = u->progress,
				    .user = u->user, .stop = u->options->stop, .deadline_us = u->options->deadline_us };
	bool ok = engine_call(&call, a, r, e);
	if (call.peak_rss_bytes > u->peak_rss_bytes)
		u->peak_rss_bytes = call.peak_rss_bytes;
	return ok;
}

static bool call_engine(struct publish *u, const struct plan_resource *p, const struct todo *t, struct sha256 key,
			struct engine_result *r, struct arena *a, struct err *e)
{
	struct project *j = u->project;
	const struct resource *res = p->resource;
	struct engine_job job = {
		.kind = ENGINE_PREPARE,
		.run_id = u->run_id,
		.table = res->name,
		.threads = u->threads,
		.contract = p->contract->canonical,
		.records = res->records,
		.windows = t->v,
		.n_windows = t->n,
		.max_body_bytes = res->source->limits.decoded_bytes,
		.max_ratio = res->source->limits.decoded_ratio,
		.json_depth = res->source->limits.json_depth,
	};
	name_tables(p, &job, a);
	bool ok = project_job(j, &job, e) && carry_out(u, p, key, &job, r, a, e);
	if (ok && r->n_children != job.n_children)
		return err_set(e, ERR_ENGINE, "the engine answered for %zu child tables, not %zu", r->n_children, job.n_children);
	for (size_t i = 0; ok && i < p->n_tables; i++) {
		struct engine_output x = engine_result_table(r, i);
		struct str name = p->tables[i].name;
		ok = publish_settle(u, project_table_key(j, ZONE_PREPARE, name, a), x.files, x.n_files, a, e) &&
		     publish_settle(u, project_table_key(j, ZONE_QUARANTINE, name, a), x.quarantine_files,
				    x.n_quarantine_files, a, e);
	}
	return ok;
}

static bool books_balance(const struct plan_resource *p, const struct engine_result *r, const struct todo *t, struct err *e)
{
	for (size_t i = 0; i < p->n_tables; i++) {
		struct engine_output x = engine_result_table(r, i);
		const struct loss_report *l = &x.loss;
		uint64_t wanted = i > 0 ? l->read : 0, rows = 0; /* nobody has counted elements before */
		for (size_t k = 0; i == 0 && k < t->n; k++)
			wanted += t->v[k].records;
		for (size_t k = 0; k < x.n_files; k++)
			rows += x.files[k].rows;
		if (l->read != wanted || l->published != rows ||
		    l->read != l->published + l->quarantined + l->duplicates + l->with_parent)
			return err_set(e, ERR_ENGINE,
				       "the books of %.*s do not balance: sealed %" PRIu64 " records, read %" PRIu64
				       ", published %" PRIu64 " (in files %" PRIu64 "), quarantined %" PRIu64
				       ", duplicates %" PRIu64 ", gone with their record %" PRIu64,
				       STR_ARG(p->tables[i].name), wanted, l->read, l->published, rows, l->quarantined,
				       l->duplicates, l->with_parent);
	}
	return true;
}

/* ── windows whose content came again: only their tags change (rule 31) ── */

struct same {
	struct str *names; /* that it has in each target; a run may have ended between their commits */
	const struct plan_window *now;
};

/* The window's tag; of a snapshot's table the only one, whatever it is called. */
static const struct table_window *tag_of(const struct plan_resource *p, const struct table_snapshot *t, struct str name)
{
	if (p->resource->kind == KIND_WINDOW)
		return table_find_window(t, name);
	return t->by_name.n == 1 ? t->windows[0] : NULL;
}

static bool is_same_content(struct plan_resource *p, const struct plan_window *w, struct same *out, struct arena *a)
{
	*out = (struct same){ arena_array(a, struct str, target_count(p)), w };
	for (size_t i = 0; i < target_count(p); i++) {
		const struct table_window *tag = tag_of(p, target_at(p, i).t, w->name);
		if (tag == NULL || !sha256_eq(tag->key, w->key))
			return false;
		out->names[i] = tag->name;
	}
	return true;
}

struct same_list {
	struct same *v;
	size_t n, cap;
};

static struct table_file *retag(const struct table_snapshot *t, const struct same_list *same, size_t target, size_t *n,
				struct arena *a)
{
	struct table_file *files = arena_array(a, struct table_file, t->n_files + 1);
	struct str_map names = { 0 };
	*n = 0;
	for (size_t m = 0; m < same->n; m++)
		CHECK(str_map_add(&names, same->v[m].names[target], m, a));
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

static struct table_schema target_schema(const struct target *x, struct arena *a)
{
	return x->aside ? publish_quarantine_schema(a) : publish_schema(x->of->contract, true, a);
}

static bool commit_tags(struct publish *u, struct plan_resource *p, const struct same_list *same, bool *again,
			struct arena *a, struct err *e)
{
	for (size_t i = 0; i < target_count(p); i++) {
		struct target x = target_at(p, i);
		struct table_schema schema = target_schema(&x, a);
		struct commit_ask ask = {
			.zone = x.zone,
			.table = x.of->name,
			.operation = STR("sluice tags"),
			.schema = &schema,
			.contract_meaning = x.t->contract_meaning,
		};
		ask.add = retag(x.t, same, i, &ask.n_add, a);
		if (ask.n_add > 0 && !publish_commit(u, &ask, x.t, again, a, e))
			return false;
		if (*again)
			return true;
	}
	return true;
}

/* ── a table ── */

static bool types_fit(const struct plan_table *p, const struct table_schema *schema, const struct todo *t, struct err *e)
{
	size_t tagged = 0, covered = 0;
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
			STR_ARG(p->name), now ? "changes the type of" : "drops or renames", STR_ARG(old->name));
		return err_hint(e, "rewrite it in one commit: sluice run --stale");
	}
	return true;
}

static struct str meaning_hex(const struct contract *c, struct arena *a)
{
	return sha256_hex_str(c->meaning, a);
}

static struct str description_of(const struct target *x, const struct plan_resource *p, struct arena *a)
{
	if (x->aside)
		return STR("rows that break their contract, and why");
	if (x->of == &p->tables[0])
		return STR_NONE;
	return arena_format(a, "elements of %.*s in the records of %.*s", STR_ARG(x->of->contract->array_path),
			    STR_ARG(p->resource->name));
}

static bool commit_all(struct publish *u, struct plan_resource *p, struct todo *t, struct engine_result *r, bool *again,
		       struct arena *a, struct err *e)
{
	bool snapshot = p->resource->kind == KIND_SNAPSHOT;
	for (size_t i = 0; i < target_count(p) && !*again; i++) {
		struct target x = target_at(p, i);
		struct table_schema schema = target_schema(&x, a);
		struct engine_output made = engine_result_table(r, (size_t)(x.of - p->tables));
		struct edit edit = { 0 };
		struct commit_ask ask = {
			.zone = x.zone,
			.table = x.of->name,
			.operation = x.aside ? STR("sluice quarantine") : STR("sluice prepare"),
			.description = description_of(&x, p, a),
			.schema = &schema,
			.contract_meaning = meaning_hex(p->contract, a),
			.job_key = job_key(t),
			.whole = snapshot,
		};
		edit_table(x.t, t, snapshot, &edit, a);
		ask.add = x.aside ? edit_adds(made.quarantine_files, made.n_quarantine_files, &edit, &ask.n_add, a)
				  : edit_adds(made.files, made.n_files, &edit, &ask.n_add, a);
		ask.remove = edit.remove.v;
		ask.n_remove = edit.remove.n;
		if (!publish_commit(u, &ask, x.t, again, a, e))
			return false;
	}
	return true;
}

/* Rule 32, last sentence: between our commits another run may have published its own tables. The main one was the last. */
static bool tags_agree(struct publish *u, struct plan_resource *p, const struct todo *t, struct arena *a, struct err *e)
{
	for (size_t i = 0; i + 1 < target_count(p); i++) {
		struct target x = target_at(p, i);
		struct str key = project_table_key(u->project, x.zone, x.of->name, a);
		if (!project_table_load(u->project, key, a, x.t, e))
			return false;
		for (size_t k = 0; k < t->n; k++) {
			const struct table_window *w = table_find_window(x.t, t->v[k].name);
			if (w == NULL || !sha256_eq(w->key, t->v[k].key))
				return err_set(e, ERR_FENCED, "%.*s: another run changed window %.*s of it", STR_ARG(key),
					       STR_ARG(t->v[k].name));
		}
	}
	return true;
}

static bool choose(struct project *j, struct plan_resource *p, enum engine_use asked, const struct todo *t, struct arena *a,
		   struct err *e)
{
	uint64_t bytes = 0;
	struct str name = p->resource->name;
	if (engine_asked(j, asked, name, false) == ENGINE_USE_AUTO && !publish_bytes(j, p, t, &bytes, a, e))
		return false;
	p->engine = engine_choose(j, asked, name, false, bytes, a);
	return true;
}

static bool build(struct publish *u, struct plan_resource *p, struct todo *t, struct run_table *out, bool *again,
		  struct arena *a, struct err *e)
{
	struct engine_result r;
	bool snapshot = p->resource->kind == KIND_SNAPSHOT; /* nothing of the old tables stays */
	if (!snapshot)
		todo_close(p, t, a);
	todo_sort(t);
	if (!choose(u->project, p, u->options->request.engine, t, a, e))
		return false;
	for (size_t i = 0; i < p->n_tables && !snapshot; i++) {
		struct table_schema schema = publish_schema(p->tables[i].contract, true, a);
		if (!types_fit(&p->tables[i], &schema, t, e))
			return false;
	}
	if (!publish_origins(u, p->resource, t->v, t->n, a, e) || !call_engine(u, p, t, job_key(t), &r, a, e) ||
	    !books_balance(p, &r, t, e))
		return false;
	if (!commit_all(u, p, t, &r, again, a, e))
		return false;
	for (size_t i = 0; i < p->n_tables; i++) {
		out[i].loss = engine_result_table(&r, i).loss;
		out[i].rows_written = out[i].loss.published;
		out[i].changed = true;
		out[i].engine = r.engine;
		out[i].settings = r.settings;
	}
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
static bool is_overtaken(struct plan_resource *p, const struct plan_window *w, struct arena *a)
{
	struct same found;
	const struct table_snapshot *t = &p->tables[0].table;
	bool newer = is_same_content(p, w, &found, a) && tag_of(p, t, w->name)->generation > w->promoted &&
		     str_eq(found.names[target_count(p) - 1], w->name);
	for (size_t i = 0; i < t->n_files && p->resource->kind == KIND_SNAPSHOT; i++)
		for (size_t k = 0; k < t->files[i].n_windows; k++)
			if (str_cmp(t->files[i].windows[k].name, w->name) > 0)
				newer = true;
	return newer;
}

/* Rule 32 on tables that are newer than the plan: what was read before them may be older than what they hold. */
static bool nothing_newer(struct plan_resource *p, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < p->n_windows; i++) {
		const struct plan_window *w = &p->windows[i];
		bool newer = false;
		for (size_t m = 0; m < target_count(p) && !newer; m++) {
			const struct table_window *tag = table_find_window(target_at(p, m).t, w->name);
			newer = tag && tag->generation > w->promoted;
		}
		if (w->known && newer && !is_overtaken(p, w, a))
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
		if (!w->known || plan_window_prepared(p, w) || is_overtaken(p, w, a))
			continue;
		if (is_same_content(p, w, &found, a))
			*arena_push(a, *same) = found;
		else
			todo_add(t, (struct job_window){ .name = w->name, .generation = w->promoted, .content = w->content,
						 .seal = w->seal, .key = w->key, .records = w->records }, a);
	}
}

bool publish_choose(struct project *j, struct plan_resource *p, enum engine_use asked, struct arena *a, struct err *e)
{
	struct todo todo = { 0 };
	struct same_list same = { 0 };
	if (p->contract)
		split_windows(p, &todo, &same, a);
	if (p->resource->kind != KIND_SNAPSHOT)
		todo_close(p, &todo, a);
	if (!choose(j, p, asked, &todo, a, e))
		return false;
	if (p->n_fetch > 0 && engine_asked(j, asked, p->resource->name, false) == ENGINE_USE_AUTO)
		p->engine.why = arena_format(a, "%.*s; %zu window%s not fetched yet", STR_ARG(p->engine.why), p->n_fetch,
					     p->n_fetch == 1 ? " is" : "s are");
	return true;
}

/* The windows of files that are to be replaced, as their tags know them: that is what has to be made again. */
static void add_damaged(struct publish *u, struct plan_resource *p, struct todo *t, struct arena *a)
{
	for (size_t m = 0; m < target_count(p) && u->options->repair; m++) {
		struct target x = target_at(p, m);
		struct str key = project_table_key(u->project, x.zone, x.of->name, a);
		for (size_t i = 0; i < x.t->n_files; i++)
			for (size_t k = 0; publish_is_damaged(u, key, &x.t->files[i]) && k < x.t->files[i].n_windows; k++)
				todo_add_kept(p, &x.t->files[i].windows[k], t, a);
	}
}

static bool renew_all(struct publish *u, struct plan_resource *p, struct arena *a, struct err *e)
{
	for (size_t m = 0; m < target_count(p); m++) {
		struct target x = target_at(p, m);
		struct table_schema schema = target_schema(&x, a);
		if (!publish_renew(u, x.zone, x.of->name, &schema, x.t, a, e))
			return false;
	}
	/* Not before all of them are whole: what is missing in one of them is made again with all. */
	for (size_t m = 0; m < target_count(p); m++) {
		struct target x = target_at(p, m);
		if (!publish_repaired(u, project_table_key(u->project, x.zone, x.of->name, a), e))
			return false;
	}
	return true;
}

static void say(const struct plan_resource *p, struct run_table *out, struct str note)
{
	for (size_t i = 0; i < p->n_tables; i++)
		out[i].note = note;
}

static struct str windows_text(size_t wanted, size_t shared, struct arena *a)
{
	struct str text = arena_format(a, "%zu window%s", wanted, wanted == 1 ? "" : "s");
	return shared == 0 ? text : arena_format(a, "%.*s, and %zu more that share%s %s files", STR_ARG(text), shared,
						 shared == 1 ? "s" : "", wanted == 1 ? "its" : "their");
}

static void start_over(const struct plan_resource *p, struct run_table *out)
{
	say(p, out, STR("nothing to do: another run published it"));
	for (size_t i = 0; i < p->n_tables; i++) {
		out[i].changed = false;
		out[i].rows_written = out[i].shared = 0;
		out[i].loss = (struct loss_report){ 0 };
	}
}

static bool publish_once(struct publish *u, struct plan_resource *p, struct run_table *out, bool *again, struct arena *a,
			 struct err *e)
{
	struct todo todo = { 0 };
	struct same_list same = { 0 };
	split_windows(p, &todo, &same, a);
	add_damaged(u, p, &todo, a);
	if (same.n > 0) {
		if (!commit_tags(u, p, &same, again, a, e) || (!*again && todo.n > 0 && !nothing_newer(p, a, e)))
			return false;
		say(p, out, arena_format(a, "%zu window%s came again with the same content: only %s tags change", same.n,
					same.n == 1 ? "" : "s", same.n == 1 ? "its" : "their"));
	}
	if (todo.n > 0 && !*again) {
		size_t wanted = todo.n;
		say(p, out, windows_text(wanted, 0, a));
		if (!build(u, p, &todo, out, again, a, e))
			return false;
		out->shared = todo.n - wanted;
		say(p, out, windows_text(wanted, todo.n - wanted, a));
	}
	return *again || renew_all(u, p, a, e);
}

bool publish_resource(struct publish *u, struct plan_resource *p, struct run_table *out, struct arena *a, struct err *e)
{
	say(p, out, STR("nothing to do"));
	for (int tries = 0; tries < BUILD_TRIES; tries++) {
		bool again = false;
		if (!publish_once(u, p, out, &again, a, e))
			return err_wrap(e, "prepare %.*s", STR_ARG(p->resource->name));
		if (!again) {
			for (size_t i = 0; i < p->n_tables; i++) {
				const struct table_snapshot *aside = &p->tables[i].quarantine;
				publish_totals(&p->tables[i].table, &out[i]);
				out[i].quarantine = (struct table_left){ aside->version, aside->id, aside->last_hash };
			}
			return true;
		}
		start_over(p, out);
		if (!plan_tables_load(u->project, p, a, e) || !nothing_newer(p, a, e))
			return err_wrap(e, "prepare %.*s", STR_ARG(p->resource->name));
	}
	return err_set(e, ERR_FENCED, "prepare %.*s: other runs changed the same files %d times", STR_ARG(p->resource->name),
		       BUILD_TRIES);
}
