#include "base/str_map.h"

#include "base/hash.h"

struct str_map_slot {
	struct str key;
	uint64_t hash; /* 0: free */
	size_t value;
};

static uint64_t hash_of(struct str key)
{
	uint64_t h = hash_fast(key, UINT64_C(0x5bd1e995));
	return h ? h : 1;
}

/* The key's slot, or the free one where it would stand. */
static struct str_map_slot *slot_of(const struct str_map *m, struct str key, uint64_t hash)
{
	size_t i = (size_t)hash & (m->cap - 1);
	while (m->slots[i].hash != 0 && (m->slots[i].hash != hash || !str_eq(m->slots[i].key, key)))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static void grow(struct str_map *m, struct arena *a)
{
	struct str_map old = *m;
	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = arena_array(a, struct str_map_slot, m->cap);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].hash != 0)
			*slot_of(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
}

bool str_map_add(struct str_map *m, struct str key, size_t value, struct arena *a)
{
	if (m->n + 1 > m->cap / 3 * 2)
		grow(m, a);
	uint64_t hash = hash_of(key);
	struct str_map_slot *s = slot_of(m, key, hash);
	if (s->hash != 0)
		return false;
	*s = (struct str_map_slot){ key, hash, value };
	m->n++;
	return true;
}

size_t str_map_get(const struct str_map *m, struct str key)
{
	if (m->cap == 0)
		return SIZE_MAX;
	const struct str_map_slot *s = slot_of(m, key, hash_of(key));
	return s->hash ? s->value : SIZE_MAX;
}
