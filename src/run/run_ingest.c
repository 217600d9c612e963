#include "base/check.h"
#include "driver/aws_secret.h"
#include "run/plan_window.h"
#include "run/stage.h"

#include <string.h>

/* Of a source in one run: more than any rotation needs, and each old secret has a place in the set that is looked for. */
enum { RENEWALS_MAX = 8 };
_Static_assert((int)RENEWALS_MAX < (int)SECRETS_MAX, "each old secret is kept");
enum { FAR_THREADS = 16 };

/* A task and the window of the plan that it fetches. */
struct wanted {
	struct lane_task *tasks;
	struct plan_window **windows;
	struct plan_resource **resources;
	size_t n;
};

bool run_wants_fetch(const struct plan_window *w)
{
	return w->action == WINDOW_FETCH || w->action == WINDOW_RESUME || w->action == WINDOW_REFETCH;
}

static struct wanted collect(struct run_state *s, const struct source *source)
{
	struct plan *p = &s->out->plan;
	size_t max = 0;
	for (size_t i = 0; i < p->n_resources; i++)
		max += p->resources[i].n_windows;
	struct wanted w = { arena_array(s->arena, struct lane_task, max + 1),
			    arena_array(s->arena, struct plan_window *, max + 1),
			    arena_array(s->arena, struct plan_resource *, max + 1), 0 };
	for (size_t i = 0; i < p->n_resources; i++) {
		struct plan_resource *r = &p->resources[i];
		if (!r->selected || r->resource->source != source)
			continue;
		for (size_t k = 0; k < r->n_windows; k++) {
			struct plan_window *n = &r->windows[k];
			if (!run_wants_fetch(n))
				continue;
			w.tasks[w.n] = (struct lane_task){
				.resource = r->resource,
				.window = n->window,
				.generation = n->generation,
				.resume = n->action == WINDOW_RESUME,
				.origin = n->origin,
				.has_previous = n->promoted > 0,
				.previous_records = n->records,
				.takeover = p->request.takeover,
			};
			w.windows[w.n] = n;
			w.resources[w.n++] = r;
		}
	}
	return w;
}

/* Rule 9: a snapshot is compared with the newest promoted one, which stands under another window's name. */
static bool previous_snapshots(struct run_state *s, struct wanted *w, struct err *e)
{
	struct project *j = s->project;
	for (size_t i = 0; i < w->n; i++) {
		const struct plan_resource *r = w->resources[i];
		if (r->resource->kind != KIND_SNAPSHOT || w->tasks[i].has_previous)
			continue;
		struct store_listing list = { 0 };
		struct str key = key_resource(j->pipeline->name, r->resource->name, s->arena);
		if (!store_list_names(j->store, key, s->arena, &list, e))
			return false;
		for (size_t k = list.n; k > 0 && !w->tasks[i].has_previous; k--) {
			struct window_generations g;
			struct window name;
			struct ledger l;
			struct str window = key_window(key, list.v[k - 1].name, s->arena);
			if (!window_from_name(list.v[k - 1].name, &name) || name.to_us >= w->tasks[i].window.to_us)
				continue;
			if (!window_generations_read(project_raw(j), j->clock, window, s->arena, &g, e))
				return false;
			if (g.promoted == 0)
				continue;
			if (!ledger_open(project_raw(j), j->clock, key_generation(window, g.promoted, s->arena), STR_NONE,
					 s->arena, &l, e))
				return false;
			w->tasks[i].has_previous = true;
			w->tasks[i].previous_records = l.seal.records;
		}
	}
	return true;
}

static bool fix_grids(struct run_state *s, struct wanted *w, struct err *e)
{
	struct project *j = s->project;
	for (size_t i = 0; i < w->n; i++) {
		struct plan_resource *r = w->resources[i];
		if (!r->grid_missing)
			continue;
		struct str key = key_resource(j->pipeline->name, r->resource->name, s->arena);
		if (!grid_fix(j->store, key, plan_step(j, r->resource), s->arena, e))
			return false;
		r->grid_missing = false;
	}
	return true;
}

/* ── what came of it ── */

static struct run_resource *resource_row(struct run_state *s, struct str name)
{
	for (size_t i = 0; i < s->out->n_resources; i++)
		if (str_eq(s->out->resources[i].name, name))
			return &s->out->resources[i];
	CHECK(false);
	return NULL;
}

static void note_failure(struct run_state *s, const struct lane_task *t)
{
	struct run_failure *f = &s->out->failures[s->out->n_failures++];
	*f = (struct run_failure){
		.resource = t->resource->name,
		.window = window_name(t->window, s->arena),
		.request = t->failed_request,
		.status = t->failed_status,
		.body = t->failed_body,
		.raw_key = t->failed_raw,
		.raw_offset = t->failed_offset,
		.err = t->err,
	};
}

static void note_sealed(const struct lane_task *t, const struct plan_resource *p, struct plan_window *n,
			struct run_resource *r)
{
	r->windows_fetched++;
	n->promoted = n->generation = t->generation;
	/* Rule 4 by the server's clock, which only its answers tell: such a window stays wanted, and is no truth yet. */
	if (plan_is_early(t->resource, t->window, t->first_sent_us)) {
		r->early++;
		n->known = false;
		n->action = WINDOW_NOT_FINAL;
		n->reason = STR("not over yet by the server's clock");
		return;
	}
	n->known = true;
	n->action = WINDOW_SEALED;
	n->content = t->digest;
	n->seal = t->seal_hash;
	n->records = t->records;
	if (p->contract) {
		n->key = window_key(t->resource, n->name, n->content, p->contract);
		n->prepared = plan_window_prepared(p, n);
	}
}

static void note_task(struct run_state *s, struct wanted *w, size_t i)
{
	const struct lane_task *t = &w->tasks[i];
	struct plan_window *n = w->windows[i];
	struct run_resource *r = resource_row(s, t->resource->name);
	r->pages += t->pages;
	r->records += t->records;
	r->body_bytes += t->body_bytes;
	r->wire_bytes += t->wire_bytes;
	r->requests += t->requests;
	r->retries += t->retries;
	r->busy += t->busy;
	r->failed_attempts += t->failed_attempts;
	r->resumed_pages += t->resumed_pages;
	r->windows_resumed += t->resume;
	if (t->outcome == LANE_SEALED) {
		note_sealed(t, w->resources[i], n, r);
		return;
	}
	if (t->outcome == LANE_CANDIDATE) {
		struct err why = ERR_INIT;
		r->candidates++;
		n->action = WINDOW_CANDIDATE;
		err_set(&why, ERR_SHRUNK, "%.*s, window %.*s: the new fetch has far fewer rows than the one before (%llu against %llu)",
			STR_ARG(r->name), STR_ARG(n->name), (unsigned long long)t->records,
			(unsigned long long)t->previous_records);
		err_hint(&why, "look at it with `sluice raw ls %.*s %.*s`, then take it as true: `sluice accept %.*s %.*s`", STR_ARG(r->name),
			 STR_ARG(n->name), STR_ARG(r->name), STR_ARG(n->name));
		run_note_err(s->out, &why);
		return;
	}
	r->failed += t->outcome == LANE_FAILED;
	r->fenced += t->outcome == LANE_FENCED;
	r->stopped += t->outcome == LANE_STOPPED;
	if (t->outcome == LANE_FAILED)
		note_failure(s, t);
	run_note_err(s->out, &t->err);
}

/* ── progress ── */

static void on_progress(void *user, const struct lane_task *tasks, size_t n)
{
	struct run_state *s = user;
	for (size_t i = 0; i < s->n_progress; i++) {
		struct resource_progress *p = &s->progress[i];
		struct resource_progress now = { .name = p->name, .windows_total = p->windows_total };
		for (size_t k = 0; k < n; k++) {
			const struct lane_task *t = &tasks[k];
			if (!str_eq(t->resource->name, p->name))
				continue;
			now.windows_done += t->outcome != LANE_WAITING;
			now.pages += t->pages;
			now.records += t->records;
			now.bytes += t->body_bytes;
			now.requests += t->requests;
			now.retries += t->retries;
			now.busy += t->busy;
		}
		*p = now;
	}
	run_show(s, STAGE_INGEST, STR_NONE, 0, 0);
}

static void begin_progress(struct run_state *s, const struct wanted *w)
{
	s->progress = arena_array(s->arena, struct resource_progress, s->out->n_resources + 1);
	s->n_progress = 0;
	for (size_t i = 0; i < w->n; i++) {
		struct str name = w->tasks[i].resource->name;
		if (s->n_progress == 0 || !str_eq(s->progress[s->n_progress - 1].name, name))
			s->progress[s->n_progress++].name = name;
		s->progress[s->n_progress - 1].windows_total++;
	}
}

/* ── one source ── */

/* Did the API refuse somebody? One is enough: then the others are not begun. 401 is about the secret; 403 is what some APIs say
 * to one that was rotated away, and others to somebody who may not do this: worth a look at a secret that AWS may have rotated. */
static bool was_refused(const struct source *source, const struct wanted *w)
{
	bool rotates = secret_is_fetched(source->auth.secret.reference);
	for (size_t i = 0; i < w->n; i++) {
		const struct lane_task *t = &w->tasks[i];
		if (t->outcome == LANE_FAILED && t->err.code == ERR_AUTH &&
		    (t->failed_status == 401 || (rotates && t->failed_status == 403)))
			return true;
	}
	return false;
}

/* Secrets are changed while runs are under way: the one that is kept now may be another one than was fetched at the start.
 * True: it is, and everything that ended for want of the right one is wanted again. */
static bool secret_is_new(struct run_state *s, struct source *source, struct wanted *w)
{
	bool changed = false;
	struct err why = ERR_INIT;
	bool stopped = s->options->stop && *s->options->stop != 0;
	if (source->auth.kind == AUTH_NONE || stopped || !was_refused(source, w))
		return false;
	if (!source_renew_secrets(source, s->secrets, s->arena, &changed, &why))
		run_note_err(s->out, &why);
	for (size_t i = 0; i < w->n && changed; i++) {
		struct lane_task *t = &w->tasks[i];
		if ((t->outcome != LANE_FAILED && t->outcome != LANE_STOPPED) || t->err.code != ERR_AUTH)
			continue;
		t->outcome = LANE_WAITING;
		t->err = ERR_INIT;
		t->failed_request = t->failed_body = t->failed_raw = STR_NONE;
		t->failed_status = 0;
	}
	return changed;
}

/* Pages of this very run are not what it found when it resumed. */
static bool fetch_again(struct run_state *s, const struct ingest_options *o, struct wanted *w, struct err *e)
{
	uint64_t *resumed = arena_array(s->arena, uint64_t, w->n + 1);
	for (size_t i = 0; i < w->n; i++)
		resumed[i] = w->tasks[i].resumed_pages;
	bool *begun = arena_array(s->arena, bool, w->n + 1);
	for (size_t i = 0; i < w->n; i++)
		begun[i] = w->tasks[i].requests > 0;
	bool ok = ingest_run(o, w->tasks, w->n, s->arena, e);
	for (size_t i = 0; i < w->n; i++)
		if (begun[i])
			w->tasks[i].resumed_pages = resumed[i];
	return ok;
}

static uint64_t pages_of(const struct wanted *w)
{
	uint64_t n = 0;
	for (size_t i = 0; i < w->n; i++)
		n += w->tasks[i].pages;
	return n;
}

/* Each secret that has fetched something is renewed once when it is refused; one that never did was not the matter. */
static bool renew_and_fetch(struct run_state *s, struct source *source, const struct ingest_options *o, struct wanted *w,
			    struct err *e)
{
	uint64_t before = UINT64_MAX;
	for (int i = 0; i < RENEWALS_MAX && pages_of(w) != before && secret_is_new(s, source, w); i++) {
		before = pages_of(w);
		if (!fetch_again(s, o, w, e))
			return false;
	}
	return true;
}

/* Of two deadlines; 0 is none. */
static int64_t earlier(int64_t x, int64_t y)
{
	return x == 0 || (y != 0 && y < x) ? y : x;
}

/* Workers compute, and wait for the store: for one that is far away there are more of them than processors. */
static unsigned ingest_threads(const struct run_state *s)
{
	return store_can_list_all(s->project->store) && s->threads < FAR_THREADS ? FAR_THREADS : s->threads;
}

static bool fetch(struct run_state *s, struct source *source, struct wanted *w, struct err *e)
{
	struct project *j = s->project;
	struct http *http = s->options->http;
	if (!fix_grids(s, w, e) || !previous_snapshots(s, w, e))
		return false;
	if (http == NULL && !http_open_curl(j->clock, &http, e))
		return false;
	int64_t now = j->clock->monotonic_us(j->clock);
	s->rate_allowed = source->has_rate ? (double)source->rate_requests * 1e6 / (double)source->rate_per_us : 0;
	s->ingest_began_us = now;
	begin_progress(s, w);
	struct ingest_options o = {
		.store = j->store,
		.http = http,
		.clock = j->clock,
		.pipeline = j->pipeline->name,
		.run_id = run_id_whole(s->out->run_id),
		.software = STR("sluice/" SLUICE_VERSION),
		.threads = s->options->http ? 0 : ingest_threads(s),
		.seed = (uint64_t)j->clock->wall_us(j->clock),
		.stop = s->options->stop,
		.deadline_us = earlier(source->deadline_us > 0 ? now + source->deadline_us : 0, s->options->deadline_us),
		.progress = on_progress,
		.user = s,
	};
	bool ok = ingest_run(&o, w->tasks, w->n, s->arena, e) && renew_and_fetch(s, source, &o, w, e);
	if (s->options->http == NULL)
		http_close(http);
	return ok;
}

static void ingest_source(struct run_state *s, struct source *source, struct wanted *w)
{
	struct err why = ERR_INIT;
	if (!fetch(s, source, w, &why)) {
		run_note_err(s->out, &why);
		return;
	}
	for (size_t i = 0; i < w->n; i++)
		note_task(s, w, i);
}

/* All secrets first: nobody wants to hear of a missing one after an hour of another source. */
static bool ingest_sources(struct run_state *s)
{
	struct pipeline *l = s->project->pipeline;
	struct wanted *w = arena_array(s->arena, struct wanted, l->n_sources + 1);
	struct aws_chain_options aws = { .clock = s->project->clock };
	struct err why = ERR_INIT;
	bool ok = aws_secrets_open(&aws, &s->secrets, &why);
	if (!ok)
		run_note_err(s->out, &why);
	for (size_t i = 0; i < l->n_sources; i++) {
		why = ERR_INIT;
		w[i] = collect(s, &l->sources[i]);
		if (w[i].n == 0 || source_load_secrets(&l->sources[i], s->secrets, s->arena, &why))
			continue;
		run_note_err(s->out, &why);
		ok = false;
	}
	for (size_t i = 0; i < l->n_sources && ok; i++)
		if (w[i].n > 0)
			ingest_source(s, &l->sources[i], &w[i]);
	aws_secrets_close(s->secrets);
	s->secrets = NULL;
	return ok;
}

static void note_waiting(struct run_state *s, const struct plan_resource *p)
{
	for (size_t i = 0; i < p->n_windows && s->out->plan.request.ingest && p->selected; i++) {
		struct err why = ERR_INIT;
		if (p->windows[i].action != WINDOW_CANDIDATE)
			continue;
		resource_row(s, p->resource->name)->candidates++;
		err_set(&why, ERR_SHRUNK, "%.*s, window %.*s: a fetch with far fewer rows than before waits for your word",
			STR_ARG(p->resource->name), STR_ARG(p->windows[i].name));
		err_hint(&why, "look at it with `sluice raw ls %.*s %.*s`, then take it as true: `sluice accept %.*s %.*s`",
			 STR_ARG(p->resource->name), STR_ARG(p->windows[i].name), STR_ARG(p->resource->name),
			 STR_ARG(p->windows[i].name));
		run_note_err(s->out, &why);
	}
}

bool run_ingest(struct run_state *s)
{
	struct plan *p = &s->out->plan;
	size_t windows = 0;
	s->out->resources = arena_array(s->arena, struct run_resource, p->n_resources + 1);
	s->out->n_resources = p->n_resources;
	for (size_t i = 0; i < p->n_resources; i++) {
		windows += p->resources[i].n_windows;
		s->out->resources[i].name = p->resources[i].resource->name;
		s->out->resources[i].windows = p->resources[i].n_windows;
		s->out->resources[i].note = p->resources[i].note;
		s->out->resources[i].stale_elsewhere = p->resources[i].n_stale_elsewhere;
		s->out->resources[i].unprepared_elsewhere = p->resources[i].n_unprepared_elsewhere;
		if (p->resources[i].selected)
			s->out->resources[i].elsewhere = plan_elsewhere(&p->resources[i], s->arena);
	}
	s->out->failures = arena_array(s->arena, struct run_failure, windows + 1);
	for (size_t i = 0; i < p->n_resources; i++)
		note_waiting(s, &p->resources[i]);
	return !p->request.ingest || ingest_sources(s);
}
