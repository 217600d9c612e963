/* The real transport: a curl multi handle, driven by http_wait. */
#include "driver/http_curl.h"

#include "base/check.h"
#include "base/file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_CONNECTIONS = 64, POLL_MAX_MS = 60 * 1000 };

static struct curl_transport *of(struct http *h)
{
	return (struct curl_transport *)h;
}

static void list_add(struct flight **list, struct flight *f)
{
	f->next = *list;
	f->link = list;
	if (f->next)
		f->next->link = &f->next;
	*list = f;
}

static void list_remove(struct flight *f)
{
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
}

static struct flight *flight_take(struct curl_transport *t)
{
	struct flight *f = t->idle;
	CURL *easy = f ? f->easy : curl_easy_init();
	if (f)
		list_remove(f);
	else
		f = mem_alloc(sizeof *f);
	if (!easy)
		mem_exhausted(sizeof(CURL *));
	*f = (struct flight){ .owner = t, .easy = easy };
	return f;
}

/* The handle keeps its TLS sessions, which is why it is used again. */
static void flight_give_back(struct flight *f)
{
	curl_slist_free_all(f->headers);
	f->headers = NULL;
	f->held = NULL;
	list_add(&f->owner->idle, f);
}

static bool curl_start(struct http *http, const struct http_request *r, struct err *e)
{
	struct curl_transport *t = of(http);
	struct flight *f = flight_take(t);
	f->held = http_held_new(r);
	if (!flight_prepare(f, r, e)) {
		http_exchange_free(&f->held->x);
		flight_give_back(f);
		return false;
	}
	CHECK(curl_multi_add_handle(t->multi, f->easy) == CURLM_OK);
	list_add(&t->running, f);
	return true;
}

static void flight_end(struct flight *f, CURLcode code)
{
	struct curl_transport *t = f->owner;
	flight_judge(f, code);
	CHECK(curl_multi_remove_handle(t->multi, f->easy) == CURLM_OK);
	struct done *d = arena_new(&f->held->x.arena, struct done);
	d->x = &f->held->x;
	*t->done_end = d;
	t->done_end = &d->next;
	list_remove(f);
	flight_give_back(f);
}

static void collect(struct curl_transport *t)
{
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(t->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		char *private = NULL;
		CHECK(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK && private);
		flight_end((struct flight *)(void *)private, code);
	}
}

/* Ends what is overdue; the time of the next time-out, at most `until_us`. */
static int64_t end_overdue(struct curl_transport *t, int64_t now_us, int64_t until_us)
{
	struct flight *f = t->running;
	while (f) {
		struct flight *next = f->next;
		if (flight_overdue(f, now_us, &until_us))
			flight_end(f, CURLE_OPERATION_TIMEDOUT);
		f = next;
	}
	return until_us;
}

static struct http_exchange *done_take(struct curl_transport *t)
{
	struct done *d = t->done;
	if (!d)
		return NULL;
	t->done = d->next;
	if (!t->done)
		t->done_end = &t->done;
	return d->x;
}

static int poll_ms(int64_t us)
{
	int64_t ms = (us + 999) / 1000;
	return ms > POLL_MAX_MS ? POLL_MAX_MS : ms > 0 ? (int)ms : 0;
}

static struct http_exchange *curl_wait(struct http *http, int64_t timeout_us)
{
	struct curl_transport *t = of(http);
	int64_t now = t->clock->monotonic_us(t->clock);
	int64_t until = timeout_us > 0 ? now + (timeout_us < INT64_MAX - now ? timeout_us : INT64_MAX - now) : now;
	for (;;) {
		int running;
		if (t->done)
			return done_take(t);
		CHECK(curl_multi_perform(t->multi, &running) == CURLM_OK);
		collect(t);
		now = t->clock->monotonic_us(t->clock);
		int64_t next = end_overdue(t, now, until);
		if (t->done)
			return done_take(t);
		if (atomic_exchange(&t->woken, false) || now >= until)
			return NULL;
		CURLMcode code = curl_multi_poll(t->multi, NULL, 0, poll_ms(next - now), NULL);
		CHECK(code == CURLM_OK);
	}
}

static void curl_wake(struct http *http)
{
	atomic_store(&of(http)->woken, true);
	curl_multi_wakeup(of(http)->multi);
}

static void curl_cancel_all(struct http *http)
{
	struct curl_transport *t = of(http);
	while (t->running) {
		struct flight *f = t->running;
		CHECK(curl_multi_remove_handle(t->multi, f->easy) == CURLM_OK);
		http_exchange_free(&f->held->x);
		list_remove(f);
		flight_give_back(f);
	}
	for (struct http_exchange *x; (x = done_take(t)) != NULL;)
		http_exchange_free(x);
}

static void curl_close(struct http *http)
{
	struct curl_transport *t = of(http);
	curl_cancel_all(http);
	while (t->idle) {
		struct flight *f = t->idle;
		list_remove(f);
		curl_easy_cleanup(f->easy);
		mem_free(f);
	}
	curl_multi_cleanup(t->multi);
	arena_free(&t->arena);
	mem_free(t);
}

static const struct http_ops curl_ops = { curl_start, curl_wait, curl_wake, curl_cancel_all, curl_close };

/* A libcurl that was built for other machines than its own knows no place: then those of the usual systems, and the copy that
 * a Lambda package carries. NULL: libcurl knows one. */
static const char *known_ca_file(void)
{
	static const char *const known[] = {
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	};
	static char carried[4096];
	const char *root = getenv("LAMBDA_TASK_ROOT");
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	if (v->cainfo || v->capath)
		return NULL;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (file_exists(known[i]))
			return known[i];
	int n = root ? snprintf(carried, sizeof carried, "%s/ca-bundle.crt", root) : -1;
	return n > 0 && (size_t)n < sizeof carried && file_exists(carried) ? carried : NULL;
}

static CURLcode global_code;

static void global_init(void)
{
	global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool http_open_curl(struct clock *clock, struct http **out, struct err *e)
{
	return http_open_curl_ca(clock, STR_NONE, out, e);
}

bool http_open_curl_ca(struct clock *clock, struct str ca, struct http **out, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, global_init);
	if (global_code != CURLE_OK)
		return err_set(e, ERR_TLS, "libcurl does not start: %s", curl_easy_strerror(global_code));
	struct curl_transport *t = mem_alloc(sizeof *t);
	t->http.ops = &curl_ops;
	t->clock = clock;
	t->done_end = &t->done;
	const char *proxy = getenv("SLUICE_PROXY"), *ca_file = getenv("SSL_CERT_FILE"), *past = getenv("no_proxy");
	t->proxy = proxy ? proxy : "";
	t->no_proxy = str_from(past ? past : getenv("NO_PROXY"));
	t->proxy_loopback = str_eq_nocase(str_from(getenv("SLUICE_PROXY_LOOPBACK")), STR("true"));
	t->ca_file = ca_file && ca_file[0] ? ca_file : known_ca_file();
	if (ca.n > 0)
		t->ca_file = arena_zero_terminated(&t->arena, ca);
	t->multi = curl_multi_init();
	if (!t->multi)
		mem_exhausted(sizeof(CURLM *));
	CHECK(curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS) == CURLM_OK);
	*out = &t->http;
	return true;
}
