#include "run/spark_session.h"

#include "base/file.h"
#include "base/scratch.h"
#include "driver/child_service.h"

#include <stdlib.h>
#include <unistd.h>

struct spark_session {
	const struct spark_settings *settings;
	struct arena a; /* of the Spark at hand */
	struct scratch scratch;
	struct child_options options;
	struct child_service *child;
};

struct spark_session *spark_session_new(const struct spark_settings *settings)
{
	struct spark_session *s = mem_alloc(sizeof *s);
	*s = (struct spark_session){ .settings = settings, .a = ARENA_INIT };
	return s;
}

static void end(struct spark_session *s)
{
	if (s->child)
		child_service_close(s->child);
	scratch_close(&s->scratch);
	arena_free(&s->a);
	s->child = NULL;
	s->scratch = (struct scratch){ 0 };
	s->a = (struct arena)ARENA_INIT;
}

void spark_session_free(struct spark_session *s)
{
	if (!s)
		return;
	end(s);
	mem_free(s);
}

/* spark-submit says so too, but in a stack trace, and with the advice to try again. */
static bool yarn_check(struct str master, struct err *e)
{
	const char *hadoop = getenv("HADOOP_CONF_DIR"), *yarn = getenv("YARN_CONF_DIR");
	if (!str_eq_z(master, "yarn") || (hadoop && *hadoop) || (yarn && *yarn))
		return true;
	err_set(e, ERR_CONFIG, "engine.spark.master is yarn, and HADOOP_CONF_DIR is not set: where YARN is stands in that folder");
	return err_hint(e, "export HADOOP_CONF_DIR=/etc/hadoop/conf, or where the cluster's configuration is");
}

/* Java asks what the user is called, and Spark does not start without an answer (docker run --user N). Users may be known to other
 * services than this file, so it is looked at only where Spark failed. */
static void nameless_hint(struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str rest, line, field;
	struct err ignored = ERR_INIT;
	unsigned id = (unsigned)geteuid();
	bool named = e->code != ERR_ENGINE_FAULT || !file_read("/etc/passwd", 1 << 20, &a, &rest, &ignored);

	while (!named && str_cut(&rest, '\n', &line)) {
		str_cut(&line, ':', &field); /* its name, its password, its number */
		str_cut(&line, ':', &field);
		str_cut(&line, ':', &field);
		named = str_eq_z(field, arena_format(&a, "%u", id).p);
	}
	if (!named)
		err_hint(e, "user %u has no name in /etc/passwd, and Spark's Java wants one; of a container: leave --user away, or give it "
			 "a file with that user, -v /etc/passwd:/etc/passwd:ro", id);
	arena_free(&a);
}

static bool start(struct spark_session *s, const struct engine_job *job, const struct child_options *o, struct err *e)
{
	struct spark_command command;
	if (!yarn_check(s->settings->master, e) || !scratch_open(&s->a, &s->scratch, e))
		return false;
	const char *fifo = arena_format(&s->a, "%s/jobs", s->scratch.path).p, *words[] = { "--jobs", fifo };
	struct spark_machine machine = { job->memory_bytes, job->threads, arena_format(&s->a, "%s/spark", s->scratch.path) };
	if (!file_make_dirs(machine.scratch.p, e) || !spark_command(s->settings, &machine, words, 2, &s->a, &command, e))
		return false;
	s->options = (struct child_options){ .argv = command.argv, .environment = command.environment, .grace_us = o->grace_us,
					     .stop_signal = o->stop_signal };
	s->child = child_service_open(&s->options, fifo, e);
	return s->child != NULL;
}

/* What a job's own text or input brings about. */
static bool is_the_jobs_own(enum err_code code)
{
	int status = err_exit_status(code);
	return status == 2 || status == 4 || status == 6 || status == 8;
}

bool spark_session_run(struct spark_session *s, const struct engine_job *job, const char *job_path, const struct child_options *o,
		       struct arena *a, struct str *result, uint64_t *peak_rss_bytes, struct err *e)
{
	if (s->child && !child_service_is_alive(s->child))
		end(s); /* between two jobs: nothing is lost with it */
	if (!s->child && !start(s, job, o, e)) {
		end(s);
		return false;
	}
	bool ok = child_service_ask(s->child, o, job_path, a, result, peak_rss_bytes, e);
	if (!ok)
		nameless_hint(e);
	if (!ok && !is_the_jobs_own(e->code))
		end(s);
	return ok;
}
