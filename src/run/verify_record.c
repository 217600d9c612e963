/* The records of runs: the newest commit of a table, which no other commit names, is vouched for by the run that left it. */
#include "base/json.h"
#include "driver/store_ahead.h"
#include "driver/store_each.h"
#include "format/delta_history.h"
#include "run/verify_parts.h"

#include <inttypes.h>

enum { RECORD_MAX_BYTES = 64 << 20, RUNS_AHEAD = 128 };

static const struct verify_table *find_table(const struct verify *v, enum lake_zone zone, struct str name)
{
	for (size_t i = 0; i < v->tables.n; i++)
		if (v->tables.v[i].zone == zone && str_eq(v->tables.v[i].name, name))
			return &v->tables.v[i];
	return NULL;
}

/* A run that committed since the table was looked at left a newer version, and said so. */
static bool has_moved(struct verify *v, const struct verify_table *t)
{
	bool moved = false;
	struct err why = ERR_INIT;
	if (table_has_version(v->project->store, t->key, t->t.version + 1, &moved, &why))
		return moved;
	verify_unread(v, t->key, &why);
	return true;
}

static bool is_declared(const struct verify *v, enum lake_zone zone, struct str name)
{
	const struct project *j = v->project;
	bool found = zone != ZONE_REFINE && pipeline_resource(j->pipeline, name) != NULL;
	for (size_t i = 0; zone == ZONE_REFINE && i < j->models.n; i++)
		found = found || str_eq(j->models.v[i].name, name);
	return found;
}

/* A table that replays and is not what the run left. One that was made anew since has another id: nothing is said of it. */
static void check_table(struct verify *v, struct str run, enum lake_zone zone, struct str name, const struct json_node *n)
{
	struct arena a = ARENA_INIT;
	const struct verify_table *t = find_table(v, zone, name);
	struct str id = json_str_or(n, "id", STR_NONE);
	int64_t version = json_i64_or(n, "version", -1);
	struct sha256 commit;
	struct str key = key_table(zone, v->project->pipeline->name, name, &a);
	v->about = (struct finding){ .kind = FINDING_LOG, .zone = zone, .name = name, .version = version };
	if (version < 0 || id.n == 0 || !sha256_from_hex(json_str_or(n, "commit", STR_NONE), &commit)) {
		/* a table that was not there, or a record of an earlier version */
	} else if (t && t->t.in_repair) {
		/* told already, and no wonder */
	} else if (t == NULL) {
		struct table_snapshot now;
		struct err unreadable = ERR_INIT; /* reported already */
		if (is_declared(v, zone, name) && project_table_load(v->project, key, &a, &now, &unreadable) && now.version < 0)
			verify_found(v, key, "the table is not there; run %.*s left version %" PRId64, STR_ARG(run), version);
	} else if (!str_eq(id, t->t.id)) {
		/* Otherwise it was made anew since: by another run, or by a repair whose commit stands though it was told no (the
		 * answer was lost), so that its record names the version before. */
		if (str_eq(t->t.last_run, run) && t->t.version <= version)
			verify_found(v, key, "the table has another id than run %.*s left", STR_ARG(run));
	} else if (version > t->t.version) {
		if (!has_moved(v, t))
			verify_found(v, key, "version %" PRId64 " is the newest one, and run %.*s left version %" PRId64,
				     t->t.version, STR_ARG(run), version);
	} else if (version == t->t.version && !sha256_eq(commit, t->t.last_hash)) {
		verify_found(v, key, "version %" PRId64 " is not the one that run %.*s left", version, STR_ARG(run));
	}
	arena_free(&a);
}

static bool zone_from_name(struct str name, enum lake_zone *zone)
{
	static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
		if (str_eq_z(name, lake_zone_name(zones[i]))) {
			*zone = zones[i];
			return true;
		}
	return false;
}

static void check_tables(struct verify *v, struct str run, const struct json_node *root)
{
	const struct json_node *tables = json_get(root, "tables");
	for (const struct json_node *n = tables ? tables->child : NULL; n; n = n->next) {
		enum lake_zone zone;
		struct str name = json_str_or(n, "table", STR_NONE);
		const struct json_node *aside = json_get(n, "quarantine");
		if (!zone_from_name(json_str_or(n, "zone", STR_NONE), &zone) || !name_ok(name) ||
		    !(only_has(v->o->only, name) || only_has(v->o->only, project_table_resource(v->project, name))))
			continue;
		check_table(v, run, zone, name, n);
		if (aside && aside->type == JSON_OBJECT)
			check_table(v, run, ZONE_QUARANTINE, name, aside);
	}
}

/* An object that need not be there, but is whole if it is. */
static const struct json_node *read_object(struct verify *v, struct str folder, struct str run, const char *name,
					   const char *format, struct arena *a)
{
	struct err e = ERR_INIT;
	struct str key = arena_format(a, "%.*s/%s", STR_ARG(folder), name), text, is;
	struct json_node *root = NULL;
	v->about = (struct finding){ .kind = FINDING_RECORD, .name = run };
	if (!store_get(v->records, key, RECORD_MAX_BYTES, a, &text, &e)) {
		if (e.code != ERR_MISSING)
			verify_unread(v, key, &e);
		return NULL;
	}
	if (!json_parse(text, a, &root, &e) || !json_need_str(root, "format", &is, &e) || !json_need_str(root, "run", &run, &e)) {
		verify_unread(v, key, &e);
		return NULL;
	}
	if (str_eq_z(is, format) && str_eq(run, v->about.name))
		return root;
	verify_found(v, key, "it is none of this run");
	return NULL;
}

/* The objects of this run and the ones before it in the list, where each would be a request; else NULL. */
static struct store *runs_ahead(struct store *s, struct str base, const struct store_listing *runs, size_t last)
{
	struct arena a = ARENA_INIT;
	struct str keys[2 * RUNS_AHEAD];
	size_t n = 0;
	if (!store_can_list_all(s))
		return NULL;
	for (size_t i = last + 1; i-- > 0 && last - i < RUNS_AHEAD;) {
		if (!runs->v[i].is_folder || str_eq(runs->v[i].name, STR("graph")))
			continue;
		keys[n++] = arena_format(&a, "%.*s/%.*s/plan.json", STR_ARG(base), STR_ARG(runs->v[i].name));
		keys[n++] = arena_format(&a, "%.*s/%.*s/record.json", STR_ARG(base), STR_ARG(runs->v[i].name));
	}
	struct store *ahead = store_open_ahead(s);
	store_ahead_get(ahead, keys, n, RECORD_MAX_BYTES, STORE_AT_ONCE);
	arena_free(&a);
	return ahead;
}

bool verify_records(struct verify *v, struct err *e)
{
	struct arena a = ARENA_INIT, each = ARENA_INIT;
	struct store_listing list;
	struct str base = arena_format(&a, "runs/%.*s", STR_ARG(v->project->pipeline->name));
	struct store *ahead = NULL;
	bool ok = store_list(v->project->store, base, &a, &list, e);
	for (size_t i = list.n; ok && i-- > 0 && !verify_late(v);) { /* the newest first */
		struct str run = list.v[i].name;
		if ((list.n - 1 - i) % RUNS_AHEAD == 0) {
			store_close(ahead);
			ahead = runs_ahead(v->project->store, base, &list, i);
			v->records = ahead ? ahead : v->project->store;
		}
		ok = !verify_stopped(v, e);
		if (!ok || !list.v[i].is_folder || str_eq(run, STR("graph")))
			continue;
		arena_reset(&each);
		struct str folder = arena_format(&each, "%.*s/%.*s", STR_ARG(base), STR_ARG(run));
		v->n->runs++;
		read_object(v, folder, run, "plan.json", "sluice-plan/1", &each);
		const struct json_node *record = read_object(v, folder, run, "record.json", "sluice-run/1", &each);
		if (record)
			check_tables(v, run, record);
	}
	store_close(ahead);
	arena_free(&each);
	arena_free(&a);
	return ok;
}
