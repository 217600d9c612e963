/* The cheap sum must see what an engine mixes up, and nothing in the order of the rows. */
#include "format/row_sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { COLUMNS = 9, ROWS = 500, LEFT_OUT = 8 };

static const struct batch_shape shape[COLUMNS] = {
	{ STR("i"), TYPE_INTEGER, 0, 0 }, { STR("j"), TYPE_INTEGER, 0, 0 },  { STR("x"), TYPE_DOUBLE, 0, 0 },
	{ STR("y"), TYPE_DOUBLE, 0, 0 },  { STR("d"), TYPE_DECIMAL, 38, 2 }, { STR("day"), TYPE_DATE, 0, 0 },
	{ STR("b"), TYPE_BOOLEAN, 0, 0 }, { STR("s"), TYPE_STRING, 0, 0 },   { STR("_window"), TYPE_STRING, 0, 0 },
};

static struct batch *filled(struct arena *a)
{
	struct batch *b = batch_new(shape, COLUMNS, a);

	b->n_rows = ROWS;
	for (size_t i = 0; i < ROWS; i++) {
		b->columns[0].i64[i] = (int64_t)i - 250;
		b->columns[1].i64[i] = 7;
		b->columns[2].f64[i] = 1.0;
		b->columns[3].f64[i] = -1.0;
		b->columns[4].i128[i] = ((int128)i << 64) + 3;
		b->columns[5].i32[i] = (int32_t)i - 100;
		b->columns[6].b[i] = i % 2;
		b->columns[7].s[i] = i % 3 ? STR("abc") : STR("");
		b->columns[8].s[i] = STR("w");
		for (size_t k = 0; k < COLUMNS; k++)
			if ((i + k) % 5 > 0)
				batch_set_valid(&b->columns[k], i);
	}
	return b;
}

static struct row_sum sum_of(const struct batch *b, size_t from, size_t to)
{
	static struct row_marks m;
	struct row_sum s = ROW_SUM_INIT;

	row_marks_make(&m, b, COLUMNS, LEFT_OUT);
	row_sum_add(&s, &m, from, to);
	return s;
}

static bool differs(const struct batch *b, const struct row_sum *from)
{
	struct row_sum s = sum_of(b, 0, ROWS);

	return !row_sum_eq(&s, from);
}

static void each_cell_counts(void **state)
{
	struct arena a = ARENA_INIT;
	struct batch *b = filled(&a);
	struct row_sum plain = sum_of(b, 0, ROWS);

	(void)state;
	for (size_t k = 0; k < COLUMNS; k++)
		for (size_t i = 0; i < ROWS; i++) {
			struct batch_column *c = &b->columns[k];
			bool counts = k != LEFT_OUT;
			uint64_t bit = UINT64_C(1) << (i % 64);
			c->valid[i / 64] ^= bit;
			assert_int_equal(differs(b, &plain), counts);
			c->valid[i / 64] ^= bit;
			size_t size = c->type == TYPE_DECIMAL ? 16 : c->type == TYPE_DATE ? 4 : c->type == TYPE_BOOLEAN ? 1 : 8;
			if (c->type == TYPE_STRING || !batch_is_valid(c, i))
				continue;
			for (size_t n = 0; n < (size == 1 ? 1 : size * 8); n++) { /* each bit of each value */
				((uint8_t *)c->b)[i * size + n / 8] ^= (uint8_t)(1u << n % 8);
				assert_true(differs(b, &plain));
				((uint8_t *)c->b)[i * size + n / 8] ^= (uint8_t)(1u << n % 8);
				n += i > 3 ? 12 : 0;
			}
		}
	assert_false(differs(b, &plain));
	arena_free(&a);
}

static void places_count(void **state)
{
	struct arena a = ARENA_INIT;
	struct batch *b = filled(&a);
	struct row_sum plain = sum_of(b, 0, ROWS), first, second;

	(void)state;
	double x = b->columns[2].f64[4]; /* 1.0 and -1.0 differ by their uppermost bit only */
	assert_true(batch_is_valid(&b->columns[2], 4) && batch_is_valid(&b->columns[3], 4));
	b->columns[2].f64[4] = b->columns[3].f64[4];
	b->columns[3].f64[4] = x;
	assert_true(differs(b, &plain));
	b->columns[3].f64[4] = b->columns[2].f64[4];
	b->columns[2].f64[4] = x;
	b->columns[7].s[1] = STR("abd");
	assert_true(differs(b, &plain));
	b->columns[7].s[1] = STR("abc");
	/* between rows */
	int64_t i = b->columns[0].i64[11];
	assert_true(batch_is_valid(&b->columns[0], 11) && batch_is_valid(&b->columns[0], 12));
	b->columns[0].i64[11] = b->columns[0].i64[12];
	b->columns[0].i64[12] = i;
	assert_true(differs(b, &plain));
	b->columns[0].i64[12] = b->columns[0].i64[11];
	b->columns[0].i64[11] = i;
	/* What NULLs hide does not count, neither does the order in which rows are added. */
	b->columns[0].i64[10] = 99;
	b->columns[7].s[3] = STR("nobody sees this");
	assert_false(batch_is_valid(&b->columns[0], 10) || batch_is_valid(&b->columns[7], 3));
	assert_false(differs(b, &plain));
	first = sum_of(b, 200, ROWS);
	second = sum_of(b, 0, 200);
	first.sum += second.sum;
	first.rows += second.rows;
	assert_true(row_sum_eq(&first, &plain));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_cell_counts), cmocka_unit_test(places_count) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
