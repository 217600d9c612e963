#include "format/process.h"

#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

static int64_t started_of(int64_t pid)
{
	/* A lease names this process: its start time is found there for any process of this test. */
	struct arena a = ARENA_INIT;
	struct ledger_lease l = process_lease(STR("run"), 0, &a);
	int64_t started = l.pid == pid ? l.started : -1;
	arena_free(&a);
	return started;
}

static void a_process_is_known_by_its_start(void **state)
{
	(void)state;
	int64_t me = getpid(), started = started_of(me);
	assert_true(started > 0);
	assert_true(process_alive(me, started));
	assert_false(process_alive(me, started + 1)); /* a recycled id */
	assert_false(process_alive(INT64_C(1) << 40, started));
}

/* Killed and not yet waited for, it is still in /proc: it must not hold a lease for ever. */
static void a_zombie_is_dead(void **state)
{
	(void)state;
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int64_t started = started_of(getpid());
		ssize_t n = write(pipes[1], &started, sizeof started);
		_exit(n == (ssize_t)sizeof started ? 0 : 1);
	}
	int64_t started = 0;
	assert_int_equal(read(pipes[0], &started, sizeof started), sizeof started);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0); /* ended, and kept as a zombie */
	assert_true(started > 0);
	assert_false(process_alive(pid, started));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_known_by_its_start),
		cmocka_unit_test(a_zombie_is_dead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
