/* Prepare from a lake to Parquet files and back, on lakes made by the functions that ingest uses. */
#include "prepare_world.h"

/* ── tests ── */

static void rows_arrive(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;
	char hex[33];

	(void)state;
	world_open(&w, COLUMNS);
	window_fill(&w, 1, 30, 10, plain);
	window_fill(&w, 2, 0, 10, plain);
	window_fill(&w, 3, 25, 7, plain);
	if (!run(&w, &r, &e))
		fail_msg("%s", e.message);
	assert_true(str_starts(r.engine, STR("DuckDB v")));
	assert_int_equal(r.n_files, 1);
	assert_text(r.files[0].path, "data/out0/00000.parquet");
	assert_int_equal(r.files[0].rows, 55);
	assert_true(r.files[0].size_bytes > 100 && r.files[0].modified_ms > 0);
	assert_int_equal(r.rows, 55);
	assert_int_equal(r.loss.read, 55);
	assert_int_equal(r.loss.published, 55);
	assert_int_equal(r.loss.n_rules, 0);
	assert_int_equal(r.files[0].n_windows, 3);
	assert_text(r.files[0].windows[1].name, "20130102T000000Z_20130103T000000Z");
	assert_int_equal(r.files[0].windows[1].rows, 0);
	assert_int_equal(r.files[0].windows[2].rows, 25);
	assert_int_equal(r.files[0].windows[2].read, 25);
	assert_int_equal(r.files[0].windows[2].hash.rows, 25);
	row_hash_hex(&r.files[0].windows[1].hash, hex);
	assert_string_equal(hex, "00000000000000000000000000000000");
	assert_true(sha256_eq(r.files[0].windows[2].seal, w.windows[2].seal));
	assert_string_equal(main_query(&w, &r,
				       "SELECT CAST(id AS VARCHAR), CAST(\"at\" AS VARCHAR), CAST(price AS VARCHAR), CAST(ratio AS VARCHAR),"
				       " name, CAST(day AS VARCHAR), CAST(open AS VARCHAR), _window, CAST(_gen AS VARCHAR),"
				       " CAST(_page AS VARCHAR), CAST(_off AS VARCHAR), _extra FROM %s WHERE id IN (100003, 300024)"),
			    "100003 2013-01-01 03:00:00+00 3.03 3.5 né 3 2013-01-01 true"
			    " 20130101T000000Z_20130102T000000Z 1 1 385 -\n"
			    "300024 2013-01-03 00:00:00+00 24.24 24.5 né 3 2013-01-03 false"
			    " 20130103T000000Z_20130104T000000Z 1 4 390 -\n");
	/* Types on disk, and the order of the rows. */
	assert_string_equal(main_query(&w, &r, "SELECT column_type FROM (DESCRIBE SELECT * FROM %s)"),
			    "BIGINT\nTIMESTAMP WITH TIME ZONE\nDECIMAL(10,2)\nDOUBLE\nVARCHAR\nDATE\nBOOLEAN\nVARCHAR\nVARCHAR\n"
			    "BIGINT\nBIGINT\nBIGINT\nBIGINT\n");
	assert_string_equal(main_query(&w, &r, "SELECT CAST(count(*) AS VARCHAR) FROM (SELECT id, lag(id) OVER () AS before "
					       "FROM %s) WHERE id <= before"), "0\n");
	assert_text(r.files[0].stats,
		    "{\"numRecords\":55,\"minValues\":{\"id\":100000,\"at\":\"2013-01-01T00:00:00.000Z\",\"price\":0.00,"
		    "\"ratio\":0.5,\"name\":\"né 0\",\"day\":\"2013-01-01\",\"_window\":\"20130101T000000Z_20130102T000000\","
		    "\"_gen\":1,\"_page\":1,\"_off\":29,\"_len\":116},"
		    "\"maxValues\":{\"id\":300024,\"at\":\"2013-01-03T23:00:00.000Z\",\"price\":29.29,\"ratio\":29.5,"
		    "\"name\":\"né 6\",\"day\":\"2013-01-03\",\"_window\":\"20130103T000000Z_20130104T000000\xf4\x8f\xbf\xbf\","
		    "\"_gen\":1,\"_page\":4,\"_off\":1114,\"_len\":119},"
		    "\"nullCount\":{\"id\":0,\"at\":0,\"price\":0,\"ratio\":0,\"name\":0,\"day\":0,\"open\":0,\"_extra\":55,"
		    "\"_window\":0,\"_gen\":0,\"_page\":0,\"_off\":0,\"_len\":0}}");
	/* Nothing was set aside: one file without rows that says so. */
	assert_int_equal(r.n_quarantine_files, 1);
	assert_text(r.quarantine_files[0].path, "data/bad0/00000.parquet");
	assert_int_equal(r.quarantine_files[0].rows, 0);
	assert_int_equal(r.quarantine_files[0].n_windows, 3);
	assert_int_equal(r.quarantine_files[0].windows[0].read, 30);
	assert_int_equal(r.quarantine_files[0].windows[0].rows, 0);
	assert_string_equal(bad_query(&w, &r, "SELECT column_type FROM (DESCRIBE SELECT * FROM %s)"),
			    "VARCHAR\nBIGINT\nBIGINT\nBIGINT\nBIGINT\nBIGINT\nVARCHAR\nVARCHAR\n");
	world_close(&w);
}

/* -0.0 and 0.0 in one column, often enough for a dictionary, which would make them one. */
static void zeros(struct buf *b, unsigned day, unsigned i)
{
	buf_addf(b, "{\"id\":%u,\"at\":\"2013-01-%02uT00:00:00Z\",\"ratio\":%s}", day * 100000 + i, day,
		 i % 3 == 0 ? "0.0" : i % 3 == 1 ? "-0.0" : "null");
}

static void positive_zeros(struct buf *b, unsigned day, unsigned i)
{
	buf_addf(b, "{\"id\":%u,\"at\":\"2013-01-%02uT00:00:00Z\",\"ratio\":%s}", day * 100000 + i, day,
		 i % 3 == 2 ? "null" : "0.0");
}

static void zeros_twice(struct buf *b, unsigned day, unsigned i)
{
	zeros(b, day, i % 20);
}

#define SORTED "    customProperties: [{property: sluice.sort, value: ['-name', id]}]\n"

static void the_sign_of_zero_stays(void **state)
{
	static const struct {
		record_text *text;
		const char *contract, *path, *want;
		uint64_t file_rows;
	} cases[] = {
		{ zeros, COLUMNS, "00000.1.parquet", "10 10 10\n", 1000 },
		{ zeros, SORTED COLUMNS, "00000.1.parquet", "10 10 10\n", 1000 },
		{ zeros, COLUMNS, "00000.1.parquet", "10 10 10\n", 10 },
		{ positive_zeros, COLUMNS, "00000.parquet", "20 0 10\n", 1000 },
		{ zeros_twice, SORTED COLUMNS, NULL, "7 7 6\n", 1000 },
		{ zeros_twice, SORTED COLUMNS, NULL, "7 7 6\n", 10 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;
		struct engine_result r;
		struct err e;
		world_open(&w, cases[i].contract);
		w.job.file_rows = cases[i].file_rows;
		window_fill(&w, 1, 30, 15, cases[i].text);
		if (!run(&w, &r, &e))
			fail_msg("%zu: %s", i, e.message);
		assert_int_equal(r.loss.read, 30);
		assert_int_equal(r.loss.read, r.rows + r.loss.duplicates);
		if (cases[i].path)
			assert_true(str_ends(r.files[0].path, str_from(cases[i].path)));
		assert_string_equal(main_query(&w, &r, "SELECT CAST(count(*) FILTER (ratio = 0 AND NOT signbit(ratio)) AS VARCHAR), "
					       "CAST(count(*) FILTER (signbit(ratio)) AS VARCHAR), "
					       "CAST(count(*) FILTER (ratio IS NULL) AS VARCHAR) FROM %s"), cases[i].want);
		world_close(&w);
	}
}

/* What the address says is where the record is. */
static void addresses_are_right(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;
	struct page_text page = { " { \"data\" : [ {\"id\":1} ,\n{\"id\":2,\"name\":\"x\"}]}", 2 };

	(void)state;
	world_open(&w, COLUMNS);
	window_add(&w, 1, &page, 1);
	if (!run(&w, &r, &e))
		fail_msg("%s", e.message);
	assert_string_equal(main_query(&w, &r, "SELECT CAST(_off AS VARCHAR), CAST(_len AS VARCHAR) FROM %s"), "14 8\n25 19\n");
	world_close(&w);
}

static void spoiled(struct buf *b, unsigned day, unsigned i)
{
	if (i % 10 == 3)
		buf_addf(b, "{\"id\":%u,\"price\":\"12\",\"odd\":[%u]}", day * 100000 + i, i);
	else if (i == 5)
		buf_add_z(b, "null");
	else if (i == 6)
		buf_add_z(b, "{\"price\":1}");
	else
		plain(b, day, i);
}

static void bad_rows_are_set_aside(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, COLUMNS);
	w.job.file_rows = 60;
	window_fill(&w, 1, 40, 15, spoiled);
	window_fill(&w, 2, 20, 15, plain);
	window_fill(&w, 3, 40, 15, plain);
	if (!run(&w, &r, &e))
		fail_msg("%s", e.message);
	assert_int_equal(r.n_files, 2);
	assert_int_equal(r.loss.read, 100);
	assert_int_equal(r.loss.published, 94);
	assert_int_equal(r.loss.quarantined, 6);
	assert_int_equal(r.loss.duplicates, 0);
	assert_int_equal(r.loss.n_rules, 3);
	assert_int_equal(r.files[0].windows[0].read, 40);
	assert_int_equal(r.files[0].windows[0].rows, 34);
	assert_string_equal(main_query(&w, &r, "SELECT CAST(count(*) AS VARCHAR), CAST(sum(id) AS VARCHAR) FROM %s"),
			    "94 19401667\n");
	assert_int_equal(r.n_quarantine_files, 2);
	assert_int_equal(r.quarantine_files[0].rows, 6);
	assert_int_equal(r.quarantine_files[0].n_windows, 2);
	assert_int_equal(r.quarantine_files[0].windows[0].rows, 6);
	assert_int_equal(r.quarantine_files[0].windows[1].rows, 0);
	assert_int_equal(r.quarantine_files[1].rows, 0);
	assert_int_equal(r.quarantine_files[1].n_windows, 1);
	assert_text(r.quarantine_files[1].windows[0].name, w.windows[2].name.p);
	assert_string_equal(bad_query(&w, &r, "SELECT _raw, _reasons FROM %s WHERE _page = 1 ORDER BY _off"),
			    "{\"id\":100003,\"price\":\"12\",\"odd\":[3]} [{\"rule\":\"price.type\",\"column\":\"price\","
			    "\"path\":\"price\",\"value\":\"12\",\"why\":\"a number is expected\"}]\n"
			    "null [{\"rule\":\"record\",\"value\":\"null\",\"why\":\"the record is no object\"}]\n"
			    "{\"price\":1} [{\"rule\":\"id.key\",\"column\":\"id\",\"path\":\"id\"}]\n"
			    "{\"id\":100013,\"price\":\"12\",\"odd\":[13]} [{\"rule\":\"price.type\",\"column\":\"price\","
			    "\"path\":\"price\",\"value\":\"12\",\"why\":\"a number is expected\"}]\n");
	assert_int_equal(r.loss.n_extra, 1);
	assert_text(r.loss.extra_fields[0], "odd");
	assert_int_equal(r.loss.extra_counts[0], 4);
	world_close(&w);
}

static void the_budget_is_a_limit(void **state)
{
	static const struct {
		double percent;
		uint64_t rows;
		bool passes;
	} cases[] = { { 5, 0, false }, { 15, 0, true }, { 14.9, 0, false }, { 5, 6, true }, { 5, 5, false }, { 0, 100, true } };
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, COLUMNS);
	window_fill(&w, 1, 40, 15, spoiled);
	for (size_t i = 0; i < COUNT(cases); i++) {
		w.job.budget_percent = cases[i].percent;
		w.job.budget_rows = cases[i].rows;
		if (run(&w, &r, &e) != cases[i].passes)
			fail_msg("case %zu: %s", i, e.message);
		if (cases[i].passes)
			continue;
		assert_int_equal(e.code, ERR_CONTRACT);
		assert_non_null(strstr(e.message, "trips: 6 of 40 records would be set aside (15.00 %)"));
		assert_non_null(strstr(e.message, "price.type 4"));
		assert_non_null(strstr(e.message, "window 20130101T000000Z_20130102T000000Z, page 1, byte "));
		assert_non_null(strstr(e.hint, "sluice run --stale"));
	}
	world_close(&w);
}

static void fail_means_fail(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, COLUMNS
		   "      - {name: kind, logicalType: string, required: true, customProperties: [{property: sluice.action, value: fail}]}\n");
	window_fill(&w, 1, 3, 2, plain);
	assert_false(run(&w, &r, &e));
	assert_int_equal(e.code, ERR_CONTRACT);
	assert_non_null(strstr(e.message, "rule kind.required says fail, and window 20130101T000000Z_20130102T000000Z, page 1,"));
	world_close(&w);
}

static void no_contract_no_table(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, NULL);
	window_fill(&w, 1, 3, 2, plain);
	assert_false(run(&w, &r, &e));
	assert_int_equal(e.code, ERR_CONTRACT);
	assert_non_null(strstr(e.hint, "sluice contract draft trips"));
	world_close(&w);
}

/* Every third id comes again, 30 records later; the last of all is one whose winner is set aside. */
static void doubled(struct buf *b, unsigned day, unsigned i)
{
	if (i >= 60 && i < 90 && i % 3 == 0)
		buf_addf(b, "{\"id\":%u,\"name\":\"again %u\"}", day * 100000 + i - 30, i);
	else if (i == 99)
		buf_addf(b, "{\"id\":%u,\"open\":1}", day * 100000 + 1);
	else
		plain(b, day, i);
}

static void duplicates_check(struct world *w, uint64_t file_rows, unsigned threads, size_t n_files)
{
	struct engine_result r;
	struct err e;

	w->job.file_rows = file_rows;
	w->job.threads = threads;
	if (!run(w, &r, &e))
		fail_msg("%s", e.message);
	assert_int_equal(r.n_files, n_files);
	assert_int_equal(r.loss.read, 150);
	assert_int_equal(r.loss.duplicates, 11);
	assert_int_equal(r.loss.quarantined, 1);
	assert_int_equal(r.loss.published, 138);
	assert_int_equal(r.files[0].windows[0].read, 100);
	assert_string_equal(main_query(w, &r, "SELECT name FROM %s WHERE id IN (100001, 100030, 100033, 100034) ORDER BY id"),
			    "again 60\nagain 63\nné 6\n");
	assert_string_equal(main_query(w, &r, "SELECT CAST(count(*) AS VARCHAR), CAST(count(DISTINCT id) AS VARCHAR) FROM %s"),
			    "138 138\n");
	assert_string_equal(bad_query(w, &r, "SELECT _raw FROM %s"), "{\"id\":100001,\"open\":1}\n");
	/* No file but those that are told. */
	size_t n = 0;
	DIR *d = opendir(w->job.output.p);
	for (struct dirent *x; (x = readdir(d));)
		n += x->d_name[0] != '.';
	closedir(d);
	assert_int_equal(n, n_files);
}

static void the_last_duplicate_stands(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, COLUMNS);
	window_fill(&w, 1, 100, 9, doubled);
	window_fill(&w, 2, 50, 50, plain);
	duplicates_check(&w, 1000, 1, 1);
	duplicates_check(&w, 100, 1, 2);
	duplicates_check(&w, 17, 1, 9); /* both windows are cut */
	duplicates_check(&w, 17, 3, 9);
	duplicates_check(&w, 1, 2, 150);
	world_close(&w);
}

/* A row that fails counts only if no later one stands for its key. */
static void late_failures(struct buf *b, unsigned day, unsigned i)
{
	if (i == 3)
		buf_add_z(b, "{\"id\":7}");
	else if (i == 17)
		buf_add_z(b, "{\"id\":7,\"kind\":\"x\"}");
	else
		buf_addf(b, "{\"id\":%u,\"kind\":\"x\"}", day * 1000 + i);
}

static void losers_do_not_fail(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, COLUMNS
		   "      - {name: kind, logicalType: string, required: true, customProperties: [{property: sluice.action, value: fail}]}\n");
	window_fill(&w, 1, 20, 5, late_failures);
	for (uint64_t rows = 4; rows < 50; rows += 40) {
		w.job.file_rows = rows;
		if (!run(&w, &r, &e))
			fail_msg("%s", e.message);
		assert_int_equal(r.loss.published, 19);
		assert_int_equal(r.loss.duplicates, 1);
		assert_int_equal(r.loss.n_rules, 0);
	}
	world_close(&w);
}

/* Cut or shared, 1 thread or more: the same bytes, and the same hashes in sum. */
static void threads_do_not_matter(void **state)
{
	static const uint64_t file_rows[] = { 100000, 700, 300, 90 };
	struct world w;
	struct engine_result one, more;
	struct row_hash total[COUNT(file_rows)];
	struct err e;

	(void)state;
	world_open(&w, COLUMNS);
	for (unsigned day = 1; day <= 9; day++)
		window_fill(&w, day, day * 100, 72, spoiled);
	for (size_t k = 0; k < COUNT(file_rows); k++) {
		w.job.file_rows = file_rows[k];
		w.job.threads = 1;
		if (!run(&w, &one, &e))
			fail_msg("%s", e.message);
		struct str main_one = w.job.output, bad_one = w.job.quarantine_output;
		w.job.threads = 4;
		if (!run(&w, &more, &e))
			fail_msg("%s", e.message);
		assert_int_equal(one.n_files, more.n_files);
		assert_int_equal(one.n_quarantine_files, more.n_quarantine_files);
		total[k] = ROW_HASH_INIT;
		for (size_t i = 0; i < one.n_files; i++) {
			assert_true(str_eq(file_bytes(&w, main_one, one.files[i].path),
					   file_bytes(&w, w.job.output, more.files[i].path)));
			assert_true(str_eq(one.files[i].stats, more.files[i].stats));
			for (size_t n = 0; n < one.files[i].n_windows; n++)
				row_hash_merge(&total[k], &one.files[i].windows[n].hash);
		}
		for (size_t i = 0; i < one.n_quarantine_files; i++)
			assert_true(str_eq(file_bytes(&w, bad_one, one.quarantine_files[i].path),
					   file_bytes(&w, w.job.quarantine_output, more.quarantine_files[i].path)));
		assert_true(row_hash_eq(&total[k], &total[0]));
		assert_int_equal(one.loss.read, 4500);
	}
	world_close(&w);
}

/* A window over file_rows has files of its own; small ones share until the next would pass it. */
static void files_are_cut_by_the_plan(void **state)
{
	static const unsigned records[] = { 40, 50, 20, 250, 10, 100, 0 };
	static const uint64_t rows[] = { 90, 20, 100, 100, 50, 10, 100 };
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, COLUMNS);
	w.job.file_rows = 100;
	for (unsigned i = 0; i < COUNT(records); i++)
		window_fill(&w, i + 1, records[i], 33, plain);
	if (!run(&w, &r, &e))
		fail_msg("%s", e.message);
	assert_int_equal(r.n_files, COUNT(rows));
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(r.files[i].rows, rows[i]);
	assert_int_equal(r.files[3].windows[0].read, 250);
	assert_int_equal(r.files[3].windows[0].rows, 100);
	assert_int_equal(r.files[6].n_windows, 2); /* the empty one comes along */
	world_close(&w);
}

static void foreign(struct buf *b, unsigned day, unsigned i)
{
	plain(b, i == 4 ? day + 1 : day, i);
}

static void rows_outside_their_window(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, "    customProperties: [{property: sluice.window_column, value: at}]\n" COLUMNS);
	window_fill(&w, 1, 10, 3, plain);
	window_fill(&w, 2, 10, 3, foreign);
	window_fill(&w, 3, 10, 3, plain);
	if (!run(&w, &r, &e))
		fail_msg("%s", e.message);
	assert_int_equal(r.loss.quarantined, 1);
	assert_string_equal(bad_query(&w, &r, "SELECT _window, _reasons FROM %s"),
			    "20130102T000000Z_20130103T000000Z [{\"rule\":\"at.window\",\"column\":\"at\",\"path\":\"at\","
			    "\"value\":\"2013-01-03T04:00:00Z\"}]\n");
	world_close(&w);
}

static void a_sort_order_is_kept(void **state)
{
	struct world w;
	struct engine_result r;
	struct err e;

	(void)state;
	world_open(&w, SORTED COLUMNS);
	window_fill(&w, 1, 20, 6, plain);
	window_fill(&w, 2, 5, 6, plain);
	if (!run(&w, &r, &e))
		fail_msg("%s", e.message);
	assert_string_equal(main_query(&w, &r, "SELECT name, CAST(id AS VARCHAR) FROM %s LIMIT 4"),
			    "né 6 100006\nné 6 100013\nné 5 100005\nné 5 100012\n");
	assert_string_equal(main_query(&w, &r, "SELECT CAST(id AS VARCHAR) FROM %s OFFSET 20"),
			    "200004\n200003\n200002\n200001\n200000\n");
	world_close(&w);
}

static void wide(struct buf *b, unsigned day, unsigned i)
{
	buf_addf(b, "{\"id\":%u,\"at\":\"2013-01-%02uT%02u:00:00Z\",\"name\":\"%u\",\"note\":\"%0*u\",\"ratio\":%s}",
		 i * 7919 % 10007, day, i % 24, i % 97, (int)(i % 2 ? 10 : 1000), i, i % 3 ? "null" : "0.25");
}

/* Sorted in memory, or by the engine because it is too much for that: the same bytes. */
static void who_sorts_does_not_matter(void **state)
{
	struct world w;
	struct engine_result small, large;
	struct err e;

	(void)state;
	world_open(&w, SORTED COLUMNS);
	w.job.file_rows = 7000;
	window_fill(&w, 1, 6500, 500, wide);
	window_fill(&w, 2, 30, 10, wide);
	window_fill(&w, 3, 900, 100, wide);
	window_fill(&w, 4, 9000, 900, wide); /* over two files */
	if (!run(&w, &large, &e))
		fail_msg("%s", e.message);
	struct str by_us = w.job.output;
	w.job.memory_bytes = 24 << 20;
	if (!run(&w, &small, &e))
		fail_msg("%s", e.message);
	assert_int_equal(small.n_files, large.n_files);
	for (size_t i = 0; i < small.n_files; i++) /* each attempt gives the file another name */
		assert_true(str_eq(file_bytes(&w, by_us, large.files[i].path),
				   file_bytes(&w, w.job.output, small.files[i].path)));
	assert_true(str_ends(large.files[0].path, STR("00000.parquet")) && str_ends(small.files[0].path, STR(".1.parquet")));
	world_close(&w);
}

/* ── damage ── */

static char *find_segment(struct world *w, size_t window)
{
	struct str path = arena_format(&w->a, "%.*s/raw/p/trips/%.*s/g1/segments", STR_ARG(w->lake),
				       STR_ARG(w->windows[window].name));
	DIR *d = opendir(path.p);
	for (struct dirent *x; (x = readdir(d));)
		if (x->d_name[0] != '.')
			path = arena_format(&w->a, "%.*s/%s", STR_ARG(path), x->d_name);
	closedir(d);
	return arena_zero_terminated(&w->a, path);
}

static void damage_is_named(void **state)
{
	static const char *const kinds[] = { "a byte", "cut", "gone", "another body", "another seal", "another count" };

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		struct world w;
		struct engine_result r;
		struct err why;
		struct str bytes;
		world_open(&w, COLUMNS);
		w.job.threads = 2;
		w.job.file_rows = 20;
		window_fill(&w, 1, 20, 6, plain);
		window_fill(&w, 2, 20, 6, plain);
		char *path = find_segment(&w, 1);
		OK(file_read(path, 1 << 20, &w.a, &bytes, e));
		char *copy = arena_zero_terminated(&w.a, bytes);
		if (k == 0)
			copy[bytes.n / 2] ^= 0x10;
		if (k == 1)
			bytes.n /= 2;
		if (k < 2)
			OK(file_write(path, (struct str){ copy, bytes.n }, e));
		if (k == 2)
			assert_int_equal(unlink(path), 0);
		if (k == 3) { /* the other window's segment: sound in itself */
			OK(file_read(find_segment(&w, 0), 1 << 20, &w.a, &bytes, e));
			OK(file_write(path, bytes, e));
		}
		if (k == 4)
			w.windows[1].seal.b[5] ^= 1;
		if (k == 5)
			w.windows[1].records--;
		assert_false(run(&w, &r, &why));
		if (why.code != ERR_DAMAGE || !strstr(why.message, w.windows[1].name.p))
			fail_msg("%s: %s: %s", kinds[k], err_name(why.code), why.message);
		if (k < 4 && (!strstr(why.message, ", page ") || !strstr(why.message, "segment ")))
			fail_msg("%s: %s", kinds[k], why.message);
		world_close(&w);
	}
}

static void pages_that_do_not_fit(void **state)
{
	static const struct {
		const char *records, *body;
		enum err_code code;
		const char *says;
	} cases[] = {
		{ "data", "{\"items\":[{\"id\":1}]}", ERR_CONFIG, "no list of records at `data`" },
		{ "data", "{\"data\":{\"id\":1}}", ERR_CONFIG, "no list of records at `data`" },
		{ "data", "{\"data\":[{\"id\":1}],\"data\":[{\"id\":2}]}", ERR_RECORDS, "occurs twice" },
		{ "a.b", "{\"a\":{\"b\":[{\"id\":1}]},\"a\":{}}", ERR_RECORDS, "occurs twice" },
		{ "data", "{\"data\":[{\"id\":1},{\"id\":2}]}", ERR_DAMAGE, "is not that of the ledger" },
		{ "data", "{\"data\":[]}", ERR_DAMAGE, "is not that of the ledger" },
		{ "data", "{\"data\":[{\"id\":1]}", ERR_JSON, "page 1, byte 16" },
		{ "data", "{\"data\":[{\"id\":1}],\"x\":NaN}", ERR_JSON, "NaN" },
		{ "data", "{\"data\":[{\"id\":1}]}", ERR_NONE, "" },
		{ "", "[{\"id\":1}]", ERR_NONE, "" },
		{ "a\\.b", "{\"a.b\":[{\"id\":1}]}", ERR_NONE, "" },
		{ "r.1.x", "{\"r\":[{\"x\":3},{\"x\":[{\"id\":1}],\"y\":2},[1]],\"z\":{\"x\":[]}}", ERR_NONE, "" },
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct world w;
		struct engine_result r;
		struct err e;
		struct page_text page = { cases[k].body, 1 };
		world_open(&w, COLUMNS);
		w.job.records = str_from(cases[k].records);
		window_add(&w, 1, &page, 1);
		bool ok = run(&w, &r, &e);
		if (ok != (cases[k].code == ERR_NONE) || (!ok && (e.code != cases[k].code || !strstr(e.message, cases[k].says))))
			fail_msg("%s: %s: %s", cases[k].body, err_name(e.code), e.message);
		if (ok)
			assert_string_equal(main_query(&w, &r, "SELECT CAST(id AS VARCHAR) FROM %s"), "1\n");
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_arrive),
		cmocka_unit_test(the_sign_of_zero_stays), cmocka_unit_test(addresses_are_right),
		cmocka_unit_test(bad_rows_are_set_aside),
		cmocka_unit_test(the_budget_is_a_limit),
		cmocka_unit_test(fail_means_fail),
		cmocka_unit_test(no_contract_no_table),
		cmocka_unit_test(the_last_duplicate_stands),
		cmocka_unit_test(losers_do_not_fail),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(files_are_cut_by_the_plan),
		cmocka_unit_test(rows_outside_their_window),
		cmocka_unit_test(a_sort_order_is_kept),
		cmocka_unit_test(who_sorts_does_not_matter),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(pages_that_do_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
