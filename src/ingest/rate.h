/* The rate of a source: GCRA (the generic cell rate algorithm of ITU-T I.371, "leaky bucket as a meter"), plus what the
 * server says. Pure: time comes in as monotonic microseconds. One object per source, shared by all its resources.
 *
 * A request may start when rate_wait_us() is 0; rate_take() then counts it. In any interval of t microseconds at most
 * burst + t / interval requests start. Server hints only ever hold back further. */
#ifndef SLUICE_INGEST_RATE_H
#define SLUICE_INGEST_RATE_H

#include "config/pipeline.h"
#include "driver/http.h"

struct rate {
	bool limited;
	int64_t start_us;           /* the _q16 times count from here, so that they fit whatever the machine's uptime */
	int64_t interval_us_q16;    /* time per request, 16 fractional bits, rounded up; at most a year */
	int64_t tolerance_us_q16;   /* (burst - 1) intervals; at most a year */
	int64_t theoretical_us_q16; /* GCRA's TAT */
	int64_t not_before_us;      /* from the server: Retry-After, exhausted quota */
	uint64_t taken, held_by_server;
};

void rate_init(struct rate *r, const struct source *s, int64_t now_us);
int64_t rate_wait_us(const struct rate *r, int64_t now_us); /* 0: now */
void rate_take(struct rate *r, int64_t now_us);
void rate_hold(struct rate *r, int64_t until_us);
/* What the server sees is when requests arrive, not when they were started: the n-th request taken (rate.taken right after
 * rate_take) went out at sent_us, perhaps after a connection had to be made. The server's count may only begin there. */
void rate_sent(struct rate *r, uint64_t nth, int64_t sent_us);
/* Gives up a part of the burst (a quarter, at most 20 ms worth), so that requests that travel at different speeds do not
 * arrive closer together than the server allows. The rate in the long run stays. */
void rate_leave_margin(struct rate *r);

/* Waits asked for by a server are at most this; what to do about a long one is the policy's business. */
#define SERVER_WAIT_MAX_US (INT64_C(100) * 366 * 86400 * 1000000)

/* Retry-After (RFC 9110 10.2.3): seconds, also decimal, or an HTTP date (judged against the answer's own Date where
 * there is one, else wall_us). False: absent or garbage. Past dates give 0. */
bool retry_after_us(const struct http_exchange *x, int64_t wall_us, int64_t *wait_us);
/* X-RateLimit-Remaining/-Reset (delta seconds, epoch s or ms, a date), X-Rate-Limit-*, RateLimit-Remaining/-Reset,
 * RateLimit: limit=,remaining=,reset= and the structured form "default";r=0;t=5 (draft-ietf-httpapi-ratelimit-headers).
 * When nothing remains: how long to wait; the longest where several say so. False: something remains, nothing is said, or
 * not until when. */
bool rate_headers_wait_us(const struct http_exchange *x, int64_t wall_us, int64_t *wait_us);

#endif
