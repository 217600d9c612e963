#include "mock/table.h"

#include "base/check.h"
#include "base/json.h"
#include "mock/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const TYPE_NAMES[CELL_TYPES] = { "integer", "number", "boolean", "string", "json" };

bool cell_type_from(struct str name, enum cell_type *out)
{
	for (enum cell_type t = 0; t < CELL_TYPES; t++)
		if (str_eq_z(name, TYPE_NAMES[t])) {
			*out = t;
			return true;
		}
	return false;
}

static bool map_file(const char *path, struct str *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return err_set_errno(e, errno == ENOENT ? ERR_MISSING : ERR_STORAGE, errno, "open %s", path);
	*out = STR_NONE;
	void *p = NULL;
	if (fstat(fd, &st) != 0 ||
	    (st.st_size > 0 && (p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)) {
		int why = errno;
		close(fd);
		return err_set_errno(e, ERR_STORAGE, why, "map %s", path);
	}
	close(fd);
	*out = (struct str){ p, (size_t)st.st_size };
	return true;
}

static size_t count_lines(struct str t)
{
	size_t n = 1;
	for (const char *p = t.p, *end = t.p + t.n; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		n++;
	return n;
}

bool time_read(struct str text, struct str form, const struct zone *zone, int64_t *us)
{
	bool more;
	int32_t days;
	int64_t n;
	if (form.n == 0 || str_eq_z(form, "date") || str_eq_z(form, "datetime")) {
		if (!str_eq_z(form, "date") && us_from_rfc3339(text, us, &more))
			return true;
		if (str_eq_z(form, "datetime") || !days_from_text(text, &days))
			return false;
		struct civil midnight = civil_from_us((int64_t)days * US_PER_DAY);
		*us = zone ? zone_us_from_civil(zone, midnight) : us_from_civil(midnight);
		return true;
	}
	if (str_eq_z(form, "epoch_s"))
		return str_to_i64(text, &n) && !__builtin_mul_overflow(n, (int64_t)US_PER_SECOND, us);
	if (str_eq_z(form, "epoch_ms"))
		return str_to_i64(text, &n) && !__builtin_mul_overflow(n, INT64_C(1000), us);
	return us_from_pattern(text, form, zone, us, &more, NULL);
}

/* ── guessing ── */

/* RFC 8259 number grammar; *integer: without fraction and exponent. */
static bool is_number(struct str s, bool *integer)
{
	const char *p = s.p, *end = s.p + s.n;
	*integer = true;
	p += p < end && *p == '-';
	if (p == end || *p < '0' || *p > '9')
		return false;
	if (*p++ != '0')
		while (p < end && *p >= '0' && *p <= '9')
			p++;
	if (p < end && *p == '.') {
		*integer = false;
		const char *digits = ++p;
		while (p < end && *p >= '0' && *p <= '9')
			p++;
		if (p == digits)
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		*integer = false;
		p++;
		p += p < end && (*p == '-' || *p == '+');
		const char *digits = p;
		while (p < end && *p >= '0' && *p <= '9')
			p++;
		if (p == digits)
			return false;
	}
	return p == end;
}

struct guess {
	size_t bad_line[CELL_TYPES]; /* first line whose value cannot have this type; 0: all can */
	size_t values;               /* that are not null */
	bool json_wanted;
};

static bool cell_is_null(const struct table *t, const struct csv_cell *c)
{
	return !c->quoted && str_eq(c->raw, t->null_text);
}

static void guess_cell(struct guess *g, const struct csv_cell *c, size_t line)
{
	bool integer = false;
	g->values++;
	bool number = !g->bad_line[CELL_NUMBER] && is_number(c->raw, &integer);
	if (!number && !g->bad_line[CELL_NUMBER])
		g->bad_line[CELL_NUMBER] = line;
	if (!(number && integer) && !g->bad_line[CELL_INTEGER])
		g->bad_line[CELL_INTEGER] = line;
	if (!g->bad_line[CELL_BOOLEAN] && !str_eq_z(c->raw, "true") && !str_eq_z(c->raw, "false"))
		g->bad_line[CELL_BOOLEAN] = line;
	const char *fault;
	size_t fault_at;
	if (g->json_wanted && !g->bad_line[CELL_JSON] &&
	    (c->doubled || !json_valid(c->raw, JSON_DEPTH, &fault, &fault_at)))
		g->bad_line[CELL_JSON] = line;
}

static bool settle_types(const struct table_spec *spec, struct table *t, const struct guess *guesses, struct err *e)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct guess *g = &guesses[i];
		enum cell_type type = CELL_STRING;
		if (g->values > 0 && !g->bad_line[CELL_INTEGER])
			type = CELL_INTEGER;
		else if (g->values > 0 && !g->bad_line[CELL_NUMBER])
			type = CELL_NUMBER;
		else if (g->values > 0 && !g->bad_line[CELL_BOOLEAN])
			type = CELL_BOOLEAN;
		for (size_t k = 0; k < spec->n_types; k++) {
			if (!str_eq(spec->types[k].column, t->columns[i].name))
				continue;
			type = spec->types[k].type;
			if (g->bad_line[type])
				return err_set(e, ERR_USAGE, "%s: line %zu: column `%.*s` is declared %s, but its value is not",
					       spec->path, g->bad_line[type], STR_ARG(t->columns[i].name), TYPE_NAMES[type]);
		}
		t->columns[i].type = type;
	}
	return true;
}

/* ── loading ── */

static bool take_time(const struct table_spec *spec, struct table *t, struct str value, size_t line, struct err *e)
{
	if (!time_read(value, spec->time_form, spec->zone, &t->time_us[t->n_rows]))
		return err_set(e, ERR_USAGE, "%s: line %zu: `%.*s` in the window's column `%.*s` is no time of form %s",
			       spec->path, line, STR_ARG(value), STR_ARG(spec->time_column),
			       spec->time_form.n ? spec->time_form.p : "RFC 3339 or YYYY-MM-DD");
	return true;
}

static bool find_column(const struct table *t, struct str name, const char *path, size_t *at, struct err *e)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (str_eq(t->columns[i].name, name)) {
			*at = i;
			return true;
		}
	return err_set(e, ERR_USAGE, "%s has no column `%.*s`", path, STR_ARG(name));
}

static bool take_header(struct csv *c, const struct table_spec *spec, struct arena *a, struct table *t, struct err *e)
{
	size_t n, unused;
	if (!csv_next(c, t->cells, CSV_COLUMNS_MAX, &n, e))
		return err_wrap(e, "%s", spec->path);
	t->n_columns = n;
	t->columns = arena_array(a, struct column, n + 1);
	struct buf label = BUF_INIT(1 << 20);
	for (size_t i = 0; i < n; i++) {
		t->columns[i].name = csv_cell_text(&t->cells[i], a);
		buf_clear(&label);
		json_escape(&label, t->columns[i].name);
		buf_add_char(&label, ':');
		t->columns[i].label = arena_copy(a, buf_str(&label));
	}
	buf_free(&label);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(t->columns[i].name, t->columns[k].name))
				return err_set(e, ERR_USAGE, "%s: two columns have the name `%.*s`", spec->path,
					       STR_ARG(t->columns[i].name));
	for (size_t i = 0; i < spec->n_types; i++)
		if (!find_column(t, spec->types[i].column, spec->path, &unused, e))
			return err_wrap(e, "types");
	return true;
}

static bool load_csv(const struct table_spec *spec, struct arena *a, struct table *t, struct err *e)
{
	struct csv c;
	csv_open(&c, t->text);
	if (!take_header(&c, spec, a, t, e))
		return false;
	size_t time_at = 0, *key_at = arena_array(a, size_t, spec->n_keys + 1);
	if (spec->time_column.n && !find_column(t, spec->time_column, spec->path, &time_at, e))
		return err_wrap(e, "window");
	for (size_t i = 0; i < spec->n_keys; i++)
		if (!find_column(t, spec->keys[i], spec->path, &key_at[i], e))
			return err_wrap(e, "keys");
	struct guess *guesses = arena_array(a, struct guess, t->n_columns + 1);
	for (size_t i = 0; i < spec->n_types; i++) {
		size_t at = 0;
		if (spec->types[i].type == CELL_JSON && find_column(t, spec->types[i].column, spec->path, &at, e))
			guesses[at].json_wanted = true;
	}
	for (size_t n;; t->n_rows++) {
		if (!csv_next(&c, t->cells, CSV_COLUMNS_MAX, &n, e))
			return err_wrap(e, "%s", spec->path);
		if (n == 0)
			return settle_types(spec, t, guesses, e);
		if (n != t->n_columns)
			return err_set(e, ERR_USAGE, "%s: line %zu has %zu cells, the header has %zu", spec->path,
				       c.row_line, n, t->n_columns);
		t->row_at[t->n_rows] = c.row_at;
		for (size_t i = 0; i < n; i++)
			if (!cell_is_null(t, &t->cells[i]))
				guess_cell(&guesses[i], &t->cells[i], c.row_line);
		for (size_t i = 0; i < spec->n_keys; i++)
			t->keys[i].values[t->n_rows] = csv_cell_text(&t->cells[key_at[i]], a);
		if (!t->time_us)
			continue;
		t->time_us[t->n_rows] = TABLE_NO_TIME;
		const struct csv_cell *time = &t->cells[time_at];
		if (!cell_is_null(t, time) && !take_time(spec, t, time->raw, c.row_line, e))
			return false;
	}
}

static bool take_object(const struct table_spec *spec, struct arena *a, struct table *t, struct str line, size_t line_no,
			struct json_pick *picks, struct err *e)
{
	const char *fault;
	size_t fault_at;
	for (size_t i = 0; i < spec->n_keys + 1; i++)
		picks[i].found = false;
	if (line.p[0] != '{')
		return err_set(e, ERR_USAGE, "%s: line %zu is not a JSON object", spec->path, line_no);
	if (!json_pick(line, JSON_DEPTH, picks, spec->n_keys + 1, &fault, &fault_at))
		return err_set(e, ERR_USAGE, "%s: line %zu, byte %zu: %s", spec->path, line_no, fault_at, fault);
	struct str text = STR_NONE; /* of the last pick in the end: the window's column */
	for (size_t i = 0; i < spec->n_keys + 1; i++) {
		text = STR_NONE;
		if (picks[i].found && picks[i].type == JSON_STRING) {
			struct str inside = str_sub(picks[i].raw, 1, picks[i].raw.n - 2);
			if (!json_unescape(inside, a, &text))
				text = inside;
		} else if (picks[i].found && picks[i].type != JSON_NULL) {
			text = picks[i].raw;
		}
		if (i < spec->n_keys)
			t->keys[i].values[t->n_rows] = text;
	}
	if (t->time_us) {
		t->time_us[t->n_rows] = TABLE_NO_TIME;
		if (text.n && !take_time(spec, t, text, line_no, e))
			return false;
	}
	return true;
}

static bool load_ndjson(const struct table_spec *spec, struct arena *a, struct table *t, struct err *e)
{
	struct json_pick *picks = arena_array(a, struct json_pick, spec->n_keys + 1);
	for (size_t i = 0; i < spec->n_keys; i++)
		picks[i].path = spec->keys[i];
	picks[spec->n_keys].path = spec->time_column.n ? spec->time_column : STR("-");
	struct str rest = t->text, line;
	for (size_t line_no = 1; str_cut(&rest, '\n', &line); line_no++) {
		line = str_trim(line);
		if (line.n == 0)
			continue;
		t->row_at[t->n_rows] = (uint64_t)(line.p - t->text.p);
		if (!take_object(spec, a, t, line, line_no, picks, e))
			return false;
		t->n_rows++;
	}
	return true;
}

bool table_load(const struct table_spec *spec, struct arena *a, struct table *out, struct err *e)
{
	*out = (struct table){ .null_text = spec->null_text, .n_keys = spec->n_keys };
	struct str path = str_from(spec->path);
	out->ndjson = str_ends(path, STR(".ndjson")) || str_ends(path, STR(".jsonl"));
	if (!out->ndjson && !str_ends(path, STR(".csv")))
		return err_set(e, ERR_USAGE, "%s: the name must end with .csv, .ndjson or .jsonl", spec->path);
	if (!map_file(spec->path, &out->text, e))
		return false;
	if (!str_is_utf8(out->text))
		return err_set(e, ERR_USAGE, "%s is not UTF-8", spec->path);
	size_t most = count_lines(out->text);
	if (most > UINT32_MAX)
		return err_set(e, ERR_TOO_LARGE, "%s has more than %" PRIu32 " lines", spec->path, UINT32_MAX);
	out->row_at = arena_array(a, uint64_t, most + 1);
	out->cells = arena_array(a, struct csv_cell, CSV_COLUMNS_MAX);
	if (spec->time_column.n)
		out->time_us = arena_array(a, int64_t, most + 1);
	out->keys = arena_array(a, struct table_key, spec->n_keys + 1);
	for (size_t i = 0; i < spec->n_keys; i++) {
		out->keys[i].name = spec->keys[i];
		out->keys[i].values = arena_array(a, struct str, most + 1);
	}
	return out->ndjson ? load_ndjson(spec, a, out, e) : load_csv(spec, a, out, e);
}

void table_unload(struct table *t)
{
	if (t->text.n)
		munmap((void *)(uintptr_t)t->text.p, t->text.n);
	t->text = STR_NONE;
}

/* ── rendering ── */

static void render_string(struct buf *out, const struct csv_cell *c)
{
	bool plain = !c->doubled;
	for (size_t i = 0; plain && i < c->raw.n; i++)
		plain = (unsigned char)c->raw.p[i] >= 0x20 && c->raw.p[i] != '"' && c->raw.p[i] != '\\';
	if (plain) {
		buf_add_char(out, '"');
		buf_add(out, c->raw);
		buf_add_char(out, '"');
		return;
	}
	struct arena a = ARENA_INIT;
	json_escape(out, csv_cell_text(c, &a));
	arena_free(&a);
}

bool table_render(struct table *t, size_t row, struct buf *out)
{
	CHECK(row < t->n_rows);
	struct str rest = str_sub(t->text, t->row_at[row], t->text.n);
	if (t->ndjson) {
		struct str line;
		str_cut(&rest, '\n', &line);
		return buf_add(out, str_trim(line));
	}
	struct csv c = { .text = t->text, .at = t->row_at[row], .line = 1 };
	struct err e = ERR_INIT;
	size_t n;
	CHECK(csv_next(&c, t->cells, CSV_COLUMNS_MAX, &n, &e) && n == t->n_columns);
	buf_add_char(out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		buf_add(out, t->columns[i].label);
		if (cell_is_null(t, &t->cells[i]))
			buf_add(out, STR("null"));
		else if (t->columns[i].type == CELL_STRING)
			render_string(out, &t->cells[i]);
		else
			buf_add(out, t->cells[i].raw);
	}
	return buf_add_char(out, '}');
}
