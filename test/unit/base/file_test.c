#include "unit.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena memory;
static char *scratch;

static int set_up(void **state)
{
	(void)state;
	struct err e;
	if (file_make_scratch(NULL, &memory, &scratch, &e))
		return 0;
	fprintf(stderr, "%s\n", e.message);
	return 1;
}

static int tear_down(void **state)
{
	(void)state;
	struct err e;
	bool ok = file_remove_tree(scratch, &e) && !file_exists(scratch);
	arena_free(&memory);
	return ok ? 0 : 1;
}

static const char *in_scratch(const char *name)
{
	return arena_format(&memory, "%s/%s", scratch, name).p;
}

static void must(bool ok, const struct err *e)
{
	if (!ok)
		fail_msg("%s", e->message);
}

static size_t entries(const char *folder)
{
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	size_t n = 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void scratch_is_private(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct stat st;
	char *inner;
	must(file_make_scratch(scratch, &memory, &inner, &e), &e);
	assert_true(str_starts(str_from(inner), str_from(in_scratch("sluice-"))));
	assert_int_equal(stat(inner, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_false(file_make_scratch(in_scratch("nowhere"), &memory, &inner, &e));
	assert_int_equal(e.code, ERR_STORAGE);
	assert_int_equal(e.sys_errno, ENOENT);
}

static void round_trip(void **state)
{
	(void)state;
	const char *folder = in_scratch("round"), *path = in_scratch("round/file");
	struct err e = ERR_INIT;
	must(file_make_dirs(folder, &e), &e);
	static const size_t sizes[] = { 0, 1, 4095, 4096, 65536, 65537, 300000 };
	char *bytes = arena_alloc(&memory, 300000);
	for (size_t i = 0; i < 300000; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct str want = { bytes, sizes[i] }, got;
		must(file_write(path, want, &e), &e);
		must(file_read(path, sizes[i], &memory, &got, &e), &e); /* the maximum is just enough */
		assert_true(str_eq(got, want));
		assert_int_equal(got.p[got.n], '\0');
		must(file_read(path, 1 << 30, &memory, &got, &e), &e);
		assert_true(str_eq(got, want));
		if (sizes[i] == 0)
			continue;
		struct err too = ERR_INIT;
		assert_false(file_read(path, sizes[i] - 1, &memory, &got, &too));
		assert_int_equal(too.code, ERR_TOO_LARGE);
		assert_true(str_contains(str_from(too.message), str_from(path)));
	}
	assert_int_equal(entries(folder), 1);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(e.code, ERR_NONE); /* success does not touch it */
}

/* Files whose size says nothing: a pipe that fills over several reads, and /proc. */
static void sizes_that_lie(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct str got;
	must(file_read("/proc/self/status", 1 << 20, &memory, &got, &e), &e);
	assert_true(got.n > 0);
	assert_false(file_read("/proc/self/status", 10, &memory, &got, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_false(file_read("/dev/zero", 1 << 20, &memory, &got, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
}

static void reading_fails(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct str got;
	must(file_write(in_scratch("plain"), STR("x"), &e), &e);
	const struct {
		const char *path;
		enum err_code code;
		int sys_errno;
	} cases[] = {
		{ in_scratch("missing"), ERR_MISSING, ENOENT },
		{ in_scratch("missing/deep"), ERR_MISSING, ENOENT },
		{ in_scratch("plain/deep"), ERR_MISSING, ENOTDIR },
		{ scratch, ERR_STORAGE, EISDIR },
		{ "", ERR_MISSING, ENOENT },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_false(file_read(cases[i].path, 100, &memory, &got, &e));
		assert_int_equal(e.code, cases[i].code);
		assert_int_equal(e.sys_errno, cases[i].sys_errno);
		assert_true(str_contains(str_from(e.message), str_from(cases[i].path)));
	}
}

static void writing(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct str got;
	const char *folder = in_scratch("writing");
	must(file_make_dirs(folder, &e), &e);
	/* The longest name there can be. */
	char name[256];
	memset(name, 'n', 255);
	name[255] = '\0';
	const char *path = arena_format(&memory, "%s/%s", folder, name).p;
	must(file_write(path, STR("first"), &e), &e);
	must(file_write(path, STR("second"), &e), &e);
	must(file_read(path, 100, &memory, &got, &e), &e);
	assert_text(got, "second");
	/* A link is replaced; what it points to stays. */
	const char *link = in_scratch("writing/link");
	assert_int_equal(symlink(path, link), 0);
	must(file_write(link, STR("third"), &e), &e);
	must(file_read(path, 100, &memory, &got, &e), &e);
	assert_text(got, "second");
	must(file_read(link, 100, &memory, &got, &e), &e);
	assert_text(got, "third");
	/* Refused: nothing is left behind. */
	must(file_make_dirs(in_scratch("writing/folder"), &e), &e);
	assert_false(file_write(in_scratch("writing/folder"), STR("x"), &e));
	assert_int_equal(e.code, ERR_STORAGE);
	assert_false(file_write(in_scratch("writing/none/file"), STR("x"), &e));
	assert_int_equal(e.code, ERR_STORAGE);
	assert_int_equal(entries(folder), 3);
	char *vast = arena_alloc(&memory, 10000);
	memset(vast, 'a', 9999);
	assert_false(file_write(vast, STR("x"), &e));
	assert_int_equal(e.sys_errno, ENAMETOOLONG);
	assert_false(file_make_dirs(vast, &e));
	assert_int_equal(e.sys_errno, ENAMETOOLONG);
	/* A name without a folder. */
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chdir(folder), 0);
	bool written = file_write("bare", STR("bare"), &e), read = file_read("bare", 9, &memory, &got, &e);
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_true(written && read);
	assert_true(file_exists(in_scratch("writing/bare")));
}

static void folders(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	static const char *const made[] = { "d/e/f", "d/e/f", "d//g///h", "d/i/", "d/./j", "d/e/../k" };
	static const char *const there[] = { "d/e/f", "d/e", "d/g/h", "d/i", "d/j", "d/k" };
	for (size_t i = 0; i < COUNT(made); i++) {
		must(file_make_dirs(in_scratch(made[i]), &e), &e);
		struct stat st;
		assert_int_equal(stat(in_scratch(there[i]), &st), 0);
		assert_true(S_ISDIR(st.st_mode));
	}
	must(file_make_dirs("/", &e), &e);
	assert_int_equal(symlink(in_scratch("d"), in_scratch("to-d")), 0);
	must(file_make_dirs(in_scratch("to-d/l"), &e), &e);
	assert_true(file_exists(in_scratch("d/l")));
	must(file_write(in_scratch("d/file"), STR("x"), &e), &e);
	assert_false(file_make_dirs(in_scratch("d/file"), &e));
	assert_int_equal(e.code, ERR_STORAGE);
	assert_int_equal(e.sys_errno, ENOTDIR);
	assert_false(file_make_dirs(in_scratch("d/file/deep"), &e));
	assert_int_equal(e.sys_errno, ENOTDIR);
	assert_false(file_make_dirs("", &e));
	assert_int_equal(e.sys_errno, ENOENT);
}

static void removing(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	must(file_remove_tree(in_scratch("never"), &e), &e);
	must(file_remove_tree(in_scratch("never/was"), &e), &e);
	must(file_write(in_scratch("kept"), STR("x"), &e), &e);
	must(file_remove_tree(in_scratch("kept/was"), &e), &e);
	must(file_make_dirs(in_scratch("outside/inner"), &e), &e);
	must(file_write(in_scratch("outside/inner/file"), STR("x"), &e), &e);
	must(file_make_dirs(in_scratch("tree/a/b/c"), &e), &e);
	must(file_make_dirs(in_scratch("tree/empty"), &e), &e);
	for (int i = 0; i < 1000; i++)
		must(file_write(in_scratch(arena_format(&memory, "tree/a/b/%d", i).p), STR("x"), &e), &e);
	/* Links inside, to a folder and to a file, and as the tree itself. */
	assert_int_equal(symlink(in_scratch("outside"), in_scratch("tree/a/link")), 0);
	assert_int_equal(symlink(in_scratch("kept"), in_scratch("tree/file-link")), 0);
	assert_int_equal(symlink("nowhere", in_scratch("tree/dangling")), 0);
	assert_int_equal(symlink(in_scratch("outside"), in_scratch("link")), 0);
	must(file_remove_tree(in_scratch("tree"), &e), &e);
	assert_false(file_exists(in_scratch("tree")));
	must(file_remove_tree(in_scratch("link"), &e), &e);
	struct stat st;
	assert_int_equal(lstat(in_scratch("link"), &st), -1);
	assert_true(file_exists(in_scratch("outside/inner/file")));
	assert_true(file_exists(in_scratch("kept")));
	must(file_remove_tree(in_scratch("kept"), &e), &e);
	assert_false(file_exists(in_scratch("kept")));
}

static void depth_is_limited(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char path[700] = "deep";
	for (size_t n = 4; n < 4 + 2 * 200; n += 2)
		memcpy(path + n, "/x", 3);
	must(file_make_dirs(in_scratch(path), &e), &e);
	assert_false(file_remove_tree(in_scratch("deep"), &e));
	assert_int_equal(e.code, ERR_STORAGE);
	path[4 + 2 * 100] = '\0'; /* in two parts it goes */
	must(file_remove_tree(in_scratch(path), &e), &e);
	must(file_remove_tree(in_scratch("deep"), &e), &e);
	assert_false(file_exists(in_scratch("deep")));
}

static void descriptors(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	int fd = open(in_scratch("fd"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	must(file_write_all(fd, "0123456789", 10, &e), &e);
	must(file_write_all(fd, NULL, 0, &e), &e);
	char got[11] = "";
	must(file_read_at(fd, got, 10, 0, &e), &e);
	assert_string_equal(got, "0123456789");
	must(file_read_at(fd, got, 3, 7, &e), &e);
	assert_memory_equal(got, "789", 3);
	must(file_read_at(fd, got, 0, 10, &e), &e);
	assert_false(file_read_at(fd, got, 4, 7, &e));
	assert_int_equal(e.code, ERR_DAMAGE);
	static const uint64_t offsets[] = { 10, 1000, INT64_MAX, UINT64_MAX };
	for (size_t i = 0; i < COUNT(offsets); i++) {
		e = ERR_INIT;
		assert_false(file_read_at(fd, got, 1, offsets[i], &e));
		assert_int_equal(e.code, ERR_DAMAGE);
	}
	close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_false(file_write_all(fd, "x", 1, &e));
	assert_int_equal(e.code, ERR_STORAGE);
	assert_int_equal(e.sys_errno, ENOSPC);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scratch_is_private), cmocka_unit_test(round_trip), cmocka_unit_test(sizes_that_lie),
		cmocka_unit_test(reading_fails),      cmocka_unit_test(writing),    cmocka_unit_test(folders),
		cmocka_unit_test(removing),	      cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(descriptors),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
