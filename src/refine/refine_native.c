#include "refine/refine_native.h"

#include "base/check.h"
#include "base/json.h"
#include "driver/engine.h"
#include "format/json_parts.h"
#include "refine/refine_check.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX_BYTES = 64 << 20 };

struct refine_native {
	struct arena a;
	struct contract *contract;
	struct check *check;
	struct row_sum written;
	bool reading; /* the first row of the file at hand has come back */
};

static char *text_new(struct str s)
{
	char *out = mem_alloc(s.n + 1);
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return out;
}

static char *failure_new(const struct err *why)
{
	struct arena a = ARENA_INIT;
	char *out = text_new(engine_error_encode(why, &a));
	arena_free(&a);
	return out;
}

static bool contract_read(const char *text, struct arena *a, struct contract **out, struct err *e)
{
	return contract_from_canonical(arena_copy(a, str_from(text)), a, out, e) &&
	       ((*out)->n_key > 0 || err_set(e, ERR_CONFIG, "its contract has no primary key"));
}

static void shape_put(const struct engine_job *job, const struct contract *c, struct json_out *o)
{
	char type[32];

	json_begin_object(o, NULL);
	json_put_str(o, "contract", job->contract);
	json_begin_array(o, "columns");
	for (size_t i = 0; i < c->n_columns; i++) {
		const struct column *x = &c->columns[i];
		json_begin_object(o, NULL);
		json_put_str(o, "name", x->name);
		json_put_z(o, "type", column_type_name(x->type));
		json_put_z(o, "sql", engine_sql_type(x->type, x->precision, x->scale, type));
		json_put_u64(o, "precision", x->precision);
		json_put_u64(o, "scale", x->scale);
		json_end_object(o);
	}
	json_end_array(o);
	json_begin_array(o, "key");
	for (size_t i = 0; i < c->n_key; i++)
		json_put_str(o, NULL, c->columns[c->key[i]].name);
	json_end_array(o);
	json_begin_array(o, "sort");
	for (size_t i = 0; i < c->n_sort; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "column", c->columns[c->sort[i]].name);
		json_put_bool(o, "descending", c->sort_descending[i]);
		json_end_object(o);
	}
	json_end_array(o);
	json_end_object(o);
}

char *sluice_refine_shape(const char *job_text)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct contract *c = NULL;
	struct engine_job job;
	struct buf b = BUF_INIT(ANSWER_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	char *out;

	if (engine_job_decode(arena_copy(&a, str_from(job_text)), &a, &job, &e) &&
	    contract_read(arena_zero_terminated(&a, job.contract), &a, &c, &e)) {
		shape_put(&job, c, &o);
		out = text_new(buf_str(&b));
	} else {
		out = failure_new(&e);
	}
	buf_free(&b);
	arena_free(&a);
	return out;
}

struct refine_native *sluice_refine_open(const char *contract, char **failure)
{
	struct refine_native *n = mem_alloc(sizeof *n);
	struct err e = ERR_INIT;

	*failure = NULL;
	n->a = (struct arena)ARENA_INIT;
	if (!contract_read(contract, &n->a, &n->contract, &e)) {
		*failure = failure_new(&e);
		sluice_refine_close(n);
		return NULL;
	}
	n->check = check_new(n->contract, &n->a);
	check_written_begin(n->check);
	return n;
}

void sluice_refine_close(struct refine_native *n)
{
	if (!n)
		return;
	check_free(n->check);
	arena_free(&n->a);
	mem_free(n);
}

static bool batches_take(struct refine_native *n, const struct ArrowSchema *schema, const struct ArrowArray *rows,
			 bool (*take)(struct check *, const struct batch *, struct err *), struct err *e)
{
	struct arena a = ARENA_INIT;
	struct arrow_reader *reader = NULL;
	size_t n_columns = 0;
	bool ok = arrow_reader_open(schema, &a, &reader, e);
	const struct batch_shape *shape = ok ? arrow_reader_shape(reader, &n_columns) : NULL;
	struct batch *b = ok ? batch_new(shape, n_columns, &a) : NULL;

	for (uint64_t from = 0; ok && from < (uint64_t)rows->length; from += BATCH_ROWS)
		ok = arrow_reader_take(reader, rows, from, b, e) && take(n->check, b, e);
	arena_free(&a);
	return ok;
}

static char *rows_take(struct refine_native *n, struct ArrowSchema *schema, struct ArrowArray *rows,
		       bool (*take)(struct check *, const struct batch *, struct err *))
{
	struct err e = ERR_INIT;
	bool ok = batches_take(n, schema, rows, take, &e);

	if (rows->release)
		rows->release(rows);
	if (schema->release)
		schema->release(schema);
	return ok ? NULL : failure_new(&e);
}

char *sluice_refine_written(struct refine_native *n, struct ArrowSchema *schema, struct ArrowArray *rows)
{
	return rows_take(n, schema, rows, check_written_batch);
}

static void reading_begin(struct refine_native *n)
{
	if (n->reading)
		return;
	n->written = check_written_end(n->check);
	check_file_begin(n->check);
	n->reading = true;
}

char *sluice_refine_read(struct refine_native *n, struct ArrowSchema *schema, struct ArrowArray *rows)
{
	reading_begin(n);
	return rows_take(n, schema, rows, check_file_batch);
}

char *sluice_refine_file(struct refine_native *n, const char *path)
{
	struct err e = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct table_file f = { 0 };
	struct buf b = BUF_INIT(ANSWER_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	char *out;

	reading_begin(n);
	if (check_file_end(n->check, path, &n->written, &f, &e)) {
		json_begin_object(&o, NULL);
		json_put_u64(&o, "rows", f.rows);
		json_put_str(&o, "stats", f.stats);
		json_put_windows(&o, "windows", f.windows, f.n_windows);
		json_end_object(&o);
		out = text_new(buf_str(&b));
	} else {
		out = failure_new(&e);
	}
	check_written_begin(n->check);
	n->reading = false;
	buf_free(&b);
	arena_free(&a);
	return out;
}

char *sluice_refine_part(const struct refine_native *n)
{
	struct arena a = ARENA_INIT;
	char *out = text_new(check_part_json(n->check, &a));
	arena_free(&a);
	return out;
}

static bool finish(const char *contract, const char *model, const char *parts, struct arena *a, struct engine_result *r,
		   struct err *e)
{
	struct contract *c = NULL;
	struct json_node *list = NULL;

	if (!contract_read(contract, a, &c, e) || !json_parse(str_from(parts), a, &list, e))
		return false;
	struct check *k = check_new(c, a);
	bool ok = true;
	for (const struct json_node *n = list->child; ok && n; n = n->next)
		ok = check_part_add(k, n, e);
	ok = ok && (check_finish(k, str_from(model), a, r, e) || err_wrap(e, "model %s", model));
	check_free(k);
	return ok;
}

char *sluice_refine_finish(const char *contract, const char *model, const char *parts)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct engine_result r = { 0 };
	char *out = finish(contract, model, parts, &a, &r, &e) ? text_new(engine_result_encode(&r, &a)) : failure_new(&e);
	arena_free(&a);
	return out;
}
