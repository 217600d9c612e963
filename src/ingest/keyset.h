/* Do the keys of the records rise strictly? A proof that costs a look at each record, made only where the resource names
 * its key. Numbers are compared exactly, whatever their spelling; texts by their bytes; a number and a text not at all. */
#ifndef SLUICE_INGEST_KEYSET_H
#define SLUICE_INGEST_KEYSET_H

#include "format/ledger.h"

enum { KEY_MAX_BYTES = 512 };

struct page_keys {
	struct ledger_key first, last; /* KEY_NONE: no records */
	struct str broken; /* where they do not rise within the page: "12 follows 13 (record 4)"; "" they do */
};

bool key_rises(const struct ledger_key *before, const struct ledger_key *after); /* before < after */

/* `records` is the raw list of a page that was checked already. Texts live in the arena. */
void keyset_read(const struct resource *r, struct str records, struct arena *a, struct page_keys *out);

/* The state after page `page`, whose keys these are. Also where the generation was begun before the key was named. */
void keyset_step(const struct resource *r, const struct page_keys *keys, uint64_t page, struct ledger_keyset *k,
		 struct arena *a);

#endif
