/* Numbers, exactly as sent. All functions read the text of a JSON number (RFC 8259 grammar, already checked). */
#ifndef SLUICE_BASE_NUMBER_H
#define SLUICE_BASE_NUMBER_H

#include "base/mem.h"
#include "base/str.h"

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
