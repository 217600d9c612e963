/* Prepare, inside the engine child: segments → pages → records → typed columns → Parquet, streaming and bounded.
 *
 *   ledger_walk ─▶ member by byte range ─▶ inflate ─▶ SHA-256 against the ledger ─▶ records ─▶ batch ─▶ verdicts
 *        ─┬▶ rows that pass ─▶ table function ─▶ COPY one file (a thread each) ─▶ read back, row hash per window
 *         └▶ rows set aside ─▶ quarantine files
 *
 * Files (rule 29): windows in time order share a file until the next one would pass file_rows records; a window with more
 * is cut into files of its own, file_rows records each. The records of the seals decide, so the cut is known before a
 * byte is parsed and does not depend on the number of threads.
 *
 * Duplicates (rule 21) are rare, so a file is written as if there were none; only where a window turns out to have some
 * is its file written again, under another name, without the losers.
 *
 * What ends it: ERR_CONTRACT (a rule that says fail; more rows set aside than the budget; no contract), ERR_DAMAGE (Raw is
 * not what the ledger, or the ledger not what the plan says), ERR_JSON and ERR_RECORDS (pages that fit no more: the
 * configuration changed since), ERR_ENGINE (what was read back is not what was written). */
#ifndef SLUICE_PREPARE_PREPARE_H
#define SLUICE_PREPARE_PREPARE_H

#include "driver/engine.h"
#include "format/engine_job.h"

/* Progress goes to `progress` (may be NULL), about every 100 ms: records done so far, from any thread but one at a time. */
bool prepare_run(const struct engine_job *job, void (*progress)(void *user, uint64_t rows), void *user, struct arena *a,
		 struct engine_result *out, struct err *e);

/* Columns of a quarantine table (rule 25). */
struct batch_shape *quarantine_shape(struct arena *a, size_t *n_columns);

#endif
