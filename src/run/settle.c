/* Rule 16, for a whole run: what the plan found done is as good as done by this run, so it has to survive a power cut
 * before anything is built on it, and before the run says that there is nothing to do. Whoever made it may have been
 * killed between giving it its name and making the name durable.
 *
 * A window that a table of ours names needs no look of its own: whoever committed that table came by here first. */
#include "format/layout.h"
#include "run/stage.h"

static bool settle_windows(struct run_state *s, const struct plan_resource *p, struct err *e)
{
	struct project *j = s->project;
	struct str resource = key_resource(j->pipeline->name, p->resource->name, s->arena);
	/* Objects are durable before they get a name, so it is the folder that counts; number 0 is always there. */
	if (!p->grid_missing && !store_settle(project_raw(j), key_grid(j->pipeline->name, p->resource->name, 0, s->arena), e))
		return false;
	for (size_t i = 0; i < p->n_windows; i++) {
		const struct plan_window *w = &p->windows[i];
		if (w->promoted == 0 || w->prepared)
			continue;
		struct str key = key_generation(key_window(resource, w->name, s->arena), w->promoted, s->arena);
		if (!store_settle(project_raw(j), key_entry(key, 0, s->arena), e))
			return false;
	}
	return true;
}

static bool settle_table(struct run_state *s, enum lake_zone zone, struct str name, const struct table_snapshot *t,
			 struct err *e)
{
	return table_settle(s->project->store, project_table_key(s->project, zone, name, s->arena), t, s->arena, e);
}

bool run_settle_seen(struct run_state *s, struct err *e)
{
	const struct plan *p = &s->out->plan;
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct plan_resource *r = &p->resources[i];
		/* The tables first: that they name a window proves something only once they themselves are durable. */
		for (size_t k = 0; k < r->n_tables; k++)
			if (!settle_table(s, ZONE_PREPARE, r->tables[k].name, &r->tables[k].table, e) ||
			    !settle_table(s, ZONE_QUARANTINE, r->tables[k].name, &r->tables[k].quarantine, e))
				return false;
		if (!settle_windows(s, r, e))
			return false;
	}
	for (size_t i = 0; i < p->n_models; i++)
		if (!settle_table(s, ZONE_REFINE, p->models[i].model->name, &p->models[i].table, e))
			return false;
	return true;
}
