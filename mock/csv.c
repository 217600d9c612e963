#include "mock/csv.h"

#include <string.h>

void csv_open(struct csv *c, struct str text)
{
	*c = (struct csv){ .text = text, .line = 1 };
	if (str_starts(text, STR("\xef\xbb\xbf")))
		c->at = 3;
}

/* Offset behind the line break at `at`, or `at` itself where there is none. A lone CR is data. */
static size_t break_end(struct str t, size_t at)
{
	if (at < t.n && t.p[at] == '\n')
		return at + 1;
	if (at + 1 < t.n && t.p[at] == '\r' && t.p[at + 1] == '\n')
		return at + 2;
	return at;
}

static bool quoted_cell(struct csv *c, struct csv_cell *cell, struct err *e)
{
	size_t start = c->at + 1, at = start;
	for (;;) {
		const char *quote = at < c->text.n ? memchr(c->text.p + at, '"', c->text.n - at) : NULL;
		if (!quote)
			return err_set(e, ERR_USAGE, "line %zu: the quote that opens here never closes", c->line);
		at = (size_t)(quote - c->text.p) + 1;
		if (at >= c->text.n || c->text.p[at] != '"')
			break;
		cell->doubled = true;
		at++;
	}
	cell->quoted = true;
	cell->raw = str_sub(c->text, start, at - 1 - start);
	size_t lines = 0;
	for (size_t i = 0; i < cell->raw.n; i++)
		lines += cell->raw.p[i] == '\n';
	c->at = at;
	c->line += lines;
	if (at < c->text.n && c->text.p[at] != ',' && break_end(c->text, at) == at)
		return err_set(e, ERR_USAGE, "line %zu: a comma or the end of the line expected after a closing quote",
			       c->line);
	return true;
}

static bool plain_cell(struct csv *c, struct csv_cell *cell, struct err *e)
{
	size_t at = c->at;
	while (at < c->text.n && c->text.p[at] != ',' && c->text.p[at] != '\n') {
		if (c->text.p[at] == '"')
			return err_set(e, ERR_USAGE, "line %zu: a quote inside a cell that does not start with one",
				       c->line);
		if (c->text.p[at] == '\r' && break_end(c->text, at) != at)
			break;
		at++;
	}
	cell->raw = str_sub(c->text, c->at, at - c->at);
	c->at = at;
	return true;
}

bool csv_next(struct csv *c, struct csv_cell *cells, size_t max, size_t *n, struct err *e)
{
	*n = 0;
	for (size_t end; (end = break_end(c->text, c->at)) != c->at; c->at = end)
		c->line++;
	c->row_at = c->at;
	c->row_line = c->line;
	if (c->at >= c->text.n)
		return true;
	for (size_t count = 0;;) {
		if (count == max)
			return err_set(e, ERR_USAGE, "line %zu: more than %zu cells", c->line, max);
		struct csv_cell *cell = &cells[count++];
		*cell = (struct csv_cell){ 0 };
		bool quote = c->at < c->text.n && c->text.p[c->at] == '"';
		if (!(quote ? quoted_cell(c, cell, e) : plain_cell(c, cell, e)))
			return false;
		if (c->at < c->text.n && c->text.p[c->at] == ',') {
			c->at++;
			continue;
		}
		size_t end = break_end(c->text, c->at);
		c->line += end != c->at;
		c->at = end;
		*n = count;
		return true;
	}
}

struct str csv_cell_text(const struct csv_cell *cell, struct arena *a)
{
	if (!cell->doubled)
		return cell->raw;
	char *p = arena_alloc(a, cell->raw.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < cell->raw.n; i++) {
		p[n++] = cell->raw.p[i];
		i += cell->raw.p[i] == '"';
	}
	return (struct str){ p, n };
}
