/* A store before another one, in which the n-th call of any kind fails: reading and listing, too, which the store in
 * memory never refuses. */
#ifndef SLUICE_TEST_STORE_FLAKY_H
#define SLUICE_TEST_STORE_FLAKY_H

#include "driver/store.h"

#include <errno.h>
#include <stdatomic.h>

/* GONE: as if somebody had removed it between two looks. */
enum flaky_how { FLAKY_REFUSE, FLAKY_LOSE, FLAKY_GONE, FLAKY_RIVAL /* nothing fails: somebody does something just before */ };

struct flaky {
	struct store store; /* first: what is tested gets this */
	struct store *inner;
	struct store_ops ops;
	_Atomic uint64_t n_calls, failed, fail_at; /* 0: none fails */
	uint64_t created;
	enum flaky_how how;
	bool creates_only;         /* only creations count and fail */
	bool rival_each;           /* a rival before each creation, fail_at or not */
	uint64_t refuse_after;     /* once the rival has come: the n-th call of any kind behind it is refused */
	void (*rival)(void *user); /* on the inner store */
	void *user;
};

static inline void flaky_arm(struct flaky *f, uint64_t fail_at, enum flaky_how how)
{
	f->n_calls = f->failed = 0;
	f->fail_at = fail_at;
	f->how = how;
}

static inline bool flaky_count(struct flaky *f)
{
	bool now = ++f->n_calls == f->fail_at || f->rival_each;
	f->failed += now;
	if (now && f->how == FLAKY_RIVAL) {
		f->rival(f->user);
		return false;
	}
	return now;
}

static inline bool flaky_now(struct flaky *f)
{
	if (f->failed > 0 && f->refuse_after > 0 && --f->refuse_after == 0) {
		f->how = FLAKY_REFUSE;
		return true;
	}
	return !f->creates_only && flaky_count(f);
}

static inline bool flaky_refuse(const struct flaky *f, struct str key, struct err *e)
{
	if (f->how == FLAKY_GONE)
		return err_set(e, ERR_MISSING, "flaky:/%.*s: no such object", STR_ARG(key));
	return err_set_errno(e, ERR_STORAGE, EIO, "flaky:/%.*s", STR_ARG(key));
}

#define FLAKY_CALL(store_, key, call) \
	struct flaky *f = (struct flaky *)(store_); \
	bool now = flaky_now(f); \
	if (now && f->how != FLAKY_LOSE) \
		return flaky_refuse(f, key, e); \
	bool ok = (call); \
	return now && ok ? flaky_refuse(f, key, e) : ok

static inline bool flaky_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	struct flaky *f = (struct flaky *)s;
	bool now = flaky_count(f);
	if (now && f->how == FLAKY_REFUSE)
		return flaky_refuse(f, key, e);
	if (now && f->how == FLAKY_GONE) { /* not done, and nobody can tell */
		*out = STORE_UNKNOWN;
		return true;
	}
	bool ok = f->inner->ops->create(f->inner, key, bytes, out, e);
	f->created += ok && *out == STORE_CREATED;
	if (now && ok)
		*out = STORE_UNKNOWN;
	return ok;
}

static inline bool flaky_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a,
			     struct str *out, struct err *e)
{
	FLAKY_CALL(s, key, f->inner->ops->get(f->inner, key, offset, max_bytes, a, out, e));
}

static inline bool flaky_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	FLAKY_CALL(s, key, f->inner->ops->read_at(f->inner, key, offset, p, n, e));
}

static inline bool flaky_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	FLAKY_CALL(s, key, f->inner->ops->size(f->inner, key, out, e));
}

static inline bool flaky_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	FLAKY_CALL(s, folder, f->inner->ops->list(f->inner, folder, a, out, e));
}

static inline bool flaky_list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out,
				  struct err *e)
{
	FLAKY_CALL(s, folder, f->inner->ops->list_all(f->inner, folder, skip, a, out, e));
}

static inline bool flaky_remove(struct store *s, struct str key, struct err *e)
{
	FLAKY_CALL(s, key, f->inner->ops->remove(f->inner, key, e));
}

static inline bool flaky_remove_folder(struct store *s, struct str key, struct err *e)
{
	FLAKY_CALL(s, key, f->inner->ops->remove_folder(f->inner, key, e));
}

static inline bool flaky_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e)
{
	FLAKY_CALL(s, STR(".tmp"), f->inner->ops->sweep(f->inner, before_us, remove, n, bytes, e));
}

static inline bool flaky_settle(struct store *s, struct str key, struct err *e)
{
	FLAKY_CALL(s, key, f->inner->ops->settle(f->inner, key, e));
}

static inline bool flaky_make_folder(struct store *s, struct str key, struct err *e)
{
	FLAKY_CALL(s, key, f->inner->ops->make_folder(f->inner, key, e));
}

static inline bool flaky_path(struct store *s, struct str key, struct arena *a, char **out, struct err *e)
{
	struct flaky *f = (struct flaky *)s;
	return f->inner->ops->path(f->inner, key, a, out, e);
}

struct flaky_writer {
	struct store_writer writer;
	struct store_writer *inner;
};

static inline bool flaky_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	struct flaky *f = (struct flaky *)s;
	struct store_writer *inner = NULL;
	if (flaky_now(f))
		return flaky_refuse(f, STR(".tmp"), e);
	if (!f->inner->ops->writer_open(f->inner, &inner, e))
		return false;
	struct flaky_writer *w = mem_alloc(sizeof *w);
	*w = (struct flaky_writer){ { s }, inner };
	*out = &w->writer;
	return true;
}

static inline bool flaky_writer_add(struct store_writer *writer, struct str bytes, struct err *e)
{
	struct flaky *f = (struct flaky *)writer->store;
	if (flaky_now(f))
		return flaky_refuse(f, STR(".tmp"), e);
	return f->inner->ops->writer_add(((struct flaky_writer *)writer)->inner, bytes, e);
}

static inline void flaky_writer_abort(struct store_writer *writer)
{
	struct flaky *f = (struct flaky *)writer->store;
	f->inner->ops->writer_abort(((struct flaky_writer *)writer)->inner);
	mem_free(writer);
}

static inline bool flaky_writer_finish(struct store_writer *writer, struct str key, struct err *e)
{
	struct flaky *f = (struct flaky *)writer->store;
	bool now = flaky_now(f);
	if (now && f->how != FLAKY_LOSE) {
		flaky_writer_abort(writer);
		return flaky_refuse(f, key, e);
	}
	bool ok = f->inner->ops->writer_finish(((struct flaky_writer *)writer)->inner, key, e);
	mem_free(writer);
	return now && ok ? flaky_refuse(f, key, e) : ok;
}

static inline void flaky_close(struct store *s)
{
	(void)s; /* the inner one belongs to who opened it */
}

static inline void flaky_init(struct flaky *f, struct store *inner)
{
	static const struct store_ops ops = {
		.create = flaky_create, .get = flaky_get, .read_at = flaky_read_at, .size = flaky_size, .list = flaky_list,
		.remove = flaky_remove, .remove_folder = flaky_remove_folder, .sweep = flaky_sweep, .settle = flaky_settle,
		.writer_open = flaky_writer_open, .writer_add = flaky_writer_add, .writer_finish = flaky_writer_finish,
		.writer_abort = flaky_writer_abort, .path = flaky_path, .make_folder = flaky_make_folder, .close = flaky_close,
	};
	*f = (struct flaky){ .store = { &f->ops, inner->abilities, inner->url }, .inner = inner, .ops = ops };
	if (store_can_list_all(inner))
		f->ops.list_all = flaky_list_all;
}

#endif
