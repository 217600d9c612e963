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

/* ── the books ── */

static void extra_add(struct loss_report *l, struct str name, uint64_t count, struct arena *a)
{
	for (size_t i = 0; i < l->n_extra; i++)
		if (str_eq(l->extra_fields[i], name)) {
			l->extra_counts[i] += count;
			return;
		}
	if (l->n_extra == EXTRA_NAMES_MAX)
		return;
	l->extra_fields[l->n_extra] = arena_copy(a, name);
	l->extra_counts[l->n_extra++] = count;
}

static struct file_task *task_at(const struct prepare *p, size_t table, size_t i)
{
	return table == 0 ? &p->tasks[i] : &p->tasks[i].children[table - 1];
}

static void books(struct prepare *p, size_t table, struct engine_output *out)
{
	struct loss_report *l = &out->loss;
	const struct contract *c = p->tables[table].contract;
	struct arena *a = p->arena;

	l->rules = arena_array(a, struct rule_count, c->n_rules);
	l->extra_fields = arena_array(a, struct str, EXTRA_NAMES_MAX);
	l->extra_counts = arena_array(a, uint64_t, EXTRA_NAMES_MAX);
	for (size_t i = 0; i < p->n_tasks; i++) {
		struct file_task *t = task_at(p, table, i);
		for (size_t k = 0; k < t->n_shares; k++) {
			l->read += t->shares[k].read;
			l->published += t->shares[k].hash.rows;
			l->quarantined += t->shares[k].quarantined;
			l->duplicates += t->shares[k].duplicates;
			l->with_parent += t->shares[k].with_parent;
		}
		for (size_t k = 0; k < t->n_extra; k++)
			extra_add(l, t->extra_names[k], t->extra_counts[k], a);
		l->inexact += t->inexact;
	}
	for (size_t r = 0; r < c->n_rules; r++) {
		uint64_t rows = 0;
		for (size_t i = 0; i < p->n_tasks; i++)
			rows += task_at(p, table, i)->rule_rows[r];
		if (rows > 0)
			l->rules[l->n_rules++] = (struct rule_count){ arena_copy(a, c->rules[r].id), c->rules[r].action, rows };
	}
	CHECK(l->read == l->published + l->quarantined + l->duplicates + l->with_parent);
}

static void times_add(const struct prepare *p, struct engine_result *out)
{
	for (size_t table = 0; table < p->n_tables; table++)
		for (size_t i = 0; i < p->n_tasks; i++) {
			const struct file_task *t = task_at(p, table, i);
			out->parse_us += t->parse_us;
			out->write_us += t->write_us;
			out->read_back_us += t->read_back_us;
		}
}

static void files_describe(struct prepare *p, size_t table, const uint64_t *read, struct engine_output *out)
{
	out->n_files = p->n_tasks;
	out->files = arena_array(p->arena, struct table_file, p->n_tasks);
	for (size_t i = 0; i < p->n_tasks; i++) {
		struct file_task *t = task_at(p, table, i);
		struct table_file *f = &out->files[i];
		*f = t->file;
		f->path = arena_copy(p->arena, f->path);
		f->stats = arena_copy(p->arena, f->stats);
		f->n_windows = t->n_shares;
		f->windows = arena_array(p->arena, struct table_window, t->n_shares);
		for (size_t k = 0; k < t->n_shares; k++) {
			const struct share *s = &t->shares[k];
			const struct job_window *w = &p->windows[s->window];
			f->windows[k] = (struct table_window){ w->name, w->generation, w->content, w->seal, w->key,
							       read[s->window], s->hash.rows, s->hash, w->row_window,
							       w->row_generation };
		}
	}
}

/* ── the budget ── */

static bool budget_check(struct prepare *p, size_t table, const struct loss_report *l, struct err *e)
{
	const struct job_table *job = &p->tables[table].job;
	struct buf why = BUF_INIT(1500);
	size_t examples = 0;

	if ((double)l->quarantined * 100 <= job->budget_percent * (double)l->read || l->quarantined <= job->budget_rows)
		return true;
	for (size_t i = 0; i < l->n_rules; i++)
		if (l->rules[i].action != ACTION_WARN)
			buf_addf(&why, "%s%.*s %" PRIu64, why.n > 0 ? ", " : "", STR_ARG(l->rules[i].rule), l->rules[i].rows);
	for (size_t i = 0; i < p->n_tasks; i++) {
		const struct quarantine *q = &task_at(p, table, i)->quarantine;
		for (size_t k = 0; k < q->n && k < QUARANTINE_EXAMPLES && examples < QUARANTINE_EXAMPLES; k++, examples++)
			buf_addf(&why, "; %.*s", STR_ARG(q->examples[k]));
	}
	err_set(e, ERR_CONTRACT, "%.*s: %" PRIu64 " of %" PRIu64 " records would be set aside (%.2f %%), and the budget is %g %%: "
		"%.*s", STR_ARG(job->name), l->quarantined, l->read, 100.0 * (double)l->quarantined / (double)l->read,
		job->budget_percent, STR_ARG(buf_str(&why)));
	buf_free(&why);
	return err_hint(e, "nothing was published, also not to quarantine; mend contracts/%.*s.yaml or raise its budget, then "
			"`sluice run --stale` prepares these windows, also once they lie outside the interval",
			STR_ARG(p->job->table));
}

/* ── quarantine ── */

/* A file for each file of the table that has bad rows; the windows that stand in none of them share one without rows. */
static bool quarantine_files(struct prepare *p, size_t table, const uint64_t *read, struct engine_output *out,
			     struct err *e)
{
	const struct engine_job *job = p->job;
	const struct job_table *of = &p->tables[table].job;
	size_t *windows = arena_array(p->arena, size_t, job->n_windows), n = 0;
	bool *listed = arena_array(p->arena, bool, job->n_windows), ok = true;
	struct engine_connection *c = NULL;
	struct parquet_duckdb q;

	out->quarantine_files = arena_array(p->arena, struct table_file, p->n_tasks + 1);
	if (!engine_connect(p->engine, &c, e))
		return false;
	parquet_use_duckdb(&q, c);
	for (size_t i = 0; ok && i < p->n_tasks; i++) {
		struct file_task *t = task_at(p, table, i);
		if (t->quarantine.n == 0)
			continue;
		for (size_t k = 0; k < t->n_shares; k++) {
			windows[k] = t->shares[k].window;
			listed[windows[k]] = true;
		}
		ok = quarantine_write(&q.base, &t->quarantine, job, of, out->n_quarantine_files, windows, t->n_shares, read,
				      p->arena, &out->quarantine_files[out->n_quarantine_files], e);
		out->n_quarantine_files += ok;
	}
	for (size_t i = 0; i < job->n_windows; i++)
		if (!listed[i])
			windows[n++] = i;
	if (ok && n > 0) {
		ok = quarantine_write(&q.base, NULL, job, of, out->n_quarantine_files, windows, n, read, p->arena,
				      &out->quarantine_files[out->n_quarantine_files], e);
		out->n_quarantine_files += ok;
	}
	engine_disconnect(c);
	return ok;
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

static bool prepare_open(struct prepare *p, struct err *e)
{
	const struct engine_job *job = p->job;
	const char *folders[2 * (1 + CHILDREN_MAX) + 1];
	struct engine_options o = { .memory_bytes = job->memory_bytes, .folders = folders };

	CHECK(job->kind == ENGINE_PREPARE && job->n_windows > 0);
	if (!tables_open(p, e))
		return false;
	CHECK(p->n_tables <= 1 + CHILDREN_MAX);
	p->scratch = arena_zero_terminated(p->arena, job->scratch);
	folders[o.n_folders++] = o.scratch = p->scratch;
	for (size_t i = 0; i < p->n_tables; i++) {
		folders[o.n_folders++] = arena_zero_terminated(p->arena, p->tables[i].job.output);
		folders[o.n_folders++] = arena_zero_terminated(p->arena, p->tables[i].job.quarantine_output);
	}
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
	return store_open_disk(arena_zero_terminated(p->arena, job->lake), false, &p->store, e) &&
	       engine_open(&o, &p->engine, e);
}

static void task_close(struct file_task *t)
{
	if (t->log)
		key_log_close(t->log);
	quarantine_close(&t->quarantine);
	item_log_close(&t->items);
	arena_free(&t->arena);
}

static void prepare_close(struct prepare *p)
{
	for (size_t i = 0; i < p->n_tasks; i++)
		for (size_t table = 0; table < p->n_tables; table++)
			task_close(task_at(p, table, i));
	for (size_t i = 0; p->losers && i < p->job->n_windows; i++)
		losers_free(&p->losers[i]);
	if (p->engine)
		engine_close(p->engine);
	if (p->store)
		store_close(p->store);
	pthread_mutex_destroy(&p->lock);
}

/* What came of the tables; the resource's own is the result's. */
static bool tables_close(struct prepare *p, struct engine_result *result, struct err *e)
{
	struct engine_output *out = arena_array(p->arena, struct engine_output, p->n_tables);
	bool ok = true;

	for (size_t table = 0; ok && table < p->n_tables; table++) {
		uint64_t *read = arena_array(p->arena, uint64_t, p->job->n_windows);
		out[table].table = p->tables[table].job.name;
		books(p, table, &out[table]);
		for (size_t i = 0; i < p->n_tasks; i++) {
			const struct file_task *t = task_at(p, table, i);
			for (size_t k = 0; k < t->n_shares; k++)
				read[t->shares[k].window] += t->shares[k].read;
		}
		files_describe(p, table, read, &out[table]);
		ok = budget_check(p, table, &out[table].loss, e) && quarantine_files(p, table, read, &out[table], e);
	}
	times_add(p, result);
	result->files = out[0].files;
	result->n_files = out[0].n_files;
	result->quarantine_files = out[0].quarantine_files;
	result->n_quarantine_files = out[0].n_quarantine_files;
	result->loss = out[0].loss;
	result->rows = out[0].loss.published;
	result->children = out + 1;
	result->n_children = p->n_tables - 1;
	return ok;
}

bool prepare_run(const struct engine_job *job, void (*progress)(void *user, uint64_t rows), void *user, struct arena *a,
		 struct engine_result *out, struct err *e)
{
	struct prepare p = { .job = job, .arena = a, .progress = progress, .user = user };
	bool ok;

	memset(out, 0, sizeof *out);
	pthread_mutex_init(&p.lock, NULL);
	ok = prepare_open(&p, e) && engine_version(a, &out->engine, e) && run_files(&p, e) && tables_close(&p, out, e);
	prepare_close(&p);
	return ok;
}
