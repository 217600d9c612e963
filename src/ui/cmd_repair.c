/* repair: derived things made again, and what is lost of Raw. */
#include "base/json.h"
#include "run/repair.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>

static void put_escaped(struct ui *u, struct str text)
{
	struct buf b = BUF_INIT(1 << 16);
	args_complete(&u->args, text, &b);
	text_escape(buf_str(&b), false, &u->out);
	buf_free(&b);
}

/* ── for programs ── */

static void table_json(struct json_out *o, const struct repair_table *t)
{
	json_begin_object(o, NULL);
	json_put_z(o, "zone", lake_zone_name(t->zone));
	json_put_str(o, "table", t->name);
	json_put_u64(o, "files", t->files);
	json_put_bool(o, "log", t->log);
	if (t->log)
		json_put_i64(o, "versions_left", t->versions_left);
	json_put_bool(o, "can_be_made", t->by.n > 0);
	json_end_object(o);
}

static void loss_json(struct ui *u, struct json_out *o, const struct repair_loss *l)
{
	char *command = arena_zero_terminated(&u->arena, l->refetch);
	json_begin_object(o, NULL);
	json_put_str(o, "resource", l->resource);
	json_put_str(o, "window", l->window);
	json_put_u64(o, "generation", l->generation);
	json_put_str(o, "what", l->first);
	json_put_u64(o, "objects", l->objects);
	json_put_u64(o, "pages", l->pages);
	json_put_u64(o, "records", l->records);
	json_put_bool(o, "in_table", l->in_table);
	json_put_u64(o, "rows", l->rows);
	json_put_str(o, "refetch", args_again(&u->args, command, &u->arena));
	json_end_object(o);
}

static void repair_json(struct ui *u, const struct repair *r, bool done)
{
	struct json_out o = JSON_OUT(&u->out);
	json_begin_object(&o, NULL);
	json_begin_array(&o, "tables");
	for (size_t i = 0; i < r->n_tables; i++)
		table_json(&o, &r->tables[i]);
	json_end_array(&o);
	json_begin_array(&o, "lost");
	for (size_t i = 0; i < r->n_losses; i++)
		loss_json(u, &o, &r->losses[i]);
	json_end_array(&o);
	json_begin_array(&o, "states");
	for (size_t i = 0; i < r->n_states; i++)
		json_put_str(&o, NULL, r->states[i]);
	json_end_array(&o);
	json_begin_array(&o, "others");
	for (size_t i = 0; i < r->n_others; i++) {
		json_begin_object(&o, NULL);
		json_put_str(&o, "where", r->others[i].where);
		json_put_str(&o, "what", r->others[i].what);
		json_end_object(&o);
	}
	json_end_array(&o);
	json_put_bool(&o, "repaired", done);
	json_end_object(&o);
	buf_add_char(&u->out, '\n');
}

/* ── for people ── */

static void say_table(struct ui *u, const struct repair_table *t)
{
	buf_addf(&u->out, "%s.%.*s: ", lake_zone_name(t->zone), STR_ARG(t->name));
	if (t->log)
		buf_addf(&u->out, "its log is good up to %" PRId64 " versions; what was behind them is made again", t->versions_left);
	if (t->log && t->files > 0)
		buf_add_z(&u->out, ", and ");
	if (t->files > 0)
		buf_addf(&u->out, "%s made again", amount_things(t->files, "data file").text);
	if (t->by.n == 0)
		buf_add_z(&u->out, " -- but no resource with a contract and no model of the pipeline file makes it: it stays as it is");
	buf_add_char(&u->out, '\n');
}

static void say_loss(struct ui *u, const struct repair_loss *l)
{
	buf_addf(&u->out, "Lost in Raw: %.*s, window %.*s, generation %u: ", STR_ARG(l->resource), STR_ARG(l->window), l->generation);
	if (l->pages > 0)
		buf_addf(&u->out, "%s with %s\n", amount_things(l->pages, "page").text, amount_things(l->records, "record").text);
	else
		buf_add_z(&u->out, "its ledger, so that nobody can say which pages\n");
	buf_add_z(&u->out, "  ");
	put_escaped(u, l->first);
	if (l->objects > 1)
		buf_addf(&u->out, " (and %s more)", amount_count(l->objects - 1).text);
	if (l->in_table)
		buf_addf(&u->out, "\n  prepare.%.*s still has its %s", STR_ARG(l->resource), amount_things(l->rows, "row").text);
	else
		buf_add_z(&u->out, "\n  no table was made of it");
	buf_add_z(&u->out, "\n  ask for it again: ");
	put_escaped(u, arena_format(&u->arena, "`sluice %.*s`", STR_ARG(l->refetch)));
	buf_add_char(&u->out, '\n');
}

static void say_plan(struct ui *u, const struct repair *r)
{
	for (size_t i = 0; i < r->n_tables; i++)
		say_table(u, &r->tables[i]);
	for (size_t i = 0; i < r->n_states; i++) {
		put_escaped(u, r->states[i]);
		buf_add_z(&u->out, ": not what the log says, and only a short way to it; it is removed\n");
	}
	for (size_t i = 0; i < r->n_losses; i++)
		say_loss(u, &r->losses[i]);
	for (size_t i = 0; i < r->n_others; i++) {
		put_escaped(u, r->others[i].where);
		buf_add_z(&u->out, ": ");
		put_escaped(u, r->others[i].what);
		buf_add_z(&u->out, "; to do: ");
		put_escaped(u, r->others[i].todo);
		buf_add_char(&u->out, '\n');
	}
	if (r->n_tables + r->n_states + r->n_losses + r->n_others == 0)
		buf_add_z(&u->out, "Nothing to repair.\n");
}

static struct str names_of(struct ui *u, struct err *e)
{
	struct str all = STR_NONE;
	for (size_t i = 0; i < u->args.n_operands; i++) {
		const struct resource *r;
		struct str name = u->args.operands[i];
		bool known = pipeline_resource(u->project.pipeline, name) != NULL;
		for (size_t k = 0; k < u->project.models.n && !known; k++)
			known = str_eq(u->project.models.v[k].name, name);
		if (!known && !ui_resource(u, name, &r, e))
			return STR_NONE;
		all = arena_format(&u->arena, "%.*s%s%.*s", STR_ARG(all), i ? "," : "", STR_ARG(name));
	}
	return all;
}

/* Makes it again, and looks at it once more: what is left of the plan is what could not be made. */
static int repair_now(struct ui *u, struct repair *r, const struct verify_options *v, uint64_t threads)
{
	struct err e = ERR_INIT;
	struct run_result result;
	struct run_options o = { .threads = (unsigned)threads, .stop = &ui_stop };
	struct verify_options again = *v;
	if (!repair_run(&u->project, r, &o, &u->arena, &result, &e))
		return ui_fail(u, &e);
	if (result.err.code != ERR_NONE)
		return ui_fail(u, &result.err);
	if (r->only.n > 0)
		again.only = r->only;
	if (!repair_plan(&u->project, &again, &u->arena, r, &e))
		return ui_fail(u, &e);
	return r->n_tables + r->n_states > 0 ? err_exit_status(ERR_DAMAGE) : 0;
}

int cmd_repair(struct ui *u)
{
	struct err e = ERR_INIT;
	struct repair r;
	uint64_t threads = 0;
	int status = 0;
	bool json = u->args.given[OPT_JSON], quiet = u->args.given[OPT_QUIET];
	if (!args_u64(&u->args, OPT_THREADS, 1, 1024, 0, &threads, &e))
		return ui_fail(u, &e);
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	struct verify_options v = { .only = names_of(u, &e), .stop = &ui_stop };
	if (e.code != ERR_NONE || !repair_plan(&u->project, &v, &u->arena, &r, &e))
		return ui_fail(u, &e);
	bool lost = r.n_losses + r.n_others > 0, work = r.only.n + r.n_states > 0 && !u->args.given[OPT_DRY_RUN];
	bool stuck = false;
	for (size_t i = 0; i < r.n_tables; i++)
		stuck = stuck || r.tables[i].by.n == 0;
	if (json)
		repair_json(u, &r, work);
	else if (!quiet || r.n_tables + r.n_states + r.n_losses + r.n_others > 0)
		say_plan(u, &r);
	if (work) {
		if (!ui_flush(u, &e))
			return ui_fail(u, &e);
		status = repair_now(u, &r, &v, threads);
		if (status == 0 && !json && !quiet)
			buf_add_z(&u->out, "Made again, and verified.\n");
		else if (status == err_exit_status(ERR_DAMAGE) && !json)
			say_plan(u, &r);
	} else if (r.n_tables > 0) {
		status = err_exit_status(ERR_DAMAGE);
	}
	return ui_done(u, status ? status : lost || stuck ? err_exit_status(ERR_DAMAGE) : 0);
}
