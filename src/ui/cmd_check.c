/* check: everything that is wrong, at once. */
#include "base/effect.h"
#include "base/json.h"
#include "driver/aws_secret.h"
#include "driver/store_open.h"
#include "run/grid_check.h"
#include "run/model_check.h"
#include "run/spark_session.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void warn(struct problems *p, const char *file, const char *advice, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void warn(struct problems *p, const char *file, const char *advice, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	problem_vadd(p, file, 0, 0, true, advice, format, args);
	va_end(args);
}

/* What two readings of the same file find is said once. */
static void merge(struct problems *to, const struct problems *from)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct problem *x = &from->v[i];
		bool known = false;
		for (size_t k = 0; k < to->n && !known; k++)
			known = to->v[k].line == x->line && to->v[k].column == x->column &&
				strcmp(to->v[k].file, x->file) == 0 && str_eq(to->v[k].message, x->message);
		if (known)
			continue;
		*arena_push(to->arena, *to) = *x;
		to->n_errors += !x->warning;
	}
}

/* Nothing is fetched: what a run would ask for, and whether it would know where. */
static void check_fetched(struct ui *u, struct secret_fetcher *f, const struct secret *s, struct problems *p)
{
	struct err e = ERR_INIT;
	struct str place;
	if (!aws_secrets_place(f, s->reference, &u->arena, &place, &e))
		warn(p, u->project.pipeline->file, err_hint_text(&e), "%.*s: %s", STR_ARG(s->reference), e.message);
	else if (!u->args.given[OPT_JSON])
		ui_say(u, arena_format(&u->arena, "a run fetches %.*s from %.*s\n", STR_ARG(s->reference), STR_ARG(place)));
}

static void check_secrets(struct ui *u, struct problems *p)
{
	const struct pipeline *l = u->project.pipeline;
	struct secret_fetcher *f = NULL;
	struct aws_chain_options aws = { .clock = u->project.clock };
	for (size_t i = 0; i < l->n_sources; i++) {
		struct err e = ERR_INIT;
		struct secret s = l->sources[i].auth.secret;
		if (l->sources[i].auth.kind == AUTH_NONE)
			continue;
		if (secret_is_fetched(s.reference) && (f || aws_secrets_open(&aws, &f, &e)))
			check_fetched(u, f, &s, p);
		else if (!secret_load(&s, NULL, &u->arena, &e))
			warn(p, l->file, err_hint_text(&e), "%s", e.message);
		else if (secret_is_short(&s))
			warn(p, l->file, "", "%.*s has fewer than %d bytes: it is not looked for in bodies", STR_ARG(s.reference),
			     SECRET_SEARCH_MIN_BYTES);
	}
	aws_secrets_close(f);
}

static const struct contract *contract_of(const struct project *j, struct str table, bool *known)
{
	struct project_table t;
	*known = true;
	if (project_table_find(j, table, &t))
		return t.contract;
	for (size_t i = 0; i < j->models.n; i++)
		if (str_eq(j->models.v[i].name, table))
			return j->models.v[i].contract;
	*known = false;
	return NULL;
}

static void check_relationships(const struct project *j, const struct contract *c, struct problems *p)
{
	for (size_t i = 0; i < c->n_relationships; i++) {
		const struct relationship *r = &c->relationships[i];
		bool known;
		const struct contract *to = contract_of(j, r->to_table, &known);
		if (!known)
			problem_file(p, c->file, r->line, r->line_column, "", "%.*s refers to %.*s, which no resource or model gives", STR_ARG(r->column),
				     STR_ARG(r->to_table));
		else if (to == NULL)
			warn(p, c->file, "", "%.*s refers to %.*s, which has no contract and so no table", STR_ARG(r->column),
			     STR_ARG(r->to_table));
		else if (contract_column(to, r->to_column) == SIZE_MAX)
			problem_file(p, c->file, r->line, r->line_column, "", "%.*s refers to %.*s.%.*s, a column that is not in %s", STR_ARG(r->column),
				     STR_ARG(r->to_table), STR_ARG(r->to_column), to->file);
	}
}

static void check_contract(const struct project *j, const struct contract *c, struct problems *p)
{
	if (c->draft)
		warn(p, c->file, "read it, then take the mark out", "this contract is a draft that nobody has looked at yet");
	for (size_t i = 0; i <= c->n_children; i++)
		check_relationships(j, contract_table(c, i), p);
}

static size_t check_contracts(struct ui *u, struct problems *p)
{
	const struct project *j = &u->project;
	size_t n = 0;
	for (size_t i = 0; i < j->pipeline->n_resources; i++) {
		if (j->contracts[i] == NULL) {
			struct str again = args_again(&u->args, "contract draft", &u->arena);
			warn(p, j->pipeline->file, arena_format(&u->arena, "after a first ingest: %.*s %.*s", STR_ARG(again),
								STR_ARG(j->pipeline->resources[i].name)).p,
			     "%.*s has no contract: it is fetched, but there will be no table", STR_ARG(j->pipeline->resources[i].name));
			continue;
		}
		n++;
		check_contract(j, j->contracts[i], p);
	}
	for (size_t i = 0; i < j->models.n; i++)
		if (j->models.v[i].contract)
			check_contract(j, j->models.v[i].contract, p);
	return n + j->models.n;
}

/* Only where there is a lake already. */
static void check_grids(struct ui *u, struct project_options *o, struct problems *p)
{
	struct err e = ERR_INIT;
	struct step stored;
	struct project *j = &u->project;
	if (!project_open_lake(j, o, &e)) {
		if (e.code != ERR_MISSING && !store_name_is_path(j->lake))
			warn(p, j->pipeline->file, arena_zero_terminated(&u->arena, str_from(err_hint_text(&e))), "%s", e.message);
		return;
	}
	for (size_t i = 0; i < j->pipeline->n_resources; i++) {
		struct err why = ERR_INIT;
		if (grid_changed(j, &j->pipeline->resources[i], &stored, &why))
			problem_file(p, j->pipeline->file, 0, 0, err_hint_text(&why), "%s", why.message);
	}
}

/* Contracts and models of a pipeline whose own file is broken, so that all mistakes come at once; otherwise contracts that
 * belong to nobody. */
static void check_folder(struct ui *u, bool pipeline_ok, struct problems *p)
{
	struct arena *a = &u->arena;
	struct str file = str_from(ui_pipeline_file(u)), folder = STR(".");
	struct models models;
	for (size_t i = file.n; i > 0; i--)
		if (file.p[i - 1] == '/') {
			folder = str_sub(file, 0, i > 1 ? i - 1 : 1);
			break;
		}
	DIR *d = sys_opendir(arena_format(a, "%.*s/contracts", STR_ARG(folder)).p);
	for (struct dirent *x; d && (x = sys_readdir(d)) != NULL;) {
		struct str name = str_from(x->d_name);
		struct problems found = PROBLEMS_INIT(a);
		struct contract *c;
		struct project_table t;
		bool known;
		if (!str_ends(name, STR(".yaml")) || name.p[0] == '.')
			continue;
		const char *path = arena_format(a, "%.*s/contracts/%s", STR_ARG(folder), x->d_name).p;
		name = arena_copy(a, str_sub(name, 0, name.n - 5));
		if (!pipeline_ok)
			contract_load(path, a, &c, &found);
		else if (project_table_find(&u->project, name, &t) && t.is_child)
			warn(&found, path, "", "%.*s is a child table: its contract stands in %s, and this one is not used",
			     STR_ARG(name), t.contract->file);
		else if (contract_of(&u->project, name, &known) == NULL && !known)
			warn(&found, path, "", "no resource and no model is called %.*s: this contract is not used", STR_ARG(name));
		merge(p, &found);
	}
	if (d)
		closedir(d);
	if (!pipeline_ok) {
		struct problems found = PROBLEMS_INIT(a);
		models_load(folder, NULL, 0, a, &models, &found);
		merge(p, &found);
	}
}

static int print_check(struct ui *u, const struct problems *p, size_t n_contracts)
{
	struct buf b = BUF_INIT(16 << 20);
	if (u->args.given[OPT_JSON]) {
		problems_json(p, &u->out);
		buf_add_char(&u->out, '\n');
	} else {
		problems_print(p, &b);
		if (p->n_errors > 0)
			buf_addf(&b, "%zu mistake%s, %zu warning%s\n", p->n_errors, p->n_errors == 1 ? "" : "s", p->n - p->n_errors,
				 p->n - p->n_errors == 1 ? "" : "s");
		else
			buf_addf(&b, "pipeline %.*s: %s, %s, %s: no mistakes, %s\n", STR_ARG(u->project.pipeline->name),
				 amount_things(u->project.pipeline->n_resources, "resource").text,
				 amount_things(n_contracts, "contract").text, amount_things(u->project.models.n, "model").text,
				 amount_things(p->n, "warning").text);
		ui_say(u, buf_str(&b));
	}
	buf_free(&b);
	return ui_done(u, err_exit_status(problems_code(p)));
}

/* Its mistakes were told by project_load, which keeps no models then. */
static void load_models(struct ui *u)
{
	struct project *j = &u->project;
	struct problems known = PROBLEMS_INIT(&u->arena);
	size_t n = 0;
	struct str *names = project_table_names(j, &u->arena, &n);
	models_load(j->pipeline->folder, names, n, &u->arena, &j->models, &known);
}

static bool spark_is_used(const struct pipeline *l)
{
	bool used = l->engine != ENGINE_USE_DUCKDB;
	for (size_t i = 0; i < l->n_resources; i++)
		used = used || (l->resources[i].engine != ENGINE_USE_UNSAID && l->resources[i].engine != ENGINE_USE_DUCKDB);
	for (size_t i = 0; i < l->n_models; i++)
		used = used || (l->models[i].engine != ENGINE_USE_UNSAID && l->models[i].engine != ENGINE_USE_DUCKDB);
	return used;
}

/* On this machine. Nothing else asks before a Spark is wanted, and then it is late. */
static void check_spark(struct ui *u, struct problems *p)
{
	const struct pipeline *l = u->project.pipeline;
	struct spark_machine m = { .threads = 1, .scratch = STR("/tmp") };
	struct spark_command command;
	struct err e = ERR_INIT;
	struct stat st;
	bool used = spark_is_used(l);
	const char *file = arena_zero_terminated(&u->arena, l->spark.submit);
	if (*file && (sys_access(file, X_OK) != 0 || sys_stat(file, &st) != 0 || !S_ISREG(st.st_mode))) {
		if (used)
			problem_file(p, l->file, 0, 0, "submit: /opt/spark/bin/spark-submit",
				     "`engine.spark.submit`: %s is no program that can be started", file);
		else
			warn(p, l->file, "submit: /opt/spark/bin/spark-submit",
			     "`engine.spark.submit`: %s is no program that can be started; --engine spark would need it", file);
	} else if (used && !spark_command(&l->spark, &m, NULL, 0, &u->arena, &command, &e)) {
		warn(p, l->file, err_hint_text(&e), "%s", e.message); /* cron has another PATH, and so may this machine */
	}
}

int cmd_check(struct ui *u)
{
	const struct args *g = &u->args;
	struct problems all = PROBLEMS_INIT(&u->arena), loaded = PROBLEMS_INIT(&u->arena), models = PROBLEMS_INIT(&u->arena);
	struct err e = ERR_INIT;
	size_t n_contracts = 0;
	struct project_options o = { .pipeline_file = ui_pipeline_file(u),
				     .environment = g->value[OPT_ENV], .lake = g->value[OPT_LAKE] };
	if (!ui_pipeline_there(u, &all))
		return print_check(u, &all, 0);
	pipeline_check(o.pipeline_file, &u->arena, &all);
	bool ok = project_load(&o, &u->arena, &u->project, &loaded);
	merge(&all, &loaded);
	if (!ok && u->project.contracts != NULL) /* what can be said of the models is said */
		load_models(u);
	check_folder(u, u->project.pipeline != NULL, &all);
	if (ok) {
		check_secrets(u, &all);
		check_spark(u, &all);
		n_contracts = check_contracts(u, &all);
		check_grids(u, &o, &all);
	}
	if (u->project.contracts != NULL && !models_check(&u->project, &models, &e)) {
		if (all.n_errors == 0)
			return ui_fail(u, &e);
		warn(&all, u->project.pipeline->file, "", "models were not looked at: %s", e.message);
	}
	merge(&all, &models);
	if (!ok && all.n_errors == 0)
		problem_file(&all, o.pipeline_file, 0, 0, "", "cannot be read");
	return print_check(u, &all, n_contracts);
}
