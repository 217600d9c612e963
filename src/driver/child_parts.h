/* A child process while it lives: for child_run and child_service. Private to them. */
#ifndef SLUICE_DRIVER_CHILD_PARTS_H
#define SLUICE_DRIVER_CHILD_PARTS_H

#include "base/buf.h"
#include "driver/child.h"

#include <sys/resource.h>
#include <sys/types.h>

enum { TAIL_BYTES = 8 << 10 }; /* of standard error kept */

struct child {
	const struct child_options *o;
	char **environment;
	pid_t pid;
	int out, err, exec_error; /* read ends; -1 closed */
	int pid_fd;               /* -1: not supported, then the tick finds its end */
	struct buf line;          /* of standard output, incomplete */
	bool line_too_long;
	char tail[TAIL_BYTES];
	size_t tail_n;
	bool ended, lost; /* lost: ended, and nobody can say how */
	int status;
	struct rusage usage;
	int stopped_by;   /* the signal that made us stop it */
	bool late;        /* it was the deadline */
	int64_t kill_us;  /* when SIGKILL follows */
};

struct child *child_new(const struct child_options *o); /* `o` must outlive it, or be replaced */
void child_free(struct child *c);                        /* it has ended, or never began */
bool child_begin(struct child *c, struct err *e);
void child_tick(struct child *c);                        /* waits a moment for whatever comes: lines, words, its end, a stop request */
void child_reap(struct child *c, int options);           /* of waitid */
void child_take(struct child *c);                        /* what it has said so far, without waiting */
void child_drain(struct child *c);                       /* after its end */
/* After its end: its result, or why there is none. */
bool child_judge(struct child *c, struct arena *a, struct str *result, struct err *e);
bool child_result_clear(const struct child_options *o, struct err *e);

#endif
