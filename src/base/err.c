#include "base/err.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NEVER ERR_RETRY_NEVER
#define SAFE ERR_RETRY_SAFE
static const struct kind {
	const char *name;
	int exit_status;
	enum err_retry retry;
	const char *hint;
} kinds[ERR_COUNT] = {
#define ERR(name, exit_status, retry, hint) [ERR_##name] = { #name, exit_status, retry, hint },
#include "base/err.def"
#undef ERR
};
#undef NEVER
#undef SAFE

static const struct kind *kind_of(enum err_code code)
{
	CHECK((unsigned)code < ERR_COUNT);
	return &kinds[code];
}

/* `n` is what snprintf returned for `text` of `size` bytes. The cut never leaves half a UTF-8 character. */
static void text_finish(char *text, size_t size, int n)
{
	if (n < 0) {
		int m = snprintf(text, size, "(a message that could not be formatted)");
		CHECK(m > 0 && (size_t)m < size);
		return;
	}
	if ((size_t)n < size)
		return;
	size_t at = size - sizeof "...";
	while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
		at--;
	memcpy(text + at, "...", sizeof "...");
}

/* `first`, then ": " and `second` unless that is NULL, cut to fit. Neither may be e->message itself. */
static void message_join(struct err *e, const char *first, const char *second)
{
	int n = snprintf(e->message, sizeof e->message, "%s%s%s", first, second ? ": " : "", second ? second : "");
	text_finish(e->message, sizeof e->message, n);
}

static void fill(struct err *e, enum err_code code, int sys_errno)
{
	CHECK(e != NULL && code != ERR_NONE && (unsigned)code < ERR_COUNT);
	e->code = code;
	e->sys_errno = sys_errno;
	e->hint[0] = '\0';
}

/* Texts are made in memory of their own first, since an argument may point into `e`. */
#define FORMAT_TEXT(text, format)                                                \
	do {                                                                     \
		va_list args;                                                    \
		va_start(args, format);                                          \
		int text_n = vsnprintf((text), sizeof(text), (format), args);    \
		va_end(args);                                                    \
		text_finish((text), sizeof(text), text_n);                       \
	} while (0)

bool err_set(struct err *e, enum err_code code, const char *format, ...)
{
	char text[sizeof e->message];
	FORMAT_TEXT(text, format);
	fill(e, code, 0);
	message_join(e, text, NULL);
	return false;
}

bool err_set_errno(struct err *e, enum err_code code, int sys_errno, const char *format, ...)
{
	char text[sizeof e->message], buffer[128];
	FORMAT_TEXT(text, format);
	fill(e, code, sys_errno);
	message_join(e, text, strerror_r(sys_errno, buffer, sizeof buffer));
	return false;
}

bool err_wrap(struct err *e, const char *format, ...)
{
	char text[sizeof e->message], cause[sizeof e->message];
	FORMAT_TEXT(text, format);
	CHECK(e != NULL);
	if (e->code == ERR_NONE) {
		/* A failure that nobody described: still a failure, and ours. */
		fill(e, ERR_BUG, 0);
		message_join(e, text, NULL);
		return false;
	}
	memcpy(cause, e->message, sizeof cause);
	cause[sizeof cause - 1] = '\0';
	message_join(e, text, cause);
	return false;
}

bool err_hint(struct err *e, const char *format, ...)
{
	char text[sizeof e->hint];
	FORMAT_TEXT(text, format);
	CHECK(e != NULL);
	memcpy(e->hint, text, strlen(text) + 1);
	return false;
}

const char *err_name(enum err_code code)
{
	return kind_of(code)->name;
}

int err_exit_status(enum err_code code)
{
	return kind_of(code)->exit_status;
}

enum err_retry err_retry(enum err_code code)
{
	return kind_of(code)->retry;
}

/* Of a disk that says no, where the same command again would change nothing. */
static const char *refused_hint(int sys_errno)
{
	switch (sys_errno) {
	case EACCES:
	case EPERM:
		return "whoever runs sluice may not do that there (in its image user 1000, or whom --user names); once that is mended, the same command again";
	case EROFS:
		return "nothing can be written there: a container wants its lake mounted without :ro, and a --tmpfs /tmp; TMPDIR names another /tmp";
	default:
		return NULL;
	}
}

const char *err_hint_text(const struct err *e)
{
	const char *refused = e->code == ERR_STORAGE ? refused_hint(e->sys_errno) : NULL;
	return e->hint[0] ? e->hint : refused ? refused : kind_of(e->code)->hint;
}
