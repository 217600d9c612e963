/* SQL text as tokens, just deep enough for three questions: did the meaning of a text change (comments and white space do
 * not count), where does it end (without comments and semicolons behind it), where does it name a table. What is not
 * understood stays text, so that a doubt makes a model stale, never wrongly fresh. */
#ifndef SLUICE_REFINE_MODEL_TOKEN_H
#define SLUICE_REFINE_MODEL_TOKEN_H

#include "base/hash.h"
#include "base/str.h"

enum token_kind {
	TOKEN_WORD = 1, /* also bytes of other alphabets */
	TOKEN_QUOTED,   /* "name" */
	TOKEN_STRING,   /* 'text', with its prefix if one sticks to it: e'..', x'..'; $tag$text$tag$ */
	TOKEN_NUMBER,
	TOKEN_OPERATOR, /* a run of operator characters */
	TOKEN_MARK      /* one of ( ) [ ] { } , ; . and whatever else */
};
struct token {
	enum token_kind kind;
	struct str text;
	size_t at;
	bool after_newline; /* since the token before: SQL joins two strings then, and only then */
};
struct tokens {
	struct str sql;
	size_t p;
	bool backslash; /* 'it\'s' is one text, as Spark reads it */
};
bool token_next(struct tokens *t, struct token *out); /* false: the end */

/* Up to the last token that is no semicolon; empty if there is none. */
struct str sql_body(struct str sql);
void sql_digest_add(struct sha256_state *s, struct str sql);
/* Where `schema.table` stands first, in bytes; sql.n if nowhere. An empty schema: the table's name alone. */
size_t sql_find_table(struct str sql, struct str schema, struct str table);
/* From 1; columns count characters. */
void sql_position(struct str sql, size_t at, unsigned *line, unsigned *column);

#endif
