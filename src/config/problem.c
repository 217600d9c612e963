#include "config/problem.h"

#include "base/check.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values from files may hold any character; a terminal gets none that steers it. */
static struct str text_escape(struct arena *a, struct str s)
{
	static const char digits[] = "0123456789abcdef";
	size_t extra = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c == 0x7f)
			extra += 3;
	}
	if (!extra)
		return s;
	char *out = arena_alloc(a, s.n + extra + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c == 0x7f) {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = digits[c >> 4];
			out[n++] = digits[c & 15];
		} else {
			out[n++] = (char)c;
		}
	}
	return (struct str){ out, n };
}

void problem_vadd(struct problems *p, const char *file, unsigned line, unsigned column, bool warning,
		  const char *advice, const char *format, va_list args)
{
	CHECK(p->arena != NULL);
	if (!warning)
		p->n_errors++;
	if (p->n >= PROBLEMS_MAX)
		return;
	struct problem one = {
		.file = strncmp(file, "./", 2) == 0 ? file + 2 : file, /* what was found in this folder and what was named there */
		.line = line,
		.column = column,
		.message = text_escape(p->arena, arena_vformat(p->arena, format, args)),
		.advice = STR_NONE,
		.warning = warning,
	};
	if (advice)
		one.advice = text_escape(p->arena, arena_copy(p->arena, str_from(advice)));
	*arena_push(p->arena, *p) = one;
}

void problem_file(struct problems *p, const char *file, unsigned line, unsigned column, const char *advice,
		  const char *format, ...)
{
	va_list args;
	va_start(args, format);
	problem_vadd(p, file, line, column, false, advice, format, args);
	va_end(args);
}

void problem_unread(struct problems *p, const char *file, const char *advice, const struct err *e)
{
	bool wrong = e->code != ERR_STORAGE || e->sys_errno == EACCES || e->sys_errno == EPERM || e->sys_errno == EISDIR ||
		     e->sys_errno == ELOOP || e->sys_errno == ENAMETOOLONG;
	if (!wrong && !advice)
		advice = err_hint_text(e);
	else if (e->sys_errno == EACCES || e->sys_errno == EPERM)
		advice = "the user who runs sluice must be allowed to read it";
	problem_file(p, file, 0, 0, advice, "%s", e->message);
	if (!wrong && p->n < PROBLEMS_MAX)
		p->v[p->n - 1].trouble = true;
}

static int problem_compare(const void *left, const void *right)
{
	const struct problem *a = *(const struct problem *const *)left;
	const struct problem *b = *(const struct problem *const *)right;
	int by_file = strcmp(a->file, b->file);
	if (by_file)
		return by_file;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return a < b ? -1 : a > b; /* as found: both point into one array */
}

static const struct problem **problems_sorted(const struct problems *p)
{
	const struct problem **v = arena_array(p->arena, const struct problem *, p->n);
	for (size_t i = 0; i < p->n; i++)
		v[i] = &p->v[i];
	qsort(v, p->n, sizeof *v, problem_compare);
	return v;
}

void problems_print(const struct problems *p, struct buf *out)
{
	if (!p->n)
		return;
	const struct problem **v = problems_sorted(p);
	for (size_t i = 0; i < p->n; i++) {
		buf_add_z(out, v[i]->file);
		if (v[i]->line)
			buf_addf(out, ":%u:%u", v[i]->line, v[i]->column);
		buf_add_z(out, v[i]->warning ? ": warning: " : ": ");
		buf_add(out, v[i]->message);
		buf_add_char(out, '\n');
		if (v[i]->advice.n) {
			buf_add_z(out, "    ");
			buf_add(out, v[i]->advice);
			buf_add_char(out, '\n');
		}
	}
	if (p->n >= PROBLEMS_MAX)
		buf_addf(out, "only the first %d are shown\n", PROBLEMS_MAX);
}

void problems_json(const struct problems *p, struct buf *out)
{
	struct json_out o = JSON_OUT(out);
	json_begin_array(&o, NULL);
	const struct problem **v = p->n ? problems_sorted(p) : NULL;
	for (size_t i = 0; i < p->n; i++) {
		json_begin_object(&o, NULL);
		json_put_str(&o, "file", str_from(v[i]->file));
		json_put_u64(&o, "line", v[i]->line);
		json_put_u64(&o, "column", v[i]->column);
		json_put_z(&o, "level", v[i]->warning ? "warning" : "error");
		json_put_str(&o, "message", v[i]->message);
		json_put_str(&o, "advice", v[i]->advice);
		json_end_object(&o);
	}
	json_end_array(&o);
}

enum err_code problems_code(const struct problems *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].trouble && !p->v[i].warning)
			return ERR_STORAGE;
	return p->n_errors ? ERR_CONFIG : ERR_NONE;
}

bool problems_to_err(const struct problems *p, struct err *e)
{
	enum err_code code = problems_code(p);
	if (code == ERR_NONE)
		return true;
	const struct problem *first = NULL;
	const struct problem **v = problems_sorted(p);
	for (size_t i = 0; i < p->n && !first; i++)
		if (!v[i]->warning && v[i]->trouble == (code == ERR_STORAGE))
			first = v[i];
	CHECK(first != NULL);
	char place[32] = "";
	if (first->line) {
		int n = snprintf(place, sizeof place, ":%u:%u", first->line, first->column);
		CHECK(n > 0 && (size_t)n < sizeof place);
	}
	if (p->n_errors == 1) {
		err_set(e, code, "%s%s: %.*s", first->file, place, STR_ARG(first->message));
		if (first->advice.n)
			err_hint(e, "%.*s", STR_ARG(first->advice));
		return false;
	}
	return err_set(e, code, "%s%s: %.*s (and %zu more)", first->file, place, STR_ARG(first->message),
		       p->n_errors - 1);
}
