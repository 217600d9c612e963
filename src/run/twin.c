#include "run/twin.h"

#include "driver/store_each.h"
#include "run/object_hash.h"
#include "run/raw.h"

struct segments {
	struct store *store;
	struct segment {
		struct str key;
		uint64_t size_bytes;
		struct sha256 hash;
	} *v;
	size_t n, cap;
};

/* ERR_DAMAGE: it is not. */
static bool segment_is_whole(void *user, size_t i, struct err *e)
{
	const struct segments *all = user;
	const struct segment *x = &all->v[i];
	struct sha256 now;
	uint64_t size = 0;
	bool ok = store_size(all->store, x->key, &size, e);
	if (ok && (size != x->size_bytes || size > SEGMENT_READ_MAX))
		return err_set(e, ERR_DAMAGE, "%.*s: another size than its ledger says", STR_ARG(x->key));
	ok = ok && object_hash(all->store, x->key, size, &now, e);
	if (!ok && e->code == ERR_MISSING)
		e->code = ERR_DAMAGE;
	return ok && (sha256_eq(now, x->hash) || err_set(e, ERR_DAMAGE, "%.*s: other bytes than its ledger says", STR_ARG(x->key)));
}

bool ledger_is_whole(struct ledger *l, bool *whole, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct segments all = { .store = l->store };
	struct ledger_walk w;
	struct ledger_entry x;
	struct err why = ERR_INIT;
	bool end = false, ok;
	ledger_walk_begin(&w, l);
	while ((ok = ledger_walk_next(&w, &x, &end, &why)) && !end)
		if (x.segment.n > 0)
			*arena_push(&a, all) = (struct segment){ key_segment(l->generation_key, x.segment, &a), x.segment_size, x.segment_hash };
	ledger_walk_end(&w);
	ok = ok && store_each(l->store, all.n, segment_is_whole, &all, &why);
	arena_free(&a);
	*whole = ok;
	if (ok || why.code == ERR_DAMAGE)
		return true;
	*e = why;
	return false;
}

bool twin_newest(struct project *j, struct str resource, struct str window, struct arena *a, unsigned *out, struct err *e)
{
	struct store_listing list = { 0 };
	struct str key = key_window(key_resource(j->pipeline->name, resource, a), window, a);
	*out = 0;
	if (!store_list_names(project_raw(j), key, a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		unsigned g = 0;
		if (list.v[i].is_folder && generation_from_name(list.v[i].name, &g) && g > *out)
			*out = g;
	}
	return true;
}

bool twin_in_window(struct project *j, struct str resource, struct str window, unsigned from, unsigned to,
		    struct sha256 content, struct arena *a, struct twin *out, bool *found, struct err *e)
{
	struct str key = key_window(key_resource(j->pipeline->name, resource, a), window, a);
	for (unsigned g = from; g <= to && !*found; g++) {
		struct ledger l;
		struct err why = ERR_INIT;
		if (!ledger_open(project_raw(j), j->clock, key_generation(key, g, a), STR_NONE, a, &l, &why)) {
			if (why.code == ERR_DAMAGE)
				continue; /* what cannot be read is no address; `verify` tells of it */
			*e = why;
			return false;
		}
		if (l.status != GENERATION_SEALED || !sha256_eq(l.seal.digest, content))
			continue;
		if (!ledger_is_whole(&l, found, e))
			return false;
		if (*found)
			*out = (struct twin){ arena_copy(a, window), g, l.seal_hash };
	}
	return true;
}

bool twin_in_snapshots(struct project *j, struct str resource, struct str end, struct sha256 content, struct arena *a,
		       struct twin *out, bool *found, struct err *e)
{
	struct raw_windows raw;
	bool ok = raw_windows(project_raw(j), key_resource(j->pipeline->name, resource, a), a, &raw, e);
	for (size_t i = 0; ok && !*found && i < raw.n && (end.n == 0 || str_cmp(raw.v[i].name, end) < 0); i++) {
		unsigned newest = 0;
		ok = twin_newest(j, resource, raw.v[i].name, a, &newest, e) &&
		     twin_in_window(j, resource, raw.v[i].name, 1, newest, content, a, out, found, e);
	}
	return ok;
}

bool twin_of(struct project *j, struct str resource, struct str window, unsigned generation, struct sha256 content,
	     struct arena *a, struct twin *out, bool *found, struct err *e)
{
	const struct resource *r = pipeline_resource(j->pipeline, resource);
	unsigned newest = 0;
	*found = false;
	if (!twin_newest(j, resource, window, a, &newest, e) ||
	    !twin_in_window(j, resource, window, generation + 1, newest, content, a, out, found, e) ||
	    (generation > 0 && !*found &&
	     !twin_in_window(j, resource, window, 1, generation - 1, content, a, out, found, e)))
		return false;
	/* The damaged one itself is not whole, so it is not found here. */
	return *found || !r || r->kind != KIND_SNAPSHOT ||
	       twin_in_snapshots(j, resource, STR_NONE, content, a, out, found, e);
}
