#include "ui/wrap.h"

#include <wchar.h>

size_t text_char_width(struct str s, size_t *bytes)
{
	wchar_t w = 0;
	mbstate_t state = { 0 };
	*bytes = str_utf8_char(s);
	if (*bytes == 0)
		*bytes = 1;
	if (mbrtowc(&w, s.p, *bytes, &state) > 4)
		return 1;
	int n = wcwidth(w);
	return n < 0 ? 1 : (size_t)n;
}

size_t text_width(struct str s)
{
	size_t width = 0, bytes;
	for (; s.n > 0; s = str_sub(s, bytes, s.n))
		width += text_char_width(s, &bytes);
	return width;
}

/* Up to the next space that is not inside of a command. */
static size_t word_length(struct str s)
{
	bool quoted = false;
	size_t n = 0;
	while (n < s.n && (quoted || s.p[n] != ' ')) {
		bool opens = s.p[n] == '`' && str_starts(str_sub(s, n, s.n), STR("`sluice "));
		quoted = s.p[n] == '`' ? !quoted && opens : quoted;
		n++;
	}
	return n;
}

static size_t spaces(struct str s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] == ' ')
		n++;
	return n;
}

static void wrap_line(struct str line, size_t width, struct buf *out)
{
	size_t indent = spaces(line), used = indent;
	size_t next = indent + 2 <= width / 2 ? indent + 2 : width / 2;
	buf_add(out, str_sub(line, 0, indent));
	line = str_sub(line, indent, line.n);
	bool first = true;
	while (line.n > 0) {
		size_t n = word_length(line), gap = 0;
		struct str word = str_sub(line, 0, n);
		size_t columns = text_width(word);
		line = str_sub(line, n, line.n);
		if (!first && used + columns > width) {
			while (out->n > 0 && out->p[out->n - 1] == ' ')
				out->n--;
			buf_addf(out, "\n%*s", (int)next, "");
			used = next;
		}
		buf_add(out, word);
		gap = spaces(line);
		buf_add(out, str_sub(line, 0, gap));
		line = str_sub(line, gap, line.n);
		used += columns + gap;
		first = false;
	}
}

void text_wrap(struct str text, size_t width, struct buf *out)
{
	while (text.n > 0) {
		size_t end = str_find_char(text, '\n');
		struct str line = str_sub(text, 0, end);
		if (text_width(line) <= width || str_starts(line, STR("  hint: sluice ")))
			buf_add(out, line);
		else
			wrap_line(line, width, out);
		if (end < text.n)
			buf_add_char(out, '\n');
		text = str_sub(text, end + 1, text.n);
	}
}
