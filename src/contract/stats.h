/* Statistics of a file, as Delta's `add.stats` has them: {"numRecords":..,"minValues":{..},"maxValues":{..},
 * "nullCount":{..}}, for the first STATS_COLUMNS columns (delta.io protocol, "Per-file Statistics").
 *
 *     struct stats *s = stats_new(shape, n_columns, &arena);
 *     stats_add(s, batch, 0, batch->n_rows) ...
 *     file->stats = stats_json(s, &arena);
 *
 * Bounds are never narrower than the values: instants are cut to milliseconds for the minimum and rounded up for the
 * maximum; texts over STATS_TEXT code points are cut, and the maximum then ends in U+10FFFF. No bounds for booleans and
 * json, for doubles if one is NaN or a bound is infinite, for dates and instants outside the years 0000 to 9999. */
#ifndef SLUICE_CONTRACT_STATS_H
#define SLUICE_CONTRACT_STATS_H

#include "contract/batch.h"

enum { STATS_COLUMNS = 32, STATS_TEXT = 32 };

struct stats;
/* The arena keeps only the accumulators; texts are copied to places of their own size. */
struct stats *stats_new(const struct batch_shape *shape, size_t n_columns, struct arena *a);
/* Rows [from, to) of a batch whose first columns have that shape. */
void stats_add(struct stats *s, const struct batch *b, size_t from, size_t to);
struct str stats_json(const struct stats *s, struct arena *a);
void stats_clear(struct stats *s); /* for the next file */

#endif
