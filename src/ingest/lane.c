#include "ingest/lane.h"

#include "base/check.h"
#include "format/process.h"

#include <string.h>

int64_t loop_now_us(const struct loop *l)
{
	return l->o->clock->monotonic_us(l->o->clock);
}

struct lane *lane_new(struct loop *l, struct lane_task *task, uint64_t id)
{
	struct lane *n = mem_alloc(sizeof *n);
	n->loop = l;
	n->task = task;
	n->id = id;
	for (size_t i = 0; i < SLOTS_MAX; i++)
		n->slots[i].decoded = BUF_INIT(0);
	return n;
}

/* ── slots ── */

static void slot_clear_page(struct slot *s)
{
	if (s->exchange)
		http_exchange_free(s->exchange);
	if (s->arena) {
		arena_free(s->arena);
		mem_free(s->arena);
	}
	s->exchange = NULL;
	s->arena = NULL;
	s->guessed = s->body_known = false;
}

static bool slot_is_away(const struct slot *s)
{
	return s->state == SLOT_FLYING || s->state == SLOT_JUDGING;
}

/* Builds the request anew: also for a retry, since the last one went into the record of the failed attempt. */
bool slot_prepare(struct slot *s, struct err *e)
{
	struct lane_task *t = s->lane->task;
	slot_clear_page(s);
	s->arena = mem_alloc(sizeof *s->arena);
	s->hops = 0;
	/* The request goes into Raw later than the lane forgets what led to it. */
	struct page_next asked = next_copy(&s->asked, s->arena);
	if (!request_build(t->resource, t->window, &asked, s->arena, &s->request, e))
		return false;
	s->asked_target = s->request.target;
	return true;
}

static void slot_begin(struct lane *n, struct slot *s, const struct page_next *asked)
{
	struct slot kept = *s;
	*s = (struct slot){ .lane = n, .state = SLOT_READY, .decoded = kept.decoded, .asked_texts = kept.asked_texts };
	arena_reset(&s->asked_texts);
	s->asked = next_copy(asked, &s->asked_texts);
	s->retry.random = n->loop->o->seed ^ (n->id * UINT64_C(0x9e3779b97f4a7c15)) ^ n->accepted.pages;
	s->records_before = n->accepted.records;
}

/* What is on its way is only marked: its memory is needed until the answer is here. */
void slot_drop(struct slot *s)
{
	if (slot_is_away(s)) {
		s->dropped = true;
		return;
	}
	slot_clear_page(s);
	s->state = SLOT_IDLE;
	s->dropped = false;
}

static bool any_slot_away(const struct lane *n)
{
	for (size_t i = 0; i < n->n_slots; i++)
		if (slot_is_away(&n->slots[i]))
			return true;
	return false;
}

static struct slot *slot_with(struct lane *n, const struct page_next *next)
{
	for (size_t i = 0; i < n->n_slots; i++) {
		struct slot *s = &n->slots[i];
		if (s->state != SLOT_IDLE && !s->dropped && next_same(&s->asked, next))
			return s;
	}
	return NULL;
}

static struct slot *slot_free_one(struct lane *n)
{
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].state == SLOT_IDLE)
			return &n->slots[i];
	return n->n_slots < SLOTS_MAX ? &n->slots[n->n_slots++] : NULL;
}

/* How many pages are known to follow the accepted ones: ahead of the next one nothing is asked unless the API said how
 * many records there are, so that no request is made for nothing. */
static uint64_t pages_known_ahead(const struct lane *n)
{
	const struct paginate *p = &n->task->resource->paginate;
	const struct ledger_state *s = &n->accepted;
	if ((p->style != PAGE_NUMBER && p->style != PAGE_OFFSET) || !s->has_total || s->totals_differ ||
	    n->page_records == 0 || n->pages_uneven || s->total <= s->records)
		return 1;
	return (s->total - s->records + n->page_records - 1) / n->page_records;
}

/* The slot that asks so, there already or new; NULL: not now. */
static struct slot *slot_for(struct lane *n, const struct page_next *next, bool guess)
{
	struct slot *s = slot_with(n, next);
	if (s)
		return s;
	s = slot_free_one(n);
	if (s == NULL)
		return NULL;
	slot_begin(n, s, next);
	struct err why = ERR_INIT;
	if (slot_prepare(s, &why))
		return s;
	slot_drop(s);
	if (!guess)
		lane_close(n, CLOSE_FAIL, &why);
	return NULL;
}

/* The slot that asks so, where its page fits beside what is not durable yet: without room only the page that is wanted next
 * gets one, and is not sent. NULL: not now. `ahead`: what is asked for before it, and then with it. */
static struct slot *slot_in_order(struct lane *n, const struct page_next *next, struct fetched *ahead, bool guess)
{
	bool first = ahead->pages == 0, has_room = n->verifying || room_has(n, *ahead);
	if (first)
		n->room.full = !has_room;
	else if (!has_room)
		return NULL;
	struct slot *s = slot_for(n, next, guess);
	if (s == NULL)
		return NULL;
	bool here = s->state == SLOT_JUDGING || s->state == SLOT_JUDGED;
	s->has_room = has_room;
	ahead->pages++;
	ahead->bytes += here ? s->exchange->body.n : n->room.largest_bytes;
	return s;
}

/* Pages whose numbers are known. */
static void slots_fill_numbers(struct lane *n)
{
	struct fetched before = { 0 };
	uint64_t ahead = n->verifying ? 1 : pages_known_ahead(n);
	uint32_t most = n->loop->source->in_flight < SLOTS_MAX ? n->loop->source->in_flight : SLOTS_MAX;
	int64_t step = n->task->resource->paginate.style == PAGE_NUMBER ? 1 : (int64_t)n->page_records;
	struct page_next next = lane_wanted(n);
	if (ahead > most)
		ahead = most;
	for (uint64_t i = 0; i < ahead; i++) {
		struct slot *s = slot_in_order(n, &next, &before, false);
		if (s == NULL || next.kind != NEXT_NUMBER || s->state == SLOT_FAILED || next.number > INT64_MAX - step)
			return; /* behind a page that cannot be had, nothing more is asked */
		next.number += step;
	}
}

/* The next page, and what the pages that are being judged probably lead to. */
static void slots_fill_texts(struct lane *n)
{
	struct page_next next = lane_wanted(n);
	struct fetched before = { 0 };
	for (unsigned i = 0; i <= GUESSES_MAX; i++) {
		struct slot *s = slot_in_order(n, &next, &before, i > 0);
		if (s == NULL || !s->guessed || n->guessed_wrong || n->verifying)
			return;
		next = s->guess;
	}
}

static void slots_fill(struct lane *n)
{
	enum page_style style = n->task->resource->paginate.style;
	if (style == PAGE_NUMBER || style == PAGE_OFFSET)
		slots_fill_numbers(n);
	else
		slots_fill_texts(n);
}

void lane_ask(struct lane *n)
{
	if (n->state == LANE_S_RUNNING && n->closing == CLOSE_NONE)
		slots_fill(n);
}

/* ── the life of a lane ── */

static void task_failed(struct lane *n, const struct err *why)
{
	if (n->task->err.code == ERR_NONE)
		n->task->err = *why;
}

static void lane_ended(struct lane *n)
{
	struct lane_task *t = n->task;
	CHECK(n->state == LANE_S_CLOSING && n->jobs == 0);
	n->state = LANE_S_ENDED;
	t->pages = n->accepted.pages;
	t->records = n->accepted.records;
	t->body_bytes = n->accepted.bytes;
	t->digest = n->accepted.digest;
	t->first_sent_us = n->accepted.first_sent_us;
	if (t->failed_request.n > 0 && n->last_segment_key.n > 0 && n->has_last_attempt) {
		t->failed_raw = arena_copy(n->loop->run_arena, n->last_segment_key);
		t->failed_offset = n->last_attempt_offset;
	}
	if (n->broken)
		t->outcome = t->err.code == ERR_FENCED ? LANE_FENCED : LANE_FAILED;
	else if (n->closing == CLOSE_SEAL) {
		t->outcome = n->seal.promoted ? LANE_SEALED : LANE_CANDIDATE;
		t->seal_hash = n->ledger.seal_hash;
	} else if (n->closing == CLOSE_STOP) {
		t->outcome = LANE_STOPPED;
	} else {
		t->outcome = LANE_FAILED;
	}
}

/* After a stop, or once another run was met, nothing more is claimed. */
static void lane_give_way(struct lane *n)
{
	struct err why = ERR_INIT;
	err_set(&why, ERR_FENCED, "not begun, since another run is at work");
	lane_close(n, CLOSE_STOP, &why);
	n->state = LANE_S_CLOSING;
}

static bool tick_is_due(const struct lane *n, int64_t now)
{
	if (n->jobs > 0) /* they own the segment */
		return false;
	return (n->warc && (n->room.full || room_segment_is_old(n, n->segment_since_us, now))) ||
	       now - n->last_entry_us >= RENEW_EVERY_US;
}

static void slots_wake(struct lane *n, int64_t now)
{
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].state == SLOT_PAUSED && now >= n->slots[i].pause_until_us)
			n->slots[i].state = SLOT_READY;
}

void lane_step(struct lane *n)
{
	int64_t now = loop_now_us(n->loop);
	bool unclaimed = n->state == LANE_S_NEW || n->state == LANE_S_LEASE_WAIT;
	if (unclaimed && (n->closing != CLOSE_NONE || n->loop->fenced)) {
		lane_give_way(n);
	} else if (n->state == LANE_S_NEW || (n->state == LANE_S_LEASE_WAIT && now >= n->lease_wait_until_us)) {
		n->state = LANE_S_OPENING;
		lane_submit_open(n);
	}
	if (n->state == LANE_S_RUNNING && n->closing == CLOSE_NONE) {
		slots_wake(n, now);
		lane_ask(n);
		if (tick_is_due(n, now))
			lane_submit_tick(n);
	}
	/* Answers still on their way are not wanted any more; what is there is committed without waiting for them. */
	if (n->state == LANE_S_RUNNING && n->closing != CLOSE_NONE) {
		n->state = LANE_S_CLOSING;
		lane_submit_commit(n, n->closing);
	}
	if (n->state == LANE_S_CLOSING && n->jobs == 0 && !any_slot_away(n))
		lane_ended(n);
}

/* A redirect that leads away is the whole source's matter; a next URL that does so may be that of one resource. */
static bool no_other_fares_better(const struct lane *n, enum err_code code)
{
	return (code == ERR_ORIGIN && n->source_moved) || code == ERR_AUTH || code == ERR_TLS || code == ERR_ADDRESS || code == ERR_SECRET;
}

void lane_close(struct lane *n, enum close_kind kind, const struct err *why)
{
	if (n->closing != CLOSE_NONE)
		return;
	n->closing = kind;
	if (why && kind != CLOSE_STOP)
		loop_lane_failed(n->loop, why, no_other_fares_better(n, why->code));
	if (why) {
		n->close_err = *why;
		task_failed(n, why);
	}
	for (size_t i = 0; i < n->n_slots; i++)
		slot_drop(&n->slots[i]);
}

void lane_job_failed(struct lane *n, const struct err *why)
{
	n->task->err = *why; /* losing the store or the claim weighs more than what the API said */
	if (why->code == ERR_FENCED)
		n->loop->fenced = true;
	if (n->closing == CLOSE_NONE)
		lane_close(n, CLOSE_FAIL, why);
}

/* Another host may have died without a word: its lease is waited for, once. A process of this host is known to live. */
static bool lease_is_worth_waiting(struct lane *n)
{
	const struct ledger *l = &n->ledger;
	if (n->waited_for_lease || process_same_host(l->lease.boot_id, l->lease.pid_namespace))
		return false;
	int64_t left = l->last_time_us + (int64_t)LEASE_S * US_PER_SECOND - l->clock->wall_us(l->clock);
	if (left > (int64_t)LEASE_S * US_PER_SECOND)
		left = (int64_t)LEASE_S * US_PER_SECOND; /* its clock runs ahead of ours */
	n->waited_for_lease = true;
	n->state = LANE_S_LEASE_WAIT;
	n->lease_wait_until_us = loop_now_us(n->loop) + (left > 0 ? left : 0);
	return true;
}

static void lane_refused(struct lane *n)
{
	const struct ledger *l = &n->ledger;
	err_set(&n->task->err, ERR_FENCED, "%.*s: run %.*s (process %lld on %.*s) is at work on it",
		STR_ARG(l->generation_key), STR_ARG(l->lease.run_id), (long long)l->lease.pid, STR_ARG(l->lease.host));
	err_hint(&n->task->err, "wait for it to end, or take its work over with --takeover");
	n->loop->fenced = true;
	n->broken = true;
	n->closing = CLOSE_FAIL;
}

void lane_opened(struct lane *n, enum lease_answer lease, const struct err *failed)
{
	struct lane_task *t = n->task;
	n->state = LANE_S_RUNNING;
	if (failed) {
		if (failed->code == ERR_FENCED)
			n->loop->fenced = true;
		else
			loop_lane_failed(n->loop, failed, false);
		t->err = *failed;
		n->broken = true;
		n->closing = CLOSE_FAIL;
		return;
	}
	if (lease == LEASE_LIVE) {
		if (!lease_is_worth_waiting(n))
			lane_refused(n);
		return;
	}
	n->accepted = n->ledger.state;
	/* A run that died between the last page and the word about it left this to us. */
	if (n->accepted.next.kind == NEXT_END && n->closing == CLOSE_NONE)
		lane_complete(n);
}

void lane_free(struct lane *n)
{
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		slot_clear_page(&n->slots[i]);
		buf_free(&n->slots[i].decoded);
		arena_free(&n->slots[i].asked_texts);
	}
	if (n->warc)
		warc_abort(n->warc);
	arena_free(&n->texts);
	arena_free(&n->ledger_arena);
	arena_free(&n->pending_arena);
	mem_free(n);
}

/* A disk that is slow at times (it syncs once a segment) must not hold up the source, nor may pages pile up in memory. */
static bool stores_lag(const struct lane *n)
{
	return n->jobs > STORES_AHEAD_MAX && (n->jobs > SMALL_STORES_AHEAD_MAX || n->jobs_bytes > SMALL_STORES_BYTES);
}

bool lane_wants_request(struct lane *n, struct slot **slot)
{
	if (n->state != LANE_S_RUNNING || n->closing != CLOSE_NONE || stores_lag(n))
		return false;
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].state == SLOT_READY && n->slots[i].has_room) {
			*slot = &n->slots[i];
			return true;
		}
	return false;
}

int64_t lane_next_time_us(const struct lane *n)
{
	int64_t next = INT64_MAX;
	if (n->state == LANE_S_LEASE_WAIT)
		return n->lease_wait_until_us;
	if (n->state != LANE_S_RUNNING || n->closing != CLOSE_NONE)
		return next;
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].state == SLOT_PAUSED && n->slots[i].pause_until_us < next)
			next = n->slots[i].pause_until_us;
	int64_t renew = n->last_entry_us + RENEW_EVERY_US;
	return n->jobs == 0 && renew < next ? renew : next;
}
