/* The same thing done for many objects. Where a call is a request to somebody far away, up to STORE_AT_ONCE go at a time, since
 * each is mostly waiting; elsewhere one goes after the other, in order and in the caller's thread. */
#ifndef SLUICE_DRIVER_STORE_EACH_H
#define SLUICE_DRIVER_STORE_EACH_H

#include "driver/store.h"

enum { STORE_AT_ONCE = 32 };

/* Calls work(user, i, e) for each i below n; several threads do, where the store is far away. After the first failure nothing
 * more is begun; *e is that of the lowest i among those that failed. */
bool store_each(struct store *s, size_t n, bool (*work)(void *user, size_t i, struct err *e), void *user, struct err *e);
/* The same, at most `at_once` (1 to STORE_AT_ONCE) at a time: for what is itself done for several at a time. */
bool store_each_of(struct store *s, size_t n, size_t at_once, bool (*work)(void *user, size_t i, struct err *e), void *user,
		   struct err *e);
/* As store_remove for each; gone[i]: it was removed, whatever became of others. `stop` (may be NULL) not 0: nothing more is begun, and
 * the answer is ERR_SIGINT or ERR_SIGTERM. */
bool store_remove_each(struct store *s, const struct str *keys, size_t n, bool *gone, const volatile int *stop, struct err *e);

#endif
