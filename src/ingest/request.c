#include "ingest/request.h"

#include "base/check.h"
#include "base/json.h"
#include "ingest/request_parts.h"

#include <string.h>

enum { URL_MAX_BYTES = 1 << 20, BODY_MAX_BYTES = 64 << 20, LOW_SPEED_US = 30 * US_PER_SECOND };

/* The same text twice: as it is sent and as it is kept. */
struct twin {
	struct buf sent, kept;
};

static void twin_add(struct twin *t, struct str s)
{
	buf_add(&t->sent, s);
	buf_add(&t->kept, s);
}

static void twin_free(struct twin *t)
{
	if (t->sent.p)
		explicit_bzero(t->sent.p, t->sent.cap);
	buf_free(&t->sent);
	buf_free(&t->kept);
}

static struct twin twin_new(size_t max)
{
	return (struct twin){ BUF_INIT(max), BUF_INIT(max) };
}

/* A cursor: as sent, and as kept. */
struct next_texts {
	struct str sent, kept;
};

/* ── URL ── */

static void query_add(struct twin *t, struct str name, struct str sent, struct str kept)
{
	if (t->sent.n > 0)
		twin_add(t, STR("&"));
	url_encode(&t->sent, name);
	url_encode(&t->kept, name);
	twin_add(t, STR("="));
	url_encode(&t->sent, sent);
	url_encode(&t->kept, kept);
}

static void query_add_key(struct twin *t, const struct auth *auth)
{
	if (auth->kind == AUTH_QUERY)
		query_add(t, auth->name, auth->secret.hidden, auth->secret.marker);
}

static struct str number_text(int64_t v, struct arena *a)
{
	return arena_format(a, "%lld", (long long)v);
}

static void query_build(const struct resource *r, struct window w, const struct page_next *next,
			const struct next_texts *cursor, struct arena *a, struct twin *q)
{
	const struct paginate *p = &r->paginate;
	for (size_t i = 0; i < r->n_query; i++) {
		struct str value = template_fill(&r->query[i].value, &w, r->step.zone, a);
		query_add(q, r->query[i].name, value, value);
	}
	if (p->size_param.n > 0 && p->size > 0) {
		struct str size = number_text(p->size, a);
		query_add(q, p->size_param, size, size);
	}
	if (p->style == PAGE_NUMBER || p->style == PAGE_OFFSET) {
		struct str number = number_text(next->kind == NEXT_NUMBER ? next->number : p->first, a);
		query_add(q, p->param, number, number);
	} else if (p->style == PAGE_CURSOR && p->to == CURSOR_TO_QUERY && next->kind == NEXT_TEXT) {
		query_add(q, p->param, cursor->sent, cursor->kept);
	}
	query_add_key(q, &r->source->auth);
}

/* What a window filled in is one piece of the path: a '/' in it would be another path. */
static bool path_build(const struct resource *r, struct window w, struct arena *a, struct url *out, struct err *e)
{
	const struct template *t = &r->path_template;
	struct buf text = BUF_INIT(URL_MAX_BYTES);
	buf_add(&text, origin_text(&r->source->origin, a));
	buf_add(&text, r->source->base_path);
	for (size_t i = 0; i < t->n_parts; i++) {
		struct template one = { .parts = &t->parts[i], .n_parts = 1 };
		struct str filled = template_fill(&one, &w, r->step.zone, a);
		if (t->parts[i].is_edge)
			url_encode(&text, filled);
		else
			buf_add(&text, filled);
	}
	bool ok = !text.overflow && url_parse(arena_copy(a, buf_str(&text)), a, out, e);
	if (text.overflow)
		err_set(e, ERR_CONFIG, "the path is longer than %d bytes", URL_MAX_BYTES);
	buf_free(&text);
	return ok;
}

/* Relative to the source's URL. */
static struct str target_of(const struct source *s, const struct url *u, struct arena *a)
{
	struct str path = u->path, base = s->base_path;
	struct buf out = BUF_INIT(2 * (size_t)URL_MAX_BYTES);
	bool inside = str_starts(path, base) && (path.n == base.n || path.p[base.n] == '/');
	for (size_t i = 0; i < base.n && !inside; i++)
		if (base.p[i] == '/')
			buf_add(&out, STR("/.."));
	buf_add(&out, inside ? str_sub(path, base.n, path.n) : path);
	if (u->query.n > 0) {
		buf_add_char(&out, '?');
		buf_add(&out, u->query);
	}
	CHECK(!out.overflow);
	struct str target = arena_copy(a, buf_str(&out));
	buf_free(&out);
	return target;
}

static bool url_finish(const struct resource *r, struct url *kept_url, struct str path_sent, const struct twin *q,
		       struct arena *a, struct page_request *out, struct err *e)
{
	if (q->sent.overflow || q->kept.overflow)
		return err_set(e, ERR_TOO_LARGE, "a request's query is longer than %d bytes", URL_MAX_BYTES);
	kept_url->query = arena_copy(a, buf_str(&q->kept));
	out->url = *kept_url;
	out->http.url = arena_format(a, "%.*s%.*s%s%.*s", STR_ARG(origin_text(&r->source->origin, a)), STR_ARG(path_sent),
				     q->sent.n ? "?" : "", STR_ARG(buf_str(&q->sent)));
	out->target = target_of(r->source, kept_url, a);
	return true;
}

/* Path and query that the API gave: `texts` is the same place with secrets and with markers. */
static bool url_from_texts(const struct resource *r, const struct next_texts *texts, struct arena *a,
			   struct page_request *out, struct err *e)
{
	if (!str_starts(texts->kept, STR("/")) || !str_starts(texts->sent, STR("/")))
		return err_set(e, ERR_DAMAGE, "a stored next URL does not begin with '/'");
	size_t sent_at = str_find_char(texts->sent, '?'), kept_at = str_find_char(texts->kept, '?');
	/* The request outlives what led to it: it goes with the page into Raw, while the next page is on its way. */
	struct url u = { .origin = r->source->origin, .path = arena_copy(a, str_sub(texts->kept, 0, kept_at)) };
	struct twin q = twin_new(URL_MAX_BYTES);
	buf_add(&q.sent, str_sub(texts->sent, sent_at + 1, texts->sent.n));
	buf_add(&q.kept, str_sub(texts->kept, kept_at + 1, texts->kept.n));
	query_add_key(&q, &r->source->auth);
	bool ok = url_finish(r, &u, str_sub(texts->sent, 0, sent_at), &q, a, out, e);
	twin_free(&q);
	return ok;
}

static bool url_own(const struct resource *r, struct window w, const struct page_next *next,
		    const struct next_texts *cursor, struct arena *a, struct page_request *out, struct err *e)
{
	struct url u;
	if (!path_build(r, w, a, &u, e))
		return false;
	struct twin q = twin_new(URL_MAX_BYTES);
	query_build(r, w, next, cursor, a, &q);
	bool ok = url_finish(r, &u, u.path, &q, a, out, e);
	twin_free(&q);
	return ok;
}

/* ── headers ── */

struct headers {
	struct http_header *v;
	size_t n, cap;
};

/* A later one of the same name takes the place of an earlier one. */
static void header_set(struct headers *h, struct str name, struct str value, struct arena *a)
{
	for (size_t i = 0; i < h->n; i++)
		if (str_eq_nocase(h->v[i].name, name)) {
			h->v[i] = (struct http_header){ name, value };
			return;
		}
	*arena_push(a, *h) = (struct http_header){ name, value };
}

static struct str base64(struct str s, struct arena *a)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = arena_alloc(a, mem_size(s.n, 2) + 4);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
		v |= left > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
		v |= left > 2 ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
		out[n++] = alphabet[v >> 18 & 63];
		out[n++] = alphabet[v >> 12 & 63];
		out[n++] = '=';
		out[n++] = '=';
		if (left > 1)
			out[n - 2] = alphabet[v >> 6 & 63];
		if (left > 2)
			out[n - 1] = alphabet[v & 63];
	}
	return (struct str){ out, n };
}

static void auth_add(struct headers *h, const struct auth *auth, struct arena *a)
{
	struct str hidden = auth->secret.hidden;
	CHECK(auth->kind == AUTH_NONE || hidden.n > 0); /* source_load_secrets comes before any request */
	if (auth->kind == AUTH_HEADER) {
		header_set(h, auth->name, hidden, a);
	} else if (auth->kind == AUTH_BEARER) {
		header_set(h, STR("Authorization"), arena_format(a, "Bearer %.*s", STR_ARG(hidden)), a);
	} else if (auth->kind == AUTH_BASIC) {
		struct str pair = arena_format(a, "%.*s:%.*s", STR_ARG(auth->user), STR_ARG(hidden));
		header_set(h, STR("Authorization"), arena_format(a, "Basic %.*s", STR_ARG(base64(pair, a))), a);
	}
}

static void headers_build(const struct resource *r, struct window w, const struct next_texts *cursor, struct arena *a,
			  struct http_request *out)
{
	struct headers h = { 0 };
	header_set(&h, STR("Accept"), STR("application/json"), a);
	header_set(&h, STR("Accept-Encoding"), STR("gzip"), a);
	header_set(&h, STR("User-Agent"), STR("sluice/" SLUICE_VERSION), a);
	if (r->post)
		header_set(&h, STR("Content-Type"), STR("application/json"), a);
	for (size_t i = 0; i < r->source->n_headers; i++)
		header_set(&h, r->source->headers[i].name,
			   template_fill(&r->source->headers[i].value, &w, r->step.zone, a), a);
	for (size_t i = 0; i < r->n_headers; i++)
		header_set(&h, r->headers[i].name, template_fill(&r->headers[i].value, &w, r->step.zone, a), a);
	if (cursor)
		header_set(&h, r->paginate.param, cursor->sent, a);
	auth_add(&h, &r->source->auth, a);
	out->headers = h.v;
	out->n_headers = h.n;
}

/* ── body ── */

/* "cursor": ... as the last member of the object that the body is. */
static bool body_insert(const struct resource *r, struct str body, const struct next_texts *cursor, struct twin *t,
			struct err *e)
{
	body = str_trim(body);
	if (body.n < 2 || !str_starts(body, STR("{")) || !str_ends(body, STR("}")))
		return err_set(e, ERR_CONFIG, "the body is not a JSON object, so no cursor can be put into it");
	struct str inside = str_sub(body, 0, body.n - 1);
	twin_add(t, inside);
	if (str_trim(str_sub(inside, 1, inside.n)).n > 0)
		twin_add(t, STR(","));
	json_escape(&t->sent, r->paginate.param);
	json_escape(&t->kept, r->paginate.param);
	twin_add(t, STR(":"));
	if (r->paginate.from == CURSOR_BODY) { /* JSON already */
		buf_add(&t->sent, cursor->sent);
		buf_add(&t->kept, cursor->kept);
	} else {
		json_escape(&t->sent, cursor->sent);
		json_escape(&t->kept, cursor->kept);
	}
	twin_add(t, STR("}"));
	return true;
}

static bool body_build(const struct resource *r, struct window w, const struct next_texts *cursor, struct arena *a,
		       struct page_request *out, struct err *e)
{
	if (!r->post)
		return true;
	struct str body = template_fill(&r->body, &w, r->step.zone, a);
	if (!cursor) {
		out->http.body = body;
		out->body_kept = body;
		return true;
	}
	struct twin t = twin_new(BODY_MAX_BYTES);
	bool ok = body_insert(r, body, cursor, &t, e);
	if (ok && (t.sent.overflow || t.kept.overflow))
		ok = err_set(e, ERR_TOO_LARGE, "a request's body is longer than %d bytes", BODY_MAX_BYTES);
	if (ok) {
		out->http.body = arena_copy(a, buf_str(&t.sent));
		out->body_kept = arena_copy(a, buf_str(&t.kept));
	}
	twin_free(&t);
	return ok;
}

/* ── the request ── */

static struct sha256 fingerprint_of(const struct page_request *q, struct str header, const struct next_texts *cursor)
{
	struct sha256_state s;
	sha256_begin(&s);
	sha256_add_str(&s, q->http.method);
	sha256_add_str(&s, STR(" "));
	sha256_add_str(&s, q->target);
	sha256_add_str(&s, STR("\n"));
	if (cursor) {
		sha256_add_str(&s, header);
		sha256_add_str(&s, STR(": "));
		sha256_add_str(&s, cursor->kept);
		sha256_add_str(&s, STR("\n"));
	}
	sha256_add_str(&s, STR("\n"));
	sha256_add_str(&s, q->body_kept);
	return sha256_end(&s);
}

static void limits_set(const struct source *s, struct http_request *q)
{
	q->max_header_bytes = s->limits.header_bytes;
	q->max_body_bytes = s->limits.body_bytes;
	q->connect_us = s->connect_us;
	q->first_byte_us = s->first_byte_us;
	q->total_us = s->total_us;
	q->low_speed_bytes_s = s->low_speed_bytes_s;
	q->low_speed_us = LOW_SPEED_US;
	q->allow_private = s->network_private;
}

static bool header_text_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

bool request_build(const struct resource *r, struct window w, const struct page_next *next, struct arena *a,
		   struct page_request *out, struct err *e)
{
	const struct paginate *p = &r->paginate;
	struct next_texts text = { next->text, next->text };
	bool has_text = next->kind == NEXT_TEXT;
	CHECK(next->kind != NEXT_END);
	*out = (struct page_request){ .http.method = r->post ? STR("POST") : STR("GET") };
	limits_set(r->source, &out->http);
	if (has_text && !next_reveal(r, next, a, &text.sent, e))
		return false;
	bool as_url = has_text && next_form_of(r) == FORM_URL;
	bool in_body = has_text && p->style == PAGE_CURSOR && p->to == CURSOR_TO_BODY;
	bool in_header = has_text && p->style == PAGE_CURSOR && p->to == CURSOR_TO_HEADER;
	if (in_header && !header_text_ok(text.sent))
		return err_set(e, ERR_HTTP_MALFORMED, "the cursor holds a control character and cannot be sent in the "
			       "header %.*s", STR_ARG(p->param));
	if (!(as_url ? url_from_texts(r, &text, a, out, e) : url_own(r, w, next, &text, a, out, e)))
		return false;
	if (!body_build(r, w, in_body ? &text : NULL, a, out, e))
		return false;
	headers_build(r, w, in_header ? &text : NULL, a, &out->http);
	out->fingerprint = fingerprint_of(out, p->param, in_header ? &text : NULL);
	return true;
}

/* ── places that the API names ── */

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool query_name_is(struct str encoded, struct str name)
{
	size_t k = 0;
	for (size_t i = 0; i < encoded.n; i++, k++) {
		char c = encoded.p[i];
		if (c == '%' && i + 2 < encoded.n && hex_value(encoded.p[i + 1]) >= 0 && hex_value(encoded.p[i + 2]) >= 0) {
			c = (char)(hex_value(encoded.p[i + 1]) * 16 + hex_value(encoded.p[i + 2]));
			i += 2;
		}
		if (k >= name.n || c != name.p[k])
			return false;
	}
	return k == name.n;
}

/* Our API key, however often and with whatever value it was echoed: it is put in again when the URL is asked. */
static struct str query_without_key(const struct auth *auth, struct str query, struct arena *a)
{
	struct str part;
	if (auth->kind != AUTH_QUERY)
		return query;
	struct buf out = BUF_INIT(query.n + 1);
	while (str_cut(&query, '&', &part)) {
		if (query_name_is(str_sub(part, 0, str_find_char(part, '=')), auth->name))
			continue;
		if (out.n > 0)
			buf_add_char(&out, '&');
		buf_add(&out, part);
	}
	CHECK(!out.overflow);
	struct str left = arena_copy(a, buf_str(&out));
	buf_free(&out);
	return left;
}

bool next_from_url(const struct resource *r, const struct url *page, struct str reference, struct page_next *next,
		   struct arena *a, struct err *e)
{
	struct url u;
	if (reference.n > NEXT_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "a URL of %zu bytes (at most %d)", reference.n, NEXT_MAX_BYTES);
	if (!url_resolve(page, reference, a, &u, e))
		return false;
	if (!origin_eq(&u.origin, &r->source->origin))
		return err_set(e, ERR_ORIGIN, "it leads to %.*s, away from %.*s",
			       STR_ARG(text_shown(r, origin_text(&u.origin, a), 300, a)),
			       STR_ARG(origin_text(&r->source->origin, a)));
	u.query = query_without_key(&r->source->auth, u.query, a);
	*next = (struct page_next){ .kind = NEXT_TEXT };
	next->text = arena_format(a, "%.*s%s%.*s", STR_ARG(u.path), u.query.n ? "?" : "", STR_ARG(u.query));
	return next_redact_as(r, FORM_URL, next, a, e);
}

bool request_redirect(const struct resource *r, const struct page_request *from, struct str location, unsigned hops,
		      struct arena *a, struct page_request *out, struct err *e)
{
	struct page_next next;
	struct next_texts text;
	struct str method = from->http.method;
	if (hops >= HOPS_MAX)
		return err_set(e, ERR_HTTP_STATUS, "%.*s %.*s: more than %d redirects", STR_ARG(method),
			       STR_ARG(str_sub(from->target, 0, 512)), HOPS_MAX);
	if (!next_from_url(r, &from->url, location, &next, a, e) ||
	    !next_reveal_as(r, FORM_URL, &next, a, &text.sent, e))
		return err_wrap(e, "%.*s %.*s: the redirect", STR_ARG(method), STR_ARG(str_sub(from->target, 0, 512)));
	text.kept = next.text;
	struct page_request to = *from; /* `out` may be `from` */
	if (!url_from_texts(r, &text, a, &to, e))
		return false;
	*out = to;
	return true;
}
