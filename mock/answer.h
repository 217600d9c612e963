/* The mock as a whole, and the way of a request through it. */
#ifndef SLUICE_MOCK_ANSWER_H
#define SLUICE_MOCK_ANSWER_H

#include "base/clock.h"
#include "mock/draft.h"
#include "mock/page.h"
#include "mock/rate.h"
#include "mock/stats.h"

struct mock {
	struct mock_config config;
	struct pages pages;
	struct rate rate;
	struct faults faults;
	struct stats stats;
	struct clock *clock;
	int64_t start_us;        /* monotonic */
	int64_t retry_from_us;   /* no request should come before: the last Retry-After; 0 none */
	struct str other_origin; /* this server under its other loopback name: a different origin that answers */
};

/* The answer is owned by the caller: answer_free(). */
void answer_make(struct mock *m, struct http_request *q, uint64_t connection, struct answer *out);
/* For what http_read() refused. */
void answer_refuse(struct mock *m, int status, struct answer *out);
/* GET or POST /_mock/... (admin.c) */
void admin_answer(struct mock *m, const struct http_request *q, struct draft *d);

#endif
