/* What the versions of a table named, one after the other: for whoever has to know which files old versions need. The log
 * must have been checked before (table_load). */
#ifndef SLUICE_FORMAT_DELTA_HISTORY_H
#define SLUICE_FORMAT_DELTA_HISTORY_H

#include "format/delta.h"

struct table_name_tag { /* of an add: a window in the file */
	struct str window;
	unsigned generation;
	struct sha256 content;
};
struct table_name { /* an add or a remove */
	struct str path;
	bool is_add;
	struct table_name_tag *tags;
	size_t n_tags;
};
struct table_version {
	int64_t time_us; /* as its commit says */
	struct table_name *v;
	size_t n, cap;
};
struct table_history {
	struct table_version *v; /* by version */
	size_t n, cap;
};
/* Versions 0 to `newest`. */
bool table_history_load(struct store *s, struct str table_key, int64_t newest, struct arena *a, struct table_history *out,
			struct err *e);
/* Is there a version behind this one? */
bool table_has_version(struct store *s, struct str table_key, int64_t version, bool *there, struct err *e);

#endif
