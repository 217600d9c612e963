/* When to ask again: bounded, with full jitter (a uniform pause in [0, bound], the bound doubling), by class of error. */
#ifndef SLUICE_INGEST_RETRY_H
#define SLUICE_INGEST_RETRY_H

#include "config/pipeline.h"
#include "driver/http.h"

/* What an exchange means before its body is looked at. */
enum answer_class {
	ANSWER_PAGE,     /* 200 (or 204 by policy): look at the body */
	ANSWER_REDIRECT, /* 301 302 303 307 308 of a GET, with a Location */
	ANSWER_RETRY,    /* ask again after a pause */
	ANSWER_BUSY,     /* 429, 503 with Retry-After, 403 with rate headers: everybody of this source waits */
	ANSWER_FAIL,     /* no use asking again */
};
/* Fills *why for RETRY, BUSY, FAIL: "GET /flights: 503 Service Unavailable". `target` is the redacted request target.
 * What the transport says of its own failures is passed on as it is; a cut answer with an error status counts by its
 * status. Nothing that the server wrote gets into the message. */
enum answer_class answer_classify(const struct http_exchange *x, struct str method, struct str target, struct err *why);

struct retry {
	unsigned attempts;    /* made so far, all of them */
	unsigned busy;        /* of these: those that a busy server turned away */
	uint64_t random;      /* state of the generator, seeded by the caller */
	struct err first;     /* the first cause: kept, and told with the last one */
};
enum { BUSY_PER_ATTEMPT = 10 };

/* True: ask again after *pause_us (server_wait_us is what the server asked for, or -1). False: give up, *e says the last
 * failure and, where different, the first one and the number of attempts; *e must not be *why.
 * A server's wait is kept to the microsecond up to policy.wait_max_us and ends the matter above it. A wait of 0 (a date in
 * the past) says nothing about when, so the own pause holds. policy.attempts bounds the attempts that failed; being turned
 * away by a busy server is bounded by BUSY_PER_ATTEMPT times as many. */
bool retry_next(struct retry *r, const struct retry_policy *p, enum answer_class class, const struct err *why,
		int64_t server_wait_us, int64_t *pause_us, struct err *e);

#endif
