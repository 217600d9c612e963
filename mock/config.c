#include "mock/config.h"

#include "base/calendar.h"

#include <stddef.h>
#include <string.h>

enum section { SEC_top, SEC_rate, SEC_faults, SEC_rule, SEC_resource, SEC_window, SEC_paginate, SECTIONS };
enum kind { KIND_TEXT, KIND_FLAG, KIND_COUNT, KIND_TIME, KIND_SIZE, KIND_PERCENT, KIND_WORDS, KIND_CHOICE, KIND_NODE };

struct option {
	enum section section;
	enum kind kind;
	size_t at; /* offset of the field in the section's struct */
	const char *name, *choices, *otherwise, *help;
};

static const struct option OPTIONS[] = {
#define OPT(section, name, kind, choices, otherwise, help) \
	{ SEC_##section, KIND_##kind, offsetof(struct opt_##section, name), #name, choices, otherwise, help },
#include "mock/option.def"
#undef OPT
};
enum { N_OPTIONS = sizeof OPTIONS / sizeof OPTIONS[0] };

static const char *const SECTION_NAMES[SECTIONS] = {
	"(top)", "rate", "faults", "script: list of", "resources: NAME", "resources: NAME: window",
	"resources: NAME: paginate",
};

/* ── one value ── */

static bool read_percent(const struct yaml_node *n, uint64_t *out, struct problems *p)
{
	struct str text, whole, rest;
	if (!yaml_str(n, &text, p))
		return false;
	rest = text;
	uint64_t value = 0, fraction = 0, scale = 10000;
	str_cut(&rest, '.', &whole);
	bool ok = str_to_u64(whole, &value) && value <= 100 && rest.n <= 4;
	for (size_t i = 0; ok && i < rest.n; i++) {
		ok = rest.p[i] >= '0' && rest.p[i] <= '9';
		scale /= 10;
		fraction += scale * (uint64_t)(rest.p[i] - '0');
	}
	*out = value * 10000 + fraction;
	if (!ok || *out > 1000000)
		problem_at(p, n, "a number from 0 to 100 with at most 4 decimals", "`%.*s` is no percentage",
			   STR_ARG(text));
	return ok;
}

static void read_words(const struct yaml_node *n, struct arena *a, struct words *out, struct problems *p)
{
	*out = (struct words){ 0 };
	if (n->type == YAML_SCALAR) { /* a, b, c */
		struct str rest, word;
		if (!yaml_str(n, &rest, p))
			return;
		out->v = arena_array(a, struct str, rest.n + 1);
		while (str_cut(&rest, ',', &word))
			if (str_trim(word).n)
				out->v[out->n++] = str_trim(word);
		return;
	}
	out->v = arena_array(a, struct str, n->n_children + 1);
	if (n->type == YAML_MAP)
		problem_at(p, n, NULL, "a list is expected");
	for (const struct yaml_node *c = n->child; c && n->type == YAML_LIST; c = c->next)
		if (yaml_str(c, &out->v[out->n], p))
			out->n++;
}

static void read_choice(const struct yaml_node *n, const struct option *o, unsigned *out, struct problems *p)
{
	struct str text, rest = str_from(o->choices), word;
	if (yaml_is_null(n)) /* a plain null is a word here (`end: null`) */
		text = STR("null");
	else if (!yaml_str(n, &text, p))
		return;
	for (unsigned i = 0; str_cut(&rest, '|', &word); i++)
		if (str_eq(word, text)) {
			*out = i;
			return;
		}
	problem_at(p, n, NULL, "`%.*s` is none of %s", STR_ARG(text), o->choices);
}

static void read_value(const struct yaml_node *n, const struct option *o, struct arena *a, void *field,
		       struct problems *p)
{
	struct str *text = field;
	switch (o->kind) {
	case KIND_TEXT:
		if (yaml_is_null(n))
			*text = STR_NONE;
		else if (yaml_str(n, text, p))
			*text = arena_copy(a, *text);
		break;
	case KIND_FLAG: yaml_bool(n, field, p); break;
	case KIND_COUNT: yaml_u64(n, 0, UINT64_C(1) << 53, field, p); break;
	case KIND_TIME: yaml_duration(n, field, p); break;
	case KIND_SIZE: yaml_size(n, field, p); break;
	case KIND_PERCENT: read_percent(n, field, p); break;
	case KIND_WORDS: read_words(n, a, field, p); break;
	case KIND_CHOICE: read_choice(n, o, field, p); break;
	case KIND_NODE: memcpy(field, &n, sizeof n); break;
	}
}

static void read_section(enum section section, const struct yaml_node *map, struct arena *a, void *out,
			 struct problems *p)
{
	const char *known[N_OPTIONS + 1];
	size_t n_known = 0;
	bool is_map = map && map->type == YAML_MAP;
	if (map && !is_map && !yaml_is_null(map))
		problem_at(p, map, NULL, "a map of settings is expected");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &OPTIONS[i];
		if (o->section != section)
			continue;
		known[n_known++] = o->name;
		const struct yaml_node *n = is_map ? yaml_get(map, o->name) : NULL;
		struct yaml_node otherwise = { .text = str_from(o->otherwise), .file = "option.def", .quoted = true };
		otherwise.quoted = o->kind == KIND_TEXT;
		if (n)
			read_value(n, o, a, (char *)out + o->at, p);
		else if (o->otherwise[0])
			read_value(&otherwise, o, a, (char *)out + o->at, p);
	}
	known[n_known] = NULL;
	if (is_map)
		yaml_known_keys(map, known, p);
}

void config_rule(const struct yaml_node *map, struct arena *a, struct opt_rule *out, struct problems *p)
{
	*out = (struct opt_rule){ 0 };
	read_section(SEC_rule, map, a, out, p);
}

void config_faults(const struct yaml_node *map, struct arena *a, struct opt_faults *out, struct problems *p)
{
	*out = (struct opt_faults){ 0 };
	read_section(SEC_faults, map, a, out, p);
}

/* ── resources ── */

static void check_places(const struct yaml_node *n, const struct mock_resource *r, struct problems *p)
{
	bool nothing_else = !r->page.total.n && !r->page.pages.n && !r->page.more.n &&
			    !(r->page.next.n && (r->page.style == STYLE_CURSOR || r->page.style == STYLE_NEXT_URL));
	if (r->o.records.n == 0 && !nothing_else)
		problem_at(p, n, "name the records' place (records: data) or set next, total, pages and more to \"\"",
			   "where the body is the array itself nothing else can stand in it");
	const struct str places[] = { r->o.records, r->page.next, r->page.total, r->page.pages, r->page.more };
	for (size_t i = 0; i < 5; i++)
		for (size_t k = 0; k < 5; k++) {
			struct arena scratch = ARENA_INIT;
			bool inside = i != k && places[i].n && places[k].n &&
				      str_starts(places[k], arena_format(&scratch, "%.*s.", STR_ARG(places[i])));
			arena_free(&scratch);
			if (inside || (i < k && places[i].n && str_eq(places[i], places[k])))
				problem_at(p, n, NULL, "`%.*s` and `%.*s` cannot both stand in the body",
					   STR_ARG(places[i]), STR_ARG(places[k]));
		}
}

static void read_types(const struct yaml_node *map, struct arena *a, struct table_spec *spec, struct problems *p)
{
	if (yaml_is_null(map))
		return;
	struct table_type *types = arena_array(a, struct table_type, map->n_children + 1);
	for (const struct yaml_node *c = map->child; c; c = c->next, spec->n_types++) {
		struct str name;
		types[spec->n_types].column = arena_copy(a, c->key);
		if (yaml_str(c, &name, p) && !cell_type_from(name, &types[spec->n_types].type))
			problem_at(p, c, "integer, number, boolean, string or json", "`%.*s` is no type", STR_ARG(name));
	}
	spec->types = types;
}

static void read_resource(const struct yaml_node *n, const char *data, struct arena *a, struct mock_config *config,
			  struct problems *p)
{
	struct mock_resource *r = &config->resources[config->n_resources++];
	r->name = arena_copy(a, n->key);
	read_section(SEC_resource, n, a, &r->o, p);
	read_section(SEC_window, r->o.window, a, &r->window, p);
	read_section(SEC_paginate, r->o.paginate, a, &r->page, p);
	if (r->o.path.n == 0)
		r->o.path = arena_format(a, "/%.*s", STR_ARG(r->name));
	if (r->page.max_size == 0)
		r->page.max_size = r->page.size;
	if (!yaml_get(n, "latency"))
		r->o.latency = config->top.latency;
	if (r->page.size == 0 || r->page.size > r->page.max_size)
		problem_at(p, n, NULL, "paginate: size must be from 1 to max_size");
	if (r->o.repeat < 1 || r->o.repeat > 1000000)
		problem_at(p, n, NULL, "repeat must be from 1 to 1000000");
	if (r->window.column.n == 0 && r->o.window)
		problem_at(p, r->o.window, NULL, "window needs a `column`");
	check_places(n, r, p);
	struct err e = ERR_INIT;
	if (!zone_load(r->window.zone, a, &r->zone, &e))
		problem_at(p, r->o.window, NULL, "%s", e.message);
	struct table_spec spec = {
		.null_text = r->o.null, .time_column = r->window.column, .time_form = r->window.values,
		.zone = r->zone, .keys = r->o.keys.v, .n_keys = r->o.keys.n,
	};
	read_types(r->o.types, a, &spec, p);
	if (r->o.file.n == 0) {
		problem_at(p, n, NULL, "resource `%.*s` needs a `file`", STR_ARG(r->name));
		return;
	}
	spec.path = r->o.file.p[0] == '/' ? r->o.file.p : arena_format(a, "%s/%s", data, r->o.file.p).p;
	if (!table_load(&spec, a, &r->table, &e))
		problem_at(p, yaml_get(n, "file"), NULL, "%s", e.message);
}

bool config_load(const char *path, const char *data, struct arena *a, struct mock_config *out, struct err *e)
{
	*out = (struct mock_config){ 0 };
	struct problems p = PROBLEMS_INIT(a);
	struct yaml_node *root = NULL;
	if (!yaml_load(path, a, &root, &p))
		return problems_to_err(&p, e);
	read_section(SEC_top, root, a, &out->top, &p);
	read_section(SEC_rate, out->top.rate, a, &out->rate, &p);
	config_faults(out->top.faults, a, &out->faults, &p);
	if (!out->top.faults || !yaml_get(out->top.faults, "seed"))
		out->faults.seed = out->top.seed;
	if (out->top.auth_name.n == 0)
		out->top.auth_name = out->top.auth == AUTH_QUERY ? STR("api_key") : STR("X-Api-Key");
	if (out->top.gzip_level < 1 || out->top.gzip_level > 12)
		problem_at(&p, yaml_get(root, "gzip_level"), NULL, "gzip_level must be from 1 to 12");
	if (out->rate.requests && (out->rate.per < 1 || out->rate.burst < 1))
		problem_at(&p, out->top.rate, NULL, "rate: per and burst must be above 0");
	const struct yaml_node *list = out->top.resources;
	if (!list || list->type != YAML_MAP)
		problem_file(&p, path, 0, 0, NULL, "`resources` must be a map of at least one resource");
	else
		out->resources = arena_array(a, struct mock_resource, list->n_children + 1);
	for (const struct yaml_node *n = out->resources ? list->child : NULL; n; n = n->next)
		read_resource(n, data, a, out, &p);
	if (p.n_errors == 0)
		return true;
	struct buf text = BUF_INIT(1 << 16);
	problems_print(&p, &text);
	err_set(e, ERR_USAGE, "%.*s", STR_ARG(str_trim(buf_str(&text))));
	buf_free(&text);
	return false;
}

/* ── help ── */

static void wrap(struct buf *out, const char *text, size_t column)
{
	struct str rest = str_from(text), word;
	size_t at = column;
	while (str_cut(&rest, ' ', &word)) {
		if (at + 1 + word.n > 110) {
			buf_addf(out, "\n%*s", (int)column, "");
			at = column;
		}
		buf_addf(out, " %.*s", STR_ARG(word));
		at += 1 + word.n;
	}
	buf_add_char(out, '\n');
}

void config_help(struct buf *out)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &OPTIONS[i];
		if (i == 0 || OPTIONS[i - 1].section != o->section)
			buf_addf(out, "%s%s:\n", i ? "\n" : "", SECTION_NAMES[o->section]);
		buf_addf(out, "  %-13s", o->name);
		struct buf help = BUF_INIT(4096);
		buf_add_z(&help, o->help);
		if (o->choices[0])
			buf_addf(&help, "%s%s", help.n ? "; " : "", o->choices);
		if (o->otherwise[0])
			buf_addf(&help, "%s[%s]", help.n ? " " : "", o->otherwise);
		wrap(out, buf_str(&help).p ? buf_str(&help).p : "", 15);
		buf_free(&help);
	}
}
