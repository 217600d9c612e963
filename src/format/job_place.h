/* Where a job lies and where its result goes: files of this machine, or objects of the job's lake, by their URLs. */
#ifndef SLUICE_FORMAT_JOB_PLACE_H
#define SLUICE_FORMAT_JOB_PLACE_H

#include "format/engine_job.h"

/* The text of the job at this path or URL. Of a lake's settings only what the environment says is known before it is read. */
bool job_place_read(const char *name, struct arena *a, struct str *text, struct err *e);
/* The answer, a result or an error, to where the job says, in place of what an attempt before this one left there. ERR_USAGE: that
 * is an object, and not of the job's lake. */
bool job_place_answer(const struct engine_job *job, struct str answer, struct arena *a, struct err *e);

#endif
