/* A resource from the settings of a case, and the conversation that follows: ">" lines are what must be sent, "<" lines
 * what comes back, "=" lines what is made of it. The next request follows from the answer before. */
#ifndef SLUICE_TEST_INGEST_CONVERSATION_H
#define SLUICE_TEST_INGEST_CONVERSATION_H

#include "case.h"
#include "config/yaml.h"
#include "ingest/page.h"
#include "ingest/retry.h"

struct conversation {
	const struct test_case *c;
	struct arena *a;
	struct source source;
	struct resource r;
	struct secret secret;
	struct window window;
	struct page_next next;
	uint64_t before;
	enum err_code ended_by;
	unsigned hops;
	struct page_request request;
	bool built, sendable;
	struct http_exchange *x;
	struct page_result result;
	struct err err;
	bool ok;
	struct buf decoded;
};

static inline struct template template_of(struct conversation *v, struct str text, bool json)
{
	struct yaml_node at = { .file = "case", .line = 1, .column = 1 };
	struct problems p = PROBLEMS_INIT(v->a);
	struct template t;
	if (!(json ? template_parse_json : template_parse)(text, &at, v->a, &t, &p))
		fail_msg("%.*s: bad template", STR_ARG(text));
	return t;
}

/* A JSON document in which only "{window." begins a placeholder: as in a pipeline file, where braces of JSON are YAML. */
static inline struct template body_template(struct conversation *v, struct str json)
{
	struct buf doubled = BUF_INIT(1 << 20);
	for (size_t i = 0; i < json.n; i++) {
		bool edge = str_starts(str_sub(json, i, json.n), STR("{window."));
		if (edge) {
			size_t n = str_find_char(str_sub(json, i, json.n), '}') + 1;
			buf_add(&doubled, str_sub(json, i, n));
			i += n - 1;
			continue;
		}
		buf_add_char(&doubled, json.p[i]);
		if (json.p[i] == '{' || json.p[i] == '}')
			buf_add_char(&doubled, json.p[i]);
	}
	struct template t = template_of(v, arena_copy(v->a, buf_str(&doubled)), false);
	buf_free(&doubled);
	return t;
}

static inline void name_value_add(struct conversation *v, struct name_value **list, size_t *n, struct str text, char sep)
{
	size_t at = str_find_char(text, sep);
	if (*list == NULL)
		*list = arena_array(v->a, struct name_value, 16);
	assert_true(*n < 16);
	(*list)[(*n)++] = (struct name_value){ str_trim(str_sub(text, 0, at)),
					       template_of(v, str_trim(str_sub(text, at + 1, text.n)), false) };
}

static inline uint64_t number_of(const struct conversation *v, const struct case_line *l)
{
	uint64_t n = 0;
	if (!str_to_u64(l->value, &n))
		CASE_FAIL(v->c, l, "no number");
	return n;
}

static inline void set_auth(struct conversation *v, const struct case_line *l)
{
	struct auth *auth = &v->source.auth;
	struct str rest = l->value, kind = STR_NONE, name = STR_NONE;
	str_cut(&rest, ' ', &kind);
	if (!str_eq_z(kind, "bearer"))
		str_cut(&rest, ' ', &name);
	auth->kind = str_eq_z(kind, "query")	? AUTH_QUERY
		     : str_eq_z(kind, "header") ? AUTH_HEADER
		     : str_eq_z(kind, "basic")	? AUTH_BASIC
						: AUTH_BEARER;
	auth->name = name;
	auth->user = name;
	auth->secret = secret_make(STR("env:KEY"), v->a);
	auth->secret.hidden = rest;
	secret_set_add(&v->source.secrets, &auth->secret);
}

static inline void set_url(struct conversation *v, struct str text)
{
	struct url u;
	struct err e = ERR_INIT;
	if (!url_parse(text, v->a, &u, &e))
		fail_msg("%s", e.message);
	while (str_ends(u.path, STR("/")))
		u.path.n--;
	v->source.url = text;
	v->source.origin = u.origin;
	v->source.base_path = u.path;
}

static inline void set_paginate(struct conversation *v, const struct case_line *l)
{
	static const char *const styles[] = { "none", "page", "offset", "cursor", "next_url", "link" };
	struct paginate *p = &v->r.paginate;
	struct str rest = l->value, word = STR_NONE, value;
	str_cut(&rest, ' ', &word);
	size_t style = 0;
	while (style < COUNT(styles) && !str_eq_z(word, styles[style]))
		style++;
	assert_true(style < COUNT(styles));
	*p = (struct paginate){ .style = (enum page_style)style, .first = style == PAGE_OFFSET ? 0 : 1, .rel = STR("next") };
	while (str_cut(&rest, ' ', &word)) {
		size_t at = str_find_char(word, '=');
		struct str key = str_sub(word, 0, at);
		uint64_t n = 0;
		value = str_sub(word, at + 1, word.n);
		str_to_u64(value, &n);
		if (str_eq_z(key, "first"))
			p->first = (int64_t)n;
		else if (str_eq_z(key, "size_param"))
			p->size_param = value;
		else if (str_eq_z(key, "size"))
			p->size = (uint32_t)n;
		else if (str_eq_z(key, "end"))
			p->end = str_eq_z(value, "short") ? END_SHORT : END_EMPTY;
		else if (str_eq_z(key, "pages"))
			p->pages_path = value;
		else if (str_eq_z(key, "verify"))
			p->verify = true;
		else if (str_eq_z(key, "from"))
			p->from_path = value;
		else if (str_eq_z(key, "from_header"))
			p->from = CURSOR_HEADER, p->from_path = value;
		else if (str_eq_z(key, "more"))
			p->more_path = value;
		else if (str_eq_z(key, "rel"))
			p->rel = value;
		else if (str_eq_z(key, "query"))
			p->param = value;
		else if (str_eq_z(key, "body"))
			p->to = CURSOR_TO_BODY, p->param = value;
		else if (str_eq_z(key, "header"))
			p->to = CURSOR_TO_HEADER, p->param = value;
		else
			CASE_FAIL(v->c, l, "what is %.*s?", STR_ARG(key));
	}
}

static inline void set_asked(struct conversation *v, const struct case_line *l)
{
	struct str rest = l->value, kind = STR_NONE;
	str_cut(&rest, ' ', &kind);
	v->next = (struct page_next){ .kind = str_eq_z(kind, "number") ? NEXT_NUMBER : NEXT_TEXT, .text = rest };
	if (v->next.kind == NEXT_NUMBER)
		assert_true(str_to_i64(rest, &v->next.number));
}

static inline void set_window(struct conversation *v, const struct case_line *l)
{
	struct str rest = l->value, from = STR_NONE;
	str_cut(&rest, ' ', &from);
	assert_true(us_from_rfc3339(from, &v->window.from_us, NULL) && us_from_rfc3339(rest, &v->window.to_us, NULL));
}

static inline void setting(struct conversation *v, const struct case_line *l)
{
	struct resource *r = &v->r;
	struct err e = ERR_INIT;
	if (str_eq_z(l->key, "url"))
		set_url(v, l->value);
	else if (str_eq_z(l->key, "auth"))
		set_auth(v, l);
	else if (str_eq_z(l->key, "path"))
		r->path_template = template_of(v, l->value, false);
	else if (str_eq_z(l->key, "query"))
		name_value_add(v, &r->query, &r->n_query, l->value, '=');
	else if (str_eq_z(l->key, "header"))
		name_value_add(v, &r->headers, &r->n_headers, l->value, ':');
	else if (str_eq_z(l->key, "source header"))
		name_value_add(v, &v->source.headers, &v->source.n_headers, l->value, ':');
	else if (str_eq_z(l->key, "post"))
		r->post = true, r->body = body_template(v, l->value);
	else if (str_eq_z(l->key, "records"))
		r->records = l->value;
	else if (str_eq_z(l->key, "total"))
		r->total = l->value;
	else if (str_eq_z(l->key, "keyset"))
		r->keyset = l->value;
	else if (str_eq_z(l->key, "ok"))
		r->ok_path = l->value;
	else if (str_eq_z(l->key, "empty"))
		r->empty = str_eq_z(l->value, "page") ? EMPTY_PAGE : EMPTY_ERROR;
	else if (str_eq_z(l->key, "paginate"))
		set_paginate(v, l);
	else if (str_eq_z(l->key, "secret in body"))
		r->secret_in_body_keep = str_eq_z(l->value, "keep");
	else if (str_eq_z(l->key, "asked"))
		set_asked(v, l);
	else if (str_eq_z(l->key, "before"))
		v->before = number_of(v, l);
	else if (str_eq_z(l->key, "window"))
		set_window(v, l);
	else if (str_eq_z(l->key, "decoded"))
		v->source.limits.decoded_bytes = number_of(v, l);
	else if (str_eq_z(l->key, "depth"))
		v->source.limits.json_depth = (uint32_t)number_of(v, l);
	else if (str_eq_z(l->key, "zone"))
		assert_true(zone_load(l->value, v->a, &r->step.zone, &e));
	else
		CASE_FAIL(v->c, l, "no such setting");
}

static inline struct conversation conversation_begin(const struct test_case *c, struct arena *a)
{
	struct conversation v = { .c = c, .a = a, .decoded = BUF_INIT(0) };
	v.source.limits = (struct http_limits){ 65536, 1 << 24, 1 << 24, 200, 128 };
	v.source.name = STR("api");
	v.r.name = STR("items");
	v.r.paginate.first = 1;
	return v;
}

static inline void conversation_end(struct conversation *v)
{
	if (v->x)
		http_exchange_free(v->x);
	buf_free(&v->decoded);
}

static inline void build(struct conversation *v)
{
	v->err = ERR_INIT;
	v->r.source = &v->source;
	if (v->next.kind == NEXT_END) /* a case with several conversations */
		v->next = (struct page_next){ .kind = NEXT_START };
	if (v->r.path_template.n_parts == 0)
		v->r.path_template = template_of(v, STR("/items"), false);
	v->ok = request_build(&v->r, v->window, &v->next, v->a, &v->request, &v->err);
	v->sendable = v->ok;
	v->built = true;
	v->hops = 0;
}

/* "GET /target", "url https://...", "body ...", "kept ...", "Name: value", "-Name" (no such header), "error CODE words" */
static inline void check_sent(struct conversation *v, const struct case_line *l)
{
	struct str rest = l->value, word = STR_NONE;
	if (!v->built)
		build(v);
	str_cut(&rest, ' ', &word);
	if (str_eq_z(word, "error")) {
		struct str code = STR_NONE;
		str_cut(&rest, ' ', &code);
		if (v->ok || !str_eq_z(code, err_name(v->err.code)) || !str_contains(str_from(v->err.message), rest))
			CASE_FAIL(v->c, l, "%s: %s", err_name(v->err.code), v->err.message);
		return;
	}
	if (!v->ok)
		CASE_FAIL(v->c, l, "%s: %s", err_name(v->err.code), v->err.message);
	const struct http_request *q = &v->request.http;
	struct str got = STR_NONE;
	if (str_eq_z(word, "GET") || str_eq_z(word, "POST")) {
		if (!str_eq(word, q->method))
			CASE_FAIL(v->c, l, "%.*s", STR_ARG(q->method));
		got = v->request.target;
	} else if (str_eq_z(word, "url")) {
		got = q->url;
	} else if (str_eq_z(word, "body")) {
		got = q->body;
	} else if (str_eq_z(word, "kept")) {
		got = v->request.body_kept;
	} else {
		bool absent = str_starts(word, STR("-"));
		struct str name = absent ? str_sub(word, 1, word.n) : str_sub(word, 0, word.n - 1);
		size_t n = 0;
		for (size_t i = 0; i < q->n_headers; i++)
			if (str_eq(q->headers[i].name, name))
				got = q->headers[i].value, n++;
		if (n != (absent ? 0 : 1))
			CASE_FAIL(v->c, l, "%zu headers of this name", n);
	}
	if (!str_eq(got, rest))
		CASE_FAIL(v->c, l, "\"%.*s\"", STR_ARG(got));
}

static inline void answer(struct conversation *v, size_t *at)
{
	struct err why = ERR_INIT;
	struct str raw = case_answer(v->c, at, v->a);
	if (!v->built)
		build(v);
	if (!v->sendable)
		CASE_FAIL(v->c, &v->c->v[*at - 1], "%s", v->err.message);
	if (v->x)
		http_exchange_free(v->x);
	v->x = exchange_of(raw, v->ended_by, &v->request.http);
	v->err = ERR_INIT;
	enum answer_class class = answer_classify(v->x, v->request.http.method, v->request.target, &why);
	if (class == ANSWER_REDIRECT) {
		struct str to = arena_copy(v->a, http_header_get(v->x, "location"));
		v->ok = request_redirect(&v->r, &v->request, to, v->hops++, v->a, &v->request, &v->err);
		return;
	}
	if (class != ANSWER_PAGE) {
		v->err = why;
		v->ok = false;
		return;
	}
	v->ok = page_judge(&v->r, v->x, &v->request, &v->next, v->before, &v->decoded, v->a, &v->result, &v->err);
	if (v->ok) {
		v->before += v->result.records;
		v->next = v->result.next;
		v->built = false;
	}
}

static inline void check_made(struct conversation *v, const struct case_line *l)
{
	struct page_result *p = &v->result;
	if (str_eq_z(l->key, "error")) {
		struct str rest = l->value, code = STR_NONE;
		str_cut(&rest, ' ', &code);
		if (v->ok || !str_eq_z(code, err_name(v->err.code)) || !str_contains(str_from(v->err.message), rest))
			CASE_FAIL(v->c, l, "ok %d, %s: %s", v->ok, err_name(v->err.code), v->err.message);
		for (size_t i = 0; i < v->source.secrets.n; i++)
			assert_false(str_contains(str_from(v->err.message), v->source.secrets.v[i]->hidden));
		return;
	}
	if (str_eq_z(l->key, "hint")) {
		if (!str_contains(str_from(v->err.hint), l->value))
			CASE_FAIL(v->c, l, "%s", v->err.hint);
		return;
	}
	if (!v->ok)
		CASE_FAIL(v->c, l, "%s: %s", err_name(v->err.code), v->err.message);
	if (str_eq_z(l->key, "records")) {
		if (p->records != number_of(v, l))
			CASE_FAIL(v->c, l, "%llu", (unsigned long long)p->records);
	} else if (str_eq_z(l->key, "total")) {
		if (str_eq_z(l->value, "none") ? p->has_total : !p->has_total || p->total != number_of(v, l))
			CASE_FAIL(v->c, l, "%d %llu", p->has_total, (unsigned long long)p->total);
	} else if (str_eq_z(l->key, "body")) {
		if (!str_eq(p->body, l->value) || !sha256_eq(p->body_hash, sha256_of(l->value)))
			CASE_FAIL(v->c, l, "%.*s", STR_ARG(p->body));
	} else if (str_eq_z(l->key, "end")) {
		if (p->next.kind != NEXT_END)
			CASE_FAIL(v->c, l, "kind %d, %lld %.*s", (int)p->next.kind, (long long)p->next.number,
				  STR_ARG(p->next.text));
	} else if (str_eq_z(l->key, "number")) {
		if (p->next.kind != NEXT_NUMBER || p->next.number != (int64_t)number_of(v, l))
			CASE_FAIL(v->c, l, "kind %d, %lld", (int)p->next.kind, (long long)p->next.number);
	} else if (str_eq_z(l->key, "text")) {
		if (p->next.kind != NEXT_TEXT || !str_eq(p->next.text, l->value))
			CASE_FAIL(v->c, l, "kind %d, %.*s", (int)p->next.kind, STR_ARG(p->next.text));
	} else if (str_eq_z(l->key, "markers")) {
		if (p->next.n_markers != number_of(v, l))
			CASE_FAIL(v->c, l, "%zu", p->next.n_markers);
	} else if (str_eq_z(l->key, "head")) {
		struct str kept = response_head_kept(&v->r, v->x->head, v->a);
		if (!str_contains(kept, l->value))
			CASE_FAIL(v->c, l, "%.*s", STR_ARG(kept));
	} else if (str_eq_z(l->key, "asked-head")) {
		struct str kept = request_head_kept(&v->r, v->x->request_head, v->a);
		if (!str_contains(kept, l->value))
			CASE_FAIL(v->c, l, "%.*s", STR_ARG(kept));
	} else {
		CASE_FAIL(v->c, l, "no such check");
	}
}

/* No secret in anything that is kept. */
static inline void check_kept(struct conversation *v)
{
	for (size_t i = 0; i < v->source.secrets.n && v->built && v->ok; i++) {
		struct str hidden = v->source.secrets.v[i]->hidden;
		if (hidden.n < 4)
			continue;
		assert_false(str_contains(v->request.target, hidden));
		assert_false(str_contains(v->request.url.query, hidden));
		assert_false(str_contains(v->request.url.path, hidden));
		assert_false(str_contains(v->request.body_kept, hidden));
		assert_false(str_contains(v->next.text, hidden));
		if (v->x) {
			assert_false(str_contains(request_head_kept(&v->r, v->x->request_head, v->a), hidden));
			assert_false(str_contains(response_head_kept(&v->r, v->x->head, v->a), hidden));
		}
	}
}

static inline void converse(const struct test_case *c, struct arena *a)
{
	struct conversation v = conversation_begin(c, a);
	for (size_t i = 0; i < c->n;) {
		const struct case_line *l = &c->v[i];
		if (l->kind == '<' || l->kind == 'x') {
			answer(&v, &i);
			continue;
		}
		if (l->kind == ':')
			setting(&v, l);
		else if (l->kind == '>')
			check_sent(&v, l);
		else
			check_made(&v, l);
		check_kept(&v);
		i++;
	}
	conversation_end(&v);
}

static inline size_t converse_all(const char *path)
{
	struct arena a = ARENA_INIT;
	struct case_file f = case_open(path, &a);
	struct test_case c;
	size_t n = 0;
	for (; case_next(&f, &a, &c); n++)
		converse(&c, &a);
	arena_free(&a);
	return n;
}

#endif
