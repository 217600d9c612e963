/* The low-level calls are deprecated in favour of EVP, whose one-shot call costs several times as much on inputs as
 * short as rows, and whose reused contexts are pointers that somebody has to free; this state lies on the stack. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/hash.h"

#include "base/check.h"
#include "base/number.h"

#include <string.h>

void sha256_begin(struct sha256_state *s)
{
	CHECK(SHA256_Init(&s->ctx) == 1);
}

void sha256_add(struct sha256_state *s, const void *p, size_t n)
{
	if (n > 0)
		CHECK(SHA256_Update(&s->ctx, p, n) == 1);
}

void sha256_add_str(struct sha256_state *s, struct str bytes)
{
	sha256_add(s, bytes.p, bytes.n);
}

struct sha256 sha256_end(struct sha256_state *s)
{
	struct sha256 h;
	CHECK(SHA256_Final(h.b, &s->ctx) == 1);
	return h;
}

struct sha256 sha256_of(struct str bytes)
{
	struct sha256_state s;
	sha256_begin(&s);
	sha256_add_str(&s, bytes);
	return sha256_end(&s);
}

bool sha256_eq(struct sha256 a, struct sha256 b)
{
	return memcmp(a.b, b.b, sizeof a.b) == 0;
}

void sha256_hex(struct sha256 h, char out[SHA256_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[h.b[i] >> 4];
		out[2 * i + 1] = digits[h.b[i] & 15];
	}
	out[SHA256_HEX] = '\0';
}

struct str sha256_hex_str(struct sha256 h, struct arena *a)
{
	char *out = arena_alloc(a, SHA256_HEX + 1);
	sha256_hex(h, out);
	return (struct str){ out, SHA256_HEX };
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sha256_from_hex(struct str hex, struct sha256 *out)
{
	if (hex.n != SHA256_HEX)
		return false;
	struct sha256 h;
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		int high = hex_value(hex.p[2 * i]), low = hex_value(hex.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		h.b[i] = (uint8_t)(high << 4 | low);
	}
	*out = h;
	return true;
}

/* ── hash_fast: products of 64 by 64 bits, the two halves of each folded by exclusive or ── */

/* Fractional digits of the square roots of 2, 3, 5 and 7: numbers without a purpose behind them. */
#define ROOT_2 UINT64_C(0x6a09e667f3bcc909)
#define ROOT_3 UINT64_C(0xbb67ae8584caa73b)
#define ROOT_5 UINT64_C(0x3c6ef372fe94f82b)
#define ROOT_7 UINT64_C(0xa54ff53a5f1d36f1)

static uint64_t fold(uint64_t a, uint64_t b)
{
	uint128 product = (uint128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load_8(const char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t load_4(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t byte_at(const char *p, size_t i)
{
	return (unsigned char)p[i];
}

uint64_t hash_fast(struct str bytes, uint64_t seed)
{
	const char *p = bytes.p;
	size_t n = bytes.n;
	uint64_t h = fold(seed ^ ROOT_2, ROOT_3), first = 0, last = 0;
	if (n > 32) {
		uint64_t other = h ^ ROOT_7; /* two chains side by side keep the multiplier busy */
		do {
			h = fold(load_8(p) ^ ROOT_5, load_8(p + 8) ^ h);
			other = fold(load_8(p + 16) ^ ROOT_7, load_8(p + 24) ^ other);
			p += 32;
			n -= 32;
		} while (n > 32);
		h ^= other;
	}
	if (n > 16) {
		h = fold(load_8(p) ^ ROOT_5, load_8(p + 8) ^ h);
		p += 16;
		n -= 16;
	}
	if (n >= 8) { /* the two reads overlap unless n is 16: every byte is in at least one of them */
		first = load_8(p);
		last = load_8(p + n - 8);
	} else if (n >= 4) {
		first = load_4(p);
		last = load_4(p + n - 4);
	} else if (n > 0) {
		first = byte_at(p, 0) << 16 | byte_at(p, n / 2) << 8 | byte_at(p, n - 1);
	}
	h = fold(first ^ ROOT_5, last ^ h);
	return fold(h ^ ROOT_2, (uint64_t)bytes.n ^ ROOT_7);
}

struct str sha1_hex_str(struct str bytes, struct arena *a)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char h[SHA_DIGEST_LENGTH];
	char hex[2 * SHA_DIGEST_LENGTH];
	CHECK(SHA1((const unsigned char *)bytes.p, bytes.n, h) != NULL);
	for (size_t i = 0; i < sizeof h; i++) {
		hex[2 * i] = digits[h[i] >> 4];
		hex[2 * i + 1] = digits[h[i] & 15];
	}
	return arena_copy(a, (struct str){ hex, sizeof hex });
}
