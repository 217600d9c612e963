#include "ingest/keyset.h"

#include "base/json.h"
#include "base/number.h"
#include "ingest/request.h"

#include <string.h>

enum { KEY_SHOWN = 100, EXPONENT_DIGITS_MAX = 17 };

/* ── order ── */

/* The digits of a number from its first that is not zero, and the power of ten where that one stands. */
struct decimal {
	bool negative, zero;
	int64_t power;
	const char *p, *end;
};

/* False: an exponent beyond all reason. */
static bool exponent_read(const char *p, const char *end, int64_t *out)
{
	bool negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	while (p < end && *p == '0')
		p++;
	if (end - p > EXPONENT_DIGITS_MAX)
		return false;
	for (*out = 0; p < end; p++)
		*out = *out * 10 + (*p - '0');
	if (negative)
		*out = -*out;
	return true;
}

static bool decimal_read(struct str text, struct decimal *d)
{
	const char *p = text.p, *end = text.p + text.n, *e = p, *point;
	int64_t exponent = 0;
	*d = (struct decimal){ .negative = text.n > 0 && *p == '-' };
	while (e < end && *e != 'e' && *e != 'E')
		e++;
	if (e < end && !exponent_read(e + 1, end, &exponent))
		return false;
	p += d->negative;
	point = memchr(p, '.', (size_t)(e - p));
	if (point == NULL)
		point = e;
	while (p < e && (*p == '0' || *p == '.'))
		p++;
	d->zero = p == e;
	d->power = exponent + (point > p ? point - p - 1 : point - p);
	d->p = p;
	d->end = e;
	return true;
}

static char digit_next(struct decimal *d)
{
	if (d->p < d->end && *d->p == '.')
		d->p++;
	return d->p < d->end ? *d->p++ : '0';
}

/* Of two numbers that are not negative. */
static bool magnitude_less(struct decimal a, struct decimal b)
{
	if (a.zero || b.zero)
		return !b.zero;
	if (a.power != b.power)
		return a.power < b.power;
	while (a.p < a.end || b.p < b.end) {
		char x = digit_next(&a), y = digit_next(&b);
		if (x != y)
			return x < y;
	}
	return false;
}

static bool number_less(struct str before, struct str after)
{
	int64_t x = 0, y = 0;
	struct decimal a, b;
	if (number_to_i64(before, &x) == NUMBER_OK && number_to_i64(after, &y) == NUMBER_OK)
		return x < y;
	if (!decimal_read(before, &a) || !decimal_read(after, &b))
		return false;
	a.negative = a.negative && !a.zero;
	b.negative = b.negative && !b.zero;
	if (a.negative != b.negative)
		return a.negative;
	return a.negative ? magnitude_less(b, a) : magnitude_less(a, b);
}

bool key_rises(const struct ledger_key *before, const struct ledger_key *after)
{
	if (before->kind != after->kind || before->kind == KEY_NONE)
		return false;
	return before->kind == KEY_NUMBER ? number_less(before->text, after->text)
					  : str_cmp(before->text, after->text) < 0;
}

/* ── of a page ── */

static struct str key_shown(const struct resource *r, const struct ledger_key *k, struct arena *a)
{
	struct str text = text_shown(r, k->text, KEY_SHOWN, a);
	return k->kind == KEY_TEXT ? arena_format(a, "\"%.*s\"", STR_ARG(text)) : text;
}

/* "" or what is wrong with it. */
static const char *key_of(struct str record, enum json_event type, const struct resource *r, struct arena *a,
			  struct ledger_key *out)
{
	struct json_pick pick = { .path = r->keyset };
	*out = (struct ledger_key){ .kind = KEY_NONE };
	bool whole = type == JSON_OBJECT || type == JSON_ARRAY;
	if (!whole || !json_pick(record, r->source->limits.json_depth, &pick, 1, NULL, NULL) || !pick.found)
		return "has none";
	if (pick.type != JSON_NUMBER && pick.type != JSON_STRING)
		return "has one that is neither number nor text";
	if (pick.raw.n > KEY_MAX_BYTES)
		return "has one of more than 512 bytes";
	out->kind = pick.type == JSON_NUMBER ? KEY_NUMBER : KEY_TEXT;
	out->text = pick.raw;
	if (out->kind == KEY_NUMBER)
		return "";
	out->text = str_sub(pick.raw, 1, pick.raw.n - 2);
	if (str_find_char(out->text, '\\') < out->text.n && !json_unescape(out->text, a, &out->text))
		return "has one with half a surrogate pair";
	return "";
}

/* What goes into the ledger must not be a secret, even where Raw may hold it. */
static bool tells_secret(const struct resource *r, const struct ledger_key *k)
{
	size_t which;
	const struct secret_set *set = &r->source->secrets;
	return set->n > 0 && secret_found(set, k->text, &which);
}

void keyset_read(const struct resource *r, struct str records, struct arena *a, struct page_keys *out)
{
	struct json_scan s;
	enum json_event ev;
	uint64_t n = 0;
	*out = (struct page_keys){ .broken = STR_NONE };
	json_open(&s, records, r->source->limits.json_depth);
	if (json_next(&s) != JSON_ARRAY)
		return;
	while ((ev = json_next(&s)) > JSON_DONE && ev != JSON_ARRAY_END) {
		struct ledger_key key;
		n++;
		if ((ev == JSON_OBJECT || ev == JSON_ARRAY) && !json_skip(&s))
			return;
		const char *wrong = key_of(s.value, ev, r, a, &key);
		if (*wrong) {
			out->broken = arena_format(a, "record %llu %s", (unsigned long long)n, wrong);
			return;
		}
		if (n == 1) {
			out->first = key;
		} else if (!key_rises(&out->last, &key)) {
			struct str shown = key_shown(r, &key, a), before = key_shown(r, &out->last, a);
			out->broken = arena_format(a, "%.*s follows %.*s (record %llu)", STR_ARG(shown), STR_ARG(before),
						   (unsigned long long)n);
			return;
		}
		out->last = key;
	}
	if (tells_secret(r, &out->first) || tells_secret(r, &out->last))
		out->broken = STR("a key holds a secret");
	out->first.text = arena_copy(a, out->first.text);
	out->last.text = arena_copy(a, out->last.text);
}

/* ── from page to page ── */

void keyset_step(const struct resource *r, const struct page_keys *keys, uint64_t page, struct ledger_keyset *k,
		 struct arena *a)
{
	struct str why = keys->broken;
	if (r->keyset.n == 0) {
		*k = (struct ledger_keyset){ .path = STR_NONE };
		return;
	}
	if (page == 1) {
		*k = (struct ledger_keyset){ .path = r->keyset };
	} else if (!str_eq(k->path, r->keyset)) {
		*k = (struct ledger_keyset){ .path = r->keyset };
		k->broken = arena_format(a, "%.*s was not looked at before page %llu", STR_ARG(k->path),
					 (unsigned long long)page);
	}
	if (k->broken.n > 0)
		return;
	if (why.n == 0 && keys->first.kind != KEY_NONE && k->last.kind != KEY_NONE && !key_rises(&k->last, &keys->first)) {
		struct str shown = key_shown(r, &keys->first, a), before = key_shown(r, &k->last, a);
		why = arena_format(a, "%.*s follows %.*s", STR_ARG(shown), STR_ARG(before));
	}
	if (why.n > 0) {
		k->broken = arena_format(a, "%.*s does not rise at page %llu: %.*s", STR_ARG(k->path),
					 (unsigned long long)page, STR_ARG(why));
		k->last = (struct ledger_key){ .kind = KEY_NONE };
	} else if (keys->last.kind != KEY_NONE) {
		k->last = keys->last;
	}
}
