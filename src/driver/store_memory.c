/* Objects in a sorted array: a test's store, which can be told to refuse an effect or to lose its answer. */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "driver/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct object {
	struct str key, bytes;
	int64_t changed_us;
};

struct memory {
	struct store store;
	pthread_mutex_t lock;
	struct object *v; /* in byte order of the keys */
	size_t n, cap;
	uint64_t effects_left; /* 0: none fails */
	enum store_fault fault;
};

struct memory_writer {
	struct store_writer writer;
	struct buf bytes;
};

static struct memory *of(struct store *s)
{
	return (struct memory *)s;
}

static struct str copy_new(struct str s)
{
	char *p = mem_alloc(s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

static size_t place_of(const struct memory *m, struct str key, bool *found)
{
	size_t low = 0, high = m->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = str_cmp(m->v[middle].key, key);
		if (c == 0) {
			*found = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return low;
}

static struct object *find(const struct memory *m, struct str key)
{
	bool found;
	size_t i = place_of(m, key, &found);
	return found ? &m->v[i] : NULL;
}

static bool missing(const struct memory *m, struct str key, struct err *e)
{
	return err_set(e, ERR_MISSING, "%.*s/%.*s: no such object", STR_ARG(m->store.url), STR_ARG(key));
}

/* As on a disk: an object cannot have anything below it. */
static bool parents_are_folders(const struct memory *m, struct str key, struct err *e)
{
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] == '/' && find(m, str_sub(key, 0, i)))
			return err_set_errno(e, ERR_STORAGE, ENOTDIR, "%.*s/%.*s", STR_ARG(m->store.url), STR_ARG(key));
	return true;
}

static bool is_folder(const struct memory *m, struct str key)
{
	for (size_t i = 0; i < m->n; i++) {
		struct str k = m->v[i].key;
		if (k.n > key.n && k.p[key.n] == '/' && str_starts(k, key))
			return true;
	}
	return false;
}

static void insert(struct memory *m, size_t at, struct str key, struct str bytes)
{
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;
		m->v = mem_grow(m->v, mem_size(m->cap, sizeof *m->v), mem_size(cap, sizeof *m->v));
		m->cap = cap;
	}
	memmove(&m->v[at + 1], &m->v[at], (m->n - at) * sizeof *m->v);
	struct clock *clock = clock_system();
	m->v[at] = (struct object){ copy_new(key), copy_new(bytes), clock->wall_us(clock) };
	m->n++;
}

static enum store_fault fault_now(struct memory *m)
{
	if (m->effects_left == 0 || --m->effects_left > 0)
		return STORE_FAULT_NONE;
	return m->fault;
}

static bool refused(struct memory *m, struct str key, struct err *e)
{
	return err_set_errno(e, ERR_STORAGE, EIO, "%.*s/%.*s", STR_ARG(m->store.url), STR_ARG(key));
}

static bool create_locked(struct memory *m, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	enum store_fault fault = fault_now(m);
	if (fault == STORE_FAULT_REFUSE)
		return refused(m, key, e);
	if (!parents_are_folders(m, key, e))
		return false;
	bool found;
	size_t at = place_of(m, key, &found);
	bool exists = found || is_folder(m, key);
	if (!exists)
		insert(m, at, key, bytes);
	*out = fault == STORE_FAULT_LOST_ANSWER ? STORE_UNKNOWN : exists ? STORE_EXISTS : STORE_CREATED;
	return true;
}

static bool memory_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	bool ok = create_locked(m, key, bytes, out, e);
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static bool need_locked(struct memory *m, struct str key, struct object **out, struct err *e)
{
	if (!parents_are_folders(m, key, e))
		return false;
	*out = find(m, key);
	if (*out)
		return true;
	if (is_folder(m, key))
		return err_set_errno(e, ERR_STORAGE, EISDIR, "%.*s/%.*s", STR_ARG(m->store.url), STR_ARG(key));
	return missing(m, key, e);
}

static bool get_locked(struct memory *m, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a,
		       struct str *out, struct err *e)
{
	struct object *o;
	if (!need_locked(m, key, &o, e))
		return false;
	if (offset > o->bytes.n)
		return err_set(e, ERR_DAMAGE, "%.*s/%.*s: %zu bytes, %" PRIu64 " or more were expected",
			       STR_ARG(m->store.url), STR_ARG(key), o->bytes.n, offset);
	struct str part = str_sub(o->bytes, (size_t)offset, SIZE_MAX);
	if (part.n > max_bytes)
		return err_set(e, ERR_TOO_LARGE, "%.*s/%.*s: %zu bytes, at most %" PRIu64 " are read",
			       STR_ARG(m->store.url), STR_ARG(key), part.n, max_bytes);
	*out = arena_copy(a, part);
	return true;
}

static bool memory_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a,
		       struct str *out, struct err *e)
{
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	bool ok = get_locked(m, key, offset, max_bytes, a, out, e);
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static bool memory_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	struct object *o;
	bool ok = need_locked(m, key, &o, e);
	if (ok && (offset > o->bytes.n || n > o->bytes.n - offset))
		ok = err_set(e, ERR_DAMAGE, "%.*s/%.*s: %zu bytes, too few to read %zu at %" PRIu64,
			     STR_ARG(m->store.url), STR_ARG(key), o->bytes.n, n, offset);
	else if (ok && n)
		memcpy(p, o->bytes.p + offset, n);
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static bool memory_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	struct object *o;
	bool ok = need_locked(m, key, &o, e);
	if (ok)
		*out = o->bytes.n;
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

static void list_locked(struct memory *m, struct str folder, struct arena *a, struct store_listing *out)
{
	size_t skip = folder.n ? folder.n + 1 : 0;
	for (size_t i = 0; i < m->n; i++) {
		struct str key = m->v[i].key;
		if (key.n <= skip || !str_starts(key, folder) || (skip && key.p[folder.n] != '/'))
			continue;
		struct str rest = str_sub(key, skip, SIZE_MAX);
		struct str name = str_sub(rest, 0, str_find_char(rest, '/'));
		bool below = name.n < rest.n;
		if (below && out->n && out->v[out->n - 1].is_folder && str_eq(out->v[out->n - 1].name, name))
			continue;
		*arena_push(a, *out) = (struct store_item){
			.name = arena_copy(a, name),
			.is_folder = below,
			.size_bytes = below ? 0 : m->v[i].bytes.n,
			.changed_us = m->v[i].changed_us,
		};
	}
	if (out->n)
		qsort(out->v, out->n, sizeof *out->v, by_name);
}

static bool memory_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct memory *m = of(s);
	*out = (struct store_listing){ 0 };
	pthread_mutex_lock(&m->lock);
	bool ok = parents_are_folders(m, folder, e);
	if (ok && folder.n && find(m, folder))
		ok = err_set_errno(e, ERR_STORAGE, ENOTDIR, "%.*s/%.*s", STR_ARG(s->url), STR_ARG(folder));
	if (ok)
		list_locked(m, folder, a, out);
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static bool memory_list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out,
			    struct err *e)
{
	struct memory *m = of(s);
	(void)skip;
	(void)e;
	*out = (struct store_listing){ 0 };
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n; i++) {
		struct str key = m->v[i].key;
		if (key.n > folder.n && str_starts(key, folder) && key.p[folder.n] == '/')
			*arena_push(a, *out) = (struct store_item){ .name = arena_copy(a, str_sub(key, folder.n + 1, SIZE_MAX)),
								    .size_bytes = m->v[i].bytes.n,
								    .changed_us = m->v[i].changed_us };
	}
	pthread_mutex_unlock(&m->lock);
	return true;
}

static void remove_locked(struct memory *m, struct str key)
{
	bool found;
	size_t at = place_of(m, key, &found);
	if (!found)
		return;
	mem_free((void *)(uintptr_t)m->v[at].key.p);
	mem_free((void *)(uintptr_t)m->v[at].bytes.p);
	memmove(&m->v[at], &m->v[at + 1], (m->n - at - 1) * sizeof *m->v);
	m->n--;
}

static bool memory_remove(struct store *s, struct str key, struct err *e)
{
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	enum store_fault fault = fault_now(m);
	bool ok = fault == STORE_FAULT_NONE || refused(m, key, e);
	if (fault != STORE_FAULT_REFUSE) {
		if (ok && is_folder(m, key))
			ok = err_set_errno(e, ERR_STORAGE, EISDIR, "%.*s/%.*s", STR_ARG(s->url), STR_ARG(key));
		remove_locked(m, key);
	}
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static bool memory_settle(struct store *s, struct str key, struct err *e)
{
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	struct object *o;
	bool ok = fault_now(m) == STORE_FAULT_NONE || refused(m, key, e);
	if (ok)
		ok = need_locked(m, key, &o, e);
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static bool memory_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	(void)e;
	struct memory_writer *w = mem_alloc(sizeof *w);
	w->writer.store = s;
	w->bytes = BUF_INIT(SIZE_MAX / 4);
	*out = &w->writer;
	return true;
}

static bool memory_writer_add(struct store_writer *writer, struct str bytes, struct err *e)
{
	(void)e;
	CHECK(buf_add(&((struct memory_writer *)writer)->bytes, bytes));
	return true;
}

static void memory_writer_abort(struct store_writer *writer)
{
	struct memory_writer *w = (struct memory_writer *)writer;
	buf_free(&w->bytes);
	mem_free(w);
}

static bool finish_locked(struct memory *m, struct str bytes, struct str key, struct err *e)
{
	enum store_fault fault = fault_now(m);
	if (fault == STORE_FAULT_REFUSE)
		return refused(m, key, e);
	if (!parents_are_folders(m, key, e))
		return false;
	bool found;
	size_t at = place_of(m, key, &found);
	if (is_folder(m, key) || (found && !str_eq(m->v[at].bytes, bytes)))
		return err_set_errno(e, ERR_STORAGE, EEXIST, "%.*s/%.*s: it is there already, with other bytes",
				     STR_ARG(m->store.url), STR_ARG(key));
	if (!found)
		insert(m, at, key, bytes);
	return fault == STORE_FAULT_NONE || refused(m, key, e);
}

static bool memory_writer_finish(struct store_writer *writer, struct str key, struct err *e)
{
	struct memory *m = of(writer->store);
	pthread_mutex_lock(&m->lock);
	bool ok = finish_locked(m, buf_str(&((struct memory_writer *)writer)->bytes), key, e);
	pthread_mutex_unlock(&m->lock);
	memory_writer_abort(writer);
	return ok;
}

static bool memory_make_folder(struct store *s, struct str key, struct err *e)
{
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	bool ok = (fault_now(m) == STORE_FAULT_NONE || refused(m, key, e)) && parents_are_folders(m, key, e);
	if (ok && find(m, key))
		ok = err_set_errno(e, ERR_STORAGE, ENOTDIR, "%.*s/%.*s", STR_ARG(s->url), STR_ARG(key));
	pthread_mutex_unlock(&m->lock);
	return ok;
}

static void memory_close(struct store *s)
{
	struct memory *m = of(s);
	while (m->n)
		remove_locked(m, m->v[m->n - 1].key);
	mem_free(m->v);
	pthread_mutex_destroy(&m->lock);
	mem_free(m);
}

static bool memory_remove_folder(struct store *s, struct str key, struct err *e)
{
	(void)s;
	(void)key;
	(void)e;
	return true;
}

static bool memory_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e)
{
	(void)s;
	(void)before_us;
	(void)remove;
	(void)n;
	(void)bytes;
	(void)e;
	return true;
}

static const struct store_ops memory_ops = {
	.create = memory_create,
	.get = memory_get,
	.read_at = memory_read_at,
	.size = memory_size,
	.list = memory_list,
	.list_all = memory_list_all,
	.remove = memory_remove,
	.remove_folder = memory_remove_folder,
	.sweep = memory_sweep,
	.settle = memory_settle,
	.writer_open = memory_writer_open,
	.writer_add = memory_writer_add,
	.writer_finish = memory_writer_finish,
	.writer_abort = memory_writer_abort,
	.make_folder = memory_make_folder,
	.close = memory_close,
};

bool store_open_memory(struct store **out, struct err *e)
{
	(void)e;
	struct memory *m = mem_alloc(sizeof *m);
	m->store = (struct store){ .ops = &memory_ops, .url = STR("memory:") };
	CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
	*out = &m->store;
	return true;
}

void store_memory_fail(struct store *s, uint64_t nth_effect, enum store_fault fault)
{
	CHECK(s->ops == &memory_ops);
	struct memory *m = of(s);
	pthread_mutex_lock(&m->lock);
	m->effects_left = fault == STORE_FAULT_NONE ? 0 : nth_effect;
	m->fault = fault;
	pthread_mutex_unlock(&m->lock);
}
