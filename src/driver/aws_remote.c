/* Credentials by plain HTTP from beside us: the container's endpoint (ECS, EKS Pod Identity) and the instance's metadata
 * (IMDSv2 only: without a token anybody who can make us follow a URL could ask). */
#include "driver/aws_parts.h"

#include "base/calendar.h"
#include "base/check.h"
#include "base/json.h"

#include <string.h>

enum {
	CONTAINER_ATTEMPTS = 3, INSTANCE_ATTEMPTS = 2, ANSWER_MAX_BYTES = 64 << 10, HEAD_MAX_BYTES = 16 << 10,
	PAUSE_US = 200 * 1000, ROLE_MAX_BYTES = 256,
};

/* ── what they answer ── */

bool aws_json_credentials(struct aws_refresh *f, struct str text, const char *token_key, const char *who, struct err *e)
{
	struct json_node *root;
	struct err why = ERR_INIT;
	struct aws_credentials *c = &f->got;
	*c = (struct aws_credentials){ 0 };
	if (!json_parse(text, f->a, &root, &why)) /* its message may quote the text */
		return err_set(e, ERR_CREDENTIALS, "AWS credentials from %s: the answer is not JSON", who);
	c->access_key = arena_copy(f->a, json_str_or(root, "AccessKeyId", STR_NONE));
	c->secret_key = arena_copy(f->a, json_str_or(root, "SecretAccessKey", STR_NONE));
	c->session_token = arena_copy(f->a, json_str_or(root, token_key, STR_NONE));
	struct str expires = json_str_or(root, "Expiration", STR_NONE);
	if (!c->access_key.n || !c->secret_key.n)
		return err_set(e, ERR_CREDENTIALS, "AWS credentials from %s: the answer has no %s", who,
			       c->access_key.n ? "SecretAccessKey" : "AccessKeyId");
	if (expires.n && !aws_time(expires, &c->expires_us))
		return err_set(e, ERR_CREDENTIALS, "AWS credentials from %s: their Expiration is no time", who);
	return true;
}

bool aws_question_ask(struct aws_refresh *f, const struct aws_question *q, unsigned *status, struct str *body, struct err *e)
{
	struct http_request r = {
		.method = q->method, .url = q->url, .headers = &q->header, .n_headers = q->header.name.n ? 1 : 0,
		.max_header_bytes = HEAD_MAX_BYTES, .max_body_bytes = ANSWER_MAX_BYTES,
		.connect_us = US_PER_SECOND, .first_byte_us = q->answer_us, .total_us = q->answer_us + 2 * US_PER_SECOND,
		.allow_private = true, /* the host was checked against the list */
		.direct = str_starts(q->url, STR("http://")),
	};
	if (!aws_refresh_http(f, e))
		return false;
	for (unsigned i = 1;; i++) {
		struct http_exchange *x;
		struct err why = ERR_INIT;
		bool got = aws_ask(f->http, &r, &x, &why);
		if (got) {
			*status = x->status;
			*body = arena_copy(f->a, x->body);
			http_exchange_free(x);
		}
		bool again = got ? *status >= 500 || *status == 429 : err_retry(why.code) == ERR_RETRY_SAFE;
		if (!again || i == q->attempts) {
			if (!got)
				*e = why;
			return got;
		}
		f->o->clock->sleep_us(f->o->clock, aws_random_us(f->random, (int64_t)PAUSE_US << i));
	}
}

static bool no_answer(const char *who, struct err *e)
{
	err_wrap(e, "AWS credentials from %s", who);
	return err_hint(e, "is this run where it is meant to? The next run tries again");
}

static bool refused(const char *who, unsigned status, struct err *e)
{
	err_set(e, status >= 500 || status == 429 ? ERR_HTTP_BUSY : ERR_CREDENTIALS, "AWS credentials from %s: status %u", who,
		status);
	return err_hint(e, "has this task, function or instance a role?");
}

/* ── the container's endpoint ── */

static const char CONTAINER[] = "the container's endpoint";

static bool url_host(struct str url, struct str *host, bool *tls)
{
	*tls = str_starts(url, STR("https://"));
	if (!*tls && !str_starts(url, STR("http://")))
		return false;
	struct str rest = str_sub(url, *tls ? 8 : 7, url.n);
	size_t end = 0;
	while (end < rest.n && !strchr("/?#", rest.p[end]))
		end++;
	*host = str_sub(rest, 0, end);
	for (size_t i = 0; i < url.n; i++)
		if ((unsigned char)url.p[i] <= 0x20 || (unsigned char)url.p[i] >= 0x7f)
			return false;
	return host->n > 0 && !str_contains(*host, STR("@")) && !str_contains(*host, STR("\\"));
}

static bool container_url(struct aws_refresh *f, struct str relative, struct str full, struct str *url, struct err *e)
{
	struct str host;
	bool tls;
	*url = relative.n ? arena_format(f->a, "http://169.254.170.2%s%.*s", relative.p[0] == '/' ? "" : "/",
					 STR_ARG(relative)) : full;
	const char *variable = relative.n ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI";
	if (!url_host(*url, &host, &tls))
		return err_set(e, ERR_CREDENTIALS, "%s cannot be read", variable);
	if (!tls && !aws_host_is_local(host, true)) {
		err_set(e, ERR_CREDENTIALS, "%s: %.*s would be asked over plain http", variable, STR_ARG(host));
		return err_hint(e, "plain http is for loopback and the addresses that AWS defines; others need https");
	}
	return true;
}

/* The file is read each time: it is written anew before the token in it ends. */
static bool container_token(struct aws_refresh *f, struct str *token, struct err *e)
{
	struct str file = arena_copy(f->a, str_from(aws_env(f->o, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")));
	*token = arena_copy(f->a, str_from(aws_env(f->o, "AWS_CONTAINER_AUTHORIZATION_TOKEN")));
	if (file.n && !aws_file_read(arena_zero_terminated(f->a, file), AWS_TOKEN_MAX_BYTES, false, f->a, token, e))
		return err_wrap(e, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	*token = str_trim(*token);
	for (size_t i = 0; i < token->n; i++)
		if ((unsigned char)token->p[i] < 0x20 || token->p[i] == 0x7f)
			return err_set(e, ERR_CREDENTIALS, "the container's authorization token holds a control character");
	if (file.n && !token->n)
		return err_set(e, ERR_CREDENTIALS, "%.*s is empty", STR_ARG(file));
	return true;
}

enum aws_found aws_container_get(struct aws_refresh *f, struct err *e)
{
	struct str relative = arena_copy(f->a, str_from(aws_env(f->o, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")));
	struct str full = arena_copy(f->a, str_from(aws_env(f->o, "AWS_CONTAINER_CREDENTIALS_FULL_URI")));
	struct aws_question q = { .method = STR("GET"), .answer_us = 5 * US_PER_SECOND, .attempts = CONTAINER_ATTEMPTS };
	struct str token, body;
	unsigned status;
	if (!relative.n && !full.n)
		return AWS_NOT_SET_UP;
	if (!container_url(f, relative, full, &q.url, e) || !container_token(f, &token, e))
		return AWS_FAILED;
	if (token.n)
		q.header = (struct http_header){ STR("Authorization"), token };
	f->told_by = str_from(CONTAINER);
	bool ok = aws_question_ask(f, &q, &status, &body, e) || no_answer(CONTAINER, e);
	ok = ok && (status == 200 || refused(CONTAINER, status, e)) &&
	     aws_json_credentials(f, body, "Token", CONTAINER, e);
	return ok ? AWS_GOT : AWS_FAILED;
}

/* ── the instance's metadata ── */

static const char INSTANCE[] = "the instance's metadata";

static bool instance_base(struct aws_refresh *f, struct str *base, struct err *e)
{
	struct str given = arena_copy(f->a, str_from(aws_env(f->o, "AWS_EC2_METADATA_SERVICE_ENDPOINT")));
	struct str mode = str_from(aws_env(f->o, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")), host;
	bool tls;
	*base = given.n ? given : str_eq_nocase(mode, STR("ipv6")) ? STR("http://[fd00:ec2::254]") : STR("http://169.254.169.254");
	while (str_ends(*base, STR("/")))
		base->n--;
	if (!url_host(*base, &host, &tls) || str_sub(*base, tls ? 8 : 7, base->n).n != host.n ||
	    (!tls && !aws_host_is_local(host, true)))
		return err_set(e, ERR_CREDENTIALS, "AWS_EC2_METADATA_SERVICE_ENDPOINT is none that may be asked");
	return true;
}

static bool role_name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!(name.p[i] >= 'a' && name.p[i] <= 'z') && !(name.p[i] >= 'A' && name.p[i] <= 'Z') &&
		    !(name.p[i] >= '0' && name.p[i] <= '9') && !strchr("+=,.@_-", name.p[i]))
			return false;
	return name.n > 0 && name.n <= ROLE_MAX_BYTES;
}

static bool token_ok(struct str token)
{
	for (size_t i = 0; i < token.n; i++)
		if ((unsigned char)token.p[i] <= 0x20 || (unsigned char)token.p[i] >= 0x7f)
			return false;
	return token.n > 0;
}

/* *there false: nobody here gives out tokens, so this is no instance, or its metadata is switched off. */
static bool instance_token(struct aws_refresh *f, struct str base, struct str *token, bool *there, struct err *e)
{
	struct aws_question q = {
		.method = STR("PUT"),
		.url = arena_format(f->a, "%.*s/latest/api/token", STR_ARG(base)),
		.header = { STR("X-aws-ec2-metadata-token-ttl-seconds"), STR("300") },
		.answer_us = US_PER_SECOND,
		.attempts = INSTANCE_ATTEMPTS,
	};
	unsigned status;
	struct str body;
	struct err why = ERR_INIT;
	*there = aws_question_ask(f, &q, &status, &body, &why);
	if (!*there) {
		if (why.code == ERR_STORAGE || why.code == ERR_BUG) {
			*e = why;
			return false;
		}
		return true;
	}
	if (status == 403 || status == 404 || status == 405) {
		*there = false;
		return true;
	}
	*token = str_trim(body);
	if (status != 200)
		return refused(INSTANCE, status, e);
	return token_ok(*token) || err_set(e, ERR_CREDENTIALS, "AWS credentials from %s: its token cannot be read", INSTANCE);
}

/* *q: a GET with the token, its URL up to what is asked for. */
static enum aws_found instance_begin(struct aws_refresh *f, struct aws_question *q, struct err *e)
{
	struct str token;
	bool there;
	*q = (struct aws_question){ .method = STR("GET"), .answer_us = 2 * US_PER_SECOND, .attempts = INSTANCE_ATTEMPTS };
	if (aws_env_true(f->o, "AWS_EC2_METADATA_DISABLED"))
		return AWS_NOT_SET_UP;
	if (!instance_base(f, &q->url, e) || !instance_token(f, q->url, &token, &there, e))
		return AWS_FAILED;
	if (!there)
		return AWS_NOT_SET_UP;
	q->header = (struct http_header){ STR("X-aws-ec2-metadata-token"), token };
	return AWS_GOT;
}

enum aws_found aws_instance_get(struct aws_refresh *f, struct err *e)
{
	struct str role;
	unsigned status;
	struct aws_question q;
	enum aws_found found = instance_begin(f, &q, e);
	if (found != AWS_GOT)
		return found;
	f->told_by = str_from(INSTANCE);
	q.url = arena_format(f->a, "%.*s/latest/meta-data/iam/security-credentials/", STR_ARG(q.url));
	if (!aws_question_ask(f, &q, &status, &role, e)) {
		no_answer(INSTANCE, e);
		return AWS_FAILED;
	}
	role = str_sub(role, 0, str_find_char(role, '\n'));
	role = str_trim(role);
	if (status != 200 || !role_name_ok(role)) {
		refused(INSTANCE, status, e);
		return AWS_FAILED;
	}
	q.url = arena_format(f->a, "%.*s%.*s", STR_ARG(q.url), STR_ARG(role));
	bool ok = aws_question_ask(f, &q, &status, &role, e) || no_answer(INSTANCE, e);
	ok = ok && (status == 200 || refused(INSTANCE, status, e)) && aws_json_credentials(f, role, "Token", INSTANCE, e);
	f->instance = ok;
	return ok ? AWS_GOT : AWS_FAILED;
}

bool aws_instance_region(struct aws_refresh *f, struct str *region, struct err *e)
{
	struct aws_question q;
	struct str text;
	unsigned status;
	enum aws_found found = instance_begin(f, &q, e);
	if (found == AWS_NOT_SET_UP)
		err_set(e, ERR_CREDENTIALS, "%s give no region", INSTANCE);
	if (found != AWS_GOT)
		return false;
	q.url = arena_format(f->a, "%.*s/latest/meta-data/placement/region", STR_ARG(q.url));
	if (!aws_question_ask(f, &q, &status, &text, e))
		return no_answer(INSTANCE, e);
	*region = str_trim(text);
	return status == 200 ? aws_region_check(*region, INSTANCE, e) : refused(INSTANCE, status, e);
}
