/* A lake by its URL as Spark's tasks reach it: jobs, results, objects in and out. */
#include "unit.h"

#include "base/file.h"
#include "format/engine_job.h"
#include "prepare/lake_native.h"

#include <stdio.h>
#include <sys/stat.h>

struct world {
	struct arena a;
	char *folder;
	struct err e;
	struct engine_job job;
	struct job_object object;
	struct str text;
};

static const char *at(struct world *w, const char *name)
{
	return arena_format(&w->a, "%s/%s", w->folder, name).p;
}

static void encode(struct world *w)
{
	w->text = engine_job_encode(&w->job, &w->a);
}

static void world_open(struct world *w)
{
	*w = (struct world){ .e = ERR_INIT };
	assert_true(file_make_scratch(NULL, &w->a, &w->folder, &w->e));
	assert_true(file_make_dirs(at(w, "lake/prepare/p/t/data"), &w->e));
	assert_true(file_make_dirs(at(w, "lake/runs"), &w->e));
	assert_true(file_write(at(w, "lake/prepare/p/t/data/x.parquet"), STR("some bytes"), &w->e));
	struct str lake = arena_format(&w->a, "disk://%s/lake", w->folder);
	w->object = (struct job_object){ arena_format(&w->a, "%.*s/prepare/p/t/data/x.parquet", STR_ARG(lake)), 10, true,
					 sha256_of(STR("some bytes")) };
	w->job = (struct engine_job){ .kind = ENGINE_COUNT, .run_id = STR("r"), .pipeline = STR("p"), .table = STR("t"), .lake = lake,
				      .by_store = true, .objects = &w->object, .n_objects = 1, .file_rows = 1,
				      .result_path = arena_format(&w->a, "%.*s/runs/result.json", STR_ARG(lake)),
				      .output = arena_format(&w->a, "%.*s/refine/p/t/data/key-1", STR_ARG(lake)) };
	encode(w);
}

static void world_close(struct world *w)
{
	assert_true(file_remove_tree(w->folder, &w->e));
	arena_free(&w->a);
}

/* `words` stand in the answer, which is freed. */
static void said(char *answer, const char *words)
{
	if (!strstr(answer, words))
		fail_msg("%s is not in %s", words, answer);
	sluice_free(answer);
}

static struct str content(struct world *w, const char *name)
{
	struct str text;
	assert_true(file_read(at(w, name), 1000, &w->a, &text, &w->e));
	return text;
}

static void objects_in(void **state)
{
	(void)state;
	struct world w;
	world_open(&w);
	const char *path = at(&w, "here.parquet");
	said(sluice_object_bring(w.text.p, w.text.n, 0, path), "{}");
	assert_true(str_eq_z(content(&w, "here.parquet"), "some bytes"));
	said(sluice_object_bring(w.text.p, w.text.n, 1, path), "\"code\":\"USAGE\"");
	said(sluice_object_bring("{", 1, 0, path), "\"error\"");

	static const struct {
		const char *file;
		uint64_t size_bytes;
		const char *bytes; /* of which it should have the hash */
	} wrong[] = {
		{ "prepare/p/t/data/x.parquet", 11, "some bytes" },
		{ "prepare/p/t/data/x.parquet", 10, "other byte" },
		{ "prepare/p/t/data/gone.parquet", 10, "some bytes" },
		{ "../outside.parquet", 10, "some bytes" },
		{ "", 10, "some bytes" },
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		w.object.file = arena_format(&w.a, "%.*s/%s", STR_ARG(w.job.lake), wrong[i].file);
		w.object.size_bytes = wrong[i].size_bytes;
		w.object.hash = sha256_of(str_from(wrong[i].bytes));
		encode(&w);
		const char *no = at(&w, arena_format(&w.a, "no%zu", i).p);
		struct stat st;
		said(sluice_object_bring(w.text.p, w.text.n, 0, no), "\"code\":\"DAMAGE\"");
		assert_int_equal(stat(no, &st), -1); /* as a whole and right, or not at all */
	}
	w.object.file = STR("/etc/passwd"); /* not of this lake */
	encode(&w);
	said(sluice_object_bring(w.text.p, w.text.n, 0, path), "\"code\":\"DAMAGE\"");
	world_close(&w);
}

static void objects_out(void **state)
{
	(void)state;
	struct world w;
	world_open(&w);
	assert_true(file_write(at(&w, "made"), STR("rows"), &w.e));
	struct str hash = sha256_hex_str(sha256_of(STR("rows")), &w.a);
	for (int i = 0; i < 2; i++) { /* the same bytes once more are fine */
		char *answer = sluice_object_send(w.text.p, w.text.n, at(&w, "made"), "0-a.parquet");
		assert_non_null(strstr(answer, "\"size\":4"));
		said(answer, arena_zero_terminated(&w.a, hash));
	}
	assert_true(str_eq_z(content(&w, "lake/refine/p/t/data/key-1/0-a.parquet"), "rows"));
	assert_true(file_write(at(&w, "made"), STR("more"), &w.e));
	said(sluice_object_send(w.text.p, w.text.n, at(&w, "made"), "0-a.parquet"), "\"error\"");
	assert_true(str_eq_z(content(&w, "lake/refine/p/t/data/key-1/0-a.parquet"), "rows"));
	said(sluice_object_send(w.text.p, w.text.n, at(&w, "made"), "../../x"), "\"error\"");
	said(sluice_object_send(w.text.p, w.text.n, at(&w, "nothing"), "1.parquet"), "\"again\":true");
	world_close(&w);
}

static void jobs_and_results(void **state)
{
	(void)state;
	struct world w;
	world_open(&w);
	assert_true(file_write(at(&w, "lake/runs/job.json"), w.text, &w.e));
	const char *url = arena_format(&w.a, "%.*s/runs/job.json", STR_ARG(w.job.lake)).p;
	for (int i = 0; i < 2; i++) {
		char *text = sluice_job_read(i == 0 ? url : at(&w, "lake/runs/job.json"));
		assert_true(str_eq_z(w.text, text));
		sluice_free(text);
	}
	said(sluice_job_read(arena_format(&w.a, "%.*s/runs/none.json", STR_ARG(w.job.lake)).p), "\"code\":\"MISSING\"");
	said(sluice_job_read(arena_format(&w.a, "%.*s/runs/", STR_ARG(w.job.lake)).p), "\"code\":\"USAGE\"");
	static const char *const answers[] = { "{\"error\":{}}", "{\"format\":\"x\"}", "{\"format\":\"x\"}" };
	for (size_t i = 0; i < COUNT(answers); i++) { /* each in place of the one before */
		said(sluice_job_answer(w.text.p, w.text.n, answers[i], strlen(answers[i])), "{}");
		assert_true(str_eq_z(content(&w, "lake/runs/result.json"), answers[i]));
	}
	w.job.result_path = STR("disk:///elsewhere/result.json");
	encode(&w);
	said(sluice_job_answer(w.text.p, w.text.n, "{}", 2), "\"code\":\"USAGE\"");
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_in),
		cmocka_unit_test(objects_out),
		cmocka_unit_test(jobs_and_results),
	};
	return cmocka_run_group_tests_name("prepare/lake_native", tests, NULL, NULL);
}
