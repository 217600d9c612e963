#include "base/str_map.h"

#include "unit.h"

static void map_finds_what_was_added(void **state)
{
	(void)state;
	enum { KEYS = 20000 };
	struct arena a = ARENA_INIT;
	struct str_map m = { 0 };
	assert_true(str_map_get(&m, STR("nothing")) == SIZE_MAX);
	for (size_t i = 0; i < KEYS; i++)
		assert_true(str_map_add(&m, arena_format(&a, "key %zu", i), i * 3, &a));
	assert_int_equal(m.n, KEYS);
	for (size_t i = 0; i < KEYS; i++) {
		struct str key = arena_format(&a, "key %zu", i);
		assert_int_equal(str_map_get(&m, key), i * 3);
		assert_false(str_map_add(&m, key, 7, &a));
		assert_int_equal(str_map_get(&m, key), i * 3);
	}
	assert_true(str_map_get(&m, STR("key 20000")) == SIZE_MAX);
	assert_true(str_map_get(&m, STR("")) == SIZE_MAX);
	assert_true(str_map_add(&m, STR(""), 1, &a));
	assert_int_equal(str_map_get(&m, STR_NONE), 1);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(map_finds_what_was_added) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
