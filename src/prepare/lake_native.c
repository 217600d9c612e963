#include "prepare/lake_native.h"

#include "base/check.h"
#include "base/json.h"
#include "driver/store_copy.h"
#include "format/job_place.h"
#include "prepare/native_answer.h"

enum { ANSWER_MAX_BYTES = 4096 };

char *sluice_job_read(const char *name)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct str text;
	char *out = job_place_read(name, &a, &text, &e) ? native_text(text) : native_error(&e);

	arena_free(&a);
	return out;
}

char *sluice_job_answer(const char *text, size_t n_text, const char *answer, size_t n_answer)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct engine_job job;
	bool ok = engine_job_decode((struct str){ text, n_text }, &a, &job, &e) &&
		  job_place_answer(&job, (struct str){ answer, n_answer }, &a, &e);
	char *out = ok ? native_text(STR("{}")) : native_error(&e);

	arena_free(&a);
	return out;
}

/* Names come out of tables' logs and results: each is "<lake>/<key>". */
static bool key_of(const struct engine_job *job, struct str file, struct str *key, struct err *e)
{
	*key = file.n > job->lake.n ? str_sub(file, job->lake.n + 1, file.n) : STR_NONE;
	if (str_starts(file, job->lake) && key->n > 0 && file.p[job->lake.n] == '/' && store_key_ok(*key))
		return true;
	return err_set(e, ERR_DAMAGE, "%.*s cannot be a file of %.*s", STR_ARG(str_sub(file, 0, 200)), STR_ARG(job->lake));
}

static bool object_bring(const struct engine_job *job, size_t i, const char *path, struct err *e)
{
	struct store *s = NULL;
	struct store_copy copy = { .path = path };

	if (i >= job->n_objects)
		return err_set(e, ERR_USAGE, "the job has %zu objects, and no number %zu", job->n_objects, i);
	const struct job_object *x = &job->objects[i];
	copy.size_bytes = x->size_bytes;
	copy.has_hash = x->has_hash;
	copy.hash = x->hash;
	if (!key_of(job, x->file, &copy.key, e) || !store_open(job->lake, &job->store, false, &s, e))
		return false;
	bool ok = store_bring(s, &copy, 1, NULL, NULL, e);
	store_close(s);
	if (!ok && e->code == ERR_DAMAGE)
		err_hint(e, "`sluice verify` lists all that is damaged, and `sluice repair` makes a table again");
	return ok;
}

char *sluice_object_bring(const char *text, size_t n_text, size_t i, const char *path)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct engine_job job;
	bool ok = engine_job_decode((struct str){ text, n_text }, &a, &job, &e) && object_bring(&job, i, path, &e);
	char *out = ok ? native_text(STR("{}")) : native_error(&e);

	arena_free(&a);
	return out;
}

static bool object_send(const struct engine_job *job, const char *path, const char *name, struct arena *a, uint64_t *size,
			struct sha256 *hash, struct err *e)
{
	struct store *s = NULL;
	struct str key, file = arena_format(a, "%.*s/%s", STR_ARG(job->output), name);

	if (!key_of(job, file, &key, e) || !store_open(job->lake, &job->store, false, &s, e))
		return false;
	bool ok = store_send(s, path, key, size, hash, e);
	store_close(s);
	return ok;
}

char *sluice_object_send(const char *text, size_t n_text, const char *path, const char *name)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct engine_job job;
	struct sha256 hash;
	uint64_t size = 0;
	struct buf b = BUF_INIT(ANSWER_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	char *out;

	if (engine_job_decode((struct str){ text, n_text }, &a, &job, &e) && object_send(&job, path, name, &a, &size, &hash, &e)) {
		json_begin_object(&o, NULL);
		json_put_u64(&o, "size", size);
		json_put_str(&o, "sha256", sha256_hex_str(hash, &a));
		json_end_object(&o);
		CHECK(!b.overflow);
		out = native_text(buf_str(&b));
	} else {
		out = native_error(&e);
	}
	buf_free(&b);
	arena_free(&a);
	return out;
}
