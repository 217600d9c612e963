#include "ingest/page.h"

#include "conversation.h"

#include <stdlib.h>
#include <time.h>

static void pagination(void **state)
{
	(void)state;
	assert_true(converse_all(TEST_DATA "/ingest/page/pagination.txt") > 20);
}

static void bodies(void **state)
{
	(void)state;
	assert_true(converse_all(TEST_DATA "/ingest/page/bodies.txt") > 20);
}

struct one {
	struct arena a;
	struct test_case c;
	struct conversation v;
	struct http_exchange x;
};

static void one_begin(struct one *o)
{
	*o = (struct one){ 0 };
	o->v = conversation_begin(&o->c, &o->a);
	set_url(&o->v, STR("https://api.example/v1"));
	o->v.r.records = STR("data");
	o->v.r.total = STR("meta.total");
	o->v.r.paginate = (struct paginate){ .style = PAGE_CURSOR, .from_path = STR("meta.next"), .param = STR("cursor") };
	build(&o->v);
	o->x = (struct http_exchange){ .status = 200, .head = STR("HTTP/1.1 200 OK\r\n") };
}

static bool one_judge(struct one *o, struct str body, struct page_result *out, struct err *e)
{
	o->x.body = body;
	return page_judge(&o->v.r, &o->x, &o->v.request, &o->v.next, 0, &o->v.decoded, &o->a, out, e);
}

static void one_end(struct one *o)
{
	conversation_end(&o->v);
	arena_free(&o->a);
}

/* A body that was cut anywhere is never a page; neither is one with something behind it. */
static void every_prefix_is_refused(void **state)
{
	static const char text[] = "{\"meta\":{\"total\":2,\"next\":\"a\\u00e9\"},\"data\":[{\"x\":1e5},{\"y\":[true,null]}]}";
	struct one o;
	struct page_result p;
	(void)state;
	one_begin(&o);
	for (size_t n = 1; n < sizeof text - 1; n++) {
		struct err e = ERR_INIT;
		char *copy = malloc(n);
		memcpy(copy, text, n);
		assert_false(one_judge(&o, (struct str){ copy, n }, &p, &e));
		assert_int_equal(e.code, ERR_JSON);
		free(copy);
	}
	struct err e = ERR_INIT;
	assert_true(one_judge(&o, STR(text), &p, &e));
	assert_int_equal(p.records, 2);
	assert_text(p.next.text, "a\xc3\xa9");
	assert_false(one_judge(&o, arena_format(&o.a, "%s{}", text), &p, &e));
	assert_int_equal(e.code, ERR_JSON);
	one_end(&o);
}

static void deep_nesting_is_refused(void **state)
{
	struct one o;
	struct page_result p;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT(1 << 20);
	(void)state;
	one_begin(&o);
	buf_add_z(&b, "{\"data\":");
	for (unsigned i = 0; i < 100000; i++)
		buf_add_char(&b, '[');
	assert_false(one_judge(&o, buf_str(&b), &p, &e));
	assert_int_equal(e.code, ERR_JSON);
	buf_free(&b);
	one_end(&o);
}

static void the_end_by_total_needs_the_exact_count(void **state)
{
	struct page_result p = { .records = 10, .has_total = true, .total = 30,
				 .next = { .kind = NEXT_NUMBER, .number = 4 } };
	(void)state;
	page_settle(10, &p);
	assert_int_equal(p.next.kind, NEXT_NUMBER);
	page_settle(20, &p);
	assert_int_equal(p.next.kind, NEXT_END);
	p.next = (struct page_next){ .kind = NEXT_NUMBER };
	page_settle(UINT64_MAX, &p);
	assert_int_equal(p.next.kind, NEXT_END);
	p.next = (struct page_next){ .kind = NEXT_TEXT, .text = STR("x") };
	page_settle(20, &p);
	assert_int_equal(p.next.kind, NEXT_TEXT);
	p = (struct page_result){ .records = 10, .next = { .kind = NEXT_NUMBER } };
	page_settle(20, &p);
	assert_int_equal(p.next.kind, NEXT_NUMBER);
}

static void long_cursors_are_refused(void **state)
{
	struct one o;
	struct page_result p;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT(1 << 20);
	(void)state;
	one_begin(&o);
	for (unsigned i = 0; i < NEXT_MAX_BYTES; i++)
		buf_add_char(&b, '7');
	struct str digits = buf_str(&b);
	assert_false(one_judge(&o, arena_format(&o.a, "{\"data\":[],\"meta\":{\"next\":\"%.*s\"}}", STR_ARG(digits)), &p, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	e = ERR_INIT;
	assert_false(one_judge(&o, arena_format(&o.a, "{\"data\":[],\"meta\":{\"next\":%.*s7}}", STR_ARG(digits)), &p, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	e = ERR_INIT;
	assert_true(one_judge(&o, arena_format(&o.a, "{\"data\":[],\"meta\":{\"next\":%.*s}}", STR_ARG(digits)), &p, &e));
	buf_free(&b);
	one_end(&o);
}

/* Not a test: SLUICE_BENCH=1 shows the speed of judging in place of the tests. Without secrets, with a plain one, and with
 * one that encoders would change. */
static void speed(void **state)
{
	struct one o;
	struct page_result p;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT(1 << 26);
	struct timespec t0, t1;
	(void)state;
	buf_add_z(&b, "{\"meta\":{\"total\":1000,\"next\":\"abc\"},\"data\":[");
	for (unsigned i = 0; i < 1000; i++)
		buf_addf(&b, "%s{\"year\":2013,\"month\":1,\"day\":%u,\"dep_time\":517,\"sched_dep_time\":515,\"dep_delay\":2,"
			 "\"arr_time\":830,\"sched_arr_time\":819,\"arr_delay\":11,\"carrier\":\"UA\",\"flight\":%u,"
			 "\"tailnum\":\"N14228\",\"origin\":\"EWR\",\"dest\":\"IAH\",\"air_time\":227,\"distance\":1400,"
			 "\"hour\":5,\"minute\":15,\"time_hour\":\"2013-01-01T10:00:00Z\"}", i ? "," : "", i % 28, i);
	buf_add_z(&b, "]}");
	for (unsigned secrets = 0; secrets < 3; secrets++) {
		one_begin(&o);
		struct case_line l = { .value = secrets == 1 ? STR("header X-Key abcdefgh-1234-5678-token") :
							       STR("basic me p/ssw+rd&long enough") };
		if (secrets)
			set_auth(&o.v, &l);
		const unsigned rounds = 2000;
		clock_gettime(CLOCK_MONOTONIC, &t0);
		for (unsigned i = 0; i < rounds; i++) {
			if (!one_judge(&o, buf_str(&b), &p, &e))
				fail_msg("%s", e.message);
			arena_reset(&o.a);
			o.v.r.source = &o.v.source;
		}
		clock_gettime(CLOCK_MONOTONIC, &t1);
		double s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
		printf("# judging, %u: %.0f MB/s (%zu bytes a page)\n", secrets, (double)b.n * rounds / s / 1e6, b.n);
		one_end(&o);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pagination),
		cmocka_unit_test(bodies),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(the_end_by_total_needs_the_exact_count),
		cmocka_unit_test(long_cursors_are_refused),
	};
	const struct CMUnitTest figures[] = { cmocka_unit_test(speed) };
	if (getenv("SLUICE_BENCH"))
		return cmocka_run_group_tests(figures, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
