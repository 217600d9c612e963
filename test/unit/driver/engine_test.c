/* The engine as its users see it: typed rows in, Parquet, typed rows out; and everything that it must refuse. */
#include "unit.h"

#include "driver/engine.h"

#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct world {
	struct arena a;
	char *scratch, *data, *outside;
	struct engine *g;
	struct engine_connection *c;
};

static int world_open(void **state)
{
	struct world *w = mem_alloc(sizeof *w);
	struct engine_options o = { .memory_bytes = 512 << 20, .n_folders = 1 };
	const char *folder;

	OK(file_make_scratch(NULL, &w->a, &w->scratch, e));
	w->data = (char *)(uintptr_t)arena_format(&w->a, "%s/da'ta", w->scratch).p;
	w->outside = (char *)(uintptr_t)arena_format(&w->a, "%s/da'ta-outside", w->scratch).p;
	OK(file_make_dirs(w->data, e));
	OK(file_make_dirs(w->outside, e));
	folder = w->data;
	o.folders = &folder;
	o.scratch = arena_format(&w->a, "%s/spill", w->scratch).p;
	OK(engine_open(&o, &w->g, e));
	OK(engine_connect(w->g, &w->c, e));
	*state = w;
	return 0;
}

static int world_close(void **state)
{
	struct world *w = *state;

	engine_disconnect(w->c);
	engine_close(w->g);
	OK(file_remove_tree(w->scratch, e));
	arena_free(&w->a);
	mem_free(w);
	return 0;
}

static char *path_in(struct world *w, const char *folder, const char *name)
{
	return (char *)(uintptr_t)arena_format(&w->a, "%s/%s", folder, name).p;
}

/* SELECT <columns> FROM read_parquet('path') */
static struct str read_sql(struct world *w, const char *columns, const char *path)
{
	struct buf b = BUF_INIT(4096);
	struct str sql;

	buf_addf(&b, "SELECT %s FROM read_parquet(", columns);
	assert_true(sql_literal(&b, str_from(path)));
	assert_true(buf_add_z(&b, ")"));
	sql = arena_copy(&w->a, buf_str(&b));
	buf_free(&b);
	return sql;
}

/* ── all answers as one text: rows by '\n', columns by '|', NULL as ~ ── */

struct text {
	struct arena a;
	struct buf b;
};

static void text_value(struct text *t, const struct batch_column *c, size_t row)
{
	switch (c->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		buf_add(&t->b, c->s[row]);
		break;
	case TYPE_BOOLEAN:
		buf_add_z(&t->b, c->b[row] ? "true" : "false");
		break;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		buf_add_i64(&t->b, c->i64[row]);
		break;
	case TYPE_DECIMAL:
		buf_add(&t->b, decimal_to_text(c->i128[row], c->scale, &t->a));
		break;
	case TYPE_DOUBLE:
		buf_add(&t->b, double_to_text(c->f64[row], &t->a));
		break;
	case TYPE_DATE:
		buf_add_i64(&t->b, c->i32[row]);
		break;
	case TYPE_COUNT:
		fail();
	}
}

static bool text_take(void *user, const struct batch *b, struct err *e)
{
	struct text *t = user;

	(void)e;
	for (size_t row = 0; row < b->n_rows; row++)
		for (size_t i = 0; i < b->n_columns; i++) {
			if (batch_is_valid(&b->columns[i], row))
				text_value(t, &b->columns[i], row);
			else
				buf_add_char(&t->b, '~');
			buf_add_char(&t->b, i + 1 < b->n_columns ? '|' : '\n');
		}
	return true;
}

static bool ask(struct world *w, struct str sql, struct str *out, struct err *e)
{
	struct text t = { .b = BUF_INIT(1 << 20) };
	struct batch_shape *shape;
	size_t n;
	bool ok = engine_query(w->c, sql, &w->a, &shape, &n, text_take, &t, e);

	*out = arena_copy(&w->a, buf_str(&t.b));
	buf_free(&t.b);
	arena_free(&t.a);
	return ok;
}

static struct str ask_ok(struct world *w, const char *sql)
{
	struct str out;

	OK(ask(w, str_from(sql), &out, e));
	return out;
}

/* ── values at their edges ── */

static const struct batch_shape EDGE_SHAPE[] = {
	{ STR("n"), TYPE_INTEGER, 0, 0 },     { STR("s"), TYPE_STRING, 0, 0 },    { STR("b"), TYPE_BOOLEAN, 0, 0 },
	{ STR("d4"), TYPE_DECIMAL, 4, 2 },    { STR("d9"), TYPE_DECIMAL, 9, 0 },  { STR("d18"), TYPE_DECIMAL, 18, 3 },
	{ STR("d38"), TYPE_DECIMAL, 38, 10 }, { STR("f"), TYPE_DOUBLE, 0, 0 },    { STR("day"), TYPE_DATE, 0, 0 },
	{ STR("at"), TYPE_TIMESTAMP, 0, 0 },  { STR("j\"s'on"), TYPE_JSON, 0, 0 },
};

#define S(text) STR(text)
static const struct edge {
	bool null;
	int64_t n;
	struct str s;
	uint8_t b;
	int64_t d4, d9, d18;
	int d38; /* in units of the largest value, 0: 0 */
	double f;
	int32_t day;
	int64_t at;
	struct str j;
} EDGES[] = {
	{ false, INT64_MAX, S("a\0b\0"), 1, 9999, 999999999, 999999999999999999, 1, -0.0, -1, -1, S("{\"a\":[1,2]}") },
	{ false, INT64_MIN, S(""), 0, -9999, -999999999, -999999999999999999, -1, 0.0, 0, 0, S("null") },
	{ true, 0, S(""), 0, 0, 0, 0, 0, 0, 0, 0, S("") },
	{ false, -1, S("\xf0\x9f\x98\x80"), 1, -1, -1, -1, 0, NAN, -719162, -62135596800000000, S("\"\\u0000\"") },
	{ false, 0, S("twelve bytes"), 0, 0, 0, 0, 0, INFINITY, 2932896, 253402300799999999, S("1e400") },
	{ false, 1, S("thirteen byte\xc3\xa4"), 1, 1, 1, 1, 0, 5e-324, -25567, -2208988800000001, S("[]") },
	{ true, 0, S(""), 0, 0, 0, 0, 0, 0, 0, 0, S("") },
	{ false, 9007199254740993, S("\n\r\t\x01\"'\\;--"), 1, 10, 10, 10, 1, -1.7976931348623157e308, 19723, 1, S("-0.0") },
};

static int128 decimal38(int units)
{
	int128 p = 1;

	for (int i = 0; i < 38; i++)
		p *= 10;
	return (p - 1) * units;
}

static bool edge_next(void *user, struct batch *b, struct err *e)
{
	size_t *done = user;

	(void)e;
	assert_int_equal(b->n_rows, 0);
	for (; *done < COUNT(EDGES) && b->n_rows < 3; (*done)++) { /* several batches */
		const struct edge *x = &EDGES[*done];
		size_t r = b->n_rows++;
		if (x->null)
			continue;
		for (size_t i = 0; i < b->n_columns; i++)
			batch_set_valid(&b->columns[i], r);
		b->columns[0].i64[r] = x->n;
		b->columns[1].s[r] = x->s;
		b->columns[2].b[r] = x->b;
		b->columns[3].i128[r] = x->d4;
		b->columns[4].i128[r] = x->d9;
		b->columns[5].i128[r] = x->d18;
		b->columns[6].i128[r] = decimal38(x->d38);
		b->columns[7].f64[r] = x->f;
		b->columns[8].i32[r] = x->day;
		b->columns[9].i64[r] = x->at;
		b->columns[10].s[r] = x->j;
	}
	return true;
}

static void assert_bytes(struct str got, struct str want)
{
	assert_int_equal(got.n, want.n);
	if (want.n > 0)
		assert_memory_equal(got.p, want.p, want.n);
}

static bool edge_take(void *user, const struct batch *b, struct err *e)
{
	size_t *done = user;

	(void)e;
	for (size_t r = 0; r < b->n_rows; r++) {
		const struct edge *x = &EDGES[(*done)++];
		const struct batch_column *c = b->columns;
		for (size_t i = 0; i < b->n_columns; i++)
			assert_int_equal(batch_is_valid(&c[i], r), !x->null);
		if (x->null)
			continue;
		assert_true(c[0].i64[r] == x->n);
		assert_bytes(c[1].s[r], x->s);
		assert_int_equal(c[2].b[r], x->b);
		assert_true(c[3].i128[r] == x->d4 && c[4].i128[r] == x->d9 && c[5].i128[r] == x->d18);
		assert_true(c[6].i128[r] == decimal38(x->d38));
		if (isnan(x->f))
			assert_true(isnan(c[7].f64[r]));
		else
			assert_memory_equal(&c[7].f64[r], &x->f, sizeof x->f); /* -0.0 is not 0.0 */
		assert_int_equal(c[8].i32[r], x->day);
		assert_true(c[9].i64[r] == x->at);
		assert_bytes(c[10].s[r], x->j);
	}
	return true;
}

static void edges_come_back(void **state)
{
	struct world *w = *state;
	char *path = path_in(w, w->data, "edges.parquet");
	size_t given = 0, taken = 0, n;
	uint64_t rows = 0, size = 0;
	struct batch_shape *shape;
	struct engine_source s = { "edges", EDGE_SHAPE, COUNT(EDGE_SHAPE), edge_next, &given };

	OK(engine_add_source(w->c, &s, e));
	OK(engine_write_parquet(w->c, STR("SELECT * FROM edges() -- all"), path, PARQUET_DICTIONARY, &rows, &size, e));
	assert_int_equal(rows, COUNT(EDGES));
	assert_true(size > 100);
	OK(engine_query(w->c, read_sql(w, "*", path), &w->a, &shape, &n, edge_take, &taken, e));
	assert_int_equal(taken, COUNT(EDGES));
	assert_int_equal(n, COUNT(EDGE_SHAPE));
	for (size_t i = 0; i < n; i++) {
		enum column_type want = EDGE_SHAPE[i].type == TYPE_JSON ? TYPE_STRING : EDGE_SHAPE[i].type;
		assert_int_equal(shape[i].type, want);
		assert_bytes(shape[i].name, EDGE_SHAPE[i].name);
		assert_int_equal(shape[i].precision, EDGE_SHAPE[i].precision);
		assert_int_equal(shape[i].scale, EDGE_SHAPE[i].scale);
	}
	/* As the file itself says. */
	struct buf sql = BUF_INIT(4096);
	buf_add_z(&sql, "SELECT string_agg(DISTINCT compression, ' '), count(*) FILTER (encodings LIKE '%DELTA%'), "
			"max(num_values) FROM parquet_metadata(");
	sql_literal(&sql, str_from(path));
	buf_add_z(&sql, ")");
	assert_text(ask_ok(w, sql.p), "ZSTD|0|8\n");
	buf_clear(&sql);
	buf_add_z(&sql, "SELECT string_agg(column_name || ' ' || column_type, ',') FROM (DESCRIBE SELECT * FROM ");
	sql_literal(&sql, str_from(path));
	buf_add_z(&sql, ")");
	assert_text(ask_ok(w, sql.p), "n BIGINT,s VARCHAR,b BOOLEAN,d4 DECIMAL(4,2),d9 DECIMAL(9,0),d18 DECIMAL(18,3),"
				      "d38 DECIMAL(38,10),f DOUBLE,day DATE,at TIMESTAMP WITH TIME ZONE,j\"s'on VARCHAR\n");
	buf_free(&sql);
}

/* ── many rows ── */

enum { MANY = 200000, MANY_BATCH = 1999 };

static const struct batch_shape MANY_SHAPE[] = {
	{ STR("i"), TYPE_INTEGER, 0, 0 },  { STR("text"), TYPE_STRING, 0, 0 },    { STR("d"), TYPE_DECIMAL, 12, 2 },
	{ STR("f"), TYPE_DOUBLE, 0, 0 },   { STR("at"), TYPE_TIMESTAMP, 0, 0 },
};

struct many {
	size_t done, fail_at, n_rows;
	const struct err *failure;
	pthread_barrier_t *meet;
	char text[MANY_BATCH][40];
};

static size_t many_text(size_t i, char out[40])
{
	int n = i % 3 == 0 ? snprintf(out, 40, "%zu", i % 50) : snprintf(out, 40, "row \xc3\xbc %zu of many of them", i);

	assert_in_range(n, 0, 39);
	return (size_t)n;
}

static bool many_null(size_t i, size_t column)
{
	return column > 0 && (i * 7 + column) % 11 == 0;
}

static bool many_next(void *user, struct batch *b, struct err *e)
{
	struct many *m = user;

	if (m->failure && m->done >= m->fail_at) {
		*e = *m->failure;
		return false;
	}
	if (m->meet) /* nobody goes on alone: the first two batches of both queries */
		for (int i = 0; m->done < 2 * MANY_BATCH && i < 1; i++)
			pthread_barrier_wait(m->meet);
	for (; b->n_rows < MANY_BATCH && m->done < m->n_rows; m->done++) {
		size_t i = m->done, r = b->n_rows++;
		for (size_t k = 0; k < b->n_columns; k++)
			if (!many_null(i, k))
				batch_set_valid(&b->columns[k], r);
		b->columns[0].i64[r] = (int64_t)i * 1000003;
		b->columns[1].s[r] = (struct str){ m->text[r], many_text(i, m->text[r]) };
		b->columns[2].i128[r] = (int64_t)i * 1234567 - 99;
		b->columns[3].f64[r] = (double)i / 7;
		b->columns[4].i64[r] = (int64_t)i * 86400000000 - 4000000000000000;
	}
	return true;
}

static bool many_take(void *user, const struct batch *b, struct err *e)
{
	size_t *done = user;

	(void)e;
	for (size_t r = 0; r < b->n_rows; r++, (*done)++) {
		const struct batch_column *c = b->columns;
		size_t i = *done;
		char text[40];
		for (size_t k = 0; k < b->n_columns; k++)
			if (batch_is_valid(&c[k], r) != !many_null(i, k))
				fail_msg("row %zu column %zu: NULL or not", i, k);
		if (c[0].i64[r] != (int64_t)i * 1000003)
			fail_msg("row %zu: out of order", i);
		if (!many_null(i, 1))
			assert_bytes(c[1].s[r], (struct str){ text, many_text(i, text) });
		if (!many_null(i, 2))
			assert_true(c[2].i128[r] == (int64_t)i * 1234567 - 99);
		if (!many_null(i, 3))
			assert_true(c[3].f64[r] == (double)i / 7);
		if (!many_null(i, 4))
			assert_true(c[4].i64[r] == (int64_t)i * 86400000000 - 4000000000000000);
	}
	return true;
}

struct job {
	struct world *w;
	const char *name, *path;
	pthread_barrier_t *meet;
	const struct err *failure;
	bool ok;
	struct err e;
	uint64_t rows, size;
};

static void *job_run(void *user)
{
	struct job *j = user;
	struct many *m = mem_alloc(sizeof *m);
	struct engine_connection *c = NULL;
	struct engine_source s = { j->name, MANY_SHAPE, COUNT(MANY_SHAPE), many_next, m };
	char sql[64];
	int n = snprintf(sql, sizeof sql, "SELECT * FROM %s()", j->name);

	m->n_rows = MANY;
	m->meet = j->meet;
	m->failure = j->failure;
	m->fail_at = MANY / 2;
	j->e = ERR_INIT;
	j->ok = n > 0 && engine_connect(j->w->g, &c, &j->e) && engine_add_source(c, &s, &j->e) &&
		engine_write_parquet(c, str_from(sql), j->path, PARQUET_DICTIONARY, &j->rows, &j->size, &j->e);
	engine_disconnect(c);
	mem_free(m);
	return NULL;
}

static void many_rows_and_equal_bytes(void **state)
{
	struct world *w = *state;
	struct job jobs[3] = { { .name = "one" }, { .name = "two" }, { .name = "three" } };
	pthread_barrier_t meet;
	pthread_t thread;
	struct str bytes[3];
	struct batch_shape *shape;
	size_t n, taken = 0;

	for (size_t i = 0; i < 3; i++) {
		jobs[i].w = w;
		jobs[i].path = path_in(w, w->data, jobs[i].name);
	}
	job_run(&jobs[0]);
	/* Two at once, and really so: the barrier would never open for queries that take turns. */
	assert_int_equal(pthread_barrier_init(&meet, NULL, 2), 0);
	jobs[1].meet = jobs[2].meet = &meet;
	assert_int_equal(pthread_create(&thread, NULL, job_run, &jobs[1]), 0);
	job_run(&jobs[2]);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&meet);
	for (size_t i = 0; i < 3; i++) {
		if (!jobs[i].ok)
			fail_msg("%s", jobs[i].e.message);
		assert_int_equal(jobs[i].rows, MANY);
		OK(file_read(jobs[i].path, 64 << 20, &w->a, &bytes[i], e));
		assert_int_equal(jobs[i].size, bytes[i].n);
		assert_true(str_eq(bytes[i], bytes[0]));
	}
	OK(engine_query(w->c, read_sql(w, "*", jobs[2].path), &w->a, &shape, &n, many_take, &taken, e));
	assert_int_equal(taken, MANY);
}

static void failures_of_next_come_verbatim(void **state)
{
	struct world *w = *state;
	struct err why = { .code = ERR_DAMAGE, .sys_errno = EIO, .message = "page 7:\n\n  bent", .hint = "unbend it" };
	struct job j = { .w = w, .name = "broken", .path = path_in(w, w->data, "broken"), .failure = &why };
	struct str out;

	job_run(&j);
	assert_false(j.ok);
	assert_int_equal(j.e.code, ERR_DAMAGE);
	assert_int_equal(j.e.sys_errno, EIO);
	assert_string_equal(j.e.message, why.message);
	assert_string_equal(j.e.hint, why.hint);
	assert_false(file_exists(j.path)); /* nothing half-written stays under the final name */
	/* The next statement of a connection knows nothing of it. */
	struct err e2 = ERR_INIT;
	struct many *m = mem_alloc(sizeof *m);
	struct engine_source s = { "broken2", MANY_SHAPE, COUNT(MANY_SHAPE), many_next, m };
	m->failure = &why;
	OK(engine_add_source(w->c, &s, e));
	assert_false(ask(w, STR("SELECT count(*) FROM broken2()"), &out, &e2));
	assert_int_equal(e2.code, ERR_DAMAGE);
	e2 = ERR_INIT;
	assert_false(ask(w, STR("SELECT nonsense"), &out, &e2));
	assert_int_equal(e2.code, ERR_ENGINE);
	mem_free(m);
}

static bool bad_next(void *user, struct batch *b, struct err *e)
{
	(void)e;
	b->n_rows = 2;
	batch_set_valid(&b->columns[0], 1);
	if (b->columns[0].type == TYPE_DECIMAL)
		b->columns[0].i128[1] = *(const int64_t *)user;
	else
		b->columns[0].s[1] = *(const struct str *)user;
	return true;
}

static void values_that_do_not_fit_are_errors(void **state)
{
	struct world *w = *state;
	int64_t d4 = 10000, d3 = -1000, d18 = 1000000000000000000;
	struct str cut = STR("a\xc3"), lone = STR("\xed\xa0\x80 and so on, and on");
	const struct {
		struct batch_shape shape;
		const void *value;
		const char *name, *message;
	} cases[] = {
		{ { STR("x"), TYPE_DECIMAL, 4, 0 }, &d4, "bad1", "beyond its precision" },
		{ { STR("x"), TYPE_DECIMAL, 3, 3 }, &d3, "bad2", "beyond its precision" },
		{ { STR("x"), TYPE_DECIMAL, 18, 0 }, &d18, "bad3", "beyond its precision" },
		{ { STR("x"), TYPE_STRING, 0, 0 }, &cut, "bad4", "not UTF-8" },
		{ { STR("x"), TYPE_JSON, 0, 0 }, &lone, "bad5", "not UTF-8" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e2 = ERR_INIT;
		struct str out;
		struct engine_source s = { cases[i].name, &cases[i].shape, 1, bad_next,
					   (void *)(uintptr_t)cases[i].value };
		OK(engine_add_source(w->c, &s, e));
		assert_false(ask(w, arena_format(&w->a, "SELECT * FROM %s()", cases[i].name), &out, &e2));
		assert_int_equal(e2.code, ERR_BUG);
		assert_non_null(strstr(e2.message, cases[i].message));
	}
}

static void sources_are_streams_with_plain_names(void **state)
{
	struct world *w = *state;
	static const char *const names[] = { "", "A", "a b", "a\"b", "x);--", "\xc3\xa4" };
	size_t given = 0;
	struct err e2 = ERR_INIT;
	struct str out;
	struct engine_source s = { "stream", EDGE_SHAPE, COUNT(EDGE_SHAPE), edge_next, &given };

	OK(engine_add_source(w->c, &s, e));
	assert_false(engine_add_source(w->c, &s, &e2));
	assert_non_null(strstr(e2.message, "exists already"));
	e2 = ERR_INIT;
	assert_false(ask(w, STR("SELECT n FROM stream() UNION ALL SELECT n FROM stream()"), &out, &e2));
	assert_non_null(strstr(e2.message, "read twice"));
	given = 0;
	OK(ask(w, STR("SELECT count(*) FROM stream()"), &out, e));
	assert_text(out, "8\n");
	for (size_t i = 0; i < COUNT(names); i++) {
		s.name = names[i];
		e2 = ERR_INIT;
		assert_false(engine_add_source(w->c, &s, &e2));
		assert_int_equal(e2.code, ERR_ENGINE);
	}
}

/* ── text into SQL ── */

static void quoting(void **state)
{
	static const struct {
		struct str text;
		const char *identifier, *literal; /* NULL: refused */
	} cases[] = {
		{ S("plain"), "\"plain\"", "'plain'" },
		{ S(""), NULL, "''" },
		{ S("it's"), "\"it's\"", "'it''s'" },
		{ S("a\"b"), "\"a\"\"b\"", "'a\"b'" },
		{ S("\"; DROP TABLE x; --"), "\"\"\"; DROP TABLE x; --\"", "'\"; DROP TABLE x; --'" },
		{ S("'; COPY x TO '/tmp/y"), "\"'; COPY x TO '/tmp/y\"", "'''; COPY x TO ''/tmp/y'" },
		{ S("'"), "\"'\"", "''''" },
		{ S("\""), "\"\"\"\"", "'\"'" },
		{ S("\\' \n\\"), "\"\\' \n\\\"", "'\\'' \n\\'" },
		{ S("a\0b"), NULL, NULL },
		{ S("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\"", "'\xc3\xa4\xf0\x9f\x98\x80'" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = BUF_INIT(200);
		bool ok = sql_identifier(&b, cases[i].text);
		assert_int_equal(ok, cases[i].identifier != NULL);
		assert_text(buf_str(&b), ok ? cases[i].identifier : "");
		buf_clear(&b);
		ok = sql_literal(&b, cases[i].text);
		assert_int_equal(ok, cases[i].literal != NULL);
		assert_text(buf_str(&b), ok ? cases[i].literal : "");
		buf_clear(&b);
		if (cases[i].identifier) { /* and DuckDB reads them back as the same text */
			struct batch_shape *shape;
			size_t n;
			struct text t = { .b = BUF_INIT(1000) };
			buf_add_z(&b, "SELECT ");
			sql_literal(&b, cases[i].text);
			buf_add_z(&b, " AS ");
			sql_identifier(&b, cases[i].text);
			OK(engine_query(w->c, buf_str(&b), &w->a, &shape, &n, text_take, &t, e));
			assert_int_equal(n, 1);
			assert_bytes(shape[0].name, cases[i].text);
			assert_bytes(str_sub(buf_str(&t.b), 0, t.b.n - 1), cases[i].text);
			buf_free(&t.b);
		}
		buf_free(&b);
	}
	struct buf small = BUF_INIT(4);
	assert_false(sql_literal(&small, STR("longer")));
	buf_free(&small);
}

static void names_of_types(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(engine_sql_type(TYPE_DECIMAL, 38, 10, out), "DECIMAL(38,10)");
	assert_string_equal(engine_sql_type(TYPE_TIMESTAMP, 0, 0, out), "TIMESTAMPTZ");
	assert_string_equal(engine_sql_type(TYPE_JSON, 0, 0, out), "VARCHAR");
	assert_string_equal(engine_sql_type(TYPE_INTEGER, 0, 0, out), "BIGINT");
}

/* ── what the lock keeps out ── */

static void the_door_is_shut(void **state)
{
	static const struct {
		const char *sql; /* @ is the allowed folder, # the one beside it */
		const char *message;
	} cases[] = {
		{ "SET threads=4", "locked" },
		{ "SET TimeZone='Europe/Berlin'", "locked" },
		{ "SET enable_external_access=true", "locked" },
		{ "SET lock_configuration=false", "locked" },
		{ "RESET TimeZone", "locked" },
		{ "PRAGMA memory_limit='1TB'", "locked" },
		{ "SET allowed_directories=['/']", "locked" },
		{ "SELECT * FROM read_text('/etc/passwd')", "Permission Error" },
		{ "SELECT * FROM read_csv('/etc/passwd')", "Permission Error" },
		{ "SELECT * FROM '/etc/passwd'", "does not exist" },
		{ "SELECT * FROM glob('/etc/*')", "Permission Error" },
		{ "SELECT * FROM read_text('@/../../../../../../../../etc/passwd')", "Permission Error" },
		{ "SELECT * FROM read_text('@-outside/x')", "Permission Error" },
		{ "SELECT * FROM read_text('@/passwd')", "Permission Error" }, /* a link to /etc/passwd */
		{ "COPY (SELECT 1) TO '/tmp/sluice-engine-test.csv'", "Permission Error" },
		{ "COPY (SELECT 1) TO '#/x.csv'", "Permission Error" },
		{ "COPY (SELECT 1) TO '@/../x.csv'", "Permission Error" },
		{ "EXPORT DATABASE '#/x'", "Permission Error" },
		{ "ATTACH '#/x.db'", "Permission Error" },
		{ "ATTACH '/tmp/sluice-engine-test.db' AS d", "Permission Error" },
		{ "INSTALL httpfs", "Permission Error" },
		{ "LOAD httpfs", "Permission Error" },
		{ "LOAD '@/x.duckdb_extension'", "Permission Error" },
		{ "SELECT * FROM read_csv('http://127.0.0.1:1/x')", "Permission Error" },
		{ "CREATE PERSISTENT SECRET s (TYPE http)", "Persistent secrets are disabled" },
		{ "SELECT * FROM getenv('HOME')", "does not exist" },
	};
	struct world *w = *state;

	assert_int_equal(symlink("/etc/passwd", path_in(w, w->data, "passwd")), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf sql = BUF_INIT(4096);
		struct err e2 = ERR_INIT;
		for (const char *p = cases[i].sql; *p != '\0'; p++) {
			struct buf quoted = BUF_INIT(4096);
			sql_literal(&quoted, str_from(*p == '#' ? w->outside : w->data));
			if (*p == '@' || *p == '#')
				buf_add(&sql, str_sub(buf_str(&quoted), 1, quoted.n - 2));
			else
				buf_add_char(&sql, *p);
			buf_free(&quoted);
		}
		if (engine_run(w->c, buf_str(&sql), &e2))
			fail_msg("was let through: %s", sql.p);
		assert_int_equal(e2.code, ERR_ENGINE);
		if (!strstr(e2.message, cases[i].message))
			fail_msg("%s: %s", sql.p, e2.message);
		assert_null(strchr(e2.message, '\n'));
		buf_free(&sql);
	}
	assert_int_equal(rmdir(w->outside), 0); /* still empty */
	OK(file_make_dirs(w->outside, e));
}

static void select_cannot_leave_its_brackets(void **state)
{
	struct world *w = *state;
	static const char *const selects[] = {
		"SELECT 1) TO 'x' (FORMAT CSV); COPY (SELECT 2",
		"SELECT 1; SELECT 2",
		"SELECT 1) TO 'x'; --",
		"SELECT 1 /*",
		"",
		";",
		"-- nothing",
		"SELECT 'a\0b'",
		"SELECT 1; DROP TABLE x",
	};
	char *path = path_in(w, w->data, "never");
	uint64_t rows, size;

	for (size_t i = 0; i < COUNT(selects); i++) {
		struct err e2 = ERR_INIT;
		assert_false(engine_write_parquet(w->c, str_from(selects[i]), path, PARQUET_DICTIONARY, &rows, &size, &e2));
		assert_int_equal(e2.code, ERR_ENGINE);
		assert_false(file_exists(path));
	}
	struct err e2 = ERR_INIT;
	assert_false(engine_write_parquet(w->c, STR("SELECT 'a\0b'"), path, PARQUET_DICTIONARY, &rows, &size, &e2));
	e2 = ERR_INIT;
	assert_false(engine_write_parquet(w->c, STR("SELECT 1"), path_in(w, w->outside, "x"), PARQUET_DICTIONARY, &rows, &size, &e2));
	assert_false(file_exists(path_in(w, w->outside, "x")));
	/* A link is a name that exists, even one that leads nowhere: nothing is written through it. */
	assert_int_equal(symlink(path_in(w, w->outside, "x"), path_in(w, w->data, "link")), 0);
	e2 = ERR_INIT;
	assert_false(engine_write_parquet(w->c, STR("SELECT 1"), path_in(w, w->data, "link"), PARQUET_DICTIONARY, &rows, &size, &e2));
	assert_false(file_exists(path_in(w, w->outside, "x")));
	/* A name is written once, and what is there stays as it is. */
	OK(engine_write_parquet(w->c, STR("SELECT 1 AS x WHERE false"), path, PARQUET_DICTIONARY, &rows, &size, e));
	assert_int_equal(rows, 0);
	e2 = ERR_INIT;
	assert_false(engine_write_parquet(w->c, STR("SELECT 2"), path, PARQUET_DICTIONARY, &rows, &size, &e2));
	assert_non_null(strstr(e2.message, "exists already"));
	struct str out;
	OK(ask(w, read_sql(w, "count(*)", path), &out, e));
	assert_text(out, "0\n");
}

/* Which of -0.0 and 0.0 a dictionary keeps is DuckDB's business; PLAIN keeps both. */
static void plain_files_keep_bits(void **state)
{
	struct world *w = *state;
	char *path = path_in(w, w->data, "plain");
	uint64_t rows, size;
	struct str out;

	OK(engine_write_parquet(w->c, STR("SELECT CASE i % 4 WHEN 0 THEN 0.0::DOUBLE WHEN 1 THEN '-0.0'::DOUBLE WHEN 2 THEN"
					  " 'nan'::DOUBLE ELSE -('nan'::DOUBLE) END AS x, 'text' AS t FROM range(400) r(i)"),
				path, PARQUET_PLAIN, &rows, &size, e));
	OK(ask(w, read_sql(w, "count(*) FILTER (x = 0 AND NOT signbit(x)), count(*) FILTER (x = 0 AND signbit(x)), "
			      "count(*) FILTER (isnan(x))", path), &out, e));
	assert_text(out, "100|100|200\n");
}

/* What the disk refuses is no fault of the engine's: another exit status, another hint. */
static void full_disks(void **state)
{
	struct world *w = *state;
	char *path = path_in(w, w->data, "full");
	struct rlimit before, small;
	uint64_t rows, size;
	struct err e2 = ERR_INIT;
	bool ok;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 4096, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	ok = engine_write_parquet(w->c, STR("SELECT hash(i) AS x FROM range(300000) t(i)"), path, PARQUET_DICTIONARY, &rows, &size,
				  &e2);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_false(ok);
	if (e2.code != ERR_STORAGE)
		fail_msg("%s: %s", err_name(e2.code), e2.message);
	assert_false(file_exists(path));
	/* The author's own words are no disk's. */
	assert_false(engine_run(w->c, STR("SELECT error('No space left on device')"), &e2));
	assert_int_equal(e2.code, ERR_ENGINE);
}

static void partly_written_files_go(void **state)
{
	struct world *w = *state;
	char *path = path_in(w, w->data, "partly");
	uint64_t rows, size;
	struct err e2 = ERR_INIT;

	assert_false(engine_write_parquet(w->c, STR("SELECT CASE WHEN i = 900000 THEN error('at last') ELSE i END AS i "
						    "FROM range(1000000) t(i)"), path, PARQUET_DICTIONARY, &rows, &size, &e2));
	assert_non_null(strstr(e2.message, "at last"));
	assert_false(file_exists(path));
}

/* ── pinned settings, types, order ── */

static void answers(void **state)
{
	static const struct {
		const char *sql, *want;
	} cases[] = {
		{ "SELECT 7/2", "3.5\n" },
		{ "SELECT x FROM (VALUES (2),(NULL),(1)) t(x) ORDER BY x", "~\n1\n2\n" },
		{ "SELECT x FROM (VALUES (2),(NULL),(1)) t(x) ORDER BY x DESC", "2\n1\n~\n" },
		{ "SELECT CAST(TIMESTAMPTZ '2013-01-01 00:30:00+02' AS VARCHAR)", "2012-12-31 22:30:00+00\n" },
		{ "SELECT CAST(TIMESTAMPTZ '2013-01-01 00:30:00+02' AS DATE)", "15705\n" },
		{ "SELECT current_setting('threads'), current_setting('TimeZone'), current_setting('default_null_order'), "
		  "current_setting('integer_division'), current_setting('preserve_insertion_order'), "
		  "current_setting('lock_configuration'), current_setting('enable_external_access'), "
		  "current_setting('memory_limit')",
		  "1|UTC|NULLS_FIRST_ON_ASC_LAST_ON_DESC|false|true|true|false|512.0 MiB\n" },
		{ "SELECT 1::TINYINT, -2::SMALLINT, 3::INTEGER, 4::BIGINT, 5::UTINYINT, 6::USMALLINT, 4294967295::UINTEGER",
		  "1|-2|3|4|5|6|4294967295\n" },
		{ "SELECT 18446744073709551615::UBIGINT, -7::HUGEINT, 8::UHUGEINT", "18446744073709551615|-7|8\n" },
		{ "SELECT 99999999999999999999999999999999999999::HUGEINT", "99999999999999999999999999999999999999\n" },
		{ "SELECT 0.5::FLOAT, 1.25::DOUBLE", "0.5|1.25\n" },
		{ "SELECT 1.5::DECIMAL(3,1), -1.5::DECIMAL(9,1), 1.5::DECIMAL(18,1), -1.5::DECIMAL(38,1)",
		  "1.5|-1.5|1.5|-1.5\n" },
		{ "SELECT DATE '1969-12-31', TIMESTAMP '1969-12-31 23:59:59.999999', TIMESTAMPTZ '1970-01-01 00:00:01+00'",
		  "-1|-1|1000000\n" },
		{ "SELECT TIMESTAMP_S '1969-12-31 23:59:59', TIMESTAMP_MS '1970-01-01 00:00:00.007'", "-1000000|7000\n" },
		{ "SELECT [1,2], {'a': 1}, 'x'::ENUM('x','y'), TIME '01:02:03', NULL::INTEGER[], 'b'::BLOB, "
		  "INTERVAL 1 DAY, MAP {'k': 1}",
		  "[1, 2]|{'a': 1}|x|01:02:03|~|b|1 day|{k=1}\n" },
		{ "SELECT i AS x, [i] AS x FROM range(3) t(i) ORDER BY i DESC; ", "2|[2]\n1|[1]\n0|[0]\n" },
		{ "SELECT TIMESTAMP_NS '2001-01-01 00:00:00.123456789'", "2001-01-01 00:00:00.123456789\n" },
		{ "SELECT NULL, NULL::VARCHAR, true, '{\"a\": 1}'::JSON", "~|~|true|{\"a\": 1}\n" },
		{ "SELECT repeat('x', 12), repeat('y', 13), ''", "xxxxxxxxxxxx|yyyyyyyyyyyyy|\n" },
		{ "SELECT 1 WHERE false", "" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_text(ask_ok(w, cases[i].sql), cases[i].want);
}

static void failures_of_queries(void **state)
{
	static const struct {
		const char *sql, *message;
	} cases[] = {
		{ "SELEC 1", "SQL: Parser Error: syntax error at or near \"SELEC\"; LINE 1, column 1: SELEC 1" },
		{ "SELECT nope FROM range(3)", "\"nope\"" },
		{ "SELECT 1; SELECT 2", "" },
		{ "", "" },
		{ "SELECT error('own\nwords')", "own" },
		{ "SELECT CASE WHEN i > 500000 THEN error('in the middle') ELSE i END FROM range(1000000) t(i)",
		  "in the middle" },
		{ "SELECT 170141183460469231731687303715884105727::HUGEINT", "beyond 38 digits" },
		{ "SELECT 340282366920938463463374607431768211455::UHUGEINT", "beyond 38 digits" },
		{ "SELECT 'infinity'::TIMESTAMP_S", "range of instants" },
		{ "SELECT CAST('x' AS INTEGER)", "Conversion Error" },
		{ "SELECT ?", "" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e2 = ERR_INIT;
		struct str out;
		if (ask(w, str_from(cases[i].sql), &out, &e2))
			fail_msg("was answered: %s", cases[i].sql);
		assert_int_equal(e2.code, ERR_ENGINE);
		if (!strstr(e2.message, cases[i].message))
			fail_msg("%s: %s", cases[i].sql, e2.message);
		assert_null(strchr(e2.message, '\n'));
	}
	assert_text(ask_ok(w, "SELECT 'still well'"), "still well\n");
}

struct taking {
	struct engine_connection *c;
	size_t rows;
	bool refuse;
};

static bool taking_stops(void *user, const struct batch *b, struct err *e)
{
	struct taking *t = user;

	t->rows += b->n_rows;
	if (t->refuse)
		return err_set(e, ERR_FENCED, "enough");
	engine_interrupt(t->c);
	return true;
}

static void endless_queries_are_streamed_and_stopped(void **state)
{
	struct world *w = *state;
	struct taking t = { .c = w->c, .refuse = true };
	struct batch_shape *shape;
	size_t n;
	struct err e2 = ERR_INIT;
	struct str endless = STR("SELECT i, repeat('x', 1000) FROM range(1000000000000) t(i)");

	assert_false(engine_query(w->c, endless, &w->a, &shape, &n, taking_stops, &t, &e2));
	assert_int_equal(e2.code, ERR_FENCED);
	assert_int_equal(t.rows, BATCH_ROWS);
	t.refuse = false;
	e2 = ERR_INIT;
	assert_false(engine_query(w->c, endless, &w->a, &shape, &n, taking_stops, &t, &e2));
	assert_int_equal(e2.code, ERR_ENGINE);
	assert_non_null(strstr(e2.message, "INTERRUPT"));
	assert_text(ask_ok(w, "SELECT 1"), "1\n");
}

/* ── syntax trees ── */

static void selects_are_parsed(void **state)
{
	static const struct {
		const char *sql, *has; /* in the tree, or in the message */
		bool ok;
	} cases[] = {
		{ "SELECT a FROM prepare.flights -- it's", "\"table_name\":\"flights\"", true },
		{ "SELECT 'it''s'", "it's", true },
		{ "WITH x AS (SELECT 1) SELECT * FROM x;", "\"statements\"", true },
		{ "SELEC 1", "syntax error", false },
		{ "SELECT 1; SELECT 2", "2 statements", false },
		{ "DROP TABLE x", "SELECT", false },
		{ "COPY (SELECT 1) TO 'x'", "SELECT", false },
		{ "", "", false },
		{ "'", "", false },
	};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e2 = ERR_INIT;
		struct str json;
		bool ok = engine_parse_select(w->c, str_from(cases[i].sql), &w->a, &json, &e2);
		if (ok != cases[i].ok)
			fail_msg("%s: %s", cases[i].sql, e2.message);
		if (ok ? !str_contains(json, str_from(cases[i].has)) : !strstr(e2.message, cases[i].has))
			fail_msg("%s: %.*s%s", cases[i].sql, STR_ARG(json), e2.message);
		if (!ok)
			assert_int_equal(e2.code, ERR_CONFIG);
	}
}

/* ── opening ── */

static void opening(void **state)
{
	struct world *w = *state;
	struct str version;
	struct engine *g;
	struct err e2 = ERR_INIT;
	const char *empty = "", *file = path_in(w, w->outside, "one.txt");
	struct engine_options o = { .memory_bytes = 64 << 20, .files = &empty, .n_files = 1 };

	o.scratch = path_in(w, w->scratch, "spill2"); /* it may be read as well, so nothing else lies below */
	assert_true(file_exists(engine_library_path()));
	OK(engine_version(&w->a, &version, e));
	assert_true(str_starts(version, STR("DuckDB v1.5.")));
	assert_false(engine_open(&o, &g, &e2));
	assert_null(g);
	/* A single file may be read, what lies beside it may not. */
	OK(file_write(file, STR("x\n1\n"), e));
	OK(file_write(path_in(w, w->outside, "two.txt"), STR("x\n2\n"), e));
	o.files = &file;
	OK(engine_open(&o, &g, e));
	struct engine_connection *c;
	OK(engine_connect(g, &c, e));
	OK(engine_run(c, arena_format(&w->a, "CREATE TABLE t AS SELECT * FROM read_csv('%s/da''ta-outside/one.txt')",
				      w->scratch), e));
	assert_false(engine_run(c, arena_format(&w->a, "CREATE TABLE u AS SELECT * FROM "
						"read_csv('%s/da''ta-outside/two.txt')", w->scratch), &e2));
	/* More than its memory: sorted through the scratch folder. */
	OK(engine_run(c, STR("CREATE TABLE big AS SELECT hash(i) AS h, repeat('x', 100) || i AS s FROM range(800000) t(i) "
			     "ORDER BY h"), e));
	engine_disconnect(c);
	engine_close(g);
	unlink(file);
	unlink(path_in(w, w->outside, "two.txt"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening),
		cmocka_unit_test(edges_come_back),
		cmocka_unit_test(many_rows_and_equal_bytes),
		cmocka_unit_test(failures_of_next_come_verbatim),
		cmocka_unit_test(values_that_do_not_fit_are_errors),
		cmocka_unit_test(sources_are_streams_with_plain_names),
		cmocka_unit_test(quoting),
		cmocka_unit_test(names_of_types),
		cmocka_unit_test(the_door_is_shut),
		cmocka_unit_test(select_cannot_leave_its_brackets),
		cmocka_unit_test(plain_files_keep_bits),
		cmocka_unit_test(full_disks),
		cmocka_unit_test(partly_written_files_go),
		cmocka_unit_test(answers),
		cmocka_unit_test(failures_of_queries),
		cmocka_unit_test(endless_queries_are_streamed_and_stopped),
		cmocka_unit_test(selects_are_parsed),
	};
	return cmocka_run_group_tests_name("driver/engine", tests, world_open, world_close);
}
