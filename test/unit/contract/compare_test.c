#include "unit.h"

#include "contract/compare.h"

#define TEXT(properties)                                                                                   \
	"apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n- name: t\n" \
	"  properties:\n  - {name: id, logicalType: integer, primaryKey: true}\n" properties

#define LINES(column)                                                                         \
	"  - {name: lines, logicalType: array, items: {logicalType: object, properties: [" column \
	"]}}\n"

static struct contract *parse(const char *text, struct arena *a)
{
	struct problems p = PROBLEMS_INIT(a);
	struct contract *c = NULL;
	if (!contract_parse("t.yaml", str_from(text), a, &c, &p))
		fail_msg("%u: %.*s", p.v[0].line, STR_ARG(p.v[0].message));
	return c;
}

static const struct {
	const char *old, *new, *changes; /* "kind subject", '!' in front where it rebuilds, ';' between */
} cases[] = {
	{ TEXT(""), TEXT(""), "" },
	{ TEXT(""), TEXT("  - {name: a, logicalType: string}\n"), "column_added a" },
	{ TEXT(""), TEXT("  - {name: a, logicalType: string, logicalTypeOptions: {maxLength: 1}}\n"), "column_added a" },
	{ TEXT(""), TEXT("  - {name: a, logicalType: string, required: true}\n"), "!column_added a" },
	{ TEXT("  - {name: a, logicalType: string}\n"), TEXT(""), "!column_dropped a" },
	{ TEXT("  - {name: a, logicalType: string}\n"),
	  TEXT("  - {name: b, logicalType: string, customProperties: [{property: sluice.path, value: a}]}\n"),
	  "!column_renamed b" },
	{ TEXT("  - {name: a, logicalType: string}\n"), TEXT("  - {name: b, logicalType: string}\n"),
	  "!column_dropped a;column_added b" },
	{ TEXT("  - {name: a, logicalType: string}\n"), TEXT("  - {name: a, logicalType: integer}\n"), "!column_type a" },
	{ TEXT("  - {name: a, logicalType: string}\n"),
	  TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.null, value: NA}]}\n"),
	  "column_reading a" },
	{ TEXT("  - {name: a, logicalType: integer, logicalTypeOptions: {minimum: 1, maximum: 5}}\n"),
	  TEXT("  - {name: a, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 4}}\n"),
	  "rule_widened a.minimum;rule_tightened a.maximum" },
	{ TEXT("  - {name: a, logicalType: integer, logicalTypeOptions: {exclusiveMinimum: 1}}\n"),
	  TEXT("  - {name: a, logicalType: integer, logicalTypeOptions: {minimum: 1}}\n"), "rule_widened a.minimum" },
	{ TEXT("  - {name: a, logicalType: string, logicalTypeOptions: {minLength: 1, maxLength: 5}}\n"),
	  TEXT("  - {name: a, logicalType: string, logicalTypeOptions: {minLength: 2, maxLength: 6}}\n"),
	  "rule_tightened a.min_length;rule_widened a.max_length" },
	{ TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [A, B]}]}\n"),
	  TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [B, C, A]}]}\n"),
	  "rule_widened a.accepted" },
	{ TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [A, B]}]}\n"),
	  TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [B, A]}]}\n"), "" },
	{ TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [A, B]}]}\n"),
	  TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [A]}]}\n"),
	  "rule_tightened a.accepted" },
	{ TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [A, B]}]}\n"),
	  TEXT("  - {name: a, logicalType: string, customProperties: [{property: sluice.accepted, value: [A, C]}]}\n"),
	  "rule_changed a.accepted" },
	{ TEXT("  - {name: a, logicalType: string, logicalTypeOptions: {pattern: a}}\n"),
	  TEXT("  - {name: a, logicalType: string, required: true, logicalTypeOptions: {pattern: b}, customProperties: "
	       "[{property: sluice.actions, value: {pattern: warn}}]}\n"),
	  "rule_added a.required;rule_changed a.pattern;rule_action a.pattern" },
	{ TEXT("  - {name: a, logicalType: string, required: true, logicalTypeOptions: {pattern: a}}\n"),
	  TEXT("  - {name: a, logicalType: string}\n"), "rule_removed a.required;rule_removed a.pattern" },
	{ TEXT("  - {name: a, logicalType: string}\n  - {name: b, logicalType: string}\n"),
	  TEXT("  - {name: b, logicalType: string}\n  - {name: a, logicalType: string}\n"), "column_order t" },
	{ TEXT("  - {name: a, logicalType: string}\n"),
	  TEXT("  - {name: a, logicalType: string, primaryKey: true, primaryKeyPosition: 2}\n"), "!key t" },
	{ TEXT("  - {name: a, logicalType: timestamp}\n"),
	  TEXT("  - {name: a, logicalType: timestamp}\n  customProperties: [{property: sluice.window_column, value: a}, "
	       "{property: sluice.sort, value: id}]\n"),
	  "sort t;window_column t" },
	{ TEXT("  - {name: a, logicalType: timestamp}\n  customProperties: [{property: sluice.window_column, value: a}]\n"),
	  TEXT("  - {name: a, logicalType: timestamp}\n"), "window_column t" },
	{ TEXT(""), TEXT(LINES("{name: x, logicalType: string}")), "child_added t__lines" },
	{ TEXT("  - {name: lines, logicalType: array}\n"), TEXT(LINES("{name: x, logicalType: string}")),
	  "!column_dropped lines;child_added t__lines" },
	{ TEXT(LINES("{name: x, logicalType: string}")), TEXT(""), "child_dropped t__lines" },
	{ TEXT(LINES("{name: x, logicalType: string}")), TEXT(LINES("{name: x, logicalType: integer}")), "!column_type x" },
};

static void changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct buf b = BUF_INIT(1 << 16);
		struct changes c = contract_compare(parse(cases[i].old, &a), parse(cases[i].new, &a), &a);
		bool rebuild = false;
		for (size_t k = 0; k < c.n; k++) {
			bool r = c.v[k].effect == CHANGE_REBUILDS;
			buf_addf(&b, "%s%s%s %.*s", k ? ";" : "", r ? "!" : "", change_kind_name(c.v[k].kind),
				 STR_ARG(c.v[k].subject));
			assert_true(c.v[k].text.n > 0);
			rebuild |= r;
		}
		if (!str_eq_z(buf_str(&b), cases[i].changes))
			fail_msg("case %zu: \"%.*s\" where \"%s\" was expected", i, STR_ARG(buf_str(&b)), cases[i].changes);
		assert_int_equal(c.rebuild, rebuild);
		buf_free(&b);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(changes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
