/* TLS against `openssl s_server`; passed over where there is no openssl program. */
#include "unit.h"

#include "base/file.h"
#include "driver/http.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct arena arena;
static char *folder;

static char *format(const char *f, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *f, ...)
{
	va_list args;
	va_start(args, f);
	struct str s = arena_vformat(&arena, f, args);
	va_end(args);
	return arena_zero_terminated(&arena, s);
}

struct server {
	pid_t pid;
	int out;
	unsigned port;
};

/* s_server says "ACCEPT 127.0.0.1:PORT" once it listens. */
static void server_open(struct server *s, const char *cert, const char *more)
{
	int out[2];
	assert_int_equal(pipe(out), 0);
	s->pid = fork();
	if (s->pid == 0) {
		dup2(out[1], 1);
		char *command = format("exec openssl s_server -accept 127.0.0.1:0 -cert %s/%s.pem -key %s/%s.key -www %s "
				       "2>/dev/null", folder, cert, folder, cert, more);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	s->out = out[0];
	char text[4096];
	size_t n = 0;
	for (;;) {
		ssize_t got = read(s->out, text + n, sizeof text - 1 - n);
		if (got <= 0)
			fail_msg("openssl s_server did not start");
		n += (size_t)got;
		text[n] = 0;
		char *at = strstr(text, "ACCEPT 127.0.0.1:");
		if (at && strchr(at, '\n')) {
			s->port = (unsigned)strtoul(at + 17, NULL, 10);
			return;
		}
	}
}

static void server_close(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	close(s->out);
}

static int make_certificate(const char *name, const char *subject_alt)
{
	return system(format("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
			     "-subj /CN=test -addext subjectAltName=%s -keyout %s/%s.key -out %s/%s.pem >/dev/null 2>&1",
			     subject_alt, folder, name, folder, name));
}

static void certificates(void **state)
{
	(void)state;
	static const struct {
		const char *name, *cert, *trusted, *server_options; /* trusted: "" the system's */
		enum err_code code;
		const char *words;
	} table[] = {
		{ "TLS 1.3", "good", "good", "-tls1_3", ERR_NONE, "" },
		{ "TLS 1.2", "good", "good", "-tls1_2", ERR_NONE, "" },
		{ "self-signed", "good", "", "", ERR_TLS, "certificate" },
		{ "signed by somebody else", "good", "wrong", "", ERR_TLS, "certificate" },
		{ "of another host", "wrong", "wrong", "", ERR_TLS, "" },
		{ "TLS 1.1", "good", "good", "-tls1_1 -cipher ALL:@SECLEVEL=0", ERR_TLS, "" },
	};
	struct err e = ERR_INIT;
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	assert_true(file_make_scratch(NULL, &arena, &folder, &e));
	assert_int_equal(make_certificate("good", "IP:127.0.0.1"), 0);
	assert_int_equal(make_certificate("wrong", "DNS:other.example"), 0);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct server s;
		struct http *h;
		server_open(&s, table[i].cert, table[i].server_options);
		if (table[i].trusted[0])
			setenv("SSL_CERT_FILE", format("%s/%s.pem", folder, table[i].trusted), 1);
		else
			unsetenv("SSL_CERT_FILE");
		assert_true(http_open_curl(clock_system(), &h, &e));
		struct http_request r = { .method = STR("GET"), .max_header_bytes = 20000, .max_body_bytes = 100000,
					  .connect_us = 4000000, .total_us = 5000000, .allow_private = true };
		r.url = str_from(format("https://127.0.0.1:%u/x?secret", s.port));
		assert_true(http_start(h, &r, &e));
		struct http_exchange *x = http_wait(h, 10000000);
		assert_non_null(x);
		if (x->err.code != table[i].code || !strstr(x->err.message, table[i].words) ||
		    strstr(x->err.message, "secret"))
			fail_msg("%s: %s %s", table[i].name, err_name(x->err.code), x->err.message);
		if (x->err.code == ERR_NONE) {
			assert_int_equal(x->status, 200);
			assert_true(x->body.n > 100);
		} else {
			assert_int_equal(x->sent_us, 0); /* not a byte of the request went out */
		}
		http_exchange_free(x);
		http_close(h);
		server_close(&s);
	}
	assert_true(file_remove_tree(folder, &e));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(certificates) };
	return cmocka_run_group_tests_name("driver/http_tls", tests, NULL, NULL);
}
