#include "format/job_place.h"

#include "base/file.h"

enum { JOB_MAX = 256 << 20, REPLACE_MAX = 5 };

/* A job that waits in a lake that is no folder is named by its URL. Its own settings are not known before it is read. */
bool job_place_read(const char *name, struct arena *a, struct str *text, struct err *e)
{
	struct str url = str_from(name);
	struct store *s = NULL;
	size_t at = url.n;
	if (store_name_is_path(url))
		return file_read(name, JOB_MAX, a, text, e);
	while (url.p[at - 1] != '/')
		at--;
	struct str key = str_sub(url, at, url.n);
	if (!store_key_ok(key))
		return err_set(e, ERR_USAGE, "%s is no job", name);
	if (!store_open(str_sub(url, 0, at - 1), &(struct store_settings){ 0 }, false, &s, e))
		return false;
	bool ok = store_get(s, key, JOB_MAX, a, text, e) || err_wrap(e, "%s", name);
	store_close(s);
	return ok;
}

/* As a rename would do it: what an attempt before this one left there, be it an error, goes. */
static bool result_replace(struct store *s, struct str key, struct str answer, struct arena *a, struct err *e)
{
	enum store_created created;
	for (int i = 0; i < REPLACE_MAX; i++) {
		struct str there;
		struct err gone = ERR_INIT;
		if (!store_create(s, key, answer, &created, e))
			return false;
		if (created == STORE_CREATED)
			return true;
		if (!store_get(s, key, JOB_MAX, a, &there, &gone)) {
			if (gone.code == ERR_MISSING)
				continue;
			*e = gone;
			return false;
		}
		if (str_eq(there, answer))
			return store_settle(s, key, e);
		if (!store_remove(s, key, e))
			return false;
	}
	return err_set(e, ERR_STORAGE, "somebody else writes it all the time");
}

bool job_place_answer(const struct engine_job *job, struct str answer, struct arena *a, struct err *e)
{
	struct str to = job->result_path;
	struct store *s = NULL;
	if (store_name_is_path(to))
		return file_write(arena_zero_terminated(a, to), answer, e);
	bool below = str_starts(to, job->lake) && to.n > job->lake.n && to.p[job->lake.n] == '/';
	struct str key = below ? str_sub(to, job->lake.n + 1, to.n) : STR_NONE;
	if (!below || !store_key_ok(key))
		return err_set(e, ERR_USAGE, "the job's result %.*s is not in its lake", STR_ARG(str_sub(to, 0, 200)));
	if (!store_open(job->lake, &job->store, false, &s, e))
		return false;
	bool ok = result_replace(s, key, answer, a, e) || err_wrap(e, "%.*s", STR_ARG(to));
	store_close(s);
	return ok;
}
