/* Numbers, exactly as sent. All functions read the text of a JSON number (RFC 8259 grammar, already checked). */
#ifndef SLUICE_BASE_NUMBER_H
#define SLUICE_BASE_NUMBER_H

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

enum number_verdict {
	NUMBER_OK,
	NUMBER_FRACTION, /* digits below the unit (integer) or beyond the scale (decimal) that are not zero */
	NUMBER_RANGE,    /* does not fit */
	NUMBER_INEXACT,  /* double: its shortest round-trip text has another value than the one sent */
};

/* *out is 0 where these do not say NUMBER_OK. */
/* Any spelling of an integral value: 1, 1.0, 1e3, 10e-1, -0. */
enum number_verdict number_to_i64(struct str text, int64_t *out);
/* The same for what nearly every number is: up to 8 digits, maybe a minus, with 8 readable bytes from the first digit on
 * (`end` is where the bytes end that the text is a part of). False: it is not that; ask number_to_i64(). */
static inline bool number_to_i64_short(struct str text, const char *end, int64_t *out)
{
	size_t sign = text.n > 0 && text.p[0] == '-', n = text.n - sign;
	uint64_t x;

	if (n - 1 > 7 || (size_t)(end - text.p) < sign + sizeof x)
		return false;
	memcpy(&x, text.p + sign, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	/* The digits move up and zeros come in front of them. A byte is a digit if it is below 0x10 now and 6 later. */
	x = (x ^ UINT64_C(0x3030303030303030)) << (64 - 8 * n);
	if (((x | (x + UINT64_C(0x0606060606060606))) & UINT64_C(0xf0f0f0f0f0f0f0f0)) != 0)
		return false;
	x = x * 10 + (x >> 8); /* pairs, then what they are worth */
	x = ((x & UINT64_C(0x000000ff000000ff)) * (100 + (UINT64_C(1000000) << 32)) +
	     (x >> 16 & UINT64_C(0x000000ff000000ff)) * (1 + (UINT64_C(10000) << 32))) >> 32;
	*out = sign ? -(int64_t)x : (int64_t)x;
	return true;
}
/* Unscaled value at `scale` of at most `precision` digits (1..38, 0 <= scale <= precision). */
enum number_verdict number_to_decimal(struct str text, unsigned precision, unsigned scale, int128 *out);
/* The nearest double (ties to even). NUMBER_INEXACT still gives it; NUMBER_RANGE does not (1e400); -0.0 stays. A value
 * that underflows to zero is NUMBER_INEXACT; subnormal ones follow the same rule of the shortest text (5e-324 is OK,
 * 4.9e-324 is not). */
enum number_verdict number_to_double(struct str text, double *out);
/* Plain decimal text without an exponent; scale 0 has no point. */
struct str decimal_to_text(int128 unscaled, unsigned scale, struct arena *a);
/* Shortest text that reads back as the same double: fewest digits, of those the nearest. Plain from 1e-6 to 1e21, with
 * an exponent beyond ("1.5e-7", "1e22"); whole numbers have no point; "-0". What JSON lacks: "NaN", "Infinity",
 * "-Infinity". */
struct str double_to_text(double v, struct arena *a);

#endif
