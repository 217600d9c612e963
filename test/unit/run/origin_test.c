/* Rule 31: whatever way led there, rows name the earliest promoted fetch with their content; so two histories that end
 * with the same content end with the same files. */
#include "trips.h"

#include "run/digest.h"
#include "run/verify.h"

static bool take_line(void *user, const struct digest_line *l, struct err *e)
{
	struct buf *b = user;
	struct arena a = ARENA_INIT;
	(void)e;
	buf_add(b, digest_line_text(l, &a));
	buf_add_char(b, '\n');
	arena_free(&a);
	return true;
}

static struct str digest(struct world *w)
{
	struct buf b = BUF_INIT(1 << 20);
	OK(digest_lake(&w->project, STR_NONE, take_line, &b, e));
	struct str text = arena_copy(&w->a, buf_str(&b));
	buf_free(&b);
	return text;
}

static void on_finding(void *user, const struct finding *f)
{
	(void)user;
	fail_msg("%.*s: %.*s", STR_ARG(f->where), STR_ARG(f->what));
}

static void assert_sound(struct world *w)
{
	struct verify_counts n;
	struct verify_options o = { .finding = on_finding };
	OK(verify_lake(&w->project, &o, &n, e));
	assert_int_equal(n.not_read.n, 0);
	assert_true(n.files > 0);
}

#define DAY_1 "/trips?day=2024-01-01"
#define DAY_2 "/trips?day=2024-01-02"
#define FIRST "{\"id\":11,\"place\":\"a\",\"n\":1},{\"id\":12,\"place\":\"b\",\"n\":2000}"
#define OTHER "{\"id\":21,\"place\":\"a\",\"n\":1000},{\"id\":22,\"place\":\"b\",\"n\":44}"

/* A history: days of January fetched (again), with what each answers then. "p": places, with another interval. */
struct deed {
	const char *from, *to; /* NULL: the end */
	const char *glob, *answer;
	bool refetch;
};

static void deed_run(struct world *w, const struct deed *s)
{
	if (s->answer)
		world_answers(w, s->glob, s->answer);
	w->options.request.refetch = s->refetch;
	w->options.request.only = str_starts(str_from(s->glob), STR("/trips")) ? STR("trips") : STR("places");
	trips_days(w, s->from, s->to);
	world_run_ok(w);
	assert_sound(w);
}

enum { DEEDS_MAX = 6, HISTORIES = 3 };

static const struct history_case {
	const char *what;
	struct deed histories[HISTORIES][DEEDS_MAX];
	const char *addresses; /* of all rows in the end: window's day, generation */
} cases[] = {
	{ "a neighbour is fetched again, with or without a fetch of the same before",
	  { { { "2024-01-01", "2024-01-03", DAY_1, FIRST, false }, { "2024-01-02", "2024-01-03", DAY_2, OTHER, true } },
	    { { "2024-01-01", "2024-01-03", DAY_1, FIRST, false }, { "2024-01-01", "2024-01-02", DAY_1, NULL, true },
	      { "2024-01-01", "2024-01-02", DAY_1, NULL, true }, { "2024-01-02", "2024-01-03", DAY_2, OTHER, true } },
	    { { "2024-01-01", "2024-01-03", DAY_1, FIRST, false }, { "2024-01-02", "2024-01-03", DAY_2, OTHER, true },
	      { "2024-01-01", "2024-01-03", DAY_1, NULL, true } } },
	  "01/1 02/2" },
	{ "content that goes and comes back",
	  { { { "2024-01-01", "2024-01-02", DAY_1, FIRST, false }, { "2024-01-02", "2024-01-03", DAY_2, OTHER, false } },
	    { { "2024-01-01", "2024-01-02", DAY_1, FIRST, false }, { "2024-01-02", "2024-01-03", DAY_2, OTHER, false },
	      { "2024-01-01", "2024-01-02", DAY_1, OTHER, true }, { "2024-01-01", "2024-01-02", DAY_1, FIRST, true } },
	    { { "2024-01-01", "2024-01-02", DAY_1, FIRST, false }, { "2024-01-01", "2024-01-02", DAY_1, NULL, true },
	      { "2024-01-02", "2024-01-03", DAY_2, OTHER, false } } },
	  "01/1 02/1" },
};

#define ADDRESS_SQL                                                                                             \
	"SELECT DISTINCT substr(_window, 7, 2) || '/' || CAST(_gen AS VARCHAR) AS a FROM (SELECT _window, _gen " \
	"FROM prepare.trips UNION ALL SELECT _window, _gen FROM quarantine.trips) ORDER BY a"

static void test_histories_with_one_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = ARENA_INIT;
		struct str wanted = STR_NONE;
		for (size_t k = 0; k < HISTORIES; k++) {
			struct world w;
			trips_begin(&w);
			for (size_t s = 0; s < DEEDS_MAX && cases[i].histories[k][s].from; s++)
				deed_run(&w, &cases[i].histories[k][s]);
			assert_text(world_sql(&w, ADDRESS_SQL), cases[i].addresses);
			if (k == 0)
				wanted = arena_copy(&a, digest(&w));
			else if (!str_eq(digest(&w), wanted))
				fail_msg("%s, history %zu: its digest is\n%.*sand not\n%.*s", cases[i].what, k, STR_ARG(digest(&w)),
					 STR_ARG(wanted));
			world_end(&w);
		}
		arena_free(&a);
	}
}

/* A contract that changes makes all rows again; those of a snapshot name the day on which this content came first. */
static void test_a_snapshot_names_its_first_day(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	deed_run(&w, &(struct deed){ "2024-01-01", "2024-01-03", "/places", NULL, false });
	deed_run(&w, &(struct deed){ "2024-01-01", "2024-01-04", "/places", NULL, false });
	deed_run(&w, &(struct deed){ "2024-01-01", "2024-01-04", "/places", NULL, true });
	struct table_snapshot t = world_snapshot(&w, ZONE_PREPARE, "places");
	assert_text(t.windows[0]->name, "20240103T000000Z_20240104T000000Z");
	assert_int_equal(t.windows[0]->generation, 2);
	assert_text(t.windows[0]->row_window, "20240102T000000Z_20240103T000000Z");
	assert_int_equal(t.windows[0]->row_generation, 1);
	const char *sql = "SELECT DISTINCT _window || '/' || CAST(_gen AS VARCHAR) FROM prepare.places";
	assert_text(world_sql(&w, sql), "20240102T000000Z_20240103T000000Z/1");
	world_file(&w, "contracts/places.yaml",
		   CONTRACT_HEAD("places") "    properties:\n"
		   "      - {name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n"
		   "      - {name: name, logicalType: string}\n      - {name: more, logicalType: string}\n");
	deed_run(&w, &(struct deed){ "2024-01-01", "2024-01-04", "/places", NULL, false });
	assert_text(world_sql(&w, sql), "20240102T000000Z_20240103T000000Z/1");
	t = world_snapshot(&w, ZONE_PREPARE, "places");
	assert_true(t.schema.n > 0 && t.windows[0]->generation == 2);
	world_end(&w);
}

/* An older fetch that cannot be read any more is no address. */
static void test_a_damaged_fetch_is_passed_over(void **state)
{
	struct world w;
	(void)state;
	trips_begin(&w);
	deed_run(&w, &(struct deed){ "2024-01-01", "2024-01-03", DAY_1, FIRST, false });
	deed_run(&w, &(struct deed){ "2024-01-01", "2024-01-02", DAY_1, NULL, true });
	world_file(&w, "lake/raw/test/trips/20240101T000000Z_20240102T000000Z/g1/ledger/00000000000000000001.json", "{}\n");
	world_answers(&w, DAY_2, OTHER);
	w.options.request.refetch = true;
	w.options.request.only = STR("trips");
	trips_days(&w, "2024-01-02", "2024-01-03");
	world_run_ok(&w);
	assert_text(world_sql(&w, ADDRESS_SQL), "01/2 02/2");
	world_end(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories_with_one_end),
		cmocka_unit_test(test_a_snapshot_names_its_first_day),
		cmocka_unit_test(test_a_damaged_fetch_is_passed_over),
	};
	int child = world_engine_child(argc, argv);
	return child >= 0 ? child : cmocka_run_group_tests(tests, NULL, NULL);
}
