/* Engine jobs that somebody else carries out: a run writes them to the lake and goes on with what it can do without; a later part of
 * the run takes their results, and commits (rule 33: no commit needs an engine).
 *
 *     WRITE:  plan ─▶ windows to do ─▶ runs/<pipeline>/<run id>/jobs/<zone>-<table>-<16 hex>.json       nothing is published
 *     ......  an engine carries it out ─▶ the file or object that the job names as `result`
 *     TAKE:   plan ─▶ windows to do ─▶ is that the job? ─▶ its result ─▶ checked and committed as if the engine had just ended
 *
 * The plan is made anew in both, so a result is taken only for the very windows, contract, inputs and versions that would be asked for
 * now: the job is compared but for places and bounds. A result that came too late is ERR_FENCED (write jobs again); one that
 * is committed already finds nothing to do. Which files a result may name is fixed by its job: those below its output folders, each
 * once; and which windows: all of the job's, as the job has them, in each table. */
#ifndef SLUICE_RUN_ENGINE_EXCHANGE_H
#define SLUICE_RUN_ENGINE_EXCHANGE_H

#include "driver/store.h"
#include "format/engine_job.h"
#include "format/layout.h"

enum exchange_way { EXCHANGE_WRITE, EXCHANGE_TAKE };

struct exchange_posted {
	enum lake_zone zone;
	struct str table, job, result; /* keys */
};

struct engine_exchange {
	enum exchange_way way;
	struct str folder;         /* WRITE: runs/<pipeline>/<run id>/jobs */
	struct str job_text, result_text; /* TAKE */
	/* out */
	bool posted;               /* WRITE: the last engine call became a job; its ERR_BUDGET is none */
	bool taken;                /* TAKE: the result was used */
	struct {
		struct exchange_posted *v;
		size_t n, cap;
	} jobs;
};

/* WRITE: true: this job is new, and its output folders are to be made. False: it has been written already, and is posted; or the
 * failure of the store. */
bool exchange_is_new(struct engine_exchange *x, struct store *s, enum lake_zone zone, const struct engine_job *job, struct arena *a,
		     struct err *e);
/* WRITE: with the outputs filled in. Posted, or the failure of the store. Always false. */
bool exchange_write(struct engine_exchange *x, struct store *s, enum lake_zone zone, struct engine_job *job, struct arena *a,
		    struct err *e);
/* TAKE. ERR_FENCED: the result is of another job. ERR_ENGINE: it names files that are not its own. The engine's own error. */
bool exchange_take(struct engine_exchange *x, const struct engine_job *job, struct arena *a, struct engine_result *r, struct err *e);

#endif
