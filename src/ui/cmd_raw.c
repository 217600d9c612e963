/* raw ls, raw cat, accept. */
#include "base/json.h"
#include "run/raw.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>
#include <string.h>

/* ── raw ls ── */

struct ls {
	struct ui *u;
	struct json_out json;
	bool as_json;
	unsigned generation;     /* at hand, and what it is to its window */
	const char *standing;
};

static bool ls_resource(struct ls *l, struct str name, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct project *j = &l->u->project;
	struct raw_windows w;
	bool ok = raw_windows(project_raw(j), key_resource(j->pipeline->name, name, &a), &a, &w, e);
	if (ok && l->as_json) {
		json_begin_object(&l->json, NULL);
		json_put_str(&l->json, "resource", name);
		json_put_u64(&l->json, "windows", w.n);
		json_put_str(&l->json, "first", w.n ? w.v[0].name : STR_NONE);
		json_put_str(&l->json, "last", w.n ? w.v[w.n - 1].name : STR_NONE);
		json_end_object(&l->json);
	} else if (ok) {
		buf_addf(&l->u->out, "%-20.*s %8s window%s", STR_ARG(name), amount_count(w.n).text, w.n == 1 ? " " : "s");
		if (w.n > 0)
			buf_addf(&l->u->out, "  %.*s to %.*s", STR_ARG(us_to_rfc3339(w.v[0].window.from_us, &a)),
				 STR_ARG(us_to_rfc3339(w.v[w.n - 1].window.to_us, &a)));
		buf_add_char(&l->u->out, '\n');
	}
	arena_free(&a);
	return ok;
}

static bool ls_window(struct ls *l, struct str resource_key, struct str name, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct project *j = &l->u->project;
	struct window_generations g;
	struct ledger led = { 0 };
	struct str key = key_window(resource_key, name, &a);
	bool ok = window_generations_read(project_raw(j), j->clock, key, &a, &g, e);
	unsigned shown = g.promoted ? g.promoted : g.n;
	ok = ok && (shown == 0 || ledger_open(project_raw(j), j->clock, key_generation(key, shown, &a), STR_NONE, &a, &led, e));
	const char *state = g.open ? "open" : g.candidate ? "candidate" : g.promoted ? "sealed" : g.n ? "abandoned" : "none";
	if (ok && l->as_json) {
		json_begin_object(&l->json, NULL);
		json_put_str(&l->json, "window", name);
		json_put_z(&l->json, "state", state);
		json_put_u64(&l->json, "generations", g.n);
		json_put_u64(&l->json, "promoted", g.promoted);
		json_put_u64(&l->json, "candidate", g.candidate);
		json_put_u64(&l->json, "pages", led.state.pages);
		json_put_u64(&l->json, "records", led.state.records);
		json_put_u64(&l->json, "bytes", led.state.bytes);
		json_put_u64(&l->json, "failed_attempts", led.state.failed_attempts);
		json_end_object(&l->json);
	} else if (ok) {
		buf_addf(&l->u->out, "%.*s  %-9s g%u of %u  %6s page%s %10s record%s %9s", STR_ARG(name), state, shown, g.n,
			 amount_count(led.state.pages).text, led.state.pages == 1 ? " " : "s",
			 amount_count(led.state.records).text, led.state.records == 1 ? " " : "s",
			 amount_size(led.state.bytes).text);
		if (led.state.failed_attempts > 0)
			buf_addf(&l->u->out, "  %s", amount_things(led.state.failed_attempts, "failed attempt").text);
		buf_add_char(&l->u->out, '\n');
	}
	arena_free(&a);
	return ok;
}

static void ls_page(struct ls *l, const struct ledger_page *p, struct str segment)
{
	if (l->as_json) {
		json_begin_object(&l->json, NULL);
		json_put_u64(&l->json, "generation", l->generation);
		json_put_z(&l->json, "state", l->standing);
		json_put_u64(&l->json, "page", p->page);
		json_put_str(&l->json, "request", p->request);
		json_put_u64(&l->json, "status", p->status);
		json_put_u64(&l->json, "attempts", p->attempts);
		json_put_u64(&l->json, "records", p->records);
		json_put_u64(&l->json, "bytes", p->body_bytes);
		json_put_str(&l->json, "segment", segment);
		json_put_u64(&l->json, "offset", p->offset);
		json_put_u64(&l->json, "size", p->size);
		json_end_object(&l->json);
		return;
	}
	buf_addf(&l->u->out, "%6" PRIu64 "  %u  %8s record%s %9s  ", p->page, p->status, amount_count(p->records).text,
		 p->records == 1 ? " " : "s", amount_size(p->body_bytes).text);
	text_escape(p->request, false, &l->u->out);
	if (p->attempts > 1)
		buf_addf(&l->u->out, "  (%u attempts)", p->attempts);
	buf_add_char(&l->u->out, '\n');
}

static void ls_attempt(struct ls *l, const struct ledger_attempt *t, struct str segment)
{
	if (l->as_json) {
		json_begin_object(&l->json, NULL);
		json_put_u64(&l->json, "generation", l->generation);
		json_put_z(&l->json, "state", l->standing);
		json_put_str(&l->json, "failed", t->error);
		json_put_str(&l->json, "request", t->request);
		json_put_u64(&l->json, "status", t->status);
		json_put_str(&l->json, "segment", segment);
		json_put_u64(&l->json, "offset", t->offset);
		json_put_u64(&l->json, "size", t->size);
		json_end_object(&l->json);
		return;
	}
	buf_addf(&l->u->out, "failed  %u  %.*s  ", t->status, STR_ARG(t->error));
	text_escape(t->request, false, &l->u->out);
	buf_addf(&l->u->out, "\n        %.*s %" PRIu64 "\n", STR_ARG(segment), t->offset);
}

static const char *standing_of(const struct ledger *led, const struct window_generations *g, unsigned number)
{
	if (number == g->promoted)
		return "promoted";
	if (led->status == GENERATION_SEALED)
		return "superseded";
	if (led->status == GENERATION_CANDIDATE)
		return number == g->candidate ? "candidate" : "superseded";
	if (led->status == GENERATION_EXPIRED)
		return "given up";
	return led->status == GENERATION_ABANDONED ? "abandoned" : "open";
}

static void ls_generation_head(struct ls *l, const struct ledger *led)
{
	buf_addf(&l->u->out, "g%u %s, %s", l->generation, l->standing, amount_things(led->state.records, "record").text);
	if (strcmp(l->standing, "candidate") == 0 && led->seal.candidate_reason.n > 0) {
		buf_add_z(&l->u->out, ": ");
		text_escape(led->seal.candidate_reason, false, &l->u->out);
	}
	buf_add_char(&l->u->out, '\n');
}

/* One generation of the window, with a line above it if there are several. */
static bool ls_generation(struct ls *l, struct ledger *led, bool head, struct err *e)
{
	struct ledger_walk w;
	struct ledger_entry entry;
	bool end = false, ok;
	if (head && !l->as_json)
		ls_generation_head(l, led);
	ledger_walk_begin(&w, led);
	while ((ok = ledger_walk_next(&w, &entry, &end, e)) && !end && (ok = ui_flush_some(l->u, e))) {
		struct str segment = key_segment(led->generation_key, entry.segment, &w.arena);
		for (size_t i = 0; i < entry.n_pages; i++)
			ls_page(l, &entry.pages[i], segment);
		for (size_t i = 0; i < entry.n_attempts; i++)
			ls_attempt(l, &entry.attempts[i], segment);
	}
	ledger_walk_end(&w);
	return ok;
}

static bool ls_pages(struct ls *l, struct str resource, struct str window, struct err *e)
{
	struct window_generations all = { 0 };
	struct arena each = ARENA_INIT;
	bool ok = true;
	for (unsigned number = 1; ok && (number == 1 || number <= all.n); number++) {
		struct ledger led;
		arena_reset(&each);
		ok = raw_generation(&l->u->project, resource, window, number, &each, &all, &led, e);
		if (!ok)
			break;
		l->generation = number;
		l->standing = standing_of(&led, &all, number);
		ok = ls_generation(l, &led, all.n > 1 || number != all.promoted, e);
	}
	arena_free(&each);
	return ok;
}

static bool ls_windows(struct ls *l, struct str resource, struct err *e)
{
	struct project *j = &l->u->project;
	struct raw_windows w;
	struct str key = key_resource(j->pipeline->name, resource, &l->u->arena);
	bool begun = project_view_begin(j, false);
	bool ok = raw_windows(project_raw(j), key, &l->u->arena, &w, e) && raw_look_ahead(j, key, &w, WINDOW_AHEAD_END, e);
	for (size_t i = 0; ok && i < w.n; i++)
		ok = ls_window(l, key, w.v[i].name, e) && ui_flush_some(l->u, e);
	project_view_end(j, begun);
	return ok;
}

int cmd_raw_ls(struct ui *u)
{
	const struct args *g = &u->args;
	struct err e = ERR_INIT;
	int status = 0;
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	struct ls l = { .u = u, .json = JSON_OUT(&u->out), .as_json = g->given[OPT_JSON] };
	const struct resource *r;
	bool ok = true;
	if (g->n_operands > 0 && !ui_resource(u, g->operands[0], &r, &e))
		return ui_fail(u, &e);
	if (g->n_operands > 1 && !ui_window(g->operands[1], &e))
		return ui_fail(u, &e);
	if (l.as_json)
		json_begin_array(&l.json, NULL);
	if (g->n_operands == 0)
		for (size_t i = 0; ok && i < u->project.pipeline->n_resources; i++)
			ok = ls_resource(&l, u->project.pipeline->resources[i].name, &e);
	else if (g->n_operands == 1)
		ok = ls_windows(&l, g->operands[0], &e);
	else
		ok = ls_pages(&l, g->operands[0], g->operands[1], &e);
	if (l.as_json) {
		json_end_array(&l.json);
		buf_add_char(&u->out, '\n');
	}
	return ok ? ui_done(u, 0) : ui_fail(u, &e);
}

/* ── raw cat ── */

struct cat {
	struct ui *u;
	struct str segment_key;
	uint64_t offset, size; /* size 0: to be found */
	struct raw_record record;
	struct str body;       /* what is printed */
};

static bool put_piece(struct ui *u, struct str s, struct err *e)
{
	while (s.n > 0) {
		struct str piece = str_sub(s, 0, UI_OUT_PIECE);
		buf_add(&u->out, piece);
		if (!ui_flush(u, e))
			return false;
		s = str_sub(s, piece.n, s.n);
	}
	return true;
}

/* Finds the member at `offset` and the request before it, from the beginning: members do not tell where they begin. */
static bool find_member(struct cat *c, struct str *request, struct err *e)
{
	struct arena *a = &c->u->arena;
	struct store *s = project_raw(&c->u->project);
	uint64_t n = 0, at = 0, size = 0;
	bool end = false, ok = true, found = false;
	struct buf segment = BUF_INIT((size_t)SEGMENT_READ_MAX + 1), inflated = BUF_INIT((size_t)SEGMENT_READ_MAX);
	struct warc_record r;
	if (!store_key_ok(c->segment_key))
		return err_set(e, ERR_USAGE, "%.*s is no key of a segment", STR_ARG(c->segment_key));
	if (!store_size(s, c->segment_key, &n, e))
		return false;
	if (n > SEGMENT_READ_MAX)
		return err_set(e, ERR_TOO_LARGE, "%.*s has %" PRIu64 " bytes", STR_ARG(c->segment_key), n);
	ok = store_read_at(s, c->segment_key, 0, buf_room(&segment, (size_t)n + 1), (size_t)n, e);
	segment.n = (size_t)n;
	*request = STR_NONE;
	while (ok && !found) {
		uint64_t from = at;
		ok = warc_next(buf_str(&segment), &at, raw_limits().body_bytes, &inflated, &r, &size, &end, e);
		if (!ok || end)
			break;
		found = from == c->offset;
		if (found)
			c->size = size;
		else if (str_eq(r.type, STR("request")))
			*request = arena_copy(a, r.http_head);
	}
	buf_free(&segment);
	buf_free(&inflated);
	if (ok && !found)
		return err_set(e, ERR_USAGE, "%.*s: no record begins at byte %" PRIu64, STR_ARG(c->segment_key), c->offset);
	return ok;
}

/* Heads were data of somebody else's: their control characters stay out of the terminal. */
static void put_head(struct ui *u, struct str head)
{
	struct str line;
	while (str_cut(&head, '\n', &line)) {
		text_escape(str_trim(line), false, &u->out);
		buf_add_char(&u->out, '\n');
	}
}

static bool cut_record(struct cat *c, struct err *e)
{
	const struct args *g = &c->u->args;
	struct str rest = g->value[OPT_RECORD], off;
	uint64_t at, n;
	if (!g->given[OPT_RECORD])
		return true;
	if (!str_cut(&rest, ',', &off) || !str_to_u64(off, &at) || !str_to_u64(rest, &n))
		return err_set(e, ERR_USAGE, "--record %.*s: two numbers are expected, offset and length: --record 14,345",
			       STR_ARG(g->value[OPT_RECORD]));
	if (at > c->body.n || n > c->body.n - at)
		return err_set(e, ERR_USAGE, "--record %.*s: the body has %zu bytes", STR_ARG(g->value[OPT_RECORD]), c->body.n);
	c->body = str_sub(c->body, (size_t)at, (size_t)n);
	return true;
}

static bool cat_print(struct cat *c, struct err *e)
{
	const struct args *g = &c->u->args;
	struct http_limits limits = raw_limits();
	struct str request = STR_NONE;
	struct ui *u = c->u;
	bool by_ledger = c->size > 0;
	if ((!by_ledger || g->given[OPT_HEAD]) && !find_member(c, &request, e)) {
		if (by_ledger && e->code == ERR_MISSING)
			e->code = ERR_DAMAGE; /* a segment that the ledger names */
		return false;
	}
	if (!raw_record_read(project_raw(&u->project), c->segment_key, c->offset, c->size, &limits, &c->record, e))
		return false;
	c->body = c->record.body;
	if (!cut_record(c, e))
		return false;
	if (g->given[OPT_HEAD]) {
		put_head(u, str_eq(c->record.record.type, STR("response")) ? request : c->record.record.http_head);
		buf_add_char(&u->out, '\n');
		if (str_eq(c->record.record.type, STR("response"))) {
			put_head(u, c->record.record.http_head);
			buf_add_char(&u->out, '\n');
		}
	}
	return put_piece(u, c->body, e);
}

static bool cat_find(struct cat *c, struct err *e)
{
	const struct args *g = &c->u->args;
	const struct resource *r;
	struct ledger l;
	struct raw_page p;
	uint64_t number, generation;
	if (!args_u64(g, OPT_GENERATION, 1, UINT32_MAX, 0, &generation, e))
		return false;
	if (g->n_operands == 2) {
		if (g->given[OPT_GENERATION])
			return err_set(e, ERR_USAGE, "--generation belongs to RESOURCE WINDOW PAGE: a segment is of one generation");
		c->segment_key = g->operands[0];
		if (!str_to_u64(g->operands[1], &c->offset))
			return err_set(e, ERR_USAGE, "offset %.*s: a number is expected", STR_ARG(g->operands[1]));
		return true;
	}
	if (!ui_resource(c->u, g->operands[0], &r, e) || !ui_window(g->operands[1], e))
		return false;
	if (!str_to_u64(g->operands[2], &number) || number == 0)
		return err_set(e, ERR_USAGE, "page %.*s: a number from 1 on is expected", STR_ARG(g->operands[2]));
	if (!raw_generation(&c->u->project, r->name, g->operands[1], (unsigned)generation, &c->u->arena, NULL, &l, e) ||
	    !raw_page(&l, number, &c->u->arena, &p, e))
		return false;
	c->segment_key = p.segment_key;
	c->offset = p.page.offset;
	c->size = p.page.size;
	return true;
}

int cmd_raw_cat(struct ui *u)
{
	struct err e = ERR_INIT;
	int status = 0;
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	struct cat c = { .u = u, .record = RAW_RECORD_INIT };
	bool ok = cat_find(&c, &e) && cat_print(&c, &e);
	raw_record_free(&c.record);
	return ok ? ui_done(u, 0) : ui_fail(u, &e);
}

/* ── accept ── */

int cmd_accept(struct ui *u)
{
	const struct args *g = &u->args;
	struct err e = ERR_INIT;
	const struct resource *r;
	struct window_generations w;
	struct ledger l;
	int status = 0;
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	struct project *j = &u->project;
	struct arena *a = &u->arena;
	if (!ui_resource(u, g->operands[0], &r, &e) || !ui_window(g->operands[1], &e))
		return ui_fail(u, &e);
	struct str key = key_window(key_resource(j->pipeline->name, r->name, a), g->operands[1], a);
	if (!window_generations_read(project_raw(j), j->clock, key, a, &w, &e))
		return ui_fail(u, &e);
	if (w.candidate == 0) {
		err_set(&e, ERR_USAGE, "%.*s %.*s: no fetch waits to be accepted", STR_ARG(r->name), STR_ARG(g->operands[1]));
		err_hint(&e, "`sluice status` counts those that do");
		return ui_fail(u, &e);
	}
	struct str note = arena_format(a, "accepted by `sluice accept`");
	if (!ledger_open(project_raw(j), j->clock, key_generation(key, w.candidate, a), STR("accept"), a, &l, &e) ||
	    !ledger_accept(&l, note, &e))
		return ui_fail(u, &e);
	if (!g->given[OPT_QUIET]) {
		struct buf b = BUF_INIT(4096);
		struct window at = { 0 };
		window_from_name(g->operands[1], &at);
		buf_addf(&b, "%.*s %.*s: generation %u with %s is the window's truth now.\n"
			 "`sluice run --from %.*s --to %.*s` publishes it.\n", STR_ARG(r->name), STR_ARG(g->operands[1]), w.candidate,
			 amount_things(l.seal.records, "record").text, STR_ARG(us_to_rfc3339(at.from_us, a)), STR_ARG(us_to_rfc3339(at.to_us, a)));
		ui_say(u, buf_str(&b));
		buf_free(&b);
	}
	return ui_done(u, 0);
}
