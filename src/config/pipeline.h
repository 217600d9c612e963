/* The pipeline file: words into checked structs. Everything here is complete and consistent once pipeline_load
 * returned true; the rest of the program asserts and never asks again. */
#ifndef SLUICE_CONFIG_PIPELINE_H
#define SLUICE_CONFIG_PIPELINE_H

#include "base/calendar.h"
#include "base/hash.h"
#include "config/problem.h"
#include "config/secret.h"

enum {
	NAME_MAX_BYTES = 63, RESOURCES_MAX = 256, QUERY_MAX = 64, HEADERS_MAX = 32, SOURCES_MAX = 64, ENVIRONMENTS_MAX = 64
};

/* Names of pipelines, resources, tables and columns: [a-z][a-z0-9_]*, no "__" in resource names (kept for children and
 * nested objects), at most 63 bytes. They become folders, keys and SQL identifiers. */
bool name_ok(struct str name);

/* ── text with placeholders ── */

enum window_edge { EDGE_FROM, EDGE_TO, EDGE_LAST }; /* last: the last day (or second) inside the window */
enum edge_form { FORM_DATE, FORM_DATETIME, FORM_EPOCH_S, FORM_EPOCH_MS, FORM_PATTERN };

/* "{window.from:date}" "{window.last:date}" "{window.to:%Y-%m-%dT%H:%M}"; "{{" and "}}" are braces. Forms are written
 * in the resource's zone (date, pattern) or UTC (datetime: RFC 3339). window.last is to - 1 s, which lies in the last
 * day of the window whatever that day's length. */
struct template_part {
	bool is_edge;
	struct str literal;
	enum window_edge edge;
	enum edge_form form;
	struct str pattern;
};
struct template {
	const struct template_part *parts;
	size_t n_parts;
	struct str source; /* as written; empty for bodies, which are put together from a tree */
};
struct window; /* below */
struct yaml_node;
/* False: problems with the place of the fault were added. */
bool template_parse(struct str text, const struct yaml_node *at, struct arena *a, struct template *out,
		    struct problems *p);
/* The same for the inside of a JSON string: literals are escaped. */
bool template_parse_json(struct str text, const struct yaml_node *at, struct arena *a, struct template *out,
			 struct problems *p);
bool template_has_edge(const struct template *t);
/* `zone` NULL is UTC. The text is not URL-encoded. */
struct str template_fill(const struct template *t, const struct window *w, const struct zone *zone, struct arena *a);

/* A half-open interval. Names: 20130101T050000Z_20130102T050000Z. */
struct window {
	int64_t from_us, to_us;
};
struct str window_name(struct window w, struct arena *a);
bool window_from_name(struct str name, struct window *out);

struct name_value {
	struct str name;
	struct template value;
};

/* ── source ── */

enum auth_kind { AUTH_NONE, AUTH_HEADER, AUTH_QUERY, AUTH_BASIC, AUTH_BEARER };
struct auth {
	enum auth_kind kind;
	struct str name;         /* header or query parameter */
	struct str user;         /* Basic */
	struct secret secret;
};

struct origin { /* RFC 6454: what credentials belong to */
	struct str scheme, host; /* lower case; host without brackets */
	uint16_t port;
};

struct retry_policy {
	uint32_t attempts;    /* per request, the first one included; default 6 */
	int64_t first_us;     /* upper bound of the first pause; doubles: full jitter in [0, bound]; default 0.5 s */
	int64_t max_us;       /* upper bound of any pause of ours; default 30 s */
	int64_t wait_max_us;  /* longest Retry-After that is obeyed by waiting; longer ends the run (exit 3); default 5 min */
};

struct http_limits {
	uint64_t header_bytes;   /* status line and headers of one answer; default 256 KiB */
	uint64_t body_bytes;     /* as received; default 64 MiB */
	uint64_t decoded_bytes;  /* after content decoding; default 256 MiB */
	uint32_t decoded_ratio;  /* decoded / received, from 1 MiB decoded on; default 200 */
	uint32_t json_depth;     /* default 128 */
};

struct source {
	struct str name;       /* in `sources`; "" where there is only one */
	struct str url;        /* as written, without a trailing '/' */
	struct origin origin;
	struct str base_path;  /* path of the URL, "" or "/v1" */
	struct auth auth;
	struct name_value *headers; /* fixed extra request headers */
	size_t n_headers;
	bool has_rate;
	uint32_t rate_requests;
	int64_t rate_per_us;
	uint32_t rate_burst;   /* default 1 */
	uint32_t in_flight;    /* requests at once; default 8 */
	struct retry_policy retry;
	int64_t connect_us, first_byte_us; /* time-outs; defaults 10 s, 60 s */
	int64_t total_us;      /* of one request; default 5 min */
	int64_t deadline_us;   /* of all ingest of a run; 0 none */
	uint32_t low_speed_bytes_s; /* slower than this over 30 s is a time-out; default 100 */
	struct http_limits limits;
	bool network_private;  /* private and loopback addresses are allowed */
	struct secret_set secrets;
};

/* ── resources ── */

/* ── engines ── */

enum engine_use { ENGINE_USE_UNSAID, ENGINE_USE_DUCKDB, ENGINE_USE_SPARK, ENGINE_USE_AUTO };
bool engine_use_from(struct str word, enum engine_use *out); /* "duckdb" */

struct spark_settings {
	struct str submit, master;    /* empty: looked for; local[threads] */
	struct str *names, *values;   /* of `conf` */
	size_t n_conf;
	uint64_t from_bytes;          /* of input, for `auto` */
};
struct model_settings {
	struct str name;
	enum engine_use engine;
	unsigned line, column;
};

enum resource_kind { KIND_WINDOW, KIND_SNAPSHOT };
enum page_style { PAGE_NONE, PAGE_NUMBER, PAGE_OFFSET, PAGE_CURSOR, PAGE_NEXT_URL, PAGE_LINK };
enum page_end { END_EMPTY, END_SHORT }; /* page, offset: an empty page ends; or (if declared) one shorter than size */
enum cursor_place { CURSOR_BODY, CURSOR_HEADER };      /* where the next one is read */
enum cursor_target { CURSOR_TO_QUERY, CURSOR_TO_BODY, CURSOR_TO_HEADER };

struct paginate {
	enum page_style style;
	struct str param;         /* query parameter of the page number, offset, cursor */
	int64_t first;            /* first page number, default 1; first offset, default 0 */
	struct str size_param;    /* page, offset: query parameter of the page size; may be empty */
	uint32_t size;            /* 0: unknown */
	enum page_end end;
	struct str pages_path;    /* JSON path to the number of pages, or empty */
	bool verify;              /* page, offset: the first page is asked for again after the last */
	enum cursor_place from;
	enum cursor_target to;
	struct str from_path;     /* JSON path (cursor, next URL) or header name */
	struct str more_path;     /* JSON path to a boolean "has more", or empty */
	struct str rel;           /* Link header: relation, default "next" */
};

enum empty_policy { EMPTY_ERROR, EMPTY_PAGE }; /* 204, or 200 without a byte */

struct resource {
	struct str name;
	enum resource_kind kind;
	const struct source *source;
	struct str path;          /* "/flights"; may hold placeholders */
	struct template path_template;
	struct name_value *query;  /* in the order written */
	size_t n_query;
	struct name_value *headers;
	size_t n_headers;
	bool post;                /* POST with a JSON body that is declared idempotent; else GET */
	struct template body;
	struct str records;       /* JSON path, "" the document */
	struct str total;         /* JSON path of the declared number of records, or empty */
	uint64_t total_max;       /* rule 8; 0 none */
	struct str ok_path;       /* JSON path that must be absent or null in a good answer ("error"), or empty */
	enum empty_policy empty;
	struct paginate paginate;
	struct str keyset;        /* JSON path inside a record: the key that is promised to rise; or empty */
	struct step step;         /* window kind; snapshots use the schedule's */
	int64_t lookback_us, settle_us;
	uint32_t refetch_min_percent; /* default 95 */
	int64_t resume_within_us; /* default 24 h; for page-number and offset */
	/* What a kill may cost, by the first that is reached; a segment ends a quarter before. Defaults 64, 32 MiB, 10 s */
	uint64_t segment_pages, segment_bytes;
	int64_t segment_us;
	bool secret_in_body_keep;
	enum engine_use engine;   /* UNSAID: that of the pipeline */
	const char *file;         /* where it was declared, for messages */
	unsigned line, column;
};

struct store_settings { /* of lakes on S3; empty: found out by the driver */
	struct str endpoint, region, ca_file;
	bool path_style, single_writer;
};

struct pipeline {
	const char *file;     /* pipeline.yaml as named */
	struct str folder;    /* of that file; contracts/ and models/ are beside it */
	struct str name;
	struct str lake;      /* path, relative ones resolved against `folder`; or s3://bucket/prefix */
	struct store_settings store; /* of lakes on S3 */
	struct str environment; /* "" or the name given with --env */
	struct step schedule; /* window: 1d unless declared; zone UTC unless declared */
	struct str cron;      /* kept for deployment */
	struct source *sources;
	size_t n_sources;
	struct resource *resources; /* in the order of the file */
	size_t n_resources;
	uint64_t file_rows;   /* rule 29: records per table file; default 200,000 */
	uint64_t memory_bytes; /* for the engine; default 256 MiB */
	uint64_t scratch_bytes; /* of a job's inputs, where they have to be brought to this machine; default 64 GiB */
	enum engine_use engine; /* default DUCKDB */
	struct spark_settings spark;
	struct model_settings *models; /* not every model has some */
	size_t n_models;
	bool portable;         /* models must mean the same to every engine; default true */
	struct sha256 digest; /* of the file's meaning */
};

/* Reads, checks, fills defaults. Does not load secrets. False: problems were added. */
bool pipeline_load(const char *path, struct str environment, struct arena *a, struct pipeline **out,
		   struct problems *p);
/* For `sluice check`: the problems of the file as it stands and of each of its environments, each problem once. */
bool pipeline_check(const char *path, struct arena *a, struct problems *p);
/* `sluice help pipeline-file`: every key with type, default and meaning. */
void pipeline_help(struct buf *out);
const struct resource *pipeline_resource(const struct pipeline *p, struct str name); /* NULL if unknown */
bool source_load_secrets(struct source *s, struct secret_fetcher *fetcher, struct arena *a, struct err *e);
/* After a refusal: loads the secret again, from wherever it came. Where it is another one, it takes the place of the old, which
 * stays in the set of those that are looked for. While nobody else uses the source. */
bool source_renew_secrets(struct source *s, struct secret_fetcher *fetcher, struct arena *a, bool *changed, struct err *e);
/* Rule 6: canonical JSON of what makes two fetches comparable, and its SHA-256. */
struct str resource_definition(const struct resource *r, struct arena *a);

/* ── URLs (RFC 3986) ── */
struct url {
	struct origin origin;
	struct str path;  /* starts with '/' */
	struct str query; /* without '?', "" if none */
};
bool url_parse(struct str text, struct arena *a, struct url *out, struct err *e); /* absolute http(s), no user info */
/* Section 5.2: reference (absolute or relative) against a base; dot segments removed, fragment dropped. */
bool url_resolve(const struct url *base, struct str reference, struct arena *a, struct url *out, struct err *e);
bool origin_eq(const struct origin *a, const struct origin *b);
struct str origin_text(const struct origin *o, struct arena *a); /* default port left out; IPv6 in brackets */
/* Literal addresses and "localhost" only; nothing is resolved. Link-local addresses do not count as private. */
bool host_is_private(struct str host); /* loopback included */
bool host_is_loopback(struct str host);
bool url_encode(struct buf *out, struct str text); /* query component: unreserved stay, space is %20 */

#endif
