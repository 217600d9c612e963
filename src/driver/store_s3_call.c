/* One call of S3: signed, sent, repeated where that is right. */
#include "driver/store_s3_parts.h"

#include "base/calendar.h"
#include "base/check.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
	HEAD_MAX = 256 << 10,
	CONNECT_US = 10 * 1000000,
	FIRST_BYTE_US = 30 * 1000000,
	BODY_BYTE_US = 10, /* on top of it for each byte sent: 100 kB a second */
	LOW_SPEED_BYTES_S = 1000,
	LOW_SPEED_US = 30 * 1000000,
	PAUSE_FIRST_US = 100 * 1000, /* upper bound of the first pause; doubles */
	PAUSE_MAX_US = 20 * 1000000,
	COST = 5, COST_TIMEOUT = 10, /* of a repeat, in the budget */
};

bool s3_fail(struct s3 *s, struct str key, enum err_code code, struct err *e, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	CHECK(n >= 0);
	return err_set(e, code, "%.*s%s%.*s: %s", STR_ARG(s->store.url), key.n ? "/" : "", STR_ARG(key), text);
}

void s3_call_end(struct s3_call *c)
{
	http_exchange_free(c->answer);
	c->answer = NULL;
}

/* ── connections ── */

static bool http_take(struct s3 *s, struct http **out, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->owner != getpid()) { /* a child: its parent's connections are not ours to speak on, nor to close */
		s->owner = getpid();
		s->n_idle = s->n_busy = 0;
	}
	while (s->n_busy == S3_CALLS_MAX)
		pthread_cond_wait(&s->room, &s->lock);
	s->n_busy++;
	*out = s->n_idle > 0 ? s->idle[--s->n_idle] : NULL;
	pthread_mutex_unlock(&s->lock);
	if (*out || s->o.http_open(s->o.user, s->o.clock, out, e))
		return true;
	pthread_mutex_lock(&s->lock);
	s->n_busy--;
	pthread_cond_signal(&s->room);
	pthread_mutex_unlock(&s->lock);
	return false;
}

static void http_give(struct s3 *s, struct http *h)
{
	pthread_mutex_lock(&s->lock);
	s->n_busy--;
	s->idle[s->n_idle++] = h;
	pthread_cond_signal(&s->room);
	pthread_mutex_unlock(&s->lock);
}

/* ── repeats ── */

/* xorshift64* (Vigna 2016): what is random here need not be secret. */
uint64_t s3_random(struct s3 *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t v = s->random;
	v ^= v >> 12;
	v ^= v << 25;
	v ^= v >> 27;
	s->random = v;
	pthread_mutex_unlock(&s->lock);
	return v * UINT64_C(2685821657736338717);
}

/* Where a store fails as a whole, many callers must not multiply the load on it: a repeat takes something out of what all
 * calls share, and success gives it back. */
static bool budget_take(struct s3 *s, int cost)
{
	pthread_mutex_lock(&s->lock);
	bool there = s->budget >= cost;
	if (there)
		s->budget -= cost;
	pthread_mutex_unlock(&s->lock);
	return there;
}

static void budget_give(struct s3 *s, bool was_repeated)
{
	pthread_mutex_lock(&s->lock);
	s->budget += was_repeated ? COST : 1;
	if (s->budget > S3_BUDGET)
		s->budget = S3_BUDGET;
	pthread_mutex_unlock(&s->lock);
}

static void pause_before(struct s3 *s, unsigned attempt, const struct http_exchange *x)
{
	int64_t upper = PAUSE_FIRST_US, wait, seconds;
	for (unsigned i = 1; i < attempt && upper < PAUSE_MAX_US; i++)
		upper *= 2;
	if (upper > PAUSE_MAX_US)
		upper = PAUSE_MAX_US;
	wait = (int64_t)(s3_random(s) % (uint64_t)upper) + 1;
	if (str_to_i64(http_header_get(x, "retry-after"), &seconds) && seconds > 0)
		wait += seconds < PAUSE_MAX_US / 1000000 ? seconds * 1000000 : PAUSE_MAX_US;
	int64_t until = s->o.clock->monotonic_us(s->o.clock) + wait;
	while (wait > 0) { /* a signal may end a sleep early */
		s->o.clock->sleep_us(s->o.clock, wait);
		wait = until - s->o.clock->monotonic_us(s->o.clock);
	}
}

/* ── one attempt ── */

static bool sign(struct s3 *s, const struct s3_call *c, const struct aws_credentials *who, struct arena *a,
		 struct aws_signed *out, struct err *e)
{
	struct str key = s3_whole_key(s, c->key, a);
	char hex[SHA256_HEX + 1];
	struct aws_request r = {
		.method = c->method,
		.scheme = s->scheme,
		.host = s->host,
		.path = c->key.n == 0 ? (s->bucket_path.n ? s->bucket_path : STR("/")) :
			arena_format(a, "%.*s/%.*s", STR_ARG(s->bucket_path), STR_ARG(key)),
		.query = c->query,
		.n_query = c->n_query,
		.headers = c->headers,
		.n_headers = c->n_headers,
		.payload_sha256 = AWS_EMPTY_PAYLOAD,
		.region = s->o.region,
		.service = STR("s3"),
		.now_us = s->o.clock->wall_us(s->o.clock) + atomic_load(&s->skew_us),
	};
	if (c->body.n > 0) {
		sha256_hex(*c->body_hash, hex);
		r.payload_sha256 = arena_copy(a, (struct str){ hex, SHA256_HEX });
	}
	return aws_sign(&r, who, a, out, e);
}

static bool attempt(struct s3 *s, struct s3_call *c, const struct aws_credentials *who, bool fresh, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct aws_signed signed_request;
	struct http *h = NULL;
	bool ok = sign(s, c, who, &a, &signed_request, e) && http_take(s, &h, e);
	struct http_request r = {
		.method = c->method,
		.url = ok ? signed_request.url : STR_NONE,
		.headers = ok ? signed_request.headers : NULL,
		.n_headers = ok ? signed_request.n_headers : 0,
		.body = c->body,
		.body_stays = true,
		.max_header_bytes = HEAD_MAX,
		.max_body_bytes = c->max_body_bytes > S3_ERROR_BODY_MAX ? c->max_body_bytes : S3_ERROR_BODY_MAX,
		.connect_us = CONNECT_US,
		.first_byte_us = (c->patience_us ? c->patience_us : FIRST_BYTE_US) + (int64_t)c->body.n * BODY_BYTE_US,
		.low_speed_bytes_s = LOW_SPEED_BYTES_S,
		.low_speed_us = LOW_SPEED_US,
		.allow_private = true, /* the user's own words, or the region's endpoint, which a VPC may have inside */
		.fresh_connection = fresh,
	};
	ok = ok && http_start(h, &r, e);
	if (ok)
		do
			c->answer = http_wait(h, 60 * 1000000);
		while (c->answer == NULL);
	if (h)
		http_give(s, h);
	arena_free(&a);
	c->attempts++;
	return ok;
}

/* ── what it means ── */

enum verdict { GOOD, AGAIN, AGAIN_AT_ONCE, NEVER };

/* It closes what begins without it, or answers with an alert of TLS. */
static bool wants_tls(enum err_code code)
{
	return code == ERR_RESET || code == ERR_HTTP_MALFORMED;
}

static bool transport_hint(struct s3 *s, const struct http_exchange *x, struct err *e)
{
	switch ((int)x->err.code) {
	case ERR_TLS:
		if (x->no_tls)
			return err_hint(e, "what answers speaks no TLS: the endpoint of a store without it begins with http:// (`s3.endpoint` in "
					"the pipeline file, else AWS_ENDPOINT_URL_S3)");
		if (s->o.ca_file.n > 0)
			return err_hint(e, "the store's certificate was not accepted with the certificates of %.*s (`s3.ca_file` in the "
					"pipeline file, else AWS_CA_BUNDLE, else `ca_bundle` of the AWS profile), or it is of another host", STR_ARG(s->o.ca_file));
		return err_hint(e, "the store's certificate was not accepted; a private CA is given by `s3.ca_file` in the pipeline file, "
				"or AWS_CA_BUNDLE");
	case ERR_RESOLVE:
	case ERR_CONNECT:
		return err_hint(e, "check `s3.endpoint` and `s3.region` in the pipeline file (or AWS_ENDPOINT_URL_S3, AWS_REGION), and "
				"the way there");
	default:
		if (str_eq_z(s->scheme, "http") && !atomic_load(&s->answered) && wants_tls(x->err.code))
			return err_hint(e, "nothing that could be read as an answer has come from there: the endpoint of a store with TLS begins "
					"with https:// (`s3.endpoint` in the pipeline file, else AWS_ENDPOINT_URL_S3)");
		return err_hint(e, "the way to the store broke off: run the same command again, it goes on where this one stopped");
	}
}

static enum verdict judge_transport(struct s3 *s, struct s3_call *c, struct err *e)
{
	struct http_exchange *x = c->answer;
	struct str what = c->shown.n ? c->shown : c->key;
	enum err_code code = x->err.code;
	if (x->outcome == HTTP_CUT && code == ERR_TOO_LARGE && (x->status == 200 || x->status == 206)) {
		s3_fail(s, what, ERR_TOO_LARGE, e, "at most %llu bytes are read", (unsigned long long)c->max_body_bytes);
		return NEVER;
	}
	s3_fail(s, what, ERR_STORAGE, e, "%s: %s", c->name, x->err.message);
	transport_hint(s, x, e);
	bool never_sent = code == ERR_CONNECT || code == ERR_RESOLVE || code == ERR_TLS || code == ERR_ADDRESS;
	c->lost = c->lost || !never_sent;
	if (code == ERR_TLS || code == ERR_ADDRESS)
		return NEVER;
	return x->kept_was_closed ? AGAIN_AT_ONCE : AGAIN;
}

static bool is_answer(const struct s3_call *c, unsigned status)
{
	for (size_t i = 0; i < sizeof c->expects / sizeof *c->expects; i++)
		if (c->expects[i] == status)
			return true;
	return status >= 200 && status <= 299;
}

struct tries {
	struct aws_credentials who;
	bool renewed, skewed;
};

static enum verdict judge_refusal(struct s3 *s, struct s3_call *c, struct tries *t, struct arena *a, struct err *e)
{
	struct s3_refusal r;
	int64_t theirs_us, ours_us = s->o.clock->wall_us(s->o.clock);
	s3_refusal_read(c->answer, a, &r);
	s3_refusal_say(s, c, c->answer, &r, e);
	c->code = r.code;
	c->lost = c->lost || !r.surely_not_done;
	if (r.action == S3_RENEW && !t->renewed) {
		t->renewed = true;
		aws_chain_renew(s->o.chain, &t->who);
		return AGAIN_AT_ONCE;
	}
	if (r.action == S3_SKEW && !t->skewed && us_from_http_date_at(http_header_get(c->answer, "date"), ours_us, &theirs_us) &&
	    theirs_us > 0) { /* nothing is signed for times before 1970 */
		t->skewed = true;
		log_warn("this machine's clock differs from the store's by %lld s; requests are signed with the store's",
			 (long long)((theirs_us - ours_us) / 1000000));
		atomic_store(&s->skew_us, theirs_us - ours_us);
		return AGAIN_AT_ONCE;
	}
	return r.action == S3_REPEAT ? AGAIN : NEVER;
}

/* CompleteMultipartUpload answers 200 before it knows, and may then say in the body that it failed. */
static enum verdict judge_200(struct s3 *s, struct s3_call *c, struct tries *t, struct arena *a, struct err *e)
{
	struct str root = s3_root_of(c->answer->body, a);
	if (str_eq_z(root, c->root))
		return GOOD;
	if (str_eq_z(root, "Error")) {
		enum verdict v = judge_refusal(s, c, t, a, e);
		/* What fails so may be repeated, whatever the code, if the service does not say that it cannot be. */
		return v;
	}
	c->lost = true;
	s3_fail(s, c->shown.n ? c->shown : c->key, ERR_STORAGE, e, "%s: 200 with a body that is no %s", c->name, c->root);
	err_hint(e, "is a store with S3's protocol at this endpoint? `s3.endpoint` in the pipeline file, else AWS_ENDPOINT_URL_S3, names it");
	return AGAIN;
}

static enum verdict judge(struct s3 *s, struct s3_call *c, struct tries *t, struct arena *a, struct err *e)
{
	struct err why = ERR_INIT;
	if (c->answer->outcome != HTTP_COMPLETE)
		return judge_transport(s, c, e);
	atomic_store(&s->answered, true);
	if (!is_answer(c, c->answer->status) || (c->answer->status == 404 && !s3_says_missing(c, c->answer, a)))
		return judge_refusal(s, c, t, a, e);
	if (c->error_in_200 && c->answer->status == 200)
		return judge_200(s, c, t, a, e);
	if (c->is_sound && !c->is_sound(c, c->answer, &why)) {
		s3_fail(s, c->shown.n ? c->shown : c->key, why.code, e, "%s: %s", c->name, why.message);
		return AGAIN;
	}
	return GOOD;
}

static bool credentials(struct s3 *s, struct s3_call *c, struct tries *t, struct arena *a, struct err *e)
{
	struct err why = ERR_INIT;
	if (aws_chain_get(s->o.chain, a, &t->who, &why))
		return true;
	/* That somebody could not be asked for credentials is no failure of an API. */
	s3_fail(s, c->shown.n ? c->shown : c->key, err_exit_status(why.code) == 3 ? ERR_STORAGE : why.code, e, "%s", why.message);
	err_hint(e, "%s", err_hint_text(&why));
	return false;
}

bool s3_call(struct s3 *s, struct s3_call *c, struct arena *a, struct err *e)
{
	struct tries t = { 0 };
	struct sha256 hash;
	bool fresh = false, ok = false;
	c->attempts = 0;
	c->lost = false;
	if (c->body.n > 0 && c->body_hash == NULL) {
		hash = sha256_of(c->body);
		c->body_hash = &hash;
	}
	for (;;) {
		struct err why = ERR_INIT;
		if (!credentials(s, c, &t, a, &why) || !attempt(s, c, &t.who, fresh, &why)) {
			*e = why;
			break;
		}
		enum verdict v = judge(s, c, &t, a, &why);
		if (v == GOOD) {
			budget_give(s, c->attempts > 1);
			ok = true;
			break;
		}
		int cost = c->answer->err.code == ERR_TIMEOUT ? COST_TIMEOUT : COST;
		if (v == NEVER || c->once || c->attempts >= S3_ATTEMPTS_MAX || (v == AGAIN && !budget_take(s, cost))) {
			*e = why;
			break;
		}
		log_debug("%s (attempt %u; again)", why.message, c->attempts);
		if (v == AGAIN)
			pause_before(s, c->attempts, c->answer);
		fresh = c->answer->kept_was_closed;
		s3_call_end(c);
	}
	if (c->body_hash == &hash)
		c->body_hash = NULL;
	if (!ok)
		s3_call_end(c);
	return ok;
}
