/* What all commands share: output, errors, opening the project. */
#include "base/effect.h"
#include "ui/command.h"

#include "base/check.h"
#include "base/json.h"
#include "run/engine_call.h"
#include "ui/wrap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ── texts ── */

/* Characters that make a line look like another one: directions of writing, separators (U+200E, U+2028, U+202E ...). */
static bool is_deceiving(struct str text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text.p;
	if (n != 3 || p[0] != 0xe2)
		return false;
	return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
	       (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

void text_escape(struct str text, bool keep_newlines, struct buf *out)
{
	while (text.n > 0) {
		size_t n = str_utf8_char(text);
		unsigned char c = (unsigned char)text.p[0];
		bool c1 = n == 2 && c == 0xc2 && (unsigned char)text.p[1] < 0xa0;
		if (c == '\n' && keep_newlines)
			buf_add_char(out, '\n');
		else if (c == '\n' || c == '\t' || c == '\r')
			buf_add_z(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
		else if (c1)
			buf_addf(out, "\\u%04x", (unsigned char)text.p[1]);
		else if (is_deceiving(text, n))
			buf_addf(out, "\\u%04x", 0x2000 + ((unsigned char)text.p[1] - 0x80) * 0x40 + ((unsigned char)text.p[2] & 0x3f));
		else if (n == 0 || c < 0x20 || c == 0x7f)
			buf_addf(out, "\\x%02x", c);
		else
			buf_add(out, str_sub(text, 0, n));
		text = str_sub(text, n ? n : 1, text.n);
	}
}

int terminal_columns(int fd)
{
	struct winsize w;
	const char *told = getenv("COLUMNS");
	uint64_t n;
	if (!isatty(fd))
		return 0;
	if (told && str_to_u64(str_from(told), &n) && n >= 20 && n <= 10000)
		return (int)n;
	if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20)
		return w.ws_col;
	return 80;
}

void ui_say(struct ui *u, struct str text)
{
	struct buf b = BUF_INIT(UI_OUT_MAX);
	args_complete(&u->args, text, &b);
	text_escape(buf_str(&b), true, &u->out);
	buf_free(&b);
}

static void write_error(struct str text)
{
	struct buf wrapped = BUF_INIT(64 << 20);
	int columns = terminal_columns(STDERR_FILENO);
	if (columns > 0) {
		text_wrap(text, (size_t)columns, &wrapped);
		text = buf_str(&wrapped);
	}
	ssize_t n = sys_say(STDERR_FILENO, text.p, text.n); /* in one piece; where should its failure be told? */
	(void)n;
	buf_free(&wrapped);
}

static void json_failure(struct ui *u, const struct err *e, const struct problems *p)
{
	struct json_out o = JSON_OUT(&u->out);
	struct buf list = BUF_INIT(16 << 20);
	if (!u->json_errors || !u->args.given[OPT_JSON] || u->printed || u->out.n > 0)
		return;
	json_begin_object(&o, NULL);
	json_put_i64(&o, "exit_status", err_exit_status(e->code));
	json_begin_object(&o, "error");
	json_put_z(&o, "code", err_name(e->code));
	json_put_z(&o, "message", e->message);
	json_put_z(&o, "hint", err_hint_text(e));
	json_end_object(&o);
	if (p) {
		problems_json(p, &list);
		json_put_raw(&o, "problems", buf_str(&list));
	}
	json_end_object(&o);
	buf_add_char(&u->out, '\n');
	buf_free(&list);
}

static void put_hint(struct ui *u, const struct err *e, struct buf *line)
{
	struct buf b = BUF_INIT(1 << 16);
	const char *hint = err_hint_text(e);
	if (hint[0] != '\0') {
		args_complete(&u->args, str_from(hint), &b);
		buf_add_z(line, "  hint: ");
		text_escape(buf_str(&b), false, line);
		buf_add_char(line, '\n');
	}
	enum option_id advised = args_advised(&u->args, str_from(hint));
	if (advised != OPT_COUNT) {
		buf_add_z(line, "  hint: ");
		text_escape(args_with(&u->args, advised, &u->arena), false, line);
		buf_add_char(line, '\n');
	} else if (e->code == ERR_MEMORY && u->args.command) { /* the hint says what to change first */
		buf_add_z(line, "  hint: ");
		text_escape(args_whole(&u->args, &u->arena), false, line);
		buf_add_char(line, '\n');
	}
	buf_free(&b);
}

int ui_hint(struct ui *u, const struct err *e)
{
	struct buf line = BUF_INIT(1 << 18);
	put_hint(u, e, &line);
	write_error(buf_str(&line));
	buf_free(&line);
	return err_exit_status(e->code);
}

int ui_fail(struct ui *u, const struct err *e)
{
	struct buf b = BUF_INIT(1 << 16), line = BUF_INIT(1 << 18);
	struct err ignored = ERR_INIT;
	if (!u->failed_output) {
		json_failure(u, e, NULL);
		ui_flush(u, &ignored); /* what was printed before belongs before it */
	}
	args_complete(&u->args, str_from(e->message), &b);
	buf_add_z(&line, "sluice: ");
	text_escape(buf_str(&b), false, &line);
	buf_add_char(&line, '\n');
	put_hint(u, e, &line);
	write_error(buf_str(&line));
	buf_free(&b);
	buf_free(&line);
	return err_exit_status(e->code);
}

/* ── standard output ── */

/* Words for people, on a terminal. What is data comes out as it is; rows were cut already (print_table.c). */
static bool wraps(const struct ui *u)
{
	static const char *const data[] = { "show", "query", "raw cat", "contract draft", "engine", "digest" };
	if (u->args.command == NULL || u->args.given[OPT_JSON] || terminal_columns(STDOUT_FILENO) == 0)
		return false;
	for (size_t i = 0; i < sizeof data / sizeof *data; i++)
		if (strcmp(u->args.command->name, data[i]) == 0)
			return false;
	return true;
}

static void wrap_output(struct ui *u)
{
	struct buf wrapped = BUF_INIT(UI_OUT_MAX);
	text_wrap(buf_str(&u->out), (size_t)terminal_columns(STDOUT_FILENO), &wrapped);
	CHECK(!wrapped.overflow);
	buf_free(&u->out);
	u->out = wrapped;
}

bool ui_flush(struct ui *u, struct err *e)
{
	CHECK(!u->out.overflow);
	size_t at = 0;
	if (u->out.n > 0 && wraps(u))
		wrap_output(u);
	while (at < u->out.n) {
		ssize_t n = sys_write(STDOUT_FILENO, u->out.p + at, u->out.n - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE) { /* `| head` has seen enough */
			signal(SIGPIPE, SIG_DFL);
			raise(SIGPIPE);
		}
		if (n < 0) {
			u->failed_output = true;
			return err_set_errno(e, ERR_STORAGE, errno, "standard output cannot be written");
		}
		at += (size_t)n;
		u->printed = true;
	}
	buf_clear(&u->out);
	return true;
}

bool ui_flush_some(struct ui *u, struct err *e)
{
	return u->out.n < UI_OUT_PIECE || ui_flush(u, e);
}

int ui_done(struct ui *u, int status)
{
	struct err e = ERR_INIT;
	if (u->failed_output || ui_flush(u, &e))
		return status;
	int failed = ui_fail(u, &e);
	return status ? status : failed;
}

/* ── the project ── */

static void say_problems(struct ui *u, const struct problems *p, bool fatal)
{
	struct err first = ERR_INIT, ignored = ERR_INIT;
	if (fatal && !problems_to_err(p, &first)) {
		json_failure(u, &first, p);
		ui_flush(u, &ignored);
	}
	struct buf b = BUF_INIT(16 << 20), line = BUF_INIT(64 << 20);
	problems_print(p, &b);
	args_complete(&u->args, buf_str(&b), &line);
	buf_clear(&b);
	text_escape(buf_str(&line), true, &b);
	write_error(buf_str(&b));
	buf_free(&b);
	buf_free(&line);
}

const char *ui_pipeline_file(struct ui *u)
{
	struct stat st;
	if (!u->args.given[OPT_FILE])
		return "pipeline.yaml";
	const char *file = u->args.value[OPT_FILE].p;
	if (sys_stat(file, &st) == 0 && S_ISDIR(st.st_mode))
		return arena_format(&u->arena, "%s/pipeline.yaml", file).p;
	return file;
}

bool ui_pipeline_there(struct ui *u, struct problems *p)
{
	struct stat st;
	const char *file = ui_pipeline_file(u);
	if (sys_stat(file, &st) == 0 || errno != ENOENT)
		return true;
	problem_file(p, file, 0, 0, u->args.given[OPT_FILE] ? "`sluice init URL` writes a first one"
							    : "`sluice init URL` writes a first one; -f names another file",
		     "no such file%s", strchr(file, '/') ? "" : " in this folder");
	return false;
}

/* What works on Raw goes on while contracts or models have mistakes; they are told all the same. */
static bool needs_no_tables(const struct ui *u)
{
	static const char *const names[] = { "run", "ingest", "contract draft", "raw ls", "raw cat", "accept", "runs", "verify", "gc" };
	if (u->args.given[OPT_DRY_RUN])
		return false;
	for (size_t i = 0; u->args.command && i < sizeof names / sizeof *names; i++)
		if (strcmp(u->args.command->name, names[i]) == 0)
			return true;
	return false;
}

bool ui_load(struct ui *u, int *status)
{
	struct problems p = PROBLEMS_INIT(&u->arena);
	struct args *g = &u->args;
	u->project_options = (struct project_options){
		.pipeline_file = ui_pipeline_file(u),
		.environment = g->value[OPT_ENV],
		.lake = g->value[OPT_LAKE],
		.raw_from = g->value[OPT_RAW_FROM],
		.without_tables = needs_no_tables(u),
	};
	bool ok = ui_pipeline_there(u, &p) && project_load(&u->project_options, &u->arena, &u->project, &p);
	if (!ok || p.n_errors > 0)
		say_problems(u, &p, !ok);
	if (ok)
		return true;
	enum err_code code = problems_code(&p);
	*status = err_exit_status(code != ERR_NONE ? code : ERR_CONFIG);
	return false;
}

/* A plan for a lake that is not there yet is a plan for an empty one. */
static bool open_lake(struct ui *u, enum ui_lake lake, struct err *e)
{
	u->project_options.create_lake = lake == LAKE_MADE;
	if (project_open_lake(&u->project, &u->project_options, e))
		return true;
	if (lake != LAKE_PERHAPS || e->code != ERR_MISSING || u->project.store)
		return false; /* the one that Raw is read from must be there */
	*e = ERR_INIT;
	return project_lake_absent(&u->project, &u->project_options, e);
}

bool ui_open(struct ui *u, enum ui_lake lake, bool link, int *status)
{
	struct err e = ERR_INIT;
	struct problems p = PROBLEMS_INIT(&u->arena);
	if (!ui_load(u, status))
		return false;
	if (!open_lake(u, lake, &e) || (link && !project_link(&u->project, &p, &e))) {
		if (p.n_errors > 0) {
			say_problems(u, &p, true);
			*status = err_exit_status(problems_code(&p));
		} else {
			*status = ui_fail(u, &e);
		}
		return false;
	}
	return true;
}

bool ui_resource(struct ui *u, struct str name, const struct resource **out, struct err *e)
{
	const struct pipeline *l = u->project.pipeline;
	*out = pipeline_resource(l, name);
	if (*out)
		return true;
	size_t best = SIZE_MAX;
	const struct resource *nearest = NULL;
	struct buf names = BUF_INIT(4096);
	for (size_t i = 0; i < l->n_resources; i++) {
		size_t d = str_distance(name, l->resources[i].name);
		if (d < best && d <= 1 + name.n / 3) {
			best = d;
			nearest = &l->resources[i];
		}
		if (names.n < 400)
			buf_addf(&names, "%s%.*s", i ? ", " : "", STR_ARG(l->resources[i].name));
	}
	err_set(e, ERR_USAGE, "pipeline %.*s has no resource %.*s", STR_ARG(l->name), STR_ARG(name));
	if (nearest)
		err_hint(e, "did you mean %.*s?", STR_ARG(nearest->name));
	else
		err_hint(e, "there are: %.*s", STR_ARG(buf_str(&names)));
	buf_free(&names);
	return false;
}

bool ui_window(struct str name, struct err *e)
{
	struct window w;
	if (window_from_name(name, &w))
		return true;
	err_set(e, ERR_USAGE, "%.*s is no name of a window", STR_ARG(name));
	return err_hint(e, "windows are named like 20130101T050000Z_20130102T050000Z: see `sluice raw ls`");
}

int cmd_engine(struct ui *u)
{
	char *path = arena_zero_terminated(&u->arena, u->args.operands[0]);
	/* Whoever started us decides: a signal of the terminal's goes to our parent too, which then ends us. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	return engine_child_main(path);
}
