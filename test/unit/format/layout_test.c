#include "world.h"

#include "format/layout.h"

static void keys(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct str p = STR("flights"), r = STR("airlines"), w = STR("20130101T050000Z_20130102T050000Z");
	struct str resource = key_resource(p, r, &a), window = key_window(resource, w, &a);
	struct str generation = key_generation(window, 12, &a);
	const struct {
		struct str key;
		const char *want;
	} cases[] = {
		{ key_raw_pipeline(p, &a), "raw/flights" },
		{ resource, "raw/flights/airlines" },
		{ key_grid(p, r, 0, &a), "raw/flights/airlines/grid/0.json" },
		{ window, "raw/flights/airlines/20130101T050000Z_20130102T050000Z" },
		{ generation, "raw/flights/airlines/20130101T050000Z_20130102T050000Z/g12" },
		{ key_ledger(STR("g"), &a), "g/ledger" },
		{ key_entry(STR("g"), 0, &a), "g/ledger/00000000000000000000.json" },
		{ key_entry(STR("g"), UINT64_MAX, &a), "g/ledger/18446744073709551615.json" },
		{ key_segment(STR("g"), STR("0-ab.warc.gz"), &a), "g/segments/0-ab.warc.gz" },
		{ key_table(ZONE_PREPARE, p, r, &a), "prepare/flights/airlines" },
		{ key_table(ZONE_QUARANTINE, p, r, &a), "quarantine/flights/airlines" },
		{ key_table(ZONE_REFINE, p, r, &a), "refine/flights/airlines" },
		{ key_run(p, STR("20251009T085320Z-1f3a"), &a), "runs/flights/20251009T085320Z-1f3a" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_text(cases[i].key, cases[i].want);
		assert_true(store_key_ok(cases[i].key));
	}
	arena_free(&a);
}

static void generations(void **unused)
{
	(void)unused;
	static const struct {
		const char *name;
		unsigned want; /* 0: none */
	} cases[] = {
		{ "g1", 1 },  { "g12", 12 }, { "g1000000", 1000000 }, { "g1000001", 0 }, { "g0", 0 },	{ "g01", 0 },
		{ "g", 0 },   { "", 0 },     { "G1", 0 },	      { "g-1", 0 },	 { "g1 ", 0 },	{ "g1x", 0 },
		{ "1", 0 },   { "grid", 0 }, { "g18446744073709551617", 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned g = 0;
		assert_int_equal(generation_from_name(str_from(cases[i].name), &g), cases[i].want != 0);
		assert_int_equal(g, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(keys), cmocka_unit_test(generations) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
