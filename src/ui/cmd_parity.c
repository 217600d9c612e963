/* parity. */
#include "base/json.h"
#include "run/parity.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>
#include <unistd.h>

static void side_json(struct json_out *o, const char *key, const struct parity_side *s)
{
	char hex[33];
	row_hash_hex(&s->hash, hex);
	json_begin_object(o, key);
	if (s->err.code != ERR_NONE) {
		json_put_z(o, "code", err_name(s->err.code));
		json_put_z(o, "error", s->err.message);
		if (err_hint_text(&s->err)[0] != '\0')
			json_put_z(o, "hint", err_hint_text(&s->err));
	} else {
		json_put_str(o, "engine", s->engine);
		json_put_u64(o, "rows", s->rows);
		json_put_z(o, "row_hash", hex);
	}
	json_end_object(o);
}

static void pair_json(struct json_out *o, const char *key, const struct str *v)
{
	json_begin_array(o, key);
	json_put_str(o, NULL, v[0]);
	json_put_str(o, NULL, v[1]);
	json_end_array(o);
}

static void report_json(struct json_out *o, const struct parity_report *r)
{
	json_begin_object(o, NULL);
	json_put_str(o, "model", r->model);
	json_put_bool(o, "compared", r->compared);
	json_put_bool(o, "equal", r->equal);
	side_json(o, "duckdb", &r->duckdb);
	side_json(o, "spark", &r->spark);
	if (r->n_columns > 0) {
		json_put_u64(o, "only_duckdb", r->only_duckdb);
		json_put_u64(o, "only_spark", r->only_spark);
		json_begin_array(o, "columns");
		for (size_t i = 0; i < r->n_columns; i++) {
			json_begin_object(o, NULL);
			json_put_str(o, "column", r->columns[i].name);
			json_put_u64(o, "differ", r->columns[i].differ);
			pair_json(o, "nulls", r->columns[i].nulls);
			pair_json(o, "min", r->columns[i].least);
			pair_json(o, "max", r->columns[i].most);
			json_end_object(o);
		}
		json_end_array(o);
		json_begin_array(o, "examples");
		for (size_t i = 0; i < r->n_examples; i++)
			json_put_str(o, NULL, r->examples[i]);
		json_end_array(o);
		json_begin_array(o, "lint");
		for (size_t i = 0; r->lint && i < r->lint->n_findings; i++)
			json_put_str(o, NULL, r->lint->findings[i].rule);
		json_end_array(o);
	}
	json_end_object(o);
}

/* Line ends of values are escaped here, everything else where it is printed. */
static void pair_say(struct buf *b, const char *what, const struct str *v)
{
	if (str_eq(v[0], v[1]))
		return;
	buf_addf(b, "; %s ", what);
	text_escape(v[0], false, b);
	buf_add_z(b, ", ");
	text_escape(v[1], false, b);
}

/* An engine's message may hold a row, or what the engine makes of the SQL. */
static void failure_say(struct ui *u, struct buf *b, const char *engine, const struct err *e)
{
	struct buf text = BUF_INIT(1 << 16);
	if (e->code == ERR_NONE)
		return;
	args_complete(&u->args, str_from(e->message), &text);
	buf_addf(b, "  %s: ", engine);
	text_escape(buf_str(&text), false, b);
	buf_clear(&text);
	args_complete(&u->args, str_from(err_hint_text(e)), &text);
	if (text.n > 0) {
		buf_add_z(b, "\n    hint: ");
		text_escape(buf_str(&text), false, b);
	}
	buf_add_char(b, '\n');
	buf_free(&text);
}

static void report_say(struct ui *u, struct buf *b, const struct parity_report *r)
{
	if (r->equal) {
		buf_addf(b, "%-26.*s equal: %s\n", STR_ARG(r->model), amount_things(r->duckdb.rows, "row").text);
		return;
	}
	buf_addf(b, "%-26.*s %s\n", STR_ARG(r->model), r->compared ? "DIFFERENT" : "not compared");
	failure_say(u, b, "DuckDB", &r->duckdb.err);
	failure_say(u, b, "Spark", &r->spark.err);
	if (r->n_columns == 0)
		return;
	buf_addf(b, "  rows: DuckDB %" PRIu64 ", Spark %" PRIu64 "; keys that only DuckDB has %" PRIu64 ", only Spark %" PRIu64 "\n",
		 r->duckdb.rows, r->spark.rows, r->only_duckdb, r->only_spark);
	bool any = false;
	for (size_t i = 0; i < r->n_columns; i++) {
		const struct parity_column *c = &r->columns[i];
		any = any || c->differ > 0;
		if (c->differ == 0 && str_eq(c->nulls[0], c->nulls[1]) && str_eq(c->least[0], c->least[1]) &&
		    str_eq(c->most[0], c->most[1]))
			continue;
		buf_addf(b, "  %.*s: %s", STR_ARG(c->name), amount_things(c->differ, "row").text);
		pair_say(b, "NULLs", c->nulls);
		pair_say(b, "least", c->least);
		pair_say(b, "most", c->most);
		buf_add_char(b, '\n');
	}
	if (!any && r->only_duckdb + r->only_spark == 0)
		buf_add_z(b, "  all values equal each other: doubles with other bits (-0.0, NaN)\n");
	for (size_t i = 0; i < r->n_examples; i++) {
		buf_add_z(b, "    ");
		text_escape(r->examples[i], false, b);
		buf_add_char(b, '\n');
	}
	for (size_t i = 0; r->lint && i < r->lint->n_findings; i++)
		buf_addf(b, "  suspected: rule %.*s (%.*s); `sluice explain %.*s`\n", STR_ARG(r->lint->findings[i].rule),
			 STR_ARG(r->lint->findings[i].what), STR_ARG(r->lint->findings[i].rule));
}

static bool is_wanted(const struct args *g, struct str name)
{
	bool wanted = g->n_operands == 0;
	for (size_t i = 0; i < g->n_operands; i++)
		wanted = wanted || str_eq(g->operands[i], name);
	return wanted;
}

static bool names_check(struct ui *u, struct err *e)
{
	for (size_t i = 0; i < u->args.n_operands; i++) {
		bool known = false;
		for (size_t k = 0; k < u->project.models.n; k++)
			known = known || str_eq(u->project.models.v[k].name, u->args.operands[i]);
		if (!known)
			return err_set(e, ERR_USAGE, "there is no model %.*s", STR_ARG(u->args.operands[i]));
	}
	return true;
}

int cmd_parity(struct ui *u)
{
	const struct args *g = &u->args;
	struct err e = ERR_INIT;
	struct json_out o = JSON_OUT(&u->out);
	struct buf b = BUF_INIT(UI_OUT_MAX);
	uint64_t threads = 0;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	bool json = g->given[OPT_JSON], ok = true;
	struct spark_session *spark = NULL;
	size_t different = 0;
	int status = 0, not_compared = 0; /* the exit status of what kept the first such model from it */

	if (!args_u64(g, OPT_THREADS, 1, 1024, cores > 0 ? (uint64_t)cores : 1, &threads, &e))
		return ui_fail(u, &e);
	if (!ui_open(u, LAKE_THERE, true, &status))
		return status;
	spark = spark_session_new(&u->project.pipeline->spark);
	ok = names_check(u, &e);
	if (json)
		json_begin_array(&o, NULL);
	for (size_t i = 0; ok && i < u->project.models.n; i++) {
		struct parity_report r;
		if (!is_wanted(g, u->project.models.v[i].name))
			continue;
		ok = parity_model(&u->project, &u->project.models.v[i], spark, (unsigned)threads, &ui_stop, &u->arena, &r, &e);
		different += ok && r.compared && !r.equal;
		if (ok && !r.compared && not_compared == 0)
			not_compared = err_exit_status(r.duckdb.err.code != ERR_NONE ? r.duckdb.err.code : r.spark.err.code);
		if (ok && json) {
			report_json(&o, &r);
		} else if (ok) {
			buf_clear(&b);
			report_say(u, &b, &r);
			ui_say(u, buf_str(&b));
			ok = ui_flush(u, &e);
		}
	}
	spark_session_free(spark);
	if (json) {
		json_end_array(&o);
		buf_add_char(&u->out, '\n');
	}
	buf_free(&b);
	if (!ok) {
		if (json)
			buf_clear(&u->out); /* half an answer is none */
		return ui_fail(u, &e);
	}
	return ui_done(u, different > 0 ? err_exit_status(ERR_CONTRACT) : not_compared);
}
