/* One request through curl: its options, its callbacks, and what its end means. */
#include "base/effect.h"
#include "driver/http_curl.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INTERIMS_MAX = 32, RECEIVE_BYTES = 256 << 10, SEND_BYTES = 256 << 10, LOW_SPEED_US = 10 * 1000000 };

static int64_t now_us(const struct flight *f)
{
	return f->owner->clock->monotonic_us(f->owner->clock);
}

/* 1234567 as "1,234,567" */
static const char *grouped(uint64_t v, char out[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%" PRIu64, v);
	size_t at = 0;
	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = 0;
	return out;
}

static void broke_off(struct flight *f, enum err_code code, const char *what)
{
	struct http_held *h = f->held;
	char came[32], whole[32];
	grouped(h->body.n, came);
	if (!f->head_done)
		http_held_fail(h, HTTP_NO_ANSWER, code == ERR_SHORT_BODY ? ERR_RESET : code, "%s %s", what,
			       h->head.n ? "in the middle of the answer's head" : "before an answer came");
	else if (h->framing.has_length)
		http_held_fail(h, HTTP_CUT, code, "%s after %s of %s body bytes", what, came,
			       grouped(h->framing.length, whole));
	else
		http_held_fail(h, HTTP_CUT, code, "%s after %s body bytes%s", what, came,
			       h->framing.chunked ? ", before the last chunk" : "");
}

/* ── callbacks ── */

static bool final_head(struct flight *f)
{
	struct http_held *h = f->held;
	struct err why = ERR_INIT;
	h->x.head = buf_str(&h->head);
	if (!http_head_parse(&h->x, &why) || !http_framing(&h->x, h->method, &h->framing, &why))
		return http_held_fail(h, HTTP_NO_ANSWER, why.code, "%s", why.message);
	f->head_done = true;
	if (!h->framing.no_body && h->framing.has_length && h->framing.length > h->max_body_bytes)
		return http_held_fail(h, HTTP_CUT, ERR_TOO_LARGE, "the body is declared as %" PRIu64 " bytes, at most %"
				      PRIu64 " are taken", h->framing.length, h->max_body_bytes);
	if (!h->framing.no_body)
		http_held_expect(h);
	return true;
}

static bool head_line(struct flight *f, struct str line)
{
	struct http_held *h = f->held;
	unsigned status = 0;
	f->head_bytes += line.n;
	if (f->head_bytes > h->head.max)
		return http_held_fail(h, f->head_done ? HTTP_CUT : HTTP_NO_ANSWER, ERR_TOO_LARGE,
				      "the answer's head is longer than %zu bytes", h->head.max);
	if (f->head_done)
		return true; /* a trailer: dropped */
	if (!str_ends(line, STR("\r\n")))
		return http_held_fail(h, HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "a line of the answer's head ends without "
				      "CR LF");
	if (h->head.n == 0 && !http_status_line(line, &status))
		return http_held_fail(h, HTTP_NO_ANSWER, ERR_HTTP_MALFORMED,
				      "the answer does not begin with a status line of HTTP/1.1");
	if (!str_eq(line, STR("\r\n")))
		return buf_add(&h->head, line);
	CHECK(http_status_line(buf_str(&h->head), &status));
	if (status >= 200)
		return final_head(f);
	if (status == 101)
		return http_held_fail(h, HTTP_NO_ANSWER, ERR_HTTP_MALFORMED, "status 101, though nothing was asked for "
				      "that allows it");
	if (++f->interims > INTERIMS_MAX)
		return http_held_fail(h, HTTP_NO_ANSWER, ERR_TOO_LARGE, "more than %d interim answers (1xx)",
				      INTERIMS_MAX);
	buf_clear(&h->head);
	return true;
}

static size_t on_header(char *p, size_t size, size_t n, void *user)
{
	struct flight *f = user;
	(void)size; /* always 1 */
	if (EFFECT_REFUSED(http, receive_head)) {
		broke_off(f, ERR_RESET, "connection reset");
		return n + 1;
	}
	if (f->held->x.first_byte_us == 0) {
		f->held->x.first_byte_us = now_us(f);
		f->window_us = f->held->x.first_byte_us;
	}
	return head_line(f, (struct str){ p, n }) ? n : n + 1;
}

static size_t on_body(char *p, size_t size, size_t n, void *user)
{
	struct flight *f = user;
	(void)size;
	if (EFFECT_REFUSED(http, receive_body)) {
		broke_off(f, ERR_RESET, "connection reset");
		return n + 1;
	}
	if (buf_add_bytes(&f->held->body, p, n))
		return n;
	http_held_body_full(f->held);
	return n + 1;
}

/* The request's head as it is sent. Through a proxy there is that of CONNECT before it: the last one counts. */
static int on_debug(CURL *easy, curl_infotype type, char *p, size_t n, void *user)
{
	struct flight *f = user;
	(void)easy;
	if (type != CURLINFO_HEADER_OUT)
		return 0;
	struct buf *head = &f->held->request_head;
	if (str_ends(buf_str(head), STR("\r\n\r\n")))
		buf_clear(head);
	buf_add_bytes(head, p, n);
	return 0;
}

static void refuse_address(struct flight *f, const char *address)
{
	int n = snprintf(f->refused_address, sizeof f->refused_address, "%s", address);
	CHECK(n >= 0 && (size_t)n < sizeof f->refused_address);
}

static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct flight *f = user;
	(void)purpose;
	char text[INET6_ADDRSTRLEN] = "";
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { 0 };
	size_t n = address->addrlen < sizeof a ? address->addrlen : sizeof a;
	memcpy(&a, &address->addr, n);
	if (address->family == AF_INET)
		inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof text);
	else if (address->family == AF_INET6)
		inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof text);
	else
		return CURL_SOCKET_BAD;
	if (!f->allow_private && http_address_is_private(text)) {
		refuse_address(f, text);
		return CURL_SOCKET_BAD;
	}
	int fd = sys_socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		f->no_socket_errno = errno;
	return fd == -1 ? CURL_SOCKET_BAD : fd;
}

/* A connection stands and the request is about to go out on it. After a kept connection turned out dead, curl would send it
 * once more without a word: past the rate, and past all counts. */
static int on_send(void *user, char *remote, char *local, int remote_port, int local_port)
{
	struct flight *f = user;
	struct http_exchange *x = &f->held->x;
	(void)local;
	(void)local_port;
	const char *form = strchr(remote, ':') ? "[%s]:%d" : "%s:%d";
	int n = form[0] == '[' ? snprintf(x->remote_address, sizeof x->remote_address, "[%s]:%d", remote, remote_port)
			       : snprintf(x->remote_address, sizeof x->remote_address, "%s:%d", remote, remote_port);
	CHECK(n > 0 && (size_t)n < sizeof x->remote_address);
	/* A connection that another request opened while private addresses were allowed. */
	if (!f->allow_private && http_address_is_private(remote)) {
		refuse_address(f, remote);
		return CURL_PREREQFUNC_ABORT;
	}
	if (++f->sends > 1) {
		x->kept_was_closed = true;
		http_held_fail(f->held, HTTP_NO_ANSWER, ERR_RESET, "the kept connection was closed before an answer came");
		return CURL_PREREQFUNC_ABORT;
	}
	if (EFFECT_REFUSED(http, send)) {
		broke_off(f, ERR_RESET, "connection reset");
		return CURL_PREREQFUNC_ABORT;
	}
	x->sent_us = now_us(f);
	x->sent_wall_us = f->owner->clock->wall_us(f->owner->clock);
	return CURL_PREREQFUNC_OK;
}

/* ── options ── */

#define SET(option, value) CHECK(curl_easy_setopt(f->easy, (option), (value)) == CURLE_OK)

/* *host: as curl has it, with 0x7f.1 and the like written out. */
static bool url_check(struct str url, struct arena *a, struct str *host, struct err *e)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *name = NULL;
	if (!u)
		mem_exhausted(0);
	CURLUcode code = curl_url_set(u, CURLUPART_URL, arena_zero_terminated(a, url),
				      CURLU_DISALLOW_USER | CURLU_PATH_AS_IS | CURLU_NON_SUPPORT_SCHEME);
	bool ok = code == CURLUE_OK && curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		  curl_url_get(u, CURLUPART_HOST, &name, 0) == CURLUE_OK;
	if (code == CURLUE_USER_NOT_ALLOWED)
		err_set(e, ERR_CONFIG, "a URL must not hold a user name or password");
	else if (!ok)
		err_set(e, ERR_CONFIG, "a URL cannot be read: %s", curl_url_strerror(code));
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		ok = err_set(e, ERR_CONFIG, "a URL begins with '%.16s': only https and http are spoken", scheme);
	*host = arena_copy(a, str_from(name));
	curl_free(scheme);
	curl_free(name);
	curl_url_cleanup(u);
	return ok;
}

static void add_header(struct flight *f, const char *line)
{
	struct curl_slist *longer = curl_slist_append(f->headers, line);
	if (!longer)
		mem_exhausted(strlen(line));
	f->headers = longer;
}

static void set_headers(struct flight *f, const struct http_request *r)
{
	struct arena *a = &f->held->x.arena;
	bool has_agent = false, has_type = false;
	for (size_t i = 0; i < r->n_headers; i++) {
		struct http_header h = r->headers[i];
		has_agent |= str_eq_nocase(h.name, STR("User-Agent"));
		has_type |= str_eq_nocase(h.name, STR("Content-Type"));
		/* "Name;" is curl's spelling of a header without a value. */
		struct str line = h.value.n ? arena_format(a, "%.*s: %.*s", STR_ARG(h.name), STR_ARG(h.value))
					    : arena_format(a, "%.*s;", STR_ARG(h.name));
		add_header(f, arena_zero_terminated(a, line));
	}
	if (!has_agent)
		add_header(f, "User-Agent: sluice/" SLUICE_VERSION);
	if (!has_type)
		add_header(f, "Content-Type:");
	add_header(f, "Expect:");
	SET(CURLOPT_HTTPHEADER, f->headers);
}

static void set_method(struct flight *f, const struct http_request *r)
{
	const char *method = arena_zero_terminated(&f->held->x.arena, r->method);
	if (str_eq_z(r->method, "HEAD")) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (r->body.n || str_eq_z(r->method, "POST") || str_eq_z(r->method, "PUT")) {
		f->body = r->body_stays ? r->body : arena_copy(&f->held->x.arena, r->body);
		if (f->body.n > SEND_BYTES / 4)
			SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BYTES);
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, f->body.p ? f->body.p : "");
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.n);
		if (!str_eq_z(r->method, "POST"))
			SET(CURLOPT_CUSTOMREQUEST, method);
	} else {
		SET(CURLOPT_HTTPGET, 1L);
		if (!str_eq_z(r->method, "GET"))
			SET(CURLOPT_CUSTOMREQUEST, method);
	}
}

static long ms_up(int64_t us)
{
	int64_t ms = (us + 999) / 1000;
	return ms > INT32_MAX ? INT32_MAX : (long)ms;
}

bool flight_prepare(struct flight *f, const struct http_request *r, struct err *e)
{
	struct arena *a = &f->held->x.arena;
	struct str host;
	if (!url_check(r->url, a, &host, e))
		return false;
	curl_easy_reset(f->easy);
	SET(CURLOPT_URL, arena_zero_terminated(a, r->url));
	set_method(f, r);
	set_headers(f, r);
	SET(CURLOPT_PRIVATE, f);
	SET(CURLOPT_ERRORBUFFER, f->curl_text);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	bool direct = r->direct || http_goes_direct(host, f->owner->no_proxy, f->owner->proxy_loopback);
	const char *proxy = direct ? "" : f->owner->proxy;
	SET(CURLOPT_PROXY, proxy);
	SET(CURLOPT_NOPROXY, ""); /* it is decided, also for whether addresses are judged: curl is not to look at the environment */
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (f->owner->ca_file)
		SET(CURLOPT_CAINFO, f->owner->ca_file);
	/* Refused where the handle still has a buffer, as after a transfer that ended while its name was looked up: then that one does. */
	(void)curl_easy_setopt(f->easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_FRESH_CONNECT, r->fresh_connection ? 1L : 0L);
	if (r->connect_us > 0)
		SET(CURLOPT_CONNECTTIMEOUT_MS, ms_up(r->connect_us));
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, f);
	SET(CURLOPT_PREREQFUNCTION, on_send);
	SET(CURLOPT_PREREQDATA, f);
	SET(CURLOPT_DEBUGFUNCTION, on_debug);
	SET(CURLOPT_DEBUGDATA, f);
	SET(CURLOPT_VERBOSE, 1L); /* what makes on_debug run; nothing is printed */
	f->allow_private = r->allow_private || proxy[0]; /* through a proxy the addresses are its business */
	f->connect_us = r->connect_us;
	f->first_byte_us = r->first_byte_us;
	f->total_us = r->total_us;
	f->low_speed_bytes_s = r->low_speed_bytes_s;
	f->low_speed_us = r->low_speed_us > 0 ? r->low_speed_us : LOW_SPEED_US;
	f->started_us = now_us(f);
	return true;
}

/* ── time-outs ── */

static bool over(int64_t since_us, int64_t limit_us, int64_t now, int64_t *next_us)
{
	int64_t at = since_us + limit_us;
	if (limit_us <= 0)
		return false;
	if (now >= at)
		return true;
	if (at < *next_us)
		*next_us = at;
	return false;
}

bool flight_overdue(struct flight *f, int64_t now, int64_t *next_us)
{
	struct http_held *h = f->held;
	enum http_outcome outcome = f->head_done ? HTTP_CUT : HTTP_NO_ANSWER;
	if (over(f->started_us, f->total_us, now, next_us)) {
		http_held_fail(h, outcome, ERR_TIMEOUT, "not done within %" PRId64 " ms; %zu body bytes had come",
			       f->total_us / 1000, h->body.n);
		return true;
	}
	if (h->x.sent_us && !h->x.first_byte_us && over(h->x.sent_us, f->first_byte_us, now, next_us)) {
		http_held_fail(h, outcome, ERR_TIMEOUT, "no first byte of an answer within %" PRId64 " ms",
			       f->first_byte_us / 1000);
		return true;
	}
	if (h->x.first_byte_us && f->low_speed_bytes_s && over(f->window_us, f->low_speed_us, now, next_us)) {
		uint64_t came = h->body.n - f->window_bytes;
		if (came * 1000000 < f->low_speed_bytes_s * (uint64_t)(now - f->window_us)) {
			http_held_fail(h, outcome, ERR_TIMEOUT, "%" PRIu64 " bytes in %" PRId64 " ms, less than %" PRIu64
				       " bytes a second", came, (now - f->window_us) / 1000, f->low_speed_bytes_s);
			return true;
		}
		f->window_us = now;
		f->window_bytes = h->body.n;
		over(f->window_us, f->low_speed_us, now, next_us);
	}
	return false;
}

/* ── what its end means ── */

/* curl's own words, without control characters: parts of them may come from the server. */
static const char *words(struct flight *f, CURLcode code)
{
	if (!f->curl_text[0])
		return curl_easy_strerror(code);
	for (char *p = f->curl_text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return f->curl_text;
}

static void judge_tls(struct flight *f, CURLcode code)
{
	const char *text = words(f, code);
	if (code == CURLE_SSL_CONNECT_ERROR && (strstr(text, "reset by peer") || strstr(text, "SSL_ERROR_SYSCALL")))
		http_held_fail(f->held, HTTP_NO_ANSWER, ERR_RESET, "the connection broke off in the TLS handshake (%s)",
			       text);
	else
		http_held_fail(f->held, HTTP_NO_ANSWER, ERR_TLS, "%s", text);
	f->held->x.no_tls = strstr(text, "wrong version number") || strstr(text, "packet length too long");
	if (f->held->x.no_tls)
		err_hint(&f->held->x.err, "what answers there speaks no TLS: should its URL begin with http://?");
}

static void judge_failure(struct flight *f, CURLcode code)
{
	struct http_held *h = f->held;
	enum http_outcome outcome = f->head_done ? HTTP_CUT : HTTP_NO_ANSWER;
	const char *text = words(f, code);
	long sys_errno = 0;
	curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &sys_errno);
	if (f->refused_address[0] && (code == CURLE_COULDNT_CONNECT || code == CURLE_ABORTED_BY_CALLBACK)) {
		http_held_fail(h, HTTP_NO_ANSWER, ERR_ADDRESS, "its address %s is private, local or reserved",
			       f->refused_address);
		return;
	}
	if (f->no_socket_errno && code == CURLE_COULDNT_CONNECT) { /* trouble of this machine, not of the API */
		http_held_fail(h, HTTP_NO_ANSWER, ERR_STORAGE, "no socket: %s", strerror(f->no_socket_errno));
		return;
	}
	switch ((int)code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		http_held_fail(h, HTTP_NO_ANSWER, ERR_RESOLVE, "%s", text);
		break;
	case CURLE_COULDNT_CONNECT:
		http_held_fail(h, HTTP_NO_ANSWER, ERR_CONNECT, "%s%s%s", text, sys_errno ? ": " : "",
			       sys_errno ? strerror((int)sys_errno) : "");
		break;
	case CURLE_OPERATION_TIMEDOUT:
		http_held_fail(h, outcome, ERR_TIMEOUT, "no connection within %" PRId64 " ms", f->connect_us / 1000);
		break;
	case CURLE_GOT_NOTHING:
		broke_off(f, ERR_RESET, "the connection was closed");
		break;
	case CURLE_PARTIAL_FILE:
		broke_off(f, ERR_SHORT_BODY, "the connection was closed");
		break;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		if (f->head_done && strstr(text, "chunk"))
			http_held_fail(h, HTTP_CUT, ERR_HTTP_MALFORMED, "%s after %zu body bytes", text, h->body.n);
		else
			broke_off(f, ERR_RESET, "connection reset");
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_ENGINE_INITFAILED:
		judge_tls(f, code);
		break;
	case CURLE_FILESIZE_EXCEEDED:
		http_held_fail(h, outcome, ERR_TOO_LARGE, "%s", text);
		break;
	case CURLE_OUT_OF_MEMORY: /* what curl says of a header line over its own limit, */
	case 100:                 /* and, as CURLE_TOO_LARGE, its newer versions */
		http_held_fail(h, outcome, ERR_TOO_LARGE, "a header line of the answer is too long: at most 100 KiB are "
			       "taken, and no setting changes that");
		err_hint(&h->x.err, "ask the API for less in its headers");
		break;
	default:
		http_held_fail(h, outcome, ERR_HTTP_MALFORMED, "%s", text);
		break;
	}
}

/* The password of a proxy is between us and the proxy. */
static void forget_proxy_password(struct buf *head)
{
	static const struct str name = { "\r\nProxy-Authorization:", 22 };
	struct str text = buf_str(head);
	size_t at = str_find(text, name);
	if (at == text.n)
		return;
	struct str rest = str_sub(text, at + 2, SIZE_MAX);
	size_t line = str_find(rest, STR("\r\n"));
	memmove(head->p + at, rest.p + line, rest.n - line);
	head->n = at + rest.n - line;
	head->p[head->n] = 0;
}

void flight_judge(struct flight *f, CURLcode code)
{
	struct http_held *h = f->held;
	if (h->x.err.code != ERR_NONE) {
		/* a callback or a time-out has said it already */
	} else if (code != CURLE_OK) {
		judge_failure(f, code);
	} else if (!f->head_done) {
		broke_off(f, ERR_RESET, "the connection was closed");
	} else if (!h->framing.no_body && h->framing.has_length && h->body.n != h->framing.length) {
		broke_off(f, ERR_SHORT_BODY, "the connection was closed");
	} else {
		h->x.outcome = HTTP_COMPLETE;
		h->x.close_framed = !h->framing.no_body && !h->framing.chunked && !h->framing.has_length;
	}
	h->x.done_us = now_us(f);
	forget_proxy_password(&h->request_head);
	http_held_close(h);
}
