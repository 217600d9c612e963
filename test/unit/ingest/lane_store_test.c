/* What a lane does to the lake: each call of the store fails in turn, a rival comes before each, and what is kept of a
 * failed attempt. */
#include "loop_world.h"

#include "base/gzip.h"
#include "ingest/lane.h"

#define SECRET "hunter22-hunter22"

static const struct test_case NO_CASE = { .name = { "lane store", 10 } };

static void add_row(struct world *w, const char *glob, unsigned times, struct str raw, enum err_code fail)
{
	assert_true(w->n_rows < ROWS_MAX);
	w->rows[w->n_rows++] = (struct http_fake_row){ .method = STR("GET"), .url_glob = str_from(glob), .times = times,
						       .raw = raw, .fail = fail };
}

/* Three pages by number, a segment each; the second fails once. */
static struct world *begin(void)
{
	struct world *w = calloc(1, sizeof *w);
	assert_non_null(w);
	world_begin(w, &NO_CASE);
	w->v.source.in_flight = 1;
	w->v.r.segment_pages = 1;
	w->v.r.paginate = (struct paginate){ .style = PAGE_NUMBER, .param = STR("page"), .first = 1 };
	add_row(w, "*?page=1", 0, STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[1]}"), ERR_NONE);
	add_row(w, "*?page=2", 1, STR("HTTP/1.1 500 Oh\r\n\r\noops"), ERR_NONE);
	add_row(w, "*?page=2", 0, STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[2]}"), ERR_NONE);
	add_row(w, "*?page=3", 0, STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[]}"), ERR_NONE);
	return w;
}

static void end(struct world *w)
{
	world_end(w);
	free(w);
}

/* ── failures and rivals at each call ── */

/* STOPS: nothing before, and the run that meets the failure is stopped with pages that wait in a segment. */
enum before { FRESH, STOPS, STOPPED, STOPPED_TWICE, DEFINITION_CHANGED, NEVER_A_PAGE };

static void make_before(struct world *w, enum before before)
{
	if (before == STOPS) {
		w->v.r.segment_pages = 64;
		w->stop_after = 2;
	}
	if (before == FRESH || before == STOPS)
		return;
	if (before == NEVER_A_PAGE) { /* the run gives the page up; its attempts are in an entry */
		w->v.source.retry.attempts = 1;
		w->rows[0].raw = STR_NONE;
		w->rows[0].fail = ERR_RESET;
	}
	for (int i = 0; i < 1 + (before == STOPPED_TWICE); i++) {
		w->stop_after = 2 - (uint64_t)i;
		world_run(w);
		assert_int_not_equal(w->tasks[0].outcome, LANE_SEALED);
		world_later(w, LEASE_S + 1);
	}
	w->v.source.retry.attempts = 6;
	w->rows[0].raw = STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[1]}");
	w->rows[0].fail = ERR_NONE;
	if (before == DEFINITION_CHANGED)
		w->v.r.path_template = template_of(&w->v, STR("/things"), false);
}

static void finish(struct world *w, const char *what, uint64_t nth)
{
	struct judged j;
	for (int runs = 0; w->tasks[0].outcome != LANE_SEALED && runs < 3; runs++) {
		world_later(w, LEASE_S + 1);
		world_run(w);
	}
	if (w->tasks[0].outcome != LANE_SEALED)
		fail_msg("%s, call %d: %s", what, (int)nth, w->tasks[0].err.message);
	world_judge(w, 0, &j);
	assert_int_equal(j.pages, 3);
}

/* Nothing is taken for stored that is not, the cause is told, and the next run ends it. */
static void any_call_fails(void **state)
{
	static const char *const names[] = { "fresh", "stops", "stopped", "stopped twice", "definition changed",
					     "never a page" };
	(void)state;
	for (enum before b = FRESH; b <= NEVER_A_PAGE; b++)
		for (enum flaky_how how = FLAKY_REFUSE; how <= FLAKY_GONE; how++) {
			uint64_t failed = 1;
			for (uint64_t nth = 1; failed > 0; nth++) {
				struct world *w = begin();
				struct flaky f;
				make_before(w, b);
				flaky_init(&f, w->store);
				flaky_arm(&f, nth, how);
				w->flaky = &f;
				world_run(w);
				w->flaky = NULL;
				failed = f.failed;
				enum err_code code = w->tasks[0].outcome == LANE_SEALED ? ERR_NONE : w->tasks[0].err.code;
				if (code != ERR_NONE && b != STOPS && (failed == 0 || (code != ERR_STORAGE && how != FLAKY_GONE)))
					fail_msg("%s, call %d in way %d: %s", names[b], (int)nth, (int)how, w->tasks[0].err.message);
				finish(w, names[b], nth);
				end(w);
			}
		}
}

static struct ledger rival_opens(struct world *w, unsigned generation)
{
	struct ledger l;
	struct err e = ERR_INIT;
	struct lane_task was = w->tasks[0];
	w->tasks[0].generation = generation;
	struct str key = generation_of(w, 0);
	w->tasks[0] = was;
	if (!ledger_open(w->store, &w->clock.clock, key, STR("rival"), &w->a, &l, &e))
		fail_msg("%s", e.message);
	return l;
}

/* Opens the generation after the one that is about to be abandoned. */
static void rival_opens_next(void *user)
{
	struct world *w = user;
	struct err e = ERR_INIT;
	struct ledger l = rival_opens(w, 2);
	if (l.n_entries == 0 && !ledger_claim(&l, &w->tasks[0].origin, &e))
		fail_msg("%s", e.message);
}

/* Takes it over and closes it. */
static void rival_abandons(void *user)
{
	struct world *w = user;
	struct err e = ERR_INIT;
	struct ledger l = rival_opens(w, 1);
	if (l.status == GENERATION_OPEN && (!ledger_claim(&l, NULL, &e) || !ledger_abandon(&l, STR("a rival"), &e)))
		fail_msg("%s", e.message);
}

static void a_rival_before_each_call(void **state)
{
	static const struct {
		enum before before;
		void (*rival)(void *user);
		const char *said; /* at least once */
	} cases[] = { { DEFINITION_CHANGED, rival_opens_next, "another run opened it first" },
		      { STOPPED, rival_abandons, "another run closed it first" },
		      { FRESH, rival_abandons, "another run wrote entry" } };
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool said = false;
		uint64_t came = 1;
		for (uint64_t nth = 1; came > 0; nth++) {
			struct world *w = begin();
			struct flaky f;
			make_before(w, cases[i].before);
			flaky_init(&f, w->store);
			f.rival = cases[i].rival;
			f.user = w;
			flaky_arm(&f, nth, FLAKY_RIVAL);
			w->flaky = &f;
			world_run(w);
			w->flaky = NULL;
			came = f.failed;
			if (w->tasks[0].outcome != LANE_SEALED) {
				if (w->tasks[0].outcome != LANE_FENCED)
					fail_msg("case %zu, call %d: %s", i, (int)nth, w->tasks[0].err.message);
				said = said || strstr(w->tasks[0].err.message, cases[i].said);
			}
			finish(w, "rival", nth);
			end(w);
		}
		if (!said)
			fail_msg("case %zu: nobody said `%s`", i, cases[i].said);
	}
}

/* ── what is kept of attempts ── */

static struct str zipped(struct world *w, struct str text, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		struct buf b = BUF_INIT(64 << 20);
		assert_true(gzip_member(text, 6, &b));
		text = arena_copy(&w->a, buf_str(&b));
		buf_free(&b);
	}
	return text;
}

static struct str many_bytes(struct world *w, size_t n, char c)
{
	char *p = arena_alloc(&w->a, n);
	memset(p, c, n);
	return (struct str){ p, n };
}

/* The bodies of failed attempts: "T" a text with the token in it, "H" a harmless one, "L" one that is longer than what is
 * kept, "B" so many zeros that nobody looks to their end; each gzipped so many times. */
static const struct {
	char body;
	unsigned zipped;
	bool secret, keep;
	enum err_code fail;
	const char *truncated; /* "": kept as it was */
} bodies[] = {
	{ 'H', 0, false, false, ERR_NONE, "" },		     { 'T', 0, false, false, ERR_NONE, "" },
	{ 'H', 0, true, false, ERR_NONE, "" },		     { 'T', 0, true, false, ERR_NONE, "unspecified" },
	{ 'T', 0, true, true, ERR_NONE, "" },		     { 'T', 1, true, false, ERR_NONE, "unspecified" },
	{ 'T', 2, true, false, ERR_NONE, "unspecified" },    { 'H', 2, true, false, ERR_NONE, "" },
	{ 'B', 1, true, false, ERR_NONE, "unspecified" },    { 'B', 2, true, false, ERR_NONE, "unspecified" },
	{ 'L', 0, true, false, ERR_NONE, "length" },	     { 'H', 0, true, false, ERR_TIMEOUT, "time" },
	{ 'H', 0, true, false, ERR_TOO_LARGE, "length" },    { 'H', 0, true, false, ERR_RESET, "disconnect" },
};

static struct str body_of(struct world *w, size_t i)
{
	struct str text = bodies[i].body == 'T'	  ? STR("you sent " SECRET ", which we do not know")
			  : bodies[i].body == 'H' ? STR("we are closed")
			  : bodies[i].body == 'L' ? many_bytes(w, KEPT_BODY_OF_ATTEMPT + 1, 'x')
						  : many_bytes(w, 20 << 20, '\0');
	return zipped(w, text, bodies[i].zipped);
}

static void bodies_of_attempts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct world *w = begin();
		struct record_there there;
		struct ledger_entry n;
		struct err e = ERR_INIT;
		struct str body = body_of(w, i), text, segment;
		if (bodies[i].secret) {
			w->v.source.auth = (struct auth){ .kind = AUTH_BEARER, .secret = secret_make(STR("env:KEY"), &w->a) };
			w->v.source.auth.secret.hidden = STR(SECRET);
			secret_set_add(&w->v.source.secrets, &w->v.source.auth.secret);
		}
		w->v.r.secret_in_body_keep = bodies[i].keep;
		w->v.r.segment_pages = 8;
		w->rows[1].fail = bodies[i].fail;
		struct buf raw = BUF_INIT(1 << 20); /* the body may hold zeros */
		buf_addf(&raw, "HTTP/1.1 500 Oh\r\nContent-Length: %zu\r\n\r\n", body.n + (bodies[i].fail != ERR_NONE));
		buf_add(&raw, body);
		w->rows[1].raw = arena_copy(&w->a, buf_str(&raw));
		buf_free(&raw);
		world_run(w);
		assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
		assert_true(store_get(w->store, key_entry(generation_of(w, 0), 1, &w->a), 1 << 20, &w->a, &text, &e));
		assert_true(ledger_decode(text, &w->a, &n, &e));
		assert_int_equal(n.n_attempts, 1);
		assert_true(store_get(w->store, key_segment(generation_of(w, 0), n.segment, &w->a), 1 << 20, &w->a, &segment, &e));
		there = record_at(w, segment, n.attempts[0].offset, n.attempts[0].size);
		if (!str_eq_z(there.truncation, bodies[i].truncated))
			fail_msg("body %zu: truncated `%.*s`", i, STR_ARG(there.truncation));
		struct str kept = str_eq_z(there.truncation, "unspecified") ? STR_NONE : str_sub(body, 0, KEPT_BODY_OF_ATTEMPT);
		assert_true(sha256_eq(there.received, sha256_of(kept)));
		assert_true(sha256_eq(n.attempts[0].body, sha256_of(body))); /* what came, kept or not */
		end(w);
	}
}

/* So many attempts are enough for an audit, and then the segment is full. */
static void many_attempts(void **state)
{
	struct world *w = begin();
	struct judged j;
	(void)state;
	w->v.r.segment_pages = 64;
	w->v.source.retry = (struct retry_policy){ 200, 1, 2, 1000 };
	w->rows[1].times = ATTEMPTS_PER_SEGMENT_MAX + 10;
	world_run(w);
	assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
	world_judge(w, 0, &j);
	assert_int_equal(j.attempts, ATTEMPTS_PER_SEGMENT_MAX);
	assert_int_equal(j.n_entries, 3); /* the claim, pages 1 and 2, page 3 with the seal */
	end(w);
}

/* A segment is not left open for long, however few pages it holds. */
static void slow_pages(void **state)
{
	struct world *w = begin();
	struct judged j;
	(void)state;
	w->v.r.segment_pages = 64;
	w->rows[2].delay_us = 2 * w->v.r.segment_us;
	world_run(w);
	assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
	world_judge(w, 0, &j);
	assert_true(j.n_entries > 2);
	end(w);
}

/* What is written counts, too, where next to nothing of it is bodies: heads that do not compress. */
static void long_heads(void **state)
{
	struct world *w = begin();
	struct judged j;
	char noise[8001];
	uint32_t x = 1;
	(void)state;
	for (size_t i = 0; i + 1 < sizeof noise; i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (char)('a' + (x >> 24) % 26);
	}
	noise[sizeof noise - 1] = '\0';
	w->v.r.segment_pages = 64;
	w->v.r.segment_bytes = 4000;
	for (unsigned i = 0; i < w->n_rows; i++)
		if (i != 1)
			w->rows[i].raw = arena_format(&w->a, "HTTP/1.1 200 OK\r\nX-Noise: %s\r\n\r\n{\"data\":[%s]}", noise, i == 0 ? "1" : i == 2 ? "2" : "");
	world_run(w);
	if (w->tasks[0].outcome != LANE_SEALED)
		fail_msg("%s", w->tasks[0].err.message);
	world_judge(w, 0, &j);
	assert_int_equal(j.n_entries, 4); /* the claim, and a segment a page */
	end(w);
}

/* A place to go on that names the token: a marker stands for it wherever it is kept. */
static void secrets_on_the_way(void **state)
{
	struct world *w = begin();
	struct judged j;
	(void)state;
	w->n_rows = 0;
	w->v.source.auth = (struct auth){ .kind = AUTH_BEARER, .secret = secret_make(STR("env:KEY"), &w->a) };
	w->v.source.auth.secret.hidden = STR(SECRET);
	secret_set_add(&w->v.source.secrets, &w->v.source.auth.secret);
	w->v.r.secret_in_body_keep = true;
	w->v.r.paginate = (struct paginate){ .style = PAGE_NEXT_URL, .from_path = STR("next"), .first = 1 };
	add_row(w, "*page=2*", 0, STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[2],\"next\":\"/items?page=3&key=" SECRET "\"}"), ERR_NONE);
	add_row(w, "*page=3*", 0, STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[3]}"), ERR_NONE);
	add_row(w, "*", 0, STR("HTTP/1.1 200 OK\r\n\r\n{\"data\":[1],\"next\":\"/items?page=2&key=" SECRET "\"}"), ERR_NONE);
	w->stop_after = 2;
	world_run(w);
	assert_int_equal(w->tasks[0].outcome, LANE_STOPPED);
	finish(w, "secrets", 0); /* the way on was read back */
	world_judge(w, 0, &j);
	for (uint64_t n = 0; n < j.n_entries; n++) {
		struct str entry = STR_NONE;
		struct err e = ERR_INIT;
		assert_true(store_get(w->store, key_entry(generation_of(w, 0), n, &w->a), 1 << 20, &w->a, &entry, &e));
		assert_false(str_contains(entry, STR(SECRET)));
	}
	end(w);
}

/* Where an answer came from, in all forms of an address. */
static void addresses(void **state)
{
	static const char *const cases[][2] = { { "127.0.0.1:80", "WARC-IP-Address: 127.0.0.1\r\n" },
						{ "[2001:db8::1]:443", "WARC-IP-Address: 2001:db8::1\r\n" },
						{ "", NULL } };
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world *w = begin();
		struct str text, segment;
		struct ledger_entry n;
		struct err e = ERR_INIT;
		w->remote_address = cases[i][0];
		world_run(w);
		assert_int_equal(w->tasks[0].outcome, LANE_SEALED);
		assert_true(store_get(w->store, key_entry(generation_of(w, 0), 1, &w->a), 1 << 20, &w->a, &text, &e));
		assert_true(ledger_decode(text, &w->a, &n, &e));
		assert_true(store_get(w->store, key_segment(generation_of(w, 0), n.segment, &w->a), 1 << 20, &w->a, &segment, &e));
		struct buf text_of = BUF_INIT(1 << 20);
		assert_true(gzip_read_all(str_sub(segment, n.pages[0].offset, n.pages[0].size), &text_of, &e));
		struct str want = str_from(cases[i][1] ? cases[i][1] : "WARC-IP-Address");
		assert_int_equal(str_contains(buf_str(&text_of), want), cases[i][1] != NULL);
		buf_free(&text_of);
		end(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_call_fails),   cmocka_unit_test(a_rival_before_each_call),
		cmocka_unit_test(bodies_of_attempts), cmocka_unit_test(many_attempts),
		cmocka_unit_test(slow_pages), cmocka_unit_test(long_heads),	    cmocka_unit_test(secrets_on_the_way),
		cmocka_unit_test(addresses),
	};
	return cmocka_run_group_tests_name("ingest/lane_store", tests, NULL, NULL);
}
