/* Rows of a query as a table for people, as CSV (RFC 4180, lines end in LF) or as JSON (one object a line).
 *
 * Table: widths are those of the first rows; on a terminal wide columns are cut so that a row fits a line, elsewhere
 * nothing is cut or left out. Numbers stand to the right. NULL is shown as NULL.
 * CSV: NULL is an empty cell, the empty text is "". A text that a spreadsheet would take for a formula gets a ' in front.
 * JSON: numbers with all digits, as the engine holds them; what JSON lacks (NaN, Infinity) is a text, and so are
 * nested values and JSON columns; no two columns may have the same name.
 * Instants are RFC 3339 texts in UTC; a TIMESTAMP without a zone is the same without the Z. */
#ifndef SLUICE_UI_PRINT_TABLE_H
#define SLUICE_UI_PRINT_TABLE_H

#include "base/json.h"
#include "contract/batch.h"
#include "ui/command.h"

enum print_format { PRINT_TABLE, PRINT_CSV, PRINT_JSON };
/* --format and --json; table where none was given. */
bool print_format_of(const struct args *g, enum print_format *out, struct err *e);

struct print_table {
	struct ui *u;
	enum print_format format;
	struct batch_shape **shape; /* set by the query before its first row */
	size_t *n_columns;
	struct arena arena;
	struct str *cells;  /* table: rows that wait until the widths are known */
	bool *nulls;
	size_t *widths;
	bool may_hide;      /* on a narrow terminal: technical columns give way before others are cut */
	bool *hidden;       /* [column] */
	size_t n_hidden;
	size_t n_waiting, waiting_bytes, n_shown;
	bool begun;
};
void print_begin(struct print_table *p, struct ui *u, enum print_format format, struct batch_shape **shape,
		 size_t *n_columns);
bool print_rows(void *print_table, const struct batch *b, struct err *e); /* an engine_take */
bool print_end(struct print_table *p, struct err *e);

/* One cell as text; false: it is NULL. */
bool cell_text(const struct batch_column *c, size_t row, struct arena *a, struct str *out);
/* One cell as JSON. */
void cell_json(const struct batch_column *c, size_t row, struct arena *a, struct json_out *o, struct str name);

#endif
