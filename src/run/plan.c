#include "run/plan.h"

#include "base/check.h"
#include "base/log.h"
#include "run/lake_query.h"
#include "run/plan_window.h"
#include "run/publish.h"
#include "run/raw.h"

#include <string.h>

/* ── what --only names ── */

static bool selects(struct str only, struct str name)
{
	struct str part;
	if (only.n == 0)
		return true;
	while (str_cut(&only, ',', &part))
		if (str_eq(str_trim(part), name))
			return true;
	return false;
}

/* By its name, or by that of one of its child tables: they are fetched and prepared together. */
static bool selects_resource(const struct project *j, struct str only, const struct resource *r)
{
	struct str rest = only, part;
	struct project_table t;
	bool found = selects(only, r->name);
	while (!found && str_cut(&rest, ',', &part))
		found = project_table_find(j, str_trim(part), &t) && t.resource == r;
	return found;
}

static bool check_only(const struct project *j, struct str only, struct err *e)
{
	struct project_table t;
	struct str part;
	while (only.n > 0 && str_cut(&only, ',', &part)) {
		struct str name = str_trim(part);
		bool known = pipeline_resource(j->pipeline, name) != NULL || project_table_find(j, name, &t);
		for (size_t i = 0; i < j->models.n && !known; i++)
			known = str_eq(j->models.v[i].name, name);
		if (!known)
			return err_set(e, ERR_USAGE, "--only %.*s: no resource and no model has this name", STR_ARG(name));
	}
	return true;
}

/* ── resources ── */

/* Looks at the newest sealed window only: one read a resource, however long the history. */
static bool definition_check(struct project *j, struct plan_resource *p, struct arena *a, struct err *e)
{
	size_t i = p->n_windows;
	while (i > 0 && (p->windows[i - 1].action != WINDOW_SEALED || p->windows[i - 1].promoted == 0))
		i--;
	if (i == 0)
		return true;
	const struct plan_window *w = &p->windows[i - 1];
	struct str resource = key_resource(j->pipeline->name, p->resource->name, a), text;
	struct str generation = key_generation(key_window(resource, w->name, a), w->promoted, a);
	struct ledger_entry first;
	if (!store_get(project_raw(j), key_entry(generation, 0, a), LEDGER_ENTRY_MAX_BYTES, a, &text, e) ||
	    !ledger_decode(text, a, &first, e))
		return err_wrap(e, "%.*s", STR_ARG(generation));
	p->definition_changed = first.has_origin && !sha256_eq(first.origin.definition, w->origin.definition);
	return true;
}

static void warn_state(const struct table_snapshot *t)
{
	if (t->bad_state.n > 0)
		log_warn("%.*s; it is passed over, and the table's log read instead", STR_ARG(t->bad_state));
}

bool plan_tables_load(struct project *j, struct plan_resource *p, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < p->n_tables; i++) {
		struct plan_table *t = &p->tables[i];
		if (!project_table_load(j, project_table_key(j, ZONE_PREPARE, t->name, a), a, &t->table, e) ||
		    !project_table_load(j, project_table_key(j, ZONE_QUARANTINE, t->name, a), a, &t->quarantine, e))
			return false;
	}
	return true;
}

static void no_tables(struct plan_resource *p)
{
	for (size_t i = 0; i < p->n_tables; i++)
		p->tables[i].table = p->tables[i].quarantine = (struct table_snapshot){ .version = -1 };
}

/* Answers that are not fetched may be lost for good: what a table is like must not keep `ingest` from it, and Raw itself says
 * what is there. */
static bool pass_over_damage(struct plan_resource *p, const struct plan_request *q, struct err *e)
{
	if (e->code != ERR_DAMAGE || q->prepare || q->refine)
		return false;
	log_warn("%s; Raw is fetched all the same, and `sluice repair %.*s` makes the table again", e->message,
		 STR_ARG(p->resource->name));
	*e = ERR_INIT;
	no_tables(p);
	p->tables_unknown = true;
	return true;
}

static bool plan_one(struct project *j, const struct plan_request *q, struct plan_resource *p, struct arena *a,
		     struct err *e)
{
	const struct resource *r = p->resource;
	struct str key = key_resource(j->pipeline->name, r->name, a);
	p->n_tables = 1 + (p->contract ? p->contract->n_children : 0);
	p->tables = arena_array(a, struct plan_table, p->n_tables);
	for (size_t i = 0; i < p->n_tables; i++) {
		p->tables[i].contract = p->contract ? contract_table(p->contract, i) : NULL;
		p->tables[i].name = i > 0 ? p->tables[i].contract->name : r->name;
	}
	/* A view of Raw must not be older than the tables: a fetch that they have would not be in it. */
	if (!grid_load(project_grids(j), key, plan_step(j, r), a, &p->grid, &p->grid_missing, e) ||
	    !grid_agrees(&p->grid, plan_step(j, r), r->name, e))
		return false;
	if (!plan_tables_load(j, p, a, e) && !pass_over_damage(p, q, e))
		return false;
	for (size_t i = 0; i < p->n_tables; i++) {
		warn_state(&p->tables[i].table);
		warn_state(&p->tables[i].quarantine);
	}
	const struct table_snapshot *table = &p->tables[0].table;
	if (p->contract && table->version >= 0) {
		char hex[SHA256_HEX + 1];
		sha256_hex(p->contract->meaning, hex);
		p->contract_changed = !str_eq_z(table->contract_meaning, hex);
	}
	return plan_resource_windows(j, q, p, a, e) && definition_check(j, p, a, e);
}

/* Whoever needs it is told; the others are planned all the same. */
static void set_aside(struct project *j, struct plan_resource *p, struct err *why, struct arena *a)
{
	p->damage = *why;
	*why = ERR_INIT;
	lake_damage_hint(j, p->resource->name, &p->damage);
	p->note = arena_format(a, "DAMAGED: %s", p->damage.message);
	p->n_windows = p->n_fetch = p->n_prepare = p->n_stale_elsewhere = p->n_unprepared_elsewhere = 0;
	no_tables(p);
}

const struct err *plan_damage(const struct plan *p, bool selected)
{
	for (size_t i = 0; i < p->n_resources; i++)
		if (p->resources[i].damage.code != ERR_NONE && (p->resources[i].selected || !selected))
			return &p->resources[i].damage;
	for (size_t i = 0; i < p->n_models; i++)
		if (p->models[i].damage.code != ERR_NONE && (p->models[i].selected || !selected))
			return &p->models[i].damage;
	return NULL;
}

/* "1 of 1 window", "2 of 3 windows" */
static struct str windows_of(size_t n, size_t all, struct arena *a)
{
	return arena_format(a, "%zu of %zu window%s", n, all, all == 1 ? "" : "s");
}

static struct str resource_note(const struct plan_resource *p, const struct plan_request *q, struct arena *a)
{
	size_t waiting = 0, not_final = 0;
	for (size_t i = 0; i < p->n_windows; i++) {
		waiting += p->windows[i].action == WINDOW_CANDIDATE;
		not_final += p->windows[i].action == WINDOW_NOT_FINAL;
	}
	if (!p->selected)
		return STR("not asked for (--only)");
	if (p->n_windows == 0)
		return STR("no window ends in the interval");
	if (p->note.n > 0 && p->n_fetch + p->n_prepare == 0)
		return p->note;
	if (q->ingest && p->n_fetch > 0 && p->contract == NULL)
		return arena_format(a, "%.*s to fetch; there is no contract, so nothing is prepared",
				    STR_ARG(windows_of(p->n_fetch, p->n_windows, a)));
	if (!q->ingest && p->n_fetch > 0 && q->prepare && p->n_prepare > 0)
		return arena_format(a, "%.*s %s not fetched yet; %zu to prepare", STR_ARG(windows_of(p->n_fetch, p->n_windows, a)),
				    p->n_fetch == 1 ? "is" : "are", p->n_prepare);
	if ((q->ingest && p->n_fetch > 0) || (q->prepare && p->n_prepare > 0))
		return arena_format(a, "%.*s to fetch, %zu to prepare", STR_ARG(windows_of(p->n_fetch, p->n_windows, a)),
				    p->n_prepare + p->n_fetch);
	if (p->n_fetch > 0)
		return arena_format(a, "%.*s %s not fetched yet", STR_ARG(windows_of(p->n_fetch, p->n_windows, a)),
				    p->n_fetch == 1 ? "is" : "are");
	if (waiting > 0)
		return arena_format(a, "%.*s wait%s for `sluice accept`", STR_ARG(windows_of(waiting, p->n_windows, a)),
				    waiting == 1 ? "s" : "");
	if (not_final == p->n_windows)
		return arena_format(a, "nothing to do: %zu %s not over yet", not_final, not_final == 1 ? "window is" : "windows are");
	size_t sealed = p->n_windows - not_final, prepared = 0;
	for (size_t i = 0; i < p->n_windows; i++)
		prepared += p->windows[i].action != WINDOW_NOT_FINAL && p->windows[i].prepared;
	if (p->tables_unknown)
		return arena_format(a, "nothing to do: %zu %s sealed", sealed, sealed == 1 ? "window is" : "windows are");
	return arena_format(a, "nothing to do: %zu %s sealed%s", sealed, sealed == 1 ? "window is" : "windows are",
			    p->contract == NULL	 ? "; there is no contract, so nothing is prepared"
			    : prepared == sealed ? " and prepared"
			    : prepared == 0	 ? " and not prepared yet"
						 : ", and not all prepared yet");
}

/* ── models ── */

const struct plan_resource *plan_find_table(const struct plan *p, struct str table, const struct plan_table **of)
{
	for (size_t i = 0; i < p->n_resources; i++)
		for (size_t k = 0; k < p->resources[i].n_tables; k++)
			if (str_eq(p->resources[i].tables[k].name, table)) {
				*of = &p->resources[i].tables[k];
				return &p->resources[i];
			}
	*of = NULL;
	return NULL;
}

static const struct plan_model *find_model(const struct plan *p, struct str table)
{
	for (size_t i = 0; i < p->n_models; i++)
		if (str_eq(p->models[i].model->name, table))
			return &p->models[i];
	return NULL;
}

static struct str table_part(struct str name)
{
	size_t dot = str_find_char(name, '.');
	return str_sub(name, dot + 1, name.n);
}

uint64_t table_bytes(const struct table_snapshot *t)
{
	uint64_t n = 0;
	for (size_t i = 0; i < t->n_files; i++)
		n += t->files[i].size_bytes;
	return n;
}

/* Whether it would run as things stand; the run itself decides again once its inputs are there. */
static void plan_model(const struct project *j, const struct plan *p, struct plan_model *m, struct arena *a)
{
	struct sha256 *inputs = arena_array(a, struct sha256, m->model->n_reads + 1);
	const struct table_window *full = table_find_window(&m->table, STR("full"));
	uint64_t input_bytes = 0;
	for (size_t i = 0; i < m->model->n_reads; i++) {
		struct str name = m->model->reads[i], table = table_part(name);
		bool changes = false, damaged = false;
		if (str_starts(name, STR("prepare."))) {
			const struct plan_table *of;
			const struct plan_resource *r = plan_find_table(p, table, &of);
			CHECK(r != NULL);
			damaged = r->damage.code != ERR_NONE;
			changes = r->selected && ((p->request.ingest && r->n_fetch > 0 && r->contract) ||
						  (p->request.prepare && r->n_prepare > 0));
			inputs[i] = table_content_key(&of->table);
			input_bytes += table_bytes(&of->table);
		} else {
			const struct plan_model *from = find_model(p, table);
			CHECK(from != NULL);
			damaged = from->damage.code != ERR_NONE;
			changes = from->selected && from->run;
			inputs[i] = table_content_key(&from->table);
			input_bytes += table_bytes(&from->table);
		}
		if (damaged) {
			m->run = false;
			m->reason = arena_format(a, "it reads %.*s, which is DAMAGED", STR_ARG(name));
			return;
		}
		if (changes && !m->run) {
			m->run = true;
			m->reason = full ? arena_format(a, "%.*s changes", STR_ARG(name)) : STR("never made");
		}
	}
	m->engine = engine_choose(j, p->request.engine, m->model->name, true, input_bytes, a);
	if (m->run)
		return;
	struct sha256 key = model_key(m->model, m->engine.spark, inputs, m->model->n_reads);
	m->run = full == NULL || !sha256_eq(full->key, key);
	m->reason = full == NULL ? STR("never made") : m->run ? STR("its inputs or its text changed")
							      : STR("nothing to do: nothing that it reads changed");
}

static bool plan_models(struct project *j, struct plan *p, struct arena *a, struct err *e)
{
	p->models = arena_array(a, struct plan_model, j->models.n + 1);
	p->n_models = j->models.n;
	for (size_t i = 0; i < j->models.n; i++) {
		struct plan_model *m = &p->models[i];
		m->model = &j->models.v[i];
		m->selected = p->request.refine && selects(p->request.only, m->model->name);
		if (!project_table_load(j, project_table_key(j, ZONE_REFINE, m->model->name, a), a, &m->table, &m->damage)) {
			if (m->damage.code != ERR_DAMAGE) {
				*e = m->damage;
				return false;
			}
			m->table = (struct table_snapshot){ .version = -1 };
			m->reason = arena_format(a, "DAMAGED: %s", m->damage.message);
			lake_damage_hint(j, m->model->name, &m->damage);
		}
		warn_state(&m->table);
	}
	for (size_t i = 0; i < p->n_models; i++)
		if (p->models[i].damage.code == ERR_NONE)
			plan_model(j, p, &p->models[i], a);
	return true;
}

static bool make(struct project *j, const struct plan_request *q, struct arena *a, struct plan *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	out->request = *q;
	out->lake = j->lake;
	out->environment = j->pipeline->environment;
	out->raw_from = j->raw_from;
	CHECK(!j->raw_other || !q->ingest);
	if (!check_only(j, q->only, e))
		return false;
	if (q->has_to && !q->has_from)
		return err_set(e, ERR_USAGE, "--to needs --from");
	if (q->has_from && !plan_instant(q->from, j->pipeline->schedule.zone, "--from", &out->from_us, e))
		return false;
	out->to_us = q->now_us;
	if (q->has_to && !plan_instant(q->to, j->pipeline->schedule.zone, "--to", &out->to_us, e))
		return false;
	out->n_resources = j->pipeline->n_resources;
	out->resources = arena_array(a, struct plan_resource, out->n_resources + 1);
	for (size_t i = 0; i < out->n_resources; i++) {
		struct plan_resource *r = &out->resources[i];
		r->resource = &j->pipeline->resources[i];
		r->contract = j->contracts[i];
		r->selected = selects_resource(j, q->only, r->resource);
		bool ok = plan_one(j, q, r, a, e);
		if (!ok && e->code == ERR_DAMAGE)
			set_aside(j, r, e, a);
		else if (!ok)
			return err_wrap(e, "plan");
		if (r->damage.code != ERR_NONE)
			continue;
		if (!publish_choose(j, r, q->engine, a, e))
			return err_wrap(e, "plan");
		r->note = resource_note(r, q, a);
		if (r->definition_changed && r->selected)
			r->note = arena_format(a, "%.*s; fetched in another way than the pipeline file says now: "
					       "`sluice run --only %.*s --refetch` asks again", STR_ARG(r->note),
					       STR_ARG(r->resource->name));
		out->anything = out->anything || (r->selected && ((q->ingest && r->n_fetch > 0) ||
								  (q->prepare && r->n_prepare > 0)));
	}
	if (!plan_models(j, out, a, e))
		return err_wrap(e, "plan");
	for (size_t i = 0; i < out->n_models; i++)
		out->anything = out->anything || (out->models[i].selected && out->models[i].run);
	return true;
}

/* All tables and grids at once; then, since a view of Raw must not be older than the tables, Raw. */
static void ask_ahead(struct project *j, struct arena *a)
{
	size_t n_tables = 0, n = 0, n_grids = j->pipeline->n_resources;
	const struct project_table *prepared = project_tables(j, a, &n_tables);
	struct str *tables = arena_array(a, struct str, 2 * n_tables + j->models.n + 1), *raw = arena_array(a, struct str, n_grids + 1);
	for (size_t i = 0; i < n_tables; i++) {
		tables[n++] = project_table_key(j, ZONE_PREPARE, prepared[i].name, a);
		tables[n++] = project_table_key(j, ZONE_QUARANTINE, prepared[i].name, a);
	}
	for (size_t i = 0; i < j->models.n; i++)
		tables[n++] = project_table_key(j, ZONE_REFINE, j->models.v[i].name, a);
	for (size_t i = 0; i < n_grids; i++)
		raw[i] = key_resource(j->pipeline->name, j->pipeline->resources[i].name, a);
	if (project_ahead(j, tables, n, raw, j->raw_other ? 0 : n_grids))
		raw_list_ahead(j, raw, n_grids);
}

bool plan_make(struct project *j, const struct plan_request *q, struct arena *a, struct plan *out, struct err *e)
{
	bool viewed = project_view_begin(j, false), begun = project_ahead_begin(j);
	if (begun)
		ask_ahead(j, a);
	bool ok = make(j, q, a, out, e);
	project_ahead_end(j, begun);
	project_view_end(j, viewed);
	return ok;
}
