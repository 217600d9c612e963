#include "ui/guess.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

enum { PATH_DEPTH = 4 };

struct place {
	const struct json_node *node;
	struct str path;
	unsigned depth;
};

static struct str path_join(struct str path, struct str key, struct arena *a)
{
	struct buf b = BUF_INIT(1 << 16);
	buf_add(&b, path);
	if (path.n > 0)
		buf_add_char(&b, '.');
	for (size_t i = 0; i < key.n; i++) {
		if (key.p[i] == '.' || key.p[i] == '\\')
			buf_add_char(&b, '\\');
		buf_add_char(&b, key.p[i]);
	}
	struct str out = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return out;
}

/* Lower case, without what words are joined by: nextPageToken, next_page_token and next-page-token are one. */
static struct str plain(struct str key, struct arena *a)
{
	char *p = arena_alloc(a, key.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			p[n++] = c;
	}
	return (struct str){ p, n };
}

static bool is_one_of(struct str word, const char *const *list)
{
	for (; *list; list++)
		if (str_eq_z(word, *list))
			return true;
	return false;
}

static bool looks_like_url(struct str s)
{
	return str_starts(s, STR("http://")) || str_starts(s, STR("https://")) || str_starts(s, STR("/")) ||
	       str_starts(s, STR("?"));
}

/* The parameter that takes a cursor is nearly always named like the field, without "next". */
static struct str cursor_parameter(struct str key, struct arena *a)
{
	static const struct {
		const char *field, *parameter;
	} known[] = {
		{ "next", "cursor" }, { "nextcursor", "cursor" }, { "cursor", "cursor" }, { "endcursor", "after" },
		{ "after", "after" }, { "continuation", "continuation" },
	};
	struct str word = plain(key, a);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_eq_z(word, known[i].field))
			return str_from(known[i].parameter);
	if (str_starts(key, STR("next_")))
		return str_sub(key, 5, key.n);
	if (str_starts(key, STR("next")) && key.n > 4 && key.p[4] >= 'A' && key.p[4] <= 'Z') {
		struct str rest = arena_copy(a, str_sub(key, 4, key.n));
		((char *)(uintptr_t)rest.p)[0] += 32;
		return rest;
	}
	return key;
}

static void judge_text(struct guess *g, const struct json_node *n, struct str path, struct str parent, struct arena *a)
{
	static const char *const next[] = { "next", "nexturl", "nextlink", "nextpageurl", "nexthref", "odatanextlink", NULL };
	static const char *const cursor[] = { "next", "nextcursor", "cursor", "nexttoken", "nextpagetoken", "continuation",
					      "continuationtoken", "endcursor", "after", "nextpage", NULL };
	struct str word = plain(n->key, a);
	bool url = looks_like_url(n->text) &&
		   (is_one_of(word, next) || (str_eq_z(word, "href") && is_one_of(plain(parent, a), next)));
	if (url && g->style != GUESS_NEXT_URL && g->style != GUESS_LINK) {
		g->style = GUESS_NEXT_URL;
		g->from = path;
		g->seen = arena_format(a, "the answer has a URL at %.*s", STR_ARG(path));
	} else if (!url && is_one_of(word, cursor) && (g->style == GUESS_NONE || g->style > GUESS_CURSOR)) {
		g->style = GUESS_CURSOR;
		g->from = path;
		g->query = cursor_parameter(n->key, a);
		g->seen = arena_format(a, "the answer has a text at %.*s; does `%.*s` take it?", STR_ARG(path),
				       STR_ARG(g->query));
	}
}

static void judge_number(struct guess *g, const struct json_node *n, struct str path, struct arena *a)
{
	static const char *const total[] = { "total", "totalcount", "totalresults", "totalrecords", "totalitems", NULL };
	static const char *const pages[] = { "pages", "totalpages", "pagecount", "lastpage", NULL };
	static const char *const page[] = { "page", "currentpage", "pagenumber", NULL };
	static const char *const offset[] = { "offset", "skip", "start", NULL };
	struct str word = plain(n->key, a);
	int64_t v;
	if (!str_to_i64(n->text, &v))
		return;
	if (is_one_of(word, total) && g->total.n == 0) {
		g->total = path;
		g->total_value = v > 0 ? (uint64_t)v : 0;
	} else if (is_one_of(word, pages) && g->pages.n == 0) {
		g->pages = path;
	} else if ((is_one_of(word, page) || is_one_of(word, offset)) && g->style == GUESS_NONE) {
		g->style = is_one_of(word, page) ? GUESS_PAGE : GUESS_OFFSET;
		g->query = str_eq_z(word, "skip") || str_eq_z(word, "start") ? n->key
			 : g->style == GUESS_PAGE ? STR("page") : STR("offset");
		g->first = v;
		g->seen = arena_format(a, "the answer has a number at %.*s", STR_ARG(path));
	}
}

static void judge(struct guess *g, const struct place *at, struct str parent, struct arena *a)
{
	static const char *const more[] = { "hasmore", "more", "hasnext", "hasnextpage", NULL };
	static const char *const next[] = { "next", "nexturl", "nextcursor", "nexttoken", "nextpagetoken", "cursor", NULL };
	const struct json_node *n = at->node;
	bool objects = n->type == JSON_ARRAY && n->child && n->child->type == JSON_OBJECT;
	if (objects && (!g->has_records || n->n_children > g->items)) {
		g->has_records = true;
		g->records = at->path;
		g->items = n->n_children;
	} else if (n->type == JSON_STRING) {
		judge_text(g, n, at->path, parent, a);
	} else if (n->type == JSON_NUMBER) {
		judge_number(g, n, at->path, a);
	} else if (n->type == JSON_NULL && g->seen.n == 0 && is_one_of(plain(n->key, a), next)) {
		g->seen = arena_format(a, "%.*s is null here; if a longer list has a cursor or a URL there, see below",
				       STR_ARG(at->path));
	} else if ((n->type == JSON_TRUE || n->type == JSON_FALSE) && is_one_of(plain(n->key, a), more)) {
		g->more = at->path;
	}
}

/* What the query says, where the answer says nothing. */
static void judge_query(struct guess *g, const struct guess_query *q, size_t n, struct arena *a)
{
	for (size_t i = 0; i < n && g->style == GUESS_NONE; i++) {
		struct str word = plain(q[i].name, a);
		int64_t v;
		bool page = str_eq_z(word, "page"), offset = str_eq_z(word, "offset") || str_eq_z(word, "skip");
		if ((!page && !offset) || !str_to_i64(q[i].value, &v))
			continue;
		g->style = page ? GUESS_PAGE : GUESS_OFFSET;
		g->query = q[i].name;
		g->first = v;
		g->seen = arena_format(a, "the URL has `%.*s`", STR_ARG(q[i].name));
	}
	if (g->style == GUESS_NONE && g->pages.n > 0) {
		g->style = GUESS_PAGE;
		g->query = STR("page");
		g->first = 1;
		g->seen = arena_format(a, "the answer has a number of pages at %.*s", STR_ARG(g->pages));
	}
}

static bool link_has_next(struct str link)
{
	return str_contains(link, STR("rel=\"next\"")) || str_contains(link, STR("rel=next"));
}

bool guess_answer(struct str body, struct str link, const struct guess_query *query, size_t n_query, struct arena *a,
		  struct guess *g, struct err *e)
{
	struct json_node *root = NULL;
	struct {
		struct place *v;
		size_t n, cap;
	} todo = { 0 };
	memset(g, 0, sizeof *g);
	if (!json_parse(body, a, &root, e))
		return err_wrap(e, "the answer is no JSON");
	if (link_has_next(link)) {
		g->style = GUESS_LINK;
		g->seen = STR("the answer has a Link header with rel=\"next\"");
	}
	*arena_push(a, todo) = (struct place){ root, STR_NONE, 0 };
	for (size_t at = 0; at < todo.n; at++) {
		struct place p = todo.v[at];
		size_t dot = p.path.n;
		while (dot > 0 && p.path.p[dot - 1] != '.')
			dot--;
		struct str parent = str_sub(p.path, 0, dot ? dot - 1 : 0);
		for (size_t i = parent.n; i-- > 0;)
			if (parent.p[i] == '.') {
				parent = str_sub(parent, i + 1, parent.n);
				break;
			}
		judge(g, &p, parent, a);
		if (p.node->type != JSON_OBJECT || p.depth == PATH_DEPTH)
			continue;
		for (const struct json_node *c = p.node->child; c; c = c->next)
			*arena_push(a, todo) = (struct place){ c, path_join(p.path, c->key, a), p.depth + 1 };
	}
	judge_query(g, query, n_query, a);
	return true;
}

/* ── headers ── */

static const struct {
	const char *header, *parameter; /* spelled without what joins the words */
} header_cursors[] = {
	{ "xnextcursor", "cursor" },	   { "xnext", "cursor" },		{ "xpaginationnext", "cursor" },
	{ "xcursornext", "cursor" },	   { "xpaginationnextcursor", "cursor" }, { "xcursor", "cursor" },
	{ "nextcursor", "cursor" },	   { "xnexttoken", "token" },		{ "xnextpagetoken", "page_token" },
	{ "xpagetoken", "page_token" },	   { "xcontinuationtoken", "continuation" },
	{ "xmscontinuation", "continuation" }, { "xnextpage", "page" },
};

static void judge_header(struct guess *g, const struct http_header *h, struct arena *a)
{
	struct str word = plain(h->name, a);
	int64_t v;
	size_t i = 0, n = sizeof header_cursors / sizeof *header_cursors;
	while (i < n && !str_eq_z(word, header_cursors[i].header))
		i++;
	if (i == n || h->value.n == 0 || looks_like_url(h->value))
		return;
	bool page = str_eq_z(word, "xnextpage") && str_to_i64(h->value, &v);
	if (page && g->style == GUESS_NONE) {
		g->style = GUESS_PAGE;
		g->query = STR("page");
		g->first = v > 0 ? v - 1 : 0;
		g->seen = arena_format(a, "the answer has the header %.*s; does `page` take its number?", STR_ARG(h->name));
	} else if (!page) {
		g->style = GUESS_CURSOR;
		g->from = STR_NONE;
		g->from_header = arena_copy(a, h->name);
		g->query = str_from(header_cursors[i].parameter);
		g->seen = arena_format(a, "the answer has the header %.*s; does `%.*s` take its value?", STR_ARG(h->name),
				       STR_ARG(g->query));
	}
}

/* Sizes of pages that people choose. */
static bool is_round(uint64_t n)
{
	while (n >= 100 && n % 10 == 0)
		n /= 10;
	return n == 10 || n == 20 || n == 25 || n == 30 || n == 40 || n == 50;
}

void guess_headers(struct guess *g, const struct http_header *headers, size_t n, struct arena *a)
{
	for (size_t i = 0; i < n; i++)
		if (g->style == GUESS_NONE || g->style == GUESS_PAGE || g->style == GUESS_OFFSET)
			judge_header(g, &headers[i], a);
	if (g->style != GUESS_NONE || !g->has_records)
		return;
	if (g->total_value > g->items)
		g->doubt = arena_format(a, "%.*s says %" PRIu64 " records, and the page holds %" PRIu64
					": how is the next one asked for?", STR_ARG(g->total), g->total_value, g->items);
	else if (is_round(g->items) && g->total.n == 0)
		g->doubt = arena_format(a, "the page holds exactly %" PRIu64 " records: is there a next one?", g->items);
}
