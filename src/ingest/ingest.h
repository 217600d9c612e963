/* Ingest: API → pages → Raw. Fetches whole generations of windows, many at a time under one rate, and commits them page by
 * page to their ledgers. Knows nothing of plans, contracts or tables.
 *
 *   one loop (the caller's thread)           workers
 *     rate, HTTP, which lane goes next   ⇄     judge a page, compress, write, fsync, ledger
 *
 * A lane is one generation of one window. Its pages are committed in order; it ends SEALED, CANDIDATE, FAILED (its err
 * says why), FENCED (another run has it) or STOPPED (signal, deadline: resumable). A failed lane does not stop the
 * others, unless they would fare no better (no right to ask, a source that has moved, five failures in a row without a page):
 * then what is not begun ends STOPPED, with that error. */
#ifndef SLUICE_INGEST_INGEST_H
#define SLUICE_INGEST_INGEST_H

#include "ingest/task.h"

/* Runs all tasks that are LANE_WAITING (of one source; in the order given); others stay as they are, so that a caller can put
 * some back to WAITING and call again: their counts go on. True when the loop ran; outcomes are in the tasks. False only for
 * a failure of our own surroundings (the store is gone). */
bool ingest_run(const struct ingest_options *o, struct lane_task *tasks, size_t n_tasks, struct arena *a, struct err *e);

#endif
