#include "json_case.h"

#include "base/buf.h"
#include "base/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>

static enum number_verdict verdict_of(const char *name)
{
	return strcmp(name, "ok") == 0	     ? NUMBER_OK
	       : strcmp(name, "fraction") == 0 ? NUMBER_FRACTION
	       : strcmp(name, "range") == 0    ? NUMBER_RANGE
					       : NUMBER_INEXACT;
}

static uint64_t bits_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return bits;
}

static double of_bits(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static void integers(void **state)
{
	struct case_file c;

	(void)state;
	case_open(&c, "number/integers.txt");
	while (case_next(&c)) {
		struct str text = case_exact(str_from(c.fields[0]));
		int64_t v = 77;

		if (number_to_i64(text, &v) != verdict_of(c.fields[1]) || v != strtoll(c.fields[2], NULL, 10))
			fail_msg("%s: %lld", c.fields[0], (long long)v);
		free((void *)(uintptr_t)text.p);
	}
}

/* Whatever the short way takes, it reads as the long one does; and it takes what it is for. */
static void short_integers(void **state)
{
	static const char *const tails[] = { "", ",", "}", "9", ".5", "e3", "E3", "-", "\xff\xff\xff\xff\xff\xff\xff\xff", "00000000" };
	uint64_t random = 7;
	struct case_file c;
	int64_t v, w;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[64];
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		int64_t want = (int64_t)(random >> 33) % (int64_t[]){ 10, 1000, 100000, 99999999, 100000000, 2000000000 }[i % 6];
		want = random & 1 ? -want : want;
		size_t n = (size_t)snprintf(text, sizeof text, "%lld", (long long)want);
		size_t all = n + (size_t)snprintf(text + n, sizeof text - n, "%s", tails[random >> 5 & 7]);
		struct str whole = case_exact((struct str){ text, all });
		bool has_room = whole.n - (text[0] == '-') >= 8, is_short = n - (text[0] == '-') <= 8;
		v = 77;
		if (number_to_i64_short((struct str){ whole.p, n }, whole.p + whole.n, &v) != (has_room && is_short) ||
		    v != (has_room && is_short ? want : 77))
			fail_msg("%s: %lld", text, (long long)v);
		free((void *)(uintptr_t)whole.p);
	}
	case_open(&c, "number/integers.txt");
	while (case_next(&c)) {
		struct buf b = BUF_INIT(1 << 20);
		buf_add_z(&b, c.fields[0]);
		size_t n = b.n;
		for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
			b.n = n;
			buf_add_z(&b, tails[i]);
			buf_add_z(&b, ",\"key\":1");
			if (number_to_i64_short((struct str){ b.p, n }, b.p + b.n, &v) &&
			    (number_to_i64((struct str){ b.p, n }, &w) != NUMBER_OK || v != w))
				fail_msg("%s: %lld", c.fields[0], (long long)v);
		}
		buf_free(&b);
	}
}

static void decimals(void **state)
{
	struct arena a = ARENA_INIT;
	struct case_file c;

	(void)state;
	case_open(&c, "number/decimals.txt");
	while (case_next(&c)) {
		struct str text = case_exact(str_from(c.fields[0]));
		unsigned scale = (unsigned)atoi(c.fields[2]);
		int128 v = 77;
		enum number_verdict got = number_to_decimal(text, (unsigned)atoi(c.fields[1]), scale, &v);

		if (got != verdict_of(c.fields[3]))
			fail_msg("%s as %s,%s: %d", c.fields[0], c.fields[1], c.fields[2], (int)got);
		if (got == NUMBER_OK)
			assert_text(decimal_to_text(v, scale, &a), c.fields[4]);
		else
			assert_true(v == 0);
		free((void *)(uintptr_t)text.p);
	}
	/* the whole range of the type, although 39 digits never come in */
	assert_text(decimal_to_text((int128)((uint128)1 << 127), 0, &a), "-170141183460469231731687303715884105728");
	assert_text(decimal_to_text((int128)(((uint128)1 << 127) - 1), 38, &a),
		    "1.70141183460469231731687303715884105727");
	arena_free(&a);
}

static void check_doubles(void)
{
	struct arena a = ARENA_INIT;
	struct case_file c;

	case_open(&c, "number/doubles.txt");
	while (case_next(&c)) {
		struct str text = case_exact(str_from(c.fields[0]));
		double v = 77;
		enum number_verdict got = number_to_double(text, &v);

		if (got != verdict_of(c.fields[1]))
			fail_msg("%s: verdict %d, %s expected", c.fields[0], (int)got, c.fields[1]);
		if (got != NUMBER_RANGE) {
			if (bits_of(v) != strtoull(c.fields[2], NULL, 16))
				fail_msg("%s: %016llx, %s expected", c.fields[0], (unsigned long long)bits_of(v),
					 c.fields[2]);
			assert_text(double_to_text(v, &a), c.fields[3]);
		}
		free((void *)(uintptr_t)text.p);
	}
	arena_free(&a);
}

static void doubles(void **state)
{
	(void)state;
	check_doubles();
}

/* Skipped where no such locale is installed. */
static void doubles_with_a_comma_locale(void **state)
{
	(void)state;
	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8")) {
		print_message("no locale with a decimal comma here\n");
		skip();
	}
	check_doubles();
	setlocale(LC_ALL, "C");
}

/* Whatever is written reads back as the same bits, and is what it says: exact. */
static void round_trip(void **state)
{
	struct arena a = ARENA_INIT;
	uint64_t r = 42;

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		uint64_t bits = case_random(&r);
		double v, back;
		struct str text;

		if (i % 4 == 1)
			bits &= ~(uint64_t)0 << 52; /* powers of two */
		else if (i % 4 == 2)
			bits &= 0x800fffffffffffffu; /* subnormal */
		v = i % 4 == 3 ? (double)(int64_t)(bits >> 20) / 1000 : of_bits(bits);
		if (!isfinite(v))
			continue;
		text = double_to_text(v, &a);
		assert_int_equal(number_to_double(text, &back), NUMBER_OK);
		assert_true(bits_of(back) == bits_of(v));
		assert_true(bits_of(strtod(text.p, NULL)) == bits_of(v));
		if (i % 1000 == 0)
			arena_reset(&a);
	}
	assert_text(double_to_text(NAN, &a), "NaN");
	assert_text(double_to_text(INFINITY, &a), "Infinity");
	assert_text(double_to_text(-INFINITY, &a), "-Infinity");
	assert_text(double_to_text(-0.0, &a), "-0");
	assert_text(double_to_text(DBL_MIN, &a), "2.2250738585072014e-308");
	arena_free(&a);
}

/* Random texts against the C library: the fast way gives the same bits. */
static void doubles_as_strtod(void **state)
{
	uint64_t r = 7;

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		char text[64];
		double v, want;
		int n;

		if (i & 1)
			n = snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)(case_random(&r) % 1000),
				     (unsigned long long)(case_random(&r) >> (case_random(&r) % 63)),
				     (int)(case_random(&r) % 60) - 30);
		else
			n = snprintf(text, sizeof text, "%llue%d",
				     (unsigned long long)(case_random(&r) >> (10 + case_random(&r) % 50)),
				     (int)(case_random(&r) % 640) - 330);
		want = strtod(text, NULL);
		if (number_to_double((struct str){ text, (size_t)n }, &v) == NUMBER_RANGE)
			assert_true(isinf(want));
		else
			assert_true(bits_of(v) == bits_of(want));
	}
}

/* Lengths that nobody sends: no overflow, no squares, the right answer. */
static void absurd_lengths(void **state)
{
	enum { N = 3000000 };
	char *text = malloc(N + 64);
	int64_t i;
	int128 d;
	double v;

	(void)state;
	assert_non_null(text);
	/* 0.000...1e2999999 = 1, with as many zeros */
	memset(text, '0', N);
	text[1] = '.';
	memcpy(text + N, "1e2999999", 10);
	struct str s = { text, N + 9 };
	assert_int_equal(number_to_i64(s, &i), NUMBER_OK);
	assert_int_equal(i, 1);
	assert_int_equal(number_to_decimal(s, 38, 3, &d), NUMBER_OK);
	assert_true(d == 1000);
	assert_int_equal(number_to_double(s, &v), NUMBER_OK);
	assert_true(v == 1);
	/* 1000...0e-3000000 */
	memset(text, '0', N);
	text[0] = '1';
	memcpy(text + N, "e-2999997", 10);
	assert_int_equal(number_to_i64(s, &i), NUMBER_OK);
	assert_int_equal(i, 100);
	/* a million digits of exponent */
	memset(text, '9', N);
	text[0] = '1';
	text[1] = 'e';
	s.n = N;
	assert_int_equal(number_to_i64(s, &i), NUMBER_RANGE);
	assert_int_equal(number_to_double(s, &v), NUMBER_RANGE);
	text[2] = '-';
	assert_int_equal(number_to_i64(s, &i), NUMBER_FRACTION);
	assert_int_equal(number_to_double(s, &v), NUMBER_INEXACT);
	assert_true(v == 0);
	text[0] = '0';
	assert_int_equal(number_to_double(s, &v), NUMBER_OK);
	/* exactly between two doubles for 3 million digits, then a bit above: ties no longer go to even */
	memset(text, '0', N);
	memcpy(text, "9007199254740993.", 17);
	text[N - 1] = '1';
	assert_int_equal(number_to_double(s, &v), NUMBER_INEXACT);
	assert_true(v == 9007199254740994.0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(short_integers),
		cmocka_unit_test(decimals),
		cmocka_unit_test(doubles),
		cmocka_unit_test(doubles_with_a_comma_locale),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(doubles_as_strtod),
		cmocka_unit_test(absurd_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
