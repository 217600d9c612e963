/* Arrays of objects: elements become rows of child tables. */
#include "prepare_world.h"

#include "prepare/item_log.h"

#include <string.h>

#define ITEMS(customs, rule)                                                                                  \
	"      - name: lines\n        logicalType: array\n        customProperties: [{property: sluice.path, value: x.l}" customs \
	"]\n        items:\n          logicalType: object\n          properties:\n"                              \
	"            - {name: sku, logicalType: string, required: true}\n"                                       \
	"            - {name: qty, logicalType: integer" rule "}\n"
#define ORDERS(customs, rule)                                                                                  \
	"    properties:\n      - {name: id, logicalType: integer, primaryKey: true}\n"                           \
	"      - {name: n, logicalType: integer, logicalTypeOptions: {minimum: 0}}\n" ITEMS(customs, rule)

static const char *child_query(struct world *w, const struct engine_result *r, const char *sql)
{
	return query(w, w->job.children[0].output, r->children[0].files, r->children[0].n_files, sql);
}

static const char *child_bad(struct world *w, const struct engine_result *r, const char *sql)
{
	return query(w, w->job.children[0].quarantine_output, r->children[0].quarantine_files,
		     r->children[0].n_quarantine_files, sql);
}

#define ROWS "SELECT CAST(_parent_off AS VARCHAR) || '#' || CAST(_idx AS VARCHAR) || ' ' || sku || ' ' || coalesce(CAST(qty AS VARCHAR), '-') || coalesce(_extra, '') FROM %s"
#define BAD "SELECT coalesce(CAST(_idx AS VARCHAR), '-') || ' ' || CAST(_off AS VARCHAR) || ' ' || (_reasons::JSON->0->>'rule') || ' ' || _raw FROM %s"

static void elements(void **state)
{
	static const struct {
		const char *records, *rows, *bad; /* behind {"data":[ */
		unsigned n, with_parent;
	} cases[] = {
		{ "{\"id\":1,\"x\":{\"l\":[{\"sku\":\"a\",\"qty\":1},{\"sku\":\"b\"}]}}", "9#0 a 1\n9#1 b -\n", "", 1, 0 },
		{ "{\"id\":1,\"x\":{\"l\":[]}},{\"id\":2,\"x\":{\"l\":null}},{\"id\":3,\"x\":{}},{\"id\":4,\"x\":null},{\"id\":5}", "", "", 5, 0 },
		{ "{\"id\":1,\"x\":{\"l\":[ {\"sku\":\"a\" , \"z\":[1]} ]}}", "9#0 a -{\"z\":[1]}\n", "", 1, 0 },
		{ "{\"id\":1,\"x\":{\"l\":[1,{\"qty\":2},{\"sku\":5},{\"sku\":\"a\"},[{\"sku\":\"a\"}],null,\"\\u00e9\"]}}", "9#3 a -\n",
		  "0 27 record 1\n1 29 sku.required {\"qty\":2}\n2 39 sku.type {\"sku\":5}\n4 61 record [{\"sku\":\"a\"}]\n5 75 record null\n"
		  "6 80 record \"\\u00e9\"\n", 1, 0 },
		{ "{\"id\":1,\"x\":{\"l\":{\"sku\":\"a\"}}},{\"id\":2,\"x\":{\"l\":\"text\"}},{\"id\":3,\"x\":7},{\"id\":4,\"x\":[{\"sku\":1}]}", "",
		  "- 26 record {\"sku\":\"a\"}\n- 57 record \"text\"\n- 78 record 7\n- 93 record [{\"sku\":1}]\n", 4, 0 },
		/* with the parent: set aside, lost, no record at all */
		{ "{\"id\":1,\"n\":-1,\"x\":{\"l\":[{\"sku\":\"a\"},5]}},{\"id\":2,\"x\":{\"l\":[{\"sku\":\"b\"}]}}", "51#0 b -\n", "", 2, 2 },
		{ "{\"id\":2,\"x\":{\"l\":[{\"sku\":\"a\"},5]}},{\"id\":2,\"x\":{\"l\":[{\"sku\":\"b\"}]}}", "44#0 b -\n", "", 2, 2 },
		{ "{\"id\":2,\"x\":{\"l\":[{\"sku\":\"a\"},5]}},{\"id\":2,\"n\":-1,\"x\":{\"l\":[{\"sku\":\"b\"}]}}", "", "", 2, 3 },
		{ "{\"x\":{\"l\":7}},[{\"sku\":\"a\"}]", "", "", 2, 1 },
		/* nobody can tell which of two arrays is meant */
		{ "{\"id\":1,\"x\":{\"l\":[{\"sku\":\"a\"}],\"l\":[]}}", "", "", 1, 0 },
		{ "{\"id\":1,\"x\":{\"l\":[{\"sku\":\"a\",\"sku\":\"b\"}]}}", "", "0 27 record {\"sku\":\"a\",\"sku\":\"b\"}\n", 1, 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;
		struct engine_result r;
		struct err e;
		world_open(&w, ORDERS("", ""));
		struct page_text page = { arena_format(&w.a, "{\"data\":[%s]}", cases[i].records).p, cases[i].n };
		window_add(&w, 1, &page, 1);
		window_fill(&w, 2, 0, 10, plain);
		if (!run(&w, &r, &e))
			fail_msg("%zu: %s", i, e.message);
		const struct loss_report *l = &r.children[0].loss;
		assert_string_equal(child_query(&w, &r, ROWS), cases[i].rows);
		assert_string_equal(child_bad(&w, &r, BAD), cases[i].bad);
		assert_int_equal(l->with_parent, cases[i].with_parent);
		assert_int_equal(l->read, l->published + l->quarantined + l->with_parent);
		assert_int_equal(r.loss.read, cases[i].n);
		assert_int_equal(r.children[0].files[0].n_windows, 2);
		assert_int_equal(r.children[0].files[0].windows[0].read, l->read);
		assert_int_equal(r.children[0].files[0].windows[0].rows, l->published);
		world_close(&w);
	}
}

/* Many elements, of a window that is cut: past the log's memory and past what is sorted in C. */
static void many(struct buf *b, unsigned day, unsigned i)
{
	unsigned id = i % 997 == 5 ? i + 1 : i;
	buf_addf(b, "{\"id\":%u,\"n\":%d,\"x\":{\"l\":[", day * 100000 + id, i % 101 == 7 ? -1 : (int)i);
	for (unsigned k = 0; k < 80; k++)
		buf_addf(b, "%s{\"sku\":\"%u-%u-some words to make it longer\",\"qty\":%u}", k > 0 ? "," : "", i, k, (i * 7 + k) % 90);
	buf_add_z(b, "]}}");
}

static void large_windows(void **state)
{
	static const struct {
		const char *customs;
		uint64_t file_rows;
	} cases[] = { { "", 100000 }, { ", {property: sluice.sort, value: [-qty, sku]}", 100000 },
		      { ", {property: sluice.sort, value: [-qty, sku]}", 1000 } };
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;
		struct engine_result r, again;
		struct err e;
		char contract[2048];
		assert_true(snprintf(contract, sizeof contract, ORDERS("%s", ""), cases[i].customs) < (int)sizeof contract);
		world_open(&w, contract);
		w.job.file_rows = cases[i].file_rows;
		window_fill(&w, 1, 2300, 500, many);
		window_fill(&w, 2, 30, 500, many);
		if (!run(&w, &r, &e))
			fail_msg("%zu: %s", i, e.message);
		struct str folder = w.job.children[0].output;
		const struct loss_report *l = &r.children[0].loss;
		assert_int_equal(l->read, 2330 * 80);
		assert_int_equal(l->published, r.loss.published * 80);
		assert_int_equal(l->with_parent, (r.loss.quarantined + r.loss.duplicates) * 80);
		assert_int_equal(r.loss.duplicates, 4);
		assert_string_equal(child_query(&w, &r, "SELECT CAST(count(*) AS VARCHAR) FROM (SELECT DISTINCT _window, _page, "
						"_parent_off, _idx FROM %s)"),
				    arena_format(&w.a, "%llu\n", (unsigned long long)l->published).p);
		w.job.threads = 4;
		if (!run(&w, &again, &e))
			fail_msg("%zu: %s", i, e.message);
		assert_int_equal(r.children[0].n_files, again.children[0].n_files);
		for (size_t k = 0; k < r.children[0].n_files; k++)
			assert_true(str_eq(file_bytes(&w, folder, r.children[0].files[k].path),
					   file_bytes(&w, w.job.children[0].output, again.children[0].files[k].path)));
		if (i == 1)
			assert_string_equal(child_query(&w, &again, "SELECT CAST(count(*) AS VARCHAR) FROM (SELECT qty, lag(qty) OVER () "
							"AS before, _window, lag(_window) OVER () AS w FROM %s) WHERE w = _window AND qty > before"),
					    "0\n");
		world_close(&w);
	}
}

/* A rule that says fail looks only at elements of records that stand. */
static void rotten(struct buf *b, unsigned day, unsigned i)
{
	buf_addf(b, "{\"id\":%u,\"x\":{\"l\":[{\"sku\":\"a\",\"qty\":%d}]}}", day * 10000 + (i == 3 ? 17 : i), i == 3 ? -1 : 1);
}

static void rotten_later(struct buf *b, unsigned day, unsigned i)
{
	buf_addf(b, "{\"id\":%u,\"x\":{\"l\":[{\"sku\":\"a\",\"qty\":%d}]}}", day * 10000 + (i == 17 ? 3 : i), i == 17 ? -1 : 1);
}

static void failing_elements(void **state)
{
	static const struct {
		record_text *text;
		uint64_t file_rows;
		bool fails;
	} cases[] = { { rotten, 1000, false }, { rotten, 5, false }, { rotten_later, 1000, true }, { rotten_later, 5, true } };
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;
		struct engine_result r;
		struct err e;
		world_open(&w, ORDERS(", {property: sluice.action, value: fail}", ", logicalTypeOptions: {minimum: 0}"));
		w.job.file_rows = cases[i].file_rows;
		window_fill(&w, 1, 20, 7, cases[i].text);
		bool ok = run(&w, &r, &e);
		if (!ok && !cases[i].fails)
			fail_msg("%zu: %s", i, e.message);
		assert_int_equal(ok, !cases[i].fails);
		if (!ok) {
			assert_int_equal(e.code, ERR_CONTRACT);
			assert_true(str_starts(str_from(e.message), STR("trips__lines: rule qty.minimum says fail")));
		} else {
			assert_int_equal(r.children[0].loss.published, 19);
			assert_int_equal(r.children[0].loss.with_parent, 1);
		}
		world_close(&w);
	}
}

static void the_budget_is_the_childs(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;
	(void)state;
	world_open(&w, ORDERS("", ""));
	struct page_text page = { "{\"data\":[{\"id\":1,\"x\":{\"l\":[{\"sku\":\"a\"},5]}}]}", 1 };
	window_add(&w, 1, &page, 1);
	assert_true(run(&w, &r, &e));
	w.child_budget = 49;
	assert_false(run(&w, &r, &e));
	assert_int_equal(e.code, ERR_CONTRACT);
	assert_true(str_starts(str_from(e.message), STR("trips__lines: 1 of 2 records would be set aside")));
	world_close(&w);
}

static void a_job_without_its_children(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;
	(void)state;
	world_open(&w, ORDERS("", ""));
	window_fill(&w, 1, 0, 1, plain);
	assert_true(run(&w, &r, &e));
	w.job.children[0].name = STR("trips__other");
	assert_false(prepare_run(&w.job, NULL, NULL, &w.a, &r, &e));
	w.job.n_children = 0;
	assert_false(prepare_run(&w.job, NULL, NULL, &w.a, &r, &e));
	world_close(&w);
}

/* ── the log ── */

static struct str item_text(char *room, unsigned i)
{
	size_t n = i % 97 == 13 ? 3u << 20 : i % 50 == 7 ? 0 : i % 300;
	memset(room, 'a' + (int)(i % 26), n);
	return (struct str){ room, n };
}

static void items_come_back(void **state)
{
	static const unsigned counts[] = { 0, 1, 12, 20, 5000, 20000 };
	char *room = mem_alloc(4 << 20);
	struct arena a = ARENA_INIT;
	struct item_log l;
	char *scratch;
	(void)state;
	OK(file_make_scratch(NULL, &a, &scratch, e));
	item_log_open(&l, scratch);
	for (size_t c = 0; c < COUNT(counts); c++) {
		for (unsigned i = 0; i < counts[c]; i++) {
			struct item item = { i / 10, i + 1, i * 2, i * 3, (int64_t)i - 1, item_text(room, i) };
			OK(item_log_add(&l, &item, e));
		}
		for (unsigned turn = 0; turn < 3; turn++) { /* the second one ends half way */
			OK(item_log_rewind(&l, e));
			for (unsigned i = 0; i < (turn == 1 ? counts[c] / 2 : counts[c]); i++) {
				struct arena one = ARENA_INIT;
				struct item item;
				OK(item_log_next(&l, &one, &item, e));
				assert_true(item.share == i / 10 && item.page == i + 1 && item.parent == i * 2 && item.offset == i * 3 &&
					    item.index == (int64_t)i - 1);
				assert_true(str_eq(item.raw, item_text(room, i)));
				arena_free(&one);
			}
		}
		item_log_close(&l);
	}
	OK(file_remove_tree(scratch, e));
	mem_free(room);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),		   cmocka_unit_test(large_windows),
		cmocka_unit_test(failing_elements),	   cmocka_unit_test(the_budget_is_the_childs),
		cmocka_unit_test(a_job_without_its_children), cmocka_unit_test(items_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
