/* A lake that is only read: everything is seen, and each call that would change it ends the process. */
#include "store_world.h"

#include "driver/store_open.h"
#include "driver/store_reader.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static void reader_over(struct world *w)
{
	enum store_created created;
	world_open(w, true);
	assert_true(store_create(w->s, STR("a/b"), STR("bytes"), &created, &w->e));
	store_close(w->s);
	assert_true(store_open(str_from(w->root), &(struct store_settings){ 0 }, false, &w->s, &w->e));
	assert_true(store_open_reader(w->s, &w->s, &w->e));
}

static void test_it_reads(void **state)
{
	struct world w;
	struct str got;
	struct store_listing list;
	uint64_t size = 0;
	char two[2], *path;
	(void)state;
	reader_over(&w);
	assert_true(store_get(w.s, STR("a/b"), 10, &w.arena, &got, &w.e));
	assert_text(got, "bytes");
	assert_true(store_read_at(w.s, STR("a/b"), 3, two, 2, &w.e) && memcmp(two, "es", 2) == 0);
	assert_true(store_size(w.s, STR("a/b"), &size, &w.e) && size == 5);
	assert_true(store_list(w.s, STR("a"), &w.arena, &list, &w.e) && list.n == 1 && list.v[0].size_bytes == 5);
	assert_true(store_list_names(w.s, STR("a"), &w.arena, &list, &w.e) && list.n == 1);
	assert_true(store_path(w.s, STR("a/b"), &w.arena, &path, &w.e));
	assert_true(store_settle(w.s, STR("a/b"), &w.e)); /* which is not its business */
	assert_true(store_settle(w.s, STR("not/there"), &w.e));
	assert_false(store_get(w.s, STR("a/c"), 10, &w.arena, &got, &w.e));
	assert_int_equal(w.e.code, ERR_MISSING);
	world_close(&w);
}

static void write_create(struct store *s, struct err *e)
{
	enum store_created created;
	store_create(s, STR("a/new"), STR("x"), &created, e);
}
static void write_remove(struct store *s, struct err *e)
{
	store_remove(s, STR("a/b"), e);
}
static void write_remove_folder(struct store *s, struct err *e)
{
	store_remove_folder(s, STR("a"), e);
}
static void write_sweep(struct store *s, struct err *e)
{
	uint64_t n, bytes;
	store_sweep(s, 0, false, &n, &bytes, e);
}
static void write_writer(struct store *s, struct err *e)
{
	struct store_writer *w;
	store_writer_open(s, &w, e);
}
static void write_make_folder(struct store *s, struct err *e)
{
	store_make_folder(s, STR("c"), e);
}

static void test_it_does_not_write(void **state)
{
	static void (*const calls[])(struct store *, struct err *) = { write_create, write_remove,  write_remove_folder,
								       write_sweep,  write_writer, write_make_folder };
	struct world w;
	(void)state;
	reader_over(&w);
	for (size_t i = 0; i < COUNT(calls); i++) {
		int status = 0;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			int quiet = open("/dev/null", O_WRONLY);
			dup2(quiet, STDERR_FILENO);
			signal(SIGABRT, SIG_DFL);
			calls[i](w.s, &w.e);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	}
	assert_true(file_exists(path_of(&w, "a/b")));
	assert_false(file_exists(path_of(&w, "a/new")) || file_exists(path_of(&w, "c")));
	world_close(&w);
}

static void test_names_of_lakes(void **state)
{
	static const struct {
		const char *name;
		enum err_code code;
	} bad[] = { { "ftp://x/y", ERR_USAGE }, { "disk://", ERR_MISSING }, { "disk:///not/there", ERR_MISSING }, { "/not/there", ERR_MISSING } };
	struct world w;
	struct store *s;
	(void)state;
	world_open(&w, true);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = ERR_INIT;
		assert_false(store_open(str_from(bad[i].name), &(struct store_settings){ 0 }, false, &s, &e));
		assert_int_equal(e.code, bad[i].code);
	}
	assert_true(store_open(arena_format(&w.arena, "disk://%s", w.root), &(struct store_settings){ 0 }, false, &s, &w.e));
	assert_false(s->abilities & STORE_CAN_PATH);
	store_close(s);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_reads),
		cmocka_unit_test(test_it_does_not_write),
		cmocka_unit_test(test_names_of_lakes),
	};
	return cmocka_run_group_tests_name("store_reader", tests, NULL, NULL);
}
