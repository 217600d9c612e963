/* Command lines: what is understood, what is refused, and commands that can be pasted. */
#include "ui/args.h"

#include "ui/command.h"
#include "unit.h"

/* The commands themselves are not run here. */
volatile int ui_stop;

enum { WORDS_MAX = 12 };

static bool parse(const char *line, struct args *g, struct err *e)
{
	static char text[512];
	static char *argv[WORDS_MAX + 1];
	int argc = 1;
	snprintf(text, sizeof text, "%s", line);
	argv[0] = (char *)(uintptr_t)"sluice";
	char *at = text;
	while (*at != '\0' && argc < WORDS_MAX) {
		argv[argc++] = at;
		while (*at != ' ' && *at != '\0')
			at++;
		if (*at == ' ')
			*at++ = '\0';
	}
	argv[argc] = NULL;
	return args_parse(argc, argv, g, e);
}

static void understands(void **state)
{
	(void)state;
	struct args g;
	struct err e = ERR_INIT;
	assert_true(parse("-f a.yaml run --from=2013-01-01 --refetch --json", &g, &e));
	assert_string_equal(g.command->name, "run");
	assert_true(g.given[OPT_FILE] && str_eq_z(g.value[OPT_FILE], "a.yaml"));
	assert_true(str_eq_z(g.value[OPT_FROM], "2013-01-01"));
	assert_true(g.given[OPT_REFETCH] && g.value[OPT_REFETCH].n == 0 && g.given[OPT_JSON] && !g.given[OPT_STALE]);
	assert_true(parse("run --refetch=again -fb.yaml", &g, &e));
	assert_true(str_eq_z(g.value[OPT_REFETCH], "again") && str_eq_z(g.value[OPT_FILE], "b.yaml"));
	assert_true(parse("raw cat r w -- --1", &g, &e));
	assert_string_equal(g.command->name, "raw cat");
	assert_int_equal(g.n_operands, 3);
	assert_true(str_eq_z(g.operands[2], "--1"));
	assert_true(parse("trace t -5 -0.5 -", &g, &e));
	assert_int_equal(g.n_operands, 4);
	assert_true(parse("", &g, &e) && g.command == NULL);
	assert_int_equal(e.code, ERR_NONE);
}

static void refuses(void **state)
{
	static const struct {
		const char *line, *message, *hint;
	} bad[] = {
		{ "run --stael", "there is no option --stael", "did you mean --stale?" },
		{ "run --lakee=x", "there is no option --lakee", "did you mean --lake?" },
		{ "verify --threads 3", "`sluice verify` takes no --threads", "`sluice help verify` lists its options" },
		{ "statsu", "there is no command `statsu`", "did you mean `sluice status`?" },
		{ "quer", "there is no command `quer`", "did you mean `sluice query`?" },
		{ "contract", "`contract` is not a whole command", "there is `sluice contract draft`" },
		{ "run --env", "--env needs a value: --env NAME", "" },
		{ "run --json=1", "--json takes no value, and 1 was given", "" },
		{ "run -q -q", "--quiet stands twice on the command line", "" },
		{ "trace t", "something is missing: sluice trace TABLE KEY...", "`sluice help trace` has examples" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct args g;
		struct err e = ERR_INIT;
		assert_false(parse(bad[i].line, &g, &e));
		assert_int_equal(e.code, ERR_USAGE);
		assert_string_equal(e.message, bad[i].message);
		assert_string_equal(err_hint_text(&e), bad[i].hint);
	}
}

static void completes(void **state)
{
	static const struct {
		const char *line, *text, *want;
	} rows[] = {
		{ "run", "`sluice run --takeover` ends it", "`sluice run --takeover` ends it" },
		{ "run -f a.yaml --lake l --from 2013-01-01 --threads 2", "`sluice run --takeover` ends it",
		  "`sluice run -f a.yaml --lake l --from 2013-01-01 --takeover` ends it" },
		{ "run -f a.yaml --from 2013-01-01", "see `sluice raw ls x` or `sluice status`",
		  "see `sluice raw ls -f a.yaml x` or `sluice status -f a.yaml`" },
		{ "run -f it's --env prod", "`sluice verify`", "`sluice verify -f 'it'\\''s' --env prod`" },
		{ "run -f a.yaml", "`sluice help run`, `sluice nothing`, `sluice rawls`",
		  "`sluice help run`, `sluice nothing`, `sluice rawls`" },
		{ "run -f a.yaml", "`sluice run", "`sluice run -f a.yaml" },
		/* What it names itself stands there once: twice would be a mistake. */
		{ "run --only x,y --from 2013-01-01", "`sluice verify --only x` lists it", "`sluice verify --only x` lists it" },
		{ "run --only x --from 1 --to 2", "`sluice run --only x --from 3 --refetch`", "`sluice run --to 2 --only x --from 3 --refetch`" },
		{ "run --only x", "`sluice query '--only x'` or `sluice run --on`", "`sluice query '--only x'` or `sluice run --only x --on`" },
		{ "run --env a", "`sluice run --env=b`, and --env c", "`sluice run --env=b`, and --env c" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct args g;
		struct err e = ERR_INIT;
		struct buf b = BUF_INIT(4096);
		assert_true(parse(rows[i].line, &g, &e));
		args_complete(&g, str_from(rows[i].text), &b);
		assert_string_equal(b.p, rows[i].want);
		buf_free(&b);
	}
}

static void advises(void **state)
{
	static const struct {
		const char *line, *text, *want;
	} rows[] = {
		{ "run -f a.yaml --refetch=x --stale", "wait, or take over with --takeover",
		  "sluice run -f a.yaml --refetch=x --stale --takeover" },
		{ "run --refetch", "with --keep-going", "sluice run --refetch --keep-going" },
		{ "contract draft r", "--force replaces the file", "sluice contract draft --force r" },
		{ "run --takeover", "take over with --takeover", NULL },
		{ "verify", "take over with --takeover", NULL },
		{ "run", "see `sluice run --stale`", NULL },
		{ "run", "give another one with --lake", NULL }, /* it needs a value that we do not know */
		{ "run", "a -- b --- c --", NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct args g;
		struct err e = ERR_INIT;
		struct arena a = ARENA_INIT;
		assert_true(parse(rows[i].line, &g, &e));
		enum option_id o = args_advised(&g, str_from(rows[i].text));
		assert_int_equal(o == OPT_COUNT, rows[i].want == NULL);
		if (rows[i].want)
			assert_text(args_with(&g, o, &a), rows[i].want);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(understands), cmocka_unit_test(refuses),
					    cmocka_unit_test(completes), cmocka_unit_test(advises) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
