/* Shared by prepare.c (the plan, the threads, the books) and prepare_file.c (one file). */
#ifndef SLUICE_PREPARE_PREPARE_PARTS_H
#define SLUICE_PREPARE_PREPARE_PARTS_H

#include "base/clock.h"
#include "prepare/duplicates.h"
#include "prepare/item_log.h"
#include "prepare/parquet.h"
#include "prepare/prepare.h"
#include "prepare/quarantine.h"
#include "format/row_sum.h"

#include <pthread.h>
#include <stdatomic.h>

struct share { /* of a window in a file: all of it, or records [from, to) */
	size_t window; /* index in the job's */
	uint64_t from, to;
	/* what came of it */
	struct window interval; /* of the window; from >= to: it has none */
	uint64_t read, quarantined, duplicates;
	uint64_t items, with_parent; /* of a child: elements in its log; elements of records that are not published */
	struct row_sum sum;   /* published, as written */
	struct row_hash hash; /* published, as read back */
};

struct prepare_table { /* 0: the resource's own, the others of arrays in its records */
	struct job_table job;
	const struct contract *contract;
	struct batch_shape *shape;
	size_t n_columns;
	atomic_size_t row_bytes; /* of rows that were too many to be sorted in memory: what they took each */
};

struct file_task {
	struct prepare_table *table;
	struct file_task *children; /* files of the same windows, one for each child table */
	size_t n_children;
	struct item_log items; /* of a child: what its parent's file has for it */
	bool unsure;           /* of a child: which records lose is not known yet */
	size_t index;
	struct share *shares;
	size_t n_shares;
	bool split;          /* one share of a window that is cut */
	bool exact;          /* the losers are known */
	bool by_engine;      /* a window is too large to be sorted by ourselves */
	bool plain;          /* a double is -0.0, which a dictionary would not keep (engine.h) */
	unsigned attempt;    /* of writing it, from 0 */
	struct key_log *log; /* split: kept until all parts were read */
	/* results; they live in the task's arena */
	struct arena arena;
	struct table_file file;
	struct quarantine quarantine;
	uint64_t *rule_rows; /* [rule] */
	struct str *extra_names;
	uint64_t *extra_counts;
	size_t n_extra;
	uint64_t inexact;
	int64_t parse_us, write_us, read_back_us;
	bool has_failed_row; /* a rule with action fail, before it was clear whether the row is a loser */
	struct err failed_row;
	bool failed;
	struct err err;
};

struct prepare {
	const struct engine_job *job;
	struct job_window *windows; /* of the job, all filled in */
	struct contract *contract;
	struct prepare_table *tables;
	size_t n_tables;
	struct store *store;
	struct engine *engine;
	struct key_secret secret;
	const char *scratch;
	struct losers *losers; /* [window] */
	struct file_task *tasks;
	size_t n_tasks;
	struct arena *arena;
	size_t sort_bytes;       /* for the rows of a file that are sorted in memory */
	/* threads */
	struct file_task **queue;
	size_t n_queue;
	atomic_size_t next;
	atomic_bool stop;
	atomic_uint_fast64_t done_rows;
	atomic_int_fast64_t said_us;
	pthread_mutex_t lock;
	void (*progress)(void *user, uint64_t rows);
	void *user;
};

static inline bool task_is_child(const struct file_task *t)
{
	return contract_is_child(t->table->contract);
}

/* Writes the file of the task, once as a rule, and those of its children. */
bool file_task_run(struct prepare *p, struct file_task *t, struct parquet *q, struct err *e);
void prepare_say(struct prepare *p, uint64_t more_rows);
static inline struct file_task *prepare_task_at(const struct prepare *p, size_t table, size_t i)
{
	return table == 0 ? &p->tasks[i] : &p->tasks[i].children[table - 1];
}

/* ── prepare.c: all but the engine; p->lock is the caller's ── */

bool prepare_open(struct prepare *p, struct err *e); /* p->job and p->arena are set */
void prepare_close(struct prepare *p);

/* ── prepare_books.c ── */

/* What came of p's tasks, the resource's own table in the result itself. `whole`: they are all there are, so budgets are
 * looked at, and windows without bad rows get their place in the quarantine. */
bool prepare_tables_close(struct prepare *p, struct parquet *q, bool whole, struct engine_result *result, struct err *e);
size_t prepare_examples(const struct prepare *p, size_t table, struct str out[QUARANTINE_EXAMPLES]);
bool prepare_budget_check(const struct engine_job *job, size_t table, const struct loss_report *l,
			  const struct str *examples, size_t n_examples, struct err *e);
void loss_extra_add(struct loss_report *l, struct str name, uint64_t count, struct arena *a);

#endif
