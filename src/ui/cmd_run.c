/* run, ingest, prepare, refine, plan. */
#include "base/effect.h"
#include "run/runner.h"
#include "ui/amount.h"
#include "ui/command.h"
#include "ui/progress.h"

#include <string.h>
#include <unistd.h>

/* Behind the resources. */
static void hint_models(const struct models *m, struct err *e)
{
	struct buf names = BUF_INIT(4096);
	buf_add_z(&names, err_hint_text(e));
	for (size_t i = 0; i < m->n && names.n < 800; i++)
		buf_addf(&names, "%s%.*s", i ? ", " : "; models: ", STR_ARG(m->v[i].name));
	err_hint(e, "%.*s", STR_ARG(buf_str(&names)));
	buf_free(&names);
}

static bool only_names_ok(struct ui *u, struct str only, struct err *e)
{
	struct str rest = only, name;
	const struct models *m = &u->project.models;
	while (str_cut(&rest, ',', &name)) {
		const struct resource *r;
		struct project_table t;
		bool is_model = false;
		for (size_t i = 0; i < m->n; i++)
			is_model = is_model || str_eq(m->v[i].name, name);
		if (is_model || pipeline_resource(u->project.pipeline, name) || project_table_find(&u->project, name, &t))
			continue;
		for (size_t i = 0; i < m->n; i++)
			if (str_distance(m->v[i].name, name) <= 1 + name.n / 3) {
				err_set(e, ERR_USAGE, "--only: there is no resource and no model %.*s", STR_ARG(name));
				return err_hint(e, "did you mean %.*s?", STR_ARG(m->v[i].name));
			}
		ui_resource(u, name, &r, e);
		if (m->n > 0 && str_starts(str_from(err_hint_text(e)), STR("there are: ")))
			hint_models(m, e);
		return err_wrap(e, "--only");
	}
	return true;
}

static bool fill_request(struct ui *u, struct plan_request *q, struct err *e)
{
	const struct args *g = &u->args;
	struct str name = str_from(g->command->name);
	bool all = str_eq(name, STR("run")) || str_eq(name, STR("plan")), elsewhere = u->project.raw_other != NULL;
	if (elsewhere && g->given[OPT_REFETCH])
		return err_set(e, ERR_USAGE, "--refetch asks the API again, and --raw-from asks nobody");
	*q = (struct plan_request){
		.has_from = g->given[OPT_FROM],
		.has_to = g->given[OPT_TO],
		.from = g->value[OPT_FROM],
		.to = g->value[OPT_TO],
		.only = g->value[OPT_ONLY],
		.refetch = g->given[OPT_REFETCH],
		.refetch_name = g->value[OPT_REFETCH],
		.stale = g->given[OPT_STALE],
		.takeover = g->given[OPT_TAKEOVER],
		.ingest = (all && !elsewhere) || str_eq(name, STR("ingest")),
		.prepare = all || str_eq(name, STR("prepare")),
		.refine = all || str_eq(name, STR("refine")),
		.now_us = u->project.clock->wall_us(u->project.clock),
	};
	if (g->given[OPT_ENGINE] && !engine_use_from(g->value[OPT_ENGINE], &q->engine))
		return err_set(e, ERR_USAGE, "--engine %.*s: duckdb, spark or auto", STR_ARG(g->value[OPT_ENGINE]));
	q->run_id = run_id_new(u->project.clock, &u->arena);
	if (q->refetch && q->refetch_name.n == 0)
		q->refetch_name = q->run_id;
	return only_names_ok(u, q->only, e);
}

/* ── plan ── */

int cmd_plan(struct ui *u)
{
	struct err e = ERR_INIT;
	struct plan_request q;
	struct plan p;
	int status = 0;
	if (!ui_open(u, LAKE_PERHAPS, true, &status))
		return status;
	if (!fill_request(u, &q, &e) || !plan_make(&u->project, &q, &u->arena, &p, &e))
		return ui_fail(u, &e);
	const struct err *damage = plan_damage(&p, true);
	if (u->args.given[OPT_JSON]) {
		buf_add(&u->out, plan_json(&p, &u->arena));
	} else {
		struct buf b = BUF_INIT(UI_OUT_MAX);
		plan_print(&p, &b);
		bool left = false;
		for (size_t i = 0; i < p.n_resources; i++)
			left = left || (p.resources[i].selected && p.resources[i].n_stale_elsewhere + p.resources[i].n_unprepared_elsewhere > 0);
		if (!p.anything && !damage)
			buf_add_z(&b, left ? "Nothing to do in this interval.\n" : "Nothing to do.\n");
		ui_say(u, buf_str(&b));
		buf_free(&b);
		if (damage)
			return ui_fail(u, damage);
	}
	return ui_done(u, damage ? err_exit_status(ERR_DAMAGE) : 0);
}

/* ── run ── */

enum { BODY_SHOWN = 500 };

/* What is compressed, or is no UTF-8 for another reason, says nothing to anybody. The last character may be cut. */
static bool is_text(struct str s)
{
	while (s.n > 0) {
		size_t n = str_utf8_char(s);
		unsigned char c = (unsigned char)s.p[0];
		if ((n == 0 && (s.n >= 4 || c < 0xc2)) || (c < ' ' && c != '\n' && c != '\r' && c != '\t'))
			return false;
		s = str_sub(s, n ? n : s.n, s.n);
	}
	return true;
}

/* The exchange that the API failed with, and where the rest of it is. */
static void say_failure(struct ui *u, const struct run_failure *f, struct buf *b)
{
	struct buf text = BUF_INIT(1 << 16);
	bool told = str_contains(str_from(f->err.message), f->request);
	buf_addf(&text, "sluice: %s\n", f->err.message);
	if (f->request.n > 0 && !told)
		buf_addf(&text, "  %.*s\n", STR_ARG(f->request));
	if (f->status > 0 && f->err.code != ERR_HTTP_STATUS)
		buf_addf(&text, "  answered with status %u\n", f->status);
	struct str body = str_sub(f->body, 0, BODY_SHOWN), line;
	if (!is_text(body))
		buf_add_z(&text, "  | (a body that is no text)\n");
	else
		while (str_cut(&body, '\n', &line))
			buf_addf(&text, "  | %.*s\n", STR_ARG(line));
	if (f->raw_key.n > 0 && f->status > 0) /* without an answer there is nothing more to see */
		buf_addf(&text, "  all of it: `sluice raw cat %.*s %llu --head`\n", STR_ARG(f->raw_key),
			 (unsigned long long)f->raw_offset);
	struct buf full = BUF_INIT(1 << 17);
	args_complete(&u->args, buf_str(&text), &full);
	text_escape(buf_str(&full), true, b);
	buf_free(&text);
	buf_free(&full);
}

/* What decides the exit status, unless it was just printed. */
static int say_end(struct ui *u, const struct run_result *r, size_t n_shown)
{
	for (size_t i = 0; i < n_shown; i++) {
		const struct run_failure *f = &r->failures[i];
		struct err e = r->err;
		if (strcmp(f->err.message, e.message) != 0)
			continue;
		if (f->status == 404 && err_hint_text(&e)[0] == '\0')
			err_hint(&e, "check `path` of %.*s in %s: the API has nothing there", STR_ARG(f->resource),
				 u->project.pipeline->file);
		return ui_hint(u, &e);
	}
	return ui_fail(u, &r->err);
}

enum { FAILURES_SHOWN = 3 };

/* Tables that failed, but for the one that decides the exit status, which is told last. A resource's tables fail together. */
static void say_tables(struct ui *u, const struct run_result *r)
{
	const char *before = r->err.message;
	for (size_t i = 0; i < r->n_tables && !r->lake_gone; i++) {
		const struct err *e = &r->tables[i].err;
		bool stopped = e->code == ERR_SIGINT || e->code == ERR_SIGTERM;
		if (e->code == ERR_NONE || stopped || strcmp(e->message, r->err.message) == 0 || strcmp(e->message, before) == 0)
			continue;
		before = e->message;
		ui_fail(u, e);
	}
}

static int say_result(struct ui *u, const struct run_result *r)
{
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT(16 << 20);
	if (u->args.given[OPT_JSON]) {
		buf_add(&u->out, run_record_json(r, &u->arena));
		if (u->out.n > 0 && u->out.p[u->out.n - 1] != '\n')
			buf_add_char(&u->out, '\n');
	} else if (!u->args.given[OPT_QUIET]) {
		run_report_print(r, &b);
		ui_say(u, buf_str(&b));
		buf_clear(&b);
	}
	u->json_errors = false; /* the record has them */
	bool printed = ui_flush(u, &e); /* whatever comes of that, the run's own end is told first */
	size_t n_failures = r->lake_gone ? 0 : r->n_failures, n_shown = n_failures < FAILURES_SHOWN ? n_failures : FAILURES_SHOWN;
	for (size_t i = 0; i < n_shown; i++)
		say_failure(u, &r->failures[i], &b);
	if (n_failures > n_shown)
		buf_addf(&b, "... and %s more failed; `sluice runs` has the record\n",
			 amount_things(n_failures - n_shown, "window").text);
	ssize_t n = sys_say(STDERR_FILENO, b.p, b.n);
	(void)n;
	buf_free(&b);
	say_tables(u, r);
	int status = r->err.code != ERR_NONE ? say_end(u, r, n_shown) : 0;
	int unprinted = printed ? 0 : ui_fail(u, &e);
	return status ? status : unprinted;
}

int cmd_run(struct ui *u)
{
	const struct args *g = &u->args;
	struct err e = ERR_INIT;
	struct run_result r;
	struct run_options o = { .keep_going = g->given[OPT_KEEP_GOING], .stop = &ui_stop };
	uint64_t threads = 0;
	int status = 0;
	if (!args_u64(g, OPT_THREADS, 1, 1024, 0, &threads, &e))
		return ui_fail(u, &e);
	if (g->given[OPT_DRY_RUN])
		return cmd_plan(u);
	if (!ui_open(u, LAKE_MADE, false, &status))
		return status;
	if (!fill_request(u, &o.request, &e))
		return ui_fail(u, &e);
	o.command = str_from(g->command->name);
	o.threads = (unsigned)threads;
	struct progress *p = progress_open(!g->given[OPT_NO_PROGRESS] && !g->given[OPT_QUIET], &u->arena);
	o.progress = p ? progress_draw : NULL;
	o.user = p;
	bool ok = run_pipeline(&u->project, &o, &u->arena, &r, &e);
	progress_close(p);
	return ok ? say_result(u, &r) : ui_fail(u, &e);
}
