#include "format/table_window.h"

#include "driver/store.h"
#include "format/json_parts.h"

void json_put_windows(struct json_out *o, const char *key, const struct table_window *v, size_t n)
{
	json_begin_array(o, key);
	for (size_t i = 0; i < n; i++) {
		const struct table_window *w = &v[i];
		char hex[33];
		row_hash_hex(&w->hash, hex);
		json_begin_object(o, NULL);
		json_put_str(o, "window", w->name);
		json_put_u64(o, "generation", w->generation);
		json_put_hash(o, "content", w->content);
		json_put_hash(o, "seal", w->seal);
		json_put_hash(o, "key", w->key);
		json_put_u64(o, "read", w->read);
		json_put_u64(o, "rows", w->rows);
		json_put_z(o, "row_hash", hex);
		/* Mostly rows name the fetch that the tag names. */
		if (w->row_window.n > 0 && !str_eq(w->row_window, w->name))
			json_put_str(o, "row_window", w->row_window);
		if (w->row_generation > 0 && w->row_generation != w->generation)
			json_put_u64(o, "row_generation", w->row_generation);
		json_end_object(o);
	}
	json_end_array(o);
}

/* It is a part of keys: whoever follows it to Raw must not be led anywhere else, nor meet a key that cannot be. */
static bool need_name(const struct json_node *n, const char *member, struct str *out, struct err *e)
{
	if (!json_need_str(n, member, out, e))
		return false;
	if (store_key_ok(*out) && str_find_char(*out, '/') == out->n)
		return true;
	return err_set(e, ERR_DAMAGE, "\"%s\" is no name of a window", member);
}

static bool need_generation(const struct json_node *n, const char *member, unsigned *out, struct err *e)
{
	if (!json_need_unsigned(n, member, out, e))
		return false;
	return *out > 0 || err_set(e, ERR_DAMAGE, "\"%s\" is 0, and generations begin with 1", member);
}

static bool get_window(const struct json_node *n, struct table_window *w, struct err *e)
{
	struct str hex;
	if (!need_name(n, "window", &w->name, e) || !need_generation(n, "generation", &w->generation, e) ||
	    !json_need_hash(n, "content", &w->content, e) || !json_need_hash(n, "seal", &w->seal, e) ||
	    !json_need_hash(n, "key", &w->key, e) || !json_need_u64(n, "read", &w->read, e) ||
	    !json_need_u64(n, "rows", &w->rows, e) || !json_need_str(n, "row_hash", &hex, e))
		return false;
	if (!row_hash_from_hex(hex, w->rows, &w->hash))
		return err_set(e, ERR_DAMAGE, "\"row_hash\" is no row hash");
	w->row_window = w->name;
	w->row_generation = w->generation;
	return (!json_get(n, "row_window") || need_name(n, "row_window", &w->row_window, e)) &&
	       (!json_get(n, "row_generation") || need_generation(n, "row_generation", &w->row_generation, e));
}

bool json_get_windows(const struct json_node *list, struct arena *a, struct table_window **out, size_t *n, struct err *e)
{
	struct table_window *v = arena_array(a, struct table_window, list->n_children + 1);
	*n = 0;
	*out = v;
	if (list->type != JSON_ARRAY)
		return err_set(e, ERR_DAMAGE, "the windows of a file are no list");
	for (const struct json_node *w = list->child; w; w = w->next)
		if (!get_window(w, &v[(*n)++], e))
			return err_wrap(e, "window %zu", *n);
	return true;
}
