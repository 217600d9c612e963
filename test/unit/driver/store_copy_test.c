/* Objects as files and files as objects: whole, compared, and nothing left behind. */
#include "store_world.h"

#include "base/hash.h"
#include "driver/store_copy.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>

enum { MANY = 40 };

struct copies {
	struct world w;
	char *to;
	struct store_copy v[MANY];
};

static char *file_at(struct copies *c, size_t i)
{
	return arena_zero_terminated(&c->w.arena, arena_format(&c->w.arena, "%s/%zu", c->to, i));
}

/* Objects of different sizes, one of several pieces among them. */
static struct str bytes_of(struct copies *c, size_t i)
{
	size_t n = i == 7 ? 2 * (size_t)STORE_COPY_PIECE + 5 : i * 1000;
	char *p = arena_alloc(&c->w.arena, n + 1);
	for (size_t k = 0; k < n; k++)
		p[k] = (char)(k * 7 + i);
	return (struct str){ p, n };
}

static void copies_open(struct copies *c)
{
	enum store_created created;
	*c = (struct copies){ 0 };
	world_open(&c->w, true);
	c->to = arena_zero_terminated(&c->w.arena, arena_format(&c->w.arena, "%s/to", c->w.folder));
	assert_true(file_make_dirs(c->to, &c->w.e));
	for (size_t i = 0; i < MANY; i++) {
		struct str bytes = bytes_of(c, i), key = arena_format(&c->w.arena, "a/%zu", i);
		assert_true(store_create(c->w.s, key, bytes, &created, &c->w.e));
		c->v[i] = (struct store_copy){ .key = key, .size_bytes = bytes.n, .has_hash = true, .hash = sha256_of(bytes),
					       .path = file_at(c, i) };
	}
}

static size_t files_in(const char *folder)
{
	size_t n = 0;
	DIR *d = opendir(folder);
	assert_non_null(d);
	for (const struct dirent *x; (x = readdir(d)) != NULL;)
		n += x->d_name[0] != '.';
	closedir(d);
	return n;
}

static void test_all_are_brought(void **state)
{
	struct copies c;
	struct str got;
	struct sha256 is;
	(void)state;
	copies_open(&c);
	c.v[3].is = &is;
	assert_true(store_bring(c.w.s, c.v, MANY, NULL, NULL, &c.w.e));
	for (size_t i = 0; i < MANY; i++) {
		assert_true(file_read(c.v[i].path, 64 << 20, &c.w.arena, &got, &c.w.e));
		assert_true(str_eq(got, bytes_of(&c, i)));
	}
	assert_true(sha256_eq(is, c.v[3].hash));
	assert_int_equal(files_in(c.to), MANY);
	assert_true(store_bring(c.w.s, NULL, 0, NULL, NULL, &c.w.e));
	world_close(&c.w);
}

static void damage_size(struct copies *c)
{
	c->v[21].size_bytes--;
}
static void damage_hash(struct copies *c)
{
	c->v[21].hash.b[5] ^= 1;
}
static void damage_gone(struct copies *c)
{
	assert_true(store_remove(c->w.s, c->v[21].key, &c->w.e));
}

static void test_what_is_damaged_is_no_file(void **state)
{
	static const struct {
		void (*damage)(struct copies *);
		const char *why;
	} cases[] = {
		{ damage_size, "a/21: it has another size than the table's log says" },
		{ damage_hash, "a/21: its bytes are not those that were published (SHA-256)" },
		{ damage_gone, "a/21: the file is not there" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct copies c;
		struct err e = ERR_INIT;
		size_t bad = 0;
		copies_open(&c);
		cases[i].damage(&c);
		assert_false(store_bring(c.w.s, c.v, MANY, NULL, &bad, &e));
		assert_int_equal(e.code, ERR_DAMAGE);
		assert_string_equal(e.message, cases[i].why);
		assert_int_equal(bad, 21);
		assert_false(file_exists(c.v[21].path));
		assert_false(file_exists(arena_format(&c.w.arena, "%s.part", c.v[21].path).p));
		world_close(&c.w);
	}
}

static void test_a_signal_ends_it(void **state)
{
	struct copies c;
	volatile int stop = SIGTERM;
	(void)state;
	copies_open(&c);
	assert_false(store_bring(c.w.s, c.v + 1, MANY - 1, &stop, NULL, &c.w.e));
	assert_int_equal(c.w.e.code, ERR_SIGTERM);
	assert_int_equal(files_in(c.to), 0);
	world_close(&c.w);
}

static void test_no_room_on_the_disk(void **state)
{
	struct copies c;
	(void)state;
	copies_open(&c);
	c.v[5].path = "/nowhere/at/all";
	assert_false(store_bring(c.w.s, c.v, MANY, NULL, NULL, &c.w.e));
	assert_int_equal(c.w.e.code, ERR_STORAGE);
	world_close(&c.w);
}

static void test_a_file_is_sent(void **state)
{
	struct copies c;
	struct str bytes, got;
	struct sha256 hash;
	uint64_t size = 0;
	(void)state;
	copies_open(&c);
	bytes = bytes_of(&c, 7);
	assert_true(file_write(file_at(&c, 0), bytes, &c.w.e));
	assert_true(store_send(c.w.s, file_at(&c, 0), STR("b/c/new"), &size, &hash, &c.w.e));
	assert_int_equal(size, bytes.n);
	assert_true(sha256_eq(hash, sha256_of(bytes)));
	assert_true(store_get(c.w.s, STR("b/c/new"), 64 << 20, &c.w.arena, &got, &c.w.e));
	assert_true(str_eq(got, bytes));
	/* Once more is fine, other bytes are not. */
	assert_true(store_send(c.w.s, file_at(&c, 0), STR("b/c/new"), &size, &hash, &c.w.e));
	assert_true(file_write(file_at(&c, 0), STR("other"), &c.w.e));
	assert_false(store_send(c.w.s, file_at(&c, 0), STR("b/c/new"), &size, &hash, &c.w.e));
	c.w.e = ERR_INIT;
	assert_false(store_send(c.w.s, file_at(&c, 1), STR("b/c/newer"), &size, &hash, &c.w.e));
	assert_int_equal(c.w.e.code, ERR_STORAGE);
	expect_no_temporaries(&c.w);
	world_close(&c.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_brought),
		cmocka_unit_test(test_what_is_damaged_is_no_file),
		cmocka_unit_test(test_a_signal_ends_it),
		cmocka_unit_test(test_no_room_on_the_disk),
		cmocka_unit_test(test_a_file_is_sent),
	};
	return cmocka_run_group_tests_name("store_copy", tests, NULL, NULL);
}
