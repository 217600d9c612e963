#include "ingest/retry.h"

#include "case.h"

#include <stdlib.h>

static const char *const CLASSES[] = { "page", "redirect", "retry", "busy", "fail" };

static enum err_code code_of(struct str name)
{
	for (unsigned i = 0; i < ERR_COUNT; i++)
		if (str_eq_z(name, err_name((enum err_code)i)))
			return (enum err_code)i;
	fail_msg("no such error: %.*s", STR_ARG(name));
	return ERR_NONE;
}

static void check_class(const struct test_case *c, const struct case_line *l, enum answer_class class,
			const struct err *why)
{
	struct str rest = l->value, code = STR_NONE;
	if (!str_eq_z(l->key, CLASSES[class]))
		CASE_FAIL(c, l, "%s: %s", CLASSES[class], why->message);
	if (class == ANSWER_PAGE || class == ANSWER_REDIRECT) {
		assert_int_equal(why->code, ERR_NONE);
		return;
	}
	str_cut(&rest, ' ', &code);
	if (!str_eq_z(code, err_name(why->code)))
		CASE_FAIL(c, l, "%s: %s", err_name(why->code), why->message);
	if (rest.n > 0 && !str_eq_z(rest, why->message))
		CASE_FAIL(c, l, "%s", why->message);
}

static void run_case(const struct test_case *c, struct arena *a)
{
	struct http_request q = { .method = STR("GET"), .url = STR("http://api.example/flights") };
	struct str target = STR("/flights?page=2"), raw = STR_NONE;
	enum err_code fail = ERR_NONE;
	for (size_t i = 0; i < c->n; i++) {
		const struct case_line *l = &c->v[i];
		struct err why = ERR_INIT;
		if (l->kind == '>') {
			struct str rest = l->value;
			str_cut(&rest, ' ', &q.method);
			target = rest;
		} else if (l->kind == ':' && str_eq_z(l->key, "ended by")) {
			fail = code_of(l->value);
		} else if (l->kind == '<') {
			raw = case_answer(c, &i, a);
			i--;
		} else if (l->kind == '=') {
			struct http_exchange *x = exchange_of(raw, fail, &q);
			check_class(c, l, answer_classify(x, q.method, target, &why), &why);
			http_exchange_free(x);
		}
	}
}

static void answers_are_classified(void **state)
{
	struct arena a = ARENA_INIT;
	struct case_file f = case_open(TEST_DATA "/ingest/retry/answers.txt", &a);
	struct test_case c;
	size_t n = 0;
	(void)state;
	for (; case_next(&f, &a, &c); n++)
		run_case(&c, &a);
	assert_true(n > 30);
	arena_free(&a);
}

/* ── when to ask again ── */

static const struct retry_policy POLICY = {
	.attempts = 6, .first_us = 500000, .max_us = 4000000, .wait_max_us = 300 * (int64_t)US_PER_SECOND,
};

static struct err failure(enum err_code code, const char *text)
{
	struct err e = ERR_INIT;
	err_set(&e, code, "%s", text);
	return e;
}

static void pauses_are_uniform_and_double(void **state)
{
	static const int64_t bounds[] = { 500000, 1000000, 2000000, 4000000, 4000000 };
	int64_t sum[5] = { 0 }, least[5], most[5] = { 0 };
	enum { ROUNDS = 4000 };
	struct err why = failure(ERR_RESET, "reset"), e;
	(void)state;
	for (size_t k = 0; k < 5; k++)
		least[k] = INT64_MAX;
	for (uint64_t seed = 0; seed < ROUNDS; seed++) {
		struct retry r = { .random = seed };
		for (size_t k = 0; k < 5; k++) {
			int64_t pause = -1;
			assert_true(retry_next(&r, &POLICY, ANSWER_RETRY, &why, -1, &pause, &e));
			assert_true(pause >= 0 && pause <= bounds[k]);
			sum[k] += pause;
			least[k] = pause < least[k] ? pause : least[k];
			most[k] = pause > most[k] ? pause : most[k];
		}
		int64_t pause;
		assert_false(retry_next(&r, &POLICY, ANSWER_RETRY, &why, -1, &pause, &e));
		assert_string_equal(e.message, "after 6 attempts: reset");
		assert_int_equal(e.code, ERR_RESET);
	}
	for (size_t k = 0; k < 5; k++) {
		assert_true(llabs(sum[k] / ROUNDS - bounds[k] / 2) < bounds[k] / 40);
		assert_true(least[k] < bounds[k] / 100);
		assert_true(most[k] > bounds[k] - bounds[k] / 100);
	}
}

static void same_seed_same_pauses(void **state)
{
	struct retry a = { .random = 42 }, b = { .random = 42 }, c = { .random = 43 };
	struct err why = failure(ERR_RESET, "reset"), e;
	int64_t pa, pb, pc;
	(void)state;
	assert_true(retry_next(&a, &POLICY, ANSWER_RETRY, &why, -1, &pa, &e));
	assert_true(retry_next(&b, &POLICY, ANSWER_RETRY, &why, -1, &pb, &e));
	assert_true(retry_next(&c, &POLICY, ANSWER_RETRY, &why, -1, &pc, &e));
	assert_int_equal(pa, pb);
	assert_int_not_equal(pa, pc);
}

static void first_cause_is_told(void **state)
{
	struct retry r = { 0 };
	struct retry_policy p = POLICY;
	struct err first = failure(ERR_RESET, "GET /a: the connection broke off"), last = failure(ERR_HTTP_BUSY, "503"), e;
	int64_t pause;
	(void)state;
	p.attempts = 3;
	err_hint(&last, "do this");
	assert_true(retry_next(&r, &p, ANSWER_RETRY, &first, -1, &pause, &e));
	assert_true(retry_next(&r, &p, ANSWER_RETRY, &last, -1, &pause, &e));
	assert_false(retry_next(&r, &p, ANSWER_RETRY, &last, -1, &pause, &e));
	assert_string_equal(e.message, "after 3 attempts: last: 503; first: GET /a: the connection broke off");
	assert_int_equal(e.code, ERR_HTTP_BUSY);
	assert_string_equal(e.hint, "do this");
	assert_int_equal(r.attempts, 3);
}

static void one_attempt_means_no_retry(void **state)
{
	struct retry r = { 0 };
	struct retry_policy p = POLICY;
	struct err why = failure(ERR_TIMEOUT, "too slow"), e;
	int64_t pause;
	(void)state;
	p.attempts = 1;
	assert_false(retry_next(&r, &p, ANSWER_RETRY, &why, -1, &pause, &e));
	assert_string_equal(e.message, "too slow");
}

static void server_waits_are_kept_exactly(void **state)
{
	struct err why = failure(ERR_HTTP_BUSY, "GET /a: 429 Too Many Requests"), e = ERR_INIT;
	int64_t pause;
	(void)state;
	struct retry r = { 0 };
	assert_true(retry_next(&r, &POLICY, ANSWER_BUSY, &why, 1, &pause, &e));
	assert_int_equal(pause, 1);
	assert_true(retry_next(&r, &POLICY, ANSWER_BUSY, &why, 7123456, &pause, &e));
	assert_int_equal(pause, 7123456);
	assert_true(retry_next(&r, &POLICY, ANSWER_RETRY, &why, POLICY.wait_max_us, &pause, &e));
	assert_int_equal(pause, POLICY.wait_max_us);
	/* 0 says nothing about when. */
	int64_t sum = 0;
	for (unsigned i = 0; i < 8; i++) {
		assert_true(retry_next(&r, &POLICY, ANSWER_BUSY, &why, 0, &pause, &e));
		assert_true(pause <= POLICY.max_us);
		sum += pause;
	}
	assert_true(sum > 0);
	assert_int_equal(e.code, ERR_NONE);
}

static void longer_waits_end_it(void **state)
{
	struct retry r = { 0 };
	struct err why = failure(ERR_HTTP_BUSY, "GET /a: 429 Too Many Requests"), e = ERR_INIT;
	int64_t pause;
	(void)state;
	assert_false(retry_next(&r, &POLICY, ANSWER_BUSY, &why, 3600 * (int64_t)US_PER_SECOND, &pause, &e));
	assert_string_equal(e.message, "the API asks to wait 3600 s, `retry.wait_max` is 300 s: "
				       "GET /a: 429 Too Many Requests");
	assert_int_equal(e.code, ERR_HTTP_BUSY);
	r = (struct retry){ 0 };
	e = ERR_INIT;
	assert_false(retry_next(&r, &POLICY, ANSWER_BUSY, &why, POLICY.wait_max_us + 1, &pause, &e));
	assert_true(str_contains(str_from(e.message), STR("asks to wait 301 s")));
}

/* Being turned away is no failure: it does not use up the attempts, but it ends some time. */
static void busy_has_a_bound_of_its_own(void **state)
{
	struct retry r = { 0 };
	struct err busy = failure(ERR_HTTP_BUSY, "429"), reset = failure(ERR_RESET, "reset"), e = ERR_INIT;
	int64_t pause;
	(void)state;
	for (unsigned i = 0; i < 59; i++)
		assert_true(retry_next(&r, &POLICY, ANSWER_BUSY, &busy, 1000, &pause, &e));
	for (unsigned i = 0; i < 5; i++)
		assert_true(retry_next(&r, &POLICY, ANSWER_RETRY, &reset, -1, &pause, &e));
	struct retry other = r;
	assert_false(retry_next(&r, &POLICY, ANSWER_BUSY, &busy, 1000, &pause, &e));
	assert_string_equal(e.message, "after 65 attempts, 60 of them turned away because the API is busy: 429");
	assert_false(retry_next(&other, &POLICY, ANSWER_RETRY, &reset, -1, &pause, &e));
	assert_string_equal(e.message, "after 65 attempts, 59 of them turned away because the API is busy: last: reset; first: 429");
}

static void odd_policies(void **state)
{
	struct retry r = { .random = 9 };
	struct retry_policy p = { .attempts = 100, .first_us = 0, .max_us = 0, .wait_max_us = 0 };
	struct err why = failure(ERR_RESET, "reset"), e = ERR_INIT;
	int64_t pause = -1;
	(void)state;
	assert_true(retry_next(&r, &p, ANSWER_RETRY, &why, -1, &pause, &e));
	assert_int_equal(pause, 0);
	p = (struct retry_policy){ .attempts = 100, .first_us = 1, .max_us = INT64_C(1) << 61, .wait_max_us = 0 };
	for (unsigned i = 0; i < 98; i++) {
		assert_true(retry_next(&r, &p, ANSWER_RETRY, &why, -1, &pause, &e));
		assert_true(pause >= 0 && pause <= p.max_us);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_classified),
		cmocka_unit_test(pauses_are_uniform_and_double),
		cmocka_unit_test(same_seed_same_pauses),
		cmocka_unit_test(first_cause_is_told),
		cmocka_unit_test(one_attempt_means_no_retry),
		cmocka_unit_test(server_waits_are_kept_exactly),
		cmocka_unit_test(longer_waits_end_it),
		cmocka_unit_test(busy_has_a_bound_of_its_own),
		cmocka_unit_test(odd_policies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
