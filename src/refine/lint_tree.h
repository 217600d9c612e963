/* The engine's trees as flat lists: what json_serialize_sql says of a text (names, positions, constants) and what
 * json_serialize_plan says of the same text once it is bound (types). Every JSON object is a node; a node's parts stand
 * right behind it, up to `end`. Texts are views into the JSON, still escaped. */
#ifndef SLUICE_REFINE_LINT_TREE_H
#define SLUICE_REFINE_LINT_TREE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define LINT_NONE UINT32_MAX
#define LINT_NOWHERE UINT64_MAX

struct lint_node {
	uint32_t parent, end; /* end: one behind its last part */
	uint32_t place;       /* among the objects with the same key in the same parent */
	struct str key;       /* in the object around it; items of an array have the array's */
	struct str kind;      /* "class" of the syntax tree, "expression_class" of the plan */
	struct str type;      /* "COMPARE_EQUAL", "SELECT_NODE", "LOGICAL_PROJECTION" */
	struct str name;      /* of a function */
	struct str alias;
	struct str column;    /* of a column: the last part of its name */
	struct str qualifier; /* of a column: the part before it; of a star: whose */
	struct str schema, table; /* of a table that is read */
	struct str entry;     /* of a WITH: what it is called */
	struct str subquery;  /* "EXISTS", "ANY" (IN), "SCALAR" */
	struct str id;        /* of a type: "DECIMAL" */
	struct str text;      /* of a constant: a string's inside or a number */
	struct str null_order, start, end_bound, exclude, ref_type, join_type, setop, aggregates;
	uint32_t first_word, last_word; /* of its lists of names, see lint_word */
	uint32_t n_group_sets;
	uint64_t at;          /* in the SQL text; LINT_NOWHERE: the engine does not say */
	uint32_t width, scale;
	bool distinct, try_cast, ignore_nulls, is_operator, is_null, text_is_string;
	bool has_star_change; /* EXCLUDE, REPLACE, RENAME or a list of columns */
	bool columns;         /* COLUMNS(...) */
	bool setop_all;
	bool has_total;       /* GROUPING SETS with (), ROLLUP, CUBE */
};
struct lint_word { /* of USING (k), t(a, b), WITH c(a, b) */
	struct str key, text;
	uint32_t next;
};
struct lint_tree {
	struct lint_node *v;
	size_t n, cap;
	struct {
		struct lint_word *v;
		size_t n, cap;
	} words;
};
bool lint_tree_read(struct str json, struct arena *a, struct lint_tree *out, struct err *e); /* ERR_ENGINE */

/* The part with this key, the place-th one from 0; LINT_NONE. */
uint32_t lint_part(const struct lint_tree *t, uint32_t node, const char *key, uint32_t place);
uint32_t lint_count(const struct lint_tree *t, uint32_t node, const char *key);
/* The first word of this list, or the next one behind `word`; LINT_NONE. */
uint32_t lint_word(const struct lint_tree *t, uint32_t node, const char *key, uint32_t word);
/* Do they say the same, wherever they stand? */
bool lint_alike(const struct lint_tree *t, uint32_t x, uint32_t y);
static inline bool lint_is(const struct lint_tree *t, uint32_t node, const char *kind)
{
	return node != LINT_NONE && str_eq_z(t->v[node].kind, kind);
}

#endif
