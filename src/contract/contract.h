/* A contract: what a table has promised. Read from an ODCS 3.1 file (Open Data Contract Standard, Bitol), of which a
 * subset is understood; keys that could change a verdict and are not understood are refused with their line,
 * documentary keys are kept and ignored. Extensions are customProperties with the prefix "sluice.". docs/contracts.md
 * lists both. */
#ifndef SLUICE_CONTRACT_CONTRACT_H
#define SLUICE_CONTRACT_CONTRACT_H

#include "base/calendar.h"
#include "base/hash.h"
#include "base/number.h"
#include "config/problem.h"

enum column_type {
	TYPE_STRING,
	TYPE_BOOLEAN,
	TYPE_INTEGER,   /* int64 */
	TYPE_DECIMAL,   /* precision 1..38, scale 0..precision; unscaled int128 */
	TYPE_DOUBLE,
	TYPE_DATE,      /* int32 days */
	TYPE_TIMESTAMP, /* int64 us, an instant */
	TYPE_JSON,      /* raw text of the value */
	TYPE_COUNT
};
const char *column_type_name(enum column_type t); /* "string", ... as in contracts */

enum rule_action { ACTION_WARN, ACTION_QUARANTINE, ACTION_FAIL };

enum rule_kind {
	RULE_TYPE,      /* the value cannot be that type exactly (also: digits beyond the scale, inexact doubles) */
	RULE_REQUIRED,  /* null or absent */
	RULE_MINIMUM,   /* also minLength for strings: see RULE_MIN_LENGTH */
	RULE_MAXIMUM,
	RULE_MIN_LENGTH, /* in code points */
	RULE_MAX_LENGTH,
	RULE_PATTERN,   /* PCRE2, matched against the whole text as ODCS/JSON Schema do: unanchored search */
	RULE_ACCEPTED,  /* one of a list */
	RULE_KEY,       /* part of the primary key is null */
	RULE_WINDOW,    /* the record's window column lies outside its window */
	RULE_RECORD,    /* the record is no object, has a duplicate key, ... */
	RULE_UNIQUE,    /* tables of models only: the primary key occurs twice */
	RULE_COUNT
};
const char *rule_kind_name(enum rule_kind k);

union scalar { /* by column type; DECIMAL at the column's scale */
	int64_t i64;
	int128 i128;
	double f64;
	struct str s;
};

struct rule {
	enum rule_kind kind;
	enum rule_action action;
	size_t column; /* index, or SIZE_MAX for the whole record */
	union scalar bound;      /* MINIMUM, MAXIMUM */
	bool exclusive;
	uint64_t length;         /* MIN_LENGTH, MAX_LENGTH */
	struct str pattern;
	void *compiled;          /* pcre2_code, read-only and shared; lives as long as the process */
	struct str *accepted;    /* texts of JSON scalars as the column's type reads them; rising by value, each once */
	union scalar *accepted_values; /* the same, read */
	size_t n_accepted;
	struct str id;           /* stable name for reports: "dep_delay.minimum" */
};
/* At most one rule of each kind per column, RULES_MAX per table. Every column has a TYPE rule and every contract a
 * RECORD rule; key columns have KEY in place of REQUIRED; a table with a key has one UNIQUE rule for the whole record. */

enum inexact_policy { INEXACT_QUARANTINE, INEXACT_COUNT };

struct column {
	struct str name;        /* a__b for nested objects */
	struct str path;        /* JSON path in the record, parts joined by '.': default from the name ("__" is '.') */
	enum column_type type;
	unsigned precision, scale;
	bool required;
	size_t key_position;    /* 0: not in the primary key, else 1.. */
	struct str *formats;    /* timestamp, date: accepted patterns; none: RFC 3339 / YYYY-MM-DD */
	size_t n_formats;       /* "epoch_s", "epoch_ms" are formats too, for numbers */
	const struct zone *zone; /* for patterns without an offset; NULL: refused */
	enum inexact_policy inexact; /* double; decimal with COUNT rounds half up and counts, timestamp cuts and counts */
	struct str *null_texts; /* strings that stand for null, e.g. "NA", "" */
	size_t n_null_texts;
	struct str description;
};

struct relationship {
	struct str column;       /* of this table (one column) */
	struct str to_table, to_column;
	enum rule_action action; /* WARN or FAIL (rule 24) */
	unsigned line, line_column; /* in the file */
};

struct contract {
	const char *file;
	struct str id, name, version; /* name is the table's */
	unsigned name_line, name_column; /* of the table's name in the file; 0: not from a file */
	struct column *columns;       /* in the order of the file; this is the order in the table */
	size_t n_columns;
	size_t *by_name;              /* indexes ordered by name bytes (row hash) */
	size_t *key;                  /* primary key, by position */
	size_t n_key;
	size_t *sort;                 /* contract's sort order, may be empty */
	bool *sort_descending;
	size_t n_sort;
	struct rule *rules;           /* ordered by column, then kind */
	size_t n_rules;
	struct relationship *relationships;
	size_t n_relationships;
	size_t window_column;         /* SIZE_MAX: none */
	struct contract **children;   /* tables of the arrays of objects in a record, in the order of the file */
	size_t n_children;
	struct str array_path;        /* of a child: JSON path of its array in the parent's record; else empty */
	double budget_percent;        /* quarantined / read above which quarantine becomes failure; default 5 */
	uint64_t budget_rows;         /* ... and at least this many; default 0 */
	bool draft;                   /* written by `contract draft`, not yet looked at */
	bool none;                    /* no contract: see contract_none */
	struct sha256 meaning;        /* of the canonical JSON: no descriptions, no comments, no file name */
	struct str canonical;         /* that JSON, children included: what the engine child is given */
};
/* A child is a whole contract, `<table>__<field>`, whose columns have paths relative to an element of the array. It has no
 * children of its own (arrays inside of it stay json), no key (its rows have an address) and no window column. */

enum {
	COLUMNS_MAX = 1024,
	CHILDREN_MAX = 32,
	RULES_MAX = 4096,
	PATTERN_MAX_BYTES = 4096,
	ACCEPTED_MAX = 10000,
	CONTRACT_MAX_BYTES = 1 << 20,
};

bool contract_load(const char *path, struct arena *a, struct contract **out, struct problems *p);
bool contract_parse(const char *file, struct str text, struct arena *a, struct contract **out, struct problems *p);
/* What is used where a table has no contract: no columns, so that every field lands in `_extra`; only RULE_RECORD. */
struct contract *contract_none(struct str table, struct arena *a);
/* From contract.canonical, which holds all that changes rows: not id, version, draft, descriptions, relationships
 * (rule 24) and the budget, which are read from the file by whoever decides about a run. ERR_DAMAGE if it was not written by us. */
bool contract_from_canonical(struct str json, struct arena *a, struct contract **out, struct err *e);
/* folder/contracts/<table>.yaml; *out NULL and true where there is none. */
bool contract_find(struct str folder, struct str table, struct arena *a, struct contract **out, struct problems *p);
size_t contract_column(const struct contract *c, struct str name); /* SIZE_MAX if unknown */
/* Names of the columns of the primary key, by position: n_key of them. */
static inline struct str *contract_key_names(const struct contract *c, struct arena *a)
{
	struct str *names = arena_array(a, struct str, c->n_key + 1);
	for (size_t i = 0; i < c->n_key; i++)
		names[i] = c->columns[c->key[i]].name;
	return names;
}
static inline bool contract_is_child(const struct contract *c)
{
	return c->array_path.n > 0;
}
/* The tables of a contract in one row: 0 is its own, then come the children. */
static inline const struct contract *contract_table(const struct contract *c, size_t i)
{
	return i == 0 ? c : c->children[i - 1];
}
/* Index in rules, SIZE_MAX if there is none; column SIZE_MAX for the rules of the whole record. */
size_t contract_rule(const struct contract *c, enum rule_kind kind, size_t column);
const char *rule_action_name(enum rule_action a); /* "warn", "quarantine", "fail" */

/* Reads a value as a column's type does: numbers in JSON's grammar, dates YYYY-MM-DD, instants RFC 3339, booleans
 * true and false. False: it is no such value, or not exactly. DATE, TIMESTAMP and BOOLEAN are in .i64. */
bool scalar_from_text(const struct column *c, struct str text, struct arena *a, union scalar *out);
/* The same text for equal values. */
struct str scalar_to_text(const struct column *c, union scalar v, struct arena *a);
int scalar_cmp(enum column_type t, union scalar x, union scalar y);

#endif
