#include "ingest/page.h"

#include "base/check.h"
#include "base/number.h"
#include "format/warc.h"
#include "ingest/link.h"
#include "ingest/page_say.h"

#include <string.h>

enum { VALUE_SHOWN = 200, TARGET_SHOWN = 512 };

/* All that is wanted from a body, in one pass. */
enum wanted { WANT_RECORDS, WANT_TOTAL, WANT_OK, WANT_FROM, WANT_MORE, WANT_PAGES, WANTED };

struct judge {
	const struct resource *r;
	const struct http_exchange *x;
	const struct page_request *request;
	const struct page_next *asked;
	struct arena *a;
	struct json_pick picks[WANTED];
	size_t n_picks;
	const struct json_pick *want[WANTED]; /* NULL: not declared */
};

/* ── values ── */

static bool is_given(const struct json_pick *p)
{
	return p && p->found && p->type != JSON_NULL;
}

/* Between the quotes. */
static struct str inside(struct str raw)
{
	return str_sub(raw, 1, raw.n - 2);
}

static bool no_number(const struct judge *j, const struct json_pick *p, const char *what, struct err *e)
{
	return err_set(e, ERR_RECORDS, "`%.*s` should hold the number of %s, but is %.*s", STR_ARG(p->path), what,
		       STR_ARG(text_shown(j->r, p->raw, VALUE_SHOWN, j->a)));
}

/* A count as a number or as the text of one; absent and null: not given. */
static bool count_read(const struct judge *j, const struct json_pick *p, const char *what, bool *has, uint64_t *out,
		       struct err *e)
{
	int64_t v = 0;
	*has = is_given(p);
	if (!*has)
		return true;
	if (p->type == JSON_NUMBER && number_to_i64(p->raw, &v) == NUMBER_OK && v >= 0) {
		*out = (uint64_t)v;
		return true;
	}
	if (p->type == JSON_STRING && str_to_u64(str_trim(inside(p->raw)), out) && *out <= INT64_MAX)
		return true;
	return no_number(j, p, what, e);
}

static bool text_of(const struct judge *j, const struct json_pick *p, struct str *out, struct err *e)
{
	if (p->raw.n > NEXT_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "`%.*s`, which leads to the next page, has %zu bytes (at most %d)",
			       STR_ARG(p->path), p->raw.n, NEXT_MAX_BYTES);
	if (!json_unescape(inside(p->raw), j->a, out))
		return err_set(e, ERR_JSON, "`%.*s` holds half a surrogate pair", STR_ARG(p->path));
	return true;
}

/* ── what leads on ── */

static bool is_none(const struct json_pick *p)
{
	return !is_given(p) || p->type == JSON_FALSE || (p->type == JSON_STRING && p->raw.n == 2);
}

static bool page_loop(const char *what, struct err *e)
{
	return err_set(e, ERR_PAGE_LOOP, "the %s that it names as the next is the one that was just used", what);
}

static bool same_text(const struct page_next *a, const struct page_next *b)
{
	return a->kind == NEXT_TEXT && b->kind == NEXT_TEXT && str_eq(a->text, b->text);
}

static bool cursor_in_body(const struct judge *j, struct str *text, bool *has, struct err *e)
{
	const struct json_pick *p = j->want[WANT_FROM];
	*has = !is_none(p);
	if (!*has)
		return true;
	if (p->type != JSON_STRING && p->type != JSON_NUMBER)
		return err_set(e, ERR_RECORDS, "`%.*s` should hold a cursor (a text or a number), but is %s",
			       STR_ARG(p->path), say_kind(p->type));
	if (p->type == JSON_STRING && !text_of(j, p, text, e))
		return false;
	/* From a body to a body it stays the JSON value that it was. */
	if (p->type == JSON_NUMBER || j->r->paginate.to == CURSOR_TO_BODY)
		*text = p->raw;
	if (text->n > NEXT_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "a cursor of %zu bytes (at most %d)", text->n, NEXT_MAX_BYTES);
	return true;
}

static bool next_by_cursor(const struct judge *j, struct page_next *next, struct err *e)
{
	const struct paginate *p = &j->r->paginate;
	const struct json_pick *more = j->want[WANT_MORE];
	bool has = false;
	struct str text = STR_NONE;
	if (is_given(more) && more->type != JSON_TRUE && more->type != JSON_FALSE)
		return err_set(e, ERR_RECORDS, "`%.*s` should be true or false, but is %s", STR_ARG(more->path),
			       say_kind(more->type));
	if (is_given(more) && more->type == JSON_FALSE)
		return true;
	if (p->from == CURSOR_HEADER) {
		text = str_trim(http_header_get(j->x, arena_zero_terminated(j->a, p->from_path)));
		has = text.n > 0;
		if (text.n > NEXT_MAX_BYTES)
			return err_set(e, ERR_TOO_LARGE, "a cursor of %zu bytes (at most %d)", text.n, NEXT_MAX_BYTES);
	} else if (!cursor_in_body(j, &text, &has, e)) {
		return false;
	}
	if (!has && is_given(more))
		return err_set(e, ERR_RECORDS, "`%.*s` says that there is more, but `%.*s` gives no cursor",
			       STR_ARG(more->path), STR_ARG(p->from_path));
	if (!has)
		return true;
	*next = (struct page_next){ .kind = NEXT_TEXT, .text = arena_copy(j->a, text) };
	if (!next_redact(j->r, next, j->a, e))
		return false;
	return !same_text(next, j->asked) || page_loop("cursor", e);
}

static bool next_by_url(const struct judge *j, struct str reference, struct page_next *next, struct err *e)
{
	const struct url *here = &j->request->url;
	struct page_next self;
	struct err ignored = ERR_INIT;
	if (!next_from_url(j->r, here, reference, next, j->a, e))
		return err_wrap(e, "the next URL");
	if (same_text(next, j->asked))
		return page_loop("URL", e);
	/* The first page is known by no URL of the API's, and a redirect leads elsewhere than was asked. */
	if (next_from_url(j->r, here, STR(""), &self, j->a, &ignored) && same_text(next, &self))
		return page_loop("URL", e);
	return true;
}

static bool next_by_body_url(const struct judge *j, struct page_next *next, struct err *e)
{
	const struct json_pick *p = j->want[WANT_FROM];
	struct str text = STR_NONE;
	if (is_none(p))
		return true;
	if (p->type != JSON_STRING)
		return err_set(e, ERR_RECORDS, "`%.*s` should hold the URL of the next page, but is %s",
			       STR_ARG(p->path), say_kind(p->type));
	if (!text_of(j, p, &text, e))
		return false;
	return str_trim(text).n == 0 || next_by_url(j, text, next, e);
}

static bool next_by_link(const struct judge *j, struct page_next *next, struct err *e)
{
	struct str target;
	bool found;
	if (!link_find(j->x, j->r->paginate.rel, &target, &found, e))
		return false;
	return !found || next_by_url(j, target, next, e);
}

static bool next_by_number(const struct judge *j, uint64_t records, struct page_next *next, struct err *e)
{
	const struct paginate *p = &j->r->paginate;
	int64_t number = j->asked->kind == NEXT_NUMBER ? j->asked->number : p->first;
	uint64_t pages = 0;
	bool has_pages = false;
	if (!count_read(j, j->want[WANT_PAGES], "pages", &has_pages, &pages, e))
		return false;
	if (records == 0 || (p->end == END_SHORT && p->size > 0 && records < p->size))
		return true;
	int64_t nth = number - p->first + 1;
	if (has_pages && nth > (int64_t)pages)
		return err_set(e, ERR_TOTAL, "the answer declares %llu pages, and page %lld has %llu records",
			       (unsigned long long)pages, (long long)nth, (unsigned long long)records);
	if (has_pages && nth == (int64_t)pages)
		return true;
	int64_t step = p->style == PAGE_OFFSET ? (int64_t)records : 1;
	if (number > INT64_MAX - step)
		return err_set(e, ERR_PAGE_LOOP, "page number %lld is the last that can be counted", (long long)number);
	*next = (struct page_next){ .kind = NEXT_NUMBER, .number = number + step };
	return true;
}

static bool next_find(const struct judge *j, struct page_result *out, struct err *e)
{
	out->next = (struct page_next){ .kind = NEXT_END };
	switch (j->r->paginate.style) {
	case PAGE_NONE:
		return true;
	case PAGE_NUMBER:
	case PAGE_OFFSET:
		return next_by_number(j, out->records, &out->next, e);
	case PAGE_CURSOR:
		return next_by_cursor(j, &out->next, e);
	case PAGE_NEXT_URL:
		return next_by_body_url(j, &out->next, e);
	case PAGE_LINK:
		return next_by_link(j, &out->next, e);
	}
	check_failed("a style of pagination", __FILE__, __LINE__, __func__);
}

void page_settle(uint64_t records_before, struct page_result *result)
{
	if (result->next.kind != NEXT_NUMBER || !result->has_total)
		return;
	if (records_before >= result->total || result->records >= result->total - records_before)
		result->next = (struct page_next){ .kind = NEXT_END };
}

/* ── what probably leads on ── */

/* From the opening quote of a key to the value behind it. */
static struct str key_before(struct str body, size_t value_at)
{
	size_t quotes = 0, at = value_at;
	while (at > 0 && quotes < 2 && value_at - at < NEXT_AROUND_MAX)
		quotes += body.p[--at] == '"';
	return quotes == 2 ? str_sub(body, at, value_at - at) : STR_NONE;
}

static bool place_set(struct next_place *place, enum next_place_kind kind, struct str before, struct str after)
{
	if (before.n == 0 || before.n > NEXT_AROUND_MAX || after.n > NEXT_AROUND_MAX)
		return false;
	place->kind = kind;
	place->n_before = (uint16_t)before.n;
	place->n_after = (uint16_t)after.n;
	memcpy(place->before, before.p, before.n);
	if (after.n > 0)
		memcpy(place->after, after.p, after.n);
	return true;
}

static void place_learn(const struct judge *j, struct str body, struct next_place *place)
{
	const struct json_pick *from = j->want[WANT_FROM];
	if (j->want[WANT_MORE])
		return; /* two places must agree then */
	if (j->r->paginate.style == PAGE_LINK || j->r->paginate.from == CURSOR_HEADER)
		place->kind = PLACE_HEADER;
	if (!is_given(from) || from->type != JSON_STRING)
		return;
	size_t at = (size_t)(from->raw.p - body.p);
	struct str after = str_sub(body, at + from->raw.n, body.n);
	if (!place_set(place, PLACE_BACK, key_before(body, at), after))
		place_set(place, PLACE_FRONT, str_sub(body, 0, at), STR_NONE);
}

/* A text in quotes without escapes that ends (BACK) or begins (FRONT) at `at`. */
static bool text_at(struct str body, size_t at, bool back, struct str *raw)
{
	size_t from = at, to = at;
	while (back && from > 1 && at - from <= NEXT_MAX_BYTES && (at - from < 2 || body.p[from] != '"'))
		from--;
	while (!back && to < body.n && to - at <= NEXT_MAX_BYTES && (to < at + 2 || body.p[to - 1] != '"'))
		to++;
	*raw = str_sub(body, from, to - from);
	return raw->n >= 2 && raw->p[0] == '"' && raw->p[raw->n - 1] == '"' && str_find_char(*raw, '\\') == raw->n;
}

static bool find_place(const struct next_place *place, struct str body, struct str *raw)
{
	struct str before = { place->before, place->n_before }, after = { place->after, place->n_after };
	if (place->kind == PLACE_FRONT)
		return str_starts(body, before) && text_at(body, before.n, false, raw);
	return body.n > before.n + after.n && str_ends(body, after) && text_at(body, body.n - after.n, true, raw) &&
	       str_ends(str_sub(body, 0, (size_t)(raw->p - body.p)), before);
}

bool page_guess(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		const struct page_next *asked, const struct next_place *place, struct str body, struct arena *a,
		struct page_next *next)
{
	struct judge j = { .r = r, .x = x, .request = request, .asked = asked, .a = a };
	struct page_result guessed = { 0 };
	struct err ignored = ERR_INIT;
	if (place->kind == PLACE_UNKNOWN)
		return false;
	if (place->kind != PLACE_HEADER) {
		struct json_pick *from = &j.picks[j.n_picks++];
		*from = (struct json_pick){ .path = r->paginate.from_path, .found = true, .type = JSON_STRING };
		j.want[WANT_FROM] = from;
		if (!find_place(place, body, &from->raw))
			return false;
	}
	if (!next_find(&j, &guessed, &ignored) || guessed.next.kind != NEXT_TEXT)
		return false;
	*next = guessed.next;
	return true;
}

/* ── the body ── */

static void want(struct judge *j, enum wanted what, struct str path)
{
	j->want[what] = &j->picks[j->n_picks];
	j->picks[j->n_picks++] = (struct json_pick){ .path = path };
}

static void wants_collect(struct judge *j)
{
	const struct resource *r = j->r;
	const struct paginate *p = &r->paginate;
	want(j, WANT_RECORDS, r->records);
	if (r->total.n > 0)
		want(j, WANT_TOTAL, r->total);
	if (r->ok_path.n > 0)
		want(j, WANT_OK, r->ok_path);
	if (p->style == PAGE_NEXT_URL || (p->style == PAGE_CURSOR && p->from == CURSOR_BODY))
		want(j, WANT_FROM, p->from_path);
	if (p->style == PAGE_CURSOR && p->more_path.n > 0)
		want(j, WANT_MORE, p->more_path);
	if (p->style == PAGE_NUMBER && p->pages_path.n > 0)
		want(j, WANT_PAGES, p->pages_path);
}

static bool secrets_absent(const struct judge *j, struct str body, struct err *e)
{
	const struct secret_set *set = &j->r->source->secrets;
	size_t which;
	if (set->n == 0 || j->r->secret_in_body_keep || !secret_found(set, body, &which))
		return true;
	err_set(e, ERR_SECRET, "the body holds the secret %.*s, which must not be stored",
		STR_ARG(set->v[which]->reference));
	return err_hint(e, "if Raw may hold it, say `secret_in_body: keep` for resource %.*s", STR_ARG(j->r->name));
}

static bool is_good(const struct judge *j, struct err *e)
{
	const struct json_pick *p = j->want[WANT_OK];
	bool container = is_given(p) && (p->type == JSON_OBJECT || p->type == JSON_ARRAY);
	if (is_none(p) || (container && p->items == 0))
		return true;
	return err_set(e, ERR_RECORDS, "the answer reports an error: `%.*s` is %.*s", STR_ARG(p->path),
		       STR_ARG(text_shown(j->r, p->raw, VALUE_SHOWN, j->a)));
}

static bool empty_judge(const struct judge *j, struct page_result *out, struct err *e)
{
	if (j->r->empty == EMPTY_PAGE)
		return next_find(j, out, e);
	err_set(e, ERR_RECORDS, "%s, where records were expected",
		j->x->status == 204 ? "204 No Content" : "a body without a byte");
	return err_hint(e, "if that means no records, say `empty: page` for resource %.*s", STR_ARG(j->r->name));
}

/* Which of the two counts is anybody's guess (RFC 8259, 4): the other may hold records, or the way to more of them. */
static bool picks_plain(const struct judge *j, struct err *e)
{
	for (size_t i = 0; i < j->n_picks; i++) {
		const struct json_pick *p = &j->picks[i];
		if (!p->twice)
			continue;
		err_set(e, ERR_JSON, "\"%.*s\" occurs twice in its object (on the way to `%.*s`)", STR_ARG(p->twin),
			STR_ARG(p->path));
		return err_hint(e, "nobody can say which of the two counts, so nothing of it was kept as a page");
	}
	return true;
}

static bool judge(struct judge *j, struct str body, struct page_result *out, struct err *e)
{
	const struct http_limits *limits = &j->r->source->limits;
	const char *fault = NULL;
	size_t fault_at = 0;
	out->body = body;
	out->body_hash = sha256_of(body);
	if (body.n == 0)
		return empty_judge(j, out, e);
	wants_collect(j);
	if (!json_pick(body, limits->json_depth, j->picks, j->n_picks, &fault, &fault_at))
		return say_not_json(j->r, body, fault, fault_at, j->a, e);
	const struct json_pick *records = j->want[WANT_RECORDS];
	struct err ignored = ERR_INIT;
	out->in_form = records->found && records->type == JSON_ARRAY && is_good(j, &ignored);
	if (!secrets_absent(j, body, e) || !picks_plain(j, e) || !is_good(j, e))
		return false;
	if (!records->found || records->type != JSON_ARRAY)
		return say_no_records(j->r, body, records, j->a, e);
	out->records = records->items;
	if (j->r->paginate.style == PAGE_NUMBER || j->r->paginate.style == PAGE_OFFSET)
		out->records_hash = sha256_of(records->raw);
	if (j->r->keyset.n > 0)
		keyset_read(j->r, records->raw, j->a, &out->keys);
	if (!count_read(j, j->want[WANT_TOTAL], "all records", &out->has_total, &out->total, e) || !next_find(j, out, e))
		return false;
	if (out->next.kind == NEXT_TEXT)
		place_learn(j, body, &out->place);
	return true;
}

static bool fail_in(const struct page_request *request, struct err *e)
{
	return err_wrap(e, "%.*s %.*s", STR_ARG(request->http.method), STR_ARG(str_sub(request->target, 0, TARGET_SHOWN)));
}

bool page_decode(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		 struct buf *decoded, struct str *body, struct err *e)
{
	const struct http_limits *limits = &r->source->limits;
	if (x->outcome != HTTP_COMPLETE) {
		err_set(e, x->err.code, "%s", x->err.message);
		return fail_in(request, e);
	}
	return body_decode(x->head, x->body, limits->decoded_bytes, limits->decoded_ratio, decoded, body, e) ||
	       fail_in(request, e);
}

bool page_judge_body(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		     const struct page_next *asked, uint64_t records_before, struct str body, struct arena *a,
		     struct page_result *out, struct err *e)
{
	struct judge j = { .r = r, .x = x, .request = request, .asked = asked, .a = a };
	CHECK(asked->kind != NEXT_END);
	*out = (struct page_result){ 0 };
	if (!judge(&j, body, out, e))
		return fail_in(request, e);
	page_settle(records_before, out);
	return true;
}

bool page_judge(const struct resource *r, const struct http_exchange *x, const struct page_request *request,
		const struct page_next *asked, uint64_t records_before, struct buf *decoded, struct arena *a,
		struct page_result *out, struct err *e)
{
	struct str body = STR_NONE;
	*out = (struct page_result){ 0 };
	return page_decode(r, x, request, decoded, &body, e) &&
	       page_judge_body(r, x, request, asked, records_before, body, a, out, e);
}
