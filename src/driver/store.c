#include "driver/store.h"

#include "base/check.h"
#include "base/effect.h"

enum { KEY_MAX = 1024 };

static bool key_char_ok(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '=' || c == '-';
}

static bool key_part_ok(struct str part)
{
	if (part.n == 0 || part.n > 255 || str_eq_z(part, ".") || str_eq_z(part, ".."))
		return false;
	for (size_t i = 0; i < part.n; i++)
		if (!key_char_ok(part.p[i]))
			return false;
	return true;
}

bool store_key_ok(struct str key)
{
	if (key.n == 0 || key.n > KEY_MAX || key.p[key.n - 1] == '/')
		return false;
	struct str rest = key, part;
	bool first = true;
	while (str_cut(&rest, '/', &part)) {
		if (!key_part_ok(part) || (first && str_eq_z(part, ".tmp")))
			return false;
		first = false;
	}
	return true;
}

/* For tests: whether a call of the store is refused, or done with its answer lost. Always GO in a release. */
#ifdef SLUICE_EFFECTS
#define CALL_FATE(name) effect_count(EFFECT_SITE(store, name))
#else
enum call_fate { EFFECT_GO, EFFECT_REFUSE, EFFECT_LOSE };
#define effect_errno() 0
#define CALL_FATE(name) EFFECT_GO
#endif
#define SIMPLE_CALL(store, key, name, call) do { \
		unsigned fate = CALL_FATE(name); \
		if (fate == EFFECT_REFUSE) \
			return refused((store), (key), e); \
		bool ok = (call); \
		return fate == EFFECT_LOSE && ok ? refused((store), (key), e) : ok; \
	} while (0)

static bool refused(const struct store *s, struct str key, struct err *e)
{
	return err_set_errno(e, ERR_STORAGE, effect_errno(), "%.*s/%.*s", STR_ARG(s->url), STR_ARG(key));
}

bool store_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	CHECK(store_key_ok(key));
	unsigned fate = CALL_FATE(store_create);
	if (fate == EFFECT_REFUSE)
		return refused(s, key, e);
	if (!s->ops->create(s, key, bytes, out, e))
		return false;
	if (fate == EFFECT_LOSE)
		*out = STORE_UNKNOWN;
	return true;
}

bool store_get(struct store *s, struct str key, uint64_t max_bytes, struct arena *a, struct str *out, struct err *e)
{
	CHECK(store_key_ok(key));
	SIMPLE_CALL(s, key, store_get, s->ops->get(s, key, 0, max_bytes, a, out, e));
}

bool store_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	CHECK(store_key_ok(key));
	SIMPLE_CALL(s, key, store_read_at, s->ops->read_at(s, key, offset, p, n, e));
}

bool store_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	CHECK(store_key_ok(key));
	SIMPLE_CALL(s, key, store_size, s->ops->size(s, key, out, e));
}

bool store_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	CHECK(folder.n == 0 || store_key_ok(folder));
	SIMPLE_CALL(s, folder, store_list, s->ops->list(s, folder, a, out, e));
}

bool store_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	CHECK(folder.n == 0 || store_key_ok(folder));
	bool (*list)(struct store *, struct str, struct arena *, struct store_listing *, struct err *) =
		s->ops->list_names ? s->ops->list_names : s->ops->list;
	SIMPLE_CALL(s, folder, store_list_names, list(s, folder, a, out, e));
}

bool store_list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out, struct err *e)
{
	CHECK(store_key_ok(folder) && s->ops->list_all);
	SIMPLE_CALL(s, folder, store_list_all, s->ops->list_all(s, folder, skip, a, out, e));
}

bool store_compare_kept(struct store *s, struct str key, struct sha256 hash, enum store_kept *out, struct err *e)
{
	CHECK(store_key_ok(key));
	*out = STORE_KEPT_NONE;
	if (!s->ops->compare_kept)
		return true;
	SIMPLE_CALL(s, key, store_compare_kept, s->ops->compare_kept(s, key, hash, out, e));
}

bool store_remove(struct store *s, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	SIMPLE_CALL(s, key, store_remove, s->ops->remove(s, key, e));
}

bool store_remove_folder(struct store *s, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	SIMPLE_CALL(s, key, store_remove_folder, s->ops->remove_folder(s, key, e));
}

bool store_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e)
{
	*n = *bytes = 0;
	SIMPLE_CALL(s, STR(".tmp"), store_sweep, s->ops->sweep(s, before_us, remove, n, bytes, e));
}

bool store_settle(struct store *s, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	SIMPLE_CALL(s, key, store_settle, s->ops->settle(s, key, e));
}

bool store_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	return CALL_FATE(store_writer_open) == EFFECT_REFUSE ? refused(s, STR("a new object"), e)
							     : s->ops->writer_open(s, out, e);
}

bool store_writer_open_named(struct store *s, struct str key, struct store_writer **out, struct err *e)
{
	CHECK(store_key_ok(key));
	if (s->ops->writer_open_named == NULL)
		return store_writer_open(s, out, e);
	return CALL_FATE(store_writer_open) == EFFECT_REFUSE ? refused(s, key, e) : s->ops->writer_open_named(s, key, out, e);
}

bool store_writer_add(struct store_writer *w, struct str bytes, struct err *e)
{
	SIMPLE_CALL(w->store, STR("a new object"), store_writer_add, w->store->ops->writer_add(w, bytes, e));
}

bool store_writer_finish(struct store_writer *w, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	struct store *s = w->store;
	unsigned fate = CALL_FATE(store_writer_finish);
	if (fate == EFFECT_REFUSE) {
		store_writer_abort(w);
		return refused(s, key, e);
	}
	bool ok = s->ops->writer_finish(w, key, e);
	return fate == EFFECT_LOSE && ok ? refused(s, key, e) : ok;
}

void store_writer_abort(struct store_writer *w)
{
	w->store->ops->writer_abort(w);
}

bool store_path(struct store *s, struct str key, struct arena *a, char **out, struct err *e)
{
	CHECK(store_key_ok(key));
	CHECK((s->abilities & STORE_CAN_PATH) != 0);
	SIMPLE_CALL(s, key, store_path, s->ops->path(s, key, a, out, e));
}

bool store_make_folder(struct store *s, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	SIMPLE_CALL(s, key, store_make_folder, s->ops->make_folder(s, key, e));
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}
