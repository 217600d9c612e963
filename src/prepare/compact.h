/* Compaction, in the engine child: rows of small files of a table into larger ones, copied in their order and not prepared
 * again. So no Raw and no contract are needed, and what was once judged stays as it was judged. The files that come of it
 * are those that one job over the same windows would have written. */
#ifndef SLUICE_PREPARE_COMPACT_H
#define SLUICE_PREPARE_COMPACT_H

#include "format/engine_job.h"

/* Each merge: its rows are read and compared with the row hashes of their tags, written, read back and compared again.
 * ERR_DAMAGE: they are not what the tags say. ERR_ENGINE. */
bool compact_run(const struct engine_job *job, void (*progress)(void *user, uint64_t rows), void *user, struct arena *a,
		 struct engine_result *out, struct err *e);

#endif
