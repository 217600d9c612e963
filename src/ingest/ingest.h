/* Ingest: API → pages → Raw. Fetches whole generations of windows, many at a time under one rate, and commits them page by
 * page to their ledgers. Knows nothing of plans, contracts or tables.
 *
 *   one loop (the caller's thread)           workers
 *     rate, HTTP, which lane goes next   ⇄     judge a page, compress, write, fsync, ledger
 *
 * A lane is one generation of one window. Its pages are committed in order; it ends SEALED, CANDIDATE, FAILED (its err
 * says why), FENCED (another run has it) or STOPPED (signal, deadline: resumable). A failed lane does not stop the
 * others. */
#ifndef SLUICE_INGEST_INGEST_H
#define SLUICE_INGEST_INGEST_H

#include "format/ledger.h"
#include "ingest/rate.h"

enum lane_outcome { LANE_WAITING, LANE_SEALED, LANE_CANDIDATE, LANE_FAILED, LANE_FENCED, LANE_STOPPED };

struct lane_task { /* in: one wanted window */
	const struct resource *resource;
	struct window window;
	unsigned generation;      /* to resume, or to open */
	bool resume;              /* it exists and is open */
	struct ledger_origin origin; /* used when it is opened */
	bool has_previous;        /* for refetch_min: what the promoted generation before had */
	uint64_t previous_records;
	bool takeover;            /* break a live lease */
	/* out */
	enum lane_outcome outcome;
	struct err err;
	struct sha256 digest, seal_hash;
	uint64_t pages, records, body_bytes, wire_bytes, resumed_pages;
	uint64_t requests, retries, busy, failed_attempts;
	struct str failed_request; /* for the report of exit 3: request line with markers, status, first bytes of the body */
	unsigned failed_status;
	struct str failed_body;   /* at most 500 bytes, secrets replaced */
	struct str failed_raw;    /* key of the segment that holds the exchange, "" none */
	uint64_t failed_offset;
};

struct ingest_progress {
	const struct resource *resource;
	uint64_t windows_done, windows_total, pages, records, bytes, requests, busy;
};

struct ingest_options {
	struct store *store;
	struct http *http;
	struct clock *clock;
	struct str pipeline, run_id, software;
	unsigned threads;          /* workers; 0: everything on the caller's thread */
	unsigned lanes_at_once;    /* windows in flight; 0: source.in_flight */
	uint64_t seed;             /* of the jitter */
	const volatile int *stop;  /* non-zero: a signal number */
	int64_t deadline_us;       /* monotonic; 0 none: start nothing after it, commit what is there */
	/* At most about ten times a second, from the loop; may be NULL. */
	void (*progress)(void *user, const struct lane_task *tasks, size_t n_tasks);
	void *user;
};

/* Runs all tasks (of one source; in the order given). True when the loop ran; outcomes are in the tasks. False only for
 * a failure of our own surroundings (the store is gone). */
bool ingest_run(const struct ingest_options *o, struct lane_task *tasks, size_t n_tasks, struct arena *a, struct err *e);

#endif
