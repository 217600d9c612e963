#include "base/buf.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CAP_FIRST = 64 };

char *buf_room(struct buf *b, size_t n)
{
	CHECK(b->n <= b->max || b->overflow);
	if (b->overflow || n > b->max - b->n) {
		b->overflow = true;
		return NULL;
	}
	size_t need = b->n + n;
	if (need >= PTRDIFF_MAX)
		mem_exhausted(need);
	if (need + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : CAP_FIRST;
		while (cap < need + 1)
			cap *= 2;
		/* Doubling must not take much more than the maximum, which may be chosen close to what there is. */
		if (b->max < PTRDIFF_MAX && cap > b->max + 1)
			cap = b->max + 1;
		b->p = mem_grow(b->p, b->cap, cap);
		b->cap = cap;
	}
	b->p[need] = '\0';
	return b->p + b->n;
}

bool buf_add_bytes(struct buf *b, const void *p, size_t n)
{
	/* The bytes may be the buffer's own, which move when it grows. */
	uintptr_t from = (uintptr_t)p, start = (uintptr_t)b->p;
	bool own = b->p && n > 0 && from >= start && from - start < b->n;
	char *room = buf_room(b, n);
	if (!room)
		return false;
	if (n > 0)
		memmove(room, own ? b->p + (from - start) : p, n);
	b->n += n;
	b->p[b->n] = '\0';
	return true;
}

bool buf_add(struct buf *b, struct str s)
{
	return buf_add_bytes(b, s.p, s.n);
}

bool buf_add_char(struct buf *b, char c)
{
	if (!b->overflow && b->n < b->max && b->n + 1 < b->cap) {
		b->p[b->n++] = c;
		b->p[b->n] = '\0';
		return true;
	}
	return buf_add_bytes(b, &c, 1);
}

bool buf_add_z(struct buf *b, const char *zero_terminated)
{
	return buf_add(b, str_from(zero_terminated));
}

bool buf_add_u64(struct buf *b, uint64_t v)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof digits;
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return buf_add_bytes(b, digits + at, sizeof digits - at);
}

bool buf_add_i64(struct buf *b, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%" PRId64, v);
	CHECK(n > 0 && (size_t)n < sizeof text);
	return buf_add_bytes(b, text, (size_t)n);
}

bool buf_vaddf(struct buf *b, const char *format, va_list args)
{
	char small[256];
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(small, sizeof small, format, args);
	CHECK(n >= 0);
	bool ok;
	if ((size_t)n < sizeof small) {
		ok = buf_add_bytes(b, small, (size_t)n);
	} else {
		/* Arguments may point into the buffer, so they are read into other memory first. */
		char *large = mem_alloc((size_t)n + 1);
		int m = vsnprintf(large, (size_t)n + 1, format, again);
		CHECK(m == n);
		ok = buf_add_bytes(b, large, (size_t)n);
		mem_free(large);
	}
	va_end(again);
	return ok;
}

bool buf_addf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	bool ok = buf_vaddf(b, format, args);
	va_end(args);
	return ok;
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
	if (b->p)
		b->p[0] = '\0';
}

void buf_free(struct buf *b)
{
	mem_free(b->p);
	*b = BUF_INIT(b->max);
}

struct str buf_str(const struct buf *b)
{
	/* After buf_room() the last byte may have been written by somebody who left no NUL behind it. */
	if (b->p && b->p[b->n] != '\0')
		b->p[b->n] = '\0';
	return (struct str){ b->p, b->n };
}

struct str buf_take(struct buf *b, struct arena *a)
{
	CHECK(!b->overflow);
	struct str text = arena_copy(a, buf_str(b));
	buf_free(b);
	return text;
}
