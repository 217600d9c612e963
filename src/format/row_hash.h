/* The row hash of a set of rows: the same whatever the order, different when a row is there once more or less.
 * Frozen: spec/row-hash.md, with test vectors.
 *
 * A row is its non-NULL contract columns in the order of their name bytes, each written as
 *     u16 length of the name ‖ name ‖ type tag (one byte) ‖ value
 * little-endian throughout; the row's hash is the first 16 bytes of the SHA-256 of that as a little-endian 128-bit
 * number, and the hash of a set is the sum modulo 2^128. Type tags and values:
 *     's' string, 'j' json   u32 length ‖ UTF-8        'i' integer  int64        'f' double    IEEE bits, every NaN as
 *     'b' boolean  one byte  'd' date  int32 days      't' timestamp int64 us       7ff8000000000000, -0.0 kept
 *     'n' decimal  u8 scale ‖ int128 unscaled at the contract's scale */
#ifndef SLUICE_FORMAT_ROW_HASH_H
#define SLUICE_FORMAT_ROW_HASH_H

#include "contract/batch.h"

struct row_hash {
	uint128 sum;
	uint64_t rows;
};
#define ROW_HASH_INIT ((struct row_hash){ 0 })

struct row_hasher; /* which columns of a batch, in which order, with their names encoded */
/* `columns[i]` is the batch column that holds contract column i of `c`. */
struct row_hasher *row_hasher_new(const struct contract *c, const size_t *columns, struct arena *a);
/* Adds rows [from, to) of the batch. */
void row_hash_add(struct row_hash *h, struct row_hasher *r, const struct batch *b, size_t from, size_t to);
void row_hash_merge(struct row_hash *h, const struct row_hash *other);
bool row_hash_eq(const struct row_hash *a, const struct row_hash *b);
void row_hash_hex(const struct row_hash *h, char out[33]); /* 32 hex digits, most significant first */
bool row_hash_from_hex(struct str hex, uint64_t rows, struct row_hash *out);

#endif
