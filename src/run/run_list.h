/* The runs of a pipeline in its lake, by their folders (spec/run-record.md). */
#ifndef SLUICE_RUN_RUN_LIST_H
#define SLUICE_RUN_RUN_LIST_H

#include "run/project.h"

/* A name that run_id_new makes, one that was given (run_id_ok), or a part of either: <name>.<n>. "graph" and what else lies there
 * is none. */
bool run_is_named(struct str name);

/* The newest first, by when they began. A name that run_id_new made tells the second, and only runs of one second are read; where the
 * name was given, and for parts, which begin later than their names say, the record tells. A run without one, running or killed, began
 * last in its second; one whose name tells nothing then goes by when its plan was written. Items live in the arena. */
bool run_list(struct project *j, struct arena *a, struct store_listing *out, struct err *e);

#endif
