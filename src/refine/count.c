#include "refine/count.h"

#include "driver/engine.h"
#include "refine/view.h"

static bool take_number(void *user, const struct batch *b, struct err *e)
{
	uint64_t *out = user;
	if (b->n_rows == 0)
		return true;
	if (b->n_rows != 1 || b->n_columns != 1 || b->columns[0].type != TYPE_INTEGER || !batch_is_valid(&b->columns[0], 0) ||
	    b->columns[0].i64[0] < 0)
		return err_set(e, ERR_ENGINE, "one whole number was expected");
	*out = (uint64_t)b->columns[0].i64[0];
	return true;
}

static bool count_all(struct engine_connection *c, const struct engine_job *job, struct arena *a, struct engine_result *out,
		      struct err *e)
{
	struct batch_shape *shape;
	size_t n;
	if (!views_create(c, job->inputs, job->n_inputs, a, e))
		return false;
	out->counts = arena_array(a, uint64_t, job->n_sql + 1);
	out->n_counts = job->n_sql;
	for (size_t i = 0; i < job->n_sql; i++)
		if (!engine_query(c, job->sql[i], a, &shape, &n, take_number, &out->counts[i], e))
			return err_wrap(e, "%.*s", STR_ARG(job->sql_names[i]));
	return true;
}

bool count_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e)
{
	struct engine *g = NULL;
	struct engine_connection *c = NULL;
	struct { const char **v; size_t n, cap; } files = { 0 };
	for (size_t i = 0; i < job->n_inputs; i++)
		for (size_t k = 0; k < job->inputs[i].n_files; k++)
			*arena_push(a, files) = arena_zero_terminated(a, job->inputs[i].files[k]);
	struct engine_options o = {
		.memory_bytes = job->memory_bytes,
		.scratch = arena_zero_terminated(a, job->scratch),
		.files = files.v,
		.n_files = files.n,
	};
	if (!engine_open(&o, &g, e))
		return false;
	bool ok = engine_connect(g, &c, e) && count_all(c, job, a, out, e);
	if (c)
		engine_disconnect(c);
	engine_close(g);
	return ok;
}
