/* The store on a disk: order of fsyncs, failing system calls, links, kill -9. */
#include "store_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* ── the system calls, watched: these definitions stand before those of the C library ── */

static char calls[8192]; /* "f" fsync of a file, "d" of a folder, "l" link, "r" rename */
static size_t n_calls;
static int fail_file_sync, fail_folder_sync, fail_link, fail_rename; /* an errno, once; fail_link, fail_rename: always */
static int interrupt_syncs;

static void note(char c)
{
	if (n_calls + 1 < sizeof calls)
		calls[n_calls++] = c;
	calls[n_calls] = 0;
}

static void forget_calls(void)
{
	n_calls = 0;
	calls[0] = 0;
}

int fsync(int fd)
{
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	if (interrupt_syncs > 0) {
		interrupt_syncs--;
		errno = EINTR;
		return -1;
	}
	bool folder = S_ISDIR(st.st_mode);
	note(folder ? 'd' : 'f');
	int *fail = folder ? &fail_folder_sync : &fail_file_sync;
	if (*fail) {
		errno = *fail;
		*fail = 0;
		return -1;
	}
	return 0;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	note('l');
	if (fail_link) {
		errno = fail_link;
		return -1;
	}
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	note('r');
	if (fail_rename) {
		errno = fail_rename;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

static int fail_mkdir; /* an errno, always */

int mkdir(const char *path, mode_t mode)
{
	if (fail_mkdir) {
		errno = fail_mkdir;
		return -1;
	}
	return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

/* ── disk ── */

static void disk_open(struct world *w)
{
	fail_file_sync = fail_folder_sync = fail_link = fail_rename = interrupt_syncs = 0;
	world_open(w, true);
	forget_calls();
}

static void expect_calls(const char *want)
{
	assert_string_equal(calls, want);
	forget_calls();
}

static void order_of_syncs(void **state)
{
	(void)state;
	struct world w;
	enum store_created created;
	disk_open(&w);
	assert_true(store_create(w.s, STR("a/b/1"), STR("1"), &created, &w.e));
	expect_calls("fddld"); /* file; root for a, a for b; link; folder */
	assert_true(store_create(w.s, STR("a/b/2"), STR("1"), &created, &w.e));
	expect_calls("fld");
	assert_true(store_create(w.s, STR("a/b/2"), STR("1"), &created, &w.e));
	expect_calls("fl");
	assert_true(store_settle(w.s, STR("a/b/2"), &w.e));
	expect_calls("fd");
	assert_true(world_finish(&w, "a/b/3", "55"));
	expect_calls("fld");
	assert_true(world_finish(&w, "a/b/3", "55"));
	expect_calls("flfd"); /* somebody else's: settled */
	assert_true(store_make_folder(w.s, STR("a/c"), &w.e));
	expect_calls("d");
	assert_true(store_make_folder(w.s, STR("a/c"), &w.e));
	expect_calls("");
	struct store *second;
	assert_true(store_open_disk(w.root, true, &second, &w.e));
	forget_calls();
	assert_true(store_settle(second, STR("a/b/1"), &w.e));
	expect_calls("ddfd"); /* another process may have made the folders a moment ago */
	assert_true(store_settle(second, STR("a/b/2"), &w.e));
	expect_calls("fd");
	store_close(second);
	interrupt_syncs = 3;
	assert_true(store_create(w.s, STR("a/b/4"), STR("1"), &created, &w.e));
	expect_calls("fld");
	expect_no_temporaries(&w);
	world_close(&w);
}

static void root_is_made_durably(void **state)
{
	(void)state;
	struct world w;
	struct store *s;
	disk_open(&w);
	assert_true(store_open_disk(path_of(&w, "p/q/r/"), true, &s, &w.e));
	expect_calls("ddd");
	store_close(s);
	assert_false(store_open_disk(path_of(&w, "p/none"), false, &s, &w.e));
	assert_int_equal(w.e.code, ERR_MISSING);
	assert_true(file_write(path_of(&w, "file"), STR("x"), &w.e));
	assert_false(store_open_disk(path_of(&w, "file"), true, &s, &w.e));
	assert_int_equal(w.e.code, ERR_STORAGE);
	world_close(&w);
}

/* A lake that is to be made where nothing can be made: the disk is named, not a missing lake. */
static void root_cannot_be_made(void **state)
{
	(void)state;
	static const char *const below[] = { "/proc/sluice-lake", "/proc/sluice/lake/", "/sys/sluice-lake" };
	for (size_t i = 0; i < COUNT(below); i++) {
		struct err e = ERR_INIT;
		struct store *s;
		assert_false(store_open_disk(below[i], true, &s, &e));
		assert_int_equal(e.code, ERR_STORAGE);
		assert_non_null(strstr(e.message, "the folder cannot be made"));
	}
	struct world w;
	struct store *s;
	disk_open(&w);
	fail_mkdir = EROFS;
	assert_false(store_open_disk(path_of(&w, "p/q"), true, &s, &w.e));
	assert_int_equal(w.e.code, ERR_STORAGE);
	assert_int_equal(w.e.sys_errno, EROFS);
	assert_non_null(strstr(w.e.message, "/p: the folder cannot be made: Read-only file system"));
	fail_mkdir = EACCES;
	assert_false(store_open_disk(path_of(&w, "p"), true, &s, &w.e));
	assert_int_equal(w.e.sys_errno, EACCES);
	fail_mkdir = EROFS;
	assert_true(store_open_disk(w.root, true, &s, &w.e)); /* there already */
	store_close(s);
	fail_mkdir = 0;
	world_close(&w);
}

static void old_file(struct world *w, const char *name, int64_t age_s)
{
	char *path = path_of(w, name);
	struct timespec times[2] = { { .tv_sec = (time_t)(time(NULL) - age_s) }, { .tv_sec = (time_t)(time(NULL) - age_s) } };
	assert_true(file_write(path, STR("x"), &w->e));
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static size_t files_in(struct world *w, const char *folder)
{
	size_t n = 0;
	DIR *d = opendir(path_of(w, folder));
	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d));)
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

static void leftovers_are_swept(void **state)
{
	(void)state;
	enum { DAY_S = 24 * 3600 };
	struct world w;
	struct store *s;
	disk_open(&w);
	assert_int_equal(mkdir(path_of(&w, ".tmp"), 0777), 0);
	old_file(&w, ".tmp/1-0-0123456789abcdef", 8 * DAY_S);
	old_file(&w, ".tmp/2-0-0123456789abcdef", 6 * DAY_S);
	old_file(&w, "old-but-not-temporary", 800 * DAY_S);
	old_file(&w, ".tmp/4-1-0123456789abcdef", 0);
	old_file(&w, ".tmp/somebody-else-0123456789abcdef", 800 * DAY_S);
	old_file(&w, ".tmp/1-0-0123456789abcdef.txt", 800 * DAY_S);
	assert_int_equal(mkdir(path_of(&w, ".tmp/folder"), 0777), 0);
	assert_int_equal(symlink("../old-but-not-temporary", path_of(&w, ".tmp/link")), 0);
	assert_true(store_open_disk(w.root, false, &s, &w.e)); /* who only reads removes nothing */
	store_close(s);
	assert_int_equal(files_in(&w, ".tmp"), 7);
	assert_true(store_open_disk(w.root, true, &s, &w.e));
	store_close(s);
	assert_int_equal(files_in(&w, ".tmp"), 6);
	assert_int_equal(access(path_of(&w, ".tmp/1-0-0123456789abcdef"), F_OK), -1);
	assert_int_equal(access(path_of(&w, "old-but-not-temporary"), F_OK), 0);
	for (int i = 0; i < 1010; i++) {
		char name[64];
		assert_true(snprintf(name, sizeof name, ".tmp/%d-0-0123456789abcdef", i + 10) > 0);
		old_file(&w, name, 8 * DAY_S);
	}
	assert_true(store_open_disk(w.root, true, &s, &w.e));
	store_close(s);
	assert_int_equal(files_in(&w, ".tmp"), 16);
	assert_true(store_open_disk(w.root, true, &s, &w.e));
	store_close(s);
	assert_int_equal(files_in(&w, ".tmp"), 6);
	world_close(&w);
	/* .tmp may be a link that leads elsewhere: it is not followed. */
	disk_open(&w);
	assert_int_equal(mkdir(path_of(&w, "elsewhere"), 0777), 0);
	old_file(&w, "elsewhere/1-0-0123456789abcdef", 8 * DAY_S);
	assert_int_equal(symlink("elsewhere", path_of(&w, ".tmp")), 0);
	assert_true(store_open_disk(w.root, true, &s, &w.e));
	store_close(s);
	assert_int_equal(files_in(&w, "elsewhere"), 1);
	world_close(&w);
}

static void failed_syncs(void **state)
{
	(void)state;
	struct world w;
	enum store_created created;
	struct str got;
	disk_open(&w);
	/* Of the new file: nothing is visible, and another try writes it anew. */
	fail_file_sync = EIO;
	assert_false(store_create(w.s, STR("a/1"), STR("1"), &created, &w.e));
	assert_int_equal(w.e.code, ERR_STORAGE);
	assert_int_equal(w.e.sys_errno, EIO);
	expect_calls("f");
	assert_false(store_get(w.s, STR("a/1"), 10, &w.arena, &got, &w.e));
	assert_int_equal(w.e.code, ERR_MISSING);
	assert_true(store_create(w.s, STR("a/1"), STR("1"), &created, &w.e));
	assert_int_equal(created, STORE_CREATED);
	forget_calls();
	/* Of the folder: visible or not, nobody may believe it, now or later. */
	fail_folder_sync = EIO;
	assert_false(store_create(w.s, STR("a/2"), STR("1"), &created, &w.e));
	assert_int_equal(w.e.sys_errno, EIO);
	expect_calls("fld");
	assert_false(store_settle(w.s, STR("a/2"), &w.e));
	assert_int_equal(w.e.sys_errno, EIO);
	expect_calls("");
	assert_false(store_create(w.s, STR("a/3"), STR("1"), &created, &w.e));
	assert_false(store_make_folder(w.s, STR("z"), &w.e));
	assert_true(store_get(w.s, STR("a/1"), 10, &w.arena, &got, &w.e));
	assert_text(got, "1");
	expect_no_temporaries(&w);
	world_close(&w);
}

static void link_refused(void **state)
{
	(void)state;
	static const int refusals[] = { EPERM, EOPNOTSUPP, ENOSYS, EMLINK };
	struct world w;
	enum store_created created;
	struct str got;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		disk_open(&w);
		fail_link = refusals[i];
		assert_true(store_create(w.s, STR("1"), STR("one"), &created, &w.e));
		assert_int_equal(created, STORE_CREATED);
		expect_calls("flrd");
		assert_true(store_create(w.s, STR("1"), STR("two"), &created, &w.e));
		assert_int_equal(created, STORE_EXISTS);
		assert_true(store_get(w.s, STR("1"), 10, &w.arena, &got, &w.e));
		assert_text(got, "one");
		fail_rename = EINVAL;
		assert_false(store_create(w.s, STR("2"), STR("two"), &created, &w.e));
		assert_int_equal(w.e.code, ERR_STORAGE);
		assert_non_null(strstr(w.e.message, "renameat2"));
		fail_link = ENOSPC;
		assert_false(store_create(w.s, STR("2"), STR("two"), &created, &w.e));
		assert_int_equal(w.e.sys_errno, ENOSPC);
		expect_no_temporaries(&w);
		world_close(&w);
	}
}

static void links_and_strangers(void **state)
{
	(void)state;
	struct world w;
	enum store_created created;
	struct str got;
	char *path;
	struct store_listing list;
	disk_open(&w);
	assert_true(file_write(arena_zero_terminated(&w.arena, arena_format(&w.arena, "%s/secret", w.folder)),
			       STR("secret"), &w.e));
	assert_int_equal(symlink(w.folder, path_of(&w, "out")), 0);
	assert_int_equal(symlink("../../secret", path_of(&w, "file")), 0);
	assert_int_equal(mkfifo(path_of(&w, "pipe"), 0600), 0);
	assert_true(file_write(path_of(&w, "a b"), STR("stray"), &w.e));
	static const char *const bad[] = { "out/secret", "file", "pipe" };
	for (size_t i = 0; i < 3; i++) {
		struct str key = str_from(bad[i]);
		assert_false(store_get(w.s, key, 10, &w.arena, &got, &w.e));
		assert_int_equal(w.e.code, ERR_STORAGE);
		assert_false(store_settle(w.s, key, &w.e));
		assert_int_equal(w.e.code, ERR_STORAGE);
		if (i < 2) {
			assert_false(store_path(w.s, key, &w.arena, &path, &w.e));
			assert_int_equal(w.e.sys_errno == ELOOP || w.e.sys_errno == ENOTDIR, true);
		}
	}
	assert_false(store_create(w.s, STR("out/new"), STR("x"), &created, &w.e));
	assert_false(store_remove(w.s, STR("out/secret"), &w.e));
	assert_true(store_create(w.s, STR("file"), STR("x"), &created, &w.e));
	assert_int_equal(created, STORE_EXISTS);
	assert_true(store_list(w.s, STR_NONE, &w.arena, &list, &w.e));
	assert_int_equal(list.n, 0);
	assert_true(store_list_names(w.s, STR_NONE, &w.arena, &list, &w.e));
	assert_int_equal(list.n, 0);
	assert_true(store_path(w.s, STR("x/y"), &w.arena, &path, &w.e));
	assert_int_equal(path[0], '/');
	assert_non_null(strstr(path, "/a/lake/x/y"));
	world_close(&w);
}

static void folder_removed_meanwhile(void **state)
{
	(void)state;
	struct world w;
	enum store_created created;
	disk_open(&w);
	assert_true(store_create(w.s, STR("a/b/1"), STR("1"), &created, &w.e));
	assert_true(file_remove_tree(path_of(&w, "a"), &w.e));
	assert_true(file_remove_tree(path_of(&w, ".tmp"), &w.e));
	forget_calls();
	assert_true(store_create(w.s, STR("a/b/1"), STR("1"), &created, &w.e));
	assert_int_equal(created, STORE_CREATED);
	expect_calls("fddld");
	world_close(&w);
}

static void large_writer(void **state)
{
	(void)state;
	struct world w;
	struct str got;
	disk_open(&w);
	enum { N = 3000000 };
	char *bytes = malloc(N);
	for (size_t i = 0; i < N; i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
	for (int round = 0; round < 3; round++) {
		struct store_writer *writer;
		assert_true(store_writer_open(w.s, &writer, &w.e));
		size_t piece = 1;
		for (size_t at = 0; at < N; at += piece, piece = (piece * 7 + 3) % 700001)
			assert_true(store_writer_add(writer, str_sub((struct str){ bytes, N }, at, piece), &w.e));
		if (round == 1) { /* the same again, but for one byte at the end */
			store_writer_abort(writer);
			assert_true(store_writer_open(w.s, &writer, &w.e));
			assert_true(store_writer_add(writer, (struct str){ bytes, N - 1 }, &w.e));
			assert_true(store_writer_add(writer, STR("\x01"), &w.e));
			bytes[N - 1] = bytes[N - 1] == 1 ? 2 : bytes[N - 1];
			assert_false(store_writer_finish(writer, STR("big"), &w.e));
			assert_int_equal(w.e.sys_errno, EEXIST);
			continue;
		}
		assert_true(store_writer_finish(writer, STR("big"), &w.e));
	}
	assert_true(store_get(w.s, STR("big"), N, &w.arena, &got, &w.e));
	assert_int_equal(got.n, N);
	assert_memory_equal(got.p, bytes, N);
	free(bytes);
	expect_no_temporaries(&w);
	world_close(&w);
}

static void disk_full(void **state)
{
	(void)state;
	struct world w;
	enum store_created created;
	static char bytes[200000];
	disk_open(&w);
	struct rlimit kept, limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
	limit = kept;
	limit.rlim_cur = 100000;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	bool ok = store_create(w.s, STR("full"), (struct str){ bytes, sizeof bytes }, &created, &w.e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &kept), 0);
	assert_false(ok);
	assert_int_equal(w.e.code, ERR_STORAGE);
	assert_int_equal(w.e.sys_errno, EFBIG);
	assert_non_null(strstr(w.e.message, "full"));
	expect_no_temporaries(&w);
	world_close(&w);
}

/* ── kill -9 ── */

/* Killed after any number of answers: what was answered is there, and whatever is there is whole. */
static void killed_at_any_moment(void **state)
{
	(void)state;
	for (int rounds = 1; rounds <= 12; rounds++) {
		struct world w;
		int answers[2];
		disk_open(&w);
		assert_int_equal(pipe(answers), 0);
		pid_t pid = fork();
		if (pid == 0) {
			static char bytes[5000];
			memset(bytes, 'x', sizeof bytes);
			for (int i = 0;; i++) {
				char key[32];
				snprintf(key, sizeof key, "k/%d/%06d", i % 3, i);
				enum store_created created = STORE_UNKNOWN;
				struct err e = ERR_INIT;
				if (!store_create(w.s, str_from(key), (struct str){ bytes, sizeof bytes }, &created, &e) ||
				    created != STORE_CREATED || write(answers[1], "", 1) != 1)
					_exit(1);
			}
		}
		close(answers[1]);
		char c;
		for (int i = 0; i < rounds * 3; i++)
			assert_int_equal(read(answers[0], &c, 1), 1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		int answered = rounds * 3, there = 0;
		while (read(answers[0], &c, 1) == 1)
			answered++;
		close(answers[0]);
		for (int f = 0; f < 3; f++) {
			struct store_listing list;
			struct str folder = arena_format(&w.arena, "k/%d", f);
			assert_true(store_list(w.s, folder, &w.arena, &list, &w.e));
			for (size_t i = 0; i < list.n; i++, there++)
				assert_int_equal(list.v[i].size_bytes, 5000);
		}
		assert_true(there == answered || there == answered + 1);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_syncs),
		cmocka_unit_test(root_is_made_durably),
		cmocka_unit_test(root_cannot_be_made),
		cmocka_unit_test(leftovers_are_swept),
		cmocka_unit_test(failed_syncs),
		cmocka_unit_test(link_refused),
		cmocka_unit_test(links_and_strangers),
		cmocka_unit_test(folder_removed_meanwhile),
		cmocka_unit_test(large_writer),
		cmocka_unit_test(disk_full),
		cmocka_unit_test(killed_at_any_moment),
	};
	return cmocka_run_group_tests_name("driver/store_disk", tests, NULL, NULL);
}
