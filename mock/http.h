/* HTTP/1.1 requests (RFC 9112) and the small text forms around them. Views point into the bytes read. */
#ifndef SLUICE_MOCK_HTTP_H
#define SLUICE_MOCK_HTTP_H

#include "base/buf.h"
#include "base/mem.h"

enum { HTTP_HEAD_MAX = 64 << 10, HTTP_BODY_MAX = 1 << 20, HTTP_HEADERS_MAX = 128, HTTP_PARAMS_MAX = 128 };

struct http_field {
	struct str name, value;
};

struct http_request {
	struct str method;
	struct str target; /* as sent; an absolute form is cut to its path and query */
	struct str path, query; /* still percent-encoded, query without '?' */
	struct http_field headers[HTTP_HEADERS_MAX];
	size_t n_headers;
	struct str body;
	bool keep_alive;
	struct http_field params[HTTP_PARAMS_MAX]; /* of the query, decoded into the arena of http_params() */
	size_t n_params;
};

enum { HTTP_READY = 200, HTTP_MORE = 100 };
/* HTTP_READY (*used bytes were the request), HTTP_MORE, or the status of the refusal: 400, 413, 431, 501, 505. */
int http_read(struct str in, struct http_request *r, size_t *used);
struct str http_header(const struct http_request *r, const char *name); /* the first one; empty if absent */
bool http_accepts_gzip(const struct http_request *r);
/* Splits and decodes the query: '+' is a space, %XX a byte. False: a broken escape or too many. */
bool http_params(struct http_request *r, struct arena *a);
const struct http_field *http_param(const struct http_request *r, struct str name); /* the first one, or NULL */

const char *http_reason(int status);
void http_encode(struct buf *out, struct str text); /* query component: all but unreserved characters as %XX */
struct str http_date(int64_t wall_us, struct arena *a); /* IMF-fixdate, RFC 9110 5.6.7 */
void base64_encode(struct buf *out, struct str bytes);  /* RFC 4648 section 4, padded */
bool base64_decode(struct str text, struct arena *a, struct str *out);

#endif
