#include "format/grid.h"
#include "run/verify_parts.h"

#include <inttypes.h>
#include <string.h>

/* ── grids ── */

void verify_grid(struct verify *v, struct str resource, const struct raw_windows *windows)
{
	static const struct step none = { .unit = STEP_DAY, .count = 1 };
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct grid g;
	bool missing = false;
	size_t off = 0, first = 0;
	struct str key = key_resource(v->project->pipeline->name, resource, &a);
	struct str grid = key_grid(v->project->pipeline->name, resource, 0, &a);
	v->about = (struct finding){ .kind = FINDING_GRID, .name = resource };
	if (!grid_load(project_raw(v->project), key, &none, &a, &g, &missing, &e)) {
		verify_unread(v, grid, &e);
	} else if (missing && windows->n > 0) {
		verify_found(v, grid, "the grid is not there, and %zu windows are", windows->n);
	} else if (!missing && !grid_check_bytes(project_raw(v->project), key, &g, &e)) {
		verify_unread(v, grid, &e);
	} else if (!missing) {
		for (size_t i = windows->n; i-- > 0;)
			if (!grid_has(&g, windows->v[i].window)) {
				off++;
				first = i;
			}
		if (off > 0)
			verify_found(v, grid, "%zu of %zu windows do not lie on it, such as %.*s", off, windows->n,
				     STR_ARG(windows->v[first].name));
	}
	arena_free(&a);
}

/* ── segments ── */

static bool segment_there(struct verify *v, struct str key, const struct ledger_entry *entry)
{
	struct err e = ERR_INIT;
	uint64_t size = 0;
	if (!store_size(project_raw(v->project), key, &size, &e))
		verify_missing(v, key, "the segment is not there", &e);
	else if (size != entry->segment_size)
		verify_found(v, key, "%" PRIu64 " bytes, the ledger says %" PRIu64, size, entry->segment_size);
	else if (size > SEGMENT_READ_MAX)
		verify_found(v, key, "%" PRIu64 " bytes are more than a segment may have", size);
	else
		return true;
	return false;
}

/* The whole segment into v->segment; false (and a finding) if it is not the one that the entry names. */
static bool segment_load(struct verify *v, struct str key, const struct ledger_entry *entry)
{
	struct err e = ERR_INIT;
	size_t size = (size_t)entry->segment_size;
	buf_clear(&v->segment);
	char *room = buf_room(&v->segment, size + 1);
	if (!store_read_at(project_raw(v->project), key, 0, room, size, &e)) {
		verify_unread(v, key, &e);
		return false;
	}
	v->segment.n = size;
	v->n->raw_bytes += size;
	if (!sha256_eq(sha256_of(buf_str(&v->segment)), entry->segment_hash)) {
		verify_found(v, key, "its SHA-256 is another than the ledger says: its bytes have changed");
		return false;
	}
	return true;
}

static void check_page(struct verify *v, struct str key, const struct ledger_page *p)
{
	struct err e = ERR_INIT;
	if (!raw_record_take(str_sub(buf_str(&v->segment), (size_t)p->offset, (size_t)p->size), &v->limits, &v->record, &e))
		verify_found(v, key, "page %" PRIu64 " at byte %" PRIu64 ": %s", p->page, p->offset, e.message);
	else if (v->record.body.n != p->body_bytes || !sha256_eq(sha256_of(v->record.body), p->body))
		verify_found(v, key, "page %" PRIu64 " at byte %" PRIu64 ": another body than the ledger says", p->page, p->offset);
}

static void check_attempt(struct verify *v, struct str key, const struct ledger_attempt *t)
{
	struct err e = ERR_INIT;
	if (t->size == 0)
		return;
	if (!warc_read(str_sub(buf_str(&v->segment), (size_t)t->offset, (size_t)t->size), v->limits.body_bytes,
		       &v->record.inflated, &v->record.record, &e))
		verify_found(v, key, "a failed attempt at byte %" PRIu64 ": %s", t->offset, e.message);
	/* Its hash is of the bytes received: a body that was refused because it does not decode is kept as it came. Of a long
	 * one only the beginning is kept, of one that repeats a secret nothing, and the record says so. */
	else if (str_eq(v->record.record.type, STR("response")) &&
		 !str_eq(v->record.record.truncated, STR("length")) &&
		 !str_eq(v->record.record.truncated, STR("unspecified")) && !sha256_eq(sha256_of(v->record.record.body), t->body))
		verify_found(v, key, "a failed attempt at byte %" PRIu64 ": another body than the ledger says", t->offset);
}

static bool lies_inside(const struct ledger_entry *x, uint64_t offset, uint64_t size)
{
	return offset <= x->segment_size && size <= x->segment_size - offset;
}

static void check_segment(struct verify *v, struct str key, const struct ledger_entry *x)
{
	bool inside = true;
	v->n->segments++;
	v->n->pages += x->n_pages;
	v->n->attempts += x->n_attempts;
	v->about.pages = x->n_pages;
	v->about.records = 0;
	for (size_t i = 0; i < x->n_pages; i++) {
		v->about.records += x->pages[i].records;
		inside = inside && lies_inside(x, x->pages[i].offset, x->pages[i].size);
	}
	for (size_t i = 0; i < x->n_attempts; i++)
		inside = inside && lies_inside(x, x->attempts[i].offset, x->attempts[i].size);
	if (!inside)
		verify_found(v, key, "entry %" PRIu64 " names bytes outside of it", x->n);
	else if (segment_there(v, key, x) && !v->o->fast && segment_load(v, key, x)) {
		for (size_t i = 0; i < x->n_pages; i++)
			check_page(v, key, &x->pages[i]);
		for (size_t i = 0; i < x->n_attempts; i++)
			check_attempt(v, key, &x->attempts[i]);
	}
	v->about.pages = v->about.records = 0;
}

/* ── ledgers ── */

struct totals {
	uint64_t pages, records, bytes, epoch;
	struct sha256 digest;
	bool sealed, promoted, over, expired; /* over: nothing but `expire` may follow */
};

static void add_page(struct totals *t, const struct ledger_page *p)
{
	struct sha256_state s;
	sha256_begin(&s);
	sha256_add(&s, t->digest.b, SHA256_SIZE);
	sha256_add(&s, p->fingerprint.b, SHA256_SIZE);
	sha256_add(&s, p->body.b, SHA256_SIZE);
	t->digest = sha256_end(&s);
	t->pages++;
	t->records += p->records;
	t->bytes += p->body_bytes;
}

static bool next_eq(const struct page_next *x, const struct page_next *y)
{
	bool same = x->kind == y->kind && x->number == y->number && str_eq(x->text, y->text) && x->n_markers == y->n_markers;
	for (size_t i = 0; same && i < x->n_markers; i++)
		same = x->markers[i].at == y->markers[i].at && str_eq(x->markers[i].marker, y->markers[i].marker);
	return same;
}

static void check_totals(struct verify *v, struct str key, const struct ledger_entry *x, const struct totals *t)
{
	const struct ledger_state *s = &x->state;
	const struct ledger_seal *seal = &x->seal;
	if (s->pages != t->pages || s->records != t->records || s->bytes != t->bytes)
		verify_found(v, key, "entry %" PRIu64 ": its running totals are not those of the pages before it", x->n);
	if (!sha256_eq(s->digest, t->digest))
		verify_found(v, key, "entry %" PRIu64 ": its content digest does not follow from the pages", x->n);
	if (x->n_pages > 0 && !next_eq(&x->pages[x->n_pages - 1].next, &s->next))
		verify_found(v, key, "entry %" PRIu64 ": it leads on to another place than its last page", x->n);
	if (x->has_seal && (!sha256_eq(seal->digest, t->digest) || seal->pages != t->pages || seal->records != t->records ||
			    seal->bytes != t->bytes))
		verify_found(v, key, "entry %" PRIu64 ": the seal does not fit the pages", x->n);
	if (x->has_seal && seal->promoted && seal->candidate_reason.n > 0)
		verify_found(v, key, "entry %" PRIu64 ": promoted, and it says why it is not: %.*s", x->n,
			     STR_ARG(seal->candidate_reason));
	if (x->has_seal && s->next.kind != NEXT_END)
		verify_found(v, key, "entry %" PRIu64 ": sealed, and it leads on", x->n);
}

/* What may follow what: spec/ledger.md. */
static void check_order(struct verify *v, struct str key, const struct ledger_entry *x, struct totals *t)
{
	bool claim = x->kind == ENTRY_CLAIM, accept = x->kind == ENTRY_ACCEPT, expire = x->kind == ENTRY_EXPIRE;
	if (claim && x->epoch == x->n)
		t->epoch = x->n;
	if (x->epoch != t->epoch || (x->n == 0) != (claim && x->has_origin))
		verify_found(v, key, "entry %" PRIu64 ": its epoch is none of a claim before it", x->n);
	bool closed = t->sealed || t->over;
	if (expire ? t->expired || !closed : t->over || (t->sealed && (!accept || t->promoted)) || (accept && !t->sealed))
		verify_found(v, key, "entry %" PRIu64 ": nothing of kind %s may stand there", x->n, entry_kind_name(x->kind));
	t->sealed = t->sealed || x->has_seal;
	t->promoted = t->promoted || (x->has_seal && x->seal.promoted) || accept;
	t->expired = t->expired || expire;
	t->over = t->over || x->kind == ENTRY_ABANDON || expire;
}

static void check_names(struct verify *v, struct str key, struct str window, const struct ledger_entry *x)
{
	struct arena a = ARENA_INIT;
	struct window w;
	if (x->has_origin && (!window_from_name(window, &w) || w.from_us != x->origin.window.from_us ||
			      w.to_us != x->origin.window.to_us))
		verify_found(v, key, "entry %" PRIu64 ": it was opened for another window", x->n);
	if (x->has_origin && !sha256_eq(x->origin.definition, sha256_of(x->origin.definition_json)))
		verify_found(v, key, "entry %" PRIu64 ": `definition` is not the hash of `request`", x->n);
	struct str name = arena_format(&a, "%" PRIu64 "-%.*s.warc.gz", x->epoch, STR_ARG(sha256_hex_str(x->segment_hash, &a)));
	if (x->segment.n > 0 && !str_eq(name, x->segment))
		verify_found(v, key, "entry %" PRIu64 ": the name of its segment is not made of its epoch and SHA-256", x->n);
	arena_free(&a);
}

static void check_strays(struct verify *v, struct str key, uint64_t n_entries)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct store_listing list;
	struct str folder = key_ledger(key, &a);
	if (!store_list(project_raw(v->project), folder, &a, &list, &e))
		verify_unread(v, folder, &e);
	else if (list.n > n_entries)
		verify_found(v, folder, "%zu objects that are no entries lie in it", list.n - (size_t)n_entries);
	arena_free(&a);
}

static bool check_generation(struct verify *v, struct str key, struct str window, bool *done, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct ledger l;
	struct ledger_walk w;
	struct ledger_entry x;
	struct totals t = { 0 };
	bool end = false, ok = true;
	v->n->generations++;
	v->has_content = v->same_known = false;
	if (!ledger_open(project_raw(v->project), v->project->clock, key, STR_NONE, &a, &l, &why)) {
		verify_unread(v, key, &why);
		arena_free(&a);
		return true;
	}
	v->has_content = l.status == GENERATION_SEALED;
	v->content = l.seal.digest;
	if (!l.given_up)
		check_strays(v, key, l.n_entries);
	ledger_walk_begin(&w, &l);
	while ((ok = ledger_walk_next(&w, &x, &end, &why)) && !end && !verify_stopped(v, e) && !(*done && verify_late(v))) {
		v->n->entries++;
		check_order(v, key, &x, &t);
		for (size_t i = 0; i < x.n_pages; i++) {
			add_page(&t, &x.pages[i]);
			if (x.pages[i].page != t.pages)
				verify_found(v, key, "entry %" PRIu64 ": page %" PRIu64 " stands where page %" PRIu64 " should", x.n,
					     x.pages[i].page, t.pages);
		}
		check_totals(v, key, &x, &t);
		check_names(v, key, window, &x);
		if (x.segment.n > 0 && l.status != GENERATION_EXPIRED)
			check_segment(v, key_segment(key, x.segment, &w.arena), &x);
	}
	ledger_walk_end(&w);
	if (!ok)
		verify_unread(v, key, &why);
	else if (!end)
		*done = false;
	arena_free(&a);
	return e->code == ERR_NONE;
}

bool verify_window(struct verify *v, struct str resource, struct str window, bool *done, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	struct str key = key_window(key_resource(v->project->pipeline->name, resource, &a), window, &a);
	bool ok = store_list(project_raw(v->project), key, &a, &list, e);
	*done = true;
	v->n->windows++;
	for (size_t i = 0; ok && *done && i < list.n; i++) {
		unsigned g = 0;
		if (!list.v[i].is_folder || !generation_from_name(list.v[i].name, &g))
			continue;
		v->about = (struct finding){ .kind = FINDING_RAW, .name = resource, .window = window, .generation = g };
		ok = check_generation(v, key_generation(key, g, &a), window, done, e);
	}
	arena_free(&a);
	return ok;
}
