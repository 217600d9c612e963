/* Children are small shell scripts: $1 is the place of the result. */
#include "unit.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "driver/child.h"

#include <errno.h>
#include <pthread.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
	struct arena arena;
	char *folder, *result_path;
	struct buf lines;
	struct err e;
	volatile int stop;
	int stop_with; /* set as `stop` at the first line */
};

static void world_open(struct world *w)
{
	*w = (struct world){ .e = ERR_INIT, .lines = BUF_INIT(1 << 20) };
	assert_true(file_make_scratch(NULL, &w->arena, &w->folder, &w->e));
	w->result_path = arena_zero_terminated(&w->arena, arena_format(&w->arena, "%s/result.json", w->folder));
}

static void world_close(struct world *w)
{
	assert_true(file_remove_tree(w->folder, &w->e));
	buf_free(&w->lines);
	arena_free(&w->arena);
}

static void on_line(void *user, struct str line)
{
	struct world *w = user;
	buf_addf(&w->lines, "%.*s;", STR_ARG(str_sub(line, 0, 40)));
	w->stop = w->stop_with;
}

static bool run(struct world *w, const char *script, struct str *result, uint64_t *rss)
{
	const char *const argv[] = { "/bin/sh", "-c", script, "sh", w->result_path, NULL };
	struct child_options o = { .argv = argv, .result_path = w->result_path, .max_result_bytes = 1000,
				   .progress = on_line, .user = w, .stop_signal = &w->stop, .grace_us = 50000 };
	return child_run(&o, &w->arena, result, rss, &w->e);
}

/* What crashed, or what that has started, would leave an API's data in a file. */
static void no_core(void **state)
{
	(void)state;
	struct world w;
	struct str result;
	struct rlimit before;
	world_open(&w);
	assert_int_equal(getrlimit(RLIMIT_CORE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_CORE, &(struct rlimit){ before.rlim_max, before.rlim_max }), 0);
	assert_true(run(&w, "sh -c 'ulimit -c' >$1", &result, NULL));
	assert_int_equal(setrlimit(RLIMIT_CORE, &before), 0);
	assert_text(result, "0\n");
	world_close(&w);
}

static void environment_over_ours(void **state)
{
	(void)state;
	struct world w;
	struct str result;
	world_open(&w);
	const char *const argv[] = { "/bin/sh", "-c", "echo ${CHILD_A-none} ${CHILD_AB-none} ${CHILD_B-none} ${CHILD_C-none} >$1", "sh",
				     w.result_path, NULL };
	const char *const over[] = { "CHILD_A=new", "CHILD_B", "CHILD_C=c", NULL };
	struct child_options o = { .argv = argv, .environment = over, .result_path = w.result_path, .max_result_bytes = 1000 };
	setenv("CHILD_A", "old", 1);
	setenv("CHILD_AB", "ab", 1);
	setenv("CHILD_B", "b", 1);
	assert_true(child_run(&o, &w.arena, &result, NULL, &w.e));
	assert_text(result, "new ab none c\n");
	world_close(&w);
}

static void endings(void **state)
{
	(void)state;
	static const struct {
		const char *script;
		enum err_code code;
		const char *words, *hint, *lines; /* words: the result where code is NONE; NULL: not looked at */
	} table[] = {
		{ "echo '{\"ok\":1}' >$1", ERR_NONE, "{\"ok\":1}\n", NULL, "" },
		{ "echo one; echo; printf two; echo x >&2; : >$1", ERR_NONE, "", NULL, "one;two;" },
		{ "exit 0", ERR_ENGINE_FAULT, "exit status 0, opening", NULL, "" },
		{ "echo first >&2; printf 'last \\033[2Jwords\\n' >&2; exit 9", ERR_ENGINE_FAULT,
		  "exit status 9, opening", NULL, "" },
		{ "printf 'last \\033[2Jwords\\nmore' >&2; exit 9", ERR_ENGINE_FAULT, "its last words: last  [2Jwords|more", NULL, "" },
		{ "echo '{\"error\":{\"code\":\"CONTRACT\",\"message\":\"broken\",\"hint\":\"mend it\"}}' >$1; exit 4",
		  ERR_CONTRACT, "broken", "mend it", "" },
		{ "echo '{\"error\":{\"code\":\"NO_SUCH\",\"message\":\"odd\"}}' >$1; exit 4", ERR_ENGINE, "odd", NULL, "" },
		{ "echo '{\"error\":' >$1; exit 4", ERR_ENGINE_FAULT, "no error that can be read", NULL, "" },
		{ "echo '{\"error\":\"text\"}' >$1; exit 4", ERR_ENGINE_FAULT, "no error that can be read", NULL, "" },
		{ "echo '[]' >$1; exit 4", ERR_ENGINE_FAULT, "no error that can be read", NULL, "" },
		{ "echo x >$1; echo bye >&2; kill -KILL $$", ERR_ENGINE_FAULT, "ended by signal 9 (Killed); its last words: bye",
		  "memory", "" },
		{ "kill -SEGV $$", ERR_ENGINE_FAULT, "ended by signal 11", NULL, "" },
		{ "head -c 2000 /dev/zero >$1", ERR_ENGINE_FAULT, "more than 1000 bytes", NULL, "" },
		{ "head -c 3000000 /dev/zero | tr '\\0' a; echo; echo z; : >$1", ERR_NONE, "", NULL, "z;" },
		{ "head -c 3000000 /dev/zero | tr '\\0' a >&2; exit 1", ERR_ENGINE_FAULT, "aaaa", NULL, "" },
		{ "exec >&- 2>&-; : >$1", ERR_NONE, "", NULL, "" },
		{ "read x; echo \"in:$x\"; : >$1", ERR_NONE, "", NULL, "in:;" },
		/* a grandchild that keeps the pipes open does not hold us up */
		{ "sleep 30 & echo a; : >$1", ERR_NONE, "", NULL, "a;" },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct world w;
		struct str result = STR_NONE;
		uint64_t rss = 0;
		world_open(&w);
		bool ok = run(&w, table[i].script, &result, &rss);
		if (ok != (table[i].code == ERR_NONE) || w.e.code != table[i].code)
			fail_msg("%s: %s %s", table[i].script, err_name(w.e.code), w.e.message);
		if (ok)
			assert_text(result, table[i].words);
		else if (!strstr(w.e.message, table[i].words))
			fail_msg("%s: %s", table[i].script, w.e.message);
		if (table[i].hint)
			assert_non_null(strstr(err_hint_text(&w.e), table[i].hint));
		assert_text(buf_str(&w.lines), table[i].lines);
		assert_true(rss > 100000 && rss < UINT64_C(1) << 32);
		assert_null(strchr(w.e.message, '\033'));
		world_close(&w);
	}
}

static void stopping(void **state)
{
	(void)state;
	static const struct {
		const char *script;
		int stop_with;
		enum err_code code;
	} table[] = {
		{ "echo go; exec sleep 30", SIGINT, ERR_SIGINT },
		{ "echo go; exec sleep 30", SIGTERM, ERR_SIGTERM },
		{ "echo go; sleep 30; sleep 30", SIGTERM, ERR_SIGTERM },
		{ "trap '' TERM; echo go; sleep 30; sleep 30", SIGTERM, ERR_SIGTERM }, /* the grace runs out */
		{ "trap 'exit 0' TERM; : >$1; echo go; sleep 30", SIGTERM, ERR_SIGTERM },
		{ "exec >&1; echo go; exec >&- 2>&-; exec sleep 30", SIGTERM, ERR_SIGTERM },
	};
	struct clock *clock = clock_system();
	for (size_t i = 0; i < COUNT(table); i++) {
		struct world w;
		struct str result;
		world_open(&w);
		w.stop_with = table[i].stop_with;
		int64_t begin = clock->monotonic_us(clock);
		assert_false(run(&w, table[i].script, &result, NULL));
		assert_int_equal(w.e.code, table[i].code);
		assert_true(clock->monotonic_us(clock) - begin < 5000000);
		world_close(&w);
	}
}

static void deadlines(void **state)
{
	(void)state;
	static const struct {
		int64_t in_us; /* from now */
		const char *script;
		enum err_code code;
	} table[] = {
		{ 100000, "exec sleep 30", ERR_BUDGET },
		{ -1, "trap '' TERM; sleep 30", ERR_BUDGET },
		{ 20000000, "echo 1 >$1", ERR_NONE },
	};
	struct clock *clock = clock_system();
	for (size_t i = 0; i < COUNT(table); i++) {
		struct world w;
		struct str result;
		world_open(&w);
		int64_t begin = clock->monotonic_us(clock);
		const char *const argv[] = { "/bin/sh", "-c", table[i].script, "sh", w.result_path, NULL };
		struct child_options o = { .argv = argv, .result_path = w.result_path, .max_result_bytes = 1000, .stop_signal = &w.stop,
					   .grace_us = 50000, .deadline_us = begin + table[i].in_us };
		assert_int_equal(child_run(&o, &w.arena, &result, NULL, &w.e), table[i].code == ERR_NONE);
		assert_int_equal(w.e.code, table[i].code);
		assert_true(clock->monotonic_us(clock) - begin < 10000000);
		world_close(&w);
	}
}

static void cannot_start(void **state)
{
	(void)state;
	static const char *const paths[] = { "/no/such/program", "/etc/passwd", "/" };
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct world w;
		struct str result;
		world_open(&w);
		const char *const argv[] = { paths[i], NULL };
		struct child_options o = { .argv = argv, .result_path = w.result_path, .max_result_bytes = 10 };
		assert_false(child_run(&o, &w.arena, &result, NULL, &w.e));
		assert_int_equal(w.e.code, ERR_ENGINE);
		assert_true(w.e.sys_errno != 0);
		assert_non_null(strstr(w.e.message, paths[i]));
		world_close(&w);
	}
}

static void old_result(void **state)
{
	(void)state;
	struct world w;
	struct str result;
	world_open(&w);
	assert_true(file_write(w.result_path, STR("{\"old\":1}"), &w.e));
	assert_false(run(&w, "exit 0", &result, NULL));
	assert_int_equal(w.e.code, ERR_ENGINE_FAULT);
	world_close(&w);
}

static void limits(void **state)
{
	(void)state;
	struct world w;
	struct str result;
	world_open(&w);
	const char *const argv[] = { "/bin/sh", "-c", "ulimit -v >$1", "sh", w.result_path, NULL };
	struct child_options o = { .argv = argv, .result_path = w.result_path, .max_result_bytes = 100,
				   .address_space_bytes = UINT64_C(1) << 30 };
	assert_true(child_run(&o, &w.arena, &result, NULL, &w.e));
	assert_text(result, "1048576\n");
	world_close(&w);
}

/* What the parent ignores or blocks, and its open files, are not passed on. */
static void clean_slate(void **state)
{
	(void)state;
	struct world w;
	struct str result;
	world_open(&w);
	signal(SIGPIPE, SIG_IGN);
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	/* Signals 32 and 33 belong to the C library, which lets nobody change them: whoever started us may ignore them. */
	const char *script = "exec 8>$1; while read -r k v; do case $k in SigBlk:|SigIgn:) "
			     "echo $k $((0x$v & 0x7fffffff)) >&8;; esac; done </proc/self/status; "
			     "ls /proc/self/fd | tr '\\n' ' ' >&8";
	assert_true(run(&w, script, &result, NULL));
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(leak);
	assert_text(result, "SigBlk: 0\nSigIgn: 0\n0 1 2 3 8 ");
	world_close(&w);
}

/* Where nobody keeps the children's ends (SIGCHLD ignored), it is not known how one ended, whatever it wrote. */
static void end_not_known(void **state)
{
	(void)state;
	static const char *const scripts[] = { "echo '{}' >$1", "echo '{}' >$1; exit 3", "sleep 0.1; echo '{}' >$1" };
	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct world w;
		struct str result;
		world_open(&w);
		signal(SIGCHLD, SIG_IGN);
		bool ok = run(&w, scripts[i], &result, NULL);
		signal(SIGCHLD, SIG_DFL);
		assert_false(ok);
		assert_int_equal(w.e.code, ERR_ENGINE);
		assert_non_null(strstr(w.e.message, "how it ended is not known"));
		world_close(&w);
	}
	struct world w;
	struct str result;
	world_open(&w);
	const char *const argv[] = { "/no/such/program", NULL };
	struct child_options o = { .argv = argv, .result_path = w.result_path, .max_result_bytes = 10 };
	signal(SIGCHLD, SIG_IGN);
	assert_false(child_run(&o, &w.arena, &result, NULL, &w.e));
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(w.e.sys_errno, ENOENT);
	world_close(&w);
}

static void own_path(void **state)
{
	(void)state;
	struct stat a, b;
	assert_int_equal(stat(child_self_path(), &a), 0);
	assert_int_equal(stat("/proc/self/exe", &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endings),    cmocka_unit_test(stopping), cmocka_unit_test(cannot_start),
		cmocka_unit_test(old_result), cmocka_unit_test(limits),	  cmocka_unit_test(clean_slate),
		cmocka_unit_test(deadlines),  cmocka_unit_test(own_path),   cmocka_unit_test(end_not_known),
		cmocka_unit_test(no_core),    cmocka_unit_test(environment_over_ours),
	};
	return cmocka_run_group_tests_name("driver/child", tests, NULL, NULL);
}
