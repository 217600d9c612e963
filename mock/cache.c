#include "mock/cache.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

void cache_init(struct cache *c, uint64_t max_bytes)
{
	*c = (struct cache){ .n_buckets = 1 << 14, .max_bytes = max_bytes };
	c->buckets = mem_alloc(mem_size(c->n_buckets, sizeof(struct blob *)));
}

static void unlink_age(struct cache *c, struct blob *b)
{
	*(b->newer ? &b->newer->older : &c->newest) = b->older;
	*(b->older ? &b->older->newer : &c->oldest) = b->newer;
	b->newer = b->older = NULL;
}

static void link_newest(struct cache *c, struct blob *b)
{
	b->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = b;
	c->newest = b;
}

struct blob *cache_get(struct cache *c, struct str key)
{
	uint64_t hash = hash_fast(key, 0);
	for (struct blob *b = c->buckets[hash % c->n_buckets]; b; b = b->next_in_bucket)
		if (b->hash == hash && str_eq(b->key, key)) {
			unlink_age(c, b);
			link_newest(c, b);
			b->holders++;
			return b;
		}
	return NULL;
}

static void drop(struct cache *c, struct blob *b)
{
	struct blob **link = &c->buckets[b->hash % c->n_buckets];
	while (*link != b)
		link = &(*link)->next_in_bucket;
	*link = b->next_in_bucket;
	unlink_age(c, b);
	c->bytes -= b->bytes.n;
	c->n_blobs--;
	blob_release(b);
}

struct blob *cache_put(struct cache *c, struct str key, struct str bytes)
{
	char *memory = mem_alloc(sizeof(struct blob) + key.n + bytes.n);
	struct blob *b = (struct blob *)(void *)memory;
	memory += sizeof *b;
	if (bytes.n) /* the bytes first: they are aligned for arrays */
		memcpy(memory, bytes.p, bytes.n);
	if (key.n)
		memcpy(memory + bytes.n, key.p, key.n);
	b->bytes = (struct str){ memory, bytes.n };
	b->key = (struct str){ memory + bytes.n, key.n };
	b->hash = hash_fast(key, 0);
	b->holders = 2;
	b->next_in_bucket = c->buckets[b->hash % c->n_buckets];
	c->buckets[b->hash % c->n_buckets] = b;
	link_newest(c, b);
	c->bytes += bytes.n;
	c->n_blobs++;
	c->made++;
	while (c->bytes > c->max_bytes && c->oldest != b)
		drop(c, c->oldest);
	return b;
}

void blob_release(struct blob *b)
{
	if (!b)
		return;
	CHECK(b->holders > 0);
	if (--b->holders == 0)
		mem_free(b);
}

void cache_free(struct cache *c)
{
	while (c->oldest)
		drop(c, c->oldest);
	mem_free(c->buckets);
	*c = (struct cache){ 0 };
}
