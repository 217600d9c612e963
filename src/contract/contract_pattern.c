/* Patterns: PCRE2, compiled once per process and text, since contracts come and go with their arenas. */
#include "base/check.h"
#include "contract/contract_internal.h"
#include "contract/pattern.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct entry {
	struct entry *next;
	pcre2_code *code;
	size_t n;
	char text[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries; /* few: patterns that contracts of this process name */

/* As ECMA-262, which ODCS names, reads it: `$` is the very end, `\d` and `\w` are ASCII, texts are code points. */
static const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE |
				PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF;

static bool compile(struct rule *r, char *message, size_t message_size)
{
	int code = 0;
	PCRE2_SIZE at = 0;
	uint32_t flags = options;
	/* A back reference needs its group to capture. */
	for (size_t i = 0; i + 1 < r->pattern.n; i++)
		if (r->pattern.p[i] == '\\' && r->pattern.p[i + 1] >= '1' && r->pattern.p[i + 1] <= '9')
			flags &= ~PCRE2_NO_AUTO_CAPTURE;
	pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(r->pattern.p ? r->pattern.p : ""), r->pattern.n, flags, &code,
					     &at, NULL);
	if (!compiled) {
		char reason[160];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
		int n = snprintf(message, message_size, "%s at byte %zu", reason, (size_t)at);
		CHECK(n > 0);
		return false;
	}
	pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* where it cannot, the interpreter does the same */
	struct entry *e = mem_alloc(sizeof *e + r->pattern.n + 1);
	e->code = compiled;
	e->n = r->pattern.n;
	if (e->n > 0)
		memcpy(e->text, r->pattern.p, e->n);
	e->next = entries;
	entries = e;
	r->compiled = compiled;
	return true;
}

bool rule_compile(struct rule *r, char *message, size_t message_size)
{
	CHECK(pthread_mutex_lock(&lock) == 0);
	const struct entry *e = entries;
	while (e && !str_eq((struct str){ e->text, e->n }, r->pattern))
		e = e->next;
	if (e)
		r->compiled = e->code;
	bool ok = e || compile(r, message, message_size);
	CHECK(pthread_mutex_unlock(&lock) == 0);
	return ok;
}
