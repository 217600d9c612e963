/* A part of a store, listed at once and read many objects at a time: the same answers as the store's own, and few requests. */
#include "store_world.h"

#include "driver/store_reader.h"
#include "driver/store_trace.h"
#include "driver/store_view.h"

static const char *const keys[] = {
	"raw/p/r/2013-01-01/g1/ledger/0.json",  "raw/p/r/2013-01-01/g1/ledger/1.json", "raw/p/r/2013-01-01/g1/segments/1-a",
	"raw/p/r/2013-01-01/g2/ledger/0.json",  "raw/p/r/2013-01-01-x/g1/ledger/0.json", "raw/p/r/grid/0.json",
	"raw/p/r/2013-01-01.old",               "raw/p/s/a/b",                           "raw/p/top",
	"raw/q/r/a/b",                          "prepare/p/t/x",
};
static const char *const folders[] = {
	"raw/p/r", "raw/p/r/2013-01-01", "raw/p/r/2013-01-01/g1", "raw/p/r/2013-01-01/g1/ledger", "raw/p/r/2013-01-01/g1/segments",
	"raw/p/r/2013-01-01/g3", "raw/p/s", "raw/p/none", "raw/p", "raw", "raw/q/r", "raw/p/r/2013",
};

static void world_fill(struct world *w)
{
	enum store_created created;
	world_open(w, false);
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_true(store_create(w->s, str_from(keys[i]), str_from(keys[i]), &created, &w->e));
}

static void expect_same_list(struct world *w, struct store *view, struct str folder)
{
	struct store_listing a, b;
	assert_true(store_list(w->s, folder, &w->arena, &a, &w->e) && store_list(view, folder, &w->arena, &b, &w->e));
	assert_int_equal(a.n, b.n);
	for (size_t i = 0; i < a.n; i++) {
		assert_true(str_eq(a.v[i].name, b.v[i].name) && a.v[i].is_folder == b.v[i].is_folder);
		assert_true(a.v[i].size_bytes == b.v[i].size_bytes);
	}
	assert_true(store_list_names(view, folder, &w->arena, &b, &w->e) && b.n == a.n);
}

static void test_same_answers(void **state)
{
	static const char *const skips[] = { "", "segments" };
	(void)state;
	for (size_t k = 0; k < COUNT(skips); k++) {
		struct world w;
		struct str got;
		uint64_t size;
		char two[2];
		world_fill(&w);
		struct store *view = store_open_view(w.s, STR("raw/p"), str_from(skips[k]));
		assert_true(store_is_view(view) && !store_is_view(w.s));
		for (size_t i = 0; i < COUNT(folders); i++)
			expect_same_list(&w, view, str_from(folders[i]));
		for (size_t i = 0; i < COUNT(keys); i++) {
			struct str key = str_from(keys[i]);
			for (int again = 0; again < 2; again++) {
				assert_true(store_get(view, key, 1000, &w.arena, &got, &w.e));
				assert_true(str_eq(got, key));
			}
			assert_true(store_size(view, key, &size, &w.e) && size == key.n);
			assert_true(store_read_at(view, key, 1, two, 2, &w.e) && memcmp(two, keys[i] + 1, 2) == 0);
			w.e = ERR_INIT;
			assert_false(store_get(view, key, key.n - 1, &w.arena, &got, &w.e));
			assert_int_equal(w.e.code, ERR_TOO_LARGE);
			w.e = ERR_INIT;
		}
		assert_false(store_get(view, STR("raw/p/r/none"), 10, &w.arena, &got, &w.e));
		assert_int_equal(w.e.code, ERR_MISSING);
		w.e = ERR_INIT;
		assert_false(store_size(view, STR("raw/p/none/at/all"), &size, &w.e));
		assert_int_equal(w.e.code, ERR_MISSING);
		store_close(view);
		world_close(&w);
	}
}

/* What was created, removed or announced since: as if the question had come earlier, and never a wrong answer. */
static void test_as_it_was(void **state)
{
	struct world w;
	struct store_listing list;
	struct str got;
	enum store_created created;
	(void)state;
	world_fill(&w);
	struct store *view = store_open_view(w.s, STR("raw/p"), STR_NONE);
	assert_true(store_list(view, STR("raw/p/s"), &w.arena, &list, &w.e) && list.n == 1);
	assert_true(store_create(w.s, STR("raw/p/s/new"), STR("1"), &created, &w.e));
	assert_true(store_create(w.s, STR("raw/p/u/new"), STR("1"), &created, &w.e));
	assert_true(store_list(view, STR("raw/p/s"), &w.arena, &list, &w.e) && list.n == 1);
	assert_true(store_get(view, STR("raw/p/s/new"), 10, &w.arena, &got, &w.e) && str_eq_z(got, "1"));
	assert_true(store_list(view, STR("raw/p/u"), &w.arena, &list, &w.e) && list.n == 1); /* first looked at now */
	assert_true(store_view_ahead(view, STR("raw/p/s/a/b"), &w.e));
	assert_true(store_view_ahead(view, STR("raw/p/s/none"), &w.e) && store_view_ahead(view, STR("raw/q/r/a/b"), &w.e));
	assert_true(store_remove(w.s, STR("raw/p/s/a/b"), &w.e));
	assert_false(store_get(view, STR("raw/p/s/a/b"), 100, &w.arena, &got, &w.e));
	assert_int_equal(w.e.code, ERR_MISSING);
	store_close(view);
	world_close(&w);
}

static size_t lines_with(struct world *w, const char *file, const char *part)
{
	struct str text, line;
	size_t n = 0;
	assert_true(file_read(file, 1 << 20, &w->arena, &text, &w->e));
	while (str_cut(&text, '\n', &line))
		n += str_contains(line, str_from(part)) && str_contains(line, STR("\"result\""));
	return n;
}

/* Three hundred objects: one listing, and one get for each that is asked for, however often. */
static void test_requests(void **state)
{
	enum { N = 300 };
	struct world w;
	struct store_listing list;
	struct str got;
	enum store_created created;
	char *folder;
	(void)state;
	world_open(&w, false);
	for (int i = 0; i < N; i++)
		assert_true(store_create(w.s, arena_format(&w.arena, "raw/p/r/%03d/x", i), arena_format(&w.arena, "%d", i), &created, &w.e));
	assert_true(file_make_scratch(NULL, &w.arena, &folder, &w.e));
	char *file = arena_zero_terminated(&w.arena, arena_format(&w.arena, "%s/trace", folder));
	assert_true(store_open_trace(w.s, file, &w.s, &w.e));
	struct store *view = store_open_view(w.s, STR("raw/p"), STR_NONE);
	for (int i = 0; i < N; i += 2)
		assert_true(store_view_ahead(view, arena_format(&w.arena, "raw/p/r/%03d/x", i), &w.e));
	for (int again = 0; again < 2; again++)
		for (int i = 0; i < N; i += 2) {
			struct str key = arena_format(&w.arena, "raw/p/r/%03d", i);
			assert_true(store_list(view, key, &w.arena, &list, &w.e) && list.n == 1);
			assert_true(store_get(view, arena_format(&w.arena, "%.*s/x", STR_ARG(key)), 10, &w.arena, &got, &w.e));
			assert_true(str_eq(got, arena_format(&w.arena, "%d", i)));
		}
	assert_int_equal(lines_with(&w, file, "\"list\""), 1);
	assert_int_equal(lines_with(&w, file, "\"get\""), N / 2);
	store_close(view);
	world_close(&w);
	struct err e = ERR_INIT;
	assert_true(file_remove_tree(folder, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_as_it_was),
		cmocka_unit_test(test_requests),
	};
	return cmocka_run_group_tests_name("store_view", tests, NULL, NULL);
}
