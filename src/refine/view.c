#include "refine/view.h"

#include "base/check.h"

enum { VIEW_MAX_BYTES = 60 << 20 };

static bool run_text(struct engine_connection *c, struct buf *sql, struct err *e)
{
	if (sql->overflow)
		return err_set(e, ERR_ENGINE, "the SQL becomes longer than %d bytes", VIEW_MAX_BYTES);
	return engine_run(c, buf_str(sql), e);
}

static bool take_nothing(void *user, const struct batch *b, struct err *e)
{
	(void)user;
	(void)b;
	(void)e;
	return true;
}

static void put_files(struct buf *b, const struct job_input *in)
{
	buf_add_z(b, "read_parquet([");
	for (size_t i = 0; i < in->n_files; i++) {
		buf_add_z(b, i > 0 ? ", " : "");
		sql_path(b, in->files[i]);
	}
	buf_add_z(b, "], union_by_name=true, hive_partitioning=false)");
}

/* Columns that at least one of the files has. */
static bool files_shape(struct engine_connection *c, const struct job_input *in, struct buf *sql, struct arena *a,
			struct batch_shape **shape, size_t *n, struct err *e)
{
	*n = 0;
	if (in->n_files == 0)
		return true;
	buf_clear(sql);
	buf_add_z(sql, "SELECT * FROM ");
	put_files(sql, in);
	buf_add_z(sql, " LIMIT 0");
	if (sql->overflow)
		return err_set(e, ERR_ENGINE, "the SQL becomes longer than %d bytes", VIEW_MAX_BYTES);
	return engine_query(c, buf_str(sql), a, shape, n, take_nothing, NULL, e);
}

static bool has_column(const struct batch_shape *shape, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(shape[i].name, name))
			return true;
	return false;
}

static bool create_schema(struct engine_connection *c, struct str name, struct buf *sql, struct err *e)
{
	buf_clear(sql);
	buf_add_z(sql, "CREATE SCHEMA IF NOT EXISTS ");
	sql_identifier(sql, name);
	return run_text(c, sql, e);
}

static bool create_view(struct engine_connection *c, const struct job_input *in, struct buf *sql, struct arena *a,
			struct err *e)
{
	struct batch_shape *shape = NULL;
	size_t n = 0;
	char type[32];
	CHECK(in->columns.n > 0);
	if (!files_shape(c, in, sql, a, &shape, &n, e))
		return false;
	buf_clear(sql);
	buf_add_z(sql, "CREATE VIEW ");
	sql_identifier(sql, in->schema);
	buf_add_char(sql, '.');
	sql_identifier(sql, in->table);
	buf_add_z(sql, " AS SELECT ");
	for (size_t i = 0; i < in->columns.n; i++) {
		const struct table_column *col = &in->columns.v[i];
		buf_add_z(sql, i > 0 ? ", CAST(" : "CAST(");
		if (has_column(shape, n, col->name))
			sql_identifier(sql, col->name);
		else
			buf_add_z(sql, "NULL");
		buf_addf(sql, " AS %s) AS ", engine_sql_type(col->type, col->precision, col->scale, type));
		sql_identifier(sql, col->name);
	}
	buf_add_z(sql, in->n_files > 0 ? " FROM " : " WHERE false");
	if (in->n_files > 0)
		put_files(sql, in);
	return run_text(c, sql, e);
}

bool views_create(struct engine_connection *c, const struct job_input *inputs, size_t n_inputs, struct arena *a,
		  struct err *e)
{
	struct buf sql = BUF_INIT(VIEW_MAX_BYTES);
	bool ok = true;
	for (size_t i = 0; ok && i < n_inputs; i++) {
		ok = create_schema(c, inputs[i].schema, &sql, e) && create_view(c, &inputs[i], &sql, a, e);
		if (!ok)
			err_wrap(e, "%.*s.%.*s", STR_ARG(inputs[i].schema), STR_ARG(inputs[i].table));
	}
	buf_free(&sql);
	return ok;
}
