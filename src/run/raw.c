#include "run/raw.h"

#include "base/calendar.h"
#include "base/json.h"
#include "driver/store_view.h"

#include <inttypes.h>
#include <string.h>

enum { MEMBER_EXTRA = 8 << 20 }; /* what heads and gzip's own bytes add to a body */

struct http_limits raw_limits(void)
{
	return (struct http_limits){ .header_bytes = 16 << 20, .body_bytes = 1 << 30, .decoded_bytes = UINT64_C(2) << 30,
				     .decoded_ratio = UINT32_MAX, .json_depth = JSON_DEPTH_MAX };
}

bool raw_windows(struct store *s, struct str resource_key, struct arena *a, struct raw_windows *out, struct err *e)
{
	struct store_listing list = { 0 };
	memset(out, 0, sizeof *out);
	if (!store_list_names(s, resource_key, a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		struct window w;
		if (list.v[i].is_folder && window_from_name(list.v[i].name, &w))
			*arena_push(a, *out) = (struct raw_window){ list.v[i].name, w };
	}
	return true;
}

void raw_list_ahead(struct project *j, const struct str *resource_keys, size_t n)
{
	struct err ignored = ERR_INIT;
	if (j->raw_view && store_is_view(j->raw_view))
		store_view_list(j->raw_view, resource_keys, n, &ignored);
}

bool raw_look_ahead(struct project *j, struct str resource_key, const struct raw_windows *windows, enum window_ahead what,
		    struct err *e)
{
	struct arena a = ARENA_INIT;
	bool ok = true;
	for (size_t i = 0; ok && j->raw_view && i < windows->n; i++) {
		arena_reset(&a);
		ok = window_look_ahead(j->raw_view, key_window(resource_key, windows->v[i].name, &a), what, e);
	}
	arena_free(&a);
	return ok;
}

bool raw_generation(struct project *j, struct str resource, struct str window, unsigned number, struct arena *a,
		    struct window_generations *all, struct ledger *out, struct err *e)
{
	struct window_generations g;
	struct str key = key_window(key_resource(j->pipeline->name, resource, a), window, a);
	if (!window_generations_read(project_raw(j), j->clock, key, a, &g, e))
		return false;
	if (g.n == 0) {
		err_set(e, ERR_MISSING, "%.*s: nothing was fetched of window %.*s", STR_ARG(resource), STR_ARG(window));
		return err_hint(e, "`sluice raw ls %.*s` lists the windows that are there", STR_ARG(resource));
	}
	if (number > g.n)
		return err_set(e, ERR_MISSING, "%.*s: window %.*s was fetched %u time%s, there is no generation %u",
			       STR_ARG(resource), STR_ARG(window), g.n, g.n == 1 ? "" : "s", number);
	if (all)
		*all = g;
	if (number == 0)
		number = g.promoted ? g.promoted : g.n;
	return ledger_open(project_raw(j), j->clock, key_generation(key, number, a), STR_NONE, a, out, e);
}

/* ── one record ── */

void raw_record_free(struct raw_record *r)
{
	buf_free(&r->member);
	buf_free(&r->inflated);
	buf_free(&r->decoded);
}

bool raw_record_take(struct str member, const struct http_limits *limits, struct raw_record *out, struct err *e)
{
	uint64_t most = limits->body_bytes > limits->decoded_bytes ? limits->body_bytes : limits->decoded_bytes;
	memset(&out->record, 0, sizeof out->record);
	out->body = STR_NONE;
	out->inflated.max = (size_t)most + MEMBER_EXTRA;
	out->decoded.max = (size_t)limits->decoded_bytes;
	buf_clear(&out->decoded);
	if (!warc_read(member, most, &out->inflated, &out->record, e))
		return false;
	out->body = out->record.body;
	if (!str_eq(out->record.type, STR("response")) || out->record.truncated.n > 0)
		return true; /* what was cut may end in the middle of its encoding */
	if (body_decode(out->record.http_head, out->record.body, limits->decoded_bytes, limits->decoded_ratio, &out->decoded,
			&out->body, e))
		return true;
	out->body = out->record.body;
	if (e->code == ERR_DECODE)
		e->code = ERR_DAMAGE;
	return false;
}

bool raw_record_read(struct store *s, struct str segment_key, uint64_t offset, uint64_t size,
		     const struct http_limits *limits, struct raw_record *out, struct err *e)
{
	if (size > SEGMENT_READ_MAX)
		return err_set(e, ERR_TOO_LARGE, "%.*s: a record of %" PRIu64 " bytes", STR_ARG(segment_key), size);
	out->member.max = SEGMENT_READ_MAX + (size_t)1;
	buf_clear(&out->member);
	char *room = buf_room(&out->member, (size_t)size);
	if (!store_read_at(s, segment_key, offset, room, (size_t)size, e)) {
		if (e->code == ERR_MISSING) { /* the ledger names it */
			e->code = ERR_DAMAGE;
			e->hint[0] = '\0';
		}
		return err_wrap(e, "%.*s at byte %" PRIu64, STR_ARG(segment_key), offset);
	}
	out->member.n = (size_t)size;
	if (!raw_record_take(buf_str(&out->member), limits, out, e))
		return err_wrap(e, "%.*s at byte %" PRIu64, STR_ARG(segment_key), offset);
	return true;
}

/* ── pages ── */

static struct ledger_page copy_page(const struct ledger_page *p, struct arena *a)
{
	struct ledger_page c = *p;
	c.request = arena_copy(a, p->request);
	c.redirected_to = arena_copy(a, p->redirected_to);
	c.next = (struct page_next){ 0 };
	return c;
}

bool raw_page(struct ledger *l, uint64_t number, struct arena *a, struct raw_page *out, struct err *e)
{
	struct ledger_walk w;
	struct ledger_entry entry;
	bool end = false, found = false, ok;
	memset(out, 0, sizeof *out);
	ledger_walk_begin(&w, l);
	while ((ok = ledger_walk_next(&w, &entry, &end, e)) && !end && !found)
		for (size_t i = 0; i < entry.n_pages && !found; i++) {
			if (entry.pages[i].page != number)
				continue;
			found = true;
			out->page = copy_page(&entry.pages[i], a);
			out->segment_key = key_segment(l->generation_key, entry.segment, a);
			out->run_id = arena_copy(a, entry.run_id);
			out->committed_us = entry.time_us;
		}
	ledger_walk_end(&w);
	if (!ok)
		return false;
	if (!found)
		return err_set(e, ERR_MISSING, "%.*s has %" PRIu64 " pages, and no page %" PRIu64, STR_ARG(l->generation_key),
			       l->state.pages, number);
	return true;
}

/* ── records ── */

bool raw_records(struct str body, struct str path, uint32_t depth, bool (*take)(void *user, struct str record), void *user,
		 struct err *e)
{
	struct json_pick pick = { .path = path };
	const char *fault = NULL;
	size_t at = 0;
	if (!json_pick(body, depth, &pick, 1, &fault, &at))
		return err_set(e, ERR_JSON, "byte %zu: %s", at, fault);
	if (!pick.found || pick.type != JSON_ARRAY)
		return err_set(e, ERR_RECORDS, "no list of records at `%.*s`", STR_ARG(path));
	struct json_scan s;
	enum json_event ev;
	json_open(&s, pick.raw, depth);
	json_next(&s);
	while ((ev = json_next(&s)) != JSON_ARRAY_END && ev > JSON_DONE) {
		size_t from = json_offset(&s);
		if ((ev == JSON_OBJECT || ev == JSON_ARRAY) && !json_skip(&s))
			break;
		if (!take(user, str_sub(pick.raw, from, (size_t)(s.p - s.start) - from)))
			break;
	}
	return true;
}

static bool walk_generation(struct project *j, const struct resource *r, struct ledger *l, struct raw_record *record,
			    bool (*take)(void *user, struct str record), void *user, struct raw_walk_counts *counts,
			    struct err *e)
{
	struct http_limits limits = raw_limits();
	struct ledger_walk w;
	struct ledger_entry entry;
	bool end = false, ok;
	ledger_walk_begin(&w, l);
	while ((ok = ledger_walk_next(&w, &entry, &end, e)) && !end) {
		for (size_t i = 0; ok && i < entry.n_pages; i++) {
			const struct ledger_page *p = &entry.pages[i];
			struct str key = key_segment(l->generation_key, entry.segment, &w.arena);
			ok = raw_record_read(project_raw(j), key, p->offset, p->size, &limits, record, e) &&
			     (p->records == 0 || raw_records(record->body, r->records, limits.json_depth, take, user, e));
			counts->pages++;
			counts->records += p->records;
		}
		if (!ok)
			break;
	}
	ledger_walk_end(&w);
	return ok || err_wrap(e, "%.*s", STR_ARG(l->generation_key));
}

bool raw_walk(struct project *j, const struct resource *r, bool (*take)(void *user, struct str record), void *user,
	      struct raw_walk_counts *counts, struct err *e)
{
	struct arena a = ARENA_INIT, each = ARENA_INIT;
	struct raw_windows windows;
	struct raw_record record = RAW_RECORD_INIT;
	struct str resource_key = key_resource(j->pipeline->name, r->name, &a);
	bool ok = raw_windows(project_raw(j), resource_key, &a, &windows, e);
	memset(counts, 0, sizeof *counts);
	for (size_t i = 0; ok && i < windows.n; i++) {
		struct window_generations g;
		struct ledger l;
		arena_reset(&each);
		struct str key = key_window(resource_key, windows.v[i].name, &each);
		ok = window_generations_read(project_raw(j), j->clock, key, &each, &g, e);
		if (!ok || g.promoted == 0)
			continue;
		counts->windows++;
		ok = window_from_name(windows.v[i].name, &counts->window) ||
		     err_set(e, ERR_DAMAGE, "%.*s: its name is none of a window", STR_ARG(key));
		if (!ok)
			break;
		ok = ledger_open(project_raw(j), j->clock, key_generation(key, g.promoted, &each), STR_NONE, &each, &l, e) &&
		     walk_generation(j, r, &l, &record, take, user, counts, e);
	}
	raw_record_free(&record);
	arena_free(&each);
	arena_free(&a);
	return ok;
}

/* ── whose Raw it was ── */

enum { RUNS_ASKED = 64, RECORD_MAX_BYTES = 64 << 20 };

struct str raw_named_by_runs(struct project *j, struct arena *a)
{
	struct store_listing runs = { 0 };
	struct err ignored = ERR_INIT;
	struct str out = STR_NONE;
	size_t asked = 0;
	bool known = j->raw_from.n > 0 ||
		     !store_list(j->store, arena_format(a, "runs/%.*s", STR_ARG(j->pipeline->name)), a, &runs, &ignored);
	for (size_t i = runs.n; !known && i-- > 0 && asked < RUNS_ASKED;) {
		struct arena each = ARENA_INIT;
		struct json_node *root = NULL;
		struct str text, key;
		int64_t us;
		if (!runs.v[i].is_folder || !us_from_compact(str_sub(runs.v[i].name, 0, 16), &us))
			continue;
		asked++;
		key = arena_format(&each, "%.*s/record.json", STR_ARG(key_run(j->pipeline->name, runs.v[i].name, &each)));
		if (store_get(j->store, key, RECORD_MAX_BYTES, &each, &text, &ignored) && json_parse(text, &each, &root, &ignored)) {
			const struct json_node *tables = json_get(root, "tables");
			known = tables && tables->type == JSON_ARRAY && tables->child != NULL;
			if (known)
				out = arena_copy(a, json_str_or(root, "raw_from", STR_NONE));
		}
		ignored = ERR_INIT;
		arena_free(&each);
	}
	return out;
}
