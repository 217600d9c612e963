/* From texts to numbers: a hash table in an arena, for look-ups by name among many. Keys are views; their bytes must live
 * as long as the map. Nothing is ever taken out. */
#ifndef SLUICE_BASE_STR_MAP_H
#define SLUICE_BASE_STR_MAP_H

#include "base/mem.h"
#include "base/str.h"

struct str_map {
	struct str_map_slot *slots; /* NULL while empty */
	size_t n, cap;              /* cap: a power of two, at most 2/3 full */
};

/* False, and nothing changes, if the key is there already. */
bool str_map_add(struct str_map *m, struct str key, size_t value, struct arena *a);
/* SIZE_MAX if the key is not there. */
size_t str_map_get(const struct str_map *m, struct str key);

#endif
