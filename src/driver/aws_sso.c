/* IAM Identity Center (sso_* in a profile): `aws sso login` leaves a token in ~/.aws/sso/cache, and the portal gives credentials
 * of a role for it. Nobody is there to log in while a run is under way, and tokens are not renewed here: where there is none,
 * or it has ended, the message says what to type. The name of the token's file is the SHA-1 of the session's name, or of the
 * start URL where the profile names no session: the rule of the AWS tools, of which botocore is the judge. */
#include "driver/aws_parts.h"

#include "base/calendar.h"
#include "base/hash.h"
#include "base/json.h"

#include <errno.h>

enum { PORTAL_ATTEMPTS = 3 };
static const char WHO[] = "IAM Identity Center";

static bool fail(const struct aws_profile *p, const char *what, struct str more, struct err *e)
{
	err_set(e, ERR_CREDENTIALS, "the AWS profile %.*s (%s): %s%.*s", STR_ARG(p->name), WHO, what, STR_ARG(more));
	return err_hint(e, "aws sso login --profile %.*s", STR_ARG(p->name));
}

static bool incomplete(const struct aws_profile *p, const char *what, struct str more, struct err *e)
{
	fail(p, what, more, e);
	return err_hint(e, "`aws configure sso` writes such a profile");
}

/* What a session says and the profile, too, has to be the same. */
static bool agree(const struct aws_profile *p, struct str *own, struct str of_session, const char *key, struct err *e)
{
	if (own->n && of_session.n && !str_eq(*own, of_session))
		return incomplete(p, "it and its sso-session say different things of ", str_from(key), e);
	if (!own->n)
		*own = of_session;
	return true;
}

static bool session_read(struct aws_refresh *f, struct aws_profile *p, struct err *e)
{
	struct aws_wanted wanted[] = {
		{ .key = "sso_start_url" }, { .key = "sso_region" }, { .key = "sso_account_id" }, { .key = "sso_role_name" },
	};
	struct str *own[] = { &p->sso_start_url, &p->sso_region, &p->sso_account, &p->sso_role };
	bool there;
	if (p->sso_session.n &&
	    !aws_config_get(f->o, "sso-session", p->sso_session, wanted, sizeof wanted / sizeof *wanted, &there, f->a, e))
		return false;
	if (p->sso_session.n && !there)
		return incomplete(p, "there is no section sso-session ", p->sso_session, e);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		if (!agree(p, own[i], wanted[i].value, wanted[i].key, e))
			return false;
		if (!own[i]->n)
			return incomplete(p, "it lacks ", str_from(wanted[i].key), e);
	}
	return aws_region_check(p->sso_region, "sso_region", e);
}

static bool token_read(struct aws_refresh *f, const struct aws_profile *p, struct str *token, struct err *e)
{
	struct str home = arena_copy(f->a, str_from(aws_env(f->o, "HOME"))), text;
	struct str name = sha1_hex_str(p->sso_session.n ? p->sso_session : p->sso_start_url, f->a);
	struct str path = arena_format(f->a, "%.*s/.aws/sso/cache/%.*s.json", STR_ARG(home), STR_ARG(name));
	struct json_node *root;
	struct err why = ERR_INIT;
	int64_t until;
	if (!aws_file_read(arena_zero_terminated(f->a, path), AWS_TOKEN_MAX_BYTES, true, f->a, &text, &why)) {
		if (why.sys_errno == ENOENT || why.sys_errno == ENOTDIR)
			return fail(p, "nobody has logged in: there is no ", path, e);
		*e = why;
		return false;
	}
	if (!json_parse(text, f->a, &root, &why)) /* its message may quote the text */
		return fail(p, "not JSON: ", path, e);
	*token = json_str_or(root, "accessToken", STR_NONE);
	struct str expires = json_str_or(root, "expiresAt", STR_NONE);
	if (str_ends(expires, STR("UTC"))) /* as its first versions wrote it */
		expires = arena_format(f->a, "%.*sZ", STR_ARG(str_sub(expires, 0, expires.n - 3)));
	if (!token->n || !aws_time(expires, &until))
		return fail(p, "no token with its end in ", path, e);
	for (size_t i = 0; i < token->n; i++)
		if ((unsigned char)token->p[i] <= 0x20 || (unsigned char)token->p[i] >= 0x7f)
			return fail(p, "no token can be in ", path, e);
	if (until <= f->o->clock->wall_us(f->o->clock))
		return fail(p, "the login ended at ", us_to_rfc3339(until, f->a), e);
	return true;
}

static bool portal(struct aws_refresh *f, const struct aws_profile *p, struct str *url, struct err *e)
{
	struct str endpoint, scheme = STR("https"), host;
	if (!aws_options_endpoint(f->o, "SSO", f->a, &endpoint, e) ||
	    (endpoint.n && !aws_endpoint_parse(endpoint, &scheme, &host, e)))
		return false;
	if (!endpoint.n)
		host = aws_service_host("portal.sso", p->sso_region, f->a);
	struct str role = aws_encode(p->sso_role, false, f->a), account = aws_encode(p->sso_account, false, f->a);
	*url = arena_format(f->a, "%.*s://%.*s/federation/credentials?role_name=%.*s&account_id=%.*s", STR_ARG(scheme), STR_ARG(host),
			    STR_ARG(role), STR_ARG(account));
	return true;
}

static bool answer_take(struct aws_refresh *f, struct str body, struct err *e)
{
	struct json_node *root;
	struct err why = ERR_INIT;
	const struct json_node *given = json_parse(body, f->a, &root, &why) ? json_get(root, "roleCredentials") : NULL;
	if (!given)
		return err_set(e, ERR_CREDENTIALS, "AWS credentials from %s: the answer has none", WHO);
	f->got = (struct aws_credentials){
		.access_key = arena_copy(f->a, json_str_or(given, "accessKeyId", STR_NONE)),
		.secret_key = arena_copy(f->a, json_str_or(given, "secretAccessKey", STR_NONE)),
		.session_token = arena_copy(f->a, json_str_or(given, "sessionToken", STR_NONE)),
	};
	int64_t ms = json_i64_or(given, "expiration", 0);
	if (!f->got.access_key.n || !f->got.secret_key.n || !f->got.session_token.n || ms <= 0 || ms > INT64_MAX / 1000)
		return err_set(e, ERR_CREDENTIALS, "AWS credentials from %s: the answer lacks a part of them", WHO);
	f->got.expires_us = ms * 1000;
	return true;
}

bool aws_sso_get(struct aws_refresh *f, const struct aws_profile *profile, struct err *e)
{
	struct aws_profile p = *profile;
	struct aws_question q = { .method = STR("GET"), .answer_us = 15 * US_PER_SECOND, .attempts = PORTAL_ATTEMPTS };
	struct str token, body;
	unsigned status;
	if (!session_read(f, &p, e) || !token_read(f, &p, &token, e) || !portal(f, &p, &q.url, e))
		return false;
	q.header = (struct http_header){ STR("x-amz-sso_bearer_token"), token };
	if (!aws_question_ask(f, &q, &status, &body, e))
		return err_wrap(e, "AWS credentials from %s", WHO);
	if (status == 401)
		return fail(&p, "the login is not accepted any more", STR_NONE, e);
	if (status == 200)
		return answer_take(f, body, e);
	err_set(e, status >= 500 || status == 429 ? ERR_HTTP_BUSY : ERR_CREDENTIALS, "AWS credentials from %s: status %u", WHO, status);
	return err_hint(e, "may this user have the role %.*s in the account %.*s?", STR_ARG(p.sso_role), STR_ARG(p.sso_account));
}
