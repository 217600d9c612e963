#include "unit.h"

#include "base/calendar.h"
#include "config/yaml.h"

#include <stdlib.h>

static struct yaml_node *parse(const char *text, struct arena *a)
{
	struct problems p = PROBLEMS_INIT(a);
	struct yaml_node *root = NULL;
	if (!yaml_parse("t.yaml", str_from(text), a, &root, &p))
		fail_msg("%.*s", STR_ARG(p.v[0].message));
	return root;
}

static void tree_and_places(void **state)
{
	struct arena a = ARENA_INIT;
	struct yaml_node *root = parse("a: 1\nb: {x: \"q\", y: [1, two], z: }\nc:\n  - k: v\n  - ~\n"
				       "d: |\n  text\n  more\n\xc3\xa9: x\n'5': ''\n", &a);
	(void)state;
	assert_int_equal(root->type, YAML_MAP);
	assert_int_equal(root->n_children, 6);
	struct yaml_node *b = yaml_get(root, "b"), *y = yaml_get(b, "y");
	assert_int_equal(b->key_line, 2);
	assert_int_equal(b->key_column, 1);
	assert_int_equal(b->column, 4);
	assert_text(yaml_get(b, "x")->text, "q");
	assert_true(yaml_get(b, "x")->quoted);
	assert_int_equal(yaml_get(b, "x")->column, 8); /* the quote */
	assert_int_equal(y->type, YAML_LIST);
	assert_int_equal(y->n_children, 2);
	assert_text(y->child->next->text, "two");
	assert_int_equal(y->child->next->column, 20);
	assert_true(yaml_is_null(yaml_get(b, "z")));
	assert_text(yaml_path(y->child->next, &a), "b.y.1");
	assert_text(yaml_path(yaml_get(root, "c")->child->child, &a), "c.0.k");
	assert_true(yaml_is_null(yaml_get(root, "c")->child->next));
	assert_text(yaml_get(root, "d")->text, "text\nmore\n");
	assert_int_equal(yaml_get(root, "\xc3\xa9")->column, 4); /* characters, not bytes */
	assert_false(yaml_is_null(yaml_get(root, "5"))); /* '' is a text */
	assert_null(yaml_get(root, "nothing"));
	assert_null(yaml_get(y, "x"));
	assert_null(yaml_get(NULL, "x"));
	arena_free(&a);
}

static void empty_files(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# only this\n", "---\n", "~\n", "\xef\xbb\xbf", "null" };
	struct arena a = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_null(parse(texts[i], &a));
	assert_text(yaml_get(parse("\xef\xbb\xbf" "a: 1\r\n", &a), "a")->text, "1");
	arena_free(&a);
}

static void first_problem(const char *text, size_t n, unsigned line, unsigned column, const char *part)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);
	struct yaml_node *root = NULL;
	assert_false(yaml_parse("t.yaml", (struct str){ text, n }, &a, &root, &p));
	assert_int_equal(p.n_errors, 1);
	if (p.v[0].line != line || p.v[0].column != column || !str_contains(p.v[0].message, str_from(part)))
		fail_msg("%u:%u %.*s", p.v[0].line, p.v[0].column, STR_ARG(p.v[0].message));
	arena_free(&a);
}

static void refused(void **state)
{
	(void)state;
	first_problem("a: \0b", 5, 1, 4, "control");
	first_problem("a: 1\nb: \x1b[0m", 13, 2, 4, "control");
	first_problem("a: 1\nb: \xff", 9, 2, 1, "UTF-8");
	first_problem("a: *x", 5, 1, 5, "aliases");
	first_problem("a: !!str x", 10, 1, 10, "tags");
	first_problem("{", 1, 2, 1, "YAML");
	first_problem("a: [1, 2", 8, 2, 1, "YAML");
	first_problem("[a]: 1", 6, 1, 1, "key");
	first_problem("a: 1\n...\nb: 2", 13, 2, 1, "second document");
}

/* Deep and long files end at our limits, in no time and on no stack. */
static void limits(void **state)
{
	static char text[(1 << 20) + 2];
	struct arena a = ARENA_INIT;
	(void)state;
	memset(text, '[', 100000);
	first_problem(text, 100000, 1, 65, "64 levels");
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	text[128] = 0;
	assert_non_null(parse(text, &a));
	memset(text, ' ', sizeof text);
	first_problem(text, (1 << 20) + 1, 0, 1, "1 MiB");
	size_t n = 0;
	for (int i = 0; i < 60000; i++) /* a map whose keys are compared pair by pair would take minutes */
		n += (size_t)snprintf(text + n, sizeof text - n, "k%d: 1\n", i);
	n += (size_t)snprintf(text + n, sizeof text - n, "k7: 1\n");
	first_problem(text, n, 60001, 1, "twice, first in line 8");
	arena_free(&a);
}

static void every_prefix_is_safe(void **state)
{
	static const char text[] = "a: {b: [1, \"x\\u00e9\", 'y''z'], c: ~}\nd:\n  - |\n    t\n  - >-\n    u\n? e\n: !!int 5\nf: &x *x\n";
	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		struct arena a = ARENA_INIT;
		struct problems p = PROBLEMS_INIT(&a);
		struct yaml_node *root;
		char *exact = malloc(n + 1); /* for the sanitizer: nothing behind it may be read */
		memcpy(exact, text, n);
		bool ok = yaml_parse("t.yaml", (struct str){ exact, n }, &a, &root, &p);
		assert_int_equal(ok, p.n_errors == 0);
		free(exact);
		arena_free(&a);
	}
}

static void readers(void **state)
{
	static const struct { const char *text; bool ok; uint64_t v; } sizes[] = {
		{ "4096", true, 4096 }, { "64MiB", true, 64 << 20 }, { "10kB", true, 10000 }, { "1 GiB", true, 1 << 30 },
		{ "0", true, 0 }, { "18446744073709551615", true, UINT64_MAX }, { "18446744073709551615kB", false, 0 },
		{ "-1", false, 0 }, { "1.5MiB", false, 0 }, { "MiB", false, 0 }, { "10Mb", false, 0 },
	};
	static const struct { const char *text; bool ok; int64_t us; } durations[] = {
		{ "30s", true, 30000000 }, { "500ms", true, 500000 }, { "0", true, 0 }, { "3d", true, 3 * US_PER_DAY },
		{ "-3s", false, 0 }, { "3", false, 0 }, { "x", false, 0 }, { "\"\"", false, 0 },
	};
	struct arena a = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct problems p = PROBLEMS_INIT(&a);
		uint64_t v = 0;
		assert_int_equal(yaml_size(parse(sizes[i].text, &a), &v, &p), sizes[i].ok);
		assert_int_equal(v, sizes[i].v);
	}
	for (size_t i = 0; i < COUNT(durations); i++) {
		struct problems p = PROBLEMS_INIT(&a);
		int64_t us = 0;
		assert_int_equal(yaml_duration(parse(durations[i].text, &a), &us, &p), durations[i].ok);
		assert_int_equal(us, durations[i].us);
	}
	static const char *const no_number[] = { "\"5\"", "-5", "5.0", "0x5", "5_0", "101", "0", "[5]", "99999999999999999999" };
	for (size_t i = 0; i < COUNT(no_number); i++) {
		struct problems p = PROBLEMS_INIT(&a);
		uint64_t v = 7;
		assert_false(yaml_u64(parse(no_number[i], &a), 1, 100, &v, &p));
		assert_int_equal(v, 7);
		assert_int_equal(p.n_errors, 1);
	}
	arena_free(&a);
}

static void problems_in_order(void **state)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);
	struct buf out = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	(void)state;
	assert_true(problems_to_err(&p, &e));
	problems_json(&p, &out);
	assert_text(buf_str(&out), "[]");
	buf_clear(&out);
	problem_file(&p, "b.yaml", 3, 1, NULL, "third\n%s", "line");
	problem_file(&p, "a.yaml", 9, 2, "do this", "second");
	problem_file(&p, "a.yaml", 0, 0, NULL, "first");
	problems_print(&p, &out);
	assert_text(buf_str(&out), "a.yaml: first\na.yaml:9:2: second\n    do this\nb.yaml:3:1: third\\x0aline\n");
	assert_false(problems_to_err(&p, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	assert_string_equal(e.message, "a.yaml: first (and 2 more)");
	buf_clear(&out);
	problems_json(&p, &out);
	assert_true(str_starts(buf_str(&out), STR("[{\"file\":\"a.yaml\",\"line\":0,\"column\":0,\"level\":\"error\","
						  "\"message\":\"first\",\"advice\":\"\"},")));
	for (int i = 0; i < 5000; i++)
		problem_file(&p, "c.yaml", 1, 1, NULL, "x");
	assert_int_equal(p.n, PROBLEMS_MAX);
	assert_int_equal(p.n_errors, 5003);
	buf_free(&out);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_and_places), cmocka_unit_test(empty_files), cmocka_unit_test(refused),
		cmocka_unit_test(limits),          cmocka_unit_test(every_prefix_is_safe),
		cmocka_unit_test(readers),         cmocka_unit_test(problems_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
