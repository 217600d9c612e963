#include "in_folder.h"

#include "base/file.h"
#include "base/json.h"
#include "config/pipeline.h"

#include <stdlib.h>
#include <unistd.h>

static struct pipeline *load(const char *text, const char *environment, struct arena *a)
{
	struct problems p = PROBLEMS_INIT(a);
	struct pipeline *out = NULL;
	struct err e = ERR_INIT;
	if (!file_make_dirs("flights", &e) || !file_write("flights/pipeline.yaml", str_from(text), &e))
		fail_msg("%s", e.message);
	if (!pipeline_load("flights/pipeline.yaml", str_from(environment), a, &out, &p)) {
		struct buf b = BUF_INIT(1 << 20);
		problems_print(&p, &b);
		fail_msg("%s", b.p);
	}
	return out;
}

#define LARGE \
	"pipeline: flights\nlake: ./lake\nschedule: {cron: \"0 5 * * *\", window: 6h, zone: Europe/Berlin}\n" \
	"source:\n" \
	"  url: https://API.example.com:8443/v1/\n" \
	"  auth: {api_key: {header: X-Api-Key, secret: \"file:token\"}}\n" \
	"  headers: {Accept-Language: en}\n" \
	"  rate: {requests: 50, per: 1m, burst: 3}\n" \
	"  timeout: {connect: 1s, first_byte: 2s, total: 3s, low_speed: 1kB}\n" \
	"  retry: {attempts: 4, first: 100ms, max: 9s, wait_max: 1h}\n" \
	"  limits: {header: 64KiB, body: 1MiB, decoded: 2MiB, ratio: 10, depth: 32}\n" \
	"  in_flight: 2\n  deadline: 10m\n" \
	"resources:\n" \
	"  flights:\n" \
	"    path: /flights/{window.from:%Y}\n" \
	"    kind: window\n" \
	"    window: {every: 1d, zone: America/New_York, lookback: 1w, settle: 2h}\n" \
	"    query: {date_from: \"{window.from:date}\", date_to: \"{window.last:date}\", limit: 1000, all: true}\n" \
	"    headers: {X-Day: \"{window.from:date}\"}\n" \
	"    records: data\n    total: meta.total\n    total_max: 10000\n    ok: error\n    empty: page\n    keyset: meta.id\n" \
	"    refetch_min: 80\n    resume_within: 2h\n    segment: {pages: 3, bytes: 1MiB, every: 5s}\n" \
	"    secret_in_body: keep\n" \
	"    paginate: {page: {query: page, first: 0, size: {query: per_page, value: 100}, end: short, pages: meta.pages, verify: true}}\n" \
	"  search:\n" \
	"    path: /search\n    kind: window\n    window: {every: 1h}\n" \
	"    method: POST\n    idempotent: true\n" \
	"    body: {from: \"{window.from:epoch_s}\", note: \"a \\\"{window.to:datetime}\\\"\", n: 1.50, deep: [{x: null, y: [true]}, \"7\"], e: {}, z: []}\n" \
	"    paginate: {cursor: {from: meta.next, body: cursor, more: meta.more}}\n" \
	"  airlines: {path: /airlines, kind: snapshot, paginate: {offset: {query: skip, limit: {query: take, value: 5}}}}\n" \
	"  a: {path: /a, kind: snapshot, paginate: {next_url: {from: links.next}}}\n" \
	"  b: {path: /b, kind: snapshot, paginate: {link: {rel: more}}}\n" \
	"  c: {path: /c, kind: snapshot, paginate: {cursor: {from_header: X-Next, header: X-Cursor}}}\n" \
	"prepare: {file_rows: 5000}\nengine: {memory: 1GiB}\n" \
	"environments:\n" \
	"  prod:\n    lake: s3://acme/lake/\n    source: {rate: {requests: 5}, auth: {basic: {user: u, password: env:P}}}\n" \
	"    schedule: {window: 1d}\n"

static void everything_read(void **state)
{
	struct arena a = ARENA_INIT;
	const struct pipeline *p = load(LARGE, "", &a);
	const struct source *s = &p->sources[0];
	(void)state;
	assert_text(p->name, "flights");
	assert_text(p->folder, "flights");
	assert_text(p->lake, "flights/lake");
	assert_text(p->cron, "0 5 * * *");
	assert_int_equal(p->schedule.unit, STEP_HOUR);
	assert_int_equal(p->schedule.count, 6);
	assert_text(zone_name(p->schedule.zone), "Europe/Berlin");
	assert_int_equal(p->file_rows, 5000);
	assert_int_equal(p->memory_bytes, 1 << 30);
	assert_int_equal(p->n_sources, 1);
	assert_text(s->url, "https://API.example.com:8443/v1");
	assert_text(s->base_path, "/v1");
	assert_text(origin_text(&s->origin, &a), "https://api.example.com:8443");
	assert_int_equal(s->auth.kind, AUTH_HEADER);
	assert_text(s->auth.name, "X-Api-Key");
	assert_text(s->auth.secret.marker, "~secret.file.token~");
	assert_text(s->auth.secret.folder, "flights");
	assert_int_equal(s->n_headers, 1);
	assert_true(s->has_rate);
	assert_int_equal(s->rate_requests, 50);
	assert_int_equal(s->rate_per_us, 60 * US_PER_SECOND);
	assert_int_equal(s->rate_burst, 3);
	assert_int_equal(s->connect_us, US_PER_SECOND);
	assert_int_equal(s->first_byte_us, 2 * US_PER_SECOND);
	assert_int_equal(s->total_us, 3 * US_PER_SECOND);
	assert_int_equal(s->low_speed_bytes_s, 1000);
	assert_int_equal(s->retry.attempts, 4);
	assert_int_equal(s->retry.wait_max_us, INT64_C(3600) * US_PER_SECOND);
	assert_int_equal(s->limits.decoded_bytes, 2 << 20);
	assert_int_equal(s->limits.json_depth, 32);
	assert_int_equal(s->in_flight, 2);
	assert_int_equal(s->deadline_us, 600 * US_PER_SECOND);
	assert_false(s->network_private);

	const struct resource *r = pipeline_resource(p, STR("flights"));
	assert_ptr_equal(r, &p->resources[0]);
	assert_ptr_equal(r->source, s);
	assert_int_equal(r->kind, KIND_WINDOW);
	assert_int_equal(r->n_query, 4);
	assert_text(r->query[2].name, "limit");
	assert_text(r->query[2].value.source, "1000");
	assert_text(r->query[3].value.source, "true");
	assert_int_equal(r->lookback_us, 7 * US_PER_DAY);
	assert_int_equal(r->settle_us, INT64_C(7200) * US_PER_SECOND);
	assert_text(zone_name(r->step.zone), "America/New_York");
	assert_int_equal(r->refetch_min_percent, 80);
	assert_int_equal(r->segment_pages, 3);
	assert_int_equal(r->empty, EMPTY_PAGE);
	assert_true(r->secret_in_body_keep && r->paginate.verify);
	assert_text(r->keyset, "meta.id");
	assert_int_equal(r->paginate.style, PAGE_NUMBER);
	assert_int_equal(r->paginate.first, 0);
	assert_int_equal(r->paginate.end, END_SHORT);
	assert_int_equal(r->paginate.size, 100);
	assert_text(r->paginate.pages_path, "meta.pages");
	assert_int_equal(r->line, 15);
	assert_int_equal(p->resources[2].step.unit, STEP_HOUR); /* the schedule's */
	assert_int_equal(p->resources[2].paginate.style, PAGE_OFFSET);
	assert_false(p->resources[2].paginate.verify || p->resources[2].keyset.n);
	assert_int_equal(p->resources[3].paginate.style, PAGE_NEXT_URL);
	assert_text(p->resources[4].paginate.rel, "more");
	assert_int_equal(p->resources[5].paginate.from, CURSOR_HEADER);
	assert_int_equal(p->resources[5].paginate.to, CURSOR_TO_HEADER);
	assert_null(pipeline_resource(p, STR("flight")));
	arena_free(&a);
}

static void body_as_json(void **state)
{
	struct arena a = ARENA_INIT;
	const struct pipeline *p = load(LARGE, "", &a);
	const struct resource *r = pipeline_resource(p, STR("search"));
	struct window w = { .from_us = 1357016400 * INT64_C(1000000), .to_us = 1357020000 * INT64_C(1000000) };
	(void)state;
	assert_true(r->post);
	struct str body = template_fill(&r->body, &w, r->step.zone, &a);
	assert_text(body, "{\"from\":1357016400,\"note\":\"a \\\"2013-01-01T06:00:00Z\\\"\",\"n\":1.50,"
			  "\"deep\":[{\"x\":null,\"y\":[true]},\"7\"],\"e\":{},\"z\":[]}");
	const char *fault;
	size_t at;
	assert_true(json_valid(body, 16, &fault, &at));
	arena_free(&a);
}

static void environment_over_it(void **state)
{
	struct arena a = ARENA_INIT;
	const struct pipeline *p = load(LARGE, "prod", &a), *plain = load(LARGE, "", &a);
	(void)state;
	assert_text(p->lake, "s3://acme/lake");
	assert_int_equal(p->sources[0].rate_requests, 5);
	assert_int_equal(p->sources[0].rate_burst, 3);
	assert_int_equal(p->sources[0].auth.kind, AUTH_BASIC);
	assert_text(p->sources[0].auth.user, "u");
	assert_int_equal(p->schedule.unit, STEP_DAY);
	assert_text(zone_name(p->schedule.zone), "Europe/Berlin");
	assert_false(sha256_eq(p->digest, plain->digest));
	/* What is fetched is the same, wherever it is fetched from. */
	for (size_t i = 0; i < p->n_resources; i++)
		assert_true(str_eq(resource_definition(&p->resources[i], &a), resource_definition(&plain->resources[i], &a)));
	arena_free(&a);
}

#define SMALL(top, source, resource) \
	"pipeline: p\nlake: ./lake\n" top "source: {url: http://localhost:1" source "}\n" \
	"resources: {r: {path: /r, kind: window, window: {every: 1d}, query: {d: \"{window.from:date}\", e: 5}" resource "}}\n"

static void definitions(void **state)
{
	static const struct { const char *text; bool same; } cases[] = {
		{ SMALL("", "", ""), true },
		{ "# a comment\n" SMALL("", "", ""), true },
		{ SMALL("", "23", ""), true },
		{ SMALL("", ", auth: {bearer: {secret: env:T}}, rate: {requests: 1}, timeout: {total: 1s}", ""), true },
		{ SMALL("", "", ", records: \"\""), true },
		{ SMALL("", "", ", records: ., segment: {pages: 2}, ok: error, total: n, headers: {X: y}, keyset: id"), true },
		{ SMALL("", "", ", records: data"), false },
		{ SMALL("", "", ", paginate: link"), false },
		{ SMALL("schedule: {zone: Asia/Tokyo}\n", "", ""), false }, /* the dates are other ones */
		{ SMALL("", "", ", method: POST, idempotent: true, body: {}"), false },
	};
	struct arena a = ARENA_INIT;
	struct str first = STR_NONE;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str d = resource_definition(&load(cases[i].text, "", &a)->resources[0], &a);
		if (!i)
			first = d;
		if (str_eq(first, d) != cases[i].same)
			fail_msg("case %zu: %.*s", i, STR_ARG(d));
	}
	/* Stored in ledgers: these bytes are a format. */
	assert_text(first, "{\"kind\":\"window\",\"method\":\"GET\",\"paginate\":{\"style\":\"none\"},\"path\":\"/r\","
			   "\"query\":[[\"d\",\"{window.from:date}\"],[\"e\",\"5\"]],\"records\":\"\",\"zone\":\"UTC\"}");
	const struct pipeline *p = load(LARGE, "", &a);
	assert_text(resource_definition(pipeline_resource(p, STR("search")), &a),
		    "{\"body\":\"{{\\\"from\\\":{window.from:epoch_s},\\\"note\\\":\\\"a \\\\\\\"{window.to:datetime}\\\\\\\"\\\","
		    "\\\"n\\\":1.50,\\\"deep\\\":[{{\\\"x\\\":null,\\\"y\\\":[true]}},\\\"7\\\"],\\\"e\\\":{{}},\\\"z\\\":[]}}\","
		    "\"kind\":\"window\",\"method\":\"POST\",\"paginate\":{\"from\":\"meta.next\",\"more\":\"meta.more\","
		    "\"param\":\"cursor\",\"style\":\"cursor\",\"to\":\"body\"},\"path\":\"/search\",\"query\":[],"
		    "\"records\":\"\"}");
	arena_free(&a);
}

static void digests(void **state)
{
	static const struct { const char *text; bool same; } cases[] = {
		{ SMALL("", "", ""), true }, { "# x\n" SMALL("engine: \n", "", ""), true },
		{ "resources:\n  r:\n    kind: window\n    path: /r\n    window: {every: 1d}\n"
		  "    query: {d: \"{window.from:date}\", e: 5}\n"
		  "source: {url: http://localhost:1}\nlake: ./lake\npipeline: p\n", true },
		{ SMALL("environments: {x: {lake: /y}}\n", "", ""), true },
		{ SMALL("", "", ", keyset: id"), false },
		{ SMALL("", "", ", paginate: {page: {query: n, verify: true}}"), false },
		{ "pipeline: p\nlake: ./lake\nsource: {url: http://localhost:1}\nresources: {r: {path: /r, kind: window, "
		  "window: {every: 1d}, query: {e: 5, d: \"{window.from:date}\"}}}\n", false }, /* sent in this order */
	};
	struct arena a = ARENA_INIT;
	struct sha256 first = { 0 };
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sha256 d = load(cases[i].text, "", &a)->digest;
		if (!i)
			first = d;
		if (sha256_eq(first, d) != cases[i].same)
			fail_msg("case %zu", i);
	}
	arena_free(&a);
}

static void secrets_of_a_source(void **state)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pipeline *p = load(SMALL("", ", auth: {basic: {user: bob, password: env:SLUICE_TP}}", ""), "", &a);
	struct source *s = &p->sources[0];
	size_t which;
	(void)state;
	assert_true(s->network_private); /* localhost */
	assert_int_equal(unsetenv("SLUICE_TP"), 0);
	assert_false(source_load_secrets(s, NULL, &a, &e));
	assert_int_equal(e.code, ERR_SECRET);
	assert_int_equal(setenv("SLUICE_TP", "hunter2hunter2", 1), 0);
	assert_true(source_load_secrets(s, NULL, &a, &e));
	assert_int_equal(s->secrets.n, 1);
	assert_true(secret_found(&s->secrets, STR("Basic Ym9iOmh1bnRlcjJodW50ZXIy"), &which)); /* bob:... */
	arena_free(&a);
}

/* What a fetcher gives, and another text each time that it is told to. */
struct fetcher {
	struct secret_fetcher fetcher;
	const char *text;
	unsigned asked;
};

static bool fetch(struct secret_fetcher *f, struct str reference, struct arena *a, struct str *text, struct err *e)
{
	struct fetcher *x = (struct fetcher *)f;
	x->asked++;
	assert_text(reference, "aws-secret:prod/api#token");
	*text = arena_copy(a, str_from(x->text));
	return x->text || err_set(e, ERR_TIMEOUT, "no answer");
}

/* After a 401: the same secret changes nothing; another one goes first, and the old one is still looked for. */
static void secrets_that_change(void **state)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pipeline *p = load(SMALL("", ", auth: {bearer: {secret: \"aws-secret:prod/api#token\"}}", ""), "", &a);
	struct source *s = &p->sources[0];
	struct fetcher f = { .fetcher = { fetch }, .text = "first-secret\n" };
	size_t which, hits;
	bool changed;
	struct buf out = BUF_INIT(1 << 10);
	(void)state;
	assert_false(source_load_secrets(s, NULL, &a, &e));
	assert_int_equal(e.code, ERR_SECRET);
	assert_true(source_load_secrets(s, &f.fetcher, &a, &e));
	assert_text(s->auth.secret.hidden, "first-secret");
	assert_true(source_renew_secrets(s, &f.fetcher, &a, &changed, &e));
	assert_false(changed);
	assert_int_equal(s->secrets.n, 1);
	f.text = "second-secret";
	assert_true(source_renew_secrets(s, &f.fetcher, &a, &changed, &e));
	assert_true(changed);
	assert_int_equal(f.asked, 3);
	assert_text(s->auth.secret.hidden, "second-secret");
	assert_text(s->secrets.v[0]->hidden, "second-secret");
	assert_true(secret_found(&s->secrets, STR("x=first-secret"), &which));
	assert_true(secret_redact(&s->secrets, STR("first-secret, second-secret"), &out, &hits));
	assert_text(buf_str(&out), "~secret.aws-secret.prod_api_token~, ~secret.aws-secret.prod_api_token~");
	f.text = NULL;
	e = ERR_INIT;
	assert_false(source_renew_secrets(s, &f.fetcher, &a, &changed, &e));
	assert_false(changed);
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_text(s->auth.secret.hidden, "second-secret");
	buf_free(&out);
	arena_free(&a);
}

static void several_sources(void **state)
{
	struct arena a = ARENA_INIT;
	struct pipeline *p = load("pipeline: p\nlake: /abs/lake\nsources:\n  one: {url: https://one.example}\n"
				  "  two: {url: https://two.example, rate: {requests: 9}}\nresources:\n"
				  "  r: {source: two, path: /r, kind: snapshot}\n  q: {source: one, path: /q, kind: snapshot}\n"
				  "environments: {prod: {sources: {two: {url: https://2.prod.example}}}}\n", "prod", &a);
	(void)state;
	assert_text(p->lake, "/abs/lake");
	assert_text(p->resources[0].source->url, "https://2.prod.example");
	assert_int_equal(p->resources[0].source->rate_requests, 9);
	assert_text(p->resources[1].source->name, "one");
	assert_int_equal(p->resources[1].source->rate_requests, 0);
	arena_free(&a);
}

/* Cut anywhere, or with any byte turned into another one that YAML cares about: a verdict, and nothing read that is
 * not there. */
static void damaged_files(void **state)
{
	static const char other[] = "{}[]:,\"'#-?&*!|>%@ \n\tx0\x80";
	static const char text[] = LARGE;
	struct err e = ERR_INIT;
	uint32_t random = 1;
	(void)state;
	for (size_t i = 0; i < 700; i++) {
		struct arena a = ARENA_INIT;
		struct problems p = PROBLEMS_INIT(&a);
		struct buf b = BUF_INIT(sizeof text);
		random = random * 1664525 + 1013904223;
		size_t n = i < 200 ? i * (sizeof text - 1) / 200 : sizeof text - 1;
		buf_add(&b, (struct str){ text, n });
		if (i >= 200)
			b.p[random % n] = other[(random >> 16) % (sizeof other - 1)];
		assert_true(file_write("damaged.yaml", buf_str(&b), &e));
		bool ok = pipeline_check("damaged.yaml", &a, &p);
		if (ok != (p.n_errors == 0))
			fail_msg("case %zu: %d, %zu problems:\n%s", i, ok, p.n_errors, b.p);
		buf_free(&b);
		arena_free(&a);
	}
}

/* The examples of the page are files that work. */
static void page_example_loads(void **state)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct str page;
	(void)state;
	assert_true(file_read(TEST_DATA "/../../docs/pipeline-file.md", 1 << 20, &a, &page, &e));
	size_t at = str_find(page, STR("```yaml\npipeline:"));
	struct str example = str_sub(page, at + 8, page.n);
	example.n = str_find(example, STR("```"));
	const struct pipeline *p = load(arena_zero_terminated(&a, example), "prod", &a);
	assert_text(p->lake, "/srv/lake");
	assert_int_equal(p->n_resources, 2);
	arena_free(&a);
}

/* docs/pipeline-file.md carries the help word for word, so neither can be out of date. */
static void help_is_documented(void **state)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct buf help = BUF_INIT(1 << 20);
	struct str page;
	(void)state;
	pipeline_help(&help);
	assert_false(help.overflow);
	if (!file_read(TEST_DATA "/../../docs/pipeline-file.md", 1 << 20, &a, &page, &e))
		fail_msg("%s", e.message);
	assert_true(str_contains(page, buf_str(&help)));
	buf_free(&help);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_read),     cmocka_unit_test(body_as_json),
		cmocka_unit_test(environment_over_it), cmocka_unit_test(definitions),
		cmocka_unit_test(digests),             cmocka_unit_test(secrets_of_a_source),
		cmocka_unit_test(secrets_that_change),
		cmocka_unit_test(several_sources),     cmocka_unit_test(help_is_documented),
		cmocka_unit_test(damaged_files),       cmocka_unit_test(page_example_loads),
	};
	return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
