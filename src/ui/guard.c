/* A command in a process of its own: what the engine does on somebody's behalf must not take the machine down with it. */
#include "base/clock.h"
#include "base/effect.h"
#include "ui/command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Beside what the engine may use: its library, our own buffers, and what an allocator keeps in reserve. */
#define SLACK_BYTES ((uint64_t)1 << 30)

static void on_child(int number)
{
	(void)number; /* only so that sigsuspend returns */
}

/* A second signal ends our parent, and that ends us. */
static void on_stop(int number)
{
	ui_stop = number;
}

static void become_child(pid_t parent)
{
	struct sigaction stop = { .sa_handler = on_stop }, was;
	sigemptyset(&stop.sa_mask);
	if (sigaction(SIGINT, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sys_setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }); /* it would hold the data */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(err_exit_status(ERR_SIGTERM));
}

/* Passes on what we are told, and waits to the end. False: how it ended is not known. */
static bool child_wait(pid_t pid, const sigset_t *unblocked, siginfo_t *end)
{
	int told = 0;
	for (;;) {
		*end = (siginfo_t){ 0 };
		int failed = sys_waitid(P_PID, (id_t)pid, end, WEXITED | WNOHANG);
		if (failed && errno != EINTR)
			return false;
		if (!failed && end->si_pid == pid)
			return true;
		if (ui_stop != told)
			kill(pid, told = ui_stop);
		if (!failed)
			sigsuspend(unblocked);
	}
}

/* A wait that failed says nothing about the child. It is asked to end, so that it takes its scratch folder along, and killed
 * only where that is not seen to happen. */
static void child_end(pid_t pid)
{
	enum { LOOKS = 200, BETWEEN_US = 10000 };
	struct clock *clock = clock_system();
	siginfo_t end = { 0 };
	kill(pid, SIGTERM);
	for (int i = 0; i < LOOKS; i++) {
		if (sys_waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG) == 0 && end.si_pid == pid)
			return;
		clock->sleep_us(clock, BETWEEN_US);
	}
	kill(pid, SIGKILL);
}

static int child_crashed(struct ui *u, int number)
{
	struct err e = ERR_INIT;
	err_set(&e, ERR_ENGINE_FAULT, "the engine ended by signal %d (%s)", number, strsignal(number));
	err_hint(&e, "the usual cause is memory that ran out: ask for less at once (fewer rows, shorter texts), or raise "
		 "`engine.memory` in the pipeline file");
	return ui_fail(u, &e);
}

int ui_guarded(struct ui *u, int (*work)(struct ui *u))
{
	struct sigaction child = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP }, was;
	sigset_t block, before;
	pid_t parent = getpid();
	sigemptyset(&child.sa_mask);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &before);
	sigaction(SIGCHLD, &child, &was);
	pid_t pid = sys_fork();
	if (pid <= 0) { /* without a second process it is done in this one */
		if (pid == 0)
			become_child(parent);
		sigaction(SIGCHLD, &was, NULL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		return work(u);
	}
	struct err e = ERR_INIT;
	siginfo_t end;
	bool known = child_wait(pid, &before, &end);
	sigaction(SIGCHLD, &was, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (!known) {
		err_set_errno(&e, ERR_ENGINE, errno, "how the engine ended is not known");
		child_end(pid);
		err_hint(&e, "whatever made this process ignore SIGCHLD must not; then run the same command again");
		return ui_fail(u, &e);
	}
	if (end.si_code == CLD_EXITED)
		return end.si_status;
	if (end.si_status == SIGPIPE) { /* `| head` has seen enough */
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	return child_crashed(u, end.si_status);
}

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESSES_ARE_RESERVED 1 /* terabytes of them, by the sanitizer */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESSES_ARE_RESERVED 1
#endif
#endif

void ui_limit_memory(uint64_t engine_bytes)
{
#ifndef ADDRESSES_ARE_RESERVED
	char text[256];
	uint64_t pages = 0;
	int fd = sys_open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? sys_read(fd, text, sizeof text) : 0;
	struct str rest = { text, n > 0 ? (size_t)n : 0 }, first = STR_NONE;
	if (!str_cut(&rest, ' ', &first) || !str_to_u64(first, &pages))
		pages = 0;
	if (fd >= 0)
		sys_close(fd);
	long page_bytes = sysconf(_SC_PAGESIZE);
	rlim_t now = (rlim_t)pages * (rlim_t)(page_bytes > 0 ? page_bytes : 4096);
	struct rlimit r;
	rlim_t most = now + 2 * (rlim_t)engine_bytes + SLACK_BYTES;
	if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur > most) {
		r.rlim_cur = most;
		sys_setrlimit(RLIMIT_AS, &r);
	}
#else
	(void)engine_bytes;
#endif
}
