/* Windows that nobody fetches any more: they lie between the first sealed one and the last that is over, and are neither
 * sealed nor wanted (a run was left out for longer than the look-back, a backfill began later, a window was given up). */
#ifndef SLUICE_RUN_MISSED_H
#define SLUICE_RUN_MISSED_H

#include "run/plan.h"

struct missed_range {
	struct window first, last;
	size_t n;
	struct str from, to; /* for --from and --to: dates where they are midnights of the resource's zone */
};
struct missed {
	struct missed_range *v; /* in time order */
	size_t n, cap;
	size_t windows;         /* in all of them */
};

/* `there`: windows that are sealed or wait to be accepted, in time order. None for snapshots: only the newest counts. A grid
 * of more than PLAN_WINDOWS_MAX windows is not looked at. */
bool missed_windows(const struct project *j, const struct plan_resource *p, const struct window *there, size_t n_there,
		    int64_t now_us, struct arena *a, struct missed *out, struct err *e);

#endif
