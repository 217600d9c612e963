/* What is built on the scanner: picking, trees, unescaping, writing. */
#include "json_case.h"

#include "base/json.h"

static void picking(void **state)
{
	static const char doc[] = "{\"meta\":{\"next\":\"/p?c=2\",\"total\":3,\"a.b\":7},"
				  "\"data\":[{\"id\":1},{\"id\":2},[]],"
				  "\"links\":[{\"rel\":\"prev\"},{\"rel\":\"next\",\"href\":\"x\\u0041\"}],\"n\":null,"
				  "\"\":{\"\":5},\"\\u0064ot\":1.50,\"2\":\"key\",\"b\\\\s\":9}";
	static const struct {
		const char *path, *raw; /* NULL: not found */
		enum json_event type;
		size_t items;
	} cases[] = {
		{ "meta.next", "\"/p?c=2\"", JSON_STRING, 0 },
		{ "meta.total", "3", JSON_NUMBER, 0 },
		{ "meta.a\\.b", "7", JSON_NUMBER, 0 },
		{ "meta.a.b", NULL, JSON_BAD, 0 },
		{ "meta.total.x", NULL, JSON_BAD, 0 },
		{ "data", "[{\"id\":1},{\"id\":2},[]]", JSON_ARRAY, 3 },
		{ "data.1.id", "2", JSON_NUMBER, 0 },
		{ "data.0", "{\"id\":1}", JSON_OBJECT, 1 },
		{ "data.2", "[]", JSON_ARRAY, 0 },
		{ "data.3", NULL, JSON_BAD, 0 },
		{ "data.01", NULL, JSON_BAD, 0 },
		{ "data.99999999999999999999999", NULL, JSON_BAD, 0 },
		{ "data.id", NULL, JSON_BAD, 0 },
		{ "links.1.href", "\"x\\u0041\"", JSON_STRING, 0 },
		{ "n", "null", JSON_NULL, 0 },
		{ "absent", NULL, JSON_BAD, 0 },
		{ "dot", "1.50", JSON_NUMBER, 0 },
		{ "2", "\"key\"", JSON_STRING, 0 },
		{ "b\\\\s", "9", JSON_NUMBER, 0 },
		{ "b\\s", "9", JSON_NUMBER, 0 },
		{ "meta", "{\"next\":\"/p?c=2\",\"total\":3,\"a.b\":7}", JSON_OBJECT, 3 },
		{ "", doc, JSON_OBJECT, 8 },
		{ "met", NULL, JSON_BAD, 0 },
		{ "metaa", NULL, JSON_BAD, 0 },
	};
	struct json_pick all[COUNT(cases)];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		all[i] = (struct json_pick){ .path = str_from(cases[i].path) };
	assert_true(json_pick(STR(doc), JSON_DEPTH, all, COUNT(all), NULL, NULL));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct json_pick one = { .path = str_from(cases[i].path) };

		assert_true(json_pick(STR(doc), JSON_DEPTH, &one, 1, NULL, NULL));
		if (one.found != (cases[i].raw != NULL) || all[i].found != one.found)
			fail_msg("%s: found %d, %d", cases[i].path, one.found, all[i].found);
		if (!one.found)
			continue;
		assert_text(one.raw, cases[i].raw);
		assert_text(all[i].raw, cases[i].raw);
		assert_int_equal(one.type, cases[i].type);
		assert_int_equal(one.items, cases[i].items);
		assert_int_equal(all[i].items, cases[i].items);
	}
}

static void picking_duplicates_and_roots(void **state)
{
	static const struct {
		const char *doc, *path, *raw;
		bool twice;
	} cases[] = {
		{ "{\"a\":1,\"a\":2}", "a", "2", true },
		{ "{\"a\":1,\"b\":2,\"b\":3}", "a", "1", false },
		{ "{\"a\":[],\"d\\u0061\":0,\"\\u0061\":null}", "a", "null", true },
		{ "{\"a\":1,\"a\":2}", "a.b", NULL, true },
		{ "{\"a\":{\"b\":1,\"c\":{\"b\":2}},\"b\":3}", "a.b", "1", false },
		{ "{\"a\":[{\"b\":1},{\"b\":2}]}", "a.1.b", "2", false },
		{ "{\"a\":[{\"b\":1},{\"b\":2,\"b\":3}]}", "a.1.b", "3", true },
		{ "{\"a\":[{\"b\":1,\"b\":2},{\"b\":3}]}", "a.1.b", "3", false },
		{ "{\"a\":{\"b\":1},\"a\":{}}", "a.b", NULL, true },
		{ "{\"a\":{\"b\":1},\"a\":[{\"b\":3}]}", "a.b", NULL, true },
		{ "{\"a\":{\"b\":1},\"\\u0061\":{\"b\":4}}", "a.b", "4", true },
		{ "{\"a\":[1],\"a\":5}", "a.0", NULL, true },
		{ "{\"x\":{\"a\":1},\"a\":2,\"y\":{\"a\":3}}", "a", "2", false },
		{ " [10,[20,21]] ", "1.0", "20", false },
		{ " [10,[20,21]] ", "", "[10,[20,21]]", false },
		{ " [10,[20,21]] ", ".", "[10,[20,21]]", false },
		{ " 5 ", "", "5", false },
		{ " 5 ", "a", NULL, false },
		{ "{\"\":{\"\":5}}", "..", NULL, false },
		{ "{\"a\":{\"\":5}}", "a.", "5", false },
		{ "{\"\\ud800\":1}", "\xef\xbf\xbd", NULL, false },
		{ "{\"\\u00e9\":1}", "\xc3\xa9", "1", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct json_pick one = { .path = str_from(cases[i].path) };

		assert_true(json_pick(str_from(cases[i].doc), JSON_DEPTH, &one, 1, NULL, NULL));
		if (one.found != (cases[i].raw != NULL))
			fail_msg("%s in %s: found %d", cases[i].path, cases[i].doc, one.found);
		if (one.found)
			assert_text(one.raw, cases[i].raw);
		if (one.twice != cases[i].twice)
			fail_msg("%s in %s: twice %d", cases[i].path, cases[i].doc, one.twice);
	}
}

static void picking_checks_everything(void **state)
{
	struct json_pick one = { .path = STR("a") };
	const char *fault = NULL;
	size_t at = 0;

	(void)state;
	assert_false(json_pick(STR("{\"a\":1,\"b\":[1,2,{\"c\":tru}]}"), JSON_DEPTH, &one, 1, &fault, &at));
	assert_string_equal(fault, "true, false or null expected");
	assert_int_equal(at, 24);
	assert_false(json_pick(STR("[[[]]]"), 2, &one, 1, &fault, &at));
	assert_string_equal(fault, "nested too deep");
	assert_true(json_pick(STR("[]"), 2, NULL, 0, &fault, &at));
}

static void unescaping(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: lone surrogate */
		size_t n;
	} cases[] = {
		{ "", "", 0 },
		{ "plain", "plain", 5 },
		{ "\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8 },
		{ "a\\u0000b", "a\0b", 3 },
		{ "\\u007f\\u0080\\u07ff\\u0800\\uffff", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11 },
		{ "\\ud83d\\uDE00!", "\xf0\x9f\x98\x80!", 5 },
		{ "\\ud800\\udc00\\udbff\\udfff", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8 },
		{ "\xc3\xa9\\n", "\xc3\xa9\n", 3 },
		{ "\\ud800", NULL, 0 },
		{ "\\udc00", NULL, 0 },
		{ "\\ud800x", NULL, 0 },
		{ "\\ud800\\n1234", NULL, 0 },
		{ "\\ud800\\ud800", NULL, 0 },
		{ "\\udc00\\ud800", NULL, 0 },
		{ "\\ud800\\u0041", NULL, 0 },
	};
	struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str in = case_exact(str_from(cases[i].in)), out = STR_NONE, room = case_exact(in);
		bool ok = json_unescape(in, &a, &out);
		size_t n = 99;

		assert_int_equal(ok, cases[i].out != NULL);
		assert_int_equal(json_unescape_to(in, (char *)(uintptr_t)room.p, &n), ok);
		if (ok) {
			assert_int_equal(out.n, cases[i].n);
			assert_int_equal(n, cases[i].n);
			assert_memory_equal(out.p, cases[i].out, n);
			assert_memory_equal(room.p, cases[i].out, n);
		}
		free((void *)(uintptr_t)in.p);
		free((void *)(uintptr_t)room.p);
	}
	arena_free(&a);
}

static void trees(void **state)
{
	static const char doc[] = "{\"s\":\"x\\n\\u00e9\",\"i\":-7.0,\"u\":18446744073709551615,\"t\":true,\"f\":false,"
				  "\"n\":null,\"a\":[1,[],{\"k\":\"v\"}],\"o\":{}}";
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct json_node *root;
	const struct json_node *node = NULL;
	struct str s;
	int64_t i;
	uint64_t u;
	bool b;

	(void)state;
	assert_true(json_parse(STR(doc), &a, &root, &e));
	assert_int_equal(root->n_children, 8);
	assert_text(root->raw, doc);
	assert_true(json_need_str(root, "s", &s, &e));
	assert_text(s, "x\n\xc3\xa9");
	assert_true(json_need_i64(root, "i", &i, &e));
	assert_int_equal(i, -7);
	assert_true(json_need_u64(root, "u", &u, &e));
	assert_true(u == UINT64_MAX);
	assert_true(json_need_bool(root, "t", &b, &e) && b);
	assert_true(json_need_bool(root, "f", &b, &e) && !b);
	assert_true(json_need(root, "a", JSON_ARRAY, &node, &e));
	assert_text(node->raw, "[1,[],{\"k\":\"v\"}]");
	assert_int_equal(node->n_children, 3);
	assert_text(node->child->text, "1");
	assert_int_equal(node->child->next->n_children, 0);
	assert_text(json_get(node->child->next->next, "k")->text, "v");
	assert_null(node->child->next->next->next);
	assert_null(json_get(node, "k"));
	assert_null(json_get(NULL, "k"));
	assert_text(json_str_or(root, "n", STR("else")), "else");
	assert_text(json_str_or(root, "none", STR("else")), "else");
	assert_int_equal(json_i64_or(root, "none", 5), 5);
	assert_int_equal(json_i64_or(root, "i", 5), -7);
	assert_true(json_bool_or(root, "none", true) && !json_bool_or(root, "f", true));

	assert_false(json_need_str(root, "none", &s, &e));
	assert_int_equal(e.code, ERR_DAMAGE);
	assert_string_equal(e.message, "field \"none\" is missing");
	e = ERR_INIT;
	assert_false(json_need_i64(root, "u", &i, &e));
	assert_string_equal(e.message, "field \"u\" is 18446744073709551615, a whole number of 64 bits was expected");
	e = ERR_INIT;
	assert_false(json_need_u64(root, "i", &u, &e));
	assert_string_equal(e.message, "field \"i\" is -7.0, a whole number, not negative, of 64 bits was expected");
	e = ERR_INIT;
	assert_false(json_need_bool(root, "n", &b, &e));
	assert_string_equal(e.message, "field \"n\" is null, true or false was expected");
	e = ERR_INIT;
	assert_false(json_need(node, "k", JSON_STRING, &node, &e));
	assert_string_equal(e.message, "field \"k\": an array where an object was expected");
	arena_free(&a);
}

static void trees_refused(void **state)
{
	static const struct {
		const char *doc, *message;
	} cases[] = {
		{ "", "byte 0 (line 1, column 1): the document is empty" },
		{ "{\n  \"a\": 1,\n  \"\xc3\xa9\" 2}", "byte 19 (line 3, column 7): a colon expected" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", "byte 13 (line 1, column 14): duplicate key \"a\"" },
		{ "{\"a\":1,\"\\u0061\":3}", "byte 7 (line 1, column 8): duplicate key \"a\"" },
		{ "[{\"\":1,\"\":2}]", "byte 7 (line 1, column 8): duplicate key \"\"" },
		{ "{\"a\":\"\\ud800\"}", "byte 5 (line 1, column 6): a lone surrogate escape in a string" },
		{ "{\"\\udc00\":1}", "byte 1 (line 1, column 2): a lone surrogate escape in a string" },
		{ "{} x", "byte 3 (line 1, column 4): the document has ended, nothing may follow" },
	};
	struct arena a = ARENA_INIT;
	struct json_node *root;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = ERR_INIT;

		assert_false(json_parse(str_from(cases[i].doc), &a, &root, &e));
		assert_int_equal(e.code, ERR_JSON);
		assert_string_equal(e.message, cases[i].message);
	}
	arena_free(&a);
}

/* Many members: found, in order, and a duplicate among them is found without comparing all with all. */
static void trees_with_many_members(void **state)
{
	enum { N = 100000 };
	struct buf b = BUF_INIT(16 << 20);
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct json_node *root;
	struct json_out o = JSON_OUT(&b);

	(void)state;
	json_begin_object(&o, NULL);
	for (unsigned i = 0; i < N; i++) {
		char key[32];

		snprintf(key, sizeof key, "key %u", i);
		json_put_u64(&o, key, i);
	}
	json_end_object(&o);
	assert_true(json_parse(buf_str(&b), &a, &root, &e));
	assert_int_equal(root->n_children, N);
	assert_text(json_get(root, "key 99999")->text, "99999");
	arena_reset(&a);
	b.n--;
	json_put_null(&o, "key 700"); /* the first one in the document is named, not the first in the order of keys */
	json_put_null(&o, "key 500");
	json_put_null(&o, "key 900");
	json_end_object(&o);
	assert_false(json_parse(buf_str(&b), &a, &root, &e));
	assert_non_null(strstr(e.message, "duplicate key \"key 700\""));
	arena_free(&a);
	buf_free(&b);
}

static void trees_of_any_depth(void **state)
{
	char text[2 * JSON_DEPTH + 2];
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct json_node *root;

	(void)state;
	memset(text, '[', JSON_DEPTH + 1);
	memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
	assert_true(json_parse((struct str){ text + 1, 2 * JSON_DEPTH }, &a, &root, &e));
	assert_false(json_parse((struct str){ text, 2 * JSON_DEPTH + 2 }, &a, &root, &e));
	assert_non_null(strstr(e.message, "nested too deep"));
	arena_free(&a);
}

static void writing(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct json_out o = JSON_OUT(&b);

	(void)state;
	json_begin_object(&o, NULL);
	json_put_str(&o, "s", STR("a\"b\\c/\n\x01\x7f\xc3\xa9"));
	json_put_z(&o, "z", NULL);
	json_put_i64(&o, "i", INT64_MIN);
	json_put_u64(&o, "u", UINT64_MAX);
	json_put_bool(&o, "t", true);
	json_put_bool(&o, "f", false);
	json_begin_array(&o, "a");
	json_put_z(&o, NULL, "x");
	json_begin_object(&o, NULL);
	json_end_object(&o);
	json_begin_array(&o, NULL);
	json_end_array(&o);
	json_put_null(&o, NULL);
	json_end_array(&o);
	json_put_raw(&o, "r", STR("1.50"));
	json_put_key(&o, STR("data \"key\""));
	json_begin_object(&o, NULL);
	json_put_key(&o, STR(""));
	json_put_i64(&o, NULL, 1);
	json_put_key(&o, STR("y"));
	json_put_i64(&o, NULL, 2);
	json_end_object(&o);
	json_end_object(&o);
	assert_text(buf_str(&b), "{\"s\":\"a\\\"b\\\\c/\\n\\u0001\x7f\xc3\xa9\",\"z\":null,\"i\":-9223372036854775808,"
				 "\"u\":18446744073709551615,\"t\":true,\"f\":false,\"a\":[\"x\",{},[],null],\"r\":1.50,"
				 "\"data \\\"key\\\"\":{\"\":1,\"y\":2}}");
	assert_true(json_valid(buf_str(&b), JSON_DEPTH, NULL, NULL));
	buf_free(&b);
}

static void escaping(void **state)
{
#define FFFD "\xef\xbf\xbd"
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "", "\"\"" },
		{ "\xff", "\"" FFFD "\"" },
		{ "\xc3", "\"" FFFD "\"" },
		{ "a\xc3z", "\"a" FFFD "z\"" },
		{ "\xf0\x9f\x98", "\"" FFFD "\"" },
		{ "\xf0\x9f\x98z", "\"" FFFD "z\"" },
		{ "\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"" },
		{ "\xc0\xaf", "\"" FFFD FFFD "\"" },
		{ "\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\"" },
		{ "\xe2\x82\xac\x80", "\"\xe2\x82\xac" FFFD "\"" },
		{ "0123456789abcdef\x1f" "0123456789abcdef\xfe", "\"0123456789abcdef\\u001f0123456789abcdef" FFFD "\"" },
		{ "\b\f\t\r", "\"\\b\\f\\t\\r\"" },
	};
	struct buf b = BUF_INIT(65536);
	uint64_t r = 99;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_clear(&b);
		json_escape(&b, str_from(cases[i].in));
		assert_text(buf_str(&b), cases[i].want);
	}
	/* Any bytes give a valid document; good UTF-8 comes back as it was. */
	for (unsigned i = 0; i < 20000; i++) {
		char bytes[64], back[512];
		size_t n = (size_t)(case_random(&r) % sizeof bytes), n_back;
		struct str in = { bytes, n };

		for (size_t k = 0; k < n; k++)
			bytes[k] = (char)(i % 2 ? case_random(&r) : case_random(&r) % 128);
		buf_clear(&b);
		json_escape(&b, in);
		assert_true(json_valid(buf_str(&b), 1, NULL, NULL));
		if (!str_is_utf8(in))
			continue;
		assert_true(json_unescape_to(str_sub(buf_str(&b), 1, b.n - 2), back, &n_back));
		assert_int_equal(n_back, n);
		assert_memory_equal(back, bytes, n);
	}
	buf_free(&b);
	/* A buffer that is full says so. */
	b = BUF_INIT(8);
	json_escape(&b, STR("too long for it"));
	assert_true(b.overflow);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(picking),
		cmocka_unit_test(picking_duplicates_and_roots),
		cmocka_unit_test(picking_checks_everything),
		cmocka_unit_test(unescaping),
		cmocka_unit_test(trees),
		cmocka_unit_test(trees_refused),
		cmocka_unit_test(trees_with_many_members),
		cmocka_unit_test(trees_of_any_depth),
		cmocka_unit_test(writing),
		cmocka_unit_test(escaping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
