#include "refine/refine_check.h"

#include "base/check.h"
#include "base/json.h"
#include "contract/stats.h"
#include "contract/verdict.h"
#include "format/json_parts.h"

#include <inttypes.h>
#include <string.h>

enum { EXAMPLES = 3, EXAMPLE_BYTES = 300, KEY_MAX_BYTES = 64 << 20, READ_SQL_MAX_BYTES = 1 << 20, PART_MAX_BYTES = 16 << 20 };

struct examples {
	struct str row[EXAMPLES];
	size_t n;
};

struct check {
	const struct contract *c;
	struct arena *a;
	struct verdicts *verdicts;
	struct row_hasher *hasher;
	struct file_stats *stats;
	struct batch_column *columns; /* of the batch at hand, with the contract's types */
	struct examples *examples;    /* [rule] */
	size_t unique_rule;
	uint64_t rows, doubles;
	bool same;                    /* this row's key is that of the one before */
	struct buf key[2];            /* of this row and the one before */
	struct buf first_key;         /* of the first row */
	struct str first_row;         /* for people */
	bool first_again;             /* the second row has the first one's key */
	/* of the file at hand */
	struct row_hash hash;
	struct row_sum sum;
	struct row_marks marks;
	bool shape_checked;
};

struct check *check_new(const struct contract *c, struct arena *a)
{
	struct check *k = arena_new(a, struct check);
	struct batch_shape *shape = arena_array(a, struct batch_shape, c->n_columns);
	size_t *same = arena_array(a, size_t, c->n_columns);

	CHECK(c->n_columns > 0 && c->n_key > 0);
	for (size_t i = 0; i < c->n_columns; i++) {
		const struct column *from = &c->columns[i];
		shape[i] = (struct batch_shape){ from->name, from->type, from->precision, from->scale };
		same[i] = i;
	}
	k->c = c;
	k->a = a;
	k->verdicts = verdicts_new(c, a);
	k->hasher = row_hasher_new(c, same, a);
	k->stats = file_stats_new(shape, c->n_columns, a);
	k->columns = arena_array(a, struct batch_column, c->n_columns);
	k->examples = arena_array(a, struct examples, c->n_rules);
	k->unique_rule = contract_rule(c, RULE_UNIQUE, SIZE_MAX);
	for (size_t i = 0; i < 2; i++)
		k->key[i] = BUF_INIT(KEY_MAX_BYTES);
	k->first_key = BUF_INIT(KEY_MAX_BYTES);
	return k;
}

void check_free(struct check *k)
{
	if (!k)
		return;
	verdicts_free(k->verdicts);
	buf_free(&k->key[0]);
	buf_free(&k->key[1]);
	buf_free(&k->first_key);
}

/* ── rows for people ── */

static void value_put(struct buf *b, const struct column *column, const struct batch_column *c, size_t row,
		      struct arena *scratch)
{
	buf_addf(b, "%.*s=", STR_ARG(column->name));
	if (!batch_is_valid(c, row)) {
		buf_add_z(b, "NULL");
		return;
	}
	struct str text = scalar_to_text(column, batch_scalar(c, row), scratch);
	size_t n = text.n < 60 ? text.n : 60;
	while (n > 0 && n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	buf_add(b, str_sub(text, 0, n));
	if (n < text.n)
		buf_add_z(b, "...");
}

/* "origin=EWR, day=2013-01-01: flights=-1"; `column` SIZE_MAX: the key only. */
static struct str row_text(const struct check *k, size_t column, size_t row)
{
	const struct contract *c = k->c;
	struct arena scratch = ARENA_INIT;
	struct buf b = BUF_INIT(EXAMPLE_BYTES);

	for (size_t i = 0; i < c->n_key; i++) {
		buf_add_z(&b, i > 0 ? ", " : "");
		value_put(&b, &c->columns[c->key[i]], &k->columns[c->key[i]], row, &scratch);
	}
	if (column != SIZE_MAX && c->columns[column].key_position == 0) {
		buf_add_z(&b, ": ");
		value_put(&b, &c->columns[column], &k->columns[column], row, &scratch);
	}
	struct str text = arena_copy(k->a, buf_str(&b));
	buf_free(&b);
	arena_free(&scratch);
	return text;
}

static void example_put(struct check *k, size_t rule, struct str text)
{
	struct examples *x = &k->examples[rule];
	if (x->n < EXAMPLES)
		x->row[x->n++] = text;
}

static void example_add(struct check *k, size_t rule, size_t row)
{
	if (k->examples[rule].n < EXAMPLES)
		example_put(k, rule, row_text(k, k->c->rules[rule].column, row));
}

/* ── reading ── */

/* The row's key in bytes: equal for equal keys only. */
static bool key_encode(const struct check *k, size_t row, struct buf *b)
{
	buf_clear(b);
	for (size_t i = 0; i < k->c->n_key; i++) {
		const struct batch_column *c = &k->columns[k->c->key[i]];
		union scalar v;
		if (!buf_add_char(b, batch_is_valid(c, row) ? 1 : 0))
			return false;
		if (!batch_is_valid(c, row))
			continue;
		memset(&v, 0, sizeof v);
		v = batch_scalar(c, row);
		if (c->type == TYPE_STRING || c->type == TYPE_JSON) {
			if (!buf_add_bytes(b, &v.s.n, sizeof v.s.n) || !buf_add(b, v.s))
				return false;
		} else if (c->type == TYPE_DECIMAL) {
			if (!buf_add_bytes(b, &v.i128, sizeof v.i128))
				return false;
		} else if (!buf_add_bytes(b, &v.i64, sizeof v.i64)) {
			return false;
		}
	}
	return true;
}

static bool keys_check(struct check *k, size_t n_rows, struct err *e)
{
	for (size_t row = 0; row < n_rows; row++) {
		struct buf *now = &k->key[k->rows % 2], *before = &k->key[(k->rows + 1) % 2];
		if (!key_encode(k, row, now))
			return err_set(e, ERR_TOO_LARGE, "a key of more than %d bytes", KEY_MAX_BYTES);
		if (k->rows == 0) {
			buf_clear(&k->first_key);
			if (!buf_add(&k->first_key, buf_str(now)))
				return err_set(e, ERR_TOO_LARGE, "a key of more than %d bytes", KEY_MAX_BYTES);
			k->first_row = row_text(k, SIZE_MAX, row);
		}
		if (k->rows > 0 && str_eq(buf_str(now), buf_str(before))) {
			k->first_again = k->first_again || k->rows == 1;
			k->doubles++;
			if (k->unique_rule != SIZE_MAX && !k->same)
				example_add(k, k->unique_rule, row);
			k->same = true; /* a third row of the key is no other example */
		} else {
			k->same = false;
		}
		k->rows++;
	}
	return true;
}

static bool shape_check(struct check *k, const struct batch *b, struct err *e)
{
	if (b->n_columns != k->c->n_columns)
		return err_set(e, ERR_ENGINE, "%zu columns where %zu were written", b->n_columns, k->c->n_columns);
	for (size_t i = 0; i < b->n_columns; i++) {
		const struct column *want = &k->c->columns[i];
		const struct batch_column *got = &b->columns[i];
		enum column_type type = want->type == TYPE_JSON ? TYPE_STRING : want->type;
		bool same = got->type == type || (want->type == TYPE_JSON && got->type == TYPE_JSON);
		if (same && type == TYPE_DECIMAL)
			same = got->precision == want->precision && got->scale == want->scale;
		if (!same || !str_eq(got->name, want->name))
			return err_set(e, ERR_ENGINE, "column %zu is %.*s, a %s, where %.*s, a %s, was written", i + 1,
				       STR_ARG(got->name), column_type_name(got->type), STR_ARG(want->name),
				       column_type_name(want->type));
	}
	k->shape_checked = true;
	return true;
}

static bool check_take(void *user, const struct batch *from, struct err *e)
{
	struct check *k = user;
	struct batch b = *from;

	if (!k->shape_checked && !shape_check(k, from, e))
		return false;
	memcpy(k->columns, from->columns, from->n_columns * sizeof *k->columns);
	for (size_t i = 0; i < b.n_columns; i++)
		k->columns[i].type = k->c->columns[i].type;
	b.columns = k->columns;
	row_marks_make(&k->marks, from, from->n_columns, SIZE_MAX);
	row_sum_add(&k->sum, &k->marks, 0, b.n_rows);
	row_hash_add(&k->hash, k->hasher, &b, 0, b.n_rows);
	file_stats_add(k->stats, &b, 0, b.n_rows);
	verdicts_begin(k->verdicts);
	verdicts_evaluate(k->verdicts, &b, INT64_MIN, INT64_MAX);
	verdicts_count(k->verdicts, &b, NULL);
	for (size_t i = 0; i < k->c->n_rules; i++)
		for (size_t row = 0; k->verdicts->has_failed[i] && k->examples[i].n < EXAMPLES && row < b.n_rows; row++)
			if (rows_has(&k->verdicts->failed[i], row))
				example_add(k, i, row);
	return keys_check(k, b.n_rows, e);
}

static bool read_sql(const struct check *k, const char *path, struct buf *sql)
{
	bool ok = buf_add_z(sql, "SELECT ");
	for (size_t i = 0; ok && i < k->c->n_columns; i++)
		ok = (i == 0 || buf_add_z(sql, ", ")) && sql_identifier(sql, k->c->columns[i].name);
	return ok && buf_add_z(sql, " FROM read_parquet(") && sql_path(sql, str_from(path)) &&
	       buf_add_z(sql, ", hive_partitioning=false)");
}

static bool written_take(void *user, const struct batch *b, struct err *e)
{
	struct check *k = user;

	if (!k->shape_checked && !shape_check(k, b, e))
		return false;
	row_marks_make(&k->marks, b, b->n_columns, SIZE_MAX);
	row_sum_add(&k->sum, &k->marks, 0, b->n_rows);
	return true;
}

void check_written_begin(struct check *k)
{
	k->sum = ROW_SUM_INIT;
	k->shape_checked = false;
}

bool check_written_batch(struct check *k, const struct batch *b, struct err *e)
{
	return written_take(k, b, e);
}

struct row_sum check_written_end(const struct check *k)
{
	return k->sum;
}

bool check_written(struct check *k, struct engine_connection *c, struct str select, struct row_sum *written, struct err *e)
{
	struct batch_shape *shape;
	size_t n_columns;
	bool ok;

	check_written_begin(k);
	ok = engine_query(c, select, k->a, &shape, &n_columns, written_take, k, e);
	*written = k->sum;
	return ok;
}

void check_file_begin(struct check *k)
{
	k->hash = ROW_HASH_INIT;
	k->sum = ROW_SUM_INIT;
	k->shape_checked = false;
	file_stats_clear(k->stats);
}

bool check_file_batch(struct check *k, const struct batch *b, struct err *e)
{
	return check_take(k, b, e);
}

bool check_file_end(struct check *k, const char *path, const struct row_sum *written, struct table_file *file, struct err *e)
{
	bool ok = true;

	if (k->hash.rows != written->rows)
		ok = err_set(e, ERR_ENGINE, "%" PRIu64 " rows where %" PRIu64 " were written", k->hash.rows, written->rows);
	if (ok && !row_sum_eq(&k->sum, written))
		ok = err_set(e, ERR_ENGINE, "%" PRIu64 " rows were written, and come back with other values", k->hash.rows);
	if (!ok)
		return err_wrap(e, "%s, read back", path);
	file->rows = k->hash.rows;
	file->stats = file_stats_json(k->stats, k->a);
	file->n_windows = 1;
	file->windows = arena_new(k->a, struct table_window);
	*file->windows = (struct table_window){ .name = STR("full"), .generation = 1, .rows = file->rows, .hash = k->hash };
	return true;
}

bool check_file(struct check *k, struct engine_connection *c, const char *path, const struct row_sum *written,
		struct table_file *file, struct err *e)
{
	struct buf sql = BUF_INIT(READ_SQL_MAX_BYTES);
	struct batch_shape *shape;
	size_t n_columns;
	bool ok;

	check_file_begin(k);
	ok = read_sql(k, path, &sql) || err_set(e, ERR_ENGINE, "its SQL is too long");
	ok = ok && engine_query(c, buf_str(&sql), k->a, &shape, &n_columns, check_take, k, e);
	buf_free(&sql);
	if (!ok)
		return err_wrap(e, "%s, read back", path);
	return check_file_end(k, path, written, file, e);
}

/* ── parts: rows that follow each other, checked by several threads ── */

static void keys_join(struct check *k, const struct check *part)
{
	struct buf *last = &k->key[(k->rows + 1) % 2], *next = &k->key[(k->rows + part->rows + 1) % 2];
	bool goes_on = k->rows > 0 && str_eq(buf_str(last), buf_str(&part->first_key));
	bool told = goes_on && k->same;
	size_t from = 0;

	if (goes_on) {
		k->doubles++;
		if (!told && k->unique_rule != SIZE_MAX)
			example_put(k, k->unique_rule, arena_copy(k->a, part->first_row));
		from = part->first_again ? 1 : 0; /* no other example of the same key */
	}
	k->doubles += part->doubles;
	for (size_t x = from; k->unique_rule != SIZE_MAX && x < part->examples[k->unique_rule].n; x++)
		example_put(k, k->unique_rule, arena_copy(k->a, part->examples[k->unique_rule].row[x]));
	k->same = part->rows == 1 ? goes_on : part->same;
	k->rows += part->rows;
	buf_clear(next);
	CHECK(buf_add(next, buf_str(&part->key[(part->rows + 1) % 2])));
}

void check_join(struct check *k, const struct check *part)
{
	if (part->rows == 0)
		return;
	for (size_t i = 0; i < k->c->n_rules; i++) {
		if (i == k->unique_rule)
			continue;
		k->verdicts->total[i] += part->verdicts->total[i];
		for (size_t x = 0; x < part->examples[i].n; x++)
			example_put(k, i, arena_copy(k->a, part->examples[i].row[x]));
	}
	keys_join(k, part);
}

static uint64_t broken(const struct check *k, size_t rule)
{
	return rule == k->unique_rule ? k->doubles : k->verdicts->total[rule];
}

/* ── parts: the files of one table, checked in several processes ── */

struct str check_part_json(const struct check *k, struct arena *a)
{
	struct buf b = BUF_INIT(PART_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);

	json_begin_object(&o, NULL);
	json_put_u64(&o, "rows", k->rows);
	json_begin_array(&o, "broken");
	for (size_t i = 0; i < k->c->n_rules; i++) {
		if (broken(k, i) == 0)
			continue;
		json_begin_object(&o, NULL);
		json_put_str(&o, "rule", k->c->rules[i].id);
		json_put_u64(&o, "rows", broken(k, i));
		json_begin_array(&o, "examples");
		for (size_t x = 0; x < k->examples[i].n; x++)
			json_put_str(&o, NULL, k->examples[i].row[x]);
		json_end_array(&o);
		json_end_object(&o);
	}
	json_end_array(&o);
	json_end_object(&o);
	return buf_take(&b, a);
}

static bool part_rule_add(struct check *k, const struct json_node *n, struct err *e)
{
	const struct json_node *examples;
	struct str id;
	uint64_t rows;
	size_t i = 0;

	if (!json_need_str(n, "rule", &id, e) || !json_need_u64(n, "rows", &rows, e) ||
	    !json_need(n, "examples", JSON_ARRAY, &examples, e))
		return false;
	while (i < k->c->n_rules && !str_eq(k->c->rules[i].id, id))
		i++;
	if (i == k->c->n_rules)
		return err_set(e, ERR_DAMAGE, "the contract has no rule %.*s", STR_ARG(id));
	if (i == k->unique_rule)
		k->doubles += rows;
	else
		k->verdicts->total[i] += rows;
	for (const struct json_node *x = examples->child; x && k->examples[i].n < EXAMPLES; x = x->next)
		k->examples[i].row[k->examples[i].n++] = arena_copy(k->a, x->text);
	return true;
}

bool check_part_add(struct check *k, const struct json_node *part, struct err *e)
{
	const struct json_node *rules;
	uint64_t rows;

	if (!json_need_u64(part, "rows", &rows, e) || !json_need(part, "broken", JSON_ARRAY, &rules, e))
		return err_wrap(e, "a part of the check");
	k->rows += rows;
	for (const struct json_node *n = rules->child; n; n = n->next)
		if (!part_rule_add(k, n, e))
			return err_wrap(e, "a part of the check");
	return true;
}

/* ── the end ── */

static bool rule_fail(const struct check *k, size_t rule, size_t others, struct str model, struct err *e)
{
	const struct examples *x = &k->examples[rule];
	struct buf b = BUF_INIT(4 * EXAMPLE_BYTES);

	for (size_t i = 0; i < x->n; i++)
		buf_addf(&b, "%s(%.*s)", i > 0 ? ", " : "", STR_ARG(x->row[i]));
	err_set(e, ERR_CONTRACT, "%" PRIu64 " of %" PRIu64 " rows break the rule %.*s, for instance %.*s",
		broken(k, rule), k->rows, STR_ARG(k->c->rules[rule].id), STR_ARG(buf_str(&b)));
	if (others > 0) {
		struct err first = *e;
		err_set(e, ERR_CONTRACT, "%s; %zu more rule%s broken", first.message, others, others > 1 ? "s are" : " is");
	}
	buf_free(&b);
	return err_hint(e, "nothing was published; mend models/%.*s.sql, or the rule in contracts/%.*s.yaml",
			STR_ARG(model), STR_ARG(model));
}

bool check_finish(const struct check *k, struct str model, struct arena *a, struct engine_result *out, struct err *e)
{
	const struct contract *c = k->c;
	size_t fail = SIZE_MAX, n_fail = 0;

	out->failed_rules = arena_array(a, struct rule_count, c->n_rules + 1);
	for (size_t i = 0; i < c->n_rules; i++) {
		if (broken(k, i) == 0)
			continue;
		out->failed_rules[out->n_failed_rules++] =
			(struct rule_count){ c->rules[i].id, c->rules[i].action, broken(k, i) };
		if (c->rules[i].action == ACTION_WARN)
			continue;
		if (n_fail++ == 0)
			fail = i;
	}
	return n_fail == 0 || rule_fail(k, fail, n_fail - 1, model, e);
}
