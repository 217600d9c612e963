#include "base/json.h"
#include "run/runner.h"

enum { RECORD_MAX_BYTES = 64 << 20 };

static void put_err(struct json_out *o, const char *key, const struct err *why)
{
	if (why->code == ERR_NONE) {
		json_put_null(o, key);
		return;
	}
	json_begin_object(o, key);
	json_put_z(o, "code", err_name(why->code));
	json_put_i64(o, "exit_status", err_exit_status(why->code));
	json_put_str(o, "message", str_from(why->message));
	json_put_str(o, "hint", str_from(err_hint_text(why)));
	json_end_object(o);
}

static void put_resource(struct json_out *o, const struct run_resource *r)
{
	json_begin_object(o, NULL);
	json_put_str(o, "resource", r->name);
	json_put_str(o, "note", r->note);
	json_put_u64(o, "windows", r->windows);
	json_put_u64(o, "windows_fetched", r->windows_fetched);
	json_put_u64(o, "windows_resumed", r->windows_resumed);
	json_put_u64(o, "windows_failed", r->failed);
	json_put_u64(o, "windows_fenced", r->fenced);
	json_put_u64(o, "windows_stopped", r->stopped);
	json_put_u64(o, "candidates", r->candidates);
	json_put_u64(o, "windows_early", r->early);
	json_put_u64(o, "stale_elsewhere", r->stale_elsewhere);
	json_put_u64(o, "unprepared_elsewhere", r->unprepared_elsewhere);
	json_put_u64(o, "pages", r->pages);
	json_put_u64(o, "resumed_pages", r->resumed_pages);
	json_put_u64(o, "records", r->records);
	json_put_u64(o, "body_bytes", r->body_bytes);
	json_put_u64(o, "wire_bytes", r->wire_bytes);
	json_put_u64(o, "requests", r->requests);
	json_put_u64(o, "retries", r->retries);
	json_put_u64(o, "busy", r->busy);
	json_put_u64(o, "failed_attempts", r->failed_attempts);
	json_end_object(o);
}

static void put_relationships(struct json_out *o, const struct run_table *t)
{
	json_begin_array(o, "relationships");
	for (size_t i = 0; i < t->n_relationships; i++) {
		json_begin_object(o, NULL);
		json_put_str(o, "rule", t->relationships[i].rule);
		json_put_z(o, "action", t->relationships[i].action == ACTION_FAIL ? "fail" : "warn");
		json_put_u64(o, "rows", t->relationships[i].rows);
		json_end_object(o);
	}
	json_end_array(o);
}

static void put_left(struct json_out *o, const struct table_left *t)
{
	char hex[SHA256_HEX + 1];
	sha256_hex(t->commit, hex);
	json_put_str(o, "id", t->id);
	json_put_z(o, "commit", hex);
}

static void put_table(struct json_out *o, const struct run_table *t)
{
	char hex[33];
	row_hash_hex(&t->row_hash, hex);
	json_begin_object(o, NULL);
	json_put_z(o, "zone", lake_zone_name(t->zone));
	json_put_str(o, "table", t->name);
	if (t->parent.n > 0)
		json_put_str(o, "parent", t->parent);
	json_put_bool(o, "changed", t->changed);
	json_put_str(o, "note", t->note);
	json_put_i64(o, "version", t->version);
	if (t->left.id.n > 0)
		put_left(o, &t->left);
	if (t->quarantine.id.n > 0) {
		json_begin_object(o, "quarantine");
		json_put_i64(o, "version", t->quarantine.version);
		put_left(o, &t->quarantine);
		json_end_object(o);
	}
	if (t->engine.n > 0)
		json_put_str(o, "engine", t->engine);
	if (t->settings.n > 0)
		json_put_raw(o, "engine_settings", t->settings);
	if (t->spark_file)
		json_put_z(o, "spark_text", t->spark_file);
	json_put_u64(o, "rows", t->rows);
	json_put_u64(o, "files", t->files);
	json_put_u64(o, "size_bytes", t->size_bytes);
	json_put_z(o, "row_hash", hex);
	json_put_u64(o, "rows_written", t->rows_written);
	json_put_i64(o, "took_us", t->took_us);
	loss_report_put(o, "books", &t->loss);
	put_relationships(o, t);
	put_err(o, "error", &t->err);
	json_end_object(o);
}

static void put_failure(struct json_out *o, const struct run_failure *f)
{
	json_begin_object(o, NULL);
	json_put_str(o, "resource", f->resource);
	json_put_str(o, "window", f->window);
	json_put_str(o, "request", f->request);
	json_put_u64(o, "status", f->status);
	json_put_str(o, "body", f->body);
	json_put_str(o, "raw", f->raw_key);
	json_put_u64(o, "raw_offset", f->raw_offset);
	put_err(o, "error", &f->err);
	json_end_object(o);
}

struct str run_record_json(const struct run_result *r, struct arena *a)
{
	struct buf b = BUF_INIT(RECORD_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", "sluice-run/1");
	json_put_str(&o, "run", r->run_id);
	json_put_str(&o, "command", r->command);
	json_put_z(&o, "software", "sluice/" SLUICE_VERSION);
	if (r->plan.environment.n > 0)
		json_put_str(&o, "environment", r->plan.environment);
	if (r->plan.raw_from.n > 0)
		json_put_str(&o, "raw_from", r->plan.raw_from);
	json_put_str(&o, "started", us_to_rfc3339(r->started_us, a));
	json_put_i64(&o, "took_us", r->took_us);
	json_put_i64(&o, "ingest_us", r->ingest_us);
	json_put_i64(&o, "prepare_us", r->prepare_us);
	json_put_i64(&o, "refine_us", r->refine_us);
	json_put_u64(&o, "peak_rss_engine_bytes", r->peak_rss_engine_bytes);
	json_put_bool(&o, "nothing_to_do", r->nothing_to_do);
	json_put_i64(&o, "exit_status", err_exit_status(r->err.code));
	put_err(&o, "error", &r->err);
	json_begin_array(&o, "resources");
	for (size_t i = 0; i < r->n_resources; i++)
		put_resource(&o, &r->resources[i]);
	json_end_array(&o);
	json_begin_array(&o, "tables");
	for (size_t i = 0; i < r->n_tables; i++)
		put_table(&o, &r->tables[i]);
	json_end_array(&o);
	json_begin_array(&o, "failures");
	for (size_t i = 0; i < r->n_failures; i++)
		put_failure(&o, &r->failures[i]);
	json_end_array(&o);
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a);
}
