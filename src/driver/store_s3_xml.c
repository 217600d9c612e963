#include "driver/store_s3_xml.h"

#include <string.h>

struct xml xml_begin(struct str document, struct arena *a)
{
	struct xml x = { .rest = document, .arena = a };
	if (!str_is_utf8(document))
		x.why = "bytes that are no UTF-8";
	if (str_starts(document, STR("\xef\xbb\xbf")))
		x.rest = str_sub(document, 3, SIZE_MAX);
	return x;
}

static enum xml_event bad(struct xml *x, const char *why)
{
	if (x->why == NULL)
		x->why = why;
	return XML_BAD;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_char(char c, bool first)
{
	bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
	return letter || (!first && ((c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':'));
}

static struct str name_cut(struct xml *x)
{
	size_t n = 0;
	while (n < x->rest.n && is_name_char(x->rest.p[n], n == 0))
		n++;
	struct str name = str_sub(x->rest, 0, n);
	x->rest = str_sub(x->rest, n, SIZE_MAX);
	return name;
}

/* ── texts ── */

static size_t utf8_put(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
	return n;
}

/* "#38", "#x26": a character that XML 1.0 allows. */
static bool char_by_number(struct str s, uint32_t *out)
{
	bool hex = s.n > 1 && s.p[1] == 'x';
	struct str digits = str_sub(s, hex ? 2 : 1, SIZE_MAX);
	uint32_t v = 0;
	if (digits.n == 0 || digits.n > 8)
		return false;
	for (size_t i = 0; i < digits.n; i++) {
		char c = digits.p[i];
		uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') :
			     hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) :
			     hex && c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10) : 99;
		if (d == 99)
			return false;
		v = v * (hex ? 16 : 10) + d;
		if (v > 0x10ffff)
			return false;
	}
	*out = v;
	return (v >= 0x20 || v == 9 || v == 10 || v == 13) && (v < 0xd800 || v > 0xdfff) && (v < 0xfffe || v > 0xffff);
}

static bool entity_char(struct str name, uint32_t *out)
{
	static const struct {
		const char *name;
		uint32_t c;
	} known[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' } };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_eq_z(name, known[i].name)) {
			*out = known[i].c;
			return true;
		}
	return name.n > 0 && name.p[0] == '#' && char_by_number(name, out);
}

/* With its entities filled in; never longer than it was. */
static bool text_unescape(struct xml *x, struct str raw, struct str *out)
{
	if (str_find_char(raw, '&') == raw.n) {
		*out = raw;
		return true;
	}
	char *p = arena_alloc(x->arena, raw.n);
	size_t n = 0;
	for (size_t i = 0; i < raw.n;) {
		if (raw.p[i] != '&') {
			p[n++] = raw.p[i++];
			continue;
		}
		struct str after = str_sub(raw, i + 1, 12);
		size_t end = str_find_char(after, ';');
		uint32_t c;
		if (end == after.n || !entity_char(str_sub(after, 0, end), &c))
			return false;
		n += utf8_put(c, p + n);
		i += end + 2;
	}
	*out = (struct str){ p, n };
	return true;
}

static bool text_take(struct xml *x)
{
	size_t n = str_find_char(x->rest, '<');
	struct str text = STR_NONE, raw = str_sub(x->rest, 0, n);
	x->rest = str_sub(x->rest, n, SIZE_MAX);
	if (!text_unescape(x, raw, &text))
		return bad(x, "an entity that is not one of the five"), false;
	if (x->n_open == 0 && str_trim(text).n > 0)
		return bad(x, "text outside of the root"), false;
	x->so_far = text; /* one piece: between two tags there is nothing but a text */
	return true;
}

/* ── tags ── */

/* Up to and with the '>'; attributes are skipped, in their quotes. */
static bool tag_end(struct xml *x, bool *empty_element)
{
	size_t i = 0;
	struct str s = x->rest;
	*empty_element = false;
	while (i < s.n && s.p[i] != '>') {
		if (s.p[i] == '<' || (s.p[i] == '/' && !(i + 1 < s.n && s.p[i + 1] == '>')))
			return false;
		if (s.p[i] == '"' || s.p[i] == '\'') {
			struct str value = str_sub(s, i + 1, SIZE_MAX);
			size_t n = str_find_char(value, s.p[i]);
			if (n == value.n || str_find_char(str_sub(value, 0, n), '<') < n)
				return false;
			i += n + 1;
		}
		*empty_element = s.p[i] == '/';
		i++;
	}
	x->rest = str_sub(s, i + 1, SIZE_MAX);
	return i < s.n;
}

static enum xml_event open_tag(struct xml *x)
{
	struct str name = name_cut(x);
	if (name.n == 0 || (x->rest.n > 0 && !is_space(x->rest.p[0]) && x->rest.p[0] != '>' && x->rest.p[0] != '/'))
		return bad(x, "a tag without a name");
	if (!tag_end(x, &x->empty_element))
		return bad(x, "a tag that does not end");
	if (x->n_open == 0 && x->root_seen)
		return bad(x, "more than one root");
	if (x->n_open == XML_DEPTH_MAX)
		return bad(x, "elements nested too deep");
	x->root_seen = true;
	x->open[x->n_open++] = name;
	x->name = name;
	x->depth = x->n_open;
	x->text = x->so_far = STR_NONE;
	x->has_children = false;
	return XML_OPEN;
}

static enum xml_event element_close(struct xml *x)
{
	x->name = x->open[--x->n_open];
	x->depth = x->n_open + 1;
	x->text = x->has_children ? STR_NONE : x->so_far;
	x->so_far = STR_NONE;
	x->has_children = true; /* what it was in has one now */
	x->empty_element = false;
	return XML_CLOSE;
}

static enum xml_event close_tag(struct xml *x)
{
	struct str name = name_cut(x);
	bool empty_element;
	if (!tag_end(x, &empty_element) || empty_element)
		return bad(x, "a tag that does not end");
	if (x->n_open == 0 || !str_eq(name, x->open[x->n_open - 1]))
		return bad(x, "an end without its beginning");
	return element_close(x);
}

static bool declaration_skip(struct xml *x)
{
	if (x->begun || !str_starts(x->rest, STR("<?xml")))
		return true;
	size_t n = str_find(x->rest, STR("?>"));
	if (n == x->rest.n)
		return bad(x, "a declaration that does not end"), false;
	x->rest = str_sub(x->rest, n + 2, SIZE_MAX);
	return true;
}

enum xml_event xml_next(struct xml *x)
{
	if (x->why)
		return XML_BAD;
	if (x->empty_element)
		return element_close(x);
	if (!x->begun) {
		/* White space before it is not allowed, but servers send it to keep a slow answer alive. */
		x->rest = str_trim(x->rest);
		if (!declaration_skip(x))
			return XML_BAD;
		x->begun = true;
	}
	if (!text_take(x))
		return XML_BAD;
	if (x->rest.n == 0) {
		if (x->n_open > 0 || !x->root_seen)
			return bad(x, "it ends in the middle");
		return XML_END;
	}
	x->rest = str_sub(x->rest, 1, SIZE_MAX);
	if (str_starts(x->rest, STR("!")) || str_starts(x->rest, STR("?")))
		return bad(x, "a DTD, comment, CDATA or processing instruction");
	if (str_starts(x->rest, STR("/"))) {
		x->rest = str_sub(x->rest, 1, SIZE_MAX);
		return close_tag(x);
	}
	return open_tag(x);
}
