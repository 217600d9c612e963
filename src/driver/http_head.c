#include "driver/http_head.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* RFC 9110, 5.6.2 */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!plain && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0;
}

/* RFC 9110, 5.5: no control characters but the tab. */
static bool is_field_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool http_status_line(struct str line, unsigned *status)
{
	if (line.n < 12 || !str_starts(line, STR("HTTP/1.")) || !is_digit(line.p[7]) || line.p[8] != ' ')
		return false;
	unsigned v = 0;
	for (size_t i = 9; i < 12; i++) {
		if (!is_digit(line.p[i]))
			return false;
		v = v * 10 + (unsigned)(line.p[i] - '0');
	}
	if (v < 100 || (line.n > 12 && line.p[12] != ' ' && line.p[12] != '\r' && line.p[12] != '\n'))
		return false;
	*status = v;
	return true;
}

/* Whole or not at all: what is cut could be a part of a secret, which nobody would find there any more. */
const char *http_value_shown(struct str value, char out[HTTP_SHOWN_BYTES])
{
	bool plain = value.n <= 40;
	for (size_t i = 0; i < value.n && plain; i++)
		plain = value.p[i] >= 0x20 && value.p[i] < 0x7f;
	int n = plain ? snprintf(out, HTTP_SHOWN_BYTES, "'%.*s'", STR_ARG(value))
		      : snprintf(out, HTTP_SHOWN_BYTES, "a value of %zu bytes", value.n);
	CHECK(n > 0 && n < HTTP_SHOWN_BYTES);
	return out;
}

static struct str trim_blanks(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool header_line(struct str line, size_t number, struct http_header *out, struct err *e)
{
	char shown[HTTP_SHOWN_BYTES];
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return err_set(e, ERR_HTTP_MALFORMED, "header line %zu is folded", number);
	size_t colon = str_find_char(line, ':');
	if (colon == line.n)
		return err_set(e, ERR_HTTP_MALFORMED, "header line %zu has no colon", number);
	out->name = str_sub(line, 0, colon);
	out->value = trim_blanks(str_sub(line, colon + 1, SIZE_MAX));
	if (!is_token(out->name))
		return err_set(e, ERR_HTTP_MALFORMED, "header line %zu: its name is not a token", number);
	if (!is_field_value(out->value))
		return err_set(e, ERR_HTTP_MALFORMED, "header line %zu (%s) holds a control character", number,
			       http_value_shown(out->name, shown));
	return true;
}

bool http_head_parse(struct http_exchange *x, struct err *e)
{
	struct str rest = x->head, line;
	struct {
		struct http_header *v;
		size_t n, cap;
	} list = { 0 };
	for (size_t number = 0; rest.n && str_cut(&rest, '\n', &line); number++) {
		struct http_header header;
		/* RFC 9112, 2.2 lets a recipient take a bare LF; the head is kept as it came, and others would not. */
		if (line.p + line.n == x->head.p + x->head.n || !str_ends(line, STR("\r"))) {
			char where[40] = "the status line";
			if (number > 0)
				CHECK(snprintf(where, sizeof where, "header line %zu", number) < (int)sizeof where);
			return err_set(e, ERR_HTTP_MALFORMED, "%s ends without CR LF", where);
		}
		line.n--;
		if (number == 0) {
			if (!http_status_line(line, &x->status) || !is_field_value(line))
				return err_set(e, ERR_HTTP_MALFORMED, "the answer does not begin with a status line of "
					       "HTTP/1.1");
			continue;
		}
		if (line.n == 0)
			return err_set(e, ERR_HTTP_MALFORMED, "header line %zu is empty", number);
		if (!header_line(line, number, &header, e))
			return false;
		*arena_push(&x->arena, list) = header;
	}
	if (x->head.n == 0)
		return err_set(e, ERR_HTTP_MALFORMED, "the answer has no head");
	x->headers = list.v;
	x->n_headers = list.n;
	return true;
}

/* "5" or "5, 5" (RFC 9110, 8.6: equal repetitions may be taken as one). */
static bool length_of(struct str value, struct http_framing *f, struct err *e)
{
	struct str rest = value, part;
	char shown[HTTP_SHOWN_BYTES];
	if (value.n == 0)
		return err_set(e, ERR_HTTP_MALFORMED, "Content-Length is empty");
	while (str_cut(&rest, ',', &part)) {
		uint64_t length;
		part = trim_blanks(part);
		if (!str_to_u64(part, &length) || length > INT64_MAX)
			return err_set(e, ERR_HTTP_MALFORMED, "Content-Length is not a length: %s",
				       http_value_shown(value, shown));
		if (f->has_length && f->length != length)
			return err_set(e, ERR_HTTP_MALFORMED,
				       "two Content-Lengths that differ: %" PRIu64 " and %" PRIu64, f->length, length);
		f->has_length = true;
		f->length = length;
	}
	return true;
}

bool http_framing(const struct http_exchange *x, struct str method, struct http_framing *out, struct err *e)
{
	struct http_framing f = { 0 };
	char shown[HTTP_SHOWN_BYTES];
	for (size_t i = 0; i < x->n_headers; i++) {
		struct http_header h = x->headers[i];
		if (str_eq_nocase(h.name, STR("Content-Length"))) {
			if (!length_of(h.value, &f, e))
				return false;
		} else if (str_eq_nocase(h.name, STR("Transfer-Encoding"))) {
			if (f.chunked || !str_eq_nocase(h.value, STR("chunked")))
				return err_set(e, ERR_HTTP_MALFORMED, "Transfer-Encoding is not one 'chunked': %s",
					       http_value_shown(h.value, shown));
			f.chunked = true;
		}
	}
	if (f.chunked && f.has_length)
		return err_set(e, ERR_HTTP_MALFORMED, "both Content-Length and Transfer-Encoding");
	if (f.chunked && str_starts(x->head, STR("HTTP/1.0")))
		return err_set(e, ERR_HTTP_MALFORMED, "Transfer-Encoding in an answer of HTTP/1.0");
	f.no_body = str_eq_z(method, "HEAD") || x->status == 204 || x->status == 304;
	*out = f;
	return true;
}

bool http_request_check(const struct http_request *r, struct err *e)
{
	static const char *const ours[] = { "Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade",
					    "TE", "Trailer" };
	if (!is_token(r->method))
		return err_set(e, ERR_CONFIG, "an HTTP method is one word, '%.*s' is not", STR_ARG(r->method));
	for (size_t i = 0; i < r->url.n; i++) {
		unsigned char c = (unsigned char)r->url.p[i];
		if (c <= 0x20 || c >= 0x7f)
			return err_set(e, ERR_CONFIG, "a URL holds byte 0x%02x at offset %zu: it must be "
				       "percent-encoded", c, i);
	}
	for (size_t i = 0; i < r->n_headers; i++) {
		struct http_header h = r->headers[i];
		if (!is_token(h.name))
			return err_set(e, ERR_CONFIG, "request header %zu: its name is not a token", i + 1);
		if (!is_field_value(h.value))
			return err_set(e, ERR_CONFIG, "request header %.*s: a control character in its value",
				       STR_ARG(h.name));
		for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
			if (str_eq_nocase(h.name, str_from(ours[k])))
				return err_set(e, ERR_CONFIG, "request header %s is set by the transport", ours[k]);
	}
	return true;
}
