#include "base/json.h"

#include "base/check.h"
#include "base/json_lex.h"

/* What may come next. */
enum state {
	STATE_DOCUMENT,     /* the one value */
	STATE_KEY_OR_END,   /* after '{' */
	STATE_MEMBER,       /* after the colon: a value */
	STATE_AFTER_MEMBER, /* ',' or '}' */
	STATE_ITEM_OR_END,  /* after '[' */
	STATE_AFTER_ITEM,   /* ',' or ']' */
	STATE_DOCUMENT_END, /* white space */
	STATE_DONE,
	STATE_BAD,
};

static const char fault_key[] = "a key in double quotes expected";
static const char fault_colon[] = "a colon expected";
static const char fault_depth[] = "nested too deep";
static const char fault_member[] = "a comma or } expected";
static const char fault_item[] = "a comma or ] expected";
static const char fault_more[] = "the document has ended, nothing may follow";

/* ── words: the slow halves ── */

LEX_COLD const char *json_lex_fault(struct json_scan *s, const char *fault, const char *at)
{
	/* The first fault is the one to show; whatever is missing at the very end is missing because of the end. */
	if (s->state != STATE_BAD) {
		s->state = STATE_BAD;
		s->fault = at == s->end ? "the document ends too early" : fault;
		s->fault_at = (size_t)(at - s->start);
		if (s->start == s->end)
			s->fault = "the document is empty";
	}
	return NULL;
}

LEX_COLD const char *json_lex_ends(struct json_scan *s)
{
	return json_lex_fault(s, "", s->end);
}

__attribute__((noinline)) const char *json_lex_space_run(const char *p, const char *end)
{
	for (;;) {
		while (end - p >= 8 && lex_word(p) == LEX_EACH(' ')) /* indented documents */
			p += 8;
		if (p == end || (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t'))
			return p;
		p++;
	}
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* p: at the backslash. */
static const char *lex_escape(struct json_scan *s, const char *p)
{
	if (++p == s->end)
		return json_lex_ends(s);
	switch (*p) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 1;
	case 'u':
		p++;
		for (int i = 0; i < 4; i++, p++)
			if (p == s->end || !is_hex(*p))
				return json_lex_fault(s, "four hexadecimal digits expected after \\u", p);
		return p;
	default:
		return json_lex_fault(s, "unknown escape in a string", p);
	}
}

/* p: anywhere in a string. */
__attribute__((noinline)) const char *json_lex_string_rest(struct json_scan *s, const char *p, bool *escaped)
{
	const char *end = s->end;

	while (p < end) {
		unsigned char c = (unsigned char)*p;

		if (c == '"')
			return p;
		if (c == '\\') {
			*escaped = true;
			p = lex_escape(s, p);
			if (!p)
				return NULL;
		} else if (c >= 0x80) {
			int n = lex_utf8(p, end);

			if (n <= 0)
				return json_lex_fault(s, "not UTF-8", n < 0 ? end : p);
			p += n;
			if (p < end && (unsigned char)*p >= 0x80)
				continue;
		} else if (c < 0x20) {
			return json_lex_fault(s, c ? "a raw control character in a string" : "a NUL byte in a string",
					      p);
		} else {
			p++;
		}
		while (end - p >= LEX_BLOCK) {
			unsigned n = lex_plain(p);

			p += n;
			if (n < LEX_BLOCK)
				break;
		}
	}
	return json_lex_ends(s);
}

/* p: at 'e' or 'E'. */
__attribute__((noinline)) const char *json_lex_exponent(struct json_scan *s, const char *p)
{
	const char *first;

	p++;
	if (p < s->end && (*p == '+' || *p == '-'))
		p++;
	first = p;
	p = lex_digits(p, s->end);
	return p == first ? json_lex_fault(s, "a digit expected", p) : p;
}

/* Why no value begins at p; common mistakes are named. */
LEX_COLD const char *json_lex_value_fault(struct json_scan *s, const char *p)
{
	static const char *const words[] = { "true", "false", "null" };
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(s->end - p);

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t n = 0;

		while (n < left && words[i][n] && words[i][n] == p[n])
			n++;
		if (n)
			return json_lex_fault(s, "true, false or null expected", p + n);
	}
	if (!left)
		return json_lex_ends(s);
	if (p == s->start) {
		if (left >= 3 && memcmp(u, "\xef\xbb\xbf", 3) == 0)
			return json_lex_fault(s, "a byte order mark (BOM) in front of the document", p);
		if (left >= 2 && (memcmp(u, "\xff\xfe", 2) == 0 || memcmp(u, "\xfe\xff", 2) == 0))
			return json_lex_fault(s, "UTF-16 (it begins with its byte order mark); JSON is UTF-8", p);
	}
	switch (*p) {
	case 'N':
	case 'I':
		return json_lex_fault(s, "a value expected (NaN and Infinity are not JSON)", p);
	case '\'':
		return json_lex_fault(s, "a value expected (strings take double quotes)", p);
	case '/':
	case '#':
		return json_lex_fault(s, "a value expected (comments are not JSON)", p);
	case '+':
	case '.':
		return json_lex_fault(s, "a value expected (a number begins with a digit or -)", p);
	case '\0':
		return json_lex_fault(s, "a value expected, not a NUL byte", p);
	default:
		return json_lex_fault(s, "a value expected", p);
	}
}

/* ── the bit stack ── */

LEX_HOT bool open_level(struct json_scan *s, uint32_t depth, bool object)
{
	uint64_t bit = (uint64_t)1 << (depth % 64);
	uint64_t *word = &s->kinds[depth / 64];

	if (LEX_UNLIKELY(depth >= s->max_depth))
		return false;
	*word = object ? *word | bit : *word & ~bit;
	return true;
}

/* Is the innermost of `depth` (> 0) open levels an object? */
LEX_HOT bool is_object(const struct json_scan *s, uint32_t depth)
{
	return s->kinds[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
}

static inline uint8_t state_after(const struct json_scan *s, uint32_t depth)
{
	return (uint8_t)(depth == 0 ? STATE_DOCUMENT_END : is_object(s, depth) ? STATE_AFTER_MEMBER : STATE_AFTER_ITEM);
}

/* ── events ── */

void json_open(struct json_scan *s, struct str document, uint32_t max_depth)
{
	CHECK(max_depth <= JSON_DEPTH_MAX);
	*s = (struct json_scan){ .start = document.p ? document.p : "", .max_depth = max_depth };
	s->p = s->value_start = s->start;
	s->end = s->start + document.n;
	s->state = STATE_DOCUMENT;
}

static enum json_event close_level(struct json_scan *s, const char *p, enum json_event event)
{
	s->value_start = p;
	s->value = (struct str){ p, 1 };
	s->p = p + 1;
	s->depth--;
	s->state = state_after(s, s->depth);
	return event;
}

/* p: at a key's quote. */
LEX_HOT enum json_event next_key(struct json_scan *s, const char *p)
{
	const char *end = s->end, *close;

	if (LEX_UNLIKELY(p == end || *p != '"')) {
		json_lex_fault(s, fault_key, p);
		return JSON_BAD;
	}
	s->escaped = false;
	close = lex_string(s, p + 1, end, &s->escaped);
	if (LEX_UNLIKELY(!close))
		return JSON_BAD;
	s->value_start = p;
	s->value = (struct str){ p + 1, (size_t)(close - p - 1) };
	p = lex_space(close + 1, end);
	if (LEX_UNLIKELY(p == end || *p != ':')) {
		json_lex_fault(s, fault_colon, p);
		return JSON_BAD;
	}
	s->p = p + 1;
	s->state = STATE_MEMBER;
	return JSON_KEY;
}

LEX_HOT enum json_event next_container(struct json_scan *s, const char *p, bool object)
{
	if (LEX_UNLIKELY(!open_level(s, s->depth, object))) {
		json_lex_fault(s, fault_depth, p);
		return JSON_BAD;
	}
	s->depth++;
	s->value = (struct str){ p, 1 };
	s->p = p + 1;
	s->state = object ? STATE_KEY_OR_END : STATE_ITEM_OR_END;
	return object ? JSON_OBJECT : JSON_ARRAY;
}

/* p: at the first byte of a value, or the end. */
LEX_HOT enum json_event next_value(struct json_scan *s, const char *p, uint8_t after)
{
	const char *end = s->end, *stop;
	enum json_event event;

	if (LEX_UNLIKELY(p == end)) {
		json_lex_ends(s);
		return JSON_BAD;
	}
	s->value_start = p;
	switch (*p) {
	case '"':
		s->escaped = false;
		stop = lex_string(s, p + 1, end, &s->escaped);
		if (LEX_UNLIKELY(!stop))
			return JSON_BAD;
		s->value = (struct str){ p + 1, (size_t)(stop - p - 1) };
		s->p = stop + 1;
		s->state = after;
		return JSON_STRING;
	case '{':
		return next_container(s, p, true);
	case '[':
		return next_container(s, p, false);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		event = JSON_NUMBER;
		stop = lex_number(s, p, end);
		break;
	default:
		event = *p == 't' ? JSON_TRUE : *p == 'f' ? JSON_FALSE : JSON_NULL;
		stop = lex_literal(s, p, end);
		break;
	}
	if (LEX_UNLIKELY(!stop))
		return JSON_BAD;
	s->value = (struct str){ p, (size_t)(stop - p) };
	s->p = stop;
	s->state = after;
	return event;
}

enum json_event json_next(struct json_scan *s)
{
	const char *end = s->end, *p = lex_space(s->p, end);

	switch (s->state) {
	case STATE_AFTER_MEMBER:
		if (LEX_LIKELY(p < end && *p == ','))
			return next_key(s, lex_space(p + 1, end));
		if (p < end && *p == '}')
			return close_level(s, p, JSON_OBJECT_END);
		json_lex_fault(s, fault_member, p);
		return JSON_BAD;
	case STATE_MEMBER:
		return next_value(s, p, STATE_AFTER_MEMBER);
	case STATE_KEY_OR_END:
		if (p < end && *p == '}')
			return close_level(s, p, JSON_OBJECT_END);
		return next_key(s, p);
	case STATE_AFTER_ITEM:
		if (p < end && *p == ']')
			return close_level(s, p, JSON_ARRAY_END);
		if (LEX_UNLIKELY(p == end || *p != ',')) {
			json_lex_fault(s, fault_item, p);
			return JSON_BAD;
		}
		return next_value(s, lex_space(p + 1, end), STATE_AFTER_ITEM);
	case STATE_ITEM_OR_END:
		if (p < end && *p == ']')
			return close_level(s, p, JSON_ARRAY_END);
		return next_value(s, p, STATE_AFTER_ITEM);
	case STATE_DOCUMENT:
		return next_value(s, p, STATE_DOCUMENT_END);
	case STATE_DOCUMENT_END:
		s->p = p;
		if (p < end) {
			json_lex_fault(s, fault_more, p);
			return JSON_BAD;
		}
		s->state = STATE_DONE;
		return JSON_DONE;
	case STATE_DONE:
		return JSON_DONE;
	default:
		return JSON_BAD;
	}
}

/* memcmp() of short texts without the call; p has n bytes. */
LEX_HOT bool same_bytes(const char *p, const char *q, size_t n)
{
	if (n >= 8) {
		uint64_t differ = lex_word(p + n - 8) ^ lex_word(q + n - 8);

		for (size_t i = 0; i + 8 < n; i += 8)
			differ |= lex_word(p + i) ^ lex_word(q + i);
		return differ == 0;
	}
	if (n >= 4) {
		uint32_t first[2], last[2];

		memcpy(&first[0], p, 4);
		memcpy(&first[1], q, 4);
		memcpy(&last[0], p + n - 4, 4);
		memcpy(&last[1], q + n - 4, 4);
		return ((first[0] ^ first[1]) | (last[0] ^ last[1])) == 0;
	}
	for (size_t i = 0; i < n; i++)
		if (p[i] != q[i])
			return false;
	return true;
}

enum json_event json_next_guess(struct json_scan *s, struct str key)
{
	const char *end = s->end, *p = lex_space(s->p, end);

	CHECK(s->state != STATE_MEMBER);
	if (LEX_LIKELY(s->state == STATE_AFTER_MEMBER && p < end && *p == ','))
		p = lex_space(p + 1, end);
	else if (s->state != STATE_KEY_OR_END)
		return json_next(s);
	if (LEX_LIKELY((size_t)(end - p) > key.n && same_bytes(p, key.p, key.n))) {
		p = lex_space(p + key.n, end);
		if (LEX_LIKELY(p < end && *p == ':'))
			return next_value(s, lex_space(p + 1, end), STATE_AFTER_MEMBER);
	}
	return json_next(s);
}

size_t json_offset(const struct json_scan *s)
{
	return (size_t)(s->value_start - s->start);
}

/* ── over a whole value ── */

/* Reads from `p` until no more than `floor` levels are open. `state` says what stands at p: a value, or the inside of
 * a container that was opened just now. Gives the place after it. This is json_next() without the events: everything
 * stays in registers. */
static const char *walk(struct json_scan *s, const char *p, enum state state, uint32_t floor)
{
	const char *end = s->end;
	uint32_t depth = s->depth;
	bool escaped = false, object = state == STATE_KEY_OR_END;

	if (state == STATE_KEY_OR_END)
		goto key_or_end;
	if (state == STATE_ITEM_OR_END)
		goto item_or_end;
value:
	p = lex_space(p, end);
	if (LEX_UNLIKELY(p == end))
		return json_lex_ends(s);
	if (*p == '"') {
		p = lex_string(s, p + 1, end, &escaped);
		if (LEX_UNLIKELY(!p))
			return NULL;
		p++;
	} else if ((unsigned char)(*p - '0') < 10 || *p == '-') {
		p = lex_number(s, p, end);
		if (LEX_UNLIKELY(!p))
			return NULL;
	} else if (*p == '{' || *p == '[') {
		object = *p == '{';
		if (LEX_UNLIKELY(!open_level(s, depth, object)))
			return json_lex_fault(s, fault_depth, p);
		depth++;
		p++;
		if (object)
			goto key_or_end;
		goto item_or_end;
	} else {
		p = lex_literal(s, p, end);
		if (LEX_UNLIKELY(!p))
			return NULL;
	}
after:
	if (LEX_UNLIKELY(depth == floor))
		return p;
	p = lex_space(p, end);
	if (LEX_LIKELY(p < end && *p == ',')) {
		p++;
		if (!object)
			goto value;
		p = lex_space(p, end);
		goto key;
	}
	if (LEX_UNLIKELY(p == end || *p != (object ? '}' : ']')))
		return json_lex_fault(s, object ? fault_member : fault_item, p);
close:
	p++;
	depth--;
	object = depth && is_object(s, depth);
	goto after;
item_or_end:
	p = lex_space(p, end);
	if (p < end && *p == ']')
		goto close;
	goto value;
key_or_end:
	p = lex_space(p, end);
	if (p < end && *p == '}')
		goto close;
key:
	if (LEX_UNLIKELY(p == end || *p != '"'))
		return json_lex_fault(s, fault_key, p);
	p = lex_string(s, p + 1, end, &escaped);
	if (LEX_UNLIKELY(!p))
		return NULL;
	p = lex_space(p + 1, end);
	if (LEX_UNLIKELY(p == end || *p != ':'))
		return json_lex_fault(s, fault_colon, p);
	p++;
	goto value;
}

bool json_skip(struct json_scan *s)
{
	uint8_t state = s->state;
	uint32_t floor = s->depth;
	const char *p = s->p;

	if (state == STATE_BAD)
		return false;
	CHECK(state == STATE_KEY_OR_END || state == STATE_ITEM_OR_END || state == STATE_MEMBER);
	if (state == STATE_MEMBER) {
		p = lex_space(p, s->end);
		s->value_start = p;
	} else {
		floor--;
	}
	p = walk(s, p, state, floor);
	if (!p)
		return false;
	s->p = p;
	s->value = (struct str){ s->value_start, (size_t)(p - s->value_start) };
	s->depth = floor;
	s->state = state_after(s, floor);
	return true;
}

bool json_valid(struct str document, uint32_t max_depth, const char **fault, size_t *fault_at)
{
	struct json_scan s;
	const char *p;

	json_open(&s, document, max_depth);
	p = walk(&s, s.p, STATE_DOCUMENT, 0);
	if (p) {
		p = lex_space(p, s.end);
		if (p == s.end)
			return true;
		json_lex_fault(&s, fault_more, p);
	}
	if (fault)
		*fault = s.fault;
	if (fault_at)
		*fault_at = s.fault_at;
	return false;
}
