#include "run/lambda_stage.h"

#include "base/json.h"
#include "format/json_parts.h"
#include "run/lambda_metric.h"

enum { ANSWER_MAX = 32 << 20 };

void lambda_put_head(struct json_out *o, const struct lambda_part *p, const char *status, struct str run_id)
{
	json_put_z(o, "status", status);
	json_put_str(o, "run_id", run_id_whole(run_id));
	json_put_str(o, "pipeline", p->project.pipeline->name);
	json_put_str(o, "now", us_to_rfc3339(p->request.now_us, p->arena));
}

/* Without an engine, models are left out as long as no other sluice has left their graph in the lake. */
void lambda_put_models_known(struct json_out *o, const struct project *j)
{
	json_put_bool(o, "models_known", j->linked && !j->models_unknown);
}

/* ── plan ── */

static void put_source(struct json_out *o, const struct plan *p, const struct source *source)
{
	size_t windows = 0;
	for (size_t i = 0; i < p->n_resources; i++)
		if (p->resources[i].selected && p->resources[i].resource->source == source)
			windows += p->resources[i].n_fetch;
	if (windows == 0)
		return;
	json_begin_object(o, NULL);
	json_put_str(o, "source", source->name);
	json_put_u64(o, "windows", windows);
	json_begin_array(o, "resources");
	for (size_t i = 0; i < p->n_resources; i++)
		if (p->resources[i].selected && p->resources[i].resource->source == source && p->resources[i].n_fetch > 0)
			json_put_str(o, NULL, p->resources[i].resource->name);
	json_end_array(o);
	json_end_object(o);
}

bool lambda_plan(struct lambda_part *p, struct str *answer, struct err *e)
{
	struct plan plan;
	struct problems problems = PROBLEMS_INIT(p->arena);
	struct project *j = &p->project;
	if (!project_link(j, &problems, e) || !plan_make(j, &p->request, p->arena, &plan, e))
		return false;
	const struct err *damage = plan_damage(&plan, true);
	if (damage) {
		*e = *damage;
		return false;
	}
	struct buf b = BUF_INIT(ANSWER_MAX);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	lambda_put_head(&o, p, "done", p->request.run_id);
	json_put_bool(&o, "anything", plan.anything);
	lambda_put_models_known(&o, j);
	json_begin_array(&o, "ingest");
	for (size_t i = 0; i < j->pipeline->n_sources; i++)
		put_source(&o, &plan, &j->pipeline->sources[i]);
	json_end_array(&o);
	json_begin_array(&o, "prepare");
	for (size_t i = 0; i < plan.n_resources; i++)
		if (plan.resources[i].selected && plan.resources[i].contract && plan.resources[i].n_fetch + plan.resources[i].n_prepare > 0)
			json_put_str(&o, NULL, plan.resources[i].resource->name);
	json_end_array(&o);
	json_begin_array(&o, "refine");
	for (size_t i = 0; i < plan.n_models; i++)
		if (plan.models[i].selected && plan.models[i].run)
			json_put_str(&o, NULL, plan.models[i].model->name);
	json_end_array(&o);
	json_end_object(&o);
	*answer = buf_take(&b, p->arena);
	return true;
}

/* ── a part of a run ── */

static void put_resource(struct json_out *o, const struct plan_resource *p, const struct run_resource *r)
{
	json_begin_object(o, NULL);
	json_put_str(o, "resource", r->name);
	json_put_u64(o, "windows", r->windows);
	json_put_u64(o, "windows_left", lambda_windows_left(p));
	json_put_u64(o, "fetched", r->windows_fetched);
	json_put_u64(o, "pages", r->pages);
	json_put_u64(o, "records", r->records);
	json_put_u64(o, "requests", r->requests);
	json_end_object(o);
}

static void put_table(struct json_out *o, const struct run_table *t)
{
	json_begin_object(o, NULL);
	json_put_z(o, "zone", lake_zone_name(t->zone));
	json_put_str(o, "table", t->name);
	json_put_bool(o, "changed", t->changed);
	json_put_i64(o, "version", t->version);
	json_put_u64(o, "rows", t->rows);
	json_put_u64(o, "rows_written", t->rows_written);
	json_put_u64(o, "quarantined", t->loss.quarantined);
	json_put_str(o, "note", t->note);
	json_end_object(o);
}

void lambda_put_tables(struct json_out *o, const struct run_result *r)
{
	json_begin_array(o, "tables");
	for (size_t i = 0; i < r->n_tables; i++)
		put_table(o, &r->tables[i]);
	json_end_array(o);
}

static struct str run_answer(const struct lambda_part *p, const struct run_result *r)
{
	struct buf b = BUF_INIT(ANSWER_MAX);
	struct json_out o = JSON_OUT(&b);
	uint64_t fetched = 0, left = 0, pages = 0, records = 0, requests = 0;
	for (size_t i = 0; i < r->n_resources; i++) {
		fetched += r->resources[i].windows_fetched;
		pages += r->resources[i].pages;
		records += r->resources[i].records;
		requests += r->resources[i].requests;
		if (r->plan.resources[i].selected)
			left += lambda_windows_left(&r->plan.resources[i]);
	}
	json_begin_object(&o, NULL);
	lambda_put_head(&o, p, r->err.code == ERR_BUDGET ? "continue" : "done", r->run_id);
	json_put_str(&o, "record", r->run_id);
	json_put_bool(&o, "nothing_to_do", r->nothing_to_do);
	json_put_u64(&o, "fetched", fetched);
	json_put_u64(&o, "windows_left", left);
	json_put_u64(&o, "pages", pages);
	json_put_u64(&o, "records", records);
	json_put_u64(&o, "requests", requests);
	json_begin_array(&o, "resources");
	for (size_t i = 0; i < r->n_resources && p->event.action == LAMBDA_INGEST; i++)
		if (r->plan.resources[i].selected)
			put_resource(&o, &r->plan.resources[i], &r->resources[i]);
	json_end_array(&o);
	lambda_put_tables(&o, r);
	json_end_object(&o);
	return buf_take(&b, p->arena);
}

bool lambda_pipeline(struct lambda_part *p, struct run_options *o, struct run_result *r, struct err *e)
{
	struct lambda_handler *h = p->handler;
	o->request = p->request;
	o->keep_going = p->event.keep_going;
	o->stop = h->stop;
	o->deadline_us = p->deadline_us;
	o->in_parts = true;
	o->http = h->http;
	if (!run_pipeline(&p->project, o, p->arena, r, e))
		return false;
	lambda_metrics_put(r, p->project.pipeline->name, p->request_id, h->clock->wall_us(h->clock), p->metrics);
	if (r->err.code == ERR_NONE || r->err.code == ERR_BUDGET)
		return true;
	*e = r->err;
	return false;
}

/* Whoever calls again after "continue" would do so for ever where an invocation is too short for anything. */
static bool has_moved(const struct run_result *r)
{
	bool moved = r->err.code != ERR_BUDGET;
	for (size_t i = 0; i < r->n_resources; i++)
		moved = moved || r->resources[i].windows_fetched > 0 || r->resources[i].pages > r->resources[i].resumed_pages;
	for (size_t i = 0; i < r->n_tables; i++)
		moved = moved || r->tables[i].changed;
	return moved;
}

bool lambda_run(struct lambda_part *p, struct str *answer, struct err *e)
{
	struct run_result r;
	enum lambda_action what = p->event.action;
	struct run_options o = {
		.command = what == LAMBDA_INGEST ? STR("ingest") : what == LAMBDA_PREPARE ? STR("prepare") : STR("refine"),
	};
	if (!lambda_pipeline(p, &o, &r, e))
		return false;
	if (!has_moved(&r)) {
		*e = r.err;
		err_hint(e, what == LAMBDA_INGEST ? "not one page was committed: give the function a longer time-out, or segments fewer pages"
						  : "not one table was made: give the function a longer time-out and more memory, or use `jobs`");
		return false;
	}
	*answer = run_answer(p, &r);
	return true;
}
