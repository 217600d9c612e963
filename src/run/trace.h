/* Trace: from a row to the request and the bytes that it came from (promise 4). */
#ifndef SLUICE_RUN_TRACE_H
#define SLUICE_RUN_TRACE_H

#include "run/lake_query.h"

struct trace_address { /* _window, _gen, _page, _off, _len of a row */
	struct str window;
	unsigned generation;
	uint64_t page, offset, length;
};
struct trace_origin {
	struct str request, redirected_to;
	unsigned status, attempts;
	struct str fetched_at;   /* RFC 3339, as the segment has it */
	struct str run_id;
	struct str segment_key;
	uint64_t segment_offset, segment_size; /* of the record in the segment */
	struct str raw;          /* the record, cut from the decoded body */
	struct str window;       /* where it was read: as the row says, or a fetch with the same content, if */
	unsigned generation;
	struct str damage;       /* ... this is wrong with the one that the row names; "": nothing */
};
/* A row of this table of Prepare. ERR_DAMAGE: Raw does not have what the row says, nor another fetch with the same content. */
bool trace_origin_find(struct project *j, const struct lake_table *t, const struct trace_address *at, struct arena *a,
		       struct trace_origin *out, struct err *e);

/* SELECT of the rows with this primary key, values in the key's order; of a child table with this `_window`, `_page`,
 * `_parent_off` and `_idx`. ERR_USAGE: too few, too many, of another type. */
bool trace_key_sql(const struct lake_table *t, const struct str *values, size_t n_values, size_t limit, struct arena *a,
		   struct str *sql, struct err *e);
/* SELECT of the rows of `in` whose columns agree with those key columns of `t` that have the same names. *sql is empty
 * where there is no such column. */
bool trace_input_sql(const struct lake_table *t, const struct str *values, const struct lake_table *in, size_t limit,
		     struct arena *a, struct str *sql, struct err *e);
/* Tables of Prepare that a model reads, also through other models. After project_link. */
void trace_inputs(const struct project *j, const struct lake_query *q, const struct model *m, struct arena *a,
		  const struct lake_table ***out, size_t *n);

#endif
