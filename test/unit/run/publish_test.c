/* Two runs at one table: rule 32, first on commits alone, then with real files between plan and commit. */
#include "publish_world.h"

/* ── commits alone ──
 *
 * A commit in words: "+f1 w1.1a w2.1b" adds file f1 with windows w1 and w2 of generation 1, keys a and b; "~f1 ..."
 * changes its tags; "-f1" removes it; parts are kept apart by ';', commits by '|'. "$" as the first part: with another
 * schema. "*": it replaces the whole table. */
static const struct race_case {
	const char *what, *base, *ours, *theirs, *want;
} race_cases[] = {
	{ "nobody else", "+f1 w1.1a", "+f2 w2.1b", "", "1: f1 w1.1a; f2 w2.1b" },
	{ "the first version", "", "+f1 w1.1a", "", "0: f1 w1.1a" },
	{ "other windows", "+f1 w1.1a", "+f2 w2.1b", "+f3 w3.1c", "2: f1 w1.1a; f3 w3.1c; f2 w2.1b" },
	{ "other windows, twice", "+f1 w1.1a", "+f2 w2.1b", "+f3 w3.1c|+f4 w4.1d", "3: f1 w1.1a; f3 w3.1c; f4 w4.1d; f2 w2.1b" },
	{ "both made the table", "", "+f1 w1.1a", "+f2 w2.1b", "1: f2 w2.1b; f1 w1.1a" },
	{ "both made it, with other columns", "", "+f1 w1.1a", "$;+f2 w2.1b", "fenced" },
	{ "they took our file for another window", "+f1 w1.1a w2.1b", "-f1;+f2 w1.2A w2.1b", "-f1;+f3 w1.1a w2.2B", "again" },
	{ "they tagged a window that moves with ours", "+f1 w1.1a w2.1b", "-f1;+f2 w1.2A w2.1b", "~f1 w1.1a w2.2b", "again" },
	{ "our window, same generation", "+f1 w1.1a", "-f1;+f2 w1.2A", "-f1;+f3 w1.2X", "fenced" },
	{ "our window, higher generation", "+f1 w1.1a", "-f1;+f2 w1.2A", "-f1;+f3 w1.3X", "fenced" },
	{ "our window, lower generation", "+f1 w1.1a", "-f1;+f2 w1.3A", "-f1;+f3 w1.2X", "again" },
	{ "a window that was not there, same generation", "+f1 w1.1a", "+f2 w2.1b", "+f3 w2.1B", "fenced" },
	{ "the same keys", "+f1 w1.1a", "-f1;+f2 w1.2A", "-f1;+f3 w1.2A", "1: f3 w1.2A" },
	{ "the same keys of a later fetch", "+f1 w1.1a", "-f1;+f2 w1.2A", "-f1;+f3 w1.3A", "1: f3 w1.3A" },
	{ "the same keys of an earlier fetch", "+f1 w1.1a", "-f1;+f2 w1.3A", "-f1;+f3 w1.2A", "again" },
	{ "the same keys and more", "+f1 w1.1a", "-f1;+f2 w1.2A", "-f1;+f3 w1.2A w2.1b", "1: f3 w1.2A w2.1b" },
	{ "the same keys, but not all", "", "+f2 w1.1a w2.1b", "+f3 w1.1a", "fenced" },
	{ "they changed the schema", "+f1 w1.1a", "+f2 w2.1b", "$;+f3 w3.1c", "fenced" },
	{ "we changed the schema", "+f1 w1.1a", "$;+f2 w2.1b", "+f3 w3.1c", "2: f1 w1.1a; f3 w3.1c; f2 w2.1b" },
	{ "both, to the same", "+f1 w1.1a", "$;+f2 w2.1b", "$;+f3 w3.1c", "2: f1 w1.1a; f3 w3.1c; f2 w2.1b" },
	{ "tags beside other windows", "+f1 w1.1a w2.1b", "~f1 w1.2a w2.1b", "+f2 w3.1c", "2: f2 w3.1c; f1 w1.2a w2.1b" },
	{ "the same tags", "+f1 w1.1a w2.1b", "~f1 w1.2a w2.1b", "~f1 w1.2a w2.1b", "1: f1 w1.2a w2.1b" },
	{ "tags of another window of the file", "+f1 w1.1a w2.1b", "~f1 w1.2a w2.1b", "~f1 w1.1a w2.2b", "again" },
	{ "tags of a file that is gone", "+f1 w1.1a w2.1b", "~f1 w1.2a w2.1b", "-f1;+f3 w1.1a w2.2B", "again" },
	{ "newer tags of the same content", "+f1 w1.1a", "~f1 w1.2a", "~f1 w1.3a", "1: f1 w1.3a" },
	{ "they renamed the window of our file", "+f1 w1.1a", "-f1;+f2 w3.1c", "~f1 w2.1a", "again" },
	{ "they took a window out of our file", "+f1 w1.1a w2.1b", "-f1;+f2 w1.2A w2.1b", "~f1 w1.1a", "again" },
	{ "another key in our file", "+f1 w1.1a w2.1b", "-f1;+f2 w1.2A w2.1b", "~f1 w1.1a w2.1B", "again" },
	{ "two snapshots", "+f1 w1.1a", "*;-f1;+f2 w3.1c", "-f1;+f3 w2.1b", "again" },
	{ "two first snapshots", "", "*;+f2 w3.1c", "+f3 w2.1b", "again" },
	{ "two snapshots of one window", "", "*;+f2 w1.1a", "+f3 w1.1X", "fenced" },
	{ "the same snapshot", "", "*;+f2 w1.1a", "+f3 w1.1a", "0: f3 w1.1a" },
};

struct desk {
	struct run_repair repair; /* what it is of: see desk_repairs */
	bool renewed[1];
	int64_t seen[1];
	struct str id[1];
	struct arena a;
	struct clock_fake clock;
	struct pipeline pipeline;
	struct project project;
	struct run_options options;
	struct publish u;
};

static struct table_file file_of(struct str words, struct arena *a)
{
	struct table_file f = { .rows = 1, .size_bytes = 1 };
	struct str word;
	str_cut(&words, ' ', &f.path);
	f.windows = arena_array(a, struct table_window, 8);
	while (str_cut(&words, ' ', &word)) {
		struct table_window *w = &f.windows[f.n_windows++];
		assert_int_equal(word.n, 5); /* w1.1a */
		w->name = str_sub(word, 0, 2);
		w->generation = (unsigned)(word.p[3] - '0');
		w->key.b[0] = (uint8_t)word.p[4];
		w->rows = w->hash.rows = 1;
	}
	return f;
}

static const struct table_schema *schema_named(bool other, struct arena *a)
{
	struct table_schema *s = arena_array(a, struct table_schema, 1);
	s->v = arena_array(a, struct table_column, 2);
	s->v[0] = (struct table_column){ .name = STR("id"), .type = TYPE_INTEGER };
	s->v[1] = (struct table_column){ .name = STR("n"), .type = TYPE_STRING };
	s->n = other ? 2 : 1;
	return s;
}

static struct commit_ask ask_of(struct str words, struct arena *a)
{
	struct commit_ask k = { .zone = ZONE_PREPARE, .table = STR("t"), .operation = STR("test"), .contract_meaning = STR("m") };
	struct str part;
	k.add = arena_array(a, struct table_file, 8);
	k.remove = arena_array(a, struct table_file, 8);
	k.schema = schema_named(false, a);
	while (str_cut(&words, ';', &part)) {
		char kind = part.p[0];
		part = str_sub(part, 1, SIZE_MAX);
		if (kind == '$')
			k.schema = schema_named(true, a);
		else if (kind == '*')
			k.whole = true;
		else if (kind == '-')
			k.remove[k.n_remove++] = file_of(part, a);
		else {
			k.add[k.n_add] = file_of(part, a);
			k.add[k.n_add++].same_data = kind == '~';
		}
	}
	return k;
}

static struct str table_words(const struct table_snapshot *t, struct arena *a)
{
	struct str text = arena_format(a, "%d:", (int)t->version);
	for (size_t i = 0; i < t->n_files; i++) {
		const struct table_file *f = &t->files[i];
		text = arena_format(a, "%.*s%s %.*s", STR_ARG(text), i ? ";" : "", STR_ARG(f->path));
		for (size_t k = 0; k < f->n_windows; k++)
			text = arena_format(a, "%.*s %.*s.%u%c", STR_ARG(text), STR_ARG(f->windows[k].name),
					    f->windows[k].generation, f->windows[k].key.b[0]);
	}
	return text;
}

static void desk_begin(struct desk *d)
{
	memset(d, 0, sizeof *d);
	clock_fake_init(&d->clock, INT64_C(1704200000000000));
	d->pipeline.name = STR("p");
	d->project.pipeline = &d->pipeline;
	d->project.clock = &d->clock.clock;
	OK(store_open_memory(&d->project.store, e));
	d->u = (struct publish){ .project = &d->project, .options = &d->options, .run_id = STR("r1") };
}

/* What a commit names must be there. */
static void make_files(struct desk *d, const struct commit_ask *k)
{
	for (size_t i = 0; i < k->n_add; i++) {
		enum store_created created;
		struct str key = arena_format(&d->a, "prepare/p/t/%.*s", STR_ARG(k->add[i].path));
		OK(store_create(d->project.store, key, STR("PAR1"), &created, e));
	}
}

static void desk_load(struct desk *d, struct table_snapshot *t)
{
	OK(table_load(d->project.store, STR("prepare/p/t"), -1, &d->a, t, e));
}

static void commit_all(struct desk *d, const char *commits)
{
	struct str rest = str_from(commits), one;
	while (rest.n > 0 && str_cut(&rest, '|', &one)) {
		struct table_snapshot t;
		struct commit_ask k = ask_of(one, &d->a);
		bool again = false;
		desk_load(d, &t);
		make_files(d, &k);
		OK(publish_commit(&d->u, &k, &t, &again, &d->a, e));
		assert_false(again);
	}
}

static void test_races(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(race_cases); i++) {
		const struct race_case *c = &race_cases[i];
		struct desk d;
		struct table_snapshot t;
		struct err e = ERR_INIT;
		struct str got;
		bool again = false;
		desk_begin(&d);
		commit_all(&d, c->base);
		desk_load(&d, &t);
		commit_all(&d, c->theirs);
		struct commit_ask k = ask_of(str_from(c->ours), &d.a);
		make_files(&d, &k);
		if (!publish_commit(&d.u, &k, &t, &again, &d.a, &e)) {
			assert_int_equal(e.code, ERR_FENCED);
			got = STR("fenced");
		} else {
			got = again ? STR("again") : table_words(&t, &d.a);
		}
		if (!str_eq_z(got, c->want))
			fail_msg("%s: %.*s (%s)", c->what, STR_ARG(got), e.message);
		store_close(d.project.store);
		arena_free(&d.a);
	}
}

/* A commit whose answer was lost is ours all the same; one that was refused can be made again. */
static void test_lost_answers(void **state)
{
	static const struct {
		enum store_fault fault;
		bool ok;
	} cases[] = { { STORE_FAULT_LOST_ANSWER, true }, { STORE_FAULT_REFUSE, false } };
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct desk d;
		struct table_snapshot t;
		struct err why = ERR_INIT;
		bool again = false;
		desk_begin(&d);
		commit_all(&d, "+f1 w1.1a");
		desk_load(&d, &t);
		struct commit_ask k = ask_of(STR("+f2 w2.1b"), &d.a);
		make_files(&d, &k);
		store_memory_fail(d.project.store, 1, cases[i].fault);
		assert_int_equal(publish_commit(&d.u, &k, &t, &again, &d.a, &why), cases[i].ok);
		store_memory_fail(d.project.store, 0, STORE_FAULT_NONE);
		if (!cases[i].ok)
			OK(publish_commit(&d.u, &k, &t, &again, &d.a, e));
		assert_text(table_words(&t, &d.a), "1: f1 w1.1a; f2 w2.1b");
		store_close(d.project.store);
		arena_free(&d.a);
	}
}

/* Others add to the table before each of our tries. */
static bool busy_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e);
static struct busy {
	struct desk d;
	const struct store_ops *ops;
	int tries;
	bool at_work;
} busy;

static bool busy_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	struct desk *d = &busy.d;
	if (!busy.at_work && str_contains(key, STR("_delta_log"))) {
		char commit[] = "+fX zX.1c";
		commit[2] = commit[5] = (char)('a' + busy.tries++);
		busy.at_work = true;
		commit_all(d, commit);
		busy.at_work = false;
	}
	return busy.ops->create(s, key, bytes, out, e);
}

static void test_others_are_always_first(void **state)
{
	(void)state;
	struct desk *d = &busy.d;
	struct table_snapshot t;
	struct err why = ERR_INIT;
	bool again = false;
	desk_begin(d);
	commit_all(d, "+f1 w1.1a");
	desk_load(d, &t);
	struct commit_ask k = ask_of(STR("+f2 w2.1b"), &d->a);
	make_files(d, &k);
	busy.ops = d->project.store->ops;
	struct store_ops ops = *busy.ops;
	ops.create = busy_create;
	d->project.store->ops = &ops;
	assert_false(publish_commit(&d->u, &k, &t, &again, &d->a, &why));
	assert_int_equal(why.code, ERR_FENCED);
	assert_int_equal(busy.tries, 20);
	assert_non_null(strstr(why.message, "20 times in a row"));
	d->project.store->ops = busy.ops;
	OK(publish_commit(&d->u, &k, &t, &again, &d->a, e));
	assert_int_equal(t.n_files, 22);
	store_close(d->project.store);
	arena_free(&d->a);
}

/* What it wrote was collected meanwhile: a commit would name what is not there. */
static void test_its_files_are_gone(void **state)
{
	(void)state;
	struct desk d;
	struct table_snapshot t;
	struct err why = ERR_INIT;
	bool again = false;
	desk_begin(&d);
	commit_all(&d, "+f1 w1.1a");
	desk_load(&d, &t);
	struct commit_ask k = ask_of(STR("+f2 w2.1b"), &d.a);
	assert_false(publish_commit(&d.u, &k, &t, &again, &d.a, &why));
	assert_int_equal(why.code, ERR_FENCED);
	assert_non_null(strstr(why.message, "is gone"));
	desk_load(&d, &t);
	assert_int_equal(t.version, 0);
	store_close(d.project.store);
	arena_free(&d.a);
}

/* From now on for a repair that has cut the log of this table, which once had the version `seen`. */
static void desk_repairs(struct desk *d, struct str table_key, int64_t seen)
{
	d->seen[0] = seen;
	d->id[0] = STR("the other one");
	d->repair = (struct run_repair){ .renewed = d->renewed, .seen = d->seen, .id = d->id };
	str_map_add(&d->repair.renew, table_key, 0, &d->a);
	d->options.repair = &d->repair;
}

/* A table whose log was cut gets another id, whoever else commits; where there is none, nothing is to be done. */
static void test_renewed(void **state)
{
	(void)state;
	for (int rivals = 0; rivals < 2; rivals++) {
		struct desk d;
		struct table_snapshot t;
		desk_begin(&d);
		desk_repairs(&d, STR("prepare/p/t"), -1);
		desk_load(&d, &t);
		OK(publish_renew(&d.u, ZONE_PREPARE, STR("t"), schema_named(false, &d.a), &t, &d.a, e));
		assert_int_equal(t.version, -1);
		d.options.repair = NULL;
		commit_all(&d, "+f1 w1.1a");
		desk_load(&d, &t);
		struct str id = t.id;
		if (rivals)
			commit_all(&d, "+f2 w2.1b");
		d.options.repair = &d.repair;
		OK(publish_renew(&d.u, ZONE_PREPARE, STR("t"), schema_named(false, &d.a), &t, &d.a, e));
		assert_true(d.renewed[0]);
		assert_false(str_eq(t.id, id));
		assert_true(str_eq_z(t.id, "the other one"));
		assert_int_equal(t.n_files, 1 + rivals);
		OK(publish_renew(&d.u, ZONE_PREPARE, STR("t"), schema_named(false, &d.a), &t, &d.a, e));
		assert_int_equal(t.version, 1 + rivals); /* once */
		store_close(d.project.store);
		arena_free(&d.a);
	}
}

/* Nothing was left of a log but the numbers that readers have seen: each gets a version, and the table begins behind them. */
static void test_a_log_of_which_nothing_is_left(void **state)
{
	(void)state;
	struct desk d;
	struct table_snapshot t;
	bool again = false;
	desk_begin(&d);
	desk_repairs(&d, STR("prepare/p/t"), 2);
	desk_load(&d, &t);
	struct commit_ask k = ask_of(STR("+f1 w1.1a"), &d.a);
	make_files(&d, &k);
	OK(publish_commit(&d.u, &k, &t, &again, &d.a, e));
	assert_false(again);
	assert_true(d.renewed[0]);
	assert_text(table_words(&t, &d.a), "3: f1 w1.1a");
	assert_text(t.id, "the other one");
	for (int64_t v = 0; v < 3; v++) {
		OK(table_load(d.project.store, STR("prepare/p/t"), v, &d.a, &t, e));
		assert_int_equal(t.n_files, 0);
		assert_false(str_eq_z(t.id, "the other one"));
	}
	store_close(d.project.store);
	arena_free(&d.a);
}

/* A table that the same repair makes for the first time is none of those whose log was cut. */
static void test_a_first_version_beside_a_repair(void **state)
{
	(void)state;
	struct desk d;
	struct table_snapshot t;
	desk_begin(&d);
	desk_repairs(&d, STR("prepare/p/u"), 2);
	commit_all(&d, "+f1 w1.1a");
	desk_load(&d, &t);
	assert_text(table_words(&t, &d.a), "0: f1 w1.1a");
	assert_true(t.id.n > 0 && !str_eq_z(t.id, "the other one"));
	assert_false(d.renewed[0]);
	store_close(d.project.store);
	arena_free(&d.a);
}

/* ── with files ── */

static void stage(struct world *w, bool prepare, const char *from, const char *to, bool refetch)
{
	world_stages(w, true, prepare, false);
	w->options.request.refetch = refetch;
	trips_days(w, from, to);
	world_run_ok(w);
}

static struct plan late_plan(struct world *w, const char *from, const char *to)
{
	world_open_project(w);
	return publish_plan(w, from, to, ENGINE_USE_UNSAID);
}

static bool publish_late(struct world *w, struct plan *p, const char *resource, struct run_table *t, struct err *e)
{
	return publish_planned(w, p, &(struct run_options){ 0 }, resource, t, e);
}

static void test_somebody_did_the_same(void **state)
{
	struct world w;
	struct run_table t;
	(void)state;
	trips_begin(&w);
	stage(&w, false, "2024-01-01", "2024-01-05", false);
	struct plan late = late_plan(&w, "2024-01-01", "2024-01-05");
	stage(&w, true, "2024-01-01", "2024-01-05", false);
	struct str log = world_files(&w, "/prepare/test/trips/_delta_log");
	OK(publish_late(&w, &late, "trips", &t, e));
	assert_true(str_eq(log, world_files(&w, "/prepare/test/trips/_delta_log")));
	assert_int_equal(t.rows, 8);
	OK(publish_late(&w, &late, "places", &t, e));
	assert_int_equal(t.rows, 2);
	world_end(&w);
}

static void test_somebody_did_other_days(void **state)
{
	struct world w;
	struct run_table t;
	(void)state;
	trips_begin(&w);
	stage(&w, false, "2024-01-01", "2024-01-05", false);
	struct plan late = late_plan(&w, "2024-01-01", "2024-01-03");
	stage(&w, true, "2024-01-03", "2024-01-05", false);
	OK(publish_late(&w, &late, "trips", &t, e));
	assert_int_equal(t.version, 1);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1 12:2 21:3 22:4 31:5 32:6 41:7 42:8");
	world_end(&w);
}

/* Both fetched another day of the same file again: the second builds on what the first left. */
static void test_somebody_took_the_file(void **state)
{
	struct world w;
	struct run_table t;
	(void)state;
	trips_begin(&w);
	stage(&w, true, "2024-01-01", "2024-01-05", false);
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":50}");
	stage(&w, false, "2024-01-01", "2024-01-02", true);
	struct plan late = late_plan(&w, "2024-01-01", "2024-01-02");
	world_answers(&w, "/trips?day=2024-01-04", "{\"id\":41,\"place\":\"a\",\"n\":60}");
	stage(&w, true, "2024-01-04", "2024-01-05", true);
	OK(publish_late(&w, &late, "trips", &t, e));
	assert_true(t.changed);
	assert_text(world_sql(&w, TRIPS_SQL), "11:50 21:3 22:4 31:5 32:6 41:60");
	struct str all = world_files(&w, "");
	world_interval(&w, "2024-01-01", "2024-01-05");
	world_run_ok(&w);
	assert_true(w.r.nothing_to_do);
	assert_true(str_eq(all, world_files(&w, "")));
	world_end(&w);
}

/* The same content came again for two days of one file, found out by two runs. */
static void test_tags_of_one_file(void **state)
{
	struct world w;
	struct run_table t;
	(void)state;
	trips_begin(&w);
	stage(&w, true, "2024-01-01", "2024-01-05", false);
	stage(&w, false, "2024-01-01", "2024-01-02", true);
	struct plan late = late_plan(&w, "2024-01-01", "2024-01-02");
	stage(&w, true, "2024-01-04", "2024-01-05", true);
	OK(publish_late(&w, &late, "trips", &t, e));
	struct table_snapshot now = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(now.n_files, 1);
	assert_int_equal(table_find_window(&now, STR("20240101T000000Z_20240102T000000Z"))->generation, 2);
	assert_int_equal(table_find_window(&now, STR("20240102T000000Z_20240103T000000Z"))->generation, 1);
	assert_int_equal(table_find_window(&now, STR("20240104T000000Z_20240105T000000Z"))->generation, 2);
	world_end(&w);
}

static void test_somebody_had_a_newer_fetch(void **state)
{
	struct world w;
	struct run_table t;
	struct err e = ERR_INIT;
	(void)state;
	trips_begin(&w);
	stage(&w, false, "2024-01-01", "2024-01-02", false);
	struct plan late = late_plan(&w, "2024-01-01", "2024-01-02");
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":50}");
	stage(&w, true, "2024-01-01", "2024-01-02", true);
	assert_false(publish_late(&w, &late, "trips", &t, &e));
	assert_int_equal(e.code, ERR_FENCED);
	assert_text(world_sql(&w, TRIPS_SQL), "11:50");
	world_end(&w);
}

static void stage_places(struct world *w, bool prepare, const char *to)
{
	w->options.request.only = STR("places");
	stage(w, prepare, "2024-01-01", to, false);
}

/* Rule 10, whoever comes late, on a table that was there or not. */
static void test_an_older_snapshot_comes_late(void **state)
{
	(void)state;
	for (int had_table = 0; had_table < 2; had_table++) {
		struct world w;
		struct run_table t;
		trips_begin(&w);
		if (had_table)
			stage_places(&w, true, "2024-01-02");
		world_answers(&w, "/places", "{\"id\":\"old\"}");
		stage_places(&w, false, "2024-01-03");
		struct plan late = late_plan(&w, "2024-01-01", "2024-01-03");
		world_answers(&w, "/places", "{\"id\":\"new\"}");
		stage_places(&w, true, "2024-01-04");
		OK(publish_late(&w, &late, "places", &t, e));
		assert_false(t.changed);
		assert_text(world_sql(&w, "SELECT id FROM prepare.places"), "new");
		assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "places").by_name.n, 1);
		assert_int_equal(world_snapshot(&w, ZONE_QUARANTINE, "places").by_name.n, 1);
		/* and the newer one replaces an older one that came in between */
		world_answers(&w, "/places", "{\"id\":\"newest\"}");
		stage_places(&w, false, "2024-01-07");
		struct plan newest = late_plan(&w, "2024-01-01", "2024-01-07");
		OK(publish_late(&w, &newest, "places", &t, e));
		assert_text(world_sql(&w, "SELECT id FROM prepare.places"), "newest");
		world_end(&w);
	}
}

/* ── while a commit is under way ── */

static struct hook {
	const struct store_ops *ops;
	bool refuse; /* and then this creation fails */
	struct world *w;
	struct str key; /* just before this object is created, once */
	void (*act)(struct world *w);
} hook;

static bool hook_create(struct store *s, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	if (hook.act && str_eq(key, hook.key)) {
		void (*act)(struct world *) = hook.act;
		hook.act = NULL;
		act(hook.w);
		if (hook.refuse)
			return err_set(e, ERR_STORAGE, "no space left");
	}
	return hook.ops->create(s, key, bytes, out, e);
}

static void run_hooked(struct world *w, const char *key, void (*act)(struct world *w))
{
	world_open_project(w);
	hook = (struct hook){ w->project.store->ops, hook.refuse, w, str_from(key), act };
	struct store_ops ops = *hook.ops;
	ops.create = hook_create;
	w->project.store->ops = &ops;
	world_run_opened(w);
	w->project.store->ops = hook.ops;
	assert_null(hook.act);
	hook.refuse = false;
}

/* Another run publishes a newer fetch of the second day, while the tags of the first are on their way. */
static void rival_is_newer(struct world *w)
{
	static const char *const tables[] = { "quarantine/test/trips", "prepare/test/trips" };
	struct arena *a = &w->a;
	for (size_t k = 0; k < 2; k++) {
		struct table_snapshot t;
		enum table_outcome outcome;
		OK(table_load(w->project.store, str_from(tables[k]), -1, a, &t, e));
		struct table_window tag = { .name = STR("20240102T000000Z_20240103T000000Z"), .generation = 3, .key = { .b = { 9 } } };
		struct table_file f = { .path = STR("data/rival/00000.parquet"), .windows = &tag, .n_windows = 1 };
		struct table_commit c = { .version = t.version + 1, .operation = STR("rival"), .run_id = STR("rival"), .nonce = STR("n"),
					  .previous = t.last_hash, .table_id = STR("id"), .add = &f, .n_add = 1, .n_remove = 1 };
		for (size_t i = 0; i < t.n_files; i++)
			if (str_eq(t.files[i].windows[0].name, tag.name))
				c.remove = &t.files[i];
		assert_non_null(c.remove);
		OK(table_commit_write(w->project.store, str_from(tables[k]), &c, a, &outcome, e));
		assert_int_equal(outcome, TABLE_COMMITTED);
	}
}

/* Found by SPIN (spec/table.pml, MUTANT_STALE_PLAN): the plan knows less than the tables that it builds on by then. */
static void test_a_newer_fetch_after_the_tags(void **state)
{
	struct world w;
	struct run_table t;
	struct err e = ERR_INIT;
	(void)state;
	trips_begin(&w);
	stage(&w, true, "2024-01-01", "2024-01-02", false);
	stage(&w, true, "2024-01-02", "2024-01-03", false);
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":50}");
	stage(&w, false, "2024-01-01", "2024-01-03", true);
	struct plan late = late_plan(&w, "2024-01-01", "2024-01-03");
	hook = (struct hook){ w.project.store->ops, false, &w, STR("quarantine/test/trips/_delta_log/00000000000000000002.json"),
			      rival_is_newer };
	struct store_ops ops = *hook.ops;
	ops.create = hook_create;
	w.project.store->ops = &ops;
	assert_false(publish_late(&w, &late, "trips", &t, &e));
	w.project.store->ops = hook.ops;
	assert_null(hook.act);
	assert_int_equal(e.code, ERR_FENCED);
	struct table_snapshot now = world_snapshot(&w, ZONE_PREPARE, "trips");
	assert_int_equal(table_find_window(&now, STR("20240102T000000Z_20240103T000000Z"))->generation, 3);
	world_end(&w);
}

/* Another run's commit of what stands there, with another key for its first window. */
static void rival_commit(struct world *w, const char *table, const char *window)
{
	struct store *s = w->project.store;
	struct table_snapshot t;
	struct arena *a = &w->a;
	enum table_outcome outcome;
	OK(table_load(s, str_from(table), -1, a, &t, e));
	struct table_schema other = { arena_array(a, struct table_column, 1), 1 };
	other.v[0] = (struct table_column){ .name = STR("place"), .type = TYPE_STRING };
	struct table_window tag = { .name = str_from(window), .generation = 1, .key = { .b = { 9 } } };
	struct table_file f = { .path = STR("data/rival/00000.parquet"), .windows = &tag, .n_windows = 1 };
	struct table_commit c = { .version = t.version + 1, .operation = STR("rival"), .run_id = STR("rival"), .nonce = STR("n"), .previous = t.last_hash,
				  .schema = t.version < 0 ? &other : NULL, .table_id = STR("id"), .add = &f, .n_add = 1,
				  .remove = t.files, .n_remove = t.n_files };
	OK(table_commit_write(s, str_from(table), &c, a, &outcome, e));
	assert_int_equal(outcome, TABLE_COMMITTED);
}

static void rival_takes_quarantine(struct world *w)
{
	rival_commit(w, "quarantine/test/trips", "20240101T000000Z_20240102T000000Z");
}

static void rival_drops_windows(struct world *w)
{
	rival_commit(w, "quarantine/test/trips", "20250101T000000Z_20250102T000000Z");
}

static void rival_takes_model(struct world *w)
{
	rival_commit(w, "refine/test/by_place", "full");
}

/* Rule 32, last sentence: a table and its quarantine belong together, or the window is stale. */
static void test_quarantine_changed_in_between(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world w;
		trips_begin(&w);
		trips_days(&w, "2024-01-01", "2024-01-03");
		run_hooked(&w, "prepare/test/trips/_delta_log/00000000000000000000.json",
			   i ? rival_drops_windows : rival_takes_quarantine);
		assert_int_equal(w.err.code, ERR_FENCED);
		assert_true(str_contains(str_from(w.err.message),
					 STR("another run changed window 20240101T000000Z_20240102T000000Z")));
		struct plan p = late_plan(&w, "2024-01-01", "2024-01-03");
		assert_int_equal(p.resources[0].n_prepare, 2);
		world_end(&w);
	}
}

static void nothing_happens(struct world *w)
{
	(void)w;
}

/* Stopped between the two commits: whatever interval comes next, the tables come together again. */
static void test_stopped_between_the_commits(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":101},{\"id\":12,\"place\":\"b\",\"n\":2}");
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":101},{\"id\":22,\"place\":\"b\",\"n\":4}");
	hook.refuse = true;
	trips_days(&w, "2024-01-01", "2024-01-05");
	run_hooked(&w, "prepare/test/trips/_delta_log/00000000000000000000.json", nothing_happens);
	assert_int_equal(w.err.code, ERR_STORAGE);
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, -1);
	assert_int_equal(world_snapshot(&w, ZONE_QUARANTINE, "trips").version, 0);
	world_interval(&w, "2024-01-01", "2024-01-02");
	world_run_ok(&w); /* day 2 shares a file of the quarantine with it and comes along */
	assert_text(world_sql(&w, TRIPS_SQL), "12:2 22:4");
	world_interval(&w, "2024-01-01", "2024-01-05");
	world_run_ok(&w);
	assert_text(world_sql(&w, TRIPS_SQL), "12:2 22:4 31:5 32:6 41:7 42:8");
	assert_text(world_sql(&w, "SELECT CAST(count(*) AS VARCHAR) FROM quarantine.trips"), "2");
	struct str all = world_files(&w, "");
	world_interval(&w, "2024-01-01", "2024-01-05");
	world_run_ok(&w);
	assert_true(w.r.nothing_to_do);
	assert_true(str_eq(all, world_files(&w, "")));
	world_end(&w);
}

/* A child has the windows and the main table does not: what shares a file with one that is wanted goes, and comes again with its
 * own window. */
static void test_stopped_behind_the_child(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_file(&w, "contracts/trips.yaml", trips_with_stops);
	world_answers(&w, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"a\",\"n\":1,\"stops\":[{\"at\":\"x\"}]}");
	world_answers(&w, "/trips?day=2024-01-02", "{\"id\":21,\"place\":\"a\",\"n\":3,\"stops\":[{\"at\":\"y\"},{\"at\":\"z\"}]}");
	hook.refuse = true;
	trips_days(&w, "2024-01-01", "2024-01-03");
	run_hooked(&w, "quarantine/test/trips/_delta_log/00000000000000000000.json", nothing_happens);
	assert_int_equal(w.err.code, ERR_STORAGE);
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips__stops").by_name.n, 2);
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips").version, -1);
	world_interval(&w, "2024-01-01", "2024-01-02");
	world_run_ok(&w);
	assert_text(world_sql(&w, TRIPS_SQL), "11:1");
	assert_text(world_sql(&w, TRIPS_STOPS_SQL), "11:0:x");
	assert_int_equal(world_snapshot(&w, ZONE_PREPARE, "trips__stops").by_name.n, 1);
	world_interval(&w, "2024-01-01", "2024-01-03");
	world_run_ok(&w);
	assert_text(world_sql(&w, TRIPS_STOPS_SQL), "11:0:x 21:0:y 21:1:z");
	world_interval(&w, "2024-01-01", "2024-01-03");
	world_run_ok(&w);
	assert_true(w.r.nothing_to_do);
	world_end(&w);
}

/* The same for tags: no row is written again, so the data is what it would have been. */
static void test_stopped_between_the_tags(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	world_interval(&w, "2024-01-01", "2024-01-03");
	world_run_ok(&w);
	struct str data = world_files(&w, "/prepare/test/places/data");
	for (int day = 4; day <= 5; day++) { /* twice in a row, so that the two tables are two snapshots apart */
		hook.refuse = true;
		w.options.request.only = STR("places");
		world_interval(&w, "2024-01-01", day == 4 ? "2024-01-04" : "2024-01-05");
		run_hooked(&w, "prepare/test/places/_delta_log/00000000000000000001.json", nothing_happens);
		assert_int_equal(w.err.code, ERR_STORAGE);
	}
	w.options.request.only = STR("places");
	world_interval(&w, "2024-01-01", "2024-01-06");
	world_run_ok(&w);
	assert_true(str_eq(data, world_files(&w, "/prepare/test/places/data")));
	assert_text(world_snapshot(&w, ZONE_PREPARE, "places").windows[0]->name, "20240105T000000Z_20240106T000000Z");
	assert_text(world_snapshot(&w, ZONE_QUARANTINE, "places").windows[0]->name, "20240105T000000Z_20240106T000000Z");
	struct str all = world_files(&w, "");
	w.options.request.only = STR("places");
	world_interval(&w, "2024-01-01", "2024-01-06");
	world_run_ok(&w);
	assert_true(str_eq(all, world_files(&w, "")));
	world_end(&w);
}

static void test_model_published_by_another(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	trips_models(&w);
	trips_days(&w, "2024-01-01", "2024-01-05");
	run_hooked(&w, "refine/test/by_place/_delta_log/00000000000000000000.json", rival_takes_model);
	assert_int_equal(w.err.code, ERR_FENCED);
	assert_text(world_table(&w, ZONE_REFINE, "a_busiest")->note, "not made: a table that it reads was not published");
	assert_text(world_snapshot(&w, ZONE_REFINE, "by_place").last_run, "rival");
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_races),
		cmocka_unit_test(test_lost_answers),
		cmocka_unit_test(test_others_are_always_first),
		cmocka_unit_test(test_its_files_are_gone),
		cmocka_unit_test(test_renewed),
		cmocka_unit_test(test_a_log_of_which_nothing_is_left),
		cmocka_unit_test(test_a_first_version_beside_a_repair),
		cmocka_unit_test(test_somebody_did_the_same),
		cmocka_unit_test(test_somebody_did_other_days),
		cmocka_unit_test(test_somebody_took_the_file),
		cmocka_unit_test(test_tags_of_one_file),
		cmocka_unit_test(test_somebody_had_a_newer_fetch),
		cmocka_unit_test(test_an_older_snapshot_comes_late),
		cmocka_unit_test(test_quarantine_changed_in_between),
		cmocka_unit_test(test_stopped_between_the_commits),
		cmocka_unit_test(test_stopped_behind_the_child),
		cmocka_unit_test(test_stopped_between_the_tags),
		cmocka_unit_test(test_model_published_by_another),
		cmocka_unit_test(test_a_newer_fetch_after_the_tags),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
