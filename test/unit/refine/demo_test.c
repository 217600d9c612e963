/* The demo's own files: no problems in them, models in an order that works, SELECTs that fit their contracts, which is
 * seen on empty inputs. What they say about real flights is judged end to end. */
#include "refine_case.h"

#include "config/pipeline.h"

#include <stdlib.h>

#define DEMO TEST_DATA "/../../examples/nycflights"

struct demo {
	struct arena a;
	struct problems p;
	struct pipeline *pipeline;
	struct str resources[RESOURCES_MAX];
	struct models models;
};

static void problems_none(const struct demo *d)
{
	struct buf b = BUF_INIT(1 << 16);
	problems_print(&d->p, &b);
	if (d->p.n > 0)
		fail_msg("%.*s", STR_ARG(buf_str(&b)));
	buf_free(&b);
}

static int demo_open(void **state)
{
	struct demo *d = mem_alloc(sizeof *d);
	struct engine_result r;

	d->p = PROBLEMS_INIT(&d->a);
	pipeline_load(DEMO "/pipeline.yaml", STR_NONE, &d->a, &d->pipeline, &d->p);
	problems_none(d);
	for (size_t i = 0; i < d->pipeline->n_resources; i++)
		d->resources[i] = d->pipeline->resources[i].name;
	models_load(d->pipeline->folder, d->resources, d->pipeline->n_resources, &d->a, &d->models, &d->p);
	problems_none(d);
	size_t n = d->models.n;
	struct str *sql = arena_array(&d->a, struct str, n + 1), *names = arena_array(&d->a, struct str, n + 1);
	for (size_t i = 0; i < n; i++) {
		sql[i] = d->models.v[i].sql;
		names[i] = d->models.v[i].name;
	}
	struct engine_job job = { .kind = ENGINE_GRAPH, .memory_bytes = 128 << 20, .sql = sql, .sql_names = names,
				  .n_sql = n };
	OK(graph_run(&job, &d->a, &r, e));
	models_link(&d->models, r.graph, r.n_graph, d->resources, d->pipeline->n_resources, &d->a, &d->p);
	problems_none(d);
	*state = d;
	return 0;
}

static int demo_close(void **state)
{
	struct demo *d = *state;
	arena_free(&d->a);
	mem_free(d);
	return 0;
}

static struct table_schema schema_of(const struct contract *c, struct arena *a)
{
	struct table_schema s = { arena_array(a, struct table_column, c->n_columns), c->n_columns };
	for (size_t i = 0; i < c->n_columns; i++)
		s.v[i] = (struct table_column){ .name = c->columns[i].name, .type = c->columns[i].type,
						.precision = c->columns[i].precision, .scale = c->columns[i].scale };
	return s;
}

static void test_reads(void **state)
{
	struct demo *d = *state;
	bool read[RESOURCES_MAX] = { 0 };

	assert_true(d->models.n >= 6);
	for (size_t i = 0; i < d->models.n; i++)
		for (size_t k = 0; k < d->models.v[i].n_reads; k++)
			for (size_t r = 0; r < d->pipeline->n_resources; r++)
				if (str_starts(d->models.v[i].reads[k], STR("prepare.")) &&
				    str_eq(str_sub(d->models.v[i].reads[k], 8, SIZE_MAX), d->resources[r]))
					read[r] = true;
	assert_int_equal(d->pipeline->n_resources, 5);
	for (size_t r = 0; r < 5; r++)
		if (!read[r])
			fail_msg("no model reads %.*s", STR_ARG(d->resources[r]));
	for (size_t i = 0; i < d->models.n; i++)
		if (str_eq_z(d->models.v[i].name, "worst_days"))
			assert_true(i > 0); /* behind daily_operations */
}

static void test_contracts_fit(void **state)
{
	struct demo *d = *state;
	char *folder;

	OK(file_make_scratch(NULL, &d->a, &folder, e));
	for (size_t i = 0; i < d->models.n; i++) {
		const struct model *m = &d->models.v[i];
		struct job_input *inputs = arena_array(&d->a, struct job_input, m->n_reads + 1);
		for (size_t k = 0; k < m->n_reads; k++) {
			size_t dot = str_find_char(m->reads[k], '.');
			struct contract *c;
			inputs[k].schema = str_sub(m->reads[k], 0, dot);
			inputs[k].table = str_sub(m->reads[k], dot + 1, SIZE_MAX);
			contract_find(d->pipeline->folder, inputs[k].table, &d->a, &c, &d->p);
			problems_none(d);
			assert_non_null(c);
			inputs[k].columns = schema_of(c, &d->a);
		}
		struct str name = m->name, sql = m->sql;
		struct engine_job job = { .kind = ENGINE_REFINE, .table = name, .memory_bytes = 256 << 20,
					  .file_rows = 1000, .contract = m->contract->canonical, .sql = &sql,
					  .sql_names = &name, .n_sql = 1, .inputs = inputs, .n_inputs = m->n_reads };
		job.output = arena_format(&d->a, "%s/%.*s/data/x", folder, STR_ARG(name));
		OK(file_make_dirs(job.output.p, e));
		struct engine_result r;
		OK(refine_run(&job, &d->a, &r, e));
		assert_int_equal(r.n_files, 1);
		assert_int_equal(r.rows, 0);
	}
	OK(file_remove_tree(folder, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads, demo_open, demo_close),
		cmocka_unit_test_setup_teardown(test_contracts_fit, demo_open, demo_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
