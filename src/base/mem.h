/* Memory by lifetime.
 *
 * Nothing in this program frees single objects: an arena lives as long as a run, a step or a page, and goes as a
 * whole. A function that returns memory takes an arena; one that takes none returns nothing that it allocated.
 *
 * Running out of memory ends the process with exit status 7 and one line on standard error (mem_exhausted). That is
 * the same as a crash at this point, which every stored format is made to survive, and it spares each caller a path
 * that is hardly ever run. mem_fail_at() lets test builds choose the allocation that fails. */
#ifndef SLUICE_BASE_MEM_H
#define SLUICE_BASE_MEM_H

#include "base/str.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

void *mem_alloc(size_t n);                   /* never NULL; n > 0; zeroed */
void *mem_grow(void *p, size_t old_n, size_t n); /* realloc that never fails; new bytes are not zeroed */
void mem_free(void *p);
_Noreturn void mem_exhausted(size_t wanted_bytes);
/* Products of sizes from outside go through this: an overflow counts as exhausted memory. */
size_t mem_size(size_t count, size_t size_each);
/* The nth allocation from now on finds no memory (1: the next one); 0: none does. For tests; any thread's count. */
void mem_fail_at(uint64_t nth);

struct arena {
	struct arena_block *head; /* newest block; NULL while nothing was allocated */
	size_t used_bytes;        /* handed out, all blocks together, rounded up to whole places */
};

#define ARENA_INIT ((struct arena){ 0 })

/* Zeroed, aligned for any type, never NULL even for n = 0. An arena is used by one thread at a time. */
void *arena_alloc(struct arena *a, size_t n);
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc((a), mem_size((count), sizeof(type))))
/* A NUL stands after the copy, so that .p may be given to the C library. */
struct str arena_copy(struct arena *a, struct str s);
char *arena_zero_terminated(struct arena *a, struct str s);
struct str arena_format(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct str arena_vformat(struct arena *a, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* What mem_alloc or mem_grow gave (n bytes; p may be NULL) lives as long as the arena from now on: a large buffer need not be copied into it. */
void arena_adopt(struct arena *a, void *p, size_t n);
void arena_reset(struct arena *a); /* empties it and keeps one block */
void arena_free(struct arena *a);  /* empties it and gives everything back; may be used again */

/* A growing array in an arena: the old place is left behind when it moves.
 *     struct { struct thing *v; size_t n, cap; } list = {0};
 *     *arena_push(a, list) = thing;                                                              */
#define arena_push(a, list) \
	((list).v = arena_push_grow((a), (list).v, (list).n, &(list).cap, sizeof *(list).v), &(list).v[(list).n++])
void *arena_push_grow(struct arena *a, void *old, size_t n, size_t *cap, size_t size_each);

#endif
