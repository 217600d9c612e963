/* Views of bytes.
 *
 * A `struct str` never owns memory and is not NUL-terminated; the owner is whoever made the bytes (an arena, a
 * buffer, a mapped file). The empty view may have a NULL pointer; `n` is in bytes, always. */
#ifndef SLUICE_BASE_STR_H
#define SLUICE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
/* printf("%.*s", STR_ARG(s)): a precision is an int, so more than INT_MAX bytes are shown cut. */
#define STR_ARG(s) str_precision(s), str_start(s)

static inline int str_precision(struct str s)
{
	return s.n > 0x7fffffff ? 0x7fffffff : (int)s.n;
}

static inline const char *str_start(struct str s)
{
	return s.p ? s.p : "";
}

struct str str_from(const char *zero_terminated); /* NULL gives the empty view */
struct str str_sub(struct str s, size_t from, size_t n); /* clamped to s */
bool str_eq(struct str a, struct str b);
bool str_eq_z(struct str a, const char *zero_terminated);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* memcmp order, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_contains(struct str s, struct str part);
/* Offset of the first occurrence, or s.n. */
size_t str_find(struct str s, struct str part);
size_t str_find_char(struct str s, char c);
struct str str_trim(struct str s); /* ASCII white space on both sides */
/* Cuts off what stands before the next `sep` and moves `rest` past it; false when `rest` is used up. So a separator
 * at the very end has no empty part behind it: "a,b," gives a and b. */
bool str_cut(struct str *rest, char sep, struct str *part);
/* Decimal digits only, no sign, no space; false on overflow or anything else. */
bool str_to_u64(struct str s, uint64_t *out);
bool str_to_i64(struct str s, int64_t *out); /* an optional '-' in front */
/* Edit distance (Levenshtein) of short words, for "did you mean"; words over 63 bytes count as SIZE_MAX apart. */
size_t str_distance(struct str a, struct str b);
/* Length in bytes of the UTF-8 character that s begins with, 0 where it begins with none. */
size_t str_utf8_char(struct str s);
bool str_is_utf8(struct str s); /* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF */

/* memcpy() without the call where it is short, as most texts of rows are. */
static inline void bytes_copy(char *to, const char *from, size_t n)
{
	if (n > 16) {
		memcpy(to, from, n);
	} else if (n >= 8) { /* two copies that overlap; here and below all is read before anything is written */
		uint64_t first, last;
		memcpy(&first, from, 8);
		memcpy(&last, from + n - 8, 8);
		memcpy(to, &first, 8);
		memcpy(to + n - 8, &last, 8);
	} else if (n >= 4) {
		uint32_t first, last;
		memcpy(&first, from, 4);
		memcpy(&last, from + n - 4, 4);
		memcpy(to, &first, 4);
		memcpy(to + n - 4, &last, 4);
	} else if (n > 0) {
		char first = from[0], middle = from[n / 2], last = from[n - 1];
		to[0] = first;
		to[n / 2] = middle;
		to[n - 1] = last;
	}
}

#endif
