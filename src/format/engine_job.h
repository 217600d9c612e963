/* The engine job: what a run asks of an engine child, and what it gets back. Two JSON files, the whole interface
 * (spec/engine-job.md); `sluice engine duckdb JOB` and `spark-submit ... JOB` are the same conversation.
 *
 * kind "prepare": windows of one resource → files of the table and of its quarantine
 * kind "refine":  one model → files of its table
 * kind "graph":   SELECT texts → the tables that each reads, and what the lint says of each
 * kind "count":   SELECT texts over tables → one number each
 * kind "compact": files of a table of Prepare → fewer files with the same rows
 * kind "checkpoint": the log of a table up to a version → Delta's classic checkpoint */
#ifndef SLUICE_FORMAT_ENGINE_JOB_H
#define SLUICE_FORMAT_ENGINE_JOB_H

#include "driver/store_open.h"
#include "format/delta.h"
#include "format/ledger.h"

enum engine_job_kind { ENGINE_PREPARE, ENGINE_REFINE, ENGINE_GRAPH, ENGINE_COUNT, ENGINE_CHECKPOINT, ENGINE_COMPACT };

struct job_window { /* prepare: in */
	struct str name;
	unsigned generation;
	struct sha256 content, seal, key;
	uint64_t records; /* as sealed: decides how windows share files */
	/* The fetch that is read, and that `_window` and `_gen` name: the earliest promoted one with this content (rule 31).
	 * No window: the one above. */
	struct str row_window;
	unsigned row_generation;
	struct sha256 row_seal;
};
struct job_window job_window_rows(const struct job_window *w); /* with the last three filled in */

struct job_input { /* refine: in; a table pinned to a version */
	struct str schema, table; /* "prepare", "flights" */
	struct table_schema columns;
	struct str *files;        /* paths, absolute or s3:// */
	size_t n_files;
	struct str *key;          /* graph: columns of its primary key, for the lint; often none */
	size_t n_key;
};

struct job_merge { /* compact: in; becomes one file */
	struct str *files;        /* absolute, each holds some of the windows, and perhaps others */
	size_t n_files;
	struct table_window *windows; /* in time order, as their tags say; each stands in one of the files */
	size_t n_windows;
};

struct job_object { /* a file of `inputs` or `merges`, where the lake is no folder */
	struct str file;          /* as it is named there */
	uint64_t size_bytes;
	bool has_hash;
	struct sha256 hash;       /* as the table's log says */
};

struct job_table { /* prepare: in; the resource's own table, or that of an array in its records */
	struct str name;              /* orders, orders__lines */
	struct str output, quarantine_output; /* folders, absolute; exist */
	double budget_percent;        /* as in the contract's file: it is no part of the canonical JSON */
	uint64_t budget_rows;
};

struct engine_job {
	enum engine_job_kind kind;
	struct str run_id, pipeline, table; /* table: resource or model name */
	struct str lake;          /* as given to store_open; files and outputs in it begin with it */
	struct str raw;           /* prepare: the lake that Raw is read from, where it is another one */
	struct store_settings store; /* of both */
	/* Where the lake is no folder of this machine: the child brings `objects` into files, writes files, and sends them. */
	bool by_store;
	struct job_object *objects;
	size_t n_objects, cap_objects;
	struct str cache;         /* folder for what is brought: that of a run, so that its next job finds it there */
	uint64_t scratch_bytes;   /* of all that is brought, in the cache too */
	struct job_files *files;  /* job_files.h; in the child */
	struct str result_path;
	struct str scratch;       /* folder for spilling; the parent removes it */
	unsigned threads;
	uint64_t memory_bytes, file_rows;
	struct str output;        /* folder for the table's files, absolute; exists: <lake>/<table>/data/<job key>-<nonce> */
	struct str quarantine_output; /* prepare only */
	struct str contract;      /* canonical JSON; empty: none */
	/* prepare */
	struct str records;       /* JSON path of the records in a page */
	struct job_window *windows;
	size_t n_windows;
	uint64_t max_body_bytes;  /* decoded; limits of the source */
	uint32_t max_ratio, json_depth;
	double budget_percent;    /* as in job_table */
	uint64_t budget_rows;
	struct job_table *children; /* as many as the contract has, in its order */
	size_t n_children;
	/* refine, graph */
	struct str *sql;          /* one text for refine; several for graph */
	struct str *sql_names;    /* models' names, for messages */
	size_t n_sql;
	struct job_input *inputs;
	size_t n_inputs;
	/* refine on Spark: what is run in place of `sql`, tables by their views' names (model_spark.h) */
	struct str spark_text, spark_file; /* file: for messages; empty: the job is not for Spark */
	bool spark_python;
	bool any_order;           /* refine: `sql` gives the same rows in whatever order it meets its input, so threads may share it */
	/* checkpoint */
	struct str table_key;     /* prepare/<p>/<table> */
	uint64_t version;
	/* compact */
	bool quarantine;          /* which columns the row hash covers */
	struct table_schema columns;
	struct job_merge *merges;
	size_t n_merges;
};

struct rule_count {
	struct str rule;          /* "dep_delay.minimum" */
	enum rule_action action;
	uint64_t rows;
};

/* The books of one table, rule by rule: read = published + quarantined + duplicates + with_parent (promise 3). A child has
 * no duplicates; with_parent are the elements of records that were set aside or lost as duplicates. */
struct loss_report {
	uint64_t read, published, quarantined, duplicates, with_parent;
	struct rule_count *rules;
	size_t n_rules;
	struct str *extra_fields; /* unknown fields seen, at most 100 */
	uint64_t *extra_counts;
	size_t n_extra;
	uint64_t inexact;         /* values rounded as the contract allows, and wall times that were two instants */
};

struct lint_finding {
	struct str rule;          /* "N6", of src/refine/lint.def */
	uint64_t at;              /* byte of the SQL text; UINT64_MAX: not known */
	struct str what;          /* "DECIMAL(4,1) becomes BIGINT" */
};

struct graph_reads {
	struct str name;          /* model */
	struct str *tables;       /* "prepare.flights", sorted, no doubles */
	size_t n_tables;
	struct lint_finding *findings; /* where the two engines would differ, in the order of the text */
	size_t n_findings;
	bool any_order;           /* nothing was found, nor left out at the model's wish: no row depends on an order */
};

struct engine_output { /* prepare: what came of one table */
	struct str table;
	struct table_file *files;
	size_t n_files;
	struct table_file *quarantine_files;
	size_t n_quarantine_files;
	struct loss_report loss;
};

struct engine_result {
	struct str engine;        /* "DuckDB v1.5.5" */
	struct str settings;      /* of Spark, as it was read back: a JSON object; else empty */
	/* Path is relative to the table folder; windows filled in with rows and hashes; with the file's own hash where the
	 * child sent it to the lake. */
	struct table_file *files;
	size_t n_files;
	struct table_file *quarantine_files;
	size_t n_quarantine_files;
	struct loss_report loss;
	struct engine_output *children; /* prepare: in the job's order */
	size_t n_children;
	struct rule_count *failed_rules; /* refine: output contract, rows per rule */
	size_t n_failed_rules;
	struct graph_reads *graph;
	size_t n_graph;
	uint64_t *counts;         /* count: in the order of the texts */
	size_t n_counts;
	uint64_t rows;
	int64_t parse_us, write_us, read_back_us; /* summed over threads */
};

/* The tables of a prepare in one row: 0 is the resource's own, then come its children. */
struct job_table engine_job_table(const struct engine_job *j, size_t i);
struct engine_output engine_result_table(const struct engine_result *r, size_t i);
/* The inverse, of all of them; they become the result's. */
void engine_result_take(struct engine_result *r, struct engine_output *tables, size_t n);

struct str engine_job_encode(const struct engine_job *j, struct arena *a);
bool engine_job_decode(struct str text, struct arena *a, struct engine_job *out, struct err *e);
struct str engine_result_encode(const struct engine_result *r, struct arena *a);
bool engine_result_decode(struct str text, struct arena *a, struct engine_result *out, struct err *e);
struct json_out;
void loss_report_put(struct json_out *o, const char *key, const struct loss_report *l);
/* {"error":{...}}: what a child writes instead of a result. */
struct str engine_error_encode(const struct err *why, struct arena *a);

#endif
