/* Text that becomes SQL. Both forms are those of the SQL standard: the quote doubled, nothing else escaped (DuckDB knows
 * backslashes only in E'...', which is never written here). */
#include "driver/engine.h"

#include "base/check.h"

#include <stdio.h>

enum { PATH_PATTERN_MAX = 64 << 10 };

static bool quote(struct buf *out, struct str text, char mark)
{
	if (str_find_char(text, '\0') < text.n)
		return false;
	buf_add_char(out, mark);
	while (text.n > 0) {
		size_t n = str_find_char(text, mark);
		if (n < text.n)
			n++; /* with the mark, which is then written again */
		buf_add(out, str_sub(text, 0, n));
		if (text.p[n - 1] == mark)
			buf_add_char(out, mark);
		text = str_sub(text, n, text.n - n);
	}
	return buf_add_char(out, mark);
}

bool sql_identifier(struct buf *out, struct str name)
{
	return name.n > 0 && quote(out, name, '"');
}

bool sql_literal(struct buf *out, struct str text)
{
	return quote(out, text, '\'');
}

bool sql_path(struct buf *out, struct str path)
{
	struct buf pattern = BUF_INIT(PATH_PATTERN_MAX);
	bool ok = true;

	for (size_t i = 0; ok && i < path.n; i++)
		ok = path.p[i] == '*' || path.p[i] == '?' || path.p[i] == '[' ? buf_addf(&pattern, "[%c]", path.p[i]) :
										buf_add_char(&pattern, path.p[i]);
	ok = ok && sql_literal(out, buf_str(&pattern));
	buf_free(&pattern);
	return ok;
}

const char *engine_sql_type(enum column_type t, unsigned precision, unsigned scale, char out[32])
{
	int n = 0;

	switch (t) {
	case TYPE_STRING:
	case TYPE_JSON:
		return "VARCHAR";
	case TYPE_BOOLEAN:
		return "BOOLEAN";
	case TYPE_INTEGER:
		return "BIGINT";
	case TYPE_DECIMAL:
		CHECK(precision >= 1 && precision <= 38 && scale <= precision);
		n = snprintf(out, 32, "DECIMAL(%u,%u)", precision, scale);
		CHECK(n > 0 && n < 32);
		return out;
	case TYPE_DOUBLE:
		return "DOUBLE";
	case TYPE_DATE:
		return "DATE";
	case TYPE_TIMESTAMP:
		return "TIMESTAMPTZ";
	case TYPE_COUNT:
		break;
	}
	CHECK(false && "a column type");
	return "";
}
