#include "format/checkpoint.h"

#include "base/check.h"
#include "driver/engine.h"
#include "format/delta_parts.h"

#include <inttypes.h>
#include <string.h>

/* Removed files are told for a week, as long as Delta keeps them by default: whoever cleans up by the log spares them. */
enum { TOMBSTONE_DAYS = 7 };

/* ── the actions, flat ── */

enum { C_KIND, C_PATH, C_SIZE, C_TIME, C_STATS, C_WINDOWS, C_SHA256, C_ID, C_NAME, C_DESCRIPTION, C_SCHEMA, C_CONTRACT, C_N };

static const struct batch_shape shape[C_N] = {
	[C_KIND] = { .name = { "kind", 4 }, .type = TYPE_STRING },
	[C_PATH] = { .name = { "path", 4 }, .type = TYPE_STRING },
	[C_SIZE] = { .name = { "size", 4 }, .type = TYPE_INTEGER },
	[C_TIME] = { .name = { "time", 4 }, .type = TYPE_INTEGER },
	[C_STATS] = { .name = { "stats", 5 }, .type = TYPE_STRING },
	[C_WINDOWS] = { .name = { "windows", 7 }, .type = TYPE_STRING },
	[C_SHA256] = { .name = { "sha256", 6 }, .type = TYPE_STRING },
	[C_ID] = { .name = { "id", 2 }, .type = TYPE_STRING },
	[C_NAME] = { .name = { "name", 4 }, .type = TYPE_STRING },
	[C_DESCRIPTION] = { .name = { "description", 11 }, .type = TYPE_STRING },
	[C_SCHEMA] = { .name = { "schema", 6 }, .type = TYPE_STRING },
	[C_CONTRACT] = { .name = { "contract", 8 }, .type = TYPE_STRING },
};

struct action {
	struct str text[C_N]; /* p NULL: SQL's NULL */
	int64_t number[C_N];
};

struct actions {
	struct action *v;
	size_t n, cap, at; /* at: of the reader at work */
	struct arena *a;
};

static struct action *action_add(struct actions *l, const char *kind)
{
	struct action *x = arena_push(l->a, *l);
	memset(x, 0, sizeof *x);
	x->text[C_KIND] = str_from(kind);
	return x;
}

static void actions_of(const struct table_snapshot *t, struct actions *l)
{
	action_add(l, "protocol");
	struct action *x = action_add(l, "metaData");
	x->text[C_ID] = t->id;
	x->text[C_NAME] = t->name.n > 0 ? t->name : STR_NONE;
	x->text[C_DESCRIPTION] = t->description.n > 0 ? t->description : STR_NONE;
	x->text[C_SCHEMA] = table_schema_json(&t->schema, l->a);
	x->text[C_CONTRACT] = t->contract_meaning;
	x->number[C_TIME] = t->created_us / 1000;
	for (size_t i = 0; i < t->n_files; i++) {
		const struct table_file *f = &t->files[i];
		x = action_add(l, "add");
		x->text[C_PATH] = f->path;
		x->number[C_SIZE] = (int64_t)f->size_bytes;
		x->number[C_TIME] = f->modified_ms;
		x->text[C_STATS] = f->stats;
		x->text[C_WINDOWS] = delta_windows_json(f, l->a);
		if (f->has_hash)
			x->text[C_SHA256] = sha256_hex_str(f->hash, l->a);
	}
}

/* ── tombstones ── */

static bool is_there(const struct str_map *m, struct str path)
{
	return str_map_get(m, path) != SIZE_MAX;
}

/* The removes of one version. *old: it is older than the tombstones that are told. */
static bool tombstones_of(struct actions *l, struct str text, int64_t since_ms, struct str_map *seen, bool *old, struct err *e)
{
	struct str line;
	while (str_cut(&text, '\n', &line)) {
		struct json_node *root = NULL;
		struct str path;
		uint64_t size = 0;
		int64_t ms = 0;
		if (line.n == 0)
			continue;
		if (!json_parse(line, l->a, &root, e))
			return false;
		const struct json_node *info = json_get(root, "commitInfo"), *n = json_get(root, "remove");
		if (info && (*old = json_i64_or(info, "timestamp", 0) < since_ms))
			return true;
		if (n == NULL)
			continue;
		if (!json_need_str(n, "path", &path, e) || !json_need_u64(n, "size", &size, e) ||
		    !json_need_i64(n, "deletionTimestamp", &ms, e))
			return false;
		if (is_there(seen, path))
			continue;
		str_map_add(seen, path, 0, l->a);
		struct action *x = action_add(l, "remove");
		x->text[C_PATH] = path;
		x->number[C_SIZE] = (int64_t)size;
		x->number[C_TIME] = ms;
	}
	return true;
}

static bool tombstones(struct store *s, struct str table_key, const struct table_snapshot *t, struct actions *l, struct err *e)
{
	struct str_map seen = { 0 };
	bool old = false;
	int64_t since_ms = t->last_commit_us / 1000 - TOMBSTONE_DAYS * INT64_C(86400000);
	for (size_t i = 0; i < t->n_files; i++)
		str_map_add(&seen, t->files[i].path, 0, l->a);
	for (int64_t v = t->version; v > 0 && !old; v--) {
		struct str text;
		if (!store_get(s, delta_log_key(table_key, (uint64_t)v, l->a), DELTA_COMMIT_MAX_BYTES, l->a, &text, e) ||
		    !tombstones_of(l, text, since_ms, &seen, &old, e))
			return err_wrap(e, "version %lld", (long long)v);
	}
	return true;
}

/* ── to the engine, and back ── */

static bool next(void *user, struct batch *b, struct err *e)
{
	struct actions *l = user;
	(void)e;
	for (; b->n_rows < BATCH_ROWS && l->at < l->n; l->at++) {
		const struct action *x = &l->v[l->at];
		size_t row = b->n_rows++;
		for (size_t c = 0; c < C_N; c++) {
			bool number = shape[c].type == TYPE_INTEGER;
			if (number)
				b->columns[c].i64[row] = x->number[c];
			else if (x->text[c].p)
				b->columns[c].s[row] = x->text[c];
			if (number || x->text[c].p)
				batch_set_valid(&b->columns[c], row);
		}
	}
	return true;
}

#define NO_MAP "CAST(MAP {} AS MAP(VARCHAR, VARCHAR))"
static const char nested[] =
	"SELECT "
	"CASE WHEN false THEN {'appId': kind, 'version': size, 'lastUpdated': size} END AS txn, "
	"CASE WHEN kind = 'add' THEN {'path': path, 'partitionValues': " NO_MAP ", 'size': size, 'modificationTime': time, "
	"'dataChange': false, 'tags': CASE WHEN sha256 IS NULL THEN MAP {'sluice.windows': windows} "
	"ELSE MAP {'sluice.windows': windows, 'sluice.sha256': sha256} END, 'stats': stats} END AS \"add\", "
	"CASE WHEN kind = 'remove' THEN {'path': path, 'deletionTimestamp': time, 'dataChange': false, "
	"'extendedFileMetadata': true, 'partitionValues': " NO_MAP ", 'size': size} END AS remove, "
	"CASE WHEN kind = 'metaData' THEN {'id': id, 'name': name, 'description': description, "
	"'format': {'provider': 'parquet', 'options': " NO_MAP "}, 'schemaString': \"schema\", "
	"'partitionColumns': CAST([] AS VARCHAR[]), 'configuration': MAP {'sluice.contract': contract}, 'createdTime': time} "
	"END AS \"metaData\", "
	"CASE WHEN kind = 'protocol' THEN {'minReaderVersion': 1::INTEGER, 'minWriterVersion': 2::INTEGER} END AS protocol "
	"FROM actions()";

static const char flat[] =
	"SELECT CASE WHEN \"add\" IS NOT NULL THEN 'add' WHEN remove IS NOT NULL THEN 'remove' WHEN \"metaData\" IS NOT NULL THEN "
	"'metaData' WHEN protocol.\"minReaderVersion\" = 1 AND protocol.\"minWriterVersion\" = 2 THEN 'protocol' END, "
	"coalesce(\"add\".path, remove.path), coalesce(\"add\".size, remove.size, 0), "
	"coalesce(\"add\".\"modificationTime\", remove.\"deletionTimestamp\", \"metaData\".\"createdTime\", 0), \"add\".stats, "
	"\"add\".tags['sluice.windows'], \"add\".tags['sluice.sha256'], \"metaData\".id, \"metaData\".name, "
	"\"metaData\".description, \"metaData\".\"schemaString\", \"metaData\".configuration['sluice.contract'] "
	"FROM read_parquet(";

static bool same(const struct action *x, const struct batch *b, size_t row)
{
	for (size_t c = 0; c < C_N; c++) {
		bool valid = batch_is_valid(&b->columns[c], row);
		if (shape[c].type == TYPE_INTEGER ? !valid || b->columns[c].i64[row] != x->number[c]
						  : valid != (x->text[c].p != NULL) ||
							    (valid && !str_eq(b->columns[c].s[row], x->text[c])))
			return false;
	}
	return true;
}

static bool take(void *user, const struct batch *b, struct err *e)
{
	struct actions *l = user;
	for (size_t row = 0; row < b->n_rows; row++, l->at++)
		if (l->at >= l->n || !same(&l->v[l->at], b, row))
			return err_set(e, ERR_ENGINE, "action %zu of the checkpoint was read back with other values", l->at);
	return true;
}

static bool write_and_read(struct engine_connection *c, struct actions *l, const char *path, struct table_file *f,
			   struct err *e)
{
	struct engine_source source = { "actions", shape, C_N, next, l };
	struct batch_shape *found;
	struct buf sql = BUF_INIT(1 << 16);
	size_t n = 0;
	bool ok = engine_add_source(c, &source, e) &&
		  engine_write_parquet(c, str_from(nested), path, PARQUET_DICTIONARY, &f->rows, &f->size_bytes, e);
	l->at = 0;
	buf_add_z(&sql, flat);
	if (ok && (!sql_path(&sql, str_from(path)) || !buf_add_z(&sql, ", hive_partitioning=false)")))
		ok = err_set(e, ERR_ENGINE, "its path does not fit into SQL");
	ok = ok && engine_query(c, buf_str(&sql), l->a, &found, &n, take, l, e) &&
	     ((l->at == l->n && f->rows == l->n) || err_set(e, ERR_ENGINE, "%zu of %zu actions were read back", l->at, l->n));
	buf_free(&sql);
	return ok;
}

/* ── checking ── */

/* Windows in the words of this program: an older one may have written them in another order. */
static bool same_windows(struct str stored, struct str log, struct arena *a)
{
	struct json_node *list = NULL;
	struct table_file f = { 0 };
	struct err ignored = ERR_INIT;
	return json_parse(stored, a, &list, &ignored) && json_get_windows(list, a, &f.windows, &f.n_windows, &ignored) &&
	       str_eq(delta_windows_json(&f, a), log);
}

static bool take_stored(void *user, const struct batch *b, struct err *e)
{
	struct actions *l = user;
	for (size_t row = 0; row < b->n_rows; row++, l->at++) {
		if (l->at >= l->n)
			return err_set(e, ERR_DAMAGE, "it has more actions than the log comes to");
		struct action x = l->v[l->at];
		const struct batch_column *windows = &b->columns[C_WINDOWS];
		if (x.text[C_WINDOWS].p && batch_is_valid(windows, row) && same_windows(windows->s[row], x.text[C_WINDOWS], l->a))
			x.text[C_WINDOWS] = windows->s[row];
		if (!same(&x, b, row))
			return err_set(e, ERR_DAMAGE, "it is not what the log comes to (action %zu)", l->at);
	}
	return true;
}

bool checkpoint_check(struct engine_connection *c, struct store *s, struct str table_key, uint64_t version, const char *path,
		      struct err *e)
{
	struct arena a = ARENA_INIT;
	struct table_snapshot t;
	struct actions l = { .a = &a };
	struct batch_shape *found;
	struct buf sql = BUF_INIT(1 << 16);
	size_t n = 0;
	bool ok = table_replay(s, table_key, (int64_t)version, &a, &t, e);
	if (ok)
		actions_of(&t, &l);
	ok = ok && tombstones(s, table_key, &t, &l, e);
	buf_add_z(&sql, flat);
	if (ok && (!sql_path(&sql, str_from(path)) || !buf_add_z(&sql, ", hive_partitioning=false)")))
		ok = err_set(e, ERR_ENGINE, "its path does not fit into SQL");
	ok = ok && engine_query(c, buf_str(&sql), &a, &found, &n, take_stored, &l, e) &&
	     (l.at == l.n || err_set(e, ERR_DAMAGE, "it has %zu actions, and the log comes to %zu", l.at, l.n));
	if (!ok && (e->code == ERR_ENGINE || e->code == ERR_ENGINE_FAULT || e->code == ERR_USAGE || e->code == ERR_MISSING))
		e->code = ERR_DAMAGE;
	buf_free(&sql);
	arena_free(&a);
	return ok;
}

/* ── in the child ── */

bool checkpoint_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e)
{
	struct store *s = NULL;
	struct engine *g = NULL;
	struct engine_connection *c = NULL;
	struct table_snapshot t;
	struct actions l = { .a = a };
	const char *folders[2] = { arena_zero_terminated(a, job->output), arena_zero_terminated(a, job->scratch) };
	struct engine_options o = { .memory_bytes = job->memory_bytes, .folders = folders, .n_folders = 2, .scratch = folders[1] };
	const char *path = arena_format(a, "%s/checkpoint.parquet", folders[0]).p;

	*out = (struct engine_result){ .files = arena_new(a, struct table_file), .n_files = 1 };
	out->files->path = STR("checkpoint.parquet");
	out->files->stats = STR("{}");
	bool ok = store_open(job->lake, &job->store, false, &s, e) &&
		  table_load(s, job->table_key, (int64_t)job->version, a, &t, e);
	if (ok)
		actions_of(&t, &l);
	ok = ok && tombstones(s, job->table_key, &t, &l, e) && engine_open(&o, &g, e) && engine_connect(g, &c, e) &&
	     write_and_read(c, &l, path, out->files, e);
	out->rows = l.n;
	engine_disconnect(c);
	if (g)
		engine_close(g);
	if (s)
		store_close(s);
	return ok || err_wrap(e, "checkpoint of %.*s, version %" PRIu64, STR_ARG(job->table_key), job->version);
}

/* ── to its place ── */

/* The one object of a table that changes. It is taken away and made anew: a hint without which every reader finds the newest
 * checkpoint, or begins with version 0, by listing; so a moment without it, or an older one in a race, costs time and no
 * more. A reader never sees half of it. */
static bool last_checkpoint(struct store *s, struct str table_key, uint64_t version, uint64_t actions, uint64_t size,
			    struct arena *a, struct err *e)
{
	enum store_created created;
	struct str key = arena_format(a, "%.*s/_delta_log/_last_checkpoint", STR_ARG(table_key));
	struct str text = arena_format(a, "{\"version\":%" PRIu64 ",\"size\":%" PRIu64 ",\"sizeInBytes\":%" PRIu64 "}\n", version,
				       actions, size);
	return store_remove(s, key, e) && store_create(s, key, text, &created, e);
}

bool checkpoint_publish(struct store *s, struct str table_key, uint64_t version, struct str bytes, uint64_t actions,
			struct arena *a, struct err *e)
{
	struct str key = arena_format(a, "%.*s/_delta_log/%020" PRIu64 ".checkpoint.parquet", STR_ARG(table_key), version);
	enum store_created created;
	return store_create(s, key, bytes, &created, e) &&
	       last_checkpoint(s, table_key, version, actions, bytes.n, a, e);
}
