#include "prepare/prepare_pages.h"

#include "base/check.h"
#include "driver/store_ahead.h"
#include "format/layout.h"

#include <inttypes.h>
#include <string.h>

enum { MEMBER_HEAD_MAX = 4 << 20 }; /* a member over the body's limit: heads and gzip's own bytes */
enum { AHEAD_BYTES = 8 << 20 }; /* pages up to it are read two at a time */
enum { SEGMENTS_AHEAD_BYTES = 1 << 20 }; /* of a window: segments up to it are read before their turn */

/* ── the path ── */

static void path_split(struct pages *p, struct str path)
{
	struct {
		struct str *v;
		size_t n, cap;
	} parts = { 0 };

	if (path.n > 0 && !str_eq_z(path, "."))
		for (size_t i = 0; i <= path.n; i++) {
			char *text = arena_alloc(&p->own, path.n + 1);
			size_t n = 0;
			for (; i < path.n && path.p[i] != '.'; i++) {
				if (path.p[i] == '\\' && i + 1 < path.n && (path.p[i + 1] == '.' || path.p[i + 1] == '\\'))
					i++;
				text[n++] = path.p[i];
			}
			*arena_push(&p->own, parts) = (struct str){ text, n };
		}
	p->parts = parts.v;
	p->n_parts = parts.n;
}

/* After JSON_KEY. A key that cannot be unescaped is no part of any path. */
static bool key_is(struct pages *p, const struct json_scan *s, struct str part)
{
	struct str key = s->value;

	return (!s->escaped || json_unescape(key, &p->arena, &key)) && str_eq(key, part);
}

static bool skip_value(struct json_scan *s, enum json_event ev)
{
	return (ev != JSON_OBJECT && ev != JSON_ARRAY) || json_skip(s);
}

/* Into the container that *ev has opened, to the value that the part names. *ev: its event; JSON_DONE where there is none. */
static bool step_into(struct pages *p, struct json_scan *s, struct str part, enum json_event *ev)
{
	uint64_t index = 0;

	if (*ev == JSON_OBJECT) {
		while ((*ev = json_next(s)) == JSON_KEY) {
			if (key_is(p, s, part)) {
				*ev = json_next(s);
				return *ev != JSON_BAD;
			}
			if (!json_skip(s))
				return false;
		}
		if (*ev == JSON_BAD)
			return false;
	} else if (*ev == JSON_ARRAY && str_to_u64(part, &index) && (part.p[0] != '0' || part.n == 1)) {
		for (;; index--) {
			*ev = json_next(s);
			if (*ev == JSON_BAD)
				return false;
			if (*ev == JSON_ARRAY_END)
				break;
			if (index == 0)
				return true;
			if (!skip_value(s, *ev))
				return false;
		}
	}
	*ev = JSON_DONE;
	return true;
}

static bool page_open_records(struct pages *p, struct err *e)
{
	struct json_scan *s = &p->page->scan;
	enum json_event ev;

	json_open(s, p->page->body, p->job->json_depth);
	ev = json_next(s);
	for (size_t i = 0; ev != JSON_BAD && ev != JSON_DONE && i < p->n_parts; i++)
		if (!step_into(p, s, p->parts[i], &ev))
			return pages_broken(p, e);
	if (ev == JSON_BAD)
		return pages_broken(p, e);
	if (ev == JSON_ARRAY)
		return true;
	/* The page was accepted with that many records: so it is `records` that has changed since. */
	err_set(e, ERR_CONFIG, "%.*s, page %" PRIu64 ": no list of records at `%.*s`; the ledger counts %" PRIu64,
		STR_ARG(p->generation_key), p->page->number, STR_ARG(p->job->records), p->page_end - p->record);
	return err_hint(e, "mend `records` of resource %.*s in the pipeline file, or look at the page with `sluice raw cat`",
			STR_ARG(p->job->table));
}

/* Behind the records: a second key of the same name on the path would be a second list, which nobody has read. */
static bool page_close_records(struct pages *p, struct err *e)
{
	struct json_scan *s = &p->page->scan;
	enum json_event ev = JSON_BAD;

	for (size_t i = p->n_parts; i-- > 0;) {
		while ((ev = json_next(s)) > JSON_DONE && ev != JSON_OBJECT_END && ev != JSON_ARRAY_END) {
			if (ev == JSON_KEY && key_is(p, s, p->parts[i]))
				return err_set(e, ERR_RECORDS, "%.*s, page %" PRIu64 ", byte %zu: \"%.*s\", on the way to "
					       "the records, occurs twice", STR_ARG(p->generation_key), p->page->number,
					       json_offset(s), STR_ARG(p->parts[i]));
			if (ev == JSON_KEY ? !json_skip(s) : !skip_value(s, ev))
				return pages_broken(p, e);
		}
		if (ev == JSON_BAD)
			return pages_broken(p, e);
	}
	return json_next(s) == JSON_DONE || pages_broken(p, e);
}

bool pages_broken(struct pages *p, struct err *e)
{
	const struct json_scan *s = &p->page->scan;

	err_set(e, ERR_JSON, "%.*s, page %" PRIu64 ", byte %zu: %s", STR_ARG(p->generation_key), p->page->number,
		s->fault_at, s->fault ? s->fault : "not JSON");
	return err_hint(e, "the page was accepted under other `limits` than these, or by another version: see `sluice raw cat`");
}

/* ── pages ── */

void pages_init(struct pages *p, const struct engine_job *job, struct store *store)
{
	*p = (struct pages){ .job = job, .store = store };
	p->member = BUF_INIT((size_t)job->max_body_bytes + MEMBER_HEAD_MAX);
	path_split(p, job->records);
}

static struct store *near(const struct pages *p)
{
	return p->near ? p->near : p->store;
}

static struct str window_generation(const struct pages *p, const struct job_window *w, struct arena *a)
{
	struct str resource = key_resource(p->job->pipeline, p->job->table, a);

	return key_generation(key_window(resource, w->row_window, a), w->row_generation, a);
}

static void window_end(struct pages *p)
{
	if (p->walking)
		ledger_walk_end(&p->walk);
	p->walking = false;
	p->window = NULL;
}

static void pages_free_list(struct page **v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_free(&v[i]->inflated);
		buf_free(&v[i]->decoded);
	}
}

void pages_free(struct pages *p)
{
	window_end(p);
	store_close(p->near);
	pages_free_list(p->kept.v, p->kept.n);
	pages_free_list(p->spare.v, p->spare.n);
	buf_free(&p->member);
	arena_free(&p->arena);
	arena_free(&p->own);
}

void pages_turn(struct pages *p)
{
	size_t n = 0;

	p->turn++;
	p->kept_bytes = 0;
	if (p->page) {
		p->page->turn = p->turn;
		p->kept_bytes = p->page->inflated.n + p->page->decoded.n;
	}
	if (p->ahead)
		p->ahead->turn = p->turn;
	for (size_t i = 0; i < p->kept.n; i++) {
		struct page *page = p->kept.v[i];
		if (page->turn >= p->turn)
			p->kept.v[n++] = page;
		else
			*arena_push(&p->own, p->spare) = page;
	}
	p->kept.n = n;
}

static struct page *page_take(struct pages *p)
{
	struct page *page = p->spare.n > 0 ? p->spare.v[--p->spare.n] : arena_new(&p->own, struct page);

	*arena_push(&p->own, p->kept) = page;
	page->turn = p->turn;
	return page;
}

/* The failure is one of Raw's bytes: which page it is, and where. */
static bool damaged(struct pages *p, const struct ledger_page *at, struct err *e)
{
	if (e->code == ERR_MISSING || e->code == ERR_DECODE || e->code == ERR_TOO_LARGE) {
		if (e->code != ERR_TOO_LARGE)
			e->code = ERR_DAMAGE;
		e->hint[0] = '\0';
	}
	return err_wrap(e, "%.*s, page %" PRIu64 ", segment %.*s at byte %" PRIu64, STR_ARG(p->generation_key), at->page,
			STR_ARG(p->entry.segment), at->offset);
}

/* All but the hash of the body. */
static bool page_read(struct pages *p, const struct ledger_page *at, struct page *page, struct err *e)
{
	struct str key = key_segment(p->generation_key, p->entry.segment, &p->walk.arena);
	struct warc_record record;
	char *room;

	page->number = at->page;
	buf_clear(&p->member);
	buf_clear(&page->decoded);
	room = at->size > 0 && at->size < SIZE_MAX / 2 ? buf_room(&p->member, (size_t)at->size) : NULL;
	if (!room)
		return err_set(e, ERR_TOO_LARGE, "a member of %" PRIu64 " bytes: the limit of a body is %" PRIu64, at->size,
			       p->job->max_body_bytes);
	p->member.n = (size_t)at->size;
	if (!store_read_at(near(p), key, at->offset, room, (size_t)at->size, e) ||
	    !warc_read(buf_str(&p->member), p->job->max_body_bytes, &page->inflated, &record, e))
		return false;
	if (!str_eq(record.type, STR("response")))
		return err_set(e, ERR_DAMAGE, "a response is expected, not a %.*s", STR_ARG(str_sub(record.type, 0, 20)));
	return body_decode(record.http_head, record.body, p->job->max_body_bytes, p->job->max_ratio, &page->decoded,
			   &page->body, e);
}

/* Where the pages of this entry's windows go on: may the one behind `at` be read too, before its turn? Its failures wait
 * until then: it is read again. */
static const struct ledger_page *page_behind(const struct pages *p, const struct ledger_page *at)
{
	const struct ledger_page *next = at + 1;
	uint64_t first = p->record + at->records;

	if (p->next_page + 1 >= p->entry.n_pages || at->records == 0 || next->records == 0 ||
	    at->body_bytes > AHEAD_BYTES || next->body_bytes > AHEAD_BYTES)
		return NULL;
	return first >= p->to || next->records > UINT64_MAX - first || first + next->records <= p->from ? NULL : next;
}

/* The body of two pages is hashed in nearly the time of one. */
static void pages_hash(struct pages *p, const struct ledger_page *at, struct page *page)
{
	const struct ledger_page *next = page_behind(p, at);
	struct err ignored = ERR_INIT;
	struct sha256 two[2];

	if (next) {
		p->ahead = page_take(p);
		if (!page_read(p, next, p->ahead, &ignored))
			p->ahead = NULL;
	}
	if (!p->ahead) {
		page->hash = sha256_of(page->body);
		return;
	}
	sha256_pair(page->body, p->ahead->body, two);
	page->hash = two[0];
	p->ahead->hash = two[1];
}

static bool page_fetch(struct pages *p, const struct ledger_page *at, struct page **out, struct err *e)
{
	struct page *page = p->ahead;
	char is[SHA256_HEX + 1];

	p->ahead = NULL;
	*out = page;
	if (!page) {
		*out = page = page_take(p);
		if (!page_read(p, at, page, e))
			return false;
		pages_hash(p, at, page);
	}
	CHECK(page->number == at->page);
	if (page->body.n == at->body_bytes && sha256_eq(page->hash, at->body))
		return true;
	sha256_hex(page->hash, is);
	return err_set(e, ERR_DAMAGE, "the body has %zu bytes and SHA-256 %.16s..., which is not what the ledger says",
		       page->body.n, is);
}

/* Reads it unless it lies outside of the range. */
static bool page_begin(struct pages *p, const struct ledger_page *at, struct err *e)
{
	uint64_t first = p->record, end = first + at->records;
	struct page *page;

	if (end < first)
		return err_set(e, ERR_DAMAGE, "%.*s, page %" PRIu64 ": it cannot hold %" PRIu64 " records",
			       STR_ARG(p->generation_key), at->page, at->records);
	/* A page without records belongs to whoever reads what comes after it, or to the end. */
	if (end < p->from || (end == p->from && at->records > 0) || first >= p->to) {
		p->record = end;
		return true;
	}
	if (!page_fetch(p, at, &page, e))
		return damaged(p, at, e);
	p->kept_bytes += page->inflated.n + page->decoded.n;
	if (at->records == 0)
		return true; /* it may have no list at all */
	p->page = page;
	p->page_end = end;
	if (!page_open_records(p, e))
		return false;
	for (; p->record < p->from; p->record++) {
		enum json_event ev = json_next(&page->scan);
		if (ev == JSON_ARRAY_END)
			break; /* counted below */
		if (ev == JSON_BAD || !skip_value(&page->scan, ev))
			return pages_broken(p, e);
	}
	return true;
}

static bool wrong_count(struct pages *p, struct err *e)
{
	return err_set(e, ERR_DAMAGE, "%.*s, page %" PRIu64 ": the number of records at `%.*s` is not that of the ledger",
		       STR_ARG(p->generation_key), p->page->number, STR_ARG(p->job->records));
}

/* The next record of the open page, or *ev JSON_DONE and no open page any more. */
static bool page_next(struct pages *p, enum json_event *ev, struct err *e)
{
	if (p->record >= p->to) {
		p->record = p->page_end;
		p->page = NULL;
		*ev = JSON_DONE;
		return true;
	}
	*ev = json_next(&p->page->scan);
	if (*ev == JSON_BAD)
		return pages_broken(p, e);
	if (*ev != JSON_ARRAY_END) {
		if (p->record == p->page_end)
			return wrong_count(p, e);
		p->record++;
		return true;
	}
	if (p->record != p->page_end)
		return wrong_count(p, e);
	if (!page_close_records(p, e))
		return false;
	p->page = NULL;
	*ev = JSON_DONE;
	return true;
}

/* ── windows ── */

struct next_windows {
	const struct pages *pages;
	const struct job_window *const *v;
};

/* What will be asked of a window, short of its records. Whatever is wrong shows when its turn comes. */
static bool window_ask(void *user, size_t i, struct store *s)
{
	const struct next_windows *next = user;
	struct arena a = ARENA_INIT;
	struct ledger l;
	struct ledger_walk walk;
	struct ledger_entry x;
	struct err e = ERR_INIT;
	struct str key = window_generation(next->pages, next->v[i], &a), bytes;
	uint64_t room = SEGMENTS_AHEAD_BYTES;
	bool end = false, ok = ledger_open(s, clock_system(), key, next->pages->job->run_id, &a, &l, &e) && ledger_read_origin(&l, &e);

	if (!ok || l.n_entries == 0) {
		arena_free(&a);
		return ok;
	}
	ledger_walk_begin(&walk, &l);
	while ((ok = ledger_walk_next(&walk, &x, &end, &e)) && !end) {
		struct arena each = ARENA_INIT;
		if (x.segment.n > 0 && x.segment_size <= room) {
			room -= x.segment_size;
			store_get(s, key_segment(key, x.segment, &each), x.segment_size, &each, &bytes, &e);
		}
		arena_free(&each);
	}
	ledger_walk_end(&walk);
	arena_free(&a);
	return ok;
}

void pages_ahead(struct pages *p, const struct job_window *const *windows, size_t n)
{
	struct next_windows next = { p, windows };

	window_end(p); /* its ledger reads from what is closed now */
	store_close(p->near);
	p->near = NULL;
	if (n < 2 || !store_can_list_all(p->store))
		return;
	p->near = store_open_ahead(p->store);
	store_ahead_ask(p->near, n, window_ask, &next);
}

bool pages_begin(struct pages *p, const struct job_window *w, uint64_t from, uint64_t to, struct err *e)
{
	window_end(p);
	CHECK(!p->page);
	arena_reset(&p->arena);
	p->generation_key = window_generation(p, w, &p->arena);
	p->window = w;
	p->from = from;
	p->to = to;
	p->record = 0;
	p->next_page = 0;
	p->ahead = NULL;
	p->entry.n_pages = 0;
	p->sealed = false;
	if (!ledger_open(near(p), clock_system(), p->generation_key, p->job->run_id, &p->arena, &p->ledger, e) ||
	    !ledger_read_origin(&p->ledger, e))
		return false;
	if (p->ledger.n_entries == 0)
		return err_set(e, ERR_DAMAGE, "%.*s: it has no ledger", STR_ARG(p->generation_key));
	p->interval = p->ledger.origin.window;
	ledger_walk_begin(&p->walk, &p->ledger);
	p->walking = true;
	return true;
}

static bool wrong_seal(struct pages *p, struct err *e)
{
	return err_set(e, ERR_DAMAGE, "%.*s: its ledger is not the one that the run has planned with (%s)",
		       STR_ARG(p->generation_key), p->sealed ? "another seal" : "no seal");
}

/* The next entry with pages. *end: the chain was walked to its seal. */
static bool entry_next(struct pages *p, bool *end, struct err *e)
{
	for (;;) {
		if (!ledger_walk_next(&p->walk, &p->entry, end, e))
			return false;
		p->next_page = 0;
		if (*end) {
			p->entry.n_pages = 0;
			if (!p->sealed)
				return wrong_seal(p, e);
			if (p->record != p->window->records)
				return err_set(e, ERR_DAMAGE, "%.*s: %" PRIu64 " records where the plan has %" PRIu64,
					       STR_ARG(p->generation_key), p->record, p->window->records);
			window_end(p);
			return true;
		}
		if (p->entry.has_seal) {
			p->sealed = true;
			if (!sha256_eq(p->entry.hash, p->window->row_seal))
				return wrong_seal(p, e);
		}
		if (p->entry.n_pages > 0)
			return true;
	}
}

bool pages_next(struct pages *p, enum json_event *ev, struct err *e)
{
	bool end = false;

	for (;;) {
		if (p->page) {
			if (!page_next(p, ev, e))
				return false;
			if (*ev != JSON_DONE)
				return true;
			continue;
		}
		if (p->next_page == p->entry.n_pages) {
			if (!entry_next(p, &end, e))
				return false;
			if (end) {
				*ev = JSON_DONE;
				return true;
			}
			continue;
		}
		if (!page_begin(p, &p->entry.pages[p->next_page], e))
			return false;
		p->next_page++;
	}
}
