/* Escaped texts into plain ones. */
#include "base/json.h"

#include "base/json_lex.h"
#include "base/json_text.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at p, -1 if they are none. */
static int32_t hex_unit(const char *p, const char *end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* p: after "\u" */
static const char *text_unit(const char *p, const char *end, char *out, size_t *n)
{
	int32_t high = hex_unit(p, end), low;

	if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
		return NULL;
	p += 4;
	if (high < 0xd800 || high > 0xdbff) {
		*n = put_utf8(out, (uint32_t)high);
		return p;
	}
	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return NULL;
	low = hex_unit(p + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return NULL;
	*n = put_utf8(out, 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
	return p + 6;
}

const char *json_text_escape(const char *p, const char *end, char out[4], size_t *n)
{
	*n = 1;
	if (++p == end)
		return NULL;
	switch (*p++) {
	case '"':
		*out = '"';
		return p;
	case '\\':
		*out = '\\';
		return p;
	case '/':
		*out = '/';
		return p;
	case 'b':
		*out = '\b';
		return p;
	case 'f':
		*out = '\f';
		return p;
	case 'n':
		*out = '\n';
		return p;
	case 'r':
		*out = '\r';
		return p;
	case 't':
		*out = '\t';
		return p;
	case 'u':
		return text_unit(p, end, out, n);
	default:
		return NULL;
	}
}

bool json_unescape_to(struct str inside, char *out, size_t *n_out)
{
	const char *p = inside.p, *end;
	char *to = out;

	*n_out = 0;
	if (!inside.n)
		return true;
	end = p + inside.n;
	while (p < end) {
		const char *stop = memchr(p, '\\', (size_t)(end - p));
		size_t run = (size_t)((stop ? stop : end) - p), n;

		memcpy(to, p, run);
		to += run;
		p += run;
		if (stop) {
			p = json_text_escape(stop, end, to, &n);
			if (!p)
				return false;
			to += n;
		}
	}
	*n_out = (size_t)(to - out);
	return true;
}

bool json_unescape(struct str inside, struct arena *a, struct str *out)
{
	char *to = arena_alloc(a, inside.n + 1); /* never longer than before: 6 bytes give up to 3, 12 give 4 */
	size_t n;

	if (!json_unescape_to(inside, to, &n))
		return false;
	*out = (struct str){ to, n };
	return true;
}
