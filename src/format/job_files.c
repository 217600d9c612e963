#include "format/job_files.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/str_map.h"
#include "driver/store_copy.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SENDERS = 4, WAITING_MAX = 4 };

struct job_output {
	struct str *where;      /* in the job */
	struct str key, folder; /* in the lake; here */
};

struct sent {
	struct pool_job job;
	struct job_files *of;
	const char *path;
	struct str key;
	uint64_t size_bytes;
	struct sha256 hash;
	struct err err;
};

struct job_files {
	const struct engine_job *job;
	struct store *store;
	struct arena *a;
	struct {
		struct job_output *v;
		size_t n, cap;
	} outputs;
	pthread_mutex_t lock; /* of what follows */
	struct pool *pool;
	struct arena sent_arena;
	struct str_map by_key;
	struct {
		struct sent **v;
		size_t n, cap;
	} sent;
	struct err err;       /* the first that was met */
};

/* A name in the lake: "<lake>/<key>". */
static bool key_of(const struct engine_job *job, struct str file, struct str *key)
{
	if (!str_starts(file, job->lake) || file.n <= job->lake.n + 1 || file.p[job->lake.n] != '/')
		return false;
	*key = str_sub(file, job->lake.n + 1, file.n);
	return store_key_ok(*key);
}

/* ── inputs ── */

static struct str table_of(struct str key)
{
	struct str part = STR_NONE;
	for (int i = 0; i < 3; i++) /* zone, pipeline, table */
		str_cut(&key, '/', &part);
	return part;
}

static struct str cached_name(const struct job_object *x, struct str key, struct arena *a)
{
	struct str hex = sha256_hex_str(x->has_hash ? x->hash : sha256_of(key), a);
	return arena_format(a, "%s%.*s.parquet", x->has_hash ? "" : "key-", STR_ARG(hex));
}

/* What earlier jobs brought goes, as far as there is no room beside it for what this one lacks. */
static bool make_room(const struct engine_job *job, const struct str_map *needed, uint64_t lacking, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct { struct str path; uint64_t bytes; } *v = NULL;
	size_t n = 0, cap = 0;
	uint64_t all = lacking;
	DIR *dir = sys_opendir(job->cache.p);
	struct dirent *entry;
	struct stat st;
	if (dir == NULL)
		return err_set_errno(e, ERR_STORAGE, errno, "%s", job->cache.p);
	while ((entry = sys_readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' || sys_fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		all += (uint64_t)st.st_size;
		if (str_map_get(needed, str_from(entry->d_name)) != SIZE_MAX)
			continue;
		v = arena_push_grow(&a, v, n, &cap, sizeof *v);
		v[n].path = arena_format(&a, "%s/%s", job->cache.p, entry->d_name);
		v[n++].bytes = (uint64_t)st.st_size;
	}
	closedir(dir);
	for (size_t i = 0; i < n && all > job->scratch_bytes; i++)
		if (sys_unlink(v[i].path.p) == 0)
			all -= v[i].bytes;
	arena_free(&a);
	return true;
}

static bool too_much(const struct engine_job *job, uint64_t bytes, struct err *e)
{
	err_set(e, ERR_STORAGE, "%.*s reads %" PRIu64 " bytes of tables, and no more than %" PRIu64 " may be brought to this machine",
		STR_ARG(job->table.n > 0 ? job->table : STR("the job")), bytes, job->scratch_bytes);
	return err_hint(e, "raise `engine.scratch` in the pipeline file; it is room in $TMPDIR that a job's inputs may take");
}

static bool damage_hint(struct str key, struct err *e)
{
	if (e->code != ERR_DAMAGE)
		return false;
	return err_hint(e, "`sluice repair %.*s` makes it again; `sluice verify` lists all that is damaged",
			STR_ARG(table_of(key)));
}

/* paths[i]: where object i is. */
static bool bring(struct job_files *f, char **paths, struct err *e)
{
	const struct engine_job *job = f->job;
	struct store_copy *copies = arena_array(f->a, struct store_copy, job->n_objects + 1);
	struct str_map needed = { 0 };
	uint64_t all = 0, lacking = 0;
	size_t n = 0, bad = 0;
	struct stat st;
	for (size_t i = 0; i < job->n_objects; i++) {
		const struct job_object *x = &job->objects[i];
		struct str key;
		if (!key_of(job, x->file, &key)) /* names come out of tables' logs */
			return err_set(e, ERR_DAMAGE, "%.*s: its log names a file that cannot be one", STR_ARG(x->file));
		struct str name = cached_name(x, key, f->a);
		paths[i] = arena_zero_terminated(f->a, arena_format(f->a, "%.*s/%.*s", STR_ARG(job->cache), STR_ARG(name)));
		if (!str_map_add(&needed, name, i, f->a))
			continue; /* the same content under two names */
		all += x->size_bytes;
		if (sys_stat(paths[i], &st) == 0 && (uint64_t)st.st_size == x->size_bytes)
			continue;
		lacking += x->size_bytes;
		copies[n++] = (struct store_copy){ .key = key, .size_bytes = x->size_bytes, .has_hash = x->has_hash,
						  .hash = x->hash, .path = paths[i] };
	}
	if (all > job->scratch_bytes)
		return too_much(job, all, e);
	return (n == 0 || make_room(job, &needed, lacking, e)) &&
	       (store_bring(f->store, copies, n, NULL, &bad, e) || damage_hint(copies[bad].key, e));
}

static bool rename_files(const struct engine_job *job, const struct str_map *objects, char **paths, struct str *files, size_t n,
			 struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = str_map_get(objects, files[i]);
		if (k == SIZE_MAX)
			return err_set(e, ERR_USAGE, "%.*s: the job lists no object for %.*s", STR_ARG(job->table), STR_ARG(files[i]));
		files[i] = str_from(paths[k]);
	}
	return true;
}

static bool inputs_open(struct job_files *f, struct engine_job *job, struct err *e)
{
	char **paths = arena_array(f->a, char *, job->n_objects + 1);
	struct str_map objects = { 0 };
	if (!file_make_dirs(job->cache.p, e) || !bring(f, paths, e))
		return false;
	for (size_t i = 0; i < job->n_objects; i++)
		str_map_add(&objects, job->objects[i].file, i, f->a);
	for (size_t i = 0; i < job->n_inputs; i++)
		if (!rename_files(job, &objects, paths, job->inputs[i].files, job->inputs[i].n_files, e))
			return false;
	for (size_t i = 0; i < job->n_merges; i++)
		if (!rename_files(job, &objects, paths, job->merges[i].files, job->merges[i].n_files, e))
			return false;
	return true;
}

/* ── outputs ── */

/* The folder keeps its last name, which is part of the files' paths in the table. */
static bool output_open(struct job_files *f, struct str *where, struct err *e)
{
	/* Where the result goes to the lake, too, there is the scratch of whoever carries the job out. */
	struct str dir = store_name_is_path(f->job->result_path) ? f->job->result_path : f->job->scratch, key, last = STR_NONE, rest;
	if (!key_of(f->job, *where, &key))
		return true; /* a folder of the parent's */
	while (dir.n > 0 && dir.p[dir.n - 1] != '/')
		dir.n--;
	rest = key;
	while (str_cut(&rest, '/', &last))
		;
	struct str folder = arena_format(f->a, "%.*sout/%zu/%.*s", STR_ARG(dir), f->outputs.n, STR_ARG(last));
	*arena_push(f->a, f->outputs) = (struct job_output){ where, key, folder };
	*where = folder;
	return file_make_dirs(folder.p, e);
}

static bool outputs_open(struct job_files *f, struct engine_job *job, struct err *e)
{
	bool ok = output_open(f, &job->output, e) && output_open(f, &job->quarantine_output, e);
	for (size_t i = 0; ok && i < job->n_children; i++)
		ok = output_open(f, &job->children[i].output, e) && output_open(f, &job->children[i].quarantine_output, e);
	return ok;
}

bool job_files_open(struct engine_job *job, struct arena *a, struct err *e)
{
	if (!job->by_store)
		return true;
	struct job_files *f = job->files = arena_new(a, struct job_files);
	*f = (struct job_files){ .job = job, .a = a, .err = ERR_INIT };
	pthread_mutex_init(&f->lock, NULL);
	job->cache = str_from(arena_zero_terminated(a, job->cache));
	return store_open(job->lake, &job->store, false, &f->store, e) && inputs_open(f, job, e) && outputs_open(f, job, e);
}

/* ── sending ── */

static void send_file(struct pool_job *job)
{
	struct sent *s = (struct sent *)job;
	if (store_send(s->of->store, s->path, s->key, &s->size_bytes, &s->hash, &s->err))
		sys_unlink(s->path); /* the job's folder goes at its end in any case */
}

static void file_sent(struct pool_job *job)
{
	struct sent *s = (struct sent *)job;
	if (s->err.code != ERR_NONE && s->of->err.code == ERR_NONE)
		s->of->err = s->err;
}

static void wait_for(struct job_files *f, size_t most)
{
	while (f->pool && pool_pending(f->pool) > most) {
		pool_wait(f->pool);
		pool_collect(f->pool);
	}
}

static bool key_of_path(const struct job_files *f, struct str path, struct arena *a, struct str *key)
{
	for (size_t i = 0; i < f->outputs.n; i++) {
		const struct job_output *o = &f->outputs.v[i];
		if (!str_starts(path, o->folder) || path.n <= o->folder.n || path.p[o->folder.n] != '/')
			continue;
		*key = arena_format(a, "%.*s%.*s", STR_ARG(o->key), STR_ARG(str_sub(path, o->folder.n, path.n)));
		return true;
	}
	return false;
}

static bool first_trouble(const struct job_files *f, struct err *e)
{
	if (f->err.code == ERR_NONE)
		return true;
	*e = f->err;
	return false;
}

bool job_file_made(const struct engine_job *job, const char *path, struct err *e)
{
	struct job_files *f = job->files;
	struct str key;
	if (f == NULL)
		return true;
	pthread_mutex_lock(&f->lock);
	if (key_of_path(f, str_from(path), &f->sent_arena, &key)) {
		struct sent *s = arena_new(&f->sent_arena, struct sent);
		*s = (struct sent){ .job = { .work = send_file, .done = file_sent }, .of = f, .key = key, .err = ERR_INIT,
				    .path = arena_zero_terminated(&f->sent_arena, str_from(path)) };
		CHECK(str_map_add(&f->by_key, key, f->sent.n, &f->sent_arena));
		*arena_push(&f->sent_arena, f->sent) = s;
		if (f->pool == NULL)
			f->pool = pool_new(SENDERS, NULL, NULL);
		pool_submit(f->pool, &s->job);
		wait_for(f, SENDERS + WAITING_MAX);
	}
	bool ok = first_trouble(f, e);
	pthread_mutex_unlock(&f->lock);
	return ok;
}

bool job_file_drop(const struct engine_job *job, const char *path, struct err *e)
{
	struct job_files *f = job->files;
	struct str key;
	bool ok = true;
	if (f) {
		pthread_mutex_lock(&f->lock);
		if (key_of_path(f, str_from(path), &f->sent_arena, &key) && str_map_get(&f->by_key, key) != SIZE_MAX) {
			wait_for(f, 0);
			ok = first_trouble(f, e) && store_remove(f->store, key, e);
		}
		pthread_mutex_unlock(&f->lock);
	}
	sys_unlink(path);
	return ok;
}

/* ── the end ── */

static void fill_hashes(struct job_files *f, const struct str *where, struct table_file *files, size_t n)
{
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < f->outputs.n; i++) {
		const struct job_output *o = &f->outputs.v[i];
		for (size_t k = 0; o->where == where && k < n; k++) {
			struct str rest = files[k].path, name = STR_NONE;
			if (files[k].has_hash)
				continue; /* another process has sent it */
			while (str_cut(&rest, '/', &name))
				;
			size_t at = str_map_get(&f->by_key, arena_format(&a, "%.*s/%.*s", STR_ARG(o->key), STR_ARG(name)));
			CHECK(at != SIZE_MAX); /* each file of a result was handed over */
			files[k].has_hash = true;
			files[k].hash = f->sent.v[at]->hash;
		}
	}
	arena_free(&a);
}

bool job_files_finish(const struct engine_job *job, struct engine_result *r, struct err *e)
{
	struct job_files *f = job->files;
	if (f == NULL)
		return true;
	pthread_mutex_lock(&f->lock);
	wait_for(f, 0);
	bool ok = first_trouble(f, e);
	pthread_mutex_unlock(&f->lock);
	if (!ok)
		return false;
	fill_hashes(f, &job->output, r->files, r->n_files);
	fill_hashes(f, &job->quarantine_output, r->quarantine_files, r->n_quarantine_files);
	for (size_t i = 0; i < job->n_children && i < r->n_children; i++) {
		fill_hashes(f, &job->children[i].output, r->children[i].files, r->children[i].n_files);
		fill_hashes(f, &job->children[i].quarantine_output, r->children[i].quarantine_files,
			    r->children[i].n_quarantine_files);
	}
	return true;
}

void job_files_close(struct engine_job *job)
{
	struct job_files *f = job->files;
	if (f == NULL)
		return;
	wait_for(f, 0);
	if (f->pool)
		pool_free(f->pool);
	if (f->store)
		store_close(f->store);
	arena_free(&f->sent_arena);
	pthread_mutex_destroy(&f->lock);
	job->files = NULL;
}
