/* Segments: WARC/1.1 (ISO 28500:2017), each record its own gzip member. spec/segment.md is the words to it.
 *
 *     member   warcinfo
 *     member   request  ─┐ one exchange; the response is found by the byte range in the ledger
 *     member   response ─┘
 *     ...
 *
 * The HTTP message is kept as received, with the transfer framing undone. A member whose body came compressed is a
 * stored gzip member, others are deflated at level 1. Response records name their request (WARC-Concurrent-To),
 * carry WARC-Payload-Digest and WARC-Block-Digest ("sha256:" and lower-case hex), and WARC-Truncated where the body was
 * cut. */
#ifndef SLUICE_FORMAT_WARC_H
#define SLUICE_FORMAT_WARC_H

#include "base/hash.h"
#include "driver/http.h"
#include "driver/store.h"

struct warc_exchange { /* everything with secrets already replaced by markers */
	struct str url;          /* absolute, for WARC-Target-URI */
	struct str request_head; /* lines with CRLF, no empty line */
	struct str request_body;
	struct str response_head; /* "" if there was no answer: then only a request record is written */
	struct str body;          /* as received */
	const char *truncated;    /* NULL, or the reason of WARC-Truncated: "disconnect", "time", "length" */
	struct str remote_ip;     /* numeric, or "" */
	int64_t wall_us;
	struct str run_id, resource, window;
	uint64_t page;            /* 0: a failed attempt, else the page it became */
	unsigned attempt;
};

struct warc_range {
	uint64_t offset, size; /* of the response member (of the request member if there is no response) */
};

struct warc_writer; /* one segment being written to the store; not visible until finished */
bool warc_open(struct store *s, struct str software, struct str run_id, int64_t wall_us, struct warc_writer **out,
	       struct err *e);
bool warc_add(struct warc_writer *w, const struct warc_exchange *x, struct warc_range *range, struct err *e);
uint64_t warc_size(const struct warc_writer *w);
/* Durable as <generation>/segments/<epoch>-<sha256>.warc.gz; name, size and hash for the ledger. Frees w. */
bool warc_finish(struct warc_writer *w, struct str generation_key, uint64_t epoch, struct arena *a, struct str *name,
		 struct sha256 *hash, uint64_t *size, struct err *e);
void warc_abort(struct warc_writer *w);

/* One record out of one gzip member. Views into `inflated`, which holds the record. Wrong anything: ERR_DAMAGE. */
struct warc_record {
	struct str type;      /* "response" */
	struct str target_uri, date, record_id, truncated;
	struct str http_head; /* request line or status line and headers, CRLF each, without the empty line */
	struct str body;      /* as received (content-encoding untouched) */
};
bool warc_read(struct str member, uint64_t max_bytes, struct buf *inflated, struct warc_record *out, struct err *e);
/* Walks a whole segment member by member (raw ls, raw cat, verify): *at moves on; false with no error at the end. */
bool warc_next(struct str segment, uint64_t *at, uint64_t max_bytes, struct buf *inflated, struct warc_record *out,
	       uint64_t *member_size, bool *end, struct err *e);

/* The decoded body: content-encoding gzip, x-gzip, deflate, identity, at most two stacked (RFC 9110 8.4). `head` is a
 * status line with headers. Where nothing is encoded *out is `body` itself, else a view of `decoded`.
 * ERR_DECODE: damaged, unknown encoding, trailing garbage; ERR_TOO_LARGE: past max_bytes or the ratio. */
bool body_decode(struct str head, struct str body, uint64_t max_bytes, uint32_t max_ratio, struct buf *decoded,
		 struct str *out, struct err *e);

#endif
