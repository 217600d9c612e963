#include "contract/draft_internal.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_MAX_BYTES = 1024, DIGITS_FAR = 1000 };

struct draft *draft_new(struct str table, size_t key_bytes_max)
{
	struct draft *d = mem_alloc(sizeof *d);
	d->table = arena_copy(&d->arena, table);
	d->key_bytes_max = key_bytes_max;
	return d;
}

void draft_free(struct draft *d)
{
	for (int i = 0; i < d->n_fields; i++) {
		mem_free(d->fields[i].hashes);
		if (d->fields[i].items) /* a child, which has none of its own */
			draft_free(d->fields[i].items);
	}
	arena_free(&d->arena);
	mem_free(d);
}

void draft_window(struct draft *d, int64_t from_us, int64_t to_us)
{
	d->from_us = from_us;
	d->to_us = to_us;
}

/* ── fields ── */

static struct str path_make(struct draft *d, const struct field *parent, struct str key)
{
	if (key.n == 0 || (parent && parent->path.n == 0))
		return STR_NONE;
	struct buf b = BUF_INIT(64 << 10);
	bool ok = true;
	if (parent)
		ok = buf_add(&b, parent->path) && buf_add_char(&b, '.');
	for (size_t i = 0; i < key.n && ok; i++) {
		if (key.p[i] == '.' || key.p[i] == '\\')
			ok = buf_add_char(&b, '\\');
		ok = ok && buf_add_char(&b, key.p[i]);
	}
	struct str path = ok ? arena_copy(&d->arena, buf_str(&b)) : STR_NONE;
	buf_free(&b);
	return path;
}

/* NULL: there are too many, or the key is too long. */
static struct field *field_find(struct draft *d, int parent, struct str key)
{
	uint64_t at = hash_fast(key, (uint64_t)(parent + 1) * 0x9e3779b97f4a7c15u) % DRAFT_TABLE;
	while (d->slots[at]) {
		struct field *f = &d->fields[d->slots[at] - 1];
		if (f->parent == parent && str_eq(f->key, key))
			return f;
		at = (at + 1) % DRAFT_TABLE;
	}
	if (d->n_fields == COLUMNS_MAX || key.n > KEY_MAX_BYTES)
		return NULL;
	struct field *f = &d->fields[d->n_fields++];
	*f = (struct field){ .parent = parent, .key = arena_copy(&d->arena, key), .length_min = UINT64_MAX };
	f->path = path_make(d, parent == NO_FIELD ? NULL : &d->fields[parent], key);
	d->slots[at] = d->n_fields;
	return f;
}

bool field_is_json(const struct field *f)
{
	return f->kinds == SEEN_ARRAY || (f->kinds & (f->kinds - 1)) != 0 ||
	       (f->kinds == SEEN_NUMBER && f->not_integer && f->not_decimal && f->not_double);
}

/* ── values ── */

/* Digits before and after the point of a plain decimal spelling without needless zeros. */
static void number_digits(struct str text, unsigned *before, unsigned *after)
{
	size_t digits = 0, last = 0, first = 0, point = 0, i = 0;
	bool has_point = false, any = false;
	int64_t exponent = 0;
	for (; i < text.n && text.p[i] != 'e' && text.p[i] != 'E'; i++) {
		char c = text.p[i];
		if (c == '.') {
			has_point = true;
			point = digits;
		} else if (c != '-') {
			if (c != '0') {
				first = any ? first : digits;
				last = digits + 1;
				any = true;
			}
			digits++;
		}
	}
	if (!has_point)
		point = digits;
	if (i < text.n) {
		struct str e = str_sub(text, i + 1, text.n);
		e = str_starts(e, STR("+")) ? str_sub(e, 1, e.n) : e;
		if (!str_to_i64(e, &exponent) || exponent > DIGITS_FAR || exponent < -DIGITS_FAR)
			exponent = any ? DIGITS_FAR : 0;
	}
	*before = *after = 0;
	if (!any)
		return;
	int64_t high = (int64_t)point + exponent - (int64_t)first, low = (int64_t)last - (int64_t)point - exponent;
	*before = high > 0 ? (unsigned)(high < DIGITS_FAR ? high : DIGITS_FAR) : 0;
	*after = low > 0 ? (unsigned)(low < DIGITS_FAR ? low : DIGITS_FAR) : 0;
}

static void number_see(struct field *f, struct str text)
{
	int64_t i;
	double v;
	unsigned before, after;
	if (!f->not_integer && number_to_i64(text, &i) != NUMBER_OK)
		f->not_integer = true;
	number_digits(text, &before, &after);
	f->integer_digits = before > f->integer_digits ? before : f->integer_digits;
	f->scale = after > f->scale ? after : f->scale;
	f->not_decimal |= f->integer_digits + f->scale > 38;
	if (f->not_double)
		return;
	enum number_verdict verdict = number_to_double(text, &v);
	f->not_double = verdict != NUMBER_OK && verdict != NUMBER_INEXACT;
	f->inexact_double |= verdict == NUMBER_INEXACT;
}

static void string_see(const struct draft *d, struct field *f, const struct json_scan *s)
{
	struct str text = s->value;
	f->length_min = text.n < f->length_min ? text.n : f->length_min;
	f->length_max = text.n > f->length_max ? text.n : f->length_max;
	int32_t days;
	int64_t us = 0;
	bool more_digits = false;
	f->not_date |= s->escaped || !days_from_text(text, &days);
	if (!f->not_timestamp)
		f->not_timestamp = s->escaped || !us_from_rfc3339(text, &us, &more_digits) || more_digits;
	f->outside_window |= f->not_timestamp || us < d->from_us || us >= d->to_us;
}

/* Equal numbers hash alike, however they are spelled. */
static void number_key_add(struct draft *d, struct field *f, struct str text)
{
	int64_t i;
	double v;
	char raw[sizeof v];
	struct str bytes = text;
	if (number_to_i64(text, &i) == NUMBER_OK) {
		memcpy(raw, &i, sizeof raw);
		bytes = (struct str){ raw, sizeof raw };
	} else if (number_to_double(text, &v) != NUMBER_RANGE) {
		memcpy(raw, &v, sizeof raw);
		bytes = (struct str){ raw, sizeof raw };
	}
	draft_key_add(d, f, bytes);
}

struct walk {
	struct json_scan scan;
	struct draft *d;
	struct arena *scratch;
	int open[DRAFT_NEST_MAX + 1]; /* fields whose objects are open; [0] is the record */
	size_t depth;
};

/* The elements of an array in a record; those of arrays inside arrays are not looked at. */
static void items_see(struct draft *d, struct field *f, struct str array)
{
	struct json_scan s;
	enum json_event event;
	if (d->is_child || f->other_items)
		return;
	json_open(&s, array, JSON_DEPTH_MAX);
	event = json_next(&s);
	while ((event = json_next(&s)) != JSON_ARRAY_END) {
		CHECK(event != JSON_BAD && (event != JSON_OBJECT || json_skip(&s))); /* json_valid has read it all */
		if (event == JSON_OBJECT && !f->items && d->n_children < CHILDREN_MAX) {
			f->items = draft_new(STR_NONE, 0);
			f->items->is_child = true;
			d->n_children++;
		}
		f->other_items |= event != JSON_OBJECT || !f->items;
		if (f->other_items)
			return;
		draft_add(f->items, s.value);
	}
}

/* False: the document is bad. */
static bool value_see(struct walk *w, struct field *f, bool again, enum json_event event)
{
	struct draft *d = w->d;
	bool container = event == JSON_OBJECT || event == JSON_ARRAY;
	if (event == JSON_OBJECT && f && !again && w->depth < DRAFT_NEST_MAX) {
		f->kinds |= SEEN_OBJECT;
		f->n_values++;
		w->open[++w->depth] = (int)(f - d->fields);
		return true;
	}
	if (container && !json_skip(&w->scan))
		return false;
	if (!f || again)
		return true;
	if (event == JSON_NULL) {
		f->n_nulls++;
		draft_key_drop(d, f);
		return true;
	}
	f->n_values++;
	if (event == JSON_STRING) {
		f->kinds |= SEEN_STRING;
		string_see(d, f, &w->scan);
	} else if (event == JSON_NUMBER) {
		f->kinds |= SEEN_NUMBER;
		number_see(f, w->scan.value);
	} else if (event == JSON_TRUE || event == JSON_FALSE) {
		f->kinds |= SEEN_BOOLEAN;
	} else {
		f->kinds |= event == JSON_OBJECT ? SEEN_OBJECT | SEEN_DEEP : SEEN_ARRAY;
		if (event == JSON_ARRAY)
			items_see(d, f, w->scan.value);
	}
	if (event == JSON_STRING)
		draft_key_add(d, f, w->scan.value);
	else if (event == JSON_NUMBER)
		number_key_add(d, f, w->scan.value);
	else
		draft_key_drop(d, f);
	return true;
}

static bool member_see(struct walk *w)
{
	struct draft *d = w->d;
	struct str key = w->scan.value;
	bool readable = !w->scan.escaped || json_unescape(key, w->scratch, &key);
	struct field *f = readable ? field_find(d, w->open[w->depth], key) : NULL;
	bool again = f && f->last_record == d->n_records;
	d->n_overflow += !f;
	if (f)
		f->last_record = d->n_records;
	enum json_event event = json_next(&w->scan);
	return event != JSON_BAD && value_see(w, f, again, event);
}

bool draft_add(struct draft *d, struct str record)
{
	const char *fault;
	size_t fault_at;
	struct arena scratch = ARENA_INIT;
	struct walk w = { .d = d, .scratch = &scratch, .open = { NO_FIELD } };
	bool ok = record.n > 0 && record.p[0] == '{' && json_valid(record, JSON_DEPTH_MAX, &fault, &fault_at);
	if (!ok) {
		d->n_bad++;
		return false;
	}
	d->n_records++;
	json_open(&w.scan, record, JSON_DEPTH_MAX);
	enum json_event event = json_next(&w.scan);
	while ((event = json_next(&w.scan)) > JSON_DONE) {
		if (event == JSON_KEY) {
			CHECK(member_see(&w)); /* json_valid has read it all */
		} else {
			CHECK(event == JSON_OBJECT_END);
			if (w.depth == 0)
				break;
			w.depth--;
		}
	}
	draft_key_record_end(d);
	arena_free(&scratch);
	return true;
}
