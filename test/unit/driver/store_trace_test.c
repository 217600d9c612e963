/* The store that notes each call: what stands in its file, and that a call it cannot note is not made. */
#include "store_world.h"

#include "driver/store_trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct traced {
	struct world w;
	struct store *memory; /* inside of w.s */
	char *file;
};

static void traced_open(struct traced *t, const char *file)
{
	t->w = (struct world){ .e = ERR_INIT };
	assert_true(file_make_scratch(NULL, &t->w.arena, &t->w.folder, &t->w.e));
	t->file = arena_zero_terminated(&t->w.arena, file ? str_from(file) : arena_format(&t->w.arena, "%s/trace", t->w.folder));
	assert_true(store_open_memory(&t->memory, &t->w.e));
	assert_true(store_open_trace(t->memory, t->file, &t->w.s, &t->w.e));
}

/* All lines, without the number of the process. */
static struct str lines_of(struct traced *t)
{
	struct str text, pid = arena_format(&t->w.arena, "{\"pid\":%d,", (int)getpid());
	struct buf b = BUF_INIT(1 << 20);
	assert_true(file_read(t->file, 1 << 20, &t->w.arena, &text, &t->w.e));
	for (size_t at = 0; at < text.n;) {
		struct str rest = str_sub(text, at, SIZE_MAX);
		size_t end = str_find(rest, STR("\n"));
		assert_true(end < rest.n && end > pid.n);
		assert_memory_equal(rest.p, pid.p, pid.n);
		buf_add_char(&b, '{');
		buf_add(&b, str_sub(rest, pid.n, end + 1 - pid.n));
		at += end + 1;
	}
	struct str out = arena_copy(&t->w.arena, buf_str(&b));
	buf_free(&b);
	return out;
}

#define FIRST(id, call, key, more) "{\"id\":" #id ",\"call\":\"" call "\",\"key\":\"" key "\"" more "}\n"
#define THEN(id, call, key, result) FIRST(id, call, key, ",\"result\":\"" result "\"")
#define BOTH(id, call, key, result) FIRST(id, call, key, "") THEN(id, call, key, result)

static void test_each_call_has_two_lines(void **state)
{
	struct traced t;
	enum store_created created;
	struct store_listing list;
	struct str got;
	(void)state;
	traced_open(&t, NULL);
	struct world *w = &t.w;
	assert_true(store_create(w->s, STR("a/1"), STR("one \"quoted\"\n"), &created, &w->e) && created == STORE_CREATED);
	assert_true(store_create(w->s, STR("a/1"), STR("two"), &created, &w->e) && created == STORE_EXISTS);
	assert_true(store_get(w->s, STR("a/1"), 100, &w->arena, &got, &w->e));
	assert_true(str_eq(got, STR("one \"quoted\"\n")));
	assert_false(store_get(w->s, STR("a/2"), 100, &w->arena, &got, &w->e));
	assert_true(world_finish(w, "a/3", "pieces"));
	assert_true(store_settle(w->s, STR("a/3"), &w->e));
	assert_true(store_list(w->s, STR("a"), &w->arena, &list, &w->e));
	assert_int_equal(list.n, 2);
	assert_true(store_list_names(w->s, STR("a"), &w->arena, &list, &w->e));
	assert_true(store_remove(w->s, STR("a/1"), &w->e));
	assert_string_equal(arena_zero_terminated(&w->arena, lines_of(&t)),
			    FIRST(0, "create", "a/1", ",\"text\":\"one \\\"quoted\\\"\\n\"") THEN(0, "create", "a/1", "created")
			    FIRST(1, "create", "a/1", ",\"text\":\"two\"") THEN(1, "create", "a/1", "exists")
			    BOTH(2, "get", "a/1", "ok") BOTH(3, "get", "a/2", "MISSING") BOTH(4, "finish", "a/3", "ok")
			    BOTH(5, "settle", "a/3", "ok") BOTH(6, "list", "a", "ok") BOTH(7, "list", "a", "ok")
			    BOTH(8, "remove", "a/1", "ok"));
	world_close(w);
}

static void test_bytes_that_are_no_text(void **state)
{
	struct traced t;
	enum store_created created;
	(void)state;
	traced_open(&t, NULL);
	assert_true(store_create(t.w.s, STR("b"), STR("PAR1\xff\xfe"), &created, &t.w.e));
	assert_string_equal(arena_zero_terminated(&t.w.arena, lines_of(&t)),
			    FIRST(0, "create", "b", ",\"sha256\":\"bdc575f721a9bcc19112898e102276a9adcceb7492bb5e1db5fa21cfb4f7ac87\"")
			    THEN(0, "create", "b", "created"));
	world_close(&t.w);
}

/* The auditor would not see it. */
static void test_what_cannot_be_noted_is_not_done(void **state)
{
	struct traced t;
	struct store *s = NULL;
	struct store_writer *writer;
	enum store_created created;
	uint64_t size;
	(void)state;
	traced_open(&t, "/dev/full");
	struct world *w = &t.w;
	assert_false(store_create(w->s, STR("a"), STR("one"), &created, &w->e));
	assert_false(store_size(t.memory, STR("a"), &size, &w->e));
	assert_true(store_writer_open(w->s, &writer, &w->e));
	assert_true(store_writer_add(writer, STR("two"), &w->e));
	assert_false(store_writer_finish(writer, STR("b"), &w->e));
	assert_false(store_size(t.memory, STR("b"), &size, &w->e));
	assert_true(store_create(t.memory, STR("c"), STR("three"), &created, &w->e));
	assert_false(store_remove(w->s, STR("c"), &w->e));
	assert_true(store_size(t.memory, STR("c"), &size, &w->e));
	assert_false(store_open_trace(t.memory, "/dev/null/no", &s, &w->e));
	world_close(w);
}

enum { THREADS = 4, CALLS = 50 };

static void *create_many(void *user)
{
	struct store *s = user;
	for (int i = 0; i < CALLS; i++) {
		enum store_created created;
		struct err e = ERR_INIT;
		if (!store_create(s, STR("same"), STR("a text that is long enough to be torn apart"), &created, &e))
			abort();
	}
	return NULL;
}

static void test_lines_of_threads_stay_whole(void **state)
{
	struct traced t;
	pthread_t threads[THREADS];
	size_t n = 0, created = 0;
	(void)state;
	traced_open(&t, NULL);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, create_many, t.w.s), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	bool seen[THREADS * CALLS][2] = { 0 };
	struct str text = lines_of(&t);
	for (size_t at = 0; at < text.n; n++) {
		struct str rest = str_sub(text, at, SIZE_MAX);
		struct str line = str_sub(rest, 0, str_find(rest, STR("\n")) + 1);
		char *number = arena_zero_terminated(&t.w.arena, str_sub(line, strlen("{\"id\":"), SIZE_MAX));
		unsigned long id = strtoul(number, NULL, 10);
		bool second = str_find(line, STR("\"result\"")) < line.n;
		assert_true(id < THREADS * CALLS && !seen[id][second] && (!second || seen[id][0]));
		seen[id][second] = true;
		created += str_find(line, STR("\"created\"")) < line.n;
		at += line.n;
	}
	assert_int_equal(n, 2 * THREADS * CALLS);
	assert_int_equal(created, 1);
	world_close(&t.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_call_has_two_lines),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_what_cannot_be_noted_is_not_done),
		cmocka_unit_test(test_lines_of_threads_stay_whole),
	};
	return cmocka_run_group_tests_name("driver/store_trace", tests, NULL, NULL);
}
