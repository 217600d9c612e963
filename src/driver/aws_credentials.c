/* The chain itself: what is held, when it is asked for again, by whom; and the environment, its first source. */
#include "driver/aws_parts.h"

#include "base/calendar.h"
#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { EXPIRY_TEXT_MIN = 5 };
static const int64_t EARLY_US = INT64_C(300) * US_PER_SECOND; /* before the end, and up to as much again by chance */
static const int64_t AGAIN_US = INT64_C(60) * US_PER_SECOND;  /* after a refresh that failed, half of it to all of it */

struct aws_chain {
	struct aws_chain_options o;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool refreshing;
	uint64_t random;
	/* what is held; texts in `texts` */
	bool held;
	struct arena texts;
	struct aws_credentials c;
	struct str told_by;
	bool instance;  /* as in aws_refresh */
	int64_t due_us; /* wall: when to ask again; INT64_MAX never */
	uint64_t failures; /* refreshes that failed, and how the last one did: for those who waited for it */
	struct err failure;
	struct arena own; /* of the options */
};

const char *aws_env(const struct aws_chain_options *o, const char *name)
{
	const char *value = o->env(o->user, name);
	return value && *value ? value : NULL;
}

bool aws_env_true(const struct aws_chain_options *o, const char *name)
{
	const char *value = aws_env(o, name);
	return value && str_eq_nocase(str_from(value), STR("true"));
}

bool aws_refresh_http(struct aws_refresh *f, struct err *e)
{
	return f->http || aws_options_http(f->o, &f->http, e);
}

bool aws_time(struct str text, int64_t *us)
{
	bool more;
	return text.n >= EXPIRY_TEXT_MIN && us_from_rfc3339(text, us, &more);
}

/* ── the environment ── */

enum aws_found aws_environment_get(struct aws_refresh *f, struct err *e)
{
	const struct aws_chain_options *o = f->o;
	/* Each is copied before the next is asked for. */
	struct str key = str_from(aws_env(o, "AWS_ACCESS_KEY_ID"));
	if (!key.n)
		return AWS_NOT_SET_UP;
	f->got = (struct aws_credentials){ .access_key = arena_copy(f->a, key) };
	f->got.secret_key = arena_copy(f->a, str_from(aws_env(o, "AWS_SECRET_ACCESS_KEY")));
	f->got.session_token = arena_copy(f->a, str_from(aws_env(o, "AWS_SESSION_TOKEN")));
	struct str expires = arena_copy(f->a, str_from(aws_env(o, "AWS_CREDENTIAL_EXPIRATION")));
	f->told_by = STR("the environment");
	if (!f->got.secret_key.n) {
		err_set(e, ERR_CREDENTIALS, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not");
		return AWS_FAILED;
	}
	if (expires.n && !aws_time(expires, &f->got.expires_us)) {
		err_set(e, ERR_CREDENTIALS, "AWS_CREDENTIAL_EXPIRATION is no time (2026-01-31T12:00:00Z)");
		return AWS_FAILED;
	}
	return AWS_GOT;
}

/* ── one refresh ── */

static enum aws_found sources_ask(struct aws_refresh *f, struct err *e)
{
	static enum aws_found (*const sources[])(struct aws_refresh *, struct err *) = {
		aws_environment_get, aws_web_identity_get, aws_profile_get, aws_container_get, aws_instance_get,
	};
	/* Who names a profile wants that one, whatever the environment of the process says. */
	size_t i = f->o->profile.n ? 2 : 0;
	for (; i < sizeof sources / sizeof *sources; i++) {
		enum aws_found found = sources[i](f, e);
		if (found != AWS_NOT_SET_UP)
			return found;
	}
	err_set(e, ERR_CREDENTIALS, "no AWS credentials: nothing in the environment, in the shared files, from a container's "
		"endpoint or from the instance");
	return AWS_NOT_SET_UP;
}

static bool refresh(struct aws_chain *c, struct aws_refresh *f, struct err *e)
{
	bool ok = sources_ask(f, e) == AWS_GOT;
	if (f->http)
		http_close(f->http);
	f->http = NULL;
	int64_t now = c->o.clock->wall_us(c->o.clock);
	if (ok && f->got.expires_us && f->got.expires_us <= now) {
		struct str until = us_to_rfc3339(f->got.expires_us, f->a);
		ok = err_set(e, ERR_CREDENTIALS, "the AWS credentials of %.*s ended at %.*s", STR_ARG(f->told_by),
			     STR_ARG(until));
		err_hint(e, "get new ones; if they are new, the clock of this machine is wrong");
	}
	return ok;
}

static void wipe(struct str s)
{
	if (s.n)
		explicit_bzero((char *)(uintptr_t)s.p, s.n);
}

static void drop(struct aws_chain *c)
{
	wipe(c->c.secret_key);
	wipe(c->c.session_token);
	c->c = (struct aws_credentials){ 0 };
	c->told_by = STR_NONE;
	c->held = false;
	arena_free(&c->texts);
}

static void copy(const struct aws_credentials *from, struct arena *a, struct aws_credentials *to)
{
	*to = (struct aws_credentials){
		.access_key = arena_copy(a, from->access_key),
		.secret_key = arena_copy(a, from->secret_key),
		.session_token = arena_copy(a, from->session_token),
		.expires_us = from->expires_us,
	};
}

/* Under the lock. */
static void take(struct aws_chain *c, const struct aws_refresh *f)
{
	int64_t now = c->o.clock->wall_us(c->o.clock);
	drop(c);
	copy(&f->got, &c->texts, &c->c);
	c->told_by = arena_copy(&c->texts, f->told_by);
	c->instance = f->instance;
	c->held = true;
	c->due_us = INT64_MAX;
	if (c->c.expires_us) {
		int64_t early = EARLY_US + aws_random_us(&c->random, EARLY_US), life = c->c.expires_us - now;
		c->due_us = c->c.expires_us - (early < life / 4 ? early : life / 4);
	}
	wipe(f->got.secret_key);
	wipe(f->got.session_token);
}

/* Called and left with the lock held; in between others may use what is held. */
static bool refresh_unlocked(struct aws_chain *c, struct err *e)
{
	struct arena a = ARENA_INIT;
	uint64_t random = aws_random(&c->random);
	struct aws_refresh f = { .o = &c->o, .a = &a, .random = &random };
	c->refreshing = true;
	pthread_mutex_unlock(&c->lock);
	bool ok = refresh(c, &f, e);
	pthread_mutex_lock(&c->lock);
	c->refreshing = false;
	if (ok) {
		take(c, &f);
	} else {
		c->due_us = c->o.clock->wall_us(c->o.clock) + AGAIN_US / 2 + aws_random_us(&c->random, AGAIN_US / 2);
		c->failures++;
		c->failure = *e;
	}
	pthread_cond_broadcast(&c->changed);
	arena_free(&a);
	return ok;
}

static bool is_valid(const struct aws_chain *c)
{
	return c->held && (!c->c.expires_us || c->o.clock->wall_us(c->o.clock) < c->c.expires_us);
}

/* Under the lock: what is held is good to use, or it could not be had. */
static bool have(struct aws_chain *c, struct err *e)
{
	uint64_t failures = c->failures;
	struct err why = ERR_INIT;
	while (c->refreshing) {
		if (is_valid(c))
			return true;
		pthread_cond_wait(&c->changed, &c->lock);
	}
	bool valid = is_valid(c);
	if (valid && c->o.clock->wall_us(c->o.clock) < c->due_us)
		return true;
	if (!valid && c->failures != failures) { /* the one that we waited for */
		*e = c->failure;
		return false;
	}
	if (refresh_unlocked(c, &why) || is_valid(c)) /* where it failed, the old ones serve on */
		return true;
	*e = why;
	return false;
}

bool aws_chain_get(struct aws_chain *c, struct arena *a, struct aws_credentials *out, struct err *e)
{
	pthread_mutex_lock(&c->lock);
	bool ok = have(c, e);
	if (ok)
		copy(&c->c, a, out);
	pthread_mutex_unlock(&c->lock);
	return ok;
}

void aws_chain_renew(struct aws_chain *c, const struct aws_credentials *refused)
{
	pthread_mutex_lock(&c->lock);
	if (c->held && str_eq(c->c.access_key, refused->access_key) &&
	    str_eq(c->c.session_token, refused->session_token))
		drop(c);
	pthread_mutex_unlock(&c->lock);
}

/* ── what else the surroundings say ── */

/* An instance knows where it is. Others are not asked: what answers there may be anything. */
static bool instance_region(struct aws_chain *c, struct arena *a, struct str *region, struct err *e)
{
	struct arena own = ARENA_INIT;
	struct err why = ERR_INIT;
	pthread_mutex_lock(&c->lock);
	bool instance = have(c, &why) && c->instance;
	uint64_t random = aws_random(&c->random);
	pthread_mutex_unlock(&c->lock);
	struct aws_refresh f = { .o = &c->o, .a = &own, .random = &random };
	bool ok = instance && aws_instance_region(&f, region, e);
	if (ok)
		*region = arena_copy(a, *region);
	if (f.http)
		http_close(f.http);
	arena_free(&own);
	return ok;
}

bool aws_chain_region(struct aws_chain *c, bool may_ask, struct arena *a, struct str *region, struct err *e)
{
	struct err why = ERR_INIT;
	if (!aws_options_region(&c->o, a, region, e))
		return false;
	if (region->n || (may_ask && instance_region(c, a, region, &why)))
		return true;
	err_set(e, ERR_CREDENTIALS, "the AWS region is not known%s%s", why.code ? ": " : "", why.message);
	return err_hint(e, "export AWS_REGION=eu-central-1, or give the profile a `region`");
}

bool aws_chain_endpoint(struct aws_chain *c, const char *service, struct arena *a, struct str *out, struct err *e)
{
	return aws_options_endpoint(&c->o, service, a, out, e);
}

struct str aws_chain_told_by(struct aws_chain *c, struct arena *a)
{
	pthread_mutex_lock(&c->lock);
	struct str out = arena_copy(a, c->told_by);
	pthread_mutex_unlock(&c->lock);
	return out;
}

bool aws_chain_ca_bundle(struct aws_chain *c, struct arena *a, struct str *out, struct err *e)
{
	return aws_options_ca_bundle(&c->o, a, out, e);
}

bool aws_options_http(const struct aws_chain_options *o, struct http **out, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str bundle;
	bool ok = o->http_open ? o->http_open(o->user, o->clock, out, e)
			       : aws_options_ca_bundle(o, &a, &bundle, e) && http_open_curl_ca(o->clock, bundle, out, e);
	arena_free(&a);
	return ok;
}

bool aws_chain_http(struct aws_chain *c, struct http **out, struct err *e)
{
	return aws_options_http(&c->o, out, e);
}

static const char *env_process(void *user, const char *name)
{
	(void)user;
	return getenv(name);
}

bool aws_chain_open(const struct aws_chain_options *o, struct aws_chain **out, struct err *e)
{
	(void)e;
	struct aws_chain *c = mem_alloc(sizeof *c);
	c->o = *o;
	c->o.clock = o->clock ? o->clock : clock_system();
	c->o.env = o->env ? o->env : env_process;
	c->o.profile = arena_copy(&c->own, o->profile);
	/* Only to spread processes that start together: the address of the stack differs where the clock does not. */
	c->random = o->random_seed ? o->random_seed
				   : (uint64_t)c->o.clock->wall_us(c->o.clock) ^ (uint64_t)(uintptr_t)&c ^ (uint64_t)(uintptr_t)c;
	CHECK(pthread_mutex_init(&c->lock, NULL) == 0 && pthread_cond_init(&c->changed, NULL) == 0);
	*out = c;
	return true;
}

void aws_chain_close(struct aws_chain *c)
{
	if (!c)
		return;
	CHECK(!c->refreshing);
	drop(c);
	arena_free(&c->own);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	mem_free(c);
}
