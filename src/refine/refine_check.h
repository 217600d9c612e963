/* What a model's files really hold, read back from them: rows, row hash, statistics, the contract's rules, the key. */
#ifndef SLUICE_REFINE_REFINE_CHECK_H
#define SLUICE_REFINE_REFINE_CHECK_H

#include "driver/engine.h"
#include "format/engine_job.h"
#include "format/row_sum.h"

struct check;
struct check *check_new(const struct contract *c, struct arena *a);
void check_free(struct check *k);
/* Files in their order: equal keys must be neighbours. Fills stats and the one window's rows and hash. ERR_ENGINE if the
 * file has other columns or other rows than `written`, which check_written() has summed up. */
bool check_file(struct check *k, struct engine_connection *c, const char *path, const struct row_sum *written,
		struct table_file *file, struct err *e);
/* The rows that `select` gives, columns in the contract's order. */
bool check_written(struct check *k, struct engine_connection *c, struct str select, struct row_sum *written, struct err *e);
/* The same for rows that somebody else's engine writes and reads: batches with the contract's columns. */
void check_written_begin(struct check *k);
bool check_written_batch(struct check *k, const struct batch *b, struct err *e);
struct row_sum check_written_end(const struct check *k);
void check_file_begin(struct check *k);
bool check_file_batch(struct check *k, const struct batch *b, struct err *e);
bool check_file_end(struct check *k, const char *path, const struct row_sum *written, struct table_file *file,
		    struct err *e);
/* Where they are checked by several threads: takes what another check found in the next rows, which may begin with the key that
 * the last ones ended with. Nothing of `part` is kept. A check that others are joined to reads no file. */
void check_join(struct check *k, const struct check *part);
/* Where a table's files are checked in several processes: what one found, {"rows","broken":[{"rule","rows","examples"}]}, and
 * taking it into a check that read no file, in the order of the files. Equal keys must be in one part. */
struct json_node;
struct str check_part_json(const struct check *k, struct arena *a);
bool check_part_add(struct check *k, const struct json_node *part, struct err *e);
/* ERR_CONTRACT with the first rule that fails, its count and up to three rows; else counts of what only warns. */
bool check_finish(const struct check *k, struct str model, struct arena *a, struct engine_result *out, struct err *e);

#endif
