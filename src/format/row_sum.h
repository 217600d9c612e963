/* What was written against what is read back, cheaply: 64 bits of each row, a product of each cell summed up over its
 * columns, spread to 128 by another product and summed up, so that the order of the rows does not matter. It finds what an engine or a disk
 * mixes up; it is no protection against people and is stored nowhere: for that there is the row hash (format/row_hash.h),
 * which is taken once, of the rows that were read back. */
#ifndef SLUICE_FORMAT_ROW_SUM_H
#define SLUICE_FORMAT_ROW_SUM_H

#include "contract/batch.h"

struct row_sum {
	uint128 sum;
	uint64_t rows;
};
#define ROW_SUM_INIT ((struct row_sum){ 0 })

struct row_marks { /* of the rows of one batch */
	uint64_t v[BATCH_ROWS];
};

/* Of the first n_columns columns; `without` (SIZE_MAX: none) is left out. */
void row_marks_make(struct row_marks *m, const struct batch *b, size_t n_columns, size_t without);
/* Adds rows [from, to). */
void row_sum_add(struct row_sum *s, const struct row_marks *m, size_t from, size_t to);
static inline bool row_sum_eq(const struct row_sum *a, const struct row_sum *b)
{
	return a->sum == b->sum && a->rows == b->rows;
}

#endif
