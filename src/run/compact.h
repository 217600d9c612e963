/* Compaction: small files of closed windows become files as rule 29 would cut them, in one commit per table that changes no
 * data. A window is closed when no look-back asks for it any more. Tables of windows only: others are made as a whole. */
#ifndef SLUICE_RUN_COMPACT_H
#define SLUICE_RUN_COMPACT_H

#include "format/delta.h"
#include "run/project.h"

struct compact_report { /* of one table */
	enum lake_zone zone;
	struct str name;     /* of a resource or a child table */
	int64_t version;     /* after it; before it in a dry run */
	size_t files_before, files_after;
	size_t merged, made; /* so many files become so many */
	uint64_t rows;       /* in them */
};
struct compact_options {
	const struct str *only; /* resources; none: all */
	size_t n_only;
	bool dry_run;
	const volatile int *stop;
	void (*tell)(void *user, const struct compact_report *r);
	void *user;
};
/* ERR_FENCED: other runs kept changing the same files. ERR_DAMAGE, ERR_ENGINE, ERR_STORAGE, ERR_SIGINT, ERR_SIGTERM. */
bool compact_lake(struct project *j, const struct compact_options *o, struct arena *a, struct err *e);

/* ── which files (compact_choose.c) ── */

struct compact_choice {
	struct compact_target {
		struct table_window *windows; /* in time order */
		size_t n_windows;
		const struct table_file **from; /* that hold them */
		size_t n_from;
	} *targets; /* each becomes a file */
	size_t n_targets, cap;
	const struct table_file **remove;
	size_t n_remove;
};
typedef bool compact_closed(void *user, struct str window);
/* Of the table itself: neighbours that are less than half full. */
void compact_choose(const struct table_snapshot *t, uint64_t file_rows, compact_closed *closed, void *user, struct arena *a,
		    struct compact_choice *out);
/* Of a child table of `main`, which is compacted already: a file for each file of it, with the same windows. */
void compact_choose_child(const struct table_snapshot *t, const struct table_snapshot *main, compact_closed *closed, void *user,
			  struct arena *a, struct compact_choice *out);
/* Of its quarantine, as Prepare lays it out beside the files of `main`, which is compacted already: a file for each file of
 * the table that has bad rows; the windows that stand in none of them share one without rows. */
void compact_choose_quarantine(const struct table_snapshot *t, const struct table_snapshot *main, compact_closed *closed,
			       void *user, struct arena *a, struct compact_choice *out);

#endif
