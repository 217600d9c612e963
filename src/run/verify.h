/* Verify: everything that was stored, read again. Changes nothing.
 *
 * Raw:    the grid of every resource, and that the windows lie on it; the chain of every ledger, what may follow what in
 *         it, its running totals and content digest; size and SHA-256 of every segment; every page readable, its body as the
 *         ledger says; failed attempts that were kept likewise
 * tables: every log replays; every data file is there, with its size and SHA-256; rows of windows and of files agree; what a
 *         table says it was made of is what Raw has, promoted, with the same seal; every row, read back through the engine:
 *         rows and row hash of each window as the log says
 * runs:   every record can be read, and the tables are those that the runs left: what no commit vouches for, since it is
 *         the newest, the record of its run does
 *
 * `fast` reads no byte of segments and of Parquet: listings, ledgers, logs, records, sizes. With a budget it begins at a place
 * that the seed draws, goes round, and stops in time: what was not looked at is counted.
 *
 * Damage is a finding and not an error: all of it is looked for. */
#ifndef SLUICE_RUN_VERIFY_H
#define SLUICE_RUN_VERIFY_H

#include "run/project.h"

enum finding_kind {
	FINDING_GRID,   /* `name`: the resource */
	FINDING_RAW,    /* `name`, `window`, `generation`: its ledger or one of its segments */
	FINDING_LOG,    /* `zone`, `name`, `version`: the first version that is not right; -1: the first that does not replay */
	FINDING_STATE,  /* `zone`, `name`: a folded state of the table, a checkpoint, or the hint that leads to it */
	FINDING_FILE,   /* `zone`, `name`, `path` in the table */
	FINDING_ORIGIN, /* `zone`, `name`, `window`, `generation`: a table and Raw are at odds */
	FINDING_RECORD, /* `name`: the run */
};
struct finding {
	enum finding_kind kind;
	struct str where;     /* a key in the lake */
	struct str what;      /* one line */
	struct str todo;      /* one line, with commands in backquotes */
	enum lake_zone zone;
	struct str name, window, path;
	unsigned generation;
	int64_t version;
	uint64_t pages, records; /* FINDING_RAW: how many can no longer be read; 0: not known */
	unsigned same;           /* FINDING_RAW: a later promoted fetch of the window with the same content, whole; 0: none */
};

struct verify_counts {
	uint64_t windows, generations, entries, segments, pages, attempts, raw_bytes, tables, files, table_bytes, runs, findings;
	uint64_t windows_left, files_left; /* not looked at: the budget was used up */
	struct str began_at;      /* with a budget: the first window or file; "" otherwise. In the project's arena */
	struct str not_read;      /* why the rows of tables were not read; "": they were. In the project's arena */
};
struct verify_options {
	struct str only;          /* resources and models, with commas between; "" all */
	bool fast;
	int64_t budget_us;        /* 0: none */
	uint64_t seed;            /* where a budget begins */
	const volatile int *stop;
	void (*finding)(void *user, const struct finding *f); /* texts live as long as the call */
	void (*progress)(void *user, uint64_t done, uint64_t total, struct str at); /* or NULL: after each window and file */
	void *user;
};
/* False: it could not go on (ERR_STORAGE), or was stopped (ERR_SIGINT, ERR_SIGTERM). */
bool verify_lake(struct project *j, const struct verify_options *o, struct verify_counts *out, struct err *e);
/* Is the name in a list with commas, or the list empty? */
bool only_has(struct str only, struct str name);

#endif
