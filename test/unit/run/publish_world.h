/* One table published, as runner.c does it, on a lake of trips: by a plan of now or by one that has become old, and through a
 * store of the test's own. */
#ifndef SLUICE_TEST_RUN_PUBLISH_WORLD_H
#define SLUICE_TEST_RUN_PUBLISH_WORLD_H

#include "trips.h"

#include "run/input_check.h"
#include "run/publish.h"
#include "run/spark_session.h"
#include "store_flaky.h"

static inline void shell(struct world *w, const char *line)
{
	struct str text = arena_format(&w->a, "cd %s && %s", w->root, line);
	assert_int_equal(system(arena_zero_terminated(&w->a, text)), 0);
}

/* The pipeline file, contracts, models and what these read, as they stand now. */
static inline void publish_open(struct world *w)
{
	struct problems p = PROBLEMS_INIT(&w->a);
	world_open_project(w);
	OK(project_link(&w->project, &p, e));
}

/* What a run decides now; others may go to work before it is carried out. */
static inline struct plan publish_plan(struct world *w, const char *from, const char *to, enum engine_use engine)
{
	struct plan p;
	struct plan_request q = { .has_from = true, .has_to = true, .from = str_from(from), .to = str_from(to), .prepare = true,
				  .engine = engine, .now_us = w->clock.wall_us };
	OK(plan_make(&w->project, &q, &w->a, &p, e));
	return p;
}

/* `made`: an entry for each table of the resource. */
static inline bool publish_planned(struct world *w, struct plan *p, const struct run_options *o, const char *table,
				   struct run_table *made, struct err *e)
{
	struct input_checks checks = { 0 };
	struct publish u = { .project = &w->project, .options = o, .run_id = STR("late"), .threads = 1, .checks = &checks,
			     .spark = spark_session_new(&w->project.pipeline->spark) };
	bool ok = true, done = false;
	*made = (struct run_table){ 0 };
	for (size_t i = 0; i < p->n_resources; i++)
		if (str_eq_z(p->resources[i].resource->name, table))
			ok = publish_resource(&u, &p->resources[i], made, &w->a, e), done = true;
	for (size_t i = 0; i < w->project.models.n; i++)
		if (str_eq_z(w->project.models.v[i].name, table))
			ok = publish_model(&u, &w->project.models.v[i], made, &w->a, e), done = true;
	assert_true(done);
	spark_session_free(u.spark);
	arena_free(&checks.arena);
	return ok;
}

/* From here to its inverse the project's store is this one; what stands behind it is the lake's. */
static inline struct flaky *publish_through(struct world *w, struct flaky *f, uint64_t fail_at, enum flaky_how how)
{
	flaky_init(f, w->project.store);
	flaky_arm(f, fail_at, how);
	w->project.store = &f->store;
	return f;
}

static inline void publish_through_end(struct world *w, const struct flaky *f)
{
	w->project.store = f->inner;
}

#endif
