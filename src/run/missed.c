#include "run/missed.h"

#include "run/plan_window.h"

/* Read again in the same way (plan_instant), it must be the same instant. */
static struct str instant_text(const struct step *step, int64_t us, struct arena *a)
{
	struct civil c = step->zone ? zone_civil_from_us(step->zone, us) : civil_from_us(us);
	struct str date = arena_format(a, "%04d-%02u-%02u", (int)c.year, c.month, c.day);
	struct err ignored = ERR_INIT;
	int64_t back = 0;
	if (plan_instant(date, step->zone, "", &back, &ignored) && back == us)
		return date;
	return us_to_rfc3339(us, a);
}

static bool is_wanted(const struct plan_resource *p, struct window w)
{
	for (size_t i = 0; i < p->n_windows; i++) {
		enum window_action action = p->windows[i].action;
		if (p->windows[i].window.from_us == w.from_us)
			return action == WINDOW_FETCH || action == WINDOW_RESUME || action == WINDOW_REFETCH;
	}
	return false;
}

bool missed_windows(const struct project *j, const struct plan_resource *p, const struct window *there, size_t n_there,
		    int64_t now_us, struct arena *a, struct missed *out, struct err *e)
{
	const struct resource *r = p->resource;
	const struct step *step = plan_step(j, r);
	struct window_list all = { 0 };
	struct err too_many = ERR_INIT;
	*out = (struct missed){ 0 };
	if (r->kind != KIND_WINDOW || n_there == 0)
		return true;
	int64_t over_us = step_floor(step, now_us - r->settle_us - 1);
	if (over_us <= there[0].to_us)
		return true;
	if (!grid_windows(&p->grid, there[0].to_us, over_us, PLAN_WINDOWS_MAX, a, &all, &too_many))
		return too_many.code == ERR_USAGE || ((*e = too_many), false);
	bool follows = false;
	for (size_t i = 0, k = 0; i < all.n; i++) {
		struct window w = all.v[i];
		while (k < n_there && there[k].from_us < w.from_us)
			k++;
		if ((k < n_there && there[k].from_us == w.from_us) || is_wanted(p, w)) {
			follows = false;
			continue;
		}
		if (!follows)
			*arena_push(a, *out) = (struct missed_range){ .first = w };
		follows = true;
		struct missed_range *range = &out->v[out->n - 1];
		range->last = w;
		range->n++;
		out->windows++;
	}
	for (size_t i = 0; i < out->n; i++) {
		out->v[i].from = instant_text(step, out->v[i].first.from_us, a);
		out->v[i].to = instant_text(step, out->v[i].last.to_us, a);
	}
	return true;
}
