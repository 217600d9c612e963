#include "format/row_sum.h"

#include "base/check.h"
#include "base/hash.h"

#include <string.h>

/* Fractional digits of square roots: numbers without a purpose behind them. */
#define ROOT_11 UINT64_C(0x510e527fade682d1)
#define ROOT_13 UINT64_C(0x9b05688c2b3e6c1f)
#define ROOT_17 UINT64_C(0x1f83d9abfb41bd6b)
#define ROOT_19 UINT64_C(0x5be0cd19137e2179)

/* One product a cell, and the products of a row are summed up: factors are odd, so a single value that differs always
 * shows, and they differ, so values that changed places do. The upper half is mixed into the lower one first: of a product
 * the upper bits tell only of the lower ones of its factors. A NULL is a number that belongs to the column. */
#define EACH_ROW(value)                                                                                         \
	do {                                                                                                    \
		uint64_t null = factor ^ ROOT_13;                                                               \
		for (size_t i = 0; i < b->n_rows; i++) {                                                        \
			uint64_t x = (uint64_t)(value);                                                         \
			uint64_t mixed = (x ^ x >> 32) * factor;                                                \
			v[i] += batch_is_valid(c, i) ? mixed : null;                                            \
		}                                                                                               \
	} while (0)
/* Where only the value of a valid cell may be looked at. */
#define EACH_VALID_ROW(value)                                                                                   \
	do {                                                                                                    \
		for (size_t i = 0; i < b->n_rows; i++) {                                                        \
			bool valid = batch_is_valid(c, i);                                                      \
			uint64_t x = valid ? (uint64_t)(value) : 0;                                             \
			v[i] += valid ? (x ^ x >> 32) * factor : factor ^ ROOT_13;                              \
		}                                                                                               \
	} while (0)

static uint64_t bits_of(double x)
{
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits;
}

static void column_add(uint64_t *v, const struct batch *b, const struct batch_column *c, uint64_t factor)
{
	switch (c->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		EACH_VALID_ROW(hash_fast(c->s[i], ROOT_17));
		return;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		EACH_ROW(c->i64[i]);
		return;
	case TYPE_DECIMAL:
		EACH_ROW((uint128)c->i128[i] >> 64);
		factor = factor * ROOT_11 | 1;
		EACH_ROW(c->i128[i]);
		return;
	case TYPE_DOUBLE:
		EACH_ROW(bits_of(c->f64[i]));
		return;
	case TYPE_DATE:
		EACH_ROW((uint32_t)c->i32[i]);
		return;
	case TYPE_BOOLEAN:
		EACH_ROW(c->b[i] != 0);
		return;
	case TYPE_COUNT:
		break;
	}
	CHECK(c->type < TYPE_COUNT);
}

void row_marks_make(struct row_marks *m, const struct batch *b, size_t n_columns, size_t without)
{
	uint64_t factor = ROOT_11;

	CHECK(n_columns <= b->n_columns && b->n_rows <= BATCH_ROWS);
	for (size_t i = 0; i < b->n_rows; i++)
		m->v[i] = ROOT_13;
	for (size_t i = 0; i < n_columns; i++) {
		factor = (factor * ROOT_19 + ROOT_17) | 1;
		if (i != without)
			column_add(m->v, b, &b->columns[i], factor);
	}
}

void row_sum_add(struct row_sum *s, const struct row_marks *m, size_t from, size_t to)
{
	CHECK(from <= to && to <= BATCH_ROWS);
	for (size_t i = from; i < to; i++)
		s->sum += (uint128)(m->v[i] ^ ROOT_17) * (m->v[i] ^ ROOT_19);
	s->rows += to - from;
}
