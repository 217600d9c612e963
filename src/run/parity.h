/* The same model over the same inputs by both engines: do they give the same rows? Into a scratch folder; nothing is
 * committed, and the lake is only read. */
#ifndef SLUICE_RUN_PARITY_H
#define SLUICE_RUN_PARITY_H

#include "format/engine_job.h"
#include "run/project.h"
#include "run/spark_session.h"

struct parity_side {
	struct str engine;         /* "Spark 3.5.7" */
	uint64_t rows;
	struct row_hash hash;
	struct err err;            /* it failed */
};
struct parity_column {
	struct str name;
	struct str nulls[2], least[2], most[2]; /* DuckDB's, Spark's, as text */
	uint64_t differ;           /* rows of the same key with another value */
};
struct parity_report {
	struct str model;
	bool compared;             /* false: an engine gave no rows, `duckdb.err` or `spark.err` says why */
	bool equal;
	struct parity_side duckdb, spark;
	/* Only where rows differ: */
	uint64_t only_duckdb, only_spark; /* keys */
	struct parity_column *columns;
	size_t n_columns;
	struct str *examples;      /* "carrier='9E': delay DuckDB 1.25, Spark 1.2", "carrier='UA': only Spark", at most three of each */
	size_t n_examples;
	const struct graph_reads *lint; /* what `check` says of the model: the suspects; NULL: nothing */
};
/* False: neither engine could be asked. What an engine gave no rows for is no difference: it is in the report, not compared. ERR_MISSING: something that the
 * model reads was never made. */
bool parity_model(struct project *j, const struct model *m, struct spark_session *spark, unsigned threads,
		  const volatile int *stop, struct arena *a, struct parity_report *out, struct err *e);

#endif
