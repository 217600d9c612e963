/* The grid of a resource: which windows there can be. Fixed by create-if-absent objects raw/<p>/<r>/grid/<n>.json, so
 * that windows never overlap, whatever the pipeline file says later (spec/grid.md). */
#ifndef SLUICE_FORMAT_GRID_H
#define SLUICE_FORMAT_GRID_H

#include "config/pipeline.h"
#include "driver/store.h"

struct grid_part {
	int64_t since_us;  /* this step holds from here on (INT64_MIN for part 0) */
	struct step step;
};
struct grid {
	struct grid_part *parts; /* in time order */
	size_t n_parts;
};

/* Reads it; where there is none yet, *out has one part made of `wanted` and *missing is true (grid_fix creates it). */
bool grid_load(struct store *s, struct str resource_key, const struct step *wanted, struct arena *a, struct grid *out,
	       bool *missing, struct err *e);
/* Asks what grid_load will ask, for a store that keeps the answers. False: not all of it could be read. */
bool grid_ask(struct store *s, struct str resource_key, struct err *e);
/* Creates part 0; losing the race is fine if the winner wrote the same, else ERR_FENCED. */
bool grid_fix(struct store *s, struct str resource_key, const struct step *wanted, struct arena *a, struct err *e);
/* ERR_CONFIG if `wanted` differs from the newest part: says what is stored and what to do. */
bool grid_agrees(const struct grid *g, const struct step *wanted, struct str resource, struct err *e);

/* For verify. Is this a window of the grid? */
bool grid_has(const struct grid *g, struct window w);
/* ERR_DAMAGE where the stored objects are not byte for byte what the grid, as it was read, is written as, or there are others
 * beside them. */
bool grid_check_bytes(struct store *s, struct str resource_key, const struct grid *g, struct err *e);

/* Rule 2: windows whose end lies in (from, to], in time order. More than max_windows: ERR_USAGE. */
struct window_list {
	struct window *v;
	size_t n, cap;
};
bool grid_windows(const struct grid *g, int64_t from_us, int64_t to_us, size_t max_windows, struct arena *a,
		  struct window_list *out, struct err *e);

#endif
