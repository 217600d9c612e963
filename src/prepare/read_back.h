/* What was written is read once more, and must have the same rows: windows, counts and row hashes. Part of prepare.c. */
#ifndef SLUICE_PREPARE_READ_BACK_H
#define SLUICE_PREPARE_READ_BACK_H

#include "driver/engine.h"
#include "format/row_hash.h"

struct window_sum {
	struct str name; /* no name twice */
	struct row_hash hash;
};

/* `c` names the columns that are hashed; the file has `_window` as well. ERR_ENGINE. */
bool read_back(struct engine_connection *connection, const char *path, const struct contract *c,
	       const struct window_sum *expected, size_t n, struct err *e);

#endif
