/* What may be kept of requests and answers: secrets out, markers in, and the way back. */
#include "base/check.h"
#include "ingest/request_parts.h"

#include <string.h>

enum { REVEALED_MAX_BYTES = 1 << 20, SHOWN_SEARCHED_BYTES = 1 << 20 };

/* ── what leads on ── */

enum next_form next_form_of(const struct resource *r)
{
	return r->paginate.style == PAGE_NEXT_URL || r->paginate.style == PAGE_LINK ? FORM_URL : FORM_CURSOR;
}

static bool survives_encoding(struct str s)
{
	struct buf encoded = BUF_INIT(mem_size(s.n, 3) + 1);
	bool same = url_encode(&encoded, s) && str_eq(buf_str(&encoded), s);
	buf_free(&encoded);
	return same;
}

/* Can secret_fill give back what stood there? In a query percent-encoding is equivalent, in a path it may not be. */
static bool hit_is_restorable(const struct secret *s, enum next_form form, const struct secret_hit *hit, size_t query_at)
{
	if (hit->form == SECRET_BASE64)
		return false;
	if (form == FORM_CURSOR)
		return hit->form == SECRET_TEXT;
	return hit->form == SECRET_ENCODED || hit->at >= query_at || survives_encoding(s->hidden);
}

bool next_redact_as(const struct resource *r, enum next_form form, struct page_next *next, struct arena *a, struct err *e)
{
	const struct secret_set *set = &r->source->secrets;
	size_t n = 0, query_at = str_find_char(next->text, '?');
	next->markers = NULL;
	next->n_markers = 0;
	if (set->n == 0 || next->text.n == 0)
		return true;
	struct buf out = BUF_INIT((size_t)64 << 20);
	CHECK(secret_redact(set, next->text, &out, &n));
	if (n > 0) {
		struct secret_hit *hits = arena_array(a, struct secret_hit, n);
		buf_clear(&out);
		CHECK(secret_redact_hits(set, next->text, &out, hits, n, &n));
		next->markers = arena_array(a, struct next_marker, n);
		next->n_markers = n;
		for (size_t i = 0; i < n; i++) {
			const struct secret *s = set->v[hits[i].which];
			next->markers[i] = (struct next_marker){ hits[i].at_redacted, s->marker };
			if (!hit_is_restorable(s, form, &hits[i], query_at)) {
				buf_free(&out);
				return err_set(e, ERR_SECRET, "what leads to the next page holds the secret %.*s in a form "
					       "that cannot be taken out and put back", STR_ARG(s->reference));
			}
		}
		next->text = arena_copy(a, buf_str(&out));
	}
	buf_free(&out);
	return true;
}

bool next_reveal_as(const struct resource *r, enum next_form form, const struct page_next *next, struct arena *a,
		    struct str *out, struct err *e)
{
	const struct secret_set *set = &r->source->secrets;
	*out = next->text;
	if (next->n_markers == 0)
		return true;
	struct secret_hit *hits = arena_array(a, struct secret_hit, next->n_markers);
	for (size_t i = 0; i < next->n_markers; i++) {
		size_t which = 0;
		while (which < set->n && !str_eq(set->v[which]->marker, next->markers[i].marker))
			which++;
		if (which == set->n)
			return err_set(e, ERR_SECRET, "a stored cursor names %.*s, which source %.*s does not have",
				       STR_ARG(next->markers[i].marker), STR_ARG(r->source->name));
		hits[i] = (struct secret_hit){
			.at_redacted = next->markers[i].at,
			.which = which,
			.form = form == FORM_URL ? SECRET_ENCODED : SECRET_TEXT,
		};
	}
	struct buf full = BUF_INIT(REVEALED_MAX_BYTES);
	bool ok = secret_fill(set, next->text, hits, next->n_markers, &full, e);
	if (ok)
		*out = arena_copy(a, buf_str(&full));
	if (full.p)
		explicit_bzero(full.p, full.cap);
	buf_free(&full);
	return ok;
}

bool next_redact(const struct resource *r, struct page_next *next, struct arena *a, struct err *e)
{
	return next_redact_as(r, next_form_of(r), next, a, e);
}

bool next_reveal(const struct resource *r, const struct page_next *next, struct arena *a, struct str *out, struct err *e)
{
	return next_reveal_as(r, next_form_of(r), next, a, out, e);
}

/* ── heads ── */

/* Each hit of a secret grows a text by no more than its marker. */
static struct buf buf_for_redacted(const struct secret_set *set, struct str text)
{
	size_t longest = 1;
	for (size_t i = 0; i < set->n; i++)
		if (set->v[i]->marker.n > longest)
			longest = set->v[i]->marker.n;
	return BUF_INIT(mem_size(text.n, longest + 32) + 1024);
}

static void redact_into(const struct secret_set *set, struct str text, struct buf *out)
{
	size_t n;
	CHECK(secret_redact(set, text, out, &n));
}

/* "Name: value" with its line end; false where there is no colon. */
static bool header_split(struct str line, struct str *name, struct str *value, struct str *end)
{
	size_t colon = str_find_char(line, ':'), n = line.n;
	while (n > 0 && (line.p[n - 1] == '\n' || line.p[n - 1] == '\r'))
		n--;
	if (colon >= n)
		return false;
	*name = str_sub(line, 0, colon);
	*value = str_trim(str_sub(line, colon + 1, n - colon - 1));
	*end = str_sub(line, n, line.n);
	return true;
}

typedef bool header_rewrite(const struct source *s, struct str name, struct str value, struct buf *out);

/* The lines that `rewrite` claims are its own; what stands between them is searched for secrets. */
static struct str head_kept(const struct source *s, struct str head, header_rewrite *rewrite, struct arena *a)
{
	struct buf out = buf_for_redacted(&s->secrets, head);
	size_t plain_from = 0;
	for (size_t at = 0; at < head.n;) {
		struct str rest = str_sub(head, at, head.n), name, value, end;
		size_t n = str_find_char(rest, '\n') + 1;
		struct str line = str_sub(rest, 0, n);
		size_t mark = out.n;
		if (at > 0 && header_split(line, &name, &value, &end)) {
			struct buf own = BUF_INIT(mem_size(line.n, 2) + 4096);
			if (rewrite(s, name, value, &own)) {
				redact_into(&s->secrets, str_sub(head, plain_from, at - plain_from), &out);
				buf_add(&out, buf_str(&own));
				buf_add(&out, end);
				plain_from = at + line.n;
			}
			buf_free(&own);
		}
		CHECK(out.n >= mark && !out.overflow);
		at += line.n;
	}
	redact_into(&s->secrets, str_sub(head, plain_from, head.n), &out);
	CHECK(!out.overflow);
	struct str kept = arena_copy(a, buf_str(&out));
	buf_free(&out);
	return kept;
}

static bool credentials_rewrite(const struct source *s, struct str name, struct str value, struct buf *out)
{
	const struct auth *auth = &s->auth;
	bool ours = auth->kind == AUTH_HEADER && str_eq_nocase(name, auth->name);
	bool standard = str_eq_nocase(name, STR("authorization")) || str_eq_nocase(name, STR("proxy-authorization"));
	if (!ours && !standard && !str_eq_nocase(name, STR("cookie")))
		return false;
	struct str marker = auth->secret.marker.n ? auth->secret.marker : STR("~secret~");
	struct str scheme = STR_NONE;
	if (standard && !ours) {
		size_t blank = str_find_char(value, ' ');
		if (blank < value.n && (auth->kind == AUTH_BASIC || auth->kind == AUTH_BEARER))
			scheme = str_sub(value, 0, blank + 1);
	}
	buf_addf(out, "%.*s: %.*s%.*s", STR_ARG(name), STR_ARG(scheme), STR_ARG(marker));
	return true;
}

static bool cookie_rewrite(const struct source *s, struct str name, struct str value, struct buf *out)
{
	(void)s;
	(void)value;
	if (!str_eq_nocase(name, STR("set-cookie")) && !str_eq_nocase(name, STR("set-cookie2")))
		return false;
	buf_addf(out, "%.*s: ~cookie~", STR_ARG(name));
	return true;
}

struct str request_head_kept(const struct resource *r, struct str head_as_sent, struct arena *a)
{
	return head_kept(r->source, head_as_sent, credentials_rewrite, a);
}

struct str response_head_kept(const struct resource *r, struct str head, struct arena *a)
{
	return head_kept(r->source, head, cookie_rewrite, a);
}

struct str text_shown(const struct resource *r, struct str text, size_t max, struct arena *a)
{
	struct str searched = str_sub(text, 0, SHOWN_SEARCHED_BYTES);
	struct buf out = buf_for_redacted(&r->source->secrets, searched);
	redact_into(&r->source->secrets, searched, &out);
	struct str s = buf_str(&out);
	bool cut = s.n > max;
	size_t n = cut ? max : s.n;
	while (cut && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	char *p = arena_alloc(a, n + 4);
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '.' : s.p[i];
	if (cut)
		memcpy(p + n, "...", 3);
	buf_free(&out);
	return (struct str){ p, cut ? n + 3 : n };
}
