#include "driver/aws_parts.h"

#include "base/calendar.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum {
	ATTEMPTS = 5, FIRST_PAUSE_US = 200 * 1000, PAUSE_MAX_US = 5 * 1000000, HEADER_MAX_BYTES = 64 << 10, SHOWN_BYTES = 240,
};
static const int64_t SKEW_TOLERATED_US = INT64_C(240) * US_PER_SECOND;
static const struct str DATE_CODES[] = { { "RequestTimeTooSkewed", 20 }, { "RequestExpired", 14 },
					 { "InvalidSignatureException", 25 }, { "SignatureDoesNotMatch", 21 },
					 { "AuthFailure", 11 } };
static const struct str OLD_CODES[] = { { "ExpiredToken", 12 }, { "ExpiredTokenException", 21 } };
static const struct str DENIED_CODES[] = {
	{ "UnrecognizedClientException", 27 }, { "InvalidClientTokenId", 20 }, { "MissingAuthenticationToken", 26 },
	{ "MissingAuthenticationTokenException", 35 }, { "IncompleteSignature", 19 }, { "InvalidIdentityToken", 20 },
	{ "IDPRejectedClaim", 16 }, { "OptInRequired", 13 }, { "RegionDisabledException", 23 },
};
static const struct str MISSING_CODES[] = { { "ResourceNotFoundException", 25 }, { "ParameterNotFound", 17 },
					    { "ParameterVersionNotFound", 24 } };
static const struct str BUSY_CODES[] = { { "RequestLimitExceeded", 20 }, { "TooManyRequestsException", 24 },
					 { "SlowDown", 8 }, { "IDPCommunicationError", 21 }, { "PriorRequestNotComplete", 23 } };

#define IN(code, list) listed((code), (list), sizeof(list) / sizeof *(list))

static bool listed(struct str code, const struct str *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(code, list[i]))
			return true;
	return false;
}

/* ── places ── */

struct str aws_service_host(const char *service, struct str region, struct arena *a)
{
	static const struct {
		const char *region, *domain;
	} partitions[] = {
		{ "cn-", "amazonaws.com.cn" },    { "us-iso-", "c2s.ic.gov" },     { "us-isob-", "sc2s.sgov.gov" },
		{ "us-isof-", "csp.hci.ic.gov" }, { "eu-isoe-", "cloud.adc-e.uk" }, { "eusc-", "amazonaws.eu" },
	};
	const char *domain = "amazonaws.com";
	for (size_t i = 0; i < sizeof partitions / sizeof *partitions; i++)
		if (str_starts(region, str_from(partitions[i].region)))
			domain = partitions[i].domain;
	if (!region.n) /* STS alone has a place without a region */
		return arena_format(a, "%s.%s", service, domain);
	return arena_format(a, "%s.%.*s.%s", service, STR_ARG(region), domain);
}

bool aws_host_is_local(struct str host, bool metadata)
{
	static const char *const loopback[] = { "localhost", "127.0.0.1", "[::1]" };
	static const char *const fixed[] = { "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "169.254.169.254",
					     "[fd00:ec2::254]" };
	size_t end = str_starts(host, STR("[")) ? str_find_char(host, ']') + 1 : str_find_char(host, ':');
	struct str name = str_sub(host, 0, end), port = str_sub(host, end, host.n);
	uint64_t number = 80;
	if (port.n && (port.p[0] != ':' || !str_to_u64(str_sub(port, 1, port.n), &number) || number < 1 || number > 65535))
		return false;
	for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++)
		if (str_eq_nocase(name, str_from(loopback[i])))
			return true;
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed && metadata; i++)
		if (str_eq_nocase(name, str_from(fixed[i])))
			return true;
	return false;
}

bool aws_endpoint_parse(struct str endpoint, struct str *scheme, struct str *host, struct err *e)
{
	bool tls = str_starts(endpoint, STR("https://")), plain = str_starts(endpoint, STR("http://"));
	struct str rest = str_sub(endpoint, tls ? 8 : 7, endpoint.n);
	if (str_ends(rest, STR("/")))
		rest.n--;
	bool fine = (tls || plain) && rest.n > 0 && rest.n < 256;
	for (size_t i = 0; i < rest.n && fine; i++)
		fine = (rest.p[i] >= 'a' && rest.p[i] <= 'z') || (rest.p[i] >= 'A' && rest.p[i] <= 'Z') ||
		       (rest.p[i] >= '0' && rest.p[i] <= '9') || strchr("-._:[]", rest.p[i]);
	if (!fine) {
		err_set(e, ERR_CONFIG, "an AWS endpoint cannot be read (it may hold no path, no user name, no parameters)");
		return err_hint(e, "an endpoint looks like https://host:port");
	}
	if (plain && !aws_host_is_local(rest, false)) {
		err_set(e, ERR_CONFIG, "the AWS endpoint %.*s would be asked over plain http", STR_ARG(endpoint));
		return err_hint(e, "use https://: only on this machine itself (loopback) it may be http");
	}
	*scheme = tls ? STR("https") : STR("http");
	*host = rest;
	return true;
}

/* ── one request ── */

uint64_t aws_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int64_t aws_random_us(uint64_t *state, int64_t below_us)
{
	return below_us > 0 ? (int64_t)(aws_random(state) % (uint64_t)below_us) : 0;
}

bool aws_ask(struct http *http, const struct http_request *r, struct http_exchange **x, struct err *e)
{
	CHECK(r->total_us > 0);
	if (!http_start(http, r, e))
		return false;
	do
		*x = http_wait(http, r->total_us);
	while (!*x);
	if ((*x)->outcome == HTTP_COMPLETE)
		return true;
	*e = (*x)->err;
	http_exchange_free(*x);
	*x = NULL;
	return false;
}

/* ── what an answer means ── */

enum verdict { DONE, AGAIN, SKEWED, EXPIRED, REFUSED };

struct answer {
	unsigned status;
	struct str code, message; /* the service's, "" where it said none */
};

/* The text of the first element of that name; "" where there is none or it holds markup. */
static struct str xml_text(struct str document, const char *name)
{
	char tag[64];
	int n = snprintf(tag, sizeof tag, "<%s>", name);
	CHECK(n > 0 && (size_t)n < sizeof tag);
	size_t at = str_find(document, str_from(tag));
	if (at == document.n)
		return STR_NONE;
	struct str rest = str_sub(document, at + (size_t)n, document.n);
	return str_sub(rest, 0, str_find_char(rest, '<'));
}

static struct answer answer_read(const struct http_exchange *x, struct arena *a)
{
	struct answer out = { .status = x->status };
	struct json_node *root;
	struct err ignored = ERR_INIT;
	if (str_starts(str_trim(x->body), STR("{")) && json_parse(x->body, a, &root, &ignored)) {
		struct str code = json_str_or(root, "__type", json_str_or(root, "code", STR_NONE));
		out.code = str_sub(code, str_find_char(code, '#') < code.n ? str_find_char(code, '#') + 1 : 0, code.n);
		out.message = json_str_or(root, "message", json_str_or(root, "Message", STR_NONE));
	} else {
		out.code = xml_text(x->body, "Code");
		out.message = xml_text(x->body, "Message");
	}
	if (!out.code.n)
		out.code = http_header_get(x, "x-amzn-ErrorType");
	out.code = str_sub(out.code, 0, str_find_char(out.code, ':'));
	return out;
}

/* What the service says of a wrong signature quotes the request, with its token. And no service needs to be trusted to leave
 * credentials out. */
static bool may_be_shown(struct str text, const struct aws_credentials *c)
{
	if (str_contains(text, STR("anonical")))
		return false;
	if (!c)
		return true;
	return !(c->secret_key.n && str_contains(text, c->secret_key)) &&
	       !(c->session_token.n && str_contains(text, c->session_token));
}

static void say_refusal(const char *service, const struct answer *s, enum err_code code,
			const struct aws_credentials *c, struct err *e)
{
	char text[SHOWN_BYTES + 1];
	struct str said = may_be_shown(s->message, c) ? str_sub(s->message, 0, SHOWN_BYTES) : STR_NONE;
	for (size_t i = 0; i < said.n; i++)
		text[i] = (unsigned char)said.p[i] < 0x20 || (unsigned char)said.p[i] > 0x7e ? ' ' : said.p[i];
	text[said.n] = 0;
	bool plain = s->code.n > 0 && s->code.n <= 80;
	for (size_t i = 0; i < s->code.n && plain; i++)
		plain = s->code.p[i] > 0x20 && s->code.p[i] < 0x7f;
	struct str name = plain && may_be_shown(s->code, c) ? s->code : STR("no error code");
	err_set(e, code, "AWS %s: status %u, %.*s%s%s", service, s->status, STR_ARG(name), said.n ? ": " : "", text);
	if (code == ERR_CREDENTIALS)
		err_hint(e, "the AWS credentials were found, but are not accepted, or may not do this");
	else if (code == ERR_HTTP_BUSY)
		err_hint(e, "AWS is overloaded or limits this account; run the same command again");
}

static bool date_is_off(const struct http_exchange *x, int64_t now_us, int64_t *skew_us)
{
	int64_t theirs;
	if (!us_from_http_date_at(http_header_get(x, "Date"), now_us, &theirs) || theirs <= 0) /* nothing is signed for before 1970 */
		return false;
	*skew_us = theirs - now_us;
	return *skew_us > SKEW_TOLERATED_US || *skew_us < -SKEW_TOLERATED_US;
}

static enum verdict judge(const struct http_exchange *x, const char *service, const struct aws_credentials *c,
			  struct arena *a, struct err *why)
{
	if (x->status == 200)
		return DONE;
	struct answer s = answer_read(x, a);
	bool busy = x->status >= 500 || x->status == 429 || str_contains(s.code, STR("Throttl")) || IN(s.code, BUSY_CODES);
	bool denied = x->status == 401 || x->status == 403 || str_starts(s.code, STR("AccessDenied")) ||
		      IN(s.code, DENIED_CODES) || IN(s.code, DATE_CODES) || IN(s.code, OLD_CODES);
	enum err_code code = busy ? ERR_HTTP_BUSY : IN(s.code, MISSING_CODES) ? ERR_MISSING
			   : denied ? ERR_CREDENTIALS : ERR_HTTP_STATUS;
	say_refusal(service, &s, code, c, why);
	return busy ? AGAIN : IN(s.code, OLD_CODES) ? EXPIRED : IN(s.code, DATE_CODES) ? SKEWED : REFUSED;
}

/* ── the call ── */

struct target {
	struct str scheme, host;
};

static bool send(struct aws_caller *c, const struct aws_operation *o, const struct target *t,
		 const struct aws_credentials *with, struct arena *a, struct http_exchange **x, struct err *e)
{
	struct http_header headers[2];
	size_t n = 0;
	headers[n++] = (struct http_header){
		STR("Content-Type"),
		o->target ? STR("application/x-amz-json-1.1") : STR("application/x-www-form-urlencoded; charset=utf-8"),
	};
	if (o->target)
		headers[n++] = (struct http_header){ STR("X-Amz-Target"), str_from(o->target) };
	struct aws_request r = {
		.method = STR("POST"), .scheme = t->scheme, .host = t->host, .path = STR("/"), .headers = headers,
		.n_headers = n, .payload_sha256 = sha256_hex_str(sha256_of(o->body), a),
		.region = c->region.n ? c->region : STR("us-east-1"), .service = str_from(o->service),
		.now_us = c->clock->wall_us(c->clock) + c->skew_us,
	};
	struct aws_signed s = { .headers = headers, .n_headers = n };
	s.url = arena_format(a, "%.*s://%.*s/", STR_ARG(t->scheme), STR_ARG(t->host));
	if (with && !aws_sign(&r, with, a, &s, e))
		return false;
	struct http_request request = {
		.method = r.method, .url = s.url, .headers = s.headers, .n_headers = s.n_headers, .body = o->body,
		.max_header_bytes = HEADER_MAX_BYTES, .max_body_bytes = AWS_ANSWER_MAX_BYTES,
		.connect_us = 5 * US_PER_SECOND, .first_byte_us = 15 * US_PER_SECOND, .total_us = 30 * US_PER_SECOND,
		.direct = str_eq_z(t->scheme, "http"), /* loopback: a proxy would see secrets, and ask itself */
		.allow_private = true, /* endpoints inside of a VPC; the host is AWS's own or was named by the user */
	};
	return aws_ask(c->http, &request, x, e);
}

static void pause_before(struct aws_caller *c, unsigned attempt)
{
	int64_t most = (int64_t)FIRST_PAUSE_US << attempt;
	c->clock->sleep_us(c->clock, aws_random_us(&c->random, most < PAUSE_MAX_US ? most : PAUSE_MAX_US));
}

/* One attempt. *skew_us: how far the service's clock is from ours, 0 where that is no matter. */
static enum verdict attempt_make(struct aws_caller *c, const struct aws_operation *o, const struct target *t,
				 const struct aws_credentials *with, struct arena *a, struct str *answer, int64_t *skew_us,
				 struct err *why)
{
	struct http_exchange *x = NULL;
	*skew_us = 0;
	if (!send(c, o, t, with, a, &x, why)) {
		bool again = err_retry(why->code) == ERR_RETRY_SAFE;
		err_wrap(why, "AWS %s (%.*s)", o->service, STR_ARG(t->host));
		err_hint(why, "may this machine reach it, and are region and endpoint right?");
		return again ? AGAIN : REFUSED;
	}
	enum verdict v = judge(x, o->service, with, a, why);
	if (v == SKEWED && !date_is_off(x, c->clock->wall_us(c->clock) + c->skew_us, skew_us))
		v = REFUSED;
	if (v == DONE)
		*answer = arena_copy(a, x->body);
	http_exchange_free(x);
	return v;
}

bool aws_call(struct aws_caller *c, const struct aws_operation *o, struct arena *a, struct str *answer, struct err *e)
{
	struct target t = { .scheme = STR("https") };
	bool skew_tried = false, renew_tried = false;
	if (c->region.n && !aws_region_check(c->region, o->service, e))
		return false;
	if (c->endpoint.n && !aws_endpoint_parse(c->endpoint, &t.scheme, &t.host, e))
		return false;
	if (!c->endpoint.n)
		t.host = aws_service_host(o->service, c->region, a);
	for (unsigned attempt = 0;;) {
		struct aws_credentials got;
		struct err why = ERR_INIT;
		int64_t skew_us;
		if (c->chain && !aws_chain_get(c->chain, a, &got, e))
			return false;
		const struct aws_credentials *with = c->chain ? &got : c->fixed;
		enum verdict v = attempt_make(c, o, &t, with, a, answer, &skew_us, &why);
		if (v == DONE)
			return true;
		if (v == SKEWED && !skew_tried) {
			skew_tried = true;
			c->skew_us += skew_us;
			continue;
		}
		if (v == EXPIRED && c->chain && !renew_tried) {
			renew_tried = true;
			aws_chain_renew(c->chain, with);
			continue;
		}
		if (v != AGAIN || ++attempt == ATTEMPTS) {
			*e = why;
			return false;
		}
		pause_before(c, attempt);
	}
}
