/* What keeps a table quick to open, after its commits: folded states for us, checkpoints for other readers. All of it follows from the log, so a failure is
 * a warning on standard error and no more; losing a race likewise. Private to run/. */
#ifndef SLUICE_RUN_UPKEEP_H
#define SLUICE_RUN_UPKEEP_H

#include "run/publish.h"

/* `before`, `after`: the table's versions at the plan and now. */
void upkeep_table(struct publish *u, enum lake_zone zone, struct str table, int64_t before, int64_t after);

#endif
