/* The whole ingest loop over a fake API, a fake clock and a store in memory. What stands in Raw afterwards is judged
 * from its bytes: the chain of entries, each page and attempt in its segment, the content digest. */
#ifndef SLUICE_TEST_INGEST_LOOP_WORLD_H
#define SLUICE_TEST_INGEST_LOOP_WORLD_H

#include "conversation.h"
#include "format/layout.h"
#include "format/process.h"
#include "format/warc.h"
#include "ingest/ingest.h"
#include "store_flaky.h"

#include <stdlib.h>

enum { ROWS_MAX = 256, TASKS_MAX = 8, SENT_MAX = 4096, IDLE_WAITS_MAX = 20000 };
#define WORLD_BEGAN_US INT64_C(1704200000000000)

struct world {
	struct arena a; /* of a case */
	struct conversation v;
	struct store *store;
	struct clock_fake clock;
	unsigned threads;
	struct http_fake_row rows[ROWS_MAX];
	struct str expected[SENT_MAX]; /* "GET url" in order */
	size_t n_rows, n_expected, n_windows;
	bool any_order, open_ended;
	/* of the next run */
	uint64_t stop_after, rival_after, fault_at;
	enum store_fault fault;
	int64_t deadline_us, renew_after_us; /* from its start */
	bool takeover;
	struct flaky *flaky; /* between the loop and `store` */
	const char *remote_address; /* of each answer; "": it was never sent either */
	struct str run_id;
	uint64_t previous_records;
	/* of the last run */
	struct str sent[SENT_MAX];
	size_t n_sent, idle_waits, n_runs;
	_Atomic size_t n_answers, quiet_waits; /* quiet: since the last answer */
	volatile int stop;
	struct lane_task tasks[TASKS_MAX];
	struct err err;
};

/* ── what is between the loop and the fake API ── */

struct tap {
	struct http http;
	struct http *inner;
	struct world *w;
	int64_t waited_at_us, renew_at_us;
};

static inline struct str generation_of(struct world *w, size_t task)
{
	struct str resource = key_resource(STR("test"), w->v.r.name, &w->a);
	struct str window = key_window(resource, window_name(w->tasks[task].window, &w->a), &w->a);
	return key_generation(window, w->tasks[task].generation, &w->a);
}

/* ── claims of others ── */

/* By a process of this host that lives, or died, or by another host that never answers. */
static inline void claim_plant(struct world *w, const char *whose)
{
	struct err e = ERR_INIT;
	struct ledger l;
	struct str generation = generation_of(w, 0);
	if (!ledger_open(w->store, &w->clock.clock, generation, STR("planter"), &w->a, &l, &e))
		fail_msg("%s", e.message);
	struct ledger_entry n = {
		.kind = ENTRY_CLAIM,
		.n = l.n_entries,
		.epoch = l.n_entries,
		.previous = l.last_hash,
		.nonce = process_nonce(&w->a),
		.run_id = STR("other"),
		.time_us = w->clock.clock.wall_us(&w->clock.clock),
		.has_origin = l.n_entries == 0,
		.origin = w->tasks[0].origin,
		.has_lease = true,
		.lease = process_lease(STR("other"), 0, &w->a),
		.state = l.state,
	};
	n.lease.until_us = n.time_us + LEASE_S * US_PER_SECOND;
	if (strcmp(whose, "dead") == 0)
		n.lease.started--; /* the number of a process, taken by another since */
	if (strcmp(whose, "elsewhere") == 0)
		n.lease.boot_id = STR("another-machine");
	bool ours = false;
	if (!store_create_checked(w->store, key_entry(generation, n.n, &w->a), ledger_encode(&n, &w->a), &ours, &w->a, &e))
		fail_msg("%s", e.message);
	assert_true(ours);
}

/* Another run claims the first window's generation, whatever the lease says. */
static inline void rival_claims(struct world *w)
{
	struct ledger l;
	struct err e = ERR_INIT;
	if (!ledger_open(w->store, &w->clock.clock, generation_of(w, 0), STR("rival"), &w->a, &l, &e) ||
	    !ledger_claim(&l, NULL, &e))
		fail_msg("%s", e.message);
}

static inline bool tap_start(struct http *h, const struct http_request *r, struct err *e)
{
	struct tap *t = (struct tap *)h;
	assert_true(t->w->n_sent < SENT_MAX);
	t->w->sent[t->w->n_sent++] = arena_format(&t->w->a, "%.*s %.*s", STR_ARG(r->method), STR_ARG(r->url));
	return http_start(t->inner, r, e);
}

static inline struct http_exchange *tap_wait(struct http *h, int64_t timeout_us)
{
	struct tap *t = (struct tap *)h;
	struct world *w = t->w;
	struct http_exchange *x = http_wait(t->inner, timeout_us);
	int64_t now = w->clock.clock.monotonic_us(&w->clock.clock);
	/* Time that stands still is a loop that spins. */
	w->idle_waits = x || now != t->waited_at_us ? 0 : w->idle_waits + 1;
	t->waited_at_us = now;
	if (w->threads == 0 && w->idle_waits > IDLE_WAITS_MAX)
		fail_msg("%.*s: the loop spins", STR_ARG(w->v.c ? w->v.c->name : STR("")));
	if (t->renew_at_us && now >= t->renew_at_us) {
		claim_plant(w, "elsewhere");
		t->renew_at_us = 0;
	}
	w->quiet_waits = x ? 0 : w->quiet_waits + 1;
	if (x == NULL)
		return NULL;
	if (w->remote_address) {
		snprintf(x->remote_address, sizeof x->remote_address, "%s", w->remote_address);
		x->sent_wall_us = *w->remote_address ? x->sent_wall_us : 0;
	}
	w->n_answers++;
	if (w->stop_after == w->n_answers)
		w->stop = 2;
	if (w->rival_after == w->n_answers)
		rival_claims(w);
	return x;
}

static inline void tap_wake(struct http *h)
{
	http_wake(((struct tap *)h)->inner);
}

static inline void tap_cancel(struct http *h)
{
	http_cancel_all(((struct tap *)h)->inner);
}

static inline void tap_close(struct http *h)
{
	http_close(((struct tap *)h)->inner);
}

/* ── a run ── */

static inline void world_begin(struct world *w, const struct test_case *c)
{
	struct err e = ERR_INIT;
	memset(w, 0, sizeof *w);
	w->v = conversation_begin(c, &w->a);
	w->v.source.in_flight = 8;
	w->v.source.retry = (struct retry_policy){ 6, 500000, 30000000, 300000000 };
	w->v.r.records = STR("data");
	w->v.r.segment_pages = 64;
	w->v.r.segment_bytes = 32 << 20;
	w->v.r.segment_us = 10 * US_PER_SECOND;
	w->v.r.refetch_min_percent = 95;
	w->v.r.resume_within_us = INT64_C(86400) * US_PER_SECOND;
	w->v.r.source = &w->v.source;
	set_url(&w->v, STR("https://api.example"));
	assert_true(us_from_rfc3339(STR("2024-01-01T00:00:00Z"), &w->v.window.from_us, NULL));
	w->v.window.to_us = w->v.window.from_us + INT64_C(86400) * US_PER_SECOND;
	w->n_windows = 1;
	clock_fake_init(&w->clock, WORLD_BEGAN_US);
	assert_true(store_open_memory(&w->store, &e));
}

static inline void world_end(struct world *w)
{
	store_close(w->store);
	conversation_end(&w->v);
	arena_free(&w->a);
}

/* As `plan` would: the open generation, or the one after the newest. */
static inline void world_plan(struct world *w)
{
	if (w->v.r.path_template.n_parts == 0)
		w->v.r.path_template = template_of(&w->v, STR("/items"), false);
	struct str definition = resource_definition(&w->v.r, &w->a);
	for (size_t i = 0; i < w->n_windows; i++) {
		int64_t shift = (int64_t)i * 86400 * US_PER_SECOND;
		struct window window = { w->v.window.from_us + shift, w->v.window.to_us + shift };
		struct window_generations g;
		struct err e = ERR_INIT;
		struct str key = key_window(key_resource(STR("test"), w->v.r.name, &w->a), window_name(window, &w->a), &w->a);
		if (!window_generations_read(w->store, &w->clock.clock, key, &w->a, &g, &e))
			fail_msg("%s", e.message);
		w->tasks[i] = (struct lane_task){
			.resource = &w->v.r,
			.window = window,
			.generation = g.open ? g.open : g.n + 1,
			.resume = g.open > 0,
			.origin = { .reason = STR("first"), .definition = sha256_of(definition),
				    .definition_json = definition, .window = window },
			.has_previous = w->previous_records > 0,
			.previous_records = w->previous_records,
			.takeover = w->takeover,
		};
	}
}

static inline void world_run(struct world *w)
{
	static const struct http_ops ops = { tap_start, tap_wait, tap_wake, tap_cancel, tap_close };
	struct tap t = { .http = { &ops }, .w = w, .waited_at_us = -1 };
	t.renew_at_us = w->renew_after_us ? w->clock.monotonic_us + w->renew_after_us : 0;
	w->n_sent = 0;
	w->n_answers = 0;
	w->stop = 0;
	w->err = ERR_INIT;
	w->n_runs++;
	assert_true(http_open_fake(&w->clock, w->rows, w->n_rows, &t.inner, &w->err));
	world_plan(w);
	if (w->fault != STORE_FAULT_NONE)
		store_memory_fail(w->store, w->fault_at, w->fault);
	struct ingest_options o = {
		.store = w->flaky ? &w->flaky->store : w->store,
		.http = &t.http,
		.clock = &w->clock.clock,
		.pipeline = STR("test"),
		.run_id = w->run_id.n ? w->run_id : arena_format(&w->a, "run%zu", w->n_runs),
		.software = STR("sluice/test"),
		.threads = w->threads,
		.seed = 7,
		.stop = &w->stop,
		.deadline_us = w->deadline_us ? w->clock.monotonic_us + w->deadline_us : 0,
	};
	assert_true(ingest_run(&o, w->tasks, w->n_windows, &w->a, &w->err));
	store_memory_fail(w->store, 0, STORE_FAULT_NONE);
	http_close(&t.http);
	w->stop_after = w->rival_after = w->fault_at = 0;
	w->fault = STORE_FAULT_NONE;
	w->deadline_us = w->renew_after_us = 0;
	w->takeover = false;
	w->run_id = STR_NONE;
	for (size_t i = 0; i < w->n_windows; i++)
		assert_int_not_equal(w->tasks[i].outcome, LANE_WAITING);
}

static inline void world_later(struct world *w, int64_t seconds)
{
	w->clock.clock.sleep_us(&w->clock.clock, seconds * US_PER_SECOND);
}

/* ── judging Raw ── */

struct record_there {
	struct str type, uri, truncation;
	unsigned status;
	struct sha256 received, decoded;
	bool is_decoded;
	bool truncated;
};

static inline struct record_there record_at(struct world *w, struct str segment, uint64_t offset, uint64_t size)
{
	struct record_there there = { 0 };
	struct warc_record r;
	struct buf inflated = BUF_INIT(64 << 20), decoded = BUF_INIT(0);
	struct err e = ERR_INIT;
	struct str body;
	assert_true(offset + size <= segment.n);
	if (!warc_read(str_sub(segment, (size_t)offset, (size_t)size), 64 << 20, &inflated, &r, &e))
		fail_msg("%s", e.message);
	there.type = arena_copy(&w->a, r.type);
	there.uri = arena_copy(&w->a, r.target_uri);
	there.truncated = r.truncated.n > 0;
	there.truncation = arena_copy(&w->a, r.truncated);
	there.received = sha256_of(r.body);
	if (str_starts(r.http_head, STR("HTTP/1.1 ")))
		there.status = (unsigned)strtoul(r.http_head.p + 9, NULL, 10);
	there.is_decoded = body_decode(r.http_head, r.body, 1 << 24, 200, &decoded, &body, &e);
	if (there.is_decoded)
		there.decoded = sha256_of(body);
	buf_free(&inflated);
	buf_free(&decoded);
	return there;
}

struct judged {
	uint64_t n_entries, pages, attempts;
	bool sealed;
	struct sha256 digest;
	struct str evidence;
	struct str lines[1024]; /* a line of words for each entry */
};

static inline void assert_uri(struct world *w, struct str uri, struct str target)
{
	struct str want = arena_format(&w->a, "%.*s%.*s", STR_ARG(w->v.source.url), STR_ARG(target));
	if (!str_eq(uri, want))
		fail_msg("%.*s: the record is of %.*s, not %.*s", STR_ARG(w->v.c->name), STR_ARG(uri), STR_ARG(want));
}

static inline void judge_entry_pages(struct world *w, struct str generation, const struct ledger_entry *n, struct judged *j)
{
	struct str segment = STR_NONE;
	struct err e = ERR_INIT;
	if (n->segment.n) {
		if (!store_get(w->store, key_segment(generation, n->segment, &w->a), 64 << 20, &w->a, &segment, &e))
			fail_msg("%s", e.message);
		assert_true(sha256_eq(sha256_of(segment), n->segment_hash));
		assert_int_equal(segment.n, n->segment_size);
	}
	for (size_t i = 0; i < n->n_pages; i++) {
		const struct ledger_page *p = &n->pages[i];
		struct record_there there = record_at(w, segment, p->offset, p->size);
		assert_int_equal(p->page, ++j->pages); /* none twice, none missing */
		assert_int_equal(there.status, p->status);
		assert_uri(w, there.uri, p->redirected_to.n ? p->redirected_to
							    : str_sub(p->request, str_find_char(p->request, ' ') + 1,
								      SIZE_MAX));
		assert_true(there.is_decoded && sha256_eq(there.decoded, p->body));
		struct sha256_state s;
		sha256_begin(&s);
		sha256_add(&s, j->digest.b, sizeof j->digest.b);
		sha256_add(&s, p->fingerprint.b, sizeof p->fingerprint.b);
		sha256_add(&s, p->body.b, sizeof p->body.b);
		j->digest = sha256_end(&s);
	}
	for (size_t i = 0; i < n->n_attempts; i++) {
		const struct ledger_attempt *p = &n->attempts[i];
		struct record_there there = record_at(w, segment, p->offset, p->size);
		assert_int_equal(there.status, p->status);
		assert_true(str_eq_z(there.type, p->status ? "response" : "request"));
		assert_uri(w, there.uri, str_sub(p->request, str_find_char(p->request, ' ') + 1, SIZE_MAX));
		if (!there.truncated && p->status)
			assert_true(sha256_eq(there.received, p->body));
	}
	j->attempts += n->n_attempts;
	assert_int_equal(n->state.pages, j->pages);
	assert_int_equal(n->state.failed_attempts, j->attempts);
	assert_true(sha256_eq(n->state.digest, j->digest));
}

static inline struct str entry_words(struct world *w, const struct ledger_entry *n)
{
	struct buf b = BUF_INIT(1 << 20);
	buf_add_z(&b, entry_kind_name(n->kind));
	if (n->has_origin)
		buf_addf(&b, " %.*s", STR_ARG(n->origin.reason));
	if (n->n_pages == 1)
		buf_addf(&b, " %llu", (unsigned long long)n->pages[0].page);
	else if (n->n_pages > 1)
		buf_addf(&b, " %llu-%llu", (unsigned long long)n->pages[0].page,
			 (unsigned long long)n->pages[n->n_pages - 1].page);
	for (size_t i = 0; i < n->n_attempts; i++)
		buf_addf(&b, " failed %u:%.*s", n->attempts[i].status, STR_ARG(n->attempts[i].error));
	if (n->kind == ENTRY_PAGES && n->state.next.kind == NEXT_NUMBER)
		buf_addf(&b, " next %lld", (long long)n->state.next.number);
	else if (n->kind == ENTRY_PAGES && n->state.next.kind == NEXT_TEXT)
		buf_addf(&b, " next %.*s", STR_ARG(n->state.next.text));
	else if (n->kind == ENTRY_PAGES)
		buf_add_z(&b, n->state.next.kind == NEXT_START ? " next start" : " end");
	if (n->has_seal)
		buf_addf(&b, " %s %s", consistency_name(n->seal.consistency), n->seal.promoted ? "promoted" : "candidate");
	if (n->kind == ENTRY_ABANDON)
		buf_addf(&b, " %.*s", STR_ARG(n->note));
	struct str words = arena_copy(&w->a, buf_str(&b));
	buf_free(&b);
	return words;
}

static inline void world_judge(struct world *w, size_t task, struct judged *j)
{
	struct ledger l;
	struct ledger_walk walk;
	struct ledger_entry n;
	struct err e = ERR_INIT;
	bool end = false;
	memset(j, 0, sizeof *j);
	struct str generation = generation_of(w, task);
	if (!ledger_open(w->store, &w->clock.clock, generation, STR("judge"), &w->a, &l, &e))
		fail_msg("%s", e.message);
	ledger_walk_begin(&walk, &l);
	for (;;) {
		if (!ledger_walk_next(&walk, &n, &end, &e))
			fail_msg("%s", e.message);
		if (end)
			break;
		assert_false(j->sealed);
		judge_entry_pages(w, generation, &n, j);
		assert_true(j->n_entries < COUNT(j->lines));
		j->lines[j->n_entries++] = entry_words(w, &n);
		j->sealed = n.has_seal;
		if (n.has_seal) {
			j->evidence = arena_copy(&w->a, n.seal.evidence);
			assert_true(sha256_eq(n.seal.digest, j->digest));
			assert_int_equal(n.seal.pages, j->pages);
		}
	}
	ledger_walk_end(&walk);
	if (w->tasks[task].outcome == LANE_SEALED || w->tasks[task].outcome == LANE_CANDIDATE) {
		assert_true(j->sealed && sha256_eq(l.seal_hash, w->tasks[task].seal_hash));
		assert_true(sha256_eq(w->tasks[task].digest, j->digest));
	}
}

#endif
