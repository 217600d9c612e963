/* credential_process: a command of the user's that prints credentials. The shell runs it, as the AWS tools have it; what it says
 * on standard error is dropped, since nobody knows what it holds. */
#include "driver/aws_parts.h"

#include "base/calendar.h"
#include "base/check.h"
#include "base/effect.h"
#include "base/json.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

enum { OUTPUT_MAX_BYTES = 64 << 10, READ_BYTES = 4096, TICK_MS = 100, END_TICK_MS = 10 };
static const int64_t LIMIT_US = INT64_C(60) * US_PER_SECOND;
static const int64_t END_US = INT64_C(3) * US_PER_SECOND; /* from the end of its output to its own */

static const volatile int *_Atomic watched;

void aws_stop_watch(const volatile int *stop)
{
	atomic_store(&watched, stop);
}

int aws_stop_signal(void)
{
	const volatile int *stop = atomic_load(&watched);
	return stop ? *stop : 0;
}

/* Whoever wants us to end does not want to wait for somebody's command. */
static bool is_stopped(struct err *e)
{
	int number = aws_stop_signal();
	if (number != 0)
		err_set(e, number == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "credential_process: stopped by a signal");
	return number != 0;
}

/* dup2 of a descriptor onto itself keeps its close-on-exec. */
static bool put(int fd, int at)
{
	return fd == at ? sys_fcntl(fd, F_SETFD, 0) != -1 : sys_dup2(fd, at) != -1;
}

/* Between fork and exec: only calls that are safe after fork in a threaded program. All descriptors of ours are close-on-exec. */
static _Noreturn void become(char *command, pid_t parent, int null, int out)
{
	static char shell[] = "/bin/sh", flag[] = "-c";
	char *argv[] = { shell, flag, command, NULL };
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			sigaction(s, &standard, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(126);
	if (put(out, 1) && put(null, 0) && put(null, 2))
		sys_execv(shell, argv);
	_exit(126);
}

static bool start(struct str command, struct arena *a, pid_t *pid, int *from, struct err *e)
{
	int pipe_fds[2] = { -1, -1 };
	pid_t parent = getpid();
	char *text = arena_zero_terminated(a, command);
	int null = sys_open("/dev/null", O_RDWR | O_CLOEXEC);
	bool ok = null >= 0 && sys_pipe2(pipe_fds, O_CLOEXEC) == 0 && (*pid = sys_fork()) >= 0;
	if (ok && *pid == 0)
		become(text, parent, null, pipe_fds[1]);
	if (!ok)
		err_set_errno(e, ERR_STORAGE, errno, "credential_process: cannot be started");
	else
		setpgid(*pid, *pid); /* here too: whichever of us comes first */
	if (null >= 0)
		close(null);
	if (pipe_fds[1] >= 0)
		close(pipe_fds[1]);
	if (!ok && pipe_fds[0] >= 0)
		close(pipe_fds[0]);
	*from = pipe_fds[0];
	return ok;
}

/* Until the end of its output. */
static bool collect(int fd, struct clock *clock, struct buf *out, struct err *e)
{
	int64_t until = clock->monotonic_us(clock) + LIMIT_US;
	for (;;) {
		char bytes[READ_BYTES];
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ready = poll(&p, 1, TICK_MS);
		if (is_stopped(e))
			return false;
		if (clock->monotonic_us(clock) >= until) /* also where it prints a little all the time */
			return err_set(e, ERR_TIMEOUT, "credential_process: not done within 60 s");
		if (ready <= 0)
			continue;
		ssize_t n = sys_read(fd, bytes, sizeof bytes);
		if (n < 0 && errno == EINTR)
			continue;
		bool fits = n <= 0 || buf_add_bytes(out, bytes, (size_t)n);
		explicit_bzero(bytes, sizeof bytes);
		if (n < 0)
			return err_set_errno(e, ERR_STORAGE, errno, "credential_process: reading what it prints");
		if (!fits)
			return err_set(e, ERR_CREDENTIALS, "credential_process: it prints more than %d bytes", OUTPUT_MAX_BYTES);
		if (n == 0)
			return true;
	}
}

/* *got: as wait4 has it; 0: it still runs. */
static int wait_until(pid_t pid, struct clock *clock, int64_t until, pid_t *got)
{
	int status = 0;
	for (;;) {
		*got = sys_wait4(pid, &status, WNOHANG, NULL);
		if (*got != 0 || clock->monotonic_us(clock) >= until || aws_stop_signal() != 0)
			return status;
		poll(NULL, 0, END_TICK_MS);
	}
}

static bool finish(pid_t pid, struct clock *clock, bool ended, struct err *e)
{
	pid_t got = 0;
	int status = ended ? wait_until(pid, clock, clock->monotonic_us(clock) + END_US, &got) : 0;
	if (got == 0) { /* one that closes its output and stays would be waited for for ever */
		if (ended && !is_stopped(e))
			err_set(e, ERR_TIMEOUT, "credential_process: it has closed its output, and does not end");
		ended = false;
		kill(-pid, SIGKILL);
		do
			got = sys_wait4(pid, &status, 0, NULL);
		while (got == -1 && errno == EINTR);
	}
	if (!ended || got == -1) /* SIGCHLD is ignored here: what it printed decides */
		return ended;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (WIFSIGNALED(status))
		err_set(e, ERR_CREDENTIALS, "credential_process: ended by signal %d", WTERMSIG(status));
	else
		err_set(e, ERR_CREDENTIALS, "credential_process: exit status %d", WEXITSTATUS(status));
	return err_hint(e, "run the command of the profile by hand and see what it says");
}

static bool version_check(struct aws_refresh *f, struct str text, struct err *e)
{
	struct json_node *root;
	struct err ignored = ERR_INIT;
	if (!json_parse(text, f->a, &root, &ignored) || json_i64_or(root, "Version", 0) == 1)
		return true; /* what is no JSON is told of by whoever reads it next */
	return err_set(e, ERR_CREDENTIALS, "credential_process: its answer has no \"Version\": 1");
}

bool aws_process_get(struct aws_refresh *f, struct str command, struct err *e)
{
	pid_t pid;
	int from;
	/* Real time, whatever clock the chain has: the command lives in it. */
	struct clock *clock = clock_system();
	struct buf out = BUF_INIT(OUTPUT_MAX_BYTES);
	if (is_stopped(e) || !start(command, f->a, &pid, &from, e))
		return false;
	bool ended = collect(from, clock, &out, e);
	close(from);
	bool ok = finish(pid, clock, ended, e) && version_check(f, buf_str(&out), e) &&
		  aws_json_credentials(f, buf_str(&out), "SessionToken", "credential_process", e);
	if (out.p)
		explicit_bzero(out.p, out.cap);
	buf_free(&out);
	return ok;
}
