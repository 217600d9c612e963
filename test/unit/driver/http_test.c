/* Addresses, heads, and the fake transport. */
#include "unit.h"

#include "driver/http_head.h"

static void addresses(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool is_private;
	} table[] = {
		{ "0.0.0.0", true }, { "0.1.2.3", true }, { "10.0.0.1", true }, { "10.255.255.255", true },
		{ "9.255.255.255", false }, { "11.0.0.0", false }, { "100.63.255.255", false }, { "100.64.0.0", true },
		{ "100.127.255.255", true }, { "100.128.0.0", false }, { "127.0.0.1", true }, { "127.255.255.254", true },
		{ "126.255.255.255", false }, { "128.0.0.1", false }, { "169.253.255.255", false }, { "169.254.0.1", true },
		{ "169.254.169.254", true }, { "169.255.0.0", false }, { "172.15.255.255", false }, { "172.16.0.0", true },
		{ "172.31.255.255", true }, { "172.32.0.0", false }, { "192.0.0.8", true }, { "192.0.1.0", false },
		{ "192.0.2.1", true }, { "192.88.99.1", true }, { "192.167.255.255", false }, { "192.168.0.0", true },
		{ "192.168.255.255", true }, { "192.169.0.0", false }, { "198.17.255.255", false }, { "198.18.0.0", true },
		{ "198.19.255.255", true }, { "198.20.0.0", false }, { "198.51.100.9", true }, { "203.0.113.9", true },
		{ "203.0.114.0", false }, { "223.255.255.255", false }, { "224.0.0.1", true }, { "239.255.255.255", true },
		{ "240.0.0.1", true }, { "255.255.255.255", true }, { "8.8.8.8", false }, { "1.1.1.1", false },
		{ "::", true }, { "::1", true }, { "::7f00:1", true }, { "::8.8.8.8", false }, { "::10.0.0.1", true },
		{ "::ffff:127.0.0.1", true }, { "::ffff:7f00:1", true }, { "::FFFF:169.254.169.254", true },
		{ "::ffff:8.8.8.8", false }, { "::ffff:0:10.1.2.3", true }, { "::ffff:0:8.8.8.8", false },
		{ "64:ff9b::127.0.0.1", true }, { "64:ff9b::a00:1", true }, { "64:ff9b::8.8.8.8", false },
		{ "64:ff9b:1::8.8.8.8", true }, { "64:ff9b:2::1", false }, { "100::1", true }, { "100:0:0:1::1", false },
		{ "2001::1", true }, { "2001:1ff::", true }, { "2001:200::1", false }, { "2001:db8::1", true },
		{ "2001:db9::1", false }, { "2002:7f00:1::", true }, { "2002:c0a8:101::1", true }, { "2002:808:808::1", false },
		{ "2606:4700:4700::1111", false }, { "2a00:1450:4001::8a", false }, { "3fff::1", true }, { "4000::1", false },
		{ "5f00::1", true }, { "fbff::1", false }, { "fc00::", true }, { "fd12:3456::1", true }, { "fdff::", true },
		{ "fe00::1", false }, { "fe80::1", true }, { "fe80::1%eth0", true }, { "febf::1", true }, { "fec0::1", true },
		{ "ff00::", true }, { "ff02::1", true }, { "ffff::1", true },
		/* no numeric address, as the resolver would give it: nothing is known, so refused */
		{ "", true }, { "localhost", true }, { "2130706433", true }, { "0177.0.0.1", true }, { "0x7f000001", true },
		{ "8.8.8", true }, { "8.8.8.8 ", true }, { "[::1]", true }, { "8.8.8.8:80", true },
	};
	for (size_t i = 0; i < COUNT(table); i++)
		if (http_address_is_private(table[i].address) != table[i].is_private)
			fail_msg("'%s' is %sprivate", table[i].address, table[i].is_private ? "" : "not ");
}

static void heads(void **state)
{
	(void)state;
	static const struct {
		const char *head, *want; /* "status name=value|..." then " length N", " chunked", " close"; or "!words" */
	} table[] = {
		{ "HTTP/1.1 200 OK\r\nA: b\r\nC:\t d e \t\r\n", "200 A=b|C=d e| close" },
		{ "HTTP/1.1 200\r\n", "200 close" },
		{ "HTTP/1.0 404 Not Found\r\nA:b\r\n", "404 A=b| close" },
		{ "HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\n", "200 content-LENGTH=12| length 12" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
		  "200 Content-Length=5|Content-Length=5| length 5" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n", "200 Content-Length=5, 5| length 5" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n", "200 Transfer-Encoding=Chunked| chunked" },
		{ "HTTP/1.1 204 No\r\nContent-Length: 9\r\n", "204 Content-Length=9| none" },
		{ "HTTP/1.1 304 No\r\n", "304 none" },
		{ "HTTP/1.1 200 OK\r\nEmpty:\r\n", "200 Empty=| close" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "!differ" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5,6\r\n", "!differ" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", "!not a length" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n", "!not a length" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n", "!not a length" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n", "!not a length" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n", "!not a length" },
		{ "HTTP/1.1 200 OK\r\nContent-Length:\r\n", "!empty" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "!both" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "!not one" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", "!not one" },
		{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", "!HTTP/1.0" },
		{ "HTTP/2 200\r\n", "!status line" }, { "HTTP/1.1 20 OK\r\n", "!status line" },
		{ "HTTP/1.1 2000 OK\r\n", "!status line" }, { "HTTP/1.1 099 OK\r\n", "!status line" },
		{ "ICY 200 OK\r\n", "!status line" }, { "", "!no head" }, { "HTTP/1.1 200 \x1b[2J\r\n", "!status line" },
		{ "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n", "!folded" }, { "HTTP/1.1 200 OK\r\nA b\r\n", "!no colon" },
		{ "HTTP/1.1 200 OK\r\nA : b\r\n", "!not a token" }, { "HTTP/1.1 200 OK\r\n: b\r\n", "!not a token" },
		{ "HTTP/1.1 200 OK\r\nA: b\rc\r\n", "!control" }, { "HTTP/1.1 200 OK\r\nA: \x01\r\n", "!control" },
		{ "HTTP/1.1 200 OK\r\n\r\nA: b\r\n", "!empty" },
		/* RFC 9112 lets us take a bare LF; what is kept of the answer would not be HTTP for others, so it is refused. */
		{ "HTTP/1.1 200 OK\nA: b\r\n", "!the status line ends without" },
		{ "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n", "!header line 1 ends without" }, { "HTTP/1.1 200 OK\r\nA: b\n", "!header line 1 ends without" },
		{ "HTTP/1.1 200 OK\r\nA: b", "!header line 1 ends without" }, { "HTTP/1.1 200 OK\r\nA: b\r", "!header line 1 ends without" },
		{ "HTTP/1.1 200 OK\r\n\nA: b\r\n", "!header line 1 ends without" },
		/* Values of the server are shown whole and printable, or not at all: no half of a secret is in a message. */
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n", "!not a length: '0x10'" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5, a,b\r\n", "!not a length: '5, a,b'" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: 1234567890123456789012345678901234567890\r\n",
		  "!not one 'chunked': '1234567890123456789012345678901234567890'" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: 12345678901234567890123456789012345678901\r\n",
		  "!not one 'chunked': a value of 41 bytes" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: \xc3\xa9\r\n", "!not one 'chunked': a value of 2 bytes" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: a\tb\r\n", "!not a length: a value of 3 bytes" },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_exchange x = { .head = str_from(table[i].head) };
		struct http_framing f = { 0 };
		struct err e = ERR_INIT;
		struct buf got = BUF_INIT(1000);
		if (!http_head_parse(&x, &e) || !http_framing(&x, STR("GET"), &f, &e)) {
			if (table[i].want[0] != '!' || !strstr(e.message, table[i].want + 1))
				fail_msg("head %zu: %s", i, e.message);
			assert_int_equal(e.code, ERR_HTTP_MALFORMED);
		} else {
			buf_addf(&got, "%u ", x.status);
			for (size_t k = 0; k < x.n_headers; k++)
				buf_addf(&got, "%.*s=%.*s|", STR_ARG(x.headers[k].name), STR_ARG(x.headers[k].value));
			buf_add_z(&got, x.n_headers ? " " : "");
			if (f.no_body)
				buf_add_z(&got, "none");
			else if (f.has_length)
				buf_addf(&got, "length %d", (int)f.length);
			else
				buf_add_z(&got, f.chunked ? "chunked" : "close");
			assert_text(buf_str(&got), table[i].want);
		}
		buf_free(&got);
		arena_free(&x.arena);
	}
}

static void header_with_nul(void **state)
{
	(void)state;
	struct http_exchange x = { .head = STR("HTTP/1.1 200 OK\r\nA: b\0c\r\n") };
	struct err e = ERR_INIT;
	assert_false(http_head_parse(&x, &e));
	assert_non_null(strstr(e.message, "control"));
	arena_free(&x.arena);
}

static void requests(void **state)
{
	(void)state;
	static const struct {
		const char *method, *url, *name, *value;
		bool ok;
	} table[] = {
		{ "GET", "http://h/", "A", "b", true },	     { "GET", "http://h/", "A", "", true },
		{ "GET", "http://h/", "A", "x\ty", true },   { "GET ", "http://h/", "A", "b", false },
		{ "", "http://h/", "A", "b", false },	     { "GET", "http://h/ x", "A", "b", false },
		{ "GET", "http://h/\r\nX: y", "A", "b", false }, { "GET", "http://h/\xc3\xa9", "A", "b", false },
		{ "GET", "http://h/", "A b", "c", false },   { "GET", "http://h/", "", "c", false },
		{ "GET", "http://h/", "A", "b\r\nC: d", false }, { "GET", "http://h/", "A", "b\n", false },
		{ "GET", "http://h/", "content-length", "1", false },
		{ "GET", "http://h/", "Transfer-Encoding", "chunked", false },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_header h = { str_from(table[i].name), str_from(table[i].value) };
		struct http_request r = { .method = str_from(table[i].method), .url = str_from(table[i].url),
					  .headers = &h, .n_headers = 1 };
		struct err e = ERR_INIT;
		if (http_request_check(&r, &e) != table[i].ok)
			fail_msg("request %zu", i);
		assert_int_equal(e.code, table[i].ok ? ERR_NONE : ERR_CONFIG);
	}
}

/* ── the fake ── */

static struct http_request get(const char *url)
{
	return (struct http_request){ .method = STR("GET"), .url = str_from(url), .max_header_bytes = 200,
				      .max_body_bytes = 20 };
}

static void fake_answers(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		enum err_code fail;
		enum http_outcome outcome;
		enum err_code code;
		const char *body;
		bool close_framed;
	} table[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", ERR_NONE, HTTP_COMPLETE, ERR_NONE, "abc", false },
		{ "HTTP/1.1 200 OK\r\n\r\nabc", ERR_NONE, HTTP_COMPLETE, ERR_NONE, "abc", true },
		{ "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc", ERR_NONE, HTTP_COMPLETE,
		  ERR_NONE, "abc", true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", ERR_NONE,
		  HTTP_COMPLETE, ERR_NONE, "abcde", false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nd", ERR_NONE, HTTP_CUT,
		  ERR_SHORT_BODY, "abcd", false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ERR_NONE, HTTP_CUT, ERR_SHORT_BODY,
		  "abc", false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n", ERR_NONE, HTTP_CUT,
		  ERR_HTTP_MALFORMED, "", false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", ERR_NONE, HTTP_CUT,
		  ERR_HTTP_MALFORMED, "abc", false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", ERR_NONE, HTTP_CUT,
		  ERR_SHORT_BODY, "abc", false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", ERR_NONE, HTTP_CUT, ERR_SHORT_BODY, "abc", false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", ERR_RESET, HTTP_CUT, ERR_RESET, "abc", false },
		{ "HTTP/1.1 200 OK\r\n\r\nabc", ERR_RESET, HTTP_CUT, ERR_RESET, "abc", true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nabc", ERR_NONE, HTTP_CUT, ERR_TOO_LARGE, "", false },
		{ "HTTP/1.1 200 OK\r\n\r\n012345678901234567890", ERR_NONE, HTTP_CUT, ERR_TOO_LARGE, "", true },
		{ "HTTP/1.1 200 OK\r\nContent-Le", ERR_NONE, HTTP_NO_ANSWER, ERR_RESET, "", false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", ERR_NONE, HTTP_NO_ANSWER,
		  ERR_HTTP_MALFORMED, "", false },
		{ "", ERR_CONNECT, HTTP_NO_ANSWER, ERR_CONNECT, "", false },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_fake_row row = { STR("GET"), STR("http://h/*"), 0, 5, str_from(table[i].raw), table[i].fail, false };
		struct clock_fake clock;
		struct http *h;
		struct err e = ERR_INIT;
		clock_fake_init(&clock, 1000000);
		assert_true(http_open_fake(&clock, &row, 1, &h, &e));
		struct http_request r = get("http://h/p?token=secret");
		assert_true(http_start(h, &r, &e));
		struct http_exchange *x = http_wait(h, 1000);
		assert_non_null(x);
		if (x->outcome != table[i].outcome || x->err.code != table[i].code ||
		    !str_eq_z(x->body, table[i].body) || x->close_framed != table[i].close_framed)
			fail_msg("row %zu: outcome %d, %s, body '%.*s'", i, (int)x->outcome, x->err.message,
				 STR_ARG(x->body));
		if (x->outcome != HTTP_NO_ANSWER)
			assert_int_equal(x->status, 200);
		if (x->err.code != ERR_NONE) {
			assert_non_null(strstr(x->err.message, "GET http://h/p: "));
			assert_null(strstr(x->err.message, "secret"));
		}
		assert_text(x->request_head, "GET /p?token=secret HTTP/1.1\r\nHost: h\r\n");
		http_exchange_free(x);
		http_close(h);
	}
}

static void fake_time(void **state)
{
	(void)state;
	static const struct http_fake_row rows[] = {
		{ { "GET", 3 }, { "*/slow*", 7 }, 0, 500, { "HTTP/1.1 200 OK\r\n\r\nslow", 23 }, ERR_NONE, false },
		{ { "GET", 3 }, { "*/a?x=*&y", 9 }, 1, 100, { "HTTP/1.1 200 OK\r\n\r\none", 22 }, ERR_NONE, false },
		{ { "GET", 3 }, { "*", 1 }, 0, 100, { "HTTP/1.1 200 OK\r\n\r\nmany", 23 }, ERR_NONE, false },
	};
	struct clock_fake clock;
	struct http *h;
	struct err e = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct http_header header = { STR("Accept"), STR("json") };
	clock_fake_init(&clock, 1000000);
	int64_t begin = clock.monotonic_us;
	assert_true(http_open_fake(&clock, rows, COUNT(rows), &h, &e));
	static const char *const urls[] = { "http://h/slow/1", "http://h/a?x=1&y", "http://h/a?x=1&y", "http://h/slow/2" };
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct http_request r = get(urls[i]);
		r.user = (void *)(uintptr_t)urls[i];
		if (i == 1) {
			r.headers = &header;
			r.n_headers = 1;
		}
		r.first_byte_us = i == 3 ? 300 : 0;
		assert_true(http_start(h, &r, &e));
	}
	assert_null(http_wait(h, 99));
	assert_int_equal(clock.monotonic_us - begin, 99);
	static const struct {
		size_t url;
		const char *body;
		int64_t at;
	} want[] = { { 1, "one", 100 }, { 2, "many", 100 }, { 3, "", 300 }, { 0, "slow", 500 } };
	for (size_t i = 0; i < COUNT(want); i++) {
		struct http_exchange *x = http_wait(h, 100000);
		assert_non_null(x);
		assert_ptr_equal(x->user, urls[want[i].url]);
		assert_text(x->body, want[i].body);
		assert_int_equal(clock.monotonic_us - begin, want[i].at);
		assert_int_equal(x->done_us - begin, want[i].at);
		assert_int_equal(x->err.code, want[i].url == 3 ? ERR_TIMEOUT : ERR_NONE);
		http_exchange_free(x);
	}
	assert_null(http_wait(h, 10));
	assert_int_equal(clock.monotonic_us - begin, 510);
	http_wake(h);
	assert_null(http_wait(h, 10));
	assert_int_equal(clock.monotonic_us - begin, 510);
	struct http_request post = get("http://h/p");
	post.method = STR("POST");
	assert_false(http_start(h, &post, &e));
	assert_int_equal(e.code, ERR_BUG);
	struct http_request r = get("http://h/z");
	assert_true(http_start(h, &r, &e));
	http_cancel_all(h);
	assert_null(http_wait(h, 1000));
	assert_text(http_fake_transcript(h, &a),
		    "GET http://h/slow/1\nGET http://h/a?x=1&y\n  Accept: json\nGET http://h/a?x=1&y\n"
		    "GET http://h/slow/2\nPOST http://h/p\nGET http://h/z\n");
	assert_true(http_start(h, &r, &e)); /* freed by close */
	http_close(h);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),	cmocka_unit_test(heads),       cmocka_unit_test(header_with_nul),
		cmocka_unit_test(requests),	cmocka_unit_test(fake_answers), cmocka_unit_test(fake_time),
	};
	return cmocka_run_group_tests_name("driver/http", tests, NULL, NULL);
}
