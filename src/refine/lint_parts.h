/* Between lint.c, lint_syntax.c and lint_type.c. */
#ifndef SLUICE_REFINE_LINT_PARTS_H
#define SLUICE_REFINE_LINT_PARTS_H

#include "refine/lint.h"
#include "refine/lint_tree.h"

struct lint_leave { /* what the model does not want to be held to */
	bool all, rule[LINT_RULES];
};
struct lint {
	struct arena *a;
	struct lint_leave leave;
	struct str sql;
	struct lint_tree syntax, plan;
	bool typed;              /* there is a plan */
	bool was_left;           /* something was not told, since the model does not want it */
	uint32_t *by_place;      /* expressions of the plan that say where they stand, by that */
	size_t n_by_place;
	uint32_t *groups;        /* its aggregates and windows, which do not say it */
	size_t n_groups;
	uint32_t *written;       /* casts that stand in the text, by their places */
	size_t n_written;
	uint32_t *names;         /* names and the numbers behind GROUP BY, by their places */
	size_t n_names;
	bool *seen;              /* of each node of the plan: a function of the text was found to be it */
	uint64_t *moved;         /* of each node of the text: the place that GROUP BY gives it by name or number; LINT_NOWHERE */
	struct {
		struct lint_finding *v;
		size_t n, cap;
	} found;
};
void lint_add(struct lint *l, enum lint_rule_id rule, uint64_t at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* ── types, out of the plan ── */

/* One letter a class: i integer, m decimal, f double, s text, d date, t timestamp, b boolean, v interval, 0 NULL,
 * z something else, ? not known */
struct lint_type {
	char letter;
	uint32_t width, scale;
	struct str id;
};
enum { LINT_ARGUMENTS = 64 };
void lint_index(struct lint *l); /* fills in by_place, groups and written */
/* What the arguments of a function in the syntax tree are before the engine casts them; several calls that cannot be told
 * apart are asked for one by one: `turn` from 0, false behind the last. */
bool lint_arguments(const struct lint *l, uint32_t function, size_t turn, struct lint_type out[LINT_ARGUMENTS]);
struct lint_type lint_type_of(const struct lint_tree *t, uint32_t type);
void lint_casts(struct lint *l);
/* Is it the place of a part of a macro's text (pack.h)? */
bool lint_is_macro(uint64_t at);
struct lint_type lint_expression_type(const struct lint_tree *t, uint32_t node);
bool lint_cast_is_written(const struct lint *l, uint32_t cast);
/* Arithmetic of decimals in which Spark loses digits. */
void lint_decimals(struct lint *l);

/* ── what is written ── */

void lint_syntax(struct lint *l);
/* Functions of the plan that were found for none of the text, after lint_syntax. */
void lint_unseen(struct lint *l);
void lint_tokens(struct lint *l);
/* Ties. The tables that may be read, with their columns and keys. */
void lint_orders(struct lint *l, const struct job_input *tables, size_t n_tables);
/* INTERVAL '1' DAY is a small tree of calls and casts of the parser's own. */
bool lint_is_interval(struct str function);
struct str lint_constant(const struct lint *l, uint32_t node, bool *is_text); /* STR_NONE */
/* Forms that both read, and read otherwise. */
void lint_forms(struct lint *l);
/* Subqueries that Spark answers otherwise. */
struct lint_relations;
void lint_subqueries(struct lint *l, const struct lint_relations *r);

#endif
