#include "json_case.h"

#include "base/json.h"

struct verdict {
	bool good;
	const char *fault;
	size_t fault_at;
};

static struct verdict by_next(struct str document, uint32_t depth)
{
	struct json_scan s;
	enum json_event ev;

	json_open(&s, document, depth);
	while ((ev = json_next(&s)) > JSON_DONE)
		assert_true(json_offset(&s) < document.n);
	assert_int_equal(json_next(&s), ev); /* it stays */
	return (struct verdict){ ev == JSON_DONE, s.fault, s.fault_at };
}

static struct verdict by_valid(struct str document, uint32_t depth)
{
	struct verdict v = { 0 };

	v.good = json_valid(document, depth, &v.fault, &v.fault_at);
	assert_int_equal(json_valid(document, depth, NULL, NULL), v.good);
	return v;
}

/* Skips each container and value at the first or second chance, by turns. */
static struct verdict by_skip(struct str document, uint32_t depth, unsigned turn)
{
	struct json_scan s;
	enum json_event ev;

	json_open(&s, document, depth);
	while ((ev = json_next(&s)) > JSON_DONE)
		if ((ev == JSON_OBJECT || ev == JSON_ARRAY || ev == JSON_KEY) && ++turn % 3 == 0) {
			uint32_t before = s.depth;

			if (json_skip(&s))
				assert_int_equal(s.depth, ev == JSON_KEY ? before : before - 1);
			else
				assert_int_equal(json_next(&s), JSON_BAD);
		}
	return (struct verdict){ ev == JSON_DONE, s.fault, s.fault_at };
}

static struct verdict by_pick(struct str document, uint32_t depth)
{
	struct json_pick picks[] = { { .path = STR("data.0.year") }, { .path = STR("a") }, { .path = STR("1.2") } };
	struct verdict v = { 0 };

	v.good = json_pick(document, depth, picks, COUNT(picks), &v.fault, &v.fault_at);
	return v;
}

static void assert_same(struct verdict a, struct verdict b)
{
	assert_int_equal(a.good, b.good);
	if (a.good)
		return;
	assert_string_equal(a.fault, b.fault);
	assert_int_equal(a.fault_at, b.fault_at);
}

/* All ways of reading must agree; gives what they say. */
static struct verdict judge(struct str view, uint32_t depth)
{
	struct str document = case_exact(view);
	struct verdict v = by_next(document, depth);

	assert_same(v, by_valid(document, depth));
	for (unsigned turn = 0; turn < 3; turn++)
		assert_same(v, by_skip(document, depth, turn));
	assert_same(v, by_pick(document, depth));
	free((void *)(uintptr_t)document.p);
	return v;
}

static void documents(void **state)
{
	struct case_file c;

	(void)state;
	case_open(&c, "json/documents.txt");
	while (case_next(&c)) {
		bool good = strcmp(c.fields[0], "good") == 0;
		struct verdict v = judge(case_bytes(c.fields[good ? 1 : 3]), JSON_DEPTH);

		assert_int_equal(c.n_fields, good ? 2 : 4);
		if (v.good != good)
			fail_msg("line %zu: %s, \"%s\"", c.n_lines, good ? v.fault : "accepted", c.fields[good ? 1 : 3]);
		if (good)
			continue;
		if (!strstr(v.fault, c.fields[2]) || v.fault_at != strtoul(c.fields[1], NULL, 10))
			fail_msg("\"%s\" at %zu where \"%s\" at %s was expected: %s", v.fault, v.fault_at, c.fields[2],
				 c.fields[1], c.fields[3]);
	}
}

static void no_document(void **state)
{
	(void)state;
	struct verdict v = by_next(STR_NONE, JSON_DEPTH);

	assert_false(v.good);
	assert_string_equal(v.fault, "the document is empty");
	assert_false(json_valid(STR_NONE, JSON_DEPTH, NULL, NULL));
}

static void every_prefix_is_refused_at_its_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(case_samples); i++) {
		struct str whole = str_trim(str_from(case_samples[i]));

		assert_true(judge(whole, JSON_DEPTH).good);
		for (size_t n = 0; n < whole.n; n++) {
			struct verdict v = judge(str_sub(whole, 0, n), JSON_DEPTH);

			assert_false(v.good);
			assert_int_equal(v.fault_at, n);
		}
	}
}

/* Strings of each length with each interesting byte at each place: the borders of words and blocks. */
static void every_place_in_a_string(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool good;
	} cases[] = { { "\n", 1, false },   { "\0", 1, false },	      { "\x1f", 1, false },    { "\x7f", 1, true },
		      { " ", 1, true },	    { "!", 1, true },	      { "#", 1, true },	       { "[", 1, true },
		      { "]", 1, true },	    { "\\\"", 2, true },      { "\\x", 2, false },     { "\x80", 1, false },
		      { "\xa2", 1, false }, { "\xc2\xa2", 2, true },  { "\xff", 1, false },    { "\xdc", 1, false },
		      { "\xf0\x9f\x98\x80", 4, true } };
	char text[80];

	(void)state;
	for (size_t length = 0; length < 40; length++)
		for (size_t place = 0; place <= length; place++)
			for (size_t k = 0; k < COUNT(cases); k++) {
				size_t n = 0;
				struct verdict v;

				text[n++] = '"';
				memset(text + n, 'x', length);
				memcpy(text + n + place, cases[k].bytes, cases[k].n);
				if (place + cases[k].n > length)
					n += place + cases[k].n;
				else
					n += length;
				text[n++] = '"';
				v = by_valid((struct str){ text, n }, 1);
				assert_same(v, by_next((struct str){ text, n }, 1));
				assert_int_equal(v.good, cases[k].good);
				if (!v.good)
					assert_int_equal(v.fault_at, 1 + place + (cases[k].bytes[0] == '\\'));
			}
}

/* Each two bytes as the inside of a string against the plain reading of RFC 3629, and each byte after digits. */
static void every_pair_of_bytes(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			char text[] = { '"', (char)a, (char)b, '"', ' ', ' ', ' ', ' ', ' ', ' ',
					' ', ' ',     ' ',     ' ', ' ', ' ', ' ', ' ', ' ', ' ' };
			bool plain_a = a >= 0x20 && a < 0x80 && a != '"' && a != '\\';
			bool plain_b = b >= 0x20 && b < 0x80 && b != '"' && b != '\\';
			bool good = (plain_a && plain_b) || (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf) ||
				    (a == '\\' && b && strchr("\"\\/bfnrt", (int)b));

			assert_int_equal(json_valid((struct str){ text, sizeof text }, 1, NULL, NULL), good);
			assert_int_equal(json_valid((struct str){ text, 4 }, 1, NULL, NULL), good);
		}
	for (size_t n = 1; n < 36; n++)
		for (unsigned c = 0; c < 256; c++) {
			char text[64] = "[";
			bool digit = c >= '0' && c <= '9', space = c == ' ' || c == '\t' || c == '\n' || c == '\r';

			memset(text + 1, '7', n);
			text[1 + n] = (char)c;
			memset(text + 2 + n, ' ', 16);
			text[18 + n] = ']';
			assert_int_equal(by_valid((struct str){ text, 19 + n }, 1).good, digit || space);
		}
}

static void depth(void **state)
{
	enum { N = 100000 };
	char *text = malloc(2 * N);
	static const uint32_t depths[] = { 0, 1, 2, 63, 64, 65, 127, 128, 129, 1023, 1024 };

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < COUNT(depths); i++) {
		uint32_t d = depths[i];
		struct verdict v;

		memset(text, '[', d + 1);
		memset(text + d + 1, ']', d + 1);
		v = judge((struct str){ text, 2 * d + 2 }, d);
		assert_false(v.good);
		assert_string_equal(v.fault, "nested too deep");
		assert_int_equal(v.fault_at, d);
		if (d)
			assert_true(judge((struct str){ text + 1, 2 * d }, d).good);
	}
	memset(text, '[', 2 * N);
	assert_int_equal(judge((struct str){ text, 2 * N }, JSON_DEPTH_MAX).fault_at, JSON_DEPTH_MAX);
	/* Brackets of both kinds at each level must match. */
	for (unsigned seed = 1; seed < 200; seed++) {
		uint64_t r = seed;
		size_t n = 0, levels = 1 + seed % 120;
		char closing[128];

		for (size_t i = 0; i < levels; i++) {
			bool object = case_random(&r) & 1;

			if (object) {
				memcpy(text + n, "{\"k\":", 5);
				n += 5;
			} else {
				text[n++] = '[';
			}
			closing[levels - 1 - i] = object ? '}' : ']';
		}
		memcpy(text + n, "0", 1);
		memcpy(text + n + 1, closing, levels);
		assert_true(judge((struct str){ text, n + 1 + levels }, JSON_DEPTH).good);
		text[n + 1 + seed % levels] ^= '}' ^ ']';
		assert_int_equal(judge((struct str){ text, n + 1 + levels }, JSON_DEPTH).fault_at, n + 1 + seed % levels);
	}
	free(text);
}

static void events_and_addresses(void **state)
{
	static const struct {
		enum json_event event;
		size_t offset;
		const char *value;
		bool escaped;
	} want[] = {
		{ JSON_OBJECT, 1, "{", false },	      { JSON_KEY, 3, "a", false },     { JSON_NUMBER, 9, "-1.50e3", false },
		{ JSON_KEY, 17, "b\\n", true },	      { JSON_ARRAY, 23, "[", false },  { JSON_TRUE, 24, "true", false },
		{ JSON_FALSE, 29, "false", false },   { JSON_NULL, 35, "null", false }, { JSON_STRING, 40, "\\\\", true },
		{ JSON_STRING, 45, "", false },	      { JSON_OBJECT, 48, "{", false }, { JSON_OBJECT_END, 49, "}", false },
		{ JSON_ARRAY_END, 50, "]", false },   { JSON_OBJECT_END, 51, "}", false },
	};
	struct json_scan s;

	(void)state;
	json_open(&s, STR(" { \"a\" : -1.50e3,\"b\\n\":[true,false,null,\"\\\\\",\"\",{}]} "), JSON_DEPTH);
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(json_next(&s), want[i].event);
		assert_int_equal(json_offset(&s), want[i].offset);
		assert_text(s.value, want[i].value);
		if (want[i].event == JSON_KEY || want[i].event == JSON_STRING)
			assert_int_equal(s.escaped, want[i].escaped);
	}
	assert_int_equal(json_next(&s), JSON_DONE);
	assert_int_equal(json_next(&s), JSON_DONE);
}

static void skipping(void **state)
{
	struct json_scan s;

	(void)state;
	json_open(&s, STR("{\"a\": \"x\\\"\" ,\"b\": {\"c\":[1,{}]},\"d\":[ [1], 2 ] , \"e\" : -1e5}"), JSON_DEPTH);
	assert_int_equal(json_next(&s), JSON_OBJECT);
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_true(json_skip(&s));
	assert_text(s.value, "\"x\\\"\"");
	assert_int_equal(json_offset(&s), 6);
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_true(json_skip(&s));
	assert_text(s.value, "{\"c\":[1,{}]}");
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_int_equal(json_next(&s), JSON_ARRAY);
	assert_int_equal(json_next(&s), JSON_ARRAY);
	assert_true(json_skip(&s));
	assert_text(s.value, "[1]");
	assert_int_equal(json_next(&s), JSON_NUMBER);
	assert_int_equal(json_next(&s), JSON_ARRAY_END);
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_true(json_skip(&s));
	assert_text(s.value, "-1e5");
	assert_int_equal(json_next(&s), JSON_OBJECT_END);
	assert_int_equal(json_next(&s), JSON_DONE);
	json_open(&s, STR("[1"), JSON_DEPTH);
	assert_int_equal(json_next(&s), JSON_ARRAY);
	assert_false(json_skip(&s));
	assert_false(json_skip(&s));
	assert_int_equal(json_next(&s), JSON_BAD);
	assert_int_equal(s.fault_at, 2);
}

static void ways_of_reading_agree_on_mutations(void **state)
{
	static const char bytes[] = "{}[]\",:\\/0123456789.eE+-truefalsn u\t\n\x01\x80\xc3\xa9\xed\xff";
	uint64_t r = 20130101;

	(void)state;
	for (unsigned i = 0; i < 6000; i++) {
		struct str sample = str_from(case_samples[i % COUNT(case_samples)]);
		char text[512];
		size_t n = sample.n;

		memcpy(text, sample.p, n);
		for (uint64_t k = 1 + case_random(&r) % 3; k > 0; k--)
			text[case_random(&r) % n] = bytes[case_random(&r) % (sizeof bytes - 1)];
		judge((struct str){ text, n }, 16 + i % 8);
	}
}

/* A right guess gives the value's event, any other what json_next() would have given; never past the end. */
static void guesses(void **state)
{
	static const struct {
		const char *document, *key;
		enum json_event first, second; /* after the opening brace, and after that */
	} cases[] = {
		{ "{\"a\":1}", "\"a\"", JSON_NUMBER, JSON_OBJECT_END },
		{ " {  \"a\"  :  [ ] }", "\"a\"", JSON_ARRAY, JSON_ARRAY_END },
		{ "{\"ab\":1}", "\"a\"", JSON_KEY, JSON_NUMBER },
		{ "{\"a\":1}", "\"ab\"", JSON_KEY, JSON_NUMBER },
		{ "{\"long_name_1\":null}", "\"long_name_1\"", JSON_NULL, JSON_OBJECT_END },
		{ "{\"long_name_1\":null}", "\"long_name_2\"", JSON_KEY, JSON_NULL },
		{ "{\"1_long_name\":null}", "\"2_long_name\"", JSON_KEY, JSON_NULL },
		{ "{}", "\"a\"", JSON_OBJECT_END, JSON_DONE },
		{ "{\"a\"", "\"a\"", JSON_BAD, JSON_BAD },
		{ "{\"a\":", "\"a\"", JSON_BAD, JSON_BAD },
		{ "{\"a", "\"a\"", JSON_BAD, JSON_BAD },
		{ "{\"a\" 1}", "\"a\"", JSON_BAD, JSON_BAD },
		{ "{,\"a\":1}", "\"a\"", JSON_BAD, JSON_BAD },
		{ "{", "\"a\"", JSON_BAD, JSON_BAD },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = strlen(cases[i].document);
		char *exact = malloc(n); /* so that a sanitizer sees what is read behind it */
		struct json_scan s;

		memcpy(exact, cases[i].document, n);
		json_open(&s, (struct str){ exact, n }, 4);
		assert_int_equal(json_next(&s), JSON_OBJECT);
		enum json_event first = json_next_guess(&s, str_from(cases[i].key)), second = json_next(&s);
		if (first != cases[i].first || second != cases[i].second)
			fail_msg("%s: %d, %d", cases[i].document, first, second);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guesses),
		cmocka_unit_test(documents),
		cmocka_unit_test(no_document),
		cmocka_unit_test(every_prefix_is_refused_at_its_end),
		cmocka_unit_test(every_place_in_a_string),
		cmocka_unit_test(every_pair_of_bytes),
		cmocka_unit_test(depth),
		cmocka_unit_test(events_and_addresses),
		cmocka_unit_test(skipping),
		cmocka_unit_test(ways_of_reading_agree_on_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
