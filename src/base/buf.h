/* A growing byte buffer with a maximum from birth: where bytes from outside collect.
 *
 *     struct buf b = BUF_INIT(64 << 20);
 *     if (!buf_add(&b, bytes)) ...            // it would have passed the maximum; nothing was added
 *     buf_free(&b);
 *
 * A buffer that has refused once keeps `overflow` set and refuses everything until buf_clear() or buf_free(), so that
 * a long run of buf_add() may be checked once at its end and never leaves a text with a hole. A NUL always stands after
 * the last byte (not counted in n) once anything was added. Bytes that are added may be the buffer's own. */
#ifndef SLUICE_BASE_BUF_H
#define SLUICE_BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap, max;
	bool overflow;
};

#define BUF_INIT(max_bytes) ((struct buf){ .max = (max_bytes) })

bool buf_add(struct buf *b, struct str s);
bool buf_add_bytes(struct buf *b, const void *p, size_t n);
bool buf_add_char(struct buf *b, char c);
bool buf_add_z(struct buf *b, const char *zero_terminated);
bool buf_add_u64(struct buf *b, uint64_t v);
bool buf_add_i64(struct buf *b, int64_t v);
bool buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vaddf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Room for n more bytes at the returned place; the caller then adds what it wrote to b->n. NULL past the maximum. Who
 * wrote fewer than n bytes and reads b->p without buf_str() sets the NUL. */
char *buf_room(struct buf *b, size_t n);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_free(struct buf *b);  /* may be used again */
struct str buf_str(const struct buf *b);
struct arena;
struct str buf_take(struct buf *b, struct arena *a); /* all that it holds, moved into the arena; that it is all is a CHECK */

#endif
