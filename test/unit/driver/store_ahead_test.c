/* The same work for many objects, and questions that are asked before they matter. */
#include "store_world.h"

#include "driver/store_ahead.h"
#include "driver/store_each.h"

#include <signal.h>
#include <stdatomic.h>

enum { N = 100 };

struct work {
	atomic_uint done[N], now, most;
	size_t bad, worse; /* that fail; N: none does */
};

static bool work_one(void *user, size_t i, struct err *e)
{
	struct work *w = user;
	unsigned now = atomic_fetch_add(&w->now, 1) + 1, most = atomic_load(&w->most);
	while (now > most && !atomic_compare_exchange_weak(&w->most, &most, now))
		;
	atomic_fetch_add(&w->done[i], 1);
	atomic_fetch_sub(&w->now, 1);
	return (i != w->bad && i != w->worse) || err_set(e, ERR_DAMAGE, "object %zu", i);
}

static void test_each(void **state)
{
	(void)state;
	for (int disk = 0; disk < 2; disk++) {
		struct world s;
		struct work w = { .bad = N, .worse = N };
		world_open(&s, disk);
		assert_true(store_each(s.s, N, work_one, &w, &s.e));
		for (size_t i = 0; i < N; i++)
			assert_int_equal(w.done[i], 1);
		assert_true(w.most <= (disk ? 1 : STORE_AT_ONCE));
		w = (struct work){ .bad = N, .worse = N };
		assert_true(store_each_of(s.s, N, 3, work_one, &w, &s.e) && w.most <= 3);
		assert_true(store_each(s.s, 0, work_one, &w, &s.e));
		/* Of two failures the first one; on a disk nothing comes after it. */
		w = (struct work){ .bad = 7, .worse = 3 };
		assert_false(store_each(s.s, N, work_one, &w, &s.e));
		assert_string_equal(s.e.message, "object 3");
		assert_true(!disk || (w.done[3] == 1 && w.done[4] == 0));
		world_close(&s);
	}
}

static void test_remove(void **state)
{
	(void)state;
	for (int disk = 0; disk < 2; disk++) {
		struct world w;
		struct str keys[N];
		bool gone[N] = { false };
		enum store_created created;
		struct store_listing list;
		volatile int stop = 0;
		world_open(&w, disk);
		for (size_t i = 0; i < N; i++) {
			keys[i] = arena_format(&w.arena, "a/%zu", i);
			assert_true(store_create(w.s, keys[i], STR("x"), &created, &w.e));
		}
		stop = SIGTERM;
		assert_false(store_remove_each(w.s, keys, N, gone, &stop, &w.e));
		assert_int_equal(w.e.code, ERR_SIGTERM);
		w.e = ERR_INIT;
		stop = 0;
		if (!disk) { /* one that is refused: what is gone is said all the same */
			store_memory_fail(w.s, 20, STORE_FAULT_REFUSE);
			assert_false(store_remove_each(w.s, keys, N, gone, &stop, &w.e));
			w.e = ERR_INIT;
			size_t n = 0;
			for (size_t i = 0; i < N; i++)
				n += gone[i];
			assert_true(store_list(w.s, STR("a"), &w.arena, &list, &w.e));
			assert_int_equal(list.n, N - n);
			assert_true(n >= 19 && n < N);
		}
		assert_true(store_remove_each(w.s, keys, N, gone, NULL, &w.e));
		for (size_t i = 0; i < N; i++)
			assert_true(gone[i]);
		assert_true(store_list(w.s, STR("a"), &w.arena, &list, &w.e) && list.n == 0);
		world_close(&w);
	}
}

static bool ask(void *user, size_t i, struct store *s)
{
	struct world *w = user;
	struct arena a = ARENA_INIT;
	struct str got;
	struct store_listing list;
	uint64_t size;
	struct err e = ERR_INIT;
	(void)w;
	struct str key = arena_format(&a, "a/%zu", i);
	store_get(s, key, 10, &a, &got, &e);
	store_size(s, key, &size, &e);
	bool ok = store_list(s, STR("a"), &a, &list, &e) && store_list_names(s, STR("a"), &a, &list, &e);
	arena_free(&a);
	return ok;
}

/* What was asked is answered as it was then, and again; all else as it is now. */
static void test_ahead(void **state)
{
	(void)state;
	struct world w;
	struct str got;
	struct store_listing list;
	enum store_created created;
	uint64_t size = 0;
	char two[2];
	world_open(&w, false);
	for (size_t i = 0; i < 5; i++)
		assert_true(store_create(w.s, arena_format(&w.arena, "a/%zu", i), arena_format(&w.arena, "text %zu", i), &created, &w.e));
	struct store *s = store_open_ahead(w.s);
	assert_true(store_ahead_ask(s, 7, ask, &w)); /* a/5 and a/6 are not there */
	assert_true(store_remove(w.s, STR("a/2"), &w.e) && store_create(w.s, STR("a/6"), STR("new"), &created, &w.e));
	assert_true(store_create(w.s, STR("a/9"), STR("new"), &created, &w.e));
	for (int again = 0; again < 2; again++) {
		assert_true(store_get(s, STR("a/2"), 10, &w.arena, &got, &w.e) && str_eq_z(got, "text 2"));
		assert_true(store_size(s, STR("a/2"), &size, &w.e) && size == 6);
		assert_true(store_read_at(s, STR("a/2"), 4, two, 2, &w.e) && memcmp(two, " 2", 2) == 0);
		assert_true(store_list(s, STR("a"), &w.arena, &list, &w.e) && list.n == 5 && list.v[2].size_bytes == 6);
		assert_true(store_list_names(s, STR("a"), &w.arena, &list, &w.e) && list.n == 5);
		assert_false(store_get(s, STR("a/6"), 10, &w.arena, &got, &w.e));
		assert_int_equal(w.e.code, ERR_MISSING);
		w.e = ERR_INIT;
		assert_false(store_size(s, STR("a/6"), &size, &w.e));
		assert_int_equal(w.e.code, ERR_MISSING);
		w.e = ERR_INIT;
	}
	assert_true(store_get(s, STR("a/9"), 10, &w.arena, &got, &w.e) && str_eq_z(got, "new"));
	assert_true(store_read_at(s, STR("a/9"), 1, two, 2, &w.e) && memcmp(two, "ew", 2) == 0);
	assert_false(store_get(s, STR("a/3"), 3, &w.arena, &got, &w.e)); /* longer than is asked for now */
	assert_int_equal(w.e.code, ERR_TOO_LARGE);
	w.e = ERR_INIT;
	assert_false(store_read_at(s, STR("a/3"), 5, two, 2, &w.e)); /* past its end */
	assert_int_equal(w.e.code, ERR_DAMAGE);
	w.e = ERR_INIT;
	store_close(s);
	world_close(&w);
}

/* What cannot be kept is asked of the store, and is not said to be there. */
static void test_no_room(void **state)
{
	(void)state;
	enum { LARGE = 40 << 20 };
	struct world w;
	struct str keys[] = { STR("a"), STR("b"), STR("c") }, got;
	enum store_created created;
	world_open(&w, false);
	char *p = arena_alloc(&w.arena, LARGE);
	memset(p, 'x', LARGE);
	for (size_t i = 0; i < 2; i++)
		assert_true(store_create(w.s, keys[i], (struct str){ p, LARGE }, &created, &w.e));
	struct store *s = store_open_ahead(w.s);
	assert_false(store_ahead_get(s, keys, COUNT(keys), LARGE, STORE_AT_ONCE));
	for (size_t i = 0; i < 2; i++)
		assert_true(store_get(s, keys[i], LARGE, &w.arena, &got, &w.e) && got.n == LARGE);
	assert_false(store_ahead_get(s, keys, COUNT(keys), 5, 1)); /* too large is no answer */
	store_close(s);
	s = store_open_ahead(w.s);
	assert_true(store_ahead_get(s, &keys[2], 1, 5, 1)); /* nothing there is one */
	store_close(s);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests_name("store_ahead", tests, NULL, NULL);
}
