/* Fetches with the same content: what one of them has lost, another still has. Equal content digests mean the same pages in
 * the same order (requests and bodies), so the address of a row in one leads to the same bytes in the other.
 *
 * Whole: its ledger can be read and ends in a promoted seal, and every segment that it names is there with its SHA-256. */
#ifndef SLUICE_RUN_TWIN_H
#define SLUICE_RUN_TWIN_H

#include "format/ledger.h"
#include "run/project.h"

struct twin {
	struct str window;
	unsigned generation;
	struct sha256 seal; /* hash of the entry that holds it */
};
/* Reads every segment that the ledger names. *whole false: one is gone, or has other bytes. */
bool ledger_is_whole(struct ledger *l, bool *whole, struct err *e);
/* The first promoted generation from `from` to `to` (both included) of the window with this content that is whole. *found
 * stays false where there is none. */
bool twin_in_window(struct project *j, struct str resource, struct str window, unsigned from, unsigned to,
		    struct sha256 content, struct arena *a, struct twin *out, bool *found, struct err *e);
/* Of snapshots, whose content may have come in any window: the first in a window before `end` (empty: in any). */
bool twin_in_snapshots(struct project *j, struct str resource, struct str end, struct sha256 content, struct arena *a,
		       struct twin *out, bool *found, struct err *e);
/* Any but this one, which cannot be read: in its window, of a snapshot in all. */
bool twin_of(struct project *j, struct str resource, struct str window, unsigned generation, struct sha256 content,
	     struct arena *a, struct twin *out, bool *found, struct err *e);
/* The highest number of a generation that the window has; 0: none. */
bool twin_newest(struct project *j, struct str resource, struct str window, struct arena *a, unsigned *out, struct err *e);

#endif
