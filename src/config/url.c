/* RFC 3986, as strict as safety wants and as lenient as APIs need: bytes that may not stand in a path or query are
 * percent-encoded (next URLs with blanks or umlauts exist), but nothing is guessed about the authority, because
 * credentials are bound to it. No message shows a URL: it may hold a secret. */
#include "base/check.h"
#include "config/pipeline.h"

#include <arpa/inet.h>
#include <string.h>

enum { URL_MAX_BYTES = 64 << 10, HOST_MAX_BYTES = 253 };

static bool url_fail(struct err *e, const char *what)
{
	err_set(e, ERR_ORIGIN, "URL: %s", what);
	return err_hint(e, "a URL looks like https://api.example.com/v1?page=2 (http or https, no user name in it)");
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_unreserved(char c)
{
	return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* The scheme's length when the text starts with one (scheme = ALPHA *( ALPHA / DIGIT / "+-." ) ":"), else 0. */
static size_t scheme_length(struct str s)
{
	if (!s.n || !is_alpha(s.p[0]))
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == ':')
			return i;
		if (!is_alpha(s.p[i]) && !is_digit(s.p[i]) && !strchr("+-.", s.p[i]))
			return 0;
	}
	return 0;
}

static bool text_ok(struct str s, struct err *e)
{
	if (s.n > URL_MAX_BYTES)
		return url_fail(e, "longer than 64 KiB");
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return url_fail(e, "holds a control character");
	return true;
}

/* ── authority ── */

/* "127.1", "0x7f000001", "2130706433" and "0177.0.0.1" are addresses to the resolver: only the plain form passes. */
static bool host_name_ok(struct str host, struct arena *a, struct err *e)
{
	if (!host.n || host.n > HOST_MAX_BYTES)
		return url_fail(e, host.n ? "the host is longer than 253 bytes" : "no host");
	for (size_t i = 0; i < host.n; i++)
		if (!is_alpha(host.p[i]) && !is_digit(host.p[i]) && !strchr("-._", host.p[i]))
			return url_fail(e, "the host holds a character that host names do not have");
	if (host.p[0] == '.' || str_contains(host, STR("..")))
		return url_fail(e, "the host has an empty label");
	struct str last = str_ends(host, STR(".")) ? str_sub(host, 0, host.n - 1) : host;
	size_t dot = last.n;
	while (dot > 0 && last.p[dot - 1] != '.')
		dot--;
	struct str label = str_sub(last, dot, last.n);
	bool number = label.n > 0;
	for (size_t i = 0; i < label.n; i++)
		number = number && is_digit(label.p[i]);
	if (label.n >= 2 && label.p[0] == '0' && lower(label.p[1]) == 'x')
		number = true;
	struct in_addr address;
	if (number && inet_pton(AF_INET, arena_zero_terminated(a, host), &address) != 1)
		return url_fail(e, "the host is a number but no plain IPv4 address (four decimal parts)");
	return true;
}

static bool host_parse(struct str text, struct arena *a, struct str *rest, struct origin *out, struct err *e)
{
	if (str_starts(text, STR("["))) {
		size_t end = str_find_char(text, ']');
		struct in6_addr address;
		char canonical[INET6_ADDRSTRLEN];
		if (end == text.n ||
		    inet_pton(AF_INET6, arena_zero_terminated(a, str_sub(text, 1, end - 1)), &address) != 1)
			return url_fail(e, "no IPv6 address in the brackets");
		CHECK(inet_ntop(AF_INET6, &address, canonical, sizeof canonical));
		out->host = arena_copy(a, str_from(canonical));
		*rest = str_sub(text, end + 1, text.n);
		return !rest->n || rest->p[0] == ':' || url_fail(e, "text behind the bracket of the host");
	}
	size_t colon = str_find_char(text, ':');
	struct str host = str_sub(text, 0, colon);
	*rest = str_sub(text, colon, text.n);
	if (!host_name_ok(host, a, e))
		return false;
	char *p = arena_alloc(a, host.n + 1);
	for (size_t i = 0; i < host.n; i++)
		p[i] = lower(host.p[i]);
	out->host = (struct str){ p, host.n };
	return true;
}

static bool authority_parse(struct str text, struct arena *a, struct origin *out, struct err *e)
{
	if (str_contains(text, STR("@")))
		return url_fail(e, "a user name or password stands in front of the host");
	struct str rest;
	uint64_t port = str_eq_z(out->scheme, "https") ? 443 : 80;
	if (!host_parse(text, a, &rest, out, e))
		return false;
	if (rest.n > 1 && (!str_to_u64(str_sub(rest, 1, rest.n), &port) || port < 1 || port > 65535))
		return url_fail(e, "the port is no number from 1 to 65535");
	out->port = (uint16_t)port;
	return true;
}

/* ── path and query ── */

static struct str part_encode(struct str s, bool query, struct arena *a)
{
	static const char digits[] = "0123456789ABCDEF";
	char *p = arena_alloc(a, mem_size(s.n, 3) + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool keep = is_unreserved(c) || (c && strchr("!$&'()*+,;=:@/%", c)) || (query && c == '?');
		if (keep) {
			p[n++] = c;
		} else {
			p[n++] = '%';
			p[n++] = digits[(unsigned char)c >> 4];
			p[n++] = digits[(unsigned char)c & 15];
		}
	}
	return (struct str){ p, n };
}

/* Section 5.2.4. The input starts with '/', so only its cases A (not), B to E remain. */
static struct str dots_remove(struct str in, struct arena *a)
{
	char *out = arena_alloc(a, in.n + 1);
	size_t n = 0;
	while (in.n) {
		size_t end = 1;
		while (end < in.n && in.p[end] != '/')
			end++;
		struct str segment = str_sub(in, 0, end);
		bool last = end == in.n;
		in = str_sub(in, end, in.n);
		if (str_eq_z(segment, "/..")) {
			while (n > 0 && out[--n] != '/')
				;
		}
		if (str_eq_z(segment, "/..") || str_eq_z(segment, "/.")) {
			if (last)
				out[n++] = '/';
			continue;
		}
		memcpy(out + n, segment.p, segment.n);
		n += segment.n;
	}
	return (struct str){ out, n };
}

static void tail_split(struct str tail, struct str *path, struct str *query, bool *has_query)
{
	tail = str_sub(tail, 0, str_find_char(tail, '#'));
	size_t mark = str_find_char(tail, '?');
	*path = str_sub(tail, 0, mark);
	*has_query = mark < tail.n;
	*query = *has_query ? str_sub(tail, mark + 1, tail.n) : STR_NONE;
}

static void tail_set(struct url *out, struct str path, struct str query, struct arena *a)
{
	path = part_encode(path, false, a);
	out->path = path.n ? dots_remove(path, a) : STR("/");
	out->query = part_encode(query, true, a);
}

/* Behind the scheme and its colon: "//authority/path?query". */
static bool hier_parse(struct str scheme, struct str text, struct arena *a, struct url *out, struct err *e)
{
	struct url u = { .origin.scheme = scheme };
	if (!str_starts(text, STR("//")))
		return url_fail(e, "no // in front of the host");
	text = str_sub(text, 2, text.n);
	size_t end = 0;
	while (end < text.n && !strchr("/?#\\", text.p[end]))
		end++;
	/* Browsers read '\' as '/': such a host is never what both sides think it is. */
	if (end < text.n && text.p[end] == '\\')
		return url_fail(e, "a backslash stands in the host");
	if (!authority_parse(str_sub(text, 0, end), a, &u.origin, e))
		return false;
	struct str path, query;
	bool has_query;
	tail_split(str_sub(text, end, text.n), &path, &query, &has_query);
	tail_set(&u, path, query, a);
	*out = u;
	return true;
}

bool url_parse(struct str text, struct arena *a, struct url *out, struct err *e)
{
	if (!text_ok(text, e))
		return false;
	size_t n = scheme_length(text);
	struct str scheme = str_sub(text, 0, n);
	if (!n)
		return url_fail(e, "no scheme in front (https://)");
	if (str_eq_nocase(scheme, STR("https")))
		scheme = STR("https");
	else if (str_eq_nocase(scheme, STR("http")))
		scheme = STR("http");
	else
		return url_fail(e, "the scheme is neither http nor https");
	return hier_parse(scheme, str_sub(text, n + 1, text.n), a, out, e);
}

bool url_resolve(const struct url *base, struct str reference, struct arena *a, struct url *out, struct err *e)
{
	if (!text_ok(reference, e))
		return false;
	reference = str_trim(reference);
	if (scheme_length(reference))
		return url_parse(reference, a, out, e);
	if (str_starts(reference, STR("//")))
		return hier_parse(base->origin.scheme, reference, a, out, e);
	/* "\\host" and "/\host" are network paths to some clients, paths to us: refused rather than argued about. */
	if (reference.n && (reference.p[0] == '\\' || str_starts(reference, STR("/\\"))))
		return url_fail(e, "starts with a backslash");
	struct str path, query;
	bool has_query;
	tail_split(reference, &path, &query, &has_query);
	struct url u = { .origin = base->origin };
	if (!path.n) {
		u.path = base->path;
		u.query = has_query ? part_encode(query, true, a) : base->query;
		*out = u;
		return true;
	}
	if (path.p[0] != '/') {
		size_t slash = base->path.n;
		while (slash > 0 && base->path.p[slash - 1] != '/')
			slash--;
		struct str folder = slash ? str_sub(base->path, 0, slash) : STR("/");
		path = arena_format(a, "%.*s%.*s", STR_ARG(folder), STR_ARG(path));
	}
	tail_set(&u, path, query, a);
	*out = u;
	return true;
}

bool origin_eq(const struct origin *a, const struct origin *b)
{
	return str_eq(a->scheme, b->scheme) && str_eq(a->host, b->host) && a->port == b->port;
}

struct str origin_text(const struct origin *o, struct arena *a)
{
	bool v6 = str_contains(o->host, STR(":"));
	unsigned usual = str_eq_z(o->scheme, "https") ? 443 : 80;
	struct str text = arena_format(a, "%.*s://%s%.*s%s", STR_ARG(o->scheme), v6 ? "[" : "", STR_ARG(o->host),
				       v6 ? "]" : "");
	if (o->port != usual)
		text = arena_format(a, "%.*s:%u", STR_ARG(text), (unsigned)o->port);
	return text;
}

/* Only literals: a name that resolves to such an address says nothing about what its owner wants. */
bool host_is_private(struct str host)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct in_addr v4;
	struct in6_addr v6;
	if (str_eq_z(host, "localhost"))
		return true;
	if (!host.n || host.n >= sizeof text)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = 0;
	uint32_t address = 0;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		address = ntohl(v4.s_addr);
	} else if (inet_pton(AF_INET6, text, &v6) == 1) {
		if (IN6_IS_ADDR_LOOPBACK(&v6) || (v6.s6_addr[0] & 0xfe) == 0xfc)
			return true;
		if (!IN6_IS_ADDR_V4MAPPED(&v6))
			return false;
		memcpy(&address, v6.s6_addr + 12, 4);
		address = ntohl(address);
	} else {
		return false;
	}
	return address >> 24 == 127 || address >> 24 == 10 || address >> 20 == 0xac1 || address >> 16 == 0xc0a8;
}

bool host_is_loopback(struct str host)
{
	return host_is_private(host) && (str_eq_z(host, "localhost") || str_eq_z(host, "::1") ||
					 str_starts(host, STR("127.")) || str_starts(host, STR("::ffff:127.")));
}

bool url_encode(struct buf *out, struct str text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t wanted = 0;
	for (size_t i = 0; i < text.n; i++)
		wanted += is_unreserved(text.p[i]) ? 1 : 3;
	char *p = buf_room(out, wanted);
	if (!p)
		return false;
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (is_unreserved((char)c)) {
			p[n++] = (char)c;
		} else {
			p[n++] = '%';
			p[n++] = digits[c >> 4];
			p[n++] = digits[c & 15];
		}
	}
	out->n += n;
	p[n] = 0;
	return true;
}
