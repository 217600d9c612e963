/* What the loop is asked to do, and what came of it: the words that ingest.h and the parts behind it share. */
#ifndef SLUICE_INGEST_TASK_H
#define SLUICE_INGEST_TASK_H

#include "driver/http.h"
#include "format/ledger.h"

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
	int64_t first_sent_us;    /* as in struct ledger_state */
	uint64_t pages, records, body_bytes, wire_bytes, resumed_pages;
	uint64_t requests, retries, busy, failed_attempts;
	struct str failed_request; /* for the report of exit 3: request line with markers, status, first bytes of the body */
	unsigned failed_status;
	struct str failed_body;   /* at most 500 bytes, secrets replaced */
	struct str failed_raw;    /* key of the segment that holds the exchange, "" none */
	uint64_t failed_offset;
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

#endif
