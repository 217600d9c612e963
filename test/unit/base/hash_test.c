#include "unit.h"

#include "base/hash.h"

#include <stdlib.h>

/* The examples that NIST publishes for FIPS 180-4; `sha256sum` agrees. */
static const struct vector {
	const char *text;
	const char *hex;
} vectors[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
	  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
};

static void known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct str text = str_from(vectors[i].text);
		char hex[SHA256_HEX + 1];
		sha256_hex(sha256_of(text), hex);
		assert_string_equal(hex, vectors[i].hex);
		for (size_t cut = 0; cut <= text.n; cut++) { /* in two parts, and the same */
			struct sha256_state s;
			sha256_begin(&s);
			sha256_add(&s, text.p, cut);
			sha256_add_str(&s, str_sub(text, cut, text.n));
			assert_true(sha256_eq(sha256_end(&s), sha256_of(text)));
		}
	}
	assert_true(sha256_eq(sha256_of(STR_NONE), sha256_of(STR(""))));
	struct sha256_state s;
	char thousand[1000], hex[SHA256_HEX + 1];
	memset(thousand, 'a', sizeof thousand);
	sha256_begin(&s);
	for (int i = 0; i < 1000; i++)
		sha256_add(&s, thousand, sizeof thousand);
	sha256_hex(sha256_end(&s), hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void hex_forms(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct sha256 h = sha256_of(STR("abc")), back = { 0 };
	assert_text(sha256_hex_str(h, &a), vectors[1].hex);
	assert_true(sha256_from_hex(sha256_hex_str(h, &a), &back));
	assert_true(sha256_eq(h, back));
	char text[SHA256_HEX + 1];
	static const char wrong[] = { 'A', 'F', 'g', '/', ':', '`', ' ', '\0', '\xff', '-' };
	for (size_t i = 0; i < COUNT(wrong); i++)
		for (size_t at = 0; at < SHA256_HEX; at += 21) {
			memcpy(text, vectors[1].hex, sizeof text);
			text[at] = wrong[i];
			struct sha256 untouched = back;
			assert_false(sha256_from_hex((struct str){ text, SHA256_HEX }, &untouched));
			assert_true(sha256_eq(untouched, back));
		}
	assert_false(sha256_from_hex(STR_NONE, &back));
	assert_false(sha256_from_hex((struct str){ vectors[1].hex, 63 }, &back));
	assert_false(sha256_from_hex((struct str){ vectors[1].hex, 65 }, &back));
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		struct sha256 other = h;
		other.b[i] ^= 1;
		assert_false(sha256_eq(h, other));
	}
	arena_free(&a);
}

/* ── hash_fast ── */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

static void fast_reads_every_byte(void **state)
{
	(void)state;
	char text[200] = { 0 };
	for (size_t n = 0; n <= 150; n++) {
		uint64_t plain = hash_fast((struct str){ text, n }, 1);
		assert_true(plain == hash_fast((struct str){ text + 50, n }, 1)); /* whatever the address */
		assert_true(plain != hash_fast((struct str){ text, n }, 2));
		assert_true(plain != hash_fast((struct str){ text, n + 1 }, 1)); /* more zeros are another text */
		for (size_t i = 0; i < n; i++)
			for (unsigned bit = 0; bit < 8; bit++) {
				text[i] = (char)(1u << bit);
				assert_true(plain != hash_fast((struct str){ text, n }, 1));
				text[i] = 0;
			}
	}
	assert_true(hash_fast(STR_NONE, 5) == hash_fast(STR(""), 5));
}

/* Keys such as tables hold: no two of 600,000 are the same in 64 bits, and the low bits fill a table evenly. */
static void fast_spreads(void **state)
{
	(void)state;
	static const char *const forms[] = { "numbers", "order-", "addresses" };
	enum { KEYS = 200000, CELLS = 1 << 10 };
	uint64_t *all = calloc(COUNT(forms) * KEYS, sizeof *all);
	assert_non_null(all);
	for (size_t f = 0; f < COUNT(forms); f++) {
		unsigned low[CELLS] = { 0 }, high[CELLS] = { 0 };
		for (unsigned k = 0; k < KEYS; k++) {
			char key[80];
			int n = f == 0   ? snprintf(key, sizeof key, "%u", k)
				: f == 1 ? snprintf(key, sizeof key, "order-%08u", k)
					 : snprintf(key, sizeof key, "https://api.example.com/v1/things/%u?page=2", k);
			uint64_t h = hash_fast((struct str){ key, (size_t)n }, 42);
			all[f * KEYS + k] = h;
			low[h % CELLS]++;
			high[h >> 54]++;
		}
		double chi_low = 0, chi_high = 0, want = (double)KEYS / CELLS;
		for (size_t i = 0; i < CELLS; i++) {
			chi_low += (low[i] - want) * (low[i] - want) / want;
			chi_high += (high[i] - want) * (high[i] - want) / want;
		}
		/* 1023 degrees of freedom: mean 1023, deviation 45; the keys are fixed, so this cannot flicker. */
		if (chi_low > 1250 || chi_high > 1250 || chi_low < 800 || chi_high < 800)
			fail_msg("%s: %f in the low bits, %f in the high", forms[f], chi_low, chi_high);
	}
	qsort(all, COUNT(forms) * KEYS, sizeof *all, compare_u64);
	for (size_t i = 1; i < COUNT(forms) * KEYS; i++)
		assert_true(all[i] != all[i - 1]);
	free(all);
}

/* One changed bit of the input changes each bit of the answer about every second time. */
static void fast_avalanche(void **state)
{
	(void)state;
	static const size_t lengths[] = { 3, 4, 8, 12, 16, 17, 31, 32, 33, 48, 64, 100 };
	for (size_t l = 0; l < COUNT(lengths); l++) {
		enum { TRIALS = 300 };
		unsigned flips[64] = { 0 }, trials = 0;
		char text[100];
		for (unsigned t = 0; t < TRIALS; t++) {
			for (size_t i = 0; i < lengths[l]; i++)
				text[i] = (char)((t + 1) * 2654435761u >> (i % 24));
			uint64_t h = hash_fast((struct str){ text, lengths[l] }, 7);
			for (size_t bit = 0; bit < lengths[l] * 8; bit++, trials++) {
				text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
				uint64_t changed = h ^ hash_fast((struct str){ text, lengths[l] }, 7);
				text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
				for (size_t i = 0; i < 64; i++)
					flips[i] += (unsigned)(changed >> i & 1);
			}
		}
		for (size_t i = 0; i < 64; i++)
			if (flips[i] < trials * 45ull / 100 || flips[i] > trials * 55ull / 100)
				fail_msg("length %zu, bit %zu: %u of %u", lengths[l], i, flips[i], trials);
	}
}

/* Every pair of lengths around the borders of blocks, against one message at a time. */
static void pairs_are_two_hashes(void **state)
{
	static const size_t lengths[] = { 0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 300, 460, 1000 };
	char x[1000], y[1000];
	struct sha256 out[2];

	(void)state;
	for (size_t i = 0; i < sizeof x; i++) {
		x[i] = (char)(i * 7 + 1);
		y[i] = (char)(i * 13 + 5);
	}
	for (size_t i = 0; i < COUNT(lengths); i++)
		for (size_t k = 0; k < COUNT(lengths); k++) {
			struct str a = { x, lengths[i] }, b = { y, lengths[k] };
			sha256_pair(a, b, out);
			assert_true(sha256_eq(out[0], sha256_of(a)));
			assert_true(sha256_eq(out[1], sha256_of(b)));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_two_hashes),
		cmocka_unit_test(known_answers),	 cmocka_unit_test(hex_forms),
		cmocka_unit_test(fast_reads_every_byte), cmocka_unit_test(fast_spreads),
		cmocka_unit_test(fast_avalanche),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
