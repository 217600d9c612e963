/* SQL and Parquet by an embedded engine (DuckDB), loaded at run time. Used only inside the engine child process
 * (`sluice engine duckdb job.json`, see driver/child.h): a crash in it is a typed error of the run.
 *
 * The engine is opened with pinned settings: UTC, Spark's order of NULLs, one thread per connection unless more are asked for, a memory limit, its input files and output
 * folders as the only paths, no external access beyond them, and a locked configuration. */
#ifndef SLUICE_DRIVER_ENGINE_H
#define SLUICE_DRIVER_ENGINE_H

#include "contract/batch.h"

struct engine;
struct engine_connection; /* one thread at a time; several may run at once */

struct engine_options {
	uint64_t memory_bytes;
	/* 0, 1: a query runs on the thread that asks for it, so rows come in the same order each time, sums of doubles are the same,
	 * and a file has the same bytes. More: so many work on a query; what depends on an order that the query does not fix is then
	 * another thing each time. Never more than memory_bytes is enough for. */
	unsigned threads;
	const char *scratch;          /* folder for spilling; SQL may read and write there too, so it is nobody else's */
	const char *const *folders;   /* may be read and written below */
	size_t n_folders;
	const char *const *files;     /* may be read */
	size_t n_files;
};

const char *engine_library_path(void);            /* the libduckdb that would be loaded, "" if none is found */
bool engine_version(struct arena *a, struct str *out, struct err *e); /* "DuckDB v1.5.5" */
bool engine_open(const struct engine_options *o, struct engine **out, struct err *e);
void engine_close(struct engine *g);
bool engine_connect(struct engine *g, struct engine_connection **out, struct err *e);
void engine_disconnect(struct engine_connection *c);
/* Ends what runs on it, with ERR_ENGINE there; from any thread. */
void engine_interrupt(struct engine_connection *c);

bool engine_run(struct engine_connection *c, struct str sql, struct err *e);

/* Rows out: `take` is called with batches until done; the batch's strings are valid during the call. Integers come as
 * INTEGER whatever their width, HUGEINT as DECIMAL(38,0), TIMESTAMP and TIMESTAMPTZ both as TIMESTAMP (the first with SCALE_OF_WALL_CLOCK), ENUM and nested
 * types, and whatever else a batch cannot hold, as STRING (text form). UBIGINT is DECIMAL(20,0), FLOAT is DOUBLE. An
 * integer beyond 38 digits is ERR_ENGINE. *shape (in the arena) is set before the first `take`, which must not use this
 * connection. A failure of `take` ends the query with that err. */
typedef bool engine_take(void *user, const struct batch *b, struct err *e);
bool engine_query(struct engine_connection *c, struct str sql, struct arena *a, struct batch_shape **shape,
		  size_t *n_columns, engine_take *take, void *user, struct err *e);
/* Is the text one statement that reads and gives rows (SELECT in any of its forms, EXPLAIN)? ERR_USAGE if not; nothing is
 * run. A statement with mistakes passes: engine_query has the words for them. */
bool engine_is_select(struct engine_connection *c, struct str sql, struct err *e);

/* Rows in: a source is visible as the table function `name()` on this engine; `next` fills the batch it is given
 * (cleared) with up to BATCH_ROWS rows, 0 rows at the end; the strings must stay valid until its next call. It runs
 * on the thread of the query that reads it, and one query reads it at a time. A failure of `next` ends the query with
 * exactly that err; a text that is not UTF-8 or a decimal beyond its precision is ERR_BUG. */
typedef bool engine_next(void *user, struct batch *b, struct err *e);
struct engine_source {
	const char *name; /* [a-z0-9_]+, unique in the engine */
	const struct batch_shape *shape;
	size_t n_columns;
	engine_next *next;
	void *user;
};
bool engine_add_source(struct engine_connection *c, const struct engine_source *s, struct err *e);

/* How columns are encoded. DuckDB's dictionaries keep one of several doubles that equal each other: -0.0 comes back as
 * 0.0 if that came first, and a NaN as another NaN. Where a double column may hold those, PLAIN keeps the bits; the file
 * is larger. */
enum parquet_encoding { PARQUET_DICTIONARY, PARQUET_PLAIN };
/* COPY (select) TO path: Parquet, ZSTD, data pages V1, row groups of 122,880 rows, rows in the order of `select`.
 * The file must not exist; it is durable (fsync, its folder too) when this returns true; false leaves no new file.
 * Result: size and number of rows. ERR_STORAGE where the disk refuses (full, quota, read-only, broken), here and wherever
 * the engine spills. */
bool engine_write_parquet(struct engine_connection *c, struct str select, const char *path,
			  enum parquet_encoding encoding, uint64_t *rows, uint64_t *size_bytes, struct err *e);

/* Syntax tree of one SELECT as JSON (json_serialize_sql), which may nest to JSON_DEPTH_MAX; ERR_CONFIG with the engine's
 * message if it does not parse or is something else. */
bool engine_parse_select(struct engine_connection *c, struct str sql, struct arena *a, struct str *json, struct err *e);
/* The same SELECT bound to the tables that this connection sees, as its plan before it is optimised (json_serialize_plan):
 * every expression has its type, most have their position. ERR_CONFIG also where it cannot be bound. */
bool engine_plan_select(struct engine_connection *c, struct str sql, struct arena *a, struct str *json, struct err *e);

/* SQL text pieces, the only places where text becomes SQL. */
bool sql_identifier(struct buf *out, struct str name); /* "quoted"; empty or with a NUL is refused */
bool sql_literal(struct buf *out, struct str text);    /* 'quoted'; a NUL is refused */
bool sql_path(struct buf *out, struct str path);       /* of a file to read: *, ? and [ mean themselves, and no pattern */
const char *engine_sql_type(enum column_type t, unsigned precision, unsigned scale, char out[32]);

#endif
