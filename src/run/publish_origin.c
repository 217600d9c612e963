/* Which fetch the rows of a window name (rule 31): of all promoted ones with its content the earliest that can be read. It
 * follows from Raw alone, so tables do not depend on the way that led to them. Ledgers and segments are read only for windows
 * that go to the engine, and of those only where there is another fetch. */
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

bool publish_origins(struct publish *u, const struct resource *r, struct job_window *v, size_t n, struct arena *a,
		     struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!find_origin(u->project, r, &v[i], a, e))
			return err_wrap(e, "window %.*s", STR_ARG(v[i].name));
	return true;
}
