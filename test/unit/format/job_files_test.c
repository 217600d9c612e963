/* The files of a job whose lake is no folder: inputs come, compared and bounded; outputs go, and leave nothing here. */
#include "unit.h"

#include "base/file.h"
#include "format/job_files.h"

#include <dirent.h>

struct lake {
	struct arena a;
	struct err e;
	char *folder;
	struct store *s;
	struct engine_job job;
	struct job_input inputs[2];
	struct str files[4];
};

static struct str text_of(struct lake *l, size_t i, size_t size)
{
	char *p = arena_alloc(&l->a, size + 1);
	memset(p, (int)('a' + i), size);
	return (struct str){ p, size };
}

/* Three objects of 1,000 bytes in two tables, the middle one in both. */
static void lake_open(struct lake *l)
{
	enum store_created created;
	*l = (struct lake){ .e = ERR_INIT };
	assert_true(file_make_scratch(NULL, &l->a, &l->folder, &l->e));
	l->job = (struct engine_job){
		.kind = ENGINE_REFINE,
		.table = STR("m"),
		.lake = arena_format(&l->a, "disk://%s/lake", l->folder),
		.by_store = true,
		.scratch_bytes = 10000,
		.cache = arena_format(&l->a, "%s/cache", l->folder),
		.result_path = arena_format(&l->a, "%s/result.json", l->folder),
		.objects = arena_array(&l->a, struct job_object, 4),
		.inputs = l->inputs,
		.n_inputs = 2,
	};
	l->job.output = arena_format(&l->a, "%.*s/refine/p/m/data/k-n", STR_ARG(l->job.lake));
	assert_true(store_open_disk(arena_format(&l->a, "%s/lake", l->folder).p, true, &l->s, &l->e));
	for (size_t i = 0; i < 3; i++) {
		struct str bytes = text_of(l, i, 1000), key = arena_format(&l->a, "prepare/p/t%zu/data/x/%zu.parquet", i, i);
		assert_true(store_create(l->s, key, bytes, &created, &l->e));
		l->files[i] = arena_format(&l->a, "%.*s/%.*s", STR_ARG(l->job.lake), STR_ARG(key));
		l->job.objects[l->job.n_objects++] = (struct job_object){ l->files[i], bytes.n, i != 2, sha256_of(bytes) };
	}
	l->files[3] = l->files[1];
	l->inputs[0] = (struct job_input){ .files = l->files, .n_files = 2 };
	l->inputs[1] = (struct job_input){ .files = l->files + 2, .n_files = 2 };
}

static void lake_close(struct lake *l)
{
	job_files_close(&l->job);
	store_close(l->s);
	assert_true(file_remove_tree(l->folder, &l->e));
	arena_free(&l->a);
}

static size_t count_files(struct lake *l, const char *below)
{
	size_t n = 0;
	DIR *d = opendir(arena_format(&l->a, "%s/%s", l->folder, below).p);
	assert_non_null(d);
	for (const struct dirent *x; (x = readdir(d)) != NULL;)
		n += x->d_name[0] != '.';
	closedir(d);
	return n;
}

static void expect_input(struct lake *l, struct str file, size_t i)
{
	struct str got;
	assert_true(str_starts(file, l->job.cache));
	assert_true(file_read(file.p, 1 << 20, &l->a, &got, &l->e));
	assert_true(str_eq(got, text_of(l, i, 1000)));
}

static void test_inputs_come(void **state)
{
	struct lake l;
	(void)state;
	lake_open(&l);
	assert_true(job_files_open(&l.job, &l.a, &l.e));
	for (size_t i = 0; i < 4; i++)
		expect_input(&l, l.files[i], i == 3 ? 1 : i);
	assert_int_equal(count_files(&l, "cache"), 3);
	lake_close(&l);
}

/* What the run's job before brought is not brought again: the object may even be gone. */
static void test_the_next_job_finds_them(void **state)
{
	struct lake l;
	(void)state;
	lake_open(&l);
	struct engine_job first = l.job;
	first.inputs = NULL;
	first.n_inputs = 0;
	assert_true(job_files_open(&first, &l.a, &l.e));
	job_files_close(&first);
	assert_true(store_remove(l.s, STR("prepare/p/t0/data/x/0.parquet"), &l.e));
	assert_true(job_files_open(&l.job, &l.a, &l.e));
	expect_input(&l, l.files[0], 0);
	lake_close(&l);
}

static void test_old_inputs_make_room(void **state)
{
	struct lake l;
	(void)state;
	lake_open(&l);
	l.job.scratch_bytes = 3500;
	struct str old = text_of(&l, 9, 600);
	assert_true(file_make_dirs(l.job.cache.p, &l.e));
	assert_true(file_write(arena_format(&l.a, "%.*s/old.parquet", STR_ARG(l.job.cache)).p, old, &l.e));
	assert_true(job_files_open(&l.job, &l.a, &l.e));
	assert_int_equal(count_files(&l, "cache"), 3);
	assert_false(file_exists(arena_format(&l.a, "%.*s/old.parquet", STR_ARG(l.job.cache)).p));
	lake_close(&l);
}

static void test_more_than_the_bound_is_not_begun(void **state)
{
	struct lake l;
	(void)state;
	lake_open(&l);
	l.job.scratch_bytes = 2999;
	assert_false(job_files_open(&l.job, &l.a, &l.e));
	assert_int_equal(err_exit_status(l.e.code), 7);
	assert_string_equal(l.e.message, "m reads 3000 bytes of tables, and no more than 2999 may be brought to this machine");
	assert_non_null(strstr(l.e.hint, "`engine.scratch`"));
	assert_int_equal(count_files(&l, "cache"), 0);
	lake_close(&l);
}

static void test_damage_is_told_with_its_table(void **state)
{
	struct lake l;
	(void)state;
	lake_open(&l);
	l.job.objects[1].hash.b[0] ^= 1;
	assert_false(job_files_open(&l.job, &l.a, &l.e));
	assert_int_equal(l.e.code, ERR_DAMAGE);
	assert_non_null(strstr(l.e.message, "prepare/p/t1/data/x/1.parquet: its bytes are not those that were published"));
	assert_non_null(strstr(l.e.hint, "`sluice repair t1`"));
	lake_close(&l);
}

static void test_names_of_elsewhere_are_refused(void **state)
{
	static const char *const names[] = { "/etc/passwd", "disk://", "%s", "%s/", "%s/../x", "%sx/prepare/p/t/1", "%s/a//b" };
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct lake l;
		lake_open(&l);
		struct str name = str_from(names[i]);
		if (str_starts(name, STR("%s")))
			name = arena_format(&l.a, "%.*s%.*s", STR_ARG(l.job.lake), STR_ARG(str_sub(name, 2, name.n)));
		l.job.objects[0].file = l.files[0] = name;
		assert_false(job_files_open(&l.job, &l.a, &l.e));
		assert_int_equal(l.e.code, ERR_DAMAGE);
		lake_close(&l);
	}
	struct lake l;
	lake_open(&l);
	l.files[0] = STR("disk:///etc/passwd"); /* in no list of objects */
	assert_false(job_files_open(&l.job, &l.a, &l.e));
	assert_int_equal(l.e.code, ERR_USAGE);
	lake_close(&l);
}

static struct str make_file(struct lake *l, size_t i)
{
	struct str path = arena_format(&l->a, "%.*s/%05zu.parquet", STR_ARG(l->job.output), i);
	assert_true(file_write(path.p, text_of(l, i % 26, 500 + i), &l->e));
	return path;
}

enum { MADE = 30 };

static void test_outputs_go(void **state)
{
	struct lake l;
	struct str got;
	struct table_file files[MADE] = { 0 };
	struct engine_result r = { .files = files };
	(void)state;
	lake_open(&l);
	assert_true(job_files_open(&l.job, &l.a, &l.e));
	assert_true(str_ends(l.job.output, STR("/k-n")));
	for (size_t i = 0; i < MADE; i++) {
		struct str path = make_file(&l, i);
		if (i % 10 == 9) { /* made in vain, before and after it was handed over */
			if (i > 10)
				assert_true(job_file_made(&l.job, path.p, &l.e));
			assert_true(job_file_drop(&l.job, path.p, &l.e));
			continue;
		}
		assert_true(job_file_made(&l.job, path.p, &l.e));
		assert_true(count_files(&l, "out/0/k-n") <= 9); /* those that wait, and are being sent */
		files[r.n_files++].path = arena_format(&l.a, "data/k-n/%05zu.parquet", i);
	}
	assert_true(job_files_finish(&l.job, &r, &l.e));
	assert_int_equal(count_files(&l, "out/0/k-n"), 0);
	assert_int_equal(count_files(&l, "lake/refine/p/m/data/k-n"), r.n_files);
	for (size_t i = 0; i < r.n_files; i++) {
		struct str key = arena_format(&l.a, "refine/p/m/%.*s", STR_ARG(files[i].path));
		assert_true(store_get(l.s, key, 1 << 20, &l.a, &got, &l.e));
		assert_true(files[i].has_hash && sha256_eq(files[i].hash, sha256_of(got)));
	}
	lake_close(&l);
}

static void test_what_cannot_be_sent_ends_the_job(void **state)
{
	struct lake l;
	struct engine_result r = { 0 };
	enum store_created created;
	(void)state;
	lake_open(&l);
	assert_true(store_create(l.s, STR("refine/p/m/data/k-n/00003.parquet"), STR("another's"), &created, &l.e));
	assert_true(job_files_open(&l.job, &l.a, &l.e));
	bool ok = true;
	for (size_t i = 0; ok && i < MADE; i++)
		ok = job_file_made(&l.job, make_file(&l, i).p, &l.e);
	assert_false(ok && job_files_finish(&l.job, &r, &l.e));
	assert_non_null(strstr(l.e.message, "00003.parquet"));
	lake_close(&l);
}

static void test_a_folder_needs_nothing(void **state)
{
	struct lake l;
	struct engine_result r = { 0 };
	(void)state;
	lake_open(&l);
	l.job.by_store = false;
	assert_true(job_files_open(&l.job, &l.a, &l.e));
	assert_true(job_file_made(&l.job, "/not/looked/at", &l.e));
	assert_true(job_files_finish(&l.job, &r, &l.e));
	assert_true(str_starts(l.files[0], l.job.lake));
	lake_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inputs_come),
		cmocka_unit_test(test_the_next_job_finds_them),
		cmocka_unit_test(test_old_inputs_make_room),
		cmocka_unit_test(test_more_than_the_bound_is_not_begun),
		cmocka_unit_test(test_damage_is_told_with_its_table),
		cmocka_unit_test(test_names_of_elsewhere_are_refused),
		cmocka_unit_test(test_outputs_go),
		cmocka_unit_test(test_what_cannot_be_sent_ends_the_job),
		cmocka_unit_test(test_a_folder_needs_nothing),
	};
	return cmocka_run_group_tests_name("job_files", tests, NULL, NULL);
}
