/* Runs from a case file (case.h). ">" is a request that must come, in this order; "<" what it gets. The first "=" line
 * behind them starts the run; whatever stands behind that begins the next run on the same Raw, after `later` seconds.
 *
 *     delay: 50          of the next ">" in milliseconds       times: 3     the next ">" comes so often (0: any number)
 *     fail: RESET        how the next answer breaks off (KEPT_WAS_CLOSED: a kept connection did, before a byte of it)
 *     order: any   requests may come in any order
 *     stop after: 2      a signal at that answer               rival after: 2   another run claims at that answer */
#ifndef SLUICE_TEST_INGEST_LOOP_SCRIPT_H
#define SLUICE_TEST_INGEST_LOOP_SCRIPT_H

#include "loop_world.h"

struct script {
	struct world w;
	struct http_fake_row next_row;
	bool dirty, fresh_rows;
	uint64_t lines_checked;
	size_t task;
	struct judged judged;
	int64_t ran_from_us;
};

/* ── settings ── */

static inline bool row_setting(struct script *s, const struct case_line *l)
{
	struct http_fake_row *row = &s->next_row;
	if (str_eq_z(l->key, "delay"))
		row->delay_us = (int64_t)number_of(&s->w.v, l) * 1000;
	else if (str_eq_z(l->key, "times"))
		row->times = (unsigned)number_of(&s->w.v, l);
	else if (str_eq_z(l->key, "fail") && str_eq_z(l->value, "KEPT_WAS_CLOSED"))
		row->fail = ERR_RESET, row->kept_was_closed = true;
	else if (str_eq_z(l->key, "fail")) {
		for (int i = 1; i < ERR_COUNT; i++)
			if (str_eq_z(l->value, err_name((enum err_code)i)))
				row->fail = (enum err_code)i;
		assert_int_not_equal(row->fail, ERR_NONE);
	} else {
		return false;
	}
	return true;
}

static inline bool number_setting(struct script *s, const struct case_line *l)
{
	struct world *w = &s->w;
	struct source *source = &w->v.source;
	struct resource *r = &w->v.r;
	uint64_t n = 0;
	if (!str_to_u64(l->value, &n))
		return false;
	int64_t seconds = (int64_t)n * US_PER_SECOND;
	if (str_eq_z(l->key, "windows"))
		w->n_windows = n;
	else if (str_eq_z(l->key, "in flight"))
		source->in_flight = (uint32_t)n;
	else if (str_eq_z(l->key, "segment pages"))
		r->segment_pages = n;
	else if (str_eq_z(l->key, "segment bytes"))
		r->segment_bytes = n;
	else if (str_eq_z(l->key, "segment seconds"))
		r->segment_us = seconds;
	else if (str_eq_z(l->key, "attempts"))
		source->retry.attempts = (uint32_t)n;
	else if (str_eq_z(l->key, "wait max"))
		source->retry.wait_max_us = seconds;
	else if (str_eq_z(l->key, "requests a second"))
		source->has_rate = true, source->rate_requests = (uint32_t)n, source->rate_per_us = US_PER_SECOND;
	else if (str_eq_z(l->key, "total max"))
		r->total_max = n;
	else if (str_eq_z(l->key, "previous"))
		w->previous_records = n;
	else if (str_eq_z(l->key, "resume within"))
		r->resume_within_us = seconds;
	else if (str_eq_z(l->key, "later"))
		world_later(w, (int64_t)n);
	else if (str_eq_z(l->key, "stop after"))
		w->stop_after = n;
	else if (str_eq_z(l->key, "rival after"))
		w->rival_after = n;
	else if (str_eq_z(l->key, "renewed after"))
		w->renew_after_us = seconds;
	else if (str_eq_z(l->key, "deadline"))
		w->deadline_us = seconds;
	else
		return false;
	return true;
}

static inline void script_setting(struct script *s, const struct case_line *l)
{
	struct world *w = &s->w;
	if (row_setting(s, l) || number_setting(s, l))
		return;
	if (str_eq_z(l->key, "order"))
		w->any_order = str_eq_z(l->value, "any");
	else if (str_eq_z(l->key, "takeover"))
		w->takeover = true;
	else if (str_eq_z(l->key, "run id"))
		w->run_id = l->value;
	else if (str_eq_z(l->key, "lease"))
		world_plan(w), claim_plant(w, arena_zero_terminated(&w->a, l->value));
	else
		setting(&w->v, l);
}

static inline void script_row(struct script *s, size_t *at)
{
	struct world *w = &s->w;
	const struct test_case *c = w->v.c;
	struct http_fake_row row = s->next_row;
	struct str rest = c->v[(*at)++].value;
	if (s->fresh_rows) {
		w->n_rows = w->n_expected = 0;
		w->any_order = w->open_ended = s->fresh_rows = false;
	}
	assert_true(str_cut(&rest, ' ', &row.method));
	row.url_glob = str_starts(rest, STR("/")) ? arena_format(&w->a, "%.*s%.*s", STR_ARG(w->v.source.url), STR_ARG(rest))
						  : rest;
	if (*at < c->n && (c->v[*at].kind == '<' || c->v[*at].kind == 'x'))
		row.raw = case_answer(c, at, &w->a);
	assert_true(w->n_rows < ROWS_MAX);
	w->rows[w->n_rows++] = row;
	w->open_ended = w->open_ended || row.times == 0;
	for (unsigned i = 0; i < row.times; i++)
		w->expected[w->n_expected++] =
			arena_format(&w->a, "%.*s %.*s", STR_ARG(row.method), STR_ARG(row.url_glob));
	s->next_row = (struct http_fake_row){ .times = 1 };
}

/* ── checks ── */

static inline int str_order(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static inline void script_run(struct script *s, const struct case_line *l)
{
	struct world *w = &s->w;
	if (s->fresh_rows) /* a run that asks nothing */
		w->n_rows = w->n_expected = 0, w->open_ended = false;
	s->ran_from_us = w->clock.monotonic_us;
	world_run(w);
	s->dirty = false;
	s->fresh_rows = true;
	s->lines_checked = 0;
	s->task = 0;
	if (w->any_order) {
		qsort(w->sent, w->n_sent, sizeof *w->sent, str_order);
		qsort(w->expected, w->n_expected, sizeof *w->expected, str_order);
	}
	for (size_t i = 0; !w->open_ended && i < w->n_sent; i++)
		if (i >= w->n_expected || !str_eq(w->sent[i], w->expected[i]))
			CASE_FAIL(w->v.c, l, "request %zu is %.*s, not %.*s: %s", i + 1, STR_ARG(w->sent[i]),
				  STR_ARG(i < w->n_expected ? w->expected[i] : STR("none")), w->tasks[0].err.message);
	if (!w->open_ended && w->n_sent < w->n_expected)
		CASE_FAIL(w->v.c, l, "request %zu never came: %.*s: %s", w->n_sent + 1, STR_ARG(w->expected[w->n_sent]),
			  w->tasks[0].err.message);
	for (size_t i = 0; i < w->n_windows; i++)
		world_judge(w, i, &s->judged);
	world_judge(w, 0, &s->judged);
}

static inline bool check_count(struct script *s, const struct case_line *l)
{
	struct world *w = &s->w;
	const struct lane_task *t = &w->tasks[s->task];
	const struct {
		const char *key;
		uint64_t is;
	} counts[] = {
		{ "generation", t->generation }, { "pages", t->pages },		  { "records", t->records },
		{ "resumed", t->resumed_pages }, { "requests", t->requests },	  { "retries", t->retries },
		{ "busy", t->busy },		 { "attempts", t->failed_attempts }, { "status", t->failed_status },
		{ "bytes", t->body_bytes },	 { "wire", t->wire_bytes },
	};
	for (size_t i = 0; i < COUNT(counts); i++) {
		if (!str_eq_z(l->key, counts[i].key))
			continue;
		if (counts[i].is != number_of(&w->v, l))
			CASE_FAIL(w->v.c, l, "%s is %llu", counts[i].key, (unsigned long long)counts[i].is);
		return true;
	}
	return false;
}

/* "..." at the end of the wanted words stands for anything. */
static inline bool words_match(struct str is, struct str want)
{
	if (!str_ends(want, STR("...")))
		return str_eq(is, want);
	return str_starts(is, str_sub(want, 0, want.n - 3));
}

static inline void check_line(struct script *s, const struct case_line *l)
{
	static const char *const outcomes[] = { "WAITING", "SEALED", "CANDIDATE", "FAILED", "FENCED", "STOPPED" };
	struct world *w = &s->w;
	const struct test_case *c = w->v.c;
	const struct lane_task *t = &w->tasks[s->task];
	struct str rest = l->value, word = STR_NONE;
	if (check_count(s, l))
		return;
	if (str_eq_z(l->key, "outcome")) {
		if (!str_eq_z(l->value, outcomes[t->outcome]))
			CASE_FAIL(c, l, "%s: %s", outcomes[t->outcome], t->err.message);
	} else if (str_eq_z(l->key, "error")) {
		str_cut(&rest, ' ', &word);
		if (!str_eq_z(word, err_name(t->err.code)) || !str_contains(str_from(t->err.message), rest))
			CASE_FAIL(c, l, "%s: %s", err_name(t->err.code), t->err.message);
	} else if (str_eq_z(l->key, "window")) {
		s->task = number_of(&w->v, l) - 1;
		s->lines_checked = 0;
		world_judge(w, s->task, &s->judged);
	} else if (str_eq_z(l->key, "entry")) {
		if (s->lines_checked >= s->judged.n_entries)
			CASE_FAIL(c, l, "there are %llu entries", (unsigned long long)s->judged.n_entries);
		struct str is = s->judged.lines[s->lines_checked++];
		if (!words_match(is, l->value))
			CASE_FAIL(c, l, "%.*s", STR_ARG(is));
	} else if (str_eq_z(l->key, "no-more")) {
		if (s->lines_checked != s->judged.n_entries)
			CASE_FAIL(c, l, "%.*s", STR_ARG(s->judged.lines[s->lines_checked]));
	} else if (str_eq_z(l->key, "entries")) {
		if (number_of(&w->v, l) != s->judged.n_entries)
			CASE_FAIL(c, l, "%llu", (unsigned long long)s->judged.n_entries);
	} else if (str_eq_z(l->key, "took")) { /* seconds, at least and at most */
		uint64_t low = 0, high = 0, took = (uint64_t)(w->clock.monotonic_us - s->ran_from_us);
		str_cut(&rest, ' ', &word);
		assert_true(str_to_u64(word, &low) && str_to_u64(rest, &high));
		if (took < low * 1000000 || took > high * 1000000)
			CASE_FAIL(c, l, "%llu us", (unsigned long long)took);
	} else if (str_eq_z(l->key, "failed")) {
		if (!str_eq(t->failed_request, l->value))
			CASE_FAIL(c, l, "%.*s", STR_ARG(t->failed_request));
		struct str segment = STR_NONE;
		struct err e = ERR_INIT;
		assert_true(t->failed_raw.n > 0 && store_get(w->store, t->failed_raw, 1 << 24, &w->a, &segment, &e));
		assert_int_equal(record_at(w, segment, t->failed_offset, segment.n - t->failed_offset).status, t->failed_status);
	} else if (str_eq_z(l->key, "evidence")) {
		if (!str_contains(s->judged.evidence, l->value))
			CASE_FAIL(c, l, "%.*s", STR_ARG(s->judged.evidence));
	} else if (str_eq_z(l->key, "shown")) {
		if (!str_eq(t->failed_body, l->value))
			CASE_FAIL(c, l, "%.*s", STR_ARG(t->failed_body));
	} else {
		CASE_FAIL(c, l, "no such check");
	}
}

static inline void script_play(const struct test_case *c, unsigned threads)
{
	struct script *s = calloc(1, sizeof *s);
	assert_non_null(s);
	world_begin(&s->w, c);
	s->w.threads = threads;
	s->next_row = (struct http_fake_row){ .times = 1 };
	for (size_t i = 0; i < c->n;) {
		const struct case_line *l = &c->v[i];
		if (l->kind == '>') {
			script_row(s, &i);
			s->dirty = true;
			continue;
		}
		if (l->kind == ':') {
			script_setting(s, l);
			s->dirty = true;
		} else if (l->kind == '=') {
			if (s->dirty)
				script_run(s, l);
			check_line(s, l);
		} else {
			CASE_FAIL(c, l, "an answer to nothing");
		}
		i++;
	}
	if (s->dirty)
		CASE_FAIL(c, &c->v[c->n - 1], "nothing is checked");
	world_end(&s->w);
	free(s);
}

static inline size_t script_play_all(const char *path)
{
	struct arena a = ARENA_INIT;
	struct case_file f = case_open(path, &a);
	struct test_case c;
	size_t n = 0;
	for (; case_next(&f, &a, &c); n++)
		script_play(&c, 0);
	arena_free(&a);
	return n;
}

#endif
