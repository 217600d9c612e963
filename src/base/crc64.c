/* Sixteen bytes a step where the processor multiplies polynomials (x86's PCLMULQDQ; Gopal and others, "Fast CRC computation
 * for generic polynomials using PCLMULQDQ instruction", 2009): 64 bytes that stand D bits before the end count as much as
 * their product with x^D mod P does there. Else eight bytes a step, by a table for each place (Kounavis and Berry, "Novel
 * table lookup-based algorithms for high-performance CRC generation", 2008).
 *
 * Polynomials are reflected: bit 63 of a word is x^0, bit 0 is x^63. */
#include "base/crc64.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static const uint64_t POLYNOMIAL = 0x9a6c9329ac4bc9b5;
static const uint64_t ONE = UINT64_C(1) << 63, X = UINT64_C(1) << 62;

static uint64_t table[8][256];
static struct {
	uint64_t high, low; /* x^(D+63) and x^(D-1): a product of two reflected words is one bit off */
} far, near;                /* D: 512 bits, 128 bits */
static bool multiplies;

static uint64_t times_x(uint64_t v)
{
	return v & 1 ? v >> 1 ^ POLYNOMIAL : v >> 1;
}

/* a b mod P */
static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t sum = 0;
	for (; a; a <<= 1, b = times_x(b))
		if (a & ONE)
			sum ^= b;
	return sum;
}

/* x^n mod P */
static uint64_t power(uint64_t n)
{
	uint64_t v = ONE;
	for (uint64_t square = X; n; n >>= 1, square = product(square, square))
		if (n & 1)
			v = product(v, square);
	return v;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define WITH_CLMUL __attribute__((target("pclmul,sse2")))
#define INLINE_CLMUL static inline __attribute__((always_inline)) WITH_CLMUL

enum { LANES = 4, LANE = 16, STRIDE = LANES * LANE };

static bool can_multiply(void)
{
	unsigned eax, ebx, ecx, edx;
	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 1));
}

INLINE_CLMUL __m128i lane_load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* What comes `by` bits later, with this lane's share of it. The first eight bytes are the higher powers. */
INLINE_CLMUL __m128i lane_fold(__m128i lane, __m128i by, __m128i later)
{
	__m128i first = _mm_clmulepi64_si128(lane, by, 0x00), second = _mm_clmulepi64_si128(lane, by, 0x11);
	return _mm_xor_si128(_mm_xor_si128(first, second), later);
}

/* Two strides at least. The 16 bytes that are left in `rest` stand for all that were taken, from a sum of 0 on. */
WITH_CLMUL static size_t fold(uint64_t crc, const uint8_t *p, size_t n, uint8_t rest[LANE])
{
	const __m128i by_far = _mm_set_epi64x((long long)far.low, (long long)far.high);
	const __m128i by_near = _mm_set_epi64x((long long)near.low, (long long)near.high);
	size_t at = STRIDE;
	__m128i lane[LANES];
	for (size_t i = 0; i < LANES; i++)
		lane[i] = lane_load(p + i * LANE);
	lane[0] = _mm_xor_si128(lane[0], _mm_set_epi64x(0, (long long)crc));
	for (; n - at >= STRIDE; at += STRIDE)
		for (size_t i = 0; i < LANES; i++)
			lane[i] = lane_fold(lane[i], by_far, lane_load(p + at + i * LANE));
	for (size_t i = 1; i < LANES; i++)
		lane[i] = lane_fold(lane[i - 1], by_near, lane[i]);
	for (; n - at >= LANE; at += LANE)
		lane[LANES - 1] = lane_fold(lane[LANES - 1], by_near, lane_load(p + at));
	_mm_storeu_si128((__m128i *)(void *)rest, lane[LANES - 1]);
	return at;
}
#else
enum { LANE = 16, STRIDE = 64 };

static bool can_multiply(void)
{
	return false;
}

static size_t fold(uint64_t crc, const uint8_t *p, size_t n, uint8_t rest[LANE])
{
	(void)crc, (void)p, (void)n, (void)rest;
	return 0;
}
#endif

static void set_up(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t v = i;
		for (int bit = 0; bit < 8; bit++)
			v = times_x(v);
		table[0][i] = v;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
	far.high = power(512 + 63);
	far.low = power(512 - 1);
	near.high = power(128 + 63);
	near.low = power(128 - 1);
	multiplies = can_multiply();
}

static void set_up_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);
}

/* Little-endian, whatever the machine. */
static uint64_t eight(const uint8_t *p)
{
	uint64_t v = 0;
	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static uint64_t by_table(uint64_t crc, const uint8_t *p, size_t n)
{
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v = crc ^ eight(p);
		crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^ table[4][v >> 24 & 255] ^
		      table[3][v >> 32 & 255] ^ table[2][v >> 40 & 255] ^ table[1][v >> 48 & 255] ^ table[0][v >> 56];
	}
	for (; n > 0; p++, n--)
		crc = table[0][(crc ^ *p) & 255] ^ crc >> 8;
	return crc;
}

uint64_t crc64_add(uint64_t crc, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	set_up_once();
	crc = ~crc;
	if (multiplies && n >= 2 * STRIDE) {
		uint8_t rest[LANE];
		size_t taken = fold(crc, p, n, rest);
		crc = by_table(0, rest, sizeof rest);
		p += taken;
		n -= taken;
	}
	return ~by_table(crc, p, n);
}

uint64_t crc64_join(uint64_t first, uint64_t second, uint64_t second_bytes)
{
	return product(power(second_bytes * 8), first) ^ second;
}
