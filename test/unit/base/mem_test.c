#include "unit.h"

#include "base/mem.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static bool all_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* Sizes around every border: places are whole, zeroed, aligned and do not overlap. */
static void places(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0,    1,    7,	  8,	15,   16,   17,	   100,	   2000,   2040,
					2048, 4000, 4096, 5000, 9999, 1, 100000, 524000, 524288, 600000,
					3,    1,    (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20, 1, 64 };
	struct arena a = ARENA_INIT;
	for (int round = 0; round < 3; round++) {
		char *p[COUNT(sizes)];
		size_t sum = 0;
		for (size_t i = 0; i < COUNT(sizes); i++) {
			p[i] = arena_alloc(&a, sizes[i]);
			assert_non_null(p[i]);
			assert_int_equal((uintptr_t)p[i] % alignof(max_align_t), 0);
			assert_true(all_zero(p[i], sizes[i]));
			memset(p[i], (int)(i + 1), sizes[i]);
			sum += sizes[i];
		}
		for (size_t i = 0; i < COUNT(sizes); i++)
			for (size_t j = 0; j < sizes[i]; j++)
				if (p[i][j] != (char)(i + 1))
					fail_msg("place %zu was overwritten at %zu", i, j);
		assert_true(a.used_bytes >= sum);
		arena_reset(&a);
		assert_int_equal(a.used_bytes, 0);
	}
	arena_free(&a);
	assert_null(a.head);
	assert_non_null(arena_alloc(&a, 10));
	arena_free(&a);
	arena_free(&a);
	arena_reset(&a);
	assert_null(a.head);
}

/* Nothing between two resets may show in the memory of the next round. */
static void reset_zeroes(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < 50; i++) {
			size_t n = (round * 37 + i * 101) % 3000;
			char *p = arena_alloc(&a, n);
			assert_true(all_zero(p, n));
			memset(p, 0xff, n);
		}
		arena_reset(&a);
	}
	arena_free(&a);
}

/* After a reset the kept block serves the next round: no allocation, so the failing one never comes. */
static void reset_keeps_a_block(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < 100; i++)
		(void)arena_alloc(&a, 4000);
	arena_reset(&a);
	mem_fail_at(1);
	for (size_t i = 0; i < 40; i++)
		(void)arena_alloc(&a, 4000);
	mem_fail_at(0);
	arena_free(&a);
}

static void copies(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct str s = arena_copy(&a, STR("a\0b"));
	assert_int_equal(s.n, 3);
	assert_memory_equal(s.p, "a\0b", 4);
	s = arena_copy(&a, STR_NONE);
	assert_int_equal(s.n, 0);
	assert_string_equal(s.p, "");
	assert_string_equal(arena_zero_terminated(&a, str_sub(STR("abcdef"), 1, 2)), "bc");
	s = arena_format(&a, "%s-%d", "x", 5);
	assert_text(s, "x-5");
	assert_int_equal(s.p[s.n], '\0');
	assert_text(arena_format(&a, "%s", ""), "");
	for (int width = 250; width < 260; width++) {
		s = arena_format(&a, "%0*d", width, 7);
		assert_int_equal(s.n, width);
		assert_int_equal(s.p[width - 1], '7');
		assert_int_equal(s.p[width], '\0');
	}
	arena_free(&a);
}

static void lists(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct {
		uint32_t *v;
		size_t n, cap;
	} list = { 0 };
	for (uint32_t i = 0; i < 100000; i++)
		*arena_push(&a, list) = i * 3;
	assert_int_equal(list.n, 100000);
	for (uint32_t i = 0; i < list.n; i++)
		assert_int_equal(list.v[i], i * 3);
	arena_free(&a);
}

static void single(void **state)
{
	(void)state;
	char *p = mem_alloc(100);
	assert_true(all_zero(p, 100));
	memset(p, 'x', 100);
	p = mem_grow(p, 100, 5000);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 'x');
	p = mem_grow(p, 5000, 10);
	assert_int_equal(p[9], 'x');
	mem_free(p);
	mem_free(mem_grow(NULL, 0, 10));
	mem_free(NULL);
	assert_int_equal(mem_size(0, SIZE_MAX), 0);
	assert_int_equal(mem_size(3, 5), 15);
}

/* ── running out ── */

static void out_alloc(void)
{
	mem_fail_at(3);
	mem_free(mem_alloc(1));
	mem_free(mem_alloc(1));
	mem_free(mem_alloc(1));
}

static void out_grow(void)
{
	mem_fail_at(2);
	void *p = mem_alloc(1);
	mem_free(mem_grow(p, 1, 2));
}

static void out_arena(void)
{
	struct arena a = ARENA_INIT;
	mem_fail_at(2);
	for (size_t i = 0; i < 100; i++)
		(void)arena_alloc(&a, 1000);
}

static void out_product(void)
{
	(void)mem_size(SIZE_MAX / 2, 3);
}

static void out_vast_alloc(void)
{
	mem_free(mem_alloc(SIZE_MAX));
}

static void out_vast_arena(void)
{
	struct arena a = ARENA_INIT;
	(void)arena_alloc(&a, SIZE_MAX - 3);
}

static void out_vast_copy(void)
{
	struct arena a = ARENA_INIT;
	(void)arena_copy(&a, (struct str){ "", SIZE_MAX });
}

static void exhaustion(void **state)
{
	(void)state;
	static void (*const cases[])(void) = { out_alloc,      out_grow,       out_arena,    out_product,
					       out_vast_alloc, out_vast_arena, out_vast_copy };
	for (size_t i = 0; i < COUNT(cases); i++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			dup2(ends[1], STDERR_FILENO);
			cases[i]();
			_exit(0);
		}
		close(ends[1]);
		char line[512] = "";
		size_t n = 0;
		for (ssize_t got; (got = read(ends[0], line + n, sizeof line - 1 - n)) > 0;)
			n += (size_t)got;
		close(ends[0]);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 7);
		assert_true(str_starts(str_from(line), STR("sluice: out of memory")));
		assert_int_equal(str_find_char(str_from(line), '\n'), n - 1);
	}
}

static void *allocate_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 1000; i++)
		mem_free(mem_alloc(1));
	return NULL;
}

/* Exactly the nth of all threads fails: 4000 allocations do not reach the 4001st, the next one does. */
static void counting_in_threads(void **state)
{
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		pthread_t threads[4];
		mem_fail_at(4001);
		for (size_t i = 0; i < COUNT(threads); i++)
			if (pthread_create(&threads[i], NULL, allocate_many, NULL) != 0)
				_exit(1);
		for (size_t i = 0; i < COUNT(threads); i++)
			pthread_join(threads[i], NULL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		mem_free(mem_alloc(1));
		_exit(3);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* A block of somebody else's goes with the arena, whatever comes before and after it. */
static void adopted(void **state)
{
	(void)state;
	for (int order = 0; order < 4; order++) {
		struct arena a = ARENA_INIT;
		for (int round = 0; round < 2; round++) {
			char *before = order & 1 ? arena_alloc(&a, 100) : NULL, *own = mem_alloc(1000);
			size_t used = a.used_bytes;
			memset(own, 7, 1000);
			arena_adopt(&a, own, 1000);
			arena_adopt(&a, NULL, 0);
			assert_int_equal(a.used_bytes, used + 1000);
			char *after = arena_alloc(&a, order & 2 ? 1 << 20 : 100);
			assert_true(all_zero(after, 100) && (!before || all_zero(before, 100)));
			assert_int_equal(own[999], 7);
			arena_reset(&a); /* the leak checker sees what stays */
		}
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adopted),
		cmocka_unit_test(places),     cmocka_unit_test(reset_zeroes), cmocka_unit_test(reset_keeps_a_block),
		cmocka_unit_test(copies),     cmocka_unit_test(lists),	      cmocka_unit_test(single),
		cmocka_unit_test(exhaustion), cmocka_unit_test(counting_in_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
