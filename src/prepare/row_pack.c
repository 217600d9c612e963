#include "prepare/row_pack.h"

#include "base/check.h"

#include <string.h>

static void *room(struct row_pack *p, size_t n, size_t size, struct arena *a)
{
	p->bytes += n * size;
	return arena_alloc(a, mem_size(n, size));
}

static void pack_valid(struct row_pack *p, struct pack_column *to, const struct batch_column *from, size_t n, struct arena *a)
{
	size_t words = (n + 63) / 64;

	for (size_t i = 0; i < n / 64; i++)
		to->n_valid += (size_t)__builtin_popcountll(from->valid[i]);
	if (n % 64 > 0)
		to->n_valid += (size_t)__builtin_popcountll(from->valid[n / 64] & ~(UINT64_MAX << n % 64));
	if (to->n_valid == 0 || to->n_valid == n)
		return;
	to->valid = room(p, words, sizeof to->valid[0], a);
	memcpy(to->valid, from->valid, words * sizeof to->valid[0]);
}

#define PUT_NUMBERS(member, type)                                                                         \
	do {                                                                                              \
		for (size_t i = 0; i < n; i++)                                                            \
			c->member[i] = pack_is_valid(c, i) ? (type)((uint64_t)v[i] - c->base) : 0;        \
	} while (0)

/* NULLs count as the smallest value: what stands in their place is anything. */
static void pack_numbers(struct row_pack *p, struct pack_column *c, const int64_t *v, size_t n, struct arena *a)
{
	int64_t min = INT64_MAX, max = INT64_MIN;
	uint64_t span;

	for (size_t i = 0; i < n; i++) {
		int64_t low = pack_is_valid(c, i) ? v[i] : INT64_MAX, high = pack_is_valid(c, i) ? v[i] : INT64_MIN;
		min = low < min ? low : min;
		max = high > max ? high : max;
	}
	c->base = (uint64_t)min;
	span = (uint64_t)max - c->base;
	c->width = span == 0 ? PACK_EQUAL : span <= UINT8_MAX ? 1 : span <= UINT16_MAX ? 2 : span <= UINT32_MAX ? 4 : 8;
	if (c->width == PACK_EQUAL)
		return;
	c->w8 = room(p, n, c->width, a);
	if (c->width == 1)
		PUT_NUMBERS(w1, uint8_t);
	else if (c->width == 2)
		PUT_NUMBERS(w2, uint16_t);
	else if (c->width == 4)
		PUT_NUMBERS(w4, uint32_t);
	else
		memcpy(c->w8, v, n * sizeof c->w8[0]);
}

static void pack_decimals(struct row_pack *p, struct pack_column *c, const int128 *v, size_t n, struct arena *a)
{
	int64_t narrow[BATCH_ROWS];
	bool fit = true;

	for (size_t i = 0; i < n; i++) {
		narrow[i] = (int64_t)v[i];
		fit = fit && (narrow[i] == v[i] || !pack_is_valid(c, i));
	}
	if (fit) {
		pack_numbers(p, c, narrow, n, a);
		return;
	}
	c->width = PACK_16;
	c->w16 = room(p, n, sizeof c->w16[0], a);
	memcpy(c->w16, v, n * sizeof c->w16[0]);
}

static void pack_texts(struct row_pack *p, struct pack_column *c, const struct str *v, size_t n, struct arena *a)
{
	size_t bytes = 0, at = 0;
	bool equal = !c->valid;
	char *text;

	for (size_t i = 0; i < n; i++) {
		bytes += pack_is_valid(c, i) ? v[i].n : 0;
		equal = equal && v[i].p == v[0].p && v[i].n == v[0].n; /* one text, not only the same letters */
	}
	if (equal) {
		c->base = v[0].n;
		c->text = text = room(p, v[0].n, 1, a);
		if (v[0].n > 0)
			memcpy(text, v[0].p, v[0].n);
		return;
	}
	c->width = bytes <= UINT16_MAX ? 2 : bytes <= UINT32_MAX ? 4 : 8;
	c->w8 = room(p, n + 1, c->width, a);
	c->text = text = room(p, bytes, 1, a);
	for (size_t i = 0; i <= n; i++) {
		if (c->width == 2)
			c->w2[i] = (uint16_t)at;
		else if (c->width == 4)
			c->w4[i] = (uint32_t)at;
		else
			c->w8[i] = at;
		if (i == n || !pack_is_valid(c, i))
			continue;
		bytes_copy(text + at, v[i].p, v[i].n);
		at += v[i].n;
	}
}

static void pack_column(struct row_pack *p, struct pack_column *to, const struct batch_column *from, size_t n, struct arena *a)
{
	int64_t wide[BATCH_ROWS];

	to->type = from->type;
	pack_valid(p, to, from, n, a);
	if (to->n_valid == 0)
		return;
	switch (from->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		pack_texts(p, to, from->s, n, a);
		return;
	case TYPE_DECIMAL:
		pack_decimals(p, to, from->i128, n, a);
		return;
	case TYPE_DATE:
		for (size_t i = 0; i < n; i++)
			wide[i] = from->i32[i];
		pack_numbers(p, to, wide, n, a);
		return;
	case TYPE_BOOLEAN:
		for (size_t i = 0; i < n; i++)
			wide[i] = from->b[i];
		pack_numbers(p, to, wide, n, a);
		return;
	default: /* integers, instants, the bits of doubles */
		CHECK(from->type == TYPE_INTEGER || from->type == TYPE_TIMESTAMP || from->type == TYPE_DOUBLE);
		pack_numbers(p, to, from->i64, n, a);
		return;
	}
}

struct row_pack *row_pack_new(const struct batch *b, size_t n_columns, struct arena *a)
{
	struct row_pack *p = arena_new(a, struct row_pack);

	CHECK(n_columns <= b->n_columns && b->n_rows <= BATCH_ROWS);
	p->n_rows = b->n_rows;
	p->bytes = sizeof *p;
	p->columns = room(p, n_columns, sizeof p->columns[0], a);
	for (size_t i = 0; i < n_columns; i++)
		pack_column(p, &p->columns[i], &b->columns[i], b->n_rows, a);
	return p;
}
