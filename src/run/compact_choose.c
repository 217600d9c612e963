#include "run/compact.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct group { /* windows that are to be one file */
	const struct table_window **windows;
	const struct table_file **files; /* [window]: where it is now */
	size_t n, cap;
};

static struct str first_window(const struct table_file *f)
{
	return f->n_windows > 0 ? f->windows[0].name : STR_NONE;
}

static int by_first_window(const void *a, const void *b)
{
	const struct table_file *x = *(const struct table_file *const *)a, *y = *(const struct table_file *const *)b;
	int c = str_cmp(first_window(x), first_window(y));
	return c != 0 ? c : str_cmp(x->path, y->path);
}

static const struct table_file **sorted_files(const struct table_snapshot *t, struct arena *a)
{
	const struct table_file **v = arena_array(a, const struct table_file *, t->n_files + 1);
	for (size_t i = 0; i < t->n_files; i++)
		v[i] = &t->files[i];
	qsort(v, t->n_files, sizeof *v, by_first_window);
	return v;
}

/* Windows that stand in several files: these stay as they are. */
static struct str_map split_windows(const struct table_snapshot *t, struct arena *a)
{
	struct str_map seen = { 0 }, split = { 0 };
	for (size_t i = 0; i < t->n_files; i++)
		for (size_t k = 0; k < t->files[i].n_windows; k++)
			if (!str_map_add(&seen, t->files[i].windows[k].name, i, a))
				str_map_add(&split, t->files[i].windows[k].name, i, a);
	return split;
}

static bool may_move(const struct table_file *f, const struct str_map *split, compact_closed *closed, void *user)
{
	bool ok = f->n_windows > 0;
	for (size_t i = 0; ok && i < f->n_windows; i++)
		ok = str_map_get(split, f->windows[i].name) == SIZE_MAX && closed(user, f->windows[i].name);
	return ok;
}

static uint64_t records_of(const struct table_file *f)
{
	uint64_t n = 0;
	for (size_t i = 0; i < f->n_windows; i++)
		n += f->windows[i].read;
	return n;
}

/* ── targets ── */

static void group_add(struct group *g, const struct table_window *w, const struct table_file *f, struct arena *a)
{
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 16;
		const struct table_window **windows = arena_array(a, const struct table_window *, cap);
		const struct table_file **files = arena_array(a, const struct table_file *, cap);
		for (size_t i = 0; i < g->n; i++) {
			windows[i] = g->windows[i];
			files[i] = g->files[i];
		}
		g->windows = windows;
		g->files = files;
		g->cap = cap;
	}
	g->windows[g->n] = w;
	g->files[g->n++] = f;
}

static bool has_file(const struct table_file *const *v, size_t n, const struct table_file *f)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == f)
			return true;
	return false;
}

/* The windows of a group as a file to make, unless they are one already. */
static void target_add(struct compact_choice *c, const struct group *g, struct arena *a)
{
	if (g->n == 0)
		return;
	struct compact_target t = { .windows = arena_array(a, struct table_window, g->n),
				    .from = arena_array(a, const struct table_file *, g->n) };
	for (size_t i = 0; i < g->n; i++) {
		t.windows[t.n_windows++] = *g->windows[i];
		if (t.n_from == 0 || (t.from[t.n_from - 1] != g->files[i] && !has_file(t.from, t.n_from, g->files[i])))
			t.from[t.n_from++] = g->files[i];
	}
	if (t.n_from == 1 && t.from[0]->n_windows == t.n_windows)
		return;
	if (c->n_targets == c->cap) {
		struct compact_target *more = arena_array(a, struct compact_target, c->cap ? 2 * c->cap : 8);
		for (size_t i = 0; i < c->n_targets; i++)
			more[i] = c->targets[i];
		c->targets = more;
		c->cap = c->cap ? 2 * c->cap : 8;
	}
	c->targets[c->n_targets++] = t;
}

/* All that the targets take their windows from: of such a file no window stays behind. */
static void choose_removes(struct compact_choice *c, struct arena *a)
{
	size_t n = 0;
	struct str_map seen = { 0 };
	for (size_t i = 0; i < c->n_targets; i++)
		n += c->targets[i].n_from;
	c->remove = arena_array(a, const struct table_file *, n + 1);
	for (size_t i = 0; i < c->n_targets; i++)
		for (size_t k = 0; k < c->targets[i].n_from; k++)
			if (str_map_add(&seen, c->targets[i].from[k]->path, 0, a))
				c->remove[c->n_remove++] = c->targets[i].from[k];
}

/* ── the table itself ── */

struct place {
	const struct table_window *window;
	const struct table_file *file;
};

static int by_window(const void *a, const void *b)
{
	return str_cmp(((const struct place *)a)->window->name, ((const struct place *)b)->window->name);
}

/* Rule 29, as Prepare cuts: a file ends when the next window would pass file_rows records. */
static void cut_run(const struct table_file *const *files, size_t n_files, uint64_t file_rows, struct arena *a,
		    struct compact_choice *out)
{
	size_t n = 0, max = 0;
	for (size_t i = 0; i < n_files; i++)
		max += files[i]->n_windows;
	struct place *v = arena_array(a, struct place, max + 1);
	for (size_t i = 0; i < n_files; i++)
		for (size_t k = 0; k < files[i]->n_windows; k++)
			v[n++] = (struct place){ &files[i]->windows[k], files[i] };
	if (n > 0)
		qsort(v, n, sizeof *v, by_window);
	struct group g = { 0 };
	uint64_t rows = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t more = v[i].window->read;
		if (g.n > 0 && (more > file_rows || rows > file_rows - more)) {
			target_add(out, &g, a);
			g = (struct group){ 0 };
			rows = 0;
		}
		group_add(&g, v[i].window, v[i].file, a);
		rows += more;
	}
	target_add(out, &g, a);
}

void compact_choose(const struct table_snapshot *t, uint64_t file_rows, compact_closed *closed, void *user, struct arena *a,
		    struct compact_choice *out)
{
	const struct table_file **files = sorted_files(t, a);
	struct str_map split = split_windows(t, a);
	size_t from = 0;
	CHECK(file_rows > 0);
	*out = (struct compact_choice){ 0 };
	for (size_t i = 0; i <= t->n_files; i++) {
		if (i < t->n_files && may_move(files[i], &split, closed, user) && records_of(files[i]) < (file_rows + 1) / 2)
			continue;
		cut_run(files + from, i - from, file_rows, a, out);
		from = i + 1;
	}
	choose_removes(out, a);
}

/* ── its quarantine, and child tables ── */

struct aside {
	const struct table_snapshot *table, *main;
	struct str_map main_split; /* windows that are cut in the table: in several of its files */
	struct place *v;           /* windows that may move */
	size_t n;
	struct str_map places;     /* name → v, of those that stand in one file of the table */
	struct place *idle;        /* they share the file without rows */
	size_t n_idle;
};

static bool aside_may_move(const struct aside *x, const struct table_file *f)
{
	for (size_t k = 0; k < f->n_windows; k++) {
		const struct table_window *w = &f->windows[k];
		if (table_find_window(x->main, w->name) == NULL ||
		    (w->rows > 0 && str_map_get(&x->main_split, w->name) != SIZE_MAX))
			return false;
	}
	return true;
}

static void aside_collect(struct aside *x, compact_closed *closed, void *user, struct arena *a)
{
	struct str_map split = split_windows(x->table, a);
	for (size_t i = 0; i < x->table->n_files; i++) {
		const struct table_file *f = &x->table->files[i];
		if (!may_move(f, &split, closed, user) || !aside_may_move(x, f))
			continue;
		for (size_t k = 0; k < f->n_windows; k++) {
			struct place p = { &f->windows[k], f };
			if (str_map_get(&x->main_split, p.window->name) != SIZE_MAX) {
				x->idle[x->n_idle++] = p;
				continue;
			}
			str_map_add(&x->places, p.window->name, x->n, a);
			x->v[x->n++] = p;
		}
	}
}

static void aside_group(struct aside *x, const struct table_file *main, struct compact_choice *out, struct arena *a)
{
	struct group g = { 0 };
	uint64_t bad = 0;
	for (size_t k = 0; k < main->n_windows; k++) {
		size_t at = str_map_get(&x->places, main->windows[k].name);
		if (at == SIZE_MAX)
			continue;
		group_add(&g, x->v[at].window, x->v[at].file, a);
		bad += x->v[at].window->rows;
	}
	if (bad > 0)
		target_add(out, &g, a);
	for (size_t k = 0; bad == 0 && k < g.n; k++)
		x->idle[x->n_idle++] = (struct place){ g.windows[k], g.files[k] };
}

void compact_choose_child(const struct table_snapshot *t, const struct table_snapshot *main, compact_closed *closed, void *user,
			  struct arena *a, struct compact_choice *out)
{
	struct aside x = { .table = t, .main = main, .main_split = split_windows(main, a),
			   .v = arena_array(a, struct place, t->by_name.n + 1),
			   .idle = arena_array(a, struct place, t->by_name.n + 1) };
	const struct table_file **files = sorted_files(main, a);
	*out = (struct compact_choice){ 0 };
	aside_collect(&x, closed, user, a);
	if (x.n_idle > 0) /* a window that is cut in the main table and not here: another program made one of the two */
		return;
	for (size_t i = 0; i < main->n_files; i++) {
		struct group g = { 0 };
		for (size_t k = 0; k < files[i]->n_windows; k++) {
			size_t at = str_map_get(&x.places, files[i]->windows[k].name);
			if (at != SIZE_MAX)
				group_add(&g, x.v[at].window, x.v[at].file, a);
		}
		target_add(out, &g, a);
	}
	choose_removes(out, a);
}

void compact_choose_quarantine(const struct table_snapshot *t, const struct table_snapshot *main, compact_closed *closed,
			       void *user, struct arena *a, struct compact_choice *out)
{
	struct aside x = { .table = t, .main = main, .main_split = split_windows(main, a),
			   .v = arena_array(a, struct place, t->by_name.n + 1),
			   .idle = arena_array(a, struct place, t->by_name.n + 1) };
	const struct table_file **files = sorted_files(main, a);
	struct group rest = { 0 };
	*out = (struct compact_choice){ 0 };
	aside_collect(&x, closed, user, a);
	for (size_t i = 0; i < main->n_files; i++)
		aside_group(&x, files[i], out, a);
	if (x.n_idle > 0)
		qsort(x.idle, x.n_idle, sizeof *x.idle, by_window);
	for (size_t i = 0; i < x.n_idle; i++)
		group_add(&rest, x.idle[i].window, x.idle[i].file, a);
	target_add(out, &rest, a);
	choose_removes(out, a);
}
