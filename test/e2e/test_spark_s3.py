"""Prepare, models and parity by Spark on a lake at s3://: the rows of DuckDB on a disk. Objects are brought and sent by tasks, by
libsluice's own store, from a server that we did not write."""
import glob
import json
import os
import shutil
import subprocess
import sys

import pytest

import engines
import lake as L
from lambda_api import LAMBDA, Function
from s3_server import KEYS, S3Project, Server
from spark_cluster import Cluster

pytest_plugins = ["lake_fixtures", "engines"]
pytestmark = pytest.mark.skipif(bool(engines.spark_missing()), reason=str(engines.spark_missing()))

LIBRARY = os.path.join(os.path.dirname(L.BIN), "lib", "libsluice.so")
MAIN = os.path.join(L.ROOT, "spark", "sluice_spark", "main.py")
SUBMIT = None if engines.spark_missing() else engines.spark_submit()
DAYS = ("--from", "2013-01-01", "--to", "2013-01-05")
MODELS = sorted(os.path.basename(f)[:-4] for f in glob.glob(os.path.join(L.EXAMPLE, "models", "*.sql")))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("s3"))
    yield s
    s.stop()


def rows_of(project):
    return [line for line in project.digest().splitlines() if line.startswith("rows")]


def lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


@pytest.fixture(scope="module")
def disk(tmp_path_factory, calm):
    """By DuckDB in a folder: what Spark on S3 is held against."""
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("disk"), "flights"), calm.url)
    p.sluice("run", *DAYS)
    p.rows = rows_of(p)
    return p


def on_s3(folder, of, server, prefix, **settings):
    """A project beside another one, its lake on S3; its Sparks are counted."""
    p = S3Project(os.path.join(str(folder), prefix), f"s3://lakes/{prefix}", server.url)
    shutil.copytree(of.folder, p.folder, ignore=shutil.ignore_patterns("lake"))
    p.secrets = {**of.secrets, "PYSPARK_PYTHON": sys.executable}
    p.files, p.started = os.path.join(server.folder, "lakes", prefix), os.path.join(str(folder), "started-" + prefix)
    submit = os.path.join(p.folder, "spark-submit")
    with open(submit, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\necho $$ >> {p.started}\nexec {SUBMIT} "$@"\n')
    os.chmod(submit, 0o755)
    with open(p.file, "a", encoding="utf-8") as f:
        f.write("\nengine: " + json.dumps({"spark": {"submit": submit}, **settings}) + "\n")
    return p


@pytest.fixture(scope="module")
def made(tmp_path_factory, disk, server):
    p = on_s3(tmp_path_factory.mktemp("made"), disk, server, "spark")
    p.done = p.sluice("run", "--engine", "spark", *DAYS)
    return p


def test_run_on_s3_by_spark(disk, made):
    assert rows_of(made) == disk.rows
    tables = disk.on(made.files).records()[-1]["tables"]
    by = {t["table"]: t["engine"].split()[0] for t in tables if t.get("engine")}
    assert set(MODELS) <= set(by) and set(by.values()) == {"Spark"}
    assert len(by) >= 13 and len(lines(made.started)) == 1  # one Spark for all of them
    made.sluice("verify")
    as_folder = disk.on(made.files)
    as_folder.sluice("verify")
    assert "Nothing to do" in made.sluice("run", *DAYS).out  # the engine is no part of any key


def test_no_secret_is_told(made):
    """Jobs, results and records name the lake, and nothing that opens it."""
    found = subprocess.run(["grep", "-rlaF", KEYS["AWS_SECRET_ACCESS_KEY"], made.files], capture_output=True, check=False).stdout
    assert found == b""
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in made.done.out + made.done.err


def test_parity_on_s3(made):
    before = L.snapshot(made.files)
    reports = json.loads(made.sluice("parity", "--json").out)
    assert [r["model"] for r in reports] and {r["model"] for r in reports} == set(MODELS)
    assert all(r["equal"] for r in reports) and any(r["duckdb"]["rows"] for r in reports)
    assert L.snapshot(made.files) == before


def test_damage_on_s3(tmp_path, disk, made, server):
    """An object that is not what the log says is nobody's input, as on one machine."""
    p = on_s3(tmp_path, disk, server, "damaged")
    shutil.copytree(made.files, p.files)
    shutil.rmtree(os.path.join(p.files, "refine", p.name, "carrier_scorecard"))
    victim = max(glob.glob(os.path.join(p.files, "prepare", p.name, "flights", "data", "*", "*.parquet")), key=os.path.getsize)
    with open(victim, "r+b") as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(1000)
        f.write(bytes([byte[0] ^ 1]))
    done = p.sluice("refine", "--engine", "spark", "--only", "carrier_scorecard", *DAYS, status=8)
    assert os.path.basename(victim) in done.err and "sluice repair" in done.err


def test_on_a_cluster(tmp_path, monkeypatch, disk, made, server):
    """Where the lake is stands in the job; what opens it each machine finds in its own surroundings: here in a profile."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(f"[default]\naws_access_key_id = {KEYS['AWS_ACCESS_KEY_ID']}\n"
                                               f"aws_secret_access_key = {KEYS['AWS_SECRET_ACCESS_KEY']}\n")
    (home / ".aws" / "credentials").chmod(0o600)
    with monkeypatch.context() as m:
        m.setenv("HOME", str(home))
        cluster = Cluster(tmp_path)
        try:
            cluster.worker("127.0.0.1")
        except BaseException:
            cluster.end()
            raise
    try:
        p = on_s3(tmp_path, disk, server, "cluster", use="spark")
        with open(p.file, encoding="utf-8") as f:
            text = f.read()
        conf = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.memory": "600m",
                "spark.executor.memory": "600m", "spark.sql.shuffle.partitions": "2"}
        with open(p.file, "w", encoding="utf-8") as f:
            f.write(text.replace('"spark": {', f'"spark": {{"master": "{cluster.url}", "conf": {json.dumps(conf)}, ')
                    + "\ns3: " + json.dumps({"endpoint": server.url, "region": KEYS["AWS_REGION"]}) + "\n")
        p.secrets["SPARK_LOCAL_IP"] = "127.0.0.1"
        shutil.copytree(made.files, p.files)
        for table in ("prepare/nycflights/planes", "quarantine/nycflights/planes", "refine/nycflights/carrier_scorecard"):
            shutil.rmtree(os.path.join(p.files, table))
        p.sluice("run", *DAYS)
        assert rows_of(p) == disk.rows and len(lines(p.started)) == 1
        by = {t["table"]: t["engine"] for t in disk.on(p.files).records()[-1]["tables"] if t.get("engine")}
        assert {n for n, e in by.items() if e.startswith("Spark")} == {"planes", "carrier_scorecard"} | (set(by) & set(MODELS))
    finally:
        cluster.end()


# ── what is read of objects ──

A, B = "sluice_prepare_a", "sluice_prepare_b"
NEEDED = [  # a SELECT over a(k, x, y, z) and b(k, x, w), and the columns of both that it needs
    (f"SELECT x FROM {A} WHERE y > 1", "xy", ""),
    (f"SELECT * FROM {A}", "kxyz", ""),
    (f"SELECT * FROM {A} JOIN {B} ON {A}.k = {B}.k", "kxyz", "kxw"),
    (f"SELECT a.x, b.w FROM {A} a LEFT JOIN {B} b ON a.k = b.k", "kx", "kw"),
    (f"SELECT count(*) AS n FROM {A}", "", ""),
    (f"SELECT x, sum(y) AS y FROM {A} GROUP BY x HAVING max(z) > 1", "xyz", ""),
    (f"SELECT p.x FROM {A} p JOIN {A} q ON p.k = q.y", "kxy", ""),
    (f"SELECT k FROM {A} UNION ALL SELECT w FROM {B}", "k", "w"),
    (f"SELECT x FROM {A} WHERE y = (SELECT max(w) FROM {B})", "xy", "w"),
    (f"SELECT x FROM {A} WHERE EXISTS (SELECT 1 FROM {B} WHERE {B}.k = {A}.k)", "kx", "k"),
    (f"SELECT count(*) AS n FROM {A} NATURAL JOIN {B}", "kx", "kx"),
    (f"SELECT x, row_number() OVER (PARTITION BY y ORDER BY z) AS n FROM {A}", "xyz", ""),
    (f"WITH c AS (SELECT x, y FROM {A}) SELECT p.x FROM c p JOIN c q ON p.x = q.x", "x", ""),
    (f"WITH c AS (SELECT x, y, rand() AS r FROM {A}) SELECT p.x FROM c p JOIN c q ON p.r = q.r", "x", ""),
]


@pytest.mark.parametrize("case", range(len(NEEDED)))
def test_columns_that_are_needed(spark, case):
    """More would be slower, fewer would be wrong: what is left out raises an error where it is read."""
    sys.path.insert(0, os.path.join(L.ROOT, "spark"))
    try:
        from sluice_spark import refine
    finally:
        sys.path.pop(0)
    text, *columns = NEEDED[case]
    tables = {"a": "kxyz", "b": "kxw"}
    job = {"spark": {"language": "sql", "text": text}, "inputs": [
        {"schema": "prepare", "table": t, "columns": [{"name": c, "type": "integer"} for c in names]} for t, names in tables.items()]}
    found = refine.columns_needed(spark, job)
    for number, (table, wanted) in enumerate(zip(tables.values(), columns)):
        assert "".join(table[i] for i in sorted(found[number] or ())) == "".join(sorted(wanted, key=table.index)), found
    answers = []
    for columns in ([None, None], found):
        for number, table in enumerate(job["inputs"]):
            names = [c["name"] for c in table["columns"]]
            taken = [n for i, n in enumerate(names) if columns[number] is None or i in columns[number]] or names[:1]
            rows = spark.createDataFrame([[r % 2 + r * ord(n) for n in taken] for r in range(3)],
                                         ", ".join(f"{n} bigint" for n in taken))
            refine.filled_up(rows, table["columns"]).createOrReplaceTempView(refine.view_name(table))
        answers.append(sorted(map(tuple, spark.sql(text).collect())))
    assert answers[0] == answers[1]


# ── engines elsewhere: what EMR Serverless does with a job on S3 ──

SERVERLESS = {"spark.driver.extraJavaOptions": "-Duser.timezone=UTC", "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
              "spark.sql.catalogImplementation": "in-memory", "spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1"}


def submitted(p, job, folder, status=0):
    """An entry point, a job's URL, and credentials from the surroundings: nothing else, and nothing of the project's folder."""
    confs = [word for k, v in SERVERLESS.items() for word in ("--conf", f"{k}={v}")]
    env = {**p.environment(), "SLUICE_LIBRARY": LIBRARY, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run([SUBMIT, "--master", "local[2,4]", *confs, MAIN, f"{p.lake}/{job}"], env=env, cwd=str(folder), timeout=300,
                          capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    return done


def test_jobs_that_lie_on_s3(tmp_path, disk, made, server):
    if not os.access(LAMBDA, os.X_OK):
        pytest.skip("sluice-lambda is not built")
    p = on_s3(tmp_path / "task" / "pipelines", disk, server, "serverless", use="spark")
    shutil.copytree(made.files, p.files)
    for table in ("prepare/nycflights/planes", "quarantine/nycflights/planes", "refine/nycflights/carrier_scorecard"):
        shutil.rmtree(os.path.join(p.files, table))
    f = Function(str(tmp_path / "task"), SLUICE_LAKE=p.lake, **p.environment())
    try:
        done, event = [], {"pipeline": "serverless", "run_id": "nightly-1", "from": DAYS[1], "to": DAYS[3]}
        for _ in range(4):
            posted = f.invoke({"action": "jobs", **event})
            assert posted.kind == "response", posted
            for job in posted.body["jobs"]:
                submitted(p, job["job"], tmp_path)
                committed = f.invoke(job["commit"])
                assert committed.kind == "response" and committed.body["committed"], committed
                done.append(job["job"])
            if not posted.body["jobs"]:
                break
        assert len(done) >= 2 and "prepare-planes" in done[0] and any("refine-carrier_scorecard" in d for d in done), done
        # A job that cannot be read is told, and so is its exit status.
        assert "MISSING" in submitted(p, "runs/nycflights/nightly-1/jobs/nothing.json", tmp_path, status=6).stdout
    finally:
        f.stop()
    assert rows_of(p) == disk.rows
    p.sluice("verify")
