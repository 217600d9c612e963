#include "driver/child_service.h"

#include "base/clock.h"
#include "base/effect.h"
#include "base/file.h"
#include "driver/child_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLOSE_US = 15 * 1000000, STATUS_MAX = 64 << 10 };

struct child_service {
	struct child_options own; /* while there is no job */
	struct child *child;
	const char *fifo;
	int jobs; /* our end: for reading too, so that opening it waits for nobody and a line never meets a closed pipe */
};

static bool fifo_open(const char *path, int *fd, struct err *e)
{
	if (mkfifo(path, 0600) == -1 || (*fd = sys_open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1)
		return err_set_errno(e, ERR_STORAGE, errno, "%s", path);
	return true;
}

struct child_service *child_service_open(const struct child_options *o, const char *fifo, struct err *e)
{
	struct child_service *s = mem_alloc(sizeof *s);
	*s = (struct child_service){ .own = *o, .fifo = fifo, .jobs = -1 };
	s->own.progress = NULL;
	s->own.deadline_us = 0;
	s->child = child_new(&s->own);
	if (fifo_open(fifo, &s->jobs, e) && child_begin(s->child, e))
		return s;
	s->child->ended = true;
	child_service_close(s);
	return NULL;
}

bool child_service_is_alive(struct child_service *s)
{
	if (!s->child->ended)
		child_reap(s->child, WNOHANG);
	return !s->child->ended;
}

/* The most that it had at once so far. */
static uint64_t peak_rss(const struct child *c)
{
	struct arena a = ARENA_INIT;
	struct err ignored = ERR_INIT;
	struct str text, line, name = STR("VmHWM:");
	uint64_t kib = 0;
	const char *path = arena_format(&a, "/proc/%d/status", (int)c->pid).p;
	if (c->ended)
		kib = (uint64_t)c->usage.ru_maxrss;
	else if (file_read(path, STATUS_MAX, &a, &text, &ignored))
		while (str_cut(&text, '\n', &line))
			if (str_starts(line, name)) {
				struct str rest = str_trim(str_sub(line, name.n, line.n)), number;
				str_cut(&rest, ' ', &number);
				if (!str_to_u64(number, &kib))
					kib = 0;
			}
	arena_free(&a);
	return kib * 1024;
}

static bool line_give(struct child_service *s, const char *line, struct err *e)
{
	char bytes[PIPE_BUF];
	size_t n = strlen(line);
	if (n + 1 > sizeof bytes || strchr(line, '\n'))
		return err_set(e, ERR_CONFIG, "%.100s...: too long a path for a job, or not of one line", line);
	memcpy(bytes, line, n);
	bytes[n] = '\n';
	/* In one piece, or not at all: there is never more than one line in it. */
	return sys_write(s->jobs, bytes, n + 1) == (ssize_t)(n + 1) || err_set_errno(e, ERR_STORAGE, errno, "%s", s->fifo);
}

static bool is_there(const char *path)
{
	return sys_access(path, F_OK) == 0;
}

static bool result_take(const struct child_options *o, struct arena *a, struct str *result, struct err *e)
{
	return file_read(o->result_path, (size_t)o->max_result_bytes, a, result, e) && !child_own_error(*result, a, e);
}

bool child_service_ask(struct child_service *s, const struct child_options *job, const char *line, struct arena *a,
		       struct str *result, uint64_t *peak_rss_bytes, struct err *e)
{
	struct child *c = s->child;
	struct child_options o = *job;
	o.argv = s->own.argv;
	o.environment = s->own.environment;
	c->o = &o;
	c->tail_n = 0;
	bool ok = child_result_clear(&o, e) && line_give(s, line, e);
	/* Once it is to be stopped, a result does not count any more. */
	while (ok && !c->ended && (c->stopped_by || !is_there(o.result_path)))
		child_tick(c);
	if (peak_rss_bytes)
		*peak_rss_bytes = peak_rss(c);
	/* It says what it has to say of a job before it gives the result: that is not to be told of the next one. */
	if (ok && c->ended)
		child_drain(c);
	else if (ok)
		child_take(c);
	/* It may have done its job, and ended then. */
	if (ok)
		ok = c->ended && (c->stopped_by || !is_there(o.result_path)) ? child_judge(c, a, result, e) :
									       result_take(&o, a, result, e);
	c->o = &s->own;
	return ok;
}

void child_service_close(struct child_service *s)
{
	struct clock *clock = clock_system();
	int64_t until = clock->monotonic_us(clock) + CLOSE_US;
	if (s->jobs >= 0)
		sys_close(s->jobs);
	while (!s->child->ended && clock->monotonic_us(clock) < until)
		child_tick(s->child);
	if (!s->child->ended) {
		kill(-s->child->pid, SIGKILL);
		child_reap(s->child, 0);
	}
	sys_unlink(s->fifo);
	child_free(s->child);
	mem_free(s);
}
