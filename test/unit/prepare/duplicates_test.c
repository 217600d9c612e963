#include "unit.h"

#include "prepare/duplicates.h"

/* From the reference implementation's vectors: key 00..0f, input 00, 01, 02, ... of each length. */
static void siphash_is_siphash(void **state)
{
	static const struct {
		size_t n;
		unsigned char want[16];
	} vectors[] = {
		{ 0, { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93 } },
		{ 1, { 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45 } },
	};
	unsigned char key[16], in[64];
	struct key_secret secret;
	uint64_t out[2];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		in[i] = (unsigned char)i;
	memcpy(key, in, 16);
	memcpy(&secret, key, 16);
	for (size_t i = 0; i < COUNT(vectors); i++) {
		siphash_128(secret, (struct str){ (const char *)in, vectors[i].n }, out);
		assert_memory_equal(out, vectors[i].want, 16);
	}
}

struct world {
	struct arena a;
	struct contract c;
	size_t key[2];
	struct batch *b;
};

static void world_open(struct world *w)
{
	static const struct batch_shape shape[] = { { { "s", 1 }, TYPE_STRING, 0, 0 }, { { "i", 1 }, TYPE_INTEGER, 0, 0 } };

	*w = (struct world){ .a = ARENA_INIT, .key = { 0, 1 } };
	w->c.key = w->key;
	w->c.n_key = 2;
	w->b = batch_new(shape, 2, &w->a);
}

/* Record i has key (i % modulus) unless i is a multiple of 17, which has none. */
static void check(size_t n_logs, uint64_t records, uint64_t modulus, size_t max_entries)
{
	struct world w;
	struct key_log logs[4], *list[4];
	struct losers l = { .records = records };
	struct err e = ERR_INIT;
	struct key_secret secret = key_secret_new();
	uint64_t want = 0;

	world_open(&w);
	for (size_t i = 0; i < n_logs; i++) {
		key_log_open(&logs[i], &w.c, "/tmp", max_entries, secret);
		list[i] = &logs[i];
	}
	for (uint64_t i = 0; i < records; i++) {
		uint64_t key = i % modulus;
		batch_clear(w.b);
		w.b->n_rows = 1;
		w.b->columns[0].s[0] = arena_format(&w.a, "key %llu", (unsigned long long)(key / 10));
		w.b->columns[1].i64[0] = (int64_t)(key % 10);
		batch_set_valid(&w.b->columns[0], 0);
		if (i % 17 != 0)
			batch_set_valid(&w.b->columns[1], 0);
		assert_true(key_log_add(&logs[i * n_logs / records], w.b, 0, i, &e));
	}
	if (!key_logs_resolve(list, n_logs, &l, &e))
		fail_msg("%s", e.message);
	for (uint64_t i = 0; i < records; i++) {
		bool loses = false;
		for (uint64_t later = i + modulus; i % 17 != 0 && later < records && !loses; later += modulus)
			loses = later % 17 != 0;
		assert_int_equal(losers_has(&l, i), loses);
		want += loses;
	}
	assert_int_equal(l.n, want);
	for (size_t i = 0; i < n_logs; i++)
		key_log_close(&logs[i]);
	losers_free(&l);
	arena_free(&w.a);
}

static void the_last_one_stands(void **state)
{
	(void)state;
	check(1, 1, 1, 100);
	check(1, 1000, 1000, 5000);  /* none */
	check(1, 1000, 100, 5000);   /* in memory */
	check(1, 1000, 1, 5000);     /* all the same */
	check(1, 3000, 700, 100);    /* from files */
	check(3, 3000, 700, 5000);   /* parts of a window */
	check(4, 3000, 2999, 100);
}

static void texts_do_not_run_together(void **state)
{
	static const struct batch_shape shape[] = { { { "a", 1 }, TYPE_STRING, 0, 0 }, { { "b", 1 }, TYPE_STRING, 0, 0 } };
	struct world w;
	struct key_log log, *list[] = { &log };
	struct losers l = { .records = 3 };
	struct err e = ERR_INIT;

	(void)state;
	world_open(&w);
	w.b = batch_new(shape, 2, &w.a);
	w.b->n_rows = 3;
	for (size_t i = 0; i < 3; i++) {
		w.b->columns[0].s[i] = i == 0 ? STR("ab") : STR("a");
		w.b->columns[1].s[i] = i == 0 ? STR("c") : STR("bc");
		batch_set_valid(&w.b->columns[0], i);
		batch_set_valid(&w.b->columns[1], i);
	}
	key_log_open(&log, &w.c, "/tmp", 100, key_secret_new());
	for (size_t i = 0; i < 3; i++)
		assert_true(key_log_add(&log, w.b, i, i, &e));
	assert_true(key_logs_resolve(list, 1, &l, &e));
	assert_false(losers_has(&l, 0));
	assert_true(losers_has(&l, 1));
	assert_false(losers_has(&l, 2));
	assert_int_equal(l.n, 1);
	key_log_close(&log);
	losers_free(&l);
	arena_free(&w.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_is_siphash),
		cmocka_unit_test(the_last_one_stands),
		cmocka_unit_test(texts_do_not_run_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
