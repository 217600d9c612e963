/* Children are small shell scripts: $1 is the FIFO; a job is the name of its result, and what to do for it stands behind a '#'. */
#include "unit.h"

#include "base/clock.h"
#include "base/file.h"
#include "driver/child_service.h"

#include <signal.h>
#include <unistd.h>

static const char script[] =
	"say() { printf '%s' \"$2\" > $1.new; mv $1.new $1; }\n"
	"while read -r job; do\n"
	"  path=${job%%#*}; n=$((n + 1))\n"
	"  case ${job##*#} in\n"
	"  good) echo \"line $n\"; say $path \"{\\\"n\\\":$n}\";;\n"
	"  wrong) say $path '{\"error\":{\"code\":\"CONFIG\",\"message\":\"it is wrong\",\"hint\":\"mend it\"}}';;\n"
	"  dies) echo 'the last words' >&2; kill -KILL $$;;\n"
	"  leaves) exit 3;;\n"
	"  last) say $path '{}'; exit 0;;\n"
	"  waits) echo begun; sleep 30;;\n"
	"  stays) trap '' TERM; echo begun; sleep 30;;\n"
	"  esac\n"
	"done < $1\n"
	"echo over > $1.over\n";

struct world {
	struct arena arena;
	char *folder;
	const char *fifo, *argv[6];
	struct child_options options;
	struct child_service *child;
	struct err e;
	volatile int stop;
	bool stop_at_line;
	size_t lines;
};

static void world_open(struct world *w)
{
	*w = (struct world){ .e = ERR_INIT };
	assert_true(file_make_scratch(NULL, &w->arena, &w->folder, &w->e));
	w->fifo = arena_format(&w->arena, "%s/jobs", w->folder).p;
	const char *argv[] = { "/bin/sh", "-c", script, "sh", w->fifo, NULL };
	memcpy(w->argv, argv, sizeof argv);
	w->options = (struct child_options){ .argv = w->argv, .grace_us = 100000, .stop_signal = &w->stop };
	w->child = child_service_open(&w->options, w->fifo, &w->e);
	assert_non_null(w->child);
}

static void world_close(struct world *w)
{
	child_service_close(w->child);
	assert_true(file_remove_tree(w->folder, &w->e));
	arena_free(&w->arena);
}

static void on_line(void *user, struct str line)
{
	struct world *w = user;
	(void)line;
	w->lines++;
	if (w->stop_at_line)
		w->stop = SIGTERM;
}

static bool ask(struct world *w, const char *what, int64_t deadline_us, struct str *result)
{
	const char *path = arena_format(&w->arena, "%s/result", w->folder).p;
	struct child_options o = { .result_path = path, .max_result_bytes = 1000, .progress = on_line, .user = w,
				   .stop_signal = &w->stop, .deadline_us = deadline_us, .grace_us = 100000 };
	uint64_t rss = 0;
	w->e = ERR_INIT;
	bool ok = child_service_ask(w->child, &o, arena_format(&w->arena, "%s#%s", path, what).p, &w->arena, result, &rss, &w->e);
	assert_true(rss > 0 || !child_service_is_alive(w->child));
	return ok;
}

static void one_after_the_other(void **state)
{
	(void)state;
	struct world w;
	struct str result;
	world_open(&w);
	assert_true(ask(&w, "good", 0, &result));
	assert_true(str_eq_z(result, "{\"n\":1}"));
	assert_false(ask(&w, "wrong", 0, &result));
	assert_int_equal(w.e.code, ERR_CONFIG);
	assert_string_equal(w.e.hint, "mend it");
	assert_true(child_service_is_alive(w.child));
	assert_true(ask(&w, "good", 0, &result)); /* not the result of the one before */
	assert_true(str_eq_z(result, "{\"n\":3}"));
	assert_int_equal(w.lines, 2);
	assert_false(ask(&w, arena_format(&w.arena, "%05000d", 1).p, 0, &result));
	assert_int_equal(w.e.code, ERR_CONFIG);
	assert_true(ask(&w, "last", 0, &result)); /* done, and gone */
	struct clock *clock = clock_system();
	int64_t until = clock->monotonic_us(clock) + 10000000;
	while (child_service_is_alive(w.child) && clock->monotonic_us(clock) < until)
		usleep(1000);
	assert_false(child_service_is_alive(w.child));
	world_close(&w);
}

/* What it says of a job comes before that job's result, and is told while it is that job. */
static void all_that_it_says(void **state)
{
	(void)state;
	struct world w;
	struct str result;
	world_open(&w);
	for (size_t i = 1; i <= 20; i++) {
		assert_true(ask(&w, "good", 0, &result));
		assert_int_equal(w.lines, i);
	}
	world_close(&w);
}

static void ends_with_its_jobs(void **state)
{
	(void)state;
	struct world w;
	struct str result, over;
	world_open(&w);
	assert_true(ask(&w, "good", 0, &result));
	char *path = arena_zero_terminated(&w.arena, arena_format(&w.arena, "%s.over", w.fifo));
	child_service_close(w.child);
	assert_true(file_read(path, 100, &w.arena, &over, &w.e));
	assert_true(file_remove_tree(w.folder, &w.e));
	arena_free(&w.arena);
}

static void its_end(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		bool stop, late;
		enum err_code code;
		const char *words;
	} table[] = {
		{ "dies", false, false, ERR_ENGINE_FAULT, "ended by signal 9 (Killed); its last words: the last words" },
		{ "leaves", false, false, ERR_ENGINE_FAULT, "exit status 3" },
		{ "waits", true, false, ERR_SIGTERM, "stopped by SIGTERM" },
		{ "waits", false, true, ERR_BUDGET, "stopped at the deadline" },
		{ "stays", true, false, ERR_SIGTERM, "stopped by SIGTERM" },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct world w;
		struct str result;
		struct clock *clock = clock_system();
		world_open(&w);
		assert_true(ask(&w, "good", 0, &result));
		w.stop_at_line = table[i].stop;
		assert_false(ask(&w, table[i].what, table[i].late ? clock->monotonic_us(clock) + 300000 : 0, &result));
		assert_int_equal(w.e.code, table[i].code);
		assert_non_null(strstr(w.e.message, table[i].words));
		assert_false(child_service_is_alive(w.child));
		world_close(&w);
	}
}

static void nothing_to_start(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	char *folder;
	assert_true(file_make_scratch(NULL, &a, &folder, &e));
	const char *argv[] = { "/nowhere/program", NULL }, *fifo = arena_format(&a, "%s/jobs", folder).p;
	struct child_options o = { .argv = argv };
	assert_null(child_service_open(&o, fifo, &e));
	assert_int_equal(e.code, ERR_ENGINE);
	assert_true(file_remove_tree(folder, &e));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other), cmocka_unit_test(all_that_it_says),
		cmocka_unit_test(ends_with_its_jobs),
		cmocka_unit_test(its_end),
		cmocka_unit_test(nothing_to_start),
	};
	return cmocka_run_group_tests_name("driver/child_service", tests, NULL, NULL);
}
