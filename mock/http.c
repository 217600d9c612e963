#include "mock/http.h"

#include "base/calendar.h"

#include <string.h>

/* ── requests ── */

static bool cut_line(struct str in, size_t *at, struct str *line)
{
	const char *end = *at < in.n ? memchr(in.p + *at, '\n', in.n - *at) : NULL;
	if (!end)
		return false;
	*line = str_sub(in, *at, (size_t)(end - in.p) - *at);
	*at = (size_t)(end - in.p) + 1;
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

static int read_request_line(struct str line, struct http_request *r)
{
	struct str rest = line, version;
	if (!str_cut(&rest, ' ', &r->method) || !str_cut(&rest, ' ', &r->target) || r->method.n == 0)
		return 400;
	version = rest;
	if (!str_starts(version, STR("HTTP/")))
		return 400;
	if (!str_eq_z(version, "HTTP/1.1") && !str_eq_z(version, "HTTP/1.0"))
		return 505;
	r->keep_alive = str_eq_z(version, "HTTP/1.1");
	if (str_starts(r->target, STR("http://"))) { /* absolute form: what proxies get */
		struct str after = str_sub(r->target, 7, r->target.n);
		r->target = str_sub(after, str_find_char(after, '/'), after.n);
	}
	if (r->target.n == 0 || r->target.p[0] != '/')
		return 400;
	size_t mark = str_find_char(r->target, '?');
	r->path = str_sub(r->target, 0, mark);
	r->query = str_sub(r->target, mark + 1, r->target.n);
	return HTTP_READY;
}

static int read_body(struct str in, struct http_request *r, size_t *used)
{
	uint64_t length = 0;
	for (size_t i = 0; i < r->n_headers; i++) {
		if (str_eq_nocase(r->headers[i].name, STR("transfer-encoding")))
			return 501;
		if (str_eq_nocase(r->headers[i].name, STR("content-length")) &&
		    !str_to_u64(r->headers[i].value, &length))
			return 400;
	}
	if (length > HTTP_BODY_MAX)
		return 413;
	if (in.n - *used < length)
		return HTTP_MORE;
	r->body = str_sub(in, *used, (size_t)length);
	*used += (size_t)length;
	return HTTP_READY;
}

int http_read(struct str in, struct http_request *r, size_t *used)
{
	struct str line;
	size_t at = 0;
	r->n_headers = r->n_params = 0;
	do { /* RFC 9112 2.2: an empty line in front is ignored */
		if (!cut_line(in, &at, &line))
			return in.n > HTTP_HEAD_MAX ? 431 : HTTP_MORE;
	} while (line.n == 0);
	int status = read_request_line(line, r);
	while (status == HTTP_READY) {
		if (!cut_line(in, &at, &line))
			return in.n > HTTP_HEAD_MAX ? 431 : HTTP_MORE;
		if (line.n == 0)
			break;
		size_t colon = str_find_char(line, ':');
		if (colon == 0 || colon == line.n)
			return 400;
		if (r->n_headers == HTTP_HEADERS_MAX)
			return 431;
		r->headers[r->n_headers++] = (struct http_field){
			.name = str_sub(line, 0, colon),
			.value = str_trim(str_sub(line, colon + 1, line.n)),
		};
	}
	if (status != HTTP_READY)
		return status;
	if (str_eq_nocase(http_header(r, "Connection"), STR("close")))
		r->keep_alive = false;
	*used = at;
	return read_body(in, r, used);
}

struct str http_header(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_from(name)))
			return r->headers[i].value;
	return STR_NONE;
}

bool http_accepts_gzip(const struct http_request *r)
{
	struct str rest = http_header(r, "Accept-Encoding"), part;
	while (str_cut(&rest, ',', &part)) {
		struct str coding;
		if (!str_cut(&part, ';', &coding) || !str_eq_nocase(str_trim(coding), STR("gzip")))
			continue;
		struct str weight = str_trim(part); /* q=0, q=0.0 ... : not acceptable */
		while (weight.n && (weight.p[weight.n - 1] == '0' || weight.p[weight.n - 1] == '.'))
			weight.n--;
		return !str_eq_nocase(weight, STR("q="));
	}
	return false;
}

/* ── URL text ── */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(struct str s, struct arena *a, struct str *out)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
			continue;
		}
		int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
		int low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return false;
		p[n++] = (char)(high * 16 + low);
		i += 2;
	}
	*out = (struct str){ p, n };
	return true;
}

bool http_params(struct http_request *r, struct arena *a)
{
	struct str rest = r->query, part;
	r->n_params = 0;
	while (str_cut(&rest, '&', &part)) {
		if (part.n == 0)
			continue;
		if (r->n_params == HTTP_PARAMS_MAX)
			return false;
		struct http_field *f = &r->params[r->n_params++];
		size_t equals = str_find_char(part, '=');
		if (!decode(str_sub(part, 0, equals), a, &f->name) ||
		    !decode(str_sub(part, equals + 1, part.n), a, &f->value))
			return false;
	}
	return true;
}

const struct http_field *http_param(const struct http_request *r, struct str name)
{
	for (size_t i = 0; name.n && i < r->n_params; i++)
		if (str_eq(r->params[i].name, name))
			return &r->params[i];
	return NULL;
}

void http_encode(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				  c == '-' || c == '.' || c == '_' || c == '~';
		if (unreserved)
			buf_add_char(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

/* ── other forms ── */

const char *http_reason(int status)
{
	static const struct { int status; const char *reason; } REASONS[] = {
		{ 200, "OK" }, { 204, "No Content" }, { 206, "Partial Content" }, { 302, "Found" },
		{ 304, "Not Modified" }, { 307, "Temporary Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 410, "Gone" }, { 413, "Content Too Large" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};
	for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++)
		if (REASONS[i].status == status)
			return REASONS[i].reason;
	return "Status";
}

struct str http_date(int64_t wall_us, struct arena *a)
{
	static const char DAYS[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
	static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c = civil_from_us(wall_us);
	size_t weekday = (size_t)(days_from_civil(c.year, c.month, c.day) % 7);
	return arena_format(a, "%.3s, %02u %.3s %04d %02u:%02u:%02u GMT", DAYS + 3 * weekday, c.day,
			    MONTHS + 3 * (c.month - 1), c.year, c.hour, c.minute, c.second);
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i += 3) {
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < bytes.n ? (unsigned char)bytes.p[i + k] : 0u);
		for (size_t k = 0; k < 4; k++)
			buf_add_char(out, i + k > bytes.n ? '=' : BASE64[v >> (18 - 6 * k) & 63]);
	}
}

bool base64_decode(struct str text, struct arena *a, struct str *out)
{
	char *p = arena_alloc(a, text.n + 1);
	size_t n = 0;
	uint32_t v = 0;
	unsigned bits = 0;
	if (text.n % 4 != 0)
		return false;
	while (text.n && text.p[text.n - 1] == '=')
		text.n--;
	for (size_t i = 0; i < text.n; i++) {
		const char *at = text.p[i] ? strchr(BASE64, text.p[i]) : NULL;
		if (!at)
			return false;
		v = v << 6 | (uint32_t)(at - BASE64);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			p[n++] = (char)(v >> bits & 0xff);
		}
	}
	*out = (struct str){ p, n };
	return true;
}
