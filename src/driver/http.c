#include "driver/http.h"

#include "base/check.h"
#include "driver/http_head.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool http_start(struct http *h, const struct http_request *r, struct err *e)
{
	return http_request_check(r, e) && h->ops->start(h, r, e);
}

struct http_exchange *http_wait(struct http *h, int64_t timeout_us)
{
	return h->ops->wait(h, timeout_us);
}

void http_wake(struct http *h)
{
	h->ops->wake(h);
}

void http_cancel_all(struct http *h)
{
	h->ops->cancel_all(h);
}

void http_close(struct http *h)
{
	if (h)
		h->ops->close(h);
}

struct str http_header_get(const struct http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->n_headers; i++)
		if (str_eq_nocase(x->headers[i].name, str_from(name)))
			return x->headers[i].value;
	return STR_NONE;
}

/* ── the memory of an exchange ── */

enum { BELIEVED_BYTES = 16 << 20, REQUEST_HEAD_MAX = 1 << 20 };

/* Scheme, host and path. A user part would be a secret too, though such URLs are refused elsewhere. */
static struct str url_shown(struct str url, struct arena *a)
{
	size_t n = 0;
	while (n < url.n && url.p[n] != '?' && url.p[n] != '#')
		n++;
	struct str shown = str_sub(url, 0, n);
	size_t scheme = str_find(shown, STR("://"));
	if (scheme == shown.n)
		return arena_copy(a, shown);
	struct str rest = str_sub(shown, scheme + 3, SIZE_MAX);
	struct str authority = str_sub(rest, 0, str_find_char(rest, '/'));
	size_t user = 0;
	for (size_t i = 0; i < authority.n; i++)
		if (authority.p[i] == '@')
			user = i + 1;
	return arena_format(a, "%.*s://%.*s", STR_ARG(str_sub(shown, 0, scheme)),
			    STR_ARG(str_sub(rest, user, SIZE_MAX)));
}

struct http_held *http_held_new(const struct http_request *r)
{
	struct http_held *h = mem_alloc(sizeof *h);
	h->x.arena = ARENA_INIT;
	h->x.outcome = HTTP_NO_ANSWER;
	h->x.user = r->user;
	h->head = BUF_INIT(r->max_header_bytes);
	h->body = BUF_INIT(r->max_body_bytes);
	h->request_head = BUF_INIT(REQUEST_HEAD_MAX);
	h->max_body_bytes = r->max_body_bytes;
	h->method = arena_copy(&h->x.arena, r->method);
	h->shown_url = url_shown(r->url, &h->x.arena);
	return h;
}

void http_held_expect(struct http_held *h)
{
	if (h->framing.has_length && h->framing.length <= h->max_body_bytes)
		buf_room(&h->body, h->framing.length < BELIEVED_BYTES ? (size_t)h->framing.length : BELIEVED_BYTES);
}

void http_held_close(struct http_held *h)
{
	struct str sent = buf_str(&h->request_head);
	if (str_ends(sent, STR("\r\n\r\n")))
		sent.n -= 2;
	h->x.request_head = sent;
	if (h->x.outcome == HTTP_NO_ANSWER) {
		h->x.head = h->x.body = STR_NONE;
		h->x.headers = NULL;
		h->x.n_headers = 0;
		h->x.status = 0;
		return;
	}
	h->x.head = buf_str(&h->head);
	h->x.body = buf_str(&h->body);
}

bool http_held_fail(struct http_held *h, enum http_outcome outcome, enum err_code code, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	CHECK(n >= 0);
	h->x.outcome = outcome;
	h->x.err = ERR_INIT;
	return err_set(&h->x.err, code, "%.*s %.*s: %s", STR_ARG(h->method), STR_ARG(h->shown_url), text);
}

bool http_held_body_full(struct http_held *h)
{
	return http_held_fail(h, HTTP_CUT, ERR_TOO_LARGE, "the body is longer than %" PRIu64 " bytes",
			      h->max_body_bytes);
}

void http_exchange_free(struct http_exchange *x)
{
	if (!x)
		return;
	struct http_held *h = (struct http_held *)x;
	buf_free(&h->head);
	buf_free(&h->body);
	buf_free(&h->request_head);
	arena_free(&x->arena);
	mem_free(h);
}

struct str http_body_keep(struct http_exchange *x, struct arena *a)
{
	struct http_held *h = (struct http_held *)x;
	struct str body = x->body;
	if (body.n == 0)
		return arena_copy(a, STR_NONE);
	CHECK(body.p == h->body.p);
	arena_adopt(a, h->body.p, h->body.cap);
	h->body = BUF_INIT(0);
	return body;
}

/* ── private addresses ── */

struct range4 {
	uint32_t from;
	unsigned bits;
};

/* The IANA registry of special-purpose addresses (RFC 6890 and its successors), and multicast. */
static const struct range4 private4[] = {
	{ 0x00000000, 8 },  /* 0/8: this network; 0.0.0.0 connects to this machine */
	{ 0x0a000000, 8 },  /* 10/8 */
	{ 0x64400000, 10 }, /* 100.64/10: shared address space */
	{ 0x7f000000, 8 },  /* 127/8 */
	{ 0xa9fe0000, 16 }, /* 169.254/16: link-local, metadata services */
	{ 0xac100000, 12 }, /* 172.16/12 */
	{ 0xc0000000, 24 }, /* 192.0.0/24 */
	{ 0xc0000200, 24 }, /* 192.0.2/24: documentation */
	{ 0xc0586300, 24 }, /* 192.88.99/24: relays of 6to4 */
	{ 0xc0a80000, 16 }, /* 192.168/16 */
	{ 0xc6120000, 15 }, /* 198.18/15: benchmarks */
	{ 0xc6336400, 24 }, /* 198.51.100/24: documentation */
	{ 0xcb007100, 24 }, /* 203.0.113/24: documentation */
	{ 0xe0000000, 4 },  /* 224/4: multicast */
	{ 0xf0000000, 4 },  /* 240/4: reserved, broadcast */
};

static bool private_v4(const uint8_t *b)
{
	uint32_t address = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	for (size_t i = 0; i < sizeof private4 / sizeof *private4; i++)
		if ((address ^ private4[i].from) >> (32 - private4[i].bits) == 0)
			return true;
	return false;
}

struct range6 {
	uint8_t from[16];
	unsigned bits;
	int embedded; /* -1: private as a whole; else an IPv4 address stands at this byte and decides */
};

/* First match counts. */
static const struct range6 private6[] = {
	{ { 0 }, 96, 12 },                                              /* ::a.b.c.d, and with it :: and ::1 */
	{ { [10] = 0xff, [11] = 0xff }, 96, 12 },                       /* ::ffff:a.b.c.d */
	{ { [8] = 0xff, [9] = 0xff }, 96, 12 },                         /* ::ffff:0:a.b.c.d (RFC 2765) */
	{ { [1] = 0x64, [2] = 0xff, [3] = 0x9b }, 96, 12 },             /* 64:ff9b::/96: NAT64 */
	{ { [1] = 0x64, [2] = 0xff, [3] = 0x9b, [5] = 0x01 }, 48, -1 }, /* 64:ff9b:1::/48: local NAT64 */
	{ { 0x01 }, 64, -1 },                                           /* 100::/64: discard */
	{ { 0x20, 0x02 }, 16, 2 },                                      /* 2002::/16: 6to4 */
	{ { 0x20, 0x01 }, 23, -1 },                                     /* 2001::/23: Teredo, ORCHID, benchmarks */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, -1 },                         /* 2001:db8::/32: documentation */
	{ { 0x3f, 0xff }, 20, -1 },                                     /* 3fff::/20: documentation */
	{ { 0x5f }, 16, -1 },                                           /* 5f00::/16: segment routing */
	{ { 0xfc }, 7, -1 },                                            /* fc00::/7: unique local */
	{ { 0xfe, 0x80 }, 9, -1 },                                      /* fe80::/10 and fec0::/10 */
	{ { 0xff }, 8, -1 },                                            /* multicast */
};

static bool prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

static bool private_v6(const uint8_t *b)
{
	for (size_t i = 0; i < sizeof private6 / sizeof *private6; i++)
		if (prefix_eq(b, private6[i].from, private6[i].bits))
			return private6[i].embedded < 0 || private_v4(b + private6[i].embedded);
	return false;
}

bool http_address_is_private(const char *numeric_address)
{
	char text[64];
	size_t n = strcspn(numeric_address, "%"); /* a zone index: fe80::1%eth0 */
	if (n >= sizeof text)
		return true;
	memcpy(text, numeric_address, n);
	text[n] = 0;
	uint8_t b[16];
	if (inet_pton(AF_INET, text, b) == 1)
		return private_v4(b);
	if (inet_pton(AF_INET6, text, b) == 1)
		return private_v6(b);
	return true; /* not an address: refused, since nothing is known about it */
}
