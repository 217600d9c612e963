/* Refine for programs that are not ours (spark/sluice_spark/refine.py, by ctypes out of libsluice.so): the check of what a
 * model's files hold, on batches of the Arrow C data interface.
 *
 * Texts that come back are JSON, allocated with malloc: the caller frees them with sluice_free (prepare/native.h). A failure is
 * {"error":{"code","message","hint"}} as in a result. One handle belongs to one thread at a time. */
#ifndef SLUICE_REFINE_REFINE_NATIVE_H
#define SLUICE_REFINE_REFINE_NATIVE_H

#include "contract/arrow.h"

/* What a job is to give: {"contract":TEXT,"columns":[{"name","type","sql","precision","scale"}],"key":[NAME],
 * "sort":[{"column","descending"}]}; `contract` byte for byte as in the job (numbers in it have more digits than a double),
 * `sql` is DuckDB's name of the type, for messages. ERR_CONFIG where the contract has no primary key. */
char *sluice_refine_shape(const char *job);

struct refine_native;
/* NULL: *failure is the error's text. */
struct refine_native *sluice_refine_open(const char *contract, char **failure);
void sluice_refine_close(struct refine_native *n);
/* A file: all rows that are to be written, then all rows read back from it, in its order, then its end. Both structures are
 * released. NULL, or the error. */
char *sluice_refine_written(struct refine_native *n, struct ArrowSchema *schema, struct ArrowArray *rows);
char *sluice_refine_read(struct refine_native *n, struct ArrowSchema *schema, struct ArrowArray *rows);
/* {"rows","stats","windows"} as in the result's `files`; the next file begins. */
char *sluice_refine_file(struct refine_native *n, const char *path);
/* What all files of this handle break: check_part_json. */
char *sluice_refine_part(const struct refine_native *n);
/* The parts of a table (a JSON array, in the order of its files): a result with `failed_rules`, or the error CONTRACT of a rule that fails. */
char *sluice_refine_finish(const char *contract, const char *model, const char *parts);

#endif
