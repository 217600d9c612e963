/* The rows of a table's files, read back through the engine and compared with the table's log: rows and row hash of each
 * window. Row hashes cover the columns of the contract; an address (_page, _off, _len) that has changed is not seen here,
 * but leads to no record in Raw. Part of verify. */
#ifndef SLUICE_RUN_VERIFY_TABLE_H
#define SLUICE_RUN_VERIFY_TABLE_H

#include "run/lake_query.h"

/* True: the file holds what its tags say. False: *e says what is wrong with it; ERR_SIGINT and ERR_SIGTERM: it was not read
 * to its end. `path` is absolute, and among the files that q was opened for. */
bool table_file_verify(struct lake_query *q, enum lake_zone zone, const struct table_schema *schema, const char *path,
		       const struct table_file *f, struct err *e);

#endif
