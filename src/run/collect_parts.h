/* Inside of the collection: what its files share. Private to run/collect*.c. */
#ifndef SLUICE_RUN_COLLECT_PARTS_H
#define SLUICE_RUN_COLLECT_PARTS_H

#include "format/delta.h"
#include "run/collect.h"

enum { COLLECT_WEEK_S = 7 * 24 * 3600 };

struct collect {
	struct project *project;
	struct store *raw;          /* where Raw is looked at; what is removed is removed from the project's store */
	const struct collect_options *o;
	struct collect_counts *n;
	int64_t now_us;
	struct arena arena;
	struct kept_tag { /* windows of kept versions: what may still lead to Raw */
		struct str table, window; /* no window: a table whose log is damaged */
		unsigned generation;
		struct sha256 content;
		bool now; /* the newest version has it */
	} *kept;
	size_t n_kept, cap_kept;
	struct left_by_run { /* the newest version of each table that a run says it left */
		enum lake_zone zone;
		struct str table, id, run;
		int64_t version;
	} *left;
	size_t n_left, cap_left;
};

/* "flights" and its child tables, "flights__legs". */
bool collect_is_of(struct str table, struct str resource);
void collect_found(struct collect *c, enum garbage_class class, struct str key, uint64_t objects, uint64_t bytes,
		   const char *reason);
void collect_left(struct collect *c, struct str key, const char *why, bool damaged);
bool collect_stopped(const struct collect *c, struct err *e);
/* What goes away together. */
struct collect_batch {
	struct collect_item {
		struct str key;
		uint64_t size_bytes;
		enum garbage_class class;
		const char *reason;
	} *v;
	size_t n, cap;
};
/* Removes them, if that was asked for, and tells of each. */
bool collect_batch(struct collect *c, const struct collect_batch *b, struct err *e);

/* collect_record.c. Records are read before the tables: a run may commit meanwhile. */
bool collect_records(struct collect *c, struct err *e);
/* Why the log of this table cannot be all of it; NULL: nothing is known against it. */
const char *collect_is_cut(const struct collect *c, enum lake_zone zone, struct str table, const struct table_snapshot *t,
			   struct arena *a);
/* collect_table.c: and fills in c->kept. */
bool collect_table(struct collect *c, enum lake_zone zone, struct str table, struct err *e);
/* collect_raw.c */
bool collect_window(struct collect *c, struct str resource, struct str window, struct err *e);

#endif
