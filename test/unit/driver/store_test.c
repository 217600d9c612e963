/* The stores on a disk and in memory. What only a disk can do wrong is in store_disk_test.c. */
#include "store_cases.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

static void open_disk(struct world *w, size_t number)
{
	(void)number;
	world_open(w, true);
}

static void open_memory(struct world *w, size_t number)
{
	(void)number;
	world_open(w, false);
}

static void table_disk(void **state)
{
	(void)state;
	run_cases(true, open_disk);
}

static void table_memory(void **state)
{
	(void)state;
	run_cases(true, open_memory);
}

static void keys(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		bool ok;
	} table[] = {
		{ "a", true }, { "a/b=c/D_e-1.2", true }, { "...", true }, { "a/.tmp", true }, { ".tmpx", true },
		{ "", false }, { "/", false }, { "/a", false }, { "a/", false }, { "a//b", false }, { ".", false },
		{ "..", false }, { "a/../b", false }, { "a/.", false }, { ".tmp", false }, { ".tmp/x", false },
		{ "a b", false }, { "a\n", false }, { "a\\b", false }, { "\xc3\xa9", false }, { "a%2fb", false },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (store_key_ok(str_from(table[i].key)) != table[i].ok)
			fail_msg("key '%s'", table[i].key);
	char text[1025];
	memset(text, 'k', sizeof text);
	for (size_t i = 200; i < sizeof text; i += 200)
		text[i] = '/';
	assert_true(store_key_ok((struct str){ text, 1024 }));
	assert_false(store_key_ok((struct str){ text, 1025 }));
	memset(text, 'k', sizeof text);
	assert_true(store_key_ok((struct str){ text, 255 }));
	assert_false(store_key_ok((struct str){ text, 256 }));
	assert_false(store_key_ok((struct str){ "a\0b", 3 }));
}

static void bad_key_stops_us(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, true);
	pid_t pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO);
		struct str got;
		signal(SIGABRT, SIG_DFL);
		_exit(store_get(w.s, STR("../../etc/passwd"), 10, &w.arena, &got, &w.e) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	world_close(&w);
}

/* ── memory ── */

static void memory_faults(void **state)
{
	(void)state;
	struct world w;
	enum store_created created = STORE_EXISTS;
	struct str got;
	world_open(&w, false);
	store_memory_fail(w.s, 2, STORE_FAULT_LOST_ANSWER);
	assert_true(store_create(w.s, STR("a"), STR("1"), &created, &w.e));
	assert_int_equal(created, STORE_CREATED);
	assert_true(store_create(w.s, STR("b"), STR("2"), &created, &w.e));
	assert_int_equal(created, STORE_UNKNOWN);
	assert_true(store_get(w.s, STR("b"), 10, &w.arena, &got, &w.e));
	assert_true(store_create(w.s, STR("c"), STR("3"), &created, &w.e));
	assert_int_equal(created, STORE_CREATED);
	store_memory_fail(w.s, 1, STORE_FAULT_REFUSE);
	assert_true(store_get(w.s, STR("b"), 10, &w.arena, &got, &w.e)); /* no effect, not counted */
	assert_false(store_create(w.s, STR("d"), STR("4"), &created, &w.e));
	assert_int_equal(w.e.code, ERR_STORAGE);
	assert_true(store_create(w.s, STR("d"), STR("4"), &created, &w.e));
	assert_int_equal(created, STORE_CREATED);
	store_memory_fail(w.s, 1, STORE_FAULT_REFUSE);
	assert_false(store_settle(w.s, STR("d"), &w.e));
	store_memory_fail(w.s, 1, STORE_FAULT_LOST_ANSWER);
	assert_false(world_finish(&w, "e", "55"));
	assert_true(world_finish(&w, "e", "55"));
	store_memory_fail(w.s, 1, STORE_FAULT_LOST_ANSWER);
	assert_false(store_remove(w.s, STR("e"), &w.e));
	assert_false(store_get(w.s, STR("e"), 10, &w.arena, &got, &w.e));
	assert_int_equal(w.e.code, ERR_MISSING);
	store_memory_fail(w.s, 1, STORE_FAULT_REFUSE);
	store_memory_fail(w.s, 0, STORE_FAULT_REFUSE);
	assert_true(store_remove(w.s, STR("a"), &w.e));
	world_close(&w);
}

/* ── threads ── */

static void one_winner(void **state)
{
	(void)state;
	for (int disk = 0; disk < 2; disk++) {
		struct world w;
		world_open(&w, disk);
		assert_one_winner(w.s, 100);
		if (disk)
			expect_no_temporaries(&w);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_disk),
		cmocka_unit_test(table_memory),
		cmocka_unit_test(keys),
		cmocka_unit_test(bad_key_stops_us),
		cmocka_unit_test(memory_faults),
		cmocka_unit_test(one_winner),
	};
	return cmocka_run_group_tests_name("driver/store", tests, NULL, NULL);
}
