#include "config/pipeline_parts.h"

#include "base/check.h"
#include "base/json.h"

#include <string.h>

/* ── names and values of queries and headers ── */

/* Lower case without - and _: "X-Api-Key" is "xapikey". Names that are likelier harmless only get a warning. */
static int name_secrecy(struct str name)
{
	static const char *const secret[] = { "apikey",      "xapikey",      "accesstoken",  "authtoken",
					      "xauthtoken",  "authorization", "password",    "passwd",
					      "pwd",         "secret",       "clientsecret", "privatetoken",
					      "bearertoken", "proxyauthorization", "cookie", "subscriptionkey",
					      "ocpapimsubscriptionkey" };
	static const char *const perhaps[] = { "token", "key", "auth" };
	char plain[64];
	size_t n = 0;
	for (size_t i = 0; i < name.n && n < sizeof plain; i++) {
		char c = name.p[i];
		if (c != '-' && c != '_')
			plain[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
		if (str_eq_z((struct str){ plain, n }, secret[i]))
			return 2;
	for (size_t i = 0; i < sizeof perhaps / sizeof *perhaps; i++)
		if (str_eq_z((struct str){ plain, n }, perhaps[i]))
			return 1;
	return 0;
}

bool name_is_secret(struct str name)
{
	return name_secrecy(name) == 2;
}

static void value_check(struct reader *r, const struct yaml_node *n, bool header)
{
	static const char *const own[] = { "host", "content-length", "transfer-encoding", "connection", "te", "trailer",
					   "upgrade", "expect", "accept-encoding", "range", "if-none-match",
					   "if-modified-since", "if-match", "if-range", "if-unmodified-since" };
	struct str advice = arena_format(r->p->arena, "auth: {api_key: {%s: %.*s, secret: env:NAME}}",
					 header ? "header" : "query", STR_ARG(n->key));
	if (str_eq_nocase(n->key, STR("authorization")))
		advice = STR("auth: {bearer: {secret: env:NAME}}, or basic: {user: NAME, password: env:NAME}");
	int secrecy = name_secrecy(n->key);
	if (secrecy == 2)
		problem_at_key(r->p, n, arena_zero_terminated(r->p->arena, advice),
			       "`%.*s` looks like a secret: those stand in `source.auth`, by reference", STR_ARG(n->key));
	else if (secrecy == 1)
		problem_warn(r->p, n, arena_zero_terminated(r->p->arena, advice),
			     "is the value of `%.*s` a secret? those stand in `source.auth`, by reference",
			     STR_ARG(n->key));
	if (!header)
		return;
	if (!header_name_ok(n->key))
		problem_at_key(r->p, n, "letters, digits and - as in X-Client", "no name of a header");
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (str_eq_nocase(n->key, str_from(own[i])))
			problem_at_key(r->p, n, "remove it", "the header %.*s is set by sluice", STR_ARG(n->key));
	for (size_t i = 0; i < n->text.n; i++)
		if ((unsigned char)n->text.p[i] < 0x20 || n->text.p[i] == 0x7f) {
			problem_at(r->p, n, NULL, "a control character in the header %.*s", STR_ARG(n->key));
			break;
		}
}

void name_values_read(struct reader *r, const struct yaml_node *map, bool headers, struct name_value **out,
		      size_t *n_out)
{
	size_t max = headers ? HEADERS_MAX : QUERY_MAX;
	if (!map)
		return;
	struct str path = yaml_path(map, r->p->arena);
	if (map->type != YAML_MAP || map->n_children > max) {
		problem_at(r->p, map, NULL, "`%.*s` must be a map of at most %zu keys", STR_ARG(path), max);
		return;
	}
	struct name_value *v = arena_array(r->a, struct name_value, map->n_children + 1);
	size_t n = 0;
	for (const struct yaml_node *c = map->child; c; c = c->next) {
		if (c->type != YAML_SCALAR || yaml_is_null(c)) {
			problem_at(r->p, c, "a text, number, true or false; \"\" for an empty value",
				   "each key of `%.*s` must have one value", STR_ARG(path));
			continue;
		}
		value_check(r, c, headers);
		if (!c->key.n || c->key.n > 256)
			problem_at_key(r->p, c, NULL, "a name must have 1 to 256 bytes");
		v[n].name = c->key;
		if (template_parse(c->text, c, r->a, &v[n].value, r->p))
			n++;
	}
	*out = v;
	*n_out = n;
}

/* ── the resource ── */

static void path_read(struct reader *r, const struct yaml_node *n, struct resource *out)
{
	const struct yaml_node *at = key_get(n, "path");
	if (!at || !yaml_str(at, &out->path, r->p))
		return;
	if (!template_parse(out->path, at, r->a, &out->path_template, r->p))
		return;
	if (!str_starts(out->path, STR("/")))
		problem_at(r->p, at, "it is put behind the source's URL: /flights", "`path` must start with /");
	if (str_contains(out->path, STR("?")) || str_contains(out->path, STR("#")))
		problem_at(r->p, at, "parameters stand in `query`: {limit: 1000}", "`path` has no ? and no #");
	for (size_t i = 0; i < out->path_template.n_parts; i++) {
		struct str s = out->path_template.parts[i].literal;
		bool ok = !str_contains(s, STR("/../")) && !str_ends(s, STR("/..")) && !str_starts(s, STR("//"));
		for (size_t k = 0; k < s.n; k++) {
			unsigned char c = (unsigned char)s.p[k];
			ok = ok && c > 0x20 && c < 0x7f && !strchr("\"<>\\^`{|}", c);
		}
		if (!ok) {
			problem_at(r->p, at, "write other characters percent-encoded, a blank as %20",
				   "`path` is not the path of a URL");
			return;
		}
	}
}

static void window_read(struct reader *r, const struct yaml_node *n, size_t errors_before, struct resource *out)
{
	const struct yaml_node *window = key_get(n, "window");
	out->step = r->out->schedule;
	if (out->kind == KIND_SNAPSHOT) {
		if (window)
			problem_at_key(r->p, window, "remove it, or say `kind: window`",
				       "a snapshot has no windows of its own: `schedule.window` names it");
		return;
	}
	if (!window) {
		problem_at_key(r->p, n, "window: {every: 1d, zone: Europe/Berlin}", "the kind `window` needs `window`");
		return;
	}
	if (!keys_check(window, "resource.window", r->p))
		return;
	key_step(r, window, "every", &out->step);
	key_zone(r, window, "zone", &out->step.zone);
	key_duration(r, window, "lookback", 0, &out->lookback_us);
	key_duration(r, window, "settle", 0, &out->settle_us);
	if (r->p->n_errors != errors_before)
		return; /* a placeholder may be among what was not understood */
	bool uses = template_has_edge(&out->path_template) || template_has_edge(&out->body);
	for (size_t i = 0; i < out->n_query; i++)
		uses = uses || template_has_edge(&out->query[i].value);
	for (size_t i = 0; i < out->n_headers; i++)
		uses = uses || template_has_edge(&out->headers[i].value);
	if (!uses)
		problem_warn(r->p, window, "query: {from: \"{window.from:date}\", to: \"{window.last:date}\"}",
			     "no placeholder of the window is used: each window would fetch the same");
}

static void method_read(struct reader *r, const struct yaml_node *n, struct resource *out)
{
	static const char *const words[] = { "GET", "POST", NULL };
	static const char *const later[] = { "PUT", "PATCH", "DELETE", "HEAD", "QUERY", NULL };
	size_t which = 0;
	bool idempotent = false;
	const struct yaml_node *method = key_get(n, "method"), *body = key_get(n, "body");
	bool other = false;
	for (size_t i = 0; later[i] && method && method->type == YAML_SCALAR; i++)
		other = other || str_eq_z(method->text, later[i]);
	if (other)
		problem_at(r->p, method, "GET, or POST that only reads", "the method %.*s: not here yet",
			   STR_ARG(method->text));
	else
		key_choice(r, n, "method", words, &which);
	key_bool(r, n, "idempotent", &idempotent);
	out->post = which == 1;
	if (out->post && !idempotent)
		problem_at(r->p, method, "`idempotent: true` if this request only reads and may be sent twice",
			   "POST that may not be repeated: not here yet");
	if (out->post && !body)
		problem_at(r->p, method, "body: {from: \"{window.from:date}\"}, or `body: {}`",
			   "POST without a `body`: not here yet");
	if (!out->post && body && !other)
		problem_at_key(r->p, body, "method: POST, idempotent: true", "a GET has no body");
	if (body)
		body_read(r, body, &out->body);
}

/* False: no use in asking for what the kind needs. */
static bool kind_read(struct reader *r, const struct yaml_node *n, struct resource *out)
{
	static const char *const words[] = { "window", "snapshot", NULL };
	const struct yaml_node *kind = key_get(n, "kind");
	size_t which = 2;
	if (kind && kind->type == YAML_SCALAR && str_eq_z(kind->text, "changes")) {
		problem_at(r->p, kind, "`window` and `snapshot` are here", "the kind `changes`: not here yet");
	} else {
		key_choice(r, n, "kind", words, &which);
	}
	out->kind = which == 0 ? KIND_WINDOW : KIND_SNAPSHOT;
	return which < 2;
}

static const struct source *source_find(struct reader *r, const struct yaml_node *n, bool several)
{
	const struct yaml_node *at = key_get(n, "source");
	struct str name;
	if (!r->out->n_sources)
		return NULL; /* that was told */
	if (!several) {
		if (at)
			problem_at(r->p, at, "remove it, or declare `sources`", "there is only one source here");
		return &r->out->sources[0];
	}
	if (!at) {
		problem_at_key(r->p, n, "source: NAME", "`source` is missing: there are several in `sources`");
		return NULL;
	}
	if (!yaml_str(at, &name, r->p))
		return NULL;
	const char **known = arena_array(r->p->arena, const char *, r->out->n_sources + 1);
	for (size_t i = 0; i < r->out->n_sources; i++) {
		if (str_eq(r->out->sources[i].name, name))
			return &r->out->sources[i];
		known[i] = arena_zero_terminated(r->p->arena, r->out->sources[i].name);
	}
	const char *nearest = yaml_nearest(name, known);
	struct str advice = nearest ? arena_format(r->p->arena, "did you mean `%s`?", nearest) : STR("");
	problem_at(r->p, at, arena_zero_terminated(r->p->arena, advice), "`sources` has no such name");
	return NULL;
}

static void keyset_read(struct reader *r, const struct yaml_node *n, struct resource *out)
{
	const struct yaml_node *at = key_get(n, "keyset");
	key_path(r, n, "keyset", &out->keyset);
	if (at && at->type == YAML_SCALAR && (!at->text.n || str_eq_z(at->text, ".")))
		problem_at(r->p, at, "the path of the key inside of a record: id, meta.updated_at",
			   "`keyset` must name a place in the record");
}

static void answer_read(struct reader *r, const struct yaml_node *n, struct resource *out)
{
	static const char *const empties[] = { "error", "page", NULL };
	static const char *const keeps[] = { "refuse", "keep", NULL };
	size_t empty = EMPTY_ERROR, keep = 0;
	key_path(r, n, "records", &out->records);
	key_path(r, n, "total", &out->total);
	key_u64(r, n, "total_max", 1, UINT64_C(1) << 53, &out->total_max);
	key_path(r, n, "ok", &out->ok_path);
	key_choice(r, n, "empty", empties, &empty);
	out->empty = (enum empty_policy)empty;
	key_choice(r, n, "secret_in_body", keeps, &keep);
	out->secret_in_body_keep = keep == 1;
	keyset_read(r, n, out);
	out->refetch_min_percent = 95;
	key_u32(r, n, "refetch_min", 0, 100, &out->refetch_min_percent);
	out->resume_within_us = US_PER_DAY;
	key_duration(r, n, "resume_within", 0, &out->resume_within_us);
	const struct yaml_node *segment = key_get(n, "segment");
	out->segment_pages = 64;
	out->segment_bytes = 32 << 20;
	out->segment_us = 10 * (int64_t)US_PER_SECOND;
	if (keys_check(segment, "resource.segment", r->p)) {
		key_u64(r, segment, "pages", 1, 10000, &out->segment_pages);
		key_size(r, segment, "bytes", 64 << 10, 1 << 30, &out->segment_bytes);
		key_duration(r, segment, "every", US_PER_SECOND / 10, &out->segment_us);
	}
}

/* What `auth` sends must not be sent by `query` or `headers`, too. */
static void auth_double_check(struct reader *r, const struct yaml_node *n, const struct resource *out)
{
	if (!out->source || !out->source->auth.name.n)
		return;
	bool header = out->source->auth.kind == AUTH_HEADER;
	const struct yaml_node *map = key_get(n, header ? "headers" : "query");
	for (const struct yaml_node *c = map ? map->child : NULL; c; c = c->next)
		if (header ? str_eq_nocase(c->key, out->source->auth.name) : str_eq(c->key, out->source->auth.name))
			problem_at_key(r->p, c, "remove it here", "`%.*s` is double: `source.auth` sends it, too",
				       STR_ARG(c->key));
}

static void resource_read(struct reader *r, const struct yaml_node *n, bool several, struct resource *out)
{
	*out = (struct resource){ .name = n->key, .file = n->file, .line = n->key_line, .column = n->key_column };
	if (!name_ok(n->key) || str_contains(n->key, STR("__")))
		problem_at_key(r->p, n, "a-z, 0-9 and single _, starting with a letter, at most 63 bytes",
			       "`%.*s` cannot be the name of a resource", STR_ARG(str_sub(n->key, 0, 80)));
	if (yaml_is_null(n)) {
		problem_at_key(r->p, n, "{path: /flights, kind: snapshot}", "the resource has no keys");
		return;
	}
	if (!keys_check(n, "resource", r->p))
		return;
	size_t errors_before = r->p->n_errors;
	out->source = source_find(r, n, several);
	bool kind_known = kind_read(r, n, out);
	path_read(r, n, out);
	name_values_read(r, key_get(n, "query"), false, &out->query, &out->n_query);
	name_values_read(r, key_get(n, "headers"), true, &out->headers, &out->n_headers);
	method_read(r, n, out);
	if (kind_known)
		window_read(r, n, errors_before, out);
	answer_read(r, n, out);
	paginate_read(r, key_get(n, "paginate"), n, out->post, &out->paginate);
	engine_use_read(r, n, "engine", &out->engine);
	auth_double_check(r, n, out);
}

void resources_read(struct reader *r, const struct yaml_node *map, const struct yaml_node *sources)
{
	if (!map)
		return;
	if (map->type != YAML_MAP || !map->n_children || map->n_children > RESOURCES_MAX) {
		problem_at(r->p, map, "resources: {flights: {path: /flights, kind: snapshot}}",
			   "`resources` must be a map of 1 to %d resources", RESOURCES_MAX);
		return;
	}
	r->out->resources = arena_array(r->a, struct resource, map->n_children);
	for (const struct yaml_node *c = map->child; c; c = c->next)
		resource_read(r, c, sources != NULL, &r->out->resources[r->out->n_resources++]);
}

const struct resource *pipeline_resource(const struct pipeline *p, struct str name)
{
	for (size_t i = 0; i < p->n_resources; i++)
		if (str_eq(p->resources[i].name, name))
			return &p->resources[i];
	return NULL;
}
