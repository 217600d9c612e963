#include "ingest/retry.h"

#include "base/check.h"
#include "base/number.h"
#include "ingest/rate.h"

#include <stdio.h>
#include <string.h>

/* ── what an answer means ── */

struct status_row {
	unsigned status;
	const char *reason;
};

/* Only those that people meet; the words of the server are left out of messages, since they could hold anything. */
static const struct status_row REASONS[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 520, "Unknown Error" },
	{ 521, "Web Server Is Down" },
	{ 522, "Connection Timed Out" },
	{ 523, "Origin Is Unreachable" },
	{ 524, "A Timeout Occurred" },
};

static const char *reason_of(unsigned status)
{
	for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
		if (REASONS[i].status == status)
			return REASONS[i].reason;
	return "";
}

enum { TARGET_SHOWN = 512 };

static enum answer_class say(enum answer_class class, enum err_code code, const struct http_exchange *x,
			     struct str method, struct str target, const char *more, struct err *why)
{
	bool cut = target.n > TARGET_SHOWN;
	const char *reason = reason_of(x->status);
	err_set(why, code, "%.*s %.*s%s: %u%s%s%s", STR_ARG(method), STR_ARG(str_sub(target, 0, TARGET_SHOWN)),
		cut ? "..." : "", x->status, *reason ? " " : "", reason, more);
	return class;
}

static bool is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_passing(unsigned status)
{
	return status == 408 || status == 425 || status == 500 || (status >= 502 && status <= 504) ||
	       (status >= 520 && status <= 524);
}

/* The server says when, or that the quota is used up. The time itself does not matter here. */
static bool says_when(const struct http_exchange *x, bool with_quota)
{
	int64_t ignored;
	return retry_after_us(x, x->sent_wall_us, &ignored) ||
	       (with_quota && rate_headers_wait_us(x, x->sent_wall_us, &ignored));
}

static enum answer_class classify_redirect(const struct http_exchange *x, struct str method, struct str target,
					   struct err *why)
{
	if (!str_eq_z(method, "GET"))
		return say(ANSWER_FAIL, ERR_HTTP_STATUS, x, method, target, " (only a GET follows redirects)", why);
	if (str_trim(http_header_get(x, "location")).n == 0)
		return say(ANSWER_FAIL, ERR_HTTP_MALFORMED, x, method, target, " without a Location", why);
	return ANSWER_REDIRECT;
}

enum answer_class answer_classify(const struct http_exchange *x, struct str method, struct str target, struct err *why)
{
	unsigned status = x->status;
	if (x->outcome == HTTP_NO_ANSWER || (x->outcome == HTTP_CUT && status < 400)) {
		*why = x->err;
		return err_retry(x->err.code) == ERR_RETRY_SAFE ? ANSWER_RETRY : ANSWER_FAIL;
	}
	if (status == 200 || status == 204)
		return ANSWER_PAGE;
	if (is_redirect(status))
		return classify_redirect(x, method, target, why);
	if (status == 206)
		return say(ANSWER_FAIL, ERR_HTTP_MALFORMED, x, method, target, ", though the whole was asked for", why);
	if (status == 304)
		return say(ANSWER_FAIL, ERR_HTTP_MALFORMED, x, method, target, ", though nothing conditional was asked", why);
	if (status == 429 || (status == 503 && says_when(x, false)) || (status == 403 && says_when(x, true)))
		return say(ANSWER_BUSY, ERR_HTTP_BUSY, x, method, target, "", why);
	if (is_passing(status))
		return say(ANSWER_RETRY, ERR_HTTP_BUSY, x, method, target, "", why);
	if (status == 401 || status == 403 || status == 407)
		return say(ANSWER_FAIL, ERR_AUTH, x, method, target, "", why);
	return say(ANSWER_FAIL, ERR_HTTP_STATUS, x, method, target, "", why);
}

/* ── when to ask again ── */

/* splitmix64 (Steele, Lea, Flood 2014): any seed will do, also 0. */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Uniform in [0, bound]. */
static int64_t random_to(uint64_t *state, int64_t bound)
{
	return (int64_t)(((uint128)random_next(state) * ((uint64_t)bound + 1)) >> 64);
}

static int64_t own_pause(struct retry *r, const struct retry_policy *p)
{
	int64_t bound = p->first_us;
	for (unsigned i = 1; i < r->attempts && bound < p->max_us; i++)
		bound = bound > p->max_us / 2 ? p->max_us : bound * 2;
	if (bound > p->max_us)
		bound = p->max_us;
	return bound > 0 ? random_to(&r->random, bound) : 0;
}

static bool give_up(const struct retry *r, const struct err *why, struct err *e)
{
	char turned_away[80] = "";
	int n = 0;
	if (r->busy > 0)
		n = snprintf(turned_away, sizeof turned_away, ", %u of them turned away because the API is busy", r->busy);
	CHECK(n >= 0 && (size_t)n < sizeof turned_away);
	if (r->attempts <= 1)
		*e = *why;
	else if (strcmp(r->first.message, why->message) == 0)
		err_set(e, why->code, "after %u attempts%s: %s", r->attempts, turned_away, why->message);
	else
		err_set(e, why->code, "after %u attempts%s: last: %s; first: %s", r->attempts, turned_away, why->message,
			r->first.message);
	if (why->hint[0])
		err_hint(e, "%s", why->hint);
	e->sys_errno = why->sys_errno;
	return false;
}

bool retry_next(struct retry *r, const struct retry_policy *p, enum answer_class class, const struct err *why,
		int64_t server_wait_us, int64_t *pause_us, struct err *e)
{
	CHECK(class == ANSWER_RETRY || class == ANSWER_BUSY);
	CHECK(e != why);
	if (r->attempts == 0)
		r->first = *why;
	r->attempts++;
	if (class == ANSWER_BUSY)
		r->busy++;
	uint64_t failed = r->attempts - r->busy;
	if (failed >= p->attempts && class == ANSWER_RETRY)
		return give_up(r, why, e);
	if (r->busy >= (uint64_t)p->attempts * BUSY_PER_ATTEMPT && class == ANSWER_BUSY)
		return give_up(r, why, e);
	if (server_wait_us > p->wait_max_us) {
		give_up(r, why, e);
		err_wrap(e, "the API asks to wait %lld s, `retry.wait_max` is %lld s",
			 (long long)((server_wait_us + US_PER_SECOND - 1) / US_PER_SECOND),
			 (long long)(p->wait_max_us / US_PER_SECOND));
		return false;
	}
	*pause_us = server_wait_us > 0 ? server_wait_us : own_pause(r, p);
	return true;
}
