/* One model: views over its inputs, its SELECT into a table, the contract's columns in their order and types into
 * another, that in pieces into files. The SELECT runs once; the casts are proven to lose nothing before they are made. */
#include "base/effect.h"
#include "refine/model.h"

#include "base/check.h"
#include "base/clock.h"
#include "refine/graph.h"
#include "refine/model_token.h"
#include "refine/refine_files.h"
#include "refine/pack.h"
#include "refine/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REFINE_SQL_MAX_BYTES = 60 << 20, LIST_MAX_BYTES = 1500 };

struct given { /* a column as the SELECT gives it */
	struct str name, type; /* DuckDB's name of the type */
};

struct refine {
	const struct engine_job *job;
	struct arena *a;
	struct contract *contract;
	struct engine *engine;
	struct engine_connection *c;
	struct str sql, name;
	struct {
		struct given *v;
		size_t n, cap;
	} given;
	struct buf text; /* the SQL at hand */
};

static bool too_long(struct err *e)
{
	return err_set(e, ERR_ENGINE, "the SQL becomes longer than %d bytes", REFINE_SQL_MAX_BYTES);
}

static bool text_run(struct refine *r, struct err *e)
{
	return r->text.overflow ? too_long(e) : engine_run(r->c, buf_str(&r->text), e);
}

static bool nothing_take(void *user, const struct batch *b, struct err *e)
{
	(void)user;
	(void)b;
	(void)e;
	return true;
}

/* ── the SELECT ── */

/* Whoever wrote the job, the model reads its inputs and nothing else. */
static bool reads_check(struct refine *r, struct err *e)
{
	struct graph_reads reads;

	if (!graph_tables(r->c, r->name, r->sql, r->a, &reads, e))
		return false;
	for (size_t i = 0; i < reads.n_tables; i++) {
		bool known = false;
		for (size_t k = 0; !known && k < r->job->n_inputs; k++) {
			const struct job_input *in = &r->job->inputs[k];
			known = str_eq(reads.tables[i], arena_format(r->a, "%.*s.%.*s", STR_ARG(in->schema),
								     STR_ARG(in->table)));
		}
		if (!known)
			return err_set(e, ERR_CONFIG, "model %.*s: models read prepare.x and refine.y only, and this run was "
				       "given no %.*s", STR_ARG(r->name), STR_ARG(reads.tables[i]));
	}
	return true;
}

static void model_put(struct refine *r, const char *before, const char *after)
{
	buf_clear(&r->text);
	buf_add_z(&r->text, before);
	buf_add(&r->text, r->sql); /* one whole SELECT: reads_check */
	buf_add_z(&r->text, after);
}

static bool given_take(void *user, const struct batch *b, struct err *e)
{
	struct refine *r = user;

	(void)e;
	for (size_t row = 0; row < b->n_rows; row++)
		*arena_push(r->a, r->given) = (struct given){ arena_copy(r->a, b->columns[0].s[row]),
							      arena_copy(r->a, b->columns[1].s[row]) };
	return true;
}

/* "LINE 3, column 7: ..." counts the line that model_put sets before the model: its file and own line in place of that. */
static bool at_own_line(const struct refine *r, struct err *e)
{
	struct str text = arena_copy(r->a, str_from(e->message)), mark = STR("; LINE ");
	size_t at = str_find(text, mark), n = 0;
	uint64_t line = 0;
	struct err own = { .code = e->code, .sys_errno = e->sys_errno };

	if (at == text.n)
		return false;
	struct str rest = str_sub(text, at + mark.n, text.n);
	while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9')
		n++;
	if (!str_to_u64(str_sub(rest, 0, n), &line) || line < 2)
		return false;
	err_set(&own, e->code, "%.*s; models/%.*s.sql, line %" PRIu64 "%.*s", STR_ARG(str_sub(text, 0, at)), STR_ARG(r->name), line - 1,
		STR_ARG(str_sub(rest, n, rest.n)));
	memcpy(own.hint, e->hint, sizeof own.hint);
	*e = own;
	return false;
}

static bool select_run(struct refine *r, struct err *e)
{
	struct batch_shape *shape;
	size_t n;

	/* Bound, not run: what fails here is the author's. */
	model_put(r, "SELECT * FROM (\n", "\n) AS q LIMIT 0");
	if (r->text.overflow)
		return too_long(e);
	if (!engine_query(r->c, buf_str(&r->text), r->a, &shape, &n, nothing_take, NULL, e)) {
		if (e->code == ERR_ENGINE)
			e->code = ERR_CONFIG;
		return at_own_line(r, e);
	}
	model_put(r, "CREATE TABLE work.model AS SELECT * FROM (\n", "\n) AS q");
	if (!text_run(r, e))
		return at_own_line(r, e);
	return engine_query(r->c, STR("SELECT column_name, column_type FROM (DESCRIBE work.model)"), r->a, &shape, &n, given_take, r, e);
}

/* ── its columns against the contract's ── */

static const struct given *given_find(const struct refine *r, struct str name)
{
	for (size_t i = 0; i < r->given.n; i++)
		if (str_eq_nocase(r->given.v[i].name, name))
			return &r->given.v[i];
	return NULL;
}

static void list_add(struct buf *b, const char *title, struct str name, size_t *n)
{
	buf_add_z(b, *n == 0 ? title : ", ");
	buf_add(b, name);
	++*n;
}

static bool columns_match(struct refine *r, struct err *e)
{
	struct buf b = BUF_INIT(LIST_MAX_BYTES);
	size_t lacking = 0, extra = 0;
	bool ok;

	for (size_t i = 0; i < r->contract->n_columns; i++)
		if (!given_find(r, r->contract->columns[i].name))
			list_add(&b, "the SELECT does not give columns of the contract: ", r->contract->columns[i].name,
				 &lacking);
	for (size_t i = 0; i < r->given.n; i++) {
		size_t k = 0;
		while (k < r->contract->n_columns && !str_eq_nocase(r->contract->columns[k].name, r->given.v[i].name))
			k++;
		if (k == r->contract->n_columns)
			list_add(&b, lacking > 0 ? "; the contract does not have columns of the SELECT: " :
						   "the contract does not have columns of the SELECT: ",
				 r->given.v[i].name, &extra);
	}
	ok = lacking + extra == 0;
	if (!ok) {
		err_set(e, ERR_CONFIG, "%.*s", STR_ARG(buf_str(&b)));
		err_hint(e, "the columns of models/%.*s.sql and contracts/%.*s.yaml must be the same", STR_ARG(r->name),
			 STR_ARG(r->name));
	}
	buf_free(&b);
	return ok;
}

/* Types that may stand in CAST(... AS type) as DuckDB writes them. */
static bool type_is_plain(struct str type)
{
	static const char *const plain[] = {
		"BOOLEAN",  "TINYINT",	"SMALLINT",  "INTEGER", "BIGINT",    "HUGEINT",	     "UTINYINT",     "USMALLINT",
		"UINTEGER", "UBIGINT",	"UHUGEINT",  "FLOAT",	"DOUBLE",    "VARCHAR",	     "DATE",	     "TIMESTAMP",
		"JSON",	    "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE",
	};
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (str_eq_z(type, plain[i]))
			return true;
	if (!str_starts(type, STR("DECIMAL(")))
		return false;
	for (size_t i = 8; i + 1 < type.n; i++)
		if (type.p[i] != ',' && (type.p[i] < '0' || type.p[i] > '9'))
			return false;
	return type.p[type.n - 1] == ')';
}

/* Every value of the type is one of the column's, and stays what it is. */
static bool cast_is_exact(struct str from, const struct column *c)
{
	static const struct {
		const char *from;
		enum column_type to;
	} exact[] = {
		{ "TINYINT", TYPE_INTEGER },   { "SMALLINT", TYPE_INTEGER },  { "INTEGER", TYPE_INTEGER },
		{ "BIGINT", TYPE_INTEGER },    { "UTINYINT", TYPE_INTEGER },  { "USMALLINT", TYPE_INTEGER },
		{ "UINTEGER", TYPE_INTEGER },  { "FLOAT", TYPE_DOUBLE },      { "DOUBLE", TYPE_DOUBLE },
		{ "VARCHAR", TYPE_STRING },    { "VARCHAR", TYPE_JSON },      { "JSON", TYPE_JSON },
		{ "JSON", TYPE_STRING },       { "BOOLEAN", TYPE_BOOLEAN },   { "DATE", TYPE_DATE },
		{ "TIMESTAMP", TYPE_TIMESTAMP }, { "TIMESTAMP WITH TIME ZONE", TYPE_TIMESTAMP },
		{ "TIMESTAMP_S", TYPE_TIMESTAMP }, { "TIMESTAMP_MS", TYPE_TIMESTAMP },
	};
	char type[32];

	for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
		if (exact[i].to == c->type && str_eq_z(from, exact[i].from))
			return true;
	return str_eq_z(from, engine_sql_type(c->type, c->precision, c->scale, type));
}

static void cast_put(struct buf *b, const char *function, const struct column *c)
{
	char type[32];

	buf_addf(b, "%s(", function);
	sql_identifier(b, c->name);
	buf_addf(b, " AS %s)", engine_sql_type(c->type, c->precision, c->scale, type));
}

struct losses {
	struct refine *r;
	const struct column **columns; /* that were asked about */
	size_t n;
};

static bool losses_take(void *user, const struct batch *b, struct err *e)
{
	struct losses *l = user;
	char type[32];

	for (size_t i = 0; b->n_rows > 0 && i < l->n; i++) {
		const struct column *c = l->columns[i];
		int64_t n = b->columns[2 * i].i64[0];
		if (n == 0)
			continue;
		struct str example = str_sub(b->columns[2 * i + 1].s[0], 0, 100);
		err_set(e, ERR_CONTRACT, "column %.*s: %" PRId64 " values cannot be %s without loss, for instance %.*s",
			STR_ARG(c->name), n, engine_sql_type(c->type, c->precision, c->scale, type), STR_ARG(example));
		return err_hint(e, "round or cast in models/%.*s.sql, or give the column another type in its contract",
				STR_ARG(l->r->name));
	}
	return true;
}

/* A value is lost where it does not come back from the column's type. */
static bool losses_check(struct refine *r, struct err *e)
{
	const struct contract *c = r->contract;
	struct losses l = { .r = r, .columns = arena_array(r->a, const struct column *, c->n_columns) };
	struct batch_shape *shape;
	size_t n;

	buf_clear(&r->text);
	buf_add_z(&r->text, "SELECT ");
	for (size_t i = 0; i < c->n_columns; i++) {
		const struct column *column = &c->columns[i];
		const struct given *from = given_find(r, column->name);
		if (!type_is_plain(from->type))
			return err_set(e, ERR_CONFIG, "column %.*s is a %.*s: models give plain columns, so cast it",
				       STR_ARG(column->name), STR_ARG(from->type));
		if (cast_is_exact(from->type, column))
			continue;
		buf_add_z(&r->text, l.n > 0 ? ", " : "");
		for (int k = 0; k < 2; k++) {
			if (k == 0) {
				buf_add_z(&r->text, "count(*)");
			} else {
				buf_add_z(&r->text, ", min(CAST(");
				sql_identifier(&r->text, column->name);
				buf_add_z(&r->text, " AS VARCHAR))");
			}
			buf_add_z(&r->text, " FILTER (WHERE TRY_CAST(");
			cast_put(&r->text, "TRY_CAST", column);
			buf_addf(&r->text, " AS %.*s) IS DISTINCT FROM ", STR_ARG(from->type));
			sql_identifier(&r->text, column->name);
			buf_add_char(&r->text, ')');
		}
		l.columns[l.n++] = column;
	}
	if (l.n == 0)
		return true;
	buf_add_z(&r->text, " FROM work.model");
	if (r->text.overflow)
		return too_long(e);
	return engine_query(r->c, buf_str(&r->text), r->a, &shape, &n, losses_take, &l, e);
}

/* ── the table ── */

static void order_put(struct buf *b, const struct contract *c)
{
	for (size_t i = 0; i < c->n_sort + c->n_key; i++) {
		bool descending = i < c->n_sort && c->sort_descending[i];
		size_t column = i < c->n_sort ? c->sort[i] : c->key[i - c->n_sort];
		buf_add_z(b, i > 0 ? ", " : " ORDER BY ");
		sql_identifier(b, c->columns[column].name);
		buf_add_z(b, descending ? " DESC NULLS LAST" : " ASC NULLS FIRST");
	}
}

/* 0.0 and -0.0 equal each other: which of them comes out of MAX, DISTINCT or a group is each engine's own choice, and no
 * function of models tells them apart. So there is one zero. */
static void result_put(struct buf *b, const struct column *c)
{
	if (c->type == TYPE_DOUBLE) {
		buf_add_z(b, "CASE WHEN ");
		cast_put(b, "CAST", c);
		buf_add_z(b, " = 0 THEN 0e0 ELSE ");
	}
	cast_put(b, "CAST", c);
	if (c->type == TYPE_DOUBLE)
		buf_add_z(b, " END");
}

static bool result_create(struct refine *r, struct err *e)
{
	const struct contract *c = r->contract;

	buf_clear(&r->text);
	buf_add_z(&r->text, "CREATE TABLE work.result AS SELECT ");
	for (size_t i = 0; i < c->n_columns; i++) {
		buf_add_z(&r->text, i > 0 ? ", " : "");
		result_put(&r->text, &c->columns[i]);
		buf_add_z(&r->text, " AS ");
		sql_identifier(&r->text, c->columns[i].name);
	}
	buf_add_z(&r->text, " FROM work.model");
	order_put(&r->text, c);
	return text_run(r, e) && engine_run(r->c, STR("DROP TABLE work.model"), e);
}

static bool count_take(void *user, const struct batch *b, struct err *e)
{
	(void)e;
	if (b->n_rows > 0)
		*(uint64_t *)user = (uint64_t)b->columns[0].i64[0];
	return true;
}

static bool result_count(struct refine *r, uint64_t *rows, struct err *e)
{
	struct batch_shape *shape;
	size_t n;
	return engine_query(r->c, STR("SELECT count(*) FROM work.result"), r->a, &shape, &n, count_take, rows, e);
}

/* Keys that equal each other are neighbours only if the sort order is made of key columns. Otherwise they are counted. */
static bool keys_count(struct refine *r, struct err *e)
{
	const struct contract *c = r->contract;
	struct batch_shape *shape;
	uint64_t doubles = 0;
	bool inside = true;
	size_t n;

	for (size_t i = 0; i < c->n_sort; i++)
		inside = inside && c->columns[c->sort[i]].key_position > 0;
	if (inside)
		return true;
	buf_clear(&r->text);
	buf_add_z(&r->text, "SELECT count(*) FROM (SELECT 1 FROM work.result GROUP BY ");
	for (size_t i = 0; i < c->n_key; i++) {
		buf_add_z(&r->text, i > 0 ? ", " : "");
		sql_identifier(&r->text, c->columns[c->key[i]].name);
	}
	buf_add_z(&r->text, " HAVING count(*) > 1)");
	if (r->text.overflow)
		return too_long(e);
	if (!engine_query(r->c, buf_str(&r->text), r->a, &shape, &n, count_take, &doubles, e))
		return false;
	if (doubles > 0)
		return err_set(e, ERR_CONTRACT, "%" PRIu64 " keys occur more than once (rule primary_key.unique)", doubles) ||
		       err_hint(e, "nothing was published; mend models/%.*s.sql, or the key in contracts/%.*s.yaml",
				STR_ARG(r->name), STR_ARG(r->name));
	return true;
}

/* ── files ── */

/* NaNs equal each other and may have other bits: a dictionary would keep one of them for all. Zeros are one: result_put. */
static bool encoding_choose(struct refine *r, enum parquet_encoding *out, struct err *e)
{
	const struct contract *c = r->contract;
	struct batch_shape *shape;
	uint64_t rows = 0;
	size_t n = 0;

	*out = PARQUET_DICTIONARY;
	buf_clear(&r->text);
	buf_add_z(&r->text, "SELECT count(*) FROM work.result WHERE");
	for (size_t i = 0; i < c->n_columns; i++) {
		if (c->columns[i].type != TYPE_DOUBLE)
			continue;
		buf_add_z(&r->text, n++ > 0 ? " OR isnan(" : " isnan(");
		sql_identifier(&r->text, c->columns[i].name);
		buf_add_char(&r->text, ')');
	}
	if (n == 0)
		return true;
	if (r->text.overflow)
		return too_long(e);
	if (!engine_query(r->c, buf_str(&r->text), r->a, &shape, &n, count_take, &rows, e))
		return false;
	if (rows > 0)
		*out = PARQUET_PLAIN;
	return true;
}

static bool files_write(struct refine *r, struct engine_result *out, struct err *e)
{
	struct refine_files f = { .job = r->job, .contract = r->contract, .engine = r->engine, .model = r->name,
				  .encoding = PARQUET_DICTIONARY };
	return result_count(r, &f.rows, e) && keys_count(r, e) && encoding_choose(r, &f.encoding, e) &&
	       refine_files_write(&f, r->a, out, e);
}

/* ── all of it ── */

static bool engine_start(struct refine *r, struct err *e)
{
	const struct engine_job *job = r->job;
	size_t n_files = 0;
	const char *output = arena_zero_terminated(r->a, job->output);

	for (size_t i = 0; i < job->n_inputs; i++)
		n_files += job->inputs[i].n_files;
	const char **files = arena_array(r->a, const char *, n_files + 1);
	n_files = 0;
	for (size_t i = 0; i < job->n_inputs; i++)
		for (size_t k = 0; k < job->inputs[i].n_files; k++)
			files[n_files++] = arena_zero_terminated(r->a, job->inputs[i].files[k]);
	struct engine_options o = { .memory_bytes = job->memory_bytes, .threads = job->any_order ? job->threads : 1, .files = files, .n_files = n_files,
				    .folders = &output, .n_folders = 1,
				    .scratch = job->scratch.n > 0 ? arena_zero_terminated(r->a, job->scratch) : NULL };
	return engine_open(&o, &r->engine, e) && engine_connect(r->engine, &r->c, e);
}

static bool refine_all(struct refine *r, struct engine_result *out, struct err *e)
{
	struct clock *clock = clock_system();
	int64_t start = clock->monotonic_us(clock);

	if (!engine_start(r, e) || !reads_check(r, e))
		return false;
	bool ok = pack_load(r->c, PACK_RUN, e) && views_create(r->c, r->job->inputs, r->job->n_inputs, r->a, e) &&
		  engine_run(r->c, STR("CREATE SCHEMA work"), e) && select_run(r, e) && columns_match(r, e) && losses_check(r, e) &&
		  result_create(r, e);
	out->parse_us = clock->monotonic_us(clock) - start;
	return (ok && files_write(r, out, e)) || err_wrap(e, "model %.*s", STR_ARG(r->name));
}

bool refine_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e)
{
	struct refine r = { .job = job, .a = a, .name = job->table, .text = BUF_INIT(REFINE_SQL_MAX_BYTES) };
	bool ok;

	*out = (struct engine_result){ 0 };
	CHECK(job->n_sql == 1 && job->file_rows > 0);
	r.sql = sql_body(job->sql[0]);
	ok = contract_from_canonical(job->contract, a, &r.contract, e);
	if (ok && r.contract->n_key == 0)
		ok = err_set(e, ERR_CONFIG, "model %.*s: its contract has no primary key", STR_ARG(r.name));
	ok = ok && engine_version(a, &out->engine, e) && refine_all(&r, out, e);
	engine_disconnect(r.c);
	engine_close(r.engine);
	buf_free(&r.text);
	return ok;
}
