#include "unit.h"

#include "base/str.h"

static void views(void **state)
{
	(void)state;
	assert_int_equal(str_from(NULL).n, 0);
	assert_text(str_from("abc"), "abc");
	static const struct {
		size_t from, n;
		const char *want;
	} subs[] = {
		{ 0, 3, "abc" },	{ 1, 1, "b" },	      { 1, 99, "bc" },		 { 3, 1, "" },
		{ 99, 1, "" },		{ 1, SIZE_MAX, "bc" }, { SIZE_MAX, SIZE_MAX, "" }, { 0, 0, "" },
	};
	for (size_t i = 0; i < COUNT(subs); i++)
		assert_text(str_sub(STR("abc"), subs[i].from, subs[i].n), subs[i].want);
	assert_text(str_sub(STR_NONE, 0, 5), "");
}

static void comparing(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		int order;
		bool nocase;
	} cases[] = {
		{ "", "", 0, true },	  { "", "a", -1, false },  { "a", "", 1, false },	 { "a", "a", 0, true },
		{ "a", "A", 1, true },	  { "ab", "a", 1, false }, { "a", "b", -1, false },	 { "b", "ab", 1, false },
		{ "a", "\xff", -1, false }, { "[", "{", -1, false }, { "@", "`", -1, false }, { "zZ", "Zz", 1, true },
		{ "\xc3\x84", "\xc3\xa4", -1, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str a = str_from(cases[i].a), b = str_from(cases[i].b);
		assert_int_equal(str_cmp(a, b), cases[i].order);
		assert_int_equal(str_cmp(b, a), -cases[i].order);
		assert_int_equal(str_eq(a, b), cases[i].order == 0);
		assert_int_equal(str_eq_z(a, cases[i].b), cases[i].order == 0);
		assert_int_equal(str_eq_nocase(a, b), cases[i].nocase);
	}
	assert_true(str_eq(STR_NONE, STR("")));
	assert_true(str_eq_z(STR_NONE, NULL));
	assert_int_equal(str_cmp(STR("a\0b"), STR("a\0c")), -1);
}

static void finding(void **state)
{
	(void)state;
	static const struct {
		const char *s, *part;
		size_t at;
		bool contains, starts, ends;
	} cases[] = {
		{ "", "", 0, true, true, true },	   { "abc", "", 0, true, true, true },
		{ "", "a", 0, false, false, false },	   { "abc", "abc", 0, true, true, true },
		{ "abc", "abcd", 3, false, false, false }, { "abcabc", "bc", 1, true, false, true },
		{ "abcabc", "c", 2, true, false, true },   { "aab", "ab", 1, true, false, true },
		{ "abc", "x", 3, false, false, false },	   { "abc", "ab", 0, true, true, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str s = str_from(cases[i].s), part = str_from(cases[i].part);
		assert_int_equal(str_find(s, part), cases[i].at);
		assert_int_equal(str_contains(s, part), cases[i].contains);
		assert_int_equal(str_starts(s, part), cases[i].starts);
		assert_int_equal(str_ends(s, part), cases[i].ends);
	}
	assert_true(str_contains(STR_NONE, STR_NONE));
	assert_int_equal(str_find_char(STR("a\xff" "b"), '\xff'), 1);
	assert_int_equal(str_find_char(STR("abc"), 'x'), 3);
	assert_int_equal(str_find_char(STR_NONE, 'x'), 0);
	assert_int_equal(str_find_char(STR("ab\0"), '\0'), 2);
}

static void trimming(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "", "" },	  { " ", "" },	   { " \t\r\n\v\f ", "" },	  { "a", "a" },
		{ " a b ", "a b" }, { "a\n", "a" }, { "\xc2\xa0", "\xc2\xa0" }, { "\x1f" "a", "\x1f" "a" },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_text(str_trim(str_from(cases[i][0])), cases[i][1]);
	assert_text(str_trim(STR_NONE), "");
}

static void cutting(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t n;
		const char *parts[4];
	} cases[] = {
		{ "", 0, { NULL } },		{ "a", 1, { "a" } },	   { "a,b", 2, { "a", "b" } },
		{ "a,b,", 2, { "a", "b" } },	{ ",", 1, { "" } },	   { ",,", 2, { "", "" } },
		{ ",a", 2, { "", "a" } },	{ "a,,b", 3, { "a", "", "b" } },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str rest = str_from(cases[i].text), part;
		size_t n = 0;
		while (str_cut(&rest, ',', &part)) {
			assert_true(n < cases[i].n);
			assert_text(part, cases[i].parts[n++]);
		}
		assert_int_equal(n, cases[i].n);
		assert_false(str_cut(&rest, ',', &part));
	}
	struct str none = STR_NONE, part;
	assert_false(str_cut(&none, ',', &part));
}

static void integers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool u64_ok, i64_ok;
		uint64_t u64;
		int64_t i64;
	} cases[] = {
		{ "0", true, true, 0, 0 },
		{ "007", true, true, 7, 7 },
		{ "9223372036854775807", true, true, INT64_MAX, INT64_MAX },
		{ "9223372036854775808", true, false, (uint64_t)INT64_MAX + 1, 0 },
		{ "18446744073709551615", true, false, UINT64_MAX, 0 },
		{ "18446744073709551616", false, false, 0, 0 },
		{ "18446744073709551620", false, false, 0, 0 },
		{ "99999999999999999999", false, false, 0, 0 },
		{ "-0", false, true, 0, 0 },
		{ "-1", false, true, 0, -1 },
		{ "-9223372036854775808", false, true, 0, INT64_MIN },
		{ "-9223372036854775809", false, false, 0, 0 },
		{ "", false, false, 0, 0 },
		{ "-", false, false, 0, 0 },
		{ "--1", false, false, 0, 0 },
		{ "+1", false, false, 0, 0 },
		{ " 1", false, false, 0, 0 },
		{ "1 ", false, false, 0, 0 },
		{ "1.0", false, false, 0, 0 },
		{ "1e3", false, false, 0, 0 },
		{ "0x10", false, false, 0, 0 },
		{ "\xd9\xa1", false, false, 0, 0 }, /* an Arabic digit */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t u = 77;
		int64_t v = 77;
		assert_int_equal(str_to_u64(str_from(cases[i].text), &u), cases[i].u64_ok);
		assert_true(u == (cases[i].u64_ok ? cases[i].u64 : 77));
		assert_int_equal(str_to_i64(str_from(cases[i].text), &v), cases[i].i64_ok);
		assert_true(v == (cases[i].i64_ok ? cases[i].i64 : 77));
	}
}

static void distances(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		size_t want;
	} cases[] = {
		{ "", "", 0 },		      { "", "abc", 3 },	     { "kitten", "sitting", 3 }, { "flaw", "lawn", 2 },
		{ "saturday", "sunday", 3 }, { "abc", "abc", 0 }, { "cursor", "crusor", 2 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(str_distance(str_from(cases[i].a), str_from(cases[i].b)), cases[i].want);
		assert_int_equal(str_distance(str_from(cases[i].b), str_from(cases[i].a)), cases[i].want);
	}
	char word[65];
	memset(word, 'a', sizeof word);
	assert_int_equal(str_distance((struct str){ word, 63 }, STR("")), 63);
	assert_int_equal(str_distance((struct str){ word, 63 }, (struct str){ word, 63 }), 0);
	assert_int_equal(str_distance((struct str){ word, 64 }, (struct str){ word, 64 }), SIZE_MAX);
	assert_int_equal(str_distance(STR("a"), (struct str){ word, 65 }), SIZE_MAX);
}

static void utf8(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "", true },
		{ "plain text, longer than eight", true },
		{ "\x7f", true },
		{ "\xc2\x80", true },
		{ "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true },
		{ "\xed\x9f\xbf", true },
		{ "\xee\x80\x80", true },
		{ "\xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "12345678\xc3\xa4" "1234567\xe2\x82\xac", true },
		{ "\x80", false },
		{ "\xbf", false },
		{ "\xc0\x80", false },
		{ "\xc1\xbf", false },
		{ "\xc2", false },
		{ "\xc2" "a", false },
		{ "\xe0\x9f\xbf", false }, /* overlong */
		{ "\xed\xa0\x80", false }, /* a surrogate */
		{ "\xed\xbf\xbf", false },
		{ "\xe2\x82", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xf0\x9f\x98", false },
		{ "\xff", false },
		{ "12345678\xff", false },
		{ "1234567\xe2\x82", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(str_is_utf8(str_from(cases[i].text)), cases[i].valid);
	assert_true(str_is_utf8(STR("a\0b")));
	assert_true(str_is_utf8(STR_NONE));
	assert_int_equal(str_utf8_char(STR("\xe2\x82\xac" "a")), 3);
	assert_int_equal(str_utf8_char(STR("\xe2\x82" "a")), 0);
	assert_int_equal(str_utf8_char(STR_NONE), 0);
}

/* Every code point, encoded by the definition, and every pair of bytes against the definition. */
static void utf8_all(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x120000; c++) {
		char t[4];
		size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		if (n == 1)
			t[0] = (char)c;
		for (size_t i = n; n > 1 && i-- > 1;)
			t[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
		if (n > 1)
			t[0] = (char)((0xf00u >> n & 0xff) | c >> (6 * (n - 1)));
		bool want = c < 0xd800 || (c > 0xdfff && c < 0x110000);
		if (str_is_utf8((struct str){ t, n }) != want || str_utf8_char((struct str){ t, n }) != (want ? n : 0))
			fail_msg("U+%04X", (unsigned)c);
	}
	for (unsigned v = 0; v < 0x10000; v++) {
		char t[2] = { (char)(v >> 8), (char)(v & 255) };
		unsigned a = v >> 8, b = v & 255;
		bool want = (a < 0x80 && b < 0x80) || (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);
		if (str_is_utf8((struct str){ t, 2 }) != want)
			fail_msg("bytes %04x", v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views),     cmocka_unit_test(comparing), cmocka_unit_test(finding),
		cmocka_unit_test(trimming),  cmocka_unit_test(cutting),	  cmocka_unit_test(integers),
		cmocka_unit_test(distances), cmocka_unit_test(utf8),	  cmocka_unit_test(utf8_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
