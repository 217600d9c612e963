#include "prepare/compact.h"

#include "base/check.h"
#include "driver/engine.h"
#include "format/job_files.h"
#include "format/row_sum.h"
#include "prepare/prepare_parts.h"
#include "prepare/prepare_stats.h"
#include "prepare/read_back.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { COMPACT_SQL_MAX = 60 << 20 };

struct compact {
	const struct engine_job *job;
	struct engine *engine;
	struct engine_connection *connection;
	struct batch_shape *shape; /* of the table, by its log */
	struct contract *hashed;   /* the columns that row hashes cover, by name */
	struct row_hasher *hasher; /* of batches with all columns */
	size_t window;             /* the column `_window` */
	struct arena *a;
	struct buf sql;
};

/* ── what there is ── */

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct column *)a)->name, ((const struct column *)b)->name);
}

/* Contract columns cannot begin with '_'; of the quarantine all columns are hashed but the number of the fetch. */
static bool is_hashed(const struct compact *k, struct str name)
{
	return k->job->quarantine ? !str_eq(name, STR("_gen")) : name.p[0] != '_';
}

static bool table_open(struct compact *k, struct err *e)
{
	const struct table_schema *s = &k->job->columns;
	struct contract *c = k->hashed = arena_new(k->a, struct contract);
	size_t *columns = arena_array(k->a, size_t, s->n + 1);
	k->shape = arena_array(k->a, struct batch_shape, s->n + 1);
	c->columns = arena_array(k->a, struct column, s->n + 1);
	c->by_name = arena_array(k->a, size_t, s->n + 1);
	k->window = SIZE_MAX;
	for (size_t i = 0; i < s->n; i++) {
		const struct table_column *t = &s->v[i];
		k->shape[i] = (struct batch_shape){ t->name, t->type, t->precision, t->scale };
		if (str_eq(t->name, STR("_window")))
			k->window = i;
		if (is_hashed(k, t->name))
			c->columns[c->n_columns++] = (struct column){ .name = t->name, .type = t->type,
								      .precision = t->precision, .scale = t->scale };
	}
	if (k->window == SIZE_MAX)
		return err_set(e, ERR_DAMAGE, "the table has no column _window");
	qsort(c->columns, c->n_columns, sizeof *c->columns, by_name);
	for (size_t i = 0; i < c->n_columns; i++) {
		c->by_name[i] = i;
		while (!str_eq(k->shape[columns[i]].name, c->columns[i].name))
			columns[i]++;
	}
	k->hasher = row_hasher_new(c, columns, k->a);
	return true;
}

/* ── SQL ── */

static bool take_nothing(void *user, const struct batch *b, struct err *e)
{
	(void)user;
	(void)b;
	(void)e;
	return true;
}

static void put_files(struct buf *b, const struct job_merge *m)
{
	buf_add_z(b, " FROM read_parquet([");
	for (size_t i = 0; i < m->n_files; i++) {
		buf_add_z(b, i > 0 ? ", " : "");
		sql_path(b, m->files[i]);
	}
	buf_add_z(b, "], union_by_name=true, hive_partitioning=false, file_row_number=true)");
}

static bool has_column(const struct batch_shape *shape, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(shape[i].name, name))
			return true;
	return false;
}

static bool too_long(struct err *e)
{
	return err_set(e, ERR_ENGINE, "the SQL becomes longer than %d bytes", COMPACT_SQL_MAX);
}

/* The rows of the merge's windows, typed as the log says; a column that a file lacks is NULL there (rule 34). */
static bool select_put(struct compact *k, const struct job_merge *m, struct err *e)
{
	struct batch_shape *found = NULL;
	size_t n = 0;
	bool any = false;
	char type[32];
	buf_clear(&k->sql);
	buf_add_z(&k->sql, "SELECT *");
	put_files(&k->sql, m);
	buf_add_z(&k->sql, " LIMIT 0");
	if (k->sql.overflow)
		return too_long(e);
	if (!engine_query(k->connection, buf_str(&k->sql), k->a, &found, &n, take_nothing, NULL, e))
		return false;
	buf_clear(&k->sql);
	for (size_t i = 0; i < k->job->columns.n; i++) {
		const struct table_column *c = &k->job->columns.v[i];
		buf_add_z(&k->sql, i > 0 ? ", CAST(" : "SELECT CAST(");
		if (has_column(found, n, c->name))
			sql_identifier(&k->sql, c->name);
		else
			buf_add_z(&k->sql, "NULL");
		buf_addf(&k->sql, " AS %s) AS ", engine_sql_type(c->type, c->precision, c->scale, type));
		sql_identifier(&k->sql, c->name);
	}
	put_files(&k->sql, m);
	for (size_t i = 0; i < m->n_windows; i++) {
		if (m->windows[i].rows == 0)
			continue;
		buf_add_z(&k->sql, any ? ", " : " WHERE \"_window\" IN (");
		sql_literal(&k->sql, m->windows[i].row_window);
		any = true;
	}
	buf_add_z(&k->sql, any ? ")" : " WHERE false");
	return !k->sql.overflow || too_long(e);
}

/* ── the rows as they are ── */

struct reading {
	struct compact *k;
	struct window_sum *sums; /* of each window; .hash too */
	size_t n, at;
	struct row_marks marks;
	struct stats stats;
	bool plain;              /* a double that a dictionary would not keep (engine.h) */
};

static bool find(struct reading *s, struct str window)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t at = (s->at + i) % s->n;
		if (str_eq(s->sums[at].name, window)) {
			s->at = at;
			return true;
		}
	}
	return false;
}

static bool needs_plain(const struct batch *b)
{
	for (size_t c = 0; c < b->n_columns; c++)
		for (size_t row = 0; b->columns[c].type == TYPE_DOUBLE && row < b->n_rows; row++) {
			double v = b->columns[c].f64[row];
			if (batch_is_valid(&b->columns[c], row) && (isnan(v) || (fpclassify(v) == FP_ZERO && signbit(v))))
				return true;
		}
	return false;
}

static bool source_take(void *user, const struct batch *b, struct err *e)
{
	struct reading *s = user;
	const struct batch_column *window = &b->columns[s->k->window];
	CHECK(b->n_columns == s->k->job->columns.n);
	row_marks_make(&s->marks, b, b->n_columns, s->k->window);
	for (size_t row = 0, end; row < b->n_rows; row = end) {
		if (!batch_is_valid(window, row) || !find(s, window->s[row]))
			return err_set(e, ERR_DAMAGE, "a row of a window that was not asked for");
		for (end = row + 1; end < b->n_rows; end++)
			if (!batch_is_valid(window, end) || !str_eq(window->s[end], window->s[row]))
				break;
		row_sum_add(&s->sums[s->at].sum, &s->marks, row, end);
		row_hash_add(&s->sums[s->at].hash, s->k->hasher, b, row, end);
	}
	stats_add(&s->stats, b);
	s->plain = s->plain || needs_plain(b);
	return true;
}

static bool hashes_agree(const struct job_merge *m, const struct window_sum *sums, enum err_code code, struct err *e)
{
	for (size_t i = 0; i < m->n_windows; i++) {
		const struct table_window *w = &m->windows[i];
		if (sums[i].hash.rows != w->rows || !row_hash_eq(&sums[i].hash, &w->hash))
			return err_set(e, code, "window %.*s: %" PRIu64 " rows where the table's log says %" PRIu64 ", or other values",
				       STR_ARG(w->name), sums[i].hash.rows, w->rows);
	}
	return true;
}

/* ── a file ── */

static bool merge_write(struct compact *k, size_t index, struct table_file *out, struct err *e)
{
	const struct job_merge *m = &k->job->merges[index];
	struct arena own = ARENA_INIT;
	struct reading *s = arena_new(&own, struct reading);
	struct parquet_file file = { .folder = k->job->output, .index = index };
	struct parquet_duckdb q;
	struct batch_shape *found;
	size_t n = 0;
	uint64_t rows = 0;
	*s = (struct reading){ .k = k, .n = m->n_windows, .sums = arena_array(&own, struct window_sum, m->n_windows + 1) };
	for (size_t i = 0; i < m->n_windows; i++) {
		s->sums[i] = (struct window_sum){ .name = m->windows[i].row_window, .hash = ROW_HASH_INIT };
		rows += m->windows[i].rows;
	}
	stats_begin(&s->stats, k->shape, k->job->columns.n);
	bool ok = select_put(k, m, e) &&
		  engine_query(k->connection, buf_str(&k->sql), &own, &found, &n, source_take, s, e) &&
		  hashes_agree(m, s->sums, ERR_DAMAGE, e);
	file.encoding = s->plain ? PARQUET_PLAIN : PARQUET_DICTIONARY;
	/* Total: each window stands in one of the files. */
	buf_add_z(&k->sql, " ORDER BY \"_window\", file_row_number");
	ok = ok && (!k->sql.overflow || too_long(e)) &&
	     parquet_file_begin(&file, STR_NONE, k->a, out, e) &&
	     engine_write_parquet(k->connection, buf_str(&k->sql), file.path, file.encoding, &out->rows, &out->size_bytes, e) &&
	     parquet_file_end(&file, out, e) &&
	     (out->rows == rows || err_set(e, ERR_ENGINE, "%s: %" PRIu64 " rows were written of %" PRIu64, file.path, out->rows,
					   rows)) &&
	     read_back(parquet_use_duckdb(&q, k->connection), file.path, k->hashed, k->shape, k->job->columns.n, s->sums, s->n, e) &&
	     hashes_agree(m, s->sums, ERR_ENGINE, e) && job_file_made(k->job, file.path, e);
	if (ok) {
		out->stats = stats_json(&s->stats, k->a);
		out->windows = m->windows;
		out->n_windows = m->n_windows;
	}
	arena_free(&own);
	return ok;
}

static bool engine_start(struct compact *k, struct err *e)
{
	const struct engine_job *job = k->job;
	size_t n = 0;
	const char *folders[2] = { arena_zero_terminated(k->a, job->output), arena_zero_terminated(k->a, job->scratch) };
	for (size_t i = 0; i < job->n_merges; i++)
		n += job->merges[i].n_files;
	const char **files = arena_array(k->a, const char *, n + 1);
	n = 0;
	for (size_t i = 0; i < job->n_merges; i++)
		for (size_t f = 0; f < job->merges[i].n_files; f++)
			files[n++] = arena_zero_terminated(k->a, job->merges[i].files[f]);
	struct engine_options o = { .memory_bytes = job->memory_bytes, .folders = folders, .n_folders = 2,
				    .scratch = folders[1], .files = files, .n_files = n };
	return engine_open(&o, &k->engine, e) && engine_connect(k->engine, &k->connection, e);
}

bool compact_run(const struct engine_job *job, void (*progress)(void *user, uint64_t rows), void *user, struct arena *a,
		 struct engine_result *out, struct err *e)
{
	struct compact k = { .job = job, .a = a, .sql = BUF_INIT(COMPACT_SQL_MAX) };
	*out = (struct engine_result){ .files = arena_array(a, struct table_file, job->n_merges + 1) };
	bool ok = table_open(&k, e) && engine_start(&k, e);
	for (size_t i = 0; ok && i < job->n_merges; i++) {
		ok = merge_write(&k, i, &out->files[i], e) || err_wrap(e, "file %zu of %.*s", i + 1, STR_ARG(job->table));
		out->n_files += ok;
		out->rows += ok ? out->files[i].rows : 0;
		if (ok && progress)
			progress(user, out->rows);
	}
	engine_disconnect(k.connection);
	if (k.engine)
		engine_close(k.engine);
	buf_free(&k.sql);
	return ok;
}
