#include "ingest/ingest.h"

#include "base/check.h"
#include "ingest/lane.h"

#include <string.h>

enum { PROGRESS_EVERY_US = 100000, WAIT_MAX_US = 200000 };

static void wake_http(void *user)
{
	http_wake(((struct loop *)user)->o->http);
}

static unsigned lanes_wanted(const struct loop *l)
{
	unsigned n = l->o->lanes_at_once ? l->o->lanes_at_once : l->source->in_flight;
	return n > 0 ? n : 1;
}

/* Nothing new is begun, answers on their way are not waited for: lanes commit what they have. */
static void stop_all(struct loop *l)
{
	http_cancel_all(l->o->http);
	l->flying = 0;
	for (size_t i = 0; i < l->n_lanes; i++)
		lane_cancel_flying(l->lanes[i]);
	for (size_t i = 0; i < l->n_lanes; i++)
		lane_close(l->lanes[i], CLOSE_STOP, &l->stop_err);
}

/* The API said that its quota comes back later than we are told to wait: that is for the next run. */
static bool quota_is_used_up(struct loop *l)
{
	int64_t wait_us = l->rate.not_before_us - loop_now_us(l);
	if (wait_us <= l->source->retry.wait_max_us)
		return false;
	err_set(&l->stop_err, ERR_HTTP_BUSY, "the API's quota is used up for another %lld s", (long long)(wait_us / 1000000));
	return true;
}

static void check_stop(struct loop *l)
{
	if (l->stopping)
		return;
	if (l->o->stop && *l->o->stop != 0) {
		err_set(&l->stop_err, *l->o->stop == 2 ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
		l->stopping = true;
	} else if (l->o->deadline_us != 0 && loop_now_us(l) >= l->o->deadline_us) {
		err_set(&l->stop_err, ERR_BUDGET, "the deadline for fetching was reached");
		l->stopping = true;
	} else if (l->flying == 0 && pool_pending(l->pool) == 0 && quota_is_used_up(l)) {
		l->stopping = true;
	}
	if (l->stopping)
		stop_all(l);
}

/* Two runs that begin at the same time meet at their first window: one gets it, the other ends before it has claimed
 * anything. Would both claim many from the start, each would be in the other's way, and both would end. (A lease that is
 * waited for belongs to another host, which may be dead: the others go on.) */
static size_t lanes_allowed(struct loop *l)
{
	for (size_t i = 0; i < l->n_lanes && !l->claimed; i++)
		l->claimed = l->lanes[i]->state >= LANE_S_LEASE_WAIT;
	return l->claimed ? l->lanes_max : 1;
}

void loop_lane_failed(struct loop *l, const struct err *why, bool at_once)
{
	if (l->breaker.open)
		return;
	l->breaker.why = *why;
	l->breaker.in_a_row++;
	l->breaker.open = at_once || l->breaker.in_a_row >= LANE_FAILURES_MAX;
}

/* What an earlier call brought to an end stays as it is. */
static void skip_done(struct loop *l)
{
	while (l->next_task < l->n_tasks && l->tasks[l->next_task].outcome != LANE_WAITING)
		l->next_task++;
}

/* Lanes that are begun finish by themselves, come what may. */
static bool begins_more(const struct loop *l)
{
	return !l->stopping && !l->fenced && !l->breaker.open && l->next_task < l->n_tasks;
}

static void open_lanes(struct loop *l)
{
	size_t max = lanes_allowed(l);
	while (begins_more(l) && l->n_lanes < max) {
		struct lane_task *t = &l->tasks[l->next_task++];
		l->lanes[l->n_lanes++] = lane_new(l, t, l->next_task);
		skip_done(l);
	}
}

static void remove_ended(struct loop *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n_lanes; i++) {
		if (l->lanes[i]->state == LANE_S_ENDED)
			lane_free(l->lanes[i]);
		else
			l->lanes[kept++] = l->lanes[i];
	}
	l->n_lanes = kept;
}

static bool send_one(struct loop *l, struct slot *s)
{
	struct err why = ERR_INIT;
	s->request.http.user = s;
	if (!http_start(l->o->http, &s->request.http, &why)) {
		lane_close(s->lane, CLOSE_FAIL, &why);
		return false;
	}
	rate_take(&l->rate, loop_now_us(l));
	s->nth = l->rate.taken;
	s->state = SLOT_FLYING;
	s->lane->task->requests++;
	l->flying++;
	return true;
}

/* Lanes in the order of their windows, so that early windows are sealed early; true if something waits for the rate. */
static bool send_requests(struct loop *l)
{
	for (size_t i = 0; i < l->n_lanes; i++) {
		struct slot *s = NULL;
		while (lane_wants_request(l->lanes[i], &s)) {
			if (l->flying >= l->source->in_flight)
				return false;
			if (rate_wait_us(&l->rate, loop_now_us(l)) > 0)
				return true;
			if (!send_one(l, s))
				break;
		}
	}
	return false;
}

static int64_t time_to_wait(struct loop *l, bool rate_bound)
{
	int64_t now = loop_now_us(l), until = now + WAIT_MAX_US;
	for (size_t i = 0; i < l->n_lanes; i++) {
		int64_t t = lane_next_time_us(l->lanes[i]);
		if (t < until)
			until = t;
	}
	if (rate_bound) {
		int64_t t = now + rate_wait_us(&l->rate, now);
		if (t < until)
			until = t;
	}
	return until > now ? until - now : 0;
}

static void show_progress(struct loop *l, bool last)
{
	int64_t now = loop_now_us(l);
	if (l->o->progress == NULL || (!last && now - l->last_progress_us < PROGRESS_EVERY_US))
		return;
	l->last_progress_us = now;
	for (size_t i = 0; i < l->n_lanes; i++) {
		struct lane *n = l->lanes[i];
		n->task->pages = n->accepted.pages;
		n->task->records = n->accepted.records;
		n->task->body_bytes = n->accepted.bytes;
	}
	l->o->progress(l->o->user, l->tasks, l->n_tasks);
}

static void turn(struct loop *l)
{
	check_stop(l);
	open_lanes(l);
	for (size_t i = 0; i < l->n_lanes; i++)
		lane_step(l->lanes[i]);
	remove_ended(l);
	open_lanes(l);
	bool rate_bound = send_requests(l);
	if (pool_collect(l->pool))
		return; /* something moved: look again before waiting */
	if (l->n_lanes == 0)
		return;
	struct http_exchange *x = http_wait(l->o->http, time_to_wait(l, rate_bound));
	while (x) {
		struct slot *s = x->user;
		CHECK(l->flying > 0);
		l->flying--;
		lane_answer(s, x);
		x = http_wait(l->o->http, 0);
	}
	pool_collect(l->pool);
	show_progress(l, false);
}

static void say_breaker(const struct loop *l, struct err *e)
{
	const struct breaker *b = &l->breaker;
	size_t n = 0;
	for (size_t i = l->next_task; i < l->n_tasks; i++)
		n += l->tasks[i].outcome == LANE_WAITING;
	const char *windows = n == 1 ? "window was" : "windows were";
	if (b->in_a_row >= LANE_FAILURES_MAX)
		err_set(e, b->why.code, "%zu more %s not begun, since %u in a row failed without a page; the last one: %s", n,
			windows, b->in_a_row, b->why.message);
	else
		err_set(e, b->why.code, "%zu more %s not begun, since they would fail in the same way: %s", n, windows,
			b->why.message);
	if (b->why.hint[0])
		err_hint(e, "%s", b->why.hint);
}

static void finish_unbegun(struct loop *l)
{
	struct err broken = ERR_INIT;
	if (l->breaker.open)
		say_breaker(l, &broken);
	for (skip_done(l); l->next_task < l->n_tasks; skip_done(l)) {
		struct lane_task *t = &l->tasks[l->next_task];
		t->outcome = LANE_STOPPED;
		if (l->stopping)
			t->err = l->stop_err;
		else if (l->breaker.open && !l->fenced)
			t->err = broken;
		else
			err_set(&t->err, ERR_FENCED, "not begun, since another run is at work");
	}
}

bool ingest_run(const struct ingest_options *o, struct lane_task *tasks, size_t n_tasks, struct arena *a, struct err *e)
{
	(void)e;
	if (n_tasks == 0)
		return true;
	struct loop l = { .o = o, .tasks = tasks, .n_tasks = n_tasks, .run_arena = a };
	l.source = tasks[0].resource->source;
	for (size_t i = 1; i < n_tasks; i++)
		CHECK(tasks[i].resource->source == l.source);
	l.lanes_max = lanes_wanted(&l);
	l.lanes = arena_array(a, struct lane *, l.lanes_max);
	l.pool = pool_new(o->threads, wake_http, &l);
	rate_init(&l.rate, l.source, loop_now_us(&l));
	rate_leave_margin(&l.rate);
	skip_done(&l);
	while (l.n_lanes > 0 || begins_more(&l))
		turn(&l);
	finish_unbegun(&l);
	show_progress(&l, true);
	pool_free(l.pool);
	return true;
}
