#include "base/json.h"
#include "format/json_parts.h"
#include "run/lambda_stage.h"

enum { ANSWER_MAX = 32 << 20, JOB_MAX = 256 << 20 };

static struct str jobs_folder(const struct lambda_part *p)
{
	return arena_format(p->arena, "%.*s/jobs", STR_ARG(key_run(p->project.pipeline->name, p->request.run_id, p->arena)));
}

/* The event that commits it, to be sent on as it is: the plan has to come out as it did here. */
static void put_event(struct json_out *o, const struct lambda_part *p, const struct exchange_posted *x)
{
	const struct lambda_event *v = &p->event;
	const struct {
		const char *name;
		struct str value;
	} texts[] = {
		{ "action", STR("commit") }, { "pipeline", v->pipeline }, { "config", v->config }, { "environment", v->environment },
		{ "lake", v->lake }, { "run_id", p->request.run_id }, { "now", us_to_rfc3339(p->request.now_us, p->arena) },
		{ "from", v->from }, { "to", v->to }, { "job", x->job }, { "result", x->result },
	};
	json_begin_object(o, "commit");
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i].value.n > 0)
			json_put_str(o, texts[i].name, texts[i].value);
	if (v->stale)
		json_put_bool(o, "stale", true);
	if (v->keep_going)
		json_put_bool(o, "keep_going", true);
	json_end_object(o);
}

/* Rows without a partner are counted by an engine, after both tables were committed: where that decides whether a model may be made,
 * it cannot be left out. */
static bool relations_ok(const struct project *j, struct err *e)
{
	for (size_t i = 0; i < j->pipeline->n_resources; i++)
		for (size_t t = 0; j->contracts[i] && t <= j->contracts[i]->n_children; t++) {
			const struct contract *c = contract_table(j->contracts[i], t);
			for (size_t k = 0; k < c->n_relationships; k++)
				if (c->relationships[k].action == ACTION_FAIL) {
					err_set(e, ERR_CONFIG, "%s: a relationship with the action `fail` needs an engine beside the run",
						c->file);
					return err_hint(e, "prepare with the package that has the engine, or make it `warn`");
				}
		}
	return true;
}

bool lambda_jobs(struct lambda_part *p, struct str *answer, struct err *e)
{
	struct run_result r;
	struct engine_exchange x = { .way = EXCHANGE_WRITE, .folder = jobs_folder(p) };
	struct run_options o = { .command = STR("jobs"), .exchange = &x };
	if (!relations_ok(&p->project, e) || !lambda_pipeline(p, &o, &r, e))
		return false;
	struct buf b = BUF_INIT(ANSWER_MAX);
	struct json_out j = JSON_OUT(&b);
	json_begin_object(&j, NULL);
	lambda_put_head(&j, p, r.err.code == ERR_BUDGET ? "continue" : "done", r.run_id);
	json_put_str(&j, "record", r.run_id);
	lambda_put_models_known(&j, &p->project);
	json_begin_array(&j, "jobs");
	for (size_t i = 0; i < x.jobs.n; i++) {
		json_begin_object(&j, NULL);
		json_put_z(&j, "zone", lake_zone_name(x.jobs.v[i].zone));
		json_put_str(&j, "table", x.jobs.v[i].table);
		json_put_str(&j, "job", x.jobs.v[i].job);
		json_put_str(&j, "result", x.jobs.v[i].result);
		put_event(&j, p, &x.jobs.v[i]);
		json_end_object(&j);
	}
	json_end_array(&j);
	lambda_put_tables(&j, &r);
	json_end_object(&j);
	*answer = buf_take(&b, p->arena);
	return true;
}

/* Only what `jobs` of this run wrote, and what lies beside it. */
static bool key_ok(const struct lambda_part *p, const char *name, struct str key, struct err *e)
{
	if (str_starts(key, arena_format(p->arena, "%.*s/", STR_ARG(jobs_folder(p)))) && store_key_ok(key))
		return true;
	return err_set(e, ERR_USAGE, "\"%s\" in the event is not below %.*s/", name, STR_ARG(jobs_folder(p)));
}

static bool read_both(struct lambda_part *p, struct engine_exchange *x, struct engine_job *job, struct err *e)
{
	struct store *s = p->project.store;
	struct str key = p->event.job, result = p->event.result;
	if (result.n == 0 && str_ends(key, STR(".json")))
		result = arena_format(p->arena, "%.*s.result.json", STR_ARG(str_sub(key, 0, key.n - 5)));
	if (!key_ok(p, "job", key, e) || !key_ok(p, "result", result, e) || !store_get(s, key, JOB_MAX, p->arena, &x->job_text, e))
		return false;
	if (!store_get(s, result, JOB_MAX, p->arena, &x->result_text, e)) {
		if (e->code == ERR_MISSING)
			err_hint(e, "the engine has not written it: what was its end?");
		return err_wrap(e, "the result of %.*s", STR_ARG(key));
	}
	return engine_job_decode(x->job_text, p->arena, job, e) || err_wrap(e, "%.*s", STR_ARG(key));
}

bool lambda_commit(struct lambda_part *p, struct str *answer, struct err *e)
{
	struct run_result r;
	struct engine_job job;
	struct engine_exchange x = { .way = EXCHANGE_TAKE };
	struct run_options o = { .command = STR("commit"), .exchange = &x };
	if (!read_both(p, &x, &job, e))
		return false;
	p->request.only = job.table;
	p->request.prepare = job.kind == ENGINE_PREPARE;
	p->request.refine = job.kind == ENGINE_REFINE;
	if (!p->request.prepare && !p->request.refine)
		return err_set(e, ERR_USAGE, "%.*s is no job whose result is committed", STR_ARG(p->event.job));
	if (!lambda_pipeline(p, &o, &r, e))
		return false;
	struct buf b = BUF_INIT(ANSWER_MAX);
	struct json_out j = JSON_OUT(&b);
	json_begin_object(&j, NULL);
	lambda_put_head(&j, p, r.err.code == ERR_BUDGET ? "continue" : "done", r.run_id);
	json_put_str(&j, "record", r.run_id);
	json_put_bool(&j, "committed", x.taken);
	lambda_put_tables(&j, &r);
	json_end_object(&j);
	*answer = buf_take(&b, p->arena);
	return true;
}
