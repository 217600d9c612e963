/* Readers beside a collection that keeps nothing: a file that a newer version of the table does without is no damage. */
#include "publish_world.h"

#define DATA STR("prepare/test/trips/data/")

/* A store in which, before the first look at a file of trips, another run replaces all of them and their bytes go. */
static struct rival {
	struct flaky f;
	struct world *w;
	bool publish; /* false: the bytes go, and that is all */
	bool came;
} rival;

static void files_go(struct world *w, const struct table_snapshot *t)
{
	for (size_t i = 0; i < t->n_files; i++)
		OK(store_remove(rival.f.inner, arena_format(&w->a, "prepare/test/trips/%.*s", STR_ARG(t->files[i].path)), e));
}

/* Another program as far as the lake can tell. */
static void rival_comes(void)
{
	struct world r;
	memset(&r, 0, sizeof r);
	r.root = rival.w->root;
	r.lake = rival.w->lake;
	r.clock = rival.w->clock;
	r.clock.wall_us += US_PER_SECOND;
	memcpy(r.answers, rival.w->answers, sizeof r.answers);
	r.n_answers = rival.w->n_answers;
	world_open_project(&r);
	struct table_snapshot before = world_snapshot(&r, ZONE_PREPARE, "trips");
	if (rival.publish) {
		world_answers(&r, "/trips?day=2024-01-01", "{\"id\":11,\"place\":\"b\",\"n\":70}");
		world_stages(&r, true, true, false);
		r.options.request.refetch = true;
		r.options.request.only = STR("trips");
		trips_run_days(&r, "2024-01-01", "2024-01-03");
	}
	files_go(&r, &before);
	world_close_project(&r);
	arena_free(&r.a);
}

static bool rival_size(struct store *s, struct str key, uint64_t *out, struct err *e)
{
	(void)s;
	if (!rival.came && str_starts(key, DATA)) {
		rival.came = true;
		rival_comes();
	}
	return rival.f.inner->ops->size(rival.f.inner, key, out, e);
}

static void begin(struct world *w, bool publish)
{
	trips_begin(w);
	trips_models(w);
	world_stages(w, true, true, false);
	trips_run_days(w, "2024-01-01", "2024-01-03");
	publish_open(w);
	rival = (struct rival){ .w = w, .publish = publish };
	publish_through(w, &rival.f, 0, FLAKY_REFUSE)->ops.size = rival_size;
}

static void assert_told(const struct err *why, bool publish)
{
	assert_true(rival.came);
	if (why->code != (publish ? ERR_FENCED : ERR_DAMAGE) ||
	    !strstr(why->message, publish ? "prepare/test/trips went from version 0 to 2 while it was read" : "the file is not there") ||
	    !strstr(err_hint_text(why), publish ? "run the same command again" : "is damaged") ||
	    (publish && strstr(err_hint_text(why), "sluice repair")))
		fail_msg("%s: %s (%s)", err_name(why->code), why->message, err_hint_text(why));
}

static void test_a_query(void **state)
{
	(void)state;
	for (int publish = 0; publish < 2; publish++) {
		struct world w;
		struct lake_query q = { 0 };
		struct batch_shape *shape;
		size_t n = 0;
		struct text_of_rows t = { &w.a, STR_NONE };
		struct err why = ERR_INIT;
		begin(&w, publish);
		OK(lake_query_open(&w.project, &w.a, &q, e));
		assert_text(world_sql(&w, "SELECT id FROM prepare.places ORDER BY id"), "a b"); /* no matter of others */
		assert_false(lake_query_run(&q, STR(TRIPS_SQL), &w.a, &shape, &n, take_text, &t, &why));
		assert_told(&why, publish);
		lake_query_close(&q);
		if (publish)
			assert_text(world_sql(&w, TRIPS_SQL), "11:70 21:3 22:4");
		publish_through_end(&w, &rival.f);
		world_end(&w);
	}
}

static void test_a_model(void **state)
{
	(void)state;
	for (int publish = 0; publish < 2; publish++) {
		struct world w;
		struct run_table made[2] = { 0 };
		struct err why = ERR_INIT;
		begin(&w, publish);
		struct plan p = publish_plan(&w, "2024-01-01", "2024-01-03", ENGINE_USE_UNSAID);
		assert_false(publish_planned(&w, &p, &(struct run_options){ 0 }, "by_place", made, &why));
		assert_told(&why, publish);
		publish_through_end(&w, &rival.f);
		world_end(&w);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_query),
		cmocka_unit_test(test_a_model),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests_name("run/reader", tests, NULL, NULL);
}
