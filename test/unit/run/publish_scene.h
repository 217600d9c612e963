/* Three tables to be published, on a lake of trips: of windows with a child, of a snapshot, of a model. */
#ifndef SLUICE_TEST_RUN_PUBLISH_SCENE_H
#define SLUICE_TEST_RUN_PUBLISH_SCENE_H

#include "publish_world.h"

/* Trip 12 is set aside with its stops, and a stop of trip 11. */
#define DAY_1                                                                                                             \
	"{\"id\":11,\"place\":\"a\",\"n\":1,\"stops\":[{\"at\":\"x\"},{\"at\":null},{\"at\":\"y\"}]},"                  \
	"{\"id\":12,\"place\":\"b\",\"n\":999,\"stops\":[{\"at\":\"z\"}]}"

static const struct scene {
	const char *table, *to, *sql, *end;
	bool prepared; /* before it begins */
	size_t outputs; /* folders that its job names */
} scenes[] = {
	{ "trips", "2024-01-03", TRIPS_SQL, "11:1 21:3 22:4", false, 4 },
	{ "places", "2024-01-03", "SELECT id FROM prepare.places ORDER BY id", "a b", false, 2 },
	{ "by_place", "2024-01-03", "SELECT place || CAST(trips AS VARCHAR) FROM refine.by_place ORDER BY 1", "a2 b1", true, 1 },
};
#define TRIPS (&scenes[0])
#define MODEL (&scenes[2])

static inline void begin(struct world *w, const struct scene *s)
{
	trips_begin(w);
	trips_models(w);
	world_file(w, "contracts/trips.yaml", trips_with_stops);
	world_answers(w, "/trips?day=2024-01-01", DAY_1);
	world_stages(w, true, s->prepared, false);
	trips_days(w, "2024-01-01", s->to);
	world_run_ok(w);
}

static inline bool publish(struct world *w, const struct scene *s, struct run_options *o, struct run_table *made, struct err *e)
{
	publish_open(w);
	struct plan p = publish_plan(w, "2024-01-01", s->to, o->request.engine);
	return publish_planned(w, &p, o, s->table, made, e);
}

static inline enum lake_zone zone_of(const struct scene *s)
{
	return s == MODEL ? ZONE_REFINE : ZONE_PREPARE;
}

static inline struct str table_key(struct world *w, const struct scene *s)
{
	return project_table_key(&w->project, zone_of(s), str_from(s->table), &w->a);
}

static inline void assert_end(struct world *w, const struct scene *s)
{
	assert_text(world_sql(w, s->sql), s->end);
	if (s != TRIPS)
		return;
	assert_text(world_sql(w, TRIPS_STOPS_SQL), "11:0:x 11:2:y");
	assert_text(world_sql(w, "SELECT CAST(count(*) AS VARCHAR) FROM quarantine.trips"), "1");
}

#endif
