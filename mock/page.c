#include "mock/page.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <string.h>

enum { CURSOR_BYTES = 13, BODY_MAX = 1 << 30 };

void pages_init(struct pages *s, const struct opt_top *top, struct str origin)
{
	*s = (struct pages){ .origin = origin, .base = top->base, .seed = top->seed };
	s->gzip_level = (int)top->gzip_level;
	cache_init(&s->cache, top->cache);
	s->compressor = libdeflate_alloc_compressor(s->gzip_level);
	if (!s->compressor)
		mem_exhausted(1);
}

void pages_free(struct pages *s)
{
	libdeflate_free_compressor(s->compressor);
	cache_free(&s->cache);
}

/* ── filter ── */

struct filter {
	int64_t from_us, to_us; /* half-open */
	const struct str *values[HTTP_PARAMS_MAX]; /* per key column; NULL: any */
};

static bool form_has_time(struct str form)
{
	return str_eq_z(form, "datetime") || str_starts(form, STR("epoch_")) || str_contains(form, STR("%H")) ||
	       str_contains(form, STR("%s"));
}

static int64_t next_day(const struct zone *z, int64_t us)
{
	struct civil c = zone_civil_from_us(z, us);
	int64_t day = (int64_t)days_from_civil(c.year, c.month, c.day) + 1;
	return zone_us_from_civil(z, civil_from_us(day * US_PER_DAY));
}

static int read_window(struct mock_resource *r, const struct http_request *q, struct filter *f, const char **why)
{
	const struct opt_window *w = &r->window;
	f->from_us = INT64_MIN; /* == TABLE_NO_TIME: rows without a time pass as long as there is no bound */
	f->to_us = INT64_MAX;
	if (w->column.n == 0)
		return 200;
	const struct http_field *from = http_param(q, w->from), *to = http_param(q, w->to);
	if (w->need && (!from || !to)) {
		*why = "both ends of the window are needed";
		return 400;
	}
	if ((from && !time_read(from->value, w->form, r->zone, &f->from_us)) ||
	    (to && !time_read(to->value, w->form, r->zone, &f->to_us))) {
		*why = "an end of the window has not the form that it should have";
		return 400;
	}
	if (from && to && f->from_us > f->to_us) {
		*why = "the window ends before it begins";
		return 400;
	}
	if (to && w->to_inclusive)
		f->to_us = form_has_time(w->form) ? f->to_us + 1 : next_day(r->zone, f->to_us);
	if (to && !from)
		f->from_us = INT64_MIN + 1;
	return 200;
}

static bool row_passes(const struct mock_resource *r, const struct filter *f, size_t row)
{
	const struct table *t = &r->table;
	if (t->time_us && (t->time_us[row] < f->from_us || t->time_us[row] >= f->to_us))
		return false;
	for (size_t k = 0; k < t->n_keys; k++)
		if (f->values[k] && !str_eq(t->keys[k].values[row], *f->values[k]))
			return false;
	return true;
}

static struct blob *select_rows(struct pages *s, struct mock_resource *r, const struct filter *f, struct str query)
{
	struct arena a = ARENA_INIT;
	struct str key = arena_format(&a, "s|%.*s|%.*s", STR_ARG(r->name), STR_ARG(query));
	struct blob *b = cache_get(&s->cache, key);
	if (!b) {
		uint32_t *rows = arena_array(&a, uint32_t, r->table.n_rows + 1);
		size_t n = 0;
		for (size_t i = 0; i < r->table.n_rows; i++)
			if (row_passes(r, f, i))
				rows[n++] = (uint32_t)i;
		b = cache_put(&s->cache, key, (struct str){ (const char *)rows, n * sizeof *rows });
	}
	arena_free(&a);
	return b;
}

static void add_query(struct buf *b, const struct http_field *f)
{
	if (!f)
		return;
	if (b->n)
		buf_add_char(b, '&');
	http_encode(b, f->name);
	buf_add_char(b, '=');
	http_encode(b, f->value);
}

/* ── cursors: Base64 of 13 bytes. They hold '+' and '=', so that a client must encode them, and are bound to the
 * filter, so that a cursor with another window's dates is refused. ── */

static uint32_t cursor_check(const struct pages *s, const struct page *p, uint64_t start)
{
	return (uint32_t)hash_fast(p->query, s->seed + start * UINT64_C(0x9e3779b97f4a7c15));
}

static struct str cursor_make(const struct pages *s, const struct page *p, size_t start, struct arena *a)
{
	unsigned char raw[CURSOR_BYTES] = { 0xfb };
	uint32_t check = cursor_check(s, p, start);
	uint64_t hidden = start ^ (UINT64_C(0x9e3779b97f4a7c15) * check);
	for (unsigned i = 0; i < 4; i++)
		raw[1 + i] = (unsigned char)(check >> (8 * i));
	for (unsigned i = 0; i < 8; i++)
		raw[5 + i] = (unsigned char)(hidden >> (8 * i));
	struct buf text = BUF_INIT(64);
	base64_encode(&text, (struct str){ (char *)raw, sizeof raw });
	struct str out = arena_copy(a, buf_str(&text));
	buf_free(&text);
	return out;
}

static bool cursor_read(const struct pages *s, const struct page *p, struct str text, struct arena *a, size_t *start)
{
	struct str raw;
	if (text.n > 64 || !base64_decode(text, a, &raw) || raw.n != CURSOR_BYTES)
		return false;
	uint32_t check = 0;
	uint64_t hidden = 0;
	for (unsigned i = 0; i < 4; i++)
		check |= (uint32_t)(unsigned char)raw.p[1 + i] << (8 * i);
	for (unsigned i = 0; i < 8; i++)
		hidden |= (uint64_t)(unsigned char)raw.p[5 + i] << (8 * i);
	*start = hidden ^ (UINT64_C(0x9e3779b97f4a7c15) * check);
	return cursor_check(s, p, *start) == check;
}

/* ── place ── */

static bool by_style(const struct opt_paginate *o, unsigned *by)
{
	switch (o->style) {
	case STYLE_PAGE: *by = BY_PAGE; return true;
	case STYLE_OFFSET: *by = BY_OFFSET; return true;
	case STYLE_CURSOR: *by = BY_CURSOR; return true;
	case STYLE_NEXT_URL:
	case STYLE_LINK: *by = o->by; return true;
	default: return false;
	}
}

static struct str place_param(const struct opt_paginate *o, unsigned by)
{
	return by == BY_PAGE ? o->page_param : by == BY_OFFSET ? o->offset_param : o->cursor_param;
}

static int read_place(struct pages *s, const struct http_request *q, struct arena *a, struct page *p, const char **why)
{
	const struct opt_paginate *o = &p->r->page;
	unsigned by;
	if (!by_style(o, &by)) {
		p->size = p->count = p->total;
		return 200;
	}
	const struct http_field *f = http_param(q, place_param(o, by));
	uint64_t n = 0;
	if (f && by == BY_PAGE) {
		bool ok = str_to_u64(f->value, &n) && n >= o->first && n < UINT32_MAX;
		p->start = ok ? (size_t)(n - o->first) * p->size : 0;
		*why = ok ? NULL : "this is no page number";
	} else if (f && by == BY_OFFSET) {
		*why = str_to_u64(f->value, &n) && n < UINT32_MAX ? NULL : "this is no offset";
		p->start = (size_t)n;
	} else if (f) {
		*why = cursor_read(s, p, f->value, a, &p->start) ? NULL : "this cursor is not one of ours for this query";
	}
	if (*why)
		return 400;
	if (p->start > 0 && p->start >= p->total && o->past_end == PAST_404) {
		*why = "there is no such page";
		return 404;
	}
	p->count = p->start >= p->total ? 0 : p->total - p->start < p->size ? p->total - p->start : p->size;
	p->next = p->start + p->size;
	p->has_next = p->next < p->total;
	return 200;
}

bool page_knows_param(const struct mock_resource *r, struct str name)
{
	const struct opt_paginate *o = &r->page;
	unsigned by = BY_PAGE;
	const struct str known[] = { r->window.column.n ? r->window.from : STR_NONE,
				     r->window.column.n ? r->window.to : STR_NONE,
				     by_style(o, &by) ? place_param(o, by) : STR_NONE,
				     o->style == STYLE_NONE ? STR_NONE : o->size_param };
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].n && str_eq(known[i], name))
			return true;
	for (size_t i = 0; i < r->o.keys.n; i++)
		if (str_eq(r->o.keys.v[i], name))
			return true;
	return false;
}

int page_find(struct pages *s, struct mock_resource *r, const struct http_request *q, struct arena *a, struct page *p,
	      const char **why)
{
	*p = (struct page){ .r = r, .size = (size_t)r->page.size };
	*why = NULL;
	struct filter f = { 0 };
	int status = read_window(r, q, &f, why);
	if (status != 200)
		return status;
	bool filtered = f.from_us != INT64_MIN || f.to_us != INT64_MAX;
	struct buf query = BUF_INIT(HTTP_HEAD_MAX * 4);
	if (r->window.column.n) {
		add_query(&query, http_param(q, r->window.from));
		add_query(&query, http_param(q, r->window.to));
	}
	for (size_t k = 0; k < r->table.n_keys && k < HTTP_PARAMS_MAX; k++) {
		const struct http_field *key = http_param(q, r->table.keys[k].name);
		add_query(&query, key);
		f.values[k] = key ? &key->value : NULL;
		filtered = filtered || key;
	}
	const struct http_field *size = http_param(q, r->page.size_param);
	if (size && r->page.style != STYLE_NONE) {
		uint64_t n;
		if (!str_to_u64(size->value, &n) || n == 0) {
			buf_free(&query);
			*why = "this is no page size";
			return 400;
		}
		p->size = (size_t)(n < r->page.max_size ? n : r->page.max_size);
	}
	if (filtered)
		p->rows = select_rows(s, r, &f, buf_str(&query));
	p->distinct = filtered ? p->rows->bytes.n / sizeof(uint32_t) : r->table.n_rows;
	p->total = p->distinct * (size_t)r->o.repeat;
	if (r->page.style != STYLE_NONE)
		add_query(&query, size);
	p->query = arena_copy(a, buf_str(&query));
	buf_free(&query);
	return read_place(s, q, a, p, why);
}

void page_spoil(struct page *p, enum fault f, const struct opt_rule *rule, struct str other_origin)
{
	unsigned by = p->r->page.style;
	size_t back = (size_t)rule->back * p->size;
	p->odd = true;
	switch (f) {
	case FAULT_same_cursor:
		if (by == STYLE_PAGE || by == STYLE_OFFSET) {
			p->start -= p->start >= p->size ? p->size : p->start;
			p->count = p->total - p->start < p->size ? p->total - p->start : p->size;
		} else if (by != STYLE_NONE) {
			p->next = p->start > back ? p->start - back : 0;
			p->has_next = true;
		}
		break;
	case FAULT_other_origin: p->next_origin = other_origin; break;
	case FAULT_missing_records: p->no_records = true; break;
	case FAULT_null_records: p->null_records = true; break;
	case FAULT_total_wrong: p->total_more = 1; break;
	case FAULT_short_page: p->count -= p->count > 0; break;
	case FAULT_empty_page: p->count = 0; break;
	default: p->odd = false;
	}
}

/* ── URLs ── */

static void add_place(struct pages *s, const struct page *p, size_t start, struct buf *out)
{
	const struct opt_paginate *o = &p->r->page;
	unsigned by = BY_PAGE;
	by_style(o, &by);
	struct arena a = ARENA_INIT;
	if (by == BY_CURSOR)
		http_encode(out, cursor_make(s, p, start, &a));
	else
		buf_add_u64(out, by == BY_PAGE ? o->first + start / p->size : start);
	arena_free(&a);
}

static void add_url(struct pages *s, const struct page *p, size_t start, struct buf *out)
{
	const struct opt_paginate *o = &p->r->page;
	unsigned by = BY_PAGE;
	by_style(o, &by);
	if (p->next_origin.n)
		buf_add(out, p->next_origin);
	else if (str_eq_z(o->urls, "absolute"))
		buf_add(out, s->origin);
	else if (!str_eq_z(o->urls, "path") && !str_eq_z(o->urls, "query"))
		buf_add(out, o->urls);
	if (p->next_origin.n || !str_eq_z(o->urls, "query")) {
		buf_add(out, s->base);
		buf_add(out, p->r->o.path);
	}
	buf_addf(out, "?%.*s%s", STR_ARG(p->query), p->query.n ? "&" : "");
	http_encode(out, place_param(o, by));
	buf_add_char(out, '=');
	add_place(s, p, start, out);
}

void page_headers(struct pages *s, const struct page *p, struct buf *out)
{
	const struct opt_paginate *o = &p->r->page;
	if (o->total_header.n)
		buf_addf(out, "%.*s: %" PRIu64 "\r\n", STR_ARG(o->total_header), p->total + p->total_more);
	if (o->style == STYLE_CURSOR && o->next_header.n && p->has_next) {
		struct arena a = ARENA_INIT;
		struct str cursor = cursor_make(s, p, p->next, &a);
		buf_addf(out, "%.*s: %.*s\r\n", STR_ARG(o->next_header), STR_ARG(cursor));
		arena_free(&a);
	}
	if (o->style != STYLE_LINK || p->size == 0)
		return;
	size_t last = p->total ? (p->total - 1) / p->size * p->size : 0;
	const struct { const char *rel; bool there; size_t start; } links[] = {
		{ "first", true, 0 },
		{ "prev", p->start >= p->size && p->start > 0, p->start >= p->size ? p->start - p->size : 0 },
		{ "next", p->has_next, p->next },
		{ "last", true, last },
	};
	buf_add_z(out, "Link: ");
	for (size_t i = 0, n = 0; i < sizeof links / sizeof links[0]; i++) {
		if (!links[i].there)
			continue;
		buf_add_z(out, n++ ? ", <" : "<");
		add_url(s, p, links[i].start, out);
		buf_addf(out, ">; rel=\"%s\"", links[i].rel);
	}
	buf_add_z(out, "\r\n");
}

/* ── body ── */

/* The column `number`, put inside the object that the row just became. */
static void add_number(const struct page *p, size_t number, struct buf *out)
{
	if (out->overflow)
		return;
	CHECK(out->n >= 2 && out->p[out->n - 1] == '}');
	out->n--;
	while (out->p[out->n - 1] == ' ' || out->p[out->n - 1] == '\t')
		out->n--;
	if (out->p[out->n - 1] != '{')
		buf_add_char(out, ',');
	json_escape(out, p->r->o.number);
	buf_add_char(out, ':');
	buf_add_u64(out, number);
	buf_add_char(out, '}');
}

static void add_records(const struct page *p, struct buf *out)
{
	const uint32_t *rows = p->rows ? (const uint32_t *)(const void *)p->rows->bytes.p : NULL;
	buf_add_char(out, '[');
	for (size_t i = 0; i < p->count; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		size_t at = (p->start + i) % p->distinct;
		table_render(&p->r->table, rows ? rows[at] : at, out);
		if (p->r->o.number.n)
			add_number(p, p->start + i, out);
	}
	buf_add_char(out, ']');
}

static void add_next(struct pages *s, const struct page *p, struct buf *out)
{
	struct buf text = BUF_INIT(1 << 20);
	struct arena a = ARENA_INIT;
	if (p->has_next && p->r->page.style == STYLE_CURSOR)
		buf_add(&text, cursor_make(s, p, p->next, &a));
	else if (p->has_next)
		add_url(s, p, p->next, &text);
	if (p->has_next || p->r->page.end == END_EMPTY)
		json_escape(out, buf_str(&text));
	else
		buf_add_z(out, "null");
	arena_free(&a);
	buf_free(&text);
}

enum part { PART_RECORDS, PART_NEXT, PART_TOTAL, PART_PAGES, PART_MORE, PARTS };

static void add_part(struct pages *s, const struct page *p, enum part part, struct buf *out)
{
	switch (part) {
	case PART_RECORDS:
		if (p->null_records)
			buf_add_z(out, "null");
		else
			add_records(p, out);
		break;
	case PART_NEXT: add_next(s, p, out); break;
	case PART_TOTAL: buf_add_u64(out, p->total + p->total_more); break;
	case PART_PAGES: buf_add_u64(out, p->size ? (p->total + p->size - 1) / p->size : 0); break;
	default: buf_add_z(out, p->has_next ? "true" : "false");
	}
}

struct place {
	struct str path;
	enum part part;
};

/* The parts' places in byte order, so that those in one object stand together. */
static size_t body_places(const struct page *p, struct place places[PARTS])
{
	const struct opt_paginate *o = &p->r->page;
	bool next = o->style == STYLE_CURSOR || o->style == STYLE_NEXT_URL;
	next = next && (p->has_next || o->end != END_ABSENT);
	const struct str paths[PARTS] = { p->no_records ? STR_NONE : p->r->o.records, next ? o->next : STR_NONE,
					  o->total, o->style == STYLE_NONE ? STR_NONE : o->pages,
					  o->style == STYLE_NONE ? STR_NONE : o->more };
	size_t n = 0;
	for (enum part part = 0; part < PARTS; part++) {
		if (paths[part].n == 0)
			continue;
		size_t at = n++;
		for (; at > 0 && str_cmp(places[at - 1].path, paths[part]) > 0; at--)
			places[at] = places[at - 1];
		places[at] = (struct place){ paths[part], part };
	}
	return n;
}

static size_t count_dots(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '.';
	return n;
}

static void render_body(struct pages *s, const struct page *p, struct buf *out)
{
	if (p->r->o.records.n == 0 && !p->no_records) {
		add_part(s, p, PART_RECORDS, out);
		return;
	}
	struct place places[PARTS];
	size_t n = body_places(p, places);
	struct str before = STR_NONE;
	buf_add_char(out, '{');
	for (size_t i = 0; i < n; i++) {
		struct str path = places[i].path, key;
		size_t common = 0; /* objects that are open and stay open */
		for (size_t k = 0; k < path.n && k < before.n && path.p[k] == before.p[k]; k++)
			if (path.p[k] == '.')
				common = k + 1;
		for (size_t k = count_dots(str_sub(before, common, before.n)); k > 0; k--)
			buf_add_char(out, '}');
		if (i > 0)
			buf_add_char(out, ',');
		for (struct str rest = str_sub(path, common, path.n); str_cut(&rest, '.', &key);) {
			json_escape(out, key);
			buf_add_z(out, rest.n ? ":{" : ":");
		}
		add_part(s, p, places[i].part, out);
		before = path;
	}
	for (size_t k = count_dots(before); k > 0; k--)
		buf_add_char(out, '}');
	buf_add_char(out, '}');
}

bool page_gzip(struct pages *s, struct str plain, struct buf *out)
{
	size_t most = libdeflate_gzip_compress_bound(s->compressor, plain.n);
	char *room = buf_room(out, most);
	if (!room)
		return false;
	size_t n = libdeflate_gzip_compress(s->compressor, plain.n ? plain.p : "", plain.n, room, most);
	CHECK(n > 0);
	out->n += n;
	return true;
}

struct blob *page_body(struct pages *s, const struct page *p, bool gzip)
{
	struct arena a = ARENA_INIT;
	struct str key = arena_format(&a, "%c|%.*s|%.*s|%zu|%zu", gzip ? 'z' : 'p', STR_ARG(p->r->name),
				      STR_ARG(p->query), p->start, p->size);
	struct blob *b = p->odd ? NULL : cache_get(&s->cache, key);
	if (!b) {
		struct buf body = BUF_INIT(BODY_MAX);
		struct blob *plain = gzip ? page_body(s, p, false) : NULL;
		if (!gzip)
			render_body(s, p, &body);
		bool ok = gzip ? plain && page_gzip(s, plain->bytes, &body) : !body.overflow;
		if (p->odd) /* a name that nobody asks for */
			key = arena_format(&a, "odd|%" PRIu64, s->cache.made);
		b = ok ? cache_put(&s->cache, key, buf_str(&body)) : NULL;
		blob_release(plain);
		buf_free(&body);
	}
	arena_free(&a);
	return b;
}
