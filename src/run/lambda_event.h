/* The events of the Lambda function: JSON in, checked against a table (lambda_event.def) before anything is done. */
#ifndef SLUICE_RUN_LAMBDA_EVENT_H
#define SLUICE_RUN_LAMBDA_EVENT_H

#include "base/err.h"
#include "base/mem.h"

enum lambda_action {
	LAMBDA_PLAN = 1, LAMBDA_INGEST = 2, LAMBDA_JOBS = 4, LAMBDA_COMMIT = 8, LAMBDA_PREPARE = 16, LAMBDA_REFINE = 32,
};

struct lambda_event {
	enum lambda_action action;
	struct str pipeline, config, environment, lake, run_id, now, from, to, source, job, result;
	struct str resources;    /* with commas between; "" all */
	bool stale, refetch, keep_going, takeover;
	struct str refetch_name; /* "" the run id */
	int64_t margin_ms;       /* -1: not given */
};

/* ERR_USAGE: what is not JSON, unknown (with the nearest name that is known), of another type, or missing. Texts live in the
 * arena. */
bool lambda_event_parse(struct str json, struct arena *a, struct lambda_event *out, struct err *e);

#endif
