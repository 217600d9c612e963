/* Large objects, written in pieces. Where the key is known from the beginning, full parts go out while the next is filled;
 * where it is made of the bytes themselves, as that of a segment is, they wait in memory up to one part, then in an
 * unnamed file of $TMPDIR, for the key. */
#include "driver/store_s3_parts.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_FIRST = 64 << 10, COMPARED_BYTES = 1 << 20 };

struct s3_writer {
	struct store_writer writer; /* first */
	struct str key;  /* own memory; NULL: not known yet */
	char *part;      /* what was added last, less than a part */
	size_t n, cap;
	uint64_t size_bytes;
	struct sha256_state sha;
	int spill_fd;    /* -1: nothing was spilled; whole parts only */
	uint64_t spilled;
	struct s3_multipart *multipart;
	bool failed;
};

static bool writer_new(struct store *s, struct str key, struct store_writer **out, struct err *e)
{
	if (!s3_ready_to_write(s3_of(s), e))
		return false;
	struct s3_writer *w = mem_alloc(sizeof *w);
	w->writer.store = s;
	w->spill_fd = -1;
	sha256_begin(&w->sha);
	if (key.n > 0) {
		char *p = mem_alloc(key.n);
		memcpy(p, key.p, key.n);
		w->key = (struct str){ p, key.n };
	}
	*out = &w->writer;
	return true;
}

bool s3_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	return writer_new(s, STR_NONE, out, e);
}

bool s3_writer_open_named(struct store *s, struct str key, struct store_writer **out, struct err *e)
{
	return writer_new(s, key, out, e);
}

static void writer_free(struct s3_writer *w)
{
	if (w->spill_fd >= 0)
		sys_close(w->spill_fd);
	mem_free((void *)(uintptr_t)w->key.p);
	mem_free(w->part);
	mem_free(w);
}

void s3_writer_abort(struct store_writer *writer)
{
	struct s3_writer *w = (struct s3_writer *)writer;
	if (w->multipart)
		s3_multipart_abort(w->multipart);
	writer_free(w);
}

/* ── spilling ── */

static bool spill_open(struct s3_writer *w, struct err *e)
{
	struct arena a = ARENA_INIT;
	const char *folder = getenv("TMPDIR");
	struct str path = arena_format(&a, "%s/sluice-object-XXXXXX", folder && *folder ? folder : "/tmp");
	char *name = arena_zero_terminated(&a, path);
	w->spill_fd = sys_mkostemp(name, O_CLOEXEC);
	bool ok = w->spill_fd >= 0 || err_set_errno(e, ERR_STORAGE, errno, "%s: a temporary file cannot be made", name);
	if (ok)
		sys_unlink(name); /* it goes with its descriptor */
	arena_free(&a);
	return ok;
}

static bool spill(struct s3_writer *w, struct err *e)
{
	if ((w->spill_fd < 0 && !spill_open(w, e)) || !file_write_all(w->spill_fd, w->part, w->n, e))
		return err_wrap(e, "%.*s: what waits for its upload", STR_ARG(w->writer.store->url));
	w->spilled += w->n;
	w->n = 0;
	return true;
}

/* The part at hand goes out; a new one takes its place. */
static bool part_send(struct s3_writer *w, struct err *e)
{
	struct s3 *s = s3_of(w->writer.store);
	if (!w->multipart && !s3_multipart_begin(s, w->key, &w->multipart, e))
		return false;
	char *own = w->part;
	size_t n = w->n;
	w->part = NULL;
	w->n = w->cap = 0;
	return s3_multipart_add(w->multipart, own, n, e);
}

static void part_grow(struct s3_writer *w, size_t wanted, size_t max)
{
	size_t cap = w->cap ? w->cap : BUFFER_FIRST;
	if (w->multipart || w->spill_fd >= 0)
		cap = max; /* it will be full as its predecessors were */
	while (cap < w->n + wanted && cap < max)
		cap *= 2;
	if (cap > max)
		cap = max;
	if (cap > w->cap) {
		w->part = mem_grow(w->part, w->cap, cap);
		w->cap = cap;
	}
}

bool s3_writer_add(struct store_writer *writer, struct str bytes, struct err *e)
{
	struct s3_writer *w = (struct s3_writer *)writer;
	size_t max = s3_of(writer->store)->o.part_bytes;
	if (w->failed)
		return err_set(e, ERR_STORAGE, "%.*s: an earlier write of this object failed", STR_ARG(writer->store->url));
	sha256_add_str(&w->sha, bytes);
	w->size_bytes += bytes.n;
	while (bytes.n > 0) {
		/* A full part waits for the byte after it: the last part must not be empty. */
		if (w->n == max && !(w->key.p ? part_send(w, e) : spill(w, e))) {
			w->failed = true;
			return false;
		}
		size_t n = bytes.n < max - w->n ? bytes.n : max - w->n;
		part_grow(w, n, max);
		n = n < w->cap - w->n ? n : w->cap - w->n;
		memcpy(w->part + w->n, bytes.p, n);
		w->n += n;
		bytes = str_sub(bytes, n, SIZE_MAX);
	}
	return true;
}

/* ── the end ── */

static bool unspill(struct s3_writer *w, struct str key, struct err *e)
{
	size_t max = s3_of(w->writer.store)->o.part_bytes;
	if (!s3_multipart_begin(s3_of(w->writer.store), key, &w->multipart, e))
		return false;
	for (uint64_t at = 0; at < w->spilled; at += max) {
		char *own = mem_alloc(max);
		if (!file_read_at(w->spill_fd, own, max, at, e)) {
			mem_free(own);
			return err_wrap(e, "%.*s/%.*s: what waited for its upload", STR_ARG(w->writer.store->url), STR_ARG(key));
		}
		if (!s3_multipart_add(w->multipart, own, max, e))
			return false;
	}
	return true;
}

/* Is what lies under the key what we wanted to put there? */
static bool same_bytes(struct store *store, struct str key, uint64_t size_bytes, struct sha256 want, bool *same, struct err *e)
{
	uint64_t there;
	*same = false;
	if (!store->ops->size(store, key, &there, e))
		return false;
	if (there != size_bytes)
		return true;
	struct sha256_state state;
	char *piece = mem_alloc(COMPARED_BYTES);
	bool ok = true;
	sha256_begin(&state);
	for (uint64_t at = 0; ok && at < size_bytes; at += COMPARED_BYTES) {
		size_t n = size_bytes - at < COMPARED_BYTES ? (size_t)(size_bytes - at) : COMPARED_BYTES;
		ok = s3_read_at(store, key, at, piece, n, e);
		sha256_add(&state, piece, n);
	}
	mem_free(piece);
	*same = ok && sha256_eq(sha256_end(&state), want);
	return ok;
}

static bool upload(struct s3_writer *w, struct str key, struct sha256 hash, bool *exists, bool *lost, struct err *e)
{
	struct s3 *s = s3_of(w->writer.store);
	if (!w->multipart && w->spill_fd < 0)
		return s3_put(s, key, (struct str){ w->part, w->n }, hash, exists, lost, e);
	if ((!w->multipart && !unspill(w, key, e)) || (w->n > 0 && !part_send(w, e)))
		return false;
	struct s3_multipart *m = w->multipart;
	w->multipart = NULL; /* freed by its end */
	return s3_multipart_end(m, w->size_bytes, exists, lost, e);
}

static bool finish(struct s3_writer *w, struct str key, struct err *e)
{
	struct store *store = w->writer.store;
	struct err why = ERR_INIT;
	bool exists = false, lost = false, same = false;
	uint64_t ignored;
	if (w->failed)
		return err_set(e, ERR_STORAGE, "%.*s/%.*s: an earlier write failed", STR_ARG(store->url), STR_ARG(key));
	struct sha256 want = sha256_end(&w->sha);
	s3_windows_forget(s3_of(store), key);
	if (s3_of(store)->condition == S3_LOOK_FIRST) {
		exists = store->ops->size(store, key, &ignored, &why);
		if (!exists && why.code != ERR_MISSING) {
			*e = why;
			return false;
		}
	}
	if (!exists && !upload(w, key, want, &exists, &lost, e) && !lost)
		return false;
	if (!exists && !lost)
		return true;
	if (!same_bytes(store, key, w->size_bytes, want, &same, &why)) {
		if (!lost) /* else e says why the upload failed, which is the cause */
			*e = why;
		return false;
	}
	return same || err_set_errno(e, ERR_STORAGE, EEXIST, "%.*s/%.*s: it is there already, with other bytes", STR_ARG(store->url),
				     STR_ARG(key));
}

bool s3_writer_finish(struct store_writer *writer, struct str key, struct err *e)
{
	struct s3_writer *w = (struct s3_writer *)writer;
	CHECK(w->key.p == NULL || str_eq(w->key, key));
	bool ok = finish(w, key, e);
	s3_writer_abort(writer);
	return ok;
}
