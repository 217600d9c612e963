/* spark-submit, the package sluice_spark and libsluice.so: where they are, and how they are called.
 *
 *   spark-submit   engine.spark.submit, $SPARK_HOME/bin, PATH
 *   main.py        $SLUICE_SPARK, a folder that holds sluice_spark/; ../lib/sluice/spark from the program's folder; beside the
 *                  Python that spark-submit belongs to (an installed wheel); where it was built
 *   libsluice.so   $SLUICE_LIBRARY; ../lib from the program's folder; else what the package finds itself
 *
 * Settings on which answers depend are the package's (spark/sluice_spark/settings.py). Here are those without which Spark
 * does not start well on one machine; `engine.spark.conf` stands behind them and so is stronger. */
#include "run/spark_session.h"

#include "base/effect.h"
#include "driver/child.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SLUICE_SPARK_BUILD_PATH /* built to be somewhere else: then only what is beside the program counts */
#define SLUICE_SPARK_BUILD_PATH NULL
#endif

enum { WORDS_MAX = 1024, SPARK_LEAST_BYTES = 1 << 30 };

struct words {
	const char *v[WORDS_MAX];
	size_t n;
};

static bool there(const char *path, int mode)
{
	return sys_access(path, mode) == 0;
}

static const char *from_path(const char *program, struct arena *a)
{
	const char *path = getenv("PATH");
	struct str rest = path ? str_from(path) : STR_NONE, folder;
	while (str_cut(&rest, ':', &folder)) {
		const char *file = arena_format(a, "%.*s/%s", STR_ARG(folder), program).p;
		if (folder.n > 0 && there(file, X_OK))
			return file;
	}
	return NULL;
}

static struct str folder_of(struct str path)
{
	while (path.n > 0 && path.p[path.n - 1] != '/')
		path.n--;
	return path.n > 1 ? str_sub(path, 0, path.n - 1) : path;
}

static const char *set(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static const char *submit_find(const struct spark_settings *s, struct arena *a, struct err *e)
{
	const char *home = set("SPARK_HOME"), *file = NULL;
	if (s->submit.n > 0) {
		file = arena_zero_terminated(a, s->submit);
		if (there(file, X_OK))
			return file;
		err_set(e, ERR_CONFIG, "engine.spark.submit: %s is no program that can be started", file);
		return NULL;
	}
	if (home)
		file = arena_format(a, "%s/bin/spark-submit", home).p;
	if (file && there(file, X_OK))
		return file;
	file = from_path("spark-submit", a);
	if (file)
		return file;
	err_set(e, ERR_CONFIG, "Spark is wanted, and spark-submit is neither in $SPARK_HOME/bin nor in PATH");
	err_hint(e, "install it (pip install pyspark==3.5.7 pyarrow), name it in engine.spark.submit, or use --engine duckdb");
	return NULL;
}

static bool java_check(struct arena *a, struct err *e)
{
	const char *home = set("JAVA_HOME");
	if (home ? there(arena_format(a, "%s/bin/java", home).p, X_OK) : from_path("java", a) != NULL)
		return true;
	err_set(e, ERR_CONFIG, home ? "Spark needs a Java, and %s/bin/java is none" : "Spark needs a Java, and there is none in PATH%s",
		home ? home : "");
	return err_hint(e, "install Java 17 and set JAVA_HOME, or use --engine duckdb");
}

static const char *package_find(const char *submit, struct arena *a, struct err *e)
{
	struct str self = folder_of(str_from(child_self_path())), bin = folder_of(str_from(submit));
	const char *given = set("SLUICE_SPARK");
	const char *tries[] = {
		given ? given : arena_format(a, "%.*s/../lib/sluice/spark", STR_ARG(self)).p,
		given ? NULL : arena_format(a, "%.*s/../share/sluice/spark", STR_ARG(self)).p,
		given ? NULL : SLUICE_SPARK_BUILD_PATH,
	};
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		const char *file = tries[i] ? arena_format(a, "%s/sluice_spark/main.py", tries[i]).p : NULL;
		if (file && there(file, R_OK))
			return file;
	}
	for (unsigned minor = 9; !given && minor < 20; minor++) {
		const char *file = arena_format(a, "%.*s/../lib/python3.%u/site-packages/sluice_spark/main.py", STR_ARG(bin), minor).p;
		if (there(file, R_OK))
			return file;
	}
	err_set(e, ERR_CONFIG, "the Python package sluice_spark is not found%s%s", given ? " in SLUICE_SPARK=" : "", given ? given : "");
	err_hint(e, "set SLUICE_SPARK to the folder that holds sluice_spark/");
	return NULL;
}

static void word(struct words *w, const char *text)
{
	if (w->n < WORDS_MAX - 1)
		w->v[w->n++] = text;
}

static struct str conf_given(const struct spark_settings *s, const char *name)
{
	for (size_t i = 0; i < s->n_conf; i++)
		if (str_eq_z(s->names[i], name))
			return s->values[i];
	return STR_NONE;
}

static void conf_put(struct words *w, const struct spark_settings *s, const char *name, struct str value, struct arena *a)
{
	if (conf_given(s, name).n > 0)
		return;
	word(w, "--conf");
	word(w, arena_format(a, "%s=%.*s", name, STR_ARG(value)).p);
}

/* As Spark's launcher takes words apart. */
static struct str java_word(struct str text, struct arena *a)
{
	char *out = arena_array(a, char, 2 * text.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (strchr(" \t\"'\\", text.p[i]))
			out[n++] = '\\';
		out[n++] = text.p[i];
	}
	return (struct str){ out, n };
}

/* JVMs in UTC, and with letters that are the same everywhere, whatever else they are told. */
static void java_put(struct words *w, const struct spark_settings *s, const char *name, struct str more, struct arena *a)
{
	struct str given = conf_given(s, name);
	word(w, "--conf");
	word(w, arena_format(a, "%s=-Duser.timezone=UTC -Duser.language=en%.*s%s%.*s", name, STR_ARG(more), given.n > 0 ? " " : "",
			     STR_ARG(given)).p);
}

static void confs_put(struct words *w, const struct spark_settings *s, const struct spark_machine *m, bool local, struct arena *a)
{
	uint64_t memory = m->memory_bytes > SPARK_LEAST_BYTES ? m->memory_bytes : SPARK_LEAST_BYTES;

	conf_put(w, s, "spark.ui.enabled", STR("false"), a);
	conf_put(w, s, "spark.log.level", STR("WARN"), a); /* last words are to be of what went wrong */
	conf_put(w, s, "spark.sql.catalogImplementation", STR("in-memory"), a); /* nothing of ours in somebody's catalog */
	conf_put(w, s, "spark.sql.warehouse.dir", arena_format(a, "%.*s/warehouse", STR_ARG(m->scratch)), a);
	if (local) {
		conf_put(w, s, "spark.driver.bindAddress", STR("127.0.0.1"), a);
		conf_put(w, s, "spark.driver.host", STR("127.0.0.1"), a);
		conf_put(w, s, "spark.authenticate", STR("true"), a); /* others on this machine reach its ports; the secret is Spark's own */
		conf_put(w, s, "spark.driver.memory", arena_format(a, "%" PRIu64 "m", memory >> 20), a);
		conf_put(w, s, "spark.local.dir", m->scratch, a);
		conf_put(w, s, "spark.sql.shuffle.partitions", arena_format(a, "%u", 2 * (m->threads > 0 ? m->threads : 1)), a);
	}
	for (size_t i = 0; i < s->n_conf; i++) {
		if (str_ends(s->names[i], STR(".extraJavaOptions")))
			continue;
		word(w, "--conf");
		word(w, arena_format(a, "%.*s=%.*s", STR_ARG(s->names[i]), STR_ARG(s->values[i])).p);
	}
	/* What a JVM unpacks would stay in /tmp if it is killed. */
	java_put(w, s, "spark.driver.extraJavaOptions",
		 arena_format(a, " -Djava.io.tmpdir=%.*s", STR_ARG(java_word(m->scratch, a))), a);
	java_put(w, s, "spark.executor.extraJavaOptions", STR_NONE, a);
}

/* Spark's scripts start the Spark of SPARK_HOME, and not the one that they are of. */
static bool names_another_spark(const char *submit, struct arena *a)
{
	const char *home = set("SPARK_HOME");
	struct stat x, y;
	if (!home || sys_stat(submit, &x) != 0 || !there(arena_format(a, "%.*s/spark-class", STR_ARG(folder_of(str_from(submit)))).p, X_OK))
		return false; /* somebody's own script knows what it does */
	return sys_stat(arena_format(a, "%s/bin/spark-submit", home).p, &y) != 0 || x.st_dev != y.st_dev || x.st_ino != y.st_ino;
}

static bool is_python(const char *program)
{
	const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
	return strncmp(name, "python", 6) == 0 || strncmp(name, "pypy", 4) == 0;
}

static void environment_put(struct words *w, const char *submit, bool local, struct arena *a)
{
	struct str self = folder_of(str_from(child_self_path())), bin = folder_of(str_from(submit));
	const char *library = arena_format(a, "%.*s/../lib/libsluice.so", STR_ARG(self)).p;
	const char *python = arena_format(a, "%.*s/python3", STR_ARG(bin)).p;
	const char *driver = set("PYSPARK_DRIVER_PYTHON");

	/* Names of files are bytes to us and UTF-8 to whoever reads a job; in cron's locale Java would take neither. */
	word(w, "LC_ALL=C.UTF-8");
	word(w, "TZ=UTC");
	if (names_another_spark(submit, a))
		word(w, "SPARK_HOME");
	if (driver && !is_python(driver)) { /* somebody's notebook */
		word(w, "PYSPARK_DRIVER_PYTHON");
		word(w, "PYSPARK_DRIVER_PYTHON_OPTS");
	}
	if (local && !set("SPARK_LOCAL_IP"))
		word(w, "SPARK_LOCAL_IP=127.0.0.1");
	if (!set("SLUICE_LIBRARY") && there(library, R_OK))
		word(w, arena_format(a, "SLUICE_LIBRARY=%s", library).p);
	if (!set("PYSPARK_PYTHON"))
		word(w, there(python, X_OK) ? arena_format(a, "PYSPARK_PYTHON=%s", python).p : "PYSPARK_PYTHON=python3");
	word(w, "PYTHONDONTWRITEBYTECODE=1");
}

/* The driver's Python where only the variable names it, which spark-submit's own script uses as well. */
static bool python_check(const struct spark_settings *s, struct arena *a, struct err *e)
{
	const char *given = set("PYSPARK_PYTHON"), *driver = set("PYSPARK_DRIVER_PYTHON");
	if (!given || (driver && is_python(driver)) || conf_given(s, "spark.pyspark.driver.python").n > 0 ||
	    conf_given(s, "spark.pyspark.python").n > 0)
		return true;
	if (strchr(given, '/') ? there(given, X_OK) : from_path(given, a) != NULL)
		return true;
	err_set(e, ERR_CONFIG, "PYSPARK_PYTHON is %s, and that is no program that can be started", given);
	return err_hint(e, "unset it, or set it to a Python that has pyspark and pyarrow");
}

/* A task that fails is tried again, as on a cluster: `local[N]` would give it one attempt. */
enum { LOCAL_ATTEMPTS = 4 };

bool spark_command(const struct spark_settings *s, const struct spark_machine *m, const char *const *arguments, size_t n_arguments,
		   struct arena *a, struct spark_command *out, struct err *e)
{
	struct words argv = { .n = 0 }, environment = { .n = 0 };
	const char *submit = submit_find(s, a, e), *package = NULL;
	struct str master = s->master;
	if (master.n == 0)
		master = arena_format(a, "local[%u,%d]", m->threads > 0 ? m->threads : 1, LOCAL_ATTEMPTS);
	bool local = str_starts(master, STR("local"));

	if (!submit || !java_check(a, e) || !python_check(s, a, e) || !(package = package_find(submit, a, e)))
		return false;
	if (local && conf_given(s, "spark.local.dir").n == 0 && str_find_char(m->scratch, ',') < m->scratch.n) {
		err_set(e, ERR_CONFIG, "%.*s: Spark takes a comma in the name of a folder for the end of it", STR_ARG(m->scratch));
		return err_hint(e, "set TMPDIR to a folder without one");
	}
	word(&argv, submit);
	word(&argv, "--master");
	word(&argv, arena_zero_terminated(a, master));
	confs_put(&argv, s, m, local, a);
	word(&argv, package);
	for (size_t i = 0; i < n_arguments; i++)
		word(&argv, arguments[i]);
	environment_put(&environment, submit, local, a);
	out->argv = arena_array(a, const char *, argv.n + 1);
	memcpy(out->argv, argv.v, argv.n * sizeof *argv.v);
	out->environment = arena_array(a, const char *, environment.n + 1);
	memcpy(out->environment, environment.v, environment.n * sizeof *environment.v);
	return true;
}
