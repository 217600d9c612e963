#include "run/verify_table.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct back {
	const struct table_schema *schema;
	const struct table_file *file;
	enum lake_zone zone;
	struct arena *arena;
	struct batch_shape *shape; /* set by the query before the first rows */
	size_t n_columns;
	struct row_hasher *hasher;
	size_t window;             /* the column `_window`; SIZE_MAX: a model's table, which has one window */
	struct row_hash *found;    /* [window of the file] */
	size_t at;
	struct str earlier;        /* what the rows call the file's only window, where that is not its name */
};

/* Contract columns cannot begin with '_'. A row that was set aside is hashed with all but the number of the fetch, which
 * may be that of an earlier one with the same content. */
static bool is_hashed(enum lake_zone zone, struct str name)
{
	return zone == ZONE_QUARANTINE ? !str_eq(name, STR("_gen")) : name.n > 0 && name.p[0] != '_';
}

static int by_name(const void *a, const void *b)
{
	const struct column *x = a, *y = b;
	return str_cmp(x->name, y->name);
}

static bool same_type(const struct batch_shape *file, const struct table_column *log)
{
	if (log->type == TYPE_JSON || log->type == TYPE_STRING)
		return file->type == TYPE_STRING || file->type == TYPE_JSON;
	return file->type == log->type && (log->type != TYPE_DECIMAL || file->scale == log->scale);
}

static const struct table_column *column_of_log(const struct back *k, struct str name)
{
	for (size_t i = 0; i < k->schema->n; i++)
		if (str_eq(k->schema->v[i].name, name))
			return &k->schema->v[i];
	return NULL;
}

static size_t column_of_file(const struct back *k, struct str name)
{
	for (size_t i = 0; i < k->n_columns; i++)
		if (str_eq(k->shape[i].name, name))
			return i;
	return SIZE_MAX;
}

/* A column that the file lacks is NULL in all of its rows, and NULL takes no part in a row's hash. */
static bool begin(struct back *k, struct err *e)
{
	struct contract *c = arena_new(k->arena, struct contract);
	size_t *columns = arena_array(k->arena, size_t, k->n_columns + 1);
	c->columns = arena_array(k->arena, struct column, k->n_columns + 1);
	c->by_name = arena_array(k->arena, size_t, k->n_columns + 1);
	k->window = k->zone == ZONE_REFINE ? SIZE_MAX : column_of_file(k, STR("_window"));
	if (k->zone != ZONE_REFINE && (k->window == SIZE_MAX || k->shape[k->window].type != TYPE_STRING))
		return err_set(e, ERR_DAMAGE, "it has no column _window");
	for (size_t i = 0; i < k->n_columns; i++) {
		const struct table_column *t = column_of_log(k, k->shape[i].name);
		if (!t || !same_type(&k->shape[i], t))
			return err_set(e, ERR_DAMAGE, "its column %.*s is not the one of the table's log", STR_ARG(k->shape[i].name));
		if (is_hashed(k->zone, t->name))
			c->columns[c->n_columns++] = (struct column){ .name = t->name, .type = t->type,
								      .precision = t->precision, .scale = t->scale };
	}
	qsort(c->columns, c->n_columns, sizeof *c->columns, by_name);
	for (size_t i = 0; i < c->n_columns; i++) {
		c->by_name[i] = i;
		columns[i] = column_of_file(k, c->columns[i].name);
	}
	k->hasher = row_hasher_new(c, columns, k->arena);
	return true;
}

/* A snapshot that came again with the same content, in tags of before they named what the rows say (row_window): the rows
 * name an older window than the tag. */
static bool is_earlier_snapshot(struct back *k, struct str name)
{
	const struct table_window *w = &k->file->windows[0];
	if (k->file->n_windows != 1 || !str_eq(w->row_window, w->name) || str_cmp(name, w->name) > 0)
		return false;
	if (k->earlier.n == 0)
		k->earlier = arena_copy(k->arena, name);
	k->at = 0;
	return str_eq(name, k->earlier);
}

/* Rows come in runs of windows. */
static bool find_window(struct back *k, struct str name)
{
	for (size_t i = 0; i < k->file->n_windows; i++) {
		size_t at = (k->at + i) % k->file->n_windows;
		if (str_eq(k->file->windows[at].row_window, name)) {
			k->at = at;
			return true;
		}
	}
	return is_earlier_snapshot(k, name);
}

static bool take(void *user, const struct batch *b, struct err *e)
{
	struct back *k = user;
	if (k->hasher == NULL && !begin(k, e))
		return false;
	if (k->window == SIZE_MAX) {
		if (k->file->n_windows != 1)
			return err_set(e, ERR_DAMAGE, "the log gives it %zu windows", k->file->n_windows);
		row_hash_add(&k->found[0], k->hasher, b, 0, b->n_rows);
		return true;
	}
	const struct batch_column *window = &b->columns[k->window];
	for (size_t row = 0, end; row < b->n_rows; row = end) {
		if (!batch_is_valid(window, row) || !find_window(k, window->s[row]))
			return err_set(e, ERR_DAMAGE, "it has a row of a window that the table's log does not give it");
		for (end = row + 1; end < b->n_rows; end++)
			if (!batch_is_valid(window, end) || !str_eq(window->s[end], window->s[row]))
				break;
		row_hash_add(&k->found[k->at], k->hasher, b, row, end);
	}
	return true;
}

static bool compare(const struct back *k, struct err *e)
{
	for (size_t i = 0; i < k->file->n_windows; i++) {
		const struct table_window *w = &k->file->windows[i];
		if (k->found[i].rows != w->rows)
			return err_set(e, ERR_DAMAGE, "window %.*s has %" PRIu64 " row%s, the table's log says %" PRIu64, STR_ARG(w->name),
				       k->found[i].rows, k->found[i].rows == 1 ? "" : "s", w->rows);
		if (!row_hash_eq(&k->found[i], &w->hash))
			return err_set(e, ERR_DAMAGE, "window %.*s: its rows have other values than were written", STR_ARG(w->name));
	}
	return true;
}

bool table_file_verify(struct lake_query *q, enum lake_zone zone, const struct table_schema *schema, const char *path,
		       const struct table_file *f, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct back k = { .schema = schema, .file = f, .zone = zone, .arena = &a };
	struct buf sql = BUF_INIT(1 << 16);
	k.found = arena_array(&a, struct row_hash, f->n_windows + 1);
	for (size_t i = 0; i < f->n_windows; i++)
		k.found[i] = ROW_HASH_INIT;
	buf_add_z(&sql, "SELECT * FROM read_parquet(");
	bool ok = sql_path(&sql, str_from(path)) && buf_add_z(&sql, ", hive_partitioning=false)") && !sql.overflow;
	if (!ok)
		err_set(e, ERR_DAMAGE, "its path does not fit into SQL");
	ok = ok && lake_query_run(q, buf_str(&sql), &a, &k.shape, &k.n_columns, take, &k, e) && compare(&k, e);
	/* Of bytes that were just found to be the right ones, it is not the file that the engine or the disk fails at. */
	bool trouble = e->code == ERR_SIGINT || e->code == ERR_SIGTERM || e->code == ERR_MEMORY ||
		       (f->has_hash && (e->code == ERR_STORAGE || e->code == ERR_ENGINE_FAULT));
	if (!ok && !trouble)
		e->code = ERR_DAMAGE;
	buf_free(&sql);
	arena_free(&a);
	return ok;
}
