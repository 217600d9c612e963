/* Relationships (rule 24): rows whose value has no partner in another table, counted once both tables are prepared, on
 * the versions that are newest then. Private to run/. */
#ifndef SLUICE_RUN_RELATIONSHIP_H
#define SLUICE_RUN_RELATIONSHIP_H

#include "run/publish.h"

/* Fills relationships of the prepare tables of `out` that changed, or whose partner did. One with action `fail` is looked
 * at by every run, so that it stays broken until it is mended: its table gets the error, and *e the first of them
 * (ERR_CONTRACT). */
bool relationships_check(struct publish *u, struct run_result *out, struct arena *a, struct err *e);

#endif
