/* The ledger over a store in memory that can refuse an effect or lose an answer: claims, fences, seals, resuming. */
#include "entries.h"

#include "format/layout.h"
#include "format/process.h"
#include "store_flaky.h"

#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT STR("0-2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae.warc.gz")

#define GENERATION STR("raw/p/flights/20130101T050000Z_20130102T050000Z/g1")

struct world {
	struct arena a;
	struct store *s;
	struct clock_fake clock;
	struct err e;
};

static struct world *world_new(void)
{
	struct world *w = mem_alloc(sizeof *w);
	w->s = memory_store();
	clock_fake_init(&w->clock, NOW_US);
	return w;
}

static void world_free(struct world *w)
{
	store_close(w->s);
	arena_free(&w->a);
	mem_free(w);
}

static struct ledger open_as(struct world *w, const char *run)
{
	struct ledger l;
	assert_done(ledger_open(w->s, &w->clock.clock, GENERATION, str_from(run), &w->a, &l, &w->e), &w->e);
	return l;
}

static bool claim(struct ledger *l, struct err *e)
{
	struct ledger_origin origin = origin_sample();
	return ledger_claim(l, l->n_entries == 0 ? &origin : NULL, e);
}

/* Page n+1 of three, and the seal with the third. The digest is that of rule 13 over bodies named by their number. */
static bool next_page(struct ledger *l, bool promoted, struct err *e)
{
	uint64_t n = l->state.pages + 1;
	struct ledger_page page = { .page = n, .request = STR("GET /flights"), .status = 200, .attempts = 1, .records = 10 };
	struct ledger_state state = l->state;
	struct str body = arena_format(l->arena, "body %d", (int)n);
	page.next.kind = n < 3 ? NEXT_NUMBER : NEXT_END;
	page.next.number = (int64_t)n + 1;
	page.body = sha256_of(body);
	page.fingerprint = hash_of("GET /flights");
	struct sha256_state digest;
	sha256_begin(&digest);
	sha256_add(&digest, state.digest.b, SHA256_SIZE);
	sha256_add(&digest, page.fingerprint.b, SHA256_SIZE);
	sha256_add(&digest, page.body.b, SHA256_SIZE);
	state.digest = sha256_end(&digest);
	state.pages = n;
	state.records += 10;
	state.next = page.next;
	state.first_sent_us = NOW_US;
	assert_false(loop_guard_step(&state.guard, page.body));
	struct ledger_seal seal = { .consistency = CLASS_KEYSET, .evidence = STR("rising"), .promoted = promoted,
				    .candidate_reason = promoted ? STR_NONE : STR("too few"), .pages = n, .records = 30,
				    .digest = state.digest, .sealed_us = NOW_US };
	struct ledger_commit c = { .segment = SEGMENT, .segment_size = 10, .pages = &page, .n_pages = 1,
				   .state = state, .seal = n == 3 ? &seal : NULL };
	return ledger_pages(l, &c, e);
}

static bool fetch_all(struct ledger *l, struct err *e)
{
	if (!claim(l, e))
		return false;
	while (l->status == GENERATION_OPEN)
		if (!next_page(l, true, e))
			return false;
	return true;
}

static struct str entry_key(struct world *w, uint64_t n)
{
	return key_entry(GENERATION, n, &w->a);
}

/* The pages that a reader sees, "1,2,3", with chain and numbers checked. */
static const char *pages_seen(struct world *w)
{
	struct ledger l = open_as(w, "reader");
	struct ledger_walk walk;
	struct ledger_entry entry;
	struct buf b = BUF_INIT(1000);
	bool end = false;
	ledger_walk_begin(&walk, &l);
	while (!end) {
		assert_done(ledger_walk_next(&walk, &entry, &end, &w->e), &w->e);
		for (size_t i = 0; !end && i < entry.n_pages; i++)
			buf_addf(&b, "%s%d", b.n ? "," : "", (int)entry.pages[i].page);
	}
	ledger_walk_end(&walk);
	const char *text = arena_zero_terminated(&w->a, buf_str(&b));
	buf_free(&b);
	return text;
}

static struct sha256 whole_digest(void)
{
	struct world *w = world_new();
	struct ledger l = open_as(w, "a");
	assert_int_equal(l.status, GENERATION_NONE);
	assert_done(fetch_all(&l, &w->e), &w->e);
	assert_int_equal(l.n_entries, 4);
	struct sha256 digest = l.seal.digest;
	assert_string_equal(pages_seen(w), "1,2,3");
	struct ledger again = open_as(w, "b");
	assert_int_equal(again.status, GENERATION_SEALED);
	assert_true(sha256_eq(again.seal_hash, sha256_of(object_of(w->s, entry_key(w, 3), &w->a))));
	world_free(w);
	return digest;
}

/* Every effect refused, or its answer lost, in the first run; a second run then ends with the same digest. */
static void any_effect_fails(void **unused)
{
	(void)unused;
	struct sha256 digest = whole_digest();
	for (int fault = STORE_FAULT_REFUSE; fault <= STORE_FAULT_LOST_ANSWER; fault++)
		for (uint64_t nth = 1; nth <= 8; nth++) {
			struct world *w = world_new();
			struct ledger l = open_as(w, "a");
			store_memory_fail(w->s, nth, (enum store_fault)fault);
			if (!fetch_all(&l, &w->e))
				assert_code(&w->e, ERR_STORAGE);
			else
				assert_true(fault == STORE_FAULT_LOST_ANSWER || nth > 4);
			store_memory_fail(w->s, 0, STORE_FAULT_NONE);
			w->e = ERR_INIT;
			struct ledger again = open_as(w, "b");
			if (again.status != GENERATION_SEALED)
				assert_done(fetch_all(&again, &w->e), &w->e);
			assert_true(sha256_eq(again.seal.digest, digest));
			assert_string_equal(pages_seen(w), "1,2,3");
			world_free(w);
		}
}

/* The second to write entry n is out, and what it fetched does not count. */
static void a_claim_fences_the_writer_before(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct ledger a = open_as(w, "a");
	assert_true(claim(&a, &w->e) && next_page(&a, true, &w->e));
	struct ledger b = open_as(w, "b");
	assert_int_equal(b.state.pages, 1);
	assert_true(claim(&b, &w->e));
	assert_int_equal(b.epoch, 2);
	assert_false(next_page(&a, true, &w->e));
	assert_code(&w->e, ERR_FENCED);
	assert_false(a.claimed);
	assert_true(next_page(&b, true, &w->e) && next_page(&b, true, &w->e));
	assert_int_equal(b.status, GENERATION_SEALED);
	assert_string_equal(pages_seen(w), "1,2,3");
	struct ledger stale = a; /* one that did not notice: the seal cannot be overtaken either */
	stale.claimed = true;
	w->e = ERR_INIT;
	assert_false(next_page(&stale, true, &w->e));
	assert_code(&w->e, ERR_FENCED);
	world_free(w);
}

static void two_claims_at_once(void **unused)
{
	(void)unused;
	for (int lost = 0; lost < 2; lost++) {
		struct world *w = world_new();
		struct ledger a = open_as(w, "a"), b = open_as(w, "b");
		assert_true(claim(&a, &w->e));
		if (lost)
			store_memory_fail(w->s, 1, STORE_FAULT_LOST_ANSWER);
		assert_false(claim(&b, &w->e));
		assert_code(&w->e, ERR_FENCED);
		assert_false(b.claimed);
		assert_true(next_page(&a, true, &w->e));
		world_free(w);
	}
}

/* What stands there may be anything: longer than ours, no JSON. It is not ours. */
static void taken_by_something_else(void **unused)
{
	(void)unused;
	static const char *const there[] = { "", "x", "{}" };
	for (size_t i = 0; i < COUNT(there) + 1; i++) {
		struct world *w = world_new();
		struct ledger a = open_as(w, "a");
		assert_true(claim(&a, &w->e));
		char *big = arena_alloc(&w->a, 100000);
		memset(big, 'x', 100000);
		object_put(w->s, entry_key(w, 1), i < COUNT(there) ? str_from(there[i]) : (struct str){ big, 100000 });
		assert_false(next_page(&a, true, &w->e));
		assert_code(&w->e, ERR_FENCED);
		struct ledger l;
		w->e = ERR_INIT;
		assert_false(ledger_open(w->s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e));
		assert_code(&w->e, ERR_DAMAGE);
		world_free(w);
	}
}

static void state_is_resumed(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct ledger a = open_as(w, "a");
	assert_true(claim(&a, &w->e));
	struct ledger_state state = state_sample(3);
	state.next = sample_pages[1].next;
	struct ledger_entry sample = entry_sample(1);
	struct ledger_commit c = { .segment = sample.segment, .segment_size = 1, .pages = sample.pages, .n_pages = 3,
				   .attempts = sample.attempts, .n_attempts = 2, .state = state };
	assert_done(ledger_pages(&a, &c, &w->e), &w->e);
	struct ledger_commit renewal = { .state = state };
	assert_done(ledger_pages(&a, &renewal, &w->e), &w->e);
	struct ledger b = open_as(w, "b");
	assert_int_equal(b.status, GENERATION_OPEN);
	assert_int_equal(b.n_entries, 3);
	struct ledger_entry want = { .state = state }, got = { .state = b.state };
	assert_frozen(ledger_encode(&got, &w->a), ledger_encode(&want, &w->a));
	assert_text(b.lease.run_id, "a");
	assert_done(ledger_read_origin(&b, &w->e), &w->e);
	assert_text(b.origin.reason, "first");
	assert_text(b.origin.definition_json, origin_sample().definition_json.p);
	assert_int_equal(b.origin.window.to_us - b.origin.window.from_us, US_PER_DAY);
	/* The seal alone, and the origin behind several claims. */
	assert_true(claim(&b, &w->e));
	struct ledger_seal seal = seal_sample(true);
	struct ledger_commit last = { .state = state, .seal = &seal };
	assert_done(ledger_pages(&b, &last, &w->e), &w->e);
	assert_true(str_contains(object_of(w->s, entry_key(w, 4), &w->a), STR("\"kind\":\"seal\"")));
	struct ledger d = open_as(w, "d");
	assert_int_equal(d.status, GENERATION_SEALED);
	assert_false(d.has_origin);
	assert_done(ledger_read_origin(&d, &w->e), &w->e);
	assert_text(d.origin.reason, "first");
	world_free(w);
}

static void accepted(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct ledger a = open_as(w, "a");
	assert_true(claim(&a, &w->e) && next_page(&a, true, &w->e) && next_page(&a, true, &w->e));
	assert_false(ledger_accept(&a, STR("too early"), &w->e));
	assert_code(&w->e, ERR_USAGE);
	assert_true(next_page(&a, false, &w->e));
	assert_int_equal(a.status, GENERATION_CANDIDATE);
	struct ledger b = open_as(w, "b"), c = open_as(w, "c");
	assert_int_equal(b.status, GENERATION_CANDIDATE);
	assert_text(b.seal.candidate_reason, "too few");
	assert_done(ledger_accept(&b, STR("a strike"), &w->e), &w->e);
	assert_false(ledger_accept(&c, STR("me too"), &w->e));
	assert_code(&w->e, ERR_FENCED);
	struct ledger d = open_as(w, "d");
	assert_int_equal(d.status, GENERATION_SEALED);
	assert_true(d.seal.promoted && b.seal.promoted);
	assert_true(sha256_eq(d.seal_hash, a.seal_hash) && sha256_eq(b.seal_hash, a.seal_hash));
	assert_int_equal(d.seal.records, 30);
	w->e = ERR_INIT;
	assert_false(ledger_accept(&d, STR("again"), &w->e));
	assert_code(&w->e, ERR_USAGE);
	world_free(w);
}

/* g1 sealed, g2 abandoned, g3 a candidate, g4 open, g5 a folder without a ledger, which is none; what each prefix of them means. */
static void generations_of_a_window(void **unused)
{
	(void)unused;
	static const struct window_generations want[] = {
		{ 0, 0, 0, 0 }, { 1, 1, 0, 0 }, { 2, 1, 0, 0 }, { 3, 1, 0, 3 }, { 4, 1, 4, 3 }, { 4, 1, 4, 3 }, { 6, 6, 0, 0 },
	};
	struct world *w = world_new();
	struct str window = STR("raw/p/r/20130101T050000Z_20130102T050000Z");
	for (unsigned g = 0; g < COUNT(want); g++) {
		struct ledger l;
		struct str key = g ? key_generation(window, g, &w->a) : STR("raw/p/r/grid");
		if (g == 5)
			object_put(w->s, key_segment(key, SEGMENT, &w->a), STR("garbage"));
		if (g > 0 && g != 5) {
			assert_done(ledger_open(w->s, &w->clock.clock, key, STR("a"), &w->a, &l, &w->e), &w->e);
			assert_true(claim(&l, &w->e));
			while (g != 4 && g != 2 && l.status == GENERATION_OPEN)
				assert_true(next_page(&l, g != 3, &w->e));
			if (g == 2)
				assert_done(ledger_abandon(&l, STR("a loop"), &w->e), &w->e);
		}
		struct window_generations got;
		assert_done(window_generations_read(w->s, &w->clock.clock, window, &w->a, &got, &w->e), &w->e);
		assert_memory_equal(&got, &want[g], sizeof got);
	}
	world_free(w);
}

/* What each generation is, S sealed, C a candidate, A abandoned, O open, E expired, - a folder in which nothing was claimed,
 * and what the window is by that. */
static const struct {
	const char *generations;
	struct window_generations want;
} generation_cases[] = {
	{ "CC", { 2, 0, 0, 2 } },	    { "OO", { 2, 0, 2, 0 } },	       { "S-O", { 3, 1, 3, 0 } },
	{ "SE", { 2, 1, 0, 0 } },	    { "O-", { 1, 0, 1, 0 } },	       { "--", { 0, 0, 0, 0 } },
	{ "AAAAAAAAASC", { 11, 10, 0, 11 } }, { "CCCCCCCCCCO", { 11, 0, 11, 10 } },
};

static void make_generation(struct world *w, struct str key, char kind)
{
	struct ledger l;
	if (kind == '-') {
		object_put(w->s, key_segment(key, SEGMENT, &w->a), STR("garbage"));
		return;
	}
	assert_done(ledger_open(w->s, &w->clock.clock, key, STR("a"), &w->a, &l, &w->e), &w->e);
	assert_done(claim(&l, &w->e), &w->e);
	while (kind != 'O' && kind != 'A' && l.status == GENERATION_OPEN)
		assert_done(next_page(&l, kind != 'C', &w->e), &w->e);
	if (kind == 'A')
		assert_done(ledger_abandon(&l, STR("a loop"), &w->e), &w->e);
	if (kind == 'E')
		assert_done(ledger_expire(&l, STR("90 days"), &w->e), &w->e);
}

static void generations_of_any_kind(void **unused)
{
	(void)unused;
	struct str window = STR("raw/p/r/20130101T050000Z_20130102T050000Z");
	for (size_t i = 0; i < COUNT(generation_cases); i++) {
		struct world *w = world_new();
		struct window_generations got, want = generation_cases[i].want;
		const char *kinds = generation_cases[i].generations;
		for (unsigned g = 1; g <= strlen(kinds); g++)
			make_generation(w, key_generation(window, g, &w->a), kinds[g - 1]);
		/* What else lies there is none: a file, a folder of another name. */
		object_put(w->s, arena_format(&w->a, "%.*s/g77", STR_ARG(window)), STR("x"));
		object_put(w->s, arena_format(&w->a, "%.*s/group/x", STR_ARG(window)), STR("x"));
		assert_done(window_generations_read(w->s, &w->clock.clock, window, &w->a, &got, &w->e), &w->e);
		if (memcmp(&got, &want, sizeof got) != 0)
			fail_msg("%s: %u generations, promoted %u, open %u, candidate %u", kinds, got.n, got.promoted, got.open,
				 got.candidate);
		world_free(w);
	}
}

/* ── any call of the store fails ── */

static bool do_fetch(struct world *w, struct store *s)
{
	struct ledger l;
	return ledger_open(s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e) && fetch_all(&l, &w->e);
}

static bool do_resume(struct world *w, struct store *s)
{
	struct ledger l;
	return ledger_open(s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e) && ledger_read_origin(&l, &w->e) &&
	       fetch_all(&l, &w->e);
}

/* Somebody else wrote the entry that is wanted. */
static bool do_rival(struct world *w, struct store *s)
{
	struct ledger l = open_as(w, "rival"), late = l;
	late.store = s;
	return claim(&l, &w->e) && claim(&late, &w->e);
}

static bool do_accept(struct world *w, struct store *s)
{
	struct ledger l;
	return ledger_open(s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e) &&
	       ledger_accept(&l, STR("a strike"), &w->e);
}

static bool do_expire(struct world *w, struct store *s)
{
	struct ledger l;
	return ledger_open(s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e) &&
	       ledger_expire(&l, STR("90 days"), &w->e);
}

static bool do_read_window(struct world *w, struct store *s)
{
	struct window_generations g;
	return window_generations_read(s, &w->clock.clock, str_sub(GENERATION, 0, GENERATION.n - 3), &w->a, &g, &w->e);
}

static bool do_walk(struct world *w, struct store *s)
{
	struct ledger l;
	struct ledger_walk walk;
	struct ledger_entry entry;
	bool end = false, ok;
	if (!ledger_open(s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e))
		return false;
	ledger_walk_begin(&walk, &l);
	do
		ok = ledger_walk_next(&walk, &entry, &end, &w->e);
	while (ok && !end);
	ledger_walk_end(&walk);
	return ok;
}

/* What is there before ('p': two pages of an open one, behind two claims; otherwise as above; 'x': accepted), what is done,
 * and how it ends when nothing fails. */
static const struct {
	const char *what;
	char before;
	bool (*act)(struct world *w, struct store *s);
	enum err_code end;
} call_cases[] = {
	{ "fetch", '-', do_fetch, ERR_NONE },	{ "resume", 'p', do_resume, ERR_NONE },
	{ "rival", 'p', do_rival, ERR_FENCED }, { "accept", 'C', do_accept, ERR_NONE },
	{ "expire", 'S', do_expire, ERR_NONE }, { "read", 'x', do_read_window, ERR_NONE },
	{ "walk", 'x', do_walk, ERR_NONE },
};

static struct world *call_world(char before)
{
	struct world *w = world_new();
	make_generation(w, GENERATION, before == 'x' ? 'C' : before == 'p' ? 'O' : before);
	if (before == 'x')
		assert_done(do_accept(w, w->s), &w->e);
	if (before == 'p') {
		struct ledger l = open_as(w, "again");
		assert_true(claim(&l, &w->e) && next_page(&l, true, &w->e) && next_page(&l, true, &w->e));
	}
	return w;
}

/* It says so, nothing is taken for done that is not, and what is left is good: asked again, it ends as it should. */
static void any_call_fails(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(call_cases) * 3; i++) {
		enum flaky_how how = (enum flaky_how)(i % 3);
		enum err_code end = call_cases[i / 3].end;
		uint64_t failed = 1;
		for (uint64_t nth = 1; failed > 0; nth++) {
			struct world *w = call_world(call_cases[i / 3].before);
			struct flaky f;
			flaky_init(&f, w->s);
			flaky_arm(&f, nth, how);
			bool ok = call_cases[i / 3].act(w, &f.store);
			failed = f.failed;
			enum err_code code = ok ? ERR_NONE : w->e.code;
			/* An answer that was lost is found out; an object that is gone is damage, or was never made. */
			if (code != end && (failed == 0 || (code != ERR_STORAGE && (how != FLAKY_GONE || (code != ERR_DAMAGE && code != ERR_MISSING)))))
				fail_msg("%s, call %d in way %d: %s: %s", call_cases[i / 3].what, (int)nth, (int)how, err_name(code),
					 w->e.message);
			w->e = ERR_INIT;
			if (!do_walk(w, w->s))
				fail_msg("%s, call %d in way %d left: %s", call_cases[i / 3].what, (int)nth, (int)how, w->e.message);
			world_free(w);
		}
	}
}

/* ── damage ── */

/* Ledgers that nobody writes: whole entries in a place where they mean nothing. */
static void entries_out_of_place(void **unused)
{
	(void)unused;
	static const struct {
		size_t samples[3], n;
		const char *want; /* NULL: it can be opened */
	} cases[] = {
		{ { 6 }, 1, "entry 0 accepts what is not sealed" },
		{ { 0, 6 }, 2, "entry 1 accepts what is not sealed" },
		{ { 0, 5, 6 }, 3, NULL },
		{ { 5 }, 1, "entry 0 does not say why it was opened" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world *w = world_new();
		struct ledger l;
		for (size_t n = 0; n < cases[i].n; n++) {
			struct ledger_entry t = entry_sample(cases[i].samples[n]);
			t.n = n;
			t.epoch = 0;
			object_put(w->s, entry_key(w, n), ledger_encode(&t, &w->a));
		}
		bool ok = ledger_open(w->s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e) && ledger_read_origin(&l, &w->e);
		assert_int_equal(ok, cases[i].want == NULL);
		if (cases[i].want && !str_contains(str_from(w->e.message), str_from(cases[i].want)))
			fail_msg("case %zu: %s", i, w->e.message);
		assert_int_equal(w->e.code, cases[i].want ? ERR_DAMAGE : ERR_NONE);
		world_free(w);
	}
}

/* Names in the folder that are none of an entry: verify reports them, a run passes over them. */
static void other_names_beside_entries(void **unused)
{
	(void)unused;
	static const char *const names[] = { "x", "0000000000000000000x.json", "00000000000000000001.txt8", "00000000000000000001.jsonx" };
	struct world *w = world_new();
	struct ledger l = open_as(w, "a");
	assert_done(ledger_read_origin(&l, &w->e), &w->e); /* none yet */
	assert_false(l.has_origin);
	assert_int_equal(ledger_lease_check(&l), LEASE_FREE);
	assert_true(fetch_all(&l, &w->e));
	for (size_t i = 0; i < COUNT(names); i++)
		object_put(w->s, arena_format(&w->a, "%.*s/ledger/%s", STR_ARG(GENERATION), names[i]), STR("x"));
	assert_string_equal(pages_seen(w), "1,2,3");
	world_free(w);
}

static void missing_entries(void **unused)
{
	(void)unused;
	for (uint64_t n = 0; n < 3; n++) {
		struct world *w = world_new();
		struct ledger l = open_as(w, "a");
		assert_true(fetch_all(&l, &w->e));
		assert_true(store_remove(w->s, entry_key(w, n), &w->e));
		assert_false(ledger_open(w->s, &w->clock.clock, GENERATION, STR("b"), &w->a, &l, &w->e));
		assert_code(&w->e, ERR_DAMAGE);
		assert_non_null(strstr(w->e.message, arena_format(&w->a, "entry %d is missing", (int)n).p));
		world_free(w);
	}
}

/* Whatever is done to entry n, a walk finds it: at n, or at the entry that names its hash. */
static void broken_chain(void **unused)
{
	(void)unused;
	static const char *const edits[][2] = {
		{ "\"records\":10", "\"records\":11" }, { "\"epoch\":0", "\"epoch\":0 " }, { "\"n\":1", "\"n\":2" },
		{ "\"previous\":\"", "\"previous\":null,\"x\":\"" }, { "}\n", "}" }, { "}\n", "}\n\n" },
	};
	for (size_t i = 0; i < COUNT(edits); i++) {
		struct world *w = world_new();
		struct ledger l = open_as(w, "a"), reader;
		assert_true(fetch_all(&l, &w->e));
		struct str text = object_of(w->s, entry_key(w, 1), &w->a);
		object_put(w->s, entry_key(w, 1), replaced(text, edits[i][0], edits[i][1], &w->a));
		reader = open_as(w, "b");
		struct ledger_walk walk;
		struct ledger_entry entry;
		bool end = false, ok = true;
		ledger_walk_begin(&walk, &reader);
		while (ok && !end)
			ok = ledger_walk_next(&walk, &entry, &end, &w->e);
		ledger_walk_end(&walk);
		assert_false(ok);
		assert_code(&w->e, ERR_DAMAGE);
		world_free(w);
	}
}

/* ── lease ── */

static void lease_of(struct world *w, struct ledger_lease lease)
{
	struct ledger_entry t = entry_sample(0);
	t.lease = lease;
	t.run_id = lease.run_id;
	object_put(w->s, entry_key(w, 0), ledger_encode(&t, &w->a));
}

static int64_t dead_process(void)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void leases(void **unused)
{
	(void)unused;
	struct world *w = world_new();
	struct ledger_lease mine = process_lease(STR("a"), NOW_US + 60 * (int64_t)US_PER_SECOND, &w->a);
	struct ledger_lease dead = mine, recycled = mine, elsewhere = lease_sample(), container = mine, gone = elsewhere;
	dead.pid = dead_process();
	recycled.started--;
	container.pid_namespace = STR("pid:[1]");
	container.pid = dead.pid;
	gone.pid = dead.pid;
	const struct {
		struct ledger_lease lease;
		const char *run;
		int64_t after_s;
		enum lease_answer want;
	} cases[] = {
		{ mine, "a", 0, LEASE_OURS },      { elsewhere, "20251009T085320Z-1f3a", 0, LEASE_OURS },
		{ mine, "b", 0, LEASE_LIVE },      { mine, "b", 59, LEASE_LIVE },
		{ mine, "b", 60, LEASE_FREE },     { dead, "b", 0, LEASE_DEAD },
		{ recycled, "b", 0, LEASE_DEAD },  { container, "b", 0, LEASE_LIVE },
		{ container, "b", 61, LEASE_FREE }, { elsewhere, "b", 0, LEASE_LIVE },
		{ gone, "b", 59, LEASE_LIVE },     { elsewhere, "b", 60, LEASE_FREE },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		lease_of(w, cases[i].lease);
		struct ledger l = open_as(w, cases[i].run);
		w->clock.wall_us = NOW_US + cases[i].after_s * US_PER_SECOND;
		if (ledger_lease_check(&l) != cases[i].want)
			fail_msg("case %zu: %d where %d was expected", i, (int)ledger_lease_check(&l), (int)cases[i].want);
	}
	/* Each entry renews it, and a sealed generation has none. */
	w->clock.wall_us = NOW_US + 60 * (int64_t)US_PER_SECOND;
	struct ledger l = open_as(w, "b");
	assert_int_equal(ledger_lease_check(&l), LEASE_FREE);
	assert_true(claim(&l, &w->e));
	w->clock.wall_us += 50 * (int64_t)US_PER_SECOND;
	assert_true(next_page(&l, true, &w->e));
	w->clock.wall_us += 50 * (int64_t)US_PER_SECOND;
	struct ledger other = open_as(w, "c");
	assert_int_equal(ledger_lease_check(&other), LEASE_LIVE);
	assert_true(next_page(&l, true, &w->e) && next_page(&l, true, &w->e));
	other = open_as(w, "c");
	assert_int_equal(ledger_lease_check(&other), LEASE_FREE);
	world_free(w);
}

static void names_of_processes(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct ledger_lease mine = process_lease(STR("a"), 0, &a);
	assert_true(process_same_host(mine.boot_id, mine.pid_namespace));
	assert_false(process_same_host(STR_NONE, STR_NONE));
	assert_true(process_alive(mine.pid, mine.started));
	assert_false(process_alive(mine.pid, mine.started + 1));
	assert_false(process_alive(0, -1));
	assert_false(process_alive(-1, 0));
	struct str nonce = process_nonce(&a), uuid = process_uuid(&a);
	assert_int_equal(nonce.n, NONCE_HEX);
	assert_false(str_eq(nonce, process_nonce(&a)));
	assert_int_equal(uuid.n, 36);
	assert_true(uuid.p[14] == '4' && strchr("89ab", uuid.p[19]) && uuid.p[8] == '-' && uuid.p[23] == '-');
	arena_free(&a);
}

/* ── loop guard ── */

static struct sha256 numbered(uint64_t n)
{
	return sha256_of((struct str){ (const char *)&n, sizeof n });
}

static void loops_of_any_shape_are_found(void **unused)
{
	(void)unused;
	for (uint64_t tail = 0; tail < 70; tail += tail < 20 ? 1 : 7)
		for (uint64_t cycle = 1; cycle < 140; cycle += cycle < 40 ? 1 : 9) {
			struct loop_guard g = { 0 };
			uint64_t i = 0, longest = tail > cycle ? tail : cycle;
			while (!loop_guard_step(&g, numbered(i < tail ? i : tail + (i - tail) % cycle)))
				if (++i > 3 * longest + cycle)
					fail_msg("a tail of %d and a cycle of %d were not found", (int)tail, (int)cycle);
			assert_true(i >= tail + cycle); /* nothing repeats earlier */
		}
}

static void no_false_alarm(void **unused)
{
	(void)unused;
	struct loop_guard g = { 0 };
	for (uint64_t i = 0; i < 100000; i++)
		assert_false(loop_guard_step(&g, numbered(i)));
	assert_true(g.power >= 32768);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_effect_fails),
		cmocka_unit_test(a_claim_fences_the_writer_before),
		cmocka_unit_test(two_claims_at_once),
		cmocka_unit_test(taken_by_something_else),
		cmocka_unit_test(state_is_resumed),
		cmocka_unit_test(accepted),
		cmocka_unit_test(generations_of_a_window),
		cmocka_unit_test(generations_of_any_kind),
		cmocka_unit_test(any_call_fails),
		cmocka_unit_test(entries_out_of_place),
		cmocka_unit_test(other_names_beside_entries),
		cmocka_unit_test(missing_entries),
		cmocka_unit_test(broken_chain),
		cmocka_unit_test(leases),
		cmocka_unit_test(names_of_processes),
		cmocka_unit_test(loops_of_any_shape_are_found),
		cmocka_unit_test(no_false_alarm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
