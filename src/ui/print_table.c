#include "ui/print_table.h"

#include "base/json.h"
#include "base/str_map.h"
#include "ui/wrap.h"

#include <inttypes.h>
#include <string.h>

enum { WAITING_MAX = 1000, WAITING_BYTES_MAX = 64 << 20, CELL_SHOWN_MAX = 100000, CELL_MAX = 64 << 20, COLUMN_MIN = 6 };

bool print_format_of(const struct args *g, enum print_format *out, struct err *e)
{
	static const char *const names[] = { "table", "csv", "json" };
	*out = g->given[OPT_JSON] ? PRINT_JSON : PRINT_TABLE;
	if (!g->given[OPT_FORMAT])
		return true;
	for (size_t i = 0; i < 3; i++)
		if (str_eq_z(g->value[OPT_FORMAT], names[i])) {
			if (g->given[OPT_JSON] && i != PRINT_JSON)
				return err_set(e, ERR_USAGE, "--json and --format %s contradict each other", names[i]);
			*out = (enum print_format)i;
			return true;
		}
	return err_set(e, ERR_USAGE, "--format %.*s: table, csv or json is expected", STR_ARG(g->value[OPT_FORMAT]));
}

/* ── cells ── */

static struct str date_text(int32_t days, struct arena *a)
{
	if (days > 100000000 || days < -100000000) /* the engine's infinities */
		return days > 0 ? STR("infinity") : STR("-infinity");
	struct civil c = civil_from_us((int64_t)days * US_PER_DAY);
	return arena_format(a, "%04d-%02u-%02u", c.year, c.month, c.day);
}

static struct str timestamp_text(const struct batch_column *c, int64_t us, struct arena *a)
{
	if (us == INT64_MAX || us <= -INT64_MAX) /* the engine's infinities */
		return us > 0 ? STR("infinity") : STR("-infinity");
	struct str text = us_to_rfc3339(us, a);
	return c->scale == SCALE_OF_WALL_CLOCK ? str_sub(text, 0, text.n - 1) : text; /* without the Z: nobody said of which zone it is */
}

bool cell_text(const struct batch_column *c, size_t row, struct arena *a, struct str *out)
{
	*out = STR_NONE;
	if (!batch_is_valid(c, row))
		return false;
	switch (c->type) {
	case TYPE_INTEGER:
		*out = arena_format(a, "%" PRId64, c->i64[row]);
		break;
	case TYPE_DECIMAL:
		*out = decimal_to_text(c->i128[row], c->scale, a);
		break;
	case TYPE_DOUBLE:
		*out = double_to_text(c->f64[row], a);
		break;
	case TYPE_BOOLEAN:
		*out = c->b[row] ? STR("true") : STR("false");
		break;
	case TYPE_DATE:
		*out = date_text(c->i32[row], a);
		break;
	case TYPE_TIMESTAMP:
		*out = timestamp_text(c, c->i64[row], a);
		break;
	case TYPE_STRING:
	case TYPE_JSON:
	case TYPE_COUNT:
		*out = c->s[row];
		break;
	}
	return true;
}

static bool is_number(enum column_type t)
{
	return t == TYPE_INTEGER || t == TYPE_DECIMAL || t == TYPE_DOUBLE;
}

void cell_json(const struct batch_column *c, size_t row, struct arena *a, struct json_out *o, struct str name)
{
	struct str text;
	json_put_key(o, name);
	if (!cell_text(c, row, a, &text)) {
		json_put_null(o, NULL);
		return;
	}
	char last = text.n > 0 ? text.p[text.n - 1] : 'N';
	bool plain = c->type == TYPE_BOOLEAN || (is_number(c->type) && last >= '0' && last <= '9');
	if (plain)
		json_put_raw(o, NULL, text);
	else
		json_put_str(o, NULL, text);
}

static void csv_text(struct str s, bool is_text, struct buf *out)
{
	bool formula = is_text && s.n > 0 && strchr("=+-@\t\r", s.p[0]) != NULL && s.p[0] != '\0';
	bool quote = s.n == 0 || formula || s.p[0] == ' ' || s.p[s.n - 1] == ' ';
	for (size_t i = 0; i < s.n; i++)
		quote = quote || s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
	if (!quote) {
		buf_add(out, s);
		return;
	}
	buf_add_z(out, formula ? "\"'" : "\"");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			buf_add_char(out, '"');
		buf_add_char(out, s.p[i]);
	}
	buf_add_char(out, '"');
}

/* ── rows ── */

void print_begin(struct print_table *p, struct ui *u, enum print_format format, struct batch_shape **shape,
		 size_t *n_columns)
{
	*p = (struct print_table){ .u = u, .format = format, .shape = shape, .n_columns = n_columns };
}

static void csv_head(struct print_table *p)
{
	for (size_t c = 0; c < *p->n_columns; c++) {
		buf_add_z(&p->u->out, c ? "," : "");
		csv_text((*p->shape)[c].name, true, &p->u->out);
	}
	buf_add_char(&p->u->out, '\n');
}

/* Told before anything of the row is printed. */
static bool row_fits(const struct print_table *p, const struct batch *b, size_t row, struct err *e)
{
	for (size_t c = 0; c < b->n_columns; c++) {
		const struct batch_column *x = &b->columns[c];
		bool is_text = x->type == TYPE_STRING || x->type == TYPE_JSON || x->type == TYPE_COUNT;
		if (!is_text || !batch_is_valid(x, row) || x->s[row].n <= CELL_MAX)
			continue;
		struct str name = (*p->shape)[c].name;
		err_set(e, ERR_USAGE, "column %.*s of row %zu has %zu bytes: values of more than %d MiB are not printed",
			STR_ARG(str_sub(name, 0, 200)), p->n_shown, x->s[row].n, CELL_MAX >> 20);
		return err_hint(e, "shorten it in the SQL text: left(..., 1000)");
	}
	return true;
}

static bool put_csv(struct print_table *p, const struct batch *b, size_t row, struct err *e)
{
	for (size_t c = 0; c < b->n_columns; c++) {
		const struct batch_column *x = &b->columns[c];
		struct str text;
		buf_add_z(&p->u->out, c ? "," : "");
		if (cell_text(x, row, &p->arena, &text))
			csv_text(text, x->type == TYPE_STRING || x->type == TYPE_JSON, &p->u->out);
		if (!ui_flush_some(p->u, e))
			return false;
	}
	buf_add_char(&p->u->out, '\n');
	return true;
}

static bool put_json(struct print_table *p, const struct batch *b, size_t row, struct err *e)
{
	struct json_out o = JSON_OUT(&p->u->out);
	json_begin_object(&o, NULL);
	for (size_t c = 0; c < b->n_columns; c++) {
		cell_json(&b->columns[c], row, &p->arena, &o, (*p->shape)[c].name);
		if (!ui_flush_some(p->u, e))
			return false;
	}
	json_end_object(&o);
	buf_add_char(&p->u->out, '\n');
	return true;
}

/* ── tables ── */

/* Cut to `width` with a mark, and filled up to it; the last column of a line is not filled. */
static void put_cell(struct print_table *p, struct str s, size_t width, bool right, bool fill)
{
	struct buf *out = &p->u->out;
	size_t w = text_width(s), used = 0, bytes;
	if (right && w < width)
		buf_addf(out, "%*s", (int)(width - w), "");
	if (w <= width || p->widths == NULL) {
		buf_add(out, s);
		used = w;
	} else {
		while (used + text_char_width(s, &bytes) + 1 <= width) {
			used += text_char_width(s, &bytes);
			buf_add(out, str_sub(s, 0, bytes));
			s = str_sub(s, bytes, s.n);
		}
		buf_add_z(out, "…");
		used++;
	}
	if (!right && fill && used < width)
		buf_addf(out, "%*s", (int)(width - used), "");
}

static bool put_row(struct print_table *p, const struct str *cells, bool head, struct err *e)
{
	size_t n = *p->n_columns;
	bool any = false;
	while (n > 0 && p->hidden[n - 1])
		n--;
	for (size_t c = 0; c < n; c++) {
		bool right = is_number((*p->shape)[c].type);
		if (p->hidden[c])
			continue;
		buf_add_z(&p->u->out, any ? "  " : "");
		put_cell(p, head ? (*p->shape)[c].name : cells[c], p->widths[c], right, c + 1 < n);
		any = true;
		if (!ui_flush_some(p->u, e)) /* a long cell makes its column wide in every row */
			return false;
	}
	buf_add_char(&p->u->out, '\n');
	return true;
}

/* What says where a row comes from, and not what it says. */
static bool is_technical(struct str name)
{
	static const char *const names[] = { "_extra", "_window", "_gen", "_page", "_off", "_len", "_idx" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_eq_z(name, names[i]))
			return true;
	return false;
}

/* The last one first, until the others fit. */
static size_t hide_columns(struct print_table *p, size_t total, size_t terminal)
{
	for (size_t c = *p->n_columns; c-- > 1 && total > terminal;) {
		if (!p->may_hide || !is_technical((*p->shape)[c].name))
			continue;
		p->hidden[c] = true;
		p->n_hidden++;
		total -= p->widths[c] + 2;
	}
	return total;
}

static void find_widths(struct print_table *p)
{
	size_t n = *p->n_columns, total = 0;
	int terminal = terminal_columns(1);
	p->widths = arena_array(&p->u->arena, size_t, n + 1);
	p->hidden = arena_array(&p->u->arena, bool, n + 1);
	for (size_t c = 0; c < n; c++) {
		p->widths[c] = text_width((*p->shape)[c].name);
		for (size_t r = 0; r < p->n_waiting; r++) {
			size_t w = text_width(p->cells[r * n + c]);
			p->widths[c] = w > p->widths[c] ? w : p->widths[c];
		}
		total += p->widths[c] + (c ? 2 : 0);
	}
	if (terminal > 0)
		total = hide_columns(p, total, (size_t)terminal);
	/* The widest column that is no number gives way, until the row fits or nothing more can go. */
	while (terminal > 0 && total > (size_t)terminal) {
		size_t widest = n;
		for (size_t c = 0; c < n; c++)
			if (!p->hidden[c] && !is_number((*p->shape)[c].type) && p->widths[c] > COLUMN_MIN &&
			    (widest == n || p->widths[c] > p->widths[widest]))
				widest = c;
		if (widest == n)
			break;
		p->widths[widest]--;
		total--;
	}
}

static bool release_waiting(struct print_table *p, struct err *e)
{
	bool ok = true;
	if (!p->begun) {
		find_widths(p);
		ok = put_row(p, NULL, true, e);
		for (size_t c = 0, shown = 0; c < *p->n_columns; c++) {
			if (p->hidden[c])
				continue;
			buf_add_z(&p->u->out, shown++ ? "  " : "");
			for (size_t i = 0; i < p->widths[c]; i++)
				buf_add_char(&p->u->out, '-');
		}
		buf_add_char(&p->u->out, '\n');
		p->begun = true;
	}
	for (size_t r = 0; ok && r < p->n_waiting; r++)
		ok = put_row(p, p->cells + r * *p->n_columns, false, e);
	p->n_waiting = p->waiting_bytes = 0;
	arena_reset(&p->arena);
	p->cells = NULL;
	return ok;
}

static bool wait_row(struct print_table *p, const struct batch *b, size_t row, struct err *e)
{
	size_t n = b->n_columns;
	if (p->cells == NULL)
		p->cells = arena_array(&p->arena, struct str, WAITING_MAX * n + 1);
	for (size_t c = 0; c < n; c++) {
		struct str text;
		struct buf clean = BUF_INIT(CELL_SHOWN_MAX * 6);
		if (!cell_text(&b->columns[c], row, &p->arena, &text))
			text = STR("NULL");
		text_escape(str_sub(text, 0, CELL_SHOWN_MAX), false, &clean);
		p->cells[p->n_waiting * n + c] = arena_copy(&p->arena, buf_str(&clean));
		p->waiting_bytes += clean.n;
		buf_free(&clean);
	}
	p->n_waiting++;
	return (p->n_waiting < WAITING_MAX && p->waiting_bytes <= WAITING_BYTES_MAX) || release_waiting(p, e);
}

/* Readers keep the last of two values of the same name, and lose the other one without a word. */
static bool names_differ(const struct batch *b, const struct batch_shape *shape, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str_map seen = { 0 };
	bool ok = true;
	for (size_t c = 0; c < b->n_columns && ok; c++) {
		ok = str_map_add(&seen, shape[c].name, c, &a);
		if (!ok) {
			err_set(e, ERR_USAGE, "two columns are called %.*s: an object has each name once",
				STR_ARG(str_sub(shape[c].name, 0, 200)));
			err_hint(e, "name one of them otherwise: ... AS other_name");
		}
	}
	arena_free(&a);
	return ok;
}

bool print_rows(void *user, const struct batch *b, struct err *e)
{
	struct print_table *p = user;
	if (p->format == PRINT_JSON && !p->begun) {
		if (!names_differ(b, *p->shape, e))
			return false;
		p->begun = true;
	}
	if (p->format == PRINT_CSV && !p->begun) {
		csv_head(p);
		p->begun = true;
	}
	for (size_t r = 0; r < b->n_rows; r++) {
		p->n_shown++;
		bool ok = p->format == PRINT_TABLE ? wait_row(p, b, r, e)
						   : row_fits(p, b, r, e) && (p->format == PRINT_CSV ? put_csv : put_json)(p, b, r, e);
		if (!ok || !ui_flush_some(p->u, e))
			return false;
	}
	if (p->format != PRINT_TABLE)
		arena_reset(&p->arena);
	if (ui_stop != 0)
		return err_set(e, ui_stop == 2 ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
	return true;
}

bool print_end(struct print_table *p, struct err *e)
{
	bool ok = true;
	if (p->format == PRINT_TABLE)
		ok = release_waiting(p, e);
	else if (p->format == PRINT_CSV && !p->begun)
		csv_head(p);
	arena_free(&p->arena);
	return ok && ui_flush(p->u, e);
}
