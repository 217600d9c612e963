/* What each action of an event does, on a project that is open. Private to lambda_*.c. */
#ifndef SLUICE_RUN_LAMBDA_STAGE_H
#define SLUICE_RUN_LAMBDA_STAGE_H

#include "run/lambda_handler.h"

struct lambda_part {
	struct lambda_handler *handler;
	struct lambda_event event;
	struct project project;
	struct plan_request request;
	int64_t deadline_us;   /* with the margin taken off; 0 none */
	struct str request_id;
	struct arena *arena;
	struct buf *metrics;
};

bool lambda_plan(struct lambda_part *p, struct str *answer, struct err *e); /* what there is to do, by stage and source */
bool lambda_run(struct lambda_part *p, struct str *answer, struct err *e);  /* ingest, prepare, refine */

#endif
