/* Which fetch the rows of a window name (rule 31): of all promoted ones with its content the earliest. It follows from Raw
 * alone, so tables do not depend on the way that led to them. Ledgers are read only for windows that go to the engine, and
 * of those only where there is an older fetch. */
#include "run/publish.h"
#include "run/raw.h"

/* The first promoted generation below `end` with this content; *found stays as it was if there is none. */
static bool find_in_window(struct project *j, struct str window_key, struct str name, unsigned end, struct job_window *w,
			   bool *found, struct arena *a, struct err *e)
{
	for (unsigned g = 1; g < end && !*found; g++) {
		struct ledger l;
		struct err why = ERR_INIT;
		if (!ledger_open(j->store, j->clock, key_generation(window_key, g, a), STR_NONE, a, &l, &why)) {
			if (why.code == ERR_DAMAGE)
				continue; /* what cannot be read is no address; `verify` tells of it */
			*e = why;
			return false;
		}
		*found = l.status == GENERATION_SEALED && sha256_eq(l.seal.digest, w->content);
		if (*found) {
			w->row_window = name;
			w->row_generation = g;
			w->row_seal = l.seal_hash;
		}
	}
	return true;
}

static bool newest_generation(struct project *j, struct str window_key, struct arena *a, unsigned *out, struct err *e)
{
	struct store_listing list = { 0 };
	*out = 0;
	if (!store_list_names(j->store, window_key, a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		unsigned g = 0;
		if (list.v[i].is_folder && generation_from_name(list.v[i].name, &g) && g > *out)
			*out = g;
	}
	return true;
}

/* The content of a snapshot may have come in any older window. */
static bool find_in_snapshots(struct project *j, struct str resource, struct job_window *w, bool *found, struct arena *a,
			      struct err *e)
{
	struct raw_windows raw;
	bool ok = raw_windows(j->store, resource, a, &raw, e);
	for (size_t i = 0; ok && !*found && i < raw.n && str_cmp(raw.v[i].name, w->name) < 0; i++) {
		struct str key = key_window(resource, raw.v[i].name, a);
		unsigned newest = 0;
		ok = newest_generation(j, key, a, &newest, e) &&
		     find_in_window(j, key, raw.v[i].name, newest + 1, w, found, a, e);
	}
	return ok;
}

bool publish_origins(struct publish *u, const struct resource *r, struct job_window *v, size_t n, struct arena *a,
		     struct err *e)
{
	struct project *j = u->project;
	struct str resource = key_resource(j->pipeline->name, r->name, a);
	for (size_t i = 0; i < n; i++) {
		bool found = false;
		v[i].row_window = v[i].name;
		v[i].row_generation = v[i].generation;
		v[i].row_seal = v[i].seal;
		if ((r->kind != KIND_WINDOW && !find_in_snapshots(j, resource, &v[i], &found, a, e)) ||
		    !find_in_window(j, key_window(resource, v[i].name, a), v[i].name, v[i].generation, &v[i], &found, a, e))
			return err_wrap(e, "window %.*s", STR_ARG(v[i].name));
	}
	return true;
}
