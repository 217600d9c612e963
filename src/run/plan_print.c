#include "base/json.h"
#include "run/plan.h"

enum { PLAN_MAX_BYTES = 256 << 20 };

static void put_engine(struct json_out *o, const struct engine_choice *c)
{
	json_put_z(o, "engine", c->spark ? "spark" : "duckdb");
	json_put_str(o, "engine_why", c->why);
}

static void put_windows(struct json_out *o, const struct plan_resource *p, struct arena *a)
{
	json_begin_array(o, "windows");
	for (size_t i = 0; i < p->n_windows; i++) {
		const struct plan_window *w = &p->windows[i];
		json_begin_object(o, NULL);
		json_put_str(o, "window", w->name);
		json_put_str(o, "from", us_to_rfc3339(w->window.from_us, a));
		json_put_str(o, "to", us_to_rfc3339(w->window.to_us, a));
		json_put_z(o, "action", window_action_name(w->action));
		json_put_str(o, "reason", w->reason);
		json_put_u64(o, "generation", w->generation);
		json_put_bool(o, "prepare", p->contract && w->known && !w->prepared);
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_versions(struct json_out *o, const struct plan_table *t)
{
	json_put_i64(o, "table_version", t->table.version);
	json_put_i64(o, "quarantine_version", t->quarantine.version);
}

static void put_resource(struct json_out *o, const struct plan_resource *p, struct arena *a)
{
	json_begin_object(o, NULL);
	json_put_str(o, "resource", p->resource->name);
	json_put_bool(o, "selected", p->selected);
	json_put_str(o, "note", p->note);
	if (p->damage.code != ERR_NONE)
		json_put_z(o, "damaged", p->damage.message);
	put_engine(o, &p->engine);
	json_put_u64(o, "fetch", p->n_fetch);
	json_put_u64(o, "prepare", p->n_prepare);
	json_put_u64(o, "stale_elsewhere", p->n_stale_elsewhere);
	json_put_u64(o, "unprepared_elsewhere", p->n_unprepared_elsewhere);
	json_put_bool(o, "contract", p->contract != NULL);
	json_put_bool(o, "contract_changed", p->contract_changed);
	json_put_bool(o, "definition_changed", p->definition_changed);
	put_versions(o, &p->tables[0]);
	if (p->n_tables > 1) {
		json_begin_array(o, "children");
		for (size_t i = 1; i < p->n_tables; i++) {
			json_begin_object(o, NULL);
			json_put_str(o, "table", p->tables[i].name);
			put_versions(o, &p->tables[i]);
			json_end_object(o);
		}
		json_end_array(o);
	}
	put_windows(o, p, a);
	json_end_object(o);
}

struct str plan_json(const struct plan *p, struct arena *a)
{
	struct buf b = BUF_INIT(PLAN_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", "sluice-plan/1");
	json_put_str(&o, "run", p->request.run_id);
	json_put_str(&o, "now", us_to_rfc3339(p->request.now_us, a));
	if (p->environment.n > 0)
		json_put_str(&o, "environment", p->environment);
	if (p->raw_from.n > 0)
		json_put_str(&o, "raw_from", p->raw_from);
	if (p->request.has_from)
		json_put_str(&o, "from", p->request.from);
	if (p->request.has_to)
		json_put_str(&o, "to", p->request.to);
	json_put_str(&o, "only", p->request.only);
	json_put_bool(&o, "stale", p->request.stale);
	if (p->request.refetch)
		json_put_str(&o, "refetch", p->request.refetch_name);
	json_put_bool(&o, "anything", p->anything);
	json_begin_array(&o, "resources");
	for (size_t i = 0; i < p->n_resources; i++)
		put_resource(&o, &p->resources[i], a);
	json_end_array(&o);
	json_begin_array(&o, "models");
	for (size_t i = 0; i < p->n_models; i++) {
		const struct plan_model *m = &p->models[i];
		json_begin_object(&o, NULL);
		json_put_str(&o, "model", m->model->name);
		json_put_bool(&o, "selected", m->selected);
		json_put_bool(&o, "run", m->selected && m->run);
		json_put_str(&o, "reason", m->reason);
		put_engine(&o, &m->engine);
		if (m->model->spark_file)
			json_put_z(&o, "spark_text", m->model->spark_file);
		json_put_i64(&o, "table_version", m->table.version);
		json_begin_array(&o, "reads");
		for (size_t k = 0; k < m->model->n_reads; k++)
			json_put_str(&o, NULL, m->model->reads[k]);
		json_end_array(&o);
		json_end_object(&o);
	}
	json_end_array(&o);
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a);
}

struct str plan_elsewhere(const struct plan_resource *p, struct arena *a)
{
	size_t stale = p->n_stale_elsewhere, left = p->n_unprepared_elsewhere;
	struct str text = STR_NONE;
	if (stale > 0)
		text = arena_format(a, "%zu window%s stale", stale, stale == 1 ? " is" : "s are");
	if (left > 0)
		text = arena_format(a, "%.*s%s%zu window%s sealed and not prepared", STR_ARG(text), stale > 0 ? " and " : "", left,
				    left == 1 ? " is" : "s are");
	return text.n > 0 ? arena_format(a, "outside this interval %.*s: `sluice run --stale`", STR_ARG(text)) : text;
}

enum { SHOWN_WINDOWS = 6 };

/* Nothing where it is DuckDB because nobody asked for anything else. */
static void print_engine(const struct engine_choice *c, const char *file, struct buf *out)
{
	bool usual = !c->spark && !str_starts(c->why, STR("auto"));
	if (!usual)
		buf_addf(out, "    by %s%s%s (%.*s)\n", c->spark ? "Spark" : "DuckDB", c->spark && file ? ", which runs " : "",
			 c->spark && file ? file : "", STR_ARG(c->why));
}

static void print_resource(const struct plan_resource *p, bool fetches, struct arena *a, struct buf *out)
{
	struct str left = plan_elsewhere(p, a);
	size_t shown = 0, more = 0;
	buf_addf(out, "  %-20.*s %.*s\n", STR_ARG(p->resource->name), STR_ARG(p->note));
	if (p->selected && p->n_prepare + p->n_fetch > 0 && p->contract)
		print_engine(&p->engine, NULL, out);
	for (size_t i = 0; p->selected && i < p->n_windows; i++) {
		const struct plan_window *w = &p->windows[i];
		bool told = str_eq_z(w->reason, window_action_name(w->action));
		bool left_out = !fetches && (w->action == WINDOW_FETCH || w->action == WINDOW_RESUME || w->action == WINDOW_REFETCH);
		bool plain = w->action == WINDOW_SEALED && (w->prepared || !p->contract);
		if (plain)
			continue;
		if (shown == SHOWN_WINDOWS) {
			more++;
			continue;
		}
		shown++;
		buf_addf(out, "    %.*s  %s%s%.*s\n", STR_ARG(w->name),
			 left_out ? "not fetched" : w->action == WINDOW_SEALED ? "prepare" : window_action_name(w->action),
			 w->reason.n > 0 && !told ? ": " : "", STR_ARG(told ? STR_NONE : w->reason));
	}
	if (more > 0)
		buf_addf(out, "    ... and %zu more\n", more);
	if (left.n > 0 && p->selected)
		buf_addf(out, "    %.*s\n", STR_ARG(left));
}

void plan_print_where(const struct plan *p, struct buf *out)
{
	bool elsewhere = str_contains(p->lake, STR("://"));
	if (p->environment.n > 0)
		buf_addf(out, "Environment %.*s, lake %.*s\n", STR_ARG(p->environment), STR_ARG(p->lake));
	else if (elsewhere || p->raw_from.n > 0)
		buf_addf(out, "Lake %.*s\n", STR_ARG(p->lake));
	if (p->raw_from.n > 0)
		buf_addf(out, "Raw of %.*s, which is only read: nothing is fetched\n", STR_ARG(p->raw_from));
}

void plan_print(const struct plan *p, struct buf *out)
{
	struct arena a = ARENA_INIT;
	bool fetches = p->raw_from.n == 0;
	plan_print_where(p, out);
	buf_add_z(out, fetches ? "Ingest and prepare\n" : "Prepare\n");
	for (size_t i = 0; i < p->n_resources; i++)
		print_resource(&p->resources[i], fetches, &a, out);
	if (p->n_models > 0)
		buf_add_z(out, "Refine\n");
	for (size_t i = 0; i < p->n_models; i++) {
		const struct plan_model *m = &p->models[i];
		buf_addf(out, "  %-20.*s %s%.*s\n", STR_ARG(m->model->name),
			 !m->selected ? "not asked for; " : m->run ? "run: " : "", STR_ARG(m->reason));
		if (m->selected && m->run)
			print_engine(&m->engine, m->model->spark_file, out);
	}
	arena_free(&a);
}
