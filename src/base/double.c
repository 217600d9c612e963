/* Doubles are read and written by way of digits and a power of ten, never by a text with a decimal point: that makes
 * strtod() and snprintf() of the C library (correctly rounded, both) the same in every locale. */
#include "base/number.h"

#include "base/number_parts.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 767 significant digits tell any double from its neighbour's midpoint; one more stands for all that follow. */
enum { DIGITS_ENOUGH = 770, SHORTEST_MAX = 17 };

/* digits as an integer, times 10^exponent; the last digit is not zero (n 0: zero) */
struct shortest {
	char digits[SHORTEST_MAX + 1];
	size_t n;
	int exponent;
};

static double parse(const char *digits, size_t n, int64_t exponent)
{
	char text[DIGITS_ENOUGH + 32];
	int written;

	CHECK(n <= DIGITS_ENOUGH + 1 && exponent > -100000 && exponent < 100000);
	memcpy(text, digits, n);
	written = snprintf(text + n, sizeof text - n, "e%d", (int)exponent);
	CHECK(written > 0 && (size_t)written < sizeof text - n);
	return strtod(text, NULL);
}

/* The nearest decimal of `precision` digits. */
static void print(double v, int precision, struct shortest *out)
{
	char text[64];
	int written = snprintf(text, sizeof text, "%.*e", precision - 1, v);
	const char *p = text;

	CHECK(written > 0 && (size_t)written < sizeof text);
	out->n = 0;
	for (; *p != 'e'; p++)
		if (*p >= '0' && *p <= '9') /* whatever the locale's point is */
			out->digits[out->n++] = *p;
	CHECK(out->n == (size_t)precision);
	out->exponent = (int)strtol(p + 1, NULL, 10) - precision + 1;
}

static void drop_zeros(struct shortest *s)
{
	while (s->n > 1 && s->digits[s->n - 1] == '0') {
		s->n--;
		s->exponent++;
	}
}

/* The next decimal above, of as many digits. */
static void step_up(struct shortest *s)
{
	size_t i = s->n;

	while (i > 0 && s->digits[i - 1] == '9')
		s->digits[--i] = '0';
	if (i > 0) {
		s->digits[i - 1]++;
	} else {
		s->digits[0] = '1';
		s->exponent++;
	}
}

/* Fewest digits that read back as v (finite, > 0); of those the nearest to v. */
static void find_shortest(double v, struct shortest *out)
{
	int unused;
	/* Up to 15 digits always survive the way through a double of full precision, so that nothing shorter than 15
	 * digits can be missed there by trying 15 and dropping zeros. Below, each length has to be tried. */
	int precision = v < 1e-300 ? 1 : DBL_DIG;
	/* At a power of two the doubles above are twice as far apart as those below: the nearest decimal may fall out
	 * on the narrow side while the one above v still reads as v. */
	bool lopsided = frexp(v, &unused) == 0.5;

	for (; precision < SHORTEST_MAX; precision++) {
		print(v, precision, out);
		if (parse(out->digits, out->n, out->exponent) == v)
			break;
		if (lopsided) {
			step_up(out);
			if (parse(out->digits, out->n, out->exponent) == v)
				break;
		}
	}
	if (precision == SHORTEST_MAX)
		print(v, precision, out);
	drop_zeros(out);
}

/* 10^0 .. 10^22: all of them exact. */
static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
				 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
enum { POWER_MAX = 22 };

enum number_verdict number_to_double(struct str text, double *out)
{
	struct number_parts parts = number_split(text);
	char digits[DIGITS_ENOUGH + 1];
	struct shortest back;
	const char *p = parts.digits.p + parts.first;
	int64_t magnitude, exponent = parts.exponent;
	size_t n = 0;
	double v;

	*out = parts.negative ? -0.0 : 0.0;
	if (!parts.n)
		return NUMBER_OK;
	magnitude = (int64_t)parts.n + exponent; /* 10^(magnitude - 1) <= value < 10^magnitude */
	if (magnitude > DBL_MAX_10_EXP + 1)
		return NUMBER_RANGE;
	if (magnitude < -400)
		return NUMBER_INEXACT;
	for (; n < parts.n && n < DIGITS_ENOUGH; p++)
		if (*p != '.')
			digits[n++] = *p;
	exponent += (int64_t)(parts.n - n);
	if (parts.n <= DBL_DIG && exponent >= -POWER_MAX && exponent <= POWER_MAX) {
		/* Both are exact as doubles, so that one operation rounds once (Clinger 1990). */
		uint64_t m = 0;

		for (size_t i = 0; i < n; i++)
			m = m * 10 + (uint64_t)(digits[i] - '0');
		v = exponent < 0 ? (double)m / powers[-exponent] : (double)m * powers[exponent];
		*out = parts.negative ? -v : v;
		return NUMBER_OK;
	}
	if (n < parts.n) {
		digits[n++] = '1';
		exponent--;
	}
	v = parse(digits, n, exponent);
	if (isinf(v))
		return NUMBER_RANGE;
	*out = parts.negative ? -v : v;
	if (v == 0 || parts.n > SHORTEST_MAX)
		return NUMBER_INEXACT;
	if (parts.n <= DBL_DIG && v >= 1e-300)
		return NUMBER_OK;
	find_shortest(v, &back);
	if (back.n != n || back.exponent != exponent || memcmp(back.digits, digits, n) != 0)
		return NUMBER_INEXACT;
	return NUMBER_OK;
}

/* Room for '-', 17 digits with up to 5 zeros and a point, or up to 21 digits, or an exponent. */
static size_t write_shortest(const struct shortest *s, char *out)
{
	int n = (int)s->n, point = n + s->exponent; /* digits in front of the point */
	char *p = out;

	if (point > 21 || point < -5) {
		*p++ = s->digits[0];
		if (n > 1) {
			*p++ = '.';
			memcpy(p, s->digits + 1, s->n - 1);
			p += n - 1;
		}
		return (size_t)(p - out) + (size_t)snprintf(p, 8, "e%d", point - 1);
	}
	if (point <= 0) {
		*p++ = '0';
		*p++ = '.';
		for (int i = point; i < 0; i++)
			*p++ = '0';
	}
	for (int i = 0; i < n || i < point; i++) {
		if (i > 0 && i == point)
			*p++ = '.';
		*p++ = i < n ? s->digits[i] : '0';
	}
	return (size_t)(p - out);
}

struct str double_to_text(double v, struct arena *a)
{
	struct shortest s;
	char text[64], *p = text;

	if (isnan(v))
		return STR("NaN");
	if (isinf(v))
		return v < 0 ? STR("-Infinity") : STR("Infinity");
	if (signbit(v))
		*p++ = '-';
	if (v == 0) {
		*p++ = '0';
	} else {
		find_shortest(fabs(v), &s);
		p += write_shortest(&s, p);
	}
	return arena_copy(a, (struct str){ text, (size_t)(p - text) });
}
