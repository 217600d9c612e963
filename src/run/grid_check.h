/* Does the pipeline file still ask for the windows that the lake was begun with? A run refuses if not; `check` says so
 * before, and `status` goes on. */
#ifndef SLUICE_RUN_GRID_CHECK_H
#define SLUICE_RUN_GRID_CHECK_H

#include "run/project.h"

/* True: the lake has other windows for the resource than the file wants; *stored are the lake's and *why says it
 * (ERR_CONFIG). False where they agree, where there are none yet, and where the grid cannot be read. */
bool grid_changed(struct project *j, const struct resource *r, struct step *stored, struct err *why);

#endif
