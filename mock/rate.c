#include "mock/rate.h"

#include "mock/http.h"

#include <inttypes.h>

void rate_init(struct rate *r, const struct opt_rate *o)
{
	*r = (struct rate){ .o = o };
	if (o->requests)
		r->interval_ns = o->per * 1000 / (int64_t)o->requests;
	if (o->requests && r->interval_ns == 0)
		r->interval_ns = 1;
}

bool rate_take(struct rate *r, int64_t now_us, int64_t *wait_us)
{
	*wait_us = 0;
	if (r->interval_ns == 0)
		return true;
	int64_t now = now_us * 1000, tolerance = ((int64_t)r->o->burst - 1) * r->interval_ns;
	if (r->tat_ns < now)
		r->tat_ns = now;
	if (r->tat_ns - tolerance > now) {
		*wait_us = (r->tat_ns - tolerance - now + 999) / 1000;
		return false;
	}
	r->tat_ns += r->interval_ns;
	return true;
}

static int64_t ceil_seconds(int64_t us)
{
	return (us + US_PER_SECOND - 1) / US_PER_SECOND;
}

static void add_decimal(struct buf *out, int64_t us)
{
	int64_t ms = (us + 999) / 1000;
	buf_addf(out, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
}

static void limit_headers(const struct rate *r, int64_t left, int64_t reset_us, int64_t wall_us, struct buf *out)
{
	if (r->o->headers == RATE_RATELIMIT)
		buf_addf(out, "RateLimit-Policy: \"default\";q=%" PRIu64 ";w=%" PRId64
			      "\r\nRateLimit: \"default\";r=%" PRId64 ";t=%" PRId64 "\r\n",
			 r->o->requests, ceil_seconds(r->o->per), left, ceil_seconds(reset_us));
	if (r->o->headers != RATE_X_RATELIMIT)
		return;
	buf_addf(out, "X-RateLimit-Limit: %" PRIu64 "\r\nX-RateLimit-Remaining: %" PRId64 "\r\nX-RateLimit-Reset: ",
		 r->o->burst, left);
	if (r->o->reset == RESET_DECIMAL)
		add_decimal(out, reset_us);
	else
		buf_add_i64(out, ceil_seconds(reset_us + (r->o->reset == RESET_EPOCH ? wall_us : 0)));
	buf_add_z(out, "\r\n");
}

void rate_headers(const struct rate *r, int64_t now_us, int64_t wall_us, int64_t wait_us, struct buf *out)
{
	if (r->interval_ns == 0)
		return;
	int64_t now = now_us * 1000, burst = (int64_t)r->o->burst;
	int64_t used_ns = r->tat_ns > now ? r->tat_ns - now : 0;
	int64_t left = wait_us ? 0 : burst - (used_ns + r->interval_ns - 1) / r->interval_ns;
	if (left < 0)
		left = 0;
	int64_t reset_ns = left > 0 ? used_ns : used_ns - (burst - 1) * r->interval_ns;
	limit_headers(r, left, (reset_ns + 999) / 1000, wall_us, out);
	if (wait_us == 0 || r->o->answer == RETRY_NONE)
		return;
	struct arena a = ARENA_INIT;
	buf_add_z(out, "Retry-After: ");
	if (r->o->answer == RETRY_SECONDS)
		buf_add_i64(out, ceil_seconds(wait_us));
	else if (r->o->answer == RETRY_DECIMAL)
		add_decimal(out, wait_us);
	else
		buf_add(out, http_date(ceil_seconds(wall_us + wait_us) * US_PER_SECOND, &a));
	buf_add_z(out, "\r\n");
	arena_free(&a);
}
