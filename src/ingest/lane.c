#include "ingest/lane.h"

#include "base/check.h"
#include "format/process.h"

#include <string.h>

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
	if (!request_build(t->resource, t->window, &s->asked, s->arena, &s->request, e))
		return false;
	s->asked_target = s->request.target;
	return true;
}

static void slot_begin(struct lane *n, struct slot *s, const struct page_next *asked)
{
	struct buf decoded = s->decoded;
	*s = (struct slot){ .lane = n, .state = SLOT_READY, .asked = *asked, .decoded = decoded };
	s->retry.random = n->loop->o->seed ^ (n->id * UINT64_C(0x9e3779b97f4a7c15)) ^ n->accepted.pages;
	s->records_before = n->accepted.records;
}

/* Every slot behind the first was a guess; a guess that turned out wrong is thrown away. Those whose request is on its
 * way are only marked: their memory is needed until the answer is here. */
void slots_drop_from(struct lane *n, size_t first)
{
	for (size_t i = first; i < n->n_slots; i++) {
		struct slot *s = &n->slots[i];
		if (slot_is_away(s)) {
			s->dropped = true;
		} else {
			slot_clear_page(s);
			s->state = SLOT_IDLE;
		}
	}
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
		if (s->state != SLOT_IDLE && !s->dropped && s->asked.kind == next->kind && s->asked.number == next->number &&
		    str_eq(s->asked.text, next->text))
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
	    n->page_records == 0 || s->total <= s->records)
		return 1;
	return (s->total - s->records + n->page_records - 1) / n->page_records;
}

static void slots_fill(struct lane *n)
{
	const struct paginate *p = &n->task->resource->paginate;
	uint64_t ahead = pages_known_ahead(n);
	uint32_t most = n->loop->source->in_flight < SLOTS_MAX ? n->loop->source->in_flight : SLOTS_MAX;
	if (ahead > most)
		ahead = most;
	struct page_next next = n->accepted.next;
	for (uint64_t i = 0; i < ahead && next.kind != NEXT_END; i++) {
		if (slot_with(n, &next) == NULL) {
			struct slot *s = slot_free_one(n);
			if (s == NULL)
				return;
			slot_begin(n, s, &next);
			struct err why = ERR_INIT;
			if (!slot_prepare(s, &why)) {
				lane_close(n, CLOSE_FAIL, &why);
				return;
			}
		}
		if (next.kind != NEXT_NUMBER)
			return;
		next.number += p->style == PAGE_NUMBER ? 1 : (int64_t)n->page_records;
	}
}

/* ── the life of a lane ── */

static void task_failed(struct lane *n, const struct err *why)
{
	if (n->task->err.code == ERR_NONE)
		n->task->err = *why;
}

void lane_step(struct lane *n)
{
	int64_t now = loop_now_us(n->loop);
	if (n->state == LANE_S_NEW || (n->state == LANE_S_LEASE_WAIT && now >= n->lease_wait_until_us)) {
		n->state = LANE_S_OPENING;
		lane_submit_open(n);
	}
	if (n->state == LANE_S_RUNNING) {
		if (n->closing == CLOSE_NONE)
			slots_fill(n);
		if (n->jobs == 0 && n->closing == CLOSE_NONE &&
		    ((n->warc && now - n->segment_since_us >= n->task->resource->segment_us) ||
		     now - n->last_entry_us >= (int64_t)LEASE_S * US_PER_SECOND / 2))
			lane_submit_tick(n);
	}
	if (n->state == LANE_S_RUNNING && n->closing != CLOSE_NONE && !any_slot_away(n)) {
		n->state = LANE_S_CLOSING;
		lane_submit_commit(n, n->closing);
	}
	if (n->state == LANE_S_CLOSING && n->jobs == 0)
		lane_ended(n);
}

void lane_close(struct lane *n, enum close_kind kind, const struct err *why)
{
	if (n->closing != CLOSE_NONE)
		return;
	n->closing = kind;
	if (why) {
		n->close_err = *why;
		task_failed(n, why);
	}
	slots_drop_from(n, 0);
}

void lane_job_failed(struct lane *n, const struct err *why)
{
	task_failed(n, why);
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
	n->last_entry_us = loop_now_us(n->loop);
}

void lane_ended(struct lane *n)
{
	struct lane_task *t = n->task;
	CHECK(n->state == LANE_S_CLOSING && n->jobs == 0);
	n->state = LANE_S_ENDED;
	t->pages = n->accepted.pages;
	t->records = n->accepted.records;
	t->body_bytes = n->accepted.bytes;
	t->digest = n->accepted.digest;
	if (n->last_segment_key.n > 0 && n->has_last_attempt) {
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

void lane_free(struct lane *n)
{
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		slot_clear_page(&n->slots[i]);
		buf_free(&n->slots[i].decoded);
	}
	if (n->warc)
		warc_abort(n->warc);
	arena_free(&n->arena);
	arena_free(&n->ledger_arena);
	arena_free(&n->pending_arena);
	mem_free(n);
}

bool lane_wants_request(struct lane *n, struct slot **slot)
{
	if (n->state != LANE_S_RUNNING || n->closing != CLOSE_NONE || n->jobs > STORES_AHEAD_MAX)
		return false;
	int64_t now = loop_now_us(n->loop);
	for (size_t i = 0; i < n->n_slots; i++) {
		struct slot *s = &n->slots[i];
		if (s->state == SLOT_PAUSED && now >= s->pause_until_us)
			s->state = SLOT_READY;
		if (s->state == SLOT_READY) {
			*slot = s;
			return true;
		}
	}
	return false;
}

int64_t lane_next_time_us(const struct lane *n)
{
	int64_t next = INT64_MAX;
	if (n->state == LANE_S_LEASE_WAIT)
		return n->lease_wait_until_us;
	if (n->state != LANE_S_RUNNING)
		return next;
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].state == SLOT_PAUSED && n->slots[i].pause_until_us < next)
			next = n->slots[i].pause_until_us;
	int64_t renew = n->last_entry_us + (int64_t)LEASE_S * US_PER_SECOND / 2;
	return renew < next ? renew : next;
}
