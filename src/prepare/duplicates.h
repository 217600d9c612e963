/* Which records of a window lost against a later one with the same primary key (rule 21).
 *
 * While a window is read, the keys of its rows go into a key log: a keyed 128-bit hash (SipHash-2-4, a random key for each
 * job, so that nobody can prepare two keys that collide) and the record's number within the window. At the window's end
 * the logs of its parts are resolved: of equal keys the highest number stands, the others lost. Beyond a number of entries
 * a log goes to a scratch file, in partitions by the hash, and is resolved partition by partition: memory does not grow
 * with the window. */
#ifndef SLUICE_PREPARE_DUPLICATES_H
#define SLUICE_PREPARE_DUPLICATES_H

#include "base/err.h"
#include "base/mem.h"
#include "contract/batch.h"

enum { KEY_PARTITIONS = 256, KEY_LOG_ENTRIES = 1 << 21 };

struct key_secret {
	uint64_t k[2];
};
struct key_secret key_secret_new(void);
/* SipHash-2-4 with 128 bits of output (Aumasson, Bernstein: "SipHash: a fast short-input PRF"). */
void siphash_128(struct key_secret secret, struct str bytes, uint64_t out[2]);

struct key_entry {
	uint64_t hash[2];
	uint64_t record;
};

struct key_run { /* one flush: entries in the order of their partitions */
	uint64_t at; /* byte offset in the scratch file */
	uint32_t counts[KEY_PARTITIONS];
};

struct key_log {
	const char *scratch;
	size_t max_entries;
	struct key_secret secret;
	const struct contract *contract;
	struct buf bytes; /* of the key at hand */
	struct key_entry *v;
	size_t n, cap;
	int fd; /* -1: nothing was flushed */
	uint64_t file_bytes;
	struct {
		struct key_run *v;
		size_t n, cap;
	} runs;
	struct arena arena;
};

void key_log_open(struct key_log *l, const struct contract *c, const char *scratch, size_t max_entries,
		  struct key_secret secret);
void key_log_close(struct key_log *l);
/* Forgets the entries, keeps the memory. */
void key_log_clear(struct key_log *l);
/* Rows whose key has a NULL do not take part. */
bool key_log_add(struct key_log *l, const struct batch *b, size_t row, uint64_t record, struct err *e);

/* Every entry so far, in any order. */
typedef bool key_take(void *user, const struct key_entry *k, struct err *e);
bool key_log_each(const struct key_log *l, key_take *take, void *user, struct err *e);

struct losers { /* of one window; a bit for each record */
	uint64_t *bits; /* NULL while there are none */
	uint64_t records, n;
};
static inline bool losers_has(const struct losers *l, uint64_t record)
{
	return l->bits && record < l->records && ((l->bits[record / 64] >> (record % 64)) & 1);
}
/* All logs of one window; l->records is set. */
bool key_logs_resolve(struct key_log *const *logs, size_t n_logs, struct losers *l, struct err *e);
void losers_add(struct losers *l, uint64_t record); /* l->records is set; once each */
void losers_free(struct losers *l);

/* An open file without a name below the scratch folder; -1 and e. */
int scratch_file(const char *scratch, struct err *e);

#endif
