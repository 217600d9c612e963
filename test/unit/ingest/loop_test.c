#include "loop_script.h"

#define CASES TEST_DATA "/ingest/loop/"

static void styles(void **state)
{
	(void)state;
	assert_true(script_play_all(CASES "styles.txt") >= 12);
}

static void failures(void **state)
{
	(void)state;
	assert_true(script_play_all(CASES "failures.txt") >= 20);
}

static void generations(void **state)
{
	(void)state;
	assert_true(script_play_all(CASES "generations.txt") >= 20);
}

static void ahead(void **state)
{
	(void)state;
	assert_true(script_play_all(CASES "ahead.txt") >= 8);
}

static void guessed(void **state)
{
	(void)state;
	assert_true(script_play_all(CASES "guessed.txt") >= 5);
}

static void classes(void **state)
{
	(void)state;
	assert_true(script_play_all(CASES "classes.txt") >= 20);
}

static void breaker(void **state)
{
	(void)state;
	assert_true(script_play_all(CASES "breaker.txt") >= 10);
}

/* ── the same conversation, disturbed ── */

/* The cases of styles.txt, whose answers depend on the URL alone. */
struct replay {
	struct arena a;
	struct test_case cases[64];
	size_t n;
};

static void replay_open(struct replay *r)
{
	*r = (struct replay){ 0 };
	struct case_file f = case_open(CASES "styles.txt", &r->a);
	while (r->n < COUNT(r->cases) && case_next(&f, &r->a, &r->cases[r->n]))
		r->n++;
	assert_in_range(r->n, 12, COUNT(r->cases) - 1);
}

struct how {
	uint64_t segment_pages;
	uint32_t in_flight;
	unsigned threads;
};

static struct world *replay_begin(const struct test_case *c, const struct how *how)
{
	struct script *s = calloc(1, sizeof *s);
	assert_non_null(s);
	world_begin(&s->w, c);
	s->next_row = (struct http_fake_row){ .times = 1 };
	for (size_t i = 0; i < c->n;) {
		if (c->v[i].kind == '>') {
			script_row(s, &i);
			continue;
		}
		if (c->v[i].kind == ':')
			script_setting(s, &c->v[i]);
		i++;
	}
	for (size_t i = 0; i < s->w.n_rows; i++)
		s->w.rows[i].times = 0;
	s->w.v.r.segment_pages = how->segment_pages;
	s->w.v.source.in_flight = how->in_flight;
	s->w.threads = how->threads;
	return &s->w; /* its first member */
}

static void replay_end(struct world *w)
{
	world_end(w);
	free(w);
}

struct calm {
	struct sha256 digest, evidence;
	uint64_t pages, records;
	size_t n_sent;
};

static struct calm undisturbed(const struct test_case *c, const struct how *how)
{
	struct world *w = replay_begin(c, how);
	struct judged j;
	world_run(w);
	world_judge(w, 0, &j);
	assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
	struct calm calm = { j.digest, sha256_of(j.evidence), w->tasks[0].pages, w->tasks[0].records, w->n_sent };
	replay_end(w);
	return calm;
}

/* Taken up after the lease: the whole of it, each page once, and only what was not committed is asked again. */
static void finish(struct world *w, const struct calm *calm)
{
	struct judged before, after;
	if (w->tasks[0].outcome != LANE_SEALED) {
		world_judge(w, 0, &before);
		world_later(w, LEASE_S + 1);
		world_run(w);
		assert_int_equal(w->tasks[0].resumed_pages, before.pages);
		assert_true(w->n_sent <= calm->n_sent - before.pages);
	}
	if (w->tasks[0].outcome != LANE_SEALED)
		fail_msg("%.*s: %s", STR_ARG(w->v.c->name), w->tasks[0].err.message);
	world_judge(w, 0, &after);
	assert_true(sha256_eq(after.digest, calm->digest));
	assert_true(sha256_eq(sha256_of(after.evidence), calm->evidence));
	assert_int_equal(w->tasks[0].pages, calm->pages);
	assert_int_equal(w->tasks[0].records, calm->records);
	assert_int_equal(w->tasks[0].generation, 1);
}

static const struct how HOWS[] = { { 64, 1, 0 }, { 2, 1, 0 }, { 1, 1, 0 }, { 64, 8, 0 }, { 2, 8, 0 }, { 1, 3, 0 } };

/* One at a time or many, in small segments or large ones: the same content. */
static void content_depends_on_nothing_else(void **state)
{
	struct replay r;
	(void)state;
	replay_open(&r);
	for (size_t i = 0; i < r.n; i++) {
		struct calm first = undisturbed(&r.cases[i], &HOWS[0]);
		for (size_t k = 1; k < COUNT(HOWS); k++) {
			struct calm calm = undisturbed(&r.cases[i], &HOWS[k]);
			assert_true(sha256_eq(calm.digest, first.digest));
			assert_int_equal(calm.n_sent, first.n_sent);
		}
	}
	arena_free(&r.a);
}

static void stopped_at_each_answer(void **state)
{
	struct replay r;
	(void)state;
	replay_open(&r);
	for (size_t i = 0; i < r.n; i++)
		for (size_t k = 0; k < COUNT(HOWS); k++) {
			struct calm calm = undisturbed(&r.cases[i], &HOWS[k]);
			for (size_t at = 1; at <= calm.n_sent; at++) {
				struct world *w = replay_begin(&r.cases[i], &HOWS[k]);
				w->stop_after = at;
				world_run(w);
				/* The last two answers may come in one turn. */
				assert_true(w->tasks[0].outcome == LANE_STOPPED || w->n_answers == calm.n_sent);
				finish(w, &calm);
				replay_end(w);
			}
		}
	arena_free(&r.a);
}

/* Stopped again and again, one answer a run. */
static void stopped_in_each_run(void **state)
{
	struct replay r;
	(void)state;
	replay_open(&r);
	for (size_t i = 0; i < r.n; i++)
		for (size_t k = 0; k < 3; k++) { /* one at a time: else the run throws away what it guessed */
			struct calm calm = undisturbed(&r.cases[i], &HOWS[k]);
			struct world *w = replay_begin(&r.cases[i], &HOWS[k]);
			for (size_t run = 0; run < calm.pages + 1; run++) {
				w->stop_after = 2; /* a redirect and the page behind it */
				world_run(w);
				if (w->tasks[0].outcome == LANE_SEALED)
					break;
				world_later(w, LEASE_S + 1);
			}
			finish(w, &calm);
			replay_end(w);
		}
	arena_free(&r.a);
}

static uint64_t effects_of(const struct test_case *c, const struct how *how)
{
	for (uint64_t n = 1;; n++) {
		struct world *w = replay_begin(c, how);
		w->fault = STORE_FAULT_REFUSE;
		w->fault_at = n;
		world_run(w);
		bool beyond = w->tasks[0].outcome == LANE_SEALED;
		if (!beyond)
			assert_int_equal(w->tasks[0].err.code, ERR_STORAGE);
		replay_end(w);
		if (beyond)
			return n - 1;
	}
}

/* Each effect on the store refused, or done without an answer: the next run finishes it, or this one has. */
static void the_store_fails_at_each_effect(void **state)
{
	static const enum store_fault faults[] = { STORE_FAULT_REFUSE, STORE_FAULT_LOST_ANSWER };
	struct replay r;
	uint64_t disturbed = 0;
	(void)state;
	replay_open(&r);
	for (size_t i = 0; i < r.n; i++)
		for (size_t k = 0; k < COUNT(HOWS); k++) {
			struct calm calm = undisturbed(&r.cases[i], &HOWS[k]);
			uint64_t effects = effects_of(&r.cases[i], &HOWS[k]);
			assert_true(effects >= 3); /* claim, segment, seal */
			for (size_t f = 0; f < 2 * effects; f++) {
				struct world *w = replay_begin(&r.cases[i], &HOWS[k]);
				w->fault = faults[f % 2];
				w->fault_at = f / 2 + 1;
				world_run(w);
				disturbed += w->tasks[0].outcome != LANE_SEALED;
				finish(w, &calm);
				replay_end(w);
			}
		}
	assert_true(disturbed > 100);
	arena_free(&r.a);
}

/* The run that mends it fails too, at each of its effects. */
static void the_store_fails_twice(void **state)
{
	static const struct how small = { 1, 1, 0 };
	struct replay r;
	(void)state;
	replay_open(&r);
	for (size_t i = 0; i < r.n; i += 2) {
		struct calm calm = undisturbed(&r.cases[i], &small);
		uint64_t effects = effects_of(&r.cases[i], &small) + 2; /* a settle and a claim more */
		for (uint64_t n = 0; n < effects * effects; n++) {
			struct world *w = replay_begin(&r.cases[i], &small);
			w->fault = n % 3 ? STORE_FAULT_REFUSE : STORE_FAULT_LOST_ANSWER;
			w->fault_at = n / effects + 1;
			world_run(w);
			if (w->tasks[0].outcome != LANE_SEALED) {
				world_later(w, LEASE_S + 1);
				w->fault = n % 2 ? STORE_FAULT_REFUSE : STORE_FAULT_LOST_ANSWER;
				w->fault_at = n % effects + 1;
				world_run(w);
			}
			finish(w, &calm);
			replay_end(w);
		}
	}
	arena_free(&r.a);
}

/* Another run claims at each answer: this one adds nothing after that, the other finishes. */
static void a_rival_claims_at_each_answer(void **state)
{
	struct replay r;
	(void)state;
	replay_open(&r);
	for (size_t i = 0; i < r.n; i++)
		for (size_t k = 0; k < COUNT(HOWS); k++) {
			struct calm calm = undisturbed(&r.cases[i], &HOWS[k]);
			for (size_t at = 1; at <= calm.n_sent; at++) {
				struct world *w = replay_begin(&r.cases[i], &HOWS[k]);
				struct judged j;
				w->rival_after = at;
				world_run(w);
				assert_int_equal(w->tasks[0].outcome, LANE_FENCED);
				world_judge(w, 0, &j);
				assert_text(j.lines[j.n_entries - 1], "claim");
				finish(w, &calm);
				replay_end(w);
			}
		}
	arena_free(&r.a);
}

/* The first page has three records, the others two: most guesses are wrong, and hardly any is made after that. */
static struct sha256 uneven_pages(uint32_t in_flight)
{
	struct test_case c = { .name = STR("uneven pages") };
	struct world *w = calloc(1, sizeof *w);
	assert_non_null(w);
	world_begin(w, &c);
	w->v.source.in_flight = in_flight;
	w->v.r.total = STR("total");
	w->v.r.paginate = (struct paginate){ .style = PAGE_OFFSET, .param = STR("o") };
	for (unsigned i = 0; i <= 101; i++)
		w->rows[w->n_rows++] = (struct http_fake_row){
			.method = STR("GET"),
			.url_glob = arena_format(&w->a, "*?o=%u", i),
			.raw = arena_format(&w->a, "HTTP/1.1 200 OK\r\n\r\n{\"data\":[%u,0%s],\"total\":101}", i,
					    i ? "" : ",0"),
		};
	world_run(w);
	assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
	assert_int_equal(w->tasks[0].pages, 50);
	assert_in_range(w->n_sent, 50, 50 + in_flight);
	struct sha256 digest = w->tasks[0].digest;
	world_end(w);
	free(w);
	return digest;
}

static void a_wrong_guess_is_made_once(void **state)
{
	(void)state;
	struct sha256 one = uneven_pages(1), many = uneven_pages(16);
	assert_true(sha256_eq(one, many));
}

/* ── loops ── */

/* A way of `lead` pages into a cycle of `length`: found after a number of requests that grows with both, not more. */
static void cursor_cycle(unsigned lead, unsigned length)
{
	struct test_case c = { .name = STR("cycle") };
	struct world *w = calloc(1, sizeof *w);
	struct judged j;
	assert_non_null(w);
	world_begin(w, &c);
	w->v.r.paginate = (struct paginate){ .style = PAGE_CURSOR, .from_path = STR("next"), .param = STR("c"), .first = 1 };
	for (unsigned i = 0; i < lead + length; i++) {
		unsigned next = i + 1 < lead + length ? i + 1 : lead;
		struct str url = i ? arena_format(&w->a, "https://api.example/items?c=n%u", i)
				   : STR("https://api.example/items");
		w->rows[w->n_rows++] = (struct http_fake_row){
			.method = STR("GET"),
			.url_glob = url,
			.raw = arena_format(&w->a, "HTTP/1.1 200 OK\r\n\r\n{\"data\":[%u],\"next\":\"n%u\"}", i, next),
		};
	}
	world_run(w);
	assert_int_equal(w->tasks[0].outcome, LANE_FAILED);
	assert_int_equal(w->tasks[0].err.code, ERR_PAGE_LOOP);
	unsigned most = lead > length ? lead : length;
	assert_in_range(w->n_sent, lead + 1, 3 * most + length + 2);
	world_judge(w, 0, &j);
	assert_true(str_starts(j.lines[j.n_entries - 1], STR("abandon")));
	world_end(w);
	free(w);
}

static void cycles_of_any_length_are_found(void **state)
{
	static const unsigned lengths[] = { 2, 3, 4, 5, 7, 8, 16, 31, 64 };
	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++)
		for (unsigned lead = 1; lead < 40; lead += 6)
			cursor_cycle(lead, lengths[i]);
}

/* A cycle is found although the run is stopped again and again: the guard goes through the ledger. */
static void the_last_page_for_ever(void **state)
{
	struct test_case c = { .name = STR("for ever") };
	struct world *w = calloc(1, sizeof *w);
	unsigned runs = 0;
	(void)state;
	assert_non_null(w);
	world_begin(w, &c);
	w->v.r.paginate = (struct paginate){ .style = PAGE_NUMBER, .param = STR("page"), .first = 1 };
	w->rows[w->n_rows++] = (struct http_fake_row){ .method = STR("GET"), .url_glob = STR("*?page=1"),
						       .raw = STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[1]}") };
	w->rows[w->n_rows++] = (struct http_fake_row){ .method = STR("GET"), .url_glob = STR("*"),
						       .raw = STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[2]}") };
	do {
		w->stop_after = 1;
		world_run(w);
		world_later(w, LEASE_S + 1);
	} while (w->tasks[0].outcome == LANE_STOPPED && ++runs < 20);
	assert_int_equal(w->tasks[0].err.code, ERR_PAGE_LOOP);
	assert_in_range(runs, 2, 6);
	world_end(w);
	free(w);
}

/* ── entries that stay small ── */

/* Cursors of nearly 32 KiB, each of them twice in the entry: as what led on, and in the request that it led to. */
static void long_cursors_end_a_segment(void **state)
{
	enum { CURSOR = (32 << 10) - 16 };
	struct test_case c = { .name = STR("long cursors") };
	struct world *w = calloc(1, sizeof *w);
	struct judged *j = calloc(1, sizeof *j);
	struct buf digits = BUF_INIT(CURSOR);
	(void)state;
	assert_true(w && j);
	world_begin(w, &c);
	w->v.r.segment_pages = 10000;
	w->v.r.segment_bytes = 1 << 30;
	w->v.r.paginate = (struct paginate){ .style = PAGE_CURSOR, .from_path = STR("next"), .param = STR("c"), .first = 1 };
	for (unsigned i = 0; i < CURSOR; i++)
		buf_add_char(&digits, 'x');
	for (unsigned i = 0; i < ROWS_MAX; i++) {
		struct str next = i + 1 < ROWS_MAX ? arena_format(&w->a, ",\"next\":\"%03u%.*s\"", i + 1, STR_ARG(buf_str(&digits)))
						   : STR("");
		w->rows[w->n_rows++] = (struct http_fake_row){
			.method = STR("GET"),
			.url_glob = i ? arena_format(&w->a, "*?c=%03ux*", i) : STR("*/items"),
			.raw = arena_format(&w->a, "HTTP/1.1 200 OK\r\n\r\n{\"data\":[%u]%.*s}", i, STR_ARG(next)),
		};
	}
	world_run(w);
	assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
	assert_int_equal(w->tasks[0].pages, ROWS_MAX);
	world_judge(w, 0, j);
	assert_in_range(j->n_entries, 3, 5); /* the claim, and 16 MiB of texts */
	for (uint64_t n = 0; n < j->n_entries; n++) {
		struct str entry = STR_NONE;
		struct err e = ERR_INIT;
		assert_true(store_get(w->store, key_entry(generation_of(w, 0), n, &w->a), 64 << 20, &w->a, &entry, &e));
		assert_true(entry.n < 9 << 20);
	}
	buf_free(&digits);
	free(j);
	replay_end(w);
}

/* ── ledgers that others left ── */

/* Died between the last page and the word that the totals do not add up: the next run says it. */
static void the_last_page_is_there_and_nothing_else(void **state)
{
	struct replay r;
	(void)state;
	replay_open(&r);
	for (int right = 0; right < 2; right++) {
		static const struct how small = { 1, 1, 0 };
		struct world *w = replay_begin(&r.cases[2], &small); /* a total of 9 */
		struct judged j;
		if (!right)
			w->rows[4].raw = STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[],\"total\":9}");
		uint64_t effects = right ? 0 : 12; /* claim, five segments, five entries; the abandon is refused */
		w->fault = effects ? STORE_FAULT_REFUSE : STORE_FAULT_NONE;
		w->fault_at = effects;
		world_run(w);
		world_judge(w, 0, &j);
		if (right) {
			assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
		} else {
			assert_int_equal(w->tasks[0].err.code, ERR_STORAGE);
			assert_text(j.lines[j.n_entries - 1], "pages 5 end");
			world_later(w, LEASE_S + 1);
			world_run(w);
			assert_int_equal(w->n_sent, 0);
			assert_int_equal(w->tasks[0].outcome, LANE_FAILED);
			assert_int_equal(w->tasks[0].err.code, ERR_TOTAL);
			world_judge(w, 0, &j);
			assert_true(str_starts(j.lines[j.n_entries - 1], STR("abandon")));
		}
		replay_end(w);
	}
	arena_free(&r.a);
}

/* ── workers ── */

static void with_workers(void **state)
{
	struct replay r;
	(void)state;
	replay_open(&r);
	for (size_t i = 0; i < r.n; i++)
		for (size_t k = 0; k < COUNT(HOWS); k++) {
			struct how how = HOWS[k];
			struct calm calm = undisturbed(&r.cases[i], &how);
			how.threads = 4;
			struct world *w = replay_begin(&r.cases[i], &how);
			w->stop_after = (k + i) % 4; /* 0: not at all */
			world_run(w);
			finish(w, &calm);
			replay_end(w);
			w = replay_begin(&r.cases[i], &how);
			w->fault = STORE_FAULT_REFUSE;
			w->fault_at = 1 + (k + i) % 7;
			world_run(w);
			finish(w, &calm);
			replay_end(w);
		}
	arena_free(&r.a);
}

/* Eight windows of seven pages, many in flight, answers in any order. */
static struct world *many_windows(unsigned threads, uint32_t in_flight, struct test_case *c)
{
	struct world *w = calloc(1, sizeof *w);
	assert_non_null(w);
	*c = (struct test_case){ .name = STR("many windows") };
	world_begin(w, c);
	w->threads = threads;
	w->n_windows = TASKS_MAX;
	w->v.source.in_flight = in_flight;
	w->v.r.segment_pages = 2;
	w->v.r.total = STR("total");
	w->v.r.path_template = template_of(&w->v, STR("/{window.from:date}"), false);
	w->v.r.paginate = (struct paginate){ .style = PAGE_NUMBER, .param = STR("page"), .first = 1 };
	for (unsigned i = 1; i <= 7; i++) {
		w->rows[w->n_rows++] = (struct http_fake_row){
			.method = STR("GET"),
			.url_glob = arena_format(&w->a, "*page=%u", i),
			.times = 3,
			.delay_us = (8 - i) * 1000,
			.raw = STR("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
		};
		w->rows[w->n_rows++] = (struct http_fake_row){
			.method = STR("GET"),
			.url_glob = arena_format(&w->a, "*page=%u", i),
			.delay_us = (i * 5 % 7) * 1000,
			.raw = arena_format(&w->a, "HTTP/1.1 200 OK\r\n\r\n{\"data\":[%u,0],\"total\":14}", i),
		};
	}
	world_run(w);
	return w;
}

static void many_windows_at_once(void **state)
{
	static const struct {
		unsigned threads;
		uint32_t in_flight;
	} how[] = { { 0, 8 }, { 0, 3 }, { 4, 8 }, { 4, 2 }, { 1, 8 } };
	struct test_case c;
	(void)state;
	struct world *calm = many_windows(0, 1, &c);
	for (size_t k = 0; k < COUNT(how); k++) {
		struct world *w = many_windows(how[k].threads, how[k].in_flight, &c);
		uint64_t attempts = 0;
		for (size_t i = 0; i < w->n_windows; i++) {
			struct judged j;
			world_judge(w, i, &j);
			attempts += j.attempts;
			assert_int_equal(w->tasks[i].outcome, LANE_SEALED);
			assert_int_equal(w->tasks[i].records, 14);
			assert_true(sha256_eq(w->tasks[i].digest, calm->tasks[i].digest));
		}
		assert_int_equal(attempts, 21);
		assert_int_equal(w->n_sent, calm->n_sent);
		replay_end(w);
	}
	replay_end(calm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(styles),
		cmocka_unit_test(failures),
		cmocka_unit_test(generations),
		cmocka_unit_test(ahead), cmocka_unit_test(guessed),
		cmocka_unit_test(classes),
		cmocka_unit_test(breaker),
		cmocka_unit_test(long_cursors_end_a_segment),
		cmocka_unit_test(content_depends_on_nothing_else),
		cmocka_unit_test(stopped_at_each_answer),
		cmocka_unit_test(stopped_in_each_run),
		cmocka_unit_test(the_store_fails_at_each_effect),
		cmocka_unit_test(the_store_fails_twice),
		cmocka_unit_test(a_rival_claims_at_each_answer),
		cmocka_unit_test(a_wrong_guess_is_made_once),
		cmocka_unit_test(cycles_of_any_length_are_found),
		cmocka_unit_test(the_last_page_for_ever),
		cmocka_unit_test(the_last_page_is_there_and_nothing_else),
		cmocka_unit_test(with_workers),
		cmocka_unit_test(many_windows_at_once),
	};
	return cmocka_run_group_tests_name("ingest/loop", tests, NULL, NULL);
}
