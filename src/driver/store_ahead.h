/* Reads that are made before they are needed, many at a time: for code that asks one question after the other, none of which
 * depends on the answer before it, of a store where each is a request to somebody far away.
 *
 * A rehearsal asks through the store that it is given what will be asked later; the answers are kept, and whoever then asks the
 * same through the `ahead` store gets them, as often as it is asked, until the store is closed. So an answer is as old as its
 * rehearsal, which is as if the question had come earlier. What was not rehearsed goes to the store itself. Kept are whole
 * objects (and their pieces), lists, sizes, and that there is no such object; other failures are met again by who really asks.
 *
 * Everything that would change the store is a CHECK, as of any store that is only read. Where asking costs next to nothing
 * (on a disk) nobody rehearses. */
#ifndef SLUICE_DRIVER_STORE_AHEAD_H
#define SLUICE_DRIVER_STORE_AHEAD_H

#include "driver/store.h"

/* Of `inner`, which stays the caller's and must outlive it. CHECKs store_can_list_all. */
struct store *store_open_ahead(struct store *inner);

/* Calls ask(user, i, s) for each i below n, several at a time. False: an answer could not be had, or there was no room for it,
 * so that some of it will be asked later than the rest. */
bool store_ahead_ask(struct store *ahead, size_t n, bool (*ask)(void *user, size_t i, struct store *s), void *user);
/* The same for whole objects, some of which may be missing; `at_once` as for store_each_of. */
bool store_ahead_get(struct store *ahead, const struct str *keys, size_t n, uint64_t max_bytes, size_t at_once);

#endif
