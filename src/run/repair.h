/* Repair: derived things that are damaged, made again from Raw. Never touches Raw.
 *
 * Everything is verified first. Then, as one run (with plan and record):
 *   a data file is damaged, or gone         its windows are prepared again (a model: made again) and the commit that adds the
 *                                           new files removes the old ones
 *   a version of a log is damaged, or gone  it and all behind it go to <table>/damaged/<run>/; what they held is made again on
 *                                           top of the versions that are left. Each number that readers have seen gets a
 *                                           version without actions first, and the table another id behind them, since
 *                                           from there on it is another history. Folded states and checkpoints of the
 *                                           versions that went are removed
 *   a folded state disagrees with the log   it is removed: the log says all that it said
 *   the newest version is not the one that its run left   the same, for this version alone: the chain vouches for the others
 * Before the first version goes, a mark in the log says that it is cut, and it stays until the table is made again: no run builds
 * on what is left, none reads it, and the next repair goes on, under the same number and id, wherever this one was killed.
 * What stands in Raw and is damaged is told: what is lost, who still has its rows, how to ask for it again. Tables whose rows
 * would have to come from there stay as they are, as do models that read them. What another fetch of the same content still
 * has is not lost, and where a later fetch of the window is its truth, what is made again is made of that one.
 *
 * Nothing else may run on these tables meanwhile: a log that is cut fences nobody. */
#ifndef SLUICE_RUN_REPAIR_H
#define SLUICE_RUN_REPAIR_H

#include "format/delta.h"
#include "run/runner.h"
#include "run/verify.h"

struct repair_table { /* to be made again */
	enum lake_zone zone;
	struct str name;
	struct str first;        /* what is wrong, of the first finding, and where */
	uint64_t files;          /* damaged data files */
	bool log;
	int64_t versions_left;   /* log: good ones */
	int64_t seen;            /* log: the highest version number that there ever was */
	bool resumed;            /* log: an earlier repair of it was cut off */
	struct table_cut mark;   /* log: that stands in it until it is made again */
	struct str by;           /* the resource or model that makes it; "": none of the pipeline file does */
	struct str blocked;      /* why it cannot be made again; "": it can */
};
struct repair_loss {  /* a fetch with damage in Raw */
	struct str resource, window;
	unsigned generation;
	struct str first;        /* what is wrong, of the first finding, and where */
	uint64_t objects, pages, records; /* pages and records: 0 where the ledger itself is damaged */
	struct str same_window;  /* another fetch that is whole and has the same content; "": none, so it is lost */
	unsigned same_generation;
	bool in_table;           /* prepare.<resource> was made of it, */
	uint64_t rows;           /* has so many rows of it in files that are good */
	uint64_t bad_rows;       /* and so many in others */
	unsigned made_of;        /* not in_table: the generation of the window that the table was made of; 0: none */
	bool table_unknown;      /* its log is damaged: nobody can say what it has */
	unsigned later;          /* a later fetch of the window is whole and its truth: nothing needs this one; 0: none */
	struct str refetch;      /* "run --only flights --from ... --to ... --refetch"; "ingest ...", where then_repair */
	bool then_repair;        /* a log of its tables is damaged: no run builds on them, so repair does, once it is fetched */
};
struct repair {
	struct repair_table *tables;
	size_t n_tables, cap_tables;
	struct repair_loss *losses;
	size_t n_losses, cap_losses;
	struct str *states;      /* keys of folded states that are wrong */
	size_t n_states, cap_states;
	struct finding *others;  /* what repair cannot decide: grids, tables at odds with Raw, records */
	size_t n_others, cap_others;
	struct run_repair run;
	struct str only;         /* the tables, with commas */
};
/* Verifies, changes nothing. `o`: only, stop and progress are used. */
bool repair_plan(struct project *j, const struct verify_options *o, struct arena *a, struct repair *out, struct err *e);
/* Makes again what repair_plan found. */
bool repair_run(struct project *j, struct repair *r, const struct run_options *o, struct arena *a, struct run_result *out,
		struct err *e);

#endif
