#include "base/json.h"

#include "base/check.h"
#include "base/json_text.h"

#include <string.h>

/* How it works: each pick remembers how many parts of its path lead to where the scanner is (`matched`). A pick whose
 * `matched` is less than the current level is out of the race until the scanner comes back up. Whatever no pick can
 * reach is skipped, which checks it as well. */

struct level {
	const char *start; /* of the container */
	size_t items;      /* or members so far */
};

struct walk {
	struct json_pick *picks;
	size_t n_picks;
	struct level levels[JSON_DEPTH_MAX]; /* containers that are open */
};

/* Byte length of the part at the front of `path`: up to a dot without a backslash in front. */
static size_t part_length(struct str path)
{
	size_t i = 0;

	while (i < path.n && path.p[i] != '.')
		i += path.p[i] == '\\' && i + 1 < path.n && (path.p[i + 1] == '.' || path.p[i + 1] == '\\') ? 2 : 1;
	return i;
}

/* Sets part and whole for `matched`. */
static void pick_set(struct json_pick *pick, uint32_t matched)
{
	struct str rest = pick->path;
	uint32_t i;

	pick->matched = matched;
	pick->part = STR_NONE;
	pick->whole = rest.n == 0 || str_eq(rest, STR("."));
	if (pick->whole)
		return;
	for (i = 0; i < matched; i++) {
		size_t n = part_length(rest);

		if (n == rest.n) {
			pick->whole = true;
			return;
		}
		rest = str_sub(rest, n + 1, rest.n - n - 1);
	}
	pick->part = str_sub(rest, 0, part_length(rest));
}

/* Is the key (still escaped, between its quotes) the one that the part of the path names? */
static bool key_is(struct str key, bool escaped, struct str part)
{
	const char *k = key.p, *k_end, *p = part.p, *p_end;

	if (!key.n || !part.n)
		return key.n == part.n;
	if (!escaped && !memchr(part.p, '\\', part.n))
		return key.n == part.n && memcmp(key.p, part.p, key.n) == 0;
	k_end = k + key.n;
	p_end = p + part.n;
	while (k < k_end) {
		char bytes[4];
		size_t n = 1;

		if (*k == '\\') {
			k = json_text_escape(k, k_end, bytes, &n);
			if (!k)
				return false; /* a lone surrogate; no path can name it */
		} else {
			bytes[0] = *k++;
		}
		for (size_t i = 0; i < n; i++) {
			if (p < p_end && *p == '\\' && p + 1 < p_end && (p[1] == '.' || p[1] == '\\'))
				p++;
			if (p == p_end || *p++ != bytes[i])
				return false;
		}
	}
	return p == p_end;
}

static bool index_is(size_t index, struct str part)
{
	uint64_t v;

	if (!part.n || (part.p[0] == '0' && part.n > 1))
		return false;
	return str_to_u64(part, &v) && v == index;
}

/* A value below the container at `level` begins. Is some pick interested? `key` is NULL for items of an array. */
static bool step_down(struct walk *w, uint32_t level, const struct str *key, bool escaped)
{
	size_t index = w->levels[level].items++;
	bool any = false;

	for (size_t i = 0; i < w->n_picks; i++) {
		struct json_pick *pick = &w->picks[i];

		if (pick->matched != level || pick->whole)
			continue;
		if (key ? !key_is(*key, escaped, pick->part) : !index_is(index, pick->part))
			continue;
		if (pick->deepest > level && !pick->twice) { /* it led here before, in this container or in a twin of it */
			pick->twice = true;
			pick->twin = pick->part;
		}
		if (pick->deepest <= level)
			pick->deepest = level + 1;
		pick_set(pick, level + 1);
		pick->found = false; /* a duplicate key: what it leads to counts, even if that is nothing */
		any = true;
	}
	return any;
}

/* The value at `level` has ended: it is `raw`. */
static void step_up(struct walk *w, uint32_t level, enum json_event type, struct str raw, size_t items)
{
	for (size_t i = 0; i < w->n_picks; i++) {
		struct json_pick *pick = &w->picks[i];

		if (pick->matched != level)
			continue;
		if (pick->whole) {
			pick->found = true;
			pick->type = type;
			pick->raw = raw;
			pick->items = items;
		}
		if (level > 0)
			pick_set(pick, level - 1);
	}
}

static bool is_active(const struct walk *w, uint32_t level)
{
	for (size_t i = 0; i < w->n_picks; i++)
		if (w->picks[i].matched == level)
			return true;
	return false;
}

static struct str span(const char *from, const struct json_scan *s)
{
	return (struct str){ from, (size_t)(s->p - from) };
}

static bool in_array(const struct json_scan *s, uint32_t depth)
{
	return depth > 0 && !(s->kinds[(depth - 1) / 64] >> ((depth - 1) % 64) & 1);
}

bool json_pick(struct str document, uint32_t max_depth, struct json_pick *picks, size_t n_picks, const char **fault,
	       size_t *fault_at)
{
	struct walk w; /* not cleared: levels are written before they are read */
	struct json_scan s;
	enum json_event event;

	w.picks = picks;
	w.n_picks = n_picks;
	for (size_t i = 0; i < n_picks; i++) {
		struct json_pick *pick = &picks[i];

		*pick = (struct json_pick){ .path = pick->path };
		pick_set(pick, 0);
	}
	json_open(&s, document, max_depth);
	while ((event = json_next(&s)) > JSON_DONE) {
		const char *start = s.value_start;
		bool container = event == JSON_OBJECT || event == JSON_ARRAY;
		uint32_t level = s.depth - (container ? 1 : 0);

		if (event == JSON_KEY) {
			if (!step_down(&w, level - 1, &s.value, s.escaped))
				json_skip(&s);
			continue;
		}
		if (event == JSON_OBJECT_END || event == JSON_ARRAY_END) {
			struct level *l = &w.levels[level];

			step_up(&w, level, event == JSON_OBJECT_END ? JSON_OBJECT : JSON_ARRAY, span(l->start, &s),
				l->items);
			continue;
		}
		if (in_array(&s, level))
			step_down(&w, level - 1, NULL, false);
		if (!container)
			step_up(&w, level, event, span(start, &s), 0);
		else if (is_active(&w, level))
			w.levels[level] = (struct level){ .start = start };
		else
			json_skip(&s);
	}
	if (event == JSON_DONE)
		return true;
	if (fault)
		*fault = s.fault;
	if (fault_at)
		*fault_at = s.fault_at;
	return false;
}
