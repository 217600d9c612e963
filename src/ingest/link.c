#include "ingest/link.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t blanks_skip(struct str s, size_t at)
{
	while (at < s.n && is_blank(s.p[at]))
		at++;
	return at;
}

static bool malformed(struct err *e, size_t at, const char *what)
{
	return err_set(e, ERR_HTTP_MALFORMED, "Link header, byte %zu: %s", at, what);
}

struct param {
	struct str name, value; /* value: still with its backslashes if it was quoted */
};

/* A parameter from its name on: token, BWS, and perhaps "=" and a value. Unquoted values may hold what a token may not
 * (rel=http://example.com/rel), since servers send that. */
static bool param_read(struct str s, size_t *at, struct param *out, struct err *e)
{
	size_t begin = *at, i = begin;
	while (i < s.n && !is_blank(s.p[i]) && s.p[i] != '=' && s.p[i] != ';' && s.p[i] != ',' && s.p[i] != '"')
		i++;
	*out = (struct param){ .name = str_sub(s, begin, i - begin) };
	i = blanks_skip(s, i);
	if (i == s.n || s.p[i] != '=') {
		*at = i;
		return out->name.n > 0 || malformed(e, i, "a parameter without a name");
	}
	if (out->name.n == 0)
		return malformed(e, i, "a parameter without a name");
	i = blanks_skip(s, i + 1);
	if (i < s.n && s.p[i] == '"') {
		size_t open = i++;
		while (i < s.n && s.p[i] != '"')
			i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
		if (i >= s.n)
			return malformed(e, open, "a quote that is never closed");
		out->value = str_sub(s, open + 1, i - open - 1);
		*at = i + 1;
		return true;
	}
	begin = i;
	while (i < s.n && !is_blank(s.p[i]) && s.p[i] != ';' && s.p[i] != ',')
		i++;
	out->value = str_sub(s, begin, i - begin);
	*at = i;
	return true;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Is `rel` one of the words of the list? Backslashes of quoted pairs are passed over. */
static bool rel_listed(struct str list, struct str rel)
{
	size_t i = 0;
	while (i < list.n) {
		while (i < list.n && is_blank(list.p[i]))
			i++;
		size_t matched = 0;
		bool same = i < list.n;
		while (i < list.n && !is_blank(list.p[i])) {
			if (list.p[i] == '\\' && i + 1 < list.n)
				i++;
			same = same && matched < rel.n && lower(list.p[i]) == lower(rel.p[matched]);
			matched++;
			i++;
		}
		if (same && matched == rel.n)
			return true;
	}
	return false;
}

struct link_read {
	struct str target;
	struct str rel;
	bool has_rel, has_anchor;
};

/* One link-value: "<" URI-Reference ">" *( OWS ";" OWS [ link-param ] ). */
static bool link_value_read(struct str s, size_t *at, struct link_read *out, struct err *e)
{
	size_t i = *at;
	*out = (struct link_read){ 0 };
	if (s.p[i] != '<')
		return malformed(e, i, "a link begins with '<'");
	size_t n = str_find_char(str_sub(s, i, s.n), '>');
	if (i + n >= s.n)
		return malformed(e, i, "a '<' without its '>'");
	out->target = str_sub(s, i + 1, n - 1);
	i = blanks_skip(s, i + n + 1);
	while (i < s.n && s.p[i] == ';') {
		struct param p;
		i = blanks_skip(s, i + 1);
		if (i == s.n || s.p[i] == ';' || s.p[i] == ',')
			continue;
		if (!param_read(s, &i, &p, e))
			return false;
		/* RFC 8288, 3.3: of several `rel` the first counts. */
		if (!out->has_rel && str_eq_nocase(p.name, STR("rel"))) {
			out->rel = p.value;
			out->has_rel = true;
		}
		out->has_anchor = out->has_anchor || str_eq_nocase(p.name, STR("anchor"));
		i = blanks_skip(s, i);
	}
	if (i < s.n && s.p[i] != ',')
		return malformed(e, i, "a ';' or ',' expected behind a link");
	*at = i;
	return true;
}

bool link_find(const struct http_exchange *x, struct str rel, struct str *target, bool *found, struct err *e)
{
	bool anchored = false;
	*found = false;
	for (size_t h = 0; h < x->n_headers; h++) {
		struct str s = x->headers[h].value;
		if (!str_eq_nocase(x->headers[h].name, STR("link")))
			continue;
		for (size_t i = 0; i < s.n;) {
			struct link_read link;
			if (is_blank(s.p[i]) || s.p[i] == ',') {
				i++;
				continue;
			}
			if (!link_value_read(s, &i, &link, e))
				return false;
			if (!link.has_rel || !rel_listed(link.rel, rel))
				continue;
			if (link.has_anchor) {
				anchored = true;
				continue;
			}
			*target = link.target;
			*found = true;
			return true;
		}
	}
	if (anchored)
		return err_set(e, ERR_HTTP_MALFORMED, "Link header: the only link with rel \"%.*s\" has an anchor, so it "
			       "leads on from another document", STR_ARG(rel));
	return true;
}
