/* Inside of the HTTP transports: heads, framing and the memory of an exchange. Not for others. */
#ifndef SLUICE_DRIVER_HTTP_HEAD_H
#define SLUICE_DRIVER_HTTP_HEAD_H

#include "driver/http.h"

/* "HTTP/1.1 404" from a line's beginning; false: it is no status line of HTTP/1.x. */
bool http_status_line(struct str line, unsigned *status);

/* Fills status and headers of x from x->head (RFC 9112, sections 2.2 to 5). Refused: folded lines, white space before
 * the colon, names that are no token, control characters, a line without a colon, a line that ends with a bare LF.
 * ERR_HTTP_MALFORMED. */
bool http_head_parse(struct http_exchange *x, struct err *e);

struct http_framing {
	bool no_body; /* HEAD, 204, 304 */
	bool chunked;
	bool has_length;
	uint64_t length;
};
/* How the body ends (RFC 9112, 6.3), from the parsed headers. Refused: Content-Length together with Transfer-Encoding,
 * Content-Lengths that differ or are no number, any Transfer-Encoding but one "chunked". ERR_HTTP_MALFORMED. */
bool http_framing(const struct http_exchange *x, struct str method, struct http_framing *out, struct err *e);

/* An exchange with the memory behind it; http_exchange_free gives it back as a whole. */
struct http_held {
	struct http_exchange x; /* first */
	struct buf head, body, request_head;
	uint64_t max_body_bytes;
	struct http_framing framing;
	struct str method, shown_url; /* shown: scheme, host and path, for messages; query strings may hold secrets */
};
struct http_held *http_held_new(const struct http_request *r);
/* Room for the body at once where its length is declared and believable. */
void http_held_expect(struct http_held *h);
/* x.head, x.body and x.request_head from the buffers; the outcome stays as it is. */
void http_held_close(struct http_held *h);
/* "GET https://host/path: ..."; sets x.err and the outcome and returns false. */
bool http_held_fail(struct http_held *h, enum http_outcome outcome, enum err_code code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool http_held_body_full(struct http_held *h); /* fails it with ERR_TOO_LARGE; returns false */

/* What may be sent: token names, no line breaks, no framing headers of the caller's own. ERR_CONFIG. */
bool http_request_check(const struct http_request *r, struct err *e);

#endif
