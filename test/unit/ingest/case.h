/* Case files: both sides of HTTP conversations, and what is made of them, in one place.
 *
 *     --- name of the case
 *     key: value                 settings, in order
 *     > GET /items?page=1        what is sent
 *     < HTTP/1.1 200 OK          what comes back; an empty "<" line ends the head
 *     < {"data": [1]}
 *     <x \xef\xbb\xbf{}          the same with \xHH, \n, \r, \t, \\ in it, and no line end in front: bytes as they are
 *     = records 1                what is made of it
 *
 * Lines that begin with '#' and empty ones are passed over. */
#ifndef SLUICE_TEST_INGEST_CASE_H
#define SLUICE_TEST_INGEST_CASE_H

#include "unit.h"

#include "base/file.h"
#include "config/pipeline.h"
#include "driver/http.h"

struct case_line {
	char kind; /* ':' setting, '>', '<', 'x' (raw), '=' */
	struct str key, value; /* key: of a setting, or the first word of a '=' line */
	size_t number;
};

struct test_case {
	struct str name;
	struct case_line *v;
	size_t n, cap;
};

struct case_file {
	struct str rest;
	const char *path;
	size_t line;
	struct str next_name;
};

static inline struct case_file case_open(const char *path, struct arena *a)
{
	struct case_file f = { .path = path };
	struct err e = ERR_INIT;
	if (!file_read(path, (size_t)1 << 30, a, &f.rest, &e))
		fail_msg("%s", e.message);
	return f;
}

static inline struct case_line case_line_of(struct str line, const struct case_file *f)
{
	struct case_line l = { .kind = line.p[0], .number = f->line };
	struct str text = str_sub(line, 1, line.n);
	if (str_starts(line, STR("<x "))) {
		l.kind = 'x';
		l.value = str_sub(line, 3, line.n);
		return l;
	}
	if (l.kind == '<' || l.kind == '>') {
		l.value = str_starts(text, STR(" ")) ? str_sub(text, 1, text.n) : text;
		return l;
	}
	if (l.kind == '=') {
		text = str_trim(text);
		size_t blank = str_find_char(text, ' ');
		l.key = str_sub(text, 0, blank);
		l.value = str_trim(str_sub(text, blank, text.n));
		return l;
	}
	size_t colon = str_find_char(line, ':');
	if (colon == line.n)
		fail_msg("%s:%zu: neither a setting nor >, <, =", f->path, f->line);
	l.kind = ':';
	l.key = str_sub(line, 0, colon);
	l.value = str_trim(str_sub(line, colon + 1, line.n));
	return l;
}

static inline bool case_next(struct case_file *f, struct arena *a, struct test_case *out)
{
	struct str line;
	*out = (struct test_case){ .name = f->next_name };
	f->next_name = STR_NONE;
	while (f->rest.n > 0 && str_cut(&f->rest, '\n', &line)) {
		f->line++;
		if (str_starts(line, STR("--- "))) {
			bool first = out->name.n == 0;
			f->next_name = str_sub(line, 4, line.n);
			if (!first)
				return true;
			out->name = f->next_name;
			f->next_name = STR_NONE;
		} else if (line.n > 0 && line.p[0] != '#') {
			*arena_push(a, *out) = case_line_of(line, f);
		}
	}
	return out->name.n > 0;
}

static inline int case_hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static inline void case_unescape(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c != '\\' || i + 1 == s.n) {
			buf_add_char(out, c);
			continue;
		}
		c = s.p[++i];
		if (c == 'x' && i + 2 < s.n) {
			buf_add_char(out, (char)(case_hex(s.p[i + 1]) * 16 + case_hex(s.p[i + 2])));
			i += 2;
		} else {
			buf_add_char(out, c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c);
		}
	}
}

/* The '<' lines from *at on as bytes on the wire; *at is behind them. */
static inline struct str case_answer(const struct test_case *c, size_t *at, struct arena *a)
{
	struct buf raw = BUF_INIT(1 << 24);
	bool body = false, first = true;
	for (; *at < c->n && (c->v[*at].kind == '<' || c->v[*at].kind == 'x'); (*at)++) {
		const struct case_line *l = &c->v[*at];
		if (l->kind == 'x') {
			case_unescape(&raw, l->value);
			first = false;
		} else if (!body) {
			buf_addf(&raw, "%.*s\r\n", STR_ARG(l->value));
			body = l->value.n == 0;
		} else {
			buf_addf(&raw, "%s%.*s", first ? "" : "\n", STR_ARG(l->value));
			first = false;
		}
	}
	if (!body)
		buf_add_z(&raw, "\r\n");
	struct str s = arena_copy(a, buf_str(&raw));
	buf_free(&raw);
	return s;
}

/* What the transport makes of these bytes. `fail`: how the connection ended. */
static inline struct http_exchange *exchange_of(struct str raw, enum err_code fail, const struct http_request *request)
{
	struct http_request any = { .method = STR("GET"), .url = STR("http://api.example/") };
	struct http_fake_row row = { .method = STR("GET"), .url_glob = STR("*"), .raw = raw, .fail = fail };
	struct clock_fake clock;
	struct http *http = NULL;
	struct err e = ERR_INIT;
	if (request)
		any = *request;
	row.method = any.method;
	if (any.max_header_bytes == 0)
		any.max_header_bytes = 1 << 16;
	if (any.max_body_bytes == 0)
		any.max_body_bytes = 1 << 24;
	clock_fake_init(&clock, INT64_C(1700000000000000));
	assert_true(http_open_fake(&clock, &row, 1, &http, &e));
	if (!http_start(http, &any, &e))
		fail_msg("%s", e.message);
	struct http_exchange *x = http_wait(http, 0);
	assert_non_null(x);
	http_close(http);
	return x;
}

#define CASE_FAIL(c, l, ...) \
	case_failed((c), (l), __VA_ARGS__)
static inline void case_failed(const struct test_case *c, const struct case_line *l, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static inline void case_failed(const struct test_case *c, const struct case_line *l, const char *format, ...)
{
	char text[4096];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fail_msg("line %zu (%.*s): %s", l ? l->number : 0, STR_ARG(c->name), text);
}

#endif
