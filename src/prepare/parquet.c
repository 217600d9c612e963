#include "prepare/parquet.h"

#include "base/check.h"
#include "base/effect.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* ── DuckDB ── */

static struct parquet_duckdb *of(struct parquet *q)
{
	return (struct parquet_duckdb *)q;
}

static bool select_put(const struct parquet_rows *r, struct buf *sql, struct err *e)
{
	buf_add_z(sql, "SELECT *");
	if (r->last_is_order_only) {
		buf_add_z(sql, " EXCLUDE (");
		sql_identifier(sql, r->shape[r->n_columns - 1].name);
		buf_add_char(sql, ')');
	}
	buf_addf(sql, " FROM %s()", r->name);
	for (size_t i = 0; i < r->n_order; i++) { /* total: nothing is left to chance, so any number of threads gives the same bytes */
		buf_add_z(sql, i > 0 ? ", " : " ORDER BY ");
		sql_identifier(sql, r->order[i].column);
		buf_add_z(sql, r->order[i].descending ? " DESC" : " ASC");
	}
	return !sql->overflow || err_set(e, ERR_ENGINE, "the sort order is too long");
}

static bool duckdb_write(struct parquet *q, const struct parquet_rows *r, const char *path, enum parquet_encoding encoding,
			 uint64_t *rows, uint64_t *size_bytes, struct err *e)
{
	struct engine_source source = { r->name, r->shape, r->n_columns, r->next, r->user };
	struct buf sql = BUF_INIT(1 << 20);
	bool ok = select_put(r, &sql, e) && engine_add_source(of(q)->connection, &source, e) &&
		  engine_write_parquet(of(q)->connection, buf_str(&sql), path, encoding, rows, size_bytes, e);

	buf_free(&sql);
	return ok;
}

static bool duckdb_read(struct parquet *q, const char *path, const struct batch_shape *shape, size_t n_columns,
			engine_take *take, void *user, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct buf sql = BUF_INIT(1 << 20);
	struct batch_shape *found;
	size_t n_found;
	bool ok;

	for (size_t i = 0; i < n_columns; i++) {
		buf_add(&sql, i == 0 ? STR("SELECT ") : STR(", "));
		sql_identifier(&sql, shape[i].name);
	}
	buf_add(&sql, STR(" FROM read_parquet("));
	ok = sql_path(&sql, str_from(path)) && buf_add_z(&sql, ", hive_partitioning=false)") && !sql.overflow;
	if (!ok)
		err_set(e, ERR_ENGINE, "%s: its path or columns do not fit into SQL", path);
	ok = ok && engine_query(of(q)->connection, buf_str(&sql), &a, &found, &n_found, take, user, e);
	buf_free(&sql);
	arena_free(&a);
	return ok;
}

struct parquet *parquet_use_duckdb(struct parquet_duckdb *q, struct engine_connection *connection)
{
	static const struct parquet_ops OPS = { duckdb_write, duckdb_read };

	*q = (struct parquet_duckdb){ .base = { .ops = &OPS }, .connection = connection };
	return &q->base;
}

/* ── a file of a table ── */

bool parquet_file_begin(struct parquet_file *f, struct str mark, struct arena *a, struct table_file *out, struct err *e)
{
	struct str folder = f->folder, last;
	char name[128];
	int n;

	const char *point = mark.n > 0 ? "." : "";

	n = f->attempt == 0
		    ? snprintf(name, sizeof name, "%05zu%s%.*s.parquet", f->index, point, STR_ARG(mark))
		    : snprintf(name, sizeof name, "%05zu.%u%s%.*s.parquet", f->index, f->attempt, point, STR_ARG(mark));
	CHECK(n > 0 && (size_t)n < sizeof name);
	while (folder.n > 1 && folder.p[folder.n - 1] == '/')
		folder.n--;
	last = folder;
	for (size_t i = 0; i < folder.n; i++)
		if (folder.p[i] == '/')
			last = str_sub(folder, i + 1, folder.n);
	n = snprintf(f->path, sizeof f->path, "%.*s/%s", STR_ARG(folder), name);
	if (n < 0 || (size_t)n >= sizeof f->path)
		return err_set(e, ERR_STORAGE, "%.*s: the path is too long", STR_ARG(str_sub(folder, 0, 200)));
	*out = (struct table_file){ .path = arena_format(a, "data/%.*s/%s", STR_ARG(last), name) };
	return true;
}

bool parquet_file_end(struct parquet_file *f, struct table_file *out, struct err *e)
{
	struct stat st;

	if (sys_stat(f->path, &st) != 0)
		return err_set_errno(e, ERR_STORAGE, errno, "%s", f->path);
	out->modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return true;
}

bool parquet_file_write(struct parquet_file *f, struct parquet *q, const struct parquet_rows *rows, struct arena *a,
			struct table_file *out, struct err *e)
{
	return parquet_file_begin(f, q->mark, a, out, e) &&
	       q->ops->write(q, rows, f->path, f->encoding, &out->rows, &out->size_bytes, e) && parquet_file_end(f, out, e);
}
