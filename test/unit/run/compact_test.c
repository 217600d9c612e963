/* Compaction: which files, and that what comes of it is what one run over all windows would have written. */
#include "trips.h"

#include "run/compact.h"
#include "run/digest.h"
#include "run/publish.h"
#include "run/verify.h"

/* ── which files ──
 *
 * A file in words: "a1 b2 c3" has windows a, b and c with 1, 2 and 3 records, and as many rows; "-a0" stands for one row less
 * than records. Files are kept apart by ';'. Windows from 'x' on are not closed yet. */
static const struct choose_case {
	const char *what, *files, *want; /* files to make, in the same words */
} choose_cases[] = {
	{ "nothing", "", "" },
	{ "one small file", "a1", "" },
	{ "small neighbours", "a1;b1;c1", "a b c" },
	{ "cut where the next would pass ten", "a4;b4;c4;d4", "a b;c d" },
	{ "in any order", "c1;a1;b1", "a b c" },
	{ "files that lie in each other", "a1 c1;b1", "a b c" },
	{ "half full is full", "a5;b5", "" },
	{ "a full one keeps its neighbours apart", "a1;b1;c9;d1;e1", "a b;d e" },
	{ "open windows stay", "a1;b1;w1 x1;y1", "a b" },
	{ "a window in two files stays", "a1;b4;b4;c1;d1", "c d" },
	{ "what is cut as it should be stays", "a4 b4;c4 d4;e1", "" },
	{ "only the end grows", "a4 b4;c1;d1", "c d" },
	{ "records without limit", "a0;b0;c0", "a b c" },
	{ "a file without windows", ";a1;b1", "a b" },
};

static struct table_file file_words(struct str words, struct arena *a)
{
	struct table_file f = { .path = arena_format(a, "%.*s", STR_ARG(words)) };
	struct str part;
	f.windows = arena_array(a, struct table_window, words.n + 1);
	while (words.n > 0 && str_cut(&words, ' ', &part)) {
		struct table_window *w = &f.windows[f.n_windows++];
		uint64_t n = 0;
		assert_true(str_to_u64(str_sub(part, 1, part.n), &n));
		*w = (struct table_window){ .name = str_sub(part, 0, 1), .read = n, .rows = n, .hash = { 0, n } };
		f.rows += n;
	}
	return f;
}

static struct table_snapshot table_words(const char *words, struct arena *a)
{
	struct table_snapshot t = { .version = 0, .files = arena_array(a, struct table_file, 30) };
	struct str rest = str_from(words), part;
	size_t n = 0;
	while (rest.n > 0 && str_cut(&rest, ';', &part))
		t.files[t.n_files++] = file_words(part, a);
	t.windows = arena_array(a, const struct table_window *, 100);
	for (size_t i = 0; i < t.n_files; i++)
		for (size_t k = 0; k < t.files[i].n_windows; k++) {
			t.windows[n] = &t.files[i].windows[k];
			n += str_map_add(&t.by_name, t.windows[n]->name, n, a);
		}
	return t;
}

static bool before_x(void *user, struct str window)
{
	(void)user;
	return window.p[0] < 'x';
}

static const char *choice_words(const struct compact_choice *c, struct arena *a)
{
	struct str text = STR_NONE;
	for (size_t i = 0; i < c->n_targets; i++)
		for (size_t k = 0; k < c->targets[i].n_windows; k++)
			text = arena_format(a, "%.*s%s%.*s", STR_ARG(text), k ? " " : i ? ";" : "",
					    STR_ARG(c->targets[i].windows[k].name));
	return arena_zero_terminated(a, text);
}

/* What goes holds no window that is not made anew, and the other way round. */
static void assert_closed(const struct compact_choice *c)
{
	size_t made = 0, gone = 0;
	for (size_t i = 0; i < c->n_targets; i++)
		made += c->targets[i].n_windows;
	for (size_t i = 0; i < c->n_remove; i++)
		gone += c->remove[i]->n_windows;
	assert_int_equal(made, gone);
}

static void test_which_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(choose_cases); i++) {
		struct arena a = ARENA_INIT;
		struct table_snapshot t = table_words(choose_cases[i].files, &a);
		struct compact_choice c;
		compact_choose(&t, 10, before_x, NULL, &a, &c);
		if (strcmp(choice_words(&c, &a), choose_cases[i].want) != 0)
			fail_msg("%s: %s", choose_cases[i].what, choice_words(&c, &a));
		assert_closed(&c);
		arena_free(&a);
	}
}

static const struct aside_case {
	const char *what, *main, *aside, *want;
} aside_cases[] = {
	{ "nothing bad: one file without rows", "a1 b1 c1", "a0;b0;c0", "a b c" },
	{ "nothing to do", "a1 b1 c1", "a0 b0 c0", "" },
	{ "one with bad rows takes its file's windows along", "a1 b1;c1 d1", "a0;b2;c0;d0", "a b;c d" },
	{ "those of two files", "a1 b1;c1 d1", "a1;b0;c0;d2", "a b;c d" },
	{ "idle ones of several files are one", "a1;b1;c1", "a0;b0;c1", "a b" },
	{ "open windows stay", "a1 b1;x1", "a0;b0 x0", "" },
	{ "a window that the table does not have stays", "a1 b1", "a0;b0;c0", "a b" },
	{ "one that is cut in the table", "a1;b9;b9;c1", "a0;b0;c0", "a b c" },
	{ "and has bad rows stays", "a1;b9;b9;c1", "a0;b1;b1;c0", "a c" },
	{ "and has them in one of its files too", "a1;b9;b9;c1", "a0;b1;c0", "a c" },
};

static void test_which_files_of_the_quarantine(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(aside_cases); i++) {
		struct arena a = ARENA_INIT;
		struct table_snapshot main = table_words(aside_cases[i].main, &a), t = table_words(aside_cases[i].aside, &a);
		struct compact_choice c;
		compact_choose_quarantine(&t, &main, before_x, NULL, &a, &c);
		if (strcmp(choice_words(&c, &a), aside_cases[i].want) != 0)
			fail_msg("%s: %s", aside_cases[i].what, choice_words(&c, &a));
		assert_closed(&c);
		arena_free(&a);
	}
}

/* ── with files ── */

static bool take_line(void *user, const struct digest_line *l, struct err *e)
{
	struct arena a = ARENA_INIT;
	(void)e;
	buf_add(user, digest_line_text(l, &a));
	buf_add_char(user, '\n');
	arena_free(&a);
	return true;
}

static struct str digest(struct world *w, struct arena *a)
{
	struct buf b = BUF_INIT(1 << 20);
	OK(digest_lake(&w->project, STR_NONE, take_line, &b, e));
	struct str text = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return text;
}

static void on_finding(void *user, const struct finding *f)
{
	(void)user;
	fail_msg("%.*s: %.*s", STR_ARG(f->where), STR_ARG(f->what));
}

static void on_table(void *user, const struct compact_report *r)
{
	struct world *w = user;
	w->sent = arena_format(&w->a, "%.*s%s %zu>%zu;", STR_ARG(w->sent), lake_zone_name(r->zone), r->merged, r->made);
}

static bool compact(struct world *w, struct err *e)
{
	struct compact_options o = { .tell = on_table, .user = w };
	w->sent = STR_NONE;
	world_open_project(w);
	return compact_lake(&w->project, &o, &w->a, e);
}

static void assert_sound(struct world *w)
{
	struct verify_counts n;
	struct verify_options o = { .finding = on_finding };
	OK(verify_lake(&w->project, &o, &n, e));
	assert_int_equal(n.not_read.n, 0);
}

#define TRIPS_F TRIPS_COLUMNS(TRIPS_N "      - {name: f, logicalType: number, customProperties: [{property: sluice.type, value: double}]}\n")

/* Days with bad rows, without any, with a -0.0, with fields that nobody knows. */
static void days_begin(struct world *w, uint64_t file_rows)
{
	trips_begin(w);
	w->file_rows = file_rows;
	world_answers(w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":300},{\"id\":22,\"place\":\"b\",\"n\":4}");
	world_answers(w, "/trips?day=2024-01-05", "");
	world_answers(w, "/trips?day=2024-01-06", "{\"id\":61,\"place\":\"z\",\"n\":700,\"new\":[1]},{\"id\":62,\"place\":\"\"}");
	world_answers(w, "/trips?day=2024-01-07",
		      "{\"id\":75,\"place\":\"a\"},{\"id\":71,\"place\":\"a\"},{\"id\":73,\"place\":\"a\"},{\"id\":72,\"place\":\"a\"},"
		      "{\"id\":74,\"place\":\"a\"},{\"id\":76,\"place\":\"a\"},{\"id\":71,\"place\":\"b\"}");
}

static void run_days(struct world *w, int from, int to)
{
	w->options.request.only = STR("trips");
	trips_days(w, arena_format(&w->a, "2024-01-%02d", from).p, arena_format(&w->a, "2024-01-%02d", to).p);
	world_run_ok(w);
}

static void test_the_files_of_one_run(void **state)
{
	static const uint64_t sizes[] = { 5, 100 }; /* no day is half of it, or it is more */
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct arena a = ARENA_INIT;
		struct world once, daily;
		days_begin(&once, sizes[i]);
		run_days(&once, 1, 8);
		struct str want = digest(&once, &a);
		world_end(&once);
		days_begin(&daily, sizes[i]);
		static const int order[] = { 3, 1, 2, 7, 4, 6, 5 };
		for (size_t k = 0; k < COUNT(order); k++)
			run_days(&daily, order[k], order[k] + 1);
		OK(compact(&daily, e));
		if (!str_eq(digest(&daily, &a), want))
			fail_msg("%d records a file (%.*s): its digest is\n%.*sand not\n%.*s", (int)sizes[i], STR_ARG(daily.sent),
				 STR_ARG(digest(&daily, &a)), STR_ARG(want));
		assert_sound(&daily);
		run_days(&daily, 1, 8);
		assert_true(daily.r.nothing_to_do);
		OK(compact(&daily, e));
		assert_text(daily.sent, "prepare 0>0;quarantine 0>0;");
		world_end(&daily);
		arena_free(&a);
	}
}

/* Files of an older contract lack a column: NULL, as readers see it already; of doubles each bit stays. */
static void test_files_of_several_contracts(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	run_days(&w, 1, 2);
	world_file(&w, "contracts/trips.yaml", TRIPS_F);
	world_answers(&w, "/trips?day=2024-01-02",
		      "{\"id\":21,\"place\":\"a\",\"f\":0.0},{\"id\":22,\"place\":\"b\",\"f\":-0.0},{\"id\":23,\"place\":\"b\",\"f\":1.5}");
	run_days(&w, 2, 3);
	const char *sql = "SELECT id || ':' || coalesce(CAST(f AS VARCHAR), 'NULL') FROM prepare.trips ORDER BY id";
	struct str before = world_sql(&w, sql);
	assert_text(before, "11:NULL 12:NULL 21:0.0 22:-0.0 23:1.5");
	OK(compact(&w, e));
	assert_text(w.sent, "prepare 2>1;quarantine 2>1;");
	assert_text(world_sql(&w, sql), before.p);
	assert_sound(&w);
	world_end(&w);
}

/* Windows that a look-back asks for again stay in files of their own. */
static void test_open_windows_stay(void **state)
{
	struct world w;
	char pipeline[2048];
	const char *at = strstr(trips_pipeline, "window: {every: 1d}");
	(void)state;
	trips_begin(&w);
	assert_non_null(at);
	snprintf(pipeline, sizeof pipeline, "%.*swindow: {every: 1d, lookback: 6d}%s", (int)(at - trips_pipeline), trips_pipeline,
		 at + strlen("window: {every: 1d}"));
	world_file(&w, "pipeline.yaml", pipeline);
	for (int d = 1; d <= 4; d++)
		run_days(&w, d, d + 1);
	world_at(&w, "2024-01-10T06:00:00Z"); /* day 2 ended eight days ago */
	OK(compact(&w, e));
	assert_text(w.sent, "prepare 2>1;quarantine 2>1;");
	world_at(&w, "2024-01-12T06:00:00Z");
	OK(compact(&w, e));
	assert_text(w.sent, "prepare 3>1;quarantine 3>1;");
	world_end(&w);
}

/* ── against others (rule 32) ── */

static struct table_file *copy_files(const struct table_snapshot *t, size_t from, size_t n, struct arena *a)
{
	struct table_file *v = arena_array(a, struct table_file, n + 1);
	for (size_t i = 0; i < n; i++)
		v[i] = t->files[from + i];
	return v;
}

/* A commit of compaction that was built on `t`; the bytes are not looked at by a commit. */
static bool commit_moves(struct world *w, struct table_snapshot *t, bool *again, struct err *e)
{
	struct run_options o = { 0 };
	struct publish u = { .project = &w->project, .options = &o, .run_id = STR("late"), .threads = 1 };
	struct table_file *gone = copy_files(t, 0, 2, &w->a), made = gone[0];
	made.path = STR("data/0000000000000000-000000000000/00000.parquet");
	made.windows = arena_array(&w->a, struct table_window, 2);
	made.windows[0] = gone[0].windows[0];
	made.windows[1] = gone[1].windows[0];
	made.n_windows = 2;
	made.same_data = gone[0].same_data = gone[1].same_data = true;
	struct table_schema schema = t->schema;
	struct commit_ask ask = { .zone = ZONE_PREPARE, .table = STR("trips"), .operation = STR("sluice compact"),
				  .schema = &schema, .contract_meaning = t->contract_meaning, .add = &made, .n_add = 1,
				  .remove = gone, .n_remove = 2, .moves = true };
	return publish_commit(&u, &ask, t, again, &w->a, e);
}

static void test_other_commits_between(void **state)
{
	static const struct {
		int from, to;
		bool refetch, again;
	} others[] = { { 3, 4, false, false }, { 1, 2, true, true }, { 2, 3, true, true } };
	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		struct world w;
		bool again = false;
		trips_begin(&w);
		run_days(&w, 1, 2);
		run_days(&w, 2, 3);
		struct table_snapshot t = world_snapshot(&w, ZONE_PREPARE, "trips");
		w.options.request.refetch = others[i].refetch; /* the same content: only its tags change */
		run_days(&w, others[i].from, others[i].to);
		OK(commit_moves(&w, &t, &again, e));
		assert_int_equal(again, others[i].again);
		struct table_snapshot now = world_snapshot(&w, ZONE_PREPARE, "trips");
		assert_int_equal(now.version, others[i].again ? 2 : 3);
		assert_int_equal(now.n_files, 2);
		world_end(&w);
	}
}

/* And the other way round: a run that was planned on files which compaction took away begins again on the new ones. */
static void test_a_run_after_compaction(void **state)
{
	struct world w;
	struct run_options o = { 0 };
	struct run_table out = { 0 };
	struct plan p;
	(void)state;
	trips_begin(&w);
	for (int d = 1; d <= 3; d++)
		run_days(&w, d, d + 1);
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":33}");
	world_stages(&w, true, false, false);
	w.options.request.refetch = true;
	run_days(&w, 2, 3);
	struct plan_request q = { .has_from = true, .has_to = true, .from = STR("2024-01-02"), .to = STR("2024-01-03"),
				  .prepare = true, .now_us = w.clock.wall_us };
	OK(plan_make(&w.project, &q, &w.a, &p, e));
	OK(compact(&w, e));
	assert_text(w.sent, "prepare 3>1;quarantine 3>1;");
	struct publish u = { .project = &w.project, .options = &o, .run_id = STR("late"), .threads = 1 };
	for (size_t i = 0; i < p.n_resources; i++)
		if (str_eq(p.resources[i].resource->name, STR("trips"))) {
			p.resources[i].contract = w.project.contracts[i];
			p.resources[i].resource = &w.project.pipeline->resources[i];
			OK(publish_resource(&u, &p.resources[i], &out, &w.a, e));
		}
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:33 31:5 32:6");
	assert_sound(&w);
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_files),
		cmocka_unit_test(test_which_files_of_the_quarantine),
		cmocka_unit_test(test_the_files_of_one_run),
		cmocka_unit_test(test_files_of_several_contracts),
		cmocka_unit_test(test_open_windows_stay),
		cmocka_unit_test(test_other_commits_between),
		cmocka_unit_test(test_a_run_after_compaction),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
