#include "prepare/duplicates.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* ── the hash ── */

struct key_secret key_secret_new(void)
{
	struct key_secret s;

	CHECK(getrandom(&s, sizeof s, 0) == (ssize_t)sizeof s);
	return s;
}

static inline uint64_t turn(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

struct sip {
	uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *v)
{
	v->a += v->b;
	v->b = turn(v->b, 13) ^ v->a;
	v->a = turn(v->a, 32);
	v->c += v->d;
	v->d = turn(v->d, 16) ^ v->c;
	v->a += v->d;
	v->d = turn(v->d, 21) ^ v->a;
	v->c += v->b;
	v->b = turn(v->b, 17) ^ v->c;
	v->c = turn(v->c, 32);
}

static inline void sip_word(struct sip *v, uint64_t m)
{
	v->d ^= m;
	sip_round(v);
	sip_round(v);
	v->a ^= m;
}

static inline uint64_t sip_end(struct sip *v)
{
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v->a ^ v->b ^ v->c ^ v->d;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

void siphash_128(struct key_secret secret, struct str bytes, uint64_t out[2])
{
	uint64_t k0 = secret.k[0], k1 = secret.k[1], word;
	struct sip v = { k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
			 k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573) };
	size_t i = 0;

	for (; bytes.n - i >= 8; i += 8) {
		memcpy(&word, bytes.p + i, 8);
		sip_word(&v, word);
	}
	word = 0;
	if (bytes.n > i)
		memcpy(&word, bytes.p + i, bytes.n - i);
	sip_word(&v, word | (uint64_t)bytes.n << 56);
	v.c ^= 0xee;
	out[0] = sip_end(&v);
	v.b ^= 0xdd;
	out[1] = sip_end(&v);
}

/* ── the log ── */

int scratch_file(const char *scratch, struct err *e)
{
	struct arena a = ARENA_INIT;
	char *name = arena_zero_terminated(&a, arena_format(&a, "%s/prepare-XXXXXX", scratch));
	int fd = sys_mkostemp(name, O_CLOEXEC);

	if (fd < 0)
		err_set_errno(e, ERR_STORAGE, errno, "%s: a scratch file", scratch);
	else
		sys_unlink(name);
	arena_free(&a);
	return fd;
}

void key_log_open(struct key_log *l, const struct contract *c, const char *scratch, size_t max_entries,
		  struct key_secret secret)
{
	*l = (struct key_log){ .scratch = scratch, .max_entries = max_entries, .secret = secret, .contract = c, .fd = -1,
			       .bytes = BUF_INIT(SIZE_MAX / 2) };
}

void key_log_clear(struct key_log *l)
{
	l->n = 0;
	l->runs.n = 0;
	l->file_bytes = 0; /* written over */
}

void key_log_close(struct key_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	mem_free(l->v);
	buf_free(&l->bytes);
	arena_free(&l->arena);
	l->v = NULL;
	l->n = l->cap = 0;
	l->fd = -1;
}

/* Values of the same column with equal bytes are equal: the type needs no place in it, lengths of texts do. */
static bool key_bytes(struct key_log *l, const struct batch *b, size_t row)
{
	const struct contract *k = l->contract;

	buf_clear(&l->bytes);
	for (size_t i = 0; i < k->n_key; i++) {
		const struct batch_column *c = &b->columns[k->key[i]];
		if (!batch_is_valid(c, row))
			return false;
		switch (c->type) {
		case TYPE_STRING:
		case TYPE_JSON:
			buf_add_bytes(&l->bytes, &c->s[row].n, sizeof c->s[row].n);
			buf_add(&l->bytes, c->s[row]);
			break;
		case TYPE_BOOLEAN:
			buf_add_bytes(&l->bytes, &c->b[row], sizeof c->b[row]);
			break;
		case TYPE_DECIMAL:
			buf_add_bytes(&l->bytes, &c->i128[row], sizeof c->i128[row]);
			break;
		case TYPE_DATE:
			buf_add_bytes(&l->bytes, &c->i32[row], sizeof c->i32[row]);
			break;
		default: /* keys are no doubles (rule 22) */
			buf_add_bytes(&l->bytes, &c->i64[row], sizeof c->i64[row]);
			break;
		}
	}
	return true;
}

static unsigned partition_of(const struct key_entry *k)
{
	return (unsigned)(k->hash[0] >> 56);
}

/* In place: each entry is swapped to where its partition goes on, until the one that belongs here comes along. */
static void partition(struct key_entry *v, const uint32_t counts[KEY_PARTITIONS])
{
	size_t next[KEY_PARTITIONS], end[KEY_PARTITIONS], at = 0;

	for (unsigned p = 0; p < KEY_PARTITIONS; p++) {
		next[p] = at;
		at += counts[p];
		end[p] = at;
	}
	for (unsigned p = 0; p < KEY_PARTITIONS; p++)
		while (next[p] < end[p]) {
			struct key_entry k = v[next[p]];
			for (unsigned home = partition_of(&k); home != p; home = partition_of(&k)) {
				struct key_entry other = v[next[home]];
				v[next[home]++] = k;
				k = other;
			}
			v[next[p]++] = k;
		}
}

static bool key_log_flush(struct key_log *l, struct err *e)
{
	struct key_run *run;
	size_t bytes = l->n * sizeof l->v[0];

	if (l->n == 0)
		return true;
	if (l->fd < 0 && (l->fd = scratch_file(l->scratch, e)) < 0)
		return false;
	run = arena_push(&l->arena, l->runs);
	memset(run, 0, sizeof *run);
	run->at = l->file_bytes;
	for (size_t i = 0; i < l->n; i++)
		run->counts[partition_of(&l->v[i])]++;
	partition(l->v, run->counts);
	if (lseek(l->fd, (off_t)run->at, SEEK_SET) < 0)
		return err_set_errno(e, ERR_STORAGE, errno, "%s: a scratch file", l->scratch);
	if (!file_write_all(l->fd, l->v, bytes, e))
		return err_wrap(e, "%s: a scratch file", l->scratch);
	l->file_bytes += bytes;
	l->n = 0;
	return true;
}

bool key_log_add(struct key_log *l, const struct batch *b, size_t row, uint64_t record, struct err *e)
{
	struct key_entry *k;

	if (!key_bytes(l, b, row))
		return true;
	if (l->n == l->max_entries && !key_log_flush(l, e))
		return false;
	if (l->n == l->cap) {
		size_t cap = l->cap < 1024 ? 1024 : l->cap * 2;
		l->v = mem_grow(l->v, mem_size(l->cap, sizeof l->v[0]), mem_size(cap, sizeof l->v[0]));
		l->cap = cap;
	}
	k = &l->v[l->n++];
	siphash_128(l->secret, buf_str(&l->bytes), k->hash);
	k->record = record;
	return true;
}

bool key_log_each(const struct key_log *l, key_take *take, void *user, struct err *e)
{
	enum { BLOCK = 4096 };
	struct key_entry *block = mem_alloc(mem_size(BLOCK, sizeof *block));
	uint64_t left = l->fd >= 0 ? l->file_bytes / sizeof *block : 0, at = 0;
	bool ok = true;

	while (ok && left > 0) {
		size_t n = left < BLOCK ? (size_t)left : BLOCK;
		ok = file_read_at(l->fd, block, n * sizeof *block, at, e) || err_wrap(e, "%s: a scratch file", l->scratch);
		for (size_t i = 0; ok && i < n; i++)
			ok = take(user, &block[i], e);
		at += n * sizeof *block;
		left -= n;
	}
	mem_free(block);
	for (size_t i = 0; ok && i < l->n; i++)
		ok = take(user, &l->v[i], e);
	return ok;
}

/* ── resolving ── */

void losers_add(struct losers *l, uint64_t record)
{
	CHECK(record < l->records);
	if (!l->bits)
		l->bits = mem_alloc(mem_size((size_t)(l->records / 64 + 1), sizeof l->bits[0]));
	l->bits[record / 64] |= UINT64_C(1) << (record % 64);
	l->n++;
}

void losers_free(struct losers *l)
{
	mem_free(l->bits);
	l->bits = NULL;
	l->n = 0;
}

struct table { /* open addressing over entries that lie elsewhere: index + 1 */
	uint32_t *slots;
	size_t n_slots;
	struct key_entry *v;
	size_t n;
};

static void table_resolve(struct table *t, struct losers *l)
{
	size_t want = 64;

	CHECK(t->n < UINT32_MAX / 2);
	while (want < t->n * 2)
		want *= 2;
	if (want > t->n_slots) {
		mem_free(t->slots);
		t->slots = mem_alloc(mem_size(want, sizeof t->slots[0]));
		t->n_slots = want;
	} else {
		memset(t->slots, 0, t->n_slots * sizeof t->slots[0]);
	}
	for (size_t i = 0; i < t->n; i++) {
		struct key_entry *k = &t->v[i];
		size_t at = k->hash[1] & (t->n_slots - 1);
		struct key_entry *other = NULL;
		while (t->slots[at] != 0) {
			other = &t->v[t->slots[at] - 1];
			if (other->hash[0] == k->hash[0] && other->hash[1] == k->hash[1])
				break;
			other = NULL;
			at = (at + 1) & (t->n_slots - 1);
		}
		if (!other) {
			t->slots[at] = (uint32_t)i + 1;
		} else if (other->record < k->record) {
			losers_add(l, other->record);
			t->slots[at] = (uint32_t)i + 1;
		} else {
			losers_add(l, k->record);
		}
	}
}

/* The entries of one partition, of all logs, which all lie in their files. */
static bool partition_read(struct key_log *const *logs, size_t n_logs, unsigned partition, struct table *t, size_t *cap,
			   struct err *e)
{
	t->n = 0;
	for (size_t i = 0; i < n_logs; i++)
		for (size_t r = 0; r < logs[i]->runs.n; r++) {
			const struct key_run *run = &logs[i]->runs.v[r];
			uint64_t before = 0;
			size_t n = run->counts[partition];
			for (unsigned k = 0; k < partition; k++)
				before += run->counts[k];
			if (t->n + n > *cap) {
				size_t want = (t->n + n) * 2;
				t->v = mem_grow(t->v, *cap * sizeof t->v[0], mem_size(want, sizeof t->v[0]));
				*cap = want;
			}
			if (n > 0 && !file_read_at(logs[i]->fd, t->v + t->n, n * sizeof t->v[0],
						   run->at + before * sizeof t->v[0], e))
				return err_wrap(e, "%s: a scratch file", logs[i]->scratch);
			t->n += n;
		}
	return true;
}

static bool resolve_files(struct key_log *const *logs, size_t n_logs, struct losers *l, struct err *e)
{
	struct table t = { 0 };
	size_t cap = 0;
	bool ok = true;

	for (size_t i = 0; ok && i < n_logs; i++)
		ok = key_log_flush(logs[i], e);
	for (unsigned p = 0; ok && p < KEY_PARTITIONS; p++) {
		ok = partition_read(logs, n_logs, p, &t, &cap, e);
		if (ok && t.n > 0)
			table_resolve(&t, l);
	}
	mem_free(t.v);
	mem_free(t.slots);
	return ok;
}

bool key_logs_resolve(struct key_log *const *logs, size_t n_logs, struct losers *l, struct err *e)
{
	struct table t = { 0 };

	CHECK(n_logs > 0);
	if (n_logs > 1 || logs[0]->runs.n > 0)
		return resolve_files(logs, n_logs, l, e);
	t.v = logs[0]->v;
	t.n = logs[0]->n;
	if (t.n > 0)
		table_resolve(&t, l);
	mem_free(t.slots);
	return true;
}
