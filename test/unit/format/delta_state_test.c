/* Folded states: what they hold is what the log comes to; without them, or with broken ones, a table is the same. */
#include "world.h"

#include "format/delta.h"

#include <inttypes.h>
#include <stdatomic.h>

#define TABLE STR("prepare/p/t")

enum { VERSIONS = 47 };

static struct table_column columns[] = { { { "n", 1 }, TYPE_INTEGER, 0, 0, { "how \"many\"", 10 } },
					 { { "fare", 4 }, TYPE_DECIMAL, 9, 2, { NULL, 0 } } };
static const struct table_schema schema = { columns, COUNT(columns) };

/* Version v adds a file of one window; every third replaces the newest, every fifth changes tags of the oldest. */
static void commit(struct store *s, int64_t v, struct arena *a)
{
	struct table_snapshot t;
	struct err e = ERR_INIT;
	enum table_outcome outcome;
	assert_done(table_replay(s, TABLE, -1, a, &t, &e), &e);
	struct str name = arena_format(a, "w%03d", (int)v);
	struct table_window w = { .name = name, .generation = 2, .content = hash_of(name.p), .key = hash_of("key"), .rows = 7,
				  .hash = { (uint128)v << 90, 7 }, .row_window = name, .row_generation = v % 2 ? 1 : 2 };
	struct table_file f[2] = { { .path = arena_format(a, "data/x/%03d.parquet", (int)v), .size_bytes = 100, .rows = 7,
				     .modified_ms = v, .stats = STR("{\"numRecords\":7}"), .windows = &w, .n_windows = 1,
				     .has_hash = v % 4 != 0, .hash = hash_of("bytes") } };
	struct table_commit c = { .version = v, .operation = STR("prepare"), .run_id = STR("r"),
				  .nonce = arena_format(a, "%032d", (int)v), .previous = t.last_hash, .time_us = (v + 1) * 1000000,
				  .schema = v % 16 == 0 ? &schema : NULL, .table_id = STR("id"), .name = STR("t"),
				  .description = v > 16 ? STR("of\nwords") : STR_NONE, .contract_meaning = STR("m"), .add = f,
				  .n_add = 1 };
	if (v > 0 && v % 3 == 0) {
		c.remove = &t.files[t.n_files - 1];
		c.n_remove = 1;
	}
	if (v > 0 && v % 5 == 0) {
		f[1] = t.files[0];
		f[1].same_data = true;
		f[1].windows->generation++;
		c.n_add = 2;
	}
	assert_done(table_commit_write(s, TABLE, &c, a, &outcome, &e), &e);
	assert_int_equal(outcome, TABLE_COMMITTED);
}

static struct store *table_of(int64_t versions, struct arena *a)
{
	struct store *s = memory_store();
	for (int64_t v = 0; v < versions; v++)
		commit(s, v, a);
	return s;
}

static void state_at(struct store *s, int64_t version, struct arena *a)
{
	struct table_snapshot t;
	struct err e = ERR_INIT;
	assert_done(table_load(s, TABLE, version, a, &t, &e), &e);
	assert_done(table_state_write(s, TABLE, &t, a, &e), &e);
}

static struct str state_key(int64_t version, struct arena *a)
{
	return arena_format(a, "%.*s/state/%020" PRId64 ".json", STR_ARG(TABLE), version);
}

/* The same in every word, by state and by log. */
static struct table_snapshot assert_same(struct store *s, int64_t version, struct arena *a)
{
	struct table_snapshot x, y;
	struct err e = ERR_INIT;
	assert_done(table_load(s, TABLE, version, a, &x, &e), &e);
	assert_done(table_replay(s, TABLE, version, a, &y, &e), &e);
	assert_frozen(table_state_encode(&x, a), table_state_encode(&y, a));
	assert_int_equal(x.by_name.n, y.by_name.n);
	assert_true(sha256_eq(x.last_hash, y.last_hash));
	return x;
}

struct count {
	struct store store, *inner;
	atomic_uint gets, lists; /* where each is a request, several go at a time */
};

static bool count_get(struct store *s, struct str key, uint64_t offset, uint64_t max, struct arena *a, struct str *out,
		      struct err *e)
{
	struct count *c = (struct count *)s;
	c->gets++;
	return c->inner->ops->get(c->inner, key, offset, max, a, out, e);
}

static bool count_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct count *c = (struct count *)s;
	c->lists++;
	return c->inner->ops->list(c->inner, folder, a, out, e);
}

static void opened_with_few_reads(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = table_of(VERSIONS, &a);
	struct table_snapshot t;
	struct err e = ERR_INIT;
	for (int64_t v = 20; v < VERSIONS; v += 20)
		state_at(s, v, &a);
	for (int64_t v = 0; v < VERSIONS; v++)
		assert_int_equal(assert_same(s, v, &a).bad_state.n, 0);
	struct store_ops ops = *s->ops;
	struct count c = { .store = *s, .inner = s };
	ops.get = count_get;
	ops.list = ops.list_names = count_list;
	c.store.ops = &ops;
	assert_done(table_load(&c.store, TABLE, -1, &a, &t, &e), &e);
	assert_int_equal(t.version, VERSIONS - 1);
	assert_int_equal(c.lists, 1);
	assert_int_equal(c.gets, 2 + VERSIONS - 1 - 40); /* the state, the version it was made behind, what came after */
	/* The state of 40 is not there yet: that of 20 will do. */
	assert_done(store_remove(s, state_key(40, &a), &e), &e);
	c.lists = c.gets = 0;
	assert_done(table_load(&c.store, TABLE, -1, &a, &t, &e), &e);
	assert_int_equal(c.lists, 2);
	assert_int_equal(c.gets, 2 + 2 + VERSIONS - 1 - 20); /* a state and its version are asked for together */
	assert_int_equal(t.bad_state.n, 0);
	assert_same(s, -1, &a);
	store_close(s);
	arena_free(&a);
}

static struct str found_text;

static void on_found(void *user, struct str where, struct str what)
{
	struct arena *a = user;
	found_text = arena_format(a, "%.*s%.*s: %.*s\n", STR_ARG(found_text), STR_ARG(where), STR_ARG(what));
}

/* `old` becomes `new`; "" for both ends: the whole becomes `new`. `sealed`: with an end that fits it again. */
static const struct broken_case {
	const char *old, *new;
	bool sealed;
	const char *why;
} broken_cases[] = {
	{ NULL, "", false, "not whole" },
	{ NULL, "{}\n", false, "\"end\"" },
	{ NULL, "\xff\xfe\n", false, "" },
	{ "\"size\":100", "\"size\":101", false, "its bytes have changed" },
	{ "{\"protocol\"", "\n{\"protocol\"", false, "its bytes have changed" },
	{ "\"size\":100", "\"size\":\"100\"", true, "\"size\"" },
	{ "\"version\":20", "\"version\":21", true, "no state of version 20" },
	{ "sluice-table-state/1", "sluice-table-state/2", true, "no state of version 20" },
	{ "\"files\":", "\"files\":1", true, "files" },
	{ "\"protocol\"", "\"protocols\"", true, "" },
	{ "\"log\":\"", "\"log\":\"0", true, "\"log\"" },
};

static struct str broken(struct str text, const struct broken_case *b, struct arena *a)
{
	if (b->old == NULL)
		return str_from(b->new);
	struct str now = replaced(text, b->old, b->new, a);
	assert_false(str_eq(now, text));
	if (!b->sealed)
		return now;
	size_t end = now.n - 1;
	while (now.p[end - 1] != '\n')
		end--;
	char hex[SHA256_HEX + 1];
	sha256_hex(sha256_of(str_sub(now, 0, end)), hex);
	return arena_format(a, "%.*s{\"end\":\"%s\"}\n", STR_ARG(str_sub(now, 0, end)), hex);
}

/* What nobody misses who reads `version` or later, of states at 20, 40, ... */
static void states_behind(void **unused)
{
	static const struct {
		unsigned states;
		int64_t version;
		size_t behind;
	} cases[] = { { 0, 0, 0 },  { 1, 30, 0 }, { 3, 70, 0 },	 { 5, 0, 0 },  { 5, 19, 0 }, { 5, 20, 0 },
		      { 5, 39, 0 }, { 5, 40, 1 }, { 5, 59, 1 }, { 5, 60, 2 }, { 5, 99, 2 }, { 5, 1000, 2 } };
	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct store *s = memory_store();
		struct store_listing got;
		for (unsigned k = 1; k <= cases[i].states; k++)
			object_put(s, state_key(k * TABLE_STATE_EVERY, &a), STR("a state"));
		object_put(s, arena_format(&a, "%.*s/state/other.json", STR_ARG(TABLE)), STR("not ours"));
		assert_done(table_states_behind(s, TABLE, cases[i].version, &a, &got, &e), &e);
		assert_int_equal(got.n, cases[i].behind);
		for (size_t k = 0; k < got.n; k++)
			assert_true(str_eq(got.v[k].name, state_key((int64_t)(k + 1) * TABLE_STATE_EVERY, &a)));
		store_close(s);
		arena_free(&a);
	}
}

static void broken_states_are_passed_over(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(broken_cases); i++) {
		struct arena a = ARENA_INIT;
		struct store *s = table_of(24, &a);
		struct err e = ERR_INIT;
		state_at(s, 20, &a);
		object_put(s, state_key(20, &a), broken(object_of(s, state_key(20, &a), &a), &broken_cases[i], &a));
		struct table_snapshot t = assert_same(s, -1, &a);
		assert_int_equal(t.version, 23);
		if (!str_contains(t.bad_state, str_from(broken_cases[i].why)) || t.bad_state.n == 0)
			fail_msg("case %zu: %.*s", i, STR_ARG(t.bad_state));
		found_text = STR_NONE;
		assert_done(table_states_check(s, TABLE, on_found, &a, &e), &e);
		if (!str_contains(found_text, state_key(20, &a)))
			fail_msg("case %zu: %.*s", i, STR_ARG(found_text));
		store_close(s);
		arena_free(&a);
	}
}

/* Whole, by itself sound, and not what the log says: only a replay can tell; one of another log is told at once. */
static void states_that_disagree(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = table_of(24, &a), *other = table_of(21, &a);
	struct err e = ERR_INIT;
	state_at(s, 20, &a);
	state_at(s, 10, &a);
	found_text = STR_NONE;
	assert_done(table_states_check(s, TABLE, on_found, &a, &e), &e);
	assert_int_equal(found_text.n, 0);
	struct broken_case b = { "\"size\":100", "\"size\":101", true, "" };
	struct str text = object_of(s, state_key(20, &a), &a);
	object_put(s, state_key(20, &a), broken(text, &b, &a));
	assert_done(table_states_check(s, TABLE, on_found, &a, &e), &e);
	assert_true(str_contains(found_text, STR("it is not what the log comes to")));
	/* another log */
	object_put(s, state_key(20, &a), text);
	struct str log = arena_format(&a, "%.*s/_delta_log/%020d.json", STR_ARG(TABLE), 20);
	struct str changed = replaced(object_of(other, log, &a), "\"sluice.run\":\"r\"", "\"sluice.run\":\"q\"", &a);
	object_put(other, log, changed);
	object_put(other, state_key(20, &a), text);
	struct table_snapshot t = assert_same(other, -1, &a);
	assert_true(str_contains(t.bad_state, STR("behind another version 20")));
	/* a state of a version that there is not */
	object_put(other, state_key(60, &a), text);
	found_text = STR_NONE;
	assert_done(table_states_check(other, TABLE, on_found, &a, &e), &e);
	assert_true(str_contains(found_text, STR("no such version")));
	store_close(s);
	store_close(other);
	arena_free(&a);
}

static void a_race_changes_nothing(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = table_of(21, &a);
	state_at(s, 20, &a);
	struct str first = object_of(s, state_key(20, &a), &a);
	state_at(s, 20, &a);
	assert_frozen(object_of(s, state_key(20, &a), &a), first);
	store_close(s);
	arena_free(&a);
}

/* A table that begins with a state is seen to be in repair as well. */
static void test_a_mark_beside_a_state(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct store *s = table_of(VERSIONS, &a);
	struct table_snapshot t;
	struct err e = ERR_INIT;
	struct table_cut c = { .seen = 60, .id = STR("b"), .run_id = STR("r") };
	state_at(s, 40, &a);
	assert_done(table_cut_write(s, TABLE, &c, &a, &e), &e);
	assert_done(table_load(s, TABLE, -1, &a, &t, &e), &e);
	assert_true(t.in_repair && t.version == VERSIONS - 1);
	assert_done(table_cut_clear(s, TABLE, &e), &e);
	assert_done(table_load(s, TABLE, -1, &a, &t, &e), &e);
	assert_false(t.in_repair);
	store_close(s);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mark_beside_a_state),
		cmocka_unit_test(opened_with_few_reads),
		cmocka_unit_test(states_behind), cmocka_unit_test(broken_states_are_passed_over),
		cmocka_unit_test(states_that_disagree),
		cmocka_unit_test(a_race_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
