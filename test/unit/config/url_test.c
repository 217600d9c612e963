#include "unit.h"

#include "config/pipeline.h"

static struct str url_text(const struct url *u, struct arena *a)
{
	struct str origin = origin_text(&u->origin, a);
	return arena_format(a, "%.*s%.*s%s%.*s", STR_ARG(origin), STR_ARG(u->path), u->query.n ? "?" : "",
			    STR_ARG(u->query));
}

static void parsed(void **state)
{
	static const char *const cases[][2] = { /* NULL: refused */
		{ "https://api.example.com", "https://api.example.com/" },
		{ "HTTPS://API.Example.COM:443/V1", "https://api.example.com/V1" },
		{ "http://a.example:80/", "http://a.example/" },
		{ "http://a.example:8080?x=1#y", "http://a.example:8080/?x=1" },
		{ "http://a.example:/x", "http://a.example/x" },
		{ "http://[::1]:8080/x", "http://[::1]:8080/x" },
		{ "http://[0:0:0:0:0:FFFF:127.0.0.1]/", "http://[::ffff:127.0.0.1]/" },
		{ "http://127.0.0.1/a/./b/../c", "http://127.0.0.1/a/c" },
		{ "http://a_b.example/", "http://a_b.example/" },
		{ "http://a.example/a b?c=\xc3\xa9&d=\"{}\"", "http://a.example/a%20b?c=%C3%A9&d=%22%7B%7D%22" },
		{ "http://a.example/%2e%2e/%41", "http://a.example/%2e%2e/%41" },
		{ "http://a.example?next=http://b.example/?x", "http://a.example/?next=http://b.example/?x" },
		{ "http://a.example/@b", "http://a.example/@b" },
		{ "http://a.example//b", "http://a.example//b" },
		{ "", NULL }, { "a.example/x", NULL }, { "/x", NULL }, { "http:", NULL }, { "http:/x", NULL },
		{ "http://", NULL }, { "http:///x", NULL }, { "ftp://a.example/", NULL }, { "file:///etc/passwd", NULL },
		{ "javascript:alert(1)", NULL }, { "http://u@a.example/", NULL }, { "http://u:p@a.example/", NULL },
		{ "http://good.example@evil.example/", NULL }, { "http://good.example\\@evil.example/", NULL },
		{ "http://good.example\\.evil.example/", NULL }, { "http://a b/", NULL }, { "http://a%2eb/", NULL },
		{ "http://a.example:0/", NULL }, { "http://a.example:65536/", NULL }, { "http://a.example:8x/", NULL },
		{ "http://a.example:-1/", NULL }, { "http://[::1/", NULL }, { "http://[::1]x/", NULL },
		{ "http://[fe80::1%25eth0]/", NULL }, { "http://2130706433/", NULL }, { "http://0x7f000001/", NULL },
		{ "http://127.1/", NULL }, { "http://0177.0.0.1/", NULL }, { "http://127.0.0.1./", NULL },
		{ "http://1.2.3.256/", NULL }, { "http://a..b/", NULL }, { "http://.a/", NULL },
		{ "http://\xc3\xa9.example/", NULL }, { "http://a.example/\r\nX: y", NULL }, { "http://a.example/\t", NULL },
		{ " http://a.example/", NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct url u;
		bool ok = url_parse(str_from(cases[i][0]), &a, &u, &e);
		if (ok != (cases[i][1] != NULL))
			fail_msg("%s: %s", cases[i][0], ok ? "was taken" : e.message);
		if (ok)
			assert_text(url_text(&u, &a), cases[i][1]);
		arena_free(&a);
	}
}

/* RFC 3986 5.4: the examples there, without those whose scheme is not http. */
static void resolved(void **state)
{
	static const char *const cases[][2] = {
		{ "g", "http://a/b/c/g" }, { "./g", "http://a/b/c/g" }, { "g/", "http://a/b/c/g/" }, { "/g", "http://a/g" },
		{ "//g", "http://g/" }, { "?y", "http://a/b/c/d;p?y" }, { "g?y", "http://a/b/c/g?y" },
		{ "#s", "http://a/b/c/d;p?q" }, { "g#s", "http://a/b/c/g" }, { "g?y#s", "http://a/b/c/g?y" },
		{ ";x", "http://a/b/c/;x" }, { "g;x", "http://a/b/c/g;x" }, { "g;x?y#s", "http://a/b/c/g;x?y" },
		{ "", "http://a/b/c/d;p?q" }, { ".", "http://a/b/c/" }, { "./", "http://a/b/c/" }, { "..", "http://a/b/" },
		{ "../", "http://a/b/" }, { "../g", "http://a/b/g" }, { "../..", "http://a/" }, { "../../", "http://a/" },
		{ "../../g", "http://a/g" }, { "../../../g", "http://a/g" }, { "../../../../g", "http://a/g" },
		{ "/./g", "http://a/g" }, { "/../g", "http://a/g" }, { "g.", "http://a/b/c/g." }, { ".g", "http://a/b/c/.g" },
		{ "g..", "http://a/b/c/g.." }, { "..g", "http://a/b/c/..g" }, { "./../g", "http://a/b/g" },
		{ "./g/.", "http://a/b/c/g/" }, { "g/./h", "http://a/b/c/g/h" }, { "g/../h", "http://a/b/c/h" },
		{ "g;x=1/./y", "http://a/b/c/g;x=1/y" }, { "g;x=1/../y", "http://a/b/c/y" },
		{ "g?y/./x", "http://a/b/c/g?y/./x" }, { "g?y/../x", "http://a/b/c/g?y/../x" },
		{ "g#s/../x", "http://a/b/c/g" }, { "?", "http://a/b/c/d;p" },
		{ "https://other.example/x?y", "https://other.example/x?y" }, { "  /g  ", "http://a/g" },
		{ "g:h", NULL }, { "file:///etc/passwd", NULL }, { "//u:p@g/x", NULL }, { "\\\\g\\x", NULL },
		{ "/\\g", NULL }, { "http:g", NULL }, { "x\ny", NULL },
	};
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct url base, u;
	(void)state;
	assert_true(url_parse(STR("http://a/b/c/d;p?q"), &a, &base, &e));
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool ok = url_resolve(&base, str_from(cases[i][0]), &a, &u, &e);
		if (ok != (cases[i][1] != NULL))
			fail_msg("%s: %s", cases[i][0], ok ? "was taken" : e.message);
		if (ok)
			assert_text(url_text(&u, &a), cases[i][1]);
	}
	arena_free(&a);
}

static void origins(void **state)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct url one, two;
	static const struct { const char *text; bool same; } cases[] = {
		{ "https://API.example.com:443/x", true }, { "http://api.example.com/", false },
		{ "https://api.example.com:444/", false }, { "https://api.example.com.evil.example/", false },
		{ "https://example.com/", false },
	};
	(void)state;
	assert_true(url_parse(STR("https://api.example.com/v1"), &a, &one, &e));
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(url_parse(str_from(cases[i].text), &a, &two, &e));
		assert_int_equal(origin_eq(&one.origin, &two.origin), cases[i].same);
	}
	arena_free(&a);
}

static void private_hosts(void **state)
{
	static const struct { const char *host; bool private, loopback; } cases[] = {
		{ "localhost", true, true }, { "127.0.0.1", true, true }, { "127.9.9.9", true, true }, { "::1", true, true },
		{ "::ffff:127.0.0.1", true, true }, { "10.1.2.3", true, false }, { "172.16.0.1", true, false },
		{ "172.31.255.255", true, false }, { "172.32.0.1", false, false }, { "192.168.1.1", true, false },
		{ "192.169.1.1", false, false }, { "fd00::1", true, false }, { "::ffff:10.0.0.1", true, false },
		{ "169.254.169.254", false, false }, { "fe80::1", false, false }, { "8.8.8.8", false, false },
		{ "localhost.example.com", false, false }, { "127.0.0.1.example.com", false, false }, { "", false, false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(host_is_private(str_from(cases[i].host)), cases[i].private);
		assert_int_equal(host_is_loopback(str_from(cases[i].host)), cases[i].loopback);
	}
}

static void encoded(void **state)
{
	struct buf b = BUF_INIT(64);
	(void)state;
	assert_true(url_encode(&b, STR("a-Z_0.~ &=+/\xc3\xa9%\0")));
	assert_text(buf_str(&b), "a-Z_0.~%20%26%3D%2B%2F%C3%A9%25%00");
	buf_free(&b);
	b = BUF_INIT(4);
	assert_true(url_encode(&b, STR("abcd")));
	assert_false(url_encode(&b, STR("e")));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsed),        cmocka_unit_test(resolved), cmocka_unit_test(origins),
		cmocka_unit_test(private_hosts), cmocka_unit_test(encoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
