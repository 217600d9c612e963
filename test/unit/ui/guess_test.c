/* What an answer tells about the next one: bodies as real APIs send them. */
#include "ui/guess.h"

#include "unit.h"

struct guess_case {
	const char *body, *link, *query; /* query: name=value */
	const char *records;             /* NULL: none found */
	uint64_t items;
	enum guess_style style;
	const char *from, *parameter, *more, *total, *pages;
};

static const struct guess_case cases[] = {
	{ "[{\"a\":1},{\"a\":2}]", "", "", "", 2, GUESS_NONE, "", "", "", "", "" },
	{ "{\"data\":[{\"a\":1}]}", "", "", "data", 1, GUESS_NONE, "", "", "", "", "" },
	{ "[]", "", "", NULL, 0, GUESS_NONE, "", "", "", "", "" },
	{ "{\"data\":[1,2,3]}", "", "", NULL, 0, GUESS_NONE, "", "", "", "", "" },
	{ "7", "", "", NULL, 0, GUESS_NONE, "", "", "", "", "" },
	/* the longest list of objects, not the first; lists of numbers are none */
	{ "{\"warnings\":[{}],\"result\":{\"items\":[{},{},{}],\"ids\":[1,2,3,4]}}", "", "", "result.items", 3, GUESS_NONE, "",
	  "", "", "", "" },
	/* lists inside of records are theirs */
	{ "{\"data\":[{\"tags\":[{},{},{}]}]}", "", "", "data", 1, GUESS_NONE, "", "", "", "", "" },
	{ "{\"a.b\":{\"c\\\\d\":[{}]}}", "", "", "a\\.b.c\\\\d", 1, GUESS_NONE, "", "", "", "", "" },
	/* Link header */
	{ "[{}]", "</x?page=2>; rel=\"next\", </x?page=9>; rel=\"last\"", "page=1", "", 1, GUESS_LINK, "", "", "", "", "" },
	{ "[{}]", "</x?page=1>; rel=\"first\"", "", "", 1, GUESS_NONE, "", "", "", "", "" },
	/* next URLs */
	{ "{\"count\":2,\"next\":\"https://x/y?page=2\",\"previous\":null,\"results\":[{},{}]}", "", "", "results", 2,
	  GUESS_NEXT_URL, "next", "", "", "", "" },
	{ "{\"links\":{\"next\":\"/v1/x?offset=10\"},\"data\":[{}]}", "", "", "data", 1, GUESS_NEXT_URL, "links.next", "", "",
	  "", "" },
	{ "{\"_links\":{\"next\":{\"href\":\"/x\"},\"self\":{\"href\":\"/y\"}},\"data\":[{}]}", "", "", "data", 1,
	  GUESS_NEXT_URL, "_links.next.href", "", "", "", "" },
	{ "{\"@odata.nextLink\":\"https://x/y\",\"value\":[{}]}", "", "", "value", 1, GUESS_NEXT_URL, "@odata\\.nextLink", "",
	  "", "", "" },
	/* cursors */
	{ "{\"data\":[{}],\"meta\":{\"next\":\"abc\",\"total\":17}}", "", "", "data", 1, GUESS_CURSOR, "meta.next", "cursor",
	  "", "meta.total", "" },
	{ "{\"data\":[{}],\"next_cursor\":\"abc\",\"has_more\":true}", "", "", "data", 1, GUESS_CURSOR, "next_cursor", "cursor",
	  "has_more", "", "" },
	{ "{\"items\":[{}],\"nextPageToken\":\"abc\"}", "", "", "items", 1, GUESS_CURSOR, "nextPageToken", "pageToken", "", "",
	  "" },
	{ "{\"items\":[{}],\"next_page_token\":\"abc\"}", "", "", "items", 1, GUESS_CURSOR, "next_page_token", "page_token", "",
	  "", "" },
	{ "{\"d\":[{}],\"page_info\":{\"end_cursor\":\"x\",\"has_next_page\":false}}", "", "", "d", 1, GUESS_CURSOR,
	  "page_info.end_cursor", "after", "page_info.has_next_page", "", "" },
	/* pages and offsets */
	{ "{\"data\":[{}],\"page\":1,\"total_pages\":9}", "", "", "data", 1, GUESS_PAGE, "", "page", "", "", "total_pages" },
	{ "{\"data\":[{}],\"meta\":{\"pages\":8,\"total\":1458}}", "", "", "data", 1, GUESS_PAGE, "", "page", "", "meta.total",
	  "meta.pages" },
	{ "{\"items\":[{}],\"offset\":0,\"total\":99}", "", "", "items", 1, GUESS_OFFSET, "", "offset", "", "total", "" },
	{ "[{}]", "", "page=3", "", 1, GUESS_PAGE, "", "page", "", "", "" },
	{ "[{}]", "", "skip=0", "", 1, GUESS_OFFSET, "", "skip", "", "", "" },
	/* a field of a record is no hint */
	{ "{\"data\":[{\"next\":\"https://x\",\"total\":5}]}", "", "", "data", 1, GUESS_NONE, "", "", "", "", "" },
	{ "{\"data\":[{}],\"total\":1e400}", "", "", "data", 1, GUESS_NONE, "", "", "", "", "" },
};

static void text_is(struct str got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p ? got.p : "", want, got.n);
}

static void guesses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct guess_case *c = &cases[i];
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct guess g;
		struct str query = str_from(c->query), name = STR_NONE;
		str_cut(&query, '=', &name);
		struct guess_query q = { name, query };
		print_message("# %s\n", c->body);
		assert_true(guess_answer(str_from(c->body), str_from(c->link), &q, name.n ? 1 : 0, &a, &g, &e));
		assert_int_equal(g.has_records, c->records != NULL);
		assert_int_equal(g.items, c->items);
		text_is(g.records, c->records ? c->records : "");
		assert_int_equal(g.style, c->style);
		text_is(g.from, c->from);
		text_is(g.query, c->parameter);
		text_is(g.more, c->more);
		text_is(g.total, c->total);
		text_is(g.pages, c->pages);
		arena_free(&a);
	}
}

static void headers(void **state)
{
	static const struct {
		const char *body, *name, *value, *from_header, *parameter;
		enum guess_style style;
		const char *doubt;
	} with[] = {
		{ "[{},{}]", "X-Next-Cursor", "abc", "X-Next-Cursor", "cursor", GUESS_CURSOR, "" },
		{ "[{},{}]", "x-next", "17", "x-next", "cursor", GUESS_CURSOR, "" },
		{ "[{},{}]", "X-Pagination-Next", "b", "X-Pagination-Next", "cursor", GUESS_CURSOR, "" },
		{ "[{},{}]", "X-MS-Continuation", "b", "X-MS-Continuation", "continuation", GUESS_CURSOR, "" },
		{ "[{},{}]", "X-Next-Page", "2", "", "page", GUESS_PAGE, "" },
		{ "[{},{}]", "X-Next-Cursor", "", "", "", GUESS_NONE, "" },
		{ "[{},{}]", "X-Next", "https://x/y", "", "", GUESS_NONE, "" },
		{ "[{},{}]", "Content-Type", "x", "", "", GUESS_NONE, "" },
		/* a cursor is more than a page number, a URL in the body more than a header */
		{ "{\"page\":1,\"d\":[{}]}", "X-Next-Cursor", "abc", "X-Next-Cursor", "cursor", GUESS_CURSOR, "" },
		{ "{\"next\":\"/x\",\"d\":[{}]}", "X-Next-Cursor", "abc", "", "", GUESS_NEXT_URL, "" },
		/* doubts */
		{ "{\"total\":7,\"d\":[{},{}]}", "X", "x", "", "", GUESS_NONE,
		  "total says 7 records, and the page holds 2: how is the next one asked for?" },
		{ "{\"total\":2,\"d\":[{},{}]}", "X", "x", "", "", GUESS_NONE, "" },
		{ "[{},{},{},{},{},{},{},{},{},{}]", "X", "x", "", "", GUESS_NONE,
		  "the page holds exactly 10 records: is there a next one?" },
		{ "{\"total\":10,\"d\":[{},{},{},{},{},{},{},{},{},{}]}", "X", "x", "", "", GUESS_NONE, "" },
		{ "[{},{},{},{},{},{},{},{},{},{}]", "X-Next", "x", "X-Next", "cursor", GUESS_CURSOR, "" },
		{ "[{},{},{},{},{},{},{},{},{},{},{}]", "X", "x", "", "", GUESS_NONE, "" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct guess g;
		struct http_header h = { str_from(with[i].name), str_from(with[i].value) };
		print_message("# %s: %s\n", with[i].name, with[i].body);
		assert_true(guess_answer(str_from(with[i].body), STR_NONE, NULL, 0, &a, &g, &e));
		guess_headers(&g, &h, 1, &a);
		assert_int_equal(g.style, with[i].style);
		text_is(g.from_header, with[i].from_header);
		text_is(g.doubt, with[i].doubt);
		if (g.style != GUESS_NEXT_URL)
			text_is(g.query, with[i].parameter);
		arena_free(&a);
	}
}

static void refuses(void **state)
{
	static const char *const bad[] = { "", "<html>", "{\"data\":[", "{\"a\":1,\"a\":2}" };
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct guess g;
		assert_false(guess_answer(str_from(bad[i]), STR_NONE, NULL, 0, &a, &g, &e));
		assert_int_equal(e.code, ERR_JSON);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(guesses), cmocka_unit_test(headers), cmocka_unit_test(refuses) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
