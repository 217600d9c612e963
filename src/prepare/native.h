/* The C interface of libsluice.so for Spark's Python workers (spark/sluice_spark/native.py, by ctypes): a prepare by tasks
 * (prepare_task.h), whose files are written and read by the caller, as Arrow record batches.
 *
 *     sluice_prepare_plan(job)              which files there are          driver
 *     sluice_prepare_task(job, i, ...)      one of them                    executors
 *     sluice_keys_losers(entries)           equal keys of one window       executors
 *     sluice_prepare_join(job, answers)     the result                     driver
 *
 * Texts in are UTF-8 with their length; the job is that of spec/engine-job.md. Each text that comes out is JSON, ended by
 * a NUL, and goes back by sluice_free(): {"error":{"code","message","hint"},"again":bool} (again: another attempt may go
 * better), or what is said at the function. Functions may run in several threads, a call in one. Nothing else of the library is
 * exported. SLUICE_ABI grows with each change here. */
#ifndef SLUICE_PREPARE_NATIVE_H
#define SLUICE_PREPARE_NATIVE_H

#include "contract/arrow.h"

enum { SLUICE_ABI = 2 };

#define SLUICE_API __attribute__((visibility("default")))

struct sluice_rows; /* to be written */
struct sluice_take; /* for what is read */

/* These return 0, or -1 after sluice_rows_fail() or sluice_take_fail() has told why (without: ERR_ENGINE). */
struct sluice_calls {
	void *user;
	/* A new file at this path with the rows of sluice_rows_next(), each batch a row group. The spec is {"plain":bool,
	 * "order":[{"column","descending"}],"drop_last":bool}: plain, no dictionaries; order, if not empty: the rows come in
	 * another one and shall be sorted by these columns, texts by their bytes, NULL first where it ascends and last where it
	 * descends; drop_last: the last column is for that only. ZSTD 1, data pages V1. */
	int (*write)(void *user, const char *path, const char *spec, struct sluice_rows *rows);
	/* All rows of the file in their order, to sluice_take_batch(): columns is a JSON array of names. */
	int (*read)(void *user, const char *path, const char *columns, struct sluice_take *take);
	/* First round: keys of a window that is cut. They meet those of other tasks with the same window and bucket. NULL where
	 * nobody asks. The bytes, entries of struct sluice_key, are valid during the call. */
	int (*keys)(void *user, uint64_t window, uint32_t bucket, const void *entries, size_t n);
};

struct sluice_key { /* 32 bytes, of this machine's byte order */
	uint64_t hash[2], record, task;
};

SLUICE_API int sluice_abi_version(void);
SLUICE_API void sluice_free(void *text);
/* Of a code's name; that of ERR_ENGINE for one that is not known. */
SLUICE_API int sluice_exit_status(const char *code);

/* {"tasks":[{"records":N,"split":bool}],"exchange":bool}: whether keys have to be exchanged. */
SLUICE_API char *sluice_prepare_plan(const char *job, size_t n_job);
/* options: {"task":i,"mark":"[a-z0-9-]+" (makes its files' names unlike those of any other attempt),"secret":"32 hex digits
 * (the same for all tasks)","scratch":"a folder of its own, empty","exact":bool}. exact: second round, `losers` are the
 * n_losers records that lost. The answer is for sluice_prepare_join alone. */
SLUICE_API char *sluice_prepare_task(const char *job, size_t n_job, const char *options, size_t n_options,
				     const uint64_t *losers, size_t n_losers, const struct sluice_calls *calls);
/* One answer of each task. options: {"mark","scratch","engine":"name and version"}. The result of the job. */
SLUICE_API char *sluice_prepare_join(const char *job, size_t n_job, const char *options, size_t n_options,
				     const char *const *answers, const size_t *n_answers, size_t n,
				     const struct sluice_calls *calls);
/* Of equal hashes all but the highest record, in front, by task and record; how many they are. */
SLUICE_API size_t sluice_keys_losers(struct sluice_key *entries, size_t n);

/* ── inside a call ── */

SLUICE_API void sluice_rows_schema(struct sluice_rows *r, struct ArrowSchema *out);
/* 1: *out is a batch, which the caller releases; 0: there are no more; -1: it failed, and the reason is kept here. */
SLUICE_API int sluice_rows_next(struct sluice_rows *r, struct ArrowArray *out);
SLUICE_API void sluice_rows_fail(struct sluice_rows *r, const char *code, const char *message);

/* Both are released here. 0, or -1: the reason is kept here. */
SLUICE_API int sluice_take_batch(struct sluice_take *t, struct ArrowSchema *schema, struct ArrowArray *array);
SLUICE_API void sluice_take_fail(struct sluice_take *t, const char *code, const char *message);

#endif
