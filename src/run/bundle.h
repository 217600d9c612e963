/* A pipeline's files as a folder of objects that never changes, named by what is in it (spec/lambda.md):
 *
 *     config/<digest>/pipeline.yaml, contracts/..., models/...
 *
 * The digest is the SHA-256 of the listing that `sha256sum` would print of all its files in byte order of their paths:
 * "<sha256, hex>  <path>\n" for each. Whoever reads it compares: an object that is missing, added or changed is ERR_DAMAGE. */
#ifndef SLUICE_RUN_BUNDLE_H
#define SLUICE_RUN_BUNDLE_H

#include "base/hash.h"
#include "driver/store.h"

enum { BUNDLE_FILES_MAX = 4096, BUNDLE_FILE_MAX = 16 << 20, BUNDLE_DEPTH_MAX = 4, BUNDLE_MAX = 64 << 20 };

/* "s3://bucket/prefix/config/<digest>" or "/lake/config/<digest>": the store's place, the folder's key, the digest. ERR_USAGE. */
bool bundle_place(struct str url, struct arena *a, struct str *store_url, struct str *key, struct sha256 *digest, struct err *e);
/* Its last part alone: "<digest>". */
bool bundle_is_digest(struct str text);

struct bundle_file {
	struct str path; /* below the folder */
	struct str bytes;
};
/* Writes what is not there yet, and reads it back as bundle_read does; sorts v. Twice is as good as once. *n_new: objects that were
 * written. ERR_DAMAGE: something else lies under that name; ERR_CONFIG: a path that no key can have; ERR_TOO_LARGE. */
bool bundle_write(struct store *s, struct bundle_file *v, size_t n, struct sha256 *digest, size_t *n_new, struct err *e);
/* All files into the folder `into`, which exists and is empty. Nothing is there but on success. ERR_MISSING, ERR_DAMAGE,
 * ERR_TOO_LARGE, ERR_STORAGE. */
bool bundle_read(struct store *s, struct str key, struct sha256 digest, const char *into, struct err *e);

#endif
