/* Verdicts: what the rules of a contract say about each row of a batch, once; routing (publish, quarantine, fail) comes
 * after and only looks at the bits.
 *
 *     verdicts_begin(v);
 *     ... the record reader fills the batch; verdicts_note() for what only it can see: TYPE and RECORD ...
 *     verdicts_evaluate(v, batch, from_us, to_us);
 *     verdicts_count(v, &counted);            // rows that stand, after duplicates were removed
 *     if (rows_has(&v->by_action[ACTION_QUARANTINE], row)) verdicts_reasons(v, batch, row, &out);
 *
 * The batch's first columns are the contract's, in its order; more may follow. A NULL breaks only KEY and REQUIRED, and
 * those not where the TYPE of the column or the whole RECORD failed: one cause, one reason. RULE_UNIQUE is no rule of
 * single rows and never set here. One `struct verdicts` per thread. */
#ifndef SLUICE_CONTRACT_VERDICT_H
#define SLUICE_CONTRACT_VERDICT_H

#include "base/buf.h"
#include "contract/batch.h"

enum { ROW_WORDS = BATCH_ROWS / 64, REASON_VALUE_BYTES = 200 };

struct rows { /* a set of rows of one batch */
	uint64_t w[ROW_WORDS];
};
static inline bool rows_has(const struct rows *r, size_t row)
{
	return (r->w[row / 64] >> (row % 64)) & 1;
}
static inline void rows_add(struct rows *r, size_t row)
{
	r->w[row / 64] |= UINT64_C(1) << (row % 64);
}
bool rows_any(const struct rows *r);
size_t rows_count(const struct rows *r);

struct verdicts {
	const struct contract *contract;
	/* of the batch at hand */
	struct rows *failed;       /* [rule] */
	bool *has_failed;          /* [rule]: failed[rule] is not empty */
	struct rows by_action[3];  /* rows that failed at least one rule of that action */
	/* of all batches counted since verdicts_new */
	uint64_t *total;           /* [rule]: rows that failed it */
	uint64_t total_rows[3];    /* [action]: rows in by_action */
	uint64_t counted_rows;
	struct verdict_work *work; /* internal */
};

struct verdicts *verdicts_new(const struct contract *c, struct arena *a);
void verdicts_free(struct verdicts *v); /* what does not live in the arena */
void verdicts_begin(struct verdicts *v); /* the next batch */

/* The row failed the rule in the reader's eyes. `column` is SIZE_MAX for RULE_RECORD. `value` is the raw text (copied,
 * cut), may be empty; `why` is a constant text ("digits beyond the scale") or NULL. For a kind that the column has no rule
 * of, nothing happens. */
void verdicts_note(struct verdicts *v, enum rule_kind kind, size_t column, size_t row, struct str value,
		   const char *why);

/* RULE_WINDOW: inside is [from_us, to_us); tables without windows give INT64_MIN and INT64_MAX. */
void verdicts_evaluate(struct verdicts *v, const struct batch *b, int64_t from_us, int64_t to_us);

/* Adds to the totals; `which` NULL is all rows of the batch. */
void verdicts_count(struct verdicts *v, const struct batch *b, const struct rows *which);

/* Rule 25, the text of `_reasons`: why the row is not published (rules with action warn are left out), in the order of
 * the rules: [{"rule":"dep_delay.minimum","column":"dep_delay","path":"dep_delay","value":"-120"}]. `value` is missing
 * for NULL, `column` and `path` for rules of the whole record; "why" is added where it says more. */
bool verdicts_reasons(const struct verdicts *v, const struct batch *b, size_t row, struct buf *out);

#endif
