#include "prepare/prepare_reader.h"

#include "base/check.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
	KEPT_PAGES_BYTES = 16 << 20, /* pages of a batch: beyond it a batch ends early */
	TURN_SHARE = 4, /* of what may be sorted together: whole windows up to it */
};

/* ── reading ── */

static struct share *share_at(struct reader *f)
{
	return &f->t->shares[f->share];
}

const struct job_window *reader_window(const struct reader *f, size_t share)
{
	return &f->p->windows[f->t->shares[share].window];
}

static void windows_ahead(struct reader *f)
{
	const struct job_window *next[PAGES_AHEAD];
	size_t n = 0;

	for (size_t i = f->share; i < f->t->n_shares && n < PAGES_AHEAD; i++)
		next[n++] = reader_window(f, i);
	pages_ahead(&f->pages, next, n);
}

static bool share_begin(struct reader *f, struct err *e)
{
	struct share *s = share_at(f);

	f->share_open = true;
	s->interval = (struct window){ INT64_MIN, INT64_MAX };
	if (task_is_child(f->t))
		return true;
	if (f->share % PAGES_AHEAD == 0 && !f->t->split)
		windows_ahead(f);
	if (!pages_begin(&f->pages, reader_window(f, f->share), s->from, s->to, e))
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

static void address_put(struct reader *f, struct batch *b, size_t row, uint64_t page, uint64_t offset)
{
	struct batch_column *meta = &b->columns[f->table->contract->n_columns];
	const struct job_window *w = reader_window(f, f->share);

	meta[META_WINDOW].s[row] = w->row_window;
	meta[META_GEN].i64[row] = w->row_generation;
	meta[META_PAGE].i64[row] = (int64_t)page;
	meta[META_OFF].i64[row] = (int64_t)offset;
	meta[META_LEN].i64[row] = (int64_t)f->raw[row].n;
	for (size_t i = META_WINDOW; i <= META_LEN; i++)
		batch_set_valid(&meta[i], row);
	if (f->by_engine) {
		struct batch_column *share = &b->columns[f->table->n_columns];
		share->i64[row] = (int64_t)f->share;
		batch_set_valid(share, row);
	}
}

void reader_row(struct reader *f, struct batch *b, size_t row, uint64_t page, uint64_t offset)
{
	if (f->n_runs == 0 || f->runs[f->n_runs - 1].share != f->share)
		f->runs[f->n_runs++] = (struct run){ f->share, row };
	address_put(f, b, row, page, offset);
	b->n_rows++;
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
		if (f->t->n_children > 0)
			return children_lose(f, page, ev, e);
		return (ev != JSON_OBJECT && ev != JSON_ARRAY) || json_skip(&page->scan) || pages_broken(&f->pages, e);
	}
	if (!record_read_at(f->records, &page->scan, ev, b, row, f->verdicts, &f->row_arena, &f->raw[row]))
		return pages_broken(&f->pages, e);
	if (f->keeps_keys && !key_log_add(f->log, b, row, record, e))
		return false;
	children_keep(f, row);
	reader_row(f, b, row, page->number, (uint64_t)(f->raw[row].p - page->body.p));
	return true;
}

static bool page_next(struct reader *f, struct batch *b, bool *end, struct err *e)
{
	enum json_event ev;

	if (!pages_next(&f->pages, &ev, e))
		return false;
	*end = ev == JSON_DONE;
	return *end || row_read(f, b, ev, e);
}

/* The bytes of earlier batches go: whoever wants their texts has copied them. */
static void texts_forget(struct reader *f)
{
	arena_reset(&f->row_arena);
	pages_turn(&f->pages);
}

/* Of windows that are sorted: rows for a batch, or as many bytes as one may have. */
static bool turn_is_full(const struct reader *f, size_t more_rows)
{
	return row_sorter_rows(f->sorter) + more_rows >= BATCH_ROWS || row_sorter_bytes(f->sorter) > f->p->sort_bytes / TURN_SHARE;
}

/* Rows until the batch is full, the pages that they lie in become too much, or all is read. Where windows are sorted, it
 * ends with the window that fills the turn. */
static bool batch_fill(struct reader *f, struct batch *b, struct err *e)
{
	bool more = true, end = false;

	verdicts_begin(f->verdicts);
	f->n_runs = 0;
	while (more && b->n_rows < BATCH_ROWS) {
		if (f->share == f->t->n_shares) {
			f->ended = true;
			return true;
		}
		if (!f->share_open && !share_begin(f, e))
			return false;
		if (task_is_child(f->t) ? !child_next(f, b, &end, e) : !page_next(f, b, &end, e))
			return false;
		if (end && !share_end(f, e))
			return false;
		if (f->pages.kept_bytes + f->row_arena.used_bytes > KEPT_PAGES_BYTES && b->n_rows > 0)
			more = false;
		if (end && f->sorter)
			more = more && !turn_is_full(f, b->n_rows);
	}
	return true;
}

/* ── judging ── */

/* The rule about windows, where a batch holds several of them. */
static void windows_check(struct reader *f, struct batch *b)
{
	size_t column = f->table->contract->rules[f->window_rule].column;
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

size_t reader_run(const struct reader *f, size_t row)
{
	size_t k = f->n_runs - 1;

	while (f->runs[k].first > row)
		k--;
	return k;
}

static bool row_failed(struct reader *f, const struct batch *b, size_t row, struct err *e)
{
	const struct contract *c = f->table->contract;
	const struct batch_column *meta = &b->columns[c->n_columns];
	size_t rule = 0;

	while (c->rules[rule].action != ACTION_FAIL || !rows_has(&f->verdicts->failed[rule], row))
		rule++;
	err_set(e, ERR_CONTRACT, "%.*s: rule %.*s says fail, and window %.*s, page %" PRId64 ", byte %" PRId64
		" breaks it: %.*s", STR_ARG(f->table->job.name), STR_ARG(c->rules[rule].id),
		STR_ARG(reader_window(f, f->runs[reader_run(f, row)].share)->name), meta[META_PAGE].i64[row],
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
		if (!f->keeps_keys && !f->t->unsure)
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
	const struct batch_column *meta = &b->columns[f->table->contract->n_columns];
	const struct batch_column *index = task_is_child(f->t) ? &meta[META_IDX] : NULL;
	const struct rows *rows = &f->verdicts->by_action[ACTION_QUARANTINE];

	for (size_t row = 0; row < b->n_rows; row++) {
		if (!rows_has(rows, row))
			continue;
		struct share *s = &f->t->shares[f->runs[reader_run(f, row)].share];
		struct bad_row bad = {
			.window = (uint32_t)s->window,
			.generation = (uint32_t)meta[META_GEN].i64[row],
			.page = (uint64_t)meta[META_PAGE].i64[row],
			.offset = (uint64_t)meta[META_OFF].i64[row],
			.length = f->raw[row].n,
			.index = index && batch_is_valid(index, row) ? index->i64[row] : -1,
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

/* NULLs have any bits, so they are asked about last. */
static bool has_negative_zero(const struct batch *b)
{
	for (size_t i = 0; i < b->n_columns; i++) {
		const struct batch_column *c = &b->columns[i];
		if (c->type != TYPE_DOUBLE)
			continue;
		for (size_t row = 0; row < b->n_rows; row++)
			if (c->f64[row] == 0 && signbit(c->f64[row]) && batch_is_valid(c, row))
				return true;
	}
	return false;
}

static bool batch_publish(struct reader *f, struct batch *b, struct err *e)
{
	size_t n_columns = f->table->n_columns;

	batch_judge(f, b);
	if (rows_any(&f->verdicts->by_action[ACTION_FAIL]) && !rows_fail(f, b, e))
		return false;
	if (!children_take(f, b, e))
		return false;
	if (rows_any(&f->verdicts->by_action[ACTION_QUARANTINE])) {
		if (!rows_set_aside(f, b, e))
			return false;
		rows_remove(f, b, &f->verdicts->by_action[ACTION_QUARANTINE]);
	}
	f->negative_zero = f->negative_zero || has_negative_zero(b);
	row_marks_make(&f->marks, b, n_columns, f->table->contract->n_columns + META_WINDOW);
	for (size_t k = 0; k < f->n_runs; k++) {
		size_t end = k + 1 < f->n_runs ? f->runs[k + 1].first : b->n_rows;
		row_sum_add(&f->t->shares[f->runs[k].share].sum, &f->marks, f->runs[k].first, end);
	}
	stats_add(f->stats, b);
	return true;
}

/* One batch that was read and judged; empty where there is nothing for the table in it. */
static bool batch_next(struct reader *f, struct batch *b, struct err *e)
{
	size_t n;

	if (atomic_load(&f->p->stop))
		return err_set(e, ERR_ENGINE, "another file of this table failed");
	if (!batch_fill(f, b, e))
		return false;
	n = b->n_rows;
	if (n > 0 && !f->doomed && !batch_publish(f, b, e))
		return false;
	if (n > 0 && !task_is_child(f->t))
		prepare_say(f->p, n);
	if (f->doomed)
		batch_clear(b);
	return true;
}

static bool next_as_it_comes(struct reader *f, struct batch *b, struct err *e)
{
	while (!f->ended && b->n_rows == 0) {
		texts_forget(f);
		batch_clear(b);
		if (!batch_next(f, b, e))
			return false;
	}
	return true;
}

/* ── windows in order ── */

static bool window_too_large(struct reader *f, struct err *e)
{
	f->too_large = true;
	return err_set(e, ERR_ENGINE, "a window is too large to be sorted in memory");
}

/* At most: rows that are set aside, or lost to another one, are counted. */
static uint64_t share_rows(const struct reader *f, size_t share)
{
	const struct share *s = &f->t->shares[share];
	if (task_is_child(f->t))
		return s->items;
	uint64_t records = reader_window(f, share)->records, to = s->to < records ? s->to : records;

	return to > s->from ? to - s->from : 0;
}

/* By its first rows, with a wide margin: better found out now than after most of it was read. */
static bool window_seems_too_large(const struct reader *f)
{
	return f->share_open && share_rows(f, f->share) / 2 > f->p->sort_bytes / row_sorter_row_bytes(f->sorter);
}

/* A turn is as many whole windows as make a batch. Its texts stay where they are until the turn after it was read: at that
 * time the batch that is being made may begin with rows of this one, and of no earlier one, as there is a batch of them. */
static bool turn_read(struct reader *f, struct err *e)
{
	bool more = true;

	row_sorter_begin(f->sorter);
	while (more && !f->ended) {
		struct batch *b = row_sorter_room(f->sorter);
		if (!b || window_seems_too_large(f))
			return window_too_large(f, e);
		texts_forget(f);
		if (!batch_next(f, b, e))
			return false;
		if (f->doomed) { /* nothing is kept any more */
			row_sorter_begin(f->sorter);
			continue;
		}
		for (size_t k = 0; b->n_rows > 0 && k < f->n_runs; k++)
			row_sorter_take(f->sorter, f->runs[k].share, f->runs[k].first);
		more = f->share_open || !turn_is_full(f, 0);
	}
	f->short_turn = row_sorter_rows(f->sorter) < BATCH_ROWS;
	row_sorter_sort(f->sorter);
	return true;
}

static bool next_in_order(struct reader *f, struct batch *b, struct err *e)
{
	for (;;) {
		row_sorter_emit(f->sorter, b);
		if (b->n_rows == BATCH_ROWS || f->ended || (f->short_turn && b->n_rows > 0))
			return true;
		if (!turn_read(f, e))
			return false;
		if (f->doomed)
			batch_clear(b); /* the bytes of its texts are gone */
	}
}

bool reader_next(void *user, struct batch *b, struct err *e)
{
	struct reader *f = user;
	struct clock *clock = clock_system();
	int64_t start_us = clock->monotonic_us(clock);
	bool ok = f->sorter ? next_in_order(f, b, e) : next_as_it_comes(f, b, e);

	f->parse_us += clock->monotonic_us(clock) - start_us;
	return ok;
}

/* ── opening ── */

static bool fits_sorter(const struct reader *f)
{
	size_t max = f->p->sort_bytes / row_sorter_row_bytes(f->sorter);

	for (size_t i = 0; i < f->t->n_shares; i++)
		if (share_rows(f, i) > max)
			return false;
	return true;
}

static void sorter_choose(struct reader *f)
{
	if (f->table->contract->n_sort == 0)
		return;
	f->sorter = row_sorter_new(f->table->contract, f->table->shape, f->table->n_columns, f->p->sort_bytes, &f->arena);
	f->by_engine = f->t->by_engine || !fits_sorter(f);
	if (f->by_engine) {
		row_sorter_free(f->sorter);
		f->sorter = NULL;
	}
}

struct reader *reader_open(struct prepare *p, struct file_task *t)
{
	struct reader *f = mem_alloc(sizeof *f);
	const struct contract *c = t->table->contract;

	f->p = p;
	f->t = t;
	f->table = t->table;
	f->keeps_keys = c->n_key > 0 && !t->exact;
	f->log = t->log;
	if (f->keeps_keys && !f->log) {
		f->log = arena_new(&t->arena, struct key_log);
		key_log_open(f->log, c, p->scratch, KEY_LOG_ENTRIES, p->secret);
	}
	t->log = t->split ? f->log : NULL;
	if (!task_is_child(t))
		pages_init(&f->pages, p->job, p->store);
	f->records = record_reader_new(c, p->job->json_depth, &f->arena);
	f->verdicts = verdicts_new(c, &f->arena);
	f->stats = arena_new(&f->arena, struct stats);
	stats_begin(f->stats, t->table->shape, t->table->n_columns);
	f->reasons = BUF_INIT(QUARANTINE_REASONS_MAX);
	f->window_rule = c->window_column == SIZE_MAX ? SIZE_MAX : contract_rule(c, RULE_WINDOW, c->window_column);
	sorter_choose(f);
	quarantine_close(&t->quarantine);
	quarantine_open(&t->quarantine, p->scratch);
	t->has_failed_row = false;
	for (size_t i = 0; i < t->n_shares; i++) {
		struct share *s = &t->shares[i];
		s->read = s->with_parent; /* nobody reads those */
		s->quarantined = s->duplicates = 0;
		s->sum = ROW_SUM_INIT;
		s->hash = ROW_HASH_INIT;
	}
	children_begin(f);
	return f;
}

void reader_close(struct reader *f)
{
	if (f->log && !f->t->split)
		key_log_close(f->log);
	if (f->sorter)
		row_sorter_free(f->sorter);
	pages_free(&f->pages);
	children_end(f);
	record_reader_free(f->records);
	verdicts_free(f->verdicts);
	buf_free(&f->reasons);
	arena_free(&f->row_arena);
	arena_free(&f->arena);
	mem_free(f);
}
