#include "base/number.h"

#include "base/number_parts.h"

#include <string.h>

static bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

/* The exponent's digits, held at a bound that no length of digits can bring back into any range. */
static int64_t read_exponent(struct str s)
{
	const int64_t bound = (int64_t)1 << 60;
	bool negative = s.n && s.p[0] == '-';
	int64_t v = 0;

	for (size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0; i < s.n; i++) {
		if (v < bound / 10 - 1)
			v = v * 10 + (s.p[i] - '0');
		else
			v = bound;
	}
	return negative ? -v : v;
}

struct number_parts number_split(struct str text)
{
	struct number_parts r = { .negative = text.n && text.p[0] == '-' };
	size_t i = r.negative ? 1 : 0, point = 0, first, last;
	int64_t exponent = 0;

	r.digits.p = text.p + i;
	while (i < text.n && is_digit(text.p[i]))
		i++;
	r.n_before_point = point = (size_t)(text.p + i - r.digits.p);
	if (i < text.n && text.p[i] == '.') {
		i++;
		while (i < text.n && is_digit(text.p[i]))
			i++;
	}
	r.digits.n = (size_t)(text.p + i - r.digits.p);
	if (i < text.n)
		exponent = read_exponent(str_sub(text, i + 1, text.n - i - 1));
	for (first = 0; first < r.digits.n && (r.digits.p[first] == '0' || r.digits.p[first] == '.'); first++)
		;
	for (last = r.digits.n; last > first && (r.digits.p[last - 1] == '0' || r.digits.p[last - 1] == '.'); last--)
		;
	if (first == last)
		return r;
	/* The lowest digit that is not zero stands at last - 1: how far is it from the point? */
	r.exponent = exponent + (last - 1 < point ? (int64_t)(point - last) : (int64_t)point - (int64_t)last + 1);
	r.n = last - first;
	if (first < point && last > point)
		r.n--; /* the point itself */
	r.first = first;
	return r;
}

/* At most 38 digits. */
static uint128 read_digits(const struct number_parts *parts)
{
	const char *p = parts->digits.p + parts->first;
	uint64_t v = 0;
	size_t n = 0;
	uint128 high = 0, scale = 1;

	for (; n < parts->n; p++) {
		if (*p == '.')
			continue;
		if (n == 19) {
			high = v;
			v = 0;
			scale = 1;
		}
		v = v * 10 + (uint64_t)(*p - '0');
		scale *= 10;
		n++;
	}
	return n > 19 ? high * scale + v : v;
}

/* parts->n + zeros <= 38 */
static uint128 read_scaled(const struct number_parts *parts, int64_t zeros)
{
	uint128 v = read_digits(parts);

	while (zeros-- > 0)
		v *= 10;
	return v;
}

enum number_verdict number_to_i64(struct str text, int64_t *out)
{
	struct number_parts parts;
	uint128 v, limit;
	uint64_t plain = 0;
	size_t i = text.n && text.p[0] == '-', sign = i;

	/* Up to 18 digits and nothing else: nearly every number there is. */
	if (text.n - sign <= 18) {
		while (i < text.n && is_digit(text.p[i]))
			plain = plain * 10 + (uint64_t)(text.p[i++] - '0');
		if (i == text.n) {
			*out = sign ? -(int64_t)plain : (int64_t)plain;
			return NUMBER_OK;
		}
	}
	parts = number_split(text);
	*out = 0;
	if (!parts.n)
		return NUMBER_OK;
	if (parts.exponent < 0)
		return NUMBER_FRACTION;
	if ((int64_t)parts.n + parts.exponent > 19)
		return NUMBER_RANGE;
	v = read_scaled(&parts, parts.exponent);
	limit = (uint128)INT64_MAX + (parts.negative ? 1 : 0);
	if (v > limit)
		return NUMBER_RANGE;
	*out = (int64_t)(parts.negative ? (uint64_t)0 - (uint64_t)v : (uint64_t)v);
	return NUMBER_OK;
}

enum number_verdict number_to_decimal(struct str text, unsigned precision, unsigned scale, int128 *out)
{
	struct number_parts parts = number_split(text);
	int64_t zeros;
	uint128 v;

	CHECK(precision >= 1 && precision <= NUMBER_DIGITS_MAX && scale <= precision);
	*out = 0;
	if (!parts.n)
		return NUMBER_OK;
	zeros = parts.exponent + (int64_t)scale;
	if (zeros < 0)
		return NUMBER_FRACTION;
	if (zeros + (int64_t)parts.n > (int64_t)precision)
		return NUMBER_RANGE;
	v = read_scaled(&parts, zeros);
	*out = parts.negative ? -(int128)v : (int128)v;
	return NUMBER_OK;
}

struct str decimal_to_text(int128 unscaled, unsigned scale, struct arena *a)
{
	char text[96], *end = text + sizeof text, *p = end;
	uint128 v = unscaled < 0 ? (uint128)0 - (uint128)unscaled : (uint128)unscaled;
	unsigned n = 0;

	CHECK(scale <= NUMBER_DIGITS_MAX);
	while (v || n <= scale) {
		*--p = (char)('0' + (int)(v % 10));
		v /= 10;
		n++;
		if (n == scale)
			*--p = '.';
	}
	if (unscaled < 0)
		*--p = '-';
	return arena_copy(a, (struct str){ p, (size_t)(end - p) });
}
