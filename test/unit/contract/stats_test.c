/* Bounds and counts of a file, value by value. */
#include "unit.h"

#include "contract/stats.h"

#include <math.h>

struct one {
	enum column_type type;
	unsigned precision, scale;
	size_t n;
	struct {
		bool null;
		int64_t i;
		double f;
		const char *s;
	} v[4];
	const char *want; /* min, max and nulls of the column x */
};

#define S33 "aaaaaaaaaabbbbbbbbbbccccccccccdde"
#define U8 "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf" \
	   "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf"
#define U32 U8 U8 U8 U8

static const struct one ONES[] = {
	{ TYPE_INTEGER, 0, 0, 3, { { .i = 5 }, { .null = true }, { .i = -9223372036854775807 - 1 } },
	  "{\"x\":-9223372036854775808},\"maxValues\":{\"x\":5},\"nullCount\":{\"x\":1}}" },
	{ TYPE_INTEGER, 0, 0, 2, { { .null = true }, { .null = true } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":2}}" },
	{ TYPE_DECIMAL, 10, 2, 2, { { .i = -5 }, { .i = 1250 } },
	  "{\"x\":-0.05},\"maxValues\":{\"x\":12.50},\"nullCount\":{\"x\":0}}" },
	{ TYPE_DOUBLE, 0, 0, 2, { { .f = -0.5 }, { .f = 1e22 } },
	  "{\"x\":-0.5},\"maxValues\":{\"x\":1e22},\"nullCount\":{\"x\":0}}" },
	{ TYPE_DOUBLE, 0, 0, 2, { { .f = -0.5 }, { .f = NAN } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":0}}" },
	{ TYPE_DOUBLE, 0, 0, 2, { { .f = -0.5 }, { .f = INFINITY } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":0}}" },
	{ TYPE_BOOLEAN, 0, 0, 2, { { .i = 1 }, { .null = true } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":1}}" },
	{ TYPE_JSON, 0, 0, 1, { { .s = "{}" } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":0}}" },
	{ TYPE_DATE, 0, 0, 2, { { .i = -1 }, { .i = 15706 } },
	  "{\"x\":\"1969-12-31\"},\"maxValues\":{\"x\":\"2013-01-01\"},\"nullCount\":{\"x\":0}}" },
	{ TYPE_DATE, 0, 0, 2, { { .i = 0 }, { .i = 2932897 } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":0}}" },
	{ TYPE_TIMESTAMP, 0, 0, 2, { { .i = -1 }, { .i = 1001 } },
	  "{\"x\":\"1969-12-31T23:59:59.999Z\"},\"maxValues\":{\"x\":\"1970-01-01T00:00:00.002Z\"},\"nullCount\":{\"x\":0}}" },
	{ TYPE_TIMESTAMP, 0, 0, 1, { { .i = 1357016400000000 } },
	  "{\"x\":\"2013-01-01T05:00:00.000Z\"},\"maxValues\":{\"x\":\"2013-01-01T05:00:00.000Z\"},\"nullCount\":{\"x\":0}}" },
	{ TYPE_TIMESTAMP, 0, 0, 1, { { .i = INT64_MAX } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":0}}" },
	{ TYPE_STRING, 0, 0, 3, { { .s = "b\"" }, { .s = "" }, { .s = "\xc3\xa9" } },
	  "{\"x\":\"\"},\"maxValues\":{\"x\":\"\xc3\xa9\"},\"nullCount\":{\"x\":0}}" },
	/* 32 code points stay; 33 are cut, and the maximum gets the greatest code point */
	{ TYPE_STRING, 0, 0, 1, { { .s = "aaaaaaaaaabbbbbbbbbbccccccccccdd" } },
	  "{\"x\":\"aaaaaaaaaabbbbbbbbbbccccccccccdd\"},\"maxValues\":{\"x\":\"aaaaaaaaaabbbbbbbbbbccccccccccdd\"},"
	  "\"nullCount\":{\"x\":0}}" },
	{ TYPE_STRING, 0, 0, 2, { { .s = S33 }, { .s = S33 "zzzzzzzz" } },
	  "{\"x\":\"aaaaaaaaaabbbbbbbbbbccccccccccdd\"},"
	  "\"maxValues\":{\"x\":\"aaaaaaaaaabbbbbbbbbbccccccccccdd\xf4\x8f\xbf\xbf\"},\"nullCount\":{\"x\":0}}" },
	/* 32 of the greatest: the cut moves on to a place that can be made greater */
	{ TYPE_STRING, 0, 0, 1, { { .s = U32 "a" } },
	  "{\"x\":\"" U32 "\"},\"maxValues\":{\"x\":\"" U32 "\xf4\x8f\xbf\xbf\"},\"nullCount\":{\"x\":0}}" },
	/* nothing but the greatest, and more than is kept: no bounds */
	{ TYPE_STRING, 0, 0, 1, { { .s = U32 U8 } }, "{},\"maxValues\":{},\"nullCount\":{\"x\":0}}" },
};

static struct batch *batch_of(const struct one *o, struct arena *a)
{
	struct batch_shape shape = { STR("x"), o->type, o->precision, o->scale };
	struct batch *b = batch_new(&shape, 1, a);
	struct batch_column *c = &b->columns[0];

	b->n_rows = o->n;
	for (size_t i = 0; i < o->n; i++) {
		if (o->v[i].null)
			continue;
		batch_set_valid(c, i);
		if (o->type == TYPE_STRING || o->type == TYPE_JSON)
			c->s[i] = str_from(o->v[i].s);
		else if (o->type == TYPE_DECIMAL)
			c->i128[i] = o->v[i].i;
		else if (o->type == TYPE_DOUBLE)
			c->f64[i] = o->v[i].f;
		else if (o->type == TYPE_DATE)
			c->i32[i] = (int32_t)o->v[i].i;
		else if (o->type == TYPE_BOOLEAN)
			c->b[i] = (uint8_t)o->v[i].i;
		else
			c->i64[i] = o->v[i].i;
	}
	return b;
}

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ONES); i++) {
		struct arena a = ARENA_INIT;
		struct batch *b = batch_of(&ONES[i], &a);
		struct batch_shape shape = { STR("x"), ONES[i].type, ONES[i].precision, ONES[i].scale };
		struct file_stats *s = file_stats_new(&shape, 1, &a);
		/* in parts, and once more after a clear */
		for (int k = 0; k < 2; k++) {
			file_stats_clear(s);
			for (size_t row = 0; row < b->n_rows; row++)
				file_stats_add(s, b, row, row + 1);
			assert_text(file_stats_json(s, &a), arena_format(&a, "{\"numRecords\":%zu,\"minValues\":%s", ONES[i].n,
								    ONES[i].want).p);
		}
		arena_free(&a);
	}
}

static void test_columns(void **state)
{
	struct arena a = ARENA_INIT;
	struct batch_shape shape[STATS_COLUMNS + 1];
	struct file_stats *s;
	struct str json;

	(void)state;
	for (size_t i = 0; i < COUNT(shape); i++)
		shape[i] = (struct batch_shape){ .name = arena_format(&a, "c%zu", i), .type = TYPE_INTEGER };
	struct batch *b = batch_new(shape, COUNT(shape), &a);
	b->n_rows = BATCH_ROWS;
	s = file_stats_new(shape, COUNT(shape), &a);
	file_stats_add(s, b, 0, b->n_rows);
	file_stats_add(s, b, 0, 0);
	json = file_stats_json(s, &a);
	assert_true(str_starts(json, STR("{\"numRecords\":2048,")));
	assert_true(str_contains(json, STR("\"c31\":2048}")));
	assert_false(str_contains(json, STR("c32")));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_columns) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
