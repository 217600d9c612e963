/* The row hash against test/case/format/row_hash.tsv, which tools/row_hash_vectors.py wrote. */
#include "world.h"

#include "base/json.h"
#include "base/number.h"
#include "format/row_hash.h"

#include <stdlib.h>

enum { SET_COLUMNS_MAX = 32 };

struct set {
	struct arena a;
	struct column columns[SET_COLUMNS_MAX];
	size_t by_name[SET_COLUMNS_MAX], places[SET_COLUMNS_MAX];
	struct contract contract;
	struct batch *batch;
};

static void column_from(struct column *c, struct str text)
{
	size_t colon = str_find_char(text, ':');
	struct str type = str_sub(text, colon + 1, text.n), rest = type, part;
	uint64_t p = 0, s = 0;
	c->name = str_sub(text, 0, colon);
	assert_true(str_cut(&rest, '(', &part));
	c->type = TYPE_COUNT;
	for (size_t t = 0; t < TYPE_COUNT; t++)
		if (str_eq_z(part, column_type_name((enum column_type)t)))
			c->type = (enum column_type)t;
	assert_true(c->type != TYPE_COUNT);
	if (c->type != TYPE_DECIMAL)
		return;
	assert_true(str_cut(&rest, ',', &part) && str_to_u64(part, &p));
	assert_true(str_cut(&rest, ')', &part) && str_to_u64(part, &s));
	c->precision = (unsigned)p;
	c->scale = (unsigned)s;
}

/* Column i of the contract stands at place n-1-i of the batch: the order there has no say. */
static void set_begin(struct set *s, struct str rest)
{
	struct str field;
	struct batch_shape shape[SET_COLUMNS_MAX];
	memset(s, 0, sizeof *s);
	size_t n = 0;
	while (str_cut(&rest, '\t', &field))
		column_from(&s->columns[n++], field);
	for (size_t i = 0; i < n; i++) {
		const struct column *c = &s->columns[i];
		s->places[i] = n - 1 - i;
		shape[n - 1 - i] = (struct batch_shape){ c->name, c->type, c->precision, c->scale };
		size_t at = i;
		for (; at > 0 && str_cmp(s->columns[s->by_name[at - 1]].name, c->name) > 0; at--)
			s->by_name[at] = s->by_name[at - 1];
		s->by_name[at] = i;
	}
	s->contract = (struct contract){ .columns = s->columns, .n_columns = n, .by_name = s->by_name };
	s->batch = batch_new(shape, n, &s->a);
	batch_clear(s->batch);
}

static int128 wide(struct str text)
{
	bool minus = str_starts(text, STR("-"));
	int128 v = 0;
	for (size_t i = minus; i < text.n; i++)
		v = v * 10 + (text.p[i] - '0');
	return minus ? -v : v;
}

static void put_value(struct set *s, struct batch_column *c, size_t row, struct str text)
{
	int64_t i = 0;
	if (str_eq_z(text, "\\N"))
		return;
	batch_set_valid(c, row);
	switch (c->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		assert_true(json_unescape(str_sub(text, 1, text.n - 2), &s->a, &c->s[row]));
		break;
	case TYPE_DECIMAL:
		c->i128[row] = wide(text);
		break;
	case TYPE_DOUBLE: {
		unsigned long long bits = strtoull(text.p, NULL, 16);
		memcpy(&c->f64[row], &bits, 8);
		break;
	}
	default:
		assert_true(str_to_i64(text, &i));
		if (c->type == TYPE_BOOLEAN)
			c->b[row] = (uint8_t)i;
		else if (c->type == TYPE_DATE)
			c->i32[row] = (int32_t)i;
		else
			c->i64[row] = i;
	}
}

static void set_row(struct set *s, struct str rest)
{
	struct str field;
	size_t row = s->batch->n_rows++;
	for (size_t i = 0; i < s->contract.n_columns; i++) {
		assert_true(str_cut(&rest, '\t', &field));
		put_value(s, &s->batch->columns[s->places[i]], row, field);
	}
}

static void set_check(struct set *s, struct str name, struct str rest)
{
	struct str field, want = STR_NONE;
	uint64_t rows = 0;
	char hex[33];
	assert_true(str_cut(&rest, '\t', &field) && str_to_u64(field, &rows) && str_cut(&rest, '\t', &want));
	struct row_hasher *r = row_hasher_new(&s->contract, s->places, &s->a);
	struct row_hash all = ROW_HASH_INIT, parts = ROW_HASH_INIT, back;
	row_hash_add(&all, r, s->batch, 0, s->batch->n_rows);
	row_hash_hex(&all, hex);
	if (!str_eq_z(want, hex) || all.rows != rows)
		fail_msg("%.*s: %s where %.*s was expected", STR_ARG(name), hex, STR_ARG(want));
	for (size_t i = s->batch->n_rows; i > 0; i--) { /* from the last row to the first, each a set of its own */
		struct row_hash one = ROW_HASH_INIT;
		row_hash_add(&one, r, s->batch, i - 1, i);
		row_hash_merge(&parts, &one);
	}
	assert_true(row_hash_eq(&all, &parts));
	assert_true(row_hash_from_hex(want, rows, &back));
	assert_true(row_hash_eq(&all, &back));
}

static void vectors(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct str text = case_file("row_hash.tsv", &a), line, word, name = STR_NONE;
	struct set *s = arena_new(&a, struct set);
	size_t sets = 0;
	while (str_cut(&text, '\n', &line)) {
		assert_true(str_cut(&line, '\t', &word));
		if (str_eq_z(word, "set")) {
			name = line;
			sets++;
		} else if (str_eq_z(word, "columns")) {
			arena_free(&s->a);
			set_begin(s, line);
		} else if (str_eq_z(word, "row")) {
			set_row(s, line);
		} else {
			set_check(s, name, line);
		}
	}
	assert_true(sets > 20);
	arena_free(&s->a);
	arena_free(&a);
}

static void hex_of_a_hash(void **unused)
{
	(void)unused;
	static const char *const bad[] = { "", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
					   "0123456789ABCDEF0123456789abcdef", "0123456789abcdef0123456789abcdeg" };
	struct row_hash h = ROW_HASH_INIT;
	char hex[33];
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(row_hash_from_hex(str_from(bad[i]), 1, &h));
	assert_true(row_hash_from_hex(STR("0123456789abcdeffedcba9876543210"), 7, &h));
	row_hash_hex(&h, hex);
	assert_string_equal(hex, "0123456789abcdeffedcba9876543210");
	assert_int_equal(h.rows, 7);
	struct row_hash other = h;
	other.rows = 8;
	assert_false(row_hash_eq(&h, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(vectors), cmocka_unit_test(hex_of_a_hash) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
