/* The rows of one file, once: read, judged, logged by their keys, put in order. Part of prepare_file.c. */
#ifndef SLUICE_PREPARE_PREPARE_READER_H
#define SLUICE_PREPARE_PREPARE_READER_H

#include "format/row_hash.h"
#include "prepare/prepare_pages.h"
#include "prepare/prepare_parts.h"
#include "prepare/prepare_stats.h"
#include "prepare/record.h"
#include "prepare/row_sorter.h"
#include "format/row_sum.h"

#define SHARE "_share" /* one more column, for the engine's sorting only: which share the row is of */

struct run { /* rows of one share in the batch: up to the next run */
	size_t share, first;
};

struct reader { /* one attempt */
	struct prepare *p;
	struct file_task *t;
	struct prepare_table *table;
	struct pages pages; /* of a child's file: none, its items are read */
	struct record_reader *records;
	struct verdicts *verdicts;
	struct stats *stats;
	struct key_log *log;
	struct row_sorter *sorter; /* NULL: no order is wanted, or the engine makes it */
	bool by_engine;   /* ORDER BY: some window is too large for the sorter */
	bool too_large;   /* that came out on the way: the file is written again */
	bool keeps_keys;  /* duplicates are looked for */
	bool doomed;      /* some were found: the file is written again, only keys matter from here */
	bool negative_zero; /* among the doubles for the table */
	bool ended;
	bool short_turn;  /* the rows that were sorted last are fewer than a batch: they are not carried on */
	size_t share;     /* being read; n_shares: all are done */
	bool share_open;
	struct run runs[BATCH_ROWS + 1];
	size_t n_runs;
	struct str raw[BATCH_ROWS];
	struct record_array *arrays; /* [child * BATCH_ROWS + row] */
	struct { /* for records that lost: only their arrays are looked at */
		struct record_reader *records;
		struct verdicts *verdicts;
		struct batch *batch;
	} spare;
	struct row_marks marks;
	size_t window_rule;
	struct arena row_arena; /* of the batch at hand */
	struct arena arena;     /* of the attempt */
	struct buf reasons;
	int64_t parse_us;
};

struct reader *reader_open(struct prepare *p, struct file_task *t);
void reader_close(struct reader *f);
bool reader_next(void *user, struct batch *b, struct err *e); /* an engine_next */
const struct job_window *reader_window(const struct reader *f, size_t share);
/* Row `row`, which was just read, is of the share at hand and stands there. */
void reader_row(struct reader *f, struct batch *b, size_t row, uint64_t page, uint64_t offset);
size_t reader_run(const struct reader *f, size_t row); /* which run the row is of */

/* ── prepare_child.c ── */

void children_begin(struct reader *f);
void children_end(struct reader *f);
/* The arrays of the record just read, until it is judged. */
void children_keep(struct reader *f, size_t row);
/* The batch was judged: elements of rows that pass go on, the others go with their record. */
bool children_take(struct reader *f, const struct batch *b, struct err *e);
/* A record that lost, which the scanner stands at. */
bool children_lose(struct reader *f, struct page *page, enum json_event ev, struct err *e);
/* The next element for the share at hand as a row. */
bool child_next(struct reader *f, struct batch *b, bool *end, struct err *e);

#endif
