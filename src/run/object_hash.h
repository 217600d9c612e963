/* The SHA-256 of an object of the lake, read piece by piece. */
#ifndef SLUICE_RUN_OBJECT_HASH_H
#define SLUICE_RUN_OBJECT_HASH_H

#include "base/hash.h"
#include "driver/store.h"

bool object_hash(struct store *s, struct str key, uint64_t size_bytes, struct sha256 *out, struct err *e);

#endif
