/* Trees into JSON: the body of a POST (with placeholders), the definition of a request, the digest of a file. */
#include "config/pipeline_parts.h"

#include "base/check.h"
#include "base/json.h"

#include <stdlib.h>

enum { BODY_MAX_BYTES = 1 << 20, TREE_MAX_BYTES = 16 << 20 };

/* Plain scalars that read like JSON keep their type. */
static struct str scalar_plain(const struct yaml_node *n)
{
	if (n->quoted)
		return STR_NONE;
	if (yaml_is_null(n))
		return STR("null");
	if (str_eq_z(n->text, "true") || str_eq_z(n->text, "True") || str_eq_z(n->text, "TRUE"))
		return STR("true");
	if (str_eq_z(n->text, "false") || str_eq_z(n->text, "False") || str_eq_z(n->text, "FALSE"))
		return STR("false");
	const char *fault;
	size_t fault_at;
	bool number = n->text.p[0] == '-' || (n->text.p[0] >= '0' && n->text.p[0] <= '9');
	return number && json_valid(n->text, 1, &fault, &fault_at) ? n->text : STR_NONE;
}

struct body {
	struct reader *r;
	struct buf literal; /* JSON since the last placeholder */
	struct {
		struct template_part *v;
		size_t n, cap;
	} parts;
	bool ok;
};

static void body_flush(struct body *b)
{
	if (b->literal.n)
		*arena_push(b->r->a, b->parts) =
			(struct template_part){ .literal = arena_copy(b->r->a, buf_str(&b->literal)) };
	buf_clear(&b->literal);
}

static void body_scalar(struct body *b, const struct yaml_node *n)
{
	struct str plain = scalar_plain(n);
	if (plain.n) {
		buf_add(&b->literal, plain);
		return;
	}
	struct template t;
	if (!template_parse_json(n->text, n, b->r->a, &t, b->r->p)) {
		b->ok = false;
		return;
	}
	/* An instant in seconds or milliseconds that is the whole value is a number, as those APIs want it. */
	bool number = t.n_parts == 1 && t.parts[0].is_edge &&
		      (t.parts[0].form == FORM_EPOCH_S || t.parts[0].form == FORM_EPOCH_MS);
	if (!number)
		buf_add_char(&b->literal, '"');
	for (size_t i = 0; i < t.n_parts; i++)
		if (t.parts[i].is_edge) {
			body_flush(b);
			*arena_push(b->r->a, b->parts) = t.parts[i];
		} else {
			buf_add(&b->literal, t.parts[i].literal);
		}
	if (!number)
		buf_add_char(&b->literal, '"');
}

static void body_key(struct body *b, const struct yaml_node *n)
{
	if (n->parent->child != n)
		buf_add_char(&b->literal, ',');
	if (n->parent->type != YAML_MAP)
		return;
	if (name_is_secret(n->key)) {
		problem_at_key(b->r->p, n, "API keys go into a header or the query, see `source.auth`",
			       "`%.*s` looks like a secret; secrets in a body: not here yet", STR_ARG(n->key));
		b->ok = false;
	}
	json_escape(&b->literal, n->key);
	buf_add_char(&b->literal, ':');
}

/* A walk along child, next and parent: no recursion, however deep. */
bool body_read(struct reader *r, const struct yaml_node *root, struct template *out)
{
	struct body b = { .r = r, .literal = BUF_INIT(BODY_MAX_BYTES), .ok = true };
	if (root->type != YAML_MAP) {
		problem_at(r->p, root, "body: {from: \"{window.from:date}\"}", "`body` must be a map");
		return false;
	}
	const struct yaml_node *n = root;
	for (;;) {
		if (n != root)
			body_key(&b, n);
		if (n->type == YAML_SCALAR)
			body_scalar(&b, n);
		else
			buf_add_char(&b.literal, n->type == YAML_MAP ? '{' : '[');
		if (n->child) {
			n = n->child;
			continue;
		}
		if (n->type != YAML_SCALAR)
			buf_add_char(&b.literal, n->type == YAML_MAP ? '}' : ']');
		while (n != root && !n->next) {
			n = n->parent;
			buf_add_char(&b.literal, n->type == YAML_MAP ? '}' : ']');
		}
		if (n == root)
			break;
		n = n->next;
	}
	if (b.literal.overflow) {
		problem_at(r->p, root, NULL, "`body` is longer than 1 MiB");
		b.ok = false;
	}
	body_flush(&b);
	buf_free(&b.literal);
	*out = (struct template){ .parts = b.parts.v, .n_parts = b.parts.n };
	return b.ok;
}

/* ── definition (rule 6) ── */

static void template_put(struct json_out *o, const char *key, const struct template *t)
{
	static const char *const edges[] = { "window.from", "window.to", "window.last" };
	static const char *const forms[] = { "date", "datetime", "epoch_s", "epoch_ms" };
	struct buf text = BUF_INIT(8 * BODY_MAX_BYTES);
	for (size_t i = 0; i < t->n_parts; i++) {
		const struct template_part *part = &t->parts[i];
		if (part->is_edge) {
			buf_addf(&text, "{%s:", edges[part->edge]);
			if (part->form == FORM_PATTERN)
				buf_add(&text, part->pattern);
			else
				buf_add_z(&text, forms[part->form]);
			buf_add_char(&text, '}');
			continue;
		}
		for (size_t k = 0; k < part->literal.n; k++) {
			char c = part->literal.p[k];
			if (c == '{' || c == '}')
				buf_add_char(&text, c);
			buf_add_char(&text, c);
		}
	}
	CHECK(!text.overflow);
	json_put_str(o, key, buf_str(&text));
	buf_free(&text);
}

static bool zone_matters(const struct template *t)
{
	for (size_t i = 0; i < t->n_parts; i++)
		if (t->parts[i].is_edge && (t->parts[i].form == FORM_DATE || t->parts[i].form == FORM_PATTERN))
			return true;
	return false;
}

static void paginate_put(struct json_out *o, const struct paginate *p)
{
	static const char *const styles[] = { "none", "page", "offset", "cursor", "next_url", "link" };
	static const char *const targets[] = { "query", "body", "header" };
	json_begin_object(o, "paginate");
	if (p->style == PAGE_NUMBER || p->style == PAGE_OFFSET) {
		json_put_z(o, "end", p->end == END_SHORT ? "short" : "empty");
		json_put_i64(o, "first", p->first);
	}
	if (p->style == PAGE_CURSOR || p->style == PAGE_NEXT_URL)
		json_put_str(o, p->from == CURSOR_HEADER ? "from_header" : "from", p->from_path);
	if (p->more_path.n)
		json_put_str(o, "more", p->more_path);
	if (p->pages_path.n)
		json_put_str(o, "pages", p->pages_path);
	if (p->param.n)
		json_put_str(o, "param", p->param);
	if (p->style == PAGE_LINK)
		json_put_str(o, "rel", p->rel);
	if (p->size)
		json_put_u64(o, "size", p->size);
	if (p->size_param.n)
		json_put_str(o, "size_param", p->size_param);
	json_put_z(o, "style", styles[p->style]);
	if (p->style == PAGE_CURSOR)
		json_put_z(o, "to", targets[p->to]);
	json_end_object(o);
}

/* Keys in the order of their bytes, one line, no spaces: the same text for the same meaning. Request headers are not
 * part of it, nor is whatever decides only how an answer is judged (ok, total, empty). */
struct str resource_definition(const struct resource *r, struct arena *a)
{
	struct buf b = BUF_INIT(TREE_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	bool zone = zone_matters(&r->path_template) || zone_matters(&r->body);
	json_begin_object(&o, NULL);
	if (r->post)
		template_put(&o, "body", &r->body);
	json_put_z(&o, "kind", r->kind == KIND_WINDOW ? "window" : "snapshot");
	json_put_z(&o, "method", r->post ? "POST" : "GET");
	paginate_put(&o, &r->paginate);
	template_put(&o, "path", &r->path_template);
	json_begin_array(&o, "query");
	for (size_t i = 0; i < r->n_query; i++) {
		json_begin_array(&o, NULL);
		json_put_str(&o, NULL, r->query[i].name);
		template_put(&o, NULL, &r->query[i].value);
		json_end_array(&o);
		zone = zone || zone_matters(&r->query[i].value);
	}
	json_end_array(&o);
	json_put_str(&o, "records", r->records);
	if (zone)
		json_put_str(&o, "zone", r->step.zone ? zone_name(r->step.zone) : STR("UTC"));
	json_end_object(&o);
	return buf_take(&b, a);
}

/* ── the digest of a file ── */

static int node_compare(const void *left, const void *right)
{
	const struct yaml_node *a = *(struct yaml_node *const *)left, *b = *(struct yaml_node *const *)right;
	return str_cmp(a->key, b->key);
}

static bool order_is_sent(const struct yaml_node *map)
{
	for (const struct yaml_node *n = map; n; n = n->parent)
		if (str_eq_z(n->key, "query") || str_eq_z(n->key, "headers") || str_eq_z(n->key, "body"))
			return true;
	return false;
}

/* The children as the digest takes them; the tree itself stays as it is. */
static struct yaml_node **children_sorted(const struct yaml_node *n, struct arena *a)
{
	struct yaml_node **v = arena_array(a, struct yaml_node *, n->n_children + 1);
	size_t i = 0;
	for (struct yaml_node *c = n->child; c; c = c->next)
		if (!yaml_is_null(c) || n->type == YAML_LIST)
			v[i++] = c;
	if (n->type == YAML_MAP && !order_is_sent(n))
		qsort(v, i, sizeof *v, node_compare);
	v[i] = NULL;
	return v;
}

enum { TREE_DEPTH_MAX = 72 }; /* 64 of a file, and what an environment puts in */

struct sha256 tree_digest(const struct yaml_node *root, struct arena *a)
{
	struct yaml_node **stack[TREE_DEPTH_MAX];
	bool map[TREE_DEPTH_MAX];
	size_t depth = 0;
	struct buf b = BUF_INIT((size_t)TREE_MAX_BYTES * 4);
	struct json_out o = JSON_OUT(&b);
	stack[depth] = children_sorted(root, a);
	map[depth++] = true;
	json_begin_object(&o, NULL);
	while (depth) {
		const struct yaml_node *n = *stack[depth - 1];
		if (!n) {
			depth--;
			if (map[depth])
				json_end_object(&o);
			else
				json_end_array(&o);
			continue;
		}
		stack[depth - 1]++;
		if (map[depth - 1])
			json_put_key(&o, n->key);
		if (n->type == YAML_SCALAR) {
			struct str plain = scalar_plain(n);
			if (plain.n)
				json_put_raw(&o, NULL, plain);
			else
				json_put_str(&o, NULL, n->text);
			continue;
		}
		CHECK(depth < TREE_DEPTH_MAX);
		stack[depth] = children_sorted(n, a);
		map[depth] = n->type == YAML_MAP;
		if (map[depth++])
			json_begin_object(&o, NULL);
		else
			json_begin_array(&o, NULL);
	}
	CHECK(!b.overflow);
	struct sha256 digest = sha256_of(buf_str(&b));
	buf_free(&b);
	return digest;
}
