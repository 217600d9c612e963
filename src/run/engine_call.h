/* One engine job from the parent's side: a scratch folder, the job file, the child, its result. */
#ifndef SLUICE_RUN_ENGINE_CALL_H
#define SLUICE_RUN_ENGINE_CALL_H

#include "format/engine_job.h"
#include "run/spark_session.h"

struct engine_call {
	struct engine_job *job;     /* scratch and result_path are filled in */
	struct spark_session *spark; /* `prepare` and `refine`: Spark does it; NULL: DuckDB */
	void (*progress)(void *user, uint64_t rows);
	void *user;
	const volatile int *stop;
	int64_t deadline_us;        /* monotonic; 0 none: ERR_BUDGET */
	uint64_t peak_rss_bytes;    /* out */
	struct str result_text;     /* out: as written by the child */
};
bool engine_call(struct engine_call *c, struct arena *a, struct engine_result *out, struct err *e);

/* The child's side: `sluice engine duckdb JOB`. Returns the exit status. */
int engine_child_main(const char *job_path);

#endif
