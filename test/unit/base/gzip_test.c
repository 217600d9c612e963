#include "unit.h"

#include "base/gzip.h"
#include "base/mem.h"

#include <zlib.h>

static struct str sample(size_t n, unsigned kind, struct arena *a)
{
	char *p = arena_alloc(a, n + 1);
	uint64_t x = 88172645463325252u;
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = kind == 0 ? 'a' : kind == 1 ? (char)("{}[],:0123456789"[x % 16]) : (char)x;
	}
	return (struct str){ p, n };
}

static const size_t sizes[] = { 0, 1, 2, 100, 65535, 65536, 65537, 1000000 };

/* What we write, zlib reads; and so do we. */
static void members_come_back(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < COUNT(sizes) * 3; i++)
		for (int level = 0; level <= 6; level += level ? 5 : 1) {
			struct str in = sample(sizes[i / 3], (unsigned)(i % 3), &a);
			struct buf packed = BUF_INIT(2 << 20), out = BUF_INIT(1000000);
			struct err e = ERR_INIT;
			size_t used = 0;
			assert_true(gzip_member(in, level, &packed));
			assert_true(gzip_read_member(buf_str(&packed), &out, &used, &e));
			assert_int_equal(used, packed.n);
			assert_true(str_eq(buf_str(&out), in));
			unsigned char *judge = arena_alloc(&a, in.n + 1);
			z_stream z = { .next_in = (unsigned char *)packed.p, .avail_in = (unsigned)packed.n, .next_out = judge,
				       .avail_out = (unsigned)in.n + 1 };
			assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
			assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
			assert_int_equal(z.total_out, in.n);
			if (in.n)
				assert_memory_equal(judge, in.p, in.n);
			inflateEnd(&z);
			buf_free(&packed);
			buf_free(&out);
			arena_reset(&a);
		}
	arena_free(&a);
}

static void members_behind_each_other(void **unused)
{
	(void)unused;
	struct buf packed = BUF_INIT(1000), out = BUF_INIT(1000);
	struct err e = ERR_INIT;
	size_t used = 0;
	assert_true(gzip_member(STR("one "), 1, &packed));
	size_t first = packed.n;
	assert_true(gzip_member(STR_NONE, 1, &packed) && gzip_member(STR("two"), 0, &packed));
	assert_true(gzip_read_member(buf_str(&packed), &out, &used, &e));
	assert_int_equal(used, first);
	assert_text(buf_str(&out), "one ");
	buf_clear(&out);
	buf_add(&out, STR("zero "));
	assert_true(gzip_read_all(buf_str(&packed), &out, &e));
	assert_text(buf_str(&out), "zero one two");
	assert_false(gzip_read_all(str_sub(buf_str(&packed), 0, packed.n - 1), &out, &e));
	assert_int_equal(e.code, ERR_DECODE);
	buf_add(&packed, STR("trailing garbage that is long enough"));
	buf_clear(&out);
	assert_false(gzip_read_all(buf_str(&packed), &out, &e));
	assert_int_equal(e.code, ERR_DECODE);
	buf_free(&packed);
	buf_free(&out);
}

static void cut_and_damaged(void **unused)
{
	(void)unused;
	struct buf packed = BUF_INIT(1000), out = BUF_INIT(100000);
	struct err e = ERR_INIT;
	size_t used = 0;
	assert_true(gzip_member(STR("some text, some more text"), 6, &packed));
	for (size_t n = 0; n < packed.n; n++) {
		e = ERR_INIT;
		assert_false(gzip_read_member(str_sub(buf_str(&packed), 0, n), &out, &used, &e));
		assert_int_equal(e.code, ERR_DECODE);
		if (n < 10)
			continue; /* time and system are covered by nothing */
		packed.p[n] ^= 0x10;
		e = ERR_INIT;
		buf_clear(&out);
		if (gzip_read_member(buf_str(&packed), &out, &used, &e)) /* the bits that fill up deflate's last byte */
			assert_text(buf_str(&out), "some text, some more text");
		else
			assert_true(e.code == ERR_DECODE || e.code == ERR_TOO_LARGE);
		packed.p[n] ^= 0x10;
	}
	buf_free(&packed);
	buf_free(&out);
}

static void bounds(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct str in = sample(300000, 0, &a);
	struct buf packed = BUF_INIT(1 << 20);
	assert_true(gzip_member(in, 1, &packed));
	for (size_t max = in.n - 1; max <= in.n + 1; max++) {
		struct buf out = BUF_INIT(max);
		struct err e = ERR_INIT;
		assert_int_equal(gzip_read_all(buf_str(&packed), &out, &e), max >= in.n);
		if (max < in.n)
			assert_int_equal(e.code, ERR_TOO_LARGE);
		buf_free(&out);
	}
	/* A trailer that promises four gigabytes makes nobody allocate them. */
	memset(packed.p + packed.n - 4, 0xff, 4);
	struct buf out = BUF_INIT((size_t)1 << 30), small = BUF_INIT(10);
	struct err e = ERR_INIT;
	assert_false(gzip_read_all(buf_str(&packed), &out, &e));
	assert_int_equal(e.code, ERR_DECODE);
	assert_true(out.cap <= 4 << 20);
	assert_false(gzip_member(in, 1, &small));
	buf_free(&small);
	buf_free(&out);
	buf_free(&packed);
	arena_free(&a);
}

/* "deflate" in both of its forms, made by zlib. */
static void deflate_of_both_kinds(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	for (int bits = -15; bits <= 15; bits += 30)
		for (size_t i = 0; i < COUNT(sizes) * 3; i++) {
			struct str in = sample(sizes[i / 3], (unsigned)(i % 3), &a);
			unsigned char *packed = arena_alloc(&a, in.n + 1000);
			z_stream z = { .next_in = (unsigned char *)(uintptr_t)in.p, .avail_in = (unsigned)in.n,
				       .next_out = packed, .avail_out = (unsigned)in.n + 1000 };
			assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
			assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
			struct str bytes = { (const char *)packed, z.total_out };
			deflateEnd(&z);
			struct buf out = BUF_INIT(1000000);
			struct err e = ERR_INIT;
			assert_true(zlib_read_all(bytes, &out, &e));
			assert_true(str_eq(buf_str(&out), in));
			buf_clear(&out);
			packed[bytes.n] = 0;
			bytes.n++;
			assert_false(zlib_read_all(bytes, &out, &e));
			assert_int_equal(e.code, ERR_DECODE);
			buf_free(&out);
			arena_reset(&a);
		}
	struct buf out = BUF_INIT(100);
	struct err e = ERR_INIT;
	assert_false(zlib_read_all(STR_NONE, &out, &e));
	assert_false(zlib_read_all(STR("\x78"), &out, &e));
	assert_false(zlib_read_all(STR("\x78\x9c"), &out, &e));
	buf_free(&out);
	arena_free(&a);
}

/* Cut anywhere, what comes out is the beginning of what went in, and at the end all of it; also behind a member. */
static void what_can_be_read_of_a_part(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < 9; i++) {
		struct str in = sample(sizes[i / 3 + 3], (unsigned)(i % 3), &a);
		struct buf packed = BUF_INIT(4000000), out = BUF_INIT(4000000);
		assert_true(gzip_member(in, 1, &packed) && gzip_member(in, 0, &packed));
		size_t step = packed.n > 1000 ? packed.n / 37 : 1, before = 0;
		for (size_t n = 0; n <= packed.n; n += n < packed.n && n + step > packed.n ? packed.n - n : step) {
			buf_clear(&out);
			assert_true(gzip_read_some(str_sub(buf_str(&packed), 0, n), &out));
			if (n > 2) { /* less has no magic yet */
				assert_true(out.n >= before && out.n <= 2 * in.n);
				size_t first = out.n < in.n ? out.n : in.n;
				assert_true(str_eq(str_sub(buf_str(&out), 0, first), str_sub(in, 0, first)));
				before = out.n;
			}
			if (n == packed.n)
				break;
		}
		assert_int_equal(out.n, 2 * in.n);
		struct buf small = BUF_INIT(in.n);
		assert_false(gzip_read_some(buf_str(&packed), &small));
		buf_free(&small);
		for (size_t k = 0; k < packed.n; k += step) { /* damaged: no crash, and bounded */
			packed.p[k] = (char)~packed.p[k];
			buf_clear(&out);
			gzip_read_some(buf_str(&packed), &out);
			packed.p[k] = (char)~packed.p[k];
		}
		buf_clear(&out);
		gzip_read_some(in, &out); /* plain text, or anything */
		buf_free(&packed);
		buf_free(&out);
		arena_reset(&a);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_back), cmocka_unit_test(members_behind_each_other),
		cmocka_unit_test(cut_and_damaged),   cmocka_unit_test(bounds),
		cmocka_unit_test(deflate_of_both_kinds), cmocka_unit_test(what_can_be_read_of_a_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
