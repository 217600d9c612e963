/* A child that does several jobs, one after the other, for an engine that takes long to start. The conversation is that of child.h,
 * but that jobs are told to it, a line with a path each, through a FIFO that it was given, and that a job has ended when its RESULT is
 * there. When the FIFO ends, so does the child. */
#ifndef SLUICE_DRIVER_CHILD_SERVICE_H
#define SLUICE_DRIVER_CHILD_SERVICE_H

#include "driver/child.h"

struct child_service;

/* `o` outlives it: argv, environment, grace_us and stop_signal count. The FIFO is made at that path, which is free. */
struct child_service *child_service_open(const struct child_options *o, const char *fifo, struct err *e);
bool child_service_is_alive(struct child_service *s);
/* As child_run, for one job. False: the job's own error, and the child goes on if it is still alive; or the child has ended, and
 * why: by itself, or stopped (stop_signal, deadline_us) as child_run would do it. `job` counts but for argv and environment.
 * *peak_rss_bytes: of the whole of its life so far. */
bool child_service_ask(struct child_service *s, const struct child_options *job, const char *line, struct arena *a,
		       struct str *result, uint64_t *peak_rss_bytes, struct err *e);
/* Lets it end by itself for a while, then ends it. */
void child_service_close(struct child_service *s);

#endif
