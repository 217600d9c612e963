/* Whole runs on a lake in a temporary folder, with a fake API and a fake clock; the engine is real, in a child process:
 * this program itself (world_engine_child). Everything happens in January 2024. */
#ifndef SLUICE_TEST_RUN_LAKE_WORLD_H
#define SLUICE_TEST_RUN_LAKE_WORLD_H

#include "unit.h"

#include "base/file.h"
#include "run/engine_call.h"
#include "run/lake_query.h"
#include "run/runner.h"

#include <ftw.h>
#include <stdlib.h>

enum { ANSWERS_MAX = 64 };

struct world {
	struct arena a;
	char *root;
	struct str lake;
	struct clock_fake clock;
	struct http_fake_row answers[ANSWERS_MAX];
	size_t n_answers;
	struct project project;
	uint64_t file_rows; /* 0: as the pipeline file says; smaller than it may say */
	struct run_options options; /* of the next run; request.ingest and the others are true unless `stages` was used */
	bool open;
	/* of the last run */
	struct run_result r;
	bool began;
	struct err err;
	struct str sent;
};

/* ── files ── */

static inline void world_file(struct world *w, const char *name, const char *text)
{
	char *path = arena_zero_terminated(&w->a, arena_format(&w->a, "%s/%s", w->root, name));
	char *folder = arena_zero_terminated(&w->a, str_from(path));
	*strrchr(folder, '/') = '\0';
	OK(file_make_dirs(folder, e));
	OK(file_write(path, str_from(text), e));
}

/* In the lake. */
static inline void world_folder(struct world *w, const char *name)
{
	OK(file_make_dirs(arena_zero_terminated(&w->a, arena_format(&w->a, "%.*s/%s", STR_ARG(w->lake), name)), e));
}

static inline void world_close_project(struct world *w)
{
	if (w->open)
		project_close(&w->project);
	w->open = false;
}

/* Reads the pipeline file anew, as each command does. */
static inline void world_open_project(struct world *w)
{
	struct project_options o = { .lake = w->lake, .create_lake = true };
	struct problems p = PROBLEMS_INIT(&w->a);
	world_close_project(w);
	o.pipeline_file = arena_zero_terminated(&w->a, arena_format(&w->a, "%s/pipeline.yaml", w->root));
	if (!project_load(&o, &w->a, &w->project, &p)) {
		struct buf b = BUF_INIT(1 << 20);
		problems_print(&p, &b);
		fail_msg("%.*s", STR_ARG(buf_str(&b)));
	}
	OK(project_open_lake(&w->project, &o, e));
	w->project.clock = &w->clock.clock;
	if (w->file_rows > 0)
		w->project.pipeline->file_rows = w->file_rows;
	w->open = true;
}

/* ── time ── */

static inline void world_at(struct world *w, const char *instant)
{
	int64_t us = 0;
	assert_true(us_from_rfc3339(str_from(instant), &us, NULL));
	w->clock.wall_us = us;
}

static inline void world_begin(struct world *w, const char *pipeline)
{
	memset(w, 0, sizeof *w);
	OK(file_make_scratch(NULL, &w->a, &w->root, e));
	w->lake = arena_format(&w->a, "%s/lake", w->root);
	clock_fake_init(&w->clock, 0);
	world_at(w, "2024-01-10T06:00:00Z");
	world_file(w, "pipeline.yaml", pipeline);
}

static inline void world_end(struct world *w)
{
	world_close_project(w);
	OK(file_remove_tree(w->root, e));
	arena_free(&w->a);
}

/* ── the API ── */

static inline struct http_fake_row *answer_row(struct world *w, const char *glob)
{
	struct str url = arena_format(&w->a, "https://*%s", glob);
	for (size_t i = 0; i < w->n_answers; i++)
		if (str_eq(w->answers[i].url_glob, url)) {
			w->answers[i] = (struct http_fake_row){ .method = STR("GET"), .url_glob = url };
			return &w->answers[i];
		}
	assert_true(w->n_answers < ANSWERS_MAX); /* in front: the newest, which says more, counts */
	memmove(w->answers + 1, w->answers, w->n_answers++ * sizeof *w->answers);
	w->answers[0] = (struct http_fake_row){ .method = STR("GET"), .url_glob = url };
	return &w->answers[0];
}

/* `records`: what stands between the brackets. `head`: further header lines, or "". */
static inline void world_answers_with(struct world *w, const char *glob, const char *head, const char *records)
{
	answer_row(w, glob)->raw = arena_format(&w->a, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n{\"data\":[%s]}", head,
						strlen(records) + 11, records);
}

static inline void world_answers(struct world *w, const char *glob, const char *records)
{
	world_answers_with(w, glob, "", records);
}

static inline void world_refuses(struct world *w, const char *glob)
{
	answer_row(w, glob)->raw = STR("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
}

/* ── a run ── */

static inline void world_stages(struct world *w, bool ingest, bool prepare, bool refine)
{
	w->options.request.ingest = ingest;
	w->options.request.prepare = prepare;
	w->options.request.refine = refine;
}

static inline void world_interval(struct world *w, const char *from, const char *to)
{
	w->options.request.has_from = from != NULL;
	w->options.request.has_to = to != NULL;
	w->options.request.from = str_from(from);
	w->options.request.to = str_from(to);
}

static inline void world_run_opened(struct world *w)
{
	struct http *http = NULL;
	struct plan_request *q = &w->options.request;
	if (!q->ingest && !q->prepare && !q->refine)
		q->ingest = q->prepare = q->refine = true;
	OK(http_open_fake(&w->clock, w->answers, w->n_answers, &http, e));
	w->options.http = http;
	w->options.threads = 1;
	w->err = ERR_INIT;
	w->began = run_pipeline(&w->project, &w->options, &w->a, &w->r, &w->err);
	if (w->began)
		w->err = w->r.err;
	w->sent = http_fake_transcript(http, &w->a);
	http_close(http);
	w->options = (struct run_options){ 0 };
	w->clock.wall_us += 120 * US_PER_SECOND; /* run ids go on, leases of this same process run out */
}

static inline void world_run(struct world *w)
{
	world_open_project(w);
	world_run_opened(w);
}

static inline void world_run_ok(struct world *w)
{
	world_run(w);
	if (w->err.code != ERR_NONE)
		fail_msg("%s (%s)", w->err.message, err_hint_text(&w->err));
}

static inline void world_run_fails(struct world *w, enum err_code code, const char *part)
{
	world_run(w);
	if (w->err.code != code || !str_contains(str_from(w->err.message), str_from(part)))
		fail_msg("ended with %s: %s", err_name(w->err.code), w->err.message);
}

/* ── judging ── */

/* What people are told of the last run. */
static inline struct str world_report(struct world *w)
{
	struct buf b = BUF_INIT(1 << 20);
	run_report_print(&w->r, &b);
	struct str text = arena_copy(&w->a, buf_str(&b));
	buf_free(&b);
	return text;
}

static inline unsigned world_requests(const struct world *w)
{
	unsigned n = 0;
	struct str rest = w->sent, line;
	while (str_cut(&rest, '\n', &line))
		n += str_starts(line, STR("GET "));
	return n;
}

static inline const struct plan_resource *world_resource(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->r.plan.n_resources; i++)
		if (str_eq_z(w->r.plan.resources[i].resource->name, name))
			return &w->r.plan.resources[i];
	fail_msg("no resource %s", name);
	return NULL;
}

static inline const struct run_table *world_table(const struct world *w, enum lake_zone zone, const char *name)
{
	for (size_t i = 0; i < w->r.n_tables; i++)
		if (w->r.tables[i].zone == zone && str_eq_z(w->r.tables[i].name, name))
			return &w->r.tables[i];
	return NULL;
}

static inline struct table_snapshot world_snapshot(struct world *w, enum lake_zone zone, const char *name)
{
	struct table_snapshot t;
	OK(table_load(w->project.store, project_table_key(&w->project, zone, str_from(name), &w->a), -1, &w->a, &t, e));
	return t;
}

struct text_of_rows {
	struct arena *a;
	struct str text;
};

static inline bool take_text(void *user, const struct batch *b, struct err *e)
{
	struct text_of_rows *t = user;
	(void)e;
	for (size_t i = 0; i < b->n_rows; i++)
		if (batch_is_valid(&b->columns[0], i))
			t->text = arena_format(t->a, "%.*s%s%.*s", STR_ARG(t->text), t->text.n ? " " : "",
					       STR_ARG(b->columns[0].s[i]));
	return true;
}

/* The texts that a query of one column gives, with spaces between. */
static inline struct str world_sql(struct world *w, const char *sql)
{
	struct lake_query q = { 0 };
	struct batch_shape *shape = NULL;
	size_t n = 0;
	struct text_of_rows t = { &w->a, STR_NONE };
	OK(lake_query_open(&w->project, &w->a, &q, e));
	OK(lake_query_run(&q, str_from(sql), &w->a, &shape, &n, take_text, &t, e));
	assert_int_equal(n, 1);
	lake_query_close(&q);
	return t.text;
}

/* All files of the lake but those of runs/: one "path sha256" a line, in order. */
struct file_list {
	struct arena *a;
	size_t skip;
	struct str *v;
	size_t n, cap;
};
static struct file_list listed;

static inline int list_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct str text, name = str_sub(str_from(path), listed.skip, SIZE_MAX);
	char hex[SHA256_HEX + 1];
	(void)st;
	(void)ftw;
	if (type != FTW_F || str_starts(name, STR("/runs/")))
		return 0;
	OK(file_read(path, 64 << 20, listed.a, &text, e));
	sha256_hex(sha256_of(text), hex);
	*arena_push(listed.a, listed) = arena_format(listed.a, "%.*s %s", STR_ARG(name), hex);
	return 0;
}

static inline int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static inline struct str world_files(struct world *w, const char *below)
{
	struct str root = arena_format(&w->a, "%.*s%s", STR_ARG(w->lake), below);
	struct buf b = BUF_INIT(16 << 20);
	listed = (struct file_list){ .a = &w->a, .skip = w->lake.n };
	nftw(arena_zero_terminated(&w->a, root), list_file, 16, FTW_PHYS);
	if (listed.n > 0)
		qsort(listed.v, listed.n, sizeof *listed.v, by_text);
	for (size_t i = 0; i < listed.n; i++)
		buf_addf(&b, "%.*s\n", STR_ARG(listed.v[i]));
	struct str text = arena_copy(&w->a, buf_str(&b));
	buf_free(&b);
	return text;
}

/* ── the engine child ── */

/* First thing in main(): `PROGRAM engine duckdb JOB` is the engine. -1: it was not asked for. */
static inline int world_engine_child(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "engine") == 0 && strcmp(argv[2], "duckdb") == 0)
		return engine_child_main(argv[3]);
	return -1;
}

#endif
