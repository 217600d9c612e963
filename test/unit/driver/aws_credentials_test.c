/* The chain: every source and refusal as a case (test/case/driver/aws_credentials.ndjson; each secret in it holds the word
 * "hidden", which no message may show), and in code what needs time: refreshes, failures, threads. */
#include "unit.h"

#include "base/buf.h"
#include "base/calendar.h"
#include "base/file.h"
#include "base/json.h"
#include "driver/aws_call.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum { ROWS_MAX = 16, CASES_MAX_BYTES = 1 << 20 };
static const int64_t NOON_US = INT64_C(1795348800) * US_PER_SECOND; /* 2026-11-22T12:00:00Z */

/* The fake outlives the refreshes, so that its rows are used up over all of them and its transcript can be read. */
struct world {
	struct http http; /* what the chain gets: closing it closes nothing */
	struct http *fake;
	struct clock_fake clock;
	const struct json_node *env; /* NULL: `pairs` */
	const char *const *pairs;
	struct str folder;
	struct arena a;
	unsigned opened;
};

static struct world *world_of(struct http *h)
{
	return (struct world *)h;
}

static bool pass_start(struct http *h, const struct http_request *r, struct err *e)
{
	bool plain = str_starts(r->url, STR("http://"));
	/* Only what lies beside us is asked past the proxy. */
	if (plain)
		assert_true(r->direct);
	assert_true(r->total_us > 0 && r->connect_us > 0 && r->max_body_bytes > 0);
	return http_start(world_of(h)->fake, r, e);
}

static struct http_exchange *pass_wait(struct http *h, int64_t timeout_us)
{
	return http_wait(world_of(h)->fake, timeout_us);
}

static void pass_nothing(struct http *h)
{
	(void)h;
}

static bool world_http(void *user, struct clock *clock, struct http **out, struct err *e)
{
	static const struct http_ops ops = { pass_start, pass_wait, pass_nothing, pass_nothing, pass_nothing };
	struct world *w = user;
	(void)clock;
	(void)e;
	w->http.ops = &ops;
	w->opened++;
	*out = &w->http;
	return true;
}

static struct str with_folder(struct world *w, struct str text)
{
	struct buf b = BUF_INIT(1 << 16);
	for (size_t at; (at = str_find(text, STR("$DIR"))) < text.n; text = str_sub(text, at + 4, text.n))
		assert_true(buf_add(&b, str_sub(text, 0, at)) && buf_add(&b, w->folder));
	buf_add(&b, text);
	struct str out = arena_copy(&w->a, buf_str(&b));
	buf_free(&b);
	return out;
}

static const char *world_env(void *user, const char *name)
{
	struct world *w = user;
	for (size_t i = 0; w->pairs && w->pairs[i]; i += 2)
		if (strcmp(w->pairs[i], name) == 0)
			return w->pairs[i + 1];
	const struct json_node *v = w->env ? json_get(w->env, name) : NULL;
	return v ? arena_zero_terminated(&w->a, with_folder(w, v->text)) : NULL;
}

static void world_begin(struct world *w)
{
	struct err e = ERR_INIT;
	char *path;
	*w = (struct world){ 0 };
	clock_fake_init(&w->clock, NOON_US);
	assert_true(file_make_scratch(NULL, &w->a, &path, &e));
	w->folder = str_from(path);
}

static void world_end(struct world *w)
{
	struct err e = ERR_INIT;
	if (w->fake)
		http_close(w->fake);
	assert_true(file_remove_tree(w->folder.p, &e));
	arena_free(&w->a);
}

static struct aws_chain *world_chain(struct world *w, struct str profile)
{
	struct aws_chain *c;
	struct err e = ERR_INIT;
	struct aws_chain_options o = { .clock = &w->clock.clock, .http_open = world_http, .env = world_env, .user = w,
				       .profile = profile, .random_seed = 7 };
	assert_true(aws_chain_open(&o, &c, &e));
	return c;
}

static void write_file(struct world *w, struct str name, struct str text, mode_t mode)
{
	struct err e = ERR_INIT;
	struct str path = arena_format(&w->a, "%.*s/%.*s", STR_ARG(w->folder), STR_ARG(name));
	size_t end = name.n;
	while (end > 0 && name.p[end - 1] != '/')
		end--;
	struct str folder = arena_format(&w->a, "%.*s/%.*s", STR_ARG(w->folder), STR_ARG(str_sub(name, 0, end)));
	assert_true(file_make_dirs(arena_zero_terminated(&w->a, folder), &e));
	assert_true(file_write(path.p, text, &e));
	assert_int_equal(chmod(path.p, mode), 0);
}

/* ── cases ── */

static enum err_code code_named(struct str name)
{
	for (int i = 0; i < ERR_COUNT; i++)
		if (str_eq_z(name, err_name((enum err_code)i)))
			return (enum err_code)i;
	fail_msg("no error %.*s", STR_ARG(name));
	return ERR_NONE;
}

static struct http_fake_row row_read(struct world *w, const struct json_node *n)
{
	struct str fail = json_str_or(n, "fail", STR_NONE), body = json_str_or(n, "body", STR_NONE);
	struct http_fake_row row = {
		.method = json_str_or(n, "method", STR_NONE), .url_glob = json_str_or(n, "url", STR_NONE),
		.times = (unsigned)json_i64_or(n, "times", 0),
		.fail = fail.n ? code_named(fail) : ERR_NONE,
	};
	if (!fail.n)
		row.raw = arena_format(&w->a, "HTTP/1.1 %lld X\r\nContent-Length: %zu\r\n%.*s\r\n%.*s",
				       (long long)json_i64_or(n, "status", 200), body.n,
				       STR_ARG(json_str_or(n, "head", STR_NONE)), STR_ARG(body));
	return row;
}

static void check_asked(struct world *w, const struct json_node *want, struct str name)
{
	struct str asked = http_fake_transcript(w->fake, &w->a);
	const struct json_node *yes = json_get(want, "asked"), *no = json_get(want, "not_asked");
	for (const struct json_node *n = yes ? yes->child : NULL; n; n = n->next)
		if (!str_contains(asked, n->text))
			fail_msg("%.*s: not asked: %.*s in\n%.*s", STR_ARG(name), STR_ARG(n->text), STR_ARG(asked));
	for (const struct json_node *n = no ? no->child : NULL; n; n = n->next)
		if (str_contains(asked, n->text))
			fail_msg("%.*s: asked: %.*s in\n%.*s", STR_ARG(name), STR_ARG(n->text), STR_ARG(asked));
}

static void check_wanted(struct world *w, const struct json_node *want, struct str name, struct aws_chain *c)
{
	struct aws_credentials got = { 0 };
	struct err e = ERR_INIT;
	bool ok = aws_chain_get(c, &w->a, &got, &e);
	struct str error = json_str_or(want, "error", STR_NONE);
	if (strstr(e.message, "hidden") || strstr(e.hint, "hidden"))
		fail_msg("%.*s: a secret in \"%s\"", STR_ARG(name), e.message);
	const struct json_node *never = json_get(want, "never");
	for (const struct json_node *n = never ? never->child : NULL; n; n = n->next)
		if (str_contains(str_from(e.message), n->text))
			fail_msg("%.*s: \"%s\"", STR_ARG(name), e.message);
	if (ok != !error.n)
		fail_msg("%.*s: %s", STR_ARG(name), ok ? "credentials" : e.message);
	if (!ok) {
		struct str says = with_folder(w, json_str_or(want, "says", STR_NONE));
		if (!str_eq_z(error, err_name(e.code)) || !str_contains(str_from(e.message), says) || !err_hint_text(&e)[0])
			fail_msg("%.*s: %s: %s", STR_ARG(name), err_name(e.code), e.message);
		return;
	}
	struct str from = aws_chain_told_by(c, &w->a);
	const struct json_node *token = json_get(want, "token"), *secret = json_get(want, "secret");
	if (!str_eq(got.access_key, json_str_or(want, "key", STR_NONE)) || !str_eq(from, json_str_or(want, "from", STR_NONE)) ||
	    (token && !str_eq(got.session_token, token->text)) || (secret && !str_eq(got.secret_key, secret->text)) ||
	    !str_contains(got.secret_key, STR("hidden")) ||
	    got.expires_us != json_i64_or(want, "expires", got.expires_us))
		fail_msg("%.*s: %.*s from %.*s until %lld", STR_ARG(name), STR_ARG(got.access_key), STR_ARG(from),
			 (long long)got.expires_us);
}

static void one_case(struct str line)
{
	struct world w;
	struct err e = ERR_INIT;
	struct json_node *n;
	struct http_fake_row rows[ROWS_MAX];
	size_t n_rows = 0;
	world_begin(&w);
	if (!json_parse(line, &w.a, &n, &e))
		fail_msg("%s", e.message);
	w.env = json_get(n, "env");
	for (const struct json_node *f = json_get(n, "files")->child; f; f = f->next)
		write_file(&w, f->key, with_folder(&w, json_str_or(f, "text", STR_NONE)), (mode_t)json_i64_or(f, "mode", 0600));
	for (const struct json_node *h = json_get(n, "http")->child; h; h = h->next) {
		assert_true(n_rows < ROWS_MAX);
		rows[n_rows++] = row_read(&w, h);
	}
	assert_true(http_open_fake(&w.clock, rows, n_rows, &w.fake, &e));
	struct aws_chain *c = world_chain(&w, json_str_or(n, "profile", STR_NONE));
	check_wanted(&w, json_get(n, "want"), json_str_or(n, "name", STR_NONE), c);
	check_asked(&w, json_get(n, "want"), json_str_or(n, "name", STR_NONE));
	aws_chain_close(c);
	world_end(&w);
}

static void cases(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct str all, line;
	struct err e = ERR_INIT;
	size_t n = 0;
	assert_true(file_read(TEST_DATA "/driver/aws_credentials.ndjson", CASES_MAX_BYTES, &a, &all, &e));
	for (; str_cut(&all, '\n', &line); n++)
		one_case(line);
	assert_true(n > 90);
	arena_free(&a);
}

/* ── in time ── */

static const char *const CONTAINER[] = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", "HOME", "/nowhere", NULL };
#define ANSWER(key, until) STR("HTTP/1.1 200 OK\r\n\r\n{\"AccessKeyId\":\"" key "\",\"SecretAccessKey\":\"s\",\"Token\":\"" key \
			       "\",\"Expiration\":\"" until "\"}")
#define ROW(n, answer) { .method = STR("GET"), .url_glob = STR("*"), .times = (n), .raw = answer }
#define BROKEN(n) { .method = STR("GET"), .url_glob = STR("*"), .times = (n), .fail = ERR_CONNECT }

/* The container's service answers like that, one row after the other. */
static struct aws_chain *container_begin(struct world *w, const struct http_fake_row *rows, size_t n)
{
	struct err e = ERR_INIT;
	world_begin(w);
	w->pairs = CONTAINER;
	assert_true(http_open_fake(&w->clock, rows, n, &w->fake, &e));
	return world_chain(w, STR_NONE);
}

static void want_key(struct world *w, struct aws_chain *c, const char *key)
{
	struct aws_credentials got;
	struct err e = ERR_INIT;
	if (!aws_chain_get(c, &w->a, &got, &e))
		fail_msg("%s", e.message);
	assert_text(got.access_key, key);
}

static void want_error(struct world *w, struct aws_chain *c, enum err_code code)
{
	struct aws_credentials got;
	struct err e = ERR_INIT;
	assert_false(aws_chain_get(c, &w->a, &got, &e));
	assert_int_equal(e.code, code);
}

static void minutes_pass(struct world *w, int64_t minutes)
{
	w->clock.wall_us += minutes * 60 * US_PER_SECOND;
}

static void before_their_end(void **state)
{
	(void)state;
	const struct http_fake_row rows[] = {
		ROW(1, ANSWER("AK1", "2026-11-22T18:00:00Z")), BROKEN(6), ROW(1, ANSWER("AK2", "2026-11-22T23:00:00Z")), BROKEN(0),
	};
	struct world w;
	struct aws_chain *c = container_begin(&w, rows, COUNT(rows));
	want_key(&w, c, "AK1");
	minutes_pass(&w, 349); /* 17:49: more than ten minutes before the end */
	want_key(&w, c, "AK1");
	assert_int_equal(w.opened, 1);
	minutes_pass(&w, 7); /* 17:56: less than five; it fails, and the old ones serve */
	want_key(&w, c, "AK1");
	assert_int_equal(w.opened, 2);
	want_key(&w, c, "AK1"); /* not asked again at once */
	assert_int_equal(w.opened, 2);
	minutes_pass(&w, 2);
	want_key(&w, c, "AK1");
	assert_int_equal(w.opened, 3);
	minutes_pass(&w, 1); /* 17:59 */
	want_key(&w, c, "AK2");
	assert_int_equal(w.opened, 4);
	minutes_pass(&w, 301); /* 23:00: over, and nobody answers */
	want_error(&w, c, ERR_CONNECT);
	aws_chain_close(c);
	world_end(&w);
}

static void renewed(void **state)
{
	(void)state;
	const struct http_fake_row rows[] = {
		ROW(1, ANSWER("AK1", "2026-11-22T18:00:00Z")), ROW(1, ANSWER("AK2", "2026-11-22T18:00:00Z")), BROKEN(0),
	};
	struct world w;
	struct aws_chain *c = container_begin(&w, rows, COUNT(rows));
	struct aws_credentials one = { .access_key = STR("AK1"), .session_token = STR("AK1") };
	struct aws_credentials two = { .access_key = STR("AK2"), .session_token = STR("AK2") };
	want_key(&w, c, "AK1");
	aws_chain_renew(c, &one);
	want_key(&w, c, "AK2");
	aws_chain_renew(c, &one); /* told late: others are held by now */
	want_key(&w, c, "AK2");
	assert_int_equal(w.opened, 2);
	aws_chain_renew(c, &two); /* refused ones are not used on, though their time is not over */
	want_error(&w, c, ERR_CONNECT);
	aws_chain_close(c);
	world_end(&w);
}

/* Short lives are asked for again in the last quarter, not all the time. */
static void short_lives(void **state)
{
	(void)state;
	const struct http_fake_row rows[] = {
		ROW(1, ANSWER("AK1", "2026-11-22T12:04:00Z")), ROW(0, ANSWER("AK2", "2026-11-22T12:08:00Z")),
	};
	struct world w;
	struct aws_chain *c = container_begin(&w, rows, COUNT(rows));
	want_key(&w, c, "AK1");
	minutes_pass(&w, 2);
	want_key(&w, c, "AK1");
	minutes_pass(&w, 1);
	want_key(&w, c, "AK2");
	aws_chain_close(c);
	world_end(&w);
}

/* ── threads ── */

struct crowd {
	struct aws_chain *chain;
	struct clock clock; /* the system's sleeps, a wall of our own */
	_Atomic int64_t wall_us;
	atomic_uint opened, inside, most;
	struct arena a;
};

static struct crowd *crowd;

static int64_t crowd_wall(struct clock *c)
{
	(void)c;
	return atomic_load(&crowd->wall_us);
}

static int64_t crowd_monotonic(struct clock *c)
{
	(void)c;
	return clock_system()->monotonic_us(clock_system());
}

static bool crowd_http(void *user, struct clock *clock, struct http **out, struct err *e)
{
	(void)clock;
	(void)user;
	static _Thread_local struct clock_fake fake;
	static _Thread_local struct http_fake_row row;
	clock_fake_init(&fake, NOON_US);
	unsigned inside = atomic_fetch_add(&crowd->inside, 1) + 1;
	if (inside > atomic_load(&crowd->most))
		atomic_store(&crowd->most, inside);
	row = (struct http_fake_row)ROW(0, ANSWER("AK1", "2026-11-22T18:00:00Z"));
	atomic_fetch_add(&crowd->opened, 1);
	bool ok = http_open_fake(&fake, &row, 1, out, e);
	atomic_fetch_sub(&crowd->inside, 1);
	return ok;
}

static const char *crowd_env(void *user, const char *name)
{
	(void)user;
	return strcmp(name, CONTAINER[0]) == 0 ? CONTAINER[1] : NULL;
}

static void *crowd_member(void *user)
{
	(void)user;
	for (int i = 0; i < 200; i++) {
		struct arena a = ARENA_INIT;
		struct aws_credentials got;
		struct err e = ERR_INIT;
		if (!aws_chain_get(crowd->chain, &a, &got, &e) || !str_eq_z(got.access_key, "AK1"))
			return crowd;
		if (i == 100)
			aws_chain_renew(crowd->chain, &got);
		arena_free(&a);
	}
	return NULL;
}

static void many_threads(void **state)
{
	(void)state;
	struct crowd here = { .clock = { crowd_wall, crowd_monotonic, NULL }, .wall_us = NOON_US };
	struct err e = ERR_INIT;
	struct aws_chain_options o = { .clock = &here.clock, .http_open = crowd_http, .env = crowd_env };
	pthread_t threads[8];
	crowd = &here;
	assert_true(aws_chain_open(&o, &here.chain, &e));
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, NULL), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *failed;
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(here.most, 1);
	assert_true(here.opened >= 2 && here.opened <= 1 + COUNT(threads));
	aws_chain_close(here.chain);
}

/* ── region and endpoints ── */

static const struct json_node *want_of(const struct json_node *want, const char *key)
{
	const struct json_node *n = json_get(want, key);
	return n && n->type != JSON_NULL ? n : NULL;
}

/* botocore is held against the same cases (test/e2e/test_aws_places.py). */
static void one_place(struct str line)
{
	struct world w;
	struct err e = ERR_INIT;
	struct json_node *n;
	struct str region = STR_NONE, url;
	world_begin(&w);
	if (!json_parse(line, &w.a, &n, &e))
		fail_msg("%s", e.message);
	w.env = json_get(n, "env");
	for (const struct json_node *f = json_get(n, "files")->child; f; f = f->next)
		write_file(&w, f->key, f->text, 0600);
	const struct json_node *want = json_get(n, "want"), *where = want_of(want, "region"), *host = want_of(want, "host");
	struct aws_chain *c = world_chain(&w, STR_NONE);
	struct str name = json_str_or(n, "name", STR_NONE), error = json_str_or(want, "error", STR_NONE);
	bool said = aws_chain_region(c, false, &w.a, &region, &e);
	if (str_eq_z(error, "region") ? said || e.code != ERR_CONFIG : where && where->text.n ? !said : said)
		fail_msg("%.*s: region %.*s: %s", STR_ARG(name), STR_ARG(region), e.message);
	if (said && where && !str_eq(region, where->text))
		fail_msg("%.*s: region %.*s", STR_ARG(name), STR_ARG(region));
	if (host && !str_eq(aws_service_host("ssm", region, &w.a), host->text))
		fail_msg("%.*s: not its host", STR_ARG(name));
	const struct json_node *bundle = want_of(want, "ca_bundle");
	struct err none = ERR_INIT;
	if (bundle && (!aws_chain_ca_bundle(c, &w.a, &url, &none) || !str_eq(url, bundle->text)))
		fail_msg("%.*s: '%.*s' %s", STR_ARG(name), STR_ARG(url), none.message);
	for (const struct json_node *s = json_get(want, "endpoints")->child; s; s = s->next) {
		struct err why = ERR_INIT;
		bool ok = aws_chain_endpoint(c, arena_zero_terminated(&w.a, s->key), &w.a, &url, &why);
		if (ok != (s->type == JSON_STRING) || (ok && !str_eq(url, s->text)) || (!ok && why.code != ERR_CONFIG))
			fail_msg("%.*s: %.*s at '%.*s': %s", STR_ARG(name), STR_ARG(s->key), STR_ARG(url), why.message);
	}
	aws_chain_close(c);
	world_end(&w);
}

static void places(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct str all, line;
	struct err e = ERR_INIT;
	size_t n = 0;
	assert_true(file_read(TEST_DATA "/driver/aws_places.ndjson", CASES_MAX_BYTES, &a, &all, &e));
	for (; str_cut(&all, '\n', &line); n++)
		one_place(line);
	assert_true(n > 45);
	arena_free(&a);
}

/* A file that is nobody's business does not stand in the way of what the environment says. */
static void files_of_others(void **state)
{
	(void)state;
	struct world w;
	struct err e = ERR_INIT;
	struct str url;
	world_begin(&w);
	const char *said[] = { "HOME", arena_zero_terminated(&w.a, w.folder), "AWS_ENDPOINT_URL", "https://b", NULL };
	const char *unsaid[] = { said[0], said[1], NULL };
	write_file(&w, STR(".aws/config"), STR("[default]\nendpoint_url = https://c\n"), 0666);
	struct aws_chain *c = world_chain(&w, STR_NONE);
	w.pairs = said;
	assert_true(aws_chain_endpoint(c, "S3", &w.a, &url, &e));
	assert_text(url, "https://b");
	w.pairs = unsaid;
	assert_false(aws_chain_endpoint(c, "S3", &w.a, &url, &e)); /* somebody else may have written where to go */
	assert_int_equal(e.code, ERR_CREDENTIALS);
	aws_chain_close(c);
	world_end(&w);
}

static void region_of_the_environment(void **state)
{
	(void)state;
	static const char *const pairs[] = { "AWS_REGION", "eu-central-1", "AWS_DEFAULT_REGION", "us-west-1", NULL };
	struct world w;
	struct err e = ERR_INIT;
	struct str region;
	world_begin(&w);
	w.pairs = pairs;
	struct aws_chain *c = world_chain(&w, STR_NONE);
	assert_true(aws_chain_region(c, false, &w.a, &region, &e));
	assert_text(region, "eu-central-1");
	aws_chain_close(c);
	world_end(&w);
}

#define IMDS "http://169.254.169.254/latest/"
#define IMDS_ROWS { .method = STR("PUT"), .url_glob = STR(IMDS "api/token"), .raw = STR("HTTP/1.1 200 OK\r\n\r\ntok") }, \
		  { .method = STR("GET"), .url_glob = STR(IMDS "meta-data/iam/security-credentials/"), \
		    .raw = STR("HTTP/1.1 200 OK\r\n\r\nr") }, \
		  { .method = STR("GET"), .url_glob = STR(IMDS "meta-data/iam/security-credentials/r"), \
		    .raw = ANSWER("AKI", "2026-11-22T18:00:00Z") }

static bool ask_region(const char *const *pairs, struct str answer, bool may_ask, struct str *region, struct str *asked,
		       struct arena *a, struct err *e)
{
	struct http_fake_row rows[] = {
		IMDS_ROWS, { .method = STR("GET"), .url_glob = STR(IMDS "meta-data/placement/region"), .raw = answer },
		{ .method = STR("GET"), .url_glob = STR("http://169.254.170.2/c"), .raw = ANSWER("AKC", "2026-11-22T18:00:00Z") },
	};
	struct world w;
	struct err why = ERR_INIT;
	world_begin(&w);
	w.pairs = pairs;
	assert_true(http_open_fake(&w.clock, rows, COUNT(rows), &w.fake, &why));
	struct aws_chain *c = world_chain(&w, STR_NONE);
	bool ok = aws_chain_region(c, may_ask, a, region, e);
	*asked = arena_copy(a, http_fake_transcript(w.fake, &w.a));
	aws_chain_close(c);
	world_end(&w);
	return ok;
}

/* Only where the credentials are the instance's, too, and nobody else says one. */
static void region_of_the_instance(void **state)
{
	(void)state;
	static const char *const nothing[] = { "HOME", "/nowhere", NULL };
	static const char *const said[] = { "HOME", "/nowhere", "AWS_REGION", "us-east-2", NULL };
	static const char *const off[] = { "HOME", "/nowhere", "AWS_EC2_METADATA_DISABLED", "true", NULL };
	static const char *const keys[] = { "HOME", "/nowhere", "AWS_ACCESS_KEY_ID", "A", "AWS_SECRET_ACCESS_KEY", "b", NULL };
	static const struct str good = { "HTTP/1.1 200 OK\r\n\r\nap-south-1\n", 30 }, bad = { "HTTP/1.1 200 OK\r\n\r\nx.evil/", 26 },
				none = { "HTTP/1.1 404 No\r\n\r\n", 19 };
	const struct {
		const char *const *pairs;
		struct str answer;
		bool may_ask;
		const char *region, *asked; /* region NULL: not known; asked: what stands in the transcript, "" nothing at all */
	} table[] = {
		{ nothing, good, true, "ap-south-1", "placement/region" }, { nothing, good, false, NULL, "" },
		{ said, good, true, "us-east-2", "" },                     { off, good, true, NULL, "" },
		{ keys, good, true, NULL, "" },                            { CONTAINER, good, true, NULL, "169.254.170.2/c" },
		{ nothing, bad, true, NULL, "placement/region" },          { nothing, none, true, NULL, "placement/region" },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct str region = STR_NONE, asked;
		bool ok = ask_region(table[i].pairs, table[i].answer, table[i].may_ask, &region, &asked, &a, &e);
		if (ok != (table[i].region != NULL) || (ok && !str_eq_z(region, table[i].region)) || (!ok && e.code != ERR_CREDENTIALS))
			fail_msg("%zu: %.*s %s", i, STR_ARG(region), e.message);
		if (table[i].asked[0] ? !str_contains(asked, str_from(table[i].asked)) : asked.n > 0)
			fail_msg("%zu: asked %.*s", i, STR_ARG(asked));
		arena_free(&a);
	}
}

/* ── stop ── */

static volatile int stop;

static void *stop_soon(void *user)
{
	struct clock *clock = clock_system();
	const char *path = user; /* its command has begun */
	for (int i = 0; i < 2000 && !file_exists(path); i++)
		clock->sleep_us(clock, 5000);
	stop = 15;
	return NULL;
}

/* Its command would take a minute; the signal ends it, and whatever it has begun. */
static void a_stop_ends_the_process(void **state)
{
	(void)state;
	struct world w;
	struct err e = ERR_INIT;
	struct aws_credentials got;
	pthread_t thread;
	struct clock *clock = clock_system();
	world_begin(&w);
	const char *pairs[] = { "HOME", arena_zero_terminated(&w.a, w.folder), NULL };
	w.pairs = pairs;
	const char *path = arena_zero_terminated(&w.a, arena_format(&w.a, "%.*s/pid", STR_ARG(w.folder)));
	struct str text = arena_format(&w.a, "[default]\ncredential_process = echo $$ > %s.new; mv %s.new %s; sleep 50; true\n", path,
				       path, path);
	write_file(&w, STR(".aws/config"), text, 0600);
	struct aws_chain *c = world_chain(&w, STR_NONE);
	stop = 0;
	aws_stop_watch(&stop);
	int64_t began = clock->monotonic_us(clock);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, (void *)(uintptr_t)path), 0);
	assert_false(aws_chain_get(c, &w.a, &got, &e));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(e.code, ERR_SIGTERM);
	assert_true(clock->monotonic_us(clock) - began < 20 * US_PER_SECOND);
	struct str pid;
	int64_t number = 0;
	assert_true(file_read(path, 100, &w.a, &pid, &e) && str_to_i64(str_trim(pid), &number));
	assert_int_equal(kill((pid_t)number, 0), -1); /* reaped: nobody has that number */
	e = ERR_INIT;
	assert_false(aws_chain_get(c, &w.a, &got, &e)); /* none is begun any more */
	assert_int_equal(e.code, ERR_SIGTERM);
	aws_stop_watch(NULL);
	aws_chain_close(c);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),        cmocka_unit_test(before_their_end), cmocka_unit_test(renewed),
		cmocka_unit_test(short_lives),  cmocka_unit_test(many_threads),     cmocka_unit_test(places), cmocka_unit_test(files_of_others),
		cmocka_unit_test(region_of_the_environment), cmocka_unit_test(region_of_the_instance),
		cmocka_unit_test(a_stop_ends_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
