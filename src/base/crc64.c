/* Eight bytes a step, by a table for each place (Kounavis and Berry, "Novel table lookup-based algorithms for
 * high-performance CRC generation", 2008). */
#include "base/crc64.h"

#include <pthread.h>
#include <string.h>

static const uint64_t POLYNOMIAL = 0x9a6c9329ac4bc9b5;
static uint64_t table[8][256];

static void table_make(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t v = i;
		for (int bit = 0; bit < 8; bit++)
			v = v & 1 ? v >> 1 ^ POLYNOMIAL : v >> 1;
		table[0][i] = v;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

/* Little-endian, whatever the machine. */
static uint64_t eight(const uint8_t *p)
{
	uint64_t v = 0;
	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

uint64_t crc64_add(uint64_t crc, const void *bytes, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint8_t *p = bytes;
	pthread_once(&once, table_make);
	crc = ~crc;
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v = crc ^ eight(p);
		crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^ table[4][v >> 24 & 255] ^
		      table[3][v >> 32 & 255] ^ table[2][v >> 40 & 255] ^ table[1][v >> 48 & 255] ^ table[0][v >> 56];
	}
	for (; n > 0; p++, n--)
		crc = table[0][(crc ^ *p) & 255] ^ crc >> 8;
	return ~crc;
}
