#include "base/check.h"
#include "format/delta_parts.h"
#include "format/ledger.h"

enum { MARK_MAX_BYTES = 4096 };

static const char format_name[] = "sluice-cut/1", before[] = "_repair.", behind[] = ".json";

static struct str mark_key(struct str table_key, int64_t seen, struct arena *a)
{
	return arena_format(a, "%.*s/_delta_log/%s%020" PRId64 "%s", STR_ARG(table_key), before, seen, behind);
}

bool delta_is_mark(struct str name, int64_t *seen)
{
	uint64_t n = 0;
	size_t head = sizeof before - 1;
	if (name.n != head + DELTA_LOG_NAME || !str_starts(name, STR("_repair.")) || !str_ends(name, STR(".json")) ||
	    !str_to_u64(str_sub(name, head, DELTA_NUMBER), &n) || n > INT64_MAX)
		return false;
	*seen = (int64_t)n;
	return true;
}

static struct str encode(const struct table_cut *c, struct arena *a)
{
	struct buf b = BUF_INIT(MARK_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", format_name);
	json_put_str(&o, "run", c->run_id);
	json_put_i64(&o, "seen", c->seen);
	json_put_str(&o, "id", c->id);
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a);
}

static bool decode(struct str text, struct arena *a, struct table_cut *c, struct err *e)
{
	struct json_node *root = NULL;
	struct str format;
	if (!json_parse(text, a, &root, e) || !json_need_str(root, "format", &format, e) ||
	    !json_need_str(root, "id", &c->id, e) || !json_need_str(root, "run", &c->run_id, e))
		return false;
	if (str_eq_z(format, format_name) && c->id.n > 0 && json_i64_or(root, "seen", -1) == c->seen)
		return true;
	return err_set(e, ERR_DAMAGE, "it is no mark of a repair");
}

bool table_cut_find(struct store *s, struct str table_key, struct arena *a, struct table_cut *out, bool *found, struct err *e)
{
	struct store_listing list = { 0 };
	struct err why = ERR_INIT;
	struct str text;
	*out = (struct table_cut){ .seen = -1 };
	*found = false;
	if (!store_list_names(s, arena_format(a, "%.*s/_delta_log", STR_ARG(table_key)), a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++)
		*found = delta_is_mark(list.v[i].name, &out->seen) || *found; /* in order: the highest is the last */
	if (!*found)
		return true;
	if (!store_get(s, mark_key(table_key, out->seen, a), MARK_MAX_BYTES, a, &text, &why)) {
		if (why.code == ERR_STORAGE || why.code == ERR_MEMORY) {
			*e = why;
			return false;
		}
	} else if (!decode(text, a, out, &why)) {
		out->id = STR_NONE; /* its name still says the number */
	}
	return true;
}

bool table_cut_write(struct store *s, struct str table_key, const struct table_cut *c, struct arena *a, struct err *e)
{
	bool ours = false;
	struct str key = mark_key(table_key, c->seen, a);
	CHECK(c->seen >= 0 && c->id.n > 0);
	if (!store_create_checked(s, key, encode(c, a), &ours, a, e))
		return false;
	if (!ours)
		return err_set(e, ERR_FENCED, "%.*s: another repair is at work on this table", STR_ARG(key));
	return true;
}

bool table_cut_clear(struct store *s, struct str table_key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list = { 0 };
	bool ok = store_list_names(s, arena_format(&a, "%.*s/_delta_log", STR_ARG(table_key)), &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++) { /* the highest, which counts, is the last to go */
		int64_t seen = -1;
		if (delta_is_mark(list.v[i].name, &seen))
			ok = store_remove(s, mark_key(table_key, seen, &a), e);
	}
	arena_free(&a);
	return ok;
}
