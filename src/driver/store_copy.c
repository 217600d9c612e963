#include "driver/store_copy.h"

#include "base/effect.h"
#include "base/file.h"
#include "base/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ── from the store ── */

static bool refuse(const struct store_copy *c, const char *why, struct err *e)
{
	return err_set(e, ERR_DAMAGE, "%.*s: %s", STR_ARG(c->key), why);
}

static bool size_agrees(struct store *s, const struct store_copy *c, struct err *e)
{
	uint64_t size = 0;
	if (!store_size(s, c->key, &size, e))
		return e->code == ERR_MISSING ? refuse(c, "the file is not there", e) : false;
	return size == c->size_bytes || refuse(c, "it has another size than the table's log says", e);
}

static bool stopped(const volatile int *stop, struct err *e)
{
	if (stop == NULL || *stop == 0)
		return false;
	err_set(e, *stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
	return true;
}

static bool pieces_write(struct store *s, const struct store_copy *c, int fd, const volatile int *stop, struct sha256 *is,
			 struct err *e)
{
	struct sha256_state state;
	char *piece = mem_alloc(STORE_COPY_PIECE);
	bool ok = true;
	sha256_begin(&state);
	for (uint64_t at = 0; ok && at < c->size_bytes;) {
		size_t n = c->size_bytes - at < STORE_COPY_PIECE ? (size_t)(c->size_bytes - at) : (size_t)STORE_COPY_PIECE;
		ok = !stopped(stop, e) && store_read_at(s, c->key, at, piece, n, e);
		if (ok && !(ok = file_write_all(fd, piece, n, e)))
			err_wrap(e, "%s", c->path);
		if (ok)
			sha256_add(&state, piece, n);
		at += n;
	}
	*is = sha256_end(&state);
	mem_free(piece);
	return ok;
}

static bool bring_one(struct store *s, const struct store_copy *c, const volatile int *stop, struct err *e)
{
	char part[4096];
	struct sha256 is;
	int n = snprintf(part, sizeof part, "%s.part", c->path);
	if (n < 0 || (size_t)n >= sizeof part)
		return err_set(e, ERR_STORAGE, "%s: the path is too long", c->path);
	if (!size_agrees(s, c, e))
		return false;
	int fd = sys_open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return err_set_errno(e, ERR_STORAGE, errno, "%s", part);
	bool ok = pieces_write(s, c, fd, stop, &is, e);
	if (sys_close(fd) == -1 && ok)
		ok = err_set_errno(e, ERR_STORAGE, errno, "%s", part);
	if (ok && c->has_hash && !sha256_eq(is, c->hash))
		ok = refuse(c, "its bytes are not those that were published (SHA-256)", e);
	if (ok && c->is)
		*c->is = is;
	if (ok && sys_rename(part, c->path) == -1)
		ok = err_set_errno(e, ERR_STORAGE, errno, "%s", c->path);
	if (!ok)
		sys_unlink(part);
	return ok;
}

struct bringing {
	struct store *store;
	const struct store_copy *v;
	size_t n;
	const volatile int *stop;
	atomic_size_t next;
	atomic_bool failed;
	pthread_mutex_t lock; /* of what follows */
	size_t bad;
	struct err err;
};

struct carrier {
	struct pool_job job;
	struct bringing *all;
};

static void carry(struct pool_job *job)
{
	struct bringing *b = ((struct carrier *)job)->all;
	for (size_t i; !atomic_load(&b->failed) && (i = atomic_fetch_add(&b->next, 1)) < b->n;) {
		struct err e = ERR_INIT;
		if (bring_one(b->store, &b->v[i], b->stop, &e))
			continue;
		pthread_mutex_lock(&b->lock);
		if (i < b->bad) { /* of several the first, whoever was faster */
			b->bad = i;
			b->err = e;
		}
		pthread_mutex_unlock(&b->lock);
		atomic_store(&b->failed, true);
	}
}

static void carried(struct pool_job *job)
{
	(void)job;
}

bool store_bring(struct store *s, const struct store_copy *v, size_t n, const volatile int *stop, size_t *bad, struct err *e)
{
	struct bringing b = { .store = s, .v = v, .n = n, .stop = stop, .bad = SIZE_MAX, .err = ERR_INIT };
	struct carrier carriers[STORE_COPIES_AT_ONCE];
	unsigned threads = n < STORE_COPIES_AT_ONCE ? (unsigned)n : STORE_COPIES_AT_ONCE;
	if (n == 0)
		return true;
	pthread_mutex_init(&b.lock, NULL);
	struct pool *pool = pool_new(threads, NULL, NULL);
	for (unsigned i = 0; i < threads; i++) {
		carriers[i] = (struct carrier){ .job = { .work = carry, .done = carried }, .all = &b };
		pool_submit(pool, &carriers[i].job);
	}
	while (pool_pending(pool) > 0) {
		pool_wait(pool);
		pool_collect(pool);
	}
	pool_free(pool);
	pthread_mutex_destroy(&b.lock);
	if (b.bad == SIZE_MAX)
		return true;
	if (bad)
		*bad = b.bad;
	*e = b.err;
	return false;
}

/* ── to the store ── */

bool store_send(struct store *s, const char *path, struct str key, uint64_t *size_bytes, struct sha256 *hash, struct err *e)
{
	struct store_writer *w = NULL;
	struct sha256_state state;
	struct stat st;
	int fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || sys_fstat(fd, &st) == -1) {
		err_set_errno(e, ERR_STORAGE, errno, "%s", path);
		if (fd != -1)
			sys_close(fd);
		return false;
	}
	char *piece = mem_alloc(STORE_COPY_PIECE);
	uint64_t size = *size_bytes = (uint64_t)st.st_size;
	bool ok = store_writer_open(s, &w, e);
	sha256_begin(&state);
	for (uint64_t at = 0; ok && at < size;) {
		size_t n = size - at < STORE_COPY_PIECE ? (size_t)(size - at) : (size_t)STORE_COPY_PIECE;
		ok = file_read_at(fd, piece, n, at, e) && store_writer_add(w, (struct str){ piece, n }, e);
		if (ok)
			sha256_add(&state, piece, n);
		at += n;
	}
	*hash = sha256_end(&state);
	mem_free(piece);
	sys_close(fd);
	if (w && !ok)
		store_writer_abort(w);
	return ok && store_writer_finish(w, key, e);
}
