/* Rows out. Results are streamed: DuckDB works ahead by about a megabyte and then waits, so memory does not grow with
 * the number of rows.
 *
 * The fast path: columns that DuckDB keeps as a batch does (BIGINT, DOUBLE, DATE, BOOLEAN, TIMESTAMP) are not copied;
 * the batch's pointers lead into DuckDB's vectors for the time of the call. Texts become views, narrow integers and
 * decimals are widened in one tight loop a column. */
#include "driver/engine_duckdb.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { QUERY_MAX_BYTES = 64 << 20 };

enum reader {
	READ_DIRECT,
	READ_STRING,
	READ_I8,
	READ_I16,
	READ_I32,
	READ_U8,
	READ_U16,
	READ_U32,
	READ_U64,
	READ_FLOAT,
	READ_I128,
	READ_U128,
	READ_DECIMAL16,
	READ_DECIMAL32,
	READ_DECIMAL64,
	READ_DECIMAL128,
	READ_SECONDS,
	READ_MILLISECONDS,
	READ_AS_TEXT /* has no place in a batch: the query is asked again with a cast to VARCHAR */
};

struct query {
	struct engine_connection *c;
	duckdb_prepared_statement statement;
	struct batch_shape *shape;
	enum reader *readers;
	size_t n_columns;
	bool as_text; /* some column is READ_AS_TEXT */
	struct arena arena;
	struct batch batch;
};

/* ── types ── */

static const struct {
	duckdb_type from;
	enum column_type to;
	enum reader reader;
	unsigned precision;
} TYPES[] = {
	{ DUCKDB_TYPE_BOOLEAN, TYPE_BOOLEAN, READ_DIRECT, 0 },
	{ DUCKDB_TYPE_TINYINT, TYPE_INTEGER, READ_I8, 0 },
	{ DUCKDB_TYPE_SMALLINT, TYPE_INTEGER, READ_I16, 0 },
	{ DUCKDB_TYPE_INTEGER, TYPE_INTEGER, READ_I32, 0 },
	{ DUCKDB_TYPE_BIGINT, TYPE_INTEGER, READ_DIRECT, 0 },
	{ DUCKDB_TYPE_UTINYINT, TYPE_INTEGER, READ_U8, 0 },
	{ DUCKDB_TYPE_USMALLINT, TYPE_INTEGER, READ_U16, 0 },
	{ DUCKDB_TYPE_UINTEGER, TYPE_INTEGER, READ_U32, 0 },
	{ DUCKDB_TYPE_UBIGINT, TYPE_DECIMAL, READ_U64, 20 },
	{ DUCKDB_TYPE_HUGEINT, TYPE_DECIMAL, READ_I128, 38 },
	{ DUCKDB_TYPE_UHUGEINT, TYPE_DECIMAL, READ_U128, 38 },
	{ DUCKDB_TYPE_FLOAT, TYPE_DOUBLE, READ_FLOAT, 0 },
	{ DUCKDB_TYPE_DOUBLE, TYPE_DOUBLE, READ_DIRECT, 0 },
	{ DUCKDB_TYPE_DATE, TYPE_DATE, READ_DIRECT, 0 },
	{ DUCKDB_TYPE_TIMESTAMP, TYPE_TIMESTAMP, READ_DIRECT, 0 },
	{ DUCKDB_TYPE_TIMESTAMP_TZ, TYPE_TIMESTAMP, READ_DIRECT, 0 },
	{ DUCKDB_TYPE_TIMESTAMP_S, TYPE_TIMESTAMP, READ_SECONDS, 0 },
	{ DUCKDB_TYPE_TIMESTAMP_MS, TYPE_TIMESTAMP, READ_MILLISECONDS, 0 },
	{ DUCKDB_TYPE_VARCHAR, TYPE_STRING, READ_STRING, 0 },
};

static enum reader type_read(duckdb_logical_type t, struct batch_shape *s)
{
	duckdb_type id = duck.duckdb_get_type_id(t);

	if (id == DUCKDB_TYPE_DECIMAL) {
		s->type = TYPE_DECIMAL;
		s->precision = duck.duckdb_decimal_width(t);
		s->scale = duck.duckdb_decimal_scale(t);
		return s->precision <= 4    ? READ_DECIMAL16
		       : s->precision <= 9  ? READ_DECIMAL32
		       : s->precision <= 18 ? READ_DECIMAL64
					    : READ_DECIMAL128;
	}
	for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
		if (TYPES[i].from != id)
			continue;
		s->type = TYPES[i].to;
		s->precision = TYPES[i].precision;
		if (s->type == TYPE_TIMESTAMP && id != DUCKDB_TYPE_TIMESTAMP_TZ)
			s->scale = SCALE_OF_WALL_CLOCK;
		if (id == DUCKDB_TYPE_VARCHAR) {
			char *alias = duck.duckdb_logical_type_get_alias(t);
			if (alias && strcmp(alias, "JSON") == 0)
				s->type = TYPE_JSON;
			if (alias)
				duck.duckdb_free(alias);
		}
		return TYPES[i].reader;
	}
	s->type = TYPE_STRING;
	return READ_AS_TEXT;
}

static bool query_prepare(struct query *q, const char *sql, struct arena *a, struct err *e)
{
	engine_begin(q->c);
	const char *refused = ENGINE_REFUSED(duckdb_prepare);
	if (refused || duck.duckdb_prepare(q->c->handle, sql, &q->statement) != DuckDBSuccess) {
		q->c->sql = sql;
		engine_fail(q->c, "SQL", refused ? refused : duck.duckdb_prepare_error(q->statement), DUCKDB_ERROR_INVALID, e);
		q->c->sql = NULL;
		return false;
	}
	q->n_columns = duck.duckdb_prepared_statement_column_count(q->statement);
	q->shape = arena_array(a, struct batch_shape, q->n_columns);
	q->readers = arena_array(&q->arena, enum reader, q->n_columns);
	q->as_text = false;
	for (size_t i = 0; i < q->n_columns; i++) {
		char *name = (char *)(uintptr_t)duck.duckdb_prepared_statement_column_name(q->statement, i);
		duckdb_logical_type t = duck.duckdb_prepared_statement_column_logical_type(q->statement, i);
		q->shape[i].name = arena_copy(a, str_from(name));
		q->readers[i] = type_read(t, &q->shape[i]);
		q->as_text = q->as_text || q->readers[i] == READ_AS_TEXT;
		duck.duckdb_free(name);
		duck.duckdb_destroy_logical_type(&t);
	}
	return true;
}

/* The same query, its odd columns as text; DuckDB keeps the order of a subquery. */
static bool query_prepare_as_text(struct query *q, struct str sql, struct arena *a, struct err *e)
{
	struct buf b = BUF_INIT(QUERY_MAX_BYTES);
	struct batch_shape *shape = q->shape;
	size_t n = q->n_columns;
	bool ok;

	for (sql = str_trim(sql); str_ends(sql, STR(";")); sql = str_trim(sql))
		sql.n--;
	buf_add(&b, STR("SELECT "));
	for (size_t i = 0; i < n; i++) {
		bool cast = q->readers[i] == READ_AS_TEXT;
		buf_addf(&b, cast ? "%sCAST(c%zu AS VARCHAR)" : "%sc%zu", i > 0 ? ", " : "", i);
	}
	buf_add(&b, STR(" FROM (\n"));
	buf_add(&b, sql);
	buf_add(&b, STR("\n) AS t("));
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%sc%zu", i > 0 ? ", " : "", i);
	ok = buf_add(&b, STR(")"));
	duck.duckdb_destroy_prepare(&q->statement);
	if (!ok)
		err_set(e, ERR_ENGINE, "SQL: longer than %d bytes", QUERY_MAX_BYTES);
	ok = ok && query_prepare(q, b.p, a, e);
	buf_free(&b);
	if (ok && (q->as_text || q->n_columns != n))
		ok = err_set(e, ERR_ENGINE, "SQL: a column has a type that cannot be shown; cast it to VARCHAR");
	for (size_t i = 0; ok && i < n; i++)
		q->shape[i].name = shape[i].name;
	return ok;
}

/* ── values ── */

#define READ_LOOP(member, type)                            \
	do {                                               \
		const type *from_values = data;            \
		for (size_t i = 0; i < n; i++)             \
			c->member[i] = from_values[i];     \
		return true;                               \
	} while (0)

/* duckdb_string_t: a length, then up to 12 bytes in place, or 4 of them and a pointer. */
static void read_strings(struct batch_column *c, const duckdb_string_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const duckdb_string_t *s = &from[i];
		uint32_t length = s->value.inlined.length;

		if (!batch_is_valid(c, i))
			c->s[i] = STR_NONE;
		else if (length <= sizeof s->value.inlined.inlined)
			c->s[i] = (struct str){ s->value.inlined.inlined, length };
		else
			c->s[i] = (struct str){ s->value.pointer.ptr, length };
	}
}

/* 128-bit integers that may have 39 digits; a decimal of 38 is all a batch can hold. */
static bool read_huge(struct batch_column *c, const char *from, size_t n, bool is_signed)
{
	int128 limit = 1;

	for (int i = 0; i < 38; i++)
		limit *= 10;
	for (size_t i = 0; i < n; i++) {
		int128 x;

		memcpy(&x, from + i * sizeof x, sizeof x);
		c->i128[i] = x;
		if (batch_is_valid(c, i) && (x >= limit || x <= -limit || (!is_signed && x < 0)))
			return false;
	}
	return true;
}

static bool read_scaled(struct batch_column *c, const int64_t *from, size_t n, int64_t factor)
{
	for (size_t i = 0; i < n; i++)
		if (batch_is_valid(c, i) && __builtin_mul_overflow(from[i], factor, &c->i64[i]))
			return false;
	return true;
}

/* False: a value that the batch's type cannot hold. */
static bool read_column(struct batch_column *c, enum reader reader, void *data, size_t n)
{
	switch (reader) {
	case READ_DIRECT:
		c->i64 = data; /* one member of the union stands for all */
		return true;
	case READ_STRING:
		read_strings(c, data, n);
		return true;
	case READ_I8:
		READ_LOOP(i64, int8_t);
	case READ_I16:
		READ_LOOP(i64, int16_t);
	case READ_I32:
		READ_LOOP(i64, int32_t);
	case READ_U8:
		READ_LOOP(i64, uint8_t);
	case READ_U16:
		READ_LOOP(i64, uint16_t);
	case READ_U32:
		READ_LOOP(i64, uint32_t);
	case READ_U64:
		READ_LOOP(i128, uint64_t);
	case READ_FLOAT:
		READ_LOOP(f64, float);
	case READ_DECIMAL16:
		READ_LOOP(i128, int16_t);
	case READ_DECIMAL32:
		READ_LOOP(i128, int32_t);
	case READ_DECIMAL64:
		READ_LOOP(i128, int64_t);
	case READ_DECIMAL128:
		memcpy(c->i128, data, n * sizeof c->i128[0]);
		return true;
	case READ_I128:
		return read_huge(c, data, n, true);
	case READ_U128:
		return read_huge(c, data, n, false);
	case READ_SECONDS:
		return read_scaled(c, data, n, 1000000);
	case READ_MILLISECONDS:
		return read_scaled(c, data, n, 1000);
	case READ_AS_TEXT:
		break;
	}
	CHECK(false && "a reader");
	return false;
}

static void read_validity(struct batch_column *c, const uint64_t *valid, size_t n)
{
	size_t words = (n + 63) / 64;

	if (valid)
		memcpy(c->valid, valid, words * sizeof c->valid[0]);
	else
		memset(c->valid, 0xff, words * sizeof c->valid[0]);
	if (n % 64 > 0)
		c->valid[words - 1] &= ~(UINT64_MAX << n % 64);
	memset(c->valid + words, 0, sizeof c->valid - words * sizeof c->valid[0]);
}

static bool query_read(struct query *q, duckdb_data_chunk chunk, struct err *e)
{
	size_t n = duck.duckdb_data_chunk_get_size(chunk);

	CHECK(n <= BATCH_ROWS);
	q->batch.n_rows = n;
	for (size_t i = 0; i < q->n_columns; i++) {
		duckdb_vector v = duck.duckdb_data_chunk_get_vector(chunk, i);
		struct batch_column *c = &q->batch.columns[i];

		read_validity(c, duck.duckdb_vector_get_validity(v), n);
		if (!read_column(c, q->readers[i], duck.duckdb_vector_get_data(v), n))
			return err_set(e, ERR_ENGINE, "SQL: column %.*s holds a value beyond %s", STR_ARG(c->name),
				       c->type == TYPE_DECIMAL ? "38 digits" : "the range of instants");
	}
	return true;
}

/* ── what it is ── */

bool engine_is_select(struct engine_connection *c, struct str sql, struct err *e)
{
	struct arena a = ARENA_INIT;
	duckdb_extracted_statements all = NULL;
	duckdb_prepared_statement statement = NULL;
	bool ok = true;

	engine_begin(c);
	if (sql.n > QUERY_MAX_BYTES || str_find_char(sql, '\0') < sql.n)
		return err_set(e, ERR_USAGE, "SQL: a NUL byte, or longer than %d bytes", QUERY_MAX_BYTES);
	const char *text = arena_zero_terminated(&a, sql);
	const char *refused = ENGINE_REFUSED(duckdb_extract_statements);
	idx_t n = refused ? 0 : duck.duckdb_extract_statements(c->handle, text, &all);
	if (n == 0) {
		const char *message = refused ? refused : duck.duckdb_extract_statements_error(all);
		c->sql = text;
		ok = engine_fail_code(c, ERR_USAGE, "SQL", message ? message : "there is no statement", DUCKDB_ERROR_PARSER, e);
		c->sql = NULL;
	} else if (n > 1) {
		err_set(e, ERR_USAGE, "SQL: %llu statements, and one SELECT is wanted", (unsigned long long)n);
		ok = err_hint(e, "give each of them to a `sluice query` of its own");
	} else if (!ENGINE_REFUSED(duckdb_prepare_extracted_statement) &&
		   duck.duckdb_prepare_extracted_statement(c->handle, all, 0, &statement) == DuckDBSuccess) {
		duckdb_statement_type type = duck.duckdb_prepared_statement_type(statement);
		ok = type == DUCKDB_STATEMENT_TYPE_SELECT || type == DUCKDB_STATEMENT_TYPE_EXPLAIN;
		if (!ok) {
			err_set(e, ERR_USAGE, "SQL: this is no SELECT");
			err_hint(e, "a query reads; SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE and EXPLAIN do");
		}
	} /* what cannot be prepared says why when it is run */
	duck.duckdb_destroy_prepare(&statement);
	duck.duckdb_destroy_extracted(&all);
	arena_free(&a);
	return ok;
}

/* ── running ── */

/* NULL: the end, or a failure on the way with its message. */
static duckdb_data_chunk next_chunk(duckdb_result *result, const char **message)
{
	*message = ENGINE_REFUSED(duckdb_fetch_chunk);
	duckdb_data_chunk chunk = *message ? NULL : duck.duckdb_fetch_chunk(*result);
	if (!chunk && !*message)
		*message = duck.duckdb_result_error(result);
	return chunk;
}

static bool result_read(struct query *q, duckdb_result *result, engine_take *take, void *user, struct err *e)
{
	duckdb_data_chunk chunk;
	const char *message;
	bool ok = true;

	while (ok && (chunk = next_chunk(result, &message)) != NULL) {
		if (duck.duckdb_data_chunk_get_size(chunk) > 0)
			ok = query_read(q, chunk, e) && take(user, &q->batch, e);
		duck.duckdb_destroy_data_chunk(&chunk);
	}
	if (ok && message && message[0] != '\0')
		ok = engine_fail(q->c, "SQL", message, duck.duckdb_result_error_type(result), e);
	return ok;
}

static bool query_run(struct query *q, engine_take *take, void *user, struct err *e)
{
	duckdb_pending_result pending = NULL;
	duckdb_result result;
	const char *refused = ENGINE_REFUSED(duckdb_pending_prepared_streaming);
	bool ok;

	if (refused || duck.duckdb_pending_prepared_streaming(q->statement, &pending) != DuckDBSuccess) {
		engine_fail(q->c, "SQL", refused ? refused : duck.duckdb_pending_error(pending), DUCKDB_ERROR_INVALID, e);
		duck.duckdb_destroy_pending(&pending);
		return false;
	}
	refused = ENGINE_REFUSED(duckdb_execute_pending);
	if (refused) {
		duck.duckdb_destroy_pending(&pending);
		return engine_fail(q->c, "SQL", refused, DUCKDB_ERROR_INVALID, e);
	}
	ok = duck.duckdb_execute_pending(pending, &result) == DuckDBSuccess ||
	     engine_fail(q->c, "SQL", duck.duckdb_result_error(&result), duck.duckdb_result_error_type(&result), e);
	duck.duckdb_destroy_pending(&pending);
	ok = ok && result_read(q, &result, take, user, e);
	duck.duckdb_destroy_result(&result);
	return ok;
}

bool engine_query(struct engine_connection *c, struct str sql, struct arena *a, struct batch_shape **shape,
		  size_t *n_columns, engine_take *take, void *user, struct err *e)
{
	struct query q = { .c = c };
	bool ok;

	*shape = NULL;
	*n_columns = 0;
	if (sql.n > QUERY_MAX_BYTES || str_find_char(sql, '\0') < sql.n)
		return err_set(e, ERR_ENGINE, "SQL: a NUL byte, or longer than %d bytes", QUERY_MAX_BYTES);
	ok = query_prepare(&q, arena_zero_terminated(&q.arena, sql), a, e) &&
	     (!q.as_text || query_prepare_as_text(&q, sql, a, e));
	if (ok) {
		*shape = q.shape;
		*n_columns = q.n_columns;
		q.batch = *batch_new(q.shape, q.n_columns, &q.arena);
		ok = query_run(&q, take, user, e);
	}
	duck.duckdb_destroy_prepare(&q.statement);
	arena_free(&q.arena);
	return ok;
}
