/* A lake with windows in Raw, and jobs that prepare them. */
#ifndef TEST_PREPARE_WORLD_H
#define TEST_PREPARE_WORLD_H

#include "unit.h"

#include "base/check.h"
#include "base/file.h"
#include "base/gzip.h"
#include "format/layout.h"
#include "format/warc.h"
#include "driver/engine.h"
#include "prepare/prepare.h"
#include "prepare/prepare_task.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: trips\n"
#define COLUMNS                                                                                          \
	"    properties:\n"                                                                              \
	"      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}\n"            \
	"      - {name: at, logicalType: timestamp}\n"                                                   \
	"      - {name: price, logicalType: number, customProperties: [{property: sluice.type, value: decimal},"   \
	" {property: sluice.precision, value: 10}, {property: sluice.scale, value: 2}]}\n"               \
	"      - {name: ratio, logicalType: number, customProperties: [{property: sluice.type, value: double}]}\n" \
	"      - {name: name, logicalType: string, logicalTypeOptions: {maxLength: 40}}\n"               \
	"      - {name: day, logicalType: date}\n"                                                       \
	"      - {name: open, logicalType: boolean}\n"

struct world {
	struct arena a;
	char *root;
	struct str lake;
	struct store *store;
	struct job_window windows[64];
	size_t n_windows;
	struct engine_job job;
	struct contract *contract;
	double child_budget;
	unsigned runs;
};

static inline void world_open(struct world *w, const char *contract)
{
	struct contract *c = NULL;
	struct problems p;

	memset(w, 0, sizeof *w);
	p = PROBLEMS_INIT(&w->a);
	OK(file_make_scratch(NULL, &w->a, &w->root, e));
	w->lake = arena_format(&w->a, "%s/lake", w->root);
	OK(store_open_disk(w->lake.p, true, &w->store, e));
	w->job = (struct engine_job){ .kind = ENGINE_PREPARE, .run_id = STR("r1"), .pipeline = STR("p"), .table = STR("trips"),
				      .lake = w->lake, .threads = 1, .memory_bytes = 512 << 20, .file_rows = 1000,
				      .records = STR("data"), .max_body_bytes = 8 << 20, .max_ratio = 1000, .json_depth = 64,
				      .budget_percent = 100 };
	w->job.scratch = arena_format(&w->a, "%s/scratch", w->root);
	OK(file_make_dirs(w->job.scratch.p, e));
	if (contract) {
		if (!contract_parse("trips.yaml", arena_format(&w->a, HEAD "%s", contract), &w->a, &c, &p)) {
			struct buf b = BUF_INIT(1 << 20);
			problems_print(&p, &b);
			fail_msg("%s", b.p);
		}
		w->job.contract = c->canonical;
		w->contract = c;
	}
	w->job.windows = w->windows;
	w->child_budget = 100;
}

static inline void world_close(struct world *w)
{
	store_close(w->store);
	OK(file_remove_tree(w->root, e));
	arena_free(&w->a);
}

/* ── a lake ── */

struct page_text {
	const char *body;
	uint64_t records;
};

/* Day `day` of 2013 in UTC as a window; every second page comes gzipped. */
static inline void window_add(struct world *w, unsigned day, const struct page_text *pages, size_t n)
{
	struct job_window *job = &w->windows[w->n_windows++];
	struct ledger l;
	struct ledger_origin origin = { .reason = STR("first"), .definition_json = STR("{}") };
	int64_t start_us = (INT64_C(15706) + day - 1) * US_PER_DAY; /* 2013-01-01 */
	struct ledger_commit c = { .n_pages = n };
	struct ledger_page *list = arena_array(&w->a, struct ledger_page, n);
	struct ledger_seal seal = { .consistency = CLASS_KEYSET, .evidence = STR("test"), .promoted = true, .pages = n };
	struct warc_writer *warc;
	struct str key;

	origin.window = (struct window){ start_us, start_us + US_PER_DAY };
	job->name = window_name(origin.window, &w->a);
	job->generation = 1;
	job->content.b[0] = (uint8_t)day;
	job->key.b[0] = (uint8_t)(100 + day);
	key = key_generation(key_window(key_resource(w->job.pipeline, w->job.table, &w->a), job->name, &w->a), 1, &w->a);
	OK(ledger_open(w->store, clock_system(), key, STR("r1"), &w->a, &l, e));
	OK(ledger_claim(&l, &origin, e));
	OK(warc_open(w->store, STR("sluice/test"), STR("r1"), start_us, &warc, e));
	for (size_t i = 0; i < n; i++) {
		struct str body = str_from(pages[i].body);
		struct buf gz = BUF_INIT(64 << 20);
		bool zipped = i % 2 == 1;
		struct warc_exchange x = { .url = STR("http://h/trips"), .request_head = STR("GET /trips HTTP/1.1\r\nHost: h\r\n"),
					   .response_head = zipped ? STR("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n")
								   : STR("HTTP/1.1 200 OK\r\n"),
					   .wall_us = start_us, .run_id = STR("r1"), .resource = STR("trips"),
					   .window = job->name, .page = i + 1, .attempt = 1 };
		struct warc_range range;
		assert_true(!zipped || gzip_member(body, 6, &gz));
		x.body = zipped ? buf_str(&gz) : body;
		OK(warc_add(warc, &x, &range, e));
		list[i] = (struct ledger_page){ .page = i + 1, .request = STR("GET /trips"), .status = 200, .attempts = 1,
						.offset = range.offset, .size = range.size, .body = sha256_of(body),
						.body_bytes = body.n, .records = pages[i].records };
		seal.records += pages[i].records;
		seal.bytes += body.n;
		buf_free(&gz);
	}
	OK(warc_finish(warc, key, l.epoch, &w->a, &c.segment, &c.segment_hash, &c.segment_size, e));
	c.pages = list;
	c.state = l.state;
	c.state.pages = n;
	c.state.records = seal.records;
	c.state.bytes = seal.bytes;
	c.state.next.kind = NEXT_END;
	c.seal = &seal;
	OK(ledger_pages(&l, &c, e));
	job->seal = l.seal_hash;
	job->records = seal.records;
	w->job.n_windows = w->n_windows;
}

/* Records [from, to) of day `day`, `per_page` on a page. `twist` may change single ones. */
typedef void record_text(struct buf *b, unsigned day, unsigned i);

static inline void plain(struct buf *b, unsigned day, unsigned i)
{
	buf_addf(b, "{\"id\":%u,\"at\":\"2013-01-%02uT%02u:00:00Z\",\"price\":%u.%02u,\"ratio\":%u.5,\"name\":\"n\\u00e9 %u\","
		    "\"day\":\"2013-01-%02u\",\"open\":%s}", day * 100000 + i, day, i % 24, i, i % 100, i, i % 7, day,
		 i % 2 ? "true" : "false");
}

static inline void window_fill(struct world *w, unsigned day, unsigned n, unsigned per_page, record_text *text)
{
	struct page_text pages[200];
	size_t n_pages = 0;

	for (unsigned i = 0; i < n; i += per_page) {
		struct buf b = BUF_INIT(8 << 20);
		unsigned end = i + per_page < n ? i + per_page : n;
		buf_addf(&b, "{\"meta\":{\"total\":%u},\"data\":[", n);
		for (unsigned k = i; k < end; k++) {
			buf_add_z(&b, k > i ? ", " : "");
			text(&b, day, k);
		}
		buf_add_z(&b, "],\"more\":null}");
		assert_true(n_pages < COUNT(pages));
		pages[n_pages++] = (struct page_text){ arena_copy(&w->a, buf_str(&b)).p, end - i };
		buf_free(&b);
	}
	if (n == 0)
		pages[n_pages++] = (struct page_text){ "{\"nothing\":true}", 0 };
	window_add(w, day, pages, n_pages);
}

/* ── running, file by file, as a cluster would ── */

enum { BY_TASKS_RECORDS = 3000 }; /* larger lakes are not prepared twice */

struct given_key {
	uint64_t hash[2], record;
	size_t window;
};
struct given_keys {
	struct arena *a;
	size_t window;
	struct {
		struct given_key *v;
		size_t n, cap;
	} list;
};

static inline bool key_given(void *user, const struct key_entry *k, struct err *e)
{
	struct given_keys *g = user;
	(void)e;
	*arena_push(g->a, g->list) = (struct given_key){ { k->hash[0], k->hash[1] }, k->record, g->window };
	return true;
}

static inline struct str file_bytes(struct world *w, struct str folder, struct str path);

static inline void folders_make(struct world *w)
{
	w->job.output = arena_format(&w->a, "%s/out%u", w->root, w->runs);
	w->job.quarantine_output = arena_format(&w->a, "%s/bad%u/", w->root, w->runs++);
	OK(file_make_dirs(w->job.output.p, e));
	OK(file_make_dirs(w->job.quarantine_output.p, e));
	w->job.n_children = w->contract ? w->contract->n_children : 0;
	w->job.children = arena_array(&w->a, struct job_table, w->job.n_children + 1);
	for (size_t i = 0; i < w->job.n_children; i++) {
		const struct contract *c = w->contract->children[i];
		w->job.children[i] = (struct job_table){ .name = c->name, .budget_percent = w->child_budget };
		w->job.children[i].output = arena_format(&w->a, "%.*s_%zu", STR_ARG(w->job.output), i);
		w->job.children[i].quarantine_output = arena_format(&w->a, "%s/bad%u_%zu", w->root, w->runs, i);
		OK(file_make_dirs(w->job.children[i].output.p, e));
		OK(file_make_dirs(w->job.children[i].quarantine_output.p, e));
	}
}

/* Which window and records task `index` has: rule 29, once more. SIZE_MAX: whole windows. */
static inline size_t task_window(const struct world *w, size_t index, uint64_t *from, uint64_t *to)
{
	uint64_t limit = w->job.file_rows > 0 ? w->job.file_rows : UINT64_MAX, rows = 0;
	size_t task = 0;
	bool open = false;

	for (size_t i = 0; i < w->n_windows; i++) {
		uint64_t n = w->windows[i].records;
		if (open && (n > limit || rows + n > limit)) {
			task++;
			open = false;
		}
		if (n <= limit) {
			rows = open ? rows + n : n;
			open = true;
			continue;
		}
		for (uint64_t at = 0; at < n; at += limit, task++)
			if (task == index) {
				*from = at;
				*to = at + limit;
				return i;
			}
	}
	return SIZE_MAX;
}

struct machine { /* with an engine of its own */
	struct engine *engine;
	struct engine_connection *connection;
	struct parquet_duckdb q;
};

static inline struct parquet *machine_open(struct world *w, struct machine *m)
{
	const char *folders[] = { w->root };
	struct engine_options o = { .memory_bytes = 256 << 20, .scratch = w->job.scratch.p, .folders = folders, .n_folders = 1 };

	OK(engine_open(&o, &m->engine, e));
	OK(engine_connect(m->engine, &m->connection, e));
	return parquet_use_duckdb(&m->q, m->connection);
}

static inline void machine_close(struct machine *m)
{
	engine_disconnect(m->connection);
	engine_close(m->engine);
}

static inline bool run_again(struct world *w, const struct prepare_task *t, struct str *answer, struct err *why)
{
	struct machine m;
	struct parquet *q = machine_open(w, &m);

	q->mark = arena_format(&w->a, "t%zu-again", t->index);
	bool ok = prepare_task_run(&w->job, t, q, &w->a, answer, why);
	machine_close(&m);
	return ok;
}

/* Both rounds, tasks from the last to the first. */
static inline bool run_by_tasks(struct world *w, struct parquet *q, struct engine_result *r, struct err *why)
{
	struct given_keys keys = { .a = &w->a };
	struct prepare_task t = { .secret = { { 1, 2 } }, .scratch = w->job.scratch.p, .take_key = key_given, .user = &keys };
	struct str *answers;
	size_t n;

	if (!prepare_tasks_count(&w->job, &n, why))
		return false;
	answers = arena_array(&w->a, struct str, n);
	for (size_t i = n; i-- > 0;) {
		uint64_t from, to;
		keys.window = task_window(w, i, &from, &to);
		t.index = i;
		q->mark = arena_format(&w->a, "t%zu", i);
		if (!prepare_task_run(&w->job, &t, q, &w->a, &answers[i], why))
			return false;
	}
	t.take_key = NULL;
	t.with_losers = true;
	for (size_t i = 0; i < n; i++) {
		uint64_t from = 0, to = 0, *lost = arena_array(&w->a, uint64_t, keys.list.n + 1);
		size_t window = task_window(w, i, &from, &to);
		t.n_losers = 0;
		for (size_t k = 0; k < keys.list.n; k++) {
			const struct given_key *x = &keys.list.v[k];
			bool loses = false;
			if (x->window != window || x->record < from || x->record >= to)
				continue;
			for (size_t j = 0; j < keys.list.n && !loses; j++)
				loses = keys.list.v[j].window == window && keys.list.v[j].hash[0] == x->hash[0] &&
					keys.list.v[j].hash[1] == x->hash[1] && keys.list.v[j].record > x->record;
			if (loses)
				lost[t.n_losers++] = x->record;
		}
		if (window == SIZE_MAX || t.n_losers == 0)
			continue;
		t.index = i;
		t.losers = lost;
		if (!run_again(w, &t, &answers[i], why))
			return false;
	}
	q->mark = STR("rest");
	return prepare_tasks_join(&w->job, answers, n, w->job.scratch.p, q, &w->a, r, why);
}

static inline void assert_same_loss(const struct loss_report *x, const struct loss_report *y)
{
	struct arena a = ARENA_INIT;
	struct buf b[2] = { BUF_INIT(1 << 20), BUF_INIT(1 << 20) };
	for (size_t i = 0; i < 2; i++) {
		struct json_out o = JSON_OUT(&b[i]);
		json_begin_object(&o, NULL);
		loss_report_put(&o, "loss", i == 0 ? x : y);
		json_end_object(&o);
	}
	assert_string_equal(b[0].p, b[1].p);
	buf_free(&b[0]);
	buf_free(&b[1]);
	arena_free(&a);
}

/* The same rows, windows and hashes, whatever the bytes are. */
static inline void assert_described_alike(const struct table_file *x, size_t n, const struct table_file *y, size_t m)
{
	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++) {
		struct buf b[2] = { BUF_INIT(1 << 20), BUF_INIT(1 << 20) };
		struct json_out o[2] = { JSON_OUT(&b[0]), JSON_OUT(&b[1]) };
		assert_int_equal(x[i].rows, y[i].rows);
		assert_true(str_eq(x[i].stats, y[i].stats));
		json_put_windows(&o[0], NULL, x[i].windows, x[i].n_windows);
		json_put_windows(&o[1], NULL, y[i].windows, y[i].n_windows);
		assert_string_equal(b[0].p, b[1].p);
		buf_free(&b[0]);
		buf_free(&b[1]);
	}
}

/* The bytes, too. */
static inline void assert_same_files(struct world *w, struct str folder, const struct table_file *x, size_t n,
				     struct str other_folder, const struct table_file *y, size_t m)
{
	assert_described_alike(x, n, y, m);
	for (size_t i = 0; i < n; i++)
		assert_true(str_eq(file_bytes(w, folder, x[i].path), file_bytes(w, other_folder, y[i].path)));
}

/* What one process has made of it, many tasks make, too. */
static inline void compare_with_tasks(struct world *w, const struct engine_result *r, const struct err *why)
{
	struct engine_job job = w->job;
	struct machine m;
	struct engine_result by_tasks;
	struct err failed = ERR_INIT;
	uint64_t records = 0;

	for (size_t i = 0; i < w->n_windows; i++)
		records += w->windows[i].records;
	if (records > BY_TASKS_RECORDS || (why->code == ERR_ENGINE))
		return;
	folders_make(w);
	bool ok = run_by_tasks(w, machine_open(w, &m), &by_tasks, &failed);
	machine_close(&m);
	assert_string_equal(failed.message, why->message);
	assert_int_equal(failed.code, why->code);
	if (ok) {
		assert_same_loss(&r->loss, &by_tasks.loss);
		assert_int_equal(r->rows, by_tasks.rows);
		assert_int_equal(r->n_children, by_tasks.n_children);
		for (size_t i = 0; i <= r->n_children; i++) {
			struct engine_output x = engine_result_table(r, i), y = engine_result_table(&by_tasks, i);
			struct job_table to = engine_job_table(&job, i), other = engine_job_table(&w->job, i);
			assert_same_loss(&x.loss, &y.loss);
			assert_same_files(w, to.output, x.files, x.n_files, other.output, y.files, y.n_files);
			assert_same_files(w, to.quarantine_output, x.quarantine_files, x.n_quarantine_files,
					  other.quarantine_output, y.quarantine_files, y.n_quarantine_files);
		}
	}
	w->job = job;
}

/* ── running ── */

static inline bool run(struct world *w, struct engine_result *r, struct err *why)
{
	folders_make(w);
	*why = ERR_INIT;
	bool ok = prepare_run(&w->job, NULL, NULL, &w->a, r, why);
	compare_with_tasks(w, r, why);
	DIR *d = opendir(w->job.scratch.p);
	for (struct dirent *x; (x = readdir(d));)
		assert_true(x->d_name[0] == '.'); /* nothing is left behind */
	closedir(d);
	return ok;
}

struct text_rows {
	struct buf *out;
	struct arena *a;
};

static inline bool take_text(void *user, const struct batch *b, struct err *e)
{
	struct text_rows *t = user;
	(void)e;
	for (size_t row = 0; row < b->n_rows; row++)
		for (size_t i = 0; i < b->n_columns; i++) {
			struct str s = batch_is_valid(&b->columns[i], row) ? b->columns[i].s[row] : STR("-");
			assert_int_equal(b->columns[i].type, TYPE_STRING);
			buf_addf(t->out, "%.*s%c", STR_ARG(s), i + 1 < b->n_columns ? ' ' : '\n');
		}
	return true;
}

/* Result of a query over the files (%s is the list) as text; columns are cast. */
static inline const char *query(struct world *w, struct str folder, const struct table_file *files, size_t n, const char *sql)
{
	const char *folders[] = { w->root };
	struct engine_options o = { .memory_bytes = 256 << 20, .scratch = w->job.scratch.p, .folders = folders, .n_folders = 1 };
	struct engine *g;
	struct engine_connection *c;
	struct buf list = BUF_INIT(1 << 16), out = BUF_INIT(1 << 20), text = BUF_INIT(1 << 16);
	struct text_rows t = { &out, &w->a };
	struct batch_shape *shape;
	size_t n_columns;
	const char *mark = strstr(sql, "%s");

	buf_add_z(&list, "read_parquet([");
	for (size_t i = 0; i < n; i++) {
		struct str rest = files[i].path, name = rest;
		while (str_cut(&rest, '/', &name))
			;
		buf_addf(&list, "%s'%.*s/%.*s'", i > 0 ? "," : "", STR_ARG(folder), STR_ARG(name));
	}
	buf_add_z(&list, "])");
	buf_add(&text, (struct str){ sql, (size_t)(mark - sql) });
	buf_add(&text, buf_str(&list));
	buf_add_z(&text, mark + 2);
	OK(engine_open(&o, &g, e));
	OK(engine_connect(g, &c, e));
	OK(engine_query(c, buf_str(&text), &w->a, &shape, &n_columns, take_text, &t, e));
	engine_disconnect(c);
	engine_close(g);
	struct str got = arena_copy(&w->a, buf_str(&out));
	buf_free(&list);
	buf_free(&out);
	buf_free(&text);
	return got.p;
}

static inline const char *main_query(struct world *w, const struct engine_result *r, const char *sql)
{
	return query(w, w->job.output, r->files, r->n_files, sql);
}

static inline const char *bad_query(struct world *w, const struct engine_result *r, const char *sql)
{
	return query(w, w->job.quarantine_output, r->quarantine_files, r->n_quarantine_files, sql);
}

static inline struct str file_bytes(struct world *w, struct str folder, struct str path)
{
	struct str rest = path, name = path, bytes;
	while (str_cut(&rest, '/', &name))
		;
	OK(file_read(arena_format(&w->a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(name)).p, 64 << 20, &w->a, &bytes, e));
	return bytes;
}

#endif
