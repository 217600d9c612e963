#include "unit.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char out[32768];

/* What a child with this SLUICE_LOG (NULL: none) writes to standard error. */
static const char *said(const char *option, void (*speak)(void))
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		if (option ? setenv("SLUICE_LOG", option, 1) : unsetenv("SLUICE_LOG"))
			_exit(1);
		speak();
		_exit(0);
	}
	close(ends[1]);
	size_t n = 0;
	for (ssize_t got; (got = read(ends[0], out + n, sizeof out - 1 - n)) > 0;)
		n += (size_t)got;
	close(ends[0]);
	out[n] = '\0';
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return out;
}

static void each_level(void)
{
	log_debug("d%d", 1);
	log_info("i%d", 2);
	log_warn("w%d", 3);
	log_event(LOG_ERROR, "e%d", 4);
}

static void levels(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ NULL, "sluice: i2\nsluice: warning: w3\nsluice: error: e4\n" },
		{ "", "sluice: i2\nsluice: warning: w3\nsluice: error: e4\n" },
		{ "loud", "sluice: i2\nsluice: warning: w3\nsluice: error: e4\n" },
		{ "debug", "sluice: debug: d1\nsluice: i2\nsluice: warning: w3\nsluice: error: e4\n" },
		{ "quiet", "sluice: warning: w3\nsluice: error: e4\n" },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(said(cases[i][0], each_level), cases[i][1]);
}

static void hostile(void)
{
	log_info("%s", "a\nb\x1b[2J\x7f\xc2\x9b" "c\xff\"\\ \xc3\xa4");
}

static void lengthy(void)
{
	char text[20000];
	memset(text, '\x01', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_info("%s", text);
	memset(text, 'x', sizeof text - 1);
	log_info("%s", text);
}

static void escapes(void **state)
{
	(void)state;
	assert_string_equal(said(NULL, hostile),
			    "sluice: a\\x0ab\\x1b[2J\\x7f\\u009bc\\xff\"\\ \xc3\xa4\n");
	struct str line = str_from(said("json", hostile));
	assert_true(str_starts(line, STR("{\"time\":\"2")));
	assert_true(str_ends(line, STR("Z\",\"level\":\"info\",\"message\":\"a\\u000ab\\u001b[2J\\u007f\\u009bc"
				       "\xef\xbf\xbd\\\"\\\\ \xc3\xa4\"}\n")));
}

static void cuts(void **state)
{
	(void)state;
	static const char *const options[] = { NULL, "json" };
	for (size_t i = 0; i < COUNT(options); i++) {
		struct str rest = str_from(said(options[i], lengthy)), line;
		for (size_t n = 0; n < 2; n++) {
			assert_true(str_cut(&rest, '\n', &line));
			assert_true(line.n > 4000 && line.n < 8192);
			assert_true(str_ends(line, options[i] ? STR("...\"}") : STR("...")));
		}
		assert_int_equal(rest.n, 0);
	}
}

static void step_aside(void)
{
	ssize_t n = write(STDERR_FILENO, "<aside>", 7);
	(void)n;
}

static void with_display(void)
{
	log_set_before_line(step_aside);
	log_debug("not seen");
	log_info("one");
	log_set_before_line(NULL);
	log_info("two");
}

static void before_line(void **state)
{
	(void)state;
	assert_string_equal(said(NULL, with_display), "<aside>sluice: one\nsluice: two\n");
}

static void like_lambda(void)
{
	log_like_lambda("JSON", "warn");
	log_info("not seen");
	log_set_request(STR("id-1\n\""));
	log_warn("one");
	log_set_request(STR_NONE);
	log_event(LOG_ERROR, "two");
	log_like_lambda("Text", NULL);
	log_set_request(STR("id-2"));
	log_debug("not seen");
	log_info("three");
}

static void of_a_function(void **state)
{
	(void)state;
	struct str rest = str_from(said("debug,json", like_lambda)), line; /* SLUICE_LOG counts for nothing then */
	assert_true(str_cut(&rest, '\n', &line));
	assert_true(str_starts(line, STR("{\"timestamp\":\"2")));
	assert_true(str_ends(line, STR("Z\",\"level\":\"WARN\",\"requestId\":\"id-1\\u000a\\\"\",\"message\":\"one\"}")));
	assert_true(str_cut(&rest, '\n', &line));
	assert_true(str_ends(line, STR("Z\",\"level\":\"ERROR\",\"message\":\"two\"}")));
	assert_text(rest, "sluice: id-2: three\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(levels), cmocka_unit_test(escapes),
					    cmocka_unit_test(cuts), cmocka_unit_test(before_line),
					    cmocka_unit_test(of_a_function) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
