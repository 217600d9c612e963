/* Relationships (rule 24): rows whose value has no partner in another table, counted once both tables are prepared, on
 * the versions that are newest then. Private to run/. */
#ifndef SLUICE_RUN_RELATIONSHIP_H
#define SLUICE_RUN_RELATIONSHIP_H

#include "run/publish.h"

/* Fills relationships of the changed prepare tables of `out`; ERR_CONTRACT where one with action fail is broken. */
bool relationships_check(struct publish *u, struct run_result *out, struct arena *a, struct err *e);

#endif
