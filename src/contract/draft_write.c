#include "contract/draft_internal.h"

#include <inttypes.h>
#include <string.h>

enum { NAME_BYTES = 63, SPARE_DIGITS = 3, FLOAT_DIGITS = 9 };

/* ── names ── */

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* depTime, DepTime, dep-time, "dep time" → dep_time; HTTPServer → http_server. Never "__", which is for nesting. */
static void snake_add(struct buf *b, struct str key)
{
	size_t start = b->n;
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i], before = i > 0 ? key.p[i - 1] : 0, after = i + 1 < key.n ? key.p[i + 1] : 0;
		bool word = is_upper(c) && (is_lower(before) || is_digit(before) || (is_upper(before) && is_lower(after)));
		bool plain = is_upper(c) || is_lower(c) || is_digit(c);
		if ((word || !plain) && b->n > start && b->p[b->n - 1] != '_')
			buf_add_char(b, '_');
		if (plain)
			buf_add_char(b, (char)(is_upper(c) ? c + ('a' - 'A') : c));
	}
	while (b->n > start && b->p[b->n - 1] == '_')
		b->n--;
	if (b->n == start)
		buf_add_z(b, start == 0 ? "field" : "x");
}

static bool name_taken(const struct draft *d, struct str name)
{
	for (int i = 0; i < d->n_fields; i++)
		if (d->fields[i].is_column && str_eq(d->fields[i].name, name))
			return true;
	return false;
}

static void name_make(struct draft *d, struct field *f)
{
	int chain[DRAFT_NEST_MAX + 2], n = 0;
	struct buf b = BUF_INIT(64 << 10);
	for (int i = (int)(f - d->fields); i != NO_FIELD; i = d->fields[i].parent)
		chain[n++] = i;
	while (n > 0) {
		if (b.n > 0)
			buf_add_z(&b, "__");
		snake_add(&b, d->fields[chain[--n]].key);
	}
	struct str name = buf_str(&b);
	const char *front = is_lower(name.p[0]) ? "" : "n_";
	for (unsigned i = 1;; i++) {
		struct str suffix = i == 1 ? STR_NONE : arena_format(&d->arena, "_%u", i);
		struct str cut = str_sub(name, 0, NAME_BYTES - strlen(front) - suffix.n);
		while (cut.n > 0 && cut.p[cut.n - 1] == '_')
			cut.n--;
		f->name = arena_format(&d->arena, "%s%.*s%.*s", front, STR_ARG(cut), STR_ARG(suffix));
		if (!name_taken(d, f->name))
			break;
	}
	buf_free(&b);
}

/* "__" of a name stands for '.' in the path that a contract takes by default. */
static bool path_is_default(const struct field *f)
{
	struct str n = f->name, p = f->path;
	size_t k = 0;
	for (size_t i = 0; i < n.n; i++, k++) {
		bool separator = i > 0 && i + 2 < n.n && n.p[i] == '_' && n.p[i + 1] == '_';
		if (k >= p.n || p.p[k] != (separator ? '.' : n.p[i]))
			return false;
		i += separator;
	}
	return k == p.n;
}

/* ── types ── */

static void number_decide(struct field *f)
{
	bool looks_binary = f->scale > FLOAT_DIGITS && !f->not_double && !f->inexact_double;
	if (!f->not_integer)
		f->type = TYPE_INTEGER;
	else if (!f->not_decimal && !looks_binary)
		f->type = TYPE_DECIMAL;
	else
		f->type = TYPE_DOUBLE;
	unsigned precision = f->integer_digits + SPARE_DIGITS + f->scale;
	f->precision = precision > 38 ? 38 : precision;
}

static void type_decide(struct field *f)
{
	if (f->kinds == 0)
		f->type = TYPE_STRING; /* only ever null */
	else if (field_is_json(f) || f->kinds == SEEN_OBJECT)
		f->type = TYPE_JSON;
	else if (f->kinds == SEEN_BOOLEAN)
		f->type = TYPE_BOOLEAN;
	else if (f->kinds == SEEN_NUMBER)
		number_decide(f);
	else
		f->type = !f->not_date ? TYPE_DATE : !f->not_timestamp ? TYPE_TIMESTAMP : TYPE_STRING;
}

static bool has_children(const struct draft *d, int field)
{
	for (int i = field + 1; i < d->n_fields; i++)
		if (d->fields[i].parent == field)
			return true;
	return false;
}

/* Under a field that is kept as json, nothing is a column. */
static bool is_hidden(const struct draft *d, const struct field *f)
{
	for (int i = f->parent; i != NO_FIELD; i = d->fields[i].parent)
		if (d->fields[i].kinds != SEEN_OBJECT)
			return true;
	return f->path.n == 0;
}

static size_t count_columns(const struct draft *d)
{
	size_t n = 0;
	for (int i = 0; i < d->n_fields; i++)
		n += d->fields[i].is_column;
	return n;
}

static void decide(struct draft *d)
{
	for (int i = 0; i < d->n_fields; i++) {
		struct field *f = &d->fields[i];
		f->is_column = f->is_table = false;
		f->key_position = 0;
		if (is_hidden(d, f) || (f->kinds == SEEN_OBJECT && has_children(d, i)))
			continue;
		type_decide(f);
		f->required = f->n_values == d->n_records;
		name_make(d, f);
		f->is_column = true;
	}
}

/* Arrays of nothing but objects become tables. */
static void tables_decide(struct draft *d)
{
	for (int i = 0; i < d->n_fields; i++) {
		struct field *f = &d->fields[i];
		if (!f->is_column || f->kinds != SEEN_ARRAY || !f->items || f->other_items ||
		    d->table.n + 2 + f->name.n > NAME_BYTES)
			continue;
		decide(f->items);
		f->is_table = count_columns(f->items) > 0;
	}
}

/* ── text ── */

/* A double-quoted YAML scalar; what YAML calls not printable is escaped, too. */
static void quote_add(struct buf *b, struct str s)
{
	buf_add_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i], next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
		unsigned char third = i + 2 < s.n ? (unsigned char)s.p[i + 2] : 0;
		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_addf(b, "\\x%02x", c);
		else if (c == 0xc2 && next < 0xa0) /* U+0080 to U+009F */
			buf_addf(b, "\\x%02x", next), i++;
		else if (c == 0xe2 && next == 0x80 && (third == 0xa8 || third == 0xa9))
			buf_addf(b, "\\u202%c", third & 1 ? '9' : '8'), i += 2;
		else if (c == 0xef && next == 0xbb && third == 0xbf)
			buf_add_z(b, "\\uFEFF"), i += 2;
		else if (c == 0xef && next == 0xbf && (third == 0xbe || third == 0xbf))
			buf_addf(b, "\\uFFF%c", third & 1 ? 'F' : 'E'), i += 2;
		else
			buf_add_char(b, (char)c);
	}
	buf_add_char(b, '"');
}

/* Spaces in front of a property of the table, and of one of its items. */
enum { PROPERTY_INDENT = 6, ITEM_INDENT = 12 };

/* Why a field has no type of its own. */
static void mixed_add(const struct field *f, struct buf *b)
{
	static const struct {
		unsigned kind;
		const char *name;
	} kinds[] = {
		{ SEEN_STRING, "text" }, { SEEN_NUMBER, "numbers" }, { SEEN_BOOLEAN, "booleans" }, { SEEN_OBJECT, "objects" }, { SEEN_ARRAY, "arrays" },
	};
	unsigned left = f->kinds & ~(unsigned)SEEN_DEEP;
	if (left == SEEN_NUMBER) {
		buf_add_z(b, "; numbers that no one type takes all of, so they are kept as JSON");
		return;
	}
	if (left == SEEN_OBJECT) {
		buf_add_z(b, "; objects below too many others to become columns, so they are kept as JSON");
		return;
	}
	const char *between = "; ";
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if ((left & kinds[i].kind) == 0)
			continue;
		left &= ~kinds[i].kind;
		buf_addf(b, "%s%s", between, kinds[i].name);
		between = (left & (left - 1)) ? ", " : " and ";
	}
	buf_add_z(b, ", kept as JSON, since no one type takes them all");
}

static void description_add(const struct draft *d, const struct field *f, int indent, struct buf *b)
{
	buf_addf(b, "%*sdescription: \"seen in %" PRIu64 " of %" PRIu64 " %s", indent, "", f->n_values, d->n_records,
		 d->is_child ? "elements" : "records");
	if (f->n_nulls > 0)
		buf_addf(b, ", null in %" PRIu64, f->n_nulls);
	if (f->kinds == 0)
		buf_add_z(b, "; never a value, so the type is a guess");
	else if (f->is_table)
		buf_addf(b, "; %" PRIu64 " elements, which become a table of their own", f->items->n_records);
	else if (f->type == TYPE_STRING)
		buf_addf(b, "; %" PRIu64 " to %" PRIu64 " bytes as sent", f->length_min, f->length_max);
	else if (f->type == TYPE_DECIMAL)
		buf_addf(b, "; at most %u digits before and %u after the point", f->integer_digits, f->scale);
	else if (f->type == TYPE_JSON && f->kinds != SEEN_ARRAY && f->kinds != SEEN_OBJECT)
		mixed_add(f, b);
	buf_add_z(b, "\"\n");
}

static void customs_add(const struct field *f, int indent, struct buf *b)
{
	bool path = !path_is_default(f), decimal = f->type == TYPE_DECIMAL, real = f->type == TYPE_DOUBLE;
	if (!path && !decimal && !real)
		return;
	buf_addf(b, "%*scustomProperties:\n", indent, "");
	if (path) {
		buf_addf(b, "%*s  - property: sluice.path\n%*s    value: ", indent, "", indent, "");
		quote_add(b, f->path);
		buf_add_char(b, '\n');
	}
	if (decimal)
		buf_addf(b, "%*s  - {property: sluice.precision, value: %u}\n%*s  - {property: sluice.scale, value: %u}\n",
			 indent, "", f->precision, indent, "", f->scale);
	if (real)
		buf_addf(b, "%*s  - {property: sluice.type, value: double}\n", indent, "");
	if (real && f->inexact_double)
		buf_addf(b, "%*s  - {property: sluice.inexact, value: count}\n", indent, "");
}

static void column_add(const struct draft *d, const struct field *f, int indent, struct buf *b)
{
	static const char *const logical[TYPE_COUNT] = { "string", "boolean", "integer",   "number",
							 "number", "date",    "timestamp", "array" };
	const char *type = f->type == TYPE_JSON && f->kinds != SEEN_ARRAY ? "object" : logical[f->type];
	buf_addf(b, "%*s- name: \"%.*s\"\n%*s  logicalType: %s\n", indent, "", STR_ARG(f->name), indent, "", type);
	if (f->key_position)
		buf_addf(b, "%*s  primaryKey: true\n%*s  primaryKeyPosition: %zu\n", indent, "", indent, "", f->key_position);
	else if (f->required && !f->is_table)
		buf_addf(b, "%*s  required: true\n", indent, "");
	description_add(d, f, indent + 2, b);
	customs_add(f, indent + 2, b);
}

static void columns_add(const struct draft *d, struct buf *b)
{
	for (int i = 0; i < d->n_fields; i++) {
		const struct field *f = &d->fields[i];
		if (!f->is_column)
			continue;
		column_add(d, f, PROPERTY_INDENT, b);
		if (!f->is_table)
			continue;
		buf_addf(b, "%*s  items:\n%*s    logicalType: object\n%*s    properties:\n", PROPERTY_INDENT, "", PROPERTY_INDENT,
			 "", PROPERTY_INDENT, "");
		for (int k = 0; k < f->items->n_fields; k++)
			if (f->items->fields[k].is_column)
				column_add(f->items, &f->items->fields[k], ITEM_INDENT, b);
	}
}

/* The first timestamp that lay in the window of its record, in all records. */
static const struct field *window_find(const struct draft *d)
{
	for (int i = 0; i < d->n_fields; i++) {
		const struct field *f = &d->fields[i];
		if (f->is_column && f->type == TYPE_TIMESTAMP && f->required && !f->outside_window)
			return f;
	}
	return NULL;
}

static void window_add(const struct draft *d, struct buf *b)
{
	const struct field *f = window_find(d);
	if (f)
		buf_addf(b, "    customProperties: # in all records it lay inside of the window that they were fetched for\n"
			    "      - {property: sluice.window_column, value: \"%.*s\"}\n", STR_ARG(f->name));
}

bool draft_write(struct draft *d, struct buf *out)
{
	decide(d);
	tables_decide(d);
	bool key = draft_key_find(d);
	buf_addf(out, "# A draft, written from %" PRIu64 " records. Look at each line, then remove sluice.draft.\n",
		 d->n_records);
	if (key)
		buf_addf(out, "# The primary key is a guess: it told the first %" PRIu64 " records apart.\n", d->key_records);
	else
		buf_addf(out, "# No key of up to %d columns was found: name one, if there is one.\n", DRAFT_KEY_COLUMNS);
	if (d->n_overflow > 0 || d->n_bad > 0)
		buf_addf(out, "# Not covered: %" PRIu64 " values of fields past the limits, %" PRIu64 " records that are "
			      "no objects.\n",
			 d->n_overflow, d->n_bad);
	buf_addf(out,
		 "apiVersion: v3.1.0\nkind: DataContract\nid: \"%.*s\"\nname: \"%.*s\"\nversion: 0.1.0\nstatus: draft\n"
		 "customProperties:\n  - {property: sluice.draft, value: true}\n"
		 "schema:\n  - name: \"%.*s\"\n",
		 STR_ARG(d->table), STR_ARG(d->table), STR_ARG(d->table));
	window_add(d, out);
	buf_add_z(out, "    properties:\n");
	columns_add(d, out);
	if (count_columns(d) == 0)
		buf_add_z(out, "      [] # no records, or none with a field\n");
	return !out->overflow;
}
