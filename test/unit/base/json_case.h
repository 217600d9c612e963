/* Case files: lines of fields between tabs, bytes that are no plain text as <HH>, '#' lines are remarks. */
#ifndef SLUICE_TEST_JSON_CASE_H
#define SLUICE_TEST_JSON_CASE_H

#include "unit.h"

#include <stdlib.h>

struct case_file {
	FILE *f;
	char line[8192];
	char *fields[8];
	size_t n_fields, n_lines;
};

static inline void case_open(struct case_file *c, const char *name)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
	c->f = fopen(path, "r");
	c->n_lines = 0;
	if (!c->f)
		fail_msg("cannot open %s", path);
}

/* False at the end; the file is closed then. */
static inline bool case_next(struct case_file *c)
{
	char *p;

	do {
		if (!fgets(c->line, sizeof c->line, c->f)) {
			fclose(c->f);
			assert_true(c->n_lines > 0);
			return false;
		}
	} while (c->line[0] == '#' && c->line[1] == ' ');
	c->n_lines++;
	c->line[strcspn(c->line, "\n")] = '\0';
	c->n_fields = 0;
	p = c->line;
	do {
		assert_true(c->n_fields < COUNT(c->fields));
		c->fields[c->n_fields++] = p;
		p = strchr(p, '\t');
		if (p)
			*p++ = '\0';
	} while (p);
	return true;
}

/* In place: <HH> becomes the byte. */
static inline struct str case_bytes(char *text)
{
	char *to = text;

	for (const char *p = text; *p;) {
		char digits[3] = { 0 }, *end;

		if (p[0] == '<' && p[1] && p[2] && p[3] == '>') {
			memcpy(digits, p + 1, 2);
			*to++ = (char)strtol(digits, &end, 16);
			assert_true(*end == '\0');
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	return (struct str){ text, (size_t)(to - text) };
}

/* The same bytes in a block of their very size, so that ASan sees each byte read beyond. Free with free(). */
static inline struct str case_exact(struct str s)
{
	char *p = malloc(s.n ? s.n : 1);

	assert_non_null(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

/* A pseudo-random number that is the same everywhere (xorshift64*). */
static inline uint64_t case_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

/* Documents with everything in them, to be cut and mutated. */
static const char *const case_samples[] = {
	"{\"data\":[{\"year\":2013,\"dep_time\":null,\"tailnum\":\"N14228\",\"ok\":true,\"late\":false,"
	"\"time_hour\":\"2013-01-01T10:00:00Z\",\"x\":-1.25e-7}],\"meta\":{\"next\":\"/p?c=2\",\"total\":336776}}",
	"[ 1 , -0 , 0.5 , 1e10 , 1E+2 , 123456789012345678901234567890 , [ ] , { } , [ [ [ ] ] ] ]",
	"{\"a\\u00e9\\ud83d\\ude00\":\"tab\\t quote\\\" slash\\/ back\\\\ \\b\\f\\n\\r\","
	"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\":"
	"\"a long text without any escape in it, longer than two blocks \xe2\x80\xa6 \xc3\xbc\"}",
	"\n{\n    \"k\" : [\n        true,\n        false,\n        null\n    ],\r\n\t\"\" : {\"\":{\"\":[\"\"]}}\n}\n",
	"[[[[[[[[[[[[[[[[[[{\"a\":[{\"b\":[1,2,{\"c\":3}]}]}]]]]]]]]]]]]]]]]]]",
	"\"only a string \\u0000 \xed\x9f\xbf\"",
};

#endif
