#include "run/engine_exchange.h"

#include "base/check.h"
#include "driver/child.h"

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

static bool post(struct engine_exchange *x, const struct exchange_posted *p, struct arena *a, struct err *e)
{
	*arena_push(a, x->jobs) = *p;
	x->posted = true;
	return err_set(e, ERR_BUDGET, "%.*s waits for an engine", STR_ARG(p->job));
}

bool exchange_look(struct engine_exchange *x, struct store *s, enum lake_zone zone, const struct engine_job *job, bool *there,
		   struct arena *a, struct err *e)
{
	struct exchange_posted p = place(x, zone, job, a);
	struct err missing = ERR_INIT;
	uint64_t size;
	*there = false;
	if (!store_size(s, p.job, &size, &missing)) {
		if (missing.code == ERR_MISSING)
			return true;
		*e = missing;
		return false;
	}
	*there = true;
	return store_settle(s, p.job, e) && post(x, &p, a, e);
}

bool exchange_write(struct engine_exchange *x, struct store *s, enum lake_zone zone, struct engine_job *job, struct arena *a,
		    struct err *e)
{
	struct exchange_posted p = place(x, zone, job, a);
	enum store_created created;
	job->cache = STR_NONE; /* a folder of this machine */
	job->result_path = arena_format(a, "%.*s/%.*s", STR_ARG(job->lake), STR_ARG(p.result));
	/* Whoever was first with the same job has folders of its own: either will do. */
	return store_create(s, p.job, engine_job_encode(job, a), &created, e) && store_settle(s, p.job, e) && post(x, &p, a, e);
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

bool exchange_take(struct engine_exchange *x, const struct engine_job *job, struct arena *a, struct engine_result *r, struct err *e)
{
	struct engine_job was;
	if (!engine_job_decode(x->job_text, a, &was, e))
		return false;
	if (!str_eq(meaning(&was, a), meaning(job, a))) {
		err_set(e, ERR_FENCED, "the job was written for something else than is to be done now");
		return err_hint(e, "write the jobs again: what it was made for, or from, has changed since");
	}
	if (child_own_error(x->result_text, a, e))
		return false;
	if (!engine_result_decode(x->result_text, a, r, e))
		return false;
	if (r->n_children != was.n_children)
		return err_set(e, ERR_ENGINE, "the engine answered for %zu child tables, not %zu", r->n_children, was.n_children);
	for (size_t i = 0; i <= was.n_children; i++) {
		struct engine_output o = engine_result_table(r, i);
		struct job_table t = engine_job_table(&was, i);
		if (!files_are_below(o.files, o.n_files, t.output, e) ||
		    !files_are_below(o.quarantine_files, o.n_quarantine_files, t.quarantine_output, e))
			return false;
	}
	x->taken = true;
	return true;
}
