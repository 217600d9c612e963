/* Inside of publishing: which windows a job holds, which tables it commits, what leaves them. Not for others. */
#ifndef SLUICE_RUN_PUBLISH_PARTS_H
#define SLUICE_RUN_PUBLISH_PARTS_H

#include "run/publish.h"

struct todo {
	struct job_window *v; /* in time order once sorted */
	size_t n, cap;
	struct str_map names; /* which windows are in it */
};
bool todo_has(const struct todo *t, struct str name);
void todo_add(struct todo *t, struct job_window w, struct arena *a);
void todo_sort(struct todo *t);
/* A window that has to be written again because its file is. False: it is there already, or no books hold it. */
bool todo_add_kept(struct plan_resource *p, const struct table_window *w, struct todo *t, struct arena *a);
/* Windows that share a file with one that is replaced are written again with it. */
void todo_close(struct plan_resource *p, struct todo *t, struct arena *a);

/* publish_bytes.c: bytes of the pages that a job over these windows reads, as their seals say. What cannot be read counts as nothing
 * here: the job will say why. */
bool publish_bytes(struct project *j, const struct plan_resource *p, const struct todo *t, uint64_t *bytes, struct arena *a,
		   struct err *e);

/* The tables of a resource in the order of their commits: each behind its quarantine, the main table last. */
struct target {
	struct plan_table *of;
	bool aside;
	enum lake_zone zone;
	struct table_snapshot *t;
};
size_t target_count(const struct plan_resource *p);
struct target target_at(struct plan_resource *p, size_t i);

/* What leaves a table, and what only changes its tags. */
struct edit {
	struct {
		struct table_file *v;
		size_t n, cap;
	} remove, retag;
	struct {
		struct table_window *v;
		size_t n, cap;
	} carried; /* tags without rows of removed files: they move to a new one */
};
void edit_table(const struct table_snapshot *table, const struct todo *t, bool replace_all, struct edit *out, struct arena *a);
/* With the files made, which take what is carried. */
struct table_file *edit_adds(struct table_file *made, size_t n_made, const struct edit *x, size_t *n, struct arena *a);

#endif
