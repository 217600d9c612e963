#include "format/delta.h"

#include "base/check.h"
#include "base/json.h"
#include "format/delta_parts.h"
#include "format/json_parts.h"
#include "format/ledger.h"

#include <inttypes.h>
#include <string.h>



/* ── writing ── */

struct str delta_windows_json(const struct table_file *f, struct arena *a)
{
	struct buf b = BUF_INIT(DELTA_COMMIT_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_put_windows(&o, NULL, f->windows, f->n_windows);
	return buf_take(&b, a);
}

void delta_put_add(struct json_out *o, const struct table_file *f, struct arena *a)
{
	json_begin_object(o, NULL);
	json_begin_object(o, "add");
	json_put_str(o, "path", f->path);
	json_begin_object(o, "partitionValues");
	json_end_object(o);
	json_put_u64(o, "size", f->size_bytes);
	json_put_i64(o, "modificationTime", f->modified_ms);
	json_put_bool(o, "dataChange", !f->same_data);
	json_put_str(o, "stats", f->stats.n > 0 ? f->stats
						: arena_format(a, "{\"numRecords\":%" PRIu64 "}", f->rows));
	json_begin_object(o, "tags");
	json_put_str(o, "sluice.windows", delta_windows_json(f, a));
	if (f->has_hash)
		json_put_hash(o, "sluice.sha256", f->hash);
	json_end_object(o);
	json_end_object(o);
	json_end_object(o);
}

static void put_remove(struct json_out *o, const struct table_file *f, int64_t ms)
{
	json_begin_object(o, NULL);
	json_begin_object(o, "remove");
	json_put_str(o, "path", f->path);
	json_put_i64(o, "deletionTimestamp", ms);
	json_put_bool(o, "dataChange", !f->same_data);
	json_put_bool(o, "extendedFileMetadata", true);
	json_begin_object(o, "partitionValues");
	json_end_object(o);
	json_put_u64(o, "size", f->size_bytes);
	json_end_object(o);
	json_end_object(o);
}

void delta_put_metadata(struct json_out *o, const struct table_commit *c, struct arena *a)
{
	json_begin_object(o, NULL);
	json_begin_object(o, "protocol");
	json_put_i64(o, "minReaderVersion", 1);
	json_put_i64(o, "minWriterVersion", 2);
	json_end_object(o);
	json_end_object(o);
	buf_add_char(o->b, '\n');
	o->need_comma = false;
	json_begin_object(o, NULL);
	json_begin_object(o, "metaData");
	json_put_str(o, "id", c->table_id);
	json_put_str(o, "name", c->name);
	if (c->description.n > 0)
		json_put_str(o, "description", c->description);
	json_begin_object(o, "format");
	json_put_z(o, "provider", "parquet");
	json_begin_object(o, "options");
	json_end_object(o);
	json_end_object(o);
	json_put_str(o, "schemaString", table_schema_json(c->schema, a));
	json_begin_array(o, "partitionColumns");
	json_end_array(o);
	json_begin_object(o, "configuration");
	json_put_str(o, "sluice.contract", c->contract_meaning);
	json_end_object(o);
	json_put_i64(o, "createdTime", c->time_us / 1000);
	json_end_object(o);
	json_end_object(o);
	buf_add_char(o->b, '\n');
	o->need_comma = false;
}

static void put_commit_info(struct json_out *o, const struct table_commit *c)
{
	json_begin_object(o, NULL);
	json_begin_object(o, "commitInfo");
	json_put_i64(o, "timestamp", c->time_us / 1000);
	json_put_str(o, "operation", c->operation);
	json_begin_object(o, "operationParameters");
	json_end_object(o);
	json_put_z(o, "engineInfo", "sluice/" SLUICE_VERSION);
	if (c->metrics.n > 0)
		json_put_raw(o, "operationMetrics", c->metrics);
	json_put_str(o, "sluice.run", c->run_id);
	json_put_str(o, "sluice.nonce", c->nonce);
	json_put_hash(o, "sluice.job", c->job_key);
	if (c->version == 0)
		json_put_null(o, "sluice.previous");
	else
		json_put_hash(o, "sluice.previous", c->previous);
	json_put_u64(o, "sluice.actions", (c->schema ? 2 : 0) + c->n_remove + c->n_add);
	json_end_object(o);
	json_end_object(o);
}

struct str table_commit_encode(const struct table_commit *c, struct arena *a)
{
	struct buf b = BUF_INIT(DELTA_COMMIT_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	put_commit_info(&o, c);
	buf_add_char(&b, '\n');
	o.need_comma = false;
	if (c->schema)
		delta_put_metadata(&o, c, a);
	for (size_t i = 0; i < c->n_remove; i++) {
		put_remove(&o, &c->remove[i], c->time_us / 1000);
		buf_add_char(&b, '\n');
		o.need_comma = false;
	}
	for (size_t i = 0; i < c->n_add; i++) {
		delta_put_add(&o, &c->add[i], a);
		buf_add_char(&b, '\n');
		o.need_comma = false;
	}
	return buf_take(&b, a);
}

struct str delta_log_key(struct str table_key, uint64_t version, struct arena *a)
{
	return arena_format(a, "%.*s/_delta_log/%020" PRIu64 ".json", STR_ARG(table_key), version);
}

bool table_commit_write(struct store *s, struct str table_key, const struct table_commit *c, struct arena *a,
			enum table_outcome *out, struct err *e)
{
	CHECK(c->version >= 0);
	bool ours = false;
	struct str key = delta_log_key(table_key, (uint64_t)c->version, a);
	if (!store_create_checked(s, key, table_commit_encode(c, a), &ours, a, e))
		return err_wrap(e, "commit of %.*s", STR_ARG(table_key));
	*out = ours ? TABLE_COMMITTED : TABLE_TAKEN;
	return true;
}

bool table_settle(struct store *s, struct str table_key, const struct table_snapshot *t, struct arena *a, struct err *e)
{
	return t->version < 0 || store_settle(s, delta_log_key(table_key, (uint64_t)t->version, a), e);
}

/* ── reading ── */

static bool read_windows(struct str text, struct arena *a, struct table_file *f, struct err *e)
{
	struct json_node *list = NULL;
	if (!json_parse(text, a, &list, e))
		return false;
	if (!json_get_windows(list, a, &f->windows, &f->n_windows, e))
		return err_wrap(e, "tag sluice.windows");
	return true;
}

static bool read_add(const struct json_node *n, struct arena *a, struct table_file *f, struct err *e)
{
	memset(f, 0, sizeof *f);
	if (!json_need_str(n, "path", &f->path, e) || !json_need_u64(n, "size", &f->size_bytes, e) ||
	    !json_need_i64(n, "modificationTime", &f->modified_ms, e) || !json_need_str(n, "stats", &f->stats, e))
		return err_wrap(e, "add");
	struct json_node *stats = NULL;
	const struct json_node *tags = json_get(n, "tags");
	struct str windows = json_str_or(tags, "sluice.windows", STR_NONE);
	f->has_hash = json_get(tags, "sluice.sha256") != NULL;
	if (f->has_hash && !json_need_hash(tags, "sluice.sha256", &f->hash, e))
		return err_wrap(e, "add of %.*s", STR_ARG(f->path));
	if (!json_parse(f->stats, a, &stats, e) || !json_need_u64(stats, "numRecords", &f->rows, e))
		return err_wrap(e, "add of %.*s", STR_ARG(f->path));
	if (windows.n == 0)
		return err_set(e, ERR_DAMAGE, "add of %.*s was not made by sluice: it has no windows", STR_ARG(f->path));
	if (!read_windows(windows, a, f, e))
		return err_wrap(e, "add of %.*s", STR_ARG(f->path));
	return true;
}

static bool replay_remove(struct replay *r, struct str path)
{
	size_t kept = 0, before = r->files.n;
	for (size_t i = 0; i < r->files.n; i++)
		if (!str_eq(r->files.v[i].path, path))
			r->files.v[kept++] = r->files.v[i];
	r->files.n = kept;
	return kept < before;
}

static bool replay_metadata(struct replay *r, const struct json_node *n, struct err *e)
{
	struct str schema;
	if (!json_need_str(n, "id", &r->t->id, e) || !json_need_str(n, "schemaString", &schema, e))
		return err_wrap(e, "metaData");
	r->t->contract_meaning = json_str_or(json_get(n, "configuration"), "sluice.contract", STR_NONE);
	r->t->name = json_str_or(n, "name", STR_NONE);
	r->t->description = json_str_or(n, "description", STR_NONE);
	r->t->created_us = json_i64_or(n, "createdTime", 0) * 1000;
	r->has_metadata = true;
	return table_schema_parse(schema, r->a, &r->t->schema, e);
}

/* The first line of every version, and of ours only. */
static bool replay_info(struct replay *r, const struct json_node *n, struct err *e)
{
	const struct json_node *before = json_get(n, "sluice.previous");
	struct sha256 previous = { 0 };
	if (r->has_info)
		return err_set(e, ERR_DAMAGE, "a second commitInfo");
	if (!json_need_str(n, "sluice.nonce", &r->t->last_nonce, e) || !json_need_u64(n, "sluice.actions", &r->declared, e))
		return err_wrap(e, "commitInfo");
	if (r->version > 0 && !json_need_hash(n, "sluice.previous", &previous, e))
		return err_wrap(e, "commitInfo");
	if (r->version == 0 ? !before || before->type != JSON_NULL : !sha256_eq(previous, r->t->last_hash))
		return err_set(e, ERR_DAMAGE, "it was written behind another version %lld than the one that is there",
			       (long long)r->version - 1);
	r->has_info = true;
	r->t->last_run = json_str_or(n, "sluice.run", STR_NONE);
	r->t->last_commit_us = json_i64_or(n, "timestamp", 0) * 1000;
	return true;
}

bool replay_action(struct replay *r, const struct json_node *action, struct err *e)
{
	const struct json_node *n = json_get(action, "commitInfo");
	if (n)
		return replay_info(r, n, e);
	if (!r->has_info)
		return err_set(e, ERR_DAMAGE, "it does not begin with a commitInfo");
	r->actions++;
	if ((n = json_get(action, "add"))) {
		struct table_file f;
		if (!r->has_protocol || !r->has_metadata)
			return err_set(e, ERR_DAMAGE, "an add before protocol and metaData");
		if (!read_add(n, r->a, &f, e))
			return false;
		replay_remove(r, f.path); /* an add of a path that is there replaces its tags */
		*arena_push(r->a, r->files) = f;
	} else if ((n = json_get(action, "remove"))) {
		struct str path;
		if (!json_need_str(n, "path", &path, e))
			return err_wrap(e, "remove");
		if (!replay_remove(r, path))
			return err_set(e, ERR_DAMAGE, "it removes %.*s, which is not there", STR_ARG(path));
	} else if ((n = json_get(action, "metaData"))) {
		return replay_metadata(r, n, e);
	} else if ((n = json_get(action, "protocol"))) {
		if (json_i64_or(n, "minReaderVersion", 0) != 1 || json_i64_or(n, "minWriterVersion", 0) != 2)
			return err_set(e, ERR_DAMAGE, "another program changed the table's protocol");
		r->has_protocol = true;
	} else {
		/* Delta readers pass over what they do not know; here nobody else writes, so it is a word that was damaged. */
		return err_set(e, ERR_DAMAGE, "an action that sluice does not write");
	}
	return true;
}

bool replay_version(struct replay *r, struct str text, struct err *e)
{
	struct sha256 hash = sha256_of(text);
	struct str line;
	if (text.n == 0 || text.p[text.n - 1] != '\n')
		return err_set(e, ERR_DAMAGE, "%s", text.n == 0 ? "it is empty" : "it ends in the middle of a line");
	r->has_info = false;
	r->actions = r->declared = 0;
	while (str_cut(&text, '\n', &line)) {
		struct json_node *action = NULL;
		if (line.n == 0)
			continue;
		if (!json_parse(line, r->a, &action, e) || !replay_action(r, action, e)) {
			if (e->code == ERR_JSON)
				e->code = ERR_DAMAGE;
			return false;
		}
	}
	if (!r->has_info)
		return err_set(e, ERR_DAMAGE, "it has no commitInfo");
	if (r->actions != r->declared)
		return err_set(e, ERR_DAMAGE, "it has %llu actions, and was written with %llu", (unsigned long long)r->actions,
			       (unsigned long long)r->declared);
	if (!r->has_protocol || !r->has_metadata || r->t->schema.n == 0)
		return err_set(e, ERR_DAMAGE, "a table without protocol, metaData or columns");
	r->t->last_hash = hash;
	return true;
}

bool delta_newest_version(struct store *s, struct str table_key, int64_t *out, bool *marked, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	int64_t seen = -1;
	*out = -1;
	*marked = false;
	bool ok = store_list_names(s, arena_format(&a, "%.*s/_delta_log", STR_ARG(table_key)), &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++) {
		uint64_t n = 0;
		struct str name = list.v[i].name;
		*marked = *marked || delta_is_mark(name, &seen);
		if (name.n != DELTA_LOG_NAME || !str_ends(name, STR(".json")) || !str_to_u64(str_sub(name, 0, 20), &n))
			continue;
		if ((int64_t)n != *out + 1)
			ok = err_set(e, ERR_DAMAGE, "%.*s: version %lld is missing in _delta_log", STR_ARG(table_key),
				     (long long)*out + 1);
		*out = (int64_t)n;
	}
	arena_free(&a);
	return ok;
}

static void index_windows(struct table_snapshot *t, struct arena *a)
{
	size_t max = 0, n = 0;
	for (size_t i = 0; i < t->n_files; i++)
		max += t->files[i].n_windows;
	t->windows = arena_array(a, const struct table_window *, max + 1);
	for (size_t i = 0; i < t->n_files; i++)
		for (size_t k = 0; k < t->files[i].n_windows; k++) {
			t->windows[n] = &t->files[i].windows[k];
			if (str_map_add(&t->by_name, t->windows[n]->name, n, a))
				n++;
		}
}

static bool replay_some(struct replay *r, struct store *s, struct str table_key, int64_t to, struct err *e)
{
	for (int64_t last = r->t->version + DELTA_AHEAD; r->t->version < to && r->t->version < last;) {
		struct str text;
		r->version = r->t->version + 1;
		if (!store_get(s, delta_log_key(table_key, (uint64_t)r->version, r->a), DELTA_COMMIT_MAX_BYTES, r->a, &text, e) ||
		    !replay_version(r, text, e))
			return err_wrap(e, "%.*s, version %lld", STR_ARG(table_key), (long long)r->version);
		r->t->version = r->version;
	}
	return true;
}

bool replay_log(struct replay *r, struct store *s, struct str table_key, int64_t to, struct err *e)
{
	bool ok = true;
	while (ok && r->t->version < to) {
		struct store *ahead = delta_log_ahead(s, table_key, r->t->version + 1, to);
		ok = replay_some(r, ahead ? ahead : s, table_key, to, e);
		store_close(ahead);
	}
	if (!ok)
		return false;
	r->t->files = r->files.v;
	r->t->n_files = r->files.n;
	return true;
}

static bool load(struct store *s, struct str table_key, int64_t version, bool by_state, struct arena *a,
		 struct table_snapshot *out, struct err *e)
{
	int64_t newest = -1;
	memset(out, 0, sizeof *out);
	out->version = -1;
	bool marked = false;
	if (!delta_newest_version(s, table_key, &newest, &marked, e))
		return false;
	if (version > newest)
		return err_set(e, ERR_MISSING, "%.*s has no version %lld", STR_ARG(table_key), (long long)version);
	if (version < 0)
		version = newest;
	struct replay r = { .t = out, .a = a };
	if (by_state && version >= TABLE_STATE_EVERY)
		state_begin(&r, s, table_key, version);
	if (!replay_log(&r, s, table_key, version, e)) {
		*out = (struct table_snapshot){ .version = -1 }; /* the table as it was once is nobody's */
		return false;
	}
	out->in_repair = marked; /* no state says so */
	index_windows(out, a);
	return true;
}

bool table_good_versions(struct store *s, struct str table_key, int64_t *n, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct table_snapshot t = { 0 };
	struct err why = ERR_INIT;
	struct replay r = { .t = &t, .a = &a };
	for (*n = 0;; ++*n) {
		struct str text;
		r.version = *n;
		if (!store_get(s, delta_log_key(table_key, (uint64_t)*n, &a), DELTA_COMMIT_MAX_BYTES, &a, &text, &why) ||
		    !replay_version(&r, text, &why))
			break;
	}
	arena_free(&a);
	if (why.code == ERR_STORAGE)
		*e = why;
	return why.code != ERR_STORAGE;
}

bool table_load(struct store *s, struct str table_key, int64_t version, struct arena *a, struct table_snapshot *out,
		struct err *e)
{
	return load(s, table_key, version, true, a, out, e);
}

bool table_replay(struct store *s, struct str table_key, int64_t version, struct arena *a, struct table_snapshot *out,
		  struct err *e)
{
	return load(s, table_key, version, false, a, out, e);
}

const struct table_window *table_find_window(const struct table_snapshot *t, struct str name)
{
	size_t i = str_map_get(&t->by_name, name);
	return i == SIZE_MAX ? NULL : t->windows[i];
}

bool table_window_total(const struct table_snapshot *t, struct str name, uint64_t *rows, struct row_hash *hash)
{
	bool found = false;
	*hash = ROW_HASH_INIT;
	for (size_t i = 0; i < t->n_files; i++)
		for (size_t k = 0; k < t->files[i].n_windows; k++)
			if (str_eq(t->files[i].windows[k].name, name)) {
				row_hash_merge(hash, &t->files[i].windows[k].hash);
				found = true;
			}
	*rows = hash->rows;
	return found;
}
