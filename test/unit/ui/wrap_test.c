/* Lines for a terminal of twenty columns. */
#include "ui/wrap.h"

#include "unit.h"

#include <locale.h>

static const struct {
	const char *text, *wrapped;
} CASES[] = {
	{ "", "" },
	{ "short\n\nlines\n", "short\n\nlines\n" },
	{ "exactly twenty chars", "exactly twenty chars" },
	{ "exactly twenty chars and more\n", "exactly twenty chars\n  and more\n" },
	{ "  in  columns  that  are  kept\n", "  in  columns  that\n    are  kept\n" },
	{ "a-word-that-is-longer-than-all and b", "a-word-that-is-longer-than-all\n  and b" },
	{ "fill them: `sluice run --from 2013-01-01` now", "fill them:\n  `sluice run --from 2013-01-01`\n  now" },
	{ "the `contract of a table` is split", "the `contract of a\n  table` is split" },
	{ "  hint: sluice run --takeover -f x\n", "  hint: sluice run --takeover -f x\n" },
	{ "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87 \xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87 abcd",
	  "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87 \xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\n  abcd" },
	{ "                         deep words here", "                         deep\n          words here" },
};

static void lines(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct buf b = BUF_INIT(1 << 16);
		text_wrap(str_from(CASES[i].text), 20, &b);
		if (!str_eq_z(buf_str(&b), CASES[i].wrapped))
			fail_msg("%zu: %.*s", i, STR_ARG(buf_str(&b)));
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
