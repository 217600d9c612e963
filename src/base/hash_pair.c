/* SHA-256 of two messages at once. The SHA instructions of x86 wait for each other within one message; of two messages
 * they run side by side, at nearly the cost of one. Where the processor lacks them, OpenSSL does one after the other. */
#include "base/hash.h"

#include <string.h>

static void one_by_one(struct str x, struct str y, struct sha256 out[2])
{
	out[0] = sha256_of(x);
	out[1] = sha256_of(y);
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE_SHA static inline __attribute__((always_inline)) WITH_SHA

enum { BLOCK = 64, ROUND_GROUPS = 16 };

static const uint32_t constants[64] __attribute__((aligned(16))) = { /* FIPS 180-4, 4.2.2 */
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
	0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
	0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
	0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

struct lane {
	__m128i abef, cdgh; /* the eight words as the instructions want them */
	const char *whole;  /* blocks of the message itself */
	size_t n_whole, n;  /* with those of the tail */
	char tail[2 * BLOCK];
};

WITH_SHA static void lane_open(struct lane *l, struct str s)
{
	static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	__m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)start), 0xb1);
	__m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(start + 4)), 0x1b);
	size_t rest = s.n % BLOCK, n_tail = rest < BLOCK - 8 ? 1 : 2;
	uint64_t bits = (uint64_t)s.n * 8;

	l->abef = _mm_alignr_epi8(low, high, 8);
	l->cdgh = _mm_blend_epi16(high, low, 0xf0);
	l->whole = s.p;
	l->n_whole = s.n / BLOCK;
	l->n = l->n_whole + n_tail;
	memset(l->tail, 0, sizeof l->tail);
	if (rest > 0)
		memcpy(l->tail, s.p + s.n - rest, rest);
	l->tail[rest] = (char)0x80;
	for (size_t i = 0; i < 8; i++)
		l->tail[n_tail * BLOCK - 1 - i] = (char)(bits >> (8 * i));
}

INLINE_SHA const char *lane_block(const struct lane *l, size_t i)
{
	return i < l->n_whole ? l->whole + i * BLOCK : l->tail + (i - l->n_whole) * BLOCK;
}

/* One block of each of `n` lanes (1 or 2, known when it is compiled). */
INLINE_SHA void lanes_block(struct lane *const *l, const int n, size_t at)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i abef[2], cdgh[2], w[2][4];

	for (int k = 0; k < n; k++) {
		const char *p = lane_block(l[k], at);
		abef[k] = l[k]->abef;
		cdgh[k] = l[k]->cdgh;
		for (int i = 0; i < 4; i++)
			w[k][i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), swap);
	}
#pragma GCC unroll 16
	for (int g = 0; g < ROUND_GROUPS; g++) {
		__m128i constant = _mm_load_si128((const __m128i *)(const void *)(constants + 4 * g));
#pragma GCC unroll 2
		for (int k = 0; k < n; k++) {
			__m128i *now = &w[k][g & 3];
			__m128i last = w[k][(g + 3) & 3], sum = _mm_add_epi32(*now, constant);
			cdgh[k] = _mm_sha256rnds2_epu32(cdgh[k], abef[k], sum);
			abef[k] = _mm_sha256rnds2_epu32(abef[k], cdgh[k], _mm_shuffle_epi32(sum, 0x0e));
			if (g < ROUND_GROUPS - 4) /* the words of four groups later */
				*now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(*now, w[k][(g + 1) & 3]),
									  _mm_alignr_epi8(last, w[k][(g + 2) & 3], 4)),
							    last);
		}
	}
	for (int k = 0; k < n; k++) {
		l[k]->abef = _mm_add_epi32(l[k]->abef, abef[k]);
		l[k]->cdgh = _mm_add_epi32(l[k]->cdgh, cdgh[k]);
	}
}

WITH_SHA static void lane_close(const struct lane *l, struct sha256 *out)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i feba = _mm_shuffle_epi32(l->abef, 0x1b), dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);

	_mm_storeu_si128((__m128i *)(void *)out->b, _mm_shuffle_epi8(_mm_blend_epi16(feba, dchg, 0xf0), swap));
	_mm_storeu_si128((__m128i *)(void *)(out->b + 16), _mm_shuffle_epi8(_mm_alignr_epi8(dchg, feba, 8), swap));
}

WITH_SHA static void side_by_side(struct str x, struct str y, struct sha256 out[2])
{
	struct lane a, b, *both[2] = { &a, &b }, *rest[1];
	size_t i = 0;

	lane_open(&a, x);
	lane_open(&b, y);
	for (; i < a.n && i < b.n; i++)
		lanes_block(both, 2, i);
	rest[0] = i < a.n ? &a : &b;
	for (; i < rest[0]->n; i++)
		lanes_block(rest, 1, i);
	lane_close(&a, &out[0]);
	lane_close(&b, &out[1]);
}

static bool has_sha(void)
{
	unsigned eax, ebx, ecx, edx, sse41 = 0;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		sse41 = ecx & (1u << 19);
	return sse41 && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & (1u << 29));
}

void sha256_pair(struct str x, struct str y, struct sha256 out[2])
{
	static _Atomic int known; /* 0: not asked yet, 1: no, 2: yes */

	if (known == 0)
		known = has_sha() ? 2 : 1;
	if (known == 2)
		side_by_side(x, y, out);
	else
		one_by_one(x, y, out);
}
#else
void sha256_pair(struct str x, struct str y, struct sha256 out[2])
{
	one_by_one(x, y, out);
}
#endif
