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
/* lambda_exchange.c: for an engine that is somewhere else (engine_exchange.h) */
bool lambda_jobs(struct lambda_part *p, struct str *answer, struct err *e);   /* writes them */
bool lambda_commit(struct lambda_part *p, struct str *answer, struct err *e); /* takes the result of one */
/* With its metrics. False: it could not begin, or ended with an error that is not its deadline. */
bool lambda_pipeline(struct lambda_part *p, struct run_options *o, struct run_result *r, struct err *e);
struct json_out;
void lambda_put_head(struct json_out *o, const struct lambda_part *p, const char *status, struct str run_id);
void lambda_put_models_known(struct json_out *o, const struct project *j);
void lambda_put_tables(struct json_out *o, const struct run_result *r);

#endif
