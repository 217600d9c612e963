#include "ingest/request.h"

#include "conversation.h"

static void requests(void **state)
{
	(void)state;
	assert_true(converse_all(TEST_DATA "/ingest/request/requests.txt") > 20);
}

struct fixture {
	struct arena a;
	struct test_case c;
	struct conversation v;
};

static void begin(struct fixture *f, const char *auth)
{
	*f = (struct fixture){ 0 };
	f->v = conversation_begin(&f->c, &f->a);
	set_url(&f->v, STR("https://api.example/v1"));
	struct case_line l = { .value = str_from(auth) };
	if (auth)
		set_auth(&f->v, &l);
	build(&f->v);
}

static void end(struct fixture *f)
{
	conversation_end(&f->v);
	arena_free(&f->a);
}

/* Whatever is redacted comes back, byte for byte, and only at its places. */
static void redaction_is_undone(void **state)
{
	static const char *const texts[] = {
		"", "x", "hidden-word", "a hidden-word b hidden-word", "~secret.KEY~", "~secret.KEY~hidden-word~secret.KEY~",
		"hidden-wor", "hidden-wordhidden-word", "/x?token=hidden-word&page=2",
	};
	(void)state;
	for (size_t style = PAGE_CURSOR; style <= PAGE_LINK; style++)
		for (size_t i = 0; i < COUNT(texts); i++) {
			struct fixture f;
			struct err e = ERR_INIT;
			struct str back;
			begin(&f, "header X-Key hidden-word");
			f.v.r.paginate.style = (enum page_style)style;
			struct page_next n = { .kind = NEXT_TEXT, .text = str_from(texts[i]) };
			assert_true(next_redact(&f.v.r, &n, &f.a, &e));
			assert_false(str_contains(n.text, STR("hidden-word")));
			assert_true(next_reveal(&f.v.r, &n, &f.a, &back, &e));
			assert_text(back, texts[i]);
			end(&f);
		}
}

static void what_cannot_be_undone_is_refused(void **state)
{
	static const struct {
		enum page_style style;
		const char *auth, *text;
		bool ok;
	} rows[] = {
		{ PAGE_CURSOR, "header X-Key p/ss word+9", "a p/ss word+9", true },
		{ PAGE_CURSOR, "header X-Key p/ss word+9", "a p%2Fss%20word%2B9", false },
		{ PAGE_LINK, "header X-Key p/ss word+9", "/x?a=p%2fss%20word%2B9", true },
		{ PAGE_LINK, "header X-Key p/ssword9", "/x?a=p/ssword9", true },
		{ PAGE_LINK, "header X-Key p/ssword9", "/x/p/ssword9?a=1", false },
		{ PAGE_LINK, "header X-Key p/ssword9", "/x/p%2Fssword9?a=1", true },
		{ PAGE_CURSOR, "basic me hidden-word", "bWU6aGlkZGVuLXdvcmQ=", false },
		{ PAGE_LINK, "basic me hidden-word", "/x?a=bWU6aGlkZGVuLXdvcmQ=", false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f;
		struct err e = ERR_INIT;
		begin(&f, rows[i].auth);
		f.v.r.paginate.style = rows[i].style;
		struct page_next n = { .kind = NEXT_TEXT, .text = str_from(rows[i].text) };
		if (next_redact(&f.v.r, &n, &f.a, &e) != rows[i].ok)
			fail_msg("row %zu: %s", i, e.message);
		if (!rows[i].ok)
			assert_int_equal(e.code, ERR_SECRET);
		end(&f);
	}
}

static void markers_of_others_are_refused(void **state)
{
	struct fixture f;
	struct err e = ERR_INIT;
	struct str out;
	(void)state;
	begin(&f, "header X-Key hidden-word");
	f.v.r.paginate.style = PAGE_CURSOR;
	struct next_marker other = { 0, STR("~secret.OTHER~") }, beyond = { 100, STR("~secret.KEY~") },
			   wrong = { 1, STR("~secret.KEY~") };
	struct page_next n = { .kind = NEXT_TEXT, .text = STR("~secret.OTHER~"), .markers = &other, .n_markers = 1 };
	assert_false(next_reveal(&f.v.r, &n, &f.a, &out, &e));
	assert_int_equal(e.code, ERR_SECRET);
	n = (struct page_next){ .kind = NEXT_TEXT, .text = STR("~secret.KEY~"), .markers = &beyond, .n_markers = 1 };
	assert_false(next_reveal(&f.v.r, &n, &f.a, &out, &e));
	n.markers = &wrong;
	assert_false(next_reveal(&f.v.r, &n, &f.a, &out, &e));
	end(&f);
}

static struct sha256 fingerprint(struct fixture *f)
{
	build(&f->v);
	assert_true(f->v.ok);
	return f->v.request.fingerprint;
}

/* Rule 12, and the words of request.h: a reader can compute it. */
static void fingerprints(void **state)
{
	struct fixture f, g;
	(void)state;
	begin(&f, "query key hidden-word");
	assert_true(sha256_eq(fingerprint(&f), sha256_of(STR("GET /items?key=~secret.KEY~\n\n"))));
	begin(&g, "query key another-word");
	set_url(&g.v, STR("http://localhost:9/other"));
	g.v.source.headers = NULL;
	assert_true(sha256_eq(fingerprint(&f), fingerprint(&g))); /* no origin, no secret */
	end(&g);
	f.v.r.post = true;
	f.v.r.body = body_template(&f.v, STR("{\"q\":1}"));
	assert_true(sha256_eq(fingerprint(&f), sha256_of(STR("POST /items?key=~secret.KEY~\n\n{\"q\":1}"))));
	f.v.r.paginate = (struct paginate){ .style = PAGE_CURSOR, .to = CURSOR_TO_HEADER, .param = STR("X-Next"),
					    .from = CURSOR_HEADER, .from_path = STR("X-Next") };
	f.v.next = (struct page_next){ .kind = NEXT_TEXT, .text = STR("c1") };
	assert_true(sha256_eq(fingerprint(&f), sha256_of(STR("POST /items?key=~secret.KEY~\nX-Next: c1\n\n{\"q\":1}"))));
	f.v.r.paginate.to = CURSOR_TO_BODY;
	f.v.r.paginate.param = STR("after");
	assert_true(sha256_eq(fingerprint(&f),
			      sha256_of(STR("POST /items?key=~secret.KEY~\n\n{\"q\":1,\"after\":\"c1\"}"))));
	end(&f);
}

static void limits_are_filled_in(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, NULL);
	f.v.source.limits.header_bytes = 11;
	f.v.source.limits.body_bytes = 12;
	f.v.source.connect_us = 13;
	f.v.source.first_byte_us = 14;
	f.v.source.total_us = 15;
	f.v.source.low_speed_bytes_s = 16;
	f.v.source.network_private = true;
	build(&f.v);
	const struct http_request *q = &f.v.request.http;
	assert_int_equal(q->max_header_bytes, 11);
	assert_int_equal(q->max_body_bytes, 12);
	assert_int_equal(q->connect_us, 13);
	assert_int_equal(q->first_byte_us, 14);
	assert_int_equal(q->total_us, 15);
	assert_int_equal(q->low_speed_bytes_s, 16);
	assert_int_equal(q->low_speed_us, 30000000);
	assert_true(q->allow_private);
	assert_null(q->user);
	end(&f);
}

static void redirects_end(void **state)
{
	struct fixture f;
	struct err e = ERR_INIT;
	struct page_request to;
	(void)state;
	begin(&f, NULL);
	for (unsigned hops = 0; hops < HOPS_MAX; hops++)
		assert_true(request_redirect(&f.v.r, &f.v.request, STR("/v1/x"), hops, &f.a, &to, &e));
	assert_false(request_redirect(&f.v.r, &f.v.request, STR("/v1/x"), HOPS_MAX, &f.a, &to, &e));
	assert_string_equal(e.message, "GET /items: more than 5 redirects");
	assert_true(sha256_eq(to.fingerprint, f.v.request.fingerprint));
	end(&f);
}

static void shown_texts_are_harmless(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, "bearer hidden-word");
	assert_text(text_shown(&f.v.r, STR("a\x1b[31m\n hidden-word"), 100, &f.a), "a.[31m. ~secret.KEY~");
	assert_text(text_shown(&f.v.r, STR("0123456789"), 4, &f.a), "0123...");
	assert_text(text_shown(&f.v.r, STR("\xc3\xa4\xc3\xa4"), 3, &f.a), "\xc3\xa4...");
	assert_text(text_shown(&f.v.r, STR("xxhidden-word"), 8, &f.a), "xx~secre...");
	assert_text(text_shown(&f.v.r, STR_NONE, 8, &f.a), "");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(redaction_is_undone),
		cmocka_unit_test(what_cannot_be_undone_is_refused),
		cmocka_unit_test(markers_of_others_are_refused),
		cmocka_unit_test(fingerprints),
		cmocka_unit_test(limits_are_filled_in),
		cmocka_unit_test(redirects_end),
		cmocka_unit_test(shown_texts_are_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
