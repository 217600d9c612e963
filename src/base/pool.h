/* A pool of worker threads for work that blocks (fsync) or computes (compression), and a queue of what is done.
 *
 * A job runs on some worker; when it has ended its `done` runs on the owner's thread, inside pool_collect. Jobs of one
 * lane (lane != 0) run one after the other in the order of pool_submit; jobs of different lanes at once. With zero
 * threads jobs run inside pool_submit: the same program, one thread, for tests. */
#ifndef SLUICE_BASE_POOL_H
#define SLUICE_BASE_POOL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;
struct pool_job {
	void (*work)(struct pool_job *job); /* on a worker */
	void (*done)(struct pool_job *job); /* on the owner's thread; may free the job */
	uint64_t lane;
	struct pool_job *next; /* the pool's */
};

/* `wake` is called from workers when something was done (http_wake, for instance); may be NULL. */
struct pool *pool_new(unsigned threads, void (*wake)(void *user), void *user);
void pool_submit(struct pool *p, struct pool_job *job);
bool pool_collect(struct pool *p);  /* runs the `done` of everything finished; true if there was something */
void pool_wait(struct pool *p);     /* blocks until at least one job is done, or none is left */
size_t pool_pending(const struct pool *p); /* submitted, `done` not run yet */
void pool_free(struct pool *p);     /* waits for running jobs; queued ones are run too */

#endif
