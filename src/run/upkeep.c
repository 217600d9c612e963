#include "run/upkeep.h"

#include "base/file.h"
#include "base/log.h"
#include "base/scratch.h"
#include "format/checkpoint.h"

/* The newest multiple of `every` that the run has reached; 0: none. */
static int64_t due(int64_t before, int64_t after, int64_t every)
{
	int64_t newest = after - after % every;
	return after >= every && newest > before ? newest : 0;
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

/* The child writes into a folder that nobody reads; what it wrote is brought to its place as a whole. */
static bool make_checkpoint(struct publish *u, struct str key, struct str table, uint64_t version, const char *folder,
			    struct arena *a, struct err *e)
{
	struct project *j = u->project;
	struct engine_result r;
	struct str bytes;
	struct engine_job job = {
		.kind = ENGINE_CHECKPOINT,
		.run_id = u->run_id,
		.table = table,
		.threads = 1,
		.output = str_from(folder),
		.table_key = key,
		.version = version,
	};
	struct engine_call call = { .job = &job, .stop = u->options ? u->options->stop : NULL };
	if (!project_job(j, &job, e) || !engine_call(&call, a, &r, e))
		return false;
	if (r.n_files != 1 || r.files->rows == 0)
		return err_set(e, ERR_ENGINE, "the engine wrote no checkpoint");
	const char *path = arena_format(a, "%s/checkpoint.parquet", folder).p;
	return file_read(path, CHECKPOINT_MAX_BYTES, a, &bytes, e) &&
	       (bytes.n == r.files->size_bytes || err_set(e, ERR_ENGINE, "the checkpoint has another size than the engine said")) &&
	       checkpoint_publish(j->store, key, version, bytes, r.files->rows, a, e);
}

static void checkpoint(struct publish *u, struct str key, struct str table, int64_t version)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct scratch folder = { 0 };
	if (!scratch_open(&a, &folder, &why) || !make_checkpoint(u, key, table, (uint64_t)version, folder.path, &a, &why))
		log_warn("%.*s: the checkpoint of version %lld could not be written: %s", STR_ARG(key), (long long)version,
			 why.message);
	scratch_close(&folder);
	arena_free(&a);
}

void upkeep_table(struct publish *u, enum lake_zone zone, struct str table, int64_t before, int64_t after)
{
	struct arena a = ARENA_INIT;
	struct str key = project_table_key(u->project, zone, table, &a);
	int64_t state = due(before, after, TABLE_STATE_EVERY);
	if (state > 0)
		fold_state(u, key, state);
	int64_t point = due(before, after, CHECKPOINT_EVERY);
	if (point > 0 && !u->project->without_engine) /* it is for other readers' convenience: a later one does as well */
		checkpoint(u, key, table, point);
	arena_free(&a);
}
