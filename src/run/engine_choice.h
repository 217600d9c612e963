/* Which engine does a job: --engine, else the resource's or model's own setting, else `engine.use`; auto by the bytes of its
 * input. The rows are the same, so it is no part of any key, unless a model has a text of its own for Spark. */
#ifndef SLUICE_RUN_ENGINE_CHOICE_H
#define SLUICE_RUN_ENGINE_CHOICE_H

#include "run/project.h"

struct engine_choice {
	bool spark;
	struct str why; /* "--engine", "auto: 1.2 GB to read, Spark from 68.7 GB" */
};
/* What is asked for: by the option, for this one, or for all. */
enum engine_use engine_asked(const struct project *j, enum engine_use asked, struct str name, bool is_model);
struct engine_choice engine_choose(const struct project *j, enum engine_use asked, struct str name, bool is_model,
				   uint64_t input_bytes, struct arena *a);
/* ERR_CONFIG where the lint found something in the text that Spark would run: rows would differ. */
bool engine_may_run(const struct project *j, const struct model *m, struct err *e);

#endif
