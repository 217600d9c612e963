#include "driver/store_view.h"

#include "base/check.h"
#include "driver/store_each.h"
#include "driver/store_reader.h"

#include <pthread.h>
#include <stdlib.h>

enum { BATCH = 8 * STORE_AT_ONCE }; /* objects read ahead */
static const uint64_t BATCH_BYTES = 16 << 20, KEPT_BYTES = 128 << 20;

struct kept {
	char *bytes; /* own memory; NULL: not here */
	bool wanted;
};

/* All that lies below one folder of the base. */
struct part {
	struct arena arena;
	struct str folder; /* with its '/' */
	struct store_listing all;
	struct kept *kept; /* one for each of `all` */
};

struct view {
	struct store_reader reader;
	struct arena arena;
	struct str base, skip; /* base with its '/' */
	pthread_mutex_t lock;  /* of what follows */
	struct {
		struct part **v;
		size_t n, cap;
	} parts;
	uint64_t kept_bytes;
};

static struct view *of(struct store *s)
{
	return (struct view *)s;
}

static struct store *in(struct store *s)
{
	return of(s)->reader.inner;
}

/* ── names ── */

static bool is_skipped(const struct view *v, struct str key)
{
	struct str part;
	while (v->skip.n > 0 && str_cut(&key, '/', &part))
		if (str_eq(part, v->skip))
			return true;
	return false;
}

static struct part *part_find(const struct view *v, struct str folder)
{
	for (size_t i = 0; i < v->parts.n; i++)
		if (str_eq(str_sub(v->parts.v[i]->folder, 0, v->parts.v[i]->folder.n - 1), folder))
			return v->parts.v[i];
	return NULL;
}

static struct part *part_list(const struct view *v, struct str folder, struct err *e)
{
	struct part *p = mem_alloc(sizeof *p);
	if (!store_list_all(v->reader.inner, folder, v->skip, &p->arena, &p->all, e)) {
		arena_free(&p->arena);
		mem_free(p);
		return NULL;
	}
	p->folder = arena_format(&p->arena, "%.*s/", STR_ARG(folder));
	p->kept = arena_array(&p->arena, struct kept, p->all.n + 1);
	return p;
}

/* The part that `key` lies in, or is; NULL (and true): it is none of the view's. */
static bool part_of(struct view *v, struct str key, struct part **out, struct err *e)
{
	*out = NULL;
	if (!str_starts(key, v->base) || is_skipped(v, key))
		return true;
	struct str folder = str_sub(key, 0, v->base.n + str_find_char(str_sub(key, v->base.n, SIZE_MAX), '/'));
	*out = part_find(v, folder);
	if (*out)
		return true;
	*out = part_list(v, folder, e);
	if (*out)
		*arena_push(&v->arena, v->parts) = *out;
	return *out != NULL;
}

/* The first one at or behind `name`. */
static size_t place_of(const struct part *p, struct str name)
{
	size_t low = 0, high = p->all.n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (str_cmp(p->all.v[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool item_find(const struct part *p, struct str key, size_t *at)
{
	struct str name = str_sub(key, p->folder.n, SIZE_MAX);
	*at = place_of(p, name);
	return *at < p->all.n && str_eq(p->all.v[*at].name, name);
}

/* ── lists ── */

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

static void list_part(const struct part *p, struct str below, struct arena *a, struct store_listing *out)
{
	bool in_order = true;
	for (size_t i = place_of(p, below); i < p->all.n && str_starts(p->all.v[i].name, below); i++) {
		struct str rest = str_sub(p->all.v[i].name, below.n, SIZE_MAX);
		struct store_item item = { .name = str_sub(rest, 0, str_find_char(rest, '/')) };
		const struct store_item *last = out->n > 0 ? &out->v[out->n - 1] : NULL;
		item.is_folder = item.name.n < rest.n;
		if (last && item.is_folder && last->is_folder && str_eq(last->name, item.name))
			continue;
		in_order = in_order && (!last || str_cmp(last->name, item.name) <= 0);
		item.name = arena_copy(a, item.name);
		item.size_bytes = item.is_folder ? 0 : p->all.v[i].size_bytes;
		item.changed_us = item.is_folder ? 0 : p->all.v[i].changed_us;
		*arena_push(a, *out) = item;
	}
	if (!in_order)
		qsort(out->v, out->n, sizeof *out->v, by_name);
}

static bool view_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct view *v = of(s);
	struct arena own = ARENA_INIT;
	struct part *p;
	*out = (struct store_listing){ 0 };
	pthread_mutex_lock(&v->lock);
	bool ok = part_of(v, folder, &p, e);
	if (ok && p) {
		struct str with_end = arena_format(&own, "%.*s/", STR_ARG(folder));
		list_part(p, str_sub(with_end, p->folder.n, SIZE_MAX), a, out);
	}
	pthread_mutex_unlock(&v->lock);
	arena_free(&own);
	return ok && (p || store_list(in(s), folder, a, out, e));
}

static bool view_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	struct view *v = of(s);
	struct part *p;
	size_t at = 0;
	pthread_mutex_lock(&v->lock);
	bool ok = part_of(v, key, &p, e), found = ok && p && item_find(p, key, &at);
	if (found)
		*out = p->all.v[at].size_bytes;
	pthread_mutex_unlock(&v->lock);
	return ok && (found || store_size(in(s), key, out, e));
}

struct folders {
	struct view *view;
	const struct str *v;
	struct part **parts;
};

static bool folder_list(void *user, size_t i, struct err *e)
{
	struct folders *f = user;
	f->parts[i] = part_list(f->view, f->v[i], e);
	return f->parts[i] != NULL;
}

bool store_view_list(struct store *s, const struct str *folders, size_t n, struct err *e)
{
	struct view *v = of(s);
	struct arena a = ARENA_INIT;
	struct folders f = { v, folders, arena_array(&a, struct part *, n + 1) };
	CHECK(store_is_view(s));
	pthread_mutex_lock(&v->lock);
	bool ok = v->parts.n == 0 && store_each(v->reader.inner, n, folder_list, &f, e);
	for (size_t i = 0; i < n; i++)
		if (f.parts[i])
			*arena_push(&v->arena, v->parts) = f.parts[i];
	pthread_mutex_unlock(&v->lock);
	arena_free(&a);
	return ok;
}

/* ── reading ahead ── */

struct batch {
	struct view *view;
	struct part *part;
	size_t at[BATCH], n;
};

/* What cannot be read stays away: whoever needs it asks for it, and is told why. */
static bool batch_read(void *user, size_t i, struct err *e)
{
	struct batch *b = user;
	struct arena a = ARENA_INIT;
	const struct store_item *item = &b->part->all.v[b->at[i]];
	struct str key = arena_format(&a, "%.*s%.*s", STR_ARG(b->part->folder), STR_ARG(item->name)), text;
	struct err ignored = ERR_INIT;
	(void)e;
	if (store_get(b->view->reader.inner, key, item->size_bytes, &a, &text, &ignored) && text.n == item->size_bytes) {
		char *own = mem_alloc(text.n + 1);
		memcpy(own, text.p, text.n);
		b->part->kept[b->at[i]].bytes = own;
	}
	arena_free(&a);
	return true;
}

static void forget(struct view *v)
{
	for (size_t i = 0; i < v->parts.n; i++)
		for (size_t k = 0; k < v->parts.v[i]->all.n; k++) {
			mem_free(v->parts.v[i]->kept[k].bytes);
			v->parts.v[i]->kept[k].bytes = NULL;
		}
	v->kept_bytes = 0;
}

/* From the one that is asked for on, what was announced and is not here. */
static void read_ahead(struct view *v, struct part *p, size_t first)
{
	struct batch b = { .view = v, .part = p };
	struct err ignored = ERR_INIT;
	uint64_t bytes = 0;
	if (v->kept_bytes > KEPT_BYTES)
		forget(v);
	for (size_t i = first; i < p->all.n && b.n < BATCH && bytes <= BATCH_BYTES; i++) {
		if (!p->kept[i].wanted || p->kept[i].bytes)
			continue;
		b.at[b.n++] = i;
		bytes += p->all.v[i].size_bytes;
	}
	store_each(v->reader.inner, b.n, batch_read, &b, &ignored);
	for (size_t i = 0; i < b.n; i++)
		v->kept_bytes += p->kept[b.at[i]].bytes ? p->all.v[b.at[i]].size_bytes : 0;
}

/* An object of the listing, from what is kept. One that was not announced is kept, too, once it was read: who opens a ledger
 * opens it again. */
static bool kept_get(struct view *v, struct str key, uint64_t max_bytes, struct arena *a, struct str *out, bool *found, struct err *e)
{
	struct part *p;
	size_t at;
	*found = false;
	if (!part_of(v, key, &p, e))
		return false;
	if (!p || !item_find(p, key, &at) || p->all.v[at].size_bytes > max_bytes || p->all.v[at].size_bytes > BATCH_BYTES)
		return true;
	if (!p->kept[at].bytes) {
		p->kept[at].wanted = true;
		read_ahead(v, p, at);
	}
	*found = p->kept[at].bytes != NULL;
	if (*found)
		*out = arena_copy(a, (struct str){ p->kept[at].bytes, (size_t)p->all.v[at].size_bytes });
	return true;
}

static bool view_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a, struct str *out,
		     struct err *e)
{
	struct view *v = of(s);
	bool ok = true, found = false;
	pthread_mutex_lock(&v->lock);
	if (offset == 0)
		ok = kept_get(v, key, max_bytes, a, out, &found, e);
	pthread_mutex_unlock(&v->lock);
	return ok && (found || in(s)->ops->get(in(s), key, offset, max_bytes, a, out, e));
}

bool store_view_ahead(struct store *s, struct str key, struct err *e)
{
	struct view *v = of(s);
	struct part *p;
	size_t at;
	CHECK(store_is_view(s));
	pthread_mutex_lock(&v->lock);
	bool ok = part_of(v, key, &p, e);
	if (ok && p && item_find(p, key, &at))
		p->kept[at].wanted = true;
	pthread_mutex_unlock(&v->lock);
	return ok;
}

/* ── opening ── */

static void view_close(struct store *s)
{
	struct view *v = of(s);
	forget(v);
	for (size_t i = 0; i < v->parts.n; i++) {
		arena_free(&v->parts.v[i]->arena);
		mem_free(v->parts.v[i]);
	}
	pthread_mutex_destroy(&v->lock);
	arena_free(&v->arena);
	mem_free(v);
}

bool store_is_view(const struct store *s)
{
	return s->ops->close == view_close;
}

struct store *store_open_view(struct store *inner, struct str base, struct str skip)
{
	CHECK(store_can_list_all(inner) && store_key_ok(base));
	struct view *v = mem_alloc(sizeof *v);
	store_reader_set_up(&v->reader, inner);
	v->reader.ops.get = view_get;
	v->reader.ops.size = view_size;
	v->reader.ops.list = v->reader.ops.list_names = view_list;
	v->reader.ops.close = view_close;
	v->base = arena_format(&v->arena, "%.*s/", STR_ARG(base));
	v->skip = arena_copy(&v->arena, skip);
	CHECK(pthread_mutex_init(&v->lock, NULL) == 0);
	return &v->reader.store;
}
