/* What was written is read once more, and must have the same rows: windows, counts and the sums over all columns. The row
 * hashes that go into the books are taken from these rows: they are those of the file as it is. Part of prepare.c. */
#ifndef SLUICE_PREPARE_READ_BACK_H
#define SLUICE_PREPARE_READ_BACK_H

#include "format/row_hash.h"
#include "format/row_sum.h"
#include "prepare/parquet.h"

struct window_sum {
	struct str name;      /* no name twice */
	struct row_sum sum;   /* of the rows that were written: all columns but `_window` */
	struct row_hash hash; /* out: of the rows that were read back */
};

/* `shape`: the columns of the file, `_window` among them. `c` names those of them that the row hash covers. ERR_ENGINE. */
bool read_back(struct parquet *q, const char *path, const struct contract *c,
	       const struct batch_shape *shape, size_t n_columns, struct window_sum *windows, size_t n, struct err *e);

#endif
