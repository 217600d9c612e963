#include "driver/child_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1 << 20,
	SHOWN_BYTES = 1200,    /* of standard error in a message */
	READ_BYTES = 64 << 10,
	TICK_MS = 50,          /* how soon a stop request is seen at the latest */
	TAKES_MAX = 64,        /* reads without waiting, so that one who goes on talking holds nobody up */
	GRACE_US = 5 * 1000000,
};

/* ── start ── */

static void close_pair(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Ours, with what the options put over it. */
static char **environment_new(const struct child_options *o)
{
	size_t n = 0, more = 0, kept = 0;
	while (environ[n])
		n++;
	while (o->environment && o->environment[more])
		more++;
	char **out = mem_alloc(mem_size(n + more + 1, sizeof *out));
	for (size_t i = 0; i < n; i++) {
		bool over = false;
		size_t name = strcspn(environ[i], "=");
		for (size_t k = 0; k < more; k++)
			over = over || (strncmp(environ[i], o->environment[k], name) == 0 && strchr("=", o->environment[k][name]));
		if (!over)
			out[kept++] = environ[i];
	}
	for (size_t k = 0; k < more; k++)
		if (strchr(o->environment[k], '='))
			out[kept++] = (char *)(uintptr_t)o->environment[k];
	return out;
}

/* Between fork and exec: only calls that are safe after fork in a threaded program. */
static _Noreturn void child_exec(const struct child_options *o, char **environment, pid_t parent, int null, int out, int err, int report)
{
	sigset_t none;
	struct sigaction standard = { .sa_handler = SIG_DFL };
	int failed = 0;
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			sigaction(s, &standard, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		failed = errno;
	if (getppid() != parent) /* it died before the line above */
		_exit(1);
	/* dup2 of a descriptor onto itself keeps its close-on-exec. */
	if (!failed && null == 0 && sys_fcntl(null, F_SETFD, 0) == -1)
		failed = errno;
	if (!failed && (sys_dup2(null, 0) == -1 || sys_dup2(out, 1) == -1 || sys_dup2(err, 2) == -1))
		failed = errno;
	sys_syscall(SYS_close_range, 3U, ~0U, (unsigned)CLOSE_RANGE_CLOEXEC);
	/* A crash must not leave the data of an API in a core file: neither of it nor of what it starts. */
	sys_setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (!failed && o->address_space_bytes) {
		struct rlimit limit = { o->address_space_bytes, o->address_space_bytes };
		if (sys_setrlimit(RLIMIT_AS, &limit) == -1)
			failed = errno;
	}
	if (!failed) {
		environ = environment;
		sys_execv(o->argv[0], (char *const *)(uintptr_t)o->argv);
		failed = errno;
	}
	ssize_t ignored = sys_write(report, &failed, sizeof failed);
	(void)ignored;
	_exit(127);
}

/* The machine's limits, not the engine: nothing has begun, and the same command may do better in a moment. */
static bool cannot_start(const struct child *c, int sys_errno, struct err *e)
{
	bool gone = sys_errno == ENOENT || sys_errno == EACCES;
	err_set_errno(e, gone ? ERR_ENGINE : ERR_STORAGE, sys_errno, "%s: cannot be started", c->o->argv[0]);
	return gone ? err_hint(e, "the program must stay where it was begun; run the same command again") : false;
}

static bool child_start(struct child *c, struct err *e)
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 }, report[2] = { -1, -1 };
	int null = sys_open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t parent = getpid();
	c->environment = environment_new(c->o);
	if (null == -1 || sys_pipe2(out, O_CLOEXEC) == -1 || sys_pipe2(err, O_CLOEXEC) == -1 ||
	    sys_pipe2(report, O_CLOEXEC) == -1 || (c->pid = sys_fork()) == -1) {
		cannot_start(c, errno, e);
		close_pair(out);
		close_pair(err);
		close_pair(report);
		mem_free(c->environment);
		if (null >= 0)
			close(null);
		return false;
	}
	if (c->pid == 0)
		child_exec(c->o, c->environment, parent, null, out[1], err[1], report[1]);
	mem_free(c->environment);
	setpgid(c->pid, c->pid); /* here too: whichever of us comes first */
	close(null);
	close(out[1]);
	close(err[1]);
	close(report[1]);
	c->out = out[0];
	c->err = err[0];
	c->exec_error = report[0];
	sys_fcntl(c->out, F_SETFL, O_NONBLOCK);
	sys_fcntl(c->err, F_SETFL, O_NONBLOCK);
	c->pid_fd = (int)sys_syscall(SYS_pidfd_open, c->pid, 0U);
	return true;
}

/* Waits until the child has become its program, or has not. */
static bool child_started(struct child *c, struct err *e)
{
	int failed = 0;
	ssize_t n;
	do
		n = sys_read(c->exec_error, &failed, sizeof failed);
	while (n == -1 && errno == EINTR);
	close(c->exec_error);
	c->exec_error = -1;
	if (n != (ssize_t)sizeof failed)
		return true;
	return cannot_start(c, failed, e);
}

/* ── while it runs ── */

static void take_lines(struct child *c, struct str bytes)
{
	while (bytes.n) {
		size_t n = str_find_char(bytes, '\n');
		if (!buf_add(&c->line, str_sub(bytes, 0, n)))
			c->line_too_long = true;
		if (n == bytes.n)
			return;
		if (c->o->progress && !c->line_too_long && c->line.n)
			c->o->progress(c->o->user, buf_str(&c->line));
		c->line.overflow = false;
		buf_clear(&c->line);
		c->line_too_long = false;
		bytes = str_sub(bytes, n + 1, SIZE_MAX);
	}
}

static void take_tail(struct child *c, struct str bytes)
{
	if (bytes.n > TAIL_BYTES)
		bytes = str_sub(bytes, bytes.n - TAIL_BYTES, TAIL_BYTES);
	size_t keep = TAIL_BYTES - bytes.n < c->tail_n ? TAIL_BYTES - bytes.n : c->tail_n;
	memmove(c->tail, c->tail + (c->tail_n - keep), keep);
	memcpy(c->tail + keep, bytes.p, bytes.n);
	c->tail_n = keep + bytes.n;
}

/* One read at most, so that neither pipe starves the other nor a stop request. */
static bool drain(struct child *c, int *fd)
{
	char bytes[READ_BYTES];
	ssize_t n = *fd >= 0 ? sys_read(*fd, bytes, sizeof bytes) : 0;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return errno == EINTR;
	if (n <= 0) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return false;
	}
	if (fd == &c->out)
		take_lines(c, (struct str){ bytes, (size_t)n });
	else
		take_tail(c, (struct str){ bytes, (size_t)n });
	return true;
}

/* The group goes with its leader, and before the leader's number is free for somebody else. */
void child_reap(struct child *c, int options)
{
	siginfo_t info = { 0 };
	int r;
	do
		r = sys_waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT | options);
	while (r == -1 && errno == EINTR);
	if (r == -1 && errno == ECHILD) { /* SIGCHLD is ignored here, or somebody else waited for it */
		c->ended = c->lost = true;
		return;
	}
	CHECK(r == 0);
	if (info.si_pid == 0)
		return;
	kill(-c->pid, SIGKILL);
	pid_t ended;
	do
		ended = sys_wait4(c->pid, &c->status, 0, &c->usage);
	while (ended == -1 && errno == EINTR);
	CHECK(ended == c->pid || errno == ECHILD);
	c->ended = true;
	c->lost = ended == -1;
}

static void stop_if_asked(struct child *c)
{
	struct clock *clock = clock_system();
	int asked = c->o->stop_signal ? *c->o->stop_signal : 0;
	bool late = c->o->deadline_us != 0 && clock->monotonic_us(clock) >= c->o->deadline_us;
	if ((asked || late) && !c->stopped_by) {
		c->late = !asked;
		c->stopped_by = asked ? asked : SIGTERM;
		c->kill_us = clock->monotonic_us(clock) + (c->o->grace_us > 0 ? c->o->grace_us : GRACE_US);
		kill(-c->pid, SIGTERM);
	} else if (c->stopped_by && clock->monotonic_us(clock) >= c->kill_us) {
		kill(-c->pid, SIGKILL);
	}
}

void child_tick(struct child *c)
{
	struct pollfd fds[3] = {
		{ .fd = c->out, .events = POLLIN },
		{ .fd = c->err, .events = POLLIN },
		{ .fd = c->pid_fd, .events = POLLIN },
	};
	stop_if_asked(c);
	if (poll(fds, 3, TICK_MS) > 0) {
		if (fds[0].revents)
			drain(c, &c->out);
		if (fds[1].revents)
			drain(c, &c->err);
	}
	child_reap(c, WNOHANG);
}

void child_take(struct child *c)
{
	for (int i = 0; i < TAKES_MAX && drain(c, &c->out); i++)
		;
	for (int i = 0; i < TAKES_MAX && drain(c, &c->err); i++)
		;
}

/* What it wrote before its end. Somebody may still hold the pipes, so this does not wait for their end. */
void child_drain(struct child *c)
{
	while (drain(c, &c->out))
		;
	while (drain(c, &c->err))
		;
	if (c->line.n)
		take_lines(c, STR("\n"));
}

/* ── its end ── */

/* The last lines of standard error on one line, without control characters. */
static const char *tail_text(struct child *c, char out[SHOWN_BYTES + 1])
{
	struct str tail = str_trim((struct str){ c->tail, c->tail_n });
	if (tail.n > SHOWN_BYTES) {
		tail = str_sub(tail, tail.n - SHOWN_BYTES, SHOWN_BYTES);
		size_t line = str_find_char(tail, '\n');
		if (line < tail.n)
			tail = str_sub(tail, line + 1, SIZE_MAX);
	}
	for (size_t i = 0; i < tail.n; i++) {
		unsigned char b = (unsigned char)tail.p[i];
		out[i] = b == '\n' ? '|' : b < 0x20 || b == 0x7f ? ' ' : tail.p[i];
	}
	out[tail.n] = 0;
	return out;
}

bool child_own_error(struct str text, struct arena *a, struct err *e)
{
	struct json_node *root;
	struct err ignored = ERR_INIT;
	if (!json_parse(text, a, &root, &ignored))
		return false;
	const struct json_node *error = json_get(root, "error");
	struct str code = json_str_or(error, "code", STR_NONE), message = json_str_or(error, "message", STR_NONE);
	struct str hint = json_str_or(error, "hint", STR_NONE);
	if (!error || message.n == 0)
		return false;
	enum err_code known = ERR_ENGINE;
	for (int i = ERR_NONE + 1; i < ERR_COUNT; i++)
		if (str_eq_z(code, err_name((enum err_code)i)))
			known = (enum err_code)i;
	err_set(e, known, "%.*s", STR_ARG(message));
	if (hint.n)
		err_hint(e, "%.*s", STR_ARG(hint));
	return true;
}

bool child_judge(struct child *c, struct arena *a, struct str *result, struct err *e)
{
	const struct child_options *o = c->o;
	const char *program = o->argv[0];
	char tail[SHOWN_BYTES + 1];
	struct err read_err = ERR_INIT;
	if (c->late)
		return err_set(e, ERR_BUDGET, "%s: stopped at the deadline", program);
	if (c->stopped_by)
		return err_set(e, c->stopped_by == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "%s: stopped by %s", program,
			       c->stopped_by == SIGINT ? "SIGINT" : "SIGTERM");
	if (c->lost) {
		err_set(e, ERR_ENGINE, "%s: how it ended is not known, SIGCHLD is ignored in this process", program);
		return err_hint(e, "whatever made this process ignore SIGCHLD must not; then run the same command again");
	}
	if (WIFSIGNALED(c->status)) {
		int s = WTERMSIG(c->status);
		tail_text(c, tail);
		err_set(e, ERR_ENGINE_FAULT, "%s: ended by signal %d (%s)%s%s", program, s, strsignal(s),
			tail[0] ? "; its last words: " : "", tail);
		if (s == SIGKILL)
			err_hint(e, "the kernel kills a process when memory runs out: give it less to do at once, or "
				 "the machine more memory");
		return false;
	}
	int status = WEXITSTATUS(c->status);
	bool got = file_read(o->result_path, (size_t)o->max_result_bytes, a, result, &read_err);
	if (got && status == 0)
		return true;
	if (got && child_own_error(*result, a, e))
		return false;
	tail_text(c, tail);
	/* Our own program: short of memory it has time for one line only, and short of disk for no result, or for one that it
	 * does not know to be there. */
	if (status == err_exit_status(ERR_MEMORY) && tail[0])
		return err_set(e, strstr(tail, "out of memory") ? ERR_MEMORY : ERR_STORAGE, "%s: %s", program, tail);
	bool ours = !got && (read_err.code == ERR_STORAGE || status == err_exit_status(ERR_STORAGE));
	err_set(e, ours ? ERR_STORAGE : ERR_ENGINE_FAULT, "%s: exit status %d, %s%s%s", program, status,
		got ? "and its result holds no error that can be read" : read_err.message,
		tail[0] ? "; its last words: " : "", tail);
	return false;
}

struct child *child_new(const struct child_options *o)
{
	struct child *c = mem_alloc(sizeof *c);
	*c = (struct child){ .o = o, .out = -1, .err = -1, .exec_error = -1, .pid_fd = -1,
			     .line = BUF_INIT(LINE_MAX_BYTES) };
	return c;
}

void child_free(struct child *c)
{
	if (c->out >= 0)
		close(c->out);
	if (c->err >= 0)
		close(c->err);
	if (c->pid_fd >= 0)
		close(c->pid_fd);
	buf_free(&c->line);
	mem_free(c);
}

bool child_begin(struct child *c, struct err *e)
{
	if (!child_start(c, e))
		return false;
	if (child_started(c, e))
		return true;
	child_reap(c, 0);
	return false;
}

/* A result of an earlier attempt must not pass for this one's. */
bool child_result_clear(const struct child_options *o, struct err *e)
{
	return sys_unlink(o->result_path) == 0 || errno == ENOENT ||
	       err_set_errno(e, ERR_STORAGE, errno, "%s: an old result cannot be removed", o->result_path);
}

bool child_run(const struct child_options *o, struct arena *a, struct str *result, uint64_t *peak_rss_bytes,
	       struct err *e)
{
	struct child *c = child_new(o);
	bool ok = child_result_clear(o, e) && child_begin(c, e);
	if (ok) {
		while (!c->ended)
			child_tick(c);
		child_drain(c);
		ok = child_judge(c, a, result, e);
	}
	if (peak_rss_bytes && c->ended)
		*peak_rss_bytes = (uint64_t)c->usage.ru_maxrss * 1024;
	child_free(c);
	return ok;
}

/* ── our own path ── */

static char self_path[4096];

static void find_self(void)
{
	ssize_t n = sys_readlink("/proc/self/exe", self_path, sizeof self_path - 1);
	self_path[n > 0 ? n : 0] = 0;
	/* Replaced by an upgrade while we run: the link still leads to the old file, its text does not. */
	if (n <= 0 || str_ends(str_from(self_path), STR(" (deleted)")))
		memcpy(self_path, "/proc/self/exe", sizeof "/proc/self/exe");
}

const char *child_self_path(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, find_self);
	return self_path;
}
