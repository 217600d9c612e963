/* The real transport against a server that misbehaves on purpose. */
#include "unit.h"
#include "wire.h"

#include "base/file.h"
#include "base/json.h"
#include "driver/http.h"

static struct str url_of(struct wire *w, const char *scheme, const char *host, struct arena *a)
{
	return arena_format(a, "%s://%s:%u/p/../q?token=secret", scheme, host, w->port);
}

static struct http_request request(struct str url)
{
	return (struct http_request){ .method = STR("GET"), .url = url, .max_header_bytes = 20000,
				      .max_body_bytes = 100000, .connect_us = 2000000, .first_byte_us = 2000000,
				      .total_us = 4000000, .allow_private = true };
}

static struct http *open_http(void)
{
	struct http *h;
	struct err e = ERR_INIT;
	assert_true(http_open_curl(clock_system(), &h, &e));
	return h;
}

static struct http_exchange *ask(struct http *h, const struct http_request *r)
{
	struct err e = ERR_INIT;
	if (!http_start(h, r, &e))
		fail_msg("%s", e.message);
	struct http_exchange *x = http_wait(h, 5000000);
	assert_non_null(x);
	return x;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define LENGTH(n) OK_HEAD "Content-Length: " #n "\r\n\r\n"
#define CHUNKED OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define TEN "0123456789"

static const struct wire_case {
	const char *name;
	struct wire_reply reply;
	enum http_outcome outcome;
	enum err_code code;
	const char *body, *words; /* words: NULL, or part of the message */
	const char *scheme;       /* NULL http */
	int64_t first_byte_us, total_us, low_speed_us;
	uint64_t max_body;
	bool close_framed;
} wire_cases[] = {
	{ "length", { LENGTH(3) "abc", NULL, 0, NULL, WIRE_KEEP, 0 }, HTTP_COMPLETE, ERR_NONE, "abc", NULL, NULL, 0, 0, 0, 0,
	  false },
	{ "empty body", { LENGTH(0), NULL, 0, NULL, WIRE_KEEP, 0 }, HTTP_COMPLETE, ERR_NONE, "", NULL, NULL, 0, 0, 0, 0,
	  false },
	{ "longer than its length", { LENGTH(3) "abcdef", NULL, 0, NULL, WIRE_KEEP, 0 }, HTTP_COMPLETE, ERR_NONE, "abc", NULL,
	  NULL, 0, 0, 0, 0, false },
	{ "chunked", { CHUNKED "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n", NULL, 0, NULL, WIRE_KEEP, 0 }, HTTP_COMPLETE,
	  ERR_NONE, "abcde", NULL, NULL, 0, 0, 0, 0, false },
	{ "equal lengths", { OK_HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", NULL, 0, NULL, WIRE_KEEP, 0 },
	  HTTP_COMPLETE, ERR_NONE, "abc", NULL, NULL, 0, 0, 0, 0, false },
	{ "close-framed", { OK_HEAD "\r\nabc", NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_COMPLETE, ERR_NONE, "abc", NULL, NULL, 0, 0,
	  0, 0, true },
	{ "http/1.0", { "HTTP/1.0 200 OK\r\n\r\nabc", NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_COMPLETE, ERR_NONE, "abc", NULL,
	  NULL, 0, 0, 0, 0, true },
	{ "interim answers", { "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" LENGTH(3) "abc", NULL, 0, NULL,
			       WIRE_KEEP, 0 }, HTTP_COMPLETE, ERR_NONE, "abc", NULL, NULL, 0, 0, 0, 0, false },
	{ "gzip untouched", { OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b!!", NULL, 0, NULL, WIRE_KEEP,
			      0 }, HTTP_COMPLETE, ERR_NONE, "\x1f\x8b!!", NULL, NULL, 0, 0, 0, 0, false },
	{ "redirect not followed", { "HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", NULL, 0,
				     NULL, WIRE_KEEP, 0 }, HTTP_COMPLETE, ERR_NONE, "", NULL, NULL, 0, 0, 0, 0, false },
	{ "short body", { LENGTH(5000) "abc", NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_CUT, ERR_SHORT_BODY, "abc",
	  "closed after 3 of 5,000 body bytes", NULL, 0, 0, 0, 0, false },
	{ "reset in mid-body", { LENGTH(5000), TEN, 123, "abcd", WIRE_RESET, 0 }, HTTP_CUT, ERR_RESET, NULL,
	  "of 5,000 body bytes", NULL, 0, 0, 0, 0, false },
	{ "reset in a chunk", { CHUNKED "a\r\n0123", NULL, 0, NULL, WIRE_RESET, 0 }, HTTP_CUT, ERR_RESET, NULL,
	  "before the last chunk", NULL, 0, 0, 0, 0, false },
	{ "reset of a close-framed body", { OK_HEAD "\r\nabc", NULL, 0, NULL, WIRE_RESET, 0 }, HTTP_CUT, ERR_RESET, NULL,
	  "reset after", NULL, 0, 0, 0, 0, false },
	{ "reset before a byte", { NULL, NULL, 0, NULL, WIRE_RESET, 0 }, HTTP_NO_ANSWER, ERR_RESET, "", "before an answer came",
	  NULL, 0, 0, 0, 0, false },
	{ "closed before a byte", { NULL, NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_NO_ANSWER, ERR_RESET, "",
	  "closed before an answer came", NULL, 0, 0, 0, 0, false },
	{ "closed in the head", { OK_HEAD "Content-Le", NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_NO_ANSWER, ERR_RESET, "",
	  "middle of the answer's head", NULL, 0, 0, 0, 0, false },
	{ "closed after a whole line", { OK_HEAD "A: b\r\n", NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_NO_ANSWER, ERR_RESET, "",
	  "middle of the answer's head", NULL, 0, 0, 0, 0, false },
	{ "no last chunk", { CHUNKED "3\r\nabc\r\n", NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_CUT, ERR_SHORT_BODY, "abc",
	  "closed after 3 body bytes, before the last chunk", NULL, 0, 0, 0, 0, false },
	{ "chunk size of letters", { CHUNKED "xyz\r\nabc\r\n", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_CUT, ERR_HTTP_MALFORMED, "",
	  "chunk", NULL, 0, 0, 0, 0, false },
	{ "chunk size too big", { CHUNKED "fffffffffffffffff\r\nabc\r\n", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_CUT,
	  ERR_HTTP_MALFORMED, "", "chunk", NULL, 0, 0, 0, 0, false },
	{ "differing lengths", { OK_HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", NULL, 0, NULL, WIRE_HANG, 0 },
	  HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "", NULL, NULL, 0, 0, 0, 0, false },
	{ "length and chunked", { OK_HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", NULL, 0,
				  NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "", "both", NULL, 0, 0, 0, 0,
	  false },
	{ "chunked and length", { OK_HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n", NULL, 0,
				  NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "", "both", NULL, 0, 0, 0, 0,
	  false },
	{ "negative length", { OK_HEAD "Content-Length: -5\r\n\r\nabc", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER,
	  ERR_HTTP_MALFORMED, "", NULL, NULL, 0, 0, 0, 0, false },
	{ "length beyond all", { OK_HEAD "Content-Length: 99999999999999999999999\r\n\r\nabc", NULL, 0, NULL, WIRE_HANG, 0 },
	  HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "", NULL, NULL, 0, 0, 0, 0, false },
	{ "transfer-encoding gzip", { OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", NULL, 0, NULL, WIRE_HANG, 0 },
	  HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "", NULL, NULL, 0, 0, 0, 0, false },
	{ "no HTTP at all", { "SSH-2.0-OpenSSH_9.2\r\n\r\n", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER, ERR_HTTP_MALFORMED,
	  "", NULL, NULL, 0, 0, 0, 0, false },
	{ "folded header", { OK_HEAD "A: b\r\n c\r\nContent-Length: 0\r\n\r\n", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER,
	  ERR_HTTP_MALFORMED, "", "folded", NULL, 0, 0, 0, 0, false },
	{ "bare line feeds", { "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER,
	  ERR_HTTP_MALFORMED, "", "ends without", NULL, 0, 0, 0, 0, false },
	{ "a bare line feed ends the head", { OK_HEAD "Content-Length: 3\r\n\nabc", NULL, 0, NULL, WIRE_HANG, 0 },
	  HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "", "ends without", NULL, 0, 0, 0, 0, false },
	{ "bare line feeds in an interim answer", { "HTTP/1.1 103 Hints\nA: b\n\n" LENGTH(3) "abc", NULL, 0, NULL, WIRE_HANG, 0 },
	  HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "", "ends without", NULL, 0, 0, 0, 0, false },
	{ "header flood", { OK_HEAD, "A: b\r\n", 10000, "\r\n", WIRE_HANG, 0 }, HTTP_NO_ANSWER, ERR_TOO_LARGE, "",
	  "head is longer than 20000", NULL, 0, 0, 0, 0, false },
	{ "endless header line", { OK_HEAD "A: ", TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN, 10000, "\r\n\r\n", WIRE_HANG, 0 },
	  HTTP_NO_ANSWER, ERR_TOO_LARGE, "", "a header line of the answer is too long", NULL, 0, 0, 0, 0, false },
	{ "1xx flood", { NULL, "HTTP/1.1 103 Hints\r\n\r\n", 100, LENGTH(0), WIRE_HANG, 0 }, HTTP_NO_ANSWER, ERR_TOO_LARGE, "",
	  "interim", NULL, 0, 0, 0, 0, false },
	{ "fat 1xx", { NULL, "HTTP/1.1 103 Hints\r\nL: " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "\r\nL: " TEN TEN TEN TEN TEN TEN
		       TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
		       TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
		       TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "\r\n\r\n",
		       30, LENGTH(0), WIRE_HANG, 0 }, HTTP_NO_ANSWER, ERR_TOO_LARGE, "", "head is longer", NULL, 0, 0, 0, 0,
	  false },
	{ "trailer flood", { CHUNKED "0\r\n", "T: " TEN TEN "\r\n", 1000, "\r\n", WIRE_HANG, 0 }, HTTP_CUT, ERR_TOO_LARGE, "",
	  NULL, NULL, 0, 0, 0, 0, false },
	{ "switching protocols", { "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER,
	  ERR_HTTP_MALFORMED, "", "101", NULL, 0, 0, 0, 0, false },
	{ "declared too large", { LENGTH(21) "0", NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_CUT, ERR_TOO_LARGE, "", "21 bytes", NULL,
	  0, 0, 0, 20, false },
	{ "chunked too large", { CHUNKED, "a\r\n" TEN "\r\n", 3, NULL, WIRE_HANG, 0 }, HTTP_CUT, ERR_TOO_LARGE, NULL,
	  "longer than 20 bytes", NULL, 0, 0, 0, 20, false },
	{ "first byte never comes", { NULL, NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_NO_ANSWER, ERR_TIMEOUT, "",
	  "no first byte of an answer within 50 ms", NULL, 50000, 0, 0, 0, false },
	{ "stalls in the body", { LENGTH(20) TEN, NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_CUT, ERR_TIMEOUT, TEN,
	  "not done within 60 ms", NULL, 0, 60000, 0, 0, false },
	{ "too slow", { LENGTH(20) TEN, NULL, 0, NULL, WIRE_HANG, 0 }, HTTP_CUT, ERR_TIMEOUT, TEN, "bytes a second", NULL, 0, 0,
	  50000, 0, false },
	{ "TLS asked, HTTP spoken", { "HTTP/1.1 400 Bad\r\n\r\n", NULL, 0, NULL, WIRE_CLOSE, 0 }, HTTP_NO_ANSWER, ERR_TLS, "",
	  NULL, "https", 0, 0, 0, 0, false },
	{ "reset in the TLS handshake", { NULL, NULL, 0, NULL, WIRE_RESET, 0 }, HTTP_NO_ANSWER, ERR_RESET, "", NULL, "https", 0,
	  0, 0, 0, false },
};

static void one_case(struct http *h, const struct wire_case *c)
{
	struct wire w;
	struct arena a = ARENA_INIT;
	wire_open(&w, &c->reply, 1);
	struct http_request r = request(url_of(&w, c->scheme ? c->scheme : "http", "127.0.0.1", &a));
	if (c->first_byte_us)
		r.first_byte_us = c->first_byte_us;
	if (c->total_us)
		r.total_us = c->total_us;
	if (c->max_body)
		r.max_body_bytes = c->max_body;
	if (c->low_speed_us) {
		r.low_speed_us = c->low_speed_us;
		r.low_speed_bytes_s = 100000;
	}
	struct http_exchange *x = ask(h, &r);
	if (x->outcome != c->outcome || x->err.code != c->code || (c->body && !str_eq_z(x->body, c->body)) ||
	    (c->words && !strstr(x->err.message, c->words)) || x->close_framed != c->close_framed)
		fail_msg("%s: outcome %d, %s (%s), body '%.*s'", c->name, (int)x->outcome, x->err.message,
			 err_name(x->err.code), STR_ARG(x->body));
	if (x->err.code != ERR_NONE) {
		assert_non_null(strstr(x->err.message, "GET http"));
		assert_null(strstr(x->err.message, "secret"));
	}
	assert_int_equal(x->no_tls, c->code == ERR_TLS); /* there is no other such case here */
	assert_true(!x->no_tls || strstr(err_hint_text(&x->err), "begin with http://"));
	if (x->outcome == HTTP_COMPLETE) {
		assert_true(x->sent_us > 0 && x->first_byte_us >= x->sent_us && x->done_us >= x->first_byte_us);
		assert_true(str_ends(x->head, STR("\r\n")) && !str_ends(x->head, STR("\r\n\r\n")));
		assert_true(str_starts(x->head, STR("HTTP/1.")));
	}
	http_exchange_free(x);
	wire_close(&w);
	arena_free(&a);
}

static void on_the_wire(void **state)
{
	(void)state;
	struct http *h = open_http(); /* one for all: what one answer broke must not reach the next */
	for (size_t i = 0; i < COUNT(wire_cases); i++)
		one_case(h, &wire_cases[i]);
	http_close(h);
}

static void kept_connection(void **state)
{
	(void)state;
	static const struct wire_reply replies[] = {
		{ "HTTP/1.1 201 Made\r\nX-A:  b \r\nContent-Length: 2\r\n\r\nok", NULL, 0, NULL, WIRE_KEEP, 0 },
		{ LENGTH(3) "abc", NULL, 0, NULL, WIRE_KEEP, 0 },
		{ LENGTH(3) , NULL, 0, NULL, WIRE_KEEP, 0 },
		{ LENGTH(1) "z", NULL, 0, NULL, WIRE_KEEP, 0 },
	};
	struct wire w;
	struct arena a = ARENA_INIT;
	struct http *h = open_http();
	wire_open(&w, replies, COUNT(replies));
	struct http_header headers[] = { { STR("Accept-Encoding"), STR("gzip") }, { STR("X-Empty"), STR("") },
					 { STR("User-Agent"), STR("test") } };
	struct http_request r = request(url_of(&w, "http", "127.0.0.1", &a));
	r.headers = headers;
	r.n_headers = COUNT(headers);
	r.user = &w;
	struct http_exchange *x = ask(h, &r);
	assert_int_equal(x->outcome, HTTP_COMPLETE);
	assert_int_equal(x->status, 201);
	assert_ptr_equal(x->user, &w);
	assert_text(x->head, "HTTP/1.1 201 Made\r\nX-A:  b \r\nContent-Length: 2\r\n");
	assert_int_equal(x->n_headers, 2);
	assert_text(http_header_get(x, "x-a"), "b");
	assert_null(http_header_get(x, "x-b").p);
	struct str want = arena_format(&a, "GET /p/../q?token=secret HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: */*\r\n"
				       "Accept-Encoding: gzip\r\nX-Empty:\r\nUser-Agent: test\r\n", w.port);
	assert_text(x->request_head, arena_zero_terminated(&a, want));
	char address[64];
	snprintf(address, sizeof address, "127.0.0.1:%u", w.port);
	assert_string_equal(x->remote_address, address);
	http_exchange_free(x);
	r.method = STR("POST");
	r.body = STR("{\"a\":1}");
	x = ask(h, &r);
	assert_text(x->body, "abc");
	assert_true(str_starts(x->request_head, STR("POST /p/../q?token=secret HTTP/1.1\r\n")));
	assert_true(str_contains(x->request_head, STR("Content-Length: 7\r\n")));
	assert_false(str_contains(x->request_head, STR("Content-Type")));
	http_exchange_free(x);
	r.method = STR("HEAD");
	r.body = STR_NONE;
	x = ask(h, &r);
	assert_int_equal(x->outcome, HTTP_COMPLETE);
	assert_int_equal(x->body.n, 0);
	http_exchange_free(x);
	r.method = STR("DELETE");
	x = ask(h, &r);
	assert_text(x->body, "z");
	http_exchange_free(x);
	assert_int_equal(atomic_load(&w.connections), 1);
	assert_non_null(strstr(w.seen, "\r\n\r\n{\"a\":1}HEAD /p/../q"));
	/* The connection was opened while private addresses were allowed; now they are not. */
	r.method = STR("GET");
	r.allow_private = false;
	x = ask(h, &r);
	assert_int_equal(x->err.code, ERR_ADDRESS);
	assert_int_equal(atomic_load(&w.requests), 4);
	http_exchange_free(x);
	http_close(h);
	wire_close(&w);
	arena_free(&a);
}

/* The server closes a kept connection at the moment of the next request: told, and never sent again unasked. */
static void keep_alive_race(void **state)
{
	(void)state;
	static const struct wire_reply replies[] = {
		{ LENGTH(1) "1", NULL, 0, NULL, WIRE_KEEP, 0 },
		{ NULL, NULL, 0, NULL, WIRE_CLOSE, 0 },
		{ LENGTH(1) "2", NULL, 0, NULL, WIRE_KEEP, 0 },
	};
	for (int post = 0; post < 2; post++) {
		struct wire w;
		struct arena a = ARENA_INIT;
		struct http *h = open_http();
		wire_open(&w, replies, COUNT(replies));
		struct http_request r = request(url_of(&w, "http", "127.0.0.1", &a));
		http_exchange_free(ask(h, &r));
		if (post) {
			r.method = STR("POST");
			r.body = STR("x");
		}
		struct http_exchange *x = ask(h, &r);
		assert_int_equal(x->outcome, HTTP_NO_ANSWER);
		assert_int_equal(x->err.code, ERR_RESET);
		assert_true(x->kept_was_closed);
		assert_true(x->sent_us > 0);
		assert_int_equal(str_find(x->request_head, post ? STR("POST") : STR("GET")), 0);
		assert_int_equal(atomic_load(&w.requests), 2);
		http_exchange_free(x);
		r.fresh_connection = true;
		x = ask(h, &r);
		assert_int_equal(x->outcome, HTTP_COMPLETE);
		assert_false(x->kept_was_closed);
		assert_text(x->body, "2");
		assert_int_equal(atomic_load(&w.requests), 3);
		http_exchange_free(x);
		http_close(h);
		wire_close(&w);
		arena_free(&a);
	}
}

static void refused_addresses(void **state)
{
	(void)state;
	static const char *const hosts[] = { "127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "0.0.0.0",
					     "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "127.1",
					     "[64:ff9b::7f00:1]" };
	struct wire w;
	struct arena a = ARENA_INIT;
	struct http *h = open_http();
	static const struct wire_reply reply = { LENGTH(0), NULL, 0, NULL, WIRE_KEEP, 0 };
	wire_open(&w, &reply, 1);
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct http_request r = request(url_of(&w, "http", hosts[i], &a));
		r.allow_private = false;
		struct http_exchange *x = ask(h, &r);
		if (x->outcome != HTTP_NO_ANSWER || x->err.code != ERR_ADDRESS)
			fail_msg("%s: %s", hosts[i], x->err.message);
		http_exchange_free(x);
	}
	assert_int_equal(atomic_load(&w.connections), 0);
	http_close(h);
	wire_close(&w);
	arena_free(&a);
}

static void cannot_be_sent(void **state)
{
	(void)state;
	static const char *const urls[] = { "ftp://127.0.0.1/", "file:///etc/passwd", "http://u:p@127.0.0.1/", "127.0.0.1",
					    "", "http://", "gopher://h/", "http://h:99999/" };
	struct http *h = open_http();
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct http_request r = request(str_from(urls[i]));
		struct err e = ERR_INIT;
		if (http_start(h, &r, &e) || e.code != ERR_CONFIG)
			fail_msg("%s: %s", urls[i], e.message);
	}
	http_close(h);
}

/* Again and again, by a handle whose transfer ended before it had a connection: no resolver is asked for so long a label. */
static void no_such_name(void **state)
{
	(void)state;
	struct http *h = open_http();
	struct wire w;
	struct arena a = ARENA_INIT;
	static const struct wire_reply reply = { LENGTH(1) "1", NULL, 0, NULL, WIRE_KEEP, 0 };
	for (int i = 0; i < 3; i++) {
		struct http_request r = request(STR("http://a2345678901234567890123456789012345678901234567890123456789012345.invalid/"));
		struct http_exchange *x = ask(h, &r);
		if (x->outcome != HTTP_NO_ANSWER || !strstr(x->err.message, "resolve"))
			fail_msg("%d: %s: %s", i, err_name(x->err.code), x->err.message);
		http_exchange_free(x);
	}
	wire_open(&w, &reply, 1); /* and then it is as good as new */
	struct http_request good = request(url_of(&w, "http", "127.0.0.1", &a));
	struct http_exchange *x = ask(h, &good);
	assert_text(x->body, "1");
	http_exchange_free(x);
	http_close(h);
	wire_close(&w);
	arena_free(&a);
}

static void nobody_listens(void **state)
{
	(void)state;
	struct wire w;
	struct arena a = ARENA_INIT;
	struct http *h = open_http();
	static const struct wire_reply reply = { LENGTH(0), NULL, 0, NULL, WIRE_KEEP, 0 };
	wire_open(&w, &reply, 1);
	wire_close(&w);
	struct http_request r = request(url_of(&w, "http", "127.0.0.1", &a));
	struct http_exchange *x = ask(h, &r);
	assert_int_equal(x->err.code, ERR_CONNECT);
	assert_int_equal(x->sent_us, 0);
	assert_string_equal(x->remote_address, "");
	http_exchange_free(x);
	r.url = STR("http://no-such-host.invalid/x?secret");
	x = ask(h, &r);
	if (x->err.code != ERR_RESOLVE)
		fail_msg("%s", x->err.message);
	assert_null(strstr(x->err.message, "secret"));
	http_exchange_free(x);
	http_close(h);
	arena_free(&a);
}

/* curl is held against the same cases (test/e2e/test_proxy.py). */
static void past_the_proxy(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct str all, line;
	struct err e = ERR_INIT;
	size_t n = 0;
	static const char *const own[] = { "localhost", "LOCALHOST", "a.localhost", "localhost.", "127.0.0.1", "127.9.8.7", "[::1]",
					   "[0:0::1]", "[::ffff:127.0.0.1]" };
	static const char *const others[] = { "localhost.test", "xlocalhost", "128.0.0.1", "[::2]", "[::ffff:10.0.0.1]", "127.0.0.1.test" };
	assert_true(file_read(TEST_DATA "/driver/no_proxy.ndjson", 1 << 16, &a, &all, &e));
	for (; str_cut(&all, '\n', &line); n++) {
		struct json_node *c;
		assert_true(json_parse(line, &a, &c, &e));
		bool direct = json_get(c, "direct")->type == JSON_TRUE;
		if (http_goes_direct(json_str_or(c, "host", STR_NONE), json_str_or(c, "no_proxy", STR_NONE), false) != direct)
			fail_msg("%.*s", STR_ARG(line));
	}
	assert_true(n >= 40);
	for (size_t i = 0; i < COUNT(own); i++) {
		assert_true(http_goes_direct(str_from(own[i]), STR_NONE, false));
		assert_false(http_goes_direct(str_from(own[i]), STR("test"), true));
	}
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(http_goes_direct(str_from(others[i]), STR_NONE, false));
	arena_free(&a);
}

/* What goes past the proxy is not the proxy's to judge. */
static void addresses_past_the_proxy(void **state)
{
	(void)state;
	struct wire w, between;
	struct arena a = ARENA_INIT;
	static const struct wire_reply reply = { LENGTH(3) "abc", NULL, 0, NULL, WIRE_KEEP, 0 };
	wire_open(&w, &reply, 1);
	wire_open(&between, &reply, 1);
	struct str proxy = url_of(&between, "http", "127.0.0.1", &a);
	setenv("SLUICE_PROXY", arena_zero_terminated(&a, proxy), 1);
	setenv("NO_PROXY", "127.0.0.1", 1);
	for (int loopback = 0; loopback < 2; loopback++) {
		setenv("SLUICE_PROXY_LOOPBACK", loopback ? "true" : "", 1);
		struct http *h = open_http();
		struct http_request r = request(url_of(&w, "http", "127.0.0.1", &a));
		r.allow_private = false;
		struct http_exchange *x = ask(h, &r);
		assert_int_equal(x->err.code, ERR_ADDRESS);
		http_exchange_free(x);
		http_close(h);
	}
	unsetenv("NO_PROXY");
	unsetenv("SLUICE_PROXY");
	unsetenv("SLUICE_PROXY_LOOPBACK");
	wire_close(&between);
	wire_close(&w);
	arena_free(&a);
}

/* The proxy's own password goes to the proxy and into no record of the request. */
static void through_a_proxy(void **state)
{
	(void)state;
	struct wire w;
	struct arena a = ARENA_INIT;
	static const struct wire_reply reply = { LENGTH(3) "abc", NULL, 0, NULL, WIRE_KEEP, 0 };
	wire_open(&w, &reply, 1);
	setenv("http_proxy", "http://127.0.0.1:1", 1); /* without effect */
	struct str proxy = arena_format(&a, "http://user:password@127.0.0.1:%u", w.port);
	setenv("SLUICE_PROXY", arena_zero_terminated(&a, proxy), 1);
	struct http *h = open_http();
	unsetenv("SLUICE_PROXY");
	struct http_request r = request(STR("http://api.invalid/x"));
	r.allow_private = false;
	struct http_exchange *x = ask(h, &r);
	assert_text(x->body, "abc");
	assert_non_null(strstr(w.seen, "Proxy-Authorization: Basic"));
	assert_true(str_starts(x->request_head, STR("GET http://api.invalid/x HTTP/1.1\r\nHost: api.invalid\r\n")));
	assert_false(str_contains(x->request_head, STR("Proxy-Authorization")));
	assert_true(str_ends(x->request_head, STR("\r\n")) && !str_contains(x->request_head, STR("\r\n\r\n")));
	http_exchange_free(x);
	http_close(h);
	h = open_http();
	r.url = url_of(&w, "http", "127.0.0.1", &a);
	r.allow_private = true;
	x = ask(h, &r);
	assert_text(x->body, "abc");
	http_exchange_free(x);
	http_close(h);
	unsetenv("http_proxy");
	wire_close(&w);
	arena_free(&a);
}

static void *wake_soon(void *h)
{
	http_wake(h);
	return NULL;
}

static void waking_and_cancelling(void **state)
{
	(void)state;
	struct wire w;
	struct arena a = ARENA_INIT;
	struct http *h = open_http();
	pthread_t thread;
	static const struct wire_reply reply = { NULL, NULL, 0, NULL, WIRE_HANG, 0 };
	wire_open(&w, &reply, 1);
	struct clock *clock = clock_system();
	int64_t begin = clock->monotonic_us(clock);
	assert_null(http_wait(h, 0));
	assert_null(http_wait(h, 2000));
	assert_true(clock->monotonic_us(clock) - begin >= 2000);
	struct http_request r = request(url_of(&w, "http", "127.0.0.1", &a));
	struct err e = ERR_INIT;
	assert_true(http_start(h, &r, &e));
	assert_int_equal(pthread_create(&thread, NULL, wake_soon, h), 0);
	assert_null(http_wait(h, 10000000));
	pthread_join(thread, NULL);
	http_wake(h);
	assert_null(http_wait(h, 10000000));
	assert_true(clock->monotonic_us(clock) - begin < 1500000);
	http_cancel_all(h);
	assert_null(http_wait(h, 1000));
	assert_true(http_start(h, &r, &e));
	assert_null(http_wait(h, 1000));
	http_close(h); /* with one under way */
	wire_close(&w);
	arena_free(&a);
}

static void many_at_once(void **state)
{
	(void)state;
	static const struct wire_reply reply = { LENGTH(50000), TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN, 500, NULL, WIRE_CLOSE,
						 0 };
	struct wire w;
	struct arena a = ARENA_INIT;
	struct http *h = open_http();
	struct err e = ERR_INIT;
	wire_open(&w, &reply, 1);
	struct http_request r = request(url_of(&w, "http", "127.0.0.1", &a));
	enum { N = 20 };
	unsigned seen = 0;
	for (uintptr_t i = 0; i < N; i++) {
		r.user = (void *)i;
		assert_true(http_start(h, &r, &e));
	}
	for (int i = 0; i < N; i++) {
		struct http_exchange *x = http_wait(h, 5000000);
		assert_non_null(x);
		assert_int_equal(x->outcome, HTTP_COMPLETE);
		assert_int_equal(x->body.n, 50000);
		seen |= 1u << (uintptr_t)x->user;
		http_exchange_free(x);
	}
	assert_int_equal(seen, (1u << N) - 1);
	http_close(h);
	wire_close(&w);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_the_wire),	     cmocka_unit_test(kept_connection),
		cmocka_unit_test(keep_alive_race),   cmocka_unit_test(refused_addresses), cmocka_unit_test(no_such_name),
		cmocka_unit_test(cannot_be_sent),    cmocka_unit_test(nobody_listens),
		cmocka_unit_test(waking_and_cancelling), cmocka_unit_test(many_at_once),
		cmocka_unit_test(through_a_proxy), cmocka_unit_test(past_the_proxy),
		cmocka_unit_test(addresses_past_the_proxy),
	};
	return cmocka_run_group_tests_name("driver/http_curl", tests, NULL, NULL);
}
