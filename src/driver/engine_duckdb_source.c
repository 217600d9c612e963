/* Rows in: a table function without arguments for each source.
 *
 * Table function or Arrow: bench/parquet_way.c writes 2 M rows of 8 mixed columns to Parquet on one thread. Arrow arrays
 * made before the clock started and handed over without a copy took 0.91 of this file's time. That is the most Arrow
 * could gain: making the arrays from our batches (offsets and bytes of texts, narrow decimals) comes on top and was not
 * measured. A tenth at best was not worth a second shape of rows. */
#include "driver/engine_duckdb.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
	struct engine *engine;
	struct engine_source given; /* name and shape are copies */
	bool reading;               /* one scan at a time: a source is a stream; under the engine's lock */
};

struct scan {
	struct source *source;
	struct arena arena;
	struct batch *batch;
	bool done;
};

/* ── columns ── */

static duckdb_logical_type type_of(const struct batch_shape *s)
{
	switch (s->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		return duck.duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
	case TYPE_BOOLEAN:
		return duck.duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
	case TYPE_INTEGER:
		return duck.duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
	case TYPE_DECIMAL:
		CHECK(s->precision >= 1 && s->precision <= 38 && s->scale <= s->precision);
		return duck.duckdb_create_decimal_type((uint8_t)s->precision, (uint8_t)s->scale);
	case TYPE_DOUBLE:
		return duck.duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE);
	case TYPE_DATE:
		return duck.duckdb_create_logical_type(DUCKDB_TYPE_DATE);
	case TYPE_TIMESTAMP:
		return duck.duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
	case TYPE_COUNT:
		break;
	}
	CHECK(false && "a column type");
	return NULL;
}

static bool is_ascii(struct str s)
{
	uint64_t seen = 0, word;
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&word, s.p + i, 8);
		seen |= word;
	}
	for (; i < s.n; i++)
		seen |= (unsigned char)s.p[i];
	return (seen & UINT64_C(0x8080808080808080)) == 0;
}

/* False at the first text that is no UTF-8: DuckDB trusts its VARCHARs, so this is the last place to look. Short texts are
 * written into the vector as DuckDB keeps them: length, then up to 12 bytes in place, the rest zero. */
static bool put_strings(duckdb_vector v, const struct batch_column *c, size_t n, size_t *bad_row)
{
	duckdb_string_t *out = duck.duckdb_vector_get_data(v);

	for (size_t i = 0; i < n; i++) {
		struct str s;

		if (!batch_is_valid(c, i))
			continue;
		s = c->s[i];
		if ((!is_ascii(s) && !str_is_utf8(s)) || s.n > UINT32_MAX) {
			*bad_row = i;
			return false;
		}
		if (s.n > sizeof out[i].value.inlined.inlined) {
			duck.duckdb_unsafe_vector_assign_string_element_len(v, i, s.p, s.n);
			continue;
		}
		memset(&out[i], 0, sizeof out[i]);
		out[i].value.inlined.length = (uint32_t)s.n;
		bytes_copy(out[i].value.inlined.inlined, s.p, s.n);
	}
	return true;
}

static int128 power_of_ten(unsigned n)
{
	int128 p = 1;

	while (n-- > 0)
		p *= 10;
	return p;
}

/* DuckDB keeps a decimal in the smallest integer that its precision needs. A value beyond the precision would come out
 * as another number, so each one is looked at. */
static bool put_decimals(duckdb_vector v, const struct batch_column *c, size_t n, size_t *bad_row)
{
	int128 limit = power_of_ten(c->precision);
	void *data = duck.duckdb_vector_get_data(v);
	int16_t *d16 = data;
	int32_t *d32 = data;
	int64_t *d64 = data;

	for (size_t i = 0; i < n; i++) {
		int128 x = batch_is_valid(c, i) ? c->i128[i] : 0;

		if (x >= limit || x <= -limit) {
			*bad_row = i;
			return false;
		}
		if (c->precision <= 4)
			d16[i] = (int16_t)x;
		else if (c->precision <= 9)
			d32[i] = (int32_t)x;
		else if (c->precision <= 18)
			d64[i] = (int64_t)x;
		else /* duckdb_hugeint has the layout of a little-endian int128 */
			memcpy((char *)data + i * sizeof x, &x, sizeof x);
	}
	return true;
}

static void put_validity(duckdb_vector v, const struct batch_column *c, size_t n)
{
	size_t words = n / 64, rest = n % 64;
	uint64_t all = UINT64_MAX;

	for (size_t i = 0; i < words; i++)
		all &= c->valid[i];
	if (rest > 0)
		all &= c->valid[words] | UINT64_MAX << rest;
	if (all == UINT64_MAX)
		return; /* a fresh vector has no NULL */
	duck.duckdb_vector_ensure_validity_writable(v);
	memcpy(duck.duckdb_vector_get_validity(v), c->valid, (n + 63) / 64 * sizeof c->valid[0]);
}

static bool put_column(duckdb_vector v, const struct batch_column *c, size_t n, size_t *bad_row)
{
	put_validity(v, c, n);
	switch (c->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		return put_strings(v, c, n, bad_row);
	case TYPE_DECIMAL:
		return put_decimals(v, c, n, bad_row);
	case TYPE_BOOLEAN:
		memcpy(duck.duckdb_vector_get_data(v), c->b, n * sizeof c->b[0]);
		return true;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		memcpy(duck.duckdb_vector_get_data(v), c->i64, n * sizeof c->i64[0]);
		return true;
	case TYPE_DOUBLE:
		memcpy(duck.duckdb_vector_get_data(v), c->f64, n * sizeof c->f64[0]);
		return true;
	case TYPE_DATE:
		memcpy(duck.duckdb_vector_get_data(v), c->i32, n * sizeof c->i32[0]);
		return true;
	case TYPE_COUNT:
		break;
	}
	CHECK(false && "a column type");
	return false;
}

/* ── the callbacks: plain C, nothing of DuckDB's is thrown through them ── */

static struct engine_connection *connection_of(struct source *s, duckdb_bind_info info)
{
	struct engine_connection *c;
	duckdb_client_context context = NULL;
	idx_t id;

	duck.duckdb_table_function_get_client_context(info, &context);
	id = duck.duckdb_client_context_get_connection_id(context);
	duck.duckdb_destroy_client_context(&context);
	pthread_mutex_lock(&s->engine->lock);
	for (c = s->engine->connections; c && c->id != id; c = c->next)
		;
	pthread_mutex_unlock(&s->engine->lock);
	return c;
}

static void source_bind(duckdb_bind_info info)
{
	struct source *s = duck.duckdb_bind_get_extra_info(info);
	struct engine_connection *c = connection_of(s, info);

	for (size_t i = 0; i < s->given.n_columns; i++) {
		duckdb_logical_type t = type_of(&s->given.shape[i]);
		/* The copies of the names have a NUL behind them. */
		duck.duckdb_bind_add_result_column(info, s->given.shape[i].name.p, t);
		duck.duckdb_destroy_logical_type(&t);
	}
	if (!c)
		duck.duckdb_bind_set_error(info, "a source is read by a connection that is not ours");
	/* A plain pointer: connections outlive their statements. */
	duck.duckdb_bind_set_bind_data(info, c, NULL);
}

static void scan_free(void *p)
{
	struct scan *scan = p;

	pthread_mutex_lock(&scan->source->engine->lock);
	scan->source->reading = false;
	pthread_mutex_unlock(&scan->source->engine->lock);
	arena_free(&scan->arena);
	mem_free(scan);
}

static void source_init(duckdb_init_info info)
{
	struct source *s = duck.duckdb_init_get_extra_info(info);
	struct scan *scan;
	bool taken;

	pthread_mutex_lock(&s->engine->lock);
	taken = s->reading;
	s->reading = true;
	pthread_mutex_unlock(&s->engine->lock);
	if (taken) {
		duck.duckdb_init_set_error(info, "a source is read twice at once: it is a stream, name it once");
		return;
	}
	scan = mem_alloc(sizeof *scan);
	scan->source = s;
	scan->batch = batch_new(s->given.shape, s->given.n_columns, &scan->arena);
	duck.duckdb_init_set_init_data(info, scan, scan_free);
	duck.duckdb_init_set_max_threads(info, 1);
}

static void scan_failed(duckdb_function_info info, struct engine_connection *c, const struct err *why)
{
	c->source_failed = true;
	c->source_err = *why;
	duck.duckdb_function_set_error(info, why->message[0] != '\0' ? why->message : "a source failed");
}

static void source_scan(duckdb_function_info info, duckdb_data_chunk chunk)
{
	struct scan *scan = duck.duckdb_function_get_init_data(info);
	struct engine_connection *c = duck.duckdb_function_get_bind_data(info);
	struct batch *b = scan->batch;
	struct err e = ERR_INIT;
	size_t bad_row = 0;

	if (scan->done) {
		duck.duckdb_data_chunk_set_size(chunk, 0);
		return;
	}
	batch_clear(b);
	if (!scan->source->given.next(scan->source->given.user, b, &e)) {
		scan->done = true;
		scan_failed(info, c, &e);
		return;
	}
	CHECK(b->n_rows <= BATCH_ROWS);
	scan->done = b->n_rows == 0;
	for (size_t i = 0; i < b->n_columns; i++) {
		if (put_column(duck.duckdb_data_chunk_get_vector(chunk, i), &b->columns[i], b->n_rows, &bad_row))
			continue;
		scan->done = true;
		err_set(&e, ERR_BUG, "source %s: row %zu of a batch: column %.*s is %s", scan->source->given.name, bad_row,
			STR_ARG(b->columns[i].name), b->columns[i].type == TYPE_DECIMAL ? "beyond its precision"
											: "not UTF-8");
		scan_failed(info, c, &e);
		return;
	}
	duck.duckdb_data_chunk_set_size(chunk, b->n_rows);
}

/* ── registering ── */

static bool name_is_plain(const char *name)
{
	return name[0] != '\0' && strlen(name) < 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* The engine's own copy: what the caller gave may go, `next` and `user` apart. */
static struct source *source_new(struct engine *g, const struct engine_source *given)
{
	struct source *s = arena_new(&g->arena, struct source);
	struct batch_shape *shape = arena_array(&g->arena, struct batch_shape, given->n_columns);

	for (size_t i = 0; i < given->n_columns; i++) {
		shape[i] = given->shape[i];
		shape[i].name = arena_copy(&g->arena, shape[i].name);
	}
	s->engine = g;
	s->given = *given;
	s->given.name = arena_copy(&g->arena, str_from(given->name)).p;
	s->given.shape = shape;
	return s;
}

bool engine_add_source(struct engine_connection *c, const struct engine_source *given, struct err *e)
{
	struct engine *g = c->engine;
	duckdb_table_function f;
	struct source *s;
	bool ok;

	if (!name_is_plain(given->name))
		return err_set(e, ERR_ENGINE, "source \"%.64s\": its name is not made of a-z, 0-9 and _", given->name);
	if (given->n_columns == 0)
		return err_set(e, ERR_ENGINE, "source %s has no columns", given->name);
	for (size_t i = 0; i < given->n_columns; i++)
		if (given->shape[i].name.n == 0 || str_find_char(given->shape[i].name, '\0') < given->shape[i].name.n ||
		    !str_is_utf8(given->shape[i].name))
			return err_set(e, ERR_ENGINE, "source %s: column %zu has no usable name", given->name, i + 1);
	/* Under the lock: two registrations at once would be a conflict in DuckDB's catalog. */
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < g->names.n; i++)
		if (str_eq_z(g->names.v[i], given->name)) {
			pthread_mutex_unlock(&g->lock);
			return err_set(e, ERR_ENGINE, "source %s exists already", given->name);
		}
	s = source_new(g, given);
	f = duck.duckdb_create_table_function();
	duck.duckdb_table_function_set_name(f, s->given.name);
	duck.duckdb_table_function_set_extra_info(f, s, NULL);
	duck.duckdb_table_function_set_bind(f, source_bind);
	duck.duckdb_table_function_set_init(f, source_init);
	duck.duckdb_table_function_set_function(f, source_scan);
	duck.duckdb_table_function_supports_projection_pushdown(f, false);
	ok = !ENGINE_REFUSED(duckdb_register_table_function) && duck.duckdb_register_table_function(c->handle, f) == DuckDBSuccess;
	duck.duckdb_destroy_table_function(&f);
	if (ok)
		*arena_push(&g->arena, g->names) = str_from(s->given.name);
	pthread_mutex_unlock(&g->lock);
	return ok || err_set(e, ERR_ENGINE_FAULT, "source %s: DuckDB refuses it", given->name);
}
