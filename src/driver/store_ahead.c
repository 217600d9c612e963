#include "driver/store_ahead.h"

#include "base/check.h"
#include "base/str_map.h"
#include "driver/store_each.h"
#include "driver/store_reader.h"

#include <pthread.h>
#include <string.h>

static const uint64_t KEPT_BYTES = 64 << 20; /* of objects */

enum question { ASK_GET = 'g', ASK_LIST = 'l', ASK_NAMES = 'n', ASK_SIZE = 's' };

struct answer {
	bool is_there;
	struct str bytes; /* of ASK_GET */
	uint64_t size;
	struct store_listing list;
	struct err err;   /* where it is not there */
};

struct ahead {
	struct store_reader reader;
	struct store_reader recorder; /* over the same store: what is asked through it is kept */
	pthread_mutex_t lock;         /* of what follows */
	struct arena arena;
	struct str_map by_question;
	struct { struct answer **v; size_t n, cap; } answers;
	uint64_t kept_bytes;
	bool missed; /* something of a rehearsal is not among the answers */
};

static struct ahead *of(struct store *s)
{
	return (struct ahead *)s;
}

static struct ahead *of_recorder(struct store *s)
{
	return (struct ahead *)((char *)s - offsetof(struct ahead, recorder));
}

static struct store *in(struct ahead *x)
{
	return x->reader.inner;
}

/* ── what is kept ── */

static const struct answer *answer_find(struct ahead *x, enum question q, struct str key)
{
	struct arena a = ARENA_INIT;
	struct str name = arena_format(&a, "%c%.*s", (char)q, STR_ARG(key));
	pthread_mutex_lock(&x->lock);
	size_t at = str_map_get(&x->by_question, name);
	const struct answer *found = at == SIZE_MAX ? NULL : x->answers.v[at];
	pthread_mutex_unlock(&x->lock);
	arena_free(&a);
	return found; /* it stays where it is until the end */
}

static struct store_listing list_copy(const struct store_listing *l, struct arena *a)
{
	struct store_listing out = { 0 };
	for (size_t i = 0; i < l->n; i++) {
		struct store_item item = l->v[i];
		item.name = arena_copy(a, item.name);
		*arena_push(a, out) = item;
	}
	return out;
}

static void answer_keep(struct ahead *x, enum question q, struct str key, const struct answer *what)
{
	pthread_mutex_lock(&x->lock);
	struct str name = arena_format(&x->arena, "%c%.*s", (char)q, STR_ARG(key));
	if (what->bytes.n > KEPT_BYTES - x->kept_bytes)
		x->missed = true;
	else if (str_map_add(&x->by_question, name, x->answers.n, &x->arena)) {
		struct answer *own = arena_new(&x->arena, struct answer);
		*own = *what;
		own->bytes = arena_copy(&x->arena, what->bytes);
		own->list = list_copy(&what->list, &x->arena);
		x->kept_bytes += what->bytes.n;
		*arena_push(&x->arena, x->answers) = own;
	}
	pthread_mutex_unlock(&x->lock);
}

/* True: what was asked has an answer, though it may be that there is no such thing. */
static bool record(struct ahead *x, enum question q, struct str key, bool ok, struct answer *what, const struct err *e)
{
	what->is_there = ok;
	if (!ok && e->code != ERR_MISSING)
		return false;
	if (!ok)
		what->err = *e;
	answer_keep(x, q, key, what);
	return ok;
}

/* ── asked through the recorder ── */

static bool recorder_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a, struct str *out,
			 struct err *e)
{
	struct ahead *x = of_recorder(s);
	struct answer what = { 0 };
	if (offset > 0)
		return in(x)->ops->get(in(x), key, offset, max_bytes, a, out, e);
	bool ok = store_get(in(x), key, max_bytes, a, out, e);
	what.bytes = ok ? *out : STR_NONE;
	return record(x, ASK_GET, key, ok, &what, e);
}

static bool recorder_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	struct ahead *x = of_recorder(s);
	struct answer what = { 0 };
	bool ok = store_size(in(x), key, out, e);
	what.size = ok ? *out : 0;
	return record(x, ASK_SIZE, key, ok, &what, e);
}

static bool recorder_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct answer what = { 0 };
	bool ok = store_list(in(of_recorder(s)), folder, a, out, e);
	if (ok)
		what.list = *out;
	return record(of_recorder(s), ASK_LIST, folder, ok, &what, e);
}

static bool recorder_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct answer what = { 0 };
	bool ok = store_list_names(in(of_recorder(s)), folder, a, out, e);
	if (ok)
		what.list = *out;
	return record(of_recorder(s), ASK_NAMES, folder, ok, &what, e);
}

/* ── asked through what was opened ── */

static bool not_there(const struct answer *what, struct err *e)
{
	*e = what->err;
	return false;
}

static bool ahead_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a, struct str *out,
		      struct err *e)
{
	const struct answer *what = offset == 0 ? answer_find(of(s), ASK_GET, key) : NULL;
	if (!what || what->bytes.n > max_bytes)
		return in(of(s))->ops->get(in(of(s)), key, offset, max_bytes, a, out, e);
	if (!what->is_there)
		return not_there(what, e);
	*out = arena_copy(a, what->bytes);
	return true;
}

/* A piece of an object that is kept; whatever is wrong with what was asked for, the store says it. */
static bool ahead_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	const struct answer *what = answer_find(of(s), ASK_GET, key);
	if (!what || offset > what->bytes.n || n > what->bytes.n - offset)
		return store_read_at(in(of(s)), key, offset, p, n, e);
	if (n > 0)
		memcpy(p, what->bytes.p + offset, n);
	return true;
}

static bool ahead_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	const struct answer *what = answer_find(of(s), ASK_SIZE, key);
	if (!what)
		return store_size(in(of(s)), key, out, e);
	*out = what->size;
	return what->is_there || not_there(what, e);
}

static bool ahead_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	const struct answer *what = answer_find(of(s), ASK_LIST, folder);
	if (!what)
		return store_list(in(of(s)), folder, a, out, e);
	*out = list_copy(&what->list, a);
	return what->is_there || not_there(what, e);
}

static bool ahead_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	const struct answer *what = answer_find(of(s), ASK_NAMES, folder);
	if (!what)
		return store_list_names(in(of(s)), folder, a, out, e);
	*out = list_copy(&what->list, a);
	return what->is_there || not_there(what, e);
}

/* ── rehearsals ── */

struct rehearsal {
	struct ahead *ahead;
	bool (*ask)(void *user, size_t i, struct store *s);
	void *user;
};

/* One that fails does not stop the others: who really asks meets it in its turn. */
static bool rehearse_one(void *user, size_t i, struct err *e)
{
	struct rehearsal *r = user;
	(void)e;
	if (!r->ask(r->user, i, &r->ahead->recorder.store)) {
		pthread_mutex_lock(&r->ahead->lock);
		r->ahead->missed = true;
		pthread_mutex_unlock(&r->ahead->lock);
	}
	return true;
}

static bool rehearse(struct store *s, size_t n, size_t at_once, bool (*ask)(void *user, size_t i, struct store *s), void *user)
{
	struct rehearsal r = { of(s), ask, user };
	struct err ignored = ERR_INIT;
	of(s)->missed = false;
	store_each_of(in(of(s)), n, at_once, rehearse_one, &r, &ignored);
	return !of(s)->missed;
}

bool store_ahead_ask(struct store *s, size_t n, bool (*ask)(void *user, size_t i, struct store *s), void *user)
{
	return rehearse(s, n, STORE_AT_ONCE, ask, user);
}

struct gets {
	const struct str *keys;
	uint64_t max_bytes;
};

static bool ask_get(void *user, size_t i, struct store *s)
{
	const struct gets *g = user;
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct str text;
	bool ok = store_get(s, g->keys[i], g->max_bytes, &a, &text, &e) || e.code == ERR_MISSING;
	arena_free(&a);
	return ok;
}

bool store_ahead_get(struct store *s, const struct str *keys, size_t n, uint64_t max_bytes, size_t at_once)
{
	struct gets g = { keys, max_bytes };
	return rehearse(s, n, at_once, ask_get, &g);
}

/* ── opening ── */

static void ahead_close(struct store *s)
{
	struct ahead *x = of(s);
	pthread_mutex_destroy(&x->lock);
	arena_free(&x->arena);
	mem_free(x);
}

static void recorder_close(struct store *s)
{
	(void)s; /* it goes with the whole */
}

struct store *store_open_ahead(struct store *inner)
{
	CHECK(store_can_list_all(inner));
	struct ahead *x = mem_alloc(sizeof *x);
	store_reader_set_up(&x->reader, inner);
	store_reader_set_up(&x->recorder, inner);
	x->reader.ops.get = ahead_get;
	x->reader.ops.read_at = ahead_read_at;
	x->reader.ops.size = ahead_size;
	x->reader.ops.list = ahead_list;
	x->reader.ops.list_names = ahead_list_names;
	x->reader.ops.close = ahead_close;
	x->recorder.ops.get = recorder_get;
	x->recorder.ops.size = recorder_size;
	x->recorder.ops.list = recorder_list;
	x->recorder.ops.list_names = recorder_list_names;
	x->recorder.ops.close = recorder_close;
	CHECK(pthread_mutex_init(&x->lock, NULL) == 0);
	return &x->reader.store;
}
