#include "contract/batch.h"

#include "base/check.h"

#include <string.h>

static size_t value_size(enum column_type t)
{
	switch (t) {
	case TYPE_STRING:
	case TYPE_JSON:
		return sizeof(struct str);
	case TYPE_BOOLEAN:
		return sizeof(uint8_t);
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		return sizeof(int64_t);
	case TYPE_DECIMAL:
		return sizeof(int128);
	case TYPE_DOUBLE:
		return sizeof(double);
	case TYPE_DATE:
		return sizeof(int32_t);
	case TYPE_COUNT:
		break;
	}
	CHECK(t < TYPE_COUNT);
	return 0;
}

struct batch *batch_new(const struct batch_shape *shape, size_t n_columns, struct arena *a)
{
	struct batch *b = arena_new(a, struct batch);
	b->n_columns = n_columns;
	if (n_columns > 0)
		b->columns = arena_array(a, struct batch_column, n_columns);
	for (size_t i = 0; i < n_columns; i++) {
		struct batch_column *c = &b->columns[i];
		c->name = shape[i].name;
		c->type = shape[i].type;
		c->precision = shape[i].precision;
		c->scale = shape[i].scale;
		/* One member of the union stands for all: they are pointers to memory aligned for any type. */
		c->i64 = arena_alloc(a, mem_size(BATCH_ROWS, value_size(c->type)));
	}
	return b;
}

void batch_clear(struct batch *b)
{
	b->n_rows = 0;
	for (size_t i = 0; i < b->n_columns; i++)
		memset(b->columns[i].valid, 0, sizeof b->columns[i].valid);
}

union scalar batch_scalar(const struct batch_column *c, size_t row)
{
	switch (c->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		return (union scalar){ .s = c->s[row] };
	case TYPE_DECIMAL:
		return (union scalar){ .i128 = c->i128[row] };
	case TYPE_DOUBLE:
		return (union scalar){ .f64 = c->f64[row] };
	case TYPE_DATE:
		return (union scalar){ .i64 = c->i32[row] };
	case TYPE_BOOLEAN:
		return (union scalar){ .i64 = c->b[row] };
	default:
		return (union scalar){ .i64 = c->i64[row] };
	}
}
