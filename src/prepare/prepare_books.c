/* What came of the files: the books of each table, its budget, its quarantine. */
#include "base/check.h"
#include "prepare/prepare_parts.h"
#include "prepare/record.h"

#include <inttypes.h>
#include <string.h>

/* ── the books ── */

void loss_extra_add(struct loss_report *l, struct str name, uint64_t count, struct arena *a)
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

static void books(struct prepare *p, size_t table, struct engine_output *out)
{
	struct loss_report *l = &out->loss;
	const struct contract *c = p->tables[table].contract;
	struct arena *a = p->arena;

	l->rules = arena_array(a, struct rule_count, c->n_rules);
	l->extra_fields = arena_array(a, struct str, EXTRA_NAMES_MAX);
	l->extra_counts = arena_array(a, uint64_t, EXTRA_NAMES_MAX);
	for (size_t i = 0; i < p->n_tasks; i++) {
		struct file_task *t = prepare_task_at(p, table, i);
		for (size_t k = 0; k < t->n_shares; k++) {
			l->read += t->shares[k].read;
			l->published += t->shares[k].hash.rows;
			l->quarantined += t->shares[k].quarantined;
			l->duplicates += t->shares[k].duplicates;
			l->with_parent += t->shares[k].with_parent;
		}
		for (size_t k = 0; k < t->n_extra; k++)
			loss_extra_add(l, t->extra_names[k], t->extra_counts[k], a);
		l->inexact += t->inexact;
	}
	for (size_t r = 0; r < c->n_rules; r++) {
		uint64_t rows = 0;
		for (size_t i = 0; i < p->n_tasks; i++)
			rows += prepare_task_at(p, table, i)->rule_rows[r];
		if (rows > 0)
			l->rules[l->n_rules++] = (struct rule_count){ arena_copy(a, c->rules[r].id), c->rules[r].action, rows };
	}
	CHECK(l->read == l->published + l->quarantined + l->duplicates + l->with_parent);
}

static void times_add(const struct prepare *p, struct engine_result *out)
{
	for (size_t table = 0; table < p->n_tables; table++)
		for (size_t i = 0; i < p->n_tasks; i++) {
			const struct file_task *t = prepare_task_at(p, table, i);
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
		struct file_task *t = prepare_task_at(p, table, i);
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

size_t prepare_examples(const struct prepare *p, size_t table, struct str out[QUARANTINE_EXAMPLES])
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_tasks; i++) {
		const struct quarantine *q = &prepare_task_at(p, table, i)->quarantine;
		for (size_t k = 0; k < q->n && k < QUARANTINE_EXAMPLES && n < QUARANTINE_EXAMPLES; k++)
			out[n++] = q->examples[k];
	}
	return n;
}

bool prepare_budget_check(const struct engine_job *job, size_t table, const struct loss_report *l,
			  const struct str *examples, size_t n_examples, struct err *e)
{
	struct job_table of = engine_job_table(job, table);
	struct buf why = BUF_INIT(1500);

	if ((double)l->quarantined * 100 <= of.budget_percent * (double)l->read || l->quarantined <= of.budget_rows)
		return true;
	for (size_t i = 0; i < l->n_rules; i++)
		if (l->rules[i].action != ACTION_WARN)
			buf_addf(&why, "%s%.*s %" PRIu64, why.n > 0 ? ", " : "", STR_ARG(l->rules[i].rule), l->rules[i].rows);
	for (size_t i = 0; i < n_examples; i++)
		buf_addf(&why, "; %.*s", STR_ARG(examples[i]));
	err_set(e, ERR_CONTRACT, "%.*s: %" PRIu64 " of %" PRIu64 " records would be set aside (%.2f %%), and the budget is %g %%: "
		"%.*s", STR_ARG(of.name), l->quarantined, l->read, 100.0 * (double)l->quarantined / (double)l->read,
		of.budget_percent, STR_ARG(buf_str(&why)));
	buf_free(&why);
	return err_hint(e, "nothing was published, also not to quarantine; mend contracts/%.*s.yaml or raise its budget, then "
			"`sluice run --stale` prepares these windows, also once they lie outside the interval",
			STR_ARG(job->table));
}

/* ── quarantine ── */

/* A file for each file of the table that has bad rows; the windows that stand in none of them share one without rows. */
static bool quarantine_files(struct prepare *p, struct parquet *q, size_t table, bool whole, const uint64_t *read,
			     struct engine_output *out, struct err *e)
{
	const struct engine_job *job = p->job;
	const struct job_table *of = &p->tables[table].job;
	size_t *windows = arena_array(p->arena, size_t, job->n_windows), n = 0;
	bool *listed = arena_array(p->arena, bool, job->n_windows), ok = true;

	out->quarantine_files = arena_array(p->arena, struct table_file, p->n_tasks + 1);
	for (size_t i = 0; ok && i < p->n_tasks; i++) {
		struct file_task *t = prepare_task_at(p, table, i);
		if (t->quarantine.n == 0)
			continue;
		for (size_t k = 0; k < t->n_shares; k++) {
			windows[k] = t->shares[k].window;
			listed[windows[k]] = true;
		}
		ok = quarantine_write(q, &t->quarantine, job, of, whole ? out->n_quarantine_files : t->index, windows,
				      t->n_shares, read, p->arena, &out->quarantine_files[out->n_quarantine_files], e);
		out->n_quarantine_files += ok;
	}
	for (size_t i = 0; whole && i < job->n_windows; i++)
		if (!listed[i])
			windows[n++] = i;
	if (ok && n > 0) {
		ok = quarantine_write(q, NULL, job, of, out->n_quarantine_files, windows, n, read, p->arena,
				      &out->quarantine_files[out->n_quarantine_files], e);
		out->n_quarantine_files += ok;
	}
	return ok;
}

/* ── all of it ── */

bool prepare_tables_close(struct prepare *p, struct parquet *q, bool whole, struct engine_result *result, struct err *e)
{
	struct engine_output *out = arena_array(p->arena, struct engine_output, p->n_tables);
	struct str examples[QUARANTINE_EXAMPLES];
	bool ok = true;

	for (size_t table = 0; ok && table < p->n_tables; table++) {
		uint64_t *read = arena_array(p->arena, uint64_t, p->job->n_windows);
		out[table].table = p->tables[table].job.name;
		books(p, table, &out[table]);
		for (size_t i = 0; i < p->n_tasks; i++) {
			const struct file_task *t = prepare_task_at(p, table, i);
			for (size_t k = 0; k < t->n_shares; k++)
				read[t->shares[k].window] += t->shares[k].read;
		}
		files_describe(p, table, read, &out[table]);
		ok = (!whole || prepare_budget_check(p->job, table, &out[table].loss, examples,
						     prepare_examples(p, table, examples), e)) &&
		     quarantine_files(p, q, table, whole, read, &out[table], e);
	}
	times_add(p, result);
	engine_result_take(result, out, p->n_tables);
	return ok;
}
