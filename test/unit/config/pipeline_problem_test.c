/* test/case/config/problem.txt: pipeline files with mistakes, and what `sluice check` says. A stanza is
 *     === title
 *     the file
 *     >>> (and, where it is good: nothing behind it)
 *     the problems as printed */
#include "in_folder.h"

#include "base/file.h"
#include "config/pipeline.h"

#include <stdlib.h>
#include <unistd.h>

static struct str cases_read(struct arena *a)
{
	struct err e = ERR_INIT;
	struct str text = STR_NONE;
	if (!file_read(TEST_DATA "/config/problem.txt", 1 << 20, a, &text, &e))
		fail_msg("%s", e.message);
	return text;
}

static void file_set(struct str text)
{
	struct err e = ERR_INIT;
	if (!file_write("pipeline.yaml", text, &e))
		fail_msg("%s", e.message);
}

/* Writes the stanza as it came out when SLUICE_CASES_WRITE names a file: for a look at the difference. */
static void problems_as_told(void **state)
{
	struct arena a = ARENA_INIT;
	struct str rest = cases_read(&a);
	const char *write_to = getenv("SLUICE_CASES_WRITE");
	FILE *written = write_to ? fopen(write_to, "we") : NULL;
	size_t n_cases = 0, n_bad = 0;

	(void)state;
	while (rest.n) {
		assert_true(str_starts(rest, STR("=== ")));
		size_t title_end = str_find_char(rest, '\n'), split = str_find(rest, STR("\n>>>\n"));
		size_t end = str_find(rest, STR("\n=== "));
		assert_true(split < end);
		struct str title = str_sub(rest, 4, title_end - 4);
		struct str file = str_sub(rest, title_end + 1, split - title_end);
		struct str want = str_sub(rest, split + 5, end + 1 > split + 5 ? end + 1 - split - 5 : 0);
		rest = str_sub(rest, end + 1, rest.n);

		struct problems p = PROBLEMS_INIT(&a);
		struct buf got = BUF_INIT(1 << 20);
		file_set(file);
		bool ok = pipeline_check("pipeline.yaml", &a, &p);
		assert_int_equal(ok, p.n_errors == 0);
		problems_print(&p, &got);
		if (!str_eq(buf_str(&got), want)) {
			print_error("%.*s:\n%.*swhere expected was\n%.*s\n", STR_ARG(title), STR_ARG(buf_str(&got)),
				    STR_ARG(want));
			n_bad++;
		}
		if (written)
			fprintf(written, "=== %.*s\n%.*s>>>\n%.*s", STR_ARG(title), STR_ARG(file), STR_ARG(buf_str(&got)));
		/* Whatever is wrong, a secret in the wrong place is not told again. */
		assert_false(str_contains(buf_str(&got), STR("hunter2")));
		buf_free(&got);
		n_cases++;
	}
	if (written)
		fclose(written);
	assert_true(n_cases > 100);
	assert_int_equal(n_bad, 0);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(problems_as_told) };
	return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
