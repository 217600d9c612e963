/* From a query to the bytes of a page: filter, place in the pagination, body. */
#ifndef SLUICE_MOCK_PAGE_H
#define SLUICE_MOCK_PAGE_H

#include "mock/cache.h"
#include "mock/fault.h"
#include "mock/http.h"

struct page {
	struct mock_resource *r;
	struct blob *rows;   /* row numbers (uint32_t) that pass the filter; NULL: all rows */
	struct str query;    /* the filters and the size as the client gave them, canonical: part of next URLs */
	size_t distinct;     /* rows that pass the filter */
	size_t total;        /* the same with `repeat` */
	size_t start, count; /* of this page, in filtered rows */
	size_t size;
	bool has_next;
	size_t next; /* start of the next page */
	/* faults */
	bool no_records, null_records;
	uint64_t total_more;     /* added to the declared total */
	struct str next_origin;  /* in front of the next URL, in place of what the configuration says */
	bool odd;                /* any of these, or rows left out: not kept in the cache */
};

struct pages {
	struct cache cache;
	struct str origin; /* of this server, for absolute URLs */
	struct str base;
	uint64_t seed;     /* of cursors */
	int gzip_level;
	struct libdeflate_compressor *compressor;
};

void pages_init(struct pages *s, const struct opt_top *top, struct str origin);
void pages_free(struct pages *s);

/* 200, or 400/404 with *why. p->rows is held; blob_release() it. */
int page_find(struct pages *s, struct mock_resource *r, const struct http_request *q, struct arena *a, struct page *p,
	      const char **why);
bool page_knows_param(const struct mock_resource *r, struct str name);
/* Turns the page into what the fault wants to be said; others are left alone. */
void page_spoil(struct page *p, enum fault f, const struct opt_rule *rule, struct str other_origin);
/* Header lines: Link, next, total. */
void page_headers(struct pages *s, const struct page *p, struct buf *out);
/* The body without a content coding, or gzipped. Held for the caller. NULL: larger than a body may be. */
struct blob *page_body(struct pages *s, const struct page *p, bool gzip);
bool page_gzip(struct pages *s, struct str plain, struct buf *out);

#endif
