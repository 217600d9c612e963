/* sluice-lambda: the `bootstrap` of a Lambda function with a custom runtime (provided.al2023). Asks for events until it is ended. */
#include "base/effect.h"
#include "base/log.h"
#include "driver/aws_credentials.h"
#include "run/lambda_handler.h"
#include "run/lambda_runtime.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef SLUICE_LAMBDA_ENGINE
#include "run/engine_call.h"
enum { HAS_ENGINE = 1 };
#else
enum { HAS_ENGINE = 0 };
#endif

enum { METRICS_MAX = 4 << 20 };

static volatile int stop;

static void on_signal(int number)
{
	stop = number;
}

static void watch_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	sigemptyset(&a.sa_mask);
	sigemptyset(&ignore.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

/* The package carries its zones: the surroundings need have none, and have others tomorrow. */
static void find_zones(const char *root)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/zoneinfo", root);
	if (getenv("SLUICE_ZONEINFO") == NULL && n > 0 && (size_t)n < sizeof path && sys_access(path, R_OK | X_OK) == 0)
		setenv("SLUICE_ZONEINFO", path, 1);
}

/* The package with the engine carries it, too. */
static void find_engine(const char *root)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/libduckdb.so", root);
	if (HAS_ENGINE && getenv("SLUICE_DUCKDB") == NULL && n > 0 && (size_t)n < sizeof path && sys_access(path, R_OK) == 0)
		setenv("SLUICE_DUCKDB", path, 1);
}

/* For whoever reads it in this process: the SDKs' name. */
static void set_trace(struct str id)
{
	struct arena a = ARENA_INIT;
	if (id.n > 0)
		setenv("_X_AMZN_TRACE_ID", arena_zero_terminated(&a, id), 1);
	else
		unsetenv("_X_AMZN_TRACE_ID");
	arena_free(&a);
}

static void say_metrics(const struct buf *b)
{
	for (size_t done = 0; done < b->n;) {
		ssize_t n = sys_say(STDOUT_FILENO, b->p + done, b->n - done);
		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

static bool serve_one(struct lambda_runtime *r, struct lambda_handler *h, struct arena *a, struct err *e)
{
	struct lambda_invocation i;
	struct str answer = STR_NONE;
	struct err why = ERR_INIT;
	struct buf metrics = BUF_INIT(METRICS_MAX);
	if (!lambda_next(r, a, &i, e))
		return false;
	set_trace(i.trace_id);
	if (i.tenant_id.n > 0)
		log_debug("tenant %.*s", STR_ARG(i.tenant_id));
	bool ok;
	if (i.unread.code != ERR_NONE) {
		why = i.unread;
		ok = false;
	} else {
		ok = lambda_handle(h, i.body, i.deadline_us, i.request_id, a, &answer, &metrics, &why);
	}
	say_metrics(&metrics);
	buf_free(&metrics);
	return ok ? lambda_respond(r, &i, answer, e) : lambda_fail(r, &i, &why, e);
}

static bool serve(struct lambda_runtime *r, struct lambda_handler *h, struct err *e)
{
	bool ok = true;
	lambda_register(r);
	while (ok && stop == 0) {
		struct arena a = ARENA_INIT;
		ok = serve_one(r, h, &a, e);
		arena_free(&a);
	}
	return ok || e->code == ERR_SIGTERM || e->code == ERR_SIGINT;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT, late = ERR_INIT;
	struct lambda_runtime r;
	struct http *http = NULL;
	const char *root = getenv("LAMBDA_TASK_ROOT");
#ifdef SLUICE_LAMBDA_ENGINE
	if (argc == 4 && strcmp(argv[1], "engine") == 0 && strcmp(argv[2], "duckdb") == 0)
		return engine_child_main(argv[3]);
#endif
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("sluice-lambda %s\n", SLUICE_VERSION);
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "sluice-lambda: this is the bootstrap of a Lambda function; it has no commands%s\n",
			HAS_ENGINE ? "" : ", and no engine");
		return 2;
	}
	struct lambda_handler h = { .clock = clock_system(), .task_root = root ? root : "/var/task", .stop = &stop,
				    .has_engine = HAS_ENGINE };
	watch_signals();
	aws_stop_watch(&stop);
	log_like_lambda(getenv("AWS_LAMBDA_LOG_FORMAT"), getenv("AWS_LAMBDA_LOG_LEVEL"));
	find_zones(h.task_root);
	find_engine(h.task_root);
	bool ok = http_open_curl(h.clock, &http, &e) &&
		  lambda_open(&r, http, h.clock, getenv("AWS_LAMBDA_RUNTIME_API"), &stop, &e);
	if (ok && !lambda_handler_check(&h, &e)) {
		ok = false;
		if (!lambda_fail_init(&r, &e, &late))
			log_warn("%s", late.message);
	} else if (!ok) {
		log_event(LOG_ERROR, "%s", e.message);
	} else if (!serve(&r, &h, &e)) {
		ok = false;
		log_event(LOG_ERROR, "%s", e.message);
	}
	lambda_handler_close(&h);
	if (http)
		http_close(http);
	return ok ? 0 : 1;
}
