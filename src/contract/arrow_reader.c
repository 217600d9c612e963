/* Rows in, from the Arrow C data interface. Who fills an array is in our process (pyarrow), so its pointers are trusted;
 * its shape is not. */
#include "contract/arrow.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum reader {
	READ_I8,
	READ_I16,
	READ_I32,
	READ_I64,
	READ_U8,
	READ_U16,
	READ_U32,
	READ_U64,
	READ_FLOAT,
	READ_DOUBLE,
	READ_BOOLEAN,
	READ_DATE,
	READ_DECIMAL,
	READ_SECONDS,
	READ_MILLISECONDS,
	READ_MICROSECONDS,
	READ_TEXT,
	READ_LARGE_TEXT,
	READ_NULL
};

static const struct {
	const char *format;
	enum reader reader;
	enum column_type type;
	unsigned precision;
} FORMATS[] = {
	{ "c", READ_I8, TYPE_INTEGER, 0 },    { "s", READ_I16, TYPE_INTEGER, 0 },
	{ "i", READ_I32, TYPE_INTEGER, 0 },   { "l", READ_I64, TYPE_INTEGER, 0 },
	{ "C", READ_U8, TYPE_INTEGER, 0 },    { "S", READ_U16, TYPE_INTEGER, 0 },
	{ "I", READ_U32, TYPE_INTEGER, 0 },   { "L", READ_U64, TYPE_DECIMAL, 20 },
	{ "f", READ_FLOAT, TYPE_DOUBLE, 0 },  { "g", READ_DOUBLE, TYPE_DOUBLE, 0 },
	{ "b", READ_BOOLEAN, TYPE_BOOLEAN, 0 }, { "tdD", READ_DATE, TYPE_DATE, 0 },
	{ "u", READ_TEXT, TYPE_STRING, 0 },   { "U", READ_LARGE_TEXT, TYPE_STRING, 0 },
	{ "n", READ_NULL, TYPE_STRING, 0 },
};

struct arrow_reader {
	struct batch_shape *shape;
	enum reader *readers;
	size_t n_columns;
};

/* "d:P,S" or "d:P,S,128" */
static bool decimal_parse(const char *format, struct batch_shape *s)
{
	char *end;
	unsigned long precision, scale;

	if (strncmp(format, "d:", 2) != 0 || format[2] < '0' || format[2] > '9')
		return false;
	precision = strtoul(format + 2, &end, 10);
	if (*end != ',' || end[1] < '0' || end[1] > '9')
		return false;
	scale = strtoul(end + 1, &end, 10);
	if ((*end != 0 && strcmp(end, ",128") != 0) || precision < 1 || precision > 38 || scale > precision)
		return false;
	s->type = TYPE_DECIMAL;
	s->precision = (unsigned)precision;
	s->scale = (unsigned)scale;
	return true;
}

/* "tsu:ZONE": any zone is an instant, none a wall clock. */
static bool timestamp_parse(const char *format, struct batch_shape *s, enum reader *reader)
{
	if (strncmp(format, "ts", 2) != 0 || format[2] == 0 || format[3] != ':')
		return false;
	switch (format[2]) {
	case 's':
		*reader = READ_SECONDS;
		break;
	case 'm':
		*reader = READ_MILLISECONDS;
		break;
	case 'u':
		*reader = READ_MICROSECONDS;
		break;
	default: /* nanoseconds would be cut */
		return false;
	}
	s->type = TYPE_TIMESTAMP;
	s->scale = format[4] == 0 ? SCALE_OF_WALL_CLOCK : SCALE_OF_INSTANT;
	return true;
}

static bool format_parse(const char *format, struct batch_shape *s, enum reader *reader)
{
	for (size_t i = 0; i < sizeof FORMATS / sizeof FORMATS[0]; i++) {
		if (strcmp(FORMATS[i].format, format) != 0)
			continue;
		s->type = FORMATS[i].type;
		s->precision = FORMATS[i].precision;
		*reader = FORMATS[i].reader;
		return true;
	}
	*reader = READ_DECIMAL;
	return decimal_parse(format, s) || timestamp_parse(format, s, reader);
}

bool arrow_reader_open(const struct ArrowSchema *schema, struct arena *a, struct arrow_reader **out, struct err *e)
{
	struct arrow_reader *r = arena_new(a, struct arrow_reader);

	if (strcmp(schema->format, "+s") != 0 || schema->n_children < 0)
		return err_set(e, ERR_ENGINE, "Arrow: a record batch was expected, not the type \"%.60s\"", schema->format);
	r->n_columns = (size_t)schema->n_children;
	r->shape = arena_array(a, struct batch_shape, r->n_columns);
	r->readers = arena_array(a, enum reader, r->n_columns);
	for (size_t i = 0; i < r->n_columns; i++) {
		const struct ArrowSchema *child = schema->children[i];
		r->shape[i].name = arena_copy(a, str_from(child->name ? child->name : ""));
		if (child->dictionary || !format_parse(child->format, &r->shape[i], &r->readers[i]))
			return err_set(e, ERR_ENGINE, "Arrow: column %.200s has the type \"%.60s\"%s, which has no place in a table",
				       r->shape[i].name.p, child->format, child->dictionary ? " in a dictionary" : "");
	}
	*out = r;
	return true;
}

const struct batch_shape *arrow_reader_shape(const struct arrow_reader *r, size_t *n_columns)
{
	*n_columns = r->n_columns;
	return r->shape;
}

/* ── values ── */

static bool bit_is_set(const void *bits, uint64_t i)
{
	return (((const uint8_t *)bits)[i / 8] >> (i % 8)) & 1;
}

#define WIDEN(member, type, by)                                  \
	do {                                                     \
		const type *from_values = values;                \
		for (size_t i = 0; i < n; i++)                   \
			c->member[i] = from_values[at + i] by;   \
		return true;                                     \
	} while (0)

static bool scale_us(struct batch_column *c, const int64_t *from, size_t n, int64_t factor)
{
	for (size_t i = 0; i < n; i++)
		if (batch_is_valid(c, i) && __builtin_mul_overflow(from[i], factor, &c->i64[i]))
			return false;
	return true;
}

/* A decimal beyond its own precision would be written as something else later on. */
static bool read_decimals(struct batch_column *c, const char *from, size_t n)
{
	int128 limit = 1;

	for (unsigned i = 0; i < c->precision; i++)
		limit *= 10;
	for (size_t i = 0; i < n; i++) {
		memcpy(&c->i128[i], from + i * sizeof(int128), sizeof(int128));
		if (batch_is_valid(c, i) && (c->i128[i] >= limit || c->i128[i] <= -limit))
			return false;
	}
	return true;
}

#define READ_TEXTS(type)                                                                          \
	do {                                                                                      \
		const type *ends = values;                                                        \
		for (size_t i = 0; i < n; i++) {                                                  \
			c->s[i] = STR_NONE;                                                       \
			if (!batch_is_valid(c, i))                                                \
				continue;                                                         \
			if (ends[at + i] < 0 || ends[at + i + 1] < ends[at + i])                  \
				return false;                                                     \
			c->s[i] = (struct str){ (const char *)text + ends[at + i],                \
						(size_t)(ends[at + i + 1] - ends[at + i]) };      \
		}                                                                                 \
		return true;                                                                      \
	} while (0)

/* Values [at, at + n) of a column whose validity is in *c already. */
static bool values_read(enum reader reader, struct batch_column *c, const void *values, const void *text, uint64_t at,
			size_t n)
{
	switch (reader) {
	case READ_I8:
		WIDEN(i64, int8_t, );
	case READ_I16:
		WIDEN(i64, int16_t, );
	case READ_I32:
		WIDEN(i64, int32_t, );
	case READ_I64:
	case READ_MICROSECONDS:
		WIDEN(i64, int64_t, );
	case READ_U8:
		WIDEN(i64, uint8_t, );
	case READ_U16:
		WIDEN(i64, uint16_t, );
	case READ_U32:
		WIDEN(i64, uint32_t, );
	case READ_U64:
		WIDEN(i128, uint64_t, );
	case READ_FLOAT:
		WIDEN(f64, float, );
	case READ_DOUBLE:
		WIDEN(f64, double, );
	case READ_DATE:
		WIDEN(i32, int32_t, );
	case READ_BOOLEAN:
		for (size_t i = 0; i < n; i++)
			c->b[i] = bit_is_set(values, at + i);
		return true;
	case READ_DECIMAL:
		return read_decimals(c, (const char *)values + at * sizeof(int128), n);
	case READ_SECONDS:
		return scale_us(c, (const int64_t *)values + at, n, 1000000);
	case READ_MILLISECONDS:
		return scale_us(c, (const int64_t *)values + at, n, 1000);
	case READ_TEXT:
		READ_TEXTS(int32_t);
	case READ_LARGE_TEXT:
		READ_TEXTS(int64_t);
	case READ_NULL:
		return true;
	}
	return false;
}

static bool column_read(enum reader reader, const struct ArrowArray *x, uint64_t from, struct batch_column *c, size_t n)
{
	static const int64_t BUFFERS[] = { [READ_TEXT] = 3, [READ_LARGE_TEXT] = 3, [READ_NULL] = 0 };
	int64_t want = reader >= READ_TEXT ? BUFFERS[reader] : 2;
	const void *valid;
	uint64_t at;

	if (x->n_buffers != want || x->offset < 0 || x->length < 0 || x->dictionary)
		return false;
	if (reader == READ_NULL || n == 0) /* all NULL, as batch_clear left it */
		return true;
	at = (uint64_t)x->offset + from;
	valid = x->null_count == 0 ? NULL : x->buffers[0];
	for (size_t i = 0; i < n; i++)
		if (!valid || bit_is_set(valid, at + i))
			batch_set_valid(c, i);
	return x->buffers[1] && values_read(reader, c, x->buffers[1], want == 3 ? x->buffers[2] : NULL, at, n);
}

bool arrow_reader_take(const struct arrow_reader *r, const struct ArrowArray *array, uint64_t from, struct batch *b,
		       struct err *e)
{
	uint64_t left;

	if (array->n_children < 0 || (size_t)array->n_children != r->n_columns || array->length < 0 || array->offset < 0 ||
	    (array->null_count != 0 && array->n_buffers > 0 && array->buffers[0]))
		return err_set(e, ERR_ENGINE, "Arrow: a record batch of %zu columns was expected, not one of %" PRId64,
			       r->n_columns, array->n_children);
	CHECK(b->n_columns == r->n_columns && from <= (uint64_t)array->length);
	left = (uint64_t)array->length - from;
	batch_clear(b);
	b->n_rows = left > BATCH_ROWS ? BATCH_ROWS : (size_t)left;
	from += (uint64_t)array->offset;
	for (size_t i = 0; i < r->n_columns; i++) {
		const struct ArrowArray *x = array->children[i];
		if (x->length < (int64_t)(from + b->n_rows) || !column_read(r->readers[i], x, from, &b->columns[i], b->n_rows))
			return err_set(e, ERR_ENGINE, "Arrow: column %.*s is not of its type, or holds what is beyond it",
				       STR_ARG(r->shape[i].name));
	}
	return true;
}
