#include "run/project.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"
#include "driver/child.h"
#include "driver/store_trace.h"
#include "format/engine_job.h"
#include "run/engine_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool load_contracts(struct project *j, struct problems *p)
{
	struct pipeline *l = j->pipeline;
	bool ok = true;
	j->contracts = arena_array(j->arena, struct contract *, l->n_resources + 1);
	for (size_t i = 0; i < l->n_resources; i++) {
		if (!contract_find(l->folder, l->resources[i].name, j->arena, &j->contracts[i], p)) {
			j->contracts[i] = NULL;
			ok = false;
		}
		const struct contract *c = j->contracts[i];
		if (c == NULL || l->resources[i].kind == KIND_WINDOW || c->window_column == SIZE_MAX)
			continue;
		problem_file(p, c->file, 0, 0, "take sluice.window_column out, or make the resource `kind: window`",
			     "%.*s is a snapshot: its records belong to no window", STR_ARG(l->resources[i].name));
		ok = false;
	}
	return ok;
}

static struct str *resource_names(const struct pipeline *l, struct arena *a)
{
	struct str *names = arena_array(a, struct str, l->n_resources + 1);
	for (size_t i = 0; i < l->n_resources; i++)
		names[i] = l->resources[i].name;
	return names;
}

bool project_load(const struct project_options *o, struct arena *a, struct project *j, struct problems *p)
{
	memset(j, 0, sizeof *j);
	j->arena = a;
	j->clock = clock_system();
	const char *file = o->pipeline_file ? o->pipeline_file : "pipeline.yaml";
	if (!pipeline_load(file, o->environment, a, &j->pipeline, p))
		return false;
	j->lake = o->lake.n > 0 ? o->lake : j->pipeline->lake;
	bool contracts = load_contracts(j, p);
	bool models = models_load(j->pipeline->folder, resource_names(j->pipeline, a), j->pipeline->n_resources, a, &j->models, p);
	j->tables_ok = contracts && models;
	if (!j->tables_ok)
		j->models = (struct models){ 0 };
	/* Trouble of the machine is no mistake to be reported at the end: it may be gone when the run is tried again. */
	return j->tables_ok || (o->without_tables && problems_code(p) != ERR_STORAGE);
}

bool project_open_lake(struct project *j, const struct project_options *o, struct err *e)
{
	if (str_starts(j->lake, STR("s3://")))
		return err_set(e, ERR_CONFIG, "%.*s: lakes on S3 are not here yet; use a folder", STR_ARG(j->lake));
	char *path = arena_zero_terminated(j->arena, j->lake);
	if (!store_open_disk(path, o->create_lake, &j->store, e)) {
		if (e->code == ERR_MISSING)
			err_hint(e, "`sluice run` makes the lake; --lake names another one");
		return err_wrap(e, "lake %s", path);
	}
	const char *trace = getenv("SLUICE_STORE_TRACE"); /* for tests: spec/README.md */
	if (trace && *trace && !store_open_trace(j->store, trace, &j->store, e))
		return false;
	char *absolute = sys_realpath(path, NULL);
	if (absolute == NULL)
		return err_set_errno(e, ERR_STORAGE, errno, "lake %s: its path cannot be resolved", path);
	j->lake_path = arena_zero_terminated(j->arena, str_from(absolute));
	free(absolute);
	struct stat st;
	if (sys_stat(j->lake_path, &st) == 0) {
		j->lake_device = (uint64_t)st.st_dev;
		j->lake_inode = (uint64_t)st.st_ino;
	}
	return true;
}

bool project_lake_there(const struct project *j, struct err *e)
{
	struct stat st;
	if (j->lake_inode == 0)
		return true;
	if (sys_stat(j->lake_path, &st) == -1)
		return err_set_errno(e, ERR_STORAGE, errno, "lake %s: its folder is gone", j->lake_path);
	if ((uint64_t)st.st_dev != j->lake_device || (uint64_t)st.st_ino != j->lake_inode)
		return err_set(e, ERR_STORAGE, "lake %s: another folder stands in its place now", j->lake_path);
	return true;
}

void project_close(struct project *j)
{
	if (j->store)
		store_close(j->store);
	j->store = NULL;
}

struct str project_table_key(const struct project *j, enum lake_zone z, struct str table, struct arena *a)
{
	return key_table(z, j->pipeline->name, table, a);
}

/* ── the graph of the models ── */

static struct str graph_key(const struct project *j, struct arena *a)
{
	char hex[SHA256_HEX + 1];
	sha256_hex(models_digest(&j->models, a), hex);
	return arena_format(a, "runs/%.*s/graph/%s.json", STR_ARG(j->pipeline->name), hex);
}

static bool graph_from_engine(struct project *j, struct engine_result *r, struct err *e)
{
	struct arena *a = j->arena;
	struct engine_job job = { .kind = ENGINE_GRAPH, .pipeline = j->pipeline->name, .run_id = STR("graph") };
	job.sql = arena_array(a, struct str, j->models.n);
	job.sql_names = arena_array(a, struct str, j->models.n);
	job.n_sql = j->models.n;
	job.memory_bytes = j->pipeline->memory_bytes;
	job.file_rows = j->pipeline->file_rows;
	job.threads = 1;
	for (size_t i = 0; i < j->models.n; i++) {
		job.sql[i] = j->models.v[i].sql;
		job.sql_names[i] = j->models.v[i].name;
	}
	struct engine_call call = { .job = &job };
	return engine_call(&call, a, r, e);
}

bool project_link(struct project *j, struct problems *p, struct err *e)
{
	if (j->linked || j->models.n == 0) {
		j->linked = true;
		return true;
	}
	struct arena *a = j->arena;
	struct str text, key = graph_key(j, a);
	struct engine_result r = { 0 };
	struct err missing = ERR_INIT;
	bool known = j->store && store_get(j->store, key, 16 << 20, a, &text, &missing) &&
		     engine_result_decode(text, a, &r, &missing);
	if (!known) {
		if (!graph_from_engine(j, &r, e))
			return false;
		enum store_created ignored;
		/* Kept so that a plan needs no engine; without it the engine is asked again. */
		if (j->store && !store_create(j->store, key, engine_result_encode(&r, a), &ignored, &missing))
			missing = ERR_INIT;
	}
	if (!models_link(&j->models, r.graph, r.n_graph, resource_names(j->pipeline, a), j->pipeline->n_resources, a, p))
		return problems_to_err(p, e);
	j->linked = true;
	return true;
}
