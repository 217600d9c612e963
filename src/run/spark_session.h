/* One Spark for all jobs of a command: started with the first, since that takes many seconds, and again after one that did not leave
 * it in order. A job that fails because of what it is (CONFIG, CONTRACT, DAMAGE ...) leaves it; anything else ends it, so
 * that no job suffers from the one before. */
#ifndef SLUICE_RUN_SPARK_SESSION_H
#define SLUICE_RUN_SPARK_SESSION_H

#include "driver/child.h"
#include "format/engine_job.h"

struct spark_session;
struct spark_session *spark_session_new(const struct spark_settings *s); /* nothing is started */
void spark_session_free(struct spark_session *s); /* may be NULL */
/* `o` as for child_run, without argv and environment. */
bool spark_session_run(struct spark_session *s, const struct engine_job *job, const char *job_path, const struct child_options *o,
		       struct arena *a, struct str *result, uint64_t *peak_rss_bytes, struct err *e);

/* How spark-submit is called: spark_command.c. ERR_CONFIG with a hint where something that it needs is missing. */
struct spark_machine {
	uint64_t memory_bytes;
	unsigned threads;
	struct str scratch; /* a folder */
};
struct spark_command {
	const char **argv, **environment; /* for struct child_options */
};
bool spark_command(const struct spark_settings *s, const struct spark_machine *m, const char *const *arguments, size_t n_arguments,
		   struct arena *a, struct spark_command *out, struct err *e);

#endif
