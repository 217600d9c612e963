/* The words of JSON: white space, strings, numbers, literals. For json_*.c only.
 *
 * Each function takes the place to read from and gives the place after what it read, or NULL after noting the fault in
 * the scan. They never read at or beyond `end`. A document that stops before its time always faults at its very end.
 *
 * Two machine words are looked at together. For the short keys and numbers of records that was faster than SSE2, and
 * it is the same code on every processor. */
#ifndef SLUICE_BASE_JSON_LEX_H
#define SLUICE_BASE_JSON_LEX_H

#include "base/json.h"

#include <string.h>

#define LEX_COLD __attribute__((cold, noinline))
#define LEX_HOT static inline __attribute__((always_inline))
#define LEX_LIKELY(x) __builtin_expect(!!(x), 1)
#define LEX_UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { LEX_BLOCK = 16 };

/* Notes the fault; always NULL. Defined in json_scan.c, like the slow halves of what follows. */
const char *json_lex_fault(struct json_scan *s, const char *fault, const char *at);
const char *json_lex_ends(struct json_scan *s);
const char *json_lex_space_run(const char *p, const char *end);
const char *json_lex_string_rest(struct json_scan *s, const char *p, bool *escaped);
const char *json_lex_exponent(struct json_scan *s, const char *p);
const char *json_lex_value_fault(struct json_scan *s, const char *p);

/* Length of the UTF-8 sequence at p (its first byte is 0x80 or above): 2..4, 0 if it is none, -1 if the bytes end
 * inside of it. RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static inline int lex_utf8(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p);
	unsigned char first = u[0], low = 0x80, high = 0xbf;
	int n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (first < 0xc2 || first > 0xf4)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (left < 2)
		return -1;
	if (u[1] < low || u[1] > high)
		return 0;
	for (size_t i = 2; i < (size_t)n; i++) {
		if (i >= left)
			return -1;
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* Eight bytes as a number whose lowest byte is the first one. */
LEX_HOT uint64_t lex_word(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return x;
}

#define LEX_EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

/* The borrow of a subtraction may mark bytes above a true hit, never below the first: only the lowest mark counts. */
LEX_HOT uint64_t lex_below(uint64_t x, unsigned char byte)
{
	return (x - LEX_EACH(byte)) & ~x & LEX_EACH(0x80);
}

LEX_HOT uint64_t lex_plain_marks(uint64_t x)
{
	return (x & LEX_EACH(0x80)) | lex_below(x, 0x20) | lex_below(x ^ LEX_EACH('"'), 1) |
	       lex_below(x ^ LEX_EACH('\\'), 1);
}

/* 0x30..0x3f, and still so after adding 6; a carry out of a byte comes from one that is marked anyway. */
LEX_HOT uint64_t lex_digit_marks(uint64_t x)
{
	return ((x & LEX_EACH(0xf0)) ^ LEX_EACH(0x30)) | (((x + LEX_EACH(6)) & LEX_EACH(0xf0)) ^ LEX_EACH(0x30));
}

LEX_HOT unsigned lex_first_mark(uint64_t marks)
{
	return marks ? (unsigned)__builtin_ctzll(marks) / 8 : 8;
}

/* Number of bytes in front of the first that needs a closer look (a quote, a backslash, a control character, anything
 * not ASCII), LEX_BLOCK for none. p has LEX_BLOCK bytes; so it is with the others. */
LEX_HOT unsigned lex_plain(const char *p)
{
	unsigned n = lex_first_mark(lex_plain_marks(lex_word(p)));

	return n < 8 ? n : 8 + lex_first_mark(lex_plain_marks(lex_word(p + 8)));
}

LEX_HOT unsigned lex_digit_run(const char *p)
{
	unsigned n = lex_first_mark(lex_digit_marks(lex_word(p)));

	return n < 8 ? n : 8 + lex_first_mark(lex_digit_marks(lex_word(p + 8)));
}

/* Never a fault. */
LEX_HOT const char *lex_space(const char *p, const char *end)
{
	if (LEX_LIKELY(p < end && (unsigned char)*p > ' '))
		return p;
	if (end - p >= 2 && *p == ' ' && (unsigned char)p[1] > ' ')
		return p + 1;
	return json_lex_space_run(p, end);
}

/* p: after the opening quote. Gives the place of the closing one. */
LEX_HOT const char *lex_string(struct json_scan *s, const char *p, const char *end, bool *escaped)
{
	while (LEX_LIKELY(end - p >= LEX_BLOCK)) {
		unsigned n = lex_plain(p);

		p += n;
		if (LEX_LIKELY(n < LEX_BLOCK)) {
			if (LEX_LIKELY(*p == '"'))
				return p;
			break;
		}
	}
	return json_lex_string_rest(s, p, escaped);
}

LEX_HOT const char *lex_digits(const char *p, const char *end)
{
	while (LEX_LIKELY(end - p >= LEX_BLOCK)) {
		unsigned n = lex_digit_run(p);

		p += n;
		if (LEX_LIKELY(n < LEX_BLOCK))
			return p;
	}
	while (p < end && (unsigned char)(*p - '0') < 10)
		p++;
	return p;
}

/* p: at '-' or a digit. What follows a number is the business of whoever asked. */
LEX_HOT const char *lex_number(struct json_scan *s, const char *p, const char *end)
{
	const char *first;

	p += *p == '-';
	first = p;
	p = lex_digits(p, end);
	if (LEX_UNLIKELY(p == first))
		return json_lex_fault(s, "a digit expected", p);
	if (LEX_UNLIKELY(*first == '0' && p - first > 1))
		return json_lex_fault(s, "a number does not begin with 0", first + 1);
	if (p < end && *p == '.') {
		first = ++p;
		p = lex_digits(p, end);
		if (LEX_UNLIKELY(p == first))
			return json_lex_fault(s, "a digit expected", p);
	}
	if (LEX_UNLIKELY(p < end && (*p | 0x20) == 'e'))
		return json_lex_exponent(s, p);
	return p;
}

/* true, false, null; anything else faults. */
LEX_HOT const char *lex_literal(struct json_scan *s, const char *p, const char *end)
{
	if (LEX_LIKELY(end - p >= 5)) {
		if (memcmp(p, "null", 4) == 0 || memcmp(p, "true", 4) == 0)
			return p + 4;
		if (memcmp(p, "false", 5) == 0)
			return p + 5;
	} else if (end - p == 4 && (memcmp(p, "null", 4) == 0 || memcmp(p, "true", 4) == 0)) {
		return end;
	}
	return json_lex_value_fault(s, p);
}

#endif
