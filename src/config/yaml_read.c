/* Readers of single values, and the check of keys. Messages never show a value: it could be a secret in the wrong
 * place. Its position is enough. */
#include "config/yaml.h"

#include "base/buf.h"
#include "base/calendar.h"

#include <string.h>

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->type != YAML_MAP)
		return NULL;
	for (struct yaml_node *c = map->child; c; c = c->next)
		if (str_eq_z(c->key, key))
			return c;
	return NULL;
}

bool yaml_is_null(const struct yaml_node *n)
{
	if (!n)
		return true;
	if (n->type != YAML_SCALAR || n->quoted)
		return false;
	return !n->text.n || str_eq_z(n->text, "~") || str_eq_z(n->text, "null") || str_eq_z(n->text, "Null") ||
	       str_eq_z(n->text, "NULL");
}

struct str yaml_path(const struct yaml_node *n, struct arena *a)
{
	struct str path = STR_NONE;
	for (; n && n->parent; n = n->parent) {
		struct str part = n->key;
		if (n->parent->type == YAML_LIST) {
			size_t index = 0;
			for (const struct yaml_node *c = n->parent->child; c && c != n; c = c->next)
				index++;
			part = arena_format(a, "%zu", index);
		}
		path = path.n ? arena_format(a, "%.*s.%.*s", STR_ARG(part), STR_ARG(path)) : part;
	}
	return path.n ? path : STR("the file");
}

void problem_at(struct problems *p, const struct yaml_node *n, const char *advice, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	problem_vadd(p, n->file, n->line, n->column, false, advice, format, args);
	va_end(args);
}

void problem_at_key(struct problems *p, const struct yaml_node *n, const char *advice, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	bool has_key = n->key_line > 0;
	problem_vadd(p, n->file, has_key ? n->key_line : n->line, has_key ? n->key_column : n->column, false, advice,
		     format, args);
	va_end(args);
}

void problem_warn(struct problems *p, const struct yaml_node *n, const char *advice, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	problem_vadd(p, n->file, n->line, n->column, true, advice, format, args);
	va_end(args);
}

static bool value_problem(struct problems *p, const struct yaml_node *n, const char *advice, const char *expected)
{
	struct str path = yaml_path(n, p->arena);
	problem_at(p, n, advice, "`%.*s` must be %s", STR_ARG(path), expected);
	return false;
}

bool yaml_str(const struct yaml_node *n, struct str *out, struct problems *p)
{
	if (n->type != YAML_SCALAR || yaml_is_null(n))
		return value_problem(p, n, NULL, "a text");
	*out = n->text;
	return true;
}

bool yaml_bool(const struct yaml_node *n, bool *out, struct problems *p)
{
	if (n->type == YAML_SCALAR && !n->quoted) {
		if (str_eq_z(n->text, "true") || str_eq_z(n->text, "True") || str_eq_z(n->text, "TRUE")) {
			*out = true;
			return true;
		}
		if (str_eq_z(n->text, "false") || str_eq_z(n->text, "False") || str_eq_z(n->text, "FALSE")) {
			*out = false;
			return true;
		}
	}
	return value_problem(p, n, "YAML 1.2 knows no yes, no, on, off", "true or false");
}

bool yaml_u64(const struct yaml_node *n, uint64_t min, uint64_t max, uint64_t *out, struct problems *p)
{
	uint64_t v = 0;
	if (n->type == YAML_SCALAR && !n->quoted && str_to_u64(n->text, &v) && v >= min && v <= max) {
		*out = v;
		return true;
	}
	struct str range = max == UINT64_MAX ?
		arena_format(p->arena, "a whole number, at least %llu", (unsigned long long)min) :
		arena_format(p->arena, "a whole number from %llu to %llu", (unsigned long long)min,
			     (unsigned long long)max);
	return value_problem(p, n, "digits only, without quotes or separators",
			     arena_zero_terminated(p->arena, range));
}

bool yaml_duration(const struct yaml_node *n, int64_t *us, struct problems *p)
{
	int64_t v = 0;
	if (n->type == YAML_SCALAR && str_eq_z(n->text, "0")) {
		*us = 0;
		return true;
	}
	if (n->type == YAML_SCALAR && n->text.n && duration_parse(n->text, &v) && v >= 0) {
		*us = v;
		return true;
	}
	return value_problem(p, n, "a number and its unit: 500ms, 30s, 15m, 24h, 3d", "a duration");
}

static bool size_parse(struct str text, uint64_t *bytes)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {
		{ "", 1 },          { "B", 1 },          { "kB", 1000 },          { "KB", 1000 },
		{ "MB", 1000000 },  { "GB", 1000000000 }, { "TB", UINT64_C(1000000000000) },
		{ "KiB", 1 << 10 }, { "MiB", 1 << 20 },  { "GiB", 1 << 30 },      { "TiB", UINT64_C(1) << 40 },
	};
	size_t digits = 0;
	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	uint64_t count = 0;
	if (!str_to_u64(str_sub(text, 0, digits), &count))
		return false;
	struct str unit = str_trim(str_sub(text, digits, text.n));
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (str_eq_z(unit, units[i].name))
			return !__builtin_mul_overflow(count, units[i].factor, bytes);
	return false;
}

bool yaml_size(const struct yaml_node *n, uint64_t *bytes, struct problems *p)
{
	uint64_t v = 0;
	if (n->type == YAML_SCALAR && n->text.n && size_parse(n->text, &v)) {
		*bytes = v;
		return true;
	}
	return value_problem(p, n, "a whole number of bytes, or with a unit: 64MiB, 10kB", "a size");
}

const char *yaml_nearest(struct str word, const char *const *known)
{
	const char *best = NULL;
	size_t best_distance = word.n / 3 + 1 > 3 ? 3 : word.n / 3 + 1;
	best_distance++; /* below this */
	for (size_t i = 0; known[i]; i++) {
		size_t d = str_distance(word, str_from(known[i]));
		if (d < best_distance) {
			best_distance = d;
			best = known[i];
		}
	}
	return best;
}

void yaml_known_keys(const struct yaml_node *map, const char *const *known, struct problems *p)
{
	if (!map || map->type != YAML_MAP)
		return;
	for (const struct yaml_node *c = map->child; c; c = c->next) {
		bool found = false;
		for (size_t i = 0; known[i] && !found; i++)
			found = str_eq_z(c->key, known[i]);
		if (found)
			continue;
		const char *nearest = yaml_nearest(c->key, known);
		struct buf advice = BUF_INIT(4096);
		if (nearest) {
			buf_addf(&advice, "did you mean `%s`?", nearest);
		} else {
			buf_add_z(&advice, "known here:");
			for (size_t i = 0; known[i]; i++)
				buf_addf(&advice, "%s %s", i ? "," : "", known[i]);
		}
		struct str shown = str_sub(c->key, 0, 64);
		/* {bearer: {hunter2}} is a key without a value to YAML, a secret to its author. */
		if (nearest || !yaml_is_null(c))
			problem_at_key(p, c, advice.p, "unknown key `%.*s`", STR_ARG(shown));
		else
			problem_at_key(p, c, advice.p, "unknown key, without a value");
		buf_free(&advice);
	}
}
