#include "run/verify.h"

#include "run/object_hash.h"
#include "run/raw.h"
#include "run/verify_table.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

struct verify {
	struct project *project;
	const struct verify_options *o;
	struct verify_counts *n;
	struct raw_record record;
	struct buf segment;
	struct http_limits limits;
	struct lake_query engine; /* of the table at hand */
};

bool only_has(struct str only, struct str name)
{
	struct str rest = only, part;
	if (only.n == 0)
		return true;
	while (str_cut(&rest, ',', &part))
		if (str_eq(part, name))
			return true;
	return false;
}

static void found(struct verify *v, struct str where, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void found(struct verify *v, struct str where, const char *format, ...)
{
	struct arena a = ARENA_INIT;
	va_list args;
	va_start(args, format);
	struct str what = arena_vformat(&a, format, args);
	va_end(args);
	v->n->findings++;
	v->o->finding(v->o->user, where, what);
	arena_free(&a);
}

static bool stopped(const struct verify *v, struct err *e)
{
	if (v->o->stop == NULL || *v->o->stop == 0)
		return false;
	err_set(e, *v->o->stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal before everything was read");
	err_hint(e, "nothing was changed");
	return true;
}

/* ── segments ── */

/* The whole segment into v->segment; false (and a finding) if it is not the one that the entry names. */
static bool segment_load(struct verify *v, struct str key, const struct ledger_entry *entry)
{
	struct err e = ERR_INIT;
	uint64_t size = 0;
	v->n->segments++;
	buf_clear(&v->segment);
	if (!store_size(v->project->store, key, &size, &e)) {
		found(v, key, "%s", e.code == ERR_MISSING ? "the segment is not there" : e.message);
		return false;
	}
	if (size != entry->segment_size) {
		found(v, key, "%" PRIu64 " bytes, the ledger says %" PRIu64, size, entry->segment_size);
		return false;
	}
	if (size > SEGMENT_READ_MAX) {
		found(v, key, "%" PRIu64 " bytes are more than a segment may have", size);
		return false;
	}
	char *room = buf_room(&v->segment, (size_t)size + 1);
	if (!store_read_at(v->project->store, key, 0, room, (size_t)size, &e)) {
		found(v, key, "%s", e.message);
		return false;
	}
	v->segment.n = (size_t)size;
	v->n->raw_bytes += size;
	if (!sha256_eq(sha256_of(buf_str(&v->segment)), entry->segment_hash)) {
		found(v, key, "its SHA-256 is another than the ledger says: its bytes have changed");
		return false;
	}
	return true;
}

static void check_page(struct verify *v, struct str key, const struct ledger_page *p)
{
	struct err e = ERR_INIT;
	v->n->pages++;
	if (p->offset > v->segment.n || p->size > v->segment.n - p->offset)
		found(v, key, "page %" PRIu64 " lies outside of the segment", p->page);
	else if (!raw_record_take(str_sub(buf_str(&v->segment), (size_t)p->offset, (size_t)p->size), &v->limits, &v->record, &e))
		found(v, key, "page %" PRIu64 " at byte %" PRIu64 ": %s", p->page, p->offset, e.message);
	else if (v->record.body.n != p->body_bytes || !sha256_eq(sha256_of(v->record.body), p->body))
		found(v, key, "page %" PRIu64 " at byte %" PRIu64 ": another body than the ledger says", p->page, p->offset);
}

static void check_attempt(struct verify *v, struct str key, const struct ledger_attempt *t)
{
	struct err e = ERR_INIT;
	v->n->attempts++;
	if (t->size == 0)
		return;
	if (t->offset > v->segment.n || t->size > v->segment.n - t->offset) {
		found(v, key, "a failed attempt lies outside of the segment");
		return;
	}
	if (!warc_read(str_sub(buf_str(&v->segment), (size_t)t->offset, (size_t)t->size), v->limits.body_bytes,
		       &v->record.inflated, &v->record.record, &e))
		found(v, key, "a failed attempt at byte %" PRIu64 ": %s", t->offset, e.message);
	/* Its hash is of the bytes received: a body that was refused because it does not decode is kept as it came. Of a long
	 * one only the beginning is kept, of one that repeats a secret nothing, and the record says so. */
	else if (str_eq(v->record.record.type, STR("response")) &&
		 !str_eq(v->record.record.truncated, STR("length")) &&
		 !str_eq(v->record.record.truncated, STR("unspecified")) && !sha256_eq(sha256_of(v->record.record.body), t->body))
		found(v, key, "a failed attempt at byte %" PRIu64 ": another body than the ledger says", t->offset);
}

/* ── ledgers ── */

struct totals {
	uint64_t pages, records, bytes;
	struct sha256 digest;
};

static void add_page(struct totals *t, const struct ledger_page *p)
{
	struct sha256_state s;
	sha256_begin(&s);
	sha256_add(&s, t->digest.b, SHA256_SIZE);
	sha256_add(&s, p->fingerprint.b, SHA256_SIZE);
	sha256_add(&s, p->body.b, SHA256_SIZE);
	t->digest = sha256_end(&s);
	t->pages++;
	t->records += p->records;
	t->bytes += p->body_bytes;
}

static void check_totals(struct verify *v, struct str key, const struct ledger_entry *x, const struct totals *t)
{
	const struct ledger_state *s = &x->state;
	if (s->pages != t->pages || s->records != t->records || s->bytes != t->bytes)
		found(v, key, "entry %" PRIu64 ": its running totals are not those of the pages before it", x->n);
	if (!sha256_eq(s->digest, t->digest))
		found(v, key, "entry %" PRIu64 ": its content digest does not follow from the pages", x->n);
	if (x->has_seal && (!sha256_eq(x->seal.digest, t->digest) || x->seal.pages != t->pages || x->seal.records != t->records))
		found(v, key, "entry %" PRIu64 ": the seal does not fit the pages", x->n);
}

static bool check_generation(struct verify *v, struct str key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct ledger l;
	struct ledger_walk w;
	struct ledger_entry x;
	struct totals t = { 0 };
	bool end = false, ok = true;
	v->n->generations++;
	if (!ledger_open(v->project->store, v->project->clock, key, STR_NONE, &a, &l, &why)) {
		found(v, key, "%s", why.message);
		arena_free(&a);
		return true;
	}
	ledger_walk_begin(&w, &l);
	while ((ok = ledger_walk_next(&w, &x, &end, &why)) && !end && !stopped(v, e)) {
		v->n->entries++;
		for (size_t i = 0; i < x.n_pages; i++) {
			add_page(&t, &x.pages[i]);
			if (x.pages[i].page != t.pages)
				found(v, key, "entry %" PRIu64 ": page %" PRIu64 " stands where page %" PRIu64 " should", x.n,
				      x.pages[i].page, t.pages);
		}
		check_totals(v, key, &x, &t);
		struct str segment = x.segment.n > 0 ? key_segment(key, x.segment, &w.arena) : STR_NONE;
		if (segment.n == 0 || !segment_load(v, segment, &x))
			continue;
		for (size_t i = 0; i < x.n_pages; i++)
			check_page(v, segment, &x.pages[i]);
		for (size_t i = 0; i < x.n_attempts; i++)
			check_attempt(v, segment, &x.attempts[i]);
	}
	ledger_walk_end(&w);
	if (!ok)
		found(v, key, "%s", why.message);
	arena_free(&a);
	return e->code == ERR_NONE;
}

static bool check_window(struct verify *v, struct str key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	bool ok = store_list(v->project->store, key, &a, &list, e);
	v->n->windows++;
	for (size_t i = 0; ok && i < list.n; i++) {
		unsigned g = 0;
		if (list.v[i].is_folder && generation_from_name(list.v[i].name, &g))
			ok = check_generation(v, key_generation(key, g, &a), e);
	}
	arena_free(&a);
	return ok;
}

static bool check_resource(struct verify *v, struct str key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct raw_windows windows;
	bool ok = raw_windows(v->project->store, key, &a, &windows, e);
	for (size_t i = 0; ok && i < windows.n && (ok = !stopped(v, e)); i++)
		ok = check_window(v, key_window(key, windows.v[i].name, &a), e);
	arena_free(&a);
	return ok;
}

/* ── tables ── */

static void check_rows(struct verify *v, enum lake_zone zone, struct str key, const struct table_schema *schema,
		       const struct table_file *f)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	const char *path = arena_format(&a, "%s/%.*s", v->project->lake_path, STR_ARG(key)).p;
	if (v->engine.connection && !table_file_verify(&v->engine, zone, schema, path, f, &why) && why.code == ERR_DAMAGE)
		found(v, key, "%s", why.message);
	arena_free(&a);
}

/* Every byte, also of columns that no row hash covers. */
static bool bytes_agree(struct verify *v, struct str key, const struct table_file *f)
{
	struct sha256 now;
	struct err e = ERR_INIT;
	if (!f->has_hash || v->o->fast)
		return true;
	if (!object_hash(v->project->store, key, f->size_bytes, &now, &e)) {
		found(v, key, "%s", e.message);
		return false;
	}
	if (!sha256_eq(now, f->hash))
		found(v, key, "its bytes are not those that were published (SHA-256)");
	return sha256_eq(now, f->hash);
}

static void check_file(struct verify *v, enum lake_zone zone, struct str table_key, const struct table_schema *schema,
		       const struct table_file *f)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct store *s = v->project->store;
	struct str key = arena_format(&a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(f->path));
	uint64_t size = 0, rows = 0;
	char head[4], tail[4];
	v->n->files++;
	v->n->table_bytes += f->size_bytes;
	for (size_t i = 0; i < f->n_windows; i++)
		rows += f->windows[i].rows;
	if (!store_key_ok(key))
		found(v, table_key, "the log names a file that cannot be one: %.*s", STR_ARG(f->path));
	else if (!store_size(s, key, &size, &e))
		found(v, key, "%s", e.code == ERR_MISSING ? "the file is not there" : e.message);
	else if (size != f->size_bytes)
		found(v, key, "%" PRIu64 " bytes, the table's log says %" PRIu64, size, f->size_bytes);
	else if (size < 12 || !store_read_at(s, key, 0, head, 4, &e) || !store_read_at(s, key, size - 4, tail, 4, &e) ||
		 memcmp(head, "PAR1", 4) != 0 || memcmp(tail, "PAR1", 4) != 0)
		found(v, key, "it is no Parquet file");
	else if (rows != f->rows)
		found(v, key, "%" PRIu64 " rows, its windows have %" PRIu64, f->rows, rows);
	else if (bytes_agree(v, key, f))
		check_rows(v, zone, key, schema, f);
	arena_free(&a);
}

/* What the table says it was made of is still what Raw has. */
static void check_origin(struct verify *v, struct str table_key, struct str table, const struct table_window *w)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct ledger l;
	struct project *j = v->project;
	struct str key = key_generation(key_window(key_resource(j->pipeline->name, table, &a), w->name, &a), w->generation, &a);
	if (!ledger_open(j->store, j->clock, key, STR_NONE, &a, &l, &e))
		found(v, table_key, "window %.*s: %s", STR_ARG(w->name), e.message);
	else if (l.n_entries == 0)
		found(v, table_key, "window %.*s was made of generation %u, which Raw does not have", STR_ARG(w->name),
		      w->generation);
	else if (!sha256_eq(l.seal.digest, w->content) || !sha256_eq(l.seal_hash, w->seal))
		found(v, table_key, "window %.*s was made of another content than generation %u has", STR_ARG(w->name),
		      w->generation);
	arena_free(&a);
}

/* The engine sees the files of one table, and nothing else of the disk. Without it, files are judged from outside. */
static void open_engine(struct verify *v, struct str table_key, const struct table_snapshot *t, struct arena *a)
{
	struct err why = ERR_INIT;
	const char **files = arena_array(a, const char *, t->n_files + 1);
	if (v->o->fast || v->n->not_read.n > 0 || t->n_files == 0)
		return;
	for (size_t i = 0; i < t->n_files; i++)
		files[i] = arena_format(a, "%s/%.*s/%.*s", v->project->lake_path, STR_ARG(table_key),
					STR_ARG(t->files[i].path)).p;
	if (lake_query_open_files(v->project, files, t->n_files, a, &v->engine, &why) &&
	    (v->o->stop == NULL || lake_query_watch(&v->engine, v->o->stop, &why)))
		return;
	lake_query_close(&v->engine);
	v->n->not_read = arena_copy(v->project->arena, str_from(why.message));
}

static bool check_table(struct verify *v, enum lake_zone zone, struct str table, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	struct table_snapshot t;
	struct str key = key_table(zone, v->project->pipeline->name, table, &a);
	bool ok = true;
	if (!table_load(v->project->store, key, -1, &a, &t, &why)) {
		found(v, key, "%s", why.message);
	} else if (t.version >= 0) {
		v->n->tables++;
		open_engine(v, key, &t, &a);
		for (size_t i = 0; i < t.n_files && (ok = !stopped(v, e)); i++) {
			check_file(v, zone, key, &t.schema, &t.files[i]);
			for (size_t k = 0; zone != ZONE_REFINE && k < t.files[i].n_windows; k++)
				check_origin(v, key, table, &t.files[i].windows[k]);
		}
		lake_query_close(&v->engine);
	}
	ok = ok && !stopped(v, e);
	arena_free(&a);
	return ok;
}

/* All that there is of this pipeline, also what its file no longer names. */
static bool check_zone(struct verify *v, struct str folder, int zone, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	bool ok = store_list(v->project->store, folder, &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++) {
		if (!list.v[i].is_folder || !name_ok(list.v[i].name) || !only_has(v->o->only, list.v[i].name))
			continue;
		ok = zone < 0 ? check_resource(v, key_resource(v->project->pipeline->name, list.v[i].name, &a), e)
			      : check_table(v, (enum lake_zone)zone, list.v[i].name, e);
	}
	arena_free(&a);
	return ok;
}

bool verify_lake(struct project *j, const struct verify_options *o, struct verify_counts *out, struct err *e)
{
	static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
	struct arena a = ARENA_INIT;
	struct verify v = { .project = j, .o = o, .n = out, .segment = BUF_INIT((size_t)SEGMENT_READ_MAX + 1),
			    .limits = raw_limits() };
	memset(out, 0, sizeof *out);
	if (o->fast)
		out->not_read = STR("--fast");
	bool ok = check_zone(&v, key_raw_pipeline(j->pipeline->name, &a), -1, e);
	for (size_t i = 0; ok && i < sizeof zones / sizeof *zones; i++) {
		struct str folder = arena_format(&a, "%s/%.*s", lake_zone_name(zones[i]), STR_ARG(j->pipeline->name));
		ok = check_zone(&v, folder, (int)zones[i], e);
	}
	raw_record_free(&v.record);
	buf_free(&v.segment);
	arena_free(&a);
	return ok;
}
