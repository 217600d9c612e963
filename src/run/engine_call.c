#include "run/engine_call.h"

#include "base/file.h"
#include "base/json.h"
#include "base/scratch.h"
#include "driver/child.h"

enum { RESULT_MAX = 256 << 20 };

struct progress_to {
	void (*progress)(void *user, uint64_t rows);
	void *user;
};

static void on_line(void *user, struct str line)
{
	struct progress_to *to = user;
	struct arena a = ARENA_INIT;
	struct json_node *root = NULL;
	struct err ignored = ERR_INIT;
	if (to->progress && json_parse(line, &a, &root, &ignored)) {
		const struct json_node *p = json_get(root, "progress");
		to->progress(to->user, (uint64_t)json_i64_or(p, "rows", 0));
	}
	arena_free(&a);
}

static bool run_child(struct engine_call *c, const char *scratch, struct arena *a, struct str *text, struct err *e)
{
	char *job_path = arena_zero_terminated(a, arena_format(a, "%s/job.json", scratch));
	/* A folder of its own: the engine may read and write all of it. */
	c->job->scratch = arena_format(a, "%s/spill", scratch);
	c->job->result_path = arena_format(a, "%s/result.json", scratch);
	if (!file_make_dirs(c->job->scratch.p, e) || !file_write(job_path, engine_job_encode(c->job, a), e))
		return false;
	const char *argv[] = { child_self_path(), "engine", "duckdb", job_path, NULL };
	struct progress_to to = { c->progress, c->user };
	struct child_options o = {
		.argv = argv,
		.result_path = c->job->result_path.p,
		.max_result_bytes = RESULT_MAX,
		.progress = on_line,
		.user = &to,
		.stop_signal = c->stop,
		.deadline_us = c->deadline_us,
	};
	if (c->spark)
		return spark_session_run(c->spark, c->job, job_path, &o, a, text, &c->peak_rss_bytes, e);
	return child_run(&o, a, text, &c->peak_rss_bytes, e);
}

bool engine_call(struct engine_call *c, struct arena *a, struct engine_result *out, struct err *e)
{
	struct scratch scratch;
	if (!scratch_open(a, &scratch, e))
		return false;
	bool ok = run_child(c, scratch.path, a, &c->result_text, e) && engine_result_decode(c->result_text, a, out, e);
	scratch_close(&scratch);
	return ok;
}
