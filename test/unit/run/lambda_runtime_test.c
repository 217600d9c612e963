/* The Runtime API's client before a fake of it: what is asked again, what is given up, what is said. */
#include "unit.h"

#include "base/log.h"
#include "run/lambda_runtime.h"

#include <stdlib.h>

enum { ROWS_MAX = 16 };

struct fixture {
	struct clock_fake clock;
	struct http *http;
	struct lambda_runtime r;
	struct arena a;
	struct err e;
	volatile int stop;
};

#define NEXT "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next"
#define EVENT(more) "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\n" more "Content-Length: 2\r\n\r\n{}"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"

static void begin(struct fixture *f, const struct http_fake_row *rows, size_t n)
{
	memset(f, 0, sizeof *f);
	f->e = ERR_INIT;
	clock_fake_init(&f->clock, 1700000000000000);
	assert_true(http_open_fake(&f->clock, rows, n, &f->http, &f->e));
	assert_true(lambda_open(&f->r, f->http, &f->clock.clock, "127.0.0.1:9001", &f->stop, &f->e));
}

static void end(struct fixture *f)
{
	http_close(f->http);
	arena_free(&f->a);
}

static size_t asked(struct fixture *f, const char *part)
{
	struct str t = http_fake_transcript(f->http, &f->a);
	size_t n = 0;
	for (size_t at; (at = str_find(t, str_from(part))) < t.n; n++)
		t = str_sub(t, at + 1, t.n);
	return n;
}

#define ROW(method_, url_, ...) { .method = { method_, sizeof method_ - 1 }, .url_glob = { url_, sizeof url_ - 1 }, __VA_ARGS__ }
#define RAW(text) .raw = { text, sizeof text - 1 }

static void an_event(void **state)
{
	static const struct http_fake_row rows[] = {
		ROW("GET", NEXT, .times = 1, RAW(EVENT("Lambda-Runtime-Deadline-Ms: 1700000009000\r\nLambda-Runtime-Trace-Id: Root=1-a\r\n"
						      "Lambda-Runtime-Aws-Tenant-Id: t7\r\nLambda-Runtime-Invocation-Id: inv-3\r\n"))),
		ROW("POST", "*/invocation/id-1/response", .times = 1, RAW(STATUS("202 Accepted"))),
	};
	struct fixture f;
	struct lambda_invocation i;
	(void)state;
	begin(&f, rows, COUNT(rows));
	int64_t now = f.clock.clock.monotonic_us(&f.clock.clock);
	assert_true(lambda_next(&f.r, &f.a, &i, &f.e));
	assert_text(i.request_id, "id-1");
	assert_text(i.trace_id, "Root=1-a");
	assert_text(i.tenant_id, "t7");
	assert_text(i.body, "{}");
	assert_true(i.deadline_us - now <= 9000000 && i.deadline_us - now >= 8900000);
	assert_true(lambda_respond(&f.r, &i, STR("{\"status\":\"done\"}"), &f.e));
	assert_int_equal(asked(&f, "Lambda-Runtime-Invocation-Id: inv-3"), 1);
	end(&f);
}

static void next_is_asked_again(void **state)
{
	static const struct http_fake_row rows[] = {
		ROW("GET", NEXT, .times = 1, .fail = ERR_RESET, .kept_was_closed = true),
		ROW("GET", NEXT, .times = 2, .fail = ERR_CONNECT),
		ROW("GET", NEXT, .times = 1, RAW(EVENT(""))),
		ROW("GET", NEXT, .times = 1, RAW("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")),
		ROW("GET", NEXT, .times = 1, RAW("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: ../../x\r\nContent-Length: 2\r\n\r\n{}")),
		ROW("GET", NEXT, .times = 1, RAW(EVENT("Lambda-Runtime-Deadline-Ms: -7\r\n"))),
		ROW("GET", NEXT, .times = 0, RAW("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")),
	};
	struct fixture f;
	struct lambda_invocation i;
	(void)state;
	begin(&f, rows, COUNT(rows));
	assert_true(lambda_next(&f.r, &f.a, &i, &f.e));
	assert_int_equal(i.deadline_us, 0); /* it came without one */
	assert_int_equal(asked(&f, "GET"), 4);
	assert_true(lambda_next(&f.r, &f.a, &i, &f.e)); /* two could not have been answered */
	assert_int_equal(i.deadline_us, 0);
	assert_int_equal(asked(&f, "GET"), 7);
	assert_false(lambda_next(&f.r, &f.a, &i, &f.e));
	assert_int_equal(f.e.code, ERR_HTTP_MALFORMED);
	end(&f);
}

static void next_is_given_up(void **state)
{
	static const struct {
		struct http_fake_row row;
		enum err_code code;
	} cases[] = {
		{ ROW("GET", NEXT, .times = 0, .fail = ERR_CONNECT), ERR_CONNECT },
		{ ROW("GET", NEXT, .times = 0, RAW(STATUS("500 Internal Server Error"))), ERR_HTTP_STATUS },
		{ ROW("GET", NEXT, .times = 0, RAW(STATUS("403 Forbidden"))), ERR_HTTP_STATUS },
	};
	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct fixture f;
		struct lambda_invocation i;
		begin(&f, &cases[k].row, 1);
		assert_false(lambda_next(&f.r, &f.a, &i, &f.e));
		assert_int_equal(f.e.code, cases[k].code);
		assert_int_equal(asked(&f, "GET"), cases[k].code == ERR_CONNECT ? LAMBDA_TRIES : 1);
		end(&f);
	}
}

static void an_event_that_is_cut(void **state)
{
	static const struct http_fake_row rows[] = {
		ROW("GET", NEXT, .times = 1, .fail = ERR_RESET, RAW("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\nContent-Length: 20\r\n\r\n{\"a")),
	};
	struct fixture f;
	struct lambda_invocation i;
	(void)state;
	begin(&f, rows, COUNT(rows));
	assert_true(lambda_next(&f.r, &f.a, &i, &f.e));
	assert_true(i.unread.code != ERR_NONE);
	assert_int_equal(i.body.n, 0);
	end(&f);
}

static void answers(void **state)
{
	static const struct {
		const char *what;
		struct http_fake_row rows[3];
		size_t n;
		bool ok;
		size_t posts, errors;
	} cases[] = {
		{ "taken, and the word lost: the second is refused, and that is well",
		  { ROW("POST", "*/response", .times = 1, .fail = ERR_RESET), ROW("POST", "*/response", .times = 1, RAW(STATUS("400 Bad"))) }, 2, true, 2, 0 },
		{ "too late", { ROW("POST", "*/response", .times = 1, RAW(STATUS("400 Bad"))) }, 1, true, 1, 0 },
		{ "too large", { ROW("POST", "*/response", .times = 1, RAW(STATUS("413 Large"))), ROW("POST", "*/error", .times = 1, RAW(STATUS("202 OK"))) },
		  2, true, 2, 1 },
		{ "over", { ROW("POST", "*/response", .times = 1, RAW(STATUS("500 Container"))) }, 1, false, 1, 0 },
		{ "nobody", { ROW("POST", "*/response", .times = 0, .fail = ERR_CONNECT) }, 1, false, LAMBDA_TRIES, 0 },
	};
	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct fixture f;
		struct lambda_invocation i = { .request_id = STR("id-1") };
		begin(&f, cases[k].rows, cases[k].n);
		bool ok = lambda_respond(&f.r, &i, STR("{}"), &f.e);
		if (ok != cases[k].ok || asked(&f, "POST") != cases[k].posts || asked(&f, "/error\n") != cases[k].errors)
			fail_msg("%s: %s\n%.*s", cases[k].what, f.e.message, STR_ARG(http_fake_transcript(f.http, &f.a)));
		end(&f);
	}
}

static void failures(void **state)
{
	static const struct http_fake_row rows[] = {
		ROW("POST", "*/invocation/id-1/error", .times = 1, RAW(STATUS("202 OK"))),
		ROW("POST", "*/runtime/init/error", .times = 1, RAW(STATUS("202 OK"))),
	};
	struct fixture f;
	struct lambda_invocation i = { .request_id = STR("id-1") };
	struct err why = ERR_INIT;
	(void)state;
	begin(&f, rows, COUNT(rows));
	err_set(&why, ERR_HTTP_STATUS, "line one\r\nInjected: yes \xc3\xa9 \"quoted\"");
	assert_true(lambda_fail(&f.r, &i, &why, &f.e));
	assert_true(lambda_fail_init(&f.r, &why, &f.e));
	assert_int_equal(asked(&f, "Lambda-Runtime-Function-Error-Type: Function.HttpStatus"), 2);
	assert_int_equal(asked(&f, "\"message\":\"line one??Injected: yes ?? \\\"quoted\\\"\""), 2);
	assert_int_equal(asked(&f, "\nInjected"), 0);
	assert_text(lambda_error_type(ERR_PAGE_LOOP, &f.a), "Function.PageLoop");
	assert_text(lambda_error_type(ERR_CONFIG, &f.a), "Function.Config");
	end(&f);
}

static void a_signal_ends_the_wait(void **state)
{
	static const struct http_fake_row rows[] = { ROW("GET", NEXT, .times = 1, .delay_us = 3600000000, RAW(EVENT(""))) };
	struct fixture f;
	struct lambda_invocation i;
	(void)state;
	begin(&f, rows, COUNT(rows));
	f.stop = 15;
	assert_false(lambda_next(&f.r, &f.a, &i, &f.e));
	assert_int_equal(f.e.code, ERR_SIGTERM);
	end(&f);
}

static void no_time_out_while_it_waits(void **state)
{
	static const struct http_fake_row rows[] = { ROW("GET", NEXT, .times = 1, .delay_us = 600 * 1000000ll, RAW(EVENT(""))) };
	struct fixture f;
	struct lambda_invocation i;
	(void)state;
	begin(&f, rows, COUNT(rows));
	assert_true(lambda_next(&f.r, &f.a, &i, &f.e));
	assert_int_equal(asked(&f, "GET"), 1);
	end(&f);
}

static void the_extension(void **state)
{
	static const struct http_fake_row rows[] = {
		ROW("POST", "*/2020-01-01/extension/register", .times = 1, RAW("HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: x-1\r\nContent-Length: 2\r\n\r\n{}")),
		ROW("GET", "*/2020-01-01/extension/event/next", .times = 1, .delay_us = 86400000000, RAW(STATUS("200 OK"))),
		ROW("GET", NEXT, .times = 1, RAW(EVENT(""))),
	};
	static const struct http_fake_row without[] = { ROW("POST", "*", .times = 0, RAW(STATUS("404 Not Found"))) };
	struct fixture f;
	struct lambda_invocation i;
	(void)state;
	begin(&f, rows, COUNT(rows));
	lambda_register(&f.r);
	assert_true(f.r.extension_waits);
	assert_int_equal(asked(&f, "Lambda-Extension-Identifier: x-1"), 1);
	assert_true(lambda_next(&f.r, &f.a, &i, &f.e)); /* the other question stays open */
	end(&f);
	begin(&f, without, COUNT(without));
	lambda_register(&f.r);
	assert_false(f.r.extension_waits);
	end(&f);
}

static void where_it_is(void **state)
{
	static const char *const bad[] = { NULL, "", "127.0.0.1:9001/x", "a b", "user@host:1", "h\r\nX: y" };
	struct fixture f;
	(void)state;
	begin(&f, NULL, 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		f.e = ERR_INIT;
		assert_false(lambda_open(&f.r, f.http, &f.clock.clock, bad[i], NULL, &f.e));
		assert_int_equal(f.e.code, ERR_USAGE);
	}
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event), cmocka_unit_test(next_is_asked_again), cmocka_unit_test(next_is_given_up),
		cmocka_unit_test(an_event_that_is_cut), cmocka_unit_test(answers), cmocka_unit_test(failures),
		cmocka_unit_test(a_signal_ends_the_wait), cmocka_unit_test(no_time_out_while_it_waits), cmocka_unit_test(the_extension),
		cmocka_unit_test(where_it_is),
	};
	log_like_lambda("JSON", "FATAL");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
