#include "run/input_check.h"

#include "run/object_hash.h"

#include <inttypes.h>

static bool refuse(struct err *e, struct str file, struct str table_key, const char *why)
{
	struct str table = table_key, part;
	while (str_cut(&table_key, '/', &part))
		table = part;
	err_set(e, ERR_DAMAGE, "%.*s: %s", STR_ARG(file), why);
	return err_hint(e, "`sluice repair %.*s` makes it again; `sluice verify` lists all that is damaged", STR_ARG(table));
}

bool input_gone(struct project *j, struct str table_key, const struct table_snapshot *held, struct str file_key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct table_snapshot now;
	struct err why = ERR_INIT, ignored = ERR_INIT;
	uint64_t size = 0;
	bool gone = !store_size(j->store, file_key, &size, &why) && why.code == ERR_MISSING &&
		    project_table_load(j, table_key, &a, &now, &ignored);
	for (size_t i = 0; gone && i < now.n_files; i++)
		gone = !str_eq(file_key, arena_format(&a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(now.files[i].path)));
	if (gone) {
		err_set(e, ERR_FENCED, "%.*s went from version %" PRId64 " to %" PRId64 " while it was read, and what only the older "
			"one names was collected", STR_ARG(table_key), held->version, now.version);
		err_hint(e, "run the same command again; `sluice gc` leaves such files alone for days, unless --keep-days says 0");
	}
	arena_free(&a);
	return gone;
}

static bool check_file(struct project *j, struct str table_key, const struct table_snapshot *t, struct str key,
		       const struct table_file *f, struct err *e)
{
	struct err why = ERR_INIT;
	struct sha256 now;
	uint64_t size = 0;
	if (!store_size(j->store, key, &size, &why)) {
		if (why.code == ERR_MISSING)
			return !input_gone(j, table_key, t, key, e) && refuse(e, key, table_key, "the file is not there");
		*e = why;
		return false;
	}
	if (size != f->size_bytes)
		return refuse(e, key, table_key, "it has another size than the table's log says");
	if (!f->has_hash)
		return true;
	if (!object_hash(j->store, key, size, &now, e))
		return false;
	return sha256_eq(now, f->hash) || refuse(e, key, table_key, "its bytes are not those that were published (SHA-256)");
}

bool input_check(struct project *j, struct str table_key, const struct table_snapshot *t, struct input_checks *done,
		 struct err *e)
{
	struct arena own = ARENA_INIT;
	struct arena *a = done ? &done->arena : &own;
	bool ok = true;
	/* Where the lake is no folder, whoever brings a file compares it on the way (job_files.h). */
	for (size_t i = 0; ok && project_has_paths(j) && i < t->n_files; i++) {
		struct str key = arena_format(a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(t->files[i].path));
		if (t->files[i].rows == 0 || (done && str_map_get(&done->files, key) != SIZE_MAX))
			continue;
		if (!store_key_ok(key))
			ok = err_set(e, ERR_DAMAGE, "%.*s: its log names a file that cannot be one", STR_ARG(table_key));
		ok = ok && check_file(j, table_key, t, key, &t->files[i], e);
		if (ok && done)
			str_map_add(&done->files, key, 0, a);
	}
	arena_free(&own);
	return ok;
}
