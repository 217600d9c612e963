#include "base/check.h"
#include "format/engine_job.h"
#include "format/json_parts.h"

#include <string.h>

enum { RESULT_MAX_BYTES = 256 << 20 };

static const char result_format[] = "sluice-engine-result/1";
static const char *const action_names[] = { "warn", "quarantine", "fail" }; /* enum rule_action */

/* ── encoding ── */

static void put_file(struct json_out *o, const struct table_file *f)
{
	json_begin_object(o, NULL);
	json_put_str(o, "path", f->path);
	json_put_u64(o, "size", f->size_bytes);
	json_put_u64(o, "rows", f->rows);
	if (f->has_hash)
		json_put_hash(o, "sha256", f->hash);
	json_put_str(o, "stats", f->stats);
	json_put_windows(o, "windows", f->windows, f->n_windows);
	json_end_object(o);
}

static void put_files(struct json_out *o, const char *key, const struct table_file *f, size_t n)
{
	json_begin_array(o, key);
	for (size_t i = 0; i < n; i++)
		put_file(o, &f[i]);
	json_end_array(o);
}

static void put_rules(struct json_out *o, const char *key, const struct rule_count *r, size_t n)
{
	json_begin_array(o, key);
	for (size_t i = 0; i < n; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "rule", r[i].rule);
		json_put_z(o, "action", action_names[r[i].action]);
		json_put_u64(o, "rows", r[i].rows);
		json_end_object(o);
	}
	json_end_array(o);
}

void loss_report_put(struct json_out *o, const char *key, const struct loss_report *l)
{
	json_begin_object(o, key);
	json_put_u64(o, "read", l->read);
	json_put_u64(o, "published", l->published);
	json_put_u64(o, "quarantined", l->quarantined);
	json_put_u64(o, "duplicates", l->duplicates);
	json_put_u64(o, "with_parent", l->with_parent);
	json_put_u64(o, "inexact", l->inexact);
	put_rules(o, "rules", l->rules, l->n_rules);
	json_begin_array(o, "extra");
	for (size_t i = 0; i < l->n_extra; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "field", l->extra_fields[i]);
		json_put_u64(o, "records", l->extra_counts[i]);
		json_end_object(o);
	}
	json_end_array(o);
	json_end_object(o);
}

struct engine_output engine_result_table(const struct engine_result *r, size_t i)
{
	CHECK(i <= r->n_children);
	return i > 0 ? r->children[i - 1]
		     : (struct engine_output){ STR_NONE, r->files, r->n_files, r->quarantine_files, r->n_quarantine_files, r->loss };
}

void engine_result_take(struct engine_result *r, struct engine_output *tables, size_t n)
{
	CHECK(n > 0);
	r->files = tables[0].files;
	r->n_files = tables[0].n_files;
	r->quarantine_files = tables[0].quarantine_files;
	r->n_quarantine_files = tables[0].n_quarantine_files;
	r->loss = tables[0].loss;
	r->rows = tables[0].loss.published;
	r->children = tables + 1;
	r->n_children = n - 1;
}

static void put_children(struct json_out *o, const struct engine_result *r)
{
	if (r->n_children == 0)
		return;
	json_begin_array(o, "children");
	for (size_t i = 0; i < r->n_children; i++) {
		const struct engine_output *t = &r->children[i];
		json_begin_object(o, NULL);
		json_put_str(o, "table", t->table);
		put_files(o, "files", t->files, t->n_files);
		put_files(o, "quarantine_files", t->quarantine_files, t->n_quarantine_files);
		loss_report_put(o, "loss", &t->loss);
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_findings(struct json_out *o, const struct graph_reads *g)
{
	if (g->any_order)
		json_put_bool(o, "any_order", true);
	if (g->n_findings == 0)
		return;
	json_begin_array(o, "lint");
	for (size_t i = 0; i < g->n_findings; i++) {
		const struct lint_finding *f = &g->findings[i];
		json_begin_object(o, NULL);
		json_put_str(o, "rule", f->rule);
		if (f->at != UINT64_MAX)
			json_put_u64(o, "at", f->at);
		json_put_str(o, "what", f->what);
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_graph(struct json_out *o, const struct engine_result *r)
{
	json_begin_array(o, "graph");
	for (size_t i = 0; i < r->n_graph; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "model", r->graph[i].name);
		json_begin_array(o, "reads");
		for (size_t k = 0; k < r->graph[i].n_tables; k++)
			json_put_str(o, NULL, r->graph[i].tables[k]);
		json_end_array(o);
		put_findings(o, &r->graph[i]);
		json_end_object(o);
	}
	json_end_array(o);
}

struct str engine_result_encode(const struct engine_result *r, struct arena *a)
{
	struct buf b = BUF_INIT(RESULT_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", result_format);
	json_put_str(&o, "engine", r->engine);
	if (r->settings.n > 0)
		json_put_raw(&o, "settings", r->settings);
	json_put_u64(&o, "rows", r->rows);
	put_files(&o, "files", r->files, r->n_files);
	put_files(&o, "quarantine_files", r->quarantine_files, r->n_quarantine_files);
	loss_report_put(&o, "loss", &r->loss);
	put_children(&o, r);
	put_rules(&o, "failed_rules", r->failed_rules, r->n_failed_rules);
	put_graph(&o, r);
	json_begin_array(&o, "counts");
	for (size_t i = 0; i < r->n_counts; i++)
		json_put_u64(&o, NULL, r->counts[i]);
	json_end_array(&o);
	json_put_i64(&o, "parse_us", r->parse_us);
	json_put_i64(&o, "write_us", r->write_us);
	json_put_i64(&o, "read_back_us", r->read_back_us);
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a);
}

struct str engine_error_encode(const struct err *why, struct arena *a)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_begin_object(&o, "error");
	json_put_z(&o, "code", err_name(why->code));
	json_put_str(&o, "message", str_from(why->message));
	json_put_str(&o, "hint", str_from(why->hint));
	json_end_object(&o);
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a);
}

/* ── decoding ── */

static bool get_files(const struct json_node *root, const char *key, struct arena *a, struct table_file **out, size_t *n,
		      struct err *e)
{
	const struct json_node *list, *windows;
	if (!json_need(root, key, JSON_ARRAY, &list, e))
		return false;
	struct table_file *files = arena_array(a, struct table_file, list->n_children + 1);
	*out = files;
	for (const struct json_node *f = list->child; f; f = f->next) {
		struct table_file *t = &files[(*n)++];
		if (!json_need_str(f, "path", &t->path, e) || !json_need_u64(f, "size", &t->size_bytes, e) ||
		    !json_need_u64(f, "rows", &t->rows, e) || !json_need_str(f, "stats", &t->stats, e) ||
		    !json_need(f, "windows", JSON_ARRAY, &windows, e))
			return false;
		t->has_hash = json_get(f, "sha256") != NULL;
		if (t->has_hash && !json_need_hash(f, "sha256", &t->hash, e))
			return false;
		if (!json_get_windows(windows, a, &t->windows, &t->n_windows, e))
			return false;
	}
	return true;
}

static bool get_rules(const struct json_node *parent, const char *key, struct arena *a, struct rule_count **out,
		      size_t *n, struct err *e)
{
	const struct json_node *list;
	if (!json_need(parent, key, JSON_ARRAY, &list, e))
		return false;
	struct rule_count *rules = arena_array(a, struct rule_count, list->n_children + 1);
	*out = rules;
	for (const struct json_node *r = list->child; r; r = r->next) {
		struct rule_count *c = &rules[(*n)++];
		struct str action;
		if (!json_need_str(r, "rule", &c->rule, e) || !json_need_str(r, "action", &action, e) ||
		    !json_need_u64(r, "rows", &c->rows, e))
			return false;
		size_t k = 0;
		while (k < sizeof action_names / sizeof *action_names && !str_eq_z(action, action_names[k]))
			k++;
		if (k == sizeof action_names / sizeof *action_names)
			return err_set(e, ERR_DAMAGE, "unknown action \"%.*s\"", STR_ARG(action));
		c->action = (enum rule_action)k;
	}
	return true;
}

static bool get_loss(const struct json_node *root, struct arena *a, struct loss_report *l, struct err *e)
{
	const struct json_node *n, *extra;
	if (!json_need(root, "loss", JSON_OBJECT, &n, e) || !json_need(n, "extra", JSON_ARRAY, &extra, e) ||
	    !json_need_u64(n, "read", &l->read, e) || !json_need_u64(n, "published", &l->published, e) ||
	    !json_need_u64(n, "quarantined", &l->quarantined, e) || !json_need_u64(n, "duplicates", &l->duplicates, e) ||
	    !json_need_u64(n, "inexact", &l->inexact, e) || !get_rules(n, "rules", a, &l->rules, &l->n_rules, e))
		return false;
	if (json_get(n, "with_parent") && !json_need_u64(n, "with_parent", &l->with_parent, e))
		return false;
	l->extra_fields = arena_array(a, struct str, extra->n_children + 1);
	l->extra_counts = arena_array(a, uint64_t, extra->n_children + 1);
	for (const struct json_node *x = extra->child; x; x = x->next, l->n_extra++)
		if (!json_need_str(x, "field", &l->extra_fields[l->n_extra], e) ||
		    !json_need_u64(x, "records", &l->extra_counts[l->n_extra], e))
			return false;
	return true;
}

static bool get_children(const struct json_node *root, struct arena *a, struct engine_result *r, struct err *e)
{
	const struct json_node *list = json_get(root, "children");
	if (!list)
		return true;
	r->children = arena_array(a, struct engine_output, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct engine_output *t = &r->children[r->n_children++];
		if (!json_need_str(n, "table", &t->table, e) || !get_files(n, "files", a, &t->files, &t->n_files, e) ||
		    !get_files(n, "quarantine_files", a, &t->quarantine_files, &t->n_quarantine_files, e) ||
		    !get_loss(n, a, &t->loss, e))
			return err_wrap(e, "child table %zu", r->n_children);
	}
	return true;
}

static bool get_findings(const struct json_node *model, struct arena *a, struct graph_reads *g, struct err *e)
{
	const struct json_node *list;
	if (json_get(model, "any_order") && !json_need_bool(model, "any_order", &g->any_order, e))
		return false;
	if (!json_get(model, "lint"))
		return true;
	if (!json_need(model, "lint", JSON_ARRAY, &list, e))
		return false;
	g->findings = arena_array(a, struct lint_finding, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct lint_finding *f = &g->findings[g->n_findings++];
		f->at = UINT64_MAX;
		if (!json_need_str(n, "rule", &f->rule, e) || !json_need_str(n, "what", &f->what, e) ||
		    (json_get(n, "at") && !json_need_u64(n, "at", &f->at, e)))
			return false;
	}
	return true;
}

static bool get_graph(const struct json_node *root, struct arena *a, struct engine_result *r, struct err *e)
{
	const struct json_node *list, *reads;
	if (!json_need(root, "graph", JSON_ARRAY, &list, e))
		return false;
	r->graph = arena_array(a, struct graph_reads, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct graph_reads *g = &r->graph[r->n_graph++];
		if (!json_need_str(n, "model", &g->name, e) || !json_need(n, "reads", JSON_ARRAY, &reads, e))
			return false;
		g->tables = arena_array(a, struct str, reads->n_children + 1);
		for (const struct json_node *t = reads->child; t; t = t->next)
			g->tables[g->n_tables++] = t->text;
		if (!get_findings(n, a, g, e))
			return false;
	}
	return true;
}

static bool get_counts(const struct json_node *root, struct arena *a, struct engine_result *r, struct err *e)
{
	const struct json_node *list;
	if (!json_need(root, "counts", JSON_ARRAY, &list, e))
		return false;
	r->counts = arena_array(a, uint64_t, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next)
		if (n->type != JSON_NUMBER || !str_to_u64(n->text, &r->counts[r->n_counts++]))
			return err_set(e, ERR_DAMAGE, "\"counts\" holds something else than numbers");
	return true;
}

bool engine_result_decode(struct str text, struct arena *a, struct engine_result *r, struct err *e)
{
	struct json_node *root = NULL;
	struct str format;
	memset(r, 0, sizeof *r);
	if (!json_parse(text, a, &root, e) || !json_need_str(root, "format", &format, e))
		return err_wrap(e, "engine result");
	if (!str_eq_z(format, result_format))
		return err_set(e, ERR_ENGINE, "the engine answered in the format \"%.*s\"", STR_ARG(format));
	const struct json_node *settings = json_get(root, "settings");
	if (settings)
		r->settings = settings->raw;
	bool ok = json_need_str(root, "engine", &r->engine, e) && json_need_u64(root, "rows", &r->rows, e) &&
		  get_files(root, "files", a, &r->files, &r->n_files, e) &&
		  get_files(root, "quarantine_files", a, &r->quarantine_files, &r->n_quarantine_files, e) &&
		  get_loss(root, a, &r->loss, e) && get_children(root, a, r, e) &&
		  get_rules(root, "failed_rules", a, &r->failed_rules, &r->n_failed_rules, e) &&
		  get_graph(root, a, r, e) && get_counts(root, a, r, e) &&
		  json_need_i64(root, "parse_us", &r->parse_us, e) &&
		  json_need_i64(root, "write_us", &r->write_us, e) &&
		  json_need_i64(root, "read_back_us", &r->read_back_us, e);
	return ok || err_wrap(e, "engine result");
}
