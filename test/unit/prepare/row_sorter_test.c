/* The sorter against the engine's ORDER BY: the same rows, the same order. */
#include "prepare/row_sorter.h"

#include "driver/engine.h"
#include "prepare/record.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { OWN_COLUMNS = 8, ALL_COLUMNS = OWN_COLUMNS + PREPARE_META_COLUMNS, GROUP = ALL_COLUMNS, ROWS_MAX = 9000 };

static struct batch_shape shape[ALL_COLUMNS + 1] = {
	{ STR("i"), TYPE_INTEGER, 0, 0 },   { STR("d"), TYPE_DECIMAL, 38, 2 }, { STR("f"), TYPE_DOUBLE, 0, 0 },
	{ STR("day"), TYPE_DATE, 0, 0 },    { STR("t"), TYPE_TIMESTAMP, 0, 0 }, { STR("b"), TYPE_BOOLEAN, 0, 0 },
	{ STR("s"), TYPE_STRING, 0, 0 },    { STR("long"), TYPE_STRING, 0, 0 }, { STR("_extra"), TYPE_JSON, 0, 0 },
	{ STR("_window"), TYPE_STRING, 0, 0 }, { STR("_gen"), TYPE_INTEGER, 0, 0 }, { STR("_page"), TYPE_INTEGER, 0, 0 },
	{ STR("_off"), TYPE_INTEGER, 0, 0 }, { STR("_len"), TYPE_INTEGER, 0, 0 }, { STR("grp"), TYPE_INTEGER, 0, 0 },
};

struct world {
	struct arena a;
	uint64_t random;
	bool few;       /* values, so that many are equal */
	bool turned;    /* pages come downwards */
	struct batch *batches[ROWS_MAX];
	size_t n_batches, given, n_rows;
	int64_t *seen;  /* `_len` as the engine orders it: unique numbers */
	size_t n_seen;
};

static uint64_t draw(struct world *w, uint64_t below)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (w->random >> 33) % below;
}

static struct str draw_text(struct world *w, bool is_long)
{
	static const char *const few[] = { "", "a", "ab", "b", "\xc3\xa9", "abcdefghijklm", "abcdefghijkl", "ab\x01", "B" };
	if (!is_long)
		return str_from(few[draw(w, w->few ? 3 : 9)]);
	return arena_format(&w->a, "https://host.example/a/path/that/is/long/%llu", (unsigned long long)draw(w, w->few ? 5 : 900));
}

static void fill(struct world *w, struct batch *b, size_t row, int64_t group, int64_t number)
{
	static const double doubles[] = { 0.0, -0.0, 1.5, -1.5, 1e300, -1e300, (double)INFINITY, -(double)INFINITY, (double)NAN };
	uint64_t many = w->few ? 3 : UINT64_C(1) << 31;
	struct batch_column *c = b->columns;

	c[0].i64[row] = draw(w, 20) == 0 ? (draw(w, 2) ? INT64_MAX : INT64_MIN) : (int64_t)draw(w, many) - 100;
	c[1].i128[row] = ((int128)draw(w, many) - 50) * (draw(w, 9) == 0 && !w->few ? (int128)1 << 75 : 1);
	c[2].f64[row] = draw(w, 2) ? doubles[draw(w, 9)] : (double)draw(w, many);
	c[3].i32[row] = (int32_t)draw(w, 40000) - 20000;
	c[4].i64[row] = (int64_t)draw(w, many) * 1000000;
	c[5].b[row] = draw(w, 2) == 0;
	c[6].s[row] = draw_text(w, false);
	c[7].s[row] = draw_text(w, true);
	for (size_t i = 0; i < OWN_COLUMNS; i++)
		if (draw(w, 6) > 0)
			batch_set_valid(&c[i], row);
	c[OWN_COLUMNS + META_PAGE].i64[row] = w->turned ? -number / 7 : number / 7;
	c[OWN_COLUMNS + META_OFF].i64[row] = w->turned ? number % 7 : number;
	c[OWN_COLUMNS + META_LEN].i64[row] = number;
	c[OWN_COLUMNS + META_WINDOW].s[row] = STR("w");
	c[OWN_COLUMNS + META_GEN].i64[row] = 1;
	for (size_t i = META_WINDOW; i <= META_LEN; i++)
		batch_set_valid(&c[OWN_COLUMNS + i], row);
	if (b->n_columns > GROUP) {
		c[GROUP].i64[row] = group;
		batch_set_valid(&c[GROUP], row);
	}
}

static void copy(struct batch *to, const struct batch *from)
{
	to->n_rows = from->n_rows;
	for (size_t i = 0; i < to->n_columns; i++) {
		enum column_type t = from->columns[i].type;
		size_t size = t == TYPE_BOOLEAN ? 1 : t == TYPE_DATE ? 4 :
			      t == TYPE_STRING || t == TYPE_JSON || t == TYPE_DECIMAL ? 16 : 8;
		memcpy(to->columns[i].valid, from->columns[i].valid, sizeof to->columns[i].valid);
		memcpy(to->columns[i].i64, from->columns[i].i64, size * from->n_rows);
	}
}

static bool give(void *user, struct batch *b, struct err *e)
{
	struct world *w = user;
	(void)e;
	if (w->given < w->n_batches)
		copy(b, w->batches[w->given++]);
	return true;
}

static bool take(void *user, const struct batch *b, struct err *e)
{
	struct world *w = user;
	(void)e;
	for (size_t i = 0; i < b->n_rows; i++)
		w->seen[w->n_seen++] = b->columns[0].i64[i];
	return true;
}

struct order {
	size_t n, columns[3];
	bool descending[3];
	size_t rows, batch_rows, group_rows;
	bool few, turned;
};

static const struct order orders[] = {
	{ 1, { 0 }, { false }, 1, 2048, 1, false, false },
	{ 1, { 0 }, { true }, 3000, 2048, 900, false, false },
	{ 3, { 4, 6, 0 }, { false, false, false }, 6000, 2048, 2500, true, false },
	{ 3, { 4, 6, 0 }, { true, true, true }, 6000, 1000, 2500, true, true },
	{ 2, { 1, 2 }, { false, true }, 4000, 700, 1, false, false },
	{ 2, { 1, 0 }, { true, false }, 4000, 2048, 4000, false, false },
	{ 3, { 2, 3, 5 }, { false, true, true }, 5000, 2048, 5000, true, false },
	{ 2, { 7, 6 }, { false, false }, 9000, 2048, 9000, false, false },
	{ 3, { 6, 7, 3 }, { true, true, false }, 9000, 2048, 3000, true, true },
	{ 3, { 0, 4, 1 }, { false, true, false }, 2048, 2048, 2048, false, false },
	{ 2, { 5, 6 }, { true, false }, 8192, 2048, 8192, true, false },
};

/* The engine's numbers of rows, by ORDER BY. */
static void by_engine(struct world *w, const struct order *o, struct engine *g, size_t at)
{
	struct engine_connection *c;
	struct err e = ERR_INIT;
	struct buf sql = BUF_INIT(4096);
	struct batch_shape *out;
	size_t n;
	char name[32];

	snprintf(name, sizeof name, "rows_%zu", at);
	assert_true(engine_connect(g, &c, &e));
	struct engine_source source = { name, shape, ALL_COLUMNS + 1, give, w };
	assert_true(engine_add_source(c, &source, &e));
	buf_addf(&sql, "SELECT \"_len\" FROM %s() ORDER BY grp", name);
	for (size_t i = 0; i < o->n; i++)
		buf_addf(&sql, ", \"%s\" %s", shape[o->columns[i]].name.p, o->descending[i] ? "DESC" : "ASC");
	buf_add_z(&sql, ", \"_page\", \"_off\"");
	if (!engine_query(c, buf_str(&sql), &w->a, &out, &n, take, w, &e))
		fail_msg("%s", e.message);
	engine_disconnect(c);
	buf_free(&sql);
}

/* The batch's texts, as bytes that go soon. */
static void texts_lend(struct batch *b, struct arena *a)
{
	for (size_t i = 0; i < b->n_columns; i++)
		for (size_t row = 0; row < b->n_rows && (shape[i].type == TYPE_STRING || shape[i].type == TYPE_JSON); row++)
			if (batch_is_valid(&b->columns[i], row) && i != OWN_COLUMNS + META_WINDOW)
				b->columns[i].s[row] = arena_copy(a, b->columns[i].s[row]);
}

/* To the last bit, -0.0 and NaN too. */
static bool same_cell(const struct batch_column *x, size_t i, const struct batch_column *y, size_t k)
{
	if (batch_is_valid(x, i) != batch_is_valid(y, k))
		return false;
	if (!batch_is_valid(x, i))
		return true;
	switch (x->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		return str_eq(x->s[i], y->s[k]);
	case TYPE_DECIMAL:
		return x->i128[i] == y->i128[k];
	case TYPE_DATE:
		return x->i32[i] == y->i32[k];
	case TYPE_BOOLEAN:
		return x->b[i] == y->b[k];
	default:
		return x->i64[i] == y->i64[k];
	}
}

static void one_order(const struct order *o, struct engine *g, size_t at)
{
	struct world *w = mem_alloc(sizeof *w);
	struct contract c = { .n_columns = OWN_COLUMNS, .n_sort = o->n };
	size_t sort[3];
	bool descending[3];
	int64_t ours = 0;

	w->random = at + 1;
	w->few = o->few;
	w->turned = o->turned;
	w->seen = arena_array(&w->a, int64_t, ROWS_MAX);
	memcpy(sort, o->columns, sizeof sort);
	memcpy(descending, o->descending, sizeof descending);
	c.sort = sort;
	c.sort_descending = descending;
	struct row_sorter *s = row_sorter_new(&c, shape, ALL_COLUMNS, SORT_BYTES_MAX, &w->a);
	row_sorter_begin(s);
	struct arena lent = ARENA_INIT;
	while (w->n_rows < o->rows) {
		struct batch *b = row_sorter_room(s), *full = batch_new(shape, ALL_COLUMNS + 1, &w->a);
		size_t last = SIZE_MAX, starts[BATCH_ROWS], groups[BATCH_ROWS], n = 0;
		assert_non_null(b);
		for (; full->n_rows < o->batch_rows && w->n_rows < o->rows; w->n_rows++) {
			size_t group = w->n_rows / o->group_rows;
			if (group != last) {
				starts[n] = full->n_rows;
				groups[n++] = last = group;
			}
			fill(w, full, full->n_rows++, (int64_t)group, (int64_t)w->n_rows);
		}
		w->batches[w->n_batches++] = full;
		copy(b, full);
		texts_lend(b, &lent);
		for (size_t i = 0; i < n; i++)
			row_sorter_take(s, groups[i], starts[i]);
		arena_reset(&lent); /* what was taken is the sorter's own */
	}
	assert_int_equal(row_sorter_rows(s), o->rows);
	row_sorter_sort(s);
	by_engine(w, o, g, at);
	assert_int_equal(w->n_seen, o->rows);
	struct batch *out = batch_new(shape, ALL_COLUMNS, &w->a);
	size_t n = 0;
	for (batch_clear(out); row_sorter_emit(s, out) > 0; batch_clear(out))
		for (size_t i = 0; i < out->n_rows; i++, n++) {
			ours = out->columns[OWN_COLUMNS + META_LEN].i64[i];
			if (ours != w->seen[n])
				fail_msg("order %zu: place %zu: row %lld, the engine says %lld", at, n, (long long)ours,
					 (long long)w->seen[n]);
			/* The whole row went along, NULLs too. */
			const struct batch *from = w->batches[(size_t)ours / o->batch_rows];
			size_t row = (size_t)ours % o->batch_rows;
			for (size_t k = 0; k < ALL_COLUMNS; k++)
				if (!same_cell(&out->columns[k], i, &from->columns[k], row))
					fail_msg("order %zu: row %lld: column %zu", at, (long long)ours, k);
		}
	assert_int_equal(n, o->rows);
	arena_free(&lent);
	row_sorter_free(s);
	arena_free(&w->a);
	mem_free(w);
}

static void the_engine_agrees(void **state)
{
	struct engine_options o = { .memory_bytes = 1 << 30 };
	struct engine *g;
	struct err e = ERR_INIT;

	(void)state;
	if (engine_library_path()[0] == '\0')
		skip();
	if (!engine_open(&o, &g, &e))
		fail_msg("%s", e.message);
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		one_order(&orders[i], g, i);
	engine_close(g);
}

static void room_ends(void **state)
{
	struct arena a = ARENA_INIT;
	struct contract c = { .n_columns = OWN_COLUMNS };
	struct row_sorter *s = row_sorter_new(&c, shape, ALL_COLUMNS, 1 << 20, &a);
	struct batch *b;
	size_t rows = 0;

	(void)state;
	row_sorter_begin(s);
	while ((b = row_sorter_room(s))) {
		b->n_rows = BATCH_ROWS;
		row_sorter_take(s, 1, 0);
		rows += BATCH_ROWS;
	}
	assert_int_equal(rows, row_sorter_rows(s));
	assert_true(row_sorter_bytes(s) > 1 << 20 && row_sorter_bytes(s) < (1 << 20) + 40 * BATCH_ROWS * ALL_COLUMNS);
	assert_true(row_sorter_row_bytes(s) >= row_sorter_bytes(s) / rows);
	row_sorter_begin(s);
	assert_int_equal(row_sorter_bytes(s), 0);
	assert_non_null(row_sorter_room(s));
	row_sorter_free(s);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_engine_agrees), cmocka_unit_test(room_ends) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
