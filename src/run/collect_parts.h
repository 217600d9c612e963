/* Inside of the collection: what its files share. Private to run/collect*.c. */
#ifndef SLUICE_RUN_COLLECT_PARTS_H
#define SLUICE_RUN_COLLECT_PARTS_H

#include "run/collect.h"

enum { COLLECT_WEEK_S = 7 * 24 * 3600 };

struct collect {
	struct project *project;
	const struct collect_options *o;
	struct collect_counts *n;
	int64_t now_us;
	struct arena arena;
	struct kept_tag { /* windows of kept versions: what may still lead to Raw */
		struct str table, window; /* no window: a table whose log is damaged */
		unsigned generation;
		struct sha256 content;
	} *kept;
	size_t n_kept, cap_kept;
};

/* "flights" and its child tables, "flights__legs". */
bool collect_is_of(struct str table, struct str resource);
void collect_found(struct collect *c, enum garbage_class class, struct str key, uint64_t objects, uint64_t bytes,
		   const char *reason);
void collect_left(struct collect *c, struct str key, const char *why, bool damaged);
bool collect_stopped(const struct collect *c, struct err *e);

/* collect_table.c: and fills in c->kept. */
bool collect_table(struct collect *c, enum lake_zone zone, struct str table, struct err *e);
/* collect_raw.c */
bool collect_window(struct collect *c, struct str resource, struct str window, struct err *e);

#endif
