#include "unit.h"

#include "contract/verdict.h"

#define HEAD "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n"

struct fixture {
	struct arena a;
	struct contract *c;
	struct batch *b;
	struct verdicts *v;
};

static void open(struct fixture *f, const char *text)
{
	*f = (struct fixture){ .a = ARENA_INIT };
	struct problems p = PROBLEMS_INIT(&f->a);
	if (!contract_parse("t.yaml", str_from(text), &f->a, &f->c, &p))
		fail_msg("%.*s", STR_ARG(p.v[0].message));
	struct batch_shape *shape = arena_array(&f->a, struct batch_shape, f->c->n_columns + 1);
	for (size_t i = 0; i < f->c->n_columns; i++) {
		const struct column *c = &f->c->columns[i];
		shape[i] = (struct batch_shape){ c->name, c->type, c->precision, c->scale };
	}
	shape[f->c->n_columns] = (struct batch_shape){ STR("_extra"), TYPE_JSON, 0, 0 };
	f->b = batch_new(shape, f->c->n_columns + 1, &f->a);
	f->v = verdicts_new(f->c, &f->a);
}

static void close_fixture(struct fixture *f)
{
	verdicts_free(f->v);
	arena_free(&f->a);
}

static void value_set(struct fixture *f, size_t column, size_t row, const char *text)
{
	struct batch_column *b = &f->b->columns[column];
	union scalar v;
	if (!text)
		return;
	if (!scalar_from_text(&f->c->columns[column], str_from(text), &f->a, &v))
		fail_msg("%s", text);
	batch_set_valid(b, row);
	switch (b->type) {
	case TYPE_STRING:
		b->s[row] = v.s;
		break;
	case TYPE_DECIMAL:
		b->i128[row] = v.i128;
		break;
	case TYPE_DOUBLE:
		b->f64[row] = v.f64;
		break;
	case TYPE_DATE:
		b->i32[row] = (int32_t)v.i64;
		break;
	case TYPE_BOOLEAN:
		b->b[row] = (uint8_t)v.i64;
		break;
	default:
		b->i64[row] = v.i64;
	}
}

static void reasons_are(struct fixture *f, size_t row, const char *want)
{
	struct buf out = BUF_INIT(1 << 20);
	assert_true(verdicts_reasons(f->v, f->b, row, &out));
	assert_text(buf_str(&out), want);
	buf_free(&out);
}

/* ── one rule, one value ── */

static void single_rules(void **state)
{
	static const struct {
		const char *property; /* what follows the name */
		const char *value;    /* NULL: NULL */
		const char *failed;   /* rule kind, NULL: none */
	} cases[] = {
		{ "logicalType: integer, logicalTypeOptions: {minimum: -60}", "-60", NULL },
		{ "logicalType: integer, logicalTypeOptions: {minimum: -60}", "-61", "minimum" },
		{ "logicalType: integer, logicalTypeOptions: {minimum: 60}", NULL, NULL },
		{ "logicalType: integer, logicalTypeOptions: {exclusiveMinimum: -60}", "-60", "minimum" },
		{ "logicalType: integer, logicalTypeOptions: {exclusiveMaximum: 5}", "5", "maximum" },
		{ "logicalType: integer, logicalTypeOptions: {maximum: 5}", "5", NULL },
		{ "logicalType: integer, logicalTypeOptions: {minimum: -9223372036854775808}", "-9223372036854775808", NULL },
		{ "logicalType: date, logicalTypeOptions: {minimum: 2013-01-01}", "2012-12-31", "minimum" },
		{ "logicalType: date, logicalTypeOptions: {maximum: 2013-01-01}", "2013-01-01", NULL },
		{ "logicalType: timestamp, logicalTypeOptions: {exclusiveMaximum: '2014-01-01T00:00:00Z'}",
		  "2013-12-31T23:59:59.999999Z", NULL },
		{ "logicalType: timestamp, logicalTypeOptions: {exclusiveMaximum: '2014-01-01T00:00:00Z'}",
		  "2014-01-01T01:00:00+01:00", "maximum" },
		{ "logicalType: number, customProperties: [{property: sluice.precision, value: 38}, {property: sluice.scale, "
		  "value: 10}], logicalTypeOptions: {maximum: 1000000000000000000000000000.0000000001}",
		  "1000000000000000000000000000.0000000002", "maximum" },
		{ "logicalType: number, customProperties: [{property: sluice.type, value: double}], logicalTypeOptions: "
		  "{maximum: 254}",
		  "1048.36058", "maximum" },
		{ "logicalType: number, customProperties: [{property: sluice.type, value: double}], logicalTypeOptions: "
		  "{minimum: 0}",
		  "-0.0", NULL },
		{ "logicalType: string, logicalTypeOptions: {minLength: 2}", "é", "min_length" },
		{ "logicalType: string, logicalTypeOptions: {maxLength: 2}", "ééé", "max_length" },
		{ "logicalType: string, logicalTypeOptions: {maxLength: 2}", "éé", NULL },
		{ "logicalType: string, logicalTypeOptions: {maxLength: 1}", "\xf0\x9f\x9b\xab", NULL },
		{ "logicalType: string, logicalTypeOptions: {maxLength: 0}", "", NULL },
		{ "logicalType: string, logicalTypeOptions: {minLength: 1}", "", "min_length" },
		{ "logicalType: string, logicalTypeOptions: {pattern: 'b'}", "abc", NULL },
		{ "logicalType: string, logicalTypeOptions: {pattern: '^b'}", "abc", "pattern" },
		{ "logicalType: string, logicalTypeOptions: {pattern: '^a$'}", "a\n", "pattern" },
		{ "logicalType: string, logicalTypeOptions: {pattern: '^.$'}", "é", NULL },
		{ "logicalType: string, logicalTypeOptions: {pattern: '^\\d+$'}", "\xd9\xa1", "pattern" },
		{ "logicalType: string, logicalTypeOptions: {pattern: '^(a)\\1$'}", "aa", NULL },
		{ "logicalType: string, logicalTypeOptions: {pattern: ''}", "", NULL },
		{ "logicalType: string, customProperties: [{property: sluice.accepted, value: [A, N, U]}]", "U", NULL },
		{ "logicalType: string, customProperties: [{property: sluice.accepted, value: [A, N, U]}]", "u", "accepted" },
		{ "logicalType: string, customProperties: [{property: sluice.accepted, value: [j,i,h,g,f,e,d,c,b,a]}]", "j", NULL },
		{ "logicalType: string, customProperties: [{property: sluice.accepted, value: [j,i,h,g,f,e,d,c,b,a]}]", "aa",
		  "accepted" },
		{ "logicalType: integer, customProperties: [{property: sluice.accepted, value: [3, 1, 2]}]", "3", NULL },
		{ "logicalType: integer, customProperties: [{property: sluice.accepted, value: [3, 1, 2]}]", "4", "accepted" },
		{ "logicalType: boolean, customProperties: [{property: sluice.accepted, value: [true]}]", "false", "accepted" },
		{ "logicalType: date, customProperties: [{property: sluice.accepted, value: [2013-01-01]}]", "2013-01-02",
		  "accepted" },
		{ "logicalType: string, required: true", NULL, "required" },
		{ "logicalType: string, required: true", "", NULL },
		{ "logicalType: string, primaryKey: true", NULL, "key" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture f;
		char text[1024];
		assert_true(snprintf(text, sizeof text, HEAD "    properties:\n      - {name: a, %s}\n", cases[i].property) <
			    (int)sizeof text);
		open(&f, text);
		/* The same value in rows of the first, a middle and the last word. */
		const size_t rows[] = { 0, 63, 64, 1000, BATCH_ROWS - 1 };
		f.b->n_rows = BATCH_ROWS;
		for (size_t r = 0; r < COUNT(rows); r++)
			value_set(&f, 0, rows[r], cases[i].value);
		verdicts_begin(f.v);
		verdicts_evaluate(f.v, f.b, INT64_MIN, INT64_MAX);
		for (size_t k = 0; k < f.c->n_rules; k++) {
			bool want = cases[i].failed && strcmp(rule_kind_name(f.c->rules[k].kind), cases[i].failed) == 0;
			for (size_t r = 0; r < COUNT(rows); r++)
				if (rows_has(&f.v->failed[k], rows[r]) != want)
					fail_msg("%s: %s: %s", cases[i].property, cases[i].value ? cases[i].value : "NULL",
						 rule_kind_name(f.c->rules[k].kind));
		}
		close_fixture(&f);
	}
}

/* ── several rows and rules ── */

static const char table[] =
	HEAD "    customProperties: [{property: sluice.window_column, value: at}]\n"
	     "    properties:\n"
	     "      - {name: id, logicalType: integer, primaryKey: true}\n"
	     "      - {name: at, logicalType: timestamp, required: true}\n"
	     "      - {name: n, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 9}, customProperties: "
	     "[{property: sluice.path, value: deep.n}, {property: sluice.actions, value: {maximum: warn, minimum: fail}}]}\n"
	     "      - {name: s, logicalType: string, logicalTypeOptions: {pattern: '^(a+)+$'}}\n";

static const int64_t from_us = INT64_C(1356998400000000), to_us = INT64_C(1357084800000000); /* 2013-01-01 UTC */

static void row_set(struct fixture *f, const char *id, const char *at, const char *n, const char *s)
{
	size_t row = f->b->n_rows++;
	value_set(f, 0, row, id);
	value_set(f, 1, row, at);
	value_set(f, 2, row, n);
	value_set(f, 3, row, s);
}

static void routing_and_reasons(void **state)
{
	struct fixture f;
	char runaway[64] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
	(void)state;
	open(&f, table);
	for (int round = 0; round < 2; round++) { /* a batch leaves nothing behind */
		batch_clear(f.b);
		verdicts_begin(f.v);
		row_set(&f, "1", "2013-01-01T00:00:00Z", "5", "a");       /* 0 fine */
		row_set(&f, "2", "2013-01-01T12:00:00Z", "10", "a");      /* 1 warn only */
		row_set(&f, "3", "2013-01-02T00:00:00Z", "-1", "\"b\n");  /* 2 window, minimum (fail), pattern */
		row_set(&f, NULL, NULL, NULL, NULL);			  /* 3 key, required */
		row_set(&f, NULL, "2013-01-01T00:00:00Z", NULL, NULL);	  /* 4 type of the key */
		row_set(&f, NULL, NULL, NULL, NULL);			  /* 5 record */
		row_set(&f, "7", "2012-12-31T23:59:59Z", NULL, runaway);  /* 6 window; the pattern gives up */
		verdicts_note(f.v, RULE_TYPE, 0, 4, STR("\"x\""), "no number");
		verdicts_note(f.v, RULE_RECORD, SIZE_MAX, 5, STR("[1]"), "no object");
		verdicts_evaluate(f.v, f.b, from_us, to_us);
		verdicts_count(f.v, f.b, NULL);
		reasons_are(&f, 0, "[]");
		reasons_are(&f, 1, "[]");
		reasons_are(&f, 2,
			    "[{\"rule\":\"at.window\",\"column\":\"at\",\"path\":\"at\",\"value\":\"2013-01-02T00:00:00Z\"},"
			    "{\"rule\":\"n.minimum\",\"column\":\"n\",\"path\":\"deep.n\",\"value\":\"-1\"},"
			    "{\"rule\":\"s.pattern\",\"column\":\"s\",\"path\":\"s\",\"value\":\"\\\"b\\n\"}]");
		reasons_are(&f, 3,
			    "[{\"rule\":\"id.key\",\"column\":\"id\",\"path\":\"id\"},"
			    "{\"rule\":\"at.required\",\"column\":\"at\",\"path\":\"at\"}]");
		reasons_are(&f, 4,
			    "[{\"rule\":\"id.type\",\"column\":\"id\",\"path\":\"id\",\"value\":\"\\\"x\\\"\",\"why\":\"no "
			    "number\"}]");
		reasons_are(&f, 5, "[{\"rule\":\"record\",\"value\":\"[1]\",\"why\":\"no object\"}]");
		reasons_are(&f, 6,
			    "[{\"rule\":\"at.window\",\"column\":\"at\",\"path\":\"at\",\"value\":\"2012-12-31T23:59:59Z\"},"
			    "{\"rule\":\"s.pattern\",\"column\":\"s\",\"path\":\"s\",\"value\":"
			    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\",\"why\":\"the pattern took too many steps\"}]");
		assert_int_equal(f.v->by_action[ACTION_WARN].w[0], 1u << 1);
		assert_int_equal(f.v->by_action[ACTION_FAIL].w[0], 1u << 2);
		assert_int_equal(f.v->by_action[ACTION_QUARANTINE].w[0], 0x7c);
		assert_int_equal(rows_count(&f.v->by_action[ACTION_QUARANTINE]), 5);
		assert_false(rows_any(&f.v->failed[contract_rule(f.c, RULE_UNIQUE, SIZE_MAX)]));
	}
	assert_int_equal(f.v->counted_rows, 14);
	assert_int_equal(f.v->total_rows[ACTION_QUARANTINE], 10);
	assert_int_equal(f.v->total[contract_rule(f.c, RULE_WINDOW, 1)], 4);
	/* Rows that lost against a duplicate are not counted. */
	struct rows some = { { 0x05 } };
	verdicts_count(f.v, f.b, &some);
	assert_int_equal(f.v->counted_rows, 16);
	assert_int_equal(f.v->total[contract_rule(f.c, RULE_WINDOW, 1)], 5);
	close_fixture(&f);
}

static void values_are_cut(void **state)
{
	struct fixture f;
	char text[302], want[512];
	(void)state;
	open(&f, HEAD "    properties: [{name: a, logicalType: string, logicalTypeOptions: {maxLength: 3}}]\n");
	memset(text, 'x', 199);
	for (size_t i = 199; i < 299; i += 2)
		memcpy(text + i, "é", 2); /* byte 200 is in the middle of one */
	text[299] = 0;
	f.b->n_rows = 1;
	value_set(&f, 0, 0, text);
	verdicts_begin(f.v);
	verdicts_note(f.v, RULE_TYPE, 0, 0, str_from(text), NULL);
	verdicts_evaluate(f.v, f.b, INT64_MIN, INT64_MAX);
	int n = snprintf(want, sizeof want,
			 "[{\"rule\":\"a.type\",\"column\":\"a\",\"path\":\"a\",\"value\":\"%.199s\"},"
			 "{\"rule\":\"a.max_length\",\"column\":\"a\",\"path\":\"a\",\"value\":\"%.199s\"}]",
			 text, text);
	assert_true(n > 0 && n < (int)sizeof want);
	reasons_are(&f, 0, want);
	close_fixture(&f);
}

static void empty_and_odd_batches(void **state)
{
	struct fixture f;
	(void)state;
	open(&f, table);
	for (size_t n = 0; n <= 130; n++) {
		batch_clear(f.b);
		f.b->n_rows = n;
		verdicts_begin(f.v);
		verdicts_evaluate(f.v, f.b, from_us, to_us);
		assert_int_equal(rows_count(&f.v->by_action[ACTION_QUARANTINE]), n);
	}
	close_fixture(&f);
	struct arena a = ARENA_INIT;
	struct batch_shape shape = { STR("_extra"), TYPE_JSON, 0, 0 };
	struct batch *b = batch_new(&shape, 1, &a);
	struct verdicts *v = verdicts_new(contract_none(STR("t"), &a), &a);
	b->n_rows = 3;
	verdicts_begin(v);
	verdicts_evaluate(v, b, from_us, to_us);
	verdicts_count(v, b, NULL);
	assert_int_equal(v->counted_rows, 3);
	assert_int_equal(v->total_rows[ACTION_QUARANTINE], 0);
	verdicts_free(v);
	arena_free(&a);
}

static void nan_is_outside_all_bounds(void **state)
{
	struct fixture f;
	(void)state;
	open(&f, HEAD "    properties: [{name: a, logicalType: number, logicalTypeOptions: {minimum: 0, maximum: 1}, "
		      "customProperties: [{property: sluice.type, value: double}, {property: sluice.accepted, value: "
		      "[0.5]}]}]\n");
	f.b->n_rows = 2;
	value_set(&f, 0, 0, "0.5");
	value_set(&f, 0, 1, "0.5");
	f.b->columns[0].f64[1] = __builtin_nan("");
	verdicts_begin(f.v);
	verdicts_evaluate(f.v, f.b, INT64_MIN, INT64_MAX);
	reasons_are(&f, 0, "[]");
	reasons_are(&f, 1,
		    "[{\"rule\":\"a.minimum\",\"column\":\"a\",\"path\":\"a\",\"value\":\"NaN\"},"
		    "{\"rule\":\"a.maximum\",\"column\":\"a\",\"path\":\"a\",\"value\":\"NaN\"},"
		    "{\"rule\":\"a.accepted\",\"column\":\"a\",\"path\":\"a\",\"value\":\"NaN\"}]");
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_rules),		 cmocka_unit_test(routing_and_reasons),
		cmocka_unit_test(values_are_cut),	 cmocka_unit_test(empty_and_odd_batches),
		cmocka_unit_test(nan_is_outside_all_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
