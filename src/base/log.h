/* Diagnostics on standard error: one event a line, control characters escaped, no secrets by construction (texts of
 * secrets are never in reach of a log call, see config/secret.h).
 *
 * SLUICE_LOG holds words with commas between: `debug` (LOG_DEBUG too), `quiet` (only LOG_WARN and LOG_ERROR), `json`
 * (JSON lines in place of lines for people). It is read once. Each line goes out in one write(2).
 *
 * In a Lambda function (log_like_lambda) the lines have the names that its log controls look for: "timestamp" (RFC 3339), "level"
 * (DEBUG, INFO, WARN, ERROR), "message", "requestId"; SLUICE_LOG counts for nothing then. */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_event(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_event(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_event(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_event(LOG_WARN, __VA_ARGS__)

/* `format` is AWS_LAMBDA_LOG_FORMAT ("JSON" in any case; all else: lines for people, each with the id of the request),
 * `level` is AWS_LAMBDA_LOG_LEVEL (TRACE and DEBUG, INFO, WARN, ERROR and FATAL); NULL: not set. */
void log_like_lambda(const char *format, const char *level);
void log_set_request(struct str id); /* in each line from now on; cut at 80 bytes; "" none */

/* Called before each line goes out, so that a progress display can step aside; NULL for none. It must not log. */
void log_set_before_line(void (*before)(void));

#endif
