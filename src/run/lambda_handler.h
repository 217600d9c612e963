/* What the Lambda function does with an event (lambda_event.h): opens the pipeline and its lake, does a part of a run, and answers
 * what came of it. Nothing stays between events but files that were verified: whatever a lake holds is looked at anew.
 *
 * A part ends before the deadline of its invocation; then it answers "continue", and the same event with the run id of the answer goes
 * on. The same event again after that answers "done" and has fetched nothing. All else is a failure, of the type of its error. */
#ifndef SLUICE_RUN_LAMBDA_HANDLER_H
#define SLUICE_RUN_LAMBDA_HANDLER_H

#include "base/scratch.h"
#include "run/lambda_event.h"
#include "run/runner.h"

enum { LAMBDA_MARGIN_MS = 5000 };

struct lambda_handler {
	struct clock *clock;
	const char *task_root;     /* LAMBDA_TASK_ROOT: the package's folder */
	const volatile int *stop;
	bool has_engine;           /* this package can prepare and refine */
	struct http *http;         /* of the API; NULL: curl. A fake in tests */
	/* the pipeline's files that the last event asked for by digest */
	struct scratch config;
	struct sha256 config_digest;
	struct arena arena;        /* lives as long as they */
};

/* The answer is JSON. `metrics` gets lines for standard output, also where it fails. deadline_us: monotonic, 0 none. */
bool lambda_handle(struct lambda_handler *h, struct str event, int64_t deadline_us, struct str request_id, struct arena *a,
		   struct str *answer, struct buf *metrics, struct err *e);
/* What can be wrong before any event: the pipeline that the environment names. True where it names none. */
bool lambda_handler_check(struct lambda_handler *h, struct err *e);
void lambda_handler_close(struct lambda_handler *h);

#endif
