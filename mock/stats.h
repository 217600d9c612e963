/* What the mock served: so that tests see what a client really did. */
#ifndef SLUICE_MOCK_STATS_H
#define SLUICE_MOCK_STATS_H

#include "base/json.h"
#include "mock/fault.h"

enum { STATUS_MAX = 600, NO_RESOURCE = -1 };

/* One answered request. Status 0: the connection ended before any byte. */
struct served {
	uint64_t n;      /* from 1 */
	int64_t at_us;   /* arrival, since the mock started */
	int resource;    /* NO_RESOURCE for unknown paths */
	int status;
	enum fault fault;
	bool gzip, retried_early; /* retried_early: came before a Retry-After given to it was over */
	char auth;       /* 'n' none needed, '-' missing, 'x' wrong, '+' good */
	uint64_t connection, rows, bytes;
	char method[8], host[64], target[432]; /* NUL-terminated, cut if longer; a token in the query is masked */
};

struct resource_count {
	uint64_t requests, good, rows, bytes;
};

struct stats {
	uint64_t requests, bytes, rate_limited, connections;
	uint64_t open_now, open_most, in_flight, in_flight_most;
	int64_t first_us, last_us;
	uint64_t by_status[STATUS_MAX], by_fault[FAULTS];
	struct resource_count *by_resource; /* n_resources */
	size_t n_resources;
	struct served *log; /* ring of log_max entries */
	uint64_t log_n, log_max;
};

void stats_init(struct stats *s, size_t n_resources, uint64_t log_max);
void stats_reset(struct stats *s); /* what is open stays */
void stats_add(struct stats *s, const struct served *r);
void stats_json(const struct stats *s, const struct mock_config *c, struct buf *out);
/* The last `limit` ones of a resource ("" all), oldest first. */
void stats_log_json(const struct stats *s, const struct mock_config *c, struct str resource, uint64_t limit,
		    struct buf *out);
void stats_free(struct stats *s);

#endif
