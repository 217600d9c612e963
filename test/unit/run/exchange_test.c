/* Tables whose engine is somewhere else: a job is written down and published is nothing; it is carried out; and whoever comes then
 * commits the result as if the engine had just ended. */
#include "publish_scene.h"

#include "driver/child.h"

#include <unistd.h>

#define FOLDER "runs/test/r1/jobs"

static size_t folders_made(struct world *w, const struct scene *s)
{
	struct store_listing list = { 0 };
	OK(store_list_names(w->project.store, arena_format(&w->a, "%.*s/data", STR_ARG(table_key(w, s))), &w->a, &list, e));
	return list.n;
}

/* Nothing of the table is published by it. */
static struct exchange_posted write_job(struct world *w, const struct scene *s, enum engine_use engine)
{
	struct engine_exchange x = { .way = EXCHANGE_WRITE, .folder = STR(FOLDER) };
	struct run_options o = { .exchange = &x, .request.engine = engine };
	struct run_table made[2] = { 0 };
	struct err why = ERR_INIT;
	assert_false(publish(w, s, &o, made, &why));
	if (why.code != ERR_BUDGET || !x.posted || x.jobs.n != 1)
		fail_msg("%s: %s", s->table, why.message);
	assert_non_null(strstr(why.message, "waits for an engine"));
	assert_text(x.jobs.v[0].table, s->table);
	assert_int_equal(x.jobs.v[0].zone, zone_of(s));
	assert_int_equal(world_snapshot(w, zone_of(s), s->table).version, -1);
	return x.jobs.v[0];
}

/* By another process, which is told nothing but where the job lies. */
static void carry_out(struct world *w, const struct exchange_posted *x)
{
	struct str line = arena_format(&w->a, "'%s' engine duckdb '%.*s/%.*s' >/dev/null", child_self_path(), STR_ARG(w->lake),
				       STR_ARG(x->job));
	assert_int_equal(system(arena_zero_terminated(&w->a, line)), 0);
}

static struct str object(struct world *w, struct str key)
{
	struct str text;
	OK(store_get(w->project.store, key, 1 << 20, &w->a, &text, e));
	return text;
}

static bool take(struct world *w, const struct scene *s, struct str job, struct str result, enum engine_use engine, bool *taken,
		 struct run_table *made, struct err *e)
{
	struct engine_exchange x = { .way = EXCHANGE_TAKE, .job_text = job, .result_text = result };
	struct run_options o = { .exchange = &x, .request.engine = engine };
	bool ok = publish(w, s, &o, made, e);
	*taken = x.taken;
	return ok;
}

static void test_a_table_made_elsewhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		const struct scene *s = &scenes[i];
		struct world w;
		struct run_table made[2] = { 0 };
		struct err why = ERR_INIT;
		bool taken = false;
		begin(&w, s);
		struct exchange_posted x = write_job(&w, s, ENGINE_USE_UNSAID);
		struct str job = object(&w, x.job);
		/* again: the same job, and no other folders */
		struct exchange_posted again = write_job(&w, s, ENGINE_USE_UNSAID);
		assert_true(str_eq(again.job, x.job) && str_eq(again.result, x.result));
		assert_true(str_eq(object(&w, x.job), job));
		assert_int_equal(folders_made(&w, s), 1);
		carry_out(&w, &x);
		assert_int_equal(world_snapshot(&w, zone_of(s), s->table).version, -1);
		if (!take(&w, s, job, object(&w, x.result), ENGINE_USE_UNSAID, &taken, made, &why))
			fail_msg("%s: %s", s->table, why.message);
		assert_true(taken && made[0].changed);
		assert_true(str_starts(made[0].engine, STR("DuckDB ")));
		assert_int_equal(made[0].version, 0);
		assert_end(&w, s);
		/* a result that comes twice finds nothing to do */
		struct str all = world_files(&w, "");
		memset(made, 0, sizeof made);
		OK(take(&w, s, job, object(&w, x.result), ENGINE_USE_UNSAID, &taken, made, e));
		assert_false(taken || made[0].changed);
		assert_true(str_eq(all, world_files(&w, "")));
		world_end(&w);
	}
}

/* It was written for other windows or inputs than there are now. */
static void test_a_result_of_another_job(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i += 2) {
		const struct scene *s = &scenes[i];
		struct world w;
		struct run_table made[2] = { 0 };
		struct err why = ERR_INIT;
		bool taken = true;
		begin(&w, s);
		struct exchange_posted x = write_job(&w, s, ENGINE_USE_UNSAID);
		carry_out(&w, &x);
		world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"b\",\"n\":50}");
		world_stages(&w, true, s->prepared, false);
		w.options.request.refetch = true;
		trips_days(&w, "2024-01-02", "2024-01-03");
		world_run_ok(&w);
		assert_false(take(&w, s, object(&w, x.job), object(&w, x.result), ENGINE_USE_UNSAID, &taken, made, &why));
		assert_int_equal(why.code, ERR_FENCED);
		assert_non_null(strstr(err_hint_text(&why), "write the jobs again"));
		assert_false(taken);
		assert_int_equal(world_snapshot(&w, zone_of(s), s->table).version, -1);
		world_end(&w);
	}
}

/* ── results that are not so ── */

#define ERROR(code, message) "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define OF_NO_OUTPUT ERR_ENGINE, "not below its job's output"
#define OF_NO_WINDOW ERR_ENGINE, "which its job does not have"

/* Behind the first `behind` the first `old` becomes `new`; "": all of the text does. `over`: what `new` has more lies over what
 * follows, so that a hash stays as long as one is. */
static const struct lie {
	const struct scene *s;
	bool of_job, over;
	const char *behind, *old, *new;
	enum err_code code;
	const char *said;
} lies[] = {
	{ TRIPS, true, false, "", "", "{", ERR_JSON, "" },
	{ TRIPS, true, false, "", "\"records\":\"data\"", "\"records\":\"date\"", ERR_FENCED, "for something else" },
	{ TRIPS, false, false, "", "", "{", ERR_JSON, "" },
	{ TRIPS, false, false, "", "", ERROR("CONTRACT", "broken"), ERR_CONTRACT, "prepare trips: broken" },
	{ TRIPS, false, false, "", "", ERROR("BUDGET", "late"), ERR_ENGINE, "the engine was stopped: late" },
	{ TRIPS, false, false, "", "", ERROR("SIGTERM", "killed"), ERR_ENGINE, "the engine was stopped: killed" },
	{ TRIPS, false, false, "", "", ERROR("SIGINT", "typed"), ERR_ENGINE, "the engine was stopped: typed" },
	{ TRIPS, false, false, "", "\"children\":[", "\"others\":[", ERR_ENGINE, "for 0 child tables, not 1" },
	{ TRIPS, false, false, "", "\"data/", "\"date/", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "\"data/", "\"data/0", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "\"data/", "\"\",\"was\":\"", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "\"data/", "\"data\",\"was\":\"", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "\"data/", "\"data/x\",\"was\":\"", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "/00000.parquet", "/../00000.parquet", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "/00000.parquet", "/deep/00000.parquet", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "/00000.parquet", "/", OF_NO_OUTPUT },
	{ TRIPS, false, false, "\"quarantine_files\"", "\"data/", "\"data/0", OF_NO_OUTPUT },
	{ TRIPS, false, false, "\"children\"", "\"data/", "\"data/0", OF_NO_OUTPUT },
	{ TRIPS, false, false, "", "\"generation\":1", "\"generation\":2", OF_NO_WINDOW },
	{ TRIPS, false, true, "", "\"content\":\"", "\"content\":\"0123456789", OF_NO_WINDOW },
	{ TRIPS, false, true, "", "\"seal\":\"", "\"seal\":\"0123456789", OF_NO_WINDOW },
	{ TRIPS, false, true, "", "\"key\":\"", "\"key\":\"0123456789", OF_NO_WINDOW },
	{ TRIPS, false, false, "", "{\"window\":\"20240102", "{\"window\":\"20230102", OF_NO_WINDOW },
	{ TRIPS, false, false, "\"quarantine_files\"", "{\"window\":\"20240102", "{\"window\":\"20230102", OF_NO_WINDOW },
	{ TRIPS, false, false, "", "\"windows\":[", "\"windows\":[],\"was\":[", ERR_ENGINE, "leaves out window 20240101T000000Z" },
	{ TRIPS, false, false, "", NULL, NULL, ERR_ENGINE, "00000.parquet twice" },
	{ MODEL, false, false, "", "\"full\"", "\"empty\"", ERR_ENGINE, "window empty, which its job does not have" },
	{ MODEL, false, false, "", "\"data/", "\"data/0", OF_NO_OUTPUT },
};

static size_t place_of(struct str text, size_t from, const char *part)
{
	size_t at = from + str_find(str_sub(text, from, text.n), str_from(part));
	assert_true(at < text.n);
	return at;
}

static struct str tell_lie(const struct lie *l, struct str text, struct arena *a)
{
	if (l->old == NULL) { /* the first list of files has its file once more */
		size_t at = place_of(text, 0, "\"files\":[") + strlen("\"files\":["), end = place_of(text, at, "],\"quarantine_files\"");
		return arena_format(a, "%.*s,%.*s", (int)end, text.p, STR_ARG(str_sub(text, at, text.n)));
	}
	if (!*l->old)
		return str_from(l->new);
	size_t at = place_of(text, place_of(text, 0, *l->behind ? l->behind : "{"), l->old);
	size_t rest = at + strlen(l->over ? l->new : l->old);
	return arena_format(a, "%.*s%s%.*s", (int)at, text.p, l->new, STR_ARG(str_sub(text, rest, text.n)));
}

/* A job and a result that name no folder at all. */
static void no_folder(struct str *job, struct str *result, struct arena *a)
{
	static const struct lie of_job = { .behind = "", .old = "\"output\":\"", .new = "\"output\":\"\",\"was\":\"" };
	size_t at = place_of(*result, 0, "\"data/") + strlen("\"data/"), end = place_of(*result, at, "/");
	*result = arena_format(a, "%.*s%.*s", (int)at, result->p, STR_ARG(str_sub(*result, end, result->n)));
	*job = tell_lie(&of_job, *job, a);
}

/* What a result may say is fixed by its job. Each of these is refused, nothing of it is published, and the true one is taken. */
static void test_results_that_are_not_so(void **state)
{
	(void)state;
	for (size_t from = 0, to; from < COUNT(lies); from = to) {
		const struct scene *s = lies[from].s;
		struct world w;
		struct run_table made[2] = { 0 };
		bool taken = false;
		begin(&w, s);
		struct exchange_posted x = write_job(&w, s, ENGINE_USE_UNSAID);
		carry_out(&w, &x);
		struct str job = object(&w, x.job), result = object(&w, x.result);
		for (to = from; to < COUNT(lies) && lies[to].s == s; to++) {
			const struct lie *l = &lies[to];
			struct err why = ERR_INIT;
			bool ok = take(&w, s, l->of_job ? tell_lie(l, job, &w.a) : job, l->of_job ? result : tell_lie(l, result, &w.a),
				       ENGINE_USE_UNSAID, &taken, made, &why);
			if (ok || taken || why.code != l->code || !strstr(why.message, l->said))
				fail_msg("lie %zu: %s: %s", to, err_name(why.code), why.message);
			assert_int_equal(world_snapshot(&w, zone_of(s), s->table).version, -1);
			assert_int_equal(world_snapshot(&w, ZONE_QUARANTINE, s->table).version, -1);
		}
		struct str other_job = job, other_result = result;
		struct err why = ERR_INIT;
		no_folder(&other_job, &other_result, &w.a);
		assert_false(take(&w, s, other_job, other_result, ENGINE_USE_UNSAID, &taken, made, &why));
		assert_int_equal(why.code, ERR_ENGINE);
		assert_non_null(strstr(why.message, "data//00000.parquet, which is not below its job's output"));
		memset(made, 0, sizeof made);
		OK(take(&w, s, job, result, ENGINE_USE_UNSAID, &taken, made, e));
		assert_end(&w, s);
		world_end(&w);
	}
}

/* The result with a SHA-256 for its one file. */
static struct str with_claim(struct str result, struct sha256 claim, struct arena *a)
{
	size_t at = place_of(result, 0, "\"stats\":");
	return arena_format(a, "%.*s\"sha256\":\"%.*s\",%.*s", (int)at, result.p, STR_ARG(sha256_hex_str(claim, a)),
			    STR_ARG(str_sub(result, at, result.n)));
}

static struct sha256 hash_of_file(struct world *w, struct str result)
{
	struct str rest = str_sub(result, place_of(result, 0, "\"path\":\"") + strlen("\"path\":\""), result.n);
	struct str key = arena_format(&w->a, "%.*s/%.*s", STR_ARG(table_key(w, MODEL)), STR_ARG(str_sub(rest, 0, str_find_char(rest, '"'))));
	return sha256_of(object(w, key));
}

static enum store_kept kept;
static bool kept_fails;

static bool compare_kept(struct store *s, struct str key, struct sha256 hash, enum store_kept *out, struct err *e)
{
	(void)s;
	(void)hash;
	*out = kept;
	return !kept_fails || err_set(e, ERR_STORAGE, "%.*s: refused", STR_ARG(key));
}

static bool read_none_of_it(struct store *s, struct str key, uint64_t offset, void *p, size_t n, struct err *e)
{
	struct flaky *f = (struct flaky *)s;
	if (!str_starts(key, STR("refine/"))) /* what the model reads is looked at, too */
		return f->inner->ops->read_at(f->inner, key, offset, p, n, e);
	return err_set(e, ERR_STORAGE, "%.*s: not to be read", STR_ARG(key));
}

/* Whoever sent the files has hashed them, and is not believed: the bytes are read, or the service says what came. */
static void test_hashes_of_who_sent_the_files(void **state)
{
	static volatile int none = 0, interrupt = 2, terminate = 15;
	static const struct {
		bool wrong, asks, fails, unread; /* the claim; the service is asked; it fails; nobody can read */
		enum store_kept kept;
		volatile int *stop;
		int64_t deadline_us;             /* from now; 0 none */
		enum err_code code;
		const char *said;
	} rows[] = {
		{ true, false, false, false, STORE_KEPT_NONE, NULL, 0, ERR_ENGINE, "its bytes are not those that the engine's result names" },
		{ true, true, false, false, STORE_KEPT_NONE, NULL, 0, ERR_ENGINE, "its bytes are not those" },
		{ false, true, false, true, STORE_KEPT_OTHER, NULL, 0, ERR_ENGINE, "its bytes are not those" },
		{ false, true, true, false, STORE_KEPT_SAME, NULL, 0, ERR_STORAGE, "refused" },
		{ false, false, false, true, STORE_KEPT_NONE, NULL, 0, ERR_STORAGE, "not to be read" },
		{ false, false, false, false, STORE_KEPT_NONE, &interrupt, 0, ERR_SIGINT, "stopped" },
		{ false, false, false, false, STORE_KEPT_NONE, &terminate, 0, ERR_SIGTERM, "stopped" },
		{ false, false, false, false, STORE_KEPT_NONE, NULL, -1, ERR_BUDGET, "no time is left" },
		{ false, true, false, true, STORE_KEPT_SAME, &none, 1, ERR_NONE, "" },
		{ false, false, false, false, STORE_KEPT_NONE, NULL, 0, ERR_NONE, "" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world w;
		struct flaky f;
		struct run_table made[2] = { 0 };
		struct err why = ERR_INIT;
		begin(&w, MODEL);
		w.clock.monotonic_us += 10;
		struct exchange_posted x = write_job(&w, MODEL, ENGINE_USE_UNSAID);
		carry_out(&w, &x);
		struct str result = object(&w, x.result), job = object(&w, x.job);
		struct sha256 true_hash = hash_of_file(&w, result), wrong = sha256_of(STR("of other bytes"));
		struct engine_exchange taking = { .way = EXCHANGE_TAKE, .job_text = job,
						  .result_text = with_claim(result, rows[i].wrong ? wrong : true_hash, &w.a) };
		struct run_options o = { .exchange = &taking, .stop = rows[i].stop };
		publish_open(&w);
		struct plan p = publish_plan(&w, "2024-01-01", MODEL->to, ENGINE_USE_UNSAID);
		publish_through(&w, &f, 0, FLAKY_REFUSE);
		kept = rows[i].kept;
		kept_fails = rows[i].fails;
		f.ops.compare_kept = rows[i].asks ? compare_kept : NULL;
		if (rows[i].unread)
			f.ops.read_at = read_none_of_it;
		o.deadline_us = rows[i].deadline_us ? w.clock.monotonic_us + rows[i].deadline_us * 5 : 0;
		bool ok = publish_planned(&w, &p, &o, MODEL->table, made, &why);
		publish_through_end(&w, &f);
		if (ok != (rows[i].code == ERR_NONE) || why.code != rows[i].code || !strstr(why.message, rows[i].said))
			fail_msg("%zu: %s: %s", i, err_name(why.code), why.message);
		struct table_snapshot t = world_snapshot(&w, ZONE_REFINE, "by_place");
		if (ok) {
			assert_int_equal(t.n_files, 1);
			assert_true(t.files[0].has_hash && sha256_eq(t.files[0].hash, true_hash));
		} else {
			assert_int_equal(t.version, -1);
		}
		world_end(&w);
	}
}

/* Each call of the store fails in turn: nothing counts as written that is not there, and the same call again writes it. */
static uint64_t write_with_failures(struct world *w, const struct scene *s, const char *begin_again)
{
	uint64_t failed = 1, calls = 0;
	for (uint64_t nth = 1; failed > 0; nth++) {
		struct engine_exchange x = { .way = EXCHANGE_WRITE, .folder = STR(FOLDER) };
		struct run_options o = { .exchange = &x };
		struct run_table made[2] = { 0 };
		struct flaky f;
		struct err why = ERR_INIT;
		shell(w, begin_again);
		publish_open(w);
		struct plan p = publish_plan(w, "2024-01-01", s->to, ENGINE_USE_UNSAID);
		publish_through(w, &f, nth, FLAKY_REFUSE);
		assert_false(publish_planned(w, &p, &o, s->table, made, &why));
		publish_through_end(w, &f);
		failed = f.failed;
		if (why.code != (failed > 0 ? ERR_STORAGE : ERR_BUDGET) || x.posted != (failed == 0))
			fail_msg("%s, call %d: %s", s->table, (int)nth, why.message);
		calls++;
	}
	return calls;
}

static void test_any_call_fails_while_a_job_is_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		const struct scene *s = &scenes[i];
		struct world w;
		struct run_table made[2] = { 0 };
		bool taken = false;
		begin(&w, s);
		shell(&w, "cp -a lake begin");
		assert_true(write_with_failures(&w, s, "rm -rf lake && cp -a begin lake") > s->outputs + 3);
		assert_true(write_with_failures(&w, s, "true") > 3); /* it is there by now */
		struct exchange_posted x = write_job(&w, s, ENGINE_USE_UNSAID);
		assert_int_equal(folders_made(&w, s), 1);
		carry_out(&w, &x);
		OK(take(&w, s, object(&w, x.job), object(&w, x.result), ENGINE_USE_UNSAID, &taken, made, e));
		assert_end(&w, s);
		world_end(&w);
	}
}

static bool settle_nothing(struct store *s, struct str key, struct err *e)
{
	(void)s;
	(void)key;
	(void)e;
	return true;
}

/* As on S3: the answer to the PUT was lost, nothing was done, and a look at what is there is all that can tell. */
static void test_a_job_whose_answer_was_lost(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) { /* done, or not */
		struct world w;
		struct flaky f;
		struct err why = ERR_INIT;
		struct engine_exchange x = { .way = EXCHANGE_WRITE, .folder = STR(FOLDER) };
		struct run_options o = { .exchange = &x };
		struct run_table made[2] = { 0 };
		begin(&w, MODEL);
		publish_open(&w);
		struct plan p = publish_plan(&w, "2024-01-01", MODEL->to, ENGINE_USE_UNSAID);
		publish_through(&w, &f, 1, lost ? FLAKY_LOSE : FLAKY_GONE)->creates_only = true;
		f.ops.settle = settle_nothing;
		assert_false(publish_planned(&w, &p, &o, "by_place", made, &why));
		publish_through_end(&w, &f);
		assert_int_equal(f.failed, 1);
		assert_int_equal(why.code, lost ? ERR_BUDGET : ERR_STORAGE);
		assert_int_equal(x.posted, lost);
		if (lost)
			assert_true(object(&w, x.jobs.v[0].job).n > 0);
		else
			assert_non_null(strstr(why.message, "the answer of the store was lost and the object is not there"));
		world_end(&w);
	}
}

/* ── Spark ── */

static const char twice[] = "SELECT t.place, p.name, COUNT(*) * 2 AS trips FROM sluice_prepare_trips t "
			    "LEFT JOIN sluice_prepare_places p ON p.id = t.place GROUP BY t.place, p.name\n";

/* A job for Spark has the model's text for it; which engine made a table is part of what it was made of. */
static void test_a_job_for_spark(void **state)
{
	struct world w;
	struct run_table made[2] = { 0 };
	struct err why = ERR_INIT;
	bool taken = false;
	(void)state;
	begin(&w, MODEL);
	world_file(&w, "models/by_place.spark.sql", twice);
	struct exchange_posted duckdb = write_job(&w, MODEL, ENGINE_USE_DUCKDB), x = write_job(&w, MODEL, ENGINE_USE_SPARK);
	assert_false(str_eq(duckdb.job, x.job));
	assert_true(str_contains(object(&w, x.job), STR("COUNT(*) * 2 AS trips")));
	assert_false(str_contains(object(&w, duckdb.job), STR("COUNT(*) * 2 AS trips")));
	carry_out(&w, &duckdb);
	assert_false(take(&w, MODEL, object(&w, duckdb.job), object(&w, duckdb.result), ENGINE_USE_SPARK, &taken, made, &why));
	assert_int_equal(why.code, ERR_FENCED);
	assert_false(taken);
	carry_out(&w, &x); /* what a Spark would make of it, tests with one show */
	memset(made, 0, sizeof made);
	OK(take(&w, MODEL, object(&w, x.job), object(&w, x.result), ENGINE_USE_SPARK, &taken, made, e));
	assert_true(taken && made[0].changed);
	assert_true(str_ends(str_from(made[0].spark_file), STR("models/by_place.spark.sql")));
	memset(made, 0, sizeof made);
	OK(publish(&w, MODEL, &(struct run_options){ .request.engine = ENGINE_USE_SPARK }, made, e));
	assert_false(made[0].changed);
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_table_made_elsewhere),
		cmocka_unit_test(test_a_result_of_another_job),
		cmocka_unit_test(test_results_that_are_not_so),
		cmocka_unit_test(test_hashes_of_who_sent_the_files),
		cmocka_unit_test(test_any_call_fails_while_a_job_is_written),
		cmocka_unit_test(test_a_job_whose_answer_was_lost),
		cmocka_unit_test(test_a_job_for_spark),
	};
	int child = world_engine_child(argc, argv);
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return child >= 0 ? child : cmocka_run_group_tests_name("run/exchange", tests, NULL, NULL);
}
