/* Where windows stand, without reading all of them: what is announced to a view of many windows, and fetches whose ledger nobody
 * can read and that were given up. */
#include "entries.h"

#include "driver/store_view.h"
#include "format/layout.h"
#include "store_flaky.h"

#define WINDOW STR("raw/p/flights/20130101T050000Z_20130102T050000Z")

static struct str entry_at(unsigned generation, uint64_t n, struct arena *a)
{
	return key_entry(key_generation(WINDOW, generation, a), n, a);
}

/* Generations 1, 2 and 10 with 2, 3 and 4 entries, and names that are none of ours. */
static const unsigned generations[] = { 1, 2, 10 };
enum { ENTRIES = 2 + 3 + 4 };

static struct store *window_store(struct arena *a)
{
	struct store *s = memory_store();
	for (unsigned i = 0; i < COUNT(generations); i++)
		for (uint64_t n = 0; n < i + 2; n++)
			object_put(s, entry_at(generations[i], n, a), arena_format(a, "%u/%d", generations[i], (int)n));
	object_put(s, arena_format(a, "%.*s/ledger/notes", STR_ARG(key_generation(WINDOW, 1, a))), STR("x"));
	object_put(s, arena_format(a, "%.*s/gx/ledger/0", STR_ARG(WINDOW)), STR("x"));
	object_put(s, arena_format(a, "%.*s/g11", STR_ARG(WINDOW)), STR("no folder"));
	return s;
}

static void what_is_announced_is_read_at_once(void **unused)
{
	static const struct {
		enum window_ahead what;
		unsigned announced, generation; /* how many, and the first of them by name */
		uint64_t n;
	} cases[] = {
		{ WINDOW_AHEAD_END, 1, 10, 3 }, { WINDOW_AHEAD_ORIGIN, 2, 10, 0 }, { WINDOW_AHEAD_ALL, ENTRIES, 1, 0 },
	};
	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct str text;
		struct flaky f;
		struct store *s = window_store(&a);
		flaky_init(&f, s);
		struct store *view = store_open_view(&f.store, STR("raw/p"), STR_NONE);
		assert_done(window_look_ahead(view, WINDOW, cases[i].what, &e), &e);
		assert_int_equal(f.n_calls, 1); /* the list; nothing is read yet */
		assert_done(store_get(view, entry_at(cases[i].generation, cases[i].n, &a), 100, &a, &text, &e), &e);
		assert_true(str_eq(text, arena_format(&a, "%u/%d", cases[i].generation, (int)cases[i].n)));
		assert_int_equal(f.n_calls, 1 + cases[i].announced);
		/* the others of them are there, and only they */
		unsigned asked = 0;
		for (unsigned g = 0; g < COUNT(generations); g++)
			for (uint64_t n = 0; n < g + 2; n++, asked++)
				assert_done(store_get(view, entry_at(generations[g], n, &a), 100, &a, &text, &e), &e);
		assert_int_equal(asked, ENTRIES);
		assert_int_equal(f.n_calls, 1 + ENTRIES);
		store_close(view);
		store_close(s);
		arena_free(&a);
	}
}

static void where_small_questions_cost_nothing(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct flaky f;
	struct store *s = window_store(&a);
	flaky_init(&f, s);
	assert_done(window_look_ahead(&f.store, WINDOW, WINDOW_AHEAD_ALL, &e), &e);
	assert_int_equal(f.n_calls, 0);
	/* nor where there is no such window, or one without a fetch */
	struct store *view = store_open_view(&f.store, STR("raw/p"), STR_NONE);
	assert_done(window_look_ahead(view, STR("raw/p/flights/none"), WINDOW_AHEAD_END, &e), &e);
	assert_int_equal(f.n_calls, 1);
	store_close(view);
	store_close(s);
	arena_free(&a);
}

/* Lists of ledgers are asked of the store here, so that each list can fail. */
static void a_list_that_fails_is_told(void **unused)
{
	static const enum window_ahead whats[] = { WINDOW_AHEAD_END, WINDOW_AHEAD_ORIGIN, WINDOW_AHEAD_ALL };
	(void)unused;
	for (size_t i = 0; i < COUNT(whats); i++) {
		struct arena a = ARENA_INIT;
		struct store *s = window_store(&a);
		uint64_t failed = 1, calls = 0;
		for (uint64_t nth = 1; failed > 0; nth++) {
			struct err e = ERR_INIT;
			struct flaky f;
			flaky_init(&f, s);
			flaky_arm(&f, nth, FLAKY_REFUSE);
			struct store *view = store_open_view(&f.store, STR("raw/p"), STR("ledger"));
			bool ok = window_look_ahead(view, WINDOW, whats[i], &e);
			failed = f.failed;
			calls = f.n_calls;
			assert_int_equal(ok, failed == 0);
			assert_code(&e, ok ? ERR_NONE : ERR_STORAGE);
			store_close(view);
		}
		assert_int_equal(calls, whats[i] == WINDOW_AHEAD_ALL ? 1 + COUNT(generations) : 2);
		store_close(s);
		arena_free(&a);
	}
}

/* ── given up ── */

#define GENERATION STR("raw/p/flights/20130101T050000Z_20130102T050000Z/g1")
#define GIVEN_UP STR("raw/p/flights/20130101T050000Z_20130102T050000Z/g1/ledger/given-up.json")

static bool give_up(struct store *s, const char *run, const char *note, struct err *e)
{
	struct clock_fake clock;
	clock_fake_init(&clock, NOW_US);
	return ledger_give_up(s, &clock.clock, GENERATION, str_from(run), str_from(note), e);
}

static bool opens(struct store *s, struct ledger *l, struct arena *a, struct err *e)
{
	struct clock_fake clock;
	clock_fake_init(&clock, NOW_US);
	return ledger_open(s, &clock.clock, GENERATION, STR("reader"), a, l, e);
}

/* A ledger with a hole cannot be opened; given up it can, and says that nothing of it counts. */
static void a_ledger_that_was_given_up(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct ledger l;
	struct store *s = memory_store();
	object_put(s, entry_at(1, 1, &a), STR("{}\n"));
	assert_false(opens(s, &l, &a, &e));
	assert_code(&e, ERR_DAMAGE);
	e = ERR_INIT;
	assert_done(give_up(s, "r1", "a \"note\"", &e), &e);
	assert_text(object_of(s, GIVEN_UP, &a), "{\"format\":\"sluice-given-up/1\",\"run\":\"r1\",\"time\":\"2025-10-09T08:53:20Z\","
		    "\"note\":\"a \\\"note\\\"\"}\n");
	assert_done(opens(s, &l, &a, &e), &e);
	assert_true(l.given_up);
	assert_int_equal(l.status, GENERATION_EXPIRED);
	assert_int_equal(l.n_entries, 0);
	/* who comes second says the same, and changes nothing */
	assert_done(give_up(s, "another run with a longer name", "", &e), &e);
	assert_true(str_contains(object_of(s, GIVEN_UP, &a), STR("\"run\":\"r1\"")));
	store_close(s);
	arena_free(&a);
}

static void giving_up_fails(void **unused)
{
	(void)unused;
	for (unsigned how = FLAKY_REFUSE; how <= FLAKY_GONE; how++) {
		struct arena a = ARENA_INIT;
		struct store *s = memory_store();
		uint64_t failed = 1;
		object_put(s, entry_at(1, 1, &a), STR("{}\n"));
		for (uint64_t nth = 1; failed > 0; nth++) {
			struct err e = ERR_INIT, why = ERR_INIT;
			struct flaky f;
			struct ledger l;
			assert_done(store_remove(s, GIVEN_UP, &e), &e);
			flaky_init(&f, s);
			flaky_arm(&f, nth, (enum flaky_how)how);
			bool ok = give_up(&f.store, "r1", "note", &e);
			failed = f.failed;
			assert_true(ok || failed > 0);
			assert_code(&e, ok ? ERR_NONE : ERR_STORAGE);
			bool there = opens(s, &l, &a, &why);
			assert_true(there || !ok); /* whoever was told that it is done finds it so */
			assert_code(&why, there ? ERR_NONE : ERR_DAMAGE);
		}
		store_close(s);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_announced_is_read_at_once),
		cmocka_unit_test(where_small_questions_cost_nothing),
		cmocka_unit_test(a_list_that_fails_is_told),
		cmocka_unit_test(a_ledger_that_was_given_up),
		cmocka_unit_test(giving_up_fails),
	};
	return cmocka_run_group_tests_name("ledger_view", tests, NULL, NULL);
}
