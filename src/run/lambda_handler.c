#include "run/lambda_handler.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "run/bundle.h"
#include "run/lambda_metric.h"
#include "run/lambda_stage.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { PLAN_READ_MAX = 256 << 20 };

static struct str or_environment(struct str given, const char *variable)
{
	return given.n > 0 ? given : str_from(getenv(variable));
}

/* ── the pipeline's files ── */

static bool config_fetch(struct lambda_handler *h, struct str url, struct arena *a, struct err *e)
{
	struct str place, key;
	struct sha256 digest;
	struct store *s = NULL;
	if (!bundle_place(url, a, &place, &key, &digest, e))
		return false;
	if (h->config.path && sha256_eq(digest, h->config_digest))
		return true;
	if (h->config.path)
		scratch_close(&h->config);
	h->config = (struct scratch){ 0 };
	arena_reset(&h->arena);
	/* Settings of S3 stand in the pipeline file, which is what is looked for: here the environment has to do. */
	if (!store_open(place, &(struct store_settings){ 0 }, false, &s, e)) {
		if (e->code == ERR_MISSING)
			err_hint(e, "`sluice config push` makes the lake, too, and prints the name of what it put there");
		return err_wrap(e, "config %.*s", STR_ARG(place));
	}
	bool ok = scratch_open(&h->arena, &h->config, e) && bundle_read(s, key, digest, h->config.path, e);
	store_close(s);
	if (!ok && h->config.path) {
		scratch_close(&h->config);
		h->config = (struct scratch){ 0 };
	}
	h->config_digest = digest;
	if (!ok && e->code == ERR_MISSING)
		err_hint(e, "`sluice config push` puts the pipeline's files there, and prints the name");
	return ok || err_wrap(e, "config %.*s", STR_ARG(place));
}

enum { PACKAGED_SHOWN = 20, PACKAGED_MAX = 1024 };

static int by_name(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* The pipelines of the package, with commas between; "" none. */
static struct str packaged(const struct lambda_handler *h, struct arena *a)
{
	struct str *names = arena_array(a, struct str, PACKAGED_MAX);
	struct buf b = BUF_INIT(1 << 16);
	const struct dirent *x;
	size_t n = 0;
	DIR *d = sys_opendir(arena_format(a, "%s/pipelines", h->task_root).p);
	while (d && n < PACKAGED_MAX && (x = sys_readdir(d)) != NULL)
		if (name_ok(str_from(x->d_name)) &&
		    file_exists(arena_format(a, "%s/pipelines/%s/pipeline.yaml", h->task_root, x->d_name).p))
			names[n++] = arena_copy(a, str_from(x->d_name));
	if (d)
		closedir(d);
	if (n > 0)
		qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n && i < PACKAGED_SHOWN; i++)
		buf_addf(&b, "%s%.*s", i ? ", " : "", STR_ARG(names[i]));
	if (n > PACKAGED_SHOWN)
		buf_add_z(&b, ", …");
	return buf_take(&b, a);
}

static bool not_packaged(const struct lambda_handler *h, struct str name, const char *file, struct arena *a, struct err *e)
{
	struct str there = packaged(h, a);
	const char *make = h->has_engine ? "lambda-image" : "lambda";
	err_set(e, ERR_CONFIG, "the package has no pipeline %.*s (%s)", STR_ARG(name), file);
	if (there.n == 0)
		return err_hint(e, "it has none: `make %s PIPELINES='<folder> …'` puts them into it; or `config` names one in the lake", make);
	return err_hint(e, "it has %.*s: `make %s PIPELINES='<folder> …'` puts others into it", STR_ARG(there), make);
}

/* *lake: the one that the file lies in; "" where it is the package's. */
static bool pipeline_file(struct lambda_handler *h, const struct lambda_event *v, struct arena *a, const char **out, struct str *lake,
			  struct err *e)
{
	struct str key;
	struct sha256 digest;
	struct str config = or_environment(v->config, "SLUICE_CONFIG");
	struct str name = or_environment(v->pipeline, "SLUICE_PIPELINE");
	if (bundle_is_digest(config)) { /* in the lake that the run is to work on */
		struct str wanted = or_environment(v->lake, "SLUICE_LAKE");
		if (wanted.n == 0) {
			err_set(e, ERR_USAGE, "\"config\" is a digest alone, and neither \"lake\" nor SLUICE_LAKE says in which lake");
			return err_hint(e, "or name the place as `sluice config push` prints it: s3://bucket/prefix/config/<digest>");
		}
		config = arena_format(a, "%.*s/config/%.*s", STR_ARG(wanted), STR_ARG(config));
	}
	if (config.n > 0) {
		if (!bundle_place(config, a, lake, &key, &digest, e) || !config_fetch(h, config, a, e))
			return false;
		*out = arena_format(a, "%s/pipeline.yaml", h->config.path).p;
		return true;
	}
	if (name.n == 0) {
		err_set(e, ERR_USAGE, "the event names no pipeline, and SLUICE_PIPELINE and SLUICE_CONFIG are not set");
		return err_hint(e, "\"pipeline\" is a folder of the package, \"config\" one in the lake");
	}
	if (!name_ok(name))
		return err_set(e, ERR_USAGE, "SLUICE_PIPELINE is no name of a pipeline");
	*out = arena_format(a, "%s/pipelines/%.*s/pipeline.yaml", h->task_root, STR_ARG(name)).p;
	return file_exists(*out) || not_packaged(h, name, *out, a, e);
}

/* A folder of the function goes with it, and with all that was fetched. Files that lie in a lake were put there for that one; else
 * the lake has to be named. A whole path may be a mount. */
static bool lake_choose(struct project *j, const struct project_options *o, struct str of_config, struct arena *a, struct err *e)
{
	struct str in_folder = arena_format(a, "%.*s/", STR_ARG(j->pipeline->folder)), shown;
	bool relative = o->lake.n == 0 && str_starts(j->lake, in_folder); /* as the pipeline file has it, or by default */
	if (relative && of_config.n > 0) {
		j->lake = of_config;
		relative = false;
	}
	if (!relative && (!store_name_is_path(j->lake) || j->lake.p[0] == '/'))
		return true;
	shown = relative ? arena_format(a, "./%.*s", STR_ARG(str_sub(j->lake, in_folder.n, j->lake.n))) : j->lake;
	err_set(e, ERR_CONFIG, "the lake %.*s is a folder of the function: name s3://… in \"lake\", SLUICE_LAKE or the pipeline file",
		STR_ARG(shown));
	return err_hint(e, "what is written there is gone with the function; a mount is named by its whole path, /mnt/…");
}

static bool load(struct lambda_handler *h, const struct lambda_event *v, struct arena *a, struct project *j,
		 struct project_options *o, struct str *of_config, struct err *e)
{
	struct problems p = PROBLEMS_INIT(a);
	*o = (struct project_options){
		.environment = or_environment(v->environment, "SLUICE_ENVIRONMENT"),
		.lake = or_environment(v->lake, "SLUICE_LAKE"),
		.create_lake = true,
		.without_tables = v->action == LAMBDA_INGEST,
		.without_engine = !h->has_engine,
	};
	if (!pipeline_file(h, v, a, &o->pipeline_file, of_config, e))
		return false;
	if (!project_load(o, a, j, &p))
		return problems_to_err(&p, e) ? err_set(e, ERR_CONFIG, "%s cannot be used", o->pipeline_file) : false;
	j->clock = h->clock;
	for (size_t i = 0; i < p.n; i++)
		log_warn("%s:%u: %.*s", p.v[i].file, p.v[i].line, STR_ARG(p.v[i].message));
	return true;
}

bool lambda_handler_check(struct lambda_handler *h, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct lambda_event v = { .action = LAMBDA_INGEST };
	struct project j = { 0 };
	struct project_options o;
	struct str of_config = STR_NONE;
	/* A lake may be away for a moment: the files of a package are not. */
	bool ok = getenv("SLUICE_PIPELINE") == NULL || getenv("SLUICE_CONFIG") != NULL || load(h, &v, &a, &j, &o, &of_config, e);
	arena_free(&a);
	return ok;
}

void lambda_handler_close(struct lambda_handler *h)
{
	if (h->config.path)
		scratch_close(&h->config);
	arena_free(&h->arena);
}

/* ── the run that it is a part of ── */

/* The interval of a run is found once: its first part has written down for which time, and what was asked for. */
static bool pin_time(struct project *j, const struct lambda_event *v, struct plan_request *q, struct arena *a, struct err *e)
{
	struct err why = ERR_INIT;
	struct str text;
	struct json_node *root = NULL;
	bool more;
	if (v->now.n > 0 && (!us_from_rfc3339(v->now, &q->now_us, &more) || more))
		return err_set(e, ERR_USAGE, "\"now\" in the event is no instant (RFC 3339)");
	if (v->run_id.n == 0)
		return true;
	struct str key = arena_format(a, "%.*s/plan.json", STR_ARG(key_run(j->pipeline->name, v->run_id, a)));
	if (!store_get(j->store, key, PLAN_READ_MAX, a, &text, &why)) {
		if (why.code == ERR_MISSING)
			return true;
		*e = why;
		return false;
	}
	if (!json_parse(text, a, &root, &why))
		return err_set(e, ERR_DAMAGE, "%.*s: %s", STR_ARG(key), why.message);
	if (!str_eq(json_str_or(root, "from", STR_NONE), v->from) || !str_eq(json_str_or(root, "to", STR_NONE), v->to)) {
		err_set(e, ERR_USAGE, "run %.*s was begun for another interval", STR_ARG(v->run_id));
		return err_hint(e, "another interval is another run: give it another \"run_id\"");
	}
	if (v->now.n == 0 && !us_from_rfc3339(json_str_or(root, "now", STR_NONE), &q->now_us, &more))
		return err_set(e, ERR_DAMAGE, "%.*s: \"now\" is no instant", STR_ARG(key));
	return true;
}

/* Those of one source, by name. */
static bool only_of(const struct project *j, const struct lambda_event *v, struct arena *a, struct str *out, struct err *e)
{
	struct buf b = BUF_INIT(1 << 16);
	bool known = false;
	*out = v->resources;
	if (v->source.n == 0)
		return true;
	for (size_t i = 0; i < j->pipeline->n_resources; i++) {
		const struct resource *r = &j->pipeline->resources[i];
		struct str rest = v->resources, name;
		bool wanted = v->resources.n == 0;
		if (!str_eq(r->source->name, v->source))
			continue;
		known = true;
		while (!wanted && str_cut(&rest, ',', &name))
			wanted = str_eq(name, r->name);
		if (wanted)
			buf_addf(&b, "%s%.*s", b.n > 0 ? "," : "", STR_ARG(r->name));
	}
	*out = arena_copy(a, buf_str(&b));
	buf_free(&b);
	if (!known)
		return err_set(e, ERR_USAGE, "the pipeline has no source \"%.*s\" with resources", STR_ARG(v->source));
	return out->n > 0 || err_set(e, ERR_USAGE, "none of \"resources\" belongs to source \"%.*s\"", STR_ARG(v->source));
}

static bool fill_request(struct project *j, const struct lambda_event *v, struct plan_request *q, struct arena *a, struct err *e)
{
	*q = (struct plan_request){
		.has_from = v->from.n > 0,
		.has_to = v->to.n > 0,
		.from = v->from,
		.to = v->to,
		.refetch = v->refetch,
		.refetch_name = v->refetch_name,
		.stale = v->stale,
		.takeover = v->takeover,
		.ingest = v->action == LAMBDA_INGEST || v->action == LAMBDA_PLAN,
		.prepare = v->action == LAMBDA_PREPARE || v->action == LAMBDA_PLAN || v->action == LAMBDA_JOBS,
		.refine = v->action == LAMBDA_REFINE || v->action == LAMBDA_PLAN || v->action == LAMBDA_JOBS,
		.run_id = v->run_id.n > 0 ? v->run_id : run_id_new(j->clock, a),
		.now_us = j->clock->wall_us(j->clock),
	};
	if (q->refetch && q->refetch_name.n == 0)
		q->refetch_name = q->run_id;
	return only_of(j, v, a, &q->only, e) && pin_time(j, v, q, a, e);
}

/* ── until when ── */

static bool margin(const struct lambda_event *v, int64_t *ms, struct err *e)
{
	struct str text = str_from(getenv("SLUICE_MARGIN_MS"));
	*ms = v->margin_ms >= 0 ? v->margin_ms : LAMBDA_MARGIN_MS;
	if (v->margin_ms < 0 && text.n > 0 && (!str_to_i64(text, ms) || *ms < 0 || *ms > 900000))
		return err_set(e, ERR_USAGE, "SLUICE_MARGIN_MS is not a number of milliseconds up to 900000");
	return true;
}

/* An invocation that has no time at all must not answer "continue": whoever calls again would do so for ever. Nor must a failure that
 * only other settings mend look like one that is over tomorrow. */
static bool find_deadline(struct lambda_handler *h, const struct lambda_event *v, int64_t given_us, int64_t *out, struct err *e)
{
	int64_t ms, now = h->clock->monotonic_us(h->clock);
	*out = 0;
	if (!margin(v, &ms, e))
		return false;
	if (given_us == 0)
		return true;
	*out = given_us - ms * 1000;
	if (*out > now)
		return true;
	err_set(e, given_us > now ? ERR_CONFIG : ERR_BUDGET, "the invocation has %lld ms, and is to stop %lld ms before its end: there is no time for anything",
		(long long)((given_us - now) / 1000), (long long)ms);
	return err_hint(e, "give the function a longer time-out, or a shorter \"margin_ms\"");
}

/* ── an event ── */

static bool handle(struct lambda_part *p, struct str *answer, struct err *e)
{
	switch (p->event.action) {
	case LAMBDA_PLAN:
		return lambda_plan(p, answer, e);
	case LAMBDA_INGEST:
	case LAMBDA_PREPARE:
	case LAMBDA_REFINE:
		return lambda_run(p, answer, e);
	case LAMBDA_JOBS:
		return lambda_jobs(p, answer, e);
	case LAMBDA_COMMIT:
		return lambda_commit(p, answer, e);
	}
	return err_set(e, ERR_BUG, "an action of no known kind");
}

bool lambda_handle(struct lambda_handler *h, struct str event, int64_t deadline_us, struct str request_id, struct arena *a,
		   struct str *answer, struct buf *metrics, struct err *e)
{
	struct lambda_part p = { .handler = h, .request_id = request_id, .arena = a, .metrics = metrics };
	struct project_options o;
	struct str of_config = STR_NONE;
	if (!lambda_event_parse(event, a, &p.event, e) || !find_deadline(h, &p.event, deadline_us, &p.deadline_us, e))
		return false;
	if ((p.event.action & (LAMBDA_PREPARE | LAMBDA_REFINE)) && !h->has_engine) {
		err_set(e, ERR_USAGE, "this package has no engine: it cannot prepare or refine");
		return err_hint(e, "the package with the engine does: `make lambda-image`; or let `jobs` write them for an engine elsewhere");
	}
	bool ok = load(h, &p.event, a, &p.project, &o, &of_config, e) &&
		  lake_choose(&p.project, &o, of_config, a, e) && project_open_lake(&p.project, &o, e) &&
		  fill_request(&p.project, &p.event, &p.request, a, e) && handle(&p, answer, e);
	project_close(&p.project);
	return ok;
}
