/* What one answer of an API tells about the next: where the records are, what leads to the next page. Guesses for a person
 * to look at, each with what it was seen in. */
#ifndef SLUICE_UI_GUESS_H
#define SLUICE_UI_GUESS_H

#include "base/err.h"
#include "base/mem.h"
#include "driver/http.h"

enum guess_style { GUESS_NONE, GUESS_LINK, GUESS_NEXT_URL, GUESS_CURSOR, GUESS_PAGE, GUESS_OFFSET };
struct guess {
	bool has_records;
	struct str records;      /* JSON path; "" the document */
	uint64_t items;
	enum guess_style style;
	struct str from;         /* next URL, cursor: JSON path */
	struct str from_header;  /* cursor: or the header of the answer that has it */
	struct str query;        /* cursor, page, offset: query parameter */
	struct str more, total, pages; /* JSON paths, "" none */
	int64_t first;           /* page, offset: as this answer says */
	uint64_t total_value;
	struct str seen;         /* words for a comment */
	struct str doubt;        /* nothing leads on, and yet this looks like the first page of several */
};
struct guess_query { /* parameters of the URL that was fetched, decoded */
	struct str name, value;
};
/* `link` is the Link header, "" none. ERR_JSON. */
bool guess_answer(struct str body, struct str link, const struct guess_query *query, size_t n_query, struct arena *a,
		  struct guess *out, struct err *e);
/* After it: cursors in the answer's headers, which count more than numbers of pages in its body; then the doubt. */
void guess_headers(struct guess *g, const struct http_header *headers, size_t n, struct arena *a);

#endif
