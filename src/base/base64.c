#include "base/base64.h"

struct str base64_encode(const void *bytes, size_t n, struct arena *a)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = bytes;
	size_t groups = n / 3 + (n % 3 != 0);
	char *out = arena_alloc(a, mem_size(groups, 4) + 1);
	for (size_t i = 0; i < groups; i++) {
		size_t left = n - i * 3;
		uint32_t v = (uint32_t)p[i * 3] << 16;
		v |= left > 1 ? (uint32_t)p[i * 3 + 1] << 8 : 0;
		v |= left > 2 ? (uint32_t)p[i * 3 + 2] : 0;
		out[i * 4] = digits[v >> 18];
		out[i * 4 + 1] = digits[v >> 12 & 63];
		out[i * 4 + 2] = left > 1 ? digits[v >> 6 & 63] : '=';
		out[i * 4 + 3] = left > 2 ? digits[v & 63] : '=';
	}
	return (struct str){ out, groups * 4 };
}
