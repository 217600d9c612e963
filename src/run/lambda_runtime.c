#include "run/lambda_runtime.h"

#include "base/check.h"
#include "base/json.h"
#include "base/log.h"

enum {
	HEADER_MAX = 256 << 10,
	ANSWER_MAX = 1 << 20,
	CONNECT_US = 10 * 1000000,
	POST_US = 30 * 1000000,
	PAUSE_US = 50000,           /* doubles */
	ID_MAX = 200,
	CAUSE_MESSAGE_MAX = 1000,   /* of the X-Ray header, which the service limits */
};

#define RUNTIME "/2018-06-01/runtime"
#define EXTENSION "/2020-01-01/extension"

bool lambda_open(struct lambda_runtime *r, struct http *http, struct clock *clock, const char *api, const volatile int *stop,
		 struct err *e)
{
	*r = (struct lambda_runtime){ .http = http, .clock = clock, .api = str_from(api), .stop = stop };
	for (size_t i = 0; i < r->api.n; i++) {
		unsigned char c = (unsigned char)r->api.p[i];
		if (c <= ' ' || c >= 0x7f || c == '/' || c == '@' || c == '?' || c == '#')
			return err_set(e, ERR_USAGE, "AWS_LAMBDA_RUNTIME_API is no host and port");
	}
	if (r->api.n == 0)
		return err_set(e, ERR_USAGE, "AWS_LAMBDA_RUNTIME_API is not set: this is the bootstrap of a Lambda function");
	return true;
}

/* ── one call ── */

struct call {
	const char *method;
	struct str path, body;
	struct http_header headers[5];
	size_t n_headers;
	int64_t total_us;
};

static void add_header(struct call *c, struct str name, struct str value)
{
	CHECK(c->n_headers < sizeof c->headers / sizeof c->headers[0]);
	c->headers[c->n_headers++] = (struct http_header){ name, value };
}

static bool start(struct lambda_runtime *r, const struct call *c, void *user, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct http_request q = {
		.method = str_from(c->method),
		.url = arena_format(&a, "http://%.*s%.*s", STR_ARG(r->api), STR_ARG(c->path)),
		.headers = c->headers,
		.n_headers = c->n_headers,
		.body = c->body,
		.max_header_bytes = HEADER_MAX,
		.max_body_bytes = c->total_us > 0 ? ANSWER_MAX : LAMBDA_EVENT_MAX,
		.connect_us = CONNECT_US,
		.total_us = c->total_us,
		.allow_private = true,
		.direct = true,
		.user = user,
	};
	bool ok = http_start(r->http, &q, e);
	arena_free(&a);
	return ok;
}

static bool is_stopped(const struct lambda_runtime *r)
{
	return r->stop && *r->stop != 0;
}

/* NULL: stopped by a signal, where that may be. */
static struct http_exchange *wait_for(struct lambda_runtime *r, const void *user, bool stoppable)
{
	for (;;) {
		if (stoppable && is_stopped(r))
			return NULL;
		struct http_exchange *x = http_wait(r->http, LAMBDA_WAIT_US);
		if (x && x->user == user)
			return x;
		if (x && x->user == r)
			r->extension_waits = false; /* whatever it was told: it is there for its being there */
		if (x)
			http_exchange_free(x);
	}
}

/* Until there is an answer, whole or cut. NULL: there was none, or a signal came. */
static struct http_exchange *call(struct lambda_runtime *r, const struct call *c, bool stoppable, unsigned *sent, struct err *e)
{
	int64_t pause = PAUSE_US;
	*sent = 0;
	for (unsigned tries = 1;; tries++) {
		if (!start(r, c, (void *)(uintptr_t)c, e))
			return NULL;
		struct http_exchange *x = wait_for(r, c, stoppable);
		if (x == NULL) {
			err_set(e, *r->stop == 2 ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
			return NULL;
		}
		*sent += x->sent_us != 0 && !x->kept_was_closed;
		if (x->outcome != HTTP_NO_ANSWER)
			return x;
		bool again = tries < LAMBDA_TRIES;
		bool at_once = x->kept_was_closed && tries == 1;
		*e = x->err;
		http_exchange_free(x);
		if (!again) {
			err_wrap(e, "the Lambda Runtime API (%.*s) does not answer", STR_ARG(c->path));
			return NULL;
		}
		*e = ERR_INIT;
		if (!at_once) {
			r->clock->sleep_us(r->clock, pause);
			pause *= 2;
		}
	}
}

/* ── the next event ── */

static bool id_ok(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
		      c == ':'))
			return false;
	}
	return id.n > 0 && id.n <= ID_MAX;
}

static int64_t deadline_of(struct lambda_runtime *r, const struct http_exchange *x)
{
	uint64_t ms;
	if (!str_to_u64(http_header_get(x, "Lambda-Runtime-Deadline-Ms"), &ms) || ms > INT64_MAX / 1000) {
		log_warn("the event came without its deadline: nothing is stopped in time");
		return 0;
	}
	int64_t at = r->clock->monotonic_us(r->clock) + ((int64_t)ms * 1000 - r->clock->wall_us(r->clock));
	return at > 0 ? at : 1;
}

static void take_event(struct lambda_runtime *r, const struct http_exchange *x, struct arena *a, struct lambda_invocation *out)
{
	*out = (struct lambda_invocation){
		.request_id = arena_copy(a, http_header_get(x, "Lambda-Runtime-Aws-Request-Id")),
		.invocation_id = arena_copy(a, http_header_get(x, "Lambda-Runtime-Invocation-Id")),
		.trace_id = arena_copy(a, http_header_get(x, "Lambda-Runtime-Trace-Id")),
		.tenant_id = arena_copy(a, http_header_get(x, "Lambda-Runtime-Aws-Tenant-Id")),
		.unread = ERR_INIT,
	};
	log_set_request(out->request_id);
	out->deadline_us = deadline_of(r, x);
	if (x->outcome == HTTP_COMPLETE) {
		out->body = arena_copy(a, x->body);
		return;
	}
	out->unread = x->err;
	err_wrap(&out->unread, "the event");
}

/* 500 is the service's word for "end this process"; 4xx would come again. */
static bool refused(const struct http_exchange *x, const char *what, struct err *e)
{
	struct str body = str_sub(x->body, 0, 200);
	return err_set(e, ERR_HTTP_STATUS, "the Lambda Runtime API answered %s with status %u: %.*s", what, x->status, STR_ARG(body));
}

bool lambda_next(struct lambda_runtime *r, struct arena *a, struct lambda_invocation *out, struct err *e)
{
	struct call c = { .method = "GET", .path = STR(RUNTIME "/invocation/next") };
	unsigned sent;
	log_set_request(STR_NONE);
	for (unsigned tries = 1;; tries++) {
		struct http_exchange *x = call(r, &c, true, &sent, e);
		if (x == NULL)
			return false;
		if (x->status != 200) {
			refused(x, "\"next\"", e);
			http_exchange_free(x);
			return false;
		}
		bool ok = id_ok(http_header_get(x, "Lambda-Runtime-Aws-Request-Id"));
		if (ok)
			take_event(r, x, a, out);
		http_exchange_free(x);
		if (ok)
			return true;
		/* Nobody could be answered. */
		log_warn("an event came without Lambda-Runtime-Aws-Request-Id, and is passed over");
		if (tries == LAMBDA_TRIES)
			return err_set(e, ERR_HTTP_MALFORMED, "%d events in a row came without their request id", LAMBDA_TRIES);
	}
}

/* ── answers ── */

struct str lambda_error_type(enum err_code code, struct arena *a)
{
	struct str name = str_from(err_name(code));
	char text[64];
	size_t n = 0;
	bool upper = true;
	for (size_t i = 0; i < name.n && n < sizeof text; i++) {
		char c = name.p[i];
		if (c == '_') {
			upper = true;
			continue;
		}
		text[n++] = upper || c < 'A' || c > 'Z' ? c : (char)(c + ('a' - 'A'));
		upper = false;
	}
	return arena_format(a, "Function.%.*s", (int)n, text);
}

static struct str error_body(const struct err *why, struct arena *a)
{
	struct buf b = BUF_INIT(64 << 10);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_str(&o, "errorType", lambda_error_type(why->code, a));
	json_put_str(&o, "errorMessage", str_from(why->message));
	json_put_i64(&o, "exitStatus", err_exit_status(why->code));
	json_put_str(&o, "hint", str_from(err_hint_text(why)));
	json_begin_array(&o, "stackTrace");
	json_end_array(&o);
	json_end_object(&o);
	return buf_take(&b, a);
}

/* A header holds ASCII: other characters are left out of what is shown in a trace. */
static struct str ascii_of(struct str s, struct arena *a)
{
	struct str out = arena_copy(a, str_sub(s, 0, CAUSE_MESSAGE_MAX));
	char *p = arena_zero_terminated(a, out);
	for (size_t i = 0; i < out.n; i++)
		if ((unsigned char)p[i] < 0x20 || (unsigned char)p[i] >= 0x7f)
			p[i] = '?';
	return (struct str){ p, out.n };
}

/* The form that X-Ray knows. */
static struct str error_cause(const struct err *why, struct arena *a)
{
	struct buf b = BUF_INIT(16 << 10);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_str(&o, "working_directory", STR("/var/task"));
	json_begin_array(&o, "exceptions");
	json_begin_object(&o, NULL);
	json_put_str(&o, "type", lambda_error_type(why->code, a));
	json_put_str(&o, "message", ascii_of(str_from(why->message), a));
	json_begin_array(&o, "stack");
	json_end_array(&o);
	json_end_object(&o);
	json_end_array(&o);
	json_begin_array(&o, "paths");
	json_end_array(&o);
	json_end_object(&o);
	return buf_take(&b, a);
}

enum posted { POSTED, POST_REFUSED, POST_TOO_LARGE, POST_FAILED };

static enum posted post(struct lambda_runtime *r, struct call *c, struct err *e)
{
	unsigned sent;
	c->method = "POST";
	c->total_us = POST_US;
	struct http_exchange *x = call(r, c, false, &sent, e);
	if (x == NULL)
		return POST_FAILED;
	enum posted p = POSTED;
	if (x->status == 413) {
		p = POST_TOO_LARGE;
	} else if (x->status >= 500) {
		refused(x, "an answer", e);
		p = POST_FAILED;
	} else if (x->status >= 400) {
		/* After one that was sent and not acknowledged: it had arrived. */
		p = sent > 1 ? POSTED : POST_REFUSED;
		if (p == POST_REFUSED)
			log_warn("the answer was refused with status %u: it came too late, or twice", x->status);
	}
	http_exchange_free(x);
	return p;
}

static void give_back(struct call *c, const struct lambda_invocation *i)
{
	if (i->invocation_id.n > 0)
		add_header(c, STR("Lambda-Runtime-Invocation-Id"), i->invocation_id);
}

static bool post_error(struct lambda_runtime *r, struct str path, const struct lambda_invocation *i, const struct err *why,
		       struct err *e)
{
	struct arena a = ARENA_INIT;
	struct call c = { .path = path, .body = error_body(why, &a) };
	add_header(&c, STR("Content-Type"), STR("application/vnd.aws.lambda.error+json"));
	add_header(&c, STR("Lambda-Runtime-Function-Error-Type"), lambda_error_type(why->code, &a));
	add_header(&c, STR("Lambda-Runtime-Function-XRay-Error-Cause"), error_cause(why, &a));
	if (i)
		give_back(&c, i);
	log_event(LOG_ERROR, "%s", why->message);
	enum posted p = post(r, &c, e);
	arena_free(&a);
	return p != POST_FAILED;
}

bool lambda_fail(struct lambda_runtime *r, const struct lambda_invocation *i, const struct err *why, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str path = arena_format(&a, RUNTIME "/invocation/%.*s/error", STR_ARG(i->request_id));
	bool ok = post_error(r, path, i, why, e);
	arena_free(&a);
	return ok;
}

bool lambda_fail_init(struct lambda_runtime *r, const struct err *why, struct err *e)
{
	return post_error(r, STR(RUNTIME "/init/error"), NULL, why, e);
}

bool lambda_respond(struct lambda_runtime *r, const struct lambda_invocation *i, struct str json, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct call c = { .path = arena_format(&a, RUNTIME "/invocation/%.*s/response", STR_ARG(i->request_id)), .body = json };
	add_header(&c, STR("Content-Type"), STR("application/json"));
	give_back(&c, i);
	enum posted p = post(r, &c, e);
	bool ok = p != POST_FAILED;
	if (p == POST_TOO_LARGE) {
		err_set(&why, ERR_TOO_LARGE, "the answer has %zu bytes, more than the service takes", json.n);
		err_hint(&why, "what was done is done and recorded: `sluice runs` shows it");
		ok = lambda_fail(r, i, &why, e);
	}
	arena_free(&a);
	return ok;
}

/* ── the extension that does nothing ── */

void lambda_register(struct lambda_runtime *r)
{
	struct err e = ERR_INIT;
	unsigned sent;
	struct call c = { .method = "POST", .path = STR(EXTENSION "/register"), .body = STR("{\"events\":[]}"), .total_us = POST_US };
	add_header(&c, STR("Content-Type"), STR("application/json"));
	add_header(&c, STR("Lambda-Extension-Name"), STR("sluice-stops-in-order"));
	struct http_exchange *x = call(r, &c, true, &sent, &e);
	struct str id = x && x->status == 200 ? http_header_get(x, "Lambda-Extension-Identifier") : STR_NONE;
	if (id_ok(id)) {
		/* It is ready once it has asked; with no events to wait for it is never answered. */
		struct call next = { .method = "GET", .path = STR(EXTENSION "/event/next") };
		add_header(&next, STR("Lambda-Extension-Identifier"), id);
		r->extension_waits = start(r, &next, r, &e);
	} else {
		log_debug("no extension is registered (%s): SIGTERM will not come", x ? "refused" : e.message);
	}
	if (x)
		http_exchange_free(x);
}
