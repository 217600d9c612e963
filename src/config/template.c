#include "base/check.h"
#include "base/json.h"
#include "config/pipeline.h"
#include "config/yaml.h"

#include <string.h>

bool name_ok(struct str name)
{
	if (!name.n || name.n > NAME_MAX_BYTES || name.p[0] < 'a' || name.p[0] > 'z')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

/* ── windows ── */

enum { COMPACT_BYTES = 16 }; /* 20130101T050000Z */

struct str window_name(struct window w, struct arena *a)
{
	CHECK(w.from_us < w.to_us);
	struct str from = us_to_compact(w.from_us, a), to = us_to_compact(w.to_us, a);
	return arena_format(a, "%.*s_%.*s", STR_ARG(from), STR_ARG(to));
}

bool window_from_name(struct str name, struct window *out)
{
	struct window w;
	if (name.n != 2 * COMPACT_BYTES + 1 || name.p[COMPACT_BYTES] != '_')
		return false;
	if (!us_from_compact(str_sub(name, 0, COMPACT_BYTES), &w.from_us) ||
	    !us_from_compact(str_sub(name, COMPACT_BYTES + 1, COMPACT_BYTES), &w.to_us) || w.from_us >= w.to_us)
		return false;
	*out = w;
	return true;
}

/* ── placeholders ── */

static const char *const EDGES[] = { "window.from", "window.to", "window.last", NULL };
static const char *const FORMS[] = { "date", "datetime", "epoch_s", "epoch_ms", NULL };
#define FORM_ADVICE "the forms are date, datetime, epoch_s, epoch_ms, or a pattern such as %Y-%m-%dT%H:%M"

struct template_parse {
	struct arena *a;
	const struct yaml_node *at;
	struct problems *p;
	struct {
		struct template_part *v;
		size_t n, cap;
	} parts;
	bool json; /* literals are stored as they stand inside a JSON string */
};

__attribute__((format(printf, 4, 5)))
static bool template_problem(struct template_parse *t, size_t offset, const char *advice, const char *format, ...)
{
	const struct yaml_node *n = t->at;
	va_list args;
	va_start(args, format);
	struct str message = arena_vformat(t->p->arena, format, args);
	va_end(args);
	size_t column = n->column;
	/* A scalar of several lines has no simple relation between offsets and columns. */
	if (!memchr(n->text.p, '\n', n->text.n)) {
		column += n->quoted ? 1 : 0;
		for (size_t i = 0; i < offset && i < n->text.n; i++)
			column += ((unsigned char)n->text.p[i] & 0xc0) != 0x80;
	}
	problem_file(t->p, n->file, n->line, (unsigned)column, advice, "%.*s", STR_ARG(message));
	return false;
}

/* `inside` stands between the braces; offset is that of the opening one. */
static bool placeholder_parse(struct template_parse *t, struct str inside, size_t offset, struct template_part *out)
{
	size_t colon = str_find_char(inside, ':');
	struct str edge = str_sub(inside, 0, colon);
	struct str form = str_sub(inside, colon + 1, inside.n);
	struct str shown = str_sub(inside, 0, 64);
	size_t i = 0;
	while (EDGES[i] && !str_eq_z(edge, EDGES[i]))
		i++;
	if (!EDGES[i]) {
		const char *nearest = yaml_nearest(edge, EDGES);
		struct str advice = nearest ?
			arena_format(t->p->arena, "did you mean `%s`?", nearest) :
			STR("known are window.from, window.to, window.last; a plain brace is written {{ or }}");
		return template_problem(t, offset, arena_zero_terminated(t->p->arena, advice),
					"unknown placeholder `{%.*s}`", STR_ARG(shown));
	}
	*out = (struct template_part){ .is_edge = true, .edge = (enum window_edge)i };
	if (colon == inside.n || !form.n)
		return template_problem(t, offset, FORM_ADVICE, "the placeholder `{%.*s}` has no form",
					STR_ARG(shown));
	for (size_t k = 0; FORMS[k]; k++)
		if (str_eq_z(form, FORMS[k])) {
			out->form = (enum edge_form)k;
			return true;
		}
	struct str probe;
	if (str_find_char(form, '%') == form.n || !us_to_pattern(0, form, NULL, t->p->arena, &probe))
		return template_problem(t, offset, FORM_ADVICE, "unknown form in the placeholder `{%.*s}`",
					STR_ARG(shown));
	out->form = FORM_PATTERN;
	out->pattern = form;
	return true;
}

static void literal_flush(struct template_parse *t, struct buf *literal)
{
	struct str text = buf_str(literal);
	if (text.n && t->json) {
		struct buf escaped = BUF_INIT(text.n * 6 + 2);
		json_escape(&escaped, text);
		text = str_sub(buf_str(&escaped), 1, escaped.n - 2);
		*arena_push(t->a, t->parts) = (struct template_part){ .literal = arena_copy(t->a, text) };
		buf_free(&escaped);
	} else if (text.n) {
		*arena_push(t->a, t->parts) = (struct template_part){ .literal = arena_copy(t->a, text) };
	}
	buf_clear(literal);
}

static bool parts_parse(struct template_parse *t, struct str text, struct buf *literal)
{
	bool ok = true;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if ((c == '{' || c == '}') && i + 1 < text.n && text.p[i + 1] == c) {
			buf_add_char(literal, c);
			i++;
		} else if (c == '}') {
			ok = template_problem(t, i, "a plain brace is written {{ or }}", "a `}` without its `{`");
		} else if (c == '{') {
			struct str rest = str_sub(text, i + 1, text.n);
			size_t end = str_find_char(rest, '}');
			if (end == rest.n)
				return template_problem(t, i, "a plain brace is written {{ or }}",
							"a `{` without its `}`");
			struct template_part part;
			literal_flush(t, literal);
			if (placeholder_parse(t, str_sub(rest, 0, end), i, &part))
				*arena_push(t->a, t->parts) = part;
			else
				ok = false;
			i += end + 1;
		} else {
			buf_add_char(literal, c);
		}
	}
	literal_flush(t, literal);
	return ok;
}

static bool template_parse_as(struct str text, const struct yaml_node *at, bool json, struct arena *a,
			      struct template *out, struct problems *p)
{
	struct template_parse t = { .a = a, .at = at, .p = p, .json = json };
	struct buf literal = BUF_INIT(text.n + 1);
	bool ok = parts_parse(&t, text, &literal);
	buf_free(&literal);
	*out = (struct template){ .parts = t.parts.v, .n_parts = t.parts.n, .source = text };
	return ok;
}

bool template_parse(struct str text, const struct yaml_node *at, struct arena *a, struct template *out,
		    struct problems *p)
{
	return template_parse_as(text, at, false, a, out, p);
}

bool template_parse_json(struct str text, const struct yaml_node *at, struct arena *a, struct template *out,
			 struct problems *p)
{
	return template_parse_as(text, at, true, a, out, p);
}

bool template_has_edge(const struct template *t)
{
	for (size_t i = 0; i < t->n_parts; i++)
		if (t->parts[i].is_edge)
			return true;
	return false;
}

static struct str edge_text(const struct template_part *part, const struct window *w, const struct zone *zone,
			    struct arena *a)
{
	int64_t us = part->edge == EDGE_FROM ? w->from_us : w->to_us;
	/* The last second lies in the last day whatever the day's length, so one subtraction serves both. */
	if (part->edge == EDGE_LAST)
		us -= US_PER_SECOND;
	struct str out = STR_NONE;
	switch (part->form) {
	case FORM_DATE:
		CHECK(us_to_pattern(us, STR("%Y-%m-%d"), zone, a, &out));
		return out;
	case FORM_DATETIME:
		return us_to_rfc3339(us, a);
	case FORM_EPOCH_S:
		return arena_format(a, "%lld", (long long)floor_div(us, US_PER_SECOND));
	case FORM_EPOCH_MS:
		return arena_format(a, "%lld", (long long)floor_div(us, 1000));
	case FORM_PATTERN:
		CHECK(us_to_pattern(us, part->pattern, zone, a, &out));
		return out;
	}
	check_failed("a form of an edge", __FILE__, __LINE__, __func__);
}

struct str template_fill(const struct template *t, const struct window *w, const struct zone *zone, struct arena *a)
{
	if (t->n_parts == 1 && !t->parts[0].is_edge)
		return t->parts[0].literal;
	struct buf out = BUF_INIT((size_t)64 << 20);
	for (size_t i = 0; i < t->n_parts; i++) {
		const struct template_part *part = &t->parts[i];
		CHECK(!part->is_edge || w != NULL);
		buf_add(&out, part->is_edge ? edge_text(part, w, zone, a) : part->literal);
	}
	CHECK(!out.overflow);
	struct str text = arena_copy(a, buf_str(&out));
	buf_free(&out);
	return text;
}
