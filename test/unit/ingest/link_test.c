#include "ingest/link.h"

#include "case.h"

#include <stdlib.h>

static void run_case(const struct test_case *c, struct arena *a)
{
	struct http_exchange x = { 0 };
	struct {
		struct http_header *v;
		size_t n, cap;
	} list = { 0 };
	struct str rel = STR("next"), target = STR_NONE;
	for (size_t i = 0; i < c->n; i++) {
		const struct case_line *l = &c->v[i];
		struct err e = ERR_INIT;
		bool found = false;
		if (l->kind == ':' && str_eq_z(l->key, "rel")) {
			rel = l->value;
			continue;
		}
		if (l->kind == ':') {
			*arena_push(a, list) = (struct http_header){ l->key, l->value };
			continue;
		}
		x.headers = list.v;
		x.n_headers = list.n;
		bool ok = link_find(&x, rel, &target, &found, &e);
		if (str_eq_z(l->key, "malformed")) {
			if (ok || e.code != ERR_HTTP_MALFORMED || !str_contains(str_from(e.message), l->value))
				CASE_FAIL(c, l, "ok %d: %s", ok, e.message);
		} else if (!ok) {
			CASE_FAIL(c, l, "%s", e.message);
		} else if (str_eq_z(l->key, "none")) {
			if (found)
				CASE_FAIL(c, l, "found %.*s", STR_ARG(target));
		} else if (!found || !str_eq(target, l->value)) {
			CASE_FAIL(c, l, "found %d: %.*s", found, STR_ARG(found ? target : STR_NONE));
		}
	}
}

static void cases_hold(void **state)
{
	struct arena a = ARENA_INIT;
	struct case_file f = case_open(TEST_DATA "/ingest/link/rfc8288.txt", &a);
	struct test_case c;
	size_t n = 0;
	(void)state;
	for (; case_next(&f, &a, &c); n++)
		run_case(&c, &a);
	assert_true(n > 25);
	arena_free(&a);
}

/* Whatever comes: an answer, and no byte read outside (the header stands at the end of its memory). */
static void any_prefix_and_any_byte(void **state)
{
	static const char text[] = "<a>; rel=\"x \\\"y\" ; t*=UTF-8''a, <b?c=,;>;rel=next;title=\"<,>\" , <c>; rel";
	static const char bytes[] = "<>\"\\;=, \ta";
	(void)state;
	for (size_t n = 0; n < sizeof text; n++)
		for (size_t k = 0; k < sizeof bytes; k++)
			for (size_t at = 0; at < n; at++) {
				char *p = malloc(n);
				memcpy(p, text, n);
				p[at] = bytes[k];
				struct http_header h = { STR("Link"), { p, n } };
				struct http_exchange x = { .headers = &h, .n_headers = 1 };
				struct str target;
				bool found;
				struct err e = ERR_INIT;
				if (!link_find(&x, STR("next"), &target, &found, &e))
					assert_int_equal(e.code, ERR_HTTP_MALFORMED);
				free(p);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases_hold),
		cmocka_unit_test(any_prefix_and_any_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
