/* Failures, for the person who meets them.
 *
 * A function that can fail returns bool and takes a caller-owned `struct err *e` as its last parameter. On failure
 * it fills `e` exactly once and returns false; on success it does not touch `e`. Callers that know more add it with
 * err_wrap(), which puts their words in front and keeps the first cause and its code.
 *
 *     if (!store_get(store, key, arena, &body, e))
 *             return err_wrap(e, "entry %zu of %s", n, name);
 *
 * Messages say what failed, where, and why, in this order; the hint of the code (err.def) says what to do. Secrets
 * never enter a message. Our own mistakes are not errors but assertions: see check.h. */
#ifndef SLUICE_BASE_ERR_H
#define SLUICE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum err_code {
#define ERR(name, exit_status, retry, hint) ERR_##name,
#include "base/err.def"
#undef ERR
	ERR_COUNT
};

enum err_retry { ERR_RETRY_NEVER, ERR_RETRY_SAFE };

struct err {
	enum err_code code;
	int sys_errno;      /* 0, or the errno behind it */
	char message[2048]; /* NUL-terminated; longer texts are cut with "..." */
	char hint[512];     /* NUL-terminated; "" means: the code's hint from err.def */
};

#define ERR_INIT ((struct err){ .code = ERR_NONE })

/* All of these return false, so that `return err_set(...)` reads well. */
bool err_set(struct err *e, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Like err_set, with ": <text of errno>" appended. */
bool err_set_errno(struct err *e, enum err_code code, int sys_errno, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Puts "<text>: " in front of the message that is there. */
bool err_wrap(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A hint for this one failure, in place of the code's: for instance the whole command to run next. */
bool err_hint(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *err_name(enum err_code code); /* "HTTP_STATUS" */
int err_exit_status(enum err_code code);
enum err_retry err_retry(enum err_code code);
const char *err_hint_text(const struct err *e); /* the hint to print, by what the disk said too; "" for none */

#endif
