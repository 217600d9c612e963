/* Rows of a few whole windows, put into the order of the contract: window by window, then its sort columns (NULLs first
 * where ascending, last where descending; texts by their bytes), then page and offset. The engine's ORDER BY gives the same
 * order; this is faster, since the order of most rows is known from one number of 128 bits, and windows stay apart.
 *
 *     row_sorter_begin(s)
 *     while ((b = row_sorter_room(s)) ... fill b ...) row_sorter_take(s, group, first) for each window in it
 *     row_sorter_sort(s)
 *     while (row_sorter_emit(s, out) > 0) ... until nothing is left
 *
 * The batches that are filled are the sorter's own. It keeps what was taken as packed rows (row_pack.h), texts too: those
 * of emitted rows live until the second row_sorter_begin() from there. Part of prepare.c. */
#ifndef SLUICE_PREPARE_ROW_SORTER_H
#define SLUICE_PREPARE_ROW_SORTER_H

#include "contract/batch.h"

enum { SORT_BYTES_MAX = 32 << 20 };

struct row_sorter;

/* max_bytes: of packed rows and of what it takes to sort them. */
struct row_sorter *row_sorter_new(const struct contract *c, const struct batch_shape *shape, size_t n_columns,
				  size_t max_bytes, struct arena *a);
void row_sorter_free(struct row_sorter *s);
void row_sorter_begin(struct row_sorter *s);
size_t row_sorter_bytes(const struct row_sorter *s); /* of what was taken and of what is needed to sort it */
/* The same for one row, at least what one always takes. */
size_t row_sorter_row_bytes(const struct row_sorter *s);
/* A cleared batch; NULL: max_bytes are passed, the window is too large. */
struct batch *row_sorter_room(struct row_sorter *s);
/* The batch of row_sorter_room() stands: its rows from `first` on, up to the next call's, are of the window `group`.
 * Calls for one batch go upwards. The rows of a window follow one another. */
void row_sorter_take(struct row_sorter *s, size_t group, size_t first);
size_t row_sorter_rows(const struct row_sorter *s); /* taken, emitted or not */
void row_sorter_sort(struct row_sorter *s);
/* Appends to the batch until it is full or no row is left; the number of rows. */
size_t row_sorter_emit(struct row_sorter *s, struct batch *out);

#endif
