/* What the tests of formats share: an arena for one test, case files, a store in memory, hashes with a meaning. */
#ifndef SLUICE_TEST_FORMAT_WORLD_H
#define SLUICE_TEST_FORMAT_WORLD_H

#include "unit.h"

#include "base/file.h"
#include "base/hash.h"
#include "driver/store.h"

enum { CASE_MAX_BYTES = 4 << 20 };

static inline struct str case_file(const char *name, struct arena *a)
{
	struct err e = ERR_INIT;
	struct str text = STR_NONE;
	struct str path = arena_format(a, "%s/format/%s", TEST_DATA, name);
	if (!file_read(path.p, CASE_MAX_BYTES, a, &text, &e))
		fail_msg("%s", e.message);
	return text;
}

/* Frozen bytes: whoever changes them changes files that users keep. Shows both sides where they differ. */
static inline void assert_frozen(struct str text, struct str frozen)
{
	if (!str_eq(text, frozen))
		fail_msg("these bytes are frozen:\n%.*s\nthis is what was written:\n%.*s", STR_ARG(frozen), STR_ARG(text));
}

static inline void assert_code(struct err *e, enum err_code code)
{
	if (e->code != code)
		fail_msg("%s where %s was expected: %s", err_name(e->code), err_name(code), e->message);
}

static inline void assert_done(bool ok, const struct err *e)
{
	if (!ok)
		fail_msg("%s: %s", err_name(e->code), e->message);
}

static inline struct sha256 hash_of(const char *text)
{
	return sha256_of(str_from(text));
}

static inline struct store *memory_store(void)
{
	struct store *s = NULL;
	struct err e = ERR_INIT;
	assert_done(store_open_memory(&s, &e), &e);
	return s;
}

static inline struct str object_of(struct store *s, struct str key, struct arena *a)
{
	struct err e = ERR_INIT;
	struct str text = STR_NONE;
	assert_done(store_get(s, key, CASE_MAX_BYTES, a, &text, &e), &e);
	return text;
}

static inline void object_put(struct store *s, struct str key, struct str text)
{
	struct err e = ERR_INIT;
	enum store_created created = STORE_UNKNOWN;
	assert_done(store_remove(s, key, &e) && store_create(s, key, text, &created, &e), &e);
	assert_int_equal(created, STORE_CREATED);
}

/* The text with the first `old` in it replaced. */
static inline struct str replaced(struct str text, const char *old, const char *new, struct arena *a)
{
	size_t at = str_find(text, str_from(old));
	if (at == text.n && *old)
		fail_msg("the case has no \"%s\"", old);
	struct str rest = str_sub(text, at + strlen(old), text.n);
	struct buf b = BUF_INIT(CASE_MAX_BYTES);
	buf_add(&b, str_sub(text, 0, at));
	buf_add_z(&b, new);
	buf_add(&b, rest);
	struct str out = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return out;
}

#endif
