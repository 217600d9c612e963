/* trace: a row, and where it comes from. */
#include "base/json.h"
#include "run/raw.h"
#include "run/trace.h"
#include "ui/amount.h"
#include "ui/print_table.h"

#include <inttypes.h>

enum { TRACE_ROWS = 10, RAW_SHOWN_MAX = 4096, ROW_MAX = 64 << 20, NAME_SHOWN_MAX = 64 };

struct traced_row {
	struct str *names, *values; /* values[i].p NULL: NULL */
	size_t n;
	struct str json;            /* the same as an object */
	struct trace_address at;
};
struct traced {
	struct ui *u;
	struct traced_row *v;
	size_t n, cap;
	struct batch_shape *shape;
	size_t n_columns;
};

static void take_address(struct traced_row *r, struct str name, const struct batch_column *c, size_t row, struct str text)
{
	if (str_eq(name, STR("_window")))
		r->at.window = text;
	if (c->type != TYPE_INTEGER || c->i64[row] < 0)
		return;
	uint64_t v = (uint64_t)c->i64[row];
	if (str_eq(name, STR("_gen")))
		r->at.generation = (unsigned)v;
	else if (str_eq(name, STR("_page")))
		r->at.page = v;
	else if (str_eq(name, STR("_off")))
		r->at.offset = v;
	else if (str_eq(name, STR("_len")))
		r->at.length = v;
}

static bool take_rows(void *user, const struct batch *b, struct err *e)
{
	struct traced *t = user;
	struct arena *a = &t->u->arena;
	for (size_t row = 0; row < b->n_rows; row++) {
		struct traced_row *r = arena_push(a, *t);
		struct buf text = BUF_INIT(ROW_MAX);
		struct json_out o = JSON_OUT(&text);
		*r = (struct traced_row){ .n = b->n_columns };
		r->names = arena_array(a, struct str, r->n + 1);
		r->values = arena_array(a, struct str, r->n + 1);
		json_begin_object(&o, NULL);
		for (size_t c = 0; c < r->n; c++) {
			struct str value;
			r->names[c] = t->shape[c].name;
			cell_json(&b->columns[c], row, a, &o, r->names[c]);
			if (!cell_text(&b->columns[c], row, a, &value))
				continue;
			r->values[c] = arena_copy(a, value);
			take_address(r, r->names[c], &b->columns[c], row, r->values[c]);
		}
		json_end_object(&o);
		bool fits = !text.overflow;
		r->json = arena_copy(a, buf_str(&text));
		buf_free(&text);
		if (!fits)
			return err_set(e, ERR_USAGE, "a row is longer than %d MiB: that is not shown", ROW_MAX >> 20) &&
			       err_hint(e, "`sluice query` takes an SQL text that shortens it");
	}
	return true;
}

static bool find_rows(struct ui *u, struct lake_query *q, struct str sql, struct traced *out, struct err *e)
{
	*out = (struct traced){ .u = u };
	return lake_query_run(q, sql, &u->arena, &out->shape, &out->n_columns, take_rows, out, e);
}

/* ── for people ── */

/* The address is told in words, but for a child's place in its record. */
static bool is_address(struct str name)
{
	return name.n > 0 && name.p[0] == '_' && !str_eq(name, STR("_extra")) && !str_eq(name, STR("_parent_off")) &&
	       !str_eq(name, STR("_idx"));
}

static void print_row(struct ui *u, const struct traced_row *r)
{
	int width = 20;
	for (size_t c = 0; c < r->n; c++)
		if (!(r->at.window.n > 0 && is_address(r->names[c])) && (int)r->names[c].n > width && r->names[c].n <= NAME_SHOWN_MAX)
			width = (int)r->names[c].n;
	for (size_t c = 0; c < r->n; c++) {
		if (r->at.window.n > 0 && is_address(r->names[c]))
			continue;
		buf_addf(&u->out, "  %-*.*s ", width, STR_ARG(r->names[c]));
		if (r->values[c].p == NULL)
			buf_add_z(&u->out, "NULL");
		else
			text_escape(r->values[c], false, &u->out);
		buf_add_char(&u->out, '\n');
	}
}

static void print_origin(struct ui *u, const struct lake_table *t, const struct trace_address *at,
			 const struct trace_origin *o)
{
	struct buf b = BUF_INIT(1 << 20);
	buf_addf(&b, "  came with\n    request   %.*s\n", STR_ARG(o->request));
	if (o->redirected_to.n > 0)
		buf_addf(&b, "    answered  by %.*s\n", STR_ARG(o->redirected_to));
	buf_addf(&b, "    answer    status %u after %u attempt%s, fetched %.*s by run %.*s\n", o->status, o->attempts,
		 o->attempts == 1 ? "" : "s", STR_ARG(o->fetched_at), STR_ARG(o->run_id));
	buf_addf(&b, "    window    %.*s, generation %u, page %" PRIu64 ", bytes %" PRIu64 "+%" PRIu64 " of the body\n",
		 STR_ARG(o->window), o->generation, at->page, at->offset, at->length);
	if (o->damage.n > 0) {
		buf_addf(&b, "    instead   of window %.*s, generation %u, which the row names; it has the same content, and is damaged: ",
			 STR_ARG(at->window), at->generation);
		text_escape(o->damage, false, &b);
		buf_add_char(&b, '\n');
	}
	buf_addf(&b, "    segment   %.*s, bytes %" PRIu64 "+%" PRIu64 "\n", STR_ARG(o->segment_key), o->segment_offset,
		 o->segment_size);
	buf_addf(&b, "    raw       %.*s%s\n", STR_ARG(str_sub(o->raw, 0, RAW_SHOWN_MAX)), o->raw.n > RAW_SHOWN_MAX ? " ..." : "");
	buf_addf(&b, "    all of it `sluice raw cat %.*s %" PRIu64 " --head`\n", STR_ARG(o->segment_key), o->segment_offset);
	(void)t;
	ui_say(u, buf_str(&b));
	buf_free(&b);
}

/* ── for programs ── */

static void json_origin(struct json_out *j, const struct trace_address *at, const struct trace_origin *o)
{
	json_begin_object(j, "origin");
	json_put_str(j, "window", at->window);
	json_put_u64(j, "generation", at->generation);
	if (o->damage.n > 0) {
		json_begin_object(j, "instead");
		json_put_str(j, "window", o->window);
		json_put_u64(j, "generation", o->generation);
		json_put_str(j, "why", o->damage);
		json_end_object(j);
	}
	json_put_u64(j, "page", at->page);
	json_put_u64(j, "offset", at->offset);
	json_put_u64(j, "length", at->length);
	json_put_str(j, "request", o->request);
	json_put_u64(j, "status", o->status);
	json_put_u64(j, "attempts", o->attempts);
	json_put_str(j, "fetched_at", o->fetched_at);
	json_put_str(j, "run", o->run_id);
	json_put_str(j, "segment", o->segment_key);
	json_put_u64(j, "segment_offset", o->segment_offset);
	json_put_u64(j, "segment_size", o->segment_size);
	json_put_str(j, "raw", o->raw);
	json_end_object(j);
}

/* ── both ── */

static bool put_rows(struct ui *u, struct json_out *j, const struct lake_table *t, const struct traced *rows, struct err *e)
{
	bool as_json = u->args.given[OPT_JSON];
	for (size_t i = 0; i < rows->n; i++) {
		const struct traced_row *r = &rows->v[i];
		struct trace_origin o;
		bool has = t->zone == ZONE_PREPARE && r->at.window.n > 0;
		if (has && !trace_origin_find(&u->project, t, &r->at, &u->arena, &o, e))
			return false;
		if (as_json) {
			json_begin_object(j, NULL);
			json_put_raw(j, "row", r->json);
			if (has)
				json_origin(j, &r->at, &o);
			json_end_object(j);
			continue;
		}
		print_row(u, r);
		if (has)
			print_origin(u, t, &r->at, &o);
		buf_add_char(&u->out, '\n');
	}
	return true;
}

static bool put_input(struct ui *u, struct lake_query *q, struct json_out *j, const struct lake_table *t,
		      const struct lake_table *in, struct err *e)
{
	struct str sql = STR_NONE;
	struct traced rows = { 0 };
	bool as_json = u->args.given[OPT_JSON];
	if (!trace_input_sql(t, u->args.operands + 1, in, TRACE_ROWS + 1, &u->arena, &sql, e) ||
	    (sql.n > 0 && !find_rows(u, q, sql, &rows, e)))
		return false;
	bool more = rows.n > TRACE_ROWS;
	rows.n = more ? TRACE_ROWS : rows.n;
	if (as_json) {
		json_begin_object(j, NULL);
		json_put_str(j, "table", arena_format(&u->arena, "prepare.%.*s", STR_ARG(in->name)));
		json_put_bool(j, "matched", sql.n > 0);
		json_put_bool(j, "more", more);
		json_begin_array(j, "rows");
	} else if (sql.n == 0) {
		buf_addf(&u->out, "from prepare.%.*s: it has no column of the key, so any of its rows may have taken part\n\n",
			 STR_ARG(in->name));
	} else {
		buf_addf(&u->out, "from prepare.%.*s: %s%s\n", STR_ARG(in->name), amount_things(rows.n, "row").text,
			 more ? " shown, there are more" : "");
	}
	bool ok = put_rows(u, j, in, &rows, e);
	if (as_json) {
		json_end_array(j);
		json_end_object(j);
	}
	return ok;
}

static bool trace(struct ui *u, struct lake_query *q, struct err *e)
{
	const struct args *g = &u->args;
	const struct lake_table *t = NULL, **inputs = NULL;
	struct str sql;
	struct traced rows;
	size_t n_inputs = 0;
	struct json_out j = JSON_OUT(&u->out);
	bool as_json = g->given[OPT_JSON];
	if (!lake_table_find(&u->project, q, g->operands[0], false, &t, e))
		return false;
	if (t->zone == ZONE_QUARANTINE) {
		err_set(e, ERR_USAGE, "quarantine.%.*s: rows that were set aside have no key to be found by", STR_ARG(t->name));
		return err_hint(e, "`sluice show %.*s --quarantine` shows them with their addresses", STR_ARG(t->name));
	}
	if (!trace_key_sql(t, g->operands + 1, g->n_operands - 1, TRACE_ROWS, &u->arena, &sql, e) ||
	    !find_rows(u, q, sql, &rows, e))
		return false;
	if (rows.n == 0) {
		err_set(e, ERR_MISSING, "%s.%.*s has no row with this key", lake_zone_name(t->zone), STR_ARG(t->name));
		return err_hint(e, t->zone == ZONE_PREPARE ? "was it set aside? `sluice show %.*s --quarantine`"
							   : "`sluice show %.*s` shows rows", STR_ARG(t->name));
	}
	if (as_json) {
		json_begin_object(&j, NULL);
		json_put_str(&j, "table", arena_format(&u->arena, "%s.%.*s", lake_zone_name(t->zone), STR_ARG(t->name)));
		json_begin_array(&j, "rows");
	} else {
		buf_addf(&u->out, "%s.%.*s, version %" PRId64 "\n", lake_zone_name(t->zone), STR_ARG(t->name), t->t.version);
	}
	bool ok = put_rows(u, &j, t, &rows, e);
	if (as_json)
		json_end_array(&j);
	if (t->model)
		trace_inputs(&u->project, q, t->model, &u->arena, &inputs, &n_inputs);
	if (as_json && t->model)
		json_begin_array(&j, "inputs");
	for (size_t i = 0; ok && i < n_inputs; i++)
		ok = put_input(u, q, &j, t, inputs[i], e);
	if (as_json && t->model)
		json_end_array(&j);
	if (as_json) {
		json_end_object(&j);
		buf_add_char(&u->out, '\n');
	}
	if (ok && u->out.overflow) {
		buf_clear(&u->out);
		err_set(e, ERR_USAGE, "the answer is longer than %d MiB: that is not shown", UI_OUT_MAX >> 20);
		return err_hint(e, "`sluice query` takes an SQL text that shortens it");
	}
	return ok;
}

static int trace_guarded(struct ui *u)
{
	struct err e = ERR_INIT;
	struct lake_query q = { 0 };
	int status = 0;
	if (!ui_open(u, LAKE_THERE, true, &status))
		return status;
	ui_limit_memory(lake_query_memory(&u->project));
	bool ok = lake_query_open(&u->project, &u->arena, &q, &e) && lake_query_watch(&q, &ui_stop, &e) && trace(u, &q, &e);
	lake_query_close(&q);
	struct str from = !ok && e.code == ERR_DAMAGE ? raw_named_by_runs(&u->project, &u->arena) : STR_NONE;
	if (from.n > 0)
		err_hint(&e, "this lake was made with --raw-from %.*s: say it here, too", STR_ARG(from));
	if (!ok && u->args.given[OPT_JSON]) /* half an answer is none */
		buf_clear(&u->out);
	return ok ? ui_done(u, 0) : ui_fail(u, &e);
}

int cmd_trace(struct ui *u)
{
	return ui_guarded(u, trace_guarded);
}
