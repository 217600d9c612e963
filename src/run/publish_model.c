#include "run/publish.h"

#include "base/check.h"
#include "refine/model_spark.h"

#include <string.h>

enum { BUILD_TRIES = 5 };

/* ── inputs: tables pinned to the version that is newest now ── */

struct inputs {
	struct job_input *v;
	struct sha256 *keys;
	struct table_snapshot *tables;
	struct str *table_keys;
	size_t n;
};

static struct str input_key(const struct project *j, struct str name, enum lake_zone *zone, struct str *schema, struct str *table,
			    struct arena *a)
{
	size_t dot = str_find_char(name, '.');
	*schema = str_sub(name, 0, dot);
	*table = str_sub(name, dot + 1, name.n);
	*zone = str_eq(*schema, STR("prepare")) ? ZONE_PREPARE : ZONE_REFINE;
	return project_table_key(j, *zone, *table, a);
}

/* Each table that these models are, or read, once. */
bool publish_models_ahead(struct project *j, const struct model *const *models, size_t n_models, struct arena *a)
{
	struct { struct str *v; size_t n, cap; } keys = { 0 };
	struct str_map seen = { 0 };
	if (!project_ahead_begin(j))
		return false;
	for (size_t i = 0; i < n_models; i++)
		for (size_t k = 0; k <= models[i]->n_reads; k++) {
			enum lake_zone zone;
			struct str schema, table, key = k == models[i]->n_reads
				? project_table_key(j, ZONE_REFINE, models[i]->name, a)
				: input_key(j, models[i]->reads[k], &zone, &schema, &table, a);
			if (str_map_add(&seen, key, 0, a))
				*arena_push(a, keys) = key;
		}
	project_ahead(j, keys.v, keys.n, NULL, 0);
	return true;
}

static bool load_inputs(struct publish *u, const struct model *m, struct inputs *out, struct arena *a, struct err *e)
{
	struct project *j = u->project;
	out->v = arena_array(a, struct job_input, m->n_reads + 1);
	out->keys = arena_array(a, struct sha256, m->n_reads + 1);
	out->tables = arena_array(a, struct table_snapshot, m->n_reads + 1);
	out->table_keys = arena_array(a, struct str, m->n_reads + 1);
	out->n = m->n_reads;
	for (size_t i = 0; i < m->n_reads; i++) {
		struct str name = m->reads[i];
		struct str schema, table;
		enum lake_zone zone;
		struct str key = input_key(j, name, &zone, &schema, &table, a);
		struct table_snapshot t;
		if (!project_table_load(j, key, a, &t, e))
			return false;
		if (t.version < 0) {
			err_set(e, ERR_MISSING, "it reads %.*s, which is not there yet", STR_ARG(name));
			const struct resource *r = pipeline_resource(j->pipeline, table);
			if (zone == ZONE_PREPARE && r && j->contracts[r - j->pipeline->resources] == NULL)
				return err_hint(e, "it has no contract yet: sluice contract draft %.*s", STR_ARG(table));
			return err_hint(e, "`sluice plan` shows what is missing");
		}
		if (!table_settle(j->store, key, &t, a, e)) /* it may be newer than the plan, and another run's */
			return false;
		out->v[i].schema = schema;
		out->v[i].table = table;
		out->keys[i] = table_content_key(&t);
		out->tables[i] = t;
		out->table_keys[i] = key;
	}
	return true;
}

static bool check_inputs(struct publish *u, const struct inputs *in, struct err *e)
{
	for (size_t i = 0; i < in->n; i++)
		if (!input_check(u->project, in->table_keys[i], &in->tables[i], u->checks, e))
			return false;
	return true;
}

/* ── the table ── */

/* With its folder, by an engine of ours or of somebody else. */
static bool carry_out(struct publish *u, struct sha256 key, struct str table, struct engine_choice engine,
		      struct engine_job *job, struct engine_result *r, struct arena *a, struct err *e)
{
	struct engine_exchange *x = u->options->exchange;
	struct store *s = u->project->store;
	if (x && x->way == EXCHANGE_TAKE)
		return exchange_take(x, job, a, r, e);
	if (x && !exchange_is_new(x, s, ZONE_REFINE, job, a, e))
		return false;
	if (!publish_folder(u, table, key, a, &job->output, e))
		return false;
	if (x)
		return exchange_write(x, s, ZONE_REFINE, job, a, e);
	CHECK(!engine.spark || u->spark); /* else another engine would do it, and nobody would know */
	struct engine_call call = { .job = job, .spark = engine.spark ? u->spark : NULL, .progress = u->progress,
				    .user = u->user, .stop = u->options->stop, .deadline_us = u->options->deadline_us };
	bool ok = engine_call(&call, a, r, e);
	if (call.peak_rss_bytes > u->peak_rss_bytes)
		u->peak_rss_bytes = call.peak_rss_bytes;
	return ok;
}

/* The job of a model over these inputs, without an output. */
static bool make_job(struct project *j, const struct model *m, struct inputs *in, struct str run_id, unsigned threads,
		     struct engine_job *job, struct arena *a, struct err *e)
{
	struct str *text = arena_array(a, struct str, 2);
	text[0] = m->sql;
	text[1] = m->name;
	*job = (struct engine_job){
		.kind = ENGINE_REFINE,
		.run_id = run_id,
		.table = m->name,
		.threads = threads,
		.any_order = m->any_order,
		.contract = m->contract->canonical,
		.sql = &text[0],
		.sql_names = &text[1],
		.n_sql = 1,
		.inputs = in->v,
		.n_inputs = in->n,
	};
	if (!project_job(j, job, e))
		return false;
	for (size_t i = 0; i < in->n; i++)
		project_job_input(j, job, in->table_keys[i], &in->tables[i], &in->v[i], a);
	return true;
}

bool publish_model_job(struct project *j, const struct model *m, struct str run_id, unsigned threads, struct engine_job *job,
		       struct arena *a, struct err *e)
{
	struct publish u = { .project = j };
	struct inputs in;
	return load_inputs(&u, m, &in, a, e) && check_inputs(&u, &in, e) && make_job(j, m, &in, run_id, threads, job, a, e);
}

static bool call_engine(struct publish *u, const struct model *m, struct inputs *in, struct sha256 key, struct str table,
			struct engine_choice engine, struct engine_result *r, struct arena *a, struct err *e)
{
	struct engine_job job;
	if (!make_job(u->project, m, in, u->run_id, u->threads, &job, a, e))
		return false;
	if (engine.spark)
		model_for_spark(m, &job, a);
	return carry_out(u, key, table, engine, &job, r, a, e) && publish_settle(u, table, r->files, r->n_files, a, e);
}

/* The table of a model is one window; its key says what it was made of. */
static void tag_files(struct engine_result *r, struct sha256 key)
{
	for (size_t i = 0; i < r->n_files; i++)
		for (size_t k = 0; k < r->files[i].n_windows; k++) {
			r->files[i].windows[k].key = key;
			r->files[i].windows[k].content = key;
		}
}

static bool commit_model(struct publish *u, const struct model *m, struct table_snapshot *t, struct engine_result *r,
			 struct sha256 key, bool *again, struct arena *a, struct err *e)
{
	struct table_schema schema = publish_schema(m->contract, false, a);
	struct commit_ask ask = {
		.zone = ZONE_REFINE,
		.table = m->name,
		.operation = STR("sluice refine"),
		.schema = &schema,
		.contract_meaning = sha256_hex_str(m->contract->meaning, a),
		.job_key = key,
		.add = r->files,
		.n_add = r->n_files,
		.remove = t->files,
		.n_remove = t->n_files,
	};
	return publish_commit(u, &ask, t, again, a, e);
}

/* Content that came out the same again (a model's inputs changed where it does not look): the bytes stay, only the key
 * in the tags changes. */
static bool same_rows(const struct table_snapshot *t, const struct engine_result *r, const struct model *m, struct arena *a)
{
	struct row_hash new_hash = ROW_HASH_INIT, old_hash;
	uint64_t rows = 0;
	for (size_t i = 0; i < r->n_files; i++)
		for (size_t k = 0; k < r->files[i].n_windows; k++)
			row_hash_merge(&new_hash, &r->files[i].windows[k].hash);
	return table_window_total(t, STR("full"), &rows, &old_hash) && row_hash_eq(&new_hash, &old_hash) &&
	       str_eq(t->contract_meaning, sha256_hex_str(m->contract->meaning, a));
}

static void keep_old_files(const struct table_snapshot *t, struct engine_result *r, struct sha256 key, struct arena *a)
{
	r->files = arena_array(a, struct table_file, t->n_files + 1);
	r->n_files = t->n_files;
	for (size_t i = 0; i < t->n_files; i++) {
		r->files[i] = t->files[i];
		r->files[i].same_data = true;
		r->files[i].windows = arena_array(a, struct table_window, t->files[i].n_windows + 1);
		memcpy(r->files[i].windows, t->files[i].windows, t->files[i].n_windows * sizeof *t->files[i].windows);
	}
	tag_files(r, key);
}

static bool publish_once(struct publish *u, const struct model *m, struct run_table *out, bool *again, struct arena *a,
			 struct err *e)
{
	struct project *j = u->project;
	struct str table = project_table_key(j, ZONE_REFINE, m->name, a);
	struct table_snapshot t;
	struct inputs in;
	struct engine_result r;
	*again = false;
	bool begun = publish_models_ahead(j, &m, 1, a), loaded = project_table_load(j, table, a, &t, e) && load_inputs(u, m, &in, a, e);
	project_ahead_end(j, begun);
	if (!loaded)
		return false;
	uint64_t input_bytes = 0;
	for (size_t i = 0; i < in.n; i++)
		input_bytes += table_bytes(&in.tables[i]);
	struct engine_choice engine = engine_choose(j, u->options->request.engine, m->name, true, input_bytes, a);
	struct sha256 key = model_key(m, engine.spark, in.keys, in.n);
	const struct table_window *full = table_find_window(&t, STR("full"));
	bool forced = publish_renews(u, table);
	for (size_t i = 0; i < t.n_files; i++)
		forced = forced || publish_is_damaged(u, table, &t.files[i]);
	if (full && sha256_eq(full->key, key) && !forced) {
		out->note = STR("nothing to do: nothing that it reads changed");
		publish_totals(&t, out);
		return true;
	}
	project_ahead_end(j, true); /* whoever began it looks anew, now that something changes */
	if (engine.spark && !engine_may_run(j, m, e))
		return false;
	if (!check_inputs(u, &in, e) || !call_engine(u, m, &in, key, table, engine, &r, a, e))
		return false;
	tag_files(&r, key);
	out->engine = r.engine;
	out->settings = r.settings;
	out->spark_file = engine.spark ? m->spark_file : NULL;
	out->loss.rules = r.failed_rules;
	out->loss.n_rules = r.n_failed_rules;
	out->rows_written = r.rows;
	out->changed = true;
	out->note = full ? STR("its inputs or its text changed") : STR("made for the first time");
	if (!forced && same_rows(&t, &r, m, a)) {
		out->note = STR("its inputs changed, its rows did not");
		out->rows_written = 0;
		keep_old_files(&t, &r, key, a);
		t.files = NULL; /* nothing is removed */
		t.n_files = 0;
	}
	if (!commit_model(u, m, &t, &r, key, again, a, e))
		return false;
	publish_totals(&t, out);
	return true;
}

bool publish_model(struct publish *u, const struct model *m, struct run_table *out, struct arena *a, struct err *e)
{
	out->zone = ZONE_REFINE;
	out->name = m->name;
	for (int tries = 0; tries < BUILD_TRIES; tries++) {
		bool again = false;
		if (!publish_once(u, m, out, &again, a, e) ||
		    (!again && !publish_repaired(u, project_table_key(u->project, ZONE_REFINE, m->name, a), e)))
			return err_wrap(e, "refine %.*s", STR_ARG(m->name));
		if (!again)
			return true;
	}
	return err_set(e, ERR_FENCED, "refine %.*s: other runs replaced the table %d times", STR_ARG(m->name), BUILD_TRIES);
}
