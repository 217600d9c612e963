/* What every unit test needs: cmocka with the headers it wants before it, and assertions on views of bytes. */
#ifndef SLUICE_TEST_UNIT_H
#define SLUICE_TEST_UNIT_H

#include "base/err.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A call that must not fail; its last argument is written as e. */
#define OK(call)                                            \
	do {                                                \
		struct err ok_err = ERR_INIT, *e = &ok_err; \
		if (!(call))                                \
			fail_msg("%s", ok_err.message);     \
	} while (0)

/* The bytes of a view are those of a literal or another NUL-terminated text. */
#define assert_text(view, want)                                                                       \
	do {                                                                                          \
		struct str assert_text_view = (view);                                                 \
		const char *assert_text_want = (want);                                                \
		if (!str_eq_z(assert_text_view, assert_text_want))                                    \
			fail_msg("\"%.*s\" where \"%s\" was expected", STR_ARG(assert_text_view),     \
				 assert_text_want);                                                   \
	} while (0)

#endif
