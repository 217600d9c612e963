/* The lint of models: a model that passes gives the same rows on both engines (DuckDB here, Spark with ANSI and UTC), or
 * an error on one of them. It is a list of what may be written, not of what may not: each function stands in
 * lint_function.def with the types that it was tried with, each cast and operator in lint_type.c. What else is written
 * is refused with the number of a rule, whose explanation, both answers and rewrite are rows of lint.def; docs/sql.md is
 * made of them. Two trees are read, both the engine's own: the syntax tree for what is written where, the bound plan for
 * the types.
 *
 * A model says in its first lines, in comments, what it does not want to be held to:
 *     -- sluice: allow N20, A2        these rules
 *     -- sluice: duckdb-only          all of them: it is not meant for another engine
 *
 * An order must be total where it decides what comes out. Which columns tell rows apart is seen from keys, joins, GROUP BY and
 * the like (lint_relation.h); an order that is total for another reason is refused, too. */
#ifndef SLUICE_REFINE_LINT_H
#define SLUICE_REFINE_LINT_H

#include "config/problem.h"
#include "driver/engine.h"
#include "format/engine_job.h"

/* Raise it whenever findings may differ: what was found is kept under it. */
enum { LINT_VERSION = 3 };

enum lint_rule_id {
#define RULE(id, title, why, example, duckdb, spark, rewrite) LINT_##id,
#include "refine/lint.def"
#undef RULE
	LINT_RULES
};
struct lint_rule {
	const char *number, *title, *why, *example, *duckdb, *spark, *rewrite;
};
extern const struct lint_rule lint_rules[LINT_RULES];
const struct lint_rule *lint_rule_find(struct str number); /* "n6" as well; NULL */

/* The views of the tables that it reads must be there, and PACK_LINT; `tables` has their columns and keys. ERR_ENGINE only: a text that the engine refuses has no findings,
 * since others say so. Findings come in the order of the text. */
bool lint_model(struct engine_connection *c, struct str sql, const struct job_input *tables, size_t n_tables, struct arena *a,
		struct graph_reads *out, struct err *e);
void lint_problems(const struct graph_reads *found, const char *file, struct str sql, struct problems *p);

void lint_explain(const struct lint_rule *r, struct buf *out);      /* for people */
void lint_explain_json(const struct lint_rule *r, struct buf *out);
void lint_page(struct buf *out); /* the tables of docs/sql.md */

#endif
