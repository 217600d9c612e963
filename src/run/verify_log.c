#include "run/object_hash.h"
#include "run/verify_parts.h"
#include "run/verify_table.h"

#include <inttypes.h>
#include <string.h>

/* ── files ── */

void verify_engine_close(struct verify *v)
{
	lake_query_close(&v->engine);
	v->open = NULL;
}

/* The engine sees the files of one table, and nothing else of the disk. Without it, files are judged from outside. */
static void open_engine(struct verify *v, const struct verify_table *t)
{
	struct err why = ERR_INIT;
	if (v->open == t || v->o->fast || v->n->not_read.n > 0)
		return;
	verify_engine_close(v);
	arena_reset(&v->engine_arena);
	const char **files = arena_array(&v->engine_arena, const char *, t->t.n_files + 1);
	for (size_t i = 0; i < t->t.n_files; i++)
		files[i] = arena_format(&v->engine_arena, "%s/%.*s/%.*s", v->project->lake_path, STR_ARG(t->key),
					STR_ARG(t->t.files[i].path)).p;
	v->open = t;
	if (lake_query_open_files(v->project, files, t->t.n_files, &v->engine_arena, &v->engine, &why) &&
	    (v->o->stop == NULL || lake_query_watch(&v->engine, v->o->stop, &why)))
		return;
	verify_engine_close(v);
	v->n->not_read = arena_copy(v->project->arena, str_from(why.message));
}

static void check_rows(struct verify *v, struct str key, const struct verify_table *t, const struct table_file *f)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	const char *path = arena_format(&a, "%s/%.*s", v->project->lake_path, STR_ARG(key)).p;
	open_engine(v, t);
	if (v->engine.connection && !table_file_verify(&v->engine, t->zone, &t->t.schema, path, f, &why) &&
	    why.code == ERR_DAMAGE)
		verify_found(v, key, "%s", why.message);
	arena_free(&a);
}

/* Every byte, also of columns that no row hash covers. */
static bool bytes_agree(struct verify *v, struct str key, const struct table_file *f)
{
	struct sha256 now;
	struct err e = ERR_INIT;
	if (!f->has_hash)
		return true;
	if (!object_hash(v->project->store, key, f->size_bytes, &now, &e)) {
		verify_found(v, key, "%s", e.message);
		return false;
	}
	if (!sha256_eq(now, f->hash))
		verify_found(v, key, "its bytes are not those that were published (SHA-256)");
	return sha256_eq(now, f->hash);
}

static bool is_parquet(struct verify *v, struct str key, uint64_t size)
{
	struct err e = ERR_INIT;
	char head[4], tail[4];
	return size >= 12 && store_read_at(v->project->store, key, 0, head, 4, &e) &&
	       store_read_at(v->project->store, key, size - 4, tail, 4, &e) && memcmp(head, "PAR1", 4) == 0 &&
	       memcmp(tail, "PAR1", 4) == 0;
}

/* What the table says it was made of is still what Raw has, and its truth. */
static void check_origin(struct verify *v, const struct verify_table *t, const struct table_window *w)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct ledger l;
	struct project *j = v->project;
	struct str resource = project_table_resource(j, t->name);
	bool is_child = !str_eq(resource, t->name); /* it counts elements, not records */
	struct str key = key_generation(key_window(key_resource(j->pipeline->name, resource, &a), w->name, &a), w->generation, &a);
	v->about = (struct finding){ .kind = FINDING_ORIGIN, .zone = t->zone, .name = t->name, .window = w->name,
				     .generation = w->generation };
	const char *what = NULL;
	if (!ledger_open(j->store, j->clock, key, STR_NONE, &a, &l, &e))
		what = e.message;
	else if (l.n_entries == 0)
		what = "Raw does not have it";
	else if (!sha256_eq(l.seal.digest, w->content) || !sha256_eq(l.seal_hash, w->seal) ||
		 (!is_child && l.seal.records != w->read))
		what = "its seal is another one now";
	else if (l.status != GENERATION_SEALED)
		what = "it is not promoted";
	if (what)
		verify_found(v, key, "%.*s was made of this generation: %s", STR_ARG(t->key), what);
	arena_free(&a);
}

void verify_file(struct verify *v, const struct verify_table *t, const struct table_file *f)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct str key = arena_format(&a, "%.*s/%.*s", STR_ARG(t->key), STR_ARG(f->path));
	uint64_t size = 0, rows = 0;
	v->about = (struct finding){ .kind = FINDING_FILE, .zone = t->zone, .name = t->name, .path = f->path };
	v->n->files++;
	v->n->table_bytes += f->size_bytes;
	for (size_t i = 0; i < f->n_windows; i++)
		rows += f->windows[i].rows;
	if (!store_key_ok(key))
		verify_found(v, t->key, "the log names a file that cannot be one: %.*s", STR_ARG(f->path));
	else if (!store_size(v->project->store, key, &size, &e))
		verify_found(v, key, "%s", e.code == ERR_MISSING ? "the file is not there" : e.message);
	else if (size != f->size_bytes)
		verify_found(v, key, "%" PRIu64 " bytes, the table's log says %" PRIu64, size, f->size_bytes);
	else if (rows != f->rows)
		verify_found(v, key, "%" PRIu64 " rows, its windows have %" PRIu64, f->rows, rows);
	else if (!v->o->fast && !is_parquet(v, key, size))
		verify_found(v, key, "it is no Parquet file");
	else if (!v->o->fast && bytes_agree(v, key, f))
		check_rows(v, key, t, f);
	for (size_t i = 0; t->zone != ZONE_REFINE && i < f->n_windows; i++)
		check_origin(v, t, &f->windows[i]);
	arena_free(&a);
}

/* ── logs ── */

/* The pieces of a window that is cut into several files tell one story. */
static void check_pieces(struct verify *v, const struct verify_table *t)
{
	for (size_t i = 0; i < t->t.n_files; i++)
		for (size_t k = 0; k < t->t.files[i].n_windows; k++) {
			const struct table_window *w = &t->t.files[i].windows[k], *first = table_find_window(&t->t, w->name);
			if (first->generation != w->generation || !sha256_eq(first->content, w->content) ||
			    !sha256_eq(first->seal, w->seal) || !sha256_eq(first->key, w->key) || first->read != w->read)
				verify_found(v, t->key, "two files tell different stories of window %.*s", STR_ARG(w->name));
		}
}

bool verify_log(struct verify *v, enum lake_zone zone, struct str table)
{
	struct err why = ERR_INIT;
	struct verify_table t = { .zone = zone, .name = table };
	t.key = key_table(zone, v->project->pipeline->name, table, &v->arena);
	v->about = (struct finding){ .kind = FINDING_LOG, .zone = zone, .name = table };
	if (!table_load(v->project->store, t.key, -1, &v->arena, &t.t, &why)) {
		verify_found(v, t.key, "%s", why.message);
		return false;
	}
	if (t.t.version < 0)
		return false;
	v->n->tables++;
	*arena_push(&v->arena, v->tables) = t;
	check_pieces(v, &t);
	return true;
}
