#include "unit.h"

#include "base/file.h"
#include "contract/batch.h"
#include "contract/contract.h"

#include <dirent.h>
#include <stdlib.h>

#define HEAD "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n"

static void show(const struct problems *p)
{
	struct buf b = BUF_INIT(1 << 20);
	problems_print(p, &b);
	fprintf(stderr, "%.*s", STR_ARG(buf_str(&b)));
	buf_free(&b);
}

static struct contract *parse(const char *text, struct arena *a)
{
	struct problems p = PROBLEMS_INIT(a);
	struct contract *c = NULL;
	if (!contract_parse("t.yaml", str_from(text), a, &c, &p)) {
		show(&p);
		fail_msg("the contract was refused");
	}
	return c;
}

/* ── the examples ── */

static void examples_load(void **state)
{
	static const struct {
		const char *name;
		size_t n_columns, n_key, n_relationships;
	} tables[] = { { "flights", 19, 3, 3 }, { "weather", 15, 2, 0 }, { "airlines", 2, 1, 0 },
		       { "airports", 8, 1, 0 }, { "planes", 9, 1, 0 } };
	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++) {
		struct arena a = ARENA_INIT;
		struct problems p = PROBLEMS_INIT(&a);
		struct contract *c = NULL, *again = NULL;
		struct err e = ERR_INIT;
		if (!contract_find(STR(TEST_DATA "/../../examples/nycflights"), str_from(tables[i].name), &a, &c, &p))
			show(&p);
		assert_non_null(c);
		assert_text(c->name, tables[i].name);
		assert_int_equal(c->n_columns, tables[i].n_columns);
		assert_int_equal(c->n_key, tables[i].n_key);
		assert_int_equal(c->n_relationships, tables[i].n_relationships);
		assert_false(c->draft);
		if (!contract_from_canonical(c->canonical, &a, &again, &e))
			fail_msg("%s", e.message);
		assert_true(str_eq(c->canonical, again->canonical));
		assert_true(sha256_eq(c->meaning, again->meaning));
		arena_free(&a);
	}
}

static void flights_is_as_written(void **state)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);
	struct contract *c = NULL;
	(void)state;
	assert_true(contract_find(STR(TEST_DATA "/../../examples/nycflights"), STR("flights"), &a, &c, &p));
	assert_text(c->columns[c->key[0]].name, "time_hour");
	assert_text(c->columns[c->key[1]].name, "carrier");
	assert_text(c->columns[c->key[2]].name, "flight");
	assert_text(c->columns[c->window_column].name, "time_hour");
	assert_int_equal(c->n_sort, 3);
	size_t delay = contract_column(c, STR("dep_delay")), tail = contract_column(c, STR("tailnum"));
	const struct rule *low = &c->rules[contract_rule(c, RULE_MINIMUM, delay)];
	assert_int_equal(low->bound.i64, -60);
	assert_int_equal(low->action, ACTION_QUARANTINE);
	assert_text(low->id, "dep_delay.minimum");
	assert_int_equal(c->rules[contract_rule(c, RULE_PATTERN, tail)].action, ACTION_WARN);
	assert_int_equal(c->rules[contract_rule(c, RULE_MAX_LENGTH, tail)].action, ACTION_QUARANTINE);
	assert_text(c->relationships[1].column, "tailnum");
	assert_text(c->relationships[1].to_table, "planes");
	assert_int_equal(c->relationships[1].action, ACTION_WARN);
	assert_true(c->budget_percent == 1.0);
	assert_int_equal(contract_column(c, STR("nothing")), SIZE_MAX);
	for (size_t i = 1; i < c->n_columns; i++)
		assert_true(str_cmp(c->columns[c->by_name[i - 1]].name, c->columns[c->by_name[i]].name) < 0);
	arena_free(&a);
}

/* ── everything at once ── */

static const char wide[] = HEAD
	"customProperties: [{property: sluice.draft, value: true}, {property: other.tool, value: 1}]\n"
	"schema:\n"
	"  - name: wide\n"
	"    customProperties:\n"
	"      - {property: sluice.sort, value: [-day, id]}\n"
	"      - {property: sluice.budget_percent, value: 0.5}\n"
	"      - {property: sluice.budget_rows, value: 10}\n"
	"    properties:\n"
	"      - {name: id, logicalType: integer, primaryKey: true, unique: true}\n"
	"      - name: who\n"
	"        logicalType: object\n"
	"        customProperties: [{property: sluice.path, value: person}]\n"
	"        properties:\n"
	"          - {name: first_name, logicalType: string, customProperties: [{property: sluice.path, value: firstName}]}\n"
	"          - name: home\n"
	"            logicalType: object\n"
	"            properties: [{name: city, logicalType: string, required: true}]\n"
	"      - {name: after, logicalType: boolean}\n"
	"      - name: amount\n"
	"        logicalType: number\n"
	"        logicalTypeOptions: {exclusiveMinimum: -1.5, maximum: 1e3}\n"
	"        customProperties: [{property: sluice.precision, value: 10}, {property: sluice.scale, value: 2},\n"
	"          {property: sluice.inexact, value: count}, {property: sluice.action, value: fail},\n"
	"          {property: sluice.actions, value: {maximum: warn}}]\n"
	"      - {name: ratio, logicalType: number, customProperties: [{property: sluice.type, value: double}]}\n"
	"      - {name: day, logicalType: date, logicalTypeOptions: {minimum: 2013-01-01}}\n"
	"      - name: at\n"
	"        logicalType: timestamp\n"
	"        logicalTypeOptions: {maximum: '2014-01-01T00:00:00+01:00'}\n"
	"        customProperties: [{property: sluice.formats, value: ['%Y-%m-%d %H:%M']},\n"
	"          {property: sluice.zone, value: America/New_York}, {property: sluice.null, value: [NA, '']}]\n"
	"      - {name: tags, logicalType: array}\n"
	"      - {name: rest, logicalType: object}\n"
	"      - name: code\n"
	"        logicalType: string\n"
	"        logicalTypeOptions: {minLength: 1, maxLength: 3, pattern: '^[A-Z]+$'}\n"
	"        quality:\n"
	"          - {metric: invalidValues, mustBe: 0, arguments: {validValues: [NO, B, AA]}}\n"
	"          - {metric: nullValues, mustBe: 0, customProperties: [{property: sluice.action, value: warn}]}\n"
	"          - {type: text, description: nice to have}\n"
	"    quality:\n"
	"      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [id]}}\n";

static const char wide_canonical[] =
	"{\"sluice_contract\":1,\"name\":\"wide\",\"columns\":["
	"{\"name\":\"id\",\"path\":\"id\",\"type\":\"integer\",\"required\":true,\"key\":1,\"rules\":["
	"{\"kind\":\"type\",\"action\":\"quarantine\"},{\"kind\":\"key\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"who__first_name\",\"path\":\"person.firstName\",\"type\":\"string\",\"rules\":["
	"{\"kind\":\"type\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"who__home__city\",\"path\":\"person.home.city\",\"type\":\"string\",\"required\":true,\"rules\":["
	"{\"kind\":\"type\",\"action\":\"quarantine\"},{\"kind\":\"required\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"after\",\"path\":\"after\",\"type\":\"boolean\",\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"amount\",\"path\":\"amount\",\"type\":\"decimal\",\"precision\":10,\"scale\":2,\"inexact\":\"count\","
	"\"rules\":[{\"kind\":\"type\",\"action\":\"fail\"},"
	"{\"kind\":\"minimum\",\"action\":\"fail\",\"bound\":\"-1.50\",\"exclusive\":true},"
	"{\"kind\":\"maximum\",\"action\":\"warn\",\"bound\":\"1000.00\"}]},"
	"{\"name\":\"ratio\",\"path\":\"ratio\",\"type\":\"double\",\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"day\",\"path\":\"day\",\"type\":\"date\",\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"},"
	"{\"kind\":\"minimum\",\"action\":\"quarantine\",\"bound\":\"2013-01-01\"}]},"
	"{\"name\":\"at\",\"path\":\"at\",\"type\":\"timestamp\",\"formats\":[\"%Y-%m-%d %H:%M\"],"
	"\"zone\":\"America/New_York\",\"null\":[\"NA\",\"\"],\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"},"
	"{\"kind\":\"maximum\",\"action\":\"quarantine\",\"bound\":\"2013-12-31T23:00:00Z\"}]},"
	"{\"name\":\"tags\",\"path\":\"tags\",\"type\":\"json\",\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"rest\",\"path\":\"rest\",\"type\":\"json\",\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"code\",\"path\":\"code\",\"type\":\"string\",\"required\":true,\"rules\":["
	"{\"kind\":\"type\",\"action\":\"quarantine\"},{\"kind\":\"required\",\"action\":\"warn\"},"
	"{\"kind\":\"min_length\",\"action\":\"quarantine\",\"length\":1},"
	"{\"kind\":\"max_length\",\"action\":\"quarantine\",\"length\":3},"
	"{\"kind\":\"pattern\",\"action\":\"quarantine\",\"pattern\":\"^[A-Z]+$\"},"
	"{\"kind\":\"accepted\",\"action\":\"quarantine\",\"accepted\":[\"AA\",\"B\",\"NO\"]}]}],"
	"\"rules\":[{\"kind\":\"record\",\"action\":\"quarantine\"},{\"kind\":\"unique\",\"action\":\"fail\"}],"
	"\"sort\":[\"-day\",\"id\"]}";

static void wide_is_canonical(void **state)
{
	struct arena a = ARENA_INIT;
	struct contract *again;
	struct err e = ERR_INIT;
	(void)state;
	struct contract *c = parse(wide, &a);
	assert_text(c->canonical, wide_canonical);
	assert_true(c->draft);
	assert_true(c->budget_percent == 0.5);
	assert_int_equal(c->budget_rows, 10);
	if (!contract_from_canonical(c->canonical, &a, &again, &e))
		fail_msg("%s", e.message);
	assert_text(again->canonical, wide_canonical);
	assert_true(again->columns[7].zone != NULL);
	assert_true(again->sort_descending[0]);
	arena_free(&a);
}

/* ── child tables ── */

static const char orders[] = HEAD
	"schema:\n"
	"  - name: orders\n"
	"    customProperties: [{property: sluice.budget_percent, value: 1}]\n"
	"    properties:\n"
	"      - {name: id, logicalType: integer, primaryKey: true}\n"
	"      - name: lines\n"
	"        logicalType: array\n"
	"        description: what was ordered\n"
	"        customProperties: [{property: sluice.path, value: orderLines}, {property: sluice.sort, value: -sku},\n"
	"          {property: sluice.budget_rows, value: 7}]\n"
	"        items:\n"
	"          logicalType: object\n"
	"          description: one line\n"
	"          properties:\n"
	"            - {name: sku, logicalType: string, required: true}\n"
	"            - name: price\n"
	"              logicalType: object\n"
	"              properties: [{name: currency, logicalType: string}]\n"
	"            - {name: tags, logicalType: array}\n"
	"      - {name: raw, logicalType: array, customProperties: [{property: sluice.as, value: json}],\n"
	"         items: {logicalType: object, properties: [{name: x, logicalType: string}]}}\n"
	"      - name: ship\n"
	"        logicalType: object\n"
	"        properties:\n"
	"          - name: parcels\n"
	"            logicalType: array\n"
	"            customProperties: [{property: sluice.action, value: fail}]\n"
	"            items: {logicalType: object, properties: [{name: weight, logicalType: integer}]}\n";

static const char orders_canonical[] =
	"{\"sluice_contract\":1,\"name\":\"orders\",\"columns\":["
	"{\"name\":\"id\",\"path\":\"id\",\"type\":\"integer\",\"required\":true,\"key\":1,\"rules\":["
	"{\"kind\":\"type\",\"action\":\"quarantine\"},{\"kind\":\"key\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"raw\",\"path\":\"raw\",\"type\":\"json\",\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"}]}],"
	"\"rules\":[{\"kind\":\"record\",\"action\":\"quarantine\"},{\"kind\":\"unique\",\"action\":\"fail\"}],"
	"\"children\":["
	"{\"sluice_contract\":1,\"name\":\"orders__lines\",\"array\":\"orderLines\",\"columns\":["
	"{\"name\":\"sku\",\"path\":\"sku\",\"type\":\"string\",\"required\":true,\"rules\":["
	"{\"kind\":\"type\",\"action\":\"quarantine\"},{\"kind\":\"required\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"price__currency\",\"path\":\"price.currency\",\"type\":\"string\",\"rules\":["
	"{\"kind\":\"type\",\"action\":\"quarantine\"}]},"
	"{\"name\":\"tags\",\"path\":\"tags\",\"type\":\"json\",\"rules\":[{\"kind\":\"type\",\"action\":\"quarantine\"}]}],"
	"\"rules\":[{\"kind\":\"record\",\"action\":\"quarantine\"}],\"sort\":[\"-sku\"]},"
	"{\"sluice_contract\":1,\"name\":\"orders__ship__parcels\",\"array\":\"ship.parcels\",\"columns\":["
	"{\"name\":\"weight\",\"path\":\"weight\",\"type\":\"integer\",\"rules\":[{\"kind\":\"type\",\"action\":\"fail\"}]}],"
	"\"rules\":[{\"kind\":\"record\",\"action\":\"fail\"}]}]}";

static void children_are_canonical(void **state)
{
	struct arena a = ARENA_INIT;
	struct contract *again;
	struct err e = ERR_INIT;
	(void)state;
	struct contract *c = parse(orders, &a);
	assert_text(c->canonical, orders_canonical);
	assert_int_equal(c->n_children, 2);
	assert_true(c->children[0]->budget_percent == 1);
	assert_int_equal(c->children[0]->budget_rows, 7);
	if (!contract_from_canonical(c->canonical, &a, &again, &e))
		fail_msg("%s", e.message);
	assert_text(again->canonical, orders_canonical);
	assert_int_equal(again->n_children, 2);
	assert_true(sha256_eq(c->children[1]->meaning, again->children[1]->meaning));
	assert_text(again->children[1]->array_path, "ship.parcels");
	/* A child is no table of its own. */
	assert_false(contract_from_canonical(c->children[0]->canonical, &a, &again, &e));
	for (size_t i = 0; i < sizeof orders_canonical - 1; i++) {
		struct arena inner = ARENA_INIT;
		struct err cut = ERR_INIT;
		assert_false(contract_from_canonical((struct str){ orders_canonical, i }, &inner, &again, &cut));
		arena_free(&inner);
	}
	arena_free(&a);
}

static void damaged_canonical_is_refused(void **state)
{
	/* Cut at each byte, and with each byte changed: an error, never a crash, never another contract. */
	struct arena a = ARENA_INIT;
	size_t n = sizeof wide_canonical - 1;
	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct arena inner = ARENA_INIT;
		struct contract *c = NULL;
		struct err e = ERR_INIT;
		assert_false(contract_from_canonical((struct str){ wide_canonical, i }, &inner, &c, &e));
		assert_int_equal(e.code, ERR_DAMAGE);
		arena_free(&inner);
	}
	char *copy = arena_zero_terminated(&a, STR(wide_canonical));
	for (size_t i = 0; i < n; i++) {
		struct arena inner = ARENA_INIT;
		struct contract *c = NULL;
		struct err e = ERR_INIT;
		copy[i] ^= 0x15;
		if (contract_from_canonical((struct str){ copy, n }, &inner, &c, &e))
			assert_true(str_eq(c->canonical, (struct str){ copy, n }));
		copy[i] ^= 0x15;
		arena_free(&inner);
	}
	arena_free(&a);
}

static void meaning_ignores_words(void **state)
{
	struct arena a = ARENA_INIT;
	(void)state;
	struct contract *x = parse(HEAD "schema: [{name: t, properties: [{name: a, logicalType: string}]}]\n", &a);
	struct contract *y = parse("# a comment\nstatus: draft\nkind: DataContract\napiVersion: v3.1.0\nid: other\n"
				   "version: 2.0.0\nteam: {name: x}\nschema:\n- description: text\n  tags: [a]\n  name: t\n"
				   "  customProperties: [{property: sluice.budget_percent, value: 50}]\n"
				   "  properties: [{logicalType: string, name: a, description: d, examples: [1]}]\n",
				   &a);
	struct contract *z = parse(HEAD "schema: [{name: t, properties: [{name: b, logicalType: string}]}]\n", &a);
	assert_true(sha256_eq(x->meaning, y->meaning));
	assert_false(sha256_eq(x->meaning, z->meaning));
	arena_free(&a);
}

static void no_contract(void **state)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);
	struct contract *c = NULL, *again;
	struct err e = ERR_INIT;
	(void)state;
	assert_true(contract_find(STR("/nonexistent"), STR("t"), &a, &c, &p));
	assert_null(c);
	c = contract_none(STR("t"), &a);
	assert_true(c->none);
	assert_int_equal(c->n_columns, 0);
	assert_int_equal(c->n_rules, 1);
	assert_true(contract_from_canonical(c->canonical, &a, &again, &e));
	assert_true(again->none);
	arena_free(&a);
}

/* ── malformed contracts: files whose first lines say what is wrong ── */

static size_t expectations(struct str text, struct str *out, size_t max)
{
	struct str line;
	size_t n = 0;
	while (str_cut(&text, '\n', &line) && str_starts(line, STR("# expect "))) {
		assert_true(n < max);
		out[n++] = str_sub(line, 9, line.n);
	}
	return n;
}

static bool case_run(const char *path)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);
	struct contract *c = NULL;
	struct str text, want[64], left;
	struct err e = ERR_INIT;
	assert_true(file_read(path, 1 << 20, &a, &text, &e));
	size_t n = expectations(text, want, COUNT(want)), matched = 0;
	bool ok = !contract_load(path, &a, &c, &p) && n > 0;
	for (size_t i = 0; i < p.n; i++) {
		left = arena_format(&a, "%u:%u: %.*s", p.v[i].line, p.v[i].column, STR_ARG(p.v[i].message));
		size_t k = 0;
		while (k < n && !str_eq(want[k], left))
			k++;
		if (k == n)
			fprintf(stderr, "%s: not expected: %.*s\n", path, STR_ARG(left));
		else
			want[k] = STR_NONE, matched++;
	}
	for (size_t k = 0; k < n; k++)
		if (want[k].n > 0)
			fprintf(stderr, "%s: missing: %.*s\n", path, STR_ARG(want[k]));
	ok = ok && matched == n && matched == p.n;
	arena_free(&a);
	return ok;
}

static void malformed_contracts(void **state)
{
	const char *folder = TEST_DATA "/contract";
	DIR *dir = opendir(folder);
	size_t n = 0, bad = 0;
	struct dirent *entry;
	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[1024];
		if (!str_ends(str_from(entry->d_name), STR(".yaml")))
			continue;
		assert_true(snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path);
		bad += !case_run(path);
		n++;
	}
	closedir(dir);
	assert_true(n >= 8);
	assert_int_equal(bad, 0);
}

/* ── single values ── */

static void scalars(void **state)
{
	static const struct {
		enum column_type type;
		unsigned precision, scale;
		const char *text, *back; /* NULL: refused */
	} cases[] = {
		{ TYPE_INTEGER, 0, 0, "1e3", "1000" },
		{ TYPE_INTEGER, 0, 0, "-0", "0" },
		{ TYPE_INTEGER, 0, 0, "9223372036854775807", "9223372036854775807" },
		{ TYPE_INTEGER, 0, 0, "9223372036854775808", NULL },
		{ TYPE_INTEGER, 0, 0, "0.5", NULL },
		{ TYPE_INTEGER, 0, 0, "", NULL },
		{ TYPE_INTEGER, 0, 0, " 1", NULL },
		{ TYPE_INTEGER, 0, 0, "1 ", NULL },
		{ TYPE_INTEGER, 0, 0, "0x10", NULL },
		{ TYPE_INTEGER, 0, 0, "+1", NULL },
		{ TYPE_INTEGER, 0, 0, "01", NULL },
		{ TYPE_DECIMAL, 5, 2, "123.4", "123.40" },
		{ TYPE_DECIMAL, 5, 2, "1234.5", NULL },
		{ TYPE_DECIMAL, 5, 2, "0.001", NULL },
		{ TYPE_DECIMAL, 38, 0, "99999999999999999999999999999999999999", "99999999999999999999999999999999999999" },
		{ TYPE_DOUBLE, 0, 0, "0.1", "0.1" },
		{ TYPE_DOUBLE, 0, 0, "1e400", NULL },
		{ TYPE_DATE, 0, 0, "2012-02-29", "2012-02-29" },
		{ TYPE_DATE, 0, 0, "2013-02-29", NULL },
		{ TYPE_TIMESTAMP, 0, 0, "2013-01-01T00:00:00+01:00", "2012-12-31T23:00:00Z" },
		{ TYPE_TIMESTAMP, 0, 0, "2013-01-01T00:00:00.1234567Z", NULL },
		{ TYPE_TIMESTAMP, 0, 0, "2013-01-01", NULL },
		{ TYPE_BOOLEAN, 0, 0, "true", "true" },
		{ TYPE_BOOLEAN, 0, 0, "True", NULL },
		{ TYPE_STRING, 0, 0, "", "" },
		{ TYPE_STRING, 0, 0, "\xff", NULL },
		{ TYPE_JSON, 0, 0, "{}", NULL },
	};
	struct arena a = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct column c = { .type = cases[i].type, .precision = cases[i].precision, .scale = cases[i].scale };
		union scalar v;
		bool ok = scalar_from_text(&c, str_from(cases[i].text), &a, &v);
		if (ok != (cases[i].back != NULL))
			fail_msg("%s as %s", cases[i].text, column_type_name(c.type));
		if (ok)
			assert_text(scalar_to_text(&c, v, &a), cases[i].back);
	}
	arena_free(&a);
}

static void batches(void **state)
{
	struct batch_shape shape[TYPE_COUNT] = { 0 };
	struct arena a = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < TYPE_COUNT; i++)
		shape[i] = (struct batch_shape){ STR("x"), (enum column_type)i, 10, 2 };
	struct batch *b = batch_new(shape, TYPE_COUNT, &a);
	for (size_t i = 0; i < TYPE_COUNT; i++)
		for (size_t row = 0; row < BATCH_ROWS; row++)
			batch_set_valid(&b->columns[i], row);
	b->columns[TYPE_DECIMAL].i128[BATCH_ROWS - 1] = 1;
	b->columns[TYPE_STRING].s[BATCH_ROWS - 1] = STR("a");
	b->columns[TYPE_DATE].i32[BATCH_ROWS - 1] = 1;
	b->columns[TYPE_BOOLEAN].b[BATCH_ROWS - 1] = 1;
	b->n_rows = BATCH_ROWS;
	batch_clear(b);
	assert_int_equal(b->n_rows, 0);
	for (size_t row = 0; row < BATCH_ROWS; row++)
		assert_false(batch_is_valid(&b->columns[row % TYPE_COUNT], row));
	assert_int_equal(batch_new(NULL, 0, &a)->n_columns, 0);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_load),	 cmocka_unit_test(flights_is_as_written),
		cmocka_unit_test(wide_is_canonical), cmocka_unit_test(children_are_canonical),	 cmocka_unit_test(damaged_canonical_is_refused),
		cmocka_unit_test(meaning_ignores_words), cmocka_unit_test(no_contract),
		cmocka_unit_test(malformed_contracts),	 cmocka_unit_test(scalars),
		cmocka_unit_test(batches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
