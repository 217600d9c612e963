/* The state of a run on its way through the stages. Private to run/. */
#ifndef SLUICE_RUN_STAGE_H
#define SLUICE_RUN_STAGE_H

#include "run/input_check.h"
#include "run/runner.h"

struct run_state {
	struct project *project;
	const struct run_options *options;
	struct run_result *out;
	struct arena *arena;
	unsigned threads;
	struct input_checks checks;
	struct spark_session *spark;
	int64_t began_us, ingest_began_us;
	struct resource_progress *progress;
	size_t n_progress;
	double rate_allowed;
	struct secret_fetcher *secrets; /* while something is fetched */
};

/* Fetches what the plan wants and takes what was sealed into the plan's windows; failures go to the result. False: a
 * secret is missing, so nothing was begun. */
bool run_ingest(struct run_state *s);
/* Rule 16: makes durable what the plan found done. */
bool run_settle_seen(struct run_state *s, struct err *e);
bool run_wants_fetch(const struct plan_window *w);
bool run_stopped(const struct run_state *s); /* by a signal, or its deadline */
void run_note_err(struct run_result *r, const struct err *why);
void run_show(struct run_state *s, enum run_stage stage, struct str table, uint64_t rows_done, uint64_t rows_total);

#endif
