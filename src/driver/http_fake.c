/* Answers from a table, in the time of a fake clock. It reads a row's raw bytes by the same rules as the real
 * transport reads a connection that is closed after them. */
#include "driver/http_head.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

enum { TRANSCRIPT_MAX = 64 << 20 };

struct pending {
	struct http_held *held;
	int64_t due_us;
	struct pending *next;
};

struct fake {
	struct http http;
	struct clock_fake *clock;
	const struct http_fake_row *rows;
	size_t n_rows;
	unsigned *used;
	struct pending *pending; /* by due time, then by order of start */
	struct buf transcript;
	atomic_bool woken;
};

static bool glob_match(struct str text, struct str glob)
{
	size_t t = 0, g = 0, star = SIZE_MAX, resume = 0;
	while (t < text.n) {
		if (g < glob.n && glob.p[g] == '*') {
			star = g++;
			resume = t;
		} else if (g < glob.n && glob.p[g] == text.p[t]) {
			g++;
			t++;
		} else if (star != SIZE_MAX) {
			g = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (g < glob.n && glob.p[g] == '*')
		g++;
	return g == glob.n;
}

/* ── reading raw ── */

/* The final head into h->head, without its empty line; *rest is what follows. Heads of 1xx are passed over. */
static bool read_head(struct http_held *h, struct str raw, struct str *rest)
{
	bool empty_line = false;
	unsigned status = 0;
	do {
		struct str line;
		size_t n = str_find_char(raw, '\n');
		if (n == raw.n)
			return http_held_fail(h, HTTP_NO_ANSWER, ERR_RESET,
					      "the connection ended in the middle of the answer's head");
		line = str_sub(raw, 0, n + 1);
		raw = str_sub(raw, n + 1, SIZE_MAX);
		empty_line = str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"));
		if (empty_line && http_status_line(buf_str(&h->head), &status) && status < 200) {
			buf_clear(&h->head);
			empty_line = false;
		} else if (!empty_line && !buf_add(&h->head, line)) {
			return http_held_fail(h, HTTP_NO_ANSWER, ERR_TOO_LARGE, "the answer's head is longer than %zu "
					      "bytes", h->head.max);
		}
	} while (!empty_line);
	*rest = raw;
	return true;
}

static bool body_add(struct http_held *h, struct str bytes)
{
	return buf_add(&h->body, bytes) || http_held_body_full(h);
}

static bool hex_size(struct str line, uint64_t *size)
{
	size_t n = 0;
	*size = 0;
	for (; n < line.n && n < 16; n++) {
		char c = line.p[n];
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned)((c | 0x20) - 'a' + 10);
		else
			break;
		*size = *size << 4 | digit;
	}
	return n > 0 && (n == line.n || line.p[n] == ';' || line.p[n] == ' ' || line.p[n] == '\r');
}

static bool read_chunks(struct http_held *h, struct str raw)
{
	for (;;) {
		struct str line;
		uint64_t size;
		size_t n = str_find_char(raw, '\n');
		if (n == raw.n)
			break;
		line = str_sub(raw, 0, n);
		raw = str_sub(raw, n + 1, SIZE_MAX);
		if (!hex_size(line, &size))
			return http_held_fail(h, HTTP_CUT, ERR_HTTP_MALFORMED, "a chunk's size is not a number");
		if (size == 0)
			return true; /* trailers are dropped */
		if (!body_add(h, str_sub(raw, 0, size < raw.n ? (size_t)size : raw.n)))
			return false;
		if (size > raw.n || raw.n - size < 2)
			break;
		raw = str_sub(raw, (size_t)size, SIZE_MAX);
		if (!str_starts(raw, STR("\r\n")))
			return http_held_fail(h, HTTP_CUT, ERR_HTTP_MALFORMED, "a chunk does not end where it should");
		raw = str_sub(raw, 2, SIZE_MAX);
	}
	return http_held_fail(h, HTTP_CUT, ERR_SHORT_BODY, "the connection ended after %zu body bytes, without the last "
			      "chunk", h->body.n);
}

static bool read_body(struct http_held *h, struct str raw)
{
	const struct http_framing *f = &h->framing;
	if (f->no_body)
		return true;
	if (f->chunked)
		return read_chunks(h, raw);
	if (!f->has_length) {
		h->x.close_framed = true;
		return body_add(h, raw);
	}
	if (f->length > h->max_body_bytes)
		return http_held_body_full(h);
	if (!body_add(h, str_sub(raw, 0, f->length < raw.n ? (size_t)f->length : raw.n)))
		return false;
	if (h->body.n < f->length)
		return http_held_fail(h, HTTP_CUT, ERR_SHORT_BODY, "the connection ended after %zu of %" PRIu64
				      " body bytes", h->body.n, f->length);
	return true;
}

static bool read_raw(struct http_held *h, struct str raw)
{
	struct str rest;
	if (!read_head(h, raw, &rest))
		return false;
	h->x.head = buf_str(&h->head);
	struct err why = ERR_INIT;
	if (!http_head_parse(&h->x, &why) || !http_framing(&h->x, h->method, &h->framing, &why))
		return http_held_fail(h, HTTP_NO_ANSWER, why.code, "%s", why.message);
	h->x.outcome = HTTP_COMPLETE;
	return read_body(h, rest);
}

static void answer(struct http_held *h, const struct http_fake_row *row)
{
	CHECK(row->raw.n || row->fail != ERR_NONE);
	if (row->raw.n == 0) {
		h->x.kept_was_closed = row->kept_was_closed;
		http_held_fail(h, HTTP_NO_ANSWER, row->fail, "%s", err_name(row->fail));
		return;
	}
	if (read_raw(h, row->raw) && row->fail != ERR_NONE)
		http_held_fail(h, HTTP_CUT, row->fail, "the body broke off after %zu bytes", h->body.n);
	else if (row->fail != ERR_NONE)
		h->x.err.code = row->fail;
}

/* ── the calls ── */

static struct fake *of(struct http *h)
{
	return (struct fake *)h;
}

static void transcribe(struct fake *f, const struct http_request *r)
{
	CHECK(buf_addf(&f->transcript, "%.*s %.*s\n", STR_ARG(r->method), STR_ARG(r->url)));
	for (size_t i = 0; i < r->n_headers; i++)
		CHECK(buf_addf(&f->transcript, "  %.*s: %.*s\n", STR_ARG(r->headers[i].name),
			       STR_ARG(r->headers[i].value)));
}

static void set_request_head(struct http_held *h, const struct http_request *r)
{
	size_t scheme = str_find(r->url, STR("://"));
	struct str rest = str_sub(r->url, scheme + 3, SIZE_MAX);
	struct str host = str_sub(rest, 0, str_find_char(rest, '/'));
	struct str path = str_sub(rest, host.n, SIZE_MAX);
	buf_addf(&h->request_head, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_ARG(r->method),
		 STR_ARG(path.n ? path : STR("/")), STR_ARG(host));
	for (size_t i = 0; i < r->n_headers; i++)
		buf_addf(&h->request_head, "%.*s: %.*s\r\n", STR_ARG(r->headers[i].name),
			 STR_ARG(r->headers[i].value));
}

static const struct http_fake_row *row_for(struct fake *f, const struct http_request *r)
{
	for (size_t i = 0; i < f->n_rows; i++) {
		const struct http_fake_row *row = &f->rows[i];
		if (row->times && f->used[i] >= row->times)
			continue;
		if (str_eq(row->method, r->method) && glob_match(r->url, row->url_glob)) {
			f->used[i]++;
			return row;
		}
	}
	return NULL;
}

static bool fake_start(struct http *http, const struct http_request *r, struct err *e)
{
	struct fake *f = of(http);
	transcribe(f, r);
	const struct http_fake_row *row = row_for(f, r);
	if (!row)
		return err_set(e, ERR_BUG, "the fake has no answer to %.*s %.*s", STR_ARG(r->method), STR_ARG(r->url));
	struct http_held *h = http_held_new(r);
	set_request_head(h, r);
	answer(h, row);
	int64_t delay_us = row->delay_us, limit_us = r->first_byte_us;
	if (r->total_us && (!limit_us || r->total_us < limit_us))
		limit_us = r->total_us;
	if (limit_us && delay_us > limit_us) {
		delay_us = limit_us;
		http_held_fail(h, HTTP_NO_ANSWER, ERR_TIMEOUT, "no answer within %" PRId64 " ms", limit_us / 1000);
	}
	http_held_close(h);
	struct clock *clock = &f->clock->clock;
	h->x.sent_us = clock->monotonic_us(clock);
	h->x.sent_wall_us = clock->wall_us(clock);
	h->x.done_us = h->x.sent_us + delay_us;
	h->x.first_byte_us = h->x.outcome == HTTP_NO_ANSWER ? 0 : h->x.done_us;
	memcpy(h->x.remote_address, "127.0.0.1:80", sizeof "127.0.0.1:80");
	struct pending *p = mem_alloc(sizeof *p), **at = &f->pending;
	*p = (struct pending){ .held = h, .due_us = h->x.done_us };
	while (*at && (*at)->due_us <= p->due_us)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
	return true;
}

static struct http_exchange *fake_wait(struct http *http, int64_t timeout_us)
{
	struct fake *f = of(http);
	struct clock *clock = &f->clock->clock;
	int64_t now = clock->monotonic_us(clock);
	struct pending *p = f->pending;
	if (p && (p->due_us <= now || p->due_us - now <= timeout_us)) {
		if (p->due_us > now)
			clock->sleep_us(clock, p->due_us - now);
		struct http_exchange *x = &p->held->x;
		f->pending = p->next;
		mem_free(p);
		return x;
	}
	if (!atomic_exchange(&f->woken, false) && timeout_us > 0)
		clock->sleep_us(clock, timeout_us);
	return NULL;
}

static void fake_wake(struct http *http)
{
	atomic_store(&of(http)->woken, true);
}

static void fake_cancel_all(struct http *http)
{
	struct fake *f = of(http);
	while (f->pending) {
		struct pending *p = f->pending;
		f->pending = p->next;
		http_exchange_free(&p->held->x);
		mem_free(p);
	}
}

static void fake_close(struct http *http)
{
	struct fake *f = of(http);
	fake_cancel_all(http);
	buf_free(&f->transcript);
	mem_free(f->used);
	mem_free(f);
}

static const struct http_ops fake_ops = { fake_start, fake_wait, fake_wake, fake_cancel_all, fake_close };

bool http_open_fake(struct clock_fake *clock, const struct http_fake_row *rows, size_t n_rows, struct http **out,
		    struct err *e)
{
	(void)e;
	struct fake *f = mem_alloc(sizeof *f);
	f->http.ops = &fake_ops;
	f->clock = clock;
	f->rows = rows;
	f->n_rows = n_rows;
	f->used = mem_alloc(mem_size(n_rows + 1, sizeof *f->used));
	f->transcript = BUF_INIT(TRANSCRIPT_MAX);
	*out = &f->http;
	return true;
}

struct str http_fake_transcript(struct http *h, struct arena *a)
{
	CHECK(h->ops == &fake_ops);
	return arena_copy(a, buf_str(&((struct fake *)h)->transcript));
}
