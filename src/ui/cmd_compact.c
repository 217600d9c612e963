/* compact. */
#include "base/json.h"
#include "format/layout.h"
#include "run/compact.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>

struct say {
	struct ui *u;
	struct json_out json;
	bool as_json, quiet, dry_run;
};

static void on_table(void *user, const struct compact_report *r)
{
	struct say *s = user;
	struct buf *b = &s->u->out;
	if (s->as_json) {
		json_begin_object(&s->json, NULL);
		json_put_str(&s->json, "table", arena_format(&s->u->arena, "%s.%.*s", lake_zone_name(r->zone), STR_ARG(r->name)));
		json_put_i64(&s->json, "version", r->version);
		json_put_u64(&s->json, "files_before", r->files_before);
		json_put_u64(&s->json, "files_after", r->files_after);
		json_put_u64(&s->json, "merged", r->merged);
		json_put_u64(&s->json, "made", r->made);
		json_put_u64(&s->json, "rows", r->rows);
		json_end_object(&s->json);
		return;
	}
	if (s->quiet)
		return;
	buf_addf(b, "%s.%.*s: ", lake_zone_name(r->zone), STR_ARG(r->name));
	if (r->made == 0) {
		buf_addf(b, "nothing to do, %s\n", amount_things(r->files_before, "file").text);
		return;
	}
	buf_addf(b, "%s with %s ", amount_things(r->merged, "file").text, amount_things(r->rows, "row").text);
	buf_addf(b, "%s %s; %zu in all", s->dry_run ? "would become" : "became",
		 amount_things(r->made, "file").text, r->files_after);
	if (!s->dry_run)
		buf_addf(b, ", version %" PRId64, r->version);
	buf_add_char(b, '\n');
}

static bool check_names(struct ui *u, struct err *e)
{
	for (size_t i = 0; i < u->args.n_operands; i++) {
		const struct resource *r;
		for (size_t k = 0; k < u->project.models.n; k++)
			if (str_eq(u->project.models.v[k].name, u->args.operands[i])) {
				err_set(e, ERR_USAGE, "%.*s is a model: its table is made as a whole each time", STR_ARG(u->args.operands[i]));
				return err_hint(e, "there is nothing to compact in it");
			}
		if (!ui_resource(u, u->args.operands[i], &r, e))
			return false;
		if (r->kind == KIND_WINDOW)
			continue;
		err_set(e, ERR_USAGE, "%.*s is not asked by window: its table is made as a whole each time", STR_ARG(r->name));
		return err_hint(e, "there is nothing to compact in it");
	}
	return true;
}

int cmd_compact(struct ui *u)
{
	struct err e = ERR_INIT;
	int status = 0;
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	struct say s = { .u = u, .json = JSON_OUT(&u->out), .as_json = u->args.given[OPT_JSON],
			 .quiet = u->args.given[OPT_QUIET], .dry_run = u->args.given[OPT_DRY_RUN] };
	struct compact_options o = { .only = u->args.operands, .n_only = u->args.n_operands, .dry_run = s.dry_run,
				     .stop = &ui_stop, .tell = on_table, .user = &s };
	if (s.as_json)
		json_begin_array(&s.json, NULL);
	if (!check_names(u, &e) || !compact_lake(&u->project, &o, &u->arena, &e)) {
		if (s.as_json) /* half an answer is none */
			buf_clear(&u->out);
		return ui_fail(u, &e);
	}
	if (s.as_json) {
		json_end_array(&s.json);
		buf_add_char(&u->out, '\n');
	}
	return ui_done(u, 0);
}
