#include "refine/model.h"

#include "base/effect.h"
#include "base/file.h"
#include "config/pipeline.h"
#include "refine/model_token.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows of a model cannot be set aside: they would be missing from what other models count. So a rule warns or fails. The
 * strict kinds (type, key, record, window) are quarantine wherever a contract says nothing else; here they fail. */
static void contract_check(const struct contract *c, struct str name, struct problems *p)
{
	if (c->n_key == 0)
		problem_file(p, c->file, 0, 0, "give the columns of its key `primaryKey: true`",
			     "the table of model `%.*s` has no primary key, which makes its order total", STR_ARG(name));
	if (c->n_children > 0)
		problem_file(p, c->file, 0, 0, "take the items out, or write a second model",
			     "the table of model `%.*s` has child tables: arrays become tables where they come from an API",
			     STR_ARG(name));
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct rule *r = &c->rules[i];
		bool strict = r->kind == RULE_TYPE || r->kind == RULE_KEY || r->kind == RULE_RECORD || r->kind == RULE_WINDOW;
		if (r->action != ACTION_QUARANTINE || strict)
			continue;
		problem_file(p, c->file, 0, 0,
			     "say how the table's rules act: customProperties: [{property: sluice.action, value: fail}] "
			     "beside its properties",
			     "rule `%.*s` would quarantine rows, which a model cannot: warn or fail", STR_ARG(r->id));
		return;
	}
}

static void model_load(struct str folder, struct str name, const char *file, struct arena *a, struct model *m,
		       struct problems *p)
{
	struct err e = ERR_INIT;
	size_t errors = p->n_errors;
	struct sha256_state s;

	*m = (struct model){ .name = name, .file = file };
	if (!file_read(file, MODEL_MAX_BYTES, a, &m->sql, &e)) {
		if (e.code == ERR_TOO_LARGE)
			problem_file(p, file, 0, 0, "split it into several models", "the model is larger than %d bytes",
				     MODEL_MAX_BYTES);
		else
			problem_unread(p, file, NULL, &e);
		return;
	}
	if (!str_is_utf8(m->sql) || str_find_char(m->sql, '\0') < m->sql.n) {
		problem_file(p, file, 0, 0, "store it as UTF-8", "the model is no text in UTF-8");
		return;
	}
	if (sql_body(m->sql).n == 0)
		problem_file(p, file, 0, 0, "write one SELECT", "the model is empty");
	if (!contract_find(folder, name, a, &m->contract, p)) {
		m->contract = NULL;
		return;
	}
	if (!m->contract) {
		problem_file(p, file, 0, 0,
			     arena_format(a, "write contracts/%.*s.yaml: columns, their types and the primary key",
					  STR_ARG(name)).p,
			     "model `%.*s` has no contract", STR_ARG(name));
		return;
	}
	contract_check(m->contract, name, p);
	if (p->n_errors > errors)
		return;
	sha256_begin(&s);
	sha256_add_str(&s, STR("sluice model 1\n"));
	sql_digest_add(&s, m->sql);
	sha256_add(&s, m->contract->meaning.b, SHA256_SIZE);
	m->meaning = sha256_end(&s);
}

/* models/<name>.spark.sql or models/<name>.py, where there is one. */
static void spark_load(struct str folder, struct arena *a, struct model *m, struct problems *p)
{
	static const char *const ends[] = { ".spark.sql", ".py" };
	struct err e = ERR_INIT;
	struct sha256_state s;

	for (size_t i = 0; i < 2; i++) {
		const char *file = arena_format(a, "%.*s/models/%.*s%s", STR_ARG(folder), STR_ARG(m->name), ends[i]).p;
		if (sys_access(file, F_OK) != 0)
			continue;
		if (m->spark_file) {
			problem_file(p, file, 0, 0, "keep one of them", "model `%.*s` has two texts for Spark", STR_ARG(m->name));
			return;
		}
		m->spark_file = file;
		m->spark_python = i == 1;
		if (!file_read(file, MODEL_MAX_BYTES, a, &m->spark_text, &e)) {
			problem_unread(p, file, NULL, &e);
			return;
		}
		if (!str_is_utf8(m->spark_text) || str_find_char(m->spark_text, '\0') < m->spark_text.n ||
		    (!m->spark_python && sql_body(m->spark_text).n == 0)) {
			problem_file(p, file, 0, 0, "write one SELECT, as UTF-8", "the model is empty, or no text in UTF-8");
			return;
		}
	}
	if (!m->spark_file || !m->contract)
		return;
	sha256_begin(&s);
	sha256_add_str(&s, m->spark_python ? STR("sluice model 1, Python for Spark\n") : STR("sluice model 1, SQL for Spark\n"));
	if (m->spark_python)
		sha256_add_str(&s, m->spark_text);
	else
		sql_digest_add(&s, m->spark_text);
	sha256_add(&s, m->contract->meaning.b, SHA256_SIZE);
	m->spark_meaning = sha256_end(&s);
}

static int text_cmp(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

struct names {
	struct str *v;
	size_t n, cap;
};

static void unlisted(const char *path, int sys_errno, struct arena *a, struct problems *p)
{
	struct err e = ERR_INIT;
	err_set_errno(&e, ERR_STORAGE, sys_errno, "cannot be listed");
	problem_unread(p, arena_zero_terminated(a, str_from(path)), NULL, &e);
}

/* Files of the folder with that end, by name; none where there is no folder. */
static void names_list(const char *path, const char *end, struct arena *a, struct names *out, struct problems *p)
{
	DIR *dir = sys_opendir(path);
	struct dirent *entry;

	if (!dir) {
		if (errno != ENOENT)
			unlisted(path, errno, a, p);
		return;
	}
	while ((errno = 0, entry = sys_readdir(dir)) != NULL) {
		struct str name = str_from(entry->d_name);
		if (str_ends(name, str_from(end)) && name.p[0] != '.')
			*arena_push(a, *out) = arena_copy(a, str_sub(name, 0, name.n - strlen(end)));
	}
	if (errno != 0) /* a part of the models is not what is asked for */
		unlisted(path, errno, a, p);
	closedir(dir);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof *out->v, text_cmp);
}

static bool name_check(struct str name, const char *file, const struct str *resources, size_t n_resources,
		       struct problems *p)
{
	if (!name_ok(name)) {
		problem_file(p, file, 0, 0, "names are [a-z][a-z0-9_]*, at most 63 bytes",
			     "`%.*s` cannot be the name of a model", STR_ARG(name));
		return false;
	}
	for (size_t i = 0; i < n_resources; i++)
		if (str_eq(name, resources[i])) {
			problem_file(p, file, 0, 0, "give the model another name",
				     "a table of a resource is called `%.*s` too", STR_ARG(name));
			return false;
		}
	return true;
}

/* A text for Spark says nothing of what the model reads: that is its SELECT's part. */
static void strays_tell(const char *folder, const struct names *of, const char *end, const struct names *models, struct problems *p)
{
	for (size_t i = 0; i < of->n; i++) {
		bool known = false;
		for (size_t k = 0; k < models->n; k++)
			known = known || str_eq(models->v[k], of->v[i]);
		if (!known)
			problem_file(p, arena_format(p->arena, "%s/%.*s%s", folder, STR_ARG(of->v[i]), end).p, 0, 0,
				     "write models/NAME.sql beside it: it says what the model reads, and is what DuckDB runs",
				     "there is no model `%.*s`", STR_ARG(of->v[i]));
	}
}

bool models_load(struct str folder, const struct str *resources, size_t n_resources, struct arena *a, struct models *out,
		 struct problems *p)
{
	struct str path = arena_format(a, "%.*s/models", STR_ARG(folder));
	struct names names = { 0 }, all = { 0 }, python = { 0 }, spark = { 0 };
	size_t errors = p->n_errors;

	*out = (struct models){ 0 };
	names_list(path.p, ".sql", a, &all, p);
	names_list(path.p, ".py", a, &python, p);
	for (size_t i = 0; i < all.n; i++) {
		if (str_ends(all.v[i], STR(".spark")))
			*arena_push(a, spark) = str_sub(all.v[i], 0, all.v[i].n - 6);
		else
			*arena_push(a, names) = all.v[i];
	}
	strays_tell(path.p, &spark, ".spark.sql", &names, p);
	strays_tell(path.p, &python, ".py", &names, p);
	if (names.n > MODELS_MAX) {
		problem_file(p, path.p, 0, 0, NULL, "%zu models: more than %d", names.n, MODELS_MAX);
		return false;
	}
	if (names.n > 0)
		out->v = arena_array(a, struct model, names.n);
	for (size_t i = 0; i < names.n; i++) {
		const char *file = arena_format(a, "%s/%.*s.sql", path.p, STR_ARG(names.v[i])).p;
		if (name_check(names.v[i], file, resources, n_resources, p))
			model_load(folder, names.v[i], file, a, &out->v[out->n++], p);
	}
	for (size_t i = 0; i < out->n; i++)
		spark_load(folder, a, &out->v[i], p);
	return p->n_errors == errors;
}

static void text_add(struct sha256_state *s, struct str text)
{
	uint8_t length[8];
	for (unsigned i = 0; i < 8; i++)
		length[i] = (uint8_t)((uint64_t)text.n >> (8 * i));
	sha256_add(s, length, sizeof length);
	sha256_add_str(s, text);
}

static int model_name_cmp(const void *x, const void *y)
{
	return str_cmp((*(const struct model *const *)x)->name, (*(const struct model *const *)y)->name);
}

struct sha256 models_digest(const struct models *m, struct arena *a)
{
	const struct model **by_name = arena_array(a, const struct model *, m->n + 1);
	struct sha256_state s;

	for (size_t i = 0; i < m->n; i++)
		by_name[i] = &m->v[i];
	qsort(by_name, m->n, sizeof *by_name, model_name_cmp);
	sha256_begin(&s);
	sha256_add_str(&s, STR("sluice models 1\n"));
	for (size_t i = 0; i < m->n; i++) {
		text_add(&s, by_name[i]->name);
		text_add(&s, by_name[i]->sql);
	}
	return sha256_end(&s);
}
