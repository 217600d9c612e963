/* A batch: up to BATCH_ROWS rows as typed columns. The one shape in which rows travel inside the program: the record
 * reader fills it, the verdicts look at it, the row hash reads it, the engine copies it in and out. */
#ifndef SLUICE_CONTRACT_BATCH_H
#define SLUICE_CONTRACT_BATCH_H

#include "contract/contract.h"

enum { BATCH_ROWS = 2048 };

struct batch_column {
	struct str name;
	enum column_type type; /* JSON and STRING both use .s */
	unsigned precision, scale;
	uint64_t valid[BATCH_ROWS / 64]; /* bit set: not NULL */
	union {
		int64_t *i64;  /* INTEGER, TIMESTAMP */
		int128 *i128;  /* DECIMAL, any precision */
		double *f64;
		int32_t *i32;  /* DATE */
		uint8_t *b;    /* BOOLEAN: 0 or 1 */
		struct str *s; /* views; who fills the batch keeps the bytes until it is consumed */
	};
};

struct batch {
	size_t n_rows;
	size_t n_columns;
	struct batch_column *columns;
};

static inline bool batch_is_valid(const struct batch_column *c, size_t row)
{
	return (c->valid[row / 64] >> (row % 64)) & 1;
}
static inline void batch_set_valid(struct batch_column *c, size_t row)
{
	c->valid[row / 64] |= UINT64_C(1) << (row % 64);
}

union scalar batch_scalar(const struct batch_column *c, size_t row); /* of a row that is valid */

struct batch_shape { /* a column without its data: what a table function or a file has */
	struct str name;
	enum column_type type;
	unsigned precision, scale;
};
/* The scale of a TIMESTAMP that comes from SQL and is no instant but what a wall clock shows, in us as if in UTC. */
enum { SCALE_OF_INSTANT, SCALE_OF_WALL_CLOCK };
struct batch *batch_new(const struct batch_shape *shape, size_t n_columns, struct arena *a);
void batch_clear(struct batch *b); /* 0 rows, all NULL */

#endif
