/* The files of a table before an engine reads them: what is damaged must not become the input of something else. */
#ifndef SLUICE_RUN_INPUT_CHECK_H
#define SLUICE_RUN_INPUT_CHECK_H

#include "format/delta.h"
#include "run/project.h"

/* Files that were looked at by this run; an object never changes, so once is enough. */
struct input_checks {
	struct str_map files;
	struct arena arena;
};
/* ERR_DAMAGE, naming the file, where one with rows is gone, or has another size or SHA-256 than the log says. `done` may be
 * NULL. */
bool input_check(struct project *j, struct str table_key, const struct table_snapshot *t, struct input_checks *done,
		 struct err *e);

#endif
