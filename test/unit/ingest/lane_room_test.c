/* What a kill may cost a window: one segment. The store stops before each entry of the ledger until the loop has done all
 * that it would do meanwhile; what has come from the API by then, and is not in the ledger, a kill would lose. */
#include "loop_world.h"

enum { QUIET_WAITS = 5000, FEW_PAGES = 30, MANY_PAGES = 160, PAGE_BYTES = 20000 };

struct held {
	struct world *w;
	struct arena a;
	struct str generation;
	uint64_t worst_pages, times;
};

static void hold(void *user)
{
	struct held *h = user;
	struct ledger l;
	struct err e = ERR_INIT;
	h->w->quiet_waits = 0;
	while (h->w->quiet_waits < QUIET_WAITS)
		;
	uint64_t answers = h->w->n_answers;
	/* No assertions here: this is the thread of a worker. */
	if (!ledger_open(h->w->store, &h->w->clock.clock, h->generation, STR("judge"), &h->a, &l, &e) || l.state.pages > answers)
		abort();
	if (answers - l.state.pages > h->worst_pages)
		h->worst_pages = answers - l.state.pages;
	h->times++;
}

struct knob {
	uint64_t pages, bytes, most;
	int64_t us, delay_us;
};

static void add_page(struct world *w, bool by_number, unsigned i, unsigned n_pages, int64_t delay_us, const char *filler)
{
	const char *more = by_number ? arena_format(&w->a, "\"total\":%u", n_pages).p
			   : i < n_pages ? arena_format(&w->a, "\"next\":\"c%04u\"", i + 1).p : "\"next\":null";
	w->rows[w->n_rows++] = (struct http_fake_row){
		.method = STR("GET"),
		.url_glob = by_number ? arena_format(&w->a, "*?page=%u", i)
			    : i > 1   ? arena_format(&w->a, "*?c=c%04u", i)
				      : STR("*/items"),
		.delay_us = delay_us,
		.raw = arena_format(&w->a, "HTTP/1.1 200 OK\r\n\r\n{\"pad\":\"%s\",\"data\":[%u],%s}", filler, i, more),
	};
}

static void knob_holds(const struct knob *k, bool by_number)
{
	static const struct test_case no_case = { .name = { "room", 4 } };
	struct world *w = calloc(1, sizeof *w);
	struct held h = { .w = w };
	struct flaky f;
	struct judged *j = calloc(1, sizeof *j);
	char filler[PAGE_BYTES] = "";
	assert_true(w && j);
	world_begin(w, &no_case);
	w->threads = 3;
	w->v.r.segment_pages = k->pages;
	w->v.r.segment_bytes = k->bytes;
	w->v.r.segment_us = k->us;
	w->v.r.paginate = (struct paginate){ .style = by_number ? PAGE_NUMBER : PAGE_CURSOR, .param = by_number ? STR("page") : STR("c"),
					     .from_path = STR("next"), .first = 1 };
	if (by_number)
		w->v.r.total = STR("total");
	if (k->bytes < 1 << 20)
		memset(filler, 'x', sizeof filler - 1);
	unsigned n_pages = k->most < FEW_PAGES / 2 ? FEW_PAGES : MANY_PAGES;
	for (unsigned i = 1; i <= n_pages; i++)
		add_page(w, by_number, i, n_pages, k->delay_us, filler);
	world_plan(w);
	h.generation = generation_of(w, 0);
	flaky_init(&f, w->store);
	f.creates_only = f.rival_each = true;
	f.how = FLAKY_RIVAL;
	f.rival = hold;
	f.user = &h;
	w->flaky = &f;
	world_run(w);
	w->flaky = NULL;
	if (w->tasks[0].outcome != LANE_SEALED)
		fail_msg("%s", w->tasks[0].err.message);
	world_judge(w, 0, j);
	assert_int_equal(j->pages, n_pages);
	assert_int_equal(w->n_sent, n_pages); /* and nothing is asked for twice */
	if (h.times < 3 || h.worst_pages > k->most || 2 * h.worst_pages < k->most)
		fail_msg("%d pages, %d bytes, %d us, %s: %d pages at worst, %d wanted (%d times)", (int)k->pages, (int)k->bytes,
			 (int)k->us, by_number ? "by number" : "by cursor", (int)h.worst_pages, (int)k->most, (int)h.times);
	arena_free(&h.a);
	world_end(w);
	free(j);
	free(w);
}

static void a_kill_costs_one_segment(void **state)
{
	static const int64_t hour = 3600 * (int64_t)US_PER_SECOND * 1000;
	const struct knob knobs[] = {
		{ 1, 32 << 20, 1, hour, 0 },  { 2, 32 << 20, 2, hour, 0 },   { 3, 32 << 20, 3, hour, 0 },
		{ 4, 32 << 20, 4, hour, 0 },  { 9, 32 << 20, 9, hour, 0 },   { 64, 32 << 20, 64, hour, 0 },
		{ 64, 70000, 3, hour, 0 },    /* three of 20 kB fit, four do not */
		{ 64, 1000, 1, hour, 0 },     /* not even one does */
		{ 64, 32 << 20, 11, 4 * (int64_t)US_PER_SECOND, 500000 }, /* nine in the time, or being judged when it began */
	};
	(void)state;
	for (size_t i = 0; i < COUNT(knobs); i++) {
		knob_holds(&knobs[i], false);
		if (knobs[i].delay_us == 0)
			knob_holds(&knobs[i], true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kill_costs_one_segment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
