#include "ingest/rate.h"

#include "base/number.h"

enum { FRACTION_BITS = 16 };
#define YEAR_US (INT64_C(366) * 86400 * 1000000)
#define YEAR_US_Q16 (YEAR_US << FRACTION_BITS)

static int64_t at_most(int128 v, int64_t max)
{
	return v > max ? max : (int64_t)v;
}

static int64_t now_q16(const struct rate *r, int64_t now_us)
{
	int64_t us = now_us - r->start_us;
	return us < 0 ? 0 : at_most((int128)us << FRACTION_BITS, YEAR_US_Q16);
}

void rate_init(struct rate *r, const struct source *s, int64_t now_us)
{
	*r = (struct rate){ .limited = s->has_rate && s->rate_requests > 0, .start_us = now_us, .not_before_us = now_us };
	if (!r->limited)
		return;
	uint32_t burst = s->rate_burst > 0 ? s->rate_burst : 1;
	int128 per = (int128)s->rate_per_us << FRACTION_BITS;
	r->interval_us_q16 = at_most((per + s->rate_requests - 1) / s->rate_requests, YEAR_US_Q16);
	r->tolerance_us_q16 = at_most((int128)r->interval_us_q16 * (burst - 1), YEAR_US_Q16);
}

int64_t rate_wait_us(const struct rate *r, int64_t now_us)
{
	int64_t wait = r->not_before_us > now_us ? r->not_before_us - now_us : 0;
	if (!r->limited)
		return wait;
	int64_t early_q16 = r->theoretical_us_q16 - r->tolerance_us_q16 - now_q16(r, now_us);
	if (early_q16 <= 0)
		return wait;
	int64_t own = (early_q16 + (1 << FRACTION_BITS) - 1) >> FRACTION_BITS;
	return own > wait ? own : wait;
}

void rate_take(struct rate *r, int64_t now_us)
{
	r->taken++;
	if (!r->limited)
		return;
	int64_t now = now_q16(r, now_us);
	if (r->theoretical_us_q16 < now)
		r->theoretical_us_q16 = now;
	r->theoretical_us_q16 = at_most((int128)r->theoretical_us_q16 + r->interval_us_q16, 3 * YEAR_US_Q16);
}

void rate_sent(struct rate *r, uint64_t nth, int64_t sent_us)
{
	if (!r->limited || nth > r->taken)
		return;
	int128 at_least = (int128)now_q16(r, sent_us) + (int128)r->interval_us_q16 * (r->taken - nth + 1);
	if (r->theoretical_us_q16 < at_least)
		r->theoretical_us_q16 = at_most(at_least, 3 * YEAR_US_Q16);
}

void rate_leave_margin(struct rate *r)
{
	enum { MARGIN_MAX_US = 20000 };
	int64_t margin = r->tolerance_us_q16 / 4, max = (int64_t)MARGIN_MAX_US << FRACTION_BITS;
	r->tolerance_us_q16 -= margin < max ? margin : max;
}

void rate_hold(struct rate *r, int64_t until_us)
{
	if (until_us <= r->not_before_us)
		return;
	r->not_before_us = until_us;
	r->held_by_server++;
}

/* ── what servers say ── */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "5", "1.5" in microseconds, cut off below; false for anything else. Too large is SERVER_WAIT_MAX_US. */
static bool decimal_us(struct str s, int64_t *us)
{
	size_t i = 0;
	int64_t v = 0, unit = US_PER_SECOND;
	for (; i < s.n && is_digit(s.p[i]); i++)
		v = v > SERVER_WAIT_MAX_US ? v : v * 10 + (int64_t)(s.p[i] - '0') * US_PER_SECOND;
	if (i == 0)
		return false;
	if (i < s.n && s.p[i] == '.') {
		if (++i == s.n)
			return false;
		for (; i < s.n && is_digit(s.p[i]); i++) {
			unit /= 10;
			v += (int64_t)(s.p[i] - '0') * unit;
		}
	}
	if (i < s.n)
		return false;
	*us = v > SERVER_WAIT_MAX_US ? SERVER_WAIT_MAX_US : v;
	return true;
}

/* What time it is for the server. */
static int64_t server_now_us(const struct http_exchange *x, int64_t wall_us)
{
	int64_t date;
	return us_from_http_date_at(http_header_get(x, "date"), wall_us, &date) ? date : wall_us;
}

static int64_t until(int64_t then_us, int64_t now_us)
{
	if (then_us <= now_us)
		return 0;
	return at_most((int128)then_us - now_us, SERVER_WAIT_MAX_US);
}

bool retry_after_us(const struct http_exchange *x, int64_t wall_us, int64_t *wait_us)
{
	struct str s = str_trim(http_header_get(x, "retry-after"));
	int64_t date;
	if (decimal_us(s, wait_us))
		return true;
	if (!us_from_http_date_at(s, wall_us, &date))
		return false;
	*wait_us = until(date, server_now_us(x, wall_us));
	return true;
}

/* Resets come as seconds from now, as seconds or milliseconds since 1970, or as a date. Nobody's quota lasts 15 years, and
 * no clock stands before 1985: so 500,000,000 divides the first two. */
static bool reset_us(const struct http_exchange *x, struct str s, int64_t wall_us, int64_t *wait_us)
{
	const int64_t epoch_s_min = 500000000, epoch_ms_min = 500000000000;
	int64_t us = 0, now = server_now_us(x, wall_us);
	uint64_t whole = 0;
	bool more_digits = false;
	if (decimal_us(s, &us)) {
		/* 1700000000000 (ms) is longer than the longest wait in seconds: it is read again. */
		if (str_to_u64(str_sub(s, 0, str_find_char(s, '.')), &whole) && whole >= (uint64_t)epoch_ms_min)
			*wait_us = until(whole > INT64_MAX / 1000 ? INT64_MAX : (int64_t)whole * 1000, now);
		else if (whole >= (uint64_t)epoch_s_min)
			*wait_us = until((int64_t)whole * US_PER_SECOND, now);
		else
			*wait_us = us;
		return true;
	}
	if (!us_from_http_date_at(s, wall_us, &us) && !us_from_rfc3339(s, &us, &more_digits))
		return false;
	*wait_us = until(us, now);
	return true;
}

struct quota { /* one family of headers */
	struct str remaining, reset;
};

static void quota_judge(const struct http_exchange *x, const struct quota *q, int64_t wall_us, int64_t *longest_us)
{
	int64_t left, wait;
	if (decimal_us(str_trim(q->remaining), &left) && left == 0 && reset_us(x, str_trim(q->reset), wall_us, &wait) &&
	    wait > *longest_us)
		*longest_us = wait;
}

/* Up to the next `sep` outside of quotes. */
static bool cut_unquoted(struct str *rest, char sep, struct str *part)
{
	bool quoted = false;
	if (rest->n == 0)
		return false;
	size_t i = 0;
	for (; i < rest->n && (quoted || rest->p[i] != sep); i++) {
		if (rest->p[i] == '"')
			quoted = !quoted;
		else if (quoted && rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
	}
	*part = str_trim(str_sub(*rest, 0, i));
	*rest = str_sub(*rest, i + 1, rest->n);
	return true;
}

static void key_value(struct str s, struct str *key, struct str *value)
{
	size_t at = str_find_char(s, '=');
	*key = str_trim(str_sub(s, 0, at));
	*value = str_trim(str_sub(s, at + 1, s.n));
}

/* RateLimit: a dictionary of one quota (limit=10, remaining=0, reset=5) or a list of quotas ("a";r=0;t=5, "b";r=7). */
static void ratelimit_judge(const struct http_exchange *x, struct str list, int64_t wall_us, int64_t *longest_us)
{
	struct str member, part, key, value;
	struct quota whole = { 0 };
	while (cut_unquoted(&list, ',', &member)) {
		struct quota item = { 0 };
		while (cut_unquoted(&member, ';', &part)) {
			key_value(part, &key, &value);
			if (str_eq_nocase(key, STR("remaining")))
				whole.remaining = value;
			else if (str_eq_nocase(key, STR("reset")))
				whole.reset = value;
			else if (str_eq_nocase(key, STR("r")))
				item.remaining = value;
			else if (str_eq_nocase(key, STR("t")))
				item.reset = value;
		}
		quota_judge(x, &item, wall_us, longest_us);
	}
	quota_judge(x, &whole, wall_us, longest_us);
}

bool rate_headers_wait_us(const struct http_exchange *x, int64_t wall_us, int64_t *wait_us)
{
	static const char *const families[][2] = {
		{ "x-ratelimit-remaining", "x-ratelimit-reset" },
		{ "x-rate-limit-remaining", "x-rate-limit-reset" },
		{ "ratelimit-remaining", "ratelimit-reset" },
	};
	int64_t longest = -1;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		struct quota q = { http_header_get(x, families[i][0]), http_header_get(x, families[i][1]) };
		quota_judge(x, &q, wall_us, &longest);
	}
	for (size_t i = 0; i < x->n_headers; i++)
		if (str_eq_nocase(x->headers[i].name, STR("ratelimit")))
			ratelimit_judge(x, x->headers[i].value, wall_us, &longest);
	if (longest < 0)
		return false;
	*wait_us = longest;
	return true;
}
