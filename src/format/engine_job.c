#include "format/engine_job.h"

#include "base/check.h"
#include "base/json.h"
#include "format/json_parts.h"

#include <string.h>

enum { JOB_MAX_BYTES = 256 << 20 };

static const char job_format[] = "sluice-engine-job/1";
static const char *const kind_names[] = { "prepare", "refine", "graph", "count", "checkpoint", "compact" };

struct job_window job_window_rows(const struct job_window *w)
{
	struct job_window out = *w;
	if (w->row_window.n == 0) {
		out.row_window = w->name;
		out.row_generation = w->generation;
		out.row_seal = w->seal;
	}
	return out;
}

/* ── encoding ── */

static void put_windows(struct json_out *o, const struct engine_job *j)
{
	json_begin_array(o, "windows");
	for (size_t i = 0; i < j->n_windows; i++) {
		const struct job_window *w = &j->windows[i];
		json_begin_object(o, NULL);
		json_put_str(o, "window", w->name);
		json_put_u64(o, "generation", w->generation);
		json_put_hash(o, "content", w->content);
		json_put_hash(o, "seal", w->seal);
		json_put_hash(o, "key", w->key);
		json_put_u64(o, "records", w->records);
		if (w->row_window.n > 0) {
			json_put_str(o, "row_window", w->row_window);
			json_put_u64(o, "row_generation", w->row_generation);
			json_put_hash(o, "row_seal", w->row_seal);
		}
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_children(struct json_out *o, const struct engine_job *j, struct arena *a)
{
	if (j->n_children == 0)
		return;
	json_begin_array(o, "children");
	for (size_t i = 0; i < j->n_children; i++) {
		const struct job_table *t = &j->children[i];
		json_begin_object(o, NULL);
		json_put_str(o, "table", t->name);
		json_put_str(o, "output", t->output);
		json_put_str(o, "quarantine_output", t->quarantine_output);
		json_put_raw(o, "budget_percent", double_to_text(t->budget_percent, a));
		json_put_u64(o, "budget_rows", t->budget_rows);
		json_end_object(o);
	}
	json_end_array(o);
}

struct job_table engine_job_table(const struct engine_job *j, size_t i)
{
	CHECK(i <= j->n_children);
	return i > 0 ? j->children[i - 1]
		     : (struct job_table){ j->table, j->output, j->quarantine_output, j->budget_percent, j->budget_rows };
}

static void put_columns(struct json_out *o, const struct table_schema *columns)
{
	json_begin_array(o, "columns");
	for (size_t i = 0; i < columns->n; i++) {
		const struct table_column *c = &columns->v[i];
		json_begin_object(o, NULL);
		json_put_str(o, "name", c->name);
		json_put_z(o, "type", column_type_name(c->type));
		if (c->type == TYPE_DECIMAL) {
			json_put_u64(o, "precision", c->precision);
			json_put_u64(o, "scale", c->scale);
		}
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_files(struct json_out *o, const struct str *files, size_t n)
{
	json_begin_array(o, "files");
	for (size_t i = 0; i < n; i++)
		json_put_str(o, NULL, files[i]);
	json_end_array(o);
}

static void put_input(struct json_out *o, const struct job_input *in)
{
	json_begin_object(o, NULL);
	json_put_str(o, "schema", in->schema);
	json_put_str(o, "table", in->table);
	put_columns(o, &in->columns);
	put_files(o, in->files, in->n_files);
	if (in->n_key > 0) {
		json_begin_array(o, "key");
		for (size_t i = 0; i < in->n_key; i++)
			json_put_str(o, NULL, in->key[i]);
		json_end_array(o);
	}
	json_end_object(o);
}

static void put_compact(struct json_out *o, const struct engine_job *j)
{
	json_put_bool(o, "quarantine", j->quarantine);
	put_columns(o, &j->columns);
	json_begin_array(o, "merges");
	for (size_t i = 0; i < j->n_merges; i++) {
		json_begin_object(o, NULL);
		put_files(o, j->merges[i].files, j->merges[i].n_files);
		json_put_windows(o, "windows", j->merges[i].windows, j->merges[i].n_windows);
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_settings(struct json_out *o, const struct store_settings *s)
{
	if (s->endpoint.n + s->region.n + s->ca_file.n == 0 && !s->path_style && !s->single_writer)
		return;
	json_begin_object(o, "store");
	json_put_str(o, "endpoint", s->endpoint);
	json_put_str(o, "region", s->region);
	json_put_str(o, "ca_file", s->ca_file);
	json_put_bool(o, "path_style", s->path_style);
	json_put_bool(o, "single_writer", s->single_writer);
	json_end_object(o);
}

static void put_objects(struct json_out *o, const struct engine_job *j)
{
	if (!j->by_store)
		return;
	json_put_str(o, "cache", j->cache);
	json_put_u64(o, "scratch_bytes", j->scratch_bytes);
	json_begin_array(o, "objects");
	for (size_t i = 0; i < j->n_objects; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "file", j->objects[i].file);
		json_put_u64(o, "size", j->objects[i].size_bytes);
		if (j->objects[i].has_hash)
			json_put_hash(o, "sha256", j->objects[i].hash);
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_refine(struct json_out *o, const struct engine_job *j)
{
	json_begin_array(o, "sql");
	for (size_t i = 0; i < j->n_sql; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "name", j->sql_names[i]);
		json_put_str(o, "text", j->sql[i]);
		json_end_object(o);
	}
	json_end_array(o);
	if (j->spark_file.n > 0) {
		json_begin_object(o, "spark");
		json_put_z(o, "language", j->spark_python ? "python" : "sql");
		json_put_str(o, "file", j->spark_file);
		json_put_str(o, "text", j->spark_text);
		json_end_object(o);
	}
	json_begin_array(o, "inputs");
	for (size_t i = 0; i < j->n_inputs; i++)
		put_input(o, &j->inputs[i]);
	json_end_array(o);
}

struct str engine_job_encode(const struct engine_job *j, struct arena *a)
{
	struct buf b = BUF_INIT(JOB_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", job_format);
	json_put_z(&o, "kind", kind_names[j->kind]);
	json_put_str(&o, "run", j->run_id);
	json_put_str(&o, "pipeline", j->pipeline);
	json_put_str(&o, "table", j->table);
	json_put_str(&o, "lake", j->lake);
	if (j->raw.n > 0)
		json_put_str(&o, "raw", j->raw);
	put_settings(&o, &j->store);
	put_objects(&o, j);
	json_put_str(&o, "result", j->result_path);
	json_put_str(&o, "scratch", j->scratch);
	json_put_u64(&o, "threads", j->threads);
	if (j->any_order)
		json_put_bool(&o, "any_order", true);
	json_put_u64(&o, "memory_bytes", j->memory_bytes);
	json_put_u64(&o, "file_rows", j->file_rows);
	json_put_str(&o, "output", j->output);
	if (j->contract.n > 0)
		json_put_raw(&o, "contract", j->contract);
	if (j->kind == ENGINE_PREPARE) {
		json_put_str(&o, "quarantine_output", j->quarantine_output);
		json_put_str(&o, "records", j->records);
		json_put_u64(&o, "max_body_bytes", j->max_body_bytes);
		json_put_u64(&o, "max_ratio", j->max_ratio);
		json_put_u64(&o, "json_depth", j->json_depth);
		json_put_raw(&o, "budget_percent", double_to_text(j->budget_percent, a));
		json_put_u64(&o, "budget_rows", j->budget_rows);
		put_children(&o, j, a);
		put_windows(&o, j);
	} else if (j->kind == ENGINE_CHECKPOINT) {
		json_put_str(&o, "table_key", j->table_key);
		json_put_u64(&o, "version", j->version);
	} else if (j->kind == ENGINE_COMPACT) {
		put_compact(&o, j);
	} else {
		put_refine(&o, j);
	}
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a);
}

/* ── decoding ── */

static bool get_windows(const struct json_node *root, struct arena *a, struct engine_job *j, struct err *e)
{
	const struct json_node *list;
	if (!json_need(root, "windows", JSON_ARRAY, &list, e))
		return false;
	j->windows = arena_array(a, struct job_window, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct job_window *w = &j->windows[j->n_windows++];
		if (!json_need_str(n, "window", &w->name, e) || !json_need_unsigned(n, "generation", &w->generation, e) ||
		    !json_need_hash(n, "content", &w->content, e) || !json_need_hash(n, "seal", &w->seal, e) ||
		    !json_need_hash(n, "key", &w->key, e) || !json_need_u64(n, "records", &w->records, e))
			return err_wrap(e, "window %zu of the job", j->n_windows);
		if (json_get(n, "row_window") &&
		    (!json_need_str(n, "row_window", &w->row_window, e) ||
		     !json_need_unsigned(n, "row_generation", &w->row_generation, e) ||
		     !json_need_hash(n, "row_seal", &w->row_seal, e)))
			return err_wrap(e, "window %zu of the job", j->n_windows);
	}
	return true;
}

static bool get_column(const struct json_node *n, struct table_column *c, struct err *e)
{
	struct str type;
	if (!json_need_str(n, "name", &c->name, e) || !json_need_str(n, "type", &type, e))
		return false;
	size_t t = 0;
	while (t < TYPE_COUNT && !str_eq_z(type, column_type_name((enum column_type)t)))
		t++;
	if (t == TYPE_COUNT)
		return err_set(e, ERR_DAMAGE, "unknown type \"%.*s\"", STR_ARG(type));
	c->type = (enum column_type)t;
	if (c->type != TYPE_DECIMAL)
		return true;
	return json_need_unsigned(n, "precision", &c->precision, e) && json_need_unsigned(n, "scale", &c->scale, e);
}

static bool get_columns(const struct json_node *n, struct arena *a, struct table_schema *out, struct err *e)
{
	const struct json_node *columns;
	if (!json_need(n, "columns", JSON_ARRAY, &columns, e))
		return false;
	out->v = arena_array(a, struct table_column, columns->n_children + 1);
	for (const struct json_node *c = columns->child; c; c = c->next)
		if (!get_column(c, &out->v[out->n++], e))
			return false;
	return true;
}

static bool get_files(const struct json_node *n, struct arena *a, struct str **out, size_t *n_files, struct err *e)
{
	const struct json_node *files;
	if (!json_need(n, "files", JSON_ARRAY, &files, e))
		return false;
	*out = arena_array(a, struct str, files->n_children + 1);
	for (const struct json_node *f = files->child; f; f = f->next)
		(*out)[(*n_files)++] = f->text;
	return true;
}

static bool get_input(const struct json_node *n, struct arena *a, struct job_input *in, struct err *e)
{
	const struct json_node *key = json_get(n, "key");
	in->key = arena_array(a, struct str, key ? key->n_children + 1 : 1);
	for (const struct json_node *k = key && key->type == JSON_ARRAY ? key->child : NULL; k; k = k->next)
		in->key[in->n_key++] = k->text;
	return json_need_str(n, "schema", &in->schema, e) && json_need_str(n, "table", &in->table, e) &&
	       get_columns(n, a, &in->columns, e) && get_files(n, a, &in->files, &in->n_files, e);
}

static bool get_compact(const struct json_node *root, struct arena *a, struct engine_job *j, struct err *e)
{
	const struct json_node *list, *windows;
	if (!json_need_bool(root, "quarantine", &j->quarantine, e) || !get_columns(root, a, &j->columns, e) ||
	    !json_need(root, "merges", JSON_ARRAY, &list, e))
		return false;
	j->merges = arena_array(a, struct job_merge, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct job_merge *m = &j->merges[j->n_merges++];
		if (!get_files(n, a, &m->files, &m->n_files, e) || !json_need(n, "windows", JSON_ARRAY, &windows, e) ||
		    !json_get_windows(windows, a, &m->windows, &m->n_windows, e))
			return err_wrap(e, "merge %zu of the job", j->n_merges);
	}
	return true;
}

static bool get_refine(const struct json_node *root, struct arena *a, struct engine_job *j, struct err *e)
{
	const struct json_node *sql, *inputs;
	if (!json_need(root, "sql", JSON_ARRAY, &sql, e) || !json_need(root, "inputs", JSON_ARRAY, &inputs, e))
		return false;
	j->sql = arena_array(a, struct str, sql->n_children + 1);
	j->sql_names = arena_array(a, struct str, sql->n_children + 1);
	for (const struct json_node *n = sql->child; n; n = n->next, j->n_sql++)
		if (!json_need_str(n, "name", &j->sql_names[j->n_sql], e) ||
		    !json_need_str(n, "text", &j->sql[j->n_sql], e))
			return false;
	const struct json_node *spark = json_get(root, "spark");
	if (spark) {
		struct str language;
		if (!json_need_str(spark, "language", &language, e) || !json_need_str(spark, "file", &j->spark_file, e) ||
		    !json_need_str(spark, "text", &j->spark_text, e))
			return false;
		j->spark_python = str_eq_z(language, "python");
	}
	j->inputs = arena_array(a, struct job_input, inputs->n_children + 1);
	for (const struct json_node *n = inputs->child; n; n = n->next)
		if (!get_input(n, a, &j->inputs[j->n_inputs++], e))
			return err_wrap(e, "input %zu of the job", j->n_inputs);
	return true;
}

static bool get_kind(const struct json_node *root, struct engine_job *j, struct err *e)
{
	struct str format, kind;
	if (!json_need_str(root, "format", &format, e) || !json_need_str(root, "kind", &kind, e))
		return false;
	if (!str_eq_z(format, job_format))
		return err_set(e, ERR_USAGE, "an engine job has the format \"%s\", this one \"%.*s\"", job_format,
			       STR_ARG(format));
	for (size_t k = 0; k < sizeof kind_names / sizeof *kind_names; k++)
		if (str_eq_z(kind, kind_names[k])) {
			j->kind = (enum engine_job_kind)k;
			return true;
		}
	return err_set(e, ERR_USAGE, "unknown kind of job \"%.*s\"", STR_ARG(kind));
}

static bool get_percent(const struct json_node *root, double *out, struct err *e)
{
	const struct json_node *n = NULL;
	return json_need(root, "budget_percent", JSON_NUMBER, &n, e) &&
	       (number_to_double(n->text, out) == NUMBER_OK ||
		err_set(e, ERR_DAMAGE, "budget_percent: %.*s is no percentage", STR_ARG(n->text)));
}

static bool get_children(const struct json_node *root, struct arena *a, struct engine_job *j, struct err *e)
{
	const struct json_node *list = json_get(root, "children");
	if (!list)
		return true;
	j->children = arena_array(a, struct job_table, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct job_table *t = &j->children[j->n_children++];
		if (!json_need_str(n, "table", &t->name, e) || !json_need_str(n, "output", &t->output, e) ||
		    !json_need_str(n, "quarantine_output", &t->quarantine_output, e) ||
		    !get_percent(n, &t->budget_percent, e) || !json_need_u64(n, "budget_rows", &t->budget_rows, e))
			return err_wrap(e, "child table %zu of the job", j->n_children);
	}
	return true;
}

static bool get_settings(const struct json_node *root, struct store_settings *s, struct err *e)
{
	const struct json_node *n = json_get(root, "store");
	return n == NULL || (json_need_str(n, "endpoint", &s->endpoint, e) && json_need_str(n, "region", &s->region, e) &&
			     json_need_str(n, "ca_file", &s->ca_file, e) && json_need_bool(n, "path_style", &s->path_style, e) &&
			     json_need_bool(n, "single_writer", &s->single_writer, e));
}

static bool get_objects(const struct json_node *root, struct arena *a, struct engine_job *j, struct err *e)
{
	const struct json_node *list = json_get(root, "objects");
	j->raw = json_str_or(root, "raw", STR_NONE);
	if (!get_settings(root, &j->store, e))
		return false;
	if (list == NULL)
		return true;
	j->by_store = true;
	j->objects = arena_array(a, struct job_object, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct job_object *x = &j->objects[j->n_objects++];
		x->has_hash = json_get(n, "sha256") != NULL;
		if (!json_need_str(n, "file", &x->file, e) || !json_need_u64(n, "size", &x->size_bytes, e) ||
		    (x->has_hash && !json_need_hash(n, "sha256", &x->hash, e)))
			return err_wrap(e, "object %zu of the job", j->n_objects);
	}
	return json_need_str(root, "cache", &j->cache, e) && json_need_u64(root, "scratch_bytes", &j->scratch_bytes, e);
}

bool engine_job_decode(struct str text, struct arena *a, struct engine_job *j, struct err *e)
{
	struct json_node *root = NULL;
	memset(j, 0, sizeof *j);
	if (!json_parse(text, a, &root, e) || !get_kind(root, j, e) || !json_need_str(root, "run", &j->run_id, e) ||
	    !json_need_str(root, "pipeline", &j->pipeline, e) || !json_need_str(root, "table", &j->table, e) ||
	    !json_need_str(root, "lake", &j->lake, e) || !json_need_str(root, "result", &j->result_path, e) ||
	    !json_need_str(root, "scratch", &j->scratch, e) || !json_need_unsigned(root, "threads", &j->threads, e) ||
	    !json_need_u64(root, "memory_bytes", &j->memory_bytes, e) ||
	    !json_need_u64(root, "file_rows", &j->file_rows, e) || !json_need_str(root, "output", &j->output, e) ||
	    !get_objects(root, a, j, e))
		return err_wrap(e, "engine job");
	const struct json_node *contract = json_get(root, "contract");
	if (contract)
		j->contract = contract->raw;
	if (json_get(root, "any_order") && !json_need_bool(root, "any_order", &j->any_order, e))
		return err_wrap(e, "engine job");
	if (j->kind == ENGINE_CHECKPOINT)
		return (json_need_str(root, "table_key", &j->table_key, e) && json_need_u64(root, "version", &j->version, e)) ||
		       err_wrap(e, "engine job");
	if (j->kind == ENGINE_COMPACT)
		return get_compact(root, a, j, e) || err_wrap(e, "engine job");
	bool ok = j->kind != ENGINE_PREPARE
			  ? get_refine(root, a, j, e)
			  : json_need_str(root, "quarantine_output", &j->quarantine_output, e) &&
				    json_need_str(root, "records", &j->records, e) &&
				    json_need_u64(root, "max_body_bytes", &j->max_body_bytes, e) &&
				    json_need_unsigned(root, "max_ratio", &j->max_ratio, e) &&
				    json_need_unsigned(root, "json_depth", &j->json_depth, e) &&
				    get_percent(root, &j->budget_percent, e) &&
				    json_need_u64(root, "budget_rows", &j->budget_rows, e) &&
				    get_children(root, a, j, e) && get_windows(root, a, j, e);
	return ok || err_wrap(e, "engine job");
}
