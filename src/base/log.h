/* Diagnostics on standard error: one event a line, control characters escaped, no secrets by construction (texts of
 * secrets are never in reach of a log call, see config/secret.h).
 *
 * SLUICE_LOG holds words with commas between: `debug` (LOG_DEBUG too), `quiet` (only LOG_WARN and LOG_ERROR), `json`
 * (JSON lines in place of lines for people). It is read once. Each line goes out in one write(2). */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_event(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_event(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_event(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_event(LOG_WARN, __VA_ARGS__)

/* Called before each line goes out, so that a progress display can step aside; NULL for none. It must not log. */
void log_set_before_line(void (*before)(void));

#endif
