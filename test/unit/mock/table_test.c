#include "unit.h"

#include "base/file.h"
#include "mock/table.h"

#include <stdlib.h>

static char *scratch;

static int make_scratch(void **state)
{
	(void)state;
	static struct arena a; /* for the path, until the end */
	struct err e = ERR_INIT;
	return file_make_scratch(NULL, &a, &scratch, &e) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	return file_remove_tree(scratch, &e) ? 0 : -1;
}

static bool load(const char *name, const char *text, struct table_spec *spec, struct arena *a, struct table *t,
		 struct err *e)
{
	spec->path = arena_format(a, "%s/%s", scratch, name).p;
	assert_true(file_write(spec->path, str_from(text), e));
	return table_load(spec, a, t, e);
}

/* Every row rendered, joined by line breaks. */
static void rendered(void **state)
{
	(void)state;
	static const struct table_type declared[] = { { STR("v"), CELL_STRING } };
	static const struct table_type json[] = { { STR("v"), CELL_JSON } };
	static const struct {
		const char *name, *text, *null_text;
		const struct table_type *types;
		const char *want;
	} cases[] = {
		/* numbers stay the text that they were */
		{ "a.csv", "v\n1\n-0\n9223372036854775808\n", "", NULL,
		  "{\"v\":1}\n{\"v\":-0}\n{\"v\":9223372036854775808}\n" },
		{ "a.csv", "v\n1\n0.10\n1e400\n10.357019999999999\n", "", NULL,
		  "{\"v\":1}\n{\"v\":0.10}\n{\"v\":1e400}\n{\"v\":10.357019999999999}\n" },
		/* what JSON does not call a number is a string, for the whole column */
		{ "a.csv", "v\n1\n007\n", "", NULL, "{\"v\":\"1\"}\n{\"v\":\"007\"}\n" },
		{ "a.csv", "v\n+1\n", "", NULL, "{\"v\":\"+1\"}\n" },
		{ "a.csv", "v\n.5\n", "", NULL, "{\"v\":\".5\"}\n" },
		{ "a.csv", "v\n1.\n", "", NULL, "{\"v\":\"1.\"}\n" },
		{ "a.csv", "v\nNaN\n", "", NULL, "{\"v\":\"NaN\"}\n" },
		{ "a.csv", "v\ntrue\nfalse\n", "", NULL, "{\"v\":true}\n{\"v\":false}\n" },
		{ "a.csv", "v\ntrue\n1\n", "", NULL, "{\"v\":\"true\"}\n{\"v\":\"1\"}\n" },
		{ "a.csv", "v\n1\n", "", declared, "{\"v\":\"1\"}\n" },
		{ "a.csv", "v\n{}\n\"[1,2]\"\n", "", json, "{\"v\":{}}\n{\"v\":[1,2]}\n" },
		/* null: an unquoted cell that is the null text */
		{ "a.csv", "v,w\n1,NA\nNA,\n", "NA", NULL, "{\"v\":1,\"w\":null}\n{\"v\":null,\"w\":\"\"}\n" },
		{ "a.csv", "v,w\n\"NA\",x\n", "NA", NULL, "{\"v\":\"NA\",\"w\":\"x\"}\n" },
		{ "a.csv", "v,w\n,\"\"\n", "", NULL, "{\"v\":null,\"w\":\"\"}\n" },
		/* strings and names are escaped */
		{ "a.csv", "\"a\"\"b\"\n\"say \"\"hi\"\"\n\tx\\\"\n", "", NULL,
		  "{\"a\\\"b\":\"say \\\"hi\\\"\\n\\tx\\\\\"}\n" },
		{ "a.csv", "v\n\xe2\x82\xac\n", "", NULL, "{\"v\":\"\xe2\x82\xac\"}\n" },
		{ "a.ndjson", "{\"v\": 1.0}\n\n  {\"v\":\"x\"} \r\n{}", "", NULL,
		  "{\"v\": 1.0}\n{\"v\":\"x\"}\n{}\n" },
		{ "a.csv", "v\n", "", NULL, "" },
		{ "a.csv", "", "", NULL, "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct table t;
		struct buf got = BUF_INIT(1 << 16);
		struct table_spec spec = { .null_text = str_from(cases[i].null_text), .types = cases[i].types,
					   .n_types = cases[i].types ? 1 : 0 };
		assert_true(load(cases[i].name, cases[i].text, &spec, &a, &t, &e));
		for (size_t row = 0; row < t.n_rows; row++) {
			assert_true(table_render(&t, row, &got));
			buf_add_char(&got, '\n');
		}
		assert_text(buf_str(&got), cases[i].want);
		buf_free(&got);
		table_unload(&t);
		arena_free(&a);
	}
}

static void refused(void **state)
{
	(void)state;
	static const struct table_type integer[] = { { STR("v"), CELL_INTEGER } };
	static const struct {
		const char *name, *text, *time_column;
		const struct table_type *types;
		const char *want;
	} cases[] = {
		{ "a.txt", "v\n1\n", "", NULL, "must end with .csv" },
		{ "a.csv", "v,w\n1\n", "", NULL, "line 2 has 1 cells, the header has 2" },
		{ "a.csv", "v,v\n1,2\n", "", NULL, "two columns have the name `v`" },
		{ "a.csv", "v\n\xff\n", "", NULL, "is not UTF-8" },
		{ "a.csv", "v\n1\n1.5\n", "", integer, "line 3: column `v` is declared integer" },
		{ "a.csv", "w\n1\n", "", integer, "has no column `v`" },
		{ "a.csv", "v\n1\n", "t", NULL, "has no column `t`" },
		{ "a.csv", "t\n2013-02-29\n", "t", NULL, "line 2: `2013-02-29` in the window's column `t`" },
		{ "a.ndjson", "{}\n[1]\n", "", NULL, "line 2 is not a JSON object" },
		{ "a.ndjson", "{\"v\":1,}\n", "", NULL, "line 1, byte 7" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct table t;
		struct table_spec spec = { .time_column = str_from(cases[i].time_column), .types = cases[i].types,
					   .n_types = cases[i].types ? 1 : 0 };
		assert_false(load(cases[i].name, cases[i].text, &spec, &a, &t, &e));
		if (!str_contains(str_from(e.message), str_from(cases[i].want)))
			fail_msg("%s\nshould contain: %s", e.message, cases[i].want);
		table_unload(&t);
		arena_free(&a);
	}
}

static void times_and_keys(void **state)
{
	(void)state;
	static const struct str keys[] = { STR("k"), STR("n") };
	static const struct {
		const char *name, *text;
	} cases[] = {
		{ "a.csv", "n,k,t\n1,\"a\"\"b\",2013-01-01T05:00:00Z\n2,c,\n" },
		{ "a.ndjson", "{\"t\":\"2013-01-01T05:00:00Z\",\"k\":\"a\\\"b\",\"n\":1}\n{\"k\":\"c\",\"n\":2,\"t\":null}\n" },
		{ "b.csv", "n,k,t\n1,\"a\"\"b\",2013-01-01\n2,c,\n" }, /* a day begins in its zone */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct table t;
		struct table_spec spec = { .time_column = STR("t"), .keys = keys, .n_keys = COUNT(keys) };
		assert_true(zone_load(STR("America/New_York"), &a, &spec.zone, &e));
		assert_true(load(cases[i].name, cases[i].text, &spec, &a, &t, &e));
		assert_int_equal(t.n_rows, 2);
		assert_int_equal(t.time_us[0], INT64_C(1357016400000000));
		assert_int_equal(t.time_us[1], TABLE_NO_TIME);
		assert_text(t.keys[0].values[0], "a\"b");
		assert_text(t.keys[1].values[1], "2");
		table_unload(&t);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rendered),
		cmocka_unit_test(refused),
		cmocka_unit_test(times_and_keys),
	};
	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
