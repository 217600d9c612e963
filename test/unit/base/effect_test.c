/* Effects are counted and fail as asked. The program starts itself again, since the variables are read before main. */
#include "unit.h"

#include "base/effect.h"
#include "base/file.h"

#include <string.h>

#ifndef SLUICE_EFFECTS

static void t_not_built_in(void **state)
{
	(void)state;
	assert_false(EFFECT_REFUSED(http, send));
	print_message("skip: built without SLUICE_EFFECTS\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(t_not_built_in) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/sluice-effect-XXXXXX";

static const char *in_folder(const char *name)
{
	static char paths[8][128];
	static unsigned at;
	char *path = paths[at++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

/* What the child does: six effects, and what each answered as one letter. */
static int child_main(const char *where)
{
	char answers[8] = "", path[160], linked[160];
	snprintf(path, sizeof path, "%s/a", where);
	snprintf(linked, sizeof linked, "%s/b", where);
	int fd = sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	answers[0] = fd >= 0 ? 'o' : errno == EMFILE ? 'm' : 'e';
	ssize_t n = sys_write(fd >= 0 ? fd : 2, "abcd", fd >= 0 ? 4 : 0);
	answers[1] = n == 4 ? 'o' : n == 2 ? 's' : n == 0 ? 'z' : errno == ENOSPC ? 'f' : 'e';
	answers[2] = sys_fsync(fd) == 0 ? 'o' : errno == EIO ? 'i' : 'e';
	answers[3] = sys_linkat(AT_FDCWD, path, AT_FDCWD, linked, 0) == 0 ? 'o' : errno == EIO ? 'i' : 'e';
	answers[4] = access(linked, F_OK) == 0 ? 'y' : 'n';
	answers[5] = sys_unlink(path) == 0 ? 'o' : errno == EIO ? 'i' : 'e';
	dprintf(3, "%s", answers);
	return 0;
}

static char answered[16];
static int status;

/* What the child answered with SLUICE_FAIL=`fail`; its effects are counted in <folder>/count. */
static const char *with(const char *fail, int *exit_status)
{
	int pipe_fds[2];
	unlink(in_folder("a"));
	unlink(in_folder("b"));
	unlink(in_folder("count"));
	assert_int_equal(pipe(pipe_fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char *argv[] = { (char *)(uintptr_t) "effect_test", (char *)(uintptr_t) "child", folder, NULL };
		setenv("SLUICE_FAIL", fail, 1);
		setenv("SLUICE_EFFECTS", in_folder("count"), 1);
		dup2(pipe_fds[1], 3);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(pipe_fds[1]);
	ssize_t n = read(pipe_fds[0], answered, sizeof answered - 1);
	answered[n > 0 ? n : 0] = 0;
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return answered;
}

static void counted(uint64_t count, uint64_t failed)
{
	struct effect_file *f = malloc(sizeof *f);
	int fd = open(in_folder("count"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, f, sizeof *f), sizeof *f);
	close(fd);
	assert_int_equal(f->count, count);
	assert_int_equal(f->failed, failed);
	assert_true(f->n_sites >= 5 && f->n_sites < EFFECT_SITES_MAX);
	assert_true(f->log[0] < f->n_sites);
	assert_non_null(strstr(f->sites[f->log[0]].text, "effect_test.c"));
	assert_non_null(strstr(f->sites[f->log[0]].text, " open open"));
	free(f);
}

static void t_fails_as_asked(void **state)
{
	static const struct {
		const char *fail, *answers;
		uint64_t failed;
	} cases[] = {
		{ "", "ooooyo", 0 },
		{ "99", "ooooyo", 0 },
		{ "1", "mzeene", 1 }, /* nothing was opened: what follows fails by itself */
		{ "2", "ofooyo", 1 },
		{ "2:short", "osooyo", 1 },
		{ "2:EINTR", "oeooyo", 1 },
		{ "3", "ooioyo", 1 },
		{ "4", "oooino", 1 },
		{ "4:lost", "oooiyo", 1 }, /* it is there all the same */
		{ "5", "ooooyi", 1 },
		{ "2+", "ofiini", 4 },
		{ "1+@link,sync", "ooiino", 2 },
		{ "3:ENOSPC@link", "ooooyo", 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int ended;
		print_message("SLUICE_FAIL=%s\n", cases[i].fail);
		assert_string_equal(with(cases[i].fail, &ended), cases[i].answers);
		assert_int_equal(ended, 0);
		counted(5, cases[i].failed);
	}
}

static void t_refuses_what_it_does_not_know(void **state)
{
	static const char *const cases[] = { "x", "0", "3-", "3:", "3:ENOTHING", "3@", "3@disk", "3+:lost@link,", "3 " };
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int ended;
		with(cases[i], &ended);
		assert_int_equal(ended, strcmp(cases[i], "3+:lost@link,") == 0 ? 0 : 2);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return child_main(argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_fails_as_asked),
		cmocka_unit_test(t_refuses_what_it_does_not_know),
	};
	struct err e = ERR_INIT;
	if (!mkdtemp(folder))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return file_remove_tree(folder, &e) ? failed : 1;
}
#endif
