#include "refine/pack.h"

#include "base/buf.h"

#include <string.h>

static const struct pack_row {
	const char *name, *parameters, *text, *kind;
} rows[] = {
#define PACK(name, parameters, text, kind, types, rule) { name, parameters, text, kind },
#include "refine/pack.def"
#undef PACK
};
enum { N_ROWS = sizeof rows / sizeof *rows, PACK_MAX_BYTES = PACK_FLOOR + (64 << 10) };

static void macros_put(struct buf *b, enum pack_use use)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct pack_row *r = &rows[i];
		bool more = i > 0 && strcmp(rows[i - 1].name, r->name) == 0;
		bool last = i + 1 == N_ROWS || strcmp(rows[i + 1].name, r->name) != 0;
		if (!more)
			buf_addf(b, "CREATE MACRO \"%s\"", r->name);
		if (use == PACK_RUN)
			buf_addf(b, "%s(%s) AS %s", more ? ", " : "", r->parameters, r->text);
		else
			buf_addf(b, "%s(%s) AS CASE WHEN row(%s) IS NULL THEN NULL ELSE %s END", more ? ", " : "", r->parameters,
				 r->parameters, r->kind);
		if (last)
			buf_add_z(b, ";\n");
	}
}

bool pack_load(struct engine_connection *c, enum pack_use use, struct err *e)
{
	struct buf b = BUF_INIT(PACK_MAX_BYTES);
	if (use == PACK_LINT) {
		memset(buf_room(&b, PACK_FLOOR), ' ', PACK_FLOOR);
		b.n += PACK_FLOOR;
	}
	buf_add_z(&b, "BEGIN;\n"); /* one for all is quicker */
	macros_put(&b, use);
	buf_add_z(&b, "COMMIT");
	bool ok = b.overflow ? err_set(e, ERR_BUG, "the functions of Spark have no room") : engine_run(c, buf_str(&b), e);
	buf_free(&b);
	return ok || err_wrap(e, "functions of Spark");
}

bool pack_has(struct str name)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (str_eq_nocase(name, str_from(rows[i].name)))
			return true;
	return false;
}

void pack_sql(struct buf *out)
{
	macros_put(out, PACK_RUN);
}

void pack_page(struct buf *b)
{
	buf_add_z(b, "\n## Functions of Spark\n\n"
		     "DuckDB lacks these; sluice gives them to it wherever it runs SQL of yours (models, `query`), as macros. `sluice\n"
		     "explain pack` prints them for a DuckDB elsewhere. A function that both have keeps its meaning on each, and has a\n"
		     "rule above where that differs.\n\n"
		     "| function | in DuckDB |\n| --- | --- |\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		if (strstr(rows[i].text, "system.main.") != NULL) /* DuckDB's own */
			continue;
		buf_addf(b, "| `%s(%s)` | `%s` |\n", rows[i].name, rows[i].parameters, rows[i].text);
	}
}
