/* Publishing while the store fails at each of its calls, or while a rival publishes before it: nothing wrong becomes
 * visible, the cause is told, and asked again it ends as if nothing had been. */
#include "publish_world.h"

#include <inttypes.h>
#include <unistd.h>

#define BAD_DAY "{\"id\":11,\"place\":\"a\",\"n\":1},{\"id\":12,\"place\":\"b\",\"n\":999}"

static const char by_place_rule[] =
	CONTRACT_HEAD("by_place")
	"    customProperties: [{property: sluice.action, value: fail}]\n"
	"    properties:\n"
	"      - {name: place, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n"
	"      - {name: name, logicalType: string}\n"
	"      - {name: trips, logicalType: integer, logicalTypeOptions: {minimum: 1}}\n";

static void stage(struct world *w, bool prepare, bool refine, const char *only, const char *from, const char *to, bool refetch)
{
	world_stages(w, prepare || !refine, prepare, refine);
	w->options.request.refetch = refetch;
	w->options.request.only = str_from(only);
	trips_days(w, from, to);
	world_run_ok(w);
}

static void make_raw(struct world *w)
{
	stage(w, false, false, "", "2024-01-01", "2024-01-03", false);
}

/* A later fetch of day 1 came to nothing, and stands open. */
static void make_raw_and_open(struct world *w)
{
	make_raw(w);
	world_refuses(w, "/trips?day=2024-01-01");
	world_stages(w, true, false, false);
	w->options.request.refetch = true;
	w->options.request.only = STR("trips");
	trips_days(w, "2024-01-01", "2024-01-02");
	world_run_fails(w, ERR_HTTP_STATUS, "404");
	world_answers(w, "/trips?day=2024-01-01", BAD_DAY);
}

/* Day 1 came again as it was, day 2 with other rows; day 3 shares their file. */
static void make_again(struct world *w)
{
	stage(w, true, false, "", "2024-01-01", "2024-01-04", false);
	stage(w, false, false, "trips", "2024-01-01", "2024-01-02", true);
	world_answers(w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":3},{\"id\":22,\"place\":\"b\",\"n\":777}");
	stage(w, false, false, "trips", "2024-01-02", "2024-01-03", true);
}

static void make_tags(struct world *w)
{
	stage(w, true, false, "", "2024-01-01", "2024-01-03", false);
	stage(w, false, false, "trips", "2024-01-01", "2024-01-02", true);
}

/* A snapshot comes back to what it was two snapshots ago. */
static void make_snapshots(struct world *w)
{
	stage(w, true, false, "places", "2024-01-01", "2024-01-02", false);
	world_answers(w, "/places", "{\"id\":\"other\"}");
	stage(w, true, false, "places", "2024-01-01", "2024-01-03", false);
	world_answers(w, "/places", "{\"id\":\"a\",\"name\":\"Aa\"},{\"id\":\"b\",\"name\":\"Bb\"}");
	stage(w, false, false, "places", "2024-01-01", "2024-01-05", false);
}

/* The same snapshot was fetched twice, and then a later one with the same content. */
static void make_same_snapshots(struct world *w)
{
	stage(w, true, false, "places", "2024-01-01", "2024-01-02", false);
	stage(w, true, false, "places", "2024-01-01", "2024-01-02", true);
	stage(w, false, false, "places", "2024-01-01", "2024-01-03", false);
}

static void make_prepared(struct world *w)
{
	stage(w, true, false, "", "2024-01-01", "2024-01-03", false);
}

/* Another contract, the same rows. */
static void make_model_contract(struct world *w)
{
	stage(w, true, true, "", "2024-01-01", "2024-01-03", false);
	world_file(w, "contracts/by_place.yaml", by_place_rule);
}

/* Other inputs, the same rows. */
static void make_model_same(struct world *w)
{
	stage(w, true, true, "", "2024-01-01", "2024-01-03", false);
	world_answers(w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":4},{\"id\":22,\"place\":\"b\",\"n\":5}");
	stage(w, true, false, "trips", "2024-01-02", "2024-01-03", true);
}

static void make_model_again(struct world *w)
{
	stage(w, true, true, "", "2024-01-01", "2024-01-03", false);
	stage(w, true, false, "trips", "2024-01-03", "2024-01-05", false);
}

/* ── what another run does ── */

static void rival_same(struct world *w)
{
	stage(w, true, false, "", "2024-01-01", "2024-01-03", false);
}

static void rival_day(struct world *w, const char *from, const char *to, const char *answer)
{
	world_answers(w, arena_format(&w->a, "/trips?day=%s", from).p, answer);
	stage(w, true, false, "trips", from, to, true);
}

static void rival_takes_file(struct world *w)
{
	rival_day(w, "2024-01-03", "2024-01-04", "{\"id\":31,\"place\":\"a\",\"n\":60}");
}

static void rival_is_newer(struct world *w)
{
	rival_day(w, "2024-01-01", "2024-01-02", "{\"id\":11,\"place\":\"a\",\"n\":70}");
}

static void rival_is_same_but_newer(struct world *w)
{
	rival_day(w, "2024-01-01", "2024-01-02", BAD_DAY);
}

static void rival_snapshot(struct world *w)
{
	world_answers(w, "/places", "{\"id\":\"newest\"}");
	stage(w, true, false, "places", "2024-01-01", "2024-01-06", false);
}

static void rival_same_snapshot(struct world *w)
{
	stage(w, true, false, "places", "2024-01-01", "2024-01-05", true);
}

/* The other day of the plan, whose file it shares. */
static void rival_other_day(struct world *w)
{
	rival_day(w, "2024-01-02", "2024-01-03", "{\"id\":21,\"place\":\"a\",\"n\":80}");
}

static void rival_model(struct world *w)
{
	stage(w, false, true, "", "2024-01-01", "2024-01-03", false);
}

static void rival_model_and_input(struct world *w)
{
	rival_takes_file(w);
	rival_model(w);
}

#define PLACES_SQL "SELECT id FROM prepare.places ORDER BY id"
#define MODEL_SQL "SELECT place || CAST(trips AS VARCHAR) FROM refine.by_place ORDER BY 1"
static const struct scene {
	const char *what, *table, *to;
	void (*make)(struct world *w);
	const char *end; /* NULL: its calls are those of another scene; rivals alone */
	void (*rival)(struct world *w);
	const char *rival_end;
} scenes[] = {
	{ "first", "trips", "2024-01-07", make_raw, "11:1 21:3 22:4", rival_same, "11:1 21:3 22:4" },
	{ "first, newer", "trips", "2024-01-07", make_raw, NULL, rival_is_newer, "11:70 21:3 22:4" },
	{ "first, and a fetch is open", "trips", "2024-01-07", make_raw_and_open, "11:1 21:3 22:4", rival_same, "11:1 21:3 22:4" },
	{ "again", "trips", "2024-01-07", make_again, "11:1 21:3 31:5 32:6", rival_takes_file, "11:1 21:3 31:60" },
	{ "again, newer", "trips", "2024-01-07", make_again, NULL, rival_is_newer, "11:70 21:3 31:5 32:6" },
	{ "again, newer tags", "trips", "2024-01-07", make_again, NULL, rival_is_same_but_newer, "11:1 21:3 31:5 32:6" },
	{ "again, the other day", "trips", "2024-01-07", make_again, NULL, rival_other_day, "11:1 21:80 31:5 32:6" },
	{ "tags", "trips", "2024-01-07", make_tags, NULL, rival_is_newer, "11:70 21:3 22:4" },
	{ "newer tags", "trips", "2024-01-07", make_tags, NULL, rival_is_same_but_newer, "11:1 21:3 22:4" },
	{ "snapshots", "places", "2024-01-05", make_snapshots, "a b", rival_snapshot, "newest" },
	{ "snapshots, same", "places", "2024-01-05", make_snapshots, NULL, rival_same_snapshot, "a b" },
	{ "the same snapshots", "places", "2024-01-03", make_same_snapshots, NULL, rival_snapshot, "newest" },
	{ "model, same rows", "by_place", "2024-01-07", make_model_same, NULL, rival_model, "a2 b1" },
	{ "model, other contract", "by_place", "2024-01-07", make_model_contract, NULL, rival_model, "a2 b1" },
	{ "model", "by_place", "2024-01-07", make_prepared, NULL, rival_model, "a2 b1" },
	{ "model again", "by_place", "2024-01-07", make_model_again, "a6 b1", rival_model_and_input, "a5 b1" },
};

static void begin(struct world *w, const struct scene *s)
{
	trips_begin(w);
	trips_models(w);
	world_answers(w, "/trips?day=2024-01-01", BAD_DAY);
	s->make(w);
	shell(w, "cp -a lake begin");
}

struct rivalry {
	struct world *w;
	const struct scene *s;
};

/* Another program as far as the lake can tell. */
static void rival_comes(void *user)
{
	const struct rivalry *x = user;
	struct world r;
	memset(&r, 0, sizeof r);
	r.root = x->w->root;
	r.lake = x->w->lake;
	r.clock = x->w->clock;
	memcpy(r.answers, x->w->answers, sizeof r.answers);
	r.n_answers = x->w->n_answers;
	r.clock.wall_us += US_PER_SECOND;
	x->s->rival(&r);
	world_close_project(&r);
	arena_free(&r.a);
}

static struct run_repair *repair; /* of the next runs */
enum { EACH = 1000000 }; /* a rival before each creation */

/* On what stands there now; armed once the plan is made. */
static bool publish(struct world *w, const struct scene *s, struct flaky *f, uint64_t fail_at, enum flaky_how how,
		    uint64_t refuse_after, struct err *why)
{
	struct run_options o = { .repair = repair };
	struct run_table t[2];
	publish_open(w);
	struct plan p = publish_plan(w, "2024-01-01", s->to, ENGINE_USE_UNSAID);
	publish_through(w, f, fail_at, how);
	f->rival_each = fail_at == EACH;
	f->refuse_after = refuse_after;
	f->creates_only = how == FLAKY_RIVAL;
	f->rival = rival_comes;
	f->user = &(struct rivalry){ w, s };
	bool ok = publish_planned(w, &p, &o, s->table, t, why);
	publish_through_end(w, f);
	return ok;
}

static void finish(struct world *w, const struct scene *s, const char *how, uint64_t nth, const char *end)
{
	struct flaky f;
	struct err e = ERR_INIT;
	if (!publish(w, s, &f, 0, FLAKY_REFUSE, 0, &e))
		fail_msg("%s, call %d (%s), then: %s", s->what, (int)nth, how, e.message);
	const char *sql = strcmp(s->table, "places") == 0 ? PLACES_SQL : strcmp(s->table, "trips") == 0 ? TRIPS_SQL : MODEL_SQL;
	struct str got = world_sql(w, sql);
	if (!str_eq_z(got, end))
		fail_msg("%s, call %d (%s): %.*s", s->what, (int)nth, how, STR_ARG(got));
}

static void test_any_call_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		struct world w;
		uint64_t failed = 1, calls = 0, created = 0;
		if (scenes[i].end == NULL)
			continue;
		begin(&w, &scenes[i]);
		for (uint64_t nth = 1; failed > 0; nth++) {
			struct flaky f;
			struct err e = ERR_INIT;
			shell(&w, "rm -rf lake && cp -a begin lake");
			bool ok = publish(&w, &scenes[i], &f, nth, FLAKY_REFUSE, 0, &e);
			failed = f.failed;
			if (!ok && (failed == 0 || e.code != ERR_STORAGE))
				fail_msg("%s, call %d: %s", scenes[i].what, (int)nth, e.message);
			/* What is left differs where one more object was created. */
			if (f.created != created)
				finish(&w, &scenes[i], "refused", nth, scenes[i].end);
			created = f.created;
			calls++;
		}
		assert_true(calls > 5);
		world_end(&w);
	}
}

/* Before each commit a whole run of somebody else: ours is fenced or builds on it, and never undoes it. */
static void test_a_rival_before_each_commit(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		struct world w;
		uint64_t came = 1, calls = 0;
		begin(&w, &scenes[i]);
		for (uint64_t nth = 1; came > 0; nth++) {
			struct flaky f;
			struct err e = ERR_INIT;
			shell(&w, "rm -rf lake && cp -a begin lake");
			bool ok = publish(&w, &scenes[i], &f, nth, FLAKY_RIVAL, 0, &e);
			came = f.failed;
			if (!ok && (came == 0 || e.code != ERR_FENCED))
				fail_msg("%s, commit %d: %s", scenes[i].what, (int)nth, e.message);
			if (came > 0)
				finish(&w, &scenes[i], "rival", nth, scenes[i].rival_end);
			calls++;
		}
		assert_true(calls > 1);
		world_end(&w);
	}
}

/* The rival came, and then a call of ours fails. */
static void test_a_rival_and_then_a_failure(void **state)
{
	(void)state;
	const struct scene *s = &scenes[3];
	struct world w;
	uint64_t left = 0;
	assert_string_equal(s->what, "again");
	begin(&w, s);
	for (uint64_t nth = 1; left == 0; nth++) {
		struct flaky f;
		struct err e = ERR_INIT;
		shell(&w, "rm -rf lake && cp -a begin lake");
		bool ok = publish(&w, s, &f, 1, FLAKY_RIVAL, nth, &e);
		left = f.refuse_after;
		if (left == 0 && !ok && e.code != ERR_STORAGE)
			fail_msg("call %d after the rival: %s", (int)nth, e.message);
		if (nth % 8 == 1)
			finish(&w, s, "rival and failure", nth, s->rival_end);
	}
	world_end(&w);
}

static void rival_without_end(struct world *w)
{
	static int n = 0;
	rival_day(w, "2024-01-02", "2024-01-03", arena_format(&w->a, "{\"id\":21,\"place\":\"a\",\"n\":%d}", 10 + n++).p);
}

/* As a compaction does: the same windows in other files. */
static void rival_moves_files(struct world *w)
{
	static int n = 0;
	struct str key = STR("refine/test/by_place");
	struct table_snapshot t;
	enum table_outcome outcome;
	world_open_project(w);
	OK(table_load(w->project.store, key, -1, &w->a, &t, e));
	assert_int_equal(t.n_files, 1);
	struct table_file f = t.files[0];
	f.path = arena_format(&w->a, "data/moved-%d/00000.parquet", n++);
	struct table_commit c = { .version = t.version + 1, .operation = STR("rival"), .run_id = STR("rival"), .nonce = STR("n"),
				  .previous = t.last_hash, .table_id = t.id, .add = &f, .n_add = 1, .remove = t.files,
				  .n_remove = 1 };
	OK(table_commit_write(w->project.store, key, &c, &w->a, &outcome, e));
	assert_int_equal(outcome, TABLE_COMMITTED);
}

/* Rivals that never stop: it gives up. */
static void test_rivals_without_end(void **state)
{
	static const struct scene endless[] = {
		{ "trips", "trips", "2024-01-02", make_tags, NULL, rival_without_end, "other runs changed the same files 5 times" },
		{ "model", "by_place", "2024-01-07", make_model_again, NULL, rival_moves_files,
		  "other runs replaced the table 5 times" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(endless); i++) {
		struct world w;
		struct flaky f;
		struct err e = ERR_INIT;
		begin(&w, &endless[i]);
		assert_false(publish(&w, &endless[i], &f, EACH, FLAKY_RIVAL, 0, &e));
		assert_int_equal(e.code, ERR_FENCED);
		if (!strstr(e.message, endless[i].rival_end))
			fail_msg("%s: %s", endless[i].what, e.message);
		world_end(&w);
	}
}

/* ── an engine that says what is not so ── */

#define HASH "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
static const struct lie {
	const char *old, *new, *said;
} lies[] = {
	{ "\"size\":", "\"size\":1", "the engine said" },
	{ "\"loss\":{\"read\":", "\"loss\":{\"read\":1", "do not balance" },
	{ ",\"published\":", ",\"published\":1", "do not balance" },
	{ ",\"quarantined\":", ",\"quarantined\":1", "do not balance" },
	{ ",\"loss\":{", ",\"children\":[{\"table\":\"x\",\"files\":[],\"quarantine_files\":[],\"loss\":{\"read\":0,"
			"\"published\":0,\"quarantined\":0,\"duplicates\":0,\"with_parent\":0,\"inexact\":0,\"rules\":[],"
			"\"extra\":[]}}],\"loss\":{",
	  "child tables" },
	{ "\"stats\":", "\"sha256\":\"" HASH "\",\"stats\":", "" }, /* no lie: what one says that has sent the file */
};
enum { A_HASH = COUNT(lies) - 1 };

/* In the child, behind the engine. */
static void tell_lie(const char *job_path, const struct lie *l)
{
	struct arena a = ARENA_INIT;
	struct str path = str_from(job_path), text;
	path = arena_format(&a, "%.*s/result.json", (int)(strrchr(job_path, '/') - job_path), job_path);
	OK(file_read(path.p, 1 << 20, &a, &text, e));
	size_t at = str_find(text, str_from(l->old));
	assert_true(at < text.n);
	struct str rest = str_sub(text, at + strlen(l->old), text.n);
	OK(file_write(path.p, arena_format(&a, "%.*s%s%.*s", STR_ARG(str_sub(text, 0, at)), l->new, STR_ARG(rest)), e));
	arena_free(&a);
}

static bool publish_with_lie(struct world *w, struct flaky *f, size_t i, struct err *e)
{
	char number[2] = { (char)('0' + i), '\0' };
	assert_int_equal(setenv("SLUICE_TEST_LIE", number, 1), 0);
	bool ok = publish(w, &scenes[0], f, 0, FLAKY_REFUSE, 0, e);
	assert_int_equal(unsetenv("SLUICE_TEST_LIE"), 0);
	return ok;
}

/* Where it sends the files, it has hashed what it sent, and they are not read once more. */
static void test_hashes_by_the_engine(void **state)
{
	(void)state;
	struct world w;
	struct flaky f;
	struct err e = ERR_INIT;
	begin(&w, &scenes[0]);
	if (!publish_with_lie(&w, &f, A_HASH, &e))
		fail_msg("%s", e.message);
	struct table_snapshot t = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(t.n_files, 1);
	assert_true(t.files[0].has_hash);
	assert_true(str_eq_z(sha256_hex_str(t.files[0].hash, &w.a), HASH));
	world_end(&w);
}

static void test_lies_of_the_engine(void **state)
{
	(void)state;
	struct world w;
	begin(&w, &scenes[0]);
	for (size_t i = 0; i < A_HASH; i++) {
		struct flaky f;
		struct err e = ERR_INIT;
		bool ok = publish_with_lie(&w, &f, i, &e);
		if (ok || e.code != ERR_ENGINE || !strstr(e.message, lies[i].said))
			fail_msg("lie %zu: %s %s", i, err_name(e.code), e.message);
		assert_int_equal(f.created, 0);
	}
	finish(&w, &scenes[0], "lie", 0, scenes[0].end);
	world_end(&w);
}

/* ── a table that gets another id ── */

static void make_refined(struct world *w)
{
	stage(w, true, true, "", "2024-01-01", "2024-01-03", false);
}

static void test_a_renewal_fails(void **state)
{
	static const struct {
		struct scene s;
		const char *key;
		enum lake_zone zone;
	} cases[] = {
		{ { "renewal", "trips", "2024-01-07", make_prepared, "11:1 21:3 22:4", NULL, NULL }, "prepare/test/trips", ZONE_PREPARE },
		{ { "renewal of a model", "by_place", "2024-01-07", make_refined, "a2 b1", NULL, NULL }, "refine/test/by_place",
		  ZONE_REFINE },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct scene *s = &cases[i].s;
		struct world w;
		struct flaky f;
		struct err e = ERR_INIT;
		struct run_repair r = { .renewed = (bool[1]){ false }, .seen = (int64_t[1]){ -1 },
					 .id = (struct str[1]){ STR("another") } };
		begin(&w, s);
		str_map_add(&r.renew, str_from(cases[i].key), 0, &w.a);
		repair = &r;
		assert_true(publish(&w, s, &f, 0, FLAKY_REFUSE, 0, &e)); /* counted, and renewed */
		uint64_t calls = f.n_calls;
		assert_true(r.renewed[0] && f.created == 1);
		assert_text(world_snapshot(&w, cases[i].zone, s->table).id, "another");
		for (uint64_t nth = 1; nth <= calls; nth++) {
			shell(&w, "rm -rf lake && cp -a begin lake");
			r.renewed[0] = false;
			assert_false(publish(&w, s, &f, nth, FLAKY_REFUSE, 0, &e));
			assert_int_equal(e.code, ERR_STORAGE);
			e = ERR_INIT;
		}
		repair = NULL;
		finish(&w, s, "renewal", 0, s->end);
		world_end(&w);
	}
}

/* Readers have seen higher numbers than the log has now: they are passed over first, whatever fails on the way. */
static void test_a_renewal_behind_what_was_seen(void **state)
{
	static const struct scene s = { "seen", "trips", "2024-01-07", make_prepared, "11:1 21:3 22:4", rival_is_newer, NULL };
	struct world w;
	struct flaky f;
	struct err e = ERR_INIT;
	struct run_repair r = { .renewed = (bool[1]){ false }, .seen = (int64_t[1]){ 0 },
				 .id = (struct str[1]){ STR("another") } };
	uint64_t failed = 1, calls = 0;
	(void)state;
	begin(&w, &s);
	str_map_add(&r.renew, STR("prepare/test/trips"), 0, &w.a);
	r.seen[0] = world_snapshot(&w, ZONE_PREPARE, "trips").version + 2;
	repair = &r;
	for (uint64_t nth = 1; failed > 0; nth++) {
		shell(&w, "rm -rf lake && cp -a begin lake");
		r.renewed[0] = false;
		bool ok = publish(&w, &s, &f, nth, FLAKY_REFUSE, 0, &e);
		failed = f.failed;
		/* The last that can fail is the removal of the mark: the table has its id by then. */
		assert_true(ok == (failed == 0) && (!ok || r.renewed[0]));
		assert_true(ok || e.code == ERR_STORAGE);
		e = ERR_INIT;
		calls++;
	}
	assert_true(calls > 10);
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, r.seen[0] + 1);
	/* It is passed over once: what is published next comes right behind. */
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":9}");
	repair = NULL;
	stage(&w, false, false, "trips", "2024-01-02", "2024-01-03", true);
	repair = &r;
	assert_true(publish(&w, &s, &f, 0, FLAKY_REFUSE, 0, &e));
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, r.seen[0] + 2);
	shell(&w, "rm -rf lake && cp -a begin lake");
	r.renewed[0] = false;
	assert_false(publish(&w, &s, &f, 1, FLAKY_RIVAL, 0, &e));
	assert_int_equal(e.code, ERR_FENCED);
	assert_non_null(strstr(e.message, "another run writes to it during its repair"));
	repair = NULL;
	world_end(&w);
}

/* ── columns that would rewrite the table ── */

#define TRIPS_DECIMAL(precision, scale) \
	TRIPS_COLUMNS("      - {name: n, logicalType: number, customProperties: [{property: sluice.precision, value: " precision \
		      "}, {property: sluice.scale, value: " scale "}]}\n")

static void test_types_fit(void **state)
{
	static const struct {
		const char *contract;
		bool ok;
	} cases[] = {
		{ TRIPS_DECIMAL("10", "2"), true }, { TRIPS_DECIMAL("12", "2"), false }, { TRIPS_DECIMAL("10", "3"), false },
		{ trips_contract, false },	    { TRIPS_COLUMNS(""), false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;
		trips_begin(&w);
		world_file(&w, "contracts/trips.yaml", TRIPS_DECIMAL("10", "2"));
		stage(&w, true, false, "trips", "2024-01-01", "2024-01-03", false);
		world_file(&w, "contracts/trips.yaml", cases[i].contract);
		world_stages(&w, true, true, false);
		w.options.request.only = STR("trips");
		trips_days(&w, "2024-01-03", "2024-01-04");
		if (cases[i].ok)
			world_run_ok(&w);
		else
			world_run_fails(&w, ERR_CONTRACT, "which rewrites the whole table");
		world_end(&w);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_call_fails),
		cmocka_unit_test(test_a_rival_before_each_commit),
		cmocka_unit_test(test_a_rival_and_then_a_failure),
		cmocka_unit_test(test_rivals_without_end),
		cmocka_unit_test(test_lies_of_the_engine),
		cmocka_unit_test(test_hashes_by_the_engine),
		cmocka_unit_test(test_types_fit),
		cmocka_unit_test(test_a_renewal_fails),
		cmocka_unit_test(test_a_renewal_behind_what_was_seen),
	};
	int child = world_engine_child(argc, argv);
	if (child == 0 && getenv("SLUICE_TEST_LIE"))
		tell_lie(argv[3], &lies[*getenv("SLUICE_TEST_LIE") - '0']);
	/* Hundreds of lakes: in memory where that can be, since no power is cut here. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return child >= 0 ? child : cmocka_run_group_tests_name("run/publish_fail", tests, NULL, NULL);
}
