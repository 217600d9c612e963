/* One file of rows in memory: CSV or NDJSON. Rows keep the order of the file.
 *
 * The file's bytes stay as they are (mapped); a row becomes JSON when a page that holds it is rendered. Numbers are
 * copied as the text that stands in the file, never printed anew. */
#ifndef SLUICE_MOCK_TABLE_H
#define SLUICE_MOCK_TABLE_H

#include "base/buf.h"
#include "base/calendar.h"
#include "base/err.h"
#include "base/mem.h"

enum cell_type { CELL_INTEGER, CELL_NUMBER, CELL_BOOLEAN, CELL_STRING, CELL_JSON, CELL_TYPES };

struct column {
	struct str name, label; /* label: `"name":`, escaped */
	enum cell_type type;
};

struct table_type {
	struct str column;
	enum cell_type type;
};

#define TABLE_NO_TIME INT64_MIN

struct table_key {
	struct str name;
	struct str *values; /* one per row: the text that an equality filter compares with */
};

struct table {
	struct str text;
	bool ndjson;
	struct str null_text;
	struct column *columns; /* CSV only */
	size_t n_columns;
	uint64_t *row_at; /* offset of each row */
	size_t n_rows;
	int64_t *time_us; /* per row the window column's instant, TABLE_NO_TIME where null; NULL without a window */
	struct table_key *keys;
	size_t n_keys;
	struct csv_cell *cells; /* scratch of table_render() */
};

struct table_spec {
	const char *path; /* .csv, or .ndjson/.jsonl */
	struct str null_text;
	const struct table_type *types; /* declared; the other columns' types are guessed from all their values */
	size_t n_types;
	struct str time_column; /* "" for none */
	struct str time_form;   /* "" RFC 3339 or YYYY-MM-DD, "epoch_s", "epoch_ms", else a pattern (calendar.h) */
	const struct zone *zone;
	const struct str *keys;
	size_t n_keys;
};

bool cell_type_from(struct str name, enum cell_type *out); /* "integer", "number", "boolean", "string", "json" */
bool table_load(const struct table_spec *spec, struct arena *a, struct table *out, struct err *e);
void table_unload(struct table *t); /* also after a failed load; the arena's part stays the arena's */
/* Adds the row as one JSON object. */
bool table_render(struct table *t, size_t row, struct buf *out);
/* An instant by the same forms as time_form; also used for the query's values. */
bool time_read(struct str text, struct str form, const struct zone *zone, int64_t *us);

#endif
