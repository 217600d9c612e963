/* CRC-64/NVME and Base64, which S3's checksums are written in. */
#include "unit.h"

#include "base/base64.h"
#include "base/crc64.h"

/* "Check" of the catalogue of parametrised CRC algorithms (CRC-64/NVME), and the vectors of the NVM command set. */
static void known_sums(void **state)
{
	(void)state;
	static char zeros[4096], ones[4096];
	memset(ones, 0xff, sizeof ones);
	assert_true(crc64_add(0, "", 0) == 0);
	assert_true(crc64_add(0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
	assert_true(crc64_add(0, zeros, sizeof zeros) == UINT64_C(0x6482d367eb22b64e));
	assert_true(crc64_add(0, ones, sizeof ones) == UINT64_C(0xc0ddba7302eca3ac));
}

static void in_pieces(void **state)
{
	(void)state;
	char bytes[300];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7 + i / 11);
	uint64_t whole = crc64_add(0, bytes, sizeof bytes);
	for (size_t n = 0; n <= sizeof bytes; n++)
		assert_true(crc64_add(crc64_add(0, bytes, n), bytes + n, sizeof bytes - n) == whole);
}

/* RFC 4648, section 10. */
static void base64(void **state)
{
	(void)state;
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" }, { "\xfb\xf0", "+/A=" } };
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_text(base64_encode(rows[i][0], strlen(rows[i][0]), &a), rows[i][1]);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sums),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(base64),
	};
	return cmocka_run_group_tests_name("base/crc64", tests, NULL, NULL);
}
