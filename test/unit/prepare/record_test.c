/* Records to rows: what each type takes (test/case/prepare/values.txt), and what becomes of a whole record. */
#include "unit.h"

#include "base/file.h"
#include "prepare/record.h"

#include <stdlib.h>

#define HEAD "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n"

struct world {
	struct arena a;
	struct contract *c;
	struct record_reader *r;
	struct batch *b;
	struct verdicts *v;
};

static struct world world_open(const char *properties)
{
	struct world w = { .a = ARENA_INIT };
	struct problems p = PROBLEMS_INIT(&w.a);
	struct buf text = BUF_INIT(1 << 20);
	struct batch_shape *shape;
	size_t n;

	buf_add_z(&text, HEAD);
	buf_add_z(&text, properties);
	if (!contract_parse("t.yaml", buf_str(&text), &w.a, &w.c, &p)) {
		buf_clear(&text);
		problems_print(&p, &text);
		fail_msg("%s", text.p);
	}
	buf_free(&text);
	w.r = record_reader_new(w.c, JSON_DEPTH, &w.a);
	shape = record_shape(w.c, &w.a, &n);
	assert_int_equal(n, w.c->n_columns + PREPARE_META_COLUMNS);
	w.b = batch_new(shape, n, &w.a);
	w.v = verdicts_new(w.c, &w.a);
	return w;
}

static void world_close(struct world *w)
{
	verdicts_free(w->v);
	record_reader_free(w->r);
	arena_free(&w->a);
}

/* Reads one record as the only row. Gives its reasons. */
static const char *read_one(struct world *w, const char *raw)
{
	struct buf reasons = BUF_INIT(1 << 20);
	struct str text;

	batch_clear(w->b);
	verdicts_begin(w->v);
	record_read(w->r, str_from(raw), w->b, 0, w->v, &w->a);
	w->b->n_rows = 1;
	verdicts_evaluate(w->v, w->b, INT64_MIN, INT64_MAX);
	assert_true(verdicts_reasons(w->v, w->b, 0, &reasons));
	text = arena_copy(&w->a, buf_str(&reasons));
	buf_free(&reasons);
	return text.p;
}

static struct str shown(struct world *w, size_t i)
{
	const struct batch_column *c = &w->b->columns[i];
	struct column k = { .type = c->type, .precision = c->precision, .scale = c->scale };
	union scalar v = { 0 };

	if (!batch_is_valid(c, 0))
		return STR("null");
	switch (c->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		v.s = c->s[0];
		break;
	case TYPE_DECIMAL:
		v.i128 = c->i128[0];
		break;
	case TYPE_DOUBLE:
		v.f64 = c->f64[0];
		break;
	case TYPE_DATE:
		v.i64 = c->i32[0];
		break;
	case TYPE_BOOLEAN:
		v.i64 = c->b[0];
		break;
	default:
		v.i64 = c->i64[0];
		break;
	}
	return scalar_to_text(&k, v, &w->a);
}

/* ── one value ── */

/* "decimal(10,2) count formats=a|b" as a property of a contract. */
static const char *property_of(struct str spec, struct arena *a)
{
	struct buf b = BUF_INIT(1 << 16), custom = BUF_INIT(1 << 16);
	struct str word, type;
	unsigned precision = 0, scale = 0;

	str_cut(&spec, ' ', &type);
	if (str_starts(type, STR("decimal")))
		assert_int_equal(sscanf(arena_zero_terminated(a, type), "decimal(%u,%u)", &precision, &scale), 2);
	if (precision > 0) {
		type = STR("decimal");
		buf_addf(&custom, "          - {property: sluice.precision, value: %u}\n"
			 "          - {property: sluice.scale, value: %u}\n", precision, scale);
	}
	buf_addf(&custom, "          - {property: sluice.type, value: %.*s}\n", STR_ARG(type));
	while (str_cut(&spec, ' ', &word)) {
		struct str value = str_sub(word, str_find_char(word, '=') + 1, word.n), one;
		if (str_eq_z(word, "count"))
			buf_add_z(&custom, "          - {property: sluice.inexact, value: count}\n");
		else if (str_starts(word, STR("zone=")))
			buf_addf(&custom, "          - {property: sluice.zone, value: %.*s}\n", STR_ARG(value));
		else if (str_starts(word, STR("null=")))
			buf_addf(&custom, "          - {property: sluice.null, value: [\"%.*s\"]}\n", STR_ARG(value));
		else if (str_starts(word, STR("formats="))) {
			buf_add_z(&custom, "          - {property: sluice.formats, value: [");
			while (str_cut(&value, '|', &one))
				buf_addf(&custom, "\"%.*s\",", STR_ARG(one));
			custom.n--;
			buf_add_z(&custom, "]}\n");
		} else
			fail_msg("%.*s", STR_ARG(word));
	}
	if (str_eq_z(type, "decimal") || str_eq_z(type, "double"))
		type = STR("number");
	if (str_eq_z(type, "json"))
		type = STR("object");
	buf_addf(&b, "    properties:\n      - name: x\n        logicalType: %.*s\n        customProperties:\n%s",
		 STR_ARG(type), custom.p);
	struct str text = arena_copy(a, buf_str(&b));
	buf_free(&b);
	buf_free(&custom);
	return text.p;
}

/* <a> is byte 0x0a. */
static struct str bytes_of(struct str s, struct arena *a)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char *end;
		if (s.p[i] == '<') {
			p[n++] = (char)strtoul(s.p + i + 1, &end, 16);
			assert_int_equal(*end, '>');
			i = (size_t)(end - s.p);
		} else {
			p[n++] = s.p[i];
		}
	}
	return (struct str){ p, n };
}

static void value_check(struct str spec, struct str json, struct str want)
{
	struct arena a = ARENA_INIT;
	struct world w = world_open(property_of(spec, &a));
	const char *reasons = read_one(&w, arena_format(&a, "{\"x\":%.*s}", STR_ARG(json)).p);
	bool inexact = str_starts(want, STR("~")), refused = str_starts(want, STR("!"));
	struct str got = shown(&w, 0), value = bytes_of(inexact || refused ? str_sub(want, 1, want.n) : want, &a);

	if (refused ? !strstr(reasons, "\"rule\":\"x.type\"") || !str_contains(str_from(reasons), value) ||
			      !str_eq_z(got, "null") || record_inexact(w.r) != 0
		    : strcmp(reasons, "[]") != 0 || !str_eq(got, value) || record_inexact(w.r) != inexact)
		fail_msg("%.*s: %.*s: \"%.*s\" %s where %.*s was expected", STR_ARG(spec), STR_ARG(json), STR_ARG(got),
			 reasons, STR_ARG(want));
	world_close(&w);
	arena_free(&a);
}

static void values_are_exact(void **state)
{
	struct arena a = ARENA_INIT;
	struct str text, line, spec, json;
	struct err e = ERR_INIT;
	size_t n = 0;

	(void)state;
	if (!file_read(TEST_DATA "/prepare/values.txt", 1 << 20, &a, &text, &e))
		fail_msg("%s", e.message);
	while (str_cut(&text, '\n', &line)) {
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!str_cut(&line, '\t', &spec) || !str_cut(&line, '\t', &json))
			fail_msg("%.*s", STR_ARG(line));
		value_check(spec, json, line);
		n++;
	}
	assert_true(n > 100);
	arena_free(&a);
}

/* ── whole records ── */

static const char orders[] =
	"    properties:\n"
	"      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}\n"
	"      - {name: a__b, logicalType: integer}\n"
	"      - {name: a__c, logicalType: string}\n"
	"      - {name: a__d__e, logicalType: integer}\n"
	"      - {name: whole, logicalType: object, customProperties: [{property: sluice.path, value: 'w'}]}\n"
	"      - {name: dotted, logicalType: integer, customProperties: [{property: sluice.path, value: 'x\\.y'}]}\n"
	"      - {name: odd, logicalType: integer, customProperties: [{property: sluice.path, value: 'a\"b'}]}\n"
	"      - {name: need, logicalType: integer, required: true}\n";

enum { ID, A_B, A_C, A_D_E, WHOLE, DOTTED, ODD, NEED, EXTRA };

static void records_become_rows(void **state)
{
	static const struct {
		const char *raw, *want, *reasons; /* want: the columns and _extra, joined by '|' */
	} cases[] = {
		{ "{\"id\":1,\"a\":{\"b\":2,\"c\":\"x\",\"d\":{\"e\":3}},\"w\":{ \"z\" :1},\"x.y\":4,\"a\\\"b\":5,\"need\":6}",
		  "1|2|x|3|{ \"z\" :1}|4|5|6|null", "[]" },
		{ " { \"need\" : 6 , \"id\" : 1 } ", "1|null|null|null|null|null|null|6|null", "[]" },
		{ "{\"id\":1,\"need\":6,\"a\":null}", "1|null|null|null|null|null|null|6|null", "[]" },
		{ "{\"id\":1,\"need\":6,\"a\":{}}", "1|null|null|null|null|null|null|6|null", "[]" },
		{ "{\"\\u0069d\":1,\"need\":6,\"a\":{\"\\u0062\":7}}", "1|7|null|null|null|null|null|6|null", "[]" },
		{ "{\"id\":1,\"need\":6,\"a\":{\"d\":7}}", "1|null|null|null|null|null|null|6|null",
		  "[{\"rule\":\"a__d__e.type\",\"column\":\"a__d__e\",\"path\":\"a.d.e\",\"value\":\"7\","
		  "\"why\":\"an object is expected on the way to it\"}]" },
		/* unknown fields, at every level */
		{ "{\"id\":1,\"need\":6,\"new\": [1, 2] ,\"a\":{\"b\":2,\"z\":{\"q\":1},\"d\":{\"f\":1.50}},\"\":null}",
		  "1|2|null|null|null|null|null|6|{\"new\":[1, 2],\"a__z\":{\"q\":1},\"a__d__f\":1.50,\"\":null}",
		  "[]" },
		{ "{\"id\":1,\"need\":6,\"q\\\"\\n\":1}", "1|null|null|null|null|null|null|6|{\"q\\\"\\n\":1}", "[]" },
		/* nobody knows which one is meant; the rest stays readable */
		{ "{\"id\":1,\"need\":6,\"need\":7}", "1|null|null|null|null|null|null|null|null",
		  "[{\"rule\":\"record\",\"value\":\"need\",\"why\":\"a key occurs twice\"}]" },
		{ "{\"id\":1,\"need\":6,\"\\u006eeed\":7}", "1|null|null|null|null|null|null|null|null",
		  "[{\"rule\":\"record\",\"value\":\"need\",\"why\":\"a key occurs twice\"}]" },
		{ "{\"id\":1,\"need\":6,\"a\":{\"b\":1},\"a\":{\"c\":\"x\"}}", "1|null|null|null|null|null|null|6|null",
		  "[{\"rule\":\"record\",\"value\":\"a\",\"why\":\"a key occurs twice\"}]" },
		{ "{\"id\":1,\"need\":6,\"new\":1,\"new\":1}", "1|null|null|null|null|null|null|6|{\"new\":1}",
		  "[{\"rule\":\"record\",\"value\":\"new\",\"why\":\"two fields of this name\"}]" },
		{ "{\"id\":1,\"need\":6,\"\\ud800\":1}", "1|null|null|null|null|null|null|6|null",
		  "[{\"rule\":\"record\",\"value\":\"\\\\ud800\",\"why\":\"a lone surrogate escape in a key\"}]" },
		{ "{\"id\":1}", "1|null|null|null|null|null|null|null|null",
		  "[{\"rule\":\"need.required\",\"column\":\"need\",\"path\":\"need\"}]" },
		{ "{\"need\":1,\"id\":\"x\"}", "null|null|null|null|null|null|null|1|null",
		  "[{\"rule\":\"id.type\",\"column\":\"id\",\"path\":\"id\",\"value\":\"x\",\"why\":\"a number is expected\"}]" },
		{ "[1]", "null|null|null|null|null|null|null|null|null",
		  "[{\"rule\":\"record\",\"value\":\"[1]\",\"why\":\"the record is no object\"}]" },
		{ "17", "null|null|null|null|null|null|null|null|null",
		  "[{\"rule\":\"record\",\"value\":\"17\",\"why\":\"the record is no object\"}]" },
		{ "{\"id\":1,\"need\":NaN}", "null|null|null|null|null|null|null|null|null",
		  "[{\"rule\":\"record\",\"value\":\"NaN}\",\"why\":\"a value expected (NaN and Infinity are not JSON)\"}]" },
		{ "{\"id\":1,\"need\":6}}", "null|null|null|null|null|null|null|null|null",
		  "[{\"rule\":\"record\",\"value\":\"}\",\"why\":\"the document has ended, nothing may follow\"}]" },
	};
	struct world w = world_open(orders);

	(void)state;
	/* Twice: the second round has other guesses of what comes next. */
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		size_t k = i % COUNT(cases);
		const char *reasons = read_one(&w, cases[k].raw);
		struct buf got = BUF_INIT(1 << 16);
		for (size_t column = ID; column <= EXTRA; column++) {
			buf_add_z(&got, column > 0 ? "|" : "");
			buf_add(&got, shown(&w, column));
		}
		if (strcmp(reasons, cases[k].reasons) != 0 || strcmp(got.p, cases[k].want) != 0)
			fail_msg("%s\n gave %s\n  and %s", cases[k].raw, got.p, reasons);
		buf_free(&got);
	}
	world_close(&w);
}

static void nesting_is_limited(void **state)
{
	struct world w = world_open(orders);
	struct buf b = BUF_INIT(1 << 20);

	(void)state;
	for (size_t depth = 126; depth <= 128; depth++) {
		buf_clear(&b);
		buf_add_z(&b, "{\"id\":1,\"need\":1,\"deep\":");
		for (size_t i = 0; i < depth; i++)
			buf_add_char(&b, '[');
		for (size_t i = 0; i < depth; i++)
			buf_add_char(&b, ']');
		buf_add_char(&b, '}');
		const char *reasons = read_one(&w, b.p);
		assert_int_equal(strcmp(reasons, "[]") == 0, depth < 128);
		if (depth == 128)
			assert_non_null(strstr(reasons, "nested too deep"));
	}
	buf_free(&b);
	world_close(&w);
}

/* A record of very many unknown fields is read in one go, its doubles are found, and names are kept up to a limit. */
static void many_unknown_fields(void **state)
{
	enum { FIELDS = 50000 };
	struct world w = world_open(orders);
	struct buf b = BUF_INIT(4 << 20);
	struct str *names;
	uint64_t *counts;
	size_t n;

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		buf_clear(&b);
		buf_add_z(&b, "{\"id\":1,\"need\":1");
		for (int i = 0; i < FIELDS; i++)
			buf_addf(&b, ",\"f%d\":%d", i, i);
		buf_add_z(&b, twice ? ",\"f777\":1}" : "}");
		const char *reasons = read_one(&w, b.p);
		if (!twice)
			assert_string_equal(reasons, "[]");
		else
			assert_string_equal(reasons, "[{\"rule\":\"record\",\"value\":\"f777\",\"why\":\"two fields of this name\"}]");
		assert_true(w.b->columns[EXTRA].s[0].n > FIELDS * 8);
		assert_true(json_valid(w.b->columns[EXTRA].s[0], 1, NULL, NULL));
	}
	record_extra_fields(w.r, &w.a, &names, &counts, &n);
	assert_int_equal(n, EXTRA_NAMES_MAX);
	assert_text(names[99], "f99");
	assert_int_equal(counts[99], 2);
	buf_free(&b);
	world_close(&w);
}

/* Inside of a document: addresses and text of each record. */
static void records_in_a_page(void **state)
{
	static const char page[] = "{\"data\": [ {\"id\":1,\"need\":2} ,5,[{\"id\":3}], {\"need\":4,\"id\":5}]}";
	static const char *const raws[] = { "{\"id\":1,\"need\":2}", "5", "[{\"id\":3}]", "{\"need\":4,\"id\":5}" };
	struct world w = world_open(orders);
	struct json_scan s;
	enum json_event ev;
	struct str raw;
	size_t n = 0;

	(void)state;
	json_open(&s, STR(page), 4);
	assert_int_equal(json_next(&s), JSON_OBJECT);
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_int_equal(json_next(&s), JSON_ARRAY);
	verdicts_begin(w.v);
	while ((ev = json_next(&s)) != JSON_ARRAY_END) {
		assert_true(n < COUNT(raws));
		assert_true(record_read_at(w.r, &s, ev, w.b, n, w.v, &w.a, &raw));
		assert_text(raw, raws[n]);
		assert_ptr_equal(raw.p, strstr(page, raws[n]));
		n++;
	}
	assert_int_equal(n, COUNT(raws));
	assert_int_equal(w.b->columns[ID].i64[0], 1);
	assert_int_equal(w.b->columns[ID].i64[3], 5);
	assert_int_equal(w.b->columns[NEED].i64[3], 4);
	assert_false(batch_is_valid(&w.b->columns[ID], 1));
	assert_false(batch_is_valid(&w.b->columns[ID], 2));
	assert_int_equal(json_next(&s), JSON_OBJECT_END);
	assert_int_equal(json_next(&s), JSON_DONE);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_exact),    cmocka_unit_test(records_become_rows),
		cmocka_unit_test(nesting_is_limited),  cmocka_unit_test(many_unknown_fields),
		cmocka_unit_test(records_in_a_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
