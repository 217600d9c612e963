/* Secrets in texts. Each secret becomes a few needles that memmem() finds at the speed of memory, and
 * a matcher that decodes as it compares, at work only where an escape stands for one of the secret's bytes. */
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
	uint64_t bytes[4];    /* ENCODED: the set of its bytes */
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

/* "\u00e9", a surrogate pair too, as UTF-8; how many bytes it takes, 0 if there is none. */
static size_t decode_json(const char *p, size_t left, char out[4], size_t *n_out)
{
	uint32_t unit[2] = { 0, 0 };
	size_t units = 0;
	for (; units < 2 && left >= 6 * (units + 1) && p[6 * units] == '\\' && p[6 * units + 1] == 'u'; units++) {
		for (size_t i = 2; i < 6; i++) {
			int digit = hex_value(p[6 * units + i]);
			if (digit < 0)
				return 0;
			unit[units] = unit[units] << 4 | (unsigned)digit;
		}
		if (unit[0] < 0xd800 || unit[0] > 0xdbff)
			break;
	}
	uint32_t c = unit[0];
	if (units == 2) {
		if (unit[1] < 0xdc00 || unit[1] > 0xdfff)
			return 0;
		c = 0x10000 + ((c - 0xd800) << 10) + (unit[1] - 0xdc00);
	} else if (left < 6 || p[1] != 'u' || (c >= 0xd800 && c <= 0xdfff)) {
		return 0;
	}
	*n_out = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = *n_out - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[*n_out] | c);
	return units == 2 ? 12 : 6;
}

/* What an escape at p stands for, in out; how many bytes of text it takes, 0 if there is no escape. */
static size_t decode(const char *p, const char *end, char out[4], size_t *n_out)
{
	size_t left = (size_t)(end - p);
	*n_out = 1;
	if (*p == '+') {
		out[0] = ' ';
		return 1;
	}
	if (*p == '%' && left >= 3 && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
		out[0] = (char)(hex_value(p[1]) * 16 + hex_value(p[2]));
		return 3;
	}
	if (*p != '\\' || left < 2)
		return 0;
	if (p[1] == '"' || p[1] == '\\' || p[1] == '/') {
		out[0] = p[1];
		return 2;
	}
	return p[1] == 'u' ? decode_json(p, left, out, n_out) : 0;
}

/* How many bytes of the text from `at` on stand for the secret; 0: they do not. Where an escape would do as well as its
 * first character itself ("%25" for a "%"), it is the escape. */
static size_t encoded_match(struct str text, size_t at, struct str secret)
{
	const char *p = text.p + at, *end = text.p + text.n;
	for (size_t i = 0; i < secret.n;) {
		char c[4];
		size_t n_c, n = p < end ? decode(p, end, c, &n_c) : 0;
		if (n > 0 && n_c <= secret.n - i && memcmp(c, secret.p + i, n_c) == 0) {
			p += n;
			i += n_c;
		} else if (p < end && *p == secret.p[i]) {
			p++;
			i++;
		} else {
			return 0;
		}
	}
	return (size_t)(p - (text.p + at));
}

/* The escapes of a text one after the other, each kind found at the speed of memchr(). */
struct escapes {
	struct str text;
	size_t next[3]; /* SIZE_MAX: none is left */
};

static const char escape_chars[3] = { '%', '\\', '+' };

static size_t escape_next(struct escapes *s, size_t from)
{
	size_t best = SIZE_MAX;
	for (size_t k = 0; k < 3; k++) {
		if (s->next[k] < from) {
			const char *hit = from < s->text.n ? memchr(s->text.p + from, escape_chars[k], s->text.n - from) : NULL;
			s->next[k] = hit ? (size_t)(hit - s->text.p) : SIZE_MAX;
		}
		best = s->next[k] < best ? s->next[k] : best;
	}
	return best;
}

static bool holds_byte(const struct needle *one, char c)
{
	unsigned char b = (unsigned char)c;
	return one->bytes[b / 64] >> (b % 64) & 1;
}

/* Where the secret is encoded, some escape stands for a byte of it, and what stands before that one is as in the secret:
 * so only the places just before such escapes are looked at. Without escapes the plain needle finds it all. */
static void encoded_next(struct needle *one, struct str text, size_t from)
{
	struct escapes escapes = { .text = text };
	size_t tried = from; /* nothing begins before it */
	one->at = SIZE_MAX;
	for (size_t k = 0; k < 3; k++) {
		bool wanted = escape_chars[k] != '+' || holds_byte(one, ' ');
		const char *hit = wanted ? memchr(text.p + from, escape_chars[k], text.n - from) : NULL;
		escapes.next[k] = hit ? (size_t)(hit - text.p) : SIZE_MAX;
	}
	for (size_t p = escape_next(&escapes, from); p != SIZE_MAX; p = escape_next(&escapes, p + 1)) {
		char c[4];
		size_t n_c;
		if (!decode(text.p + p, text.p + text.n, c, &n_c) || !holds_byte(one, c[0]))
			continue;
		size_t i = p + 1 > one->text.n && p + 1 - one->text.n > tried ? p + 1 - one->text.n : tried;
		for (; i <= p; i++) {
			bool maybe = i == p || text.p[i] == one->text.p[0];
			size_t n = maybe ? encoded_match(text, i, one->text) : 0;
			if (n) {
				one->at = i;
				one->n = n;
				return;
			}
		}
		tried = p + 1;
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
		struct needle encoded = { .which = i, .form = SECRET_ENCODED, .text = secret };
		for (size_t k = 0; k < secret.n; k++)
			encoded.bytes[(unsigned char)secret.p[k] / 64] |= UINT64_C(1) << ((unsigned char)secret.p[k] % 64);
		s->v[s->n++] = encoded;
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
