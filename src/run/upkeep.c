#include "run/upkeep.h"

#include "base/log.h"

/* The newest multiple of `every` that the run has reached; 0: none. */
static int64_t due(int64_t before, int64_t after, int64_t every)
{
	int64_t newest = after - after % every;
	return after >= every && newest > before ? newest : 0;
}

void upkeep_warn_state(const struct table_snapshot *t)
{
	if (t->bad_state.n > 0)
		log_warn("%.*s; it is passed over, and the table's log read instead", STR_ARG(t->bad_state));
}

static void fold_state(struct publish *u, struct str key, int64_t version)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct table_snapshot t;
	struct store *s = u->project->store;
	if (!table_load(s, key, version, &a, &t, &why) || !table_state_write(s, key, &t, &a, &why))
		log_warn("%.*s: the state of version %lld could not be written: %s", STR_ARG(key), (long long)version, why.message);
	arena_free(&a);
}

void upkeep_table(struct publish *u, enum lake_zone zone, struct str table, int64_t before, int64_t after)
{
	struct arena a = ARENA_INIT;
	struct str key = project_table_key(u->project, zone, table, &a);
	int64_t state = due(before, after, TABLE_STATE_EVERY);
	if (state > 0)
		fold_state(u, key, state);
	arena_free(&a);
}
