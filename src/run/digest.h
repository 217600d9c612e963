/* Digest: what two lakes have in common if they were made of the same bodies by the same pipeline, line by line
 * (promise 1). Names, times, generations, segments and attempts do not take part. */
#ifndef SLUICE_RUN_DIGEST_H
#define SLUICE_RUN_DIGEST_H

#include "run/project.h"
#include "format/row_hash.h"

enum digest_kind { DIGEST_WINDOW, DIGEST_FILE, DIGEST_ROWS };
struct digest_line {
	enum digest_kind kind;
	struct str table;     /* WINDOW: the resource; else "prepare.flights" */
	struct str window;    /* WINDOW, ROWS */
	uint64_t number;      /* FILE: from 1, by windows and order in the job */
	uint64_t pages, records; /* WINDOW */
	uint64_t size_bytes, rows;
	struct sha256 hash;   /* WINDOW: content digest; FILE: of its bytes */
	struct row_hash row_hash; /* ROWS */
};
/* In a fixed order: resources by name, windows by time; then tables prepare, quarantine, refine by name. ERR_DAMAGE,
 * ERR_STORAGE; `take` false ends it with its own err. */
bool digest_lake(struct project *j, struct str only, bool (*take)(void *user, const struct digest_line *l, struct err *e),
		 void *user, struct err *e);
/* "file prepare.flights 1 size=.. sha256=..", stable for scripts; without the newline. */
struct str digest_line_text(const struct digest_line *l, struct arena *a);
struct str digest_line_json(const struct digest_line *l, struct arena *a);

#endif
