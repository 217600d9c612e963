/* JSON to Parquet: prepare_run() against the engine's own read_json with the schema given, over the same gzipped pages of
 * about 150 KB and into the same order.
 *
 *     prepare_speed flights.csv examples/nycflights [threads] [rounds]
 *
 * Both sides count everything from the compressed bytes to the durable file; prepare_run() also checks hashes, judges the
 * contract, and reads back what it wrote. The best of the rounds counts; the rows of both must be the same. */
#include "base/check.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/json.h"
#include "format/layout.h"
#include "format/warc.h"
#include "prepare/prepare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE_BYTES = 150000, COLUMNS = 19, DAYS = 366 };

struct lake {
	struct arena a;
	char *root;
	struct store *store;
	struct job_window windows[DAYS];
	size_t n_windows, n_pages, rows, json_bytes;
	struct buf page;
	struct { /* of the window at hand */
		struct ledger ledger;
		struct warc_writer *warc;
		struct ledger_page *v;
		size_t n, cap;
		uint64_t records, page_records;
		struct str name, key;
	} w;
};

static void need(bool ok, const struct err *e)
{
	if (!ok) {
		fprintf(stderr, "%s\n", e->message);
		exit(1);
	}
}

static double now_s(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ── the lake ── */

static void page_end(struct lake *k)
{
	struct buf gz = BUF_INIT(64 << 20);
	struct err e = ERR_INIT;
	struct warc_range range;
	struct warc_exchange x = { .url = STR("http://h/flights"), .request_head = STR("GET / HTTP/1.1\r\nHost: h\r\n"),
				   .response_head = STR("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"), .run_id = STR("r"),
				   .resource = STR("flights"), .window = k->w.name, .page = k->w.n + 1, .attempt = 1 };

	if (k->w.page_records == 0)
		return;
	buf_add_char(&k->page, ']');
	CHECK(gzip_member(buf_str(&k->page), 6, &gz));
	x.body = buf_str(&gz);
	need(warc_add(k->w.warc, &x, &range, &e), &e);
	*arena_push(&k->a, k->w) = (struct ledger_page){ .page = k->w.n, .request = STR("GET /"), .status = 200, .attempts = 1,
							 .offset = range.offset, .size = range.size,
							 .body = sha256_of(buf_str(&k->page)), .body_bytes = k->page.n,
							 .records = k->w.page_records };
	k->w.v[k->w.n - 1].page = k->w.n;
	need(file_write(arena_format(&k->a, "%s/pages/%06zu.json.gz", k->root, k->n_pages++).p, buf_str(&gz), &e), &e);
	k->json_bytes += k->page.n;
	k->w.records += k->w.page_records;
	k->w.page_records = 0;
	buf_clear(&k->page);
	buf_free(&gz);
}

static void window_begin(struct lake *k, int64_t day_us)
{
	struct ledger_origin origin = { .reason = STR("first"), .definition_json = STR("{}"),
					/* Wide enough for the local day, whose zone is of no interest here. */
					.window = { day_us - US_PER_DAY, day_us + 2 * US_PER_DAY } };
	struct err e = ERR_INIT;

	k->w.n = 0;
	k->w.records = 0;
	k->w.name = window_name((struct window){ day_us, day_us + US_PER_DAY }, &k->a);
	k->w.key = key_generation(key_window(key_resource(STR("p"), STR("flights"), &k->a), k->w.name, &k->a), 1, &k->a);
	need(ledger_open(k->store, clock_system(), k->w.key, STR("r"), &k->a, &k->w.ledger, &e), &e);
	need(ledger_claim(&k->w.ledger, &origin, &e), &e);
	need(warc_open(k->store, STR("bench"), STR("r"), day_us, &k->w.warc, &e), &e);
}

static void window_end(struct lake *k)
{
	struct err e = ERR_INIT;
	struct ledger_commit c = { .pages = NULL };
	struct ledger_seal seal = { .consistency = CLASS_KEYSET, .evidence = STR("bench"), .promoted = true };
	struct job_window *w = &k->windows[k->n_windows++];

	page_end(k);
	need(warc_finish(k->w.warc, k->w.key, k->w.ledger.epoch, &k->a, &c.segment, &c.segment_hash, &c.segment_size, &e), &e);
	c.pages = k->w.v;
	c.n_pages = seal.pages = k->w.n;
	c.state = k->w.ledger.state;
	c.state.pages = k->w.n;
	c.state.records = seal.records = k->w.records;
	c.state.next.kind = NEXT_END;
	c.seal = &seal;
	need(ledger_pages(&k->w.ledger, &c, &e), &e);
	*w = (struct job_window){ .name = k->w.name, .generation = 1, .seal = k->w.ledger.seal_hash, .records = k->w.records };
}

static void record_add(struct lake *k, struct str names[COLUMNS], struct str line)
{
	struct str cell;

	if (k->page.n > PAGE_BYTES)
		page_end(k);
	buf_add_char(&k->page, k->w.page_records++ == 0 ? '[' : ',');
	for (size_t i = 0; i < COLUMNS && str_cut(&line, ',', &cell); i++) {
		bool text = i == 9 || (i >= 11 && i <= 13) || i == 18;
		buf_addf(&k->page, "%c\"%.*s\":", i == 0 ? '{' : ',', STR_ARG(names[i]));
		if (str_eq_z(cell, "NA"))
			buf_add_z(&k->page, "null");
		else
			buf_addf(&k->page, text ? "\"%.*s\"" : "%.*s", STR_ARG(cell));
	}
	buf_add_char(&k->page, '}');
	k->rows++;
}

static void lake_make(struct lake *k, const char *csv)
{
	struct str text, line, names[COLUMNS], day = STR_NONE;
	struct err e = ERR_INIT;

	need(file_make_scratch(NULL, &k->a, &k->root, &e), &e);
	need(file_make_dirs(arena_format(&k->a, "%s/pages", k->root).p, &e), &e);
	need(file_make_dirs(arena_format(&k->a, "%s/scratch", k->root).p, &e), &e);
	need(store_open_disk(arena_format(&k->a, "%s/lake", k->root).p, true, &k->store, &e), &e);
	need(file_read(csv, 1 << 30, &k->a, &text, &e), &e);
	CHECK(str_cut(&text, '\n', &line));
	for (size_t i = 0; i < COLUMNS; i++)
		CHECK(str_cut(&line, ',', &names[i]));
	k->page = BUF_INIT(16 << 20);
	while (str_cut(&text, '\n', &line)) {
		struct str rest = line, part, year, month;
		uint64_t y, m, d;
		CHECK(str_cut(&rest, ',', &year) && str_cut(&rest, ',', &month) && str_cut(&rest, ',', &part));
		struct str now = { line.p, (size_t)(part.p + part.n - line.p) };
		CHECK(str_to_u64(year, &y) && str_to_u64(month, &m) && str_to_u64(part, &d));
		if (!str_eq(now, day)) {
			if (day.n > 0)
				window_end(k);
			day = now;
			window_begin(k, (int64_t)days_from_civil((int32_t)y, (unsigned)m, (unsigned)d) * US_PER_DAY);
		}
		record_add(k, names, line);
	}
	window_end(k);
}

/* ── the two sides ── */

struct result {
	double wall_s, cpu_s;
	uint64_t rows;
};

static struct result measure_prepare(struct lake *k, const struct contract *c, unsigned threads, int round, struct str *out)
{
	struct arena a = ARENA_INIT;
	struct engine_job job = { .kind = ENGINE_PREPARE, .run_id = STR("r"), .pipeline = STR("p"), .table = STR("flights"),
				  .threads = threads, .memory_bytes = 1 << 30, .file_rows = 200000, .records = STR(""),
				  .max_body_bytes = 64 << 20, .max_ratio = 1000, .json_depth = 64, .budget_percent = 1,
				  .contract = c->canonical, .windows = k->windows, .n_windows = k->n_windows };
	struct engine_result r;
	struct err e = ERR_INIT;

	job.lake = arena_format(&k->a, "%s/lake", k->root);
	job.scratch = arena_format(&k->a, "%s/scratch", k->root);
	job.output = *out = arena_format(&k->a, "%s/out%d", k->root, round);
	job.quarantine_output = arena_format(&k->a, "%s/bad%d", k->root, round);
	need(file_make_dirs(job.output.p, &e) && file_make_dirs(job.quarantine_output.p, &e), &e);
	double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
	need(prepare_run(&job, NULL, NULL, &a, &r, &e), &e);
	struct result x = { now_s(CLOCK_MONOTONIC) - wall, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu, r.rows };
	printf("  prepare   %.3f s wall %.3f s cpu  (parse %.3f, write %.3f, read back %.3f), %zu files\n", x.wall_s, x.cpu_s,
	       (double)r.parse_us * 1e-6, (double)r.write_us * 1e-6, (double)r.read_back_us * 1e-6, r.n_files);
	arena_free(&a);
	return x;
}

static struct result measure_engine(struct lake *k, const struct contract *c, int round, struct str *out)
{
	struct arena a = ARENA_INIT;
	const char *folders[] = { k->root };
	struct engine_options o = { .memory_bytes = 1 << 30, .folders = folders, .n_folders = 1 };
	struct engine *g;
	struct engine_connection *q;
	struct err e = ERR_INIT;
	struct buf sql = BUF_INIT(1 << 16);
	uint64_t rows, bytes;
	char type[32];

	*out = arena_format(&k->a, "%s/engine%d.parquet", k->root, round);
	o.scratch = arena_format(&k->a, "%s/scratch", k->root).p;
	double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
	need(engine_open(&o, &g, &e) && engine_connect(g, &q, &e), &e);
	buf_addf(&sql, "SELECT * FROM read_json('%s/pages/*.json.gz', format='array', columns={", k->root);
	for (size_t i = 0; i < c->n_columns; i++)
		buf_addf(&sql, "%s\"%.*s\": '%s'", i > 0 ? ", " : "", STR_ARG(c->columns[i].name),
			 engine_sql_type(c->columns[i].type, c->columns[i].precision, c->columns[i].scale, type));
	buf_add_z(&sql, "})");
	for (size_t i = 0; i < c->n_sort; i++)
		buf_addf(&sql, "%s \"%.*s\"", i == 0 ? " ORDER BY year, month, day," : ",", STR_ARG(c->columns[c->sort[i]].name));
	need(engine_write_parquet(q, buf_str(&sql), out->p, PARQUET_DICTIONARY, &rows, &bytes, &e), &e);
	engine_disconnect(q);
	engine_close(g);
	struct result x = { now_s(CLOCK_MONOTONIC) - wall, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu, rows };
	printf("  read_json %.3f s wall %.3f s cpu\n", x.wall_s, x.cpu_s);
	buf_free(&sql);
	arena_free(&a);
	return x;
}

static bool take_count(void *user, const struct batch *b, struct err *e)
{
	(void)e;
	if (b->n_rows > 0)
		*(int64_t *)user = b->columns[0].i64[0];
	return true;
}

/* Every value of every row, by the engine: how many rows of one side the other lacks. */
static int64_t differences(struct lake *k, const struct contract *c, struct str ours, struct str theirs)
{
	struct arena a = ARENA_INIT;
	const char *folders[] = { k->root };
	struct engine_options o = { .memory_bytes = UINT64_C(4) << 30, .folders = folders, .n_folders = 1 };
	struct engine *g;
	struct engine_connection *q;
	struct batch_shape *shape;
	struct buf columns = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;
	int64_t n[2] = { -1, -1 };
	size_t n_columns;

	o.scratch = arena_format(&k->a, "%s/scratch", k->root).p;
	for (size_t i = 0; i < c->n_columns; i++)
		buf_addf(&columns, "%s\"%.*s\"", i > 0 ? ", " : "", STR_ARG(c->columns[i].name));
	need(engine_open(&o, &g, &e) && engine_connect(g, &q, &e), &e);
	for (int i = 0; i < 2; i++) {
		struct str x = arena_format(&a, "SELECT %s FROM read_parquet('%.*s/*.parquet')", columns.p, STR_ARG(ours));
		struct str y = arena_format(&a, "SELECT %s FROM read_parquet('%.*s')", columns.p, STR_ARG(theirs));
		struct str sql = arena_format(&a, "SELECT count(*) FROM (%.*s EXCEPT ALL %.*s)", STR_ARG(i == 0 ? x : y),
					      STR_ARG(i == 0 ? y : x));
		need(engine_query(q, sql, &a, &shape, &n_columns, take_count, &n[i], &e), &e);
	}
	engine_disconnect(q);
	engine_close(g);
	buf_free(&columns);
	arena_free(&a);
	return n[0] + n[1];
}

int main(int argc, char **argv)
{
	struct lake k = { .a = ARENA_INIT };
	struct contract *c = NULL;
	struct problems p = PROBLEMS_INIT(&k.a);
	struct result best[2] = { { 1e9, 1e9, 0 }, { 1e9, 1e9, 0 } };
	struct err e = ERR_INIT;
	struct str ours, theirs;
	unsigned threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
	int rounds = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 5;

	if (argc < 3 || !contract_find(str_from(argv[2]), STR("flights"), &k.a, &c, &p) || !c)
		return fprintf(stderr, "prepare_speed flights.csv examples/nycflights [threads] [rounds]\n"), 2;
	lake_make(&k, argv[1]);
	printf("%zu rows, %.1f MB of JSON in %zu pages of %zu windows, %u threads, %zu sort columns\n", k.rows,
	       (double)k.json_bytes * 1e-6, k.n_pages, k.n_windows, threads, c->n_sort);
	for (int i = 0; i < rounds; i++) {
		struct result x = measure_prepare(&k, c, threads, i, &ours);
		best[0] = x.cpu_s < best[0].cpu_s ? x : best[0];
		if (threads > 1 || getenv("PREPARE_ONLY"))
			continue; /* the engine is opened with one thread */
		x = measure_engine(&k, c, i, &theirs);
		best[1] = x.cpu_s < best[1].cpu_s ? x : best[1];
		CHECK(i > 0 || differences(&k, c, ours, theirs) == 0);
	}
	if (best[1].rows > 0)
		printf("cpu: read_json / prepare = %.2f\n", best[1].cpu_s / best[0].cpu_s);
	store_close(k.store);
	need(file_remove_tree(k.root, &e), &e);
	buf_free(&k.page);
	arena_free(&k.a);
	return 0;
}
