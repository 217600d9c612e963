/* What changed between two contracts of a table, and what it means for the table that is there.
 *
 *   CHANGE_KEEPS    the table's schema stays, or gains a nullable column; windows are stale (their key holds the
 *                   contract's meaning) and are prepared again from Raw, one after the other
 *   CHANGE_REBUILDS all windows must change in one commit: the run needs --rebuild
 *
 * Equal meanings (descriptions, tags, versions, relationships and budgets aside) give no change at all. */
#ifndef SLUICE_CONTRACT_COMPARE_H
#define SLUICE_CONTRACT_COMPARE_H

#include "contract/contract.h"

enum change_effect { CHANGE_KEEPS, CHANGE_REBUILDS };

enum change_kind {
	CHANGE_COLUMN_ADDED,   /* nullable: keeps; required or part of the key: rebuilds */
	CHANGE_COLUMN_DROPPED,
	CHANGE_COLUMN_RENAMED, /* one went, one came, with the same path and type */
	CHANGE_COLUMN_TYPE,    /* also precision and scale */
	CHANGE_COLUMN_READING, /* path, formats, zone, null texts, inexact: other values may come out */
	CHANGE_COLUMN_ORDER,
	CHANGE_KEY,
	CHANGE_SORT,
	CHANGE_WINDOW_COLUMN,
	CHANGE_TABLE_NAME,
	CHANGE_RULE_ADDED,
	CHANGE_RULE_REMOVED,
	CHANGE_RULE_WIDENED,   /* what passed passes still */
	CHANGE_RULE_TIGHTENED,
	CHANGE_RULE_CHANGED,   /* neither can be told: another pattern, another list */
	CHANGE_RULE_ACTION,
	CHANGE_CHILD_ADDED,    /* an array of objects that becomes a table */
	CHANGE_CHILD_DROPPED,
	CHANGE_KIND_COUNT
};
const char *change_kind_name(enum change_kind k); /* "column_added" */

struct change {
	enum change_kind kind;
	enum change_effect effect;
	struct str subject; /* column, rule id or table */
	struct str text;    /* one line for people */
};
struct changes {
	struct change *v;
	size_t n, cap;
	bool rebuild; /* one of them rebuilds */
};
/* Columns in the order of the new contract, dropped ones first; then rules; then the same for each child table. */
struct changes contract_compare(const struct contract *old, const struct contract *new, struct arena *a);

#endif
