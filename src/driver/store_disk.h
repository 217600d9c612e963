/* Inside of the disk store: what its files share. Not for others. */
#ifndef SLUICE_DRIVER_STORE_DISK_H
#define SLUICE_DRIVER_STORE_DISK_H

#include "base/hash.h"
#include "driver/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct disk {
	struct store store;
	const char *root; /* absolute, links in it resolved */
	int root_fd, tmp_fd; /* tmp_fd: -1 until the first write, so that a lake on a read-only disk can be read */
	atomic_uint_fast64_t counter;
	atomic_int sync_errno; /* of the first fsync that failed on something visible */
	pthread_mutex_t lock;  /* of what follows, and of making tmp_fd */
	struct str *known;     /* open addressing; folders whose names are durable */
	size_t known_n, known_cap;
	struct arena arena;
};

static inline struct disk *disk_of(struct store *s)
{
	return (struct disk *)s;
}

struct disk_tmp {
	int fd;
	char name[64];
};

bool disk_fail(const struct disk *d, struct str key, int sys_errno, struct err *e);
void disk_close_fd(int fd); /* keeps errno; -1 is fine */
enum disk_walk { WALK_FIND, WALK_SETTLE, WALK_MAKE };
/* Opens the folder of that name ("" is the root). False: *fd is -1 and errno is set; *sync_bad if an fsync failed. */
bool disk_walk_folder(struct disk *d, struct str folder, enum disk_walk how, int *fd, bool *sync_bad);
bool disk_tmp_open(struct disk *d, struct disk_tmp *t, struct err *e);
void disk_tmp_drop(struct disk *d, struct disk_tmp *t);
bool disk_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e);
/* What killed processes left in .tmp: files that nobody has written to for a week, at most 1000 at a time. Best effort. */
void disk_tmp_sweep(int root_fd);
/* Durable under `key`, or *exists. The temporary file is gone afterwards in any case. */
bool disk_tmp_publish(struct disk *d, struct disk_tmp *t, struct str key, bool *exists, struct err *e);

bool disk_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e);
bool disk_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e);
bool disk_writer_open(struct store *s, struct store_writer **out, struct err *e);
bool disk_writer_add(struct store_writer *w, struct str bytes, struct err *e);
bool disk_writer_finish(struct store_writer *w, struct str key, struct err *e);
void disk_writer_abort(struct store_writer *w);

#endif
