/* show, query. */
#include "run/lake_query.h"
#include "ui/amount.h"
#include "ui/print_table.h"

enum { SHOW_ROWS = 20 };

static int answer(struct ui *u, struct lake_query *q, struct str sql, enum print_format format, struct print_table *p)
{
	struct err e = ERR_INIT;
	struct batch_shape *shape = NULL;
	size_t n = 0;
	bool may_hide = p->may_hide;
	if (!lake_query_bring(q, sql, &e) || !engine_is_select(q->connection, sql, &e))
		return ui_fail(u, &e);
	print_begin(p, u, format, &shape, &n);
	p->may_hide = may_hide;
	bool ok = lake_query_run(q, sql, &u->arena, &shape, &n, print_rows, p, &e);
	if (ok)
		ok = print_end(p, &e);
	else
		arena_free(&p->arena);
	return ok ? 0 : ui_fail(u, &e);
}

static int query_guarded(struct ui *u)
{
	struct err e = ERR_INIT;
	struct lake_query q = { 0 };
	enum print_format format;
	struct print_table table = { 0 };
	int status = 0;
	if (!print_format_of(&u->args, &format, &e))
		return ui_fail(u, &e);
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	ui_limit_memory(lake_query_memory(&u->project));
	if (lake_query_open(&u->project, &u->arena, &q, &e) && lake_query_watch(&q, &ui_stop, &e))
		status = answer(u, &q, u->args.operands[0], format, &table);
	else
		status = ui_fail(u, &e);
	lake_query_close(&q);
	return ui_done(u, status);
}

int cmd_query(struct ui *u)
{
	return ui_guarded(u, query_guarded);
}

static struct str show_sql(struct ui *u, const struct lake_table *t, uint64_t limit)
{
	struct buf b = BUF_INIT(1 << 16);
	buf_add_z(&b, "SELECT * FROM ");
	lake_table_sql(t, &b);
	if (limit > 0)
		buf_addf(&b, " LIMIT %llu", (unsigned long long)limit);
	struct str sql = arena_copy(&u->arena, buf_str(&b));
	buf_free(&b);
	return sql;
}

static int show_guarded(struct ui *u)
{
	const struct args *g = &u->args;
	struct err e = ERR_INIT;
	struct lake_query q = { 0 };
	const struct lake_table *t = NULL;
	enum print_format format;
	uint64_t limit, rows = 0;
	struct print_table table = { .may_hide = true };
	int status = 0;
	if (!print_format_of(g, &format, &e) || !args_u64(g, OPT_LIMIT, 0, UINT32_MAX, SHOW_ROWS, &limit, &e))
		return ui_fail(u, &e);
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	ui_limit_memory(lake_query_memory(&u->project));
	if (!lake_query_open(&u->project, &u->arena, &q, &e) || !lake_query_watch(&q, &ui_stop, &e) ||
	    !lake_table_find(&u->project, &q, g->operands[0], g->given[OPT_QUARANTINE], &t, &e)) {
		status = ui_fail(u, &e);
	} else {
		for (size_t i = 0; i < t->t.n_files; i++)
			rows += t->t.files[i].rows;
		status = answer(u, &q, show_sql(u, t, limit), format, &table);
		size_t shown = table.n_shown;
		if (status == 0 && format == PRINT_TABLE)
			buf_addf(&u->out, "%s%s of %s.%.*s, version %lld\n", shown < rows ? amount_count(shown).text : "",
				 shown < rows ? arena_format(&u->arena, " of %s", amount_things(rows, "row").text).p
					      : amount_things(rows, "row").text,
				 lake_zone_name(t->zone), STR_ARG(t->name), (long long)t->t.version);
		if (table.n_hidden > 0)
			buf_addf(&u->out, "%s left out for want of room\n", amount_things(table.n_hidden, "technical column").text);
	}
	lake_query_close(&q);
	return ui_done(u, status);
}

int cmd_show(struct ui *u)
{
	return ui_guarded(u, show_guarded);
}
