/* Rendered bytes by name, shared by those who are sending them. Over its size the longest unused ones go; a blob stays
 * alive as long as somebody holds it. */
#ifndef SLUICE_MOCK_CACHE_H
#define SLUICE_MOCK_CACHE_H

#include "base/buf.h"

struct blob {
	struct str bytes;
	struct str key;
	uint64_t hash;
	size_t holders; /* the cache counts as one */
	struct blob *next_in_bucket, *newer, *older;
};

struct cache {
	struct blob **buckets;
	size_t n_buckets, n_blobs;
	struct blob *newest, *oldest;
	uint64_t bytes, max_bytes, made; /* made: blobs put in so far */
};

void cache_init(struct cache *c, uint64_t max_bytes);
/* NULL if it is not there; else held for the caller until blob_release(). */
struct blob *cache_get(struct cache *c, struct str key);
/* Copies key and bytes; held for the caller. */
struct blob *cache_put(struct cache *c, struct str key, struct str bytes);
void blob_release(struct blob *b); /* NULL is fine */
void cache_free(struct cache *c);

#endif
