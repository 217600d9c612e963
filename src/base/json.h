/* JSON (RFC 8259), strict, over contiguous bytes: the scanner that everything rests on.
 *
 * The scanner never builds a tree, never converts a value and never recurses. It hands out events with the raw bytes
 * of each value, so that a number stays the text that was sent and every value has an address (offset and length in
 * the document). It refuses: anything outside the grammar (NaN, comments, trailing commas, a BOM, a second document),
 * bytes that are not UTF-8, raw control characters in strings, nesting beyond a depth. Documents beyond a size never
 * come here: the buffer that collects them refuses (buf.h). What is grammatical but has no meaning (lone surrogate
 * escapes, duplicate keys, numbers out of range) passes here; those are judged where values are read.
 *
 *     struct json_scan s;
 *     json_open(&s, document, JSON_DEPTH);
 *     while ((ev = json_next(&s)) > JSON_DONE) ...
 *     if (ev == JSON_BAD) ... s.fault, s.fault_at
 */
#ifndef SLUICE_BASE_JSON_H
#define SLUICE_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum { JSON_DEPTH = 128, JSON_DEPTH_MAX = 1024 };

enum json_event {
	JSON_BAD = -1, /* stays; see fault and fault_at */
	JSON_DONE = 0, /* the document is complete, only white space follows; stays */
	JSON_OBJECT,   /* '{': keys and values follow until JSON_OBJECT_END; or json_skip() */
	JSON_OBJECT_END,
	JSON_ARRAY, /* '[' */
	JSON_ARRAY_END,
	JSON_KEY, /* its value is the next event */
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

struct json_scan {
	const char *start, *p, *end; /* p: the next byte to read */
	const char *value_start;     /* first byte of the value (the quote for strings), for addresses */
	struct str value;            /* key, string: between the quotes, still escaped; number: its text; after
	                              * json_skip(): the whole container with its brackets */
	bool escaped;                /* value of a key or string contains a backslash */
	uint32_t depth, max_depth;
	uint8_t state;               /* what may come next (internal) */
	uint64_t kinds[JSON_DEPTH_MAX / 64]; /* one bit a level: 1 object, 0 array */
	const char *fault;           /* a constant text, e.g. "a comma or ] expected" */
	size_t fault_at;             /* byte offset in the document; its very end if it stops too early */
};

/* max_depth: containers open at the same time, up to JSON_DEPTH_MAX; 0 leaves single values. */
void json_open(struct json_scan *s, struct str document, uint32_t max_depth);
enum json_event json_next(struct json_scan *s);
/* For readers who can guess which member of an object comes next. `key` is its raw text with the quotes, free of
 * escapes. Where the guess is right: the event of the member's value; otherwise whatever json_next() gives, which is
 * never the event of a value: JSON_KEY (of another member), JSON_OBJECT_END, JSON_BAD. Only inside of an object where
 * no key was read yet. */
enum json_event json_next_guess(struct json_scan *s, struct str key);
/* Right after JSON_OBJECT or JSON_ARRAY: to the end of it, checking all of it; value is its raw text. After JSON_KEY:
 * over the key's value, of any type: value is its raw text, strings with their quotes. False: JSON_BAD is next. */
bool json_skip(struct json_scan *s);
size_t json_offset(const struct json_scan *s); /* of the current value's first byte */

/* fault and fault_at may be NULL, here and below. */
bool json_valid(struct str document, uint32_t max_depth, const char **fault, size_t *fault_at);

/* Unescapes the inside of a string or key into the arena. False: a lone surrogate escape (nothing else can fail). */
bool json_unescape(struct str inside, struct arena *a, struct str *out);
/* The same into caller memory of at least inside.n bytes; *n_out bytes were written. */
bool json_unescape_to(struct str inside, char *out, size_t *n_out);

/* ── picking a few values out of a document in one pass ── */

/* Paths are keys joined by '.', "" or "." is the document itself: "meta.next", "data". A digit-only part also selects
 * an array item by index: "links.0.href". A key with a dot in it is written with "\.", a backslash in front of a dot
 * or of another backslash with "\\". */
struct json_pick {
	struct str path;       /* in */
	bool found;            /* out: the path leads to a value (JSON null counts as found) */
	bool twice;            /* out: a key on the path occurs twice in its object, however it is escaped */
	struct str twin;       /* out: that key, as the path writes it */
	enum json_event type;  /* out: JSON_OBJECT, JSON_ARRAY or a scalar */
	struct str raw;        /* out: raw text with quotes or brackets, a view into the document */
	size_t items;          /* out: number of items where it is an array (or members of an object) */
	/* internal: parts of the path that lead to where the scanner is, that ever did; the next one; are there no more? */
	uint32_t matched, deepest;
	struct str part;
	bool whole;
};
/* The whole document is checked, found or not. False: JSON is bad; fault and fault_at are set. A duplicate key on a
 * path: `twice` is set, and the last one counts. */
bool json_pick(struct str document, uint32_t max_depth, struct json_pick *picks, size_t n_picks, const char **fault,
	       size_t *fault_at);

/* ── small documents of our own, as a tree ── */

struct json_node {
	enum json_event type; /* JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL */
	struct str key;       /* unescaped; empty for items of an array */
	struct str text;      /* string: unescaped; number: as written */
	struct str raw;       /* the value's bytes in the document */
	size_t at;            /* byte offset of the member's key, of an item's value */
	struct json_node *child, *next;
	size_t n_children;
};
/* ERR_JSON with byte offset; duplicate keys are refused. Nodes live in the arena, texts partly in the document. */
bool json_parse(struct str document, struct arena *a, struct json_node **root, struct err *e);
const struct json_node *json_get(const struct json_node *object, const char *key); /* NULL if absent or no object */
/* Readers that demand the field; messages name it. ERR_DAMAGE, since these read files of our own. */
bool json_need_str(const struct json_node *object, const char *key, struct str *out, struct err *e);
bool json_need_i64(const struct json_node *object, const char *key, int64_t *out, struct err *e);
bool json_need_u64(const struct json_node *object, const char *key, uint64_t *out, struct err *e);
bool json_need_bool(const struct json_node *object, const char *key, bool *out, struct err *e);
bool json_need(const struct json_node *object, const char *key, enum json_event type, const struct json_node **out,
	       struct err *e);
/* Absent, null or of another type: `otherwise`. */
struct str json_str_or(const struct json_node *object, const char *key, struct str otherwise);
int64_t json_i64_or(const struct json_node *object, const char *key, int64_t otherwise);
bool json_bool_or(const struct json_node *object, const char *key, bool otherwise);

/* ── writing, one line, no spaces, members in the order of the calls ── */

struct json_out {
	struct buf *b;
	bool need_comma;
};
#define JSON_OUT(buffer) ((struct json_out){ .b = (buffer) })
/* `key` is NULL inside arrays and for the document itself. */
void json_begin_object(struct json_out *o, const char *key);
void json_end_object(struct json_out *o);
void json_begin_array(struct json_out *o, const char *key);
void json_end_array(struct json_out *o);
void json_put_str(struct json_out *o, const char *key, struct str v); /* v is UTF-8; other bytes become U+FFFD */
void json_put_z(struct json_out *o, const char *key, const char *v);  /* NULL gives null */
void json_put_i64(struct json_out *o, const char *key, int64_t v);
void json_put_u64(struct json_out *o, const char *key, uint64_t v);
void json_put_bool(struct json_out *o, const char *key, bool v);
void json_put_null(struct json_out *o, const char *key);
void json_put_raw(struct json_out *o, const char *key, struct str json); /* valid JSON already */
void json_put_key(struct json_out *o, struct str key); /* for keys that are data; the value's own key is then NULL */
void json_escape(struct buf *b, struct str v);         /* with the quotes around */

#endif
