/* The next versions of a log, read many at a time where each is a request. */
#include "driver/store_ahead.h"
#include "format/delta_parts.h"

struct store *delta_log_ahead(struct store *s, struct str table_key, int64_t from, int64_t to)
{
	struct arena a = ARENA_INIT;
	struct str keys[DELTA_AHEAD];
	size_t n = 0;
	if (from >= to || !store_can_list_all(s))
		return NULL;
	for (int64_t v = from; v <= to && n < DELTA_AHEAD; v++)
		keys[n++] = delta_log_key(table_key, (uint64_t)v, &a);
	struct store *ahead = store_open_ahead(s);
	store_ahead_get(ahead, keys, n, DELTA_COMMIT_MAX_BYTES, DELTA_AT_ONCE);
	arena_free(&a);
	return ahead;
}
