/* From an answer to an accepted page, or to the end of the lane: all on the loop's thread, but for page_judge. */
#include "ingest/lane.h"

#include "base/check.h"

#include <string.h>

enum { LOOKED_AT_ONCE_MAX = 256 << 10 };

static void slot_idle(struct slot *s)
{
	s->state = SLOT_IDLE;
	slot_drop(s);
}

void lane_cancel_flying(struct lane *n)
{
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].state == SLOT_FLYING)
			slot_idle(&n->slots[i]);
}

bool next_same(const struct page_next *a, const struct page_next *b)
{
	return a->kind == b->kind && a->number == b->number && str_eq(a->text, b->text);
}

struct page_next lane_wanted(const struct lane *n)
{
	return n->verifying ? (struct page_next){ .kind = NEXT_START } : n->accepted.next;
}

/* ── what a failure leads to ── */

enum { FAILED_BODY_SHOWN = 500, FAILED_BODY_SEARCHED = 64 << 10, FAILED_BODY_MAX = 8 << 20 };

static void remember_failure(struct slot *s)
{
	struct lane_task *t = s->lane->task;
	struct arena *a = s->lane->loop->run_arena;
	const struct http_exchange *x = s->exchange;
	t->failed_request = arena_format(a, "%.*s %.*s", STR_ARG(s->request.http.method), STR_ARG(s->request.target));
	t->failed_status = x ? x->status : 0;
	if (x == NULL)
		return;
	struct buf shown = BUF_INIT(FAILED_BODY_MAX), decoded = BUF_INIT(0);
	struct str body = x->body;
	struct err ignored = ERR_INIT;
	if (!body_decode(x->head, x->body, 1 << 20, 1000, &decoded, &body, &ignored))
		body = x->body;
	size_t hits = 0;
	/* Cut afterwards, so that no half of a secret stays at the end. */
	if (secret_redact(&s->lane->task->resource->source->secrets, str_sub(body, 0, FAILED_BODY_SEARCHED), &shown, &hits))
		t->failed_body = arena_copy(a, str_sub(buf_str(&shown), 0, FAILED_BODY_SHOWN));
	buf_free(&shown);
	buf_free(&decoded);
}

static bool keeps_generation_open(enum err_code code)
{
	/* Rule 7: where the pages so far may no longer belong together, the next run starts at page 1. */
	return code != ERR_PAGE_LOOP && code != ERR_TOTAL;
}

/* A message may quote what the server said, and that may be our secret. */
static struct err err_redacted(const struct slot *s, const struct err *why)
{
	const struct secret_set *set = &s->lane->task->resource->source->secrets;
	struct err told = *why;
	struct buf text = BUF_INIT(FAILED_BODY_MAX);
	size_t hits = 0;
	CHECK(secret_redact(set, str_from(why->message), &text, &hits));
	if (hits > 0)
		err_set(&told, why->code, "%.*s", STR_ARG(buf_str(&text)));
	buf_clear(&text);
	CHECK(secret_redact(set, str_from(why->hint), &text, &hits));
	if (text.n > 0)
		err_hint(&told, "%.*s", STR_ARG(buf_str(&text)));
	told.sys_errno = why->sys_errno;
	buf_free(&text);
	return told;
}

static void slot_failed(struct slot *s, const struct err *why)
{
	struct lane *n = s->lane;
	struct err told = err_redacted(s, why);
	struct page_next wanted = lane_wanted(n);
	if (!next_same(&s->asked, &wanted)) {
		s->err = told;
		s->state = SLOT_FAILED;
		return;
	}
	bool cursor_refused = why->code == ERR_HTTP_STATUS && s->asked.kind == NEXT_TEXT && s->exchange &&
			      s->exchange->status >= 400 && s->exchange->status < 500;
	err_wrap(&told, "%.*s, window %.*s, page %llu%s", STR_ARG(n->task->resource->name),
		 STR_ARG(window_name(n->task->window, n->loop->run_arena)),
		 n->verifying ? 1ULL : (unsigned long long)n->accepted.pages + 1,
		 n->verifying ? ", asked for once more" : "");
	remember_failure(s);
	if (s->exchange) {
		n->task->failed_attempts++;
		lane_submit_attempt(s, why->code);
	}
	slot_idle(s);
	lane_close(n, keeps_generation_open(why->code) && !cursor_refused ? CLOSE_FAIL : CLOSE_ABANDON, &told);
}

/* After a pause, or not at all. The failed exchange is kept in Raw either way. */
static void slot_retry(struct slot *s, enum answer_class class, const struct err *why, int64_t server_wait_us)
{
	struct lane *n = s->lane;
	struct err last = *why;
	int64_t pause_us = 0, now = loop_now_us(n->loop);
	/* The whole source is told, also where this request gives up because of it: no other may ask either. */
	if (class == ANSWER_BUSY && server_wait_us > 0)
		rate_hold(&n->loop->rate, now + server_wait_us);
	if (!retry_next(&s->retry, &n->loop->source->retry, class, why, server_wait_us, &pause_us, &last)) {
		slot_failed(s, &last);
		return;
	}
	n->task->retries++;
	if (class == ANSWER_BUSY) {
		n->task->busy++;
		rate_hold(&n->loop->rate, now + pause_us);
	}
	if (s->exchange) {
		n->task->failed_attempts++;
		lane_submit_attempt(s, why->code);
	}
	struct err bad = ERR_INIT;
	if (!slot_prepare(s, &bad)) {
		slot_failed(s, &bad);
		return;
	}
	s->state = SLOT_PAUSED;
	s->pause_until_us = now + pause_us;
}

/* A kept connection that the server closed as the request went out says nothing about the API: once, and for methods that
 * may be repeated, it is asked again without a pause. It is a request like any other: counted, rated and kept. */
static bool slot_again(struct slot *s, const struct err *why)
{
	struct lane *n = s->lane;
	struct err bad = ERR_INIT;
	if (!s->exchange->kept_was_closed || s->kept_was_closed || !str_eq_z(s->request.http.method, "GET"))
		return false;
	s->kept_was_closed = true;
	if (s->retry.attempts++ == 0)
		s->retry.first = *why;
	n->task->retries++;
	n->task->failed_attempts++;
	lane_submit_attempt(s, why->code);
	if (!slot_prepare(s, &bad)) {
		slot_failed(s, &bad);
		return true;
	}
	s->request.http.fresh_connection = true;
	s->state = SLOT_READY;
	return true;
}

/* ── accepting in order ── */

static struct sha256 digest_add(struct sha256 before, const struct page_request *q, struct sha256 body)
{
	struct sha256_state s; /* rule 13 */
	sha256_begin(&s);
	sha256_add(&s, before.b, sizeof before.b);
	sha256_add(&s, q->fingerprint.b, sizeof q->fingerprint.b);
	sha256_add(&s, body.b, sizeof body.b);
	return sha256_end(&s);
}

/* What must not come twice. By cursor or URL: the question, whatever else the answer says (a time, an id of the request).
 * By number every question differs, so it is the list of records; a page without records ends the window and is not
 * looked at. */
static struct sha256 guard_value(const struct slot *s)
{
	enum page_style style = s->lane->task->resource->paginate.style;
	return style == PAGE_NUMBER || style == PAGE_OFFSET ? s->result.records_hash : s->request.fingerprint;
}

static bool state_after(struct slot *s, struct ledger_state *after, struct err *e)
{
	struct lane *n = s->lane;
	const struct page_result *r = &s->result;
	const struct resource *res = n->task->resource;
	*after = n->accepted;
	after->pages++;
	after->records += r->records;
	after->bytes += r->body.n;
	after->digest = digest_add(n->accepted.digest, &s->request, r->body_hash);
	after->next = r->next;
	keyset_step(res, &r->keys, after->pages, &after->keyset, s->arena);
	if (after->pages == 1 && res->paginate.verify) {
		after->has_first_page = true;
		after->first_page = r->body_hash;
	}
	if (r->has_total) {
		after->totals_differ = after->totals_differ || (after->has_total && after->total != r->total);
		after->has_total = true;
		after->total = r->total;
	}
	if (res->total_max > 0 && (after->records >= res->total_max || (r->has_total && r->total >= res->total_max)))
		return err_set(e, ERR_TOTAL, "the window holds %llu records or more, which is where this API stops "
			       "counting (total_max): make `window.every` smaller", (unsigned long long)res->total_max);
	if (r->next.kind == NEXT_END)
		return true;
	if (loop_guard_step(&after->guard, guard_value(s)))
		return err_set(e, ERR_PAGE_LOOP, "%.*s gave the same page as one before it", STR_ARG(s->request.target));
	return true;
}

static bool totals_add_up(struct lane *n, struct err *e)
{
	const struct ledger_state *s = &n->accepted;
	if (!s->has_total || s->totals_differ || s->records == s->total)
		return true;
	return err_set(e, ERR_TOTAL, "%.*s, window %.*s: the API declares %llu records and gave %llu",
		       STR_ARG(n->task->resource->name), STR_ARG(window_name(n->task->window, n->loop->run_arena)),
		       (unsigned long long)s->total, (unsigned long long)s->records);
}

static void seal_classify(struct lane *n, struct ledger_seal *seal)
{
	const struct ledger_state *s = &n->accepted;
	const struct ledger_keyset *k = &s->keyset;
	const struct resource *r = n->task->resource;
	const char *totals = s->totals_differ ? "the declared totals of the pages differ: the source changed during the fetch"
			     : s->has_total   ? "all pages declare the same total, and so many records came"
					      : "totals are not declared";
	struct arena *a = n->loop->run_arena;
	bool rises = r->keyset.n > 0 && k->broken.n == 0 && k->last.kind != KEY_NONE;
	bool changed = n->verifying && !n->verified_same;
	seal->consistency = CLASS_BEST_EFFORT;
	if (s->pages == 1) {
		seal->consistency = CLASS_SNAPSHOT;
		seal->evidence = STR("one response");
		return;
	}
	if (rises && !changed)
		seal->consistency = CLASS_KEYSET;
	else if (n->verifying && n->verified_same)
		seal->consistency = CLASS_OFFSET_VERIFIED;
	if (changed)
		seal->evidence = STR("the first page was another one after the last: the source changed during the fetch");
	else if (n->verifying)
		seal->evidence = arena_format(a, "the first page was the same before and after; %s", totals);
	else if (s->has_total)
		seal->evidence = str_from(totals);
	else if (!rises)
		seal->evidence = STR("several requests; the source may have changed between them");
	if (rises) {
		struct str more = seal->evidence;
		seal->evidence = arena_format(a, "%.*s rises strictly over %llu records%s%.*s", STR_ARG(k->path),
					      (unsigned long long)s->records, more.n > 0 ? "; " : "", STR_ARG(more));
	} else if (r->keyset.n > 0 && k->broken.n > 0) {
		seal->evidence = arena_format(a, "%.*s; %.*s", STR_ARG(k->broken), STR_ARG(seal->evidence));
	}
}

/* How far the set of pages can be trusted, and whether it becomes the window's truth. */
static void seal_make(struct lane *n)
{
	const struct ledger_state *s = &n->accepted;
	const struct lane_task *t = n->task;
	struct ledger_seal *seal = &n->seal;
	*seal = (struct ledger_seal){
		.promoted = true,
		.pages = s->pages,
		.records = s->records,
		.bytes = s->bytes,
		.digest = s->digest,
		.sealed_us = n->loop->o->clock->wall_us(n->loop->o->clock),
	};
	seal_classify(n, seal);
	uint64_t percent = t->resource->refetch_min_percent;
	if (t->has_previous && t->previous_records >= 100 && s->records * 100 < t->previous_records * percent) {
		seal->promoted = false;
		seal->candidate_reason = arena_format(n->loop->run_arena, "%llu records where the generation before had %llu",
						      (unsigned long long)s->records,
						      (unsigned long long)t->previous_records);
	}
}

/* Page numbers and offsets shift when the source changes; what begins with the same page did not, as far as that shows.
 * (A generation that was begun before `verify` was said has nothing to compare with.) */
static bool wants_verifying(const struct lane *n)
{
	const struct ledger_state *s = &n->accepted;
	return n->task->resource->paginate.verify && s->has_first_page && s->pages > 1 && !s->totals_differ;
}

void lane_complete(struct lane *n)
{
	struct err why = ERR_INIT;
	if (!totals_add_up(n, &why)) {
		lane_close(n, CLOSE_ABANDON, &why);
		return;
	}
	if (wants_verifying(n)) {
		n->verifying = true;
		for (size_t i = 0; i < n->n_slots; i++)
			slot_drop(&n->slots[i]);
		return;
	}
	seal_make(n);
	lane_close(n, CLOSE_SEAL, NULL);
}

/* The first page, once more: not kept, only compared. */
static void verify_one(struct lane *n, struct slot *s)
{
	n->verified_same = sha256_eq(s->result.body_hash, n->accepted.first_page);
	slot_idle(s);
	seal_make(n);
	lane_close(n, CLOSE_SEAL, NULL);
}

/* Guesses that do not lie on the way that the accepted pages take. */
static void drop_wrong_numbers(struct lane *n)
{
	const struct page_next *next = &n->accepted.next;
	int64_t step = n->task->resource->paginate.style == PAGE_OFFSET ? (int64_t)n->page_records : 1;
	for (size_t i = 0; i < n->n_slots; i++) {
		struct slot *s = &n->slots[i];
		if (s->state == SLOT_IDLE || s->asked.kind != NEXT_NUMBER)
			continue;
		bool on_the_way = next->kind == NEXT_NUMBER && s->asked.number >= next->number && step > 0 &&
				  (s->asked.number - next->number) % step == 0;
		if (!on_the_way)
			slot_drop(s);
	}
}

/* All guesses hang on each other: where the first one was wrong, the others are. */
static void drop_wrong_texts(struct lane *n)
{
	bool right = false, any = false;
	for (size_t i = 0; i < n->n_slots; i++) {
		const struct slot *s = &n->slots[i];
		bool asks = s->state != SLOT_IDLE && !s->dropped;
		any = any || asks;
		right = right || (asks && next_same(&s->asked, &n->accepted.next));
	}
	if (!any || right)
		return;
	n->guessed_wrong = true;
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].state != SLOT_IDLE)
			slot_drop(&n->slots[i]);
}

static void drop_wrong_guesses(struct lane *n)
{
	enum page_style style = n->task->resource->paginate.style;
	if (style == PAGE_NUMBER || style == PAGE_OFFSET)
		drop_wrong_numbers(n);
	else
		drop_wrong_texts(n);
}

static bool accept_one(struct lane *n, struct slot *s)
{
	struct ledger_state after;
	struct err why = ERR_INIT;
	page_settle(n->accepted.records, &s->result); /* pages asked ahead only guessed what came before them */
	if (!state_after(s, &after, &why)) {
		slot_failed(s, &why);
		return false;
	}
	uint64_t records = s->result.records;
	if (n->page_records == 0)
		n->page_records = records > UINT32_MAX ? UINT32_MAX : (unsigned)records;
	after = state_copy(&after, s->arena); /* some texts live where those of the newest page go */
	arena_reset(&n->texts);
	n->accepted = state_copy(&after, &n->texts);
	n->loop->breaker.in_a_row = 0;
	n->place = s->result.place;
	bool cut = room_accept(n, s->exchange->body.n);
	lane_submit_page(s, &after, s->retry.attempts + 1, cut);
	slot_idle(s);
	if (after.next.kind == NEXT_END) {
		lane_complete(n);
		return false;
	}
	if (n->task->resource->paginate.style == PAGE_OFFSET && records != n->page_records)
		n->pages_uneven = true;
	drop_wrong_guesses(n);
	return true;
}

/* Pages that are judged and next in order, as far as they go. */
static void lane_accept(struct lane *n)
{
	bool more = true;
	while (more && n->closing == CLOSE_NONE) {
		struct page_next wanted = lane_wanted(n);
		more = false;
		for (size_t i = 0; i < n->n_slots && !more; i++) {
			struct slot *s = &n->slots[i];
			if (s->state == SLOT_IDLE || s->dropped || !next_same(&s->asked, &wanted))
				continue;
			if (s->state == SLOT_JUDGED && n->verifying) {
				verify_one(n, s);
			} else if (s->state == SLOT_JUDGED) {
				more = accept_one(n, s);
			} else if (s->state == SLOT_FAILED) {
				struct err why = s->err;
				slot_failed(s, &why);
			}
			break;
		}
	}
}

/* ── answers ── */

/* An error page may be the same for minutes and then be gone. What has the form of a page, byte for byte as before, will not
 * change with the third attempt. */
static bool refused_twice(struct slot *s)
{
	bool twice = s->result.in_form && s->has_refused && sha256_eq(s->refused, s->result.body_hash);
	s->has_refused = s->result.in_form;
	s->refused = s->result.body_hash;
	return twice;
}

static void slot_judged(struct slot *s)
{
	struct lane *n = s->lane;
	CHECK(s->state == SLOT_JUDGING);
	if (s->dropped || n->closing != CLOSE_NONE) {
		slot_idle(s);
		return;
	}
	if (s->judged_ok) {
		s->state = SLOT_JUDGED;
		lane_accept(n);
		return;
	}
	struct err why = s->err;
	s->state = SLOT_READY;
	if (refused_twice(s)) {
		s->retry.attempts++;
		err_wrap(&why, "the same answer twice");
		slot_failed(s, &why);
	} else if (err_retry(why.code) == ERR_RETRY_SAFE)
		slot_retry(s, ANSWER_RETRY, &why, -1);
	else
		slot_failed(s, &why);
}

/* Decodes, and guesses where the page leads on; false: it is no page. */
static bool slot_look(struct slot *s)
{
	const struct resource *r = s->lane->task->resource;
	s->result = (struct page_result){ 0 };
	s->judged_ok = page_decode(r, s->exchange, &s->request, &s->decoded, &s->body, &s->err);
	s->body_known = s->judged_ok;
	s->guessed = s->judged_ok && page_guess(r, s->exchange, &s->request, &s->asked, &s->place, s->body, s->arena, &s->guess);
	return s->judged_ok;
}

/* In two steps where the way on can be guessed: then the loop hears of it before the page is parsed and hashed. */
static void judge_work(struct pool_job *p)
{
	struct slot *s = (struct slot *)((char *)p - offsetof(struct slot, judge));
	if (!s->body_known) {
		bool ok = slot_look(s);
		s->half_judged = ok && s->guessed;
		if (!ok || s->half_judged)
			return;
	}
	s->half_judged = false;
	s->judged_ok = page_judge_body(s->lane->task->resource, s->exchange, &s->request, &s->asked, s->records_before, s->body,
				       s->arena, &s->result, &s->err);
}

static void judge_done(struct pool_job *p)
{
	struct slot *s = (struct slot *)((char *)p - offsetof(struct slot, judge));
	if (!s->half_judged || s->dropped || s->lane->closing != CLOSE_NONE) {
		slot_judged(s);
		return;
	}
	lane_ask(s->lane);
	pool_submit(s->lane->loop->pool, &s->judge);
}

/* The loop itself looks at a small body where it would only wait otherwise: the next request goes out at once. */
static void slot_judge(struct slot *s)
{
	struct lane *n = s->lane;
	if (s->exchange->body.n > n->room.largest_bytes)
		n->room.largest_bytes = s->exchange->body.n;
	s->state = SLOT_JUDGING;
	s->err = ERR_INIT;
	s->half_judged = s->body_known = s->guessed = false;
	s->place = n->place;
	if (n->guessed_wrong || n->verifying)
		s->place.kind = PLACE_UNKNOWN;
	s->judge = (struct pool_job){ .work = judge_work, .done = judge_done };
	bool at_once = n->loop->flying == 0 && s->place.kind != PLACE_UNKNOWN && s->exchange->body.n <= LOOKED_AT_ONCE_MAX;
	if (at_once && !slot_look(s)) {
		slot_judged(s);
		return;
	}
	if (s->guessed)
		lane_ask(n);
	pool_submit(n->loop->pool, &s->judge);
}

static void slot_redirected(struct slot *s)
{
	struct err e = ERR_INIT;
	struct page_request to;
	struct str location = arena_copy(s->arena, http_header_get(s->exchange, "location"));
	if (!request_redirect(s->lane->task->resource, &s->request, location, s->hops++, s->arena, &to, &e)) {
		if (e.code == ERR_ORIGIN)
			s->lane->source_moved = true;
		slot_failed(s, &e);
		return;
	}
	to.fingerprint = s->request.fingerprint; /* the page is known by what was asked, not by where it was found */
	s->request = to;
	http_exchange_free(s->exchange);
	s->exchange = NULL;
	s->state = SLOT_READY;
}

static void note_first_sent(struct lane *n, const struct http_exchange *x)
{
	int64_t sent = x->sent_wall_us, date = 0;
	if (n->accepted.first_sent_us != 0)
		return;
	/* Rule 4: the earlier of our clock and the server's. */
	if (us_from_http_date(http_header_get(x, "date"), &date) && date < sent)
		sent = date;
	n->accepted.first_sent_us = sent;
}

void lane_answer(struct slot *s, struct http_exchange *x)
{
	struct lane *n = s->lane;
	CHECK(s->state == SLOT_FLYING);
	s->exchange = x;
	if (x->sent_us != 0)
		rate_sent(&n->loop->rate, s->nth, x->sent_us);
	if (s->dropped || n->closing != CLOSE_NONE) {
		slot_idle(s);
		return;
	}
	struct err why = ERR_INIT;
	int64_t wall = n->loop->o->clock->wall_us(n->loop->o->clock), now = loop_now_us(n->loop), wait = -1;
	n->task->wire_bytes += x->body.n;
	if (rate_headers_wait_us(x, wall, &wait))
		rate_hold(&n->loop->rate, now + wait);
	wait = -1;
	enum answer_class class = answer_classify(x, s->request.http.method, s->request.target, &why);
	if (class == ANSWER_RETRY && slot_again(s, &why))
		return;
	if (class == ANSWER_RETRY || class == ANSWER_BUSY) {
		if (!retry_after_us(x, wall, &wait) && !(class == ANSWER_BUSY && rate_headers_wait_us(x, wall, &wait)))
			wait = -1;
		slot_retry(s, class, &why, wait);
	} else if (class == ANSWER_REDIRECT) {
		slot_redirected(s);
	} else if (class == ANSWER_FAIL) {
		s->retry.attempts++;
		slot_failed(s, &why);
	} else {
		note_first_sent(n, x);
		slot_judge(s);
	}
}
