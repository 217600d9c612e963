/* The rate limit that the mock enforces: GCRA. One `tat` (theoretical arrival time) for all clients together; a request
 * passes if it comes no earlier than tat - (burst - 1) * interval. A refused request costs nothing. */
#ifndef SLUICE_MOCK_RATE_H
#define SLUICE_MOCK_RATE_H

#include "mock/config.h"

struct rate {
	const struct opt_rate *o;
	int64_t interval_ns; /* 0: no limit */
	int64_t tat_ns;
};

void rate_init(struct rate *r, const struct opt_rate *o);
/* *wait_us: 0 if it passed, else how long until it would. */
bool rate_take(struct rate *r, int64_t now_us, int64_t *wait_us);
/* wait_us: of rate_take(). Header lines: the limit's, and Retry-After where wait_us > 0. */
void rate_headers(const struct rate *r, int64_t now_us, int64_t wall_us, int64_t wait_us, struct buf *out);

#endif
