#include "run/trace.h"

#include "run/raw.h"
#include "run/twin.h"

#include <inttypes.h>

static bool read_origin(struct project *j, struct str resource, const struct trace_address *at, struct arena *a,
			struct trace_origin *out, struct err *e)
{
	struct ledger l;
	struct raw_page p;
	struct http_limits limits = raw_limits();
	struct raw_record r = RAW_RECORD_INIT;
	struct str key = key_generation(key_window(key_resource(j->pipeline->name, resource, a), at->window, a), at->generation, a);
	if (!ledger_open(project_raw(j), j->clock, key, STR_NONE, a, &l, e) || !raw_page(&l, at->page, a, &p, e)) {
		if (e->code == ERR_MISSING)
			e->code = ERR_DAMAGE;
		return false;
	}
	*out = (struct trace_origin){
		.request = p.page.request,
		.redirected_to = p.page.redirected_to,
		.status = p.page.status,
		.attempts = p.page.attempts,
		.run_id = p.run_id,
		.segment_key = p.segment_key,
		.segment_offset = p.page.offset,
		.segment_size = p.page.size,
		.window = at->window,
		.generation = at->generation,
	};
	bool ok = raw_record_read(project_raw(j), p.segment_key, p.page.offset, p.page.size, &limits, &r, e);
	if (ok && (at->offset > r.body.n || at->length > r.body.n - at->offset))
		ok = err_set(e, ERR_DAMAGE, "%.*s, page %" PRIu64 ": the body has %zu bytes, the row says %" PRIu64 "+%" PRIu64,
			     STR_ARG(key), at->page, r.body.n, at->offset, at->length);
	if (ok) {
		out->fetched_at = arena_copy(a, r.record.date);
		out->raw = arena_copy(a, str_sub(r.body, (size_t)at->offset, (size_t)at->length));
	}
	raw_record_free(&r);
	return ok;
}

/* The content that the rows of this address have, as the table's tags say: the ledger may be what is damaged. */
static const struct table_window *find_tag(const struct lake_table *t, const struct trace_address *at)
{
	for (size_t i = 0; i < t->t.n_files; i++)
		for (size_t k = 0; k < t->t.files[i].n_windows; k++) {
			const struct table_window *w = &t->t.files[i].windows[k];
			if (str_eq(w->row_window, at->window) && w->row_generation == at->generation)
				return w;
		}
	return NULL;
}

bool trace_origin_find(struct project *j, const struct lake_table *t, const struct trace_address *at, struct arena *a,
		       struct trace_origin *out, struct err *e)
{
	struct str resource = t->resource->name;
	struct trace_address other = *at;
	struct err ignored = ERR_INIT;
	struct twin twin;
	bool found = false;
	if (read_origin(j, resource, at, a, out, e))
		return true;
	const struct table_window *tag = e->code == ERR_DAMAGE ? find_tag(t, at) : NULL;
	if (!tag || !twin_of(j, resource, at->window, at->generation, tag->content, a, &twin, &found, &ignored) || !found)
		return false;
	other.window = twin.window;
	other.generation = twin.generation;
	if (!read_origin(j, resource, &other, a, out, &ignored))
		return false;
	out->damage = arena_copy(a, str_from(e->message));
	*e = ERR_INIT;
	return true;
}

/* ── SQL ── */

enum { SQL_MAX = 1 << 20 };

/* Rows of a child table are told apart by where they came from. */
static const struct column child_key[] = {
	{ .name = { "_window", 7 }, .type = TYPE_STRING },
	{ .name = { "_page", 5 }, .type = TYPE_INTEGER },
	{ .name = { "_parent_off", 11 }, .type = TYPE_INTEGER },
	{ .name = { "_idx", 4 }, .type = TYPE_INTEGER },
};

static size_t key_count(const struct contract *c)
{
	return contract_is_child(c) ? sizeof child_key / sizeof *child_key : c->n_key;
}

static const struct column *key_column(const struct contract *c, size_t i)
{
	return contract_is_child(c) ? &child_key[i] : &c->columns[c->key[i]];
}

static struct str key_names(const struct contract *c, struct arena *a)
{
	struct str names = STR_NONE;
	for (size_t i = 0; i < key_count(c); i++)
		names = arena_format(a, "%.*s%s%.*s", STR_ARG(names), i ? " " : "", STR_ARG(key_column(c, i)->name));
	return names;
}

static bool put_condition(struct buf *b, const struct column *c, struct str value, struct arena *a, struct err *e)
{
	char type[32];
	union scalar v;
	struct str text = value;
	if (c->type != TYPE_STRING && c->type != TYPE_JSON) {
		if (!scalar_from_text(c, value, a, &v))
			return err_set(e, ERR_USAGE, "%.*s is %s %s, and `%.*s` is not one", STR_ARG(c->name),
				       c->type == TYPE_INTEGER ? "an" : "a", column_type_name(c->type), STR_ARG(value));
		text = c->type == TYPE_TIMESTAMP ? us_to_rfc3339(v.i64, a) : c->type == TYPE_DATE || c->type == TYPE_BOOLEAN
			? value : scalar_to_text(c, v, a);
	}
	sql_identifier(b, c->name);
	buf_add_z(b, " = CAST(");
	if (!sql_literal(b, text))
		return err_set(e, ERR_USAGE, "%.*s: a value with a zero byte", STR_ARG(c->name));
	buf_addf(b, " AS %s)", engine_sql_type(c->type, c->precision, c->scale, type));
	return true;
}

static struct str take(struct buf *b, size_t limit, struct arena *a)
{
	buf_addf(b, " LIMIT %zu", limit);
	struct str sql = b->overflow ? STR_NONE : arena_copy(a, buf_str(b));
	buf_free(b);
	return sql;
}

bool trace_key_sql(const struct lake_table *t, const struct str *values, size_t n_values, size_t limit, struct arena *a,
		   struct str *sql, struct err *e)
{
	const struct contract *c = t->contract;
	struct buf b = BUF_INIT(SQL_MAX);
	bool ok = true;
	if (c == NULL || key_count(c) == 0)
		return err_set(e, ERR_USAGE, "%s.%.*s has no primary key to find a row by", lake_zone_name(t->zone), STR_ARG(t->name));
	if (n_values != key_count(c)) {
		err_set(e, ERR_USAGE, "the key of %.*s has %zu parts, and %zu were given", STR_ARG(t->name), key_count(c), n_values);
		return err_hint(e, "in this order: %.*s", STR_ARG(key_names(c, a)));
	}
	buf_add_z(&b, "SELECT * FROM ");
	lake_table_sql(t, &b);
	for (size_t i = 0; ok && i < n_values; i++) {
		buf_add_z(&b, i ? " AND " : " WHERE ");
		ok = put_condition(&b, key_column(c, i), values[i], a, e);
	}
	*sql = take(&b, limit, a);
	return ok;
}

static const struct table_column *find_column(const struct lake_table *t, struct str name)
{
	for (size_t i = 0; i < t->t.schema.n; i++)
		if (str_eq(t->t.schema.v[i].name, name))
			return &t->t.schema.v[i];
	return NULL;
}

bool trace_input_sql(const struct lake_table *t, const struct str *values, const struct lake_table *in, size_t limit,
		     struct arena *a, struct str *sql, struct err *e)
{
	const struct contract *c = t->contract;
	struct buf b = BUF_INIT(SQL_MAX);
	size_t n = 0;
	bool ok = true;
	buf_add_z(&b, "SELECT * FROM ");
	lake_table_sql(in, &b);
	for (size_t i = 0; ok && i < c->n_key; i++) {
		const struct column *k = &c->columns[c->key[i]];
		const struct table_column *other = find_column(in, k->name);
		if (other == NULL || other->type != k->type) /* the same name for something else */
			continue;
		buf_add_z(&b, n++ ? " AND " : " WHERE ");
		ok = put_condition(&b, k, values[i], a, e);
	}
	*sql = take(&b, limit, a);
	if (n == 0)
		*sql = STR_NONE;
	return ok;
}

/* ── inputs ── */

static const struct lake_table *find_table(const struct lake_query *q, struct str full)
{
	size_t dot = str_find_char(full, '.');
	for (size_t i = 0; i < q->n_tables; i++)
		if (str_eq_z(str_sub(full, 0, dot), lake_zone_name(q->tables[i].zone)) &&
		    str_eq(str_sub(full, dot + 1, full.n), q->tables[i].name))
			return &q->tables[i];
	return NULL;
}

void trace_inputs(const struct project *j, const struct lake_query *q, const struct model *m, struct arena *a,
		  const struct lake_table ***out, size_t *n)
{
	const struct lake_table **found = arena_array(a, const struct lake_table *, q->n_tables + 1);
	const struct model **todo = arena_array(a, const struct model *, j->models.n + 1);
	bool *seen = arena_array(a, bool, j->models.n + 1);
	size_t n_todo = 0;
	*n = 0;
	*out = found;
	todo[n_todo++] = m;
	for (size_t at = 0; at < n_todo; at++)
		for (size_t i = 0; i < todo[at]->n_reads; i++) {
			const struct lake_table *t = find_table(q, todo[at]->reads[i]);
			bool known = t == NULL;
			for (size_t k = 0; k < *n; k++)
				known = known || found[k] == t;
			if (known)
				continue;
			if (t->zone == ZONE_PREPARE) {
				found[(*n)++] = t;
				continue;
			}
			size_t index = t->model ? (size_t)(t->model - j->models.v) : j->models.n;
			if (!seen[index] && t->model) {
				seen[index] = true;
				todo[n_todo++] = t->model;
			}
		}
}
