/* What every store does, as a table of cases: store_test.c runs it on a disk and in memory, store_server_test.c on S3. */
#ifndef SLUICE_TEST_STORE_CASES_H
#define SLUICE_TEST_STORE_CASES_H

#include "store_world.h"

#include <pthread.h>
#include <stdlib.h>

/* ── the table ── */

enum op { END, CREATE, GET, READ, SIZE, LIST, REMOVE, SETTLE, FINISH, FOLDER };

/* `want`: CREATE: "created" "exists" "unknown"; GET, READ: the bytes; SIZE: a number; LIST: "name:size name/ ";
 * else ""; or "!CODE" of an error. READ: bytes is "offset count". GET: `max` bytes, 0 for 1000. */
struct store_step {
	enum op op;
	const char *key, *bytes, *want;
	uint64_t max;
};
static const struct {
	const char *name;
	struct store_step steps[16];
} cases[] = {
	{ "at most once",
	  { { CREATE, "raw/a/1", "one", "created", 0 }, { CREATE, "raw/a/1", "two", "exists", 0 },
	    { CREATE, "raw/a/1", "one", "exists", 0 }, { GET, "raw/a/1", NULL, "one", 0 },
	    { SIZE, "raw/a/1", NULL, "3", 0 }, { SETTLE, "raw/a/1", NULL, "", 0 } } },
	{ "empty object", { { CREATE, "e", "", "created", 0 }, { GET, "e", NULL, "", 0 }, { SIZE, "e", NULL, "0", 0 },
			    { READ, "e", "0 0", "", 0 }, { READ, "e", "0 1", "!DAMAGE", 0 } } },
	{ "missing", { { GET, "x/y", NULL, "!MISSING", 0 }, { SIZE, "x", NULL, "!MISSING", 0 },
		       { READ, "x", "0 1", "!MISSING", 0 }, { SETTLE, "x/y/z", NULL, "!MISSING", 0 },
		       { REMOVE, "x", NULL, "", 0 }, { REMOVE, "x/y/z", NULL, "", 0 }, { LIST, "x/y", NULL, "", 0 },
		       { LIST, "", NULL, "", 0 } } },
	{ "ranges", { { CREATE, "k", "0123456789", "created", 0 }, { READ, "k", "3 4", "3456", 0 },
		      { READ, "k", "0 10", "0123456789", 0 }, { READ, "k", "10 0", "", 0 },
		      { READ, "k", "9 2", "!DAMAGE", 0 }, { READ, "k", "11 0", "?", 0 },
		      { READ, "k", "18446744073709551615 2", "!DAMAGE", 0 }, { GET, "k", NULL, "0123456789", 10 },
		      { GET, "k", NULL, "!TOO_LARGE", 9 } } },
	{ "byte order and one level",
	  { { CREATE, "f/b", "1", "created", 0 }, { CREATE, "f/a/x/y", "22", "created", 0 },
	    { CREATE, "f/a.z", "333", "created", 0 }, { CREATE, "f/B", "", "created", 0 },
	    { CREATE, "f/a=1", "4444", "created", 0 }, { CREATE, "fa", "", "created", 0 },
	    { CREATE, "f/a/z", "22", "created", 0 }, { CREATE, "f/10", "", "created", 0 }, { CREATE, "f/9", "", "created", 0 },
	    { LIST, "f", NULL, "10:0 9:0 B:0 a/ a.z:3 a=1:4 b:1 ", 0 }, { LIST, "f/a", NULL, "x/ z:2 ", 0 },
	    { LIST, "", NULL, "f/ fa:0 ", 0 }, { LIST, "f/a/x", NULL, "y:2 ", 0 }, { LIST, "g", NULL, "", 0 } } },
	{ "remove", { { CREATE, "r/1", "a", "created", 0 }, { REMOVE, "r/1", NULL, "", 0 },
		      { GET, "r/1", NULL, "!MISSING", 0 }, { CREATE, "r/1", "b", "created", 0 },
		      { GET, "r/1", NULL, "b", 0 }, { REMOVE, "r", NULL, "!STORAGE", 0 } } },
	{ "objects and folders do not mix",
	  { { CREATE, "o", "a", "created", 0 }, { CREATE, "o/p", "b", "!STORAGE", 0 }, { GET, "o/p", NULL, "!STORAGE", 0 },
	    { LIST, "o", NULL, "!STORAGE", 0 }, { CREATE, "d/p", "b", "created", 0 }, { CREATE, "d", "c", "exists", 0 },
	    { GET, "d", NULL, "!STORAGE", 0 }, { FINISH, "d", "c", "!STORAGE", 0 }, { FOLDER, "o", NULL, "!STORAGE", 0 },
	    { FOLDER, "o/q", NULL, "!STORAGE", 0 } } },
	{ "writer", { { FINISH, "w/1", "hello", "", 0 }, { GET, "w/1", NULL, "hello", 0 },
		      { FINISH, "w/1", "hello", "", 0 }, { FINISH, "w/1", "hellO", "!STORAGE", 0 },
		      { FINISH, "w/1", "hello!", "!STORAGE", 0 }, { FINISH, "w/0", "", "", 0 },
		      { GET, "w/1", NULL, "hello", 0 }, { LIST, "w", NULL, "0:0 1:5 ", 0 },
		      { CREATE, "w/1", "x", "exists", 0 }, { LIST, "", NULL, "w/ ", 0 } } },
	{ "folders", { { FOLDER, "p/q/r", NULL, "", 0 }, { FOLDER, "p/q/r", NULL, "", 0 },
		       { CREATE, "p/q/r/s", "1", "created", 0 }, { GET, "p/q/r/s", NULL, "1", 0 } } },
	{ "odd names", { { CREATE, "..a/...", "1", "created", 0 }, { GET, "..a/...", NULL, "1", 0 },
			 { CREATE, "-/--", "2", "created", 0 }, { CREATE, ".hidden", "3", "created", 0 },
			 { LIST, "", NULL, "-/ ..a/ .hidden:1 ", 0 }, { CREATE, "a/.tmp", "4", "created", 0 },
			 { LIST, "a", NULL, ".tmp:1 ", 0 } } },
};

static inline bool step_create(struct world *w, const struct store_step *p, struct str *got)
{
	enum store_created created = STORE_UNKNOWN;
	if (!store_create(w->s, str_from(p->key), str_from(p->bytes), &created, &w->e))
		return false;
	*got = created == STORE_CREATED ? STR("created") : created == STORE_EXISTS ? STR("exists") : STR("unknown");
	return true;
}

static inline bool step_list(struct world *w, const struct store_step *p, struct str *got)
{
	struct store_listing list, names;
	if (!store_list(w->s, str_from(p->key), &w->arena, &list, &w->e) ||
	    !store_list_names(w->s, str_from(p->key), &w->arena, &names, &w->e))
		return false;
	*got = STR("");
	assert_int_equal(list.n, names.n);
	for (size_t i = 0; i < list.n; i++) {
		const struct store_item *item = &list.v[i];
		assert_true(str_eq(item->name, names.v[i].name) && item->is_folder == names.v[i].is_folder);
		assert_true(item->is_folder || item->changed_us > INT64_C(1600000000000000));
		*got = item->is_folder ? arena_format(&w->arena, "%.*s%.*s/ ", STR_ARG(*got), STR_ARG(item->name))
				       : arena_format(&w->arena, "%.*s%.*s:%d ", STR_ARG(*got), STR_ARG(item->name),
						      (int)item->size_bytes);
	}
	return true;
}

static inline bool step_read(struct world *w, const struct store_step *p, struct str *got)
{
	char *end, *to = arena_alloc(&w->arena, 64);
	uint64_t offset = strtoull(p->bytes, &end, 10);
	size_t n = strtoull(end, NULL, 10);
	*got = (struct str){ to, n };
	return store_read_at(w->s, str_from(p->key), offset, to, n, &w->e);
}

static inline bool step_run(struct world *w, const struct store_step *p, struct str *got)
{
	struct str key = str_from(p->key);
	uint64_t size = 0;
	*got = STR("");
	switch (p->op) {
	case CREATE: return step_create(w, p, got);
	case GET: return store_get(w->s, key, p->max ? p->max : 1000, &w->arena, got, &w->e);
	case READ: return step_read(w, p, got);
	case SIZE:
		if (!store_size(w->s, key, &size, &w->e))
			return false;
		*got = arena_format(&w->arena, "%d", (int)size);
		return true;
	case LIST: return step_list(w, p, got);
	case REMOVE: return store_remove(w->s, key, &w->e);
	case SETTLE: return store_settle(w->s, key, &w->e);
	case FINISH: return world_finish(w, p->key, p->bytes);
	case FOLDER: return store_make_folder(w->s, key, &w->e);
	case END: break;
	}
	return false;
}

/* All cases but those that only hold where folders are folders (`has_folders`), each in a world of its own. */
static inline void run_cases(bool has_folders, void (*open)(struct world *, size_t number))
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world w;
		if (!has_folders && strcmp(cases[i].name, "objects and folders do not mix") == 0)
			continue;
		open(&w, i);
		for (const struct store_step *p = cases[i].steps; p < cases[i].steps + 16 && p->op != END; p++) {
			struct str got;
			if (!has_folders && (p->op == SETTLE || p->op == REMOVE) && p->want[0] == '!')
				continue;
			w.e = ERR_INIT;
			bool ok = step_run(&w, p, &got);
			if (p->want[0] == '?')
				continue;
			if (!ok)
				got = arena_format(&w.arena, "!%s", err_name(w.e.code));
			else
				assert_int_equal(w.e.code, ERR_NONE);
			if (!str_eq_z(got, p->want))
				fail_msg("%s, step %d (%s): got '%.*s', want '%s' (%s)", cases[i].name,
					 (int)(p - cases[i].steps), p->key, STR_ARG(got), p->want, w.e.message);
			if (!ok)
				assert_non_null(strstr(w.e.message, p->key));
		}
		world_close(&w);
	}
}

/* ── threads ── */

enum { RACERS = 8 };

struct racer {
	struct store *s;
	int id, keys, won;
};

static inline void *race(void *p)
{
	struct racer *r = p;
	for (int i = 0; i < r->keys; i++) {
		char key[32], bytes[2] = { (char)('A' + r->id), 0 };
		snprintf(key, sizeof key, "r%d/e/%d", i % 10, i);
		enum store_created created = STORE_UNKNOWN;
		struct err e = ERR_INIT;
		if (!store_create(r->s, str_from(key), str_from(bytes), &created, &e))
			abort();
		r->won += created == STORE_CREATED;
	}
	return NULL;
}

/* All create the same objects at once: each of these is created once. */
static inline void assert_one_winner(struct store *s, int keys)
{
	pthread_t threads[RACERS];
	struct racer racers[RACERS];
	int won = 0;
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ s, i, keys, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		won += racers[i].won;
	}
	assert_int_equal(won, keys);
}

#endif
