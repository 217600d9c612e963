/* From (resource, window, where we are) to the request that is sent, and to what may be kept of it.
 *
 * Secrets stand in `http` (url, headers, body) only; `url`, `target`, `fingerprint` and the *_kept texts hold markers.
 *
 * What page_next.text holds, by style of pagination:
 *   next URL, link     path and query, "/v1/flights?page=2", resolved and normalised: the origin is the source's, always.
 *                      A secret is filled in percent-encoded.
 *   cursor             the cursor, filled in as it is; but from the body to the body it is the JSON value as sent
 *                      ("abc" with its quotes, or 17), so that a number stays a number.
 * Both are at most NEXT_MAX_BYTES long. */
#ifndef SLUICE_INGEST_REQUEST_H
#define SLUICE_INGEST_REQUEST_H

#include "driver/http.h"
#include "format/ledger.h"

enum { NEXT_MAX_BYTES = 32 << 10, HOPS_MAX = 5 };

struct page_request {
	struct http_request http;  /* limits and time-outs filled in, `user` not */
	struct url url;            /* with markers: for redirects, relative next URLs and the WARC */
	struct str target;         /* path and query relative to the source's URL, in the order sent, markers for secrets;
	                            * what lies outside of the source's path begins with "/.." per segment of it */
	struct str body_kept;      /* of a POST: the body with markers; "" */
	struct sha256 fingerprint; /* rule 12: SHA-256 of
	                            *     method ' ' target '\n'
	                            *     name ": " cursor '\n'     (only where the cursor goes into a header)
	                            *     '\n' body
	                            * with markers for secrets. */
};

/* Order of the query: the resource's own, then page size, then page number/offset/cursor, then an API key. A next URL
 * (NEXT_TEXT of next_url and link styles) replaces path and query; the API key is put into it once: added where it is
 * missing. ERR_ORIGIN where it leads to another origin; ERR_SECRET where a marker cannot be filled in; ERR_TOO_LARGE. */
bool request_build(const struct resource *r, struct window w, const struct page_next *next, struct arena *a,
		   struct page_request *out, struct err *e);
/* The same request again at the place a redirect names (resolved against where we are): same origin only; `hops` so far, at
 * most HOPS_MAX. Headers, body and fingerprint stay. */
bool request_redirect(const struct resource *r, const struct page_request *from, struct str location, unsigned hops,
		      struct arena *a, struct page_request *out, struct err *e);
/* Head of the request as sent (lines with CRLF) with secrets replaced by markers: for Raw and for messages. */
struct str request_head_kept(const struct resource *r, struct str head_as_sent, struct arena *a);
struct str response_head_kept(const struct resource *r, struct str head, struct arena *a); /* Set-Cookie values too */

/* A reference that the API gave, against the page it came from: next->text becomes path and query, redacted, with the API
 * key in it. ERR_ORIGIN for another origin. */
bool next_from_url(const struct resource *r, const struct url *page, struct str reference, struct page_next *next,
		   struct arena *a, struct err *e);
/* A text that came from the API and leads on: secrets in it become markers whose places are recorded (rule 17). ERR_SECRET
 * where one stands there in a form that could not be restored. */
bool next_redact(const struct resource *r, struct page_next *next, struct arena *a, struct err *e);
/* The way back: markers at the recorded places are filled in, and no others. ERR_SECRET where that cannot be. */
bool next_reveal(const struct resource *r, const struct page_next *next, struct arena *a, struct str *out, struct err *e);

/* A short piece of what the API sent, for a message: secrets replaced, control characters as '.', at most max bytes. */
struct str text_shown(const struct resource *r, struct str text, size_t max, struct arena *a);

#endif
