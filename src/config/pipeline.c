#include "config/pipeline_parts.h"

#include "base/check.h"

#include <string.h>

/* ── environments: put over the top level before anything is read, so that all checks see the result ── */

/* Puts the child in the place of the one with its key, or at the end. Whoever walks the child's old map has read
 * child->next before. */
static void map_put(struct yaml_node *map, struct yaml_node *child)
{
	struct yaml_node **at = &map->child;
	while (*at && !str_eq((*at)->key, child->key))
		at = &(*at)->next;
	child->next = *at ? (*at)->next : NULL;
	if (!*at)
		map->n_children++;
	child->parent = map;
	*at = child;
}

/* The keys of `over` into its namesake in `parent`, which it becomes where there is none. */
static void map_merge(struct yaml_node *parent, struct yaml_node *over, const char *nested)
{
	struct yaml_node *base = parent->child;
	while (base && !str_eq(base->key, over->key))
		base = base->next;
	if (!base || base->type != YAML_MAP || over->type != YAML_MAP) {
		map_put(parent, over);
		return;
	}
	for (struct yaml_node *c = over->child, *next; c; c = next) {
		next = c->next;
		if (nested && str_eq_z(c->key, nested))
			map_merge(base, c, NULL);
		else
			map_put(base, c);
	}
}

static void environment_keys(struct reader *r, const struct yaml_node *n)
{
	if (yaml_is_null(n) || !keys_check(n, "environment", r->p))
		return;
	const struct yaml_node *schedule = key_get(n, "schedule"), *source = key_get(n, "source"),
			       *sources = key_get(n, "sources");
	keys_check(schedule, "schedule", r->p);
	keys_check(key_get(n, "engine"), "engine", r->p);
	keys_check(key_get(n, "s3"), "s3", r->p);
	keys_check(source, "environment.source", r->p);
	if (sources && sources->type == YAML_MAP)
		for (const struct yaml_node *c = sources->child; c; c = c->next)
			keys_check(c, "environment.source", r->p);
}

static void environment_put(struct reader *r, struct yaml_node *root, struct yaml_node *environment)
{
	struct yaml_node *sources = yaml_get(root, "sources");
	for (struct yaml_node *c = environment->child, *next; c; c = next) {
		next = c->next;
		if (yaml_is_null(c))
			continue;
		if (!str_eq_z(c->key, "sources") || !sources || sources->type != YAML_MAP || c->type != YAML_MAP) {
			map_merge(root, c, "rate");
			continue;
		}
		for (struct yaml_node *one = c->child, *after; one; one = after) {
			after = one->next;
			bool known = false;
			for (const struct yaml_node *s = sources->child; s; s = s->next)
				known = known || str_eq(s->key, one->key);
			if (known)
				map_merge(sources, one, "rate");
			else
				problem_at_key(r->p, one, NULL, "`sources` has no `%.*s` to put this over",
					       STR_ARG(one->key));
		}
	}
}

static void environment_apply(struct reader *r, struct yaml_node *root, struct str name)
{
	struct yaml_node *all = yaml_get(root, "environments"), *chosen = NULL;
	const char **known = arena_array(r->a, const char *, all ? all->n_children + 1 : 1);
	size_t n = 0;
	if (all && all->n_children > ENVIRONMENTS_MAX)
		problem_at(r->p, all, NULL, "more than %d environments", ENVIRONMENTS_MAX);
	if (all && !yaml_is_null(all) && all->type != YAML_MAP)
		problem_at(r->p, all, "environments: {prod: {lake: /srv/lake}}", "`environments` must be a map");
	for (struct yaml_node *c = all ? all->child : NULL; c && all->type == YAML_MAP; c = c->next) {
		known[n++] = arena_zero_terminated(r->a, c->key);
		if (!name_ok(c->key))
			problem_at_key(r->p, c, "a-z, 0-9 and _, starting with a letter, at most 63 bytes",
				       "`%.*s` cannot be the name of an environment", STR_ARG(str_sub(c->key, 0, 80)));
		environment_keys(r, c);
		if (name.n && str_eq(c->key, name))
			chosen = c;
	}
	/* Gone from the tree: the digest is of what is chosen. */
	for (struct yaml_node **at = &root->child; *at; at = &(*at)->next)
		if (*at == all) {
			*at = all->next;
			root->n_children--;
			break;
		}
	if (chosen && chosen->type == YAML_MAP)
		environment_put(r, root, chosen);
	if (!name.n || chosen)
		return;
	const char *nearest = yaml_nearest(name, known);
	struct str advice = nearest ? arena_format(r->a, "did you mean --env %s?", nearest) : STR("");
	problem_file(r->p, r->out->file, all ? all->key_line : 0, all ? all->key_column : 0,
		     arena_zero_terminated(r->a, advice), "`environments` has no `%.*s`", STR_ARG(name));
}

/* ── the top level ── */

static void schedule_read(struct reader *r, const struct yaml_node *n)
{
	struct pipeline *out = r->out;
	struct err e = ERR_INIT;
	out->schedule = (struct step){ .unit = STEP_DAY, .count = 1 };
	CHECK(zone_load(STR("UTC"), r->a, &out->schedule.zone, &e));
	if (!keys_check(n, "schedule", r->p))
		return;
	key_step(r, n, "window", &out->schedule);
	key_zone(r, n, "zone", &out->schedule.zone);
	key_str(r, n, "cron", &out->cron);
	if (!out->cron.n)
		return;
	size_t fields = 0;
	bool ok = true;
	struct str rest = out->cron, part;
	while (str_cut(&rest, ' ', &part)) {
		fields += part.n > 0;
		for (size_t i = 0; i < part.n; i++)
			ok = ok && part.p[i] && strchr("0123456789*/,-?LW#ABCDEFGHIJKMNOPQRSTUVXYZ", part.p[i]);
	}
	if (!ok || fields != 5)
		problem_at(r->p, key_get(n, "cron"), "minute hour day month weekday: \"0 5 * * *\"",
			   "`schedule.cron` must have five fields");
}

static void lake_read(struct reader *r, const struct yaml_node *root)
{
	const struct yaml_node *n = key_get(root, "lake");
	struct str text;
	if (!n || !yaml_str(n, &text, r->p))
		return;
	size_t scheme = str_find(text, STR("://"));
	if (str_starts(text, STR("s3://"))) {
		struct str bucket = str_sub(text, 5, text.n);
		if (!bucket.n || bucket.p[0] == '/')
			problem_at(r->p, n, "s3://bucket/prefix", "`lake` names no bucket");
		while (str_ends(text, STR("/")) && text.n > 6)
			text.n--;
		r->out->lake = text;
		return;
	}
	bool control = false;
	for (size_t i = 0; i < text.n; i++)
		control = control || (unsigned char)text.p[i] < 0x20;
	if (!text.n || control) {
		problem_at(r->p, n, "lake: ./lake", "`lake` must be a path");
		return;
	}
	if (scheme < text.n) {
		problem_at(r->p, n, "a folder, or s3://bucket/prefix", "lakes at `%.*s`: not here yet",
			   STR_ARG(str_sub(text, 0, scheme + 3)));
		return;
	}
	if (str_starts(text, STR("~")))
		problem_at(r->p, n, "write the whole path, or one relative to this file", "`lake` starts with ~");
	while (str_ends(text, STR("/")) && text.n > 1)
		text.n--;
	while (str_starts(text, STR("./")) && text.n > 2)
		text = str_sub(text, 2, text.n);
	r->out->lake = text.p[0] == '/' ? text :
					  arena_format(r->a, "%.*s/%.*s", STR_ARG(r->out->folder), STR_ARG(text));
}

static void s3_read(struct reader *r, const struct yaml_node *n)
{
	struct store_settings *s = &r->out->store;
	if (!keys_check(n, "s3", r->p))
		return;
	key_str(r, n, "endpoint", &s->endpoint);
	key_str(r, n, "region", &s->region);
	key_str(r, n, "ca_file", &s->ca_file);
	key_bool(r, n, "path_style", &s->path_style);
	key_bool(r, n, "single_writer", &s->single_writer);
	if (key_get(n, "path_style") == NULL)
		s->path_style = s->endpoint.n > 0; /* few but AWS give each bucket a name in DNS */
	struct url url;
	struct err e = ERR_INIT;
	if (s->endpoint.n > 0 && (!url_parse(s->endpoint, r->a, &url, &e) || url.path.n > 1 || url.query.n > 0))
		problem_at(r->p, key_get(n, "endpoint"), "endpoint: https://s3.example.com:9000",
			   "`s3.endpoint` must be https://host or https://host:port, without a path");
	if (s->ca_file.n > 0 && s->ca_file.p[0] != '/')
		s->ca_file = arena_format(r->a, "%.*s/%.*s", STR_ARG(r->out->folder), STR_ARG(s->ca_file));
}

static void sources_read(struct reader *r, const struct yaml_node *root)
{
	const struct yaml_node *one = key_get(root, "source"), *several = key_get(root, "sources");
	if (one && several) {
		problem_at_key(r->p, several, "move `source` into `sources`, with a name",
			       "`source` and `sources` are both here");
		return;
	}
	if (!one && !several) {
		problem_at(r->p, root, "source: {url: https://api.example.com/v1}", "`source` is missing in the file");
		return;
	}
	if (one) {
		r->out->sources = arena_new(r->a, struct source);
		r->out->n_sources = 1;
		source_read(r, one, r->out->sources);
		return;
	}
	if (several->type != YAML_MAP || !several->n_children || several->n_children > SOURCES_MAX) {
		problem_at(r->p, several, "sources: {flights: {url: https://api.example.com/v1}}",
			   "`sources` must be a map of 1 to %d sources", SOURCES_MAX);
		return;
	}
	/* All of them at once: resources and sets of secrets point into this array. */
	r->out->sources = arena_array(r->a, struct source, several->n_children);
	for (const struct yaml_node *c = several->child; c; c = c->next) {
		struct source *s = &r->out->sources[r->out->n_sources++];
		s->name = c->key;
		if (!name_ok(c->key))
			problem_at_key(r->p, c, "a-z, 0-9 and _, starting with a letter, at most 63 bytes",
				       "`%.*s` cannot be the name of a source", STR_ARG(str_sub(c->key, 0, 80)));
		if (yaml_is_null(c))
			problem_at_key(r->p, c, "{url: https://api.example.com/v1}", "the source has no keys");
		else
			source_read(r, c, s);
	}
}

static void root_read(struct reader *r, struct yaml_node *root)
{
	struct pipeline *out = r->out;
	if (!keys_check(root, "", r->p))
		return;
	environment_apply(r, root, out->environment);
	const struct yaml_node *name = key_get(root, "pipeline"), *prepare = key_get(root, "prepare"),
			       *engine = key_get(root, "engine");
	if (name && yaml_str(name, &out->name, r->p) && !name_ok(out->name))
		problem_at(r->p, name, "a-z, 0-9 and _, starting with a letter, at most 63 bytes",
			   "this cannot be the name of a pipeline");
	lake_read(r, root);
	s3_read(r, key_get(root, "s3"));
	schedule_read(r, key_get(root, "schedule"));
	sources_read(r, root);
	resources_read(r, key_get(root, "resources"), key_get(root, "sources"));
	out->file_rows = 200000;
	if (keys_check(prepare, "prepare", r->p))
		key_u64(r, prepare, "file_rows", 1000, 100000000, &out->file_rows);
	engine_read(r, engine);
	models_read(r, key_get(root, "models"));
}

static struct yaml_node *root_load(const char *path, struct arena *a, struct problems *p)
{
	struct yaml_node *root;
	bool ok = yaml_load(path, a, &root, p);
	if (root && root->type == YAML_MAP)
		return root;
	if (!ok)
		return NULL;
	problem_file(p, arena_zero_terminated(p->arena, str_from(path)), root ? root->line : 0,
		     root ? root->column : 0, "`sluice help pipeline-file` shows what belongs here",
		     root ? "the file must be a map" : "the file is empty");
	return NULL;
}

static struct str folder_of(const char *path, struct arena *a)
{
	struct str s = str_from(path);
	while (s.n && s.p[s.n - 1] != '/')
		s.n--;
	if (!s.n)
		return STR(".");
	return arena_copy(a, s.n > 1 ? str_sub(s, 0, s.n - 1) : s);
}

bool pipeline_load(const char *path, struct str environment, struct arena *a, struct pipeline **out,
		   struct problems *p)
{
	size_t errors_before = p->n_errors;
	struct yaml_node *root = root_load(path, a, p);
	if (!root)
		return false;
	struct pipeline *pipeline = arena_new(a, struct pipeline);
	pipeline->file = arena_zero_terminated(a, str_from(path));
	pipeline->folder = folder_of(path, a);
	pipeline->environment = arena_copy(a, environment);
	struct reader r = { .a = a, .p = p, .out = pipeline };
	root_read(&r, root);
	if (p->n_errors != errors_before)
		return false;
	CHECK(pipeline->n_sources > 0 && pipeline->n_resources > 0);
	pipeline->digest = tree_digest(root, a);
	*out = pipeline;
	return true;
}

static bool problem_known(const struct problems *p, const struct problem *one)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].line == one->line && p->v[i].column == one->column &&
		    strcmp(p->v[i].file, one->file) == 0 && str_eq(p->v[i].message, one->message))
			return true;
	return false;
}

bool pipeline_check(const char *path, struct arena *a, struct problems *p)
{
	struct pipeline *ignored;
	struct problems unused = PROBLEMS_INIT(a);
	size_t errors_before = p->n_errors;
	pipeline_load(path, STR_NONE, a, &ignored, p);
	const struct yaml_node *root = root_load(path, a, &unused);
	const struct yaml_node *all = yaml_get(root, "environments");
	if (all && all->n_children > ENVIRONMENTS_MAX)
		return false;
	for (const struct yaml_node *c = all && all->type == YAML_MAP ? all->child : NULL; c; c = c->next) {
		struct problems of_one = PROBLEMS_INIT(p->arena);
		pipeline_load(path, c->key, a, &ignored, &of_one);
		for (size_t i = 0; i < of_one.n; i++)
			if (!problem_known(p, &of_one.v[i])) {
				*arena_push(p->arena, *p) = of_one.v[i];
				p->n_errors += !of_one.v[i].warning;
			}
	}
	return p->n_errors == errors_before;
}
