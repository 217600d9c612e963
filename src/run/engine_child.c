/* The child's side of an engine job. */
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"
#include "base/scratch.h"
#include "driver/engine.h"
#include "format/checkpoint.h"
#include "format/job_files.h"
#include "prepare/compact.h"
#include "prepare/prepare.h"
#include "refine/count.h"
#include "refine/model.h"
#include "run/engine_call.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { JOB_MAX = 256 << 20, REPLACE_MAX = 5 };

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

/* A job that waits in a lake that is no folder is named by its URL. Its own settings are not known before it is read. */
static bool job_read(const char *path, struct arena *a, struct str *text, struct err *e)
{
	struct str url = str_from(path);
	struct store *s = NULL;
	size_t at = url.n;
	if (store_name_is_path(url))
		return file_read(path, JOB_MAX, a, text, e);
	while (url.p[at - 1] != '/')
		at--;
	struct str name = str_sub(url, at, url.n);
	if (!store_key_ok(name))
		return err_set(e, ERR_USAGE, "%s is no job", path);
	if (!store_open(str_sub(url, 0, at - 1), &(struct store_settings){ 0 }, false, &s, e))
		return false;
	bool ok = store_get(s, name, JOB_MAX, a, text, e) || err_wrap(e, "%s", path);
	store_close(s);
	return ok;
}

/* As a rename would do it: what an attempt before this one left there, be it an error, goes. */
static bool result_replace(struct store *s, struct str key, struct str answer, struct arena *a, struct err *e)
{
	enum store_created created;
	for (int i = 0; i < REPLACE_MAX; i++) {
		struct str there;
		struct err gone = ERR_INIT;
		if (!store_create(s, key, answer, &created, e))
			return false;
		if (created == STORE_CREATED)
			return true;
		if (!store_get(s, key, JOB_MAX, a, &there, &gone)) {
			if (gone.code == ERR_MISSING)
				continue;
			*e = gone;
			return false;
		}
		if (str_eq(there, answer))
			return store_settle(s, key, e);
		if (!store_remove(s, key, e))
			return false;
	}
	return err_set(e, ERR_STORAGE, "somebody else writes it all the time");
}

static bool result_write(const struct engine_job *job, struct str answer, struct arena *a, struct err *e)
{
	struct str to = job->result_path;
	struct store *s = NULL;
	if (store_name_is_path(to))
		return file_write(arena_zero_terminated(a, to), answer, e);
	struct str key = str_sub(to, job->lake.n + 1, to.n);
	if (!str_starts(to, job->lake) || to.p[job->lake.n] != '/' || !store_key_ok(key))
		return err_set(e, ERR_USAGE, "the job's result %.*s is not in its lake", STR_ARG(str_sub(to, 0, 200)));
	if (!store_open(job->lake, &job->store, false, &s, e))
		return false;
	bool ok = result_replace(s, key, answer, a, e) || err_wrap(e, "%.*s", STR_ARG(to));
	store_close(s);
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
	if (!job_read(job_path, &a, &text, &e) || !engine_job_decode(text, &a, &job, &e)) {
		fprintf(stderr, "sluice: %s\n", e.message);
		arena_free(&a);
		return err_exit_status(e.code);
	}
	bool ok = work_here(&job, &a, &result, &e);
	if (ok && result.engine.n == 0)
		ok = engine_version(&a, &result.engine, &e);
	struct str answer = ok ? engine_result_encode(&result, &a) : engine_error_encode(&e, &a);
	if (!result_write(&job, answer, &a, &late)) {
		fprintf(stderr, "sluice: %s\n", late.message);
		arena_free(&a);
		return err_exit_status(late.code);
	}
	int status = ok ? 0 : err_exit_status(e.code);
	arena_free(&a);
	return status;
}
