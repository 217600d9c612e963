/* The records of one window at a time, out of Raw: ledger walk → response member by byte range → inflate → decode →
 * SHA-256 against the ledger → the array of records. Part of prepare.c.
 *
 *     pages_begin(p, window, 0, UINT64_MAX)
 *     while (pages_next(p, &ev) && ev > JSON_DONE) record_read_at(reader, &pages_at(p)->scan, ev, ...)
 *
 * Where a window is left out in part (from, to: numbers of records), its pages outside of that are not read, but the
 * ledger is walked to the seal in any case, so that the chain that it ends is always checked. */
#ifndef SLUICE_PREPARE_PREPARE_PAGES_H
#define SLUICE_PREPARE_PREPARE_PAGES_H

#include "base/json.h"
#include "format/engine_job.h"
#include "format/warc.h"

struct page {
	struct buf inflated, decoded;
	struct str body;         /* decoded; a view of one of them */
	uint64_t number;
	struct sha256 hash;      /* of the body */
	uint64_t turn;           /* in which it was read from last */
	struct json_scan scan;
};

struct pages {
	const struct engine_job *job;
	struct store *store;
	struct store *near;      /* NULL, or what was read ahead of the windows that come next */
	struct str *parts;       /* of the path to the records, unescaped */
	size_t n_parts;
	/* the window */
	const struct job_window *window;
	struct window interval;
	struct arena arena;      /* as long as the window */
	struct ledger ledger;
	struct ledger_walk walk;
	bool walking, sealed;
	struct ledger_entry entry;
	size_t next_page;        /* in the entry */
	uint64_t from, to;
	uint64_t record;         /* number of the record that comes next, in the window */
	struct str generation_key;
	/* the page */
	struct page *page;       /* NULL: none is open */
	struct page *ahead;      /* NULL, or the page after it: two are hashed at once */
	uint64_t page_end;       /* number of the first record behind the page */
	/* Pages are kept until whoever reads them says that their bytes are no longer needed. */
	struct {
		struct page **v;
		size_t n, cap;
	} kept, spare;
	struct arena own;
	struct buf member;
	uint64_t turn;
	uint64_t kept_bytes;     /* of the pages of this turn */
};

void pages_init(struct pages *p, const struct engine_job *job, struct store *store);
void pages_free(struct pages *p);
/* These windows come next, whole: PAGES_AHEAD of them are enough. Where each question is a request, those of their ledgers and of small
 * segments are made now, many at a time; elsewhere nothing. Between two windows only. */
enum { PAGES_AHEAD = 32 };
void pages_ahead(struct pages *p, const struct job_window *const *windows, size_t n);
bool pages_begin(struct pages *p, const struct job_window *w, uint64_t from, uint64_t to, struct err *e);
/* The next record: *ev is the event of its value, JSON_DONE at the end of the window. The record before must have been
 * read to its end. */
bool pages_next(struct pages *p, enum json_event *ev, struct err *e);
/* Where the record at hand stands. */
static inline struct page *pages_at(struct pages *p)
{
	return p->page;
}
/* A new turn begins: the bytes of the pages of earlier ones may go. */
void pages_turn(struct pages *p);
/* What is wrong with the page at hand. */
bool pages_broken(struct pages *p, struct err *e);

#endif
