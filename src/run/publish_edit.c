#include "run/publish_parts.h"

#include "run/plan_window.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* ── which windows a job holds ── */

bool todo_has(const struct todo *t, struct str name)
{
	return str_map_get(&t->names, name) != SIZE_MAX;
}

void todo_add(struct todo *t, struct job_window w, struct arena *a)
{
	CHECK(str_map_add(&t->names, w.name, 0, a));
	*arena_push(a, *t) = w;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct job_window *)a)->name, ((const struct job_window *)b)->name);
}

void todo_sort(struct todo *t)
{
	CHECK(t->n > 0);
	qsort(t->v, t->n, sizeof *t->v, by_name);
}

static bool file_holds(const struct table_file *f, const struct todo *t, bool only_with_rows)
{
	for (size_t k = 0; k < f->n_windows; k++)
		if ((!only_with_rows || f->windows[k].rows > 0) && todo_has(t, f->windows[k].name))
			return true;
	return false;
}

size_t target_count(const struct plan_resource *p)
{
	return 2 * p->n_tables;
}

struct target target_at(struct plan_resource *p, size_t i)
{
	struct plan_table *of = &p->tables[p->n_tables - 1 - i / 2];
	bool aside = i % 2 == 0;
	return (struct target){ of, aside, aside ? ZONE_QUARANTINE : ZONE_PREPARE, aside ? &of->quarantine : &of->table };
}

bool todo_add_kept(struct plan_resource *p, const struct table_window *w, struct todo *t, struct arena *a)
{
	if (todo_has(t, w->name))
		return false;
	/* The books of the main table and its quarantine count what was read. Where only a child has the window, a run did
	 * not come to its end; what it left goes, and the window is prepared when it is wanted. */
	const struct table_window *main = table_find_window(&p->tables[0].table, w->name);
	w = main ? main : table_find_window(&p->tables[0].quarantine, w->name);
	if (w == NULL)
		return false;
	struct job_window kept = {
		.name = w->name,
		.generation = w->generation,
		.content = w->content,
		.seal = w->seal,
		.key = window_key(p->resource, w->name, w->content, p->contract),
		.records = w->read,
	};
	todo_add(t, kept, a);
	return true;
}

/* Windows that share a file with one that is replaced are written again with it. A window without rows in a file of
 * another table than the main one is only a tag there and stays where it is. */
void todo_close(struct plan_resource *p, struct todo *t, struct arena *a)
{
	bool grew = true;
	while (grew) {
		grew = false;
		for (size_t m = 0; m < target_count(p); m++) {
			struct target x = target_at(p, m);
			bool only_rows = x.t != &p->tables[0].table;
			for (size_t i = 0; i < x.t->n_files; i++) {
				const struct table_file *f = &x.t->files[i];
				if (!file_holds(f, t, only_rows))
					continue;
				for (size_t k = 0; k < f->n_windows; k++)
					if (!only_rows || f->windows[k].rows > 0)
						grew = todo_add_kept(p, &f->windows[k], t, a) || grew;
			}
		}
	}
}

/* ── what leaves a table, and what only changes its tags ── */

static struct table_file without_windows(const struct table_file *f, const struct todo *t, struct arena *a)
{
	struct table_file kept = *f;
	kept.windows = arena_array(a, struct table_window, f->n_windows + 1);
	kept.n_windows = 0;
	kept.same_data = true;
	for (size_t k = 0; k < f->n_windows; k++)
		if (!todo_has(t, f->windows[k].name))
			kept.windows[kept.n_windows++] = f->windows[k];
	return kept;
}

void edit_table(const struct table_snapshot *table, const struct todo *t, bool replace_all, struct edit *out,
		       struct arena *a)
{
	for (size_t i = 0; i < table->n_files; i++) {
		const struct table_file *f = &table->files[i];
		if (replace_all || file_holds(f, t, true) || (f->rows == 0 && file_holds(f, t, false) &&
							      without_windows(f, t, a).n_windows == 0)) {
			*arena_push(a, out->remove) = *f;
			for (size_t k = 0; !replace_all && k < f->n_windows; k++)
				if (!todo_has(t, f->windows[k].name) && f->windows[k].rows == 0)
					*arena_push(a, out->carried) = f->windows[k];
		} else if (file_holds(f, t, false)) {
			*arena_push(a, out->retag) = without_windows(f, t, a);
		}
	}
}

static int tag_by_name(const void *a, const void *b)
{
	return str_cmp(((const struct table_window *)a)->name, ((const struct table_window *)b)->name);
}

struct table_file *edit_adds(struct table_file *made, size_t n_made, const struct edit *x, size_t *n, struct arena *a)
{
	struct table_file *adds = arena_array(a, struct table_file, n_made + x->retag.n + 1);
	*n = 0;
	for (size_t i = 0; i < x->retag.n; i++)
		adds[(*n)++] = x->retag.v[i];
	for (size_t i = 0; i < n_made; i++)
		adds[(*n)++] = made[i];
	if (x->carried.n > 0) {
		CHECK(n_made > 0);
		struct table_file *last = &adds[*n - 1];
		struct table_window *all = arena_array(a, struct table_window, last->n_windows + x->carried.n);
		memcpy(all, last->windows, last->n_windows * sizeof *all);
		memcpy(all + last->n_windows, x->carried.v, x->carried.n * sizeof *all);
		last->windows = all;
		last->n_windows += x->carried.n;
		qsort(all, last->n_windows, sizeof *all, tag_by_name); /* names sort in time */
	}
	return adds;
}
