#include "run/publish_parts.h"

#include <string.h>

static uint64_t known_bytes(const struct plan_resource *p, const struct str_map *names, const struct job_window *w, bool *known)
{
	size_t at = str_map_get(names, w->name);
	const struct plan_window *x = at == SIZE_MAX ? NULL : &p->windows[at];
	*known = x && x->bytes_of == w->generation && x->bytes_of > 0;
	return *known ? x->bytes : 0;
}

static struct str window_key_of(const struct project *j, const struct plan_resource *p, struct str name, struct arena *a)
{
	return key_window(key_resource(j->pipeline->name, p->resource->name, a), name, a);
}

static bool sealed_bytes(struct project *j, const struct plan_resource *p, const struct job_window *w, uint64_t *bytes,
			 struct arena *a, struct err *e)
{
	struct ledger l;
	struct err why = ERR_INIT;
	struct str key = key_generation(window_key_of(j, p, w->name, a), w->generation, a);
	*bytes = 0;
	if (ledger_open(project_raw(j), j->clock, key, STR_NONE, a, &l, &why)) {
		*bytes = l.status == GENERATION_SEALED ? l.seal.bytes : 0;
		return true;
	}
	if (why.code == ERR_DAMAGE || why.code == ERR_MISSING)
		return true;
	*e = why;
	return false;
}

bool publish_bytes(struct project *j, const struct plan_resource *p, const struct todo *t, uint64_t *bytes, struct arena *a,
		   struct err *e)
{
	struct str_map names = { 0 };
	bool begun = project_view_begin(j, false), ok = true, known;
	*bytes = 0;
	for (size_t i = 0; i < p->n_windows; i++)
		str_map_add(&names, p->windows[i].name, i, a);
	for (size_t i = 0; ok && i < t->n; i++) { /* asked for together, where that matters */
		*bytes += known_bytes(p, &names, &t->v[i], &known);
		if (!known && j->raw_view)
			ok = window_look_ahead(j->raw_view, window_key_of(j, p, t->v[i].name, a), WINDOW_AHEAD_END, e);
	}
	for (size_t i = 0; ok && i < t->n; i++) {
		uint64_t more = 0;
		known_bytes(p, &names, &t->v[i], &known);
		ok = known || sealed_bytes(j, p, &t->v[i], &more, a, e);
		*bytes += more;
	}
	project_view_end(j, begun);
	return ok || err_wrap(e, "%.*s", STR_ARG(p->resource->name));
}
