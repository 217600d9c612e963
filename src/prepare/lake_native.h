/* A job's lake for Spark's Python side (spark/sluice_spark/lake.py), by the same store, credentials and comparisons as everywhere.
 * Conventions are those of native.h. */
#ifndef SLUICE_PREPARE_LAKE_NATIVE_H
#define SLUICE_PREPARE_LAKE_NATIVE_H

#include "prepare/native.h"

/* The job at this path or URL, as it lies there. */
SLUICE_API char *sluice_job_read(const char *name);
/* {}: the answer, a result or an error, is where the job says. */
SLUICE_API char *sluice_job_answer(const char *job, size_t n_job, const char *answer, size_t n_answer);
/* {}: the job's object i, of the size and SHA-256 that the job says, is the file `path`, which appears as a whole. */
SLUICE_API char *sluice_object_bring(const char *job, size_t n_job, size_t i, const char *path);
/* {"size","sha256"}: the file is the object `name` of the job's output folder, which did not exist or had the same bytes. */
SLUICE_API char *sluice_object_send(const char *job, size_t n_job, const char *path, const char *name);

#endif
