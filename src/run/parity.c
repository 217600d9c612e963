#include "run/parity.h"

#include "base/check.h"
#include "base/file.h"
#include "base/scratch.h"
#include "refine/model_spark.h"
#include "run/engine_call.h"
#include "run/lake_query.h"
#include "run/publish.h"

#include <inttypes.h>
#include <string.h>

enum { PARITY_SQL_MAX = 16 << 20, EXAMPLES = 3, SHOWN_LETTERS = 80 };

struct parity {
	struct project *j;
	const struct model *m;
	struct spark_session *spark;
	struct arena *a;
	struct parity_report *out;
	struct lake_query q;
	struct buf sql;
	struct str folder[2]; /* what each engine wrote */
	struct engine_result result[2];
};

static bool side_run(struct parity *p, struct engine_job job, size_t i, struct str scratch, const volatile int *stop, struct err *e)
{
	struct parity_side *side = i == 0 ? &p->out->duckdb : &p->out->spark;
	struct engine_call call = { .job = &job, .spark = i == 1 ? p->spark : NULL, .stop = stop };

	p->folder[i] = job.output = arena_format(p->a, "%.*s/%s", STR_ARG(scratch), i == 0 ? "duckdb" : "spark");
	if (!file_make_dirs(job.output.p, e))
		return false;
	if (i == 1)
		model_for_spark(p->m, &job, p->a);
	if (!engine_call(&call, p->a, &p->result[i], &side->err))
		return true; /* that is an answer, too */
	side->engine = p->result[i].engine;
	side->rows = p->result[i].rows;
	side->hash = ROW_HASH_INIT;
	for (size_t f = 0; f < p->result[i].n_files; f++)
		row_hash_merge(&side->hash, &p->result[i].files[f].windows[0].hash);
	return true;
}

static const char *file_of(const struct parity *p, size_t i, size_t f)
{
	struct str path = p->result[i].files[f].path;
	size_t from = path.n;
	while (from > 0 && path.p[from - 1] != '/')
		from--;
	return arena_format(p->a, "%.*s/%.*s", STR_ARG(p->folder[i]), STR_ARG(str_sub(path, from, path.n))).p;
}

static void rows_put(struct parity *p, size_t i)
{
	buf_add_z(&p->sql, "read_parquet([");
	for (size_t f = 0; f < p->result[i].n_files; f++) {
		buf_add_z(&p->sql, f > 0 ? ", " : "");
		sql_path(&p->sql, str_from(file_of(p, i, f)));
	}
	buf_add_z(&p->sql, "], hive_partitioning=false)");
}

static void joined_put(struct parity *p)
{
	const struct contract *c = p->m->contract;

	buf_add_z(&p->sql, " FROM (SELECT *, true AS \"_here\" FROM ");
	rows_put(p, 0);
	buf_add_z(&p->sql, ") d FULL JOIN (SELECT *, true AS \"_here\" FROM ");
	rows_put(p, 1);
	buf_add_z(&p->sql, ") s ON ");
	for (size_t i = 0; i < c->n_key; i++) {
		buf_add_z(&p->sql, i > 0 ? " AND d." : "d.");
		sql_identifier(&p->sql, c->columns[c->key[i]].name);
		buf_add_z(&p->sql, " IS NOT DISTINCT FROM s.");
		sql_identifier(&p->sql, c->columns[c->key[i]].name);
	}
}

struct cells {
	struct arena *a;
	struct str *v;
	size_t n, cap;
};

/* All queries here give texts. */
static bool cells_take(void *user, const struct batch *b, struct err *e)
{
	struct cells *l = user;
	(void)e;
	for (size_t row = 0; row < b->n_rows; row++)
		for (size_t i = 0; i < b->n_columns; i++)
			*arena_push(l->a, *l) = batch_is_valid(&b->columns[i], row) ? arena_copy(l->a, b->columns[i].s[row]) :
										       STR("NULL");
	return true;
}

static bool cells_ask(struct parity *p, struct cells *out, struct err *e)
{
	struct batch_shape *shape;
	size_t n;

	*out = (struct cells){ .a = p->a };
	if (p->sql.overflow)
		return err_set(e, ERR_ENGINE, "the SQL becomes longer than %d bytes", PARITY_SQL_MAX);
	return engine_query(p->q.connection, buf_str(&p->sql), p->a, &shape, &n, cells_take, out, e);
}

/* A value for people: texts in apostrophes, so that 'NULL' is none, and of a long one both ends. */
static void value_put(struct parity *p, const char *before, const struct column *c, const char *after)
{
	struct buf b = BUF_INIT(4096);
	bool text = c->type == TYPE_STRING || c->type == TYPE_JSON;
	buf_add_z(&b, before);
	sql_identifier(&b, c->name);
	buf_add_z(&b, after);
	struct str x = buf_str(&b);
	buf_addf(&p->sql, "coalesce(CASE WHEN length(CAST(%.*s AS VARCHAR)) > %d THEN ", STR_ARG(x), SHOWN_LETTERS);
	buf_addf(&p->sql, "%s || left(CAST(%.*s AS VARCHAR), %d) || '...' || right(CAST(%.*s AS VARCHAR), %d) || %s || ' (' || length(CAST(%.*s AS VARCHAR)) || ' letters)'",
		 text ? "''''" : "''", STR_ARG(x), SHOWN_LETTERS / 2, STR_ARG(x), SHOWN_LETTERS / 4, text ? "''''" : "''", STR_ARG(x));
	buf_addf(&p->sql, " ELSE %s || CAST(%.*s AS VARCHAR) || %s END, 'NULL')", text ? "''''" : "''", STR_ARG(x), text ? "''''" : "''");
	if (b.overflow)
		p->sql.overflow = true;
	buf_free(&b);
}

static bool sides_ask(struct parity *p, struct err *e)
{
	const struct contract *c = p->m->contract;
	struct cells cells;

	for (size_t side = 0; side < 2; side++) {
		buf_clear(&p->sql);
		buf_add_z(&p->sql, "SELECT '' ");
		for (size_t i = 0; i < c->n_columns; i++) {
			buf_add_z(&p->sql, ", CAST(count(*) - count(");
			sql_identifier(&p->sql, c->columns[i].name);
			buf_add_z(&p->sql, ") AS VARCHAR), ");
			value_put(p, "min(", &c->columns[i], ")");
			buf_add_z(&p->sql, ", ");
			value_put(p, "max(", &c->columns[i], ")");
		}
		buf_add_z(&p->sql, " FROM ");
		rows_put(p, side);
		if (!cells_ask(p, &cells, e))
			return false;
		CHECK(cells.n == 1 + 3 * c->n_columns);
		for (size_t i = 0; i < c->n_columns; i++) {
			p->out->columns[i].nulls[side] = cells.v[1 + 3 * i];
			p->out->columns[i].least[side] = cells.v[2 + 3 * i];
			p->out->columns[i].most[side] = cells.v[3 + 3 * i];
		}
	}
	return true;
}

static bool rows_ask(struct parity *p, struct err *e)
{
	const struct contract *c = p->m->contract;
	struct cells cells;
	bool ok = true;

	buf_clear(&p->sql);
	buf_add_z(&p->sql, "SELECT CAST(count(*) FILTER (WHERE s.\"_here\" IS NULL) AS VARCHAR), "
			   "CAST(count(*) FILTER (WHERE d.\"_here\" IS NULL) AS VARCHAR)");
	for (size_t i = 0; i < c->n_columns; i++) {
		buf_add_z(&p->sql, ", CAST(count(*) FILTER (WHERE d.\"_here\" AND s.\"_here\" AND d.");
		sql_identifier(&p->sql, c->columns[i].name);
		buf_add_z(&p->sql, " IS DISTINCT FROM s.");
		sql_identifier(&p->sql, c->columns[i].name);
		buf_add_z(&p->sql, ") AS VARCHAR)");
	}
	joined_put(p);
	if (!cells_ask(p, &cells, e))
		return false;
	CHECK(cells.n == 2 + c->n_columns);
	ok = str_to_u64(cells.v[0], &p->out->only_duckdb) && str_to_u64(cells.v[1], &p->out->only_spark);
	for (size_t i = 0; ok && i < c->n_columns; i++)
		ok = str_to_u64(cells.v[2 + i], &p->out->columns[i].differ);
	return ok || err_set(e, ERR_BUG, "a count that is none");
}

static void key_put(struct parity *p, const char *side)
{
	const struct contract *c = p->m->contract;
	for (size_t k = 0; k < c->n_key; k++) {
		const struct column *column = &c->columns[c->key[k]];
		sql_literal(&p->sql, arena_format(p->a, "%s%.*s=", k > 0 ? ", " : "", STR_ARG(column->name)));
		buf_add_z(&p->sql, ", ");
		value_put(p, side, column, "");
		buf_add_z(&p->sql, ", ");
	}
}

static bool examples_take(struct parity *p, struct err *e)
{
	struct cells cells;
	buf_addf(&p->sql, " ORDER BY x LIMIT %d", EXAMPLES);
	if (!cells_ask(p, &cells, e))
		return false;
	memcpy(p->out->examples + p->out->n_examples, cells.v, cells.n * sizeof *cells.v);
	p->out->n_examples += cells.n;
	return true;
}

/* Rows of the first column that differs. */
static bool values_ask(struct parity *p, struct err *e)
{
	const struct contract *c = p->m->contract;
	size_t i = 0;

	while (i < c->n_columns && p->out->columns[i].differ == 0)
		i++;
	if (i == c->n_columns)
		return true;
	struct str name = c->columns[i].name;
	buf_clear(&p->sql);
	buf_add_z(&p->sql, "SELECT concat(");
	key_put(p, "d.");
	sql_literal(&p->sql, arena_format(p->a, ": %.*s DuckDB ", STR_ARG(name)));
	buf_add_z(&p->sql, ", ");
	value_put(p, "d.", &c->columns[i], "");
	buf_add_z(&p->sql, ", ', Spark ', ");
	value_put(p, "s.", &c->columns[i], "");
	buf_add_z(&p->sql, ") AS x");
	joined_put(p);
	buf_add_z(&p->sql, " WHERE d.\"_here\" AND s.\"_here\" AND d.");
	sql_identifier(&p->sql, name);
	buf_add_z(&p->sql, " IS DISTINCT FROM s.");
	sql_identifier(&p->sql, name);
	return examples_take(p, e);
}

/* Keys that one side alone has. */
static bool keys_ask(struct parity *p, size_t side, struct err *e)
{
	if ((side == 0 ? p->out->only_duckdb : p->out->only_spark) == 0)
		return true;
	buf_clear(&p->sql);
	buf_add_z(&p->sql, "SELECT concat(");
	key_put(p, side == 0 ? "d." : "s.");
	buf_addf(&p->sql, "': only %s') AS x", side == 0 ? "DuckDB" : "Spark");
	joined_put(p);
	buf_addf(&p->sql, " WHERE %s.\"_here\" IS NULL", side == 0 ? "s" : "d");
	return examples_take(p, e);
}

static bool examples_ask(struct parity *p, struct err *e)
{
	p->out->examples = arena_array(p->a, struct str, 3 * EXAMPLES);
	return values_ask(p, e) && keys_ask(p, 0, e) && keys_ask(p, 1, e);
}

static bool difference_find(struct parity *p, struct err *e)
{
	const struct contract *c = p->m->contract;
	size_t n = 0;
	const char **files = arena_array(p->a, const char *, p->result[0].n_files + p->result[1].n_files + 1);

	for (size_t i = 0; i < 2; i++)
		for (size_t f = 0; f < p->result[i].n_files; f++)
			files[n++] = file_of(p, i, f);
	p->out->n_columns = c->n_columns;
	p->out->columns = arena_array(p->a, struct parity_column, c->n_columns);
	for (size_t i = 0; i < c->n_columns; i++)
		p->out->columns[i] = (struct parity_column){ .name = c->columns[i].name };
	for (size_t i = 0; i < p->j->n_graph; i++)
		if (str_eq(p->j->graph[i].name, p->m->name) && p->j->graph[i].n_findings > 0)
			p->out->lint = &p->j->graph[i];
	p->sql = BUF_INIT(PARITY_SQL_MAX);
	bool ok = lake_query_open_files(p->j, files, n, p->a, &p->q, e) && sides_ask(p, e) && rows_ask(p, e) && examples_ask(p, e);
	lake_query_close(&p->q);
	buf_free(&p->sql);
	return ok;
}

bool parity_model(struct project *j, const struct model *m, struct spark_session *spark, unsigned threads,
		  const volatile int *stop, struct arena *a, struct parity_report *out, struct err *e)
{
	struct parity p = { .j = j, .m = m, .spark = spark, .a = a, .out = out };
	struct engine_job job;
	struct scratch scratch = { 0 };

	*out = (struct parity_report){ .model = m->name };
	if (!publish_model_job(j, m, STR("parity"), threads, &job, a, e) || !scratch_open(a, &scratch, e))
		return err_wrap(e, "parity %.*s", STR_ARG(m->name));
	struct str folder = str_from(scratch.path);
	bool ok = side_run(&p, job, 0, folder, stop, e) && side_run(&p, job, 1, folder, stop, e);
	out->compared = ok && out->duckdb.err.code == ERR_NONE && out->spark.err.code == ERR_NONE;
	if (ok && stop && *stop)
		ok = err_set(e, *stop == 2 ? ERR_SIGINT : ERR_SIGTERM, "stopped");
	out->equal = out->compared && out->duckdb.rows == out->spark.rows && row_hash_eq(&out->duckdb.hash, &out->spark.hash);
	if (ok && out->compared && !out->equal)
		ok = difference_find(&p, e);
	scratch_close(&scratch);
	return ok || err_wrap(e, "parity %.*s", STR_ARG(m->name));
}
