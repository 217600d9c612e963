#include "driver/aws_secret.h"

#include "base/check.h"
#include "base/json.h"
#include "driver/aws_parts.h"

#include <string.h>

enum { BODY_MAX_BYTES = 8 << 10 };

struct fetcher {
	struct secret_fetcher fetcher;
	struct aws_chain_options o;
	struct aws_chain *chain;
	struct http *http; /* once something was fetched */
	uint64_t random;
};

static const struct service {
	struct str prefix;
	const char *name, *people, *endpoint, *target, *id, *more, *value, *member;
} SERVICES[] = {
	{ { "aws-secret:", 11 }, "secretsmanager", "Secrets Manager", "SECRETS_MANAGER", "secretsmanager.GetSecretValue", "SecretId",
	  NULL, NULL, "SecretString" },
	{ { "aws-ssm:", 8 }, "ssm", "Parameter Store", "SSM", "AmazonSSM.GetParameter", "Name", "WithDecryption", "Parameter",
	  "Value" },
};

struct place {
	const struct service *service;
	struct str name, key; /* key "": the whole */
	struct str region, endpoint;
};

/* The fourth part of "arn:aws:secretsmanager:eu-central-1:123456789012:secret:name". */
static struct str arn_region(struct str name)
{
	struct str rest = name, part = STR_NONE;
	if (!str_starts(name, STR("arn:")))
		return STR_NONE;
	for (int i = 0; i < 4; i++)
		if (!str_cut(&rest, ':', &part))
			return STR_NONE;
	return part;
}

static bool place_find(struct fetcher *f, struct str reference, bool may_ask, struct arena *a, struct place *p, struct err *e)
{
	*p = (struct place){ 0 };
	for (size_t i = 0; i < sizeof SERVICES / sizeof *SERVICES; i++)
		if (str_starts(reference, SERVICES[i].prefix))
			p->service = &SERVICES[i];
	CHECK(p->service);
	p->name = str_sub(reference, p->service->prefix.n, reference.n);
	size_t at = str_find_char(p->name, '#');
	p->key = str_sub(p->name, at + 1, p->name.n);
	p->name = str_sub(p->name, 0, at);
	p->region = arn_region(p->name);
	struct str scheme, host;
	if (!aws_chain_endpoint(f->chain, p->service->endpoint, a, &p->endpoint, e) ||
	    (p->endpoint.n && !aws_endpoint_parse(p->endpoint, &scheme, &host, e)))
		return false;
	if (str_starts(p->name, STR("arn:")))
		return aws_region_check(p->region, "the ARN", e);
	return aws_chain_region(f->chain, may_ask, a, &p->region, e);
}

static struct fetcher *of(struct secret_fetcher *f)
{
	return (struct fetcher *)f;
}

bool aws_secrets_place(struct secret_fetcher *f, struct str reference, struct arena *a, struct str *place, struct err *e)
{
	struct place p;
	if (!place_find(of(f), reference, false, a, &p, e))
		return false;
	*place = arena_format(a, "%s in %.*s%s%.*s", p.service->people, STR_ARG(p.region), p.endpoint.n ? ", asked at " : "",
			      STR_ARG(p.endpoint));
	return true;
}

static bool ask(struct fetcher *f, const struct place *p, struct arena *a, struct str *answer, struct err *e)
{
	struct buf body = BUF_INIT(BODY_MAX_BYTES);
	struct json_out o = JSON_OUT(&body);
	if (!f->http && !aws_chain_http(f->chain, &f->http, e))
		return false;
	json_begin_object(&o, NULL);
	json_put_str(&o, p->service->id, p->name);
	if (p->service->more)
		json_put_bool(&o, p->service->more, true);
	json_end_object(&o);
	CHECK(!body.overflow);
	struct aws_caller c = { .http = f->http, .clock = f->o.clock, .chain = f->chain, .region = p->region,
				.endpoint = p->endpoint, .random = aws_random(&f->random) };
	struct aws_operation operation = { .service = p->service->name, .target = p->service->target, .body = buf_str(&body) };
	bool ok = aws_call(&c, &operation, a, answer, e);
	buf_free(&body);
	if (!ok && e->code == ERR_MISSING) {
		err_set(e, ERR_SECRET, "%s in %.*s has none of that name", p->service->people, STR_ARG(p->region));
		err_hint(e, "are the name, the region and the account right?");
	}
	return ok;
}

/* No message of a parser: it may quote what it stumbled over. */
static bool value_take(const struct place *p, struct str answer, struct arena *a, struct str *text, struct err *e)
{
	struct json_node *root;
	struct err ignored = ERR_INIT;
	if (!json_parse(answer, a, &root, &ignored))
		return err_set(e, ERR_SECRET, "the answer of %s is not JSON", p->service->people);
	const struct json_node *in = p->service->value ? json_get(root, p->service->value) : root;
	const struct json_node *value = in ? json_get(in, p->service->member) : NULL;
	if (!value || value->type != JSON_STRING) {
		err_set(e, ERR_SECRET, "it is no text");
		return err_hint(e, "binary secrets are not read: store it as text");
	}
	*text = value->text;
	if (!p->key.n)
		return true;
	if (!json_parse(value->text, a, &root, &ignored) || root->type != JSON_OBJECT) {
		err_set(e, ERR_SECRET, "it is no JSON object, so nothing stands under a key");
		return err_hint(e, "leave out the # and what follows it, if the secret is the text itself");
	}
	value = NULL;
	for (const struct json_node *n = root->child; n; n = n->next)
		if (str_eq(n->key, p->key))
			value = n;
	if (!value)
		return err_set(e, ERR_SECRET, "its JSON has no key %.*s", STR_ARG(p->key));
	if (value->type != JSON_STRING)
		return err_set(e, ERR_SECRET, "what its JSON has under %.*s is no text", STR_ARG(p->key));
	*text = value->text;
	return true;
}

static bool fetch(struct secret_fetcher *fetcher, struct str reference, struct arena *a, struct str *text, struct err *e)
{
	struct fetcher *f = of(fetcher);
	struct arena scratch = ARENA_INIT; /* answers hold the secret, and perhaps others beside it */
	struct place p;
	struct str answer, found;
	bool ok = place_find(f, reference, true, &scratch, &p, e) && ask(f, &p, &scratch, &answer, e);
	if (ok) {
		ok = value_take(&p, answer, &scratch, &found, e);
		if (ok)
			*text = arena_copy(a, found);
		explicit_bzero((char *)(uintptr_t)answer.p, answer.n);
	}
	arena_free(&scratch);
	return ok;
}

bool aws_secrets_open(const struct aws_chain_options *o, struct secret_fetcher **out, struct err *e)
{
	struct fetcher *f = mem_alloc(sizeof *f);
	f->fetcher.fetch = fetch;
	f->o = *o;
	f->o.clock = o->clock ? o->clock : clock_system();
	f->random = o->random_seed ? o->random_seed : (uint64_t)f->o.clock->wall_us(f->o.clock);
	if (!aws_chain_open(o, &f->chain, e)) {
		mem_free(f);
		return false;
	}
	*out = &f->fetcher;
	return true;
}

void aws_secrets_close(struct secret_fetcher *fetcher)
{
	if (!fetcher)
		return;
	struct fetcher *f = of(fetcher);
	aws_chain_close(f->chain);
	if (f->http)
		http_close(f->http);
	mem_free(f);
}
