/* Folded states of a table: spec/table.md, "State". */
#include "base/check.h"
#include "driver/store_ahead.h"
#include "format/delta_parts.h"
#include "format/json_parts.h"

#include <inttypes.h>
#include <string.h>


static const char state_format[] = "sluice-table-state/1";

static struct str state_folder(struct str table_key, struct arena *a)
{
	return arena_format(a, "%.*s/state", STR_ARG(table_key));
}

static struct str state_key(struct str table_key, int64_t version, struct arena *a)
{
	return arena_format(a, "%.*s/state/%020" PRId64 ".json", STR_ARG(table_key), version);
}

/* ── writing ── */

static void end_line(struct json_out *o)
{
	buf_add_char(o->b, '\n');
	o->need_comma = false;
}

static void put_head(struct json_out *o, const struct table_snapshot *t)
{
	json_begin_object(o, NULL);
	json_begin_object(o, "state");
	json_put_z(o, "format", state_format);
	json_put_i64(o, "version", t->version);
	json_put_hash(o, "log", t->last_hash);
	json_put_str(o, "run", t->last_run);
	json_put_str(o, "nonce", t->last_nonce);
	json_put_i64(o, "timestamp", t->last_commit_us / 1000);
	json_put_u64(o, "files", t->n_files);
	json_end_object(o);
	json_end_object(o);
	end_line(o);
}

struct str table_state_encode(const struct table_snapshot *t, struct arena *a)
{
	struct buf b = BUF_INIT(DELTA_COMMIT_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	struct table_commit c = { .schema = &t->schema, .table_id = t->id, .name = t->name, .description = t->description,
				  .contract_meaning = t->contract_meaning, .time_us = t->created_us };
	CHECK(t->version >= 0);
	put_head(&o, t);
	delta_put_metadata(&o, &c, a);
	for (size_t i = 0; i < t->n_files; i++) {
		delta_put_add(&o, &t->files[i], a);
		end_line(&o);
	}
	struct sha256 all = sha256_of(buf_str(&b));
	json_begin_object(&o, NULL);
	json_put_hash(&o, "end", all);
	json_end_object(&o);
	end_line(&o);
	return buf_take(&b, a);
}

bool table_state_write(struct store *s, struct str table_key, const struct table_snapshot *t, struct arena *a,
		       struct err *e)
{
	enum store_created created;
	return store_create(s, state_key(table_key, t->version, a), table_state_encode(t, a), &created, e);
}

/* ── reading ── */

static bool get_head(struct replay *r, const struct json_node *root, int64_t version, uint64_t *files, struct err *e)
{
	const struct json_node *n = json_get(root, "state");
	struct str format;
	int64_t said = -1, ms = 0;
	if (!json_need_str(n, "format", &format, e) || !json_need_i64(n, "version", &said, e) ||
	    !json_need_hash(n, "log", &r->t->last_hash, e) || !json_need_str(n, "run", &r->t->last_run, e) ||
	    !json_need_str(n, "nonce", &r->t->last_nonce, e) || !json_need_i64(n, "timestamp", &ms, e) ||
	    !json_need_u64(n, "files", files, e))
		return false;
	if (!str_eq_z(format, state_format) || said != version)
		return err_set(e, ERR_DAMAGE, "it is no state of version %lld", (long long)version);
	r->t->last_commit_us = ms * 1000;
	return true;
}

/* The last line is the hash of all before it. */
static bool check_end(struct str *text, struct arena *a, struct err *e)
{
	struct json_node *end = NULL;
	struct sha256 said;
	size_t at = text->n;
	if (text->n == 0 || text->p[text->n - 1] != '\n')
		return err_set(e, ERR_DAMAGE, "it is not whole");
	for (at--; at > 0 && text->p[at - 1] != '\n';)
		at--;
	if (!json_parse(str_sub(*text, at, text->n - at), a, &end, e) || !json_need_hash(end, "end", &said, e))
		return false;
	*text = str_sub(*text, 0, at);
	return sha256_eq(sha256_of(*text), said) || err_set(e, ERR_DAMAGE, "its bytes have changed");
}

static bool state_parse(struct replay *r, struct str text, int64_t version, struct err *e)
{
	struct str line;
	uint64_t files = 0;
	bool has_head = false;
	if (!check_end(&text, r->a, e))
		return false;
	r->has_info = true; /* of the version that it stands for */
	while (str_cut(&text, '\n', &line)) {
		struct json_node *action = NULL;
		if (line.n == 0)
			continue;
		if (!json_parse(line, r->a, &action, e) ||
		    !(has_head ? replay_action(r, action, e) : get_head(r, action, version, &files, e)))
			return false;
		has_head = true;
	}
	if (!has_head || !r->has_protocol || !r->has_metadata || r->t->schema.n == 0 || r->files.n != files)
		return err_set(e, ERR_DAMAGE, "it has %zu files of %llu, or no columns", r->files.n, (unsigned long long)files);
	r->t->version = version;
	r->t->files = r->files.v;
	r->t->n_files = r->files.n;
	return true;
}

static void fresh(struct replay *r, struct arena *a)
{
	*r = (struct replay){ .a = a, .t = arena_new(a, struct table_snapshot) };
	r->t->version = -1;
}

/* The log's version must be the very one that the state was made behind; its hash stands for all before it. */
static bool state_read(struct store *s, struct str table_key, int64_t version, struct arena *a, struct replay *r,
		       struct err *e)
{
	struct str text, log;
	struct err why = ERR_INIT;
	struct str keys[] = { state_key(table_key, version, a), delta_log_key(table_key, (uint64_t)version, a) };
	struct store *ahead = store_can_list_all(s) ? store_open_ahead(s) : NULL, *from = ahead ? ahead : s;
	fresh(r, a);
	if (ahead)
		store_ahead_get(ahead, keys, 2, DELTA_COMMIT_MAX_BYTES, DELTA_AT_ONCE);
	bool ok = store_get(from, keys[0], DELTA_COMMIT_MAX_BYTES, a, &text, e);
	if (ok && !state_parse(r, text, version, &why))
		ok = err_set(e, ERR_DAMAGE, "%s", why.message);
	ok = ok && store_get(from, keys[1], DELTA_COMMIT_MAX_BYTES, a, &log, e);
	store_close(ahead);
	if (!ok)
		return false;
	return sha256_eq(sha256_of(log), r->t->last_hash) ||
	       err_set(e, ERR_DAMAGE, "it was made behind another version %lld than the one that is there", (long long)version);
}

/* True: taken, or nothing that one could tell. */
static bool state_try(struct replay *r, struct store *s, struct str table_key, int64_t version)
{
	struct replay got;
	struct err e = ERR_INIT;
	if (state_read(s, table_key, version, r->a, &got, &e)) {
		got.t->bad_state = r->t->bad_state;
		*r->t = *got.t;
		got.t = r->t;
		*r = got;
		return true;
	}
	if (e.code != ERR_MISSING && r->t->bad_state.n == 0)
		r->t->bad_state = arena_format(r->a, "%.*s: %s", STR_ARG(state_key(table_key, version, r->a)), e.message);
	return false;
}

static bool version_of(struct str name, int64_t *out)
{
	uint64_t n = 0;
	if (name.n != DELTA_LOG_NAME || !str_ends(name, STR(".json")) || !str_to_u64(str_sub(name, 0, DELTA_NUMBER), &n) ||
	    n > INT64_MAX)
		return false;
	*out = (int64_t)n;
	return true;
}

void state_begin(struct replay *r, struct store *s, struct str table_key, int64_t version)
{
	struct store_listing list = { 0 };
	struct err ignored = ERR_INIT;
	int64_t likely = version - version % TABLE_STATE_EVERY, at = 0;
	if (state_try(r, s, table_key, likely) ||
	    !store_list_names(s, state_folder(table_key, r->a), r->a, &list, &ignored))
		return;
	for (size_t i = list.n, tries = 0; i > 0 && tries < TABLE_STATES_TRIED; i--) {
		if (!version_of(list.v[i - 1].name, &at) || at > version || at == likely)
			continue;
		tries++;
		if (state_try(r, s, table_key, at))
			return;
	}
}

bool table_states_behind(struct store *s, struct str table_key, int64_t version, struct arena *a, struct store_listing *out,
			 struct err *e)
{
	struct store_listing all;
	if (!store_list(s, state_folder(table_key, a), a, &all, e))
		return false;
	size_t kept = 0, n = 0;
	int64_t at = 0;
	bool stands = false; /* one that `version` is read from is among the kept ones */
	for (size_t i = all.n; i > 0; i--) {
		if (all.v[i - 1].is_folder || !version_of(all.v[i - 1].name, &at))
			continue;
		if (kept < TABLE_STATES_TRIED || !stands) {
			kept++;
			stands = stands || at <= version;
			continue;
		}
		n++;
		all.v[all.n - n] = all.v[i - 1]; /* behind all that is still to be looked at */
	}
	*out = (struct store_listing){ .v = all.v + (all.n - n), .n = n };
	for (size_t i = 0; i < n; i++)
		out->v[i].name = arena_format(a, "%.*s/%.*s", STR_ARG(state_folder(table_key, a)), STR_ARG(out->v[i].name));
	return true;
}

/* ── checking ── */

struct check {
	struct store *store;
	struct str table_key;
	void (*found)(void *user, struct str where, struct str what);
	void *user;
	struct replay log;
};

/* Compared in the words of this program: an older one may have written them in another order. */
static void check_state(struct check *c, struct str key, int64_t version, struct arena *a)
{
	struct replay r;
	struct err e = ERR_INIT;
	uint64_t size = 0;
	if (!state_read(c->store, c->table_key, version, a, &r, &e)) {
		struct err why = ERR_INIT;
		if (store_size(c->store, key, &size, &why) || why.code != ERR_MISSING) /* collected meanwhile is not damaged */
			c->found(c->user, key, str_from(e.message));
	} else if (!str_eq(table_state_encode(r.t, a), table_state_encode(c->log.t, a)))
		c->found(c->user, key, STR("it is not what the log comes to"));
}

bool table_states_check(struct store *s, struct str table_key, void (*found)(void *user, struct str where, struct str what),
			void *user, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	struct check c = { .store = s, .table_key = table_key, .found = found, .user = user };
	int64_t newest = -1;
	bool marked = false;
	bool ok = store_list_names(s, state_folder(table_key, &a), &a, &list, e) &&
		  (list.n == 0 || delta_newest_version(s, table_key, &newest, &marked, e));
	fresh(&c.log, &a);
	for (size_t i = 0; ok && i < list.n; i++) {
		struct arena each = ARENA_INIT;
		int64_t version = 0;
		struct str key = arena_format(&a, "%.*s/%.*s", STR_ARG(state_folder(table_key, &a)), STR_ARG(list.v[i].name));
		if (!version_of(list.v[i].name, &version) || version > newest)
			found(user, key, STR("the table has no such version"));
		else if ((ok = replay_log(&c.log, s, table_key, version, e)))
			check_state(&c, key, version, &each);
		arena_free(&each);
	}
	arena_free(&a);
	return ok;
}
