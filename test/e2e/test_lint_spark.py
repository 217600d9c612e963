"""Is the lint's table true? Everything of test/case/refine/lint_same.txt gives the same on DuckDB and on Spark, over a table
of the edges of each type, or an error on one of them; and the examples of its rules give what their rows say."""
import datetime
import decimal
import json
import os
import re
import subprocess

import pytest

import engines
import lake as L

duckdb = pytest.importorskip("duckdb")
if engines.spark_missing():
    pytest.skip(engines.spark_missing(), allow_module_level=True)
if not os.path.exists(L.SLUICE):
    pytest.skip("sluice is not built", allow_module_level=True)

import pyarrow as pa
import pyarrow.parquet as pq

from engines import spark  # noqa: F401

CASES = os.path.join(L.ROOT, "test", "case", "refine")
COLUMNS = {
    "k": pa.int64(), "i": pa.int64(), "j": pa.int64(), "d": pa.float64(), "e": pa.float64(), "m": pa.decimal128(10, 2),
    "n": pa.decimal128(18, 6), "w": pa.decimal128(38, 10), "s": pa.string(), "t": pa.string(), "dt": pa.date32(),
    "du": pa.date32(), "ts": pa.timestamp("us", "UTC"), "tu": pa.timestamp("us", "UTC"), "b": pa.bool_(),
}
DAY_US = 86400 * 10**6


def lines(name):
    with open(os.path.join(CASES, name), encoding="utf-8") as f:
        return [line for line in f.read().split("\n") if line and not line.startswith("#")]


def value(text, kind):
    if text is None:
        return None
    if pa.types.is_decimal(kind):
        return decimal.Decimal(text)
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    if pa.types.is_timestamp(kind):
        return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    return float(text) if pa.types.is_floating(kind) else text


@pytest.fixture(scope="module")
def both(spark, tmp_path_factory):  # noqa: F811
    path = str(tmp_path_factory.mktemp("edges") / "edges.parquet")
    rows = [json.loads(line) for line in lines("edges.ndjson")]
    table = pa.table({c: pa.array([value(r.get(c), kind) for r in rows], kind) for c, kind in COLUMNS.items()})
    pq.write_table(table, path, coerce_timestamps="us")
    db = engines.duckdb_open()
    pack = subprocess.run([L.SLUICE, "explain", "pack"], capture_output=True, text=True, check=True).stdout
    assert pack.count("CREATE MACRO") > 30
    db.execute(pack)
    db.execute(f"CREATE SCHEMA prepare; CREATE TABLE prepare.edges AS SELECT * FROM read_parquet('{path}')")
    spark.read.parquet(path).createOrReplaceTempView("prepare__edges")
    return db, spark, [r["k"] for r in rows]


def plain(v):
    """So that equal means equal: NaN is NaN, a number is a number whatever its width, and there is one zero, as in what models
    publish."""
    if isinstance(v, float):
        return "nan" if v != v else repr(v + 0.0)
    if isinstance(v, int) and not isinstance(v, bool):
        return decimal.Decimal(v)
    return v


# Instants and dates leave both engines as microseconds: Python's own end at year 1, and know no zone.

def of_duckdb(db, sql):
    kinds = db.execute(f"SELECT column_name, column_type FROM (DESCRIBE {sql})").fetchall()
    out = ", ".join(f'epoch_us(CAST("{c}" AS TIMESTAMP)) AS "{c}"' if t.startswith("TIMESTAMP") or t == "DATE" else f'"{c}"'
                    for c, t in kinds)
    return [tuple(map(plain, r)) for r in db.execute(f"SELECT {out} FROM ({sql}) AS q").fetchall()]


def spark_text(sql):
    """Texts as src/refine/model_spark.c writes them for Spark."""
    return re.sub("'(?:[^']|'')*'", lambda m: "'" + m[0][1:-1].replace("''", "\\'") + "'", sql)


def of_spark(session, sql):
    f = session.sql(spark_text(sql.replace("prepare.edges", "prepare__edges")))
    out = []
    for c in f.schema:
        kind = c.dataType.simpleString()
        out.append(f'unix_micros("{c.name}") AS "{c.name}"' if kind == "timestamp" else
                   f'unix_date("{c.name}") * {DAY_US}L AS "{c.name}"' if kind == "date" else f'"{c.name}"')
    return [tuple(map(plain, r)) for r in f.selectExpr(*out).collect()]


def select(expressions, where=""):
    columns = ", ".join(f"{x} AS x{n}" for n, x in enumerate(expressions))
    return f"SELECT k, {columns} FROM prepare.edges {where}"


def row_by_row(both, expression):
    """Where an engine refuses a row, the others must be alike: {key: (DuckDB's, Spark's)}."""
    db, session, keys = both
    assert " OVER " not in expression, f"{expression}: a window that fails is no case"
    kept = []
    for k in keys:
        try:
            of_duckdb(db, select([expression], f"WHERE k = {k}"))
            kept.append(k)
        except duckdb.Error as e:
            assert not isinstance(e, (duckdb.ParserException, duckdb.CatalogException, duckdb.BinderException)), str(e)
    where = f"WHERE k IN ({', '.join(map(str, kept)) or 'NULL'})"
    want = dict(of_duckdb(db, select([expression], where)))
    try:
        got = dict(of_spark(session, select([expression], where)))
    except Exception:
        got = {}
        for k in kept:
            try:
                got.update(of_spark(session, select([expression], f"WHERE k = {k}")))
            except Exception as e:
                assert not re.search(r"PARSE_|UNRESOLVED|DATATYPE_MISMATCH|WRONG_NUM_ARGS", str(e)), f"{expression}: {str(e)[:300]}"
    assert any(v is not None for v in got.values()), f"{expression}: no row gives a value on both"
    return {k: (want[k], got[k]) for k in got if want[k] != got[k]}


def test_what_passes_is_the_same(both):
    db, session, keys = both
    singles = [x for x in lines("lint_same.txt") if not x.startswith(("SELECT ", "WITH "))]
    wrong, alone, rest = {}, [], []
    assert len(singles) > 200
    for x in singles:
        try:
            list(of_duckdb(db, select([x])))
            alone.append(x)
        except duckdb.Error:
            rest.append(x)
    chunks = [alone[i:i + 20] for i in range(0, len(alone), 20)]
    while chunks:
        chunk = chunks.pop()
        try:
            got = {r[0]: r[1:] for r in of_spark(session, select(chunk))}
        except Exception:  # one of them: which?
            half = len(chunk) // 2
            if half:
                chunks += [chunk[:half], chunk[half:]]
            else:
                rest += chunk
            continue
        want = {r[0]: r[1:] for r in of_duckdb(db, select(chunk))}
        for n, x in enumerate(chunk):
            differ = {k: (want[k][n], got[k][n]) for k in keys if want[k][n] != got[k][n]}
            assert any(got[k][n] is not None for k in keys), f"{x}: NULL everywhere"
            if differ:
                wrong[x] = differ
    for x in rest:
        differ = row_by_row(both, x)
        if differ:
            wrong[x] = differ
    assert not wrong, "\n".join(f"{x}: {d}" for x, d in wrong.items())


def key_of(row):
    return [(v is not None, str(v)) for v in row]


@pytest.mark.parametrize("sql", [x for x in lines("lint_same.txt") if x.startswith(("SELECT ", "WITH "))])
def test_whole_selects_are_the_same(both, sql):
    db, session, _ = both
    want, got = sorted(of_duckdb(db, sql), key=key_of), sorted(of_spark(session, sql), key=key_of)
    assert got == want and want


# ── the table ──

def shown(v):
    if v is None:
        return "NULL"
    if isinstance(v, bool):
        return str(v).lower()
    return str(v)


def first(rows):
    return shown(list(rows[0])[0])


def rules():
    out = subprocess.run([L.SLUICE, "explain", "--json"], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


# What Spark 4 reads that 3.5 does not, or answers right (docs/spark.md); models may not write it as long as both are meant.
SPARK_4 = {"A14": "a", "A20": "1", "X11": "1"}


def test_examples_say_what_engines_answer(both):
    db, session, _ = both
    newer = {} if session.version.startswith("3.") else SPARK_4
    wrong = []
    for r in rules():
        if r["example"] is None:
            continue
        try:
            a = first(db.execute("SELECT " + r["example"]).fetchall())
        except duckdb.Error:
            a = "error"
        try:
            b = first(session.sql("SELECT " + r["example"]).collect())
        except Exception:
            b = "error"
        if (a, b) != (r["duckdb"], newer.get(r["rule"], r["spark"])):
            wrong.append((r["rule"], r["example"], "DuckDB", a, r["duckdb"], "Spark", b, r["spark"]))
    assert not wrong, "\n".join(map(str, wrong))
