/* Commits of a table: frozen bytes in test/case/format/delta_<n>.ndjson, replay, and who may have a version number. */
#include "members.h"

#include "format/delta.h"
#include "store_flaky.h"

#include <inttypes.h>

#define TABLE STR("prepare/flights/flights")
#define NOW_US INT64_C(1760000000000000)

static struct row_hash sum_of(uint64_t rows)
{
	return (struct row_hash){ ((uint128)rows << 100) + rows, rows };
}

static struct table_window window_sample(const char *name, unsigned generation, uint64_t rows)
{
	return (struct table_window){
		.name = str_from(name),
		.generation = generation,
		.content = hash_of(name),
		.seal = hash_of("seal"),
		.key = hash_of(generation == 1 ? "key" : "another key"),
		.read = rows + 2,
		.rows = rows,
		.hash = sum_of(rows),
	};
}

#define DAY_1 "20130101T050000Z_20130102T050000Z"
#define DAY_2 "20130102T050000Z_20130103T050000Z"
#define DAY_3 "20130103T050000Z_20130104T050000Z"

static struct table_column sample_columns[] = {
	{ { "_window", 7 }, TYPE_STRING, 0, 0, { "the window that the row came with", 33 } },
	{ { "year", 4 }, TYPE_INTEGER, 0, 0, { NULL, 0 } },
	{ { "fare", 4 }, TYPE_DECIMAL, 9, 2, { "in \"USD\"", 8 } },
	{ { "share", 5 }, TYPE_DOUBLE, 0, 0, { NULL, 0 } },
	{ { "day", 3 }, TYPE_DATE, 0, 0, { NULL, 0 } },
	{ { "time_hour", 9 }, TYPE_TIMESTAMP, 0, 0, { NULL, 0 } },
	{ { "cancelled", 9 }, TYPE_BOOLEAN, 0, 0, { NULL, 0 } },
	{ { "_extra", 6 }, TYPE_JSON, 0, 0, { NULL, 0 } },
};
static const struct table_schema sample_schema = { sample_columns, COUNT(sample_columns) };

enum { COMMITS = 4 };

/* 0: two files, one of two windows and one without rows. 1: a window replaced. 2: tags alone. 3: everything removed. */
static struct table_commit commit_sample(size_t i, struct arena *a)
{
	struct table_window *w = arena_array(a, struct table_window, 4);
	struct table_file *f = arena_array(a, struct table_file, 4);
	w[0] = window_sample(DAY_1, 1, 842);
	w[1] = window_sample(DAY_2, 1, 943);
	w[2] = window_sample(DAY_3, 1, 0);
	w[3] = window_sample(DAY_3, 2, 914);
	f[0] = (struct table_file){ .path = STR("data/ab12cd34ab12cd34-00112233aabb/0.parquet"), .size_bytes = 51234, .rows = 1785,
				    .modified_ms = NOW_US / 1000,
				    .stats = STR("{\"numRecords\":1785,\"minValues\":{\"year\":2013},\"maxValues\":{\"year\":2013},"
						 "\"nullCount\":{\"year\":0}}"),
				    .windows = w, .n_windows = 2 };
	f[1] = (struct table_file){ .path = STR("data/ab12cd34ab12cd34-00112233aabb/1.parquet"), .size_bytes = 900,
				    .modified_ms = NOW_US / 1000, .windows = &w[2], .n_windows = 1 };
	f[2] = (struct table_file){ .path = STR("data/ef56ef56ef56ef56-445566778899/0.parquet"), .size_bytes = 30001, .rows = 914,
				    .modified_ms = NOW_US / 1000, .windows = &w[3], .n_windows = 1 };
	f[3] = f[0];
	struct table_commit c = {
		.version = (int64_t)i,
		.operation = i == 2 ? STR("tags") : STR("prepare"),
		.run_id = STR("20251009T085320Z-1f3a"),
		.nonce = arena_format(a, "%032zu", i),
		.job_key = hash_of("job"),
		.time_us = NOW_US + (int64_t)i * 1000000,
		.table_id = STR("7d3c5a1e-0b5f-4f0e-8f57-0d0a3f1f9c11"),
		.name = STR("flights"),
		.description = STR("Departures from New York"),
		.contract_meaning = STR("8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"),
	};
	switch (i) {
	case 0:
		c.schema = &sample_schema;
		c.add = f;
		c.n_add = 2;
		break;
	case 1:
		c.add = &f[2];
		c.remove = &f[1];
		c.n_add = c.n_remove = 1;
		c.metrics = STR("{\"read\":\"916\"}");
		break;
	case 2:
		f[3].same_data = true;
		f[3].windows = arena_array(a, struct table_window, 2);
		f[3].windows[0] = window_sample(DAY_1, 2, 842);
		f[3].windows[1] = w[1];
		c.add = &f[3];
		c.n_add = 1;
		break;
	default:
		f[1] = f[2];
		c.remove = f;
		c.n_remove = 2;
	}
	return c;
}

/* The commits so far, each of which names the bytes before it. */
static struct table_commit commit_chained(size_t i, struct arena *a)
{
	struct table_commit c = commit_sample(0, a);
	struct sha256 previous = { 0 };
	for (size_t k = 0; k <= i; k++) {
		c = commit_sample(k, a);
		c.previous = previous;
		previous = sha256_of(table_commit_encode(&c, a));
	}
	return c;
}

static struct store *table_with(size_t commits, struct arena *a)
{
	struct store *s = memory_store();
	for (size_t i = 0; i < commits; i++) {
		struct err e = ERR_INIT;
		enum table_outcome outcome = TABLE_TAKEN;
		struct table_commit c = commit_chained(i, a);
		assert_done(table_commit_write(s, TABLE, &c, a, &outcome, &e), &e);
		assert_int_equal(outcome, TABLE_COMMITTED);
	}
	return s;
}

static void canonical_bytes_are_frozen(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = table_with(COMMITS, &a);
	char previous[SHA256_HEX + 1] = "";
	for (size_t i = 0; i < COMMITS; i++) {
		struct table_commit c = commit_chained(i, &a);
		struct str frozen = case_file(arena_format(&a, "delta_%zu.ndjson", i).p, &a);
		frozen = replaced(frozen, "sluice/VERSION", "sluice/" SLUICE_VERSION, &a);
		if (i > 0) /* it hashes the version of sluice, too */
			frozen = replaced(frozen, "PREVIOUS", previous, &a);
		sha256_hex(sha256_of(frozen), previous);
		assert_frozen(table_commit_encode(&c, &a), frozen);
		struct str key = arena_format(&a, "%.*s/_delta_log/%020zu.json", STR_ARG(TABLE), i);
		assert_frozen(object_of(s, key, &a), frozen);
	}
	store_close(s);
	arena_free(&a);
}

/* "path rows windows;" of each file. */
static const char *files_of(const struct table_snapshot *t, struct arena *a)
{
	struct buf b = BUF_INIT(10000);
	for (size_t i = 0; i < t->n_files; i++) {
		const struct table_file *f = &t->files[i];
		buf_addf(&b, "%.4s/%.*s %" PRIu64, f->path.p + 5, STR_ARG(str_sub(f->path, f->path.n - 9, 9)), f->rows);
		for (size_t k = 0; k < f->n_windows; k++)
			buf_addf(&b, " %.8s.g%u=%" PRIu64, f->windows[k].name.p, f->windows[k].generation, f->windows[k].rows);
		buf_add_char(&b, ';');
	}
	const char *text = arena_zero_terminated(a, buf_str(&b));
	buf_free(&b);
	return text;
}

static void replayed(void **unused)
{
	(void)unused;
	static const char *const want[] = {
		"ab12/0.parquet 1785 20130101.g1=842 20130102.g1=943;ab12/1.parquet 0 20130103.g1=0;",
		"ab12/0.parquet 1785 20130101.g1=842 20130102.g1=943;ef56/0.parquet 914 20130103.g2=914;",
		"ef56/0.parquet 914 20130103.g2=914;ab12/0.parquet 1785 20130101.g2=842 20130102.g1=943;",
		"",
	};
	struct arena a = ARENA_INIT;
	struct store *s = table_with(COMMITS, &a);
	struct table_snapshot t;
	struct err e = ERR_INIT;
	for (size_t i = 0; i <= COMMITS; i++) {
		int64_t ask = i == COMMITS ? -1 : (int64_t)i;
		assert_done(table_load(s, TABLE, ask, &a, &t, &e), &e);
		size_t v = i == COMMITS ? COMMITS - 1 : i;
		assert_int_equal(t.version, v);
		assert_string_equal(files_of(&t, &a), want[v]);
		assert_text(t.id, "7d3c5a1e-0b5f-4f0e-8f57-0d0a3f1f9c11");
		assert_text(t.last_nonce, arena_format(&a, "%032zu", v).p);
		assert_text(t.last_run, "20251009T085320Z-1f3a");
		assert_int_equal(t.last_commit_us, NOW_US + (int64_t)v * 1000000);
		assert_text(t.contract_meaning, "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4");
		assert_frozen(table_schema_json(&t.schema, &a), table_schema_json(&sample_schema, &a));
	}
	assert_false(table_load(s, TABLE, COMMITS, &a, &t, &e));
	assert_code(&e, ERR_MISSING);
	assert_done(table_load(s, STR("prepare/flights/none"), -1, &a, &t, &e), &e);
	assert_int_equal(t.version, -1);
	assert_int_equal(t.n_files, 0);
	store_close(s);
	arena_free(&a);
}

static void every_field_of_a_file_comes_back(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = table_with(1, &a);
	struct table_snapshot t;
	struct err e = ERR_INIT;
	assert_done(table_load(s, TABLE, -1, &a, &t, &e), &e);
	struct table_commit want = commit_sample(0, &a), got = want;
	got.add = t.files;
	got.n_add = t.n_files;
	got.schema = &t.schema;
	assert_frozen(table_commit_encode(&got, &a), table_commit_encode(&want, &a));
	const struct table_window *w = table_find_window(&t, STR(DAY_2));
	assert_non_null(w);
	assert_int_equal(w->rows, 943);
	assert_int_equal(w->hash.rows, 943);
	assert_null(table_find_window(&t, STR("20130104T050000Z_20130105T050000Z")));
	store_close(s);
	arena_free(&a);
}

/* A window over the rows of a file stands in several; its rows and hashes add up. */
static void a_window_in_several_files(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct table_window parts[3] = { window_sample(DAY_1, 1, 10), window_sample(DAY_1, 1, 5), window_sample(DAY_2, 1, 7) };
	struct table_file files[2] = { { .path = STR("a"), .windows = parts, .n_windows = 1 },
				       { .path = STR("b"), .windows = &parts[1], .n_windows = 2 } };
	struct table_snapshot t = { .files = files, .n_files = 2 };
	uint64_t rows = 0;
	struct row_hash hash, want = sum_of(10), five = sum_of(5);
	row_hash_merge(&want, &five);
	assert_true(table_window_total(&t, STR(DAY_1), &rows, &hash));
	assert_int_equal(rows, 15);
	assert_true(row_hash_eq(&hash, &want));
	assert_false(table_window_total(&t, STR(DAY_3), &rows, &hash));
	assert_int_equal(rows, 0);
	arena_free(&a);
}

/* ── who gets the number ── */

static void a_number_is_given_once(void **unused)
{
	(void)unused;
	for (int lost = 0; lost < 2; lost++) {
		struct arena a = ARENA_INIT;
		struct store *s = memory_store();
		struct err e = ERR_INIT;
		enum table_outcome outcome = TABLE_TAKEN;
		struct table_commit ours = commit_sample(0, &a), theirs = ours;
		theirs.nonce = STR("ffffffffffffffffffffffffffffffff");
		store_memory_fail(s, lost ? 1 : 0, STORE_FAULT_LOST_ANSWER);
		assert_done(table_commit_write(s, TABLE, &ours, &a, &outcome, &e), &e);
		assert_int_equal(outcome, TABLE_COMMITTED);
		store_memory_fail(s, lost ? 1 : 0, STORE_FAULT_LOST_ANSWER);
		assert_done(table_commit_write(s, TABLE, &theirs, &a, &outcome, &e), &e);
		assert_int_equal(outcome, TABLE_TAKEN);
		assert_done(table_commit_write(s, TABLE, &ours, &a, &outcome, &e), &e); /* asked again: still ours */
		assert_int_equal(outcome, TABLE_COMMITTED);
		store_memory_fail(s, 1, STORE_FAULT_REFUSE);
		assert_false(table_commit_write(s, TABLE, &theirs, &a, &outcome, &e));
		assert_code(&e, ERR_STORAGE);
		store_close(s);
		arena_free(&a);
	}
}

/* A winner's commit may be of any size: it is only compared. */
static void taken_by_a_long_commit(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = memory_store();
	struct err e = ERR_INIT;
	enum table_outcome outcome = TABLE_COMMITTED;
	struct table_commit c = commit_sample(0, &a);
	struct str big = { arena_alloc(&a, 9 << 20), 9 << 20 };
	object_put(s, STR("prepare/flights/flights/_delta_log/00000000000000000000.json"), big);
	assert_done(table_commit_write(s, TABLE, &c, &a, &outcome, &e), &e);
	assert_int_equal(outcome, TABLE_TAKEN);
	store_close(s);
	arena_free(&a);
}

/* ── any call of the store fails ── */

static bool do_commit(struct store *s, struct arena *a, struct err *e)
{
	struct table_commit c = commit_chained(COMMITS - 1, a);
	enum table_outcome outcome = TABLE_TAKEN;
	if (!table_commit_write(s, TABLE, &c, a, &outcome, e))
		return false;
	assert_int_equal(outcome, TABLE_COMMITTED);
	return true;
}

static bool do_load(struct store *s, struct arena *a, struct err *e)
{
	struct table_snapshot t;
	return table_load(s, TABLE, -1, a, &t, e) && table_settle(s, TABLE, &t, a, e);
}

static bool do_replay(struct store *s, struct arena *a, struct err *e)
{
	struct table_snapshot t;
	return table_replay(s, TABLE, 1, a, &t, e);
}

static bool do_count_good(struct store *s, struct arena *a, struct err *e)
{
	int64_t n = -1;
	(void)a;
	if (!table_good_versions(s, TABLE, &n, e))
		return false;
	if (n != COMMITS - 1)
		return err_set(e, ERR_DAMAGE, "%d are good", (int)n);
	return true;
}

static void any_call_fails(void **unused)
{
	(void)unused;
	static bool (*const acts[])(struct store *, struct arena *, struct err *) = { do_commit, do_load, do_replay, do_count_good };
	for (size_t i = 0; i < COUNT(acts) * 3; i++) {
		enum flaky_how how = (enum flaky_how)(i % 3);
		uint64_t failed = 1;
		for (uint64_t nth = 1; failed > 0; nth++) {
			struct arena a = ARENA_INIT;
			struct store *s = table_with(COMMITS - 1, &a);
			struct flaky f;
			struct err e = ERR_INIT;
			flaky_init(&f, s);
			flaky_arm(&f, nth, how);
			bool ok = acts[i / 3](&f.store, &a, &e);
			failed = f.failed;
			if (!ok && (failed == 0 || (e.code != ERR_STORAGE && how != FLAKY_GONE)))
				fail_msg("act %zu, call %d in way %d: %s: %s", i / 3, (int)nth, (int)how, err_name(e.code), e.message);
			e = ERR_INIT;
			assert_done(do_load(s, &a, &e), &e);
			store_close(s);
			arena_free(&a);
		}
	}
	struct table_snapshot none = { .version = -1 };
	struct err e = ERR_INIT;
	assert_done(table_settle(NULL, TABLE, &none, NULL, &e), &e); /* nothing to settle, nobody asked */
}

/* ── damage ── */

#define LOG_0 STR("prepare/flights/flights/_delta_log/00000000000000000000.json")

/* A file's own hash is in its tags where the whole file was read back; a word that is none is damage. */
static void hash_of_a_file(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = memory_store();
	struct table_snapshot t;
	struct err e = ERR_INIT;
	enum table_outcome outcome;
	struct table_commit c = commit_sample(0, &a);
	struct table_file files[2] = { c.add[0], c.add[1] };
	files[0].has_hash = true;
	files[0].hash = hash_of("its bytes");
	c.add = files;
	assert_done(table_commit_write(s, TABLE, &c, &a, &outcome, &e), &e);
	assert_done(table_load(s, TABLE, -1, &a, &t, &e), &e);
	assert_true(t.files[0].has_hash && !t.files[1].has_hash);
	assert_true(sha256_eq(t.files[0].hash, hash_of("its bytes")));
	object_put(s, LOG_0, replaced(object_of(s, LOG_0, &a), "\"sluice.sha256\":\"", "\"sluice.sha256\":\"x", &a));
	assert_false(table_load(s, TABLE, -1, &a, &t, &e));
	assert_code(&e, ERR_DAMAGE);
	store_close(s);
	arena_free(&a);
}

#define LOG(n) STR("prepare/flights/flights/_delta_log/0000000000000000000" #n ".json")

static const struct {
	const char *old, *new;
	enum err_code want;
} damages[] = {
	{ "{\"commitInfo\"", "{\"commitInfo\":{}}{\"commitInfo\"", ERR_DAMAGE },
	{ "\"size\":51234", "\"size\":-1", ERR_DAMAGE },
	{ "\"size\":51234", "\"size\":\"51234\"", ERR_DAMAGE },
	{ "numRecords\\\":1785", "numRecord\\\":1785", ERR_DAMAGE },
	{ "\"stats\":\"{", "\"stats\":\"[", ERR_DAMAGE },
	{ "sluice.windows", "other.windows", ERR_DAMAGE },
	{ "\\\"row_hash\\\":\\\"", "\\\"row_hash\\\":\\\"0", ERR_DAMAGE },
	{ "\\\"generation\\\":1", "\\\"generation\\\":4294967296", ERR_DAMAGE },
	{ "\\\"content\\\":\\\"", "\\\"content\\\":\\\"Z", ERR_DAMAGE },
	{ "\"minReaderVersion\":1", "\"minReaderVersion\":2", ERR_DAMAGE },
	{ "\"minWriterVersion\":2", "\"minWriterVersion\":7", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal(39,2)", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal(2,9)", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal(9)", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal()", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal(9,2", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal(x,2)", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal(9,x)", ERR_DAMAGE },
	{ "decimal(9,2)", "decimal(0,0)", ERR_DAMAGE },
	{ "\\\"long\\\"", "\\\"int\\\"", ERR_DAMAGE },
	{ "\"schemaString\":\"{", "\"schemaString\":\"", ERR_DAMAGE },
	{ "\"path\"", "\"paths\"", ERR_DAMAGE },
	{ "\"sluice.nonce\"", "\"other.nonce\"", ERR_DAMAGE },
	{ "\"sluice.actions\":4", "\"sluice.actions\":5", ERR_DAMAGE },
	{ "\"sluice.previous\":null", "\"sluice.previous\":0", ERR_DAMAGE },
	{ "\"commitInfo\"", "\"commitInfos\"", ERR_DAMAGE },
	{ "\"protocol\"", "\"protocols\"", ERR_DAMAGE },
	{ "\"metaData\"", "\"metaDatas\"", ERR_DAMAGE },
	{ "\\\"fields\\\":[", "\\\"fields\\\":[],\\\"were\\\":[", ERR_DAMAGE },
};

static void damage_is_found(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(damages); i++) {
		struct arena a = ARENA_INIT;
		struct store *s = table_with(1, &a);
		struct table_snapshot t;
		struct err e = ERR_INIT;
		object_put(s, LOG(0), replaced(object_of(s, LOG(0), &a), damages[i].old, damages[i].new, &a));
		if (table_load(s, TABLE, -1, &a, &t, &e))
			fail_msg("%s instead of %s was taken", damages[i].new, damages[i].old);
		assert_code(&e, damages[i].want);
		store_close(s);
		arena_free(&a);
	}
}

/* Lines [from, to) of the text. */
static struct str lines_of(struct str text, size_t from, size_t to)
{
	struct str rest = text, line;
	size_t begin = text.n, end = text.n;
	for (size_t i = 0; i <= to; i++) {
		if (i == from)
			begin = text.n - rest.n;
		if (i == to)
			end = text.n - rest.n;
		if (!str_cut(&rest, '\n', &line))
			break;
	}
	return str_sub(text, begin, end - begin);
}

static void damage_at(size_t version, struct str bytes, struct str was)
{
	struct arena a = ARENA_INIT;
	struct store *s = table_with(COMMITS, &a);
	struct table_snapshot t;
	struct err e = ERR_INIT;
	char name[64];
	if (bytes.n == was.n && str_eq(bytes, was))
		fail_msg("version %zu: no change", version);
	object_put(s, arena_format(&a, "%.*s/_delta_log/%020zu.json", STR_ARG(TABLE), version), bytes);
	if (table_load(s, TABLE, -1, &a, &t, &e))
		fail_msg("version %zu was taken with %zu bytes of %zu", version, bytes.n, was.n);
	assert_code(&e, ERR_DAMAGE);
	int64_t good = -1;
	e.code = ERR_NONE;
	assert_done(table_good_versions(s, TABLE, &good, &e), &e);
	assert_in_range(good, version, version + 1);
	assert_false(table_load(s, TABLE, -1, &a, &t, &e));
	/* Where bytes were changed so that the version is whole by itself, the one behind it tells. */
	snprintf(name, sizeof name, "prepare/flights/flights, version %zu: ", version);
	if (!str_contains(str_from(e.message), str_from(name))) {
		snprintf(name, sizeof name, "prepare/flights/flights, version %zu: ", version + 1);
		if (!str_contains(str_from(e.message), str_from(name)))
			fail_msg("%s", e.message);
	}
	store_close(s);
	arena_free(&a);
}

/* Emptied, cut at a line or in it, lines that are gone or twice, other bytes: in any version, and the newest too. */
static void versions_that_are_not_whole(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct store *s = table_with(COMMITS, &a);
	for (size_t v = 0; v < COMMITS; v++) {
		struct str whole = object_of(s, arena_format(&a, "%.*s/_delta_log/%020zu.json", STR_ARG(TABLE), v), &a);
		size_t n_lines = 0;
		for (size_t i = 0; i < whole.n; i++)
			n_lines += whole.p[i] == '\n';
		damage_at(v, STR(""), whole);
		damage_at(v, STR("\n"), whole);
		damage_at(v, str_sub(whole, 0, whole.n - 1), whole);
		damage_at(v, str_sub(whole, 0, whole.n / 2), whole);
		for (size_t i = 0; i < n_lines; i++) {
			struct str before = lines_of(whole, 0, i), at = lines_of(whole, i, i + 1),
				   behind = lines_of(whole, i + 1, n_lines);
			if (i > 0)
				damage_at(v, before, whole);
			damage_at(v, arena_format(&a, "%.*s%.*s", STR_ARG(before), STR_ARG(behind)), whole);
			damage_at(v, arena_format(&a, "%.*s%.*s%.*s%.*s", STR_ARG(before), STR_ARG(at), STR_ARG(at),
						  STR_ARG(behind)), whole);
		}
		if (v + 1 < COMMITS)
			damage_at(v, replaced(whole, "\"timestamp\":1", "\"timestamp\":2", &a), whole);
	}
	store_close(s);
	arena_free(&a);
}

/* Counted rightly, whole lines, and yet no table: what a first version must have. */
static void a_first_version_without_its_parts(void **unused)
{
	(void)unused;
	static const struct {
		bool protocol, metadata, add, ok;
	} cases[] = {
		{ true, true, false, true },   { true, true, true, true },   { false, true, false, false }, { true, false, false, false },
		{ false, false, false, false }, { false, true, true, false }, { true, false, true, false },
	};
	struct arena a = ARENA_INIT;
	struct store *s = table_with(1, &a);
	struct str whole = object_of(s, LOG_0, &a);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct table_snapshot t;
		struct err e = ERR_INIT;
		struct str rest = whole, line;
		struct buf b = BUF_INIT(1 << 20);
		size_t n = 0;
		for (bool added = false; str_cut(&rest, '\n', &line) && line.n > 0;) {
			bool take = str_starts(line, STR("{\"commitInfo\"")) ||
				    (cases[i].protocol && str_starts(line, STR("{\"protocol\""))) ||
				    (cases[i].metadata && str_starts(line, STR("{\"metaData\""))) ||
				    (cases[i].add && !added && str_starts(line, STR("{\"add\"")));
			added |= take && str_starts(line, STR("{\"add\""));
			n += take;
			if (take)
				buf_addf(&b, "%.*s\n", STR_ARG(line));
		}
		const char *count = arena_format(&a, "\"sluice.actions\":%zu", n - 1).p;
		object_put(s, LOG_0, replaced(buf_str(&b), "\"sluice.actions\":4", count, &a));
		if (table_load(s, TABLE, -1, &a, &t, &e) != cases[i].ok)
			fail_msg("case %zu: %s", i, e.message);
		assert_code(&e, cases[i].ok ? ERR_NONE : ERR_DAMAGE);
		buf_free(&b);
	}
	store_close(s);
	arena_free(&a);
}

static void a_gap_in_the_log(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct table_snapshot t;
	for (size_t i = 0; i < COMMITS; i++) {
		struct store *s = table_with(COMMITS, &a);
		struct err e = ERR_INIT;
		assert_true(store_remove(s, arena_format(&a, "%.*s/_delta_log/%020zu.json", STR_ARG(TABLE), i), &e));
		if (i + 1 == COMMITS) { /* the last one gone: an older table, and nothing in it can tell */
			assert_done(table_load(s, TABLE, -1, &a, &t, &e), &e);
			assert_int_equal(t.version, COMMITS - 2);
		} else {
			assert_false(table_load(s, TABLE, -1, &a, &t, &e));
			assert_code(&e, ERR_DAMAGE);
		}
		store_close(s);
	}
	/* What else lies in _delta_log is of no concern. */
	struct store *s = table_with(2, &a);
	struct err e = ERR_INIT;
	object_put(s, STR("prepare/flights/flights/_delta_log/00000000000000000001.checkpoint.parquet"), STR("x"));
	object_put(s, STR("prepare/flights/flights/_delta_log/_last_checkpoint"), STR("x"));
	object_put(s, STR("prepare/flights/flights/_delta_log/00000000000000000007.crc"), STR("x"));
	object_put(s, STR("prepare/flights/flights/_delta_log/00000000000000000008.txt8"), STR("x"));
	object_put(s, STR("prepare/flights/flights/_delta_log/0000000000000000000x.json"), STR("x"));
	assert_done(table_load(s, TABLE, -1, &a, &t, &e), &e);
	assert_int_equal(t.version, 1);
	store_close(s);
	arena_free(&a);
}

struct commit_read {
	struct store *store;
	struct str key;
};

static bool reads_commit(void *user, struct str bad, struct arena *a, struct err *e)
{
	const struct commit_read *r = user;
	struct table_snapshot t;
	struct err ignored = ERR_INIT;
	object_put(r->store, r->key, bad);
	bool ok = table_load(r->store, TABLE, -1, a, &t, e);
	assert_done(store_remove(r->store, r->key, &ignored), &ignored);
	return ok;
}

/* Whoever reads a commit with a member missing or of another kind refuses it, or it is one that we never read. Free are
 * labels, what the protocol wants and we never read, statistics (in the tag's hash of the file), and names of windows and
 * files, which are compared with the ledger and the folder. */
static void every_member_is_needed(void **unused)
{
	static const char *const passed_over[] = {
		"comment", "configuration", "createdTime", "dataChange", "deletionTimestamp", "description", "engineInfo",
		"extendedFileMetadata", "format", "maxValues", "metadata", "minValues", "name", "nullCount", "nullable", "operation",
		"operationMetrics", "operationParameters", "options", "partitionColumns", "partitionValues", "provider", "read",
		"size", "sluice.contract", "sluice.job", "sluice.run", "sluice.type", "timestamp", "year",
	};
	static const char *const any_text[] = { "id", "path", "sluice.nonce", "window" };
	static const struct members_free free_ones = { passed_over, any_text, COUNT(passed_over), COUNT(any_text) };
	(void)unused;
	for (size_t v = 0; v < COMMITS; v++) {
		struct arena a = ARENA_INIT;
		struct store *whole = table_with(v + 1, &a);
		struct commit_read r = { .key = arena_format(&a, "%.*s/_delta_log/%020zu.json", STR_ARG(TABLE), v) };
		struct str text = object_of(whole, r.key, &a);
		store_close(whole);
		r.store = table_with(v, &a);
		members_are_needed(text, arena_format(&a, "version %zu", v).p, &free_ones, reads_commit, &r);
		store_close(r.store);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_bytes_are_frozen), cmocka_unit_test(replayed),
		cmocka_unit_test(every_field_of_a_file_comes_back), cmocka_unit_test(a_window_in_several_files),
		cmocka_unit_test(a_number_is_given_once), cmocka_unit_test(taken_by_a_long_commit),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(every_member_is_needed), cmocka_unit_test(versions_that_are_not_whole),
		cmocka_unit_test(a_gap_in_the_log), cmocka_unit_test(any_call_fails), cmocka_unit_test(hash_of_a_file),
		cmocka_unit_test(a_first_version_without_its_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
