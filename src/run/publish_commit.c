#include "base/check.h"
#include "format/process.h"
#include "prepare/prepare.h"
#include "prepare/record.h"
#include "run/engine_exchange.h"
#include "run/object_hash.h"
#include "run/publish.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

enum { COMMIT_TRIES = 20 };

/* ── schemas ── */

static struct str meta_comment(struct str name)
{
	static const struct {
		const char *name, *comment;
	} known[] = {
		{ "_extra", "fields that the contract does not know, as sent (JSON)" },
		{ "_window", "the window that the row came with" },
		{ "_gen", "generation: the fetch of the window that the row came with" },
		{ "_page", "page of that generation, from 1" },
		{ "_off", "offset of the record in the page's decoded body, in bytes" },
		{ "_len", "length of the record in bytes" },
		{ "_parent_off", "offset of the record that the array stands in: its `_off`" },
		{ "_idx", "place in the record's array, from 0; NULL for a record of its own" },
		{ "_reasons", "why it was set aside: JSON list of rule, column, path, value" },
		{ "_raw", "the record as sent, cut at 64 KiB" },
	};
	for (size_t i = 0;; i++) {
		CHECK(i < sizeof known / sizeof *known);
		if (str_eq_z(name, known[i].name))
			return str_from(known[i].comment);
	}
}

static struct table_schema schema_of(const struct batch_shape *shape, size_t n, const struct contract *c, struct arena *a)
{
	struct table_schema s = { arena_array(a, struct table_column, n + 1), n };
	for (size_t i = 0; i < n; i++) {
		struct str comment = c && i < c->n_columns ? c->columns[i].description : meta_comment(shape[i].name);
		s.v[i] = (struct table_column){ shape[i].name, shape[i].type, shape[i].precision, shape[i].scale, comment };
	}
	return s;
}

struct table_schema publish_schema(const struct contract *c, bool prepare, struct arena *a)
{
	size_t n = 0;
	struct batch_shape *shape = record_shape(c, a, &n);
	return schema_of(shape, prepare ? n : c->n_columns, c, a);
}

struct table_schema publish_quarantine_schema(struct arena *a)
{
	size_t n = 0;
	struct batch_shape *shape = quarantine_shape(a, &n);
	return schema_of(shape, n, NULL, a);
}

static bool schema_eq(const struct table_schema *x, const struct table_schema *y, struct arena *a)
{
	return str_eq(table_schema_json(x, a), table_schema_json(y, a));
}

/* ── files ── */

bool publish_folder(struct publish *u, struct str table_key, struct sha256 job_key, struct arena *a, struct str *absolute,
		    struct err *e)
{
	struct str hex = sha256_hex_str(job_key, a), nonce = process_nonce(a);
	struct str key = arena_format(a, "%.*s/data/%.16s-%.12s", STR_ARG(table_key), hex.p, nonce.p);
	if (!store_make_folder(u->project->store, key, e)) /* elsewhere than on a disk there is nothing to make */
		return false;
	*absolute = arena_format(a, "%s/%.*s", u->project->lake_path, STR_ARG(key));
	return true;
}

/* Who made the file says so; this run did not see it made. What a table publishes is the bytes that its log says, so they are looked
 * at, unless the service has compared them when they came. */
static bool claim_check(struct publish *u, struct str key, const struct table_file *f, struct err *e)
{
	struct clock *clock = u->project->clock;
	enum store_kept kept;
	struct sha256 now;
	if (u->options->stop && *u->options->stop != 0)
		return err_set(e, *u->options->stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
	if (u->options->deadline_us > 0 && clock->monotonic_us(clock) >= u->options->deadline_us)
		return err_set(e, ERR_BUDGET, "no time is left to read what the engine has written");
	if (!store_compare_kept(u->project->store, key, f->hash, &kept, e))
		return false;
	if (kept == STORE_KEPT_NONE) {
		if (!object_hash(u->project->store, key, f->size_bytes, &now, e))
			return false;
		kept = sha256_eq(now, f->hash) ? STORE_KEPT_SAME : STORE_KEPT_OTHER;
	}
	if (kept == STORE_KEPT_SAME)
		return true;
	err_set(e, ERR_ENGINE, "%.*s: its bytes are not those that the engine's result names (SHA-256)", STR_ARG(key));
	return err_hint(e, "nothing was published; carry the job out again, and see who else may write to this lake");
}

bool publish_settle(struct publish *u, struct str table_key, struct table_file *files, size_t n, struct arena *a,
		    struct err *e)
{
	const struct engine_exchange *x = u->options->exchange;
	CHECK(!x || x->way == EXCHANGE_TAKE); /* a job that was written down has no files yet */
	for (size_t i = 0; i < n; i++) {
		struct str key = arena_format(a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(files[i].path));
		uint64_t size = 0;
		if (!store_size(u->project->store, key, &size, e))
			return err_wrap(e, "a file that the engine says it wrote");
		if (size != files[i].size_bytes)
			return err_set(e, ERR_ENGINE, "%.*s has %" PRIu64 " bytes, the engine said %" PRIu64, STR_ARG(key), size,
				       files[i].size_bytes);
		if (!store_settle(u->project->store, key, e))
			return false;
		if (x && files[i].has_hash && !claim_check(u, key, &files[i], e))
			return false;
		/* A child of ours that sent it has hashed what was sent; else it is read once more. */
		if (!files[i].has_hash && !object_hash(u->project->store, key, size, &files[i].hash, e))
			return false;
		files[i].has_hash = true;
	}
	return true;
}

/* ── the commit ── */

static const struct table_file *find_file(const struct table_snapshot *t, struct str path)
{
	for (size_t i = 0; i < t->n_files; i++)
		if (str_eq(t->files[i].path, path))
			return &t->files[i];
	return NULL;
}

static bool same_tag(const struct table_window *x, const struct table_window *y)
{
	return str_eq(x->name, y->name) && x->generation == y->generation && sha256_eq(x->key, y->key);
}

/* Still there, with the tags that we saw? */
static bool untouched(const struct table_snapshot *before, const struct table_snapshot *now, struct str path)
{
	const struct table_file *was = find_file(before, path), *is = find_file(now, path);
	CHECK(was);
	if (is == NULL || was->n_windows != is->n_windows)
		return false;
	for (size_t k = 0; k < was->n_windows; k++)
		if (!same_tag(&was->windows[k], &is->windows[k]))
			return false;
	return true;
}

static bool all_there(const struct table_snapshot *t, const struct commit_ask *ask)
{
	for (size_t i = 0; i < ask->n_add; i++)
		for (size_t k = 0; k < ask->add[i].n_windows; k++) {
			const struct table_window *ours = &ask->add[i].windows[k];
			const struct table_window *theirs = table_find_window(t, ours->name);
			if (theirs == NULL || !sha256_eq(theirs->key, ours->key) ||
			    theirs->generation < ours->generation)
				return false;
		}
	return true;
}

enum verdict { ADD_ON_TOP, ALREADY_DONE, BUILD_AGAIN, LOST };

/* Rule 32: what the winners of our version number mean for us. `before` is what we built on, `now` what they made. */
static enum verdict judge_winners(const struct commit_ask *ask, const struct table_snapshot *before,
				  const struct table_snapshot *now, struct arena *a)
{
	if (!ask->moves && ask->n_add > 0 && all_there(now, ask))
		return ALREADY_DONE;
	bool same_schema = before->version >= 0 && schema_eq(&before->schema, &now->schema, a);
	if (!same_schema && !schema_eq(ask->schema, &now->schema, a))
		return LOST;
	enum verdict verdict = ask->whole ? BUILD_AGAIN : ADD_ON_TOP;
	for (size_t i = 0; i < ask->n_remove; i++)
		if (!untouched(before, now, ask->remove[i].path))
			verdict = BUILD_AGAIN;
	for (size_t i = 0; i < ask->n_add; i++) {
		if (ask->add[i].same_data && !ask->moves && !untouched(before, now, ask->add[i].path))
			verdict = BUILD_AGAIN;
		for (size_t k = 0; k < ask->add[i].n_windows; k++) {
			const struct table_window *ours = &ask->add[i].windows[k];
			const struct table_window *was = table_find_window(before, ours->name);
			const struct table_window *is = table_find_window(now, ours->name);
			bool theirs = is && (!was || !same_tag(was, is));
			bool carried = was && same_tag(was, ours); /* it only shares a file with one of ours */
			if (theirs && !carried && is->generation >= ours->generation)
				return LOST;
			if (theirs)
				verdict = BUILD_AGAIN;
		}
	}
	return verdict;
}

/* ── repair ── */

bool publish_is_damaged(const struct publish *u, struct str table_key, const struct table_file *f)
{
	struct arena a = ARENA_INIT;
	const struct run_repair *r = u->options->repair;
	bool damaged = r && str_map_get(&r->damaged, arena_format(&a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(f->path))) != SIZE_MAX;
	arena_free(&a);
	return damaged;
}

bool publish_renews(const struct publish *u, struct str table_key)
{
	const struct run_repair *r = u->options->repair;
	size_t i = r ? str_map_get(&r->renew, table_key) : SIZE_MAX;
	return i != SIZE_MAX && !r->renewed[i];
}

static void note_renewed(const struct publish *u, struct str table_key)
{
	const struct run_repair *r = u->options->repair;
	size_t i = r ? str_map_get(&r->renew, table_key) : SIZE_MAX;
	if (i != SIZE_MAX)
		r->renewed[i] = true;
}

static struct str new_id(const struct publish *u, struct str table_key, bool renew, struct arena *a)
{
	const struct run_repair *r = u->options->repair;
	size_t i = r && renew ? str_map_get(&r->renew, table_key) : SIZE_MAX;
	return i == SIZE_MAX ? process_uuid(a) : r->id[i];
}

bool publish_repaired(struct publish *u, struct str table_key, struct err *e)
{
	const struct run_repair *r = u->options->repair;
	return r == NULL || str_map_get(&r->renew, table_key) == SIZE_MAX ||
	       table_cut_clear(u->project->store, table_key, e);
}

bool publish_renew(struct publish *u, enum lake_zone zone, struct str table, const struct table_schema *schema,
		   struct table_snapshot *t, struct arena *a, struct err *e)
{
	bool again = false;
	struct str key = project_table_key(u->project, zone, table, a);
	struct commit_ask ask = { .zone = zone, .table = table, .operation = STR("sluice repair"), .schema = schema,
				  .contract_meaning = t->contract_meaning };
	if (!publish_renews(u, key) || t->version < 0)
		return true;
	bool ok = publish_commit(u, &ask, t, &again, a, e);
	CHECK(!again); /* nothing that others do is in the way of nothing added and nothing removed */
	return ok;
}

/* `id`: another one, which the table gets, as each does with its first version; "": it keeps the one that it has. */
static void fill_commit(struct publish *u, const struct commit_ask *ask, const struct table_snapshot *t, struct str id,
			struct table_commit *c, struct arena *a)
{
	bool renew = id.n > 0;
	CHECK(renew || t->version >= 0);
	bool new_schema = renew || (!ask->moves && (!schema_eq(&t->schema, ask->schema, a) ||
						    !str_eq(t->contract_meaning, ask->contract_meaning)));
	*c = (struct table_commit){
		.version = t->version + 1,
		.operation = ask->operation,
		.run_id = u->run_id,
		.nonce = process_nonce(a),
		.previous = t->last_hash,
		.job_key = ask->job_key,
		.time_us = u->project->clock->wall_us(u->project->clock),
		.schema = new_schema ? ask->schema : NULL,
		.table_id = renew ? id : t->id,
		.name = ask->table,
		.description = ask->description,
		.contract_meaning = ask->contract_meaning,
		.add = ask->add,
		.n_add = ask->n_add,
		.remove = ask->remove,
		.n_remove = ask->n_remove,
	};
}

/* A run that slept for a week between writing and committing: a collection may have taken what it wrote. */
static bool still_there(struct publish *u, struct str table_key, const struct commit_ask *ask, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < ask->n_add; i++) {
		struct str key = arena_format(a, "%.*s/%.*s", STR_ARG(table_key), STR_ARG(ask->add[i].path));
		struct err why = ERR_INIT;
		uint64_t size = 0;
		if (ask->add[i].same_data || store_size(u->project->store, key, &size, &why))
			continue;
		if (why.code != ERR_MISSING) {
			*e = why;
			return false;
		}
		return err_set(e, ERR_FENCED, "%.*s is gone: it waited too long for its commit", STR_ARG(key));
	}
	return true;
}

/* Readers know the numbers that were cut off: a log that came by them again would take back what they have seen. So each
 * gets a version without actions, and what is made again comes behind. It must be all of them: version 0 or a checkpoint is
 * where other readers begin, and no number may be missing behind it. The table's id stays until then, so that a repair that is
 * interrupted here is seen to be needed still. */
static bool pass_seen(struct publish *u, const struct commit_ask *ask, struct str key, struct table_snapshot *t, struct arena *a,
		      struct err *e)
{
	const struct run_repair *r = u->options->repair;
	size_t i = r ? str_map_get(&r->renew, key) : SIZE_MAX;
	struct commit_ask none = { .zone = ask->zone, .table = ask->table, .operation = STR("sluice repair"), .moves = true,
				   .schema = ask->schema, .contract_meaning = ask->contract_meaning };
	bool passed = false;
	while (i != SIZE_MAX && !r->renewed[i] && t->version < r->seen[i]) {
		struct table_commit c;
		enum table_outcome outcome;
		fill_commit(u, &none, t, t->version < 0 ? process_uuid(a) : STR_NONE, &c, a);
		if (!table_commit_write(u->project->store, key, &c, a, &outcome, e))
			return false;
		if (outcome != TABLE_COMMITTED)
			return err_set(e, ERR_FENCED, "%.*s: another run writes to it during its repair", STR_ARG(key));
		t->last_hash = sha256_of(table_commit_encode(&c, a));
		t->version = c.version;
		t->id = c.table_id;
		passed = true;
	}
	return !passed || project_table_load(u->project, key, a, t, e);
}

bool publish_commit(struct publish *u, const struct commit_ask *ask, struct table_snapshot *t, bool *again,
		    struct arena *a, struct err *e)
{
	struct project *j = u->project;
	struct str key = project_table_key(j, ask->zone, ask->table, a);
	int64_t ms = j->clock->wall_us(j->clock) / 1000;
	*again = false;
	if (!pass_seen(u, ask, key, t, a, e))
		return false;
	struct table_snapshot before = *t;
	for (size_t i = 0; i < ask->n_add; i++)
		if (!ask->add[i].same_data)
			ask->add[i].modified_ms = ms;
	for (int tries = 0; tries < COMMIT_TRIES; tries++) {
		struct table_commit c;
		enum table_outcome outcome;
		bool renew = publish_renews(u, key);
		fill_commit(u, ask, t, renew || t->version < 0 ? new_id(u, key, renew, a) : STR_NONE, &c, a);
		if (!still_there(u, key, ask, a, e))
			return false;
		if (!table_commit_write(j->store, key, &c, a, &outcome, e) || !project_table_load(j, key, a, t, e))
			return false;
		if (outcome == TABLE_COMMITTED) {
			note_renewed(u, key);
			return true;
		}
		enum verdict verdict = judge_winners(ask, &before, t, a);
		*again = verdict == BUILD_AGAIN;
		if (verdict == LOST)
			return err_set(e, ERR_FENCED, "%.*s: another run published the same windows first", STR_ARG(key));
		if (verdict != ADD_ON_TOP)
			return true;
	}
	return err_set(e, ERR_FENCED, "%.*s: other runs took the next version %d times in a row", STR_ARG(key), COMMIT_TRIES);
}
