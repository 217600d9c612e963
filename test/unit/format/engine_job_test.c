/* Jobs and results of an engine: frozen bytes in test/case/format/engine.ndjson, and back. */
#include "world.h"

#include "format/engine_job.h"

static struct job_window sample_windows[] = {
	{ { "20130101T050000Z_20130102T050000Z", 33 }, 1, { { 1 } }, { { 2 } }, { { 3 } }, 842, { NULL, 0 }, 0, { { 0 } } },
	{ { "20130102T050000Z_20130103T050000Z", 33 }, 2, { { 4 } }, { { 5 } }, { { 6 } }, 0,
	  { "20130101T050000Z_20130102T050000Z", 33 }, 1, { { 7 } } },
};
static struct table_column sample_columns[] = {
	{ { "carrier", 7 }, TYPE_STRING, 0, 0, { NULL, 0 } },
	{ { "fare", 4 }, TYPE_DECIMAL, 38, 10, { NULL, 0 } },
	{ { "_extra", 6 }, TYPE_JSON, 0, 0, { NULL, 0 } },
};
static struct str sample_files[] = { { "/lake/prepare/flights/flights/data/a-b/0.parquet", 48 } };
static struct job_input sample_inputs[] = {
	{ { "prepare", 7 }, { "flights", 7 }, { sample_columns, 3 }, sample_files, 1, NULL, 0 },
	{ { "refine", 6 }, { "empty", 5 }, { sample_columns, 1 }, NULL, 0, NULL, 0 },
};
static struct str sample_sql[] = { { "SELECT carrier, 'a\"b' AS x\nFROM prepare.flights", 47 }, { "SELECT 1", 8 } };
static struct str sample_names[] = { { "per_carrier", 11 }, { "one", 3 } };

static struct table_window sample_table_windows[] = {
	{ { "20130101T050000Z_20130102T050000Z", 33 }, 1, { { 1 } }, { { 2 } }, { { 3 } }, 844, 842, { 77, 842 },
	  { "20121231T050000Z_20130101T050000Z", 33 }, 3 },
};
static struct job_merge sample_merges[] = { { sample_files, 1, sample_table_windows, 1 } };
static struct job_table sample_tables[] = {
	{ { "flights__stops", 14 }, { "/lake/prepare/flights/flights__stops/data/a-c", 45 },
	  { "/lake/quarantine/flights/flights__stops/data/a-c", 48 }, 12.5, 0 },
};

static struct str sample_remote[] = { { "s3://b/p/prepare/flights/flights/data/a-b/0.parquet", 51 } };
static struct job_input sample_remote_inputs[] = {
	{ { "prepare", 7 }, { "flights", 7 }, { sample_columns, 1 }, sample_remote, 1, NULL, 0 },
};
static struct job_object sample_objects[] = {
	{ { "s3://b/p/prepare/flights/flights/data/a-b/0.parquet", 51 }, 51234, true, { { 9 } } },
	{ { "s3://b/p/prepare/flights/flights/data/a-b/1.parquet", 51 }, 900, false, { { 0 } } },
};

/* Of each kind, and one on a lake that is no folder. */
enum { KINDS = 6, JOBS = 7 };

static struct str sample_key[] = { { "carrier", 7 } };
static struct job_input sample_graph_inputs[] = {
	{ { "prepare", 7 }, { "flights", 7 }, { sample_columns, 1 }, NULL, 0, sample_key, 1 },
};

static void make_remote(struct engine_job *j)
{
	j->lake = STR("s3://b/p");
	j->raw = STR("s3://other/p");
	j->store = (struct store_settings){ STR("https://s3.example.com"), STR("eu-west-1"), STR("/ca.pem"), true, false };
	j->by_store = true;
	j->cache = STR("/tmp/s/cache");
	j->scratch_bytes = 1000000;
	j->objects = sample_objects;
	j->n_objects = COUNT(sample_objects);
	j->output = STR("s3://b/p/refine/flights/flights/data/a-b");
	j->inputs = sample_remote_inputs;
	j->n_inputs = 1;
}

static struct engine_job job_sample(size_t i)
{
	struct engine_job j = {
		.kind = i < KINDS ? (enum engine_job_kind)i : ENGINE_REFINE,
		.run_id = STR("20251009T085320Z-1f3a"),
		.pipeline = STR("flights"),
		.table = STR("flights"),
		.lake = STR("/lake"),
		.result_path = STR("/tmp/s/result.json"),
		.scratch = STR("/tmp/s/spill"),
		.threads = 2,
		.memory_bytes = 268435456,
		.file_rows = 1000000,
		.output = STR("/lake/prepare/flights/flights/data/a-b"),
	};
	if (i == ENGINE_PREPARE) {
		j.quarantine_output = STR("/lake/quarantine/flights/flights/data/a-b");
		j.contract = STR("{\"name\":\"flights\",\"columns\":[]}");
		j.records = STR("data");
		j.windows = sample_windows;
		j.n_windows = COUNT(sample_windows);
		j.max_body_bytes = 67108864;
		j.max_ratio = 200;
		j.json_depth = 128;
		j.budget_percent = 0.1;
		j.budget_rows = 5;
		j.children = sample_tables;
		j.n_children = COUNT(sample_tables);
	} else if (i == ENGINE_CHECKPOINT) {
		j.table_key = STR("prepare/flights/flights");
		j.version = 50;
	} else if (i == ENGINE_COMPACT) {
		j.quarantine = true;
		j.columns = (struct table_schema){ sample_columns, 3 };
		j.merges = sample_merges;
		j.n_merges = 1;
	} else {
		j.sql = sample_sql;
		j.sql_names = sample_names;
		j.n_sql = j.kind == ENGINE_REFINE ? 1 : 2;
		j.inputs = i == ENGINE_GRAPH ? sample_graph_inputs : sample_inputs;
		j.n_inputs = i == ENGINE_GRAPH ? 1 : 2;
	}
	if (i >= KINDS) {
		j.any_order = true;
		make_remote(&j);
	}
	return j;
}

static struct table_file sample_table_files[] = {
	{ .path = { "data/a-b/0.parquet", 18 }, .size_bytes = 51234, .rows = 842, .stats = { "{\"numRecords\":842}", 18 },
	  .windows = sample_table_windows, .n_windows = 1 },
	{ .path = { "data/a-b/1.parquet", 18 }, .size_bytes = 900, .stats = { "{\"numRecords\":0}", 16 }, .has_hash = true,
	  .hash = { { 8 } } },
};
static struct rule_count sample_rules[] = {
	{ { "dep_delay.minimum", 17 }, ACTION_WARN, 12 },
	{ { "carrier.required", 16 }, ACTION_QUARANTINE, 2 },
	{ { "record.unique", 13 }, ACTION_FAIL, 0 },
};
static struct str sample_fields[] = { { "gate\xc3\xa9", 6 } };
static uint64_t sample_counts[] = { 800 };
static struct str sample_reads[] = { { "prepare.airlines", 16 }, { "prepare.flights", 15 } };
static struct lint_finding sample_findings[] = { { { "N6", 2 }, 17, { "DOUBLE becomes BIGINT", 21 } },
						 { { "P2", 2 }, UINT64_MAX, { "PIVOT or UNPIVOT", 16 } } };
static struct graph_reads sample_graph[] = { { { "per_carrier", 11 }, sample_reads, 2, sample_findings, 2, false },
					     { { "one", 3 }, NULL, 0, NULL, 0, true } };
static uint64_t sample_totals[] = { 0, 50094 };

static struct engine_output sample_outputs[] = {
	{ { "flights__stops", 14 }, sample_table_files, 1, &sample_table_files[1], 1,
	  { .read = 848, .published = 842, .quarantined = 1, .with_parent = 5 } },
};

static struct engine_result result_sample(void)
{
	return (struct engine_result){
		.engine = STR("DuckDB v1.5.5"),
		.files = sample_table_files,
		.n_files = 2,
		.quarantine_files = &sample_table_files[1],
		.n_quarantine_files = 1,
		.loss = { .read = 844, .published = 842, .quarantined = 2, .rules = sample_rules, .n_rules = 3,
			  .extra_fields = sample_fields, .extra_counts = sample_counts, .n_extra = 1, .inexact = 4 },
		.children = sample_outputs,
		.n_children = COUNT(sample_outputs),
		.failed_rules = &sample_rules[2],
		.n_failed_rules = 1,
		.graph = sample_graph,
		.n_graph = 2,
		.counts = sample_totals,
		.n_counts = 2,
		.rows = 842,
		.parse_us = 1500,
		.write_us = 2500,
		.read_back_us = 3500,
	};
}

/* A job of every kind, a result, an error. */
static struct str document(size_t i, struct arena *a)
{
	if (i < JOBS) {
		struct engine_job j = job_sample(i);
		return engine_job_encode(&j, a);
	}
	struct engine_result r = result_sample();
	if (i == JOBS)
		return engine_result_encode(&r, a);
	struct err e = ERR_INIT;
	err_set(&e, ERR_ENGINE, "out of memory at \"SELECT\"\n1");
	err_hint(&e, "give it more");
	return engine_error_encode(&e, a);
}

static void canonical_bytes_are_frozen(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct str frozen = case_file("engine.ndjson", &a), line;
	for (size_t i = 0; i < JOBS + 2; i++) {
		struct str text = document(i, &a);
		assert_true(str_cut(&frozen, '\n', &line));
		assert_frozen(str_sub(text, 0, text.n - 1), line);
	}
	assert_false(str_cut(&frozen, '\n', &line));
	arena_free(&a);
}

static bool decode_again(size_t i, struct str text, struct arena *a, struct str *out, struct err *e)
{
	struct engine_job j;
	struct engine_result r;
	bool ok = i < JOBS ? engine_job_decode(text, a, &j, e) : engine_result_decode(text, a, &r, e);
	if (ok)
		*out = i < JOBS ? engine_job_encode(&j, a) : engine_result_encode(&r, a);
	return ok;
}

static void everything_comes_back(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct str out = STR_NONE;
	struct err e = ERR_INIT;
	for (size_t i = 0; i <= JOBS; i++) {
		struct str text = document(i, &a);
		assert_done(decode_again(i, text, &a, &out, &e), &e);
		assert_frozen(out, text);
	}
	struct engine_result r;
	assert_done(engine_result_decode(document(JOBS, &a), &a, &r, &e), &e);
	assert_int_equal(r.loss.rules[0].action, ACTION_WARN);
	assert_int_equal(r.loss.rules[2].action, ACTION_FAIL);
	assert_int_equal(r.files[0].windows[0].hash.rows, 842);
	assert_text(r.graph[0].tables[1], "prepare.flights");
	assert_int_equal(r.graph[0].n_findings, 2);
	assert_int_equal(r.graph[0].findings[0].at, 17);
	assert_text(r.graph[0].findings[0].what, "DOUBLE becomes BIGINT");
	assert_true(r.graph[0].findings[1].at == UINT64_MAX);
	assert_int_equal(r.graph[1].n_findings, 0);
	assert_true(!r.graph[0].any_order && r.graph[1].any_order);
	assert_false(engine_result_decode(document(JOBS + 1, &a), &a, &r, &e));
	arena_free(&a);
}

static const struct {
	size_t document;
	const char *old, *new;
} damages[] = {
	{ 0, "sluice-engine-job/1", "sluice-engine-job/2" },
	{ 0, "\"kind\":\"prepare\"", "\"kind\":\"compact\"" },
	{ 0, "\"kind\":\"prepare\"", "\"kind\":\"refine\"" },
	{ 0, "\"threads\":2", "\"threads\":4294967296" },
	{ 0, "\"windows\"", "\"windoes\"" },
	{ 6, "\"cache\"", "\"cash\"" },
	{ 6, "\"any_order\":true", "\"any_order\":1" },
	{ 6, "\"size\":900", "\"size\":-1" },
	{ 6, "\"sha256\":\"09", "\"sha256\":\"9" },
	{ 6, "\"path_style\":true", "\"path_style\":1" },
	{ 0, "\"generation\":1", "\"generation\":-1" },
	{ 0, "\"key\":\"03", "\"key\":\"3" },
	{ 0, "\"budget_percent\":0.1", "\"budget_percent\":\"0.1\"" },
	{ 0, "\"budget_percent\":0.1", "\"budget_percent\":1e999" },
	{ 1, "\"type\":\"decimal\"", "\"type\":\"money\"" },
	{ 1, "\"precision\":38", "\"precision\":null" },
	{ 1, "\"files\":[", "\"files\":{},\"x\":[" },
	{ 1, "\"text\":\"SELECT", "\"test\":\"SELECT" },
	{ 2, "\"inputs\"", "\"outputs\"" },
	{ JOBS, "sluice-engine-result/1", "sluice-engine-result/2" },
	{ JOBS, "\"row_hash\":\"00", "\"row_hash\":\"0" },
	{ JOBS, "\"action\":\"warn\"", "\"action\":\"want\"" },
	{ JOBS, "\"loss\"", "\"lost\"" },
	{ JOBS, "\"records\":800", "\"records\":0.8e3x" },
	{ JOBS, "\"reads\":[", "\"reads\":7,\"x\":[" },
	{ JOBS, "\"any_order\":true", "\"any_order\":\"yes\"" },
	{ JOBS, "\"counts\":[0,", "\"counts\":[null," },
	{ JOBS, "\"write_us\":2500", "\"write_us\":2500.5" },
};

static void damage_is_found(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct str out;
	for (size_t i = 0; i < COUNT(damages); i++) {
		struct err e = ERR_INIT;
		struct str text = replaced(document(damages[i].document, &a), damages[i].old, damages[i].new, &a);
		if (decode_again(damages[i].document, text, &a, &out, &e))
			fail_msg("%s instead of %s was taken", damages[i].new, damages[i].old);
		assert_true(e.code != ERR_NONE && e.message[0]);
	}
	arena_free(&a);
}

static void cut_and_flipped(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT, scratch = ARENA_INIT;
	for (size_t i = 0; i <= JOBS; i++) {
		struct str text = document(i, &a), out;
		for (size_t n = 0; n < text.n; n++) {
			struct err e = ERR_INIT;
			arena_reset(&scratch);
			if (n + 1 < text.n)
				assert_false(decode_again(i, str_sub(text, 0, n), &scratch, &out, &e));
			char *p = arena_zero_terminated(&scratch, text);
			p[n] = (char)(p[n] ^ 0x15);
			e = ERR_INIT;
			if (!decode_again(i, (struct str){ p, text.n }, &scratch, &out, &e))
				assert_true(e.code != ERR_NONE);
		}
	}
	arena_free(&scratch);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_bytes_are_frozen),
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(cut_and_flipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
