#include "prepare/prepare.h"

#include "base/check.h"
#include "base/effect.h"
#include "prepare/prepare_parts.h"
#include "prepare/record.h"
#include "prepare/row_sorter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SAY_EVERY_US = 100000, THREADS_MAX = 256, MEMORY_SHARE = 8 /* of the job's, for sorting a file */ };

/* ── the plan: which windows share which file ── */

struct task_list {
	struct file_task *v;
	size_t n, cap;
};

static void task_open(struct prepare *p, struct file_task *t, size_t table, size_t index, const struct share *shares,
		      size_t n, bool split)
{
	*t = (struct file_task){ .table = &p->tables[table], .index = index, .n_shares = n, .split = split };
	t->shares = arena_array(p->arena, struct share, n);
	memcpy(t->shares, shares, n * sizeof *shares);
	quarantine_open(&t->quarantine, p->scratch);
	item_log_open(&t->items, p->scratch);
}

/* A child has a file for each one of the main table, with the same windows. */
static void task_add(struct prepare *p, struct task_list *list, size_t first, size_t n, uint64_t from, uint64_t to,
		     bool split)
{
	struct file_task *t = arena_push(p->arena, *list);
	struct share *shares = arena_array(p->arena, struct share, n);

	for (size_t i = 0; i < n; i++)
		shares[i] = (struct share){ .window = first + i, .from = from, .to = to };
	task_open(p, t, 0, list->n - 1, shares, n, split);
	t->n_children = p->n_tables - 1;
	t->children = arena_array(p->arena, struct file_task, p->n_tables);
	for (size_t i = 0; i < t->n_children; i++)
		task_open(p, &t->children[i], i + 1, t->index, shares, n, split);
}

static void plan(struct prepare *p)
{
	const struct engine_job *job = p->job;
	uint64_t limit = job->file_rows > 0 ? job->file_rows : UINT64_MAX, rows = 0;
	struct task_list list = { 0 };
	size_t first = 0;

	for (size_t i = 0; i < job->n_windows; i++) {
		uint64_t n = job->windows[i].records;
		if (i > first && (n > limit || rows > limit - n)) {
			task_add(p, &list, first, i - first, 0, UINT64_MAX, false);
			first = i;
			rows = 0;
		}
		if (n <= limit) {
			rows += n;
			continue;
		}
		for (uint64_t at = 0; at < n;) {
			bool is_last = n - at <= limit;
			task_add(p, &list, i, 1, at, is_last ? UINT64_MAX : at + limit, true);
			at = is_last ? n : at + limit;
		}
		first = i + 1;
	}
	if (first < job->n_windows)
		task_add(p, &list, first, job->n_windows - first, 0, UINT64_MAX, false);
	p->tasks = list.v;
	p->n_tasks = list.n;
}

/* ── threads ── */

void prepare_say(struct prepare *p, uint64_t more_rows)
{
	uint64_t rows = atomic_fetch_add(&p->done_rows, more_rows) + more_rows;
	struct clock *clock = clock_system();
	int64_t now_us = clock->monotonic_us(clock), said_us = atomic_load(&p->said_us);

	if (!p->progress || now_us - said_us < SAY_EVERY_US ||
	    !atomic_compare_exchange_strong(&p->said_us, &said_us, now_us))
		return;
	pthread_mutex_lock(&p->lock);
	p->progress(p->user, rows);
	pthread_mutex_unlock(&p->lock);
}

static void *worker(void *user)
{
	struct prepare *p = user;
	struct engine_connection *c = NULL;
	struct parquet_duckdb q;
	struct err e = ERR_INIT;

	for (;;) {
		size_t i = atomic_fetch_add(&p->next, 1);
		struct file_task *t;
		if (i >= p->n_queue || atomic_load(&p->stop))
			break;
		t = p->queue[i];
		if ((c || engine_connect(p->engine, &c, &e)) && file_task_run(p, t, parquet_use_duckdb(&q, c), &e))
			continue;
		/* Only a failure of its own counts, not that it was told to stop. */
		t->failed = !atomic_exchange(&p->stop, true) || e.code != ERR_ENGINE;
		t->err = e;
		break;
	}
	engine_disconnect(c);
	return NULL;
}

/* The queue's files; the first failure by the order of the files is told. */
static bool run_queue(struct prepare *p, struct err *e)
{
	pthread_t threads[THREADS_MAX];
	size_t n = p->job->threads < 1 ? 1 : p->job->threads > THREADS_MAX ? THREADS_MAX : p->job->threads, started = 0;

	if (p->n_queue == 0)
		return true;
	if (n > p->n_queue)
		n = p->n_queue;
	atomic_store(&p->next, 0);
	atomic_store(&p->stop, false);
	while (started + 1 < n && sys_pthread_create(&threads[started], NULL, worker, p) == 0)
		started++;
	worker(p); /* this thread works too, so that one that cannot be had is only slower */
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < p->n_queue; i++)
		if (p->queue[i]->failed) {
			*e = p->queue[i]->err;
			return false;
		}
	CHECK(!atomic_load(&p->stop));
	return true;
}

/* ── windows that are cut ── */

static bool share_has_losers(const struct losers *l, const struct share *s)
{
	uint64_t to = s->to < l->records ? s->to : l->records;

	for (uint64_t i = s->from; l->bits && i < to; i++) {
		if (i % 64 == 0 && l->bits[i / 64] == 0 && to - i >= 64)
			i += 63;
		else if (losers_has(l, i))
			return true;
	}
	return false;
}

/* A row that breaks a rule which says fail, of the table or of a child: now it is clear that its record stands. */
static bool failed_row_of(const struct file_task *t, struct err *e)
{
	for (size_t i = 0; i <= t->n_children; i++) {
		const struct file_task *x = i == 0 ? t : &t->children[i - 1];
		if (x->has_failed_row) {
			*e = x->failed_row;
			return true;
		}
	}
	return false;
}

static bool split_resolve(struct prepare *p, struct file_task *first, size_t n, struct err *e)
{
	struct key_log **logs = arena_array(p->arena, struct key_log *, n);
	struct losers *l = &p->losers[first->shares[0].window];
	bool ok;

	for (size_t i = 0; i < n; i++)
		logs[i] = first[i].log;
	ok = key_logs_resolve(logs, n, l, e);
	for (size_t i = 0; i < n; i++) {
		key_log_close(first[i].log);
		first[i].log = NULL;
	}
	for (size_t i = 0; ok && i < n; i++) {
		if (share_has_losers(l, &first[i].shares[0])) {
			first[i].exact = true;
			p->queue[p->n_queue++] = &first[i];
		} else if (failed_row_of(&first[i], e)) {
			ok = false;
		}
	}
	return ok;
}

static bool run_files(struct prepare *p, struct err *e)
{
	for (size_t i = 0; i < p->n_tasks; i++)
		p->queue[i] = &p->tasks[i];
	p->n_queue = p->n_tasks;
	if (!run_queue(p, e))
		return false;
	p->n_queue = 0;
	for (size_t i = 0, n; i < p->n_tasks; i += n) {
		n = 1;
		if (!p->tasks[i].split)
			continue;
		while (i + n < p->n_tasks && p->tasks[i + n].split &&
		       p->tasks[i + n].shares[0].window == p->tasks[i].shares[0].window)
			n++;
		if (p->contract->n_key > 0 && !split_resolve(p, &p->tasks[i], n, e))
			return false;
	}
	return run_queue(p, e);
}

/* ── all of it ── */

static bool tables_open(struct prepare *p, struct err *e)
{
	const struct engine_job *job = p->job;

	if (job->contract.n > 0 && !contract_from_canonical(job->contract, p->arena, &p->contract, e))
		return false;
	if (!p->contract || p->contract->none) {
		err_set(e, ERR_CONTRACT, "%.*s has no contract: what its columns are is for a person to say", STR_ARG(job->table));
		return err_hint(e, "write one with `sluice contract draft %.*s`, and look at it", STR_ARG(job->table));
	}
	if (job->n_children != p->contract->n_children)
		return err_set(e, ERR_USAGE, "%.*s: the job has folders for %zu child tables, the contract has %zu",
			       STR_ARG(job->table), job->n_children, p->contract->n_children);
	p->n_tables = 1 + job->n_children;
	p->tables = arena_array(p->arena, struct prepare_table, p->n_tables);
	for (size_t i = 0; i < p->n_tables; i++) {
		struct prepare_table *t = &p->tables[i];
		t->job = engine_job_table(job, i);
		t->contract = contract_table(p->contract, i);
		t->shape = record_shape(t->contract, p->arena, &t->n_columns);
		if (i > 0 && !str_eq(t->job.name, t->contract->name))
			return err_set(e, ERR_USAGE, "%.*s: the job has a folder for %.*s where the contract has %.*s",
				       STR_ARG(job->table), STR_ARG(t->job.name), STR_ARG(t->contract->name));
	}
	return true;
}

bool prepare_open(struct prepare *p, struct err *e)
{
	const struct engine_job *job = p->job;

	CHECK(job->kind == ENGINE_PREPARE && job->n_windows > 0);
	if (!tables_open(p, e))
		return false;
	CHECK(p->n_tables <= 1 + CHILDREN_MAX);
	p->scratch = arena_zero_terminated(p->arena, job->scratch);
	p->secret = key_secret_new();
	p->sort_bytes = job->memory_bytes / MEMORY_SHARE < SORT_BYTES_MAX ? job->memory_bytes / MEMORY_SHARE : SORT_BYTES_MAX;
	p->losers = arena_array(p->arena, struct losers, job->n_windows);
	p->windows = arena_array(p->arena, struct job_window, job->n_windows);
	for (size_t i = 0; i < job->n_windows; i++) {
		p->losers[i].records = job->windows[i].records;
		p->windows[i] = job_window_rows(&job->windows[i]);
	}
	plan(p);
	p->queue = arena_array(p->arena, struct file_task *, p->n_tasks);
	return store_open(job->raw.n > 0 ? job->raw : job->lake, &job->store, false, &p->store, e);
}

static bool engine_start(struct prepare *p, struct err *e)
{
	const char *folders[2 * (1 + CHILDREN_MAX) + 1];
	struct engine_options o = { .memory_bytes = p->job->memory_bytes, .folders = folders, .scratch = p->scratch };

	folders[o.n_folders++] = p->scratch;
	for (size_t i = 0; i < p->n_tables; i++) {
		folders[o.n_folders++] = arena_zero_terminated(p->arena, p->tables[i].job.output);
		folders[o.n_folders++] = arena_zero_terminated(p->arena, p->tables[i].job.quarantine_output);
	}
	return engine_open(&o, &p->engine, e);
}

static void task_close(struct file_task *t)
{
	if (t->log)
		key_log_close(t->log);
	quarantine_close(&t->quarantine);
	item_log_close(&t->items);
	arena_free(&t->arena);
}

void prepare_close(struct prepare *p)
{
	for (size_t i = 0; i < p->n_tasks; i++)
		for (size_t table = 0; table < p->n_tables; table++)
			task_close(prepare_task_at(p, table, i));
	for (size_t i = 0; p->losers && i < p->job->n_windows; i++)
		losers_free(&p->losers[i]);
	if (p->engine)
		engine_close(p->engine);
	if (p->store)
		store_close(p->store);
	pthread_mutex_destroy(&p->lock);
}

/* The books, and what waits for the quarantine. */
static bool tables_end(struct prepare *p, struct engine_result *out, struct err *e)
{
	struct engine_connection *c = NULL;
	struct parquet_duckdb q;
	bool ok = engine_connect(p->engine, &c, e) && prepare_tables_close(p, parquet_use_duckdb(&q, c), true, out, e);

	engine_disconnect(c);
	return ok;
}

bool prepare_run(const struct engine_job *job, void (*progress)(void *user, uint64_t rows), void *user, struct arena *a,
		 struct engine_result *out, struct err *e)
{
	struct prepare p = { .job = job, .arena = a, .progress = progress, .user = user };
	bool ok;

	memset(out, 0, sizeof *out);
	pthread_mutex_init(&p.lock, NULL);
	ok = prepare_open(&p, e) && engine_start(&p, e) && engine_version(a, &out->engine, e) && run_files(&p, e) &&
	     tables_end(&p, out, e);
	prepare_close(&p);
	return ok;
}
