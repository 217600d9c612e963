#include "run/grid_check.h"

#include "format/grid.h"
#include "run/plan.h"
#include "run/plan_window.h"

bool grid_changed(struct project *j, const struct resource *r, struct step *stored, struct err *why)
{
	struct grid g;
	struct err unread = ERR_INIT;
	bool missing = false;
	struct str key = key_resource(j->pipeline->name, r->name, j->arena);
	const struct step *wanted = plan_step(j, r);
	if (!grid_load(project_grids(j), key, wanted, j->arena, &g, &missing, &unread) || missing ||
	    grid_agrees(&g, wanted, r->name, why))
		return false;
	*stored = g.parts[g.n_parts - 1].step;
	return true;
}
