/* Which columns tell all records apart. One 64-bit hash per value is kept, column by column, as long as the column may
 * be part of a key: it is in every record, a text or a number. Combinations are tried at the end, those of few columns
 * first; most end at their first pair of equal records. That two different values hash alike among a million records
 * has a chance of one in thirty million, and would only hide a key. */
#include "contract/draft_internal.h"

#include "base/check.h"
#include "base/hash.h"

#include <string.h>

void draft_key_drop(struct draft *d, struct field *f)
{
	if (!f->hashes)
		return;
	d->key_bytes -= f->cap_hashes * sizeof *f->hashes;
	mem_free(f->hashes);
	f->hashes = NULL;
	f->cap_hashes = 0;
	d->n_tracked--;
}

void draft_key_add(struct draft *d, struct field *f, struct str value)
{
	if (d->key_full)
		return;
	if (!f->hashes) {
		/* Later than the first record means: not in every record. */
		if (d->n_records != 1 || d->n_tracked == DRAFT_KEY_FIELDS)
			return;
		d->n_tracked++;
	}
	if (f->n_hashes + 1 != d->n_records) {
		draft_key_drop(d, f);
		return;
	}
	if (f->n_hashes == f->cap_hashes) {
		size_t cap = f->cap_hashes ? f->cap_hashes * 2 : 1024;
		if (d->key_bytes + (cap - f->cap_hashes) * sizeof *f->hashes > d->key_bytes_max) {
			d->key_full = true;
			d->key_records = d->n_records - 1;
			d->n_tracked -= !f->hashes;
			return;
		}
		f->hashes = mem_grow(f->hashes, f->cap_hashes * sizeof *f->hashes, cap * sizeof *f->hashes);
		d->key_bytes += (cap - f->cap_hashes) * sizeof *f->hashes;
		f->cap_hashes = cap;
	}
	f->hashes[f->n_hashes++] = hash_fast(value, 0);
}

void draft_key_record_end(struct draft *d)
{
	if (!d->key_full)
		d->key_records = d->n_records;
}

/* ── trying ── */

struct trial {
	const struct draft *d;
	uint64_t *slots; /* hash of a record's columns; 0 is empty */
	size_t n_slots;  /* a power of two */
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ (x >> 32);
}

static bool is_unique(struct trial *t, struct field *const *columns, size_t n)
{
	memset(t->slots, 0, t->n_slots * sizeof *t->slots);
	for (size_t row = 0; row < t->d->key_records; row++) {
		uint64_t h = 0;
		for (size_t i = 0; i < n; i++)
			h = mix(h * 31 + columns[i]->hashes[row] + i);
		h |= h == 0;
		size_t at = h & (t->n_slots - 1);
		while (t->slots[at]) {
			if (t->slots[at] == h)
				return false;
			at = (at + 1) & (t->n_slots - 1);
		}
		t->slots[at] = h;
	}
	return true;
}

static bool name_ends(const struct field *f, const char *end)
{
	struct str tail = str_from(end);
	return f->key.n >= tail.n && str_eq_nocase(str_sub(f->key, f->key.n - tail.n, tail.n), tail);
}

/* What people make keys of comes first; measures come last. */
static int rank(const struct field *f)
{
	static const char *const likely[] = { "id", "key", "code", "uuid", "number", "_no" };
	if (str_eq_nocase(f->key, STR("id")))
		return 0;
	for (size_t i = 0; i < sizeof likely / sizeof *likely; i++)
		if (name_ends(f, likely[i]))
			return 1;
	if (f->type == TYPE_TIMESTAMP || f->type == TYPE_DATE)
		return 2;
	if (f->type == TYPE_STRING)
		return f->length_max <= 64 ? 2 : 4;
	return f->type == TYPE_INTEGER ? 3 : 4;
}

static size_t candidates(struct draft *d, struct field **out)
{
	size_t n = 0;
	for (int r = 0; r <= 4; r++)
		for (int i = 0; i < d->n_fields; i++) {
			struct field *f = &d->fields[i];
			bool fits = f->is_column && f->required && f->hashes && f->n_hashes >= d->key_records &&
				    f->type != TYPE_DOUBLE && f->type != TYPE_JSON && f->type != TYPE_BOOLEAN;
			if (fits && rank(f) == r)
				out[n++] = f;
		}
	CHECK(n <= DRAFT_KEY_FIELDS);
	return n;
}

/* The next choice of k out of n indexes, in order; false after the last. */
static bool choose_next(size_t *chosen, size_t k, size_t n)
{
	for (size_t i = k; i-- > 0;) {
		if (chosen[i] + (k - i) < n) {
			chosen[i]++;
			for (size_t j = i + 1; j < k; j++)
				chosen[j] = chosen[j - 1] + 1;
			return true;
		}
	}
	return false;
}

static bool key_of_size(struct trial *t, struct field *const *all, size_t n, size_t k)
{
	size_t chosen[DRAFT_KEY_COLUMNS];
	struct field *columns[DRAFT_KEY_COLUMNS];
	for (size_t i = 0; i < k; i++)
		chosen[i] = i;
	do {
		for (size_t i = 0; i < k; i++)
			columns[i] = all[chosen[i]];
		if (is_unique(t, columns, k)) {
			for (size_t i = 0; i < k; i++)
				columns[i]->key_position = i + 1;
			return true;
		}
	} while (choose_next(chosen, k, n));
	return false;
}

bool draft_key_find(struct draft *d)
{
	struct field *all[DRAFT_KEY_FIELDS];
	struct trial t = { .d = d, .n_slots = 16 };
	size_t n = candidates(d, all);
	bool found = false;
	if (d->key_records < 2) /* one record says nothing */
		return false;
	while (t.n_slots < d->key_records * 2)
		t.n_slots *= 2;
	t.slots = mem_alloc(mem_size(t.n_slots, sizeof *t.slots));
	for (size_t k = 1; k <= DRAFT_KEY_COLUMNS && k <= n && !found; k++)
		found = key_of_size(&t, all, n, k);
	mem_free(t.slots);
	return found;
}
