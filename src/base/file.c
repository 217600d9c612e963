#include "base/file.h"

#include "base/check.h"
#include "base/effect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNKNOWN_SIZE = 64 << 10, CHUNK_MAX = 1 << 30, DEPTH_MAX = 128 };

static bool fail(struct err *e, int sys_errno, const char *doing, const char *path)
{
	enum err_code code = sys_errno == ENOENT || sys_errno == ENOTDIR ? ERR_MISSING : ERR_STORAGE;
	return err_set_errno(e, code, sys_errno, "%s %s", doing, path);
}

/* Writing where a folder is missing is a failure of the storage: there is no "thing" that could be missing. */
static bool fail_write(struct err *e, int sys_errno, const char *doing, const char *path)
{
	return err_set_errno(e, ERR_STORAGE, sys_errno, "%s %s", doing, path);
}

/* ── reading ── */

static bool read_all(int fd, const char *path, size_t max_bytes, struct arena *a, struct str *out, struct err *e)
{
	struct stat st;
	if (sys_fstat(fd, &st) != 0)
		return fail(e, errno, "reading", path);
	/* The size is only a first guess: the file may grow while it is read, and /proc says 0. */
	size_t cap = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : UNKNOWN_SIZE, n = 0;
	if (cap > max_bytes)
		cap = max_bytes;
	char *p = arena_alloc(a, cap + 1); /* one more byte tells "all of it" from "more", then holds the NUL */
	for (;;) {
		ssize_t got = sys_read(fd, p + n, cap + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(e, errno, "reading", path);
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > max_bytes)
			return err_set(e, ERR_TOO_LARGE, "reading %s: more than %zu bytes", path, max_bytes);
		if (n > cap) {
			size_t wider = cap > max_bytes / 2 ? max_bytes : cap * 2;
			char *moved = arena_alloc(a, wider + 1);
			memcpy(moved, p, n);
			p = moved;
			cap = wider;
		}
	}
	*out = (struct str){ p, n };
	return true;
}

bool file_read(const char *path, size_t max_bytes, struct arena *a, struct str *out, struct err *e)
{
	CHECK(max_bytes < PTRDIFF_MAX);
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(e, errno, "opening", path);
	bool ok = read_all(fd, path, max_bytes, a, out, e);
	close(fd);
	return ok;
}

bool file_read_at(int fd, void *p, size_t n, uint64_t offset, struct err *e)
{
	uint64_t end;
	if (__builtin_add_overflow(offset, (uint64_t)n, &end) || end > INT64_MAX)
		return err_set(e, ERR_DAMAGE, "reading %zu bytes at offset %llu: no file is that long", n,
			       (unsigned long long)offset);
	for (size_t done = 0; done < n;) {
		size_t chunk = n - done < CHUNK_MAX ? n - done : CHUNK_MAX;
		ssize_t got = sys_pread(fd, (char *)p + done, chunk, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_errno(e, ERR_STORAGE, errno, "reading %zu bytes at offset %llu", n,
					     (unsigned long long)offset);
		if (got == 0)
			return err_set(e, ERR_DAMAGE, "reading %zu bytes at offset %llu: the file ends after %zu of them",
				       n, (unsigned long long)offset, done);
		done += (size_t)got;
	}
	return true;
}

bool file_exists(const char *path)
{
	struct stat st;
	return sys_stat(path, &st) == 0;
}

bool file_look(const char *path, bool *there, struct err *e)
{
	struct stat st;
	*there = sys_stat(path, &st) == 0;
	return *there || errno == ENOENT || errno == ENOTDIR || fail(e, errno, "looking at", path);
}

/* ── writing ── */

bool file_write_all(int fd, const void *p, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		size_t chunk = n - done < CHUNK_MAX ? n - done : CHUNK_MAX;
		ssize_t put = sys_write(fd, (const char *)p + done, chunk);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_set_errno(e, ERR_STORAGE, put < 0 ? errno : EIO, "writing %zu bytes, %zu written",
					     n, done);
		done += (size_t)put;
	}
	return true;
}

/* fd is closed whatever happens. */
static bool fill_and_close(int fd, struct str bytes, const char *path, struct err *e)
{
	bool ok = true;
	if (sys_fchmod(fd, 0644) != 0)
		ok = fail_write(e, errno, "setting the mode of", path);
	else if (!file_write_all(fd, bytes.p, bytes.n, e))
		ok = err_wrap(e, "writing %s", path);
	if (sys_close(fd) != 0 && ok)
		ok = fail_write(e, errno, "closing", path);
	return ok;
}

bool file_write(const char *path, struct str bytes, struct err *e)
{
	char temporary[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int folder_n = slash ? (int)(slash + 1 - path) : 0;
	/* Named after the folder, not the file, whose name may already be as long as names can be. */
	int n = snprintf(temporary, sizeof temporary, "%.*s.sluice-XXXXXX", folder_n, path);
	if (n < 0 || (size_t)n >= sizeof temporary)
		return fail_write(e, ENAMETOOLONG, "writing", path);
	int fd = sys_mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return fail_write(e, errno, "making a temporary file for", path);
	if (!fill_and_close(fd, bytes, path, e)) {
		sys_unlink(temporary);
		return false;
	}
	if (sys_rename(temporary, path) != 0) {
		int why = errno;
		sys_unlink(temporary);
		return fail_write(e, why, "putting in place", path);
	}
	return true;
}

/* ── folders ── */

/* Anything but success is judged by what is there: mkdir of an existing folder may also say EROFS or EACCES. */
static bool make_dir(const char *path, struct err *e)
{
	if (sys_mkdir(path, 0777) == 0)
		return true;
	int why = errno;
	struct stat st;
	bool seen = sys_stat(path, &st) == 0;
	if (seen && S_ISDIR(st.st_mode))
		return true;
	return fail_write(e, why != EEXIST ? why : seen ? ENOTDIR : errno, "making folder", path);
}

bool file_make_dirs(const char *path, struct err *e)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof part)
		return fail_write(e, n == 0 ? ENOENT : ENAMETOOLONG, "making folder", path);
	for (size_t i = 0; i <= n; i++) {
		part[i] = '\0';
		bool ends = i > 0 && part[i - 1] != '/' && (path[i] == '/' || path[i] == '\0');
		if (ends && !make_dir(part, e))
			return false;
		part[i] = path[i];
	}
	return true;
}

struct level {
	DIR *dir;
	bool removed_some;       /* in this pass over dir */
	char name[NAME_MAX + 1]; /* in the level above */
};

/* Opened without following a link. NULL with errno. */
static DIR *open_dir(int parent_fd, const char *name)
{
	int fd = sys_openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	DIR *dir = sys_fdopendir(fd);
	if (!dir) {
		int why = errno;
		close(fd);
		errno = why;
	}
	return dir;
}

/* Removes the next entry of the deepest level, or goes one level down or up. False with errno. */
static bool remove_step(struct level *levels, size_t *depth)
{
	struct level *at = &levels[*depth - 1];
	errno = 0;
	struct dirent *entry = sys_readdir(at->dir);
	if (!entry && errno != 0)
		return false;
	if (!entry && at->removed_some) { /* some file systems skip entries while others go: look again */
		at->removed_some = false;
		rewinddir(at->dir);
		return true;
	}
	if (!entry) {
		closedir(at->dir);
		if (--*depth == 0)
			return true;
		levels[*depth - 1].removed_some = true;
		return sys_unlinkat(dirfd(levels[*depth - 1].dir), at->name, AT_REMOVEDIR) == 0 || errno == ENOENT;
	}
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return true;
	if (sys_unlinkat(dirfd(at->dir), entry->d_name, 0) == 0 || errno == ENOENT) {
		at->removed_some = true;
		return true;
	}
	if (errno != EISDIR)
		return false;
	if (*depth == DEPTH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	struct level *down = &levels[*depth];
	size_t name_n = strlen(entry->d_name);
	CHECK(name_n < sizeof down->name);
	memcpy(down->name, entry->d_name, name_n + 1);
	down->removed_some = false;
	down->dir = open_dir(dirfd(at->dir), down->name);
	if (!down->dir)
		return false;
	(*depth)++;
	return true;
}

bool file_remove_tree(const char *path, struct err *e)
{
	DIR *top = open_dir(AT_FDCWD, path);
	if (!top && errno == ENOENT)
		return true;
	if (!top && (errno == ENOTDIR || errno == ELOOP)) {
		/* A file or a link; ENOTDIR may also mean that a part of the path above is a file: nothing there. */
		if (sys_unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
			return true;
		return fail_write(e, errno, "removing", path);
	}
	if (!top)
		return fail_write(e, errno, "removing", path);
	struct level *levels = mem_alloc(mem_size(DEPTH_MAX, sizeof *levels));
	size_t depth = 1;
	levels[0].dir = top;
	bool ok = true;
	while (ok && depth > 0)
		ok = remove_step(levels, &depth);
	int why = errno;
	while (depth > 0)
		closedir(levels[--depth].dir);
	mem_free(levels);
	if (ok && sys_rmdir(path) != 0 && errno != ENOENT) {
		why = errno;
		ok = false;
	}
	return ok ? true : fail_write(e, why, "removing", path);
}

bool file_make_scratch(const char *under, struct arena *a, char **path, struct err *e)
{
	const char *folder = under ? under : getenv("TMPDIR");
	if (!folder || !folder[0])
		folder = "/tmp";
	struct str name = arena_format(a, "%s/sluice-XXXXXX", folder);
	char *made = arena_zero_terminated(a, name);
	if (!sys_mkdtemp(made)) /* makes it with mode 0700 */
		return fail_write(e, errno, "making a scratch folder in", folder);
	*path = made;
	return true;
}

/* Interrupted is not failed; after any other answer it would be of no use to ask again. */
static bool sync_again(int fd)
{
	int r;
	do
		r = sys_fsync(fd);
	while (r == -1 && errno == EINTR);
	return r == 0;
}

bool file_settle(const char *path, uint64_t *size_bytes, struct err *e)
{
	struct arena a = ARENA_INIT;
	char *folder = arena_zero_terminated(&a, str_from(path)), *slash = strrchr(folder, '/');
	struct stat st;
	bool ok = false;
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), folder_fd;

	if (slash == folder)
		slash++;
	if (slash)
		*slash = '\0';
	folder_fd = sys_open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = fd >= 0 && folder_fd >= 0 && sync_again(fd) && sync_again(folder_fd) && sys_fstat(fd, &st) == 0;
	if (ok)
		*size_bytes = (uint64_t)st.st_size;
	else
		err_set_errno(e, ERR_STORAGE, errno, "%s: written, but it cannot be made durable", path);
	if (fd >= 0)
		close(fd);
	if (folder_fd >= 0)
		close(folder_fd);
	arena_free(&a);
	return ok;
}
