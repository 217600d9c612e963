/* Rows of a batch in little space, for as long as they wait to be put in order: integers, days, instants and decimals as
 * what they lie above the smallest one of their column, in as many bytes as the largest needs; equal ones once; texts one
 * behind the other. A row of 20 columns takes about 70 bytes in place of the 256 of a batch and the 300 of its record.
 * Part of row_sorter.c. */
#ifndef SLUICE_PREPARE_ROW_PACK_H
#define SLUICE_PREPARE_ROW_PACK_H

#include "contract/batch.h"

enum { PACK_EQUAL = 0, PACK_16 = 16 }; /* widths besides 1, 2, 4 and 8 */

struct pack_column {
	enum column_type type;
	uint8_t width;   /* of a value; of where a text begins: 2, 4 or 8 */
	size_t n_valid;
	uint64_t *valid; /* NULL: all are, or none is */
	uint64_t base;
	union {
		uint8_t *w1;
		uint16_t *w2;
		uint32_t *w4;
		uint64_t *w8;
		int128 *w16;
	};
	const char *text; /* of all rows; that of row i ends where that of row i + 1 begins */
};

struct row_pack {
	size_t n_rows, bytes;
	struct pack_column *columns;
};

struct row_pack *row_pack_new(const struct batch *b, size_t n_columns, struct arena *a);

static inline bool pack_is_valid(const struct pack_column *c, size_t i)
{
	return c->valid ? (c->valid[i / 64] >> (i % 64)) & 1 : c->n_valid > 0;
}

/* The value of a cell that is valid. Of a double: its bits; of a boolean: 0 or 1. */
static inline int64_t pack_number(const struct pack_column *c, size_t i)
{
	switch (c->width) {
	case PACK_EQUAL:
		return (int64_t)c->base;
	case 1:
		return (int64_t)(c->base + c->w1[i]);
	case 2:
		return (int64_t)(c->base + c->w2[i]);
	case 4:
		return (int64_t)(c->base + c->w4[i]);
	default:
		return (int64_t)c->w8[i];
	}
}

static inline int128 pack_decimal(const struct pack_column *c, size_t i)
{
	return c->width == PACK_16 ? c->w16[i] : pack_number(c, i);
}

static inline struct str pack_text(const struct pack_column *c, size_t i)
{
	size_t from = 0, to = c->base;

	if (c->width == 2) {
		from = c->w2[i];
		to = c->w2[i + 1];
	} else if (c->width == 4) {
		from = c->w4[i];
		to = c->w4[i + 1];
	} else if (c->width == 8) {
		from = c->w8[i];
		to = c->w8[i + 1];
	}
	return (struct str){ c->text + from, to - from };
}

#endif
