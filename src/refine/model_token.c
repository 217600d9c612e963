#include "refine/model_token.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_operator(char c)
{
	return c != '\0' && strchr("+-*/<>=~!@#%^&|`?:\\", c) != NULL;
}

static char at(const struct tokens *t, size_t i)
{
	return i < t->sql.n ? t->sql.p[i] : '\0';
}

/* Comments between slash and star lie inside each other, as in the standard. */
static size_t skip_comment(const struct tokens *t, size_t i)
{
	size_t depth = 1;
	for (i += 2; i < t->sql.n && depth > 0; i++)
		if (at(t, i) == '/' && at(t, i + 1) == '*') {
			depth++;
			i++;
		} else if (at(t, i) == '*' && at(t, i + 1) == '/') {
			depth--;
			i++;
		}
	return i < t->sql.n ? i : t->sql.n;
}

static bool comment_starts(const struct tokens *t, size_t i)
{
	return (at(t, i) == '-' && at(t, i + 1) == '-') || (at(t, i) == '/' && at(t, i + 1) == '*');
}

static bool skip_space(struct tokens *t)
{
	size_t from = t->p;
	while (t->p < t->sql.n) {
		if (is_space(at(t, t->p))) {
			t->p++;
		} else if (at(t, t->p) == '-' && at(t, t->p + 1) == '-') {
			while (t->p < t->sql.n && at(t, t->p) != '\n')
				t->p++;
		} else if (comment_starts(t, t->p)) {
			t->p = skip_comment(t, t->p);
		} else {
			break;
		}
	}
	return str_find_char(str_sub(t->sql, from, t->p - from), '\n') < t->p - from;
}

/* Past the closing mark; a doubled mark is one inside. */
static size_t quoted_end(const struct tokens *t, size_t i, bool backslash)
{
	char mark = at(t, i);
	for (i++; i < t->sql.n; i++) {
		if (backslash && at(t, i) == '\\')
			i++;
		else if (at(t, i) == mark && at(t, i + 1) == mark)
			i++;
		else if (at(t, i) == mark)
			return i + 1;
	}
	return t->sql.n;
}

/* $$text$$ or $tag$text$tag$; i itself where there is none. */
static size_t dollar_end(const struct tokens *t, size_t i)
{
	size_t n = i + 1;
	while (is_word(at(t, n)) || (n > i + 1 && is_digit(at(t, n))))
		n++;
	if (at(t, n) != '$')
		return i;
	struct str tag = str_sub(t->sql, i, n + 1 - i), rest = str_sub(t->sql, n + 1, t->sql.n);
	size_t close = str_find(rest, tag);
	return close == rest.n ? t->sql.n : n + 1 + close + tag.n;
}

static size_t number_end(const struct tokens *t, size_t i)
{
	while (is_digit(at(t, i)) || is_word(at(t, i)) || at(t, i) == '.' ||
	       ((at(t, i) == '+' || at(t, i) == '-') && (at(t, i - 1) | 32) == 'e'))
		i++;
	return i;
}

bool token_next(struct tokens *t, struct token *out)
{
	bool newline = skip_space(t);
	size_t i = t->p, end = i + 1;
	char c = at(t, i);

	if (i >= t->sql.n)
		return false;
	*out = (struct token){ .kind = TOKEN_MARK, .at = i, .after_newline = newline };
	if (is_word(c)) {
		out->kind = TOKEN_WORD;
		while (is_word(at(t, end)) || is_digit(at(t, end)) || at(t, end) == '$')
			end++;
		if (at(t, end) == '\'') {
			out->kind = TOKEN_STRING;
			end = quoted_end(t, end, end == i + 1 && (c | 32) == 'e');
		}
	} else if (c == '\'') {
		out->kind = TOKEN_STRING;
		end = quoted_end(t, i, t->backslash);
	} else if (c == '"') {
		out->kind = TOKEN_QUOTED;
		end = quoted_end(t, i, false);
	} else if (is_digit(c) || (c == '.' && is_digit(at(t, i + 1)))) {
		out->kind = TOKEN_NUMBER;
		end = number_end(t, end);
	} else if (c == '$' && dollar_end(t, i) > i) {
		out->kind = TOKEN_STRING;
		end = dollar_end(t, i);
	} else if (is_operator(c)) {
		out->kind = TOKEN_OPERATOR;
		while (is_operator(at(t, end)) && !comment_starts(t, end))
			end++;
	}
	out->text = str_sub(t->sql, i, end - i);
	t->p = i + out->text.n;
	return true;
}

static bool is_semicolon(const struct token *t)
{
	return t->kind == TOKEN_MARK && t->text.p[0] == ';';
}

struct str sql_body(struct str sql)
{
	struct tokens t = { .sql = sql };
	struct token token;
	size_t to = 0;
	while (token_next(&t, &token))
		if (!is_semicolon(&token))
			to = token.at + token.text.n;
	return str_sub(sql, 0, to);
}

void sql_digest_add(struct sha256_state *s, struct str sql)
{
	struct tokens t = { .sql = sql_body(sql) };
	struct token token;
	enum token_kind before = TOKEN_MARK;
	while (token_next(&t, &token)) {
		bool joined = token.kind == TOKEN_STRING && before == TOKEN_STRING && token.after_newline;
		uint8_t head[9] = { (uint8_t)((unsigned)token.kind | (joined ? 0x80u : 0u)) };
		for (unsigned i = 0; i < 8; i++)
			head[1 + i] = (uint8_t)((uint64_t)token.text.n >> (8 * i));
		sha256_add(s, head, sizeof head);
		sha256_add_str(s, token.text);
		before = token.kind;
	}
}

/* The token is this name, quoted or not. */
static bool token_is_name(const struct token *t, struct str name)
{
	struct str text = t->text;
	if (t->kind == TOKEN_QUOTED && text.n >= 2)
		text = str_sub(text, 1, text.n - 2);
	else if (t->kind != TOKEN_WORD)
		return false;
	return str_eq_nocase(text, name);
}

size_t sql_find_table(struct str sql, struct str schema, struct str table)
{
	struct tokens t = { .sql = sql };
	struct token token[3] = { 0 };
	while (token_next(&t, &token[2])) {
		bool dotted = token[1].kind == TOKEN_MARK && token[1].text.p[0] == '.';
		if (token_is_name(&token[2], table)) {
			if (schema.n == 0 && !dotted)
				return token[2].at;
			if (schema.n > 0 && dotted && token[0].kind && token_is_name(&token[0], schema))
				return token[0].at;
		}
		token[0] = token[1];
		token[1] = token[2];
	}
	return sql.n;
}

void sql_position(struct str sql, size_t position, unsigned *line, unsigned *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < position && i < sql.n; i++)
		if (sql.p[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)sql.p[i] & 0xc0) != 0x80) {
			++*column;
		}
}
