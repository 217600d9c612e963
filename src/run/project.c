#include "run/project.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "driver/child.h"
#include "driver/store_ahead.h"
#include "driver/store_reader.h"
#include "driver/store_trace.h"
#include "driver/store_view.h"
#include "format/engine_job.h"
#include "format/grid.h"
#include "prepare/record.h"
#include "refine/lint.h"
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

/* ── the tables of Prepare ── */

static size_t tables_of(const struct project *j, size_t resource)
{
	return 1 + (j->contracts[resource] ? j->contracts[resource]->n_children : 0);
}

static struct project_table table_at(const struct project *j, size_t resource, size_t i)
{
	const struct contract *c = j->contracts[resource] ? contract_table(j->contracts[resource], i) : NULL;
	const struct resource *r = &j->pipeline->resources[resource];
	return (struct project_table){ i > 0 ? c->name : r->name, r, c, i > 0 };
}

struct project_table *project_tables(const struct project *j, struct arena *a, size_t *n)
{
	size_t all = 0;
	for (size_t i = 0; i < j->pipeline->n_resources; i++)
		all += tables_of(j, i);
	struct project_table *out = arena_array(a, struct project_table, all + 1);
	*n = 0;
	for (size_t i = 0; i < j->pipeline->n_resources; i++)
		for (size_t k = 0; k < tables_of(j, i); k++)
			out[(*n)++] = table_at(j, i, k);
	return out;
}

struct str *project_table_names(const struct project *j, struct arena *a, size_t *n)
{
	const struct project_table *all = project_tables(j, a, n);
	struct str *names = arena_array(a, struct str, *n + 1);
	for (size_t i = 0; i < *n; i++)
		names[i] = all[i].name;
	return names;
}

bool project_table_find(const struct project *j, struct str name, struct project_table *out)
{
	for (size_t i = 0; i < j->pipeline->n_resources; i++)
		for (size_t k = 0; k < tables_of(j, i); k++) {
			*out = table_at(j, i, k);
			if (str_eq(out->name, name))
				return true;
		}
	return false;
}

struct str project_table_resource(const struct project *j, struct str table)
{
	struct project_table t;
	struct str best = STR_NONE;
	if (project_table_find(j, table, &t))
		return t.resource->name;
	for (size_t i = 0; i < j->pipeline->n_resources; i++) {
		struct str name = j->pipeline->resources[i].name;
		if (name.n > best.n && name.n + 2 < table.n && str_starts(table, name) && table.p[name.n] == '_' &&
		    table.p[name.n + 1] == '_')
			best = name;
	}
	return best.n > 0 ? best : table;
}

/* `orders__lines` may be the table of an array in the records of orders, or a resource, but not both. */
static bool check_names(const struct project *j, struct problems *p)
{
	bool ok = true;
	size_t n;
	const struct project_table *all = project_tables(j, j->arena, &n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			if (k != i && all[i].is_child && str_eq(all[i].name, all[k].name) && (!all[k].is_child || k < i)) {
				problem_file(p, all[i].contract->file, 0, 0, "give the array another name, and its own one as sluice.path",
					     "child table `%.*s` has the name of another table", STR_ARG(all[i].name));
				ok = false;
			}
	return ok;
}

/* `models` in the pipeline file is of models that are there. */
static bool settings_check(const struct project *j, struct problems *p)
{
	const struct pipeline *f = j->pipeline;
	bool ok = true;
	for (size_t i = 0; i < f->n_models; i++) {
		bool known = false;
		for (size_t k = 0; k < j->models.n; k++)
			known = known || str_eq(j->models.v[k].name, f->models[i].name);
		if (!known)
			problem_file(p, f->file, f->models[i].line, f->models[i].column, "it has the name of models/NAME.sql",
				     "there is no model `%.*s`", STR_ARG(str_sub(f->models[i].name, 0, 80)));
		ok = ok && known;
	}
	return ok;
}

bool project_load(const struct project_options *o, struct arena *a, struct project *j, struct problems *p)
{
	memset(j, 0, sizeof *j);
	j->arena = a;
	j->clock = clock_system();
	j->without_engine = o->without_engine;
	const char *file = o->pipeline_file ? o->pipeline_file : "pipeline.yaml";
	if (!pipeline_load(file, o->environment, a, &j->pipeline, p))
		return false;
	j->lake = o->lake.n > 0 ? o->lake : j->pipeline->lake;
	bool contracts = load_contracts(j, p);
	size_t n = 0;
	struct str *names = project_table_names(j, a, &n);
	contracts = check_names(j, p) && contracts;
	bool models = models_load(j->pipeline->folder, names, n, a, &j->models, p) && settings_check(j, p);
	j->tables_ok = contracts && models;
	if (!j->tables_ok)
		j->models = (struct models){ 0 };
	/* Trouble of the machine is no mistake to be reported at the end: it may be gone when the run is tried again. */
	return j->tables_ok || (o->without_tables && problems_code(p) != ERR_STORAGE);
}

/* The engine works by paths on a folder, and by URLs on everything else. */
static bool find_path(struct project *j, struct str lake, const struct store *s, char **out, struct err *e)
{
	char *path = arena_zero_terminated(j->arena, lake);
	*out = path;
	if ((s->abilities & STORE_CAN_PATH) == 0)
		return true;
	char *absolute = sys_realpath(path, NULL);
	if (absolute == NULL)
		return err_set_errno(e, ERR_STORAGE, errno, "lake %s: its path cannot be resolved", path);
	*out = arena_zero_terminated(j->arena, str_from(absolute));
	free(absolute);
	return true;
}

/* For tests: a folder that behaves as an object store does. */
static struct str without_paths(struct str lake, struct arena *a)
{
	const char *wanted = getenv("SLUICE_STORE_NO_PATHS");
	char *here = NULL;
	if (!wanted || !*wanted || !store_name_is_path(lake))
		return lake;
	if (lake.p[0] == '/')
		return arena_format(a, "disk://%.*s", STR_ARG(lake));
	here = sys_realpath(".", NULL);
	struct str out = arena_format(a, "disk://%s/%.*s", here ? here : "", STR_ARG(lake));
	free(here);
	return out;
}

static bool raw_fail(const struct project_options *o, struct err *e)
{
	if (e->code == ERR_MISSING)
		err_hint(e, "--raw-from names a lake that is there: its folder or URL");
	return err_wrap(e, "--raw-from %.*s", STR_ARG(o->raw_from));
}

/* Whoever set it up so may not know; once a command, as often as it is asked. */
static void warn_unencrypted(const struct store *s)
{
	if (s->abilities & STORE_UNENCRYPTED)
		log_warn("%.*s is asked over plain http: what is written and read can be seen on the way, and changed; `s3.endpoint` in the "
			 "pipeline file (else AWS_ENDPOINT_URL_S3) is to begin with https://", STR_ARG(s->url));
}

static bool open_raw(struct project *j, const struct project_options *o, struct err *e)
{
	struct store *inner = NULL;
	if (o->raw_from.n == 0)
		return true;
	struct str from = without_paths(o->raw_from, j->arena);
	if (!store_open(from, &j->pipeline->store, false, &inner, e) || !store_open_reader(inner, &j->raw_other, e) ||
	    !find_path(j, from, j->raw_other, &j->raw_path, e))
		return raw_fail(o, e);
	if ((j->store->abilities & STORE_UNENCRYPTED) == 0)
		warn_unencrypted(j->raw_other);
	j->raw_from = store_name_is_path(from) ? str_from(j->raw_path) : o->raw_from;
	return true;
}

bool project_open_lake(struct project *j, const struct project_options *o, struct err *e)
{
	struct str lake = without_paths(j->lake, j->arena);
	if (!store_open(lake, &j->pipeline->store, o->create_lake, &j->store, e)) {
		if (e->code == ERR_MISSING)
			err_hint(e, "`sluice run` makes the lake; --lake names another one");
		/* A path that can be nowhere is no trouble of the disk. */
		if (o->create_lake && (e->sys_errno == ENOENT || e->sys_errno == ENOTDIR || e->sys_errno == ENAMETOOLONG ||
				       e->sys_errno == ELOOP)) {
			e->code = ERR_USAGE;
			err_hint(e, "no folder can be made there: --lake and `lake` in the pipeline file name another one");
		}
		return err_wrap(e, "lake %.*s", STR_ARG(j->lake));
	}
	warn_unencrypted(j->store);
	const char *trace = getenv("SLUICE_STORE_TRACE"); /* for tests: spec/README.md */
	if (trace && *trace && !store_open_trace(j->store, trace, &j->store, e))
		return false;
	struct stat st;
	if (!find_path(j, lake, j->store, &j->lake_path, e) || !open_raw(j, o, e))
		return false;
	if (project_has_paths(j) && sys_stat(j->lake_path, &st) == 0) {
		j->lake_device = (uint64_t)st.st_dev;
		j->lake_inode = (uint64_t)st.st_ino;
	}
	return true;
}

bool project_lake_absent(struct project *j, const struct project_options *o, struct err *e)
{
	return store_open_memory(&j->store, e) && open_raw(j, o, e);
}

bool project_lake_there(const struct project *j, struct err *e)
{
	struct stat st;
	if (j->lake_inode == 0)
		return true;
	if (sys_stat(j->lake_path, &st) == -1)
		return err_set_errno(e, ERR_STORAGE, errno, errno == ENOENT || errno == ENOTDIR ? "lake %s: its folder is gone"
									       : "lake %s: its folder cannot be looked at",
				     j->lake_path);
	if ((uint64_t)st.st_dev != j->lake_device || (uint64_t)st.st_ino != j->lake_inode)
		return err_set(e, ERR_STORAGE, "lake %s: another folder stands in its place now", j->lake_path);
	return true;
}

bool project_view_begin(struct project *j, bool sizes)
{
	struct arena a = ARENA_INIT;
	if (j->raw_view || !store_can_list_all(project_raw_now(j)))
		return false;
	j->raw_view = store_open_view(project_raw_now(j), key_raw_pipeline(j->pipeline->name, &a), sizes ? STR_NONE : STR("segments"));
	arena_free(&a);
	return true;
}

void project_view_end(struct project *j, bool begun)
{
	if (!begun)
		return;
	store_close(j->raw_view);
	j->raw_view = NULL;
}

bool project_ahead_begin(struct project *j)
{
	if (j->ahead || !store_can_list_all(j->store))
		return false;
	j->ahead = store_open_ahead(j->store);
	return true;
}

void project_ahead_end(struct project *j, bool begun)
{
	if (!begun || !j->ahead)
		return;
	store_close(j->ahead);
	j->ahead = NULL;
}

struct wanted_ahead {
	const struct str *tables, *grids;
	size_t n_tables;
};

static bool ask_ahead(void *user, size_t i, struct store *s)
{
	const struct wanted_ahead *w = user;
	struct arena a = ARENA_INIT;
	struct table_snapshot t;
	struct err e = ERR_INIT;
	bool ok = i < w->n_tables ? table_load(s, w->tables[i], -1, &a, &t, &e) : grid_ask(s, w->grids[i - w->n_tables], &e);
	arena_free(&a);
	return ok || e.code == ERR_DAMAGE;
}

bool project_ahead(struct project *j, const struct str *tables, size_t n_tables, const struct str *grids, size_t n_grids)
{
	struct wanted_ahead w = { tables, grids, n_tables };
	return !j->ahead || store_ahead_ask(j->ahead, n_tables + n_grids, ask_ahead, &w);
}

void project_close(struct project *j)
{
	project_ahead_end(j, true);
	if (j->raw_view)
		store_close(j->raw_view);
	if (j->raw_other)
		store_close(j->raw_other);
	if (j->store)
		store_close(j->store);
	scratch_close(&j->cache);
	j->store = j->raw_other = j->raw_view = NULL;
}

/* ── what jobs are told ── */

bool project_job(struct project *j, struct engine_job *job, struct err *e)
{
	job->pipeline = j->pipeline->name;
	job->memory_bytes = j->pipeline->memory_bytes;
	job->file_rows = j->pipeline->file_rows;
	job->store = j->pipeline->store;
	if (j->lake_path)
		job->lake = str_from(j->lake_path);
	if (j->raw_path && job->kind == ENGINE_PREPARE)
		job->raw = str_from(j->raw_path);
	if (job->kind == ENGINE_GRAPH || project_has_paths(j))
		return true;
	if (j->cache.path == NULL && !scratch_open(j->arena, &j->cache, e))
		return false;
	job->by_store = true;
	job->cache = str_from(j->cache.path);
	job->scratch_bytes = j->pipeline->scratch_bytes;
	return true;
}

struct str project_job_file(struct project *j, struct engine_job *job, struct str table_key, const struct table_file *f,
			    struct arena *a)
{
	struct str name = arena_format(a, "%s/%.*s/%.*s", j->lake_path, STR_ARG(table_key), STR_ARG(f->path));
	if (!job->by_store)
		return name;
	job->objects = arena_push_grow(a, job->objects, job->n_objects, &job->cap_objects, sizeof *job->objects);
	job->objects[job->n_objects++] = (struct job_object){ name, f->size_bytes, f->has_hash, f->hash };
	return name;
}

void project_job_input(struct project *j, struct engine_job *job, struct str table_key, const struct table_snapshot *t,
		       struct job_input *in, struct arena *a)
{
	in->columns = t->schema;
	in->files = arena_array(a, struct str, t->n_files + 1);
	for (size_t i = 0; i < t->n_files; i++)
		if (t->files[i].rows > 0)
			in->files[in->n_files++] = project_job_file(j, job, table_key, &t->files[i], a);
}

struct str project_table_key(const struct project *j, enum lake_zone z, struct str table, struct arena *a)
{
	return key_table(z, j->pipeline->name, table, a);
}

/* ── the graph of the models ── */

/* What a model may read, as the contracts promise it: without files, since only the columns count. */
static struct job_input *graph_inputs(const struct project *j, size_t *n_inputs)
{
	struct arena *a = j->arena;
	size_t n = 0, n_columns;
	const struct project_table *tables = project_tables(j, a, &n);
	struct job_input *in = arena_array(a, struct job_input, n + j->models.n + 1);
	*n_inputs = 0;
	for (size_t i = 0; i < n + j->models.n; i++) {
		const struct contract *c = i < n ? tables[i].contract : j->models.v[i - n].contract;
		struct str table = i < n ? tables[i].name : j->models.v[i - n].name;
		if (c == NULL || c->n_columns == 0)
			continue;
		struct batch_shape *shape = record_shape(c, a, &n_columns);
		in[*n_inputs] = (struct job_input){ .schema = i < n ? STR("prepare") : STR("refine"), .table = table };
		in[*n_inputs].key = contract_key_names(c, a);
		in[*n_inputs].n_key = c->n_key;
		struct table_schema *to = &in[(*n_inputs)++].columns;
		to->n = i < n ? n_columns : c->n_columns;
		to->v = arena_array(a, struct table_column, to->n);
		for (size_t k = 0; k < to->n; k++)
			to->v[k] = (struct table_column){ .name = shape[k].name, .type = shape[k].type,
							  .precision = shape[k].precision, .scale = shape[k].scale };
	}
	return in;
}

/* Which texts, over which columns, by which rules. */
static struct str graph_key(const struct project *j, struct arena *a)
{
	char hex[SHA256_HEX + 1], type[32];
	size_t n = 0;
	const struct job_input *in = graph_inputs(j, &n);
	struct sha256 models = models_digest(&j->models, a);
	struct sha256_state s;
	struct str head = arena_format(a, "sluice graph 3, lint %d of %s\n", (int)LINT_VERSION, SLUICE_VERSION);
	sha256_begin(&s);
	sha256_add_str(&s, head);
	sha256_add(&s, models.b, SHA256_SIZE);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < in[i].columns.n; k++) {
			const struct table_column *c = &in[i].columns.v[k];
			sha256_add_str(&s, arena_format(a, "%.*s.%.*s.%zu:%.*s %s\n", STR_ARG(in[i].schema), STR_ARG(in[i].table),
							c->name.n, STR_ARG(c->name),
							engine_sql_type(c->type, c->precision, c->scale, type)));
		}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < in[i].n_key; k++)
			sha256_add_str(&s, arena_format(a, "key %zu %.*s\n", i, STR_ARG(in[i].key[k])));
	sha256_hex(sha256_end(&s), hex);
	return arena_format(a, "runs/%.*s/graph/%s.json", STR_ARG(j->pipeline->name), hex);
}

static bool graph_from_engine(struct project *j, struct engine_result *r, struct err *e)
{
	struct arena *a = j->arena;
	struct engine_job job = { .kind = ENGINE_GRAPH, .run_id = STR("graph") };
	job.sql = arena_array(a, struct str, j->models.n);
	job.sql_names = arena_array(a, struct str, j->models.n);
	job.n_sql = j->models.n;
	job.threads = 1;
	for (size_t i = 0; i < j->models.n; i++) {
		job.sql[i] = j->models.v[i].sql;
		job.sql_names[i] = j->models.v[i].name;
	}
	job.inputs = graph_inputs(j, &job.n_inputs);
	struct engine_call call = { .job = &job };
	return project_job(j, &job, e) && engine_call(&call, a, r, e);
}

void project_lint(const struct project *j, struct problems *p)
{
	for (size_t i = 0; j->pipeline->portable && i < j->n_graph; i++)
		for (size_t k = 0; k < j->models.n; k++)
			if (str_eq(j->models.v[k].name, j->graph[i].name))
				lint_problems(&j->graph[i], j->models.v[k].file, j->models.v[k].sql, p);
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
	if (!known && j->without_engine) {
		j->models = (struct models){ 0 };
		j->linked = j->models_unknown = true;
		return true;
	}
	if (!known) {
		if (!graph_from_engine(j, &r, e))
			return false;
		enum store_created ignored;
		/* Kept so that a plan needs no engine; without it the engine is asked again. */
		if (j->store && !store_create(j->store, key, engine_result_encode(&r, a), &ignored, &missing))
			missing = ERR_INIT;
	}
	size_t n = 0;
	struct str *names = project_table_names(j, a, &n);
	if (!models_link(&j->models, r.graph, r.n_graph, names, n, a, p))
		return problems_to_err(p, e);
	j->graph = r.graph;
	j->n_graph = r.n_graph;
	j->linked = true;
	return true;
}

bool project_table_load(const struct project *j, struct str key, struct arena *a, struct table_snapshot *out, struct err *e)
{
	if (!table_load(j->ahead ? j->ahead : j->store, key, -1, a, out, e))
		return false;
	if (!out->in_repair || j->repairing)
		return true;
	err_set(e, ERR_DAMAGE, "%.*s: its repair was cut off, so it is not all there", STR_ARG(key));
	return err_hint(e, "go on with it: sluice repair");
}
