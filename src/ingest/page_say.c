#include "ingest/page_say.h"

#include "base/check.h"

#include <string.h>

enum { KEYS_SHOWN = 8, KEY_SHOWN = 40, START_SHOWN = 40 };

const char *say_kind(enum json_event type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_NUMBER:
		return "a number";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	default:
		return "null";
	}
}

static bool starts_nocase(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq_nocase(str_sub(s, 0, prefix.n), prefix);
}

/* What a body that is not JSON looks like; NULL: nothing special. */
static const char *looks_like(struct str body)
{
	struct str s = str_trim(body);
	if (str_starts(body, STR("\xef\xbb\xbf")))
		return "it begins with a byte order mark (UTF-8 BOM)";
	if (str_starts(body, STR("\xff\xfe")) || str_starts(body, STR("\xfe\xff")))
		return "it is UTF-16 (by its byte order mark)";
	if (body.n >= 2 && ((body.p[0] == 0) != (body.p[1] == 0)))
		return "it looks like UTF-16 (every other byte is NUL)";
	if (str_starts(body, STR("\x1f\x8b")))
		return "it is gzip, though no content-encoding says so";
	if (starts_nocase(s, STR("<!doctype html")) || starts_nocase(s, STR("<html")))
		return "it looks like HTML";
	if (str_starts(s, STR("<")))
		return "it looks like XML or HTML";
	return NULL;
}

bool say_not_json(const struct resource *r, struct str body, const char *fault, size_t fault_at, struct arena *a,
		  struct err *e)
{
	const char *kind = looks_like(body);
	struct str s = str_trim(body);
	if (kind && str_starts(s, STR("<")))
		return err_set(e, ERR_JSON, "the body is not JSON: %s (\"%.*s\")", kind,
			       STR_ARG(text_shown(r, s, START_SHOWN, a)));
	if (kind)
		return err_set(e, ERR_JSON, "the body is not JSON: %s", kind);
	return err_set(e, ERR_JSON, "the body is not JSON: %s, at byte %zu of %zu", fault, fault_at, body.n);
}

struct keys {
	struct str list;       /* "error, code and 3 more" */
	size_t n;
	struct str first_list; /* the first key with a list */
};

static struct str key_text(const struct json_scan *s, struct arena *a)
{
	struct str key = s->value;
	if (!s->escaped || !json_unescape(s->value, a, &key))
		key = s->value;
	return key;
}

static struct keys keys_of(const struct resource *r, struct str object, struct arena *a)
{
	struct json_scan s;
	struct keys out = { 0 };
	struct buf list = BUF_INIT(4096);
	json_open(&s, object, r->source->limits.json_depth);
	if (json_next(&s) == JSON_OBJECT) {
		while (json_next(&s) == JSON_KEY) {
			struct str key = key_text(&s, a);
			if (out.n < KEYS_SHOWN) {
				buf_add_z(&list, out.n > 0 ? ", " : "");
				buf_add(&list, text_shown(r, key, KEY_SHOWN, a));
			}
			out.n++;
			if (!json_skip(&s))
				break;
			if (out.first_list.n == 0 && str_starts(s.value, STR("[")) && !str_contains(key, STR(".")))
				out.first_list = text_shown(r, key, KEY_SHOWN, a);
		}
	}
	if (out.n > KEYS_SHOWN)
		buf_addf(&list, " and %zu more", out.n - KEYS_SHOWN);
	out.list = arena_copy(a, buf_str(&list));
	buf_free(&list);
	return out;
}

/* "an object with the keys a, b", "a list" */
static struct str value_text(const struct resource *r, enum json_event type, struct str raw, struct keys *keys,
			     struct arena *a)
{
	*keys = (struct keys){ 0 };
	if (type != JSON_OBJECT)
		return str_from(say_kind(type));
	*keys = keys_of(r, raw, a);
	if (keys->n == 0)
		return STR("an empty object");
	return arena_format(a, "an object with the key%s %.*s", keys->n > 1 ? "s" : "", STR_ARG(keys->list));
}

static void records_advice(struct str path, const struct keys *keys, struct err *e)
{
	if (keys->first_list.n == 0)
		return;
	bool whole = path.n == 0 || str_eq_z(path, ".");
	err_hint(e, "name the list of records in the pipeline file, perhaps `records: %.*s%s%.*s`",
		 STR_ARG(whole ? STR_NONE : path), whole ? "" : ".", STR_ARG(keys->first_list));
}

bool say_no_records(const struct resource *r, struct str body, const struct json_pick *records, struct arena *a,
		    struct err *e)
{
	struct str path = r->records;
	struct keys keys;
	bool whole = path.n == 0 || str_eq_z(path, ".");
	if (records->found) {
		struct str what = value_text(r, records->type, records->raw, &keys, a);
		if (whole)
			err_set(e, ERR_RECORDS, "the answer is %.*s, not a list of records", STR_ARG(what));
		else
			err_set(e, ERR_RECORDS, "`%.*s` is %.*s, not a list of records", STR_ARG(path), STR_ARG(what));
		records_advice(path, &keys, e);
		return false;
	}
	struct json_pick all = { .path = STR_NONE };
	CHECK(json_pick(body, r->source->limits.json_depth, &all, 1, NULL, NULL));
	struct str what = value_text(r, all.type, all.raw, &keys, a);
	return err_set(e, ERR_RECORDS, "`%.*s` is missing: the answer is %.*s", STR_ARG(path), STR_ARG(what));
}
