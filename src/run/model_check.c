#include "run/model_check.h"

#include "prepare/record.h"
#include "refine/graph.h"
#include "refine/lint.h"
#include "refine/model_token.h"
#include "refine/pack.h"
#include "refine/view.h"
#include "run/lake_query.h"

#include <string.h>

enum { CHECK_SQL_MAX = MODEL_MAX_BYTES + 1024 };

struct check {
	struct project *j;
	struct problems *p;
	struct err trouble;
	struct arena *a;
	struct lake_query q; /* an engine without files */
	struct {
		struct job_input *v; /* what may be read */
		size_t n, cap;
	} tables;
	struct str *unparsed; /* names of models whose SELECT does not parse: said already, and linking changes their order */
	size_t n_unparsed;
};

/* ── the engine's words as a problem ── */

/* What stands in front of `mark` is taken off, if it is there. */
static struct str after(struct str text, const char *mark)
{
	size_t at = str_find(text, str_from(mark));
	return at < text.n ? str_sub(text, at + strlen(mark), text.n) : text;
}

/* "...; LINE 3, column 7: WHERE WHERE x" (the column may be missing) or "model x, line 3, column 8: ...": the number, and the text without it. */
static unsigned take_line(struct str *text, struct str model, unsigned *column)
{
	struct arena a = ARENA_INIT;
	struct str rest = *text, number, position;
	uint64_t line = 0, at = 0;
	struct str front = arena_format(&a, "model %.*s, line ", STR_ARG(model));
	if (str_starts(rest, front)) {
		rest = str_sub(rest, front.n, rest.n);
		str_cut(&rest, ',', &number);
		rest = after(rest, "column ");
		str_cut(&rest, ':', &position);
		if (str_to_u64(number, &line) && str_to_u64(position, &at))
			*text = str_sub(rest, rest.n > 0 && rest.p[0] == ' ', rest.n);
	} else {
		front = arena_format(&a, "model %.*s: ", STR_ARG(model));
		if (str_starts(rest, front))
			*text = rest = str_sub(rest, front.n, rest.n);
		size_t found = str_find(rest, STR("LINE "));
		if (found < rest.n) {
			rest = str_sub(rest, found + 5, rest.n);
			str_cut(&rest, ':', &number);
			size_t comma = str_find_char(number, ',');
			position = after(str_sub(number, comma, number.n), ", column ");
			at = 1;
			if (str_to_u64(str_sub(number, 0, comma), &line))
				*text = str_sub(*text, 0, found);
			if (comma < number.n && !str_to_u64(position, &at))
				at = 1;
		}
	}
	arena_free(&a);
	while (text->n > 0 && strchr("; \n", text->p[text->n - 1]) != NULL)
		text->n--;
	*column = line > 0 ? (unsigned)at : 0;
	return line < 10000000 ? (unsigned)line : 0;
}

/* Trouble of the engine or the machine is no mistake of an author: the first is kept, and ends the check. */
static bool is_trouble(struct check *k, const struct err *why)
{
	if (why->code == ERR_ENGINE || err_exit_status(why->code) == err_exit_status(ERR_CONFIG) || why->code == ERR_JSON)
		return false;
	if (k->trouble.code == ERR_NONE)
		k->trouble = *why;
	return true;
}

/* `lines` of the text that the engine was given stand in front of the model's own. */
static void engine_problem(struct check *k, const struct model *m, unsigned lines, const struct err *why)
{
	if (is_trouble(k, why))
		return;
	static const char *const not_select[] = { "Only SELECT statements", "where one is wanted" };
	unsigned column = 0;
	struct str text = arena_copy(k->a, str_from(why->message));
	unsigned line = take_line(&text, m->name, &column);
	line = line > lines ? line - lines : line;
	for (size_t i = 0; i < 2; i++)
		if (str_contains(text, str_from(not_select[i]))) {
			problem_file(k->p, m->file, 1, 1, "write one SELECT; a WITH in front of it is part of it",
				     "a model is one SELECT, and this is something else");
			return;
		}
	struct str said = after(after(text, "SQL: "), "Error: ");
	const char *advice = why->hint[0] ? arena_format(k->a, "%s", why->hint).p : NULL;
	problem_file(k->p, m->file, line, column, advice, "%.*s", STR_ARG(said));
}

/* ── parsing ── */

static void parse_all(struct check *k, struct graph_reads *graph)
{
	struct models *m = &k->j->models;
	for (size_t i = 0; i < m->n; i++) {
		struct err why = ERR_INIT;
		graph[i] = (struct graph_reads){ .name = m->v[i].name };
		if (m->v[i].sql.n == 0 || sql_body(m->v[i].sql).n == 0)
			continue; /* said when it was loaded */
		if (!graph_tables(k->q.connection, m->v[i].name, m->v[i].sql, k->a, &graph[i], &why)) {
			graph[i] = (struct graph_reads){ .name = m->v[i].name };
			k->unparsed[k->n_unparsed++] = m->v[i].name;
			engine_problem(k, &m->v[i], 0, &why);
		}
	}
}

/* ── binding ── */

static void add_view(struct check *k, const char *schema, struct str table, const struct contract *c, bool prepared)
{
	struct err why = ERR_INIT;
	size_t n;
	struct batch_shape *shape = record_shape(c, k->a, &n);
	struct job_input in = { .schema = str_from(schema), .table = table };
	in.columns.n = prepared ? n : c->n_columns;
	in.columns.v = arena_array(k->a, struct table_column, n);
	for (size_t i = 0; i < in.columns.n; i++)
		in.columns.v[i] = (struct table_column){ .name = shape[i].name, .type = shape[i].type,
							 .precision = shape[i].precision, .scale = shape[i].scale };
	in.key = contract_key_names(c, k->a);
	in.n_key = c->n_key;
	*arena_push(k->a, k->tables) = in;
	if (in.columns.n > 0 && !views_create(k->q.connection, &in, 1, k->a, &why))
		is_trouble(k, &why);
}

static const struct contract *contract_of(const struct project *j, struct str read)
{
	struct project_table t;
	if (str_starts(read, STR("prepare.")) && project_table_find(j, str_sub(read, 8, read.n), &t))
		return t.contract;
	for (size_t i = 0; i < j->models.n; i++)
		if (str_starts(read, STR("refine.")) && str_eq(str_sub(read, 7, read.n), j->models.v[i].name))
			return j->models.v[i].contract;
	return NULL;
}

static bool take_nothing(void *user, const struct batch *b, struct err *e)
{
	(void)user;
	(void)b;
	(void)e;
	return true;
}

static void compare_columns(struct check *k, const struct model *m, const struct batch_shape *shape, size_t n)
{
	const struct contract *c = m->contract;
	for (size_t i = 0; i < c->n_columns; i++) {
		size_t s = 0;
		while (s < n && !str_eq_nocase(shape[s].name, c->columns[i].name))
			s++;
		if (s == n)
			problem_file(k->p, m->file, 0, 0, arena_format(k->a, "add it to the SELECT, or take it out of %s", c->file).p,
				     "the SELECT gives no column %.*s, which the contract has", STR_ARG(c->columns[i].name));
	}
	for (size_t s = 0; s < n; s++) {
		size_t i = 0;
		while (i < c->n_columns && !str_eq_nocase(shape[s].name, c->columns[i].name))
			i++;
		if (i == c->n_columns)
			problem_file(k->p, m->file, 0, 0, arena_format(k->a, "add it to %s, or take it out of the SELECT", c->file).p,
				     "the SELECT gives a column %.*s, which the contract does not have", STR_ARG(shape[s].name));
	}
}

static void bind(struct check *k, const struct model *m)
{
	struct err why = ERR_INIT;
	struct batch_shape *shape = NULL;
	size_t n = 0;
	struct buf sql = BUF_INIT(CHECK_SQL_MAX);
	if (m->contract == NULL || sql_body(m->sql).n == 0)
		return;
	for (size_t i = 0; i < m->n_reads; i++)
		if (contract_of(k->j, m->reads[i]) == NULL)
			return; /* said elsewhere */
	buf_add_z(&sql, "SELECT * FROM (\n");
	buf_add(&sql, sql_body(m->sql));
	buf_add_z(&sql, "\n) AS q LIMIT 0");
	if (engine_query(k->q.connection, buf_str(&sql), k->a, &shape, &n, take_nothing, NULL, &why))
		compare_columns(k, m, shape, n);
	else
		engine_problem(k, m, 1, &why);
	buf_free(&sql);
}

static bool is_unparsed(const struct check *k, struct str name)
{
	size_t i = 0;
	while (i < k->n_unparsed && !str_eq(k->unparsed[i], name))
		i++;
	return i < k->n_unparsed;
}

static void bind_all(struct check *k)
{
	struct project *j = k->j;
	size_t n = 0;
	const struct project_table *tables = project_tables(j, k->a, &n);
	for (size_t i = 0; i < n; i++)
		if (tables[i].contract)
			add_view(k, "prepare", tables[i].name, tables[i].contract, true);
	for (size_t i = 0; i < j->models.n; i++)
		if (j->models.v[i].contract)
			add_view(k, "refine", j->models.v[i].name, j->models.v[i].contract, false);
	for (size_t i = 0; i < j->models.n; i++)
		if (!is_unparsed(k, j->models.v[i].name))
			bind(k, &j->models.v[i]);
}

static bool lint_all(struct check *k, struct graph_reads *graph, struct err *e)
{
	const struct models *m = &k->j->models;
	for (size_t i = 0; i < m->n; i++)
		for (size_t g = 0; g < m->n; g++)
			if (str_eq(graph[g].name, m->v[i].name) && sql_body(m->v[i].sql).n > 0 &&
			    !lint_model(k->q.connection, m->v[i].sql, k->tables.v, k->tables.n, k->a, &graph[g], e))
				return false;
	k->j->graph = graph;
	k->j->n_graph = m->n;
	project_lint(k->j, k->p);
	return true;
}

bool models_check(struct project *j, struct problems *p, struct err *e)
{
	struct check k = { .j = j, .p = p, .a = j->arena };
	struct models *m = &j->models;
	struct graph_reads *graph = arena_array(k.a, struct graph_reads, m->n + 1);
	k.unparsed = arena_array(k.a, struct str, m->n + 1);
	size_t n_names = 0;
	size_t errors = p->n_errors;
	if (m->n == 0)
		return true;
	struct str *names = project_table_names(j, k.a, &n_names);
	bool ok = lake_query_open_files(j, NULL, 0, k.a, &k.q, e) && pack_load(k.q.connection, PACK_LINT, e);
	if (ok) {
		parse_all(&k, graph);
		ok = models_link(m, graph, m->n, names, n_names, k.a, p) && p->n_errors == errors;
		j->linked = ok;
		bind_all(&k); /* a mistake in one model, or a contract that cannot be read, hides none of another model's */
		ok = k.trouble.code == ERR_NONE && lint_all(&k, graph, e);
		if (k.trouble.code != ERR_NONE)
			*e = k.trouble;
	}
	lake_query_close(&k.q);
	return ok;
}
