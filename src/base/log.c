#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/effect.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4096, LINE_MAX_BYTES = 8192 };

static pthread_once_t options_once = PTHREAD_ONCE_INIT;
static enum log_level lowest = LOG_INFO;
static bool as_json, as_lambda;

static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*before_line)(void); /* under line_lock */
static char request_id[80];       /* the same; "" none */

static void read_options(void)
{
	if (as_lambda)
		return;
	struct str rest = str_from(getenv("SLUICE_LOG")), word;
	while (str_cut(&rest, ',', &word)) {
		if (str_eq_z(word, "debug"))
			lowest = LOG_DEBUG;
		else if (str_eq_z(word, "quiet"))
			lowest = LOG_WARN;
		else if (str_eq_z(word, "json"))
			as_json = true;
	}
}

struct line {
	char p[LINE_MAX_BYTES];
	size_t n;
};

static void line_add(struct line *l, struct str s)
{
	CHECK(s.n <= sizeof l->p - l->n);
	memcpy(l->p + l->n, s.p, s.n);
	l->n += s.n;
}

/* One character, or one byte that is none. Controls are C0, DEL and C1 (U+0080 to U+009F). */
static void line_add_char(struct line *l, struct str c, bool valid)
{
	unsigned char first = (unsigned char)c.p[0], second = c.n == 2 ? (unsigned char)c.p[1] : 0;
	bool c1 = valid && first == 0xc2 && second < 0xa0;
	bool control = valid && (first < 0x20 || first == 0x7f || c1);
	char text[8];
	int n;
	if (valid && !control) {
		if (as_json && (first == '"' || first == '\\'))
			line_add(l, STR("\\"));
		line_add(l, c);
		return;
	}
	if (as_json && !valid) {
		line_add(l, STR("\xef\xbf\xbd"));
		return;
	}
	unsigned v = c1 ? second : first;
	if (as_json)
		n = snprintf(text, sizeof text, "\\u%04x", v);
	else
		n = snprintf(text, sizeof text, c1 ? "\\u%04x" : "\\x%02x", v);
	CHECK(n > 0 && (size_t)n < sizeof text);
	line_add(l, (struct str){ text, (size_t)n });
}

/* What is too long ends in "...". */
static void line_add_message(struct line *l, struct str message)
{
	const size_t reserve = 16; /* the longest escape, the dots, the end of the line */
	while (message.n > 0) {
		if (sizeof l->p - l->n <= reserve) {
			line_add(l, STR("..."));
			return;
		}
		size_t n = str_utf8_char(message);
		line_add_char(l, str_sub(message, 0, n ? n : 1), n > 0);
		message = str_sub(message, n ? n : 1, message.n);
	}
}

static void line_add_time(struct line *l)
{
	int64_t us = clock_system()->wall_us(clock_system());
	time_t s = (time_t)(us / 1000000);
	struct tm t;
	char text[48];
	CHECK(gmtime_r(&s, &t) != NULL);
	size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
	CHECK(n > 0);
	int m = snprintf(text + n, sizeof text - n, ".%03dZ", (int)(us / 1000 % 1000));
	CHECK(m > 0 && (size_t)m < sizeof text - n);
	line_add(l, (struct str){ text, n + (size_t)m });
}

static void line_make(struct line *l, enum log_level level, struct str message)
{
	static const char *const names[] = { "debug", "info", "warning", "error" };
	static const char *const lambda_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };
	CHECK((unsigned)level < sizeof names / sizeof names[0]);
	l->n = 0;
	if (as_json) {
		line_add(l, as_lambda ? STR("{\"timestamp\":\"") : STR("{\"time\":\""));
		line_add_time(l);
		line_add(l, STR("\",\"level\":\""));
		line_add(l, str_from(as_lambda ? lambda_names[level] : names[level]));
		if (request_id[0]) {
			line_add(l, STR("\",\"requestId\":\""));
			line_add_message(l, str_from(request_id));
		}
		line_add(l, STR("\",\"message\":\""));
		line_add_message(l, message);
		line_add(l, STR("\"}\n"));
		return;
	}
	line_add(l, STR("sluice: "));
	if (request_id[0]) {
		line_add_message(l, str_from(request_id));
		line_add(l, STR(": "));
	}
	if (level != LOG_INFO) {
		line_add(l, str_from(names[level]));
		line_add(l, STR(": "));
	}
	line_add_message(l, message);
	line_add(l, STR("\n"));
}

void log_event(enum log_level level, const char *format, ...)
{
	pthread_once(&options_once, read_options);
	if (level < lowest)
		return;
	char message[MESSAGE_MAX];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(message, sizeof message, format, args);
	va_end(args);
	struct str text = STR("(a message that could not be formatted)");
	if (n >= 0 && (size_t)n < sizeof message) {
		text = (struct str){ message, (size_t)n };
	} else if (n >= 0) {
		/* The cut must not leave half a character, which would show as damage that never was. */
		size_t at = sizeof message - sizeof "...";
		while (at > 0 && ((unsigned char)message[at] & 0xc0) == 0x80)
			at--;
		memcpy(message + at, "...", sizeof "...");
		text = (struct str){ message, at + 3 };
	}
	struct line line;
	CHECK(pthread_mutex_lock(&line_lock) == 0);
	line_make(&line, level, text);
	if (before_line)
		before_line();
	ssize_t written = sys_say(STDERR_FILENO, line.p, line.n); /* one call: lines of several processes stay whole */
	(void)written;
	CHECK(pthread_mutex_unlock(&line_lock) == 0);
}

void log_set_before_line(void (*before)(void))
{
	CHECK(pthread_mutex_lock(&line_lock) == 0);
	before_line = before;
	CHECK(pthread_mutex_unlock(&line_lock) == 0);
}

void log_like_lambda(const char *format, const char *level)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = { { "TRACE", LOG_DEBUG }, { "DEBUG", LOG_DEBUG }, { "INFO", LOG_INFO },
		       { "WARN", LOG_WARN }, { "ERROR", LOG_ERROR }, { "FATAL", LOG_ERROR } };
	CHECK(pthread_mutex_lock(&line_lock) == 0);
	as_lambda = true;
	as_json = str_eq_nocase(str_from(format), STR("JSON"));
	lowest = LOG_INFO;
	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
		if (str_eq_nocase(str_from(level), str_from(levels[i].name)))
			lowest = levels[i].level;
	CHECK(pthread_mutex_unlock(&line_lock) == 0);
}

void log_set_request(struct str id)
{
	CHECK(pthread_mutex_lock(&line_lock) == 0);
	size_t n = id.n < sizeof request_id - 1 ? id.n : sizeof request_id - 1;
	memcpy(request_id, str_start(id), n);
	request_id[n] = 0;
	CHECK(pthread_mutex_unlock(&line_lock) == 0);
}
