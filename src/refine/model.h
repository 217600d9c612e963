/* Models: one SELECT a file, models/<table>.sql, and the contract of what it gives. */
#ifndef SLUICE_REFINE_MODEL_H
#define SLUICE_REFINE_MODEL_H

#include "contract/contract.h"
#include "format/engine_job.h"

enum { MODELS_MAX = 512, MODEL_MAX_BYTES = 1 << 20 };

struct model {
	struct str name;          /* of the file, without .sql; name_ok */
	const char *file;
	struct str sql;           /* as written */
	struct contract *contract; /* with a primary key: the compulsory total order */
	struct str *reads;        /* "prepare.flights", "refine.delays": filled in by models_link, sorted */
	size_t n_reads;
	bool any_order;           /* as graph_reads has it: filled in by models_link */
	/* Its own text for Spark, beside the SELECT, which still says what it reads: models/<name>.spark.sql or models/<name>.py
	 * (`def model(spark, inputs)`). NULL: none. */
	const char *spark_file;
	struct str spark_text;
	bool spark_python;
	struct sha256 spark_meaning; /* where there is one: as `meaning`, of that text */
	struct sha256 meaning;    /* of the SQL's tokens (comments and white space do not count) and the contract's meaning */
};
struct models {
	struct model *v; /* after models_link: every model behind the models it reads; else by name */
	size_t n;
};

/* folder/models/[*].sql with folder/contracts/<model>.yaml. Problems: no contract, no primary key in it, a name that
 * a resource has, a name that is none, a model larger than MODEL_MAX_BYTES. No folder: no models. */
bool models_load(struct str folder, const struct str *resources, size_t n_resources, struct arena *a, struct models *out,
		 struct problems *p);
/* The digest under which a graph is kept: names and texts of all models. */
struct sha256 models_digest(const struct models *m, struct arena *a);
/* Takes what the engine found in the texts; sorts the models. Problems: a table that no resource or model gives (with the
 * nearest name), a table without prepare. or refine., a circle (named in full). */
bool models_link(struct models *m, const struct graph_reads *graph, size_t n_graph, const struct str *resources,
		 size_t n_resources, struct arena *a, struct problems *p);

/* ── inside the engine child ── */

/* ENGINE_GRAPH: tables that each SELECT reads, from the engine's own syntax tree; common table expressions are not
 * tables. Something else than one SELECT: ERR_CONFIG with the model's name and the engine's message. */
bool graph_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e);
/* ENGINE_REFINE: views over the inputs, the model, the final projection (the contract's columns, casts, ORDER BY the sort
 * order and the primary key), files of file_rows rows, read back: row hash, rules, uniqueness of the key. Rules with
 * action fail, and a key that is not unique: ERR_CONTRACT with the rule and up to three example rows; warn: counted;
 * quarantine is refused in model contracts when they are loaded. */
bool refine_run(const struct engine_job *job, struct arena *a, struct engine_result *out, struct err *e);

#endif
