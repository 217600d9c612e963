/* Models as files: what is refused, their order, and when their meaning changes. */
#include "refine_case.h"

#include "refine/model_token.h"

#include <unistd.h>

/* ── meaning ── */

static struct sha256 digest(const char *sql)
{
	struct sha256_state s;
	sha256_begin(&s);
	sql_digest_add(&s, str_from(sql));
	return sha256_end(&s);
}

static void test_same_meaning(void **state)
{
	static const char *const pairs[][2] = {
		{ "SELECT 1", "  SELECT\n\t1 ;; -- the end" },
		{ "SELECT a/b FROM t", "SELECT a /*x*/ / /* y /* z */ */ b FROM t;" },
		{ "SELECT a-b", "SELECT a - b" },
		{ "SELECT a,b FROM p.t", "-- first\r\nSELECT a , b FROM p . t" },
		{ "SELECT 'x' \n 'y'", "SELECT 'x' -- comment\n'y'" },
		{ "SELECT 1.5e-3+.5", "SELECT 1.5e-3 + .5" },
		{ "", " -- nothing\n/* */ ;" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		if (!sha256_eq(digest(pairs[i][0]), digest(pairs[i][1])))
			fail_msg("should mean the same: %s", pairs[i][0]);
}

static void test_other_meaning(void **state)
{
	static const char *const pairs[][2] = {
		{ "SELECT ab", "SELECT a b" },
		{ "SELECT 'a  b'", "SELECT 'a b'" },
		{ "SELECT '-- a'", "SELECT '-- b'" },
		{ "SELECT '/*'", "SELECT '/* */'" },
		{ "SELECT \"a -- b\"", "SELECT \"a\"" },
		{ "SELECT 'it''s'", "SELECT 'it' 's'" },
		{ "SELECT 'x' 'y'", "SELECT 'x'\n'y'" },
		{ "SELECT x'ab'", "SELECT x 'ab'" },
		{ "SELECT e'\\' -- a'", "SELECT e'\\' -- b'" },
		{ "SELECT $$ -- a $$", "SELECT $$ -- b $$" },
		{ "SELECT $q$ $$ -- a $q$", "SELECT $q$ $$ -- b $q$" },
		{ "SELECT 1 - -1", "SELECT 1 --1" },
		{ "SELECT a < = b", "SELECT a <= b" },
		{ "SELECT a FROM t", "select a from t" },
		{ "SELECT 1;2", "SELECT 1 2" },
		{ "SELECT 'unfinished", "SELECT 'unfinished -- x" },
		{ "SELECT 1 /* */ + 1", "SELECT 1 /* + 1" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		if (sha256_eq(digest(pairs[i][0]), digest(pairs[i][1])))
			fail_msg("should not mean the same: %s", pairs[i][0]);
}

static void test_tokens(void **state)
{
	static const struct {
		const char *sql, *tokens;
	} cases[] = {
		{ "a.b,\"c\"\"d\"", "a|.|b|,|\"c\"\"d\"" },
		{ "1.5e+3-2e5 1e", "1.5e+3|-|2e5|1e" },
		{ "a||b::int>=3", "a||||b|::|int|>=|3" },
		{ "x+--y\n-1", "x|+|-|1" },
		{ "$1 $a$'$a$ $$", "$|1|$a$'$a$|$$" },
		{ "\xc3\xa9t\xc3\xa9=1", "\xc3\xa9t\xc3\xa9|=|1" },
		{ "'a''b' E'\\''x", "'a''b'|E'\\''|x" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tokens t = { .sql = str_from(cases[i].sql) };
		struct token token;
		struct buf b = BUF_INIT(1000);
		while (token_next(&t, &token)) {
			buf_add_z(&b, b.n > 0 ? "|" : "");
			buf_add(&b, token.text);
		}
		assert_text(buf_str(&b), cases[i].tokens);
		buf_free(&b);
	}
}

static void test_body(void **state)
{
	(void)state;
	assert_text(sql_body(STR("-- a\nSELECT 1; -- b\n;")), "-- a\nSELECT 1");
	assert_text(sql_body(STR("SELECT ';' ;")), "SELECT ';'");
	assert_text(sql_body(STR("SELECT 1 -- no newline")), "SELECT 1");
	assert_int_equal(sql_body(STR(" ; /* ; */ ")).n, 0);
	assert_int_equal(sql_body(STR_NONE).n, 0);
}

/* ── folders ── */

static const char CONTRACT[] = "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nstatus: active\n"
			       "schema:\n  - name: %.*s\n    properties:\n"
			       "      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}\n";

struct folder {
	struct arena a;
	char *path;
	struct str expect; /* the lines with -> and !! */
};

static char *path_of(struct folder *f, struct str name)
{
	return arena_zero_terminated(&f->a, arena_format(&f->a, "%s/%.*s", f->path, STR_ARG(name)));
}

static void folder_file(struct folder *f, struct str name, struct str text)
{
	OK(file_write(path_of(f, name), text, e));
	size_t slash = str_find_char(name, '/');
	if (!str_starts(name, STR("models/")) || !str_ends(name, STR(".sql")))
		return;
	struct str model = str_sub(name, slash + 1, name.n - slash - 5);
	char *contract = path_of(f, arena_format(&f->a, "contracts/%.*s.yaml", STR_ARG(model)));
	if (!file_exists(contract))
		OK(file_write(contract, arena_format(&f->a, CONTRACT, STR_ARG(model)), e));
}

static void folder_open(struct folder *f, struct str body)
{
	struct str rest = body, line, name = STR_NONE;
	struct buf text = BUF_INIT(1 << 16);

	OK(file_make_scratch(NULL, &f->a, &f->path, e));
	OK(file_make_dirs(path_of(f, STR("models")), e));
	OK(file_make_dirs(path_of(f, STR("contracts")), e));
	f->expect = STR_NONE;
	for (;;) {
		struct str before = rest;
		bool more = str_cut(&rest, '\n', &line);
		bool end = !more || str_starts(line, STR("-> ")) || str_starts(line, STR("!!")) || str_eq_z(line, "->");
		if (end || str_starts(line, STR("@"))) {
			if (name.n > 0)
				folder_file(f, name, buf_str(&text));
			buf_clear(&text);
			name = STR_NONE;
			if (end) {
				f->expect = before;
				break;
			}
			if (str_starts(line, STR("@@ "))) {
				unlink(path_of(f, str_sub(line, 3, line.n)));
				continue;
			}
			name = str_sub(line, 2, line.n);
			continue;
		}
		buf_add(&text, line);
		buf_add_char(&text, '\n');
	}
	buf_free(&text);
}

static void folder_close(struct folder *f)
{
	OK(file_remove_tree(f->path, e));
	arena_free(&f->a);
}

static const struct str RESOURCES[] = { { "flights", 7 }, { "weather", 7 } };

static bool folder_load(struct folder *f, struct models *m, struct problems *p)
{
	struct engine_result r;

	if (!models_load(str_from(f->path), RESOURCES, 2, &f->a, m, p))
		return false;
	struct str *sql = arena_array(&f->a, struct str, m->n + 1), *names = arena_array(&f->a, struct str, m->n + 1);
	for (size_t i = 0; i < m->n; i++) {
		sql[i] = m->v[i].sql;
		names[i] = m->v[i].name;
	}
	struct engine_job job = { .kind = ENGINE_GRAPH, .memory_bytes = 128 << 20, .sql = sql, .sql_names = names,
				  .n_sql = m->n };
	OK(graph_run(&job, &f->a, &r, e));
	return models_link(m, r.graph, r.n_graph, RESOURCES, 2, &f->a, p);
}

static void case_run(struct case_block c)
{
	struct folder f = { 0 };
	struct models m;
	struct str line;
	struct buf b = BUF_INIT(1 << 16);

	folder_open(&f, c.body);
	struct problems p = PROBLEMS_INIT(&f.a);
	bool ok = folder_load(&f, &m, &p);
	if (str_starts(f.expect, STR("->"))) {
		problems_print(&p, &b);
		if (!ok || p.n > 0)
			fail_msg("%.*s: %.*s", STR_ARG(c.name), STR_ARG(buf_str(&b)));
		buf_add_z(&b, "->");
		for (size_t i = 0; i < m.n; i++)
			buf_addf(&b, " %.*s", STR_ARG(m.v[i].name));
		str_cut(&f.expect, '\n', &line);
		if (!str_eq(buf_str(&b), line))
			fail_msg("%.*s: %.*s", STR_ARG(c.name), STR_ARG(buf_str(&b)));
	} else {
		size_t i = 0;
		for (; str_cut(&f.expect, '\n', &line) && str_starts(line, STR("!!")); i++) {
			struct str want = str_trim(str_sub(line, 2, line.n)), got = STR_NONE;
			if (i < p.n)
				got = arena_format(&f.a, "%s:%u:%u: %.*s", p.v[i].file, p.v[i].line, p.v[i].column,
						   STR_ARG(p.v[i].message));
			if (!str_contains(got, want))
				fail_msg("%.*s: \"%.*s\" where \"%.*s\" was expected", STR_ARG(c.name), STR_ARG(got),
					 STR_ARG(want));
		}
		assert_false(ok);
		if (p.n != i)
			fail_msg("%.*s: %zu problems", STR_ARG(c.name), p.n);
	}
	buf_free(&b);
	folder_close(&f);
}

static void test_folders(void **state)
{
	struct arena a = ARENA_INIT;
	struct case_file f = case_open(TEST_DATA "/refine/problem.txt", &a);
	struct case_block c;
	size_t n = 0;

	(void)state;
	for (; case_next(&f, &c); n++)
		case_run(c);
	assert_true(n > 12);
	arena_free(&a);
}

static void test_advice(void **state)
{
	struct folder f = { 0 };
	struct models m;

	(void)state;
	folder_open(&f, STR("@ models/a.sql\nSELECT id FROM prepare.flihgts\n"));
	struct problems p = PROBLEMS_INIT(&f.a);
	assert_false(folder_load(&f, &m, &p));
	assert_int_equal(p.n, 1);
	assert_text(p.v[0].advice, "did you mean prepare.flights?");
	folder_close(&f);
}

static void test_too_large(void **state)
{
	struct folder f = { 0 };
	struct models m;
	struct buf big = BUF_INIT(MODEL_MAX_BYTES + 100);

	(void)state;
	folder_open(&f, STR("->"));
	buf_add_z(&big, "SELECT 1 AS id --");
	memset(buf_room(&big, MODEL_MAX_BYTES), 'x', MODEL_MAX_BYTES);
	big.n += MODEL_MAX_BYTES;
	folder_file(&f, STR("models/a.sql"), buf_str(&big));
	struct problems p = PROBLEMS_INIT(&f.a);
	assert_false(models_load(str_from(f.path), NULL, 0, &f.a, &m, &p));
	assert_int_equal(p.n, 1);
	assert_true(str_contains(p.v[0].message, STR("larger than 1048576 bytes")));
	folder_file(&f, STR("models/a.sql"), STR("SELECT '\xff' AS id"));
	p = PROBLEMS_INIT(&f.a);
	assert_false(models_load(str_from(f.path), NULL, 0, &f.a, &m, &p));
	assert_true(str_contains(p.v[0].message, STR("UTF-8")));
	buf_free(&big);
	folder_close(&f);
}

static void test_digests(void **state)
{
	struct folder f = { 0 };
	struct models m, again;

	(void)state;
	folder_open(&f, STR("@ models/a.sql\nSELECT id FROM refine.b\n@ models/b.sql\nSELECT 1 AS id\n"));
	struct problems p = PROBLEMS_INIT(&f.a);
	assert_true(models_load(str_from(f.path), RESOURCES, 2, &f.a, &again, &p));
	struct sha256 unlinked = models_digest(&again, &f.a);
	assert_true(folder_load(&f, &m, &p));
	assert_text(m.v[0].name, "b");
	assert_true(sha256_eq(models_digest(&m, &f.a), unlinked)); /* whatever the order */
	struct sha256 meaning = m.v[0].meaning;

	folder_file(&f, STR("models/b.sql"), STR("SELECT 1 AS id -- a comment"));
	assert_true(models_load(str_from(f.path), RESOURCES, 2, &f.a, &again, &p));
	assert_true(sha256_eq(again.v[1].meaning, meaning));
	assert_false(sha256_eq(models_digest(&again, &f.a), unlinked)); /* texts: the engine must look again */

	folder_file(&f, STR("models/b.sql"), STR("SELECT 2 AS id"));
	assert_true(models_load(str_from(f.path), RESOURCES, 2, &f.a, &again, &p));
	assert_false(sha256_eq(again.v[1].meaning, meaning));

	folder_file(&f, STR("models/b.sql"), STR("SELECT 1 AS id"));
	struct str contract = arena_format(&f.a, CONTRACT, STR_ARG(STR("b")));
	folder_file(&f, STR("contracts/b.yaml"),
		    arena_format(&f.a, "%.*s      - {name: more, logicalType: integer}\n", STR_ARG(contract)));
	assert_true(models_load(str_from(f.path), RESOURCES, 2, &f.a, &again, &p));
	assert_false(sha256_eq(again.v[1].meaning, meaning));
	folder_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_meaning), cmocka_unit_test(test_other_meaning),
		cmocka_unit_test(test_tokens),	     cmocka_unit_test(test_body),
		cmocka_unit_test(test_folders),	     cmocka_unit_test(test_advice),
		cmocka_unit_test(test_too_large),    cmocka_unit_test(test_digests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
