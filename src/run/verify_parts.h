/* Inside of verify: what its files share. Private to run/verify*.c. */
#ifndef SLUICE_RUN_VERIFY_PARTS_H
#define SLUICE_RUN_VERIFY_PARTS_H

#include "run/lake_query.h"
#include "run/raw.h"
#include "run/verify.h"

struct verify_table { /* a table whose log replays */
	enum lake_zone zone;
	struct str name, key;
	struct table_snapshot t;
};

struct verify {
	struct project *project;
	const struct verify_options *o;
	struct verify_counts *n;
	struct arena arena;          /* as long as the verification */
	struct finding about;        /* what is being looked at: all of a finding but its words */
	bool has_content, same_known; /* of the generation that is being looked at */
	struct sha256 content;
	int64_t deadline_us;         /* monotonic; 0 none */
	struct store *logs;          /* where logs of tables are read: read ahead where each piece is a request */
	struct store *records;       /* where records of runs are */
	struct store *sizes[ZONE_REFINE + 1]; /* of files, by zone; NULL: the project's store is asked */
	struct err trouble;          /* the first */
	struct raw_record record;
	struct buf segment;
	struct http_limits limits;
	struct {
		struct verify_table *v;
		size_t n, cap;
	} tables;
	const struct verify_table *open; /* the engine is open for this one */
	struct lake_query engine;
	struct arena engine_arena;
};

void verify_found(struct verify *v, struct str where, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What could not be looked at: a finding, unless it is trouble of this machine (descriptors, memory, rights) or of a service that
 * is asked for objects, which is told at the end (exit status 7) and proves nothing about what is stored. */
void verify_unread(struct verify *v, struct str where, const struct err *why);
/* The same, in these words where it is not there at all. */
void verify_missing(struct verify *v, struct str where, const char *missing, const struct err *why);
/* It is no object's fault: not all could be looked at, and verify_lake fails with the first of these. */
void verify_trouble(struct verify *v, struct str where, const struct err *why);
/* Rows are not read from here on. Where there is no engine, that is only said; where it is there and fails, it is trouble. */
void verify_engine_failed(struct verify *v, struct str where, const struct err *why);
bool verify_late(const struct verify *v);
bool verify_stopped(const struct verify *v, struct err *e);

/* verify_raw.c. `done`: false where the budget ended in the middle of it. */
void verify_grid(struct verify *v, struct str resource, const struct raw_windows *windows);
bool verify_window(struct verify *v, struct str resource, struct str window, bool *done, struct err *e);

/* verify_log.c */
void verify_ask_log(struct store *s, struct str table_key, struct err *e); /* what verify_log will ask */
bool verify_log(struct verify *v, enum lake_zone zone, struct str table); /* adds it to v->tables; false: a finding, or none */
void verify_file(struct verify *v, const struct verify_table *t, const struct table_file *f);
/* verify_checkpoint.c: the findings are of kind FINDING_STATE, to be removed in the order that they are told. */
void verify_checkpoints(struct verify *v, struct str table_key);
void verify_engine_close(struct verify *v);

/* verify_record.c */
bool verify_records(struct verify *v, struct err *e);

#endif
