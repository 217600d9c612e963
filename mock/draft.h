/* An answer: first as a draft, whose body may still change, then as bytes and the way to send them. */
#ifndef SLUICE_MOCK_DRAFT_H
#define SLUICE_MOCK_DRAFT_H

#include "mock/cache.h"

struct draft { /* an answer before its body is encoded and its head written */
	int status;
	int64_t wall_us;     /* for the Date header */
	const char *type;    /* content type */
	struct buf headers;  /* extra lines, each with CRLF */
	struct blob *blob;
	struct buf own;      /* body, where blob is NULL */
	bool gzip;           /* the body is (already) gzipped */
	bool chunked, head_only, keep_alive;
	const char *framing; /* header lines in place of Content-Length or Transfer-Encoding, or NULL */
};

enum after { AFTER_KEEP, AFTER_CLOSE, AFTER_RESET };

struct answer {
	struct buf head;    /* status line to empty line, complete */
	struct blob *blob;  /* the body's owner, or NULL and own is it */
	struct buf own;
	struct str body;    /* what is sent of it; never more than the head's length unless the fault is to do so */
	enum after after;
	int64_t delay_us;   /* before the first byte */
	int64_t linger_us;  /* between the last byte and `after` */
	unsigned pieces;    /* 0 or 1: at once; else so many, pause_us between them */
	int64_t pause_us;
	bool nothing;       /* not even the head is sent */
};

struct str draft_body(const struct draft *d);
void draft_error(struct draft *d, int status, const char *message); /* a small JSON body */
/* Takes blob, own and headers over; the answer is owned by the caller: answer_free(). */
void draft_finish(struct draft *d, struct answer *out);
void answer_free(struct answer *a);

#endif
