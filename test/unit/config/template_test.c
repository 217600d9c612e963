#include "unit.h"

#include "config/pipeline.h"
#include "config/yaml.h"

static const struct zone *zone_of(const char *name, struct arena *a)
{
	const struct zone *z = NULL;
	struct err e = ERR_INIT;
	if (!zone_load(str_from(name), a, &z, &e))
		fail_msg("%s", e.message);
	return z;
}

static struct window window_of(const char *name)
{
	struct window w = { 0 };
	if (!window_from_name(str_from(name), &w))
		fail_msg("no window: %s", name);
	return w;
}

static void filled(void **state)
{
	static const struct { const char *window, *zone, *text, *want; } cases[] = {
		{ "20130101T050000Z_20130102T050000Z", "America/New_York", "{window.from:date}/{window.last:date}",
		  "2013-01-01/2013-01-01" },
		{ "20130101T050000Z_20130102T050000Z", "America/New_York", "{window.to:date}", "2013-01-02" },
		{ "20130101T050000Z_20130102T050000Z", "UTC", "{window.from:datetime}", "2013-01-01T05:00:00Z" },
		{ "20130101T050000Z_20130102T050000Z", "America/New_York", "{window.last:datetime}",
		  "2013-01-02T04:59:59Z" },
		{ "20130101T050000Z_20130102T050000Z", "America/New_York", "{window.to:%Y%m%d %H:%M}", "20130102 00:00" },
		{ "20130101T050000Z_20130102T050000Z", "UTC", "{window.from:epoch_s}-{window.to:epoch_ms}",
		  "1357016400-1357102800000" },
		/* the day of 23 hours and that of 25: the last day is the day itself */
		{ "20130310T050000Z_20130311T040000Z", "America/New_York", "{window.last:date}", "2013-03-10" },
		{ "20131103T040000Z_20131104T050000Z", "America/New_York", "{window.last:date}", "2013-11-03" },
		/* an hour, a month, the first day of a year, before 1970 */
		{ "20130101T000000Z_20130101T010000Z", "UTC", "{window.last:date}", "2013-01-01" },
		{ "20130201T000000Z_20130301T000000Z", "UTC", "{window.last:%d.%m.%Y}", "28.02.2013" },
		{ "20121231T000000Z_20130101T000000Z", "UTC", "{window.last:date}", "2012-12-31" },
		{ "19691231T000000Z_19700101T000000Z", "UTC", "{window.last:epoch_s} {window.from:epoch_ms}",
		  "-1 -86400000" },
		{ "20130101T000000Z_20130102T000000Z", "UTC", "{{x}} }}{{", "{x} }{" },
		{ "20130101T000000Z_20130102T000000Z", "UTC", "", "" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct problems p = PROBLEMS_INIT(&a);
		struct yaml_node at = { .type = YAML_SCALAR, .file = "t", .line = 1, .column = 1,
					.text = str_from(cases[i].text) };
		struct template t;
		struct window w = window_of(cases[i].window);
		assert_true(template_parse(at.text, &at, &a, &t, &p));
		assert_text(template_fill(&t, &w, zone_of(cases[i].zone, &a), &a), cases[i].want);
		assert_text(t.source, cases[i].text);
		arena_free(&a);
	}
}

static void json_literals(void **state)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);
	struct yaml_node at = { .type = YAML_SCALAR, .file = "t", .line = 1, .column = 1,
				.text = STR("say \"{window.from:date}\"\n\\") };
	struct window w = window_of("20130101T000000Z_20130102T000000Z");
	struct template t;
	(void)state;
	assert_true(template_parse_json(at.text, &at, &a, &t, &p));
	assert_text(template_fill(&t, &w, NULL, &a), "say \\\"2013-01-01\\\"\\n\\\\");
	arena_free(&a);
}

static void names(void **state)
{
	static const char *const bad[] = {
		"", "20130101T050000Z", "20130101T050000Z_20130101T050000Z", "20130102T050000Z_20130101T050000Z",
		"20130101T050000Z-20130102T050000Z", "20130101T050000Z_20130102T050000Z/", "20131301T050000Z_20140102T050000Z",
	};
	struct arena a = ARENA_INIT;
	struct window w = window_of("20130101T050000Z_20130102T050000Z");
	(void)state;
	assert_text(window_name(w, &a), "20130101T050000Z_20130102T050000Z");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(window_from_name(str_from(bad[i]), &w));
	static const struct { const char *name; bool ok; } cases[] = {
		{ "a", true }, { "flights_2013", true }, { "a__b", true }, { "", false }, { "_a", false }, { "1a", false },
		{ "A", false }, { "a-b", false }, { "a/b", false }, { "..", false }, { "\xc3\xa9", false },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(name_ok(str_from(cases[i].name)), cases[i].ok);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filled), cmocka_unit_test(json_literals), cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
