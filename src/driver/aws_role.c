/* Roles: STS gives credentials of a role to whoever may have it, by signature or by a web identity. */
#include "driver/aws_parts.h"

#include "base/calendar.h"
#include "base/check.h"

#include <string.h>

enum { FORM_MAX_BYTES = 128 << 10 };

static void form_add(struct aws_refresh *f, struct buf *form, const char *name, struct str value)
{
	if (!value.n)
		return;
	struct str encoded = aws_encode(value, false, f->a);
	buf_addf(form, "&%s=", name);
	buf_add(form, encoded);
}

/* The text of an element; "" where it is absent or holds markup or an entity, which no credential does. */
static struct str element(struct str document, const char *name, struct arena *a)
{
	struct str open = arena_format(a, "<%s>", name), close = arena_format(a, "</%s>", name);
	size_t at = str_find(document, open);
	if (at == document.n)
		return STR_NONE;
	struct str rest = str_sub(document, at + open.n, document.n), text = str_sub(rest, 0, str_find(rest, close));
	return text.n == rest.n || str_contains(text, STR("<")) || str_contains(text, STR("&")) ? STR_NONE : str_trim(text);
}

static bool answer_take(struct aws_refresh *f, struct str answer, struct err *e)
{
	size_t begin = str_find(answer, STR("<Credentials>")), end = str_find(answer, STR("</Credentials>"));
	struct str part = begin < end ? str_sub(answer, begin, end - begin) : STR_NONE;
	struct aws_credentials c = {
		.access_key = element(part, "AccessKeyId", f->a),
		.secret_key = element(part, "SecretAccessKey", f->a),
		.session_token = element(part, "SessionToken", f->a),
	};
	if (!c.access_key.n || !c.secret_key.n || !c.session_token.n ||
	    !aws_time(element(part, "Expiration", f->a), &c.expires_us))
		return err_set(e, ERR_CREDENTIALS, "AWS sts: the answer holds no credentials");
	f->got = c;
	return true;
}

/* The region of the session, else that of the profile that names the role. */
static bool place_find(struct aws_refresh *f, const struct aws_role *role, struct str *region, struct str *endpoint, struct err *e)
{
	if (!aws_options_region(f->o, f->a, region, e) || !aws_options_endpoint(f->o, "STS", f->a, endpoint, e))
		return false;
	if (!region->n)
		*region = role->region;
	return !region->n || aws_region_check(*region, "`region` of the AWS profile", e);
}

static bool ask(struct aws_refresh *f, const struct aws_role *role, const char *action, const char *token_name,
		struct str token, const struct aws_credentials *with, struct err *e)
{
	struct buf form = BUF_INIT(FORM_MAX_BYTES);
	struct str name = role->session_name, answer, region, endpoint;
	if (!name.n)
		name = arena_format(f->a, "sluice-%lld", (long long)(f->o->clock->wall_us(f->o->clock) / US_PER_SECOND));
	buf_addf(&form, "Action=%s&Version=2011-06-15", action);
	form_add(f, &form, "RoleArn", role->arn);
	form_add(f, &form, "RoleSessionName", name);
	form_add(f, &form, "ExternalId", role->external_id);
	form_add(f, &form, "DurationSeconds", role->duration);
	form_add(f, &form, token_name, token);
	struct aws_operation o = { .service = "sts", .body = buf_str(&form) };
	bool ok = form.overflow ? err_set(e, ERR_CREDENTIALS, "AWS sts: the request is longer than %d bytes", FORM_MAX_BYTES)
				: place_find(f, role, &region, &endpoint, e) && aws_refresh_http(f, e);
	if (ok) {
		struct aws_caller c = {
			.http = f->http, .clock = f->o->clock, .fixed = with, .region = region,
			.endpoint = endpoint, .random = aws_random(f->random),
		};
		ok = aws_call(&c, &o, f->a, &answer, e) && answer_take(f, answer, e);
		if (!ok)
			err_wrap(e, "role %.*s", STR_ARG(role->arn));
	}
	if (form.p)
		explicit_bzero(form.p, form.cap);
	buf_free(&form);
	return ok;
}

bool aws_role_assume(struct aws_refresh *f, const struct aws_role *role, const struct aws_credentials *with, struct err *e)
{
	return ask(f, role, "AssumeRole", "", STR_NONE, with, e);
}

bool aws_role_web_identity(struct aws_refresh *f, const struct aws_role *role, struct err *e)
{
	struct str token;
	if (!aws_file_read(arena_zero_terminated(f->a, role->token_file), AWS_TOKEN_MAX_BYTES, false, f->a, &token, e))
		return err_wrap(e, "the web identity's token");
	token = str_trim(token);
	if (!token.n)
		return err_set(e, ERR_CREDENTIALS, "the web identity's token %.*s is empty", STR_ARG(role->token_file));
	struct aws_role plain = *role;
	plain.external_id = STR_NONE;
	return ask(f, &plain, "AssumeRoleWithWebIdentity", "WebIdentityToken", token, NULL, e);
}

enum aws_found aws_web_identity_get(struct aws_refresh *f, struct err *e)
{
	struct aws_role role = { .token_file = arena_copy(f->a, str_from(aws_env(f->o, "AWS_WEB_IDENTITY_TOKEN_FILE"))) };
	role.arn = arena_copy(f->a, str_from(aws_env(f->o, "AWS_ROLE_ARN")));
	role.session_name = arena_copy(f->a, str_from(aws_env(f->o, "AWS_ROLE_SESSION_NAME")));
	if (!role.token_file.n)
		return AWS_NOT_SET_UP;
	f->told_by = STR("the web identity");
	if (!role.arn.n) {
		err_set(e, ERR_CREDENTIALS, "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not");
		return AWS_FAILED;
	}
	return aws_role_web_identity(f, &role, e) ? AWS_GOT : AWS_FAILED;
}
