#include "run/bundle.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

bool bundle_place(struct str url, struct arena *a, struct str *store_url, struct str *key, struct sha256 *digest, struct err *e)
{
	struct str u = url;
	while (u.n > 0 && u.p[u.n - 1] == '/')
		u.n--;
	size_t at = u.n;
	while (at > 0 && u.p[at - 1] != '/')
		at--;
	struct str name = str_sub(u, at, u.n), above = str_sub(u, 0, at > 0 ? at - 1 : 0);
	if (!sha256_from_hex(name, digest) || !str_ends(above, STR("/config")) || above.n == 7) {
		err_set(e, ERR_USAGE, "config \"%.*s\": it must end in /config/<digest>, 64 hexadecimal digits", STR_ARG(str_sub(url, 0, 200)));
		return err_hint(e, "spec/lambda.md says how the digest is made");
	}
	*store_url = arena_copy(a, str_sub(above, 0, above.n - 7));
	*key = arena_format(a, "config/%.*s", STR_ARG(name));
	return true;
}

bool bundle_is_digest(struct str text)
{
	struct sha256 digest;
	return sha256_from_hex(text, &digest);
}

struct items {
	struct bundle_file *v;
	size_t n, cap, total;
};

static bool too_large(struct err *e)
{
	return err_set(e, ERR_TOO_LARGE, "it has more than %d files, %d levels, or %d MB", BUNDLE_FILES_MAX, BUNDLE_DEPTH_MAX,
		       BUNDLE_MAX >> 20);
}

static bool read_one(struct store *s, struct str folder, struct str path, struct items *out, struct arena *a, struct err *e)
{
	struct bundle_file it = { .path = path };
	if (out->n == BUNDLE_FILES_MAX)
		return too_large(e);
	if (!store_get(s, arena_format(a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(path)), BUNDLE_FILE_MAX, a, &it.bytes, e))
		return false;
	out->total += it.bytes.n;
	if (out->total > BUNDLE_MAX)
		return too_large(e);
	*arena_push(a, *out) = it;
	return true;
}

struct folder {
	struct str path;
	unsigned depth;
};

/* Folder by folder: those that are found wait behind each other. */
static bool read_all(struct store *s, struct str folder, struct items *out, struct arena *a, struct err *e)
{
	struct {
		struct folder *v;
		size_t n, cap;
	} waits = { 0 };
	*arena_push(a, waits) = (struct folder){ STR_NONE, 1 };
	for (size_t i = 0; i < waits.n; i++) {
		struct store_listing list = { 0 };
		struct str at = waits.v[i].path, sep = at.n > 0 ? STR("/") : STR_NONE;
		if (!store_list_names(s, arena_format(a, "%.*s%.*s%.*s", STR_ARG(folder), STR_ARG(sep), STR_ARG(at)), a, &list, e))
			return false;
		for (size_t k = 0; k < list.n; k++) {
			struct str path = arena_format(a, "%.*s%.*s%.*s", STR_ARG(at), STR_ARG(sep), STR_ARG(list.v[k].name));
			if (!list.v[k].is_folder) {
				if (!read_one(s, folder, path, out, a, e))
					return false;
				continue;
			}
			if (waits.v[i].depth == BUNDLE_DEPTH_MAX || waits.n == BUNDLE_FILES_MAX)
				return too_large(e);
			unsigned depth = waits.v[i].depth + 1;
			*arena_push(a, waits) = (struct folder){ path, depth };
		}
	}
	return out->n > 0 || err_set(e, ERR_MISSING, "there is nothing");
}

static int by_path(const void *x, const void *y)
{
	return str_cmp(((const struct bundle_file *)x)->path, ((const struct bundle_file *)y)->path);
}

static struct sha256 listing_digest(const struct items *t)
{
	struct sha256_state s;
	sha256_begin(&s);
	for (size_t i = 0; i < t->n; i++) {
		char hex[SHA256_HEX + 1];
		sha256_hex(sha256_of(t->v[i].bytes), hex);
		sha256_add(&s, hex, SHA256_HEX);
		sha256_add(&s, "  ", 2);
		sha256_add(&s, t->v[i].path.p, t->v[i].path.n);
		sha256_add(&s, "\n", 1);
	}
	return sha256_end(&s);
}

static bool write_all(const struct items *t, const char *into, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		struct str path = arena_format(a, "%s/%.*s", into, STR_ARG(t->v[i].path)), folder = path;
		while (folder.p[folder.n - 1] != '/')
			folder.n--;
		if (!file_make_dirs(arena_zero_terminated(a, folder), e) || !file_write(path.p, t->v[i].bytes, e))
			return false;
	}
	return true;
}

/* Everything that lies there, by path, and it is what the name says. */
static bool read_checked(struct store *s, struct str key, struct sha256 digest, struct items *out, struct arena *a, struct err *e)
{
	if (!read_all(s, key, out, a, e))
		return false;
	qsort(out->v, out->n, sizeof *out->v, by_path);
	if (sha256_eq(listing_digest(out), digest))
		return true;
	err_set(e, ERR_DAMAGE, "its files are not those that its name stands for");
	return err_hint(e, "remove what lies there, and write it again: `sluice config push`");
}

bool bundle_read(struct store *s, struct str key, struct sha256 digest, const char *into, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct items items = { 0 };
	bool ok = read_checked(s, key, digest, &items, &a, e) && write_all(&items, into, &a, e);
	arena_free(&a);
	return ok || err_wrap(e, "%.*s", STR_ARG(key));
}

/* ── writing ── */

static bool fits(const struct items *t, struct str key, struct arena *a, struct err *e)
{
	size_t total = 0;
	if (t->n > BUNDLE_FILES_MAX)
		return too_large(e);
	for (size_t i = 0; i < t->n; i++) {
		size_t depth = 1;
		for (size_t k = 0; k < t->v[i].path.n; k++)
			depth += t->v[i].path.p[k] == '/';
		total += t->v[i].bytes.n;
		if (depth > BUNDLE_DEPTH_MAX || t->v[i].bytes.n > BUNDLE_FILE_MAX || total > BUNDLE_MAX)
			return too_large(e);
		if (!store_key_ok(arena_format(a, "%.*s/%.*s", STR_ARG(key), STR_ARG(t->v[i].path)))) {
			err_set(e, ERR_CONFIG, "the file %.*s cannot be in a lake", STR_ARG(str_sub(t->v[i].path, 0, 200)));
			return err_hint(e, "names there have A-Z a-z 0-9 . _ = -");
		}
		if (i > 0 && str_eq(t->v[i].path, t->v[i - 1].path))
			return err_set(e, ERR_CONFIG, "two files would be %.*s", STR_ARG(t->v[i].path));
	}
	return true;
}

static bool write_one(struct store *s, struct str key, struct str bytes, size_t *n_new, struct arena *a, struct err *e)
{
	enum store_created created;
	struct str there;
	if (!store_create(s, key, bytes, &created, e))
		return false;
	*n_new += created == STORE_CREATED;
	if (created == STORE_CREATED)
		return true;
	if (!store_settle(s, key, e) || !store_get(s, key, BUNDLE_FILE_MAX, a, &there, e))
		return false;
	return str_eq(there, bytes) || err_set(e, ERR_DAMAGE, "%.*s is there, and is another file", STR_ARG(key));
}

bool bundle_write(struct store *s, struct bundle_file *v, size_t n, struct sha256 *digest, size_t *n_new, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct items mine = { .v = v, .n = n }, there = { 0 };
	*n_new = 0;
	qsort(v, n, sizeof *v, by_path);
	*digest = listing_digest(&mine);
	struct str key = arena_format(&a, "config/%.*s", STR_ARG(sha256_hex_str(*digest, &a)));
	bool ok = fits(&mine, key, &a, e);
	for (size_t i = 0; ok && i < n; i++)
		ok = write_one(s, arena_format(&a, "%.*s/%.*s", STR_ARG(key), STR_ARG(v[i].path)), v[i].bytes, n_new, &a, e);
	ok = ok && (read_checked(s, key, *digest, &there, &a, e) || err_wrap(e, "%.*s", STR_ARG(key)));
	arena_free(&a);
	return ok;
}
