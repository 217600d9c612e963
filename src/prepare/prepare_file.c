/* One file of the table: a stream of batches into COPY, then the read-back. */
#include "base/check.h"
#include "base/effect.h"
#include "format/job_files.h"
#include "prepare/prepare_reader.h"
#include "prepare/read_back.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ── one attempt ── */

/* Total where the engine makes it. */
static void order_choose(struct reader *f, struct parquet_rows *rows)
{
	const struct contract *c = f->table->contract;
	struct parquet_order *order;
	size_t n = 0;

	if (!f->by_engine)
		return;
	order = arena_array(&f->arena, struct parquet_order, c->n_sort + 3);
	if (f->t->n_shares > 1) /* the order of `_window`, but numbers are sorted faster than its texts */
		order[n++].column = STR(SHARE);
	for (size_t i = 0; i < c->n_sort; i++)
		order[n++] = (struct parquet_order){ c->columns[c->sort[i]].name, c->sort_descending[i] };
	order[n++].column = STR("_page");
	order[n++].column = STR("_off");
	rows->order = order;
	rows->n_order = n;
	rows->last_is_order_only = true;
}

static bool check_rows(const struct reader *f, const char *path, struct err *e)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < f->t->n_shares; i++) {
		const struct share *s = &f->t->shares[i];
		CHECK(s->read == s->sum.rows + s->quarantined + s->duplicates + s->with_parent);
		rows += s->sum.rows;
	}
	return rows == f->t->file.rows || err_set(e, ERR_ENGINE, "%s: %" PRIu64 " rows were written of %" PRIu64, path,
						  f->t->file.rows, rows);
}

static bool back(struct reader *f, struct parquet *q, const char *path, struct err *e)
{
	struct file_task *t = f->t;
	const struct prepare_table *of = f->table;
	struct window_sum *sums = arena_array(&f->arena, struct window_sum, t->n_shares);
	bool ok;

	for (size_t i = 0; i < t->n_shares; i++)
		sums[i] = (struct window_sum){ .name = reader_window(f, i)->row_window, .sum = t->shares[i].sum };
	ok = read_back(q, path, of->contract, of->shape, of->n_columns, sums, t->n_shares, e);
	for (size_t i = 0; i < t->n_shares; i++)
		t->shares[i].hash = sums[i].hash;
	return ok;
}

static void results_keep(struct reader *f)
{
	struct file_task *t = f->t;
	size_t n = f->table->contract->n_rules;

	t->file.stats = stats_json(f->stats, &t->arena);
	t->rule_rows = arena_array(&t->arena, uint64_t, n);
	memcpy(t->rule_rows, f->verdicts->total, n * sizeof t->rule_rows[0]);
	record_extra_fields(f->records, &t->arena, &t->extra_names, &t->extra_counts, &t->n_extra);
	t->inexact = record_inexact(f->records);
}

static struct batch_shape *shape_with_share(struct reader *f)
{
	size_t n = f->table->n_columns;
	struct batch_shape *shape = arena_array(&f->arena, struct batch_shape, n + 1);

	memcpy(shape, f->table->shape, n * sizeof shape[0]);
	shape[n] = (struct batch_shape){ .name = STR(SHARE), .type = TYPE_INTEGER };
	return shape;
}

/* *again: the file was written in vain: its windows have duplicates, or are too large to be sorted by ourselves, or hold a
 * -0.0 that its dictionaries may have lost. */
static bool attempt(struct prepare *p, struct file_task *t, struct parquet *q, bool *again, struct err *e)
{
	struct reader *f = reader_open(p, t);
	struct parquet_file file = { .folder = t->table->job.output, .index = t->index, .attempt = t->attempt,
				     .encoding = t->plain ? PARQUET_PLAIN : PARQUET_DICTIONARY };
	struct clock *clock = clock_system();
	char name[160];
	struct parquet_rows rows = { .name = name, .shape = t->table->shape, .n_columns = t->table->n_columns,
				     .next = reader_next, .user = f };
	int64_t start_us = clock->monotonic_us(clock), written_us = start_us;
	bool ok;

	*again = false;
	CHECK(snprintf(name, sizeof name, "prepare_%.*s_%zu_%u", STR_ARG(t->table->job.name), t->index, t->attempt) <
	      (int)sizeof name);
	t->attempt++;
	if (f->by_engine) {
		rows.shape = shape_with_share(f);
		rows.n_columns++;
	}
	order_choose(f, &rows);
	ok = (!task_is_child(t) || item_log_rewind(&t->items, e)) &&
	     parquet_file_write(&file, q, &rows, &t->arena, &t->file, e);
	written_us = clock->monotonic_us(clock);
	if (f->too_large) {
		CHECK(!ok && !t->by_engine);
		t->by_engine = *again = ok = true;
	} else if (ok && f->doomed) {
		t->exact = *again = true;
		ok = job_file_drop(p->job, file.path, e);
	} else if (ok && t->has_failed_row && !t->split) {
		*e = t->failed_row;
		ok = false;
	} else if (ok && f->negative_zero && !t->plain) {
		*again = true;
		ok = job_file_drop(p->job, file.path, e);
	} else if (ok) {
		ok = check_rows(f, file.path, e) && back(f, q, file.path, e);
		if (ok)
			results_keep(f);
		ok = ok && job_file_made(p->job, file.path, e);
	}
	t->plain = t->plain || f->negative_zero;
	if (*again && f->log && !f->doomed) /* it is filled anew */
		key_log_clear(f->log);
	t->parse_us += f->parse_us;
	t->write_us += written_us - start_us - f->parse_us;
	t->read_back_us += clock->monotonic_us(clock) - written_us;
	reader_close(f);
	return ok;
}

static bool task_write(struct prepare *p, struct file_task *t, struct parquet *q, struct err *e)
{
	bool again = true, ok = true;

	if (t->attempt > 0) { /* it was written before anybody knew the losers */
		struct arena a = ARENA_INIT;
		struct str name = t->file.path, part;
		while (str_cut(&name, '/', &part))
			;
		ok = job_file_drop(p->job, arena_format(&a, "%.*s/%.*s", STR_ARG(t->table->job.output), STR_ARG(part)).p, e);
		arena_free(&a);
	}
	/* At most three times more: with the losers known, sorted by the engine, and without dictionaries. */
	while (ok && again)
		ok = attempt(p, t, q, &again, e);
	return ok;
}

/* The elements of arrays wait while their records' file is made, and become files of their own right after it, so that no
 * more of them wait than of one file. */
bool file_task_run(struct prepare *p, struct file_task *t, struct parquet *q, struct err *e)
{
	if (!task_write(p, t, q, e))
		return false;
	for (size_t i = 0; i < t->n_children; i++) {
		struct file_task *child = &t->children[i];
		child->unsure = t->split && !t->exact && p->contract->n_key > 0;
		if (!task_write(p, child, q, e))
			return false;
		item_log_close(&child->items);
	}
	return true;
}
