#include "run/digest.h"

#include "base/json.h"
#include "format/delta.h"
#include "run/object_hash.h"
#include "run/raw.h"
#include "run/verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef bool digest_take(void *user, const struct digest_line *l, struct err *e);

struct digest {
	struct project *project;
	struct str only;
	digest_take *take;
	void *user;
};

/* ── Raw ── */

static bool digest_window(struct digest *d, struct str resource, struct str resource_key, struct str name, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct project *j = d->project;
	struct window_generations g;
	struct ledger l;
	struct str key = key_window(resource_key, name, &a);
	bool ok = window_generations_read(project_raw(j), j->clock, key, &a, &g, e);
	if (ok && g.promoted > 0) {
		ok = ledger_open(project_raw(j), j->clock, key_generation(key, g.promoted, &a), STR_NONE, &a, &l, e);
		struct digest_line line = { .kind = DIGEST_WINDOW, .table = resource, .window = name };
		if (ok) {
			line.pages = l.seal.pages;
			line.records = l.seal.records;
			line.hash = l.seal.digest;
			ok = d->take(d->user, &line, e);
		}
	}
	arena_free(&a);
	return ok;
}

static bool digest_raw(struct digest *d, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	struct project *j = d->project;
	bool begun = project_view_begin(j, false);
	bool ok = store_list_names(project_raw(j), key_raw_pipeline(j->pipeline->name, &a), &a, &list, e);
	struct str *keys = arena_array(&a, struct str, list.n + 1);
	size_t n = 0;
	for (size_t i = 0; ok && i < list.n; i++)
		if (list.v[i].is_folder && name_ok(list.v[i].name) && only_has(d->only, list.v[i].name))
			keys[n++] = key_resource(j->pipeline->name, list.v[i].name, &a);
	raw_list_ahead(j, keys, n);
	for (size_t i = 0; ok && i < list.n; i++) {
		struct raw_windows w;
		if (!list.v[i].is_folder || !name_ok(list.v[i].name) || !only_has(d->only, list.v[i].name))
			continue;
		struct str key = key_resource(j->pipeline->name, list.v[i].name, &a);
		ok = raw_windows(project_raw(j), key, &a, &w, e) && raw_look_ahead(j, key, &w, WINDOW_AHEAD_END, e);
		for (size_t k = 0; ok && k < w.n; k++)
			ok = digest_window(d, list.v[i].name, key, w.v[k].name, e);
	}
	project_view_end(j, begun);
	arena_free(&a);
	return ok;
}

/* ── tables ── */

static struct str base_name(struct str path)
{
	for (size_t i = path.n; i-- > 0;)
		if (path.p[i] == '/')
			return str_sub(path, i + 1, path.n);
	return path;
}

static struct str first_window(const struct table_file *f)
{
	return f->n_windows > 0 ? f->windows[0].name : STR_NONE;
}

/* By the windows in them; the pieces of a window by their number in the job, "2.parquet" before "10.parquet". */
static int file_cmp(const void *left, const void *right)
{
	const struct table_file *a = *(const struct table_file *const *)left, *b = *(const struct table_file *const *)right;
	int c = str_cmp(first_window(a), first_window(b));
	struct str x = base_name(a->path), y = base_name(b->path);
	if (c != 0)
		return c;
	if (x.n != y.n)
		return x.n < y.n ? -1 : 1;
	return str_cmp(x, y);
}

static bool digest_files(struct digest *d, struct str key, struct str name, const struct table_snapshot *t, struct arena *a,
			 struct err *e)
{
	const struct table_file **sorted = arena_array(a, const struct table_file *, t->n_files + 1);
	for (size_t i = 0; i < t->n_files; i++)
		sorted[i] = &t->files[i];
	qsort(sorted, t->n_files, sizeof *sorted, file_cmp);
	for (size_t i = 0; i < t->n_files; i++) {
		struct digest_line l = { .kind = DIGEST_FILE, .table = name, .number = i + 1,
					 .size_bytes = sorted[i]->size_bytes, .rows = sorted[i]->rows };
		struct str path = arena_format(a, "%.*s/%.*s", STR_ARG(key), STR_ARG(sorted[i]->path));
		if (!object_hash(d->project->store, path, l.size_bytes, &l.hash, e) || !d->take(d->user, &l, e))
			return false;
	}
	return true;
}

static int name_cmp(const void *left, const void *right)
{
	return str_cmp(*(const struct str *)left, *(const struct str *)right);
}

static bool digest_rows(struct digest *d, struct str name, const struct table_snapshot *t, struct arena *a, struct err *e)
{
	struct {
		struct str *v;
		size_t n, cap;
	} windows = { 0 };
	for (size_t i = 0; i < t->n_files; i++)
		for (size_t k = 0; k < t->files[i].n_windows; k++)
			*arena_push(a, windows) = t->files[i].windows[k].name;
	if (windows.n > 0)
		qsort(windows.v, windows.n, sizeof *windows.v, name_cmp);
	for (size_t i = 0; i < windows.n; i++) {
		struct digest_line l = { .kind = DIGEST_ROWS, .table = name, .window = windows.v[i] };
		if (i > 0 && str_eq(windows.v[i - 1], windows.v[i]))
			continue;
		if (table_window_total(t, l.window, &l.rows, &l.row_hash) && !d->take(d->user, &l, e))
			return false;
	}
	return true;
}

static bool digest_zone(struct digest *d, enum lake_zone zone, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	struct project *j = d->project;
	struct str folder = arena_format(&a, "%s/%.*s", lake_zone_name(zone), STR_ARG(j->pipeline->name));
	bool ok = store_list_names(j->store, folder, &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++) {
		struct table_snapshot t;
		if (!list.v[i].is_folder || !name_ok(list.v[i].name) ||
		    !(only_has(d->only, list.v[i].name) || only_has(d->only, project_table_resource(j, list.v[i].name))))
			continue;
		struct str key = key_table(zone, j->pipeline->name, list.v[i].name, &a);
		struct str name = arena_format(&a, "%s.%.*s", lake_zone_name(zone), STR_ARG(list.v[i].name));
		ok = project_table_load(j, key, &a, &t, e) &&
		     (t.version < 0 || (digest_files(d, key, name, &t, &a, e) && digest_rows(d, name, &t, &a, e)));
	}
	arena_free(&a);
	return ok;
}

/* All tables at once, where each question is a request. */
static bool tables_ahead(struct project *j)
{
	static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
	struct arena a = ARENA_INIT;
	struct { struct str *v; size_t n, cap; } keys = { 0 };
	struct err ignored = ERR_INIT;
	bool begun = project_ahead_begin(j);
	for (size_t z = 0; begun && z < sizeof zones / sizeof *zones; z++) {
		struct store_listing list = { 0 };
		struct str folder = arena_format(&a, "%s/%.*s", lake_zone_name(zones[z]), STR_ARG(j->pipeline->name));
		if (store_list_names(j->store, folder, &a, &list, &ignored))
			for (size_t i = 0; i < list.n; i++)
				if (list.v[i].is_folder && name_ok(list.v[i].name))
					*arena_push(&a, keys) = key_table(zones[z], j->pipeline->name, list.v[i].name, &a);
	}
	if (begun)
		project_ahead(j, keys.v, keys.n, NULL, 0);
	arena_free(&a);
	return begun;
}

bool digest_lake(struct project *j, struct str only, digest_take *take, void *user, struct err *e)
{
	struct digest d = { .project = j, .only = only, .take = take, .user = user };
	bool ok = digest_raw(&d, e), begun = ok && tables_ahead(j);
	ok = ok && digest_zone(&d, ZONE_PREPARE, e) && digest_zone(&d, ZONE_QUARANTINE, e) && digest_zone(&d, ZONE_REFINE, e);
	project_ahead_end(j, begun);
	return ok;
}

/* ── a line ── */

struct str digest_line_text(const struct digest_line *l, struct arena *a)
{
	char hex[SHA256_HEX + 1], row[33];
	sha256_hex(l->hash, hex);
	row_hash_hex(&l->row_hash, row);
	switch (l->kind) {
	case DIGEST_WINDOW:
		return arena_format(a, "window %.*s %.*s pages=%" PRIu64 " records=%" PRIu64 " content=%s", STR_ARG(l->table),
				    STR_ARG(l->window), l->pages, l->records, hex);
	case DIGEST_FILE:
		return arena_format(a, "file %.*s %" PRIu64 " rows=%" PRIu64 " size=%" PRIu64 " sha256=%s", STR_ARG(l->table),
				    l->number, l->rows, l->size_bytes, hex);
	case DIGEST_ROWS:
		break;
	}
	return arena_format(a, "rows %.*s %.*s rows=%" PRIu64 " hash=%s", STR_ARG(l->table), STR_ARG(l->window), l->rows, row);
}

struct str digest_line_json(const struct digest_line *l, struct arena *a)
{
	static const char *const kinds[] = { "window", "file", "rows" };
	char hex[SHA256_HEX + 1], row[33];
	struct buf b = BUF_INIT(4096);
	struct json_out o = JSON_OUT(&b);
	sha256_hex(l->hash, hex);
	row_hash_hex(&l->row_hash, row);
	json_begin_object(&o, NULL);
	json_put_z(&o, "kind", kinds[l->kind]);
	json_put_str(&o, l->kind == DIGEST_WINDOW ? "resource" : "table", l->table);
	if (l->kind != DIGEST_FILE)
		json_put_str(&o, "window", l->window);
	if (l->kind == DIGEST_WINDOW) {
		json_put_u64(&o, "pages", l->pages);
		json_put_u64(&o, "records", l->records);
		json_put_z(&o, "content", hex);
	} else if (l->kind == DIGEST_FILE) {
		json_put_u64(&o, "number", l->number);
		json_put_u64(&o, "rows", l->rows);
		json_put_u64(&o, "size", l->size_bytes);
		json_put_z(&o, "sha256", hex);
	} else {
		json_put_u64(&o, "rows", l->rows);
		json_put_z(&o, "row_hash", row);
	}
	json_end_object(&o);
	struct str text = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return text;
}
