/* Secrets in texts. Each secret becomes a few needles that memmem() finds at the speed of memory, and (only if an
 * encoder would change it) a matcher that decodes as it compares. */
#include "base/check.h"
#include "config/secret.h"

#include <string.h>

enum {
	NEEDLES_EACH = 8,      /* text, encoded, Base64 at three offsets in two alphabets */
	BASE64_CORE_MIN = 4,   /* shorter ones would be found everywhere */
};

struct needle {
	size_t which;
	enum secret_form form;
	struct str text;      /* TEXT, BASE64: these bytes; ENCODED: the secret itself */
	bool mixed_left, mixed_right; /* BASE64: the character beside it carries bits of the secret, too */
	size_t at, n;         /* the next occurrence; at == SIZE_MAX: none */
};

struct search {
	struct needle v[SECRETS_MAX * NEEDLES_EACH];
	size_t n;
	char *scratch; /* owns the Base64 texts */
};

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

static bool needs_encoding(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_unreserved(s.p[i]))
			return true;
	return false;
}

/* ── Base64 ── */

/* The characters that `s` alone decides when `skip` (0..2) unknown bytes of its group of three stand before it. */
static size_t base64_core(struct str s, size_t skip, const char *alphabet, char *out)
{
	size_t first = skip ? skip + 1 : 0; /* skip 1: character 2, skip 2: character 3 */
	size_t last = 8 * (skip + s.n) / 6, n = 0;
	for (size_t i = first; i < last; i++) {
		unsigned value = 0;
		for (size_t bit = 6 * i; bit < 6 * i + 6; bit++) {
			unsigned char byte = (unsigned char)s.p[bit / 8 - skip];
			value = value << 1 | (((unsigned)byte >> (7 - bit % 8)) & 1u);
		}
		out[n++] = alphabet[value];
	}
	return n;
}

static bool is_base64(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
	       c == '-' || c == '_';
}

static char *base64_needles(struct search *s, size_t which, struct str secret, char *room)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	for (size_t skip = 0; skip < 3; skip++) {
		size_t n = base64_core(secret, skip, plain, room);
		if (n < BASE64_CORE_MIN)
			continue;
		struct needle one = {
			.which = which,
			.form = SECRET_BASE64,
			.text = { room, n },
			.mixed_left = skip > 0,
			.mixed_right = 8 * (skip + secret.n) % 6 != 0,
		};
		s->v[s->n++] = one;
		room += n;
		base64_core(secret, skip, url, room);
		if (memcmp(room - n, room, n) != 0) {
			one.text.p = room;
			s->v[s->n++] = one;
			room += n;
		}
	}
	return room;
}

/* ── encoded forms ── */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One character of the text at p, decoded: how many bytes it takes, 0 if it does not stand for `wanted`. */
static size_t decoded_matches(const char *p, const char *end, char wanted)
{
	size_t left = (size_t)(end - p);
	if (*p == wanted)
		return 1;
	if (*p == '+' && wanted == ' ')
		return 1;
	if (*p == '%' && left >= 3 && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0)
		return hex_value(p[1]) * 16 + hex_value(p[2]) == (unsigned char)wanted ? 3 : 0;
	if (*p != '\\' || left < 2)
		return 0;
	if (p[1] == wanted && strchr("\"\\/", wanted))
		return 2;
	if (p[1] == 'u' && left >= 6 && p[2] == '0' && p[3] == '0' && hex_value(p[4]) >= 0 && hex_value(p[5]) >= 0)
		return hex_value(p[4]) * 16 + hex_value(p[5]) == wanted ? 6 : 0;
	return 0;
}

static size_t encoded_match(struct str text, size_t at, struct str secret)
{
	const char *p = text.p + at, *end = text.p + text.n;
	for (size_t i = 0; i < secret.n; i++) {
		size_t n = p < end ? decoded_matches(p, end, secret.p[i]) : 0;
		if (!n)
			return 0;
		p += n;
	}
	return (size_t)(p - (text.p + at));
}

static void encoded_next(struct needle *one, struct str text, size_t from)
{
	char first = one->text.p[0];
	one->at = SIZE_MAX;
	/* Without any of these nothing is encoded, and the plain needle finds it all. */
	if (!memchr(text.p + from, '%', text.n - from) && !memchr(text.p + from, '\\', text.n - from) &&
	    !memchr(text.p + from, '+', text.n - from))
		return;
	for (size_t i = from; i < text.n; i++) {
		char c = text.p[i];
		if (c != first && c != '%' && c != '\\' && c != '+')
			continue;
		size_t n = encoded_match(text, i, one->text);
		if (n) {
			one->at = i;
			one->n = n;
			return;
		}
	}
}

/* ── the search ── */

static void needle_next(struct needle *one, struct str text, size_t from)
{
	one->at = SIZE_MAX;
	if (from >= text.n)
		return;
	if (one->form == SECRET_ENCODED) {
		encoded_next(one, text, from);
		return;
	}
	const char *hit = memmem(text.p + from, text.n - from, one->text.p, one->text.n);
	if (!hit)
		return;
	size_t begin = (size_t)(hit - text.p), end = begin + one->text.n;
	if (one->mixed_left && begin > from && is_base64(text.p[begin - 1]))
		begin--;
	if (one->mixed_right && end < text.n && is_base64(text.p[end]))
		end++;
	while (one->form == SECRET_BASE64 && end < text.n && text.p[end] == '=')
		end++;
	one->at = begin;
	one->n = end - begin;
}

static void search_begin(struct search *s, const struct secret_set *set, size_t min_bytes)
{
	size_t room = 1;
	s->n = 0;
	for (size_t i = 0; i < set->n; i++)
		room += 6 * (mem_size(set->v[i]->hidden.n + 2, 2));
	s->scratch = mem_alloc(room);
	char *p = s->scratch;
	for (size_t i = 0; i < set->n; i++) {
		struct str secret = set->v[i]->hidden;
		if (!secret.n || secret.n < min_bytes)
			continue;
		s->v[s->n++] = (struct needle){ .which = i, .form = SECRET_TEXT, .text = secret };
		if (needs_encoding(secret))
			s->v[s->n++] = (struct needle){ .which = i, .form = SECRET_ENCODED, .text = secret };
		p = base64_needles(s, i, secret, p);
	}
	CHECK((size_t)(p - s->scratch) <= room);
	CHECK(s->n <= SECRETS_MAX * NEEDLES_EACH);
}

static void search_end(struct search *s)
{
	mem_free(s->scratch);
}

/* The first occurrence from here on, the longest where two begin together. */
static struct needle *search_next(struct search *s, struct str text, size_t from)
{
	struct needle *best = NULL;
	for (size_t i = 0; i < s->n; i++) {
		struct needle *one = &s->v[i];
		if (one->at != SIZE_MAX && one->at < from)
			needle_next(one, text, from);
		if (one->at != SIZE_MAX && (!best || one->at < best->at || (one->at == best->at && one->n > best->n)))
			best = one;
	}
	return best;
}

bool secret_redact_hits(const struct secret_set *set, struct str text, struct buf *out, struct secret_hit *hits,
			size_t max, size_t *n_hits)
{
	size_t from = 0, base = out->n;
	bool ok = true;
	*n_hits = 0;
	if (!set->n || !text.n)
		return buf_add(out, text);
	struct search s;
	search_begin(&s, set, 1);
	for (size_t i = 0; i < s.n; i++)
		needle_next(&s.v[i], text, 0);
	for (struct needle *one; ok && (one = search_next(&s, text, from));) {
		ok = buf_add(out, str_sub(text, from, one->at - from));
		if (*n_hits < max)
			hits[*n_hits] = (struct secret_hit){ .at = one->at, .n = one->n, .at_redacted = out->n - base,
							     .which = one->which, .form = one->form };
		ok = ok && buf_add(out, set->v[one->which]->marker);
		(*n_hits)++;
		from = one->at + one->n;
	}
	search_end(&s);
	return ok && buf_add(out, str_sub(text, from, text.n));
}

bool secret_redact(const struct secret_set *set, struct str text, struct buf *out, size_t *n_hits)
{
	return secret_redact_hits(set, text, out, NULL, 0, n_hits);
}

bool secret_found(const struct secret_set *set, struct str text, size_t *which)
{
	bool found = false;
	if (!set->n || !text.n)
		return false;
	struct search s;
	search_begin(&s, set, SECRET_SEARCH_MIN_BYTES);
	for (size_t i = 0; i < s.n && !found; i++) {
		needle_next(&s.v[i], text, 0);
		found = s.v[i].at != SIZE_MAX;
		if (found)
			*which = s.v[i].which;
	}
	search_end(&s);
	return found;
}

static bool encoded_add(struct buf *out, struct str secret)
{
	static const char digits[] = "0123456789ABCDEF";
	bool ok = true;
	for (size_t i = 0; i < secret.n && ok; i++) {
		unsigned char c = (unsigned char)secret.p[i];
		if (is_unreserved((char)c))
			ok = buf_add_char(out, (char)c);
		else
			ok = buf_add_char(out, '%') && buf_add_char(out, digits[c >> 4]) &&
			     buf_add_char(out, digits[c & 15]);
	}
	return ok;
}

bool secret_fill(const struct secret_set *set, struct str redacted, const struct secret_hit *hits, size_t n_hits,
		 struct buf *out, struct err *e)
{
	size_t from = 0;
	for (size_t i = 0; i < n_hits; i++) {
		const struct secret_hit *hit = &hits[i];
		if (hit->which >= set->n || hit->at_redacted < from || hit->at_redacted > redacted.n)
			return err_set(e, ERR_SECRET, "a stored cursor names a secret that is not there (number %zu)", i);
		const struct secret *s = set->v[hit->which];
		if (!str_starts(str_sub(redacted, hit->at_redacted, redacted.n), s->marker))
			return err_set(e, ERR_SECRET, "a stored cursor has no marker of %.*s at byte %zu",
				       STR_ARG(s->reference), hit->at_redacted);
		if (hit->form == SECRET_BASE64)
			return err_set(e, ERR_SECRET, "a stored cursor held %.*s in Base64 and cannot be restored",
				       STR_ARG(s->reference));
		bool ok = buf_add(out, str_sub(redacted, from, hit->at_redacted - from)) &&
			  (hit->form == SECRET_TEXT ? buf_add(out, s->hidden) : encoded_add(out, s->hidden));
		if (!ok)
			return err_set(e, ERR_TOO_LARGE, "a cursor longer than %zu bytes", out->max);
		from = hit->at_redacted + s->marker.n;
	}
	if (!buf_add(out, str_sub(redacted, from, redacted.n)))
		return err_set(e, ERR_TOO_LARGE, "a cursor longer than %zu bytes", out->max);
	return true;
}
