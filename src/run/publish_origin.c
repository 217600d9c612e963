/* Which fetch the rows of a window name (rule 31): of all promoted ones with its content the earliest that can be read. It
 * follows from Raw alone, so tables do not depend on the way that led to them. Ledgers and segments are read only for windows
 * that go to the engine, and of those only where there is another fetch. */
#include "driver/store_ahead.h"
#include "run/publish.h"
#include "run/twin.h"

static bool find_origin(struct project *j, const struct resource *r, struct job_window *w, struct arena *a, struct err *e)
{
	struct twin t = { w->name, w->generation, w->seal };
	bool found = false;
	unsigned newest = 0;
	if ((r->kind == KIND_SNAPSHOT && !twin_in_snapshots(j, r->name, w->name, w->content, a, &t, &found, e)) ||
	    (!found && w->generation > 1 &&
	     !twin_in_window(j, r->name, w->name, 1, w->generation - 1, w->content, a, &t, &found, e)))
		return false;
	/* Its own is read by the engine and judged there; where a later one has the same, it is judged before. */
	if (!found && !twin_newest(j, r->name, w->name, a, &newest, e))
		return false;
	if (newest > w->generation &&
	    !twin_in_window(j, r->name, w->name, w->generation, newest, w->content, a, &t, &found, e))
		return false;
	w->row_window = t.window;
	w->row_generation = t.generation;
	w->row_seal = t.seal;
	return true;
}

struct windows {
	const struct project *project;
	const struct resource *resource;
	const struct job_window *v;
};

static bool ask_generations(void *user, size_t i, struct store *s)
{
	const struct windows *w = user;
	struct arena a = ARENA_INIT;
	struct store_listing list;
	struct err e = ERR_INIT;
	struct str key = key_window(key_resource(w->project->pipeline->name, w->resource->name, &a), w->v[i].name, &a);
	bool ok = store_list_names(s, key, &a, &list, &e);
	arena_free(&a);
	return ok;
}

/* Raw with the generations of these windows asked for many at a time, where each would be a request. */
static bool view_begin(struct project *j, const struct resource *r, const struct job_window *v, size_t n)
{
	struct windows w = { j, r, v };
	if (j->raw_view || n < 2 || !store_can_list_all(project_raw_now(j)))
		return false;
	j->raw_view = store_open_ahead(project_raw_now(j));
	store_ahead_ask(j->raw_view, n, ask_generations, &w);
	return true;
}

bool publish_origins(struct publish *u, const struct resource *r, struct job_window *v, size_t n, struct arena *a,
		     struct err *e)
{
	bool begun = view_begin(u->project, r, v, n), ok = true;
	for (size_t i = 0; ok && i < n; i++) {
		ok = find_origin(u->project, r, &v[i], a, e);
		if (!ok)
			err_wrap(e, "window %.*s", STR_ARG(v[i].name));
	}
	project_view_end(u->project, begun);
	return ok;
}
