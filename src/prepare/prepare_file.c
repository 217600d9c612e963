/* One file of the table: a stream of batches into COPY, then the read-back. */
#include "base/check.h"
#include "prepare/prepare_pages.h"
#include "prepare/prepare_parts.h"
#include "prepare/prepare_stats.h"
#include "prepare/read_back.h"
#include "prepare/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARE "_share" /* one more column, for sorting only: which share the row is of */
enum { META_SHARE = PREPARE_META_COLUMNS };
enum { KEPT_PAGES_BYTES = 32 << 20 }; /* pages of a batch: beyond it a batch ends early */

struct run { /* rows of one share in the batch: up to the next run */
	size_t share, first;
};

struct reader { /* one attempt */
	struct prepare *p;
	struct file_task *t;
	struct pages pages;
	struct record_reader *records;
	struct verdicts *verdicts;
	struct row_hasher *hasher;
	struct stats *stats;
	struct key_log *log;
	bool keeps_keys;  /* duplicates are looked for */
	bool doomed;      /* some were found: the file is written again, only keys matter from here */
	bool ended;
	size_t share;     /* being read; n_shares: all are done */
	bool share_open;
	struct run runs[BATCH_ROWS + 1];
	size_t n_runs;
	struct str raw[BATCH_ROWS];
	size_t window_rule;
	struct arena row_arena; /* of the batch at hand */
	struct arena arena;     /* of the attempt */
	struct buf reasons;
	int64_t parse_us;
};

/* ── a Parquet file ── */

bool parquet_file_write(struct parquet_file *f, struct engine_connection *c, struct str select, struct arena *a,
			struct table_file *out, struct err *e)
{
	struct str folder = f->folder, last;
	char name[48];
	struct stat st;
	int n;

	n = f->attempt == 0 ? snprintf(name, sizeof name, "%05zu.parquet", f->index)
			    : snprintf(name, sizeof name, "%05zu.%u.parquet", f->index, f->attempt);
	CHECK(n > 0 && (size_t)n < sizeof name);
	while (folder.n > 1 && folder.p[folder.n - 1] == '/')
		folder.n--;
	last = folder;
	for (size_t i = 0; i < folder.n; i++)
		if (folder.p[i] == '/')
			last = str_sub(folder, i + 1, folder.n);
	n = snprintf(f->path, sizeof f->path, "%.*s/%s", STR_ARG(folder), name);
	if (n < 0 || (size_t)n >= sizeof f->path)
		return err_set(e, ERR_STORAGE, "%.*s: the path is too long", STR_ARG(str_sub(folder, 0, 200)));
	*out = (struct table_file){ .path = arena_format(a, "data/%.*s/%s", STR_ARG(last), name) };
	if (!engine_write_parquet(c, select, f->path, &out->rows, &out->size_bytes, e))
		return false;
	if (stat(f->path, &st) != 0)
		return err_set_errno(e, ERR_STORAGE, errno, "%s", f->path);
	out->modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return true;
}

/* ── reading ── */

static struct share *share_at(struct reader *f)
{
	return &f->t->shares[f->share];
}

static const struct job_window *window_at(const struct reader *f, size_t share)
{
	return &f->p->job->windows[f->t->shares[share].window];
}

static bool share_begin(struct reader *f, struct err *e)
{
	struct share *s = share_at(f);

	f->share_open = true;
	if (!pages_begin(&f->pages, window_at(f, f->share), s->from, s->to, e))
		return false;
	s->interval = f->pages.interval;
	if (s->interval.from_us >= s->interval.to_us)
		s->interval = (struct window){ INT64_MIN, INT64_MAX };
	return true;
}

/* The window was read to its end: did anybody lose? Where it is cut, its other parts must be known first. */
static bool share_end(struct reader *f, struct err *e)
{
	struct losers *l = &f->p->losers[share_at(f)->window];

	if (f->keeps_keys && !f->t->split) {
		if (!key_logs_resolve(&f->log, 1, l, e))
			return false;
		f->doomed = f->doomed || l->n > 0;
		key_log_clear(f->log);
	}
	f->share_open = false;
	f->share++;
	return true;
}

static void address_put(struct reader *f, struct batch *b, size_t row, const struct page *page)
{
	struct batch_column *meta = &b->columns[f->p->contract->n_columns];
	const struct job_window *w = window_at(f, f->share);

	meta[META_WINDOW].s[row] = w->name;
	meta[META_GEN].i64[row] = w->generation;
	meta[META_PAGE].i64[row] = (int64_t)page->number;
	meta[META_OFF].i64[row] = f->raw[row].p - page->body.p;
	meta[META_LEN].i64[row] = (int64_t)f->raw[row].n;
	meta[META_SHARE].i64[row] = (int64_t)f->share;
	for (size_t i = META_WINDOW; i <= META_SHARE; i++)
		batch_set_valid(&meta[i], row);
}

/* One record, which the scanner stands at. */
static bool row_read(struct reader *f, struct batch *b, enum json_event ev, struct err *e)
{
	struct page *page = pages_at(&f->pages);
	uint64_t record = f->pages.record - 1;
	size_t row = b->n_rows;

	share_at(f)->read++;
	if (f->t->exact && losers_has(&f->p->losers[share_at(f)->window], record)) {
		share_at(f)->duplicates++;
		return (ev != JSON_OBJECT && ev != JSON_ARRAY) || json_skip(&page->scan) || pages_broken(&f->pages, e);
	}
	if (!record_read_at(f->records, &page->scan, ev, b, row, f->verdicts, &f->row_arena, &f->raw[row]))
		return pages_broken(&f->pages, e);
	if (f->keeps_keys && !key_log_add(f->log, b, row, record, e))
		return false;
	if (f->n_runs == 0 || f->runs[f->n_runs - 1].share != f->share)
		f->runs[f->n_runs++] = (struct run){ f->share, row };
	address_put(f, b, row, page);
	b->n_rows++;
	return true;
}

/* Rows until the batch is full, the pages that they lie in become too much, or all is read. */
static bool batch_fill(struct reader *f, struct batch *b, struct err *e)
{
	enum json_event ev;

	pages_release(&f->pages);
	arena_reset(&f->row_arena);
	verdicts_begin(f->verdicts);
	f->n_runs = 0;
	while (b->n_rows < BATCH_ROWS) {
		if (f->share == f->t->n_shares) {
			f->ended = true;
			return true;
		}
		if (!f->share_open && !share_begin(f, e))
			return false;
		if (!pages_next(&f->pages, &ev, e))
			return false;
		if (ev != JSON_DONE ? !row_read(f, b, ev, e) : !share_end(f, e))
			return false;
		if (f->pages.kept_bytes > KEPT_PAGES_BYTES && b->n_rows > 0)
			return true;
	}
	return true;
}

/* ── judging ── */

/* The rule about windows, where a batch holds several of them. */
static void windows_check(struct reader *f, struct batch *b)
{
	size_t column = f->p->contract->rules[f->window_rule].column;
	const struct batch_column *c = &b->columns[column];

	for (size_t k = 0; k < f->n_runs; k++) {
		size_t end = k + 1 < f->n_runs ? f->runs[k + 1].first : b->n_rows;
		struct window w = f->t->shares[f->runs[k].share].interval;
		for (size_t row = f->runs[k].first; row < end; row++)
			if (batch_is_valid(c, row) && (c->i64[row] < w.from_us || c->i64[row] >= w.to_us))
				verdicts_note(f->verdicts, RULE_WINDOW, column, row, STR_NONE, NULL);
	}
}

static void batch_judge(struct reader *f, struct batch *b)
{
	struct window w = { INT64_MIN, INT64_MAX };

	if (f->window_rule != SIZE_MAX && f->n_runs == 1)
		w = f->t->shares[f->runs[0].share].interval;
	else if (f->window_rule != SIZE_MAX)
		windows_check(f, b);
	verdicts_evaluate(f->verdicts, b, w.from_us, w.to_us);
	verdicts_count(f->verdicts, b, NULL);
}

static struct str reasons_of(struct reader *f, const struct batch *b, size_t row)
{
	buf_clear(&f->reasons);
	if (!verdicts_reasons(f->verdicts, b, row, &f->reasons))
		return STR("[{\"rule\":\"record\",\"why\":\"more reasons than can be kept\"}]");
	return buf_str(&f->reasons);
}

static size_t run_of(const struct reader *f, size_t row)
{
	size_t k = f->n_runs - 1;

	while (f->runs[k].first > row)
		k--;
	return k;
}

static bool row_failed(struct reader *f, const struct batch *b, size_t row, struct err *e)
{
	const struct contract *c = f->p->contract;
	const struct batch_column *meta = &b->columns[c->n_columns];
	size_t rule = 0;

	while (c->rules[rule].action != ACTION_FAIL || !rows_has(&f->verdicts->failed[rule], row))
		rule++;
	err_set(e, ERR_CONTRACT, "%.*s: rule %.*s says fail, and window %.*s, page %" PRId64 ", byte %" PRId64
		" breaks it: %.*s", STR_ARG(f->p->job->table), STR_ARG(c->rules[rule].id),
		STR_ARG(window_at(f, f->runs[run_of(f, row)].share)->name), meta[META_PAGE].i64[row],
		meta[META_OFF].i64[row], STR_ARG(str_sub(reasons_of(f, b, row), 0, 1000)));
	return err_hint(e, "nothing of this table was published; if such rows are to be set aside instead, give the rule the "
			"action `quarantine` in contracts/%.*s.yaml", STR_ARG(f->p->job->table));
}

/* Where it is not clear yet who loses against a later record, a failing row may be one that nobody looks at. */
static bool rows_fail(struct reader *f, const struct batch *b, struct err *e)
{
	const struct rows *rows = &f->verdicts->by_action[ACTION_FAIL];

	for (size_t row = 0; row < b->n_rows; row++) {
		if (!rows_has(rows, row))
			continue;
		if (!f->keeps_keys)
			return row_failed(f, b, row, e);
		if (!f->t->has_failed_row) {
			f->t->has_failed_row = true;
			row_failed(f, b, row, &f->t->failed_row);
		}
		return true;
	}
	return true;
}

static bool rows_set_aside(struct reader *f, const struct batch *b, struct err *e)
{
	const struct batch_column *meta = &b->columns[f->p->contract->n_columns];
	const struct rows *rows = &f->verdicts->by_action[ACTION_QUARANTINE];

	for (size_t row = 0; row < b->n_rows; row++) {
		if (!rows_has(rows, row))
			continue;
		struct share *s = &f->t->shares[f->runs[run_of(f, row)].share];
		struct bad_row bad = {
			.window = (uint32_t)s->window,
			.generation = (uint32_t)meta[META_GEN].i64[row],
			.page = (uint64_t)meta[META_PAGE].i64[row],
			.offset = (uint64_t)meta[META_OFF].i64[row],
			.length = f->raw[row].n,
			.reasons = reasons_of(f, b, row),
			.raw = f->raw[row],
		};
		s->quarantined++;
		if (!quarantine_add(&f->t->quarantine, f->p->job, &bad, e))
			return false;
	}
	return true;
}

static size_t value_size(enum column_type t)
{
	static const size_t sizes[TYPE_COUNT] = { [TYPE_STRING] = sizeof(struct str), [TYPE_BOOLEAN] = 1,
						  [TYPE_INTEGER] = 8, [TYPE_DECIMAL] = sizeof(int128), [TYPE_DOUBLE] = 8,
						  [TYPE_DATE] = 4, [TYPE_TIMESTAMP] = 8,
						  [TYPE_JSON] = sizeof(struct str) };
	return sizes[t];
}

/* Takes the rows out, in place: batches, and the runs in them, become shorter. */
static void rows_remove(struct reader *f, struct batch *b, const struct rows *gone)
{
	size_t n = 0, keep[BATCH_ROWS];

	for (size_t row = 0, k = 0; row < b->n_rows; row++) {
		for (; k < f->n_runs && f->runs[k].first == row; k++)
			f->runs[k].first = n;
		if (!rows_has(gone, row))
			keep[n++] = row;
	}
	for (size_t i = 0; i < b->n_columns; i++) {
		struct batch_column *c = &b->columns[i];
		size_t size = value_size(c->type);
		uint64_t valid[BATCH_ROWS / 64];
		char *values = (char *)c->i64; /* one member of the union stands for all */
		memcpy(valid, c->valid, sizeof valid);
		memset(c->valid, 0, sizeof c->valid);
		for (size_t k = 0; k < n; k++) {
			memmove(values + k * size, values + keep[k] * size, size);
			if ((valid[keep[k] / 64] >> (keep[k] % 64)) & 1)
				batch_set_valid(c, k);
		}
	}
	b->n_rows = n;
}

static bool batch_publish(struct reader *f, struct batch *b, struct err *e)
{
	batch_judge(f, b);
	if (rows_any(&f->verdicts->by_action[ACTION_FAIL]) && !rows_fail(f, b, e))
		return false;
	if (rows_any(&f->verdicts->by_action[ACTION_QUARANTINE])) {
		if (!rows_set_aside(f, b, e))
			return false;
		rows_remove(f, b, &f->verdicts->by_action[ACTION_QUARANTINE]);
	}
	for (size_t k = 0; k < f->n_runs; k++) {
		size_t end = k + 1 < f->n_runs ? f->runs[k + 1].first : b->n_rows;
		row_hash_add(&f->t->shares[f->runs[k].share].hash, f->hasher, b, f->runs[k].first, end);
	}
	stats_add(f->stats, b);
	return true;
}

static bool reader_next(void *user, struct batch *b, struct err *e)
{
	struct reader *f = user;
	struct clock *clock = clock_system();
	int64_t start_us = clock->monotonic_us(clock);
	bool ok = true;

	while (ok && !f->ended) {
		size_t n;
		if (atomic_load(&f->p->stop)) {
			ok = err_set(e, ERR_ENGINE, "another file of this table failed");
			break;
		}
		ok = batch_fill(f, b, e);
		n = b->n_rows;
		if (ok && n > 0 && !f->doomed)
			ok = batch_publish(f, b, e);
		if (ok && n > 0)
			prepare_say(f->p, n);
		if (ok && b->n_rows > 0 && !f->doomed)
			break;
		batch_clear(b);
	}
	f->parse_us += clock->monotonic_us(clock) - start_us;
	return ok;
}

/* ── one attempt ── */

static struct str select_text(struct reader *f, const char *source, struct err *e)
{
	const struct contract *c = f->p->contract;
	struct buf sql = BUF_INIT(1 << 20);
	struct str text = STR_NONE;

	buf_addf(&sql, "SELECT * EXCLUDE (\"" SHARE "\") FROM %s()", source);
	if (c->n_sort > 0) { /* total: nothing is left to chance, so any number of threads gives the same bytes */
		/* In the order of `_window`, but numbers are sorted faster than its texts. */
		buf_add_z(&sql, f->t->n_shares > 1 ? " ORDER BY \"" SHARE "\", " : " ORDER BY ");
		for (size_t i = 0; i < c->n_sort; i++) {
			buf_add_z(&sql, i > 0 ? ", " : "");
			sql_identifier(&sql, c->columns[c->sort[i]].name);
			buf_add_z(&sql, c->sort_descending[i] ? " DESC" : " ASC");
		}
		buf_add_z(&sql, ", \"_page\", \"_off\"");
	}
	if (sql.overflow)
		err_set(e, ERR_ENGINE, "the sort order is too long");
	else
		text = arena_copy(&f->arena, buf_str(&sql));
	buf_free(&sql);
	return text;
}

static void reader_open(struct reader *f, struct prepare *p, struct file_task *t)
{
	const struct contract *c = p->contract;
	size_t *columns = arena_array(&f->arena, size_t, c->n_columns + 1);

	f->p = p;
	f->t = t;
	f->keeps_keys = c->n_key > 0 && !t->exact;
	f->log = t->log;
	if (f->keeps_keys && !f->log) {
		f->log = arena_new(&t->arena, struct key_log);
		key_log_open(f->log, c, p->scratch, KEY_LOG_ENTRIES, p->secret);
	}
	t->log = t->split ? f->log : NULL;
	pages_init(&f->pages, p->job, p->store);
	f->records = record_reader_new(c, p->job->json_depth, &f->arena);
	f->verdicts = verdicts_new(c, &f->arena);
	for (size_t i = 0; i < c->n_columns; i++)
		columns[i] = i;
	f->hasher = row_hasher_new(c, columns, &f->arena);
	f->stats = arena_new(&f->arena, struct stats);
	stats_begin(f->stats, p->shape, p->n_columns);
	f->reasons = BUF_INIT(QUARANTINE_REASONS_MAX);
	f->window_rule = c->window_column == SIZE_MAX ? SIZE_MAX : contract_rule(c, RULE_WINDOW, c->window_column);
	quarantine_close(&t->quarantine);
	quarantine_open(&t->quarantine, p->scratch);
	t->has_failed_row = false;
	for (size_t i = 0; i < t->n_shares; i++) {
		struct share *s = &t->shares[i];
		s->read = s->quarantined = s->duplicates = 0;
		s->hash = ROW_HASH_INIT;
	}
}

static void reader_close(struct reader *f)
{
	if (f->log && !f->t->split)
		key_log_close(f->log);
	pages_free(&f->pages);
	record_reader_free(f->records);
	verdicts_free(f->verdicts);
	buf_free(&f->reasons);
	arena_free(&f->row_arena);
	arena_free(&f->arena);
	mem_free(f);
}

static bool check_rows(const struct reader *f, const char *path, struct err *e)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < f->t->n_shares; i++) {
		const struct share *s = &f->t->shares[i];
		CHECK(s->read == s->hash.rows + s->quarantined + s->duplicates);
		rows += s->hash.rows;
	}
	return rows == f->t->file.rows || err_set(e, ERR_ENGINE, "%s: %" PRIu64 " rows were written of %" PRIu64, path,
						  f->t->file.rows, rows);
}

static bool back(struct reader *f, struct engine_connection *c, const char *path, struct err *e)
{
	struct file_task *t = f->t;
	struct window_sum *sums = arena_array(&f->arena, struct window_sum, t->n_shares);

	for (size_t i = 0; i < t->n_shares; i++)
		sums[i] = (struct window_sum){ window_at(f, i)->name, t->shares[i].hash };
	return read_back(c, path, f->p->contract, sums, t->n_shares, e);
}

static void results_keep(struct reader *f)
{
	struct file_task *t = f->t;
	size_t n = f->p->contract->n_rules;

	t->file.stats = stats_json(f->stats, &t->arena);
	t->rule_rows = arena_array(&t->arena, uint64_t, n);
	memcpy(t->rule_rows, f->verdicts->total, n * sizeof t->rule_rows[0]);
	record_extra_fields(f->records, &t->arena, &t->extra_names, &t->extra_counts, &t->n_extra);
	t->inexact = record_inexact(f->records);
}

static struct batch_shape *shape_with_share(struct reader *f)
{
	size_t n = f->p->n_columns;
	struct batch_shape *shape = arena_array(&f->arena, struct batch_shape, n + 1);

	memcpy(shape, f->p->shape, n * sizeof shape[0]);
	shape[n] = (struct batch_shape){ .name = STR(SHARE), .type = TYPE_INTEGER };
	return shape;
}

/* *again: the file was written in vain, its windows have duplicates. */
static bool attempt(struct prepare *p, struct file_task *t, struct engine_connection *c, bool *again, struct err *e)
{
	struct reader *f = mem_alloc(sizeof *f);
	struct parquet_file file = { .folder = p->job->output, .index = t->index, .attempt = t->attempt };
	struct clock *clock = clock_system();
	char name[64];
	struct engine_source source = { name, NULL, p->n_columns + 1, reader_next, f };
	int64_t start_us = clock->monotonic_us(clock), written_us = start_us;
	struct str select;
	bool ok;

	*again = false;
	CHECK(snprintf(name, sizeof name, "prepare_%zu_%u", t->index, t->attempt) < (int)sizeof name);
	t->attempt++;
	reader_open(f, p, t);
	source.shape = shape_with_share(f);
	select = select_text(f, name, e);
	ok = select.n > 0 && engine_add_source(c, &source, e) &&
	     parquet_file_write(&file, c, select, &t->arena, &t->file, e);
	written_us = clock->monotonic_us(clock);
	if (ok && f->doomed) {
		*again = true;
		unlink(file.path);
	} else if (ok && t->has_failed_row && !t->split) {
		*e = t->failed_row;
		ok = false;
	} else if (ok) {
		ok = check_rows(f, file.path, e) && back(f, c, file.path, e);
		if (ok)
			results_keep(f);
	}
	t->parse_us += f->parse_us;
	t->write_us += written_us - start_us - f->parse_us;
	t->read_back_us += clock->monotonic_us(clock) - written_us;
	reader_close(f);
	return ok;
}

bool file_task_run(struct prepare *p, struct file_task *t, struct engine_connection *c, struct err *e)
{
	bool again = false;

	if (t->attempt > 0) { /* it was written before anybody knew the losers */
		struct arena a = ARENA_INIT;
		struct str name = t->file.path, part;
		while (str_cut(&name, '/', &part))
			;
		unlink(arena_format(&a, "%.*s/%.*s", STR_ARG(p->job->output), STR_ARG(part)).p);
		arena_free(&a);
	}
	if (!attempt(p, t, c, &again, e))
		return false;
	if (!again)
		return true;
	t->exact = true;
	if (!attempt(p, t, c, &again, e))
		return false;
	CHECK(!again);
	return true;
}
