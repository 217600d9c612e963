#include "format/ledger.h"
#include "run/collect_parts.h"
#include "run/raw.h"
#include "run/twin.h"

#include <inttypes.h>

/* ── what a generation's entries name ── */

static bool read_names(struct ledger *l, struct str_map *names, struct arena *a, struct err *e)
{
	struct ledger_walk w;
	struct ledger_entry x;
	bool end = false, ok;
	ledger_walk_begin(&w, l);
	while ((ok = ledger_walk_next(&w, &x, &end, e)) && !end)
		if (x.segment.n > 0)
			str_map_add(names, arena_copy(a, x.segment), 0, a);
	ledger_walk_end(&w);
	return ok;
}

/* "3-<sha256>.warc.gz" was written under epoch 3. */
static bool epoch_of(struct str name, uint64_t *epoch)
{
	size_t dash = str_find_char(name, '-');
	return dash < name.n && str_ends(name, STR(".warc.gz")) && str_to_u64(str_sub(name, 0, dash), epoch);
}

struct sweep {
	struct str_map names;
	struct store_listing list;
	uint64_t below; /* only what was written under a lower epoch */
};

static bool is_garbage(const struct sweep *s, const struct store_item *i)
{
	uint64_t epoch = 0;
	return !i->is_folder && str_map_get(&s->names, i->name) == SIZE_MAX && epoch_of(i->name, &epoch) && epoch < s->below;
}

static bool look(struct collect *c, struct ledger *l, struct sweep *s, struct arena *a, struct err *e)
{
	struct str folder = arena_format(a, "%.*s/segments", STR_ARG(l->generation_key));
	return read_names(l, &s->names, a, e) && store_list(c->raw, folder, a, &s->list, e);
}

static bool remove_all(struct collect *c, const struct ledger *l, const struct sweep *s, enum garbage_class class,
		       const char *reason, struct arena *a, struct err *e)
{
	struct collect_batch all = { 0 };
	for (size_t i = 0; i < s->list.n; i++)
		if (is_garbage(s, &s->list.v[i]))
			*arena_push(a, all) = (struct collect_item){ key_segment(l->generation_key, s->list.v[i].name, a),
								     s->list.v[i].size_bytes, class, reason };
	return collect_batch(c, &all, e);
}

static size_t count_garbage(const struct sweep *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->list.n; i++)
		n += is_garbage(s, &s->list.v[i]);
	return n;
}

/* Claim, then list, then remove. */
static bool collect_open(struct collect *c, struct ledger *l, struct arena *a, struct err *e)
{
	struct sweep s = { .below = l->n_entries };
	struct err why = ERR_INIT;
	if (!look(c, l, &s, a, e))
		return false;
	if (count_garbage(&s) == 0)
		return true;
	if (ledger_lease_check(l) == LEASE_LIVE) {
		collect_left(c, l->generation_key, "a run that looks alive holds it", false);
		return true;
	}
	if (c->o->remove && !ledger_claim(l, NULL, &why)) {
		if (why.code == ERR_FENCED)
			collect_left(c, l->generation_key, "another run has just taken it over", false);
		else
			*e = why;
		return why.code == ERR_FENCED;
	}
	if (c->o->remove) {
		s = (struct sweep){ .below = l->epoch };
		if (!look(c, l, &s, a, e))
			return false;
	}
	return remove_all(c, l, &s, GARBAGE_SEGMENT, "no entry names it, and no writer that could is left", a, e);
}

/* ── superseded generations ── */

static bool is_named(const struct collect *c, struct str resource, struct str window, unsigned g, const struct ledger *l)
{
	for (size_t i = 0; i < c->n_kept; i++) {
		const struct kept_tag *k = &c->kept[i];
		if (!collect_is_of(k->table, resource))
			continue;
		if (k->window.n == 0) /* its log is damaged: nobody knows what it names */
			return true;
		if ((str_eq(k->window, window) && k->generation == g) || sha256_eq(k->content, l->state.digest))
			return true;
	}
	return false;
}

/* The newest version of a table stands on it, whatever it has lost. */
static bool is_named_now(const struct collect *c, struct str resource, struct str window, unsigned g)
{
	for (size_t i = 0; i < c->n_kept; i++) {
		const struct kept_tag *k = &c->kept[i];
		if (collect_is_of(k->table, resource) &&
		    (k->window.n == 0 || (k->now && str_eq(k->window, window) && k->generation == g)))
			return true;
	}
	return false;
}

struct place {
	struct str resource, window;
	unsigned generation, promoted;
	int64_t promoted_us; /* since when */
};

static bool may_expire(const struct collect *c, const struct place *p, const struct ledger *l)
{
	bool closed = l->status == GENERATION_SEALED || l->status == GENERATION_CANDIDATE || l->status == GENERATION_ABANDONED;
	return c->o->generations && closed && p->generation < p->promoted && p->promoted_us < c->now_us - c->o->keep_us &&
	       !is_named(c, p->resource, p->window, p->generation, l);
}

static bool find_promoted(struct collect *c, struct str window_key, struct place *p, struct arena *a, struct err *e);

/* Of snapshots: has a later window a promoted one? Then this one is no truth any more. */
static bool is_old_snapshot(struct collect *c, const struct place *p, bool *old, struct arena *a, struct err *e)
{
	struct project *j = c->project;
	struct raw_windows raw;
	const struct resource *r = pipeline_resource(j->pipeline, p->resource);
	struct str key = key_resource(j->pipeline->name, p->resource, a);
	*old = false;
	if (r == NULL || r->kind != KIND_SNAPSHOT)
		return true;
	bool ok = raw_windows(c->raw, key, a, &raw, e);
	for (size_t i = 0; ok && !*old && i < raw.n; i++) {
		struct place later = { .resource = p->resource, .window = raw.v[i].name };
		struct err why = ERR_INIT;
		if (str_cmp(raw.v[i].name, p->window) <= 0)
			continue;
		if (find_promoted(c, key_window(key, raw.v[i].name, a), &later, a, &why)) {
			*old = later.promoted > 0;
		} else if (why.code != ERR_DAMAGE) { /* what cannot be read takes no place */
			*e = why;
			ok = false;
		}
	}
	return ok;
}

/* In any window, and its truth: one that is superseded may go, too. */
static bool promoted_twin(struct collect *c, const struct place *p, struct sha256 content, bool *found, struct arena *a,
			  struct err *e)
{
	struct project *j = c->project;
	struct raw_windows raw;
	struct twin twin;
	struct str key = key_resource(j->pipeline->name, p->resource, a);
	bool ok = raw_windows(c->raw, key, a, &raw, e);
	for (size_t i = 0; ok && !*found && i < raw.n; i++) {
		struct place other = { .resource = p->resource, .window = raw.v[i].name };
		struct err why = ERR_INIT;
		if (find_promoted(c, key_window(key, raw.v[i].name, a), &other, a, &why)) {
			ok = other.promoted == 0 || twin_in_window(j, p->resource, other.window, other.promoted, other.promoted,
								   content, a, &twin, found, e);
		} else if (why.code != ERR_DAMAGE) {
			*e = why;
			ok = false;
		}
	}
	return ok;
}

/* Damaged, while another fetch has all that it had: keeping it helps nobody. That is a later one of its window, or of a
 * snapshot that is no truth any more any one. */
static bool is_replaced(struct collect *c, const struct place *p, struct ledger *l, bool *replaced, struct arena *a,
			struct err *e)
{
	struct twin twin;
	bool whole = true, old = false;
	*replaced = false;
	if (!c->o->generations || l->status != GENERATION_SEALED || is_named_now(c, p->resource, p->window, p->generation))
		return true;
	if (!is_old_snapshot(c, p, &old, a, e))
		return false;
	if (p->generation >= p->promoted && !old)
		return true;
	if (!ledger_is_whole(l, &whole, e))
		return false;
	if (whole)
		return true;
	if (!twin_in_window(c->project, p->resource, p->window, p->generation + 1, p->promoted, l->seal.digest, a, &twin,
			    replaced, e))
		return false;
	if (*replaced || !old)
		return true;
	return promoted_twin(c, p, l->seal.digest, replaced, a, e);
}

/* Superseded like others that may expire, only that nobody can read what it had. So the newest has to be whole; and whatever
 * kept versions of tables were made of may have come with it: another fetch must still have the content of each. */
static bool may_give_up(struct collect *c, const struct place *p, bool *may, struct arena *a, struct err *e)
{
	struct project *j = c->project;
	struct str key = key_window(key_resource(j->pipeline->name, p->resource, a), p->window, a);
	const struct resource *r = pipeline_resource(j->pipeline, p->resource);
	bool snapshot = r == NULL || r->kind == KIND_SNAPSHOT; /* whose rows may have come in any window */
	struct ledger newest;
	struct str_map whole = { 0 }; /* contents that were looked for */
	*may = false;
	if (!c->o->generations || p->generation >= p->promoted || p->promoted_us >= c->now_us - c->o->keep_us ||
	    is_named_now(c, p->resource, p->window, p->generation))
		return true;
	if (!ledger_open(c->raw, j->clock, key_generation(key, p->promoted, a), STR_NONE, a, &newest, e) ||
	    !ledger_is_whole(&newest, may, e))
		return false;
	for (size_t i = 0; *may && i < c->n_kept; i++) {
		const struct kept_tag *k = &c->kept[i];
		struct twin twin;
		bool found = sha256_eq(k->content, newest.seal.digest), here = str_eq(k->window, p->window);
		if (!collect_is_of(k->table, p->resource) || !(here || snapshot))
			continue;
		if (found || !str_map_add(&whole, sha256_hex_str(k->content, a), 0, a))
			continue;
		if (!twin_of(j, p->resource, k->window, 0, k->content, a, &twin, &found, e))
			return false;
		*may = found;
	}
	return true;
}

static bool collect_closed(struct collect *c, const struct place *p, struct ledger *l, struct arena *a, struct err *e)
{
	struct sweep s = { .below = UINT64_MAX };
	if (!look(c, l, &s, a, e))
		return false;
	bool expired = l->status == GENERATION_EXPIRED, replaced = false, may = !expired && may_expire(c, p, l);
	if (!expired && !may && !is_replaced(c, p, l, &replaced, a, e))
		return false;
	if (may || replaced) {
		struct err why = ERR_INIT;
		struct str reason = may ? STR("superseded, and nothing that is kept was made of it")
					: STR("damaged, and another fetch that stays has the same content");
		expired = !c->o->remove || ledger_expire(l, reason, &why);
		if (why.code == ERR_FENCED)
			collect_left(c, l->generation_key, "somebody has just written to it", false);
		else if (why.code != ERR_NONE)
			*e = why;
		if (!expired)
			return why.code == ERR_FENCED;
	}
	c->n->given_up += replaced;
	if (expired)
		s.names = (struct str_map){ 0 };
	return remove_all(c, l, &s, expired ? GARBAGE_GENERATION : GARBAGE_SEGMENT,
			  replaced ? "it is damaged, and another fetch that stays has the same content"
			  : expired ? "a newer fetch is the window's truth, and nothing that is kept was made of this one"
				  : "no entry names it, and none can follow", a, e);
}

/* ── a window ── */

/* A table is made of sealed fetches only. If it says that it was made of this one, the end of the ledger was lost, and
 * the segments that nothing names now are what it named: the only copy. */
static bool lost_its_seal(const struct collect *c, const struct place *p, const struct ledger *l)
{
	if (l->status != GENERATION_OPEN && l->status != GENERATION_ABANDONED)
		return false;
	for (size_t i = 0; i < c->n_kept; i++)
		if (c->kept[i].generation == p->generation && str_eq(c->kept[i].window, p->window) &&
		    collect_is_of(c->kept[i].table, p->resource))
			return true;
	return false;
}

/* All segments of a generation whose ledger cannot be read, behind an object that says so. */
static bool give_up(struct collect *c, const struct place *p, struct str key, struct arena *a, struct err *e)
{
	static const char reason[] = "its ledger is damaged, and a newer fetch is the window's truth";
	struct sweep s = { .below = UINT64_MAX };
	struct ledger l = { .generation_key = key };
	bool may = false;
	struct err damage = *e;
	*e = ERR_INIT;
	if (!may_give_up(c, p, &may, a, e))
		return false;
	if (!may) {
		*e = damage;
		return false;
	}
	if (c->o->remove && !ledger_give_up(c->project->store, c->project->clock, key, c->o->run_id, str_from(reason), e))
		return false;
	c->n->given_up++;
	return store_list(c->raw, arena_format(a, "%.*s/segments", STR_ARG(key)), a, &s.list, e) &&
	       remove_all(c, &l, &s, GARBAGE_GENERATION, reason, a, e);
}

static bool collect_generation(struct collect *c, const struct place *p, struct str window_key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct ledger l;
	struct str key = key_generation(window_key, p->generation, &a);
	bool ok = ledger_open(c->raw, c->project->clock, key, c->o->run_id, &a, &l, &why);
	if (ok && l.n_entries > 0 && lost_its_seal(c, p, &l))
		ok = err_set(&why, ERR_DAMAGE, "a table was made of it, and its seal is gone");
	else if (ok && (l.n_entries > 0 || l.given_up))
		ok = l.status == GENERATION_OPEN ? collect_open(c, &l, &a, &why) : collect_closed(c, p, &l, &a, &why);
	if (!ok && why.code == ERR_DAMAGE)
		ok = give_up(c, p, key, &a, &why);
	if (!ok && why.code == ERR_DAMAGE) {
		collect_left(c, key, why.message, true);
		ok = true;
	} else if (!ok) {
		*e = why;
	}
	arena_free(&a);
	return ok;
}

static bool find_promoted(struct collect *c, struct str window_key, struct place *p, struct arena *a, struct err *e)
{
	struct window_generations g;
	struct ledger l;
	if (!window_generations_read(c->raw, c->project->clock, window_key, a, &g, e))
		return false;
	p->promoted = g.promoted;
	if (g.promoted == 0)
		return true;
	if (!ledger_open(c->raw, c->project->clock, key_generation(window_key, g.promoted, a), STR_NONE, a, &l, e))
		return false;
	p->promoted_us = l.last_time_us;
	return true;
}

bool collect_window(struct collect *c, struct str resource, struct str window, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct store_listing list;
	struct place p = { .resource = resource, .window = window };
	struct str key = key_window(key_resource(c->project->pipeline->name, resource, &a), window, &a);
	bool ok = store_list(c->raw, key, &a, &list, e);
	if (ok && !find_promoted(c, key, &p, &a, &why)) {
		ok = why.code == ERR_DAMAGE;
		if (ok)
			collect_left(c, key, why.message, true);
		else
			*e = why;
		list.n = 0;
	}
	for (size_t i = 0; ok && i < list.n; i++)
		if (list.v[i].is_folder && generation_from_name(list.v[i].name, &p.generation))
			ok = collect_generation(c, &p, key, e);
	arena_free(&a);
	return ok;
}
