/* Inside of the curl transport: what its two files share. Not for others. */
#ifndef SLUICE_DRIVER_HTTP_CURL_H
#define SLUICE_DRIVER_HTTP_CURL_H

#include "driver/http_head.h"

#include <curl/curl.h>
#include <stdatomic.h>

/* One request on its way. The object and its easy handle are used again for later requests. */
struct flight {
	struct curl_transport *owner;
	struct flight *next, **link; /* list of running flights, or of idle ones (next only) */
	CURL *easy;
	struct http_held *held;
	struct curl_slist *headers;
	struct str body; /* to send */
	int64_t connect_us, first_byte_us, total_us, low_speed_us, started_us;
	uint64_t low_speed_bytes_s;
	int64_t window_us; /* of the low-speed check: since when, and how many body bytes had come by then */
	size_t window_bytes;
	size_t head_bytes; /* of all heads and trailers together */
	unsigned interims, sends;
	bool allow_private, head_done;
	char refused_address[64]; /* "" none */
	int no_socket_errno; /* 0 none */
	char curl_text[CURL_ERROR_SIZE];
};

struct curl_transport {
	struct http http;
	struct clock *clock;
	CURLM *multi;
	const char *proxy; /* "" none */
	struct str no_proxy;
	bool proxy_loopback;
	const char *ca_file; /* NULL: curl's default */
	struct arena arena;
	struct flight *running, *idle;
	struct done {
		struct http_exchange *x;
		struct done *next;
	} *done, **done_end;
	atomic_bool woken;
};

/* http_flight_curl.c: all options of one request; ERR_CONFIG for a URL that cannot be sent. */
bool flight_prepare(struct flight *f, const struct http_request *r, struct err *e);
/* What came of it, in the exchange. */
void flight_judge(struct flight *f, CURLcode code);
/* The first of its own time-outs that is over: fails it and returns true. Else *next_us is lowered to the next one. */
bool flight_overdue(struct flight *f, int64_t now_us, int64_t *next_us);

#endif
