#include "unit.h"

#include "base/err.h"

#include <errno.h>

static void setting(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(e.code, ERR_NONE);
	assert_string_equal(e.message, "");
	assert_false(err_set(&e, ERR_TIMEOUT, "page %d of %s", 7, "orders"));
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_int_equal(e.sys_errno, 0);
	assert_string_equal(e.message, "page 7 of orders");
	assert_false(err_set_errno(&e, ERR_STORAGE, ENOSPC, "writing %s", "a.warc"));
	assert_int_equal(e.code, ERR_STORAGE);
	assert_int_equal(e.sys_errno, ENOSPC);
	assert_string_equal(e.message, "writing a.warc: No space left on device");
	assert_false(err_set(&e, ERR_USAGE, "%s", ""));
	assert_int_equal(e.sys_errno, 0);
	assert_string_equal(e.message, "");
}

static void wrapping(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	err_set_errno(&e, ERR_MISSING, ENOENT, "opening %s", "x");
	err_hint(&e, "run `sluice %s`", "check");
	assert_false(err_wrap(&e, "entry %d", 3));
	assert_false(err_wrap(&e, "run %s", "r1"));
	assert_string_equal(e.message, "run r1: entry 3: opening x: No such file or directory");
	assert_int_equal(e.code, ERR_MISSING);
	assert_int_equal(e.sys_errno, ENOENT);
	assert_string_equal(err_hint_text(&e), "run `sluice check`");
	struct err undescribed = ERR_INIT;
	assert_false(err_wrap(&undescribed, "loading %s", "x"));
	assert_int_equal(undescribed.code, ERR_BUG);
	assert_string_equal(undescribed.message, "loading x");
}

/* A message may be made from the one that it replaces. */
static void own_arguments(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	err_set(&e, ERR_JSON, "cause");
	err_hint(&e, "first");
	err_hint(&e, "%s, second", e.hint);
	assert_string_equal(e.hint, "first, second");
	err_set(&e, ERR_DAMAGE, "new: %s", e.message);
	assert_string_equal(e.message, "new: cause");
	assert_string_equal(e.hint, "");
	err_wrap(&e, "%s again", e.message);
	assert_string_equal(e.message, "new: cause again: new: cause");
}

static void cuts(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	const size_t room = sizeof e.message - 1;
	char text[4096];
	memset(text, 'x', sizeof text);
	text[room] = '\0';
	err_set(&e, ERR_BUG, "%s", text);
	assert_string_equal(e.message, text); /* just fits */
	text[room] = 'x';
	text[room + 1] = '\0';
	err_set(&e, ERR_BUG, "%s", text);
	assert_int_equal(strlen(e.message), room);
	assert_string_equal(e.message + room - 4, "x...");
	err_set(&e, ERR_BUG, "cause");
	err_wrap(&e, "%s", text);
	assert_int_equal(strlen(e.message), room);
	assert_string_equal(e.message + room - 4, "x...");
	text[room - 3] = '\0';
	err_set(&e, ERR_BUG, "cause");
	err_wrap(&e, "%s", text);
	assert_string_equal(e.message + room - 4, "x...");
	text[600] = '\0';
	err_hint(&e, "%s", text);
	assert_int_equal(strlen(e.hint), sizeof e.hint - 1);
	assert_string_equal(e.hint + sizeof e.hint - 5, "x...");
}

/* Wherever the cut falls, the message stays UTF-8. */
static void cuts_between_characters(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		struct err e = ERR_INIT;
		char text[4096];
		memset(text, 'a', shift);
		size_t n = shift;
		while (n + 4 < sizeof text) {
			memcpy(text + n, "\xf0\x9f\x98\x80", 4);
			n += 4;
		}
		text[n] = '\0';
		err_set(&e, ERR_BUG, "%s", text);
		size_t length = strlen(e.message);
		assert_true(length < sizeof e.message && length >= sizeof e.message - 4);
		assert_true(str_is_utf8(str_from(e.message)));
		assert_true(str_ends(str_from(e.message), STR("...")));
	}
}

static void kinds(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		const char *name;
		int exit_status;
		enum err_retry retry;
	} cases[] = {
		{ ERR_NONE, "NONE", 0, ERR_RETRY_NEVER },	    { ERR_BUG, "BUG", 1, ERR_RETRY_NEVER },
		{ ERR_USAGE, "USAGE", 2, ERR_RETRY_NEVER },	    { ERR_CONFIG, "CONFIG", 2, ERR_RETRY_NEVER },
		{ ERR_TIMEOUT, "TIMEOUT", 3, ERR_RETRY_SAFE },	    { ERR_HTTP_STATUS, "HTTP_STATUS", 3, ERR_RETRY_NEVER },
		{ ERR_CONTRACT, "CONTRACT", 4, ERR_RETRY_NEVER },   { ERR_FENCED, "FENCED", 5, ERR_RETRY_NEVER },
		{ ERR_MEMORY, "MEMORY", 7, ERR_RETRY_NEVER },	    { ERR_DAMAGE, "DAMAGE", 8, ERR_RETRY_NEVER },
		{ ERR_SIGTERM, "SIGTERM", 143, ERR_RETRY_NEVER },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_string_equal(err_name(cases[i].code), cases[i].name);
		assert_int_equal(err_exit_status(cases[i].code), cases[i].exit_status);
		assert_int_equal(err_retry(cases[i].code), cases[i].retry);
	}
	for (int code = 0; code < ERR_COUNT; code++) {
		struct err e = { .code = (enum err_code)code };
		assert_non_null(err_name(e.code));
		assert_non_null(err_hint_text(&e));
		assert_true(strlen(err_hint_text(&e)) < sizeof e.hint);
		assert_true(code == 0 || err_exit_status(e.code) > 0);
	}
	struct err e = { .code = ERR_CONFIG };
	assert_string_equal(err_hint_text(&e), "run `sluice check` to see every mistake at once");
}

/* Where a disk says no, "the same command again" alone would be bad advice. */
static void refused(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		int sys_errno;
		const char *part;
	} cases[] = {
		{ ERR_STORAGE, EACCES, "may not do that there" }, { ERR_STORAGE, EPERM, "may not do that there" },
		{ ERR_STORAGE, EROFS, "nothing can be written there" }, { ERR_STORAGE, ENOSPC, "the same command again" },
		{ ERR_CONFIG, EACCES, "sluice check" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = ERR_INIT;
		err_set_errno(&e, cases[i].code, cases[i].sys_errno, "/lake");
		err_wrap(&e, "lake %s", "x");
		assert_non_null(strstr(err_hint_text(&e), cases[i].part));
		assert_true(strlen(err_hint_text(&e)) < sizeof e.hint);
		err_hint(&e, "buy a disk");
		assert_string_equal(err_hint_text(&e), "buy a disk");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting),
		cmocka_unit_test(wrapping),
		cmocka_unit_test(own_arguments),
		cmocka_unit_test(cuts),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(kinds),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
