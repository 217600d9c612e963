/* A part of a store as it was when it was first asked for: for whoever has many small questions about it, where each would be
 * a request (planning, status, digest, verify: a year of windows has thousands of ledger entries).
 *
 *   - Below each folder of `base` (of raw/p: raw/p/flights, ...) all names are listed at once, at the first question. Lists and
 *     sizes are answered from it; what was created since is not seen, which is as if the question had come earlier.
 *   - Objects that were announced (store_view_ahead) are read many at a time, when the first of them is asked for, and kept for
 *     a while. Objects never change under their names, so what is kept is what is there.
 *
 * Everything else goes to the store itself; calls that would change it are CHECKs, as of any store that is only read. May be
 * called by several threads; they wait for each other. */
#ifndef SLUICE_DRIVER_STORE_VIEW_H
#define SLUICE_DRIVER_STORE_VIEW_H

#include "driver/store.h"

/* Of `inner`, which stays the caller's and must outlive it. `skip`: objects in folders of that name may be left out, and lists
 * of those folders are asked of the store ("": none). CHECKs store_can_list_all. */
struct store *store_open_view(struct store *inner, struct str base, struct str skip);

bool store_is_view(const struct store *s);
/* Lists these folders (of the base, one level below it) at the same time, where it would be one after the other later. */
bool store_view_list(struct store *view, const struct str *folders, size_t n, struct err *e);
/* `key` is going to be asked for, in the order of the keys. Nothing is read yet. One that is not there is fine. */
bool store_view_ahead(struct store *view, struct str key, struct err *e);

#endif
