#include "base/json.h"

#include "base/check.h"
#include "base/json_lex.h"

/* 0: the byte goes out as it is, 1: it is not ASCII, 'u': \u00XX, else the letter of its short escape. */
static char escape_of(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return c < 0x20 ? 'u' : c >= 0x80 ? 1 : 0;
	}
}

/* Bytes of a sequence that began well and then broke off: they become one U+FFFD together. */
static size_t broken_length(const char *p, const char *end)
{
	size_t n = 1, left = (size_t)(end - p);

	/* A prefix counts if some continuation would make it whole, which lex_utf8() says of bytes that end there. */
	while (n < 3 && n < left && lex_utf8(p, p + n + 1) < 0)
		n++;
	return n;
}

void json_escape(struct buf *b, struct str v)
{
	const char *p = v.p ? v.p : "", *end = p + v.n, *from = p;

	buf_add_char(b, '"');
	while (p < end) {
		char c;
		int n;

		if (end - p >= LEX_BLOCK) {
			unsigned plain = lex_plain(p);

			p += plain;
			if (plain == LEX_BLOCK)
				continue;
		}
		c = escape_of((unsigned char)*p);
		n = c == 1 ? lex_utf8(p, end) : 1;
		if (c == 0 || (c == 1 && n > 0)) {
			p += n;
			continue;
		}
		buf_add_bytes(b, from, (size_t)(p - from));
		if (c == 1) {
			buf_add(b, STR("\xef\xbf\xbd"));
			p += broken_length(p, end);
		} else if (c == 'u') {
			buf_addf(b, "\\u%04x", (unsigned)(unsigned char)*p++);
		} else {
			buf_add_char(b, '\\');
			buf_add_char(b, c);
			p++;
		}
		from = p;
	}
	buf_add_bytes(b, from, (size_t)(end - from));
	buf_add_char(b, '"');
}

void json_put_key(struct json_out *o, struct str key)
{
	if (o->need_comma)
		buf_add_char(o->b, ',');
	json_escape(o->b, key);
	buf_add_char(o->b, ':');
	o->need_comma = false;
}

/* The comma and the key; what is written next is a value. */
static struct buf *put_start(struct json_out *o, const char *key)
{
	if (key)
		json_put_key(o, str_from(key));
	else if (o->need_comma)
		buf_add_char(o->b, ',');
	o->need_comma = true;
	return o->b;
}

void json_begin_object(struct json_out *o, const char *key)
{
	buf_add_char(put_start(o, key), '{');
	o->need_comma = false;
}

void json_end_object(struct json_out *o)
{
	buf_add_char(o->b, '}');
	o->need_comma = true;
}

void json_begin_array(struct json_out *o, const char *key)
{
	buf_add_char(put_start(o, key), '[');
	o->need_comma = false;
}

void json_end_array(struct json_out *o)
{
	buf_add_char(o->b, ']');
	o->need_comma = true;
}

void json_put_str(struct json_out *o, const char *key, struct str v)
{
	json_escape(put_start(o, key), v);
}

void json_put_z(struct json_out *o, const char *key, const char *v)
{
	if (v)
		json_put_str(o, key, str_from(v));
	else
		json_put_null(o, key);
}

void json_put_i64(struct json_out *o, const char *key, int64_t v)
{
	buf_add_i64(put_start(o, key), v);
}

void json_put_u64(struct json_out *o, const char *key, uint64_t v)
{
	buf_add_u64(put_start(o, key), v);
}

void json_put_bool(struct json_out *o, const char *key, bool v)
{
	buf_add(put_start(o, key), v ? STR("true") : STR("false"));
}

void json_put_null(struct json_out *o, const char *key)
{
	buf_add(put_start(o, key), STR("null"));
}

void json_put_raw(struct json_out *o, const char *key, struct str json)
{
	CHECK(json.n > 0);
	buf_add(put_start(o, key), json);
}
