/* CRC-64/NVME, CRC-32C and Base64, which S3's checksums are written in. */
#include "unit.h"

#include "base/base64.h"
#include "base/crc32c.h"
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

/* Bit by bit, as the polynomial says: whatever way bytes of any length and place are summed. */
static void as_defined(void **state)
{
	(void)state;
	enum { LONGEST = 700, SHIFTS = 17 };
	static uint8_t bytes[LONGEST + SHIFTS];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 11);
	for (size_t from = 0; from < SHIFTS; from++) {
		uint64_t crc = UINT64_MAX;
		for (size_t n = 0; n <= LONGEST; n++) {
			assert_true(crc64_add(0, bytes + from, n) == ~crc);
			crc ^= bytes[from + n];
			for (int bit = 0; bit < 8; bit++)
				crc = crc & 1 ? crc >> 1 ^ UINT64_C(0x9a6c9329ac4bc9b5) : crc >> 1;
		}
	}
}

static void joined(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 7, 8, 63, 64, 127, 128, 129, 200, 4096, 65537 };
	static uint8_t bytes[65537 + 300];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 2246822519u >> 9);
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t first = 0; first <= 300; first += 100) {
			uint64_t a = crc64_add(0, bytes, first), b = crc64_add(0, bytes + first, sizes[i]);
			assert_true(crc64_join(a, b, sizes[i]) == crc64_add(0, bytes, first + sizes[i]));
		}
}

/* RFC 3720, B.4, and bit by bit. */
static void crc32c(void **state)
{
	(void)state;
	enum { LONGEST = 300, SHIFTS = 9 };
	static uint8_t zeros[32], ones[32], bytes[LONGEST + SHIFTS];
	memset(ones, 0xff, sizeof ones);
	assert_true(crc32c_add(0, "", 0) == 0 && crc32c_add(0, "123456789", 9) == 0xe3069283);
	assert_true(crc32c_add(0, zeros, sizeof zeros) == 0x8a9136aa && crc32c_add(0, ones, sizeof ones) == 0x62a8ab43);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 11);
	for (size_t from = 0; from < SHIFTS; from++) {
		uint32_t crc = UINT32_MAX;
		for (size_t n = 0; n <= LONGEST; n++) {
			assert_true(crc32c_add(0, bytes + from, n) == ~crc);
			assert_true(crc32c_add(crc32c_add(0, bytes + from, n / 3), bytes + from + n / 3, n - n / 3) == ~crc);
			crc ^= bytes[from + n];
			for (int bit = 0; bit < 8; bit++)
				crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
		}
	}
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
		cmocka_unit_test(as_defined),
		cmocka_unit_test(joined),
		cmocka_unit_test(crc32c),
		cmocka_unit_test(base64),
	};
	return cmocka_run_group_tests_name("base/crc", tests, NULL, NULL);
}
