/* A run: a plan, carried out, recorded and reported. Only this folder commits tables. */
#ifndef SLUICE_RUN_RUNNER_H
#define SLUICE_RUN_RUNNER_H

#include "ingest/ingest.h"
#include "run/engine_exchange.h"
#include "run/plan.h"

enum run_stage { STAGE_PLAN, STAGE_INGEST, STAGE_PREPARE, STAGE_REFINE, STAGE_DONE };

struct resource_progress {
	struct str name;
	uint64_t windows_done, windows_total, pages, records, bytes, requests, retries, busy;
};

struct run_progress {
	enum run_stage stage;
	struct str table;          /* prepare, refine: at work on this one */
	uint64_t rows_done, rows_total;
	const struct resource_progress *resources;
	size_t n_resources;
	double rate_used;          /* requests per second so far */
	double rate_allowed;       /* 0: no limit declared */
	int64_t elapsed_us;
};

struct run_repair {           /* what is made again although its keys say that it is done */
	struct str_map damaged;   /* keys of data files that must go */
	struct str_map renew;     /* keys of tables whose log was cut: from the next version on they have another id... */
	bool *renewed;            /* ...and that happened; by the value in the map */
	int64_t *seen;            /* the highest version number that they ever had: what is made again comes behind it */
	struct str *id;           /* the one that they get: the mark of the repair says it (struct table_cut) */
};

struct run_options {
	struct plan_request request;
	struct str command;       /* for the record: "run", "ingest", ...; empty: run or repair */
	unsigned threads;         /* 0: as many as there are cores */
	bool keep_going;
	const volatile int *stop; /* signal number */
	int64_t deadline_us;      /* monotonic; 0 none: from then on nothing is begun; what is committed stays (ERR_BUDGET) */
	bool in_parts;            /* the run id may be that of a run that came to a deadline: this goes on with it, under its lease, and
	                           * is recorded as <run id>.2, .3 ... */
	/* Progress of whatever stage is at work; called about ten times a second; may be NULL. */
	void (*progress)(void *user, const struct run_progress *p);
	void *user;
	struct http *http;        /* NULL: curl. A fake in tests */
	struct run_repair *repair; /* or NULL */
	struct engine_exchange *exchange; /* engine jobs are written, or their results taken, in place of an engine; NULL: it is called */
};

struct run_resource {
	struct str name;
	uint64_t windows, windows_fetched, windows_resumed, pages, records, body_bytes, wire_bytes, requests, retries, busy,
		failed_attempts, resumed_pages;
	size_t failed, candidates, fenced, stopped;
	size_t early; /* sealed, but asked for before the window was over by the server's clock: rule 4 */
	size_t stale_elsewhere, unprepared_elsewhere; /* plan_resource */
	struct str note, elsewhere; /* elsewhere: plan_elsewhere, of what was asked for */
};

struct run_table {
	enum lake_zone zone;
	struct str name, parent;   /* parent: of a child table, the resource whose records it is cut from; else empty */
	bool changed;
	int64_t version;           /* after the run */
	uint64_t rows, files, size_bytes; /* of the whole table */
	uint64_t rows_written;
	struct str engine, settings; /* that made it, "Spark 3.5.7", with the settings that it read back (JSON); "": not made */
	const char *spark_file;    /* the model's own text for Spark, if that was run; else NULL */
	struct loss_report loss;   /* of this run's job; prepare only */
	struct rule_count *relationships; /* rule 24: rows without a partner */
	size_t n_relationships;
	struct row_hash row_hash;  /* of the whole table */
	struct table_left {        /* what the run left, so that `verify` knows its newest commit */
		int64_t version;
		struct str id;     /* of the table; "": there is none */
		struct sha256 commit; /* of the bytes of `version` */
	} left, quarantine;        /* quarantine: prepare only */
	int64_t took_us;           /* with its child tables, which have 0 */
	struct str note;           /* why it ran or did not */
	uint64_t shared;           /* windows that were written again because they share files with those that changed */
	struct err err;            /* ERR_NONE if fine */
};

struct run_failure { /* the exchange behind exit status 3 */
	struct str resource, window, request, body, raw_key;
	unsigned status;
	uint64_t raw_offset;
	struct err err;
};

struct run_result {
	struct str run_id, command;
	struct err err;            /* the one that decides the exit status; ERR_NONE: done */
	struct plan plan;
	struct run_resource *resources;
	size_t n_resources;
	struct run_table *tables;
	size_t n_tables;
	struct run_failure *failures;
	size_t n_failures;
	int64_t started_us, took_us, ingest_us, prepare_us, refine_us;
	uint64_t peak_rss_engine_bytes;
	bool lake_gone;           /* err says so; what windows and tables met in it is beside the point */
	bool nothing_to_do;       /* nothing was wanted, nothing failed, waits or changed */
};

/* True: the run came to its end; out->err says how. False: it could not even begin (no lake, no plan). */
bool run_pipeline(struct project *j, const struct run_options *o, struct arena *a, struct run_result *out,
		  struct err *e);
struct str run_id_new(struct clock *c, struct arena *a); /* 20130102T050000Z-1f2e3d4c: sorts in time */
enum { RUN_ID_MAX = 80 };
bool run_id_ok(struct str id);           /* one that was given: 1..RUN_ID_MAX of [A-Za-z0-9_-] */
struct str run_id_whole(struct str id);  /* <run id>.2 is a part of <run id> */

/* record.json (spec/run-record.md) and the same for people. */
struct str run_record_json(const struct run_result *r, struct arena *a);
void run_report_print(const struct run_result *r, struct buf *out);

#endif
