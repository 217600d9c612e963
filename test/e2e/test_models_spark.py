"""Do the demo's models mean the same to another engine? Each models/*.sql is run by Spark as well, with the settings that
the portable profile of SQL assumes, and its rows are compared one by one: once against DuckDB over what the CSV files
hold, once against the tables of a lake over that lake's own Prepare files."""
import functools
import os
import re

import pytest

import engines
import expected as X
import lake as L

duckdb = pytest.importorskip("duckdb")
if engines.spark_missing():
    pytest.skip(engines.spark_missing(), allow_module_level=True)

import pyarrow.parquet as pq

from engines import spark  # noqa: F401

pytest_plugins = ["lake_fixtures"]

FOLDER = os.path.join(L.EXAMPLE, "models")
MODELS = sorted(f[:-4] for f in os.listdir(FOLDER) if re.fullmatch(r"[a-z0-9_]+\.sql", f))


def model(name):
    with open(os.path.join(FOLDER, name + ".sql"), encoding="utf-8") as f:
        return f.read()


def reads(name):
    """Tables by their two-part names; the models have none in texts."""
    code = re.sub(r"--[^\n]*", "", model(name))
    return sorted(set(re.findall(r"\b((?:prepare|refine)\.\w+)", code)))


def in_order():
    """Each model behind those that it reads."""
    done = []
    while len(done) < len(MODELS):
        ready = [m for m in MODELS if m not in done
                 and all(r.split(".")[1] in done for r in reads(m) if r.startswith("refine."))]
        assert ready, "a circle"
        done += ready
    return done


@functools.cache
def columns(name):
    """[(name, SQL type)] and the key of the model's contract, as the demo writes them: a line each."""
    found, key = [], {}
    with open(os.path.join(L.EXAMPLE, "contracts", name + ".yaml"), encoding="utf-8") as f:
        text = f.read().split("    properties:\n")[1]
    for part in re.split(r"(?m)^      - name: ", text)[1:]:
        column = part.split("\n")[0].strip()
        logical = re.search(r"logicalType: (\w+)", part).group(1)
        own = dict(re.findall(r"\{property: sluice\.(type|precision|scale), value: (\w+)\}", part))
        position = re.search(r"primaryKeyPosition: (\d+)", part)
        if position:
            key[int(position.group(1))] = column
        if logical == "number":
            kind = "DOUBLE" if own.get("type") == "double" else f"DECIMAL({own['precision']}, {own['scale']})"
        else:
            kind = {"string": "STRING", "integer": "BIGINT", "date": "DATE", "boolean": "BOOLEAN"}[logical]
        found.append((column, kind))
    assert found and key
    return found, [key[i] for i in sorted(key)]


def projection(name, sql):
    """The published columns, in the contract's order and types, by key."""
    found, key = columns(name)
    casts = ", ".join(f'CAST(q."{c}" AS {t}) AS "{c}"' for c, t in found)
    order = ", ".join(f'"{c}" ASC NULLS FIRST' for c in key)
    return f"SELECT {casts} FROM (\n{sql}\n) q ORDER BY {order}"


def spark_rows(spark, name, tables):
    """`tables`: files by "prepare.flights". Temporary views have no schema, so the dot becomes a line."""
    sql = model(name)
    for t in reads(name):
        spark.read.parquet(*tables[t]).createOrReplaceTempView(t.replace(".", "__"))
        sql = re.sub(rf"\b{re.escape(t)}\b", t.replace(".", "__"), sql)
    return [tuple(r) for r in spark.sql(projection(name, sql)).collect()]


def compare(name, want, got):
    """`want`: DuckDB's rows; Spark's floats are compared bit by bit, which == does for all but -0.0 and NaN."""
    names = [c for c, _ in columns(name)[0]]
    assert len(got) == len(want) > 0
    for a, b in zip(want, got):
        differ = {c: (x, y) for c, x, y in zip(names, a, b) if x != y or type(x) is not type(y)}
        assert not differ, f"{name} {dict(zip(names, a))}: DuckDB, Spark: {differ}"


# ── over the CSV files ──

@pytest.fixture(scope="module")
def from_csv(tmp_path_factory):
    """Prepare's tables as Parquet, all refine tables by DuckDB in the models' order."""
    folder = tmp_path_factory.mktemp("tables")
    tables, rows = {}, {}
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'; SET default_null_order = 'NULLS_FIRST_ON_ASC_LAST_ON_DESC'")
    db.execute("CREATE SCHEMA prepare; CREATE SCHEMA refine")

    def view(table, path):
        tables[table] = [str(path)]
        db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{path}')")

    for r in X.RESOURCES:
        path = folder / f"prepare_{r}.parquet"
        pq.write_table(X.published(r), path, coerce_timestamps="us")
        view("prepare." + r, path)
    for m in in_order():
        path = folder / f"refine_{m}.parquet"
        db.execute(f"COPY ({projection(m, model(m))}) TO '{path}' (FORMAT PARQUET)")
        view("refine." + m, path)
        rows[m] = db.execute(f"SELECT * FROM refine.{m}").fetchall()
    return tables, rows


def test_there_are_enough_models():
    assert len(MODELS) >= 6
    assert {r for m in MODELS for r in reads(m) if r.startswith("prepare.")} == {"prepare." + r for r in X.RESOURCES}


@pytest.mark.parametrize("name", MODELS)
def test_same_over_csv(spark, from_csv, name):  # noqa: F811
    tables, rows = from_csv
    compare(name, rows[name], spark_rows(spark, name, tables))


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_lost_by_the_casts(from_csv, name):
    """What the SELECT gives, cast to the contract's types and back, is what it gave."""
    tables, _ = from_csv
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'; CREATE SCHEMA prepare; CREATE SCHEMA refine")
    for t in reads(name):
        db.execute(f"CREATE VIEW {t} AS SELECT * FROM read_parquet('{tables[t][0]}')")
    db.execute(f"CREATE TABLE given AS SELECT * FROM (\n{model(name)}\n)")
    kinds = dict(db.execute("SELECT column_name, column_type FROM (DESCRIBE given)").fetchall())
    assert set(kinds) == {c for c, _ in columns(name)[0]}
    for c, t in columns(name)[0]:
        lost = db.execute(f'SELECT count(*) FROM given WHERE CAST(CAST("{c}" AS {t}) AS {kinds[c]}) IS DISTINCT FROM "{c}"')
        assert lost.fetchone()[0] == 0, c


# ── over a lake ──

def lake_tables(year):
    deltalake = pytest.importorskip("deltalake")
    tables = {}
    for zone, names in (("prepare", X.RESOURCES), ("refine", MODELS)):
        for n in names:
            path = year.project.table(zone, n)
            assert os.path.isdir(os.path.join(path, "_delta_log")), f"{zone}.{n} was not published"
            tables[f"{zone}.{n}"] = deltalake.DeltaTable(path).file_uris()
    return tables


@pytest.mark.parametrize("name", MODELS)
def test_same_over_lake(request, spark, name):  # noqa: F811
    if not os.path.exists(L.SLUICE):
        pytest.skip("sluice is not built")
    tables = lake_tables(request.getfixturevalue("year"))
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    found, key = columns(name)
    files = ", ".join("'" + f.replace("'", "''") + "'" for f in tables["refine." + name])
    names = ", ".join(f'"{c}"' for c, _ in found)
    order = ", ".join(f'"{c}" NULLS FIRST' for c in key)
    want = db.execute(f"SELECT {names} FROM read_parquet([{files}]) ORDER BY {order}").fetchall()
    compare(name, want, spark_rows(spark, name, tables))
