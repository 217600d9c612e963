/* Judging an answer: is this exchange a page, what is in it, and what leads on? Runs on a worker; touches nothing shared. */
#ifndef SLUICE_INGEST_PAGE_H
#define SLUICE_INGEST_PAGE_H

#include "format/ledger.h"
#include "ingest/keyset.h"
#include "ingest/request.h"

/* How a page says where the next one is: the bytes around it. Learned from a page that was judged, so that the next one
 * can be asked for while this one is still being looked at. Where the bytes differ, nothing is guessed. */
enum { NEXT_AROUND_MAX = 256 };
enum next_place_kind { PLACE_UNKNOWN, PLACE_HEADER, PLACE_FRONT, PLACE_BACK };
struct next_place {
	enum next_place_kind kind;
	uint16_t n_before, n_after;   /* FRONT: all that stands before it. BACK: its key, and all that stands behind it */
	char before[NEXT_AROUND_MAX], after[NEXT_AROUND_MAX];
};

struct page_result {
	struct str body;        /* decoded; a view into the exchange or `decoded` */
	struct sha256 body_hash;
	struct sha256 records_hash; /* pages asked by number only: of the raw list of records */
	uint64_t records;
	bool has_total;
	uint64_t total;
	bool in_form;           /* well-formed JSON, no error by `ok`, and a list where the records should be: what is wrong with
	                         * it all the same is what the API wrote, and no passing trouble of something in between */
	struct page_next next;  /* NEXT_END: this was the last page. Markers are in place; texts live in the arena */
	struct page_keys keys;  /* where the resource names its key; never an error */
	struct next_place place; /* of `next`, where it is a text */
};

/* The first half of page_judge: is there a body, and what is it once its encodings are undone? */
bool page_decode(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		 struct buf *decoded, struct str *body, struct err *e);
/* The second half. */
bool page_judge_body(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		     const struct page_next *asked, uint64_t records_before, struct str body, struct arena *a,
		     struct page_result *out, struct err *e);
/* Between the two, in no time: where the page probably leads on, in the arena. True only for a cursor or URL of the form
 * that page_judge_body gives. Whether it is right is known once the page is judged. */
bool page_guess(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		const struct page_next *asked, const struct next_place *place, struct str body, struct arena *a,
		struct page_next *next);

/* False, with a code that says whether asking again may help (err_retry): DECODE, JSON (with the byte), RECORDS (path
 * missing, null, or no list; an error object by `ok`; a cursor or total that is none), TOO_LARGE, HTTP_MALFORMED (Link),
 * ORIGIN, SECRET (body holds one), PAGE_LOOP. Messages begin with "GET /target: ".
 * `asked` is what led to this page, `records_before` how many records the accepted pages before it had: if that is
 * guessed, it must be too low rather than too high, and page_settle has the last word.
 *
 * End of pagination by style: none: always; cursor, next URL, link: none given (absent, null, "", false), or
 * more_path says false; page, offset: a page without records, a short one where declared, pages_path reached, or
 * the declared total reached. A cursor or URL equal to the one just used is ERR_PAGE_LOOP; "more" without a cursor is
 * ERR_RECORDS.
 * `ok` paths may lead to null, false, "", [] or {}: an empty error is none. */
bool page_judge(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		const struct page_next *asked, uint64_t records_before, struct buf *decoded, struct arena *a,
		struct page_result *out, struct err *e);

/* When the page is accepted and records_before is exact: the end is here where the declared total is reached. */
void page_settle(uint64_t records_before, struct page_result *result);

#endif
