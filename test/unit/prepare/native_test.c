/* The C interface for Spark, with files that are record batches in memory: the same tables as DuckDB makes. */
#include "prepare/native.h"

#include "prepare_world.h"

#include "base/json.h"

struct kept { /* a file */
	char *path;
	struct ArrowSchema schema;
	struct ArrowArray batches[64];
	size_t n;
};

struct memory {
	struct arena a;
	struct {
		struct kept *v;
		size_t n, cap;
	} files;
	struct {
		struct sluice_key *v;
		size_t n, cap;
	} keys;
	uint64_t window;       /* of all keys: these tests cut one */
	const char *refuse;    /* the code that write() tells; "": none at all */
	size_t leave_out;      /* batches that read() forgets */
	bool stop_early;       /* write() takes no rows */
	char last_spec[512];
};

static int memory_write(void *user, const char *path, const char *spec, struct sluice_rows *rows)
{
	struct memory *m = user;
	struct kept *f;
	int said;

	assert_true(strlen(spec) < sizeof m->last_spec);
	strncpy(m->last_spec, spec, sizeof m->last_spec - 1);
	if (m->refuse) {
		if (*m->refuse)
			sluice_rows_fail(rows, m->refuse, "it is full");
		return -1;
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	f = arena_push(&m->a, m->files);
	*f = (struct kept){ .path = arena_zero_terminated(&m->a, str_from(path)) };
	sluice_rows_schema(rows, &f->schema);
	if (m->stop_early)
		return 0;
	while ((said = sluice_rows_next(rows, &f->batches[f->n])) == 1) {
		f->n++;
		assert_true(f->n < COUNT(f->batches));
	}
	return said;
}

static void keep_array(struct ArrowArray *a)
{
	a->release = NULL;
}

static void keep_schema(struct ArrowSchema *s)
{
	s->release = NULL;
}

static int memory_read(void *user, const char *path, const char *columns, struct sluice_take *take)
{
	struct memory *m = user;

	assert_true(columns[0] == '[');
	for (size_t i = 0; i < m->files.n; i++) {
		struct kept *f = &m->files.v[i];
		if (strcmp(f->path, path) != 0)
			continue;
		for (size_t k = m->leave_out; k < f->n; k++) {
			struct ArrowArray array = f->batches[k];
			struct ArrowSchema schema = f->schema;
			array.release = keep_array;
			schema.release = keep_schema;
			if (sluice_take_batch(take, &schema, &array) != 0)
				return -1;
		}
		return 0;
	}
	sluice_take_fail(take, "STORAGE", "there is no such file");
	return -1;
}

static int memory_keys(void *user, uint64_t window, uint32_t bucket, const void *entries, size_t n)
{
	struct memory *m = user;

	assert_true(bucket == 0 && (m->keys.n == 0 || m->window == window));
	m->window = window;
	for (size_t i = 0; i < n; i++)
		*arena_push(&m->a, m->keys) = ((const struct sluice_key *)entries)[i];
	return 0;
}

static void memory_free(struct memory *m)
{
	for (size_t i = 0; i < m->files.n; i++) {
		for (size_t k = 0; k < m->files.v[i].n; k++)
			m->files.v[i].batches[k].release(&m->files.v[i].batches[k]);
		m->files.v[i].schema.release(&m->files.v[i].schema);
	}
	arena_free(&m->a);
}

/* ── calls ── */

static struct str task(struct world *w, struct memory *m, const char *options, const uint64_t *losers, size_t n_losers)
{
	struct str job = engine_job_encode(&w->job, &w->a);
	struct sluice_calls calls = { m, memory_write, memory_read, losers ? NULL : memory_keys };
	char *text = sluice_prepare_task(job.p, job.n, options, strlen(options), losers, n_losers, &calls);
	struct str answer = arena_copy(&w->a, str_from(text));

	sluice_free(text);
	return answer;
}

static struct str task_at(struct world *w, struct memory *m, size_t i, const char *mark, const uint64_t *losers, size_t n_losers)
{
	struct str options = arena_format(&w->a, "{\"task\":%zu,\"mark\":\"t%zu-%s\",\"secret\":\"%032d\",\"scratch\":\"%.*s\",\"exact\":%s}",
					  i, i, mark, 7, STR_ARG(w->job.scratch), losers ? "true" : "false");
	return task(w, m, options.p, losers, n_losers);
}

static struct str error_code(struct world *w, struct str answer, bool again)
{
	struct json_node *root;
	struct str code;
	bool found;

	OK(json_parse(answer, &w->a, &root, e));
	OK(json_need_str(json_get(root, "error"), "code", &code, e));
	OK(json_need_bool(root, "again", &found, e));
	assert_int_equal(found, again);
	return code;
}

static size_t plan(struct world *w, bool *exchange)
{
	struct str job = engine_job_encode(&w->job, &w->a);
	char *text = sluice_prepare_plan(job.p, job.n);
	struct json_node *root;
	const struct json_node *tasks;

	OK(json_parse(arena_copy(&w->a, str_from(text)), &w->a, &root, e));
	OK(json_need(root, "tasks", JSON_ARRAY, &tasks, e));
	OK(json_need_bool(root, "exchange", exchange, e));
	sluice_free(text);
	return tasks->n_children;
}

/* Both rounds and the end. */
static void all_tasks(struct world *w, struct memory *m, struct engine_result *r)
{
	bool exchange;
	size_t n = plan(w, &exchange), n_lost;
	const char **texts = arena_array(&w->a, const char *, n);
	size_t *lengths = arena_array(&w->a, size_t, n);
	struct sluice_calls calls = { m, memory_write, memory_read, NULL };
	struct str job, options;

	for (size_t i = n; i-- > 0;) {
		struct str answer = task_at(w, m, i, "one", NULL, 0);
		texts[i] = answer.p;
		lengths[i] = answer.n;
	}
	assert_true(exchange || m->keys.n == 0);
	n_lost = sluice_keys_losers(m->keys.v, m->keys.n);
	for (size_t i = 0, end; i < n_lost; i = end) {
		uint64_t *lost = arena_array(&w->a, uint64_t, n_lost);
		for (end = i; end < n_lost && m->keys.v[end].task == m->keys.v[i].task; end++)
			lost[end - i] = m->keys.v[end].record;
		struct str answer = task_at(w, m, m->keys.v[i].task, "two", lost, end - i);
		texts[m->keys.v[i].task] = answer.p;
		lengths[m->keys.v[i].task] = answer.n;
	}
	job = engine_job_encode(&w->job, &w->a);
	options = arena_format(&w->a, "{\"mark\":\"rest\",\"scratch\":\"%.*s\",\"engine\":\"memory 1\"}", STR_ARG(w->job.scratch));
	char *text = sluice_prepare_join(job.p, job.n, options.p, options.n, texts, lengths, n, &calls);
	OK(engine_result_decode(arena_copy(&w->a, str_from(text)), &w->a, r, e));
	sluice_free(text);
}

/* ── tests ── */

static void doubled(struct buf *b, unsigned day, unsigned i)
{
	plain(b, day, day == 2 ? i % 31 : i);
}

static void as_duckdb_makes_it(struct world *w)
{
	struct memory m = { 0 };
	struct engine_result r, by_calls;
	struct err e;

	if (!run(w, &r, &e))
		fail_msg("%s", e.message);
	folders_make(w);
	all_tasks(w, &m, &by_calls);
	assert_text(by_calls.engine, "memory 1");
	assert_same_loss(&r.loss, &by_calls.loss);
	assert_int_equal(r.rows, by_calls.rows);
	assert_described_alike(r.files, r.n_files, by_calls.files, by_calls.n_files);
	assert_described_alike(r.quarantine_files, r.n_quarantine_files, by_calls.quarantine_files, by_calls.n_quarantine_files);
	memory_free(&m);
}

static void tables_are_the_same(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, COLUMNS);
	window_fill(&w, 1, 30, 10, plain);
	window_fill(&w, 2, 90, 10, doubled);
	window_fill(&w, 3, 0, 10, plain);
	window_fill(&w, 4, 25, 7, plain);
	w.job.file_rows = 40;
	as_duckdb_makes_it(&w);
	w.job.file_rows = 1000;
	as_duckdb_makes_it(&w);
	world_close(&w);
}

static void failures_are_told(void **state)
{
	struct world w;
	struct memory m = { .refuse = "STORAGE" };

	(void)state;
	world_open(&w, COLUMNS);
	window_fill(&w, 1, 30, 10, plain);
	folders_make(&w);
	assert_text(error_code(&w, task_at(&w, &m, 0, "a", NULL, 0), true), "STORAGE");
	m.refuse = "NOBODY_KNOWS";
	assert_text(error_code(&w, task_at(&w, &m, 0, "b", NULL, 0), true), "ENGINE");
	m.refuse = "";
	assert_text(error_code(&w, task_at(&w, &m, 0, "c", NULL, 0), true), "ENGINE");
	m.refuse = NULL;
	m.stop_early = true;
	assert_text(error_code(&w, task_at(&w, &m, 0, "d", NULL, 0), true), "ENGINE");
	m.stop_early = false;
	m.leave_out = 1;
	struct str answer = task_at(&w, &m, 0, "e", NULL, 0);
	assert_text(error_code(&w, answer, true), "ENGINE");
	assert_true(str_contains(answer, STR("read back")));
	m.leave_out = 0;
	assert_true(!str_starts(task_at(&w, &m, 0, "f", NULL, 0), STR("{\"error\"")));
	assert_string_equal(m.last_spec, "{\"plain\":false,\"order\":[],\"drop_last\":false}");
	memory_free(&m);
	world_close(&w);
}

static void what_is_wrong_in_a_call(void **state)
{
	static const char *const BAD[] = {
		"", "{}", "{\"task\":0,\"mark\":\"A\",\"secret\":\"00000000000000000000000000000000\",\"scratch\":\"/\",\"exact\":false}",
		"{\"task\":0,\"mark\":\"\",\"secret\":\"00000000000000000000000000000000\",\"scratch\":\"/\",\"exact\":false}",
		"{\"task\":0,\"mark\":\"a\",\"secret\":\"0\",\"scratch\":\"/\",\"exact\":false}",
		"{\"task\":0,\"mark\":\"a\",\"secret\":\"0000000000000000000000000000000x\",\"scratch\":\"/\",\"exact\":false}",
		"{\"task\":1,\"mark\":\"a\",\"secret\":\"00000000000000000000000000000000\",\"scratch\":\"/\",\"exact\":false}",
	};
	struct world w;
	struct memory m = { 0 };
	const uint64_t beyond = 30;

	(void)state;
	world_open(&w, COLUMNS);
	window_fill(&w, 1, 30, 10, plain);
	folders_make(&w);
	for (size_t i = 0; i < COUNT(BAD); i++)
		assert_true(str_starts(task(&w, &m, BAD[i], NULL, 0), STR("{\"error\"")));
	assert_text(error_code(&w, task_at(&w, &m, 0, "a", &beyond, 1), false), "USAGE"); /* its windows are whole */
	w.job.file_rows = 20;
	assert_text(error_code(&w, task_at(&w, &m, 0, "a", &beyond, 1), false), "USAGE"); /* there is no such record */
	assert_int_equal(m.files.n, 0);
	char *text = sluice_prepare_plan("{}", 2);
	assert_text(error_code(&w, arena_copy(&w.a, str_from(text)), false), "DAMAGE");
	sluice_free(text);
	memory_free(&m);
	world_close(&w);
	assert_int_equal(sluice_exit_status("CONTRACT"), 4);
	assert_int_equal(sluice_exit_status("?"), 9);
	assert_int_equal(sluice_abi_version(), SLUICE_ABI);
}

static void of_equal_keys_the_last_stands(void **state)
{
	struct sluice_key v[] = { { { 1, 1 }, 5, 1 }, { { 1, 2 }, 4, 0 }, { { 1, 1 }, 9, 2 }, { { 1, 1 }, 2, 0 },
				  { { 2, 1 }, 3, 0 }, { { 2, 1 }, 1, 0 } };

	(void)state;
	assert_int_equal(sluice_keys_losers(NULL, 0), 0);
	assert_int_equal(sluice_keys_losers(v, 1), 0);
	assert_int_equal(sluice_keys_losers(v, COUNT(v)), 3);
	assert_int_equal(v[0].record, 1);
	assert_int_equal(v[1].record, 2);
	assert_int_equal(v[2].record, 5);
	assert_int_equal(v[2].task, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_the_same),
		cmocka_unit_test(failures_are_told),
		cmocka_unit_test(what_is_wrong_in_a_call),
		cmocka_unit_test(of_equal_keys_the_last_stands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
