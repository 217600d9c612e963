/* Verify: everything that was stored, read again. Changes nothing.
 *
 * Raw:    the chain of every ledger, its running totals and content digest; size and SHA-256 of every segment; every page
 *         readable, its body as the ledger says; failed attempts that were kept likewise
 * tables: every log replays; every data file is there, with its size and Parquet's marks at both ends; rows of windows and
 *         of files agree; what a table says it was made of is what Raw has; and, unless `fast`, every row, read back through
 *         the engine: rows and row hash of each window as the log says
 *
 * Damage is a finding and not an error: all of it is looked for. */
#ifndef SLUICE_RUN_VERIFY_H
#define SLUICE_RUN_VERIFY_H

#include "run/project.h"

struct verify_counts {
	uint64_t windows, generations, entries, segments, pages, attempts, raw_bytes, tables, files, table_bytes, findings;
	struct str not_read;      /* why the rows of tables were not read; "": they were. In the project's arena */
};
struct verify_options {
	struct str only;          /* resources and models, with commas between; "" all */
	bool fast;                /* do not read the rows of tables */
	const volatile int *stop;
	void (*finding)(void *user, struct str where, struct str what);
	void *user;
};
/* False: it could not go on (ERR_STORAGE), or was stopped (ERR_SIGINT, ERR_SIGTERM). */
bool verify_lake(struct project *j, const struct verify_options *o, struct verify_counts *out, struct err *e);
/* Is the name in a list with commas, or the list empty? */
bool only_has(struct str only, struct str name);

#endif
