#include "driver/store_trace.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"

#include <stdatomic.h>
#include <string.h>

/* Of a line: no object that is created in one piece is larger, as JSON a byte may become six. */
static const size_t LINE_MAX_BYTES = (size_t)2 << 30;

struct trace {
	struct store store;
	struct store_ops ops;
	struct store *inner;
	int fd;
	atomic_uint_least64_t calls;
};

struct trace_writer {
	struct store_writer writer;
	struct store_writer *inner;
};

static struct trace *of(struct store *s)
{
	return (struct trace *)s;
}

struct line {
	uint64_t id;
	const char *call;
	struct str key;
};

/* One write(2) to a file opened with O_APPEND: lines of several threads and processes stay whole, in the order of time. */
static bool write_line(struct trace *t, const struct line *l, const char *result, const struct str *text, struct err *e)
{
	struct buf b = BUF_INIT(LINE_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	char hex[SHA256_HEX + 1];
	json_begin_object(&o, NULL);
	json_put_i64(&o, "pid", (int64_t)getpid());
	json_put_u64(&o, "id", l->id);
	json_put_z(&o, "call", l->call);
	json_put_str(&o, "key", l->key);
	if (result)
		json_put_z(&o, "result", result);
	if (text && str_is_utf8(*text)) {
		json_put_str(&o, "text", *text);
	} else if (text) {
		sha256_hex(sha256_of(*text), hex);
		json_put_z(&o, "sha256", hex);
	}
	json_end_object(&o);
	buf_add_char(&b, '\n');
	bool ok = !b.overflow && file_write_all(t->fd, b.p, b.n, e);
	if (b.overflow)
		err_set(e, ERR_TOO_LARGE, "a line of the trace would be too long");
	buf_free(&b);
	return ok || err_wrap(e, "the trace of the store's calls");
}

static bool begin(struct store *s, struct line *l, const char *call, struct str key, const struct str *text, struct err *e)
{
	struct trace *t = of(s);
	*l = (struct line){ .id = atomic_fetch_add(&t->calls, 1), .call = call, .key = key };
	return write_line(t, l, NULL, text, e);
}

/* What was done cannot be taken back: a lost line is told, and the auditor will miss it. */
static bool end(struct store *s, const struct line *l, bool ok, const char *result, const struct err *e)
{
	struct err why = ERR_INIT;
	if (!write_line(of(s), l, ok ? result : err_name(e->code), NULL, &why))
		log_warn("%s", why.message);
	return ok;
}

static bool trace_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	static const char *const names[] = { [STORE_CREATED] = "created", [STORE_EXISTS] = "exists", [STORE_UNKNOWN] = "unknown" };
	struct line l;
	if (!begin(s, &l, "create", key, &bytes, e))
		return false;
	bool ok = store_create(of(s)->inner, key, bytes, out, e);
	return end(s, &l, ok, ok ? names[*out] : NULL, e);
}

static bool trace_get(struct store *s, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *a, struct str *out,
		      struct err *e)
{
	struct store *inner = of(s)->inner;
	struct line l;
	if (!begin(s, &l, "get", key, NULL, e))
		return false;
	bool ok = inner->ops->get(inner, key, offset, max_bytes, a, out, e);
	return end(s, &l, ok, "ok", e);
}

static bool trace_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	return store_read_at(of(s)->inner, key, offset, p, n, e);
}

static bool trace_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	return store_size(of(s)->inner, key, out, e);
}

static bool trace_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct line l;
	if (!begin(s, &l, "list", folder, NULL, e))
		return false;
	return end(s, &l, store_list(of(s)->inner, folder, a, out, e), "ok", e);
}

static bool trace_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct line l;
	if (!begin(s, &l, "list", folder, NULL, e))
		return false;
	return end(s, &l, store_list_names(of(s)->inner, folder, a, out, e), "ok", e);
}

static bool trace_list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out,
			   struct err *e)
{
	struct line l;
	if (!begin(s, &l, "list", folder, NULL, e))
		return false;
	return end(s, &l, store_list_all(of(s)->inner, folder, skip, a, out, e), "ok", e);
}

static bool trace_remove(struct store *s, struct str key, struct err *e)
{
	struct line l;
	if (!begin(s, &l, "remove", key, NULL, e))
		return false;
	return end(s, &l, store_remove(of(s)->inner, key, e), "ok", e);
}

static bool trace_remove_folder(struct store *s, struct str key, struct err *e)
{
	return store_remove_folder(of(s)->inner, key, e);
}

static bool trace_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e)
{
	return store_sweep(of(s)->inner, before_us, remove, n, bytes, e);
}

static bool trace_settle(struct store *s, struct str key, struct err *e)
{
	struct line l;
	if (!begin(s, &l, "settle", key, NULL, e))
		return false;
	return end(s, &l, store_settle(of(s)->inner, key, e), "ok", e);
}

static bool writer_opened(struct store *s, bool ok, struct store_writer *inner, struct store_writer **out)
{
	if (!ok)
		return false;
	struct trace_writer *w = mem_alloc(sizeof *w);
	w->writer.store = s;
	w->inner = inner;
	*out = &w->writer;
	return true;
}

static bool trace_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	struct store_writer *inner = NULL;
	bool ok = store_writer_open(of(s)->inner, &inner, e);
	return writer_opened(s, ok, inner, out);
}

static bool trace_writer_open_named(struct store *s, struct str key, struct store_writer **out, struct err *e)
{
	struct store_writer *inner = NULL;
	bool ok = store_writer_open_named(of(s)->inner, key, &inner, e);
	return writer_opened(s, ok, inner, out);
}

static bool trace_writer_add(struct store_writer *writer, struct str bytes, struct err *e)
{
	return store_writer_add(((struct trace_writer *)writer)->inner, bytes, e);
}

static bool trace_writer_finish(struct store_writer *writer, struct str key, struct err *e)
{
	struct trace_writer *w = (struct trace_writer *)writer;
	struct store *s = w->writer.store;
	struct line l;
	bool ok = begin(s, &l, "finish", key, NULL, e);
	if (ok) {
		ok = store_writer_finish(w->inner, key, e);
		end(s, &l, ok, "ok", e);
	} else {
		store_writer_abort(w->inner);
	}
	mem_free(w);
	return ok;
}

static void trace_writer_abort(struct store_writer *writer)
{
	struct trace_writer *w = (struct trace_writer *)writer;
	store_writer_abort(w->inner);
	mem_free(w);
}

static bool trace_path(struct store *s, struct str key, struct arena *a, char **out, struct err *e)
{
	return store_path(of(s)->inner, key, a, out, e);
}

static bool trace_make_folder(struct store *s, struct str key, struct err *e)
{
	return store_make_folder(of(s)->inner, key, e);
}

static void trace_close(struct store *s)
{
	struct trace *t = of(s);
	store_close(t->inner);
	sys_close(t->fd);
	mem_free(t);
}

static const struct store_ops trace_ops = {
	.create = trace_create,
	.get = trace_get,
	.read_at = trace_read_at,
	.size = trace_size,
	.list = trace_list,
	.list_names = trace_list_names,
	.remove = trace_remove,
	.remove_folder = trace_remove_folder,
	.sweep = trace_sweep,
	.settle = trace_settle,
	.writer_open = trace_writer_open,
	.writer_open_named = trace_writer_open_named,
	.writer_add = trace_writer_add,
	.writer_finish = trace_writer_finish,
	.writer_abort = trace_writer_abort,
	.path = trace_path,
	.make_folder = trace_make_folder,
	.close = trace_close,
};

bool store_open_trace(struct store *inner, const char *file, struct store **out, struct err *e)
{
	int fd = sys_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd == -1)
		return err_set_errno(e, ERR_STORAGE, errno, "SLUICE_STORE_TRACE=%s", file);
	struct trace *t = mem_alloc(sizeof *t);
	t->ops = trace_ops;
	if (store_can_list_all(inner))
		t->ops.list_all = trace_list_all;
	t->store = (struct store){ .ops = &t->ops, .abilities = inner->abilities, .url = inner->url };
	t->inner = inner;
	t->fd = fd;
	*out = &t->store;
	return true;
}
