/* Inside of the S3 store: what its files share. Not for others. */
#ifndef SLUICE_DRIVER_STORE_S3_PARTS_H
#define SLUICE_DRIVER_STORE_S3_PARTS_H

#include "base/hash.h"
#include "driver/store_s3.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
	S3_CALLS_MAX = 32,                   /* at a time */
	S3_ATTEMPTS_MAX = 8,                 /* of one call */
	S3_BUDGET = 500,                     /* of repeats, all calls together: see s3_budget_take */
	S3_ERROR_BODY_MAX = 256 << 10,
	S3_LIST_BODY_MAX = 32 << 20,
	S3_PARTS_MAX = 10000,
	S3_WINDOWS = 8,                      /* objects that are read ahead at the same time */
	S3_WINDOW_MAX = 4 << 20,
};

/* The part of an object that was read ahead. */
struct s3_window {
	struct str key;      /* own memory; NULL: unused */
	uint64_t offset, next; /* next: where the last read ended */
	size_t n, ahead;     /* bytes held; how far the next read ahead goes */
	char *bytes;
	uint64_t used;       /* for choosing which goes */
};

struct s3 {
	struct store store;
	struct store_s3_options o;
	struct str scheme, host, bucket_path; /* of each request: host with the bucket, or "/bucket" before the key */
	bool is_aws;
	struct arena arena;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t room;
	struct http *idle[S3_CALLS_MAX];
	unsigned n_idle, n_busy;
	pid_t owner; /* a fork must not share connections with its parent */
	int budget;
	uint64_t random;

	pthread_mutex_t probe_lock;
	enum s3_condition { S3_UNTRIED, S3_CONDITIONAL, S3_LOOK_FIRST } condition;

	atomic_bool answered; /* at all */
	atomic_int_least64_t skew_us; /* what the service's clock is ahead of ours */

	pthread_mutex_t window_lock;
	struct s3_window windows[S3_WINDOWS];
	uint64_t window_clock;
};

static inline struct s3 *s3_of(struct store *s)
{
	return (struct s3 *)s;
}

/* ── one call (store_s3_call.c) ── */

struct s3_call {
	/* to be filled in */
	const char *name;        /* "PutObject", for messages */
	struct str method;
	struct str key;          /* of the store; "" is the bucket */
	struct str shown;        /* what a message calls it; "": the key */
	struct aws_query query[8];
	size_t n_query;
	struct http_header headers[8];
	size_t n_headers;
	struct str body;
	const struct sha256 *body_hash; /* NULL: made here */
	uint64_t max_body_bytes; /* of the answer */
	bool error_in_200;       /* a 200 may hold an error: its body must have the root `root` */
	const char *root;
	unsigned expects[3];     /* statuses that are answers, beside 200 to 299 */
	/* Whether the answer is whole; what is not is asked for again. May be NULL. */
	bool (*is_sound)(const struct s3_call *, const struct http_exchange *, struct err *);
	uint64_t range_first, range_last; /* of a range that is asked for; it may end before, where the object does */
	int64_t patience_us;     /* until the answer begins; 0: 30 s, and what the body takes */
	bool once;               /* not repeated */
	/* filled */
	struct http_exchange *answer; /* of success; s3_call_end frees it */
	bool lost;               /* failed, but what was asked for may have been done all the same */
	unsigned attempts;
	struct str code;         /* of the service's error, if it gave one; in the arena */
};

static inline void s3_query(struct s3_call *c, const char *name, struct str value)
{
	c->query[c->n_query++] = (struct aws_query){ str_from(name), value };
}

static inline void s3_header(struct s3_call *c, const char *name, struct str value)
{
	c->headers[c->n_headers++] = (struct http_header){ str_from(name), value };
}

/* Signs, sends, waits, repeats. True: 2xx or one of `expects`. */
bool s3_call(struct s3 *s, struct s3_call *c, struct arena *a, struct err *e);
void s3_call_end(struct s3_call *c);
uint64_t s3_random(struct s3 *s);
bool s3_fail(struct s3 *s, struct str key, enum err_code code, struct err *e, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* ── what an answer says (store_s3_answer.c) ── */

enum s3_action {
	S3_FAIL,   /* asking again cannot help */
	S3_REPEAT, /* after a pause */
	S3_RENEW,  /* with new credentials, once */
	S3_SKEW,   /* with the clock corrected, once */
};
struct s3_refusal {
	enum s3_action action;
	enum err_code err;
	struct str code, message, request_id, region;
	const char *hint;
	bool surely_not_done;
	bool is_stranger; /* not in S3's words: of a web server, or of what stands before the store */
};
/* Is it the store that says so? A HEAD has no words. What stands before a store may say 404, too, and a bucket that has gone is no
 * object that was never there. */
bool s3_says_missing(const struct s3_call *c, const struct http_exchange *x, struct arena *a);
/* Of an answer that is no success. */
void s3_refusal_read(const struct http_exchange *x, struct arena *a, struct s3_refusal *out);
void s3_refusal_say(struct s3 *s, const struct s3_call *c, const struct http_exchange *x, const struct s3_refusal *r,
		    struct err *e);
/* The root's name, "" for what is no XML. */
struct str s3_root_of(struct str body, struct arena *a);
/* The text of the first such element of a small answer; "" if it is not there. */
struct str s3_element(struct str body, const char *name, struct arena *a);
/* A whole object against the checksum that came with it. */
bool s3_object_is_sound(const struct s3_call *c, const struct http_exchange *x, struct err *e);
/* "bytes 5-9/20" of a 206: its first and last byte; *size is UINT64_MAX for '*'. */
bool s3_range_read(const struct http_exchange *x, uint64_t *from, uint64_t *last, uint64_t *size);
/* The range that was asked for, up to its end or the object's, as long as it says. Another range is for the caller. */
bool s3_range_is_sound(const struct s3_call *c, const struct http_exchange *x, struct err *e);

/* ── writing ── */

bool s3_ready_to_write(struct s3 *s, struct err *e); /* the probe; once */
struct str s3_sha256_text(struct sha256 h, struct arena *a);
struct str s3_crc64_text(uint64_t crc, struct arena *a);
struct str s3_crc32c_text(uint32_t crc, struct arena *a);
/* One PUT; *exists: there is something under that key already. False with *lost: it may have been done. */
bool s3_put(struct s3 *s, struct str key, struct str bytes, struct sha256 hash, bool *exists, bool *lost, struct err *e);
bool s3_writer_open(struct store *s, struct store_writer **out, struct err *e);
bool s3_writer_open_named(struct store *s, struct str key, struct store_writer **out, struct err *e);
bool s3_writer_add(struct store_writer *w, struct str bytes, struct err *e);
bool s3_writer_finish(struct store_writer *w, struct str key, struct err *e);
void s3_writer_abort(struct store_writer *w);

/* A large object in parts (store_s3_multipart.c); one thread at a time uses it. */
struct s3_multipart;
bool s3_multipart_begin(struct s3 *s, struct str key, struct s3_multipart **out, struct err *e);
/* The next part, all but the last of the same size. `own` is freed with it. May wait for room; a failure of an earlier part
 * shows here or at the end. */
bool s3_multipart_add(struct s3_multipart *m, char *own, size_t n, struct err *e);
/* Ends it and frees m. As s3_put. */
bool s3_multipart_end(struct s3_multipart *m, uint64_t size_bytes, bool *exists, bool *lost, struct err *e);
void s3_multipart_abort(struct s3_multipart *m); /* nothing of it stays; frees m */

/* ── reading, lists ── */

bool s3_read_at(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e);
void s3_windows_forget(struct s3 *s, struct str key); /* "": all */
bool s3_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e);
bool s3_list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out, struct err *e);
bool s3_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e);
struct str s3_whole_key(const struct s3 *s, struct str key, struct arena *a); /* with the prefix */

#endif
