/* Which engine a table is made by, what it needs, and when it is made again. */
#include "publish_scene.h"

#include <unistd.h>

#define FOLDER "runs/test/r1/jobs"

/* ── no folder for what an engine has to bring ── */

static bool make_job_only(struct world *w, struct err *e)
{
	struct engine_job job;
	return publish_model_job(&w->project, &w->project.models.v[0], STR("r1"), 1, &job, &w->a, e);
}

static void test_no_room_for_what_is_brought(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i += 2) {
		const struct scene *s = &scenes[i];
		const char *before = getenv("TMPDIR");
		struct run_table made[2] = { 0 };
		struct world w;
		struct flaky f;
		struct err why = ERR_INIT;
		begin(&w, s);
		publish_open(&w);
		struct plan p = publish_plan(&w, "2024-01-01", s->to, ENGINE_USE_UNSAID);
		publish_through(&w, &f, 0, FLAKY_REFUSE)->store.abilities &= ~(unsigned)STORE_CAN_PATH;
		assert_int_equal(setenv("TMPDIR", arena_format(&w.a, "%s/not-there", w.root).p, 1), 0);
		assert_false(publish_planned(&w, &p, &(struct run_options){ 0 }, s->table, made, &why));
		if (s == MODEL)
			assert_false(make_job_only(&w, &ERR_INIT));
		assert_int_equal(before ? setenv("TMPDIR", before, 1) : unsetenv("TMPDIR"), 0);
		publish_through_end(&w, &f);
		if (why.code != ERR_STORAGE || !strstr(why.message, "not-there"))
			fail_msg("%s: %s", err_name(why.code), why.message);
		assert_int_equal(world_snapshot(&w, zone_of(s), s->table).version, -1);
		world_end(&w);
	}
}

/* ── which engine ── */

/* Where it is wanted and not there, that is said before anything is made. */
static void test_no_spark(void **state)
{
	const char *path = getenv("PATH");
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i += 2) {
		const struct scene *s = &scenes[i];
		struct run_options o = { .request.engine = ENGINE_USE_SPARK };
		struct run_table made[2] = { 0 };
		struct world w;
		struct err why = ERR_INIT;
		begin(&w, s);
		struct str saved = arena_format(&w.a, "%s", path);
		unsetenv("SPARK_HOME");
		assert_int_equal(setenv("PATH", w.root, 1), 0);
		bool ok = publish(&w, s, &o, made, &why);
		assert_int_equal(setenv("PATH", saved.p, 1), 0);
		if (ok || why.code != ERR_CONFIG || !strstr(why.message, "spark-submit is neither in"))
			fail_msg("%s: %s", err_name(why.code), why.message);
		assert_int_equal(world_snapshot(&w, zone_of(s), s->table).version, -1);
		/* nor is a job written that Spark would answer otherwise */
		if (s == MODEL) {
			struct engine_exchange x = { .way = EXCHANGE_WRITE, .folder = STR(FOLDER) };
			o.exchange = &x;
			world_file(&w, "models/by_place.sql", "SELECT place, '' AS name, CAST(sum(n) / count(*) AS INTEGER) AS trips "
				   "FROM prepare.trips GROUP BY place\n");
			why = ERR_INIT;
			assert_false(publish(&w, s, &o, made, &why));
			assert_int_equal(why.code, ERR_CONFIG);
			assert_non_null(strstr(err_hint_text(&why), "`sluice check` tells all of it"));
			assert_int_equal(x.jobs.n, 0);
		}
		world_end(&w);
	}
}

/* `auto` counts what would be read: also of windows that come along because they share a file, whose bytes their ledgers say. */
static bool plan_and_publish(struct world *w, const char *to, struct plan *p, struct run_table *made, struct err *e)
{
	struct run_options o = { .request.engine = ENGINE_USE_AUTO };
	struct plan_request q = { .has_from = true, .has_to = true, .from = STR("2024-01-01"), .to = str_from(to), .prepare = true,
				  .engine = ENGINE_USE_AUTO, .now_us = w->clock.wall_us };
	return plan_make(&w->project, &q, &w->a, p, e) && publish_planned(w, p, &o, "trips", made, e);
}

static void test_auto(void **state)
{
	static const struct {
		const char *to, *said;
	} cases[] = { { "2024-01-03", NULL }, { "2024-01-04", "; 1 window is not fetched yet" }, { "2024-01-05", "; 2 windows are not fetched yet" } };
	struct world w;
	uint64_t failed = 1, calls = 0;
	(void)state;
	begin(&w, TRIPS);
	publish_open(&w);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct plan p = publish_plan(&w, "2024-01-01", cases[i].to, ENGINE_USE_AUTO);
		assert_text(p.resources[0].resource->name, "trips");
		assert_true(str_starts(p.resources[0].engine.why, STR("auto: ")));
		assert_true(str_ends(p.resources[0].engine.why, cases[i].said ? str_from(cases[i].said) : STR("GB")));
		assert_false(p.resources[0].engine.spark);
	}
	OK(publish(&w, TRIPS, &(struct run_options){ 0 }, (struct run_table[2]){ 0 }, e));
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"b\",\"n\":50}");
	world_stages(&w, true, false, false);
	w.options.request.refetch = true;
	trips_run_days(&w, "2024-01-02", "2024-01-03");
	shell(&w, "cp -a lake begin");
	for (uint64_t nth = 1; failed > 0; nth++, calls++) {
		struct run_table made[2] = { 0 };
		struct err why = ERR_INIT;
		struct flaky f;
		struct plan p;
		shell(&w, "rm -rf lake && cp -a begin lake");
		publish_open(&w);
		publish_through(&w, &f, nth, FLAKY_REFUSE);
		bool ok = plan_and_publish(&w, "2024-01-03", &p, made, &why);
		publish_through_end(&w, &f);
		failed = f.failed;
		if ((!ok && why.code != ERR_STORAGE) || (failed == 0 && !ok))
			fail_msg("call %d: %s: %s", (int)nth, err_name(why.code), why.message);
	}
	assert_true(calls > 10);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 21:50");
	world_end(&w);
}

/* ── a store that is asked for many things at a time ── */

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

static bool list_all(struct store *s, struct str folder, struct str skip, struct arena *a, struct store_listing *out, struct err *e)
{
	struct flaky *f = (struct flaky *)s;
	struct {
		struct str *v;
		size_t n, cap;
	} todo = { 0 };
	(void)skip;
	*out = (struct store_listing){ 0 };
	*arena_push(a, todo) = STR_NONE;
	for (size_t at = 0; at < todo.n; at++) {
		struct store_listing one = { 0 };
		struct str below = todo.v[at].n > 0 ? arena_format(a, "%.*s/", STR_ARG(todo.v[at])) : STR_NONE;
		struct str here = below.n > 0 ? arena_format(a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(todo.v[at])) : folder;
		if (!f->inner->ops->list(f->inner, here, a, &one, e))
			return false;
		for (size_t i = 0; i < one.n; i++) {
			struct store_item item = one.v[i];
			item.name = arena_format(a, "%.*s%.*s", STR_ARG(below), STR_ARG(item.name));
			if (item.is_folder)
				*arena_push(a, todo) = item.name;
			else
				*arena_push(a, *out) = item;
		}
	}
	if (out->n > 0)
		qsort(out->v, out->n, sizeof *out->v, by_name);
	return true;
}

/* The same tables as on any other, also where windows came again. */
static void test_a_run_that_asks_ahead(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	for (int again = 0; again < 2; again++) {
		struct flaky f;
		world_open_project(&w);
		publish_through(&w, &f, 0, FLAKY_REFUSE)->ops.list_all = list_all;
		w.options.request.refetch = again;
		trips_days(&w, "2024-01-01", "2024-01-05");
		world_run_opened(&w);
		publish_through_end(&w, &f);
		if (w.err.code != ERR_NONE)
			fail_msg("%s", w.err.message);
		assert_text(world_sql(&w, TRIPS_SQL), again ? "11:50 21:3 22:4 31:5 32:6 41:7 42:8" : "11:1 12:2 21:3 22:4 31:5 32:6 41:7 42:8");
		assert_text(world_sql(&w, "SELECT place FROM refine.a_busiest"), "a");
		world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":50}");
	}
	world_end(&w);
}

/* ── the job alone ── */

static void test_the_job_of_a_model(void **state)
{
	struct world w;
	struct engine_job job;
	struct err why = ERR_INIT;
	(void)state;
	begin(&w, MODEL);
	for (int there = 0; there < 3; there++) { /* all of its inputs; one is damaged; none */
		static const enum err_code codes[] = { ERR_NONE, ERR_DAMAGE, ERR_MISSING };
		static const char *const said[] = { "", "its bytes are not those that were published", "which is not there yet" };
		shell(&w, there == 0 ? "true" : there == 1 ? "for f in lake/prepare/test/trips/data/*/*.parquet; do "
			   "size=$(stat -c %s $f) && head -c $size /dev/zero > $f.new && mv $f.new $f; done" : "rm -r lake/prepare");
		publish_open(&w);
		const struct model *m = &w.project.models.v[0];
		assert_text(m->name, "by_place");
		why = ERR_INIT;
		bool ok = publish_model_job(&w.project, m, STR("r1"), 1, &job, &w.a, &why);
		if (ok != (there == 0) || why.code != codes[there] || !strstr(why.message, said[there]))
			fail_msg("%d: %s %s", there, err_name(why.code), why.message);
		if (!ok)
			continue;
		assert_int_equal(job.n_inputs, 2);
		assert_text(job.inputs[1].table, "trips");
		assert_int_equal(job.inputs[1].n_files, 1);
		assert_int_equal(job.output.n, 0);
	}
	world_end(&w);
}

/* What it reads is a model that was never made, or cut from records that never came: which table is said, and where to look. */
static void test_inputs_that_are_not_there(void **state)
{
	static const struct scene busiest = { .table = "a_busiest", .to = "2024-01-03" };
	static const struct {
		const char *sql, *said;
	} cases[] = {
		{ "SELECT place FROM refine.by_place\n", "it reads refine.by_place, which is not there yet" },
		{ "SELECT \"at\" AS place FROM prepare.trips__stops\n", "it reads prepare.trips__stops, which is not there yet" },
		{ "SELECT place FROM prepare.trips\n", "it reads prepare.trips, which is not there yet" },
	};
	(void)state;
	struct world w;
	begin(&w, TRIPS);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct run_table made[2] = { 0 };
		struct err why = ERR_INIT;
		world_file(&w, "models/a_busiest.sql", cases[i].sql);
		assert_false(publish(&w, &busiest, &(struct run_options){ 0 }, made, &why));
		assert_int_equal(why.code, ERR_MISSING);
		assert_non_null(strstr(why.message, cases[i].said));
		assert_non_null(strstr(err_hint_text(&why), "`sluice plan` shows what is missing"));
	}
	world_end(&w);
}

/* ── files that a repair has found damaged ── */

static void test_damaged_files_are_made_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		const struct scene *s = &scenes[i];
		struct run_repair repair = { 0 };
		struct run_options o = { .repair = &repair };
		struct run_table made[2] = { 0 };
		struct world w;
		begin(&w, s);
		OK(publish(&w, s, &(struct run_options){ 0 }, made, e));
		struct table_snapshot before = world_snapshot(&w, zone_of(s), s->table);
		assert_int_equal(before.n_files, 1);
		/* of another table: not a reason */
		str_map_add(&repair.damaged, STR("prepare/test/others/data/x/00000.parquet"), 0, &w.a);
		memset(made, 0, sizeof made);
		OK(publish(&w, s, &o, made, e));
		assert_false(made[0].changed);
		struct str file = arena_format(&w.a, "%.*s/%.*s", STR_ARG(table_key(&w, s)), STR_ARG(before.files[0].path));
		str_map_add(&repair.damaged, file, 1, &w.a);
		memset(made, 0, sizeof made);
		OK(publish(&w, s, &o, made, e));
		struct table_snapshot now = world_snapshot(&w, zone_of(s), s->table);
		assert_true(made[0].changed);
		assert_int_equal(now.version, before.version + 1);
		assert_int_equal(now.n_files, 1);
		assert_false(str_eq(now.files[0].path, before.files[0].path));
		assert_true(str_eq(now.id, before.id));
		assert_end(&w, s);
		world_end(&w);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_room_for_what_is_brought),
		cmocka_unit_test(test_no_spark),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_a_run_that_asks_ahead),
		cmocka_unit_test(test_the_job_of_a_model),
		cmocka_unit_test(test_inputs_that_are_not_there),
		cmocka_unit_test(test_damaged_files_are_made_again),
	};
	int child = world_engine_child(argc, argv);
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return child >= 0 ? child : cmocka_run_group_tests_name("run/publish_engine", tests, NULL, NULL);
}
