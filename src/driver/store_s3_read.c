/* Parts of objects. Who reads an object piece by piece gets more with each request than was asked for, and the next pieces
 * from memory; who jumps around gets what was asked for. */
#include "driver/store_s3_parts.h"

#include <inttypes.h>
#include <string.h>

enum { AHEAD_FIRST = 256 << 10, GAP_MAX = 64 << 10 };

static void window_drop(struct s3_window *w)
{
	mem_free((void *)(uintptr_t)w->key.p);
	mem_free(w->bytes);
	*w = (struct s3_window){ 0 };
}

void s3_windows_forget(struct s3 *s, struct str key)
{
	pthread_mutex_lock(&s->window_lock);
	for (size_t i = 0; i < S3_WINDOWS; i++)
		if (s->windows[i].key.p && (key.n == 0 || str_eq(s->windows[i].key, key)))
			window_drop(&s->windows[i]);
	pthread_mutex_unlock(&s->window_lock);
}

/* From memory; else *ahead says how much more than n is worth asking for: the reader goes on where it was. */
static bool window_serve(struct s3 *s, struct str key, uint64_t offset, char *p, size_t n, size_t *ahead)
{
	bool served = false;
	*ahead = 0;
	pthread_mutex_lock(&s->window_lock);
	for (size_t i = 0; i < S3_WINDOWS && !served; i++) {
		struct s3_window *w = &s->windows[i];
		if (w->key.p == NULL || !str_eq(w->key, key))
			continue;
		if (offset >= w->offset && offset - w->offset <= w->n && n <= w->n - (offset - w->offset)) {
			memcpy(p, w->bytes + (offset - w->offset), n);
			w->next = offset + n;
			w->used = ++s->window_clock;
			served = true;
		} else if (offset >= w->next && offset - w->next <= GAP_MAX) {
			*ahead = w->ahead ? w->ahead * 2 : AHEAD_FIRST;
			if (*ahead > S3_WINDOW_MAX)
				*ahead = S3_WINDOW_MAX;
			window_drop(w); /* its reader is here now; what comes takes its place */
		}
	}
	pthread_mutex_unlock(&s->window_lock);
	return served;
}

/* Notes where a reader is, with what it has not taken yet. */
static void window_keep(struct s3 *s, struct str key, uint64_t offset, struct str body, size_t n, size_t ahead)
{
	char *own_key = mem_alloc(key.n + 1), *bytes = NULL;
	memcpy(own_key, key.p, key.n);
	size_t kept = ahead > 0 && body.n > n ? body.n : 0;
	if (kept > 0) {
		bytes = mem_alloc(kept);
		memcpy(bytes, body.p, kept);
	}
	pthread_mutex_lock(&s->window_lock);
	struct s3_window *w = &s->windows[0];
	for (size_t i = 0; i < S3_WINDOWS && w->key.p; i++)
		if (s->windows[i].key.p == NULL || s->windows[i].used < w->used)
			w = &s->windows[i];
	window_drop(w);
	*w = (struct s3_window){ .key = { own_key, key.n }, .offset = offset, .next = offset + n, .n = kept, .ahead = ahead,
				 .bytes = bytes, .used = ++s->window_clock };
	pthread_mutex_unlock(&s->window_lock);
}

static bool too_short(struct s3 *s, struct str key, uint64_t offset, size_t n, struct err *e)
{
	return err_set(e, ERR_DAMAGE, "%.*s/%.*s: too short to read %zu bytes at %" PRIu64, STR_ARG(s->store.url),
		       STR_ARG(key), n, offset);
}

static bool range_get(struct s3 *s, struct str key, uint64_t offset, size_t n, size_t ahead, char *p, struct err *e)
{
	struct arena a = ARENA_INIT;
	uint64_t last = offset + n - 1, from = 0, to, size;
	last = UINT64_MAX - last > ahead ? last + ahead : last;
	struct s3_call c = { .name = "GetObject", .method = STR("GET"), .key = key, .expects = { 404, 416 },
			     .max_body_bytes = last - offset + 1, .is_sound = s3_range_is_sound,
			     .range_first = offset, .range_last = last };
	s3_header(&c, "Range", arena_format(&a, "bytes=%" PRIu64 "-%" PRIu64, offset, last));
	bool ok = s3_call(s, &c, &a, e);
	if (ok && c.answer->status == 404) {
		ok = err_set(e, ERR_MISSING, "%.*s/%.*s: no such object", STR_ARG(s->store.url), STR_ARG(key));
	} else if (ok && c.answer->status == 416) {
		ok = too_short(s, key, offset, n, e);
	} else if (ok && (!s3_range_read(c.answer, &from, &to, &size) || from != offset)) {
		ok = s3_fail(s, key, ERR_STORAGE, e, "GetObject: %u, and not the part that was asked for", c.answer->status);
	} else if (ok && c.answer->body.n < n) {
		ok = too_short(s, key, offset, n, e);
	} else if (ok) {
		memcpy(p, c.answer->body.p, n);
		window_keep(s, key, offset, c.answer->body, n, ahead);
	}
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

bool s3_read_at(struct store *store, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	struct s3 *s = s3_of(store);
	size_t ahead = 0;
	uint64_t size;
	if (n == 0)
		return store->ops->size(store, key, &size, e);
	if (offset > UINT64_MAX - n)
		return too_short(s, key, offset, n, e);
	return window_serve(s, key, offset, p, n, &ahead) || range_get(s, key, offset, n, ahead, p, e);
}
