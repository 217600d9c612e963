"""Prepare on Spark, against the same job by DuckDB: the files, the books, the hashes."""
import glob
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import duckdb
import pyarrow.parquet as pq
import pytest

import engines
import lake as L
import test_children as C
from lambda_api import Function

pytest_plugins = ["lake_fixtures", "engines"]
pytestmark = pytest.mark.skipif(bool(engines.spark_missing()), reason=str(engines.spark_missing()))

PACKAGE = os.path.join(L.ROOT, "spark")
LIBRARY = os.path.join(os.path.dirname(L.BIN), "lib", "libsluice.so")
TABLES = [("output", "files"), ("quarantine_output", "quarantine_files")]


# ── jobs, as a run writes them for an engine elsewhere ──

def jobs_of(folder, project, begin, end):
    """Every prepare of the project, as (name, JSON)."""
    f = Function(str(folder), FLIGHTS_TOKEN=L.TOKEN, SLUICE_LAKE=project.lake)
    try:
        event = {"pipeline": os.path.basename(project.folder), "run_id": "r1", "from": begin, "to": end}
        got = f.invoke({"action": "ingest", **event})
        assert got.kind == "response", got
        posted = f.invoke({"action": "jobs", **event})
        assert posted.kind == "response", posted
        jobs = [L.load_json(os.path.join(project.lake, j["job"])) for j in posted.body["jobs"]]
        return {j["table"]: j for j in jobs if j["kind"] == "prepare"}
    finally:
        f.stop()


def tables(x):
    return [x] + x.get("children", [])


class Case:
    """A job carried out: where its files are, and its result or error."""

    def __init__(self, folder, job, **changes):
        self.folder = str(folder)
        self.job = json.loads(json.dumps({**job, **changes}))
        for t in tables(self.job):
            for kind, _ in TABLES:
                t[kind] = os.path.join(self.folder, t["table"], kind, os.path.basename(t[kind]))
                os.makedirs(t[kind])
        self.job["result"] = os.path.join(self.folder, "result.json")
        self.job["scratch"] = os.path.join(self.folder, "scratch")
        os.makedirs(self.job["scratch"])
        self.path = os.path.join(self.folder, "job.json")
        self.text = json.dumps(self.job, separators=(",", ":"), ensure_ascii=False)  # the contract stays as it is written
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(self.text)

    def by_duckdb(self):
        self.status = subprocess.run([L.SLUICE, "engine", "duckdb", self.path], capture_output=True, timeout=120,
                                     check=False).returncode
        self.result = L.load_json(self.job["result"])
        return self

    def by_spark(self, spark):
        from sluice_spark import prepare
        from sluice_spark.errors import JobError
        try:
            self.result = json.loads(prepare.run(spark, self.job, self.text))
        except JobError as e:
            self.result = e.as_dict()
        return self

    def paths(self, table, kind):
        """Of the result, in its order; they are there, and nothing else is."""
        folder, result = tables(self.job)[table][TABLES[kind][0]], tables(self.result)[table]
        found = [os.path.join(folder, os.path.basename(f["path"])) for f in result[TABLES[kind][1]]]
        assert sorted(found) == sorted(glob.glob(folder + "/*"))
        for path, f in zip(found, result[TABLES[kind][1]]):
            assert os.path.getsize(path) == f["size"] and pq.ParquetFile(path).metadata.num_rows == f["rows"]
            assert f["path"] == f"data/{os.path.basename(folder)}/{os.path.basename(path)}"
        return found


def described(files):
    """Rows, statistics, windows with their counts and hashes: all but where it is."""
    return [{**{k: v for k, v in f.items() if k not in ("path", "size", "modified", "modified_ms", "sha256")},
             "stats": json.loads(f["stats"])} for f in files]


def physical(path):
    """What a reader finds: names, types, instants."""
    f = pq.ParquetFile(path)
    kinds = [f.schema.column(i).physical_type for i in range(len(f.schema))]
    return [(c.name, str(c.type), c.nullable, kind) for c, kind in zip(f.schema_arrow, kinds)]


def compare(a, b):
    """The same tables: DuckDB's and Spark's."""
    assert "error" not in a.result and "error" not in b.result, (a.result.get("error"), b.result.get("error"))
    assert b.result["engine"].startswith("Spark ")
    assert a.result["rows"] == b.result["rows"]
    for i, (x, y) in enumerate(zip(tables(a.result), tables(b.result))):
        assert x["loss"] == y["loss"]
        for k, (_, kind) in enumerate(TABLES):
            assert described(x[kind]) == described(y[kind])
            for left, right in zip(a.paths(i, k), b.paths(i, k)):
                assert physical(left) == physical(right)
                rows = [duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall() for path in (left, right)]
                assert repr(rows[0]) == repr(rows[1])  # in their order; repr tells -0.0
    assert os.listdir(b.job["scratch"]) == []


@pytest.fixture(scope="module")
def shipped(spark):
    sys.path.insert(0, PACKAGE)
    os.environ["SLUICE_LIBRARY"] = LIBRARY
    from sluice_spark import main
    main.ship_package(spark.sparkContext)
    yield spark
    sys.path.remove(PACKAGE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Orders with children, duplicates far from each other, and whatever else APIs do."""
    folder = tmp_path_factory.mktemp("shop")
    C.write(folder / "orders.ndjson", C.orders())
    mock = C.mock_of(folder)
    p = C.project(folder / "pipelines" / "shop", mock, C.contract(sort=True))
    p.lake = str(folder / "lake")
    yield jobs_of(folder, p, C.RUN[1], C.RUN[3])["orders"]
    assert mock.stop() == 0


@pytest.mark.parametrize("file_rows", [13, 100, 100000])
def test_children_and_duplicates_of_cut_windows(shop, shipped, tmp_path, file_rows):
    compare(Case(tmp_path / "a", shop, file_rows=file_rows).by_duckdb(),
            Case(tmp_path / "b", shop, file_rows=file_rows).by_spark(shipped))


# ── values that engines disagree about ──

WILD = L.contract_head("orders", "wild") + """\
    customProperties:
      - {property: sluice.window_column, value: at}
      - {property: sluice.sort, value: [-day, s]}
      - {property: sluice.budget_percent, value: 60}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: n, logicalType: number, customProperties: [{property: sluice.type, value: double}]}
      - {name: s, logicalType: string}
      - {name: naive_name, logicalType: string, customProperties: [{property: sluice.path, value: naïveName}]}
      - {name: small, logicalType: number, customProperties: [{property: sluice.precision, value: 9}, {property: sluice.scale, value: 2}]}
      - {name: middle, logicalType: number, customProperties: [{property: sluice.precision, value: 18}, {property: sluice.scale, value: 3}]}
      - {name: large, logicalType: number, customProperties: [{property: sluice.precision, value: 38}, {property: sluice.scale, value: 10}]}
      - {name: day, logicalType: date}
      - {name: yes, logicalType: boolean}
      - {name: any, logicalType: object}
"""


def wild():
    doubles = ["-0.0", "0.0", "1e308", "-1e-308", "5e-324", "null", "0.1", '"x"', "-0.0"]
    texts = ['"\\u0000"', '"é"', '"e\\u0301"', '"😀"', '"\\ud83d"', '""', '"a\\tb"', "null", '"zz"', '"Z"', '"NULL"']
    decimals = ["1.005", "-0.00", "9999999.99", "99999999.99", "null", "1e2", '"7.25"', "0.125"]
    for day in range(1, 5):
        for i in range(90 if day != 2 else 0):
            yield ('{"id":%d,"at":"2024-01-%02dT%02d:%02d:00.%06dZ","n":%s,"s":%s,"naïveName":%s,"small":%s,"middle":%s,'
                   '"large":%s,"day":%s,"yes":%s,"any":%s%s}') % (
                day * 1000 + i % 71, day, i % 24, i % 60, i * 11111 % 1000000, doubles[i % 9], texts[i % 11], texts[i % 7],
                decimals[i % 8], decimals[i % 5], ["1234567890123456789012345678.0123456789", "-0.0000000001"][i % 2],
                ['"1600-02-29"', '"0001-01-01"', '"9999-12-31"', "null", '"2023-02-29"'][i % 5],
                ["true", "false", "null", "1"][i % 4], ['{"b":[1,{"ü":-0.0}]}', "[]", "{}", "null"][i % 4],
                ',"more":"%s"' % ("x" * 300) if i % 10 == 0 else "")


@pytest.fixture(scope="module")
def wild_job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wild")
    with open(folder / "orders.ndjson", "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in wild())
    mock = C.mock_of(folder)
    p = C.project(folder / "pipelines" / "wild", mock, WILD)
    pipeline = L.load_json(p.file)
    pipeline["pipeline"] = "wild"
    with open(p.file, "w", encoding="utf-8") as f:
        json.dump(pipeline, f)
    p.lake = str(folder / "lake")
    yield jobs_of(folder, p, C.RUN[1], C.RUN[3])["orders"]
    assert mock.stop() == 0


@pytest.mark.parametrize("memory", [512 << 20, 1 << 10])  # sorted by libsluice; by the engine, since windows are too large
def test_wild_values(wild_job, shipped, tmp_path, memory):
    a = Case(tmp_path / "a", wild_job, file_rows=50).by_duckdb()
    b = Case(tmp_path / "b", wild_job, file_rows=50, memory_bytes=memory).by_spark(shipped)
    compare(a, b)
    assert a.result["loss"]["quarantined"] > 0 and a.result["loss"]["duplicates"] > 0


# ── failures ──

def test_the_budget_and_its_examples(shop, shipped, tmp_path):
    changes = {"file_rows": 13, "budget_percent": 1}
    a, b = Case(tmp_path / "a", shop, **changes).by_duckdb(), Case(tmp_path / "b", shop, **changes).by_spark(shipped)
    assert a.result["error"]["code"] == "CONTRACT" and "would be set aside" in a.result["error"]["message"]
    assert b.result["error"] == a.result["error"]
    assert glob.glob(str(tmp_path / "b/*/*/*/*")) == []


def test_damage_is_told_as_such(shop, shipped, tmp_path):
    lake = shop["lake"]
    shutil.copytree(lake, tmp_path / "lake")
    segment = sorted(glob.glob(str(tmp_path / "lake/raw/**/*.warc.gz"), recursive=True))[0]
    with open(segment, "r+b") as f:
        f.seek(os.path.getsize(segment) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    changes = {"file_rows": 13, "lake": str(tmp_path / "lake")}
    a, b = Case(tmp_path / "a", shop, **changes).by_duckdb(), Case(tmp_path / "b", shop, **changes).by_spark(shipped)
    assert a.result["error"]["code"] == "DAMAGE"
    assert b.result["error"]["code"] == "DAMAGE" and b.result["error"]["message"] == a.result["error"]["message"]
    assert glob.glob(str(tmp_path / "b/*/*/*/*")) == []


# ── the whole way: spark-submit, a week of the demo, and workers that are killed ──

def submit(case, attempts=4):
    """spark-submit, begun; the program's own standard output is kept."""
    import pyspark
    program = os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-submit")
    line = [program, "--master", f"local[2,{attempts}]", "--conf", "spark.ui.enabled=false", "--driver-memory", "1g"]
    env = {**os.environ, "SLUICE_LIBRARY": LIBRARY, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    with open(case.folder + "/out", "wb") as out, open(case.folder + "/err", "wb") as err:
        return subprocess.Popen([*line, os.path.join(PACKAGE, "sluice_spark", "main.py"), case.path], stdout=out, stderr=err,
                                env=env, start_new_session=True)


def ended(case, process, status=0):
    try:
        got = process.wait(240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    with open(case.folder + "/err", encoding="utf-8") as err:
        assert got == status, err.read()[-3000:]
    case.result = L.load_json(case.job["result"])
    with open(case.folder + "/out", encoding="utf-8") as out:
        case.progress = [json.loads(line)["progress"]["rows"] for line in out if line.startswith("{")]
    return case


def workers_of(process):
    """Python processes that do tasks: children of Spark's daemon, below `process`."""
    parents, names = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                    parents[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
                with open(f"/proc/{entry}/cmdline", encoding="utf-8") as f:
                    names[int(entry)] = f.read()
            except (OSError, UnicodeDecodeError):
                pass
    found = []
    for pid in names:
        if "pyspark.daemon" in names[pid] and "pyspark.daemon" in names.get(parents[pid], ""):
            up = parents[pid]
            while up > 1 and up != process.pid:
                up = parents.get(up, 0)
            if up == process.pid:
                found.append(pid)
    return found


@pytest.fixture(scope="module")
def january(tmp_path_factory, calm):
    folder = tmp_path_factory.mktemp("january")
    p = L.example_project(str(folder / "pipelines" / "nycflights"), calm.url)
    p.lake = str(folder / "lake")
    # The graph of the models comes from an engine: it is kept in the lake by whoever had one.
    p.sluice("plan", "--from", "2013-01-01", "--to", "2013-01-08", status=None)
    return jobs_of(folder, p, "2013-01-01", "2013-01-08")


def test_a_week_with_workers_killed(january, tmp_path):
    job = january["flights"]
    a = Case(tmp_path / "a", job, file_rows=500).by_duckdb()
    b = Case(tmp_path / "b", job, file_rows=500)
    process, killed, limit = submit(b), 0, time.monotonic() + 200
    out = tables(b.job)[0]["output"]
    while process.poll() is None and killed < 3 and time.monotonic() < limit:
        if len(os.listdir(out)) >= 2 * (killed + 1):
            for pid in workers_of(process)[:1]:
                os.kill(pid, signal.SIGKILL)
                killed += 1
        time.sleep(0.02)
    ended(b, process)
    assert killed == 3
    compare(a, b)
    assert b.progress == sorted(b.progress) and b.result["rows"] > 4000


def test_workers_that_die_every_time_are_told(shop, tmp_path):
    b = Case(tmp_path / "b", shop, file_rows=13)
    process, limit = submit(b, attempts=1), time.monotonic() + 200
    while process.poll() is None and time.monotonic() < limit:
        for pid in workers_of(process):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)
    ended(b, process, 9)
    assert b.result["error"]["code"] == "ENGINE_FAULT", b.result["error"]
    assert "lost an executor" in b.result["error"]["message"]
    assert glob.glob(str(tmp_path / "b/*/*/*/*")) == []


# ── where the lake is no folder, as far as the job says: tasks send their files ──

def test_files_are_sent_to_the_lake(shop, shipped, tmp_path):
    a = Case(tmp_path / "a", shop, file_rows=13).by_duckdb()
    shutil.copytree(os.path.join(shop["lake"], "raw"), tmp_path / "b" / "raw")
    b = Case(tmp_path / "b", shop, file_rows=13, lake=str(tmp_path / "b"), objects=[], cache=str(tmp_path / "cache"),
             scratch_bytes=1 << 30).by_spark(shipped)
    compare(a, b)
    for i, t in enumerate(tables(b.result)):
        for k, (_, kind) in enumerate(TABLES):
            for path, f in zip(b.paths(i, k), t[kind]):
                with open(path, "rb") as data:
                    assert hashlib.sha256(data.read()).hexdigest() == f["sha256"]
