/* Who writes the files of a table and reads them back: DuckDB in the engine child, pyarrow in a worker of Spark
 * (native.h). Rows go and come as batches; which rows, in which order, in which file, and whether what was read back is what
 * was written, is decided here and is the same for both. One thread at a time. Part of prepare.c. */
#ifndef SLUICE_PREPARE_PARQUET_H
#define SLUICE_PREPARE_PARQUET_H

#include "driver/engine.h"
#include "format/engine_job.h"

struct parquet_order {
	struct str column;
	bool descending; /* NULL first where it ascends, last where it descends */
};

struct parquet_rows {
	const char *name; /* [a-z0-9_]+, never used before in this process */
	const struct batch_shape *shape;
	size_t n_columns;
	engine_next *next; /* as in engine.h; its rows stand in their order unless there is one here, which then is total */
	void *user;
	const struct parquet_order *order;
	size_t n_order;
	bool last_is_order_only; /* the last column is not written */
};

struct parquet {
	const struct parquet_ops *ops;
	struct str mark; /* "", or what makes names of files unique where several may write the same one: [a-z0-9-]+ */
};
struct parquet_ops {
	/* As engine_write_parquet says of the file. A failure of `next` is the one that is told. */
	bool (*write)(struct parquet *, const struct parquet_rows *, const char *path, enum parquet_encoding,
		      uint64_t *rows, uint64_t *size_bytes, struct err *);
	/* All rows, in the order of the file, by these columns. */
	bool (*read)(struct parquet *, const char *path, const struct batch_shape *shape, size_t n_columns,
		     engine_take *take, void *user, struct err *);
};

struct parquet_duckdb {
	struct parquet base;
	struct engine_connection *connection;
};
struct parquet *parquet_use_duckdb(struct parquet_duckdb *q, struct engine_connection *connection);

/* ── a file of a table ── */

struct parquet_file {
	struct str folder;
	size_t index;
	unsigned attempt;
	enum parquet_encoding encoding;
	char path[4096]; /* out */
};
/* Its name, and where it goes. */
bool parquet_file_begin(struct parquet_file *f, struct str mark, struct arena *a, struct table_file *out, struct err *e);
/* It was written: when. */
bool parquet_file_end(struct parquet_file *f, struct table_file *out, struct err *e);
/* All three steps: path, size, rows and time into *out. */
bool parquet_file_write(struct parquet_file *f, struct parquet *q, const struct parquet_rows *rows, struct arena *a,
			struct table_file *out, struct err *e);

#endif
