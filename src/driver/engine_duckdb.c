/* An engine is one DuckDB database in memory, with one thread for each query unless more are asked for: `threads=1` means
 * that DuckDB starts no threads at all and that a query runs wholly on the thread that asked for it, so that N of our threads on
 * N connections do N queries at once (measured: two queries take the time of one on two cores). */
#include "driver/engine_duckdb.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SQL_MAX_BYTES = 64 << 20,
	MESSAGE_MAX_BYTES = 1200, /* of DuckDB's own words in one of our errors */
	THREADS_MAX = 256,
	THREAD_MEMORY_BYTES = 64 << 20,
};

/* ── errors ── */

#ifdef SLUICE_EFFECTS
const char *engine_refused(enum effect_verdict v)
{
	if (v == EFFECT_GO || v == EFFECT_SHORTEN)
		return NULL;
	switch (effect_errno()) {
	case ENOMEM:
		return "Out of Memory Error: failed to allocate data of size 256.0 KiB (1.9 GiB/1.9 GiB used)";
	case ENOSPC:
		return "IO Error: Could not write file \"duckdb_temp_storage_DEFAULT-0.tmp\": No space left on device";
	default:
		return "INTERNAL Error: Attempted to access index 1 within vector of size 1";
	}
}
#endif

void engine_begin(struct engine_connection *c)
{
	c->source_failed = false;
	c->sql = NULL;
}

static size_t code_points(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Where the piece begins in line `number` of the SQL, in characters; SIZE_MAX: nowhere. */
static size_t place_in_sql(const char *sql, uint64_t number, struct str piece)
{
	struct str rest = str_from(sql ? sql : ""), line = STR_NONE;
	for (uint64_t i = 0; i < number; i++)
		if (!str_cut(&rest, '\n', &line))
			return SIZE_MAX;
	for (size_t at = 0; at + piece.n <= line.n; at++) {
		size_t i = 0; /* blanks of any kind are shown as one */
		while (i < piece.n && (piece.p[i] == line.p[at + i] || (piece.p[i] == ' ' && strchr("\t\r\v\f", line.p[at + i]))))
			i++;
		if (i == piece.n)
			return code_points(str_sub(line, 0, at));
	}
	return SIZE_MAX;
}

/* "LINE 3: ... piece of it ..." and the caret below it: the column from 1 on, 0 where it cannot be told. *head is what
 * stands in front of the piece. */
static size_t caret_column(const char *sql, struct str line, struct str caret, struct str *head)
{
	const struct str dots = STR("...");
	size_t colon = str_find_char(line, ':'), at = str_find_char(caret, '^'), first;
	uint64_t number;
	if (!str_starts(line, STR("LINE ")) || colon + 2 > line.n || at == caret.n || at < colon + 2 ||
	    !str_to_u64(str_sub(line, 5, colon - 5), &number))
		return 0;
	*head = str_sub(line, 0, colon);
	struct str piece = str_sub(line, colon + 2, line.n);
	at -= colon + 2; /* what stands there is one byte a character */
	if (!str_starts(piece, dots))
		return at + 1;
	piece = str_sub(piece, dots.n, piece.n);
	if (str_ends(piece, dots))
		piece.n -= dots.n;
	first = place_in_sql(sql, number, piece);
	return first == SIZE_MAX || at < dots.n ? 0 : first + at - dots.n + 1;
}

static size_t text_append(struct str s, char *out, size_t n, size_t size)
{
	for (size_t i = 0; i < s.n && n + 1 < size; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		out[n++] = (char)(ch < ' ' || ch == 0x7f ? ' ' : ch);
	}
	return n;
}

/* DuckDB's messages are several lines: what, candidates or hints, the line of SQL, a caret under it, at times a stack
 * trace. One line remains, without trace, and with the caret as a number: "LINE 3, column 17: SELECT ...". */
static void message_trim(const char *sql, const char *message, char *out, size_t size)
{
	struct str rest = str_from(message), line, head = STR_NONE;
	char place[64];
	size_t n = 0;

	while (str_cut(&rest, '\n', &line)) {
		struct str below = str_sub(rest, 0, str_find_char(rest, '\n'));
		size_t column = caret_column(sql, line, below, &head);
		line = str_trim(line);
		if (line.n == 0 || str_eq_z(line, "^"))
			continue;
		if (str_starts(line, STR("Stack Trace")) || str_starts(line, STR("Possible solutions:")))
			break; /* the latter are settings, which are ours */
		if (n > 0 && n + 3 < size) {
			memcpy(out + n, "; ", 2);
			n += 2;
		}
		if (column > 0) {
			int k = snprintf(place, sizeof place, "%.*s, column %zu", STR_ARG(head), column);
			CHECK(k > 0 && (size_t)k < sizeof place);
			line = str_sub(line, head.n, line.n);
			n = text_append(str_from(place), out, n, size);
		}
		n = text_append(line, out, n, size);
	}
	if (n + 1 == size) { /* cut, maybe inside a character: back to where its first byte was */
		while (n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0x80)
			n--;
		if (n > 0 && (unsigned char)out[n - 1] >= 0xc0)
			n--;
	}
	out[n] = '\0';
}

/* A limit was reached (exit 7), which more memory mends; the engine did not break (exit 9). Allocations that fail beside the
 * engine's own books come as the words of C++. */
static bool is_of_memory(const char *message, duckdb_error_type type)
{
	return type == DUCKDB_ERROR_OUT_OF_MEMORY ||
	       (message && (strncmp(message, "Out of Memory Error", 19) == 0 || strstr(message, "std::bad_alloc") != NULL));
}

/* The disk's own words: DuckDB passes on what the system said of a call that failed. */
static bool is_of_storage(const char *message, duckdb_error_type type)
{
	static const int errors[] = { ENOSPC, EDQUOT, EROFS, EIO, EFBIG };

	if (!message || (type != DUCKDB_ERROR_IO && strncmp(message, "IO Error", 8) != 0))
		return false;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (strstr(message, strerror(errors[i])))
			return true;
	return false;
}

/* It broke, whatever it was asked: no mistake in SQL or in a file. */
static bool is_of_engine(const char *message, duckdb_error_type type)
{
	return type == DUCKDB_ERROR_INTERNAL || type == DUCKDB_ERROR_FATAL ||
	       (message && (strncmp(message, "INTERNAL Error", 14) == 0 || strncmp(message, "FATAL Error", 11) == 0));
}

bool engine_fail_code(struct engine_connection *c, enum err_code code, const char *what, const char *message,
		      duckdb_error_type type, struct err *e)
{
	char text[MESSAGE_MAX_BYTES];

	if (c && c->source_failed) {
		*e = c->source_err;
		return false;
	}
	message_trim(c ? c->sql : NULL, message ? message : "no message", text, sizeof text);
	bool memory = is_of_memory(message, type);
	if (is_of_storage(message, type))
		code = ERR_STORAGE;
	else if (is_of_engine(message, type))
		code = ERR_ENGINE_FAULT;
	err_set(e, memory ? ERR_MEMORY : code, "%s: %s", what, text[0] != '\0' ? text : "no message");
	if (memory && c && c->engine->memory_bytes > 0)
		err_hint(e, "the engine had %" PRIu64 " MiB: raise `engine.memory` in the pipeline file, use fewer threads, or "
			 "ask for less at once; then run the same command again", c->engine->memory_bytes >> 20);
	return false;
}

bool engine_fail(struct engine_connection *c, const char *what, const char *message, duckdb_error_type type,
		 struct err *e)
{
	return engine_fail_code(c, ERR_ENGINE, what, message, type, e);
}

static bool run_z(struct engine_connection *c, const char *what, const char *sql, duckdb_result *result, struct err *e)
{
	engine_begin(c);
	const char *refused = ENGINE_REFUSED(duckdb_query);
	if (refused)
		return engine_fail(c, what, refused, DUCKDB_ERROR_INVALID, e);
	if (duck.duckdb_query(c->handle, sql, result) == DuckDBSuccess)
		return true;
	engine_fail(c, what, duck.duckdb_result_error(result), duck.duckdb_result_error_type(result), e);
	duck.duckdb_destroy_result(result);
	return false;
}

static bool sql_is_plain(struct str sql, struct err *e)
{
	if (sql.n > SQL_MAX_BYTES)
		return err_set(e, ERR_ENGINE, "SQL of %zu bytes: more than %d", sql.n, SQL_MAX_BYTES);
	if (str_find_char(sql, '\0') < sql.n)
		return err_set(e, ERR_ENGINE, "SQL with a NUL byte at %zu", str_find_char(sql, '\0'));
	return true;
}

bool engine_run(struct engine_connection *c, struct str sql, struct err *e)
{
	struct arena a = ARENA_INIT;
	duckdb_result result;
	bool ok;

	if (!sql_is_plain(sql, e))
		return false;
	ok = run_z(c, "SQL", arena_zero_terminated(&a, sql), &result, e);
	if (ok)
		duck.duckdb_destroy_result(&result);
	arena_free(&a);
	return ok;
}

/* ── opening: settings, then the door is shut ── */

/* Before the database exists; values that need no quoting. */
static const char *const CONFIG[][2] = {
	{ "autoinstall_known_extensions", "false" },
	{ "autoload_known_extensions", "false" },
	{ "allow_community_extensions", "false" },
	{ "allow_unsigned_extensions", "false" },
	{ "allow_persistent_secrets", "false" },
	{ "preserve_insertion_order", "true" },
	{ "default_null_order", "NULLS_FIRST_ON_ASC_LAST_ON_DESC" },
	{ "default_order", "ASC" },
};

/* For all connections; engine-differences 4.1 of the design says why. */
static const char *const SETTINGS[] = {
	"SET GLOBAL TimeZone='UTC'",
	"SET GLOBAL Calendar='gregorian'",
	"SET GLOBAL integer_division=false",
	"SET GLOBAL old_implicit_casting=false",
	"SET GLOBAL ieee_floating_point_ops=true",
	"SET GLOBAL default_collation=''",
	"SET GLOBAL enable_external_file_cache=false", /* files are read once: it would only fill the memory */
};

static bool config_set(duckdb_config config, const char *name, const char *value)
{
	return !ENGINE_REFUSED(duckdb_set_config) && duck.duckdb_set_config(config, name, value) == DuckDBSuccess;
}

static unsigned threads_of(const struct engine_options *o)
{
	uint64_t most = o->memory_bytes > 0 ? o->memory_bytes / THREAD_MEMORY_BYTES : THREADS_MAX;
	uint64_t n = o->threads < most ? o->threads : most;
	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static bool config_fill(duckdb_config config, const struct engine_options *o, struct err *e)
{
	char memory[32], threads[16];
	int n = snprintf(memory, sizeof memory, "%" PRIu64 "B", o->memory_bytes);

	CHECK(n > 0 && (size_t)n < sizeof memory);
	n = snprintf(threads, sizeof threads, "%u", threads_of(o));
	CHECK(n > 0 && (size_t)n < sizeof threads);
	if (!config_set(config, "threads", threads))
		return err_set(e, ERR_ENGINE_FAULT, "DuckDB: the setting threads is refused");
	for (size_t i = 0; i < sizeof CONFIG / sizeof CONFIG[0]; i++)
		if (!config_set(config, CONFIG[i][0], CONFIG[i][1]))
			return err_set(e, ERR_ENGINE_FAULT, "DuckDB: the setting %s is refused", CONFIG[i][0]);
	if (o->memory_bytes > 0 && !config_set(config, "memory_limit", memory))
		return err_set(e, ERR_ENGINE_FAULT, "DuckDB: a memory limit of %s is refused", memory);
	if (o->scratch && !config_set(config, "temp_directory", o->scratch))
		return err_set(e, ERR_ENGINE_FAULT, "DuckDB: %s is refused as scratch folder", o->scratch);
	return true;
}

/* SET name=['a','b'] */
static bool set_paths(struct engine_connection *c, const char *name, const char *const *paths, size_t n, struct err *e)
{
	struct buf sql = BUF_INIT(SQL_MAX_BYTES);
	duckdb_result result;
	bool ok = buf_addf(&sql, "SET GLOBAL %s=[", name);

	for (size_t i = 0; ok && i < n; i++) {
		if (paths[i][0] == '\0') { /* DuckDB would take it for the working folder */
			buf_free(&sql);
			return err_set(e, ERR_ENGINE, "an empty path cannot be allowed");
		}
		struct str path = str_from(paths[i]);
		ok = (i == 0 || buf_add_char(&sql, ',')) && sql_literal(&sql, path);
		if (ok && strpbrk(paths[i], "*?[")) /* it is asked for as a pattern, and then opened */
			ok = buf_add_char(&sql, ',') && sql_path(&sql, path);
	}
	ok = ok && buf_add_char(&sql, ']');
	if (!ok)
		err_set(e, ERR_ENGINE, "%zu paths are too many to allow", n);
	else
		ok = run_z(c, "DuckDB's settings", sql.p, &result, e);
	if (ok)
		duck.duckdb_destroy_result(&result);
	buf_free(&sql);
	return ok;
}

static bool engine_pin(struct engine *g, const struct engine_options *o, struct err *e)
{
	struct engine_connection *c = NULL;
	bool ok = engine_connect(g, &c, e);

	for (size_t i = 0; ok && i < sizeof SETTINGS / sizeof SETTINGS[0]; i++)
		ok = engine_run(c, str_from(SETTINGS[i]), e);
	ok = ok && (o->n_folders == 0 || set_paths(c, "allowed_directories", o->folders, o->n_folders, e)) &&
	     (o->n_files == 0 || set_paths(c, "allowed_paths", o->files, o->n_files, e)) &&
	     engine_run(c, STR("SET GLOBAL enable_external_access=false"), e) &&
	     engine_run(c, STR("SET GLOBAL lock_configuration=true"), e);
	if (c)
		engine_disconnect(c);
	return ok;
}

bool engine_open(const struct engine_options *o, struct engine **out, struct err *e)
{
	duckdb_config config = NULL;
	struct engine *g;
	char *message = NULL;
	const char *refused;
	bool ok;

	*out = NULL;
	if (!engine_load(e))
		return false;
	if (ENGINE_REFUSED(duckdb_create_config) || duck.duckdb_create_config(&config) != DuckDBSuccess)
		return err_set(e, ERR_ENGINE_FAULT, "DuckDB gives no configuration");
	g = mem_alloc(sizeof *g);
	g->memory_bytes = o->memory_bytes;
	pthread_mutex_init(&g->lock, NULL);
	ok = config_fill(config, o, e);
	refused = ok ? ENGINE_REFUSED(duckdb_open_ext) : NULL;
	if (ok && (refused || duck.duckdb_open_ext(NULL, &g->database, config, &message) != DuckDBSuccess)) {
		ok = engine_fail(NULL, "DuckDB cannot be opened", refused ? refused : message, DUCKDB_ERROR_INVALID, e);
		g->database = NULL;
	}
	if (message)
		duck.duckdb_free(message);
	duck.duckdb_destroy_config(&config);
	ok = ok && engine_pin(g, o, e);
	if (!ok) {
		engine_close(g);
		return false;
	}
	*out = g;
	return true;
}

void engine_close(struct engine *g)
{
	if (!g)
		return;
	CHECK(!g->connections);
	if (g->database)
		duck.duckdb_close(&g->database);
	pthread_mutex_destroy(&g->lock);
	arena_free(&g->arena);
	mem_free(g);
}

bool engine_connect(struct engine *g, struct engine_connection **out, struct err *e)
{
	struct engine_connection *c = mem_alloc(sizeof *c);
	duckdb_client_context context = NULL;

	*out = NULL;
	if (ENGINE_REFUSED(duckdb_connect) || duck.duckdb_connect(g->database, &c->handle) != DuckDBSuccess) {
		mem_free(c);
		return err_set(e, ERR_ENGINE_FAULT, "DuckDB gives no connection");
	}
	duck.duckdb_connection_get_client_context(c->handle, &context);
	c->id = duck.duckdb_client_context_get_connection_id(context);
	duck.duckdb_destroy_client_context(&context);
	c->engine = g;
	pthread_mutex_lock(&g->lock);
	c->next = g->connections;
	g->connections = c;
	pthread_mutex_unlock(&g->lock);
	*out = c;
	return true;
}

void engine_disconnect(struct engine_connection *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->engine->lock);
	struct engine_connection **at = &c->engine->connections;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	pthread_mutex_unlock(&c->engine->lock);
	duck.duckdb_disconnect(&c->handle);
	mem_free(c);
}

void engine_interrupt(struct engine_connection *c)
{
	duck.duckdb_interrupt(c->handle);
}

/* ── Parquet ── */

/* Number of statements, 0 where the text does not parse. */
static size_t statements(struct engine_connection *c, const char *sql, enum err_code code, const char *what,
			 struct err *e)
{
	duckdb_extracted_statements extracted = NULL;
	const char *refused = ENGINE_REFUSED(duckdb_extract_statements);
	idx_t n = refused ? 0 : duck.duckdb_extract_statements(c->handle, sql, &extracted);

	if (n == 0) {
		const char *message = refused ? refused : duck.duckdb_extract_statements_error(extracted);
		engine_begin(c);
		c->sql = sql;
		engine_fail_code(c, code, what, message ? message : "no statement", DUCKDB_ERROR_PARSER, e);
		c->sql = NULL;
	}
	duck.duckdb_destroy_extracted(&extracted);
	return (size_t)n;
}

static bool one_statement(struct engine_connection *c, const char *sql, enum err_code code, const char *what,
			  struct err *e)
{
	size_t n = statements(c, sql, code, what, e);

	if (n > 1)
		err_set(e, code, "%s: %zu statements where one is wanted", what, n);
	return n == 1;
}

/* COPY answers with one row: how many it wrote. */
static bool copy_count(struct engine_connection *c, duckdb_result *result, uint64_t *rows, struct err *e)
{
	const char *refused = ENGINE_REFUSED(duckdb_fetch_chunk);
	duckdb_data_chunk chunk = refused ? NULL : duck.duckdb_fetch_chunk(*result);
	bool ok = chunk && duck.duckdb_data_chunk_get_size(chunk) == 1;

	if (ok)
		*rows = (uint64_t)*(int64_t *)duck.duckdb_vector_get_data(duck.duckdb_data_chunk_get_vector(chunk, 0));
	else
		engine_fail(c, "Parquet", refused ? refused : "COPY did not say how many rows it wrote", DUCKDB_ERROR_INTERNAL, e);
	if (chunk)
		duck.duckdb_destroy_data_chunk(&chunk);
	return ok;
}

/* ZSTD level 1: 2 M rows of 8 mixed columns took 0.68 s and 48.4 MB, level 3 0.82 s and 48.8 MB, level 6 1.44 s and
 * 47.5 MB (bench/parquet_way.c). The file gets its final name at once: nobody reads it until a commit names it; DuckDB
 * removes it if the COPY fails. */
static bool copy_sql(struct buf *sql, struct str select, const char *path, enum parquet_encoding encoding)
{
	return buf_add(sql, STR("COPY (\n")) && buf_add(sql, select) && buf_add(sql, STR("\n) TO ")) &&
	       sql_literal(sql, str_from(path)) &&
	       buf_add(sql, STR(" (FORMAT PARQUET, COMPRESSION ZSTD, COMPRESSION_LEVEL 1, PARQUET_VERSION V1, "
				"ROW_GROUP_SIZE 122880, USE_TMP_FILE false")) &&
	       buf_add(sql, encoding == PARQUET_PLAIN ? STR(", DICTIONARY_SIZE_LIMIT 0)") : STR(")"));
}

bool engine_write_parquet(struct engine_connection *c, struct str select, const char *path,
			  enum parquet_encoding encoding, uint64_t *rows, uint64_t *size_bytes, struct err *e)
{
	struct buf sql = BUF_INIT(SQL_MAX_BYTES + (1 << 20));
	struct arena a = ARENA_INIT;
	duckdb_result result;
	struct stat st;
	bool ok = sql_is_plain(select, e);

	if (ok && sys_lstat(path, &st) == 0)
		ok = err_set(e, ERR_ENGINE, "%s: exists already; no name is ever written twice", path);
	/* By itself and inside COPY one statement: so it cannot close the bracket and go on as something else. */
	ok = ok && one_statement(c, arena_zero_terminated(&a, select), ERR_ENGINE, path, e);
	if (ok && !copy_sql(&sql, select, path, encoding))
		ok = err_set(e, ERR_ENGINE, "%s: its SQL is too long", path);
	ok = ok && one_statement(c, sql.p, ERR_ENGINE, path, e);
	if (ok) {
		ok = run_z(c, path, sql.p, &result, e);
		if (ok) {
			ok = copy_count(c, &result, rows, e);
			duck.duckdb_destroy_result(&result);
			ok = ok && file_settle(path, size_bytes, e);
			if (!ok)
				sys_unlink(path);
		}
	}
	buf_free(&sql);
	arena_free(&a);
	return ok;
}

/* ── syntax ── */

struct parse {
	struct arena *a;
	struct str json;
};

static bool parse_take(void *user, const struct batch *b, struct err *e)
{
	struct parse *p = user;

	(void)e;
	if (b->n_rows > 0 && batch_is_valid(&b->columns[0], 0))
		p->json = arena_copy(p->a, b->columns[0].s[0]);
	return true;
}

/* The answer is {"error":true,"error_message":...} for a statement that is no SELECT. */
static bool parse_answer(struct str json, struct arena *a, struct str *out, struct err *e)
{
	struct json_pick picks[] = { { .path = STR("error") }, { .path = STR("error_message") } };
	const char *fault = NULL;
	size_t fault_at = 0;
	struct str message = STR("it is not a SELECT");

	if (!json_pick(json, JSON_DEPTH_MAX, picks, 2, &fault, &fault_at))
		return err_set(e, ERR_CONFIG, "SQL: its syntax tree cannot be read (%s at byte %zu): too deeply nested?",
			       fault, fault_at);
	if (picks[0].found && picks[0].type == JSON_FALSE) {
		*out = json;
		return true;
	}
	if (picks[1].found && picks[1].type == JSON_STRING && picks[1].raw.n >= 2 &&
	    !json_unescape(str_sub(picks[1].raw, 1, picks[1].raw.n - 2), a, &message))
		message = STR("it is not a SELECT");
	return err_set(e, ERR_CONFIG, "SQL: %.*s", STR_ARG(message));
}

static bool parse(struct engine_connection *c, const char *before, struct str sql, const char *after, struct arena *a,
		  struct str *json, struct err *e)
{
	struct buf ask = BUF_INIT(SQL_MAX_BYTES);
	struct parse p = { .a = a };
	struct batch_shape *shape;
	size_t n_columns;
	bool ok = true;

	*json = STR_NONE;
	if (sql.n > SQL_MAX_BYTES || str_find_char(sql, '\0') < sql.n)
		return err_set(e, ERR_CONFIG, "SQL: a NUL byte, or longer than %d bytes", SQL_MAX_BYTES);
	ok = one_statement(c, arena_zero_terminated(a, sql), ERR_CONFIG, "SQL", e);
	if (ok && !(buf_add_z(&ask, before) && sql_literal(&ask, sql) && buf_add_z(&ask, after)))
		ok = err_set(e, ERR_CONFIG, "SQL: longer than %d bytes", SQL_MAX_BYTES);
	ok = ok && engine_query(c, buf_str(&ask), a, &shape, &n_columns, parse_take, &p, e) &&
	     parse_answer(p.json, a, json, e);
	buf_free(&ask);
	return ok;
}

bool engine_parse_select(struct engine_connection *c, struct str sql, struct arena *a, struct str *json, struct err *e)
{
	return parse(c, "SELECT CAST(json_serialize_sql(", sql, ") AS VARCHAR)", a, json, e);
}

bool engine_plan_select(struct engine_connection *c, struct str sql, struct arena *a, struct str *json, struct err *e)
{
	return parse(c, "SELECT CAST(json_serialize_plan(", sql, ", optimize := false) AS VARCHAR)", a, json, e);
}
