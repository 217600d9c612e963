#include "driver/store_reader.h"

#include "base/check.h"

static struct store *in(struct store *s)
{
	return ((struct store_reader *)s)->inner;
}

/* ── what it does ── */

static bool reader_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a, struct str *out,
		       struct err *e)
{
	return in(s)->ops->get(in(s), key, offset, max_bytes, a, out, e);
}

static bool reader_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	return in(s)->ops->read_at(in(s), key, offset, p, n, e);
}

static bool reader_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	return in(s)->ops->size(in(s), key, out, e);
}

static bool reader_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	return in(s)->ops->list(in(s), folder, a, out, e);
}

static bool reader_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	return store_list_names(in(s), folder, a, out, e);
}

static bool reader_list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out,
			    struct err *e)
{
	return in(s)->ops->list_all(in(s), folder, skip, a, out, e);
}

static bool reader_path(struct store *s, struct str key, struct arena *a, char **out, struct err *e)
{
	return in(s)->ops->path(in(s), key, a, out, e);
}

static bool reader_settle(struct store *s, struct str key, struct err *e)
{
	(void)s;
	(void)key;
	(void)e;
	return true;
}

static void reader_close(struct store *s)
{
	store_close(in(s));
	mem_free(s);
}

/* ── what it does not ── */

#define REFUSE(call) check_failed("a lake that is only read: " call, __FILE__, __LINE__, __func__)

static bool reader_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	(void)s, (void)key, (void)bytes, (void)out, (void)e;
	REFUSE("create");
}

static bool reader_remove(struct store *s, struct str key, struct err *e)
{
	(void)s, (void)key, (void)e;
	REFUSE("remove");
}

static bool reader_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e)
{
	(void)s, (void)before_us, (void)remove, (void)n, (void)bytes, (void)e;
	REFUSE("sweep");
}

static bool reader_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	(void)s, (void)out, (void)e;
	REFUSE("writer_open");
}

static bool reader_make_folder(struct store *s, struct str key, struct err *e)
{
	(void)s, (void)key, (void)e;
	REFUSE("make_folder");
}

/* There are no writers to be called. */
static const struct store_ops reader_ops = {
	.create = reader_create,
	.get = reader_get,
	.read_at = reader_read_at,
	.size = reader_size,
	.list = reader_list,
	.list_names = reader_list_names,
	.remove = reader_remove,
	.remove_folder = reader_remove,
	.sweep = reader_sweep,
	.settle = reader_settle,
	.writer_open = reader_writer_open,
	.path = reader_path,
	.make_folder = reader_make_folder,
	.close = reader_close,
};

void store_reader_set_up(struct store_reader *r, struct store *inner)
{
	r->ops = reader_ops;
	if (store_can_list_all(inner))
		r->ops.list_all = reader_list_all;
	r->store = (struct store){ .ops = &r->ops, .abilities = inner->abilities, .url = inner->url };
	r->inner = inner;
}

bool store_open_reader(struct store *inner, struct store **out, struct err *e)
{
	(void)e;
	struct store_reader *r = mem_alloc(sizeof *r);
	store_reader_set_up(r, inner);
	*out = &r->store;
	return true;
}
