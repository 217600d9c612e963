/* What happens to files and folders, for a test that cuts the power: one line each, fields parted by tabs, in the order
 * in which it happened, whatever process did it (one append each).
 *
 *   create INODE PATH            folder INODE PATH        link|rename FROM TO       remove PATH
 *   write INODE OFFSET HEX       sync INODE PATH HEX (the whole file)     settle INODE PATH INODE:NAME/... (the folder)
 *
 * What is durable is noted as it was before the fsync, since what came meanwhile need not be. Files that libraries
 * write are met at their sync. Not counted itself; empty without SLUICE_EFFECTS. */
#include "base/effect.h"

#ifdef SLUICE_EFFECTS
#include "base/check.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

static int trace_fd = -1;

__attribute__((constructor)) static void trace_begin(void)
{
	const char *path = getenv("SLUICE_EFFECTS_TRACE");
	if (path && *path)
		trace_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static void append(const char *p, size_t n)
{
	CHECK(write(trace_fd, p, n) == (ssize_t)n); /* a trace with holes proves nothing */
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	char line[3 * PATH_MAX];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	CHECK(n > 0 && (size_t)n < sizeof line);
	append(line, (size_t)n);
}

/* "" where it has none. */
static void path_of(int fd, char out[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = fd == AT_FDCWD ? readlink("/proc/self/cwd", out, PATH_MAX - 1) : readlink(link, out, PATH_MAX - 1);
	out[n > 0 ? n : 0] = 0;
}

static void path_below(int fd, const char *path, char out[PATH_MAX])
{
	char folder[PATH_MAX];
	int n = 0;
	if (path[0] == '/') {
		n = snprintf(out, PATH_MAX, "%s", path);
	} else {
		path_of(fd, folder);
		n = snprintf(out, PATH_MAX, "%s/%s", folder, path);
	}
	CHECK(n > 0 && n < PATH_MAX);
}

static unsigned long long inode_of(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

void trace_created(int fd)
{
	char path[PATH_MAX];
	int kept = errno;
	if (trace_fd >= 0) {
		path_of(fd, path);
		say("create\t%llu\t%s\n", inode_of(fd), path);
	}
	errno = kept;
}

void trace_folder(int fd, const char *path)
{
	char whole[PATH_MAX];
	struct stat st;
	int kept = errno;
	if (trace_fd >= 0) {
		path_below(fd, path, whole);
		say("folder\t%llu\t%s\n", fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ?
		    (unsigned long long)st.st_ino : 0, whole);
	}
	errno = kept;
}

void trace_named(const char *what, int from_fd, const char *from, int to_fd, const char *to)
{
	char old[PATH_MAX], new[PATH_MAX];
	int kept = errno;
	if (trace_fd >= 0) {
		path_below(from_fd, from, old);
		path_below(to_fd, to, new);
		say("%s\t%s\t%s\n", what, old, new);
	}
	errno = kept;
}

void trace_removed(int fd, const char *path)
{
	char whole[PATH_MAX];
	int kept = errno;
	if (trace_fd >= 0) {
		path_below(fd, path, whole);
		say("remove\t%s\n", whole);
	}
	errno = kept;
}

/* A line of its own memory: it may be long. */
static struct trace_sync line_new(size_t n)
{
	struct trace_sync s = { malloc(n), 0 };
	CHECK(s.line != NULL);
	return s;
}

static void add_hex(struct trace_sync *s, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		s->line[s->n++] = digits[p[i] >> 4];
		s->line[s->n++] = digits[p[i] & 15];
	}
	s->line[s->n++] = '\n';
}

void trace_written(int fd, const void *p, size_t n)
{
	int kept = errno;
	off_t end = trace_fd >= 0 ? lseek(fd, 0, SEEK_CUR) : -1;
	if (end >= 0) { /* neither a pipe nor a terminal */
		struct trace_sync s = line_new(2 * n + 80);
		s.n = (size_t)snprintf(s.line, 80, "write\t%llu\t%lld\t", inode_of(fd), (long long)end - (long long)n);
		add_hex(&s, p, n);
		append(s.line, s.n);
		free(s.line);
	}
	errno = kept;
}

static struct trace_sync folder_seen(int fd, const struct stat *st)
{
	char path[PATH_MAX];
	enum { SEEN_MAX = 8 << 20 };
	struct trace_sync s = line_new(SEEN_MAX);
	path_of(fd, path);
	s.n = (size_t)snprintf(s.line, SEEN_MAX, "settle\t%llu\t%s\t", (unsigned long long)st->st_ino, path);
	DIR *dir = opendir(path);
	for (struct dirent *x; dir && (x = readdir(dir)) != NULL;)
		if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0) {
			CHECK(s.n + sizeof x->d_name + 32 < SEEN_MAX);
			s.n += (size_t)snprintf(s.line + s.n, SEEN_MAX - s.n, "%llu:%s/", (unsigned long long)x->d_ino,
						x->d_name);
		}
	if (dir)
		closedir(dir);
	s.line[s.n++] = '\n';
	return s;
}

struct trace_sync trace_sync_begin(int fd)
{
	struct trace_sync s = { NULL, 0 };
	struct stat st;
	int kept = errno;
	if (trace_fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		s = folder_seen(fd, &st);
	} else if (trace_fd >= 0 && S_ISREG(st.st_mode)) {
		char path[PATH_MAX], name[64];
		size_t n = (size_t)st.st_size, got = 0;
		unsigned char *bytes = malloc(n + 1);
		path_of(fd, path);
		snprintf(name, sizeof name, "/proc/self/fd/%d", fd); /* the descriptor may be for writing only */
		int again = open(name, O_RDONLY | O_CLOEXEC);
		CHECK(bytes && again >= 0);
		for (ssize_t r; got < n && (r = pread(again, bytes + got, n - got, (off_t)got)) > 0;)
			got += (size_t)r;
		close(again);
		s = line_new(2 * got + PATH_MAX + 64);
		s.n = (size_t)snprintf(s.line, PATH_MAX + 64, "sync\t%llu\t%s\t", (unsigned long long)st.st_ino, path);
		add_hex(&s, bytes, got);
		free(bytes);
	}
	errno = kept;
	return s;
}

void trace_sync_end(struct trace_sync s, bool done)
{
	int kept = errno;
	if (s.line && done)
		append(s.line, s.n);
	free(s.line);
	errno = kept;
}
#endif
