#include "unit.h"

#include "base/file.h"
#include "base/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct arena memory;
static char *folder;

static int set_up(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	return file_make_scratch(NULL, &memory, &folder, &e) && setenv("TMPDIR", folder, 1) == 0 ? 0 : 1;
}

static int tear_down(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	bool ok = file_remove_tree(folder, &e);
	arena_free(&memory);
	return ok ? 0 : 1;
}

static struct scratch open_one(void)
{
	struct scratch s = { NULL, -1 };
	struct err e = ERR_INIT;
	if (!scratch_open(&memory, &s, &e))
		fail_msg("%s", e.message);
	return s;
}

static void make_old(const char *path)
{
	struct timespec then[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

/* As a process that was killed leaves it: with something in it, and nobody who holds it. */
static char *left_behind(void)
{
	struct scratch s = open_one();
	struct err e = ERR_INIT;
	assert_true(file_write(arena_format(&memory, "%s/spill", s.path).p, STR("rows"), &e));
	close(s.lock_fd);
	return s.path;
}

static void private_and_removed(void **state)
{
	(void)state;
	struct stat st;
	struct scratch s = open_one();
	char *path = s.path;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	scratch_close(&s);
	assert_false(file_exists(path));
	assert_null(s.path);
	scratch_close(&s); /* once more is fine */
}

static void those_of_the_dead_go(void **state)
{
	(void)state;
	char *old = left_behind(), *young = left_behind();
	make_old(old);
	struct scratch s = open_one();
	assert_false(file_exists(old));
	assert_true(file_exists(young));
	make_old(young);
	scratch_close(&s);
	s = open_one();
	assert_false(file_exists(young));
	scratch_close(&s);
}

static void those_of_the_living_stay(void **state)
{
	(void)state;
	struct scratch ours = open_one();
	make_old(ours.path);
	pid_t other = fork(); /* the lock is of the open folder, so it takes a process that did not inherit it */
	if (other == 0) {
		close(ours.lock_fd);
		struct scratch s = open_one();
		scratch_close(&s);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	assert_true(file_exists(ours.path));
	scratch_close(&ours);
}

static void what_is_not_ours_stays(void **state)
{
	(void)state;
	static const char *const names[] = { "sluice-AbCdEf", "other", "sluice-job" };
	struct err e = ERR_INIT;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *path = arena_format(&memory, "%s/%s", folder, names[i]).p;
		assert_true(file_make_dirs(path, &e));
		make_old(path);
	}
	const char *link = arena_format(&memory, "%s/sluice-job-link", folder).p;
	assert_int_equal(symlink(folder, link), 0);
	struct timespec then[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	assert_int_equal(utimensat(AT_FDCWD, link, then, AT_SYMLINK_NOFOLLOW), 0);
	struct scratch s = open_one();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_true(file_exists(arena_format(&memory, "%s/%s", folder, names[i]).p));
	assert_true(file_exists(link));
	scratch_close(&s);
}

static void nowhere_to_make_it(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct scratch s = { NULL, -1 };
	assert_int_equal(setenv("TMPDIR", arena_format(&memory, "%s/nowhere", folder).p, 1), 0);
	assert_false(scratch_open(&memory, &s, &e));
	assert_int_equal(e.code, ERR_STORAGE);
	assert_non_null(strstr(e.message, "nowhere"));
	assert_int_equal(setenv("TMPDIR", folder, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_and_removed),
		cmocka_unit_test(those_of_the_dead_go),
		cmocka_unit_test(those_of_the_living_stay),
		cmocka_unit_test(what_is_not_ours_stays),
		cmocka_unit_test(nowhere_to_make_it),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
