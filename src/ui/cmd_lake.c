/* verify and digest: the lake as a whole. */
#include "base/json.h"
#include "run/digest.h"
#include "run/verify.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>

/* ── verify ── */

struct say {
	struct ui *u;
	struct json_out json;
	bool as_json;
};

static void on_finding(void *user, struct str where, struct str what)
{
	struct say *s = user;
	struct err ignored = ERR_INIT;
	if (s->as_json) {
		json_begin_object(&s->json, NULL);
		json_put_str(&s->json, "where", where);
		json_put_str(&s->json, "what", what);
		json_end_object(&s->json);
		return;
	}
	text_escape(where, false, &s->u->out);
	buf_add_z(&s->u->out, ": ");
	text_escape(what, false, &s->u->out);
	buf_add_char(&s->u->out, '\n');
	ui_flush_some(s->u, &ignored);
}

static void verify_summary(struct say *s, const struct verify_counts *n)
{
	if (s->as_json) {
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
		json_put_bool(&s->json, "rows_read", n->not_read.n == 0);
		json_end_object(&s->json);
		buf_add_char(&s->u->out, '\n');
	} else if (!s->u->args.given[OPT_QUIET] || n->findings > 0) {
		buf_addf(&s->u->out, "%s: %s in %s of %s (%s), ", n->findings ? "DAMAGED" : "All is well",
			 amount_things(n->pages, "page").text, amount_things(n->segments, "segment").text,
			 amount_things(n->windows, "window").text, amount_size(n->raw_bytes).text);
		buf_addf(&s->u->out, "%s of %s (%s)", amount_things(n->files, "file").text, amount_things(n->tables, "table").text,
			 amount_size(n->table_bytes).text);
		if (n->findings > 0)
			buf_addf(&s->u->out, "; %s", amount_things(n->findings, "finding").text);
		if (n->not_read.n > 0) {
			buf_add_z(&s->u->out, "\nFiles of tables were only checked for their size: ");
			text_escape(n->not_read, false, &s->u->out);
		}
		buf_add_char(&s->u->out, '\n');
	}
}

int cmd_verify(struct ui *u)
{
	struct err e = ERR_INIT;
	struct verify_counts n;
	int status = 0;
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	struct say s = { .u = u, .json = JSON_OUT(&u->out), .as_json = u->args.given[OPT_JSON] };
	struct verify_options o = { .only = u->args.value[OPT_ONLY], .fast = u->args.given[OPT_FAST],
				    .stop = &ui_stop, .finding = on_finding, .user = &s };
	if (s.as_json) {
		json_begin_object(&s.json, NULL);
		json_begin_array(&s.json, "findings");
	}
	if (!verify_lake(&u->project, &o, &n, &e)) {
		if (s.as_json) /* half an answer is none */
			buf_clear(&u->out);
		return ui_fail(u, &e);
	}
	verify_summary(&s, &n);
	return ui_done(u, n.findings > 0 ? err_exit_status(ERR_DAMAGE) : 0);
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
