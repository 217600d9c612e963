/* How spark-submit is called: test/case/run/spark_command.txt. No Spark is started. */
#include "unit.h"

#include "base/buf.h"
#include "base/file.h"
#include "run/spark_session.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { ONLY_MAX = 4 };

struct world {
	struct arena a;
	char *folder;
	/* of a case */
	struct str scratch, only[ONLY_MAX];
	size_t n_only;
};

static void program_put(struct world *w, const char *name)
{
	struct err e = ERR_INIT;
	const char *path = arena_format(&w->a, "%s/%s", w->folder, name).p;
	assert_true(file_write(path, STR("#!/bin/sh\n"), &e));
	assert_int_equal(chmod(path, 0755), 0);
}

static int world_open(void **state)
{
	struct world *w = mem_alloc(sizeof *w);
	struct err e = ERR_INIT;
	*w = (struct world){ .a = ARENA_INIT };
	assert_true(file_make_scratch(NULL, &w->a, &w->folder, &e));
	assert_true(file_make_dirs(arena_format(&w->a, "%s/bin", w->folder).p, &e));
	assert_true(file_make_dirs(arena_format(&w->a, "%s/sluice_spark", w->folder).p, &e));
	program_put(w, "bin/spark-submit");
	program_put(w, "bin/python3");
	program_put(w, "bin/java");
	program_put(w, "sluice_spark/main.py");
	assert_true(file_make_dirs(arena_format(&w->a, "%s/other", w->folder).p, &e));
	assert_true(file_make_dirs(arena_format(&w->a, "%s/own", w->folder).p, &e));
	program_put(w, "bin/spark-class");
	program_put(w, "other/spark-submit");
	program_put(w, "other/spark-class");
	program_put(w, "own/spark-submit");
	setenv("SPARK_HOME", w->folder, 1);
	setenv("JAVA_HOME", w->folder, 1);
	setenv("SLUICE_SPARK", w->folder, 1);
	setenv("SLUICE_LIBRARY", "/libsluice.so", 1);
	unsetenv("SPARK_LOCAL_IP");
	*state = w;
	return 0;
}

static int world_close(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	assert_true(file_remove_tree(w->folder, &e));
	arena_free(&w->a);
	mem_free(w);
	return 0;
}

/* "> conf NAME VALUE" */
static void setting_read(struct world *w, struct spark_settings *s, struct str line)
{
	struct str kind, name, rest = str_trim(str_sub(line, 1, line.n));
	str_cut(&rest, ' ', &kind);
	if (str_eq_z(kind, "master")) {
		s->master = rest;
		return;
	}
	if (str_eq_z(kind, "submit")) {
		s->submit = arena_format(&w->a, "%s/%.*s", w->folder, STR_ARG(rest));
		return;
	}
	if (str_eq_z(kind, "scratch")) {
		w->scratch = rest;
		return;
	}
	if (str_eq_z(kind, "only")) {
		assert_true(w->n_only < ONLY_MAX);
		w->only[w->n_only++] = rest;
		return;
	}
	assert_true(str_cut(&rest, ' ', &name));
	if (str_eq_z(kind, "env")) {
		setenv(arena_zero_terminated(&w->a, name), arena_zero_terminated(&w->a, rest), 1);
		return;
	}
	assert_text(kind, "conf");
	assert_true(s->n_conf < 16);
	s->names[s->n_conf] = name;
	s->values[s->n_conf++] = rest;
}

static void words_put(struct world *w, struct buf *b, const char *const *words)
{
	size_t folder = strlen(w->folder);
	for (; *words; words++) {
		const char *at = strstr(*words, w->folder);
		bool wanted = true;
		for (size_t i = 0; i < w->n_only; i++)
			wanted = wanted && strstr(*words, arena_zero_terminated(&w->a, w->only[i]));
		if (!wanted)
			continue;
		if (at)
			buf_addf(b, "%.*s@%s\n", (int)(at - *words), *words, at + folder);
		else
			buf_addf(b, "%s\n", *words);
	}
}

static void case_run(struct world *w, struct str name, struct str text)
{
	static const char *const job[] = { "JOB" };
	struct str names[16], values[16], line, wanted = text;
	struct spark_settings s = { .names = names, .values = values };
	struct spark_machine m = { .memory_bytes = 256 << 20, .threads = 3 };
	struct spark_command c;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT(1 << 16);
	w->scratch = STR("/spill");
	w->n_only = 0;
	setenv("SPARK_HOME", w->folder, 1);
	unsetenv("PYSPARK_PYTHON");
	unsetenv("PYSPARK_DRIVER_PYTHON");
	unsetenv("PYSPARK_DRIVER_PYTHON_OPTS");
	while (str_starts(wanted, STR(">")) && str_cut(&wanted, '\n', &line))
		setting_read(w, &s, line);
	m.scratch = w->scratch;
	if (!spark_command(&s, &m, job, 1, &w->a, &c, &e))
		fail_msg("%.*s: %s", STR_ARG(name), e.message);
	words_put(w, &b, c.argv);
	words_put(w, &b, c.environment);
	if (!str_eq(str_trim(buf_str(&b)), str_trim(wanted)))
		fail_msg("%.*s:\n%.*s", STR_ARG(name), STR_ARG(buf_str(&b)));
	buf_free(&b);
}

static void test_cases(void **state)
{
	struct world *w = *state;
	struct str rest, name;
	struct err e = ERR_INIT;
	size_t n = 0;
	assert_true(file_read(TEST_DATA "/run/spark_command.txt", 1 << 20, &w->a, &rest, &e));
	for (size_t at; (at = str_find(rest, STR("\n== "))) < rest.n; n++) {
		rest = str_sub(rest, at + 4, rest.n);
		str_cut(&rest, '\n', &name);
		case_run(w, name, str_sub(rest, 0, str_find(rest, STR("\n== "))));
	}
	assert_true(n >= 3);
}

/* What is missing is named before anything is started. */
static void test_missing(void **state)
{
	struct world *w = *state;
	struct spark_settings s = { .submit = STR("/nowhere/spark-submit") };
	struct spark_machine m = { .threads = 1, .scratch = STR("/spill") };
	struct spark_command c;
	struct err e = ERR_INIT;
	assert_false(spark_command(&s, &m, NULL, 0, &w->a, &c, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	assert_non_null(strstr(e.message, "/nowhere/spark-submit"));
	e = ERR_INIT;
	s.submit = STR_NONE;
	setenv("JAVA_HOME", "/nowhere", 1);
	assert_false(spark_command(&s, &m, NULL, 0, &w->a, &c, &e));
	assert_non_null(strstr(e.message, "/nowhere/bin/java"));
	setenv("JAVA_HOME", w->folder, 1);
	setenv("SLUICE_SPARK", "/nowhere", 1);
	e = ERR_INIT;
	assert_false(spark_command(&s, &m, NULL, 0, &w->a, &c, &e));
	assert_non_null(strstr(e.message, "SLUICE_SPARK=/nowhere"));
	setenv("SLUICE_SPARK", w->folder, 1);
	e = ERR_INIT;
	setenv("PYSPARK_PYTHON", "/nowhere/python3", 1);
	assert_false(spark_command(&s, &m, NULL, 0, &w->a, &c, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	assert_non_null(strstr(e.message, "/nowhere/python3"));
	unsetenv("PYSPARK_PYTHON");
	e = ERR_INIT;
	m.scratch = STR("/a,b/spark"); /* would be /a, and b/spark in whatever folder this is */
	assert_false(spark_command(&s, &m, NULL, 0, &w->a, &c, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	assert_non_null(strstr(e.message, "/a,b/spark"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cases, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_missing, world_open, world_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
