/* Checkpoints: none of ours reads them, and other readers believe them before the log. */
#include "base/json.h"
#include "driver/store_copy.h"
#include "format/checkpoint.h"
#include "run/verify_parts.h"

#include <inttypes.h>

enum { NAME_DIGITS = 20, HINT_MAX_BYTES = 1 << 20 };

struct checkpoints {
	struct {
		struct str key;
		uint64_t version;
		bool bad;
	} *v;
	size_t n, cap;
};

static bool list_checkpoints(struct verify *v, struct str folder, struct arena *a, struct checkpoints *out, bool *hint,
			     struct err *e)
{
	struct store_listing list;
	if (!store_list(v->logs, folder, a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		struct str name = list.v[i].name;
		uint64_t version = 0;
		*hint = *hint || str_eq(name, STR("_last_checkpoint"));
		if (!str_eq(str_sub(name, NAME_DIGITS, SIZE_MAX), STR(".checkpoint.parquet")) ||
		    !str_to_u64(str_sub(name, 0, NAME_DIGITS), &version) || version > INT64_MAX)
			continue;
		arena_push(a, *out);
		out->v[out->n - 1].key = arena_format(a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(name));
		out->v[out->n - 1].version = version;
		out->v[out->n - 1].bad = false;
	}
	return true;
}

/* The hint names a checkpoint that is there, and is good: some readers do not look for another one. It is replaced by taking it
 * away and making it anew, so that it may be gone by now. */
static void check_hint(struct verify *v, struct str key, const struct checkpoints *l, struct arena *a)
{
	struct err e = ERR_INIT;
	struct str text;
	struct json_node *root = NULL;
	uint64_t version = 0;
	if (!store_get(v->project->store, key, HINT_MAX_BYTES, a, &text, &e)) {
		if (e.code != ERR_MISSING)
			verify_unread(v, key, &e);
		return;
	}
	if (!json_parse(text, a, &root, &e) || !json_need_u64(root, "version", &version, &e)) {
		verify_found(v, key, "%s", e.message);
		return;
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].version == version) {
			if (l->v[i].bad)
				verify_found(v, key, "it leads to a damaged checkpoint, of version %" PRIu64, version);
			return;
		}
	uint64_t size = 0; /* or made since the listing */
	struct str named = arena_format(a, "%.*s%020" PRIu64 ".checkpoint.parquet",
					STR_ARG(str_sub(key, 0, key.n - STR("_last_checkpoint").n)), version);
	if (store_size(v->project->store, named, &size, &e))
		return;
	if (e.code != ERR_MISSING)
		verify_unread(v, named, &e);
	else
		verify_found(v, key, "it leads to a checkpoint that is not there, of version %" PRIu64, version);
}

static bool bring_checkpoint(struct verify *v, struct str key, const char *path, struct err *e)
{
	struct store_copy c = { .key = key, .path = path };
	return store_size(v->project->store, key, &c.size_bytes, e) && store_bring(v->project->store, &c, 1, v->o->stop, NULL, e);
}

void verify_checkpoints(struct verify *v, struct str table_key)
{
	struct arena a = ARENA_INIT;
	struct checkpoints l = { 0 };
	struct lake_query q = { 0 };
	struct err e = ERR_INIT;
	bool hint = false;
	struct str folder = arena_format(&a, "%.*s/_delta_log", STR_ARG(table_key));
	if (!list_checkpoints(v, folder, &a, &l, &hint, &e))
		verify_trouble(v, folder, &e);
	const char **files = arena_array(&a, const char *, l.n + 1);
	bool has_paths = project_has_paths(v->project);
	for (size_t i = 0; has_paths && i < l.n; i++)
		files[i] = arena_format(&a, "%s/%.*s", v->project->lake_path, STR_ARG(l.v[i].key)).p;
	bool read = l.n > 0 && !v->o->fast && v->n->not_read.n == 0;
	struct err why = ERR_INIT;
	if (read && (!lake_query_open_files(v->project, files, has_paths ? l.n : 0, &a, &q, &why) ||
		     (v->o->stop && !lake_query_watch(&q, v->o->stop, &why)))) {
		verify_engine_failed(v, folder, &why);
		read = false;
	}
	struct err *found = arena_array(&a, struct err, l.n + 1);
	for (size_t i = 0; i < l.n && read && !verify_late(v) && !(v->o->stop && *v->o->stop); i++) {
		found[i] = (struct err)ERR_INIT;
		if (!has_paths)
			files[i] = arena_format(&a, "%s/%zu.parquet", q.scratch.path, i).p;
		if ((has_paths || bring_checkpoint(v, l.v[i].key, files[i], &found[i])) &&
		    checkpoint_check(q.connection, v->project->store, table_key, l.v[i].version, files[i], &found[i]))
			continue;
		l.v[i].bad = found[i].code == ERR_DAMAGE;
		if (!l.v[i].bad)
			verify_engine_failed(v, l.v[i].key, &found[i]);
	}
	/* The hint first: whoever removes what is told in this order never leaves one that leads nowhere. */
	if (hint)
		check_hint(v, arena_format(&a, "%.*s/_last_checkpoint", STR_ARG(folder)), &l, &a);
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].bad)
			verify_found(v, l.v[i].key, "%s", found[i].message);
	lake_query_close(&q);
	arena_free(&a);
}
