/* One file of a prepare at a time, where another program hands out the work: Spark, over many machines.
 *
 *     prepare_tasks_count(job)                    how many files there are: rule 29, known from the seals
 *     prepare_task_run(job, i, ...)               file i, with what belongs to it: children, quarantine; anywhere, in any
 *                                                 order, more than once (who asks takes one answer of each file)
 *     prepare_tasks_join(job, answers, ...)       the result of the job
 *
 * Rows never leave the task: it reads its range of Raw, judges, sorts, writes, reads back. What tasks have to know of each
 * other are only the keys of windows that are cut into several files (rule 21). In a first round such a task gives its keys
 * away; whoever hands out the work finds of equal ones in a window the highest record, and runs the tasks again in whose
 * range others lie, with those as losers. */
#ifndef SLUICE_PREPARE_PREPARE_TASK_H
#define SLUICE_PREPARE_PREPARE_TASK_H

#include "prepare/duplicates.h"
#include "prepare/parquet.h"

struct prepare_task { /* in */
	size_t index;
	struct key_secret secret;  /* the same for all tasks of a job */
	const char *scratch;       /* folder of this machine */
	uint64_t sort_bytes;       /* 0: as the job's memory says */
	bool with_losers;          /* second round: */
	const uint64_t *losers;    /* numbers of records in the window */
	size_t n_losers;
	key_take *take_key;        /* first round */
	void *user;
};

bool prepare_tasks_count(const struct engine_job *job, size_t *n, struct err *e);

struct prepare_cut { /* what a file is made of */
	uint64_t records;
	bool split;    /* one part of a window, by its index in the job */
	size_t window;
};
/* For each task; its keys go to others only where it is split and the contract has a key. */
bool prepare_tasks_plan(const struct engine_job *job, struct arena *a, struct prepare_cut **out, size_t *n, bool *has_key,
			struct err *e);
/* The answer is JSON of one line, for prepare_tasks_join of the same version of this program. */
bool prepare_task_run(const struct engine_job *job, const struct prepare_task *t, struct parquet *q, struct arena *a,
		      struct str *answer, struct err *e);
/* One answer for each file, in any order. `q` writes the quarantine of windows without bad rows. */
bool prepare_tasks_join(const struct engine_job *job, const struct str *answers, size_t n, const char *scratch,
			struct parquet *q, struct arena *a, struct engine_result *out, struct err *e);

#endif
