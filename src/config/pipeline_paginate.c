#include "config/pipeline_parts.h"

static const char *const ENDS[] = { "empty", "short", NULL };

/* A parameter that `query` has already would be sent twice, and servers differ in which one they believe. */
static void double_check(struct reader *r, const struct yaml_node *resource, const struct yaml_node *at,
			 struct str param)
{
	const struct yaml_node *query = key_get(resource, "query");
	if (!param.n || !query || query->type != YAML_MAP)
		return;
	for (const struct yaml_node *c = query->child; c; c = c->next)
		if (str_eq(c->key, param))
			problem_at(r->p, at, "remove it from `query`",
				   "the parameter `%.*s` is double: `query` has it in line %u", STR_ARG(param),
				   c->key_line);
}

static void size_read(struct reader *r, const struct yaml_node *n, const char *table_map,
		      const struct yaml_node *resource, struct paginate *out)
{
	if (!keys_check(n, table_map, r->p))
		return;
	key_name(r, n, "query", &out->size_param);
	key_u32(r, n, "value", 1, 10000000, &out->size);
	if (out->size_param.n)
		double_check(r, resource, key_get(n, "query"), out->size_param);
}

static void end_read(struct reader *r, const struct yaml_node *n, const char *size_key, struct paginate *out)
{
	size_t end = END_EMPTY;
	key_choice(r, n, "end", ENDS, &end);
	out->end = (enum page_end)end;
	if (out->end == END_SHORT && !out->size)
		problem_at(r->p, key_get(n, "end"), "declare the size that a full page has",
			   "`end: short` needs `%s.value`", size_key);
}

static void numbered_read(struct reader *r, const struct yaml_node *n, const struct yaml_node *resource, bool offset,
			  struct paginate *out)
{
	uint64_t first = offset ? 0 : 1;
	const char *size_key = offset ? "limit" : "size";
	out->style = offset ? PAGE_OFFSET : PAGE_NUMBER;
	key_name(r, n, "query", &out->param);
	key_u64(r, n, "first", 0, 1000000000, &first);
	out->first = (int64_t)first;
	size_read(r, key_get(n, size_key),
		  offset ? "resource.paginate.offset.limit" : "resource.paginate.page.size", resource, out);
	end_read(r, n, size_key, out);
	if (!offset)
		key_path(r, n, "pages", &out->pages_path);
	key_bool(r, n, "verify", &out->verify);
	double_check(r, resource, key_get(n, "query"), out->param);
	if (out->param.n && str_eq(out->param, out->size_param))
		problem_at(r->p, key_get(n, "query"), NULL, "the parameter `%.*s` is both the %s and the size",
			   STR_ARG(out->param), offset ? "offset" : "page");
}

static void cursor_read(struct reader *r, const struct yaml_node *n, const struct yaml_node *resource, bool post,
			struct paginate *out)
{
	static const char *const targets[] = { "query", "body", "header", NULL };
	size_t n_targets = 0;
	out->style = PAGE_CURSOR;
	bool body = key_get(n, "from") != NULL, header = key_get(n, "from_header") != NULL;
	if (body == header)
		problem_at(r->p, n, "cursor: {from: meta.next, query: cursor}",
			   "where is the next cursor? exactly one of `from` and `from_header` is needed");
	out->from = header ? CURSOR_HEADER : CURSOR_BODY;
	if (header)
		key_header_name(r, n, "from_header", &out->from_path);
	else
		key_path(r, n, "from", &out->from_path);
	if (body && !header && !out->from_path.n)
		problem_at(r->p, n, NULL, "`from` must name a place in the document");
	for (size_t i = 0; targets[i]; i++)
		if (key_get(n, targets[i])) {
			out->to = (enum cursor_target)i;
			n_targets++;
		}
	if (n_targets != 1)
		problem_at(r->p, n, "cursor: {from: meta.next, query: cursor}",
			   "where does the cursor go? exactly one of `query`, `body`, `header` is needed");
	else if (out->to == CURSOR_TO_HEADER)
		key_header_name(r, n, "header", &out->param);
	else
		key_name(r, n, targets[out->to], &out->param);
	if (n_targets == 1 && out->to == CURSOR_TO_BODY && !post)
		problem_at(r->p, key_get(n, "body"), "method: POST, idempotent: true and a `body`",
			   "a cursor in the body needs a request with a body");
	if (n_targets == 1 && out->to == CURSOR_TO_QUERY)
		double_check(r, resource, key_get(n, "query"), out->param);
	const struct yaml_node *resource_body = key_get(resource, "body");
	if (n_targets == 1 && out->to == CURSOR_TO_BODY && out->param.n && resource_body) {
		for (const struct yaml_node *c = resource_body->child; c; c = c->next)
			if (str_eq(c->key, out->param))
				problem_at(r->p, key_get(n, "body"), "remove it from the resource's `body`",
					   "the key `%.*s` is double: `body` has it in line %u", STR_ARG(out->param),
					   c->key_line);
	}
	key_path(r, n, "more", &out->more_path);
}

static void next_read(struct reader *r, const struct yaml_node *n, struct paginate *out)
{
	out->style = PAGE_NEXT_URL;
	key_path(r, n, "from", &out->from_path);
	const struct yaml_node *from = key_get(n, "from");
	if (from && from->type == YAML_SCALAR && (!from->text.n || str_eq_z(from->text, ".")))
		problem_at(r->p, from, NULL, "`from` must name a place in the document");
}

void paginate_read(struct reader *r, const struct yaml_node *n, const struct yaml_node *resource, bool post,
		   struct paginate *out)
{
	static const char *const advice =
		"paginate: none, or one of page, offset, cursor, next_url, link: {page: {query: page}}";
	*out = (struct paginate){ .style = PAGE_NONE, .first = 1, .rel = STR("next") };
	if (!n || (n->type == YAML_SCALAR && str_eq_z(n->text, "none")))
		return;
	/* `link` has no compulsory key, so the bare word is enough. */
	if (n->type == YAML_SCALAR && str_eq_z(n->text, "link")) {
		out->style = PAGE_LINK;
		return;
	}
	if (n->type != YAML_MAP) {
		problem_at(r->p, n, advice, "`paginate` must be `none` or a map");
		return;
	}
	keys_check(n, "resource.paginate", r->p);
	if (n->n_children != 1) {
		problem_at(r->p, n, advice, "`paginate` must have exactly one key, not %zu", n->n_children);
		return;
	}
	const struct yaml_node *one = n->child;
	bool link = str_eq_z(one->key, "link");
	if (yaml_is_null(one) && !link) {
		problem_at_key(r->p, one, advice, "`%.*s` needs its keys", STR_ARG(one->key));
		return;
	}
	if (str_eq_z(one->key, "page") && keys_check(one, "resource.paginate.page", r->p)) {
		numbered_read(r, one, resource, false, out);
	} else if (str_eq_z(one->key, "offset") && keys_check(one, "resource.paginate.offset", r->p)) {
		numbered_read(r, one, resource, true, out);
	} else if (str_eq_z(one->key, "cursor") && keys_check(one, "resource.paginate.cursor", r->p)) {
		cursor_read(r, one, resource, post, out);
	} else if (str_eq_z(one->key, "next_url") && keys_check(one, "resource.paginate.next_url", r->p)) {
		next_read(r, one, out);
	} else if (link) {
		out->style = PAGE_LINK;
		if (!yaml_is_null(one) && keys_check(one, "resource.paginate.link", r->p))
			key_str(r, one, "rel", &out->rel);
	}
}
