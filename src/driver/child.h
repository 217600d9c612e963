/* A child process that does one engine job: the same conversation for every engine.
 *
 *     parent                                   child (`sluice engine duckdb JOB`, `spark-submit ... JOB`)
 *       │ writes JOB (one JSON file)               │
 *       ├──────────── spawn ──────────────────────▶│ reads JOB
 *       │◀─────── stdout: one JSON line each ──────┤ {"progress":{...}}
 *       │◀─────── writes RESULT (named in JOB) ────┤ one JSON file, renamed into place when complete
 *       │◀─────── exit status ─────────────────────┘ 0, or the exit status of its error, RESULT holds {"error":...}
 *
 * Anything else (a signal, no RESULT) is ERR_ENGINE with the last lines of its standard error. */
#ifndef SLUICE_DRIVER_CHILD_H
#define SLUICE_DRIVER_CHILD_H

#include "base/err.h"
#include "base/mem.h"

struct child_options {
	const char *const *argv; /* NULL-terminated; argv[0] a path */
	/* NULL-terminated NAME=VALUE that are put over ours, NAME for one that it shall not have; may be NULL */
	const char *const *environment;
	const char *result_path;
	uint64_t max_result_bytes;
	uint64_t address_space_bytes; /* RLIMIT_AS; 0 none */
	void (*progress)(void *user, struct str json_line); /* may be NULL */
	void *user;
	const volatile int *stop_signal; /* becomes non-zero when a signal asked us to stop; the child is ended then */
	int64_t deadline_us; /* monotonic; 0 none: as if a signal had come then, and ERR_BUDGET */
	int64_t grace_us; /* between SIGTERM and SIGKILL; 0: 5 s */
};
/* Runs it to its end. True: exit 0, *result is the text of RESULT. False: ERR_ENGINE, or the child's own typed error
 * as it wrote it ({"error":{"code":"CONTRACT","message":"...","hint":"..."}}), or ERR_SIGINT/SIGTERM. The child dies
 * with its parent. *peak_rss_bytes may be NULL. */
bool child_run(const struct child_options *o, struct arena *a, struct str *result, uint64_t *peak_rss_bytes,
	       struct err *e);
/* Is it {"error":...}? Then e is that error. */
bool child_own_error(struct str text, struct arena *a, struct err *e);
const char *child_self_path(void); /* of the running program */

#endif
