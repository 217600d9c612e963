/* A window of a table, as the tags of its files tell of it (rule 28): spec/table.md, "Tag sluice.windows". */
#ifndef SLUICE_FORMAT_TABLE_WINDOW_H
#define SLUICE_FORMAT_TABLE_WINDOW_H

#include "base/hash.h"
#include "base/json.h"
#include "format/row_hash.h"

struct table_window { /* tags "sluice.windows" of an add: rule 28 */
	struct str name;          /* window name; "full" for a model of kind full */
	unsigned generation;
	struct sha256 content;    /* content digest; for models the digest of the inputs' keys */
	struct sha256 seal;       /* SHA-256 of the seal entry; zero for models */
	struct sha256 key;        /* window key, rule 26 */
	uint64_t read;            /* records read from Raw for this window, in this table's books */
	uint64_t rows;
	struct row_hash hash;     /* sum; .rows == rows */
	/* What `_window` and `_gen` of its rows say: the earliest promoted fetch with this content (rule 31). Empty and 0 in a
	 * commit to be written: the same as `name` and `generation`. */
	struct str row_window;
	unsigned row_generation;
};

/* A list of objects. Reading: ERR_DAMAGE with the window's place. */
void json_put_windows(struct json_out *o, const char *key, const struct table_window *v, size_t n);
bool json_get_windows(const struct json_node *list, struct arena *a, struct table_window **out, size_t *n, struct err *e);

#endif
