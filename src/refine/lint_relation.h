/* Which columns of a query tell its rows apart: from the keys of the tables that it reads, through joins, GROUP BY, DISTINCT,
 * ROW_NUMBER, subqueries and WITH. Only what can be shown is said, so a key that is not found may be there all the same.
 *
 * A table of Prepare counts as having the key of its contract, although a key may stand in several windows; and
 * (_window, _page, _off), which tell its rows apart in any case. */
#ifndef SLUICE_REFINE_LINT_RELATION_H
#define SLUICE_REFINE_LINT_RELATION_H

#include "format/engine_job.h"
#include "refine/lint_tree.h"

enum { LINT_COLUMNS_MAX = 4096, LINT_KEY_COLUMNS = 32 };

struct lint_set { /* of columns, by their numbers */
	uint32_t *v;
	size_t n;
};
struct lint_key {
	struct lint_set columns;
	bool whole; /* all columns: rows that are alike in them are alike, but there may be several */
};
struct lint_relation {
	struct str *names; /* of columns */
	size_t n;
	struct lint_key *keys;
	size_t n_keys;
	bool open; /* there are columns that are not known */
};

struct lint_leaf { /* one of the tables behind FROM */
	const struct lint_relation *rel;
	uint32_t first; /* of its columns among all */
	struct str name; /* as the text has it */
};
struct lint_edge { /* who knows `from`, knows `to` */
	struct lint_set from;
	uint32_t to;
};
enum lint_identity { /* what a row of a SELECT is, before DISTINCT and LIMIT */
	LINT_ROWS,   /* one of each leaf */
	LINT_GROUPS, /* a combination of `groups` */
	LINT_ONE,    /* the only one */
	LINT_UNKNOWN,
};
struct lint_item { /* of a SELECT list */
	struct str name;
	uint32_t node;   /* LINT_NONE: of a star */
	uint32_t column; /* where it is a column and nothing else; LINT_NONE */
};
struct lint_scope { /* of a SELECT */
	struct lint_leaf *leaves;
	size_t n_leaves;
	struct lint_column {
		struct str qualifier, name;
		uint32_t leaf;
		bool hidden; /* by USING, from a star */
	} *columns;
	size_t n_columns;
	struct {
		struct lint_edge *v;
		size_t n, cap;
	} edges;
	struct lint_item *items;
	size_t n_items;
	uint32_t *groups; /* expressions */
	size_t n_groups;
	enum lint_identity identity;
	bool distinct, open;
};

struct lint_relations {
	struct arena *a;
	const struct lint_tree *t;
	const struct job_input *tables;
	size_t n_tables;
	struct lint_relation **by_node; /* of queries and of what stands behind FROM */
	struct lint_scope **scopes;     /* of SELECTs */
};
void lint_relations_make(struct lint_relations *r);
void lint_scope_read(struct lint_relations *r, struct lint_scope *s, uint32_t select);
struct lint_set lint_set_new(struct arena *a); /* room for LINT_KEY_COLUMNS */
void lint_set_add(struct lint_set *s, uint32_t column); /* what has no room is left out: ask for n < LINT_KEY_COLUMNS */

/* The column of a reference in this SELECT; LINT_NONE. */
uint32_t lint_column_find(const struct lint_relations *r, const struct lint_scope *s, uint32_t node);
/* known[n_columns]: what follows from what is known. Is a row of each leaf known? *missing: the first that is not. */
bool lint_closure(const struct lint_scope *s, bool *known, const struct lint_leaf **missing);
/* Are all columns of this expression known? False for what an aggregate or a window gives. */
bool lint_is_known(const struct lint_relations *r, const struct lint_scope *s, uint32_t node, const bool *known);
bool lint_is_aggregate(struct str function);
bool lint_has_aggregate(const struct lint_tree *t, uint32_t node);

#endif
