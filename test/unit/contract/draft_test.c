#include "unit.h"

#include "contract/contract.h"
#include "contract/draft.h"

static struct str draft_of(const char *const *records, size_t n, struct arena *a)
{
	struct draft *d = draft_new(STR("t"), 1 << 20);
	struct buf out = BUF_INIT(1 << 20);
	for (size_t i = 0; i < n; i++)
		draft_add(d, str_from(records[i]));
	assert_true(draft_write(d, &out));
	struct str text = arena_copy(a, buf_str(&out));
	buf_free(&out);
	draft_free(d);
	return text;
}

static struct contract *load(struct str text, struct arena *a)
{
	struct problems p = PROBLEMS_INIT(a);
	struct contract *c = NULL;
	if (!contract_parse("draft.yaml", text, a, &c, &p))
		fail_msg("%u: %.*s\n%.*s", p.v[0].line, STR_ARG(p.v[0].message), STR_ARG(text));
	assert_true(c->draft);
	return c;
}

static const struct {
	const char *records[6];
	const char *columns; /* name path type [required|key] per column, ';' between */
} cases[] = {
	{ { "{\"id\":1,\"b\":true}", "{\"id\":2,\"b\":null}" }, "id id integer key1;b b boolean" },
	{ { "{\"a\":1}", "{\"a\":1}" }, "a a integer required" },
	{ { "{\"a\":1}", "{\"a\":1e3}", "{\"a\":1.0}" }, "a a integer required" },
	{ { "{\"a\":9223372036854775808}", "{\"a\":1}", "{\"a\":1}" }, "a a decimal(22,0) required" },
	{ { "{\"a\":1.25}", "{\"a\":-100}", "{\"a\":1.25}" }, "a a decimal(8,2) required" },
	{ { "{\"a\":1.5e-3}", "{\"a\":1e2}", "{\"a\":1e2}" }, "a a decimal(10,4) required" },
	{ { "{\"a\":10.357019999999999}", "{\"a\":1}" }, "a a double required" },
	{ { "{\"a\":48.053808600000004}", "{\"a\":1}", "{\"a\":1}" }, "a a decimal(20,15) required" },
	{ { "{\"a\":1e40}", "{\"a\":0.5}" }, "a a double required" },
	{ { "{\"a\":1e400}", "{\"a\":0.5}" }, "a a json required" },
	{ { "{\"a\":0}", "{\"a\":0e999999999999999999999}", "{\"a\":-0.0}" }, "a a integer required" },
	{ { "{\"a\":1}", "{\"a\":\"1\"}" }, "a a json required" },
	{ { "{\"a\":\"2013-01-01\"}", "{\"a\":\"2013-01-01\"}" }, "a a date required" },
	{ { "{\"a\":\"2013-01-01\"}", "{\"a\":\"2013-02-30\"}" }, "a a string key1" },
	{ { "{\"a\":\"2013-01-01T00:00:00Z\"}", "{\"a\":null}" }, "a a timestamp" },
	{ { "{\"a\":\"2013-01-01T00:00:00.1234567Z\"}", "{}" }, "a a string" },
	{ { "{\"a\":null}", "{\"a\":null}" }, "a a string" },
	{ { "{\"a\":[1]}", "{\"a\":[]}" }, "a a json required" },
	{ { "{\"a\":{}}", "{\"a\":{}}" }, "a a json required" },
	{ { "{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{\"c\":1}}}" }, "a__b__c a.b.c integer required" },
	{ { "{\"a\":{\"b\":1}}", "{\"a\":null}" }, "a__b a.b integer" },
	{ { "{\"a\":{\"b\":1}}", "{\"a\":5}" }, "a a json required" },
	{ { "{\"depTime\":\"x\",\"HTTPServer\":\"x\",\"a-b c\":\"x\",\"9x\":\"x\",\"\xc3\xa9\":\"x\",\"a.b\":\"x\"}" },
	  "dep_time depTime string required;http_server HTTPServer string required;a_b_c a-b c string required;"
	  "n_9x 9x string required;field \xc3\xa9 string required;a_b a\\.b string required" },
	{ { "{\"aB\":\"x\",\"a_b\":\"x\",\"AB\":\"x\",\"ab\":\"x\",\"a__b\":\"x\"}" },
	  "a_b aB string required;a_b_2 a_b string required;ab AB string required;ab_2 ab string required;"
	  "a_b_3 a__b string required" },
	{ { "{\"q\\\"\\\\\\n\\u0001\\u0085\\u2028x\":\"v\"}" }, "q_x q\"\\\\\n\x01\xc2\x85\xe2\x80\xa8x string required" },
	{ { "{\"a\":\"x\",\"\":\"y\",\"\\ud800\":\"z\"}" }, "a a string required" },
	{ { "{\"a\":\"x\",\"a\":5}" }, "a a string required" },
	{ { "{\"x\":1,\"y\":1,\"v\":5}", "{\"x\":1,\"y\":2,\"v\":5}", "{\"x\":2,\"y\":1,\"v\":5}" },
	  "x x integer key1;y y integer key2;v v integer required" },
	{ { "{\"m\":1,\"code\":\"a\"}", "{\"m\":2,\"code\":\"b\"}" }, "m m integer required;code code string key1" },
	{ { "{\"a\":0,\"b\":0,\"c\":0}", "{\"a\":0,\"b\":1,\"c\":1}", "{\"a\":1,\"b\":0,\"c\":1}", "{\"a\":1,\"b\":1,\"c\":0}",
	    "{\"a\":0,\"b\":0,\"c\":1}" },
	  "a a integer key1;b b integer key2;c c integer key3" },
	{ { "[1]", "{\"a\":1", "{\"a\":\"x\"}" }, "a a string required" },
	/* arrays */
	{ { "{\"i\":1,\"l\":[{\"x\":1,\"y\":\"a\"},{\"x\":2}]}", "{\"i\":2,\"l\":[]}", "{\"i\":3,\"l\":null}" },
	  "i i integer key1;[t__l l: x x integer required;y y string]" },
	{ { "{\"i\":1,\"l\":[{\"x\":1}]}", "{\"i\":2,\"l\":[{\"x\":2},3]}" }, "i i integer key1;l l json required" },
	{ { "{\"i\":1,\"l\":[{\"x\":1}]}", "{\"i\":2,\"l\":{\"x\":2}}" }, "i i integer key1;l l json required" },
	{ { "{\"i\":1,\"l\":[{}]}", "{\"i\":2,\"l\":[[{\"x\":1}]]}" }, "i i integer key1;l l json required" },
	{ { "{\"i\":1,\"a\":{\"myList\":[{\"B\":{\"c\":1.5},\"d\":[{\"e\":1}]}]}}", "{\"i\":2}" },
	  "i i integer key1;[t__a__my_list a.myList: b__c B.c decimal(5,1) required;d d json required]" },
};

static void columns_put(const struct contract *c, struct buf *b)
{
	for (size_t k = 0; k < c->n_columns; k++) {
		const struct column *v = &c->columns[k];
		buf_addf(b, "%s%.*s %.*s %s", k ? ";" : "", STR_ARG(v->name), STR_ARG(v->path), column_type_name(v->type));
		if (v->type == TYPE_DECIMAL)
			buf_addf(b, "(%u,%u)", v->precision, v->scale);
		if (v->key_position)
			buf_addf(b, " key%zu", v->key_position);
		else if (v->required)
			buf_add_z(b, " required");
	}
}

static void shapes(void **state)
{
	size_t bad = 0;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct buf b = BUF_INIT(1 << 16);
		size_t n = 0;
		while (n < COUNT(cases[i].records) && cases[i].records[n])
			n++;
		struct contract *c = load(draft_of(cases[i].records, n, &a), &a);
		columns_put(c, &b);
		for (size_t k = 0; k < c->n_children; k++) {
			buf_addf(&b, ";[%.*s %.*s: ", STR_ARG(c->children[k]->name), STR_ARG(c->children[k]->array_path));
			columns_put(c->children[k], &b);
			buf_add_char(&b, ']');
		}
		if (!str_eq_z(buf_str(&b), cases[i].columns))
			bad++, fprintf(stderr, "case %zu: \"%.*s\" where \"%s\" was expected\n", i,
				       STR_ARG(buf_str(&b)), cases[i].columns);
		buf_free(&b);
		arena_free(&a);
	}
	assert_int_equal(bad, 0);
}

/* What lies in [10:00, 11:00) of its record's window. */
static void window_columns(void **state)
{
	static const struct {
		const char *records[3];
		const char *column; /* "": none is proposed */
	} windows[] = {
		{ { "{\"at\":\"2024-01-01T10:00:00Z\"}", "{\"at\":\"2024-01-01T10:59:59.999999Z\"}" }, "at" },
		{ { "{\"at\":\"2024-01-01T10:00:00Z\"}", "{\"at\":\"2024-01-01T11:00:00Z\"}" }, "" },
		{ { "{\"at\":\"2024-01-01T09:59:59Z\"}" }, "" },
		{ { "{\"at\":\"2024-01-01T12:30:00+02:00\"}" }, "at" },
		{ { "{\"at\":\"2024-01-01T10:00:00Z\"}", "{\"at\":null}" }, "" },
		{ { "{\"at\":\"2024-01-01T10:00:00Z\"}", "{}" }, "" },
		{ { "{\"made\":\"2020-01-01T10:00:00Z\",\"at\":\"2024-01-01T10:00:00Z\",\"seen\":\"2024-01-01T10:00:01Z\"}" }, "at" },
		{ { "{\"at\":\"2024-01-01\",\"n\":1704103200}" }, "" },
		{ { "{\"x\":{\"at\":\"2024-01-01T10:00:00Z\"}}" }, "x__at" },
	};
	const int64_t from = INT64_C(1704103200) * 1000000, hour = INT64_C(3600) * 1000000;
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(windows); i++) {
		struct arena a = ARENA_INIT;
		struct buf out = BUF_INIT(1 << 20);
		struct draft *d = draft_new(STR("t"), 1 << 20);
		bool snapshot = i >= COUNT(windows); /* its records belong to no window: never a proposal */
		const char *const *records = windows[i % COUNT(windows)].records;
		if (!snapshot)
			draft_window(d, from, from + hour);
		for (size_t k = 0; k < 3 && records[k]; k++)
			assert_true(draft_add(d, str_from(records[k])));
		assert_true(draft_write(d, &out));
		struct contract *c = load(buf_str(&out), &a);
		if (snapshot || windows[i].column[0] == '\0')
			assert_true(c->window_column == SIZE_MAX);
		else
			assert_text(c->columns[c->window_column].name, windows[i].column);
		draft_free(d);
		buf_free(&out);
		arena_free(&a);
	}
}

static void no_value_gets_into_the_text(void **state)
{
	static const char *const records[] = { "{\"name\":\"Secretman\",\"pin\":271828,\"x\":{\"y\":\"Hiddenfield\"}}",
					       "{\"name\":\"Another\",\"pin\":314159,\"x\":{\"y\":\"Words\"}}" };
	struct arena a = ARENA_INIT;
	(void)state;
	struct str text = draft_of(records, 2, &a);
	static const char *const values[] = { "Secretman", "271828", "Hiddenfield", "Another", "314159", "Words" };
	for (size_t i = 0; i < COUNT(values); i++)
		assert_false(str_contains(text, str_from(values[i])));
	assert_true(str_contains(text, STR("seen in 2 of 2 records")));
	arena_free(&a);
}

static void why_json(void **state)
{
	static const struct {
		const char *records[3], *words;
	} rows[] = {
		{ { "{\"a\":1}", "{\"a\":\"x\"}" }, "of 2 records; text and numbers, kept as JSON, since no one type takes them all" },
		{ { "{\"a\":{\"b\":1}}", "{\"a\":true}", "{\"a\":[1]}" }, "; booleans, objects and arrays, kept as JSON" },
		{ { "{\"a\":1e400}", "{\"a\":0.5}" }, "; numbers that no one type takes all of, so they are kept as JSON" },
		{ { "{\"a\":[1]}" }, "seen in 1 of 1 records\"" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a = ARENA_INIT;
		size_t n = 1;
		while (n < 3 && rows[i].records[n])
			n++;
		struct str text = draft_of(rows[i].records, n, &a);
		if (!str_contains(text, str_from(rows[i].words)))
			fail_msg("%s: %.*s", rows[i].words, STR_ARG(text));
		arena_free(&a);
	}
}

static void many_records_and_fields(void **state)
{
	/* The memory for keys is used up; the fields are more than a contract may have. */
	struct arena a = ARENA_INIT;
	struct draft *d = draft_new(STR("t"), 32 << 10);
	struct buf out = BUF_INIT(1 << 20), record = BUF_INIT(1 << 20);
	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		buf_clear(&record);
		buf_addf(&record, "{\"id\":%u,\"v\":%u}", i, i % 7);
		assert_true(draft_add(d, buf_str(&record)));
	}
	assert_true(draft_write(d, &out));
	assert_true(str_contains(buf_str(&out), STR("told the first 2048 records apart")));
	struct contract *c = load(buf_str(&out), &a);
	assert_int_equal(c->n_key, 1);
	buf_clear(&record);
	buf_add_z(&record, "{");
	for (unsigned i = 0; i < 2000; i++)
		buf_addf(&record, "%s\"f%u\":%u", i ? "," : "", i, i);
	buf_add_z(&record, "}");
	assert_true(draft_add(d, buf_str(&record)));
	buf_clear(&out);
	assert_true(draft_write(d, &out));
	c = load(buf_str(&out), &a);
	assert_int_equal(c->n_columns, COLUMNS_MAX);
	assert_true(str_contains(buf_str(&out), STR("# Not covered: 978 values")));
	draft_free(d);
	buf_free(&out);
	buf_free(&record);
	arena_free(&a);
}

static void deep_nesting(void **state)
{
	struct arena a = ARENA_INIT;
	struct buf b = BUF_INIT(1 << 16);
	(void)state;
	for (int i = 0; i < 100; i++)
		buf_add_z(&b, "{\"a\":");
	buf_add_z(&b, "1");
	for (int i = 0; i < 100; i++)
		buf_add_z(&b, "}");
	const char *record = buf_str(&b).p;
	struct contract *c = load(draft_of(&record, 1, &a), &a);
	assert_int_equal(c->n_columns, 1);
	assert_int_equal(c->columns[0].type, TYPE_JSON);
	assert_text(c->columns[0].path, "a.a.a.a.a.a.a.a.a");
	assert_true(str_contains(draft_of(&record, 1, &a), STR("; objects below too many others to become columns, so they are kept as JSON")));
	buf_free(&b);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(window_columns),
		cmocka_unit_test(no_value_gets_into_the_text),
		cmocka_unit_test(why_json),
		cmocka_unit_test(many_records_and_fields),
		cmocka_unit_test(deep_nesting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
