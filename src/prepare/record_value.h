/* One JSON value into one cell. Part of record.c. */
#ifndef SLUICE_PREPARE_RECORD_VALUE_H
#define SLUICE_PREPARE_RECORD_VALUE_H

#include "base/json.h"
#include "contract/batch.h"

enum value_verdict {
	VALUE_OK,
	VALUE_NULL,
	VALUE_INEXACT, /* written, rounded as the contract allows; or the first of two instants that a wall clock shows */
	VALUE_BAD,
};

struct value {
	enum json_event event; /* JSON_OBJECT and JSON_ARRAY for what was skipped */
	struct str text;       /* of strings: between the quotes, still escaped; of others: raw */
	bool escaped;
	struct str raw;        /* with quotes or brackets */
};

/* Writes row `row` of `out` (not its bit in `valid`) where it says OK or INEXACT. *why is a constant text, or NULL where
 * the type says it all. `utc` is the zone of dates, which have none. */
enum value_verdict value_read(const struct column *c, const struct zone *utc, const struct value *v,
			      struct batch_column *out, size_t row, struct arena *a, const char **why);

#endif
