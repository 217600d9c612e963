#include "base/json.h"

#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>

struct tree {
	struct json_scan scan;
	struct arena *arena;
	struct json_node *open[JSON_DEPTH]; /* containers */
	struct json_node *last[JSON_DEPTH]; /* their newest children */
	struct json_node *root;
	struct str key; /* of the value to come */
	size_t key_at;
	bool has_key;
	struct err *e;
};

static bool fail_at(struct tree *t, size_t at, const char *what)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		unsigned char c = (unsigned char)t->scan.start[i];

		if (c == '\n') {
			line++;
			column = 1;
		} else if ((c & 0xc0) != 0x80) { /* columns are characters */
			column++;
		}
	}
	return err_set(t->e, ERR_JSON, "byte %zu (line %zu, column %zu): %s", at, line, column, what);
}

static bool fail_duplicate(struct tree *t, const struct json_node *node)
{
	char what[160];
	struct str key = str_sub(node->key, 0, 100);
	int n;

	while (key.n > 0 && key.n < node->key.n && ((unsigned char)node->key.p[key.n] & 0xc0) == 0x80)
		key.n--;
	n = snprintf(what, sizeof what, "duplicate key \"%.*s\"", STR_ARG(key));

	return fail_at(t, node->at, n > 0 ? what : "duplicate key");
}

static int by_key(const void *a, const void *b)
{
	const struct json_node *x = *(const struct json_node *const *)a, *y = *(const struct json_node *const *)b;
	int order = str_cmp(x->key, y->key);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Each key once. Few members are compared with each other, many are sorted: no document costs squares. */
static bool check_keys(struct tree *t, const struct json_node *object)
{
	enum { FEW = 16 };
	const struct json_node **sorted, *bad = NULL;
	size_t n = 0;

	if (object->n_children <= FEW) {
		for (const struct json_node *x = object->child; x; x = x->next)
			for (const struct json_node *y = x->next; y; y = y->next)
				if (str_eq(x->key, y->key))
					return fail_duplicate(t, y);
		return true;
	}
	sorted = mem_alloc(mem_size(object->n_children, sizeof(*sorted)));
	for (const struct json_node *x = object->child; x; x = x->next)
		sorted[n++] = x;
	qsort(sorted, n, sizeof(*sorted), by_key);
	for (size_t i = 1; i < n; i++)
		if (str_eq(sorted[i - 1]->key, sorted[i]->key) && (!bad || sorted[i]->at < bad->at))
			bad = sorted[i];
	mem_free(sorted);
	return bad ? fail_duplicate(t, bad) : true;
}

static bool read_text(struct tree *t, struct str *out)
{
	if (!t->scan.escaped) {
		*out = t->scan.value;
		return true;
	}
	if (json_unescape(t->scan.value, t->arena, out))
		return true;
	return fail_at(t, json_offset(&t->scan), "a lone surrogate escape in a string");
}

/* depth: containers open around the new value */
static struct json_node *add_node(struct tree *t, enum json_event type, uint32_t depth)
{
	struct json_node *node = arena_new(t->arena, struct json_node);

	node->type = type;
	node->raw = (struct str){ t->scan.value_start, (size_t)(t->scan.p - t->scan.value_start) };
	node->at = json_offset(&t->scan);
	if (t->has_key) {
		node->key = t->key;
		node->at = t->key_at;
		t->has_key = false;
	}
	if (depth == 0) {
		t->root = node;
	} else {
		if (t->last[depth - 1])
			t->last[depth - 1]->next = node;
		else
			t->open[depth - 1]->child = node;
		t->last[depth - 1] = node;
		t->open[depth - 1]->n_children++;
	}
	return node;
}

static bool take_event(struct tree *t, enum json_event event)
{
	struct json_node *node;
	uint32_t depth = t->scan.depth;

	switch (event) {
	case JSON_KEY:
		t->has_key = true;
		t->key_at = json_offset(&t->scan);
		return read_text(t, &t->key);
	case JSON_OBJECT:
	case JSON_ARRAY:
		node = add_node(t, event, depth - 1);
		t->open[depth - 1] = node;
		t->last[depth - 1] = NULL;
		return true;
	case JSON_OBJECT_END:
	case JSON_ARRAY_END:
		node = t->open[depth];
		node->raw.n = (size_t)(t->scan.p - node->raw.p);
		return event == JSON_ARRAY_END || check_keys(t, node);
	case JSON_STRING:
		return read_text(t, &add_node(t, event, depth)->text);
	default:
		node = add_node(t, event, depth);
		if (event == JSON_NUMBER)
			node->text = node->raw;
		return true;
	}
}

bool json_parse(struct str document, struct arena *a, struct json_node **root, struct err *e)
{
	struct tree t = { .arena = a, .e = e };
	enum json_event event;

	json_open(&t.scan, document, JSON_DEPTH);
	while ((event = json_next(&t.scan)) > JSON_DONE)
		if (!take_event(&t, event))
			return false;
	if (event == JSON_BAD)
		return fail_at(&t, t.scan.fault_at, t.scan.fault);
	*root = t.root;
	return true;
}

const struct json_node *json_get(const struct json_node *object, const char *key)
{
	struct str wanted = str_from(key);

	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json_node *node = object->child; node; node = node->next)
		if (str_eq(node->key, wanted))
			return node;
	return NULL;
}

static const char *type_name(enum json_event type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
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

static const struct json_node *need(const struct json_node *object, const char *key, struct err *e)
{
	const struct json_node *node = json_get(object, key);

	if (node)
		return node;
	if (!object || object->type != JSON_OBJECT)
		err_set(e, ERR_DAMAGE, "field \"%s\": %s where an object was expected", key,
			object ? type_name(object->type) : "nothing");
	else
		err_set(e, ERR_DAMAGE, "field \"%s\" is missing", key);
	return NULL;
}

static bool fail_type(struct err *e, const char *key, const struct json_node *node, const char *wanted)
{
	if (node->type == JSON_NUMBER)
		return err_set(e, ERR_DAMAGE, "field \"%s\" is %.*s, %s was expected", key,
			       STR_ARG(str_sub(node->text, 0, 60)), wanted);
	return err_set(e, ERR_DAMAGE, "field \"%s\" is %s, %s was expected", key, type_name(node->type), wanted);
}

bool json_need(const struct json_node *object, const char *key, enum json_event type, const struct json_node **out,
	       struct err *e)
{
	const struct json_node *node = need(object, key, e);

	if (!node)
		return false;
	if (node->type != type)
		return fail_type(e, key, node, type_name(type));
	*out = node;
	return true;
}

bool json_need_str(const struct json_node *object, const char *key, struct str *out, struct err *e)
{
	const struct json_node *node = NULL;

	if (!json_need(object, key, JSON_STRING, &node, e))
		return false;
	*out = node->text;
	return true;
}

bool json_need_i64(const struct json_node *object, const char *key, int64_t *out, struct err *e)
{
	const struct json_node *node = need(object, key, e);
	int64_t v;

	if (!node)
		return false;
	if (node->type != JSON_NUMBER || number_to_i64(node->text, &v) != NUMBER_OK)
		return fail_type(e, key, node, "a whole number of 64 bits");
	*out = v;
	return true;
}

bool json_need_u64(const struct json_node *object, const char *key, uint64_t *out, struct err *e)
{
	const struct json_node *node = need(object, key, e);
	int128 v;

	if (!node)
		return false;
	if (node->type != JSON_NUMBER || number_to_decimal(node->text, 20, 0, &v) != NUMBER_OK || v < 0 ||
	    v > (int128)UINT64_MAX)
		return fail_type(e, key, node, "a whole number, not negative, of 64 bits");
	*out = (uint64_t)v;
	return true;
}

bool json_need_bool(const struct json_node *object, const char *key, bool *out, struct err *e)
{
	const struct json_node *node = need(object, key, e);

	if (!node)
		return false;
	if (node->type != JSON_TRUE && node->type != JSON_FALSE)
		return fail_type(e, key, node, "true or false");
	*out = node->type == JSON_TRUE;
	return true;
}

struct str json_str_or(const struct json_node *object, const char *key, struct str otherwise)
{
	const struct json_node *node = json_get(object, key);

	return node && node->type == JSON_STRING ? node->text : otherwise;
}

int64_t json_i64_or(const struct json_node *object, const char *key, int64_t otherwise)
{
	const struct json_node *node = json_get(object, key);
	int64_t v;

	return node && node->type == JSON_NUMBER && number_to_i64(node->text, &v) == NUMBER_OK ? v : otherwise;
}

bool json_bool_or(const struct json_node *object, const char *key, bool otherwise)
{
	const struct json_node *node = json_get(object, key);

	if (!node || (node->type != JSON_TRUE && node->type != JSON_FALSE))
		return otherwise;
	return node->type == JSON_TRUE;
}
