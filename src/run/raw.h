/* Raw, read back for people: which windows there are, the pages of a generation, the body of a page, its records. */
#ifndef SLUICE_RUN_RAW_H
#define SLUICE_RUN_RAW_H

#include "format/ledger.h"
#include "format/warc.h"
#include "run/project.h"

enum { SEGMENT_READ_MAX = 1 << 30 };

struct raw_windows {
	struct raw_window {
		struct str name;
		struct window window;
	} *v;
	size_t n, cap;
};
/* In time order; resource_key: raw/<pipeline>/<resource>. */
bool raw_windows(struct store *s, struct str resource_key, struct arena *a, struct raw_windows *out, struct err *e);
/* Between project_view_begin and its end: lists all of these resources (keys) at the same time. What fails is asked again. */
void raw_list_ahead(struct project *j, const struct str *resource_keys, size_t n);
/* Between project_view_begin and its end: announces what will be read of them (window_look_ahead). */
bool raw_look_ahead(struct project *j, struct str resource_key, const struct raw_windows *windows, enum window_ahead what,
		    struct err *e);

/* The lake whose Raw the newest run that has tables read by --raw-from, as its record says; "" where --raw-from is given here, the
 * run had none, or nobody knows. */
struct str raw_named_by_runs(struct project *j, struct arena *a);
/* Generation `number` of a window, or for 0 the one that stands for it: the promoted one, else the newest. ERR_MISSING: the
 * window is not in Raw, or has no such generation. *all may be NULL. */
bool raw_generation(struct project *j, struct str resource, struct str window, unsigned number, struct arena *a,
		    struct window_generations *all, struct ledger *out, struct err *e);

/* One record of a segment and what it holds; used again and again, each reading forgets the one before. */
struct raw_record {
	struct buf member, inflated, decoded;
	struct warc_record record;
	struct str body; /* decoded */
};
#define RAW_RECORD_INIT ((struct raw_record){ .body = { NULL, 0 } })
void raw_record_free(struct raw_record *r);
/* The record in these bytes of a segment (a whole gzip member). ERR_DAMAGE. */
bool raw_record_take(struct str member, const struct http_limits *limits, struct raw_record *out, struct err *e);
/* The same, fetched from the store: a segment that is not there is ERR_DAMAGE too. */
bool raw_record_read(struct store *s, struct str segment_key, uint64_t offset, uint64_t size,
		     const struct http_limits *limits, struct raw_record *out, struct err *e);
/* Limits wide enough for whatever was kept under limits of the past. */
struct http_limits raw_limits(void);

/* A page of a generation, with the key of its segment. ERR_MISSING: there are fewer pages. */
struct raw_page {
	struct ledger_page page;  /* in the arena */
	struct str segment_key;
	struct str run_id;        /* that fetched it */
	int64_t committed_us;
};
bool raw_page(struct ledger *l, uint64_t number, struct arena *a, struct raw_page *out, struct err *e);

/* Each record of a body, as raw JSON text; `take` false ends it. ERR_RECORDS where the path leads to no list. */
bool raw_records(struct str body, struct str path, uint32_t depth, bool (*take)(void *user, struct str record), void *user,
		 struct err *e);

/* Records of all promoted generations of a resource, oldest window first. */
struct raw_walk_counts {
	uint64_t windows, pages, records;
	struct window window; /* of the record at hand */
};
bool raw_walk(struct project *j, const struct resource *r, bool (*take)(void *user, struct str record), void *user,
	      struct raw_walk_counts *counts, struct err *e);

#endif
