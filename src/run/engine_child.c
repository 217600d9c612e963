/* The child's side of an engine job. */
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"
#include "base/scratch.h"
#include "driver/engine.h"
#include "format/checkpoint.h"
#include "format/job_files.h"
#include "format/job_place.h"
#include "prepare/compact.h"
#include "prepare/prepare.h"
#include "refine/count.h"
#include "refine/model.h"
#include "run/engine_call.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* One line of JSON on standard output, for the parent's progress display. */
static void tell_progress(void *user, uint64_t rows)
{
	(void)user;
	printf("{\"progress\":{\"rows\":%llu}}\n", (unsigned long long)rows);
	fflush(stdout);
}

static bool work(const struct engine_job *job, struct arena *a, struct engine_result *r, struct err *e)
{
	memset(r, 0, sizeof *r);
	switch (job->kind) {
	case ENGINE_PREPARE:
		return prepare_run(job, tell_progress, NULL, a, r, e);
	case ENGINE_REFINE:
		return refine_run(job, a, r, e);
	case ENGINE_GRAPH:
		return graph_run(job, a, r, e);
	case ENGINE_COUNT:
		return count_run(job, a, r, e);
	case ENGINE_COMPACT:
		return compact_run(job, tell_progress, NULL, a, r, e);
	case ENGINE_CHECKPOINT:
		return checkpoint_run(job, a, r, e);
	}
	return err_set(e, ERR_BUG, "an engine job of no known kind");
}

static bool work_with_files(struct engine_job *job, struct arena *a, struct engine_result *r, struct err *e)
{
	bool ok = job_files_open(job, a, e) && work(job, a, r, e) && job_files_finish(job, r, e);
	job_files_close(job);
	return ok;
}

/* A job that was written for whoever has an engine names no folder of any machine. */
static bool work_here(struct engine_job *job, struct arena *a, struct engine_result *r, struct err *e)
{
	struct scratch own = { 0 };
	if (job->scratch.n > 0 || job->kind == ENGINE_CHECKPOINT)
		return work_with_files(job, a, r, e);
	if (!scratch_open(a, &own, e))
		return false;
	job->scratch = arena_format(a, "%s/spill", own.path);
	if (job->by_store)
		job->cache = arena_format(a, "%s/cache", own.path);
	bool ok = file_make_dirs(job->scratch.p, e) && work_with_files(job, a, r, e);
	scratch_close(&own);
	return ok;
}

int engine_child_main(const char *job_path)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT, late = ERR_INIT;
	struct str text;
	struct engine_job job;
	struct engine_result result;
	/* A crash must not leave the data of an API in a core file. */
	sys_setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (!job_place_read(job_path, &a, &text, &e) || !engine_job_decode(text, &a, &job, &e)) {
		fprintf(stderr, "sluice: %s\n", e.message);
		arena_free(&a);
		return err_exit_status(e.code);
	}
	bool ok = work_here(&job, &a, &result, &e);
	if (ok && result.engine.n == 0)
		ok = engine_version(&a, &result.engine, &e);
	struct str answer = ok ? engine_result_encode(&result, &a) : engine_error_encode(&e, &a);
	if (!job_place_answer(&job, answer, &a, &late)) {
		fprintf(stderr, "sluice: %s\n", late.message);
		arena_free(&a);
		return err_exit_status(late.code);
	}
	int status = ok ? 0 : err_exit_status(e.code);
	arena_free(&a);
	return status;
}
