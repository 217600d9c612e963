#include "driver/store.h"

#include "base/check.h"

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

bool store_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	CHECK(store_key_ok(key));
	return s->ops->create(s, key, bytes, out, e);
}

bool store_get(struct store *s, struct str key, uint64_t max_bytes, struct arena *a, struct str *out, struct err *e)
{
	CHECK(store_key_ok(key));
	return s->ops->get(s, key, 0, max_bytes, a, out, e);
}

bool store_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	CHECK(store_key_ok(key));
	return s->ops->read_at(s, key, offset, p, n, e);
}

bool store_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	CHECK(store_key_ok(key));
	return s->ops->size(s, key, out, e);
}

bool store_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	CHECK(folder.n == 0 || store_key_ok(folder));
	return s->ops->list(s, folder, a, out, e);
}

bool store_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	CHECK(folder.n == 0 || store_key_ok(folder));
	bool (*list)(struct store *, struct str, struct arena *, struct store_listing *, struct err *) =
		s->ops->list_names ? s->ops->list_names : s->ops->list;
	return list(s, folder, a, out, e);
}

bool store_remove(struct store *s, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	return s->ops->remove(s, key, e);
}

bool store_settle(struct store *s, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	return s->ops->settle(s, key, e);
}

bool store_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	return s->ops->writer_open(s, out, e);
}

bool store_writer_add(struct store_writer *w, struct str bytes, struct err *e)
{
	return w->store->ops->writer_add(w, bytes, e);
}

bool store_writer_finish(struct store_writer *w, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	return w->store->ops->writer_finish(w, key, e);
}

void store_writer_abort(struct store_writer *w)
{
	w->store->ops->writer_abort(w);
}

bool store_path(struct store *s, struct str key, struct arena *a, char **out, struct err *e)
{
	CHECK(store_key_ok(key));
	CHECK((s->abilities & STORE_CAN_PATH) != 0);
	return s->ops->path(s, key, a, out, e);
}

bool store_make_folder(struct store *s, struct str key, struct err *e)
{
	CHECK(store_key_ok(key));
	return s->ops->make_folder(s, key, e);
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}
