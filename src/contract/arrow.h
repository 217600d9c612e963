/* Batches as the Arrow C data interface (https://arrow.apache.org/docs/format/CDataInterface.html), by which rows travel
 * between this program and Spark's Python workers or pyarrow, without a copy on their side.
 *
 * Columns and formats: string, json "u"; boolean "b"; integer "l"; decimal "d:P,S"; double "g"; date "tdD"; timestamp
 * "tsu:UTC". Coming in, narrower and unsigned integers, float, large texts and wall-clock timestamps are widened or taken
 * as engine.h says of SQL; UBIGINT is DECIMAL(20,0).
 *
 * Ownership is that of the interface: who receives a structure calls its `release` once; memory of an exported array or
 * schema is its own and needs nothing of ours to live. */
#ifndef SLUICE_CONTRACT_ARROW_H
#define SLUICE_CONTRACT_ARROW_H

#include "contract/batch.h"

/* The ABI, under the names that the specification gives, so that headers of others may be included too. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
	const char *format;
	const char *name;
	const char *metadata;
	int64_t flags;
	int64_t n_children;
	struct ArrowSchema **children;
	struct ArrowSchema *dictionary;
	void (*release)(struct ArrowSchema *);
	void *private_data;
};

struct ArrowArray {
	int64_t length;
	int64_t null_count;
	int64_t offset;
	int64_t n_buffers;
	int64_t n_children;
	const void **buffers;
	struct ArrowArray **children;
	struct ArrowArray *dictionary;
	void (*release)(struct ArrowArray *);
	void *private_data;
};
#endif

/* A struct ("record batch") of these columns, all nullable. Names are shorter than 64 KiB and hold no NUL (CHECK). */
void arrow_schema_export(const struct batch_shape *shape, size_t n_columns, struct ArrowSchema *out);

/* Rows are gathered until they are worth a hand-over. */
struct arrow_builder;
struct arrow_builder *arrow_builder_new(const struct batch_shape *shape, size_t n_columns);
/* Copies rows [from, to) of a batch of that shape; returns how many it took: fewer where the texts of a column would pass
 * 1 GiB (0 only if rows are there already: finish first). */
size_t arrow_builder_add(struct arrow_builder *w, const struct batch *b, size_t from, size_t to);
size_t arrow_builder_rows(const struct arrow_builder *w);
size_t arrow_builder_bytes(const struct arrow_builder *w); /* about */
/* All rows so far move into *out; the builder is empty again. */
void arrow_builder_finish(struct arrow_builder *w, struct ArrowArray *out);
void arrow_builder_free(struct arrow_builder *w);

/* Rows in. */
struct arrow_reader;
/* The columns of a struct schema; the reader lives in the arena and keeps nothing of the schema. ERR_ENGINE names the column
 * whose type has no place in a batch. *shape is the reader's. */
bool arrow_reader_open(const struct ArrowSchema *schema, struct arena *a, struct arrow_reader **out, struct err *e);
const struct batch_shape *arrow_reader_shape(const struct arrow_reader *r, size_t *n_columns);
/* Rows [from, from + BATCH_ROWS) of the array, or up to its end, into *b (of arrow_reader_shape; cleared first). Texts are views into the
 * array, which must live as long. ERR_ENGINE: the array is not of that schema, or a value does not fit. */
bool arrow_reader_take(const struct arrow_reader *r, const struct ArrowArray *array, uint64_t from, struct batch *b,
		       struct err *e);

#endif
