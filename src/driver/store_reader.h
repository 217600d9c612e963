/* A store that can be read and nothing else: each call that would change it is our own mistake (CHECK). For lakes of others
 * (--raw-from), whatever else goes wrong. To make durable what was seen (store_settle) is left to those who write there. */
#ifndef SLUICE_DRIVER_STORE_READER_H
#define SLUICE_DRIVER_STORE_READER_H

#include "driver/store.h"

/* Owns `inner` from then on. */
bool store_open_reader(struct store *inner, struct store **out, struct err *e);

/* For stores that are made of this one: what begins with it, set up so, has its calls. */
struct store_reader {
	struct store store;
	struct store_ops ops;
	struct store *inner;
};
void store_reader_set_up(struct store_reader *r, struct store *inner);

#endif
