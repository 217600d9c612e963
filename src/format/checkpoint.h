/* Delta's classic checkpoints (_delta_log/<20 digits>.checkpoint.parquet), for other readers: one row an action, in nested
 * columns as the protocol asks for. Ours neither writes nor reads one on the way of a commit (rule 33): it is an engine job
 * afterwards. Shape: https://github.com/delta-io/delta/blob/master/PROTOCOL.md, "Checkpoints". */
#ifndef SLUICE_FORMAT_CHECKPOINT_H
#define SLUICE_FORMAT_CHECKPOINT_H

#include "driver/engine.h"
#include "format/engine_job.h"

enum { CHECKPOINT_EVERY = 50, CHECKPOINT_MAX_BYTES = 1 << 30 };

/* In the engine child. out->files[0]: the file in job->output, read back and compared; its rows are its actions. */
bool checkpoint_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e);
/* Does the file at `path` say what the log comes to at that version? ERR_DAMAGE: no. */
bool checkpoint_check(struct engine_connection *c, struct store *s, struct str table_key, uint64_t version, const char *path,
		      struct err *e);
/* Brings the file to its place, then points _last_checkpoint at it. */
bool checkpoint_publish(struct store *s, struct str table_key, uint64_t version, struct str bytes, uint64_t actions,
			struct arena *a, struct err *e);

#endif
