/* Signatures: AWS's own published examples, and, called with a file of cases, the judge's other side: it prints what it signs
 * for each (test/e2e/test_aws_sign.py compares with botocore). */
#include "unit.h"

#include "base/file.h"
#include "base/json.h"
#include "driver/aws_sign.h"

#include <unistd.h>

enum { CASES_MAX_BYTES = 64 << 20 };

struct sign_case {
	struct aws_request r;
	struct aws_credentials c;
	bool presign;
	int64_t lifetime_s;
	struct str name, signature;
};

static const struct json_node *need(const struct json_node *n, const char *key)
{
	const struct json_node *v = json_get(n, key);
	if (!v)
		fail_msg("a case without %s", key);
	return v;
}

static struct sign_case case_read(struct str line, struct arena *a)
{
	struct json_node *n;
	struct err e = ERR_INIT;
	if (!json_parse(line, a, &n, &e))
		fail_msg("%s", e.message);
	const struct json_node *query = need(n, "query"), *headers = need(n, "headers");
	struct aws_query *q = arena_array(a, struct aws_query, query->n_children);
	struct http_header *h = arena_array(a, struct http_header, headers->n_children);
	size_t i = 0;
	for (const struct json_node *p = query->child; p; p = p->next)
		q[i++] = (struct aws_query){ p->child->text, p->child->next->text };
	i = 0;
	for (const struct json_node *p = headers->child; p; p = p->next)
		h[i++] = (struct http_header){ p->child->text, p->child->next->text };
	return (struct sign_case){
		.r = { .method = need(n, "method")->text, .scheme = need(n, "scheme")->text, .host = need(n, "host")->text,
		       .path = need(n, "path")->text, .query = q, .n_query = query->n_children, .headers = h,
		       .n_headers = headers->n_children, .payload_sha256 = need(n, "payload")->text,
		       .region = need(n, "region")->text, .service = need(n, "service")->text,
		       .now_us = json_i64_or(n, "time", 0) },
		.c = { need(n, "access")->text, need(n, "secret")->text, need(n, "token")->text, 0 },
		.presign = str_eq_z(need(n, "kind")->text, "query"),
		.lifetime_s = json_i64_or(n, "lifetime", 900),
		.name = json_str_or(n, "name", STR("?")),
		.signature = json_str_or(n, "signature", STR_NONE),
	};
}

static struct str cases_load(const char *path, struct arena *a)
{
	struct str all;
	struct err e = ERR_INIT;
	if (!file_read(path, CASES_MAX_BYTES, a, &all, &e))
		fail_msg("%s", e.message);
	return all;
}

static void examples(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct str all = cases_load(TEST_DATA "/driver/aws_sign.ndjson", &a), line;
	size_t n = 0;
	while (str_cut(&all, '\n', &line)) {
		struct sign_case c = case_read(line, &a);
		struct err e = ERR_INIT;
		struct aws_signed s = { 0 };
		struct str told;
		if (c.presign ? !aws_presign(&c.r, &c.c, c.lifetime_s, &a, &told, &e) : !aws_sign(&c.r, &c.c, &a, &s, &e))
			fail_msg("%.*s: %s", STR_ARG(c.name), e.message);
		if (!c.presign)
			told = s.headers[s.n_headers - 1].value;
		if (!c.signature.n || !str_ends(told, c.signature))
			fail_msg("%.*s: %.*s", STR_ARG(c.name), STR_ARG(told));
		n++;
	}
	assert_true(n >= 12);
	arena_free(&a);
}

/* What is sent: the URL in the order in which it was signed, our headers last, default ports and upper case gone. */
static void what_is_sent(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct aws_query q[] = { { STR("b"), STR("+ %") }, { STR("a"), STR("") }, { STR("b"), STR("!") } };
	struct http_header h[] = { { STR("Range"), STR("bytes=0-") }, { STR("User-Agent"), STR("x") } };
	struct aws_request r = { .method = STR("GET"), .scheme = STR("https"), .host = STR("Bucket.Example.COM:443"),
				 .path = STR("/a=b//c d/\xc3\xa4%2B/../x"), .query = q, .n_query = 3, .headers = h,
				 .n_headers = 2, .payload_sha256 = AWS_EMPTY_PAYLOAD, .region = STR("eu-central-1"),
				 .service = STR("s3"), .now_us = INT64_C(1790000000999999) };
	struct aws_credentials c = { STR("AKID"), STR("hidden-secret-key"), STR("hidden-token"), 0 };
	struct aws_signed s;
	struct str url;
	assert_true(aws_sign(&r, &c, &a, &s, &e));
	assert_text(s.url, "https://bucket.example.com/a%3Db//c%20d/%C3%A4%252B/../x?a=&b=%21&b=%2B%20%25");
	assert_int_equal(s.n_headers, 6);
	assert_text(s.headers[0].name, "Range");
	assert_text(s.headers[1].value, "x");
	assert_text(s.headers[2].name, "X-Amz-Date");
	assert_text(s.headers[2].value, "20260921T141320Z");
	assert_text(s.headers[3].name, "X-Amz-Content-Sha256");
	assert_text(s.headers[4].value, "hidden-token");
	assert_true(str_contains(s.headers[5].value,
		STR("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date;x-amz-security-token, ")));
	for (size_t i = 0; i < s.n_headers; i++)
		assert_false(str_contains(s.headers[i].value, c.secret_key));
	r.service = STR("sts");
	assert_true(aws_sign(&r, &c, &a, &s, &e));
	assert_int_equal(s.n_headers, 5);
	assert_true(aws_presign(&r, &c, 60, &a, &url, &e));
	assert_true(str_contains(url, STR("&X-Amz-Expires=60&")));
	arena_free(&a);
}

static void refusals(void **state)
{
	(void)state;
	static const struct {
		const char *host, *region, *header, *value, *access, *secret, *token;
		enum err_code want;
	} table[] = {
		{ "h", "r", "A", "b", "AK", "s", "", ERR_NONE },
		{ "h\r\nX: y", "r", "A", "b", "AK", "s", "", ERR_CONFIG },
		{ "h/../", "r", "A", "b", "AK", "s", "", ERR_CONFIG },
		{ "u@h", "r", "A", "b", "AK", "s", "", ERR_CONFIG },
		{ "", "r", "A", "b", "AK", "s", "", ERR_CONFIG },
		{ "h", "", "A", "b", "AK", "s", "", ERR_CONFIG },
		{ "h", "r/x", "A", "b", "AK", "s", "", ERR_CONFIG },
		{ "h", "r", "A B", "b", "AK", "s", "", ERR_CONFIG },
		{ "h", "r", "A", "b\nc", "AK", "s", "", ERR_CONFIG },
		{ "h", "r", "HOST", "b", "AK", "s", "", ERR_BUG },
		{ "h", "r", "X-Amz-Content-SHA256", "b", "AK", "s", "", ERR_BUG },
		{ "h", "r", "A", "b", "", "s", "", ERR_CREDENTIALS },
		{ "h", "r", "A", "b", "A K", "s", "", ERR_CREDENTIALS },
		{ "h", "r", "A", "b", "AK", "", "", ERR_CREDENTIALS },
		{ "h", "r", "A", "b", "AK", "hidden-one\n", "", ERR_CREDENTIALS },
		{ "h", "r", "A", "b", "AK", "s", "hidden-two\r\nX-Evil: 1", ERR_CREDENTIALS },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct aws_signed s;
		struct http_header h = { str_from(table[i].header), str_from(table[i].value) };
		struct aws_request r = { .method = STR("GET"), .scheme = STR("https"), .host = str_from(table[i].host),
					 .path = STR("/"), .headers = &h, .n_headers = 1,
					 .payload_sha256 = AWS_EMPTY_PAYLOAD, .region = str_from(table[i].region),
					 .service = STR("s3") };
		struct aws_credentials c = { str_from(table[i].access), str_from(table[i].secret),
					     str_from(table[i].token), 0 };
		bool ok = aws_sign(&r, &c, &a, &s, &e);
		if (ok != (table[i].want == ERR_NONE) || e.code != table[i].want || strstr(e.message, "hidden"))
			fail_msg("row %zu: %s", i, e.message);
		arena_free(&a);
	}
}

/* One line for each case: the URL, then name and value of each header that the signer added, tabs between. */
static int print_cases(const char *path)
{
	struct arena all = ARENA_INIT, a = ARENA_INIT;
	struct str text = cases_load(path, &all), line;
	while (str_cut(&text, '\n', &line)) {
		struct sign_case c = case_read(line, &a);
		struct err e = ERR_INIT;
		struct aws_signed s = { 0 };
		bool ok = c.presign ? aws_presign(&c.r, &c.c, c.lifetime_s, &a, &s.url, &e)
				    : aws_sign(&c.r, &c.c, &a, &s, &e);
		printf("%.*s", STR_ARG(ok ? s.url : str_from(e.message)));
		for (size_t i = c.r.n_headers; i < s.n_headers; i++)
			printf("\t%.*s\t%.*s", STR_ARG(s.headers[i].name), STR_ARG(s.headers[i].value));
		printf("\n");
		arena_reset(&a);
	}
	arena_free(&a);
	arena_free(&all);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return print_cases(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(what_is_sent),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
