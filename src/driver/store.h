/* The lake's store: one of the four seams. Keys are relative paths with '/' ("raw/flights/..."), 1..1024 bytes, parts
 * of [A-Za-z0-9._=-]+ and never "." or ".."; a key that breaks this is our own mistake (CHECK).
 *
 * What a driver promises:
 *   - store_create is atomic and happens at most once per key: the bytes become visible as a whole or not at all, and
 *     once it answered CREATED they survive a power cut.
 *   - list is in byte order of the keys.
 *   - All calls may come from several threads at once.
 * Visible is not durable (rule 16): before acting on an object that this process did not create, call store_settle on
 * it; afterwards it survives a power cut too.
 *
 * Errors: ERR_MISSING (no such key), ERR_STORAGE (with errno: disk full, I/O), ERR_DAMAGE (shorter than it must be). */
#ifndef SLUICE_DRIVER_STORE_H
#define SLUICE_DRIVER_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

enum store_created {
	STORE_CREATED, /* by this call */
	STORE_EXISTS,  /* somebody was first (perhaps we, in a call whose answer was lost): read it back */
	STORE_UNKNOWN, /* the answer was lost: read it back */
};

/* Of the SHA-256 that a service itself has made of an object's bytes as they came, and keeps: there is none, or none that is known
 * to be made so; the same as one's own; another. */
enum store_kept { STORE_KEPT_NONE, STORE_KEPT_SAME, STORE_KEPT_OTHER };

enum {
	STORE_CAN_PATH = 1,    /* store_path works: objects are files of this machine */
	STORE_UNENCRYPTED = 2, /* asked over plain http, and not on this machine */
};

struct store {
	const struct store_ops *ops;
	unsigned abilities;
	struct str url; /* for messages: "./lake", "s3://bucket/prefix" */
};

struct store_item {
	struct str name; /* last part of the key */
	bool is_folder;  /* a common prefix */
	uint64_t size_bytes;
	int64_t changed_us; /* wall time */
};
struct store_listing {
	struct store_item *v;
	size_t n, cap;
};

/* A large object being written in pieces; invisible until finished. First member of the driver's own. One thread at
 * a time. */
struct store_writer {
	struct store *store;
};

struct store_ops {
	bool (*create)(struct store *, struct str key, struct str bytes, enum store_created *out, struct err *);
	/* From `offset` to the end; more than max_bytes of it is ERR_TOO_LARGE. */
	bool (*get)(struct store *, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *, struct str *out,
		    struct err *);
	bool (*read_at)(struct store *, struct str key, uint64_t offset, void *p, size_t n, struct err *);
	bool (*size)(struct store *, struct str key, uint64_t *out, struct err *);
	bool (*list)(struct store *, struct str folder, struct arena *, struct store_listing *, struct err *);
	/* May be missing, where sizes and times come with the names anyway. */
	bool (*list_names)(struct store *, struct str folder, struct arena *, struct store_listing *, struct err *);
	/* May be missing, where a listing of one level costs next to nothing. */
	bool (*list_all)(struct store *, struct str folder, struct str skip, struct arena *, struct store_listing *, struct err *);
	/* May be missing, where nobody keeps any. */
	bool (*compare_kept)(struct store *, struct str key, struct sha256 hash, enum store_kept *out, struct err *);
	bool (*remove)(struct store *, struct str key, struct err *);
	bool (*remove_folder)(struct store *, struct str key, struct err *);
	bool (*sweep)(struct store *, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *);
	bool (*settle)(struct store *, struct str key, struct err *);
	bool (*writer_open)(struct store *, struct store_writer **out, struct err *);
	/* May be missing, where the key makes no difference before the end. */
	bool (*writer_open_named)(struct store *, struct str key, struct store_writer **out, struct err *);
	bool (*writer_add)(struct store_writer *, struct str bytes, struct err *);
	/* Durable under `key` (which must not exist; the same bytes already there are fine). */
	bool (*writer_finish)(struct store_writer *, struct str key, struct err *);
	void (*writer_abort)(struct store_writer *);
	bool (*path)(struct store *, struct str key, struct arena *, char **out, struct err *);
	bool (*make_folder)(struct store *, struct str key, struct err *); /* durable; nothing to do on object stores */
	void (*close)(struct store *);
};

/* A folder of the local disk. create: temporary file in <root>/.tmp, fsync, link(2), fsync of the folder; where link is
 * refused renameat2(RENAME_NOREPLACE); where that is missing, ERR_STORAGE says so. New folders fsync their parents.
 * Never follows links below the root, and an fsync that failed is never tried again: after one of a folder or of an
 * object that was visible already, each later create, settle and finish of this store fails. `create_root`: make the
 * folder if it is missing, else ERR_MISSING. */
bool store_open_disk(const char *root, bool create_root, struct store **out, struct err *e);
/* In memory, for tests; may be told to fail (see store_memory_fail). An effect is a create, a remove, a settle, a
 * writer_finish or a make_folder, whether or not it changed anything; LOST_ANSWER of another call than create is done
 * and answers ERR_STORAGE. */
bool store_open_memory(struct store **out, struct err *e);
enum store_fault { STORE_FAULT_NONE, STORE_FAULT_REFUSE, STORE_FAULT_LOST_ANSWER /* done, but UNKNOWN is answered */ };
void store_memory_fail(struct store *s, uint64_t nth_effect, enum store_fault fault); /* counted from now; 0 never */

bool store_key_ok(struct str key); /* the rule at the top; names outside it are never listed */

/* The calls, with the driver behind them. Whole objects are limited by max_bytes: longer is ERR_TOO_LARGE. */
bool store_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e);
bool store_get(struct store *s, struct str key, uint64_t max_bytes, struct arena *a, struct str *out, struct err *e);
bool store_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e);
bool store_size(struct store *s, struct str key, uint64_t *out, struct err *e); /* ERR_MISSING */
/* One level below `folder` ("raw/flights", empty: the root, without ".tmp"); a folder that is not there is an empty
 * list. In byte order. */
bool store_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e);
/* The same where sizes and times are not asked for: they may be 0. On a disk they cost a call per object. */
bool store_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e);
/* All objects below `folder`, however deep, with what follows it as their names ("2013-01-01/g1/ledger/0.json"), in byte
 * order, no folders. What lies in folders of the name `skip` ("": none) may be left out. Only where store_can_list_all. */
bool store_list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out, struct err *e);
static inline bool store_can_list_all(const struct store *s)
{
	return s->ops->list_all != NULL;
}
/* Spares reading an object where the service can tell. ERR_MISSING. */
bool store_compare_kept(struct store *s, struct str key, struct sha256 hash, enum store_kept *out, struct err *e);
bool store_remove(struct store *s, struct str key, struct err *e); /* missing is fine */
/* An empty folder; one that is not there, or not empty, is fine. Nothing to do on object stores. */
bool store_remove_folder(struct store *s, struct str key, struct err *e);
/* Counts (and removes) temporary files of this store that nobody has written to since `before_us`, wall time. */
bool store_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e);
bool store_settle(struct store *s, struct str key, struct err *e);
bool store_writer_open(struct store *s, struct store_writer **out, struct err *e);
/* Where the key is known already: a store far away can then begin to send. store_writer_finish gets the same key. */
bool store_writer_open_named(struct store *s, struct str key, struct store_writer **out, struct err *e);
bool store_writer_add(struct store_writer *w, struct str bytes, struct err *e);
bool store_writer_finish(struct store_writer *w, struct str key, struct err *e); /* frees w, also on failure */
void store_writer_abort(struct store_writer *w); /* frees w */
bool store_path(struct store *s, struct str key, struct arena *a, char **out, struct err *e); /* CHECKs the ability */
bool store_make_folder(struct store *s, struct str key, struct err *e);
void store_close(struct store *s);

#endif
