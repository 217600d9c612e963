#include "run/lambda_event.h"

#include "base/buf.h"
#include "base/json.h"
#include "run/runner.h"

#include <stddef.h>

enum { LIST_MAX = 1 << 16, TEXT_MAX = 2048, MARGIN_MAX_MS = 900000 };

enum {
	INGESTS = LAMBDA_INGEST,
	COMMITS = LAMBDA_COMMIT,
	PLANS = LAMBDA_PLAN | LAMBDA_INGEST | LAMBDA_JOBS | LAMBDA_PREPARE | LAMBDA_REFINE,
	TIMES = PLANS | COMMITS,
	ANY = PLANS | COMMITS,
};

enum type { TEXT, TEXTS, FLAG, NUMBER, ASK };

static const struct {
	const char *name;
	enum lambda_action action;
} actions[] = {
	{ "plan", LAMBDA_PLAN }, { "ingest", LAMBDA_INGEST }, { "jobs", LAMBDA_JOBS },
	{ "commit", LAMBDA_COMMIT }, { "prepare", LAMBDA_PREPARE }, { "refine", LAMBDA_REFINE },
};

/* Where the value goes; `action` itself is read before. */
static const struct member {
	const char *name;
	enum type type;
	unsigned actions;
} members[] = {
#define MEMBER(name_, type_, actions_, meaning) { #name_, type_, actions_ },
#include "run/lambda_event.def"
#undef MEMBER
};

enum { N_MEMBERS = sizeof members / sizeof members[0], N_ACTIONS = sizeof actions / sizeof actions[0] };

static bool wrong_type(const struct member *m, struct err *e)
{
	static const char *const want[] = { "a text", "a list of texts", "true or false", "a whole number", "true or a name" };
	return err_set(e, ERR_USAGE, "\"%s\" in the event must be %s", m->name, want[m->type]);
}

static bool text_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.n <= TEXT_MAX;
}

static bool take_list(const struct member *m, const struct json_node *n, struct arena *a, struct str *out, struct err *e)
{
	struct buf b = BUF_INIT(LIST_MAX);
	bool ok = n->type == JSON_ARRAY;
	for (const struct json_node *x = ok ? n->child : NULL; x; x = x->next) {
		ok = ok && x->type == JSON_STRING && name_ok(x->text);
		if (b.n > 0)
			buf_add_char(&b, ',');
		buf_add(&b, x->text);
	}
	if (ok && n->n_children == 0) /* "none" must not mean "all" */
		ok = err_set(e, ERR_USAGE, "\"%s\" in the event is an empty list: leave it out for all", m->name);
	else if (!ok || b.overflow)
		ok = wrong_type(m, e);
	*out = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return ok;
}

static struct str *text_of(struct lambda_event *v, const char *name)
{
	const struct {
		const char *name;
		struct str *to;
	} texts[] = {
		{ "pipeline", &v->pipeline }, { "config", &v->config }, { "environment", &v->environment }, { "lake", &v->lake },
		{ "run_id", &v->run_id }, { "now", &v->now }, { "from", &v->from }, { "to", &v->to }, { "source", &v->source },
		{ "resources", &v->resources }, { "job", &v->job }, { "result", &v->result }, { "refetch", &v->refetch_name },
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (str_eq_z(str_from(name), texts[i].name))
			return texts[i].to;
	return NULL;
}

static bool *flag_of(struct lambda_event *v, const char *name)
{
	const struct {
		const char *name;
		bool *to;
	} flags[] = { { "stale", &v->stale }, { "refetch", &v->refetch }, { "keep_going", &v->keep_going },
		      { "takeover", &v->takeover } };
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (str_eq_z(str_from(name), flags[i].name))
			return flags[i].to;
	return NULL;
}

static bool take(const struct member *m, const struct json_node *n, struct lambda_event *v, struct arena *a, struct err *e)
{
	struct str *text = text_of(v, m->name);
	bool *flag = flag_of(v, m->name);
	bool is_text = n->type == JSON_STRING, is_flag = n->type == JSON_TRUE || n->type == JSON_FALSE;
	if (n->type == JSON_NULL) /* as state machines leave out what they do not have */
		return true;
	if (m->type == TEXTS)
		return take_list(m, n, a, text, e);
	if (m->type == NUMBER)
		return (n->type == JSON_NUMBER && str_to_i64(n->text, &v->margin_ms) && v->margin_ms >= 0 &&
			v->margin_ms <= MARGIN_MAX_MS) || wrong_type(m, e);
	if ((m->type == TEXT && !is_text) || (m->type == FLAG && !is_flag) || (m->type == ASK && !is_text && !is_flag))
		return wrong_type(m, e);
	if (is_text && (n->text.n == 0 || !text_ok(n->text)))
		return err_set(e, ERR_USAGE, "\"%s\" in the event is empty, too long, or holds control characters", m->name);
	if (is_text && text)
		*text = arena_copy(a, n->text);
	if (flag)
		*flag = is_text || n->type == JSON_TRUE;
	return true;
}

static bool unknown(struct str name, struct err *e)
{
	const char *best = NULL;
	size_t least = SIZE_MAX;
	for (size_t i = 0; i < N_MEMBERS; i++) {
		size_t d = str_distance(str_from(members[i].name), name);
		if (d < least) {
			least = d;
			best = members[i].name;
		}
	}
	err_set(e, ERR_USAGE, "the event has an unknown member \"%.*s\"", STR_ARG(str_sub(name, 0, 60)));
	return least <= 1 + name.n / 3 ? err_hint(e, "did you mean \"%s\"?", best) : false;
}

static bool take_action(const struct json_node *root, struct lambda_event *out, struct err *e)
{
	struct str name = json_str_or(root, "action", STR_NONE);
	for (size_t i = 0; i < N_ACTIONS; i++)
		if (str_eq_z(name, actions[i].name)) {
			out->action = actions[i].action;
			return true;
		}
	err_set(e, ERR_USAGE, "\"action\" in the event must be one of plan, ingest, jobs, commit, prepare, refine");
	return false;
}

static bool check(const struct lambda_event *v, struct err *e)
{
	if (v->run_id.n > 0 && !run_id_ok(v->run_id))
		return err_set(e, ERR_USAGE, "\"run_id\" in the event must be 1 to %d of A-Z a-z 0-9 _ -", RUN_ID_MAX);
	if (v->pipeline.n > 0 && !name_ok(v->pipeline))
		return err_set(e, ERR_USAGE, "\"pipeline\" in the event is no name of a pipeline");
	if (v->to.n > 0 && v->from.n == 0)
		return err_set(e, ERR_USAGE, "\"to\" in the event needs \"from\"");
	if (v->action == LAMBDA_COMMIT && (v->job.n == 0 || v->run_id.n == 0))
		return err_set(e, ERR_USAGE, "a commit needs \"run_id\" and \"job\"");
	return true;
}

bool lambda_event_parse(struct str json, struct arena *a, struct lambda_event *out, struct err *e)
{
	struct json_node *root = NULL;
	*out = (struct lambda_event){ .margin_ms = -1 };
	if (!json_parse(json, a, &root, e)) {
		e->code = ERR_USAGE;
		return err_wrap(e, "the event is no JSON");
	}
	if (root->type != JSON_OBJECT)
		return err_set(e, ERR_USAGE, "the event must be an object");
	if (!take_action(root, out, e))
		return false;
	for (const struct json_node *n = root->child; n; n = n->next) {
		size_t i = 0;
		while (i < N_MEMBERS && !str_eq_z(n->key, members[i].name))
			i++;
		if (i == N_MEMBERS)
			return unknown(n->key, e);
		if (!(members[i].actions & out->action))
			return err_set(e, ERR_USAGE, "\"%s\" has no meaning with \"action\": \"%.*s\"", members[i].name,
				       STR_ARG(json_str_or(root, "action", STR_NONE)));
		if (!take(&members[i], n, out, a, e))
			return false;
	}
	return check(out, e);
}
