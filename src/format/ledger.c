#include "format/ledger.h"

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "driver/store_view.h"
#include "format/layout.h"
#include "format/process.h"

#include <string.h>

bool loop_guard_step(struct loop_guard *g, struct sha256 value)
{
	if (g->power == 0) { /* the first value of all */
		*g = (struct loop_guard){ .saved = value, .power = 1, .length = 0 };
		return false;
	}
	if (sha256_eq(g->saved, value))
		return true;
	if (++g->length == g->power) {
		g->saved = value;
		g->power *= 2;
		g->length = 0;
	}
	return false;
}

/* ── objects that exist at most once ── */

bool store_create_checked(struct store *s, struct str key, struct str bytes, bool *ours, struct arena *a, struct err *e)
{
	enum store_created created = STORE_UNKNOWN;
	*ours = false;
	if (!store_create(s, key, bytes, &created, e))
		return false;
	if (created == STORE_CREATED) {
		*ours = true;
		return true;
	}
	struct str there = STR_NONE;
	struct err why = ERR_INIT;
	if (!store_get(s, key, bytes.n, a, &there, &why)) {
		if (why.code == ERR_MISSING)
			return err_set(e, ERR_STORAGE, "%.*s: the answer of the store was lost and the object is not there",
				       STR_ARG(key));
		if (why.code != ERR_TOO_LARGE) { /* longer than ours: not ours */
			*e = why;
			return false;
		}
	} else {
		*ours = str_eq(there, bytes);
	}
	return store_settle(s, key, e); /* rule 16: whoever acts on it makes sure it survives */
}

/* ── where a generation stands ── */

static bool entry_number(struct str name, uint64_t *n)
{
	return name.n == 25 && str_ends(name, STR(".json")) && str_to_u64(str_sub(name, 0, 20), n);
}

static bool read_entry(struct ledger *l, uint64_t n, struct arena *a, struct ledger_entry *entry, struct err *e)
{
	struct str key = key_entry(l->generation_key, n, a), text;
	if (!store_get(l->store, key, LEDGER_ENTRY_MAX_BYTES, a, &text, e)) {
		if (e->code == ERR_MISSING)
			e->code = ERR_DAMAGE; /* it stands in the listing, or its successor does */
		return false;
	}
	if (!ledger_decode(text, a, entry, e))
		return err_wrap(e, "%.*s", STR_ARG(key));
	if (entry->n != n)
		return err_set(e, ERR_DAMAGE, "%.*s: says that it is entry %llu", STR_ARG(key),
			       (unsigned long long)entry->n);
	return true;
}

static const char given_up_name[] = "given-up.json";

/* Entries follow each other without a gap, since each is created only after the one before was seen. */
static bool count_entries(struct ledger *l, struct arena *scratch, struct err *e)
{
	struct store_listing list = { 0 };
	struct str folder = key_ledger(l->generation_key, scratch);
	if (!store_list_names(l->store, folder, scratch, &list, e))
		return false;
	l->n_entries = 0;
	for (size_t i = 0; i < list.n; i++)
		if (str_eq_z(list.v[i].name, given_up_name)) {
			l->given_up = true;
			l->status = GENERATION_EXPIRED;
			return true;
		}
	for (size_t i = 0; i < list.n; i++) {
		uint64_t n = 0;
		if (!entry_number(list.v[i].name, &n))
			continue; /* not ours; verify reports it */
		if (n != l->n_entries)
			return err_set(e, ERR_DAMAGE, "%.*s: entry %llu is missing", STR_ARG(folder),
				       (unsigned long long)l->n_entries);
		l->n_entries++;
	}
	return true;
}

static void take_entry(struct ledger *l, const struct ledger_entry *entry)
{
	l->last_hash = entry->hash;
	l->epoch = entry->epoch;
	l->state = entry->state;
	l->last_time_us = entry->time_us;
	if (entry->has_lease)
		l->lease = entry->lease;
	if (entry->has_origin) {
		l->origin = entry->origin;
		l->has_origin = true;
	}
	if (entry->has_seal) {
		l->seal = entry->seal;
		l->seal_hash = entry->hash;
		l->status = entry->seal.promoted ? GENERATION_SEALED : GENERATION_CANDIDATE;
	} else if (entry->kind == ENTRY_ABANDON) {
		l->status = GENERATION_ABANDONED;
	} else if (entry->kind == ENTRY_EXPIRE) {
		l->status = GENERATION_EXPIRED;
	} else if (entry->kind == ENTRY_ACCEPT) {
		l->status = GENERATION_SEALED;
	} else {
		l->status = GENERATION_OPEN;
	}
}

/* An accept stands right behind the seal that it promotes. */
static bool open_accepted(struct ledger *l, struct arena *a, struct err *e)
{
	struct ledger_entry before = { 0 };
	if (l->n_entries > 1 && !read_entry(l, l->n_entries - 2, a, &before, e))
		return false;
	if (!before.has_seal)
		return err_set(e, ERR_DAMAGE, "%.*s: entry %llu accepts what is not sealed", STR_ARG(l->generation_key),
			       (unsigned long long)l->n_entries - 1);
	l->seal = before.seal;
	l->seal.promoted = true;
	l->seal_hash = before.hash;
	return true;
}

bool ledger_open(struct store *s, struct clock *c, struct str generation_key, struct str run_id, struct arena *a,
		 struct ledger *l, struct err *e)
{
	memset(l, 0, sizeof *l);
	*l = (struct ledger){ .store = s, .clock = c, .run_id = run_id, .arena = a };
	l->generation_key = arena_copy(a, generation_key);
	struct arena scratch = ARENA_INIT;
	bool ok = count_entries(l, &scratch, e);
	arena_free(&scratch);
	if (!ok || l->n_entries == 0)
		return ok;
	struct ledger_entry last, other;
	if (!read_entry(l, l->n_entries - 1, a, &last, e))
		return false;
	take_entry(l, &last);
	/* The lease and the seal may stand further back: at the claim of this epoch, in the entry before an accept. A lease
	 * means something only while nothing is closed, and each entry may be a request. */
	if (!last.has_lease && l->status == GENERATION_OPEN) {
		if (!read_entry(l, last.epoch, a, &other, e))
			return false;
		l->lease = other.lease;
		if (other.has_origin) {
			l->origin = other.origin;
			l->has_origin = true;
		}
	}
	return last.kind != ENTRY_ACCEPT || open_accepted(l, a, e);
}

bool ledger_read_origin(struct ledger *l, struct err *e)
{
	if (l->has_origin || l->n_entries == 0)
		return true;
	struct ledger_entry first;
	if (!read_entry(l, 0, l->arena, &first, e))
		return false;
	if (!first.has_origin)
		return err_set(e, ERR_DAMAGE, "%.*s: entry 0 does not say why it was opened", STR_ARG(l->generation_key));
	l->origin = first.origin;
	l->has_origin = true;
	return true;
}

enum lease_answer ledger_lease_check(const struct ledger *l)
{
	if (l->n_entries == 0 || l->status != GENERATION_OPEN)
		return LEASE_FREE;
	if (str_eq(l->lease.run_id, l->run_id))
		return LEASE_OURS;
	if (process_same_host(l->lease.boot_id, l->lease.pid_namespace) &&
	    !process_alive(l->lease.pid, l->lease.started))
		return LEASE_DEAD;
	int64_t until = l->last_time_us + (int64_t)LEASE_S * US_PER_SECOND;
	return l->clock->wall_us(l->clock) < until ? LEASE_LIVE : LEASE_FREE;
}

/* ── writing ── */

static bool append(struct ledger *l, struct ledger_entry *entry, struct err *e)
{
	entry->n = l->n_entries;
	entry->previous = l->last_hash;
	entry->run_id = l->run_id;
	entry->nonce = process_nonce(l->arena);
	entry->time_us = l->clock->wall_us(l->clock);
	struct arena scratch = ARENA_INIT;
	struct str text = ledger_encode(entry, &scratch);
	struct str key = key_entry(l->generation_key, entry->n, &scratch);
	bool ours = false;
	bool ok = store_create_checked(l->store, key, text, &ours, &scratch, e);
	if (ok && !ours) {
		l->claimed = false;
		ok = err_set(e, ERR_FENCED, "%.*s: another run wrote entry %llu of its ledger first",
			     STR_ARG(l->generation_key), (unsigned long long)entry->n);
	}
	if (ok) {
		entry->hash = sha256_of(text);
		l->n_entries = entry->n + 1;
		take_entry(l, entry);
	}
	arena_free(&scratch);
	return ok;
}

bool ledger_claim(struct ledger *l, const struct ledger_origin *origin, struct err *e)
{
	CHECK(!l->claimed);
	CHECK(l->status == GENERATION_NONE || l->status == GENERATION_OPEN);
	CHECK((l->n_entries == 0) == (origin != NULL));
	struct ledger_entry entry = { .kind = ENTRY_CLAIM, .epoch = l->n_entries, .state = l->state, .has_lease = true };
	if (origin) {
		entry.has_origin = true;
		entry.origin = *origin;
		entry.state = (struct ledger_state){ .next = { .kind = NEXT_START } };
	} else {
		/* What we build on was created by somebody else: it must survive a power cut before we add to it. */
		struct str before = key_entry(l->generation_key, l->n_entries - 1, l->arena);
		if (!store_settle(l->store, before, e))
			return false;
	}
	entry.lease = process_lease(l->run_id, l->clock->wall_us(l->clock) + (int64_t)LEASE_S * US_PER_SECOND, l->arena);
	if (!append(l, &entry, e))
		return false;
	l->claimed = true;
	return true;
}

bool ledger_pages(struct ledger *l, const struct ledger_commit *c, struct err *e)
{
	CHECK(l->claimed);
	CHECK(l->status == GENERATION_OPEN);
	CHECK(c->state.pages == l->state.pages + c->n_pages);
	CHECK(c->segment.n > 0 || c->n_pages == 0);
	CHECK(c->segment.n == 0 || c->n_pages + c->n_attempts > 0);
	bool seal_alone = c->seal && c->n_pages + c->n_attempts == 0;
	struct ledger_entry entry = {
		.kind = seal_alone ? ENTRY_SEAL : ENTRY_PAGES,
		.epoch = l->epoch,
		.segment = c->segment,
		.segment_size = c->segment_size,
		.segment_hash = c->segment_hash,
		/* The encoder only reads them; the struct is shared with the decoder, which fills them. */
		.pages = (struct ledger_page *)(uintptr_t)c->pages,
		.n_pages = c->n_pages,
		.attempts = (struct ledger_attempt *)(uintptr_t)c->attempts,
		.n_attempts = c->n_attempts,
		.state = c->state,
	};
	if (c->seal) {
		entry.has_seal = true;
		entry.seal = *c->seal;
	}
	return append(l, &entry, e);
}

bool ledger_accept(struct ledger *l, struct str note, struct err *e)
{
	if (l->status != GENERATION_CANDIDATE)
		return err_set(e, ERR_USAGE, "%.*s is no candidate: there is nothing to accept", STR_ARG(l->generation_key));
	struct ledger_entry entry = { .kind = ENTRY_ACCEPT, .epoch = l->epoch, .state = l->state, .note = note };
	struct str before = key_entry(l->generation_key, l->n_entries - 1, l->arena);
	struct ledger_seal seal = l->seal;
	struct sha256 seal_hash = l->seal_hash;
	if (!store_settle(l->store, before, e) || !append(l, &entry, e))
		return false;
	l->seal = seal;
	l->seal.promoted = true;
	l->seal_hash = seal_hash;
	return true;
}

bool ledger_abandon(struct ledger *l, struct str note, struct err *e)
{
	CHECK(l->claimed);
	CHECK(l->status == GENERATION_OPEN);
	struct ledger_entry entry = { .kind = ENTRY_ABANDON, .epoch = l->epoch, .state = l->state, .note = note };
	return append(l, &entry, e);
}

bool ledger_expire(struct ledger *l, struct str note, struct err *e)
{
	CHECK(l->status == GENERATION_SEALED || l->status == GENERATION_CANDIDATE || l->status == GENERATION_ABANDONED);
	struct ledger_entry entry = { .kind = ENTRY_EXPIRE, .epoch = l->epoch, .state = l->state, .note = note };
	struct str before = key_entry(l->generation_key, l->n_entries - 1, l->arena);
	return store_settle(l->store, before, e) && append(l, &entry, e);
}

bool ledger_give_up(struct store *s, struct clock *c, struct str generation_key, struct str run_id, struct str note, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct buf b = BUF_INIT(1 << 16);
	struct json_out o = JSON_OUT(&b);
	bool ours = false;
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", "sluice-given-up/1");
	json_put_str(&o, "run", run_id);
	json_put_str(&o, "time", us_to_rfc3339(c->wall_us(c), &a));
	json_put_str(&o, "note", note);
	json_end_object(&o);
	buf_add_char(&b, '\n');
	CHECK(!b.overflow);
	/* Whose it is does not matter: it says the same. */
	bool ok = store_create_checked(s, arena_format(&a, "%.*s/%s", STR_ARG(key_ledger(generation_key, &a)), given_up_name),
				       buf_str(&b), &ours, &a, e);
	buf_free(&b);
	arena_free(&a);
	return ok;
}

/* ── reading all of it ── */

void ledger_walk_begin(struct ledger_walk *w, struct ledger *l)
{
	*w = (struct ledger_walk){ .ledger = l };
}

bool ledger_walk_next(struct ledger_walk *w, struct ledger_entry *entry, bool *end, struct err *e)
{
	*end = w->at == w->ledger->n_entries;
	if (*end)
		return true;
	arena_reset(&w->arena);
	if (!read_entry(w->ledger, w->at, &w->arena, entry, e))
		return false;
	if (!sha256_eq(entry->previous, w->previous))
		return err_set(e, ERR_DAMAGE, "%.*s: entry %llu does not follow from the entry before it",
			       STR_ARG(w->ledger->generation_key), (unsigned long long)w->at);
	w->previous = entry->hash;
	w->at++;
	return true;
}

void ledger_walk_end(struct ledger_walk *w)
{
	arena_free(&w->arena);
}

static bool look_ahead_generation(struct store *s, struct str generation_key, enum window_ahead what, struct arena *a, struct err *e)
{
	struct store_listing list = { 0 };
	bool ok = store_list_names(s, key_ledger(generation_key, a), a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++) {
		uint64_t n = 0;
		bool wanted = what == WINDOW_AHEAD_ALL || i + 1 == list.n || (i == 0 && what == WINDOW_AHEAD_ORIGIN);
		if (wanted && entry_number(list.v[i].name, &n))
			ok = store_view_ahead(s, key_entry(generation_key, n, a), e);
	}
	return ok;
}

bool window_look_ahead(struct store *s, struct str window_key, enum window_ahead what, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	unsigned newest = 0, g = 0;
	if (!store_is_view(s))
		return true;
	bool ok = store_list_names(s, window_key, &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++)
		if (list.v[i].is_folder && generation_from_name(list.v[i].name, &g)) {
			newest = g > newest ? g : newest;
			ok = what != WINDOW_AHEAD_ALL || look_ahead_generation(s, key_generation(window_key, g, &a), what, &a, e);
		}
	if (ok && newest > 0 && what != WINDOW_AHEAD_ALL)
		ok = look_ahead_generation(s, key_generation(window_key, newest, &a), what, &a, e);
	arena_free(&a);
	return ok;
}

bool window_generations_read(struct store *s, struct clock *c, struct str window_key, struct arena *a,
			     struct window_generations *out, struct err *e)
{
	*out = (struct window_generations){ 0 };
	struct store_listing list = { 0 };
	if (!store_list_names(s, window_key, a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		unsigned g = 0;
		if (list.v[i].is_folder && generation_from_name(list.v[i].name, &g) && g > out->n)
			out->n = g;
	}
	/* Newest first, until the window's truth is found: older ones are history. */
	for (unsigned g = out->n; g > 0 && out->promoted == 0; g--) {
		struct ledger l;
		if (!ledger_open(s, c, key_generation(window_key, g, a), STR_NONE, a, &l, e))
			return false;
		if (l.status == GENERATION_SEALED)
			out->promoted = g;
		else if (l.status == GENERATION_CANDIDATE && out->candidate == 0)
			out->candidate = g;
		else if (l.status == GENERATION_OPEN && out->open == 0)
			out->open = g;
		else if (l.status == GENERATION_NONE && g == out->n)
			out->n--; /* a folder, and nothing claimed: nobody knows what for it was to be opened */
	}
	return true;
}
