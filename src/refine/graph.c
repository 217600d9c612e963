/* The tree is DuckDB's json_serialize_sql: objects with a "type". It is scanned once into a flat list of its objects, each
 * knowing the object around it, and then every BASE_TABLE climbs from object to object: a name without a schema is a
 * common table expression if a query around it, or an earlier one of the same WITH, has one of that name. */
#include "refine/graph.h"

#include "base/json.h"
#include "refine/lint.h"
#include "refine/model.h"
#include "refine/model_token.h"
#include "refine/pack.h"
#include "refine/view.h"

#include <inttypes.h>
#include <stdlib.h>

#define NOWHERE UINT32_MAX

struct node { /* texts are still escaped */
	uint32_t parent;
	uint32_t first_cte, next_cte; /* of a query: entries of its WITH, newest first; in an entry: the one before */
	struct str key; /* in the object around it; items of an array have the array's */
	struct str type, schema, table, catalog, function, cte_name;
	struct str name; /* "key": what an entry of a WITH is called */
	struct str column; /* of "column_names" the first */
	unsigned n_columns, n_arguments;
	uint64_t at;     /* in the SQL text */
};

struct tree {
	struct arena *a;
	struct {
		struct node *v;
		size_t n, cap;
	} nodes;
};

struct level {
	uint32_t node; /* the object, or the one around an array */
	bool object;
	struct str key; /* of an array */
};

static void member_set(struct node *n, struct str key, enum json_event type, struct str value)
{
	static const struct {
		const char *key;
		size_t offset;
	} texts[] = {
		{ "type", offsetof(struct node, type) },
		{ "schema_name", offsetof(struct node, schema) },
		{ "table_name", offsetof(struct node, table) },
		{ "catalog_name", offsetof(struct node, catalog) },
		{ "function_name", offsetof(struct node, function) },
		{ "cte_name", offsetof(struct node, cte_name) },
		{ "key", offsetof(struct node, name) },
	};
	if (type == JSON_NUMBER && str_eq_z(key, "query_location") && !str_to_u64(value, &n->at))
		n->at = UINT64_MAX;
	if (type != JSON_STRING)
		return;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (str_eq_z(key, texts[i].key))
			*(struct str *)(void *)((char *)n + texts[i].offset) = value;
}

static bool tree_read(struct tree *t, struct str json, struct err *e)
{
	struct level *levels = arena_array(t->a, struct level, JSON_DEPTH_MAX + 1);
	struct json_scan s;
	enum json_event ev;
	struct str key = STR_NONE;
	size_t depth = 0;

	levels[0] = (struct level){ .node = NOWHERE };
	json_open(&s, json, JSON_DEPTH_MAX);
	while ((ev = json_next(&s)) > JSON_DONE) {
		struct level *top = &levels[depth];
		struct str own = top->object ? key : top->key;
		if (ev == JSON_KEY) {
			key = s.value;
		} else if (ev == JSON_OBJECT) {
			if (!top->object && top->node != NOWHERE && str_eq_z(top->key, "children"))
				t->nodes.v[top->node].n_arguments++;
			*arena_push(t->a, t->nodes) = (struct node){ .parent = top->node, .key = own, .at = UINT64_MAX,
								     .first_cte = NOWHERE, .next_cte = NOWHERE };
			levels[++depth] = (struct level){ .node = (uint32_t)(t->nodes.n - 1), .object = true };
		} else if (ev == JSON_ARRAY) {
			depth++;
			levels[depth] = (struct level){ .node = top->node, .key = own };
		} else if (ev == JSON_OBJECT_END || ev == JSON_ARRAY_END) {
			depth--;
		} else if (!top->object && top->node != NOWHERE && str_eq_z(top->key, "column_names")) {
			struct node *n = &t->nodes.v[top->node];
			n->column = n->n_columns++ == 0 ? s.value : n->column;
		} else if (top->object) {
			member_set(&t->nodes.v[top->node], key, ev, s.value);
		}
	}
	if (ev == JSON_BAD)
		return err_set(e, ERR_ENGINE, "its syntax tree cannot be read: %s at byte %zu", s.fault, s.fault_at);
	return true;
}

static struct node *parent(const struct tree *t, const struct node *n)
{
	return n->parent == NOWHERE ? NULL : &t->nodes.v[n->parent];
}

/* query → "cte_map" → entries "map" */
static void tree_link_ctes(struct tree *t)
{
	for (size_t i = 0; i < t->nodes.n; i++) {
		struct node *entry = &t->nodes.v[i], *map = parent(t, entry), *query = map ? parent(t, map) : NULL;
		if (!query || !str_eq_z(entry->key, "map") || !str_eq_z(map->key, "cte_map"))
			continue;
		entry->next_cte = query->first_cte;
		query->first_cte = (uint32_t)i;
	}
}

static bool is_cte(const struct tree *t, const struct node *table)
{
	const struct node *inner = NULL, *child = table;
	for (const struct node *n = parent(t, child); n; inner = child, child = n, n = parent(t, n)) {
		/* Seen from its recursive part alone. */
		if (str_eq_z(n->type, "RECURSIVE_CTE_NODE") && str_eq_z(child->key, "right") &&
		    str_eq_nocase(n->cte_name, table->table))
			return true;
		/* Inside a WITH only what stands before. */
		uint32_t limit = str_eq_z(child->key, "cte_map") && inner ? (uint32_t)(inner - t->nodes.v) : NOWHERE;
		for (uint32_t i = n->first_cte; i != NOWHERE; i = t->nodes.v[i].next_cte)
			if (i < limit && str_eq_nocase(t->nodes.v[i].name, table->table))
				return true;
	}
	return false;
}

/* ── names ── */

static bool part_add(struct buf *b, struct str escaped, struct arena *a)
{
	struct str text;
	bool plain = true;

	if (!json_unescape(escaped, a, &text))
		text = escaped;
	char *lower = arena_zero_terminated(a, text);
	for (size_t i = 0; i < text.n; i++) {
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (char)(lower[i] + 32);
		plain = plain && ((lower[i] >= 'a' && lower[i] <= 'z') || (lower[i] >= '0' && lower[i] <= '9') ||
				  lower[i] == '_');
	}
	text.p = lower;
	return plain ? buf_add(b, text) : sql_identifier(b, text);
}

static struct str table_name(const struct node *n, struct arena *a)
{
	struct buf b = BUF_INIT(MODEL_MAX_BYTES * 4);
	struct str out;

	if (n->catalog.n > 0) {
		part_add(&b, n->catalog, a);
		buf_add_char(&b, '.');
	}
	if (n->schema.n > 0 || n->catalog.n > 0) {
		part_add(&b, n->schema, a);
		buf_add_char(&b, '.');
	}
	part_add(&b, n->table, a);
	out = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return out;
}

/* Puts "model x, line 3, column 8: " or "model x: " in front. */
static bool at_place(struct str model, struct str sql, uint64_t at, struct err *e)
{
	unsigned line, column;

	if (at >= sql.n)
		return err_wrap(e, "model %.*s", STR_ARG(model));
	sql_position(sql, (size_t)at, &line, &column);
	return err_wrap(e, "model %.*s, line %u, column %u", STR_ARG(model), line, column);
}

static bool refuse(struct str model, struct str sql, uint64_t at, const char *what, struct str name, struct err *e)
{
	err_set(e, ERR_CONFIG, "models read prepare.x and refine.y only, not %s%.*s", what, STR_ARG(name));
	return at_place(model, sql, at, e);
}

/* ── what differs from run to run ── */

/* The functions that DuckDB itself calls volatile or constant within one query only, and those that tell of the machine,
 * the session or the engine; a star stands for any end. */
static const char *const unsteady_functions[] = {
	"random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "reservoir_quantile",
	"now", "today", "ago", "localtime", "localtimestamp", "transaction_timestamp", "statement_timestamp",
	"clock_timestamp", "get_current_*", "current_*", "txid_current", "in_search_path", "nextval", "currval", "lastval",
	"getenv", "getvariable", "version", "stats", "write_log", "sleep_ms", "pg_*",
};
static const char *const steady_functions[] = { "pg_typeof", "pg_size_pretty" };
/* Words that stand for a function where no column has their name. */
static const char *const unsteady_words[] = { "current_date", "current_time", "current_timestamp", "localtime",
					      "localtimestamp" };

static bool is_in(struct str name, const char *const *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str entry = str_from(table[i]);
		bool any_end = str_ends(entry, STR("*"));
		if (any_end && name.n >= --entry.n && str_eq_nocase(str_sub(name, 0, entry.n), entry))
			return true;
		if (!any_end && str_eq_nocase(name, entry))
			return true;
	}
	return false;
}

#define IS_IN(name, table) is_in((name), (table), sizeof(table) / sizeof *(table))

static bool check_steady(struct str model, struct str sql, const struct node *n, struct err *e)
{
	static const char same[] = "a model gives the same rows for the same inputs,";
	struct str f = n->function, c = n->column;
	if (n->n_columns == 1 && IS_IN(c, unsteady_words)) {
		err_set(e, ERR_CONFIG, "%s %.*s does not", same, STR_ARG(c));
		err_hint(e, "take the time from a column; a column called %.*s is written with its table: t.%.*s", STR_ARG(c),
			 STR_ARG(c));
	} else if (str_eq_nocase(f, STR("age")) && n->n_arguments == 1) {
		err_set(e, ERR_CONFIG, "%s %.*s(), of one date up to today, does not", same, STR_ARG(f));
		err_hint(e, "age(a, b) of two columns is what it is on any day");
	} else if (IS_IN(f, unsteady_functions) && !IS_IN(f, steady_functions)) {
		err_set(e, ERR_CONFIG, "%s %.*s() does not", same, STR_ARG(f));
		err_hint(e, "take times and identifiers from columns of the inputs");
	} else if (str_eq_z(n->key, "sample")) {
		err_set(e, ERR_CONFIG, "%s a sample does not", same);
		err_hint(e, "choose rows by their values, for instance WHERE id %% 10 = 0");
	} else {
		return true;
	}
	return at_place(model, sql, n->at, e);
}

static int text_cmp(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static void sort_unique(struct graph_reads *g)
{
	size_t n = 0;
	if (g->n_tables > 1)
		qsort(g->tables, g->n_tables, sizeof *g->tables, text_cmp);
	for (size_t i = 0; i < g->n_tables; i++)
		if (n == 0 || !str_eq(g->tables[n - 1], g->tables[i]))
			g->tables[n++] = g->tables[i];
	g->n_tables = n;
}

bool graph_from_tree(struct str name, struct str sql, struct str json, struct arena *a, struct graph_reads *out,
		     struct err *e)
{
	struct tree t = { .a = a };
	struct {
		struct str *v;
		size_t n, cap;
	} tables = { 0 };

	if (!tree_read(&t, json, e))
		return err_wrap(e, "model %.*s", STR_ARG(name));
	tree_link_ctes(&t);
	for (size_t i = 0; i < t.nodes.n; i++) {
		const struct node *n = &t.nodes.v[i];
		if (!check_steady(name, sql, n, e))
			return false;
		if (str_eq_z(n->type, "TABLE_FUNCTION")) {
			struct str function = STR_NONE; /* stands in a member of its own */
			for (size_t k = i + 1; k < t.nodes.n && function.n == 0; k++)
				if (t.nodes.v[k].parent == i)
					function = t.nodes.v[k].function;
			return refuse(name, sql, n->at, "the table function ", function, e);
		}
		if (str_eq_z(n->type, "SHOW_REF"))
			return refuse(name, sql, n->at, "DESCRIBE, SHOW or SUMMARIZE", STR_NONE, e);
		if (!str_eq_z(n->type, "BASE_TABLE"))
			continue;
		if (n->schema.n > 0 || n->catalog.n > 0 || !is_cte(&t, n))
			*arena_push(a, tables) = table_name(n, a);
	}
	*out = (struct graph_reads){ .name = name, .tables = tables.v, .n_tables = tables.n };
	sort_unique(out);
	return true;
}

bool graph_tables(struct engine_connection *c, struct str name, struct str sql, struct arena *a, struct graph_reads *out,
		  struct err *e)
{
	struct str json;

	if (!engine_parse_select(c, sql, a, &json, e))
		return err_wrap(e, "model %.*s", STR_ARG(name));
	return graph_from_tree(name, sql, json, a, out, e);
}

bool graph_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e)
{
	struct engine_options o = { .memory_bytes = job->memory_bytes,
				    .scratch = job->scratch.n > 0 ? arena_zero_terminated(a, job->scratch) : NULL };
	struct engine *g;
	struct engine_connection *c = NULL;
	bool ok;

	*out = (struct engine_result){ 0 };
	if (!engine_open(&o, &g, e))
		return false;
	ok = engine_version(a, &out->engine, e) && engine_connect(g, &c, e);
	out->graph = arena_array(a, struct graph_reads, job->n_sql + 1);
	for (size_t i = 0; ok && i < job->n_sql; i++) {
		ok = graph_tables(c, job->sql_names[i], job->sql[i], a, &out->graph[i], e);
		out->n_graph += ok;
	}
	ok = ok && pack_load(c, PACK_LINT, e);
	for (size_t i = 0; ok && i < job->n_inputs; i++) { /* empty: their columns decide what the lint says */
		struct err ignored = ERR_INIT; /* without it the models that read it are not bound, here; the run has the words */
		views_create(c, &job->inputs[i], 1, a, &ignored);
	}
	for (size_t i = 0; ok && i < job->n_sql; i++)
		ok = lint_model(c, job->sql[i], job->inputs, job->n_inputs, a, &out->graph[i], e) || err_wrap(e, "model %.*s", STR_ARG(job->sql_names[i]));
	engine_disconnect(c);
	engine_close(g);
	return ok;
}
