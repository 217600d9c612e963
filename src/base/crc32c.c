/* By x86's instruction where it is there, else eight bytes a step by a table for each place, as in crc64.c. */
#include "base/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static const uint32_t POLYNOMIAL = 0x82f63b78;
static uint32_t table[8][256];
static bool by_instruction;

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static bool has_instruction(void)
{
	unsigned eax, ebx, ecx, edx;
	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 20));
}

/* Eights only. */
__attribute__((target("sse4.2"))) static uint32_t add_eights(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t sum = crc;
	for (size_t at = 0; at < n; at += 8) {
		uint64_t v;
		memcpy(&v, p + at, sizeof v);
		sum = _mm_crc32_u64(sum, v);
	}
	return (uint32_t)sum;
}
#else
static bool has_instruction(void)
{
	return false;
}

static uint32_t add_eights(uint32_t crc, const uint8_t *p, size_t n)
{
	(void)p, (void)n;
	return crc;
}
#endif

static void set_up(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t v = i;
		for (int bit = 0; bit < 8; bit++)
			v = v & 1 ? v >> 1 ^ POLYNOMIAL : v >> 1;
		table[0][i] = v;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
	by_instruction = has_instruction();
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	for (; n >= 8; p += 8, n -= 8) {
		uint32_t v = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
		crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^ table[4][v >> 24] ^ table[3][p[4]] ^
		      table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
	}
	for (; n > 0; p++, n--)
		crc = table[0][(crc ^ *p) & 255] ^ crc >> 8;
	return crc;
}

uint32_t crc32c_add(uint32_t crc, const void *bytes, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint8_t *p = bytes;
	pthread_once(&once, set_up);
	crc = ~crc;
	if (by_instruction && n >= 64) { /* shorter ones by the table, so that both ways are walked everywhere */
		size_t eights = n - n % 8;
		crc = add_eights(crc, p, eights);
		p += eights;
		n -= eights;
	}
	return ~by_table(crc, p, n);
}
