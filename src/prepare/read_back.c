#include "prepare/read_back.h"

#include "base/check.h"

#include <inttypes.h>

struct back {
	const char *path;
	const struct contract *contract;
	struct row_hasher *hasher;
	const struct window_sum *expected;
	struct row_hash *found;
	size_t n, at;
};

/* Rows come in runs of windows, in the order of `expected` or another. */
static bool find(struct back *k, struct str window)
{
	for (size_t i = 0; i < k->n; i++) {
		size_t at = (k->at + i) % k->n;
		if (str_eq(k->expected[at].name, window)) {
			k->at = at;
			return true;
		}
	}
	return false;
}

static bool back_take(void *user, const struct batch *b, struct err *e)
{
	struct back *k = user;
	const struct batch_column *window = &b->columns[k->contract->n_columns];

	CHECK(b->n_columns == k->contract->n_columns + 1);
	for (size_t row = 0, end; row < b->n_rows; row = end) {
		if (!batch_is_valid(window, row) || !find(k, window->s[row]))
			return err_set(e, ERR_ENGINE, "%s: read back: a row of a window that was not written", k->path);
		for (end = row + 1; end < b->n_rows; end++)
			if (!batch_is_valid(window, end) || !str_eq(window->s[end], k->expected[k->at].name))
				break;
		row_hash_add(&k->found[k->at], k->hasher, b, row, end);
	}
	return true;
}

static bool compare(const struct back *k, struct err *e)
{
	for (size_t i = 0; i < k->n; i++)
		if (!row_hash_eq(&k->found[i], &k->expected[i].hash))
			return err_set(e, ERR_ENGINE, "%s: window %.*s: %" PRIu64 " rows were written, and %" PRIu64
				       " read back %s", k->path, STR_ARG(k->expected[i].name), k->expected[i].hash.rows,
				       k->found[i].rows,
				       k->found[i].rows == k->expected[i].hash.rows ? "with other values" : "in their place");
	return true;
}

bool read_back(struct engine_connection *connection, const char *path, const struct contract *c,
	       const struct window_sum *expected, size_t n, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct back k = { .path = path, .contract = c, .expected = expected, .n = n };
	struct buf sql = BUF_INIT(1 << 20);
	size_t *columns = arena_array(&a, size_t, c->n_columns + 1);
	struct batch_shape *shape;
	size_t n_columns;
	bool ok;

	k.found = arena_array(&a, struct row_hash, n + 1);
	buf_add(&sql, STR("SELECT "));
	for (size_t i = 0; i < c->n_columns; i++) {
		columns[i] = i;
		sql_identifier(&sql, c->columns[i].name);
		buf_add(&sql, STR(", "));
	}
	k.hasher = row_hasher_new(c, columns, &a);
	buf_add(&sql, STR("\"_window\" AS \"_in_window\" FROM read_parquet("));
	ok = sql_literal(&sql, str_from(path)) && buf_add_char(&sql, ')');
	if (!ok)
		err_set(e, ERR_ENGINE, "%s: its path or columns do not fit into SQL", path);
	ok = ok && engine_query(connection, buf_str(&sql), &a, &shape, &n_columns, back_take, &k, e) && compare(&k, e);
	buf_free(&sql);
	arena_free(&a);
	return ok;
}
