#include "driver/store_copy.h"
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
	size_t n = project_has_paths(v->project) ? t->t.n_files : 0; /* others are brought into its scratch folder */
	for (size_t i = 0; i < n; i++)
		files[i] = arena_format(&v->engine_arena, "%s/%.*s/%.*s", v->project->lake_path, STR_ARG(t->key),
					STR_ARG(t->t.files[i].path)).p;
	v->open = t;
	if (lake_query_open_files(v->project, files, n, &v->engine_arena, &v->engine, &why) &&
	    (v->o->stop == NULL || lake_query_watch(&v->engine, v->o->stop, &why)))
		return;
	verify_engine_close(v);
	verify_engine_failed(v, t->key, &why);
}

/* Where the engine finds the file; NULL: it is not on this machine. */
static const char *path_of(const struct verify *v, struct str key, struct arena *a)
{
	if (project_has_paths(v->project))
		return arena_format(a, "%s/%.*s", v->project->lake_path, STR_ARG(key)).p;
	return v->engine.connection ? arena_format(a, "%s/verify.parquet", v->engine.scratch.path).p : NULL;
}

static void check_rows(struct verify *v, struct str key, const struct verify_table *t, const struct table_file *f)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	const char *path = path_of(v, key, &a);
	if (v->engine.connection && !table_file_verify(&v->engine, t->zone, &t->t.schema, path, f, &why)) {
		if (why.code == ERR_DAMAGE) {
			verify_unread(v, key, &why);
		} else {
			verify_engine_failed(v, key, &why);
			verify_engine_close(v); /* it sees this table only: the next one would look damaged through it */
		}
	}
	arena_free(&a);
}

/* Every byte, also of columns that no row hash covers. */
static bool bytes_agree(struct verify *v, struct str key, const struct table_file *f)
{
	struct arena a = ARENA_INIT;
	struct sha256 now;
	struct err e = ERR_INIT;
	const char *path = path_of(v, key, &a);
	bool bring = path && !project_has_paths(v->project), ok = true;
	if (bring) { /* read once, for this and for the engine */
		struct store_copy c = { .key = key, .size_bytes = f->size_bytes, .path = path, .is = &now };
		ok = store_bring(v->project->store, &c, 1, v->o->stop, NULL, &e);
	} else if (f->has_hash) {
		ok = object_hash(v->project->store, key, f->size_bytes, &now, &e);
	}
	arena_free(&a);
	if (!ok) {
		if (e.code != ERR_SIGINT && e.code != ERR_SIGTERM)
			verify_unread(v, key, &e);
		return false;
	}
	if (!f->has_hash)
		return true;
	if (!sha256_eq(now, f->hash))
		verify_found(v, key, "its bytes are not those that were published (SHA-256)");
	return sha256_eq(now, f->hash);
}

static bool is_parquet(struct verify *v, struct str key, uint64_t size)
{
	struct err e = ERR_INIT;
	char head[4], tail[4];
	if (size < 12) {
		verify_found(v, key, "it is no Parquet file");
		return false;
	}
	if (!store_read_at(v->project->store, key, 0, head, 4, &e) ||
	    !store_read_at(v->project->store, key, size - 4, tail, 4, &e)) {
		verify_unread(v, key, &e);
		return false;
	}
	bool is = memcmp(head, "PAR1", 4) == 0 && memcmp(tail, "PAR1", 4) == 0;
	if (!is)
		verify_found(v, key, "it is no Parquet file");
	return is;
}

/* What the rows name, where that is an older fetch than the tag's (rule 31): Raw has it, with the same content. */
static void check_row_origin(struct verify *v, const struct verify_table *t, const struct table_window *w)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct ledger l;
	struct project *j = v->project;
	struct str resource = key_resource(j->pipeline->name, project_table_resource(j, t->name), &a);
	struct str key = key_generation(key_window(resource, w->row_window, &a), w->row_generation, &a);
	v->about = (struct finding){ .kind = FINDING_ORIGIN, .zone = t->zone, .name = t->name, .window = w->row_window,
				     .generation = w->row_generation };
	if (!ledger_open(project_raw(j), j->clock, key, STR_NONE, &a, &l, &e)) {
		if (e.code != ERR_DAMAGE) /* told with Raw; the tag names a fetch with the same content */
			verify_unread(v, key, &e);
	} else if (l.status == GENERATION_EXPIRED) {
		/* given up, since the fetch that the tag names has the same content */
	} else if (l.n_entries == 0 || !sha256_eq(l.seal.digest, w->content)) {
		verify_found(v, key, "rows of %.*s name this generation, which has %s", STR_ARG(t->key),
			     l.n_entries == 0 ? "no ledger" : "another content");
	}
	arena_free(&a);
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
	if (!ledger_open(project_raw(j), j->clock, key, STR_NONE, &a, &l, &e)) {
		err_wrap(&e, "%.*s was made of this generation", STR_ARG(t->key));
		verify_unread(v, key, &e);
	} else if (l.n_entries == 0) {
		what = "Raw does not have it";
	} else if (!sha256_eq(l.seal.digest, w->content) || !sha256_eq(l.seal_hash, w->seal) ||
		   (!is_child && l.seal.records != w->read)) {
		what = "its seal is another one now";
	} else if (l.status != GENERATION_SEALED) {
		what = "it is not promoted";
	}
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
	else if (!store_size(v->sizes[t->zone] ? v->sizes[t->zone] : v->project->store, key, &size, &e))
		verify_missing(v, key, "the file is not there", &e);
	else if (size != f->size_bytes)
		verify_found(v, key, "%" PRIu64 " bytes, the table's log says %" PRIu64, size, f->size_bytes);
	else if (rows != f->rows)
		verify_found(v, key, "%" PRIu64 " rows, its windows have %" PRIu64, f->rows, rows);
	else if (!v->o->fast && is_parquet(v, key, size)) {
		open_engine(v, t);
		if (bytes_agree(v, key, f))
			check_rows(v, key, t, f);
	}
	for (size_t i = 0; t->zone != ZONE_REFINE && i < f->n_windows; i++) {
		const struct table_window *w = &f->windows[i];
		check_origin(v, t, w);
		if (!str_eq(w->row_window, w->name) || w->row_generation != w->generation)
			check_row_origin(v, t, w);
	}
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

static void bad_state(void *user, struct str where, struct str what)
{
	verify_found(user, where, "%.*s", STR_ARG(what));
}

/* By the log alone, and then every folded state against it. */
static void ignore_state(void *user, struct str where, struct str what)
{
	(void)user, (void)where, (void)what;
}

void verify_ask_log(struct store *s, struct str table_key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct table_snapshot t;
	struct store_listing list; /* of checkpoints */
	if (table_replay(s, table_key, -1, &a, &t, e) && table_states_check(s, table_key, ignore_state, NULL, e))
		store_list(s, arena_format(&a, "%.*s/_delta_log", STR_ARG(table_key)), &a, &list, e);
	arena_free(&a);
}

static bool load_table(struct verify *v, struct verify_table *t, struct err *e)
{
	if (!table_replay(v->logs, t->key, -1, &v->arena, &t->t, e))
		return false;
	struct err why = ERR_INIT;
	v->about.kind = FINDING_STATE; /* what is told with it is removed by a repair: never a folder */
	if (!table_states_check(v->logs, t->key, bad_state, v, &why))
		verify_trouble(v, t->key, &why);
	verify_checkpoints(v, t->key);
	v->about.kind = FINDING_LOG;
	return true;
}

bool verify_log(struct verify *v, enum lake_zone zone, struct str table)
{
	struct err why = ERR_INIT;
	struct verify_table t = { .zone = zone, .name = table };
	t.key = key_table(zone, v->project->pipeline->name, table, &v->arena);
	v->about = (struct finding){ .kind = FINDING_LOG, .zone = zone, .name = table, .version = -1 };
	if (!load_table(v, &t, &why)) {
		struct err unreadable = ERR_INIT; /* what `why` says is told */
		int64_t good = 0;
		v->about.version = table_good_versions(v->project->store, t.key, &good, &unreadable) ? good : 0;
		verify_unread(v, t.key, &why);
		return false;
	}
	if (t.t.in_repair) {
		v->about.version = t.t.version + 1;
		verify_found(v, t.key, "its repair was cut off, so it is not all there");
	}
	if (t.t.version < 0)
		return false;
	v->n->tables++;
	*arena_push(&v->arena, v->tables) = t;
	v->about.version = 0; /* nobody can say from which version on */
	check_pieces(v, &t);
	return true;
}
