/* Tables of the lake as views of the engine: "prepare"."flights" and the like over lists of Parquet files, with the full
 * schema of the table (rule 34: a column that a file lacks is a typed NULL). */
#ifndef SLUICE_REFINE_VIEW_H
#define SLUICE_REFINE_VIEW_H

#include "driver/engine.h"
#include "format/engine_job.h"

/* Schemas are made where they are missing. No files: a typed view without rows. ERR_ENGINE. */
bool views_create(struct engine_connection *c, const struct job_input *inputs, size_t n_inputs, struct arena *a,
		  struct err *e);

#endif
