/* What is known of one window of one resource. Private to run/. */
#ifndef SLUICE_RUN_PLAN_WINDOW_H
#define SLUICE_RUN_PLAN_WINDOW_H

#include "run/plan.h"

/* One entry for each window that the interval (or --stale, or a newer truth elsewhere) brings; fills plan_resource.windows and its counts. */
bool plan_resource_windows(struct project *j, const struct plan_request *q, struct plan_resource *p, struct arena *a,
			   struct err *e);
/* Is the window in all tables under this key and generation? */
bool plan_window_prepared(const struct plan_resource *p, const struct plan_window *w);
/* The instant that a --from or --to names, read in the resource's own zone (rule 2). ERR_USAGE. */
bool plan_instant(struct str text, const struct zone *zone, const char *option, int64_t *us, struct err *e);
/* `prepare --stale` without an interval wants what Raw has, and misses nothing that it does not have. */
bool plan_takes_what_is_there(const struct plan_request *q);
/* Rule 4: its first request went out before the window was final. */
bool plan_is_early(const struct resource *r, struct window w, int64_t first_sent_us);
const struct step *plan_step(const struct project *j, const struct resource *r);

#endif
