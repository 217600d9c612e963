/* Publishing: from sealed windows to a committed table, from a model to a committed table. Private to run/.
 *
 *   windows to do ─▶ with those that share their files ─▶ engine job ─▶ sizes checked, files made durable
 *        ─▶ commits of child tables and quarantines ─▶ commit of the main table ─▶ the others' tags read once more
 */
#ifndef SLUICE_RUN_PUBLISH_H
#define SLUICE_RUN_PUBLISH_H

#include "run/engine_call.h"
#include "run/input_check.h"
#include "run/runner.h"

struct publish {
	struct project *project;
	const struct run_options *options;
	struct str run_id;
	unsigned threads;
	struct spark_session *spark; /* for jobs that Spark is to do */
	struct input_checks *checks; /* of files that models and relationships read; may be NULL */
	uint64_t peak_rss_bytes;   /* out: of the largest child */
	void (*progress)(void *user, uint64_t rows);
	void *user;
};

/* Windows of the plan that are known and not prepared. `out` has an entry for each of p->tables. ERR_CONTRACT, ERR_ENGINE, ERR_FENCED, ERR_DAMAGE ... */
bool publish_resource(struct publish *u, struct plan_resource *p, struct run_table *out, struct arena *a, struct err *e);
/* Runs it if its key changed. ERR_MISSING: something that it reads was never prepared. */
bool publish_model(struct publish *u, const struct model *m, struct run_table *out, struct arena *a, struct err *e);
/* Begins project_ahead and reads the tables that these models are, or read. True: project_ahead_end is the caller's. */
bool publish_models_ahead(struct project *j, const struct model *const *models, size_t n_models, struct arena *a);

/* p->engine: which engine prepares what the plan wants of it, as far as that is fetched. The run decides again when it is. */
bool publish_choose(struct project *j, struct plan_resource *p, enum engine_use asked, struct arena *a, struct err *e);

/* The job that it would run, over the newest tables, without an output: for `parity`. */
bool publish_model_job(struct project *j, const struct model *m, struct str run_id, unsigned threads, struct engine_job *job,
		       struct arena *a, struct err *e);

/* Totals of the table as it stands. */
void publish_totals(const struct table_snapshot *t, struct run_table *out);

/* publish_origin.c: which fetch the rows of each window are read from, and name. */
bool publish_origins(struct publish *u, const struct resource *r, struct job_window *v, size_t n, struct arena *a,
		     struct err *e);

/* publish_commit.c */
struct table_schema publish_schema(const struct contract *c, bool prepare, struct arena *a);
struct table_schema publish_quarantine_schema(struct arena *a);
struct commit_ask {
	enum lake_zone zone;
	struct str table, operation, description, contract_meaning;
	const struct table_schema *schema;
	struct sha256 job_key;
	struct table_file *add;
	size_t n_add;
	struct table_file *remove;
	size_t n_remove;
	bool moves; /* compaction: rows go into other files, and nothing else changes */
	bool whole; /* it replaces all of the table: whatever another run commits moves the ground */
};
/* Rule 32. On success *t is the table as committed. *again: the ground has moved, build on the newest version anew. */
bool publish_commit(struct publish *u, const struct commit_ask *ask, struct table_snapshot *t, bool *again,
		    struct arena *a, struct err *e);
/* `repair`: is a file of this snapshot to be replaced whatever its tags say, or must the table get another id? */
bool publish_is_damaged(const struct publish *u, struct str table_key, const struct table_file *f);
bool publish_renews(const struct publish *u, struct str table_key);
/* `repair`: the resource or model is made again, so the mark that it is not goes. */
bool publish_repaired(struct publish *u, struct str table_key, struct err *e);
/* A commit of another id alone, where the table needs one and nothing else was to be committed. */
bool publish_renew(struct publish *u, enum lake_zone zone, struct str table, const struct table_schema *schema,
		   struct table_snapshot *t, struct arena *a, struct err *e);
/* Sizes as the engine said, durable, and their hashes filled in. */
bool publish_settle(struct publish *u, struct str table_key, struct table_file *files, size_t n, struct arena *a,
		    struct err *e);
/* data/<16 hex of the job key>-<nonce>, made durably; its absolute path for the engine. */
bool publish_folder(struct publish *u, struct str table_key, struct sha256 job_key, struct arena *a, struct str *absolute,
		    struct err *e);

#endif
