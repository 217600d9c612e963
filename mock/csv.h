/* CSV in memory, RFC 4180: comma, double quotes doubled inside quotes, rows end with LF or CRLF, line breaks inside
 * quotes are data. Stricter than most readers: a quote inside a plain cell, text after a closing quote and a quote
 * that never closes are errors with the line, never guesses. A byte order mark in front and blank lines are skipped.
 *
 *     struct csv c;
 *     csv_open(&c, text);
 *     while (csv_next(&c, cells, max, &n, e) && n > 0) ...
 */
#ifndef SLUICE_MOCK_CSV_H
#define SLUICE_MOCK_CSV_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum { CSV_COLUMNS_MAX = 2048 };

struct csv {
	struct str text;
	size_t at;      /* offset of the next row */
	size_t row_at;  /* offset of the row that csv_next() gave last */
	size_t line;    /* line on which the next row starts, from 1 */
	size_t row_line;
};

struct csv_cell {
	struct str raw; /* a view into the text; without the quotes around */
	bool quoted;    /* stood in quotes: never null, even where it spells the null text */
	bool doubled;   /* holds "" pairs: csv_cell_text() makes them single */
};

void csv_open(struct csv *c, struct str text);
/* *n is 0 at the end of the text. False: the text breaks RFC 4180 or the row has more than max cells. */
bool csv_next(struct csv *c, struct csv_cell *cells, size_t max, size_t *n, struct err *e);
struct str csv_cell_text(const struct csv_cell *cell, struct arena *a);

#endif
