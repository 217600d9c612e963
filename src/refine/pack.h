/* Functions of Spark that DuckDB lacks, as macros, so that a model may be written with them (pack.def). */
#ifndef SLUICE_REFINE_PACK_H
#define SLUICE_REFINE_PACK_H

#include "driver/engine.h"
#include "refine/model.h"

/* A macro's text keeps its positions where it is put in. For the lint these lie behind those of any model, and a call's
 * arguments stand as they are in a row() that is found there: (PACK_FLOOR, LINT_NOWHERE) are no places in a model. */
enum { PACK_FLOOR = MODEL_MAX_BYTES };

enum pack_use {
	PACK_RUN,  /* what the functions do */
	PACK_LINT, /* their types and arguments */
};
/* Once in an engine. ERR_ENGINE. */
bool pack_load(struct engine_connection *c, enum pack_use use, struct err *e);
bool pack_has(struct str name);
void pack_page(struct buf *out); /* a table of docs/sql.md */
void pack_sql(struct buf *out);  /* as DuckDB takes it */

#endif
