/* Models by what they read: names checked, circles found, an order in which each comes after its inputs. */
#include "base/check.h"
#include "refine/model.h"
#include "refine/model_token.h"

#include <string.h>

struct link {
	struct models *m;
	const struct str *resources;
	size_t n_resources;
	struct arena *a;
	struct problems *p;
};

static size_t model_find(const struct models *m, struct str name)
{
	size_t i = 0;
	while (i < m->n && !str_eq(m->v[i].name, name))
		i++;
	return i;
}

static bool resource_known(const struct link *l, struct str name)
{
	for (size_t i = 0; i < l->n_resources; i++)
		if (str_eq(l->resources[i], name))
			return true;
	return false;
}

static void nearest_try(struct str want, const char *schema, struct str name, size_t *best, struct link *l,
			const char **advice)
{
	size_t d = str_distance(want, name);
	if (d >= *best)
		return;
	*best = d;
	*advice = arena_format(l->a, "did you mean %s.%.*s?", schema, STR_ARG(name)).p;
}

/* A table that nobody gives: the same name elsewhere, or one that it is a slip of the pen for. */
static const char *nearest(struct link *l, struct str table)
{
	const char *advice = NULL;
	size_t best = table.n < 4 ? 2 : 4;
	for (size_t i = 0; i < l->n_resources; i++)
		nearest_try(table, "prepare", l->resources[i], &best, l, &advice);
	for (size_t i = 0; i < l->m->n; i++)
		nearest_try(table, "refine", l->m->v[i].name, &best, l, &advice);
	return advice;
}

static void table_check(struct link *l, const struct model *m, struct str read)
{
	size_t dot = str_find_char(read, '.');
	struct str schema = dot < read.n ? str_sub(read, 0, dot) : STR_NONE;
	struct str table = dot < read.n ? str_sub(read, dot + 1, read.n) : read;
	bool zone = str_eq_z(schema, "prepare") || str_eq_z(schema, "refine");
	unsigned line = 0, column = 0;
	size_t at = sql_find_table(m->sql, schema, table);

	if ((str_eq_z(schema, "prepare") && resource_known(l, table)) ||
	    (str_eq_z(schema, "refine") && model_find(l->m, table) < l->m->n))
		return;
	if (at < m->sql.n)
		sql_position(m->sql, at, &line, &column);
	const char *advice = nearest(l, table);
	if (zone)
		problem_file(l->p, m->file, line, column, advice, "no %s gives the table %.*s",
			     str_eq_z(schema, "prepare") ? "resource" : "model", STR_ARG(read));
	else
		problem_file(l->p, m->file, line, column,
			     advice ? advice : "resources are prepare.<name>, models refine.<name>",
			     "models read prepare.x and refine.y only, not %.*s", STR_ARG(read));
}

/* Index of the model that the read names; m->n for a resource. */
static size_t read_model(const struct models *m, struct str read)
{
	return str_starts(read, STR("refine.")) ? model_find(m, str_sub(read, 7, read.n)) : m->n;
}

/* From a model that is in or behind a circle: each such model reads another one, so a walk must meet itself. */
static void circle_report(struct link *l, const bool *done)
{
	struct models *m = l->m;
	size_t *step = arena_array(l->a, size_t, m->n), *path = arena_array(l->a, size_t, m->n + 1), n = 0, i = 0;
	struct buf text = BUF_INIT(1 << 16);

	while (done[i])
		i++;
	while (step[i] == 0) { /* step: place on the path, from 1 */
		path[n] = i;
		step[i] = ++n;
		for (size_t k = 0; k < m->v[i].n_reads; k++) {
			size_t to = read_model(m, m->v[i].reads[k]);
			if (to < m->n && !done[to]) {
				i = to;
				break;
			}
		}
	}
	size_t first = step[i] - 1;
	for (size_t k = first; k < n; k++)
		buf_addf(&text, "%.*s reads ", STR_ARG(m->v[path[k]].name));
	buf_add(&text, m->v[i].name);
	problem_file(l->p, m->v[i].file, 0, 0, "take one of these references out",
		     "the models read each other in a circle: %.*s", STR_ARG(buf_str(&text)));
	buf_free(&text);
}

/* Each time the first by name that waits for nobody. */
static void sort_models(struct link *l)
{
	struct models *m = l->m;
	struct model *sorted = arena_array(l->a, struct model, m->n + 1);
	bool *done = arena_array(l->a, bool, m->n + 1);
	size_t n = 0;

	while (n < m->n) {
		size_t pick = m->n;
		for (size_t i = 0; i < m->n && pick == m->n; i++) {
			bool ready = !done[i];
			for (size_t k = 0; ready && k < m->v[i].n_reads; k++) {
				size_t to = read_model(m, m->v[i].reads[k]);
				ready = to == m->n || done[to];
			}
			if (ready)
				pick = i;
		}
		if (pick == m->n) {
			circle_report(l, done);
			return;
		}
		done[pick] = true;
		sorted[n++] = m->v[pick];
	}
	if (n > 0)
		memcpy(m->v, sorted, n * sizeof *sorted);
}

bool models_link(struct models *m, const struct graph_reads *graph, size_t n_graph, const struct str *resources,
		 size_t n_resources, struct arena *a, struct problems *p)
{
	struct link l = { .m = m, .resources = resources, .n_resources = n_resources, .a = a, .p = p };
	size_t errors = p->n_errors;

	for (size_t i = 0; i < m->n; i++) {
		const struct graph_reads *g = NULL;
		for (size_t k = 0; k < n_graph; k++)
			if (str_eq(graph[k].name, m->v[i].name))
				g = &graph[k];
		CHECK(g); /* the engine answers for each text it was given */
		m->v[i].n_reads = g->n_tables;
		m->v[i].any_order = g->any_order;
		m->v[i].reads = arena_array(a, struct str, g->n_tables + 1);
		for (size_t k = 0; k < g->n_tables; k++) {
			m->v[i].reads[k] = arena_copy(a, g->tables[k]);
			table_check(&l, &m->v[i], g->tables[k]);
		}
	}
	if (p->n_errors > errors)
		return false;
	sort_models(&l);
	return p->n_errors == errors;
}
