/* Delta's statistics of a file, gathered while its rows go by: smallest and largest value and the NULLs of the first
 * 32 columns. Texts are kept to 32 code points; instants are told in milliseconds, rounded away from the values. No bounds
 * for json, boolean, and doubles that were NaN. Part of prepare.c. */
#ifndef SLUICE_PREPARE_PREPARE_STATS_H
#define SLUICE_PREPARE_PREPARE_STATS_H

#include "contract/batch.h"

enum { STATS_COLUMNS = 32, STATS_TEXT_CHARS = 32, STATS_TEXT_BYTES = 4 * STATS_TEXT_CHARS };

struct stats_text {
	char bytes[STATS_TEXT_BYTES];
	uint8_t n;
	bool cut; /* a value of these first characters was longer */
};

struct column_stats {
	bool any, nan;
	uint64_t nulls;
	union scalar min, max;
	struct stats_text min_text, max_text;
};

struct stats {
	const struct batch_shape *shape;
	size_t n;
	uint64_t rows;
	struct column_stats columns[STATS_COLUMNS];
};

void stats_begin(struct stats *s, const struct batch_shape *shape, size_t n_columns);
void stats_add(struct stats *s, const struct batch *b);
struct str stats_json(const struct stats *s, struct arena *a);

#endif
