/* A store of either kind for one test. */
#ifndef SLUICE_TEST_STORE_WORLD_H
#define SLUICE_TEST_STORE_WORLD_H

#include "unit.h"

#include "base/file.h"
#include "driver/store.h"

#include <unistd.h>

struct world {
	struct arena arena;
	char *folder, *root;
	struct store *s;
	struct err e;
};

static inline void world_open(struct world *w, bool disk)
{
	*w = (struct world){ .e = ERR_INIT };
	if (disk) {
		assert_true(file_make_scratch(NULL, &w->arena, &w->folder, &w->e));
		w->root = arena_zero_terminated(&w->arena, arena_format(&w->arena, "%s/a/lake", w->folder));
		assert_true(store_open_disk(w->root, true, &w->s, &w->e));
	} else {
		assert_true(store_open_memory(&w->s, &w->e));
	}
}

static inline void world_close(struct world *w)
{
	store_close(w->s);
	if (w->folder)
		assert_true(file_remove_tree(w->folder, &w->e));
	arena_free(&w->arena);
}

/* Of the disk below the lake. */
static inline char *path_of(struct world *w, const char *below)
{
	return arena_zero_terminated(&w->arena, arena_format(&w->arena, "%s/%s", w->root, below));
}

/* The bytes in two pieces and an empty one, under that key. */
static inline bool world_finish(struct world *w, const char *key, const char *text)
{
	struct store_writer *writer;
	struct str bytes = str_from(text);
	assert_true(store_writer_open(w->s, &writer, &w->e));
	assert_true(store_writer_add(writer, str_sub(bytes, 0, 2), &w->e));
	assert_true(store_writer_add(writer, STR_NONE, &w->e));
	assert_true(store_writer_add(writer, str_sub(bytes, 2, SIZE_MAX), &w->e));
	return store_writer_finish(writer, str_from(key), &w->e);
}

static inline void expect_no_temporaries(struct world *w)
{
	assert_int_equal(rmdir(path_of(w, ".tmp")), 0); /* fails if anything is left in it */
}

#endif
