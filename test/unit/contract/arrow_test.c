/* Batches out and in again over the Arrow C data interface, with every type, and what is refused. */
#include "unit.h"

#include "base/check.h"
#include "contract/arrow.h"

#include <math.h>

static const struct batch_shape SHAPE[] = {
	{ { "text", sizeof "text" - 1 }, TYPE_STRING, 0, 0 },   { { "raw", sizeof "raw" - 1 }, TYPE_JSON, 0, 0 },
	{ { "yes", sizeof "yes" - 1 }, TYPE_BOOLEAN, 0, 0 },   { { "count", sizeof "count" - 1 }, TYPE_INTEGER, 0, 0 },
	{ { "price", sizeof "price" - 1 }, TYPE_DECIMAL, 38, 6 }, { { "ratio", sizeof "ratio" - 1 }, TYPE_DOUBLE, 0, 0 },
	{ { "day", sizeof "day" - 1 }, TYPE_DATE, 0, 0 },      { { "at", sizeof "at" - 1 }, TYPE_TIMESTAMP, 0, 0 },
};
static const char *const FORMATS[] = { "u", "u", "b", "l", "d:38,6", "g", "tdD", "tsu:UTC" };

enum { ROWS = 3 * BATCH_ROWS + 5 };

static bool is_null(size_t row, size_t column)
{
	return (row * 31 + column * 7) % 5 == 0;
}

/* Row i of the whole set, in place `at` of a batch. */
static void row_put(struct batch *b, size_t at, size_t i, struct arena *a)
{
	for (size_t c = 0; c < COUNT(SHAPE); c++) {
		struct batch_column *x = &b->columns[c];
		if (is_null(i, c))
			continue;
		batch_set_valid(x, at);
		switch (x->type) {
		case TYPE_STRING:
		case TYPE_JSON:
			x->s[at] = i % 3 == 0 ? STR("") : arena_format(a, "%zu:%s", i, i % 2 ? "\xc3\xa9" : "{}");
			break;
		case TYPE_BOOLEAN:
			x->b[at] = i % 2;
			break;
		case TYPE_DECIMAL:
			x->i128[at] = ((int128)INT64_MAX * (int64_t)i) - 7;
			break;
		case TYPE_DOUBLE:
			x->f64[at] = i % 2 ? -0.0 : (double)i / 3;
			break;
		case TYPE_DATE:
			x->i32[at] = (int32_t)i - 3000;
			break;
		default:
			x->i64[at] = (int64_t)i - ((int64_t)1 << 62);
		}
	}
	b->n_rows = at + 1;
}

static void row_check(const struct batch *b, size_t at, const struct batch *want, size_t row)
{
	for (size_t c = 0; c < COUNT(SHAPE); c++) {
		const struct batch_column *x = &b->columns[c], *y = &want->columns[c];
		assert_int_equal(batch_is_valid(x, at), batch_is_valid(y, row));
		if (!batch_is_valid(x, at))
			continue;
		switch (x->type) {
		case TYPE_STRING:
		case TYPE_JSON:
			assert_true(str_eq(x->s[at], y->s[row]));
			break;
		case TYPE_BOOLEAN:
			assert_int_equal(x->b[at], y->b[row]);
			break;
		case TYPE_DECIMAL:
			assert_true(x->i128[at] == y->i128[row]);
			break;
		case TYPE_DOUBLE:
			assert_memory_equal(&x->f64[at], &y->f64[row], sizeof(double));
			break;
		case TYPE_DATE:
			assert_int_equal(x->i32[at], y->i32[row]);
			break;
		default:
			assert_true(x->i64[at] == y->i64[row]);
		}
	}
}

/* All rows as one array, given to the builder in ranges of odd sizes. */
static void rows_export(struct arena *a, struct ArrowSchema *schema, struct ArrowArray *array)
{
	struct arrow_builder *w = arrow_builder_new(SHAPE, COUNT(SHAPE));
	struct batch *b = batch_new(SHAPE, COUNT(SHAPE), a);

	for (size_t i = 0; i < ROWS;) {
		batch_clear(b);
		for (size_t at = 0; at < BATCH_ROWS && i < ROWS; at++, i++)
			row_put(b, at, i, a);
		size_t half = b->n_rows / 3;
		assert_int_equal(arrow_builder_add(w, b, 0, half), half);
		assert_int_equal(arrow_builder_add(w, b, half, b->n_rows), b->n_rows - half);
	}
	assert_int_equal(arrow_builder_rows(w), ROWS);
	assert_true(arrow_builder_bytes(w) > ROWS * 8 * 4);
	arrow_schema_export(SHAPE, COUNT(SHAPE), schema);
	arrow_builder_finish(w, array);
	assert_int_equal(arrow_builder_rows(w), 0);
	arrow_builder_free(w);
}

static void rows_compare(const struct ArrowSchema *schema, const struct ArrowArray *array, size_t first, size_t n)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct arrow_reader *r;
	size_t n_columns;

	assert_true(arrow_reader_open(schema, &a, &r, &e));
	const struct batch_shape *shape = arrow_reader_shape(r, &n_columns);
	assert_int_equal(n_columns, COUNT(SHAPE));
	struct batch *b = batch_new(shape, n_columns, &a), *want = batch_new(SHAPE, COUNT(SHAPE), &a);
	for (size_t from = 0; from < n; from += b->n_rows) {
		assert_true(arrow_reader_take(r, array, from, b, &e));
		assert_true(b->n_rows == BATCH_ROWS || from + b->n_rows == n);
		for (size_t at = 0; at < b->n_rows; at++) {
			batch_clear(want);
			row_put(want, 0, first + from + at, &a);
			row_check(b, at, want, 0);
		}
	}
	arena_free(&a);
}

static void test_out_and_in(void **state)
{
	struct arena a = ARENA_INIT;
	struct ArrowSchema schema;
	struct ArrowArray array;

	(void)state;
	rows_export(&a, &schema, &array);
	arena_free(&a); /* exported memory is its own */
	assert_int_equal(array.length, ROWS);
	assert_string_equal(schema.format, "+s");
	for (size_t i = 0; i < COUNT(SHAPE); i++) {
		assert_string_equal(schema.children[i]->format, FORMATS[i]);
		assert_text(SHAPE[i].name, schema.children[i]->name);
	}
	rows_compare(&schema, &array, 0, ROWS);

	/* a slice, as readers make them: of the whole, or of each column */
	array.offset = 13;
	array.length = ROWS - 13 - 2;
	rows_compare(&schema, &array, 13, ROWS - 15);
	array.offset = 0;
	for (size_t i = 0; i < COUNT(SHAPE); i++) {
		array.children[i]->offset = 13;
		array.children[i]->length = ROWS - 15;
	}
	rows_compare(&schema, &array, 13, ROWS - 15);
	array.release(&array);
	schema.release(&schema);
	assert_true(!array.release && !schema.release);
}

/* The interface lets a reader take a child away and end the rest. */
static void test_moved_child(void **state)
{
	struct arena a = ARENA_INIT;
	struct ArrowSchema schema, one_schema;
	struct ArrowArray array, one;

	(void)state;
	rows_export(&a, &schema, &array);
	one = *array.children[0];
	array.children[0]->release = NULL;
	one_schema = *schema.children[0];
	schema.children[0]->release = NULL;
	array.release(&array);
	schema.release(&schema);
	assert_string_equal(one_schema.name, "text");
	assert_string_equal(one_schema.format, "u");
	assert_memory_equal((const char *)one.buffers[2] + ((const int32_t *)one.buffers[1])[1], "1:\xc3\xa9", 4);
	one.release(&one);
	one_schema.release(&one_schema);
	arena_free(&a);
}

static void test_nothing(void **state)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct ArrowSchema schema;
	struct ArrowArray array;
	struct arrow_reader *r;
	struct arrow_builder *w = arrow_builder_new(SHAPE, COUNT(SHAPE));
	struct batch *b = batch_new(SHAPE, COUNT(SHAPE), &a);

	(void)state;
	arrow_schema_export(SHAPE, COUNT(SHAPE), &schema);
	arrow_builder_finish(w, &array);
	assert_true(arrow_reader_open(&schema, &a, &r, &e) && arrow_reader_take(r, &array, 0, b, &e));
	assert_int_equal(b->n_rows, 0);
	array.release(&array);
	schema.release(&schema);
	arrow_builder_free(w);
	arena_free(&a);
}

/* One column of two rows, the second NULL, in a format that others write. */
static void test_formats_in(void **state)
{
	static const int8_t I8[] = { -8, 0 };
	static const int16_t I16[] = { -16, 0 };
	static const int32_t I32[] = { -32, 0 }, ENDS[] = { 0, 2, 2 };
	static const int64_t I64[] = { -64, 0 }, HUGE_I64[] = { INT64_MAX, 0 }, BAD_ENDS[] = { 5, 2, 2 };
	static const uint8_t U8[] = { 200, 0 };
	static const uint64_t U64[] = { UINT64_MAX, 0 };
	static const float F32[] = { 0.5F, 0 };
	static const int128 D128[] = { 12345, 0 }, BIG[] = { 100000, 0 };
	static const struct {
		const char *format;
		const void *values;
		enum column_type type;
		unsigned precision, scale;
		int64_t want;
		bool refused, refused_value;
	} CASES[] = {
		{ "c", I8, TYPE_INTEGER, 0, 0, -8, false, false },
		{ "s", I16, TYPE_INTEGER, 0, 0, -16, false, false },
		{ "i", I32, TYPE_INTEGER, 0, 0, -32, false, false },
		{ "l", I64, TYPE_INTEGER, 0, 0, -64, false, false },
		{ "C", U8, TYPE_INTEGER, 0, 0, 200, false, false },
		{ "L", U64, TYPE_DECIMAL, 20, 0, 0, false, false },
		{ "f", F32, TYPE_DOUBLE, 0, 0, 0, false, false },
		{ "d:5,2", D128, TYPE_DECIMAL, 5, 2, 12345, false, false },
		{ "d:5,2,128", D128, TYPE_DECIMAL, 5, 2, 12345, false, false },
		{ "d:5,2", BIG, TYPE_DECIMAL, 5, 2, 0, false, true },
		{ "tsu:", I64, TYPE_TIMESTAMP, 0, SCALE_OF_WALL_CLOCK, -64, false, false },
		{ "tsu:Europe/Berlin", I64, TYPE_TIMESTAMP, 0, SCALE_OF_INSTANT, -64, false, false },
		{ "tsm:UTC", I64, TYPE_TIMESTAMP, 0, SCALE_OF_INSTANT, -64000, false, false },
		{ "tss:UTC", I64, TYPE_TIMESTAMP, 0, SCALE_OF_INSTANT, -64000000, false, false },
		{ "tss:UTC", HUGE_I64, TYPE_TIMESTAMP, 0, SCALE_OF_INSTANT, 0, false, true },
		{ "tsn:UTC", I64, TYPE_TIMESTAMP, 0, 0, 0, true, false },
		{ "d:39,0", D128, TYPE_DECIMAL, 0, 0, 0, true, false },
		{ "d:5,6", D128, TYPE_DECIMAL, 0, 0, 0, true, false },
		{ "d:5,2,256", D128, TYPE_DECIMAL, 0, 0, 0, true, false },
		{ "d:-5,2", D128, TYPE_DECIMAL, 0, 0, 0, true, false },
		{ "e", I16, TYPE_DOUBLE, 0, 0, 0, true, false },
		{ "+l", I32, TYPE_STRING, 0, 0, 0, true, false },
		{ "u", ENDS, TYPE_STRING, 0, 0, 0, false, false },
		{ "U", BAD_ENDS, TYPE_STRING, 0, 0, 0, false, true },
	};
	static const uint8_t VALID = 1;

	(void)state;
	for (size_t i = 0; i < COUNT(CASES); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		const void *buffers[3] = { &VALID, CASES[i].values, "hi" };
		struct ArrowSchema of = { .format = CASES[i].format, .name = "x" }, *ofs = &of;
		struct ArrowSchema schema = { .format = "+s", .n_children = 1, .children = &ofs };
		bool text = CASES[i].type == TYPE_STRING && !CASES[i].refused;
		struct ArrowArray x = { .length = 2, .null_count = -1, .n_buffers = text ? 3 : 2, .buffers = buffers };
		struct ArrowArray *xs = &x, array = { .length = 2, .n_buffers = 1, .n_children = 1, .children = &xs,
						      .buffers = (const void *[]){ NULL } };
		struct arrow_reader *r;
		size_t n;

		bool ok = arrow_reader_open(&schema, &a, &r, &e);
		assert_int_equal(ok, !CASES[i].refused);
		if (!ok) {
			assert_int_equal(e.code, ERR_ENGINE);
			assert_non_null(strstr(e.message, CASES[i].format));
			arena_free(&a);
			continue;
		}
		const struct batch_shape *shape = arrow_reader_shape(r, &n);
		assert_int_equal(shape->type, CASES[i].type);
		assert_int_equal(shape->precision, CASES[i].precision);
		assert_int_equal(shape->scale, CASES[i].scale);
		struct batch *b = batch_new(shape, n, &a);
		ok = arrow_reader_take(r, &array, 0, b, &e);
		assert_int_equal(ok, !CASES[i].refused_value);
		if (ok) {
			assert_int_equal(b->n_rows, 2);
			assert_true(batch_is_valid(&b->columns[0], 0) && !batch_is_valid(&b->columns[0], 1));
			if (shape->type == TYPE_STRING)
				assert_text(b->columns[0].s[0], "hi");
			else if (shape->type == TYPE_DOUBLE)
				assert_true(b->columns[0].f64[0] >= 0.5 && b->columns[0].f64[0] <= 0.5);
			else if (shape->type == TYPE_DECIMAL && shape->precision == 20)
				assert_true(b->columns[0].i128[0] == (int128)UINT64_MAX);
			else if (shape->type == TYPE_DECIMAL)
				assert_true(b->columns[0].i128[0] == CASES[i].want);
			else
				assert_true(b->columns[0].i64[0] == CASES[i].want);
		} else {
			assert_int_equal(e.code, ERR_ENGINE);
		}
		arena_free(&a);
	}
}

/* Arrays that are not of the schema that was read. */
static void test_wrong_arrays(void **state)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct ArrowSchema schema;
	struct ArrowArray array;
	struct arrow_reader *r;

	(void)state;
	rows_export(&a, &schema, &array);
	assert_true(arrow_reader_open(&schema, &a, &r, &e));
	struct batch *b = batch_new(SHAPE, COUNT(SHAPE), &a);
	array.n_children--;
	assert_false(arrow_reader_take(r, &array, 0, b, &e));
	array.n_children++;
	array.children[2]->n_buffers = 3;
	assert_false(arrow_reader_take(r, &array, 0, b, &e));
	array.children[2]->n_buffers = 2;
	array.children[3]->length--;
	assert_true(arrow_reader_take(r, &array, 0, b, &e));
	assert_false(arrow_reader_take(r, &array, 3 * BATCH_ROWS, b, &e));
	assert_non_null(strstr(e.message, "column count"));
	array.release(&array);
	schema.release(&schema);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out_and_in),   cmocka_unit_test(test_moved_child), cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_formats_in),   cmocka_unit_test(test_wrong_arrays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
