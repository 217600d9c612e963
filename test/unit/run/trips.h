/* A small project: trips by day, the places they lead to, and two models of which the first by name reads the other. */
#ifndef SLUICE_TEST_RUN_TRIPS_H
#define SLUICE_TEST_RUN_TRIPS_H

#include "lake_world.h"

#define CONTRACT_HEAD(name)                                                                       \
	"apiVersion: v3.1.0\nkind: DataContract\nid: " name "\nversion: 1.0.0\nstatus: active\n" \
	"schema:\n  - name: " name "\n"
#define TRIPS_COLUMNS(more)                                                                                  \
	CONTRACT_HEAD("trips")                                                                               \
	"    customProperties: [{property: sluice.budget_percent, value: 100}]\n"                           \
	"    properties:\n"                                                                                  \
	"      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}\n"                \
	"      - name: place\n        logicalType: string\n        required: true\n"                         \
	"        relationships: [{to: places.id, customProperties: [{property: sluice.action, value: warn}]}]\n" more
#define TRIPS_N "      - {name: n, logicalType: integer, logicalTypeOptions: {maximum: 100}}\n"

static const char trips_pipeline[] =
	"pipeline: test\n"
	"lake: ./lake\n"
	"schedule: {cron: '0 5 * * *', window: 1d}\n"
	"source: {url: 'https://api.example', retry: {attempts: 1}}\n"
	"resources:\n"
	"  trips:\n"
	"    path: /trips\n"
	"    kind: window\n"
	"    window: {every: 1d}\n"
	"    query: {day: '{window.from:date}'}\n"
	"    records: data\n"
	"  places: {path: /places, kind: snapshot, records: data}\n";
static const char trips_contract[] = TRIPS_COLUMNS(TRIPS_N);
/* Each with the stops on its way: a table of their own. */
static const char trips_with_stops[] = TRIPS_COLUMNS(TRIPS_N
	"      - name: stops\n        logicalType: array\n        items:\n          logicalType: object\n          properties:\n"
	"            - {name: at, logicalType: string, required: true}\n");
static const char places_contract[] =
	CONTRACT_HEAD("places")
	"    properties:\n"
	"      - {name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n"
	"      - {name: name, logicalType: string}\n";
static const char by_place_contract[] =
	CONTRACT_HEAD("by_place")
	"    properties:\n"
	"      - {name: place, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n"
	"      - {name: name, logicalType: string}\n"
	"      - {name: trips, logicalType: integer}\n";
static const char a_busiest_contract[] =
	CONTRACT_HEAD("a_busiest")
	"    properties:\n"
	"      - {name: place, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n";

/* Days 1 to 4 of January, two trips each; day d has ids d1 and d2. */
static inline void trips_begin(struct world *w)
{
	world_begin(w, trips_pipeline);
	world_file(w, "contracts/trips.yaml", trips_contract);
	world_file(w, "contracts/places.yaml", places_contract);
	world_answers(w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":1},{\"id\":12,\"place\":\"b\",\"n\":2}");
	world_answers(w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":3},{\"id\":22,\"place\":\"b\",\"n\":4}");
	world_answers(w, "/trips?day=2024-01-03", "{\"id\":31,\"place\":\"a\",\"n\":5},{\"id\":32,\"place\":\"a\",\"n\":6}");
	world_answers(w, "/trips?day=2024-01-04", "{\"id\":41,\"place\":\"a\",\"n\":7},{\"id\":42,\"place\":\"a\",\"n\":8}");
	world_answers(w, "/places", "{\"id\":\"a\",\"name\":\"Aa\"},{\"id\":\"b\",\"name\":\"Bb\"}");
}

static inline void trips_models(struct world *w)
{
	world_file(w, "contracts/by_place.yaml", by_place_contract);
	world_file(w, "contracts/a_busiest.yaml", a_busiest_contract);
	world_file(w, "models/by_place.sql",
		   "SELECT t.place, p.name, COUNT(*) AS trips FROM prepare.trips t LEFT JOIN prepare.places p ON p.id = t.place "
		   "GROUP BY t.place, p.name\n");
	world_file(w, "models/a_busiest.sql", "SELECT place FROM refine.by_place WHERE trips >= 3\n");
}

static inline void trips_days(struct world *w, const char *from, const char *to)
{
	world_interval(w, from, to);
}

static inline void trips_run_days(struct world *w, const char *from, const char *to)
{
	trips_days(w, from, to);
	world_run_ok(w);
}

/* Records of as many trips, all to one place. */
static inline const char *trips_many(struct world *w, unsigned n)
{
	struct str text = STR_NONE;
	for (unsigned i = 0; i < n; i++)
		text = arena_format(&w->a, "%.*s%s{\"id\":%u,\"place\":\"a\",\"n\":1}", STR_ARG(text), i ? "," : "", 1000 + i);
	return arena_zero_terminated(&w->a, text);
}

#define TRIPS_SQL "SELECT id || ':' || coalesce(CAST(n AS VARCHAR), '-') FROM prepare.trips ORDER BY id"
#define TRIPS_STOPS_SQL "SELECT p.id || ':' || s._idx || ':' || s.at FROM prepare.trips__stops s JOIN prepare.trips p " \
	"ON p._window = s._window AND p._page = s._page AND p._off = s._parent_off ORDER BY 1"

#endif
