#include "prepare/read_back.h"

#include "base/check.h"

#include <inttypes.h>

struct back {
	const char *path;
	struct row_hasher *hasher;
	size_t n_columns, window; /* the latter is the column `_window` */
	struct window_sum *windows;
	struct row_sum *found;
	size_t n, at;
	struct row_marks marks;
};

/* Rows come in runs of windows, in the order of `windows` or another. */
static bool find(struct back *k, struct str window)
{
	for (size_t i = 0; i < k->n; i++) {
		size_t at = (k->at + i) % k->n;
		if (str_eq(k->windows[at].name, window)) {
			k->at = at;
			return true;
		}
	}
	return false;
}

/* Mostly it is the same entry of a dictionary as the row's before. */
static bool same_text(struct str a, struct str b)
{
	return (a.p == b.p && a.n == b.n) || str_eq(a, b);
}

static bool back_take(void *user, const struct batch *b, struct err *e)
{
	struct back *k = user;
	const struct batch_column *window = &b->columns[k->window];

	CHECK(b->n_columns == k->n_columns);
	row_marks_make(&k->marks, b, k->n_columns, k->window);
	for (size_t row = 0, end; row < b->n_rows; row = end) {
		if (!batch_is_valid(window, row) || !find(k, window->s[row]))
			return err_set(e, ERR_ENGINE, "%s: read back: a row of a window that was not written", k->path);
		for (end = row + 1; end < b->n_rows; end++)
			if (!batch_is_valid(window, end) || !same_text(window->s[end], window->s[end - 1]))
				break;
		row_sum_add(&k->found[k->at], &k->marks, row, end);
		row_hash_add(&k->windows[k->at].hash, k->hasher, b, row, end);
	}
	return true;
}

static bool compare(const struct back *k, struct err *e)
{
	for (size_t i = 0; i < k->n; i++)
		if (!row_sum_eq(&k->found[i], &k->windows[i].sum))
			return err_set(e, ERR_ENGINE, "%s: window %.*s: %" PRIu64 " rows were written, and %" PRIu64
				       " read back %s", k->path, STR_ARG(k->windows[i].name), k->windows[i].sum.rows,
				       k->found[i].rows,
				       k->found[i].rows == k->windows[i].sum.rows ? "with other values" : "in their place");
	return true;
}

static size_t column_of(const struct batch_shape *shape, size_t n_columns, struct str name)
{
	size_t i = 0;

	while (i < n_columns && !str_eq(shape[i].name, name))
		i++;
	CHECK(i < n_columns);
	return i;
}

bool read_back(struct parquet *q, const char *path, const struct contract *c,
	       const struct batch_shape *shape, size_t n_columns, struct window_sum *windows, size_t n, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct back *k = arena_new(&a, struct back);
	size_t *columns = arena_array(&a, size_t, c->n_columns + 1);
	bool ok;

	*k = (struct back){ .path = path, .windows = windows, .n = n, .n_columns = n_columns };
	k->found = arena_array(&a, struct row_sum, n + 1);
	k->window = column_of(shape, n_columns, STR("_window"));
	for (size_t i = 0; i < n; i++)
		windows[i].hash = ROW_HASH_INIT;
	for (size_t i = 0; i < c->n_columns; i++)
		columns[i] = column_of(shape, n_columns, c->columns[i].name);
	k->hasher = row_hasher_new(c, columns, &a);
	ok = q->ops->read(q, path, shape, n_columns, back_take, k, e) && compare(k, e);
	arena_free(&a);
	return ok;
}
