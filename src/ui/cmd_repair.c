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
	if (t->log) {
		json_put_i64(o, "versions_left", t->versions_left);
		json_put_bool(o, "resumed", t->resumed);
	}
	json_put_bool(o, "can_be_made", t->by.n > 0 && t->blocked.n == 0);
	if (t->blocked.n > 0)
		json_put_str(o, "why_not", t->blocked);
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
	json_put_u64(o, "damaged_rows", l->bad_rows);
	if (l->same_window.n > 0) {
		json_begin_object(o, "same_content");
		json_put_str(o, "window", l->same_window);
		json_put_u64(o, "generation", l->same_generation);
		json_end_object(o);
	}
	if (l->later > 0)
		json_put_u64(o, "later", l->later);
	json_put_str(o, "refetch", args_again(&u->args, command, &u->arena));
	if (l->then_repair)
		json_put_str(o, "then", args_again(&u->args, arena_format(&u->arena, "repair %.*s", STR_ARG(l->resource)).p, &u->arena));
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

/* What is said before, of what would be, and after it of what is still so. */
enum tense { IS_MADE, WOULD_BE_MADE, WAS_NOT_MADE };

static void say_table(struct ui *u, const struct repair_table *t, enum tense tense)
{
	static const char *const made[] = { "is made again", "would be made again", "could not be made again" };
	struct buf *b = &u->out;
	bool can = t->by.n > 0 && t->blocked.n == 0;
	buf_addf(b, "%s.%.*s: ", lake_zone_name(t->zone), STR_ARG(t->name));
	if (t->log)
		buf_addf(b, "%sits log is good up to %s", t->resumed ? "an earlier repair was cut off; " : "",
			 amount_things((uint64_t)t->versions_left, "version").text);
	if (t->log && can)
		buf_addf(b, "; what was behind %s", made[tense]);
	if (t->log && t->files > 0)
		buf_add_z(b, ", and ");
	if (t->files > 0)
		buf_addf(b, "%s%s%s", amount_things(t->files, "data file").text, can ? " " : " damaged",
			 !can ? "" : tense == IS_MADE && t->files != 1 ? "are made again" : made[tense]);
	if (t->by.n == 0) {
		buf_add_z(b, " -- but no resource with a contract and no model of the pipeline file makes it: it stays as it is");
	} else if (!can) {
		buf_addf(b, " -- it cannot be made again, since %.*s: it stays as it is", STR_ARG(t->blocked));
	} else if (tense == WAS_NOT_MADE) {
		buf_add_z(b, "\n  ");
		put_escaped(u, t->first);
	}
	buf_add_char(b, '\n');
}

static void say_rows(struct ui *u, const struct repair_loss *l)
{
	struct buf *b = &u->out;
	if (l->table_unknown)
		buf_addf(b, "the log of prepare.%.*s is damaged, so nobody can say which rows of it are left", STR_ARG(l->resource));
	else if (l->in_table && l->bad_rows > 0)
		buf_addf(b, "prepare.%.*s has %s of it in damaged files, and %s in others", STR_ARG(l->resource),
			 amount_things(l->bad_rows, "row").text, amount_count(l->rows).text);
	else if (l->in_table)
		buf_addf(b, "prepare.%.*s still has its %s", STR_ARG(l->resource), amount_things(l->rows, "row").text);
	else if (l->made_of > 0)
		buf_addf(b, "prepare.%.*s was made of generation %u", STR_ARG(l->resource), l->made_of);
	else
		buf_add_z(b, "no table was made of it");
}

static void say_loss(struct ui *u, const struct repair_loss *l)
{
	bool same = l->same_window.n > 0;
	bool later = same && l->pages > 0 && str_eq(l->same_window, l->window) && l->same_generation > l->generation;
	buf_addf(&u->out, "%s: %.*s, window %.*s, generation %u: ", same ? "Damaged in Raw, and not lost" : "Lost in Raw",
		 STR_ARG(l->resource), STR_ARG(l->window), l->generation);
	if (l->pages > 0)
		buf_addf(&u->out, "%s with %s\n", amount_things(l->pages, "page").text, amount_things(l->records, "record").text);
	else
		buf_add_z(&u->out, "its ledger, so that nobody can say which pages\n");
	buf_add_z(&u->out, "  ");
	put_escaped(u, l->first);
	if (l->objects > 1)
		buf_addf(&u->out, " (and %s more)", amount_count(l->objects - 1).text);
	buf_add_z(&u->out, "\n  ");
	if (same)
		buf_addf(&u->out, "window %.*s, generation %u, has the same content", STR_ARG(l->same_window), l->same_generation);
	else
		say_rows(u, l);
	if (later || !same)
		buf_add_z(&u->out, "\n  ");
	if (later)
		put_escaped(u, arena_format(&u->arena, "what is left of it can go: `sluice gc --only %.*s --generations --yes`",
					    STR_ARG(l->resource)));
	else if (!same && l->later > 0)
		buf_addf(&u->out, "a later fetch, generation %u, is the window's truth: nothing needs this one", l->later);
	else if (!same && l->then_repair)
		put_escaped(u, arena_format(&u->arena, "ask for it again: `sluice %.*s`, and then make the tables: `sluice repair %.*s`",
					    STR_ARG(l->refetch), STR_ARG(l->resource)));
	else if (!same)
		put_escaped(u, arena_format(&u->arena, "ask for it again: `sluice %.*s`", STR_ARG(l->refetch)));
	buf_add_char(&u->out, '\n');
}

static void say_plan(struct ui *u, const struct repair *r, enum tense tense)
{
	for (size_t i = 0; i < r->n_tables; i++)
		say_table(u, &r->tables[i], tense);
	for (size_t i = 0; i < r->n_states; i++) {
		put_escaped(u, r->states[i]);
		buf_addf(&u->out, ": not what the log says, and only a short way to it; it %s\n",
			 tense == WOULD_BE_MADE ? "would be removed" : tense == IS_MADE ? "is removed" : "could not be removed");
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
static bool repair_now(struct ui *u, struct repair *r, const struct verify_options *v, uint64_t threads, struct err *e)
{
	struct run_result result;
	struct run_options o = { .threads = (unsigned)threads, .stop = &ui_stop };
	struct verify_options again = *v;
	if (!repair_run(&u->project, r, &o, &u->arena, &result, e))
		return false;
	*e = result.err;
	if (r->only.n > 0)
		again.only = r->only;
	return e->code == ERR_NONE && repair_plan(&u->project, &again, &u->arena, r, e);
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
	struct repair told = r;
	for (size_t i = 0; i < r.n_tables; i++)
		stuck = stuck || r.tables[i].by.n == 0 || r.tables[i].blocked.n > 0;
	if (!json && (!quiet || r.n_tables + r.n_states + r.n_losses + r.n_others > 0))
		say_plan(u, &r, work ? IS_MADE : WOULD_BE_MADE);
	if (work) {
		if (!ui_flush(u, &e))
			return ui_fail(u, &e);
		bool ended = repair_now(u, &r, &v, threads, &e);
		status = ended && r.n_tables + r.n_states > 0 ? err_exit_status(ERR_DAMAGE) : 0;
		if (!ended)
			return ui_fail(u, &e); /* with --json this is the answer */
		if (status == 0 && !json && !quiet)
			buf_add_z(&u->out, "Made again, and verified.\n");
		else if (status != 0 && !json)
			say_plan(u, &r, WAS_NOT_MADE);
	} else if (r.n_tables > 0) {
		status = err_exit_status(ERR_DAMAGE);
	}
	if (json)
		repair_json(u, &told, work && status == 0);
	return ui_done(u, status ? status : lost || stuck ? err_exit_status(ERR_DAMAGE) : 0);
}
