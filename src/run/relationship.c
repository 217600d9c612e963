#include "run/relationship.h"

#include "driver/engine.h"

#include <inttypes.h>

struct question {
	struct run_table *table;
	const struct contract *contract;
	const struct relationship *relation; /* NULL: how many keys stand in several windows? */
	uint64_t part, parts;                /* of these: by hash, so that memory does not grow with the table */
};

struct questions {
	struct question *v;
	size_t n, cap;
};

static bool changed(const struct run_result *out, struct str name)
{
	for (size_t i = 0; i < out->n_tables; i++)
		if (out->tables[i].zone == ZONE_PREPARE && str_eq(out->tables[i].name, name))
			return out->tables[i].changed;
	return false;
}

enum { KEYS_AT_ONCE = 1000000 };

/* Windows do not overlap: where the column that they are asked by is part of the key, and no row outside of its window is
 * published, no two windows can hold the same key, and nothing need be counted. */
static bool windows_may_share_keys(const struct contract *c)
{
	for (size_t i = 0; i < c->n_key; i++)
		if (c->key[i] == c->window_column &&
		    c->rules[contract_rule(c, RULE_WINDOW, c->window_column)].action != ACTION_WARN)
			return false;
	return c->n_key > 0;
}

/* Either side may have changed; what must not be broken is asked each time. */
static struct questions collect(struct run_result *out, struct arena *a)
{
	struct questions q = { 0 };
	for (size_t i = 0; i < out->n_tables; i++) {
		struct run_table *t = &out->tables[i];
		const struct plan_table *of = NULL;
		const struct plan_resource *p = t->zone == ZONE_PREPARE ? plan_find_table(&out->plan, t->name, &of) : NULL;
		if (p == NULL || of->contract == NULL || t->err.code != ERR_NONE)
			continue;
		const struct contract *c = of->contract;
		for (size_t k = 0; k < c->n_relationships; k++) {
			const struct relationship *r = &c->relationships[k];
			if (t->changed || r->action == ACTION_FAIL || changed(out, r->to_table))
				*arena_push(a, q) = (struct question){ t, c, r, 0, 1 };
		}
		uint64_t parts = t->rows / KEYS_AT_ONCE + 1;
		if (!t->changed || p->resource->kind != KIND_WINDOW || !windows_may_share_keys(c))
			continue;
		for (uint64_t k = 0; k < parts; k++)
			*arena_push(a, q) = (struct question){ t, c, NULL, k, parts };
	}
	return q;
}

static bool add_input(struct publish *u, struct str name, struct engine_job *job, bool *there, struct arena *a, struct err *e)
{
	struct table_snapshot t;
	struct str key = project_table_key(u->project, ZONE_PREPARE, name, a);
	*there = true;
	for (size_t i = 0; i < job->n_inputs; i++)
		if (str_eq(job->inputs[i].table, name))
			return true;
	if (!project_table_load(u->project, key, a, &t, e))
		return false;
	*there = t.version >= 0;
	if (!*there)
		return true;
	if (!input_check(u->project, key, &t, u->checks, e))
		return false;
	struct job_input *in = &job->inputs[job->n_inputs++];
	*in = (struct job_input){ .schema = STR("prepare"), .table = name };
	project_job_input(u->project, job, key, &t, in, a);
	return true;
}

static void put_key(struct buf *b, const struct contract *c)
{
	for (size_t i = 0; i < c->n_key; i++) {
		buf_add_z(b, i > 0 ? ", " : "");
		sql_identifier(b, c->columns[c->key[i]].name);
	}
}

/* A key is unique within a window; that a later window repeats it is counted, and is a model's business. */
static void put_repeats(struct buf *b, const struct question *q)
{
	buf_add_z(b, "SELECT count(*) FROM (SELECT 1 FROM prepare.");
	sql_identifier(b, q->table->name);
	if (q->parts > 1) {
		buf_add_z(b, " WHERE hash(");
		put_key(b, q->contract);
		buf_addf(b, ") %% %" PRIu64 " = %" PRIu64, q->parts, q->part);
	}
	buf_add_z(b, " GROUP BY ");
	put_key(b, q->contract);
	buf_add_z(b, " HAVING min(_window) <> max(_window))");
}

static void put_relation(struct buf *b, const struct question *q)
{
	buf_add_z(b, "SELECT count(*) FROM prepare.");
	sql_identifier(b, q->table->name);
	buf_add_z(b, " AS t WHERE t.");
	sql_identifier(b, q->relation->column);
	buf_add_z(b, " IS NOT NULL AND NOT EXISTS (SELECT 1 FROM prepare.");
	sql_identifier(b, q->relation->to_table);
	buf_add_z(b, " AS o WHERE o.");
	sql_identifier(b, q->relation->to_column);
	buf_add_z(b, " = t.");
	sql_identifier(b, q->relation->column);
	buf_add_z(b, ")");
}

static struct str question_sql(const struct question *q, struct arena *a)
{
	struct buf b = BUF_INIT(1 << 16);
	if (q->relation)
		put_relation(&b, q);
	else
		put_repeats(&b, q);
	return buf_take(&b, a);
}

static struct str relation_name(const struct relationship *r, struct arena *a)
{
	if (r == NULL)
		return STR("keys in several windows");
	return arena_format(a, "%.*s -> %.*s.%.*s", STR_ARG(r->column), STR_ARG(r->to_table), STR_ARG(r->to_column));
}

static bool take_answers(struct questions *q, const struct engine_result *r, struct arena *a, struct err *e)
{
	bool ok = true;
	for (size_t i = 0; i < q->n; i++) {
		struct run_table *t = q->v[i].table;
		const struct relationship *rel = q->v[i].relation;
		if (t->relationships == NULL)
			t->relationships = arena_array(a, struct rule_count, q->v[i].contract->n_relationships + 1);
		if (q->v[i].part > 0) {
			t->relationships[t->n_relationships - 1].rows += r->counts[i];
			continue;
		}
		t->relationships[t->n_relationships++] = (struct rule_count){ relation_name(rel, a),
									      rel ? rel->action : ACTION_WARN,
									      r->counts[i] };
		if (rel == NULL || rel->action != ACTION_FAIL || r->counts[i] == 0 || t->err.code != ERR_NONE)
			continue;
		err_set(&t->err, ERR_CONTRACT, "%.*s: %" PRIu64 " rows break %.*s", STR_ARG(t->name), r->counts[i],
			STR_ARG(relation_name(rel, a)));
		err_hint(&t->err, "they are published; no model that reads %.*s is made until they have partners",
			 STR_ARG(t->name));
		if (ok)
			*e = t->err;
		ok = false;
	}
	return ok;
}

bool relationships_check(struct publish *u, struct run_result *out, struct arena *a, struct err *e)
{
	struct questions all = collect(out, a), q = { 0 };
	struct engine_job job = { .kind = ENGINE_COUNT, .run_id = u->run_id, .threads = 1 };
	if (!project_job(u->project, &job, e))
		return false;
	job.inputs = arena_array(a, struct job_input, 2 * all.n + 1);
	job.sql = arena_array(a, struct str, all.n + 1);
	job.sql_names = arena_array(a, struct str, all.n + 1);
	for (size_t i = 0; i < all.n; i++) {
		bool here = false, there = false;
		const struct relationship *rel = all.v[i].relation;
		if (!add_input(u, all.v[i].table->name, &job, &here, a, e) ||
		    !add_input(u, rel ? rel->to_table : all.v[i].table->name, &job, &there, a, e))
			return false;
		if (!here || !there)
			continue; /* the other table was never prepared: nothing can be said */
		*arena_push(a, q) = all.v[i];
		job.sql_names[job.n_sql] = relation_name(rel, a);
		job.sql[job.n_sql++] = question_sql(&all.v[i], a);
	}
	if (q.n == 0)
		return true;
	struct engine_result r;
	struct engine_call call = { .job = &job, .stop = u->options->stop, .deadline_us = u->options->deadline_us };
	return engine_call(&call, a, &r, e) && take_answers(&q, &r, a, e);
}
