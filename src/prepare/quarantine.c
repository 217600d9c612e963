#include "prepare/quarantine.h"

#include "base/check.h"
#include "base/file.h"
#include "format/job_files.h"
#include "prepare/duplicates.h"
#include "prepare/prepare.h"
#include "prepare/prepare_parts.h"
#include "prepare/prepare_stats.h"
#include "prepare/read_back.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAITING_BYTES = 256 << 10, BLOCK_BYTES = 4 << 20 };
enum { BAD_WINDOW, BAD_GEN, BAD_PAGE, BAD_OFF, BAD_LEN, BAD_IDX, BAD_REASONS, BAD_RAW, BAD_COLUMNS };

static const struct batch_shape columns[BAD_COLUMNS] = {
	[BAD_WINDOW] = { .name = { "_window", 7 }, .type = TYPE_STRING },
	[BAD_GEN] = { .name = { "_gen", 4 }, .type = TYPE_INTEGER },
	[BAD_PAGE] = { .name = { "_page", 5 }, .type = TYPE_INTEGER },
	[BAD_OFF] = { .name = { "_off", 4 }, .type = TYPE_INTEGER },
	[BAD_LEN] = { .name = { "_len", 4 }, .type = TYPE_INTEGER },
	[BAD_IDX] = { .name = { "_idx", 4 }, .type = TYPE_INTEGER },
	[BAD_REASONS] = { .name = { "_reasons", 8 }, .type = TYPE_JSON },
	[BAD_RAW] = { .name = { "_raw", 4 }, .type = TYPE_STRING },
};

struct batch_shape *quarantine_shape(struct arena *a, size_t *n_columns)
{
	struct batch_shape *shape = arena_array(a, struct batch_shape, BAD_COLUMNS);

	memcpy(shape, columns, sizeof columns);
	*n_columns = BAD_COLUMNS;
	return shape;
}

/* ── the scratch file ── */

struct head { /* of a row in it; reasons and raw follow */
	uint32_t window, generation;
	uint64_t page, offset, length;
	int64_t index;
	uint32_t reasons_n, raw_n;
};

_Static_assert(QUARANTINE_RAW_MAX + QUARANTINE_REASONS_MAX + (int)sizeof(struct head) < BLOCK_BYTES, "a row fits a block");

void quarantine_open(struct quarantine *q, const char *scratch)
{
	*q = (struct quarantine){ .scratch = scratch, .fd = -1,
				  .waiting = BUF_INIT(WAITING_BYTES + (size_t)BLOCK_BYTES) };
}

void quarantine_close(struct quarantine *q)
{
	if (q->fd >= 0)
		close(q->fd);
	buf_free(&q->waiting);
	arena_free(&q->arena);
	*q = (struct quarantine){ .scratch = q->scratch, .fd = -1,
				  .waiting = BUF_INIT(WAITING_BYTES + (size_t)BLOCK_BYTES) };
}

static bool quarantine_flush(struct quarantine *q, struct err *e)
{
	if (q->waiting.n == 0)
		return true;
	if (q->fd < 0 && (q->fd = scratch_file(q->scratch, e)) < 0)
		return false;
	if (!file_write_all(q->fd, q->waiting.p, q->waiting.n, e))
		return err_wrap(e, "%s: a scratch file", q->scratch);
	q->bytes += q->waiting.n;
	buf_clear(&q->waiting);
	return true;
}

/* Never in the middle of a character. */
static struct str text_cut(struct str s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s;
	while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return str_sub(s, 0, n);
}

bool quarantine_add(struct quarantine *q, const struct engine_job *job, const struct bad_row *row, struct err *e)
{
	struct str raw = text_cut(row->raw, QUARANTINE_RAW_MAX);
	struct head h = { row->window, row->generation, row->page, row->offset, row->length, row->index,
			  (uint32_t)row->reasons.n, (uint32_t)raw.n };

	CHECK(row->reasons.n <= QUARANTINE_REASONS_MAX);
	if (q->n < QUARANTINE_EXAMPLES)
		q->examples[q->n] = arena_format(&q->arena, "window %.*s, page %" PRIu64 ", byte %" PRIu64 ": %.*s",
						 STR_ARG(job->windows[row->window].name), row->page, row->offset,
						 STR_ARG(text_cut(row->reasons, 300)));
	q->n++;
	CHECK(buf_add_bytes(&q->waiting, &h, sizeof h) && buf_add(&q->waiting, row->reasons) &&
	      buf_add(&q->waiting, raw));
	return q->waiting.n < WAITING_BYTES || quarantine_flush(q, e);
}

/* ── as rows again ── */

struct bad_source {
	struct quarantine *q;
	const struct engine_job *job;
	struct buf block;
	size_t block_at;     /* in the block */
	uint64_t file_at;    /* of the byte behind the block */
	struct row_marks marks;
	struct window_sum *sums;
	const size_t *windows;
	size_t n_windows, window;
	struct stats *stats;
};

/* At least `n` bytes at block_at. The block is only filled between batches: rows are views into it. */
static bool block_fill(struct bad_source *s, struct err *e)
{
	size_t rest = s->block.n - s->block_at, more = BLOCK_BYTES - rest;
	char *room;

	if (rest > 0)
		memmove(s->block.p, s->block.p + s->block_at, rest);
	s->block.n = rest;
	s->block_at = 0;
	if (more > s->q->bytes - s->file_at)
		more = (size_t)(s->q->bytes - s->file_at);
	if (more == 0)
		return true;
	room = buf_room(&s->block, more);
	CHECK(room);
	if (!file_read_at(s->q->fd, room, more, s->file_at, e))
		return err_wrap(e, "%s: a scratch file", s->q->scratch);
	s->block.n += more;
	s->file_at += more;
	return true;
}

static void bad_put(struct batch *b, const struct engine_job *job, const struct head *h, const char *text)
{
	size_t row = b->n_rows++;

	b->columns[BAD_WINDOW].s[row] = job_window_rows(&job->windows[h->window]).row_window;
	b->columns[BAD_GEN].i64[row] = h->generation;
	b->columns[BAD_PAGE].i64[row] = (int64_t)h->page;
	b->columns[BAD_OFF].i64[row] = (int64_t)h->offset;
	b->columns[BAD_LEN].i64[row] = (int64_t)h->length;
	b->columns[BAD_REASONS].s[row] = (struct str){ text, h->reasons_n };
	b->columns[BAD_RAW].s[row] = (struct str){ text + h->reasons_n, h->raw_n };
	b->columns[BAD_IDX].i64[row] = h->index;
	for (size_t i = 0; i < BAD_COLUMNS; i++)
		if (i != BAD_IDX || h->index >= 0)
			batch_set_valid(&b->columns[i], row);
}

static void bad_sum(struct bad_source *s, const struct batch *b)
{
	row_marks_make(&s->marks, b, BAD_COLUMNS, BAD_WINDOW);
	for (size_t row = 0, end; row < b->n_rows; row = end) {
		struct str name = b->columns[BAD_WINDOW].s[row];
		for (end = row + 1; end < b->n_rows && str_eq(b->columns[BAD_WINDOW].s[end], name); end++)
			;
		while (!str_eq(s->sums[s->window].name, name)) {
			s->window++;
			CHECK(s->window < s->n_windows);
		}
		row_sum_add(&s->sums[s->window].sum, &s->marks, row, end);
	}
	stats_add(s->stats, b);
}

static bool bad_next(void *user, struct batch *b, struct err *e)
{
	struct bad_source *s = user;

	if (!s->q || !block_fill(s, e))
		return !s->q;
	while (b->n_rows < BATCH_ROWS && s->block.n - s->block_at >= sizeof(struct head)) {
		struct head h;
		size_t whole;
		memcpy(&h, s->block.p + s->block_at, sizeof h);
		whole = sizeof h + h.reasons_n + h.raw_n;
		if (s->block.n - s->block_at < whole)
			break;
		bad_put(b, s->job, &h, s->block.p + s->block_at + sizeof h);
		s->block_at += whole;
	}
	bad_sum(s, b);
	return true;
}

/* The columns that the hash covers: all but _gen, which may name an earlier fetch with the same content (rule 31). */
static struct contract *hashed_columns(struct arena *a)
{
	struct contract *c = arena_new(a, struct contract);
	static const size_t by_name[] = { BAD_IDX, BAD_LEN, BAD_OFF, BAD_PAGE, BAD_RAW, BAD_REASONS, BAD_WINDOW };

	c->n_columns = BAD_COLUMNS - 1;
	c->columns = arena_array(a, struct column, c->n_columns);
	c->by_name = arena_array(a, size_t, c->n_columns);
	for (size_t i = 0, n = 0; i < BAD_COLUMNS; i++)
		if (i != BAD_GEN)
			c->columns[n++] = (struct column){ .name = columns[i].name, .type = columns[i].type };
	for (size_t i = 0; i < c->n_columns; i++)
		c->by_name[i] = by_name[i] - (by_name[i] > BAD_GEN);
	return c;
}

static void windows_describe(const struct bad_source *s, const uint64_t *read, struct arena *a, struct table_file *out)
{
	out->n_windows = s->n_windows;
	out->windows = arena_array(a, struct table_window, s->n_windows);
	for (size_t i = 0; i < s->n_windows; i++) {
		struct job_window w = job_window_rows(&s->job->windows[s->windows[i]]);
		out->windows[i] = (struct table_window){ w.name, w.generation, w.content, w.seal, w.key,
							 read[s->windows[i]], s->sums[i].hash.rows, s->sums[i].hash,
							 w.row_window, w.row_generation };
	}
}

bool quarantine_write(struct parquet *parquet, struct quarantine *q, const struct engine_job *job,
		      const struct job_table *table, size_t index, const size_t *windows, size_t n_windows,
		      const uint64_t *read, struct arena *a, struct table_file *out, struct err *e)
{
	struct arena own = ARENA_INIT;
	struct contract *hashed = hashed_columns(&own);
	struct stats *stats = arena_new(&own, struct stats);
	struct bad_source s = { .q = q, .job = job, .block = BUF_INIT(BLOCK_BYTES + 1), .windows = windows,
				.n_windows = n_windows, .stats = stats };
	char name[128];
	struct parquet_rows rows = { .name = name, .shape = columns, .n_columns = BAD_COLUMNS, .next = bad_next, .user = &s };
	struct parquet_file file = { .folder = table->quarantine_output, .index = index };
	bool ok;

	CHECK(snprintf(name, sizeof name, "quarantine_%.*s_%zu", STR_ARG(table->name), index) < (int)sizeof name);
	s.sums = arena_array(&own, struct window_sum, n_windows);
	for (size_t i = 0; i < n_windows; i++)
		s.sums[i].name = job_window_rows(&job->windows[windows[i]]).row_window;
	stats_begin(stats, columns, BAD_COLUMNS);
	ok = (!q || quarantine_flush(q, e)) && parquet_file_write(&file, parquet, &rows, a, out, e);
	ok = ok && (out->rows == (q ? q->n : 0) ||
		    err_set(e, ERR_ENGINE, "%s: %" PRIu64 " rows were written of %" PRIu64, file.path, out->rows,
			    q ? q->n : 0));
	ok = ok && read_back(parquet, file.path, hashed, columns, BAD_COLUMNS, s.sums, n_windows, e) &&
	     job_file_made(job, file.path, e);
	if (ok) {
		windows_describe(&s, read, a, out);
		out->stats = stats_json(stats, a);
	}
	buf_free(&s.block);
	arena_free(&own);
	return ok;
}
