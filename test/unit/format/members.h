/* Each member of a JSON text damaged in turn: missing (its name is another), or its value of another kind. JSON inside a
 * string (statistics, tags) is looked into, too. */
#ifndef SLUICE_TEST_FORMAT_MEMBERS_H
#define SLUICE_TEST_FORMAT_MEMBERS_H

#include "world.h"

#include <ctype.h>

struct member {
	size_t name, name_end;   /* without quotes */
	size_t value, value_end; /* end: of a text, number or word; 0 for lists and objects */
	bool escaped;            /* inside a string: its quotes stand behind backslashes */
};

static inline bool at_quote(struct str t, size_t i, bool escaped)
{
	return escaped ? i + 1 < t.n && t.p[i] == '\\' && t.p[i + 1] == '"' : i < t.n && t.p[i] == '"';
}

static inline size_t value_end(struct str t, size_t i, bool escaped)
{
	size_t quote = escaped ? 2 : 1;
	if (t.p[i] == '[' || t.p[i] == '{')
		return 0;
	if (at_quote(t, i, escaped)) {
		for (i += quote; i < t.n && !at_quote(t, i, escaped); i++)
			if (!escaped && t.p[i] == '\\')
				i++;
		return i + quote;
	}
	while (i < t.n && (isalnum((unsigned char)t.p[i]) || strchr("+-.", t.p[i])))
		i++;
	return i;
}

/* The next member that begins at `from` or later. */
static inline bool member_next(struct str t, size_t from, struct member *m)
{
	for (size_t i = from; i < t.n; i++) {
		if (t.p[i] != '"')
			continue;
		size_t end = i + 1;
		while (end < t.n && (isalnum((unsigned char)t.p[end]) || t.p[end] == '_' || t.p[end] == '.'))
			end++;
		m->escaped = i > 0 && t.p[i - 1] == '\\';
		size_t after = end + (m->escaped ? 2 : 1);
		if (end == i + 1 || !at_quote(t, end, m->escaped) || after >= t.n || t.p[after] != ':')
			continue;
		m->name = i + 1;
		m->name_end = end;
		m->value = after + 1;
		m->value_end = value_end(t, m->value, m->escaped);
		return true;
	}
	return false;
}

enum member_damage { MEMBER_MISSING, MEMBER_NULL, MEMBER_NUMBER, MEMBER_TEXT, MEMBER_LIST, MEMBER_DAMAGES };

/* False where that damage is none: lists and objects are only renamed, and a number stays a number. */
static inline bool member_damaged(struct str t, const struct member *m, enum member_damage how, struct arena *a, struct str *out)
{
	if (how == MEMBER_MISSING) {
		*out = arena_format(a, "%.*s~%.*s", (int)m->name_end - 1, t.p, STR_ARG(str_sub(t, m->name_end, SIZE_MAX)));
		return true;
	}
	if (m->value_end == 0)
		return false;
	bool text = at_quote(t, m->value, m->escaped);
	if (how == MEMBER_TEXT && text && m->value_end - m->value == (m->escaped ? 6 : 4))
		return false;
	const char *other = how == MEMBER_NULL ? "null" : how == MEMBER_NUMBER ? "-0.5" : how == MEMBER_LIST ? "[]" :
			    m->escaped ? "\\\"~\\\"" : "\"~\"";
	*out = arena_format(a, "%.*s%s%.*s", (int)m->value, t.p, other, STR_ARG(str_sub(t, m->value_end, SIZE_MAX)));
	return !str_eq(str_sub(t, m->value, m->value_end - m->value), str_from(other));
}

/* Members that may be missing or anything, and those whose text may be any. */
struct members_free {
	const char *const *passed_over, *const *any_text;
	size_t n_passed_over, n_any_text;
};

static inline bool member_may_be_damaged(const struct members_free *f, struct str name, enum member_damage how)
{
	for (size_t i = 0; i < f->n_passed_over; i++)
		if (str_eq_z(name, f->passed_over[i]))
			return true;
	for (size_t i = 0; i < f->n_any_text; i++)
		if (how == MEMBER_TEXT && str_eq_z(name, f->any_text[i]))
			return true;
	return false;
}

/* Each member of `text` damaged in each way: whoever reads it refuses it as damage, or it is one of the free ones. */
static inline void members_are_needed(struct str text, const char *what, const struct members_free *free_ones,
				      bool (*reads)(void *user, struct str bad, struct arena *a, struct err *e), void *user)
{
	struct member m;
	for (size_t at = 0; member_next(text, at, &m); at = m.name_end) {
		for (enum member_damage how = 0; how < MEMBER_DAMAGES; how++) {
			struct str bad, name = str_sub(text, m.name, m.name_end - m.name);
			struct err e = ERR_INIT;
			struct arena a = ARENA_INIT;
			if (member_damaged(text, &m, how, &a, &bad)) {
				if (!reads(user, bad, &a, &e))
					assert_code(&e, ERR_DAMAGE);
				else if (!member_may_be_damaged(free_ones, name, how))
					fail_msg("%s: damage %d of %.*s is not seen", what, (int)how, STR_ARG(name));
			}
			arena_free(&a);
		}
	}
}

#endif
