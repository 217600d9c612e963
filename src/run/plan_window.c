#include "run/plan_window.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

const char *window_action_name(enum window_action a)
{
	static const char *const names[] = { "sealed", "fetch", "resume", "refetch", "not-final", "candidate", "old" };
	CHECK((size_t)a < sizeof names / sizeof *names);
	return names[a];
}

const struct step *plan_step(const struct project *j, const struct resource *r)
{
	return r->kind == KIND_WINDOW ? &r->step : &j->pipeline->schedule;
}

bool plan_instant(struct str text, const struct zone *zone, const char *option, int64_t *us, struct err *e)
{
	int32_t days = 0;
	bool more = false;
	if (days_from_text(text, &days)) {
		struct civil c = civil_from_us((int64_t)days * US_PER_DAY);
		*us = zone ? zone_us_from_civil(zone, c) : us_from_civil(c);
		return true;
	}
	if (us_from_rfc3339(text, us, &more))
		return true;
	return err_set(e, ERR_USAGE, "%s %.*s: a date (2013-01-01) or an instant (2013-01-01T05:00:00Z) is expected", option,
		       STR_ARG(text));
}

static bool carries(const struct table_snapshot *t, struct str window, struct sha256 key)
{
	const struct table_window *tag = table_find_window(t, window);
	return tag && sha256_eq(tag->key, key);
}

static bool all_carry(const struct plan_resource *p, struct str window, struct sha256 key)
{
	for (size_t i = 0; i < p->n_tables; i++)
		if (!carries(&p->tables[i].table, window, key) || !carries(&p->tables[i].quarantine, window, key))
			return false;
	return true;
}

bool plan_window_prepared(const struct plan_resource *p, const struct plan_window *w)
{
	return all_carry(p, w->name, w->key) && table_find_window(&p->tables[0].table, w->name)->generation == w->promoted;
}

/* ── names in Raw ── */

struct raw_windows {
	struct {
		struct str name;
		struct window window;
	} *v;
	size_t n, cap;
};

static bool list_raw(struct project *j, const struct resource *r, struct arena *a, struct raw_windows *out, struct err *e)
{
	struct store_listing list = { 0 };
	memset(out, 0, sizeof *out);
	if (!store_list_names(project_raw(j), key_resource(j->pipeline->name, r->name, a), a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		struct window w;
		if (!list.v[i].is_folder || !window_from_name(list.v[i].name, &w))
			continue;
		arena_push(a, *out);
		out->v[out->n - 1].name = list.v[i].name;
		out->v[out->n - 1].window = w;
	}
	return true;
}

static bool in_raw(const struct raw_windows *raw, struct str name)
{
	size_t low = 0, high = raw->n; /* the listing is in byte order */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = str_cmp(raw->v[mid].name, name);
		if (c == 0)
			return true;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* ── one window ── */

static bool newest_generation(struct project *j, struct str window_key_text, struct arena *a, unsigned *out, struct err *e)
{
	struct store_listing list = { 0 };
	*out = 0;
	if (!store_list_names(project_raw(j), window_key_text, a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		unsigned g = 0;
		if (list.v[i].is_folder && generation_from_name(list.v[i].name, &g) && g > *out)
			*out = g;
	}
	return true;
}

static void take_tag(struct plan_window *w, const struct table_window *tag)
{
	w->promoted = tag->generation;
	w->content = tag->content;
	w->seal = tag->seal;
	w->records = tag->read;
	w->known = true;
}

static bool take_ledger(struct project *j, struct str key, unsigned generation, struct plan_window *w, struct arena *a,
			struct err *e)
{
	struct ledger l;
	if (!ledger_open(project_raw(j), j->clock, key_generation(key, generation, a), STR_NONE, a, &l, e))
		return false;
	w->promoted = generation;
	w->content = l.seal.digest;
	w->seal = l.seal_hash;
	w->records = l.seal.records;
	w->bytes = l.seal.bytes;
	w->bytes_of = generation;
	w->known = true;
	return true;
}

static void want(struct plan_window *w, enum window_action action, unsigned generation, const char *reason, struct str ask)
{
	w->action = action;
	w->generation = generation;
	w->reason = str_from(reason);
	w->origin.reason = str_from(reason);
	w->origin.ask = ask;
}

bool plan_is_early(const struct resource *r, struct window w, int64_t first_sent_us)
{
	return r->kind == KIND_WINDOW && first_sent_us != 0 && first_sent_us <= w.to_us + r->settle_us;
}

/* Has any generation of the window been opened under this name? One that was given up does not count (rule 7). */
static bool asked_before(struct project *j, struct str key, unsigned newest, struct str ask, bool *asked, struct arena *a,
			 struct err *e)
{
	*asked = false;
	for (unsigned g = newest; g > 0 && !*asked; g--) {
		struct ledger l;
		struct err why = ERR_INIT;
		if (!ledger_open(project_raw(j), j->clock, key_generation(key, g, a), STR_NONE, a, &l, &why)) {
			if (why.code == ERR_DAMAGE)
				continue; /* nobody knows who asked for it */
			*e = why;
			return false;
		}
		if (l.status == GENERATION_NONE || l.status == GENERATION_ABANDONED)
			continue;
		if (!ledger_read_origin(&l, e))
			return false;
		*asked = str_eq(l.origin.ask, ask);
	}
	return true;
}

/* Rule 5: one name, one interval asks at most once for a window; rule 4: a fetch that began too early does not count. */
static bool asked_again(struct project *j, const struct plan_request *q, const struct plan_resource *p, struct str key,
			unsigned newest, bool lookback, struct str interval, struct plan_window *w, struct arena *a,
			struct err *e)
{
	struct ledger l;
	bool asked = true;
	if (w->promoted > 0) {
		struct err why = ERR_INIT;
		bool readable = ledger_open(project_raw(j), j->clock, key_generation(key, w->promoted, a), STR_NONE, a, &l, &why);
		/* What is damaged can be asked for again, and only so. */
		if (!readable && !(q->refetch && why.code == ERR_DAMAGE)) {
			*e = why;
			return false;
		}
		if (readable && plan_is_early(p->resource, w->window, l.state.first_sent_us)) {
			w->known = false; /* it stays wanted, and is no truth yet */
			want(w, WINDOW_REFETCH, newest + 1, "early", interval);
		}
	}
	if (lookback && !asked_before(j, key, newest, interval, &asked, a, e))
		return false;
	if (!asked)
		want(w, WINDOW_REFETCH, newest + 1, "lookback", interval);
	if (q->refetch && !asked_before(j, key, newest, q->refetch_name, &asked, a, e))
		return false;
	if (q->refetch && !asked)
		want(w, WINDOW_REFETCH, newest + 1, "refetch", q->refetch_name);
	return true;
}

/* A window that was never fetched is fetched under the name of a re-fetch, too: the same command once more, after a crash,
 * must not ask for it again. */
static struct str who_asks(const struct plan_request *q, struct str interval)
{
	return q->refetch ? q->refetch_name : interval;
}

/* Some generation cannot be read. Asked for again, the newest one is gone on with, or another one is opened. */
static bool look_past_damage(struct project *j, struct str key, unsigned newest, struct window_generations *g, struct arena *a)
{
	struct err unreadable = ERR_INIT;
	struct ledger l;
	*g = (struct window_generations){ .n = newest };
	if (!ledger_open(project_raw(j), j->clock, key_generation(key, newest, a), STR_NONE, a, &l, &unreadable))
		return unreadable.code == ERR_DAMAGE;
	if (l.status == GENERATION_OPEN)
		g->open = newest;
	if (l.status == GENERATION_NONE)
		g->n = newest - 1;
	return true;
}

static bool look_at_raw(struct project *j, const struct plan_request *q, const struct plan_resource *p, bool lookback,
			struct str interval, struct plan_window *w, struct arena *a, struct err *e)
{
	const struct table_window *tag = table_find_window(&p->tables[0].table, w->name);
	struct str key = key_window(key_resource(j->pipeline->name, p->resource->name, a), w->name, a);
	struct str ask = who_asks(q, interval);
	unsigned newest = 0;
	if (!newest_generation(j, key, a, &newest, e))
		return false;
	w->action = WINDOW_SEALED;
	if (tag && tag->generation == newest) {
		take_tag(w, tag);
		w->generation = newest;
	} else {
		struct window_generations g;
		struct err why = ERR_INIT;
		if (!window_generations_read(project_raw(j), j->clock, key, a, &g, &why) &&
		    !(q->refetch && why.code == ERR_DAMAGE && look_past_damage(j, key, newest, &g, a))) {
			*e = why;
			return false;
		}
		if (g.promoted > 0 && !take_ledger(j, key, g.promoted, w, a, e))
			return false;
		w->generation = g.promoted;
		newest = g.n; /* not a folder that a run made before it died */
		if (g.open > g.promoted)
			want(w, WINDOW_RESUME, g.open, "resume", ask);
		else if (g.candidate > 0)
			want(w, WINDOW_CANDIDATE, g.candidate, "candidate", interval);
		else if (g.promoted == 0)
			want(w, WINDOW_FETCH, g.n + 1, g.n ? "abandoned" : "first", ask);
	}
	bool again = q->refetch || lookback || (w->action == WINDOW_SEALED && tag == NULL);
	if (w->action == WINDOW_CANDIDATE && q->refetch)
		return asked_again(j, q, p, key, newest, false, interval, w, a, e);
	return w->action != WINDOW_SEALED || !again ||
	       asked_again(j, q, p, key, newest, lookback, interval, w, a, e);
}

bool plan_takes_what_is_there(const struct plan_request *q)
{
	return q->stale && q->prepare && !q->ingest && !q->has_from;
}

static bool look_at_window(struct project *j, const struct plan_request *q, struct plan_resource *p,
			   const struct raw_windows *raw, bool lookback, struct str interval, struct plan_window *w,
			   struct arena *a, struct err *e)
{
	const struct resource *r = p->resource;
	w->name = window_name(w->window, a);
	int64_t settle = r->kind == KIND_WINDOW ? r->settle_us : 0;
	if (in_raw(raw, w->name)) {
		if (!look_at_raw(j, q, p, lookback, interval, w, a, e))
			return false;
	} else if (q->now_us <= w->window.to_us + settle) {
		w->action = WINDOW_NOT_FINAL;
		w->reason = STR("not over yet");
	} else {
		want(w, WINDOW_FETCH, 1, "first", who_asks(q, interval));
	}
	if (w->known && p->contract) {
		w->key = window_key(r, w->name, w->content, p->contract);
		w->prepared = plan_window_prepared(p, w);
	}
	struct str json = resource_definition(r, a);
	w->origin.definition = sha256_of(json);
	w->origin.definition_json = json;
	w->origin.window = w->window;
	return true;
}

/* ── the interval ── */

struct interval {
	int64_t from_us, to_us; /* windows whose end lies in (from, to] */
	int64_t fresh_from_us;  /* those that end at or before it are look-back */
	struct str text;
};

static bool interval_of(struct project *j, const struct plan_request *q, const struct resource *r, struct arena *a,
			struct interval *out, struct err *e)
{
	const struct step *step = plan_step(j, r);
	if (q->has_from) {
		out->to_us = q->now_us;
		if (!plan_instant(q->from, step->zone, "--from", &out->from_us, e) ||
		    (q->has_to && !plan_instant(q->to, step->zone, "--to", &out->to_us, e)))
			return false;
		if (out->to_us <= out->from_us)
			return err_set(e, ERR_USAGE, "--to is not later than --from");
		out->fresh_from_us = INT64_MIN;
	} else {
		int64_t settle = r->kind == KIND_WINDOW ? r->settle_us : 0;
		out->to_us = step_floor(step, q->now_us - settle - 1);
		out->fresh_from_us = step_floor(step, out->to_us - 1);
		out->from_us = out->fresh_from_us - (r->kind == KIND_WINDOW ? r->lookback_us : 0);
	}
	out->text = arena_format(a, "%.*s/%.*s", STR_ARG(us_to_rfc3339(out->from_us, a)),
				 STR_ARG(us_to_rfc3339(out->to_us, a)));
	return true;
}

/* A snapshot's window is the last scheduled interval; where Raw holds a newer one already, that is the one that counts
 * (rule 10). One that was begun and never sealed is none. Where nothing is fetched, the newest that there is. */
static bool only_newest(struct project *j, const struct raw_windows *raw, const struct plan_request *q,
			struct plan_resource *p, struct window_list *list, struct arena *a, struct err *e)
{
	if (list->n == 0)
		return true;
	struct window last = list->v[list->n - 1];
	struct str resource = key_resource(j->pipeline->name, p->resource->name, a);
	while (list->n > 1 && last.to_us > q->now_us)
		last = list->v[--list->n - 1];
	bool found = false, there = q->every_window || plan_takes_what_is_there(q) || j->raw_other;
	for (size_t i = raw->n; i > 0 && !found && (there || raw->v[i - 1].window.to_us > last.to_us); i--) {
		struct window_generations g;
		if (!window_generations_read(project_raw(j), j->clock, key_window(resource, raw->v[i - 1].name, a), a, &g, e))
			return false;
		if (g.promoted == 0 && (there || g.candidate == 0))
			continue;
		found = there;
		bool newer = raw->v[i - 1].window.to_us > last.to_us;
		last = raw->v[i - 1].window;
		if (!newer)
			break;
		p->note = last.to_us <= q->now_us
				  ? STR("nothing to do: a newer snapshot is there already")
				  : arena_format(a, "nothing to do: the newest snapshot was fetched while the clock was ahead "
						 "(for %.*s) and stays the newest until then; `sluice run --only %.*s --refetch` "
						 "asks for it again now", STR_ARG(us_to_rfc3339(last.from_us, a)),
						 STR_ARG(p->resource->name));
	}
	list->v[0] = last;
	list->n = 1;
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct window *x = a, *y = b;
	return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

static bool list_has(const struct window_list *l, struct window w)
{
	return l->n > 0 && bsearch(&w, l->v, l->n, sizeof *l->v, by_time) != NULL;
}

/* Has the window a truth that is newer than what the table has of it? A higher number in the listing is the cheap sign; only
 * then ledgers are read, and only of the generations above. What is not promoted is no truth. */
static bool has_newer_truth(struct project *j, const struct plan_resource *p, struct str name, unsigned than, bool *newer,
			    struct arena *a, struct err *e)
{
	struct str key = key_window(key_resource(j->pipeline->name, p->resource->name, a), name, a);
	unsigned g = 0;
	*newer = false;
	if (!newest_generation(j, key, a, &g, e))
		return false;
	for (; g > than && !*newer; g--) {
		struct ledger l;
		if (!ledger_open(project_raw(j), j->clock, key_generation(key, g, a), STR_NONE, a, &l, e))
			return false;
		*newer = l.status == GENERATION_SEALED;
	}
	return true;
}

struct outside {
	bool stale;      /* the table has it under another key, or Raw has a newer truth of it */
	bool unprepared; /* it has a truth, and the table has never had it */
	bool wanted;     /* part of this plan */
};

/* A run that names no interval prepares what was fetched again or accepted since; only --stale takes the others. */
static bool look_outside(struct project *j, const struct plan_request *q, const struct plan_resource *p, struct str name,
			 struct outside *out, struct arena *a, struct err *e)
{
	const struct table_window *tag = table_find_window(&p->tables[0].table, name);
	struct err why = ERR_INIT;
	bool newer = false;
	*out = (struct outside){ 0 };
	if (!has_newer_truth(j, p, name, tag ? tag->generation : 0, &newer, a, &why)) {
		if (why.code != ERR_DAMAGE) {
			*e = why;
			return false;
		}
		/* One damaged ledger somewhere must not stop every run. */
		log_warn("%.*s, window %.*s is outside the interval and left alone: %s", STR_ARG(p->resource->name), STR_ARG(name),
			 why.message);
	}
	bool changed = tag && !all_carry(p, name, window_key(p->resource, name, tag->content, p->contract));
	out->stale = tag && (newer || changed);
	out->unprepared = tag == NULL && newer;
	out->wanted = q->stale ? q->every_window || out->stale || tag == NULL
			       : tag && newer && q->prepare && p->selected && !q->has_from && !q->refetch;
	return true;
}

/* Windows of Raw that are not in the list: told, or added to it. */
static bool elsewhere(struct project *j, const struct plan_request *q, struct plan_resource *p,
		      const struct raw_windows *raw, struct window_list *list, struct arena *a, struct err *e)
{
	struct window_list more = { 0 };
	bool known = p->contract && p->resource->kind == KIND_WINDOW && !p->tables_unknown;
	for (size_t i = 0; known && i < raw->n; i++) {
		struct outside w;
		if (list_has(list, raw->v[i].window))
			continue;
		if (!look_outside(j, q, p, raw->v[i].name, &w, a, e))
			return err_wrap(e, "%.*s, window %.*s", STR_ARG(p->resource->name), STR_ARG(raw->v[i].name));
		if (w.wanted)
			*arena_push(a, more) = raw->v[i].window;
		p->n_stale_elsewhere += w.stale && !w.wanted;
		p->n_unprepared_elsewhere += w.unprepared && !w.wanted;
	}
	for (size_t i = 0; i < more.n; i++)
		*arena_push(a, *list) = more.v[i];
	if (more.n > 0)
		qsort(list->v, list->n, sizeof *list->v, by_time);
	return true;
}

/* Taken in by a run that names no interval: to be prepared, not to be fetched once more. */
static bool is_taken_in(const struct plan_request *q, const struct resource *r, const struct interval *in, struct window w)
{
	return r->kind == KIND_WINDOW && !q->stale && (w.to_us <= in->from_us || w.to_us > in->to_us);
}

/* Ledgers that will be looked at, announced: those of windows that the table does not have as they are in Raw. */
static bool look_ahead(struct project *j, const struct plan_request *q, const struct plan_resource *p, const struct raw_windows *raw,
		       const struct window_list *list, struct arena *a, struct err *e)
{
	struct str resource = key_resource(j->pipeline->name, p->resource->name, a);
	bool outside = p->contract && p->resource->kind == KIND_WINDOW, ok = true;
	for (size_t i = 0; ok && j->raw_view && i < raw->n; i++) {
		const struct table_window *tag = table_find_window(&p->tables[0].table, raw->v[i].name);
		struct str key = key_window(resource, raw->v[i].name, a);
		bool inside = list_has(list, raw->v[i].window);
		unsigned newest = 0;
		if (!inside && !outside)
			continue;
		ok = newest_generation(j, key, a, &newest, e);
		if (ok && (!tag || tag->generation != newest || (inside && q->refetch)))
			ok = window_look_ahead(j->raw_view, key, inside && q->refetch ? WINDOW_AHEAD_ORIGIN : WINDOW_AHEAD_END, e);
	}
	return ok;
}

static void count_windows(struct plan_resource *p)
{
	for (size_t i = 0; i < p->n_windows; i++) {
		const struct plan_window *w = &p->windows[i];
		if (w->action == WINDOW_FETCH || w->action == WINDOW_RESUME || w->action == WINDOW_REFETCH)
			p->n_fetch++;
		if (p->contract && w->known && !w->prepared)
			p->n_prepare++;
	}
}

bool plan_resource_windows(struct project *j, const struct plan_request *q, struct plan_resource *p, struct arena *a,
			   struct err *e)
{
	struct interval in;
	struct raw_windows raw;
	struct window_list list;
	if (!interval_of(j, q, p->resource, a, &in, e) || !list_raw(j, p->resource, a, &raw, e) ||
	    !grid_windows(&p->grid, in.from_us, in.to_us, PLAN_WINDOWS_MAX, a, &list, e))
		return err_wrap(e, "%.*s", STR_ARG(p->resource->name));
	if (p->resource->kind == KIND_SNAPSHOT && !only_newest(j, &raw, q, p, &list, a, e))
		return err_wrap(e, "%.*s", STR_ARG(p->resource->name));
	if (!look_ahead(j, q, p, &raw, &list, a, e))
		return err_wrap(e, "%.*s", STR_ARG(p->resource->name));
	if (!elsewhere(j, q, p, &raw, &list, a, e))
		return false;
	p->windows = arena_array(a, struct plan_window, list.n + 1);
	p->n_windows = list.n;
	for (size_t i = 0; i < list.n; i++) {
		struct plan_window *w = &p->windows[i];
		w->window = list.v[i];
		bool lookback = !q->has_from && w->window.to_us <= in.fresh_from_us && w->window.to_us > in.from_us;
		if (!look_at_window(j, q, p, &raw, lookback, in.text, w, a, e))
			return err_wrap(e, "%.*s, window %.*s", STR_ARG(p->resource->name), STR_ARG(w->name));
		if (w->known && is_taken_in(q, p->resource, &in, w->window)) {
			w->taken_in = true;
			w->action = WINDOW_SEALED;
			w->generation = w->promoted;
			w->reason = STR("fetched or accepted since");
		}
	}
	count_windows(p);
	return true;
}
