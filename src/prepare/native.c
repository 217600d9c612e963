#include "prepare/native.h"

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "format/job_files.h"
#include "prepare/native_answer.h"
#include "prepare/prepare_task.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUCKET_KEYS = 1 << 20, /* about; of one window they meet in one place */
	KEYS_AT_ONCE = 4096
};
static const size_t TEXT_MAX_BYTES = (size_t)1 << 30;

int sluice_abi_version(void)
{
	return SLUICE_ABI;
}

void sluice_free(void *text)
{
	mem_free(text);
}

int sluice_exit_status(const char *code)
{
	return err_exit_status(native_code(code));
}

/* ── rows out ── */

struct sluice_rows {
	const struct parquet_rows *of;
	struct batch *batch;
	size_t at; /* rows of it that were taken */
	struct arrow_builder *builder;
	bool ended;
	uint64_t rows;
	struct err failure;
};

enum { GROUP_ROWS = 122880 };
static const size_t GROUP_MAX_BYTES = (size_t)256 << 20;

void sluice_rows_schema(struct sluice_rows *r, struct ArrowSchema *out)
{
	arrow_schema_export(r->of->shape, r->of->n_columns, out);
}

/* *full: it is worth a row group. */
static bool rows_gather(struct sluice_rows *r, bool *full)
{
	size_t room = GROUP_ROWS - arrow_builder_rows(r->builder), to, taken;

	if (r->at == r->batch->n_rows) {
		batch_clear(r->batch);
		r->at = 0;
		if (!r->of->next(r->of->user, r->batch, &r->failure))
			return false;
		r->ended = r->batch->n_rows == 0;
	}
	to = r->batch->n_rows - r->at > room ? r->at + room : r->batch->n_rows;
	taken = arrow_builder_add(r->builder, r->batch, r->at, to);
	*full = r->at + taken < to || arrow_builder_rows(r->builder) == GROUP_ROWS ||
		arrow_builder_bytes(r->builder) >= GROUP_MAX_BYTES;
	r->at += taken;
	return true;
}

int sluice_rows_next(struct sluice_rows *r, struct ArrowArray *out)
{
	bool full = false;

	if (r->failure.code != ERR_NONE)
		return -1;
	while (!full && !r->ended)
		if (!rows_gather(r, &full))
			return -1;
	if (arrow_builder_rows(r->builder) == 0)
		return 0;
	r->rows += arrow_builder_rows(r->builder);
	arrow_builder_finish(r->builder, out);
	return 1;
}

static void fail(struct err *failure, const char *code, const char *message)
{
	if (failure->code == ERR_NONE) /* the first is the reason of those behind it */
		err_set(failure, native_code(code), "%s", message);
}

void sluice_rows_fail(struct sluice_rows *r, const char *code, const char *message)
{
	fail(&r->failure, code, message);
}

/* ── rows in ── */

struct sluice_take {
	engine_take *take;
	void *user;
	struct arena arena;
	struct arrow_reader *reader;
	struct batch *batch;
	const struct batch_shape *shape; /* as it shall be */
	size_t n_columns;
	struct err failure;
};

/* The columns that were asked for, in their order. */
static bool take_begin(struct sluice_take *t, const struct ArrowSchema *schema)
{
	const struct batch_shape *shape;
	size_t n;

	if (!arrow_reader_open(schema, &t->arena, &t->reader, &t->failure))
		return false;
	shape = arrow_reader_shape(t->reader, &n);
	if (n != t->n_columns)
		return err_set(&t->failure, ERR_ENGINE, "read back: %zu columns of %zu", n, t->n_columns);
	for (size_t i = 0; i < n; i++)
		if (!str_eq(shape[i].name, t->shape[i].name))
			return err_set(&t->failure, ERR_ENGINE, "read back: the column %.*s where %.*s should be",
				       STR_ARG(shape[i].name), STR_ARG(t->shape[i].name));
	t->batch = batch_new(shape, n, &t->arena);
	return true;
}

static bool take_rows(struct sluice_take *t, const struct ArrowArray *array)
{
	for (int64_t at = 0; at < array->length; at += (int64_t)t->batch->n_rows)
		if (!arrow_reader_take(t->reader, array, (uint64_t)at, t->batch, &t->failure) ||
		    !t->take(t->user, t->batch, &t->failure))
			return false;
	return true;
}

int sluice_take_batch(struct sluice_take *t, struct ArrowSchema *schema, struct ArrowArray *array)
{
	bool ok = t->failure.code == ERR_NONE && (t->reader || take_begin(t, schema)) && take_rows(t, array);

	if (schema->release)
		schema->release(schema);
	if (array->release)
		array->release(array);
	return ok ? 0 : -1;
}

void sluice_take_fail(struct sluice_take *t, const char *code, const char *message)
{
	fail(&t->failure, code, message);
}

/* ── a parquet.h of the caller's ── */

struct parquet_calls {
	struct parquet base;
	const struct sluice_calls *calls;
};

static const struct sluice_calls *of(struct parquet *q)
{
	return ((struct parquet_calls *)q)->calls;
}

static bool ended_well(int status, const struct err *failure, const char *path, struct err *e)
{
	if (failure->code != ERR_NONE) {
		*e = *failure;
		return false;
	}
	return status == 0 || err_set(e, ERR_ENGINE, "%s: it failed without a reason", path);
}

static void spec_put(const struct parquet_rows *r, enum parquet_encoding encoding, struct buf *b)
{
	struct json_out o = JSON_OUT(b);

	json_begin_object(&o, NULL);
	json_put_bool(&o, "plain", encoding == PARQUET_PLAIN);
	json_begin_array(&o, "order");
	for (size_t i = 0; i < r->n_order; i++) {
		json_begin_object(&o, NULL);
		json_put_str(&o, "column", r->order[i].column);
		json_put_bool(&o, "descending", r->order[i].descending);
		json_end_object(&o);
	}
	json_end_array(&o);
	json_put_bool(&o, "drop_last", r->last_is_order_only);
	json_end_object(&o);
}

static bool calls_write(struct parquet *q, const struct parquet_rows *r, const char *path, enum parquet_encoding encoding,
			uint64_t *rows, uint64_t *size_bytes, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct buf spec = BUF_INIT(TEXT_MAX_BYTES);
	struct sluice_rows w = { .of = r, .failure = ERR_INIT };
	int status;
	bool ok;

	w.batch = batch_new(r->shape, r->n_columns, &a);
	w.builder = arrow_builder_new(r->shape, r->n_columns);
	spec_put(r, encoding, &spec);
	CHECK(!spec.overflow);
	status = of(q)->write(of(q)->user, path, spec.p, &w);
	ok = ended_well(status, &w.failure, path, e);
	if (ok && !(w.ended && w.at == w.batch->n_rows && arrow_builder_rows(w.builder) == 0))
		ok = err_set(e, ERR_ENGINE, "%s: it was written before all rows were taken", path);
	*rows = w.rows;
	arrow_builder_free(w.builder);
	buf_free(&spec);
	arena_free(&a);
	return ok && file_settle(path, size_bytes, e);
}

static bool calls_read(struct parquet *q, const char *path, const struct batch_shape *shape, size_t n_columns,
		       engine_take *take, void *user, struct err *e)
{
	struct sluice_take t = { .take = take, .user = user, .shape = shape, .n_columns = n_columns, .failure = ERR_INIT };
	struct buf columns = BUF_INIT(TEXT_MAX_BYTES);
	struct json_out o = JSON_OUT(&columns);
	int status;

	json_begin_array(&o, NULL);
	for (size_t i = 0; i < n_columns; i++)
		json_put_str(&o, NULL, shape[i].name);
	json_end_array(&o);
	CHECK(!columns.overflow);
	status = of(q)->read(of(q)->user, path, columns.p, &t);
	buf_free(&columns);
	arena_free(&t.arena);
	return ended_well(status, &t.failure, path, e);
}

static struct parquet *parquet_use_calls(struct parquet_calls *q, const struct sluice_calls *calls, struct str mark)
{
	static const struct parquet_ops OPS = { calls_write, calls_read };

	*q = (struct parquet_calls){ .base = { .ops = &OPS, .mark = mark }, .calls = calls };
	return &q->base;
}

/* ── keys ── */

struct key_bucket {
	struct sluice_key *v;
	size_t n;
};

struct key_giver {
	const struct sluice_calls *calls;
	uint64_t window, task;
	struct key_bucket *buckets;
	uint32_t n_buckets;
};

static bool bucket_give(struct key_giver *g, uint32_t i, struct err *e)
{
	struct key_bucket *b = &g->buckets[i];

	if (b->n > 0 && g->calls->keys(g->calls->user, g->window, i, b->v, b->n) != 0)
		return err_set(e, ERR_ENGINE, "the keys of a window were not taken");
	b->n = 0;
	return true;
}

static bool key_give(void *user, const struct key_entry *k, struct err *e)
{
	struct key_giver *g = user;
	uint32_t i = (uint32_t)(k->hash[1] % g->n_buckets);
	struct key_bucket *b = &g->buckets[i];

	b->v[b->n++] = (struct sluice_key){ { k->hash[0], k->hash[1] }, k->record, g->task };
	return b->n < KEYS_AT_ONCE || bucket_give(g, i, e);
}

static void giver_open(struct key_giver *g, uint64_t records, struct arena *a)
{
	uint64_t n = records / BUCKET_KEYS + 1;

	g->n_buckets = n > KEYS_AT_ONCE ? KEYS_AT_ONCE : (uint32_t)n;
	g->buckets = arena_array(a, struct key_bucket, g->n_buckets);
	for (uint32_t i = 0; i < g->n_buckets; i++)
		g->buckets[i].v = arena_array(a, struct sluice_key, KEYS_AT_ONCE);
}

static int by_key(const void *x, const void *y)
{
	const struct sluice_key *a = x, *b = y;

	for (int i = 0; i < 2; i++)
		if (a->hash[i] != b->hash[i])
			return a->hash[i] < b->hash[i] ? -1 : 1;
	return (a->record > b->record) - (a->record < b->record);
}

static int by_task(const void *x, const void *y)
{
	const struct sluice_key *a = x, *b = y;

	if (a->task != b->task)
		return a->task < b->task ? -1 : 1;
	return (a->record > b->record) - (a->record < b->record);
}

size_t sluice_keys_losers(struct sluice_key *v, size_t n)
{
	size_t lost = 0;

	if (n == 0)
		return 0;
	qsort(v, n, sizeof *v, by_key);
	for (size_t i = 0; i + 1 < n; i++)
		if (v[i].hash[0] == v[i + 1].hash[0] && v[i].hash[1] == v[i + 1].hash[1])
			v[lost++] = v[i];
	qsort(v, lost, sizeof *v, by_task);
	return lost;
}

/* ── a job ── */

static bool job_open(const char *text, size_t n, struct arena *a, struct engine_job *job, struct err *e)
{
	if (!engine_job_decode((struct str){ text, n }, a, job, e))
		return false;
	if (job->kind != ENGINE_PREPARE || job->n_windows == 0)
		return err_set(e, ERR_USAGE, "the job is no prepare of windows");
	return true;
}

/* Nothing of the folders that the job names for its parent's machine is used. */
static void job_settle(struct engine_job *job, struct str scratch, struct arena *a)
{
	job->scratch = scratch;
	job->result_path = arena_format(a, "%.*s/result.json", STR_ARG(scratch));
	job->cache = arena_format(a, "%.*s/cache", STR_ARG(scratch));
}

char *sluice_prepare_plan(const char *text, size_t n_text)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct engine_job job;
	struct prepare_cut *v = NULL;
	size_t n = 0;
	bool has_key = false, any = false;
	char *out;

	if (job_open(text, n_text, &a, &job, &e) && prepare_tasks_plan(&job, &a, &v, &n, &has_key, &e)) {
		struct buf b = BUF_INIT(TEXT_MAX_BYTES);
		struct json_out o = JSON_OUT(&b);
		json_begin_object(&o, NULL);
		json_begin_array(&o, "tasks");
		for (size_t i = 0; i < n; i++) {
			json_begin_object(&o, NULL);
			json_put_u64(&o, "records", v[i].records);
			json_put_bool(&o, "split", v[i].split);
			json_end_object(&o);
			any = any || v[i].split;
		}
		json_end_array(&o);
		json_put_bool(&o, "exchange", any && has_key);
		json_end_object(&o);
		CHECK(!b.overflow);
		out = native_text(buf_str(&b));
		buf_free(&b);
	} else {
		out = native_error(&e);
	}
	arena_free(&a);
	return out;
}

static bool secret_read(struct str hex, struct key_secret *out, struct err *e)
{
	uint64_t k[2] = { 0 };

	for (size_t i = 0; i < hex.n && hex.n == 32; i++) {
		const char *digits = "0123456789abcdef", *at = memchr(digits, hex.p[i], 16);
		if (!at)
			return err_set(e, ERR_USAGE, "the secret is not of hex digits");
		k[i / 16] = k[i / 16] << 4 | (uint64_t)(at - digits);
	}
	if (hex.n != 32)
		return err_set(e, ERR_USAGE, "the secret has not 32 digits");
	*out = (struct key_secret){ { k[0], k[1] } };
	return true;
}

static bool mark_ok(struct str mark, struct err *e)
{
	bool ok = mark.n > 0 && mark.n <= 80;

	for (size_t i = 0; ok && i < mark.n; i++)
		ok = (mark.p[i] >= 'a' && mark.p[i] <= 'z') || (mark.p[i] >= '0' && mark.p[i] <= '9') || mark.p[i] == '-';
	return ok || err_set(e, ERR_USAGE, "a mark is 1 to 80 of a-z, 0-9 and -");
}

struct task_options {
	struct prepare_task task;
	struct str mark, scratch;
};

static bool task_options_read(const char *text, size_t n, struct arena *a, struct task_options *o, struct err *e)
{
	struct json_node *root = NULL;
	struct str secret = STR_NONE;
	uint64_t index = 0;

	if (!json_parse((struct str){ text, n }, a, &root, e) || !json_need_u64(root, "task", &index, e) ||
	    !json_need_str(root, "mark", &o->mark, e) || !json_need_str(root, "secret", &secret, e) ||
	    !json_need_str(root, "scratch", &o->scratch, e) || !json_need_bool(root, "exact", &o->task.with_losers, e) ||
	    !mark_ok(o->mark, e) || !secret_read(secret, &o->task.secret, e))
		return err_wrap(e, "the options of a task");
	o->task.index = index;
	o->task.scratch = arena_zero_terminated(a, o->scratch);
	return true;
}

static bool task_run(struct engine_job *job, struct task_options *o, const struct sluice_calls *calls, struct arena *a,
		     struct str *answer, struct err *e)
{
	struct parquet_calls q;
	struct key_giver giver = { .calls = calls, .task = o->task.index };
	struct prepare_cut *cuts;
	size_t n = 0;
	bool has_key, ok;

	job_settle(job, o->scratch, a);
	if (!prepare_tasks_plan(job, a, &cuts, &n, &has_key, e))
		return false;
	if (o->task.index >= n)
		return err_set(e, ERR_USAGE, "there is no file %zu: the job has %zu", o->task.index, n);
	if (calls->keys && !o->task.with_losers && cuts[o->task.index].split) {
		giver.window = cuts[o->task.index].window;
		giver_open(&giver, job->windows[giver.window].records, a);
		o->task.take_key = key_give;
		o->task.user = &giver;
	}
	ok = job_files_open(job, a, e) &&
	     prepare_task_run(job, &o->task, parquet_use_calls(&q, calls, o->mark), a, answer, e);
	for (uint32_t i = 0; ok && i < giver.n_buckets; i++)
		ok = bucket_give(&giver, i, e);
	job_files_close(job);
	return ok;
}

char *sluice_prepare_task(const char *text, size_t n_text, const char *options, size_t n_options, const uint64_t *losers,
			  size_t n_losers, const struct sluice_calls *calls)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct engine_job job;
	struct task_options o = { .task = { .losers = losers, .n_losers = n_losers } };
	struct str answer = STR_NONE;
	bool ok = job_open(text, n_text, &a, &job, &e) && task_options_read(options, n_options, &a, &o, &e) &&
		  task_run(&job, &o, calls, &a, &answer, &e);
	char *out = ok ? native_text(answer) : native_error(&e);

	arena_free(&a);
	return out;
}

static bool join(struct engine_job *job, const char *options, size_t n_options, const struct str *answers, size_t n,
		 const struct sluice_calls *calls, struct arena *a, struct engine_result *r, struct err *e)
{
	struct json_node *root = NULL;
	struct str mark, scratch, engine;
	struct parquet_calls q;
	bool ok;

	if (!json_parse((struct str){ options, n_options }, a, &root, e) || !json_need_str(root, "mark", &mark, e) ||
	    !json_need_str(root, "scratch", &scratch, e) || !json_need_str(root, "engine", &engine, e) || !mark_ok(mark, e))
		return err_wrap(e, "the options of a job's end");
	job_settle(job, scratch, a);
	ok = job_files_open(job, a, e) &&
	     prepare_tasks_join(job, answers, n, arena_zero_terminated(a, scratch), parquet_use_calls(&q, calls, mark), a, r, e) &&
	     job_files_finish(job, r, e);
	r->engine = engine;
	job_files_close(job);
	return ok;
}

char *sluice_prepare_join(const char *text, size_t n_text, const char *options, size_t n_options, const char *const *answers,
			  const size_t *n_answers, size_t n, const struct sluice_calls *calls)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct engine_job job;
	struct engine_result result = { 0 };
	struct str *texts = arena_array(&a, struct str, n);
	char *out;

	for (size_t i = 0; i < n; i++)
		texts[i] = (struct str){ answers[i], n_answers[i] };
	bool ok = job_open(text, n_text, &a, &job, &e) &&
		  join(&job, options, n_options, texts, n, calls, &a, &result, &e);
	out = ok ? native_text(engine_result_encode(&result, &a)) : native_error(&e);
	arena_free(&a);
	return out;
}
