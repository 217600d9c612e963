/* A folder of the local disk. Each key is walked part by part from the root's descriptor with O_NOFOLLOW, so neither a
 * link nor a folder swapped in the middle of a run leads out of the lake.
 *
 * A name counts as durable after an fsync of the folder that holds it. Folders that this process made or settled are
 * remembered, so a steady stream of creates costs two fsyncs each: the file and its folder. */
#include "driver/store_disk.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool disk_fail(const struct disk *d, struct str key, int sys_errno, struct err *e)
{
	if (sys_errno == ENOENT)
		return err_set(e, ERR_MISSING, "%.*s/%.*s: no such object", STR_ARG(d->store.url), STR_ARG(key));
	if (sys_errno == ELOOP || sys_errno == ENOTDIR)
		return err_set_errno(e, ERR_STORAGE, sys_errno, "%.*s/%.*s: links are never followed, and an object has "
				     "nothing below it", STR_ARG(d->store.url), STR_ARG(key));
	return err_set_errno(e, ERR_STORAGE, sys_errno, "%.*s/%.*s", STR_ARG(d->store.url), STR_ARG(key));
}

void disk_close_fd(int fd)
{
	int kept = errno;
	if (fd >= 0)
		close(fd);
	errno = kept;
}

/* ── folders known to be durable ── */

static bool known_has(struct disk *d, struct str folder)
{
	pthread_mutex_lock(&d->lock);
	bool found = false;
	size_t mask = d->known_cap - 1;
	for (size_t i = d->known_cap ? hash_fast(folder, 0) & mask : 0; d->known_cap; i = (i + 1) & mask) {
		if (!d->known[i].p)
			break;
		if (str_eq(d->known[i], folder)) {
			found = true;
			break;
		}
	}
	pthread_mutex_unlock(&d->lock);
	return found;
}

static void known_put(struct str *table, size_t cap, struct str folder)
{
	size_t i = hash_fast(folder, 0) & (cap - 1);
	while (table[i].p && !str_eq(table[i], folder))
		i = (i + 1) & (cap - 1);
	table[i] = folder;
}

static void known_add(struct disk *d, struct str folder)
{
	pthread_mutex_lock(&d->lock);
	if (d->known_n * 2 >= d->known_cap) {
		size_t cap = d->known_cap ? d->known_cap * 2 : 64;
		struct str *table = mem_alloc(mem_size(cap, sizeof *table));
		for (size_t i = 0; i < d->known_cap; i++)
			if (d->known[i].p)
				known_put(table, cap, d->known[i]);
		mem_free(d->known);
		d->known = table;
		d->known_cap = cap;
	}
	known_put(d->known, d->known_cap, arena_copy(&d->arena, folder));
	d->known_n++; /* an upper bound: two threads may add the same folder */
	pthread_mutex_unlock(&d->lock);
}

/* ── fsync ── */

static bool sync_file(int fd)
{
	int r;
	do
		r = sys_fsync(fd);
	while (r == -1 && errno == EINTR);
	return r == 0;
}

/* Of a folder, or of an object that others can see. After a failure the kernel drops the dirty pages and the next
 * fsync answers 0, so a failure holds for the rest of the process. */
static bool sync_visible(struct disk *d, int fd)
{
	int failed = atomic_load(&d->sync_errno);
	if (failed == 0 && sync_file(fd))
		return true;
	if (failed == 0) {
		failed = errno;
		atomic_store(&d->sync_errno, failed);
	}
	errno = failed;
	return false;
}

static bool sync_failed(const struct disk *d, struct str key, struct err *e)
{
	return err_set_errno(e, ERR_STORAGE, errno, "%.*s/%.*s: fsync failed, so it is not known what is on the disk",
			     STR_ARG(d->store.url), STR_ARG(key));
}

/* ── the walk ── */

/* One part of a path; -1 with errno. */
static int walk_step(struct disk *d, int parent, const char *name, struct str folder, enum disk_walk how, bool *sync_bad)
{
	bool known = how != WALK_FIND && known_has(d, folder);
	for (int attempt = 0; attempt < 2; attempt++) {
		if (how == WALK_MAKE && !known && sys_mkdirat(parent, name, 0777) == -1 && errno != EEXIST)
			return -1;
		int fd = sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd == -1 && errno == ENOENT && known) {
			known = false; /* somebody removed it since */
			continue;
		}
		if (fd == -1 || how == WALK_FIND || known)
			return fd;
		if (!sync_visible(d, parent)) {
			*sync_bad = true;
			disk_close_fd(fd);
			return -1;
		}
		known_add(d, folder);
		return fd;
	}
	errno = ENOENT;
	return -1;
}

/* The whole way in one call, for reading; false where the kernel (before 5.6) or a sandbox does not know it. */
static bool open_beneath(const struct disk *d, struct str folder, int *fd)
{
	char path[1025];
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	memcpy(path, folder.p, folder.n);
	path[folder.n] = 0;
	*fd = (int)sys_syscall(SYS_openat2, d->root_fd, path, &how, sizeof how);
	return *fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EINVAL && errno != EAGAIN);
}

bool disk_walk_folder(struct disk *d, struct str folder, enum disk_walk how, int *out, bool *sync_bad)
{
	if (how == WALK_FIND && folder.n > 0 && open_beneath(d, folder, out))
		return *out >= 0;
	/* Opened anew: a duplicate would share its place in the listing with every other one. */
	int fd = sys_openat(d->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct str rest = folder, part;
	while (fd >= 0 && str_cut(&rest, '/', &part)) {
		char name[256];
		memcpy(name, part.p, part.n);
		name[part.n] = 0;
		struct str so_far = { folder.p, (size_t)(part.p + part.n - folder.p) };
		int next = walk_step(d, fd, name, so_far, how, sync_bad);
		disk_close_fd(fd);
		fd = next;
	}
	*out = fd;
	return fd >= 0;
}

struct place {
	int folder_fd;
	char name[256];
};

/* The folder of a key, opened, and the key's last part. */
static bool walk_key(struct disk *d, struct str key, enum disk_walk how, struct place *out, struct err *e)
{
	size_t at = key.n;
	while (at > 0 && key.p[at - 1] != '/')
		at--;
	memcpy(out->name, key.p + at, key.n - at);
	out->name[key.n - at] = 0;
	bool sync_bad = false;
	if (disk_walk_folder(d, str_sub(key, 0, at ? at - 1 : 0), how, &out->folder_fd, &sync_bad))
		return true;
	return sync_bad ? sync_failed(d, key, e) : disk_fail(d, key, errno, e);
}

/* Non-blocking, since opening a pipe that somebody left there would wait for ever. */
static int open_object(int folder_fd, const char *name, struct stat *st)
{
	int fd = sys_openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return -1;
	bool seen = sys_fstat(fd, st) == 0;
	if (seen && S_ISREG(st->st_mode))
		return fd;
	if (seen)
		errno = EISDIR;
	disk_close_fd(fd);
	return -1;
}

static bool open_key(struct disk *d, struct str key, int *fd, struct stat *st, struct err *e)
{
	struct place place;
	if (!walk_key(d, key, WALK_FIND, &place, e))
		return false;
	*fd = open_object(place.folder_fd, place.name, st);
	disk_close_fd(place.folder_fd);
	return *fd >= 0 || disk_fail(d, key, errno, e);
}

/* ── temporary files ── */

static int tmp_folder(struct disk *d, bool again)
{
	pthread_mutex_lock(&d->lock);
	if (d->tmp_fd == -1 || again) {
		int fd = -1;
		if (sys_mkdirat(d->root_fd, ".tmp", 0777) == 0 || errno == EEXIST)
			fd = sys_openat(d->root_fd, ".tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* The old one, if any, may be in use by another thread: dup3 replaces it in one step. */
		if (d->tmp_fd == -1)
			d->tmp_fd = fd;
		else if (fd >= 0) {
			sys_dup3(fd, d->tmp_fd, O_CLOEXEC);
			close(fd);
		}
	}
	int fd = d->tmp_fd;
	pthread_mutex_unlock(&d->lock);
	return fd;
}

bool disk_tmp_open(struct disk *d, struct disk_tmp *t, struct err *e)
{
	t->fd = -1;
	for (int attempt = 0; attempt < 100 && t->fd == -1; attempt++) {
		uint64_t random = 0;
		if (getrandom(&random, sizeof random, 0) != sizeof random)
			random = 0;
		int n = snprintf(t->name, sizeof t->name, "%d-%" PRIu64 "-%016" PRIx64, (int)getpid(),
				 atomic_fetch_add(&d->counter, 1), random);
		CHECK(n > 0 && (size_t)n < sizeof t->name);
		int folder = tmp_folder(d, attempt == 1);
		if (folder == -1)
			break;
		t->fd = sys_openat(folder, t->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (t->fd == -1 && errno != EEXIST && errno != EINTR && !(errno == ENOENT && attempt == 0))
			break;
	}
	return t->fd >= 0 || err_set_errno(e, ERR_STORAGE, errno, "%.*s/.tmp: a temporary file cannot be made",
					   STR_ARG(d->store.url));
}

void disk_tmp_drop(struct disk *d, struct disk_tmp *t)
{
	disk_close_fd(t->fd);
	sys_unlinkat(d->tmp_fd, t->name, 0);
}

/* 1 published, 0 the name is taken, -1 with errno. */
static int tmp_link(struct disk *d, const struct disk_tmp *t, const struct place *to)
{
	if (sys_linkat(d->tmp_fd, t->name, to->folder_fd, to->name, 0) == 0)
		return 1;
	if (errno == EEXIST)
		return 0;
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
		return -1;
	if (sys_renameat2(d->tmp_fd, t->name, to->folder_fd, to->name, RENAME_NOREPLACE) == 0)
		return 1;
	return errno == EEXIST ? 0 : -1;
}

bool disk_tmp_publish(struct disk *d, struct disk_tmp *t, struct str key, bool *exists, struct err *e)
{
	struct place place = { .folder_fd = -1 };
	bool ok = false;
	if (!sync_file(t->fd)) {
		err_set_errno(e, ERR_STORAGE, errno, "%.*s/%.*s: fsync of the new object", STR_ARG(d->store.url),
			      STR_ARG(key));
	} else if (walk_key(d, key, WALK_MAKE, &place, e)) {
		int linked = tmp_link(d, t, &place);
		*exists = linked == 0;
		if (linked == -1 && (errno == EINVAL || errno == ENOSYS || errno == EPERM || errno == EOPNOTSUPP))
			err_set_errno(e, ERR_STORAGE, errno, "%.*s/%.*s: this file system has neither link(2) nor "
				      "renameat2(RENAME_NOREPLACE), so nothing can be created exactly once",
				      STR_ARG(d->store.url), STR_ARG(key));
		else if (linked == -1)
			err_set_errno(e, ERR_STORAGE, errno, "%.*s/%.*s: giving .tmp/%s its name", STR_ARG(d->store.url),
				      STR_ARG(key), t->name);
		else if (linked == 1 && !sync_visible(d, place.folder_fd))
			sync_failed(d, key, e);
		else
			ok = true;
	}
	disk_close_fd(place.folder_fd);
	disk_tmp_drop(d, t);
	return ok;
}

/* ── the calls ── */

static bool disk_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	struct disk *d = disk_of(s);
	struct disk_tmp t;
	if (!disk_tmp_open(d, &t, e))
		return false;
	if (!file_write_all(t.fd, bytes.p, bytes.n, e)) {
		disk_tmp_drop(d, &t);
		return err_wrap(e, "%.*s/%.*s", STR_ARG(s->url), STR_ARG(key));
	}
	bool exists = false;
	if (!disk_tmp_publish(d, &t, key, &exists, e))
		return false;
	*out = exists ? STORE_EXISTS : STORE_CREATED;
	return true;
}

static bool disk_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a,
		     struct str *out, struct err *e)
{
	int fd;
	struct stat st;
	if (!open_key(disk_of(s), key, &fd, &st, e))
		return false;
	uint64_t size = (uint64_t)st.st_size;
	bool ok;
	if (offset > size) {
		ok = err_set(e, ERR_DAMAGE, "%.*s/%.*s: %" PRIu64 " bytes, %" PRIu64 " or more were expected",
			     STR_ARG(s->url), STR_ARG(key), size, offset);
	} else if (size - offset > max_bytes) {
		ok = err_set(e, ERR_TOO_LARGE, "%.*s/%.*s: %" PRIu64 " bytes, at most %" PRIu64 " are read",
			     STR_ARG(s->url), STR_ARG(key), size - offset, max_bytes);
	} else {
		size_t n = (size_t)(size - offset);
		char *p = arena_alloc(a, n + 1);
		ok = file_read_at(fd, p, n, offset, e) || err_wrap(e, "%.*s/%.*s", STR_ARG(s->url), STR_ARG(key));
		*out = (struct str){ p, n };
	}
	close(fd);
	return ok;
}

static bool disk_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	int fd;
	struct stat st;
	if (!open_key(disk_of(s), key, &fd, &st, e))
		return false;
	bool ok = file_read_at(fd, p, n, offset, e) || err_wrap(e, "%.*s/%.*s", STR_ARG(s->url), STR_ARG(key));
	close(fd);
	return ok;
}

static bool disk_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	int fd;
	struct stat st;
	if (!open_key(disk_of(s), key, &fd, &st, e))
		return false;
	close(fd);
	*out = (uint64_t)st.st_size;
	return true;
}

static bool remove_name(struct store *s, struct str key, int flags, struct err *e)
{
	struct disk *d = disk_of(s);
	struct place place;
	struct err why = ERR_INIT;
	if (!walk_key(d, key, WALK_FIND, &place, &why)) {
		if (why.code != ERR_MISSING)
			*e = why;
		return why.code == ERR_MISSING;
	}
	int r = sys_unlinkat(place.folder_fd, place.name, flags), failed = errno;
	bool kept = flags == AT_REMOVEDIR && (failed == ENOTEMPTY || failed == EEXIST);
	disk_close_fd(place.folder_fd);
	return r == 0 || failed == ENOENT || kept || disk_fail(d, key, failed, e);
}

static bool disk_remove(struct store *s, struct str key, struct err *e)
{
	return remove_name(s, key, 0, e);
}

static bool disk_remove_folder(struct store *s, struct str key, struct err *e)
{
	return remove_name(s, key, AT_REMOVEDIR, e);
}

static bool disk_settle(struct store *s, struct str key, struct err *e)
{
	struct disk *d = disk_of(s);
	struct place place;
	if (!walk_key(d, key, WALK_SETTLE, &place, e))
		return false;
	struct stat st;
	int fd = open_object(place.folder_fd, place.name, &st);
	bool ok;
	if (fd == -1)
		ok = disk_fail(d, key, errno, e);
	else
		ok = (sync_visible(d, fd) && sync_visible(d, place.folder_fd)) || sync_failed(d, key, e);
	disk_close_fd(fd);
	disk_close_fd(place.folder_fd);
	return ok;
}

static bool disk_make_folder(struct store *s, struct str key, struct err *e)
{
	struct disk *d = disk_of(s);
	int fd;
	bool sync_bad = false;
	if (!disk_walk_folder(d, key, WALK_MAKE, &fd, &sync_bad))
		return sync_bad ? sync_failed(d, key, e) : disk_fail(d, key, errno, e);
	close(fd);
	return true;
}

static bool disk_path(struct store *s, struct str key, struct arena *a, char **out, struct err *e)
{
	struct disk *d = disk_of(s);
	struct place place;
	struct stat st;
	struct err why = ERR_INIT;
	bool there = walk_key(d, key, WALK_FIND, &place, &why);
	if (!there && why.code != ERR_MISSING) {
		*e = why;
		return false;
	}
	if (there) {
		/* Whoever opens the path will follow links; so there must be none. */
		bool is_link = sys_fstatat(place.folder_fd, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			       S_ISLNK(st.st_mode);
		disk_close_fd(place.folder_fd);
		if (is_link)
			return disk_fail(d, key, ELOOP, e);
	}
	*out = arena_zero_terminated(a, arena_format(a, "%s/%.*s", d->root, STR_ARG(key)));
	return true;
}

/* ── opening ── */

static void disk_close(struct store *s)
{
	struct disk *d = disk_of(s);
	disk_close_fd(d->tmp_fd);
	disk_close_fd(d->root_fd);
	pthread_mutex_destroy(&d->lock);
	mem_free(d->known);
	arena_free(&d->arena);
	mem_free(d);
}

static const struct store_ops disk_ops = {
	.create = disk_create,
	.get = disk_get,
	.read_at = disk_read_at,
	.size = disk_size,
	.list = disk_list,
	.list_names = disk_list_names,
	.remove = disk_remove,
	.remove_folder = disk_remove_folder,
	.sweep = disk_sweep,
	.settle = disk_settle,
	.writer_open = disk_writer_open,
	.writer_add = disk_writer_add,
	.writer_finish = disk_writer_finish,
	.writer_abort = disk_writer_abort,
	.path = disk_path,
	.make_folder = disk_make_folder,
	.close = disk_close,
};

static bool sync_parent(const char *path, struct arena *a)
{
	const char *slash = strrchr(path, '/');
	const char *parent = !slash ? "." : slash == path ? "/" :
		arena_zero_terminated(a, (struct str){ path, (size_t)(slash - path) });
	int fd = sys_open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && sync_file(fd);
	disk_close_fd(fd);
	return ok;
}

/* mkdir -p, each new name made durable. */
static bool make_root(const char *root, struct arena *a, struct err *e)
{
	char *path = arena_zero_terminated(a, str_from(root));
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = 0;
	for (char *p = path + 1; *path; p++) {
		char kept = *p;
		if (kept != '/' && kept != 0)
			continue;
		*p = 0;
		int r = sys_mkdir(path, 0777), failed = errno;
		/* Where nothing may be made, what is there already will do. */
		bool there = r == -1 && (failed == EEXIST || failed == EISDIR ||
					 ((failed == EROFS || failed == EACCES) && sys_access(path, F_OK) == 0));
		if (r == -1 && !there)
			return err_set_errno(e, ERR_STORAGE, failed, "%s: the folder cannot be made", path);
		if (r == 0 && !sync_parent(path, a))
			return err_set_errno(e, ERR_STORAGE, errno, "%s: fsync of the folder above", path);
		*p = kept;
		if (kept != 0)
			continue;
		if (r == -1)
			sync_parent(path, a); /* a run that started with us may have made it just now; best effort */
		break;
	}
	return true;
}

bool store_open_disk(const char *root, bool create_root, struct store **out, struct err *e)
{
	struct arena a = ARENA_INIT;
	if (create_root && !make_root(root, &a, e)) {
		arena_free(&a);
		return false;
	}
	int fd = sys_open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *real = fd >= 0 ? sys_realpath(root, NULL) : NULL;
	if (!real) {
		int failed = errno;
		disk_close_fd(fd);
		arena_free(&a);
		if (failed == ENOENT)
			return err_set(e, ERR_MISSING, "%s: there is no lake in this folder", root);
		return err_set_errno(e, ERR_STORAGE, failed, "%s", root);
	}
	struct disk *d = mem_alloc(sizeof *d);
	d->arena = a;
	d->store = (struct store){ .ops = &disk_ops, .abilities = STORE_CAN_PATH };
	d->store.url = arena_copy(&d->arena, str_from(root));
	d->root = arena_zero_terminated(&d->arena, str_from(real));
	d->root_fd = fd;
	d->tmp_fd = -1;
	free(real);
	if (create_root)
		disk_tmp_sweep(fd);
	CHECK(pthread_mutex_init(&d->lock, NULL) == 0);
	*out = &d->store;
	return true;
}
