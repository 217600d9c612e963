#include "ingest/keyset.h"

#include "conversation.h"

/* In rising order: each is less than all behind it, and equal to itself however it is spelled. */
static const char *const NUMBERS[][3] = {
	{ "-1e400", "-10e399" },
	{ "-9223372036854775809", "-9223372036854775809.0" },
	{ "-9223372036854775808", "-9.223372036854775808e18" },
	{ "-2.5", "-25e-1", "-0.25E+1" },
	{ "-2.49999999999999999999999999999999999999999999999", "-2.499999999999999999999999999999999999999999999990" },
	{ "-1e-400", "-0.1e-399" },
	{ "0", "-0", "0.000e99999999999999999999999" },
	{ "1e-400", "0.001e-397" },
	{ "0.1", "1e-1" },
	{ "0.10000000000000000001", "10000000000000000001e-20" },
	{ "9", "9.0", "90e-1" },
	{ "10", "1e1", "1E+1" },
	{ "10.05", "1005e-2" },
	{ "10.5" },
	{ "9007199254740992" },
	{ "9007199254740993", "9007199254740993.00" },
	{ "9223372036854775807" },
	{ "9223372036854775808", "9.223372036854775808e18" },
	{ "92233720368547758080" },
	{ "100000000000000000000000000000000000000000000000000", "1e50" },
	{ "100000000000000000000000000000000000000000000000001" },
	{ "1e99999999999999999" },
};

static bool rises(enum ledger_key_kind kind, const char *before, const char *after)
{
	struct ledger_key x = { kind, str_from(before) }, y = { kind, str_from(after) };
	return key_rises(&x, &y);
}

static void numbers_are_compared_exactly(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(NUMBERS); i++)
		for (size_t k = 0; k < COUNT(NUMBERS); k++)
			for (size_t x = 0; x < 3 && NUMBERS[i][x]; x++)
				for (size_t y = 0; y < 3 && NUMBERS[k][y]; y++) {
					bool beyond = strstr(NUMBERS[i][x], "e99999999999999999999") ||
						      strstr(NUMBERS[k][y], "e99999999999999999999");
					if (!beyond && rises(KEY_NUMBER, NUMBERS[i][x], NUMBERS[k][y]) != (i < k))
						fail_msg("%s %s", NUMBERS[i][x], NUMBERS[k][y]);
				}
	/* An exponent beyond all reason proves nothing, in either direction. */
	assert_false(rises(KEY_NUMBER, "1", "1e999999999999999999999"));
	assert_false(rises(KEY_NUMBER, "1e999999999999999999999", "1"));
}

static void texts_are_compared_by_bytes(void **state)
{
	(void)state;
	assert_true(rises(KEY_TEXT, "", "a"));
	assert_true(rises(KEY_TEXT, "10", "9"));
	assert_true(rises(KEY_TEXT, "Z", "a"));
	assert_true(rises(KEY_TEXT, "a", "aa"));
	assert_true(rises(KEY_TEXT, "z", "\xc3\xa9"));
	assert_false(rises(KEY_TEXT, "a", "a"));
	assert_false(rises(KEY_TEXT, "aa", "a"));
	struct ledger_key number = { KEY_NUMBER, STR("1") }, text = { KEY_TEXT, STR("2") }, none = { KEY_NONE, STR("") };
	assert_false(key_rises(&number, &text));
	assert_false(key_rises(&text, &number));
	assert_false(key_rises(&none, &none));
	assert_false(key_rises(&none, &text));
}

static void pages_are_read(void **state)
{
	static const struct {
		const char *records, *path, *first, *last, *broken;
	} cases[] = {
		{ "[]", "id", "", "", "" },
		{ "[{\"id\":1}]", "id", "1", "1", "" },
		{ "[{\"id\":1},{\"id\":2.5},{\"id\":1e3}]", "id", "1", "1e3", "" },
		{ "[ {\"id\" : \"\\u0061\"} , {\"id\":\"b\"} ]", "id", "a", "b", "" },
		{ "[{\"a\":{\"b\":[5,{\"c\":7}]}},{\"a\":{\"b\":[0,{\"c\":8}]}}]", "a.b.1.c", "7", "8", "" },
		{ "[{\"id\":2},{\"id\":1}]", "id", NULL, NULL, "1 follows 2 (record 2)" },
		{ "[{\"id\":\"x\"},{\"id\":\"x\"}]", "id", NULL, NULL, "\"x\" follows \"x\" (record 2)" },
		{ "[{\"id\":1},{\"id\":\"2\"}]", "id", NULL, NULL, "\"2\" follows 1 (record 2)" },
		{ "[{\"id\":1},{}]", "id", NULL, NULL, "record 2 has none" },
		{ "[[1]]", "0", "1", "1", "" },
		{ "[1]", "id", NULL, NULL, "record 1 has none" },
		{ "[null]", "id", NULL, NULL, "record 1 has none" },
		{ "[{\"id\":{}}]", "id", NULL, NULL, "record 1 has one that is neither number nor text" },
		{ "[{\"id\":true}]", "id", NULL, NULL, "record 1 has one that is neither number nor text" },
		{ "[{\"id\":\"\\ud800\"}]", "id", NULL, NULL, "record 1 has one with half a surrogate pair" },
		{ "[{\"id\":9,\"id\":1},{\"id\":2}]", "id", "1", "2", "" }, /* the last one counts */
	};
	struct source source = { .limits = { 65536, 1 << 24, 1 << 24, 200, 128 } };
	struct resource r = { .source = &source };
	struct arena a = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct page_keys keys;
		r.keyset = str_from(cases[i].path);
		keyset_read(&r, str_from(cases[i].records), &a, &keys);
		if (!str_eq_z(keys.broken, cases[i].broken))
			fail_msg("%s: %.*s", cases[i].records, STR_ARG(keys.broken));
		if (cases[i].first)
			assert_true(str_eq_z(keys.first.text, cases[i].first) && str_eq_z(keys.last.text, cases[i].last));
	}
	struct page_keys keys;
	struct buf b = BUF_INIT(4096);
	buf_add_z(&b, "[{\"id\":");
	for (int i = 0; i < KEY_MAX_BYTES + 1; i++)
		buf_add_char(&b, '1');
	buf_add_z(&b, "}]");
	r.keyset = STR("id");
	keyset_read(&r, buf_str(&b), &a, &keys);
	assert_true(str_eq_z(keys.broken, "record 1 has one of more than 512 bytes"));
	buf_free(&b);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_compared_exactly),
		cmocka_unit_test(texts_are_compared_by_bytes),
		cmocka_unit_test(pages_are_read),
	};
	return cmocka_run_group_tests_name("ingest/keyset", tests, NULL, NULL);
}
