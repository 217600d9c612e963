#include "run/runner.h"

#include "base/check.h"
#include "base/log.h"
#include "format/process.h"
#include "run/plan_window.h"
#include "run/relationship.h"
#include "run/stage.h"
#include "run/upkeep.h"

#include <string.h>
#include <unistd.h>

struct str run_id_new(struct clock *c, struct arena *a)
{
	return arena_format(a, "%.*s-%.8s", STR_ARG(us_to_compact(c->wall_us(c), a)), process_nonce(a).p);
}

bool run_id_ok(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
			return false;
	}
	return id.n > 0 && id.n <= RUN_ID_MAX && !str_eq(id, STR("graph"));
}

struct str run_id_whole(struct str id)
{
	return str_sub(id, 0, str_find_char(id, '.'));
}

static bool put_object(struct run_state *s, const char *name, struct str text, struct err *e)
{
	struct project *j = s->project;
	bool ours = false;
	struct str key = arena_format(s->arena, "%.*s/%s", STR_ARG(key_run(j->pipeline->name, s->out->run_id, s->arena)), name);
	return store_create_checked(j->store, key, text, &ours, s->arena, e);
}

/* A signal explains everything that came after it, damage must not hide behind what can wait; otherwise the first cause
 * counts. */
static int weight(enum err_code code)
{
	if (code == ERR_SIGINT || code == ERR_SIGTERM)
		return 3;
	return code == ERR_DAMAGE ? 2 : code != ERR_NONE;
}

void run_note_err(struct run_result *r, const struct err *why)
{
	if (weight(why->code) > weight(r->err.code))
		r->err = *why;
}

void run_show(struct run_state *s, enum run_stage stage, struct str table, uint64_t rows_done, uint64_t rows_total)
{
	const struct run_options *o = s->options;
	struct clock *c = s->project->clock;
	if (o->progress == NULL)
		return;
	int64_t elapsed = c->monotonic_us(c) - s->began_us;
	struct run_progress p = {
		.stage = stage,
		.table = table,
		.rows_done = rows_done,
		.rows_total = rows_total,
		.resources = s->progress,
		.n_resources = s->n_progress,
		.elapsed_us = elapsed,
		.rate_allowed = s->rate_allowed,
	};
	uint64_t requests = 0;
	for (size_t i = 0; i < s->n_progress; i++)
		requests += s->progress[i].requests;
	int64_t fetching = stage == STAGE_INGEST ? c->monotonic_us(c) - s->ingest_began_us : s->out->ingest_us;
	if (fetching > 0)
		p.rate_used = (double)requests * 1e6 / (double)fetching;
	o->progress(o->user, &p);
}

static bool is_signalled(const struct run_state *s)
{
	return s->options->stop && *s->options->stop != 0;
}

static bool is_late(const struct run_state *s)
{
	struct clock *c = s->project->clock;
	return s->options->deadline_us != 0 && c->monotonic_us(c) >= s->options->deadline_us;
}

bool run_stopped(const struct run_state *s)
{
	return is_signalled(s) || is_late(s);
}

/* What was not begun is for whoever goes on with the run. */
static bool may_go_on(struct run_state *s)
{
	struct err why = ERR_INIT;
	if (is_late(s)) {
		err_set(&why, ERR_BUDGET, "the deadline of the run was reached");
		run_note_err(s->out, &why);
	}
	return !run_stopped(s);
}

/* ── prepare and refine ── */

struct table_progress {
	struct run_state *state;
	enum run_stage stage;
	struct str table;
	uint64_t total;
};

static void on_rows(void *user, uint64_t rows)
{
	struct table_progress *t = user;
	run_show(t->state, t->stage, t->table, rows, t->total);
}

static struct run_table *new_table(struct run_state *s, enum lake_zone zone, struct str name)
{
	struct run_table *t = &s->out->tables[s->out->n_tables++];
	*t = (struct run_table){ .zone = zone, .name = name, .version = -1 };
	return t;
}

/* Whatever failed, the version before still stands. */
static void table_failed(struct run_state *s, struct run_table *t, const struct table_snapshot *stands, const struct err *why)
{
	if (stands->id.n > 0)
		publish_totals(stands, t);
	t->err = *why;
	t->note = STR("failed");
	run_note_err(s->out, why);
}

/* Its job was written down, and is somebody else's work now: not published, and no failure either. */
static bool is_posted(struct run_state *s)
{
	struct engine_exchange *x = s->options->exchange;
	bool posted = x && x->posted;
	if (x)
		x->posted = false;
	return posted;
}

static void table_posted(struct run_table *t, const struct table_snapshot *stands)
{
	if (stands->id.n > 0)
		publish_totals(stands, t);
	t->changed = false;
	t->rows_written = 0;
	t->loss = (struct loss_report){ 0 };
	t->note = STR("not made yet: its job waits for an engine");
}

/* One for each table of the resource, behind each other. */
static struct run_table *new_tables(struct run_state *s, const struct plan_resource *p)
{
	struct run_table *first = new_table(s, ZONE_PREPARE, p->resource->name);
	for (size_t i = 1; i < p->n_tables; i++)
		new_table(s, ZONE_PREPARE, p->tables[i].name)->parent = p->resource->name;
	return first;
}

/* How many there were; from now on they are only told. */
static size_t leave_taken_in(struct run_state *s, struct plan_resource *p)
{
	struct run_resource *r = &s->out->resources[p - s->out->plan.resources];
	size_t left = 0;
	for (size_t i = 0; i < p->n_windows; i++) {
		struct plan_window *w = &p->windows[i];
		if (!w->taken_in || !w->known || plan_window_prepared(p, w))
			continue;
		w->known = false;
		left++;
	}
	r->stale_elsewhere = p->n_stale_elsewhere += left;
	r->elsewhere = plan_elsewhere(p, s->arena);
	return left;
}

/* A window outside the interval that breaks its contract, or is damaged, must not hold up what the interval wants. */
static bool publish_wanted(struct run_state *s, struct publish *u, struct plan_resource *p, struct run_table *t, struct err *e)
{
	struct err why = ERR_INIT;
	if (publish_resource(u, p, t, s->arena, e))
		return true;
	if ((e->code != ERR_CONTRACT && e->code != ERR_DAMAGE) || leave_taken_in(s, p) == 0)
		return false;
	why = *e;
	*e = ERR_INIT;
	if (!publish_resource(u, p, t, s->arena, e))
		return false;
	err_wrap(&why, "windows outside the interval, fetched or accepted since, are left as they were");
	run_note_err(s->out, &why);
	return true;
}

static void prepare_one(struct run_state *s, struct plan_resource *p)
{
	struct clock *c = s->project->clock;
	struct run_table *t = new_tables(s, p);
	struct table_progress progress = { s, STAGE_PREPARE, t->name, 0 };
	for (size_t i = 0; i < p->n_windows; i++)
		progress.total += p->windows[i].known && !p->windows[i].prepared ? p->windows[i].records : 0;
	struct publish u = { .project = s->project, .options = s->options, .run_id = s->out->run_id,
			     .threads = s->threads, .spark = s->spark, .checks = &s->checks, .progress = on_rows, .user = &progress };
	struct err why = ERR_INIT;
	int64_t began = c->monotonic_us(c);
	int64_t *before = arena_array(s->arena, int64_t, 2 * p->n_tables);
	for (size_t i = 0; i < p->n_tables; i++) {
		before[2 * i] = p->tables[i].table.version;
		before[2 * i + 1] = p->tables[i].quarantine.version;
	}
	run_show(s, STAGE_PREPARE, t->name, 0, progress.total);
	bool ok = publish_wanted(s, &u, p, t, &why), posted = !ok && is_posted(s);
	for (size_t i = 0; i < p->n_tables; i++) {
		if (posted)
			table_posted(&t[i], &p->tables[i].table);
		else if (!ok)
			table_failed(s, &t[i], &p->tables[i].table, &why);
		upkeep_table(&u, ZONE_PREPARE, p->tables[i].name, before[2 * i], p->tables[i].table.version);
		upkeep_table(&u, ZONE_QUARANTINE, p->tables[i].name, before[2 * i + 1], p->tables[i].quarantine.version);
	}
	t->took_us = c->monotonic_us(c) - began;
	if (u.peak_rss_bytes > s->out->peak_rss_engine_bytes)
		s->out->peak_rss_engine_bytes = u.peak_rss_bytes;
}

static void not_published(struct run_state *s, const struct plan_resource *p, size_t missing)
{
	struct err why = ERR_INIT;
	struct run_table *t = new_tables(s, p);
	for (size_t i = 0; i < p->n_tables; i++) {
		t[i].note = arena_format(s->arena, "not published: %zu of %zu wanted window%s not sealed", missing, p->n_windows,
						 p->n_windows == 1 ? "" : "s");
		publish_totals(&p->tables[i].table, &t[i]);
	}
	err_set(&why, ERR_MISSING, "prepare %.*s: %zu of %zu wanted window%s not sealed", STR_ARG(p->resource->name), missing,
		p->n_windows, p->n_windows == 1 ? "" : "s");
	err_hint(&why, "fetch them with `sluice run`, or publish the others with --keep-going");
	run_note_err(s->out, &why);
}

/* Rule 30: all or nothing of what the run wants, unless told to keep going. */
static bool may_prepare(struct run_state *s, struct plan_resource *p)
{
	const struct plan_request *q = &s->out->plan.request;
	size_t missing = 0, known = 0;
	for (size_t i = 0; i < p->n_windows; i++) {
		const struct plan_window *w = &p->windows[i];
		/* Asked for again and not answered: what is there is known, but it is not what this run wants. */
		bool unanswered = w->known && run_wants_fetch(w) && q->ingest;
		known += w->known;
		missing += unanswered || (!w->known && w->action != WINDOW_NOT_FINAL);
	}
	if ((plan_takes_what_is_there(q) || s->project->raw_other) && (known > 0 || p->tables[0].table.version >= 0))
		missing = 0;
	if (s->options->repair || (known > 0 && (missing == 0 || s->options->keep_going)))
		return true;
	if (missing > 0)
		not_published(s, p, missing);
	return false;
}

static void prepare_all(struct run_state *s)
{
	struct plan *p = &s->out->plan;
	for (size_t i = 0; i < p->n_resources && may_go_on(s); i++) {
		struct plan_resource *r = &p->resources[i];
		if (r->selected && r->contract && may_prepare(s, r))
			prepare_one(s, r);
	}
}

static void relate_all(struct run_state *s)
{
	struct publish u = { .project = s->project, .options = s->options, .run_id = s->out->run_id, .threads = s->threads,
			     .checks = &s->checks };
	struct err why = ERR_INIT;
	if (!relationships_check(&u, s->out, s->arena, &why))
		run_note_err(s->out, &why);
}

static bool input_failed(const struct run_state *s, const struct model *m)
{
	for (size_t i = 0; i < s->out->n_tables; i++) {
		const struct run_table *t = &s->out->tables[i];
		if (t->err.code == ERR_NONE && !str_starts(t->note, STR("not ")))
			continue;
		for (size_t k = 0; k < m->n_reads; k++) {
			size_t dot = str_find_char(m->reads[k], '.');
			bool prepare = str_eq(str_sub(m->reads[k], 0, dot), STR("prepare"));
			if (prepare == (t->zone == ZONE_PREPARE) && str_eq(str_sub(m->reads[k], dot + 1, m->reads[k].n), t->name))
				return true;
		}
	}
	return false;
}

static void refine_one(struct run_state *s, const struct plan_model *p)
{
	const struct model *m = p->model;
	struct clock *c = s->project->clock;
	struct run_table *t = new_table(s, ZONE_REFINE, m->name);
	if (input_failed(s, m)) {
		t->note = STR("not made: a table that it reads was not published");
		publish_totals(&p->table, t);
		return;
	}
	struct table_progress progress = { s, STAGE_REFINE, t->name, 0 };
	struct publish u = { .project = s->project, .options = s->options, .run_id = s->out->run_id,
			     .threads = s->threads, .spark = s->spark, .checks = &s->checks, .progress = on_rows, .user = &progress };
	struct err why = ERR_INIT;
	int64_t began = c->monotonic_us(c);
	run_show(s, STAGE_REFINE, t->name, 0, 0);
	if (!publish_model(&u, m, t, s->arena, &why)) {
		if (is_posted(s))
			table_posted(t, &p->table);
		else
			table_failed(s, t, &p->table, &why);
	}
	upkeep_table(&u, ZONE_REFINE, t->name, p->table.version, t->version);
	t->took_us = c->monotonic_us(c) - began;
	if (u.peak_rss_bytes > s->out->peak_rss_engine_bytes)
		s->out->peak_rss_engine_bytes = u.peak_rss_bytes;
}

static void refine_all(struct run_state *s)
{
	struct plan *p = &s->out->plan;
	const struct model **wanted = arena_array(s->arena, const struct model *, p->n_models + 1);
	size_t n = 0;
	for (size_t i = 0; i < p->n_models; i++)
		if (p->models[i].selected)
			wanted[n++] = p->models[i].model;
	/* Until the first of them has to be made, all is as it is now. */
	bool begun = n > 0 && publish_models_ahead(s->project, wanted, n, s->arena);
	for (size_t i = 0; i < p->n_models && may_go_on(s); i++)
		if (p->models[i].selected)
			refine_one(s, &p->models[i]);
	project_ahead_end(s->project, begun);
}

/* ── a run ── */

enum { PARTS_MAX = 10000 };

/* Who goes on with a run is recorded beside it: plan.json is created under the first number that is free. */
static bool put_plan(struct run_state *s, struct err *e)
{
	struct project *j = s->project;
	struct plan *p = &s->out->plan;
	struct str whole = s->out->run_id;
	for (unsigned part = 1; part <= PARTS_MAX; part++) {
		uint64_t size;
		bool ours = false;
		struct err missing = ERR_INIT;
		if (part > 1)
			s->out->run_id = p->request.run_id = arena_format(s->arena, "%.*s.%u", STR_ARG(whole), part);
		struct str key = arena_format(s->arena, "%.*s/plan.json", STR_ARG(key_run(j->pipeline->name, s->out->run_id, s->arena)));
		if (store_size(j->store, key, &size, &missing))
			continue;
		if (!store_create_checked(j->store, key, plan_json(p, s->arena), &ours, s->arena, e))
			return false;
		if (ours)
			return true;
	}
	return err_set(e, ERR_BUDGET, "run %.*s was gone on with %d times", STR_ARG(whole), PARTS_MAX);
}

static bool begin(struct run_state *s, struct err *e)
{
	struct project *j = s->project;
	struct run_result *out = s->out;
	struct problems problems = PROBLEMS_INIT(s->arena);
	struct plan_request q = s->options->request;
	out->command = s->options->command.n > 0 ? s->options->command : s->options->repair ? STR("repair") : STR("run");
	out->run_id = q.run_id.n > 0 ? q.run_id : run_id_new(j->clock, s->arena);
	q.run_id = out->run_id;
	if (q.refetch && q.refetch_name.n == 0)
		q.refetch_name = run_id_whole(out->run_id);
	if (q.now_us == 0)
		q.now_us = j->clock->wall_us(j->clock);
	/* Also a run without refine has the graph: its plan and record tell what the models would do. */
	if (!project_link(j, &problems, e) || !plan_make(j, &q, s->arena, &out->plan, e))
		return false;
	const struct err *damage = plan_damage(&out->plan, true);
	if (damage && s->options->keep_going)
		run_note_err(out, damage);
	else if (damage)
		*e = *damage;
	return damage == NULL || s->options->keep_going;
}

static bool anything_happened(const struct run_result *r)
{
	bool any = r->plan.anything || r->err.code != ERR_NONE;
	for (size_t i = 0; i < r->n_tables; i++)
		any = any || r->tables[i].changed;
	return any;
}

static void finish(struct run_state *s)
{
	struct run_result *out = s->out;
	struct clock *c = s->project->clock;
	if (is_signalled(s)) {
		struct err why = ERR_INIT;
		err_set(&why, *s->options->stop == 2 ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
		run_note_err(out, &why);
	}
	out->took_us = c->monotonic_us(c) - s->began_us;
	struct err why = ERR_INIT;
	/* Objects that vanish look like damage or like another run's work; this is the cause. */
	out->lake_gone = out->err.code != ERR_NONE && !project_lake_there(s->project, &why);
	if (out->lake_gone)
		out->err = why;
	why = ERR_INIT;
	out->nothing_to_do = !anything_happened(out);
	if (!put_object(s, "record.json", run_record_json(out, s->arena), &why)) {
		err_wrap(&why, "the record of the run could not be kept");
		run_note_err(out, &why);
	}
	run_show(s, STAGE_DONE, STR_NONE, 0, 0);
}

/* Answers that are not fetched may be lost for good, tables can be made at any time: with mistakes in contracts or models
 * a run still fetches, and says at its end why it did no more. */
static void note_broken_tables(struct run_state *s)
{
	struct err why = ERR_INIT;
	err_set(&why, ERR_CONFIG, "contracts or models have mistakes: what is wanted was asked for, but nothing prepared or refined");
	run_note_err(s->out, &why);
}

bool run_pipeline(struct project *j, const struct run_options *o, struct arena *a, struct run_result *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct run_options options = *o;
	struct run_state s = { .project = j, .options = &options, .out = out, .arena = a };
	bool tables_wanted = o->request.prepare || o->request.refine;
	options.request.prepare = o->request.prepare && j->tables_ok;
	options.request.refine = o->request.refine && j->tables_ok;
	s.threads = o->threads > 0 ? o->threads : cores > 0 ? (unsigned)cores : 1;
	s.began_us = j->clock->monotonic_us(j->clock);
	out->started_us = j->clock->wall_us(j->clock);
	if (!begin(&s, e))
		return false;
	const struct plan *p = &out->plan;
	size_t n_tables = p->n_models;
	for (size_t i = 0; i < p->n_resources; i++)
		n_tables += p->resources[i].n_tables;
	out->tables = arena_array(a, struct run_table, n_tables + 1);
	if (!run_settle_seen(&s, e))
		return false;
	if (!(o->in_parts ? put_plan(&s, e) : put_object(&s, "plan.json", plan_json(p, a), e)))
		return false;
	if (tables_wanted && !j->tables_ok)
		note_broken_tables(&s);
	s.spark = spark_session_new(&j->pipeline->spark);
	int64_t t = j->clock->monotonic_us(j->clock);
	bool begun = run_ingest(&s);
	out->ingest_us = j->clock->monotonic_us(j->clock) - t;
	t = j->clock->monotonic_us(j->clock);
	if (p->request.prepare && begun && may_go_on(&s))
		prepare_all(&s);
	if (p->request.prepare && begun && !o->exchange && may_go_on(&s))
		relate_all(&s);
	out->prepare_us = j->clock->monotonic_us(j->clock) - t;
	t = j->clock->monotonic_us(j->clock);
	if (p->request.refine && begun && may_go_on(&s))
		refine_all(&s);
	spark_session_free(s.spark);
	out->refine_us = j->clock->monotonic_us(j->clock) - t;
	finish(&s);
	arena_free(&s.checks.arena);
	return true;
}
