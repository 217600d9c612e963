/* The S3 store on servers that we did not write, from $SLUICE_DEPS: versitygw, which checks signatures, checksums and conditions, and
 * moto, which was written by others still, and checks conditions only. Without them these tests are skipped. */
#include "store_cases.h"

#include "driver/store_open.h"
#include "driver/store_s3.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct arena arena;
static bool is_moto; /* else versitygw */
static pid_t server;
static char *folder;
static struct store_settings settings;

/* ── the server ── */

static int port_free(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static const char *program(void)
{
	const char *deps = getenv("SLUICE_DEPS");
	struct str path = arena_format(&arena, "%s/%s", deps ? deps : "", is_moto ? "venv/bin/moto_server" : "versitygw/versitygw");
	return access(path.p, X_OK) == 0 ? path.p : NULL;
}

/* Somebody has to: moto begins empty, and asks nobody who he is. */
static void bucket_make(void)
{
	struct http *h;
	struct http_exchange *x = NULL;
	struct err e = ERR_INIT;
	struct http_request r = { .method = STR("PUT"), .url = arena_format(&arena, "%.*s/bkt", STR_ARG(settings.endpoint)),
				  .max_header_bytes = 10000, .max_body_bytes = 10000, .total_us = 60000000, .allow_private = true };
	assert_true(http_open_curl(clock_system(), &h, &e) && http_start(h, &r, &e));
	while (x == NULL)
		x = http_wait(h, r.total_us);
	assert_int_equal(x->status, 200);
	http_exchange_free(x);
	http_close(h);
}

static int server_start(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	const char *path = program();
	int port = port_free();
	if (path == NULL)
		return 0;
	assert_true(file_make_scratch(NULL, &arena, &folder, &e));
	assert_true(file_make_dirs(arena_format(&arena, "%s/data/bkt", folder).p, &e));
	char *address = arena_zero_terminated(&arena, arena_format(&arena, "127.0.0.1:%d", port));
	char *data = arena_zero_terminated(&arena, arena_format(&arena, "%s/data", folder));
	server = fork();
	if (server == 0) {
		int log = open(arena_format(&arena, "%s/log", folder).p, O_WRONLY | O_CREAT, 0600);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		if (is_moto)
			execl(path, path, "-H", "127.0.0.1", "-p", strchr(address, ':') + 1, (char *)NULL);
		else
			execl(path, path, "--access", "AKIDSERVER", "--secret", "secretSERVER+/=", "--port", address, "posix", data, (char *)NULL);
		_exit(127);
	}
	setenv("AWS_ACCESS_KEY_ID", "AKIDSERVER", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secretSERVER+/=", 1);
	unsetenv("AWS_SESSION_TOKEN");
	settings = (struct store_settings){ .endpoint = arena_format(&arena, "http://%s", address), .region = STR("us-east-1"), .path_style = true };
	for (int i = 0; i < 6000; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		int r = connect(fd, (struct sockaddr *)&a, sizeof a);
		close(fd);
		if (r == 0 && is_moto)
			bucket_make();
		if (r == 0)
			return 0;
		usleep(10000);
	}
	fail_msg("%s does not listen", path);
	return 1;
}

static int server_stop(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	int status;
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, &status, 0);
		assert_true(file_remove_tree(folder, &e));
	}
	server = 0;
	arena_free(&arena);
	return 0;
}

#define NEED_SERVER() do { \
		if (server == 0) { \
			print_message(is_moto ? "skip: no moto in $SLUICE_DEPS\n" \
					      : "skip: no versitygw in $SLUICE_DEPS (tools/setup test builds it with Go)\n"); \
			skip(); \
		} \
	} while (0)

static void world_at(struct world *w, const char *prefix)
{
	*w = (struct world){ .e = ERR_INIT };
	if (!store_open(arena_format(&w->arena, "s3://bkt/%s", prefix), &settings, true, &w->s, &w->e))
		fail_msg("%s", w->e.message);
}

static void open_case(struct world *w, size_t number)
{
	world_at(w, arena_format(&arena, "case/%zu", number).p);
}

/* ── the tests ── */

static void table_s3(void **state)
{
	(void)state;
	NEED_SERVER();
	run_cases(false, open_case);
}

static void not_there(void **state)
{
	(void)state;
	NEED_SERVER();
	struct err e = ERR_INIT;
	struct store *s = NULL;
	assert_false(store_open(STR("s3://bkt/nothing/here"), &settings, false, &s, &e));
	assert_int_equal(e.code, ERR_MISSING);
	e = ERR_INIT;
	assert_false(store_open(STR("s3://no-such-bucket/x"), &settings, true, &s, &e));
	assert_int_equal(e.code, ERR_CONFIG);
	assert_non_null(strstr(e.message, "NoSuchBucket"));
	if (is_moto)
		return;
	setenv("AWS_SECRET_ACCESS_KEY", "another", 1);
	e = ERR_INIT;
	assert_false(store_open(STR("s3://bkt/x"), &settings, true, &s, &e));
	setenv("AWS_SECRET_ACCESS_KEY", "secretSERVER+/=", 1);
	assert_int_equal(e.code, ERR_CREDENTIALS);
	assert_non_null(strstr(e.message, "SignatureDoesNotMatch"));
	assert_null(strstr(e.message, "secretSERVER"));
}

enum { LARGE = (19 << 20) + 12345 };

static struct str large(char salt)
{
	char *p = arena_alloc(&arena, LARGE);
	for (size_t i = 0; i < LARGE; i++)
		p[i] = (char)((size_t)salt + i % 251 + i / 65536);
	return (struct str){ p, LARGE };
}

static bool write_large(struct world *w, struct str key, struct str bytes, bool named)
{
	struct store_writer *writer;
	assert_true(named ? store_writer_open_named(w->s, key, &writer, &w->e) : store_writer_open(w->s, &writer, &w->e));
	for (struct str rest = bytes; rest.n > 0; rest = str_sub(rest, 700000, SIZE_MAX))
		if (!store_writer_add(writer, str_sub(rest, 0, 700000), &w->e))
			fail_msg("%s", w->e.message);
	return store_writer_finish(writer, key, &w->e);
}

static void large_objects(void **state)
{
	(void)state;
	NEED_SERVER();
	if (is_moto) {
		print_message("skip: without awscrt moto keeps a CRC-32 for the CRC-64 of what comes in parts, and is rightly not believed\n");
		skip();
	}
	struct world w;
	struct str got, bytes = large('a'), others = large('b');
	uint64_t n, size;
	world_at(&w, "large");
	for (int named = 0; named < 2; named++) {
		struct str key = named ? STR("l/named") : STR("l/unnamed");
		if (!write_large(&w, key, bytes, named))
			fail_msg("%s", w.e.message);
		assert_true(store_get(w.s, key, LARGE, &w.arena, &got, &w.e));
		assert_true(str_eq(got, bytes));
		assert_true(write_large(&w, key, bytes, named)); /* the same bytes already there are fine */
		w.e = ERR_INIT;
		assert_false(write_large(&w, key, others, named));
		assert_int_equal(w.e.code, ERR_STORAGE);
		assert_true(store_get(w.s, key, LARGE, &w.arena, &got, &w.e));
		assert_true(str_eq(got, bytes));
		char *piece = arena_alloc(&w.arena, 100000);
		for (size_t at = 0; at + 100000 < LARGE; at += 100100) {
			assert_true(store_read_at(w.s, key, at, piece, 100000, &w.e));
			assert_memory_equal(piece, bytes.p + at, 100000);
		}
	}
	/* one byte around the size of a part */
	for (size_t i = 0; i < 3; i++) {
		struct str part = str_sub(bytes, 0, (8 << 20) - 1 + i), key = arena_format(&w.arena, "l/%zu", i);
		assert_true(write_large(&w, key, part, i % 2));
		assert_true(store_get(w.s, key, LARGE, &w.arena, &got, &w.e));
		assert_true(str_eq(got, part));
	}
	/* nothing of what failed or was given up stays */
	struct store_writer *writer;
	assert_true(store_writer_open_named(w.s, STR("l/given-up"), &writer, &w.e));
	assert_true(store_writer_add(writer, bytes, &w.e));
	store_writer_abort(writer);
	assert_false(store_size(w.s, STR("l/given-up"), &size, &w.e));
	assert_true(store_sweep(w.s, INT64_MAX, false, &n, &size, &w.e));
	assert_int_equal(n, 0);
	world_close(&w);
}

static void many_names(void **state)
{
	(void)state;
	NEED_SERVER();
	struct world w;
	struct store_listing list;
	enum store_created created;
	world_at(&w, "many");
	for (int i = 0; i < 1003; i++) {
		char key[64];
		snprintf(key, sizeof key, i % 100 == 7 ? "m/%06d/x" : "m/%06d", i * 37 % 1003);
		assert_true(store_create(w.s, str_from(key), STR("1"), &created, &w.e));
	}
	assert_true(store_list_names(w.s, STR("m"), &w.arena, &list, &w.e));
	assert_int_equal(list.n, 1003); /* more than a page */
	for (size_t i = 1; i < list.n; i++)
		assert_true(str_cmp(list.v[i - 1].name, list.v[i].name) < 0);
	for (int skip = 0; skip < 2; skip++) {
		assert_true(store_list_all(w.s, STR("m"), skip ? STR("000007") : STR_NONE, &w.arena, &list, &w.e));
		assert_true(list.n == 1003 || (skip && list.n == 1002));
		for (size_t i = 1; i < list.n; i++)
			assert_true(str_cmp(list.v[i - 1].name, list.v[i].name) < 0 && !list.v[i].is_folder && list.v[i].size_bytes == 1);
	}
	world_close(&w);
}

static void one_winner(void **state)
{
	(void)state;
	NEED_SERVER();
	struct world w;
	world_at(&w, "race");
	assert_one_winner(w.s, 40);
	world_close(&w);
	struct stat st;
	assert_true(is_moto || stat(arena_format(&arena, "%s/data/bkt/race/.tmp", folder).p, &st) != 0); /* the probe left nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_s3),   cmocka_unit_test(not_there),  cmocka_unit_test(large_objects),
		cmocka_unit_test(many_names), cmocka_unit_test(one_winner),
	};
	int failed = cmocka_run_group_tests_name("driver/store_server, versitygw", tests, server_start, server_stop);
	is_moto = true;
	return failed + cmocka_run_group_tests_name("driver/store_server, moto", tests, server_start, server_stop);
}
