/* What runs say that they left: a log whose end was lost still replays, and would make garbage of files that it named. */
#include "base/json.h"
#include "driver/store_ahead.h"
#include "driver/store_each.h"
#include "run/collect_parts.h"

#include <inttypes.h>

enum { RECORD_MAX_BYTES = 64 << 20 };

static void keep_newest(struct collect *c, struct str run, enum lake_zone zone, struct str table, const struct json_node *n)
{
	struct str id = json_str_or(n, "id", STR_NONE);
	int64_t version = json_i64_or(n, "version", -1);
	if (version < 0 || id.n == 0)
		return;
	for (size_t i = 0; i < c->n_left; i++) {
		struct left_by_run *l = &c->left[i];
		if (l->zone != zone || !str_eq(l->table, table) || !str_eq(l->id, id))
			continue;
		if (version > l->version) {
			l->version = version;
			l->run = arena_copy(&c->arena, run);
		}
		return;
	}
	c->left = arena_push_grow(&c->arena, c->left, c->n_left, &c->cap_left, sizeof *c->left);
	c->left[c->n_left++] = (struct left_by_run){ zone, arena_copy(&c->arena, table), arena_copy(&c->arena, id),
						     arena_copy(&c->arena, run), version };
}

static void read_record(struct collect *c, struct str run, const struct json_node *root)
{
	static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
	const struct json_node *tables = json_get(root, "tables");
	for (const struct json_node *n = tables ? tables->child : NULL; n; n = n->next) {
		struct str zone = json_str_or(n, "zone", STR_NONE), table = json_str_or(n, "table", STR_NONE);
		for (size_t z = 0; z < sizeof zones / sizeof *zones; z++)
			if (str_eq_z(zone, lake_zone_name(zones[z])))
				keep_newest(c, run, zones[z], table, n);
		if (json_get(n, "quarantine"))
			keep_newest(c, run, ZONE_QUARANTINE, table, json_get(n, "quarantine"));
	}
}

enum { RECORDS_AHEAD = 256 };

static struct str record_key(struct str base, struct str run, struct arena *a)
{
	return arena_format(a, "%.*s/%.*s/record.json", STR_ARG(base), STR_ARG(run));
}

/* Those of the next runs, where each would be a request; else NULL. */
static struct store *records_ahead(struct store *s, struct str base, const struct store_listing *runs, size_t from)
{
	struct arena a = ARENA_INIT;
	struct str *keys = arena_array(&a, struct str, RECORDS_AHEAD);
	size_t n = 0;
	for (size_t i = from; i < runs->n && i - from < RECORDS_AHEAD; i++)
		if (runs->v[i].is_folder)
			keys[n++] = record_key(base, runs->v[i].name, &a);
	struct store *ahead = store_can_list_all(s) ? store_open_ahead(s) : NULL;
	if (ahead)
		store_ahead_get(ahead, keys, n, RECORD_MAX_BYTES, STORE_AT_ONCE);
	arena_free(&a);
	return ahead;
}

/* A record that cannot be understood says nothing: it is history only, and `verify` tells of it. */
static bool collect_record(struct collect *c, struct store *s, struct str base, struct str run, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str text;
	struct json_node *root = NULL;
	struct err why = ERR_INIT;
	if (store_get(s, record_key(base, run, &a), RECORD_MAX_BYTES, &a, &text, &why) && json_parse(text, &a, &root, &why))
		read_record(c, run, root);
	arena_free(&a);
	if (why.code != ERR_STORAGE && why.code != ERR_MEMORY)
		return true;
	*e = why;
	return false;
}

bool collect_records(struct collect *c, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list;
	struct store *s = c->project->store, *ahead = NULL;
	struct str base = arena_format(&a, "runs/%.*s", STR_ARG(c->project->pipeline->name));
	bool ok = store_list_names(s, base, &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++) {
		if (i % RECORDS_AHEAD == 0) {
			store_close(ahead);
			ahead = records_ahead(s, base, &list, i);
		}
		ok = !collect_stopped(c, e) && (!list.v[i].is_folder || collect_record(c, ahead ? ahead : s, base, list.v[i].name, e));
	}
	store_close(ahead);
	arena_free(&a);
	return ok;
}

const char *collect_is_cut(const struct collect *c, enum lake_zone zone, struct str table, const struct table_snapshot *t,
			   struct arena *a)
{
	for (size_t i = 0; i < c->n_left; i++) {
		const struct left_by_run *l = &c->left[i];
		if (l->zone != zone || !str_eq(l->table, table) ||
		    (t->version >= 0 && (!str_eq(l->id, t->id) || l->version <= t->version)))
			continue;
		return arena_format(a, "the end of its log is gone: run %.*s left version %" PRId64, STR_ARG(l->run), l->version).p;
	}
	return NULL;
}
