#include "format/delta_history.h"

#include "base/json.h"
#include "format/delta_parts.h"

#include <inttypes.h>

static struct str log_key(struct str table_key, int64_t version, struct arena *a)
{
	return arena_format(a, "%.*s/_delta_log/%020" PRId64 ".json", STR_ARG(table_key), version);
}

/* Read once for its names only: all that is kept is copied. */
static bool read_tags(struct str text, struct arena *scratch, struct arena *a, struct table_name *out, struct err *e)
{
	struct json_node *list = NULL;
	if (text.n == 0)
		return true;
	if (!json_parse(text, scratch, &list, e))
		return false;
	out->tags = arena_array(a, struct table_name_tag, list->n_children + 1);
	for (const struct json_node *n = list->child; n; n = n->next) {
		struct table_name_tag *t = &out->tags[out->n_tags++];
		struct str name, content;
		uint64_t generation = 0;
		if (!json_need_str(n, "window", &name, e) || !json_need_u64(n, "generation", &generation, e) ||
		    !json_need_str(n, "content", &content, e))
			return false;
		t->window = arena_copy(a, name);
		t->generation = (unsigned)generation;
		if (!sha256_from_hex(content, &t->content))
			return err_set(e, ERR_DAMAGE, "\"content\" is no SHA-256");
	}
	return true;
}

static bool read_line(const struct json_node *action, struct arena *scratch, struct arena *a, struct table_version *out,
		      struct err *e)
{
	const struct json_node *add = json_get(action, "add"), *remove = json_get(action, "remove");
	const struct json_node *info = json_get(action, "commitInfo"), *n = add ? add : remove;
	struct table_name name = { .is_add = add != NULL };
	struct str path;
	if (info)
		out->time_us = json_i64_or(info, "timestamp", 0) * 1000;
	if (n == NULL)
		return true;
	if (!json_need_str(n, "path", &path, e) ||
	    (add && !read_tags(json_str_or(json_get(add, "tags"), "sluice.windows", STR_NONE), scratch, a, &name, e)))
		return false;
	name.path = arena_copy(a, path);
	*arena_push(a, *out) = name;
	return true;
}

static bool read_version(struct store *s, struct str table_key, int64_t version, struct arena *a, struct table_version *out,
			 struct err *e)
{
	struct arena scratch = ARENA_INIT;
	struct str text, line;
	bool ok = store_get(s, log_key(table_key, version, &scratch), DELTA_COMMIT_MAX_BYTES, &scratch, &text, e);
	while (ok && str_cut(&text, '\n', &line)) {
		struct json_node *action = NULL;
		if (line.n > 0)
			ok = json_parse(line, &scratch, &action, e) && read_line(action, &scratch, a, out, e);
	}
	if (!ok && e->code == ERR_JSON)
		e->code = ERR_DAMAGE;
	arena_free(&scratch);
	return ok || err_wrap(e, "%.*s, version %" PRId64, STR_ARG(table_key), version);
}

bool table_history_load(struct store *s, struct str table_key, int64_t newest, struct arena *a, struct table_history *out,
			struct err *e)
{
	*out = (struct table_history){ 0 };
	bool ok = true;
	for (int64_t v = 0; ok && v <= newest;) {
		struct store *ahead = delta_log_ahead(s, table_key, v, newest);
		for (int64_t last = v + DELTA_AHEAD; ok && v <= newest && v < last; v++) {
			struct table_version version = { 0 };
			ok = read_version(ahead ? ahead : s, table_key, v, a, &version, e);
			if (ok)
				*arena_push(a, *out) = version;
		}
		store_close(ahead);
	}
	return ok;
}

bool table_has_version(struct store *s, struct str table_key, int64_t version, bool *there, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	uint64_t size = 0;
	*there = store_size(s, log_key(table_key, version, &a), &size, &why);
	arena_free(&a);
	if (*there || why.code == ERR_MISSING)
		return true;
	*e = why;
	return false;
}
