/* The small XML reader: what it reads, and all that it refuses. */
#include "unit.h"

#include "base/buf.h"
#include "driver/store_s3_xml.h"

static const struct {
	const char *document, *want; /* "<a" opens, "a=text>" closes, "." the end, "!" refused */
} cases[] = {
	{ "<a/>", "<a a=> ." },
	{ "<a></a>", "<a a=> ." },
	{ "<a>b</a>", "<a a=b> ." },
	{ " \r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a>b</a>\n", "<a a=b> ." },
	{ "\xef\xbb\xbf<a>b</a>", "<a a=b> ." },
	{ "<a x='>' y=\"/>\"><b z = \"'\" /></a >", "<a <b b=> a=> ." },
	{ "<a>\n <b>1</b>\n <b>2</b>\n</a>", "<a <b b=1> <b b=2> a=> ." },
	{ "<a>text<b/>more</a>", "<a <b b=> a=> ." },
	{ "<ns:a><ns:b>1</ns:b></ns:a>", "<ns:a <ns:b ns:b=1> ns:a=> ." },
	{ "<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xe9;&#x20ac;&#x1F600;&#10;</a>", "<a a=<>&\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n> ." },
	{ "<a>1 > 0</a>", "<a a=1 > 0> ." },
	{ "<a>]]></a>", "<a a=]]>> ." },
	{ "", "!" },
	{ "  ", "!" },
	{ "text", "!" },
	{ "<a>", "<a !" },
	{ "<a", "!" },
	{ "<a b='1>", "!" },
	{ "<a b='<'/>", "!" },
	{ "<>x</>", "!" },
	{ "< a/>", "!" },
	{ "<1/>", "!" },
	{ "<a/b>", "!" },
	{ "</a>", "!" },
	{ "<a></b>", "<a !" },
	{ "<a></a", "<a !" },
	{ "<a><b></a></b>", "<a <b !" },
	{ "<a/><b/>", "<a a=> !" },
	{ "<a/>text", "<a a=> !" },
	{ "<a/></a>", "<a a=> !" },
	{ "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "!" },
	{ "<a>&x;</a>", "<a !" },
	{ "<a>&amp</a>", "<a !" },
	{ "<a>&;</a>", "<a !" },
	{ "<a>&#;</a>", "<a !" },
	{ "<a>&#x;</a>", "<a !" },
	{ "<a>&#0;</a>", "<a !" },
	{ "<a>&#xD800;</a>", "<a !" },
	{ "<a>&#xFFFE;</a>", "<a !" },
	{ "<a>&#x110000;</a>", "<a !" },
	{ "<a>&#99999999999999999999;</a>", "<a !" },
	{ "<a><!-- b --></a>", "<a !" },
	{ "<a><![CDATA[b]]></a>", "<a !" },
	{ "<a><?php x?></a>", "<a !" },
	{ "<a/><?xml version='1.0'?>", "<a a=> !" },
	{ "<?xml version='1.0'", "!" },
	{ "<a>\xff</a>", "!" },
	{ "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "<a <a <a <a <a <a <a <a <a <a <a <a <a <a <a <a !" },
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct buf got = BUF_INIT(4096);
		struct xml x = xml_begin(str_from(cases[i].document), &a);
		size_t depth = 0;
		for (enum xml_event event = XML_OPEN; event == XML_OPEN || event == XML_CLOSE;) {
			buf_add_z(&got, got.n ? " " : "");
			event = xml_next(&x);
			if (event == XML_OPEN) {
				assert_int_equal(x.depth, ++depth);
				buf_addf(&got, "<%.*s", STR_ARG(x.name));
			} else if (event == XML_CLOSE) {
				assert_int_equal(x.depth, depth--);
				buf_addf(&got, "%.*s=%.*s>", STR_ARG(x.name), STR_ARG(x.text));
			} else {
				buf_add_z(&got, event == XML_END ? "." : "!");
				assert_true((x.why != NULL) == (event == XML_BAD));
			}
		}
		if (!str_eq_z(buf_str(&got), cases[i].want))
			fail_msg("%s: got '%.*s', want '%s' (%s)", cases[i].document, STR_ARG(buf_str(&got)), cases[i].want,
				 x.why ? x.why : "");
		assert_true(xml_next(&x) == XML_BAD || x.why == NULL);
		buf_free(&got);
		arena_free(&a);
	}
}

/* Nothing that is cut off anywhere, or has a byte changed, does more than be refused or read. */
static void broken_anywhere(void **state)
{
	(void)state;
	static const char text[] = "<?xml version=\"1.0\"?>\n<a x=\"1\"><b>&#x42;&amp;</b><c/>\n</a>";
	for (size_t n = 0; n < sizeof text; n++)
		for (int change = 0; change < 256; change += 3) {
			struct arena a = ARENA_INIT;
			char *copy = arena_alloc(&a, sizeof text);
			memcpy(copy, text, n);
			if (n > 0)
				copy[n / 2] = (char)change;
			struct xml x = xml_begin((struct str){ copy, n }, &a);
			enum xml_event event;
			int events = 0;
			do
				event = xml_next(&x);
			while (event != XML_END && event != XML_BAD && ++events < 100);
			assert_true(events < 100);
			arena_free(&a);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(broken_anywhere),
	};
	return cmocka_run_group_tests_name("driver/store_s3_xml", tests, NULL, NULL);
}
