#include "config/pipeline_parts.h"

#include "base/check.h"

#include <string.h>

enum { US_PER_MS = 1000 };

static const char *const SECRET_ADVICE =
	"write a reference: env:NAME, file:PATH, aws-secret:NAME or aws-ssm:NAME; and replace the secret, since it stood in a file";

/* Nothing of the value is ever shown, whatever is wrong with it. */
static void secret_read(struct reader *r, const struct yaml_node *map, const char *key, struct secret *out)
{
	static const struct str later[] = { { "gcp-secret:", 11 }, { "vault:", 6 }, { "keyring:", 8 } };
	const struct yaml_node *n = key_get(map, key);
	if (!n)
		return;
	struct str path = yaml_path(n, r->p->arena);
	if (n->type != YAML_SCALAR) {
		problem_at(r->p, n, "write env:NAME or file:PATH", "`%.*s` must be a reference", STR_ARG(path));
		return;
	}
	for (size_t i = 0; i < sizeof later / sizeof *later; i++)
		if (str_starts(n->text, later[i])) {
			problem_at(r->p, n, "env:NAME, file:PATH, aws-secret:NAME and aws-ssm:NAME are here", "secrets from `%.*s`: not here yet",
				   STR_ARG(later[i]));
			return;
		}
	if (secret_reference_ok(n->text)) {
		*out = secret_make(n->text, r->a);
		out->folder = r->out->folder;
	} else if (str_starts(n->text, STR("env:"))) {
		problem_at(r->p, n, "env: is followed by the name of a variable: env:FLIGHTS_TOKEN",
			   "`%.*s` names no environment variable", STR_ARG(path));
	} else if (str_starts(n->text, STR("file:"))) {
		problem_at(r->p, n, "file: is followed by a path: file:/run/secrets/token", "`%.*s` names no file",
			   STR_ARG(path));
	} else if (secret_is_fetched(n->text)) {
		problem_at(r->p, n, "aws-secret:NAME, aws-secret:NAME#KEY or aws-ssm:NAME, with NAME as AWS has it, or an ARN",
			   "`%.*s` names no secret of AWS", STR_ARG(path));
	} else if (str_starts(n->text, STR("$"))) {
		problem_at(r->p, n, "variables are named without the $: env:FLIGHTS_TOKEN",
			   "`%.*s` is not a reference", STR_ARG(path));
	} else {
		problem_at(r->p, n, SECRET_ADVICE, "`%.*s` holds a secret in clear text", STR_ARG(path));
	}
}

static void api_key_read(struct reader *r, const struct yaml_node *n, struct auth *out)
{
	if (!keys_check(n, "source.auth.api_key", r->p))
		return;
	bool header = key_get(n, "header") != NULL, query = key_get(n, "query") != NULL;
	if (header == query)
		problem_at(r->p, n, "api_key: {header: X-Api-Key, secret: env:NAME}",
			   "an API key goes into a `header` or into the `query`: exactly one of both is needed");
	out->kind = query ? AUTH_QUERY : AUTH_HEADER;
	if (query)
		key_name(r, n, "query", &out->name);
	else
		key_header_name(r, n, "header", &out->name);
	secret_read(r, n, "secret", &out->secret);
}

static void basic_read(struct reader *r, const struct yaml_node *n, struct auth *out)
{
	if (!keys_check(n, "source.auth.basic", r->p))
		return;
	out->kind = AUTH_BASIC;
	key_str(r, n, "user", &out->user);
	const struct yaml_node *user = key_get(n, "user");
	for (size_t i = 0; i < out->user.n; i++)
		if ((unsigned char)out->user.p[i] < 0x20 || out->user.p[i] == 0x7f || out->user.p[i] == ':') {
			problem_at(r->p, user, NULL, "a user name of Basic has no colon and no control character");
			break;
		}
	secret_read(r, n, "password", &out->secret);
}

static void auth_read(struct reader *r, const struct yaml_node *n, struct auth *out)
{
	static const char *const advice = "auth: none, or one of api_key, basic, bearer: "
					  "{bearer: {secret: env:NAME}}";
	*out = (struct auth){ .kind = AUTH_NONE };
	if (!n || (n->type == YAML_SCALAR && str_eq_z(n->text, "none")))
		return;
	if (n->type != YAML_MAP) {
		problem_at(r->p, n, advice, "`source.auth` must be `none` or a map");
		return;
	}
	keys_check(n, "source.auth", r->p);
	if (n->n_children != 1) {
		problem_at(r->p, n, advice, "`source.auth` must have exactly one key, not %zu", n->n_children);
		return;
	}
	const struct yaml_node *one = n->child;
	bool known = str_eq_z(one->key, "api_key") || str_eq_z(one->key, "basic") || str_eq_z(one->key, "bearer");
	if (known && yaml_is_null(one)) {
		problem_at_key(r->p, one, advice, "`%.*s` needs its keys", STR_ARG(one->key));
	} else if (str_eq_z(one->key, "api_key")) {
		api_key_read(r, one, out);
	} else if (str_eq_z(one->key, "basic")) {
		basic_read(r, one, out);
	} else if (str_eq_z(one->key, "bearer") && keys_check(one, "source.auth.bearer", r->p)) {
		out->kind = AUTH_BEARER;
		secret_read(r, one, "secret", &out->secret);
	}
}

static void rate_read(struct reader *r, const struct yaml_node *n, struct source *out)
{
	out->rate_per_us = US_PER_SECOND;
	out->rate_burst = 1;
	if (!keys_check(n, "source.rate", r->p))
		return;
	out->has_rate = true;
	key_u32(r, n, "requests", 1, 1000000, &out->rate_requests);
	key_duration(r, n, "per", US_PER_MS, &out->rate_per_us);
	key_u32(r, n, "burst", 1, 100000, &out->rate_burst);
}

static void times_read(struct reader *r, const struct yaml_node *n, struct source *out)
{
	const struct yaml_node *timeout = key_get(n, "timeout"), *retry = key_get(n, "retry");
	uint64_t low = 100;
	out->connect_us = 10 * (int64_t)US_PER_SECOND;
	out->first_byte_us = 60 * (int64_t)US_PER_SECOND;
	out->total_us = 300 * (int64_t)US_PER_SECOND;
	out->retry = (struct retry_policy){
		.attempts = 6,
		.first_us = 500 * US_PER_MS,
		.max_us = 30 * (int64_t)US_PER_SECOND,
		.wait_max_us = 300 * (int64_t)US_PER_SECOND,
	};
	if (keys_check(timeout, "source.timeout", r->p)) {
		key_duration(r, timeout, "connect", US_PER_MS, &out->connect_us);
		key_duration(r, timeout, "first_byte", US_PER_MS, &out->first_byte_us);
		key_duration(r, timeout, "total", US_PER_MS, &out->total_us);
		key_size(r, timeout, "low_speed", 0, 1 << 30, &low);
	}
	out->low_speed_bytes_s = (uint32_t)low;
	if (keys_check(retry, "source.retry", r->p)) {
		key_u32(r, retry, "attempts", 1, 100, &out->retry.attempts);
		key_duration(r, retry, "first", US_PER_MS, &out->retry.first_us);
		key_duration(r, retry, "max", US_PER_MS, &out->retry.max_us);
		key_duration(r, retry, "wait_max", 0, &out->retry.wait_max_us);
		if (out->retry.max_us < out->retry.first_us)
			problem_at(r->p, retry, NULL, "`retry.max` is shorter than `retry.first`");
	}
	key_duration(r, n, "deadline", US_PER_SECOND, &out->deadline_us);
}

static void limits_read(struct reader *r, const struct yaml_node *n, struct http_limits *out)
{
	*out = (struct http_limits){
		.header_bytes = 256 << 10,
		.body_bytes = 64 << 20,
		.decoded_bytes = 256 << 20,
		.decoded_ratio = 200,
		.json_depth = 128,
	};
	if (!keys_check(n, "source.limits", r->p))
		return;
	key_size(r, n, "header", 1 << 10, 16 << 20, &out->header_bytes);
	key_size(r, n, "body", 1 << 10, UINT64_C(1) << 40, &out->body_bytes);
	key_size(r, n, "decoded", 1 << 10, UINT64_C(1) << 40, &out->decoded_bytes);
	key_u32(r, n, "ratio", 1, 100000, &out->decoded_ratio);
	key_u32(r, n, "depth", 1, 1024, &out->json_depth);
}

static void url_read(struct reader *r, const struct yaml_node *source, struct source *out)
{
	const struct yaml_node *n = key_get(source, "url");
	struct url url;
	struct err e = ERR_INIT;
	if (!n || !yaml_str(n, &out->url, r->p))
		return;
	if (!url_parse(out->url, r->a, &url, &e)) {
		bool user = str_contains(out->url, STR("@"));
		problem_at(r->p, n, user ? "credentials stand in `source.auth`, by reference" : e.hint, "%s", e.message);
		return;
	}
	if (str_contains(out->url, STR("?")) || str_contains(out->url, STR("#")))
		problem_at(r->p, n, "parameters stand in a resource's `query`, keys in `source.auth`",
			   "the URL of a source ends with its path");
	while (str_ends(out->url, STR("/")))
		out->url.n--;
	while (str_ends(url.path, STR("/")))
		url.path.n--;
	out->origin = url.origin;
	out->base_path = url.path;
}

static void network_read(struct reader *r, const struct yaml_node *n, struct source *out)
{
	static const char *const words[] = { "private", NULL };
	size_t which = 1;
	key_choice(r, n, "network", words, &which);
	out->network_private = which == 0 || host_is_private(out->origin.host);
	const struct yaml_node *url = key_get(n, "url");
	bool link_local = str_starts(out->origin.host, STR("169.254.")) || str_starts(out->origin.host, STR("fe80:"));
	if (link_local && !out->network_private)
		problem_at(r->p, url, "say `network: private` if this is what you mean",
			   "the URL names a link-local address");
	if (out->auth.kind != AUTH_NONE && str_eq_z(out->origin.scheme, "http") &&
	    !host_is_loopback(out->origin.host))
		problem_at(r->p, url, "write https://", "credentials over plain http could be read on the way");
}

static void headers_read(struct reader *r, const struct yaml_node *n, struct source *out)
{
	name_values_read(r, n, true, &out->headers, &out->n_headers);
	for (size_t i = 0; i < out->n_headers; i++) {
		if (template_has_edge(&out->headers[i].value))
			problem_at(r->p, n, "put this header into the resource's `headers`",
				   "headers of a source belong to no window: no placeholders here");
		if (out->auth.kind == AUTH_HEADER && str_eq_nocase(out->headers[i].name, out->auth.name))
			problem_at(r->p, n, "remove it here", "the header %.*s is double: `auth` sends it, too",
				   STR_ARG(out->auth.name));
	}
}

void source_read(struct reader *r, const struct yaml_node *n, struct source *out)
{
	out->in_flight = 8;
	if (!keys_check(n, "source", r->p))
		return;
	url_read(r, n, out);
	auth_read(r, key_get(n, "auth"), &out->auth);
	headers_read(r, key_get(n, "headers"), out);
	rate_read(r, key_get(n, "rate"), out);
	times_read(r, n, out);
	limits_read(r, key_get(n, "limits"), &out->limits);
	key_u32(r, n, "in_flight", 1, 256, &out->in_flight);
	network_read(r, n, out);
}

bool source_load_secrets(struct source *s, struct secret_fetcher *fetcher, struct arena *a, struct err *e)
{
	s->secrets.n = 0;
	if (s->auth.kind == AUTH_NONE)
		return true;
	CHECK(s->auth.secret.reference.n > 0);
	if (!secret_load(&s->auth.secret, fetcher, a, e))
		return err_wrap(e, "source %.*s", STR_ARG(s->name.n ? s->name : s->origin.host));
	secret_set_add(&s->secrets, &s->auth.secret);
	return true;
}

bool source_renew_secrets(struct source *s, struct secret_fetcher *fetcher, struct arena *a, bool *changed, struct err *e)
{
	struct secret fresh = s->auth.secret, *old = arena_new(a, struct secret);
	*changed = false;
	CHECK(s->secrets.n > 0 && s->secrets.v[0] == &s->auth.secret);
	if (!secret_load(&fresh, fetcher, a, e))
		return err_wrap(e, "source %.*s, asked for once more", STR_ARG(s->name.n ? s->name : s->origin.host));
	*changed = !str_eq(fresh.hidden, s->auth.secret.hidden);
	if (!*changed)
		return true;
	/* The first of a marker is the one that is filled in; the old one is still looked for. */
	*old = s->auth.secret;
	s->auth.secret = fresh;
	secret_set_add(&s->secrets, old);
	return true;
}
