#include "run/run_list.h"

#include "base/calendar.h"
#include "base/json.h"
#include "driver/store_ahead.h"
#include "driver/store_each.h"
#include "run/runner.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX_BYTES = 64 << 20, TIME_BYTES = 16, MADE_BYTES = TIME_BYTES + 9, RECORDS_AHEAD = 256 };

struct entry {
	struct store_item item;
	int64_t us;   /* when it began; of a name that was made: its second */
	bool exact;   /* nothing more is to be found out */
};

static bool all_of(struct str s, const char *set)
{
	for (size_t i = 0; i < s.n; i++)
		if (memchr(set, s.p[i], strlen(set)) == NULL)
			return false;
	return s.n > 0;
}

bool run_is_named(struct str name)
{
	struct str whole = run_id_whole(name), part = str_sub(name, whole.n, name.n);
	return run_id_ok(whole) && (part.n == 0 || (part.n <= 8 && all_of(str_sub(part, 1, part.n), "0123456789")));
}

/* 20130102T050000Z-1f2e3d4c, and no part of it */
static bool name_tells(struct str name, int64_t *us)
{
	return name.n == MADE_BYTES && name.p[TIME_BYTES] == '-' && us_from_compact(str_sub(name, 0, TIME_BYTES), us) &&
	       all_of(str_sub(name, TIME_BYTES + 1, name.n), "0123456789abcdef");
}

static struct str record_key(struct str base, struct str run, struct arena *a)
{
	return arena_format(a, "%.*s/%.*s/record.json", STR_ARG(base), STR_ARG(run));
}

static bool plan_written(struct store *s, struct str folder, int64_t *us, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list;
	bool ok = store_list(s, folder, &a, &list, e);
	for (size_t i = 0; ok && i < list.n; i++)
		if (str_eq(list.v[i].name, STR("plan.json")))
			*us = list.v[i].changed_us;
	arena_free(&a);
	return ok;
}

/* Damage is told by whoever shows the run: here it is only a run of whose time less is known. */
static bool look_up(struct store *s, struct str base, struct entry *x, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str text, name = x->item.name;
	struct json_node *root = NULL;
	struct err why = ERR_INIT;
	int64_t started, second;
	bool made = name_tells(name, &second), ok = true, there, told;
	there = store_get(s, record_key(base, name, &a), RECORD_MAX_BYTES, &a, &text, &why);
	told = there && json_parse(text, &a, &root, &why) && us_from_rfc3339(json_str_or(root, "started", STR_NONE), &started, NULL);
	x->exact = true;
	if (told) {
		x->us = started;
	} else if (!there && why.code != ERR_MISSING) {
		*e = why;
		ok = false;
	} else if (!made) {
		ok = plan_written(s, arena_format(&a, "%.*s/%.*s", STR_ARG(base), STR_ARG(name)), &x->us, e);
	} else if (!there) {
		x->us = second + 999999;
	}
	arena_free(&a);
	return ok;
}

/* Those whose names do not tell, many at a time where each is a request. */
static bool look_up_given(struct store *s, struct str base, struct entry **v, size_t n, struct err *e)
{
	bool ok = true;
	for (size_t at = 0; ok && at < n; at += RECORDS_AHEAD) {
		struct arena a = ARENA_INIT;
		struct store *ahead = store_can_list_all(s) ? store_open_ahead(s) : NULL;
		size_t end = n - at < RECORDS_AHEAD ? n : at + RECORDS_AHEAD;
		struct str *keys = arena_array(&a, struct str, RECORDS_AHEAD);
		for (size_t i = at; i < end; i++)
			keys[i - at] = record_key(base, v[i]->item.name, &a);
		if (ahead)
			store_ahead_get(ahead, keys, end - at, RECORD_MAX_BYTES, STORE_AT_ONCE);
		for (size_t i = at; ok && i < end; i++)
			ok = look_up(ahead ? ahead : s, base, v[i], e);
		store_close(ahead);
		arena_free(&a);
	}
	return ok;
}

static int64_t second_of(const struct entry *x)
{
	return x->us / 1000000 - (x->us % 1000000 < 0);
}

static int newer_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->us != y->us)
		return x->us > y->us ? -1 : 1;
	return -str_cmp(x->item.name, y->item.name);
}

/* Names tell seconds: of one second all are read, and only they change places (what a record says may be a little later). */
static bool look_up_ties(struct store *s, struct str base, struct entry *v, size_t n, struct err *e)
{
	for (size_t i = 0, end; i < n; i = end) {
		int64_t second = second_of(&v[i]);
		for (end = i + 1; end < n && second_of(&v[end]) == second; end++)
			;
		for (size_t k = i; end - i > 1 && k < end; k++)
			if (!v[k].exact && !look_up(s, base, &v[k], e))
				return false;
		qsort(v + i, end - i, sizeof *v, newer_first);
	}
	return true;
}

bool run_list(struct project *j, struct arena *a, struct store_listing *out, struct err *e)
{
	struct arena own = ARENA_INIT;
	struct store_listing all = { 0 };
	struct str base = arena_format(&own, "runs/%.*s", STR_ARG(j->pipeline->name));
	*out = (struct store_listing){ 0 };
	bool ok = store_list(j->store, base, a, &all, e);
	struct entry *v = arena_array(&own, struct entry, all.n + 1), **given = arena_array(&own, struct entry *, all.n + 1);
	size_t n = 0, n_given = 0;
	for (size_t i = 0; i < all.n; i++) {
		if (!all.v[i].is_folder || !run_is_named(all.v[i].name))
			continue;
		v[n] = (struct entry){ .item = all.v[i] };
		if (!name_tells(v[n].item.name, &v[n].us))
			given[n_given++] = &v[n];
		n++;
	}
	ok = ok && look_up_given(j->store, base, given, n_given, e);
	if (n > 1)
		qsort(v, n, sizeof *v, newer_first);
	ok = ok && look_up_ties(j->store, base, v, n, e);
	for (size_t i = 0; ok && i < n; i++)
		*arena_push(a, *out) = v[i].item;
	arena_free(&own);
	return ok;
}
