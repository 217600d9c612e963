/* Objects of a store as files of this machine, and files as objects, for those who can only work with files (an engine). Every
 * byte is hashed on the way, and nothing is held in memory but a piece at a time. */
#ifndef SLUICE_DRIVER_STORE_COPY_H
#define SLUICE_DRIVER_STORE_COPY_H

#include "base/hash.h"
#include "driver/store.h"

struct store_copy {
	struct str key;
	uint64_t size_bytes;  /* as it must be */
	bool has_hash;
	struct sha256 hash;   /* as it must be */
	const char *path;     /* of the file, whose folder exists; it appears as a whole, once it is right */
	struct sha256 *is;    /* out: of its bytes; may be NULL */
};

enum { STORE_COPIES_AT_ONCE = 8, STORE_COPY_PIECE = 4 << 20 };

/* Brings them all, STORE_COPIES_AT_ONCE at a time. ERR_DAMAGE: one is gone, or has another size or SHA-256; *bad (may be NULL)
 * is the first such. ERR_STORAGE: the store, or the disk. *stop (may be NULL) not 0: ERR_SIGINT, ERR_SIGTERM. */
bool store_bring(struct store *s, const struct store_copy *v, size_t n, const volatile int *stop, size_t *bad, struct err *e);
/* A file becomes the object `key`, which must not exist (the same bytes are fine); *hash is of what was sent. */
bool store_send(struct store *s, const char *path, struct str key, uint64_t *size_bytes, struct sha256 *hash, struct err *e);

#endif
