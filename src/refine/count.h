/* ENGINE_COUNT, inside the engine child: SELECTs over tables of the lake that give one row with one whole number each. */
#ifndef SLUICE_REFINE_COUNT_H
#define SLUICE_REFINE_COUNT_H

#include "format/engine_job.h"

bool count_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e);

#endif
