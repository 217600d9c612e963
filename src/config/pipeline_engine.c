/* `engine` and `models`: which engine does what, and how Spark is called. */
#include "config/pipeline_parts.h"

#include <string.h>

enum { CONF_MAX = 256, MODEL_SETTINGS_MAX = 512 };

static const char *const use_names[] = { "duckdb", "spark", "auto", NULL }; /* enum engine_use, from 1 */

bool engine_use_from(struct str word, enum engine_use *out)
{
	for (size_t i = 0; use_names[i]; i++)
		if (str_eq_z(word, use_names[i])) {
			*out = (enum engine_use)(i + 1);
			return true;
		}
	return false;
}

void engine_use_read(struct reader *r, const struct yaml_node *map, const char *key, enum engine_use *out)
{
	size_t which = SIZE_MAX;
	key_choice(r, map, key, use_names, &which);
	if (which != SIZE_MAX)
		*out = (enum engine_use)(which + 1);
}

/* Words of a command line: nothing that ends one or hides in a log. */
static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

/* "4", "*", "2,4": what stands in local[...]. */
static bool is_threads(struct str s)
{
	struct str first, rest = s;
	uint64_t n = 0;
	bool more = str_find_char(s, ',') < s.n;
	if (s.n == 0 || !str_cut(&rest, ',', &first) || (!str_eq_z(first, "*") && (!str_to_u64(first, &n) || n == 0)))
		return false;
	return !more || (str_to_u64(rest, &n) && n > 0);
}

/* What spark-submit takes, by its form: anything else ends after Spark has started, or a minute later. */
static bool is_master(struct str s)
{
	static const char *const schemes[] = { "spark://", "k8s://", "mesos://" };
	static const struct str open = { "local[", 6 }, cluster = { "local-cluster[", 14 };
	if (!is_printable(s) || str_contains(s, STR(" ")))
		return false;
	if (str_eq_z(s, "local") || str_eq_z(s, "yarn") || (str_starts(s, cluster) && str_ends(s, STR("]"))))
		return true;
	if (str_starts(s, open))
		return str_ends(s, STR("]")) && is_threads(str_sub(s, open.n, s.n - open.n - 1));
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (str_starts(s, str_from(schemes[i])))
			return s.n > strlen(schemes[i]);
	return false;
}

/* What a setting has to be that may not be another; STR_NONE: anything. */
static struct str pinned_value(struct str name)
{
	static const struct {
		const char *name, *value;
	} pinned[] = {
#define PINNED(name, value) { name, value },
#include "config/spark_pinned.def"
#undef PINNED
	};
	for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++)
		if (str_eq_z(name, pinned[i].name))
			return str_from(pinned[i].value);
	return STR_NONE;
}

/* A JVM goes by what it was told last. */
static struct str option_last(struct str options, struct str option)
{
	struct str rest = options, word, out = STR_NONE;
	while (str_cut(&rest, ' ', &word))
		if (str_starts(word, option))
			out = str_sub(word, option.n, SIZE_MAX);
	return out;
}

static bool is_one_of(struct str s, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		if (str_eq_z(s, words[i]))
			return true;
	return false;
}

/* The option of a JVM by which it would answer otherwise; NULL: none. Languages: in which upper and lower are other letters. */
static const char *option_wrong(struct str name, struct str value)
{
	static const char *const zones[] = { "UTC", "Etc/UTC", "GMT", "Z", NULL }, *const cased[] = { "tr", "az", "lt", NULL };
	if (!str_ends(name, STR(".extraJavaOptions")))
		return NULL;
	struct str zone = option_last(value, STR("-Duser.timezone="));
	if (zone.n > 0 && !is_one_of(zone, zones))
		return "-Duser.timezone";
	return is_one_of(option_last(value, STR("-Duser.language=")), cased) ? "-Duser.language" : NULL;
}

static void conf_check(struct reader *r, const struct yaml_node *c, struct str value)
{
	struct str pinned = pinned_value(c->key);
	const char *wrong = option_wrong(c->key, value);
	if (!is_printable(value))
		problem_at(r->p, c, NULL, "`%.*s` is empty, or has control characters", STR_ARG(c->key));
	else if (pinned.n > 0 && !str_eq_nocase(value, pinned))
		problem_at(r->p, c, "take it out: sluice sets it itself", "`%.*s: %.*s` would give other rows than DuckDB: it has to be %.*s",
			   STR_ARG(c->key), STR_ARG(str_sub(value, 0, 80)), STR_ARG(pinned));
	else if (wrong)
		problem_at(r->p, c, "take it out: sluice sets it itself", "`%.*s`: with that %s it would give other rows than DuckDB",
			   STR_ARG(c->key), wrong);
}

static void conf_read(struct reader *r, const struct yaml_node *map)
{
	struct spark_settings *s = &r->out->spark;
	if (!map)
		return;
	if (map->type != YAML_MAP || map->n_children > CONF_MAX) {
		problem_at(r->p, map, "conf: {spark.executor.memory: 4g}", "`engine.spark.conf` must be a map of at most %d settings",
			   CONF_MAX);
		return;
	}
	s->names = arena_array(r->a, struct str, map->n_children + 1);
	s->values = arena_array(r->a, struct str, map->n_children + 1);
	for (const struct yaml_node *c = map->child; c; c = c->next) {
		struct str value;
		if (!str_starts(c->key, STR("spark.")) || !is_printable(c->key) || str_contains(c->key, STR("=")))
			problem_at_key(r->p, c, "spark.executor.memory: 4g", "`%.*s` is no setting of Spark",
				       STR_ARG(str_sub(c->key, 0, 80)));
		else if (str_eq(c->key, STR("spark.master")))
			problem_at_key(r->p, c, "engine: {spark: {master: ...}}", "the master has a key of its own");
		else if (yaml_str(c, &value, r->p)) {
			conf_check(r, c, value);
			s->names[s->n_conf] = c->key;
			s->values[s->n_conf++] = value;
		}
	}
}

static void spark_read(struct reader *r, const struct yaml_node *n)
{
	struct spark_settings *s = &r->out->spark;
	s->from_bytes = UINT64_C(64) << 30;
	if (!n || !keys_check(n, "engine.spark", r->p))
		return;
	key_str(r, n, "submit", &s->submit);
	key_str(r, n, "master", &s->master);
	key_size(r, n, "from", 1, UINT64_C(1) << 60, &s->from_bytes);
	conf_read(r, key_get(n, "conf"));
	if (s->master.n > 0 && !is_master(s->master))
		problem_at(r->p, key_get(n, "master"), "local, local[N], local[N,TRIES], local[*], spark://HOST:PORT, yarn, k8s://... or mesos://...",
			   "`engine.spark.master` is no master of Spark");
	if (s->submit.n > 0 && !is_printable(s->submit))
		problem_at(r->p, key_get(n, "submit"), "submit: /opt/spark/bin/spark-submit", "`engine.spark.submit` must be a path");
	if (s->submit.n > 0 && s->submit.p[0] != '/')
		s->submit = arena_format(r->a, "%.*s/%.*s", STR_ARG(r->out->folder), STR_ARG(s->submit));
}

void engine_read(struct reader *r, const struct yaml_node *n)
{
	struct pipeline *out = r->out;
	out->memory_bytes = 256 << 20;
	out->scratch_bytes = UINT64_C(64) << 30;
	out->portable = true;
	out->engine = ENGINE_USE_DUCKDB;
	bool there = keys_check(n, "engine", r->p);
	spark_read(r, there ? key_get(n, "spark") : NULL);
	if (!there)
		return;
	engine_use_read(r, n, "use", &out->engine);
	key_size(r, n, "memory", 64 << 20, UINT64_C(1) << 44, &out->memory_bytes);
	key_size(r, n, "scratch", 64 << 20, UINT64_C(1) << 50, &out->scratch_bytes);
	key_bool(r, n, "portable", &out->portable);
}

void models_read(struct reader *r, const struct yaml_node *map)
{
	if (!map)
		return;
	if (map->type != YAML_MAP || map->n_children > MODEL_SETTINGS_MAX) {
		problem_at(r->p, map, "models: {delays: {engine: spark}}", "`models` must be a map of at most %d models",
			   MODEL_SETTINGS_MAX);
		return;
	}
	r->out->models = arena_array(r->a, struct model_settings, map->n_children + 1);
	for (const struct yaml_node *c = map->child; c; c = c->next) {
		struct model_settings *m = &r->out->models[r->out->n_models++];
		*m = (struct model_settings){ .name = c->key, .line = c->key_line, .column = c->key_column };
		if (!yaml_is_null(c) && keys_check(c, "model", r->p))
			engine_use_read(r, c, "engine", &m->engine);
	}
}
