/* The elements of one array in the records that go to one file of the main table: written down while that file is made,
 * since nobody knows how many there will be, and read once (or more often) when the child's file is. A few stay in memory,
 * more go to a scratch file. Part of prepare.c.
 *
 *     item_log_add(l, &item) ...
 *     item_log_rewind(l)
 *     item_log_next(l, arena, &item) ... as many as were added, in that order
 */
#ifndef SLUICE_PREPARE_ITEM_LOG_H
#define SLUICE_PREPARE_ITEM_LOG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

enum { ITEM_LOG_WAITING_BYTES = 1 << 20 };

struct item {
	uint64_t share;   /* of the file: which window */
	uint64_t page;
	uint64_t parent;  /* offset of the record in the page's body */
	uint64_t offset;  /* of the element */
	int64_t index;    /* in the array, from 0; -1: the value is no array, but `raw` */
	struct str raw;
};

struct item_log {
	const char *scratch;
	int fd;            /* -1: all is waiting */
	uint64_t n, bytes; /* items; bytes in the file */
	struct buf waiting; /* not written yet; while reading from a file: a block of it */
	uint64_t at;       /* being read: the byte behind the block */
	size_t block_at;   /* in the block */
};

void item_log_open(struct item_log *l, const char *scratch);
void item_log_close(struct item_log *l); /* as after item_log_open */
bool item_log_add(struct item_log *l, const struct item *item, struct err *e);
/* From now on it is read, from its beginning; nothing is added any more. */
bool item_log_rewind(struct item_log *l, struct err *e);
/* The raw text lives in the arena. Whoever asks for more than were added made a mistake. */
bool item_log_next(struct item_log *l, struct arena *a, struct item *out, struct err *e);

#endif
