/* The digits of a number without the zeros around them. For number.c and double.c only. */
#ifndef SLUICE_BASE_NUMBER_PARTS_H
#define SLUICE_BASE_NUMBER_PARTS_H

#include "base/check.h"
#include "base/number.h"

enum { NUMBER_DIGITS_MAX = 38 };

/* value = the n digits as an integer, times 10^exponent; n 0 is zero. The first and the last digit are not zero, so
 * that equal values have equal digits and exponents. The exponent is held at +-2^60, far beyond any range and far from
 * overflow whatever the length of the text. */
struct number_parts {
	bool negative;
	struct str digits;     /* where the digits stand, with the point */
	size_t n_before_point; /* of digits */
	size_t first;          /* the first one that is not zero */
	size_t n;              /* from there to the last one that is not zero, the point not counted */
	int64_t exponent;
};

struct number_parts number_split(struct str text);

#endif
