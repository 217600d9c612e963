/* A model from input files to checked output files. */
#include "refine_case.h"

#include "driver/engine.h"

#include <stdlib.h>

struct world {
	struct arena a;
	char *folder, *scratch, *output;
	struct engine_job job;
	struct job_input inputs[2];
	struct str files[3], sql;
	struct engine_result result;
	struct err err;
	int outputs;
};

static char *path_in(struct world *w, const char *name)
{
	return arena_zero_terminated(&w->a, arena_format(&w->a, "%s/%s", w->folder, name));
}

static void write_input(struct world *w, const char *file, const char *select)
{
	struct engine_options o = { .memory_bytes = 128 << 20, .n_folders = 1 };
	const char *folder = w->folder;
	struct engine *g;
	struct engine_connection *c;
	uint64_t rows, size;

	o.folders = &folder;
	OK(engine_open(&o, &g, e));
	OK(engine_connect(g, &c, e));
	OK(engine_write_parquet(c, str_from(select), path_in(w, file), PARQUET_DICTIONARY, &rows, &size, e));
	engine_disconnect(c);
	engine_close(g);
}

static int world_open(void **state)
{
	struct world *w = mem_alloc(sizeof *w);

	OK(file_make_scratch(NULL, &w->a, &w->folder, e));
	w->scratch = path_in(w, "spill");
	OK(file_make_dirs(w->scratch, e));
	/* t: an older file without `late`, a newer one; `_gen` is of no concern to the model */
	write_input(w, "it's old.parquet", "SELECT i AS id, 'k' || i % 3 AS k, CAST(i AS DECIMAL(10,2)) / 1 AS d, 7 AS _gen "
					   "FROM range(0, 10) t(i)");
	write_input(w, "new.parquet", "SELECT i AS id, 'k' || i % 3 AS k, i * 2 AS late, TIMESTAMPTZ '2013-01-01 05:00:00Z' "
				      "+ INTERVAL 1 HOUR * i AS seen FROM range(10, 20) t(i)");
	struct table_column *c = arena_array(&w->a, struct table_column, 5);
	c[0] = (struct table_column){ .name = STR("id"), .type = TYPE_INTEGER };
	c[1] = (struct table_column){ .name = STR("k"), .type = TYPE_STRING };
	c[2] = (struct table_column){ .name = STR("late"), .type = TYPE_INTEGER };
	c[3] = (struct table_column){ .name = STR("seen"), .type = TYPE_TIMESTAMP };
	c[4] = (struct table_column){ .name = STR("nowhere"), .type = TYPE_DECIMAL, .precision = 9, .scale = 2 };
	w->files[0] = str_from(path_in(w, "it's old.parquet"));
	w->files[1] = str_from(path_in(w, "new.parquet"));
	w->inputs[0] = (struct job_input){ STR("prepare"), STR("t"), { c, 5 }, w->files, 2, NULL, 0 };
	w->inputs[1] = (struct job_input){ STR("refine"), STR("empty"), { c, 5 }, NULL, 0, NULL, 0 };
	w->job = (struct engine_job){ .kind = ENGINE_REFINE, .table = STR("m"), .threads = 2, .memory_bytes = 256 << 20,
				      .file_rows = 1000, .scratch = str_from(w->scratch), .sql = &w->sql,
				      .sql_names = &w->job.table, .n_sql = 1, .inputs = w->inputs, .n_inputs = 2 };
	*state = w;
	return 0;
}

static int world_close(void **state)
{
	struct world *w = *state;

	OK(file_remove_tree(w->folder, e));
	arena_free(&w->a);
	mem_free(w);
	return 0;
}

/* `properties`: lines of flow maps; `custom`: of the schema. */
static void contract_set(struct world *w, const char *custom, const char *properties)
{
	struct buf b = BUF_INIT(1 << 16);
	struct problems p = PROBLEMS_INIT(&w->a);
	struct contract *c;
	struct str rest = str_from(properties), line;

	buf_addf(&b, "apiVersion: v3.1.0\nkind: DataContract\nid: m\nversion: 1.0.0\nstatus: active\nschema:\n  - name: m\n"
		     "    customProperties:\n      - {property: sluice.action, value: fail}\n%s%s%s    properties:\n",
		 custom[0] ? "      - " : "", custom, custom[0] ? "\n" : "");
	while (str_cut(&rest, '\n', &line))
		buf_addf(&b, "      - {%.*s}\n", STR_ARG(line));
	if (!contract_parse("m.yaml", buf_str(&b), &w->a, &c, &p)) {
		struct buf shown = BUF_INIT(1 << 16);
		problems_print(&p, &shown);
		fail_msg("%.*s", STR_ARG(buf_str(&shown)));
	}
	w->job.contract = c->canonical;
	buf_free(&b);
}

#define KEY "name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1"

static bool run(struct world *w, const char *sql)
{
	w->sql = str_from(sql);
	w->output = path_in(w, arena_format(&w->a, "m/data/job-%d", w->outputs++).p);
	OK(file_make_dirs(w->output, e));
	w->job.output = str_from(w->output);
	w->err = ERR_INIT;
	return refine_run(&w->job, &w->a, &w->result, &w->err);
}

static void assert_run(struct world *w, const char *sql)
{
	if (!run(w, sql))
		fail_msg("%s", w->err.message);
}

static void assert_fails(struct world *w, const char *sql, enum err_code code, const char *part)
{
	if (run(w, sql))
		fail_msg("it was taken: %s", sql);
	if (w->err.code != code || !str_contains(str_from(w->err.message), str_from(part)))
		fail_msg("%s \"%s\" where \"%s\" was expected", err_name(w->err.code), w->err.message, part);
	assert_true(str_starts(str_from(w->err.message), STR("model m")));
}

/* All rows of the output files, in order, as text. */
struct shown {
	struct buf b;
};

static bool show_take(void *user, const struct batch *b, struct err *e)
{
	struct shown *s = user;
	(void)e;
	for (size_t row = 0; row < b->n_rows; row++)
		for (size_t i = 0; i < b->n_columns; i++) {
			if (!batch_is_valid(&b->columns[i], row))
				buf_add_z(&s->b, "~");
			else
				buf_add(&s->b, b->columns[i].s[row]);
			buf_add_char(&s->b, i + 1 < b->n_columns ? ' ' : '\n');
		}
	return true;
}

static struct str rows_of(struct world *w, size_t file)
{
	struct engine_options o = { .memory_bytes = 128 << 20, .n_folders = 1 };
	const char *folder = w->output;
	struct engine *g;
	struct engine_connection *c;
	struct batch_shape *shape;
	struct shown s = { .b = BUF_INIT(1 << 20) };
	size_t n;

	o.folders = &folder;
	OK(engine_open(&o, &g, e));
	OK(engine_connect(g, &c, e));
	struct str sql = arena_format(&w->a, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_parquet('%s/%05zu.parquet')",
				      w->output, file);
	OK(engine_query(c, sql, &w->a, &shape, &n, show_take, &s, e));
	engine_disconnect(c);
	engine_close(g);
	struct str out = arena_copy(&w->a, buf_str(&s.b));
	buf_free(&s.b);
	return out;
}

/* ── good ones ── */

static void test_projection(void **state)
{
	struct world *w = *state;

	contract_set(w, "", "name: k, logicalType: string, primaryKey: true, primaryKeyPosition: 1\n"
			    "name: n, logicalType: integer, required: true\n"
			    "name: late, logicalType: integer\n"
			    "name: share, logicalType: number, customProperties: [{property: sluice.precision, value: 6}, "
			    "{property: sluice.scale, value: 2}]\n"
			    "name: first_at, logicalType: timestamp\n"
			    "name: nowhere, logicalType: number, customProperties: [{property: sluice.precision, value: 9}, "
			    "{property: sluice.scale, value: 2}]");
	/* other order and case, HUGEINT sums, a comment without an end of line, a semicolon */
	assert_run(w, "SELECT SUM(late) AS LATE, min(seen) AS first_at, k, COUNT(*) AS n, CAST(1.5 AS DECIMAL(9,4)) AS share,\n"
		      "sum(nowhere) AS nowhere FROM prepare.t WHERE id NOT IN (SELECT id FROM refine.empty) GROUP BY k; -- end");
	assert_int_equal(w->result.n_files, 1);
	assert_int_equal(w->result.rows, 3);
	assert_int_equal(w->result.n_failed_rules, 0);
	assert_text(rows_of(w, 0), "k0 7 90 1.50 2013-01-01 17:00:00+00 ~\nk1 7 116 1.50 2013-01-01 15:00:00+00 ~\n"
				   "k2 6 84 1.50 2013-01-01 16:00:00+00 ~\n");
	struct table_file *f = &w->result.files[0];
	assert_text(f->path, "data/job-0/00000.parquet");
	assert_int_equal(f->rows, 3);
	assert_true(f->size_bytes > 100 && f->modified_ms > 0);
	assert_int_equal(f->n_windows, 1);
	assert_text(f->windows[0].name, "full");
	assert_int_equal(f->windows[0].rows, 3);
	assert_int_equal(f->windows[0].hash.rows, 3);
	assert_true(f->windows[0].hash.sum != 0);
	assert_text(f->stats,
		    "{\"numRecords\":3,\"minValues\":{\"k\":\"k0\",\"n\":6,\"late\":84,\"share\":1.50,"
		    "\"first_at\":\"2013-01-01T15:00:00.000Z\"},\"maxValues\":{\"k\":\"k2\",\"n\":7,\"late\":116,"
		    "\"share\":1.50,\"first_at\":\"2013-01-01T17:00:00.000Z\"},\"nullCount\":{\"k\":0,\"n\":0,\"late\":0,"
		    "\"share\":0,\"first_at\":0,\"nowhere\":3}}");
}

static void test_files_and_order(void **state)
{
	struct world *w = *state;
	uint128 sum = 0;

	contract_set(w, "{property: sluice.sort, value: [\"-id\"]}", KEY "\nname: late, logicalType: integer");
	w->job.file_rows = 8;
	assert_run(w, "SELECT id, late FROM prepare.t ORDER BY id");
	assert_int_equal(w->result.n_files, 3);
	assert_int_equal(w->result.files[0].rows, 8);
	assert_int_equal(w->result.files[2].rows, 4);
	assert_text(rows_of(w, 2), "3 ~\n2 ~\n1 ~\n0 ~\n");
	for (size_t i = 0; i < 3; i++)
		sum += w->result.files[i].windows[0].hash.sum;
	assert_text(w->result.files[2].stats, "{\"numRecords\":4,\"minValues\":{\"id\":0},\"maxValues\":{\"id\":3},"
					      "\"nullCount\":{\"id\":0,\"late\":4}}");
	w->job.file_rows = 1000;
	assert_run(w, "SELECT late, id FROM prepare.t");
	assert_int_equal(w->result.n_files, 1);
	assert_true(w->result.files[0].windows[0].hash.sum == sum); /* whatever the cut */
}

/* Threads share a SELECT that fixes its rows, and only such a one; the files' bytes are the same. */
static void test_threads(void **state)
{
	static const struct {
		bool any_order;
		unsigned threads;
	} cases[] = { { false, 1 }, { false, 4 }, { true, 1 }, { true, 2 }, { true, 4 } };
	struct world *w = *state;
	struct sha256 first[3];

	contract_set(w, "", KEY "\nname: k, logicalType: string\nname: late, logicalType: integer\nname: n, logicalType: integer");
	w->job.file_rows = 130000;
	for (size_t i = 0; i < COUNT(cases); i++) {
		w->job.any_order = cases[i].any_order;
		w->job.threads = cases[i].threads;
		assert_run(w, "SELECT (x * 7919 + id) % 300000 AS id, k || 'x' || x % 1000 AS k, late,"
			      " count(*) OVER (PARTITION BY x % 5000) AS n FROM prepare.t, (SELECT 20 * unnest(range(15000)) AS x)");
		assert_int_equal(w->result.rows, 300000);
		assert_int_equal(w->result.n_files, 3);
		for (size_t f = 0; f < 3; f++) {
			const char *path = arena_format(&w->a, "%s/%05zu.parquet", w->output, f).p;
			struct str bytes;
			OK(file_read(path, 64 << 20, &w->a, &bytes, e));
			struct sha256 now = sha256_of(bytes);
			first[f] = i == 0 ? now : first[f];
			assert_memory_equal(&now, &first[f], sizeof now);
		}
	}
}

static void test_no_rows(void **state)
{
	struct world *w = *state;

	contract_set(w, "", KEY);
	assert_run(w, "SELECT id FROM refine.empty");
	assert_int_equal(w->result.n_files, 1);
	assert_int_equal(w->result.rows, 0);
	assert_int_equal(w->result.files[0].rows, 0);
	assert_text(w->result.files[0].stats,
		    "{\"numRecords\":0,\"minValues\":{},\"maxValues\":{},\"nullCount\":{\"id\":0}}");
	assert_text(rows_of(w, 0), "");
}

/* Casts that lose nothing. */
static void test_exact_casts(void **state)
{
	struct world *w = *state;

	contract_set(w, "", KEY "\nname: a, logicalType: integer\nname: b, logicalType: number, customProperties: "
				"[{property: sluice.precision, value: 5}, {property: sluice.scale, value: 2}]\n"
				"name: c, logicalType: date\nname: d, logicalType: string\n"
				"name: f, logicalType: number, customProperties: [{property: sluice.type, value: double}]");
	assert_run(w, "SELECT 9223372036854775807::HUGEINT AS id, 12.00 AS a, 0.1::DOUBLE AS b, TIMESTAMP '2013-01-01' AS c, "
		      "12 AS d, 9007199254740992 AS f");
	assert_text(rows_of(w, 0), "9223372036854775807 12 0.10 2013-01-01 12 9007199254740992.0\n");
}

/* Doubles that equal each other and are not the same: there is one zero, and one NaN. */
static void test_bits_of_doubles(void **state)
{
	struct world *w = *state;
	struct buf want = BUF_INIT(1000);

	contract_set(w, "", KEY "\nname: f, logicalType: number, customProperties: [{property: sluice.type, value: double}]\n"
				"name: g, logicalType: number, customProperties: [{property: sluice.type, value: double}]");
	assert_run(w, "SELECT id, CASE id % 4 WHEN 0 THEN 0.0::DOUBLE WHEN 1 THEN '-0.0'::DOUBLE WHEN 2 THEN -0.5 END AS f,"
		      " 1.0::DOUBLE AS g FROM prepare.t");
	for (unsigned i = 0; i < 20; i++)
		buf_addf(&want, "%u %s 1.0\n", i, i % 4 < 2 ? "0.0" : i % 4 == 2 ? "-0.5" : "~");
	assert_text(rows_of(w, 0), want.p);
	assert_run(w, "SELECT id, CASE id % 2 WHEN 0 THEN 'nan'::DOUBLE ELSE -('nan'::DOUBLE) END AS f, 1.0::DOUBLE AS g "
		      "FROM prepare.t");
	buf_free(&want);
}

static void test_warnings(void **state)
{
	struct world *w = *state;

	contract_set(w, "", KEY "\nname: late, logicalType: integer, logicalTypeOptions: {maximum: 30}, "
				"customProperties: [{property: sluice.actions, value: {maximum: warn}}]");
	assert_run(w, "SELECT id, late FROM prepare.t");
	assert_int_equal(w->result.n_failed_rules, 1);
	assert_text(w->result.failed_rules[0].rule, "late.maximum");
	assert_int_equal(w->result.failed_rules[0].action, ACTION_WARN);
	assert_int_equal(w->result.failed_rules[0].rows, 4);
}

/* ── what must not be published ── */

static void test_columns(void **state)
{
	struct world *w = *state;

	contract_set(w, "", KEY "\nname: late, logicalType: integer\nname: x, logicalType: integer");
	assert_fails(w, "SELECT id, k, count(*) FROM prepare.t GROUP BY ALL", ERR_CONFIG,
		     "the SELECT does not give columns of the contract: late, x; the contract does not have columns of the "
		     "SELECT: k, count_star()");
	assert_fails(w, "SELECT id, late, id AS x, x FROM prepare.t", ERR_CONFIG, "x");
	assert_fails(w, "SELECT id, late, latte AS x FROM prepare.t", ERR_CONFIG, "\"latte\"");
}

static void test_losses(void **state)
{
	static const struct {
		const char *sql, *part;
	} cases[] = {
		{ "SELECT 1.5 AS id, 1 AS b, DATE '2013-01-01' AS c, 1 AS f",
		  "column id: 1 values cannot be BIGINT without loss, for instance 1.5" },
		{ "SELECT 9223372036854775808 AS id, 1 AS b, NULL AS c, 1 AS f", "column id: 1 values cannot be BIGINT" },
		{ "SELECT '12.7' AS id, 1 AS b, NULL AS c, 1 AS f", "column id: 1 values" },
		{ "SELECT 2.5::DOUBLE AS id, 1 AS b, NULL AS c, 1 AS f", "column id: 1 values" },
		{ "SELECT 1 AS id, 1.005 AS b, NULL AS c, 1 AS f", "column b: 1 values cannot be DECIMAL(5,2)" },
		{ "SELECT 1 AS id, 1.005::DOUBLE AS b, NULL AS c, 1 AS f", "column b: 1 values" },
		{ "SELECT 1 AS id, 1000 AS b, NULL AS c, 1 AS f", "column b: 1 values" },
		{ "SELECT 1 AS id, 1 AS b, TIMESTAMP '2013-01-01 05:00:00' AS c, 1 AS f",
		  "column c: 1 values cannot be DATE without loss, for instance 2013-01-01 05:00:00" },
		{ "SELECT 1 AS id, 1 AS b, NULL AS c, 9007199254740993 AS f", "column f: 1 values cannot be DOUBLE" },
		{ "SELECT id, id + 0.001 AS b, NULL AS c, 1 AS f FROM prepare.t", "column b: 20 values" },
	};
	struct world *w = *state;

	contract_set(w, "", KEY "\nname: b, logicalType: number, customProperties: [{property: sluice.precision, value: 5}, "
				"{property: sluice.scale, value: 2}]\nname: c, logicalType: date\n"
				"name: f, logicalType: number, customProperties: [{property: sluice.type, value: double}]");
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_fails(w, cases[i].sql, ERR_CONTRACT, cases[i].part);
	assert_fails(w, "SELECT 1 AS id, [1] AS b, NULL AS c, 1 AS f", ERR_CONFIG, "column b is a INTEGER[]");
	assert_fails(w, "SELECT 1 AS id, {'a': 1} AS b, NULL AS c, 1 AS f", ERR_CONFIG, "column b is a STRUCT(a INTEGER)");
	assert_fails(w, "SELECT 1 AS id, 'x'::ENUM('x') AS b, NULL AS c, 1 AS f", ERR_CONFIG, "column b is a ENUM('x')");
}

static void test_rules(void **state)
{
	struct world *w = *state;

	contract_set(w, "", "name: k, logicalType: string, primaryKey: true, primaryKeyPosition: 1\n"
			    "name: n, logicalType: integer, required: true, logicalTypeOptions: {minimum: 7}");
	assert_fails(w, "SELECT k, count(*) AS n FROM prepare.t GROUP BY k", ERR_CONTRACT,
		     "1 of 3 rows break the rule n.minimum, for instance (k=k2: n=6)");
	assert_true(str_contains(str_from(err_hint_text(&w->err)), STR("models/m.sql")));
	assert_fails(w, "SELECT k, NULL AS n FROM prepare.t GROUP BY k", ERR_CONTRACT, "3 of 3 rows break the rule n.required");
	assert_fails(w, "SELECT k, id AS n FROM prepare.t", ERR_CONTRACT,
		     "7 of 20 rows break the rule n.minimum, for instance (k=k0: n=0), (k=k0: n=3), (k=k0: n=6); 1 more rule "
		     "is broken");
	assert_fails(w, "SELECT k, 7 AS n FROM prepare.t WHERE id < 7", ERR_CONTRACT,
		     "4 of 7 rows break the rule primary_key.unique, for instance (k=k0), (k=k1), (k=k2)");
	assert_fails(w, "SELECT NULL AS k, 7 AS n", ERR_CONTRACT, "k.key, for instance (k=NULL)");
}

/* However the table is cut, and by however many threads: the same counts and the same examples. */
static void test_rules_at_any_cut(void **state)
{
	static const struct {
		const char *sql, *part;
	} cases[] = {
		{ "SELECT k, 7 AS n FROM prepare.t", "17 of 20 rows break the rule primary_key.unique, for instance (k=k0), (k=k1), (k=k2)" },
		{ "SELECT 'a' || least(id, 15) AS k, 7 AS n FROM prepare.t", "4 of 20 rows break the rule primary_key.unique, for instance (k=a15)" },
		{ "SELECT 'a' || id // 2 AS k, 7 AS n FROM prepare.t", "10 of 20 rows break the rule primary_key.unique, for instance (k=a0), (k=a1), (k=a2)" },
		{ "SELECT 'a' || (100 + id) AS k, id AS n FROM prepare.t",
		  "7 of 20 rows break the rule n.minimum, for instance (k=a100: n=0), (k=a101: n=1), (k=a102: n=2)" },
	};
	struct world *w = *state;

	contract_set(w, "", "name: k, logicalType: string, primaryKey: true, primaryKeyPosition: 1\n"
			    "name: n, logicalType: integer, logicalTypeOptions: {minimum: 7}");
	for (unsigned threads = 1; threads < 5; threads += 3)
		for (uint64_t rows = 1; rows < 9; rows += rows < 3 ? 1 : 5)
			for (size_t i = 0; i < COUNT(cases); i++) {
				w->job.threads = threads;
				w->job.file_rows = rows;
				assert_fails(w, cases[i].sql, ERR_CONTRACT, cases[i].part);
				assert_true(!str_contains(str_from(w->err.message), STR("; 1 more rule")));
			}
	w->job.threads = 5;
	w->job.file_rows = 3;
	assert_run(w, "SELECT 'a' || (100 + id) AS k, 7 + id AS n FROM prepare.t");
	assert_int_equal(w->result.n_files, 7);
	for (size_t i = 0; i < 7; i++)
		assert_true(str_ends(w->result.files[i].path, arena_format(&w->a, "/%05zu.parquet", i)));
	assert_text(rows_of(w, 6), "a118 25\na119 26\n");
}

/* Equal keys that the sort order keeps apart. */
static void test_key_apart(void **state)
{
	struct world *w = *state;

	contract_set(w, "{property: sluice.sort, value: [late]}", KEY "\nname: late, logicalType: integer");
	assert_fails(w, "SELECT id % 19 AS id, id AS late FROM prepare.t", ERR_CONTRACT,
		     "1 keys occur more than once (rule primary_key.unique)");
	assert_run(w, "SELECT id % 20 AS id, id AS late FROM prepare.t");
}

static void test_reads(void **state)
{
	struct world *w = *state;

	contract_set(w, "", KEY);
	assert_fails(w, "SELECT id FROM prepare.other", ERR_CONFIG, "given no prepare.other");
	assert_fails(w, "SELECT id FROM t", ERR_CONFIG, "models read prepare.x and refine.y only");
	assert_fails(w, "SELECT 1 AS id FROM read_csv('/etc/passwd')", ERR_CONFIG, "the table function read_csv");
	assert_fails(w, "SELECT 1 AS id FROM '/etc/passwd'", ERR_CONFIG, "given no \"/etc/passwd\"");
	assert_fails(w, "SELECT 1 AS id) AS q; DROP TABLE x; SELECT * FROM (SELECT 1 AS id", ERR_CONFIG, "SQL");
	assert_fails(w, "SELECT CAST(k AS INTEGER) + id AS id FROM prepare.t", ERR_ENGINE, "Conversion Error");
}

/* Names of Spark that DuckDB lacks; those that it has, with other numbers of arguments, are its own. */
static void test_functions_of_spark(void **state)
{
	struct world *w = *state;

	contract_set(w, "", KEY "\nname: k, logicalType: string\nname: late, logicalType: integer\nname: apart, logicalType: integer");
	assert_run(w, "SELECT id, nvl(k, 'none') || substring_index('a,b,c', ',', 2) AS k, pmod(id - 5, 7) AS late,\n"
		      "datediff(add_months(DATE '2024-01-31', 1), DATE '2024-01-31') + date_diff('day', DATE '2024-01-01', DATE '2024-01-03')"
		      " AS apart FROM prepare.t WHERE id < 2");
	assert_text(rows_of(w, 0), "0 k0a,b 2 31\n1 k1a,b 3 31\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_projection, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_files_and_order, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_threads, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_no_rows, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_exact_casts, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_bits_of_doubles, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_warnings, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_columns, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_losses, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_rules, world_open, world_close),
				cmocka_unit_test_setup_teardown(test_rules_at_any_cut, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_key_apart, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_reads, world_open, world_close),
		cmocka_unit_test_setup_teardown(test_functions_of_spark, world_open, world_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
