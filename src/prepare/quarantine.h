/* Rows set aside: first into a scratch file, since nobody knows how many there will be, then into files of the quarantine
 * table (rules 25 and 28). */
#ifndef SLUICE_PREPARE_QUARANTINE_H
#define SLUICE_PREPARE_QUARANTINE_H

#include "prepare/parquet.h"

enum { QUARANTINE_RAW_MAX = 64 << 10, QUARANTINE_REASONS_MAX = 1 << 20, QUARANTINE_EXAMPLES = 3 };

struct bad_row {
	uint32_t window;     /* index in the job's windows */
	uint32_t generation;
	uint64_t page, offset, length;
	int64_t index;       /* in an array; -1: a record of its own */
	struct str reasons, raw; /* raw is cut when it is added */
};

struct quarantine { /* of one file of the main table; rows in order */
	const char *scratch;
	int fd;              /* -1: nothing was written */
	uint64_t n, bytes;
	struct buf waiting;  /* not written yet */
	struct str examples[QUARANTINE_EXAMPLES]; /* "window W, page 3, byte 120: [{...}]" */
	struct arena arena;
};

void quarantine_open(struct quarantine *q, const char *scratch);
void quarantine_close(struct quarantine *q);
bool quarantine_add(struct quarantine *q, const struct engine_job *job, const struct bad_row *row, struct err *e);

/* Writes file number `index` of the table's quarantine, reads it back, and describes it. `windows` are those of the file
 * (indexes into the job's; `read` counts by that index). q may be NULL: a file without rows. */
bool quarantine_write(struct parquet *parquet, struct quarantine *q, const struct engine_job *job,
		      const struct job_table *table, size_t index, const size_t *windows, size_t n_windows,
		      const uint64_t *read, struct arena *a, struct table_file *out, struct err *e);

#endif
