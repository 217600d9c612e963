/* The jobs of a lane: everything that blocks or computes, in the order submitted, never two of a lane at once. */
#include "ingest/lane.h"

#include "base/check.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "format/layout.h"

#include <string.h>

enum { ATTEMPT_SEARCHED_MAX = 16 << 20 };
/* Of the texts of a segment's pages. As JSON a byte may become six: below LEDGER_ENTRY_MAX_BYTES all the same. */
enum { ENTRY_TEXT_MAX = 8 << 20 };

enum job_kind { JOB_OPEN, JOB_PAGE, JOB_ATTEMPT, JOB_COMMIT, JOB_TICK };

struct lane_job {
	struct pool_job job;
	struct lane *lane;
	enum job_kind kind;
	bool ok;
	struct err err;
	/* open */
	enum lease_answer lease;
	/* page, attempt */
	struct http_exchange *exchange;
	struct page_request request;
	struct str asked_target;
	struct page_result result;
	struct ledger_state after;
	unsigned attempts;
	enum err_code code;
	struct arena *arena;
	bool cut;
	/* commit */
	enum close_kind close;
	bool wrote_entry;
	struct fetched upto; /* by it and all jobs before it */
	int64_t submitted_us;
};

static void job_work(struct pool_job *p);
static void job_done(struct pool_job *p);

static struct lane_job *job_new(struct lane *n, enum job_kind kind)
{
	struct lane_job *j = mem_alloc(sizeof *j);
	j->job = (struct pool_job){ .work = job_work, .done = job_done, .lane = n->id };
	j->lane = n;
	j->kind = kind;
	j->upto = n->room.accepted;
	j->submitted_us = loop_now_us(n->loop);
	return j;
}

static void job_submit(struct lane_job *j)
{
	j->lane->jobs++;
	pool_submit(j->lane->loop->pool, &j->job);
}

/* ── opening ── */

static struct str generation_key(struct lane *n)
{
	const struct lane_task *t = n->task;
	struct arena *a = &n->ledger_arena;
	struct str resource = key_resource(n->loop->o->pipeline, t->resource->name, a);
	return key_generation(key_window(resource, window_name(t->window, a), a), t->generation, a);
}

static bool open_generation(struct lane *n, struct err *e)
{
	const struct ingest_options *o = n->loop->o;
	return ledger_open(o->store, o->clock, generation_key(n), o->run_id, &n->ledger_arena, &n->ledger, e);
}

/* When the newest page was committed. Claims and renewals of the lease say nothing about pages: somebody may have tried
 * in vain every hour since, or collected. */
static bool newest_page_us(struct ledger *l, int64_t *out, struct err *e)
{
	struct ledger_walk w;
	struct ledger_entry entry;
	bool end = false, ok;
	*out = INT64_MIN;
	ledger_walk_begin(&w, l);
	while ((ok = ledger_walk_next(&w, &entry, &end, e)) && !end)
		if (entry.n_pages > 0)
			*out = entry.time_us;
	ledger_walk_end(&w);
	return ok;
}

/* Rules 6 and 7: an unsealed generation is resumed, unless its pages no longer fit what would follow them. */
static bool must_abandon(struct lane *n, const char **why, struct err *e)
{
	const struct resource *r = n->task->resource;
	struct ledger *l = &n->ledger;
	bool counts_rows = r->paginate.style == PAGE_NUMBER || r->paginate.style == PAGE_OFFSET;
	int64_t now_us = n->loop->o->clock->wall_us(n->loop->o->clock), newest_us = now_us;
	*why = NULL;
	if (!sha256_eq(l->origin.definition, n->task->origin.definition)) {
		*why = "definition";
		return true;
	}
	if (counts_rows && l->state.pages > 0 && !newest_page_us(l, &newest_us, e))
		return false;
	if (newest_us < now_us - r->resume_within_us)
		*why = "abandoned";
	return true;
}

static bool claim_generation(struct lane *n, struct err *e)
{
	struct lane_task *t = n->task;
	if (n->ledger.n_entries == 0)
		return ledger_claim(&n->ledger, &t->origin, e);
	const char *why = NULL;
	if (!ledger_read_origin(&n->ledger, e))
		return false;
	if (!must_abandon(n, &why, e) || !ledger_claim(&n->ledger, NULL, e))
		return false;
	if (why == NULL) {
		t->resumed_pages = n->ledger.state.pages;
		return true;
	}
	if (!ledger_abandon(&n->ledger, str_from(why), e))
		return false;
	t->generation++;
	t->origin.reason = str_from(why);
	if (!open_generation(n, e))
		return false;
	if (n->ledger.n_entries > 0)
		return err_set(e, ERR_FENCED, "%.*s: another run opened it first", STR_ARG(n->ledger.generation_key));
	return ledger_claim(&n->ledger, &t->origin, e);
}

static bool work_open(struct lane_job *j, struct err *e)
{
	struct lane *n = j->lane;
	if (!open_generation(n, e))
		return false;
	if (n->ledger.status != GENERATION_OPEN && n->ledger.status != GENERATION_NONE)
		return err_set(e, ERR_FENCED, "%.*s: another run closed it first", STR_ARG(n->ledger.generation_key));
	j->lease = ledger_lease_check(&n->ledger);
	if (j->lease == LEASE_LIVE && !n->task->takeover)
		return true;
	j->lease = LEASE_FREE;
	if (!claim_generation(n, e))
		return false;
	n->stored = n->ledger.state;
	return true;
}

/* ── storing ── */

static bool segment_begin(struct lane *n, struct err *e)
{
	const struct ingest_options *o = n->loop->o;
	if (n->warc)
		return true;
	n->segment_since_us = o->clock->monotonic_us(o->clock);
	return warc_open(o->store, o->software, o->run_id, o->clock->wall_us(o->clock), &n->warc, e);
}

/* "host:port" or "[host]:port" of the driver; "" where nothing was connected. */
static struct str ip_of(const char *address, struct arena *a)
{
	struct str s = str_from(address);
	if (s.n == 0)
		return STR_NONE;
	size_t colon = s.n - 1;
	while (s.p[colon] != ':') {
		CHECK(colon > 0);
		colon--;
	}
	s = str_sub(s, 0, colon);
	if (str_starts(s, STR("["))) {
		CHECK(str_ends(s, STR("]")));
		s = str_sub(s, 1, s.n - 2);
	}
	return arena_copy(a, s);
}

static const char *truncation(const struct http_exchange *x)
{
	if (x->outcome != HTTP_CUT)
		return NULL;
	return x->err.code == ERR_TIMEOUT ? "time" : x->err.code == ERR_TOO_LARGE ? "length" : "disconnect";
}

/* Pages were searched when they were judged. A failed attempt may be anything: an error page that repeats the token, a
 * compressed body that broke off. What cannot be looked into to its end is taken for one that holds a secret. */
static bool attempt_tells_secret(const struct resource *r, struct str body)
{
	const struct secret_set *set = &r->source->secrets;
	size_t which;
	if (set->n == 0 || r->secret_in_body_keep)
		return false;
	if (secret_found(set, body, &which))
		return true;
	struct buf once = BUF_INIT(ATTEMPT_SEARCHED_MAX), twice = BUF_INIT(ATTEMPT_SEARCHED_MAX);
	bool tells = !gzip_read_some(body, &once) || secret_found(set, buf_str(&once), &which) ||
		     !gzip_read_some(buf_str(&once), &twice) || secret_found(set, buf_str(&twice), &which);
	buf_free(&once);
	buf_free(&twice);
	return tells;
}

static bool keep_exchange(struct lane_job *j, uint64_t page, struct warc_range *range, struct err *e)
{
	struct lane *n = j->lane;
	const struct lane_task *t = n->task;
	const struct http_exchange *x = j->exchange;
	struct arena *a = j->arena;
	struct origin base = t->resource->source->origin;
	struct warc_exchange w = {
		.request_head = request_head_kept(t->resource, x->request_head, a),
		.request_body = j->request.body_kept,
		.response_head = x->outcome == HTTP_NO_ANSWER ? STR_NONE : response_head_kept(t->resource, x->head, a),
		.body = x->outcome == HTTP_NO_ANSWER ? STR_NONE : x->body,
		.truncated = truncation(x),
		.remote_ip = ip_of(x->remote_address, a),
		.wall_us = x->sent_wall_us ? x->sent_wall_us : n->loop->o->clock->wall_us(n->loop->o->clock),
		.run_id = n->loop->o->run_id,
		.resource = t->resource->name,
		.window = window_name(t->window, a),
		.page = page,
		.attempt = j->attempts,
	};
	w.url = arena_format(a, "%.*s%.*s", STR_ARG(origin_text(&base, a)), STR_ARG(j->request.url.path));
	if (j->request.url.query.n > 0)
		w.url = arena_format(a, "%.*s?%.*s", STR_ARG(w.url), STR_ARG(j->request.url.query));
	if (page == 0 && w.body.n > KEPT_BODY_OF_ATTEMPT) {
		w.body = str_sub(w.body, 0, KEPT_BODY_OF_ATTEMPT);
		w.truncated = "length";
	}
	if (page == 0 && attempt_tells_secret(t->resource, w.body)) {
		w.body = STR_NONE;
		w.truncated = "unspecified";
	}
	return segment_begin(n, e) && warc_add(n->warc, &w, range, e);
}

struct page_next next_copy(const struct page_next *from, struct arena *a)
{
	struct page_next to = *from;
	to.text = arena_copy(a, from->text);
	to.markers = arena_array(a, struct next_marker, from->n_markers + 1);
	for (size_t i = 0; i < from->n_markers; i++)
		to.markers[i] = (struct next_marker){ from->markers[i].at, arena_copy(a, from->markers[i].marker) };
	return to;
}

struct ledger_state state_copy(const struct ledger_state *from, struct arena *a)
{
	struct ledger_state to = *from;
	to.next = next_copy(&from->next, a);
	to.keyset.path = arena_copy(a, from->keyset.path);
	to.keyset.last.text = arena_copy(a, from->keyset.last.text);
	to.keyset.broken = arena_copy(a, from->keyset.broken);
	return to;
}

static bool commit_pending(struct lane *n, const struct ledger_seal *seal, struct err *e)
{
	struct ledger_commit c = { .state = state_copy(&n->stored, &n->ledger_arena), .seal = seal };
	c.state.failed_attempts += n->attempts.n;
	c.pages = n->pages.v;
	c.n_pages = n->pages.n;
	c.attempts = n->attempts.v;
	c.n_attempts = n->attempts.n;
	if (n->warc) {
		struct warc_writer *w = n->warc;
		n->warc = NULL;
		if (!warc_finish(w, n->ledger.generation_key, n->ledger.epoch, &n->ledger_arena, &c.segment,
				 &c.segment_hash, &c.segment_size, e))
			return false;
		n->last_segment_key = key_segment(n->ledger.generation_key, c.segment, &n->ledger_arena);
	}
	if (!ledger_pages(&n->ledger, &c, e))
		return false;
	n->stored = n->ledger.state;
	n->pages = (struct pages_pending){ 0 };
	n->attempts = (struct attempts_pending){ 0 };
	n->pending_text_bytes = 0;
	arena_reset(&n->pending_arena);
	return true;
}

/* For what the loop does not count: failed attempts, texts, the size of the file. */
static bool segment_is_full(const struct lane *n)
{
	return warc_size(n->warc) >= n->task->resource->segment_bytes || n->attempts.n >= ATTEMPTS_PER_SEGMENT_MAX ||
	       n->pending_text_bytes >= ENTRY_TEXT_MAX;
}

static size_t page_text_bytes(const struct ledger_page *p)
{
	size_t n = p->request.n + p->redirected_to.n + p->next.text.n;
	for (size_t i = 0; i < p->next.n_markers; i++)
		n += p->next.markers[i].marker.n;
	return n;
}

static bool work_page(struct lane_job *j, struct err *e)
{
	struct lane *n = j->lane;
	struct arena *a = &n->pending_arena;
	struct warc_range range;
	if (!keep_exchange(j, j->after.pages, &range, e))
		return false;
	*arena_push(a, n->pages) = (struct ledger_page){
		.page = j->after.pages,
		.request = arena_format(a, "%.*s %.*s", STR_ARG(j->request.http.method), STR_ARG(j->asked_target)),
		.redirected_to = str_eq(j->asked_target, j->request.target) ? STR_NONE : arena_copy(a, j->request.target),
		.fingerprint = j->request.fingerprint,
		.status = j->exchange->status,
		.attempts = j->attempts,
		.offset = range.offset,
		.size = range.size,
		.body = j->result.body_hash,
		.body_bytes = j->result.body.n,
		.records = j->result.records,
		.has_total = j->result.has_total,
		.total = j->result.total,
		.next = next_copy(&j->result.next, a),
	};
	n->pending_text_bytes += page_text_bytes(&n->pages.v[n->pages.n - 1]);
	n->stored = state_copy(&j->after, a);
	n->stored.failed_attempts = n->ledger.state.failed_attempts;
	n->has_last_attempt = false; /* it did not end in failure */
	/* The last page is committed together with the seal, by the job that follows. */
	if (!(j->cut || segment_is_full(n)) || j->after.next.kind == NEXT_END)
		return true;
	j->wrote_entry = true;
	return commit_pending(n, NULL, e);
}

static bool work_attempt(struct lane_job *j, struct err *e)
{
	struct lane *n = j->lane;
	struct arena *a = &n->pending_arena;
	struct warc_range range;
	n->has_last_attempt = false;
	if (n->attempts.n >= ATTEMPTS_PER_SEGMENT_MAX)
		return true; /* enough for an audit */
	if (!keep_exchange(j, 0, &range, e))
		return false;
	*arena_push(a, n->attempts) = (struct ledger_attempt){
		.request = arena_format(a, "%.*s %.*s", STR_ARG(j->request.http.method), STR_ARG(j->request.target)),
		.status = j->exchange->status,
		.error = str_from(err_name(j->code)),
		.offset = range.offset,
		.size = range.size,
		.body = sha256_of(j->exchange->body),
	};
	n->pending_text_bytes += n->attempts.v[n->attempts.n - 1].request.n;
	n->last_attempt_offset = range.offset;
	n->has_last_attempt = true;
	return true;
}

static bool work_commit(struct lane_job *j, struct err *e)
{
	struct lane *n = j->lane;
	bool pending = n->warc != NULL;
	CHECK(pending || n->pages.n + n->attempts.n == 0); /* what waits is in a segment */
	j->wrote_entry = true;
	if (j->close == CLOSE_SEAL)
		return commit_pending(n, &n->seal, e);
	if (pending && !commit_pending(n, NULL, e))
		return false;
	if (j->close == CLOSE_ABANDON)
		return ledger_abandon(&n->ledger, str_from(n->close_err.message), e);
	return true;
}

static bool work_tick(struct lane_job *j, struct err *e)
{
	j->wrote_entry = true;
	return commit_pending(j->lane, NULL, e);
}

static void job_work(struct pool_job *p)
{
	static bool (*const work[])(struct lane_job *, struct err *) = {
		[JOB_OPEN] = work_open, [JOB_PAGE] = work_page, [JOB_ATTEMPT] = work_attempt, [JOB_COMMIT] = work_commit,
		[JOB_TICK] = work_tick,
	};
	struct lane_job *j = (struct lane_job *)p;
	if (j->lane->broken) {
		j->ok = true; /* the failure was told by the job that met it */
		return;
	}
	j->ok = work[j->kind](j, &j->err);
	if (!j->ok && j->kind != JOB_OPEN)
		j->lane->broken = true;
}

/* ── back on the loop's thread ── */

static void job_done(struct pool_job *p)
{
	struct lane_job *j = (struct lane_job *)p;
	struct lane *n = j->lane;
	CHECK(n->jobs > 0);
	n->jobs--;
	if (j->exchange) {
		n->jobs_bytes -= j->exchange->body.n;
		http_exchange_free(j->exchange);
	}
	if (j->arena) {
		arena_free(j->arena);
		mem_free(j->arena);
	}
	if (j->wrote_entry || j->kind == JOB_OPEN)
		n->last_entry_us = loop_now_us(n->loop);
	if (j->wrote_entry && j->ok)
		room_stored(n, j->upto, j->submitted_us);
	if (j->kind == JOB_OPEN)
		lane_opened(n, j->lease, j->ok ? NULL : &j->err);
	else if (!j->ok)
		lane_job_failed(n, &j->err);
	mem_free(j);
}

void lane_submit_open(struct lane *n)
{
	job_submit(job_new(n, JOB_OPEN));
}

static struct lane_job *job_for_slot(struct slot *s, enum job_kind kind)
{
	struct lane_job *j = job_new(s->lane, kind);
	j->exchange = s->exchange;
	s->lane->jobs_bytes += s->exchange->body.n;
	j->arena = s->arena;
	j->request = s->request;
	j->asked_target = s->asked_target;
	j->result = s->result;
	j->attempts = s->retry.attempts;
	s->exchange = NULL;
	s->arena = NULL;
	return j;
}

void lane_submit_page(struct slot *s, const struct ledger_state *after, unsigned attempts, bool cut)
{
	struct lane_job *j = job_for_slot(s, JOB_PAGE);
	j->cut = cut;
	j->after = *after;
	j->attempts = attempts;
	job_submit(j);
}

void lane_submit_attempt(struct slot *s, enum err_code code)
{
	struct lane_job *j = job_for_slot(s, JOB_ATTEMPT);
	j->code = code;
	job_submit(j);
}

void lane_submit_commit(struct lane *n, enum close_kind kind)
{
	struct lane_job *j = job_new(n, JOB_COMMIT);
	j->close = kind;
	job_submit(j);
}

void lane_submit_tick(struct lane *n)
{
	room_cut(n);
	job_submit(job_new(n, JOB_TICK));
}
