#include "ingest/rate.h"

#include "case.h"

#include <stdlib.h>

/* ── what servers say ── */

static void check_wait(const struct test_case *c, const struct case_line *l, bool has, int64_t wait)
{
	if (str_eq_z(l->value, "none")) {
		if (has)
			CASE_FAIL(c, l, "%lld", (long long)wait);
		return;
	}
	int64_t want = 0;
	if (!str_to_i64(l->value, &want))
		CASE_FAIL(c, l, "no number of microseconds");
	if (!has || want != wait)
		CASE_FAIL(c, l, "has %d: %lld", has, (long long)wait);
}

static void run_case(const struct test_case *c, struct arena *a)
{
	int64_t wall = INT64_C(1700000000000000), wait = -1;
	struct {
		struct http_header *v;
		size_t n, cap;
	} list = { 0 };
	for (size_t i = 0; i < c->n; i++) {
		const struct case_line *l = &c->v[i];
		struct http_exchange x = { .headers = list.v, .n_headers = list.n };
		bool has;
		if (l->kind == ':' && str_eq_z(l->key, "wall")) {
			if (!us_from_rfc3339(l->value, &wall, NULL))
				CASE_FAIL(c, l, "no time");
		} else if (l->kind == ':') {
			*arena_push(a, list) = (struct http_header){ l->key, l->value };
		} else if (str_eq_z(l->key, "retry")) {
			has = retry_after_us(&x, wall, &wait);
			check_wait(c, l, has, wait);
		} else {
			has = rate_headers_wait_us(&x, wall, &wait);
			check_wait(c, l, has, wait);
		}
	}
}

static void cases_hold(void **state)
{
	struct arena a = ARENA_INIT;
	struct case_file f = case_open(TEST_DATA "/ingest/rate/headers.txt", &a);
	struct test_case c;
	size_t n = 0;
	(void)state;
	for (; case_next(&f, &a, &c); n++)
		run_case(&c, &a);
	assert_true(n > 25);
	arena_free(&a);
}

/* ── GCRA ── */

static uint64_t random_state = 7;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static struct source source_of(uint32_t requests, int64_t per_us, uint32_t burst)
{
	return (struct source){ .has_rate = true, .rate_requests = requests, .rate_per_us = per_us, .rate_burst = burst };
}

/* Whatever a server writes: an answer within bounds, and no byte read outside. */
static void any_header_is_survived(void **state)
{
	static const char *const names[] = { "Retry-After", "Date", "RateLimit", "X-RateLimit-Remaining", "X-RateLimit-Reset" };
	static const char bytes[] = "0123456789999 .,;=\"\\rtZTGM:-remaining=reset=";
	(void)state;
	for (unsigned round = 0; round < 30000; round++) {
		struct http_header h[COUNT(names)];
		struct http_exchange x = { .headers = h, .n_headers = COUNT(names) };
		for (size_t i = 0; i < COUNT(names); i++) {
			size_t n = 1 + random_below(30);
			char *p = malloc(n);
			for (size_t k = 0; k < n; k++)
				p[k] = bytes[random_below(sizeof bytes - 1)];
			if (i == 3)
				p[0] = '0', n = 1;
			h[i] = (struct http_header){ str_from(names[i]), { p, n } };
		}
		int64_t wait = 0;
		if (retry_after_us(&x, INT64_C(1700000000000000), &wait))
			assert_true(wait >= 0 && wait <= SERVER_WAIT_MAX_US);
		if (rate_headers_wait_us(&x, INT64_C(1700000000000000), &wait))
			assert_true(wait >= 0 && wait <= SERVER_WAIT_MAX_US);
		for (size_t i = 0; i < COUNT(names); i++)
			free((char *)(uintptr_t)h[i].value.p);
	}
}

enum { STARTS = 400 };

/* Never more than burst + elapsed * rate in any window, whenever the requests come. */
static void never_above_the_rate(void **state)
{
	static int64_t at[STARTS];
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		uint32_t requests = 1 + (uint32_t)random_below(100), burst = 1 + (uint32_t)random_below(20);
		int64_t per = 1000 + (int64_t)random_below(10 * US_PER_SECOND), now = (int64_t)random_below(1u << 30);
		struct source s = source_of(requests, per, burst);
		struct rate r;
		rate_init(&r, &s, now);
		for (size_t i = 0; i < STARTS; i++) {
			now += random_below(3) ? 0 : (int64_t)random_below((uint64_t)(3 * per / requests + 1));
			int64_t wait = rate_wait_us(&r, now);
			assert_true(wait >= 0);
			if (wait > 0) {
				assert_true(rate_wait_us(&r, now + wait - 1) > 0); /* not later than need be */
				now += wait;
			}
			assert_int_equal(rate_wait_us(&r, now), 0);
			rate_take(&r, now);
			at[i] = now;
		}
		for (size_t i = 0; i < STARTS; i++)
			for (size_t k = i; k < STARTS; k++) {
				__extension__ __int128 allowed = (__int128)(at[k] - at[i]) * requests + (__int128)burst * per;
				assert_true((__int128)(k - i + 1) * per <= allowed);
			}
		assert_int_equal(r.taken, STARTS);
	}
}

/* Always work to do, waits rounded up to whole milliseconds and 0 to 1 ms late: the rate is used to the full. */
static void used_to_the_full(void **state)
{
	static const uint32_t rates[] = { 1, 3, 7, 50, 99, 333 };
	(void)state;
	for (size_t i = 0; i < COUNT(rates); i++) {
		struct source s = source_of(rates[i], US_PER_SECOND, 2);
		struct rate r;
		const int64_t end = 100 * (int64_t)US_PER_SECOND;
		int64_t now = 0;
		rate_init(&r, &s, now);
		while (now < end) {
			int64_t wait = rate_wait_us(&r, now);
			if (wait > 0)
				now += (wait + 999) / 1000 * 1000 + (int64_t)random_below(1000);
			else
				rate_take(&r, now);
		}
		assert_true(r.taken * 100 >= (uint64_t)rates[i] * 100 * 98);
		assert_true(r.taken <= (uint64_t)rates[i] * 100 + 2);
	}
}

/* With a burst of 1 each start is late by a part of a microsecond that is never made good; from 2 on nothing is lost. */
static void exact_for_years(void **state)
{
	struct source s = source_of(3, US_PER_SECOND, 2);
	struct rate r;
	int64_t now = INT64_C(1) << 58; /* whatever the machine's uptime */
	(void)state;
	rate_init(&r, &s, now);
	int64_t begin = now;
	for (unsigned i = 0; i < 3000000; i++) {
		now += rate_wait_us(&r, now);
		rate_take(&r, now);
	}
	int64_t ideal = (INT64_C(3000000) - 1) * US_PER_SECOND / 3;
	assert_true(now - begin >= ideal - US_PER_SECOND / 3);
	assert_true(now - begin <= ideal + 100);
}

static void idle_time_is_worth_a_burst_and_no_more(void **state)
{
	struct source s = source_of(10, US_PER_SECOND, 4);
	struct rate r;
	(void)state;
	rate_init(&r, &s, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(rate_wait_us(&r, 1000000), 0);
		rate_take(&r, 1000000);
	}
	assert_int_equal(rate_wait_us(&r, 1000000), 100000);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(rate_wait_us(&r, 900 * (int64_t)US_PER_SECOND), 0);
		rate_take(&r, 900 * (int64_t)US_PER_SECOND);
	}
	assert_true(rate_wait_us(&r, 900 * (int64_t)US_PER_SECOND) > 0);
}

static void extremes_do_not_overflow(void **state)
{
	struct source s = source_of(1, INT64_C(100) * 366 * 86400 * US_PER_SECOND, 100000);
	struct rate r;
	(void)state;
	rate_init(&r, &s, 0);
	for (unsigned i = 0; i < 10; i++) {
		rate_take(&r, 0);
		assert_true(rate_wait_us(&r, 0) >= 0);
	}
	s.rate_requests = 1000000;
	s.rate_per_us = 1000;
	rate_init(&r, &s, INT64_MAX / 2);
	rate_take(&r, INT64_MAX / 2 + 1);
	assert_true(rate_wait_us(&r, INT64_MAX / 2 + 1) == 0); /* a burst of 100,000 */
}

static void server_hints_only_hold_back(void **state)
{
	struct source s = source_of(10, US_PER_SECOND, 1), free = { 0 };
	struct rate r;
	(void)state;
	rate_init(&r, &s, 1000);
	rate_take(&r, 1000);
	rate_hold(&r, 2000);
	assert_int_equal(rate_wait_us(&r, 1000), 100000);
	rate_hold(&r, 5001000);
	assert_int_equal(rate_wait_us(&r, 1000), 5000000);
	rate_hold(&r, 4000000);
	assert_int_equal(rate_wait_us(&r, 1000), 5000000);
	assert_int_equal(rate_wait_us(&r, 5001000), 0);
	assert_int_equal(r.held_by_server, 2);
	rate_init(&r, &free, 0);
	assert_int_equal(rate_wait_us(&r, 0), 0);
	rate_take(&r, 0);
	assert_int_equal(rate_wait_us(&r, 0), 0);
	rate_hold(&r, 7);
	assert_int_equal(rate_wait_us(&r, 0), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases_hold),
		cmocka_unit_test(any_header_is_survived),
		cmocka_unit_test(never_above_the_rate),
		cmocka_unit_test(used_to_the_full),
		cmocka_unit_test(exact_for_years),
		cmocka_unit_test(idle_time_is_worth_a_burst_and_no_more),
		cmocka_unit_test(extremes_do_not_overflow),
		cmocka_unit_test(server_hints_only_hold_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
