/* Garbage collection: what nothing names, and what nobody keeps any more. Safe beside live runs, and at any point of an
 * interruption; a second one finds nothing.
 *
 * Raw:    segments that no entry names. In an open generation: claim, then list, then remove, and only what was written under a
 *         lower epoch than the claim (spec/ledger.md, "Collection"); never where a lease is live. In a closed one no entry
 *         can follow.
 *         Asked for by `generations`: closed generations older than the promoted one, superseded for keep_us, that no kept
 *         version of a table names, by number or by content: their segments, behind an `expire` in the ledger.
 * tables: data files that no kept version names: kept is what was the newest version at some time in keep_us, and the
 *         newest keep_versions in any case; staged files that no commit ever named, a week after the last of their folder
 *         was written. Before each removal (of a file; of 32 at a time on S3): is there a version that was not looked at? Then the
 *         table is looked at anew.
 *         Folded states but for those that kept versions are read from, and the newest few: the log says the same.
 * lake:   temporary files a week old.
 *
 * Where something is damaged nothing is removed: that window or table is left alone and told. Damage is also what only the
 * whole lake shows: a table whose log ends before the version that a run left, a fetch without a seal that a table was made of. */
#ifndef SLUICE_RUN_COLLECT_H
#define SLUICE_RUN_COLLECT_H

#include "run/project.h"

enum garbage_class { GARBAGE_SEGMENT, GARBAGE_GENERATION, GARBAGE_FILE, GARBAGE_STAGED, GARBAGE_STATE, GARBAGE_TEMPORARY, GARBAGE_CLASSES };
const char *garbage_class_name(enum garbage_class c); /* "segment", "generation", "file", "staged", "state", "temporary" */

struct garbage {
	enum garbage_class class;
	struct str key;           /* "" of temporary files */
	struct str reason;        /* one line */
	uint64_t objects, bytes;
};
struct collect_options {
	bool remove;              /* false: only say what would be */
	bool generations;
	int64_t keep_us;
	uint64_t keep_versions;   /* at least 1 */
	struct str only;
	struct str run_id;        /* stands in claims */
	const volatile int *stop;
	void (*item)(void *user, const struct garbage *g);   /* about to be removed, or would be */
	void (*left)(void *user, struct str key, struct str why, bool damaged); /* and this was left alone */
	void *user;
};
struct collect_counts {
	struct {
		uint64_t objects, bytes;
	} of[GARBAGE_CLASSES];
	uint64_t left, damaged;
	uint64_t given_up; /* damaged generations, each with a later one of the same content */
};
/* False: it could not go on (ERR_STORAGE), or was stopped; what was removed until then was garbage. */
bool collect_lake(struct project *j, const struct collect_options *o, struct collect_counts *out, struct err *e);

#endif
