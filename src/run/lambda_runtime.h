/* The runtime's side of AWS Lambda's Runtime API (2018-06-01) for custom runtimes, over the http seam.
 *
 *     lambda_next ── event ──▶ work ──▶ lambda_respond | lambda_fail ──▶ lambda_next ...
 *
 * One event at a time, on one thread. lambda_next has no time-out: between events the process is frozen, and its clock jumps.
 * A kept connection that was closed meanwhile is no failure: what was not sent is sent again. What was sent and may have been taken
 * is sent again as well, since a second answer to one event is refused (400) and does no harm.
 *
 * SIGTERM comes to a runtime only where an extension is registered: lambda_register registers one inside of this process
 * that wants no events (Extensions API 2020-01-01). */
#ifndef SLUICE_RUN_LAMBDA_RUNTIME_H
#define SLUICE_RUN_LAMBDA_RUNTIME_H

#include "driver/http.h"

enum {
	LAMBDA_EVENT_MAX = 8 << 20,   /* bytes; the service's own limit is 6 MB */
	LAMBDA_WAIT_US = 100000,      /* how soon a signal is seen while waiting for an event */
	LAMBDA_TRIES = 4,             /* of one call that finds no answer */
};

struct lambda_runtime {
	struct http *http;
	struct clock *clock;
	struct str api;            /* host:port, AWS_LAMBDA_RUNTIME_API */
	const volatile int *stop;  /* signal number; may be NULL */
	bool extension_waits;      /* the extension's question for its next event is under way; it is never answered */
};

struct lambda_invocation {
	struct str request_id;     /* Lambda-Runtime-Aws-Request-Id: never empty */
	struct str invocation_id;  /* Lambda-Runtime-Invocation-Id, given back with the answer; "" none */
	struct str trace_id;       /* Lambda-Runtime-Trace-Id; "" none */
	struct str tenant_id;      /* Lambda-Runtime-Aws-Tenant-Id; "" none */
	int64_t deadline_us;       /* monotonic; 0: the service said none */
	struct str body;
	struct err unread;         /* the event came cut or too large: it is answered by this */
};

/* The URL parts are checked: ERR_USAGE. */
bool lambda_open(struct lambda_runtime *r, struct http *http, struct clock *clock, const char *api, const volatile int *stop,
		 struct err *e);
/* ERR_SIGTERM or ERR_SIGINT: stopped while waiting. Any other: the runtime has no API to go on with, and should end. */
bool lambda_next(struct lambda_runtime *r, struct arena *a, struct lambda_invocation *out, struct err *e);
/* False as above. An answer that is too large (413) becomes a failure of the event. One that comes too late is lost: told to the
 * log. */
bool lambda_respond(struct lambda_runtime *r, const struct lambda_invocation *i, struct str json, struct err *e);
bool lambda_fail(struct lambda_runtime *r, const struct lambda_invocation *i, const struct err *why, struct err *e);
bool lambda_fail_init(struct lambda_runtime *r, const struct err *why, struct err *e);
/* A surrounding without the Extensions API is none that would send SIGTERM: told to the log, and no failure. */
void lambda_register(struct lambda_runtime *r);

/* "Function.HttpStatus" of ERR_HTTP_STATUS */
struct str lambda_error_type(enum err_code code, struct arena *a);

#endif
