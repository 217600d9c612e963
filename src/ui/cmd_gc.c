/* gc: what nothing names any more. */
#include "base/json.h"
#include "run/collect.h"
#include "run/runner.h"
#include "ui/amount.h"
#include "ui/command.h"

struct say {
	struct ui *u;
	struct json_out json;
	bool as_json;
	struct {
		struct {
			struct str key, why;
			bool damaged;
		} *v;
		size_t n, cap;
	} left;
};

static void on_item(void *user, const struct garbage *g)
{
	struct say *s = user;
	struct err ignored = ERR_INIT;
	struct buf *out = &s->u->out;
	if (s->as_json) {
		json_begin_object(&s->json, NULL);
		json_put_z(&s->json, "class", garbage_class_name(g->class));
		json_put_str(&s->json, "key", g->key);
		json_put_u64(&s->json, "objects", g->objects);
		json_put_u64(&s->json, "bytes", g->bytes);
		json_put_str(&s->json, "reason", g->reason);
		json_end_object(&s->json);
	} else if (!s->u->args.given[OPT_QUIET]) {
		buf_addf(out, "%-10s %9s  ", garbage_class_name(g->class), amount_size(g->bytes).text);
		text_escape(g->key, false, out);
		buf_add_z(out, ": ");
		text_escape(g->reason, false, out);
		buf_add_char(out, '\n');
		ui_flush_some(s->u, &ignored);
	}
}

static void on_left(void *user, struct str key, struct str why, bool damaged)
{
	struct say *s = user;
	arena_push(&s->u->arena, s->left);
	s->left.v[s->left.n - 1].key = arena_copy(&s->u->arena, key);
	s->left.v[s->left.n - 1].why = arena_copy(&s->u->arena, why);
	s->left.v[s->left.n - 1].damaged = damaged;
}

static void gc_json(struct say *s, const struct collect_counts *n, bool removed)
{
	json_end_array(&s->json);
	json_begin_array(&s->json, "left");
	for (size_t i = 0; i < s->left.n; i++) {
		json_begin_object(&s->json, NULL);
		json_put_str(&s->json, "key", s->left.v[i].key);
		json_put_str(&s->json, "why", s->left.v[i].why);
		json_put_bool(&s->json, "damaged", s->left.v[i].damaged);
		json_end_object(&s->json);
	}
	json_end_array(&s->json);
	json_put_bool(&s->json, "removed", removed);
	for (int c = 0; c < GARBAGE_CLASSES; c++) {
		json_begin_object(&s->json, garbage_class_name((enum garbage_class)c));
		json_put_u64(&s->json, "objects", n->of[c].objects);
		json_put_u64(&s->json, "bytes", n->of[c].bytes);
		json_end_object(&s->json);
	}
	json_end_object(&s->json);
	buf_add_char(&s->u->out, '\n');
}

static void put_removed(struct buf *out, const struct collect_counts *n, uint64_t objects, uint64_t bytes, bool removed)
{
	buf_addf(out, "%s: %s, %s (", removed ? "Removed" : "Would be removed", amount_things(objects, "object").text,
		 amount_size(bytes).text);
	for (int c = 0, k = 0; c < GARBAGE_CLASSES; c++)
		if (n->of[c].objects > 0)
			buf_addf(out, "%s%s: %s, %s", k++ ? "; " : "", garbage_class_name((enum garbage_class)c),
				 amount_count(n->of[c].objects).text, amount_size(n->of[c].bytes).text);
	buf_add_z(out, ")\n");
}

/* With the options that decided on what was listed; ui_say adds --only. */
static struct str again_with_yes(struct ui *u)
{
	struct arena *a = &u->arena;
	const struct args *g = &u->args;
	struct str s = STR("Nothing was changed: `sluice gc");
	if (g->given[OPT_KEEP_DAYS])
		s = arena_format(a, "%.*s --keep-days %.*s", STR_ARG(s), STR_ARG(g->value[OPT_KEEP_DAYS]));
	if (g->given[OPT_KEEP_VERSIONS])
		s = arena_format(a, "%.*s --keep-versions %.*s", STR_ARG(s), STR_ARG(g->value[OPT_KEEP_VERSIONS]));
	return arena_format(a, "%.*s%s --yes` removes them.\n", STR_ARG(s), g->given[OPT_GENERATIONS] ? " --generations" : "");
}

static void gc_summary(struct say *s, const struct collect_counts *n, bool removed)
{
	struct buf *out = &s->u->out;
	uint64_t objects = 0, bytes = 0;
	for (size_t i = 0; i < s->left.n; i++) {
		buf_add_z(out, "left alone  ");
		text_escape(s->left.v[i].key, false, out);
		buf_add_z(out, ": ");
		text_escape(s->left.v[i].why, false, out);
		buf_add_char(out, '\n');
	}
	for (int c = 0; c < GARBAGE_CLASSES; c++) {
		objects += n->of[c].objects;
		bytes += n->of[c].bytes;
	}
	if (s->u->args.given[OPT_QUIET])
		return;
	if (objects + n->given_up == 0) {
		buf_add_z(out, "Nothing to remove.\n");
		return;
	}
	if (n->given_up > 0)
		buf_addf(out, "%s: %s, since nothing needs what is left of it\n", removed ? "Given up" : "Would be given up",
			 amount_things(n->given_up, "damaged generation").text);
	if (objects > 0)
		put_removed(out, n, objects, bytes, removed);
	if (!removed)
		ui_say(s->u, again_with_yes(s->u));
}

static bool fill(struct ui *u, struct collect_options *o, struct err *e)
{
	enum { DAYS_MAX = 36500 };
	uint64_t days = 0;
	if (u->args.given[OPT_YES] && u->args.given[OPT_DRY_RUN])
		return err_set(e, ERR_USAGE, "--yes and --dry-run: one of them");
	if (!args_u64(&u->args, OPT_KEEP_DAYS, 0, DAYS_MAX, 30, &days, e) ||
	    !args_u64(&u->args, OPT_KEEP_VERSIONS, 1, 1000000, 10, &o->keep_versions, e))
		return false;
	o->keep_us = (int64_t)days * US_PER_DAY;
	o->remove = u->args.given[OPT_YES];
	o->generations = u->args.given[OPT_GENERATIONS];
	o->only = u->args.value[OPT_ONLY];
	o->stop = &ui_stop;
	return true;
}

int cmd_gc(struct ui *u)
{
	struct err e = ERR_INIT;
	struct collect_counts n;
	struct collect_options o = { 0 };
	int status = 0;
	if (!fill(u, &o, &e))
		return ui_fail(u, &e);
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	struct say s = { .u = u, .json = JSON_OUT(&u->out), .as_json = u->args.given[OPT_JSON] };
	o.run_id = arena_format(&u->arena, "gc-%.*s", STR_ARG(run_id_new(u->project.clock, &u->arena)));
	o.item = on_item;
	o.left = on_left;
	o.user = &s;
	if (s.as_json) {
		json_begin_object(&s.json, NULL);
		json_begin_array(&s.json, "items");
	}
	if (!collect_lake(&u->project, &o, &n, &e)) {
		if (s.as_json) /* half an answer is none */
			buf_clear(&u->out);
		return ui_fail(u, &e);
	}
	if (s.as_json)
		gc_json(&s, &n, o.remove);
	else
		gc_summary(&s, &n, o.remove);
	return ui_done(u, n.damaged > 0 ? err_exit_status(ERR_DAMAGE) : 0);
}
