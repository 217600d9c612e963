#include "base/mem.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define MEM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_ASAN 1
#endif
#endif
#ifdef MEM_ASAN
#include <sanitizer/asan_interface.h>
enum { RED_ZONE = alignof(max_align_t) };
#define MEM_HIDE(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define MEM_SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
enum { RED_ZONE = 0 };
#define MEM_HIDE(p, n) ((void)0)
#define MEM_SHOW(p, n) ((void)0)
#endif

enum { ALIGN = alignof(max_align_t), BLOCK_FIRST = 4 << 10, BLOCK_LAST = 1 << 20, PUSH_FIRST = 8 };

/* ── single blocks ── */

static _Atomic uint64_t fail_after; /* allocations up to the one that fails, 0: none does */

void mem_fail_at(uint64_t nth)
{
	atomic_store(&fail_after, nth);
}

static bool must_fail(void)
{
	if (EFFECT_REFUSED(memory, calloc))
		return true;
	uint64_t left = atomic_load_explicit(&fail_after, memory_order_relaxed);
	while (left > 0)
		if (atomic_compare_exchange_weak(&fail_after, &left, left - 1))
			return left == 1;
	return false;
}

void *mem_alloc(size_t n)
{
	CHECK(n > 0);
	void *p = must_fail() || n > PTRDIFF_MAX ? NULL : calloc(1, n);
	if (!p)
		mem_exhausted(n);
	return p;
}

void *mem_grow(void *p, size_t old_n, size_t n)
{
	CHECK(n > 0 && (p != NULL || old_n == 0));
	void *grown = must_fail() || n > PTRDIFF_MAX ? NULL : realloc(p, n);
	if (!grown)
		mem_exhausted(n);
	return grown;
}

void mem_free(void *p)
{
	free(p);
}

/* No exit handlers: they may allocate, and nothing they could flush is worth more than what is on disk. */
_Noreturn void mem_exhausted(size_t wanted_bytes)
{
	char line[160];
	int n = snprintf(line, sizeof line, "sluice: out of memory: no room for %zu more bytes\n", wanted_bytes);
	if (n > 0 && (size_t)n < sizeof line) {
		ssize_t written = sys_say(STDERR_FILENO, line, (size_t)n);
		(void)written;
	}
	_exit(err_exit_status(ERR_MEMORY));
}

size_t mem_size(size_t count, size_t size_each)
{
	size_t n;
	if (__builtin_mul_overflow(count, size_each, &n))
		mem_exhausted(SIZE_MAX);
	return n;
}

/* ── arenas ── */

/* Bytes of `data` from `used` on are zero, and hidden from everybody under AddressSanitizer. */
struct arena_block {
	struct arena_block *older;
	size_t size;      /* of data */
	size_t used;      /* of data, a multiple of ALIGN */
	size_t next_size; /* of the next shared block, header included */
	bool alone;       /* made for one large allocation */
	void *adopted;    /* goes with the block; may be NULL */
	alignas(max_align_t) char data[];
};

static struct arena_block *block_new(size_t size, size_t next_size, bool alone)
{
	if (size > SIZE_MAX - sizeof(struct arena_block))
		mem_exhausted(size);
	struct arena_block *b = mem_alloc(sizeof *b + size);
	b->size = size;
	b->next_size = next_size;
	b->alone = alone;
	MEM_HIDE(b->data, size);
	return b;
}

static void block_free(struct arena_block *b)
{
	MEM_SHOW(b->data, b->size);
	mem_free(b->adopted);
	mem_free(b);
}

/* Behind the head, whose room is still good for others. */
static struct arena_block *block_add_alone(struct arena *a, size_t size)
{
	struct arena_block *b = block_new(size, a->head ? a->head->next_size : BLOCK_FIRST, true);
	struct arena_block **place = a->head ? &a->head->older : &a->head;
	b->older = *place;
	*place = b;
	return b;
}

void arena_adopt(struct arena *a, void *p, size_t n)
{
	if (!p)
		return;
	block_add_alone(a, 0)->adopted = p;
	a->used_bytes += n;
}

/* A block with room for `room` bytes. A large one is alone. */
static struct arena_block *block_add(struct arena *a, size_t room)
{
	const size_t header = sizeof(struct arena_block);
	size_t size = a->head ? a->head->next_size : BLOCK_FIRST;
	if (room > (BLOCK_LAST - header) / 2)
		return block_add_alone(a, room);
	while (size < BLOCK_LAST && room > (size - header) / 2)
		size *= 2;
	struct arena_block *b = block_new(size - header, size < BLOCK_LAST ? size * 2 : BLOCK_LAST, false);
	b->older = a->head;
	a->head = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	if (n > PTRDIFF_MAX)
		mem_exhausted(n);
	/* Nothing still takes a place of its own, so that the pointer is good and differs from all others. */
	size_t room = ((n ? n : 1) + RED_ZONE + ALIGN - 1) / ALIGN * ALIGN;
	struct arena_block *b = a->head;
	if (!b || b->size - b->used < room)
		b = block_add(a, room);
	char *p = b->data + b->used;
	b->used += room;
	a->used_bytes += room;
	MEM_SHOW(p, n);
	return p;
}

char *arena_zero_terminated(struct arena *a, struct str s)
{
	if (s.n >= PTRDIFF_MAX)
		mem_exhausted(s.n);
	char *p = arena_alloc(a, s.n + 1);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

struct str arena_copy(struct arena *a, struct str s)
{
	return (struct str){ arena_zero_terminated(a, s), s.n };
}

struct str arena_vformat(struct arena *a, const char *format, va_list args)
{
	char small[256];
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(small, sizeof small, format, args);
	CHECK(n >= 0);
	size_t size = (size_t)n + 1;
	char *p = arena_alloc(a, size);
	if (size <= sizeof small) {
		memcpy(p, small, size);
	} else {
		int m = vsnprintf(p, size, format, again);
		CHECK(m == n);
	}
	va_end(again);
	return (struct str){ p, (size_t)n };
}

struct str arena_format(struct arena *a, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct str s = arena_vformat(a, format, args);
	va_end(args);
	return s;
}

/* The newest shared block is the largest of its kind, so it is the one worth keeping. Large ones all go. */
void arena_reset(struct arena *a)
{
	struct arena_block *kept = NULL;
	for (struct arena_block *b = a->head, *older; b; b = older) {
		older = b->older;
		if (!kept && !b->alone)
			kept = b;
		else
			block_free(b);
	}
	*a = (struct arena){ .head = kept };
	if (!kept)
		return;
	MEM_SHOW(kept->data, kept->used);
	memset(kept->data, 0, kept->used);
	MEM_HIDE(kept->data, kept->size);
	kept->older = NULL;
	kept->used = 0;
}

void arena_free(struct arena *a)
{
	for (struct arena_block *b = a->head, *older; b; b = older) {
		older = b->older;
		block_free(b);
	}
	*a = ARENA_INIT;
}

void *arena_push_grow(struct arena *a, void *old, size_t n, size_t *cap, size_t size_each)
{
	CHECK(n <= *cap);
	if (n < *cap)
		return old;
	size_t wider = n == 0 ? PUSH_FIRST : mem_size(n, 2);
	void *p = arena_alloc(a, mem_size(wider, size_each));
	if (n > 0)
		memcpy(p, old, n * size_each);
	*cap = wider;
	return p;
}
