/* The steps are those of AWS's description: canonical request, string to sign, derived key, signature. */
#include "driver/aws_sign.h"

#include "base/calendar.h"
#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { DAY_BYTES = 8, STAMP_BYTES = 16, HMAC_BLOCK = 64, CREDENTIAL_MAX_BYTES = 16384, OWN_HEADERS = 4, OWN_QUERY = 6 };

/* ── encoding ── */

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

struct str aws_encode(struct str bytes, bool keep_slash, struct arena *a)
{
	static const char digits[] = "0123456789ABCDEF";
	char *p = arena_alloc(a, mem_size(bytes.n, 3) + 1);
	size_t n = 0;
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		if (is_unreserved((char)c) || (keep_slash && c == '/')) {
			p[n++] = (char)c;
			continue;
		}
		p[n++] = '%';
		p[n++] = digits[c >> 4];
		p[n++] = digits[c & 15];
	}
	p[n] = 0;
	return (struct str){ p, n };
}

/* RFC 3986 5.2.4 as the services do it: empty parts go as well, and ".." at the top leads nowhere. */
static struct str path_normalise(struct str path, struct arena *a)
{
	char *p = arena_alloc(a, path.n + 2);
	size_t n = 0;
	struct str rest = str_sub(path, 1, path.n), part;
	while (str_cut(&rest, '/', &part)) {
		if (!part.n || str_eq_z(part, "."))
			continue;
		if (str_eq_z(part, "..")) {
			while (n > 0 && p[--n] != '/')
				;
			continue;
		}
		p[n++] = '/';
		memcpy(p + n, part.p, part.n);
		n += part.n;
	}
	if (n == 0 || path.p[path.n - 1] == '/')
		p[n++] = '/';
	return (struct str){ p, n };
}

struct pair {
	struct str name, value;
};

static int pair_compare(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	int order = str_cmp(a->name, b->name);
	return order ? order : str_cmp(a->value, b->value);
}

static struct str query_join(struct pair *pairs, size_t n, struct arena *a)
{
	size_t bytes = 1;
	if (n > 1)
		qsort(pairs, n, sizeof *pairs, pair_compare);
	for (size_t i = 0; i < n; i++)
		bytes += pairs[i].name.n + pairs[i].value.n + 2;
	char *p = arena_alloc(a, bytes), *at = p;
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			*at++ = '&';
		bytes_copy(at, pairs[i].name.p, pairs[i].name.n);
		at += pairs[i].name.n;
		*at++ = '=';
		bytes_copy(at, pairs[i].value.p, pairs[i].value.n);
		at += pairs[i].value.n;
	}
	return (struct str){ p, (size_t)(at - p) };
}

/* ── HMAC (RFC 2104) ── */

static struct sha256 hmac(struct str key, struct str message)
{
	unsigned char block[HMAC_BLOCK] = { 0 };
	struct sha256 short_key;
	struct sha256_state s;
	if (key.n > HMAC_BLOCK) {
		short_key = sha256_of(key);
		memcpy(block, short_key.b, sizeof short_key.b);
		explicit_bzero(&short_key, sizeof short_key);
	} else {
		bytes_copy((char *)block, key.p, key.n);
	}
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] ^= 0x36;
	sha256_begin(&s);
	sha256_add(&s, block, HMAC_BLOCK);
	sha256_add_str(&s, message);
	struct sha256 inner = sha256_end(&s);
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	sha256_begin(&s);
	sha256_add(&s, block, HMAC_BLOCK);
	sha256_add(&s, inner.b, sizeof inner.b);
	struct sha256 out = sha256_end(&s);
	explicit_bzero(block, sizeof block);
	explicit_bzero(&inner, sizeof inner);
	explicit_bzero(&s, sizeof s);
	return out;
}

static struct str view(const struct sha256 *h)
{
	return (struct str){ (const char *)h->b, sizeof h->b };
}

static struct sha256 key_derive(struct str secret, struct str day, struct str region, struct str service)
{
	struct buf first = BUF_INIT(CREDENTIAL_MAX_BYTES + 8);
	CHECK(buf_add_z(&first, "AWS4") && buf_add(&first, secret));
	struct sha256 key = hmac(buf_str(&first), day);
	explicit_bzero(first.p, first.cap);
	buf_free(&first);
	key = hmac(view(&key), region);
	key = hmac(view(&key), service);
	return hmac(view(&key), STR("aws4_request"));
}

/* ── what is asked ── */

/* Changed on the way by proxies or by the transport: as botocore, we leave them out. */
static bool header_is_unsigned(struct str name)
{
	static const char *const list[] = { "baggage", "connection", "expect", "keep-alive", "proxy-authenticate",
					    "proxy-authorization", "te", "traceparent", "tracestate", "trailer",
					    "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id" };
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_eq_nocase(name, str_from(list[i])))
			return true;
	return false;
}

static bool header_is_ours(struct str name, bool s3)
{
	return str_eq_nocase(name, STR("host")) || str_eq_nocase(name, STR("authorization")) ||
	       str_eq_nocase(name, STR("x-amz-date")) || str_eq_nocase(name, STR("x-amz-security-token")) ||
	       (s3 && str_eq_nocase(name, STR("x-amz-content-sha256")));
}

static bool is_token(struct str s, const char *more)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] && strchr(more, s.p[i])))
			return false;
	return s.n > 0;
}

static bool has_control(struct str s, bool tab_is_fine)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && !(tab_is_fine && s.p[i] == '\t')) || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool request_check(const struct aws_request *r, bool s3, struct err *e)
{
	CHECK(r->n_headers <= AWS_HEADERS_MAX && r->n_query <= AWS_QUERY_MAX);
	CHECK(r->path.n > 0 && r->path.p[0] == '/');
	CHECK(r->payload_sha256.n > 0 && r->now_us >= 0);
	if (!is_token(r->method, "") || (!str_eq_z(r->scheme, "https") && !str_eq_z(r->scheme, "http")))
		return err_set(e, ERR_BUG, "signing: no method, or a scheme other than https and http");
	if (!is_token(r->host, ".-_:[]"))
		return err_set(e, ERR_CONFIG, "a host name with a character that host names do not have");
	if (!is_token(r->region, "-_") || !is_token(r->service, "-"))
		return err_set(e, ERR_CONFIG, "an AWS region or service with a character that these do not have");
	for (size_t i = 0; i < r->n_headers; i++) {
		const struct http_header *h = &r->headers[i];
		if (!is_token(h->name, "!#$%&'*+-.^_`|~") || has_control(h->value, true))
			return err_set(e, ERR_CONFIG, "a header that cannot be sent (number %zu)", i + 1);
		if (header_is_ours(h->name, s3))
			return err_set(e, ERR_BUG, "signing: the header %.*s is the signer's own", STR_ARG(h->name));
	}
	return true;
}

static bool credentials_check(const struct aws_credentials *c, struct err *e)
{
	if (!is_token(c->access_key, "-_./=+") || !c->secret_key.n || c->secret_key.n > CREDENTIAL_MAX_BYTES ||
	    has_control(c->secret_key, false) || has_control(c->session_token, false) ||
	    c->session_token.n > CREDENTIAL_MAX_BYTES)
		return err_set(e, ERR_CREDENTIALS, "AWS credentials are empty, too long, or hold a character that none have");
	return true;
}

/* ── signing ── */

struct signing {
	const struct aws_request *r;
	const struct aws_credentials *c;
	struct arena *a;
	bool s3;
	struct str host;  /* lower case, without the scheme's own port */
	struct str path;  /* encoded, as sent */
	struct str stamp; /* 20261122T231000Z */
	struct str scope; /* 20261122/eu-central-1/s3/aws4_request */
	struct pair *query; /* encoded, with room for our own */
	size_t n_query;
	struct pair headers[AWS_HEADERS_MAX + OWN_HEADERS + 1]; /* to be signed: lower case, trimmed, sorted */
	size_t n_headers;
	struct str signed_headers; /* "host;x-amz-date" */
};

static struct str lower_case(struct str s, struct arena *a)
{
	char *p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
	return (struct str){ p, s.n };
}

/* Trimmed, and every run of blanks is one. */
static struct str value_fold(struct str s, struct arena *a)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		bool blank = s.p[i] == ' ' || s.p[i] == '\t';
		if (!blank)
			p[n++] = s.p[i];
		else if (n > 0 && p[n - 1] != ' ')
			p[n++] = ' ';
	}
	while (n > 0 && p[n - 1] == ' ')
		n--;
	return (struct str){ p, n };
}

static struct str host_plain(const struct aws_request *r, struct arena *a)
{
	struct str host = lower_case(r->host, a), port = str_eq_z(r->scheme, "https") ? STR(":443") : STR(":80");
	return str_ends(host, port) ? str_sub(host, 0, host.n - port.n) : host;
}

/* In the order of their names; of one name in the order given, joined by commas. */
static void header_add(struct signing *s, struct str name, struct str value)
{
	struct pair one = { lower_case(name, s->a), value_fold(value, s->a) };
	size_t at = s->n_headers;
	for (size_t i = 0; i < s->n_headers; i++) {
		int order = str_cmp(one.name, s->headers[i].name);
		if (order == 0) {
			s->headers[i].value = arena_format(s->a, "%.*s,%.*s", STR_ARG(s->headers[i].value),
							   STR_ARG(one.value));
			return;
		}
		if (order < 0) {
			at = i;
			break;
		}
	}
	memmove(&s->headers[at + 1], &s->headers[at], (s->n_headers - at) * sizeof one);
	s->headers[at] = one;
	s->n_headers++;
}

static void query_add(struct signing *s, struct str name, struct str value)
{
	s->query[s->n_query++] = (struct pair){ aws_encode(name, false, s->a), aws_encode(value, false, s->a) };
}

static bool signing_begin(struct signing *s, const struct aws_request *r, const struct aws_credentials *c,
			  struct arena *a, struct err *e)
{
	*s = (struct signing){ .r = r, .c = c, .a = a, .s3 = str_eq_z(r->service, "s3") };
	if (!request_check(r, s->s3, e) || !credentials_check(c, e))
		return false;
	s->host = host_plain(r, a);
	s->path = aws_encode(r->path, true, a);
	s->stamp = us_to_compact(r->now_us, a);
	CHECK(s->stamp.n == STAMP_BYTES);
	s->scope = arena_format(a, "%.*s/%.*s/%.*s/aws4_request", DAY_BYTES, s->stamp.p, STR_ARG(r->region),
				STR_ARG(r->service));
	s->query = arena_array(a, struct pair, r->n_query + OWN_QUERY);
	for (size_t i = 0; i < r->n_query; i++)
		query_add(s, r->query[i].name, r->query[i].value);
	header_add(s, STR("host"), s->host);
	for (size_t i = 0; i < r->n_headers; i++)
		if (!header_is_unsigned(r->headers[i].name))
			header_add(s, r->headers[i].name, r->headers[i].value);
	return true;
}

static struct str names_join(const struct signing *s)
{
	struct str all = STR_NONE;
	for (size_t i = 0; i < s->n_headers; i++)
		all = i == 0 ? s->headers[i].name
			     : arena_format(s->a, "%.*s;%.*s", STR_ARG(all), STR_ARG(s->headers[i].name));
	return all;
}

/* Hashed piece by piece: nobody needs the canonical request as a whole. */
static struct sha256 request_hash(const struct signing *s, struct str query, struct str payload)
{
	struct sha256_state h;
	struct str path = s->s3 ? s->path : aws_encode(path_normalise(s->path, s->a), true, s->a);
	sha256_begin(&h);
	sha256_add_str(&h, s->r->method);
	sha256_add(&h, "\n", 1);
	sha256_add_str(&h, path);
	sha256_add(&h, "\n", 1);
	sha256_add_str(&h, query);
	sha256_add(&h, "\n", 1);
	for (size_t i = 0; i < s->n_headers; i++) {
		sha256_add_str(&h, s->headers[i].name);
		sha256_add(&h, ":", 1);
		sha256_add_str(&h, s->headers[i].value);
		sha256_add(&h, "\n", 1);
	}
	sha256_add(&h, "\n", 1);
	sha256_add_str(&h, s->signed_headers);
	sha256_add(&h, "\n", 1);
	sha256_add_str(&h, payload);
	return sha256_end(&h);
}

static struct str sign(const struct signing *s, struct str query, struct str payload)
{
	char hex[SHA256_HEX + 1];
	sha256_hex(request_hash(s, query, payload), hex);
	struct str text = arena_format(s->a, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%s", STR_ARG(s->stamp), STR_ARG(s->scope), hex);
	struct sha256 key = key_derive(s->c->secret_key, str_sub(s->stamp, 0, DAY_BYTES), s->r->region, s->r->service);
	struct sha256 signature = hmac(view(&key), text);
	explicit_bzero(&key, sizeof key);
	return sha256_hex_str(signature, s->a);
}

static struct str url_join(const struct signing *s, struct str query)
{
	return arena_format(s->a, "%.*s://%.*s%.*s%s%.*s", STR_ARG(s->r->scheme), STR_ARG(s->host), STR_ARG(s->path),
			    query.n ? "?" : "", STR_ARG(query));
}

bool aws_sign(const struct aws_request *r, const struct aws_credentials *c, struct arena *a, struct aws_signed *out,
	      struct err *e)
{
	struct signing s;
	if (!signing_begin(&s, r, c, a, e))
		return false;
	struct http_header own[OWN_HEADERS];
	size_t n_own = 0;
	own[n_own++] = (struct http_header){ STR("X-Amz-Date"), s.stamp };
	if (s.s3)
		own[n_own++] = (struct http_header){ STR("X-Amz-Content-Sha256"), r->payload_sha256 };
	if (c->session_token.n)
		own[n_own++] = (struct http_header){ STR("X-Amz-Security-Token"), arena_copy(a, c->session_token) };
	for (size_t i = 0; i < n_own; i++)
		header_add(&s, own[i].name, own[i].value);
	s.signed_headers = names_join(&s);
	struct str query = query_join(s.query, s.n_query, a);
	struct str signature = sign(&s, query, r->payload_sha256);
	own[n_own++] = (struct http_header){
		STR("Authorization"),
		arena_format(a, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
			     STR_ARG(c->access_key), STR_ARG(s.scope), STR_ARG(s.signed_headers), STR_ARG(signature)),
	};
	out->url = url_join(&s, query);
	out->n_headers = r->n_headers + n_own;
	out->headers = arena_array(a, struct http_header, out->n_headers);
	for (size_t i = 0; i < r->n_headers; i++)
		out->headers[i] = r->headers[i];
	memcpy(out->headers + r->n_headers, own, n_own * sizeof *own);
	return true;
}

bool aws_presign(const struct aws_request *r, const struct aws_credentials *c, int64_t lifetime_s, struct arena *a,
		 struct str *url, struct err *e)
{
	struct signing s;
	CHECK(lifetime_s > 0 && lifetime_s <= AWS_PRESIGN_MAX_S);
	if (!signing_begin(&s, r, c, a, e))
		return false;
	s.signed_headers = names_join(&s);
	query_add(&s, STR("X-Amz-Algorithm"), STR("AWS4-HMAC-SHA256"));
	query_add(&s, STR("X-Amz-Credential"), arena_format(a, "%.*s/%.*s", STR_ARG(c->access_key), STR_ARG(s.scope)));
	query_add(&s, STR("X-Amz-Date"), s.stamp);
	query_add(&s, STR("X-Amz-Expires"), arena_format(a, "%lld", (long long)lifetime_s));
	if (c->session_token.n)
		query_add(&s, STR("X-Amz-Security-Token"), c->session_token);
	query_add(&s, STR("X-Amz-SignedHeaders"), s.signed_headers);
	struct str query = query_join(s.query, s.n_query, a);
	struct str signature = sign(&s, query, s.s3 ? AWS_UNSIGNED_PAYLOAD : r->payload_sha256);
	struct str bare = url_join(&s, query);
	*url = arena_format(a, "%.*s&X-Amz-Signature=%.*s", STR_ARG(bare), STR_ARG(signature));
	return true;
}
