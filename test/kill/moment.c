/* Loaded before the program under test (LD_PRELOAD): stops or kills it at a chosen effect on the file system, so that the
 * program itself needs no hook for it and can be the one that users get.
 *
 *   MOMENT=WHO:CALL:WHEN:NTH:SIGNAL:PATTERN    WHO run|engine, CALL link|rename|mkdir|unlink|fsync, WHEN before|after;
 *                                              PATTERN (fnmatch) is held against the path; the NTH match counts, once
 *   MOMENT_LOG=FILE                            each effect as a line `WHO CALL PATH`, so that one can be drawn from them
 *
 * A link is the birth of an object (segment, ledger entry, commit); a rename is one of the engine's result. */
#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	char call[16], when[16], pattern[1024];
	int nth, signal;
	bool armed;
} moment;
static const char *who = "run";
static int log_fd = -1;
static atomic_int seen;

static void __attribute__((constructor)) begin(void)
{
	char line[4096] = "", asked[16];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC), at = 0;
	ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : 0;
	if (fd >= 0)
		close(fd);
	size_t first = strlen(line) + 1;
	if (n > (ssize_t)first && strcmp(line + first, "engine") == 0)
		who = "engine";
	const char *file = getenv("MOMENT_LOG"), *text = getenv("MOMENT");
	if (file)
		log_fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (text && sscanf(text, "%15[^:]:%15[^:]:%15[^:]:%d:%d:%n", asked, moment.call, moment.when, &moment.nth,
			   &moment.signal, &at) == 5 && at > 0 && strlen(text + at) < sizeof moment.pattern) {
		strcpy(moment.pattern, text + at);
		moment.armed = strcmp(asked, who) == 0;
	}
}

static void path_at(int folder, const char *name, char out[PATH_MAX])
{
	char link[64], base[PATH_MAX - 1] = "";
	if (name[0] != '/' && folder != AT_FDCWD) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
		ssize_t n = readlink(link, base, sizeof base - 1);
		base[n > 0 ? n : 0] = 0;
	}
	if (snprintf(out, PATH_MAX, "%s%s%s", base, base[0] && name[0] ? "/" : "", name) >= PATH_MAX)
		out[0] = 0;
}

static void reach(const char *call, const char *when, const char *path)
{
	if (log_fd >= 0 && strcmp(when, "before") == 0) {
		char line[PATH_MAX + 64];
		int n = snprintf(line, sizeof line, "%s %s %s\n", who, call, path);
		if (n > 0 && (size_t)n < sizeof line && write(log_fd, line, (size_t)n) != n)
			log_fd = -1;
	}
	if (!moment.armed || strcmp(call, moment.call) != 0 || strcmp(when, moment.when) != 0 ||
	    fnmatch(moment.pattern, path, 0) != 0 || atomic_fetch_add(&seen, 1) + 1 != moment.nth)
		return;
	kill(getpid(), moment.signal);
	/* It reaches the whole process, but perhaps not before this thread would go on. */
	if (moment.signal == SIGKILL)
		pause();
	if (moment.signal == SIGSTOP)
		usleep(1000);
}

#define NEXT(name) \
	static __typeof__(name) *next; \
	if (!next) \
		next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	NEXT(linkat);
	char path[PATH_MAX];
	path_at(to_fd, to, path);
	reach("link", "before", path);
	int r = next(from_fd, from, to_fd, to, flags);
	reach("link", "after", path);
	return r;
}

int rename(const char *from, const char *to)
{
	NEXT(rename);
	reach("rename", "before", to);
	int r = next(from, to);
	reach("rename", "after", to);
	return r;
}

int mkdirat(int folder, const char *name, mode_t mode)
{
	NEXT(mkdirat);
	char path[PATH_MAX];
	path_at(folder, name, path);
	reach("mkdir", "before", path);
	int r = next(folder, name, mode);
	reach("mkdir", "after", path);
	return r;
}

int unlinkat(int folder, const char *name, int flags)
{
	NEXT(unlinkat);
	char path[PATH_MAX];
	path_at(folder, name, path);
	reach("unlink", "before", path);
	int r = next(folder, name, flags);
	reach("unlink", "after", path);
	return r;
}

int fsync(int fd)
{
	NEXT(fsync);
	char path[PATH_MAX];
	path_at(fd, "", path);
	reach("fsync", "before", path);
	int r = next(fd);
	reach("fsync", "after", path);
	return r;
}
