#include "config/pipeline_parts.h"

#include "base/check.h"

#include <string.h>

struct key_row {
	const char *map, *key, *type, *otherwise, *help;
};

static const struct key_row KEYS[] = {
#define KEY(map, key, type, otherwise, help) { map, key, type, otherwise, help },
#define LATER(map, key, what)
#include "config/pipeline_key.def"
#undef KEY
#undef LATER
};

static const struct key_row LATERS[] = {
#define KEY(map, key, type, otherwise, help)
#define LATER(map, key, what) { map, key, NULL, NULL, what },
#include "config/pipeline_key.def"
#undef KEY
#undef LATER
};

enum { N_KEYS = sizeof KEYS / sizeof *KEYS, N_LATERS = sizeof LATERS / sizeof *LATERS, MAP_KEYS_MAX = 64 };

static const char *later_what(const char *table_map, struct str key)
{
	for (size_t i = 0; i < N_LATERS; i++)
		if (strcmp(LATERS[i].map, table_map) == 0 && str_eq_z(key, LATERS[i].key))
			return LATERS[i].help;
	return NULL;
}

/* yaml_known_keys() is told of the keys that come later, too, so that each gets one problem: its own. */
bool keys_check(const struct yaml_node *map, const char *table_map, struct problems *p)
{
	const char *known[MAP_KEYS_MAX + 1];
	size_t n = 0;
	if (!map)
		return false;
	if (map->type != YAML_MAP) {
		struct str path = yaml_path(map, p->arena);
		problem_at(p, map, "`sluice help pipeline-file` lists its keys", "`%.*s` must be a map", STR_ARG(path));
		return false;
	}
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(KEYS[i].map, table_map) == 0) {
			CHECK(n < MAP_KEYS_MAX);
			known[n++] = KEYS[i].key;
			bool needed = strcmp(KEYS[i].otherwise, "!") == 0;
			if (needed && !key_get(map, KEYS[i].key) && strcmp(KEYS[i].key, "source") != 0) {
				struct str path = yaml_path(map, p->arena);
				problem_at(p, map, KEYS[i].help, "`%s` is missing in %.*s", KEYS[i].key, STR_ARG(path));
			}
		}
	for (size_t i = 0; i < N_LATERS; i++)
		if (strcmp(LATERS[i].map, table_map) == 0) {
			CHECK(n < MAP_KEYS_MAX);
			if (yaml_get(map, LATERS[i].key))
				known[n++] = LATERS[i].key;
		}
	known[n] = NULL;
	yaml_known_keys(map, known, p);
	for (const struct yaml_node *c = map->child; c; c = c->next) {
		const char *what = later_what(table_map, c->key);
		if (what)
			problem_at_key(p, c, "`sluice help pipeline-file` lists what is here", "%s: not here yet", what);
	}
	return true;
}

const struct yaml_node *key_get(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *n = yaml_get(map, key);
	return yaml_is_null(n) ? NULL : n;
}

/* ── readers by key ── */

void key_u64(struct reader *r, const struct yaml_node *map, const char *key, uint64_t min, uint64_t max,
	     uint64_t *out)
{
	const struct yaml_node *n = key_get(map, key);
	if (n)
		yaml_u64(n, min, max, out, r->p);
}

void key_u32(struct reader *r, const struct yaml_node *map, const char *key, uint32_t min, uint32_t max,
	     uint32_t *out)
{
	uint64_t v = *out;
	key_u64(r, map, key, min, max, &v);
	*out = (uint32_t)v;
}

void key_duration(struct reader *r, const struct yaml_node *map, const char *key, int64_t min_us, int64_t *out_us)
{
	const struct yaml_node *n = key_get(map, key);
	int64_t us = 0;
	enum step_unit unit;
	uint32_t count;
	if (!n)
		return;
	/* "2w" is a step's spelling; a week is always seven days where it is a length of time. */
	if (n->type == YAML_SCALAR && str_ends(n->text, STR("w")) && step_parse(n->text, &unit, &count) &&
	    unit == STEP_WEEK)
		us = 7 * US_PER_DAY * count;
	else if (!yaml_duration(n, &us, r->p))
		return;
	if (us < min_us) {
		struct str path = yaml_path(n, r->p->arena);
		problem_at(r->p, n, NULL, "`%.*s` is too short", STR_ARG(path));
	} else {
		*out_us = us;
	}
}

static struct str size_text(uint64_t bytes, struct arena *a)
{
	static const char *const units[] = { " bytes", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;
	while (unit < 4 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	return arena_format(a, "%llu%s", (unsigned long long)bytes, units[unit]);
}

void key_size(struct reader *r, const struct yaml_node *map, const char *key, uint64_t min, uint64_t max,
	      uint64_t *out)
{
	const struct yaml_node *n = key_get(map, key);
	uint64_t v = 0;
	if (!n || !yaml_size(n, &v, r->p))
		return;
	if (v < min || v > max) {
		struct str path = yaml_path(n, r->p->arena);
		struct str low = size_text(min, r->p->arena), high = size_text(max, r->p->arena);
		problem_at(r->p, n, NULL, "`%.*s` must lie between %.*s and %.*s", STR_ARG(path), STR_ARG(low),
			   STR_ARG(high));
	} else {
		*out = v;
	}
}

void key_bool(struct reader *r, const struct yaml_node *map, const char *key, bool *out)
{
	const struct yaml_node *n = key_get(map, key);
	if (n)
		yaml_bool(n, out, r->p);
}

void key_choice(struct reader *r, const struct yaml_node *map, const char *key, const char *const *words,
		size_t *which)
{
	const struct yaml_node *n = key_get(map, key);
	struct str text;
	if (!n || !yaml_str(n, &text, r->p))
		return;
	struct str list = STR_NONE;
	for (size_t i = 0; words[i]; i++) {
		if (str_eq_z(text, words[i])) {
			*which = i;
			return;
		}
		list = i ? arena_format(r->p->arena, "%.*s or `%s`", STR_ARG(list), words[i]) :
			   arena_format(r->p->arena, "`%s`", words[i]);
	}
	const char *nearest = yaml_nearest(text, words);
	struct str advice = nearest ? arena_format(r->p->arena, "did you mean `%s`?", nearest) : STR_NONE;
	struct str path = yaml_path(n, r->p->arena);
	problem_at(r->p, n, advice.n ? arena_zero_terminated(r->p->arena, advice) : NULL, "`%.*s` must be %.*s",
		   STR_ARG(path), STR_ARG(list));
}

void key_str(struct reader *r, const struct yaml_node *map, const char *key, struct str *out)
{
	const struct yaml_node *n = key_get(map, key);
	if (n)
		yaml_str(n, out, r->p);
}

/* Keys joined by '.', see base/json.h. */
void key_path(struct reader *r, const struct yaml_node *map, const char *key, struct str *out)
{
	const struct yaml_node *n = key_get(map, key);
	struct str text;
	if (!n || !yaml_str(n, &text, r->p))
		return;
	if (str_eq_z(text, "."))
		text = STR_NONE;
	const char *advice = NULL;
	if (str_starts(text, STR("$")))
		advice = "paths start at the document without `$.`: write meta.next";
	else if (str_contains(text, STR("[")))
		advice = "an item of a list is written with its number: links.0.href";
	else if (str_starts(text, STR(".")) || (str_ends(text, STR(".")) && !str_ends(text, STR("\\."))) ||
		 str_contains(text, STR("..")))
		advice = "keys joined by single dots: meta.next";
	struct str path = yaml_path(n, r->p->arena);
	if (advice)
		problem_at(r->p, n, advice, "`%.*s` is not a JSON path", STR_ARG(path));
	else
		*out = text;
}

void key_name(struct reader *r, const struct yaml_node *map, const char *key, struct str *out)
{
	const struct yaml_node *n = key_get(map, key);
	if (n && yaml_str(n, out, r->p) && (!out->n || out->n > 256)) {
		struct str path = yaml_path(n, r->p->arena);
		problem_at(r->p, n, NULL, "`%.*s` must have 1 to 256 bytes", STR_ARG(path));
	}
}

/* RFC 9110 5.6.2: token. */
bool header_name_ok(struct str name)
{
	if (!name.n || name.n > 256)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!word && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return true;
}

void key_header_name(struct reader *r, const struct yaml_node *map, const char *key, struct str *out)
{
	const struct yaml_node *n = key_get(map, key);
	if (!n || !yaml_str(n, out, r->p) || header_name_ok(*out))
		return;
	struct str path = yaml_path(n, r->p->arena);
	problem_at(r->p, n, "letters, digits and - as in X-Api-Key", "`%.*s` is no name of a header", STR_ARG(path));
}

void key_step(struct reader *r, const struct yaml_node *map, const char *key, struct step *out)
{
	const struct yaml_node *n = key_get(map, key);
	if (!n)
		return;
	if (n->type == YAML_SCALAR && n->text.n && step_parse(n->text, &out->unit, &out->count))
		return;
	struct str path = yaml_path(n, r->p->arena);
	problem_at(r->p, n, "a number and m, h, d, w or M: 15m, 6h, 1d, 1w, 1M", "`%.*s` must be a step", STR_ARG(path));
}

void key_zone(struct reader *r, const struct yaml_node *map, const char *key, const struct zone **out)
{
	const struct yaml_node *n = key_get(map, key);
	struct str name;
	struct err e = ERR_INIT;
	if (!n || !yaml_str(n, &name, r->p) || zone_load(name, r->a, out, &e))
		return;
	problem_at(r->p, n, "a name of the IANA list: UTC, Europe/Berlin, America/New_York", "%s", e.message);
}

/* ── help ── */

static void help_map(const char *map, struct buf *out)
{
	bool first = true;
	for (size_t i = 0; i < N_KEYS; i++) {
		const struct key_row *row = &KEYS[i];
		if (strcmp(row->map, map) != 0)
			continue;
		if (first) {
			const char *what = *map ? map : "pipeline.yaml";
			if (strncmp(map, "source", 6) == 0)
				buf_addf(out, "\n%s  (also in sources.NAME%s)\n", what, map + 6);
			else if (strncmp(map, "resource", 8) == 0)
				buf_addf(out, "\nresources.NAME%s\n", map + 8);
			else if (strcmp(map, "model") == 0)
				buf_add_z(out, "\nmodels.NAME\n");
			else if (strncmp(map, "environment", 11) == 0)
				buf_addf(out, "\nenvironments.NAME%s\n", map + 11);
			else
				buf_addf(out, "%s%s\n", *map ? "\n" : "", what);
			first = false;
		}
		buf_addf(out, "  %-14s %s", row->key, row->type);
		if (strcmp(row->otherwise, "!") == 0)
			buf_add_z(out, ", compulsory");
		else if (*row->otherwise)
			buf_addf(out, ", default %s", row->otherwise);
		buf_addf(out, "\n  %-14s     %s\n", "", row->help);
	}
}

void pipeline_help(struct buf *out)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = strcmp(KEYS[k].map, KEYS[i].map) == 0;
		if (!seen)
			help_map(KEYS[i].map, out);
	}
	buf_add_z(out, "\nnot here yet\n");
	for (size_t i = 0; i < N_LATERS; i++)
		buf_addf(out, "  %-14s %s\n", LATERS[i].key, LATERS[i].help);
}
