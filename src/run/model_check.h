/* Models judged without data: every SELECT parsed, its tables found, and bound against empty tables with the columns that
 * the contracts promise. For `sluice check`; what only data can tell is left to the run. */
#ifndef SLUICE_RUN_MODEL_CHECK_H
#define SLUICE_RUN_MODEL_CHECK_H

#include "run/project.h"

/* All problems of all models, with file, line and column. Models that read a table without a contract are not bound. Links
 * the models as project_link does, if they can be. False: the engine does not work (ERR_ENGINE, ERR_STORAGE). */
bool models_check(struct project *j, struct problems *p, struct err *e);

#endif
