/* contract draft. */
#include "contract/draft.h"

#include "base/file.h"
#include "run/raw.h"
#include "ui/amount.h"
#include "ui/command.h"

enum { DRAFT_KEY_BYTES = 64 << 20, DRAFT_TEXT_MAX = 4 << 20 };

struct add {
	struct draft *draft;
	const struct resource *resource;
	struct raw_walk_counts n;
};

static bool add_record(void *user, struct str record)
{
	struct add *a = user;
	if (a->resource->kind == KIND_WINDOW) /* a snapshot's records belong to no window */
		draft_window(a->draft, a->n.window.from_us, a->n.window.to_us);
	draft_add(a->draft, record);
	return ui_stop == 0;
}

/* contracts/<name>.yaml beside the pipeline file, unless a file is named. */
static char *target(struct ui *u, struct str name)
{
	const struct args *g = &u->args;
	struct str folder = u->project.pipeline->folder;
	if (g->n_operands > 1)
		return arena_zero_terminated(&u->arena, g->operands[1]);
	if (folder.n == 0)
		folder = STR(".");
	return arena_zero_terminated(&u->arena, arena_format(&u->arena, "%.*s/contracts/%.*s.yaml", STR_ARG(folder),
							      STR_ARG(name)));
}

static bool make_folder(struct ui *u, const char *file, struct err *e)
{
	struct str path = str_from(file);
	while (path.n > 0 && path.p[path.n - 1] != '/')
		path.n--;
	return path.n == 0 || file_make_dirs(arena_zero_terminated(&u->arena, path), e);
}

static bool draft(struct ui *u, const struct resource *r, const char *file, bool to_stdout, struct err *e)
{
	struct buf text = BUF_INIT(DRAFT_TEXT_MAX);
	struct draft *d = draft_new(r->name, DRAFT_KEY_BYTES);
	struct add a = { .draft = d, .resource = r };
	bool ok = raw_walk(&u->project, r, add_record, &a, &a.n, e);
	if (ok && ui_stop != 0)
		ok = err_set(e, ui_stop == 2 ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal; nothing was written");
	if (ok && a.n.records == 0) {
		ok = err_set(e, ERR_MISSING, "%.*s: Raw has no records to make a contract of", STR_ARG(r->name));
		err_hint(e, "`sluice ingest` fetches them");
	}
	if (ok && !draft_write(d, &text))
		ok = err_set(e, ERR_TOO_LARGE, "%.*s: the contract would be longer than %d bytes", STR_ARG(r->name), DRAFT_TEXT_MAX);
	draft_free(d);
	if (ok && to_stdout)
		buf_add(&u->out, buf_str(&text));
	else if (ok)
		ok = make_folder(u, file, e) && file_write(file, buf_str(&text), e);
	if (ok && !to_stdout && !u->args.given[OPT_QUIET]) {
		struct buf b = BUF_INIT(4096);
		buf_addf(&b, "%s: from %s of %s. It is a draft: read it, then `sluice check` and `sluice run`.\n", file,
			 amount_things(a.n.records, "record").text, amount_things(a.n.windows, "window").text);
		ui_say(u, buf_str(&b));
		buf_free(&b);
	}
	buf_free(&text);
	return ok;
}

static bool is_model(const struct project *j, struct str name)
{
	for (size_t i = 0; i < j->models.n; i++)
		if (str_eq(j->models.v[i].name, name))
			return true;
	return false;
}

int cmd_contract_draft(struct ui *u)
{
	const struct args *g = &u->args;
	struct err e = ERR_INIT;
	const struct resource *r;
	int status = 0;
	if (!ui_open(u, LAKE_THERE, false, &status))
		return status;
	if (is_model(&u->project, g->operands[0])) {
		err_set(&e, ERR_USAGE, "drafts are made of raw records, for resources; %.*s is a model", STR_ARG(g->operands[0]));
		err_hint(&e, "docs/contracts.md has a contract of a model to start from");
		return ui_fail(u, &e);
	}
	if (!ui_resource(u, g->operands[0], &r, &e))
		return ui_fail(u, &e);
	bool to_stdout = g->n_operands > 1 && str_eq(g->operands[1], STR("-"));
	const char *file = to_stdout ? "-" : target(u, r->name);
	if (!to_stdout && !g->given[OPT_FORCE] && file_exists(file)) {
		err_set(&e, ERR_USAGE, "%s is there already, and is not replaced", file);
		err_hint(&e, "`sluice contract draft %.*s -` prints the draft; --force replaces the file", STR_ARG(r->name));
		return ui_fail(u, &e);
	}
	return draft(u, r, file, to_stdout, &e) ? ui_done(u, 0) : ui_fail(u, &e);
}
