/* verify and digest: the lake as a whole. */
#include "base/effect.h"
#include "base/json.h"
#include "run/digest.h"
#include "run/raw.h"
#include "run/verify.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* ── verify ── */

struct say {
	struct ui *u;
	struct json_out json;
	bool as_json;
	bool shows;        /* a line of progress on the terminal */
	int64_t shown_us;
	bool any_finding;
};

static void clear_line(struct say *s)
{
	static const char clear[] = "\r\x1b[K";
	if (s->shows && s->shown_us != 0) {
		ssize_t n = sys_say(STDERR_FILENO, clear, sizeof clear - 1);
		(void)n;
	}
}

static void on_progress(void *user, uint64_t done, uint64_t total, struct str at)
{
	enum { REDRAW_US = 100000 };
	struct say *s = user;
	struct clock *c = s->u->project.clock;
	int64_t now = c->monotonic_us(c);
	if (!s->shows || now - s->shown_us < REDRAW_US)
		return;
	struct buf line = BUF_INIT(4096);
	size_t width = (size_t)terminal_columns(STDERR_FILENO);
	s->shown_us = now;
	buf_addf(&line, "Verify  %s of %s  %.*s", amount_count(done).text, amount_count(total).text, STR_ARG(str_sub(at, 0, 2048)));
	if (width > 0 && line.n >= width)
		line.n = width - 1;
	clear_line(s);
	ssize_t n = sys_say(STDERR_FILENO, line.p, line.n);
	(void)n;
	buf_free(&line);
}

static const char *finding_name(enum finding_kind k)
{
	static const char *const names[] = { "grid", "raw", "log", "state", "file", "origin", "record" };
	return names[k];
}

/* Tables of another lake's Raw look as if they were made of nothing. */
static void say_raw_from(struct say *s)
{
	struct str from = raw_named_by_runs(&s->u->project, &s->u->arena);
	struct err e = ERR_INIT;
	if (from.n == 0)
		return;
	clear_line(s);
	err_set(&e, ERR_USAGE, "this lake was made with --raw-from %.*s, and Raw is looked for here", STR_ARG(from));
	err_hint(&e, "say it here, too: --raw-from %.*s", STR_ARG(from));
	ui_fail(s->u, &e);
}

static void on_finding(void *user, const struct finding *f)
{
	struct say *s = user;
	struct err ignored = ERR_INIT;
	struct buf todo = BUF_INIT(1 << 16);
	if (!s->any_finding)
		say_raw_from(s);
	s->any_finding = true;
	args_complete(&s->u->args, f->todo, &todo);
	if (s->as_json) {
		json_begin_object(&s->json, NULL);
		json_put_z(&s->json, "kind", finding_name(f->kind));
		json_put_str(&s->json, "where", f->where);
		json_put_str(&s->json, "what", f->what);
		json_put_str(&s->json, "todo", buf_str(&todo));
		json_end_object(&s->json);
	} else {
		clear_line(s);
		text_escape(f->where, false, &s->u->out);
		buf_add_z(&s->u->out, ": ");
		text_escape(f->what, false, &s->u->out);
		buf_add_z(&s->u->out, "; to do: ");
		text_escape(buf_str(&todo), false, &s->u->out);
		buf_add_char(&s->u->out, '\n');
		if (s->shows)
			ui_flush(s->u, &ignored);
		else
			ui_flush_some(s->u, &ignored);
	}
	buf_free(&todo);
}

static void verify_json(struct say *s, const struct verify_counts *n)
{
	json_end_array(&s->json);
	json_put_u64(&s->json, "windows", n->windows);
	json_put_u64(&s->json, "generations", n->generations);
	json_put_u64(&s->json, "entries", n->entries);
	json_put_u64(&s->json, "segments", n->segments);
	json_put_u64(&s->json, "pages", n->pages);
	json_put_u64(&s->json, "raw_bytes", n->raw_bytes);
	json_put_u64(&s->json, "tables", n->tables);
	json_put_u64(&s->json, "files", n->files);
	json_put_u64(&s->json, "table_bytes", n->table_bytes);
	json_put_u64(&s->json, "runs", n->runs);
	json_put_bool(&s->json, "rows_read", n->not_read.n == 0);
	json_put_bool(&s->json, "complete", n->windows_left + n->files_left == 0);
	json_put_u64(&s->json, "windows_left", n->windows_left);
	json_put_u64(&s->json, "files_left", n->files_left);
	if (n->began_at.n > 0)
		json_put_str(&s->json, "began_at", n->began_at);
	json_end_object(&s->json);
	buf_add_char(&s->u->out, '\n');
}

/* " (3.1 MB)"; nothing where nothing was read. */
static const char *bytes_read(struct say *s, uint64_t bytes)
{
	return bytes ? arena_format(&s->u->arena, " (%s)", amount_size(bytes).text).p : "";
}

static void verify_summary(struct say *s, const struct verify_counts *n)
{
	struct buf *b = &s->u->out;
	bool left = n->windows_left + n->files_left > 0;
	if (s->u->args.given[OPT_QUIET] && n->findings == 0 && !left)
		return;
	buf_addf(b, "%s: %s in %s of %s%s, ", n->findings ? "DAMAGED" : left ? "Nothing found so far" : "All is well",
		 amount_things(n->pages, "page").text, amount_things(n->segments, "segment").text,
		 amount_things(n->windows, "window").text, bytes_read(s, n->raw_bytes));
	buf_addf(b, "%s of %s%s", amount_things(n->files, "file").text, amount_things(n->tables, "table").text,
		 bytes_read(s, n->table_bytes));
	if (n->findings > 0)
		buf_addf(b, "; %s", amount_things(n->findings, "finding").text);
	if (left)
		buf_addf(b, "\nNot looked at: %s, %s; it began at %.*s", amount_things(n->windows_left, "window").text,
			 amount_things(n->files_left, "file").text, STR_ARG(n->began_at));
	if (s->u->args.given[OPT_FAST]) {
		buf_add_z(b, "\nSegments and files of tables were only checked for their size: --fast");
	} else if (n->not_read.n > 0) {
		buf_add_z(b, "\nThe rows of tables were not read: ");
		text_escape(n->not_read, false, b);
	}
	buf_add_char(b, '\n');
}

static int verify_status(struct ui *u, const struct verify_counts *n)
{
	struct err e = ERR_INIT;
	if (n->findings > 0)
		return ui_done(u, err_exit_status(ERR_DAMAGE));
	if (n->windows_left + n->files_left == 0)
		return ui_done(u, 0);
	if (u->args.given[OPT_JSON])
		return ui_done(u, err_exit_status(ERR_BUDGET));
	err_set(&e, ERR_BUDGET, "the budget ended before everything was read");
	err_hint(&e, "the next verification begins somewhere else; without --budget all is read");
	return ui_fail(u, &e);
}

static bool only_names_ok(struct ui *u, struct str only, struct err *e)
{
	struct str rest = only, name;
	const struct project *j = &u->project;
	while (str_cut(&rest, ',', &name)) {
		const struct resource *r;
		struct project_table t;
		bool known = name_ok(name) && (pipeline_resource(j->pipeline, name) || project_table_find(j, name, &t));
		for (size_t i = 0; i < j->models.n && !known; i++)
			known = str_eq(j->models.v[i].name, name);
		/* With mistakes in contracts and models nobody knows the models; what the lake holds is known by its names. */
		if (!known && j->tables_ok && !ui_resource(u, name, &r, e))
			return err_wrap(e, "--only");
	}
	return true;
}

int cmd_verify(struct ui *u)
{
	struct err e = ERR_INIT;
	struct verify_counts n;
	int64_t budget_us = 0;
	int status = 0;
	if (u->args.given[OPT_BUDGET] && (!duration_parse(u->args.value[OPT_BUDGET], &budget_us) || budget_us == 0)) {
		err_set(&e, ERR_USAGE, "--budget %.*s: a time is expected, such as 30s, 10m or 2h", STR_ARG(u->args.value[OPT_BUDGET]));
		return ui_fail(u, &e);
	}
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	if (!only_names_ok(u, u->args.value[OPT_ONLY], &e))
		return ui_fail(u, &e);
	struct clock *c = u->project.clock;
	int64_t now = c->wall_us(c);
	struct say s = { .u = u, .json = JSON_OUT(&u->out), .as_json = u->args.given[OPT_JSON] };
	s.shows = !s.as_json && !u->args.given[OPT_QUIET] && !u->args.given[OPT_NO_PROGRESS] && terminal_columns(STDERR_FILENO) > 0;
	struct verify_options o = { .only = u->args.value[OPT_ONLY], .fast = u->args.given[OPT_FAST], .budget_us = budget_us,
				    .seed = hash_fast((struct str){ (const char *)&now, sizeof now }, 1),
				    .stop = &ui_stop, .finding = on_finding, .progress = on_progress, .user = &s };
	if (s.as_json) {
		json_begin_object(&s.json, NULL);
		json_begin_array(&s.json, "findings");
	}
	bool ok = verify_lake(&u->project, &o, &n, &e);
	clear_line(&s);
	if (!ok) {
		if (s.as_json) /* half an answer is none */
			buf_clear(&u->out);
		return ui_fail(u, &e);
	}
	if (s.as_json)
		verify_json(&s, &n);
	else
		verify_summary(&s, &n);
	return verify_status(u, &n);
}

/* ── digest ── */

static bool on_line(void *user, const struct digest_line *l, struct err *e)
{
	struct ui *u = user;
	struct arena a = ARENA_INIT;
	buf_add(&u->out, u->args.given[OPT_JSON] ? digest_line_json(l, &a) : digest_line_text(l, &a));
	buf_add_char(&u->out, '\n');
	arena_free(&a);
	return ui_flush_some(u, e);
}

int cmd_digest(struct ui *u)
{
	struct err e = ERR_INIT;
	int status = 0;
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	if (!digest_lake(&u->project, u->args.value[OPT_ONLY], on_line, u, &e))
		return ui_fail(u, &e);
	return ui_done(u, 0);
}
