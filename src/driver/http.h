/* HTTP/1.1 transport: one of the four seams. It sends what it is told and reports what came, byte for byte; redirects,
 * retries, limits of rate and decoding of content are not its business (ingest/ does them).
 *
 * One http object belongs to one thread. http_start queues a request; http_wait gives finished exchanges, in the order
 * in which they end. Bodies come as received: transfer framing (chunked) undone, content-encoding untouched.
 *
 * Checked here, since only the transport can: TLS (1.2 or newer, certificate and name; CA from SSL_CERT_FILE or the
 * system), the address that a name resolved to at the moment of connecting (private, loopback, link-local, multicast
 * and mapped forms are refused unless allow_private), size of headers and body, framing (a body shorter than declared,
 * both Content-Length and Transfer-Encoding, differing Content-Lengths), time-outs. */
#ifndef SLUICE_DRIVER_HTTP_H
#define SLUICE_DRIVER_HTTP_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

struct http_header {
	struct str name, value;
};

struct http_request {
	struct str method; /* "GET", "POST" */
	struct str url;    /* absolute, secrets filled in */
	const struct http_header *headers;
	size_t n_headers;
	struct str body;   /* empty: none */
	bool body_stays;   /* until the exchange is here: it need not be copied */
	uint64_t max_header_bytes, max_body_bytes;
	int64_t connect_us, first_byte_us, total_us; /* 0: no limit */
	uint32_t low_speed_bytes_s; /* 0: no limit; on average over low_speed_us once the answer has begun */
	int64_t low_speed_us;       /* 0: 10 s */
	bool allow_private;
	bool fresh_connection; /* never one that was kept */
	bool direct; /* not through the proxy, whatever the environment says: addresses that only this machine can reach */
	void *user; /* given back with the exchange */
};

enum http_outcome {
	HTTP_COMPLETE,  /* status, headers and the whole body */
	HTTP_CUT,       /* status and headers, and a body that broke off: err says how; body holds what came */
	HTTP_NO_ANSWER, /* nothing usable came back: err says why */
};

struct http_exchange {
	enum http_outcome outcome;
	struct err err; /* for CUT and NO_ANSWER: ERR_RESOLVE, CONNECT, TLS, TIMEOUT, RESET, SHORT_BODY, TOO_LARGE,
	                 * HTTP_MALFORMED, ADDRESS */
	unsigned status;
	struct str head;    /* status line and headers as received, each line with its CRLF, without the empty line; of
	                     * the final answer only (1xx are dropped, and bounded) */
	struct http_header *headers; /* parsed from head: names as sent, values trimmed; views into head */
	size_t n_headers;
	struct str body;    /* as received; views are valid until http_exchange_free */
	struct str request_head; /* request line and headers as sent, CRLF each, without the empty line */
	bool kept_was_closed; /* NO_ANSWER (RESET): a kept connection was closed before a byte of the answer came. The server
	                     * has most likely not seen the request */
	bool no_tls;        /* NO_ANSWER (TLS): what answered does not speak it at all */
	bool close_framed;  /* neither length nor chunked: its end cannot be checked by framing */
	char remote_address[64]; /* "127.0.0.1:8080", "" if never connected */
	int64_t sent_wall_us, sent_us, first_byte_us, done_us; /* *_us: monotonic; 0 if it did not happen */
	void *user;
	struct arena arena;
};

struct http {
	const struct http_ops *ops;
};
struct http_ops {
	/* Keeps nothing of the request but copies. ERR_CONFIG: it cannot be sent as it is (control characters, framing
	 * headers of the caller's own, a user name in the URL). */
	bool (*start)(struct http *, const struct http_request *, struct err *);
	/* The next finished exchange, or NULL after timeout_us (0 or less: at once) or http_wake. Waits by real
	 * sockets, or by the fake clock. */
	struct http_exchange *(*wait)(struct http *, int64_t timeout_us);
	void (*wake)(struct http *); /* from any thread */
	void (*cancel_all)(struct http *); /* what is queued, under way or finished is dropped, not given back */
	void (*close)(struct http *);
};

/* From the environment, read here: SSL_CERT_FILE, SLUICE_PROXY (a URL; http_proxy and the like have no effect), no_proxy or
 * NO_PROXY, SLUICE_PROXY_LOOPBACK. Behind a proxy it is the proxy that connects, so it also has to judge addresses; what goes
 * past it is judged here. Never sends a request twice:
 * where a kept connection turns out to be closed, that is for the caller to do. Kept: 64 connections. Interim answers (1xx): 32 at most, their bytes count as head. */
bool http_open_curl(struct clock *clock, struct http **out, struct err *e);
/* The same with another file of certificates than SSL_CERT_FILE's; "" is http_open_curl. */
bool http_open_curl_ca(struct clock *clock, struct str ca_file, struct http **out, struct err *e);

/* Is this host asked past the proxy? It is where `no_proxy` has it, in curl's form: names with commas or blanks between, each for
 * itself and all below it; addresses, also "10.0.0.0/8"; "*" alone for all. And this machine itself (localhost, 127.0.0.0/8,
 * [::1]), where a proxy would ask itself and be shown what nobody else should see, unless `loopback_too` (SLUICE_PROXY_LOOPBACK=true).
 * Only what is written counts: nothing is resolved. */
bool http_goes_direct(struct str host, struct str no_proxy, bool loopback_too);

/* The fake: answers from a table. Each row is matched in order against method and URL (a glob with '*'), used `times`
 * times (0: for ever), and answered after delay_us of the fake clock. `raw` is the answer as on the wire (head, empty
 * line, body), so that both sides of a conversation stand in one place in a case file. */
struct http_fake_row {
	struct str method, url_glob;
	unsigned times;
	int64_t delay_us;
	struct str raw;        /* empty: `fail` is the outcome */
	enum err_code fail;    /* ERR_RESET, ERR_TIMEOUT ...; with raw: the body broke off after it */
	bool kept_was_closed;  /* with RESET */
};
bool http_open_fake(struct clock_fake *clock, const struct http_fake_row *rows, size_t n_rows, struct http **out,
		    struct err *e);
/* What the fake was asked, one "METHOD URL\n" a line, with "  Name: value\n" lines where headers were set. */
struct str http_fake_transcript(struct http *h, struct arena *a);

bool http_start(struct http *h, const struct http_request *r, struct err *e);
struct http_exchange *http_wait(struct http *h, int64_t timeout_us);
void http_wake(struct http *h);
void http_cancel_all(struct http *h);
void http_close(struct http *h);
void http_exchange_free(struct http_exchange *x);
struct str http_body_keep(struct http_exchange *x, struct arena *a); /* x->body, which lives as long as the arena then; uncopied */
struct str http_header_get(const struct http_exchange *x, const char *name); /* first one; STR_NONE if absent */
/* The test used when connecting; IPv4, IPv6, mapped and translated forms. What is no numeric address counts as
 * private. */
bool http_address_is_private(const char *numeric_address);

/* A header value for a message: in quotes, or "a value of 70 bytes" where it is longer than 40 bytes or not printable
 * ASCII. Returns out. */
enum { HTTP_SHOWN_BYTES = 48 };
const char *http_value_shown(struct str value, char out[HTTP_SHOWN_BYTES]);

#endif
