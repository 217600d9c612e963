/* Rows into zstd Parquet, one thread: our table function against Arrow arrays handed over as they are, and the levels of
 * zstd: parquet_way [million rows]. The Arrow way is shown at its best: its arrays are made before the clock starts and are
 * neither copied nor freed, while the table function copies each batch twice (into the batch, into DuckDB's vector). */
#include "base/file.h"
#include "driver/engine.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { COLUMNS = 8, POOL = 64 };

static const struct batch_shape SHAPE[COLUMNS] = {
	{ STR("key"), TYPE_INTEGER, 0, 0 },   { STR("count"), TYPE_INTEGER, 0, 0 }, { STR("price"), TYPE_DECIMAL, 10, 2 },
	{ STR("ratio"), TYPE_DOUBLE, 0, 0 },  { STR("at"), TYPE_TIMESTAMP, 0, 0 },  { STR("day"), TYPE_DATE, 0, 0 },
	{ STR("code"), TYPE_STRING, 0, 0 },   { STR("title"), TYPE_STRING, 0, 0 },
};
/* Arrow's names of these types; a decimal goes as 64 bits. */
static const char *const FORMATS[COLUMNS] = { "l", "l", "d:10,2,64", "g", "tsu:UTC", "tdD", "u", "u" };

struct ArrowSchema { /* the Arrow C data interface */
	const char *format, *name, *metadata;
	int64_t flags, n_children;
	struct ArrowSchema **children, *dictionary;
	void (*release)(struct ArrowSchema *);
	void *private_data;
};
struct ArrowArray {
	int64_t length, null_count, offset, n_buffers, n_children;
	const void **buffers;
	struct ArrowArray **children, *dictionary;
	void (*release)(struct ArrowArray *);
	void *private_data;
};

static struct arena arena;
static struct batch *pool[POOL];
static struct ArrowArray arrow_pool[POOL];
static size_t n_batches;

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void pool_fill(struct batch *b, uint64_t *x)
{
	b->n_rows = BATCH_ROWS;
	for (size_t r = 0; r < BATCH_ROWS; r++) {
		*x = *x * 6364136223846793005u + 1442695040888963407u;
		uint64_t v = *x >> 20;
		for (size_t i = 0; i < COLUMNS; i++)
			if (i == 0 || (v >> i) % 16 != 0)
				batch_set_valid(&b->columns[i], r);
		b->columns[0].i64[r] = (int64_t)(v % 100000000);
		b->columns[1].i64[r] = (int64_t)(v % 500);
		b->columns[2].i128[r] = (int64_t)(v % 1000000);
		b->columns[3].f64[r] = (double)(v % 100000) / 64;
		b->columns[4].i64[r] = INT64_C(1356998400000000) + (int64_t)(v % 31536000) * 1000000;
		b->columns[5].i32[r] = 15706 + (int32_t)(v % 365);
		b->columns[6].s[r] = arena_format(&arena, "N%" PRIu64, v % 4000);
		b->columns[7].s[r] = arena_format(&arena, "Title no. %" PRIu64 " of the rows", v % 1000000);
	}
}

/* ── the table function ── */

static bool next_batch(void *user, struct batch *b, struct err *e)
{
	size_t *done = user;
	const struct batch *p = pool[*done % POOL];

	(void)e;
	if (*done == n_batches)
		return true;
	(*done)++;
	b->n_rows = p->n_rows;
	for (size_t i = 0; i < COLUMNS; i++) {
		static const size_t sizes[] = { 8, 8, 16, 8, 8, 4, sizeof(struct str), sizeof(struct str) };
		memcpy(b->columns[i].valid, p->columns[i].valid, sizeof p->columns[i].valid);
		memcpy(b->columns[i].i64, p->columns[i].i64, sizes[i] * BATCH_ROWS);
	}
	return true;
}

static double run_table_function(const char *folder, const char *path, int level, struct err *e)
{
	struct engine_options o = { .memory_bytes = 1 << 30, .scratch = folder, .folders = &folder, .n_folders = 1 };
	size_t done = 0;
	struct engine_source s = { "rows_in", SHAPE, COLUMNS, next_batch, &done };
	struct engine *g;
	struct engine_connection *c;
	double start, took = -1;

	if (!engine_open(&o, &g, e))
		return -1;
	if (engine_connect(g, &c, e)) {
		start = cpu_s();
		if (engine_add_source(c, &s, e) &&
		    engine_run(c, arena_format(&arena, "COPY (SELECT * FROM rows_in()) TO '%s' (FORMAT PARQUET, COMPRESSION "
					       "ZSTD, COMPRESSION_LEVEL %d, PARQUET_VERSION V1)", path, level), e))
			took = cpu_s() - start;
		engine_disconnect(c);
	}
	engine_close(g);
	return took;
}

/* ── Arrow: a database of its own, DuckDB's functions by name; all handles are pointers ── */

static void *library, *arrow_connection, *arrow_schema;
static size_t arrow_done;

#define CALL(type, name, ...) ((type)dlsym(library, name))(__VA_ARGS__)
typedef void *one_to_pointer(void *);
typedef int two_to_int(void *, void *);
typedef void two_to_void(void *, void *);
typedef void three_to_void(void *, const char *, void *);
typedef int query_type(void *, const char *, void *);
typedef void *chunk_type(void *, struct ArrowArray *, void *, void **);
typedef void *vector_type(void *, uint64_t);
typedef void size_type(void *, uint64_t);

static vector_type *get_vector;
static two_to_void *reference;
static chunk_type *from_arrow;
static size_type *set_size;
static void (*destroy_chunk)(void **);

static void release_array(struct ArrowArray *a)
{
	a->release = NULL;
}

static void release_schema(struct ArrowSchema *s)
{
	s->release = NULL;
}

static void arrow_fill(struct ArrowArray *top, const struct batch *b)
{
	*top = (struct ArrowArray){ .length = BATCH_ROWS, .n_buffers = 1, .n_children = COLUMNS, .release = release_array };
	top->buffers = arena_array(&arena, const void *, 1);
	top->children = arena_array(&arena, struct ArrowArray *, COLUMNS);
	for (size_t i = 0; i < COLUMNS; i++) {
		const struct batch_column *c = &b->columns[i];
		struct ArrowArray *a = top->children[i] = arena_new(&arena, struct ArrowArray);
		*a = (struct ArrowArray){ .length = BATCH_ROWS, .null_count = -1, .n_buffers = 2, .release = release_array };
		a->buffers = arena_array(&arena, const void *, 3);
		a->buffers[0] = c->valid;
		a->buffers[1] = c->i64;
		if (c->type == TYPE_DECIMAL) {
			int64_t *narrow = arena_array(&arena, int64_t, BATCH_ROWS);
			for (size_t r = 0; r < BATCH_ROWS; r++)
				narrow[r] = (int64_t)c->i128[r];
			a->buffers[1] = narrow;
		} else if (c->type == TYPE_STRING) {
			int32_t *offsets = arena_array(&arena, int32_t, BATCH_ROWS + 1);
			char *bytes = arena_alloc(&arena, BATCH_ROWS * 40);
			for (size_t r = 0; r < BATCH_ROWS; r++) {
				memcpy(bytes + offsets[r], c->s[r].p, c->s[r].n);
				offsets[r + 1] = offsets[r] + (int32_t)c->s[r].n;
			}
			a->n_buffers = 3;
			a->buffers[1] = offsets;
			a->buffers[2] = bytes;
		}
	}
}

static void arrow_bind(void *info)
{
	static const unsigned ids[COLUMNS] = { 5, 5, 0, 11, 31, 13, 17, 17 }; /* enum DUCKDB_TYPE */

	for (size_t i = 0; i < COLUMNS; i++) {
		void *t = SHAPE[i].type == TYPE_DECIMAL
				  ? CALL(void *(*)(uint8_t, uint8_t), "duckdb_create_decimal_type", 10, 2)
				  : CALL(void *(*)(unsigned), "duckdb_create_logical_type", ids[i]);
		CALL(three_to_void *, "duckdb_bind_add_result_column", info, SHAPE[i].name.p, t);
	}
}

static void arrow_init(void *info)
{
	CALL(size_type *, "duckdb_init_set_max_threads", info, 1);
}

static void arrow_scan(void *info, void *out)
{
	void *chunk = NULL;

	(void)info;
	if (arrow_done == n_batches) {
		set_size(out, 0);
		return;
	}
	struct ArrowArray *top = arena_new(&arena, struct ArrowArray); /* DuckDB takes it, and lets it go with its chunk */
	*top = arrow_pool[arrow_done++ % POOL];
	from_arrow(arrow_connection, top, arrow_schema, &chunk);
	for (size_t i = 0; i < COLUMNS && chunk; i++)
		reference(get_vector(out, i), get_vector(chunk, i));
	set_size(out, BATCH_ROWS);
	if (chunk)
		destroy_chunk(&chunk);
}

static void arrow_schema_make(void)
{
	struct ArrowSchema *top = arena_new(&arena, struct ArrowSchema);

	*top = (struct ArrowSchema){ .format = "+s", .name = "", .n_children = COLUMNS, .release = release_schema };
	top->children = arena_array(&arena, struct ArrowSchema *, COLUMNS);
	for (size_t i = 0; i < COLUMNS; i++) {
		top->children[i] = arena_new(&arena, struct ArrowSchema);
		*top->children[i] = (struct ArrowSchema){ .format = FORMATS[i], .name = SHAPE[i].name.p, .flags = 2,
							  .release = release_schema };
	}
	CALL(void *(*)(void *, void *, void **), "duckdb_schema_from_arrow", arrow_connection, top, &arrow_schema);
}

static double run_arrow(const char *path, int level)
{
	void *database = NULL, *f;
	double start, took = -1;

	library = dlopen(engine_library_path(), RTLD_NOW | RTLD_LOCAL);
	if (!library || CALL(int (*)(const char *, void **), "duckdb_open", NULL, &database) != 0)
		return -1;
	get_vector = (vector_type *)dlsym(library, "duckdb_data_chunk_get_vector");
	reference = (two_to_void *)dlsym(library, "duckdb_vector_reference_vector");
	from_arrow = (chunk_type *)dlsym(library, "duckdb_data_chunk_from_arrow");
	set_size = (size_type *)dlsym(library, "duckdb_data_chunk_set_size");
	destroy_chunk = (void (*)(void **))dlsym(library, "duckdb_destroy_data_chunk");
	CALL(int (*)(void *, void **), "duckdb_connect", database, &arrow_connection);
	CALL(query_type *, "duckdb_query", arrow_connection, "SET threads=1", NULL);
	arrow_schema_make();
	f = CALL(void *(*)(void), "duckdb_create_table_function");
	CALL(two_to_void *, "duckdb_table_function_set_name", f, (void *)(uintptr_t) "rows_in");
	CALL(two_to_void *, "duckdb_table_function_set_bind", f, (void *)arrow_bind);
	CALL(two_to_void *, "duckdb_table_function_set_init", f, (void *)arrow_init);
	CALL(two_to_void *, "duckdb_table_function_set_function", f, (void *)arrow_scan);
	CALL(two_to_int *, "duckdb_register_table_function", arrow_connection, f);
	arrow_done = 0;
	start = cpu_s();
	if (CALL(query_type *, "duckdb_query", arrow_connection,
		 arena_format(&arena, "COPY (SELECT * FROM rows_in()) TO '%s' (FORMAT PARQUET, COMPRESSION ZSTD, "
			      "COMPRESSION_LEVEL %d, PARQUET_VERSION V1)", path, level).p, NULL) == 0)
		took = cpu_s() - start;
	CALL(void (*)(void **), "duckdb_disconnect", &arrow_connection);
	CALL(void (*)(void **), "duckdb_close", &database);
	return took;
}

static bool same_file(const char *x, const char *y)
{
	struct str a, b;
	struct err e = ERR_INIT;

	return file_read(x, 1 << 30, &arena, &a, &e) && file_read(y, 1 << 30, &arena, &b, &e) && str_eq(a, b);
}

int main(int argc, char **argv)
{
	static const int levels[] = { 1, 3, 6 };
	struct err e = ERR_INIT;
	char *folder;
	uint64_t x = 42;
	double best_table = -1, best_arrow = -1;

	n_batches = (argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 2) * 1000000 / BATCH_ROWS;
	for (size_t i = 0; i < POOL; i++) {
		pool[i] = batch_new(SHAPE, COLUMNS, &arena);
		pool_fill(pool[i], &x);
		arrow_fill(&arrow_pool[i], pool[i]);
	}
	if (!file_make_scratch(NULL, &arena, &folder, &e)) {
		fprintf(stderr, "%s\n", e.message);
		return 1;
	}
	const char *path = arena_format(&arena, "%s/table", folder).p, *path2 = arena_format(&arena, "%s/arrow", folder).p;
	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
		struct stat st;
		double s = run_table_function(folder, path, levels[i], &e);
		if (s < 0 || stat(path, &st) != 0) {
			fprintf(stderr, "%s\n", e.message);
			return 1;
		}
		printf("zstd level %d: %.2f s CPU, %.1f MB\n", levels[i], s, (double)st.st_size / 1e6);
	}
	for (int i = 0; i < 3; i++) {
		double t = run_table_function(folder, path, 1, &e), a = run_arrow(path2, 1);
		best_table = best_table < 0 || t < best_table ? t : best_table;
		best_arrow = best_arrow < 0 || a < best_arrow ? a : best_arrow;
	}
	printf("table function %.2f s, Arrow %.2f s: ratio %.2f; the files are %s\n", best_table, best_arrow,
	       best_arrow / best_table, same_file(path, path2) ? "the same" : "DIFFERENT");
	if (!file_remove_tree(folder, &e))
		fprintf(stderr, "%s\n", e.message);
	arena_free(&arena);
	return 0;
}
