#include "run/engine_choice.h"

#include "refine/lint.h"

static struct str bytes_text(uint64_t bytes, struct arena *a)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double v = (double)bytes;
	size_t u = 0;
	for (; v >= 1000 && u < 4; u++)
		v /= 1000;
	return arena_format(a, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
}

static enum engine_use use_of(const struct project *j, enum engine_use asked, struct str name, bool is_model, struct str *why,
			      struct arena *a)
{
	const struct pipeline *p = j->pipeline;
	const struct resource *r = is_model ? NULL : pipeline_resource(p, name);

	*why = STR("--engine");
	if (asked != ENGINE_USE_UNSAID)
		return asked;
	if (r && r->engine != ENGINE_USE_UNSAID) {
		*why = arena_format(a, "resources.%.*s.engine", STR_ARG(name));
		return r->engine;
	}
	for (size_t i = 0; is_model && i < p->n_models; i++)
		if (str_eq(p->models[i].name, name) && p->models[i].engine != ENGINE_USE_UNSAID) {
			*why = arena_format(a, "models.%.*s.engine", STR_ARG(name));
			return p->models[i].engine;
		}
	*why = STR("engine.use");
	return p->engine;
}

enum engine_use engine_asked(const struct project *j, enum engine_use asked, struct str name, bool is_model)
{
	struct arena a = ARENA_INIT;
	struct str ignored;
	enum engine_use use = use_of(j, asked, name, is_model, &ignored, &a);
	arena_free(&a);
	return use;
}

struct engine_choice engine_choose(const struct project *j, enum engine_use asked, struct str name, bool is_model,
				   uint64_t input_bytes, struct arena *a)
{
	struct str why;
	enum engine_use use = use_of(j, asked, name, is_model, &why, a);
	uint64_t from = j->pipeline->spark.from_bytes;

	if (use == ENGINE_USE_AUTO)
		why = arena_format(a, "auto: %.*s to read, Spark from %.*s", STR_ARG(bytes_text(input_bytes, a)),
				   STR_ARG(bytes_text(from, a)));
	return (struct engine_choice){ use == ENGINE_USE_SPARK || (use == ENGINE_USE_AUTO && input_bytes >= from), why };
}

bool engine_may_run(const struct project *j, const struct model *m, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);

	for (size_t i = 0; j->pipeline->portable && !m->spark_file && i < j->n_graph; i++)
		if (str_eq(j->graph[i].name, m->name))
			lint_problems(&j->graph[i], m->file, m->sql, &p);
	bool ok = problems_to_err(&p, e);
	if (!ok)
		err_hint(e, "`sluice check` tells all of it; write it so that both engines answer alike, give the model a text for "
			 "Spark (models/%.*s.spark.sql), or refine it with DuckDB", STR_ARG(m->name));
	arena_free(&a);
	return ok;
}
