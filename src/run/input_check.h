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
/* ERR_DAMAGE, naming the file, where one with rows is gone, or has another size or SHA-256 than the log says. ERR_FENCED:
 * input_gone. `done` may be NULL. */
bool input_check(struct project *j, struct str table_key, const struct table_snapshot *t, struct input_checks *done,
		 struct err *e);
/* Is a file of the version that is held away because the table went on without it, and a collection took it? Then ERR_FENCED says
 * so: nothing is damaged, and who asks again reads the newest version. */
bool input_gone(struct project *j, struct str table_key, const struct table_snapshot *held, struct str file_key, struct err *e);

#endif
