/* status, runs. */
#include "base/json.h"
#include "run/grid_check.h"
#include "run/lake_query.h"
#include "run/missed.h"
#include "run/plan_window.h"
#include "run/raw.h"
#include "run/run_list.h"
#include "run/runner.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>

enum { RECORD_MAX = 64 << 20, RUNS_SHOWN = 20, RANGES_SHOWN = 3, COMMAND_WIDTH = 7 };

struct window_states {
	size_t n, sealed, open, candidates, abandoned;
	struct str newest;       /* newest sealed window */
	struct str first_candidate;
	struct window *there;    /* sealed or to accept, in time order */
	size_t n_there;
	struct missed missed;
};

static bool count_windows(struct project *j, const struct resource *r, struct arena *a, struct window_states *out,
			  struct err *e)
{
	struct arena each = ARENA_INIT;
	struct raw_windows w;
	struct str key = key_resource(j->pipeline->name, r->name, a);
	bool ok = raw_windows(project_raw(j), key, a, &w, e) && raw_look_ahead(j, key, &w, WINDOW_AHEAD_END, e);
	*out = (struct window_states){ .n = ok ? w.n : 0 };
	out->there = arena_array(a, struct window, out->n + 1);
	for (size_t i = 0; ok && i < w.n; i++) {
		struct window_generations g;
		arena_reset(&each);
		ok = window_generations_read(project_raw(j), j->clock, key_window(key, w.v[i].name, &each), &each, &g, e);
		if (!ok)
			break;
		out->sealed += g.promoted > 0;
		out->open += g.open > 0;
		out->candidates += g.candidate > 0;
		out->abandoned += g.n > 0 && g.promoted + g.open + g.candidate == 0;
		if (g.promoted > 0)
			out->newest = w.v[i].name;
		if (g.promoted + g.candidate > 0)
			out->there[out->n_there++] = w.v[i].window;
		if (g.candidate > 0 && out->first_candidate.n == 0)
			out->first_candidate = w.v[i].name;
	}
	arena_free(&each);
	return ok;
}

static uint64_t table_rows(const struct table_snapshot *t)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < t->n_files; i++)
		rows += t->files[i].rows;
	return rows;
}

/* ── runs ── */

struct run_line {
	struct str id, command, started, message;
	int64_t exit_status, took_us;
	bool has_record, nothing;
	struct err damage; /* of its record: then nothing else is known */
};

static bool read_run(struct ui *u, struct str id, struct run_line *out, struct str *text, struct err *e)
{
	struct arena *a = &u->arena;
	struct json_node *root = NULL;
	struct err why = ERR_INIT;
	struct str key = arena_format(a, "%.*s/record.json", STR_ARG(key_run(u->project.pipeline->name, id, a)));
	*out = (struct run_line){ .id = id };
	if (!store_get(u->project.store, key, RECORD_MAX, a, text, &why)) {
		if (why.code == ERR_MISSING)
			return true; /* it runs, or it was killed */
		*e = why;
		return false;
	}
	if (!json_parse(*text, a, &root, &out->damage)) {
		out->damage.code = ERR_DAMAGE;
		err_wrap(&out->damage, "%.*s", STR_ARG(key));
		return true;
	}
	out->has_record = true;
	out->command = json_str_or(root, "command", STR("-")); /* older records do not tell */
	out->started = json_str_or(root, "started", STR_NONE);
	out->exit_status = json_i64_or(root, "exit_status", -1);
	out->took_us = json_i64_or(root, "took_us", 0);
	out->nothing = json_bool_or(root, "nothing_to_do", false);
	const struct json_node *why_node = json_get(root, "error");
	out->message = why_node ? json_str_or(why_node, "message", STR_NONE) : STR_NONE;
	return true;
}

static void print_run(struct ui *u, const struct run_line *r, bool newest)
{
	buf_addf(&u->out, "%.*s  ", STR_ARG(r->id));
	if (r->damage.code != ERR_NONE) {
		buf_add_z(&u->out, "DAMAGED: ");
		text_escape(str_from(r->damage.message), false, &u->out);
		buf_add_char(&u->out, '\n');
		return;
	}
	if (!r->has_record) {
		buf_add_z(&u->out, newest ? "no record: it is running, or it was killed\n" : "ended without a record (killed)\n");
		return;
	}
	size_t begin = u->out.n;
	text_escape(str_sub(r->command, 0, 20), false, &u->out);
	size_t wide = u->out.n - begin;
	buf_addf(&u->out, "%*s  exit %3" PRId64 "  %10s  ", wide < COMMAND_WIDTH ? (int)(COMMAND_WIDTH - wide) : 0, "",
		 r->exit_status, amount_time(r->took_us).text);
	text_escape(r->message.n > 0 ? r->message : r->nothing ? STR("nothing to do") : STR("done"), false, &u->out);
	buf_add_char(&u->out, '\n');
}

static void json_run(struct json_out *o, const char *key, const struct run_line *r)
{
	json_begin_object(o, key);
	json_put_str(o, "run", r->id);
	json_put_bool(o, "record", r->has_record);
	if (r->damage.code != ERR_NONE)
		json_put_z(o, "damaged", r->damage.message);
	if (r->has_record) {
		json_put_str(o, "command", r->command);
		json_put_str(o, "started", r->started);
		json_put_i64(o, "exit_status", r->exit_status);
		json_put_i64(o, "took_us", r->took_us);
		json_put_bool(o, "nothing_to_do", r->nothing);
		json_put_str(o, "message", r->message);
	}
	json_end_object(o);
}

static int one_run(struct ui *u, struct str id)
{
	struct err e = ERR_INIT;
	struct run_line r;
	struct str text = STR_NONE;
	bool ok = run_is_named(id);
	if (ok && !read_run(u, id, &r, &text, &e))
		return ui_fail(u, &e);
	if (ok && r.damage.code != ERR_NONE)
		return ui_fail(u, &r.damage);
	if (!ok || !r.has_record) {
		err_set(&e, ERR_MISSING, "there is no record of a run %.*s", STR_ARG(id));
		err_hint(&e, "`sluice runs` lists them");
		return ui_fail(u, &e);
	}
	buf_add(&u->out, text);
	return ui_done(u, 0);
}

int cmd_runs(struct ui *u)
{
	struct err e = ERR_INIT;
	struct store_listing list;
	uint64_t limit;
	int status = 0;
	if (!args_u64(&u->args, OPT_LIMIT, 0, 1000000, RUNS_SHOWN, &limit, &e))
		return ui_fail(u, &e);
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	if (u->args.n_operands > 0)
		return one_run(u, u->args.operands[0]);
	if (!run_list(&u->project, &u->arena, &list, &e))
		return ui_fail(u, &e);
	struct json_out o = JSON_OUT(&u->out);
	bool as_json = u->args.given[OPT_JSON], damaged = false;
	if (as_json)
		json_begin_array(&o, NULL);
	for (size_t i = 0; i < list.n && (limit == 0 || i < limit); i++) {
		struct run_line r;
		struct str text;
		if (!read_run(u, list.v[i].name, &r, &text, &e))
			return ui_fail(u, &e);
		damaged = damaged || r.damage.code != ERR_NONE;
		if (as_json)
			json_run(&o, NULL, &r);
		else
			print_run(u, &r, i == 0);
	}
	if (as_json) {
		json_end_array(&o);
		buf_add_char(&u->out, '\n');
	} else if (list.n == 0) {
		buf_add_z(&u->out, "There was no run yet.\n");
	}
	return ui_done(u, damaged ? err_exit_status(ERR_DAMAGE) : 0);
}

/* ── status ── */

/* Who reads this should be able to fill them, one range after the other. */
static void print_missed(const struct plan_resource *p, const struct missed *m, struct buf *b)
{
	if (m->n == 0)
		return;
	buf_addf(b, "  %18s %s missed, and no run asks for %s:\n", "", amount_things(m->windows, "window").text,
		 m->windows == 1 ? "it" : "them");
	for (size_t i = 0; i < m->n && i < RANGES_SHOWN; i++)
		buf_addf(b, "  %18s   %s: `sluice run --only %.*s --from %.*s --to %.*s`\n", "",
			 amount_things(m->v[i].n, "window").text, STR_ARG(p->resource->name), STR_ARG(m->v[i].from), STR_ARG(m->v[i].to));
	if (m->n > RANGES_SHOWN)
		buf_addf(b, "  %18s   and %s more (--json lists them), or all at once: `sluice run --only %.*s --from %.*s --to %.*s`\n",
			 "", amount_things(m->n - RANGES_SHOWN, "range").text, STR_ARG(p->resource->name), STR_ARG(m->v[0].from),
			 STR_ARG(m->v[m->n - 1].to));
}

static void json_missed(struct json_out *o, const struct missed *m)
{
	json_put_u64(o, "missed", m->windows);
	json_begin_array(o, "missed_ranges");
	for (size_t i = 0; i < m->n; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "from", m->v[i].from);
		json_put_str(o, "to", m->v[i].to);
		json_put_u64(o, "windows", m->v[i].n);
		json_end_object(o);
	}
	json_end_array(o);
}

static void print_versions(struct buf *b, const struct plan_table *t, bool damaged)
{
	if (t->table.version < 0)
		buf_add_z(b, damaged ? "its table cannot be read\n" : "no table yet\n");
	else
		buf_addf(b, "table version %" PRId64 ", %s, %s set aside\n", t->table.version,
			 amount_things(table_rows(&t->table), "row").text, amount_count(table_rows(&t->quarantine)).text);
}

static void json_versions(struct json_out *o, const struct plan_table *t)
{
	json_put_i64(o, "table_version", t->table.version);
	json_put_u64(o, "rows", table_rows(&t->table));
	json_put_u64(o, "quarantined", table_rows(&t->quarantine));
}

static void print_resource(struct ui *u, const struct plan_resource *p, const struct window_states *w)
{
	struct buf b = BUF_INIT(1 << 16);
	buf_addf(&b, "  %-18.*s %zu sealed", STR_ARG(p->resource->name), w->sealed);
	if (w->open > 0)
		buf_addf(&b, ", %zu open", w->open);
	if (w->abandoned > 0)
		buf_addf(&b, ", %zu given up", w->abandoned);
	if (w->candidates > 0)
		buf_addf(&b, ", %zu to accept: `sluice accept %.*s %.*s`", w->candidates, STR_ARG(p->resource->name),
			 STR_ARG(w->first_candidate));
	if (w->newest.n > 0)
		buf_addf(&b, "; newest %.*s", STR_ARG(w->newest));
	buf_addf(&b, "\n  %18s ", "");
	if (p->contract == NULL)
		buf_addf(&b, "no contract, so no table: `sluice contract draft %.*s`\n", STR_ARG(p->resource->name));
	else
		print_versions(&b, &p->tables[0], p->damage.code != ERR_NONE);
	print_missed(p, &w->missed, &b);
	for (size_t i = 1; i < p->n_tables; i++) {
		buf_addf(&b, "  %18s %.*s: ", "", STR_ARG(p->tables[i].name));
		print_versions(&b, &p->tables[i], p->damage.code != ERR_NONE);
	}
	struct str left = plan_elsewhere(p, &u->arena);
	if (left.n > 0)
		buf_addf(&b, "  %18s %.*s\n", "", STR_ARG(left));
	buf_addf(&b, "  %18s next run: %.*s\n", "", STR_ARG(p->note));
	ui_say(u, buf_str(&b));
	buf_free(&b);
}

static void json_resource(struct json_out *o, const struct plan_resource *p, const struct window_states *w,
			  int64_t next_us, struct arena *a)
{
	json_begin_object(o, NULL);
	json_put_str(o, "resource", p->resource->name);
	json_put_u64(o, "windows", w->n);
	json_put_u64(o, "sealed", w->sealed);
	json_put_u64(o, "open", w->open);
	json_put_u64(o, "candidates", w->candidates);
	json_put_u64(o, "abandoned", w->abandoned);
	json_put_str(o, "newest_sealed", w->newest);
	json_put_bool(o, "contract", p->contract != NULL);
	json_versions(o, &p->tables[0]);
	json_missed(o, &w->missed);
	if (p->n_tables > 1) {
		json_begin_array(o, "children");
		for (size_t i = 1; i < p->n_tables; i++) {
			json_begin_object(o, NULL);
			json_put_str(o, "table", p->tables[i].name);
			json_versions(o, &p->tables[i]);
			json_end_object(o);
		}
		json_end_array(o);
	}
	json_put_u64(o, "stale_elsewhere", p->n_stale_elsewhere);
	json_put_u64(o, "unprepared_elsewhere", p->n_unprepared_elsewhere);
	if (p->damage.code != ERR_NONE)
		json_put_z(o, "damaged", p->damage.message);
	if (next_us == INT64_MIN)
		json_put_null(o, "next_run");
	else
		json_put_str(o, "next_run", us_to_rfc3339(next_us, a));
	json_put_str(o, "next_run_text", p->note);
	json_end_object(o);
}

static bool look_at_windows(struct ui *u, const struct plan *p, struct plan_resource *r, struct window_states *w, struct err *e)
{
	struct err why = ERR_INIT;
	if (count_windows(&u->project, r->resource, &u->arena, w, &why) &&
	    (r->damage.code != ERR_NONE ||
	     missed_windows(&u->project, r, w->there, w->n_there, p->request.now_us, &u->arena, &w->missed, &why)))
		return true;
	if (why.code != ERR_DAMAGE) {
		*e = why;
		return false;
	}
	*w = (struct window_states){ 0 };
	if (r->damage.code == ERR_NONE) {
		r->damage = why;
		r->note = arena_format(&u->arena, "DAMAGED: %s", why.message);
		lake_damage_hint(&u->project, r->resource->name, &r->damage);
	}
	return true;
}

/* From when on a run has something to do for it: now, where it has already. INT64_MIN: nobody can tell. */
static int64_t next_run_us(const struct ui *u, const struct plan *p, const struct plan_resource *r, bool refuses)
{
	const struct step *step = plan_step(&u->project, r->resource);
	int64_t settle = r->resource->kind == KIND_WINDOW ? r->resource->settle_us : 0;
	if (refuses || r->damage.code != ERR_NONE)
		return INT64_MIN;
	if (r->n_fetch + r->n_prepare > 0)
		return p->request.now_us;
	return step_next(step, step_floor(step, p->request.now_us - settle - 1)) + settle;
}

static bool put_resources(struct ui *u, const struct plan *p, const bool *refuses, struct json_out *o, bool as_json,
			  struct err *e)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		struct window_states w;
		if (!look_at_windows(u, p, &p->resources[i], &w, e))
			return false;
		if (as_json)
			json_resource(o, &p->resources[i], &w, next_run_us(u, p, &p->resources[i], refuses[i]), &u->arena);
		else
			print_resource(u, &p->resources[i], &w);
	}
	return true;
}

static void put_models(struct ui *u, const struct plan *p, struct json_out *o, bool as_json)
{
	for (size_t i = 0; i < p->n_models; i++) {
		const struct plan_model *m = &p->models[i];
		if (as_json) {
			json_begin_object(o, NULL);
			json_put_str(o, "model", m->model->name);
			if (m->damage.code != ERR_NONE)
				json_put_z(o, "damaged", m->damage.message);
			json_put_i64(o, "table_version", m->table.version);
			json_put_u64(o, "rows", table_rows(&m->table));
			json_put_bool(o, "run", m->run);
			json_put_str(o, "reason", m->reason);
			json_end_object(o);
			continue;
		}
		buf_addf(&u->out, "  %-18.*s ", STR_ARG(m->model->name));
		if (m->table.version < 0)
			buf_add_z(&u->out, m->damage.code != ERR_NONE ? "its table cannot be read" : "no table yet");
		else
			buf_addf(&u->out, "table version %" PRId64 ", %s", m->table.version,
				 amount_things(table_rows(&m->table), "row").text);
		buf_addf(&u->out, "; next run: %s%.*s\n", m->run ? "run, " : "", STR_ARG(m->reason));
	}
}

static bool put_last_run(struct ui *u, struct json_out *o, bool as_json, struct err *e)
{
	struct store_listing list;
	struct run_line r;
	struct str text;
	if (!run_list(&u->project, &u->arena, &list, e))
		return false;
	if (list.n == 0) {
		if (as_json)
			json_put_null(o, "last_run");
		else
			buf_add_z(&u->out, "There was no run yet.\n");
		return true;
	}
	if (!read_run(u, list.v[0].name, &r, &text, e))
		return false;
	if (as_json) {
		json_run(o, "last_run", &r);
	} else {
		buf_add_z(&u->out, "Last run  ");
		print_run(u, &r, true);
	}
	return true;
}

static bool put_status(struct ui *u, const struct plan *p, const bool *refuses, struct err *e)
{
	struct json_out o = JSON_OUT(&u->out);
	bool as_json = u->args.given[OPT_JSON];
	if (as_json) {
		json_begin_object(&o, NULL);
		json_put_str(&o, "pipeline", u->project.pipeline->name);
		json_put_str(&o, "lake", u->project.lake);
		json_begin_array(&o, "resources");
	} else {
		buf_addf(&u->out, "Pipeline %.*s, lake %.*s\n\nResources\n", STR_ARG(u->project.pipeline->name),
			 STR_ARG(u->project.lake));
	}
	if (!put_resources(u, p, refuses, &o, as_json, e))
		return false;
	if (as_json) {
		json_end_array(&o);
		json_begin_array(&o, "models");
	} else if (p->n_models > 0) {
		buf_add_z(&u->out, "\nModels\n");
	}
	put_models(u, p, &o, as_json);
	if (as_json)
		json_end_array(&o);
	else
		buf_add_char(&u->out, '\n');
	if (!put_last_run(u, &o, as_json, e))
		return false;
	if (as_json) {
		json_end_object(&o);
		buf_add_char(&u->out, '\n');
	}
	return true;
}

/* A changed step stops the next run, but not the view of what is there: that goes by the lake's own windows. */
static struct str *follow_grids(struct ui *u)
{
	struct project *j = &u->project;
	struct str *why = arena_array(&u->arena, struct str, j->pipeline->n_resources + 1);
	struct step *steps = arena_array(&u->arena, struct step, j->pipeline->n_resources + 1);
	struct str *keys = arena_array(&u->arena, struct str, j->pipeline->n_resources + 1);
	bool begun = project_ahead_begin(j);
	for (size_t i = 0; i < j->pipeline->n_resources; i++)
		keys[i] = key_resource(j->pipeline->name, j->pipeline->resources[i].name, &u->arena);
	project_ahead(j, NULL, 0, keys, begun ? j->pipeline->n_resources : 0);
	for (size_t i = 0; i < j->pipeline->n_resources; i++) {
		struct err changed = ERR_INIT;
		if (grid_changed(j, &j->pipeline->resources[i], &steps[i], &changed))
			why[i] = arena_format(&u->arena, "it will refuse: %s", changed.message);
	}
	project_ahead_end(j, begun);
	for (size_t i = 0; i < j->pipeline->n_resources; i++) {
		struct resource *r = &j->pipeline->resources[i];
		if (why[i].n > 0)
			*(r->kind == KIND_WINDOW ? &r->step : &j->pipeline->schedule) = steps[i];
	}
	return why;
}

int cmd_status(struct ui *u)
{
	struct err e = ERR_INIT;
	struct plan p;
	struct plan_request q = { .prepare = true, .refine = true };
	int status = 0;
	if (!ui_open(u, LAKE_THERE, true, &status))
		return status;
	q.ingest = !u->project.raw_other; /* nothing is fetched into another lake */
	q.now_us = u->project.clock->wall_us(u->project.clock);
	q.run_id = run_id_new(u->project.clock, &u->arena);
	struct str *changed = follow_grids(u);
	bool *refuses = arena_array(&u->arena, bool, u->project.pipeline->n_resources + 1);
	bool begun = project_view_begin(&u->project, false);
	bool ok = plan_make(&u->project, &q, &u->arena, &p, &e);
	for (size_t i = 0; ok && i < p.n_resources; i++)
		for (size_t k = 0; k < u->project.pipeline->n_resources; k++)
			if (p.resources[i].resource == &u->project.pipeline->resources[k] && changed[k].n > 0) {
				p.resources[i].note = changed[k];
				refuses[i] = true;
			}
	ok = ok && put_status(u, &p, refuses, &e);
	project_view_end(&u->project, begun);
	if (!ok) {
		if (u->args.given[OPT_JSON])
			buf_clear(&u->out);
		return ui_fail(u, &e);
	}
	const struct err *damage = plan_damage(&p, false);
	if (damage && !u->args.given[OPT_JSON])
		return ui_fail(u, damage);
	return ui_done(u, damage ? err_exit_status(ERR_DAMAGE) : 0);
}
