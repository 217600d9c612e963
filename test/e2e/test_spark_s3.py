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
from s3_server import KEYS, S3Project, Server

pytest_plugins = ["lake_fixtures"]
pytestmark = pytest.mark.skipif(bool(engines.spark_missing()), reason=str(engines.spark_missing()))

LIBRARY = os.path.join(os.path.dirname(L.BIN), "lib", "libsluice.so")
MAIN = os.path.join(L.ROOT, "spark", "sluice_spark", "main.py")
SUBMIT = os.path.join(os.path.dirname(sys.executable), "spark-submit")
DAYS = ("--from", "2013-01-01", "--to", "2013-01-05")
MODELS = sorted(os.path.basename(f)[:-4] for f in glob.glob(os.path.join(L.EXAMPLE, "models", "*.sql")))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("s3"))
    yield s
    s.stop()


def rows_of(project):
    return [line for line in project.digest().splitlines() if line.startswith("rows")]


@pytest.fixture(scope="module")
def disk(tmp_path_factory, calm):
    """By DuckDB in a folder: what Spark on S3 is held against."""
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("disk"), "flights"), calm.url)
    p.sluice("run", *DAYS)
    p.rows = rows_of(p)
    return p


def on_s3(disk, server, prefix):
    p = S3Project(disk.folder, f"s3://lakes/{prefix}", server.url)
    p.files = os.path.join(server.folder, "lakes", prefix)
    with open(p.file, encoding="utf-8") as f:
        text = f.read()
    if "spark" not in text:
        with open(p.file, "a", encoding="utf-8") as f:
            f.write("\nengine: " + json.dumps({"spark": {"submit": SUBMIT, "master": "local[2,4]"}}) + "\n")
    return p


@pytest.fixture(scope="module")
def made(disk, server):
    p = on_s3(disk, server, "spark")
    p.done = p.sluice("run", "--engine", "spark", *DAYS)
    return p


def test_run_on_s3_by_spark(disk, made):
    assert rows_of(made) == disk.rows
    tables = made.records()[-1]["tables"] if os.path.isdir(made.lake) else disk.on(made.files).records()[-1]["tables"]
    by = {t["table"]: t["engine"].split()[0] for t in tables if t.get("engine")}
    assert set(MODELS) <= set(by) and set(by.values()) == {"Spark"}
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


def test_damage_on_s3(disk, made):
    """An object that is not what the log says is nobody's input, as on one machine."""
    p = on_s3(disk, type("S", (), {"folder": os.path.dirname(os.path.dirname(made.files)), "url": made.endpoint}), "damaged")
    shutil.copytree(made.files, p.files)
    shutil.rmtree(os.path.join(p.files, "refine", p.name, "carrier_scorecard"))
    victim = max(glob.glob(os.path.join(p.files, "prepare", p.name, "flights", "data", "*", "*.parquet")), key=os.path.getsize)
    with open(victim, "r+b") as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(1000)
        f.write(bytes([byte[0] ^ 1]))
    done = p.sluice("refine", "--engine", "spark", "--only", "carrier_scorecard", *DAYS, status=8)
    assert os.path.basename(victim) in done.err and "Spark" not in done.err.split("\n")[0]
