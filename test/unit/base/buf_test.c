#include "unit.h"

#include "base/buf.h"

static void adding(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1 << 20);
	assert_int_equal(buf_str(&b).n, 0);
	assert_true(buf_add(&b, STR_NONE));
	assert_true(buf_add(&b, STR("ab")));
	assert_true(buf_add_char(&b, ','));
	assert_true(buf_add_z(&b, "cd"));
	assert_true(buf_addf(&b, "<%d %s>", -5, "x"));
	assert_true(buf_add_bytes(&b, "\0z", 2));
	assert_int_equal(b.n, 13);
	assert_memory_equal(b.p, "ab,cd<-5 x>\0z", 14);
	buf_clear(&b);
	assert_text(buf_str(&b), "");
	assert_string_equal(b.p, "");
	for (size_t i = 0; i < 10000; i++) {
		assert_true(buf_add_char(&b, (char)('a' + i % 26)));
		assert_int_equal(b.p[b.n], '\0');
	}
	assert_int_equal(b.n, 10000);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], 'a' + i % 26);
	buf_free(&b);
	assert_null(b.p);
	assert_true(buf_add_z(&b, "again"));
	assert_text(buf_str(&b), "again");
	assert_int_equal(b.max, 1 << 20);
	buf_free(&b);
}

static void numbers(void **state)
{
	(void)state;
	static const uint64_t u[] = { 0, 9, 10, 1234567890, UINT64_MAX };
	static const char *const u_text[] = { "0", "9", "10", "1234567890", "18446744073709551615" };
	static const int64_t v[] = { 0, -1, INT64_MAX, INT64_MIN };
	static const char *const v_text[] = { "0", "-1", "9223372036854775807", "-9223372036854775808" };
	struct buf b = BUF_INIT(64);
	for (size_t i = 0; i < COUNT(u); i++) {
		buf_clear(&b);
		assert_true(buf_add_u64(&b, u[i]));
		assert_text(buf_str(&b), u_text[i]);
	}
	for (size_t i = 0; i < COUNT(v); i++) {
		buf_clear(&b);
		assert_true(buf_add_i64(&b, v[i]));
		assert_text(buf_str(&b), v_text[i]);
	}
	buf_free(&b);
}

static void maximum(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(5);
	assert_true(buf_add_z(&b, "abc"));
	assert_false(buf_add_z(&b, "def"));
	assert_true(b.overflow);
	assert_text(buf_str(&b), "abc");
	/* What would fit now must not close up to what was refused. */
	assert_false(buf_add_char(&b, 'x'));
	assert_false(buf_add(&b, STR_NONE));
	assert_null(buf_room(&b, 1));
	assert_text(buf_str(&b), "abc");
	buf_clear(&b);
	assert_false(b.overflow);
	assert_true(buf_add_z(&b, "abcde"));
	assert_true(buf_add(&b, STR_NONE));
	assert_false(b.overflow);
	assert_true(b.cap <= 6);
	assert_false(buf_add_char(&b, 'f'));
	assert_text(buf_str(&b), "abcde");
	assert_int_equal(b.p[5], '\0');
	buf_free(&b);
	assert_false(b.overflow);
	assert_false(buf_addf(&b, "%0500d", 1));
	assert_null(b.p);
	struct buf none = BUF_INIT(0);
	assert_true(buf_add(&none, STR_NONE));
	assert_false(buf_add_char(&none, 'x'));
	buf_free(&none);
	struct buf vast = BUF_INIT(SIZE_MAX);
	assert_true(buf_add_z(&vast, "x"));
	assert_null(buf_room(&vast, SIZE_MAX)); /* the sum is more than a size_t */
	buf_free(&vast);
}

static void room(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1000);
	for (size_t i = 0; i < 10; i++) {
		char *p = buf_room(&b, 100);
		assert_non_null(p);
		assert_ptr_equal(p, b.p + b.n);
		memset(p, 'x', 100);
		b.n += 100;
		assert_int_equal(b.p[b.n], '\0');
	}
	assert_non_null(buf_room(&b, 0));
	assert_null(buf_room(&b, 1));
	buf_clear(&b);
	memcpy(buf_room(&b, 10), "abcdefghij", 10);
	b.n += 3;
	struct str s = buf_str(&b);
	assert_text(s, "abc");
	assert_string_equal(s.p, "abc");
	buf_free(&b);
}

static void own_bytes(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1 << 16);
	assert_true(buf_add_z(&b, "0123456789"));
	while (b.n < 10000)
		assert_true(buf_add(&b, buf_str(&b)));
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], '0' + i % 10);
	size_t n = b.n;
	assert_true(buf_addf(&b, "<%s>", b.p));
	assert_int_equal(b.n, 2 * n + 2);
	assert_memory_equal(b.p + n + 1, b.p, n);
	buf_free(&b);
}

static void long_formats(void **state)
{
	(void)state;
	for (int width = 250; width < 260; width++) { /* around the size that needs no memory of its own */
		struct buf b = BUF_INIT(1000);
		assert_true(buf_addf(&b, "%0*d", width, 7));
		assert_int_equal(b.n, width);
		assert_int_equal(b.p[0], '0');
		assert_int_equal(b.p[width - 1], '7');
		assert_int_equal(b.p[width], '\0');
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding), cmocka_unit_test(numbers),   cmocka_unit_test(maximum),
		cmocka_unit_test(room),	  cmocka_unit_test(own_bytes), cmocka_unit_test(long_formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
