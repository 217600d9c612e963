/* The files of an engine job, in the child. Where the lake is a folder, the engine works on it and there is nothing to do. Else
 *
 *     objects ─▶ cache, a file each (many at once; size and SHA-256 compared) ─▶ the job's inputs
 *     output folders in the job's scratch ─▶ a file, made and read back ─▶ sent to its key ─▶ removed
 *
 * Files are sent by threads of their own while the next ones are made; who makes them waits where too many do. */
#ifndef SLUICE_FORMAT_JOB_FILES_H
#define SLUICE_FORMAT_JOB_FILES_H

#include "format/engine_job.h"

struct job_files;

/* Sets job->files; its inputs, merges and outputs then name files and folders of this machine. ERR_DAMAGE: an object is not what
 * the table's log says; ERR_STORAGE: the inputs are more than scratch_bytes. */
bool job_files_open(struct engine_job *job, struct arena *a, struct err *e);
/* The file is as it shall be. From any thread; ERR_STORAGE: this one, or one before it, could not be sent. */
bool job_file_made(const struct engine_job *job, const char *path, struct err *e);
/* It was made in vain. */
bool job_file_drop(const struct engine_job *job, const char *path, struct err *e);
/* Waits until all are sent, and puts their hashes into the result. */
bool job_files_finish(const struct engine_job *job, struct engine_result *r, struct err *e);
void job_files_close(struct engine_job *job);

#endif
