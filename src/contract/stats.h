/* Statistics of a file, as Delta's `add.stats` has them: {"numRecords":..,"minValues":{..},"maxValues":{..},
 * "nullCount":{..}}, for the first STATS_COLUMNS columns (delta.io protocol, "Per-file Statistics").
 *
 *     struct file_stats *s = file_stats_new(shape, n_columns, &arena);
 *     file_stats_add(s, batch, 0, batch->n_rows) ...
 *     file->stats = file_stats_json(s, &arena);
 *
 * Bounds are never narrower than the values: instants are cut to milliseconds for the minimum and rounded up for the
 * maximum; texts over STATS_TEXT code points are cut, and the maximum then ends in U+10FFFF. No bounds for booleans and
 * json, for doubles if one is NaN or a bound is infinite, for dates and instants outside the years 0000 to 9999. */
#ifndef SLUICE_CONTRACT_STATS_H
#define SLUICE_CONTRACT_STATS_H

#include "contract/batch.h"

enum { STATS_COLUMNS = 32, STATS_TEXT = 32 };

struct file_stats;
/* The arena keeps only the accumulators; texts are copied to places of their own size. */
struct file_stats *file_stats_new(const struct batch_shape *shape, size_t n_columns, struct arena *a);
/* Rows [from, to) of a batch whose first columns have that shape. */
void file_stats_add(struct file_stats *s, const struct batch *b, size_t from, size_t to);
struct str file_stats_json(const struct file_stats *s, struct arena *a);
void file_stats_clear(struct file_stats *s); /* for the next file */

#endif
