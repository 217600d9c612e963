#include "unit.h"

#include "base/buf.h"
#include "mock/csv.h"

/* What a text reads as: cells joined by '|', rows ended by ';', quoted cells in <>. */
static void rows(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "\n\r\n\n", "" },
		{ "a", "a;" },
		{ "a,b\n1,2\n", "a|b;1|2;" },
		{ "a,b\r\n1,2", "a|b;1|2;" },
		{ "a,b\n\n\n1,2\n\n", "a|b;1|2;" },
		{ ",", "|;" },
		{ ",\n,\n", "|;|;" },
		{ "a,\n", "a|;" },
		{ "\"\"", "<>;" },
		{ "\"\",x", "<>|x;" },
		{ "\"a,b\",c", "<a,b>|c;" },
		{ "\"a\nb\",c\nd,e", "<a\nb>|c;d|e;" },
		{ "\"a\r\nb\"\r\n", "<a\r\nb>;" },
		{ "\"say \"\"hi\"\"\",x", "<say \"hi\">|x;" },
		{ "\"\"\"\"", "<\">;" },
		{ "\"\"\"\"\"\"\n", "<\"\">;" },
		{ "a\rb,c", "a\rb|c;" }, /* a lone CR is data */
		{ "a\r", "a\r;" },
		{ "\xef\xbb\xbf" "a,b", "a|b;" },
		{ " a , b ", " a | b ;" }, /* RFC 4180: spaces are part of a cell */
		{ "\xc3\xa9,\"\xe2\x82\xac\"", "\xc3\xa9|<\xe2\x82\xac>;" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct csv c;
		struct csv_cell cells[8];
		struct err e = ERR_INIT;
		struct arena a = ARENA_INIT;
		struct buf got = BUF_INIT(1 << 16);
		size_t n;
		csv_open(&c, str_from(cases[i].text));
		while (csv_next(&c, cells, COUNT(cells), &n, &e) && n > 0) {
			for (size_t k = 0; k < n; k++) {
				buf_add_z(&got, k ? "|" : "");
				buf_add_z(&got, cells[k].quoted ? "<" : "");
				buf_add(&got, csv_cell_text(&cells[k], &a));
				buf_add_z(&got, cells[k].quoted ? ">" : "");
			}
			buf_add_char(&got, ';');
		}
		assert_int_equal(e.code, ERR_NONE);
		assert_text(buf_str(&got), cases[i].want);
		buf_free(&got);
		arena_free(&a);
	}
}

static void refusals(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "a\"b", "line 1: a quote inside" },
		{ "a,b\n1,x\"y\"", "line 2: a quote inside" },
		{ "\"a\"b", "line 1: a comma or the end of the line" },
		{ "\"a\" ,b", "line 1: a comma or the end of the line" },
		{ "\"a\"\rb", "line 1: a comma or the end of the line" },
		{ "x\n\"a\n\nb\"c", "line 4: a comma or the end of the line" },
		{ "\"", "line 1: the quote that opens here never closes" },
		{ "a\n\"b\n\n", "line 2: the quote that opens here never closes" },
		{ "\"a\"\"", "line 1: the quote that opens here never closes" },
		{ "1,2,3,4,5", "line 1: more than 4 cells" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct csv c;
		struct csv_cell cells[4];
		struct err e = ERR_INIT;
		size_t n = 0;
		csv_open(&c, str_from(cases[i].text));
		while (csv_next(&c, cells, COUNT(cells), &n, &e) && n > 0)
			;
		assert_int_equal(e.code, ERR_USAGE);
		assert_true(str_starts(str_from(e.message), str_from(cases[i].want)));
	}
}

/* Where rows begin, in bytes and lines: pages are rendered from there. */
static void places(void **state)
{
	(void)state;
	struct csv c;
	struct csv_cell cells[4];
	struct err e = ERR_INIT;
	size_t n;
	csv_open(&c, STR("a,b\n\"x\ny\",2\r\n\n5,6\r\n7,8"));
	static const size_t want_at[] = { 0, 4, 14, 19 }, want_line[] = { 1, 2, 5, 6 };
	for (size_t i = 0; i < 4; i++) {
		assert_true(csv_next(&c, cells, COUNT(cells), &n, &e));
		assert_int_equal(n, 2);
		assert_int_equal(c.row_at, want_at[i]);
		assert_int_equal(c.row_line, want_line[i]);
	}
	assert_true(csv_next(&c, cells, COUNT(cells), &n, &e));
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(refusals),
		cmocka_unit_test(places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
