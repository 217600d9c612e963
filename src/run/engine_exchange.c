#include "run/engine_exchange.h"

#include "base/str_map.h"
#include "driver/child.h"
#include "format/ledger.h"

/* What decides the result: not where it is made, for which run, with how much of the machine, nor by which way the lake is reached.
 * `objects` say again what the inputs are: files that never change, by name. */
static struct str meaning(const struct engine_job *job, struct arena *a)
{
	struct engine_job j = *job;
	j.by_store = false;
	j.store = (struct store_settings){ 0 };
	j.run_id = j.result_path = j.scratch = j.output = j.quarantine_output = STR_NONE;
	j.threads = 0;
	j.memory_bytes = 0;
	j.children = arena_array(a, struct job_table, job->n_children + 1);
	for (size_t i = 0; i < job->n_children; i++) {
		j.children[i] = job->children[i];
		j.children[i].output = j.children[i].quarantine_output = STR_NONE;
	}
	return engine_job_encode(&j, a);
}

static struct exchange_posted place(const struct engine_exchange *x, enum lake_zone zone, const struct engine_job *job, struct arena *a)
{
	struct str hex = sha256_hex_str(sha256_of(meaning(job, a)), a);
	struct str base = arena_format(a, "%.*s/%s-%.*s-%.16s", STR_ARG(x->folder), lake_zone_name(zone), STR_ARG(job->table), hex.p);
	return (struct exchange_posted){ zone, job->table, arena_format(a, "%.*s.json", STR_ARG(base)),
					 arena_format(a, "%.*s.result.json", STR_ARG(base)) };
}

static void post(struct engine_exchange *x, const struct exchange_posted *p, struct arena *a, struct err *e)
{
	*arena_push(a, x->jobs) = *p;
	x->posted = true;
	err_set(e, ERR_BUDGET, "%.*s waits for an engine", STR_ARG(p->job));
}

bool exchange_is_new(struct engine_exchange *x, struct store *s, enum lake_zone zone, const struct engine_job *job, struct arena *a,
		     struct err *e)
{
	struct exchange_posted p = place(x, zone, job, a);
	struct err missing = ERR_INIT;
	uint64_t size;
	if (!store_size(s, p.job, &size, &missing)) {
		if (missing.code == ERR_MISSING)
			return true;
		*e = missing;
		return false;
	}
	if (store_settle(s, p.job, e))
		post(x, &p, a, e);
	return false;
}

bool exchange_write(struct engine_exchange *x, struct store *s, enum lake_zone zone, struct engine_job *job, struct arena *a,
		    struct err *e)
{
	struct exchange_posted p = place(x, zone, job, a);
	bool ours = false;
	job->cache = STR_NONE; /* a folder of this machine */
	job->result_path = arena_format(a, "%.*s/%.*s", STR_ARG(job->lake), STR_ARG(p.result));
	/* Whoever was first with the same job has folders of its own: either will do. */
	if (store_create_checked(s, p.job, engine_job_encode(job, a), &ours, a, e))
		post(x, &p, a, e);
	return false;
}

/* "<lake>/<table>/data/<name>" may name "data/<name>/...". */
static bool files_are_below(const struct table_file *f, size_t n, struct str output, struct err *e)
{
	size_t at = output.n;
	while (at > 0 && output.p[at - 1] != '/')
		at--;
	struct str name = str_sub(output, at, output.n);
	for (size_t i = 0; i < n; i++) {
		struct str path = f[i].path, folder, data;
		bool ok = str_cut(&path, '/', &data) && str_eq_z(data, "data") && str_cut(&path, '/', &folder) && str_eq(folder, name) &&
			  name.n > 0 && store_key_ok(path) && str_find_char(path, '/') == path.n;
		if (!ok)
			return err_set(e, ERR_ENGINE, "the result names the file %.*s, which is not below its job's output",
				       STR_ARG(str_sub(f[i].path, 0, 200)));
	}
	return true;
}

/* The job's windows by name; of a model the one that it is. */
static void windows_of(const struct engine_job *job, struct str_map *names, struct arena *a)
{
	for (size_t i = 0; i < job->n_windows; i++)
		str_map_add(names, job->windows[i].name, i, a);
	if (job->kind == ENGINE_REFINE)
		str_map_add(names, STR("full"), 0, a);
}

static bool is_window(const struct engine_job *job, const struct table_window *tag, size_t i)
{
	const struct job_window *w = &job->windows[i];
	return tag->generation == w->generation && sha256_eq(tag->content, w->content) && sha256_eq(tag->seal, w->seal) &&
	       sha256_eq(tag->key, w->key);
}

/* The tags decide what a table says that it holds: each is a window of the job as the job has it, and none is left out. */
static bool tags_fit(const struct engine_job *job, const struct str_map *names, const struct table_file *f, size_t n,
		     struct arena *a, struct err *e)
{
	struct str_map paths = { 0 }, seen = { 0 };
	for (size_t i = 0; i < n; i++) {
		if (!str_map_add(&paths, f[i].path, i, a))
			return err_set(e, ERR_ENGINE, "the result names the file %.*s twice", STR_ARG(f[i].path));
		for (size_t k = 0; k < f[i].n_windows; k++) {
			const struct table_window *tag = &f[i].windows[k];
			size_t at = str_map_get(names, tag->name);
			if (at == SIZE_MAX || (job->kind == ENGINE_PREPARE && !is_window(job, tag, at)))
				return err_set(e, ERR_ENGINE, "the result tags %.*s with window %.*s, which its job does not have",
					       STR_ARG(f[i].path), STR_ARG(str_sub(tag->name, 0, 100)));
			str_map_add(&seen, tag->name, at, a);
		}
	}
	for (size_t i = 0; i < job->n_windows; i++) /* a model's job has none */
		if (str_map_get(&seen, job->windows[i].name) == SIZE_MAX)
			return err_set(e, ERR_ENGINE, "the result leaves out window %.*s of its job", STR_ARG(job->windows[i].name));
	return true;
}

/* What ended an engine elsewhere ends nothing here: "no time left" would be taken for ours, and asked again for ever. */
static bool their_error(struct str text, struct arena *a, struct err *e)
{
	if (!child_own_error(text, a, e))
		return false;
	if (e->code == ERR_BUDGET || e->code == ERR_SIGTERM || e->code == ERR_SIGINT) {
		e->code = ERR_ENGINE;
		err_wrap(e, "the engine was stopped");
		err_hint(e, "carry the job out again");
	}
	return true;
}

bool exchange_take(struct engine_exchange *x, const struct engine_job *job, struct arena *a, struct engine_result *r, struct err *e)
{
	struct engine_job was;
	struct str_map names = { 0 };
	if (!engine_job_decode(x->job_text, a, &was, e))
		return false;
	if (!str_eq(meaning(&was, a), meaning(job, a))) {
		err_set(e, ERR_FENCED, "the job was written for something else than is to be done now");
		return err_hint(e, "write the jobs again: what it was made for, or from, has changed since");
	}
	if (their_error(x->result_text, a, e))
		return false;
	if (!engine_result_decode(x->result_text, a, r, e))
		return false;
	if (r->n_children != was.n_children)
		return err_set(e, ERR_ENGINE, "the engine answered for %zu child tables, not %zu", r->n_children, was.n_children);
	windows_of(&was, &names, a);
	for (size_t i = 0; i <= was.n_children; i++) {
		struct engine_output o = engine_result_table(r, i);
		struct job_table t = engine_job_table(&was, i);
		if (!files_are_below(o.files, o.n_files, t.output, e) ||
		    !files_are_below(o.quarantine_files, o.n_quarantine_files, t.quarantine_output, e) ||
		    !tags_fit(&was, &names, o.files, o.n_files, a, e) ||
		    (was.kind == ENGINE_PREPARE && !tags_fit(&was, &names, o.quarantine_files, o.n_quarantine_files, a, e)))
			return false;
	}
	x->taken = true;
	return true;
}
