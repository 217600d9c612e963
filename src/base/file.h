/* Files of the local disk: whole reads, durable writes, folders. All paths are UTF-8 and NUL-terminated.
 * Errors are ERR_STORAGE (with errno), or ERR_MISSING where the thing is simply not there. */
#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H

#include "base/err.h"
#include "base/mem.h"

/* Whole file into the arena; longer than max_bytes is ERR_TOO_LARGE. */
bool file_read(const char *path, size_t max_bytes, struct arena *a, struct str *out, struct err *e);
/* Replaces or creates, mode 0644, through a temporary file beside it and rename; not fsynced (reports, caches). */
bool file_write(const char *path, struct str bytes, struct err *e);
/* A file that others wrote outlives a loss of power from now on: its bytes, and its name in its folder. */
bool file_settle(const char *path, uint64_t *size_bytes, struct err *e);
bool file_exists(const char *path); /* as far as it can be seen */
/* The same where "no" must be true: what cannot be looked at is ERR_STORAGE. */
bool file_look(const char *path, bool *there, struct err *e);
bool file_make_dirs(const char *path, struct err *e); /* like mkdir -p; not fsynced */
bool file_remove_tree(const char *path, struct err *e); /* missing is fine; does not follow links */
/* All of n bytes, through EINTR and short writes. */
bool file_write_all(int fd, const void *p, size_t n, struct err *e);
bool file_read_at(int fd, void *p, size_t n, uint64_t offset, struct err *e); /* exactly n bytes; fewer: ERR_DAMAGE */

/* A private folder for scratch (mode 0700, under $TMPDIR or `under`), removed by file_remove_tree. */
bool file_make_scratch(const char *under, struct arena *a, char **path, struct err *e);

#endif
