/* The mark of a repair: whoever loads the table sees it, the highest number counts, the same one again is fine. */
#include "world.h"

#include "format/delta.h"
#include "store_flaky.h"

#define TABLE STR("prepare/p/t")
#define FOLDER "prepare/p/t/_delta_log/"

static void write_mark(struct store *s, int64_t seen, const char *id, const char *run, enum err_code wanted, struct arena *a)
{
	struct err e = ERR_INIT;
	struct table_cut c = { .seen = seen, .id = str_from(id), .run_id = str_from(run) };
	assert_int_equal(table_cut_write(s, TABLE, &c, a, &e), wanted == ERR_NONE);
	assert_int_equal(e.code, wanted);
}

static void assert_mark(struct store *s, bool there, int64_t seen, const char *id, struct arena *a)
{
	struct err e = ERR_INIT;
	struct table_cut c;
	struct table_snapshot t;
	bool found = false;
	assert_done(table_cut_find(s, TABLE, a, &c, &found, &e), &e);
	assert_int_equal(found, there);
	assert_int_equal(c.seen, seen);
	assert_true(str_eq_z(c.id, id));
	assert_done(table_load(s, TABLE, -1, a, &t, &e), &e);
	assert_int_equal(t.version, -1);
	assert_int_equal(t.in_repair, there);
}

static void test_marks(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct store *s = memory_store();
	struct err e = ERR_INIT;
	struct str text;
	assert_mark(s, false, -1, "", &a);
	write_mark(s, 7, "b", "r", ERR_NONE, &a);
	assert_done(store_get(s, STR(FOLDER "_repair.00000000000000000007.json"), 1000, &a, &text, &e), &e);
	assert_true(str_eq_z(text, "{\"format\":\"sluice-cut/1\",\"run\":\"r\",\"seen\":7,\"id\":\"b\"}\n"));
	assert_mark(s, true, 7, "b", &a);
	write_mark(s, 7, "b", "r", ERR_NONE, &a);
	write_mark(s, 7, "c", "r", ERR_FENCED, &a);
	write_mark(s, 10, "d", "later", ERR_NONE, &a);
	assert_mark(s, true, 10, "d", &a);
	assert_done(table_cut_clear(s, TABLE, &e), &e);
	assert_mark(s, false, -1, "", &a);
	assert_done(table_cut_clear(s, TABLE, &e), &e);
	store_close(s);
	arena_free(&a);
}

static void test_a_mark_that_cannot_be_read(void **state)
{
	static const char *const texts[] = {
		"", "{}\n", "no JSON", "{\"format\":\"sluice-cut/2\",\"run\":\"r\",\"seen\":3,\"id\":\"b\"}\n",
		"{\"format\":\"sluice-cut/1\",\"run\":\"r\",\"seen\":4,\"id\":\"b\"}\n",
		"{\"format\":\"sluice-cut/1\",\"run\":\"r\",\"seen\":3,\"id\":\"\"}\n",
		"{\"format\":\"sluice-cut/1\",\"run\":\"r\",\"id\":\"b\"}\n", "{\"format\":\"sluice-cut/1\",\"seen\":3,\"id\":\"b\"}\n",
		"{\"format\":\"sluice-cut/1\",\"run\":\"r\",\"seen\":3}\n",
	};
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct arena a = ARENA_INIT;
		struct store *s = memory_store();
		struct err e = ERR_INIT;
		enum store_created created;
		assert_done(store_create(s, STR(FOLDER "_repair.00000000000000000003.json"), str_from(texts[i]), &created, &e), &e);
		assert_mark(s, true, 3, "", &a);
		store_close(s);
		arena_free(&a);
	}
}

/* Longer than any, beside names that come behind it in a list: its own name still says the number. */
static void test_a_mark_that_is_too_long(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct store *s = memory_store();
	struct buf b = BUF_INIT(10000);
	for (int i = 0; i < 5000; i++)
		buf_add_char(&b, ' ');
	object_put(s, STR(FOLDER "_repair.00000000000000000003.json"), buf_str(&b));
	object_put(s, STR(FOLDER "_z"), STR("x"));
	assert_mark(s, true, 3, "", &a);
	buf_free(&b);
	store_close(s);
	arena_free(&a);
}

/* Nobody takes a table for whole, or a mark for written or gone, because the store did not answer. */
static void test_any_call_fails(void **state)
{
	(void)state;
	for (int act = 0; act < 3; act++) { /* write, find, clear */
		uint64_t failed = 1, calls = 0;
		for (uint64_t nth = 1; failed > 0; nth++, calls++) {
			struct arena a = ARENA_INIT;
			struct store *s = memory_store();
			struct err e = ERR_INIT;
			struct flaky f;
			struct table_cut c = { .seen = 3, .id = STR("b"), .run_id = STR("r") };
			bool found = false, ok;
			if (act > 0)
				write_mark(s, 3, "b", "r", ERR_NONE, &a);
			if (act == 2)
				write_mark(s, 2, "a", "r", ERR_NONE, &a);
			flaky_init(&f, s);
			flaky_arm(&f, nth, FLAKY_REFUSE);
			ok = act == 0   ? table_cut_write(&f.store, TABLE, &c, &a, &e)
			     : act == 1 ? table_cut_find(&f.store, TABLE, &a, &c, &found, &e)
					: table_cut_clear(&f.store, TABLE, &e);
			failed = f.failed;
			assert_int_equal(ok, failed == 0);
			assert_code(&e, ok ? ERR_NONE : ERR_STORAGE);
			if (act == 1 && ok)
				assert_true(found && c.seen == 3 && str_eq_z(c.id, "b"));
			else if (act != 1) /* the highest, which counts, is the last to go */
				assert_mark(s, act == 0 ? ok : !ok, (act == 0) == ok ? 3 : -1, (act == 0) == ok ? "b" : "", &a);
			store_close(s);
			arena_free(&a);
		}
		assert_true(calls > 1);
	}
}

static bool get_no_memory(struct store *s, struct str key, uint64_t offset, uint64_t max, struct arena *a, struct str *out, struct err *e)
{
	(void)s, (void)offset, (void)max, (void)a, (void)out;
	return err_set(e, ERR_MEMORY, "%.*s: no memory", STR_ARG(key));
}

static void test_no_memory_for_a_mark(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct store *s = memory_store();
	struct err e = ERR_INIT;
	struct table_cut c;
	struct flaky f;
	bool found = false;
	write_mark(s, 3, "b", "r", ERR_NONE, &a);
	flaky_init(&f, s);
	f.ops.get = get_no_memory;
	assert_false(table_cut_find(&f.store, TABLE, &a, &c, &found, &e));
	assert_code(&e, ERR_MEMORY);
	store_close(s);
	arena_free(&a);
}

static void test_names_that_are_no_mark(void **state)
{
	static const char *const names[] = { "_repair.3.json", "_repair.0000000000000000000x.json", "_repair.00000000000000000003",
					     "_repair.99999999999999999999.json", "repair.00000000000000000003.json",
					     "_repair.00000000000000000003.jsonx", "_last_checkpoint",
					     "-repair.00000000000000000003.json", "_repair.00000000000000000003.jsox",
					     "_repair.09999999999999999999.json" };
	(void)state;
	struct arena a = ARENA_INIT;
	struct store *s = memory_store();
	for (size_t i = 0; i < COUNT(names); i++) {
		struct err e = ERR_INIT;
		enum store_created created;
		assert_done(store_create(s, arena_format(&a, FOLDER "%s", names[i]), STR("{}\n"), &created, &e), &e);
	}
	assert_mark(s, false, -1, "", &a);
	store_close(s);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_a_mark_that_cannot_be_read),
		cmocka_unit_test(test_a_mark_that_is_too_long),
		cmocka_unit_test(test_any_call_fails),
		cmocka_unit_test(test_no_memory_for_a_mark),
		cmocka_unit_test(test_names_that_are_no_mark),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
