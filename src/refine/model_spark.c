#include "refine/model_spark.h"

#include "base/buf.h"
#include "refine/model_token.h"

enum { TEXT_MAX_BYTES = 64 << 20 };

struct token_list {
	struct token *v;
	size_t n, cap;
};

/* Words that may follow a table and are no alias. */
static bool ends_table(struct str word)
{
	static const char *const words[] = {
		"where",   "group",  "having", "order",	  "limit",  "offset", "fetch",	"window", "qualify",  "union",	 "intersect",
		"except",  "minus",  "join",   "inner",	  "left",   "right",  "full",	"outer",  "cross",    "natural", "semi",
		"anti",	   "asof",   "on",     "using",	  "sample", "lateral", "pivot",	"unpivot", "positional", "tablesample",
		"cluster", "sort",   "distribute", "select", "from", "when",   "then",	"else",	  "end",      "and",	 "or",
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_eq_nocase(word, str_from(words[i])))
			return true;
	return false;
}

static struct str name_of(const struct token *t)
{
	return t->kind == TOKEN_QUOTED && t->text.n >= 2 ? str_sub(t->text, 1, t->text.n - 2) : t->text;
}

static bool is_name(const struct token_list *l, size_t i, struct str name)
{
	return i < l->n && (l->v[i].kind == TOKEN_WORD || l->v[i].kind == TOKEN_QUOTED) &&
	       str_eq_nocase(name_of(&l->v[i]), name);
}

static bool is_mark(const struct token_list *l, size_t i, const char *mark)
{
	return i < l->n && l->v[i].kind == TOKEN_MARK && str_eq_z(l->v[i].text, mark);
}

static const struct job_input *input_at(const struct token_list *l, size_t i, const struct job_input *in, size_t n_in)
{
	if (!is_mark(l, i + 1, ".") || (i > 0 && is_mark(l, i - 1, ".")))
		return NULL;
	for (size_t k = 0; k < n_in; k++)
		if (is_name(l, i, in[k].schema) && is_name(l, i + 2, in[k].table))
			return &in[k];
	return NULL;
}

static bool has_alias(const struct token_list *l, size_t i)
{
	if (i >= l->n)
		return false;
	return l->v[i].kind == TOKEN_QUOTED || (l->v[i].kind == TOKEN_WORD && !ends_table(l->v[i].text));
}

struct str sql_for_spark(struct str sql, bool own, const struct job_input *in, size_t n_in, struct arena *a)
{
	struct buf b = BUF_INIT(TEXT_MAX_BYTES);
	struct tokens t = { .sql = sql, .backslash = own };
	struct token_list l = { 0 };
	struct token one;
	size_t from = 0;

	while (token_next(&t, &one))
		*arena_push(a, l) = one;
	for (size_t i = 0; i < l.n; i++) {
		const struct job_input *x = input_at(&l, i, in, n_in);
		if (!x)
			continue;
		buf_add(&b, str_sub(sql, from, l.v[i].at - from));
		from = l.v[i + 2].at + l.v[i + 2].text.n;
		if (is_mark(&l, i + 3, ".")) {
			buf_add(&b, l.v[i + 2].text);
		} else {
			buf_addf(&b, "sluice_%.*s_%.*s", STR_ARG(x->schema), STR_ARG(x->table));
			if (!has_alias(&l, i + 3))
				buf_addf(&b, " AS %.*s", STR_ARG(l.v[i + 2].text));
		}
		i += 2;
	}
	buf_add(&b, str_sub(sql, from, sql.n));
	return buf_take(&b, a);
}

/* What stands between tokens: Spark goes on with a comment behind a backslash at the end of its line. */
static void comments_put(struct buf *b, struct str between)
{
	for (size_t i = 0; i < between.n; i++) {
		size_t end = i;
		while (end < between.n && between.p[end] == '\\')
			end++;
		if (end > i && end < between.n && between.p[end] == '\n')
			i = end;
		buf_add_char(b, between.p[i]);
	}
}

/* Spark 3.5 takes 'it''s' for two texts side by side: its. */
static void text_put(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		bool doubled = i > 0 && i + 2 < text.n && text.p[i] == '\'' && text.p[i + 1] == '\'';
		if (doubled)
			buf_add_char(b, '\\');
		i += doubled;
		buf_add_char(b, text.p[i]);
	}
}

struct str sql_texts_for_spark(struct str sql, struct arena *a)
{
	struct buf b = BUF_INIT(TEXT_MAX_BYTES);
	struct tokens t = { .sql = sql };
	struct token one;
	size_t from = 0;

	while (token_next(&t, &one)) {
		comments_put(&b, str_sub(sql, from, one.at - from));
		if (one.kind == TOKEN_STRING && one.text.p[0] == '\'')
			text_put(&b, one.text);
		else
			buf_add(&b, one.text);
		from = one.at + one.text.n;
	}
	comments_put(&b, str_sub(sql, from, sql.n));
	return buf_take(&b, a);
}

void model_for_spark(const struct model *m, struct engine_job *job, struct arena *a)
{
	struct str sql = m->spark_file ? m->spark_text : m->sql;

	job->spark_file = str_from(m->spark_file ? m->spark_file : m->file);
	job->spark_python = m->spark_python;
	if (!m->spark_python)
		sql = sql_for_spark(sql_body(sql), m->spark_file != NULL, job->inputs, job->n_inputs, a);
	job->spark_text = m->spark_file ? sql : sql_texts_for_spark(sql, a);
}
