/* A model's text as Spark reads it. */
#ifndef SLUICE_REFINE_MODEL_SPARK_H
#define SLUICE_REFINE_MODEL_SPARK_H

#include "format/engine_job.h"
#include "refine/model.h"

/* Spark's temporary views have no schema: prepare.x becomes sluice_prepare_x, with the alias x where the text gives none, and
 * prepare.x.column becomes x.column. Told by tokens, so texts and comments stay; everything else is byte for byte as it was.
 * Names of other tables stay: Spark does not find them and says so. `own`: the text was written for Spark. */
struct str sql_for_spark(struct str sql, bool own, const struct job_input *inputs, size_t n_inputs, struct arena *a);
/* DuckDB's texts and comments as Spark reads them: 'it''s' becomes 'it\'s', and no comment ends its line with a backslash, which
 * would take the next line into it. */
struct str sql_texts_for_spark(struct str sql, struct arena *a);
/* job->spark: the model's own text for Spark if it has one, else its SQL. After job->inputs. */
void model_for_spark(const struct model *m, struct engine_job *job, struct arena *a);

#endif
