/* The files of a model's table: work.result of the engine in pieces of job->file_rows rows, each written and read back by one
 * thread with a connection of its own, job->threads pieces at once. Which piece is whose makes no difference: files, statistics,
 * the rules' counts and examples are the same at one thread and at many. */
#ifndef SLUICE_REFINE_REFINE_FILES_H
#define SLUICE_REFINE_REFINE_FILES_H

#include "refine/refine_check.h"

struct refine_files {
	const struct engine_job *job;
	const struct contract *contract;
	struct engine *engine;
	struct str model;
	uint64_t rows; /* of work.result; none make one empty file */
	enum parquet_encoding encoding;
};
/* Fills files, failed_rules, and the times. The first failure in the order of the files is told; check_finish() says what rules
 * are broken. */
bool refine_files_write(const struct refine_files *f, struct arena *a, struct engine_result *out, struct err *e);

#endif
