#include "prepare/prepare_task.h"

#include "base/check.h"
#include "base/json.h"
#include "driver/child.h"
#include "format/job_files.h"
#include "prepare/prepare_parts.h"
#include "prepare/record.h"

#include <inttypes.h>
#include <string.h>

static const char answer_format[] = "sluice-prepare-task/1";
static const size_t ANSWER_MAX_BYTES = (size_t)256 << 20;

static bool task_open(struct prepare *p, const char *scratch, struct err *e)
{
	pthread_mutex_init(&p->lock, NULL);
	if (!prepare_open(p, e))
		return false;
	p->scratch = scratch;
	for (size_t i = 0; i < p->n_tasks; i++)
		for (size_t table = 0; table < p->n_tables; table++) {
			struct file_task *t = prepare_task_at(p, table, i);
			quarantine_close(&t->quarantine);
			quarantine_open(&t->quarantine, scratch);
			item_log_close(&t->items);
			item_log_open(&t->items, scratch);
		}
	return true;
}

bool prepare_tasks_count(const struct engine_job *job, size_t *n, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct prepare p = { .job = job, .arena = &a };
	bool ok;

	pthread_mutex_init(&p.lock, NULL);
	ok = prepare_open(&p, e);
	*n = p.n_tasks;
	prepare_close(&p);
	arena_free(&a);
	return ok;
}

bool prepare_tasks_plan(const struct engine_job *job, struct arena *a, struct prepare_cut **out, size_t *n, bool *has_key,
			struct err *e)
{
	struct prepare p = { .job = job, .arena = a };
	bool ok;

	pthread_mutex_init(&p.lock, NULL);
	ok = prepare_open(&p, e);
	if (ok) {
		*n = p.n_tasks;
		*has_key = p.contract->n_key > 0;
		*out = arena_array(a, struct prepare_cut, p.n_tasks);
	}
	for (size_t i = 0; ok && i < p.n_tasks; i++) {
		const struct file_task *t = &p.tasks[i];
		(*out)[i] = (struct prepare_cut){ .split = t->split, .window = t->shares[0].window };
		for (size_t k = 0; k < t->n_shares; k++) {
			uint64_t records = job->windows[t->shares[k].window].records;
			(*out)[i].records += (t->shares[k].to < records ? t->shares[k].to : records) - t->shares[k].from;
		}
	}
	prepare_close(&p);
	return ok;
}

/* ── a task ── */

static bool losers_take(struct prepare *p, struct file_task *t, const struct prepare_task *o, struct err *e)
{
	struct losers *l = &p->losers[t->shares[0].window];

	if (!o->with_losers)
		return true;
	if (!t->split)
		return err_set(e, ERR_USAGE, "file %zu holds whole windows: nobody else knows who loses there", o->index);
	for (size_t i = 0; i < o->n_losers; i++) {
		if (o->losers[i] >= l->records)
			return err_set(e, ERR_USAGE, "record %" PRIu64 " of a window of %" PRIu64, o->losers[i], l->records);
		if (!losers_has(l, o->losers[i]))
			losers_add(l, o->losers[i]);
	}
	t->exact = true;
	return true;
}

static void put_examples(struct json_out *o, const struct prepare *p)
{
	json_begin_array(o, "examples");
	for (size_t table = 0; table < p->n_tables; table++) {
		struct str examples[QUARANTINE_EXAMPLES];
		size_t n = prepare_examples(p, table, examples);
		json_begin_array(o, NULL);
		for (size_t i = 0; i < n; i++)
			json_put_str(o, NULL, examples[i]);
		json_end_array(o);
	}
	json_end_array(o);
}

/* Of the tables in their order, the first row that breaks a rule which says fail, if it stands. */
static const struct err *failed_row(const struct prepare *p)
{
	for (size_t table = 0; table < p->n_tables; table++)
		if (prepare_task_at(p, table, 0)->has_failed_row)
			return &prepare_task_at(p, table, 0)->failed_row;
	return NULL;
}

static struct str answer_put(const struct prepare *p, size_t index, const struct engine_result *r, struct arena *a)
{
	struct buf b = BUF_INIT(ANSWER_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	const struct err *failed = failed_row(p);

	json_begin_object(&o, NULL);
	json_put_z(&o, "format", answer_format);
	json_put_u64(&o, "task", index);
	json_put_raw(&o, "result", str_trim(engine_result_encode(r, a)));
	put_examples(&o, p);
	if (failed)
		json_put_raw(&o, "failed_row", str_trim(engine_error_encode(failed, a)));
	json_end_object(&o);
	return buf_take(&b, a);
}

bool prepare_task_run(const struct engine_job *job, const struct prepare_task *o, struct parquet *q, struct arena *a,
		      struct str *answer, struct err *e)
{
	struct prepare p = { .job = job, .arena = a };
	struct engine_result result = { .engine = STR("-") };
	struct file_task *all = NULL;
	size_t n_all = 0;
	bool ok = task_open(&p, o->scratch, e);

	if (ok && o->index >= p.n_tasks)
		ok = err_set(e, ERR_USAGE, "there is no file %zu: the job has %zu", o->index, p.n_tasks);
	if (ok) {
		struct file_task *t = &p.tasks[o->index];
		p.secret = o->secret;
		if (o->sort_bytes > 0)
			p.sort_bytes = o->sort_bytes;
		ok = losers_take(&p, t, o, e) && file_task_run(&p, t, q, e);
		if (ok && t->split && t->log && o->take_key)
			ok = key_log_each(t->log, o->take_key, o->user, e);
		/* The books are those of this file alone. */
		all = p.tasks;
		n_all = p.n_tasks;
		p.tasks = t;
		p.n_tasks = 1;
		ok = ok && prepare_tables_close(&p, q, false, &result, e) && job_files_finish(job, &result, e);
		if (ok)
			*answer = answer_put(&p, o->index, &result, a);
		p.tasks = all;
		p.n_tasks = n_all;
	}
	prepare_close(&p);
	return ok;
}

/* ── all of them ── */

struct answer {
	struct engine_result result;
	const struct json_node *examples; /* one list for each table */
};

static bool answer_read(struct str text, size_t n_tables, struct answer *answers, bool *there, size_t n, struct arena *a,
			struct err *e)
{
	struct json_node *root = NULL;
	const struct json_node *result, *examples;
	struct answer *at;
	struct str format;
	uint64_t index;

	if (!json_parse(text, a, &root, e) || !json_need_str(root, "format", &format, e) ||
	    !json_need_u64(root, "task", &index, e) || !json_need(root, "result", JSON_OBJECT, &result, e) ||
	    !json_need(root, "examples", JSON_ARRAY, &examples, e))
		return err_wrap(e, "the answer of a task");
	if (!str_eq_z(format, answer_format) || index >= n || there[index])
		return err_set(e, ERR_ENGINE, "the answer of a task: of the format \"%.*s\", file %" PRIu64 " of %zu%s",
			       STR_ARG(format), index, n, index < n && there[index] ? ", for the second time" : "");
	there[index] = true;
	at = &answers[index];
	if (!engine_result_decode(result->raw, a, &at->result, e))
		return false;
	if (at->result.n_children + 1 != n_tables || examples->n_children != n_tables)
		return err_set(e, ERR_ENGINE, "file %" PRIu64 ": the answer is of another job", index);
	at->examples = examples->child;
	if (json_get(root, "failed_row") && child_own_error(json_get(root, "failed_row")->raw, a, e))
		return false;
	return true;
}

static void rules_add(struct loss_report *sum, const struct contract *c, const struct answer *answers, size_t n, size_t table,
		      struct arena *a)
{
	sum->rules = arena_array(a, struct rule_count, c->n_rules);
	for (size_t r = 0; r < c->n_rules; r++) {
		uint64_t rows = 0;
		for (size_t i = 0; i < n; i++) {
			struct loss_report l = engine_result_table(&answers[i].result, table).loss;
			for (size_t k = 0; k < l.n_rules; k++)
				rows += str_eq(l.rules[k].rule, c->rules[r].id) ? l.rules[k].rows : 0;
		}
		if (rows > 0)
			sum->rules[sum->n_rules++] =
				(struct rule_count){ arena_copy(a, c->rules[r].id), c->rules[r].action, rows };
	}
}

static void losses_add(struct loss_report *sum, const struct answer *answers, size_t n, size_t table, struct arena *a)
{
	sum->extra_fields = arena_array(a, struct str, EXTRA_NAMES_MAX);
	sum->extra_counts = arena_array(a, uint64_t, EXTRA_NAMES_MAX);
	for (size_t i = 0; i < n; i++) {
		struct loss_report l = engine_result_table(&answers[i].result, table).loss;
		sum->read += l.read;
		sum->published += l.published;
		sum->quarantined += l.quarantined;
		sum->duplicates += l.duplicates;
		sum->with_parent += l.with_parent;
		sum->inexact += l.inexact;
		for (size_t k = 0; k < l.n_extra; k++)
			loss_extra_add(sum, l.extra_fields[k], l.extra_counts[k], a);
	}
}

/* Files of all tasks, in the tasks' order. A window that was cut was read by several. */
static void files_add(const struct prepare *p, const struct answer *answers, size_t n, size_t table, uint64_t *read,
		      bool *listed, struct engine_output *out)
{
	const struct engine_job *job = p->job;
	size_t n_bad = 0;

	out->files = arena_array(p->arena, struct table_file, n);
	for (size_t i = 0; i < n; i++) {
		struct engine_output of = engine_result_table(&answers[i].result, table);
		n_bad += of.n_quarantine_files;
		for (size_t k = 0; k < of.n_files; k++)
			out->files[out->n_files++] = of.files[k];
		for (size_t s = 0; s < p->tasks[i].n_shares && of.n_files == 1 && s < of.files[0].n_windows; s++)
			read[p->tasks[i].shares[s].window] += of.files[0].windows[s].read;
	}
	out->quarantine_files = arena_array(p->arena, struct table_file, n_bad + 1);
	for (size_t i = 0; i < n; i++) {
		struct engine_output of = engine_result_table(&answers[i].result, table);
		for (size_t k = 0; k < of.n_quarantine_files; k++) {
			out->quarantine_files[out->n_quarantine_files++] = of.quarantine_files[k];
			for (size_t s = 0; s < p->tasks[i].n_shares; s++)
				listed[p->tasks[i].shares[s].window] = true;
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct engine_output of = engine_result_table(&answers[i].result, table);
		for (size_t s = 0; s < p->tasks[i].n_shares; s++) {
			size_t window = p->tasks[i].shares[s].window;
			CHECK(window < job->n_windows);
			for (size_t k = 0; k < of.n_files; k++)
				of.files[k].windows[s].read = read[window];
			for (size_t k = 0; k < of.n_quarantine_files; k++)
				of.quarantine_files[k].windows[s].read = read[window];
		}
	}
}

static bool shapes_fit(const struct prepare *p, const struct answer *answers, struct err *e)
{
	for (size_t table = 0; table < p->n_tables; table++)
		for (size_t i = 0; i < p->n_tasks; i++) {
			struct engine_output of = engine_result_table(&answers[i].result, table);
			bool fits = of.n_files == 1 && of.n_quarantine_files <= 1 &&
				    of.files[0].n_windows == p->tasks[i].n_shares;
			for (size_t k = 0; fits && k < of.n_quarantine_files; k++)
				fits = of.quarantine_files[k].n_windows == p->tasks[i].n_shares;
			if (!fits)
				return err_set(e, ERR_ENGINE, "file %zu: the answer is of another job", i);
		}
	return true;
}

/* The same examples that one process would have shown. */
static bool budget_check(const struct prepare *p, const struct answer *answers, size_t table, const struct loss_report *l,
			 struct err *e)
{
	struct str examples[QUARANTINE_EXAMPLES];
	size_t n = 0;

	for (size_t i = 0; i < p->n_tasks; i++) {
		const struct json_node *list = answers[i].examples;
		for (size_t k = 0; k < table; k++)
			list = list->next;
		for (const struct json_node *x = list->child; x && n < QUARANTINE_EXAMPLES; x = x->next)
			examples[n++] = x->text;
	}
	return prepare_budget_check(p->job, table, l, examples, n, e);
}

static bool table_join(const struct prepare *p, const struct answer *answers, size_t table, struct parquet *q,
		       struct engine_output *out, struct err *e)
{
	const struct engine_job *job = p->job;
	uint64_t *read = arena_array(p->arena, uint64_t, job->n_windows);
	bool *listed = arena_array(p->arena, bool, job->n_windows);
	size_t *rest = arena_array(p->arena, size_t, job->n_windows), n_rest = 0;

	out->table = p->tables[table].job.name;
	losses_add(&out->loss, answers, p->n_tasks, table, p->arena);
	rules_add(&out->loss, p->tables[table].contract, answers, p->n_tasks, table, p->arena);
	CHECK(out->loss.read == out->loss.published + out->loss.quarantined + out->loss.duplicates + out->loss.with_parent);
	if (!budget_check(p, answers, table, &out->loss, e))
		return false;
	files_add(p, answers, p->n_tasks, table, read, listed, out);
	for (size_t i = 0; i < job->n_windows; i++)
		if (!listed[i])
			rest[n_rest++] = i;
	if (n_rest == 0)
		return true;
	if (!quarantine_write(q, NULL, job, &p->tables[table].job, p->n_tasks, rest, n_rest, read, p->arena,
			      &out->quarantine_files[out->n_quarantine_files], e))
		return false;
	out->n_quarantine_files++;
	return true;
}

static bool join(struct prepare *p, const struct str *texts, size_t n, struct parquet *q, struct engine_result *out,
		 struct err *e)
{
	struct answer *answers = arena_array(p->arena, struct answer, p->n_tasks);
	struct engine_output *tables = arena_array(p->arena, struct engine_output, p->n_tables);
	bool *there = arena_array(p->arena, bool, p->n_tasks);

	if (n != p->n_tasks)
		return err_set(e, ERR_ENGINE, "%zu answers for %zu files", n, p->n_tasks);
	for (size_t i = 0; i < n; i++)
		if (!answer_read(texts[i], p->n_tables, answers, there, n, p->arena, e))
			return false;
	if (!shapes_fit(p, answers, e))
		return false;
	for (size_t table = 0; table < p->n_tables; table++)
		if (!table_join(p, answers, table, q, &tables[table], e))
			return false;
	for (size_t i = 0; i < n; i++) {
		out->parse_us += answers[i].result.parse_us;
		out->write_us += answers[i].result.write_us;
		out->read_back_us += answers[i].result.read_back_us;
	}
	engine_result_take(out, tables, p->n_tables);
	return true;
}

bool prepare_tasks_join(const struct engine_job *job, const struct str *answers, size_t n, const char *scratch,
			struct parquet *q, struct arena *a, struct engine_result *out, struct err *e)
{
	struct prepare p = { .job = job, .arena = a };
	bool ok;

	memset(out, 0, sizeof *out);
	ok = task_open(&p, scratch, e) && join(&p, answers, n, q, out, e);
	prepare_close(&p);
	return ok;
}
