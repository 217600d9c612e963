/* Segments: what is written comes back, and whatever is done to the bytes is found. */
#include "world.h"

#include "base/calendar.h"
#include "base/gzip.h"
#include "format/warc.h"

#define GENERATION STR("raw/p/flights/20130101T050000Z_20130102T050000Z/g1")
#define NOW_US INT64_C(1760000000250000)

struct world {
	struct arena a;
	struct store *s;
	struct buf inflated, decoded;
	struct err e;
};

static struct world *world_new(void)
{
	struct world *w = mem_alloc(sizeof *w);
	w->s = memory_store();
	w->inflated = BUF_INIT(0);
	w->decoded = BUF_INIT(0);
	return w;
}

static void world_free(struct world *w)
{
	buf_free(&w->inflated);
	buf_free(&w->decoded);
	store_close(w->s);
	arena_free(&w->a);
	mem_free(w);
}

static struct warc_exchange exchange(const char *head, struct str body)
{
	return (struct warc_exchange){
		.url = STR("https://api.example.com/v1/flights?page=1"),
		.request_head = STR("GET /v1/flights?page=1 HTTP/1.1\r\nHost: api.example.com\r\n"),
		.response_head = str_from(head),
		.body = body,
		.remote_ip = STR("192.0.2.7"),
		.wall_us = NOW_US,
		.run_id = STR("20251009T085320Z-1f3a"),
		.resource = STR("flights"),
		.window = STR("20130101T050000Z_20130102T050000Z"),
		.page = 1,
		.attempt = 1,
	};
}

static struct str segment_of(struct world *w, const struct warc_exchange *x, size_t n, struct warc_range *ranges)
{
	struct warc_writer *writer;
	struct str name;
	struct sha256 hash;
	uint64_t size;
	assert_done(warc_open(w->s, STR("sluice/1.0"), STR("20251009T085320Z-1f3a"), NOW_US, &writer, &w->e), &w->e);
	for (size_t i = 0; i < n; i++)
		assert_done(warc_add(writer, &x[i], &ranges[i], &w->e), &w->e);
	size = warc_size(writer);
	uint64_t written = size;
	assert_done(warc_finish(writer, GENERATION, 12, &w->a, &name, &hash, &size, &w->e), &w->e);
	assert_int_equal(size, written);
	char hex[SHA256_HEX + 1];
	sha256_hex(hash, hex);
	assert_text(name, arena_format(&w->a, "12-%s.warc.gz", hex).p);
	struct str key = arena_format(&w->a, "%.*s/segments/%.*s", STR_ARG(GENERATION), STR_ARG(name));
	struct str bytes = object_of(w->s, key, &w->a);
	assert_int_equal(bytes.n, size);
	assert_true(sha256_eq(sha256_of(bytes), hash));
	return bytes;
}

static struct str member(struct str segment, struct warc_range r)
{
	return str_sub(segment, (size_t)r.offset, (size_t)r.size);
}

static struct warc_record read_back(struct world *w, struct str bytes)
{
	struct warc_record record;
	assert_done(warc_read(bytes, 1 << 20, &w->inflated, &record, &w->e), &w->e);
	return record;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: b:c\r\n"

static const struct {
	const char *head, *body, *truncated, *want_head; /* want_head NULL: as sent */
} trips[] = {
	{ OK_HEAD, "{\"data\":[1,2,3]}", NULL, NULL },
	{ OK_HEAD, "", NULL, NULL },
	{ OK_HEAD, "a\r\n\r\nb\r\n\r\n", NULL, NULL },
	{ OK_HEAD, "{\"data\":[1,2", "disconnect", NULL },
	{ "HTTP/1.1 204 No Content\r\n", "", NULL, NULL },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: x\r\n", "[]", NULL,
	  "HTTP/1.1 200 OK\r\nX-Sluice-Transfer-Encoding: chunked\r\nServer: x\r\n" },
	{ "HTTP/1.1 200 OK\r\nA: 1\r\ntransfer-ENCODING:chunked\r\nTransfer-Encoding: gzip\r\n", "[]", NULL,
	  "HTTP/1.1 200 OK\r\nA: 1\r\nX-Sluice-transfer-ENCODING:chunked\r\nX-Sluice-Transfer-Encoding: gzip\r\n" },
	{ "HTTP/1.1 200 OK\r\nX-Transfer-Encoding: chunked\r\nTransfer-Encodings: x\r\n", "[]", NULL, NULL },
	{ "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n", "slow \xff\xfe\x01 down", NULL, NULL },
};

static void exchanges_come_back(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct warc_exchange x[COUNT(trips)];
	struct warc_range ranges[COUNT(trips)];
	for (size_t i = 0; i < COUNT(trips); i++) {
		x[i] = exchange(trips[i].head, str_from(trips[i].body));
		x[i].truncated = trips[i].truncated;
	}
	struct str segment = segment_of(w, x, COUNT(trips), ranges);
	for (size_t i = 0; i < COUNT(trips); i++) {
		struct warc_record r = read_back(w, member(segment, ranges[i]));
		assert_text(r.type, "response");
		assert_text(r.target_uri, "https://api.example.com/v1/flights?page=1");
		assert_text(r.date, "2025-10-09T08:53:20.250000Z");
		assert_text(r.truncated, trips[i].truncated ? trips[i].truncated : "");
		assert_text(r.http_head, trips[i].want_head ? trips[i].want_head : trips[i].head);
		assert_text(r.body, trips[i].body);
	}
	world_free(w);
}

static void members_in_order(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct warc_exchange x[3] = { exchange(OK_HEAD, STR("one")), exchange("", STR_NONE), exchange(OK_HEAD, STR("two")) };
	struct warc_range ranges[3];
	x[1].request_body = STR("{\"q\":1}");
	struct str segment = segment_of(w, x, 3, ranges);
	static const char *const want[] = { "warcinfo", "request", "response", "request", "request", "response" };
	uint64_t at = 0, size = 0;
	bool end = false;
	struct warc_record r;
	for (size_t i = 0; i < COUNT(want); i++) {
		uint64_t start = at;
		assert_done(warc_next(segment, &at, 1 << 20, &w->inflated, &r, &size, &end, &w->e), &w->e);
		assert_false(end);
		assert_text(r.type, want[i]);
		assert_int_equal(at, start + size);
		if (i == 2)
			assert_int_equal(ranges[0].offset, start);
		if (i == 3) { /* no answer came: the range is that of the request */
			assert_int_equal(ranges[1].offset, start);
			assert_int_equal(ranges[1].size, size);
			assert_text(r.body, "{\"q\":1}");
			assert_text(r.http_head, x[1].request_head.p);
		}
	}
	assert_done(warc_next(segment, &at, 1 << 20, &w->inflated, &r, &size, &end, &w->e), &w->e);
	assert_true(end);
	world_free(w);
}

/* The text of a record, in which only the identifiers are left to chance. */
static void a_record_is_frozen(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct warc_exchange x = exchange("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", STR("{\"data\":[]}"));
	struct warc_range range;
	x.truncated = "length";
	struct str segment = segment_of(w, &x, 1, &range);
	struct buf text = BUF_INIT(1 << 20);
	size_t used = 0;
	for (size_t at = 0; at < segment.n; at += used)
		assert_done(gzip_read_member(str_sub(segment, at, segment.n), &text, &used, &w->e), &w->e);
	for (size_t i = 0; i + 45 < text.n; i++)
		if (memcmp(text.p + i, "<urn:uuid:", 10) == 0)
			memset(text.p + i + 10, '.', 36);
	assert_frozen(buf_str(&text), case_file("segment.txt", &w->a));
	buf_free(&text);
	world_free(w);
}

/* What came compressed is stored as it came, what came plain is deflated. */
static void stored_or_deflated(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	char *zeros = arena_alloc(&w->a, 20000);
	memset(zeros, '0', 20000);
	struct buf packed = BUF_INIT(1 << 20);
	assert_true(gzip_member((struct str){ zeros, 20000 }, 6, &packed));
	const struct {
		const char *head;
		struct str body;
		bool stored;
	} cases[] = {
		{ OK_HEAD, { zeros, 20000 }, false },
		{ OK_HEAD "Content-Encoding: identity\r\n", { zeros, 20000 }, false },
		{ OK_HEAD "Content-Encoding: gzip\r\n", buf_str(&packed), true },
		{ OK_HEAD "content-encoding: br\r\n", { zeros, 20000 }, true },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct warc_range range;
		struct warc_exchange x = exchange(cases[i].head, cases[i].body);
		struct str segment = segment_of(w, &x, 1, &range);
		struct str bytes = member(segment, range);
		assert_int_equal(str_contains(bytes, cases[i].body), cases[i].stored);
		struct warc_record r = read_back(w, bytes);
		assert_true(str_eq(r.body, cases[i].body));
	}
	buf_free(&packed);
	world_free(w);
}

/* Any byte made another, anywhere: the walk fails, or says the same. Only what a gzip header says about itself (time,
 * system) is covered by the segment's hash alone. */
static void damage_is_found(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct warc_exchange x = exchange(OK_HEAD, STR("{\"data\":[1,2,3]}"));
	struct warc_range range;
	struct str segment = segment_of(w, &x, 1, &range);
	struct sha256 hash = sha256_of(segment);
	char *p = arena_zero_terminated(&w->a, segment);
	size_t unnoticed = 0;
	for (size_t i = 0; i < segment.n; i++)
		for (unsigned bit = 0; bit < 8; bit += 3) {
			p[i] = (char)(p[i] ^ (1 << bit));
			struct str damaged = { p, segment.n };
			uint64_t at = 0, size = 0, records = 0;
			bool end = false, ok = true;
			struct warc_record r;
			struct err e = ERR_INIT;
			while (ok && !end) {
				ok = warc_next(damaged, &at, 1 << 20, &w->inflated, &r, &size, &end, &e);
				records += ok && !end;
			}
			if (ok) {
				unnoticed++;
				assert_int_equal(records, 3);
			} else {
				assert_true(e.code == ERR_DAMAGE || e.code == ERR_TOO_LARGE);
			}
			assert_false(sha256_eq(sha256_of(damaged), hash));
			p[i] = segment.p[i];
		}
	assert_true(unnoticed <= 3 * 3 * 7);
	for (size_t n = (size_t)range.offset + 1; n < segment.n; n++) {
		struct warc_record r;
		struct err e = ERR_INIT;
		struct str cut = str_sub(segment, (size_t)range.offset, n - (size_t)range.offset);
		assert_false(warc_read(cut, 1 << 20, &w->inflated, &r, &e));
		assert_code(&e, ERR_DAMAGE);
	}
	struct warc_record r;
	struct str both = str_sub(segment, 0, (size_t)(range.offset + range.size)); /* a range of more than one member */
	assert_false(warc_read(both, 1 << 20, &w->inflated, &r, &w->e));
	assert_code(&w->e, ERR_DAMAGE);
	world_free(w);
}

/* An attempt that found no connection: a request that was not sent, and no answer. */
static void never_sent(void **unused)
{
	(void)unused;
	static const char *const bodies[] = { "", "{\"from\":1}" };
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct world *w = world_new();
		struct warc_exchange x = exchange("", STR_NONE);
		struct warc_range range;
		x.request_head = STR_NONE;
		x.request_body = str_from(bodies[i]);
		struct str segment = segment_of(w, &x, 1, &range);
		struct warc_record r = read_back(w, member(segment, range));
		assert_text(r.type, "request");
		assert_text(r.http_head, "");
		assert_text(r.body, "");
		world_free(w);
	}
}

/* A head that nobody could find again is not written. */
static void bad_heads(void **unused)
{
	(void)unused;
	static const struct {
		const char *request, *response;
	} cases[] = {
		{ NULL, "HTTP/1.1 200 OK\nA: b\n" }, { NULL, "HTTP/1.1 200 OK" }, { NULL, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n" },
		{ NULL, "HTTP/1.1 200 OK\r\n\r\nA: b\r\n" }, { NULL, "\r\n" }, { "GET / HTTP/1.1\n", OK_HEAD },
		{ "GET / HTTP/1.1\r\nA: b\r\n\r\n", OK_HEAD },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world *w = world_new();
		struct warc_exchange x = exchange(cases[i].response, STR("[]"));
		struct warc_writer *writer;
		struct warc_range range;
		if (cases[i].request)
			x.request_head = str_from(cases[i].request);
		assert_done(warc_open(w->s, STR("sluice/1.0"), STR("20251009T085320Z-1f3a"), NOW_US, &writer, &w->e), &w->e);
		assert_false(warc_add(writer, &x, &range, &w->e));
		assert_code(&w->e, ERR_BUG);
		warc_abort(writer);
		world_free(w);
	}
}

/* Whole gzip members that hold no proper record. */
static void no_record(void **unused)
{
	(void)unused;
	static const char *const texts[] = {
		"", "WARC/1.1", "WARC/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n\r\n\r\n",
		"WARC/1.1\r\nWARC-Type: response\r\n\r\nx\r\n\r\n",
		"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: x\r\n\r\nx\r\n\r\n",
		"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: 18446744073709551616\r\n\r\nx\r\n\r\n",
		"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: 18446744073709551615\r\n\r\n",
		"WARC/1.1\r\nWARC-Type: warcinfo\r\nContent-Length: 2\r\n\r\nx\r\n\r\n",
		"WARC/1.1\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\nx\r\n\r\n",
		"WARC/1.1\r\nWARC-Type: warcinfo\r\nContent-Length: 1\r\n\r\nx\r\n\n\r",
		"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: 1\r\n\r\nx\r\n\r\n", /* no HTTP message */
		"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: 0\r\n\r\n\r\n\r\n",
	};
	struct world *w = world_new();
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct buf b = BUF_INIT(1 << 20);
		struct warc_record r;
		struct err e = ERR_INIT;
		assert_true(gzip_member(str_from(texts[i]), 1, &b));
		if (warc_read(buf_str(&b), 1 << 20, &w->inflated, &r, &e))
			fail_msg("taken for a record: %s", texts[i]);
		assert_code(&e, ERR_DAMAGE);
		buf_free(&b);
	}
	world_free(w);
}

/* A long URL and a long head are written and read. */
static void large_heads(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	enum { LONG = 300000 };
	char *url = arena_alloc(&w->a, LONG + 1), *head = arena_alloc(&w->a, LONG + 100);
	memset(url, 'u', LONG);
	size_t n = (size_t)snprintf(head, 100, "HTTP/1.1 200 OK\r\nX-Long: ");
	memset(head + n, 'h', LONG);
	memcpy(head + n + LONG, "\r\n", 3);
	struct warc_exchange x = exchange(head, STR("[]"));
	x.url = str_from(url);
	struct warc_range range;
	struct str segment = segment_of(w, &x, 1, &range);
	struct warc_record r;
	assert_done(warc_read(member(segment, range), 2, &w->inflated, &r, &w->e), &w->e);
	assert_true(str_eq(r.target_uri, x.url));
	assert_text(r.body, "[]");
	world_free(w);
}

static void failures_of_the_store(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct warc_writer *writer;
	struct warc_exchange x = exchange(OK_HEAD, STR("[]"));
	struct warc_range range;
	struct str name;
	struct sha256 hash;
	uint64_t size;
	assert_done(warc_open(w->s, STR("sluice"), STR("r"), NOW_US, &writer, &w->e), &w->e);
	assert_done(warc_add(writer, &x, &range, &w->e), &w->e);
	warc_abort(writer);
	assert_done(warc_open(w->s, STR("sluice"), STR("r"), NOW_US, &writer, &w->e), &w->e);
	store_memory_fail(w->s, 1, STORE_FAULT_REFUSE);
	assert_false(warc_finish(writer, GENERATION, 0, &w->a, &name, &hash, &size, &w->e));
	assert_code(&w->e, ERR_STORAGE);
	struct store_listing list = { 0 };
	assert_true(store_list(w->s, STR_NONE, &w->a, &list, &w->e));
	assert_int_equal(list.n, 0);
	world_free(w);
}

/* ── content decoding ── */

static struct str packed(struct str s, const char *how, struct arena *a)
{
	static const unsigned char zlib_abc[] = { 0x78, 0x9c, 0x4b, 0x4c, 0x4a, 0x06, 0x00, 0x02, 0x4d, 0x01, 0x27 };
	struct buf b = BUF_INIT(1 << 24);
	switch (*how) {
	case 'g':
		assert_true(gzip_member(s, 6, &b));
		break;
	case 'z': /* "abc" */
		assert_true(str_eq_z(s, "abc") && buf_add_bytes(&b, zlib_abc, sizeof zlib_abc));
		break;
	case 'r': /* without zlib's frame */
		assert_true(str_eq_z(s, "abc") && buf_add_bytes(&b, zlib_abc + 2, sizeof zlib_abc - 6));
		break;
	default:
		buf_add(&b, s);
	}
	struct str out = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return how[0] && how[1] ? packed(out, how + 1, a) : out;
}

static void bodies_are_decoded(void **unused)
{
	(void)unused;
	static const struct {
		const char *encoding, *how; /* how: one letter for each step in the order applied */
		enum err_code want;
	} cases[] = {
		{ "", "", ERR_NONE },
		{ "Content-Encoding: identity\r\n", "", ERR_NONE },
		{ "Content-Encoding:\r\n", "", ERR_NONE },
		{ "Content-Encoding: gzip\r\n", "g", ERR_NONE },
		{ "content-encoding:X-GZip\r\n", "g", ERR_NONE },
		{ "Content-Encoding: deflate\r\n", "z", ERR_NONE },
		{ "Content-Encoding: deflate\r\n", "r", ERR_NONE },
		{ "Content-Encoding: gzip, gzip\r\n", "gg", ERR_NONE },
		{ "Content-Encoding: deflate, identity, gzip\r\n", "zg", ERR_NONE },
		{ "Content-Encoding: deflate\r\nContent-Encoding: gzip\r\n", "zg", ERR_NONE },
		{ "Content-Encoding: gzip, deflate\r\n", "zg", ERR_DECODE },
		{ "Content-Encoding: gzip, gzip, gzip\r\n", "ggg", ERR_DECODE },
		{ "Content-Encoding: br\r\n", "", ERR_DECODE },
		{ "Content-Encoding: gzip\r\n", "", ERR_DECODE },
		{ "Content-Encoding: gzip\r\n", "gg", ERR_NONE + 1000 }, /* once decoded it is gzip still: that is the body */
	};
	struct world *w = world_new();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str head = arena_format(&w->a, "HTTP/1.1 200 OK\r\n%s", cases[i].encoding), out = STR_NONE;
		struct err e = ERR_INIT;
		struct str body = packed(STR("abc"), cases[i].how, &w->a);
		bool ok = body_decode(head, body, 1000, 10, &w->decoded, &out, &e);
		if ((int)cases[i].want == ERR_NONE + 1000) {
			assert_true(ok && str_eq(out, packed(STR("abc"), "g", &w->a)));
			continue;
		}
		assert_code(&e, cases[i].want);
		if (ok)
			assert_text(out, "abc");
	}
	world_free(w);
}

static void bad_bodies(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct str head = STR("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"), plain = STR("HTTP/1.1 200 OK\r\n"), out;
	struct str good = packed(STR("0123456789abcdef"), "g", &w->a);
	for (size_t n = 1; n < good.n; n++) {
		struct err e = ERR_INIT;
		assert_false(body_decode(head, str_sub(good, 0, n), 1000, 10, &w->decoded, &out, &e));
		assert_code(&e, ERR_DECODE);
	}
	struct err e = ERR_INIT;
	assert_true(body_decode(head, STR_NONE, 1000, 10, &w->decoded, &out, &e));
	assert_int_equal(out.n, 0);
	struct str twice, garbage;
	struct buf b = BUF_INIT(1000);
	buf_add(&b, good);
	buf_add(&b, good);
	twice = arena_copy(&w->a, buf_str(&b));
	buf_add(&b, STR("\0"));
	garbage = arena_copy(&w->a, buf_str(&b));
	buf_free(&b);
	assert_done(body_decode(head, twice, 1000, 10, &w->decoded, &out, &e), &e); /* two members are one body */
	assert_text(out, "0123456789abcdef0123456789abcdef");
	assert_false(body_decode(head, garbage, 1000, 10, &w->decoded, &out, &e));
	assert_code(&e, ERR_DECODE);
	/* Bounds: exactly so much, and one byte more. */
	e = ERR_INIT;
	assert_done(body_decode(plain, STR("0123456789"), 10, 10, &w->decoded, &out, &e), &e);
	assert_false(body_decode(plain, STR("0123456789"), 9, 10, &w->decoded, &out, &e));
	assert_code(&e, ERR_TOO_LARGE);
	e = ERR_INIT;
	assert_done(body_decode(head, good, 16, 10, &w->decoded, &out, &e), &e);
	assert_false(body_decode(head, good, 15, 10, &w->decoded, &out, &e));
	assert_code(&e, ERR_TOO_LARGE);
	world_free(w);
}

/* Much out of little: stopped at the ratio or the size, whichever is less, before the memory is there. */
static void bombs(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct str zeros = { arena_alloc(&w->a, 8 << 20), 8 << 20 }, out;
	struct str bomb = packed(zeros, "g", &w->a), nested = packed(zeros, "gg", &w->a);
	struct str one = STR("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n");
	struct str two = STR("HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n");
	assert_true(bomb.n < 10000 && nested.n < 1000);
	const struct {
		struct str head, body;
		uint64_t max;
		uint32_t ratio;
		bool ok;
	} cases[] = {
		{ one, bomb, 8 << 20, 1032, true },        { one, bomb, (8 << 20) - 1, 1032, false },
		{ one, bomb, 64 << 20, 100, false },       { two, nested, 64 << 20, 1032, false },
		{ two, nested, 64 << 20, 100000, true },   { two, nested, 1 << 20, 100000, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = ERR_INIT;
		bool ok = body_decode(cases[i].head, cases[i].body, cases[i].max, cases[i].ratio, &w->decoded, &out, &e);
		if (ok != cases[i].ok)
			fail_msg("case %zu: %s", i, e.message);
		if (ok)
			assert_true(str_eq(out, zeros));
		else
			assert_code(&e, ERR_TOO_LARGE);
		buf_free(&w->decoded);
	}
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanges_come_back), cmocka_unit_test(members_in_order),
		cmocka_unit_test(a_record_is_frozen),  cmocka_unit_test(stored_or_deflated),
		cmocka_unit_test(damage_is_found),     cmocka_unit_test(no_record),
		cmocka_unit_test(large_heads),         cmocka_unit_test(failures_of_the_store),
		cmocka_unit_test(bodies_are_decoded),  cmocka_unit_test(bad_bodies),
		cmocka_unit_test(bombs),	       cmocka_unit_test(never_sent),
		cmocka_unit_test(bad_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
